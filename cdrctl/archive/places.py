"""Where an archive is: a folder, or a prefix of an object store such as `s3://bucket/archive`.

A path in a store is a Path whose text is its URL. Programs that open it find it in a mirror, a temporary folder of this
run (`archive/mirror.py`): its names come from listings of the store, and its files are downloaded when they are opened.
Everything else in `cdrctl.archive` treats it as any other path, and changes files by the functions of
`archive/opening.py`. A folder costs nothing of this: no module of stores is imported for it.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cdrctl.errors import UsageError

if TYPE_CHECKING:
    from cdrctl.archive.mirror import Mirror

    _Native = Path
else:
    _Native = type(Path())

_URL = re.compile(r"(s3a?|gs|az|azure|abfss?)://", re.IGNORECASE)
_OTHER_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)

_MIRRORS: dict[str, Mirror] = {}
"""The mirrors of this process by their folder."""


def place_of(text: str) -> Path:
    """Return the place of an archive from its name: a folder, or the URL of a store.

    Raises:
        UsageError: The URL cannot be used.
        ConfigurationError: The package for stores is not installed.
    """
    if not _URL.match(text):
        other = _OTHER_URL.match(text)
        if other is not None and not Path(text).exists():
            raise UsageError(
                f"an archive cannot be at a URL that begins with {other[0]}",
                hint="use s3://…, gs://… or az://…; for a folder of that name, write ./ before it",
            )
        return Path(text)
    from cdrctl.archive.mirror import open_mirror

    return open_mirror(text)


def is_url(text: str) -> bool:
    """Return whether a name is the URL of a store."""
    return _URL.match(text) is not None


def add_mirror(mirror: Mirror) -> StoredPath:
    """Add a mirror to those of this process, and return the path of the store's prefix."""
    _MIRRORS[str(mirror.folder)] = mirror
    return StoredPath(mirror.folder)


def mirrors() -> list[Mirror]:
    """Return the mirrors of this process."""
    return [*_MIRRORS.values()]


def remove_mirror(mirror: Mirror) -> None:
    """Remove a mirror from those of this process."""
    _MIRRORS.pop(str(mirror.folder), None)


def close_mirrors() -> None:
    """Remove the temporary folders of this process's mirrors; the next command reads the stores again."""
    for one in mirrors():
        one.close()


class StoredPath(_Native):
    """A path in a store: what is there is asked of the listing of the store, and no request repeats another."""

    @property
    def place(self) -> tuple[Mirror, str]:
        """The mirror, and the key within the prefix of the store.

        Raises:
            FileNotFoundError: The mirror was closed.
        """
        local = os.fspath(self)
        for folder, mirror in _MIRRORS.items():
            if local.startswith(folder) and local[len(folder) : len(folder) + 1] in {"", os.sep}:
                return mirror, local[len(folder) + 1 :].replace(os.sep, "/")
        raise FileNotFoundError(2, "its store is not open", local)

    def __str__(self) -> str:
        """Return the URL."""
        try:
            mirror, key = self.place
        except FileNotFoundError:
            return super().__str__()
        return f"{mirror.url}/{key}" if key else mirror.url

    def __fspath__(self) -> str:
        """Return the path in the mirror."""
        return super().__str__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process gets this path."""
        return place_of, (str(self),)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002 - a Path's own signature
        """Return the kind and the size of an object or a folder; the other values mean nothing.

        Raises:
            FileNotFoundError: There is none.
        """
        mirror, key = self.place
        size = mirror.listed.size(key)
        if size is None and not mirror.listed.is_folder(key):
            raise FileNotFoundError(2, "no such object", str(self))
        kind = stat.S_IFDIR | 0o700 if size is None else stat.S_IFREG | 0o600
        return os.stat_result((kind, 0, 0, 1, 0, 0, size or 0, 0, 0, 0))

    def exists(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        """Return whether there is an object or a folder."""
        mirror, key = self.place
        return mirror.listed.size(key) is not None or mirror.listed.is_folder(key)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        """Return whether there is a folder: a prefix of objects."""
        mirror, key = self.place
        return mirror.listed.is_folder(key)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002
        """Return whether there is an object."""
        mirror, key = self.place
        return mirror.listed.size(key) is not None

    def is_symlink(self) -> bool:
        """Return that a store has no links."""
        return False

    def resolve(self, strict: bool = False) -> StoredPath:  # noqa: ARG002, FBT001, FBT002
        """Return the path: a store has no links."""
        return self

    def iterdir(self) -> Generator[StoredPath, None, None]:
        """Yield what is in a folder.

        Raises:
            FileNotFoundError: There is no such folder.
        """
        mirror, key = self.place
        if not mirror.listed.is_folder(key):
            raise FileNotFoundError(2, "no such folder", str(self))
        yield from (self / name for name in sorted(mirror.listed.names(key)))

    def glob(self, pattern: str, **_options: Any) -> Generator[StoredPath, None, None]:
        """Yield what matches a pattern, without `**`; a pattern that ends with a slash matches folders."""
        first, _, rest = pattern.partition("/")
        mirror, key = self.place
        for name in fnmatch.filter(sorted(mirror.listed.names(key)), first) if mirror.listed.is_folder(key) else ():
            found = self / name
            if rest:
                yield from found.glob(rest)
            elif not pattern.endswith("/") or found.is_dir():
                yield found

    def open(self, mode: str = "r", *rest: Any, **options: Any) -> IO[Any]:  # type: ignore[override]
        """Open an object for reading.

        Raises:
            FileNotFoundError: There is none.
            OSError: It was to be written.
        """
        if set(mode) & set("wax+"):
            raise OSError(30, "an object is replaced as a whole", str(self))
        mirror, key = self.place
        mirror.fetch(key)
        return super().open(mode, *rest, **options)

    def unlink(self, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        """Remove an object.

        Raises:
            FileNotFoundError: There is none.
        """
        mirror, key = self.place
        if mirror.listed.size(key) is None:
            if missing_ok:
                return
            raise FileNotFoundError(2, "no such object", str(self))
        mirror.remove([key])

    def rmdir(self) -> None:
        """Do nothing: a folder ends with its last object."""

    def mkdir(self, mode: int = 0o700, parents: bool = False, exist_ok: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Make a folder in the mirror, for locks and temporary files: a store has none."""
        os.makedirs(os.fspath(self), mode=0o700, exist_ok=True)  # noqa: PTH103

    def rename(self, target: Any) -> StoredPath:  # noqa: ARG002
        """Refuse: a store cannot rename.

        Raises:
            OSError: Always.
        """
        raise OSError(38, "an object cannot be renamed", str(self))

    def replace(self, target: Any) -> StoredPath:
        """Refuse, as `rename` does.

        Raises:
            OSError: Always.
        """
        return self.rename(target)


if sys.version_info < (3, 12):
    # A path of Python 3.11 asks the system for each parent; the listing of the store knows.
    StoredPath.absolute = lambda self: self  # type: ignore[method-assign]
