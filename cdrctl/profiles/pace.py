"""Rate limits that several runs with one credential share."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cdrctl import private
from cdrctl.digests import rounds_for
from cdrctl.errors import TemporaryError
from cdrctl.profiles.atomic import locked, make_folder, need_home, no_home, replace_file, write_errors
from cdrctl.profiles.settings import secret_values

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings

PACE_LOCK_SECONDS = 5.0
PACE_LOCK_RETRY_SECONDS = 0.005
PACE_KEPT_SECONDS = 7 * 86_400

_BLOCK = 4096
"""The size of the file: a write of one memory page is whole, even if its process is killed."""

BUSY = "another run holds the lock of the shared pace"


# The shared pace


@dataclass(slots=True)
class _OpenFile:
    """A file that stays open between requests; its descriptor is -1 while it is closed."""

    descriptor: int = -1
    process: int = 0

    def is_at(self, path: Path) -> bool:
        """Return whether the file is open in this process, and the path still leads to it."""
        if self.descriptor < 0 or self.process != os.getpid():
            return False
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.lstat(path))
        except OSError:
            return False

    def open(self, path: Path, flags: int) -> None:
        """Open the file at a path that is not a link; close the one before.

        Raises:
            OSError: It cannot be opened.
        """
        self.close()
        no_links = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        self.descriptor, self.process = os.open(path, os.O_RDWR | no_links | flags, 0o600), os.getpid()

    def close(self) -> None:
        """Close the file, unless it is closed."""
        if self.descriptor >= 0:
            with suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class PaceFile:
    """The file in which all runs on this host that use one credential record their requests.

    It and its lock stay open between requests, and it is written in place: opening and replacing files would take most
    of the time of a request to a server nearby. On Windows, where an open file cannot be replaced, it is replaced each
    time.

    Args:
        path: The file. Neither it nor its name contains a secret; its mode is 0600, that of its folder 0700.
        lock: The lock file for all files of the folder.
    """

    path: Path
    lock: Path
    _file: _OpenFile = field(default_factory=_OpenFile, init=False, repr=False, compare=False)
    _lock_file: _OpenFile = field(default_factory=_OpenFile, init=False, repr=False, compare=False)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            TemporaryError: Another run held it for PACE_LOCK_SECONDS.
            ConfigurationError: The folder cannot be written.
        """
        if not self._lock_file.is_at(self.lock):
            with write_errors(self.path):
                need_home(self.path)
                make_folder(self.path.parent)
                private.check_folder(self.path.parent)
        if sys.platform == "win32":
            with locked(self.lock, BUSY, PACE_LOCK_SECONDS):
                yield
            return
        with write_errors(self.path):
            self._acquire()
        try:
            yield
        finally:
            self._release()

    def load(self) -> object:
        """Return the saved values, or None if there are none or they cannot be read, which is harmless."""
        with suppress(OSError, ValueError, RecursionError):
            if sys.platform == "win32":
                return json.loads(private.read(self.path))
            if not self._file.is_at(self.path):
                self._file.open(self.path, 0)
            size = self._size()
            return json.loads(os.pread(self._file.descriptor, size, 0))
        return None

    def save(self, kept: Mapping[str, Any]) -> None:
        """Write the values in place of the saved ones; when the file is new, delete old files of other credentials.

        Raises:
            ConfigurationError: It cannot be written.
        """
        content = json.dumps(kept).encode()
        with write_errors(self.path):
            if self._overwritten(content):
                return
            new = not self.path.exists()
            replace_file(self.path, content.ljust(_BLOCK), lasting=False)
            if new:
                self._tidy()

    def close(self) -> None:
        """Close the file and its lock; they are opened again when they are needed."""
        self._file.close()
        self._lock_file.close()

    def _acquire(self) -> None:
        """Lock the lock file that is at the path now."""
        if sys.platform == "win32":
            return
        import fcntl

        end = time.monotonic() + PACE_LOCK_SECONDS
        while True:
            if not self._lock_file.is_at(self.lock):
                self._lock_file.open(self.lock, os.O_CREAT)
            try:
                fcntl.flock(self._lock_file.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise TemporaryError(BUSY, hint="run the command again when the other run has finished") from None
                time.sleep(PACE_LOCK_RETRY_SECONDS)
                continue
            # Somebody may have deleted it between the two calls.
            if self._lock_file.is_at(self.lock):
                return
            self._lock_file.close()

    def _release(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl

        if self._lock_file.descriptor >= 0:
            fcntl.flock(self._lock_file.descriptor, fcntl.LOCK_UN)

    def _size(self) -> int:
        """Return the size of the open file.

        Raises:
            OSError: It is not a file.
        """
        status = os.fstat(self._file.descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a file")
        return status.st_size

    def _overwritten(self, content: bytes) -> bool:
        """Write over the open file and return True, unless it is not the one at the path or is too small.

        Spaces fill the rest, so that no moment is without a whole value: a file cut after it was written, or written
        in two parts, would be empty for other runs if this one were killed in between.
        """
        if sys.platform == "win32" or len(content) > _BLOCK or not self._file.is_at(self.path):
            return False
        if self._size() != _BLOCK:
            return False
        return os.pwrite(self._file.descriptor, content.ljust(_BLOCK), 0) == _BLOCK

    def _tidy(self) -> None:
        """Delete files that no run has written for PACE_KEPT_SECONDS: each short-lived token would leave one."""
        newest = self.path.stat().st_mtime
        for each in self.path.parent.iterdir():
            with suppress(OSError):
                if each != self.lock and each.stat().st_mtime < newest - PACE_KEPT_SECONDS:
                    each.unlink()


def pace_file(config: Path, provider: str, settings: Settings) -> PaceFile:
    """Return the file for the rate limits of a profile's credential: `pace/DIGEST.json` beside the configuration.

    The digest covers the provider, its host and the secrets as the profile has them, so that it does not change when a
    token is renewed. It is slow to compute if one of them might be a password, which could be found by trying.

    Args:
        config: The configuration file.
        provider: The provider's name.
        settings: The profile's settings.

    Raises:
        ConfigurationError: Another user could put links into the folder.
    """
    host = urlsplit(settings.base_url).hostname or ""
    secrets = secret_values(settings)
    text, salt = json.dumps(secrets).encode(), f"{provider} {host}".encode()
    digest = hashlib.pbkdf2_hmac("sha256", text, salt, rounds_for(secrets), 16).hex()
    folder = config.parent / "pace"
    if not no_home(folder):
        private.check_folder(folder)
    return PaceFile(folder / f"{digest}.json", folder / "lock")
