"""Stores a day, and merges it again if another run has written its object in a store first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cdrctl.archive.day import Day, DayResult, Existing, read_existing, response_before, store_once
from cdrctl.archive.fetching import Fetched, Source
from cdrctl.archive.intervals import Reading, with_attempts
from cdrctl.archive.ledger import FileEntry
from cdrctl.archive.ledgers import AnyLedger
from cdrctl.archive.merge import Counts
from cdrctl.archive.opening import etag_of, pause, see_again
from cdrctl.archive.places import StoredPath
from cdrctl.archive.store import UNKNOWN, Archive
from cdrctl.errors import ConflictError

WRITES = 8
"""How often a day is merged again because another run wrote its object in a store first."""


def store_day(
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
) -> DayResult:
    """Merge the records that came into a day's file, write it, then update the ledger, and return the changes.

    If another run has written the object of the day in a store first, its records are read, and those that came are
    merged with them: the provider is not asked again, and the records of both runs stay.

    Args:
        archive: The archive.
        ledger: Its ledger.
        source: The call.
        day: The name of the day.
        came: The records that came.
        there: The state of the day before.
        readings: The readings of the day in the ledger.
        shrink: Remove records that are gone at the provider.
        lookback: For how long after a call its record may still appear or change.
    """
    path = archive.path(source.profile, source.call.name, day)
    if not isinstance(path, StoredPath):
        return store_once(archive, ledger, source, day, came, there, readings, shrink=shrink, lookback=lookback)
    came.spool.remember()
    about, concurrent = (archive, ledger, source, day, came), False
    for attempt in range(1, WRITES + 1):
        try:
            removes = shrink and not concurrent
            return store_once(*about, there, readings, shrink=removes, lookback=lookback, concurrent=concurrent)
        except ConflictError:
            if attempt == WRITES:
                raise
            pause(attempt)
            there, concurrent = _see_again(archive, ledger, source, day, came), True
            if there.old is not None and there.old.sha256:
                readings = with_attempts(there.old.readings, readings)
            if came.unchanged and not _has_response(came, there, source):
                return _leave(archive, ledger, source, day, there, readings, came.read_at)
    raise AssertionError("the last attempt returns or raises")


def _see_again(archive: Archive, ledger: AnyLedger, source: Source, day: str, came: Fetched) -> Existing:
    """Return the state of a day as another run has left it, and go back to the records as they came."""
    came.spool.restart()
    for name in (day, UNKNOWN):
        see_again(archive.path(source.profile, source.call.name, name))
    return read_existing(archive, ledger, source, Day(day, came.window), came.window)


def _has_response(came: Fetched, there: Existing, source: Source) -> bool:
    """Return whether a day's file has an unchanged response still."""
    return response_before(source, there, came.header).partition(" ")[0] == came.digest


def _leave(
    archive: Archive,
    ledger: AnyLedger,
    source: Source,
    day: str,
    there: Existing,
    readings: Sequence[Reading],
    now: datetime,
) -> DayResult:
    """Leave a day as another run has written it, after a response whose records the file had before that run.

    The response is not noted, so that the day is read again as long as the other run's reading says.
    """
    old, path = there.old, archive.path(source.profile, source.call.name, day)
    entry = None
    if old is not None and old.sha256:
        relative = path.relative_to(archive.folder).as_posix()
        about = (relative, old.sha256, old.records, path.stat().st_size, etag_of(path))
        entry = FileEntry(source.profile, source.call.name, day, *about)
    ledger.write(source.profile, source.call.name, day, readings, entry, now, old.lateness if old else None)
    return DayResult(Counts(), 0, 0, "")
