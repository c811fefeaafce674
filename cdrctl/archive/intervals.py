"""Readings of a period and set operations on them: what was read and when, what may still change, what is missing.

A reading states that the provider was queried for a window at an instant, and that the records are on disk. The newest
reading of an instant counts. A window that was read before its records were final is not settled, and is read again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.windows import Window

State = Literal["planned", "done", "failed"]


class Reading(Struct, frozen=True):
    """The state of one window in the ledger.

    Args:
        window: The window, within one day of the archive.
        state: `done` if all records that the provider had of it are on disk, `failed` if it could not be read,
            `planned` if it is still to be read.
        read_at: When the provider was queried, in UTC; None if it was not.
        records: How many records came.
        error: Why it failed, in one line.
        options: The options of the call that decide what it has, as JSON; empty if all have their defaults.
        mixed: The archive may have records of the window that came with other options. A response without them does not
            mean that they are gone.
    """

    window: Window
    state: State
    read_at: datetime | None = None
    records: int = 0
    error: str = ""
    options: str = ""
    mixed: bool = False


def subtract(windows: Iterable[Window], taken: Iterable[Window]) -> list[Window]:
    """Return the parts of `windows` that are not in `taken`, oldest first, merged where they touch."""
    left = union(windows)
    for hole in taken:
        left = [part for window in left for part in _outside(window, hole)]
    return left


def union(windows: Iterable[Window]) -> list[Window]:
    """Return the same instants as windows that neither touch nor overlap, oldest first."""
    result: list[Window] = []
    for window in sorted(windows, key=lambda one: one.since):
        if result and window.since <= result[-1].until:
            result[-1] = Window(result[-1].since, max(result[-1].until, window.until))
        else:
            result.append(window)
    return result


def overlap(one: Window, other: Window) -> Window | None:
    """Return the window that two windows have in common, or None."""
    since, until = max(one.since, other.since), min(one.until, other.until)
    if since is one.since and until is one.until:
        return one
    return Window(since, until) if since < until else None


def _outside(window: Window, hole: Window) -> Iterator[Window]:
    """Yield the parts of a window before and after a hole."""
    if hole.until <= window.since or hole.since >= window.until:
        yield window
        return
    if window.since < hole.since:
        yield Window(window.since, hole.since)
    if hole.until < window.until:
        yield Window(hole.until, window.until)


def add_reading(readings: Sequence[Reading], new: Reading) -> list[Reading]:
    """Return the readings with a new one added, oldest window first.

    A new success replaces all readings of its window. A failure or a plan does not replace a success, because the
    records that were read before are still on disk. A plan does not replace a failure either.
    """
    stays = {"done": (), "failed": ("done",), "planned": ("done", "failed")}[new.state]
    result: list[Reading] = []
    for old in readings:
        if old.state in stays:
            result.append(old)
        else:
            result += [replace(old, window=part) for part in _outside(old.window, new.window)]
    kept = [old.window for old in readings if old.state in stays]
    result += [replace(new, window=part) for part in subtract([new.window], kept)]
    return sorted(result, key=lambda one: one.window.since)


def done_windows(readings: Iterable[Reading]) -> list[Window]:
    """Return the windows that were read successfully."""
    return union(one.window for one in readings if one.state == "done")


def settled_windows(readings: Iterable[Reading], lookback: timedelta) -> list[Window]:
    """Return the windows that were read successfully and at least `lookback` after they ended: they are final."""
    parts = []
    for one in readings:
        if one.state == "done" and one.read_at is not None:
            until = min(one.window.until, one.read_at - lookback)
            if one.window.since < until:
                parts.append(Window(one.window.since, until))
    return union(parts)


CLOCKS_MAY_DIFFER = timedelta(minutes=1)
"""How far in the future a reading may be dated: clocks are adjusted."""


def is_settled(readings: Sequence[Reading], whole: Window, lookback: timedelta, latest: datetime) -> bool:
    """Return whether a single reading shows that a day is final, as for most days: no sets need to be computed.

    Args:
        readings: The readings of the day.
        whole: The day.
        lookback: For how long after a call its record may still change.
        latest: A reading that is dated later does not count.
    """
    if len(readings) != 1:
        return False
    one = readings[0]
    if one.state != "done" or one.read_at is None or one.read_at > latest:
        return False
    return one.window.since <= whole.since and whole.until <= one.window.until and whole.until <= one.read_at - lookback


def is_dated_after(reading: Reading, now: datetime) -> bool:
    """Return whether a reading is dated in the future, because it was written by a clock that was ahead."""
    return reading.read_at is not None and reading.read_at > now + CLOCKS_MAY_DIFFER


def replan_future(readings: Iterable[Reading], now: datetime) -> list[Reading]:
    """Return the readings with successes dated in the future changed to planned.

    The clock was wrong when they were written, so the calls of their window may not have happened yet.
    """
    latest = now + CLOCKS_MAY_DIFFER
    for one in readings:
        if one.state == "done" and (one.read_at is None or one.read_at > latest):
            break
    else:
        return [*readings]
    return [
        replace(one, state="planned", read_at=None, records=0)
        if one.state == "done" and (one.read_at is None or one.read_at > latest)
        else one
        for one in readings
    ]


def replan(readings: Iterable[Reading]) -> list[Reading]:
    """Return readings with the successful ones changed to planned, for a day whose file is not there."""
    return [
        replace(one, state="planned", read_at=None, records=0, error="") if one.state == "done" else one
        for one in readings
    ]


def with_attempts(told: list[Reading], before: Iterable[Reading]) -> list[Reading]:
    """Return the readings of a file with the failed and planned ones of a ledger."""
    for one in before:
        told = add_reading(told, one) if one.state != "done" else told
    return told


@functools.lru_cache(4096)
def day_start(day: date, zone: tzinfo) -> datetime:
    """Return the first UTC instant of a calendar day of a zone, which a clock change may have moved."""
    from cdrctl.windows import instant

    return instant(day.isoformat(), zone=zone, now=datetime(2000, 1, 1, tzinfo=UTC))


@functools.lru_cache(4096)
def whole_day(day: date, zone: tzinfo) -> Window:
    """Return the window of a calendar day of a zone, which is 23, 24 or 25 hours long."""
    return Window(day_start(day, zone), day_start(day + timedelta(days=1), zone))


@functools.lru_cache(64)
def days(window: Window, zone: tzinfo) -> Sequence[tuple[date, Window]]:
    """Return each calendar day of a zone in a window, with the part of the window in that day, oldest first.

    The calls of an archive mostly have the same days, so those of the last windows stay in memory.
    """
    found = []
    day = window.since.astimezone(zone).date()
    while True:
        part = overlap(whole_day(day, zone), window)
        if part is not None:
            found.append((day, part))
        elif day_start(day, zone) >= window.until:
            return tuple(found)
        day += timedelta(days=1)
