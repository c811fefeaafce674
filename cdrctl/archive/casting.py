"""The lines of records in another form: of a CSV file as JSON, and of JSON as CSV."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from cdrctl.archive.dayfile import Row
from cdrctl.archive.lines import columns_of, csv_line, fields_of
from cdrctl.archive.records import record_reader
from cdrctl.fetchers import Call
from cdrctl.records.columns import EXTRA
from cdrctl.writers.values import json_of, text_of


class UnreadableRowError(ValueError):
    """A row of a day's file cannot be read."""


def cast(call: Call, rows: Iterable[Row], header: bytes, wanted: bytes) -> Iterator[Row]:
    """Yield records with their lines under another header.

    A JSON line is one with an empty header. Lines stay as they are if both headers are empty, or neither is.

    Args:
        call: The call.
        rows: The records.
        header: The CSV header of their lines; empty for JSON.
        wanted: The CSV header of the lines to yield; empty for JSON.

    Raises:
        UnreadableRowError: A line cannot be read, or the file that the records come from.
    """
    to_line = (lambda row: row.line) if bool(header) == bool(wanted) else _caster(call, header, wanted)
    try:
        for row in rows:
            line = to_line(row)
            if line is None:
                raise UnreadableRowError("a line is no record")
            yield row._replace(line=line)
    except (OSError, ValueError, EOFError, zlib.error) as error:  # of reading: writing is not done in here
        raise UnreadableRowError(str(error)) from error


def _caster(call: Call, header: bytes, wanted: bytes) -> Callable[[Row], bytes | None]:
    return _as_csv(wanted) if wanted else _as_json(call, header)


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
