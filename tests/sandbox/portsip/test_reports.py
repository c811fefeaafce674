"""Call reports of the imitated PBX, and faults."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, Sandbox, uniform
from cdrctl.sandbox.portsip.cron import parse_cron
from cdrctl.sandbox.portsip.fields import (
    COMPLETED_KEYS,
    REPORT_KEYS,
    REPORT_TYPES,
)
from tests.sandbox.clients import at, sample
from tests.sandbox.conftest import EXCHANGE, Starter
from tests.support.clock import HandClock
from tests.support.products import for_each

from .client import DAY, REPORT, PortSIPClient, Row, errors, refused, window

# Call reports


def test_report_runs_and_its_file_can_be_downloaded(pbx: PortSIPClient, sandbox: Sandbox, clock: HandClock) -> None:
    answer = pbx.post("/call_reports", REPORT)
    assert answer.status_code == 201
    assert list(answer.json()) == list(sample("portsip/doc_call_report_create_201.json"))
    number = answer.json()["id"]
    listed = pbx.get("/call_reports").json()
    assert list(listed) == ["count", "items"]
    assert list(listed["items"][0]) == list(REPORT_KEYS)
    assert list(REPORT_KEYS) == list(sample("portsip/doc_call_reports_list.json")["items"][0])
    detail = pbx.get(f"/call_reports/{number}").json()
    assert list(detail) == list(sample("portsip/doc_call_report_detail.json"))
    assert detail["status"] == "RUNNING"
    clock.move(4)
    assert pbx.completed() == []
    clock.move(1)
    (row,) = pbx.completed(filter="name eq 'nightly'")
    assert list(row) == list(COMPLETED_KEYS) == list(sample("portsip/doc_completed_call_report_detail.json"))
    assert row["id"] != number
    assert row["completed_at"] == "2026-11-20T12:00:05Z"
    assert row["file_url"].startswith("/api/blobs/")
    pbx.token = ""
    file = pbx.download(row)
    assert sandbox.requests[-1].provider == "portsip"
    assert "authorization" not in sandbox.requests[-1].headers
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["Content-Disposition"] == f'attachment; filename="{row["file_name"]}"'
    assert len(file.content) == row["file_size"]
    head, *lines = csv.reader(io.StringIO(file.text, newline=""))
    truth = sandbox.truth("portsip", "cdrs", at("2026-11-19"), at("2026-11-20"))
    assert [line[:3] for line in lines] == [[one[n] for n in ("started_at", "caller", "callee")] for one in truth]
    assert head[0] == "Start Time"
    # The same file under the mount point, for clients that keep a path before /api.
    assert pbx.http.get(f"{sandbox.url}/portsip{row['file_url']}").content == file.content


def test_report_has_the_calls_that_ended_before_its_run(run: Starter, clock: HandClock) -> None:
    calls = uniform(6, at("2026-11-20T11:00"), at("2026-11-20T12:00"), talk_seconds=1500)
    with PortSIPClient(run(exchange=Exchange(calls=calls))) as client:
        client.report(range="TODAY")
        clock.move(3600)
        assert client.download(client.completed()[0]).text.count("\n") - 1 == 4


def test_normal_report_is_truncated_at_its_limit(
    pbx: PortSIPClient, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdrctl.sandbox.portsip.report_tables.LARGEST_REPORT", 7)
    pbx.report()
    clock.move(5)
    assert pbx.download(pbx.completed()[0]).text.count("\n") - 1 == 7


def test_destroyed_report_is_gone(pbx: PortSIPClient, clock: HandClock) -> None:
    number = pbx.report()
    clock.move(5)
    (row,) = pbx.completed()
    for path in (f"/call_reports/{number}", f"/completed_call_reports/{row['id']}"):
        assert pbx.get(path).status_code == 200
        assert pbx.post(f"{path}/destroy").status_code == 204
        again = pbx.post(f"{path}/destroy")
        assert (again.status_code, again.json()) == (400, errors("UNKNOWN", "Invalid entry ID supplied"))
        assert pbx.get(path).status_code == 404
    assert pbx.download(row).status_code == 404
    assert pbx.post("/call_reports/1", {}).status_code == 404


WRONG: list[tuple[str, Row]] = [
    *((name, {name: None}) for name in ("name", "type", "email", "format", "range", "filter", "started_at")),
    ("type", {"type": "normal"}),
    ("email", {"email": "x" * 129}),
    ("format", {"format": "XLSX"}),
    ("range", {"range": "LAST_YEAR"}),
    ("started_at", {"range": "CUSTOM"}),
    ("ended_at", {"range": "CUSTOM", "started_at": "2026-11-18T00:00:00Z"}),
    ("started_at", {"range": "CUSTOM", "started_at": "2026-11-18", "ended_at": "2026-11-19T00:00:00Z"}),
    ("ended_at", {"range": "CUSTOM", "started_at": "2026-11-18T00:00:00Z", "ended_at": "2026-11-17T00:00:00Z"}),
    *(("cron_expr", {"cron_expr": one}) for one in ("text", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *")),
    *(("cron_expr", {"cron_expr": one}) for one in ("*/0 * * * *", "* * * foo *", "*-5 * * * *", "1,,2 * * * *")),
    ("filter", {"filter": []}),
    ("filter.from", {"filter": {"from": "SOMEBODY"}}),
    ("filter.from_value", {"filter": {"from": "NUMBER"}}),
    ("filter.to_value", {"filter": {"to": "NUMBERS_CONTAIN", "to_value": ""}}),
    ("filter.from_value", {"filter": {"from": "EXTENSION_OR_EXTENSION_RANGE", "from_value": "101-"}}),
    ("filter.answer_state", {"filter": {"answer_state": "MAYBE"}}),
    ("filter.duration", {"filter": {"duration": 5}}),
    ("filter.duration_from", {"filter": {"duration_from": -1}}),
    ("filter.duration_to", {"filter": {"duration_to": True}}),
    ("filter.call_queues", {"filter": {"call_queues": ["3001"]}}),
    *(("filter.from", {"type": kind, "filter": {"from": "ANY"}}) for kind in REPORT_TYPES if kind != "NORMAL"),
    ("filter.type", {"type": "EXTENSION_GROUP_CALL_COST", "filter": {"type": "INTERNAL"}}),
    ("filter.groups", {"type": "EXTENSION_GROUP_CALL_COST", "filter": {"groups": [""]}}),
    ("filter.groups", {"type": "EXTENSION_GROUP_CALL_COST", "filter": {"groups": ["x" * 65]}}),
    ("filter.call_queues", {"type": "QUEUE_PERFORMANCE", "filter": {"call_queues": ["12"]}}),
    ("filter.call_queues", {"type": "QUEUE_CALLBACKS", "filter": {"call_queues": "3001"}}),
    (
        "filter.exclude_calls_dropped_before_seconds",
        {"type": "QUEUE_FAILED_CALLBACKS", "filter": {"exclude_calls_dropped_before_seconds": 5}},
    ),
    (
        "filter.enable_exclude_calls_dropped_before_seconds",
        {"type": "QUEUE_SLA_STATISTICS", "filter": {"enable_exclude_calls_dropped_before_seconds": "yes"}},
    ),
    ("filter.ring_groups", {"type": "RING_GROUP_STATISTICS", "filter": {"ring_groups": ["x00"]}}),
]


@pytest.mark.parametrize(("field", "changes"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_invalid_report_is_refused_with_the_field_name(pbx: PortSIPClient, field: str, changes: Row) -> None:
    body = {name: value for name, value in (REPORT | changes).items() if value is not None or name == "started_at"}
    answer = pbx.post("/call_reports", body)
    assert (answer.status_code, answer.json()) == (400, refused(field))
    assert pbx.get("/call_reports").json()["items"] == []


RANGES = {
    "TODAY": (at("2026-11-20"), at("2026-11-20T12:00")),
    "YESTERDAY": (at("2026-11-19"), at("2026-11-20")),
    "LAST_WEEK": (at("2026-11-09"), at("2026-11-16")),
    "LAST_SEVEN_DAYS": (at("2026-11-13"), at("2026-11-20")),
    "LAST_MONTH": (at("2026-10-01"), at("2026-11-01")),
    "LAST_THIRTY_DAYS": (at("2026-10-21"), at("2026-11-20")),
    "CUSTOM": (at("2026-11-18T06:00"), at("2026-11-18T18:00")),
}


@pytest.mark.parametrize("range_", RANGES)
def test_report_covers_its_range(run: Starter, clock: HandClock, range_: str) -> None:
    calls = uniform(600, at("2026-09-25"), at("2026-11-24"), talk_seconds=1)
    sandbox = run(exchange=Exchange(calls=calls))
    with PortSIPClient(sandbox) as client:
        times = {"started_at": "2026-11-18T06:00:00Z", "ended_at": "2026-11-18T18:00:00Z"} if range_ == "CUSTOM" else {}
        client.report(range=range_, **times)
        clock.move(3600)
        (row,) = client.completed()
        lines = list(csv.reader(io.StringIO(client.download(row).text, newline="")))[1:]
        begun = [line[0] for line in lines]
        assert begun == [one["started_at"] for one in sandbox.truth("portsip", "cdrs", *RANGES[range_])]
        assert begun


NORMAL_FILTERS: list[tuple[Row, Any]] = [
    ({"answer_state": "ANSWERED"}, lambda r: r["answered_at"]),
    ({"answer_state": "NOT_ANSWERED"}, lambda r: not r["answered_at"]),
    ({"from": "EXTENSION_OR_EXTENSION_RANGE", "from_value": "2001-2004"}, lambda r: "2001" <= r["caller"] <= "2004"),
    ({"from": "NUMBERS_START_WITH", "from_value": "1202"}, lambda r: r["caller"].startswith("1202")),
    ({"to": "NUMBERS_CONTAIN", "to_value": "55"}, lambda r: "55" in r["callee"]),
    ({"to": "INTERNAL_EXTENSIONS"}, lambda r: len(r["callee"]) == 4 and r["callee"] != "3999"),
    ({"from": "EXTERNAL_NUMBERS"}, lambda r: len(r["caller"]) > 4),
    ({"to": "NUMBER", "to_value": "3001"}, lambda r: r["callee"] == "3001"),
    ({"duration": "TALK_DURATION", "duration_from": 30, "duration_to": 90}, lambda r: 30 <= r["duration"] <= 90),
]


@pytest.mark.parametrize(("wanted", "holds"), NORMAL_FILTERS, ids=[str(one) for one, _ in NORMAL_FILTERS])
def test_normal_report_applies_its_filter(
    pbx: PortSIPClient, sandbox: Sandbox, clock: HandClock, wanted: Row, holds: Any
) -> None:
    pbx.report(filter=wanted)
    clock.move(5)
    lines = list(csv.reader(io.StringIO(pbx.download(pbx.completed()[0]).text, newline="")))[1:]
    truth = sandbox.truth("portsip", "cdrs", *RANGES["YESTERDAY"])
    expected = [row["started_at"] for row in truth if holds(row)]
    assert [line[0] for line in lines] == expected
    assert 0 < len(expected) < len(truth)


def test_statistics_reports_count_calls(pbx: PortSIPClient, sandbox: Sandbox, clock: HandClock) -> None:
    kinds = ("QUEUE_PERFORMANCE", "RING_GROUP_STATISTICS", "QUEUE_ABANDONED_CALLS", "EXTENSION_GROUP_CALL_COST")
    for kind in kinds:
        pbx.report(name=kind, type=kind, filter={}, range="LAST_SEVEN_DAYS", format="CSV")
    clock.move(5)
    files = {row["name"]: pbx.download(row).text for row in pbx.completed()}
    tables = {name: list(csv.reader(io.StringIO(text, newline="")))[1:] for name, text in files.items()}
    calls = EXCHANGE.calls(*RANGES["LAST_SEVEN_DAYS"])
    queue = [call for call in calls if call.kind == "queue"]
    gone = [call for call in queue if call.outcome == "abandoned"]
    assert tables["QUEUE_PERFORMANCE"][0][:4] == ["3001", *map(str, (len(queue), len(queue) - len(gone), len(gone)))]
    assert tables["RING_GROUP_STATISTICS"][0][:2] == ["3002", str(sum(call.kind == "hunt_group" for call in calls))]
    assert len(tables["QUEUE_ABANDONED_CALLS"]) == len(gone) > 0
    assert sum(int(row[1]) for row in tables["EXTENSION_GROUP_CALL_COST"]) == sum(
        call.kind == "outbound" for call in calls
    )


def test_html_report_escapes_names(pbx: PortSIPClient, sandbox: Sandbox, clock: HandClock) -> None:
    pbx.report(name="<b>x</b>", format="HTML")
    clock.move(5)
    (row,) = pbx.completed()
    assert row["file_name"].endswith(".html")
    text = pbx.download(row).text
    assert text.startswith("<!DOCTYPE html>")
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert text.count("<tr>") == len(sandbox.truth("portsip", "cdrs", *RANGES["YESTERDAY"])) + 1


def test_scheduled_report_runs_at_every_due_time(pbx: PortSIPClient, clock: HandClock) -> None:
    number = pbx.report(cron_expr="0 1 * * mon-fri")
    path = f"/call_reports/{number}"
    assert pbx.get(path).json()["status"] == "SCHEDULED"
    assert pbx.completed() == []
    clock.time = at("2026-11-23T01:00") + timedelta(seconds=2)
    assert pbx.get(path).json()["status"] == "RUNNING"
    clock.time = at("2026-11-25T12:00")
    assert [row["completed_at"] for row in pbx.completed()] == [f"2026-11-{n}T01:00:05Z" for n in (23, 24, 25)]
    assert pbx.get(path).json()["status"] == "SCHEDULED"
    assert pbx.post(path, {"cron_expr": "", "name": "later", "type": "ignored"}).status_code == 200
    clock.time = at("2026-11-30T12:00")
    assert len(pbx.completed()) == 3
    assert (pbx.get(path).json()["name"], pbx.get(path).json()["type"]) == ("later", "NORMAL")


@for_each(
    "text, due, not_due",
    [
        ("30 2 * * *", "2026-11-20T02:30", "2026-11-20T02:31"),
        ("*/20 * * * *", "2026-11-20T02:40", "2026-11-20T02:50"),
        ("0 0 1 * mon", "2026-11-23T00:00", "2026-11-24T00:00"),
        ("0 0 1 * mon", "2026-12-01T00:00", "2026-12-02T00:00"),
        ("0 0 */2 * mon", "2026-11-23T00:00", "2026-11-30T00:00"),
        ("0 0 * dec 7", "2026-12-06T00:00", "2026-11-22T00:00"),
        ("@hourly", "2026-11-20T02:00", "2026-11-20T02:01"),
        ("1-9/4,30 0 * * 0", "2026-11-22T00:09", "2026-11-22T00:07"),
        ("5/25 * * * *", "2026-11-20T02:55", "2026-11-20T02:50"),
    ],
)
def test_cron_expression_is_due_at_matching_times(text: str, due: str, not_due: str) -> None:
    assert parse_cron(text).due(at(due))
    assert not parse_cron(text).due(at(not_due))


def test_reports_can_be_sorted_filtered_and_searched(pbx: PortSIPClient) -> None:
    for name in ("b", "a", "c"):
        pbx.report(name=name)
    assert [one["name"] for one in pbx.get("/call_reports", orderby="name desc", top=2).json()["items"]] == ["c", "b"]
    assert [one["name"] for one in pbx.get("/call_reports", filter="name gt 'a'").json()["items"]] == ["b", "c"]
    page = pbx.get("/call_reports", search="A", filter="name eq 'a'", skip=0).json()
    assert (page["count"], page["items"][0]["name"]) == (1, "a")
    assert pbx.get("/call_reports", filter="email eq 'x'").json() == refused("filter")


# Faults


def test_faults_have_the_shape_of_this_api(sandbox: Sandbox) -> None:
    known = {one["status"]: one["body"] for one in sample("portsip/constructed_http_errors.json")["errors"][3:]}
    with PortSIPClient(sandbox) as client:
        for status in (401, 403, 429):
            sandbox.fail("portsip", status, path="/cdrs")
            answer = client.get("/cdrs", filter=window(*DAY))
            assert (answer.status_code, answer.json()) == (status, known[status])
            assert client.get("/cdrs", filter=window(*DAY)).status_code == 200
        sandbox.fail("portsip", "wrong_shape")
        assert "items" not in client.get("/cdrs").json()
        sandbox.fail("portsip", "expire")
        assert client.get("/cdrs").status_code == 401
