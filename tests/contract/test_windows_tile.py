"""Exporting [a,b) and [b,c) gives exactly the records of [a,c), whatever the provider filters on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from tests.contract.bench import MONTH, NOW, SUBJECTS, Bench, Subject, bench, lively
from tests.contract.facts import Case

CASES = [pytest.param(subject, case, id=f"{subject}-{case}") for subject in SUBJECTS for case in subject.cases()]
UNTIL = MONTH + timedelta(hours=4)


def so_many(examples: int) -> settings:
    """Return how hypothesis is to try: the same examples on every run, however long they take."""
    return settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )


def check_tiles(made: Bench, edges: list[datetime], case: Case) -> None:
    """Check the pieces between the edges, and that together they are the whole."""
    together: Counter[str] = Counter()
    for since, until in pairwise(edges):
        found, tally = made.export(since, until, *case.options)
        must, may = made.truths(since, until)
        assert found <= may, "records that are not of the window, or twice"
        assert must <= found or (case.said and tally.gaps), "records are missing, and nothing was said"
        assert case.said or not tally.gaps
        together += found
    whole, tally = made.export(edges[0], edges[-1], *case.options)
    must, may = made.truths(edges[0], edges[-1])
    assert whole <= may
    assert must <= whole or (case.said and tally.gaps)
    assert case.said or together == whole


@pytest.mark.parametrize(("subject", "case"), CASES)
def test_windows_tile(subject: Subject, case: Case, tmp_path: Path) -> None:
    """However a window is cut, at the turn of the month or on a call's start, its pieces are the whole."""
    since = NOW - subject.back
    instants = st.datetimes(since.replace(tzinfo=None), UNTIL.replace(tzinfo=None), timezones=st.just(UTC))
    exchange = lively(since, UNTIL)
    starts = sorted(
        datetime.fromtimestamp(leg.start // 1000, UTC).replace(microsecond=leg.start % 1000 * 1000)
        for leg in exchange.legs(since, UNTIL)
    )
    on_a_start = starts[len(starts) // 3]
    with bench(subject, tmp_path, exchange) as made:
        made.switch(case.switches)

        @so_many(1 if case.switches else 5)
        @given(st.lists(instants, min_size=1, max_size=3))
        @example([on_a_start, on_a_start + timedelta(microseconds=500), MONTH - timedelta(microseconds=1), MONTH])
        def tile(cuts: list[datetime]) -> None:
            check_tiles(made, sorted({since, *cuts, UNTIL}), case)

        tile()
