"""Whatever kills a run, and whenever: the next one ends with exactly the provider's records, none twice."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.archive.ledger import Ledger
from cdrctl.archive.ledgers import call_lock
from cdrctl.archive.store import open_archive
from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.exchange import Exchange
from tests.support.clock import HandClock
from tests.support.program import COMMAND, shared
from tests.support.runner import Shell

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent.parent
NOW = datetime(2026, 11, 12, 2, 30, tzinfo=UTC)
Days = dict[str, Counter[str]]
"""The records of an archive by day, and how often each is there."""

SYNC = ("sync", "acme", "--into", "archive", "-f", "jsonl", "--since", "2026-11-10")


@pytest.fixture
def provider() -> Iterator[Sandbox]:
    with sandbox.start(now=lambda: NOW, exchange=Exchange(volume=0.3)) as running:
        yield running


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Days:
    """Return the records by day of an archive that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with (
        sandbox.start(now=lambda: NOW, exchange=Exchange(volume=0.3)) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.chdir(folder)
        shell = Shell(folder, HandClock(NOW))
        shell.profile("acme", "voicenter", {**running.credentials("voicenter"), "requests_per_minute": 0})
        shell.run(*SYNC).ok()
        whole = records(folder / "archive")
    assert sum(len(day) for day in whole.values()) > 50
    return whole


@pytest.fixture
def shell(tmp_path: Path, provider: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, HandClock(NOW))
    shell.profile("acme", "voicenter", {**provider.credentials("voicenter"), "requests_per_minute": 0})
    return shell


def child(shell: Shell, how: str, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, once or with its operations printed; see `killed.py`."""
    words = [sys.executable, "-m", "tests.archive.killed", str(shell.config), NOW.isoformat(), how, *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, env=environ, cwd=shell.folder, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload,no-any-return]


def kill(shell: Shell, numbers: Mapping[Path, Iterable[int | str]], *arguments: str) -> dict[Path, list[str]]:
    """Run a command in each folder again and again, killed at these operations; return how its runs ended."""
    how = ";".join(f"{folder}={','.join(map(str, counts))}" for folder, counts in numbers.items())
    lines = child(shell, how, *arguments).stdout.splitlines()
    return {folder: line.split() for folder, line in zip(numbers, lines, strict=True)}


def folders(shell: Shell, seeds: Iterable[int]) -> dict[int, Path]:
    """Return a new folder for each seed."""
    made = {seed: shell.folder / f"seed-{seed}" for seed in seeds}
    for folder in made.values():
        folder.mkdir()
    return made


def records(folder: Path) -> Days:
    """Return the records of an archive by day, and how often each is there."""
    return {
        path.parent.name: Counter(path.read_text(encoding="utf-8").splitlines())
        for path in sorted(folder.glob("*/*/date=*/cdrs.jsonl"))
    }


def assert_whole(shell: Shell, truth: Days, folder: Path | None = None) -> None:
    """Sync once more, undisturbed, and check that the archive is complete and correct."""
    place = folder or shell.folder
    with contextlib.chdir(place):
        shell.run(*SYNC).ok()
        assert records(place / "archive") == truth, place
        assert shell.run("verify", "--into", "archive").ok().out == "", place
    assert not list(place.glob("archive/*/*/*/.cdrctl-*")), place


@pytest.mark.parametrize("seeds", [range(11), pytest.param(range(11, 22), marks=pytest.mark.full)], ids=str)
def test_a_run_killed_at_any_operation_leaves_nothing_that_the_next_does_not_mend(
    shell: Shell, seeds: range, truth: Days
) -> None:
    numbers = {}
    for seed, folder in folders(shell, seeds).items():
        rng = random.Random(seed)
        counts = [rng.randint(1, 22) for _ in range(12)] + [rng.randint(20, 70) for _ in range(4)]
        rng.shuffle(counts)
        numbers[folder] = counts
    for folder, ends in kill(shell, numbers, *SYNC).items():
        assert ends.count("killed") >= 10, (folder, ends)
        assert set(ends) <= {"killed", "0"}, (folder, ends)
        assert_whole(shell, truth, folder)


def test_a_run_killed_while_it_moves_a_changed_file_aside_loses_and_doubles_nothing(shell: Shell, truth: Days) -> None:
    numbers, changed = {}, {}
    for seed, folder in folders(shell, range(6)).items():
        with contextlib.chdir(folder):
            shell.run(*SYNC).ok()
        path = max(folder.glob("archive/*/*/date=*/cdrs.jsonl"))
        content = b"".join(path.read_bytes().splitlines(keepends=True)[1:])
        path.write_bytes(content)
        changed[folder] = path, content
        rng = random.Random(seed)
        numbers[folder] = [rng.randint(1, 40) for _ in range(6)]
    for folder, ends in kill(shell, numbers, *SYNC).items():
        assert "killed" in ends, folder
        assert_whole(shell, truth, folder)
        path, content = changed[folder]
        assert [one.read_bytes() for one in path.parent.glob("*cdrs.jsonl.aside*")] == [content], folder


CALLS_OF_THE_SYSTEM = {"openat": 60, "write": 12, "fsync": 20, "rename": 9, "unlink": 9, "mkdir": 9}
CALLS_OF_THE_SYSTEM |= {"pwrite64": 30, "fdatasync": 10, "ftruncate": 3}
"""Calls of the system, and how many of them a run makes at most."""


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace to kill at real system calls")
@pytest.mark.parametrize("seeds", [range(100, 104), pytest.param(range(104, 108), marks=pytest.mark.full)], ids=str)
def test_a_run_killed_at_any_system_call_leaves_nothing_that_the_next_does_not_mend(
    shell: Shell, seeds: range, truth: Days
) -> None:
    numbers = {}
    for seed, folder in folders(shell, seeds).items():
        rng = random.Random(seed)
        places = [f"{name}:{rng.randint(1, most)}" for name, most in CALLS_OF_THE_SYSTEM.items()]
        rng.shuffle(places)
        numbers[folder] = places
    for folder, ends in kill(shell, numbers, *SYNC).items():
        if "untraced" in ends:
            pytest.skip("strace may not trace here")
        assert "killed" in ends, folder
        assert set(ends) <= {"killed", "0"}, (folder, ends)
        assert_whole(shell, truth, folder)


def test_a_rebuild_killed_at_any_operation_can_be_done_again(shell: Shell, truth: Days) -> None:
    numbers = {}
    for seed, folder in folders(shell, range(6)).items():
        with contextlib.chdir(folder):
            shell.run(*SYNC).ok()
        rng = random.Random(seed)
        numbers[folder] = [rng.randint(1, 40) for _ in range(5)]
    for folder, ends in kill(shell, numbers, "verify", "--rebuild", "--into", "archive").items():
        assert "killed" in ends, folder
        with contextlib.chdir(folder):
            shell.run("verify", "--rebuild", "--into", "archive").ok()
        assert_whole(shell, truth, folder)


def test_what_is_called_done_was_made_durable_before(shell: Shell) -> None:
    lines = child(shell, "trace", *SYNC).stdout.splitlines()
    trace = [tuple(line.split("\t")) for line in lines]
    assert trace[-1] == ("ended", "0")
    files = [at for at, one in enumerate(trace) if one[0] == "replace" and one[2].endswith("cdrs.jsonl")]
    assert len(files) == 3
    for at in files:
        _, temporary, path = trace[at]
        folder = str(Path(path).parent)
        synced = [i for i, one in enumerate(trace) if one == ("fsync", temporary)]
        assert synced, "the file is synced before it gets its name"
        assert synced[0] < at
        described = [i for i, one in enumerate(trace) if one[0] == "replace" and one[-1].endswith("_readings.json")]
        assert any(i < at and Path(trace[i][2]).parent == Path(folder) for i in described)
        after = trace[at:]
        told = next(i for i, one in enumerate(after) if one[0] == "replace" and one[-1].endswith("cdrs.json"))
        assert ("fsync", folder) in after[:told], "its folder is synced before the ledger calls it done"
    made = [one[1] for one in trace if one[0] == "mkdir"]
    for folder in made:
        assert ("fsync", str(Path(folder).parent)) in trace[trace.index(("mkdir", folder)) :]


def test_the_ledger_waits_for_the_disk(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, new=True)
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ledger.close()


@pytest.mark.usefixtures("no_half_bytecode")
@pytest.mark.parametrize("largest", [2_000, 8_000, 20_000])
def test_a_disk_that_is_full_is_said_and_leaves_no_half_file(shell: Shell, largest: int, truth: Days) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    ran = child(shell, "once", *SYNC, preexec_fn=limit)
    assert ran.stdout.split() == ["8"], (ran.returncode, ran.stderr)
    for day, lines in records(shell.folder / "archive").items():
        assert lines == truth[day]
    assert_whole(shell, truth)


def test_the_second_of_two_runs_says_so(shell: Shell, truth: Days) -> None:
    shell.run(*SYNC).ok()
    with call_lock(open_archive(shell.folder / "archive"), "acme", "cdrs"):
        ran = shell.run(*SYNC)
    assert ran.code == 11
    assert "another run" in ran.err
    assert_whole(shell, truth)


def test_a_lock_of_a_dead_process_is_no_obstacle(shell: Shell, truth: Days) -> None:
    assert kill(shell, {shell.folder: [50]}, *SYNC) == {shell.folder: ["killed"]}
    assert (shell.folder / "archive" / "_cdrctl" / "ledger" / "acme" / "cdrs.lock").exists()
    assert_whole(shell, truth)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_does(shell: Shell, provider: Sandbox, number: signal.Signals, truth: Days) -> None:
    provider.fail("voicenter", "slow", nth=6, seconds=30)  # after those of the first day
    words = [*COMMAND, *SYNC]
    environ = {**os.environ, **shared(), "PYTHONPATH": str(ROOT), "CDRCTL_CONFIG": str(shell.config)}
    running = subprocess.Popen(words, env=environ, cwd=shell.folder, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert "ahead of Voicenter's" in running.stderr.readline(), "the provider's clock is the test's"
    assert "2026-11-10" in running.stderr.readline()
    running.send_signal(number)
    _, said = running.communicate(timeout=10)
    assert running.returncode == 130, said
    assert "finished days are kept" in said
    assert len(provider.requests) <= 6, "it was told to end while it waited for an answer"
    assert len(records(shell.folder / "archive")) == 1
    provider.switch("voicenter", "fail", "none")
    before = len(provider.requests)
    assert_whole(shell, truth)
    assert len(provider.requests) > before
