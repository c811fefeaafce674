"""Day's files, in the layout of their archive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cdrctl.archive import layout1, layout2
from cdrctl.archive.dayfile import Contents, DayFile, NewDay, RecoveredFile
from cdrctl.archive.recover import recover as recover1
from cdrctl.archive.store import FIRST_LAYOUT, Archive
from cdrctl.windows import Window


def load(archive: Archive, path: Path) -> DayFile | None:
    """Return a day's file, or None if it is missing, or not as cdrctl wrote it.

    Raises:
        OSError: It cannot be read.
    """
    return layout1.load(path) if archive.layout == FIRST_LAYOUT else layout2.load(path)


def contents_of(archive: Archive, path: Path) -> Contents | None:
    """Return the digest, the number of records and the readings of a day's file, or None if cdrctl did not write it.

    Raises:
        OSError: It cannot be read.
    """
    return layout1.contents_of(path) if archive.layout == FIRST_LAYOUT else layout2.contents_of(path)


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

    A file that is not the one that was loaded is moved aside first: records that were not read are never replaced.

    Raises:
        OSError: It cannot be written; then the old file is unchanged.
    """
    if archive.layout == FIRST_LAYOUT:
        return layout1.save(path, day.header, day.rows(), day.readings, day.old)
    return layout2.save(path, day)
