"""The time zone of a CallGear account, and the bounds of its requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given, settings as examples, strategies as some

from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.fetchers.callgear.local_time import local_instant, local_instants, read_local_time, read_local_times
from cdrctl.placeholders import is_placeholder
from tests.support.products import for_each

from .callgear_kit import BOUNDS, NOW, SINCE, UNTIL, Rule, Service, Wire, a_day, at, failed, reply

TURN = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""When Berlin's clocks go back from 3:00 to 2:00, so the hour from 2:00 to 3:00 comes twice."""


def test_a_time_zone_in_the_profile_saves_its_request() -> None:
    service = a_day(1, settings={"access_token": "T0KEN", "timezone": "Asia/Dubai"}, zone=ZoneInfo("Asia/Dubai"))
    assert len(service.ids(SINCE, UNTIL)) == 1
    assert [body["method"] for body in service.asked] == ["get.call_legs_report"] * 2
    assert service.spans == [("2026-11-18 03:59:59", "2026-11-19 04:00:01")]


@for_each("key", ["metadata", "meta_data"])
@for_each("listed", [True, False])
def test_zone_is_read_from_all_forms_of_an_account(key: str, listed: bool) -> None:  # noqa: FBT001
    row = {"app_id": 1103, "name": "n", "timezone": "Asia/Dubai"}

    def account(body: Wire) -> httpx.Response:
        result: Wire = {key: {"limits": {}}, "data": [row] if listed else row}
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], "result": result})

    service = a_day(1, zone=ZoneInfo("Asia/Dubai"), rules={"get.account": [account]})
    assert len(service.ids(SINCE, UNTIL)) == 1


@for_each(
    "answer",
    [
        lambda body: reply(body, []),
        lambda body: reply(body, [{"timezone": None}]),
        lambda body: reply(body, [{"timezone": "Mars/Phobos"}]),
        lambda body: failed(body, -32003, "forbidden"),
        lambda body: failed(body, -32602, "unexpected_parameters", field="user_id", value=7),
    ],
)
def test_export_without_a_zone_is_refused(answer: Rule) -> None:
    """UTC is not assumed."""
    service = a_day(1, rules={"get.account": [answer]})
    error = service.fails(ConfigurationError)
    assert "set timezone in the profile" in (error.hint or "")
    assert len(service.asked) == 1


def test_window_is_requested_in_whole_seconds_and_one_more_at_both_ends() -> None:
    service = a_day(1)
    service.ids(SINCE + timedelta(milliseconds=1), UNTIL - timedelta(milliseconds=1))
    assert service.spans == [("2026-11-18 00:59:59", "2026-11-19 01:00:01")]


def test_implausible_years_are_refused_before_a_request() -> None:
    service = Service()
    for since, until in [(datetime(1, 1, 2, tzinfo=UTC), UNTIL), (SINCE, datetime(9999, 12, 31, tzinfo=UTC))]:
        with pytest.raises(UsageError, match="year"):
            service.ids(since, until)
    assert service.asked == []


def test_the_repeated_hour_is_read_as_the_first_with_one_note() -> None:
    service = Service()
    for minutes in (-90, -30, 30, 90):
        service.add(TURN + timedelta(minutes=minutes))
    assert [wire["start_time"][11:] for _, wire in service.rows] == ["01:30:00", "02:30:00", "02:30:00", "03:30:00"]
    first, second, third, fourth = (wire["id"] for _, wire in service.rows)
    hour = timedelta(hours=1)
    assert service.ids(TURN - hour, TURN) == [second, third]
    said = (
        "in Europe/Berlin the clocks went back: CallGear's times from 2026-10-25 02:00:00 to 02:59:59 occur twice "
        "and are ambiguous; all are read as the first, and start_time_local has each as it was received"
    )
    assert service.told == [said]
    assert service.ids(TURN, TURN + hour) == []
    assert service.ids(TURN - 2 * hour, TURN - hour) == [first]
    assert service.ids(TURN + hour, TURN + 2 * hour) == [fourth]
    assert sum("occur twice" in text for text in service.told) == 2


def test_a_window_at_a_clock_change_is_requested_with_an_hour_more_on_both_sides() -> None:
    service = Service()
    service.ids(TURN - timedelta(minutes=30), TURN + timedelta(minutes=30))
    service.ids(at("2026-03-29T00:30"), at("2026-03-29T01:30"))
    assert service.spans == [
        ("2026-10-25 01:29:59", "2026-10-25 03:30:01"),
        ("2026-03-29 00:29:59", "2026-03-29 04:30:01"),
    ]


@pytest.mark.slow
@for_each("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "UTC"])
def test_windows_are_requested_in_any_zone(zone: str) -> None:
    """Zones change by half an hour, have offsets of minutes, or never change."""
    there = ZoneInfo(zone)
    service = Service(zone=there, settings={"access_token": "T0KEN", "timezone": zone})
    begun = at("2026-01-01")
    for hour in range(0, 365 * 24, 7):
        service.add(begun + timedelta(hours=hour, seconds=hour % 59))
    found = service.ids(begun, begun + timedelta(days=365), page_size=400)
    assert sorted(found) == [wire["id"] for _, wire in service.rows]
    assert len(service.told) == (0 if zone in {"UTC", "Asia/Kathmandu"} else 1)


READINGS = [(by, bounds, fold) for by in ("start", "end") for bounds in BOUNDS for fold in (0, 1, None)]


@pytest.mark.thin
@pytest.mark.parametrize(("by", "bounds", "fold"), READINGS)
@examples(deadline=None, max_examples=6)
@given(
    starts=some.lists(some.integers(-4 * 3600, 4 * 3600), max_size=25),
    lengths=some.lists(some.integers(0, 5 * 3600), min_size=25, max_size=25),
    cut=some.integers(-3 * 3600 * 1000, 3 * 3600 * 1000),
    size=some.integers(1, 9),
)
def test_windows_tile_with_every_interpretation_of_their_bounds(
    by: str,
    bounds: str,
    fold: int | None,
    starts: list[int],
    lengths: list[int],
    cut: int,
    size: int,
) -> None:
    """Windows are around the repeated hour."""
    service = Service(by=by, bounds=bounds, fold=fold)
    for begun, seconds in zip(starts, lengths, strict=False):
        service.add(TURN + timedelta(seconds=begun), seconds)
    since, middle, until = (TURN + timedelta(milliseconds=ms) for ms in (-3 * 3600_000, cut, 3 * 3600_000 + 1))
    if not since < middle < until:
        return
    whole = service.ids(since, until, page_size=size)
    parts = service.ids(since, middle, page_size=size) + service.ids(middle, until, page_size=size)
    assert sorted(parts) == sorted(whole)
    clear = {
        wire["id"]
        for moment, wire in service.rows
        if since <= moment < until and not TURN <= moment < TURN + timedelta(hours=1)
    }
    assert clear <= set(whole)
    assert len(whole) == len(set(whole))
    assert service.tally.gaps == []


def test_calls_that_end_after_the_window_are_exported_when_the_service_selects_by_end() -> None:
    service = Service(by="end")
    service.add(UNTIL - timedelta(hours=1), 3 * 3600)
    service.add(UNTIL + timedelta(hours=1), 600)
    assert service.ids(SINCE, UNTIL) == [9_000_000_000]
    assert [params["limit"] for params in service.params] == [10_000, 1, 10_000]
    service = Service()
    service.add(UNTIL - timedelta(hours=1), 3 * 3600)
    service.add(UNTIL + timedelta(hours=1), 600)
    assert service.ids(SINCE, UNTIL) == [9_000_000_000]
    assert [params["limit"] for params in service.params] == [10_000, 1]


@for_each("bounds", BOUNDS)
def test_a_call_that_ends_in_the_last_second_of_the_request_is_exported(bounds: str) -> None:
    service = Service(by="end", bounds=bounds)
    service.add(UNTIL - timedelta(minutes=1), 60)
    assert service.ids(SINCE, UNTIL) == [9_000_000_000]


@for_each("bounds", BOUNDS)
def test_a_call_in_the_last_second_of_the_window_does_not_indicate_selection_by_end(bounds: str) -> None:
    service = Service(bounds=bounds)
    service.add(UNTIL - timedelta(seconds=1))
    assert service.ids(SINCE, UNTIL) == [9_000_000_000]
    assert [params["limit"] for params in service.params] == [10_000, 1]


def test_the_time_after_the_window_is_requested_up_to_the_longest_call_and_now() -> None:
    service = Service()
    service.ids(SINCE, UNTIL, longest_call=timedelta(hours=2))
    service.ids(SINCE, NOW - timedelta(hours=1))
    service.ids(SINCE, NOW)
    service.ids(SINCE, UNTIL, longest_call=timedelta(0))
    assert [params["date_till"] for params in service.params if params["limit"] == 1] == [
        *("2026-11-19 03:00:01", "2026-11-20 13:00:01")
    ]


ODD_TIMES = (
    *(
        "2026-03-29 02:30:00",
        "2026-10-25 02:30:00",
        "2026-11-19 24:00:00",
        "2026-11-19 08:00:60",
        "202-011-19 08:00:00",
    ),
    *(
        "2026-11-19 08:000:0",
        "1900-01-01 00:00:00",
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59",
        "2026-11-19T08:00:00",
    ),
    *(
        "2026-11-19 08:00:00.5",
        "2026-11-19 25:00:00",
        "2026-13-19 08:00:00",
        "٢026-11-19 08:00:00",
        "2026-11-19 8:00:00 ",
    ),
)


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "Asia/Kolkata", None])
@pytest.mark.parametrize("odd", [*ODD_TIMES, ""])
def test_a_column_of_local_times_is_read_as_each_of_them_or_refused(odd: str, timezone: str | None) -> None:
    context = {"timezone": timezone} if timezone else {}
    for column in ([odd], ["2026-11-19 08:00:01", odd, "2026-07-19 08:59:59"]):
        texts, instants = read_local_times(column, context), local_instants(column, context)
        assert texts is None or texts == [one and read_local_time(one, context) for one in column]
        assert not any(map(is_placeholder, texts or ()))
        assert instants is None or instants == [local_instant(one, context) for one in column]
    usual = [*ODD_TIMES[:2], "2026-11-19 08:00:01"]
    assert (read_local_times(usual, context) is None) == (timezone is None)
