"""The lines of records in another form: of a CSV file as JSON, and of JSON as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cdrctl.archive.dayfile import Row
from cdrctl.archive.lines import columns_of, csv_line, fields_of
from cdrctl.archive.records import record_reader
from cdrctl.fetchers import Call
from cdrctl.records.columns import EXTRA
from cdrctl.writers.values import json_of, text_of


def cast(call: Call, rows: Iterable[Row], header: bytes, wanted: bytes) -> list[Row] | None:
    """Return records with their lines under another header, or None if a line cannot be read.

    A JSON line is one with an empty header. Lines stay as they are if both headers are empty, or neither is.

    Args:
        call: The call.
        rows: The records.
        header: The CSV header of their lines; empty for JSON.
        wanted: The CSV header of the lines to return; empty for JSON.
    """
    if bool(header) == bool(wanted):
        return [*rows]
    to_line = _as_csv(wanted) if wanted else _as_json(call, header)
    found = [(row, to_line(row)) for row in rows]
    if any(line is None for _, line in found):
        return None
    return [row._replace(line=line) for row, line in found if line is not None]


def _as_json(call: Call, header: bytes) -> Callable[[Row], bytes | None]:
    read = record_reader(call, header)

    def to_line(row: Row) -> bytes | None:
        record = read(row)
        return None if record is None else json_of(dict(record)) + b"\n"

    return to_line


def _as_csv(header: bytes) -> Callable[[Row], bytes | None]:
    *names, last = columns_of(header)
    assert last == EXTRA  # noqa: S101 - `header_of` ends with it

    def to_line(row: Row) -> bytes | None:
        fields = fields_of(row.line, [])
        if fields is None:
            return None
        further = {name: value for name, value in fields.items() if name not in names}
        return csv_line([*(text_of(fields.get(name)) for name in names), text_of(further or None)])

    return to_line
