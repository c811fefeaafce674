"""The archive's commands: what they say, what they end with, what they leave alone."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cdrctl.archive import verify
from cdrctl.archive.ledgers import call_lock
from cdrctl.archive.store import open_archive, open_or_create
from cdrctl.cli import connecting
from cdrctl.cli.app import main
from cdrctl.cli.process import Process
from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox import Sandbox
from cdrctl.units import syncing
from tests.archive.sync_kit import begin_first_layout
from tests.cli.archive_kit import INTO, clock, configure, providers, shell
from tests.support.clock import HandClock
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures


@pytest.mark.slow
def test_each_profile_has_its_own_line(shell: Shell) -> None:
    ran = shell.run("sync", "--all", *INTO).ok()
    assert ran.out == ""
    for name in PROVIDERS:
        assert any(
            line.startswith(f"cdrctl: {name} {name} ") and " fetched, " in line and " 0 late, 0 changed" in line
            for line in ran.err.splitlines()
        ), name
    assert ran.err.splitlines()[-1].startswith("cdrctl: 12 days, ")
    again = shell.run("--log-format", "json", "sync", "--all", *INTO).ok()
    lines = [json.loads(line) for line in again.err.splitlines()]
    webex = next(line for line in lines if line.get("profile") == "webex")
    assert webex["level"] == "result"
    assert (webex["new"], webex["late"], webex["changed"], webex["duplicate"]) == (0, 0, 0, 0)
    assert webex["fetched"] > 0
    assert lines[-1]["level"] == "done"


def test_quiet_prints_nothing(shell: Shell) -> None:
    assert shell.run("sync", "webex", *INTO, "-q").ok().err == ""


@pytest.mark.slow
def test_a_profile_that_fails_does_not_stop_the_others(shell: Shell, providers: Sandbox) -> None:
    providers.fail("kazoo", 404, times=1000)
    ran = shell.run("sync", "--all", *INTO)
    assert ran.code == 4
    assert "kazoo" in ran.err.splitlines()[-2]
    days = json.loads(shell.run("coverage", *INTO).ok().out)
    assert {day["state"] for day in days if day["profile"] == "kazoo"} == {"hole"}
    assert {day["state"] for day in days if day["profile"] != "kazoo"} == {"open"}
    assert any("error" in day for day in days if day["profile"] == "kazoo")
    providers.switch("kazoo", "fail", "none")
    before = len(providers.requests)
    shell.run("fill", "--all", *INTO).ok()
    asked = {one.path.split("/")[1] for one in providers.requests[before:]}
    assert asked == {"kazoo"}, "only what is missing is asked for"
    assert not any(day["state"] == "hole" for day in json.loads(shell.run("coverage", *INTO).ok().out))


@pytest.mark.parametrize(("status", "code"), [(503, 5), (403, 4)])
def test_a_single_profile_that_fails_gives_its_own_exit_code(
    shell: Shell, providers: Sandbox, status: int, code: int
) -> None:
    providers.fail("webex", status, times=1000)
    assert shell.run("sync", "webex", *INTO).code == code


def test_quiet_names_each_profile_that_failed_with_its_own_provider(shell: Shell, providers: Sandbox) -> None:
    """It is all that a mail of cron has."""
    configure(shell, providers, "webex", "kazoo")
    for name in ("webex", "kazoo"):
        providers.fail(name, 503, times=1000)
    ran = shell.run("sync", "--all", *INTO, "-q")
    assert ran.code == 5
    webex, kazoo, total, _ = ran.err.splitlines()
    assert webex.startswith("cdrctl: webex (webex): failed: Webex ")
    assert kazoo.startswith("cdrctl: kazoo (kazoo): failed: Kazoo ")
    assert "; next: " in webex
    assert "; next: " in kazoo
    assert "2 of 2 profiles failed" in total
    alone = shell.run("sync", "webex", *INTO, "-q")
    assert alone.code == 5
    assert alone.err.count("Webex failed") == 1


def test_the_exit_code_is_the_one_that_most_needs_a_person(shell: Shell, providers: Sandbox) -> None:
    configure(shell, providers, "webex", "kazoo")
    providers.fail("webex", 503, times=1000)
    providers.fail("kazoo", 403, times=1000)
    assert shell.run("sync", "--all", *INTO, "-q").code == 4


def test_a_wrong_token_is_reported(shell: Shell, providers: Sandbox) -> None:
    configure(shell, providers, "webex", access_token="wrong-token-of-mine")
    ran = shell.run("sync", "--all", *INTO)
    assert ran.code == 4
    assert "wrong-token" not in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sync", *INTO), "no profile is selected"),
        (("sync", "nobody", *INTO), "nobody"),
        (("sync", "webex", *INTO, "--call", "legs"), "cdrs, stream"),
        (("sync", "webex", *INTO, "--since", "02/03/26"), "--since"),
        (("sync", "webex", *INTO, "--lookback", "soon"), "length of time"),
        (("sync", "webex", *INTO, "--tz", "Europe/Pari"), "Europe/Paris"),
        (("sync", "webex", *INTO, "--format", "xlsx"), "jsonl.gz"),
        (("coverage", *INTO), "no archive"),
        (("verify", *INTO), "no archive"),
        (("fill", "webex", *INTO), "no archive"),
    ],
)
def test_wrong_options_are_refused_before_any_request(
    shell: Shell, providers: Sandbox, words: tuple[str, ...], said: str
) -> None:
    ran = shell.run(*words)
    assert ran.code in {2, 6}
    assert said in ran.err
    assert "--format" not in words or not (shell.folder / "archive").exists()
    assert "Traceback" not in ran.err
    assert providers.requests == []


@pytest.mark.parametrize("words", [("sync", "webex", *INTO), ("archive", "convert", "csv", "archive")])
def test_without_pyarrow_no_parquet_is_begun(
    shell: Shell, providers: Sandbox, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    open_or_create(shell.folder / "csv", None, "csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = shell.run(*words, "-f", "parquet")
    assert (ran.code, "pip install 'cdrctl[parquet]'" in ran.err) == (6, True)
    assert not (shell.folder / "archive").exists()
    assert providers.requests == []


def test_an_archive_of_parquet_is_not_synced_without_pyarrow(
    shell: Shell, providers: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_or_create(shell.folder / "archive", None, "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for words in (("sync", "webex", *INTO), ("fill", "webex", *INTO), ("archive", "pseudonymise", "archive", "copy")):
        assert shell.run(*words).code == 6
    assert providers.requests == []
    assert not (shell.folder / "copy").exists()


def test_an_archive_keeps_its_zone_and_format(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO, "--tz", "Europe/Paris", "-f", "csv.gz").ok()
    assert shell.run("sync", "webex", *INTO).ok().code == 0
    assert shell.run("sync", "webex", *INTO, "--tz", "UTC").code == 2
    assert shell.run("sync", "webex", *INTO, "-f", "jsonl").code == 2
    assert list(shell.folder.glob("archive/profile=webex/call=cdrs/date=*/cdrs.csv.gz"))


def test_another_run_is_reported(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO).ok()
    with call_lock(open_archive(shell.folder / "archive"), "webex", "cdrs"):
        for words in (("sync", "webex"), ("fill", "webex"), ("verify", "--rebuild")):
            assert shell.run(*words, *INTO).code == 11
        shell.run("verify", *INTO).ok()
        shell.run("coverage", *INTO).ok()


def test_a_folder_that_cannot_be_written_is_reported(shell: Shell) -> None:
    (shell.folder / "archive").write_text("a file")
    ran = shell.run("sync", "webex", *INTO)
    assert ran.code == 8
    assert "archive" in ran.err


@pytest.mark.slow
def test_other_calls_are_stored_beside_the_main_one(shell: Shell) -> None:
    shell.run("sync", "--all", *INTO, "--call", "stream", "--call", "interactions").ok()
    kept = {(day["profile"], day["call"]) for day in json.loads(shell.run("coverage", *INTO).ok().out)}
    assert kept == {("webex", "stream"), ("kazoo", "interactions")}


def test_plan_sends_no_request(shell: Shell, providers: Sandbox) -> None:
    plans = {one["profile"]: one for one in json.loads(shell.run("plan", "--all", "--since", "40d").ok().out)}
    assert providers.requests == []
    webex = plans["webex"]
    assert webex["windows"] == 31
    assert webex["seconds_at_least"] > 3600
    assert len(webex["beyond_retention"]) == 1
    assert plans["kazoo"]["beyond_retention"] == []
    shell.run("sync", "webex", *INTO).ok()
    before = len(providers.requests)
    (one,) = json.loads(shell.run("plan", "webex", *INTO, "--lookback", "1h").ok().out)
    assert one["windows"] == 1
    assert len(providers.requests) == before


def test_new_files_and_folders_are_private(shell: Shell) -> None:
    before = os.umask(0)
    try:
        shell.run("sync", "webex", *INTO).ok()
    finally:
        os.umask(before)
    for path in [shell.folder / "archive", *shell.folder.glob("archive/**/*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.slow
def test_a_lost_ledger_is_rebuilt_without_any_request(shell: Shell, providers: Sandbox) -> None:
    shell.run("sync", "--all", *INTO, "--since", "2026-11-09").ok()
    before = shell.run("coverage", *INTO).ok().out
    shutil.rmtree(shell.folder / "archive/_cdrctl")
    assert shell.run("coverage", *INTO).ok().out == before
    asked = len(providers.requests)
    shell.run("fill", "--all", *INTO).ok()
    assert len(providers.requests) == asked
    shutil.rmtree(shell.folder / "archive/_cdrctl")
    shell.run("verify", "--rebuild", *INTO).ok()
    assert shell.run("coverage", *INTO).ok().out == before


@pytest.mark.slow
def test_a_lost_ledger_of_the_first_layout_is_rebuilt_by_verify(shell: Shell) -> None:
    begin_first_layout(shell.folder / "archive")
    shell.run("sync", "--all", *INTO, "--since", "2026-11-09").ok()
    before = shell.run("coverage", *INTO).ok().out
    for path in shell.folder.glob("archive/ledger.sqlite3*"):
        path.unlink()
    ran = shell.run("sync", "--all", *INTO)
    assert ran.code == 8
    assert "--rebuild" in ran.err
    shell.run("verify", "--rebuild", *INTO).ok()
    assert shell.run("coverage", *INTO).ok().out == before


def test_verify_names_what_differs(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO).ok()
    path = next(shell.folder.glob("archive/profile=webex/call=cdrs/*/cdrs.parquet"))
    path.write_bytes(path.read_bytes()[:-10])
    ran = shell.run("verify", *INTO)
    assert ran.code == 3
    assert ran.out == f"{path.relative_to(shell.folder / 'archive')}\tis not as cdrctl wrote it\n"


@pytest.mark.slow
@pytest.mark.parametrize("color", [True, False])
def test_the_calendar_fits_a_narrow_terminal(shell: Shell, color: bool) -> None:  # noqa: FBT001
    shell.run("sync", "webex", *INTO, "--since", "2026-10-20")
    out = io.BytesIO()
    world = Process(
        environ={"CDRCTL_CONFIG": str(shell.config), **({} if color else {"NO_COLOR": "1"})},
        stdin=io.StringIO(),
        stdout=out,
        stderr=io.StringIO(),
        stdin_is_terminal=True,
        stdout_is_terminal=True,
        stderr_is_terminal=True,
        width=40,
        clock=shell.clock.clock,
    )
    assert main(["coverage", *INTO], world) == 0
    text = out.getvalue().decode()
    assert ("\x1b[32m" in text) == color
    if not color:
        assert all(len(line) <= 40 for line in text.splitlines())
        assert "2026-11 ##########oo" in text
        assert "1 beyond" not in text
        assert text.startswith("webex cdrs (webex): ")


@pytest.mark.slow
def test_complete_days_are_not_fetched_again(shell: Shell, providers: Sandbox, clock: HandClock) -> None:
    shell.run("sync", "voicenter", *INTO, "--since", "2026-11-01").ok()
    whole = len(providers.requests)
    clock.move(minutes=1)
    shell.run("sync", "voicenter", *INTO, "--since", "2026-11-01").ok()
    assert len(providers.requests) - whole <= 4  # two for each of two days
    clock.move(days=1)
    shell.run("sync", "voicenter", *INTO).ok()
    assert len(providers.requests) - whole <= 10


@pytest.mark.slow
def test_no_more_profiles_than_jobs_are_synced_at_the_same_time(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most = set(), 0
    sync_job = syncing._sync_call

    def counted(*arguments: Any) -> None:
        nonlocal most
        running.add(threading.get_ident())
        most = max(most, sum(thread.name == "cdrctl-sync" for thread in threading.enumerate()))
        sync_job(*arguments)

    monkeypatch.setattr(syncing, "_sync_call", counted)
    shell.run("sync", "--all", *INTO, "--jobs", "2").ok()
    assert (len(running), most) == (2, 2)
    assert shell.run("sync", "--all", *INTO, "--jobs", "0").code == 2


@pytest.mark.slow
def test_a_profile_is_disconnected_after_its_turn(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, most = 0, 0
    connected = connecting.connected

    @contextmanager
    def counted(*arguments: Any) -> Iterator[Any]:
        nonlocal opened, most
        with connected(*arguments) as profile:
            opened += 1
            most = max(most, opened)
            yield profile
        opened -= 1

    monkeypatch.setattr("cdrctl.cli.export.connected", counted)
    shell.run("sync", "--all", *INTO, "--jobs", "1").ok()
    assert (opened, most) == (0, 1)


def test_verify_beside_a_sync_reports_no_difference(
    shell: Shell, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is read, then a sync replaces files, then they are compared."""
    shell.run("sync", "webex", *INTO).ok()
    clock.move(hours=3)
    compare, syncs = verify.differences, iter([True])

    def compare_after_a_sync(*arguments: Any) -> Iterator[Any]:
        if next(syncs, False):
            shell.run("sync", "webex", *INTO).ok()
            assert list(compare(*arguments))
        return compare(*arguments)

    monkeypatch.setattr(verify, "differences", compare_after_a_sync)
    shell.run("verify", *INTO).ok()
