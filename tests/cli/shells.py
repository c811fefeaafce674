"""Real shells on a pseudo-terminal: type a line, and read it back as the shell has it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds until a test gives up on a shell."""

READY = "ready" + ">"
SIZE = struct.pack("HHHH", 60, 200, 0, 0)
TAB, KILL, TOLD = "\t", "\x15", "\x07"
"""The keys: complete, forget the line, and write the line to a file."""

BEGIN = {
    "bash": r"""
PS1='rea''dy>'
bind 'set bell-style none'; bind 'set completion-query-items 2000'; bind 'set page-completions off'
bind -x '"\C-g": printf "%s\n" "$READLINE_LINE" > told.new; mv told.new told'
source FOLDER/completions/cdrctl.bash
""",
    "zsh": r"""
PS1='rea''dy>' LISTMAX=2000 fpath=(FOLDER/fpath $fpath)
autoload -Uz compinit; compinit -u -D
tell() { print -r -- $BUFFER > told.new; mv told.new told }
bindkey -e; zle -N tell; bindkey '^G' tell; bindkey '^U' kill-whole-line
""",
    "fish": r"""
function fish_prompt; echo -n 'rea''dy>'; end
function fish_greeting; end
set fish_autosuggestion_enabled 0
function tell; commandline > told.new; mv told.new told; end
bind \cg tell; bind \cu 'commandline ""'
source FOLDER/completions/cdrctl.fish
""",
}
"""What each shell is told first. The prompt is spelt so that it is not shown before it is one."""

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}


class Terminal:
    """A shell on a terminal.

    Args:
        shell: Its name.
        folder: Its working directory.
        screen: Our end of the terminal: keys are written to it, and output is read from it.
    """

    def __init__(self, shell: str, folder: Path, screen: int) -> None:
        self.shell = shell
        self.folder = folder
        self.screen = screen
        self.shown = ""

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.screen, keys.encode())

    def line(self, keys: str) -> str:
        """Press these keys on an empty line, and return the line as the shell has it. The screen is in `shown`."""
        told = self.folder / "told"
        told.unlink(missing_ok=True)
        self.shown = ""
        self.type(KILL + keys + TOLD)
        self.until(told.exists)
        return told.read_text(encoding="utf-8", errors="surrogateescape").removesuffix("\n")

    def until(self, done: object) -> None:
        """Read the screen until a condition holds, or until a text is shown."""
        end = time.monotonic() + PATIENCE
        while not (done in self.shown if isinstance(done, str) else done()):  # type: ignore[operator]
            left = end - time.monotonic()
            assert left > 0, f"{self.shell} did not do it; it shows {self.shown!r}"
            if select.select([self.screen], [], [], min(left, 0.05))[0]:
                self.shown += os.read(self.screen, 65536).decode("utf-8", "replace")


def missing(shell: str) -> str | None:
    """Return why a shell cannot be used here, or None."""
    return None if shutil.which(shell) else f"{shell} is not installed"


def machine(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment in which `cdrctl` is installed, with the completions where users put them."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "cdrctl"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m cdrctl "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    shutil.copytree(ROOT / "completions", folder / "completions")
    (folder / "fpath").mkdir()
    shutil.copy(ROOT / "completions" / "cdrctl.zsh", folder / "fpath" / "_cdrctl")
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return {
        "HOME": str(folder),
        "PATH": path,
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


@contextmanager
def terminal(shell: str, folder: Path, environ: Mapping[str, str]) -> Iterator[Terminal]:
    """Start a shell on a terminal, with the completion installed as a user installs it."""
    screen, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, SIZE)

    def own() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    begun = subprocess.Popen(
        START[shell],
        cwd=folder,
        env=dict(environ),
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        preexec_fn=own,  # noqa: PLW1509 - a shell without a controlling terminal has no line editor
    )
    os.close(inner)
    opened = Terminal(shell, folder, screen)
    try:
        (folder / "begin").write_text(BEGIN[shell].replace("FOLDER", str(folder)), encoding="utf-8")
        opened.type(f"source {folder}/begin\n" if shell == "fish" else f". {folder}/begin\n")
        opened.until(READY)
        yield opened
    finally:
        begun.kill()
        begun.wait()
        os.close(screen)
