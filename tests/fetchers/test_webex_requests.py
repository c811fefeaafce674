"""Webex requests and their published rate."""

from __future__ import annotations

import itertools
from contextlib import closing
from datetime import datetime, timedelta

import httpx
import pytest

from cdrctl.errors import UsageError
from cdrctl.fetchers import Query
from cdrctl.fetchers.webex import PROVIDER
from cdrctl.fetchers.webex.columns import COLUMNS
from cdrctl.windows import Window
from tests.support.products import for_each

from .webex_kit import DAY, MS, NOW, US, Webex, answer, h, link_to, words

# Requests


@pytest.mark.parametrize(("call", "path"), [("cdrs", "/v1/cdr_feed"), ("stream", "/v1/cdr_stream")])
def test_a_request_is_written_exactly_as_documented(call: str, path: str) -> None:
    """Times have three decimals and a Z, with a millisecond more at both ends; then page size and token."""
    webex = Webex()
    webex.fetch(h(-2, on=NOW), h(-1, on=NOW), call)
    [request] = webex.requests
    assert (request.method, request.url.host, request.url.path) == ("GET", "analytics-calling.webexapis.com", path)
    assert webex.params == [
        {"startTime": "2026-11-20T09:59:59.999Z", "endTime": "2026-11-20T11:00:00.001Z", "max": "5000"}
    ]
    assert request.headers["Authorization"] == "Bearer ACCESS"


def test_milliseconds_are_kept_and_finer_fractions_widen_the_window() -> None:
    webex = Webex()
    webex.fetch(DAY + timedelta(microseconds=1999), h(1) + timedelta(microseconds=1))
    assert webex.params[0]["startTime"] == "2026-11-18T00:00:00.000Z"
    assert webex.params[0]["endTime"] == "2026-11-18T01:00:00.002Z"
    webex.fetch(DAY + timedelta(milliseconds=7), h(1) + timedelta(milliseconds=7))
    assert webex.params[1]["startTime"].endswith(":00.006Z")
    assert webex.params[1]["endTime"].endswith(":00.008Z")


def test_the_slash_at_the_end_of_base_url_is_not_doubled() -> None:
    webex = Webex(base_url=US + "/")
    webex.fetch()
    assert webex.requests[0].url.path == "/v1/cdr_feed"


@for_each(
    "call, since, until, hours",
    [
        ("cdrs", h(0), h(24), 12),
        ("cdrs", h(0), h(24) + timedelta(microseconds=1), 12),
        ("cdrs", h(0) - timedelta(microseconds=1), h(24) + timedelta(microseconds=1), 12),
        ("stream", h(-11, on=NOW) - timedelta(microseconds=1), h(-1, on=NOW) + timedelta(microseconds=1), 2),
    ],
)
def test_windows_overlap_and_keep_the_limit(call: str, since: datetime, until: datetime, hours: int) -> None:
    """It is not published whether their ends are included, so each is a millisecond longer at both ends.

    The limit counts as written on the wire, where an end below a millisecond may make a window longer.
    """
    webex = Webex()
    webex.fetch(since, until, call)
    asked = webex.asked
    assert asked[0][0] <= since - MS
    assert asked[-1][1] >= until + MS
    assert all(other[0] <= one[1] - 2 * MS for one, other in itertools.pairwise(asked))
    assert max(end - start for start, end in asked) == timedelta(hours=hours)


def test_the_time_after_a_window_takes_no_request_for_milliseconds() -> None:
    """A day and half a day after it are three requests; the day itself is always covered."""
    webex = Webex()
    webex.fetch(h(0), h(24), longest_call=timedelta(hours=12))
    assert len(webex.asked) == 3
    assert h(36) - webex.asked[-1][1] < timedelta(milliseconds=10)
    webex.fetch(h(0), h(24))
    assert len(webex.asked) == 6
    assert webex.asked[-1][1] == h(24) + MS


def test_a_window_of_the_longest_allowed_length_is_requested_in_two_parts() -> None:
    webex = Webex()
    webex.fetch(h(0), h(12))
    assert len(webex.asked) == 2
    webex.fetch(h(0), h(12) - 2 * MS)
    assert len(webex.asked) == 3


def test_locations_are_requested_ten_at_a_time_and_each_once() -> None:
    webex = Webex()
    names = tuple(f"Site {n}" for n in range(11))
    webex.fetch(location=(*names, "Site 3"))
    assert [one["locations"] for one in webex.params] == [",".join(names[:10]), "Site 10"]
    assert len(set(webex.windows)) == 1


def test_every_window_is_requested_for_every_list_of_locations() -> None:
    webex = Webex()
    webex.fetch(h(0), h(23), location=tuple(f"Site {n}" for n in range(11)))
    assert [since for since, _ in webex.windows] == ["11-18T00:00"] * 2 + ["11-18T11:59"] * 2


@for_each("name", ["Paris, Texas", "", " "])
def test_an_invalid_location_is_refused_before_a_request(name: str) -> None:
    """The parameter is a comma-separated list; an empty one would request all locations."""
    webex = Webex()
    error = webex.fails(location=("London", name))
    assert isinstance(error, UsageError)
    assert "location" in words(error)
    assert "leave" in words(error)
    assert webex.requests == []


@for_each("size", [0, -1, 5001])
def test_a_page_size_that_the_service_would_silently_change_is_refused(size: int) -> None:
    webex = Webex()
    assert isinstance(webex.fails(page_size=size), UsageError)
    assert webex.requests == []


# The published rate


@pytest.mark.parametrize("call", ["cdrs", "stream"])
def test_three_windows_of_twenty_five_pages_keep_the_published_rate(call: str) -> None:
    """Any minute has one first page and ten further pages, feed and stream together."""

    def rule(request: httpx.Request) -> httpx.Response:
        page = int(dict(request.url.params).get("startTimeForNextFetch", "1"))
        return answer(link=None if page == 25 else link_to(str(page + 1)))

    webex = Webex(rule)
    webex.fetch(*((h(0), h(35)) if call == "cdrs" else (h(-6.5, on=NOW), h(-1, on=NOW))), call)
    assert len(webex.requests) == 75
    for kind, most in (("", 1), ("2", 10)):
        times = [at for at, page in zip(webex.at, webex.pages, strict=True) if bool(page) == bool(kind)]
        assert max(sum(at <= other <= at + timedelta(seconds=60) for other in times) for at in times) <= most
    assert (webex.at[-1] - webex.at[0]) < timedelta(minutes=9), "slower than the rate asks for"


def test_feed_and_stream_share_the_rate_within_a_run() -> None:
    webex = Webex()
    given = {"location": (), "longest_call": timedelta(0), "page_size": 5000}
    with closing(webex.client()) as client:
        for call in ("cdrs", "stream"):
            window = Window(h(-2, on=NOW), h(-1, on=NOW))
            list(PROVIDER.call(call).fetch(Query(client, webex.settings, window, given)))
    assert webex.at[1] - webex.at[0] >= timedelta(seconds=61)


def test_the_older_rate_limit_can_be_set() -> None:
    """Documents of 2023 allow one request in five minutes for an organisation."""
    webex = Webex(answer(link=link_to("2")), answer(), requests_per_minute=0.2)
    webex.fetch(h(0), h(23))
    assert [(other - one).total_seconds() for one, other in itertools.pairwise(webex.at)] == [300, 300]


def test_the_columns_are_the_same_for_both_calls() -> None:
    assert [call.columns for call in PROVIDER.calls] == [COLUMNS] * 3
