"""The settings of a Webex profile, and the rate limits of the API."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from cdrctl.fetchers.settings import Settings
from cdrctl.http import published
from cdrctl.http.addresses import address, in_clear

TITLE = "Webex"


class WebexSettings(Settings):
    """The settings of a Webex profile."""

    base_url: str = Field(
        "https://analytics-calling.webexapis.com/v1",
        description="your region's address: analytics-calling, -eu, -in, -au or -gov",
    )
    access_token: SecretStr | None = Field(None, description="a token with scope spark-admin:calling_cdr_read")
    client_id: str | None = Field(None, description="client id of the service app or integration")
    client_secret: SecretStr | None = Field(None, description="client secret of the service app or integration")
    refresh_token: SecretStr | None = Field(None, description="refresh token of the service app or integration")
    token_url: str = Field("https://webexapis.com/v1/access_token", description="URL of the token service")
    authorize_url: str | None = Field(
        None, description="URL of the sign-in page for a browser; default: /authorize beside token_url"
    )
    redirect_uri: str = Field(
        "http://127.0.0.1:8765/callback",
        description="URL to which the browser returns, exactly as registered with the integration",
    )

    @field_validator("redirect_uri")
    @classmethod
    def _check_redirect_uri(cls, uri: str) -> str:
        from cdrctl.http.oauth import checked

        return checked(uri)

    @field_validator("token_url", "base_url", "authorize_url")
    @classmethod
    def _check_encryption(cls, url: str | None) -> str | None:
        """Refuse a URL to which a secret would be sent without encryption."""
        if url is None:
            return None
        url = address(url, query=True)
        if in_clear(url):
            raise ValueError("it must begin with https://, because a secret is sent there")
        return url


# "Reports: Detailed Call History": one first page a minute and ten further pages a minute per token. Whether feed and
# stream share them is not published: they do here.
WINDOWS = published(1, 60)
PAGES = published(10, 60)
