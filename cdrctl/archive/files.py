"""Day's files, in the layout of their archive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from cdrctl.archive import layout1, layout2
from cdrctl.archive.dayfile import Contents, DayFile, NewDay, RecoveredFile
from cdrctl.archive.intervals import Reading, overlap, whole_day
from cdrctl.archive.recover import recover as recover1
from cdrctl.archive.store import DATE, FIRST_LAYOUT, Archive
from cdrctl.windows import Window


def load(archive: Archive, path: Path) -> DayFile | None:
    """Return a day's file, or None if it is missing, or not as cdrctl wrote it for this day.

    Raises:
        OSError: It cannot be read.
    """
    found = layout1.load(path) if archive.layout == FIRST_LAYOUT else layout2.load(path)
    return found if found is not None and _are_of_day(archive, path, found.readings) else None


def contents_of(archive: Archive, path: Path) -> Contents | None:
    """Return the digest, records and readings of a day's file, or None if cdrctl did not write it for this day.

    Raises:
        OSError: It cannot be read.
    """
    found = layout1.contents_of(path) if archive.layout == FIRST_LAYOUT else layout2.contents_of(path)
    return found if found is not None and _are_of_day(archive, path, found.readings) else None


def is_written(archive: Archive, path: Path, sha256: str) -> bool:
    """Return whether cdrctl wrote the file with a digest as a day's file of an archive of the present layout.

    Raises:
        OSError: What is beside it cannot be read.
    """
    found = layout2.written_contents(path).get(sha256)
    return found is not None and _are_of_day(archive, path, found.readings)


def deleted_contents(archive: Archive, path: Path) -> Contents | None:
    """Return the known contents of a day's file that was deleted; None if nothing beside it has them.

    Raises:
        OSError: What is beside it cannot be read.
    """
    found = layout1.deleted_contents(path) if archive.layout == FIRST_LAYOUT else layout2.deleted_contents(path)
    return found if found is not None and _are_of_day(archive, path, found.readings) else None


def _are_of_day(archive: Archive, path: Path, readings: Sequence[Reading]) -> bool:
    """Return whether readings can be those of a day's file, and not of a copy of another day's folder."""
    try:
        day = whole_day(date.fromisoformat(path.parent.name.removeprefix(DATE)), archive.zone)
    except ValueError:  # records without a start, which any reading may bring
        return not readings
    return all(overlap(one.window, day) is not None for one in readings)


def recover(archive: Archive, path: Path, day: Window | None, alike: Sequence[str], header: bytes) -> RecoveredFile:
    """Return the records of a file that is not as cdrctl wrote it, without changing anything.

    Args:
        archive: The archive.
        path: The file.
        day: Its day; None for the file of records without a start.
        alike: The columns of start, parties and type; if empty, every line counts as a record of the day.
        header: The CSV header to assume if the file has none.

    Raises:
        OSError: The file cannot be read.
    """
    if archive.layout == FIRST_LAYOUT:
        return recover1(archive, path, day, alike, header)
    return layout2.recover(path, day, alike, header)


def save(archive: Archive, path: Path, day: NewDay) -> tuple[str, int]:
    """Write a day's file and its readings durably, and return the file's digest and size.

    A file that cdrctl did not write is moved aside first: records that were not read are never replaced.

    Raises:
        IncompleteError: Another program has changed the file since it was loaded; nothing is written.
        OSError: It cannot be written; then the old file is unchanged.
    """
    if archive.layout == FIRST_LAYOUT:
        return layout1.save(path, day.header, day.rows(), day.readings, day.old)
    return layout2.save(path, day)
