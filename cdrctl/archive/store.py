"""The archive's files: one of records for each day of a call, replaced whole, and an index that tells its lines apart.

    DIR/archive.toml                                       zone and format, chosen once
    DIR/ledger.sqlite3                                     what has been read and when
    DIR/PROFILE/CALL/date=2026-11-19/cdrs.jsonl.gz         the calls that started on that day
    DIR/PROFILE/CALL/date=2026-11-19/.cdrs.SHA256.index    start and identity of each of its lines

The index has the digest of its file in its name and is there before the file gets its own, so that the two belong
together at any instant: a file without its index has been changed by somebody else.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import struct
import tempfile
import tomllib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

from cdrctl import windows
from cdrctl.archive.intervals import Reading
from cdrctl.errors import OutputError, UsageError
from cdrctl.windows import Window

FORMATS = ("jsonl", "jsonl.gz", "csv", "csv.gz")
UNKNOWN = "unknown"
"""In place of the day for records whose start cannot be read."""

UNPLACED = -(2**63)
"""In place of the start of such a record."""

_ENTRY = struct.Struct("<qI15s")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEMPORARY = ".cdrctl-"


class Entry(NamedTuple):
    """One record of the archive: the start of its call in Unix milliseconds, its identity's digest, its line."""

    start: int
    key: bytes
    line: bytes


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive: where it is, the zone whose days it has, and the form of its files."""

    folder: Path
    zone_name: str
    form: str

    @property
    def zone(self) -> tzinfo:
        """The zone whose calendar days the files are of."""
        return windows.zone(self.zone_name)

    def path(self, profile: str, call: str, day: str) -> Path:
        """Return the path of a day's file."""
        return self.folder / profile / call / f"date={day}" / f"cdrs.{self.form}"


@dataclass(frozen=True, slots=True)
class DayFile:
    """A day's file as it is on disk: its records, what was read for it, its digest, and its header if it has one."""

    entries: list[Entry]
    readings: list[Reading]
    sha256: str
    header: bytes


def milliseconds(instant: datetime) -> int:
    """Return Unix milliseconds, the rest cut off."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def opened(folder: Path) -> Archive:
    """Return the archive that is in a folder.

    Raises:
        UsageError: There is none, or what describes it cannot be read.
    """
    path = folder / "archive.toml"
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        archive = Archive(folder, str(told["zone"]), str(told["format"]))
    except FileNotFoundError:
        raise UsageError(
            f"there is no archive in {folder}", hint="begin one with: cdrctl sync PROFILE --into DIR"
        ) from None
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", hint='it has two lines: zone = "UTC" and format = "jsonl"'
        ) from None
    windows.zone(archive.zone_name)
    if archive.form not in FORMATS:
        raise UsageError(f"{path} names a format that archives do not have: {archive.form}")
    return archive


def check_format(form: str | None) -> None:
    """Refuse what an archive's files cannot be; None is the usual.

    Raises:
        UsageError: There is no such format of archives.
    """
    if form is not None and form not in FORMATS:
        raise UsageError(f"an archive's format is not {form!r}", hint=f"it is one of: {', '.join(FORMATS)}")


def begun(folder: Path, zone: str | None, form: str | None) -> Archive:
    """Return the archive in a folder, made if there is none.

    Raises:
        UsageError: There is one with another zone or format, or the folder holds something else.
        OutputError: It cannot be made.
    """
    if (folder / "archive.toml").exists():
        archive = opened(folder)
        for name, wanted, has in (("zone", zone, archive.zone_name), ("format", form, archive.form)):
            if wanted is not None and wanted != has:
                raise UsageError(
                    f"the archive in {folder} has the {name} {has}, not {wanted}",
                    hint=f"leave --{'tz' if name == 'zone' else name} out, or begin another archive",
                )
        return archive
    check_format(form)
    archive = Archive(folder, zone or "UTC", form or "jsonl")
    _ = archive.zone
    with told(folder):
        make_folder(folder)
        others = [one.name for one in folder.iterdir() if not one.name.startswith(("ledger.", _TEMPORARY))]
        if others:
            raise UsageError(
                f"{folder} is not empty and is no archive: it has {others[0]}", hint="name a new or an empty folder"
            )
        text = f"# What the files of this archive are; chosen once.\nzone = {json.dumps(archive.zone_name)}\n"
        replace_file(folder / "archive.toml", f"{text}format = {json.dumps(archive.form)}\n".encode())
    return archive


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, for its owner alone, durably."""
    missing = [folder, *folder.parents]
    missing = [one for one in missing if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir(mode=0o700)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Make what happened to the names in a folder last; where a folder cannot be opened the system sees to it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file durably, so that it is whole or as before at any instant; its owner's alone when it is new."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, suffix=".part", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system says about a file of the archive into an error of ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"the archive cannot be written: {error.filename or path}: {reason}",
            hint="make room or mend the permissions, and run it again: what was finished stays",
        ) from error


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def load(path: Path) -> DayFile | None:
    """Return a day's file, or None when there is none, or when its index is not there or does not fit it.

    Raises:
        OSError: It cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    sha256 = digest(content)
    index = _index(path, sha256)
    if index is None:
        return None
    beginning, readings, lines = index
    try:
        text = gzip.decompress(content) if path.name.endswith(".gz") else content
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from None
    at = beginning
    entries = []
    for start, length, key in lines:
        entries.append(Entry(start, key, text[at : at + length]))
        at += length
    if at != len(text):  # lines without an entry would be lost in the next merge
        return None
    return DayFile(entries, readings, sha256, text[:beginning])


def _index(path: Path, sha256: str) -> tuple[int, list[Reading], list[tuple[int, int, bytes]]] | None:
    """Return the length of the header, the readings and the lines of an index; None where it is gone or damaged."""
    try:
        head, _, packed = _index_path(path, sha256).read_bytes().partition(b"\n")
        described = json.loads(head)
        readings = [_read(one) for one in described["readings"]]
        return int(described["header"]), readings, [*_ENTRY.iter_unpack(packed)]
    except (FileNotFoundError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError, struct.error):
        return None


def readings_of(path: Path) -> tuple[str, int, list[Reading]] | None:
    """Return the digest, the number of records and the readings of a day's file, or None without a fitting index."""
    sha256 = digest(path.read_bytes())
    index = _index(path, sha256)
    if index is None:
        return None
    _, readings, lines = index
    return sha256, len(lines), readings


def save(
    path: Path, header: bytes, entries: Sequence[Entry], readings: Sequence[Reading], old: DayFile | None
) -> tuple[str, int]:
    """Write a day's file and its index durably and return the file's digest and size; what is the same stays untouched.

    Raises:
        OSError: It cannot be written; then the file is as it was.
    """
    text = header + b"".join(entry.line for entry in entries)
    content = _compressed(text) if path.name.endswith(".gz") else text
    sha256 = digest(content)
    head = json.dumps({"header": len(header), "readings": [_plain(one) for one in readings]})
    packed = b"".join(_ENTRY.pack(entry.start, len(entry.line), entry.key) for entry in entries)
    index = head.encode() + b"\n" + packed
    if old is not None and old.sha256 == sha256 and _index_path(path, sha256).read_bytes() == index:
        return sha256, len(content)
    make_folder(path.parent)
    _sweep(path.parent)
    replace_file(_index_path(path, sha256), index)
    if old is None or old.sha256 != sha256:
        replace_file(path, content)
    for one in path.parent.glob(".cdrs.*.index"):
        if one != _index_path(path, sha256):
            one.unlink(missing_ok=True)
    return sha256, len(content)


def _compressed(text: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # no time, no name: equal records give equal bytes
    return compressor.compress(text) + compressor.flush()


def _index_path(path: Path, sha256: str) -> Path:
    return path.parent / f".cdrs.{sha256}.index"


def _sweep(folder: Path) -> None:
    """Remove what a run that was killed left half written; the archive's lock is ours."""
    for one in folder.glob(f"{_TEMPORARY}*.part"):
        one.unlink(missing_ok=True)


def _plain(reading: Reading) -> dict[str, Any]:
    return {
        "since": windows.rfc3339(reading.window.since),
        "until": windows.rfc3339(reading.window.until),
        "state": reading.state,
        "read_at": reading.read_at and windows.rfc3339(reading.read_at),
        "records": reading.records,
        "error": reading.error,
    }


def _read(plain: Mapping[str, Any]) -> Reading:
    return Reading(
        Window(datetime.fromisoformat(plain["since"]), datetime.fromisoformat(plain["until"])),
        plain["state"],
        datetime.fromisoformat(plain["read_at"]) if plain["read_at"] else None,
        plain["records"],
        plain["error"],
    )


class Counts(NamedTuple):
    """What a merge did to the records of a day, in records."""

    new: int = 0
    late: int = 0
    changed: int = 0
    gone: int = 0
    kept: int = 0


def merged(
    old: Sequence[Entry],
    new: Iterable[Entry],
    window: Window | None,
    before: Sequence[Window],
    *,
    whole: bool,
    shrink: bool,
) -> tuple[list[Entry], Counts]:
    """Return the records of a day after a reading, in the order of their starts, and what became of them.

    Args:
        old: What the file has.
        new: What came.
        window: What was asked for; None for records without a start, which are only added to.
        before: What had been read with success before: a new record in it is late.
        whole: Everything that the provider has of the window came, so that what did not come is gone there.
        shrink: Records that are gone may go even when there are fewer afterwards; else they are kept.
    """
    came = {entry.key: entry for entry in new}
    had = {entry.key: entry for entry in old}
    edges = None if window is None else (milliseconds(window.since), milliseconds(window.until))
    inside = {key for key, entry in had.items() if edges and edges[0] <= entry.start < edges[1]}
    gone = inside - came.keys() if whole else set()
    kept = 0
    if gone and len(came) < len(inside) and not shrink:
        kept, gone = len(gone), set()
    spans = [(milliseconds(one.since), milliseconds(one.until)) for one in before]
    fresh = [entry for key, entry in came.items() if key not in had]
    late = sum(any(since <= entry.start < until for since, until in spans) for entry in fresh)
    changed = sum(had[key].line != entry.line for key, entry in came.items() if key in had)
    result = [entry for key, entry in (had | came).items() if key not in gone]
    result.sort()
    return result, Counts(len(fresh) - late, late, changed, len(gone), kept)
