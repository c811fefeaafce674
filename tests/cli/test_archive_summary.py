"""The closing lines of sync: at most twenty for any number of profiles."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.archive.outcome import Outcome
from cdrctl.cli import archive_summary
from cdrctl.cli.archive_jobs import Job
from cdrctl.cli.export import Part
from cdrctl.cli.process import Process
from cdrctl.cli.reporter import Reporter
from cdrctl.cli.run import Session
from cdrctl.errors import CdrctlError, SignInError, TemporaryError
from cdrctl.fetchers import load
from cdrctl.sandbox import Exchange
from tests.cli.archive_kit import INTO, clock, configure, providers, shell
from tests.support.clock import HandClock
from tests.support.products import for_each
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures


def lines(good: int, incomplete: int = 0, failed: int = 0, *, as_json: bool = False, quiet: bool = False) -> list[str]:
    """Return the closing lines of a run with so many profiles, and the lines of its error."""
    provider, jobs = load("webex"), []
    for at in range(good + incomplete + failed):
        outcome = Outcome(days=2, fetched=10)
        job = Job(f"p{at:04}", provider.calls[0], outcome, part=Part(f"p{at:04}", provider))
        if at < incomplete:
            outcome.failed["2026-11-19"] = "HTTP 503"
        elif at < incomplete + failed:
            job.error = SignInError("no") if at == incomplete + failed - 1 else TemporaryError("later", hint="wait")
        jobs.append(job)
    said = io.StringIO()
    process = Process({}, io.StringIO(), None, said, False, False, False, 80)
    reporter = Reporter(process, as_json=as_json, quiet=quiet)
    session, parts = Session(process, reporter, Path("none")), [job.part for job in jobs]
    archive_summary.report(session, parts, jobs, 7, 1.5)
    try:
        archive_summary.conclude(parts, jobs)
    except CdrctlError as error:
        reporter.error(error)
    return said.getvalue().splitlines()


@for_each(
    "good, incomplete, failed",
    [
        (1000, 0, 0),
        (16, 0, 0),
        (15, 0, 0),
        (900, 100, 0),
        (900, 0, 100),
        (400, 300, 300),
        (10, 5, 0),
        (0, 0, 12),
        (8, 0, 7),
    ],
)
def test_there_are_at_most_twenty_lines(good: int, incomplete: int, failed: int) -> None:
    assert len(lines(good, incomplete, failed)) <= 20


def test_few_calls_have_a_line_each() -> None:
    found = lines(13, 2)
    assert [line.split()[1] for line in found[:15]] == [f"p{at:04}" for at in range(15)]
    assert found[15].startswith("cdrctl: 30 days, 150 fetched,")


def test_of_many_calls_only_those_that_need_attention_are_named() -> None:
    found = lines(1000, 2, 1)
    assert [line.split()[1] for line in found[:2]] == ["p0000", "p0001"]
    assert found[2].startswith("cdrctl: 1003 calls, 2 incomplete, 1 failed, 2006 days, ")
    assert found[3].startswith("cdrctl: p0002 (webex): failed: no")
    assert "more that failed" not in "".join(found)


def test_the_rest_is_counted_and_what_most_needs_a_person_is_named_first() -> None:
    found = lines(0, 30, 20)
    assert "20 failed" in found[0]
    assert found[1].startswith("cdrctl: p0049 (webex): failed: no"), "a sign-in before a temporary failure"
    named = [line for line in found if ": failed: " in line]
    assert len(named) == 15
    assert f"and {20 - 15 + 30} more" in "".join(found)


def test_json_has_an_object_for_each_call() -> None:
    found = [json.loads(line) for line in lines(100, 50, 50, as_json=True)]
    levels = [one["level"] for one in found]
    assert levels.count("result") == 200
    assert levels.count("done") == 1
    assert levels.count("error") == 51


def test_quiet_names_failures_only() -> None:
    assert lines(1000, quiet=True) == []
    assert len(lines(1000, 0, 2, quiet=True)) == 4


@pytest.mark.slow
def test_many_profiles_have_no_line_for_each_day(shell: Shell, clock: HandClock) -> None:
    with sandbox.start(now=clock, exchange=Exchange(volume=0.05)) as few:
        configure(shell, few, "voicenter")
        text = shell.config.read_text()
        many = "".join(text.replace("[profiles.voicenter]", f"[profiles.tenant{at:02}]") for at in range(30))
        shell.config.write_text(many)
        few.fail("voicenter", 403, times=1)
        ran = shell.run("sync", "--all", *INTO, "--since", "3d")
        assert ran.code == 4
        assert len(ran.err.splitlines()) <= 20
        assert "30 calls, " in ran.err
        as_json = shell.run("--log-format", "json", "sync", "--all", *INTO).ok()
    objects = [json.loads(line) for line in as_json.err.splitlines()]
    assert sum("profile" in one for one in objects) == 30
