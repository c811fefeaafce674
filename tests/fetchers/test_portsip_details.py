"""The cost and the details of a PortSIP record, and refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    UsageError,
)
from tests.support.products import for_each

from .portsip_kit import Server, failure, page, refused, row, run
from .test_portsip import sample

ERRORS = sample("constructed_http_errors.json")["errors"]

# The cost


def test_the_cost_takes_a_request_for_each_record() -> None:
    """A note says how many first. Only records of the window are requested, each once, and their other fields stay."""
    details = {
        "900001": {"items": [{"caller": "changed", "cost": 0.12, "billed_account": "101"}]},
        "900002": sample("constructed_cdr_detail_two_legs.json"),
        "900003": {"items": [{"caller": "x"}]},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        key = request.url.path.removeprefix("/api/cdrs").strip("/")
        outside = row(9, "2026-11-19T00:00:00Z")
        return httpx.Response(200, json=details[key]) if key else page([row(1), outside, row(2), row(3), row(1)], 4)

    server = Server(by=answer)
    done = run(server, with_cost=True)
    assert done.rows == [
        {**row(1), "cost": 0.12, "billed_account": "101"},
        {**row(2), "cost": "0.12", "billed_account": "101"},
        row(3),
    ]
    assert any("one request for each of 4 records" in text for text in done.told)
    assert server.queries[0]["top"] == "1"
    assert server.lines[1:] == ["GET /cdrs", "GET /cdrs/900001", "GET /cdrs/900002", "GET /cdrs/900003"]


def test_an_unavailable_cost_is_a_gap() -> None:
    """The record is exported all the same."""
    flat = httpx.Response(200, json=sample("doc_calllog_detail.json"))
    server = Server(page([row(1)], 3), page([row(1), row(2), {"started_at": "2026-11-18T00:00:00Z"}]))
    server.answers = iter([*server.answers, failure(404), flat])
    done = run(server, "calllogs", with_cost=True)
    assert [one.get("cost") for one in done.rows] == [None, 1, None]
    assert done.gaps[0].startswith("the cost of record 900001 could not be fetched")
    assert len(done.gaps) == 2
    assert server.lines[2:] == ["GET /calllogs/900001", "GET /calllogs/900002"]


# One record


def test_detail_of_a_call_has_its_numbered_legs() -> None:
    """Its id is that of the request, legs are numbered, and ids are quoted in the URL."""
    server = Server(
        httpx.Response(200, json=sample("doc_cdr_detail.json")),
        httpx.Response(200, json=sample("constructed_cdr_detail_two_legs.json")),
    )
    one, legs = run(server, "cdr", id="a/b="), run(server, "cdr", id="878")
    assert [dict(context) for context in one.contexts] == [{"id": "a/b="}]
    assert [dict(context) for context in legs.contexts] == [{"id": "878#1"}, {"id": "878#2"}]
    assert server.asked[0].url.raw_path == b"/api/cdrs/a%2Fb%3D"


def test_detail_of_a_call_log() -> None:
    server = Server(httpx.Response(200, json=sample("doc_calllog_detail.json")))
    assert run(server, "calllog", id="7").rows == [sample("doc_calllog_detail.json")]
    assert server.lines == ["GET /calllogs/7"]


@for_each("key", ["", " ", ".", "..", " . "])
def test_an_empty_id_is_refused(key: str) -> None:
    for call in ("cdr", "calllog", "reports show", "reports delete", "completed-reports download"):
        refused(Server(), UsageError, call, id=key)


def test_a_call_without_legs_gives_no_record() -> None:
    refused(Server(httpx.Response(200, json={"items": []})), ProviderError, "cdr", id="7")


# Errors


@for_each(
    "call, options, answer, kind, words",
    [
        (
            "cdrs",
            {},
            ERRORS[0],
            ProviderError,
            'refused to list cdrs|field validation failed {"field": "filter"}|sent was',
        ),
        (
            "cdrs",
            {"filter": ("x",)},
            ERRORS[0],
            UsageError,
            "does not accept --filter 'x'|field validation|sent was: (x)",
        ),
        ("cdrs", {"search": "q"}, ERRORS[1], UsageError, "--search 'q'||"),
        ("cdrs", {}, ERRORS[1], ProviderError, "refused to list cdrs||five years"),
        (
            "cdrs",
            {},
            ERRORS[4],
            RightsError,
            "may not read the tenant's calls: it needs the role Admin|unknown error|--own",
        ),
        ("cdrs", {"own": True}, ERRORS[4], RightsError, "may not read its own calls||"),
        ("reports list", {}, ERRORS[4], RightsError, "call reports|unknown error|Admin or QueueManager"),
        ("completed-reports show", {"id": "7"}, ERRORS[4], RightsError, "call reports||"),
        ("calllogs", {}, ERRORS[5], ProviderError, "this PBX does not know /calllogs (needs v22.0.42)|not found|cdrs"),
        ("calllog", {"id": "7"}, ERRORS[5], ProviderError, "no such record in /calllogs (call logs need v22.0.42)||"),
        ("cdr", {"id": "7"}, ERRORS[5], ProviderError, "no such record in /cdrs|not found|column id"),
        ("reports show", {"id": "7"}, ERRORS[5], ProviderError, "no such record in /call_reports||"),
        ("reports delete", {"id": "7"}, ERRORS[5], ProviderError, "no such record in /call_reports||"),
        (
            "cdr",
            {"id": "7"},
            {"status": 400, "body": "Invalid entry ID supplied"},
            ProviderError,
            "there is no such record||",
        ),
        ("cdrs", {}, ERRORS[3], SignInError, "the access token has expired||access_token"),
        ("cdrs", {}, {"status": 418, "body": ""}, ProviderError, "HTTP 418||"),
        ("cdrs", {}, {"status": 302, "body": ""}, ConfigurationError, "redirects||base_url"),
    ],
)
def test_refusal_has_a_message_and_a_hint(
    call: str, options: dict[str, Any], answer: Any, kind: type[CdrctlError], words: str
) -> None:
    """The error has what happened, the PBX's own message, and the next step."""
    body = answer["body"]
    if isinstance(body, str):
        body = {"errors": [{"code": "UNKNOWN", "message": body}]} if body else b""
    made = (
        httpx.Response(answer["status"], content=body)
        if isinstance(body, bytes)
        else httpx.Response(answer["status"], json=body)
    )
    error = refused(Server(by=lambda _request: made), kind, call, **options)
    message, theirs, hint = words.split("|")
    assert message in error.message
    assert theirs in (error.said or "")
    assert hint in (error.hint or "")


@for_each("body", [{}, {"items": None}, {"items": {}}, {"items": [1]}, [], 7, {"count": 0}])
def test_a_listing_of_another_shape_is_an_error(body: Any) -> None:
    for call in ("cdrs", "calllogs", "reports list", "completed-reports list"):
        assert refused(Server(by=lambda _request: httpx.Response(200, json=body)), ProviderError, call).exit_code == 7


@for_each("body", [{}, [], 7, {"items": 3}, {"items": [[]]}])
def test_a_record_of_another_shape_is_an_error(body: Any) -> None:
    for call in ("cdr", "calllog", "reports show", "completed-reports show"):
        refused(Server(by=lambda _request: httpx.Response(200, json=body)), ProviderError, call, id="7")


@for_each("size", [0, 101, -1])
def test_page_size_outside_1_to_100_is_refused(size: int) -> None:
    assert "1 to 100" in refused(Server(), UsageError, page_size=size).message


def test_invalid_values_of_options_are_refused_before_a_request() -> None:
    assert "--filter is empty" in refused(Server(), UsageError, filter=(" ",)).message
    assert "--window" in refused(Server(), UsageError, window=timedelta(0)).message
