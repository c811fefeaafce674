"""The rows of a day in Parquet: typed columns, and a guarantee that each record comes back exactly as it was kept.

Records are kept as lines of JSON. A line becomes a row of typed columns, as `writers.parquet` writes them. Where a
typed column cannot hold a value exactly, such as the last zero of the amount 1.50, `_exact` has the value as JSON.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cdrctl.archive.index import UNPLACED, Entry, milliseconds
from cdrctl.archive.layout2 import GONE_AT, KEY, OURS, START, Rows
from cdrctl.records.columns import EXTRA, Column
from cdrctl.records.events import Row
from cdrctl.records.schemas import EXTRA_COLUMN, Schema
from cdrctl.windows import rfc3339
from cdrctl.writers.parquet import ROWS, arrow_batches
from cdrctl.writers.values import json_of

EXACT = "_exact"
_LIST = b"list"
_KIND = b"kind"
_TIME = pa.timestamp("ms", "UTC")
_HEAD = (pa.field(KEY, pa.string()), pa.field(START, _TIME), pa.field(GONE_AT, _TIME))


def write_rows(columns: Sequence[Column], entries: Sequence[Entry], gone: Mapping[bytes, datetime]) -> bytes:
    """Return the records of a day as a Parquet file."""
    known = {column.name for column in columns if column.name != EXTRA}
    schema = Schema((*(column for column in columns if column.name != EXTRA), EXTRA_COLUMN), lambda _page: [])
    shape, as_batch = arrow_batches(schema, lambda _text: None)
    lists = {column.name for column in schema.columns or () if column.kind == "list"} - {EXTRA}
    fields = [field.with_metadata({_KIND: _LIST}) if field.name in lists else field for field in shape]
    whole = pa.schema([*_HEAD, *fields, pa.field(EXACT, pa.string())])
    out = io.BytesIO()
    with pq.ParquetWriter(out, whole, compression="zstd") as writer:
        for at in range(0, len(entries), ROWS):
            group = entries[at : at + ROWS]
            objects = [json.loads(entry.line) for entry in group]
            batch = as_batch([_row(one, schema.columns or (), known) for one in objects])
            exact = [_differences(one, back) for one, back in zip(objects, _objects(batch, lists), strict=True)]
            head = [
                pa.array([entry.key.hex() for entry in group], pa.string()),
                pa.array([None if entry.start == UNPLACED else entry.start for entry in group], _TIME),
                pa.array([milliseconds(gone[entry.key]) if entry.key in gone else None for entry in group], _TIME),
            ]
            arrays = [*head, *batch.columns, pa.array(exact, pa.string())]
            writer.write_table(pa.Table.from_arrays(arrays, schema=whole), row_group_size=ROWS)
    return out.getvalue()


def read_rows(content: bytes) -> Rows | None:
    """Return the rows of a Parquet file; None if it is damaged or has not the columns of an archive."""
    entries: list[Entry] = []
    gone: dict[bytes, datetime] = {}
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        lists = {field.name for field in file.schema_arrow if (field.metadata or {}).get(_KIND) == _LIST}
        for batch in file.iter_batches(ROWS):
            names = batch.schema.names
            heads = zip(*(batch.column(names.index(name)).to_pylist() for name in OURS), strict=True)
            exact = batch.column(names.index(EXACT)).to_pylist()
            body = batch.select([name for name in names if name not in OURS and name != EXACT])
            for (key, start, since), one, more in zip(heads, _objects(body, lists), exact, strict=True):
                digits = bytes.fromhex(key)
                if since is not None:
                    gone[digits] = since.astimezone(UTC)
                place = UNPLACED if start is None else milliseconds(start)
                entries.append(Entry(place, digits, json_of(_restored(one, more)) + b"\n"))
    except (pa.ArrowException, ValueError, KeyError, TypeError, OSError):
        return None
    return Rows(b"", entries, gone)


def _row(one: Mapping[str, Any], columns: Sequence[Column], known: set[str]) -> Row:
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
