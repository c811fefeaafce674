"""Operations on the files of an archive that differ between a folder and an object store.

A Path reads what is there; these functions open and change it. No run waits for the writer of a pipe.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
import time
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from cdrctl.archive.places import StoredPath


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be opened, or is something else, such as a folder or a pipe.
    """
    if isinstance(path, StoredPath):
        return open(local_file(path), "rb")  # noqa: PTH123 - the caller closes it
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 - a Path takes no opener; the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return file


def read_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read, or is something else, such as a folder or a pipe.
    """
    with open_file(path) as file:
        return file.read()


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def local_file(path: Path, etag: str | None = None) -> str:
    """Return the name under which programs can open a file; one in a store is downloaded first.

    Args:
        path: The file.
        etag: The version of an object that is wanted; None for the one that this run has seen.

    Raises:
        FileNotFoundError: There is none in the store.
        ConflictError: Another version is in the store.
        OSError: It cannot be downloaded.
    """
    if not isinstance(path, StoredPath):
        return os.fspath(path)
    mirror, key = path.place
    return os.fspath(mirror.fetch(key, etag))


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder.

    Raises:
        FileNotFoundError: There is none.
        NotADirectoryError: It is something else.
        OSError: It cannot be read.
    """
    if isinstance(folder, StoredPath):
        mirror, key = folder.place
        return mirror.listed.names(key)
    return os.listdir(folder)  # noqa: PTH208 - a path for each name would cost more


def folders_in(folder: Path, prefix: str) -> list[Path]:
    """Return the folders in a folder whose names begin with a prefix, sorted.

    Raises:
        OSError: It cannot be read.
    """
    if isinstance(folder, StoredPath):
        return [one for one in folder.iterdir() if one.name.startswith(prefix) and one.is_dir()]
    with os.scandir(folder) as entries:
        return sorted(Path(one.path) for one in entries if one.name.startswith(prefix) and one.is_dir())


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents for its owner alone, durably."""
    if isinstance(folder, StoredPath):
        folder.mkdir()
        return
    if folder.is_dir():
        return
    missing = [folder, *folder.parents]
    missing = [one for one in missing if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir(mode=0o700)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk; does nothing where folders cannot be opened (Windows), and in a store."""
    if isinstance(folder, StoredPath):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(temporary: Path, path: Path, sha256: str = "") -> None:
    """Give a temporary file its name, in place of a file that may be there; the folder is not flushed to disk.

    Args:
        temporary: The file, beside its place or in the place's folder of the mirror.
        path: The name.
        sha256: The digest of the file; empty if it is not known.

    Raises:
        ConflictError: Another run replaced the object in the store.
        OSError: It cannot be renamed.
    """
    if not isinstance(path, StoredPath):
        temporary.replace(path)
        return
    mirror, key = path.place
    mirror.put(temporary, key)
    if sha256:
        mirror.learn(key, etag_of(path), sha256)


def link_file(path: Path, new: Path) -> None:
    """Give a file a second name; in a store, copy it.

    Raises:
        FileExistsError: The name is taken.
        OSError: The file system has no links.
    """
    if not isinstance(path, StoredPath) or not isinstance(new, StoredPath):
        os.link(path, new)
        return
    if new.exists():
        raise FileExistsError(errno.EEXIST, "the name is taken", str(new))
    mirror, key = new.place
    copy = Path(f"{os.fspath(new)}.copy")
    shutil.copyfile(local_file(path), copy)
    mirror.put(copy, key)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it.

    Raises:
        OSError: It cannot be removed.
    """
    if not isinstance(folder, StoredPath):
        shutil.rmtree(folder)
        return
    mirror, key = folder.place
    mirror.remove(mirror.keys(key))


def etag_of(path: Path) -> str:
    """Return the tag by which a store tells the versions of an object apart; empty for a file, and without one."""
    if not isinstance(path, StoredPath):
        return ""
    mirror, key = path.place
    version = mirror.listed.version(key)
    return "" if version is None else version.etag


def known_digest(path: Path) -> str | None:
    """Return the SHA-256 of an object if it is known without a download; else None, as for every file."""
    if not isinstance(path, StoredPath):
        return None
    mirror, key = path.place
    return mirror.digest(key) if mirror.is_known(key) else None


def see_again(path: Path) -> None:
    """Look again what is at a path: for an object and what is beside it; does nothing for a file."""
    if isinstance(path, StoredPath):
        mirror, key = path.place
        folder = key.rpartition("/")[0]
        mirror.renew_folder(folder) if folder.startswith(("profile=", "calls/")) else mirror.renew(key)


def pause(attempt: int) -> None:
    """Wait a random part of some milliseconds, more after each attempt, so that runs that meet part again."""
    time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 7)))  # noqa: S311 - no secret


def forget_folder(folder: Path) -> None:
    """Remove what the mirror has of a folder, which the next use lists again; does nothing for a folder on disk."""
    if isinstance(folder, StoredPath):
        mirror, key = folder.place
        mirror.forget(key)
