"""The pager that shows long output on a terminal, as in git."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cdrctl.cli import signals
from cdrctl.cli.run import Session
from cdrctl.writers.output import write_lines

if TYPE_CHECKING:
    from typing_extensions import Buffer

USUAL = "less"

FOR_THE_PAGER = {"LESS": "FRX", "LV": "-c"}
"""Default options of pagers: quit if the output fits the screen, pass colours, and leave the text on the screen."""

_SHELLS = frozenset("|&;<>()$`\\\"'*?[]#~=%\n")
"""Characters with a meaning to a shell."""


@contextmanager
def paged(session: Session, stream: BinaryIO) -> Iterator[BinaryIO]:
    """Yield the stream, or a pager on it that starts at the first write.

    A pager is used if the stream is a terminal that can do more than print and the program is not in the background.
    CDRCTL_PAGER, else PAGER, else less is its command line; empty and `cat` mean no pager. Messages are held until it
    has ended.

    Raises:
        BrokenPipeError: The user quit the pager before the end, which is not an error.
    """
    command = _command(session) if _is_screen(session, stream) else None
    if command is None:
        yield stream
        return
    pager = _Pager(session, stream, command)
    try:
        yield cast("BinaryIO", pager)
        pager.hear(None)
    except signals.ReaderLeftError:
        signals.notice()
        raise BrokenPipeError from None
    finally:
        pager.end()


def _is_screen(session: Session, stream: BinaryIO) -> bool:
    if session.process.environ.get("TERM") == "dumb":
        return False
    if sys.platform == "win32":  # Windows has no process groups
        return False
    try:
        return os.isatty(stream.fileno()) and os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # a stream in memory, or not our terminal
        return False


def _command(session: Session) -> str | None:
    """Return the command line of the pager; None for no pager."""
    environ = session.process.environ
    command = next((environ[name] for name in ("CDRCTL_PAGER", "PAGER") if name in environ), USUAL).strip()
    if command in {"", "cat"}:
        return None
    program = _program(command)
    if program is not None:
        if set("$`") & set(program):  # a shell has to expand it
            return command
        where = os.path.expanduser(program)  # noqa: PTH111 - a word of a command line
        if shutil.which(where, path=environ.get("PATH", os.defpath)):
            return command
    if command != USUAL:
        session.reporter.log("warning", f"the pager {command!r} was not found: set CDRCTL_PAGER to another one")
    return None


def _program(command: str) -> str | None:
    """Return the program that a shell command line runs first; None if it cannot be parsed."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    return next((word for word in words if not word.partition("=")[0].isidentifier() or "=" not in word), None)


class _Pager(io.RawIOBase):
    """A stream to a pager, which the first write starts."""

    def __init__(self, session: Session, stream: BinaryIO, command: str) -> None:
        self._session = session
        self._stream = stream
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._before: Any = None

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        if self._process is None:
            self._start()
        assert self._process is not None  # noqa: S101 - it has been started
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        write_lines(self._process.stdin.fileno(), bytes(data))  # unbuffered: closing must not wait for data
        return memoryview(data).nbytes

    def _start(self) -> None:
        self._stream.flush()
        self._session.reporter.hold()
        environ = {name: it for name, it in self._session.process.environ.items() if not name.startswith("CDRCTL_")}
        is_shells = bool(_SHELLS & set(self._command))  # without one, so that Ctrl-C does not end a shell in between
        process = subprocess.Popen(  # noqa: S603 - the user's own command line, as every program runs it
            self._command if is_shells else self._command.split(),
            shell=is_shells,
            stdin=subprocess.PIPE,
            stdout=self._stream.fileno(),
            bufsize=0,
            env={**FOR_THE_PAGER, **environ},
        )
        self._process = process

        def look(_number: int, _frame: object) -> None:
            if process.poll() is not None and not signals.interrupted():  # the first event decides
                raise signals.ReaderLeftError

        self.hear(look)

    def hear(self, what: Any) -> None:
        """Call a function when a child process ends, even during a blocking call; None restores the old handler."""
        number = getattr(signal, "SIGCHLD", None)
        if self._process is None or number is None or threading.current_thread() is not threading.main_thread():
            return
        if what is not None:
            self._before = signal.signal(number, what)
        elif self._before is not None:
            before, self._before = self._before, None
            signal.signal(number, before)

    def end(self) -> None:
        """Close the pager's input, wait until the user quits it, then write the messages that were held.

        From here on Ctrl-C belongs to the pager: the program must not end first and take its terminal away.
        """
        process = self._process
        if process is None:
            return
        signals.notice()
        self.hear(None)
        assert process.stdin is not None  # noqa: S101 - a pipe
        with suppress(OSError):
            process.stdin.close()
        process.wait()
        self._session.reporter.release()
