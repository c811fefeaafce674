"""The settings of a Kazoo profile."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, SecretStr

from cdrctl.fetchers.settings import ALLOW_HTTP, Settings
from cdrctl.http import MASK

TITLE = "Kazoo"


class KazooSettings(Settings):
    """The settings of a Kazoo profile."""

    base_url: str = Field(description="the server's address with /v2, such as https://kazoo.example.net:8443/v2")
    account_id: str = Field(description="the account to read, 32 hexadecimal digits", pattern=r"^[^/?#\s]+$")
    auth_token: SecretStr | None = Field(None, description="a token from another sign-in; cannot be renewed")
    api_key: SecretStr | None = Field(None, description="the account's API key, 64 characters")
    username: str | None = Field(None, description="user name")
    password: SecretStr | None = Field(None, description="password")
    account_name: str | None = Field(None, description="name of the account the user belongs to")
    account_realm: str | None = Field(None, description="realm of the account the user belongs to")
    credential_hash: Literal["md5", "sha"] = Field("md5", description="how the password is hashed: md5 or sha")
    currency: str = Field("USD", description="currency of the operator's rates", pattern=r"^[A-Z]{3}$")
    allow_http: bool = ALLOW_HTTP

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
