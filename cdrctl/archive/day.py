"""One day of one call: what its file is, what came, and both merged into the new file and its line in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cdrctl.archive.fetched import Fetched, Source, header_of
from cdrctl.archive.index import UNPLACED, Entry
from cdrctl.archive.intervals import Reading, add_reading, done_windows, overlap, subtract, whole_day
from cdrctl.archive.ledger import FileEntry, Ledger
from cdrctl.archive.lines import columns_of, fields_of, recast, union_header
from cdrctl.archive.merge import Counts, MergeResult, call_traits, merge
from cdrctl.archive.recover import recover
from cdrctl.archive.store import UNKNOWN, Archive, DayFile, is_there, load, save, writing_archive
from cdrctl.archive.twins import assign_keys
from cdrctl.errors import IncompleteError
from cdrctl.fetchers import Call
from cdrctl.records.events import number_of_records
from cdrctl.windows import Window

GONE_ALARM = timedelta(days=7)
"""How long records that are gone at the provider make runs end with 3: then somebody has seen it, or nobody will."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day's part of a run: what of it is to be read."""

    name: str
    window: Window


@dataclass(frozen=True, slots=True)
class Existing:
    """What there is of a day before it is read.

    Args:
        old: Its file; None when there is none.
        window: What is to be read: more than was planned where the file is not as it was written.
        doubted: Of what is said to have been read, this part does not count.
        expected: How many records the file had, where it is not as it was written; 0 where it is.
    """

    old: DayFile | None
    window: Window
    doubted: Window | None = None
    expected: int = 0

    def known(self, readings: Sequence[Reading]) -> list[Reading]:
        """Return the readings of the day that count, without the successes in the doubted part."""
        if self.doubted is None:
            return list(readings)
        result = [one for one in readings if one.state != "done"]
        for one in readings:
            if one.state == "done":
                result += [replace(one, window=part) for part in subtract([one.window], [self.doubted])]
        return sorted(result, key=lambda one: one.window.since)


@dataclass(frozen=True, slots=True)
class DayResult:
    """What became of a day.

    Args:
        counts: What became of its records.
        gone: How many records, gone at the provider, are worth an alarm.
        error: Why the day is not done; empty when it is.
    """

    counts: Counts
    gone: int
    error: str


def read_existing(archive: Archive, ledger: Ledger, source: Source, day: Day, reach: Window) -> Existing:
    """Return what there is of a day; nothing is changed.

    A file whose index is missing or does not match is read line by line, and the whole day is to be read again, as far
    as the provider has it.

    Args:
        archive: The archive.
        ledger: Its ledger.
        source: The call.
        day: The day, and what was planned.
        reach: From when and until when the provider can be asked.

    Raises:
        IncompleteError: The file cannot be read.
    """
    path = archive.path(source.profile, source.call.name, day.name)
    whole = _calendar_day(archive, day.name)
    old, expected = _load(archive, ledger, source, path, day.name, whole)
    if old is None:
        return Existing(None, day.window, whole)
    if old.sha256:
        return Existing(old, day.window)
    window = (overlap(whole, reach) if whole is not None else None) or day.window
    return Existing(old, window, window, expected)


def _load(
    archive: Archive, ledger: Ledger, source: Source, path: Path, name: str, whole: Window | None
) -> tuple[DayFile | None, int]:
    """Return a day's file, and how many records it had where it is not as it was written."""
    try:
        try:
            old = load(path)
        except (EOFError, ValueError):  # compressed, and damaged
            old = None
        if old is not None or not is_there(path):
            return old, 0
        lines = recover(archive, path, whole, source.call.alike, header_of(archive, source.call))
    except OSError as error:
        raise IncompleteError(
            f"{path} cannot be read: {error.strerror or error}", hint="mend its permissions, and run it again"
        ) from None
    filed = next(
        (one for one in ledger.files() if (one.profile, one.call, one.day) == (source.profile, source.call.name, name)),
        None,
    )
    expected = max(lines.expected, filed.records if filed is not None else 0)
    source.log(
        "warning",
        f"{path} was changed by another hand, or copied without the hidden index beside it: of its lines "
        f"{len(lines.file.entries)} are kept"
        + (f", and {lines.unread} cannot be read" if lines.unread else "")
        + "; the file itself stays under another name if it is replaced",
    )
    return lines.file, expected


def _calendar_day(archive: Archive, name: str) -> Window | None:
    return None if name == UNKNOWN else whole_day(datetime.fromisoformat(name).date(), archive.zone)


def store_day(
    archive: Archive,
    ledger: Ledger,
    source: Source,
    day: str,
    came: Fetched,
    there: Existing,
    readings: Sequence[Reading],
    *,
    shrink: bool,
) -> DayResult:
    """Write a day's file and then its line in the ledger, and return what became of it.

    Args:
        archive: The archive.
        ledger: Its ledger.
        source: The call.
        day: The name of the day.
        came: What the provider gave.
        there: What there was of the day.
        readings: What the ledger says of the day.
        shrink: Records that are gone at the provider leave the archive.
    """
    path = archive.path(source.profile, source.call.name, day)
    with ledger.writing(), writing_archive(path):
        known = there.known(readings)
        lost = _add_unplaced(archive, ledger, source, [one for one in came.entries if one.start == UNPLACED], came)
        placed = [entry for entry in came.entries if entry.start != UNPLACED]
        both = _merge_day(source.call, placed, came, there, known, shrink=shrink)
        marks = both.result.gone
        alarming = sum(came.read_at - marks[key] < GONE_ALARM for key in both.result.missing)
        counts = both.result.counts
        counts = counts._replace(gone=counts.gone if shrink else alarming)
        missing = max(there.expected - len(both.result.entries), 0) + lost
        error = ""
        if not came.whole:
            error = source.clean(came.tally.gaps[0].what)
        elif missing:
            error = (
                f"another program changed {path.name}, and {number_of_records(missing)} of it could not be found in "
                "its lines or at the provider; the changed file is kept beside it"
            )
        elif alarming:
            error = (
                f"no longer at the provider, and kept in the archive: {number_of_records(alarming)} "
                "(--allow-shrink removes what is gone)"
            )
        reading = Reading(
            came.window,
            "failed" if error else "done",
            came.read_at,
            len(placed),
            error or _note(len(both.result.missing)),
        )
        readings = add_reading(known, reading)
        filed = None
        if there.old is not None or both.result.entries or not error:  # a day without calls has a file, which says so
            filed = _save(archive, source, day, both, readings, there.old)
        ledger.write(source.profile, source.call.name, day, readings, filed, came.read_at)
    return DayResult(counts, alarming, error)


@dataclass(frozen=True, slots=True)
class _MergedDay:
    """A merge, and the header of its lines."""

    result: MergeResult
    header: bytes


def _merge_day(
    call: Call,
    new: Sequence[Entry],
    came: Fetched,
    there: Existing,
    known: Sequence[Reading],
    *,
    shrink: bool = False,
    placed: bool = True,
) -> _MergedDay:
    """Return the new and the old records merged under one header; records without a day are only added to."""
    old = there.old
    header = union_header(came.header, old.header) if old is not None else came.header
    ours = [one._replace(line=recast(one.line, old.header, header)) for one in old.entries] if old is not None else []
    theirs = assign_keys([one._replace(line=recast(one.line, came.header, header)) for one in new], ours)
    result = merge(
        ours,
        theirs,
        came.window if placed else None,
        done_windows(known),
        whole=placed and came.whole,
        shrink=shrink,
        like=call_traits(call.alike, columns_of(header)),
        gone=old.gone if old is not None else None,
        at=came.read_at,
    )
    return _MergedDay(result, header)


def _note(missing: int) -> str:
    """Return the remark of a finished reading about records long gone; empty when there are none."""
    return f"no longer at the provider, and kept: {number_of_records(missing)}" if missing else ""


def _save(
    archive: Archive, source: Source, day: str, both: _MergedDay, readings: Sequence[Reading], old: DayFile | None
) -> FileEntry:
    path = archive.path(source.profile, source.call.name, day)
    entries = both.result.entries
    marked = DayFile([], [], old.sha256 if old is not None else "", b"", both.result.gone)
    sha256, size = save(path, both.header, entries, readings, marked)
    relative = path.relative_to(archive.folder).as_posix()
    return FileEntry(source.profile, source.call.name, day, relative, sha256, len(entries), size)


def _add_unplaced(archive: Archive, ledger: Ledger, source: Source, entries: Sequence[Entry], came: Fetched) -> int:
    """Keep records whose start cannot be read in a file of their own, where every reading that finds them looks.

    Return how many records are missing of a file that was changed by another hand.
    """
    if not entries:
        return 0
    path = archive.path(source.profile, source.call.name, UNKNOWN)
    old, expected = _load(archive, ledger, source, path, UNKNOWN, None)
    both = _merge_day(source.call, entries, came, Existing(old, came.window), [], placed=False)
    filed = _save(archive, source, UNKNOWN, both, [], old)
    ledger.write(source.profile, source.call.name, UNKNOWN, [], filed, came.read_at)
    return max(expected - len(both.result.entries), 0)


def account_in(line: bytes, column: str, header: bytes) -> str:
    """Return the account that a record names, or nothing where it names none."""
    fields = fields_of(line, columns_of(header)) if column else None
    value = (fields or {}).get(column)
    return value if isinstance(value, str) else ""
