r"""Decodes records that are not quite JSON: invalid UTF-8, lone surrogates, huge integers, deep nesting.

One bad byte in one caller's name must not cost the whole page. The decoder puts a mark in place of an invalid byte, and
an `Unreadable` in place of a value that cannot be represented; `export` looks for both in the records that it writes.

* Bytes that are not UTF-8 (RFC 8259, section 8.1) become U+FFFD, as many as the usual decoders give.
* A lone surrogate (`"\ud83d"`), which is valid JSON but not Unicode (section 8.2), becomes U+FFFD. Raw records keep
  it.
* An integer with more digits than Python parses, or a value nested deeper than 200, makes its record unreadable.
* Of duplicate keys in an object the last one counts, as for most parsers (section 4).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

if TYPE_CHECKING:
    from typing_extensions import Buffer

DEEPEST = 200
"""The deepest nesting of lists and objects in JSON: as deep as the usual decoder allows."""

_MARK = "\udbff\udfff"
"""The mark of invalid bytes: the two halves of a surrogate pair, in reverse order of a character's. JSON never has
it: bytes give no surrogates, and two escapes in this order are one character."""

_HALVES = re.compile(f"{_MARK}|[\ud800-\udfff]")

_ERRORS = "cdrctl-marks"


def _mark_bytes(error: UnicodeError) -> tuple[str, int]:
    """Return the mark and the position after the invalid bytes: a handler for `codecs.register_error`."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARK, error.end


codecs.register_error(_ERRORS, _mark_bytes)

_OTHERS = re.compile(r"(iso-?8859-?\d|latin-?\d|windows-?125\d|cp\d+|koi8|big5|gb|euc|shift)", re.IGNORECASE)
"""Other encodings that a provider may name in `charset`."""


class Unreadable(str):
    """Replaces a value that cannot be represented; the text describes the value."""

    __slots__ = ()


MOST_DIGITS = 4300
"""Digits of the longest integer that Python parses by default: the time grows with the square of the length."""

_HUGE = Unreadable(f"an integer of more than {MOST_DIGITS} digits")
_DEEP = Unreadable(f"a value nested deeper than {DEEPEST}")
_DEEP_TOKEN = "7" * 100_003
"""A number that replaces deeply nested values in the text: no provider sends it."""


_CONTAINERS = {dict, list}


def shallow(decoded: Any) -> bool:
    """Return whether a value is nested no deeper than `DEEPEST`, so that writers do not exhaust the stack."""
    level = [decoded]
    for _ in range(DEEPEST):
        nested = [one for one in level if type(one) in _CONTAINERS]
        if not nested:
            return True
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
    return False


def from_json(text: bytes | bytearray | memoryview) -> Any:
    """Return the value of JSON that is not damaged; NaN and infinity are accepted.

    Raises:
        ValueError: It is damaged, or nested too deeply.
    """
    with suppress(msgspec.DecodeError, RecursionError):
        found = msgspec.json.decode(text)
        if shallow(found):
            return found
    import pydantic_core  # takes a while to load, and knows NaN and infinity

    whole = text if isinstance(text, bytes | bytearray) else bytes(text)
    return pydantic_core.from_json(whole, cache_strings="keys")


def text_of(body: Buffer, charset: str = "") -> str:
    """Return the text of a JSON body, with marks in place of invalid bytes.

    It is UTF-8 whatever its headers say (RFC 8259, section 11), or UTF-16 or UTF-32 if its first bytes show that.
    `charset` is used only for a body that is not UTF-8.
    """
    whole = bytes(body)
    encoding = json.detect_encoding(whole).removesuffix("-sig") if whole[:3] != codecs.BOM_UTF8 else "utf-8"
    whole = whole.removeprefix(codecs.BOM_UTF8)
    try:
        return whole.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        if encoding == "utf-8" and _OTHERS.match(charset):
            try:
                return whole.decode(charset)
            except (UnicodeDecodeError, LookupError):
                pass
        return whole.decode(encoding, _ERRORS).removeprefix("\ufeff")


def utf8_text(body: bytes) -> str:
    """Return UTF-8 text with marks in place of invalid bytes."""
    return body.decode("utf-8", _ERRORS)


def loads(text: str, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Parse JSON text with the standard library, with `Unreadable` in place of values that cannot be represented.

    Control characters within text are accepted. `parse_constant` converts the words NaN, Infinity and -Infinity, which
    are not JSON.

    Raises:
        ValueError: It is not complete JSON.
    """
    try:
        decoded = json.loads(text, strict=False, parse_int=_integer, parse_constant=parse_constant)
    except RecursionError:
        pass
    else:
        if shallow(decoded):
            return decoded
    return json.loads(_replace_deep(text), strict=False, parse_int=_integer, parse_constant=parse_constant)


def _integer(digits: str) -> Any:
    if len(digits) <= MOST_DIGITS:
        return int(digits)
    return _DEEP if digits == _DEEP_TOKEN else _HUGE


_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def _replace_deep(text: str) -> str:
    """Return JSON text with a number in place of each value that is nested too deeply."""
    kept: list[str] = []
    depth, at = 0, 0
    for found in _BRACKET.finditer(text):
        sign = found[0]
        if sign in "[{":
            depth += 1
            if depth == DEEPEST:
                kept += [text[at : found.start()], _DEEP_TOKEN]
        elif sign in "]}":
            if depth == DEEPEST:
                at = found.end()
            depth -= 1
    if depth:
        raise ValueError("brackets do not match")
    return "".join([*kept, text[at:]])


# Looking for damage


class Damage(Struct):
    """The damage of a record.

    Args:
        bytes: Whether it has bytes that are not UTF-8.
        halves: Whether it has lone surrogates.
        unreadable: The values that cannot be represented, each with its field.
    """

    bytes: bool = False
    halves: bool = False
    unreadable: list[str] = field(default_factory=list)


def is_undamaged(records: Sequence[Any]) -> bool:
    """Return whether records have no damage, by one fast pass over all of them."""
    import msgspec

    try:
        msgspec.json.encode(records)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return False
    return True


def mend(record: Any, damage: Damage, *, raw: bool) -> Any:
    """Return a record, or a value of one, with U+FFFD in place of invalid text, and note the damage in `damage`.

    Lone surrogates stay if the record is written raw.
    """
    return _mend(record, damage, "", raw=raw)


def _mend(value: Any, damage: Damage, name: str, *, raw: bool) -> Any:
    if isinstance(value, Unreadable):
        damage.unreadable.append(f"{value} in {name}" if name else str(value))
        return None
    if isinstance(value, str):
        return value if value.isascii() else _text(value, damage, raw=raw)
    if isinstance(value, list):
        return [_mend(one, damage, name, raw=raw) for one in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, inner in value.items():
        good = key if key.isascii() else _text(key, damage, raw=raw)
        while good in found:
            good += "\ufffd"  # two keys that differed only in invalid text
        found[good] = _mend(inner, damage, name or good, raw=raw)
    return found


def _text(text: str, damage: Damage, *, raw: bool) -> str:
    if not _HALVES.search(text):
        return text
    if _MARK in text:
        damage.bytes = True
        text = text.replace(_MARK, "\ufffd")
    if not raw and _HALVES.search(text):
        damage.halves = True
        text = _HALVES.sub("\ufffd", text)
    return text


def without_surrogates(text: str) -> str:
    """Return text with U+FFFD in place of lone surrogates, for messages."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)
