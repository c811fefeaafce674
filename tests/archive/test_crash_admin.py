"""Whatever kills a command that administers an archive: the next run of it ends as one that nobody disturbed."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.archive.test_crash import SYNC, Days, folders, kill, provider, records, shell, truth
from tests.support.runner import Shell

__all__ = ["provider", "shell", "truth"]  # fixtures

pytestmark = [pytest.mark.process, pytest.mark.slow]

INTO = ("--into", "archive")
RETAIN = ("archive", "retain", *INTO, "--before", "2026-11-11", "--yes")
FORGET = ("archive", "forget", "acme", *INTO, "--yes")
CONVERT = ("archive", "convert", "archive", "new", "-f", "jsonl")


def disturbed(shell: Shell, most: int, *words: str) -> list[Path]:
    """Run a command in folders with equal archives, each killed several times, and then undisturbed."""
    shell.run(*SYNC).ok()
    numbers = {}
    for seed, folder in folders(shell, range(4)).items():
        shutil.copytree(shell.folder / "archive", folder / "archive")
        rng = random.Random(seed)
        numbers[folder] = [rng.randint(1, most) for _ in range(6)]
    killed = kill(shell, numbers, *words)
    assert any("killed" in ends for ends in killed.values())
    for folder in killed:
        with contextlib.chdir(folder):
            shell.run(*words).ok()
            archive = "new" if words == CONVERT else "archive"
            assert shell.run("verify", "--into", archive).ok().out == ""
        assert not list(folder.glob("*/profile=*/**/.cdrctl-*"))
    return [*killed]


def test_a_conversion(shell: Shell, truth: Days) -> None:
    for folder in disturbed(shell, 60, *CONVERT):
        assert records(folder / "archive") == records(folder / "new") == truth


def test_a_removal_of_old_days(shell: Shell, truth: Days) -> None:
    left = {day: lines for day, lines in truth.items() if day >= "date=2026-11-11"}
    for folder in disturbed(shell, 25, *RETAIN):
        assert records(folder / "archive") == left
        with contextlib.chdir(folder):
            shell.run(*SYNC).ok()
        assert records(folder / "archive") == left


def test_an_erasure(shell: Shell, truth: Days) -> None:
    lines = Counter[str]()
    for day in truth.values():
        lines.update(day)
    number = next(
        part.split('"')[0] for line in lines for part in line.split('"caller_number":"')[1:] if part[8] != '"'
    )
    left = {day: Counter({line: n for line, n in of.items() if number[-9:] not in line}) for day, of in truth.items()}
    assert left != truth
    for folder in disturbed(shell, 80, "archive", "erase", *INTO, "--number", number, "--yes"):
        assert records(folder / "archive") == left
        with contextlib.chdir(folder):
            shell.run(*SYNC).ok()
        assert records(folder / "archive") == left


def test_a_profile_that_is_forgotten(shell: Shell) -> None:
    shell.run(*SYNC).ok()
    numbers = {}
    for seed, folder in folders(shell, range(4)).items():
        shutil.copytree(shell.folder / "archive", folder / "archive")
        numbers[folder] = range(seed + 1, 60, 8)
    for folder, ends in kill(shell, numbers, *FORGET).items():
        assert "killed" in ends, folder
        with contextlib.chdir(folder):
            assert shell.run(*FORGET).code in {0, 2}, "it may be gone"
            assert shell.run("verify", *INTO).ok().out == ""
        assert not list(folder.glob("archive/**/cdrs.*"))
        assert not list(folder.glob("archive/profile=*"))
