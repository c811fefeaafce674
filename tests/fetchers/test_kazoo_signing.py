"""Signing in to Kazoo."""

from __future__ import annotations

import json

import httpx
import pytest

from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ProviderError,
    SignInError,
    TemporaryError,
)
from tests.support.products import for_each

from .kazoo_kit import ACCOUNT, sample
from .kazoo_server_kit import BASE, KEY, Server, constructed, envelope, failure, refused, row, run


@pytest.mark.parametrize("name", ["bad_token", "expired_token"])
def test_expired_token_is_renewed_whatever_the_message(name: str) -> None:
    """It signs in once, and repeats the page with the new token."""
    ended = httpx.Response(401, json=sample(f"recorded_crossbar50_error_401_{name}.json"))
    server = Server(
        httpx.Response(201, json={"auth_token": "FIRST", "data": {}}),
        envelope([row(2)], next_start_key="k2"),
        ended,
        httpx.Response(201, json={"auth_token": "SECOND", "data": {}}),
        envelope([row(1)]),
    )
    assert run(server, settings=KEY).ids == ["202611-1", "202611-2"]
    assert [request.headers.get("X-Auth-Token") for request in server.asked] == [
        None,
        "FIRST",
        "FIRST",
        None,
        "SECOND",
    ]
    assert server.queries[2] == server.queries[4]
    assert server.queries[4]["start_key"] == "k2"


def test_a_second_refusal_in_a_row_ends_the_run() -> None:
    """The new token was refused too."""
    ended = sample("recorded_crossbar50_error_401_expired_token.json")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            return httpx.Response(201, json={"auth_token": "T0KEN", "data": {}})
        return httpx.Response(401, json=ended)

    server = Server(by=answer)
    refused(server, SignInError, settings=KEY)
    assert len(server.asked) == 4


@for_each(
    "settings, path, data",
    [
        ({"api_key": "k" * 64}, "/v2/api_auth", {"api_key": "k" * 64}),
        (
            {"username": "John@Example.com", "password": "m32c6NfqYEt", "account_name": "Acme"},
            "/v2/user_auth",
            {"credentials": "82a2dc91686ec828a67152d45a5c5ef7", "method": "md5", "account_name": "Acme"},
        ),
        (
            {
                "username": "john@example.com",
                "password": "m32c6NfqYEt",
                "account_realm": "acme.example",
                "credential_hash": "sha",
            },
            "/v2/user_auth",
            {
                "credentials": "055cf886cb9b5c5867083463867c527ace0f8ecc",
                "method": "sha",
                "account_realm": "acme.example",
            },
        ),
    ],
)
def test_sign_in_request_is_as_documented(settings: dict[str, str], path: str, data: dict[str, str]) -> None:
    """The examples are from the documentation; the user name is in lower case."""
    server = Server(httpx.Response(201, json={"auth_token": "T0KEN", "data": {}}), envelope([]))
    run(server, settings={"base_url": BASE, "account_id": ACCOUNT, "allow_http": True, **settings})
    first = server.asked[0]
    assert (first.method, first.url.path, json.loads(first.content)) == ("PUT", path, {"data": data})


@for_each(
    "answer, kind, words",
    [
        (failure(404, "bad_identifier", {"cause": "k" * 64}), SignInError, "does not accept the key"),
        (failure(401, "invalid_credentials"), SignInError, "does not accept the key"),
        (failure(401, "x", {"multi_factor_request": {}}), SignInError, "second factor"),
        (failure(423, "locked"), SignInError, "disabled or expired"),
        (constructed(503), TemporaryError, "HTTP 503"),
        (httpx.Response(301, headers={"location": "https://elsewhere/"}), ConfigurationError, "redirects"),
        (httpx.Response(201, json={"data": {}}), ProviderError, "no auth_token"),
    ],
)
def test_refused_sign_in_is_an_error(answer: httpx.Response, kind: type[CdrctlError], words: str) -> None:
    """A wrong key is a 404 with the key in it, which is not shown."""
    assert words in refused(Server(by=lambda _request: answer), kind, settings=KEY).message
