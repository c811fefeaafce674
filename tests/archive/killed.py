"""Runs a command again and again, and kills it each time at another operation on files or the ledger.

    python -m tests.archive.killed CONFIG NOW "FOLDER=N,N,N…;FOLDER=N,N,N…" ARGUMENT…

Every run is a process of its own, in that folder, that kills itself before or after its nth operation. For each folder
a line is printed with how its runs ended: `killed`, or the exit code of a run that ended before. With `trace` in place
of the folders the command runs once, unharmed, and its operations are printed, one a line; with `once` it only runs.
Where a number is `CALL:N`, strace kills the run at the nth call of that name to the system.
"""

from __future__ import annotations

import ctypes
import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cdrctl.cli.app import main
from cdrctl.cli.process import Process
from cdrctl.http import Clock
from cdrctl.http.workers import idle_workers

PR_SET_PTRACER = 0x59616D61
"""The option of prctl(2) that lets a process be traced by one that did not start it."""

OPERATIONS = ("open", "fsync", "mkdir", "unlink", "replace", "rename", "chmod", "link")


def watched(step: Callable[[str, str], None]) -> None:
    """Let every operation of this process on files and on the ledger take a step before and after it."""
    names: dict[int, str] = {}

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*arguments: Any, **more: Any) -> Any:
            first = arguments[0]
            about = names.get(first, str(first)) if isinstance(first, int) else os.fspath(first)
            about += f"\t{os.fspath(arguments[1])}" if name in {"replace", "rename", "link"} else ""
            step(f"before {name}", str(about))
            result = real(*arguments, **more)
            if name == "open":
                names[result] = str(first)
            step(name, str(about))
            return result

        return operation

    for name in OPERATIONS:
        setattr(os, name, wrapped(name, getattr(os, name)))

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> Any:
            step("before sql", sql)
            result = super().execute(sql, *rest)
            step("sql", sql)
            return result

    connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **more: connect(*arguments, **more, factory=Connection)  # type: ignore[assignment]


def said(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(config: str, now: datetime, arguments: list[str]) -> int:
    """Return the exit code of a command by a clock that stands still."""
    world = Process(
        environ={"CDRCTL_CONFIG": config},
        stdin=io.StringIO(),
        stdout=io.BytesIO(),
        stderr=io.StringIO(),
        stdin_is_terminal=False,
        stdout_is_terminal=False,
        stderr_is_terminal=False,
        width=80,
        clock=Clock(now=lambda: now, monotonic=lambda: 0.0, sleep=lambda _seconds: None),
    )
    return main(arguments, world)


def warm_up(config: str, now: datetime) -> None:
    """Load what a run loads, by syncing and checking an archive elsewhere.

    The processes that are killed are forks of this one. Each would take three times as long if it loaded for itself.
    """
    with TemporaryDirectory() as folder:
        run(config, now, ["sync", "acme", "--into", folder, "-f", "jsonl", "--since", f"{now:%Y-%m-%d}"])
        run(config, now, ["verify", "--rebuild", "--into", folder])
    while idle_workers:  # a fork has no threads but its own
        idle_workers.pop().work.put(None)


def killed_at(number: int, config: str, now: datetime, arguments: list[str]) -> str:
    """Return how a run ended that was to be killed at an operation."""
    child = os.fork()
    if child == 0:
        left = number

        def step(_name: str, _about: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        watched(step)
        os._exit(run(config, now, arguments))
    _, status = os.waitpid(child, 0)
    return ending(status)


def ending(status: int) -> str:
    """Return how a process ended, from what `os.waitpid` returned."""
    return "killed" if os.WIFSIGNALED(status) else str(os.WEXITSTATUS(status))


def operations(config: str, now: datetime, arguments: list[str]) -> int:
    """Return how many steps a command takes in this folder, undisturbed: two for each operation."""
    receives, sends = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def step(_name: str, _about: str) -> None:
            nonlocal count
            count += 1

        watched(step)
        run(config, now, arguments)
        os.write(sends, str(count).encode())
        os._exit(0)
    os.close(sends)
    with open(receives, "rb") as told:  # noqa: PTH123 - a descriptor has no path
        count = int(told.read())
    os.waitpid(child, 0)
    return count


def killed_at_call(place: str, config: str, now: datetime, arguments: list[str]) -> str:
    """Return how a run ended that strace was to kill at a call of the system; `untraced` if strace may not."""
    (hear, ready), (wait, go) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_long(-1))
        os.write(ready, b"\n")
        os.read(wait, 1)
        os._exit(run(config, now, arguments))
    os.read(hear, 1)
    kind, _, number = place.partition(":")
    words = ["-e", f"trace={kind}", "-e", f"inject={kind}:signal=SIGKILL:when={number}", "-p", str(child)]
    with subprocess.Popen(["strace", "-f", "-o", os.devnull, *words], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        attached = tracer.stderr.readline().strip().endswith("attached")
        if not attached:
            os.kill(child, signal.SIGKILL)
        os.write(go, b"\n")
        _, status = os.waitpid(child, 0)
    for one in (hear, ready, wait, go):
        os.close(one)
    return ending(status) if attached else "untraced"


def killed(place: str, config: str, now: datetime, arguments: list[str]) -> str:
    """Return how a run ended that was to be killed at an operation, or at a call of the system."""
    return (
        killed_at_call(place, config, now, arguments) if ":" in place else killed_at(int(place), config, now, arguments)
    )


if __name__ == "__main__":
    where, at, numbers, *words = sys.argv[1:]
    if numbers == "trace":
        watched(lambda name, about: said(f"{name}\t{about}") if not name.startswith("before") else None)
        code = run(where, datetime.fromisoformat(at), words)
        said(f"ended\t{code}")
    elif numbers == "once":
        said(killed_at(10**9, where, datetime.fromisoformat(at), words))
    else:
        warm_up(where, datetime.fromisoformat(at))
        for part in numbers.split(";"):
            folder, _, counts = part.partition("=")
            os.chdir(folder)
            said(" ".join(killed(one, where, datetime.fromisoformat(at), words) for one in counts.split(",")))
    assert Path(where).exists()
