"""Every record of the window comes once and unchanged."""

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
def test_export_has_every_record_once_whatever_their_number(subject: Subject, n: int, tmp_path: Path) -> None:
    """The numbers of calls are around the size of one page and of two."""
    with bench(subject, tmp_path, evenly(n, SINCE, UNTIL), page_size=PAGE) as made:
        truth = made.truth(SINCE, UNTIL)
        assert len(truth) == n
        assert counted(made.raw(SINCE, UNTIL)) == counted(truth)


@each_call
def test_export_with_the_default_page_size_has_every_record(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(230, SINCE, UNTIL), page_size=None) as made:
        assert counted(made.raw(SINCE, UNTIL)) == counted(made.truth(SINCE, UNTIL))


@each_call
def test_summary_counts_records_and_requests(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(2 * PAGE + 1, SINCE, UNTIL), page_size=PAGE) as made:
        ran = made.run(SINCE, UNTIL, "-f", "jsonl").ok()
        assert len(ran.lines) == 2 * PAGE + 1
        assert f"cdrctl: {2 * PAGE + 1} records, " in ran.err
        assert f" {len(made.sandbox.requests)} requests, " in ran.err


@each_call
def test_export_of_everyday_calls_has_every_record_once(subject: Subject, tmp_path: Path) -> None:
    """The window contains the turn of a month."""
    since, until = MONTH - timedelta(hours=4), MONTH + timedelta(hours=2, seconds=1)
    with bench(subject, tmp_path, lively(since, until)) as made:
        truth = made.truth(since, until)
        assert len(truth) > 20
        assert counted(made.raw(since, until)) == counted(truth)
