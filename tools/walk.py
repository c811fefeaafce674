"""A new user's way from the installation to a nightly job, as it really was. `python -m tools.walk` walks it anew.

What is typed and what is waited for stands here; what came is recorded: docs/walk.md and the pictures of that page. The
machine has a home with nothing in it and the packages of this environment as a folder of wheels, so that `pip install`
asks no index; the provider is `cdrctl sandbox serve` on a port of its own, which the walk stops and starts again. The
clock is the real one: another day has other calls.
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

PAGE = ROOT / "docs" / "walk.md"
SIZE = (100, 30)
"""Columns and lines of the terminal. What scrolled away at its top is recorded all the same."""

PATIENCE = 180.0
"""Seconds that a line may take: with nobody there, cdrctl tries again for a while."""

HOME = Path("/tmp/dana")  # noqa: S108 - it is made new, and the walk does not begin where it is there
"""The home on the page, which shows it: a folder made for the walk and taken away after it."""

PORT = 8000
"""Where Kazoo's API is served, on the page."""

WRONG_KEY = "35afc2edd857ddb43dc74369e3d105cedbe16cb7d3fff0188c27a87e594ead96"
KEY = "35afc2edd857ddb43dc74369e3d105cedbe16cb7d3fff0188c27a87e594ead95"
ACCOUNT = "007079a8b416fd18eeba776111587abf"
"""The sandbox's own, which are no secrets."""

NIGHT = """\
env -i HOME="$HOME" LOGNAME=dana SHELL=/bin/sh PATH=/usr/bin:/bin \
/bin/sh -c '"$HOME/.local/bin/cdrctl" sync --all --into "$HOME/archive" -q'"""
"""The line of the crontab, with the environment that cron gives it."""

CRONTAB = """\
<!-- after: mkdir -p ~/.local/bin; ln -s "$(command -v cdrctl)" ~/.local/bin/cdrctl -->
```crontab
MAILTO=dana@example.com
0 3 * * * "$HOME/.local/bin/cdrctl" sync --all --into "$HOME/archive" -q
```"""


@dataclass(frozen=True, slots=True)
class Line:
    """What is typed at the shell's prompt.

    Args:
        typed: The line; PORT stands for the provider's.
        code: The exit code with which it must end.
        answers: What a program's last line looks like when it waits, and what is typed then.
        passing: What is on the screen for a moment only, and is recorded when it is seen.
        tab: Whether it is not sent: Tab is pressed twice, and then the line is taken back.
    """

    typed: str
    code: int = 0
    answers: tuple[tuple[str, str], ...] = ()
    passing: str = ""
    tab: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody wants.

    Args:
        title: The heading.
        wants: What for, in a sentence or two.
        lines: What is typed.
        picture: The name of the picture of it; without one the screen stands there as text.
        so: What is to be learnt from what came.
        away: Whether the provider is away meanwhile.
        above: What stands above the screen.
    """

    title: str
    wants: str
    lines: tuple[Line, ...]
    picture: str = ""
    so: str = ""
    away: bool = False
    above: str = ""


@dataclass(slots=True)
class DuplicateFilter:
    """What came of a step.

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


STEPS = (
    Step(
        "Install it",
        "Dana has a Python and an empty home, and wants the program for herself alone.",
        (
            Line("python3 -m venv ~/.local/share/cdrctl"),
            Line("~/.local/share/cdrctl/bin/pip install --quiet cdrctl"),
            Line("ln -s ~/.local/share/cdrctl/bin/cdrctl ~/.local/bin/"),
            Line("cdrctl --version"),
        ),
        so="[Other ways](install.md) are pipx, uv, one file, a container.",
    ),
    Step(
        "What now?",
        "She types the name alone, to see what it is.",
        (Line("cdrctl"),),
    ),
    Step(
        "A profile",
        "The calls are on a Kazoo server. `cdrctl init` asks for what it needs. The first key was mistyped: the check "
        "says so, and it is corrected on the spot.",
        (
            Line(
                "cdrctl init",
                answers=(
                    (r"1 to 6 \[1\]:", "2"),
                    (r"name \[kazoo\]:", "acme"),
                    (r"1 to 3 \[1\]:", "1"),
                    (r"base_url:", "http://127.0.0.1:PORT/kazoo/v2"),
                    (r"account_id:", ACCOUNT),
                    (r"1 to 4 \[1\]:", "1"),
                    (r"not shown\):", WRONG_KEY),
                    (r"\[yes\]:", "yes"),
                    (r"1 to 3 \[1\]:", "1"),
                    (r"base_url \[.*\]:", ""),
                    (r"account_id \[.*\]:", ""),
                    (r"1 to 5 \[1\]:", "2"),
                    (r"not shown\):", KEY),
                    (r"\[yes\]:", "yes"),
                ),
            ),
        ),
        "walk-init",
    ),
    Step(
        "Is everything right?",
        "Before she relies on it she wants to know that this machine, the network, the key and its rights will do.",
        (Line("cdrctl doctor"),),
        "walk-doctor",
    ),
    Step(
        "Yesterday's calls",
        "She wants to see calls.",
        (Line("cdrctl kazoo interactions --since yesterday --until today --limit 16"),),
        "walk-table",
        "A row is a call. Green was answered, yellow missed, red refused or failed.",
    ),
    Step(
        "Only some of them",
        "Who called and was not answered, and which calls were the longest?",
        (
            Line(
                "cdrctl kazoo interactions --since yesterday --until today --schema common "
                "--where 'direction=inbound and not answered' --sort start_time "
                "--fields start_time,from_number,to_number,outcome"
            ),
            Line(
                "cdrctl kazoo interactions --since yesterday --until today --schema common --sort=-talk_seconds "
                "--limit 3 --template '{talk_seconds:>6} s  {from_number} to {to_number}' -q"
            ),
        ),
        so="More of these are in the [recipes](recipes.md).",
    ),
    Step(
        "How are times written?",
        "Is `monday` the last one or the next? The program explains itself.",
        (Line("cdrctl help times | head -n 26"),),
    ),
    Step(
        "Tab",
        "She does not want to learn options by heart.",
        (
            Line("cdrctl --install-completion bash"),
            Line(". ~/.bashrc"),
            Line("cdrctl kazoo interactions --s", tab=True),
        ),
        so="The last line is what the Tab key, pressed twice, shows. It completes profiles, columns and times as well.",
    ),
    Step(
        "What would it send?",
        "Before a large export she wants to see what is asked of the server, without asking it.",
        (Line("cdrctl kazoo cdrs --since yesterday --until today --dry-run"),),
        so="The key is not in it.",
    ),
    Step(
        "A month into a file",
        "Thirty days for the billing department. While it runs, a line says how far it is.",
        (
            Line("cdrctl kazoo cdrs --since 30d --until today -o month.csv", passing=r"^\d+ records, .*%"),
            Line("wc -l month.csv"),
        ),
    ),
    Step(
        "Into a database",
        "She wants to ask questions in SQL, and not to think about what is in it already: the same export twice.",
        (
            Line("cdrctl kazoo cdrs --since yesterday --until today -o calls.db"),
            Line("cdrctl kazoo cdrs --since yesterday --until today -o calls.db"),
            Line("sqlite3 calls.db .tables"),
            Line("sqlite3 -box calls.db 'SELECT direction, count(*) FROM kazoo_cdrs GROUP BY 1'"),
        ),
        so="The second export replaced what the first had written.",
    ),
    Step(
        "An archive",
        "From now on every day's calls are to be kept, and last week's too.",
        (Line("cdrctl sync --all --into archive --since 7d"), Line("cdrctl coverage --into archive")),
        "walk-archive",
    ),
    Step(
        "Every night",
        "The line for the crontab. cron gives a command hardly any environment; so does she, to see whether it works.",
        (Line(NIGHT),),
        above=CRONTAB,
        so="It printed nothing, so cron will mail nothing.",
    ),
    Step(
        "Three in the morning",
        "The provider is away. This is what cron mails:",
        (Line(NIGHT, code=5),),
        away=True,
        so="Exit code 5: temporary. It tried for a while before it gave up, and the archive is as it was.",
    ),
    Step(
        "What is it?",
        "She reads the mail at breakfast, and asks the doctor.",
        (Line("cdrctl doctor", code=5),),
        "walk-away",
        away=True,
        so="Settings, secret and address are right; nobody listens there. Nothing is to be done on this machine.",
    ),
    Step(
        "The next night mends it",
        "The provider is back. Nobody does anything: the next run reads what the one before could not.",
        (Line(NIGHT), Line("cdrctl coverage --into archive"), Line("cdrctl verify --into archive")),
        so="Here minutes had passed; after a real night it reads that night's calls too. [Every night](cron.md) has "
        "the rest: systemd, what each exit code asks for, restoring.",
    ),
)

BEGINNING = """\
# A walk, from the installation to a nightly job

What a new user types, and what she sees. This was recorded on {day} by `tools/walk.py` with cdrctl {version},
in a terminal of {width} columns: every screen is what came, with its times, its names and its mistakes, but for the
number of the system's kernel. Three things were not as they will be with you: `pip` took the packages from a folder of
wheels, this version's among them, and not from an index; the Kazoo server is the one of `cdrctl sandbox serve` on port
{port}; and nobody waited for the night.
"""


PIPS_OWN = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
"""What pip adds to a package that it installs."""


# The machine


def needed(name: str, found: set[str] | None = None) -> set[str]:
    """Return an installed package and what it needs here, without extras but those that it asks for itself."""
    found = {canonicalize_name(name)} if found is None else found
    for line in metadata.requires(name) or ():
        one = Requirement(line)
        other = canonicalize_name(one.name)
        if other not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found.add(other)
            needed(other, found)
    return found


def wheel(name: str, folder: Path) -> None:
    """Make a wheel of an installed package again, from the list of its files."""
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
    """Put wheels of this checkout and of all that it needs into a folder."""
    left_out = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "*.egg-info", "dist", "build")
    with tempfile.TemporaryDirectory(prefix="cdrctl-walk-") as source:
        tree = shutil.copytree(ROOT, Path(source) / "cdrctl", ignore=left_out)
        words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
        subprocess.run(words, cwd=tree, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, check=True)
    for name in needed("cdrctl") - {"cdrctl"}:
        wheel(name, folder)


@contextmanager
def provider(port: int, environ: Mapping[str, str]) -> Iterator[int]:
    """Serve the sandbox, and return its port."""
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
    """Return a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


# The walk


def walked(
    home: Path, folder: Path, port: int, steps: tuple[Step, ...] = STEPS, clock: Mapping[str, str] | None = None
) -> Iterator[tuple[Step, DuplicateFilter]]:
    """Walk in an empty home, and yield each step with what came of it.

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


def _step(opened: Terminal, step: Step, port: int, clock: Mapping[str, str]) -> DuplicateFilter:
    seen = DuplicateFilter()
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
    """Return whether a program waits for this answer: it is asked on the last line, and nothing is typed yet."""
    return re.search(rf"{what}\s*$", opened.screen("-J").rstrip()) is not None


def _offered(opened: Terminal) -> bool:
    """Return whether the shell shows what may follow, and the line again below it."""
    return sum(line.startswith("$ cdrctl kazoo") for line in opened.screen().splitlines()) > 1


def _over(opened: Terminal, lines: int, line: Line, seen: DuplicateFilter) -> bool:
    """Return whether the shell waits again; look out for what passes meanwhile."""
    if line.passing and not opened.waits(lines):
        last = opened.screen("-J").rstrip().splitlines()[-1]
        if re.search(line.passing, last) and not seen.passing:
            seen.passing = last.rstrip()
    return opened.waits(lines)


def _look(opened: Terminal, seen: DuplicateFilter) -> None:
    lines = [line.rstrip() for line in _recorded(opened, "-J").rstrip().splitlines()]
    seen.text = "\n".join(lines[:-1] if lines[-1] == "$" else lines)
    seen.colored = _recorded(opened, "-e")


def _recorded(opened: Terminal, how: str) -> str:
    """Return the screen and what scrolled away, without the kernel of the machine, which is nobody's concern."""
    return opened.screen(how, "-S", "-").replace(f"{platform.system()} {platform.release()}", platform.system())


def written(at: int, step: Step, seen: DuplicateFilter) -> str:
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
        parts.append(f"![What was on the screen: {step.title}](pictures/{step.picture}.svg)")
    if seen.passing:
        parts.append(f"In the middle of it, the last line of the screen was:\n\n```text\n{seen.passing}\n```")
    if step.so:
        parts.append(_filled(step.so))
    return "\n\n".join(parts) + "\n"


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def recorded(page: str) -> list[list[int]]:
    """Return the exit codes that a page has recorded, step by step."""
    found = re.findall(r"^<!-- not run: recorded by docs/walk\.py with the exit codes (.*) -->$", page, re.MULTILINE)
    return [[int(code) for code in one.split(", ")] for one in found]


def main() -> int:
    """Walk, and write the page and its pictures."""
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
