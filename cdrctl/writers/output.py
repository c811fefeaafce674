"""Where records go: standard output, or a file that is there whole or not at all."""

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


def _unsaid(_text: str) -> None:
    """Say nothing."""


@contextmanager
def output(path: str | None, stdout: BinaryIO, note: Callable[[str], None] = _unsaid) -> Iterator[BinaryIO]:
    """Return the stream to write to, as a context: None and `-` are standard output, `.gz` compresses.

    A file is written under a temporary name beside it, and gets its own name when the block ends without an
    exception; after any exception the temporary is gone and the old file is as it was. A file that is replaced
    keeps its owner, group, permissions and attributes as far as the system allows it, and `note` is told what could
    not be kept. A symlink keeps its place: what it points to is replaced. What is no file (a pipe, /dev/null,
    /dev/stdout) is written directly, and every write is seen at once.

    Raises:
        OutputError: The file, or standard output, cannot be opened, written, closed or renamed, or it is a database.
            An OSError of the block itself is none of these and passes.
        BrokenPipeError: The reader of standard output has gone, which is no error.
    """
    if path is None or path == "-":
        yield _stream(_Stream(stdout, None))
        return
    with _told(path):
        old = _what_is_at(path)
    compress = path.lower().endswith(".gz")
    if old is not None and _is_same(old, stdout):  # also when it is a file: /dev/stdout must not replace it
        stream = _Stream(stdout, None, compress=compress)
        yield _stream(stream)
        stream.finish()
    elif old is not None and not stat.S_ISREG(old.st_mode):
        with _opened(path) as file:
            stream = _Stream(file, path, compress=compress)
            yield _stream(stream)
            stream.finish()
    else:
        _spare_database(path)
        with _replaced(path, old, note) as file:
            stream = _Stream(file, path, compress=compress, at_once=False)
            yield _stream(stream)
            stream.finish()


def check(path: str) -> None:
    """Refuse a path at which no file could be written, before what it is for is begun.

    Raises:
        OutputError: The folder is not there or may not be written, or the path is a folder, or a database's.
    """
    _check_place(path)
    _spare_database(path)


def _spare_database(path: str) -> None:
    """Refuse to put another file in the place of a database: what has been gathered in it for months would be gone."""
    if not Path(path).is_file():
        return
    from cdrctl.writers.sql import database_in

    whose = None
    with suppress(OSError):  # it may be writable and not readable
        whose = database_in(Path(path))
    if whose is not None:
        raise OutputError(
            f"cannot write {path}: it is a {whose} database, and all that is in it would be gone",
            hint=f"add to it with -f {whose.lower()}, or name another file with -o",
        )


def _check_place(path: str) -> None:
    with _told(path):
        old = _what_is_at(path)
        if old is not None and stat.S_ISDIR(old.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        folder = _real(path).parent
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _real(path: str) -> Path:
    """Return a path without links.

    Raises:
        FileNotFoundError: It is relative, and the working directory has been deleted.
    """
    return Path(os.path.realpath(path))


def destination(
    path: str | None, stdout: BinaryIO, *, database: bool, note: Callable[[str], None] = _unsaid
) -> AbstractContextManager[BinaryIO | Path]:
    """Return what a writer gets, as a context: a stream, or the path of a database."""
    return _database(path or "", note) if database else output(path, stdout, note)


@contextmanager
def _database(path: str, note: Callable[[str], None]) -> Iterator[Path]:
    """Return the path at which to write a database, as a context.

    One that is there is changed where it is: all or nothing is then the writer's to see to, by a transaction. A new one
    is made in a folder beside it, and gets its place when the block ends without an exception; the folder goes in any
    case. Its name is that of the file, because that is what a writer's errors say.

    Raises:
        OutputError: It cannot be written there.
        LockedError: Another program has made it in the meantime.
    """
    _check_place(path)
    target = Path(os.path.realpath(path))
    with _told(path):
        old = _what_is_at(path)
    if old is not None and not stat.S_ISREG(old.st_mode):
        raise OutputError(f"cannot write {path}: it is no file", hint="name a file with -o")
    if old is not None and old.st_size:
        yield target
        return
    folder = target.with_name(f".cdrctl-{os.urandom(8).hex()}.part")
    try:
        with _told(path):
            folder.mkdir(0o700)
        yield folder / target.name
        with _told(path):
            with (folder / target.name).open("rb+") as file:
                os.fsync(file.fileno())
                kept = keep_access(file.fileno(), target, old) if old is not None else None
            _given_its_place(folder / target.name, target, old)
        if kept:
            note(kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _settle(target.parent)


def _given_its_place(new: Path, target: Path, old: os.stat_result | None) -> None:
    """Move a new file to where nothing is but an empty file: what another program has put there is not replaced."""
    if old is not None:
        new.replace(target)
        return
    try:
        try:
            os.link(new, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without links; there a moment is left in which another may be quicker
            if target.exists():
                raise FileExistsError from None
            new.replace(target)
    except FileExistsError:
        raise LockedError(
            f"{target.name} has been made by another program in the meantime", hint="run it again: it is changed then"
        ) from None


def _what_is_at(path: str) -> os.stat_result | None:
    """Return what is at a path already, with links followed, or None.

    Raises:
        OSError: It is a folder, or may not be written; renaming would not ask.
    """
    try:
        old = Path(path).stat()
    except FileNotFoundError:
        old = None
    if path.endswith(("/", os.sep)):  # there may be nothing yet, and it would become a file
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if old is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return old


def _is_same(there: os.stat_result, stdout: BinaryIO) -> bool:
    try:
        return os.path.samestat(there, os.fstat(stdout.fileno()))
    except (OSError, ValueError):  # a stream in memory has no number, a closed one neither
        return False


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """Return what is no file, such as a pipe, opened for writing."""
    with _told(path):
        file = Path(path).open("wb")  # noqa: SIM115 - an error of the block is not one of the file
    try:
        yield file
    finally:
        with suppress(OSError):  # every write was flushed, and has said what there was to say
            file.close()


@contextmanager
def _replaced(path: str, old: os.stat_result | None, note: Callable[[str], None]) -> Iterator[BinaryIO]:
    """Return a new file that takes the target's place when the block ends, and goes when it breaks off."""
    with _told(path):
        target = _real(path)
    temporary = target.with_name(f".cdrctl-{os.urandom(8).hex()}.part")
    file: BinaryIO | None = None
    try:
        with _told(path):
            file = _create(temporary, 0o666 if old is None else 0o600)
        yield file
        with _told(path):
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
    _settle(target.parent)
    if kept:
        note(kept)


def _settle(path: Path) -> None:
    """Bring a folder's names to the disk."""
    with suppress(OSError):  # not every system lets a folder be opened; the file itself is safe
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _create(path: Path, mode: int) -> BinaryIO:
    """Return a new file that was never, not even while empty, open to more people than its mode, less the umask."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, mode)

    return open(path, "xb", opener=opener)  # Path.open takes no opener


class _Stream(io.RawIOBase):
    """The stream a writer gets: it compresses and flushes, and its errors are told from all others."""

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
        with _told(self._path):
            if self._pipe is not None:
                self._file.flush()
                write_lines(self._pipe, bytes(data))
            else:
                self._file.write(data if self._compressor is None else self._compressor.compress(data))
                if self._at_once:
                    self._file.flush()
        return memoryview(data).nbytes

    def finish(self) -> None:
        """Write what the compressor holds back."""
        with _told(self._path):
            if self._compressor is not None:
                self._file.write(self._compressor.flush())
            if self._at_once:
                self._file.flush()


AT_ONCE = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes as a whole or not at all."""


def _pipe_number(file: BinaryIO) -> int | None:
    """Return the number of a stream that is a pipe, or None."""
    try:
        number = file.fileno()
        return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None
    except (OSError, ValueError):  # a stream in memory has no number, a closed one neither
        return None


def write_lines(number: int, data: bytes) -> None:
    """Write to a pipe so that its reader has whole lines whenever this is interrupted, and no buffer holds any back.

    A line that is longer than what a pipe takes as a whole is the exception.
    """
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + AT_ONCE) + 1 or data.find(b"\n", at + AT_ONCE) + 1 or len(data)
        at += os.write(number, data[at:end])


def _stream(stream: _Stream) -> BinaryIO:
    return cast("BinaryIO", stream)  # typing.BinaryIO is a class, and io's streams are not of it


@contextmanager
def _told(path: str | None) -> Iterator[None]:
    """Turn what the system says about a file, or about standard output (None), into an error of ours."""
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
    errno.EDQUOT: ("the disk quota is used up", "make room, or name another place with -o"),
    errno.EFBIG: (
        "it grows beyond the largest file allowed",
        "raise the limit (ulimit -f), or compress: -o NAME.gz",
    ),
    errno.EIO: ("the disk reports an error", "check the disk, or name another place with -o"),
    errno.EISDIR: ("it is a folder", "name a file in it with -o"),
    errno.ENAMETOOLONG: ("the name is too long", "name a shorter one with -o"),
    errno.ENOENT: ("its folder does not exist", "create the folder, or name another place with -o"),
    errno.ENOSPC: ("the disk is full", "make room, or name another place with -o"),
    errno.ENOTDIR: ("what should be its folder is a file", "name another place with -o"),
    errno.EPERM: ("no permission", "change the permissions, or name another place with -o"),
    errno.EPIPE: ("its reader has gone", "let the reader read to the end"),
    errno.EROFS: ("the file system is read-only", "name another place with -o"),
}
