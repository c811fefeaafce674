"""`--jobs` fetches parts of the window in parallel and gives the same records as without it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st
from msgspec.structs import force_setattr, replace

from cdrctl.export.parallel import parts
from cdrctl.fetchers import Call
from cdrctl.sandbox import Exchange, start, uniform
from cdrctl.windows import Window
from tests.contract.test_windows_tile import FEW
from tests.support.bench import MONTH, NOW, SUBJECTS, Bench, Subject, bench, counted, evenly, lively
from tests.support.clock import HandClock
from tests.support.examples import examples
from tests.support.facts import Case
from tests.support.products import for_each
from tests.support.runner import Shell

LONG = 20
"""Seconds after which a test that waits for requests has failed."""

DEFAULTS = {"with_cost": False, "longest_call": timedelta(hours=24), "longest_window": timedelta(days=1)}
APART = [subject for subject in SUBJECTS if subject.call.timing.min_parallel_window(DEFAULTS)]
IN_TURN = [subject for subject in SUBJECTS if subject not in APART]
CASES = [
    pytest.param(subject, case, id=f"{subject}-{case}", marks=pytest.mark.slow if (at + number) % 2 else ())
    for number, subject in enumerate(APART)
    for at, case in enumerate((Case(()), *subject.facts.cases))
    if not case.calls or subject.call.name in case.calls
]
UNTIL = MONTH + timedelta(hours=4)
PART = timedelta(hours=2)
JOBS = ("--jobs", "4")
each_apart = pytest.mark.parametrize("subject", APART, ids=str)


def test_calls_that_can_be_fetched_in_parallel() -> None:
    assert sorted(map(str, APART)) == [
        *("kazoo-cdrs", "kazoo-interactions", "portsip-calllogs", "portsip-cdrs", "voicenter-cdrs"),
    ]


@contextmanager
def shorter_parts(call: Call, shortest: timedelta) -> Iterator[None]:
    """Divide the windows of a call into parts shorter than would normally be worth it."""
    before = call.timing
    force_setattr(call, "timing", replace(before, min_parallel_window=lambda _options: shortest))
    try:
        yield
    finally:
        force_setattr(call, "timing", before)


def check(made: Bench, since: datetime, until: datetime, case: Case | None = None) -> None:
    """Check that an export with several jobs has every record of a window once."""
    words = ("--schema", "raw", "-f", "jsonl", *(case.options if case else ()))
    ran = made.run(since, until, *JOBS, *words)
    said = bool(case and case.said and ran.code == 3)
    assert said or ran.code == 0, ran.err
    must, may = made.truths(since, until)
    found = counted(ran.lines)
    assert found <= may, "records that are not of the window, or twice"
    assert said or must <= found, "records are missing"


@pytest.mark.thin
@pytest.mark.parametrize(("subject", "case"), CASES)
def test_parallel_export_has_every_record_once(subject: Subject, case: Case, tmp_path: Path) -> None:
    """The window has the turn of a month and long calls."""
    since = NOW - subject.back
    # Each waiting thread moves the shared clock, so a real second would pass for all before any of them sends.
    switches = tuple("token_ttl=60" if switch == "token_ttl=1" else switch for switch in case.switches)
    with shorter_parts(subject.call, PART), bench(subject, tmp_path, lively(since, UNTIL, FEW)) as made:
        made.switch(switches)
        check(made, since, UNTIL, case)


@pytest.mark.thin
@pytest.mark.hypothesis
@each_apart
def test_parallel_export_of_any_window_has_every_record_once(subject: Subject, tmp_path: Path) -> None:
    """Windows may contain a change of clocks, for providers that count in local days."""
    night = datetime(2026, 10, 25, 1, tzinfo=UTC)  # when Berlin's clocks went back
    first, last = night - timedelta(hours=20), night + timedelta(hours=20)
    instants = st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None), timezones=st.just(UTC))
    exchange = Exchange(calls=[*uniform(150, first, last), *uniform(9, night, night + timedelta(hours=1), name="back")])
    with shorter_parts(subject.call, PART), bench(subject, tmp_path, exchange) as made:

        @examples(6)
        @given(instants, instants)
        @example(night.replace(day=24, hour=22), night.replace(day=25, hour=23))
        def any_window(one: datetime, other: datetime) -> None:
            if one != other:
                check(made, min(one, other), max(one, other))

        any_window()


@each_apart
def test_record_between_two_parts_comes_once(subject: Subject, tmp_path: Path) -> None:
    since, until = MONTH - timedelta(hours=20), MONTH + timedelta(hours=3)
    cuts = parts(Window(since, until), subject.call, PART, 4, NOW)
    assert len(cuts) > 9
    millisecond = timedelta(milliseconds=1)
    edges = [edge for part in cuts for edge in (part.since - millisecond, part.since)]
    calls = [call for n, edge in enumerate(edges) for call in uniform(1, edge, edge + millisecond, name=f"edge{n}")]
    with shorter_parts(subject.call, PART), bench(subject, tmp_path, Exchange(calls=calls)) as made:
        assert len(made.truth(since, until)) == len(edges) - 1
        check(made, since, until)


@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
def test_four_jobs_make_four_requests_at_the_same_time(call: str, tmp_path: Path) -> None:
    """The sandbox answers the first four pages only when all four have been requested."""
    subject = next(one for one in SUBJECTS if (one.provider.name, one.call.name) == ("portsip", call))
    together, clock = threading.Barrier(4), HandClock(NOW)
    since, until = MONTH - timedelta(hours=8), MONTH

    def pause(_seconds: float) -> None:
        together.wait(LONG)

    with start(now=clock, exchange=evenly(80, since, until), providers=["portsip"], pause=pause) as sandbox:
        made = Bench(subject, sandbox, clock, Shell(tmp_path, clock))
        made.sign_in_by()
        made.fail("slow", path=f"/{call}", times=4)
        check(made, since, until)


@pytest.mark.thin
@each_apart
def test_summary_counts_records_and_requests_of_all_parts(subject: Subject, tmp_path: Path) -> None:
    since, until = MONTH - timedelta(hours=12), MONTH - timedelta(hours=1)
    with shorter_parts(subject.call, PART), bench(subject, tmp_path, evenly(40, since, until)) as made:
        before = len(made.sandbox.requests)
        ran = made.run(since, until, *JOBS, "-f", "jsonl").ok()
        assert len(ran.lines) == 40
        assert "cdrctl: 40 records, " in ran.err
        assert f" {len(made.sandbox.requests) - before} requests, " in ran.err


def test_gap_of_several_parts_is_reported_once(tmp_path: Path) -> None:
    subject = next(one for one in APART if str(one) == "kazoo-cdrs")
    since, until = MONTH - timedelta(hours=20), MONTH - timedelta(hours=1)
    with shorter_parts(subject.call, PART), bench(subject, tmp_path, evenly(20, since, until)) as made:
        below = made.sandbox.provider("kazoo").accounts[1].id
        made.fail(403, path=below, times=1000)
        ran = made.run(since, until, *JOBS, "--descendants", "-f", "jsonl")
        assert ran.code == 3
        said = [line for line in ran.err.splitlines() if below in line]
        assert len([line for line in said if "incomplete: account" in line and "warning" in line]) == 1
        assert "more, see above" not in ran.err
        alone = made.run(since, until, "--descendants", "-f", "jsonl")
        assert counted(ran.lines) == counted(alone.lines)


@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
def test_parallel_export_reads_a_pbx_that_ignores_filters_once(call: str, tmp_path: Path) -> None:
    subject = next(one for one in SUBJECTS if (one.provider.name, one.call.name) == ("portsip", call))
    since, until = MONTH - timedelta(hours=12), MONTH
    exchange = Exchange(calls=uniform(70, since - timedelta(days=9), until))
    with bench(subject, tmp_path, exchange) as made:
        made.switch(["query=ignored"])
        asked = len(made.asked(lambda: made.run(since, until).ok()))
        again = len(made.asked(lambda: check(made, since, until)))
        assert again <= asked + 12 + 1  # each part finds out for itself, and one of them reads all records
        ran = made.run(since, until, *JOBS).ok()
        assert len(re.findall("ignores the filter", ran.err)) == 1


def test_empty_response_before_the_retention_is_reported_once(tmp_path: Path) -> None:
    subject = next(one for one in APART if str(one) == "portsip-cdrs")
    assert subject.call.timing.retention is not None
    oldest = NOW - subject.call.timing.retention
    since, until = oldest - timedelta(days=4), oldest + timedelta(days=4)
    calls = uniform(20, until - timedelta(days=2), until)
    with bench(subject, tmp_path, Exchange(calls=calls)) as made:
        made.switch(["lookback=empty"])
        ran = made.run(since, until, *JOBS, "-f", "jsonl")
        assert ran.code == 3
        assert ran.err.count("warning: incomplete: ") == 1
        assert "more, see above" not in ran.err
        assert len(ran.lines) == 20


# Exports that are sequential in spite of --jobs


@pytest.mark.parametrize("subject", IN_TURN, ids=str)
def test_calls_that_cannot_be_fetched_in_parallel_are_fetched_sequentially_with_a_note(
    subject: Subject, tmp_path: Path
) -> None:
    since, until = MONTH - timedelta(hours=3), MONTH
    with bench(subject, tmp_path, evenly(20, since, until)) as made:
        asked = len(made.asked(lambda: made.run(since, until)))
        ran = made.run(since, until, *JOBS, "-f", "jsonl").ok()
        assert len(ran.lines) == 20
        assert ran.err.count("--jobs") == 1
        assert f" {asked} requests, " in ran.err
        assert "--jobs" not in made.run(since, until, "--jobs", "1").ok().err


@each_apart
def test_short_window_is_not_divided(subject: Subject, tmp_path: Path) -> None:
    since, until = MONTH - timedelta(minutes=90), MONTH
    with bench(subject, tmp_path, evenly(4, since, until)) as made:
        asked = len(made.asked(lambda: made.run(since, until)))
        ran = made.run(since, until, *JOBS, "-f", "jsonl").ok()
        assert len(ran.lines) == 4
        assert ran.err.count("--jobs") == 1
        assert f" {asked} requests, " in ran.err


def test_costs_are_requested_sequentially(tmp_path: Path) -> None:
    subject = next(one for one in APART if str(one) == "portsip-cdrs")
    since, until = MONTH - timedelta(hours=3), MONTH
    with bench(subject, tmp_path, evenly(4, since, until)) as made:
        ran = made.run(since, until, *JOBS, "--with-cost", "-f", "jsonl").ok()
        assert len(re.findall("--jobs.*--with-cost", ran.err)) == 1
        assert len(re.findall("note: .* 4 records", ran.err)) == 1
        assert len(ran.lines) == 4


@each_apart
def test_limit_with_jobs_makes_no_unneeded_request(subject: Subject, tmp_path: Path) -> None:
    since, until = MONTH + timedelta(hours=1), MONTH + timedelta(hours=3)
    with bench(subject, tmp_path, evenly(40, since, until), page_size=5) as made:
        made.straight()
        paging = made.paging(5, 40, until - since)
        ran = made.run(since, until, *JOBS, "--limit", "1", "-f", "jsonl", *paging).ok()
        assert len(ran.lines) == 1
        assert len(re.findall("--jobs.*--limit", ran.err)) == 1
        assert len(made.sandbox.requests) <= 2


@for_each("number", ["0", "17", "-1", "x", "1.5", ""])
def test_invalid_number_of_jobs_is_refused_before_a_request(number: str, tmp_path: Path) -> None:
    with bench(APART[0], tmp_path, evenly(3, MONTH, UNTIL)) as made:
        ran = made.run(MONTH, UNTIL, f"--jobs={number}")
        assert ran.code == 2, ran.err
        assert made.sandbox.requests == []
