"""Gregorian seconds, in which Crossbar counts time, and the UTC months that its databases are named after."""

from __future__ import annotations

from datetime import UTC, datetime

from cdrctl.sandbox.exchange.clock import SECOND, milliseconds

GREGORIAN = 62_167_219_200
"""Gregorian seconds of 1 January 1970, 00:00 UTC."""

_LAST_UNIX_SECOND = 253_402_300_799
"""The last second of the year 9999, which is the last that Python can name."""


def gregorian_second(instant: datetime) -> int:
    """Return an aware instant as Gregorian seconds, rounded down."""
    return milliseconds(instant) // SECOND + GREGORIAN


def month_of(gregorian: int) -> str:
    """Return the month, YYYYMM, of a Gregorian second."""
    return f"{datetime.fromtimestamp(gregorian - GREGORIAN, UTC):%Y%m}"


def month_before(month: str) -> str:
    """Return the month before a month."""
    year, number = int(month[:4]), int(month[4:])
    return f"{year - 1}12" if number == 1 else f"{year}{number - 1:02d}"


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """Return the first instant of a month and that of the next one."""
    first = datetime(int(month[:4]), int(month[4:]), 1, tzinfo=UTC)
    return first, datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)


def months_between(lo: int, hi: int) -> list[str]:
    """Return the months that lie between two Gregorian seconds, those of both included, oldest first."""
    first = datetime.fromtimestamp(max(lo - GREGORIAN, 0), UTC)
    last = datetime.fromtimestamp(max(min(hi - GREGORIAN, _LAST_UNIX_SECOND), 0), UTC)
    year, number = first.year, first.month
    months = []
    while (year, number) <= (last.year, last.month):
        months.append(f"{year:04d}{number:02d}")
        year, number = (year + 1, 1) if number == 12 else (year, number + 1)
    return months
