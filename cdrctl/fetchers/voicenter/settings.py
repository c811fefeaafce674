"""The settings of a Voicenter profile, and the rate limits of the API."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from cdrctl.errors import UsageError
from cdrctl.fetchers.settings import Checks, Secret, Settings
from cdrctl.fetchers.voicenter.zone import ISRAEL, LEARN, zone_named

TITLE = "Voicenter"


def _closing_slash(url: str) -> str:
    """Return the address with a closing slash, as in the documentation."""
    return url if url.endswith("/") else f"{url}/"


def _zone(name: str) -> str:
    """Return the name of a zone, or `learn`."""
    if name.casefold() == LEARN:
        return LEARN
    try:
        zone_named(name)
    except UsageError:
        raise ValueError(f"date_zone must be {LEARN}, utc or a zone such as {ISRAEL}") from None
    return "UTC" if name.casefold() == "utc" else name


class VoicenterSettings(Settings, frozen=True, kw_only=True):
    """The settings of a Voicenter profile."""

    base_url: Annotated[
        str, Meta(description="the address of the Call Log; older accounts use https://api1.voicenter.co.il/hub/cdr/")
    ] = "https://api.voicenter.com/hub/cdr/"
    code: Annotated[
        Secret | None, Meta(description="the organisation's code; this machine's IP address must be authorised as well")
    ] = None
    access_token: Annotated[Secret | None, Meta(description="a bearer token (JWT), instead of the code")] = None
    date_zone: Annotated[
        str,
        Meta(
            description="zone of times without an offset: utc, Asia/Jerusalem or another; learn: determine it from "
            "the records"
        ),
    ] = LEARN

    checks: ClassVar[Checks] = {"base_url": _closing_slash, "date_zone": _zone}
