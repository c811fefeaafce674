"""Keeps the stored calls of a profile up to date: writes the days that are closed, and removes those out of date.

A day is closed when the legs around it are final: as long as a leg may still come, its calls are not stored. The lock
of the call that has the legs must be held.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO

from msgspec import Struct

from cdrctl import writers
from cdrctl.archive.calls_legs import (
    DAY,
    END,
    START,
    WHY,
    Span,
    is_closed,
    joined_rows,
    leg_reader,
    settled_legs,
    span_of,
)
from cdrctl.archive.calls_store import (
    LegDigests,
    Marks,
    StoredDay,
    is_current,
    legs_of,
    read_state,
    remove_day,
    stored_files,
    write_day,
    write_state,
)
from cdrctl.archive.intervals import replan_future, whole_day
from cdrctl.archive.ledger2 import is_retired
from cdrctl.archive.ledgers import AnyLedger
from cdrctl.archive.source import ArchivedCall, ArchivedCalls, archived_events
from cdrctl.archive.status import call_of
from cdrctl.archive.store import UNKNOWN, Archive, writing_archive
from cdrctl.calls.columns import CALL
from cdrctl.calls.joining import REACH, SHARED_ID
from cdrctl.calls.rows import EDGE
from cdrctl.records.events import Gap, Page, Row
from cdrctl.records.schemas import Schema
from cdrctl.writers.values import json_of

AT_ONCE = 14
"""How many days are joined at once. If a run is killed, at most the work on these days is lost."""

IN_MEMORY = 1024 * 1024
"""How many bytes of a day's calls are in memory before they go to a temporary file."""

PAGE = 250
LONGEST = timedelta(days=2)
"""How long after its day a call that has not ended, as its record tells, delays the storing of the day."""

COLUMNS = tuple(column for column in CALL if column.name != "profile")
"""The columns of a file: the profile is in the name of its folder."""

_KEPT = [at for at, column in enumerate(CALL) if column.name != "profile"]


class Updated(Struct):
    """What was done: how many days were written and removed, and how many calls they have."""

    written: int = 0
    calls: int = 0
    removed: int = 0


def update(
    archive: Archive, ledger: AnyLedger, profile: str, marks: Marks, now: datetime, warn: Callable[[str], None]
) -> Updated:
    """Write the calls of the days that are closed and not stored, or out of date; remove what is out of date.

    Args:
        archive: The archive.
        ledger: Its ledger.
        profile: The profile.
        marks: What it names that its records do not tell.
        now: The present instant, by the provider's clock if that is known.
        warn: Receives what does not fit the columns of the legs.

    Raises:
        OutputError: The archive cannot be written.
    """
    legs, done = legs_of(ledger.kept([profile]), profile), Updated()
    call = None if legs is None else call_of(legs)
    if legs is None or call is None:
        return done
    source = ArchivedCalls(archive, ledger, [legs]).read(legs, call)
    settled = settled_legs(source, lambda told: list(replan_future(told, now)))
    with writing_archive(archive.folder):
        files, state = stored_files(archive, profile), read_state(archive, profile, legs, marks)
        there = _leg_days(source)
        current = {
            day: one
            for day, one in state.items()
            if day in there and is_current(one, files.get(day), lambda name: source.files.get(name, ""), legs.retired)
        }
        wanted = [at for day, at in there.items() if day not in current and is_closed(at, source, settled)]
        for day in sorted(files.keys() - current.keys() - {str(day) for day in wanted}):
            remove_day(archive, profile, day)
            done.removed += 1
        if state != current:
            write_state(archive, profile, legs, marks, current)
        for days in _groups(wanted):
            found = _write_days(source, span_of(days[0], days[-1], source, settled), marks, now, warn)
            for day in [str(day) for day in days if str(day) not in found and str(day) in files]:
                remove_day(archive, profile, day)
                done.removed += 1
            current |= found
            if found:
                write_state(archive, profile, legs, marks, current)
            done.written += len(found)
            done.calls += sum(one.calls for one in found.values())
    return done


def _leg_days(source: ArchivedCall) -> dict[str, date]:
    """Return the days of which the archive has read legs, by name, without those that were removed."""
    names = {*source.files, *source.readings} - {UNKNOWN}
    return {name: date.fromisoformat(name) for name in sorted(names) if not is_retired(name, source.kept.retired)}


def _groups(days: Sequence[date]) -> Iterator[list[date]]:
    """Yield consecutive days together, `AT_ONCE` at most."""
    group: list[date] = []
    for day in days:
        if group and (day != group[-1] + DAY or len(group) == AT_ONCE):
            yield group
            group = []
        group.append(day)
    if group:
        yield group


class _Day(Struct):
    """The calls of a day that is being joined.

    Args:
        spool: Their rows, as lines of JSON.
        ends: When the last of them ended, or the day itself.
        calls: How many there are.
        doubtful: How many of them may lack legs: at the edge of what was read, or with an id that too many legs have.
        is_open: A leg that was not read may join one of them.
    """

    spool: IO[bytes]
    ends: datetime
    calls: int = 0
    doubtful: int = 0
    is_open: bool = False


def _write_days(
    source: ArchivedCall, span: Span, marks: Marks, now: datetime, warn: Callable[[str], None]
) -> dict[str, StoredDay]:
    """Write the calls of some days, and return what they were made of; those that cannot be closed are left out."""
    archive, zone = source.archive, source.archive.zone
    digests, found = LegDigests(archive, source.kept), dict[str, StoredDay]()
    read = {day: digests.of(str(day)) for day in span.leg_days(zone)}
    with ExitStack() as opened:
        days: dict[date, _Day] = {}
        for day in span.days():
            spool = opened.enter_context(SpooledTemporaryFile(IN_MEMORY))
            days[day] = _Day(spool, whole_day(day, zone).until)
        try:
            for row in _rows(source, span, marks, now, warn):
                day = _instant(row[START]).astimezone(zone).date()
                one = days[day]
                one.spool.write(json_of([row[at] for at in _KEPT]) + b"\n")
                one.calls += 1
                one.doubtful += row[WHY] in {EDGE, SHARED_ID}
                one.ends = max(one.ends, _instant(row[END] or row[START]))
                one.is_open |= _may_go_on(row, span, whole_day(day, zone).until + LONGEST, now)
        except _MissingLegsError:
            return {}
        for day, one in days.items():
            if not one.is_open:
                sha256, size = write_day(archive, source.kept.profile, str(day), _writer(archive.form, one.spool))
                legs = {str(at): sha for at, sha in read.items() if day - DAY <= at <= _last_leg(one, zone)}
                found[str(day)] = StoredDay(sha256, size, one.calls, one.doubtful, legs)
    return found


def _last_leg(day: _Day, zone: tzinfo) -> date:
    """Return the last day of which a leg may join a call."""
    return (day.ends + REACH).astimezone(zone).date()


class _MissingLegsError(Exception):
    """Legs that should be there cannot be read."""


def _rows(source: ArchivedCall, span: Span, marks: Marks, now: datetime, warn: Callable[[str], None]) -> Iterator[Row]:
    as_legs = leg_reader(source, warn)

    def pages() -> Iterator[Sequence[Any]]:
        for event in archived_events(source, span.legs, now, "cdrctl sync"):
            if isinstance(event, Gap):
                raise _MissingLegsError
            if isinstance(event, Page):
                yield as_legs(event)

    for page in joined_rows(pages(), source, span, "", marks, now):
        yield from (row for row in page if row[START] is not None)


def _may_go_on(row: Row, span: Span, latest: datetime, now: datetime) -> bool:
    """Return whether a leg that was not read may join a call: it lasts until the end of what was read."""
    end = row[END]
    if row[WHY] == "open":
        return span.legs.until < latest
    if end is None or (row[WHY] != EDGE and _instant(end) + REACH < span.legs.until):
        return False
    return _instant(end) < now and span.legs.until < latest


def _instant(value: Any) -> datetime:
    return datetime.fromisoformat(str(value)).astimezone(UTC)


def _writer(form: str, spool: IO[bytes]) -> Callable[[BinaryIO], None]:
    """Return the function that writes the calls of a temporary file in the format of the archive."""
    bare, packed = form.removesuffix(".gz"), form.endswith(".gz")
    look = writers.RenderOptions(80, UTC, color=False, name="calls")

    def pages() -> Iterable[Sequence[Row]]:
        spool.seek(0)
        while some := [json.loads(line) for line in islice(spool, PAGE)]:
            yield some

    def write(out: BinaryIO) -> None:
        schema = Schema(COLUMNS, lambda _page: [])
        if not packed:
            writers.load(bare)(schema, pages(), out, look)
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as file:
            writers.load(bare)(schema, pages(), file, look)

    return write
