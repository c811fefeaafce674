"""Where records are written: standard output, or a file that is replaced whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import select
import shutil
import stat
import zlib
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from cdrctl.errors import LockedError, OutputError
from cdrctl.writers.access import keep_access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer


def _ignore(_text: str) -> None:
    """Say nothing."""


@contextmanager
def output(path: str | None, stdout: BinaryIO, note: Callable[[str], None] = _ignore) -> Iterator[BinaryIO]:
    """Return the stream to write to, as a context: None and `-` are standard output, `.gz` compresses.

    A file is written under a temporary name beside it and renamed when the block ends without an exception; after an
    exception the temporary file is removed and the old file is unchanged. A file that is replaced keeps its owner,
    group, permissions and attributes as far as the system allows it, and `note` is called with what could not be kept.
    A symlink stays: its target is replaced. A path that is not a regular file (a pipe, /dev/null, /dev/stdout) is
    written directly, and every write is flushed.

    Raises:
        OutputError: The file, or standard output, cannot be opened, written, closed or renamed, or it is a database. An
            OSError of the block itself is passed on.
        BrokenPipeError: The reader of standard output has closed it, which is not an error.
    """
    if path is None or path == "-":
        yield _stream(_Stream(stdout, None))
        return
    with _file_errors(path):
        old = _stat_target(path)
    compress = path.lower().endswith(".gz")
    if old is not None and _is_same(old, stdout):  # also if it is a file: /dev/stdout must not replace it
        stream = _Stream(stdout, None, compress=compress)
        yield _stream(stream)
        stream.finish()
    elif old is not None and not stat.S_ISREG(old.st_mode):
        with _open_directly(path) as file:
            stream = _Stream(file, path, compress=compress)
            yield _stream(stream)
            stream.finish()
    else:
        _refuse_database(path)
        with _replace(path, old, note) as file:
            stream = _Stream(file, path, compress=compress, at_once=False)
            yield _stream(stream)
            stream.finish()


def check(path: str) -> None:
    """Check that a file can be written at a path, before any request.

    Raises:
        OutputError: The folder is missing or read-only, or the path is a folder or a database.
    """
    _check_place(path)
    _refuse_database(path)


def _refuse_database(path: str) -> None:
    """Raise OutputError for a path that is a database: replacing it would delete all records in it."""
    if not Path(path).is_file():
        return
    from cdrctl.writers.sql import database_in

    kind = None
    with suppress(OSError):  # writable, but not readable
        kind = database_in(Path(path))
    if kind is not None:
        raise OutputError(
            f"cannot write {path}: it is a {kind} database, and everything in it would be lost",
            hint=f"add to it with -f {kind.lower()}, or name another file with -o",
        )


def _check_place(path: str) -> None:
    """Raise OutputError if a path is a folder, or its folder is missing or read-only."""
    with _file_errors(path):
        old = _stat_target(path)
        if old is not None and stat.S_ISDIR(old.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        folder = _real_path(path).parent
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _real_path(path: str) -> Path:
    """Return a path without links.

    Raises:
        FileNotFoundError: It is relative, and the working directory has been deleted.
    """
    return Path(os.path.realpath(path))


def destination(
    path: str | None, stdout: BinaryIO, *, database: bool, note: Callable[[str], None] = _ignore
) -> AbstractContextManager[BinaryIO | Path]:
    """Return what a writer receives, as a context: a stream, or the path of a database."""
    return _database(path or "", note) if database else output(path, stdout, note)


@contextmanager
def _database(path: str, note: Callable[[str], None]) -> Iterator[Path]:
    """Return the path at which to write a database, as a context.

    An existing database is changed in place; the writer must use a transaction. A new one is created in a folder beside
    it and moved into place when the block ends without an exception; the folder is always removed. The new file has the
    final name, because a writer's errors quote it.

    Raises:
        OutputError: It cannot be written there.
        LockedError: Another program has created it in the meantime.
    """
    _check_place(path)
    target = Path(os.path.realpath(path))
    with _file_errors(path):
        old = _stat_target(path)
    if old is not None and not stat.S_ISREG(old.st_mode):
        raise OutputError(f"cannot write {path}: it is not a regular file", hint="name a file with -o")
    if old is not None and old.st_size:
        yield target
        return
    folder = target.with_name(f".cdrctl-{os.urandom(8).hex()}.part")
    try:
        with _file_errors(path):
            folder.mkdir(0o700)
        yield folder / target.name
        with _file_errors(path):
            with (folder / target.name).open("rb+") as file:
                os.fsync(file.fileno())
                kept = keep_access(file.fileno(), target, old) if old is not None else None
            _move_into_place(folder / target.name, target, old)
        if kept:
            note(kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _sync_folder(target.parent)


def _move_into_place(new: Path, target: Path, old: os.stat_result | None) -> None:
    """Move a new file to its path, unless another program has created a file there in the meantime."""
    if old is not None:
        new.replace(target)
        return
    try:
        try:
            os.link(new, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without links; this leaves a short race
            if target.exists():
                raise FileExistsError from None
            new.replace(target)
    except FileExistsError:
        raise LockedError(
            f"{target.name} was created by another program in the meantime",
            hint="run the command again to add to that file",
        ) from None


def _stat_target(path: str) -> os.stat_result | None:
    """Return the status of an existing path, with links followed, or None.

    Raises:
        OSError: It is a folder, or read-only, which a rename would not notice.
    """
    try:
        old = Path(path).stat()
    except FileNotFoundError:
        old = None
    if path.endswith(("/", os.sep)):  # else a file of that name would be created
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if old is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return old


def _is_same(there: os.stat_result, stdout: BinaryIO) -> bool:
    try:
        return os.path.samestat(there, os.fstat(stdout.fileno()))
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return False


@contextmanager
def _open_directly(path: str) -> Iterator[BinaryIO]:
    """Open a pipe or a device for writing, as a context."""
    with _file_errors(path):
        file = Path(path).open("wb")  # noqa: SIM115 - errors of the block are not errors of the file
    try:
        yield file
    finally:
        with suppress(OSError):  # every write was flushed, and has raised its errors
            file.close()


@contextmanager
def _replace(path: str, old: os.stat_result | None, note: Callable[[str], None]) -> Iterator[BinaryIO]:
    """Return a new file that replaces the target when the block ends, and is removed if it fails, as a context."""
    with _file_errors(path):
        target = _real_path(path)
    temporary = target.with_name(f".cdrctl-{os.urandom(8).hex()}.part")
    file: BinaryIO | None = None
    try:
        with _file_errors(path):
            file = _create(temporary, 0o666 if old is None else 0o600)
        yield file
        with _file_errors(path):
            file.flush()
            kept = keep_access(file.fileno(), target, old) if old is not None else None
            os.fsync(file.fileno())
            file.close()
            temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            if file is not None:
                file.close()
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)
    if kept:
        note(kept)


def _sync_folder(path: Path) -> None:
    """Flush a folder's names to disk."""
    with suppress(OSError):  # not every system can open a folder; the file itself is safe
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _create(path: Path, mode: int) -> BinaryIO:
    """Create a file that never, not even while empty, has more permissions than its mode, less the umask."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, mode)

    return open(path, "xb", opener=opener)  # Path.open takes no opener


class _Stream(io.RawIOBase):
    """The stream that a writer gets: it compresses, flushes, and turns errors of the file into OutputError."""

    def __init__(self, file: BinaryIO, path: str | None, *, compress: bool = False, at_once: bool = True) -> None:
        self._file = file
        self._path = path
        self._pipe = _pipe_number(file) if at_once and not compress else None
        self._at_once = at_once
        # zlib's own gzip header has no time and no file name: equal records give equal bytes
        self._compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16) if compress else None

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        with _file_errors(self._path):
            if self._pipe is not None:
                self._file.flush()
                write_lines(self._pipe, bytes(data))
            else:
                self._file.write(data if self._compressor is None else self._compressor.compress(data))
                if self._at_once:
                    self._file.flush()
        return memoryview(data).nbytes

    def finish(self) -> None:
        """Write the rest of the compressed data, and flush."""
        with _file_errors(self._path):
            if self._compressor is not None:
                self._file.write(self._compressor.flush())
            if self._at_once:
                self._file.flush()


AT_ONCE = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe accepts as a whole or not at all."""


def _pipe_number(file: BinaryIO) -> int | None:
    """Return the file descriptor of a stream that is a pipe, or None."""
    try:
        number = file.fileno()
        return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return None


def write_lines(number: int, data: bytes) -> None:
    """Write to a pipe without a buffer, in whole lines, so that the reader has whole lines if this is interrupted.

    Only a line longer than `AT_ONCE` may be cut.
    """
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + AT_ONCE) + 1 or data.find(b"\n", at + AT_ONCE) + 1 or len(data)
        at += os.write(number, data[at:end])


def _stream(stream: _Stream) -> BinaryIO:
    return cast("BinaryIO", stream)  # io's streams are not subclasses of typing.BinaryIO


@contextmanager
def _file_errors(path: str | None) -> Iterator[None]:
    """Turn a system error about a file, or about standard output (None), into an OutputError."""
    try:
        yield
    except OSError as error:
        if path is None and isinstance(error, BrokenPipeError):
            raise
        what = "standard output" if path is None else path
        reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), "name another place with -o"))
        raise OutputError(f"cannot write {what}: {reason}", hint=hint) from error


_REASONS = {
    errno.EACCES: ("no permission", "change the permissions, or name another place with -o"),
    errno.EDQUOT: ("the disk quota is used up", "free disk space, or name another place with -o"),
    errno.EFBIG: ("it exceeds the largest file size allowed", "raise the limit (ulimit -f), or compress: -o NAME.gz"),
    errno.EIO: ("the disk reports an error", "check the disk, or name another place with -o"),
    errno.EISDIR: ("it is a folder", "name a file in it with -o"),
    errno.ENAMETOOLONG: ("the name is too long", "use a shorter name with -o"),
    errno.ENOENT: ("its folder does not exist", "create the folder, or name another place with -o"),
    errno.ENOSPC: ("the disk is full", "free disk space, or name another place with -o"),
    errno.ENOTDIR: ("its folder is a file", "name another place with -o"),
    errno.EPERM: ("no permission", "change the permissions, or name another place with -o"),
    errno.EPIPE: ("its reader has closed it", "let the reader read to the end"),
    errno.EROFS: ("the file system is read-only", "name another place with -o"),
}
