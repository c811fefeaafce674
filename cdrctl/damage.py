r"""Records that are not quite JSON: bytes that are not UTF-8, half surrogate pairs, huge integers, deep nesting.

One bad byte in one caller's name must not cost the page it is on. The decoder puts a mark where a byte cannot be read,
and an `Unreadable` where a value cannot be held; `export` looks for both in the records that it writes.

* Bytes that are not UTF-8 (RFC 8259, section 8.1) become U+FFFD, as many as the usual decoders give.
* Half of a surrogate pair (`"\ud83d"`), which is JSON but no Unicode (section 8.2), becomes U+FFFD. Raw records keep
  it.
* An integer of more digits than Python reads, or a value nested deeper than 200, makes its record unreadable.
* Of keys that occur twice in an object the last one counts, as for most readers (section 4).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer

DEEPEST = 200
"""Lists and objects that JSON may have within each other: as many as its usual decoder allows."""

_MARK = "\udbff\udfff"
"""Stands where bytes could not be read: both halves of a surrogate pair, one after the other. No JSON gives that: bytes
give no halves, and two escapes in this order are one character."""

_HALVES = re.compile(f"{_MARK}|[\ud800-\udfff]")

_ERRORS = "cdrctl-marks"


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARK, error.end


codecs.register_error(_ERRORS, _marked)

_OTHERS = re.compile(r"(iso-?8859-?\d|latin-?\d|windows-?125\d|cp\d+|koi8|big5|gb|euc|shift)", re.IGNORECASE)
"""Encodings that a provider may name in `charset`."""


class Unreadable(str):
    """Stands for a value that cannot be held; the text says what it was."""

    __slots__ = ()


MOST_DIGITS = 4300
"""Digits of the longest integer that Python reads when nothing else is set: longer ones take time that grows with the
square of their length."""

_HUGE = Unreadable(f"an integer of more than {MOST_DIGITS} digits")
_DEEP = Unreadable(f"a value nested deeper than {DEEPEST}")
_DEEP_TOKEN = "7" * 100_003
"""A number that stands in the text for what is nested too deep: no provider sends it."""


def shallow(decoded: Any) -> bool:
    """Return whether a value is no deeper than its readers can follow without running out of stack."""
    level = [decoded]
    for _ in range(DEEPEST):
        nested = [one for one in level if isinstance(one, dict | list)]
        if not nested:
            return True
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
    return False


def text_of(body: Buffer, charset: str = "") -> str:
    """Return the text of a JSON body, with marks where it cannot be read.

    It is UTF-8 whatever its headers say (RFC 8259, section 11), or UTF-16 or UTF-32 where its first bytes show that.
    `charset` is believed only of a body that is not UTF-8.
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
    """Return UTF-8 text with marks where it cannot be read."""
    return body.decode("utf-8", _ERRORS)


def loads(text: str, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Return what JSON text says, by the standard library, with `Unreadable` where a value cannot be held.

    Control characters within text are taken as they are. `parse_constant` reads the words NaN, Infinity and -Infinity,
    which are not JSON.

    Raises:
        ValueError: It is not whole JSON.
    """
    try:
        decoded = json.loads(text, strict=False, parse_int=_integer, parse_constant=parse_constant)
    except RecursionError:
        pass
    else:
        if shallow(decoded):
            return decoded
    return json.loads(_cut_where_deep(text), strict=False, parse_int=_integer, parse_constant=parse_constant)


def _integer(digits: str) -> Any:
    if len(digits) <= MOST_DIGITS:
        return int(digits)
    return _DEEP if digits == _DEEP_TOKEN else _HUGE


_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def _cut_where_deep(text: str) -> str:
    """Return JSON text with a number in the place of each value that is nested too deep."""
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


@dataclass(slots=True)
class Damage:
    """What was found in a record.

    Args:
        bytes: Whether it holds bytes that were not UTF-8.
        halves: Whether it holds half surrogate pairs.
        unreadable: What of it cannot be held: field and kind.
    """

    bytes: bool = False
    halves: bool = False
    unreadable: list[str] = field(default_factory=list)


def undamaged(records: Sequence[Any]) -> bool:
    """Return whether nothing in these records is damaged, by a quick look at all of them."""
    import msgspec

    try:
        msgspec.json.encode(records)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return False
    return True


def mended(record: Any, damage: Damage, *, raw: bool) -> Any:
    """Return a record, or a value of one, with U+FFFD in the place of what is no Unicode.

    Half surrogate pairs stay where the record is wanted raw. What was found is noted in `damage`.
    """
    return _mended(record, damage, "", raw=raw)


def _mended(value: Any, damage: Damage, name: str, *, raw: bool) -> Any:
    if isinstance(value, Unreadable):
        damage.unreadable.append(f"{value} in {name}" if name else str(value))
        return None
    if isinstance(value, str):
        return value if value.isascii() else _text(value, damage, raw=raw)
    if isinstance(value, list):
        return [_mended(one, damage, name, raw=raw) for one in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, inner in value.items():
        good = key if key.isascii() else _text(key, damage, raw=raw)
        while good in found:
            good += "\ufffd"  # two keys that differed in what could not be read
        found[good] = _mended(inner, damage, name or good, raw=raw)
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


def plain(text: str) -> str:
    """Return text with U+FFFD in the place of what is no Unicode, as messages need it."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)
