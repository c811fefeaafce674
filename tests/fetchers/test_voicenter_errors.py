"""Refusals and errors of Voicenter."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from cdrctl.errors import AddressError, CdrctlError, ProviderError, SignInError, TemporaryError
from cdrctl.fetchers import check_access
from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.records.events import Event, Gap
from tests.support.products import for_each

from .voicenter_kit import DATA, DAY, SECRET, Host, Voicenter, error, record, reply, s, sample, words


def gaps(pieces: Sequence[Event]) -> list[str]:
    return [piece.what for piece in pieces if isinstance(piece, Gap)]


@pytest.mark.parametrize("status", [200, 403])
def test_a_rate_limit_is_waited_out(status: int) -> None:
    """Error 1 comes with any status. Waits are 5 s, then twice as long each time, up to a minute."""
    too_fast = httpx.Response(status, json=sample("constructed_error_1.json"))
    voicenter = Voicenter(too_fast, too_fast, too_fast, reply(record("a", s(1))))
    assert voicenter.export()[0] == ["a"]
    between = [later - earlier for earlier, later in pairwise(voicenter.at)]
    assert [wait <= gap < wait + 3 for wait, gap in zip((5, 10, 20), between, strict=True)] == [True] * 3
    [said, *_] = [text for level, text in voicenter.told if level == "note"]
    assert "rate limit of 30 requests a minute" in said


@for_each("allowed", [timedelta(0), timedelta(seconds=40), timedelta(minutes=15)])
def test_the_rate_limit_is_waited_out_within_the_allowed_wait(allowed: timedelta) -> None:
    voicenter = Voicenter(lambda _body: httpx.Response(200, json=sample("constructed_error_1.json")), max_wait=allowed)
    error = voicenter.fails()
    assert isinstance(error, TemporaryError)
    assert error.exit_code == 5
    assert error.said == "Request limit exceeded. Please try again later."
    assert allowed.total_seconds() - 5 <= voicenter.seconds() <= allowed.total_seconds() + 10


@pytest.mark.parametrize("pace", [None, 0])
def test_after_the_first_error_1_requests_are_five_seconds_apart(pace: int | None) -> None:
    """This holds for the rest of the run by the server's clock, although requests may arrive half a second late."""
    host = Host([10], days=1)
    arrivals: list[float] = []

    def counting(body: dict[str, Any]) -> httpx.Response:
        now = voicenter.seconds() + 0.5 * (len(arrivals) % 2)
        arrivals.append(now)
        if len(arrivals) == 3:
            return httpx.Response(200, json=sample("constructed_error_1.json"))
        return host(body)

    voicenter = Voicenter(counting, base_url="http://127.0.0.1:9/", requests_per_minute=pace)
    voicenter.fetch(DAY - timedelta(days=20), DAY, longest_window=timedelta(hours=12))
    assert len(arrivals) > 40
    assert all(later - earlier >= 5 for earlier, later in pairwise(arrivals[2:]))


@for_each("status", [200, 401, 403, 404])
@for_each(
    "body, kind, message, hint",
    [
        ("constructed_error_2.json", SignInError, "does not accept this code or token", "create a new one"),
        ("constructed_error_4.json", AddressError, "your address 203.0.113.9 is not authorised", "Authorized IPs"),
        ("constructed_error_number_as_string.json", AddressError, "your address 203.0.113.9", "bearer token"),
        ("constructed_error_5.json", ProviderError, "refused the range 2026-11-18T00:00:00.000Z to", "--since"),
    ],
)
def test_error_is_identified_by_its_body_whatever_the_status(
    status: int, body: str, kind: type[CdrctlError], message: str, hint: str
) -> None:
    document = sample(body)
    for spelt in (document, {key.lower(): value for key, value in document.items()}):
        voicenter = Voicenter(lambda _body, spelt=spelt: httpx.Response(status, json=spelt))  # type: ignore[misc]
        error = voicenter.fails()
        assert type(error) is kind
        assert message in error.message
        assert hint in (error.hint or "")
        assert error.said == document["ERROR_DESCRIPTION"]
        assert len(voicenter.requests) == 1


def test_error_with_an_unknown_number_has_a_next_step() -> None:
    error = Voicenter(lambda _body: httpx.Response(200, json={"ERROR_NUMBER": 99})).fails()
    assert (error.message, error.exit_code) == ("Voicenter refused the request (error 99)", 7)
    assert "settings of the profile" in (error.hint or "")


def test_error_3_for_the_shortest_window_is_a_gap() -> None:
    voicenter = Voicenter(lambda _body: httpx.Response(200, json=sample("constructed_error_3.json")))
    pieces = voicenter.fetch(s(0), s(60))
    [gap] = gaps(pieces)
    assert gap == (
        "Voicenter has more calls that started from 2026-11-18T00:00:00.000Z to 2026-11-18T00:01:00.000Z than it sends "
        "in one response"
    )


@for_each(
    "answer, kind, said",
    [
        (httpx.Response(401, json={"message": "weekly usage limit"}), SignInError, "weekly usage limit"),
        (httpx.Response(403, text="no"), SignInError, "no"),
        (httpx.Response(404, text="<html>"), ProviderError, "there is nothing at"),
        (httpx.Response(302, headers={"location": "https://elsewhere.example/x"}), CdrctlError, "elsewhere.example"),
        (httpx.Response(400, text="bad"), ProviderError, "HTTP 400"),
        (httpx.Response(200, json={}), ProviderError, "no ERROR_NUMBER"),
        (httpx.Response(200, json=[]), ProviderError, "no ERROR_NUMBER"),
        (httpx.Response(200, json=None), TemporaryError, "invalid JSON|empty body"),
        (httpx.Response(200, json={"ERROR_NUMBER": None, "CDR_LIST": []}), ProviderError, "no ERROR_NUMBER"),
        (httpx.Response(200, json={"ERROR_NUMBER": "x", "CDR_LIST": []}), ProviderError, "no ERROR_NUMBER"),
        (httpx.Response(200, json={"ERROR_NUMBER": True, "CDR_LIST": []}), ProviderError, "no ERROR_NUMBER"),
        (reply(CDR_LIST="left out"), ProviderError, "CDR_LIST is not a list"),
        (reply(CDR_LIST={}), ProviderError, "CDR_LIST is not a list"),
        (reply(CDR_LIST=""), ProviderError, "CDR_LIST is not a list"),
        (reply(CDR_LIST=None, TOTAL_HITS=2), ProviderError, "CDR_LIST is not a list"),
        (reply(CDR_LIST=[3]), ProviderError, "an element of CDR_LIST is not an object"),
    ],
)
def test_undocumented_response_is_an_error(answer: httpx.Response, kind: type[CdrctlError], said: str) -> None:
    """A response that the Call Log does not document is an error, never an empty list."""
    content = answer.content

    def again(_body: Any) -> httpx.Response:
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)

    error = Voicenter(again).fails()
    assert isinstance(error, kind)
    assert any(one in words(error) for one in said.split("|"))


def test_a_null_list_is_read_as_empty() -> None:
    assert Voicenter(reply(CDR_LIST=None)).export()[0] == []
    assert Voicenter(reply(CDR_LIST=None, TOTAL_HITS="left out", RETURN_HITS="left out")).export()[0] == []


def test_web_page_instead_of_json_is_an_error() -> None:
    """It is retried. If it stays, the error names it; with a 5xx it is an outage."""
    page = (DATA / "constructed_reply.html").read_text(encoding="utf-8")
    voicenter = Voicenter(httpx.Response(200, text=page), reply(record("a", s(1))))
    assert voicenter.export()[0] == ["a"]
    error = Voicenter(lambda _body: httpx.Response(200, text=page)).fails()
    assert (type(error), error.exit_code) == (ProviderError, 7)
    error = Voicenter(lambda _body: httpx.Response(502, text=page)).fails()
    assert (type(error), error.exit_code) == (TemporaryError, 5)
    error = Voicenter(lambda _body: httpx.Response(200, text='{"ERROR_NUMBER": 0, "CDR_')).fails()
    assert (type(error), error.exit_code) == (TemporaryError, 5)


def test_the_status_429_is_waited_out() -> None:
    voicenter = Voicenter(httpx.Response(429), reply(record("a", s(1))))
    assert voicenter.export()[0] == ["a"]
    assert max(voicenter.slept) >= 5


def test_the_code_is_never_shown() -> None:
    """Neither messages nor addresses have it, nor the service's own message that repeats it."""
    voicenter = Voicenter(lambda _body: error(2, "Authorization failed."))
    voicenter.fails()
    assert SECRET not in str(voicenter.told)
    assert SECRET not in str(voicenter.requests[0].url)
    assert SECRET not in repr(voicenter.settings)


def test_the_profile_is_checked_with_one_request() -> None:
    voicenter = Voicenter(reply(record("a", s(1))))
    with closing(voicenter.client()) as client:
        said = check_access(PROVIDER, client, voicenter.settings)
    assert said == "1 record between 2026-11-20T10:50:00.000Z and 2026-11-20T11:50:00.000Z"
    assert voicenter.windows == [("20T10:49:59", "20T11:50:00")]
