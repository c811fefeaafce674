"""With `--jobs`, parts of the window are asked for at once, and what comes is what comes without."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from cdrctl.export.parallel import parts
from cdrctl.fetchers import Call
from cdrctl.sandbox import Exchange, start, uniform
from cdrctl.windows import Window
from tests.contract.test_windows_tile import FEW
from tests.support.bench import MONTH, NOW, SUBJECTS, Bench, Subject, bench, counted, evenly, lively
from tests.support.clock import HandClock
from tests.support.examples import examples
from tests.support.facts import Case
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


def test_it_is_decided_for_each_call() -> None:
    assert sorted(map(str, APART)) == [
        *("kazoo-cdrs", "kazoo-interactions", "portsip-calllogs", "portsip-cdrs", "voicenter-cdrs"),
    ]


@contextmanager
def in_parts_of(call: Call, shortest: timedelta) -> Iterator[None]:
    """Cut the windows of a call into shorter parts than are worth it."""
    before = call.timing
    object.__setattr__(call, "timing", replace(before, min_parallel_window=lambda _options: shortest))
    try:
        yield
    finally:
        object.__setattr__(call, "timing", before)


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
def test_every_record_comes_once_however_the_provider_behaves(subject: Subject, case: Case, tmp_path: Path) -> None:
    """Over the turn of a month, with long calls in it."""
    since = NOW - subject.back
    # Each of the threads that wait moves the clock on for all of them: a second would end for all before anybody asks.
    switches = tuple("token_ttl=60" if switch == "token_ttl=1" else switch for switch in case.switches)
    with in_parts_of(subject.call, PART), bench(subject, tmp_path, lively(since, UNTIL, FEW)) as made:
        made.switch(switches)
        check(made, since, UNTIL, case)


@pytest.mark.thin
@pytest.mark.hypothesis
@each_apart
def test_every_record_comes_once_in_any_window(subject: Subject, tmp_path: Path) -> None:
    """Also on the days on which clocks change, for people who count in days of theirs."""
    night = datetime(2026, 10, 25, 1, tzinfo=UTC)  # when Berlin's clocks went back
    first, last = night - timedelta(hours=20), night + timedelta(hours=20)
    instants = st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None), timezones=st.just(UTC))
    exchange = Exchange(calls=[*uniform(150, first, last), *uniform(9, night, night + timedelta(hours=1), name="back")])
    with in_parts_of(subject.call, PART), bench(subject, tmp_path, exchange) as made:

        @examples(6)
        @given(instants, instants)
        @example(night.replace(day=24, hour=22), night.replace(day=25, hour=23))
        def any_window(one: datetime, other: datetime) -> None:
            if one != other:
                check(made, min(one, other), max(one, other))

        any_window()


@each_apart
def test_a_record_on_the_edge_of_a_part_comes_once(subject: Subject, tmp_path: Path) -> None:
    since, until = MONTH - timedelta(hours=20), MONTH + timedelta(hours=3)
    cuts = parts(Window(since, until), subject.call, PART, 4, NOW)
    assert len(cuts) > 9
    millisecond = timedelta(milliseconds=1)
    edges = [edge for part in cuts for edge in (part.since - millisecond, part.since)]
    calls = [call for n, edge in enumerate(edges) for call in uniform(1, edge, edge + millisecond, name=f"edge{n}")]
    with in_parts_of(subject.call, PART), bench(subject, tmp_path, Exchange(calls=calls)) as made:
        assert len(made.truth(since, until)) == len(edges) - 1
        check(made, since, until)


@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
def test_so_many_requests_are_under_way_at_the_same_time(call: str, tmp_path: Path) -> None:
    """The first four pages are answered only when all four were asked for."""
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
def test_the_closing_line_counts_all_parts(subject: Subject, tmp_path: Path) -> None:
    since, until = MONTH - timedelta(hours=12), MONTH - timedelta(hours=1)
    with in_parts_of(subject.call, PART), bench(subject, tmp_path, evenly(40, since, until)) as made:
        before = len(made.sandbox.requests)
        ran = made.run(since, until, *JOBS, "-f", "jsonl").ok()
        assert len(ran.lines) == 40
        assert "cdrctl: 40 records, " in ran.err
        assert f" {len(made.sandbox.requests) - before} requests, " in ran.err


def test_a_gap_of_several_parts_is_said_once(tmp_path: Path) -> None:
    subject = next(one for one in APART if str(one) == "kazoo-cdrs")
    since, until = MONTH - timedelta(hours=20), MONTH - timedelta(hours=1)
    with in_parts_of(subject.call, PART), bench(subject, tmp_path, evenly(20, since, until)) as made:
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
def test_a_pbx_that_does_not_look_at_filters_is_read_once(call: str, tmp_path: Path) -> None:
    subject = next(one for one in SUBJECTS if (one.provider.name, one.call.name) == ("portsip", call))
    since, until = MONTH - timedelta(hours=12), MONTH
    exchange = Exchange(calls=uniform(70, since - timedelta(days=9), until))
    with bench(subject, tmp_path, exchange) as made:
        made.switch(["query=ignored"])
        asked = len(made.asked(lambda: made.run(since, until).ok()))
        again = len(made.asked(lambda: check(made, since, until)))
        assert again <= asked + 12 + 1  # each part finds out, and the records are those of one reading
        ran = made.run(since, until, *JOBS).ok()
        assert len(re.findall("ignores the filter", ran.err)) == 1


def test_that_nothing_came_from_before_what_is_kept_is_said_once(tmp_path: Path) -> None:
    subject = next(one for one in APART if str(one) == "portsip-cdrs")
    assert subject.call.timing.retention is not None
    oldest = NOW - subject.call.timing.retention
    since, until = oldest - timedelta(days=4), oldest + timedelta(days=4)
    calls = uniform(20, until - timedelta(days=2), until)
    with bench(subject, tmp_path, Exchange(calls=calls)) as made:
        made.switch(["lookback=empty"])
        ran = made.run(since, until, *JOBS, "-f", "jsonl")
        assert ran.code == 3
        assert len(re.findall("warning: incomplete: no calls from before", ran.err)) == 1
        assert "more, see above" not in ran.err
        assert len(ran.lines) == 20


# Where parts are asked for one after the other


@pytest.mark.parametrize("subject", IN_TURN, ids=str)
def test_what_cannot_be_asked_for_at_once_is_asked_for_in_turn_and_it_is_said_why(
    subject: Subject, tmp_path: Path
) -> None:
    since, until = MONTH - timedelta(hours=3), MONTH
    with bench(subject, tmp_path, evenly(20, since, until)) as made:
        asked = len(made.asked(lambda: made.run(since, until)))
        ran = made.run(since, until, *JOBS, "-f", "jsonl").ok()
        assert len(ran.lines) == 20
        assert len(re.findall("queried sequentially in spite of --jobs: ", ran.err)) == 1
        assert f" {asked} requests, " in ran.err
        assert "--jobs" not in made.run(since, until, "--jobs", "1").ok().err


@each_apart
def test_a_window_that_is_not_worth_parts_is_asked_for_whole_and_that_is_said(subject: Subject, tmp_path: Path) -> None:
    since, until = MONTH - timedelta(minutes=90), MONTH
    with bench(subject, tmp_path, evenly(4, since, until)) as made:
        asked = len(made.asked(lambda: made.run(since, until)))
        ran = made.run(since, until, *JOBS, "-f", "jsonl").ok()
        assert len(ran.lines) == 4
        assert "in spite of --jobs: so short a window" in ran.err
        assert f" {asked} requests, " in ran.err


def test_costs_are_asked_for_in_turn(tmp_path: Path) -> None:
    subject = next(one for one in APART if str(one) == "portsip-cdrs")
    since, until = MONTH - timedelta(hours=3), MONTH
    with bench(subject, tmp_path, evenly(4, since, until)) as made:
        ran = made.run(since, until, *JOBS, "--with-cost", "-f", "jsonl").ok()
        assert "in spite of --jobs: with --with-cost" in ran.err
        assert len(re.findall("takes one request for each of 4 records", ran.err)) == 1
        assert len(ran.lines) == 4


@each_apart
def test_a_limit_asks_for_nothing_that_is_not_needed(subject: Subject, tmp_path: Path) -> None:
    since, until = MONTH + timedelta(hours=1), MONTH + timedelta(hours=3)
    with bench(subject, tmp_path, evenly(40, since, until), page_size=5) as made:
        made.straight()
        paging = made.paging(5, 40, until - since)
        ran = made.run(since, until, *JOBS, "--limit", "1", "-f", "jsonl", *paging).ok()
        assert len(ran.lines) == 1
        assert "in spite of --jobs: with --limit" in ran.err
        assert len(made.sandbox.requests) <= 2


@pytest.mark.parametrize("number", ["0", "17", "-1", "x", "1.5", ""])
def test_a_number_of_jobs_that_makes_no_sense_is_refused(number: str, tmp_path: Path) -> None:
    with bench(APART[0], tmp_path, evenly(3, MONTH, UNTIL)) as made:
        ran = made.run(MONTH, UNTIL, f"--jobs={number}")
        assert ran.code == 2, ran.err
        assert made.sandbox.requests == []
