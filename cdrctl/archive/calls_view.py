"""The view `calls` of SQL: whole calls, from the files that an archive stores, otherwise joined from the legs.

A stored file is used only if it is as it was written, and if the legs are those that it was made of: both are compared
by their content. The calls of the other days are joined when a statement reads them.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from cdrctl.archive.calls_legs import DAY as ONE_DAY, START, Span, joined_rows, leg_reader, span_of
from cdrctl.archive.calls_store import LegDigests, Marks, StoredDay, current_day, legs_of, path_of, read_state
from cdrctl.archive.index import reading_archive
from cdrctl.archive.intervals import overlap, whole_day
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.opening import local_file
from cdrctl.archive.source import ArchivedCall, file_events, read_file
from cdrctl.archive.status import call_of
from cdrctl.archive.store import FIRST_LAYOUT, UNKNOWN
from cdrctl.archive.views import DAY, CallName, Scan, View, days_there, everything
from cdrctl.calls.columns import CALL
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap, Page, Row

CALLS = "calls"
VIEW = View(CALLS, (*CALL, Column(DAY, "", "text", "day on which the call started, in the archive's time zone")), ())
"""The columns of the view; as no file has records like them, it has no calls of a provider."""

PAGE = 500
_PROFILE = next(at for at, column in enumerate(CALL) if column.name == "profile")
_FILE_COLUMNS = [column for column in CALL if column.name != "profile"]


class CallDays(Struct, frozen=True):
    """Some days of the calls of a profile.

    Args:
        source: The legs.
        profile: The name of the profile.
        span: Consecutive days whose calls are joined; None for calls whose start is unknown.
        stored: The day whose calls are stored; None if they are joined.
    """

    source: ArchivedCall
    profile: str
    span: Span | None = None
    stored: date | None = None
    content: StoredDay | None = None

    @property
    def path(self) -> Path:
        """The path of the stored calls."""
        return path_of(self.source.archive, self.source.kept.profile, str(self.stored))


class CallScan(Struct):
    """What statements read of the calls of an archive, with the digests that are known already.

    Args:
        scan: The archive.
        marks_of: Returns what a profile names that its records do not tell.
        digests: The digests of the legs, by profile.
    """

    scan: Scan
    marks_of: Callable[[KeptCall], Marks] = lambda _kept: Marks()
    digests: dict[str, LegDigests] = field(default_factory=dict)

    def days(
        self,
        wanted_calls: Callable[[Sequence[CallName]], Sequence[int]] = everything,
        wanted_days: Callable[[Sequence[date | None]], Sequence[int]] = everything,
    ) -> Iterator[CallDays]:
        """Yield the days that a statement reads: stored ones, and consecutive ones that are joined together.

        Args:
            wanted_calls: Returns the positions of those profiles that the statement reads.
            wanted_days: Returns the positions of those days that the statement reads.
        """
        archive = self.scan.archive
        profiles = dict.fromkeys(one.profile for one in archive.kept)
        legs = [found for name in profiles if (found := legs_of(archive.kept, name)) is not None]
        known = [(one, call) for one in legs if (call := call_of(one)) is not None]
        names = [CallName(load(one.provider), call, self.scan.name_of(one)) for one, call in known]
        for one in archive.kept:
            if one.provider not in PROVIDERS:
                self.scan.gaps[f"{one.profile} {one.call}: its provider is unknown"] = None
        for at in wanted_calls(names):
            kept, call = known[at]
            there = days_there(self.scan, kept)
            possible = [there[one] for one in wanted_days(there)]
            self.scan.days.setdefault((kept.profile, kept.call), set()).update(possible)
            yield from self._days_of(archive.read(kept, call), names[at].profile, possible)

    def _days_of(self, source: ArchivedCall, profile: str, possible: Sequence[date | None]) -> Iterator[CallDays]:
        stored = self._stored(source.kept)
        group: list[date] = []
        for day in sorted(one for one in possible if one is not None):
            current = stored.get(str(day)) if self._is_current(source.kept, str(day), stored) else None
            if group and (current is not None or day != group[-1] + ONE_DAY):
                yield CallDays(source, profile, span_of(group[0], group[-1], source, None))
                group = []
            if current is not None:
                yield CallDays(source, profile, stored=day, content=current)
            else:
                group.append(day)
        if group:
            yield CallDays(source, profile, span_of(group[0], group[-1], source, None))
        if None in possible:
            yield CallDays(source, profile)

    def _stored(self, kept: KeptCall) -> dict[str, StoredDay]:
        archive = self.scan.archive.archive
        if archive.layout == FIRST_LAYOUT:
            return {}
        with reading_archive(archive.folder):
            return read_state(archive, kept.profile, kept, self.marks_of(kept))

    def _is_current(self, kept: KeptCall, day: str, stored: dict[str, StoredDay]) -> bool:
        """Return whether the stored calls of a day are those of the legs; files that cannot be read are not."""
        if day not in stored:
            return False
        archive = self.scan.archive.archive
        digests = self.digests.setdefault(kept.profile, LegDigests(archive, kept))
        try:
            return current_day(archive, kept, day, stored[day], digests)
        except OSError:
            return False

    def pages(self, days: CallDays) -> Iterator[list[Row]]:
        """Yield the rows of some days, with the day of each call as the last column."""
        if days.stored is not None:
            yield from self._stored_pages(days)
            return
        parts = self._parts(days) if days.span is not None else self._unknown_parts(days)
        zone, marks = self.scan.archive.archive.zone, self.marks_of(days.source.kept)
        for page in joined_rows(parts, days.source, days.span, days.profile, marks, self.scan.now):
            yield [[*row, _day_of(row[START], zone)] for row in page if days.span is None or row[START] is not None]

    def joined_pages(self, days: CallDays) -> Iterator[list[Row]]:
        """Yield the rows of a day whose calls are stored, joined from the legs."""
        day = days.stored
        assert day is not None  # noqa: S101 - see above
        yield from self.pages(CallDays(days.source, days.profile, span_of(day, day, days.source, None)))

    def _stored_pages(self, days: CallDays) -> Iterator[list[Row]]:
        rows = stored_rows(days.path)
        self.scan.files += 1
        while some := list(islice(rows, PAGE)):
            for row in some:
                row.insert(_PROFILE, days.profile)
                row.append(str(days.stored))
            yield some

    def _parts(self, days: CallDays) -> Iterator[Sequence[Any]]:
        """Yield pages of the parts of the legs around some days; a file that cannot be used is a gap."""
        assert days.span is not None  # noqa: S101 - see the caller
        as_legs = leg_reader(days.source, self.scan.warn)
        zone = self.scan.archive.archive.zone
        for day in days.span.leg_days(zone):
            part = overlap(whole_day(day, zone), days.span.legs)
            if part is not None:
                yield from self._parts_in(days.source, str(day), part, as_legs)

    def _unknown_parts(self, days: CallDays) -> Iterator[Sequence[Any]]:
        return self._parts_in(days.source, UNKNOWN, None, leg_reader(days.source, self.scan.warn))

    def _parts_in(
        self, source: ArchivedCall, day: str, part: Any, as_legs: Callable[[Page], Sequence[Any]]
    ) -> Iterator[Sequence[Any]]:
        file, fault = read_file(source, day)
        if file is None:
            if fault or day in source.files:
                self.scan.gaps[fault or f"{source.path(day)} is missing"] = None
            return
        self.scan.files += 1
        for event in file_events(source, file, part):
            if isinstance(event, Gap):
                self.scan.gaps[f"{source.path(day)}: {event.what}"] = None
            elif isinstance(event, Page):
                yield as_legs(event)


def _day_of(start: Any, zone: Any) -> str | None:
    if start is None:
        return None
    return datetime.fromisoformat(str(start)).astimezone(UTC).astimezone(zone).date().isoformat()


# Stored calls as rows


def stored_rows(path: Path) -> Iterator[list[Any]]:
    """Yield the rows of a file of stored calls in JSON Lines or CSV, without the profile.

    Raises:
        OSError: It cannot be read.
    """
    with gzip.open(local_file(path)) if path.name.endswith(".gz") else path.open("rb") as file:
        if ".csv" not in path.name:
            for line in file:
                record = json.loads(line)
                yield [record.get(column.name) for column in _FILE_COLUMNS]
            return
        lines = (line.decode("utf-8") for line in file)
        rows = csv.reader(lines)
        next(rows, None)
        read = [_READERS.get(column.kind, str) for column in _FILE_COLUMNS]
        for row in rows:
            yield [None if cell == "" else to(cell) for to, cell in zip(read, row, strict=True)]


_READERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "seconds": int,
    "boolean": "true".__eq__,
    "list": json.loads,
}
