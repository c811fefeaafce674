"""The link to the next page in a `Link` header (RFC 8288), resolved if it is relative (RFC 3986)."""

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
    """Return the URL of the first link whose relation is `next`, or None.

    An absolute URL is returned byte for byte; a relative one is resolved against `base`, the URL of the request. The
    relation may be in upper or lower case, quoted or not, alone or among others; of a repeated parameter the first
    counts (RFC 8288, section 3.3). The form `<<URL>;rel="next">`, as in Webex's documentation, is read too.
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
    """Return the URL of a link; one that cannot be resolved is returned unchanged, for the caller to refuse."""
    if not _ABSOLUTE.match(link):
        with suppress(ValueError):  # such as `//[`
            return urljoin(base, link)
    return link
