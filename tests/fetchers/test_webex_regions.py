"""Webex regions, and hosts that are not of the service."""

from __future__ import annotations

import httpx
import pytest

from cdrctl.errors import ConfigurationError, ProviderError
from cdrctl.fetchers.webex.settings import WebexSettings
from cdrctl.fetchers.webex.sign_in import allows_url
from tests.support.products import for_each

from .webex_kit import ELSEWHERE, EU, TRACKING, Webex, answer, exchange, h, ids, link_to, record, words


@pytest.mark.parametrize("wording", ["wrong region, older wording", "wrong region, newer wording"])
def test_the_named_region_gets_all_later_requests(wording: str) -> None:
    webex = Webex(exchange(wording), answer(record("a", h(1)), link=link_to("2", base=EU)), answer(), answer())
    assert ids(webex.fetch(h(0), h(23))) == ["a"]
    assert [request.url.host for request in webex.requests] == [
        "analytics-calling.webexapis.com",
        *["analytics-calling-eu.webexapis.com"] * 3,
    ]
    assert webex.params[0] == webex.params[1]
    assert [text for text in webex.notes if "records are at" in text] == [
        f"your organisation's records are at analytics-calling-eu.webexapis.com: set base_url to {EU}"
    ]


def test_a_second_region_is_an_error() -> None:
    webex = Webex(exchange("wrong region, older wording"), answer(body={"message": "use a.webexapis.com"}, status=451))
    error = webex.fails()
    assert isinstance(error, ConfigurationError)
    assert "a.webexapis.com" in error.message
    assert len(webex.requests) == 2


def test_a_region_named_in_a_later_window_after_a_move_is_an_error() -> None:
    moved = exchange("wrong region, older wording")
    webex = Webex(moved, answer(), answer(body={"message": "use a.webexapis.com"}, status=451))
    assert webex.fails(h(0), h(24)).exit_code == 6
    assert len(webex.requests) == 3


@for_each(
    "base_url",
    [
        ELSEWHERE,
        "https://cdr.example.net/v1",
        "https://evil-webexapis.com/v1",
    ],
)
@for_each("wording", ["wrong region, older wording", "wrong region, newer wording"])
def test_a_region_is_reported_and_not_followed_from_another_base_url(base_url: str, wording: str) -> None:
    """The token must not go to a host that the user did not choose."""
    webex = Webex(exchange(wording), base_url=base_url)
    error = webex.fails()
    assert error.exit_code == 6
    assert "analytics-calling-eu.webexapis.com" in error.message
    assert error.hint == f"set base_url to {EU}"
    assert TRACKING in words(error)
    assert len(webex.requests) == 1


@for_each(
    "text, host",
    [
        ("Please use analytics-calling-in.webexapis.com.", "analytics-calling-in.webexapis.com"),
        ("go to https://analytics-calling-au.webexapis.com/v1/cdr_feed", "analytics-calling-au.webexapis.com"),
        ("not Analytics-Calling.webexapis.com but a-eu.WebexAPIs.com", "a-eu.webexapis.com"),
        ("use a.b.webexapis.com", "a.b.webexapis.com"),
    ],
)
def test_the_region_is_found_in_any_sentence(text: str, host: str) -> None:
    webex = Webex(answer(body={"message": text}, status=451))
    webex.fetch()
    assert webex.requests[1].url.host == host


def test_the_region_is_found_anywhere_in_the_body() -> None:
    webex = Webex(answer(body={"message": "no", "location": {"url": EU}}, status=451))
    webex.fetch()
    assert webex.requests[1].url.host == "analytics-calling-eu.webexapis.com"
    plain = Webex(httpx.Response(451, content=b"use analytics-calling-eu.webexapis.com"))
    plain.fetch()
    assert plain.requests[1].url.host == "analytics-calling-eu.webexapis.com"


FOREIGN = [
    "evil-webexapis.com",
    "webexapis.com.evil.com",
    "x.webexapis.com.evil",
    "x.webexapis.com-evil.com",
    "x.webexapis.community",
    "webexapis.com",
    "evil_x.webexapis.com_",
]


@for_each("host", FOREIGN)
def test_a_host_that_only_looks_like_the_service_gets_no_request(host: str) -> None:
    webex = Webex(answer(body={"message": f"Please use {host}"}, status=451))
    error = webex.fails()
    assert error.exit_code == 6
    assert len(webex.requests) == 1


@for_each(
    "link",
    [
        *(f"https://{host}/v1/cdr_feed" for host in FOREIGN),
        "http://analytics-calling.webexapis.com/v1/cdr_feed",
        "https://analytics-calling.webexapis.com:8443/v1/cdr_feed",
        "https://x.webexapis.com:99999/v1/cdr_feed",
        "https://x.webexapis.com@evil.com/v1/cdr_feed",
        "https://evil.com/?x.webexapis.com",
        "//evil.com/v1/cdr_feed?cursor=2",
        "//x.webexapis.com@evil.com/v1/cdr_feed",
        "//[x.webexapis.com/v1/cdr_feed",
    ],
)
def test_a_next_link_to_another_host_is_refused_without_a_request(link: str) -> None:
    webex = Webex(answer(record("a", h(1)), link=f'<{link}>; rel="next"'))
    error = webex.fails()
    assert isinstance(error, ProviderError)
    assert len(webex.requests) == 1


def test_a_next_link_may_lead_to_another_region_only_from_one() -> None:
    link = f'<{EU}/cdr_feed?startTimeForNextFetch=2>; rel="next"'
    assert len(Webex(answer(link=link), answer()).fetch()) == 2
    assert isinstance(Webex(answer(link=link), base_url=ELSEWHERE).fails(), ProviderError)
    here = f'<{ELSEWHERE}/cdr_feed?startTimeForNextFetch=2>; rel="next"'
    assert len(Webex(answer(link=here), answer(), base_url=ELSEWHERE).fetch()) == 2


def test_invalid_address_is_not_trusted() -> None:
    settings = WebexSettings.of({"access_token": "ACCESS"})
    assert not allows_url(settings, "https://[x.webexapis.com/v1")
    assert not allows_url(settings, "https://x.webexapis.com:port/v1")
    assert allows_url(settings, f"{EU}/cdr_feed")
