"""Masks secrets in text, in every form in which they may be spelled.

A secret may come back in an error page, a log line or a URL: unchanged, with some characters escaped as in URLs (RFC
3986), HTML, JSON, Python or a shell, in base64 (RFC 4648) at any offset, or in hexadecimal digits. An excerpt may end
in the middle of a secret, so its beginning is masked as well.
"""

from __future__ import annotations

import base64
import functools
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import unquote

MASK = "********"
"""The replacement of a secret, whatever its length."""

SHORTEST = 4
"""Characters of the shortest secret that is masked: masking shorter ones would hide parts of ordinary words."""

TELLING = 8
"""Characters of a secret's beginning that are masked without the rest: an excerpt may have cut off the rest."""

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
"""Every escape has one of these characters."""


def secret_mask() -> tuple[Callable[[str], str], Callable[[Iterable[str]], None]]:
    """Return the function that hides secrets in a text, and the one that takes the secrets, for any thread."""
    secrets: frozenset[str] = frozenset()
    lock = threading.Lock()

    def conceal(more: Iterable[str]) -> None:
        nonlocal secrets
        with lock:
            secrets = secrets.union(one for one in more if len(one) >= SHORTEST)

    return (lambda text: mask(text, secrets)), conceal


def proxy_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the passwords of the proxies in the environment: as written, decoded, and as sent."""
    for name, url in environ.items():
        if not name.lower().endswith("_proxy") or "@" not in url:
            continue
        user, _, password = url.rpartition("@")[0].rpartition("//")[2].partition(":")
        yield from (password, unquote(password))
        yield base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


def printable(text: str) -> str:
    """Return a text with its control characters replaced by spaces, on one line."""
    return "".join(char if char.isprintable() else " " for char in text)


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return a text with each secret of four characters or more replaced by the mask."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = _mask_one(text, secret)
    return text


def _mask_one(text: str, secret: str) -> str:
    """Return a text with one secret replaced by the mask."""
    spellings = _spellings(secret)
    if not _ESCAPES.search(text) and not any(spelling[:TELLING] in text for spelling in spellings):
        return text  # most texts; compiling the pattern takes as long as reading a page of records
    beginnings = _beginnings(secret)
    at = 0
    while found := beginnings.search(text, at):
        # Several spellings may have the same beginning.
        end = max(found.end(), *(_end(text, found.start(), spelling) for spelling in spellings))
        text = text[: found.start()] + MASK + text[end:]
        at = found.start() + len(MASK)
    return text


def _end(text: str, start: int, spelling: str) -> int:
    """Return how far the text agrees with a spelling; `start` if it does so for less than its beginning.

    Several ends are possible at a time: `%25` may be an escaped `%`, or just these characters.
    """
    ends = {start}
    for number, char in enumerate(spelling):
        longer = {found.end() for at in ends for form in _forms(char) if (found := form.match(text, at))}
        if not longer:
            return max(ends) if number >= TELLING else start
        ends = longer
    return max(ends)


@functools.lru_cache(256)
def _spellings(secret: str) -> list[str]:
    """Return the spellings of a secret, apart from escapes."""
    return [secret, *_parts_of_token(secret), *dict.fromkeys(_encodings(secret))]


@functools.lru_cache(256)
def _beginnings(secret: str) -> re.Pattern[str]:
    """Return a pattern for the beginnings of a secret's spellings, with any character escaped."""
    whole = [secret, *_parts_of_token(secret)]
    groups = ["".join(map(_any_form, spelling[:TELLING])) for spelling in whole]
    # Letters in base64 are never escaped, and fewer alternatives are compiled in a fifth of the time.
    groups += [
        "".join(char if char.isalnum() else _any_form(char) for char in text[:TELLING])
        for text in dict.fromkeys(_encodings(secret))
    ]
    return re.compile("|".join(groups))


def _parts_of_token(secret: str) -> list[str]:
    """Return the claims and the signature of a JSON Web Token (RFC 7519); its header is no secret."""
    token = _JWT.fullmatch(secret)
    return [part for part in token.groups() if len(part) >= TELLING] if token else []


def _encodings(secret: str) -> Iterator[str]:
    """Yield a secret in hexadecimal digits and in base64 at each of three offsets."""
    raw = secret.encode("utf-8", "surrogatepass")
    digits = raw.hex()
    yield from (digits, digits.upper())
    for before in range(3):
        # The digits that depend on the secret alone, not on the text around it.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        middle = base64.b64encode(bytes(before) + raw).decode()[first:last]
        yield from (middle, middle.translate(str.maketrans("+/", "-_")))


def _any_form(char: str) -> str:
    return f"(?:{'|'.join(form.pattern for form in _forms(char))})"


@functools.lru_cache(512)
def _forms(char: str) -> list[re.Pattern[str]]:
    """Return a pattern for each form of a character: unchanged, escaped, and escaped up to three times.

    Each form has its own pattern, because the same text may be read as several forms.
    """
    code = ord(char)
    octets = char.encode("utf-8", "surrogatepass")
    units = char.encode("utf-16-be", "surrogatepass").hex()
    if char == "\\":
        forms = [r"\\" * times for times in (1, 2, 4, 8)]
    else:  # a quote in JSON has a backslash before it, and in JSON within JSON three
        forms = [("" if char.isalnum() else r"\\*") + re.escape(char)]
    for again in ("", "25", "2525"):
        forms.append("".join(f"%{again}{_digits(f'{octet:02x}')}" for octet in octets))
    for again in ("", "amp;", "amp;amp;"):
        forms.append(rf"&{again}(?:#0*{code};?|#[xX]0*{_digits(f'{code:x}')};?|{_NAMES.get(char, '#')};)")
    forms.append("".join(rf"\\+u{_digits(units[at : at + 4])}" for at in range(0, len(units), 4)))
    forms.append("".join(rf"\\+x{_digits(f'{octet:02x}')}" for octet in octets))
    if 0x80 <= code <= 0xFF:  # two digits in Python, two bytes in UTF-8
        forms.append(rf"\\+x{_digits(f'{code:02x}')}")
    if code > 0xFFFF:  # two units in UTF-16, one number in Python
        forms.append(rf"\\+U{_digits(f'{code:08x}')}")
    if char == " ":
        forms.append(r"\+")
    if char == "'":  # in a POSIX shell, within single quotes
        forms.append("'\"'\"'")
    return [re.compile(form) for form in forms]


def _digits(digits: str) -> str:
    """Return a pattern of hexadecimal digits in any case."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)
