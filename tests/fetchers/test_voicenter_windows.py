"""Voicenter's windows, and the halving of full ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import pytest
from hypothesis import given, settings as tried, strategies as st

from cdrctl.export.rows import Tally
from cdrctl.fetchers.voicenter import PROVIDER
from tests.support.products import for_each

from .voicenter_kit import DAY, Host, Voicenter, record, reply, s, sample


@for_each(
    "since, until, asked",
    [
        (s(0), s(86_400), [("17T23:59:59", "19T00:00:00")]),
        (s(0), s(86_401), [("17T23:59:59", "19T00:00:00"), ("18T23:59:59", "19T00:01:00")]),
        (s(30.5), s(90.25), [("17T23:59:59", "18T00:02:00")]),
        (s(59.999), s(60), [("17T23:59:59", "18T00:01:00")]),
        (s(0.1), s(0.2), [("17T23:59:59", "18T00:01:00")]),
    ],
)
def test_windows_are_a_day_and_of_whole_minutes(since: datetime, until: datetime, asked: list[tuple[str, str]]) -> None:
    voicenter = Voicenter()
    voicenter.fetch(since, until)
    assert voicenter.windows == asked


def test_the_longest_window_can_be_chosen() -> None:
    voicenter = Voicenter()
    voicenter.fetch(s(0), s(7200), longest_window=timedelta(minutes=60, seconds=30))
    assert voicenter.windows == [("17T23:59:59", "18T01:00:00"), ("18T00:59:59", "18T02:00:00")]


def test_requests_are_two_seconds_apart_and_thirty_a_minute() -> None:
    voicenter = Voicenter()
    voicenter.fetch(DAY, DAY + timedelta(days=40))
    assert len(voicenter.at) == 40
    assert all(later - earlier >= 2 for earlier, later in zip(voicenter.at, voicenter.at[1:], strict=False))
    # By more than a minute, because a server counts arrivals, and one request may take longer than another.
    assert all(later - earlier >= 60.5 for earlier, later in zip(voicenter.at, voicenter.at[30:], strict=False))
    assert voicenter.at[-1] < 85


def exported(host: Host, since: datetime, until: datetime, **options: Any) -> tuple[list[str], Tally]:
    return Voicenter(host, base_url="http://127.0.0.1:9/", requests_per_minute=0).export(since, until, **options)


def truth(host: Host, since: datetime, until: datetime) -> list[str]:
    return sorted(f"c{n}" for n, at in enumerate(host.starts) if since <= s(at) < until)


@for_each("over", ["counters", "error3"])
@for_each("closed", [True, False])
@for_each("count", [0, 1, 2, 3, 4, 50])
def test_every_record_comes_once(over: Literal["counters", "error3"], closed: bool, count: int) -> None:  # noqa: FBT001
    """With every kind of bounds and every sign of a full response, and numbers around the most of a response."""
    host = Host([61 * n for n in range(count)], over=over, closed=closed)
    found, tally = exported(host, s(0), s(3600))
    assert sorted(found) == truth(host, s(0), s(3600))
    assert tally.gaps == []


@pytest.mark.slow
@tried(max_examples=40, deadline=None)
@given(
    starts=st.lists(st.integers(0, 400), max_size=25),
    cuts=st.lists(st.integers(0, 400_000), min_size=3, max_size=3, unique=True),
    over=st.sampled_from(["counters", "error3"]),
    closed=st.booleans(),
)
def test_windows_tile_at_any_cut(
    starts: list[int], cuts: list[int], over: Literal["counters", "error3"], *, closed: bool
) -> None:
    """A second that is too full is a gap, and no other record is missing."""
    host = Host(starts, over=over, closed=closed)
    a, b, c = (s(cut / 1000) for cut in sorted(cuts))
    halves = [exported(host, a, b), exported(host, b, c)]
    found = [one for ids, _ in halves for one in ids]
    assert len(found) == len(set(found))
    crowded = {second for second in starts if starts.count(second) > host.most}
    reachable = [n for n in truth(host, a, c) if starts[int(n[1:])] not in crowded]
    if over == "error3":  # which does not show the crowded second, so its neighbours may be in doubt
        said = bool(halves[0][1].gaps or halves[1][1].gaps)
        assert said or sorted(found) == truth(host, a, c)
        assert said or not [second for second in crowded if a <= s(second) < c]
        return
    assert set(reachable) <= set(found) <= set(truth(host, a, c))
    if [second for second in crowded if a <= s(second) < c]:
        assert halves[0][1].gaps or halves[1][1].gaps


@pytest.mark.slow
@for_each("over", ["counters", "error3"])
@for_each("closed", [True, False])
@for_each("minute_is_whole", [True, False])
def test_windows_tile_on_a_host_that_counts_in_minutes(
    over: Literal["counters", "error3"],
    closed: bool,  # noqa: FBT001
    minute_is_whole: bool,  # noqa: FBT001
) -> None:
    """Any windows tile. A minute that is too full is a gap, and no part of it counts as complete."""
    calm = [7 + 41 * n for n in range(20)]
    host = Host(calm, over=over, closed=closed, grain=60, minute_is_whole=minute_is_whole, most=4)
    for since, until in ((s(33.3), s(777.7)), (s(70), s(71)), (s(59.5), s(60))):
        found, tally = exported(host, since, until)
        assert sorted(found) == truth(host, since, until)
        assert tally.gaps == []
    crowded = Host(
        [*calm, *range(300, 312)], over=over, closed=closed, grain=60, minute_is_whole=minute_is_whole, most=4
    )
    found, tally = exported(crowded, s(0), s(900))
    outside = [n for n in truth(crowded, s(0), s(900)) if not 240 <= crowded.starts[int(n[1:])] < 360]
    assert set(outside) <= set(found)
    assert "from 2026-11-18T00:05:00.000Z to 2026-11-18T00:06:00.000Z" in " ".join(gap.what for gap in tally.gaps)
    assert len(found) == len(set(found))
    assert crowded.asked < 60
    assert len(tally.gaps) <= 3  # its neighbours, which share a bound with it
    if minute_is_whole:  # a neighbour can be asked for alone
        assert set(truth(crowded, s(0), s(300))) <= set(found)


@pytest.mark.parametrize("closed", [True, False])
def test_second_that_is_too_full_is_a_gap(closed: bool) -> None:  # noqa: FBT001
    host = Host([100, 101, 102, *[103] * 9, 104, 105], closed=closed)
    voicenter = Voicenter(host)
    found, tally = voicenter.export(s(0), s(3600))
    assert {f"c{n}" for n in (0, 1, 2, 12, 13)} <= set(found)
    [gap] = tally.gaps
    assert "at 2026-11-18T00:01:43.000Z than it sends in one response" in gap.what
    assert len([n for n in found if 3 <= int(n[1:]) < 12]) == 3
    assert "--type" in (gap.hint or "")


def test_empty_second_beside_one_that_is_too_full_is_no_gap() -> None:
    found, tally = Voicenter(Host([*[103] * 9, 119])).export(s(0), s(3600))
    assert len(found) == 4
    [gap] = tally.gaps
    assert "at 2026-11-18T00:01:43.000Z" in gap.what


def test_envelope_may_be_in_lower_case() -> None:
    body = json.loads(reply(record("a", s(1)), TOTAL_HITS=2).content)
    voicenter = Voicenter(
        httpx.Response(200, json={key.lower(): value for key, value in body.items()}), reply(), reply(record("b", s(1)))
    )
    assert voicenter.export()[0] == ["b"]
    body = json.loads(reply(record("a", s(1))).content)
    voicenter = Voicenter(httpx.Response(200, json={key.lower(): value for key, value in body.items()}))
    assert voicenter.export()[0] == ["a"]


def test_lag_is_ten_minutes() -> None:
    assert PROVIDER.call("cdrs").timing.lag == timedelta(minutes=10)


def test_a_crowded_second_outside_the_window_leaves_no_gap() -> None:
    host = Host([*[103] * 9, 110])
    found, tally = Voicenter(host).export(s(104), s(3600))
    assert (found, tally.gaps) == (["c9"], [])


def test_halves_are_requested_oldest_first() -> None:
    voicenter = Voicenter(Host([10, 80, 130, 190], most=2))
    voicenter.fetch(s(0), s(240))
    assert voicenter.windows == [
        ("17T23:59:59", "18T00:04:00"),
        ("17T23:59:59", "18T00:02:00"),
        ("18T00:01:59", "18T00:04:00"),
    ]


@pytest.mark.slow
def test_response_of_ten_thousand_records_is_incomplete() -> None:
    """The counters are missing, or agree; the number alone shows it."""
    full = [record(f"c{n}", s(n)) for n in range(10_000)]
    for counters in ({}, {"TOTAL_HITS": "left out", "RETURN_HITS": "left out"}):
        voicenter = Voicenter(reply(*full, **counters), lambda _body: reply(record("x", s(1))))
        assert voicenter.export()[0] == ["x"]
        assert len(voicenter.requests) == 3
    voicenter = Voicenter(reply(*full[:-1]))
    assert len(voicenter.export(s(0), s(10_000))[0]) == 9_999
    assert len(voicenter.requests) == 1


def test_counters_may_be_numbers_or_text() -> None:
    cut = {key: str(value) for key, value in sample("constructed_truncated.json").items() if key.endswith("HITS")}
    assert cut == {"TOTAL_HITS": "10500", "RETURN_HITS": "10000"}
    voicenter = Voicenter(reply(record("a", s(1)), **cut))
    voicenter.fetch()
    assert len(voicenter.requests) == 3


def test_a_count_of_more_records_than_came_gets_a_warning() -> None:
    """The documentation's own sample has a count of two and one record."""
    voicenter = Voicenter(httpx.Response(200, json=sample("doc_cdr_ok.json")))
    since = datetime(2024, 6, 10, 9, tzinfo=UTC)
    found, tally = voicenter.export(since, since + timedelta(hours=1))
    assert found == ["202406101204550233243ghff3189e5c"]
    assert tally.gaps == []
    assert len(voicenter.requests) == 1
    assert ("warning", "Voicenter reported 2 records in a response with 1") in voicenter.told


def test_counts_of_more_records_than_came_get_one_warning_in_a_run() -> None:
    answers = [reply(record(f"c{n}", s(n * 86_400)), TOTAL_HITS=n + 2, RETURN_HITS=n + 2) for n in range(2)]
    voicenter = Voicenter(*answers, reply())
    voicenter.fetch(s(0), s(2 * 86_400))
    assert [text for level, text in voicenter.told if level == "warning"] == [
        "Voicenter reported 2 records in a response with 1"
    ]


def test_a_range_that_is_refused_is_halved_while_it_is_longer_than_a_day() -> None:
    host = Host([10, 86_400, 200_000], days=2)
    found, tally = exported(host, s(0), s(6 * 86_400), longest_window=timedelta(days=6))
    assert (found, tally.gaps) == (["c0", "c1", "c2"], [])
    assert host.asked == 7


def test_a_range_of_a_day_that_is_refused_is_halved_once() -> None:
    """A day is requested with a second more, which may be the cause of the refusal."""
    host = Host([10, 86_000], days=1)
    assert exported(host, s(0), s(86_400))[0] == ["c0", "c1"]
    assert host.asked == 3
    voicenter = Voicenter(lambda _body: httpx.Response(200, json=sample("constructed_error_5.json")))
    error = voicenter.fails(s(0), s(86_400))
    assert (type(error).__name__, error.exit_code) == ("ProviderError", 7)
    assert error.message == (
        "Voicenter refused the range 2026-11-18T00:00:00.000Z to 2026-11-18T12:00:00.000Z (times are sent in GMT)"
    )
    assert error.said == "Date range invalid"
    assert len(voicenter.requests) == 2
