"""The rows of a day in Parquet: typed columns, and a guarantee that each record comes back exactly as it was kept.

Records are kept as lines of JSON. A line becomes a row of typed columns, as `writers.parquet` writes them. Where a
typed column cannot hold a value exactly, such as the last zero of the amount 1.50, `_exact` has the value as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from cdrctl.archive.dayfile import Row
from cdrctl.archive.index import UNPLACED, milliseconds
from cdrctl.archive.layout2 import GONE_AT, KEY, OURS, START, NotOursError
from cdrctl.records.columns import EXTRA, Column
from cdrctl.records.events import Value
from cdrctl.records.schemas import EXTRA_COLUMN, Schema
from cdrctl.windows import rfc3339
from cdrctl.writers.parquet import LARGEST, ROWS, arrow_batches
from cdrctl.writers.values import json_of

EXACT = "_exact"
PART = 1000
"""How many rows are Python objects at the same time."""
_LIST = b"list"
_KIND = b"kind"
_TIME = pa.timestamp("ms", "UTC")
_HEAD = (pa.field(KEY, pa.string()), pa.field(START, _TIME), pa.field(GONE_AT, _TIME))


def write_rows(columns: Sequence[Column], rows: Iterable[Row], out: BinaryIO) -> None:
    """Write the rows of a day as a Parquet file."""
    known = {column.name for column in columns if column.name != EXTRA}
    schema = Schema((*(column for column in columns if column.name != EXTRA), EXTRA_COLUMN), lambda _page: [])
    shape, as_batch = arrow_batches(schema, lambda _text: None)
    lists = {column.name for column in schema.columns or () if column.kind == "list"} - {EXTRA}
    fields = [field.with_metadata({_KIND: _LIST}) if field.name in lists else field for field in shape]
    whole = pa.schema([*_HEAD, *fields, pa.field(EXACT, pa.string())])
    group: list[pa.RecordBatch] = []
    with pq.ParquetWriter(out, whole, compression="zstd") as writer:
        for part in _parts(rows):
            objects = [json.loads(row.line) for row in part]
            batch = as_batch([_values(one, schema.columns or (), known) for one in objects])
            exact = [_differences(one, back) for one, back in zip(objects, _objects(batch, lists), strict=True)]
            head = [
                pa.array([row.key.hex() for row in part], pa.string()),
                pa.array([None if row.start == UNPLACED else row.start for row in part], _TIME),
                pa.array([row.gone_at for row in part], _TIME),
            ]
            group.append(pa.record_batch([*head, *batch.columns, pa.array(exact, pa.string())], schema=whole))
            if sum(map(len, group)) >= ROWS or sum(one.nbytes for one in group) >= LARGEST:
                writer.write_table(pa.Table.from_batches(group), row_group_size=ROWS)
                group.clear()
        if group:
            writer.write_table(pa.Table.from_batches(group), row_group_size=ROWS)


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while part := list(islice(left, PART)):
        yield part


def read_rows(file: BinaryIO) -> Iterator[Row]:
    """Yield the rows of a Parquet file.

    Raises:
        NotOursError: It is damaged, or has not the columns of an archive.
    """
    try:
        parquet = pq.ParquetFile(file)
        lists = {field.name for field in parquet.schema_arrow if (field.metadata or {}).get(_KIND) == _LIST}
        for batch in parquet.iter_batches(PART):
            names = batch.schema.names
            heads = zip(*(batch.column(names.index(name)).to_pylist() for name in OURS), strict=True)
            exact = batch.column(names.index(EXACT)).to_pylist()
            body = batch.select([name for name in names if name not in OURS and name != EXACT])
            for (key, start, since), one, more in zip(heads, _objects(body, lists), exact, strict=True):
                place = UNPLACED if start is None else milliseconds(start)
                gone = None if since is None else milliseconds(since)
                yield Row(place, bytes.fromhex(key), json_of(_restored(one, more)) + b"\n", gone)
    except (pa.ArrowException, ValueError, KeyError, TypeError, OSError) as error:
        raise NotOursError(str(error)) from error


def _values(one: Mapping[str, Any], columns: Sequence[Column], known: set[str]) -> Sequence[Value]:
    """Return a record as a row: the values of the columns, then the fields that no column names."""
    extra = {name: value for name, value in one.items() if name not in known}
    return [*(one.get(column.name) for column in columns[:-1]), extra or None]


def _objects(batch: pa.RecordBatch, lists: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch as objects, in the order of the columns, then the fields that no column names."""
    names = [name for name in batch.schema.names if name != EXTRA]
    values = [_plain(batch.column(batch.schema.names.index(name)), name in lists) for name in names]
    extras = batch.column(batch.schema.names.index(EXTRA)).to_pylist()
    for row, extra in zip(zip(*values, strict=True) if values else [()] * len(batch), extras, strict=True):
        one = dict(zip(names, row, strict=True))
        if extra:
            one.update(json.loads(extra))
        yield one


def _plain(column: pa.Array, is_list: bool) -> list[Any]:  # noqa: FBT001 - one of two forms of text
    """Return a column's values as in JSON: times and decimals as text."""
    values: list[Any] = column.to_pylist()
    if is_list:
        return [None if value is None else json.loads(value) for value in values]
    if pa.types.is_timestamp(column.type):
        return [None if value is None else rfc3339(value) for value in values]
    if pa.types.is_decimal(column.type):
        return [None if value is None else _digits(value) for value in values]
    return values


def _digits(value: Decimal) -> str:
    """Return a decimal in plain notation without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _differences(one: Mapping[str, Any], back: Mapping[str, Any]) -> str | None:
    """Return the values that would not come back as they are, as JSON; None if all would."""
    odd = {name: value for name, value in one.items() if name not in back or json_of(back[name]) != json_of(value)}
    absent = [name for name, value in back.items() if name not in one]
    if not odd and not absent:
        return None
    return json_of({"values": odd, "absent": absent}).decode()


def _restored(back: dict[str, Any], exact: str | None) -> dict[str, Any]:
    """Return a record with the values that the typed columns cannot hold."""
    if exact is None:
        return back
    more = json.loads(exact)
    absent = set(more["absent"])
    return {name: value for name, value in {**back, **more["values"]}.items() if name not in absent}
