"""The files of an archive: each row says what it is, and a visible file beside them says what was read when.

A row begins with `_key`, the digest of the record's identity, `_start`, when its call started (null if that cannot be
parsed), and `_gone_at`, since when the provider no longer has the record (null if it has it). Then come the columns of
the call. In JSON Lines, `_gone_at` is left out where it is null.

`_readings.json` has the readings and the number of records of a day's file by the digest of the file. Before the file
is replaced, it gets the entry of the new file too, so that it has the entry of whichever file is there at any instant.
A file without an entry was changed by another program.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cdrctl.archive.dayfile import Contents, DayFile, RecoveredFile
from cdrctl.archive.index import UNPLACED, Entry, aware, milliseconds, plain_reading, reading_of
from cdrctl.archive.intervals import Reading
from cdrctl.archive.lines import columns_of, csv_line, fields_of, split_lines
from cdrctl.archive.recover import key_of, start_of, text_of_file
from cdrctl.archive.store import (
    compress,
    content_of,
    digest,
    make_folder,
    remove_temporary_files,
    replace_file,
    set_aside,
)
from cdrctl.export.identity import DIGEST_BYTES
from cdrctl.records.columns import Column
from cdrctl.windows import Window, rfc3339
from cdrctl.writers.values import json_of

READINGS = "_readings.json"
KEY, START, GONE_AT = "_key", "_start", "_gone_at"
OURS = (KEY, START, GONE_AT)
"""The columns of the archive itself."""

_CSV_HEADER = b"_key,_start,_gone_at,"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rows(NamedTuple):
    """The rows of a file.

    Args:
        header: The CSV header of the lines; empty for JSON Lines and Parquet.
        entries: The records.
        gone: Since when records are known to be gone at the provider, by key.
        unread: How many rows are not records of the day.
    """

    header: bytes
    entries: list[Entry]
    gone: dict[bytes, datetime]
    unread: int = 0


def load(path: Path) -> DayFile | None:
    """Return a day's file, or None if it is missing, or not as cdrctl wrote it.

    Raises:
        OSError: It cannot be read.
    """
    content = content_of(path)
    if content is None:
        return None
    sha256 = digest(content)
    known = _read_sidecar(path).get(sha256)
    if known is None:
        return None
    rows = _rows(path, content)
    if rows is None or rows.unread or len(rows.entries) != known.records:
        return None
    return DayFile(rows.entries, known.readings, sha256, rows.header, rows.gone)


def contents_of(path: Path) -> Contents | None:
    """Return the digest, the number of records and the readings of a day's file, or None if cdrctl did not write it.

    Raises:
        OSError: It cannot be read.
    """
    return _read_sidecar(path).get(digest(path.read_bytes()))


def save(
    path: Path,
    columns: Sequence[Column],
    header: bytes,
    entries: Sequence[Entry],
    readings: Sequence[Reading],
    old: DayFile | None,
    *,
    unchanged: bool,
) -> tuple[str, int]:
    """Write a day's file and its readings durably, and return the file's digest and size.

    A file that is not `old` is moved aside first: records that were not read are never replaced.

    Args:
        path: The day's file.
        columns: The columns of the call.
        header: The CSV header of the lines; empty for JSON Lines and Parquet.
        entries: Its records.
        readings: Its readings.
        old: The file as it was loaded, with the gone records of the new one; None if there was none.
        unchanged: The file already has these records.

    Raises:
        OSError: It cannot be written; then the old file is unchanged.
    """
    there = content_of(path)
    had = None if there is None else digest(there)
    if unchanged and there is not None and old is not None and old.sha256 == had:
        content, sha256 = there, had
    else:
        content = _encode(path, columns, header, entries, old.gone if old is not None else {})
        sha256 = digest(content)
    known = _read_sidecar(path)
    wanted = {sha256: Contents(sha256, len(entries), list(readings))}
    make_folder(path.parent)
    remove_temporary_files(path.parent)
    if had not in {None, sha256} and (old is None or old.sha256 != had):
        set_aside(path)
    if had is not None and had != sha256 and had in known:
        wanted[had] = known[had]
    if known != wanted:
        _write_sidecar(path, wanted)
    if had != sha256:
        replace_file(path, content)
    return sha256, len(content)


def recover(path: Path, day: Window | None, alike: Sequence[str], header: bytes) -> RecoveredFile:
    """Return the records of a file that is not as cdrctl wrote it, without changing anything.

    Rows keep their own key and start. A row without them gets a key made from its line, which matches no record by
    identity.

    Args:
        path: The file.
        day: Its day; None for the file of records without a start.
        alike: The columns of start, parties and type; if empty, every row counts as a record of the day.
        header: The CSV header to assume if the file has none.

    Raises:
        OSError: The file cannot be read.
    """
    written = max((one.records for one in _read_sidecar(path).values()), default=0)
    if path.name.endswith(".parquet"):
        rows = _rows(path, path.read_bytes()) or Rows(b"", [], {}, 1)
    else:
        rows = _recovered_rows(path, day, alike, header)
    within = [one for one in rows.entries if day is None or one.start == UNPLACED or _holds(day, one.start)]
    unread = rows.unread + len(rows.entries) - len(within)
    file = DayFile(sorted({one.key: one for one in within}.values()), [], "", rows.header, rows.gone)
    return RecoveredFile(file, unread, max(len(within) + unread, written))


def _holds(day: Window, start: int) -> bool:
    return milliseconds(day.since) <= start < milliseconds(day.until)


# The rows of a file


def _rows(path: Path, content: bytes) -> Rows | None:
    """Return the rows of a file as cdrctl writes them; None if it is damaged."""
    if path.name.endswith(".parquet"):
        from cdrctl.archive.columnar import read_rows

        return read_rows(content)
    try:
        text = gzip.decompress(content) if path.name.endswith(".gz") else content
    except (EOFError, OSError, zlib.error):
        return None
    return _csv_rows(text) if ".csv" in path.name else _json_rows(text)


_JSON_ROW = re.compile(
    rb'\{"_key":"([0-9a-f]{30})","_start":(?:"([^"\\]{24})"|null)(?:,"_gone_at":"([^"\\]{20,32})")?,?'
)


def _json_rows(text: bytes) -> Rows:
    entries: list[Entry] = []
    gone: dict[bytes, datetime] = {}
    unread = 0
    lines = text.split(b"\n")
    unread += bool(lines.pop())  # a line without an end
    for line in lines:
        found = _JSON_ROW.match(line)
        if found is None:
            unread += 1
            continue
        try:
            at, digits = _place(found[1], found[2], found[3], gone)
        except ValueError:
            unread += 1
            continue
        entries.append(Entry(at, digits, b"{" + line[found.end() :] + b"\n"))
    return Rows(b"", entries, gone, unread)


def _csv_rows(text: bytes) -> Rows:
    head, _, rest = text.partition(b"\n")
    header = head.removeprefix(_CSV_HEADER) + b"\n"
    entries: list[Entry] = []
    gone: dict[bytes, datetime] = {}
    unread = int(not head.startswith(_CSV_HEADER))
    for record in split_lines(text, in_csv=True, usual=head + b"\n", key_column=KEY).whole if rest else []:
        key, start, since, line = record.split(b",", 3)
        try:
            at, digits = _place(key, start, since, gone)
        except ValueError:
            unread += 1
            continue
        entries.append(Entry(at, digits, line))
    return Rows(header, entries, gone, unread)


def _place(key: bytes, start: bytes | None, gone_at: bytes | None, gone: dict[bytes, datetime]) -> tuple[int, bytes]:
    """Return the start and the key of a row, and keep since when it is gone.

    Raises:
        ValueError: They are not as cdrctl writes them.
    """
    digits = bytes.fromhex(key.decode())
    if len(digits) != DIGEST_BYTES:
        raise ValueError("not a key")
    if gone_at:
        gone[digits] = aware(gone_at.decode())
    return (milliseconds(datetime.fromisoformat(start.decode())) if start else UNPLACED), digits


def _encode(
    path: Path, columns: Sequence[Column], header: bytes, entries: Sequence[Entry], gone: Mapping[bytes, datetime]
) -> bytes:
    """Return the content of a day's file."""
    if path.name.endswith(".parquet"):
        from cdrctl.archive.columnar import write_rows

        return write_rows(columns, entries, gone)
    if ".csv" in path.name:
        text = b"".join([_CSV_HEADER + header, *_csv_lines(entries, gone)])
    else:
        text = b"".join(_json_lines(entries, gone))
    return compress(text) if path.name.endswith(".gz") else text


def start_text(start: int) -> str:
    """Return a start in Unix milliseconds as text such as `2026-11-19T08:00:00.123Z`."""
    return rfc3339(_EPOCH + timedelta(milliseconds=start))


def _json_lines(entries: Sequence[Entry], gone: Mapping[bytes, datetime]) -> Iterator[bytes]:
    for start, key, line in entries:
        at = "null" if start == UNPLACED else f'"{start_text(start)}"'
        since = f',"_gone_at":"{rfc3339(gone[key])}"' if key in gone else ""
        comma = b"," if line[1:2] != b"}" else b""
        yield f'{{"_key":"{key.hex()}","_start":{at}{since}'.encode() + comma + line[1:]


def _csv_lines(entries: Sequence[Entry], gone: Mapping[bytes, datetime]) -> Iterator[bytes]:
    for start, key, line in entries:
        at = "" if start == UNPLACED else start_text(start)
        yield f"{key.hex()},{at},{rfc3339(gone[key]) if key in gone else ''},".encode() + line


def _recovered_rows(path: Path, day: Window | None, alike: Sequence[str], header: bytes) -> Rows:
    """Return the rows of a text file that any program may have written, as far as they can be read."""
    text, damaged = text_of_file(path)
    in_csv = ".csv" in path.name
    found = split_lines(text, in_csv=in_csv, usual=_CSV_HEADER + header, key_column=KEY)
    if in_csv and not found.whole and alike:  # without our columns
        found = split_lines(text, in_csv=in_csv, usual=header, key_column=alike[0])
    columns = columns_of(found.header)
    plain = csv_line([name for name in columns if name not in OURS]) if columns else b""
    entries: list[Entry] = []
    gone: dict[bytes, datetime] = {}
    strays = 0
    for line in dict.fromkeys(found.whole):
        fields = fields_of(line, columns) or {}
        bare = _without_ours(fields, plain)
        entry = _own_entry(fields, bare, gone)
        if entry is None:
            at = start_of(bare, columns_of(plain), day, alike)
            entry = None if at is None else Entry(at, key_of(bare), bare)
        if entry is None:
            strays += 1
        else:
            entries.append(entry)
    return Rows(plain, entries, gone, found.unread + damaged + strays)


def _without_ours(fields: Mapping[str, Any], plain: bytes) -> bytes:
    """Return a record's line without the columns of the archive itself."""
    if plain:
        return csv_line([str(value) for name, value in fields.items() if name not in OURS])
    return json_of({name: value for name, value in fields.items() if name not in OURS}) + b"\n"


def _own_entry(fields: Mapping[str, Any], line: bytes, gone: dict[bytes, datetime]) -> Entry | None:
    """Return the entry of a row that has a valid key and start; None for another row."""
    key, start, since = (fields.get(name) for name in OURS)
    try:
        if not isinstance(key, str) or not isinstance(start or "", str) or not isinstance(since or "", str):
            return None
        at, digits = _place(key.encode(), (start or "").encode(), (since or "").encode(), gone)
        return Entry(at, digits, line)
    except (ValueError, TypeError, OverflowError):
        return None


# The readings beside a file


def _read_sidecar(path: Path) -> dict[str, Contents]:
    """Return the contents of a day's file by its digest; none if the file of readings is missing or damaged."""
    try:
        plain = json.loads((path.parent / READINGS).read_bytes())
        return {
            str(sha256): Contents(str(sha256), _count(one["records"]), [reading_of(item) for item in one["readings"]])
            for sha256, one in dict(plain["files"]).items()
        }
    except (FileNotFoundError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError, AttributeError):
        return {}


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("not a number of records")
    return value


def _write_sidecar(path: Path, files: Mapping[str, Contents]) -> None:
    plain = {
        sha256: {"records": one.records, "readings": [plain_reading(reading) for reading in one.readings]}
        for sha256, one in files.items()
    }
    replace_file(path.parent / READINGS, json.dumps({"files": plain}, indent=1).encode() + b"\n")
