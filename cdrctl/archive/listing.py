"""The names of the objects of a store, as this run has seen them.

A listing has up to 1 000 keys in each request. The records of a profile, and the ledgers, are listed once in a run.
Other folders are listed one by one, without what is in their folders.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from cdrctl.archive.objects import Objects, Version

_LEDGERS = "_cdrctl/ledger"
_CALLS = "calls"
_FOLDERS = {"", "_cdrctl", _LEDGERS, _CALLS}
"""Keys that are folders, for which no object is asked for."""


class _Listing:
    """The objects of some keys, and the folders in which they are."""

    def __init__(self) -> None:
        self.objects: dict[str, Version] = {}
        self.folders: dict[str, set[str]] = {}

    def add(self, key: str, version: Version) -> None:
        """Add or replace an object."""
        self.objects[key] = version
        while key:
            key, _, name = key.rpartition("/")
            names = self.folders.setdefault(key, set())
            if name in names:
                return
            names.add(name)

    def remove(self, key: str) -> None:
        """Remove an object, and the folders that it leaves empty."""
        self.objects.pop(key, None)
        while key:
            key, _, name = key.rpartition("/")
            names = self.folders.get(key, set())
            names.discard(name)
            if names or not key:
                return
            self.folders.pop(key, None)


class Names:
    """The names and versions of objects as this run has seen them; the methods may be called from several threads.

    Args:
        objects: The store.
        find: Downloads an object whose folder is not listed as a whole, and notes its version.
    """

    def __init__(self, objects: Objects, find: Callable[[str], object]) -> None:
        self._objects = objects
        self._find = find
        self._lock = threading.RLock()
        self._busy: dict[str, threading.Lock] = {}
        self._listings: dict[str, _Listing] = {}
        self._levels: dict[str, set[str]] = {}
        self._known: dict[str, Version | None] = {}

    def size(self, key: str) -> int | None:
        """Return the size of an object; None if there is none."""
        found = self.version(key)
        return None if found is None else found.size

    def version(self, key: str) -> Version | None:
        """Return the version of an object that this run has seen; None if there is none."""
        listing = self._listing(key)
        if listing is not None:
            return listing.objects.get(key)
        if key in _FOLDERS:
            return None
        if key not in self._known:
            with suppress(FileNotFoundError):
                self._find(key)
        return self._known.get(key)

    def versions(self, folder: str) -> Mapping[str, Version]:
        """Return the versions in the listing that a folder belongs to, by key; none if it has no listing."""
        listing = self._listing(folder)
        return {} if listing is None else listing.objects

    def is_folder(self, key: str) -> bool:
        """Return whether there are objects below a key; the prefix of the archive itself always counts."""
        if not key:
            return True
        listing = self._listing(key)
        if listing is not None:
            return key in listing.folders
        return key in self._level("") if "/" not in key else bool(self._level(key))

    def names(self, key: str) -> list[str]:
        """Return the names of the objects and folders in a folder."""
        listing = self._listing(key)
        with self._lock:
            return [*(listing.folders.get(key, ()) if listing is not None else self._level(key))]

    def _listing(self, key: str) -> _Listing | None:
        """Return the listing that a key belongs to, which is read once; None if its folder is not listed as a whole."""
        scope = _scope_of(key)
        if scope is None:
            return None
        with self._lock:
            busy = self._busy.setdefault(scope, threading.Lock())
        with busy:
            found = self._listings.get(scope)
            if found is None:
                found = _Listing()
                is_there = not scope.startswith(_CALLS) or scope.partition("/")[2] in self._level(_CALLS)
                for name, version in self._objects.keys(f"{scope}/") if is_there else ():
                    found.add(name, version)
                self._listings[scope] = found
        return found

    def _level(self, key: str) -> set[str]:
        """Return the names in a folder that is not listed as a whole."""
        with self._lock:
            found = self._levels.get(key)
        if found is None and key == _LEDGERS:  # one request for up to 1 000 ledgers, not one for each profile
            listing = _Listing()
            for name, version in self._objects.keys(f"{key}/"):
                listing.add(name, version)
            with self._lock:
                self._levels |= {one: names for one, names in listing.folders.items() if one.startswith(_LEDGERS)}
                found = self._levels.setdefault(key, set())
        elif found is None:
            folders, objects = self._objects.level(f"{key}/" if key else "")
            found = {*folders, *objects}
            with self._lock:
                self._levels[key] = found
        return found

    def note(self, key: str, version: Version | None) -> None:
        """Note the version of an object that this run has seen or written."""
        scope = _scope_of(key)
        with self._lock:
            listing = self._listings.get(scope) if scope is not None else None
            if listing is not None:
                listing.remove(key) if version is None else listing.add(key, version)
            if scope is None:
                self._known[key] = version
            folder = key
            while version is not None and folder:
                folder, _, name = folder.rpartition("/")
                if folder in self._levels:
                    self._levels[folder].add(name)

    def seen(self, key: str) -> tuple[Version | None, bool]:
        """Return the version of an object, and whether it is known without a download."""
        listing = self._listing(key)
        if listing is not None:
            return listing.objects.get(key), True
        with self._lock:
            return self._known.get(key), key in self._known

    def forget(self, folder: str) -> None:
        """Forget what is in the folder of a profile, so that its next use lists it again."""
        with self._lock:
            self._listings.pop(folder, None)

    def forget_object(self, key: str) -> None:
        """Forget an object whose folder is not listed as a whole."""
        with self._lock:
            self._known.pop(key, None)


def _scope_of(key: str) -> str | None:
    """Return the folder that is listed with all that is in it, and that a key belongs to; None if there is none."""
    parts = key.split("/")
    if parts[0].startswith("profile="):
        return parts[0]
    if parts[0] == "calls":
        return "/".join(parts[:2]) if len(parts) > 1 else None
    return None
