"""The program as real processes with the tests' clock, in a folder of its own, with a provider in this process."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from tests.support import forks
from tests.support.program import COMMAND, now, shared

ROOT = Path(__file__).parents[2]
CDRCTL = list(COMMAND)
A_DAY = ("--since", "26h", "--until", "2h")
PATIENCE = 30
"""Seconds until a test that waits for a process fails."""


@dataclass(slots=True)
class Host:
    """A home folder, a configuration and an environment in which commands are run.

    Args:
        folder: The home and working folder of commands.
        environ: The complete environment.
    """

    folder: Path
    environ: dict[str, str]

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / ".config" / "cdrctl" / "config.toml"

    def configure(self, profiles: Mapping[str, Mapping[str, object]]) -> None:
        """Replace the configuration."""
        self.config.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = []
        for name, settings in profiles.items():
            lines += [f"[profiles.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
        self.config.write_text("\n".join([*lines, ""]), encoding="utf-8")
        self.config.chmod(0o600)

    def meddle(self, code: str) -> None:
        """Run this code first in every Python process of the host, to cause faults."""
        (self.folder / "meddling").mkdir(exist_ok=True)
        (self.folder / "meddling" / "sitecustomize.py").write_text(code, encoding="utf-8")
        self.environ["PYTHONPATH"] = os.pathsep.join([str(self.folder / "meddling"), str(ROOT)])

    def start(
        self, *words: str, itself: bool = True, terminal: Literal["", "own", "other"] = "", **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a command, the program itself or a fork with this terminal; `ended` kills it."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
        environ = {**self.environ, **options.pop("environ", {})}
        command = CDRCTL if itself else forks.command(environ, terminal=terminal)
        return subprocess.Popen([*command, *words], cwd=self.folder, env=environ, **options)

    def run(self, *words: str, itself: bool = False, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, in a fork unless the program itself is to be started."""
        options = {"stdin": None if "input" in options else subprocess.DEVNULL, "timeout": PATIENCE, **options}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        environ = {**self.environ, **options.pop("environ", {})}
        itself = itself or not {"before", "preexec_fn", "umask"}.isdisjoint(options)
        words = (*options.pop("before", ()), *(CDRCTL if itself else forks.command(environ)), *words)
        return subprocess.run(words, cwd=self.folder, env=environ, check=False, **options)

    def shell(self, text: str, *, itself: bool = False, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run a line of bash in which `cdrctl` is the program, in a fork unless the program itself is to be started."""
        options = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": PATIENCE, **options}
        command = CDRCTL if itself else forks.command(self.environ)
        words = ["bash", "-c", text.replace("cdrctl", shlex.join(command))]
        return subprocess.run(words, cwd=self.folder, env=self.environ, check=False, **options)

    def left_over(self) -> list[str]:
        """Return the names of temporary files that were not deleted."""
        temporary = (".part", ".new", ".probe", ".tmp")
        return [str(one.relative_to(self.folder)) for one in self.folder.rglob("*") if one.name.endswith(temporary)]


def a_host(folder: Path) -> Host:
    """Return a host whose environment has nothing of the tests' environment."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C", "PYTHONPATH": str(ROOT), **shared()}
    # With a limit on file sizes, Python would leave a truncated .pyc file and use it from then on.
    return Host(folder, {**environ, "PYTHONDONTWRITEBYTECODE": "1"})


@contextmanager
def hearing() -> Iterator[None]:
    """Let child processes get SIGINT, which background jobs ignore by default."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Return a context that kills this process at its end."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def heard(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Return what a process wrote to stderr until it wrote these words."""
    assert process.stderr is not None
    said = b""
    until = time.monotonic() + 3 * PATIENCE  # also if the process writes other words
    while words not in said:
        assert select.select([process.stderr], [], [], max(0.0, until - time.monotonic()))[0], said
        piece = os.read(process.stderr.fileno(), 65_536)
        assert piece, said
        said += piece
    return said


@dataclass(slots=True)
class Stalling:
    """A sandbox that holds its responses marked `slow` back until they are released.

    Args:
        sandbox: The providers.
        reached: How many responses are being held back.
        let_go: Set when they are released.
    """

    sandbox: Sandbox
    reached: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let_go: threading.Event = field(default_factory=threading.Event)

    def stall(self, *providers: str, nth: int = 1) -> None:
        """Hold back the nth such response from now on, and all after it."""
        for provider in providers:
            self.sandbox.fail(provider, "slow", nth=nth, times=1_000_000)

    def wait(self, answers: int = 1) -> None:
        """Wait until this many responses are held back."""
        for _ in range(answers):
            assert self.reached.acquire(timeout=PATIENCE)

    def settings(self, provider: str, kind: str = "", **more: object) -> dict[str, object]:
        """Return the settings of a profile that can sign in."""
        return {"provider": provider, **self.sandbox.credentials(provider, kind), **more}


@contextmanager
def stalling() -> Iterator[Stalling]:
    """Return a sandbox that can hold its responses back."""
    held: list[Stalling] = []

    def pause(_seconds: float) -> None:
        held[0].reached.release()
        held[0].let_go.wait(PATIENCE)

    with sandbox.start(now=now, pause=pause) as running:
        held.append(Stalling(running))
        try:
            yield held[0]
        finally:
            held[0].let_go.set()
