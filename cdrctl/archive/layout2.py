"""The files of an archive: each row says what it is, and a visible file beside them says what was read when.

A row begins with `_key`, the digest of the record's identity, `_start`, when its call started (null if that cannot be
parsed), and `_gone_at`, since when the provider no longer has the record (null if it still has the record). Then come
the columns of the call. In JSON Lines, `_gone_at` is left out where it is null.

`_readings.json` has the readings and the number of records of a day's file by the digest of the file. Before the file
is replaced, it gets the entry of the new file too, so that it has the entry of whichever file is there at any instant.
A file without an entry was changed by another program.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BufferedReader, RawIOBase
from itertools import chain, islice
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

import msgspec

from cdrctl.archive.dayfile import Contents, DayFile, NewDay, Part, RecoveredFile, Row, file_in_memory
from cdrctl.archive.index import UNPLACED, aware, instant_text, milliseconds, plain_reading, reading_of
from cdrctl.archive.lateness import lateness_of, plain_lateness
from cdrctl.archive.lines import columns_of, csv_line, fields_of, split_lines
from cdrctl.archive.opening import (
    etag_of,
    known_digest,
    local_file,
    make_folder,
    open_file,
    put_in_place,
    read_file,
    see_again,
    sync_folder,
)
from cdrctl.archive.places import StoredPath
from cdrctl.archive.recover import key_of, start_of, text_of_file
from cdrctl.archive.settings import without_pyarrow
from cdrctl.archive.store import (
    check_unchanged,
    digest_of,
    remove_temporary_files,
    replace_file,
    set_aside,
    stage_file,
    whose_in,
)
from cdrctl.errors import IncompleteError
from cdrctl.export.identity import DIGEST_BYTES
from cdrctl.records.columns import Column
from cdrctl.windows import Window
from cdrctl.writers.values import json_of

READINGS = "_readings.json"
HIDDEN = "_"
"""The beginning of a name that programs leave out when they read a folder of records (Apache Hive's convention)."""
KEY, START, GONE_AT = "_key", "_start", "_gone_at"
OURS = (KEY, START, GONE_AT)
"""The columns of the archive itself."""

SHARED_FOR, MOST_SHARED = timedelta(days=1), 8
"""How long, and how many, entries of other runs stay in the readings of a file in a store."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

LINES = 256
"""How many lines are written at once."""
_CSV_HEADER = b"_key,_start,_gone_at,"


class NotOursError(ValueError):
    """A row, or a file, is not as cdrctl writes it."""


def load(path: Path) -> DayFile | None:
    """Return a day's file, or None if it is missing, or not as cdrctl wrote it.

    Its rows are read from the file that was opened, also if another one takes its place. It is opened twice if it has
    no readings: a sync may have replaced it in the meantime.

    Raises:
        OSError: It cannot be read.
    """
    found = _load(path)
    if found is None and isinstance(path, StoredPath) and path.exists():
        see_again(path)
    return found or _load(path)


def _load(path: Path) -> DayFile | None:
    try:
        opened = _OpenFile(path)
        sha256 = opened.digest()
    except FileNotFoundError:
        return None
    known = written_contents(path).get(sha256)
    if known is None:
        return None
    header = _header(path.name, opened.file) if ".csv" in path.name else b""
    about = (known.records, known.readings, sha256, header, known.responses, known.lateness)
    parts = (lambda: _parts(opened, path)) if path.name.endswith(".parquet") else None
    return DayFile(lambda: _rows(opened, path), *about, parts, known.whose)


class _OpenFile:
    """A file that is closed when nobody reads it any more. An object is downloaded when its rows are read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._etag, self._known = etag_of(path), known_digest(path)
        self._file: BufferedReader | None = None if self._known is not None else open_file(path)

    @property
    def file(self) -> BufferedReader:
        """The open file: of an object, the version whose digest is known.

        Raises:
            ConflictError: Another run has replaced the object.
        """
        if self._file is None:
            self._file = open(local_file(self._path, self._etag), "rb")  # noqa: SIM115, PTH123 - see __del__
        return self._file

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return self._known or hashlib.file_digest(self.file, "sha256").hexdigest()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.file.close()


def _rows(opened: _OpenFile, path: Path) -> Iterator[Row]:
    with _unchanged(path):
        yield from rows_in(path.name, opened.file)


def _parts(opened: _OpenFile, path: Path) -> Iterator[Part]:
    read_parts = _columnar().read_parts
    with _unchanged(path):
        opened.file.seek(0)
        yield from read_parts(opened.file)


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    try:
        yield
    except NotOursError:
        raise IncompleteError(
            f"{path} was changed by another program while it was read", hint="run the command again"
        ) from None


def contents_of(path: Path) -> Contents | None:
    """Return the digest, the number of records and the readings of a day's file, or None if cdrctl did not write it.

    Raises:
        OSError: It cannot be read.
    """
    found = _contents(path)
    if found is None:  # a sync may have replaced it between its digest and its readings
        see_again(path)
    return found or _contents(path)


def _contents(path: Path) -> Contents | None:
    sha256 = digest_of(path)
    if sha256 is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return written_contents(path).get(sha256)


def deleted_contents(path: Path) -> Contents | None:
    """Return the contents of a day's file that was deleted, from its readings; None without readings.

    Raises:
        OSError: The readings cannot be read.
    """
    return next(iter(written_contents(path).values()), None)


def save(path: Path, day: NewDay) -> tuple[str, int]:
    """Write a day's file and its readings durably, and return the file's digest and size.

    A file that cdrctl did not write is moved aside first: records that were not read are never replaced.

    Raises:
        IncompleteError: Another program has changed the file since it was loaded; nothing is written.
        OSError: It cannot be written; then the old file is unchanged.
    """
    make_folder(path.parent)
    remove_temporary_files(path.parent)
    there = digest_of(path)
    check_unchanged(path, there, day.old)
    with ExitStack() as staged:
        if day.unchanged and there is not None and there == day.old:
            sha256, size, temporary = there, path.stat().st_size, None
        else:
            temporary, sha256, size = staged.enter_context(
                stage_file(path, lambda out: _write_rows(path.name, day.columns, day.header, day.rows(), out))
            )
        if there not in {None, sha256} and day.old != there:
            set_aside(path, HIDDEN)
        new = Contents(sha256, day.records, list(day.readings), dict(day.responses), day.lateness, whose_in(path))
        _replace(path, temporary, there, new)
    return sha256, size


def _replace(path: Path, temporary: Path | None, there: str | None, new: Contents) -> None:
    """Write the readings of a new file, and give it its name; then the old file has no readings any more."""
    update_readings(path, there, new)
    if there != new.sha256 and temporary is not None:
        put_in_place(temporary, path, new.sha256)
        sync_folder(path.parent)
        if not isinstance(path, StoredPath):
            update_readings(path, new.sha256, new)


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
    written = max((one.records for one in written_contents(path).values()), default=0)
    found, header, unread = _recovered_rows(path, day, alike, header)
    within = [one for one in found if day is None or one.start == UNPLACED or _holds(day, one.start)]
    unread += len(found) - len(within)
    rows = sorted({one.key: one for one in within}.values())
    return RecoveredFile(file_in_memory(rows, [], "", header), unread, max(len(within) + unread, written))


def _holds(day: Window, start: int) -> bool:
    return milliseconds(day.since) <= start < milliseconds(day.until)


# The rows of a file


def rows_in(name: str, file: BinaryIO) -> Iterator[Row]:
    """Yield the rows of an open file with this name, from its beginning.

    Raises:
        NotOursError: A row is not as cdrctl writes it, or the file is damaged.
    """
    file.seek(0)
    if name.endswith(".parquet"):
        read_rows = _columnar().read_rows
        yield from read_rows(file)
        return
    try:
        text: Iterable[bytes] = file
        if name.endswith(".gz"):
            text = BufferedReader(cast("RawIOBase", gzip.GzipFile(fileobj=file, mode="rb")))  # its lines come faster
        yield from _csv_rows(text) if ".csv" in name else map(_json_row, text)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise NotOursError(str(error)) from error


def _columnar() -> ModuleType:
    """Return the module that reads and writes Parquet.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    try:
        from cdrctl.archive import columnar
    except ImportError:
        raise without_pyarrow() from None
    return columnar


def _header(name: str, file: BinaryIO) -> bytes:
    """Return the header of the lines of a CSV file, without the columns of the archive itself."""
    file.seek(0)
    with suppress(EOFError, OSError, zlib.error):
        text = gzip.GzipFile(fileobj=file, mode="rb") if name.endswith(".gz") else file
        return text.readline().removeprefix(_CSV_HEADER)
    return b""


_JSON_ROW = re.compile(
    rb'\{"_key":"([0-9a-f]{30})","_start":(?:"([^"\\]{24})"|null)(?:,"_gone_at":"([^"\\]{20,32})")?,?'
)


def _json_row(line: bytes) -> Row:
    found = _JSON_ROW.match(line)
    if found is None or not line.endswith(b"\n"):
        raise NotOursError("a line is not as cdrctl writes it")
    return _row(found[1], found[2], found[3], b"{" + line[found.end() :])


def _csv_rows(text: Iterable[bytes]) -> Iterator[Row]:
    lines = iter(text)
    if not next(lines, b"").startswith(_CSV_HEADER):
        raise NotOursError("the header is not as cdrctl writes it")
    for line in lines:
        record = line
        while record.count(b'"') % 2:  # a line end within quotes
            more = next(lines, b"")
            if not more:
                raise NotOursError("a record is cut off")
            record += more
        cells = record.split(b",", 3)
        if len(cells) != 4 or not record.endswith(b"\n"):
            raise NotOursError("a record is cut off")
        yield _row(*cells)


def _row(key: bytes, start: bytes | None, gone_at: bytes | None, line: bytes) -> Row:
    """Return a row.

    Raises:
        NotOursError: Its key or its start are not as cdrctl writes them.
    """
    try:
        digits = bytes.fromhex(key.decode())
        if len(digits) != DIGEST_BYTES:
            raise NotOursError("a key has another length")
        gone = milliseconds(aware(gone_at.decode())) if gone_at else None
        return Row(milliseconds(datetime.fromisoformat(start.decode())) if start else UNPLACED, digits, line, gone)
    except (ValueError, TypeError, OverflowError) as error:
        raise NotOursError(str(error)) from error


def _write_rows(name: str, columns: Sequence[Column], header: bytes, rows: Iterable[Row], out: BinaryIO) -> None:
    """Write the content of a day's file."""
    if name.endswith(".parquet"):
        _columnar().write_rows(columns, rows, out)
        return
    lines = chain([_CSV_HEADER + header], map(_csv_line, rows)) if ".csv" in name else map(_json_line, rows)
    if not name.endswith(".gz"):
        while part := b"".join(islice(lines, LINES)):
            out.write(part)
        return
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # without time and name: equal records give equal bytes
    while part := b"".join(islice(lines, LINES)):
        out.write(compressor.compress(part))
    out.write(compressor.flush())


def _json_line(row: Row) -> bytes:
    at = "null" if row.start == UNPLACED else f'"{instant_text(row.start)}"'
    since = "" if row.gone_at is None else f',"_gone_at":"{instant_text(row.gone_at)}"'
    comma = b"," if row.line[1:2] != b"}" else b""
    return f'{{"_key":"{row.key.hex()}","_start":{at}{since}'.encode() + comma + row.line[1:]


def _csv_line(row: Row) -> bytes:
    at = "" if row.start == UNPLACED else instant_text(row.start)
    since = "" if row.gone_at is None else instant_text(row.gone_at)
    return f"{row.key.hex()},{at},{since},".encode() + row.line


# A file that is not as cdrctl wrote it


def _recovered_rows(
    path: Path, day: Window | None, alike: Sequence[str], header: bytes
) -> tuple[list[Row], bytes, int]:
    """Return the rows of a file that any program may have written, their header, and how many cannot be read."""
    if path.name.endswith(".parquet"):
        try:
            with open_file(path) as file:
                return list(rows_in(path.name, file)), b"", 0
        except NotOursError:
            return [], b"", 1
    text, damaged = text_of_file(path)
    in_csv = ".csv" in path.name
    found = split_lines(text, in_csv=in_csv, usual=_CSV_HEADER + header, key_column=KEY)
    if in_csv and not found.whole and alike:  # without our columns
        found = split_lines(text, in_csv=in_csv, usual=header, key_column=alike[0])
    columns = columns_of(found.header)
    plain = csv_line([name for name in columns if name not in OURS]) if columns else b""
    rows: list[Row] = []
    strays = 0
    for line in dict.fromkeys(found.whole):
        fields = fields_of(line, columns) or {}
        bare = _without_ours(fields, plain)
        row = _own_row(fields, bare)
        if row is None:
            at = start_of(bare, columns_of(plain), day, alike)
            row = None if at is None else Row(at, key_of(bare), bare)
        strays += row is None
        rows += [] if row is None else [row]
    return rows, plain, found.unread + damaged + strays


def _without_ours(fields: Mapping[str, Any], plain: bytes) -> bytes:
    """Return a record's line without the columns of the archive itself."""
    if plain:
        return csv_line([str(value) for name, value in fields.items() if name not in OURS])
    return json_of({name: value for name, value in fields.items() if name not in OURS}) + b"\n"


def _own_row(fields: Mapping[str, Any], line: bytes) -> Row | None:
    """Return a row that has a valid key and start; None for another row."""
    key, start, since = (fields.get(name) or "" for name in OURS)
    if not isinstance(key, str) or not isinstance(start, str) or not isinstance(since, str):
        return None
    with suppress(NotOursError):
        return _row(key.encode(), start.encode(), since.encode(), line)
    return None


# The readings beside a file


def written_contents(path: Path) -> dict[str, Contents]:
    """Return the contents of a day's file by its digest; none if the file of readings is missing or damaged."""
    try:
        plain = json.loads(read_file(path.parent / READINGS))
        return {
            str(sha256): Contents(
                str(sha256),
                _count(one["records"]),
                [reading_of(item) for item in one["readings"]],
                {str(window): str(digest) for window, digest in dict(one.get("responses", {})).items()},
                lateness_of(one.get("lateness")),
                str(one.get("of", "")),
            )
            for sha256, one in dict(plain["files"]).items()
        }
    except (FileNotFoundError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError, AttributeError):
        return {}


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError("not a number of records")
    return value


def update_readings(path: Path, there: str | None, new: Contents) -> None:
    """Write the entry of the file that is there, which it has already, and that of the file that takes its place.

    They are the same for a file that stays and has lost its entry.

    In a store, the entry that was written last stays, and others for a day: another run may have written one, and be
    about to write its file.
    """
    known = written_contents(path)
    wanted = {new.sha256: new}
    if there is not None and there != new.sha256 and there in known:
        wanted[there] = known[there]
    if isinstance(path, StoredPath):
        wanted |= {one.sha256: one for one in _recent(known.values(), new) if one.sha256 not in wanted}
    if known != wanted:
        _write_sidecar(path, wanted)


def _recent(known: Iterable[Contents], new: Contents) -> list[Contents]:
    """Return the entry that was written last, and some that were made within a day of a new one, the newest first."""
    at, entries = _read_at(new), [*known]
    recent = [one for one in entries[1:] if abs(_read_at(one) - at) < SHARED_FOR]
    return entries[:1] + sorted(recent, key=_read_at, reverse=True)[: MOST_SHARED - 1]


def _read_at(contents: Contents) -> datetime:
    """Return when the newest reading of a file was made; long ago if there is none."""
    return max((one.read_at for one in contents.readings if one.read_at is not None), default=_LONG_AGO)


def _write_sidecar(path: Path, files: Mapping[str, Contents]) -> None:
    plain = {
        sha256: {
            "records": one.records,
            "readings": [plain_reading(reading) for reading in one.readings],
            "responses": dict(one.responses),
            **({} if one.lateness is None else {"lateness": plain_lateness(one.lateness)}),
            **({"of": one.whose} if one.whose else {}),
        }
        for sha256, one in files.items()
    }
    replace_file(path.parent / READINGS, msgspec.json.format(json_of({"files": plain}), indent=1) + b"\n")
