"""Rows that are made quickly are those of the plain way, for every provider and whatever the legs say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from cdrctl.calls.joining import SHARED_ID, JoinedCall, join
from cdrctl.calls.legs import PLAIN, Leg, parts_of_legs
from cdrctl.calls.quick import Bounds, QuickRows
from cdrctl.calls.rows import row_of_parts
from cdrctl.calls.tracing import Trace, Traced, UntraceableError, traceable, written
from cdrctl.fetchers import load
from cdrctl.records.events import Page
from cdrctl.records.parts import Part
from cdrctl.sandbox import Exchange
from tests.calls.test_templates import schemas, spoiled
from tests.calls.truth_kit import CONTEXT, NOW, PROVIDER_NAMES, imitation_of, joined_call
from tests.support.products import for_each

HOUR_MS = 3_600_000
START = int((NOW - timedelta(days=4)).timestamp() * 1000)
BOUNDS: tuple[Bounds, ...] = (
    (None, None, None),
    (START + 20 * HOUR_MS, None, None),
    (START + 40 * HOUR_MS, START + 6 * HOUR_MS, START + 30 * HOUR_MS),
)
MARKS = ((), ()), (("3999", "2009"), ("Sales", "7002"))


def calls_of(name: str, random: Random, hours: int) -> list[JoinedCall]:
    """Return calls of the sandbox, among them harder ones and some of records with odd values."""
    call, since = joined_call(load(name)), NOW - timedelta(days=4)
    records: list[dict[str, Any]] = []
    for stories in ("hard", "plain"):
        exchange = Exchange(1, stories=stories) if stories == "hard" else Exchange(2)
        records += imitation_of(name, exchange).truth(call.name, since, since + timedelta(hours=hours))
    schema, context = schemas(name)[0], CONTEXT.get(name, {})
    schema.rows(Page(records, context))  # makes the templates
    found: list[JoinedCall] = []
    for some in (records, spoiled(records, random)):
        legs: list[Any] = [*schema.rows(Page(some, context))]
        found += join(sorted(legs, key=lambda leg: leg[0]))
    return found


class Counted:
    """The plain way, and how often it was taken."""

    def __init__(self, boxes: Sequence[str] = (), queues: Sequence[str] = ()) -> None:
        self.times = 0
        self._marks = boxes, queues

    def __call__(self, parts: Sequence[Part], why: str, bounds: Bounds) -> tuple[Any, ...]:
        self.times += 1
        return row_of_parts(parts, why, bounds, *self._marks)


def others_like(call: JoinedCall, by_number: dict[int, list[Leg]], random: Random) -> JoinedCall:
    """Return a call with the same templates, and with values of others, so that comparisons have other outcomes."""
    legs = []
    for _, number, values in call.legs:
        changed = list(values)
        if number != PLAIN:
            other = random.choice(by_number[number])[2]
            here = random.choice(call.legs)[2]
            for at, value in enumerate(values):
                chosen = random.random()
                if chosen < 0.2:
                    changed[at] = other[at]
                elif chosen < 0.4 and len(here) == len(values) and here[at]:
                    changed[at] = here[at] if value else value
                elif chosen < 0.5 and isinstance(value, int) and value:
                    changed[at] = max(1, value + random.choice((-7_000, -1, 1, 7_000)))
        legs.append((call.legs[0][0], number, values if number == PLAIN else tuple(changed)))
    return JoinedCall(legs)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVIDER_NAMES)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 20))])
def test_rows_are_those_of_the_plain_way(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdrctl.calls.templates._USES", 1)
    monkeypatch.setattr("cdrctl.calls.quick._USES", 1)
    random = Random(seed)
    calls = calls_of(name, random, 10)
    by_number: dict[int, list[Leg]] = {}
    for call in calls:
        for leg in call.legs:
            by_number.setdefault(leg[1], []).append(leg)
    for at, bounds in enumerate(BOUNDS):
        plain = Counted(*MARKS[at % 2])
        quick = QuickRows(plain)
        like = [others_like(call, by_number, random) for call in calls for _ in range(2)]
        shared = [call._replace(why=SHARED_ID) for call in like[:40]]
        for call in [*calls, *like, *like, *shared]:
            assert quick.row(call, bounds) == plain(parts_of_legs(call.legs), call.why, bounds)


@pytest.mark.thin
@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_usual_calls_are_made_quickly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain way that does more than compare and pass on could not be traced, and each call would take it."""
    monkeypatch.setattr("cdrctl.calls.templates._USES", 1)
    monkeypatch.setattr("cdrctl.calls.quick._USES", 1)
    calls = [call for call in calls_of(name, Random(1), 10) if all(leg[1] != PLAIN for leg in call.legs)]
    for at, bounds in enumerate(BOUNDS):
        plain = Counted(*MARKS[at % 2])
        quick = QuickRows(plain)
        for call in calls:
            quick.row(call, bounds)
        plain.times = 0
        for call in calls:
            quick.row(call, bounds)
            quick.row(call._replace(why=SHARED_ID), bounds)
        assert plain.times == 0
    assert len(calls) > 30


def test_a_comparison_is_recorded_with_its_outcome() -> None:
    trace = Trace()
    one, other = Traced(trace, "a", 5), Traced(trace, "b", 7)
    assert max(one, other) is other
    assert (one + 3 - other) // 2 == 0
    assert [*dict.fromkeys([one, other, one])] == [one, other]
    assert [(line.expression, line.outcome) if not isinstance(line, tuple) else line for line in trace.lines] == [
        ("a < b", True),
        ("t0", "(a+3)"),
        ("t1", "(t0-b)"),
        ("t2", "(t1//2)"),
        ("0 == t2", True),
        ("a == b", False),
    ]


def test_a_constant_is_compared_with_values_in_a_set() -> None:
    trace = Trace()
    name, constant = Traced(trace, "a", "Ann"), Traced(trace, "'Ann'", "Ann", constant=True)
    assert len({name, constant}) == 1
    assert [*trace.known] == ["'Ann' == a"]
    assert constant == Traced(trace, "'Ann'", "Ann", constant=True)
    assert len(trace.known) == 1


@for_each("unknown", [str.upper, len, "-".join, float, lambda one: one.strip(), lambda one: f"{one:>9}", iter])
def test_what_cannot_be_recorded_fails(unknown: Any) -> None:
    with pytest.raises((TypeError, AttributeError, UntraceableError)):
        unknown(Traced(Trace(), "a", "text"))


def test_what_is_no_plain_value_cannot_be_written() -> None:
    with pytest.raises(UntraceableError):
        written([1.5])


def test_a_traceable_function_is_one_step() -> None:
    double = traceable()(lambda one: one * 2)
    found = double(Traced(Trace(), "a", 4))
    assert (found.value, found.trace.lines) == (8, [("t0", "<lambda>(a)")])
    assert double(3) == 6
