"""URLs: their host and origin, and their query."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from cdrctl.http.messages import Request


class Origin(NamedTuple):
    """Where a URL leads; `port` is None for the usual port of the scheme."""

    scheme: str
    host: str
    port: int | None


def host_of(url: str) -> str:
    """Return the host and port of a text that may be a URL, for messages: without user name and password."""
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]


def same_origin(url: str, other: str) -> bool:
    """Return whether two URLs share scheme, host and port; an ambiguous URL shares none."""
    ours = _origin(url)
    return ours is not None and ours == _origin(other)


_PLAIN_URL = re.compile(r"https?://[^\x00-\x20\x7f\\@/?#]+([/?#][^\x00-\x20\x7f]*)?\Z", re.IGNORECASE)


def unambiguous(url: str) -> bool:
    """Return whether a text is a URL that all parsers read alike: no user name, backslash or blank."""
    return _PLAIN_URL.match(url) is not None


def _origin(url: str) -> tuple[str, str, int] | None:
    return _origin_of(_BEFORE_PATH.split(url, maxsplit=1)[0]) if unambiguous(url) else None


_BEFORE_PATH = re.compile(r"(?<![:/])[/?#]")


@functools.lru_cache(64)
def _origin_of(beginning: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of the beginning of a URL, up to its path."""
    try:
        parts = urlsplit(beginning)
        port = parts.port
    except ValueError:  # a port that is not a number, or half an IPv6 address
        return None
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def whole_url(ask: Request) -> str:
    """Return the URL with its parameters in their order, which httpx would sort by name."""
    if not ask.params:
        return ask.url
    return f"{ask.url}{'&' if '?' in ask.url else '?'}{urlencode(ask.params)}"


BEFORE_QUERY = re.compile(r"[?#]")
