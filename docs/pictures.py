"""The pictures of the README: what the program really shows on a terminal. `python -m docs.pictures` makes them anew.

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
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
FOLDER = Path(__file__).parent / "pictures"
PATIENCE = 60
"""Seconds that a command may take to show what is waited for."""


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
        ("cdrctl portsip cdrs -p sandbox --since 24h --filter \"callee eq '3001'\" --limit 12",),
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


def shown(picture: Picture, folder: Path) -> str:
    """Return what a terminal shows after the commands, with its escape sequences.

    Raises:
        TimeoutError: A command did not come to its end.
        ValueError: A command ended with another exit code than 0.
    """
    width, height = picture.size
    home, programs = folder / "home", folder / "bin"
    for one in (home, programs):
        one.mkdir()
    still = ROOT / "tests" / "docs" / "still.py"
    program = programs / "cdrctl"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(still))} "$@"\n')
    program.chmod(0o700)
    environ = {
        "PATH": os.pathsep.join([str(programs), "/usr/bin", "/bin"]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TERM": "screen-256color",
    }
    tmux = [shutil.which("tmux") or "tmux", "-L", folder.name, "-f", os.devnull]

    def tell(*words: str) -> str:
        ran = subprocess.run([*tmux, *words], env=environ, cwd=home, capture_output=True, encoding="utf-8", check=True)
        return ran.stdout

    tell(
        "new-session",
        "-d",
        "-x",
        str(width),
        "-y",
        str(height),
        f"env PS1='$ ' HISTFILE=/dev/null PROMPT_COMMAND='echo $? >> {folder}/codes' bash --noprofile --norc",
    )
    try:
        for number, typed in enumerate(("", *picture.commands)):
            if typed:
                tell("send-keys", "-l", typed)
                tell("send-keys", "Enter")
            until = time.monotonic() + PATIENCE
            while not _waiting(tell("capture-pane", "-p"), number):
                if time.monotonic() > until:
                    raise TimeoutError(f"{typed!r} did not end")
                time.sleep(0.1)
        failed = set((folder / "codes").read_text(encoding="utf-8").split()) - {"0"}
        if failed:
            raise ValueError(f"a command of {picture.name!r} ended with {', '.join(failed)}")
        return tell("capture-pane", "-p", "-e")
    finally:
        tell("kill-server")


def _waiting(screen: str, typed: int) -> bool:
    """Return whether the shell waits for a command after so many."""
    lines = screen.rstrip().splitlines()
    return bool(lines) and lines[-1].strip() == "$" and sum(line.startswith("$ ") for line in lines) >= typed


def drawn(picture: Picture, screen: str) -> str:
    """Return the SVG of a screen: rich's, without the font that it would have a browser fetch."""
    lines = screen.rstrip().splitlines()[:-1]  # the last prompt
    console = Console(record=True, width=picture.size[0], file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    with console.file:
        for line in lines:
            console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title=picture.about, theme=THEME, unique_id=f"cdrctl-{picture.name}")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]+;", f"font-family: {FONTS};", svg)
    return re.sub(r"<!-- Generated with Rich.*?-->\s*", "", svg)


def main(names: list[str]) -> int:
    """Make the pictures of these names, or all of them."""
    FOLDER.mkdir(exist_ok=True)
    for picture in PICTURES:
        if not names or picture.name in names:
            with tempfile.TemporaryDirectory(prefix="cdrctl-picture-", ignore_cleanup_errors=True) as folder:
                svg = drawn(picture, shown(picture, Path(folder)))
            (FOLDER / f"{picture.name}.svg").write_text(svg, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
