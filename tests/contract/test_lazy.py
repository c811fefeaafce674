"""Nothing is asked for before somebody wants to read it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cdrctl.export.rows import Tally
from tests.support.bench import MONTH, SUBJECTS, Subject, bench, evenly

# Away from the turn of the month, with no calls but those of the window.
SINCE, UNTIL = MONTH + timedelta(hours=1), MONTH + timedelta(hours=2)
PAGE = 5
FIRST = 2
"""Requests that the first page may cost: a sign-in and the page."""
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


@each_call
def test_the_first_page_costs_two_requests_at_most(subject: Subject, tmp_path: Path) -> None:
    """Who reads one record waits for one page, however many there are, and every page after it costs one request."""
    with bench(subject, tmp_path, evenly(6 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        pages = made.pages(SINCE, UNTIL, Tally(), *made.paging(PAGE, 6 * PAGE, UNTIL - SINCE))
        assert made.sandbox.requests == []
        assert next(iter(next(pages)))
        assert len(made.sandbox.requests) <= FIRST
        for more in range(1, 5):
            assert next(pages)
            assert len(made.sandbox.requests) <= FIRST + more


@each_call
def test_a_limit_stops_the_asking(subject: Subject, tmp_path: Path) -> None:
    """With `--limit 1` no page is asked for but the first, and it is said that there may be more."""
    with bench(subject, tmp_path, evenly(6 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        paging = made.paging(PAGE, 6 * PAGE, UNTIL - SINCE)
        ran = made.run(SINCE, UNTIL, "--limit", "1", "-f", "jsonl", *paging).ok()
        assert len(ran.lines) == 1
        assert "stopped after 1 records" in ran.err
        assert len(made.sandbox.requests) <= FIRST


@each_call
@pytest.mark.parametrize("limit", [PAGE - 1, PAGE, PAGE + 1])
def test_a_limit_counts_exactly(subject: Subject, limit: int, tmp_path: Path) -> None:
    """As many records come as the limit says, also where it falls on the edge of a page."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        paging = made.paging(PAGE, 3 * PAGE, UNTIL - SINCE)
        assert len(made.run(SINCE, UNTIL, "--limit", str(limit), "-f", "jsonl", *paging).ok().lines) == limit
        assert len(made.sandbox.requests) <= FIRST + (limit > PAGE)


@each_call
def test_a_refused_command_asks_nothing(subject: Subject, tmp_path: Path) -> None:
    """A command line that makes no sense is refused before anything is asked."""
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        for wrong in (["--fields", "no_such_field"], ["-f", "no-such-format"], ["--schema", "raw", "-f", "csv"]):
            ran = made.run(SINCE, UNTIL, *wrong)
            assert ran.code == 2, ran.err
            assert ran.out == ""
        assert made.sandbox.requests == []
