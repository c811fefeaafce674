"""PortSIP call reports: create, list, show, update and delete."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from cdrctl.errors import (
    ProviderError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers.portsip.cron import cron
from cdrctl.fetchers.portsip.report_form import FILTERS
from tests.support.products import for_each

from .portsip_kit import WANTED, Server, failure, page, refused, run
from .test_portsip import sample

# Call reports: requests


FLOW = sample("constructed_call_report_flow.json")["steps"]

MADE = httpx.Response(201, json=sample("doc_call_report_create_201.json"))
DETAIL = httpx.Response(200, json=sample("doc_call_report_detail.json"))
KEY = "NzAwNTUxOTA5NzczMTQ4MTYw"


def sent(**options: Any) -> dict[str, Any]:
    """Return the body of the request for a report."""
    server = Server(MADE, DETAIL)
    assert run(server, "reports create", **{**WANTED, **options}).rows == [sample("doc_call_report_detail.json")]
    assert server.lines == ["POST /call_reports", f"GET /call_reports/{KEY}"]
    body: dict[str, Any] = server.bodies[0]
    return body


def unsent(**options: Any) -> str:
    """Return the message and the hint if a report is refused before any request."""
    error = refused(Server(), UsageError, "reports create", **{**WANTED, **options})
    return f"{error.message} | {error.hint}"


def test_report_request_is_as_documented() -> None:
    body = FLOW[0]["request"]["body"]
    given: dict[str, Any] = {name: body[name] for name in ("name", "type", "email", "range")}
    times: dict[str, Any] = {"started_at": "2026-11-17T01:00+01:00", "ended_at": "2026-11-18T00:00Z"}
    assert sent(**given, **times, file_format="csv") == body
    assert list(sent(**given, **times)) == list(body)
    without = {**given, "range": None}
    assert sent(**without, **times)["range"] == "CUSTOM"


def test_report_without_a_name_gets_one() -> None:
    body = sent()
    assert re.fullmatch("cdrctl-20261120T120000Z-[0-9a-f]{4}", body["name"])
    assert sent(cron="0 6 * * 1-5")["cron_expr"] == "0 6 * * 1-5"
    assert "cron_expr" not in body


NORMAL = {"from": "ANY", "to": "ANY", "answer_state": "ANY", "duration": "ANY"}
QUEUES = [name for name in FILTERS if "QUEUE" in name]
SECONDS = "exclude_calls_dropped_before_seconds"


@for_each(
    "kind, given, filter_sent",
    [
        ("NORMAL", (), NORMAL),
        ("normal", ("from=number", "from_value=101"), {**NORMAL, "from": "NUMBER", "from_value": "101"}),
        (
            "NORMAL",
            ("to=EXTENSION_OR_EXTENSION_RANGE", "to_value=101-110", "answer_state=not-answered"),
            {**NORMAL, "to": "EXTENSION_OR_EXTENSION_RANGE", "to_value": "101-110", "answer_state": "NOT_ANSWERED"},
        ),
        (
            "NORMAL",
            ("duration=TALK_DURATION", "duration_from=10", "duration_to=60"),
            {**NORMAL, "duration": "TALK_DURATION", "duration_from": 10, "duration_to": 60},
        ),
        (
            "NORMAL",
            ('{"from": "ANY", "from_value": "text", "duration_from": 1}',),
            {**NORMAL, "from_value": "text", "duration_from": 1},
        ),
        (
            "EXTENSION_GROUP_CALL_COST",
            ("groups=Sales, A B", "groups=C"),
            {"type": "ANY", "groups": ["Sales", "A B", "C"]},
        ),
        (
            "EXTENSION_GROUP_CALL_COST",
            ('{"type": "mobile", "groups": ["a,b"]}',),
            {"type": "MOBILE", "groups": ["a,b"]},
        ),
        *((kind, ("call_queues=8000,8001",), {"call_queues": ["8000", "8001"]}) for kind in QUEUES),
        (
            "QUEUE_PERFORMANCE",
            ("call_queues=8000", f"{SECONDS}=5"),
            {f"enable_{SECONDS}": True, SECONDS: 5, "call_queues": ["8000"]},
        ),
        (
            "TEAM-QUEUE-GENERAL-STATISTICS",
            (f'{{"call_queues": [8000], "enable_{SECONDS}": false}}',),
            {f"enable_{SECONDS}": False, "call_queues": ["8000"]},
        ),
        ("RING_GROUP_STATISTICS", ("ring_groups=900",), {"ring_groups": ["900"]}),
    ],
)
def test_filters_of_every_type(kind: str, given: tuple[str, ...], filter_sent: dict[str, Any]) -> None:
    body = sent(type=kind, filter=given)
    assert body["filter"] == filter_sent
    assert body["type"] == kind.upper().replace("-", "_")


def test_report_types_ranges_and_enumerations_follow_the_specification() -> None:
    """They are compared with the vendor's own file."""
    document = sample("openapi_v22.2_trimmed.json")
    schema = document["paths"]["/call_reports"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    properties = schema["properties"]
    assert list(FILTERS) == properties["type"]["enum"]
    assert unsent(range="SOON").endswith(", ".join(properties["range"]["enum"]))
    assert unsent(file_format="PDF").endswith(", ".join(properties["format"]["enum"]))
    shapes = [one.get("properties") or one["allOf"][0]["properties"] for one in properties["filter"]["oneOf"]]
    told = [{name: rule.get("enum") for name, rule in shape.items()} for shape in shapes]
    for fields in FILTERS.values():
        assert {name: list(rule) if isinstance(rule, tuple) else None for name, rule in fields.items()} in told


@for_each(
    "options, words",
    [
        ({"type": None}, "needs a --type | the types are: NORMAL, EXTENSION_GROUP_CALL_COST"),
        ({"type": "QUEUE_PERFORMENCE"}, "did you mean QUEUE_PERFORMANCE"),
        ({"type": "zzz"}, "--type 'zzz' is not known | allowed: NORMAL"),
        ({"email": None}, "needs an --email"),
        ({"email": "nobody"}, "is not an e-mail address"),
        ({"email": "a@b" + "c" * 126}, "up to 128"),
        ({"range": None}, "needs a --range | the ranges are: TODAY"),
        ({"range": "LAST_WEAK"}, "did you mean LAST_WEEK"),
        ({"file_format": "XLS"}, "allowed: CSV, HTML"),
        ({"name": " "}, "--name is empty"),
        ({"range": "CUSTOM"}, "needs --started-at and --ended-at"),
        ({"range": "CUSTOM", "started_at": "2026-11-18T00:00Z"}, "needs --started-at and --ended-at"),
        ({"started_at": "2026-11-18T00:00Z"}, "need --range CUSTOM, but the range is YESTERDAY"),
        ({"range": "CUSTOM", "started_at": "2026-11-18T00:00Z", "ended_at": "2026-11-18T00:00Z"}, "before it begins"),
        ({"range": "CUSTOM", "started_at": "2026-11-18", "ended_at": "now"}, "--started-at '2026-11-18' has no offset"),
        ({"range": "CUSTOM", "started_at": "soon", "ended_at": "now"}, "--started-at 'soon'"),
        ({"cron": "0 6 * *"}, "4 fields, not five"),
        ({"cron": ""}, "0 fields"),
        ({"cron": "0 6 * * 1", "wait": True}, "--wait cannot be combined with --cron"),
        ({"filter": ("form=ANY",)}, "has no filter 'form' | did you mean from"),
        ({"filter": ("call_queues=8000",)}, "its filters: from, from_value"),
        ({"filter": ("from",)}, "written KEY=VALUE"),
        ({"filter": ("from=ANY", "from=NUMBER")}, "given twice"),
        ({"filter": ("from=NUMBR",)}, "did you mean NUMBER"),
        ({"filter": ("from=NUMBER",)}, "from=NUMBER needs a value"),
        ({"filter": ("to=NUMBERS_CONTAIN", "from_value=1")}, "to=NUMBERS_CONTAIN needs a value"),
        ({"filter": ("from=EXTENSION_OR_EXTENSION_RANGE", "from_value=110-101")}, "write 101, or 101-110"),
        ({"filter": ("from=EXTENSION_OR_EXTENSION_RANGE", "from_value=a")}, "write 101, or 101-110"),
        ({"filter": ("duration=RING_DURATION",)}, "needs a length"),
        ({"filter": ("duration_from=9", "duration_to=8")}, "is more than"),
        ({"filter": ("duration_from=-1",)}, "a whole number of seconds"),
        ({"filter": ("duration_from=x",)}, "a whole number of seconds"),
        ({"filter": ("{",)}, "not a JSON object"),
        ({"filter": ("[]",)}, "not a JSON object"),
        ({"filter": ("{}", "{}")}, "not a JSON object"),
        ({"type": "RING_GROUP_STATISTICS"}, "needs the filter ring_groups | for example --filter ring_groups=9000"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("{}",)}, "needs the filter call_queues"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("call_queues=80",)}, "3 to 64 digits"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("call_queues=8000,",)}, "3 to 64 digits"),
        ({"type": "QUEUE_CALLBACKS", "filter": ('{"call_queues": [true]}',)}, "3 to 64 digits"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("call_queues=800", f"enable_{SECONDS}=yes")}, "true or false"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("call_queues=800", f"enable_{SECONDS}=true")}, "needs the seconds"),
        ({"type": "QUEUE_FAILED_CALLBACKS", "filter": ("call_queues=800", f"{SECONDS}=5")}, "its filters: call_queues"),
        ({"type": "EXTENSION_GROUP_CALL_COST", "filter": ("groups=" + "x" * 65,)}, "1 to 64 characters"),
        ({"type": "EXTENSION_GROUP_CALL_COST", "filter": ("groups=x", "type=FREE")}, "allowed: ANY, LOCAL"),
    ],
)
def test_invalid_report_is_refused_before_a_request(options: dict[str, Any], words: str) -> None:
    """The message has the allowed values, and similar ones."""
    assert words in unsent(**options)


@for_each(
    "text",
    ["* * * * *", "*/15 0-23/2 1,15 * *", "0 6 * jan-mar mon-fri", "0 0 29 2 *", "5/10 * * * 7", "0 0 31 2 1",
     "0 0 * * fri-sun", "59 23 31 12 0"],
)  # fmt: skip
def test_valid_timetable_is_accepted(text: str) -> None:
    assert cron(f" {text.replace(' ', '  ')} ") == text


@for_each(
    "text",
    ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * 0 *", "* * * * 8", "5-1 * * * *",
     "*/0 * * * *", "1,,2 * * * *", "@daily", "* * * * * *", "? * * * *", "* * L * *", "* 1-sun * * *", "* * * sun *",
     "* * * * jan", "0 0 31 4 *", "0 0 30 2 *", "-1 * * * *", "1- * * * *", "\u0661 * * * *", "1a * * * *",
     "*1 * * * *"],
)  # fmt: skip
def test_an_invalid_timetable_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--cron"):
        cron(text)


# Call reports: list, show, update and delete


def test_list_of_reports_has_the_filter_and_order_of_the_user() -> None:
    """The order is the user's, or else ours."""
    server = Server(httpx.Response(200, json={**sample("doc_call_reports_list.json"), "count": 1}), page([]), page([]))
    assert run(server, "reports list").rows == sample("doc_call_reports_list.json")["items"]
    run(server, "completed-reports list", filter=("name eq 'x'",), search="s", orderby="name desc", page_size=5)
    run(server, "completed-reports list")
    assert server.lines == ["GET /call_reports", "GET /completed_call_reports", "GET /completed_call_reports"]
    assert server.queries[0] == {"orderby": "id asc", "top": "100", "skip": "0", "count": "true"}
    words = {"filter": "name eq 'x'", "search": "s", "orderby": "name desc, id asc"}
    assert server.queries[1] == {**words, "top": "5", "skip": "0", "count": "true"}


def test_report_is_shown_and_deleted() -> None:
    """A deleted report is shown as it was. A successful response may have no body."""
    finished = httpx.Response(200, json=sample("doc_completed_call_report_detail.json"))
    server = Server(DETAIL, finished, DETAIL, httpx.Response(204), finished, httpx.Response(204))
    assert run(server, "reports show", id="7").rows == [sample("doc_call_report_detail.json")]
    assert run(server, "completed-reports show", id="8").rows == [sample("doc_completed_call_report_detail.json")]
    assert run(server, "reports delete", id="7").rows == [sample("doc_call_report_detail.json")]
    assert run(server, "completed-reports delete", id="a/b").rows == [sample("doc_completed_call_report_detail.json")]
    assert server.lines[2:4] == ["GET /call_reports/7", "POST /call_reports/7/destroy"]
    assert server.asked[5].url.raw_path == b"/api/completed_call_reports/a%2Fb/destroy"


def test_update_sends_only_the_given_fields() -> None:
    """The filter is checked for the type of the report."""
    server = Server(DETAIL, httpx.Response(200), DETAIL)
    run(server, "reports update", id="7", email="new@example.com", filter=("to=internal_extensions",))
    assert server.lines == ["GET /call_reports/7", "POST /call_reports/7", "GET /call_reports/7"]
    assert server.bodies[1] == {"email": "new@example.com", "filter": {**NORMAL, "to": "INTERNAL_EXTENSIONS"}}
    custom = {**sample("doc_call_report_detail.json"), "range": "CUSTOM", "ended_at": "2026-11-18T00:00:00Z"}
    server = Server(httpx.Response(200, json=custom), httpx.Response(200), DETAIL)
    run(server, "reports update", id="7", started_at="2026-11-17T00:00:00Z", file_format="html", cron="0 6 * * *")
    assert server.bodies[1] == {"format": "HTML", "started_at": "2026-11-17T00:00:00Z", "cron_expr": "0 6 * * *"}


@for_each(
    "options, asked, words",
    [
        ({}, 0, "no setting of the report was given"),
        ({"range": "SOON"}, 0, "--range 'SOON'"),
        ({"filter": ("ring_groups=900",)}, 1, "has no filter 'ring_groups'"),
        ({"started_at": "2026-11-17T00:00:00Z"}, 1, "the range is TODAY"),
    ],
)
def test_invalid_update_is_refused(options: dict[str, Any], asked: int, words: str) -> None:
    server = Server(DETAIL)
    assert words in refused(server, UsageError, "reports update", id="7", **options).message
    assert len(server.asked) == asked


@for_each("answer", [httpx.Response(500), httpx.Response(503), httpx.Response(201), httpx.Response(201, text="<html>")])
def test_creating_a_report_is_not_retried(answer: httpx.Response) -> None:
    """The report may have been created, so the hint says how to check."""
    server = Server(answer)
    error = refused(server, TemporaryError, "reports create", name="mine", **WANTED)
    assert error.hint is not None
    assert "the report may have been created: look for mine with `cdrctl portsip reports list`" in error.hint
    assert len(server.asked) == 1


def test_creating_a_report_is_retried_after_a_rate_limit() -> None:
    server = Server(httpx.Response(429), httpx.Response(429), MADE, DETAIL)
    assert 25 <= run(server, "reports create", **WANTED).waited <= 27
    assert server.bodies[0] == server.bodies[2]
    server = Server(by=lambda _request: httpx.Response(429))
    error = refused(server, TemporaryError, "reports create", **WANTED)
    assert "may have been created" not in (error.hint or "")
    assert len(server.asked) == 4


def test_update_and_delete_are_not_retried() -> None:
    for call in ("reports delete", "completed-reports delete"):
        server = Server(DETAIL, httpx.Response(500))
        refused(server, TemporaryError, call, id="7")
        assert len(server.asked) == 2


def test_created_report_that_is_gone_is_reported_as_created() -> None:
    server = Server(MADE, failure(404))
    done = run(server, "reports create", name="mine", **WANTED)
    assert [(one["id"], one["name"]) for one in done.rows] == [(KEY, "mine")]
    assert any("was created" in text for text in done.told)
    error = refused(Server(httpx.Response(201, json={})), ProviderError, "reports create", **WANTED)
    assert "reports list" in (error.hint or "")
