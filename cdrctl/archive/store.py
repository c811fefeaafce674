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
"""In place of the day for records whose start cannot be read."""
_TEMPORARY = ".cdrctl-"

ASIDE = ".aside"
"""What the name of a file ends with that was moved aside, perhaps followed by a number."""


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
    """A day's file as it is on disk.

    Args:
        entries: Its records.
        readings: What was read for it.
        sha256: Its digest; empty when its index was lost, and its records were read back from its lines.
        header: The header of a CSV file.
        gone: Since when records are known to be gone at the provider, by key.
    """

    entries: list[Entry]
    readings: list[Reading]
    sha256: str
    header: bytes
    gone: dict[bytes, datetime] = field(default_factory=dict)


def open_archive(folder: Path) -> Archive:
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


def open_or_create(folder: Path, zone: str | None, form: str | None) -> Archive:
    """Return the archive in a folder, made if there is none.

    Raises:
        UsageError: There is one with another zone or format, or the folder holds something else.
        OutputError: It cannot be made.
    """
    with reading_archive(folder):
        there = is_there(folder / "archive.toml")
    if there:
        archive = open_archive(folder)
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
    with writing_archive(folder):
        make_folder(folder)
        check_folder(folder)
        text = f"# What the files of this archive are; chosen once.\nzone = {json.dumps(archive.zone_name)}\n"
        replace_file(folder / "archive.toml", f"{text}format = {json.dumps(archive.form)}\n".encode())
    return archive


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than an archive; nothing is changed.

    Raises:
        UsageError: It has other files, and no archive.
        OSError: It cannot be read.
    """
    if not is_there(folder) or is_there(folder / "archive.toml"):
        return
    others = [one.name for one in folder.iterdir() if not one.name.startswith(("ledger.", _TEMPORARY))]
    if others:
        raise UsageError(
            f"{folder} is not empty and is no archive: it has {others[0]}", hint="name a new or an empty folder"
        )


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
    """Replace a file durably, so that it is whole or as before at any instant; its owner's alone when it is new.

    One that is there keeps its owner, group and permissions as far as the system allows it.
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
    """Turn what the system says about a file of the archive into an error of ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"the archive cannot be written: {error.filename or path}: {reason}",
            hint="make room or mend the permissions, and run it again: what was finished stays",
        ) from error


def day_files(archive: Archive, unreadable: Callable[[OSError], None] | None = None) -> list[Path]:
    """Return the files of records that are in an archive, in the order of their paths.

    Args:
        archive: The archive.
        unreadable: Told of each folder that cannot be read, instead of raising the error.

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
    if at != len(text):  # lines without an entry would be lost in the next merge
        return None
    return DayFile(entries, readings, sha256, text[:beginning], gone)


def readings_of(path: Path) -> tuple[str, int, list[Reading]] | None:
    """Return the digest, the number of records and the readings of a day's file, or None without a fitting index."""
    sha256 = digest(path.read_bytes())
    index = read_index(path, sha256)
    if index is None:
        return None
    _, readings, lines, _ = index
    return sha256, len(lines), readings


def save(
    path: Path, header: bytes, entries: Sequence[Entry], readings: Sequence[Reading], old: DayFile | None
) -> tuple[str, int]:
    """Write a day's file and its index durably and return the file's digest and size; what is the same stays untouched.

    A file that is there and is not the old one is moved aside first: nothing replaces what was not read.

    Args:
        path: The day's file.
        header: Its CSV header; empty for JSON Lines.
        entries: Its records.
        readings: What was read for it.
        old: The file as it was loaded, with the marks of gone records that the new one gets; None when there was none.

    Raises:
        OSError: It cannot be written; then the file is as it was.
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
    """Give a file another name as well, durably, and return it: nothing that has such a name is ever overwritten."""
    content = path.read_bytes()
    for number in range(1, 10_000):
        aside = path.with_name(f"{path.name}{ASIDE}{number if number > 1 else ''}")
        if _content_of(aside) == content:  # by a run that was killed after this step
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
    raise OSError(f"{path}{ASIDE} and {number} further names are taken")


def is_there(path: Path) -> bool:
    """Return whether there is a file; raise OSError when that cannot be seen."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _content_of(path: Path) -> bytes | None:
    """Return a file's bytes, or None when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digest_of(path: Path) -> str | None:
    content = _content_of(path)
    return None if content is None else digest(content)


def _compress(text: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # no time, no name: equal records give equal bytes
    return compressor.compress(text) + compressor.flush()


def _remove_temporary_files(folder: Path) -> None:
    """Remove what a run that was killed left half written; the archive's lock is ours."""
    for one in folder.glob(f"{_TEMPORARY}*.part"):
        one.unlink(missing_ok=True)
