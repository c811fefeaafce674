"""Signing in to a PortSIP PBX."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from cdrctl.errors import (
    ConfigurationError,
    ProviderError,
    SignInError,
    TemporaryError,
)
from cdrctl.fetchers import check_access, connect
from cdrctl.fetchers.portsip import PROVIDER
from cdrctl.fetchers.portsip.settings import PortsipSettings
from cdrctl.fetchers.portsip.sign_in import CLIENT_ID
from tests.support.clock import HandClock
from tests.support.products import for_each

from .portsip_kit import GOOD, OK, Server, failure, page, refused, row, run
from .test_portsip import SETTINGS, USER, sample, window

WITHOUT = {name: value for name, value in USER.items() if name != "domain"}
PASSWORD = {"username": "admin", "password": "pa55-w0rd", "domain": "test.com"}
FORM = {
    "grant_type": ["password"],
    "username": ["admin"],
    "password": ["pa55-w0rd"],
    "domain": ["test.com"],
    "scope": ["all"],
    "client_id": [CLIENT_ID],
}


def form(request: httpx.Request) -> dict[str, list[str]]:
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    return parse_qs(request.content.decode())


def test_sign_in_of_the_current_version() -> None:
    server = Server(httpx.Response(200, json=sample("constructed_sign_in_ok.json")), page([row(1)]))
    done = run(server, settings=USER)
    assert server.lines == ["POST /auth/sign_in", "GET /cdrs"]
    assert server.bodies[0] == PASSWORD
    assert "Authorization" not in server.asked[0].headers
    assert server.asked[1].headers["Authorization"] == "Bearer EXAMPLE-ACCESS-TOKEN"
    assert {"EXAMPLE-ACCESS-TOKEN", "EXAMPLE-REFRESH-TOKEN"} <= set(done.secrets)


def test_a_profile_without_a_domain_sends_no_domain() -> None:
    server = Server(GOOD, page([]))
    run(server, settings=WITHOUT)
    assert server.bodies[0] == {"username": "admin", "password": "pa55-w0rd"}


@pytest.mark.parametrize("unknown", [404, 405])
def test_sign_in_falls_back_to_the_forms_of_older_versions(unknown: int) -> None:
    """The response decides: the form of OAuth is tried first, then the plain one."""
    oauth = Server(httpx.Response(unknown), httpx.Response(200, json=sample("doc_oauth_token_200.json")), page([]))
    run(oauth, settings=USER)
    assert oauth.lines == ["POST /auth/sign_in", "POST /login/oauth/token", "GET /cdrs"]
    assert form(oauth.asked[1]) == FORM
    login = Server(httpx.Response(unknown), httpx.Response(unknown), GOOD, page([]))
    run(login, settings=USER)
    assert login.lines == ["POST /auth/sign_in", "POST /login/oauth/token", "POST /login", "GET /cdrs"]
    assert login.bodies[2] == PASSWORD
    assert login.asked[3].headers["Authorization"] == "Bearer T0KEN-1"


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_login_without_a_body_is_followed_by_a_request_for_the_token(body: bytes) -> None:
    """The body of `POST /login` is not specified; `GET /login` describes the session of the cookie."""
    cookies = [
        ("Set-Cookie", "sid=abc; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
        ("Set-Cookie", "t=1; HttpOnly"),
    ]
    server = Server(httpx.Response(404), httpx.Response(404), httpx.Response(200, headers=cookies, content=body))
    server.answers = iter([*server.answers, GOOD, page([])])
    run(server, settings=USER)
    assert server.lines[2:] == ["POST /login", "GET /login", "GET /cdrs"]
    assert server.asked[3].headers["Cookie"] == "sid=abc; t=1"
    assert "Cookie" not in server.asked[4].headers


def test_pbx_without_any_sign_in_path_is_an_error() -> None:
    error = refused(Server(by=lambda _request: httpx.Response(404)), ConfigurationError, settings=USER)
    assert "/api" in (error.hint or "")


@for_each("status", [400, 401, 403])
def test_wrong_password_is_a_sign_in_error(status: int) -> None:
    body = sample("doc_oauth_token_400_unauthorized.json")
    for before in ([], [httpx.Response(404)]):
        server = Server(*before, httpx.Response(status, json=body))
        error = refused(server, SignInError, settings=USER)
        assert "user admin of domain test.com" in error.message
        assert error.said == "Login failed, authentication error"
        assert len(server.asked) == 1 + len(before)
    lone = refused(Server(httpx.Response(status)), SignInError, settings=WITHOUT)
    assert "user admin without a domain" in lone.message


def test_sign_in_with_a_second_factor_is_refused() -> None:
    server = Server(httpx.Response(200, json=sample("constructed_sign_in_2fa.json")))
    error = refused(server, SignInError, settings=USER)
    assert "access_token" in (error.hint or "")
    assert "session-token" not in str(vars(error))


@for_each("body", [{}, [], {"access_token": ""}, {"access_token": 7}])
def test_sign_in_response_without_a_token_is_an_error(body: Any) -> None:
    refused(Server(httpx.Response(200, json=body)), ProviderError, settings=USER)


def test_failing_sign_in_is_a_temporary_error() -> None:
    server = Server(by=lambda _request: httpx.Response(503))
    refused(server, TemporaryError, settings=USER)
    assert set(server.lines) == {"POST /auth/sign_in"}


@for_each("way", ["auth", "oauth", "login"])
@for_each("accepted", [True, False])
def test_token_is_renewed_shortly_before_it_expires(way: str, accepted: bool) -> None:  # noqa: FBT001
    """It uses the method that worked with the newest refresh token, or the password if that is refused."""
    clock = HandClock()
    given: list[int] = []

    def token() -> httpx.Response:
        given.append(1)
        return httpx.Response(
            200, json={**OK, "access_token": f"T{len(given)}", "refresh_token": f"R{len(given)}", "expires_in": 120}
        )

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api")
        clock.seconds += 30
        if path == "/cdrs":
            return page([])
        if b"refresh_token" in request.content:
            return token() if accepted else httpx.Response(400, json=sample("doc_oauth_refresh_400_unknown.json"))
        known = {"auth": "/auth/sign_in", "oauth": "/login/oauth/token", "login": "/login"}[way]
        return token() if path == known else httpx.Response(404)

    server = Server(by=answer)
    run(server, span=window("2026-11-14", "2026-11-18"), settings=USER, clock=clock)
    lists = [one.headers["Authorization"] for one in server.asked if one.url.path == "/api/cdrs"]
    assert lists[0] == "Bearer T1"
    assert len(set(lists)) == len(given) >= 2
    renewals = [one for one in server.asked if b"refresh_token" in one.content]
    first = max(n for n, line in enumerate(server.lines) if "cdrs" in line)
    assert server.lines[:first].count("POST /auth/sign_in") <= (1 if way != "auth" else len(given))
    if way == "auth":
        assert [json.loads(one.content) for one in renewals[:2]] == [{"refresh_token": f"R{n}"} for n in (1, 2)][
            : len(renewals)
        ]
        assert {one.url.path for one in renewals} == {"/api/auth/refresh_token"}
    elif way == "oauth":
        assert form(renewals[0]) == {"grant_type": ["refresh_token"], "refresh_token": ["R1"], "client_id": [CLIENT_ID]}
    else:
        assert renewals == []


def test_token_refused_during_the_run_is_renewed_once() -> None:
    """The request is repeated once; a second refusal ends the run."""
    server = Server(GOOD, page([row(1)], 2), failure(401), httpx.Response(200, json={"access_token": "T0KEN-2"}))
    server.answers = iter([*server.answers, page([row(2)], 2)])
    assert run(server, settings=USER).ids == ["900001", "900002"]
    assert server.lines[2:] == ["GET /cdrs", "POST /auth/refresh_token", "GET /cdrs"]
    assert server.bodies[3] == {"refresh_token": "R3FRESH-1"}
    assert server.asked[4].headers["Authorization"] == "Bearer T0KEN-2"
    oldest = httpx.Response(200, json={"access_token": "T0KEN-3"})
    twice = Server(GOOD, failure(401), oldest, page([row(1)], 2), failure(401), oldest, page([row(2)], 2))
    assert run(twice, settings=USER).ids == ["900001", "900002"]
    assert twice.bodies[2] == twice.bodies[5] == {"refresh_token": "R3FRESH-1"}  # the response has no new one
    again = Server(GOOD, failure(401, message="expired"), GOOD, failure(401, message="expired"))
    error = refused(again, SignInError, settings=USER)
    assert error.said == "expired"


def test_token_of_the_profile_is_used_before_the_password() -> None:
    server = Server(failure(401), GOOD, page([row(1)]))
    run(server, settings={**USER, "access_token": "T0KEN-OF-OURS"})
    assert server.lines == ["GET /cdrs", "POST /auth/sign_in", "GET /cdrs"]
    assert [one.headers.get("Authorization") for one in server.asked] == [
        "Bearer T0KEN-OF-OURS",
        None,
        "Bearer T0KEN-1",
    ]


def test_check_reports_what_it_found() -> None:
    """It is one small request."""
    server = Server(page([row(1, "2026-11-19T20:00:00Z")], 7), page([], None), page([row(1)], 1))
    server.answers = iter([*server.answers, page([row(1, "2026-11-19T20:00:00Z")], 0), failure(403)])
    made = PortsipSettings.of(SETTINGS)
    client = connect(
        PROVIDER,
        made,
        clock=HandClock().clock,
        log=lambda _level, _text: None,
        conceal=lambda _secrets: None,
        transport=httpx.MockTransport(server),
    )
    between = "between 2026-11-19T11:55:00.000Z and 2026-11-20T11:55:00.000Z"
    assert check_access(PROVIDER, client, made) == f"7 calls {between}"
    assert check_access(PROVIDER, client, made) == "there are no calls"
    assert check_access(PROVIDER, client, made) == "there are calls"
    assert check_access(PROVIDER, client, made) == "there are calls"  # a total of 0 beside a call is wrong
    with pytest.raises(SignInError):
        check_access(PROVIDER, client, made)
    assert len(server.asked) == 5
    client.close()
