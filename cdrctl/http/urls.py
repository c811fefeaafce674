"""URLs: their origin, and the one spelling in which they are sent."""

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
    """Return the host and port of any text that may be a URL, as said in messages: without user name and password."""
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]


def same_origin(url: str, other: str) -> bool:
    """Return whether two URLs share scheme, host and port; one that could be read in two ways shares nothing."""
    ours = _origin(url)
    return ours is not None and ours == _origin(other)


_PLAIN_URL = re.compile(r"https?://[^\x00-\x20\x7f\\@/?#]+([/?#][^\x00-\x20\x7f]*)?\Z", re.IGNORECASE)


def unambiguous(url: str) -> bool:
    """Return whether a text is a URL without what parsers disagree about: user names, backslashes, blanks."""
    return _PLAIN_URL.match(url) is not None


def _origin(url: str) -> tuple[str, str, int] | None:
    return _origin_of(_BEFORE_PATH.split(url, maxsplit=1)[0]) if unambiguous(url) else None


_BEFORE_PATH = re.compile(r"(?<![:/])[/?#]")


@functools.lru_cache(64)
def _origin_of(beginning: str) -> tuple[str, str, int] | None:
    """Return what the beginning of a URL, up to its path, says: scheme, host and port."""
    try:
        parts = urlsplit(beginning)
        port = parts.port
    except ValueError:  # a port that is no number, or half an IPv6 address
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
