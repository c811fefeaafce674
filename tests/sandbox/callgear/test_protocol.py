"""JSON-RPC as the imitated CallGear speaks it: sign-in, partners, errors and faults."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.callgear import ERRORS
from tests.support.clock import HandClock

from .client import DAY, METHODS, CallGearClient, Switched, few, login_of, ordered, window

# The protocol


@pytest.mark.parametrize(
    ("body", "mnemonic", "given"),
    [
        (b"{", "parse_error", None),
        (b"\xff", "parse_error", None),
        (b"[" * 5000, "parse_error", None),
        ([], "batch_operations_not_supported", None),
        ([{"jsonrpc": "2.0", "id": 1}], "batch_operations_not_supported", None),
        ("text", "invalid_request", None),
        ({"jsonrpc": "2.0", "method": "get.account", "params": {}}, "notifications_not_supported", None),
        ({"jsonrpc": "2.0", "id": None, "method": "get.account", "params": {}}, "invalid_request", None),
        ({"jsonrpc": "2.0", "id": True, "method": "get.account", "params": {}}, "invalid_request", None),
        ({"jsonrpc": "1.0", "id": 5, "method": "get.account", "params": {}}, "invalid_request", 5),
        ({"jsonrpc": "2.0", "id": 5, "method": "get.account"}, "invalid_request", 5),
        ({"jsonrpc": "2.0", "id": 5, "method": "get.account", "params": []}, "invalid_request", 5),
        ({"jsonrpc": "2.0", "id": 5, "params": {}}, "invalid_request", 5),
        ({"jsonrpc": "2.0", "id": "a", "method": "get.weather", "params": {}}, "method_not_found", "a"),
        ({"jsonrpc": "2.0", "id": "a", "method": "get.account", "params": {}}, "required_parameter_missed", "a"),
    ],
)
def test_invalid_request_is_refused(client: CallGearClient, body: Any, mnemonic: str, given: Any) -> None:
    page = client.post(body)
    assert page.status_code == 200
    assert page.json()["error"]["data"]["mnemonic"] == mnemonic
    assert page.json()["id"] == given


def test_response_has_the_id_of_the_request(client: CallGearClient) -> None:
    for given in (1, 2.5, "9c1b", 10**15):
        body = {"jsonrpc": "2.0", "id": given, "method": "get.account", "params": {"access_token": client.token}}
        page = client.post(body)
        assert page.json()["id"] == given
        assert page.headers["Content-Type"] == "application/json; charset=UTF-8"


def test_only_post_to_the_documented_address_is_accepted(client: CallGearClient) -> None:
    assert client.url.endswith("/callgear/v2.0")
    assert client.http.get(client.url).status_code == 405
    for path in ("/calls", "/v2/calls"):
        assert client.http.post(client.url + path, json={}).status_code == 404
    assert client.http.post(client.url + "/", content=b"{").json()["error"]["code"] == -32700


@pytest.mark.parametrize(
    ("more", "mnemonic", "name"),
    [
        ({"date_from": None}, "required_parameter_missed", "date_from"),
        ({"date_from": "2026-11-18"}, "invalid_parameter_value", "date_from"),
        ({"date_from": "2026-11-18T00:00:00"}, "invalid_parameter_value", "date_from"),
        ({"date_from": "2026-02-30 00:00:00"}, "invalid_parameter_value", "date_from"),
        ({"date_till": "9999-12-31 00:00:00"}, "invalid_parameter_value", "date_till"),
        ({"date_from": "0001-01-01 00:00:00"}, "invalid_parameter_value", "date_from"),
        ({"date_from": 20261118}, "data_type_error", "date_from"),
        ({"date_till": "2026-11-17 00:00:00"}, "invalid_parameters_combination", "date_till"),
        ({"date_till": "2027-02-18 00:00:01"}, "date_interval_limit_reached", "date_till"),
        ({"limit": 0}, "invalid_parameter_value", "limit"),
        ({"limit": 10_001}, "invalid_parameter_value", "limit"),
        ({"limit": "10"}, "data_type_error", "limit"),
        ({"limit": True}, "data_type_error", "limit"),
        ({"offset": -1}, "invalid_parameter_value", "offset"),
        ({"offset": 100_001}, "invalid_parameter_value", "offset"),
        ({"include_ongoing_calls": True}, "unexpected_parameters", "include_ongoing_calls"),
        ({"colour": "blue"}, "unexpected_parameters", "colour"),
        ({"fields": "id"}, "data_type_error", "fields"),
        ({"fields": [1]}, "data_type_error", "fields"),
        ({"fields": ["colour"]}, "unexpected_parameters", "colour"),
        ({"fields": ["tag_name"]}, "unexpected_parameters", "tag_name"),
        ({"sort": {"field": "id"}}, "data_type_error", "sort"),
        ({"sort": ["id"]}, "data_type_error", "sort"),
        ({"sort": [{"field": "id"}]}, "sort_prohibited", "id"),
        ({"sort": [{"field": "colour"}]}, "unexpected_parameters", "colour"),
        ({"sort": [{"field": "duration", "way": "up"}]}, "unexpected_parameters", "way"),
        ({"sort": [{"field": "duration", "order": "up"}]}, "invalid_parameter_value", "sort.order"),
        ({"sort": [{"field": "duration", "order": ["asc"]}]}, "invalid_parameter_value", "sort.order"),
        ({"filter": []}, "data_type_error", "filter"),
        ({"filter": {"field": "id"}}, "required_parameter_missed", "filter.operator"),
        ({"filter": {"field": 1, "operator": "="}}, "data_type_error", "filter.field"),
        ({"filter": {"field": "colour", "operator": "="}}, "unexpected_parameters", "colour"),
        ({"filter": {"field": "id", "operator": "=", "negate": True}}, "unexpected_parameters", "negate"),
        ({"filter": {"field": "start_time", "operator": "=", "value": ""}}, "filter_prohibited", "start_time"),
        ({"filter": {"field": "id", "operator": "like", "value": "1%"}}, "invalid_parameter_value", "filter.operator"),
        ({"filter": {"field": "id", "operator": "not_in", "value": [1]}}, "invalid_parameter_value", "filter.operator"),
        ({"filter": {"field": "id", "operator": "=", "value": "1"}}, "data_type_error", "id"),
        ({"filter": {"field": "id", "operator": "in", "value": 1}}, "data_type_error", "id"),
        ({"filter": {"field": "is_coach", "operator": "=", "value": 1}}, "data_type_error", "is_coach"),
        (
            {"filter": {"field": "group_name", "operator": "regexp", "value": "("}},
            "invalid_parameter_value",
            "group_name",
        ),
        ({"filter": {"filters": [], "condition": "and"}}, "data_type_error", "filter.filters"),
        ({"filter": {"filters": [{}], "condition": "xor"}}, "invalid_parameter_value", "filter.condition"),
        ({"filter": {"filters": [{}], "condition": []}}, "invalid_parameter_value", "filter.condition"),
        ({"filter": {"filters": [{}], "joined": "or"}}, "unexpected_parameters", "joined"),
    ],
)
def test_invalid_parameters_are_refused(client: CallGearClient, more: dict[str, Any], mnemonic: str, name: str) -> None:
    error = client.refused(METHODS["legs"], **window() | more)
    assert (error["data"]["mnemonic"], error["data"]["field"]) == (mnemonic, name)
    assert error["message"] == ERRORS[mnemonic][1]


def test_three_months_are_calendar_months(switched: Switched) -> None:
    client = switched(exchange=few(1))
    for since, until, fits in (
        ("2026-08-18 00:00:00", "2026-11-18 00:00:00", True),
        ("2026-08-18 00:00:00", "2026-11-18 00:00:01", False),
        ("2025-11-30 12:00:00", "2026-02-28 12:00:00", True),
        ("2025-11-30 12:00:00", "2026-02-28 12:00:01", False),
    ):
        body = client.send(METHODS["costs"], **window(since, until)).json()
        assert ("result" in body) is fits


# Signing in


def test_wrong_secrets_are_refused(switched: Switched) -> None:
    client, login = switched(), switched("login")
    client.token = "EXAMPLE-WRONG"
    error = client.refused("get.account")
    assert error["data"] == {
        "mnemonic": "access_token_invalid",
        "field": "access_token",
        "value": "EXAMPLE-WRONG",
        "metadata": {},
    }
    client.token = 5
    assert client.why("get.account") == "data_type_error"
    assert login.why("login.user", login=login_of(login), password="wrong") == "auth_error"
    assert login.why("login.user", login="nobody", password=login.settings["password"]) == "auth_error"
    assert login.why("login.user", login=login_of(login)) == "required_parameter_missed"
    assert login.refused("login.user", login="x", password="y")["data"]["extended_helper"].startswith("https://")
    assert client.why("login.user", access_token="x", login="x", password="y") == "unexpected_parameters"


def test_login_token_is_valid_until_logout(switched: Switched, clock: HandClock) -> None:
    client = switched("login")
    data = client.sign_in()
    assert data["expire_at"] == int(clock.time.timestamp()) + 3600
    first = client.token
    client.sign_in()
    assert client.token != first
    assert client.call("get.account", access_token=first)["data"] == client.call("get.account")["data"]
    client.call("logout.user")
    assert client.why("get.account") == "access_token_invalid"
    assert client.call("get.account", access_token=first)
    assert client.why("logout.user") == "access_token_invalid"


def test_expired_key_and_expired_login_have_different_errors(switched: Switched) -> None:
    client = switched("login")
    client.sign_in()
    key = client.sandbox.credentials("callgear")["access_token"]
    client.sandbox.expire_tokens("callgear")
    assert client.why("get.account") == "access_token_invalid"
    assert client.why("get.account", access_token=key) == "access_token_expired"
    client.sign_in()
    assert client.call("get.account")


def test_an_unknown_kind_of_credentials_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="access_token, login, partner"):
        sandbox.credentials("callgear", "code")
    assert sandbox.profiles["callgear"] == sandbox.credentials("callgear", "access_token")


# Partners


def test_partner_must_name_the_customer(switched: Switched) -> None:
    client = switched("partner")
    users = client.call("get.customer_users")["data"]
    assert users == client.sandbox.truth("callgear", "users", *DAY)
    assert client.why(METHODS["legs"], **window()) == "required_parameter_missed"
    assert client.why(METHODS["legs"], **window(user_id="2000")) == "data_type_error"
    assert client.why(METHODS["legs"], **window(user_id=5)) == "forbidden"
    found = {}
    for user in users:
        client.user = {"user_id": user["id"]}
        rows = client.day()
        assert ordered(rows) == ordered(
            client.sandbox.truth("callgear", "legs", *DAY, user_id=str(user["id"])),
        )
        found[user["id"]] = {row["id"] for row in rows}
    assert found[2000] == found[2001]
    assert found[2000]
    assert found[2002]
    assert not found[2000] & found[2002]


def test_customers_and_partners_may_call_different_methods(switched: Switched) -> None:
    customer, partner = switched(), switched("partner")
    assert customer.why("get.customer_users") == "forbidden"
    assert customer.why(METHODS["legs"], **window(user_id=2000)) == "forbidden"
    assert partner.why("get.account") == "forbidden"
    assert partner.call("getobj.account")["data"]["is_agent"] is True
    assert partner.call("getobj.account")["data"]["timezone"] == "UTC"
    assert partner.settings["timezone"] == "Europe/Berlin"
    assert partner.why("get.customer_users", user_id=2000) == "unexpected_parameters"


def test_customer_users_can_be_filtered_sorted_and_paged(switched: Switched) -> None:
    client = switched("partner")
    page = client.call("get.customer_users", limit=1, offset=1, sort=[{"field": "name", "order": "desc"}])
    assert page["metadata"]["total_items"] == 3
    assert [user["name"] for user in page["data"]] == ["Person One"]
    wanted = {"field": "customer_id", "operator": "=", "value": 100_001}
    page = client.call("get.customer_users", filter=wanted, fields=["id"])
    assert page["data"] == [{"id": 2002}]
    wanted["field"] = "login"
    assert client.why("get.customer_users", filter=wanted) == "filter_prohibited"


# Faults


def test_faults_have_the_shape_of_this_api(client: CallGearClient) -> None:
    for status, mnemonic in (
        *((400, "invalid_request"), (401, "access_token_invalid"), (403, "forbidden"), (404, "method_not_found")),
        *((409, "invalid_request"), (500, "internal_error"), (503, "internal_error")),
    ):
        client.sandbox.fail("callgear", status)
        page = client.send("get.account")
        assert page.status_code == status
        assert page.json()["error"]["data"]["mnemonic"] == mnemonic
        assert page.json()["id"] == 1
    client.sandbox.fail("callgear", 429, headers={"Retry-After": "7"})
    page = client.send("get.account")
    assert (page.status_code, page.headers["Retry-After"]) == (429, "7")
    data = page.json()["error"]["data"]
    assert data["params"] == {"limit_type": "minute", "limit_max_value": 60}
    assert data["metadata"]["limits"]["minute_remaining"] == 0
    client.sandbox.fail("callgear", 502, body="<html>")
    assert client.send("get.account").text == "<html>"
    assert client.call("get.account")


def test_body_and_connection_faults_work(client: CallGearClient) -> None:
    for action in ("not_json", "empty", "html"):
        client.sandbox.fail("callgear", action)
        with pytest.raises(json.JSONDecodeError):
            client.send("get.account").json()
    client.sandbox.fail("callgear", "wrong_shape")
    body = client.send("get.account").json()
    assert "data" not in body["result"]
    assert body["id"] == 1
    for action in ("cut", "reset"):
        client.sandbox.fail("callgear", action)
        with pytest.raises(httpx.TransportError):
            client.send("get.account")
    client.sandbox.fail("callgear", "expire", nth=2)
    assert client.call("get.account")
    assert client.why("get.account") == "access_token_expired"
    client.sandbox.fail("callgear", 500)
    assert client.post(b"{").json()["id"] is None
