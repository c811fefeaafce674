"""A sign-in with a browser as values: the request to the authorization page, and the responses that are accepted."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from cdrctl.errors import SignInError
from cdrctl.http.oauth import Attempt, StrangerError, begin, checked, code_in, page, pasted, port_of, with_port
from tests.support.products import for_each

URI = "http://127.0.0.1:8765/callback"
ATTEMPT = Attempt(URI, "the-state", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")


def test_the_challenge_is_that_of_the_example_in_rfc_7636() -> None:
    assert ATTEMPT.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_every_attempt_has_new_secrets_and_shows_none() -> None:
    one, other = begin(URI), begin(URI)
    assert len({one.state, one.verifier, other.state, other.verifier}) == 4
    for text in (one.state, one.verifier):
        assert 43 <= len(text) <= 128
        assert text not in repr(one)


def test_the_authorization_url_is_escaped_and_lacks_the_verifier() -> None:
    url = page("https://webexapis.com/v1/authorize", "C&1", "a:b c:d", ATTEMPT)
    assert url.startswith("https://webexapis.com/v1/authorize?response_type=code&client_id=C%261&")
    assert "scope=a%3Ab%20c%3Ad" in url
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == [URI]
    assert ATTEMPT.verifier not in url
    assert page("https://login.example.net/x?tenant=1", "C", "s", ATTEMPT).startswith(
        "https://login.example.net/x?tenant=1&response_type=code"
    )


@for_each("uri", [URI, "http://localhost:9/", "http://localhost/callback", "https://apps.example.com/back"])
def test_a_redirect_uri_may_be_on_loopback_or_https(uri: str) -> None:
    assert checked(uri) == uri


@for_each(
    "uri",
    [
        "http://example.com/callback",
        "http://127.0.0.1.example.com/callback",
        "http://0.0.0.0:8765/callback",
        "http://user@127.0.0.1:8765/callback",
        "http://127.0.0.1:8765/callback?x=1",
        "http://127.0.0.1:8765/callback#x",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:port/callback",
        "https:///callback",
        "127.0.0.1:8765",
        "",
    ],
)
def test_other_redirect_uris_are_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        checked(uri)


def test_only_redirect_uris_on_this_machine_have_a_port_to_listen_on() -> None:
    assert (port_of(URI), port_of("http://localhost/x"), port_of("https://127.0.0.1:8765/x")) == (8765, 80, None)
    assert with_port("http://localhost:1/back", 9000) == "http://localhost:9000/back"


def test_the_code_is_accepted_with_the_right_state() -> None:
    assert code_in("code=a%2Bb&state=the-state", ATTEMPT) == "a+b"


@for_each(
    "query",
    [
        "",
        "code=x",
        "code=x&state=",
        "code=x&state=The-State",
        "code=x&state=the-state&state=the-state",
        "error=access_denied",
        "error=access_denied&state=other",
        "code=x&state=th\u00e9-state",
        "&".join(f"a{n}=1" for n in range(99)) + "&code=x&state=the-state",
    ],
)
def test_any_response_with_another_state_is_refused(query: str) -> None:
    with pytest.raises(StrangerError):
        code_in(query, ATTEMPT)


@for_each(
    "query, said, hint",
    [
        (
            "error=access_denied&error_description=No+thanks",
            "access_denied No thanks",
            "accept the sign-in in the browser",
        ),
        ("error=invalid_scope", "invalid_scope", "scope"),
        ("error=temporarily_unavailable", "temporarily_unavailable", "later"),
        ("error=unauthorized_client", "unauthorized_client", URI),
        ("error=access_denied&code=x", "access_denied", "accept the sign-in in the browser"),
        (f"error=x&error_description={'y' * 9999}", f"x {'y' * 200}", "client_id"),
    ],
)
def test_an_error_has_a_next_step(query: str, said: str, hint: str) -> None:
    with pytest.raises(SignInError) as caught:
        code_in(f"{query}&state=the-state", ATTEMPT)
    assert caught.value.said == said
    assert hint in (caught.value.hint or "")


@for_each("query", ["", "code=", "code=a&code=b"])
def test_a_response_without_exactly_one_code_is_an_error(query: str) -> None:
    with pytest.raises(SignInError, match="without a code"):
        code_in(f"{query}&state=the-state", ATTEMPT)


@for_each(
    "text",
    [f"{URI}?code=abc&state=the-state", f" {URI}?state=the-state&code=abc#_=_ \n", "?code=abc&state=the-state", "abc"],
)
def test_an_address_or_a_code_can_be_pasted(text: str) -> None:
    assert pasted(text, ATTEMPT) == "abc"


def test_a_code_that_ends_in_equals_signs_is_a_code() -> None:
    assert pasted("YWJj==", ATTEMPT) == "YWJj=="


@for_each("text", ["", " ", "a b", "a\x1bb", f"{URI}/more?code=abc&state=the-state", "https://x/?code=a"])
def test_other_pasted_text_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        pasted(text, ATTEMPT)
    assert "abc" not in str(caught.value)


def test_the_state_of_a_pasted_address_is_checked() -> None:
    with pytest.raises(StrangerError):
        pasted(f"{URI}?code=abc&state=other", ATTEMPT)
    with pytest.raises(SignInError, match="denied"):
        pasted(f"{URI}?error=access_denied&state=the-state", ATTEMPT)
