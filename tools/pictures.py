"""The pictures of the README: what the program really shows on a terminal. `python -m tools.pictures` makes them anew.

Each command is typed into a terminal of a fixed size (tmux), at the evening at which the tests of the pages run, so
that the same program gives the same picture. What is on the screen then, with its colours, becomes an SVG that fetches
nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"
PATIENCE = 60
"""The longest wait for a command, in seconds."""

PROMPT = re.compile(r"(?:\x1b\[[\d;]*m)*\$\s*(?:\x1b\[[\d;]*m)*\s*")
"""The prompt of the shell."""


def _colors(text: str) -> list[tuple[int, int, int]]:
    return [(int(one[:2], 16), int(one[2:4], 16), int(one[4:], 16)) for one in text.split()]


THEME = TerminalTheme(
    (24, 26, 31),
    (215, 218, 224),
    _colors("3f4451 e06c75 98c379 e5c07b 61afef c678dd 56b6c2 d7dae0"),
    _colors("5c6370 f0828c aad48c f0cd8c 7dc0fa d491e8 6ec8d4 f0f2f6"),
)
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Args:
        name: Of its file.
        about: Its title.
        commands: What is typed, one after the other.
        size: Columns and lines of the terminal; empty lines at the end are left out.
    """

    name: str
    about: str
    commands: tuple[str, ...]
    size: tuple[int, int] = (112, 30)


PICTURES = (
    Picture(
        "table",
        "calls as a table",
        ("cdrctl portsip cdrs -p sandbox --since 24h --limit 10",),
    ),
    Picture(
        "archive",
        "an archive, night by night",
        (
            "cdrctl sync sandbox --into archive --since 9d",
            "cdrctl coverage --into archive",
        ),
        (120, 120),
    ),
)


@dataclass(slots=True)
class Terminal:
    """A terminal with a shell, in a tmux server of its own.

    Args:
        tmux: The words that every command to it begins with.
        environ: What the shell and its programs have for an environment.
        home: Where the shell begins.
        codes: The file in which the shell keeps the exit code of each line.
        patience: Seconds that a line may take.
    """

    tmux: tuple[str, ...]
    environ: dict[str, str]
    home: Path
    codes: Path
    patience: float = PATIENCE

    def tell(self, *words: str) -> str:
        """Run a tmux command and return its output."""
        ran = subprocess.run(
            [*self.tmux, *words], env=self.environ, cwd=self.home, capture_output=True, encoding="utf-8", check=True
        )
        return ran.stdout

    def type(self, text: str) -> None:
        """Type a text, without Enter."""
        self.tell("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys, named as in tmux."""
        self.tell("send-keys", *keys)

    def wait(self, seen: Callable[[], bool], what: str) -> None:
        """Wait until `seen` is true.

        Raises:
            TimeoutError: It took longer than its patience.
        """
        until = time.monotonic() + self.patience
        while not seen():
            if time.monotonic() > until:
                raise TimeoutError(f"{what!r} did not end: {self.screen()}")
            time.sleep(0.05)

    def ended(self) -> list[int]:
        """Return the exit codes of the finished lines."""
        return [int(code) for code in self.codes.read_text(encoding="utf-8").split()][1:] if self.codes.exists() else []

    def waits(self, lines: int) -> bool:
        """Return whether the shell shows its prompt after so many lines."""
        begun = self.codes.exists() and len(self.codes.read_text(encoding="utf-8").split()) == lines + 1
        return begun and (self.screen().rstrip().splitlines() or [""])[-1].strip() == "$"

    def run(self, line: str) -> int:
        """Type a line, wait for its end, and return its exit code."""
        before = len(self.ended())
        self.type(line)
        self.press("Enter")
        self.wait(lambda: self.waits(before + 1), line)
        return self.ended()[-1]

    def screen(self, *how: str) -> str:
        """Return the screen; `-e` keeps escape sequences, `-J` joins wrapped lines."""
        return self.tell("capture-pane", "-p", *how)


@contextmanager
def terminal(
    folder: Path, home: Path, environ: Mapping[str, str], size: tuple[int, int], patience: float = PATIENCE
) -> Iterator[Terminal]:
    """Open a terminal of a size, with bash in it; `folder` holds its own files."""
    opened = Terminal(
        (shutil.which("tmux") or "tmux", "-L", folder.name, "-f", os.devnull),
        {"HOME": str(home), "LANG": "C.UTF-8", "TERM": "screen-256color", **environ},
        home,
        folder / "codes",
        patience,
    )
    width, height = size
    prompt = f"PS1='$ ' HISTFILE=/dev/null PROMPT_COMMAND='echo $? >> {folder}/codes'"
    opened.tell("new-session", "-d", "-x", str(width), "-y", str(height), f"env {prompt} bash --noprofile --norc")
    try:
        opened.wait(lambda: opened.waits(0), "bash")
        yield opened
    finally:
        opened.tell("kill-server")


def shown(picture: Picture, folder: Path) -> str:
    """Return the screen after the commands, with escape sequences.

    Raises:
        TimeoutError: A command did not come to its end.
        ValueError: A command ended with another exit code than 0.
    """
    home, programs = folder / "home", folder / "bin"
    for one in (home, programs):
        one.mkdir()
    program = programs / "cdrctl"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.support.program "$@"\n')
    program.chmod(0o700)
    environ = {
        "PATH": os.pathsep.join([str(programs), "/usr/bin", "/bin"]),
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with terminal(folder, home, environ, picture.size) as opened:
        failed = {code for code in map(opened.run, picture.commands) if code}
        if failed:
            raise ValueError(f"a command of {picture.name!r} ended with {', '.join(map(str, sorted(failed)))}")
        return opened.screen("-e")


def drawn(picture: Picture, screen: str) -> str:
    """Return the screen as SVG, without rich's web font."""
    lines = screen.rstrip().splitlines()
    if lines and PROMPT.fullmatch(lines[-1]):
        del lines[-1]
    console = Console(record=True, width=picture.size[0], file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(Text.from_ansi("\n".join(lines)), soft_wrap=True)  # a colour may last for several lines
    svg = console.export_svg(title=picture.about, theme=THEME, unique_id=f"cdrctl-{picture.name}")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]+;", f"font-family: {FONTS};", svg)
    return re.sub(r"<!-- Generated with Rich.*?-->\s*", "", svg)


def main(names: list[str]) -> int:
    """Draw the pictures of these names, or all."""
    FOLDER.mkdir(exist_ok=True)
    for picture in PICTURES:
        if not names or picture.name in names:
            with tempfile.TemporaryDirectory(prefix="cdrctl-picture-", ignore_cleanup_errors=True) as folder:
                svg = drawn(picture, shown(picture, Path(folder)))
            (FOLDER / f"{picture.name}.svg").write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
