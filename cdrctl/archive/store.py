"""The files of an archive: one of records for each day of a call, replaced whole, with an index of its lines.

    DIR/archive.toml                                       zone and format, chosen once
    DIR/ledger.sqlite3                                     what has been read and when
    DIR/PROFILE/CALL/date=2026-11-19/cdrs.jsonl.gz         the calls that started on that day
    DIR/PROFILE/CALL/date=2026-11-19/.cdrs.SHA256.index    start and identity of each of its lines

The name of an index has the digest of its file, and the index is written before the file is renamed into place, so that
the two match at any instant: a file without an index was changed by another program.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import tomllib
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from cdrctl import windows
from cdrctl.archive.index import ENTRY, Entry, index_path, plain_reading, read_index, reading_archive
from cdrctl.archive.intervals import Reading
from cdrctl.errors import OutputError, UsageError
from cdrctl.writers.access import keep_access

FORMATS = ("jsonl", "jsonl.gz", "csv", "csv.gz")
UNKNOWN = "unknown"
"""The day of records whose start cannot be parsed."""
_TEMPORARY = ".cdrctl-"

ASIDE = ".aside"
"""The suffix of a file that was moved aside, possibly followed by a number."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive: its folder, the zone of its days, and the format of its files."""

    folder: Path
    zone_name: str
    form: str

    @property
    def zone(self) -> tzinfo:
        """The zone of the calendar days."""
        return windows.zone(self.zone_name)

    def path(self, profile: str, call: str, day: str) -> Path:
        """Return the path of a day's file."""
        return self.folder / profile / call / f"date={day}" / f"cdrs.{self.form}"


@dataclass(frozen=True, slots=True)
class DayFile:
    """The contents of a day's file.

    Args:
        entries: Its records.
        readings: Its readings.
        sha256: Its digest; empty if its index was lost and the records were recovered from its lines.
        header: The header of a CSV file.
        gone: Since when records are known to be gone at the provider, by key.
    """

    entries: list[Entry]
    readings: list[Reading]
    sha256: str
    header: bytes
    gone: dict[bytes, datetime] = field(default_factory=dict)


def open_archive(folder: Path) -> Archive:
    """Return the archive in a folder.

    Raises:
        UsageError: There is none, or its archive.toml is damaged.
    """
    path = folder / "archive.toml"
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        archive = Archive(folder, str(told["zone"]), str(told["format"]))
    except FileNotFoundError:
        raise UsageError(
            f"there is no archive in {folder}", hint="start one with: cdrctl sync PROFILE --into DIR"
        ) from None
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", hint='it should have two lines: zone = "UTC" and format = "jsonl"'
        ) from None
    windows.zone(archive.zone_name)
    if archive.form not in FORMATS:
        raise UsageError(
            f"{path} has an unknown format: {archive.form}", hint=f"the formats of archives are: {', '.join(FORMATS)}"
        )
    return archive


def check_format(form: str | None) -> None:
    """Check that archives have a format; None means the default.

    Raises:
        UsageError: They do not.
    """
    if form is not None and form not in FORMATS:
        raise UsageError(
            f"an archive cannot have the format {form!r}", hint=f"the formats of archives are: {', '.join(FORMATS)}"
        )


def open_or_create(folder: Path, zone: str | None, form: str | None) -> Archive:
    """Return the archive in a folder, created if there is none.

    Raises:
        UsageError: There is one with another zone or format, or the folder has other files.
        OutputError: It cannot be created.
    """
    with reading_archive(folder):
        there = is_there(folder / "archive.toml")
    if there:
        archive = open_archive(folder)
        for name, wanted, has in (("zone", zone, archive.zone_name), ("format", form, archive.form)):
            if wanted is not None and wanted != has:
                raise UsageError(
                    f"the archive in {folder} has the {name} {has}, not {wanted}",
                    hint=f"leave out --{'tz' if name == 'zone' else name}, or start another archive",
                )
        return archive
    check_format(form)
    archive = Archive(folder, zone or "UTC", form or "jsonl")
    _ = archive.zone
    with writing_archive(folder):
        make_folder(folder)
        check_folder(folder)
        text = f"# What the files of this archive are; chosen once.\nzone = {json.dumps(archive.zone_name)}\n"
        replace_file(folder / "archive.toml", f"{text}format = {json.dumps(archive.form)}\n".encode())
    return archive


def check_folder(folder: Path) -> None:
    """Check that a folder is empty, missing or an archive; nothing is changed.

    Raises:
        UsageError: It has other files.
        OSError: It cannot be read.
    """
    if not is_there(folder) or is_there(folder / "archive.toml"):
        return
    others = [one.name for one in folder.iterdir() if not one.name.startswith(("ledger.", _TEMPORARY))]
    if others:
        raise UsageError(
            f"{folder} is not an archive and not empty: it has {others[0]}", hint="use a new or an empty folder"
        )


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents for its owner alone, durably."""
    missing = [folder, *folder.parents]
    missing = [one for one in missing if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir(mode=0o700)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk; does nothing where folders cannot be opened (Windows)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file durably, so that at any instant it is either the old or the new one.

    A new file belongs to its owner alone. An existing one keeps its owner, group and permissions, as far as the system
    allows it.
    """
    old = path.stat() if path.exists() else None
    descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, suffix=".part", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
            file.flush()
            if old is not None:
                keep_access(file.fileno(), path, old)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def writing_archive(path: Path) -> Iterator[None]:
    """Turn a system error while writing the archive into an OutputError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"the archive cannot be written: {error.filename or path}: {reason}",
            hint="free disk space or correct the permissions, and run this again: finished days stay",
        ) from error


def day_files(archive: Archive, unreadable: Callable[[OSError], None] | None = None) -> list[Path]:
    """Return the paths of all files of records in an archive, sorted.

    Args:
        archive: The archive.
        unreadable: Called for each folder that cannot be read; without it the error is raised.

    Raises:
        OSError: A folder cannot be read.
    """
    found: list[Path] = []
    for profile in _folders(archive.folder, unreadable):
        for call in _folders(profile, unreadable):
            for day in _folders(call, unreadable):
                path = day / f"cdrs.{archive.form}"
                if day.name.startswith("date="):
                    try:
                        found += [path] if is_there(path) else []
                    except OSError as error:
                        if unreadable is None:
                            raise
                        unreadable(error)
    return found


def _folders(folder: Path, unreadable: Callable[[OSError], None] | None) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(one.path) for one in entries if one.is_dir())
    except OSError as error:
        if unreadable is None:
            raise
        unreadable(error)
        return []


def digest(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def load(path: Path) -> DayFile | None:
    """Return a day's file, or None if it is missing, or has no matching index.

    Raises:
        OSError: It cannot be read.
    """
    try:
        content = path.read_bytes()
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
    return DayFile(entries, readings, sha256, text[:beginning], gone)


def readings_of(path: Path) -> tuple[str, int, list[Reading]] | None:
    """Return the digest, the number of records and the readings of a day's file, or None without a matching index."""
    sha256 = digest(path.read_bytes())
    index = read_index(path, sha256)
    if index is None:
        return None
    _, readings, lines, _ = index
    return sha256, len(lines), readings


def save(
    path: Path, header: bytes, entries: Sequence[Entry], readings: Sequence[Reading], old: DayFile | None
) -> tuple[str, int]:
    """Write a day's file and its index durably, and return the file's digest and size.

    An unchanged file is not written again. A file that is not `old` is moved aside first: records that were not read
    are never replaced.

    Args:
        path: The day's file.
        header: Its CSV header; empty for JSON Lines.
        entries: Its records.
        readings: Its readings.
        old: The file as it was loaded, with the gone records of the new one; None if there was none.

    Raises:
        OSError: It cannot be written; then the old file is unchanged.
    """
    text = header + b"".join(entry.line for entry in entries)
    content = _compress(text) if path.name.endswith(".gz") else text
    sha256 = digest(content)
    described: dict[str, Any] = {"header": len(header), "readings": [plain_reading(one) for one in readings]}
    if old is not None and old.gone:
        described["gone"] = {key.hex(): windows.rfc3339(at) for key, at in sorted(old.gone.items())}
    packed = b"".join(ENTRY.pack(entry.start, len(entry.line), entry.key) for entry in entries)
    index = json.dumps(described).encode() + b"\n" + packed
    there = _digest_of(path)
    if there == sha256 and _content_of(index_path(path, sha256)) == index:
        return sha256, len(content)
    make_folder(path.parent)
    _remove_temporary_files(path.parent)
    if there not in {None, sha256} and (old is None or old.sha256 != there):
        set_aside(path)
    replace_file(index_path(path, sha256), index)
    if there != sha256:
        replace_file(path, content)
    for one in path.parent.glob(".cdrs.*.index"):
        if one != index_path(path, sha256):
            one.unlink(missing_ok=True)
    return sha256, len(content)


def set_aside(path: Path) -> Path:
    """Link a file to a second name, durably, and return that name, which is never overwritten."""
    content = path.read_bytes()
    for number in range(1, 10_000):
        aside = path.with_name(f"{path.name}{ASIDE}{number if number > 1 else ''}")
        if _content_of(aside) == content:  # left by a run that was killed after this step
            return aside
        try:
            os.link(path, aside)
        except FileExistsError:
            continue
        except OSError:  # a file system without links
            if aside.exists():
                continue
            replace_file(aside, content)
        sync_folder(path.parent)
        return aside
    raise OSError(f"{path}{ASIDE} and {number} more names are taken")


def is_there(path: Path) -> bool:
    """Return whether a file exists; raise OSError if that cannot be determined."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _content_of(path: Path) -> bytes | None:
    """Return a file's bytes, or None if it does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digest_of(path: Path) -> str | None:
    content = _content_of(path)
    return None if content is None else digest(content)


def _compress(text: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # without time and name: equal records give equal bytes
    return compressor.compress(text) + compressor.flush()


def _remove_temporary_files(folder: Path) -> None:
    """Remove the temporary files of a run that was killed; no other run can own them, because this one has the lock."""
    for one in folder.glob(f"{_TEMPORARY}*.part"):
        one.unlink(missing_ok=True)
