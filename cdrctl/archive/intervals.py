"""The ledger's algebra: what has been read and when, what may still change, what is missing.

A reading says: at this instant the provider was asked for this stretch of time, and what came is on disk. The newest
reading of an instant counts. What was read so soon that records may have come later is not settled, and is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

from cdrctl.windows import Window

State = Literal["planned", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one stretch of time.

    Args:
        window: The stretch, within one day of the archive.
        state: `done` when every record of it that the provider had is durable on disk, `failed` when that was tried
            in vain, `planned` when it is still to be tried.
        read_at: When the provider was asked, as a UTC instant; None where it has not been.
        records: How many records came.
        error: Why it failed, in one line.
    """

    window: Window
    state: State
    read_at: datetime | None = None
    records: int = 0
    error: str = ""


def subtract(windows: Iterable[Window], taken: Iterable[Window]) -> list[Window]:
    """Return what is left of some windows when others are taken away; oldest first, joined where they touch."""
    left = union(windows)
    for gone in taken:
        left = [part for window in left for part in _outside(window, gone)]
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
    """Return the instants that two windows share, or None."""
    since, until = max(one.since, other.since), min(one.until, other.until)
    return Window(since, until) if since < until else None


def _outside(window: Window, gone: Window) -> Iterator[Window]:
    if gone.until <= window.since or gone.since >= window.until:
        yield window
        return
    if window.since < gone.since:
        yield Window(window.since, gone.since)
    if gone.until < window.until:
        yield Window(gone.until, window.until)


def add_reading(readings: Sequence[Reading], new: Reading) -> list[Reading]:
    """Return the readings with a new one among them, oldest window first.

    A new success takes the place of all that was known of its window. A failure or a plan does not undo a success:
    what was read before is still on disk. A plan does not undo a failure either.
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
    """Return what has been read with success."""
    return union(one.window for one in readings if one.state == "done")


def settled_windows(readings: Iterable[Reading], lookback: timedelta) -> list[Window]:
    """Return what was read so long after it that no record of it is expected to come or to change any more."""
    parts = []
    for one in readings:
        if one.state == "done" and one.read_at is not None:
            until = min(one.window.until, one.read_at - lookback)
            if one.window.since < until:
                parts.append(Window(one.window.since, until))
    return union(parts)


CLOCKS_MAY_DIFFER = timedelta(minutes=1)
"""By how much a reading may be dated after now: clocks are set."""


def is_dated_after(reading: Reading, now: datetime) -> bool:
    """Return whether a reading was written by a clock that was ahead."""
    return reading.read_at is not None and reading.read_at > now + CLOCKS_MAY_DIFFER


def replan_future(readings: Iterable[Reading], now: datetime) -> list[Reading]:
    """Return the readings with each success that is dated after now as one that is still to be made.

    When it was written the clock was wrong, and what was read may not have happened yet.
    """
    return [
        replace(one, state="planned", read_at=None, records=0)
        if one.state == "done" and (one.read_at is None or is_dated_after(one, now))
        else one
        for one in readings
    ]


def day_start(day: date, zone: tzinfo) -> datetime:
    """Return the first UTC instant of a calendar day of a zone, which the clocks' change may have moved."""
    from cdrctl.windows import instant

    return instant(day.isoformat(), zone=zone, now=datetime(2000, 1, 1, tzinfo=UTC))


def whole_day(day: date, zone: tzinfo) -> Window:
    """Return a calendar day of a zone, which is 23, 24 or 25 hours long."""
    return Window(day_start(day, zone), day_start(day + timedelta(days=1), zone))


def days(window: Window, zone: tzinfo) -> Iterator[tuple[date, Window]]:
    """Yield each calendar day of a zone that a window touches, with the part of the window in it, oldest first."""
    day = window.since.astimezone(zone).date()
    while True:
        part = overlap(whole_day(day, zone), window)
        if part is not None:
            yield day, part
        elif day_start(day, zone) >= window.until:
            return
        day += timedelta(days=1)
