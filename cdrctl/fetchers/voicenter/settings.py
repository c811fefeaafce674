"""The settings of a Voicenter profile, and the rate limits of the API."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from cdrctl.errors import UsageError
from cdrctl.fetchers.settings import Settings
from cdrctl.fetchers.voicenter.zone import ISRAEL, LEARN, zone_named

TITLE = "Voicenter"


class VoicenterSettings(Settings):
    """The settings of a Voicenter profile."""

    base_url: str = Field(
        "https://api.voicenter.com/hub/cdr/",
        description="the address of the Call Log; older accounts use https://api1.voicenter.co.il/hub/cdr/",
    )
    code: SecretStr | None = Field(
        None, description="the organisation's code; this machine's IP address must be authorised as well"
    )
    access_token: SecretStr | None = Field(None, description="a bearer token (JWT), instead of the code")
    date_zone: str = Field(
        LEARN,
        description="zone of times without an offset: utc, Asia/Jerusalem or another; learn: determine it from "
        "the records",
    )

    @field_validator("base_url")
    @classmethod
    def _closing_slash(cls, url: str) -> str:
        """Return the address with a closing slash, as in the documentation."""
        return url if url.endswith("/") else f"{url}/"

    @field_validator("date_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        """Return the name of a zone, or `learn`."""
        if name.casefold() == LEARN:
            return LEARN
        try:
            zone_named(name)
        except UsageError:
            raise ValueError(f"date_zone must be {LEARN}, utc or a zone such as {ISRAEL}") from None
        return "UTC" if name.casefold() == "utc" else name
