"""The settings of a Kazoo profile."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from msgspec import Meta

from cdrctl.fetchers.settings import AllowHttp, Secret, Settings
from cdrctl.http import MASK

TITLE = "Kazoo"


class KazooSettings(Settings, frozen=True, kw_only=True):
    """The settings of a Kazoo profile."""

    base_url: Annotated[
        str, Meta(description="the server's address with /v2, such as https://kazoo.example.net:8443/v2")
    ]
    account_id: Annotated[str, Meta(description="the account to read, 32 hexadecimal digits", pattern=r"^[^/?#\s]+$")]
    auth_token: Annotated[Secret | None, Meta(description="a token from another sign-in; cannot be renewed")] = None
    api_key: Annotated[Secret | None, Meta(description="the account's API key, 64 characters")] = None
    username: Annotated[str | None, Meta(description="user name")] = None
    password: Annotated[Secret | None, Meta(description="password")] = None
    account_name: Annotated[str | None, Meta(description="name of the account the user belongs to")] = None
    account_realm: Annotated[str | None, Meta(description="realm of the account the user belongs to")] = None
    credential_hash: Annotated[Literal["md5", "sha"], Meta(description="how the password is hashed: md5 or sha")] = (
        "md5"
    )
    currency: Annotated[str, Meta(description="currency of the operator's rates", pattern=r"^[A-Z]{3}$")] = "USD"
    allow_http: AllowHttp = False

    def derived_secrets(self) -> list[str]:
        """Return the digest that replaces the password in a sign-in."""
        return [credentials_of(self)["credentials"]] if self.username and self.password else []


def credentials_of(settings: KazooSettings) -> dict[str, str]:
    """Return the body of `user_auth`: the user name in lower case and the password, hashed by the server's method."""
    assert settings.username is not None  # noqa: S101 - checked by the sign-in
    assert settings.password is not None  # noqa: S101
    password = settings.password.get_secret_value()
    pair = f"{settings.username.lower()}:{password}".encode()
    method = settings.credential_hash
    digest = hashlib.md5(pair) if method == "md5" else hashlib.sha1(pair)  # noqa: S324 - required by the API
    # A digest of the mask would look like a real one.
    data = {"credentials": digest.hexdigest() if password != MASK else MASK, "method": method}
    if settings.account_name:
        data["account_name"] = settings.account_name
    elif settings.account_realm:
        data["account_realm"] = settings.account_realm
    return data
