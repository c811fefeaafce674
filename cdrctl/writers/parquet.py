"""Parquet: strictly typed columns for data analysis."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from cdrctl.writers.typed import DIGITS, PLACES, fitter, typed_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, BinaryIO

    from typing_extensions import Buffer

    from cdrctl.records.columns import Kind
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

BINARY = True

ROWS = 32_768
LARGEST = 8 * 1024 * 1024
"""Rows, or bytes before compression, of a row group, which memory holds as a whole; readers skip whole groups."""

_TYPES: Mapping[Kind, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "seconds": pa.int64(),
    "decimal": pa.decimal128(DIGITS, PLACES),
    "money": pa.decimal128(DIGITS, PLACES),
    "boolean": pa.bool_(),
    "time": pa.timestamp("us", "UTC"),  # the unit that most programs support
    "list": pa.string(),
}
_FROM_TEXT = (_TYPES["decimal"], _TYPES["time"])
"""The types whose values come as text."""


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    """Write Parquet: the same columns and types on every run, and `extra` in every schema.

    Instants are in UTC, integers have 64 bits, money and decimals are exact, lists and objects are JSON text.

    Raises:
        UsageError: The schema has no columns, or one of them twice.
    """
    shape, as_batch = arrow_batches(schema, look.warn)
    stream = _Stream(out)
    writer: ParquetWriter | None = None
    group: list[pa.RecordBatch] = []
    try:
        for page in pages:
            if not page:
                continue
            if writer is None:
                pa.system_memory_pool().release_unused()  # what sorting and joining freed, which malloc keeps
                writer = ParquetWriter(stream, shape)
            group.append(as_batch(page))
            if sum(map(len, group)) >= ROWS or sum(batch.nbytes for batch in group) >= LARGEST:
                writer.write_table(pa.Table.from_batches(group), row_group_size=ROWS)
                group.clear()
        writer = writer or ParquetWriter(stream, shape)
        if group:
            writer.write_table(pa.Table.from_batches(group), row_group_size=ROWS)
        writer.close()
    except BaseException:
        stream.ended = True
        raise


def arrow_batches(
    schema: Schema, warn: Callable[[str], None]
) -> tuple[pa.Schema, Callable[[Sequence[Any]], pa.RecordBatch]]:
    """Return the Arrow schema of a schema, and a function that converts a page to an Arrow record batch.

    The types depend on the columns alone, so that all batches of a call have the same schema. `warn` is called once for
    each column with values that do not fit it; they go to `extra`, as JSON.

    Raises:
        UsageError: The schema has no columns, or one of them twice.
    """
    shape, fit = arrow_schema(schema), fitter(schema, warn)

    def as_batch(page: Sequence[Any]) -> pa.RecordBatch:
        return pa.record_batch(arrow_arrays(shape, fit(page)), schema=shape)

    return shape, as_batch


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema of a schema.

    Raises:
        UsageError: The schema has no columns, or one of them twice.
    """
    return pa.schema([pa.field(column.name, _TYPES[column.kind]) for column in typed_columns(schema)])


def arrow_arrays(shape: pa.Schema, cells: Sequence[Sequence[Any]]) -> list[pa.Array]:
    """Return the columns of a page, as `fitter` returns them, as Arrow arrays."""
    return [
        pa.array(values, pa.string()).cast(kind) if kind in _FROM_TEXT else pa.array(values, kind)
        for kind, values in zip(shape.types, cells, strict=True)
    ]


class _Stream(io.RawIOBase):
    """The stream of pyarrow, which completes its file on release: half an export would look whole."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.ended = False

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        return memoryview(data).nbytes if self.ended else self._out.write(data)
