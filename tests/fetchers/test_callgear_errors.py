"""Sign-in to CallGear, and its errors, which are identified by their mnemonic, whatever the status."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from cdrctl.errors import (
    AddressError,
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers.callgear import PROVIDER
from cdrctl.fetchers.callgear.answers import error_for
from cdrctl.fetchers.callgear.settings import CallGearSettings
from cdrctl.fetchers.callgear.sign_in import request_token
from cdrctl.http import Answer, Token
from tests.support.products import for_each

from .callgear_kit import NOW, SINCE, UNTIL, URL, Rule, Service, Wire, a_day, as_sent, failed, reply, words

LOGIN = {"login": "user@example.com", "password": "PASSW0RD"}


def granted(token: str = "T0KEN-1", seconds: int = 3600) -> Rule:
    """Return a sign-in response with a token that lasts this many seconds from NOW."""
    ends = int(NOW.timestamp()) + seconds
    return lambda body: httpx.Response(
        200,
        json={
            "jsonrpc": "2.0",
            "id": body["id"],
            "result": {"data": {"access_token": token, "expire_at": ends, "app_id": 1103}},
        },
    )


def expired(body: Wire) -> httpx.Response:
    return as_sent("constructed_error_access_token_expired.json", body)


def unknown(body: Wire) -> httpx.Response:
    return as_sent("constructed_error_access_token_invalid.json", body)


def methods(service: Service) -> list[str]:
    return [body["method"].split(".")[-1] for body in service.asked]


def keys(service: Service) -> list[Any]:
    return [body["params"].get("access_token") for body in service.asked]


# Signing in


def test_access_key_is_sent_unchanged() -> None:
    service = a_day(1)
    service.ids(SINCE, UNTIL)
    assert set(keys(service)) == {"T0KEN"}


def test_login_request_is_as_documented_and_sent_once() -> None:
    service = a_day(1, settings=LOGIN, rules={"login.user": [granted()]})
    service.ids(SINCE, UNTIL)
    assert service.asked[0] == {"jsonrpc": "2.0", "id": 1, "method": "login.user", "params": LOGIN}
    assert methods(service) == ["user", "account", "call_legs_report", "call_legs_report"]
    assert keys(service)[1:] == ["T0KEN-1"] * 3
    assert service.secrets == ["T0KEN-1"]


def test_collected_sign_in_response_is_read() -> None:
    sign = request_token(CallGearSettings.of(LOGIN), None, NOW)
    ask = next(sign)
    assert (ask.url, ask.kind) == (URL, "sign-in")
    body = json.loads(as_sent("constructed_login_user_ok.json", {"id": 1}).content)
    with pytest.raises(StopIteration) as done:
        sign.send(Answer(200, {}, body, "", URL))
    token: Token = done.value.value
    assert token.fields == {"access_token": "EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE0000"}
    assert token.expires is None, "it ended in April, which is no reason to think it over before it is refused"
    assert "EXAMPLE" not in repr(token)


@for_each("ending", [expired, unknown])
@for_each("status", [200, 401])
def test_token_that_expires_during_the_run_is_renewed_once(ending: Rule, status: int) -> None:
    def ends(body: Wire) -> httpx.Response:
        return httpx.Response(status, content=ending(body).content)

    service = a_day(5, settings=LOGIN, rules={"login.user": [granted(), granted("T0KEN-2")]})
    service.rules["get.call_legs_report"] = [service.listing, ends]
    assert len(service.ids(SINCE, UNTIL, page_size=3)) == 5
    assert methods(service)[3:6] == ["call_legs_report", "user", "call_legs_report"]
    assert service.params[1] | {"access_token": "T0KEN-2"} == service.params[2]
    assert keys(service)[-1] == "T0KEN-2"
    assert service.slept == []


def test_expired_key_is_replaced_by_a_login() -> None:
    service = a_day(1, settings={"access_token": "T0KEN", **LOGIN}, rules={"login.user": [granted()]})
    service.rules["get.call_legs_report"] = [unknown]
    assert len(service.ids(SINCE, UNTIL)) == 1
    assert keys(service) == ["T0KEN", "T0KEN", None, "T0KEN-1", "T0KEN-1"]


@pytest.mark.parametrize("ending", [expired, unknown])
def test_expired_key_without_a_login_ends_the_run(ending: Rule) -> None:
    service = Service(rules={"*": [ending] * 9})
    error = service.fails(SignInError)
    assert error.exit_code == 4
    assert "set login and password" in (error.hint or "")
    assert "xxxx" not in words(error)
    assert len(service.asked) == 1


def test_refused_renewed_token_ends_the_run() -> None:
    service = Service(settings=LOGIN, rules={"get.account": [unknown] * 9, "login.user": [granted()] * 9})
    service.fails(SignInError)
    assert methods(service) == ["user", "account", "user", "account"]


def test_login_is_renewed_before_it_expires() -> None:
    service = a_day(4, settings=LOGIN, rules={"login.user": [granted(seconds=30), granted("T0KEN-2")]})
    listing = service.listing
    wait = {"minute_remaining": 0, "minute_reset": 20}
    service.rules["get.account"] = [
        lambda body: reply(body, [{"timezone": "Europe/Berlin"}], limits=wait),
    ]
    service.rules["get.call_legs_report"] = [listing]
    assert len(service.ids(SINCE, UNTIL)) == 4
    assert methods(service) == ["user", "account", "user", "call_legs_report", "call_legs_report"]


@pytest.mark.parametrize("word", ["auth_error", "access_token_blocked"])
def test_wrong_password_or_blocked_key_ends_the_run_at_once(word: str) -> None:
    def refused(body: Wire) -> httpx.Response:
        return failed(body, -32001, word, "Auth error", field="password", value="PASSW0RD")

    service = Service(settings=LOGIN, rules={"login.user": [refused] * 9})
    error = service.fails(SignInError)
    assert error.said == f"Auth error ({word}, field password)"
    assert len(service.asked) == 1


@for_each("data", [None, [], {}, {"access_token": ""}, {"access_token": 7}])
def test_sign_in_response_without_a_token_is_an_error(data: Any) -> None:
    service = Service(settings=LOGIN, rules={"login.user": [lambda body: reply(body, data)] * 9})
    assert "access_token" in service.fails(ProviderError).message


def test_sign_in_is_retried_when_the_service_is_busy() -> None:
    busy: list[Rule] = [lambda _body: httpx.Response(503), lambda body: failed(body, -32603, "internal_error")]
    service = a_day(1, settings=LOGIN, rules={"login.user": [*busy, granted()]})
    assert len(service.ids(SINCE, UNTIL)) == 1
    assert len(service.slept) == 2


def test_key_is_sent_to_the_host_of_the_profile_only() -> None:
    settings = CallGearSettings.of({"base_url": "https://dataapi.uiscom.ru/v2.0"})
    assert PROVIDER.allows_url(settings, "https://dataapi.uiscom.ru/v2.0")
    assert not PROVIDER.allows_url(settings, URL)
    assert not PROVIDER.allows_url(settings, "http://dataapi.uiscom.ru/v2.0")


# Errors by mnemonic: code, mnemonic, data, class, exit code, a part of the message.

USAGE = (UsageError, 2)
SIGN_IN = (SignInError, 4)
TABLE: list[tuple[int, str, dict[str, Any], tuple[type[CdrctlError], int], str]] = [
    (-32700, "parse_error", {}, (CdrctlError, 1), "did not understand the request"),
    (-32600, "invalid_request", {}, (CdrctlError, 1), "bug in cdrctl"),
    (-32601, "method_not_found", {}, (CdrctlError, 1), "bug in cdrctl"),
    (-32099, "batch_operations_not_supported", {}, (CdrctlError, 1), "bug in cdrctl"),
    (-32099, "batch_opreations_not_supported", {}, (CdrctlError, 1), "bug in cdrctl"),
    (-32099, "notifications_not_supported", {}, (CdrctlError, 1), "bug in cdrctl"),
    (-32602, "filter_prohibited", {"field": "x"}, USAGE, "refused a parameter of the request"),
    (-32602, "sort_prohibited", {"field": "x"}, USAGE, "field x"),
    (-32602, "invalid_parameter_value", {"field": "limit", "value": 70}, USAGE, "value 70"),
    (-32602, "data_type_error", {"field": "user_id", "value": "me"}, USAGE, "value me"),
    (-32602, "required_parameter_missed", {"field": "date_from"}, USAGE, "field date_from"),
    (-32602, "required_parameter_missed", {"field": "user_id"}, (ConfigurationError, 6), "cdrctl callgear users"),
    (-32602, "invalid_parameters_combination", {}, USAGE, "invalid_parameters_combination"),
    (-32602, "error", {}, USAGE, "No."),
    (-32602, "something_new", {}, USAGE, "something_new"),
    (-32602, "unexpected_parameters", {"field": "limit"}, (ProviderError, 7), "does not know the field limit"),
    (-32001, "access_token_blocked", {"field": "access_token", "value": "T0KEN"}, SIGN_IN, "blocked"),
    (-32001, "auth_error", {}, SIGN_IN, "wrong login or password"),
    (-32001, "something_new", {"field": "x", "value": "T0KEN"}, SIGN_IN, "does not allow"),
    (
        -32003,
        "ip_not_whitelisted",
        {"params": {"ip": "203.0.113.9"}},
        SIGN_IN,
        "your address 203.0.113.9 is not in CallGear's",
    ),
    (-32003, "ip_not_whitelisted", {}, SIGN_IN, "Rules and security settings → API"),
    (-32003, "forbidden", {}, SIGN_IN, "this user may not call CallGear's get.call_legs_report"),
    (-32008, "method_component_disabled", {"params": {"components": "data_api"}}, SIGN_IN, "component: data_api"),
    (-32008, "parameter_component_disabled", {"params": {"components": ["a", "b"]}}, SIGN_IN, "a, b"),
    (-32009, "account_inactive", {}, SIGN_IN, "the account at CallGear is disabled"),
    (-32004, "not_found", {}, (ProviderError, 7), "refused the request"),
    (-32007, "already_exists", {}, (ProviderError, 7), "already_exists"),
    (-1, "", {}, (ProviderError, 7), "refused the request"),
]


@pytest.mark.slow
@for_each("code, word, data, expected, text", TABLE)
@for_each("status", [200, 400, 403, 500])
def test_error_is_identified_by_its_mnemonic_whatever_the_status(
    code: int, word: str, data: dict[str, Any], expected: tuple[type[CdrctlError], int], text: str, status: int
) -> None:
    def refused(body: Wire) -> httpx.Response:
        return failed(body, code, word, status=status, **data)

    service = a_day(1, rules={"get.call_legs_report": [refused] * 9})
    kind, exit_code = expected
    error = service.fails(kind)
    assert isinstance(error, kind)
    assert error.exit_code == exit_code
    assert text in words(error)
    assert error.said is not None
    assert error.said.startswith("No.")
    assert len(service.params) == 1
    assert service.slept == []


@pytest.mark.parametrize("status", [200, 500])
def test_internal_error_is_retried_and_then_temporary(status: int) -> None:
    def broken(body: Wire) -> httpx.Response:
        return failed(body, -32603, "internal_error", "Internal error", status=status)

    service = a_day(1, rules={"get.call_legs_report": [broken] * 2})
    assert len(service.ids(SINCE, UNTIL)) == 1
    assert len(service.slept) == 2
    service = a_day(1, rules={"get.call_legs_report": [broken] * 9})
    error = service.fails(TemporaryError)
    assert error.said == "Internal error (internal_error)"
    assert len(service.params) == 5


@for_each(
    "answer",
    [
        httpx.Response(429),
        httpx.Response(500, text="<html>"),
        httpx.Response(503, json={}),
        httpx.Response(504, json=[]),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text='{"jsonrpc"'),
        httpx.Response(200),
    ],
)
def test_fault_is_retried_and_a_lasting_one_is_temporary(answer: httpx.Response) -> None:
    def fault(_body: Wire) -> httpx.Response:
        return httpx.Response(answer.status_code, content=answer.content)

    service = a_day(1, rules={"get.call_legs_report": [fault] * 3})
    assert len(service.ids(SINCE, UNTIL)) == 1
    assert len(service.slept) == 3
    assert service.slept == sorted(service.slept), "each wait is longer"
    service = a_day(1, rules={"get.call_legs_report": [fault] * 99})
    error = service.fails(TemporaryError)
    assert error.exit_code == 5
    if answer.status_code in {200, 500}:
        assert len(service.params) == 5
    else:  # overloaded or restarting
        assert sum(service.slept) == pytest.approx(900)


def test_retry_after_is_kept_within_max_wait() -> None:
    def later(after: str) -> Rule:
        return lambda _body: httpx.Response(429, headers={"Retry-After": after})

    rules = [later("20"), later("300"), later("Fri, 20 Nov 2026 12:06:40 GMT"), later("soon")]
    service = a_day(1, rules={"get.call_legs_report": rules})
    assert len(service.ids(SINCE, UNTIL)) == 1
    first, second, third, fourth = service.slept
    assert 20 <= first <= 21
    assert 300 <= second <= 301
    assert 0 <= third <= 81
    assert 6 <= fourth <= 10
    service = a_day(1, rules={"get.call_legs_report": [later("99999")]})
    assert "2026-11-21T15:46:40Z" in words(service.fails(TemporaryError))
    assert service.slept == []


@pytest.mark.parametrize("status", [404, 405])
def test_base_url_without_the_api_is_a_configuration_error(status: int) -> None:
    error = Service(rules={"*": [lambda _body: httpx.Response(status, text="no")]}).fails(ConfigurationError)
    assert "https://dataapi.callgear.com/v2.0" in (error.hint or "")
    assert error.status == status


def test_other_json_rpc_service_is_a_configuration_error() -> None:
    settings = {"access_token": "T0KEN", "base_url": "https://rpc.example/api", "timezone": "UTC"}
    rule: Rule = lambda body: failed(body, -32601, "method_not_found")  # noqa: E731
    error = Service(settings=settings, rules={"*": [rule]}).fails(ConfigurationError)
    assert "set base_url" in (error.hint or "")


def test_link_to_help_is_shown() -> None:
    for link, shown in [("https://help.callgear.com/x", True), ("javascript:x", False), ("https://a b", False)]:
        rule: Rule = lambda body, link=link: failed(body, -32602, "error", extended_helper=link)  # type: ignore[misc]  # noqa: E731
        error = a_day(1, rules={"get.call_legs_report": [rule]}).fails(UsageError)
        assert (link in words(error)) == shown


@for_each("name", ["access_token", "password", "login", "params.access_token"])
@for_each("word", ["invalid_parameter_value", "unexpected_parameters", "data_type_error"])
def test_value_that_may_be_a_secret_is_not_shown(name: str, word: str) -> None:
    rule: Rule = lambda body: failed(body, -32602, word, field=name, value="T0KEN")  # noqa: E731
    error = a_day(1, rules={"get.call_legs_report": [rule]}).fails()
    assert name in words(error)


@for_each(
    "error",
    [
        *({}, {"code": "x"}, {"code": [1], "data": []}, {"message": 7, "data": {"mnemonic": ["x"]}}),
        *({"data": {"mnemonic": "limit_exceeded", "params": {"limit_type": ["day"]}}},),
        *({"data": {"mnemonic": "limit_exceeded", "params": [], "metadata": {"limits": {"minute_reset": "x"}}}},),
        *({"data": {"mnemonic": "unexpected_parameters", "field": ["a"], "value": {"b": 1}}},),
        *({"data": {"mnemonic": "ip_not_whitelisted", "params": {"ip": 7}, "extended_helper": 7}},),
    ],
)
def test_error_object_of_any_shape_is_an_error(error: Any) -> None:
    assert isinstance(error_for(Answer(200, {}, {"error": error}, "", URL)), CdrctlError)


@for_each("error", ["no", 7, None, []])
def test_error_that_is_not_an_object_is_a_provider_error(error: Any) -> None:
    def odd(body: Wire) -> httpx.Response:
        return httpx.Response(200, json={"id": body["id"], "error": error})

    assert Service(rules={"*": [odd] * 9}).fails(ProviderError).exit_code == 7


@for_each(
    "name, kind, text",
    [
        ("account_inactive", SignInError, "disabled"),
        ("forbidden", RightsError, "may not call CallGear's get.call_legs_report"),
        ("ip_not_whitelisted", AddressError, "203.0.113.9"),
        ("method_component_disabled", RightsError, "data_api"),
        ("parse", CdrctlError, "did not understand"),
    ],
)
def test_collected_errors_are_read(name: str, kind: type[CdrctlError], text: str) -> None:
    rule: Rule = lambda body: as_sent(f"constructed_error_{name}.json", body)  # noqa: E731
    assert text in words(a_day(1, rules={"get.call_legs_report": [rule]}).fails(kind))


def test_hint_names_the_permission_that_the_call_needs() -> None:
    rule: Rule = lambda body: as_sent("constructed_error_forbidden.json", body)  # noqa: E731
    error = Service(rules={"get.financial_call_legs_report": [rule]}).fails(SignInError, "costs")
    assert "account access: view" in (error.hint or "")
    assert "get.financial_call_legs_report" in error.message
    error = Service(rules={"get.customer_users": [rule]}).fails(SignInError, "users")
    assert "user: view" in (error.hint or "")
