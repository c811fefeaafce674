"""The records of an archive as views: the columns of each view, the days that it is made of, and their rows.

There is a view for each call of each provider, over all profiles, and `common` over all calls. Nothing here knows SQL
or a database: `arrow_views` offers the views to DuckDB as they are, and `query` copies them if pyarrow is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, field

from cdrctl.archive.dayfile import Row as FileRow
from cdrctl.archive.index import UNPLACED, instant_text, reading_archive
from cdrctl.archive.layout2 import GONE_AT, KEY, START, NotOursError
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.records import ArchivedRecord, archived_call, record_reader
from cdrctl.archive.source import ArchivedCall, ArchivedCalls, read_file
from cdrctl.archive.store import DATE, UNKNOWN, call_files
from cdrctl.fetchers import PROVIDERS, Call, Provider, load
from cdrctl.records.columns import Column
from cdrctl.records.common import COMMON as COMMON_COLUMNS
from cdrctl.records.events import Page, Row, number_of_records
from cdrctl.records.schemas import EXTRA_COLUMN, Schema, common, native

COMMON = "common"
"""The name of the view of common CDRs."""

PROFILE, CALL, DAY = "profile", "call", "date"

PAGE = 2000
"""How many records are converted at a time."""

_PROFILE = Column(PROFILE, "", "text", "profile of the record")
_CALL = Column(CALL, "", "text", "call of the provider that has the record, such as cdrs")
OURS = (
    Column(KEY, "", "text", "key of the record in the archive: a digest"),
    Column(START, "", "time", "start of the call, by which the archive files it; null if it is unknown"),
    Column(GONE_AT, "", "time", "since when the provider no longer has the record; null if it still has the record"),
    Column(DAY, "", "text", "day on which the call started, in the archive's time zone; null if it is unknown"),
)
"""The columns of the archive itself, which are the last ones of each view."""


class View(Struct, frozen=True):
    """A view.

    Args:
        name: Its name, such as `webex_cdrs`.
        columns: Its columns, in order.
        calls: The calls whose records it has.
        names: The names of its columns in a day's file; empty for common CDRs, which no file has.
    """

    name: str
    columns: tuple[Column, ...]
    calls: tuple[tuple[Provider, Call], ...]
    names: tuple[str, ...] = ()


class Day(Struct, frozen=True):
    """A day of a call of a profile: what a view is made of.

    Args:
        source: The call in the archive.
        provider: Its provider.
        profile: The name of its profile.
        day: The day; None for records whose start is unknown.
    """

    source: ArchivedCall
    provider: Provider
    profile: str
    day: date | None

    @property
    def path(self) -> Path:
        """The path of its file."""
        return self.source.path(self.name)

    @property
    def name(self) -> str:
        """The name of the day."""
        return UNKNOWN if self.day is None else self.day.isoformat()


class CallName(NamedTuple):
    """A call of a profile."""

    provider: Provider
    call: Call
    profile: str


class Scan(Struct):
    """What a statement has read of an archive.

    Args:
        archive: The archive.
        now: The present instant.
        name_of: Returns the name of a profile outside of the archive.
        warn: Receives warnings about records that do not fit their columns, each once.
        gaps: What could not be read.
        days: The days that a statement reads, of each profile and call.
        files: How many files were read.
    """

    archive: ArchivedCalls
    now: datetime
    name_of: Callable[[KeptCall], str]
    warn: Callable[[str], None]
    gaps: dict[str, None] = field(default_factory=dict)
    days: dict[tuple[str, str], set[date | None]] = field(default_factory=dict)
    files: int = 0


def all_views() -> list[View]:
    """Return the views of every archive: they do not depend on what it keeps."""
    calls = [(provider, call) for provider in map(load, PROVIDERS) for call in provider.calls if call.archived]
    whole = [_native_view(provider, call) for provider, call in calls]
    columns = (*COMMON_COLUMNS, EXTRA_COLUMN, _CALL, *OURS)
    return [*whole, View(COMMON, columns, tuple(one for one in calls if one[1].common is not None))]


def _native_view(provider: Provider, call: Call) -> View:
    """Return the view of a call. A native column with the name of one of ours gets an underscore at its end."""
    taken = {column.name for column in (_PROFILE, *OURS)}
    own = [Column(f"{one.name}_" if one.name in taken else one.name, "", one.kind, one.meaning) for one in call.columns]
    names = (PROFILE, *(one.name for one in call.columns), EXTRA_COLUMN.name, KEY, START, GONE_AT, DAY)
    name = f"{provider.name}_{call.name}".replace("-", "_")
    return View(name, (_PROFILE, *own, EXTRA_COLUMN, *OURS), ((provider, call),), names)


def everything(what: Sequence[object]) -> Sequence[int]:
    """Return the positions of all."""
    return range(len(what))


def days_of(
    scan: Scan,
    view: View,
    wanted_calls: Callable[[Sequence[CallName]], Sequence[int]] = everything,
    wanted_days: Callable[[Sequence[date | None]], Sequence[int]] = everything,
) -> list[Day]:
    """Return the days that a statement reads of a view, those with an unknown start last, and keep a note of them.

    Args:
        scan: The archive.
        view: The view.
        wanted_calls: Returns the positions of those calls that the statement reads.
        wanted_days: Returns the positions of those days that the statement reads.
    """
    known = {(provider.name, call.name): (provider, call) for provider, call in view.calls}
    kept = [one for one in scan.archive.kept if (one.provider, one.call) in known and not _is_doubled(scan, view, one)]
    for one in scan.archive.kept:
        if one.provider not in PROVIDERS:
            scan.gaps[f"{one.profile} {one.call}: its provider is unknown"] = None
    named = [CallName(*known[one.provider, one.call], scan.name_of(one)) for one in kept]
    there = {at: days_there(scan, kept[at]) for at in wanted_calls(named)}
    days = [*dict.fromkeys([*_calendar(scan, kept), *(day for found in there.values() for day in found)])]
    possible = {days[at] for at in wanted_days(days)}
    result: list[Day] = []
    for at, found in there.items():
        scan.days.setdefault((kept[at].profile, kept[at].call), set()).update(possible)
        source = ArchivedCall(scan.archive.archive, kept[at], named[at].call, {}, {})  # what files need, and no more
        result += (Day(source, named[at].provider, named[at].profile, day) for day in found if day in possible)
    return result


def _is_doubled(scan: Scan, view: View, kept: KeptCall) -> bool:
    """Return whether a view of common CDRs has the calls of a listing from the main call of the profile already."""
    if view.names:
        return False
    provider = next(provider for provider, _ in view.calls if provider.name == kept.provider)
    if not provider.call(kept.call).beside:
        return False
    return any((one.profile, one.call) == (kept.profile, provider.calls[0].name) for one in scan.archive.kept)


def _calendar(scan: Scan, kept: Sequence[KeptCall]) -> Iterator[date]:
    """Yield the days since the archive keeps the first of some calls."""
    zone = scan.archive.archive.zone
    day = min((one.begins for one in kept), default=scan.now).astimezone(zone).date()
    while day <= scan.now.astimezone(zone).date():
        yield day
        day += timedelta(days=1)


def days_there(scan: Scan, kept: KeptCall) -> list[date | None]:
    """Return the days of a call that have a file, or should have one."""
    archive = scan.archive.archive
    with reading_archive(archive.folder):
        paths = call_files(archive, kept.profile, kept.call)
    names = {path.parent.name.removeprefix(DATE) for path in paths}
    names |= {one.day for one in scan.archive.ledger.files(kept.profile, kept.call)}
    days = sorted(day for name in names if (day := _day(name)) is not None)
    return [*days, None] if UNKNOWN in names else [*days]


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


def row_schema(view: View) -> Schema:
    """Return the schema of the rows of a view."""
    return Schema(view.columns, lambda _page: [])


def pages(scan: Scan, view: View, day: Day) -> Iterator[Sequence[Row]]:
    """Yield the rows of a day, page by page; a file that cannot be used is a gap."""
    file, fault = read_file(day.source, day.name)
    scan.files += 1
    if file is None:
        scan.gaps[fault or f"{day.path} is missing"] = None
        return
    as_rows, read, left = _converter(scan, view, day), record_reader(day.source.call, file.header), file.rows()
    unread = 0
    try:
        while part := list(islice(left, PAGE)):
            found = [(record, row) for row in part if (record := read(row)) is not None]
            unread += len(part) - len(found)
            if found:
                yield as_rows(found)
    except NotOursError as error:
        scan.gaps[f"{day.path} is damaged: {error}"] = None
    if unread:
        scan.gaps[f"{day.path}: {number_of_records(unread)} cannot be read"] = None


def _converter(scan: Scan, view: View, day: Day) -> Callable[[Sequence[tuple[ArchivedRecord, FileRow]]], list[Row]]:
    """Return the function from the records of a day, with their rows in its file, to the rows of a view."""
    call, archived = day.source.call, archived_call(day.source.call)
    of_day = None if day.day is None else day.name
    before: list[str] = []
    between: list[str | None] = []
    if view.names:
        before, rows = [day.profile], native(archived.columns, None, scan.warn, call.expected).rows
    else:
        assert call.common is not None  # noqa: S101 - the view has only such calls
        names = {"provider": day.provider.name, "profile": day.profile}
        rows = common(archived.columns, call.common, None, scan.warn, **names, known=call.expected).rows
        between = [None, call.name]

    def as_rows(found: Sequence[tuple[ArchivedRecord, FileRow]]) -> list[Row]:
        ours = [_ours(row, of_day) for _, row in found]
        records = [record for record, _ in found]
        return [[*before, *row, *between, *own] for row, own in zip(rows(Page(records)), ours, strict=True)]

    return as_rows


def _ours(row: FileRow, day: str | None) -> list[str | None]:
    start = None if row.start == UNPLACED else instant_text(row.start)
    return [row.key.hex(), start, None if row.gone_at is None else instant_text(row.gone_at), day]
