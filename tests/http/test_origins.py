"""Which URLs have the same origin."""

from __future__ import annotations

from hypothesis import given, strategies as st

from cdrctl.http import same_origin
from cdrctl.http.urls import host_of
from tests.support.products import for_each


@for_each(
    "url",
    [
        "https://good.example",
        "https://good.example/",
        "https://good.example:443/x?y#z",
        "HTTPS://GOOD.example/x",
        "https://good.example?x=https://evil.example",
    ],
)
def test_the_same_origin_in_other_spelling(url: str) -> None:
    assert same_origin("https://good.example/v1", url)


@for_each(
    "url",
    [
        "http://good.example/",
        "https://good.example@evil.example/",
        "https://good.example:443@evil.example/",
        "https://user@good.example/",
        "https://good.example.evil.example/",
        "https://evil-good.example/",
        "https://good.example./",
        "https://good.example:444/",
        "https://good.example:0/",
        "https://good.example:x/",
        "https://good.example:443:443/",
        "https://evil.example\\@good.example/",
        "https://evil.example\\.good.example/",
        "https://good.example\t/",
        "https://go\nod.example/",
        " https://good.example/",
        "https://good.example /",
        "https://[good.example/",
        "https://[::1/",
        "//good.example/",
        "good.example",
        "/v1/x",
        "ftp://good.example/",
        "https:good.example",
        "https:///good.example",
        "",
    ],
)
def test_no_trick_makes_another_origin_the_same(url: str) -> None:
    assert not same_origin("https://good.example/v1", url)
    assert not same_origin(url, "https://good.example/v1")


def test_a_text_that_is_not_a_url_has_no_origin() -> None:
    assert not same_origin("https://[::1", "https://[::1")
    assert not same_origin("", "")


@given(st.text())
def test_any_text_can_be_searched_for_a_host(text: str) -> None:
    host_of(text)
    host_of(f"https://{text}")
    same_origin(text, f"https://{text}")


def test_the_host_in_messages_has_no_user_name_and_password() -> None:
    assert host_of("https://user:hush@cdr.example:8443/x?y=@z") == "cdr.example:8443"
    assert host_of("/relative") == ""
