"""Which legs are one call: whatever their order, in memory that does not grow, and never by an id that many share."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, strategies as st

from cdrctl.calls import joining
from cdrctl.calls.held import BLOCK, HeldLegs
from cdrctl.calls.joining import JoinedCall, join, order
from cdrctl.calls.legs import plain_leg
from cdrctl.records.parts import Part
from tests.support.examples import examples

MINUTE = 60_000
HOUR = 60 * MINUTE


def part(name: str, start: int | None, *links: str, end: int | None = None, names: tuple[str, ...] = ()) -> Part:
    """Return a part of a call."""
    return Part(
        name, (name, *names), links, "callee", "person", start, start, (start or 0) + MINUTE if end is None else end,
        *(True, 60, "answered", "1", "Ann", True, "2", "Bob", "1"),
    )  # fmt: skip


def calls_of(
    parts: Sequence[Part], reach: timedelta = joining.REACH, most: int = joining.MOST_LEGS
) -> list[JoinedCall]:
    """Return the calls of legs that have one part each."""
    return list(join((plain_leg([one]) for one in parts), reach, most))


def groups(calls: list[JoinedCall]) -> set[frozenset[str]]:
    return {frozenset(one.id for one in call.parts) for call in calls}


def test_a_leg_that_links_two_calls_makes_them_one() -> None:
    legs = [part("a", 0), part("b", 1000), part("c", 2000, "a", "b"), part("d", 3000)]
    assert groups(calls_of(legs)) == {frozenset("abc"), frozenset("d")}


def test_a_link_to_a_leg_that_comes_later_joins_it() -> None:
    assert groups(calls_of([part("a", 0, "z"), part("z", 1000)])) == {frozenset("az")}


def test_cyclic_links_end() -> None:
    assert groups(calls_of([part("a", 0, "b"), part("b", 1, "c"), part("c", 2, "a")])) == {frozenset("abc")}


def test_an_id_that_is_used_again_later_is_another_call() -> None:
    legs = [part("a", 0, names=("7:0",)), part("b", 24 * HOUR, names=("7:0",))]
    assert groups(calls_of(legs)) == {frozenset("a"), frozenset("b")}
    assert groups(calls_of(legs, timedelta(days=2))) == {frozenset("ab")}


def test_a_leg_joins_a_call_that_is_still_going_on_hours_after_its_start() -> None:
    legs = [part("a", 0, end=10 * HOUR, names=("s",)), part("b", 15 * HOUR, names=("s",))]
    assert groups(calls_of(legs)) == {frozenset("ab")}


def test_calls_come_in_the_order_of_their_starts() -> None:
    legs = [part("a", 0, end=5 * HOUR), part("b", 1000), part("c", 20 * HOUR), part("d", 21 * HOUR, "c")]
    assert [call.parts[0].id for call in calls_of(legs)] == ["a", "b", "c"]


def test_what_cannot_be_one_call_is_marked_and_joins_nothing() -> None:
    calls = calls_of([part(f"n{at}", at, names=("same",)) for at in range(100)], most=30)
    assert len(calls) == 100
    assert all(len(call.parts) == 1 for call in calls)
    assert {call.why for call in calls} == {joining.SHARED_ID}, "also those that come when the id is known"
    later = [*(part(f"n{at}", at, names=("same",)) for at in range(50)), part("a", 50), part("b", 51, "a", "same")]
    found = {frozenset(one.id for one in call.parts): call.why for call in calls_of(later, most=30)}
    assert found[frozenset("ab")] == joining.SHARED_ID
    assert len(found) == 51


def test_legs_without_ids_or_times_are_calls_of_their_own() -> None:
    bare = part("x", None)._replace(names=(), links=())
    assert len(calls_of([bare, bare, part("a", 0)])) == 3


def test_legs_without_times_join_by_their_ids_after_legs_with_times() -> None:
    undated = [part(name, None, end=0, names=("s",))._replace(end=None) for name in "xy"]
    assert groups(calls_of([part("a", 1000 * HOUR), *undated])) == {frozenset("a"), frozenset("xy")}
    late = [part("a", 1000 * HOUR, names=("s",)), *undated]
    assert groups(calls_of(late)) == {frozenset("axy")}


_LEGS = st.lists(st.tuples(st.integers(0, 5 * HOUR), st.sets(st.integers(0, 6), max_size=3)), max_size=12)


@given(_LEGS)
@examples(200)
def test_calls_are_the_connected_legs_whatever_their_order(drawn: list[tuple[int, set[int]]]) -> None:
    legs = [part(f"n{at}", start, *(f"t{one}" for one in ids)) for at, (start, ids) in enumerate(drawn)]
    calls = calls_of(sorted(legs, key=order))
    expected = [{leg.id, *leg.links} for leg in legs]
    merged = True
    while merged:
        merged = False
        for at, one in enumerate(expected):
            other = next((other for other in expected[at + 1 :] if one & other), None)
            if other is not None:
                one.update(other)
                expected.remove(other)
                merged = True
                break
    assert groups(calls) == {frozenset(name for name in one if name.startswith("n")) for one in expected}


@pytest.mark.slow
def test_memory_is_that_of_the_calls_that_are_open() -> None:
    open_at_once = 0
    with closing(HeldLegs()) as held:
        run = joining._Join(HOUR, held)
        for _ in run.run(plain_leg([part(f"n{at}", at * MINUTE)]) for at in range(20_000)):
            open_at_once = max(open_at_once, len(run._open) + len(run._closed) + len(run._by_token))
    assert open_at_once < 400


def test_merged_calls_leave_no_ids_behind_and_have_their_legs_in_order() -> None:
    legs = [part("a", 0), part("b", 1), part("c", 2, "b"), part("d", 3, "a"), part("e", 4, "a", "b")]
    with closing(HeldLegs()) as held:
        run = joining._Join(HOUR, held)
        (call,) = run.run(plain_leg([one]) for one in legs)
        assert not run._by_token
    assert [leg[0] for leg in call.legs] == [0, 1, 2, 3, 4]


def test_a_call_that_ends_keeps_the_ids_of_a_later_one() -> None:
    legs = [
        *(part("long", 0, end=30 * HOUR), part("a", 1, names=("s",)), part("b", 20 * HOUR, names=("s",))),
        *(part("late", 25 * HOUR), part("c", 25 * HOUR + MINUTE, "s"), part("d", 40 * HOUR)),
    ]
    assert groups(calls_of(legs)) == {frozenset({one}) for one in ("long", "a", "late", "d")} | {frozenset("bc")}


def test_a_leg_with_a_shared_id_alone_is_never_open_and_does_not_wait_for_long() -> None:
    first = part("first", 0, end=100 * HOUR)
    many = (part(f"n{at}", at, names=("same",))._replace(names=("same",)) for at in range(2000))
    waiting = 0
    with closing(HeldLegs()) as held:
        run = joining._Join(HOUR, held, 100, 200)
        calls = []
        for call in run.run(plain_leg([one]) for one in (first, *many)):
            calls.append(call)
            waiting = max(waiting, len(run._open) + len(run._closed))
    assert waiting < 300
    assert sorted(len(call.legs) for call in calls) == [1] * 2001
    assert sum(call.why == joining.SHARED_ID for call in calls) == 2000


@given(st.lists(st.integers(0, 4000), min_size=3 * BLOCK, max_size=80), st.randoms())
@examples(50)
def test_held_legs_come_back_and_leave_no_room_behind(sizes: list[int], random: Random) -> None:
    legs = [(at, -1, [("x" * size, None, ("a",))]) for at, size in enumerate(sizes)]
    with closing(HeldLegs()) as held:
        assert [held.add(leg) for leg in legs] == [*range(len(legs))]
        for at in random.sample(range(len(legs)), len(legs)):
            assert held.look(at) == legs[at]
            assert held.take(at) == legs[at]
        assert not held._places
        assert sum(held._sizes.values()) == held._held == 0
        assert [*held._recent] == [len(legs) // BLOCK], "only the block that is not full"


def test_the_file_of_held_legs_is_as_large_as_what_is_open() -> None:
    with closing(HeldLegs()) as held:
        for at in range(4000):
            held.add((1, -1, [("x" * (900 + at % 200),)]))
            if at >= 100:
                held.take(at - 100)
        assert held._file is not None
        assert held._file.seek(0, 2) < 12 * 32 * 1024, "the room of legs that were taken is used again"


@pytest.mark.slow
def test_memory_has_no_legs_of_open_calls() -> None:
    count, size = 1000, 10_000
    legs = (plain_leg([part(f"n{at}", at)._replace(recordings=(f"{at}" + "x" * size,))]) for at in range(count))
    tracemalloc.start()
    try:
        calls = sum(1 for _ in join(legs))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert calls == count
    assert peak < count * size / 2
