"""Record docs/walk.md and its pictures: a new user's way from installation to a nightly job. `python -m tools.walk`.

The steps are in tools/walk_steps.py. The page records a real run: in an empty home, with the packages of this
environment as a folder of wheels, so that `pip install` needs no index, and with `cdrctl sandbox serve` as provider,
which is stopped and started again on the way. The clock is the machine's, so calls differ from day to day.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import HeaderParser
from functools import partial
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.pictures import FOLDER, ROOT, Picture, Terminal, drawn, terminal
from tools.walk_steps import STEPS, Line, Step

PAGE = ROOT / "docs" / "walk.md"
SIZE = (100, 30)
"""Columns and lines of the terminal. Lines that scrolled away are recorded too."""

PATIENCE = 180.0
"""The longest wait for a line, in seconds; cdrctl retries while the provider is stopped."""

HOME = Path("/tmp/dana")  # noqa: S108 - it is made new, and the walk does not begin where it is there
"""The home folder shown on the page. The walk makes it and deletes it."""

PORT = 8000
"""The port of Kazoo's API on the page."""


@dataclass(slots=True)
class Recorded:
    """What a step showed.

    Args:
        text: The screen, without colours.
        colored: The same with its escape sequences.
        codes: The exit code of each line.
        passing: The line of the screen that was there for a moment.
    """

    text: str = ""
    colored: str = ""
    codes: list[int] = field(default_factory=list)
    passing: str = ""


BEGINNING = """\
# Walkthrough: from installation to a nightly job

This page shows what a new user types and sees. `tools/walk.py` recorded it on {day} with cdrctl {version}, in a
terminal of {width} columns. Every screen is real, except that the version of the kernel is left out. Three things
differ from your case: `pip` took the packages from a folder of wheels, not from an index; the Kazoo server is that of
`cdrctl sandbox serve` on port {port}; and nobody waited for the night.
"""


PIPS_OWN = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
"""Files that pip adds when it installs a package."""


# The machine


def needed(name: str, found: set[str] | None = None) -> set[str]:
    """Return the names of an installed package and its dependencies."""
    found = {canonicalize_name(name)} if found is None else found
    for line in metadata.requires(name) or ():
        one = Requirement(line)
        other = canonicalize_name(one.name)
        if other not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found.add(other)
            needed(other, found)
    return found


def wheel(name: str, folder: Path) -> None:
    """Build a wheel of an installed package from the list of its files."""
    package = metadata.distribution(name)
    tags = HeaderParser().parsestr(package.read_text("WHEEL") or "").get_all("Tag") or []
    tag = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*(one.split("-") for one in tags), strict=True))
    files = {}
    for one in package.files or ():
        if ".." not in one.parts and "__pycache__" not in one.parts and one.name not in PIPS_OWN:
            files[one.as_posix()] = Path(str(package.locate_file(one))).read_bytes()
    (about,) = {path.split("/")[0] for path in files if path.split("/")[0].endswith(".dist-info")}
    record = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(folder / f"{about.removesuffix('.dist-info')}-{tag}.whl", "w") as made:
        for path, data in {**files, f"{about}/RECORD": record.encode()}.items():
            made.writestr(path, data)


def wheels(folder: Path) -> None:
    """Write wheels of this checkout and its dependencies to a folder."""
    left_out = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "*.egg-info", "dist", "build")
    with tempfile.TemporaryDirectory(prefix="cdrctl-walk-") as source:
        tree = shutil.copytree(ROOT, Path(source) / "cdrctl", ignore=left_out)
        words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
        subprocess.run(words, cwd=tree, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, check=True)
    for name in needed("cdrctl") - {"cdrctl"}:
        wheel(name, folder)


@contextmanager
def provider(port: int, environ: Mapping[str, str]) -> Iterator[int]:
    """Serve the sandbox and yield its port."""
    words = [sys.executable, "-m", "cdrctl", "sandbox", "serve", "--port", str(port)]
    path = os.pathsep.join(filter(None, (str(ROOT), environ.get("PYTHONPATH"))))
    environ = {**os.environ, **environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with running:
        try:
            first = running.stdout.readline() if running.stdout else ""
            found = re.search(r":(\d+)/", first)
            if found is None:
                raise OSError(f"nothing is served on port {port}")
            yield int(found[1])
        finally:
            running.terminate()


def free() -> int:
    """Return a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


# The walk


def walked(
    home: Path, folder: Path, port: int, steps: tuple[Step, ...] = STEPS, clock: Mapping[str, str] | None = None
) -> Iterator[tuple[Step, Recorded]]:
    """Run the steps in an empty home, and yield each step with its screen.

    Args:
        home: An empty folder.
        folder: Another one, for what belongs to the machine.
        port: The provider's.
        steps: Some of the steps, from the first one on.
        clock: Variables that hand the programs another clock than the machine's.

    Raises:
        FileExistsError: There is something in the home.
        TimeoutError: A program did not say what was waited for.
        ValueError: A line ended with another exit code than it should.
    """
    if any(home.iterdir()):
        raise FileExistsError(f"{home} is not empty")
    (folder / "wheels").mkdir()
    wheels(folder / "wheels")
    (home / ".local" / "bin").mkdir(parents=True)
    python = folder / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    python.chmod(0o700)
    environ = {
        "PATH": os.pathsep.join([str(home / ".local" / "bin"), str(python.parent), "/usr/bin", "/bin"]),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "wheels"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **(clock or {}),
    }
    with terminal(folder, home, environ, SIZE, PATIENCE) as opened:
        for step in steps:
            if step.away:
                yield step, _step(opened, step, port, clock or {})
            else:
                with provider(port, clock or {}):
                    seen = _step(opened, step, port, clock or {})
                yield step, seen


def _step(opened: Terminal, step: Step, port: int, clock: Mapping[str, str]) -> Recorded:
    seen = Recorded()
    emptied = shlex.join(["env", "-i", *(f"{name}={text}" for name, text in clock.items())])
    opened.press("C-l")
    opened.wait(lambda: opened.screen().strip() == "$", "an empty screen")
    opened.tell("clear-history")
    for line in step.lines:
        typed = line.typed.replace("PORT", str(port)).replace("env -i", emptied)
        if line.tab:
            opened.type(typed)
            opened.press("Tab", "Tab")
            opened.wait(lambda: _offered(opened), typed)
            _look(opened, seen)
            opened.press("C-u")
            opened.press("C-l")
            opened.wait(lambda: opened.screen().strip() == "$", typed)
            continue
        before = len(opened.ended())
        opened.type(typed)
        opened.press("Enter")
        for waits, answer in line.answers:
            opened.wait(partial(_asks, opened, waits), waits)
            opened.type(answer.replace("PORT", str(port)))
            opened.press("Enter")
        opened.wait(partial(_over, opened, before + 1, line, seen), typed)
        seen.codes.append(opened.ended()[-1])
        if seen.codes[-1] != line.code:
            raise ValueError(f"{typed!r} ended with {seen.codes[-1]}: {opened.screen()}")
        _look(opened, seen)
    return seen


def _asks(opened: Terminal, what: str) -> bool:
    """Return whether a program asks for this answer on the last line."""
    return re.search(rf"{what}\s*$", opened.screen("-J").rstrip()) is not None


def _offered(opened: Terminal) -> bool:
    """Return whether the shell shows completions and the line below them."""
    return sum(line.startswith("$ cdrctl kazoo") for line in opened.screen().splitlines()) > 1


def _over(opened: Terminal, lines: int, line: Line, seen: Recorded) -> bool:
    """Return whether the shell shows its prompt, and record what passes meanwhile."""
    if line.passing and not opened.waits(lines):
        last = opened.screen("-J").rstrip().splitlines()[-1]
        if re.search(line.passing, last) and not seen.passing:
            seen.passing = last.rstrip()
    return opened.waits(lines)


def _look(opened: Terminal, seen: Recorded) -> None:
    lines = [line.rstrip() for line in _recorded(opened, "-J").rstrip().splitlines()]
    seen.text = "\n".join(lines[:-1] if lines[-1] == "$" else lines)
    seen.colored = _recorded(opened, "-e")


def _recorded(opened: Terminal, how: str) -> str:
    """Return the screen with the lines that scrolled away, and without the version of the kernel."""
    return opened.screen(how, "-S", "-").replace(f"{platform.system()} {platform.release()}", platform.system())


def written(at: int, step: Step, seen: Recorded) -> str:
    """Return a step as Markdown."""
    codes = ", ".join(map(str, seen.codes))
    typed = seen.text
    if step.picture:
        typed = "\n".join(line for line in seen.text.splitlines() if line.startswith("$ "))
    parts = [f"## {at}. {step.title}", _filled(step.wants)]
    if step.above:
        parts.append(step.above)
    note = f"<!-- not run: recorded by tools/walk.py with the exit codes {codes} -->"
    parts.append(f"{note}\n```console\n{typed}\n```")
    if step.picture:
        parts.append(f"![The screen of this step: {step.title}](pictures/{step.picture}.svg)")
    if seen.passing:
        parts.append(f"During the export, the last line of the screen was:\n\n```text\n{seen.passing}\n```")
    if step.so:
        parts.append(_filled(step.so))
    return "\n\n".join(parts) + "\n"


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def recorded(page: str) -> list[list[int]]:
    """Return the recorded exit codes of a page, by step."""
    found = re.findall(r"^<!-- not run: recorded by tools/walk\.py with the exit codes (.*) -->$", page, re.MULTILINE)
    return [[int(code) for code in one.split(", ")] for one in found]


def main() -> int:
    """Record the walkthrough, and write the page and its pictures."""
    version = metadata.version("cdrctl")
    day = f"{datetime.now(tz=UTC):%-d %B %Y}"
    HOME.mkdir(mode=0o700)  # fails where there is one, which is somebody's
    parts = [BEGINNING.format(day=day, version=version, width=SIZE[0], port=PORT)]
    with tempfile.TemporaryDirectory(prefix="cdrctl-walk-", ignore_cleanup_errors=True) as folder:
        try:
            for at, (step, seen) in enumerate(walked(HOME, Path(folder), PORT), 1):
                parts.append(written(at, step, seen))
                if step.picture:
                    svg = drawn(Picture(step.picture, step.title, (), SIZE), seen.colored)
                    (FOLDER / f"{step.picture}.svg").write_text(svg, encoding="utf-8")
        finally:
            shutil.rmtree(HOME, ignore_errors=True)
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
