"""The settings of a Webex profile, and the rate limits of the API."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from cdrctl.fetchers.settings import Checks, Secret, Settings
from cdrctl.http import published
from cdrctl.http.addresses import address, in_clear

TITLE = "Webex"


def _redirect_uri(uri: str) -> str:
    from cdrctl.http.oauth import checked

    return checked(uri)


def _encrypted(url: str | None) -> str | None:
    """Refuse a URL to which a secret would be sent without encryption."""
    if url is None:
        return None
    url = address(url, query=True)
    if in_clear(url):
        raise ValueError("it must begin with https://, because a secret is sent there")
    return url


class WebexSettings(Settings, frozen=True, kw_only=True):
    """The settings of a Webex profile."""

    base_url: Annotated[str, Meta(description="your region's address: analytics-calling, -eu, -in, -au or -gov")] = (
        "https://analytics-calling.webexapis.com/v1"
    )
    access_token: Annotated[Secret | None, Meta(description="a token with scope spark-admin:calling_cdr_read")] = None
    client_id: Annotated[str | None, Meta(description="client id of the service app or integration")] = None
    client_secret: Annotated[Secret | None, Meta(description="client secret of the service app or integration")] = None
    refresh_token: Annotated[Secret | None, Meta(description="refresh token of the service app or integration")] = None
    token_url: Annotated[str, Meta(description="URL of the token service")] = "https://webexapis.com/v1/access_token"
    authorize_url: Annotated[
        str | None, Meta(description="URL of the sign-in page for a browser; default: /authorize beside token_url")
    ] = None
    redirect_uri: Annotated[
        str, Meta(description="URL to which the browser returns, exactly as registered with the integration")
    ] = "http://127.0.0.1:8765/callback"

    checks: ClassVar[Checks] = {
        "redirect_uri": _redirect_uri,
        **dict.fromkeys(("base_url", "token_url", "authorize_url"), _encrypted),
    }


# "Reports: Detailed Call History": one first page a minute and ten further pages a minute per token. Whether feed and
# stream share them is not published: they do here.
WINDOWS = published(1, 60)
PAGES = published(10, 60)
