"""Addresses that a user types: parsed once, so that all later code can rely on their parts.

RFC 3986 says what a URL is made of, and that scheme and host are the same in upper and lower case (section 6.2.2.1).
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "localhost."})

_PARTS = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.IGNORECASE | re.DOTALL)
_ODD = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")
_LONGEST_NAME = 253  # RFC 1035, section 2.3.4, without the length bytes
_LAST_PORT = 65_535


def address(url: str, *, query: bool = False) -> str:
    """Return a URL with its scheme and host in lower case, its host in ASCII and no empty port.

    Args:
        url: As typed.
        query: Whether it may have a query.

    Raises:
        ValueError: A part of it cannot be used. The text names the part, and never repeats a user name, a password,
            a query or a fragment, which may hold a secret.
    """
    found = _PARTS.fullmatch(url)
    if found is None or found[1].lower() not in {"http", "https"} or not found[2]:
        raise ValueError("it must begin with https:// or http:// and name a host")
    scheme, authority, path, asked, fragment = found.groups()
    if "@" in authority:
        raise ValueError("it must not contain a user name or password")
    if odd := _ODD.search(authority + path):
        kinds = {" ": "a space", "\\": "a backslash"}
        raise ValueError(f"it must not contain {kinds.get(odd[0], 'a control character or blank')}")
    if fragment is not None:
        raise ValueError("it must not have a fragment (#…)")
    if asked is not None and (not query or _ODD.search(asked)):
        raise ValueError("it must not have a query (?…)")
    return f"{scheme.lower()}://{_host_and_port(authority)}{path}{asked or ''}"


def _host_and_port(authority: str) -> str:
    if authority.startswith("["):
        inner, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("its host has an unbalanced bracket")
        host, port = f"[{_version_6(inner)}]", rest[1:]
    else:
        name, colon, port = authority.partition(":")
        if ":" in port:
            raise ValueError("its host is an IPv6 address without brackets: write [::1]")
        if not name:
            raise ValueError(f"it has no host before {colon}{port}")
        host = _host(name)
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _LAST_PORT):
        shown = f" {port}" if port.isascii() and port.isdigit() and len(port) < len("100000000") else ""
        raise ValueError(f"its port{shown} is not a number from 1 to {_LAST_PORT}")
    return f"{host}:{int(port)}" if port else host


def _version_6(text: str) -> ipaddress.IPv6Address:
    try:
        found = ipaddress.IPv6Address(text)
    except ValueError:
        found = None
    if found is None or found.scope_id is not None:
        raise ValueError(f"its host [{text}] is not an IPv6 address")
    return found


def _host(name: str) -> str:
    lowered = (name if name.isascii() else _in_ascii(name)).lower()
    if lowered in LOOPBACK_NAMES:
        return "localhost"
    labels = lowered.removesuffix(".").split(".")
    if "" in labels:
        raise ValueError(f"its host {name!r} has two dots in a row, or begins with one")
    if len(lowered) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"its host {name[:100]!r} is not the name of a host")
    if labels[-1].isdigit():
        try:
            return str(ipaddress.IPv4Address(lowered))
        except ValueError:
            raise ValueError(f"its host {name!r} is not an IPv4 address") from None
    return lowered


def _in_ascii(name: str) -> str:
    """Return the ASCII form of an internationalised host name (RFC 5891)."""
    from cdrctl.http.transport import host_in_ascii

    found = host_in_ascii(name)
    if found is None:
        raise ValueError(f"its host {name[:100]!r} is not the name of a host")
    return found


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine itself: `localhost`, 127.0.0.0/8 or ::1."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # half an IPv6 address
        return False
    if host in LOOPBACK_NAMES:
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return found == ipaddress.IPv6Address("::1") or (found.version == 4 and found.is_loopback)


IN_CLEAR = "base_url begins with http://: others can read the credential and the calls in transit"
"""The warning about a profile that sends its credential without encryption to another machine."""


def in_clear(url: str) -> bool:
    """Return whether requests to a URL are not encrypted: plain HTTP to another machine."""
    return url[:5].lower() == "http:" and not is_loopback(url)
