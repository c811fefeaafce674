"""The view of whole calls as an Arrow data set: a statement reads the days and columns that it needs.

Stored calls in Parquet are read as they are. Calls that were joined are kept in a temporary file, for statements that
read them more than once.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from cdrctl.archive.arrow_views import FORMAT, PROVIDER, LazyDataset, of_day, possible
from cdrctl.archive.calls_legs import Span
from cdrctl.archive.calls_view import VIEW, CallDays, CallScan
from cdrctl.archive.opening import local_file
from cdrctl.archive.views import DAY, PROFILE, row_schema
from cdrctl.errors import OutputError
from cdrctl.records.columns import EXTRA
from cdrctl.writers.parquet import arrow_batches

START = "start_time"


class CallsDataset(LazyDataset):
    """The view `calls`."""

    def __init__(self, calls: CallScan, problems: list[BaseException], place: Path) -> None:
        self._calls, self._place = calls, place
        shape, self._as_batch = arrow_batches(row_schema(VIEW), calls.scan.warn)
        fields = [
            field.with_type(pa.date32()) if field.name == DAY else field for field in shape if field.name != EXTRA
        ]
        super().__init__(pa.schema(fields), problems)
        self._joined: dict[tuple[str, Span | None], Path] = {}
        self._lock = threading.Lock()

    def _rows(self, names: list[str], condition: Any) -> Iterator[Any]:
        zone = self._calls.scan.archive.archive.zone
        for days in self._calls.days(
            lambda calls: possible(
                self.schema,
                [(ds.field(PROFILE) == one.profile) & (ds.field(PROVIDER) == one.provider.name) for one in calls],
                condition,
            ),
            lambda days: possible(self.schema, [of_day(day, zone, START) for day in days], condition),
        ):
            if days.stored is not None and days.path.name.endswith(".parquet"):
                yield from self._parquet_batches(days, names, condition)
            else:
                for batch in self._calls_of(days):
                    yield from ds.InMemoryDataset(batch).scanner(columns=names, filter=condition).to_batches()

    def _calls_of(self, days: CallDays) -> Iterator[Any]:
        """Yield the calls of some days; they are joined once, into a temporary file."""
        if days.stored is not None:
            yield from map(self._typed, self._calls.pages(days))
            return
        with self._lock:
            path = self._joined.get((days.profile, days.span))
            if path is None:
                path = self._joined[days.profile, days.span] = self._place / f"calls-{len(self._joined)}.arrow"
                self._write(path, days)
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
            yield from (reader.get_batch(at) for at in range(reader.num_record_batches))

    def _write(self, path: Path, days: CallDays) -> None:
        """Join the calls of some days into a temporary file."""
        try:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self.schema) as writer:
                for page in self._calls.pages(days):
                    if page:
                        writer.write(self._typed(page))
        except OSError as error:
            raise OutputError(
                f"temporary files cannot be written: {error.strerror or error}", hint="free disk space, or set TMPDIR"
            ) from error

    def _typed(self, page: Sequence[Any]) -> Any:
        batch = self._as_batch(page)
        arrays = [batch.column(batch.schema.names.index(field.name)).cast(field.type) for field in self.schema]
        return pa.record_batch(arrays, schema=self.schema)

    def _parquet_batches(self, days: CallDays, names: list[str], condition: Any) -> Iterator[Any]:
        """Yield the stored calls of a day; if another run replaces them meanwhile, they are joined instead."""
        assert days.content is not None  # noqa: S101 - it is stored
        with pa.OSFile(local_file(days.path)) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == days.content.sha256:
                file.seek(0)
                constants = (ds.field(PROFILE) == days.profile) & (ds.field(DAY) == pa.scalar(days.stored))
                fragment = FORMAT.make_fragment(file, partition_expression=constants)
                self._calls.scan.files += 1
                yield from fragment.scanner(schema=self.schema, columns=names, filter=condition).to_batches()
                return
        for page in self._calls.joined_pages(days):
            yield from ds.InMemoryDataset(self._typed(page)).scanner(columns=names, filter=condition).to_batches()
