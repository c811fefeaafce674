"""The imitated PBX's records, and how they are listed."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from cdrctl.sandbox import Exchange, Sandbox, straddlers, uniform
from cdrctl.sandbox.portsip.fields import (
    CALLLOG_KEYS,
    CDR_KEYS,
    RECORDING_KEYS,
)
from cdrctl.sandbox.portsip.filter_language import parse_filter
from cdrctl.sandbox.portsip.records import EPOCH
from cdrctl.sandbox.portsip.users import DOMAIN
from tests.sandbox.clients import at, sample
from tests.sandbox.conftest import BUSY, EXCHANGE, Starter
from tests.support.clock import HandClock

from .client import DAY, EVENING, WEEK, PortSIPClient, errors, full, refused, window

REAL = sample("portsip/real_cdrs_list.json")


# Records


def test_items_have_the_documented_keys_in_order(pbx: PortSIPClient) -> None:
    assert list(CDR_KEYS) == list(sample("portsip/doc_cdrs_list.json")["items"][0])
    assert list(CDR_KEYS[:-2]) == list(REAL["items"][0])
    assert list(CALLLOG_KEYS) == list(sample("portsip/doc_calllogs_list.json")["items"][0])
    assert list(RECORDING_KEYS) == list(sample("portsip/real_recordings_list.json")["items"][0])
    keys = {"/cdrs": CDR_KEYS, "/calllogs": CALLLOG_KEYS, "/recordings": RECORDING_KEYS}
    for path, names in keys.items():
        pages = pbx.pages(path, *DAY)
        assert list(pages[0]) == ["count", "items"]
        rows = [row for page in pages for row in page["items"]]
        assert {tuple(row) for row in rows} == {names}
        detail = pbx.get(f"{path}/{rows[0]['id']}").json()
        if path == "/calllogs":
            assert list(detail) == list(sample("portsip/doc_calllog_detail.json"))
        else:
            known = "doc_cdr_detail" if path == "/cdrs" else "real_recording_detail"
            assert list(detail) == ["items"]
            assert [list(one) for one in detail["items"]] == [list(sample(f"portsip/{known}.json")["items"][0])]
    named = [one["name"] for one in sample("portsip/data_fields.json")["fields"]]
    assert set(named) == {*CALLLOG_KEYS, "cost", "billed_account"}


def test_values_have_the_wire_types(pbx: PortSIPClient) -> None:
    rows = [*pbx.all("/cdrs", *WEEK), *pbx.all("/calllogs", *DAY)]
    for row in rows:
        for name, value in row.items():
            assert type(value) is (int if name in {"status_code", "duration"} else str), name
        assert re.fullmatch(r"\d{18,19}", row["id"])
        for name in ("started_at", "rang_at", "answered_at", "ended_at"):
            if value := row[name]:
                assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z", value), value
        times = [row[name] for name in ("started_at", "rang_at", "answered_at", "ended_at") if row[name]]
        read = [datetime.fromisoformat(one) for one in times]
        assert read == sorted(read)
        assert row["call_id"].endswith("..")
        assert len(row["call_id"]) == len(REAL["items"][0]["call_id"])
    assert max(len(row["started_at"]) for row in rows) == len("2024-08-20T06:00:59.457188Z")
    assert len({row["id"] for row in rows}) == len(rows)


def test_ids_encode_the_start_in_milliseconds_like_real_ids(pbx: PortSIPClient) -> None:
    for row in [*REAL["items"], *pbx.all("/cdrs", *DAY)]:
        begun = datetime.fromisoformat(row["started_at"])
        told = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=(int(row["id"]) >> 22) + EPOCH)
        assert abs(begun - told) <= timedelta(milliseconds=2)


def test_duration_is_the_difference_of_whole_seconds(pbx: PortSIPClient) -> None:
    rows = pbx.all("/cdrs", *WEEK)
    for row in [*REAL["items"], *rows]:
        ends = [row[name][:19] for name in ("answered_at", "ended_at")]
        expected = (datetime.fromisoformat(ends[1]) - datetime.fromisoformat(ends[0])).seconds if ends[0] else 0
        assert row["duration"] == expected


def test_enumerations_have_documented_values(pbx: PortSIPClient) -> None:
    rows = pbx.all("/cdrs", *WEEK)

    def words(name: str) -> set[Any]:
        return {row[name] for row in rows}

    assert words("direction") == {"INBOUND_CALL", "OUTBOUND_CALL", "EXTENSION_CALL", "INBOUND_OUTBOUND_CALL"}
    assert words("end_reason") == {
        *("CALLER_DISCONNECT", "", "CANCELLED", "BLIND_TRANSFER_COMPLETED", "CONSULT_TRANSFER_COMPLETED"),
    }
    assert words("reroute_reason") == {"", "TRANSFER"}
    assert words("status_code") == {0, 404, 480, 486, 487, 503, 603}
    assert words("service_number") == {"", "3000", "3001", "3002"}
    assert all(re.fullmatch(r"user-data=\w{6};service-number=300\d", one) for one in words("user_data") - {""})
    assert words("trunk") == {"", "Trunk A", "LGW-London-1"}


def test_rows_match_the_generated_calls(pbx: PortSIPClient, sandbox: Sandbox) -> None:
    calls = EXCHANGE.calls(*DAY)
    rows = pbx.all("/cdrs", *DAY)
    assert len(rows) == len(calls)
    for call, row in zip(calls, rows, strict=True):
        first = call.legs[0]
        inbound = first.party.kind == "outside"
        assert row["caller"] == (first.from_number.lstrip("+") if inbound else first.party.extension)
        assert row["caller_display_name"] == call.legs[0].from_name
        assert bool(row["did_cid"]) == inbound
        assert bool(row["trunk"]) == (row["direction"] != "EXTENSION_CALL")
        assert bool(row["outbound_caller_id"]) == (row["direction"] == "OUTBOUND_CALL")
        assert bool(row["answered_at"]) == (first.answer is not None)
        if row["direction"] == "EXTENSION_CALL":
            assert row["callee"] == first.to_number
            assert {row["caller_domain"], row["callee_domain"]} == {DOMAIN}
        if call.kind == "queue":
            assert (row["callee"], row["service_number"]) == ("3001", "3001")
        if not row["answered_at"]:
            assert row["status_code"] >= 400
            assert row["end_reason"] in {"", "CANCELLED"}
    logs = pbx.all("/calllogs", *DAY)
    sessions = Counter(row["session_id"] for row in logs)
    assert set(Counter(str(int(row["id"]) - 1) for row in rows)) == set(sessions)
    moved = [row for row in logs if row["reroute_reason"] == "TRANSFER"]
    assert moved
    assert any(row["end_reason"] == "REFERRED" for row in logs)
    assert all("sip:" in row["destination"] for row in moved)


def test_uniform_calls_make_an_exact_number_of_records(run: Starter) -> None:
    sandbox = run(exchange=full(321, legs=2))
    assert len(sandbox.truth("portsip", "cdrs", *EVENING)) == 321
    assert len(sandbox.truth("portsip", "calllogs", *EVENING)) == 642


def test_calls_of_one_millisecond_have_different_ids(run: Starter) -> None:
    calls = uniform(40, EVENING[0], EVENING[0] + timedelta(microseconds=40), legs=2)
    with PortSIPClient(run(exchange=Exchange(calls=calls))) as client:
        rows = [*client.all("/cdrs", *EVENING), *client.all("/calllogs", *EVENING)]
        assert len({row["id"] for row in rows}) == 120
        for row in rows[30:90:7]:
            path = "/calllogs" if "session_id" in row else "/cdrs"
            detail = client.get(f"{path}/{row['id']}").json()
            found = detail["items"][0] if path == "/cdrs" else detail
            assert found["call_id"] == row["call_id"]


# Listing


@pytest.mark.thin
@BUSY
@pytest.mark.parametrize("call", ["cdrs", "calllogs"])
@pytest.mark.parametrize("top", [1, 7, 100])
def test_paging_returns_exactly_the_true_records(run: Starter, call: str, top: int) -> None:
    sandbox = run(exchange=full(63, legs=2)) if top == 1 else run()
    with PortSIPClient(sandbox) as client:
        truth = sandbox.truth("portsip", call, *DAY)
        assert client.all(f"/{call}", *DAY, top=top) == truth
        assert len(truth) > 60
        pages = client.pages(f"/{call}", *DAY, top=top)
        assert {page["count"] for page in pages} == {len(truth)}


def test_windows_tile_to_the_microsecond(run: Starter) -> None:
    sandbox = run()
    rows = sandbox.truth("portsip", "cdrs", *DAY)
    cut = datetime.fromisoformat(rows[20]["started_at"])
    with PortSIPClient(sandbox) as client:
        assert client.all("/cdrs", DAY[0], cut) == rows[:20] == sandbox.truth("portsip", "cdrs", DAY[0], cut)
        assert client.all("/cdrs", cut, DAY[1]) == rows[20:] == sandbox.truth("portsip", "cdrs", cut, DAY[1])


def test_calls_that_start_on_a_bound_are_compared_exactly(run: Starter) -> None:
    with PortSIPClient(run(exchange=full(12))) as client:
        hour = at("2026-11-18T13:00"), at("2026-11-18T14:00")
        rows = client.all("/cdrs", *hour)
        assert [row["started_at"] for row in rows] == ["2026-11-18T13:00:00Z"]
        for word, many in (("eq", 1), ("ge", 11), ("gt", 10), ("le", 2), ("lt", 1)):
            found = client.get("/cdrs", filter=f"started_at {word} '2026-11-18T13:00:00Z'").json()
            assert found["count"] == many


def test_call_logs_are_selected_by_their_own_start(run: Starter) -> None:
    sandbox = run()
    truth = sandbox.truth("portsip", "calllogs", *DAY)
    cut = next(
        datetime.fromisoformat(b["started_at"])
        for a, b in pairwise(truth)
        if a["session_id"] == b["session_id"] and a["started_at"] < b["started_at"]
    )
    with PortSIPClient(sandbox) as client:
        parts = client.all("/calllogs", DAY[0], cut), client.all("/calllogs", cut, DAY[1])
        assert parts[0] + parts[1] == truth
        assert parts[0][-1]["session_id"] == parts[1][0]["session_id"]


@BUSY
def test_default_order_is_newest_first(pbx: PortSIPClient) -> None:
    assert REAL["items"][0]["started_at"] > REAL["items"][1]["started_at"]
    rows = pbx.get("/cdrs", filter=window(*DAY)).json()["items"]
    oldest = pbx.get("/cdrs", filter=window(*DAY), orderby="started_at").json()["items"]
    assert [row["started_at"] for row in rows] == sorted((row["started_at"] for row in rows), reverse=True)
    assert oldest[0]["started_at"] < rows[-1]["started_at"]


def test_call_appears_when_it_has_ended(run: Starter, clock: HandClock) -> None:
    calls = straddlers(at("2026-11-19"), 3)
    sandbox = run(exchange=Exchange(calls=calls))
    with PortSIPClient(sandbox) as client:
        clock.time = at("2026-11-19T00:01")
        assert client.all("/cdrs", *DAY) == sandbox.truth("portsip", "cdrs", *DAY) == []
        clock.time = at("2026-11-19T01:00")
        rows = client.all("/cdrs", *DAY)
        assert len(rows) == 3
        assert rows == sandbox.truth("portsip", "cdrs", *DAY)
        clock.time = at("2026-11-19T00:01")
        assert client.get(f"/cdrs/{rows[0]['id']}").status_code == 404


HELD: list[tuple[str, Any]] = [
    ("direction eq 'INBOUND_CALL'", lambda r: r["direction"] == "INBOUND_CALL"),
    ("direction ne 'INBOUND_CALL'", lambda r: r["direction"] != "INBOUND_CALL"),
    ("duration gt 60", lambda r: r["duration"] > 60),
    ("duration ge 60 and duration le 120", lambda r: 60 <= r["duration"] <= 120),
    ("duration lt 30.5", lambda r: r["duration"] < 30.5),
    ("status_code eq 0 or status_code eq 486", lambda r: r["status_code"] in {0, 486}),
    ("startswith(caller,'20')", lambda r: r["caller"].startswith("20")),
    ("endswith(callee, '7')", lambda r: r["callee"].endswith("7")),
    ("contains(caller_display_name,'Café')", lambda r: "Café" in r["caller_display_name"]),
    ("contains(caller_display_name,'O''Neil')", lambda r: "O'Neil" in r["caller_display_name"]),
    ("caller_display_name eq 'Dana O''Neil, \"Desk 3\"'", lambda r: r["caller_display_name"][:6] == "Dana O"),
    ("not startswith(caller,'20')", lambda r: not r["caller"].startswith("20")),
    ("not (duration gt 5 and direction eq 'EXTENSION_CALL')", lambda r: not (r["duration"] > 5 and not r["trunk"])),
    (
        "duration gt 60 or duration lt 9 and trunk eq 'Trunk A'",
        lambda r: r["duration"] > 60 or (r["duration"] < 9 and r["trunk"] == "Trunk A"),
    ),
    (
        "(duration gt 60 or duration lt 9) and trunk eq 'Trunk A'",
        lambda r: (r["duration"] > 60 or r["duration"] < 9) and r["trunk"] == "Trunk A",
    ),
    ("answered_at eq ''", lambda r: not r["answered_at"]),
    ("answered_at ne null", lambda r: bool(r["answered_at"])),
    ("answered_at ge '2026-11-18T18:00:00Z'", lambda r: r["answered_at"] >= "2026-11-18T18"),
    ("not answered_at ge '2026-11-18T18:00:00+00:00'", lambda r: r["answered_at"] < "2026-11-18T18"),
    ("ended_at lt '2026-11-18T18:00:00Z'", lambda r: r["ended_at"] < "2026-11-18T18"),
    (
        "started_at gt '2026-11-18T18:00:00Z' or started_at le '2026-11-18T03:00:00Z'",
        lambda r: r["started_at"] > "2026-11-18T18" or r["started_at"] < "2026-11-18T03",
    ),
]


@BUSY
def test_a_filter_keeps_the_records_that_match(pbx: PortSIPClient, sandbox: Sandbox) -> None:
    truth = sandbox.truth("portsip", "cdrs", *DAY)
    for text, holds in HELD:
        expected = [row for row in truth if holds(row)]
        assert 0 < len(expected) < len(truth), text
        assert pbx.filtered(text) == expected, text


@pytest.mark.parametrize(
    "text",
    [
        *("started_at", "started_at ge", "started_at ge 2026-11-18T00:00:00Z", "started_at ge 'yesterday'"),
        *("started_at ge '2026-11-18'", 'started_at ge "2026-11-18T00:00:00Z"', "start_time ge '2026-11-18T00:00:00Z'"),
        *(
            "started_at GE '2026-11-18T00:00:00Z'",
            "duration gt '60'",
            "caller eq 101",
            "caller eq '101",
            "(duration gt 1",
        ),
        *("duration gt 1)", "duration gt 1 and", "duration gt 1 duration lt 2", "contains(duration,'1')", "not"),
        *("startswith(caller)", "like(caller,'1')", "answered_at gt ''", "caller eq '1'' or 'x'", "caller = '1'"),
        *("session_id eq '1'", "started_at ge '2026-13-18T00:00:00Z'", "caller eq yes", "(" * 200 + "duration gt 1"),
    ],
)
def test_invalid_filter_is_refused(pbx: PortSIPClient, text: str) -> None:
    answer = pbx.get("/cdrs", filter=text)
    assert answer.status_code == 400
    assert answer.json() == sample("portsip/constructed_error_validate_failed_400.json")


NAMES = st.sampled_from(("a", "''", "x y", "'", "O'Neil", "and", ")"))


@pytest.mark.slow
@given(
    parts=st.lists(st.tuples(NAMES, st.sampled_from(("eq", "ne")), st.booleans()), min_size=1, max_size=5), said=NAMES
)
@settings(max_examples=100, deadline=None, database=None)
def test_filter_has_the_precedence_of_python(parts: list[tuple[str, str, bool]], said: str) -> None:
    text = expression = ""
    for n, (name, word, negated) in enumerate(parts):
        join = ("", " and ", " or ")[0 if not n else n % 2 + 1]
        quoted = name.replace("'", "''")
        text += f"{join}{'not ' * negated}caller {word} '{quoted}'"
        expression += f"{join}{'not ' * negated}(said {'==' if word == 'eq' else '!='} {name!r})"
    expected = eval(expression, {"said": said})  # noqa: S307 - an expression made here
    assert parse_filter(text, CDR_KEYS).holds({"caller": said}) == expected


def test_records_can_be_sorted_and_searched(pbx: PortSIPClient, sandbox: Sandbox) -> None:
    truth = sandbox.truth("portsip", "cdrs", *DAY)
    asked = "caller asc, duration desc"
    rows = pbx.all("/cdrs", *DAY, orderby=asked, top=9)
    assert rows == sorted(truth, key=lambda row: (row["caller"], -row["duration"]))
    assert pbx.all("/cdrs", *DAY, orderby="started_at desc") == truth[::-1]
    for wrong in ("caller up", "nothing", "caller asc desc", "caller,", ","):
        assert pbx.get("/cdrs", orderby=wrong).json() == refused("orderby")
    found = pbx.all("/cdrs", *DAY, search="LI WEI")
    assert found == [row for row in truth if "Li Wei" in {row["caller_display_name"], row["callee_display_name"]}]
    assert found
    both = pbx.filtered("direction eq 'OUTBOUND_CALL'", search="li wei")
    assert both == [row for row in found if row["direction"] == "OUTBOUND_CALL"]


def test_unknown_query_option_is_ignored(run: Starter) -> None:
    with PortSIPClient(run(exchange=full(101))) as client:
        assert len(client.get("/cdrs", **{"$filter": "nonsense", "$top": 1}).json()["items"]) == 100


def test_unknown_paths_methods_and_calls_are_refused(pbx: PortSIPClient, sandbox: Sandbox) -> None:
    for path in ("/nothing", "/cdrs/1/2", "/user/nothing", "/blobs/nothing", "/call_reports/1", "/user"):
        answer = pbx.get(path)
        assert (answer.status_code, answer.json()) == (404, errors("UNKNOWN", "not found")), path
    for path in ("/cdrs", "/calllogs", "/cdrs/1", "/recordings", "/blobs/x", "/auth/user"):
        assert pbx.post(path, {}).status_code == 405
    assert pbx.get("/auth/sign_in").status_code == 405
    with pytest.raises(ValueError, match="cdrs and calllogs"):
        sandbox.truth("portsip", "legs", *DAY)
    with pytest.raises(ValueError, match="password, access_token, standard_user"):
        sandbox.credentials("portsip", "api_key")
