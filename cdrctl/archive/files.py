"""Day's files, in the layout of their archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from cdrctl.archive import layout1, layout2
from cdrctl.archive.dayfile import Contents, DayFile, RecoveredFile, Row
from cdrctl.archive.intervals import Reading
from cdrctl.archive.lateness import Lateness
from cdrctl.archive.recover import recover as recover1
from cdrctl.archive.store import FIRST_LAYOUT, Archive
from cdrctl.records.columns import Column
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


def save(
    archive: Archive,
    path: Path,
    columns: Sequence[Column],
    header: bytes,
    rows: Callable[[], Iterable[Row]],
    records: int,
    readings: Sequence[Reading],
    old: str,
    *,
    unchanged: bool,
    responses: Mapping[str, str] = MappingProxyType({}),
    lateness: Lateness | None = None,
) -> tuple[str, int]:
    """Write a day's file and its readings durably, and return the file's digest and size.

    A file that is not `old` is moved aside first: records that were not read are never replaced.

    Args:
        archive: The archive.
        path: The day's file.
        columns: The columns of the call.
        header: The CSV header of the lines; empty for JSON Lines and Parquet.
        rows: Returns its rows, ordered by start.
        records: How many there are.
        readings: Its readings.
        old: The digest of the file as it was loaded; empty if there was none.
        unchanged: The file already has these records.
        responses: The digests of complete responses that are in it, by window.
        lateness: How late its records came; None if it is not known. The first layout has no place for it.

    Raises:
        OSError: It cannot be written; then the old file is unchanged.
    """
    if archive.layout == FIRST_LAYOUT:
        return layout1.save(path, header, rows(), readings, old)
    about = (path, columns, header, rows, records, readings, old)
    return layout2.save(*about, unchanged=unchanged, responses=responses, lateness=lateness)
