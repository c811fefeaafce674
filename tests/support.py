"""Tools that tests share: a clock that is set by hand, the command line in process, and nothing but loopback."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

from cdrctl.cli.app import main
from cdrctl.cli.process import Process
from cdrctl.http import Clock

Record = dict[str, Any]


class HandClock:
    """A clock that stands still until it is moved; who sleeps moves it, and no time passes."""

    def __init__(self, now: datetime) -> None:
        self.began = self.time = now
        self.waits: list[float] = []

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        """Move it on, by `minutes=5` and the like."""
        self.time += timedelta(**by)

    def sleep(self, seconds: float) -> None:
        """Move it on, and remember by how much."""
        self.waits.append(seconds)
        self.move(seconds=seconds)

    def plain(self) -> Clock:
        """Return it as the client wants it."""
        return Clock(now=self, monotonic=self.seconds, sleep=self.sleep)

    def seconds(self) -> float:
        """Return how far it was moved since it was made."""
        return (self.time - self.began).total_seconds()


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[Record]:
        """Standard output, read as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    def ok(self) -> Ran:
        """Return it, once it is sure that it went well."""
        assert self.code == 0, self.err
        return self


@dataclass(slots=True)
class Shell:
    """Runs commands in this process, in a folder of its own, by a clock that is set by hand."""

    folder: Path
    clock: HandClock
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    def profile(self, name: str, provider: str, settings: Mapping[str, object]) -> None:
        """Make this the only profile of the configuration."""
        lines = [f"[profiles.{name}]", f"provider = {json.dumps(provider)}"]
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
        self.config.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self.config.chmod(0o600)

    def run(self, *arguments: str, **environ: str) -> Ran:
        """Run one command line."""
        out, err = io.BytesIO(), io.StringIO()
        world = Process(
            environ={"CDRCTL_CONFIG": str(self.config), **self.environ, **environ},
            stdin=io.StringIO(),
            stdout=out,
            stderr=err,
            stdin_is_terminal=False,
            stdout_is_terminal=False,
            stderr_is_terminal=False,
            width=100,
            clock=self.clock.plain(),
        )
        code = main(list(arguments), world)
        return Ran(code, out.getvalue(), err.getvalue())


@contextmanager
def loopback_only() -> Iterator[None]:
    """Let no connection leave this machine, and no name be looked up that is not its own."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: object) -> None:
        if not (host in {None, "localhost", "::1"} or str(host).startswith("127.")):
            raise OSError(f"a test wanted to reach {host}")

    def guarded(real: Any) -> Any:
        def to(self: socket.socket, address: Any) -> Any:
            if self.family != socket.AF_UNIX:
                check(address[0])
            return real(self, address)

        return to

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        str(name).encode("idna")  # as the real one: a name that cannot be written is no name that was wanted
        check(name)
        return look_up(host, *rest, **more)

    with (
        mock.patch.object(socket.socket, "connect", guarded(connect)),
        mock.patch.object(socket.socket, "connect_ex", guarded(connect_ex)),
        mock.patch.object(socket, "getaddrinfo", found),
    ):
        yield


class Stranger:
    """Another host: listens on a port of its own and keeps whatever it is sent; hangs up at once."""

    def __init__(self) -> None:
        self.visits: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        """Its address and port."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def _listen(self) -> None:
        while True:
            try:
                visitor, _ = self._socket.accept()
            except OSError:
                return
            with visitor:
                visitor.settimeout(1)
                try:
                    self.visits.append(visitor.recv(65_536))
                except OSError:
                    self.visits.append(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
