"""One day of one call in the archive: read the file, merge it with the records that came, write file and ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.archive.dayfile import DayFile, NewDay, Row
from cdrctl.archive.details import keep_details
from cdrctl.archive.fetching import Fetched, Source, header_of
from cdrctl.archive.files import foreign_records, load, recover, save
from cdrctl.archive.index import Entry
from cdrctl.archive.intervals import (
    Reading,
    State,
    add_reading,
    done_windows,
    overlap,
    subtract,
    whole_day,
)
from cdrctl.archive.lateness import Lateness, added, observe
from cdrctl.archive.ledger import FileEntry
from cdrctl.archive.ledgers import AnyLedger
from cdrctl.archive.lines import columns_of, recast, union_header
from cdrctl.archive.merge import Counts, NearRows, call_traits
from cdrctl.archive.moved import near_rows
from cdrctl.archive.opening import etag_of
from cdrctl.archive.options import selects_alike
from cdrctl.archive.spool import Merged, Spool
from cdrctl.archive.store import DATE, UNKNOWN, Archive, is_there, writing_archive
from cdrctl.errors import IncompleteError
from cdrctl.records.events import number_of_records
from cdrctl.windows import Window, rfc3339

GONE_ALARM = timedelta(days=7)
"""For how long runs exit with 3 because of a record that is gone at the provider, from the first run that misses it."""


class Day(Struct, frozen=True):
    """The part of one day that a run reads.

    Args:
        name: The day as `2026-11-19`.
        window: The part of it.
    """

    name: str
    window: Window


class Existing(Struct, frozen=True):
    """The state of a day in the archive before it is read.

    Args:
        old: Its file; None if there is none.
        window: The window to read: larger than planned if the file is not as cdrctl wrote it.
        doubted: The part whose successful readings do not count, because the file is missing or was changed.
        expected: How many records the file had before it was changed; 0 if it is as cdrctl wrote it.
    """

    old: DayFile | None
    window: Window
    doubted: Window | None = None
    expected: int = 0

    def valid_readings(self, readings: Sequence[Reading]) -> list[Reading]:
        """Return the readings of the day without the successful ones in the doubted part."""
        if self.doubted is None:
            return list(readings)
        result = [one for one in readings if one.state != "done"]
        for one in readings:
            if one.state == "done":
                result += [replace(one, window=part) for part in subtract([one.window], [self.doubted])]
        return sorted(result, key=lambda one: one.window.since)


class DayResult(Struct, frozen=True):
    """How a reading changed a day.

    Args:
        counts: How it changed the records.
        gone: How many records have been gone at the provider for less than `GONE_ALARM`.
        beyond_lookback: How many of the late records are of a time that had been settled.
        error: Why the day is incomplete; empty if it is complete.
    """

    counts: Counts
    gone: int
    beyond_lookback: int
    error: str


def read_existing(archive: Archive, ledger: AnyLedger, source: Source, day: Day, reach: Window) -> Existing:
    """Return the state of a day in the archive, without changing anything.

    If a file is not as cdrctl wrote it, it is read line by line and the window becomes the whole day, as far as the
    provider still has it.

    Args:
        archive: The archive.
        ledger: Its ledger.
        source: The call.
        day: The day and the planned window.
        reach: The period that the provider can be queried for.

    Raises:
        IncompleteError: The file cannot be read.
    """
    path = archive.path(source.profile, source.call.name, day.name)
    _check_not_a_link(path)
    whole = _calendar_day(archive, day.name)
    old, expected = _load(archive, ledger, source, path, day.name, whole)
    if old is None:
        return Existing(None, day.window, whole)
    if old.sha256:
        return Existing(old, day.window)
    window = (overlap(whole, reach) if whole is not None else None) or day.window
    return Existing(old, window, window, expected)


def _check_not_a_link(path: Path) -> None:
    """Check that the folder of a day is not a link to the folder of another day, whose records would be replaced.

    Raises:
        IncompleteError: It is.
    """
    folder = path.parent
    if folder.is_symlink() and (target := folder.resolve()).name.startswith(DATE) and target.name != folder.name:
        raise IncompleteError(
            f"{folder} is a link to the folder of another day, {target.name}: nothing is written there",
            hint="remove the link, and run cdrctl fill",
        )


def _load(
    archive: Archive, ledger: AnyLedger, source: Source, path: Path, name: str, whole: Window | None
) -> tuple[DayFile | None, int]:
    """Return a day's file, and how many records it had before another program changed it (0 if none did)."""
    try:
        try:
            old = load(archive, path)
        except (EOFError, ValueError):  # compressed, and damaged
            old = None
        if old is not None or not is_there(path):
            return old, 0
        lines = recover(archive, path, whole, source.call.alike, header_of(archive, source.call))
    except OSError as error:
        raise IncompleteError(
            f"{path} cannot be read: {error.strerror or error}",
            hint="correct its permissions, and run the command again",
        ) from None
    entry = next(
        (one for one in ledger.files(source.profile, source.call.name) if one.day == name),
        None,
    )
    expected = max(lines.expected, entry.records if entry is not None else 0)
    changed = "was changed by another program, or copied without the file that describes it"
    source.log(
        "warning",
        f"{path} {foreign_records(archive, path) or changed}: "
        f"{lines.file.records} of its lines are kept"
        + (f", {lines.unread} cannot be read" if lines.unread else "")
        + "; if the file is replaced, a copy stays beside it under another name",
    )
    return lines.file, expected


def _calendar_day(archive: Archive, name: str) -> Window | None:
    """Return the window of a day by its name; None for the file of records without a start."""
    return None if name == UNKNOWN else whole_day(datetime.fromisoformat(name).date(), archive.zone)


def store_once(
    archive: Archive,
    ledger: AnyLedger,
    source: Source,
    day: str,
    came: Fetched,
    there: Existing,
    readings: Sequence[Reading],
    *,
    shrink: bool,
    lookback: timedelta,
    concurrent: bool = False,
) -> DayResult:
    """Do what `storing.store_day` says, which has the same arguments; `concurrent` says that another run wrote the day.

    Raises:
        ConflictError: Another run has written the object of the day in a store.
    """
    with ledger.writing(), writing_archive(archive.path(source.profile, source.call.name, day)):
        known, before, mixed = _readings_before(source, came, there, readings)
        lost = _add_unplaced(archive, ledger, source, came.spool.take_unplaced(), came)
        placed = came.placed
        rows: Callable[[], Iterable[Row]] = came.spool.rows
        late_starts: Iterable[int] = ()
        if (old := _file_with(came, there, source)) is not None:
            # Nothing is merged, so the rows are those of the file: also if another program replaces it by now.
            header, result, rows = old.header, Merged(Counts(), old.records, 0, 0, changed=False), old.rows
        else:
            about = (source, came.spool, came, there, before, partial(near_rows, archive, source, day))
            header, result = _merge_day(*about, shrink=shrink, mixed=mixed, concurrent=concurrent)
            late_starts = came.spool.late_starts(done_windows(before))
        alarming = came.spool.gone_since(came.read_at - GONE_ALARM)
        lost += max(there.expected - result.records, 0)
        error = _why_incomplete(archive, source, day, came, lost, alarming)
        reading = _reading(source, came, placed, error, result.missing, mixed=mixed)
        found = observe(came.window, came.read_at, before, lookback, late_starts, complete=came.complete)
        late = _total_lateness(ledger, source, day, there.old, found)
        readings, entry = add_reading(known, reading), None
        if there.old is not None or result.records or not error:  # a complete day without calls has an empty file
            responses = _responses(source, came, result, there.old, concurrent=concurrent)
            entry = _save(archive, source, day, rows, header, result, readings, there.old, responses, late)
        ledger.write(source.profile, source.call.name, day, readings, entry, came.read_at, late)
    counts = result.counts if shrink else result.counts._replace(gone=alarming)
    return DayResult(counts, alarming, 0 if found is None else found.beyond, error)


def _total_lateness(
    ledger: AnyLedger, source: Source, day: str, old: DayFile | None, found: Lateness | None
) -> Lateness | None:
    """Return how late the records of a day came by all of its readings; None if it is not known.

    What the file says counts; the ledger, if the file is not as cdrctl wrote it.
    """
    is_ours = old is not None and old.sha256
    before = old.lateness if old and is_ours else ledger.lateness(source.profile, source.call.name).get(day)
    parts = [one for one in (before, found) if one is not None]
    return added(parts) if parts else None


def _is_mixed(source: Source, came: Fetched, readings: Sequence[Reading]) -> bool:
    """Return whether some of the window was read with options that select other records.

    Records that came with the one selection cannot be missed in a response with the other, in either direction, so none
    of the window is taken for gone any more.
    """
    return any(
        one.mixed or not selects_alike(source.call, one.options, source.options)
        for one in readings
        if _concerns(one, came)
    )


def _readings_before(
    source: Source, came: Fetched, there: Existing, readings: Sequence[Reading]
) -> tuple[list[Reading], list[Reading], bool]:
    """Return the readings of the day, those with which the response can be compared, and whether its window is mixed.

    The readings of a mixed window are marked, and there are none to compare with.
    """
    mixed = _is_mixed(source, came, readings)
    known = there.valid_readings(readings)
    known = [replace(one, mixed=one.mixed or (mixed and _concerns(one, came))) for one in known]
    return known, [] if mixed else known, mixed


def _concerns(reading: Reading, came: Fetched) -> bool:
    """Return whether the archive may have records of a window from a reading."""
    return (reading.mixed or reading.read_at is not None) and overlap(reading.window, came.window) is not None


def response_before(source: Source, there: Existing, header: bytes) -> str:
    """Return the digests of the last response of a window that the day's file has; empty if there are none.

    Args:
        source: The call.
        there: The state of the day.
        header: The CSV header of the lines that come.
    """
    old = there.old
    if old is None or there.doubted is not None or old.header != header:
        return ""
    return old.responses.get(_name(source, there.window), "")


def _file_with(came: Fetched, there: Existing, source: Source) -> DayFile | None:
    """Return the day's file if it has this response already, so that a merge would change nothing; else None."""
    if came.unchanged:
        return there.old
    before = response_before(source, there, came.header).partition(" ")[0]
    return there.old if came.complete and before == came.digest else None


def _responses(
    source: Source, came: Fetched, result: Merged, old: DayFile | None, *, concurrent: bool
) -> dict[str, str]:
    """Return the digests of the responses that are in a file after a merge: of the records, then as they were sent.

    None is kept where records are gone at the provider: each run reports them. If another run wrote the file after the
    records came, the response is not noted, so that the next run compares all of it with the file.
    """
    before = {} if old is None or result.changed else dict(old.responses)
    if not came.complete or result.gone:
        return {}
    if concurrent:
        return before
    return {**before, _name(source, came.window): f"{came.digest} {came.sent}".strip()}


def _name(source: Source, window: Window) -> str:
    """Return the name of a window as it is read with the options of a call."""
    return f"{rfc3339(window.since)}/{rfc3339(window.until)}{source.options and f' {source.options}'}"


def _why_incomplete(archive: Archive, source: Source, day: str, came: Fetched, lost: int, alarming: int) -> str:
    """Return why a day is incomplete; empty if it is complete.

    Args:
        archive: The archive.
        source: The call.
        day: The name of the day.
        came: The records that came.
        lost: How many records of a changed file are neither in its lines nor at the provider.
        alarming: How many records have been gone at the provider for less than `GONE_ALARM`.
    """
    if not came.complete:
        return source.clean(came.tally.gaps[0].what)
    if lost:
        name = archive.path(source.profile, source.call.name, day).name
        return (
            f"another program changed {name}; {number_of_records(lost)} could be found neither in its lines nor at the "
            "provider; a copy of the changed file stays beside it"
        )
    if alarming:
        return (
            f"no longer at the provider, and kept in the archive: {number_of_records(alarming)} "
            "(--allow-shrink removes such records)"
        )
    return ""


def _merge_day(
    source: Source,
    spool: Spool,
    came: Fetched,
    there: Existing,
    known: Sequence[Reading],
    near: NearRows = tuple,
    *,
    shrink: bool = False,
    placed: bool = True,
    mixed: bool = False,
    concurrent: bool = False,
) -> tuple[bytes, Merged]:
    """Merge the new and the old records under one header, and return it with the result.

    Of a record that both have, the line that was requested last is stored. `concurrent` says that another run wrote the
    file after the records came.

    Records without a start are only added to, and so are those of a mixed window.
    """
    old = there.old
    header = union_header(came.header, old.header) if old is not None else came.header
    if header != came.header:
        spool.recast(lambda line: recast(line, came.header, header))
    if old is not None:
        spool.add_old(_recast_rows(old, header))
    details = source.call, header
    result = spool.merge(
        came.window if placed else None,
        done_windows(known),
        complete=placed and not mixed and came.complete,
        shrink=shrink,
        traits=call_traits(source.call.alike, columns_of(header)),
        read_at=came.read_at,
        concurrent=concurrent,
        near=near,
        keep=_keep_stored
        if concurrent and _is_newer(old, came)
        else keep_details(*details, wanted=source.wants_details),
    )
    same = old is not None and old.header == header
    return header, result if same else result._replace(changed=True)


def _keep_stored(line: bytes, _came: bytes) -> bytes:
    return line


def _is_newer(old: DayFile | None, came: Fetched) -> bool:
    """Return whether a file has something of the window from a request that was not made before that of `came`."""
    readings = [one for one in old.readings if overlap(one.window, came.window) is not None] if old is not None else []
    return any(one.read_at is not None and one.read_at >= came.read_at for one in readings)


def _recast_rows(old: DayFile, header: bytes) -> Iterator[Row]:
    """Yield the rows of a file under another header."""
    if old.header == header:
        return old.rows()
    return (row._replace(line=recast(row.line, old.header, header)) for row in old.rows())


def _reading(source: Source, came: Fetched, placed: int, error: str, missing: int, *, mixed: bool) -> Reading:
    """Return the reading of a response: failed if there is an error."""
    state: State = "failed" if error else "done"
    return Reading(came.window, state, came.read_at, placed, error or _note(missing), source.options, mixed)


def _note(missing: int) -> str:
    """Return the remark of a successful reading about records that have long been gone; empty if there are none."""
    return f"no longer at the provider, and kept: {number_of_records(missing)}" if missing else ""


def _save(
    archive: Archive,
    source: Source,
    day: str,
    rows: Callable[[], Iterable[Row]],
    header: bytes,
    result: Merged,
    readings: Sequence[Reading],
    old: DayFile | None,
    responses: Mapping[str, str] = MappingProxyType({}),
    lateness: Lateness | None = None,
) -> FileEntry:
    """Write the rows of a merged day and its readings, and return the entry of the file for the ledger."""
    path = archive.path(source.profile, source.call.name, day)
    before, columns = "" if old is None else old.sha256, source.call.columns
    new = NewDay(columns, header, rows, result.records, readings, before, not result.changed, responses, lateness)
    sha256, size = save(archive, path, new)
    relative = path.relative_to(archive.folder).as_posix()
    return FileEntry(source.profile, source.call.name, day, relative, sha256, result.records, size, etag_of(path))


def _add_unplaced(archive: Archive, ledger: AnyLedger, source: Source, entries: Sequence[Entry], came: Fetched) -> int:
    """Add records whose start cannot be parsed to the file `date=unknown`, the same file for every reading.

    Return how many records of that file are lost because another program changed it.
    """
    if not entries:
        return 0
    path = archive.path(source.profile, source.call.name, UNKNOWN)
    old, expected = _load(archive, ledger, source, path, UNKNOWN, None)
    with Spool() as spool:
        spool.add_new(entries)
        header, result = _merge_day(source, spool, came, Existing(old, came.window), [], placed=False)
        entry = _save(archive, source, UNKNOWN, spool.rows, header, result, [], old)
    ledger.write(source.profile, source.call.name, UNKNOWN, [], entry, came.read_at)
    return max(expected - result.records, 0)
