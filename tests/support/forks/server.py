"""A process that has loaded the program once, and forks for each command line that `client.py` hands over.

Every run is a fork of the same state: modules have been loaded, and the only work done is the drawing of calls. What
a module reads from the environment while it is loaded, and what Python reads at its start, must be the same in a run;
otherwise the client is told to run the program itself.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import pkgutil
import selectors
import shutil
import signal
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, NoReturn

from tests.support import program
from tests.support.forks import client, reads_at_start

APART = {"cdrctl.writers.duckdb", "cdrctl.writers.parquet"}
"""Modules that are not loaded, because their packages start threads, which a fork would not have."""

MORE = (
    *("anyio", "concurrent.futures", "dateutil.tz", "email.utils", "encodings.idna", "encodings.utf_16_be", "filelock"),
    *("httpcore", "importlib.metadata", "importlib.resources.readers", "platformdirs", "pydantic.type_adapter"),
    *("rich.console", "rich.table", "sqlite3", "stringprep", "tomlkit", "typer", "xlsxwriter", "zoneinfo"),
)
"""Modules that the program loads on demand."""

NEVERMIND = {"HOME"}
"""Variables that are read while modules are loaded but do not matter: `sysconfig` looks for a user's own packages."""

BEYOND = 200
"""The first descriptor that a fork uses temporarily while it moves those of its run."""


@contextmanager
def noted(names: set[str]) -> Iterator[None]:
    """Add to this set the names of the environment variables that are read in this context."""
    mapping: Any = type(os.environ)
    usual = mapping.__getitem__

    def noting(environ: Any, name: str) -> str:
        names.add(name)
        found: str = usual(environ, name)
        return found

    mapping.__getitem__ = noting
    try:
        yield
    finally:
        mapping.__getitem__ = usual


def load() -> set[str]:
    """Load all modules that a run may load, and return the environment variables that were read meanwhile."""
    import cdrctl  # load here what it loads
    from cdrctl.http import transport

    read: set[str] = set()
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # as the program does
    with noted(read):
        for found in pkgutil.walk_packages(cdrctl.__path__, "cdrctl."):
            if found.name not in APART:
                importlib.import_module(found.name)
        transport.load_httpx()
        for name in MORE:
            importlib.import_module(name)
    del os.environ["PYDANTIC_DISABLE_PLUGINS"]
    return read - NEVERMIND - {"PYDANTIC_DISABLE_PLUGINS"}


def draw() -> None:
    """Draw the calls of the sandbox for the month that most runs use; Kazoo has a database for each month."""
    from cdrctl.sandbox.exchange import Exchange

    month = program.NOW.replace(day=1)
    Exchange().calls(month - timedelta(days=1), month + timedelta(days=31))


class Request:
    """A client's request for a run.

    Args:
        message: What the client said.
        descriptors: The folder in which it runs, and the descriptors it inherits.
    """

    def __init__(self, message: bytes, descriptors: list[int]) -> None:
        terminal, mask, limits, given, count, *rest = message.split(b"\0")
        self.has_a_terminal = terminal == b"own"
        self.mask = int(mask)
        self.limits = limits
        self.folder, *inherited = descriptors
        self.descriptors = dict(zip(map(int, given.split()), inherited, strict=True))
        self.words = [os.fsdecode(word) for word in rest[: int(count)]]
        pairs = [os.fsdecode(one).partition("=") for one in rest[int(count) :]]
        self.environ = {name: value for name, _, value in pairs}

    def become(self) -> None:
        """Make this process, a fork, as if it had been started for the run."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        descriptors = {-1: self.folder, **self.descriptors}
        apart = {number: fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, BEYOND) for number, one in descriptors.items()}
        os.closerange(0, BEYOND)
        for number, one in apart.items():
            if number >= 0:
                os.dup2(one, number)
            else:
                os.fchdir(one)
            os.close(one)
        os.umask(self.mask)
        added = {"LC_CTYPE": os.environ["LC_CTYPE"]} if "LC_CTYPE" in os.environ else {}  # Python's own, of PEP 538
        os.environ.clear()
        os.environ.update({**added, **self.environ})
        time.tzset()
        if "CLOCK_OFFSET" in self.environ:
            ctypes.CDLL(None).read_clock_offset()
        if self.has_a_terminal:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            stream = rebuilt(number, getattr(sys, name))
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        sys.argv = [program.__file__, *self.words]
        try:
            sys.path[0] = os.getcwd()  # noqa: PTH109 - as Python has it
        except OSError:  # the folder has been removed
            del sys.path[0]
        program.go_on()


def rebuilt(number: int, before: io.TextIOWrapper) -> IO[str] | None:
    """Return a standard stream as Python makes it, with the encoding of the previous one."""
    try:
        os.fstat(number)
    except OSError:  # closed
        return None
    mode = "w" if number else "r"
    buffer: Any = open(number, f"{mode}b", closefd=False)  # noqa: SIM115 - a descriptor, for good
    name = before.name
    buffer.raw.name = name
    terminal = buffer.raw.isatty()
    stream = io.TextIOWrapper(
        buffer, before.encoding, before.errors, newline="\n", line_buffering=number == 2 or terminal
    )
    stream.mode = mode  # type: ignore[misc]
    return stream


class Server:
    """A server that accepts requests, forks, forwards signals, and reports how each fork ended.

    Args:
        address: Where it listens.
        given: The environment of its start.
        read: The names of environment variables whose values must be the same in a run.
    """

    def __init__(self, address: str, given: dict[str, str], read: set[str]) -> None:
        self.given = given
        self.read = read
        self.place = Path(address).parent
        self.listening = socket.socket(fileno=int(sys.argv[1]))
        self.selector = selectors.SelectSelector()  # it has no descriptor, which a fork would have to close
        self.clients: dict[int, socket.socket] = {}
        self.limits = client.limits()

    def serve(self) -> Request:
        """Serve until the process that started the server is gone; in each fork, return the request."""
        waking, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for one in (0, waking, self.listening):
            self.selector.register(one, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fd == 0:
                    self.end()
                elif key.fd == waking:
                    os.read(waking, 4096)
                    self.reap()
                elif key.fileobj is self.listening:
                    request = self.accept()
                    if request is not None:
                        return request
                else:
                    self.hear(key.data)

    def accept(self) -> Request | None:
        """Accept one request, and return it in the fork."""
        connection = self.listening.accept()[0]
        size, descriptors, _, _ = socket.recv_fds(connection, 4, 253)
        message = connection.recv(int.from_bytes(size, sys.byteorder), socket.MSG_WAITALL) if size else b""
        child = -1
        if message:
            request = Request(message, descriptors)
            if not self.fits(request, connection):
                connection.sendall(client.REFUSED)
            elif (child := os.fork()) == 0:
                for held in (connection, self.listening, *self.clients.values()):
                    held.detach()  # the fork closes all descriptors itself
                return request
        for one in descriptors:
            os.close(one)
        if child > 0:
            self.clients[child] = connection
            self.selector.register(connection, selectors.EVENT_READ, child)
        else:
            connection.close()
        return None

    def fits(self, request: Request, connection: socket.socket) -> bool:
        """Return whether a fork would be the same as a newly started program."""
        _, user, group = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        names = self.read | reads_at_start(request.environ) | reads_at_start(self.given)
        return (
            all(request.environ.get(name) == self.given.get(name) for name in names)
            and (user, group) == (os.geteuid(), os.getegid())
            and request.limits == self.limits
            and max(request.descriptors, default=0) < BEYOND
        )

    def hear(self, child: int) -> None:
        """Forward a signal to a fork, or kill it if its client is gone."""
        try:
            numbers = self.clients[child].recv(16)
        except OSError:
            numbers = b""
        for number in numbers or [signal.SIGKILL]:
            os.kill(child, number)
        if not numbers:
            self.forget(child)

    def forget(self, child: int) -> None:
        """Close the connection to the client of a fork."""
        connection = self.clients.pop(child)
        self.selector.unregister(connection)
        connection.close()

    def reap(self) -> None:
        """Report the forks that have ended."""
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if child == 0:
                return
            if child in self.clients:
                with suppress(OSError):  # the client is gone
                    self.clients[child].sendall(status.to_bytes(4, sys.byteorder))
                self.forget(child)

    def end(self) -> NoReturn:
        """End all forks, because the tests are over."""
        for child in self.clients:
            os.kill(child, signal.SIGKILL)
        shutil.rmtree(self.place, ignore_errors=True)
        os._exit(0)


def end(code: int) -> None:
    """End this process as Python does, but without tearing down all modules, which takes as long as some runs."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):  # Python has its own message and exit code for it
        sys.exit(code)
    os._exit(code)


def main() -> None:
    """Serve; in a fork, be the program."""
    given = json.loads(sys.argv[3])
    server = Server(sys.argv[2], given, load())
    draw()
    gc.collect()
    gc.freeze()
    server.serve().become()
    try:
        program.main()
    except SystemExit as ending:
        if isinstance(ending.code, int):
            end(ending.code)
        raise
    end(0)


if __name__ == "__main__":
    main()
