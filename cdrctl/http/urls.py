"""URLs: their origin, and the one spelling in which they are sent."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from cdrctl.http.messages import Request

if TYPE_CHECKING:
    import httpx


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


def load_httpx() -> None:
    """Load httpx without its own command line: rich and pygments would take as long as all the rest of it."""
    if "httpx" not in sys.modules:
        sys.modules["httpx._main"] = None  # type: ignore[assignment] # so Python is told that there is no such module
        try:
            import httpx  # noqa: F401 - start-up time: only when something is asked
        finally:
            sys.modules.pop("httpx._main", None)  # another thread may have loaded it meanwhile


def host_in_ascii(name: str) -> str | None:
    """Return an internationalised host name as it is looked up (RFC 5891), or None where it is not the name of one."""
    load_httpx()
    import httpx

    try:
        return httpx.URL(scheme="https", host=name).raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        return None


_TARGET = re.compile(r"(https?://[^/?#]+)(/[\x21\x22\x24-\x7e]*)(?:#.*)?\Z", re.IGNORECASE)
_LONGEST_URL = 65_536


@functools.cache
def _exact() -> Callable[[str | httpx.URL, str], httpx.URL]:
    """Return what makes URLs whose path and query are sent byte for byte: httpx would tidy up dots and percents."""
    import httpx

    class Exact(httpx.URL):
        def __init__(self, url: str | httpx.URL, target: str) -> None:
            super().__init__(url)
            self.target = target.encode("ascii")

        @property
        def raw_path(self) -> bytes:
            """The path and query."""
            return self.target

    return Exact


@functools.lru_cache(64)
def _root(origin: str) -> httpx.URL:
    import httpx

    return httpx.URL(origin)


def sent_url(text: str, *, whole: bool) -> httpx.URL:
    """Return a URL that is sent byte for byte, or what httpx makes of it where no request line can hold it as it is.

    Unless the `whole` of it may be looked at, nothing but the origin is taken apart: the rest takes httpx longer than
    to read a small answer.
    """
    import httpx

    match = _TARGET.match(text)
    if match is None or len(text) > _LONGEST_URL:
        return httpx.URL(text)
    return _exact()(httpx.URL(text) if whole else _root(match[1]), match[2])


def whole_url(ask: Request) -> str:
    """Return the URL with its parameters in their order, which httpx would sort by name."""
    if not ask.params:
        return ask.url
    return f"{ask.url}{'&' if '?' in ask.url else '?'}{urlencode(ask.params)}"


BEFORE_QUERY = re.compile(r"[?#]")
