"""A store's archive in a temporary folder of this run: names from listings, files when they are opened.

    TMP/cdrctl-mirror-…/in-use     held while the run lives: the next run removes the folders of those that were killed
    TMP/cdrctl-mirror-…/files      what has been downloaded or written, under the names of the store

An object that is replaced must still be the version that this run has seen (`If-Match`), or be missing
(`If-None-Match: *`): no run replaces what another one wrote without having read it.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from cdrctl.archive.listing import Names
from cdrctl.archive.objects import Objects, Version, checked_url
from cdrctl.archive.places import add_mirror, mirrors, remove_mirror
from cdrctl.archive.settings import NAME as SETTINGS
from cdrctl.errors import ConflictError, StoreError

_PREFIX = "cdrctl-mirror-"
_LOCK, _FILES = "in-use", "files"
_ABANDONED = 3600
"""Seconds after which the folder of a run that does not hold its lock is removed."""
KEPT_BYTES = 256 << 20
"""How many bytes of downloaded records stay in the mirror; what is open stays readable."""


def open_mirror(text: str) -> Path:
    """Return the path of a prefix of a store; two names of one prefix give the same one.

    Raises:
        UsageError: The URL cannot be used.
        ConfigurationError: The package for stores is not installed, or its settings cannot be used.
    """
    url = checked_url(text)
    for one in mirrors():
        if one.url == url:
            return one.root
    return Mirror(url).root


class Mirror:
    """A store's archive as this run has seen it; the methods may be called from several threads."""

    def __init__(self, url: str) -> None:
        from filelock import FileLock

        self.url = url
        self.objects = Objects(url)
        _remove_abandoned()
        self._place = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._held = FileLock(self._place / _LOCK)
        self._held.acquire()
        self.folder = self._place / _FILES
        self.folder.mkdir(mode=0o700)
        self.root: Path = add_mirror(self)
        self.listed = Names(self.objects, self.fetch)
        self._lock = threading.RLock()
        self._busy: dict[str, threading.Lock] = {}
        self._files: OrderedDict[str, Version] = OrderedDict()
        self._digests: dict[str, tuple[str, str]] = {}
        self._checking = threading.Lock()
        self._checked = False
        atexit.register(self.close)

    def close(self) -> None:
        """Remove the temporary folder."""
        atexit.unregister(self.close)
        remove_mirror(self)
        with suppress(OSError):
            shutil.rmtree(self.folder)
        self._held.release()
        shutil.rmtree(self._place, ignore_errors=True)

    # Contents

    def local(self, key: str) -> Path:
        """Return the place of an object in the mirror, whether or not it is there."""
        return self.folder.joinpath(*key.split("/"))

    def fetch(self, key: str, etag: str | None = None) -> Path:
        """Return the file of an object, downloaded unless it is there.

        Args:
            key: The object.
            etag: The version that is wanted; None for the one that this run has seen, or a newer one.

        Raises:
            FileNotFoundError: There is none.
            ConflictError: Another version is there than the wanted one.
            OSError: It cannot be written to the mirror.
        """
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            seen, is_known = self.listed.seen(key)
            if seen is None and is_known:
                raise FileNotFoundError(errno.ENOENT, "no such object", f"{self.url}/{key}")
            path = self.local(key)
            there = self._files.get(key)
            is_wanted = seen is not None and there is not None and there.etag == seen.etag and etag in {None, seen.etag}
            if is_wanted and path.exists():
                return path
            return self._download(key, path, etag)

    def _download(self, key: str, path: Path, etag: str | None) -> Path:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        try:
            with open(descriptor, "wb") as out:  # noqa: PTH123 - a descriptor has no path
                version = self.objects.download(key, out, etag)
            Path(name).replace(path)
        except FileNotFoundError:
            self.listed.note(key, None)
            raise
        finally:
            with suppress(OSError):
                Path(name).unlink(missing_ok=True)
        self.listed.note(key, version)
        self._keep(key, version)
        return path

    def _keep(self, key: str, version: Version) -> None:
        """Note that the mirror has a file, and remove the oldest ones if they are too many."""
        with self._lock:
            self._files[key] = version
            self._files.move_to_end(key)
            total = sum(one.size for one in self._files.values())
            while total > KEPT_BYTES and len(self._files) > 1:
                name, gone = self._files.popitem(last=False)
                total -= gone.size
                with suppress(OSError):  # Windows keeps what is open
                    self.local(name).unlink()

    def learn(self, key: str, etag: str, sha256: str) -> None:
        """Note the digest of one version of an object, so that it need not be downloaded to be recognized."""
        self._digests[key] = etag, sha256

    def digest(self, key: str) -> str | None:
        """Return the SHA-256 of the version of an object that this run has seen; None if there is none.

        Raises:
            OSError: It cannot be downloaded.
        """
        seen = self.listed.version(key)
        if seen is None:
            return None
        etag, sha256 = self._digests.get(key, ("", ""))
        if sha256 and etag == seen.etag:
            return sha256
        try:
            with self.fetch(key).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        there = self._files.get(key)
        if there is not None:
            self.learn(key, there.etag, sha256)
        return sha256

    def is_known(self, key: str) -> bool:
        """Return whether the digest of an object is known without a download."""
        seen = self.listed.version(key)
        return seen is not None and self._digests.get(key, ("",))[0] == seen.etag

    # Changes

    def put(self, temporary: Path, key: str) -> None:
        """Replace an object by a temporary file, which then belongs to the mirror, unless another run replaced it.

        Raises:
            ConflictError: Another version is there than this run has seen.
            StoreError: The store ignores conditions, or cannot be used.
        """
        old = self.listed.version(key)
        if key != SETTINGS or old is not None:
            self._check_conditions()
        try:
            new = self.objects.put(key, temporary, old)
        except ConflictError:  # perhaps by this run: a request whose answer was lost is sent again
            self.renew(key)
            with suppress(FileNotFoundError):
                if _same(self.fetch(key), temporary):
                    return
            raise
        except StoreError:
            with suppress(StoreError):  # whether it was written is not known
                self.renew(key)
            raise
        path = self.local(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.replace(path)
        self.listed.note(key, new)
        self._keep(key, new)
        if key == SETTINGS:
            self._check_conditions()

    def remove(self, keys: list[str]) -> None:
        """Remove objects."""
        if keys:
            self.objects.remove(keys)
        for key in keys:
            self.listed.note(key, None)
            with suppress(OSError):
                self.local(key).unlink(missing_ok=True)

    def keys(self, folder: str) -> list[str]:
        """Return the keys of all objects below a folder, as they are now."""
        return [key for key, _ in self.objects.keys(f"{folder}/")]

    def renew(self, key: str) -> None:
        """Look again which version of an object is there."""
        self.listed.note(key, self.objects.head(key))

    def renew_folder(self, folder: str) -> None:
        """Look again what is in a folder."""
        found = dict(self.objects.keys(f"{folder}/"))
        for name in self.listed.names(folder):
            if f"{folder}/{name}" not in found and not self.listed.is_folder(f"{folder}/{name}"):
                self.listed.note(f"{folder}/{name}", None)
        for key, version in found.items():
            self.listed.note(key, version)

    def forget(self, folder: str) -> None:
        """Remove a profile's files from the mirror, so that its next use sees what is there then."""
        self.listed.forget(folder)
        with self._lock:
            inside = f"{folder}/"
            for key in [one for one in self._files if one.startswith(inside)]:
                self._files.pop(key)
            for key in [one for one in self._digests if one.startswith(inside)]:
                self._digests.pop(key)
        with suppress(OSError):
            shutil.rmtree(self.local(folder))

    def _check_conditions(self) -> None:
        """Check once that the store keeps conditions, by writing the settings again as they are.

        Raises:
            StoreError: It ignores them, so that two runs could lose records.
        """
        with self._checking:
            if self._checked:
                return
            seen = self.listed.version(SETTINGS)
            if seen is None:
                return
            path = self.fetch(SETTINGS)
            for condition in (None, Version(seen.size, f'"{"0" * 32}"', seen.generation and "1")):
                try:
                    new = self.objects.put(SETTINGS, path, condition)
                except ConflictError:
                    continue
                self.listed.note(SETTINGS, new)
                self._files[SETTINGS] = new
                ignored = "If-None-Match" if condition is None else "If-Match"
                raise StoreError(
                    f"{self.url}: the store ignores the condition {ignored} of a request, so two runs at the "
                    "same time could lose records; no records were written",
                    exit_code=6,
                    hint="use a store with conditional writes (Amazon S3, Google, Azure, R2, a recent MinIO or Ceph), "
                    "or a folder",
                )
            self._checked = True


def _same(path: Path, other: Path) -> bool:
    """Return whether two files have the same content."""
    if path.stat().st_size != other.stat().st_size:
        return False
    with path.open("rb") as one, other.open("rb") as two:
        return hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(two, "sha256").digest()


def _remove_abandoned() -> None:
    """Remove the mirrors of runs that were killed."""
    from filelock import FileLock, Timeout

    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout):
            there = place.lstat()
            ours = not hasattr(os, "getuid") or there.st_uid == os.getuid()
            if not ours or place.is_symlink() or time.time() - there.st_mtime < _ABANDONED:
                continue
            held = FileLock(place / _LOCK, timeout=0)
            with held:
                shutil.rmtree(place / _FILES, ignore_errors=True)
            shutil.rmtree(place, ignore_errors=True)
