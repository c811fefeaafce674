from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from cdrctl.sandbox import Call, Exchange, straddlers, uniform
from cdrctl.sandbox.exchange.clock import digest, instant, milliseconds
from tests.support.products import for_each

from .clients import at

SEPTEMBER = at("2026-09-01"), at("2026-10-01")


@pytest.mark.slow
def test_same_seed_gives_the_same_calls_after_other_requests() -> None:
    one, other = Exchange(7), Exchange(7)
    other.calls(at("2026-09-10"), at("2026-09-12"))
    assert one.calls(*SEPTEMBER) == other.calls(*SEPTEMBER)
    assert Exchange(8).calls(*SEPTEMBER) != one.calls(*SEPTEMBER)


@pytest.mark.process
def test_another_process_with_another_hash_seed_draws_the_same_calls() -> None:
    program = (
        "from datetime import datetime, UTC\n"
        "from cdrctl.sandbox import Exchange\n"
        "from cdrctl.sandbox.exchange.clock import digest\n"
        "d = datetime(2026, 9, 2, tzinfo=UTC), datetime(2026, 9, 3, tzinfo=UTC)\n"
        "print(digest(Exchange(3).calls(*d)))"
    )
    here = digest(Exchange(3).calls(at("2026-09-02"), at("2026-09-03")))
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        told = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == here


def test_weekdays_are_busier_than_weekends() -> None:
    exchange = Exchange(1)
    wednesday = exchange.calls(at("2026-09-02T07:00"), at("2026-09-03T07:00"))
    sunday = exchange.calls(at("2026-09-06T07:00"), at("2026-09-07T07:00"))
    assert 120 <= len(wednesday) <= 180
    assert 280 <= sum(len(call.legs) for call in wednesday) <= 460
    assert 5 <= len(sunday) <= 45
    night = [call for call in wednesday if instant(call.start).hour in range(8, 13)]
    assert 0 < len(night) < 15


def test_windows_of_calls_and_legs_tile() -> None:
    exchange = Exchange(1)
    edges = [at("2026-09-02") + timedelta(hours=7 * n, seconds=n) for n in range(15)]
    parts = [exchange.calls(a, b) for a, b in pairwise(edges)]
    assert [call for part in parts for call in part] == exchange.calls(edges[0], edges[-1])
    legs = [exchange.legs(a, b) for a, b in pairwise(edges)]
    assert [leg for part in legs for leg in part] == exchange.legs(edges[0], edges[-1])


@pytest.mark.slow
def test_calls_cross_every_midnight_and_three_cross_a_month_start() -> None:
    exchange = Exchange(1)
    for day in range(30):
        midnight = SEPTEMBER[0] + timedelta(days=day)
        before = exchange.calls(midnight - timedelta(hours=1), midnight)
        over = [call for call in before if call.end >= milliseconds(midnight) + 10_000]
        assert len(over) >= (3 if midnight.day == 1 else 1)


def test_a_month_has_every_outcome_and_every_kind_of_call() -> None:
    calls = Exchange(1).calls(*SEPTEMBER)
    assert {call.outcome for call in calls} == {
        *("answered", "voicemail", "no_answer", "busy", "cancelled", "rejected", "failed", "abandoned"),
    }
    assert {call.kind for call in calls} == {
        *("internal", "inbound", "outbound", "queue", "hunt_group", "attendant", "voicemail_retrieval"),
        *("blind_transfer", "consulted_transfer"),
    }
    legs = [leg for call in calls for leg in call.legs]
    assert {leg.cause for leg in legs} >= {"answered_elsewhere", "unallocated", "unavailable", "abandoned"}
    assert {leg.route for leg in legs} == {
        *("internal", "inbound", "national", "international", "tollfree", "service"),
    }
    assert {leg.trunk for leg in legs} == {"", "LGW-London-1"}
    assert len({leg.site.name for leg in legs if leg.site}) == 2
    assert any(call.end - call.start > 3_600_000 for call in calls)
    names = "".join({leg.from_name for leg in legs} | {leg.party.name for leg in legs})
    assert all(awkward in names for awkward in (",", '"', "ü", "🎧", "\x1b", "\t", "="))


def test_legs_of_a_call_agree_with_each_other() -> None:
    for call in Exchange(1).calls(*SEPTEMBER):
        ids = [leg.id for leg in call.legs]
        assert len(set(ids)) == len(ids)
        assert call.start == call.legs[0].start == min(leg.start for leg in call.legs)
        assert call.end == max(leg.end for leg in call.legs)
        talked = any(leg.answer is not None for leg in call.legs if leg.party.is_user)
        assert talked or call.outcome != "answered"
        for leg in call.legs:
            assert leg.call_id == call.id
            assert leg.start <= (leg.start if leg.answer is None else leg.answer) <= leg.end
            assert leg.ring_seconds >= 0
            assert leg.talk_seconds >= 0
            assert {leg.peer, leg.related} - {""} <= set(ids)


def test_numbers_are_in_ranges_reserved_for_fiction() -> None:
    numbers = set()
    for leg in Exchange(1).legs(*SEPTEMBER):
        numbers |= {leg.from_number, leg.to_number, leg.party.number, leg.dialed}
    fictional = r"|\+?1202555 01\d\d|(\+|011|00)?441632960\d{3}|0111202555 01\d\d|\+?18005550199|00120255501\d\d"
    allowed = re.compile(fictional.replace(" ", "") + r"|\d{4}|\*98")
    assert [number for number in numbers if not allowed.fullmatch(number)] == []


@for_each("n", [0, 1, 49, 50, 51, 1000])
def test_uniform_makes_exactly_n_calls_in_the_window(n: int) -> None:
    since, until = at("2026-09-01T10:00"), at("2026-09-01T11:00")
    exchange = Exchange(calls=uniform(n, since, until, legs=2))
    assert len(exchange.calls(since, until)) == n
    assert len(exchange.legs(since, until)) == 2 * n
    assert exchange.calls(until, until + timedelta(days=1)) == []


def test_given_calls_are_sorted_and_duplicate_ids_are_refused() -> None:
    since, until = at("2026-09-01T10:00"), at("2026-09-01T11:00")
    calls: list[Call] = uniform(3, since, until)
    assert Exchange(calls=reversed(calls)).calls(since, until) == calls
    with pytest.raises(ValueError, match="same id"):
        Exchange(calls=calls + calls)


def test_straddlers_begin_before_an_instant_and_end_after_it() -> None:
    edge = datetime(2022, 3, 1, tzinfo=UTC)
    calls = straddlers(edge)
    assert len(calls) == 5
    assert all(call.start < milliseconds(edge) < call.end for call in calls)


def test_a_sibling_has_calls_of_its_own() -> None:
    exchange = Exchange(1)
    other = exchange.sibling("north")
    ids = Counter(call.id for one in (exchange, other) for call in one.calls(*SEPTEMBER))
    assert max(ids.values()) == 1
    assert 0 < len(other.calls(*SEPTEMBER)) < len(exchange.calls(*SEPTEMBER)) / 2
    assert Exchange(calls=straddlers(at("2022-03-01"))).sibling("north").calls(*SEPTEMBER) == []
