"""Kills commands that write archives at random operations, and compares what is left with the provider.

    python -m tests.archive.kills --kills 200 --seed 1

Each command is a process of its own and is killed (SIGKILL) before or after a random operation on files or the ledger.
Then it runs once more, undisturbed, and the archive is compared, record by record, with an export from the provider.
The provider is the sandbox, on this machine. The exit code is 1 if a record is lost or doubled, or a file is left over.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cdrctl import sandbox
from cdrctl.archive.store import FIRST_LAYOUT, FORMATS
from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.exchange import Exchange
from tests.archive.killed import killed_at, operations, said, warm_up
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

ROOT = Path(__file__).parent.parent.parent
NOW = datetime(2026, 11, 12, 2, 30, tzinfo=UTC)
SINCE, MIDDLE, UNTIL = "2026-11-10", "2026-11-11", "2026-11-12"
INTO = ("--into", "archive")
SYNC = ("sync", "acme", *INTO, "--since", SINCE)
COMMANDS = ("sync", "sync --sweep", "fill", "verify --rebuild", "archive erase", "archive retain", "archive convert")
SHAPES = [(FIRST_LAYOUT, "jsonl"), (FIRST_LAYOUT, "csv.gz"), *((2, form) for form in FORMATS)]
MOST = 2
"""How often a command is killed in one archive before it may end."""

OURS = re.compile(r"cdrs\.[a-z.]+|_readings\.json|_retired\.json|_?account\.json|\.cdrs\.[0-9a-f]{64}\.index")
"""The names of the files below the folder of a profile."""


@dataclass(slots=True)
class Case:
    """A command and the archive in which it is killed.

    Args:
        command: The command.
        layout: The layout of the archive.
        form: Its format.
        provider: The provider of its records.
        archives: How many archives were compared with the provider.
        kills: How often the command was killed.
        records: How many records the provider has of the days that the archive should have.
        lost: How many of them the archive has not.
        doubled: How many records the archive has too many.
        litter: How many files were left over, or differ from the ledger.
    """

    command: str
    layout: int
    form: str
    provider: str
    archives: int = 0
    kills: int = 0
    records: int = 0
    lost: int = 0
    doubled: int = 0
    litter: int = 0
    notes: list[str] = field(default_factory=list)


def cases() -> list[Case]:
    """Return a case for each command, layout and format; the providers take turns."""
    found: list[Case] = []
    for command in COMMANDS:
        for layout, form in SHAPES:
            if layout == FIRST_LAYOUT and command in {"archive erase", "archive retain"}:
                continue
            found.append(Case(command, layout, form, tuple(PROVIDERS)[len(found) % len(PROVIDERS)]))
    return found


@dataclass(slots=True)
class Workshop:
    """A provider, and a folder for each case."""

    folder: Path
    sandbox: Sandbox
    seed: int

    def shell(self, provider: str) -> Shell:
        """Return a shell whose only profile is of a provider."""
        folder = self.folder / provider
        folder.mkdir(exist_ok=True)
        shell = Shell(folder, HandClock(NOW))
        shell.profile("acme", provider, {**self.sandbox.credentials(provider), "requests_per_minute": 0})
        return shell

    def truth(self, shell: Shell, provider: str, since: str) -> Counter[str]:
        """Return the records that the provider has since a day, and how often each is there."""
        call = "legs" if provider == "callgear" else "cdrs"
        return lines(shell.run(provider, call, "-p", "acme", "--since", since, "--until", UNTIL, "-f", "csv").ok())

    def kill(self, case: Case, wanted: int) -> None:
        """Kill the command of a case until it was killed often enough, and count what it left."""
        shell, rng = self.shell(case.provider), random.Random(f"{self.seed} {case}")
        home = Path(shell.folder)
        whole = self.truth(shell, case.provider, SINCE)
        number = number_in(whole)
        words, new = words_of(case, number)
        prepared = home / f"{case.command} {case.layout} {case.form}".replace(" ", "-")
        prepare(shell, case, prepared)
        turn = 0
        while case.kills < wanted:
            folders = [
                prepared.with_name(f"{prepared.name}-{turn}-{at}") for at in range(-(-(wanted - case.kills) // MOST))
            ]
            turn += 1
            for one in folders:
                shutil.copytree(prepared, one)
            case.kills += self._killed(shell, folders, wanted - case.kills, rng.randrange(10**9), words)
            for one in folders:
                self._check(shell, case, one, words, new, number)
                shutil.rmtree(one)

    def _killed(self, shell: Shell, folders: Sequence[Path], most: int, seed: int, words: Sequence[str]) -> int:
        """Run a command in folders, kill it at random operations, and return the number of kills."""
        command = [sys.executable, "-m", "tests.archive.kills", "--worker", str(shell.config), f"{seed}:{most}"]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(
            [*command, os.pathsep.join(map(str, folders)), *words],
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.split().count("killed")

    def _check(self, shell: Shell, case: Case, folder: Path, words: Sequence[str], new: str, number: str) -> None:
        """Run the command to its end, and count what is lost, doubled and left over."""
        case.archives += 1
        since = MIDDLE if case.command == "archive retain" else SINCE
        wanted = self.truth(shell, case.provider, since)
        if case.command == "archive erase":
            wanted = Counter({line: count for line, count in wanted.items() if number[-9:] not in line})
        with contextlib.chdir(folder):
            ended = [shell.run(*words), shell.run("verify", "--into", new)]
            if case.command == "verify --rebuild":
                ended.insert(1, shell.run(*SYNC))
            call = "legs" if case.provider == "callgear" else "cdrs"
            window = ("--since", since, "--until", UNTIL)
            ended.append(shell.run(case.provider, call, "-p", "acme", "--from", new, *window, "-f", "csv"))
        found = lines(ended[-1])
        case.records += wanted.total()
        case.lost += (wanted - found).total()
        case.doubled += (found - wanted).total()
        left = [path for path in folder.glob("*/*acme/**/*") if path.is_file() and not OURS.fullmatch(path.name)]
        left += [path for path in folder.glob("**/.cdrctl-*") if path not in left]
        case.litter += len(left) + len(ended[1 if case.command != "verify --rebuild" else 2].out.splitlines())
        case.notes += [str(path.relative_to(folder)) for path in left]
        case.notes += [one.err for one in ended if one.code]


def lines(ran: Ran) -> Counter[str]:
    """Return the lines of an export after its header, and how often each is there."""
    return Counter(ran.out.splitlines()[1:])


def number_in(whole: Counter[str]) -> str:
    """Return a number of twelve digits that some of the records have, and not all."""
    found = Counter(number for line in whole for number in set(re.findall(r"\+?\d{11,13}(?=,)", line)))
    return next(str(number) for number, count in found.most_common() if count < len(whole) / 2)


def words_of(case: Case, number: str) -> tuple[tuple[str, ...], str]:
    """Return the words of a case's command, and the name of the archive that it makes or changes."""
    other = "csv.gz" if case.form != "csv.gz" else "parquet"
    return {
        "sync": (SYNC, "archive"),
        "sync --sweep": (("sync", "acme", *INTO, "--sweep", "7d", "--lookback", "1h"), "archive"),
        "fill": (("fill", "acme", *INTO), "archive"),
        "verify --rebuild": (("verify", "--rebuild", *INTO), "archive"),
        "archive erase": (("archive", "erase", *INTO, "--number", number, "--yes"), "archive"),
        "archive retain": (("archive", "retain", *INTO, "--before", MIDDLE, "--yes"), "archive"),
        "archive convert": (("archive", "convert", "archive", "new", "-f", other), "new"),
    }[case.command]


def prepare(shell: Shell, case: Case, folder: Path) -> None:
    """Make the archive in which the command of a case is killed."""
    archive = folder / "archive"
    archive.mkdir(parents=True)
    layout = "" if case.layout == FIRST_LAYOUT else f"layout = {case.layout}\n"
    (archive / "archive.toml").write_text(f'{layout}zone = "UTC"\nformat = "{case.form}"\n', encoding="utf-8")
    if case.command == "sync":
        return
    with contextlib.chdir(folder):
        shell.run(*SYNC).ok()
    if case.command == "fill":
        for path in sorted(archive.glob(f"*/*/date=*/cdrs.{case.form}"))[:2]:
            path.unlink()


def work(config: str, seed: str, most: int, folders: Sequence[str], words: list[str]) -> None:
    """Run a command in each folder, killed at random operations, and print how its runs ended."""
    rng = random.Random(seed)
    warm_up(config, NOW)
    with TemporaryDirectory() as copy:
        shutil.copytree(folders[0], Path(copy, "copy"))
        os.chdir(Path(copy, "copy"))
        count = operations(config, NOW, words)
    for folder in folders:
        os.chdir(folder)
        for _ in range(MOST):
            how = killed_at(rng.randint(1, count), config, NOW, words)
            said(how)
            most -= how == "killed"
            if how != "killed" or not most:
                break


def table(found: Sequence[Case]) -> Iterator[str]:
    """Yield the lines of a table of the commands and of their cases."""
    head = ("command", "archives", "kills", "records", "lost", "doubled", "left over")
    yield "{:18} {:>9} {:>6} {:>8} {:>5} {:>8} {:>10}".format(*head)
    rows = [(name, [one for one in found if one.command == name]) for name in COMMANDS]
    for name, those in [*rows, ("all", list(found))]:
        names = ("archives", "kills", "records", "lost", "doubled", "litter")
        sums = [sum(getattr(one, what) for one in those) for what in names]
        yield "{:18} {:>9} {:>6} {:>8} {:>5} {:>8} {:>10}".format(name, *sums)


def run(kills: int, seed: int, progress: io.TextIOBase | None = None) -> list[Case]:
    """Kill commands this often in all, and return the cases."""
    found = cases()
    with (
        TemporaryDirectory() as folder,
        sandbox.start(now=lambda: NOW, exchange=Exchange(volume=0.1)) as running,
    ):
        workshop = Workshop(Path(folder), running, seed)
        for at, case in enumerate(found):
            wanted = kills * (at + 1) // len(found) - kills * at // len(found)
            workshop.kill(case, wanted)
            if progress is not None:
                progress.write(
                    f"{case.command}, layout {case.layout}, {case.form}, {case.provider}: {case.kills} kills\n"
                )
                progress.flush()
    return found


def main() -> int:
    """Print the table, and return the exit code."""
    if sys.argv[1:2] == ["--worker"]:
        config, how, folders, *words = sys.argv[2:]
        seed, _, most = how.partition(":")
        work(config, seed, int(most), folders.split(os.pathsep), words)
        return 0
    parser = argparse.ArgumentParser(prog="python -m tests.archive.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often commands are killed in all")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the operations at which they are killed")
    chosen = parser.parse_args()
    found = run(chosen.kills, chosen.seed, sys.stderr)  # type: ignore[arg-type]
    sys.stdout.write("".join(f"{line}\n" for line in table(found)))
    for case in found:
        for note in case.notes:
            sys.stdout.write(f"{case.command}, layout {case.layout}, {case.form}, {case.provider}: {note}\n")
    return int(any(case.lost or case.doubled or case.litter or case.notes for case in found))


if __name__ == "__main__":
    sys.exit(main())
