"""Texts without secrets, however a secret is spelt in them.

A secret may come back in an error page, a log line or a URL: as it is, with some of its characters escaped as URLs
(RFC 3986), HTML, JSON, Python or a shell escape them, in base64 (RFC 4648) at any offset, or in hexadecimal digits. An
excerpt may end in the middle of it, so that its beginning is hidden as well.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterable, Iterator

MASK = "********"
"""What stands for a secret, whatever its length."""

SHORTEST = 4
"""Characters of the shortest secret that is looked for: hiding a shorter one would hide parts of ordinary words."""

TELLING = 8
"""Characters of a secret's beginning that are hidden without the rest: an excerpt may have cut that off."""

_JWT = re.compile(r"eyJ[\w-]*\.([\w-]+)\.([\w-]*)")
_NAMES = {
    char: name
    for chars, names in (
        ("!\"#$%&'()", "excl quot num dollar percnt amp apos lpar rpar"),
        ("*+,./:;<=>", "ast plus comma period sol colon semi lt equals gt"),
        ("?@[\\]^_`{|}", "quest commat lsqb bsol rsqb Hat lowbar grave lcub vert rcub"),
    )
    for char, name in zip(chars, names.split(" "), strict=True)
}
"""Names of characters in HTML (html.spec.whatwg.org, "Named character references")."""


_ESCAPES = re.compile(r"""[%&\\+"]""")
"""Characters of which every escape has one."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which a mask stands for each secret of four characters or more."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = _without(text, secret)
    return text


def _without(text: str, secret: str) -> str:
    spellings = _spellings(secret)
    if not _ESCAPES.search(text) and not any(spelling[:TELLING] in text for spelling in spellings):
        return text  # as most are: to compile the pattern takes as long as reading a page of records
    beginnings = _beginnings(secret)
    at = 0
    while found := beginnings.search(text, at):
        # Several spellings may begin alike.
        end = max(found.end(), *(_end(text, found.start(), spelling) for spelling in spellings))
        text = text[: found.start()] + MASK + text[end:]
        at = found.start() + len(MASK)
    return text


def _end(text: str, start: int, spelling: str) -> int:
    """Return how far the text agrees with a spelling; the start where it does so for less than its beginning.

    There may be several ends at any time: `%25` may be an escaped `%`, or what it looks like.
    """
    ends = {start}
    for number, char in enumerate(spelling):
        further = {found.end() for at in ends for way in _ways(char) if (found := way.match(text, at))}
        if not further:
            return max(ends) if number >= TELLING else start
        ends = further
    return max(ends)


@functools.lru_cache(256)
def _spellings(secret: str) -> list[str]:
    """Return the spellings of a secret, but for escapes."""
    return [secret, *_parts_of_token(secret), *dict.fromkeys(_encoded(secret))]


@functools.lru_cache(256)
def _beginnings(secret: str) -> re.Pattern[str]:
    """Return a pattern of how the spellings of a secret begin, with any character escaped."""
    whole = [secret, *_parts_of_token(secret)]
    groups = ["".join(map(_any_way, spelling[:TELLING])) for spelling in whole]
    # Nobody escapes a letter in base64, and fewer alternatives are compiled in a fifth of the time.
    groups += [
        "".join(char if char.isalnum() else _any_way(char) for char in text[:TELLING])
        for text in dict.fromkeys(_encoded(secret))
    ]
    return re.compile("|".join(groups))


def _parts_of_token(secret: str) -> list[str]:
    """Return what a JSON Web Token claims and its signature (RFC 7519); its header is no secret."""
    token = _JWT.fullmatch(secret)
    return [part for part in token.groups() if len(part) >= TELLING] if token else []


def _encoded(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    digits = raw.hex()
    yield from (digits, digits.upper())
    for before in range(3):
        # The digits that depend on nothing but the secret, whatever stands before and after it.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        middle = base64.b64encode(bytes(before) + raw).decode()[first:last]
        yield from (middle, middle.translate(str.maketrans("+/", "-_")))


def _any_way(char: str) -> str:
    return f"(?:{'|'.join(way.pattern for way in _ways(char))})"


@functools.lru_cache(512)
def _ways(char: str) -> list[re.Pattern[str]]:
    """Return a pattern for each way to write a character: as it is, escaped, and escaped again as often as it happens.

    Each way is a pattern of its own, because one and the same text may be read in several of them.
    """
    code = ord(char)
    octets = char.encode("utf-8", "surrogatepass")
    units = char.encode("utf-16-be", "surrogatepass").hex()
    if char == "\\":
        ways = [r"\\" * times for times in (1, 2, 4, 8)]
    else:  # a quote in JSON has a backslash before it, and in JSON within JSON three
        ways = [("" if char.isalnum() else r"\\*") + re.escape(char)]
    for again in ("", "25", "2525"):
        ways.append("".join(f"%{again}{_digits(f'{octet:02x}')}" for octet in octets))
    for again in ("", "amp;", "amp;amp;"):
        ways.append(rf"&{again}(?:#0*{code};?|#[xX]0*{_digits(f'{code:x}')};?|{_NAMES.get(char, '#')};)")
    ways.append("".join(rf"\\+u{_digits(units[at : at + 4])}" for at in range(0, len(units), 4)))
    ways.append("".join(rf"\\+x{_digits(f'{octet:02x}')}" for octet in octets))
    if 0x80 <= code <= 0xFF:  # what Python writes as two digits and UTF-8 as two bytes
        ways.append(rf"\\+x{_digits(f'{code:02x}')}")
    if code > 0xFFFF:  # what UTF-16 writes as two units and Python as one number
        ways.append(rf"\\+U{_digits(f'{code:08x}')}")
    if char == " ":
        ways.append(r"\+")
    if char == "'":  # how a POSIX shell writes one within single quotes
        ways.append("'\"'\"'")
    return [re.compile(way) for way in ways]


def _digits(digits: str) -> str:
    """Return a pattern of hexadecimal digits in any case."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)
