"""The settings of a CallGear profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from msgspec import Meta

from cdrctl.fetchers.settings import Checks, Secret, Settings
from cdrctl.http.addresses import address

TITLE = "CallGear"


def _app_host(url: str | None) -> str | None:
    """Return the address without a closing slash; a host alone is taken as https."""
    if url is None:
        return None
    return address(url if "://" in url else f"https://{url}").rstrip("/")


class CallGearSettings(Settings, frozen=True, kw_only=True):
    """The settings of a CallGear profile."""

    base_url: Annotated[str, Meta(description="the address of the Data API, ending in its version")] = (
        "https://dataapi.callgear.com/v2.0"
    )
    access_token: Annotated[Secret | None, Meta(description="an access key from the web cabinet")] = None
    login: Annotated[str | None, Meta(description="login of a user with the right to use the Data API")] = None
    password: Annotated[Secret | None, Meta(description="that user's password")] = None
    user_id: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="partners only: the customer user whose records to read; see `cdrctl callgear users`"),
    ] = None
    timezone: Annotated[
        str | None,
        Meta(description="the account's time zone; default: the one that CallGear reports; also the default of --tz"),
    ] = None
    app_host: Annotated[
        str | None,
        Meta(
            description="address of the web application, for links to recordings; default: "
            "that of the brand of base_url"
        ),
    ] = None

    checks: ClassVar[Checks] = {"app_host": _app_host}


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
