"""Telephone numbers in records: every spelling of one, found in any column.

Two spellings are the same number if their digits are equal, or if the digits of one end with those of the other and at
least seven are shared. Zeros at the beginning do not count, so `+49 30 1234567`, `0049301234567`, `030/1234567` and
`tel:+49-30-1234567` are the same. A shorter number, such as that of an extension, is the same only if all digits are,
and only as the calling or the called number of a record.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from cdrctl.errors import UsageError
from cdrctl.fetchers import Call
from cdrctl.records.columns import NUMBERS

SHARED = 7
"""How many digits two spellings share at least, unless they are equal."""
SHORTEST, LONGEST = 2, 20
"""How many digits a number has; longer ones are ids."""

_TYPED = NUMBERS | {"time", "boolean"}
"""The kinds of columns that have no telephone numbers."""
_LONG_GROUP = 10
"""From how many digits on a group of digits beside others is a number by itself."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?")
_SPELLING = re.compile(r"(?<![0-9A-Za-z])[0-9]+(?:[ ().\-/]{1,3}[0-9]+)*(?![0-9A-Za-z])")
_WHOLE = re.compile(r"(?:sips?:|tel:)?\+?[0-9 ().\-/]+(?:[@;].*)?", re.IGNORECASE)
_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))

Matches = Callable[[str], bool]
"""Whether digits, without zeros at the beginning, are a number that is looked for."""


def number_of(text: str) -> str:
    """Return the digits of a number that a user typed, without zeros at the beginning.

    Raises:
        UsageError: It is not a number; the message does not quote it.
    """
    found = _whole_number(text)
    if not SHORTEST <= len(found) <= LONGEST:
        raise UsageError(
            "--number is not a telephone number", hint="write the number with its country code: +49 30 1234567"
        )
    return found


def is_same(digits: str, other: str) -> bool:
    """Return whether two numbers are the same in two spellings."""
    if min(len(digits), len(other)) < SHARED:
        return digits == other
    return digits.endswith(other) or other.endswith(digits)


def has_number(call: Call, fields: Mapping[str, Any], matches: Matches) -> bool:
    """Return whether a record has a number in any of its values.

    Args:
        call: The call.
        fields: Its native values by column name, and further fields.
        matches: Tells the number.
    """
    typed = {column.name for column in call.columns if column.kind in _TYPED}
    values = (value for name, value in fields.items() if name not in typed)
    return any(matches(one) for text in _texts(values) for one in numbers_in(text)) or any(
        matches(one) for one in map(_whole_number, _parties(call, fields)) if SHORTEST <= len(one) < SHARED
    )


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Yield the text of all values, at any depth, with the names of fields."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, int) and not isinstance(value, bool):
            yield str(value)
        elif isinstance(value, Mapping):
            yield from _texts(value)
            yield from _texts(value.values())
        elif isinstance(value, list):
            yield from _texts(value)


def _parties(call: Call, fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the calling and the called number of a record."""
    common: Mapping[str, Any] = {}
    with suppress(ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        values = {column.name: fields.get(column.name) for column in call.columns}
        common = call.common(values) if call.common is not None else {}
    found = [common.get("from_number"), common.get("to_number")]
    yield from (one for one in found if isinstance(one, str))


@functools.lru_cache(maxsize=65536)
def numbers_in(text: str) -> frozenset[str]:
    """Return the digits of everything in a text that may be a number of at least seven digits."""
    if sum(map(str.isdigit, text)) < SHARED:
        return frozenset()
    plain = _TIME.sub(" , ", _plain(text))
    return frozenset(one for found in _SPELLING.finditer(plain) for one in _readings(found[0]))


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", unquote(text) if "%" in text else text).translate(_HYPHENS)
    if not text.isascii():
        text = "".join(str(unicodedata.digit(one, one)) for one in text)
    return text.replace("(0)", "")


def _readings(spelling: str) -> Iterator[str]:
    """Yield the numbers that a spelling may mean: all of its digits, and each group that is long enough by itself.

    The end of another number is none: `+43 89 1234567` is not `1234567`.
    """
    groups = re.findall("[0-9]+", spelling)
    for digits in ("".join(groups), *(one for one in groups if len(one) >= _LONG_GROUP)):
        plain = digits.lstrip("0")
        if SHARED <= len(plain) <= LONGEST:
            yield plain


def _whole_number(text: str) -> str:
    """Return the digits of a text that is nothing but a number, without zeros at the beginning; empty for another."""
    plain = _plain(text.strip())
    if _WHOLE.fullmatch(plain) is None:
        return ""
    return re.sub("[^0-9]", "", re.split("[@;]", plain)[0]).lstrip("0")
