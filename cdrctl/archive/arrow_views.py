"""Views as Arrow data sets: a statement reads only the days, the columns and the rows that it needs.

DuckDB passes each scan the columns and the conditions of the statement. Days that cannot fulfil the conditions are left
out before their files are opened. A Parquet file with the usual columns is read as it is; another file, line by line.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, tzinfo
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import LocalFileSystem

from cdrctl.archive.ahead import day_and_readings, with_files
from cdrctl.archive.columnar import EXACT
from cdrctl.archive.files import is_written
from cdrctl.archive.intervals import whole_day
from cdrctl.archive.layout2 import START
from cdrctl.archive.opening import local_file
from cdrctl.archive.source import ATTEMPTS
from cdrctl.archive.views import CALL, DAY, OURS, PROFILE, CallName, Day, Scan, View, days_of, pages, row_schema
from cdrctl.writers.parquet import arrow_batches

PROVIDER = "provider"
FORMAT = ds.ParquetFileFormat()
_IN_ARCHIVE = pa.timestamp("ms", "UTC")
"""The type of the archive's own times in its Parquet files."""


class LazyScanner:
    """A scan whose batches are made by the thread that asks for them.

    Those of `Scanner.from_batches` are made by Arrow's own threads. As they scan files in turn, which takes such
    threads, a statement with many scans would wait for ever.
    """

    def __init__(self, schema: Any, batches: Iterator[Any]) -> None:
        self.projected_schema = schema
        self._batches = batches

    def to_reader(self) -> Any:
        """Return the batches as a stream."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._batches)


class LazyDataset(ds.Dataset):  # type: ignore[misc]
    """A view as DuckDB reads it: a data set that finds its rows when it is scanned."""

    def __init__(self, schema: Any, problems: list[BaseException]) -> None:
        """Return the data set.

        Args:
            schema: The columns and their types.
            problems: Receives what ends a scan: DuckDB would report it as text.
        """
        self._schema, self._problems = schema, problems

    @property
    def schema(self) -> Any:
        """The columns and their types."""
        return self._schema

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_more: Any) -> Any:  # noqa: A002
        """Return the rows that fulfil a condition, with some of the columns; by default, all."""
        names = self._schema.names if columns is None else list(columns)
        schema = pa.schema([self._schema.field(name) for name in names])
        return LazyScanner(schema, self._reported(names, filter))

    def _rows(self, names: list[str], condition: Any) -> Iterator[Any]:
        """Yield batches with these columns of the rows that fulfil a condition."""
        raise NotImplementedError

    def _reported(self, names: list[str], condition: Any) -> Iterator[Any]:
        try:
            yield from self._rows(names, condition)
        except GeneratorExit:  # nobody reads on: DuckDB has an error of its own, or enough rows
            raise
        except BaseException as error:
            self._problems.append(error)
            raise


class ArchiveDataset(LazyDataset):
    """A view of records."""

    def __init__(self, scan: Scan, view: View, problems: list[BaseException]) -> None:
        self._scan, self._view = scan, view
        shape, self._as_batch = arrow_batches(row_schema(view), scan.warn)
        schema = pa.schema([field.with_type(pa.date32()) if field.name == DAY else field for field in shape])
        super().__init__(schema, problems)

    def _days(self, condition: Any) -> list[Day]:
        """Return the days that may have rows that fulfil a condition."""
        zone = self._scan.archive.archive.zone
        return days_of(
            self._scan,
            self._view,
            lambda calls: possible(self._schema, [self._of_call(one) for one in calls], condition),
            lambda days: possible(self._schema, [of_day(day, zone, START) for day in days], condition),
        )

    def _of_call(self, one: CallName) -> Any:
        """Return the condition that every row of a call meets."""
        known = ds.field(PROFILE) == one.profile
        if self._view.names:
            return known
        return known & (ds.field(PROVIDER) == one.provider.name) & (ds.field(CALL) == one.call.name)

    def _rows(self, names: list[str], condition: Any) -> Iterator[Any]:
        for day in with_files(self._days(condition), lambda one: day_and_readings(one.path)):
            yield from self._day_batches(day, names, condition)

    def _day_batches(self, day: Day, names: list[str], condition: Any) -> Iterator[Any]:
        if self._view.names and day.source.archive.form == "parquet":
            known = yield from self._parquet_batches(day, names, condition)
            if known:
                return
        for page in pages(self._scan, self._view, day):
            batch = self._as_batch(page)
            of_day = batch.column(batch.schema.names.index(DAY)).cast(pa.date32())
            arrays = [of_day if name == DAY else batch.column(at) for at, name in enumerate(self._schema.names)]
            typed = pa.record_batch(arrays, schema=self._schema)
            yield from ds.InMemoryDataset(typed).scanner(columns=names, filter=condition).to_batches()

    def _parquet_batches(self, day: Day, names: list[str], condition: Any) -> Generator[Any, None, bool]:
        """Yield the rows of a Parquet file, and return whether it has the usual columns or cannot be read at all."""
        with _parquet_errors(self._scan, day):
            file = _opened(day)
            rows = None if file is None else _parquet_rows(file, day, self._view, self._schema)
            if rows is None:
                return False
            self._scan.files += 1
            yield from rows(columns=names, filter=condition).to_batches()
        return True


def possible(schema: Any, known: Sequence[Any], condition: Any) -> list[int]:
    """Return the positions of those facts with which a condition on the rows of a schema can be fulfilled."""
    if condition is None or not known:
        return [*range(len(known))]
    paths = [str(at) for at in range(len(known))]
    among = ds.FileSystemDataset.from_paths(
        paths, schema=schema, format=FORMAT, filesystem=LocalFileSystem(), partitions=list(known)
    )
    return sorted(int(one.path) for one in among.get_fragments(filter=condition))


def of_day(day: date | None, zone: tzinfo, start: str) -> Any:
    """Return the condition that every row of a day meets; `start` is the column with the start of its call."""
    if day is None:
        return ds.field(DAY).is_null() & ds.field(start).is_null()
    window = whole_day(day, zone)
    since, until = (pa.scalar(one.astimezone(UTC), pa.timestamp("us", "UTC")) for one in (window.since, window.until))
    return (ds.field(DAY) == pa.scalar(day)) & (ds.field(start) >= since) & (ds.field(start) < until)


@contextmanager
def _parquet_errors(scan: Scan, day: Day) -> Iterator[None]:
    """Make a gap of an error about a Parquet file."""
    try:
        yield
    except FileNotFoundError:
        scan.gaps[f"{day.path} is missing"] = None
    except (OSError, pa.ArrowException) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is damaged"
        scan.gaps[f"{day.path} cannot be read: {why}"] = None


def _opened(day: Day) -> Any:
    """Return a day's open file, which a sync may replace in the meantime; None if cdrctl did not write it.

    Raises:
        OSError: The file cannot be read.
    """
    for _ in range(ATTEMPTS):
        file = pa.OSFile(local_file(day.path))
        if is_written(day.source.archive, day.path, hashlib.file_digest(file, "sha256").hexdigest()):
            file.seek(0)
            return file
        file.close()
    return None


def _parquet_rows(file: Any, day: Day, view: View, schema: Any) -> Any:
    """Return the function that scans an open Parquet file; None if it does not have the usual columns.

    Raises:
        OSError: The file cannot be read.
        ArrowException: It is damaged.
    """
    types = dict(zip(view.names, schema.types, strict=True)) | {EXACT: pa.string()}
    del types[PROFILE], types[DAY]
    types |= {column.name: _IN_ARCHIVE for column in OURS if column.kind == "time"}
    own = {old: new for old, new in zip(view.names, schema.names, strict=True) if old != new}
    types |= {name: schema.field(new).type for name, new in own.items()}
    fragment = FORMAT.make_fragment(file, partition_expression=None if own else _constants(day))
    there = fragment.physical_schema
    if any(types.get(one.name) != one.type for one in there):
        return None  # another version wrote it: the slow way tells what it does not know
    if not own:
        return functools.partial(fragment.scanner, schema=schema)
    return _renamed(fragment.to_table(), own, schema, day).scanner


def _constants(day: Day) -> Any:
    """Return the columns that no file has."""
    of_day = ds.field(DAY).is_null() if day.day is None else ds.field(DAY) == pa.scalar(day.day)
    return (ds.field(PROFILE) == day.profile) & of_day


def _renamed(table: Any, own: Mapping[str, str], schema: Any, day: Day) -> Any:
    """Return the rows of a table under the names of its view."""
    table = table.rename_columns([own.get(name, name) for name in table.schema.names])
    constant = {PROFILE: day.profile, DAY: day.day}
    arrays = []
    for field in schema:
        if field.name in constant:
            arrays.append(pa.repeat(pa.scalar(constant[field.name], field.type), len(table)))
        elif field.name in table.schema.names:
            arrays.append(table.column(field.name).cast(field.type))
        else:
            arrays.append(pa.nulls(len(table), field.type))
    return ds.InMemoryDataset(pa.table(arrays, schema=schema))
