"""Recovers the records of a day's file without a matching index: copied without it, edited, cut off, or foreign."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdrctl.archive.dayfile import RecoveredFile, file_in_memory, rows_of
from cdrctl.archive.index import FROM_LINE, UNPLACED, Entry, index_lengths, milliseconds
from cdrctl.archive.lines import Fields, FileLines, columns_of, fields_of, split_lines
from cdrctl.archive.opening import read_file
from cdrctl.archive.store import Archive
from cdrctl.export.identity import DIGEST_BYTES
from cdrctl.windows import Window

CHUNK_BYTES = 4096
"""Bytes of a compressed file that are decompressed at once: of a damaged file, the chunks before the damage are
kept."""


def recover(archive: Archive, path: Path, day: Window | None, alike: Sequence[str], header: bytes) -> RecoveredFile:
    """Return the records in the lines of a day's file of the first layout, without changing anything.

    Their keys are made from their lines, so that they match no record by identity.

    Args:
        archive: The archive.
        path: The file.
        day: Its day; None for the file of records without a start.
        alike: The columns of start, parties and type; if empty, every line counts as a record of the day.
        header: The CSV header to assume if the file has none.

    Raises:
        OSError: The file cannot be read.
    """
    text, damaged = text_of_file(path)
    in_csv = archive.form.startswith("csv")
    found = split_lines(text, in_csv=in_csv, usual=header, key_column=alike[0] if alike else "")
    columns = columns_of(found.header)
    placed = {line: at for line in found.whole if (at := start_of(line, columns, day, alike)) is not None}
    entries = sorted(Entry(at, key_of(line), line) for line, at in placed.items())
    unread = found.unread + _count_strays(found, placed) + damaged
    expected = max([len(entries) + unread, *index_lengths(path)])
    return RecoveredFile(file_in_memory(rows_of(entries, {}), [], "", found.header), unread, expected)


def _count_strays(found: FileLines, placed: dict[bytes, int]) -> int:
    """Return how many lines are records of another day; a line that occurs twice is one record."""
    return len(set(found.whole) - placed.keys())


def text_of_file(path: Path) -> tuple[bytes, int]:
    """Return the text of a file as far as it can be decompressed, and 1 if some of it cannot, else 0."""
    content = read_file(path)
    if not path.name.endswith(".gz"):
        return content, 0
    parts: list[bytes] = []
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    rest = content
    try:
        while rest:
            parts.append(decompressor.decompress(rest[:CHUNK_BYTES]))
            rest = decompressor.unused_data + rest[CHUNK_BYTES:]
            if decompressor.eof and rest:  # concatenated gzip files
                decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    except zlib.error:
        return b"".join(parts), 1
    return b"".join(parts), int(not decompressor.eof)


def start_of(line: bytes, columns: Sequence[str], day: Window | None, alike: Sequence[str]) -> int | None:
    """Return the start of a line's call in Unix milliseconds, or None if the line is not a record of the day."""
    fields = fields_of(line, columns)
    if not fields:
        return None
    if day is None:
        return UNPLACED if not alike or set(alike) & fields.keys() else None
    if not alike:
        return milliseconds(day.since)
    at = _instant(fields, alike[0])
    return milliseconds(at) if at is not None and day.holds(at) else None


def _instant(fields: Fields, column: str) -> datetime | None:
    """Return the instant in a column, as Unix seconds or ISO 8601 text with an offset, or None."""
    value: Any = fields.get(column)
    try:
        if isinstance(value, int | float) or re.fullmatch(r"\d{9,10}(\.\d+)?", value):
            return datetime.fromtimestamp(float(value), UTC)
        at = datetime.fromisoformat(value)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return at if at.tzinfo is not None else None


def key_of(line: bytes) -> bytes:
    """Return a key made from a line."""
    size = DIGEST_BYTES - len(FROM_LINE)
    return FROM_LINE + hashlib.blake2b(line, digest_size=size, person=b"line of archive").digest()
