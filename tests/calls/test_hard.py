"""Calls of the harder exchange, judged by its truth: whole, marked, tiling, in any order, over the ends of months."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from cdrctl.calls.folding import fold
from cdrctl.calls.joining import join, order
from cdrctl.calls.rows import Told, call_rows
from cdrctl.records.parts import Part
from cdrctl.sandbox import Exchange
from cdrctl.sandbox.exchange.stories import TALES, tell
from cdrctl.sandbox.exchange.truth import truth_of
from tests.calls.judge import NAMES, REACH, judge, rows_of
from tests.calls.truth_kit import PROVIDER_NAMES, apart, legs_of, parts_of

HARD = Exchange(1, stories="hard")
NEW_YEAR = datetime(2026, 12, 31, tzinfo=UTC)
FAR = NEW_YEAR + timedelta(days=9)

# What records cannot tell, by provider: see docs/calls.md.
UNTOLD = {
    "webex": {"outcome cancelled → no_answer"},
    "kazoo": {"outcome abandoned → machine", "outcome voicemail → machine"},
    "callgear": {"outcome voicemail → machine", "outcome voicemail → abandoned", "outcome rejected → cancelled"},
    "voicenter": {
        *(
            "outcome voicemail → machine",
            "outcome rejected → busy",
            "outcome rejected → failed",
            "transfer",
            "transfers",
        ),
        *("outcome failed → cancelled", "outcome abandoned → cancelled", "network_answered", "answered_by"),
    },
    "portsip": set[str](),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_calls_over_a_new_year_are_those_of_the_truth(name: str) -> None:
    found = judge(name, HARD, NEW_YEAR, NEW_YEAR + timedelta(days=1))
    assert found.calls > 100
    assert found.grouped == found.calls
    wrong = {what for what, _ in found.wrong if not what.startswith("lost record")}
    assert wrong <= UNTOLD[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_windows_that_tile_have_each_call_once(name: str) -> None:
    until = NEW_YEAR + timedelta(days=1, hours=4)
    whole = {row["call_id"]: row for row in rows_of(name, HARD, NEW_YEAR, until)}
    bounds = [NEW_YEAR, NEW_YEAR + timedelta(hours=7, minutes=3), NEW_YEAR + timedelta(days=1), until]
    parts = [row for lo, hi in pairwise(bounds) for row in rows_of(name, HARD, lo, hi)]
    assert len({row["call_id"] for row in parts}) == len(parts)
    assert {row["call_id"]: row for row in parts} == whole


def told_rows(parts: Iterable[Part], told: Told) -> list[dict[str, Any]]:
    return [dict(zip(NAMES, row, strict=True)) for page in call_rows([apart(parts)], told) for row in page]


@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_calls_that_a_leg_may_still_join_are_open(name: str) -> None:
    since, until = NEW_YEAR + timedelta(hours=15), NEW_YEAR + timedelta(hours=16)
    parts = parts_of(name, HARD, since, until)
    now = until + timedelta(hours=1)
    rows = told_rows(parts, Told(name, "p", now=now))
    assert rows
    assert {(row["complete"], row["why"]) for row in rows} == {(False, "open")}
    later = told_rows(parts, Told(name, "p", now=now + REACH + timedelta(days=1)))
    assert "open" not in {row["why"] for row in later}


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(seeds=st.lists(st.integers(0, 10_000), min_size=1, max_size=6), shuffle=st.randoms(use_true_random=False))
@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_random_stories_are_whole_in_any_order_and_with_duplicates(
    name: str, seeds: list[int], shuffle: random.Random
) -> None:
    calls = []
    for at, seed in enumerate(seeds):
        rng = random.Random(seed)
        begun = int((NEW_YEAR + timedelta(minutes=rng.randrange(2000))).timestamp() * 1000) + at
        calls += tell(TALES[seed % len(TALES)], rng, f"h{at}", begun)
    exchange = Exchange("random", calls)
    parts = parts_of(name, exchange, NEW_YEAR - timedelta(days=1), FAR, now=FAR + timedelta(days=1))
    rows = told_rows(parts, Told(name, "p"))
    mixed = [*parts, *shuffle.sample(parts, k=len(parts) // 3)]
    shuffle.shuffle(mixed)
    by_id = {row["call_id"]: row for row in rows}
    again = told_rows(mixed, Told(name, "p"))
    assert len(again) == len(rows)
    assert {row["call_id"]: row for row in again} == by_id
    wanted = {legs_of(name, call): truth_of(call) for call in calls}
    wanted.pop(frozenset(), None)
    found = {frozenset(row["leg_ids"]): row for row in rows}
    assert len(found) == len(rows)
    for ids, truth in wanted.items():
        if not truth.lost:
            assert ids in found
    assert set().union(*found) == set().union(*wanted)


def test_cyclic_links_end() -> None:
    parts = parts_of("webex", HARD, NEW_YEAR + timedelta(hours=15), NEW_YEAR + timedelta(hours=16))[:3]
    ring = [one._replace(names=(f"L{n}",), links=(f"L{(n + 1) % 3}",), expected=()) for n, one in enumerate(parts)]
    (call,) = join(apart(sorted(ring, key=order)))
    assert [one.id for one in fold(call.parts).parts] == [one.id for one in sorted(ring, key=order)]
