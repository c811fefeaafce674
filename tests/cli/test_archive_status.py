"""`cdrctl archive status`: what it shows, and what --max-age finds too old."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cdrctl.sandbox import Sandbox
from tests.cli.archive_kit import INTO, clock, configure, providers, shell
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

__all__ = ["clock", "providers", "shell"]  # fixtures


def status(shell: Shell, *words: str) -> Ran:
    return shell.run("archive", "status", *INTO, *words)


@pytest.mark.slow
def test_it_counts_what_the_files_have(shell: Shell, clock: HandClock, tmp_path: Path) -> None:
    shell.run("sync", "webex", *INTO, "--since", "4d", "-f", "jsonl").ok()
    [found] = json.loads(status(shell).ok().out)
    files = [*(tmp_path / "archive").rglob("cdrs.jsonl")]
    assert found["records"] == sum(len(one.read_bytes().splitlines()) for one in files)
    assert found["bytes"] == sum(one.stat().st_size for one in files)
    assert (found["profile"], found["call"], found["provider"]) == ("webex", "cdrs", "webex")
    assert found["last_success"] == "2026-11-12T05:00:00.000Z"
    assert found["newest_complete_day"] == "2026-11-10"
    assert (found["holes"], found["beyond"], found["late"]) == (0, 0, None)


def test_it_needs_no_profile_and_no_provider(shell: Shell, providers: Sandbox) -> None:
    shell.run("sync", "webex", *INTO).ok()
    shell.config.unlink()
    before = len(providers.requests)
    assert len(json.loads(status(shell, "webex").ok().out)) == 1
    assert len(providers.requests) == before


@pytest.mark.slow
def test_it_is_a_table_on_a_terminal_and_where_asked(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO).ok()
    lines = status(shell, "-f", "table").ok().out.splitlines()
    assert any(line.split()[:2] == ["webex", "cdrs"] for line in lines)
    assert [json.loads(line)["profile"] for line in status(shell, "-f", "jsonl").ok().out.splitlines()] == ["webex"]
    assert status(shell, "-f", "parquet").code == 2


def test_a_failed_day_is_a_hole_and_no_success(shell: Shell, providers: Sandbox) -> None:
    providers.fail("webex", 503, times=1000)
    assert shell.run("sync", "webex", *INTO).code == 5
    [found] = json.loads(status(shell).ok().out)
    assert found["last_success"] is None
    assert found["newest_complete_day"] is None
    assert found["holes"] > 0
    assert status(shell, "--max-age", "26h").code == 3


@pytest.mark.parametrize(("hours", "code"), [(25, 0), (27, 3)])
def test_a_call_is_too_old_when_its_last_success_is(shell: Shell, clock: HandClock, hours: int, code: int) -> None:
    shell.run("sync", "webex", *INTO).ok()
    clock.move(hours=hours)
    ran = status(shell, "--max-age", "26h", "-q")
    assert ran.code == code
    assert json.loads(ran.out)[0]["profile"] == "webex", "the status is shown whatever the age"
    assert ("webex cdrs" in ran.err) == bool(code)


@pytest.mark.slow
def test_each_old_call_is_named_and_only_selected_ones_count(
    shell: Shell, providers: Sandbox, clock: HandClock
) -> None:
    configure(shell, providers, "webex", "voicenter", "kazoo")
    shell.run("sync", "webex", "voicenter", *INTO).ok()
    clock.move(hours=30)
    shell.run("sync", "kazoo", *INTO).ok()
    ran = status(shell, "--max-age", "26h", "-q")
    assert ran.code == 3
    assert [line.split()[1] for line in ran.err.splitlines()[:2]] == ["voicenter", "webex"]
    assert "2 of 3 calls" in ran.err
    status(shell, "kazoo", "--max-age", "26h").ok()
    ran = shell.run("--log-format", "json", "archive", "status", *INTO, "--max-age", "26h")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    assert [(one.get("profile"), one["exit_code"]) for one in lines] == [("voicenter", 3), ("webex", 3), (None, 3)]


def test_a_reading_that_a_wrong_clock_dated_after_now_is_no_success(shell: Shell, clock: HandClock) -> None:
    clock.move(days=3)
    shell.run("sync", "webex", *INTO)
    clock.move(days=-3)
    assert json.loads(status(shell).ok().out)[0]["last_success"] is None


@pytest.mark.parametrize("words", [("acme",), ("--call", "legs"), ("--max-age", "soon"), ("-f", "xml")])
def test_what_is_not_there_is_a_usage_error(shell: Shell, words: tuple[str, ...]) -> None:
    shell.run("sync", "webex", *INTO).ok()
    assert status(shell, *words).code == 2


def test_reading_changes_nothing_in_the_folder(shell: Shell, providers: Sandbox, tmp_path: Path) -> None:
    configure(shell, providers, "voicenter")
    shell.run("sync", "voicenter", *INTO).ok()
    before = {one: (one.stat().st_mtime_ns, one.stat().st_size) for one in (tmp_path / "archive").rglob("*")}
    status(shell, "--max-age", "26h").ok()
    shell.run("coverage", *INTO, "--check")
    assert {one: (one.stat().st_mtime_ns, one.stat().st_size) for one in (tmp_path / "archive").rglob("*")} == before


def test_an_archive_of_the_first_layout_has_a_status(shell: Shell, tmp_path: Path) -> None:
    from contextlib import closing
    from datetime import timedelta

    from cdrctl.archive.intervals import Reading
    from cdrctl.archive.ledger import KeptCall, Ledger
    from cdrctl.windows import Window

    folder, begins = tmp_path / "old", shell.clock.time - timedelta(days=1)
    folder.mkdir()
    (folder / "archive.toml").write_text('zone = "UTC"\nformat = "jsonl"\n')
    with closing(Ledger(folder, new=True)) as ledger:
        ledger.keep(KeptCall("acme", "cdrs", "webex", begins))
        done = Reading(Window(begins, begins + timedelta(hours=1)), "done", shell.clock.time, 3)
        ledger.write("acme", "cdrs", begins.date().isoformat(), [done], None, begins)
    [found] = json.loads(shell.run("archive", "status", "acme", "--into", "old").ok().out)
    assert (found["profile"], found["last_success"]) == ("acme", "2026-11-12T05:00:00.000Z")
