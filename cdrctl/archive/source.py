"""The archive as a source: the records that it has of a window, in the order of their calls, as a fetcher yields them.

Each day's file is read when its turn comes, and nothing is written or locked. What the archive does not have of the
window is a gap, as it is in an export from the provider.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from cdrctl import windows
from cdrctl.archive.ahead import day_and_readings, with_files
from cdrctl.archive.dayfile import DayFile, Part, Row
from cdrctl.archive.files import foreign_records, load
from cdrctl.archive.index import UNPLACED, milliseconds, reading_archive
from cdrctl.archive.intervals import (
    Reading,
    days,
    done_windows,
    overlap,
    replan_future,
    settled_windows,
    subtract,
    union,
    whole_day,
)
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.ledgers import AnyLedger, open_ledger
from cdrctl.archive.planning import not_retired
from cdrctl.archive.record_batches import batch_reader
from cdrctl.archive.records import archived_call, record_reader
from cdrctl.archive.store import UNKNOWN, Archive, is_there, open_archive
from cdrctl.archive.sync import BEYOND
from cdrctl.errors import UsageError
from cdrctl.export.availability import RECENT, UP_TO_NOW
from cdrctl.fetchers import Call
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page, Record, number_of_records
from cdrctl.windows import Window, rfc3339

PAGE = 500
"""How many records are read at a time."""

VERIFY = "cdrctl verify --into DIR checks all files"
"""The hint of a file that cannot be used."""

DAMAGED = "is damaged, or was changed by another program"
REBUILD = "restore the file, or use its rows as they are: cdrctl verify --rebuild --into DIR; then "

ATTEMPTS = 3
"""How often a file is read that does not fit what describes it: a sync may be replacing both."""


class ArchivedCalls(Struct, frozen=True):
    """An archive that is open for reading: the calls that it keeps."""

    archive: Archive
    ledger: AnyLedger
    kept: Sequence[KeptCall]

    def read(self, kept: KeptCall, call: Call) -> ArchivedCall:
        """Return a call that the archive keeps, ready to be read."""
        files = {one.day: one.sha256 for one in self.ledger.files(kept.profile, kept.call)}
        return ArchivedCall(self.archive, kept, call, self.ledger.readings(kept.profile, kept.call), files)


class ArchivedCall(Struct, frozen=True):
    """A call that an archive keeps of a profile.

    Args:
        archive: The archive.
        kept: Since when it is kept, and whose it is.
        call: The call, as its provider has it.
        readings: The readings in the ledger, by day.
        files: The digests of the files in the ledger, by day.
    """

    archive: Archive
    kept: KeptCall
    call: Call
    readings: Mapping[str, Sequence[Reading]]
    files: Mapping[str, str]

    @property
    def records(self) -> Call:
        """The call whose records are those of the archive."""
        return archived_call(self.call)

    def path(self, day: str) -> Path:
        """Return the path of a day's file."""
        return self.archive.path(self.kept.profile, self.kept.call, day)

    def read_until(self, now: datetime) -> datetime | None:
        """Return the instant until which the provider has been read; None if it has not."""
        done = [one for told in self.readings.values() for one in done_windows(replan_future(told, now))]
        return max((one.until for one in done), default=None)


@contextmanager
def open_source(folder: Path, names: Collection[str] | None = None) -> Iterator[ArchivedCalls]:
    """Open an archive for reading.

    Args:
        folder: The archive.
        names: The profiles that are wanted, so that the others cost nothing; None for all. If the archive has none of
            them, it is opened with all, for the error to name them.

    Raises:
        UsageError: There is no archive in the folder.
        OutputError: Its ledger cannot be read.
    """
    try:
        archive = open_archive(folder)
    except UsageError as error:
        with suppress(UsageError):  # `--from 24h`
            windows.instant(str(folder), zone=UTC, now=datetime.now(UTC))
            error.hint = f"did you mean --since? --from is the folder of an archive, and --since {folder} is a time"
        raise
    with closing(_open_ledger(archive)) as ledger:
        kept = [] if names is None else ledger.kept(names)
        yield ArchivedCalls(archive, ledger, kept or ledger.kept())


def _open_ledger(archive: Archive) -> AnyLedger:
    with reading_archive(archive.folder):
        return open_ledger(archive, read_only=True)


class _Missing(Struct, frozen=True):
    """A window that the archive does not have.

    Args:
        window: The window.
        why: Why.
        deleted: Its file was deleted, so that only `fill` reads it.
        damaged: A sync may not see that its file is damaged.
    """

    window: Window
    why: str
    deleted: bool = False
    damaged: bool = False


def archived_events(source: ArchivedCall, window: Window, now: datetime, sync: str) -> Iterator[Event]:
    """Yield the records that an archive has of a window, in the order of their calls, and its gaps.

    Records whose start is unknown come last: they may be of any window, so every export has them.

    Args:
        source: The call in the archive.
        window: The window.
        now: The present instant.
        sync: The command that reads what is missing, for the hints of gaps.
    """
    kept = source.kept
    begins = not_retired(source.archive.zone, kept.begins, kept.retired)
    pending: list[_Missing] = []
    if window.since < begins and kept.retired is not None:
        before = Window(window.since, min(window.until, begins))
        what = f"the calls from {_span(before)} were removed from the archive by cdrctl archive retain"
        yield Gap(what, "accept the gap with --allow-partial", window=before)
    elif window.since < begins:
        before = Window(window.since, min(window.until, begins))
        first = window.since.astimezone(source.archive.zone).date()
        what = f"the archive begins at {rfc3339(begins)} and does not contain the calls from {_span(before)}"
        yield Gap(what, f"read them with: {sync} --since {first}", window=before)
    known = overlap(window, Window(begins, max(_last_instant(source, now), begins + timedelta(seconds=1))))
    tail = _tail(source, window, now)
    whole = days(known, source.archive.zone) if known is not None else []
    for day, part in with_files(whole, lambda one: _files_of(source, one[0])):
        file, fault = read_file(source, day.isoformat())
        for one in _missing(source, day.isoformat(), part, file, fault, now, tail):
            yield from _gaps_before(pending, one, sync)
        if file is not None and file.records:
            yield from _gaps_before(pending, None, sync, until=part.since)
            yield from file_events(source, file, part)
        del file  # before the next one is read
        yield Checkpoint(part)
    yield from _gaps_before(pending, None, sync)
    file, fault = read_file(source, UNKNOWN)
    if fault or (file is None and UNKNOWN in source.files):
        yield Gap(fault or f"{source.path(UNKNOWN)} is missing: it has records whose start is unknown", VERIFY)
    if file is not None:
        yield from file_events(source, file, None)


def _files_of(source: ArchivedCall, day: date) -> list[Path]:
    """Return the files of a day that are certainly read, if the archive has the day."""
    return day_and_readings(source.path(day.isoformat())) if day.isoformat() in source.files else []


def recent_note(source: ArchivedCall, window: Window, now: datetime) -> tuple[datetime, list[Note]] | None:
    """Return the instant from which calls of a window may still be missing, with notes; None if there is none.

    It is the end of what was read where the window reaches to now, else the first instant that was read so early that
    its records may still appear or change.
    """
    done = source.read_until(now)
    if done is not None and window.since <= done < window.until and window.until >= now - UP_TO_NOW:
        text = f"the archive has no calls after {rfc3339(done)} yet (-v shows details)"
        long = "cdrctl sync reads later calls, and those that were in progress at that time"
        return done, [Note(text, topic=RECENT), Note(long, "debug", RECENT)]
    readings = [one for told in source.readings.values() for one in replan_future(told, now)]
    read = [part for one in done_windows(readings) if (part := overlap(one, window)) is not None]
    young = subtract(read, settled_windows(readings, source.call.timing.lookback))
    if not young:
        return None
    text = f"from {rfc3339(young[0].since)} on, calls may still be missing (-v shows details)"
    long = (
        f"they were read less than {source.call.timing.lookback // timedelta(hours=1)} hours after they started; "
        "cdrctl sync reads them again, with calls that were in progress at that time"
    )
    return young[0].since, [Note(text, topic=RECENT), Note(long, "debug", RECENT)]


# Files


def read_file(source: ArchivedCall, day: str) -> tuple[DayFile | None, str]:
    """Return a day's file, or None and, if it is there, why it cannot be used."""
    path = source.path(day)
    for _ in range(ATTEMPTS):
        try:
            found = load(source.archive, path)
            if found is not None or not is_there(path):
                return found, ""
        except OSError as error:
            return None, f"{path} cannot be read: {error.strerror or error}"
        except (EOFError, ValueError, zlib.error):
            break
    with suppress(OSError):
        if foreign := foreign_records(source.archive, path):
            return None, f"{path} {foreign}"
    return None, f"{path} {DAMAGED}"


def file_events(source: ArchivedCall, file: DayFile, part: Window | None) -> Iterator[Event]:
    """Yield the records that started in a part of the day, or all, and a gap for lines that are no records."""
    read, read_batch, unread = record_reader(source.call, file.header), batch_reader(source.call, file.header), 0
    for some in file.parts() if file.parts is not None else _parts(file):
        at = None if part is None else _positions(some.keys, part)
        batch = read_batch(some)
        records: Sequence[Record]
        if batch is not None:
            records = batch if at is None else batch.only(at)
        else:
            rows = [*some.rows()]
            wanted = rows if at is None else [rows[one] for one in at]
            records = [record for row in wanted if (record := read(row))]
            unread += len(wanted) - len(records)
        if records:
            yield Page(records)
    if unread:
        yield Gap(f"{number_of_records(unread)} of {source.kept.profile} cannot be read", VERIFY)


def _parts(file: DayFile) -> Iterator[Part]:
    """Yield the rows of a file whose format has no columns, some at a time."""
    rows = file.rows()
    while some := [*islice(rows, PAGE)]:
        yield Part(some, None, partial(_lines_of, some))


def _lines_of(rows: Sequence[Row]) -> Sequence[bytes]:
    return [row.line for row in rows]


def _positions(rows: Sequence[Row], part: Window) -> Sequence[int] | None:
    """Return the positions of the rows that started in a window, or whose start is unknown; None for all."""
    until_next = timedelta(microseconds=999)  # records start on whole milliseconds
    since, until = (milliseconds(one + until_next) for one in (part.since, part.until))
    at = [at for at, row in enumerate(rows) if row.start == UNPLACED or since <= row.start < until]
    return at if len(at) < len(rows) else None


# Gaps


def _last_instant(source: ArchivedCall, now: datetime) -> datetime:
    """Return the instant after which the archive has nothing: now, or the end of its last day."""
    names = [day for day in (*source.files, *source.readings) if day != UNKNOWN]
    if not names:
        return now
    last = whole_day(datetime.fromisoformat(max(names)).date(), source.archive.zone)
    return max(now, last.until)


def _tail(source: ArchivedCall, window: Window, now: datetime) -> Window | None:
    """Return the end of a window that reaches to now, if no run need have read it yet: it is no gap."""
    if window.until < now - UP_TO_NOW:
        return None
    done = source.read_until(now)
    since = max(done or now, now - source.call.timing.lookback)
    return Window(since, max(window.until, since + timedelta(seconds=1)))


def _missing(
    source: ArchivedCall,
    day: str,
    part: Window,
    file: DayFile | None,
    fault: str,
    now: datetime,
    tail: Window | None,
) -> list[_Missing]:
    """Return the parts of a day that the archive does not have, oldest first."""
    told = replan_future(source.readings.get(day, ()), now)
    done = done_windows(told)
    tried = [one for one in told if one.state != "done"]
    if file is None and (done or fault):
        about = {"deleted": not fault, "damaged": fault.endswith(DAMAGED)}
        return [_Missing(part, fault or f"{source.path(day)} is missing", **about)]
    if file is not None and file.sha256 != source.files.get(day):  # written by a run that did not end, or restored
        done = done_windows(replan_future(file.readings, now))
    missing = subtract([part], done)
    failed = [one for one in tried if any(overlap(one.window, hole) for hole in missing)]
    if tail is not None:
        untried = subtract([tail], [one.window for one in failed])
        missing = subtract(missing, untried)
    found = []
    for hole in missing:
        parts = [(overlap(hole, one.window), one.error) for one in failed]
        found += [_Missing(both, error) for both, error in parts if both is not None]
        found += [_Missing(rest, "") for rest in subtract([hole], [one.window for one in failed])]
    return sorted(found, key=lambda one: one.window.since)


def _gaps_before(
    pending: list[_Missing], new: _Missing | None, sync: str, *, until: datetime | None = None
) -> Iterator[Gap]:
    """Yield the gaps that a new one does not continue, and keep that one; without a new one, yield all that are kept.

    Args:
        pending: What is missing and not yielded yet: at most one window, which the next day may continue.
        new: What is missing next.
        sync: The command that reads what is missing.
        until: Yield only what begins before this instant.
    """
    last = pending[-1] if pending else None
    if new is not None and last is not None and (last.window.until, last.why) == (new.window.since, new.why):
        pending[-1] = replace(last, window=union([last.window, new.window])[0])
        return
    if last is not None and (until is None or last.window.since < until):
        yield _gap(last, sync)
        pending.clear()
    if new is not None:
        pending.append(new)


def _gap(missing: _Missing, sync: str) -> Gap:
    why = f": {missing.why}" if missing.why else ""
    beyond = missing.why == BEYOND
    first = REBUILD if missing.damaged else ""
    if missing.deleted:
        sync = sync.replace("cdrctl sync", "cdrctl fill", 1)
    return Gap(
        f"the archive does not contain the calls from {_span(missing.window)}{why}",
        "accept the gap with --allow-partial" if beyond else f"{first}read them with: {sync}",
        window=missing.window,
    )


def _span(window: Window) -> str:
    return f"{rfc3339(window.since)} to {rfc3339(window.until)}"
