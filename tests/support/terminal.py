"""The program in a real terminal: tmux keeps the screen, types keys, and shows what a user would see.

    with terminal(host, width=80) as screen:
        screen.type("cdrctl webex cdrs -p sandbox")
        screen.shows("records")

Tests that use it are skipped if tmux is not installed.
"""

from __future__ import annotations

import itertools
import os
import re
import select
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.support.host import CDRCTL, PATIENCE, Host

NUMBERS = itertools.count()
PROMPT = "$>"
LOOK_AGAIN = 0.5
"""Seconds after which the screen is read again although nothing was written to it."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A terminal in which a shell waits for lines; `cdrctl` is the program.

    Args:
        socket: The name of its own tmux server.
        host: The host whose home and environment it has.
        written: A pipe with everything that is written to the terminal.
    """

    socket: str
    host: Host
    written: int

    def tmux(self, *words: str) -> str:
        """Return the output of a tmux command."""
        ran = subprocess.run(
            ["tmux", "-L", self.socket, "-f", "/dev/null", *words],
            env={**self.host.environ, "TMUX_TMPDIR": str(self.host.folder), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return ran.stdout

    def type(self, line: str) -> None:
        """Type a line and press enter."""
        self.tmux("send-keys", "-t", "0", "-l", line)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: q, Space, C-c, Enter, Tab."""
        self.tmux("send-keys", "-t", "0", *keys)

    def press_until(self, key: str, words: str) -> None:
        """Press a key until the screen matches a regular expression: less drops what was typed before an interrupt."""
        until = time.monotonic() + PATIENCE
        while not re.search(words, shown := self.text(), re.MULTILINE):
            assert time.monotonic() < until, f"no {words!r} on the screen:\n{shown}"
            self.press(key)

    def text(self, *, colors: bool = False, past: bool = False) -> str:
        """Return the text on the screen, with the lines scrolled off the top if `past` is set."""
        words = ["-e"] * colors + ["-S", "-"] * past
        return self.tmux("capture-pane", "-p", "-t", "0", *words)

    def shows(self, words: str, **how: bool) -> str:
        """Return the screen as soon as this regular expression matches it."""
        until = time.monotonic() + PATIENCE
        while not re.search(words, shown := self.text(**how), re.MULTILINE):
            assert time.monotonic() < until, f"no {words!r} on the screen:\n{shown}"
            if select.select([self.written], [], [], LOOK_AGAIN)[0]:
                os.read(self.written, 1_000_000)
        return shown

    def resize(self, width: int, height: int) -> None:
        """Change the size of the terminal."""
        self.tmux("resize-window", "-t", "0", "-x", str(width), "-y", str(height))


@contextmanager
def terminal(
    host: Host, *, width: int = 80, height: int = 24, environ: Mapping[str, str] | None = None
) -> Iterator[Screen]:
    """Return a context with a shell at its prompt, which ends all its processes."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    pipe = host.folder / ".written"
    os.mkfifo(pipe)
    screen = Screen(f"cdrctl-{os.getpid()}-{next(NUMBERS)}", host, os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
    variables = {**host.environ, "LANG": "C.UTF-8", "TERM": "screen-256color", "PS1": f"{PROMPT} ", **(environ or {})}
    shell = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), "bash", "--norc", "--noprofile"]
    try:
        screen.tmux(
            *("new-session", "-d", "-x", str(width), "-y", str(height), "-c", str(host.folder)),
            *("exec " + shlex.join(shell),),
            *(";", "pipe-pane", "-t", "0", f"exec cat > {shlex.quote(str(pipe))}"),
        )
        screen.shows(re.escape(PROMPT))
        screen.type(f'cdrctl() {{ {shlex.join(CDRCTL)} "$@"; }}; clear')
        screen.shows(rf"\A{re.escape(PROMPT)}\s*\Z")
        yield screen
    finally:
        subprocess.run(
            ["tmux", "-L", screen.socket, "kill-server"],
            env={**host.environ, "TMUX_TMPDIR": str(host.folder)},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        os.close(screen.written)
        pipe.unlink()
