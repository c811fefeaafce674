"""`cdrctl coverage --check`: is a month complete? And --since and --until of coverage."""

from __future__ import annotations

import json
import shutil

import pytest

from cdrctl.sandbox import Sandbox
from tests.cli.archive_kit import INTO, clock, configure, providers, shell
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

pytestmark = pytest.mark.slow
__all__ = ["clock", "providers", "shell"]  # fixtures

OCTOBER = ("--since", "2026-11-06", "--until", "2026-11-09")


def check(shell: Shell, *words: str) -> Ran:
    return shell.run("coverage", *INTO, "--check", *words)


def test_the_exit_code_says_whether_a_window_is_complete(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO, "--since", "2026-11-06").ok()
    ran = check(shell, *OCTOBER).ok()
    assert ran.out == ""
    assert "3 days" in ran.err
    assert check(shell, *OCTOBER, "-q").ok().err == ""
    assert check(shell, "--since", "2026-11-06", "--until", "2026-11-13").code == 3, "today is still open"
    check(shell, "--since", "2026-11-06").ok()
    check(shell).ok()


def test_a_line_names_the_days_and_the_next_step(shell: Shell, providers: Sandbox) -> None:
    shell.run("sync", "webex", *INTO, "--since", "2026-11-08").ok()
    early = check(shell, *OCTOBER)
    assert early.code == 3
    assert "2026-11-06 to 2026-11-07" in early.err
    assert "next: cdrctl sync webex --into archive --since 2026-11-06" in early.err
    providers.fail("webex", 503, times=1000)
    assert shell.run("sync", "webex", *INTO, "--since", "2026-11-06").code == 5
    providers.switch("webex", "fail", "none")
    missing = check(shell, *OCTOBER)
    assert missing.code == 3
    assert "webex cdrs: 2 days missing: 2026-11-06 to 2026-11-07" in missing.err
    assert "next: cdrctl fill webex --into archive" in missing.err
    shell.run("fill", "webex", *INTO).ok()
    check(shell, *OCTOBER).ok()


def test_an_open_day_says_when_it_can_be_complete(shell: Shell, clock: HandClock) -> None:
    shell.run("sync", "webex", *INTO, "--since", "2026-11-10").ok()
    window = ("--since", "2026-11-10", "--until", "2026-11-12")
    ran = check(shell, *window)
    assert ran.code == 3
    assert "1 day still open: 2026-11-11" in ran.err
    at = ran.err.rpartition(", at ")[2].split()[0]
    assert at == "2026-11-13T00:00Z"
    clock.move(hours=20)
    shell.run("sync", "webex", *INTO).ok()
    check(shell, *window).ok()


def test_what_the_provider_no_longer_keeps_says_so(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO)
    ran = check(shell, "--since", "2026-09-01", "--until", "2026-09-03")
    assert ran.code == 3
    assert "no longer kept by the provider: 2026-09-01 to 2026-09-02" in ran.err
    assert "backup" in ran.err


def test_several_calls_have_a_line_each_and_may_be_selected(shell: Shell, providers: Sandbox) -> None:
    configure(shell, providers, "webex", "kazoo", "portsip")
    shell.run("sync", "webex", *INTO, "--since", "2026-11-06").ok()
    shell.run("sync", "kazoo", *INTO, "--since", "2026-11-07").ok()
    shell.run("sync", "portsip", *INTO, "--since", "2026-11-08", "--call", "calllogs").ok()
    ran = check(shell, *OCTOBER, "-q")
    assert ran.code == 3
    kazoo, portsip, total, _ = ran.err.splitlines()
    assert "kazoo cdrs: 1 day before the archive began: 2026-11-06;" in kazoo
    assert portsip.endswith("next: cdrctl sync portsip --into archive --call calllogs --since 2026-11-06")
    assert "2 of 3 calls" in total
    check(shell, *OCTOBER, "webex").ok()
    assert check(shell, *OCTOBER, "webex", "kazoo").code == 3
    assert check(shell, *OCTOBER, "--call", "calllogs").code == 3
    as_json = shell.run("--log-format", "json", "coverage", *INTO, "--check", *OCTOBER)
    found = [json.loads(line) for line in as_json.err.splitlines()]
    assert [(one.get("profile"), one.get("call")) for one in found] == [
        ("kazoo", "cdrs"),
        ("portsip", "calllogs"),
        (None, None),
    ]


def test_many_calls_have_twenty_lines_at_most(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO, "--since", "2026-11-08").ok()
    archive = shell.folder / "archive"
    for number in range(29):
        for place in ("profile={}", "_cdrctl/ledger/{}"):
            shutil.copytree(archive / place.format("webex"), archive / place.format(f"p{number}"))
    ran = check(shell, *OCTOBER)
    assert ran.code == 3
    assert len(ran.err.splitlines()) <= 20
    assert "30 of 30 calls are not complete" in ran.err
    assert "coverage shows the other 15" in ran.err
    as_json = shell.run("--log-format", "json", "coverage", *INTO, "--check", *OCTOBER)
    assert len(as_json.err.splitlines()) == 31


def test_a_window_without_a_day_of_the_archive_is_not_complete(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO).ok()
    assert check(shell, "--until", "2026-10-01").code == 3


def test_the_bounds_limit_the_days_that_are_shown(shell: Shell) -> None:
    shell.run("sync", "webex", *INTO, "--since", "2026-11-05").ok()
    days = json.loads(shell.run("coverage", *INTO, *OCTOBER).ok().out)
    assert [day["day"] for day in days] == ["2026-11-06", "2026-11-07", "2026-11-08"]
    assert len(json.loads(shell.run("coverage", *INTO, "--until", "2026-11-06").ok().out)) == 1
    assert json.loads(shell.run("coverage", *INTO, "--since", "2027-01").ok().out) == []
    assert json.loads(shell.run("coverage", *INTO, "--call", "cdrs", "--since", "today").ok().out) != []


@pytest.mark.parametrize(
    "words", [("--since", "2026-11", "--until", "2026-10"), ("--since", "soon"), ("--call", "legs"), ("acme",)]
)
def test_what_makes_no_sense_is_a_usage_error(shell: Shell, words: tuple[str, ...]) -> None:
    shell.run("sync", "webex", *INTO).ok()
    assert check(shell, *words).code == 2
