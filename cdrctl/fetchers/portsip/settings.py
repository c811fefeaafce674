"""The settings of a PortSIP profile."""

from __future__ import annotations

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from msgspec import Meta

from cdrctl.fetchers.settings import AllowHttp, Checks, Secret, Settings
from cdrctl.http import RateLimit

TITLE = "PortSIP"


def _with_path(url: str) -> str:
    """Refuse an address whose every answer would be 404."""
    if not urlsplit(url).path.rstrip("/").endswith("/api"):
        raise ValueError("base_url must end in /api, as in https://HOST:8887/api")
    return url.rstrip("/")


class PortsipSettings(Settings, frozen=True, kw_only=True):
    """The settings of a PortSIP profile."""

    base_url: Annotated[str, Meta(description="the PBX's address with /api, such as https://pbx.example.net:8887/api")]
    username: Annotated[str | None, Meta(description="a user with the role Admin or QueueManager")] = None
    password: Annotated[Secret | None, Meta(description="password")] = None
    domain: Annotated[
        str | None, Meta(description="the tenant's SIP domain; leave it out for the system administrator")
    ] = None
    access_token: Annotated[Secret | None, Meta(description="a token from another sign-in; cannot be renewed")] = None
    allow_http: AllowHttp = False

    checks: ClassVar[Checks] = {"base_url": _with_path}


REPORTS, COMPLETED = "/call_reports", "/completed_call_reports"


BUDGET = RateLimit(5, 1)
"""The gateway allows 1000 requests a minute in v16.0, more later, for all clients together: we use a third."""
