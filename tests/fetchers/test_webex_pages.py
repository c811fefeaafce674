"""Webex's pages, and restarts of a window."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import httpx

from cdrctl.errors import ProviderError, SignInError, TemporaryError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers.webex import PROVIDER
from cdrctl.records.events import Event, Gap
from cdrctl.records.schemas import raw
from cdrctl.windows import Window
from tests.support.products import for_each

from .webex_kit import ELSEWHERE, EU, TRACKING, US, Webex, answer, exchange, h, ids, link_to, nothing, record, words


def gaps(pieces: Sequence[Event]) -> list[Gap]:
    return [piece for piece in pieces if isinstance(piece, Gap)]


def exported(pieces: Sequence[Event], window: Window, call: str = "cdrs") -> tuple[list[str], Tally]:
    """Return the records of an export, without duplicates and without records outside the window."""
    tally = Tally()
    pages = rows(pieces, PROVIDER.call(call), raw(), window, tally, lambda _level, _text: None)
    return [str(dict(one)["Report ID"]) for page in pages for one in page], tally


# From page to page


NEXT = f"{US}/cdr_feed?endTime=2026-11-18T12:00:00.000Z&locations=A,B;C&x=%2c&startTimeForNextFetch=2"
LINKS = {
    "ordinary": f'<{NEXT}>; rel="next"',
    "as the documentation prints it": f'<<{NEXT}>;rel="next">',
    "without the blank": f'<{NEXT}>;rel="next"',
    "unquoted": f"<{NEXT}>; rel=next",
    "other case": f'<{NEXT}>; REL="Next"',
    "single quotes and blanks": f"<{NEXT}> ; rel = 'next'",
    "one of several words": f'<{NEXT}>; rel="start next"',
    "another parameter first": f'<{NEXT}>; title="page two"; rel="next"',
    "title with a comma, a semicolon and another relation": f'<{NEXT}>; title="a, <b>; rel=prev"; rel="next"',
    "second of two": f'<{US}/cdr_feed?startTimeForNextFetch=1>; rel="prev", <{NEXT}>; rel="next"',
    "first of two": f'<{NEXT}>; rel="next", <{US}/cdr_feed?startTimeForNextFetch=9>; rel="last"',
}


@for_each("link", LINKS.values(), ids=list(LINKS))
def test_a_next_link_is_found_in_every_form_and_followed_byte_for_byte(link: str) -> None:
    webex = Webex(answer(record("a", h(1)), link=link), answer(record("b", h(2))))
    assert ids(webex.fetch()) == ["a", "b"]
    assert str(webex.requests[1].url) == NEXT
    assert webex.requests[1].url.raw_path.decode() == NEXT.removeprefix("https://analytics-calling.webexapis.com")
    assert webex.requests[1].headers["Authorization"] == "Bearer ACCESS"


RELATIVE = {
    "/v1/cdr_feed?cursor=2": f"{US}/cdr_feed?cursor=2",
    "cdr_feed?cursor=2026-11-18T09:30:00.000Z": f"{US}/cdr_feed?cursor=2026-11-18T09:30:00.000Z",
    "?cursor=a%2cb,c;d:e": f"{US}/cdr_feed?cursor=a%2cb,c;d:e",
    "../v1/./cdr_feed?cursor=2": f"{US}/cdr_feed?cursor=2",
    "//analytics-calling-eu.webexapis.com/v1/cdr_feed?cursor=2": f"{EU}/cdr_feed?cursor=2",
}


@for_each("form", ['<{}>; rel="next"', "<{}>;REL=NEXT", '<<{}>;rel="next">'])
@for_each("link, url", RELATIVE.items())
def test_a_relative_next_link_is_resolved_against_the_page_it_came_with(link: str, url: str, form: str) -> None:
    """RFC 3986, section 5.2; RFC 8288, section 3.1."""
    webex = Webex(answer(record("a", h(1)), link=form.format(link)), answer(record("b", h(2))))
    assert ids(webex.fetch()) == ["a", "b"]
    assert str(webex.requests[1].url) == url


def test_a_relative_next_link_leads_to_the_region_that_was_moved_to() -> None:
    webex = Webex(exchange("wrong region, older wording"), answer(link='<?cursor=2>; rel="next"'), answer())
    webex.fetch()
    assert str(webex.requests[2].url) == f"{EU}/cdr_feed?cursor=2"


def test_relative_next_link_that_repeats_is_an_error() -> None:
    webex = Webex(lambda _request: answer(record("a", h(1)), link='<?cursor=2>; rel="next"'))
    assert isinstance(webex.fails(), ProviderError)
    assert len(webex.requests) == 2


def test_two_link_headers_are_one_list() -> None:
    headers = [("Link", f'<{US}/first>; rel="first"'), ("Link", LINKS["ordinary"])]
    webex = Webex(httpx.Response(200, json={"items": []}, headers=headers), answer(record("b", h(2))))
    assert ids(webex.fetch()) == ["b"]


@for_each(
    "link",
    [
        f'<{NEXT}>; rel="prev"',
        f'<{NEXT}>; rel="next-archive"',
        f'<{NEXT}>; rev="next"',
        f'<{NEXT}>; xrel="next"',
        f'<{NEXT}>; rel="nextish"',
        f'<{NEXT}>; title="page; rel=next"',
        f'<{NEXT}>; rel="prev"; rel="next"',
        "",
    ],
)
def test_a_page_without_a_next_link_ends_the_window(link: str) -> None:
    webex = Webex(answer(record("a", h(1)), link=link))
    assert ids(webex.fetch()) == ["a"]
    assert len(webex.requests) == 1


@for_each("page", [{"items": []}, {}, {"message": "later"}])
def test_a_page_without_records_does_not_end_a_window_that_goes_on(page: dict[str, Any]) -> None:
    webex = Webex(answer(body=page, link=link_to("2")), answer(body=page, link=link_to("3")), answer(record("b", h(2))))
    assert ids(webex.fetch()) == ["b"]
    assert webex.pages == ["", "2", "3"]


@for_each("body", [{}, {"records": []}, [], {"items": None}, {"items": {}}, {"items": ["x"]}])
def test_a_last_page_of_another_shape_is_an_error(body: Any) -> None:
    error = Webex(httpx.Response(200, json=body)).fails()
    assert isinstance(error, ProviderError)


def test_a_page_of_another_shape_is_an_error_even_with_a_next_link() -> None:
    assert isinstance(Webex(answer(body={"items": None}, link=link_to("2"))).fails(), ProviderError)
    assert isinstance(Webex(httpx.Response(200, json=[1], headers={"Link": link_to("2")})).fails(), ProviderError)


@for_each(
    "answered",
    [exchange("empty window as 404"), exchange("empty window as 200"), httpx.Response(204)],
    ids=["404", "200", "204"],
)
def test_an_empty_window_in_any_form_is_not_an_error(answered: httpx.Response) -> None:
    webex = Webex(answered, answer(record("b", h(13))))
    assert ids(webex.fetch(h(0), h(23))) == ["b"]
    assert len(webex.requests) == 2


def test_a_next_page_without_content_ends_the_window() -> None:
    """If the total was not reached, the window is requested again."""
    webex = Webex(answer(record("a", h(1)), link=link_to("2", 1)), httpx.Response(204))
    assert (ids(webex.fetch()), webex.pages) == (["a"], ["", "2"])
    webex = Webex(answer(record("a", h(1)), link=link_to("2", 2)), httpx.Response(204), answer(record("b", h(2))))
    pieces = webex.fetch()
    assert (ids(pieces), gaps(pieces), webex.pages) == (["a", "b"], [], ["", "2", ""])


def test_repeated_next_link_is_an_error() -> None:
    webex = Webex(lambda _request: answer(record("a", h(1)), link=link_to("2")))
    error = webex.fails()
    assert isinstance(error, ProviderError)
    assert webex.pages == ["", "2"]


def test_repeated_records_of_the_next_page_are_dropped() -> None:
    webex = Webex(
        answer(record("a", h(1)), record("b", h(2)), link=link_to("2", 3)),
        answer(record("b", h(2)), record("c", h(3))),
    )
    found, tally = exported(webex.fetch(), Window(h(0), h(12)))
    assert (found, tally.duplicates, tally.gaps) == (["a", "b", "c"], 1, [])


def test_records_whose_calls_did_not_start_in_the_window_are_cut() -> None:
    webex = Webex(answer(*(record(name, h(at)) for name, at in (("before", -0.1), ("first", 0), ("after", 12)))))
    assert exported(webex.fetch(), Window(h(0), h(12)))[0] == ["first"]


def test_the_total_reached_with_an_empty_last_page_is_fine() -> None:
    """The last page may have an empty list of records, or none."""
    pages: list[dict[str, Any]] = [{"items": []}, {}]
    for last in pages:
        webex = Webex(answer(record("a", h(1)), link=link_to("2", 1)), answer(body=last))
        pieces = webex.fetch()
        assert ids(pieces) == ["a"]
        assert gaps(pieces) == []
        assert len(webex.requests) == 2


def test_a_last_page_without_a_list_is_an_error_while_records_are_missing() -> None:
    webex = Webex(answer(record("a", h(1)), link=link_to("2", 2)), answer(body={}))
    assert isinstance(webex.fails(), ProviderError)


def test_a_window_is_requested_again_when_its_total_is_not_reached() -> None:
    short = [answer(record("a", h(1)), link=link_to("2", 2)), answer()]
    whole = [answer(record("a", h(1)), link=link_to("2", 2)), answer(record("b", h(2)))]
    webex = Webex(*short, *whole)
    pieces = webex.fetch()
    assert gaps(pieces) == []
    assert exported(pieces, Window(h(0), h(12)))[0] == ["a", "b"]
    assert webex.pages == ["", "2", "", "2"]
    assert webex.notes == ["reading 2026-11-18T00:00:00.000Z to 2026-11-18T11:00:00.000Z again"]


def test_total_that_is_never_reached_is_a_gap() -> None:
    """A repeated record does not count for a missing one."""

    def rule(request: httpx.Request) -> httpx.Response:
        if "startTimeForNextFetch" in str(request.url):
            return answer(record("a", h(1)), trackingid=TRACKING)
        return answer(record("a", h(1)), link=link_to("2", 2))

    webex = Webex(rule)
    [gap] = gaps(webex.fetch())
    assert gap.what == "Webex reported 2 records for 2026-11-18T00:00:00.000Z to 2026-11-18T11:00:00.000Z but sent 1"
    assert gap.hint is not None
    assert TRACKING in gap.hint
    assert webex.pages == ["", "2", "", "2"]


def test_two_incomplete_attempts_can_complete_a_window() -> None:
    one = [answer(record("a", h(1)), link=link_to("2", 2)), answer()]
    other = [answer(record("b", h(2)), link=link_to("2", 2)), answer()]
    assert gaps(Webex(*one, *other).fetch()) == []


def test_the_largest_total_of_a_window_counts_and_the_next_window_begins_anew() -> None:
    webex = Webex(
        answer(record("a", h(1)), link=link_to("2", 3)),
        answer(record("b", h(2)), link=link_to("3", 2)),
        answer(record("c", h(3))),
        answer(record("d", h(13))),
    )
    assert gaps(webex.fetch(h(0), h(23))) == []
    assert webex.pages == ["", "2", "3", ""]


@for_each("total", ["many", "", "2x", "-2", "9999999999999999999999"])
def test_an_invalid_total_is_ignored(total: str) -> None:
    link = f'<{US}/cdr_feed?totalCount={total}&startTimeForNextFetch=2>; rel="next"'
    pieces = Webex(answer(record("a", h(1)), link=link), answer()).fetch()
    assert (ids(pieces), gaps(pieces)) == (["a"], [])


# Failures between pages


def test_a_next_page_that_fails_after_all_tries_restarts_the_window_once() -> None:
    fault = [exchange("gateway timeout") for _ in range(5)]
    for one in fault:
        one.status_code = 500
    webex = Webex(answer(record("a", h(1)), link=link_to("2")), *fault, answer(record("a", h(1))))
    assert ids(webex.fetch()) == ["a", "a"]
    assert webex.pages == ["", *["2"] * 5, ""]


def test_a_window_is_not_restarted_for_ever() -> None:
    def rule(request: httpx.Request) -> httpx.Response:
        if "startTimeForNextFetch" in str(request.url):
            return httpx.Response(500, json={})
        return answer(link=link_to("2"))

    webex = Webex(rule)
    error = webex.fails()
    assert isinstance(error, TemporaryError)
    assert webex.pages == ["", *["2"] * 5, "", *["2"] * 5]


def test_a_first_page_that_fails_after_all_tries_ends_the_run() -> None:
    webex = Webex(lambda _request: httpx.Response(502, json={"message": "no", "trackingId": TRACKING}))
    error = webex.fails()
    assert error.exit_code == 5
    assert sum(webex.slept) >= 900
    assert TRACKING in words(error)


@for_each("status", [400, 404, 410])
def test_expired_next_link_restarts_the_window_once(status: int) -> None:
    """How long links last, and which error an expired one gives, is not published."""

    def ended() -> httpx.Response:
        return httpx.Response(status, json={"message": "the link has expired"})

    webex = Webex(answer(record("a", h(1)), link=link_to("2")), ended(), answer(record("a", h(1))))
    assert ids(webex.fetch()) == ["a", "a"]
    assert webex.pages == ["", "2", ""]
    again = Webex(answer(link=link_to("2")), ended(), answer(link=link_to("3")), ended())
    assert again.fails().status == status
    assert again.pages == ["", "2", "", "3"]


def test_a_refusal_unrelated_to_the_link_does_not_restart_the_window() -> None:
    webex = Webex(answer(record("a", h(1)), link=link_to("2")), exchange("missing scope or role"))
    assert isinstance(webex.fails(), SignInError)
    assert len(webex.requests) == 2


def test_a_timeout_halves_the_page_size_down_to_the_smallest_and_restarts_the_window() -> None:
    """The documentation of 504 recommends to reduce max. Later windows keep the reduced size."""

    def rule(request: httpx.Request) -> httpx.Response:
        return nothing() if int(dict(request.url.params)["max"]) <= 500 else exchange("gateway timeout")

    webex = Webex(rule)
    webex.fetch(h(0), h(23))
    asked = [(params["max"], since[6:8]) for params, (since, _) in zip(webex.params, webex.windows, strict=True)]
    assert [one for one, _ in itertools.groupby(asked)] == [
        *(("5000", "00"), ("2500", "00"), ("1250", "00"), ("625", "00"), ("500", "00"), ("500", "11"))
    ]


def test_a_timeout_of_a_next_page_halves_the_page_size_and_leaves_the_restart() -> None:
    timeouts = [exchange("gateway timeout") for _ in range(5)]
    broken = [httpx.Response(500, json={}) for _ in range(5)]
    webex = Webex(
        answer(record("a", h(1)), link=link_to("2")),
        *timeouts,
        answer(record("a", h(1)), link=link_to("3")),
        *broken,
        answer(record("a", h(1))),
    )
    webex.fetch()
    assert [params["max"] for params in webex.params if "startTime" in params] == ["5000", "2500", "2500"]


def test_the_page_size_is_halved_as_long_as_it_can_become_smaller() -> None:
    webex = Webex(*(exchange("gateway timeout") for _ in range(5)), nothing())
    webex.fetch(page_size=501)
    assert [params["max"] for params in webex.params] == [*["501"] * 5, "500"]


def test_a_timeout_at_the_smallest_page_size_is_temporary() -> None:
    webex = Webex(lambda _request: exchange("gateway timeout"))
    error = webex.fails(page_size=500)
    assert (error.exit_code, len(webex.requests)) == (5, 5)
    assert TRACKING in words(error)


@for_each("status", [423, 429])
@for_each("header, least, most", [("", 60, 61), ("5", 5, 6), ("800", 800, 801)])
def test_retry_waits_as_long_as_the_service_asks(status: int, header: str, least: float, most: float) -> None:
    """Without `Retry-After` the wait is a minute."""
    busy = httpx.Response(status, json={"message": "x"}, headers={"Retry-After": header} if header else {})
    webex = Webex(busy, answer(record("a", h(1))), base_url=ELSEWHERE, requests_per_minute=0)
    assert ids(webex.fetch()) == ["a"]
    [slept] = webex.slept
    assert least <= slept <= most


def test_retry_after_may_be_a_date() -> None:
    headers = {"Retry-After": "Fri, 20 Nov 2026 12:00:42 GMT", "Date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    busy = httpx.Response(429, json={"message": "x"}, headers=headers)
    webex = Webex(busy, base_url=ELSEWHERE, requests_per_minute=0)
    webex.fetch()
    assert 42 <= webex.slept[0] <= 43
