"""The next page in a `Link` header (RFC 8288), and where a relative link leads (RFC 3986)."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import urljoin

_TARGET = re.compile(r"<([^<>]*)>")
_PARAMETER = re.compile(
    r"""\s*;\s*(?P<name>[\w!#$&+.^`|~*-]+)"""
    r"""(?:\s*=\s*(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>[^\s;,<>"']*)))?"""
)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def next_url(header: str, base: str) -> str | None:
    """Return the URL of the first link whose relation is `next`, or None when there is none.

    An absolute URL is returned byte for byte; a relative one is resolved against `base`, the URL that was asked. The
    relation is read without regard to case, quoted or not, alone or among others; a parameter that comes twice counts
    once (RFC 8288, section 3.3). The form `<<URL>;rel="next">`, as Webex's documentation prints it, is read too.
    """
    at = 0
    while (target := _TARGET.search(header, at)) is not None:
        at, relation = target.end(), None
        while (parameter := _PARAMETER.match(header, at)) is not None:
            at = parameter.end()
            if relation is None and parameter["name"].lower() == "rel":
                relation = parameter["double"] or parameter["single"] or parameter["plain"] or ""
        if "next" in (relation or "").lower().split():
            return _resolved(target[1], base)
    return None


def _resolved(link: str, base: str) -> str:
    """Return where a link leads; one that cannot be resolved is returned unchanged, for the caller to refuse."""
    if not _ABSOLUTE.match(link):
        with suppress(ValueError):  # such as `//[`
            return urljoin(base, link)
    return link
