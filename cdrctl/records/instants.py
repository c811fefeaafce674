"""Whole columns of times as text, `2026-11-19T08:00:00.123Z`: moved by seconds, and the seconds between them.

Most share their minute with others, so that a text is a look-up and its last characters. Each function raises
ValueError or KeyError where the values must be taken one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import sub

from cdrctl.placeholders import FIRST_YEAR, LAST_YEAR
from cdrctl.records.events import Value
from cdrctl.windows import rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (
    int((datetime(year, month, day, tzinfo=UTC) - _EPOCH).total_seconds())
    for year, month, day in ((FIRST_YEAR, 1, 1), (LAST_YEAR, 12, 31))
)
_LENGTH = len("2026-11-19T08:00:00.123Z")
_DIGITS = b"0123456789"
_MOST = 20_000
"""Entries of a cache."""


class _Minutes(dict[str, int]):
    """Seconds from 1970 to a minute, by the text of a time up to its minutes."""

    def __missing__(self, text: str) -> int:
        if len(self) >= _MOST:
            self.clear()
        found = self[text] = int((datetime.fromisoformat(f"{text}:00.000Z") - _EPOCH).total_seconds())
        return found


class MinuteTexts(dict[int, str]):
    """The text of a minute since 1970 up to its seconds."""

    def __missing__(self, minute: int) -> str:
        if len(self) >= _MOST:
            self.clear()
        found = self[minute] = rfc3339(_EPOCH + timedelta(minutes=minute))[: -len("00.000Z")]
        return found


_MINUTES, _TEXTS = _Minutes(), MinuteTexts()
_SECONDS = {f"{second:02d}": second for second in range(60)}
_SECOND_TEXTS = [*_SECONDS]
_DAY = 86_400


def separators_of(text: str) -> bytes:
    """Return a text without its digits, with a question mark for each character beyond ASCII."""
    return text.encode("ascii", "replace").translate(None, _DIGITS)


def _check(column: Sequence[Value]) -> None:
    """Raise ValueError unless all values are times in the one form, or None."""
    given = [*filter(None, column)] if None in column else column
    if {str} != {*map(type, given)} and given:
        raise ValueError
    joined = "".join(given)
    if separators_of(joined) != b"--T::.Z" * len(given) or "T24" in joined or {*map(len, given)} - {_LENGTH}:
        raise ValueError


def moved(instants: Sequence[Value], seconds: Sequence[Value]) -> Sequence[str | None]:
    """Return times moved by whole seconds; None where either is missing."""
    _check(instants)
    if {*map(type, seconds)} - {int, type(None)}:
        raise ValueError
    minutes, of_text, texts, last = _MINUTES, _SECONDS, _TEXTS, _SECOND_TEXTS
    return [
        None
        if one is None or more is None
        else texts[(at := minutes[one[:16]] + of_text[one[17:19]] + more) // 60] + last[at % 60] + one[19:]
        for one, more in zip(instants, seconds, strict=True)
    ]


def seconds_between(begins: Sequence[Value], ends: Sequence[Value]) -> Sequence[int | None]:
    """Return the whole seconds between times, rounded down; None where one is missing."""
    _check(begins)
    _check(ends)
    read = datetime.fromisoformat
    if None in begins or None in ends:
        return [
            None if begin is None or end is None else (length := read(end) - read(begin)).days * _DAY + length.seconds
            for begin, end in zip(begins, ends, strict=True)
        ]
    # A timedelta has days and seconds rounded down, and dividing it takes several times as long.
    return [length.days * _DAY + length.seconds for length in map(sub, map(read, ends), map(read, begins))]


def from_unix(seconds: Sequence[Value]) -> Sequence[str | None]:
    """Return Unix seconds that can be times of calls as text; None where there are none."""
    given = [one for one in seconds if one is not None] if None in seconds else seconds
    if {*map(type, given)} - {int} or (given and not _FIRST <= min(given) <= max(given) < _LAST):
        raise ValueError
    texts, last = _TEXTS, _SECOND_TEXTS
    return [None if one is None else f"{texts[one // 60]}{last[one % 60]}.000Z" for one in seconds]
