"""The interface between the server and the imitated providers: requests, replies, switches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

Setting = str | int | float
"""A value of a profile."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as an imitated provider gets it.

    `path` begins after the provider's mount point and is still percent-encoded, `headers` have lower-case names,
    `base_url` is the mount point under the host of the request, without a slash at the end.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    client: str = "127.0.0.1"

    @property
    def values(self) -> dict[str, str]:
        """The decoded query; of repeated names the last one counts."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Reply:
    """One response; `chunked` sends the body with `Transfer-Encoding: chunked`."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """A setting of a provider for something that its documents leave open.

    `words` are the possible values besides the default, `pattern` is a regular expression for further ones, which
    `form` describes to people.
    """

    default: str
    words: tuple[str, ...] = ()
    pattern: str = ""
    form: str = ""
    meaning: str = ""

    def accepts(self, value: str) -> bool:
        """Return whether the switch can have a value."""
        return value == self.default or value in self.words or bool(self.pattern and re.fullmatch(self.pattern, value))

    @property
    def choices(self) -> str:
        """The possible values, for people."""
        form = (f"{self.form or 'a number'}",) if self.pattern else ()
        return ", ".join((*dict.fromkeys((self.default, *self.words)), *form))


LATE = Switch(
    "0",
    (),
    r"0|(1|0?\.\d+)(\+[1-9]\d{0,2}d)?",
    "a share such as 0.05, or 0.05+3d",
    "share of records that appear minutes to hours late; with +3d, three days later than that",
)
CHANGED = Switch(
    "0", (), r"0|1|0?\.\d+", "a share such as 0.05", "share of records that change minutes to hours after the call"
)
DROPPED = Switch(
    "0", (), r"0|1|0?\.\d+", "a share such as 0.05", "share of records that disappear hours after the call"
)


class Provider(Protocol):
    """An imitated provider, as the server uses it."""

    name: str
    mount: str
    calls: tuple[str, ...]
    switches: Mapping[str, Switch]
    switched: dict[str, str]

    def reply(self, request: Request) -> Reply:
        """Return the response to one request; called by one thread at a time."""
        ...

    def error(self, status: int, request: Request) -> Reply:
        """Return an error response of this status in the provider's own shape."""
        ...

    def wrong_shape(self, request: Request) -> Reply:
        """Return a successful JSON response that is not in the shape of the call."""
        ...

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[dict[str, Any]]:
        """Return the wire records of a call that began in `[since, until)`."""
        ...

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return settings of a profile that sign in."""
        ...

    def expire_tokens(self) -> None:
        """Invalidate all access tokens."""
        ...


Clock = Callable[[], datetime]


def dump(value: Any) -> bytes:
    """Return compact JSON in UTF-8, with the keys in their order."""
    return msgspec.json.encode(value)
