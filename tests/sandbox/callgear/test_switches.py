"""The switches of the imitated CallGear."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from cdrctl.sandbox import Exchange, Sandbox, start, uniform
from cdrctl.sandbox.callgear import ERRORS
from tests.sandbox.clients import at, sample
from tests.sandbox.conftest import BUSY, Starter
from tests.sandbox.hard import several
from tests.support.clock import HandClock

from .client import BERLIN, DAY, FIELDS, METHODS, CallGearClient, Switched, few, login_of, names, ordered, window


def test_switch_http_errors(switched: Switched) -> None:
    client = switched(http_errors="real", limits="on", minute_limit="1")
    assert client.post(b"{").status_code == 400
    assert client.send("get.account", access_token="x").status_code == 401
    assert client.send("get.customer_users").status_code == 403
    assert client.send("get.weather").status_code == 404
    assert client.send(METHODS["legs"]).status_code == 400
    assert client.send("get.account").status_code == 200
    assert client.send("get.account").status_code == 429
    client.sandbox.switch("callgear", "refuse", "internal_error")
    page = client.send("get.account")
    assert page.status_code == 500
    client.sandbox.switch("callgear", "http_errors", "200")
    again = client.send("get.account")
    assert (again.status_code, again.json()) == (200, page.json())


def test_switch_bounds(switched: Switched) -> None:
    client = switched(exchange=few(24))
    hours = ["2026-11-18 05:00:00", "2026-11-18 06:00:00", "2026-11-18 07:00:00"]
    for double in ("both", "first", "second"):
        client.sandbox.switch("callgear", "double_hour", double)
        for value, first, last in (("closed", 0, 3), ("half_open", 0, 2), ("open_low", 1, 3), ("open", 1, 2)):
            client.sandbox.switch("callgear", "bounds", value)
            for method in METHODS.values():
                found = client.call(method, **window(hours[0], hours[2]))["data"]
                assert [row["start_time"] for row in found] == hours[first:last]


@pytest.mark.parametrize(
    ("value", "totals"),
    [
        ("right", [3, 3, 3]),
        ("zero", [0, 0, 0]),
        ("page", [2, 1, 0]),
        ("half", [1, 1, 1]),
        ("shrinking", [3, 1, 0]),
        ("true", [True, True, True]),
        ("negative", [-1, -1, -1]),
        ("text", ["3 rows", "3 rows", "3 rows"]),
        ("absent", [None, None, None]),
    ],
)
def test_switch_total(switched: Switched, value: str, totals: list[Any]) -> None:
    client = switched(exchange=Exchange(calls=uniform(3, *DAY)), total=value)
    partner = switched("partner", total=value)
    listings = [
        *((client, method, window()) for method in METHODS.values()),
        (partner, "get.customer_users", {}),
    ]
    for asker, method, asked in listings:
        pages = [asker.call(method, limit=2, offset=offset, **asked) for offset in (0, 2, 3)]
        said = [page["metadata"].get("total_items") for page in pages]
        assert [(type(one), one) for one in said] == [(type(one), one) for one in totals]
        assert [len(page["data"]) for page in pages] == [2, 1, 0]


def test_switch_window_on(switched: Switched) -> None:
    client = switched(exchange=Exchange(calls=uniform(1, *DAY, talk_seconds=3600)))
    begin, end = window(until="2026-11-18 00:59:59"), window("2026-11-18 01:00:00")
    for value, early, late in (("start_time", 1, 0), ("finish", 0, 1)):
        client.sandbox.switch("callgear", "window_on", value)
        for method in METHODS.values():
            assert client.call(method, **begin)["metadata"]["total_items"] == early
            assert client.call(method, **end)["metadata"]["total_items"] == late
    assert len(client.sandbox.truth("callgear", "legs", *DAY)) == 1
    client = switched(exchange=Exchange(calls=uniform(1, *DAY, talk_seconds=40 * 3600)), window_on="finish")
    following = window("2026-11-19 16:00:00", "2026-11-19 17:00:00")
    assert client.call(METHODS["legs"], **following)["data"][0]["total_duration"] == 40 * 3600 + 2


def test_switch_double_hour(switched: Switched) -> None:
    """Bounds within the repeated hour: 02:00 to 02:59:59, and to 03:30."""
    client = switched(exchange=Exchange(calls=uniform(8, at("2026-10-24T23:00"), at("2026-10-25T03:00"))))
    for value, within, across in (("both", 4, 6), ("first", 2, 6), ("second", 2, 4)):
        client.sandbox.switch("callgear", "double_hour", value)
        for until, n in (("2026-10-25 02:59:59", within), ("2026-10-25 03:30:00", across)):
            asked = window("2026-10-25 02:00:00", until)
            assert client.call(METHODS["legs"], **asked)["metadata"]["total_items"] == n


def test_switch_short_page(switched: Switched) -> None:
    client = switched(exchange=few(20), short_page="3")
    pages = client.pages("legs", *DAY, limit=8)
    assert [len(page["data"]) for page in pages] == [5, 8, 4, 3]
    rows = [row for page in pages for row in page["data"]]
    assert rows == client.sandbox.truth("callgear", "legs", *DAY, fields="default")
    assert {page["metadata"]["total_items"] for page in pages} == {20}


def test_switch_grow(switched: Switched) -> None:
    client = switched(exchange=few(20), grow="2")
    pages = client.pages("legs", *DAY, limit=8)
    assert [page["metadata"]["total_items"] for page in pages] == [16, 18, 20]
    rows = [row["id"] for page in pages for row in page["data"]]
    assert len(set(rows)) < 20, "rows that came in moved others to the next page"
    again = client.rows("legs", *DAY, limit=8)
    assert again == client.sandbox.truth("callgear", "legs", *DAY, fields="default")
    assert len(client.rows("calls", *DAY)) == 20, "one page does not grow"


def test_switch_ties(switched: Switched) -> None:
    moment = at("2026-11-18T12:00")
    same = Exchange(calls=uniform(12, moment, moment + timedelta(milliseconds=12)))
    client = switched(exchange=same)
    asked = window(sort=[{"field": "start_time"}], fields=["id"])
    assert client.call(METHODS["legs"], **asked) == client.call(METHODS["legs"], **asked)
    client.sandbox.switch("callgear", "ties", "moving")
    one, two = (client.call(METHODS["legs"], **asked)["data"] for _ in range(2))
    assert one != two
    assert ordered(one) == ordered(two)
    asked["sort"][0]["order"] = "desc"
    assert ordered(client.call(METHODS["legs"], **asked)["data"]) == ordered(one)
    assert client.pages("legs", *DAY, limit=4)


def test_switch_names_field(switched: Switched) -> None:
    client = switched(names_field="off")
    error = client.refused(METHODS["legs"], **window(fields=["colour"]))
    assert error["data"] == {"mnemonic": "unexpected_parameters", "metadata": {}}
    client.sandbox.switch("callgear", "names_field", "on")
    error = client.refused(METHODS["legs"], **window(fields=["colour"]))
    assert (error["data"]["field"], error["data"]["value"]) == ("colour", "colour")


@pytest.mark.parametrize("call", ["legs", "calls"])
def test_switch_no_wav(switched: Switched, call: str) -> None:
    client = switched(utm_referrer="known")
    every = list(FIELDS[call])
    assert client.why(METHODS[call], **window(fields=every)) == "unexpected_parameters"
    client.sandbox.switch("callgear", "no_wav", "off")
    rows = client.rows(call, *DAY, fields=every)
    assert rows == client.sandbox.truth("callgear", call, *DAY)
    assert any(row["wav_call_records"] for row in rows)
    assert all(len(row["wav_call_records"]) == len(row["call_records"]) for row in rows)
    assert "wav_call_records" in client.rows(call, *DAY)[0]


def test_switch_utm_referrer(switched: Switched) -> None:
    client = switched()
    asked = window(fields=["id", "utm_referrer"])
    assert client.refused(METHODS["calls"], **asked)["data"]["field"] == "utm_referrer"
    client.sandbox.switch("callgear", "utm_referrer", "known")
    rows = client.rows("calls", *DAY, fields=["id", "utm_referrer"])
    assert {row["utm_referrer"] for row in rows} == {None, "search.example"}


def test_switch_reason(switched: Switched) -> None:
    client = switched(reason="numa_in_spam_list")
    legs = client.rows("legs", *DAY)
    assert len(legs) > 20
    for leg in legs:
        assert (leg["finish_reason"] == "numa_in_spam_list") is (leg["connect_time"] is None)
    calls = client.rows("calls", *DAY)
    assert {call["finish_reason"] for call in calls if call["is_lost"]} == {"numa_in_spam_list"}
    client.sandbox.switch("callgear", "reason", "no_success_subscriber_call")
    client.sandbox.switch("callgear", "reasons", "caller")
    assert all("subscriber" not in leg["finish_reason"] for leg in client.rows("legs", *DAY) if leg["connect_time"])


@pytest.mark.parametrize("value", ["null", "absent"])
def test_switch_talk_times(switched: Switched, value: str) -> None:
    client = switched(talk_times=value)
    hidden = {"legs": {"connect_time", "duration"}, "calls": {"talk_duration", "clean_talk_duration"}, "costs": set()}
    for call, fields in hidden.items():
        for row in client.rows(call, *DAY):
            assert fields & set(row) == (fields if value == "null" else set())
            assert {row.get(name) for name in fields} <= {None}
            assert call != "costs" or row["duration"] is not None
    shown = [name for name in names("legs") if name not in hidden["legs"]]
    truth = client.sandbox.truth("callgear", "legs", *DAY, fields=",".join(shown))
    assert client.day(fields=shown) == truth


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *(("null", None), ("zeros", "0000-00-00 00:00:00"), ("year1", "0001-01-01 00:00:00"), ("0", "0")),
        ("1970", "1970-01-01 01:00:00"),
    ],
)
def test_switch_no_time(switched: Switched, value: str, text: str | None) -> None:
    client = switched(no_time=value)
    rows = client.rows("legs", *DAY)
    unanswered = [row for row in rows if row["is_failed"]]
    assert {row["connect_time"] for row in unanswered} == {text}
    assert all(row["connect_time"].startswith("2026") for row in rows if not row["is_failed"])
    assert {row["sale_date"] for row in client.rows("calls", *DAY, fields=["start_time", "sale_date"])} == {text}


def test_switch_new_field(switched: Switched) -> None:
    client = switched(exchange=few(24), new_field="on")
    for call, method in METHODS.items():
        assert all(("speech_score" in row) is (call != "costs") for row in client.call(method, **window())["data"])
        named = client.call(method, **window(fields=["start_time"]))["data"]
        assert {tuple(row) for row in named} == {("start_time",)}


def test_switch_times(switched: Switched) -> None:
    client = switched(exchange=few(24))
    local = [row["start_time"] for row in client.rows("legs", *DAY)]
    client.sandbox.switch("callgear", "times", "utc")
    rows = client.rows("legs", *DAY)
    instants = [datetime.fromisoformat(text).replace(tzinfo=BERLIN) for text in local]
    assert [row["start_time"] for row in rows] == [f"{one.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for one in instants]
    assert all(row["connect_time"].endswith("Z") for row in rows)


def test_window_can_end_in_the_future_and_sort_direction_is_optional(client: CallGearClient) -> None:
    asked = window(until="2026-12-17 23:59:59", sort=[{"field": "start_time"}])
    starts = [row["start_time"] for row in client.call(METHODS["legs"], **asked)["data"]]
    assert starts == sorted(starts)
    assert len(starts) > 20


def test_switch_reasons(switched: Switched) -> None:
    client = switched()
    pairs = sample("callgear/data_finish_reasons.json")["pairs"]
    older = [row["finish_reason"] for row in client.day()]
    client.sandbox.switch("callgear", "reasons", "caller")
    newer = [row["finish_reason"] for row in client.day()]
    spelt = {two: one for one, two in pairs}
    assert newer == [spelt.get(one, one) for one in older]
    assert set(older) & set(spelt)
    wanted = {"field": "finish_reason", "operator": "=", "value": "caller_disconnects"}
    assert client.day(filter=wanted)


def test_switch_limits(switched: Switched, clock: HandClock) -> None:
    client = switched(limits="{}")
    assert client.call("get.account")["metadata"] == {"limits": {}}
    client.sandbox.switch("callgear", "limits", "on")
    clock.time += timedelta(seconds=17.5)
    assert client.call("get.account")["metadata"]["limits"] == {
        "day_limit": 3000,
        "day_remaining": 2998,
        "day_reset": 43_183,
        "minute_limit": 60,
        "minute_remaining": 58,
        "minute_reset": 43,
    }


def test_start_with_limits_turns_the_limits_on(run: Starter) -> None:
    with CallGearClient(run(limits=True)) as client:
        assert client.call("get.account")["metadata"]["limits"]["minute_remaining"] == 59


def test_switch_minute_limit(switched: Switched, clock: HandClock) -> None:
    client = switched(limits="on", minute_limit="2")
    assert client.why(METHODS["legs"]) == "required_parameter_missed"
    left = [client.call("get.account")["metadata"]["limits"]["minute_remaining"] for _ in range(2)]
    assert left == [1, 0], "only what succeeded costs a point"
    error = client.refused("get.account")
    assert error["message"] == "Limit per minute has been exceeded. Value of current limit per minute is 2"
    limits = error["data"]["metadata"]["limits"]
    clock.move(limits["minute_reset"] - 1)
    assert client.why("get.account") == "limit_exceeded"
    clock.move(1)
    assert client.call("get.account")


def test_switch_day_limit(switched: Switched, clock: HandClock) -> None:
    client = switched(limits="on", day_limit="2")
    for _ in range(2):
        client.call("get.account")
    error = client.refused("get.account")
    assert error["data"]["params"] == {"limit_type": "day", "limit_max_value": 2}
    clock.move(3600)
    assert client.why("get.account") == "limit_exceeded"
    clock.move(error["data"]["metadata"]["limits"]["day_reset"] - 3600)
    assert client.call("get.account")["metadata"]["limits"]["day_remaining"] == 1


def test_partner_and_customer_have_separate_points(switched: Switched) -> None:
    client = switched("partner", limits="on", minute_limit="1")
    client.call("get.customer_users")
    assert client.why("get.customer_users") == "limit_exceeded"
    assert client.call("get.account", access_token=client.sandbox.credentials("callgear")["access_token"])


@BUSY
def test_switch_deprecated(switched: Switched) -> None:
    client = switched()
    pair = ["release_cause_code", "release_cause_description"]
    assert {16: "Normal call clearing", 17: "User busy"}.items() <= {
        row[pair[0]]: row[pair[1]] for row in client.day()
    }.items()
    client.sandbox.switch("callgear", "deprecated", "null")
    assert {(row[pair[0]], row[pair[1]]) for row in client.day()} == {(None, None)}
    client.sandbox.switch("callgear", "deprecated", "absent")
    assert client.why(METHODS["legs"], **window(fields=pair)) == "unexpected_parameters"
    rows = client.rows("legs", *DAY)
    assert not set(rows[0]) & set(pair)
    assert not set(client.sandbox.truth("callgear", "legs", *DAY)[0]) & set(pair)


def test_switch_meta(switched: Switched) -> None:
    client = switched()
    assert list(client.call(METHODS["legs"], **window())) == ["data", "metadata"]
    client.sandbox.switch("callgear", "meta", "before")
    assert list(client.call(METHODS["legs"], **window())) == ["metadata", "data"]


def test_switch_get_account_meta(switched: Switched) -> None:
    client = switched(get_account_meta="meta_data")
    assert list(client.call("get.account")) == list(sample("callgear/doc_shape_get_account.json")["result"])
    assert "metadata" in client.call("getobj.account")


@pytest.mark.parametrize("zone", ["Asia/Dubai", "America/St_Johns", "UTC"])
def test_switch_zone(switched: Switched, zone: str) -> None:
    client = switched(zone=zone)
    assert client.call("get.account")["data"][0]["timezone"] == zone
    rows = client.rows("legs", *DAY, zone=ZoneInfo(zone), fields=names("legs"))
    assert rows == client.sandbox.truth("callgear", "legs", *DAY)
    first = datetime.fromisoformat(rows[0]["start_time"]).replace(tzinfo=ZoneInfo(zone))
    assert DAY[0] <= first < DAY[0] + timedelta(hours=1)
    assert client.sandbox.credentials("callgear", "partner")["timezone"] == zone


def test_unknown_zone_is_refused(sandbox: Sandbox) -> None:
    for zone in ("Europe/Atlantis", "CET-1"):
        assert zone not in available_timezones()
        with pytest.raises(ValueError, match="an IANA zone"):
            sandbox.switch("callgear", "zone", zone)


def test_switch_token_ttl(switched: Switched, clock: HandClock) -> None:
    client = switched("login", token_ttl="60")
    client.sign_in()
    clock.move(59)
    assert client.call("get.account")
    clock.move(1)
    assert client.why("get.account") == "access_token_invalid"
    client.sign_in()
    assert client.call("get.account")


def test_switch_ip(switched: Switched) -> None:
    client = switched("login", ip="unlisted")
    error = client.refused(
        "login.user", access_token=None, login=login_of(client), password=client.settings["password"]
    )
    assert error["message"] == "Your IP 127.0.0.1 is not whitelisted"
    assert error["data"]["params"] == {"ip": "127.0.0.1"}
    client.sandbox.switch("callgear", "ip", "listed")
    client.sign_in()


def test_switch_account(switched: Switched) -> None:
    client = switched(account="inactive")
    assert client.why("get.account") == client.why(METHODS["calls"], **window()) == "account_inactive"


def test_switch_deprecated_version(switched: Switched) -> None:
    client = switched(deprecated_version="on")
    meta = client.call(METHODS["legs"], **window())["metadata"]
    assert list(meta) == ["api_version", "total_items", "version", "limits"]
    assert list(meta["api_version"]) == ["current_version_deprecated", "current_version", "latest_version"]
    assert meta["api_version"]["current_version_deprecated"] is True


def test_switch_lag(switched: Switched, clock: HandClock) -> None:
    client = switched(exchange=few(1), lag="300")
    clock.time = DAY[0] + timedelta(seconds=62 + 299)
    assert client.day() == client.sandbox.truth("callgear", "legs", *DAY) == []
    clock.move(1)
    assert client.day() == client.sandbox.truth("callgear", "legs", *DAY) != []


def test_switch_error_data(switched: Switched) -> None:
    client = switched(error_data="full")
    data = client.refused("get.customer_users")["data"]
    assert data == {
        "mnemonic": "forbidden",
        "field": None,
        "value": None,
        "params": {},
        "extended_helper": None,
        "metadata": {},
    }


def test_switch_session_id(switched: Switched) -> None:
    client = switched()
    numbers = [row["call_session_id"] for row in client.rows("costs", *DAY)]
    client.sandbox.switch("callgear", "session_id", "string")
    assert [row["call_session_id"] for row in client.rows("costs", *DAY)] == [str(one) for one in numbers]
    assert {type(row["call_session_id"]) for row in client.day()} == {int}


def test_switch_refuse(switched: Switched) -> None:
    client = switched()
    for mnemonic in ERRORS:
        client.sandbox.switch("callgear", "refuse", mnemonic)
        error = client.refused("get.account")
        assert error["data"]["mnemonic"] == mnemonic
        assert "{" not in error["message"]
    with pytest.raises(ValueError, match="a mnemonic"):
        client.sandbox.switch("callgear", "refuse", "weather")


def test_sandbox_can_start_with_callgear_alone() -> None:
    with start(providers=["callgear"], now=HandClock()) as sandbox:
        assert list(sandbox.profiles) == ["callgear"]
        assert sandbox.base_urls["callgear"] == f"{sandbox.url}/callgear/v2.0"


def test_switch_call_session() -> None:
    assert several("callgear", "call_session_id", {}) == 0
    assert several("callgear", "call_session_id", {"call_session": "own"}) > 0
