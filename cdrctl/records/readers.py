"""Parsers of columns: from a raw value to a typed one.

A parser takes a raw value, never None or empty, and returns it typed, or raises ValueError.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from cdrctl.placeholders import is_placeholder
from cdrctl.records import instants
from cdrctl.records.events import Value
from cdrctl.records.steps import step
from cdrctl.windows import rfc3339

GREGORIAN_UNIX_OFFSET = 62_167_219_200
"""Seconds from year 0 to 1970: Kazoo counts seconds from year 0 ("Gregorian seconds")."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799
"""The last second of the year 9999, the last that Python has."""
_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
_WHOLE_DECIMAL = re.compile(r"\s*([+-]?[0-9]{1,18})(?:\.0*)?\s*\Z")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)\Z")
_SCIENTIFIC = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][+-]?[0-9]{1,2}\Z")


def read_text(raw: Any) -> Value:
    """Return text; a number becomes its digits, because ids are never numbers."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int | float):
        return str(raw)
    raise ValueError


def read_integer(raw: Any) -> int:
    """Return an integer from a number or from digits in a string."""
    if isinstance(raw, bool):
        raise ValueError
    if isinstance(raw, int):
        return raw
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    if isinstance(raw, str) and (match := _WHOLE_DECIMAL.match(raw)):
        return int(match[1])
    raise ValueError


def read_decimal(raw: Any) -> str:
    """Return a decimal number as a string, digit for digit as it came; infinity is refused.

    A text with a power of ten is multiplied out, without zeros at the end: Erlang, in which Kazoo is written, may write
    1.5 as `1.50000000000000000000e+00`.
    """
    if isinstance(raw, bool):
        raise ValueError
    if isinstance(raw, int) or (isinstance(raw, float) and math.isfinite(raw)):  # isfinite(10**400) overflows
        return format(Decimal(str(raw)), "f")
    if isinstance(raw, str) and _DECIMAL.match(raw.strip()):
        return raw.strip()
    if isinstance(raw, str) and _SCIENTIFIC.match(raw.strip()):
        digits = format(Decimal(raw.strip()), "f")
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    raise ValueError


def read_boolean(raw: Any) -> bool:
    """Return true or false from a boolean or from the words `true` and `false`."""
    if isinstance(raw, bool):
        return raw
    word = raw.strip().casefold() if isinstance(raw, str) else ""
    if word in {"true", "false"}:
        return word == "true"
    raise ValueError


def read_list(raw: Any) -> Value:
    """Return a list or an object as it came."""
    if isinstance(raw, list | dict):
        return raw
    raise ValueError


def iso_instant(raw: Any) -> datetime:
    """Return the UTC instant of an ISO 8601 string; without an offset it is read as UTC."""
    if not isinstance(raw, str) or len(raw) > 40:  # longer than any time
        raise ValueError
    moment = datetime.fromisoformat(raw.strip().upper())  # RFC 3339 allows t and z
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError from None


def unix_instant(raw: Any) -> datetime:
    """Return the UTC instant of Unix seconds, with or without decimals, as a number or as digits in a string."""
    seconds = int(raw) if type(raw) is str and len(raw) < 12 and raw.isascii() and raw.isdecimal() else raw
    if type(seconds) is int and 0 <= seconds <= _LAST_SECOND:  # nearly always
        return _EPOCH + timedelta(seconds=seconds)
    digits = read_decimal(raw)
    if len(digits) > 40:  # as in iso_instant; a million digits would take half a minute
        raise ValueError
    try:
        return _EPOCH + timedelta(microseconds=int(Decimal(digits) * 1_000_000))
    except (OverflowError, InvalidOperation):
        raise ValueError from None


def gregorian_instant(raw: Any) -> datetime:
    """Return the UTC instant of Gregorian seconds (counted from year 0), a number or digits in a string."""
    try:
        return _EPOCH + timedelta(seconds=read_integer(raw) - GREGORIAN_UNIX_OFFSET)
    except OverflowError:
        raise ValueError from None


def read_iso_time(raw: Any) -> str:
    """Return an ISO 8601 time as `2026-11-19T08:00:00.123Z`."""
    if isinstance(raw, str) and _CANONICAL.match(raw):
        datetime.fromisoformat(raw)
        return raw  # already in this form, and a valid time
    return rfc3339(iso_instant(raw))


def read_gregorian_time(raw: Any) -> str:
    """Return Gregorian seconds as `2026-11-19T08:00:00.123Z`."""
    return rfc3339(gregorian_instant(raw))


def read_units(raw: Any, *, per_unit: int = 10_000) -> str:
    """Return an amount of small units as money: 10 000 units are 1, written with all their decimals.

    Fractions of a unit are read too: passed on as they came, they would be money 10 000 times too large.
    """
    places = len(str(per_unit)) - 1
    try:
        units = read_integer(raw)
    except ValueError:
        sign, digits, exponent = Decimal(read_decimal(raw)).as_tuple()
        assert isinstance(exponent, int)  # noqa: S101 - read_decimal refuses infinity
        return format(Decimal((sign, digits, exponent - places)), "f")
    whole, rest = divmod(abs(units), per_unit)  # integers: a Decimal would round at 28 digits
    return f"{'-' if units < 0 else ''}{whole}.{rest:0{places}d}"


_LENGTH = len("2026-11-19T08:00:00.123Z")


def canonical_instants(raw: Sequence[str]) -> Sequence[str] | None:
    """Return times as `2026-11-19T08:00:00.123Z` if all have this form, give or take finer digits; else None.

    All may also lack the decimals. A text that Python parses as a time, with these separators in this order and at
    least this length, has this form.
    """
    given = [value for value in raw if value] if "" in raw else raw
    if not given:
        return raw
    whole = "." not in given[0]
    form, shortest = (b"--T::Z", _LENGTH - 4) if whole else (b"--T::.Z", _LENGTH)
    joined = "".join(given)
    if instants.separators_of(joined) != form * len(given) or "T24" in joined:
        return None
    lengths = set(map(len, given))
    if min(lengths) < shortest or is_placeholder(min(given)) or is_placeholder(max(given)):
        return None
    try:
        deque(map(datetime.fromisoformat, given), maxlen=0)  # check that they are times
    except ValueError:
        return None
    if whole:  # Z is nowhere but at the end of each
        return "\n".join(raw).replace("Z", ".000Z").split("\n") if lengths == {shortest} else None
    return raw if lengths == {_LENGTH} else [value and value[: _LENGTH - 1] + "Z" for value in raw]


def digits_as_integers(raw: Sequence[str]) -> Sequence[int] | None:
    """Return texts as integers if each has 1 to 18 ASCII digits and nothing else; else None."""
    joined = "".join(raw)
    if not joined.isdigit() or not joined.isascii() or "" in raw or len(max(raw, key=len)) > 18:
        return None
    return [*map(int, raw)]


def scalar_texts(values: Sequence[int | bool | None]) -> Sequence[str]:
    """Return integers as digits, booleans as `true` or `false`, and None as the empty text."""
    encoded = msgspec.json.encode(values).decode()  # several times as fast as `str` of each
    return encoded[1:-1].replace("null", "").split(",") if values else []


def are_decimals(raw: Sequence[str]) -> bool:
    """Return whether `read_decimal` returns all of these texts, except empty ones, as they are."""
    return all(map(_DECIMAL.match, filter(None, raw)))


def from_minutes(seconds: Sequence[int], first: datetime) -> Sequence[str]:
    """Return whole seconds after an instant as `2026-11-19T08:00:00.000Z`.

    Args:
        seconds: The seconds.
        first: An instant in UTC at the beginning of a minute.

    Raises:
        OverflowError: One is outside the years of Python.
    """
    parts = [divmod(one, 60) for one in seconds]
    minutes = {minute: rfc3339(first + timedelta(minutes=minute))[:17] for minute in {minute for minute, _ in parts}}
    return [f"{minutes[minute]}{second:02d}.000Z" for minute, second in parts]


def gregorian_texts(raw: Sequence[str], _context: object = None) -> Sequence[str] | None:
    """Return Gregorian seconds as `read_gregorian_time` does; None unless all are digits and times of calls."""
    seconds = digits_as_integers(raw)
    if seconds is None or min(seconds) < _GREGORIAN_2000 or max(seconds) >= _GREGORIAN_2100:
        return None
    return from_minutes([one - GREGORIAN_UNIX_OFFSET for one in seconds], _EPOCH)


_GREGORIAN_2000 = GREGORIAN_UNIX_OFFSET + 946_684_800
_GREGORIAN_2100 = GREGORIAN_UNIX_OFFSET + 4_102_444_800


@step(instants.seconds_between)
def seconds_between(since: str | None, until: str | None) -> int | None:
    """Return the whole seconds between two times of a row, rounded down, or None if one is missing."""
    if not isinstance(since, str) or not isinstance(until, str):
        return None
    try:
        return int((iso_instant(until) - iso_instant(since)) // timedelta(seconds=1))
    except ValueError:
        return None
