"""The contents of a day's file, whatever its layout and its format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import Struct, field

from cdrctl.archive.index import Entry, milliseconds
from cdrctl.archive.intervals import Reading
from cdrctl.archive.lateness import Lateness
from cdrctl.records.columns import Column

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """One row of a day's file: an entry, and since when it is gone at the provider, in Unix milliseconds, or None."""

    start: int
    key: bytes
    line: bytes
    gone_at: int | None = None


class Part(Struct, frozen=True):
    """Some rows of a Parquet file.

    Args:
        keys: The key, the start and the mark of each row, without a line.
        values: The values of each column by its name, as in JSON; None if a row has values that are not in its columns.
        lines: Returns the line of each row.
    """

    keys: Sequence[Row]
    values: Mapping[str, Sequence[Any]] | None
    lines: Callable[[], Sequence[bytes]]

    def rows(self) -> Iterator[Row]:
        """Yield the rows."""
        for row, line in zip(self.keys, self.lines(), strict=True):
            yield Row(row.start, row.key, line, row.gone_at)


class DayFile(Struct, frozen=True):
    """A day's file.

    Args:
        rows: Yields its rows, ordered by start; each call reads them from the beginning.
        records: How many there are.
        readings: Its readings.
        sha256: Its digest; empty if the file is not as cdrctl wrote it.
        header: The header of a CSV file.
        responses: The digests of the last complete responses that are in it, by window, as far as they are known.
        lateness: How late its records came; None if it is not known.
        parts: Yields its rows some at a time, with their values; None if the format has no columns.
        whose: The profile and the call whose records it has, as `PROFILE/CALL`; empty if it does not say.
    """

    rows: Callable[[], Iterator[Row]]
    records: int
    readings: list[Reading]
    sha256: str
    header: bytes
    responses: Mapping[str, str] = field(default_factory=dict)
    lateness: Lateness | None = None
    parts: Callable[[], Iterator[Part]] | None = None
    whose: str = ""

    @property
    def entries(self) -> list[Entry]:
        """All records, in memory."""
        return [Entry(*row[:3]) for row in self.rows()]

    @property
    def gone(self) -> dict[bytes, datetime]:
        """Since when records are known to be gone at the provider, by key."""
        return {row.key: _EPOCH + timedelta(milliseconds=row.gone_at) for row in self.rows() if row.gone_at is not None}


class NewDay(Struct, frozen=True):
    """A day's file that is to be written.

    Args:
        columns: The columns of the call.
        header: The CSV header of the lines; empty for JSON Lines and Parquet.
        rows: Returns its rows, ordered by start.
        records: How many there are.
        readings: Its readings.
        old: The digest of the file as it was loaded; empty if cdrctl did not write it, or there was none.
        unchanged: The file already has these records.
        responses: The digests of complete responses that are in it, by window.
        lateness: How late its records came; None if it is not known. The first layout has no place for it.
    """

    columns: Sequence[Column]
    header: bytes
    rows: Callable[[], Iterable[Row]]
    records: int
    readings: Sequence[Reading]
    old: str = ""
    unchanged: bool = False
    responses: Mapping[str, str] = field(default_factory=dict)
    lateness: Lateness | None = None


def rows_of(entries: Iterable[Entry], gone: Mapping[bytes, datetime]) -> list[Row]:
    """Return entries as rows of a file.

    Args:
        entries: The entries.
        gone: Since when records are known to be gone at the provider, by key.
    """
    marks = {key: milliseconds(at) for key, at in gone.items()}
    return [Row(*entry, marks.get(entry.key)) for entry in entries]


def file_in_memory(rows: list[Row], readings: list[Reading], sha256: str, header: bytes, whose: str = "") -> DayFile:
    """Return a file whose rows are in memory."""
    return DayFile(lambda: iter(rows), len(rows), readings, sha256, header, whose=whose)


class RecoveredFile(NamedTuple):
    """The records of a file that is not as cdrctl wrote it.

    Args:
        file: The records.
        unread: How many lines are not records of the day.
        expected: How many records the file has, or had when it was written, whichever is more.
    """

    file: DayFile
    unread: int
    expected: int


class Contents(NamedTuple):
    """What a day's file is known to have without its records.

    Args:
        sha256: Its digest.
        records: How many records it has.
        readings: Its readings.
        responses: The digests of the last complete responses that are in it, by window.
        lateness: How late its records came; None if it is not known.
        whose: The profile and the call whose records it has, as `PROFILE/CALL`; empty if it does not say.
    """

    sha256: str
    records: int
    readings: list[Reading]
    responses: Mapping[str, str] = MappingProxyType({})
    lateness: Lateness | None = None
    whose: str = ""
