"""Whether an archive has every day of a window, and which days it lacks, by the reason and so by the next step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo

from msgspec import Struct

from cdrctl.archive.calendar import DayCoverage
from cdrctl.archive.intervals import days, whole_day
from cdrctl.archive.planning import not_retired, retained_since
from cdrctl.archive.status import ArchivedCall
from cdrctl.windows import Window

COMPLETE, OPEN, HOLE, BEYOND, RETIRED = "complete", "open", "hole", "beyond", "retired"
EARLIER = "earlier"
"""The state of a day before the archive began to keep the call, if the provider still has it."""
OUTDATED = "outdated"
"""The state of a day that is complete, but lacks what the options of the call ask for now."""
UNKNOWN = "unknown"
"""The state of a day of a call whose provider this version does not know."""


class Bounds(Struct, frozen=True):
    """The days that a user asks for; None where the archive decides."""

    since: datetime | None = None
    until: datetime | None = None

    def shown(self, found: Sequence[DayCoverage], zone: tzinfo) -> list[DayCoverage]:
        """Return the days that have a part within the bounds."""
        first = None if self.since is None else self.since.astimezone(zone).date().isoformat()
        last = None if self.until is None else _last_day(self.until, zone).isoformat()
        return [
            one for one in found if (first is None or one.day >= first) and (last is None or one.day <= last)
        ]  # as text: both are written 2026-11-19


def _last_day(until: datetime, zone: tzinfo) -> date:
    """Return the last day with an instant before `until`."""
    return (until - timedelta(microseconds=1)).astimezone(zone).date()


class Completeness(Struct, frozen=True):
    """Which days of a window a call has.

    Args:
        days: How many days were checked.
        lacking: The days that are not complete, by the reason: a state of the coverage, EARLIER or UNKNOWN.
        settled: From when on a run of sync makes the open days complete; None if none is open.
    """

    days: int
    lacking: dict[str, list[date]]
    settled: datetime | None


def completeness(one: ArchivedCall, bounds: Bounds, zone: tzinfo, now: datetime) -> Completeness:
    """Return which days of a call are complete.

    A day that is not over, and one in the future, is open. A day that began before the archive kept the call is not
    complete. Without `until`, days that are still open are left out; without `since`, the first day is that on which
    the archive began to keep the call, or the first that was not removed by `archive retain`.
    """
    count, lacking = 0, dict[str, list[date]]()
    for day, state in _states(one, bounds, zone, now):
        if bounds.until is None and state == OPEN:
            continue
        count += 1
        if state != COMPLETE:
            lacking.setdefault(state, []).append(day)
    settled = None
    if one.call is not None and OPEN in lacking:
        settled = whole_day(lacking[OPEN][-1], zone).until + one.call.timing.lookback
    return Completeness(count, lacking, settled)


def _states(one: ArchivedCall, bounds: Bounds, zone: tzinfo, now: datetime) -> Iterator[tuple[date, str]]:
    """Yield each day within the bounds and its state, oldest first."""
    retired = one.kept.retired
    since = bounds.since or not_retired(zone, one.kept.begins, retired)
    until = bounds.until or max(now, since + timedelta(seconds=1))
    known = {day.day: OUTDATED if day.outdated and day.state == COMPLETE else day.state for day in one.days}
    oldest = None if one.call is None else retained_since(one.call, now)
    for day, part in days(Window(since, until), zone) if since < until else ():
        if one.call is None:
            yield day, UNKNOWN
        elif retired is not None and day < retired:
            yield day, RETIRED
        elif part.since < one.kept.begins:
            yield day, BEYOND if oldest is not None and part.until <= oldest else EARLIER
        else:
            yield day, known.get(day.isoformat(), OPEN)


def ranges(found: Sequence[date]) -> list[tuple[date, date]]:
    """Return the first and the last day of each run of consecutive days."""
    result: list[tuple[date, date]] = []
    for day in found:
        if result and day == result[-1][1] + timedelta(days=1):
            result[-1] = (result[-1][0], day)
        else:
            result.append((day, day))
    return result
