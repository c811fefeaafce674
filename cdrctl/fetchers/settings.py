"""What the profiles of all providers have in common; apart, because pydantic is not needed to name a provider."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine itself."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None


class Settings(BaseModel):
    """The settings that every provider's profile has; a provider adds its own.

    A field of type SecretStr is a secret: it may also be given as `x_command`, `x_file` or `x_keyring`, it is hidden
    when typed and never shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)

    base_url: str = Field(description="where the API is")
    ca_file: str | None = Field(None, description="PEM file of the authority that signed the server's certificate")
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0, description="seconds to wait for the next bytes of an answer"
    )
    largest_page_mb: Annotated[int, Field(ge=1, le=65536)] = Field(
        256, description="MiB that one answer may have, decompressed: longer ones are refused"
    )
    timezone: str | None = Field(None, description="zone of times without an offset, when --tz is not given")
    requests_per_minute: Annotated[float, Field(ge=0)] | None = Field(
        None, description="to be slower than the published limit; 0, no pacing, only on this machine itself"
    )

    @model_validator(mode="after")
    def _address_and_pace(self) -> Settings:
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("base_url must begin with https:// or http:// and name a host")
        if parts.username or parts.password:
            raise ValueError("base_url must not hold a user name or password")
        if self.requests_per_minute == 0 and not is_loopback(self.base_url):
            raise ValueError("requests_per_minute = 0 is accepted only where base_url is on this machine itself")
        return self

    def disguised(self) -> list[str]:
        """Return what is as good as a secret and made of one, such as its digest; a provider says its own."""
        return []
