"""Reads files with a secret: a short regular file, or a pipe that another program writes it to."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from pathlib import Path

from cdrctl.commands import COMMAND_SECONDS

LONGEST = 65_536
"""Bytes of the largest file: a secret is one line."""


def read(path: Path, seconds: float = COMMAND_SECONDS) -> tuple[bytes, os.stat_result]:
    """Return up to 64 KiB and one byte of a file, and its status; a pipe is read until its writer closes it.

    Raises:
        OSError: It cannot be read, is a folder or a device, or is a pipe that no writer has closed in time.
        ValueError: The path has a NUL in it.
    """
    # Without O_NONBLOCK, opening a FIFO without a writer, or a terminal, would block for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if stat.S_ISREG(status.st_mode):
            return os.read(descriptor, LONGEST + 1), status
        if sys.platform != "win32" and stat.S_ISFIFO(status.st_mode):
            return _from_pipe(descriptor, seconds), status
        raise OSError(errno.ENODEV, "it is a device and not a file")
    finally:
        os.close(descriptor)


def _from_pipe(descriptor: int, seconds: float) -> bytes:
    if sys.platform == "win32":
        raise NotImplementedError("Windows has no named pipes in folders")
    content = b""
    until = time.monotonic() + seconds
    poll = select.poll()  # unlike select, it tells "no writer yet" from "writer has closed"
    poll.register(descriptor, select.POLLIN)
    while len(content) <= LONGEST:
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError(errno.ETIMEDOUT, f"no program wrote to it and closed it within {seconds:g} seconds")
        data = os.read(descriptor, LONGEST + 1 - len(content))
        if not data:
            break
        content += data
    return content
