"""The rows of a day in Parquet: typed columns, and a guarantee that each record comes back exactly as it was kept.

Records are kept as lines of JSON. A line becomes a row of typed columns, as `writers.parquet` writes them. Where a
typed column cannot hold a value exactly, such as the last zero of the amount 1.50, `_exact` has the value as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from itertools import islice, repeat
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from cdrctl.archive.canonical import json_lines
from cdrctl.archive.dayfile import Part, Row
from cdrctl.archive.index import UNPLACED, instant_texts, milliseconds
from cdrctl.archive.layout2 import GONE_AT, KEY, OURS, START, NotOursError
from cdrctl.records.batches import RowBatch
from cdrctl.records.columns import EXTRA, Column, Kind
from cdrctl.records.events import Value
from cdrctl.records.schemas import EXTRA_COLUMN, Schema
from cdrctl.writers.parquet import arrow_arrays, arrow_schema
from cdrctl.writers.typed import fitter
from cdrctl.writers.values import json_of

EXACT = "_exact"
PART = 250
"""How many rows are Python objects at the same time."""
GROUP = 8192
"""How many rows a row group has, which memory holds as a whole."""
LARGEST = 1536 * 1024
"""The most bytes of a row group, before compression: the encoders of its columns take several times as much."""

_LIST = b"list"
_KIND, _NAME = b"kind", b"name"
FOLDERS = frozenset({"profile", "call", "date"})
"""The names that Hive-style folders give to columns."""
_TIME = pa.timestamp("ms", "UTC")
_STORED_TIME = pa.timestamp("us", "UTC")
"""The type of times as `writers.parquet` writes them."""
_HEAD = (pa.field(KEY, pa.string()), pa.field(START, _TIME), pa.field(GONE_AT, _TIME))


def write_rows(columns: Sequence[Column], rows: Iterable[Row], out: BinaryIO) -> None:
    """Write the rows of a day as a Parquet file."""
    schema = _schema(columns)
    shape, fit = arrow_schema(schema), fitter(schema, lambda _text: None)
    kinds = [column.kind for column in schema.columns or ()][:-1]
    names = [column.name for column in schema.columns or ()][:-1]
    lists = {name for name, kind in zip(names, kinds, strict=True) if kind == "list"}
    fields = [_field(field, is_list=field.name in lists) for field in shape]
    whole = pa.schema([*_HEAD, *fields, pa.field(EXACT, pa.string())])
    lines_of = json_lines(schema)
    group: list[pa.RecordBatch] = []
    is_large = False
    with pq.ParquetWriter(out, whole, compression="zstd") as writer:
        for part in _parts(rows):
            cells = fit(_page([row.line for row in part], schema))
            again = lines_of(_rows(names, [_as_read(*both) for both in zip(kinds, cells, strict=False)], cells[-1]))
            exact = [
                None if back == row.line else _differences(row.line, back)
                for row, back in zip(part, again, strict=True)
            ]
            head = [
                pa.array([row.key.hex() for row in part], pa.string()),
                pa.array([None if row.start == UNPLACED else row.start for row in part], _TIME),
                pa.array([row.gone_at for row in part], _TIME),
            ]
            arrays = [*head, *arrow_arrays(shape, cells), pa.array(exact, pa.string())]
            group.append(pa.record_batch(arrays, schema=whole))
            if sum(map(len, group)) >= GROUP or sum(one.nbytes for one in group) >= LARGEST:
                if not is_large:
                    pa.system_memory_pool().release_unused()  # what fetching freed, which malloc keeps
                    is_large = True
                writer.write_table(pa.Table.from_batches(group))
                group.clear()
        if group:
            writer.write_table(pa.Table.from_batches(group))


def read_rows(file: BinaryIO) -> Iterator[Row]:
    """Yield the rows of a Parquet file.

    Raises:
        NotOursError: It is damaged, or has not the columns of an archive.
    """
    for part in read_parts(file):
        yield from part.rows()


def read_parts(file: BinaryIO) -> Iterator[Part]:
    """Yield the rows of a Parquet file, some at a time.

    Raises:
        NotOursError: It is damaged, or has not the columns of an archive.
    """
    try:
        parquet = pq.ParquetFile(file, pre_buffer=False)
        fields = [field for field in parquet.schema_arrow if field.name not in {*OURS, EXACT}]
        stored = [field for field in fields if field.name != EXTRA]
        names = [_metadata(field).get(_NAME, field.name.encode()).decode() for field in stored]
        lines_of = json_lines(_schema([Column(name, "") for name in names]))
        for batch in parquet.iter_batches(PART, use_threads=False):  # threads hold more columns at the same time
            keys, starts, gone = (_whole_numbers(batch.column(name)) for name in OURS)
            values = [_plain(batch.column(one.name), _metadata(one).get(_KIND) == _LIST) for one in stored]
            places = [UNPLACED if start is None else start for start in starts]
            found = [*map(Row, places, map(bytes.fromhex, keys), repeat(b""), gone)]
            further, exact = batch.column(EXTRA), batch.column(EXACT)
            is_plain = further.null_count == exact.null_count == len(batch)
            lines = partial(_lines, lines_of, names, values, further, exact)
            yield Part(found, dict(zip(names, values, strict=True)) if is_plain else None, lines)
    except (pa.ArrowException, ValueError, KeyError, TypeError, OSError) as error:
        raise NotOursError(str(error)) from error


def _lines(
    lines_of: Callable[[RowBatch], list[bytes]],
    names: Sequence[str],
    values: Sequence[Sequence[Any]],
    further: pa.Array,
    exact: pa.Array,
) -> list[bytes]:
    """Return the line of each row.

    Raises:
        NotOursError: A value that is kept as JSON is damaged.
    """
    try:
        lines = lines_of(_rows(names, values, further.to_pylist()))
        for at, more in enumerate(exact.to_pylist() if exact.null_count < len(exact) else ()):
            if more is not None:
                lines[at] = json_of(_restored(json.loads(lines[at]), more)) + b"\n"
    except (ValueError, KeyError, TypeError) as error:
        raise NotOursError(str(error)) from error
    return lines


def _field(field: pa.Field, *, is_list: bool) -> pa.Field:
    """Return a column as it is stored: programs take `profile`, `call` and `date` from the folders."""
    told = {_KIND: _LIST} if is_list else {}
    if field.name.casefold() in FOLDERS:
        return field.with_name(f"{field.name}_").with_metadata({**told, _NAME: field.name})
    return field.with_metadata(told) if told else field


def _metadata(field: pa.Field) -> Mapping[bytes, bytes]:
    return field.metadata or {}


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while part := list(islice(left, PART)):
        yield part


def _schema(columns: Sequence[Column]) -> Schema:
    """Return the schema of a call's rows, with `extra` as the last column, whose fields JSON has beside the others."""
    return Schema((*(one for one in columns if one.name != EXTRA), EXTRA_COLUMN), lambda _page: [], unfold=True)


def _page(lines: Sequence[bytes], schema: Schema) -> RowBatch:
    """Return records as columns: those of the schema, then the fields that no column names."""
    objects: list[dict[str, Any]] = []
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        objects = msgspec.json.Decoder().decode_lines(b"".join(lines))
    if len(objects) != len(lines):  # a lone surrogate, or a huge number
        objects = [json.loads(line) for line in lines]
    names = [column.name for column in schema.columns or ()][:-1]
    known = set(names)
    values: list[Sequence[Value]] = [[one.get(name) for one in objects] for name in names]
    extra = [
        {name: value for name, value in one.items() if name not in known} or None if one.keys() - known else None
        for one in objects
    ]
    return RowBatch([*values, extra], [False] * len(names) + [False], len(objects))


def _rows(names: Sequence[str], values: Sequence[Sequence[Any]], texts: Sequence[Any]) -> RowBatch:
    """Return records as columns with values as in JSON.

    Args:
        names: The names of the columns.
        values: The values of each.
        texts: The fields that no column names, and values that do not fit their column, as JSON.
    """
    values, extras = list(values), list(texts)
    for at, text in enumerate(extras):
        if text is None:
            continue
        further = json.loads(text)
        for name in further.keys() & set(names):  # a value that does not fit its column
            place = names.index(name)
            values[place] = [*values[place][:at], further.pop(name), *values[place][at + 1 :]]
        extras[at] = further or None
    return RowBatch([*values, extras], [False] * (len(names) + 1), len(extras))


def _as_read(kind: Kind, cells: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a column as they come back from a Parquet file."""
    if kind == "list":
        return [None if value is None else json.loads(value) for value in cells]
    if kind in {"money", "decimal"}:
        return [None if value is None else _digits(Decimal(value)) for value in cells]
    return cells


def _plain(column: pa.Array, is_list: bool) -> list[Any]:  # noqa: FBT001 - one of two forms of text
    """Return a column's values as in JSON: times and decimals as text."""
    if pa.types.is_timestamp(column.type):
        return _instants(column)
    values: list[Any] = column.to_pylist()
    if is_list:
        return [None if value is None else json.loads(value) for value in values]
    if pa.types.is_decimal(column.type):
        return [None if value is None else _digits(value) for value in values]
    return values


def _instants(column: pa.Array) -> list[Any]:
    """Return instants in the contract's form."""
    if column.type == _STORED_TIME:
        with suppress(OverflowError):  # a year that Python does not have
            finer = column.view(pa.int64()).to_pylist()
            texts = instant_texts([None if at is None else at // 1000 for at in finer])
            if not any(at is not None and at % 1000 for at in finer):
                return texts
    import pyarrow.compute as pc  # takes a tenth of a second, and 9 MB

    return list(pc.utf8_replace_slice(column.cast(_TIME).cast(pa.string()), 10, 11, "T").to_pylist())


def _whole_numbers(column: pa.Array) -> list[Any]:
    """Return the values of a column of the archive: text, or instants in Unix milliseconds."""
    if not pa.types.is_timestamp(column.type):
        return list(column.to_pylist())
    if column.type == _TIME:
        return list(column.view(pa.int64()).to_pylist())
    return [None if value is None else milliseconds(value) for value in column.to_pylist()]


def _digits(value: Decimal) -> str:
    """Return a decimal in plain notation without zeros at its end."""
    text = format(value or Decimal(0), "f")  # Arrow has no negative zero
    return text.rstrip("0").rstrip(".") if "." in text else text


def _differences(line: bytes, back: bytes) -> str:
    """Return the differences between a line and the line that Parquet gives back, as JSON."""
    one, again = json.loads(line), json.loads(back)
    odd = {name: value for name, value in one.items() if name not in again or json_of(again[name]) != json_of(value)}
    absent = [name for name in again if name not in one]
    order = [] if [name for name in again if name in one] == list(one) else list(one)
    return json_of({"values": odd, "absent": absent, "order": order}).decode()


def _restored(back: Mapping[str, Any], exact: str) -> dict[str, Any]:
    """Return a record with the values that the typed columns cannot hold."""
    more = json.loads(exact)
    absent = set(more["absent"])
    found = {name: value for name, value in {**back, **more["values"]}.items() if name not in absent}
    return {name: found[name] for name in more["order"]} if more.get("order") else found
