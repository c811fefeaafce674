"""The legs of an archive joined into calls, for some consecutive days."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from msgspec import Struct

from cdrctl.archive.calls_store import Marks
from cdrctl.archive.intervals import Reading, overlap, settled_windows, subtract, union, whole_day
from cdrctl.archive.planning import not_retired
from cdrctl.archive.records import archived_call
from cdrctl.archive.source import ArchivedCall
from cdrctl.calls.columns import CALL
from cdrctl.calls.joining import REACH
from cdrctl.calls.mapping import leg_schema
from cdrctl.calls.rows import Told, call_rows
from cdrctl.fetchers import joins_of
from cdrctl.records.events import Page, Row
from cdrctl.windows import Window

DAY = timedelta(days=1)
START = next(at for at, column in enumerate(CALL) if column.name == "start_time")
END = next(at for at, column in enumerate(CALL) if column.name == "end_time")
WHY = next(at for at, column in enumerate(CALL) if column.name == "why")


class Span(Struct, frozen=True):
    """Some consecutive days whose calls are joined at once.

    Args:
        first: The first day.
        last: The last one.
        legs: The window whose legs are read.
    """

    first: date
    last: date
    legs: Window

    def days(self) -> list[date]:
        """Return the days whose calls are joined."""
        return _days_from(self.first, self.last)

    def leg_days(self, zone: tzinfo) -> list[date]:
        """Return the days whose files of legs are read, and the one before, of an archive with this zone."""
        first = min(self.legs.since.astimezone(zone).date(), self.first - DAY)
        return _days_from(first, (self.legs.until - timedelta(microseconds=1)).astimezone(zone).date())


def _days_from(first: date, last: date) -> list[date]:
    return [first + DAY * at for at in range((last - first) // DAY + 1)]


def begins_of(source: ArchivedCall) -> datetime:
    """Return the instant since which the archive has legs."""
    return not_retired(source.archive.zone, source.kept.begins, source.kept.retired)


def settled_legs(source: ArchivedCall, replan: Callable[[Sequence[Reading]], Sequence[Reading]]) -> list[Window]:
    """Return the windows whose legs are read and final."""
    readings = [one for told in source.readings.values() for one in replan(told)]
    return union(settled_windows(readings, source.call.timing.lookback))


def is_closed(day: date, source: ArchivedCall, settled: Sequence[Window]) -> bool:
    """Return whether no leg can join the calls of a day any more, as far as calls are no longer than usual."""
    window, begins = whole_day(day, source.archive.zone), begins_of(source)
    if window.until <= begins:
        return False
    return not subtract([Window(max(window.since - REACH, begins), window.until + REACH)], settled)


def span_of(first: date, last: date, source: ArchivedCall, settled: Sequence[Window] | None) -> Span:
    """Return the days whose legs are read for the calls of some days: these, the day before and the day after.

    Args:
        first: The first day.
        last: The last one.
        source: The legs.
        settled: The windows whose legs are final; nothing else is read after the last day. None to read everything.
    """
    zone = source.archive.zone
    since = max(whole_day(first - DAY, zone).since, min(begins_of(source), whole_day(first, zone).since))
    day, after = whole_day(last, zone), whole_day(last + DAY, zone)
    until = after.until
    if settled is not None:
        parts = [both for one in settled if (both := overlap(one, Window(since, after.until))) is not None]
        until = max([part.until for part in parts if part.since < day.until], default=day.until)
    return Span(first, last, Window(since, until))


def joined_rows(
    pages: Iterator[Sequence[Any]], source: ArchivedCall, span: Span | None, profile: str, marks: Marks, now: datetime
) -> Generator[Sequence[Row], None, None]:
    """Yield the rows of the calls that began in a span, by start; without one, of all calls.

    Args:
        pages: Pages of its legs.
        source: The legs.
        span: The days.
        profile: The name of the profile in the rows.
        marks: What the profile names that its records do not tell.
        now: The present instant.
    """
    zone = source.archive.zone
    window = None if span is None else Window(whole_day(span.first, zone).since, whole_day(span.last, zone).until)
    known = None if span is None else span.legs
    told = Told(source.kept.provider, profile, window, known, boxes=marks.boxes, queues=marks.queues, now=now)
    yield from call_rows(pages, told)


def leg_reader(source: ArchivedCall, warn: Callable[[str], None]) -> Callable[[Page], Sequence[Any]]:
    """Return the function from archived records to legs."""
    call = archived_call(source.call)
    assert call.common is not None  # noqa: S101 - legs are CDRs
    joins = joins_of(source.kept.provider)[source.call.name]
    rows: Callable[[Page], Sequence[Any]] = leg_schema(call.columns, call.common, joins, warn, call.expected).rows
    return rows
