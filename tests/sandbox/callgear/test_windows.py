"""Windows, pages, times, filters and sorting of the imitated reports, and what their records say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, Sandbox, straddlers, uniform
from tests.sandbox.clients import at, sample
from tests.sandbox.conftest import BUSY, EXCHANGE, Starter
from tests.support.clock import HandClock

from .client import BERLIN, DAY, METHODS, CallGearClient, few, identity, names, ordered, window

# Windows and pages


@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
@pytest.mark.parametrize("limit", [7, 10_000])
def test_paging_returns_exactly_the_true_rows(client: CallGearClient, call: str, limit: int) -> None:
    since, until = at("2026-11-18T13:00"), at("2026-11-18T15:30")
    pages = client.pages(call, since, until, limit=limit, fields=names(call))
    rows = [row for page in pages for row in page["data"]]
    truth = client.sandbox.truth("callgear", call, since, until)
    assert rows == truth
    assert len({identity(row) for row in rows}) == len(rows)
    assert {page["metadata"]["total_items"] for page in pages} == {len(rows)}
    assert len(pages) == max(1, -(-len(rows) // limit))
    assert all(len(page["data"]) == limit for page in pages[:-1])


def test_limit_and_offset_have_their_documented_defaults(run: Starter) -> None:
    with CallGearClient(run(exchange=few(1_003))) as client:
        page = client.call(METHODS["legs"], **window())
        assert (len(page["data"]), page["metadata"]["total_items"]) == (1_000, 1_003)
        assert len(client.call(METHODS["legs"], **window(limit=None, offset=1_000))["data"]) == 3
        assert client.call(METHODS["legs"], **window(offset=100_000))["data"] == []


@pytest.mark.parametrize("legs", [1, 3])
def test_uniform_calls_make_an_exact_number_of_records(run: Starter, legs: int) -> None:
    exchange = Exchange(calls=uniform(40, *DAY, legs=legs))
    with CallGearClient(run(exchange=exchange)) as client:
        for call, n in (("legs", 40 * legs), ("calls", 40), ("costs", 40 * legs)):
            assert len(client.rows(call, *DAY)) == n
            assert len(client.sandbox.truth("callgear", call, *DAY)) == n


@pytest.mark.parametrize("call", ["legs", "calls", "costs"])
def test_windows_tile(client: CallGearClient, call: str) -> None:
    edges = [DAY[0] + timedelta(minutes=minutes) for minutes in (0, 1, 333, 334, 900, 1440)]
    for parts in (
        [client.rows(call, *pair, fields=names(call)) for pair in pairwise(edges)],
        [client.sandbox.truth("callgear", call, *pair) for pair in pairwise(edges)],
    ):
        assert [row for part in parts for row in part] == client.sandbox.truth("callgear", call, *DAY)


def test_every_leg_is_listed_and_legs_through_the_network_have_costs(client: CallGearClient) -> None:
    """Also in windows that begin during a call, because a leg is selected by its own start."""
    truth = client.sandbox.truth
    later = [leg.start // 1000 for call in EXCHANGE.calls(*DAY) for leg in call.legs if leg.start > call.start + 2000]
    assert len(later) > 30
    for second in later[:30]:
        since = datetime.fromtimestamp(second, UTC)
        until = since + timedelta(minutes=10)
        legs = EXCHANGE.legs(since, until)
        outward = [leg for leg in legs if leg.route not in {"internal", "service"}]
        assert len(truth("callgear", "legs", since, until)) == len(legs)
        assert len(truth("callgear", "costs", since, until)) == len(outward)
        assert len(truth("callgear", "calls", since, until)) == len(EXCHANGE.calls(since, until))


def test_both_bounds_belong_to_the_window(client: CallGearClient) -> None:
    times = [row["start_time"] for row in client.day()]
    first, last = times[10], times[20]
    found = client.call(METHODS["legs"], **window(first, last))["data"]
    assert [row["start_time"] for row in found] == [text for text in times if first <= text <= last]


def test_rows_appear_when_their_call_has_ended(run: Starter, clock: HandClock) -> None:
    turn = at("2026-11-18T12:00")
    exchange = Exchange(calls=straddlers(turn, 4))
    with CallGearClient(run(exchange=exchange)) as client:
        for hours, n in ((-1, 0), (0, 0), (24, 4)):
            clock.time = turn + timedelta(hours=hours)
            for call in METHODS:
                assert len(client.rows(call, *DAY)) == len(client.sandbox.truth("callgear", call, *DAY)) == n
        clock.time = turn
        running = client.rows("calls", *DAY, include_ongoing_calls=True)
        assert len(running) == 4
        assert {row["finish_time"] for row in running} == {None}
        assert [row["total_duration"] for row in running] == [240, 180, 120, 60]
        assert client.rows("calls", *DAY, include_ongoing_calls=False) == []


def test_total_grows_when_calls_end_between_requests(run: Starter, clock: HandClock) -> None:
    turn = at("2026-11-18T12:00")
    clock.time = turn + timedelta(minutes=5)
    with CallGearClient(run(exchange=Exchange(calls=straddlers(turn, 4)))) as client:
        totals = []
        for _ in range(6):
            totals.append(client.call(METHODS["legs"], **window())["metadata"]["total_items"])
            clock.move(60)
        assert totals == sorted(totals)
        assert totals[-1] == 4
        assert totals[0] < 4


# Times


def test_times_are_in_the_zone_of_the_account(client: CallGearClient) -> None:
    calls = EXCHANGE.calls(*DAY)
    rows = client.rows("calls", *DAY)
    expected = sorted(f"{datetime.fromtimestamp(call.start // 1000, BERLIN):%Y-%m-%d %H:%M:%S}" for call in calls)
    assert [row["start_time"] for row in rows] == expected


def test_repeated_hour_in_autumn_has_rows_of_both_hours(run: Starter) -> None:
    since, until = at("2026-10-24T23:00"), at("2026-10-25T03:00")
    exchange = Exchange(calls=uniform(8, since, until))
    with CallGearClient(run(exchange=exchange)) as client:
        rows = client.call(METHODS["legs"], **window("2026-10-25 00:00:00", "2026-10-25 05:00:00"))["data"]
        half = [f"2026-10-25 0{hour}:{minute}:00" for hour in (1, 2, 2, 3) for minute in ("00", "30")]
        assert [row["start_time"] for row in rows] == half
        truth = client.sandbox.truth
        first, second = at("2026-10-25T00:00"), at("2026-10-25T01:00")
        third = at("2026-10-25T02:00")
        assert len(truth("callgear", "legs", first, second)) == 4
        assert len(truth("callgear", "legs", second, third)) == 0
        assert len(truth("callgear", "legs", first, second, reading="own")) == 2
        assert len(truth("callgear", "legs", second, third, reading="own")) == 2
        assert len(truth("callgear", "legs", since, until)) == 8
        # Times are compared as text, so half an hour within the repeated hour has the rows of both hours.
        half_hour = client.call(METHODS["legs"], **window("2026-10-25 02:00:00", "2026-10-25 02:29:59"))
        assert half_hour["metadata"]["total_items"] == 2


def test_skipped_hour_in_spring_has_no_rows(run: Starter) -> None:
    exchange = Exchange(calls=uniform(6, at("2026-03-29T00:00"), at("2026-03-29T03:00")))
    with CallGearClient(run(exchange=exchange)) as client:
        rows = client.call(METHODS["legs"], **window("2026-03-29 00:00:00", "2026-03-29 23:00:00"))["data"]
        assert [row["start_time"][11:16] for row in rows] == ["01:00", "01:30", "03:00", "03:30", "04:00", "04:30"]
        assert not client.call(METHODS["legs"], **window("2026-03-29 02:00:00", "2026-03-29 02:59:59"))["data"]


# Filters and sorting


def test_operators_filter_rows(client: CallGearClient) -> None:
    rows = client.day()

    def chosen(name: str, operator: str, *value: Any) -> list[dict[str, Any]]:
        given = {"field": name, "operator": operator, **({"value": value[0]} if value else {})}
        found = client.day(filter=given)
        assert 0 < len(found) < len(rows), given
        return found

    some = rows[5]
    assert chosen("id", "=", some["id"]) == [some]
    assert chosen("direction", "!=", "in") == [row for row in rows if row["direction"] == "out"]
    assert chosen("is_operator", "=", value := True) == [row for row in rows if row["is_operator"] is value]
    for name in ("employee_id", "group_name"):
        assert chosen(name, "=", None) == chosen(name, "=") == [row for row in rows if row[name] is None]
        assert chosen(name, "!=", None) == [row for row in rows if row[name] is not None]
    assert chosen("duration", ">", 60) == [row for row in rows if row["duration"] > 60]
    assert chosen("duration", "<=", 60) == [row for row in rows if row["duration"] <= 60]
    assert chosen("duration", "<", 60) == [row for row in rows if row["duration"] < 60]
    assert chosen("duration", ">=", 60) == [row for row in rows if row["duration"] >= 60]
    assert chosen("employee_id", "<", 2875) == [row for row in rows if row["employee_id"] and row["employee_id"] < 2875]
    assert chosen("calling_phone_number", "like", "1202%") == [
        row for row in rows if row["calling_phone_number"].startswith("1202")
    ]
    assert chosen("group_name", "like", "S%s") == [row for row in rows if row["group_name"] == "Sales"]
    assert not client.day(filter={"field": "group_name", "operator": "like", "value": "s%s"})
    assert chosen("employee_phone_number", "regexp", "^200[12]$") == [
        row for row in rows if row["employee_phone_number"] in {"2001", "2002"}
    ]
    wanted = ["operator_busy", "another_operator_answer"]
    assert chosen("finish_reason", "in", wanted) == [row for row in rows if row["finish_reason"] in wanted]


def test_filter_trees_combine_filters(client: CallGearClient) -> None:
    rows = client.day()
    inward = {"field": "direction", "operator": "=", "value": "in"}
    long = {"field": "duration", "operator": ">", "value": 300}
    queue = {"field": "group_name", "operator": "=", "value": "Sales"}

    def told(row: dict[str, Any]) -> bool:
        return bool((row["direction"] == "in" and row["duration"] > 300) or row["group_name"] == "Sales")

    both = {"filters": [inward, long], "condition": "and"}
    tree = {"filters": [both, queue], "condition": "or"}
    assert client.day(filter=tree) == [row for row in rows if told(row)]
    deep = {"filters": [tree, {"filters": [inward], "condition": "or"}], "condition": "and"}
    assert client.day(filter=deep) == [row for row in rows if told(row) and row["direction"] == "in"]
    assert client.why(METHODS["legs"], **window(filter={"filters": [deep]})) == "invalid_parameter_value"
    assert client.day(filter={}) == rows


def test_arrays_are_filtered_by_jsquery(client: CallGearClient) -> None:
    wanted = names("calls")
    rows = client.rows("calls", *DAY, fields=wanted)

    def chosen(name: str, query: str) -> list[dict[str, Any]]:
        given = {"field": name, "operator": "jsquery", "value": query}
        found = client.rows("calls", *DAY, fields=wanted, filter=given)
        assert 0 < len(found) < len(rows)
        return found

    assert chosen("tags", '#.tag_name = "Lead"') == [
        row for row in rows if any(tag["tag_name"] == "Lead" for tag in row["tags"])
    ]
    assert chosen("employees", "#.is_answered = true") == [
        row for row in rows if any(one["is_answered"] for one in row["employees"])
    ]
    assert chosen("scenario_operations", "#.id > 12345")
    assert chosen("attributes", '# = "lost"') == [row for row in rows if "lost" in row["attributes"]]
    given = window(filter={"field": "tags", "operator": "jsquery", "value": "$$$"})
    assert client.why(METHODS["calls"], **given) == "invalid_parameter_value"
    given["filter"] = {"field": "call_records", "operator": "jsquery", "value": '# = "x"'}
    assert client.why(METHODS["calls"], **given) == "filter_prohibited"


def test_rows_are_sorted_as_requested(client: CallGearClient) -> None:
    rows = client.day()
    down = client.day(sort=[{"field": "start_time", "order": "desc"}])
    assert [row["start_time"] for row in down] == [row["start_time"] for row in rows][::-1]
    assert ordered(down) == ordered(rows)
    found = client.day(sort=[{"field": "direction"}, {"field": "duration", "order": "desc"}])
    assert [(row["direction"], -row["duration"]) for row in found] == sorted(
        (row["direction"], -row["duration"]) for row in rows
    )
    found = client.day(sort=[{"field": "employee_id"}])
    people = [row["employee_id"] for row in found]
    known = [one for one in people if one is not None]
    assert people == sorted(known) + [None] * (len(people) - len(known))
    found = client.day(sort=[{"field": "employee_id", "order": "desc"}])
    assert [row["employee_id"] for row in found] == people[::-1]
    assert client.day(sort=[]) == rows


# What records say


def test_legs_calls_and_costs_refer_to_each_other(client: CallGearClient) -> None:
    legs, calls, costs = (client.rows(call, *DAY, fields=names(call)) for call in ("legs", "calls", "costs"))
    by_call = {row["id"]: row for row in calls}
    by_leg = {row["id"]: row for row in legs}
    assert len(by_leg) == len(legs)
    inside = [row for row in legs if row["call_session_id"] in by_call]
    assert len(legs) - len(inside) < 10, "only calls over midnight are of another day"
    for row in inside:
        call = by_call[row["call_session_id"]]
        assert set(row["call_records"]) <= set(call["call_records"])
        assert row["contact_phone_number"] == call["contact_phone_number"]
    for row in costs:
        leg = by_leg[row["leg_id"]]
        for name in ("start_time", "direction", "call_session_id", "calling_phone_number", "called_phone_number"):
            assert row[name] == leg[name]
        assert row["duration"] == leg["duration"]
        assert row["duration"] <= row["chargeable_duration"] < row["duration"] + 60
        price = row["cost_per_minute"] * row["chargeable_duration"] / 60
        assert row["total_charge"] == pytest.approx(price)
        assert row["bonuses_charge"] in (0, row["total_charge"])
    assert {row["direction_type"] for row in costs} >= {"local", "national", "international", "mobile"}
    assert any(row["total_charge"] > 0 for row in costs)


@BUSY
def test_fields_of_a_leg_are_consistent(client: CallGearClient) -> None:
    rows = client.day()
    for row in rows:
        begin = datetime.fromisoformat(row["start_time"])
        answered = row["connect_time"] is not None
        assert row["is_failed"] is not answered
        if answered:
            rung = datetime.fromisoformat(row["connect_time"]) - begin
            assert rung.total_seconds() + row["duration"] == row["total_duration"]
        else:
            assert row["duration"] == 0
            assert row["is_talked"] is False
        if row["employee_id"] is not None:
            assert row["is_operator"]
            assert row["employee_full_name"]
        assert "+" not in f"{row['calling_phone_number']}{row['called_phone_number']}{row['virtual_phone_number']}"
    assert any(row["is_operator"] and row["employee_id"] is None for row in rows), "queues ring without an employee"
    assert any((row["employee_full_name"] or "").endswith(" (amoCRM)") for row in rows)
    assert any(row["is_transfered"] for row in rows)
    assert any(len(row["call_records"]) > 1 for row in rows)
    reasons = sample("callgear/data_finish_reasons.json")["legs_comagic_docs_2026"]
    assert {row["finish_reason"] for row in rows} <= set(reasons)


def test_direction_of_a_leg_is_seen_from_the_platform(client: CallGearClient) -> None:
    calls = {row["id"]: row["direction"] for row in client.rows("calls", *DAY)}
    seen = {
        (calls[row["call_session_id"]], row["is_operator"], row["direction"])
        for row in client.day()
        if row["call_session_id"] in calls
    }
    assert ("in", True, "out") in seen
    assert ("in", False, "in") in seen
    assert ("in", False, "out") not in seen
    assert ("out", False, "out") in seen
    assert ("out", True, "in") in seen


def test_durations_of_a_call_are_consistent(client: CallGearClient) -> None:
    rows = client.rows("calls", *DAY, fields=names("calls"))
    for row in rows:
        took = datetime.fromisoformat(row["finish_time"]) - datetime.fromisoformat(row["start_time"])
        assert took.total_seconds() == row["total_duration"]
        assert row["wait_duration"] + row["talk_duration"] == row["total_duration"]
        assert 0 <= row["clean_talk_duration"] <= row["talk_duration"]
        assert row["communication_id"] == row["id"]
        assert row["is_lost"] is ("lost" in row["attributes"])
    assert {row["direction"] for row in rows} == {"in", "out"}
    assert any(row["is_lost"] for row in rows)
    reasons = sample("callgear/data_finish_reasons.json")
    known = {*reasons["calls_callgear_docs_2026"], *(pair[1] for pair in reasons["pairs"])}
    assert {row["finish_reason"] for row in rows} <= known


def test_true_records_do_not_depend_on_earlier_requests(run: Starter) -> None:
    whole = run(exchange=Exchange(1)).truth("callgear", "legs", *DAY)
    other = run(exchange=Exchange(1))
    other.truth("callgear", "calls", at("2026-11-01"), at("2026-11-03"))
    assert other.truth("callgear", "legs", *DAY) == whole
    assert run(exchange=Exchange(2)).truth("callgear", "legs", *DAY) != whole


def test_truth_refuses_unknown_calls_and_options(sandbox: Sandbox) -> None:
    since, until = DAY
    with pytest.raises(ValueError, match="callgear has the calls legs, calls, costs, users"):
        sandbox.truth("callgear", "cdrs", since, until)
    with pytest.raises(ValueError, match="options are"):
        sandbox.truth("callgear", "legs", since, until, reading="third")
    with pytest.raises(ValueError, match="options are"):
        sandbox.truth("callgear", "legs", since, until, account="x")
    with pytest.raises(ValueError, match="no customer user 5"):
        sandbox.truth("callgear", "legs", since, until, user_id="5")
    rows = sandbox.truth("callgear", "legs", *DAY, fields="id,start_time")
    assert {tuple(row) for row in rows} == {("id", "start_time")}
