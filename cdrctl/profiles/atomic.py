"""Files that are replaced whole, and the locks that writers of them hold."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cdrctl.errors import ConfigurationError, TemporaryError

LOCK_SECONDS = 60.0


def no_home(path: Path) -> bool:
    """Return whether this is what a `~` stays for a user without a home; no folder of that name is meant."""
    return path.parts[:1] == ("~",)


# Files and locks


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError within into a sentence about a file that cannot be written."""
    try:
        yield
    except (OSError, NotImplementedError) as error:
        raise ConfigurationError(
            f"{one_line(str(path))} cannot be written: {os_reason(error)}",
            hint="--config or CDRCTL_CONFIG can name a file elsewhere",
        ) from None


def need_home(path: Path) -> None:
    """Refuse to keep anything beside a configuration file that has no place.

    Raises:
        ConfigurationError: There is no home directory.
    """
    if no_home(path):
        raise ConfigurationError(
            "there is no home directory to keep profiles in",
            hint="set HOME, or CDRCTL_CONFIG to a file's path",
        )


def link_target(path: Path) -> Path:
    """Return the file that a path leads to: a link stays a link when its file is replaced."""
    need_home(path)
    return Path(os.path.realpath(path))


def make_folder(folder: Path) -> None:
    """Make a folder, and the folders above it that are missing, for its owner alone."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)


@contextmanager
def locked(lock: Path, busy: str, seconds: float) -> Iterator[None]:
    """Hold a lock file's lock."""
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=seconds, mode=0o600)
    try:
        held.acquire()
    except Timeout:
        raise TemporaryError(busy, hint="run it again when the other has ended") from None
    try:
        yield
    finally:
        held.release()


def replace_file(path: Path, content: bytes, *, lasting: bool = True, through_links: bool = False) -> None:
    """Replace a file, or make it, so that it is whole or as before at any instant, and its owner's alone.

    One that is not lasting may be lost, or found empty, where the machine stops; it is written much faster. A link is
    replaced by the file, or what it leads to is `through_links`.
    """
    need_home(path)
    target = link_target(path) if through_links else path
    # mkstemp makes the file with mode 0600, whatever the umask.
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
    """Make a rename last; where a folder cannot be opened, as on Windows, the system sees to it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# Words


def os_reason(error: Exception) -> str:
    """Return why the system refused, in its words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(str(error)) or type(error).__name__


def one_line(text: str) -> str:
    """Return somebody else's words fit for one line of a terminal."""
    cut = text if len(text) <= 200 else text[:200] + "…"
    return cut if cut.isprintable() and cut else repr(cut)
