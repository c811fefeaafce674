"""The files of archives that earlier versions created: an index in a hidden file lists the lines of each day's file.

    DIR/ledger.sqlite3                                     what has been read and when
    DIR/PROFILE/CALL/date=2026-11-19/cdrs.jsonl.gz         the calls that started on that day
    DIR/PROFILE/CALL/date=2026-11-19/.cdrs.SHA256.index    start and identity of each of its lines

The name of an index has the digest of its file, and the index is written before the file is renamed into place, so that
the two match at any instant: a file without an index was changed by another program.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cdrctl.archive.dayfile import Contents, DayFile, Row, file_in_memory, rows_of
from cdrctl.archive.index import ENTRY, Entry, index_path, instant_text, plain_reading, read_index, read_whose
from cdrctl.archive.intervals import Reading
from cdrctl.archive.opening import make_folder, read_file
from cdrctl.archive.store import (
    check_unchanged,
    compress,
    content_of,
    digest,
    digest_of,
    remove_temporary_files,
    replace_file,
    set_aside,
    whose_in,
)


def load(path: Path) -> DayFile | None:
    """Return a day's file, or None if it is missing, or has no matching index.

    Raises:
        OSError: It cannot be read.
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        return None
    sha256 = digest(content)
    index = read_index(path, sha256)
    if index is None:
        return None
    beginning, readings, lines, gone = index
    try:
        text = gzip.decompress(content) if path.name.endswith(".gz") else content
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from None
    at = beginning
    entries = []
    for start, length, key in lines:
        entries.append(Entry(start, key, text[at : at + length]))
        at += length
    if at != len(text):  # the next merge would lose lines that are not in the index
        return None
    return file_in_memory(rows_of(entries, gone), readings, sha256, text[:beginning], read_whose(path, sha256))


def contents_of(path: Path) -> Contents | None:
    """Return the digest, the number of records and the readings of a day's file, or None without a matching index."""
    sha256 = digest(read_file(path))
    index = read_index(path, sha256)
    if index is None:
        return None
    _, readings, lines, _ = index
    return Contents(sha256, len(lines), readings, whose=read_whose(path, sha256))


def deleted_contents(path: Path) -> Contents | None:
    """Return the contents of a day's file that was deleted, from its index; None without an index."""
    for one in path.parent.glob(".cdrs.*.index"):
        sha256 = one.name.removeprefix(".cdrs.").removesuffix(".index")
        index = read_index(path, sha256)
        if index is not None:
            return Contents(sha256, len(index[2]), index[1], whose=read_whose(path, sha256))
    return None


def save(path: Path, header: bytes, rows: Iterable[Row], readings: Sequence[Reading], old: str) -> tuple[str, int]:
    """Write a day's file and its index durably, and return the file's digest and size.

    An unchanged file is not written again. A file that cdrctl did not write is moved aside first: records that were not
    read are never replaced.

    Args:
        path: The day's file.
        header: Its CSV header; empty for JSON Lines.
        rows: Its rows.
        readings: Its readings.
        old: The digest of the file as it was loaded; empty if cdrctl did not write it, or there was none.

    Raises:
        IncompleteError: Another program has changed the file since it was loaded; nothing is written.
        OSError: It cannot be written; then the old file is unchanged.
    """
    entries = list(rows)
    text = header + b"".join(entry.line for entry in entries)
    content = compress(text) if path.name.endswith(".gz") else text
    sha256 = digest(content)
    described: dict[str, Any] = {"header": len(header), "readings": [plain_reading(one) for one in readings]}
    described["of"] = whose_in(path)
    gone = {entry.key.hex(): instant_text(entry.gone_at) for entry in entries if entry.gone_at is not None}
    if gone:
        described["gone"] = dict(sorted(gone.items()))
    packed = b"".join(ENTRY.pack(entry.start, len(entry.line), entry.key) for entry in entries)
    index = json.dumps(described).encode() + b"\n" + packed
    there = digest_of(path)
    check_unchanged(path, there, old)
    if there == sha256 and content_of(index_path(path, sha256)) == index:
        return sha256, len(content)
    make_folder(path.parent)
    remove_temporary_files(path.parent)
    if there not in {None, sha256} and old != there:
        set_aside(path)
    replace_file(index_path(path, sha256), index)
    if there != sha256:
        replace_file(path, content)
    for one in path.parent.glob(".cdrs.*.index"):
        if one != index_path(path, sha256):
            one.unlink(missing_ok=True)
    return sha256, len(content)
