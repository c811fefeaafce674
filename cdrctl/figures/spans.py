"""Consecutive days, weeks and months, and the span with the most calls if the calls are too far apart to be drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

_DAY = timedelta(days=1)


def days_between(first: str, last: str) -> list[str]:
    """Return the days from the first to the last, both included, as `2026-11-19`."""
    begin = date.fromisoformat(first)
    return [(begin + timedelta(days=at)).isoformat() for at in range((date.fromisoformat(last) - begin).days + 1)]


def busiest_span(counts: Mapping[str, int], most: int) -> tuple[str, str]:
    """Return the first and the last day with calls of the days in which most calls began.

    Args:
        counts: How many calls began on each day; at least one.
        most: How many days, with and without calls, are considered at once.
    """
    days = sorted(counts)
    dates = [date.fromisoformat(one) for one in days]
    best, found = 0, (days[0], days[0])
    first = inside = 0
    for last, day in enumerate(days):
        inside += counts[day]
        while (dates[last] - dates[first]).days >= most:
            inside -= counts[days[first]]
            first += 1
        if inside > best:
            best, found = inside, (days[first], day)
    return found


def times_between(key: str, first: str, last: str, most: int) -> list[str] | None:
    """Return the days, weeks or months between two of them, both included; None if there are too many.

    Args:
        key: `day`, `week` or `month`.
        first: The first, such as `2026-11-19`, `2026-W47` or `2026-11`.
        last: The last.
        most: How many there may be.
    """
    found: list[str] = []
    for one in _FOLLOWING[key](first):
        if len(found) == most:
            return None
        found.append(one)
        if one >= last:
            return found
    return None


def _days(first: str) -> Iterator[str]:
    day = date.fromisoformat(first)
    while True:
        yield day.isoformat()
        day += _DAY


def _weeks(first: str) -> Iterator[str]:
    year, _, week = first.partition("-W")
    day = date.fromisocalendar(int(year), int(week), 4)
    while True:
        yield "{}-W{:02d}".format(*day.isocalendar()[:2])
        day += 7 * _DAY


def _months(first: str) -> Iterator[str]:
    year, month = map(int, first.split("-"))
    while True:
        yield f"{year:04d}-{month:02d}"
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


_FOLLOWING = {"day": _days, "week": _weeks, "month": _months}
