"""How Webex is asked: requests, windows, pages, and what becomes of answers that are not as they should be."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import SecretStr

from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, SignInError, TemporaryError, UsageError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query, connect
from cdrctl.fetchers.webex import PROVIDER
from cdrctl.fetchers.webex.columns import COLUMNS
from cdrctl.fetchers.webex.settings import WebexSettings
from cdrctl.fetchers.webex.sign_in import allows_url
from cdrctl.http import Client, Clock, TokenStore
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page
from cdrctl.records.schemas import raw
from cdrctl.windows import Window

DATA = Path(__file__).parents[1] / "data" / "webex"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)
"""A day that is over for long: nothing about it depends on NOW."""

US = "https://analytics-calling.webexapis.com/v1"
EU = "https://analytics-calling-eu.webexapis.com/v1"
ELSEWHERE = "http://127.0.0.1:9/v1"
MS = timedelta(milliseconds=1)
TRACKING = "ROUTER_00000000-0000-4000-8000-000000000001"

Rule = Callable[[httpx.Request], httpx.Response]


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def exchange(name: str) -> httpx.Response:
    """Return an answer of the collected exchanges, with its records left out."""
    found = next(one for one in sample("constructed_http_exchanges.json")["exchanges"] if one["name"] == name)
    body = found["response"]["body"]
    body = {"items": []} if "items" in body else body
    return httpx.Response(found["response"]["status"], json=body, headers=found["response"]["headers"])


def h(hours: float, *, on: datetime = DAY) -> datetime:
    return on + timedelta(hours=hours)


def stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03}Z"


def record(name: str, start: datetime, end: datetime | None = None, report: datetime | None = None) -> dict[str, Any]:
    end = end or start + timedelta(minutes=1)
    return {
        "Report ID": name,
        "Start time": stamp(start),
        "Release time": stamp(end),
        "Report time": stamp(report or end),
    }


def link_to(page: str, total: int | None = None, base: str = US) -> str:
    count = "" if total is None else f"&totalCount={total}"
    return f'<{base}/cdr_feed?startTimeForNextFetch={page}{count}&max=5000>; rel="next"'


def answer(
    *records: Mapping[str, Any], status: int = 200, link: str | None = None, body: Any = None, **headers: str
) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | ({"Link": link} if link else {})
    return httpx.Response(status, json={"items": list(records)} if body is None else body, headers=sent)


def nothing() -> httpx.Response:
    return exchange("empty window as 404")


class Webex:
    """What the service answers, by a rule or in turn and then nothing; and one profile's run against it.

    Time passes only where the run waits.
    """

    def __init__(self, *answers: httpx.Response | Rule, now: datetime = NOW, **settings: Any) -> None:
        self.answers = list(answers)
        self.now = now
        self.settings = WebexSettings(**({"access_token": SecretStr("ACCESS")} | settings))
        self.requests: list[httpx.Request] = []
        self.at: list[datetime] = []
        self.slept: list[float] = []
        self.told: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        self.at.append(self.now)
        if not self.answers:
            return nothing()
        first = self.answers[0]
        if isinstance(first, httpx.Response):
            self.answers.pop(0)
            return first
        return first(request)

    def monotonic(self) -> float:
        return (self.now - DAY).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def client(self, shelf: TokenStore | None = None) -> Client:
        clock = Clock(now=lambda: self.now, monotonic=self.monotonic, sleep=self.sleep)
        return connect(
            PROVIDER,
            self.settings,
            clock=clock,
            log=lambda level, text: self.told.append((level, text)),
            conceal=lambda _secrets: None,
            token_store=shelf,
            transport=httpx.MockTransport(self),
        )

    def pieces(
        self, since: datetime = DAY, until: datetime | None = None, call: str = "cdrs", **options: Any
    ) -> Iterator[Event]:
        """Yield what the fetcher yields; without options it asks for nothing beyond the window."""
        given = {"location": (), "longest_call": timedelta(0), "page_size": 5000} | options
        with closing(self.client()) as client:
            window = Window(since, until or h(11))
            yield from PROVIDER.call(call).fetch(Query(client, self.settings, window, given))

    def fetch(self, *args: Any, **options: Any) -> list[Event]:
        return [piece for piece in self.pieces(*args, **options) if not isinstance(piece, Checkpoint)]

    def fails(self, *args: Any, **options: Any) -> CdrctlError:
        with pytest.raises(CdrctlError) as caught:
            self.fetch(*args, **options)
        return caught.value

    @property
    def params(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(request.url.query.decode(), keep_blank_values=True)) for request in self.requests]

    @property
    def windows(self) -> list[tuple[str, str]]:
        """The windows of the first pages, without years and seconds and without the millisecond more at both ends."""
        return [(stamp(since + MS)[5:16], stamp(until - MS)[5:16]) for since, until in self.asked]

    @property
    def asked(self) -> list[tuple[datetime, datetime]]:
        """The windows of the first pages, as they were asked."""
        first = [params for params in self.params if "startTime" in params]
        return [(datetime.fromisoformat(one["startTime"]), datetime.fromisoformat(one["endTime"])) for one in first]

    @property
    def pages(self) -> list[str]:
        """For every request of a listing its page: empty for a first page."""
        return [params.get("startTimeForNextFetch", "") for params in self.params]

    @property
    def notes(self) -> list[str]:
        return [text for level, text in self.told if level == "note"]


def ids(pieces: Sequence[Event]) -> list[str]:
    return [one["Report ID"] for piece in pieces if isinstance(piece, Page) for one in piece.records]


def gaps(pieces: Sequence[Event]) -> list[Gap]:
    return [piece for piece in pieces if isinstance(piece, Gap)]


def exported(pieces: Sequence[Event], window: Window, call: str = "cdrs") -> tuple[list[str], Tally]:
    """Return what a whole export makes of the pieces."""
    tally = Tally()
    pages = rows(pieces, PROVIDER.call(call), raw(), window, tally, lambda _level, _text: None)
    return [str(dict(one)["Report ID"]) for page in pages for one in page], tally


def words(error: CdrctlError) -> str:
    return " | ".join(filter(None, (error.message, error.said, error.hint)))


# Requests


@pytest.mark.parametrize(("call", "path"), [("cdrs", "/v1/cdr_feed"), ("stream", "/v1/cdr_stream")])
def test_a_request_is_written_exactly_as_documented(call: str, path: str) -> None:
    """Three decimals and a Z, a millisecond more at both ends, the page size, the token, and nothing else."""
    webex = Webex()
    webex.fetch(h(-2, on=NOW), h(-1, on=NOW), call)
    [request] = webex.requests
    assert (request.method, request.url.host, request.url.path) == ("GET", "analytics-calling.webexapis.com", path)
    assert webex.params == [
        {"startTime": "2026-11-20T09:59:59.999Z", "endTime": "2026-11-20T11:00:00.001Z", "max": "5000"}
    ]
    assert request.headers["Authorization"] == "Bearer ACCESS"


def test_milliseconds_are_kept_and_what_is_finer_widens_the_window() -> None:
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


@pytest.mark.parametrize(
    ("call", "since", "until", "hours"),
    [
        ("cdrs", h(0), h(24), 12),
        ("cdrs", h(0), h(24) + timedelta(microseconds=1), 12),
        ("cdrs", h(0) - timedelta(microseconds=1), h(24) + timedelta(microseconds=1), 12),
        ("stream", h(-11, on=NOW) - timedelta(microseconds=1), h(-1, on=NOW) + timedelta(microseconds=1), 2),
    ],
)
def test_windows_overlap_cover_all_and_are_never_too_long(
    call: str, since: datetime, until: datetime, hours: int
) -> None:
    """Whether their ends belong to them is not published: each reaches a millisecond further than it must.

    The limit counts as written on the wire, where an end below a millisecond may make a window longer.
    """
    webex = Webex()
    webex.fetch(since, until, call)
    asked = webex.asked
    assert asked[0][0] <= since - MS
    assert asked[-1][1] >= until + MS
    assert all(other[0] <= one[1] - 2 * MS for one, other in itertools.pairwise(asked))
    assert max(end - start for start, end in asked) == timedelta(hours=hours)


def test_what_is_asked_beyond_a_window_takes_no_request_for_milliseconds() -> None:
    """A day and half a day beyond it are three windows; the wanted day itself is covered whatever that takes."""
    webex = Webex()
    webex.fetch(h(0), h(24), longest_call=timedelta(hours=12))
    assert len(webex.asked) == 3
    assert h(36) - webex.asked[-1][1] < timedelta(milliseconds=10)
    webex.fetch(h(0), h(24))
    assert len(webex.asked) == 6
    assert webex.asked[-1][1] == h(24) + MS


def test_a_window_as_long_as_the_service_allows_is_asked_in_two_and_not_refused() -> None:
    webex = Webex()
    webex.fetch(h(0), h(12))
    assert len(webex.asked) == 2
    webex.fetch(h(0), h(12) - 2 * MS)
    assert len(webex.asked) == 3


def test_locations_are_asked_by_ten_and_each_once() -> None:
    webex = Webex()
    names = tuple(f"Site {n}" for n in range(11))
    webex.fetch(location=(*names, "Site 3"))
    assert [one["locations"] for one in webex.params] == [",".join(names[:10]), "Site 10"]
    assert len(set(webex.windows)) == 1


def test_every_window_is_asked_for_every_list_of_locations() -> None:
    webex = Webex()
    webex.fetch(h(0), h(23), location=tuple(f"Site {n}" for n in range(11)))
    assert [since for since, _ in webex.windows] == ["11-18T00:00"] * 2 + ["11-18T11:59"] * 2


@pytest.mark.parametrize("name", ["Paris, Texas", "", " "])
def test_a_location_that_cannot_be_asked_for_is_refused_before_anything_is_sent(name: str) -> None:
    """The parameter is comma-separated, and an empty one would ask for all."""
    webex = Webex()
    error = webex.fails(location=("London", name))
    assert isinstance(error, UsageError)
    assert "location" in words(error)
    assert "leave" in words(error)
    assert webex.requests == []


@pytest.mark.parametrize("size", [0, -1, 5001])
def test_a_page_size_that_the_service_would_silently_change_is_refused(size: int) -> None:
    webex = Webex()
    assert isinstance(webex.fails(page_size=size), UsageError)
    assert webex.requests == []


# What is kept, and how long


@pytest.mark.parametrize(("call", "keeps"), [("cdrs", timedelta(days=30)), ("stream", timedelta(hours=12))])
def test_the_words_for_all_that_is_kept_stay_a_minute_from_the_edge_and_say_so(call: str, keeps: timedelta) -> None:
    """`--since 30d` and `--since 12h` mean what there is."""
    webex = Webex()
    pieces = webex.fetch(NOW - keeps, NOW - keeps + timedelta(hours=1), call)
    assert webex.params[0]["startTime"] == stamp(NOW - keeps + timedelta(seconds=60) - MS)
    assert [piece.text for piece in pieces if isinstance(piece, Note)] == [
        f"Webex keeps no calls from before {stamp(NOW - keeps + timedelta(seconds=60))}"
    ]


@pytest.mark.parametrize(("call", "keeps"), [("cdrs", timedelta(days=30)), ("stream", timedelta(hours=12))])
def test_a_window_from_a_minute_after_the_edge_is_asked_as_it_is(call: str, keeps: timedelta) -> None:
    webex = Webex()
    since = NOW - keeps + timedelta(seconds=60)
    assert [piece for piece in webex.fetch(since, since + timedelta(hours=1), call) if isinstance(piece, Note)] == []
    assert webex.params[0]["startTime"] == stamp(since - MS)


@pytest.mark.parametrize(
    ("call", "keeps", "way_out"),
    [
        ("cdrs", timedelta(days=30), 'Reports, template "Calling Detailed Call History"'),
        ("stream", timedelta(hours=12), "`cdrctl webex cdrs` goes back 30 days"),
    ],
)
def test_a_window_from_before_what_is_kept_is_refused_with_the_way_out(
    call: str, keeps: timedelta, way_out: str
) -> None:
    webex = Webex()
    error = webex.fails(NOW - keeps - timedelta(seconds=61), NOW - timedelta(hours=3), call)
    assert isinstance(error, UsageError)
    assert way_out in words(error)
    assert f"--since {stamp(NOW - keeps + timedelta(seconds=120))}" in words(error)
    assert webex.requests == []


def test_the_words_for_all_that_is_kept_are_understood_a_minute_later_too() -> None:
    """They were read before the run signed in."""
    webex = Webex()
    webex.fetch(NOW - timedelta(days=30, seconds=60), h(-29 * 24, on=NOW))
    assert webex.params[0]["startTime"] == stamp(NOW - timedelta(days=30) + timedelta(seconds=60) - MS)


def test_a_window_that_is_all_but_gone_is_refused_too() -> None:
    """Shortened at the edge, hardly anything would be left of it."""
    webex = Webex()
    edge = NOW - timedelta(days=30)
    assert isinstance(webex.fails(edge, edge + timedelta(seconds=90)), UsageError)
    assert isinstance(webex.fails(edge, edge + timedelta(seconds=120)), UsageError)
    assert webex.requests == []


def test_all_that_is_kept_is_had_for_many_locations_although_time_passes_between_them() -> None:
    """Each list of ten waits a minute for the next, and the edge moves on meanwhile."""
    webex = Webex()
    webex.fetch(NOW - timedelta(days=30), h(-29 * 24, on=NOW), location=tuple(f"Site {n}" for n in range(21)))
    for asked, moment in zip(webex.params, webex.at, strict=True):
        assert datetime.fromisoformat(asked["startTime"]) >= moment - timedelta(days=30)
    assert len({asked["startTime"] for asked in webex.params[:3]}) == 1


# Beyond the window


def test_as_much_as_a_call_may_last_is_asked_for_after_the_window() -> None:
    """Where the service counts by the end of a call, a call that started in the window may be found there only."""
    webex = Webex()
    webex.fetch(h(0), h(18), longest_call=timedelta(hours=12))
    assert webex.windows == [
        ("11-18T00:00", "11-18T11:59"),
        ("11-18T11:59", "11-18T23:59"),
        ("11-18T23:59", "11-19T06:00"),
    ]


@pytest.mark.parametrize(("call", "newest"), [("cdrs", "11:54"), ("stream", "11:58")])
def test_nothing_is_asked_for_that_the_service_does_not_have_yet(call: str, newest: str) -> None:
    """Five minutes for the feed and one for the stream, and a minute of margin."""
    webex = Webex()
    webex.fetch(h(-2, on=NOW), h(-1, on=NOW), call, longest_call=timedelta(hours=12))
    assert webex.windows[-1][1] == f"11-20T{newest}"
    assert webex.params[-1]["endTime"].endswith(":00.001Z")


def test_the_lag_of_each_call_is_its_published_one_and_a_minute() -> None:
    assert PROVIDER.call("cdrs").timing.lag == timedelta(minutes=6)
    assert PROVIDER.call("stream").timing.lag == timedelta(minutes=2)


def test_the_window_itself_is_always_asked_to_its_end() -> None:
    """Whoever asks for later than we would go on to has been told what is there."""
    webex = Webex()
    webex.fetch(h(-1, on=NOW), NOW - timedelta(minutes=3), longest_call=timedelta(hours=12))
    assert webex.windows == [("11-20T11:00", "11-20T11:57")]


def test_a_call_that_ended_and_was_reported_after_its_window_proves_that_the_start_counts() -> None:
    """Then nothing beyond the window is asked for any more."""
    webex = Webex(answer(record("a", h(11), h(13))))
    webex.fetch(h(0), h(18), longest_call=timedelta(hours=12))
    assert webex.windows == [("11-18T00:00", "11-18T11:59"), ("11-18T11:59", "11-18T18:00")]


def test_the_proof_also_saves_the_window_that_follows_at_once() -> None:
    webex = Webex(answer(record("a", h(11), h(13))))
    webex.fetch(h(0), h(11.5), longest_call=timedelta(hours=12))
    assert len(webex.requests) == 1


FALSE_PROOFS = {
    "ended with the window": [record("a", h(11), h(12))],
    "ended within a minute of it, as clocks differ": [record("a", h(11), h(12) - 2 * MS + timedelta(seconds=60))],
    "a late report of a call that ended before": [record("a", h(11), h(11.5), report=h(15))],
    "a later end with a report from before": [record("a", h(11), h(13), report=h(12))],
    "no readable end": [
        {"Report ID": "a", "Start time": stamp(h(11)), "Release time": "NA", "Report time": stamp(h(13))}
    ],
    "no readable report": [record("a", h(11), h(13)) | {"Report time": ""}],
    "began before the window, so the end counts": [record("a", h(-2), h(1))],
    "began before the window and ended after it": [record("a", h(-2), h(14))],
    "contradictions": [record("a", h(11), h(13)), record("b", h(-2), h(1))],
}


@pytest.mark.parametrize("records", FALSE_PROOFS.values(), ids=list(FALSE_PROOFS))
def test_nothing_less_than_proof_saves_a_request(records: list[dict[str, Any]]) -> None:
    webex = Webex(answer(*records), answer(record("z", h(12), h(30))))
    webex.fetch(h(0), h(12) - 2 * MS, longest_call=timedelta(hours=6))
    assert webex.windows == [("11-18T00:00", "11-18T11:59"), ("11-18T11:59", "11-18T17:59")]


def test_a_proof_that_the_end_counts_is_not_overturned() -> None:
    webex = Webex(answer(record("a", h(-2), h(1))), answer(record("b", h(13), h(26))))
    webex.fetch(h(0), h(23), longest_call=timedelta(hours=12))
    assert len(webex.windows) == 3


def test_the_stream_has_nothing_to_prove() -> None:
    """Its window is on the arrival of a record, which always follows the end of the call."""
    webex = Webex(answer(record("a", h(-5.5, on=NOW), h(-3, on=NOW))))
    webex.fetch(h(-6, on=NOW), h(-5, on=NOW), "stream", longest_call=timedelta(hours=3))
    assert webex.windows == [("11-20T06:00", "11-20T07:59"), ("11-20T07:59", "11-20T09:59")]


def test_a_long_export_says_before_it_starts_how_long_it_takes() -> None:
    """One window a minute: thirty days take an hour, however few the calls."""
    pieces = Webex().pieces(h(-24 * 20, on=NOW), h(-24 * 10 - 1, on=NOW))
    assert next(pieces) == Note("the rate limit of Webex is one window a minute: this takes at least 19 min")
    slow = Webex(requests_per_minute=0.2).pieces(h(0), h(23))
    assert next(slow) == Note("the rate limit of Webex is one window a minute: this takes at least 5 min")
    unpaced = Webex(base_url=ELSEWHERE, requests_per_minute=0).fetch(h(-24 * 20, on=NOW), h(-24 * 10, on=NOW))
    assert [piece for piece in unpaced if isinstance(piece, Note)] == []
    assert [piece for piece in Webex().fetch(h(0), h(23)) if isinstance(piece, Note)] == []


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


@pytest.mark.parametrize("link", LINKS.values(), ids=list(LINKS))
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


@pytest.mark.parametrize("form", ['<{}>; rel="next"', "<{}>;REL=NEXT", '<<{}>;rel="next">'])
@pytest.mark.parametrize(("link", "url"), RELATIVE.items())
def test_a_relative_next_link_is_resolved_against_the_page_it_came_with(link: str, url: str, form: str) -> None:
    """RFC 3986, section 5.2; RFC 8288, section 3.1."""
    webex = Webex(answer(record("a", h(1)), link=form.format(link)), answer(record("b", h(2))))
    assert ids(webex.fetch()) == ["a", "b"]
    assert str(webex.requests[1].url) == url


def test_a_relative_next_link_leads_to_the_region_that_was_moved_to() -> None:
    webex = Webex(exchange("wrong region, older wording"), answer(link='<?cursor=2>; rel="next"'), answer())
    webex.fetch()
    assert str(webex.requests[2].url) == f"{EU}/cdr_feed?cursor=2"


def test_a_relative_next_link_that_goes_in_circles_ends_the_run_with_an_error() -> None:
    webex = Webex(lambda _request: answer(record("a", h(1)), link='<?cursor=2>; rel="next"'))
    assert "circles" in webex.fails().message
    assert len(webex.requests) == 2


def test_two_link_headers_are_one_list() -> None:
    headers = [("Link", f'<{US}/first>; rel="first"'), ("Link", LINKS["ordinary"])]
    webex = Webex(httpx.Response(200, json={"items": []}, headers=headers), answer(record("b", h(2))))
    assert ids(webex.fetch()) == ["b"]


@pytest.mark.parametrize(
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
def test_no_link_to_a_next_page_ends_the_window(link: str) -> None:
    webex = Webex(answer(record("a", h(1)), link=link))
    assert ids(webex.fetch()) == ["a"]
    assert len(webex.requests) == 1


@pytest.mark.parametrize("page", [{"items": []}, {}, {"message": "later"}])
def test_a_page_without_records_does_not_end_a_window_that_goes_on(page: dict[str, Any]) -> None:
    webex = Webex(answer(body=page, link=link_to("2")), answer(body=page, link=link_to("3")), answer(record("b", h(2))))
    assert ids(webex.fetch()) == ["b"]
    assert webex.pages == ["", "2", "3"]


@pytest.mark.parametrize("body", [{}, {"records": []}, [], {"items": None}, {"items": {}}, {"items": ["x"]}])
def test_a_last_page_of_another_shape_is_an_error_and_not_an_empty_one(body: Any) -> None:
    error = Webex(httpx.Response(200, json=body)).fails()
    assert isinstance(error, ProviderError)
    assert "in an unknown shape" in error.message


def test_a_page_of_another_shape_is_an_error_even_with_a_next_link() -> None:
    assert isinstance(Webex(answer(body={"items": None}, link=link_to("2"))).fails(), ProviderError)
    assert isinstance(Webex(httpx.Response(200, json=[1], headers={"Link": link_to("2")})).fails(), ProviderError)


@pytest.mark.parametrize(
    "answered",
    [exchange("empty window as 404"), exchange("empty window as 200"), httpx.Response(204)],
    ids=["404", "200", "204"],
)
def test_an_empty_window_is_no_error_in_any_form(answered: httpx.Response) -> None:
    webex = Webex(answered, answer(record("b", h(13))))
    assert ids(webex.fetch(h(0), h(23))) == ["b"]
    assert len(webex.requests) == 2


def test_a_next_page_without_content_ends_the_window() -> None:
    """With a total that was not reached it is asked again, as any short window."""
    webex = Webex(answer(record("a", h(1)), link=link_to("2", 1)), httpx.Response(204))
    assert (ids(webex.fetch()), webex.pages) == (["a"], ["", "2"])
    webex = Webex(answer(record("a", h(1)), link=link_to("2", 2)), httpx.Response(204), answer(record("b", h(2))))
    pieces = webex.fetch()
    assert (ids(pieces), gaps(pieces), webex.pages) == (["a", "b"], [], ["", "2", ""])


def test_a_link_that_was_followed_before_ends_the_run_with_an_error() -> None:
    webex = Webex(lambda _request: answer(record("a", h(1)), link=link_to("2")))
    error = webex.fails()
    assert isinstance(error, ProviderError)
    assert "circles" in error.message
    assert webex.pages == ["", "2"]


def test_records_that_come_again_on_the_next_page_are_handed_on_once() -> None:
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
    """Whether it has a list of records or none at all: they make the window whole."""
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


def test_a_total_not_reached_has_the_window_asked_once_more() -> None:
    short = [answer(record("a", h(1)), link=link_to("2", 2)), answer()]
    whole = [answer(record("a", h(1)), link=link_to("2", 2)), answer(record("b", h(2)))]
    webex = Webex(*short, *whole)
    pieces = webex.fetch()
    assert gaps(pieces) == []
    assert exported(pieces, Window(h(0), h(12)))[0] == ["a", "b"]
    assert webex.pages == ["", "2", "", "2"]
    assert webex.notes == ["reading 2026-11-18T00:00:00.000Z to 2026-11-18T11:00:00.000Z again"]


def test_a_total_never_reached_is_a_gap_that_names_the_window_and_the_tracking_id() -> None:
    """A record sent twice does not stand for one that was not sent."""

    def rule(request: httpx.Request) -> httpx.Response:
        if "startTimeForNextFetch" in str(request.url):
            return answer(record("a", h(1)), trackingid=TRACKING)
        return answer(record("a", h(1)), link=link_to("2", 2))

    webex = Webex(rule)
    [gap] = gaps(webex.fetch())
    assert gap.what == "Webex has 2 records for 2026-11-18T00:00:00.000Z to 2026-11-18T11:00:00.000Z and sent 1 of them"
    assert gap.hint is not None
    assert TRACKING in gap.hint
    assert webex.pages == ["", "2", "", "2"]


def test_two_attempts_that_lack_different_records_make_a_whole_window() -> None:
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


@pytest.mark.parametrize("total", ["many", "", "2x", "-2", "9999999999999999999999"])
def test_a_total_that_is_no_count_is_not_relied_upon(total: str) -> None:
    link = f'<{US}/cdr_feed?totalCount={total}&startTimeForNextFetch=2>; rel="next"'
    pieces = Webex(answer(record("a", h(1)), link=link), answer()).fetch()
    assert (ids(pieces), gaps(pieces)) == (["a"], [])


# Breaks on the way


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


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_next_link_that_has_ended_restarts_the_window_once(status: int) -> None:
    """How long one lives is not published, nor how its end is said."""

    def ended() -> httpx.Response:
        return httpx.Response(status, json={"message": "the link has expired"})

    webex = Webex(answer(record("a", h(1)), link=link_to("2")), ended(), answer(record("a", h(1))))
    assert ids(webex.fetch()) == ["a", "a"]
    assert webex.pages == ["", "2", ""]
    again = Webex(answer(link=link_to("2")), ended(), answer(link=link_to("3")), ended())
    assert again.fails().status == status
    assert again.pages == ["", "2", "", "3"]


def test_a_refusal_that_no_new_link_mends_does_not_restart_the_window() -> None:
    webex = Webex(answer(record("a", h(1)), link=link_to("2")), exchange("missing scope or role"))
    assert isinstance(webex.fails(), SignInError)
    assert len(webex.requests) == 2


def test_a_timeout_halves_the_page_size_down_to_the_smallest_and_restarts_the_window() -> None:
    """The documentation of 504 says: please try to reduce max. It stays reduced for the windows that follow."""

    def rule(request: httpx.Request) -> httpx.Response:
        return nothing() if int(dict(request.url.params)["max"]) <= 500 else exchange("gateway timeout")

    webex = Webex(rule)
    webex.fetch(h(0), h(23))
    asked = [(params["max"], since[6:8]) for params, (since, _) in zip(webex.params, webex.windows, strict=True)]
    assert [one for one, _ in itertools.groupby(asked)] == [
        *(("5000", "00"), ("2500", "00"), ("1250", "00"), ("625", "00"), ("500", "00"), ("500", "11"))
    ]


def test_a_timeout_of_a_next_page_halves_the_page_size_too_and_the_restart_is_still_to_be_had() -> None:
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


@pytest.mark.parametrize("status", [423, 429])
@pytest.mark.parametrize(("header", "least", "most"), [("", 60, 61), ("5", 5, 6), ("800", 800, 801)])
def test_a_busy_service_is_given_the_time_it_asks_for_within_reason(
    status: int, header: str, least: float, most: float
) -> None:
    """Without `Retry-After` a minute."""
    busy = httpx.Response(status, json={"message": "x"}, headers={"Retry-After": header} if header else {})
    webex = Webex(busy, answer(record("a", h(1))), base_url=ELSEWHERE, requests_per_minute=0)
    assert ids(webex.fetch()) == ["a"]
    [slept] = webex.slept
    assert least <= slept <= most


def test_a_busy_service_may_name_an_instant() -> None:
    headers = {"Retry-After": "Fri, 20 Nov 2026 12:00:42 GMT", "Date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    busy = httpx.Response(429, json={"message": "x"}, headers=headers)
    webex = Webex(busy, base_url=ELSEWHERE, requests_per_minute=0)
    webex.fetch()
    assert 42 <= webex.slept[0] <= 43


# What answers mean

MEANINGS = [
    ("other 404", httpx.codes.NOT_FOUND, 6, ["this address has no call history", "end in /v1"]),
    (
        "bad window",
        httpx.codes.BAD_REQUEST,
        7,
        ["Webex refused the window 2026-11-18T00:00:00.000Z to", "30 days", "12 h"],
    ),
    ("bad token", httpx.codes.UNAUTHORIZED, 4, ["the token has expired and could not be renewed"]),
    (
        "no scope",
        httpx.codes.FORBIDDEN,
        4,
        ["spark-admin:calling_cdr_read", "Detailed Call History API access", "31 December 2026"],
    ),
    ("locked", httpx.codes.LOCKED, 5, ["--max-wait"]),
    ("too many", httpx.codes.TOO_MANY_REQUESTS, 5, ["--max-wait"]),
    ("region", 451, 6, ["another region", "-eu, -in, -au or -gov"]),
    ("broken", httpx.codes.INTERNAL_SERVER_ERROR, 5, ["5 tries"]),
    ("bad gateway", httpx.codes.BAD_GATEWAY, 5, ["15 min of retries"]),
    ("away", httpx.codes.SERVICE_UNAVAILABLE, 5, ["15 min of retries"]),
    ("unheard of", 418, 7, ["HTTP 418"]),
]


@pytest.mark.parametrize(("status", "code", "said"), [row[1:] for row in MEANINGS], ids=[row[0] for row in MEANINGS])
@pytest.mark.parametrize("shape", ["of this API", "general", "header"])
def test_an_error_says_what_happened_what_the_service_said_and_the_tracking_id(
    status: int, code: int, said: list[str], shape: str
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "of this API": {"errorCode": status, "message": "their words", "trackingId": TRACKING},
        "general": {"message": "", "errors": [{"description": "their words"}], "trackingId": TRACKING},
        "header": {"message": "their words"},
    }
    headers = {"trackingid": TRACKING} if shape == "header" else {}
    webex = Webex(lambda _request: httpx.Response(int(status), json=bodies[shape], headers=headers))
    error = webex.fails()
    assert error.exit_code == code
    assert error.said is not None
    assert "their words" in error.said
    assert error.said.count(TRACKING) == 1
    for part in said:
        assert part in words(error)


def test_a_refused_window_of_the_stream_names_the_limits_of_the_stream() -> None:
    error = Webex(exchange("bad window")).fails(h(-2, on=NOW), h(-1, on=NOW), "stream")
    assert "The stream goes back 12 hours, in windows of up to 2 hours." in error.message
    assert "48 hours" not in error.message


def test_the_older_limit_is_named_only_where_it_may_be_the_reason() -> None:
    """Documents of 2023 say 48 hours; not every organisation is known to be served today's 30 days."""
    assert "48 hours" in Webex(exchange("bad window")).fails(h(-49, on=NOW), h(-47, on=NOW)).message
    assert "48 hours" not in Webex(exchange("bad window")).fails(h(-48, on=NOW), h(-47, on=NOW)).message


@pytest.mark.parametrize("body", [b'{"items": [', b"<html>", b""])
def test_a_body_that_is_not_whole_is_asked_for_again(body: bytes) -> None:
    webex = Webex(httpx.Response(200, content=body), answer(record("a", h(1))))
    assert ids(webex.fetch()) == ["a"]


# Regions


@pytest.mark.parametrize("wording", ["wrong region, older wording", "wrong region, newer wording"])
def test_the_region_named_is_asked_from_then_on(wording: str) -> None:
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


@pytest.mark.parametrize(
    "base_url",
    [
        ELSEWHERE,
        "https://cdr.example.net/v1",
        "https://evil-webexapis.com/v1",
    ],
)
@pytest.mark.parametrize("wording", ["wrong region, older wording", "wrong region, newer wording"])
def test_the_region_is_named_and_not_asked_where_base_url_is_elsewhere(base_url: str, wording: str) -> None:
    """A proxy or an imitation must not send the token where its user did not."""
    webex = Webex(exchange(wording), base_url=base_url)
    error = webex.fails()
    assert error.exit_code == 6
    assert "analytics-calling-eu.webexapis.com" in error.message
    assert error.hint == f"set base_url to {EU}"
    assert TRACKING in words(error)
    assert len(webex.requests) == 1


@pytest.mark.parametrize(
    ("text", "host"),
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


@pytest.mark.parametrize("host", FOREIGN)
def test_a_host_that_only_looks_like_the_service_is_never_gone_to(host: str) -> None:
    webex = Webex(answer(body={"message": f"Please use {host}"}, status=451))
    error = webex.fails()
    assert error.exit_code == 6
    assert "did not name" in error.message
    assert len(webex.requests) == 1


@pytest.mark.parametrize(
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
def test_a_next_link_to_another_host_is_refused_and_sent_nothing(link: str) -> None:
    webex = Webex(answer(record("a", h(1)), link=f'<{link}>; rel="next"'))
    error = webex.fails()
    assert isinstance(error, ProviderError)
    assert "another host" in error.message
    assert len(webex.requests) == 1


def test_a_next_link_may_lead_to_another_region_only_from_one() -> None:
    link = f'<{EU}/cdr_feed?startTimeForNextFetch=2>; rel="next"'
    assert len(Webex(answer(link=link), answer()).fetch()) == 2
    assert "another host" in Webex(answer(link=link), base_url=ELSEWHERE).fails().message
    here = f'<{ELSEWHERE}/cdr_feed?startTimeForNextFetch=2>; rel="next"'
    assert len(Webex(answer(link=here), answer(), base_url=ELSEWHERE).fetch()) == 2


def test_an_address_that_cannot_be_read_is_not_trusted() -> None:
    settings = WebexSettings.model_validate({"access_token": "ACCESS"})
    assert not allows_url(settings, "https://[x.webexapis.com/v1")
    assert not allows_url(settings, "https://x.webexapis.com:port/v1")
    assert allows_url(settings, f"{EU}/cdr_feed")


# The published rate


@pytest.mark.parametrize("call", ["cdrs", "stream"])
def test_three_windows_of_twenty_five_pages_keep_the_published_rate(call: str) -> None:
    """One first page and ten further pages in any minute, for feed and stream together."""

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


def test_the_older_pace_can_be_had() -> None:
    """Documents of 2023 allow one request in five minutes for an organisation."""
    webex = Webex(answer(link=link_to("2")), answer(), requests_per_minute=0.2)
    webex.fetch(h(0), h(23))
    assert [(other - one).total_seconds() for one, other in itertools.pairwise(webex.at)] == [300, 300]


def test_the_columns_are_the_same_for_both_calls() -> None:
    assert [call.columns for call in PROVIDER.calls] == [COLUMNS] * 3
