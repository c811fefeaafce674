"""The rate limit of the gateway: requests per minute."""

from __future__ import annotations

from cdrctl.sandbox.portsip.answers import error_with
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.wire import Reply

_ACCESS_LIMIT = {"22.2": 10_000, "22.3": 10_000, "22.0": 5_000, "16": 5_000}
_MINUTE = 60


def refuse_over_limit(pbx: PBX) -> Reply | None:
    """Count a request, and refuse it if it exceeds the limit of its minute.

    Source: release notes, `[apigateway] access_limit`.
    """
    if pbx.switched["limits"] == "off":
        return None
    wanted = pbx.switched["access_limit"]
    limit = _ACCESS_LIMIT[pbx.switched["version"]] if wanted == "release" else int(wanted)
    now = int(pbx.now().timestamp())
    minute, spent = pbx.minute
    spent = spent + 1 if minute == now // _MINUTE else 1
    pbx.minute = now // _MINUTE, spent
    if spent <= limit:
        return None
    headers = {"Retry-After": str(_MINUTE - now % _MINUTE)} if pbx.switched["retry_after"] == "seconds" else {}
    return error_with(pbx, int(pbx.switched["throttle"]), "UNKNOWN", "too many requests", headers=headers)
