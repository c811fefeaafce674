"""Call detail records from five telephony providers, exported completely, politely and safely."""

__version__ = "0.1.0"

PROVIDERS = {
    "webex": "Webex Calling: detailed call history",
    "kazoo": "2600Hz Kazoo: Crossbar call detail records",
    "callgear": "CallGear: call legs, calls and costs",
    "portsip": "PortSIP PBX: call detail records, call logs and call reports",
    "voicenter": "Voicenter: call log and notifications",
}
"""Every provider by name, with a line about it; its package is `cdrctl/fetchers/NAME` and holds `PROVIDER`.

They are named here, where naming them loads nothing; `cdrctl.fetchers` has them too.
"""
