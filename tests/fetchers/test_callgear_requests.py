"""CallGear requests and envelopes, fields that a host refuses, and access checks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest

from cdrctl.errors import ProviderError
from cdrctl.fetchers import check_access
from cdrctl.fetchers.callgear import PROVIDER
from cdrctl.fetchers.callgear.fields import LEGS
from cdrctl.fetchers.callgear.settings import CallGearSettings
from cdrctl.records.events import Checkpoint, Gap, Note, Page
from cdrctl.records.schemas import common as common_schema, native
from cdrctl.windows import rfc3339
from tests.support.products import for_each

from .callgear_kit import NOW, SINCE, UNTIL, URL, Rule, Service, Wire, a_day, as_sent, at, failed, reply

# The envelope


def test_request_is_as_documented() -> None:
    """There is one URL. The key is among the parameters and in no header, and each request has its own id."""
    service = a_day(1)
    assert len(service.ids(SINCE, UNTIL)) == 1
    account, listing, probe = service.asked
    assert account == {"jsonrpc": "2.0", "id": 1, "method": "get.account", "params": {"access_token": "T0KEN"}}
    assert listing == {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "get.call_legs_report",
        "params": {
            "access_token": "T0KEN",
            "date_from": "2026-11-18 00:59:59",
            "date_till": "2026-11-19 01:00:01",
            "limit": 10_000,
            "offset": 0,
            "sort": [{"field": "start_time", "order": "asc"}],
            "fields": [one.name for one in LEGS],
        },
    }
    assert (
        probe["params"] | {"date_from": "2026-11-19 01:00:00", "date_till": "2026-11-20 01:00:01", "limit": 1}
        == (probe["params"])
    )
    for request in service.requests:
        assert (request.method, str(request.url)) == ("POST", URL)
        assert request.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert "Authorization" not in request.headers


@for_each("given", ["7", 3, None, True, [2]])
def test_a_response_with_another_id_is_retried_and_refused(given: Any) -> None:
    def other(body: Wire) -> httpx.Response:
        return httpx.Response(200, json={**json.loads(reply(body, [], 0).content), "id": given})

    service = a_day(2, rules={"get.call_legs_report": [other]})
    assert len(service.ids(SINCE, UNTIL)) == 2
    service = a_day(2, rules={"get.call_legs_report": [other] * 9})
    error = service.fails(ProviderError)
    assert error.exit_code == 7
    assert len(service.asked) == 6


def test_a_response_may_repeat_the_id_as_text() -> None:
    """An example in the documentation does."""

    def as_text(body: Wire) -> httpx.Response:
        return reply({"id": str(body["id"])}, [], 0)

    assert Service(rules={"get.call_legs_report": [as_text, as_text]}).ids(SINCE, UNTIL) == []


@for_each(
    "body",
    [
        *([], "text", 7, {}, {"result": None}, {"result": []}, {"result": {}}, {"result": {"data": None}}),
        *({"result": {"data": {}}}, {"result": {"data": [1]}}, {"result": {"rows": []}}),
    ],
)
def test_a_response_of_another_shape_is_not_read_as_empty(body: Any) -> None:
    def odd(asked: Wire) -> httpx.Response:
        return httpx.Response(200, json={"id": asked["id"], **body} if isinstance(body, dict) else body)

    service = Service(rules={"get.call_legs_report": [odd] * 9})
    error = service.fails(ProviderError)
    assert error.exit_code == 7


@for_each(
    "call, method, extra",
    [
        ("legs", "get.call_legs_report", {"fields"}),
        ("calls", "get.calls_report", {"fields"}),
        ("costs", "get.financial_call_legs_report", set()),
    ],
)
def test_each_call_sends_the_documented_parameters(call: str, method: str, extra: set[str]) -> None:
    service = a_day(1)
    service.records(SINCE, UNTIL, call)
    assert [body["method"] for body in service.asked] == ["get.account", method, method]
    known = {"access_token", "date_from", "date_till", "limit", "offset", "sort"}
    assert all(set(params) == known | extra for params in service.params)


def test_ongoing_calls_are_requested_only_with_the_option() -> None:
    service = a_day(1)
    service.ids(SINCE, UNTIL, "calls", ongoing=True)
    assert [params["include_ongoing_calls"] for params in service.params] == [True, True]


def test_a_partner_names_the_customer_except_to_list_customers() -> None:
    service = a_day(1, settings={"access_token": "T0KEN", "user_id": "2000"})
    service.ids(SINCE, UNTIL)
    assert [body["params"]["user_id"] for body in service.asked] == [2000, 2000, 2000]
    service = Service(settings={"access_token": "T0KEN", "user_id": 2000})
    service.rules["get.customer_users"] = [lambda body: as_sent("constructed_customer_users_page.json", body)]
    assert service.ids(SINCE, UNTIL, "users") == [2000]
    assert [body["params"] for body in service.asked] == [
        {
            "access_token": "T0KEN",
            "limit": 10_000,
            "offset": 0,
            "sort": [{"field": "customer_id", "order": "asc"}],
        }
    ]


# Fields


def refusing(*names: str, named: bool = True) -> Rule:
    """Return a service that refuses some fields."""

    def rule(body: Wire) -> httpx.Response:
        for name in body["params"].get("fields", []):
            if name in names:
                said = {"field": name, "value": name} if named else {}
                return failed(body, -32602, "unexpected_parameters", "Unexpected method parameter(s)", **said)
        return reply(body, [{"id": 1, "start_time": "2026-11-18 10:00:00"}], 1)

    return rule


def test_a_field_that_is_refused_is_left_out_from_then_on() -> None:
    rule = refusing("wav_call_records", "finish_reason")
    service = Service(rules={"get.call_legs_report": [rule] * 9})
    assert service.ids(SINCE, UNTIL) == [1]
    assert service.ids(SINCE - timedelta(days=40), UNTIL)
    everything = [one.name for one in LEGS]
    fewer = [name for name in everything if name not in {"wav_call_records", "finish_reason"}]
    assert [params["fields"] for params in service.params][:4] == [
        everything,
        [name for name in everything if name != "wav_call_records"],
        fewer,
        fewer,
    ]
    assert "CallGear does not know wav_call_records: left out of the request" in service.told


def test_collected_refusal_names_the_field() -> None:
    rules = [lambda body: as_sent("constructed_error_unexpected_parameters.json", body), refusing()]
    service = Service(rules={"get.call_legs_report": [*rules, refusing()]})
    assert service.ids(SINCE, UNTIL) == [1]
    assert "wav_call_records" not in service.params[1]["fields"]


def test_a_refusal_without_a_field_name_falls_back_to_the_first_documents_fields_then_to_no_fields() -> None:
    service = Service(rules={"get.call_legs_report": [refusing("wav_call_records", named=False)] * 4})
    assert service.ids(SINCE, UNTIL) == [1]
    assert set(service.params[0]["fields"]) - set(service.params[1]["fields"]) == {"wav_call_records"}
    assert len(service.params[2]["fields"]) == 33
    service = Service(rules={"get.call_legs_report": [refusing("is_coach", named=False)] * 9})
    assert service.ids(SINCE, UNTIL) == [1]
    assert [len(params.get("fields", ())) for params in service.params][:6] == [34, 33, 32, 31, 0, 0]
    missing = {"wav_call_records", "finish_reason", "finish_reason_description"}
    assert set(service.params[0]["fields"]) - set(service.params[3]["fields"]) == missing


@for_each("data", [None, "x", 7, [7]])
def test_an_account_of_another_shape_is_an_error(data: Any) -> None:
    assert a_day(1, rules={"get.account": [lambda body: reply(body, data)]}).fails(ProviderError).exit_code == 7


def test_no_fields_are_sent_to_a_host_without_that_parameter() -> None:
    def rule(body: Wire) -> httpx.Response:
        if "fields" in body["params"]:
            return failed(body, -32602, "unexpected_parameters", field="fields", value=["id"])
        return reply(body, [], 0)

    service = Service(rules={"get.calls_report": [rule] * 3})
    service.rules["get.calls_report"][0] = lambda body: failed(
        body, -32602, "unexpected_parameters", field="fields", value=None
    )
    assert service.ids(SINCE, UNTIL, "calls") == []
    assert ["fields" in params for params in service.params] == [True, False, False]


@for_each("name", ["id", "start_time", "limit", "user_id"])
def test_a_refused_field_that_is_needed_ends_the_run_and_is_named(name: str) -> None:
    def rule(body: Wire) -> httpx.Response:
        return failed(body, -32602, "unexpected_parameters", field=name, value=7)

    service = Service(rules={"get.call_legs_report": [rule] * 9})
    error = service.fails(ProviderError)
    assert name in error.message
    assert error.exit_code == 7
    assert len(service.asked) == 2


# Contexts, checks and settings


def test_pages_have_the_zone_and_the_host_of_recordings() -> None:
    service = a_day(1, settings={"access_token": "T0KEN", "app_host": "app.callgear.ae/"})
    pages = [piece for piece in service.pieces(SINCE, UNTIL) if isinstance(piece, Page)]
    assert [page.context for page in pages] == [{"timezone": "Europe/Berlin", "app_host": "https://app.callgear.ae"}]


@for_each(
    "host, app_host, link",
    [
        ("dataapi.callgear.com", None, "https://app.callgear.com/system/media/talk/7/a1"),
        ("dataapi.callgear.com", "app.callgear.ae", "https://app.callgear.ae/system/media/talk/7/a1"),
        ("DataAPI.CallGear.com", None, "https://app.callgear.com/system/media/talk/7/a1"),
        ("dataapi.callgear.ae", None, "https://app.callgear.ae/system/media/talk/7/a1"),
        ("dataapi.uiscom.ru", None, "https://app.uiscom.ru/system/media/talk/7/a1/"),
        ("dataapi.comagic.ru", None, "https://app.comagic.ru/system/media/talk/7/a1/"),
        ("dataapi-jsonrpc.novofon.ru", None, None),
        ("dataapi-jsonrpc.novofon.ru", "https://app.example", "https://app.example/system/media/talk/7/a1"),
        ("dataapi.example", None, None),
        ("callgear.com.example", None, None),
        ("notcallgear.com", None, None),
    ],
)
@for_each("call", ["legs", "calls"])
def test_link_to_a_recording_has_the_host_of_the_brand(
    call: str, host: str, app_host: str | None, link: str | None
) -> None:
    """The link has the communication's id if the record has it; in legs it is the call's own id."""
    service = a_day(0, settings={"access_token": "T0KEN", "base_url": f"https://{host}/v2.0"})
    if app_host is not None:
        service.settings["app_host"] = app_host
    more = {"call_session_id": 7} if call == "legs" else {"communication_id": 7}
    service.add(at("2026-11-18T08:00"), call_records=["a1"], **more)
    [page] = [piece for piece in service.pieces(SINCE, UNTIL, call) if isinstance(piece, Page) and piece.records]
    columns, to_common = PROVIDER.call(call).columns, PROVIDER.call(call).common
    assert to_common is not None
    fields = ["recording_url"]
    schema = common_schema(columns, to_common, fields, lambda _text: None, provider="callgear", profile="p")
    assert [list(row) for row in schema.rows(page)] == [[link]]
    [row] = native(columns, ["app_host"], lambda _text: None).rows(page)
    assert list(row) == [link and link.partition("/system")[0]]


def test_no_request_is_sent_before_the_first_event_is_read() -> None:
    service = a_day(1)
    service.pieces(SINCE, UNTIL)
    assert service.asked == []


def test_a_check_reads_the_zone_and_counts_the_legs_of_a_day() -> None:
    service = Service(rules={"get.call_legs_report": [lambda body: reply(body, [{"id": 1}], 7)]})
    with closing(service.client()) as client:
        found = check_access(PROVIDER, client, service.profile)
    assert "Europe/Berlin" in found
    assert "7 legs" in found
    assert service.spans == []
    assert (service.params[0]["limit"], service.params[0]["date_from"]) == (1, "2026-11-19 12:59:59")


def test_a_fetch_yields_pages_notes_gaps_and_checkpoints() -> None:
    service = a_day(2)
    assert {type(piece) for piece in service.pieces(SINCE, UNTIL)} <= {Page, Note, Gap, Checkpoint}


def test_invalid_settings_are_refused() -> None:
    for wrong in ({"app_host": "ftp://x"}, {"app_host": "https://u:p@x"}, {"user_id": "me"}, {"app_host": ""}):
        with pytest.raises(ValueError, match=r"app_host|user_id"):
            CallGearSettings.of(wrong)
    assert CallGearSettings.of({}).base_url == URL


@for_each("host", ["dataapi.callgear.com", "dataapi.uiscom.ru", "192.0.2.7", "127.0.0.1.example"])
def test_base_url_with_http_is_accepted_for_this_machine_only(host: str) -> None:
    with pytest.raises(ValueError, match="https://"):
        CallGearSettings.of({"base_url": f"http://{host}/v2.0"})
    for local in ("127.0.0.1:8000", "localhost", "[::1]:8000"):
        assert CallGearSettings.of({"base_url": f"http://{local}/v2.0"}).base_url.startswith("http://")


def test_calls_and_authentication_methods_of_callgear() -> None:
    names: Sequence[str] = [call.name for call in PROVIDER.calls]
    assert names == ["legs", "calls", "costs", "users"]
    ways: Mapping[str, tuple[str, ...]] = {"key": ("access_token",), "login": ("login", "password")}
    assert ways == PROVIDER.auth_methods
    assert rfc3339(NOW - PROVIDER.call("legs").timing.lag) == "2026-11-20T11:55:00.000Z"
