"""Nothing is requested before it is read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cdrctl.export.rows import Tally
from tests.support.bench import MONTH, SUBJECTS, Subject, bench, evenly

# Not at the turn of the month, and without calls outside the window.
SINCE, UNTIL = MONTH + timedelta(hours=1), MONTH + timedelta(hours=2)
PAGE = 5
FIRST = 2
"""Requests for the first page: a sign-in and the page."""
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


@each_call
def test_first_page_takes_at_most_two_requests(subject: Subject, tmp_path: Path) -> None:
    """Each further page takes one request."""
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
def test_limit_requests_no_further_page(subject: Subject, tmp_path: Path) -> None:
    """`--limit 1` requests the first page only, and says that there may be more records."""
    with bench(subject, tmp_path, evenly(6 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        paging = made.paging(PAGE, 6 * PAGE, UNTIL - SINCE)
        ran = made.run(SINCE, UNTIL, "--limit", "1", "-f", "jsonl", *paging).ok()
        assert len(ran.lines) == 1
        assert "--limit" in ran.err
        assert len(made.sandbox.requests) <= FIRST


@each_call
@pytest.mark.parametrize("limit", [PAGE - 1, PAGE, PAGE + 1])
def test_limit_is_the_number_of_records(subject: Subject, limit: int, tmp_path: Path) -> None:
    """Limits may fall between two pages."""
    with bench(subject, tmp_path, evenly(3 * PAGE, SINCE, UNTIL), page_size=PAGE) as made:
        made.straight()
        paging = made.paging(PAGE, 3 * PAGE, UNTIL - SINCE)
        assert len(made.run(SINCE, UNTIL, "--limit", str(limit), "-f", "jsonl", *paging).ok().lines) == limit
        assert len(made.sandbox.requests) <= FIRST + (limit > PAGE)


@each_call
def test_usage_error_makes_no_request(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        for wrong in (["--fields", "no_such_field"], ["-f", "no-such-format"], ["--schema", "raw", "-f", "csv"]):
            ran = made.run(SINCE, UNTIL, *wrong)
            assert ran.code == 2, ran.err
            assert ran.out == ""
        assert made.sandbox.requests == []
