"""Sign-in to Webex: which secret goes to which host, when tokens are renewed, and the errors."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from cdrctl.errors import CdrctlError, ConfigurationError, SignInError
from cdrctl.fetchers import Query, check_access
from cdrctl.fetchers.settings import Secret, SettingsError
from cdrctl.fetchers.webex import PROVIDER
from cdrctl.fetchers.webex.settings import WebexSettings
from cdrctl.fetchers.webex.sign_in import SCOPE, request_token
from cdrctl.http import Answer, Request, Token
from cdrctl.http.oauth import Attempt
from cdrctl.windows import Window
from tests.support.products import for_each

from .webex_kit import DAY, NOW, TRACKING, Webex, answer, exchange, h, ids, link_to, nothing, record, words

TOKEN_URL = "https://webexapis.com/v1/access_token"
REFRESH: dict[str, Any] = {
    "access_token": None,
    "client_id": "C0000EXAMPLE",
    "client_secret": Secret("SECRET &="),
    "refresh_token": Secret("REFRESH-0"),
}


def granted(access: str = "ACCESS-1", **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"access_token": access, "token_type": "Bearer", **more})


def expired() -> httpx.Response:
    return exchange("token expired")


class Shelf:
    """A token store in memory, which records how many requests had been sent at each write."""

    def __init__(self, kept: dict[str, Any] | None = None) -> None:
        self.kept = kept
        self.saved: list[dict[str, Any]] = []

    def locked(self) -> AbstractContextManager[None]:
        return nullcontext()

    def load(self) -> dict[str, Any] | None:
        return self.kept

    def save(self, token: dict[str, Any]) -> None:
        self.kept = token
        self.saved.append(token)


def fetch(webex: Webex, shelf: Shelf) -> None:
    options = {"location": (), "longest_call": timedelta(0), "page_size": 5000}
    with closing(webex.client(shelf)) as client:
        list(PROVIDER.call("cdrs").fetch(Query(client, webex.settings, Window(DAY, h(11)), options)))


def sent_to(webex: Webex, host: str) -> str:
    """Return everything that was sent to a host: headers, address and body."""
    parts = [
        f"{request.url} {dict(request.headers)} {request.content.decode()}"
        for request in webex.requests
        if request.url.host == host
    ]
    assert parts, f"nothing was sent to {host}"
    return " ".join(parts)


def talk(settings: WebexSettings, ended: Token | None, **body: Any) -> Token:
    """Return the token of one refresh whose response has this body."""
    flow: Generator[Request, Answer, Token] = request_token(settings, ended, NOW)
    next(flow)
    with pytest.raises(StopIteration) as stopped:
        flow.send(Answer(200, {}, body, "", TOKEN_URL))
    token: Token = stopped.value.value
    return token


def test_access_token_is_sent_unchanged() -> None:
    webex = Webex()
    webex.fetch()
    assert [request.headers["Authorization"] for request in webex.requests] == ["Bearer ACCESS"]


def test_refresh_request_is_as_documented() -> None:
    webex = Webex(granted(), **REFRESH)
    webex.fetch()
    request = webex.requests[0]
    assert (request.method, str(request.url)) == ("POST", TOKEN_URL)
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.content == (
        b"grant_type=refresh_token&client_id=C0000EXAMPLE&client_secret=SECRET+%26%3D&refresh_token=REFRESH-0"
    )
    assert webex.requests[1].headers["Authorization"] == "Bearer ACCESS-1"


def test_each_secret_goes_to_its_own_host_only() -> None:
    """The access token goes to call history, all others to the token URL."""
    webex = Webex(granted(), answer(record("a", h(1)), link=link_to("2")), expired(), granted("ACCESS-2"), **REFRESH)
    webex.fetch()
    history, signing = sent_to(webex, "analytics-calling.webexapis.com"), sent_to(webex, "webexapis.com")
    assert "ACCESS-1" in history
    assert "ACCESS-2" in history
    assert not any(secret in history for secret in ("SECRET", "REFRESH-0", "C0000EXAMPLE"))
    assert "ACCESS-" not in signing
    assert "Authorization" not in signing
    assert "authorization" not in signing


def test_another_token_url_is_used_alone() -> None:
    webex = Webex(granted(), **REFRESH, token_url="https://login.example.net/token")
    webex.fetch()
    assert [request.url.host for request in webex.requests] == ["login.example.net", "analytics-calling.webexapis.com"]


@for_each("name", ["token_url", "authorize_url"])
@for_each(
    "url",
    [
        *("http://webexapis.com/v1/access_token", "webexapis.com/v1/access_token", "ftp://x/y"),
        *("http://127.0.0.1.example.net/t", "http://127.example.net/t", "http://localhost.example.net/t"),
    ],
)
def test_a_token_url_where_others_can_read_the_secret_is_refused(name: str, url: str) -> None:
    with pytest.raises(SettingsError, match="https://"):
        WebexSettings.of({name: url})


@for_each("url", ["http://127.0.0.1:8080/t", "http://localhost/t", "https://login.example.net/t"])
def test_a_token_url_may_be_on_this_machine_itself(url: str) -> None:
    assert WebexSettings.of({"token_url": url}).token_url == url


def test_expiry_of_a_token_counts_from_before_its_request() -> None:
    settings = WebexSettings(**REFRESH)
    token = talk(settings, None, access_token="A", expires_in=1_209_600, refresh_token="REFRESH-1")
    assert token == Token({"Authorization": "Bearer A"}, NOW + timedelta(days=14), "REFRESH-1")


@for_each("seconds", [None, "soon", 0, -5, 10**12])
def test_implausible_expiry_is_ignored(seconds: Any) -> None:
    """The token is used until it is refused."""
    assert talk(WebexSettings(**REFRESH), None, access_token="A", expires_in=seconds).expires is None


def test_a_refresh_token_that_is_not_replaced_stays() -> None:
    settings = WebexSettings(**REFRESH)
    assert talk(settings, None, access_token="A").refresh_token == "REFRESH-0"
    assert talk(settings, None, access_token="A", refresh_token="").refresh_token == "REFRESH-0"
    assert talk(settings, Token({}, None, "REFRESH-7"), access_token="A").refresh_token == "REFRESH-7"


def test_next_renewal_uses_the_new_refresh_token() -> None:
    """The service may end the old one at once."""
    webex = Webex(
        granted(refresh_token="REFRESH-1"), expired(), granted("ACCESS-2", refresh_token="REFRESH-2"), **REFRESH
    )
    webex.fetch()
    forms = [dict(parse_qsl(request.content.decode())) for request in webex.requests if request.method == "POST"]
    assert [form["refresh_token"] for form in forms] == ["REFRESH-0", "REFRESH-1"]


def test_new_refresh_token_is_stored_before_the_access_token_is_used() -> None:
    shelf = Shelf()
    kept_when_used: list[Any] = []

    def rule(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return granted(refresh_token="REFRESH-1")
        kept_when_used.append(shelf.kept and shelf.kept["refresh_token"])
        return nothing()

    fetch(Webex(rule, **REFRESH), shelf)
    assert kept_when_used == ["REFRESH-1"]


def test_next_run_uses_the_stored_token() -> None:
    shelf = Shelf()
    fetch(Webex(granted(refresh_token="REFRESH-1", expires_in=1_209_600), **REFRESH), shelf)
    later = Webex(now=NOW + timedelta(days=13), **REFRESH)
    fetch(later, shelf)
    assert [request.method for request in later.requests] == ["GET"]
    assert later.requests[0].headers["Authorization"] == "Bearer ACCESS-1"


def test_token_is_renewed_before_it_expires() -> None:
    shelf = Shelf()
    fetch(Webex(granted(refresh_token="REFRESH-1", expires_in=1_209_600), **REFRESH), shelf)
    later = Webex(granted("ACCESS-2"), now=NOW + timedelta(days=14, seconds=-59), **REFRESH)
    fetch(later, shelf)
    assert [request.method for request in later.requests] == ["POST", "GET"]
    assert b"REFRESH-1" in later.requests[0].content


def test_401_renews_the_token_and_repeats_the_request() -> None:
    webex = Webex(
        granted(),
        answer(record("a", h(1)), link=link_to("2")),
        expired(),
        granted("ACCESS-2"),
        answer(record("b", h(2))),
        **REFRESH,
    )
    assert ids(webex.fetch()) == ["a", "b"]
    assert [request.method for request in webex.requests] == ["POST", "GET", "GET", "POST", "GET"]
    assert webex.requests[2].url == webex.requests[4].url
    assert webex.requests[4].headers["Authorization"] == "Bearer ACCESS-2"


def test_refused_renewed_token_ends_the_run() -> None:
    def rule(request: httpx.Request) -> httpx.Response:
        return granted() if request.method == "POST" else expired()

    webex = Webex(rule, **REFRESH)
    error = webex.fails()
    assert error.exit_code == 4
    assert "ROUTER_" in words(error)
    assert "sign in again: cdrctl profile login NAME" in (error.hint or "")
    assert [request.method for request in webex.requests] == ["POST", "GET", "POST", "GET"]


def test_an_access_token_alone_that_is_refused_cannot_be_renewed() -> None:
    webex = Webex(expired())
    error = webex.fails()
    assert isinstance(error, SignInError)
    assert error.said is not None
    assert "requires a valid access token" in error.said
    assert TRACKING in error.said
    assert len(webex.requests) == 1


@for_each("missing", ["client_id", "client_secret", "refresh_token"])
def test_a_renewal_needs_all_three_settings(missing: str) -> None:
    webex = Webex(expired(), **REFRESH | {"access_token": Secret("ACCESS"), missing: None})
    error = webex.fails()
    assert isinstance(error, SignInError)
    step = "cdrctl profile login NAME" if missing == "refresh_token" else "client_id, client_secret and refresh_token"
    assert step in words(error)
    assert [request.method for request in webex.requests] == ["GET"]


def test_with_both_kinds_the_access_token_is_used_until_it_is_refused() -> None:
    webex = Webex(nothing(), expired(), granted("ACCESS-1"), **REFRESH | {"access_token": Secret("ACCESS")})
    webex.fetch(h(0), h(23))
    assert [request.headers.get("Authorization") for request in webex.requests] == [
        *("Bearer ACCESS", "Bearer ACCESS", None, "Bearer ACCESS-1")
    ]


@for_each("status", [400, 401, 403])
def test_refused_refresh_token_is_an_error_without_secrets(status: int) -> None:
    body = {"message": "The refresh token provided is expired", "trackingId": TRACKING, "access_token": "X"}
    webex = Webex(httpx.Response(status, json=body), **REFRESH)
    error = webex.fails()
    assert isinstance(error, SignInError)
    assert error.said == f"The refresh token provided is expired (tracking id {TRACKING})"
    assert "client_secret" in (error.hint or "")
    assert not any(secret in words(error) for secret in ("REFRESH-0", "SECRET"))
    assert len(webex.requests) == 1


@for_each("body", [{}, {"access_token": ""}, {"access_token": 7}, []])
def test_sign_in_response_without_a_token_is_an_error(body: Any) -> None:
    webex = Webex(httpx.Response(200, json=body), **REFRESH)
    assert isinstance(webex.fails(), SignInError)
    assert len(webex.requests) == 1


def test_sign_in_is_retried_when_the_service_is_busy() -> None:
    webex = Webex(httpx.Response(503, json={}), granted(), **REFRESH)
    webex.fetch()
    assert [request.method for request in webex.requests] == ["POST", "POST", "GET"]


# In a browser

assert PROVIDER.login is not None
PROVIDER_LOGIN = PROVIDER.login
CLIENT = {name: value for name, value in REFRESH.items() if name.startswith("client_")}
ATTEMPT = Attempt("http://127.0.0.1:8765/callback", "STATE", "VERIFIER")


def exchanged(status: int, body: Any) -> Token:
    """Return the token that comes in exchange for a code, with this response."""
    flow = PROVIDER_LOGIN.exchange(WebexSettings(**CLIENT), ATTEMPT, "CODE", NOW)
    ask = next(flow)
    assert (ask.method, ask.url, ask.kind) == ("POST", TOKEN_URL, "sign-in")
    assert ask.form == {
        "grant_type": "authorization_code",
        "client_id": "C0000EXAMPLE",
        "client_secret": "SECRET &=",
        "code": "CODE",
        "redirect_uri": ATTEMPT.redirect_uri,
        "code_verifier": "VERIFIER",
    }
    with pytest.raises(StopIteration) as stopped:
        flow.send(Answer(status, {}, body, "", TOKEN_URL))
    token: Token = stopped.value.value
    return token


def test_a_code_becomes_a_token_that_can_be_renewed() -> None:
    body = {"access_token": "A", "expires_in": 1_209_600, "refresh_token": "R", "scope": "spark:kms " + SCOPE}
    assert exchanged(200, body) == Token({"Authorization": "Bearer A"}, NOW + timedelta(days=14), "R")
    assert exchanged(200, {**body, "scope": None}).refresh_token == "R"


@for_each(
    "status, body, kind, message",
    [
        (401, {"message": "no"}, SignInError, "client_id or client_secret was not accepted"),
        (400, {"message": "no"}, SignInError, "the sign-in in the browser was not accepted"),
        (200, {}, SignInError, "the sign-in in the browser was not accepted"),
        (200, [], SignInError, "the sign-in in the browser was not accepted"),
        (404, {}, ConfigurationError, "there is no token service at"),
        (200, {"access_token": "A", "refresh_token": "R", "scope": "spark:all"}, SignInError, f"the scope {SCOPE}"),
        (200, {"access_token": "A", "refresh_token": "R", "scope": SCOPE + "s"}, SignInError, f"the scope {SCOPE}"),
        (200, {"access_token": "A", "scope": SCOPE}, SignInError, "no refresh token"),
    ],
)
def test_failed_exchange_of_a_code_has_a_message_and_a_hint(
    status: int, body: Any, kind: type[CdrctlError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        exchanged(status, body)
    assert caught.value.hint
    assert not any(secret in words(caught.value) for secret in ("CODE", "VERIFIER", "SECRET", "STATE"))


@for_each(
    "changed, page",
    [
        ({}, "https://webexapis.com/v1/authorize?"),
        (
            {"token_url": "https://webexapis.example.gov/v1/access_token?x=/y"},
            "https://webexapis.example.gov/v1/authorize?",
        ),
        ({"authorize_url": "https://login.example.net/in"}, "https://login.example.net/in?"),
    ],
)
def test_authorization_page_is_beside_the_token_url(changed: dict[str, str], page: str) -> None:
    assert PROVIDER_LOGIN.page(WebexSettings.of({**CLIENT, **changed}), ATTEMPT).startswith(page)


@for_each("uri", ["http://example.com/callback", "callback", "http://127.0.0.1:8765/callback?x=1"])
def test_a_redirect_uri_that_would_give_the_code_away_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError):
        WebexSettings.of({"redirect_uri": uri})


# A profile's check


def check(webex: Webex) -> str:
    with closing(webex.client()) as client:
        return check_access(PROVIDER, client, webex.settings)


def test_check_requests_half_an_hour_and_reports_what_it_found() -> None:
    webex = Webex(answer(record("a", h(11, on=NOW)), link=link_to("2", 700)))
    assert check(webex) == ("700 records between 2026-11-20T11:24:00.000Z and 2026-11-20T11:54:00.000Z")
    assert webex.params == [
        {"startTime": "2026-11-20T11:23:59.999Z", "endTime": "2026-11-20T11:54:00.001Z", "max": "500"}
    ]


def test_a_check_counts_what_came_where_there_is_no_total() -> None:
    assert check(Webex(answer(record("a", h(1))))).startswith("1 record between")
    assert check(Webex(answer(record("a", h(1)), record("b", h(1))))).startswith("2 records")
    assert check(Webex(nothing())).startswith("0 records")
    assert check(Webex(answer(body={}, link=link_to("2")))).startswith("0 records")


def test_check_names_the_region_of_the_organisation() -> None:
    webex = Webex(exchange("wrong region, newer wording"), answer())
    assert check(webex).startswith("0 records between ")
    assert "analytics-calling-eu" in webex.notes[-1]


def test_failed_check_is_an_error() -> None:
    with pytest.raises(SignInError):
        check(Webex(exchange("missing scope or role")))


def test_authentication_methods_of_webex() -> None:
    assert PROVIDER.auth_methods == {
        "token": ("access_token",),
        "browser": ("client_id", "client_secret"),
        "refresh": ("client_id", "client_secret", "refresh_token"),
    }
    assert PROVIDER.keeps_tokens
