"""Every record of the window comes, once, and as it stood on the wire."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.bench import MONTH, SUBJECTS, Subject, bench, counted, evenly, lively

PAGE = 5
SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


@each_call
@pytest.mark.parametrize("n", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 9 * PAGE + 2])
def test_so_many_calls_so_many_records(subject: Subject, n: int, tmp_path: Path) -> None:
    """Around every edge of a page, as many records come as there are, and each is the provider's own."""
    with bench(subject, tmp_path, evenly(n, SINCE, UNTIL), page_size=PAGE) as made:
        truth = made.truth(SINCE, UNTIL)
        assert len(truth) == n
        assert counted(made.raw(SINCE, UNTIL)) == counted(truth)


@each_call
def test_pages_of_the_usual_size(subject: Subject, tmp_path: Path) -> None:
    """As much comes with the pages that are asked for when nobody says how large they are to be."""
    with bench(subject, tmp_path, evenly(230, SINCE, UNTIL), page_size=None) as made:
        assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))


@each_call
def test_the_closing_line_counts_what_was_written(subject: Subject, tmp_path: Path) -> None:
    """The closing line says how many records and requests there were."""
    with bench(subject, tmp_path, evenly(2 * PAGE + 1, SINCE, UNTIL), page_size=PAGE) as made:
        ran = made.run(SINCE, UNTIL, "-f", "jsonl").ok()
        assert len(ran.lines) == 2 * PAGE + 1
        assert f"cdrctl: {2 * PAGE + 1} records, " in ran.err
        assert f" {len(made.sandbox.requests)} requests, " in ran.err


@each_call
def test_a_window_of_everyday_calls(subject: Subject, tmp_path: Path) -> None:
    """Of a telephone exchange's everyday, over the turn of a month, nothing is lost and nothing comes twice."""
    since, until = MONTH - timedelta(hours=4), MONTH + timedelta(hours=2, seconds=1)
    with bench(subject, tmp_path, lively(since, until)) as made:
        truth = made.truth(since, until)
        assert len(truth) > 20
        assert counted(made.raw(since, until)) == counted(truth)
