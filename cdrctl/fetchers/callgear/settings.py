"""The settings of a CallGear profile."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import Field as Setting, SecretStr, field_validator

from cdrctl.fetchers.settings import Settings

TITLE = "CallGear"


class CallGearSettings(Settings):
    """The settings of a CallGear profile."""

    base_url: str = Setting(
        "https://dataapi.callgear.com/v2.0", description="the address of the Data API, ending in its version"
    )
    access_token: SecretStr | None = Setting(None, description="an access key from the web cabinet")
    login: str | None = Setting(None, description="login of a user with the right to use the Data API")
    password: SecretStr | None = Setting(None, description="that user's password")
    user_id: int | None = Setting(
        None, ge=0, description="partners only: the customer user whose records to read; see `cdrctl callgear users`"
    )
    timezone: str | None = Setting(
        None, description="the account's time zone; default: the one that CallGear reports; also the default of --tz"
    )
    app_host: str | None = Setting(
        None,
        description="address of the web application, for links to recordings; default: that of the brand of base_url",
    )

    @field_validator("app_host")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        """Return the address without a closing slash; a host alone is taken as https."""
        if url is None:
            return None
        url = (url if "://" in url else f"https://{url}").rstrip("/")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise ValueError("app_host must be an address such as https://app.callgear.com")
        return url


_APP_HOSTS: Mapping[str, str] = {
    "callgear.com": "https://app.callgear.com",
    "callgear.ae": "https://app.callgear.ae",
    "uiscom.ru": "https://app.uiscom.ru",
    "comagic.ru": "https://app.comagic.ru",
}
"""The web application of each brand, by the domain of its Data API. That of Novofon is not known."""

CLOSING_SLASH = frozenset({"https://app.uiscom.ru", "https://app.comagic.ru"})
"""The web applications whose links to recordings end with a slash, as clients of these brands build them."""


def app_host_of(settings: CallGearSettings) -> str | None:
    """Return the address of the web application: the profile's, else that of the brand of `base_url`.

    None for a brand that is not known: a link to another brand's host would lead nowhere.
    """
    if settings.app_host is not None:
        return settings.app_host
    host = (urlsplit(settings.base_url).hostname or "").rstrip(".")
    brand = next((brand for brand in _APP_HOSTS if host == brand or host.endswith(f".{brand}")), None)
    return None if brand is None else _APP_HOSTS[brand]
