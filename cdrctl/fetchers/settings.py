"""The settings that all providers share. A separate module, because naming a provider does not need pydantic."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from cdrctl.errors import UsageError
from cdrctl.http.addresses import address, in_clear, is_loopback
from cdrctl.tags import split_tags
from cdrctl.windows import LONGEST_LENGTH, duration

ALLOW_HTTP = Field(False, description="true to send the credential without encryption to a base_url of http://")
"""The setting of providers whose servers are often in closed networks without TLS."""


def _length(given: Any) -> Any:
    """Return a duration from text such as `15m`, or from seconds, as `timeout` takes.

    Raises:
        ValueError: It is neither.
    """
    if not isinstance(given, str):
        return given
    if given.strip().isdecimal():
        return float(given)
    try:
        return duration(given.strip())
    except UsageError as error:
        raise ValueError(f"write a duration: {error.hint}") from None


class Settings(BaseModel):
    """The settings that every provider's profile has; a provider adds its own.

    A field of type SecretStr is a secret: it may also be given as `x_command`, `x_file` or `x_keyring`, it is hidden
    when typed and never shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)

    base_url: str = Field(description="address of the API")
    ca_file: str | None = Field(None, description="PEM file of the authority that signed the server's certificate")
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0, description="seconds to wait for the next bytes of a response"
    )
    max_wait: Annotated[timedelta, BeforeValidator(_length), Field(ge=timedelta(0), le=LONGEST_LENGTH)] = Field(
        timedelta(minutes=15), description="how long one request may wait for retries in total: 15m; 0 for no retries"
    )
    largest_page_mb: Annotated[int, Field(ge=1, le=65536)] = Field(
        256, description="largest response in MiB, after decompression; larger ones are refused"
    )
    tags: Annotated[list[str], BeforeValidator(split_tags)] = Field(
        default_factory=list, description="words by which `--tag` selects profiles, such as nightly"
    )
    voicemail_numbers: Annotated[list[str], BeforeValidator(split_tags)] = Field(
        default_factory=list, description="numbers of voicemail boxes, as `cdrctl calls --voicemail-number`"
    )
    queues: Annotated[list[str], BeforeValidator(split_tags)] = Field(
        default_factory=list, description="names or numbers of queues, as `cdrctl calls --queue`"
    )
    timezone: str | None = Field(None, description="zone of times without an offset, when --tz is not given")
    requests_per_minute: Annotated[float, Field(ge=0)] | None = Field(
        None, description="a limit lower than the published one; 0 for none, only if the API is on this machine"
    )

    @field_validator("base_url")
    @classmethod
    def _parse_base_url(cls, url: str) -> str:
        return address(url)

    @model_validator(mode="after")
    def _encryption_and_pace(self) -> Settings:
        if in_clear(self.base_url) and not getattr(self, "allow_http", False):
            way_out = ", or set allow_http = true" if "allow_http" in type(self).model_fields else ""
            raise ValueError(
                "base_url begins with http://, so others can read the credential and the calls in transit: use "
                f"https://{way_out}"
            )
        if self.requests_per_minute == 0 and not is_loopback(self.base_url):
            raise ValueError("requests_per_minute = 0 is accepted only if base_url is on this machine")
        return self

    def derived_secrets(self) -> list[str]:
        """Return the secrets derived from settings, such as a digest; none by default."""
        return []
