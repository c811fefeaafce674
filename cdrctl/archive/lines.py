"""The lines of a day's file: parse them into fields, and convert CSV lines from one header to another."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from cdrctl.writers.csv import DIALECT
from cdrctl.writers.separated import join_lines
from cdrctl.writers.values import utf8

Fields = dict[str, Any]
"""The fields of one line by column name: JSON values, or the texts of CSV cells."""

_decode = msgspec.json.Decoder().decode

CELL_LIMIT = 2**31 - 1
"""The longest CSV cell that is read; Python's default of 131 072 characters is less than a provider may send."""


class FileLines(NamedTuple):
    """The lines of a day's file.

    Args:
        header: The CSV header with its line end; empty for JSON Lines.
        whole: The lines that are records, each with its line end.
        unread: How many lines are not.
    """

    header: bytes
    whole: list[bytes]
    unread: int


def csv_line(cells: Sequence[str]) -> bytes:
    """Return one CSV record with its line end, in the canonical form of the archive."""
    return utf8(join_lines([cells], DIALECT))


def columns_of(header: bytes) -> list[str]:
    """Return the column names of a CSV header; empty for JSON Lines."""
    return _cells(header) or []


def fields_of(line: bytes, columns: Sequence[str]) -> Fields | None:
    """Return the fields of one line, or None if it is not a complete record.

    Args:
        line: A line of JSON Lines, or a CSV record.
        columns: The CSV columns; empty for JSON Lines.
    """
    if columns:
        cells = _cells(line)
        return dict(zip(columns, cells, strict=True)) if cells is not None and len(cells) == len(columns) else None
    try:
        found = _decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # a lone surrogate, a huge number, or no JSON
        try:
            found = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def split_lines(text: bytes, *, in_csv: bool, usual: bytes, key_column: str) -> FileLines:
    """Return the lines of a file that any program may have written; blank lines do not count.

    Args:
        text: The content of the file.
        in_csv: It is CSV; else JSON Lines.
        usual: The CSV header to assume if the text has none.
        key_column: The column name by which a CSV header is told from a record.
    """
    text = text.removeprefix(b"\xef\xbb\xbf")
    records = list(_csv_records(text) if in_csv else _json_lines(text))
    header = b""
    if in_csv:
        first = _cells(records[0]) if records and records[0] is not None else None
        if first and key_column in first:
            header = csv_line(first)
            records = records[1:]
        else:
            header = usual
    columns = columns_of(header)
    whole = [one for one in records if one is not None and fields_of(one, columns) is not None]
    return FileLines(header, whole, len(records) - len(whole))


def union_header(header: bytes, other: bytes) -> bytes:
    """Return a CSV header with the columns of one header, followed by the columns that only the other has."""
    if header == other or not other:
        return header
    if not header:
        return other
    columns = columns_of(header)
    further = [name for name in columns_of(other) if name not in columns]
    return csv_line([*columns, *further]) if further else header


def recast(line: bytes, header: bytes, wanted: bytes) -> bytes:
    """Return a CSV record under another header: its cells in that order, empty where the record lacks the column."""
    if header == wanted:
        return line
    fields = fields_of(line, columns_of(header)) or {}
    return csv_line([fields.get(name, "") for name in columns_of(wanted)])


def _json_lines(text: bytes) -> Iterator[bytes]:
    for line in text.split(b"\n"):
        if line.strip():
            yield line.removesuffix(b"\r") + b"\n"


def _csv_records(text: bytes) -> Iterator[bytes | None]:
    """Yield CSV records, each up to the first line end outside quotes; None for a line that belongs to no record."""
    rows = text.split(b"\n")
    ends_whole = rows[-1] == b""
    if ends_whole:
        rows.pop()
    at = 0
    while at < len(rows):
        end, quotes = at, rows[at].count(b'"')
        while quotes % 2 and end + 1 < len(rows):
            end += 1
            quotes += rows[end].count(b'"')
        if quotes % 2:  # an unterminated quote: only its first line is lost
            yield None
            at += 1
            continue
        record = b"\n".join(rows[at : end + 1])
        cut_off = end == len(rows) - 1 and not ends_whole  # the last cell may be incomplete
        if record.strip():
            yield None if cut_off else record.removesuffix(b"\r") + b"\n"
        at = end + 1


def _cells(record: bytes | None) -> list[str] | None:
    if not record:
        return None
    csv.field_size_limit(CELL_LIMIT)
    try:
        rows = list(csv.reader([record.decode().removesuffix("\n")], strict=True))
    except (csv.Error, ValueError):
        return None
    return rows[0] if len(rows) == 1 else None


def cells_of_all(records: Sequence[bytes], width: int) -> list[list[str]] | None:
    """Return the cells of CSV records; None if one cannot be read, or has another number of cells."""
    csv.field_size_limit(CELL_LIMIT)
    try:
        rows = list(csv.reader([one.decode().removesuffix("\n") for one in records], strict=True))
    except (csv.Error, ValueError):
        return None
    # An unfinished record takes the next one, and then there are fewer.
    return rows if len(rows) == len(records) and all(len(row) == width for row in rows) else None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
