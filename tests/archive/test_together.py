"""Several processes sync, fill, check and read one archive at the same time: each record is there once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.exchange import Exchange
from tests.archive.sync_kit import NOW
from tests.support.clock import HandClock
from tests.support.runner import Shell, run

ROOT = Path(__file__).parent.parent.parent
INTO, FROM = ("--into", "archive"), ("--from", "archive")
WINDOW = ("--since", "2026-11-09", "--until", "2026-11-12")
WRITERS = [
    ("sync", "--all", *INTO),
    ("sync", "acme", *INTO),
    ("fill", "--all", *INTO),
    ("fill", "other", *INTO),
    ("verify", "--rebuild", *INTO),
]
READERS = [
    ("verify", *INTO),
    ("coverage", *INTO),
    ("archive", "status", *INTO),
    ("voicenter", "cdrs", "-p", "acme", *FROM, *WINDOW, "-f", "jsonl"),
    ("export", "--all", *FROM, *WINDOW, "--schema", "common", "-f", "jsonl"),
]
SQL = ("sql", *FROM, "SELECT count(*) AS n, count(DISTINCT (profile, _key)) AS different FROM voicenter_cdrs")
ROUNDS = 3


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW - timedelta(days=1))


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock, exchange=Exchange(volume=0.3)) as running:
        running.switch("voicenter", "late", "0.3")
        yield running


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "form"),
    [(1, "jsonl"), (2, "parquet"), *(pytest.param(2, form, marks=pytest.mark.full) for form in ("jsonl.gz", "csv"))],
)
def test_processes_that_use_one_archive_lose_double_and_tear_nothing(
    tmp_path: Path, providers: Sandbox, clock: HandClock, monkeypatch: pytest.MonkeyPatch, layout: int, form: str
) -> None:
    """Days appear, are deleted and come back while others read. Whoever finds the archive locked says so."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, clock)
    settings = {"provider": "voicenter", **providers.credentials("voicenter"), "requests_per_minute": 0}
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    shell.config.write_text("\n".join(["[profiles.acme]", *lines, "[profiles.other]", *lines]), encoding="utf-8")
    shell.config.chmod(0o600)
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "archive.toml").write_text(f'layout = {layout}\nzone = "UTC"\nformat = "{form}"\n', encoding="utf-8")
    shell.run("sync", "--all", *INTO, "--since", "2026-11-09").ok()
    clock.move(days=1)
    words = [*WRITERS, *READERS, *([SQL] if form == "parquet" else [])]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.archive.test_together", str(shell.config), json.dumps(words)]
    running = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    truth = Counter(shell.run("voicenter", "cdrs", "-p", "acme", *WINDOW, "-f", "jsonl").ok().out.splitlines())
    out, err = running.communicate()
    assert running.returncode == 0, err
    ended = [json.loads(line) for line in out.splitlines()]
    assert len(ended) == len(words) * ROUNDS
    for one, code, written, told in ended:
        check(tuple(one), code, written, told, truth, layout)
    shell.run("sync", "--all", *INTO)
    shell.run("fill", "--all", *INTO).ok()
    shell.run("sync", "--all", *INTO).ok()
    for name in ("acme", "other"):
        found = shell.run("voicenter", "cdrs", "-p", name, *FROM, *WINDOW, "-f", "jsonl").ok()
        if form != "csv":
            assert Counter(found.out.splitlines()) == truth, name
        assert len(found.out.splitlines()) == truth.total(), name
    assert shell.run("verify", *INTO).ok().out == ""
    assert not [path for path in archive.rglob("*") if ".cdrctl-" in path.name or ".aside" in path.name]


def check(words: tuple[str, ...], code: int, written: str, told: str, truth: Counter[str], layout: int) -> None:
    """Check the exit code of a command that ran beside others, and that nothing that it read was torn."""
    locks = words[0] in {"sync", "fill"} or "--rebuild" in words or (words[0] == "verify" and layout == 1)
    assert code in ({0, 3, 11} if locks else {0, 3}), (words, code, told)
    if words[0] == "verify" and code == 3:
        found_missing = {line.split("\t")[1] for line in written.splitlines()} == {"is missing"}
        gone = "--rebuild" in words and not written and "cannot be read" in told  # deleted while it was examined
        assert found_missing or (gone and "the ledger is unchanged" in told), (written, told)
    elif words[0] == "voicenter":
        found = Counter(written.splitlines())
        assert all(found[line] <= truth[line] for line in found if truth[line]), "doubled"
        assert all(json.loads(line) for line in found), "torn"
    elif words[0] == "export":
        assert max(Counter(written.splitlines()).values()) == 1, "doubled"
    elif words[0] == "sql":
        (row,) = map(json.loads, written.splitlines())
        assert row["n"] == row["different"], "doubled"


def run_several_times(config: str, words: list[str]) -> list[tuple[list[str], int, str, str]]:
    """Return how a command ended each time: exit code and what it wrote; `fill other` deletes a day before."""
    ended = []
    for number in range(ROUNDS):
        if words[:2] == ["fill", "other"]:
            for path in Path("archive").glob(f"*other/*/date=2026-11-{9 + number % 3:02}/cdrs.*"):
                path.unlink()
        ran = run(*words, environ={"CDRCTL_CONFIG": config}, clock=HandClock(NOW))
        ended.append((words, ran.code, ran.out, ran.err))
    return ended


def main() -> None:
    """Run every command at the same time, each in a fork of this process, which has loaded the program."""
    config, commands = sys.argv[1], json.loads(sys.argv[2])
    with ProcessPoolExecutor(len(commands), get_context("fork")) as pool:
        for ended in pool.map(run_several_times, [config] * len(commands), commands):
            sys.stdout.writelines(json.dumps(one) + "\n" for one in ended)


if __name__ == "__main__":
    main()
