"""Accepts a day's file whose readings are lost, by its rows: each has its key and the start of its call.

The readings are lost if the file was copied without its `_readings.json`, or if another program changed one of the two.
"""

from __future__ import annotations

from pathlib import Path

from cdrctl.archive.dayfile import Contents
from cdrctl.archive.files import foreign_records
from cdrctl.archive.index import UNPLACED, milliseconds
from cdrctl.archive.intervals import Reading
from cdrctl.archive.layout2 import NotOursError, rows_in, update_readings
from cdrctl.archive.ledger_days import CallLedger
from cdrctl.archive.opening import open_file
from cdrctl.archive.presence import window_of
from cdrctl.archive.store import UNKNOWN, Archive, digest_of, whose_in
from cdrctl.windows import Window


def accepted_contents(archive: Archive, path: Path, before: CallLedger) -> Contents | None:
    """Return the contents of a file whose readings are lost.

    The readings are those of the old ledger if it knows this file. Otherwise the day is to be read again.

    Args:
        archive: The archive, in the current layout.
        path: The file, which has no readings.
        before: The old ledger of its call.

    Returns:
        None if a row is not as cdrctl writes it, is there twice or is of another day, or if the file says that its
        records are those of another profile.

    Raises:
        OSError: It cannot be read.
    """
    day = archive.names(path)[2]
    whole = window_of(archive, day)
    sha256, known = digest_of(path), before.files.get(day)
    if sha256 is None or (whole is None and day != UNKNOWN) or foreign_records(archive, path):
        return None
    if known is not None and known.sha256 == sha256:
        readings = before.readings.get(day, [])
        return Contents(sha256, known.records, readings, {}, before.lateness.get(day), whose_in(path))
    try:
        records = _count_rows(path, whole)
    except NotOursError:
        return None
    readings = [] if whole is None else [Reading(whole, "planned")]
    return Contents(sha256, records, readings, {}, before.lateness.get(day), whose_in(path))


def accept(path: Path, contents: Contents) -> None:
    """Write the readings of a file beside it, durably.

    Raises:
        OSError: They cannot be written.
    """
    update_readings(path, contents.sha256, contents)


def _count_rows(path: Path, day: Window | None) -> int:
    """Return how many rows a file has.

    Raises:
        NotOursError: A row is not as cdrctl writes it, is there twice or is of another day.
    """
    keys: set[bytes] = set()
    count = 0
    with open_file(path) as file:
        for row in rows_in(path.name, file):
            count += 1
            keys.add(row.key)
            if (row.start == UNPLACED) != (day is None) or (day is not None and not _holds(day, row.start)):
                raise NotOursError("a row is of another day")
    if len(keys) < count:
        raise NotOursError("a row is there twice")
    return count


def _holds(day: Window, start: int) -> bool:
    return milliseconds(day.since) <= start < milliseconds(day.until)
