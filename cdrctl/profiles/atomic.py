"""Files that are replaced atomically, and the locks for writing them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cdrctl.errors import ConfigurationError, TemporaryError

LOCK_SECONDS = 60.0


def no_home(path: Path) -> bool:
    """Return whether a path begins with a `~` that could not be expanded, because the user has no home directory."""
    return path.parts[:1] == ("~",)


# Files and locks


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError in the body into an error about a file that cannot be written.

    Raises:
        ConfigurationError: The body raised OSError or NotImplementedError.
    """
    try:
        yield
    except (OSError, NotImplementedError) as error:
        raise ConfigurationError(
            f"{one_line(str(path))} cannot be written: {os_reason(error)}",
            hint="--config or CDRCTL_CONFIG can name a file elsewhere",
        ) from None


def need_home(path: Path) -> None:
    """Refuse to store files if the configuration file has no folder.

    Raises:
        ConfigurationError: There is no home directory.
    """
    if no_home(path):
        raise ConfigurationError(
            "there is no home directory to store profiles in",
            hint="set HOME, or CDRCTL_CONFIG to a file's path",
        )


def link_target(path: Path) -> Path:
    """Return the file that a path leads to, so that replacing it keeps a link."""
    need_home(path)
    return Path(os.path.realpath(path))


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, with mode 0700."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)


@contextmanager
def locked(lock: Path, busy: str, seconds: float) -> Iterator[None]:
    """Hold the lock of a lock file.

    Args:
        lock: The lock file.
        busy: The error message if another run holds it.
        seconds: The time to wait for it.

    Raises:
        TemporaryError: Another run held it all this time.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=seconds, mode=0o600)
    try:
        held.acquire()
    except Timeout:
        raise TemporaryError(busy, hint="run the command again when the other run has finished") from None
    try:
        yield
    finally:
        held.release()


def replace_file(path: Path, content: bytes, *, lasting: bool = True, through_links: bool = False) -> None:
    """Create or replace a file atomically, with mode 0600.

    Args:
        path: The file.
        content: Its content.
        lasting: Whether to sync it to disk. Otherwise it is written much faster, and may be lost or empty if the
            machine stops.
        through_links: Whether to replace the file that a link leads to, instead of the link.
    """
    need_home(path)
    target = link_target(path) if through_links else path
    # mkstemp creates the file with mode 0600, whatever the umask.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name[:64]}.", suffix=".new", dir=target.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    if lasting:
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Sync a rename to disk; a folder that cannot be opened, as on Windows, is left to the system."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# Words


def os_reason(error: Exception) -> str:
    """Return the system's reason for an error."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(str(error)) or type(error).__name__


def one_line(text: str) -> str:
    """Return foreign text so that it fits one line of a terminal: shortened, and quoted if it is not printable."""
    cut = text if len(text) <= 200 else text[:200] + "…"
    return cut if cut.isprintable() and cut else repr(cut)
