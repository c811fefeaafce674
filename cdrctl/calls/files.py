"""Legs in files: JSON Lines, JSON, CSV, TSV or Parquet, with or without gzip, raw or as cdrctl exported them."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from msgspec import Struct, field

from cdrctl.calls.lines import LegDecoder, chunks
from cdrctl.calls.recognition import Recognized, fits, is_call, recognize
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.records.events import Page, Record
from cdrctl.windows import rfc3339

AT_ONCE = 500
"""How many records are read at a time."""

_T = TypeVar("_T")

CELL_LIMIT = 2**31 - 1


class LegFile(Struct):
    """A file of legs that is being read.

    Args:
        name: Its name, for messages.
        kind: What its records are; None if it has none.
        records: Its records. They can be read once.
        unread: The numbers of lines that are no records; found while the records are read.
        calls: Its records are whole calls, not legs.
        lines: Its lines in parts, each with the number of its first line, if it is JSON Lines; they are read once,
            as lines or as records.
    """

    name: str
    kind: Recognized | None
    records: Iterator[Record]
    unread: list[int] = field(default_factory=list)
    calls: bool = False
    lines: Iterator[tuple[int, bytes]] | None = None

    def pages(self, context: Mapping[str, str], decoder: LegDecoder | None = None) -> Iterator[Page]:
        """Yield its records in pages.

        Args:
            context: The context of raw records.
            decoder: Makes batches of the records of all files of their call; None to get plain records.

        Raises:
            UsageError: A record is of another provider.
        """
        known: set[frozenset[str]] = set()  # the sets of fields that have been looked at
        context = {} if self.kind is not None and self.kind.native else context
        if decoder is not None and self.lines is not None:
            for number, part in self.lines:
                found = decoder.decode(part, lambda part=part, number=number: self._checked(part, number, known))  # type: ignore[misc]
                if found:
                    yield Page(found, context)
            return
        while some := list(islice(self.records, AT_ONCE)):
            self._check(some, known)
            yield Page(some if decoder is None else decoder.batch(some), context)

    def _checked(self, lines: bytes, number: int, known: set[frozenset[str]]) -> list[Record]:
        found = list(_of_lines(lines, number, self.unread))
        self._check(found, known)
        return found

    def _check(self, records: Sequence[Record], known: set[frozenset[str]]) -> None:
        """Refuse records of another provider."""
        for fields in {frozenset(record) for record in records} - known:
            known.add(fields)
            if self.kind is not None and not fits(dict.fromkeys(fields), self.kind.call):
                raise UsageError(
                    f"{self.name} has records of different kinds", hint="put each kind of records into its own file"
                )


def open_file(path: str, provider: str | None, stdin: BinaryIO | None, *, calls_too: bool = False) -> LegFile:
    """Return a file whose first record has been looked at.

    Args:
        path: The file; `-` for standard input.
        provider: The provider's name, if the user gave it.
        stdin: Standard input.
        calls_too: It may have whole calls instead of legs.

    Raises:
        UsageError: It cannot be read, or its records are not legs of a known provider.
        ConfigurationError: It is Parquet, and pyarrow is not installed.
    """
    name = "standard input" if path == "-" else path
    unread: list[int] = []
    header: list[str] = []
    lines: Iterator[tuple[int, bytes]] | None = None
    with _read_errors(name):
        if _has_cells(path):
            records = _records(path, stdin, unread, header)
            first = next(records, None)
            records = chain([] if first is None else [first], records)
        else:
            lines = _numbered(path, stdin)
            begin = next(lines, None)
            lines = chain([] if begin is None else [begin], lines)
            first = _first_object(begin)
            if first is None:
                records, lines = _objects_of_text(b"".join(part for _, part in lines), unread), None
                first = next(records, None)
                records = chain([] if first is None else [first], records)
    if first is None:
        return LegFile(name, None, iter(()), unread)
    if lines is not None:
        lines = _guarded(lines, name)
        records = _all_of_lines(lines, unread)
    else:
        records = _guarded(records, name)
    fields = {**dict.fromkeys(header), **first}  # empty cells are not in a record
    if calls_too and is_call(fields):
        return LegFile(name, None, records, unread, calls=True, lines=lines)
    kind = recognize(fields if is_call(fields) else first, provider, name)
    return LegFile(name, kind, records, unread, lines=lines)


@contextmanager
def _read_errors(name: str) -> Iterator[None]:
    """Turn errors of reading into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{name} cannot be read: {error.strerror or error}", hint="name a file, or - for standard input"
        ) from None
    except (EOFError, zlib.error):
        raise UsageError(f"{name} is damaged: its compressed data end too early", hint="copy the file again") from None


def _guarded(parts: Iterator[_T], name: str) -> Iterator[_T]:
    with _read_errors(name):
        yield from parts


def _has_cells(path: str) -> bool:
    """Return whether a file has columns, by its name."""
    return path.removesuffix(".gz").casefold().endswith((".parquet", ".csv", ".tsv"))


def _records(path: str, stdin: BinaryIO | None, unread: list[int], header: list[str]) -> Iterator[Record]:
    """Yield the records of a CSV, TSV or Parquet file.

    Args:
        path: The file; `-` is standard input.
        stdin: Standard input.
        unread: Receives the numbers of damaged lines.
        header: Receives the names of the columns.
    """
    bare = path.removesuffix(".gz").casefold()
    if bare.endswith(".parquet"):
        yield from parquet_records(path, header)
        return
    with _open(path, stdin) as file:
        yield from _cells(file, "\t" if bare.endswith(".tsv") else ",", unread, header)


@contextmanager
def _open(path: str, stdin: BinaryIO | None) -> Iterator[BinaryIO]:
    """Open a file, decompressed if it is gzip, whatever its name."""
    if path == "-":
        if stdin is None:
            raise UsageError("standard input is closed", hint="name a file")
        peek = getattr(stdin, "peek", None)
        packed = peek is not None and peek(2)[:2] == b"\x1f\x8b"
        yield cast("BinaryIO", gzip.GzipFile(fileobj=stdin)) if packed else stdin
        return
    with Path(path).open("rb") as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        yield cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file


def _numbered(path: str, stdin: BinaryIO | None) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file in parts, each with the number of its first line."""
    number = 1
    with _open(path, stdin) as file:
        for part in chunks(file):
            yield number, part.removeprefix(b"\xef\xbb\xbf") if number == 1 else part
            number += part.count(b"\n")


def _first_object(begin: tuple[int, bytes] | None) -> Record | None:
    """Return the object of the first line that is not empty, or None if there is none."""
    lines = (line for line in (begin[1] if begin is not None else b"").splitlines() if line.strip())
    return _object(next(lines, b""))


def _all_of_lines(parts: Iterator[tuple[int, bytes]], unread: list[int]) -> Iterator[Record]:
    return (record for number, part in parts for record in _of_lines(part, number, unread))


def _of_lines(lines: bytes, number: int, unread: list[int]) -> Iterator[Record]:
    """Yield the objects of JSON Lines."""
    for at, line in enumerate(lines.split(b"\n"), number):
        if line.strip():
            found = _object(line)
            if found is None:
                unread.append(at)
            else:
                yield found


def _from_json(text: bytes) -> Any:
    """Return a JSON value; pydantic, which takes a while to load, is not needed for files of calls."""
    from pydantic_core import from_json

    return from_json(text)


def _object(line: bytes) -> Record | None:
    try:
        found = _from_json(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _objects_of_text(text: bytes, unread: list[int]) -> Iterator[Record]:
    """Yield the objects of a JSON list, or of the list in a provider's response."""
    if not text.strip():
        return
    try:
        found = _from_json(text)
    except ValueError:
        unread.append(1)
        return
    while isinstance(found, dict):
        inner = [one for one in found.values() if isinstance(one, list | dict)]
        lists = [one for one in inner if isinstance(one, list) and one and isinstance(one[0], dict)]
        found = lists[0] if lists else inner[0] if inner else None
    for at, one in enumerate(found if isinstance(found, list) else (), 1):
        if isinstance(one, dict):
            yield one
        else:
            unread.append(at)


def _cells(file: BinaryIO, separator: str, unread: list[int], header: list[str]) -> Iterator[Record]:
    """Yield the records of CSV with a header; an empty cell is null, and a cell with a JSON list or object is that."""
    csv.field_size_limit(CELL_LIMIT)
    lines = (line.decode("utf-8", "replace") for line in file)
    rows = csv.reader((line.removeprefix("\ufeff") for line in lines), delimiter=separator)
    names = next(rows, [])
    header += names
    for row in rows:
        if len(row) != len(names):
            unread.append(rows.line_num)
            continue
        record = {name: _value(cell) for name, cell in zip(names, row, strict=True) if cell != ""}
        extra = record.pop("extra", None)
        yield {**record, **(extra if isinstance(extra, dict) else {})}


def _value(cell: str) -> Any:
    if cell[:1] in {"[", "{"}:
        try:
            return json.loads(cell)
        except ValueError:
            return cell
    return cell


def parquet_records(path: str | BinaryIO, header: list[str]) -> Iterator[Record]:
    """Yield the records of a Parquet file, with values as JSON has them and without nulls.

    Args:
        path: The file, or its name.
        header: Receives the names of the columns.

    Raises:
        ConfigurationError: The package pyarrow is not installed.
        UsageError: It is not Parquet.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError(
            f"{path} is Parquet, and the package pyarrow is not installed", hint="pip install 'cdrctl[parquet]'"
        ) from None
    try:
        with parquet.ParquetFile(path) as file:
            header += file.schema_arrow.names
            for batch in file.iter_batches(AT_ONCE):
                for row in batch.to_pylist():
                    yield {name: _plain(value) for name, value in row.items() if value is not None}
    except pa.ArrowInvalid:
        raise UsageError(f"{path} is not a Parquet file", hint="name a file of legs") from None


def _plain(value: Any) -> Any:
    """Return a value of Parquet as JSON has it."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return _value(value) if isinstance(value, str) else value


def group_by_provider(files: Sequence[LegFile]) -> dict[str, list[LegFile]]:
    """Return files by the name of their provider; empty ones are left out."""
    found: dict[str, list[LegFile]] = {}
    for one in files:
        if one.kind is not None:
            found.setdefault(one.kind.provider.name, []).append(one)
    return found
