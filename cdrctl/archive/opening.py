"""Opens the files of an archive for reading, whatever is in their place: no run waits for the writer of a pipe."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be opened, or is something else, such as a folder or a pipe.
    """
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
