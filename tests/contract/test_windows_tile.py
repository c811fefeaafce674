"""The records of [a,b) and [b,c) are together exactly those of [a,c), whichever time the provider filters on."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, strategies as st

from cdrctl.sandbox import Exchange
from tests.support.bench import MONTH, NOW, SUBJECTS, Bench, Subject, bench, lively
from tests.support.examples import examples
from tests.support.facts import Case
from tests.support.products import naming

FEW = 0.04
"""The volume of calls that fills a few pages."""

UNTIL = MONTH + timedelta(hours=4)
MILLISECOND, MICROSECOND = timedelta(milliseconds=1), timedelta(microseconds=1)


def export_window(made: Bench, since: datetime, until: datetime, case: Case) -> Counter[str]:
    """Return the records of a window, checked against the truth."""
    found, tally = made.export(since, until, *case.options)
    must, may = made.truths(since, until)
    assert found <= may, f"records that are not of {since} to {until}, or twice"
    assert must <= found or (case.said and tally.gaps), f"records of {since} to {until} are missing, and no gap is said"
    assert case.said or not tally.gaps
    return found


def check_tiles(made: Bench, edges: list[datetime], case: Case, whole: Counter[str]) -> None:
    """Check each window between two edges, and that together they have all records."""
    together: Counter[str] = Counter()
    for since, until in pairwise(edges):
        together += export_window(made, since, until, case)
    assert case.said or together == whole


def random_instants(name: str, since: datetime, until: datetime, count: int) -> list[datetime]:
    """Return random instants that are the same on every run and differ by name."""
    rng = random.Random(name)
    return [since + (until - since) * rng.random() for _ in range(count)]


def cuts(subject: Subject, case: Case, exchange: Exchange, since: datetime) -> list[datetime]:
    """Return where to divide the window: at the start of a call, beside it, at the turn of the month, and elsewhere."""
    starts = sorted(
        datetime.fromtimestamp(leg.start // 1000, UTC).replace(microsecond=leg.start % 1000 * 1000)
        for leg in exchange.legs(since, UNTIL)
    )
    on_a_start = starts[len(starts) // 3]
    # PortSIP gives starts to the microsecond, and the truth knows milliseconds.
    edges = [on_a_start, on_a_start + MILLISECOND - MICROSECOND, MONTH - MICROSECOND, MONTH]
    return [*edges, *random_instants(f"{subject} {case}", since, UNTIL, 2)]


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_two_windows_tile(subject: Subject, tmp_path: Path) -> None:
    """The two windows have every record once, with one behaviour of each provider.

    The next test runs all behaviours, in `.ci/run`.
    """
    since = NOW - subject.back
    cases = subject.cases()
    case = cases[crc32(str(subject).encode()) % len(cases)]
    exchange = lively(since, UNTIL, FEW)
    found = cuts(subject, case, exchange, since)
    cut = found[crc32(f"{subject} {case}".encode()) % len(found)]
    with bench(subject, tmp_path, exchange) as made:
        made.switch(case.switches)
        for piece in pairwise((since, cut, UNTIL)):
            export_window(made, *piece, case)


@pytest.mark.parametrize("every", [pytest.param(5, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.full)])
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_windows_tile(subject: Subject, every: int, tmp_path: Path) -> None:
    """Windows are divided at the turn of the month, at the start of a call, and elsewhere."""
    since = NOW - subject.back
    exchange = lively(since, UNTIL, FEW)
    for number, case in enumerate(subject.cases()[::every]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with naming(case), bench(subject, folder, exchange) as made:
            made.switch(case.switches)
            whole = export_window(made, since, UNTIL, case)
            check_tiles(made, sorted({since, *cuts(subject, case, exchange, since), UNTIL}), case, whole)


@pytest.mark.thin
@pytest.mark.hypothesis
@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_windows_tile_wherever_they_are_cut(subject: Subject, tmp_path: Path) -> None:
    """Many more divisions, with the sandbox's default switches."""
    since = NOW - subject.back
    instants = st.datetimes(since.replace(tzinfo=None), UNTIL.replace(tzinfo=None), timezones=st.just(UTC))
    case = Case(())
    with bench(subject, tmp_path, lively(since, UNTIL)) as made:
        whole = export_window(made, since, UNTIL, case)

        @examples(5)
        @given(st.lists(instants, min_size=1, max_size=3))
        def tile(cuts: list[datetime]) -> None:
            check_tiles(made, sorted({since, *cuts, UNTIL}), case, whole)

        tile()
