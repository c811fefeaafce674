"""The settings of a PortSIP profile."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from cdrctl.fetchers.settings import ALLOW_HTTP, Settings
from cdrctl.http import RateLimit

TITLE = "PortSIP"


class PortsipSettings(Settings):
    """The settings of a PortSIP profile."""

    base_url: str = Field(description="the PBX's address with /api, such as https://pbx.example.net:8887/api")
    username: str | None = Field(None, description="a user with the role Admin or QueueManager")
    password: SecretStr | None = Field(None, description="password")
    domain: str | None = Field(None, description="the tenant's SIP domain; leave it out for the system administrator")
    access_token: SecretStr | None = Field(None, description="a token from another sign-in; cannot be renewed")
    allow_http: bool = ALLOW_HTTP

    @field_validator("base_url")
    @classmethod
    def _check_path(cls, url: str) -> str:
        """Refuse an address whose every answer would be 404."""
        if not urlsplit(url).path.rstrip("/").endswith("/api"):
            raise ValueError("base_url must end in /api, as in https://HOST:8887/api")
        return url.rstrip("/")


REPORTS, COMPLETED = "/call_reports", "/completed_call_reports"


BUDGET = RateLimit(5, 1)
"""The gateway allows 1000 requests a minute in v16.0, more later, for all clients together: we use a third."""
