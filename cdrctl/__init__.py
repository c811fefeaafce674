"""Exports call detail records from five telephony providers completely, within rate limits, and safely.

`open_profile` is the library (docs/library.md); it is loaded on first use.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes a third of the time that `cdrctl --version` takes
if TYPE_CHECKING:
    from cdrctl.api import Batch, Profile, open_profile

__all__ = ["PROVIDERS", "Batch", "Profile", "__version__", "open_profile"]

__version__ = "0.1.0"

PROVIDERS = {
    "webex": "Webex Calling: detailed call history",
    "kazoo": "2600Hz Kazoo: Crossbar call detail records",
    "callgear": "CallGear: call legs, calls and costs",
    "portsip": "PortSIP PBX: call detail records, call logs and call reports",
    "voicenter": "Voicenter: call log and notifications",
}
"""Every provider with its description; its package is `cdrctl/fetchers/NAME`, which defines `PROVIDER`.

The names are here so that listing them loads no package.
"""


def __getattr__(name: str) -> object:
    """Return a part of the library, which is loaded now."""
    if name not in {"Batch", "Profile", "open_profile"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cdrctl import api

    return getattr(api, name)
