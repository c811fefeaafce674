"""An archive's folder: its settings, the places of its files, and how files are replaced atomically.

    DIR/archive.toml                                                   layout, zone and format, chosen once
    DIR/profile=PROFILE/call=CALL/date=2026-11-19/cdrs.parquet         the calls that started on that day
    DIR/profile=PROFILE/call=CALL/date=2026-11-19/_readings.json       what was read when
    DIR/profile=PROFILE/_account.json                                  whose records these are
    DIR/_cdrctl/ledger/PROFILE/CALL.json                               what has been read, of all days: a cache

`layout2` describes the files. `layout1` describes those of archives that earlier versions created.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import tzinfo
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from cdrctl import windows
from cdrctl.archive import settings
from cdrctl.archive.index import reading_archive
from cdrctl.archive.opening import (
    folders_in,
    known_digest,
    link_file,
    make_folder,
    names_in,
    open_file,
    put_in_place,
    read_file,
    sync_folder,
)
from cdrctl.archive.places import StoredPath
from cdrctl.archive.settings import Settings, read_settings, settings_text
from cdrctl.errors import IncompleteError, OutputError, UsageError
from cdrctl.writers.access import keep_access

FORMATS = settings.FORMATS
FIRST_LAYOUT, LAYOUT = settings.FIRST_LAYOUT, settings.LAYOUT
UNKNOWN = "unknown"
"""The day of records whose start cannot be parsed."""
PROFILE, CALL, DATE = "profile=", "call=", "date="
CONVERSION = Path("_cdrctl", "conversion.json")
"""The file of an archive that is made of another one, or was."""
_TEMPORARY, _PART = ".cdrctl-", ".part"

ASIDE = ".aside"
"""The suffix of a file that was moved aside, possibly followed by a number."""


class Archive(Struct, frozen=True):
    """An archive.

    Args:
        folder: Its folder.
        settings: Its settings.
    """

    folder: Path
    settings: Settings

    @property
    def zone_name(self) -> str:
        """The name of the zone of its days."""
        return self.settings.zone

    @property
    def form(self) -> str:
        """The format of its files."""
        return self.settings.form

    @property
    def layout(self) -> int:
        """The layout of its files."""
        return self.settings.layout

    @property
    def zone(self) -> tzinfo:
        """The zone of the calendar days."""
        return windows.zone(self.zone_name)

    def path(self, profile: str, call: str, day: str) -> Path:
        """Return the path of a day's file."""
        return self.profile_folder(profile) / self.call_folder(call) / f"date={day}" / f"cdrs.{self.form}"

    def around_day(self, profile: str, call: str) -> tuple[str, str]:
        """Return what comes before and after a day in the path of its file within an archive of the current layout."""
        return f"{PROFILE}{profile}/{CALL}{call}/{DATE}", f"/cdrs.{self.form}"

    def profile_folder(self, profile: str) -> Path:
        """Return the folder of a profile."""
        return self.folder / (profile if self.layout == FIRST_LAYOUT else f"{PROFILE}{profile}")

    def call_folder(self, call: str) -> str:
        """Return the name of a call's folder within that of its profile."""
        return call if self.layout == FIRST_LAYOUT else f"{CALL}{call}"

    def names(self, path: Path) -> tuple[str, str, str]:
        """Return the profile, the call and the day of a day's file."""
        profile, call, day = path.parts[-4:-1]
        return profile.removeprefix(PROFILE), call.removeprefix(CALL), day.removeprefix(DATE)


def whose_in(path: Path) -> str:
    """Return the profile and the call in whose folders a day's file is, as `PROFILE/CALL`, in either layout."""
    profile, call = path.parts[-4:-2]
    return f"{profile.removeprefix(PROFILE)}/{call.removeprefix(CALL)}"


def open_archive(folder: Path) -> Archive:
    """Return the archive in a folder.

    Raises:
        UsageError: There is none, or its archive.toml cannot be used.
    """
    try:
        found = Archive(folder, read_settings(folder / settings.NAME))
    except FileNotFoundError:
        raise UsageError(
            f"there is no archive in {folder}", hint="start one with: cdrctl sync PROFILE --into DIR"
        ) from None
    if found.layout == FIRST_LAYOUT and isinstance(folder, StoredPath):
        raise UsageError(
            f"the archive in {folder} has the first layout, which needs a folder",
            hint="copy it to a folder, and from there into a store with: cdrctl archive convert",
        )
    return found


def check_format(form: str | None) -> None:
    """Check that archives have a format; None means the default.

    Raises:
        UsageError: They do not.
    """
    if form is not None and form not in FORMATS:
        raise UsageError(
            f"an archive cannot have the format {form!r}", hint=f"the formats of archives are: {', '.join(FORMATS)}"
        )


def default_format() -> str:
    """Return the format of new archives: Parquet if pyarrow is installed."""
    return "parquet" if find_spec("pyarrow") else "jsonl.gz"


def open_or_create(folder: Path, zone: str | None, form: str | None, layout: int = LAYOUT) -> Archive:
    """Return the archive in a folder, created if there is none.

    Args:
        folder: The folder.
        zone: The zone of its days; UTC if None.
        form: The format of its files; `default_format` if None.
        layout: The layout of a new archive.

    Raises:
        UsageError: There is one with another zone or format, or the folder has other files.
        OutputError: It cannot be created.
    """
    with reading_archive(folder):
        there = is_there(folder / settings.NAME)
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
    archive = Archive(folder, Settings(zone or "UTC", form or default_format(), layout))
    _ = archive.zone
    with writing_archive(folder):
        make_folder(folder)
        check_folder(folder)
        remove_temporary_files(folder)
        replace_file(folder / settings.NAME, settings_text(archive.settings))
    return archive


def check_folder(folder: Path) -> None:
    """Check that a folder is empty, missing or an archive; nothing is changed.

    Raises:
        UsageError: It has other files.
        OSError: It cannot be read.
    """
    if not is_there(folder) or is_there(folder / settings.NAME):
        return
    if is_there(folder / CONVERSION):
        raise UsageError(
            f"{folder} has an archive whose conversion did not end", hint="run cdrctl archive convert again"
        )
    others = [one.name for one in folder.iterdir() if not one.name.startswith(("ledger.", "_cdrctl", _TEMPORARY))]
    if others:
        raise UsageError(
            f"{folder} is not an archive and not empty: it has {others[0]}", hint="use a new or an empty folder"
        )


@contextmanager
def stage_file(
    path: Path, write: Callable[[BinaryIO], None], whose: str = "", *, digested: bool = True
) -> Iterator[tuple[Path, str, int]]:
    """Write a temporary file beside a path, and yield it with its digest and size; remove it unless it was renamed.

    It is durable on disk. A new file belongs to its owner alone. One that is there gives its owner, group and
    permissions, as far as the system allows it.

    Args:
        path: The file.
        write: Writes the content.
        whose: A part of the temporary file's name by which `remove_temporary_files` tells it from those of other runs.
        digested: Compute the digest; else it is empty.
    """
    stored = isinstance(path, StoredPath)
    old = path.stat() if not stored and path.exists() else None
    if stored:  # nothing of its folder need have been downloaded yet
        make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=f"{_TEMPORARY}{whose}", suffix=_PART, dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "w+b") as file:  # noqa: PTH123 - a descriptor has no path
            write(file)
            file.flush()
            if old is not None:
                keep_access(file.fileno(), path, old)
            if not stored:
                os.fsync(file.fileno())
            size = file.tell()
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest() if digested else ""
        yield temporary, sha256, size
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes, whose: str = "") -> None:
    """Replace a file durably, so that at any instant it is either the old or the new one.

    A new file belongs to its owner alone. An existing one keeps its owner, group and permissions, as far as the system
    allows it.

    Args:
        path: The file.
        content: Its new content.
        whose: A part of the temporary file's name by which `remove_temporary_files` tells it from those of other runs.
    """

    def write(out: BinaryIO) -> None:
        out.write(content)

    with stage_file(path, write, whose, digested=False) as (temporary, _, _):
        put_in_place(temporary, path)
    sync_folder(path.parent)


_REMEDIES = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space",
    errno.EROFS: "mount the file system for writing",
    errno.EIO: "check the disk",
    errno.EACCES: "correct the permissions",
    errno.EPERM: "correct the permissions",
}


def is_of_disk(error: OSError) -> bool:
    """Return whether an error is one of the whole file system."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


def write_hint(error: OSError) -> str:
    """Return the next step for an error of writing the archive."""
    remedy = _REMEDIES.get(error.errno or 0, "free disk space or correct the permissions")
    return f"{remedy}, and run the command again: finished days stay"


@contextmanager
def writing_archive(path: Path) -> Iterator[None]:
    """Turn a system error while writing the archive into an OutputError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"the archive cannot be written: {error.filename or path}: {reason}",
            hint=write_hint(error),
        ) from error


def day_files(archive: Archive, unreadable: Callable[[OSError], None] | None = None) -> list[Path]:
    """Return the paths of all files of records in an archive, sorted.

    Args:
        archive: The archive.
        unreadable: Called for each folder that cannot be read; without it the error is raised.

    Raises:
        OSError: A folder cannot be read.
    """
    second = archive.layout != FIRST_LAYOUT
    return [
        path
        for profile in _folders(archive.folder, unreadable, PROFILE if second else "")
        for call in _folders(profile, unreadable, CALL if second else "")
        for path in _files_in(call, archive.form, unreadable)
    ]


def call_files(archive: Archive, profile: str, call: str) -> list[Path]:
    """Return the paths of all files of records of a call, sorted; none if the archive does not have it.

    Raises:
        OSError: A folder cannot be read.
    """
    folder = archive.profile_folder(profile) / archive.call_folder(call)
    return _files_in(folder, archive.form, None) if is_there(folder) else []


def deleted_files(archive: Archive, profile: str, call: str) -> list[Path]:
    """Return the paths of the files of a call that are not there although the folder of their day is, sorted.

    Raises:
        OSError: A folder cannot be read.
    """
    folder = archive.profile_folder(profile) / archive.call_folder(call)
    days = _folders(folder, None, DATE) if is_there(folder) else []
    return [path for day in days if not is_there(path := day / f"cdrs.{archive.form}")]


def _files_in(folder: Path, form: str, unreadable: Callable[[OSError], None] | None) -> list[Path]:
    """Return the paths of the day's files in the folder of a call."""
    found: list[Path] = []
    for day in _folders(folder, unreadable, DATE):
        path = day / f"cdrs.{form}"
        try:
            found += [path] if is_there(path) else []
        except OSError as error:
            if unreadable is None:
                raise
            unreadable(error)
    return found


def _folders(folder: Path, unreadable: Callable[[OSError], None] | None, prefix: str) -> list[Path]:
    try:
        return folders_in(folder, prefix)
    except OSError as error:
        if unreadable is None:
            raise
        unreadable(error)
        return []


def digest(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def check_unchanged(path: Path, there: str | None, loaded: str) -> None:
    """Check that a file is still the one that was loaded, so that no record of it is replaced that was not read.

    Args:
        path: The file.
        there: The digest of the file that is there; None if there is none.
        loaded: The digest of the file that was loaded; empty if cdrctl did not write it, or there was none.

    Raises:
        IncompleteError: Another program has changed the file in the meantime.
    """
    if loaded and there not in {None, loaded}:
        raise IncompleteError(
            f"{path} was changed by another program while its day was fetched; nothing was written",
            hint="run the command again: it merges what the file contains now with what the provider has",
        )


def set_aside(path: Path, prefix: str = "") -> Path:
    """Link a file to a second name, durably, and return that name, which is never overwritten."""
    content = digest_of(path)
    for number in range(1, 10_000):
        aside = path.with_name(f"{prefix}{path.name}{ASIDE}{number if number > 1 else ''}")
        if digest_of(aside) == content:  # left by a run that was killed after this step
            return aside
        try:
            link_file(path, aside)
        except FileExistsError:
            continue
        except OSError:  # a file system without links
            if aside.exists():
                continue
            _copy(path, aside)
        sync_folder(path.parent)
        return aside
    raise OSError(f"{path}{ASIDE} and {number} more names are taken")


def _copy(path: Path, new: Path) -> None:
    """Copy a file durably under a new name."""
    with open_file(path) as file, stage_file(new, lambda out: shutil.copyfileobj(file, out)) as (temporary, _, _):
        put_in_place(temporary, new)


def is_there(path: Path) -> bool:
    """Return whether a file exists; raise OSError if that cannot be determined."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


NOT_A_FILE = -1
"""The size of what is not a file, or cannot be examined."""


def sizes_in(folder: Path) -> Callable[[str], int | None]:
    """Return a function from a path in a folder to the size of the file, as `size_of` returns it.

    A run looks at the file of every day of an archive: a Path for each file would cost more than this.
    """
    if not isinstance(folder, StoredPath):
        root = str(folder)
        return lambda path: size_of(f"{root}/{path}")
    mirror, inside = folder.place
    return lambda path: mirror.listed.size(f"{inside}/{path}" if inside else path)


def presence_in(folder: Path) -> Callable[[str], bool]:
    """Return a function from a path in a folder to whether there is something, which costs half of its size."""
    if not isinstance(folder, StoredPath):
        root = str(folder)
        return lambda path: os.access(f"{root}/{path}", os.F_OK)
    size = sizes_in(folder)
    return lambda path: size(path) is not None


def size_of(path: str) -> int | None:
    """Return the size of a file in bytes, NOT_A_FILE for something else, and None if there is nothing."""
    try:
        there = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return NOT_A_FILE
    return there.st_size if stat.S_ISREG(there.st_mode) else NOT_A_FILE


def content_of(path: Path) -> bytes | None:
    """Return a file's bytes, or None if it does not exist."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return None


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal digits, or None if it does not exist."""
    if (known := known_digest(path)) is not None:
        return known
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def compress(text: bytes) -> bytes:
    """Return bytes compressed by gzip; equal ones give equal bytes."""
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # without time and name: equal records give equal bytes
    return compressor.compress(text) + compressor.flush()


def remove_temporary_files(folder: Path, whose: str = "") -> None:
    """Remove the temporary files of a run that was killed; no other run can own them, because this one has the lock."""
    if isinstance(folder, StoredPath):  # a store gets whole objects under their own names only
        return
    names: list[str] = []
    with suppress(OSError):  # whatever stands in the way, the file that is written next meets it, too
        names = names_in(folder)
    for name in names:
        if name.startswith(f"{_TEMPORARY}{whose}") and name.endswith(_PART):
            (folder / name).unlink(missing_ok=True)
