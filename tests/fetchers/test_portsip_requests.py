"""PortSIP's fetcher, request by request, against answers written here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers import check_access, connect
from cdrctl.fetchers.portsip import PROVIDER
from cdrctl.fetchers.portsip.cron import cron
from cdrctl.fetchers.portsip.files import safe_name
from cdrctl.fetchers.portsip.report_form import FILTERS
from cdrctl.fetchers.portsip.settings import PortsipSettings
from cdrctl.fetchers.portsip.sign_in import CLIENT_ID
from cdrctl.windows import Window
from tests.support.clock import HandClock

from .test_portsip import BASE, SETTINGS, USER, Run, at, fetched, sample, window

DAY = window("2026-11-18", "2026-11-19")
ERRORS = sample("constructed_http_errors.json")["errors"]
Answers = Callable[[httpx.Request], httpx.Response]


def page(items: list[dict[str, Any]], count: int | None = -1) -> httpx.Response:
    counted = {} if count is None else {"count": len(items) if count < 0 else count}
    return httpx.Response(200, json={**counted, "items": items})


def failure(status: int, code: str = "UNKNOWN", message: str = "no", **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"code": code, "message": message, **more}]})


def row(number: int, started: str = "2026-11-18T00:00:00Z", **changes: Any) -> dict[str, Any]:
    return {"id": str(900_000 + number), "started_at": started, "duration": number, **changes}


class Server:
    """Plays answers in order, or by a function, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response, by: Answers | None = None) -> None:
        self.answers: Iterator[httpx.Response] = iter(answers)
        self.by = by
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        return self.by(request) if self.by else next(self.answers)

    @property
    def lines(self) -> list[str]:
        return [f"{one.method} {one.url.path.removeprefix('/api')}" for one in self.asked]

    @property
    def queries(self) -> list[dict[str, str]]:
        return [dict(one.url.params) for one in self.asked]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(one.content) if one.content[:1] == b"{" else one.content for one in self.asked]


def run(server: Server, call: str = "cdrs", span: Window | None = None, settings: Any = None, **options: Any) -> Run:
    span = span or (DAY if call in {"cdrs", "calllogs"} else None)
    return fetched(settings or SETTINGS, call, span, transport=httpx.MockTransport(server), **options)


def refused(server: Server, kind: type[CdrctlError], call: str = "cdrs", **options: Any) -> CdrctlError:
    """Return the error of a run, which shows no secret."""
    seen = Run()
    with pytest.raises(kind) as caught:
        run(server, call, run=seen, **options)
    error = caught.value
    assert type(error) is kind
    shown = " ".join(map(str, (error.message, error.said, error.hint, seen.told)))
    for secret in ("T0KEN", "pa55-w0rd", "R3FRESH", "SECRET-BLOB", *seen.secrets):
        assert secret not in shown
    return error


@dataclass
class Pbx:
    """A listing that really filters, sorts, skips and counts.

    Args:
        landing: What lands before each page, in order.
        leaving: Ids that go before each page, in order.
        first: The number of the first item for `skip`.
    """

    rows: list[dict[str, Any]]
    counts: bool = True
    heeds: bool = True
    first: int = 0
    landing: list[dict[str, Any]] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)
    slow: timedelta | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        found = self.rows
        if self.heeds and "filter" in query:
            since, until = re.findall(r"started_at (?:ge|lt) '([^']+)'", query["filter"])
            assert query["filter"].endswith(f"started_at ge '{since}' and started_at lt '{until}'")
            low, high = datetime.fromisoformat(since), datetime.fromisoformat(until)
            if self.slow is not None and high - low > self.slow + timedelta(seconds=1):
                return httpx.Response(504)
            found = [one for one in found if low <= datetime.fromisoformat(one["started_at"]) < high]
        if self.heeds:
            found = sorted(found, key=lambda one: (datetime.fromisoformat(one["started_at"]), one["id"]))
        skip, top = int(query["skip"]), int(query["top"])
        if self.first and skip:
            skip -= self.first
        answer = page(found[skip : skip + top], len(found) if self.counts else None)
        if self.landing:
            self.rows.append(self.landing.pop(0))
        if self.leaving:
            gone = self.leaving.pop(0)
            self.rows = [one for one in self.rows if one["id"] != gone]
        return answer


def spread(count: int) -> list[dict[str, Any]]:
    """Return calls a minute apart from the start of the day."""
    begun = at("2026-11-18")
    return [row(n, f"{begun + timedelta(minutes=n):%Y-%m-%dT%H:%M:%S.000001Z}") for n in range(count)]


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(one["id"] for one in rows)


# Listing: exact sequences


def test_the_request_of_the_documents() -> None:
    """Filter, order, page, count; blanks are %20 and quotes %27, as published."""
    server = Server(page([row(1)]))
    assert run(server).ids == ["900001"]
    assert str(server.asked[0].url) == (
        f"{BASE}/cdrs?filter=started_at%20ge%20%272026-11-17T23:59:59.999999Z%27%20and%20started_at%20lt%20"
        "%272026-11-19T00:00:00.000001Z%27&orderby=started_at%20asc%2C%20id%20asc&top=100&skip=0&count=true"
    )
    assert server.asked[0].headers["Authorization"] == "Bearer T0KEN-OF-OURS"
    assert len(server.asked) == 1


def test_pages_go_on_by_what_came() -> None:
    """A short page is not the last one."""
    server = Server(page([row(1), row(2)], 4), page([row(3)], 4), page([row(4)], 4))
    assert run(server, page_size=3).ids == ids([row(n) for n in (1, 2, 3, 4)])
    assert [(query["top"], query["skip"]) for query in server.queries] == [("3", "0"), ("3", "2"), ("3", "3")]


def test_without_a_count_an_empty_page_is_the_end() -> None:
    server = Server(page([row(1)], None), page([row(2)], None), page([], None))
    done = run(server)
    assert done.ids == ["900001", "900002"]
    assert done.gaps == []
    assert [query["skip"] for query in server.queries] == ["0", "1", "2"]


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 47])
def test_every_record_once(count: int, first: int, counts: bool) -> None:  # noqa: FBT001
    """Around the size of a page, whether `skip` counts from 0 or from 1."""
    rows = spread(count)
    server = Server(by=Pbx(list(rows), counts=counts, first=first))
    done = run(server, page_size=10)
    assert done.ids == ids(rows)
    assert done.gaps == []
    if not first and counts:
        assert len(server.asked) == count // 10 + 1  # after a full page the next one is asked for
        assert done.duplicates == 0


def test_windows_of_a_day_or_as_asked() -> None:
    """They tile the window, oldest first, with a microsecond more at both ends."""
    span = Window(at("2026-11-16T12:00:00.000001"), at("2026-11-18T06:00"))
    server = Server(by=lambda _request: page([]))
    run(server, span=span)
    edges = [re.findall("'([^']+)'", query["filter"]) for query in server.queries]
    assert edges == [
        ["2026-11-16T12:00:00Z", "2026-11-17T12:00:00.000002Z"],
        ["2026-11-17T12:00:00Z", "2026-11-18T06:00:00.000001Z"],
    ]
    server = Server(by=lambda _request: page([]))
    run(server, "calllogs", span, window=timedelta(hours=6))
    assert len(server.asked) == 7
    assert set(server.lines) == {"GET /calllogs"}


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 86_400_000_000 - 1), max_size=30, unique=True),
    st.lists(st.integers(1, 86_400_000_000 - 1), max_size=3, unique=True),
)
def test_windows_tile(moments: list[int], cuts: list[int]) -> None:
    """Cut anywhere, the pieces give what the whole gives."""
    begun = at("2026-11-18")
    calls = [row(n, (begun + timedelta(microseconds=micro)).isoformat()) for n, micro in enumerate(moments)]
    edges = [begun, *(begun + timedelta(microseconds=cut) for cut in sorted(cuts)), begun + timedelta(days=1)]
    found: list[str] = []
    for since, until in pairwise(edges):
        found += run(Server(by=Pbx(list(calls))), span=Window(since, until), page_size=7).ids
    assert sorted(found) == ids(calls)


def test_the_users_words() -> None:
    """Filters in parentheses before ours, search as it is, the order only in the request."""
    server = Server(page([row(1)]))
    given = ("caller eq 'O''Neil' or callee eq '1'", "status_code ne 0")
    run(server, filter=given, search="a&b", orderby="caller asc")
    assert server.queries[0] == {
        "filter": "(caller eq 'O''Neil' or callee eq '1') and (status_code ne 0) and "
        "started_at ge '2026-11-17T23:59:59.999999Z' and started_at lt '2026-11-19T00:00:00.000001Z'",
        "search": "a&b",
        "orderby": "caller asc, id asc",
        "top": "100",
        "skip": "0",
        "count": "true",
    }


def test_own_calls_have_their_own_place() -> None:
    server = Server(page([]), httpx.Response(200, json={"items": {"started_at": "x", "cost": 1}}))
    run(server, own=True)
    assert run(server, "cdr", own=True, id="7").rows == [{"started_at": "x", "cost": 1}]
    assert server.lines == ["GET /user/cdrs", "GET /user/cdrs/7"]


def test_a_refused_order_gives_way() -> None:
    """Where two keys are refused, one is asked for; what was accepted stays."""
    server = Server(failure(400, "VALIDATE_FAILED"), page([row(1)], 2), page([row(2)], 2), page([]))
    span = window("2026-11-18", "2026-11-20")
    assert run(server, span=span).ids == ["900001", "900002"]
    assert [query["orderby"] for query in server.queries] == ["started_at asc, id asc", *["started_at asc"] * 3]


def test_an_order_that_was_accepted_is_not_to_blame() -> None:
    """A refusal in mid-run is not asked again in another order."""
    server = Server(page([row(1)], 2), failure(400, "VALIDATE_FAILED"))
    refused(server, ProviderError)
    assert len(server.asked) == 2


# Calls that land or go, and PBXs that do not heed


def test_calls_that_land_between_pages() -> None:
    """One that lands behind us moves another into the next page; the window is read again and it is found."""
    rows = spread(30)
    late = row(99, "2026-11-18T00:00:30Z")
    server = Server(by=Pbx(list(rows), landing=[late]))
    done = run(server, page_size=10)
    assert done.ids == ids([*rows, late])
    assert done.gaps == []
    assert len(server.asked) == 4 + 1 + 4  # the fifth: nothing comes, and one is missing
    assert any("reading it again" in text for text in done.told)


def test_calls_that_land_where_no_total_is_told() -> None:
    """One that lands behind us makes another come twice: the window is read again."""
    rows = spread(30)
    late = row(99, "2026-11-18T00:00:30Z")
    done = run(Server(by=Pbx(list(rows), landing=[late], counts=False)), page_size=10)
    assert done.ids == ids([*rows, late])
    assert done.gaps == []


def test_calls_that_land_ahead_cost_nothing() -> None:
    rows = spread(30)
    late = row(99, "2026-11-18T23:00:00Z")
    server = Server(by=Pbx(list(rows), landing=[late]))
    assert run(server, page_size=10).ids == ids([*rows, late])
    assert len(server.asked) == 4


def test_calls_that_go_between_pages() -> None:
    """One that goes moves another to where we have been: the total shrank, so the window is read again."""
    rows = spread(30)
    server = Server(by=Pbx(list(rows), leaving=["900000"]))
    assert run(server, page_size=10).ids == ids(rows)


def test_calls_that_land_all_the_time() -> None:
    """Every reading brings new ones: it is read again, but not for ever, and what is missing is said."""
    rows = spread(30)
    late = [row(100 + n, f"2026-11-18T00:00:00.{n:06}Z") for n in range(200)]
    done = run(Server(by=Pbx(list(rows), landing=late)), page_size=10)
    assert set(done.ids) >= set(ids(rows))
    assert len(done.gaps) == 1
    assert re.fullmatch(
        r"PortSIP has \d+ records for 2026-11-18T00:00:00\.000Z to 2026-11-19T00:00:00\.000Z and sent \d+", done.gaps[0]
    )


def test_records_that_never_come_are_a_gap() -> None:
    """The window is read twice, and then it is said how many are missing."""
    server = Server(by=lambda request: page([row(1)] if request.url.params["skip"] == "0" else [], 3))
    done = run(server)
    assert done.ids == ["900001"]
    assert done.gaps == ["PortSIP has 3 records for 2026-11-18T00:00:00.000Z to 2026-11-19T00:00:00.000Z and sent 1"]
    assert len(server.asked) == 4


WRONG_TOTALS: dict[str, Callable[[int, int, int], Any]] = {
    "zero": lambda _all, _skip, _page: 0,
    "page": lambda _all, _skip, page: page,
    "half": lambda all_, _skip, _page: all_ // 2,
    "shrinking": lambda all_, skip, _page: all_ - skip,
    "true": lambda _all, _skip, _page: True,
    "negative": lambda _all, _skip, _page: -1,
    "words": lambda _all, _skip, _page: "many",
}


@pytest.mark.parametrize("call", ["cdrs", "calllogs", "reports list", "completed-reports list"])
@pytest.mark.parametrize("wrong", WRONG_TOTALS)
def test_a_wrong_total_loses_nothing(wrong: str, call: str) -> None:
    """All 230 records come in pages of 100, once each, and one warning says that the totals are wrong."""
    rows = spread(230)

    def answer(request: httpx.Request) -> httpx.Response:
        skip = int(request.url.params["skip"])
        sent = rows[skip : skip + 100]
        return httpx.Response(200, json={"count": WRONG_TOTALS[wrong](230, skip, len(sent)), "items": sent})

    server = Server(by=answer)
    done = run(server, call)
    assert done.ids == ids(rows)
    assert done.gaps == []
    assert done.duplicates == 0
    assert len([text for text in done.told if "total" in text]) == 1
    assert not any("again" in text for text in done.told)
    assert len(server.asked) <= 4


@pytest.mark.parametrize("text", ["230", "0230", 230.0])
def test_a_total_as_text_is_a_total(text: Any) -> None:
    rows = spread(230)

    def answer(request: httpx.Request) -> httpx.Response:
        skip = int(request.url.params["skip"])
        return httpx.Response(200, json={"count": text, "items": rows[skip : skip + 100]})

    server = Server(by=answer)
    assert run(server).ids == ids(rows)
    assert len(server.asked) == 3


def test_a_wrong_total_is_warned_of_once_for_all_windows() -> None:
    server = Server(by=lambda request: page([row(1)] if request.url.params["skip"] == "0" else [], 0))
    done = run(server, span=window("2026-11-18", "2026-11-21"))
    assert len([text for text in done.told if "total" in text]) == 1


def test_a_total_that_falls_below_what_was_announced_is_a_gap() -> None:
    """The first page announced more records than came: they are missing, although the last total is lower."""
    rows = spread(150)

    def answer(request: httpx.Request) -> httpx.Response:
        skip = int(request.url.params["skip"])
        return httpx.Response(200, json={"count": max(0, 230 - skip), "items": rows[skip : skip + 100]})

    done = run(Server(by=answer))
    assert done.ids == ids(rows)
    assert ["230 records" in gap for gap in done.gaps] == [True]


def test_a_pbx_that_ignores_skip_does_not_turn_in_circles() -> None:
    server = Server(by=lambda _request: page(spread(10), 50))
    done = run(server, page_size=10)
    assert len(done.gaps) == 1
    assert len(server.asked) == 6


def test_a_pbx_that_ignores_the_filter() -> None:
    """Everything is read without it, once, and the window's calls are kept; that is said."""
    outside = [row(500 + n, f"2026-10-{1 + n:02}T00:00:00Z") for n in range(25)]
    inside = spread(30)
    server = Server(by=Pbx([*inside, *outside], heeds=False))
    done = run(server, page_size=10, span=window("2026-11-18", "2026-11-20"))
    assert done.ids == ids(inside)
    assert done.gaps == []
    assert any("does not look at the filter" in text for text in done.told)
    assert sum("filter" not in query for query in server.queries) == 6
    assert len(server.asked) <= 10


@pytest.mark.parametrize("words", [{"filter": ("status_code eq 486",)}, {"search": "sales"}])
def test_a_pbx_that_ignores_the_users_filter(words: dict[str, Any]) -> None:
    """That cannot be made good: it is refused rather than exported wrongly."""
    server = Server(by=Pbx([row(1, "2026-01-01T00:00:00Z")], heeds=False))
    error = refused(server, ProviderError, **words)
    assert "cannot be asked of it" in error.message


def test_a_record_without_a_start_is_kept() -> None:
    assert run(Server(page([row(1, ""), row(2)]))).ids == ["900001", "900002"]


# Slow PBXs


def test_windows_that_are_too_slow_are_halved() -> None:
    """Down to what the PBX can do; every call once, with a probe whether it is alive."""
    rows = spread(1400)
    server = Server(by=Pbx(list(rows), slow=timedelta(hours=6)))
    done = run(server)
    assert [one["id"] for one in done.rows] == [one["id"] for one in rows]  # oldest first
    assert done.gaps == []
    assert done.duplicates == 0
    assert len(server.asked) == (5 + 1) + 2 * (2 + 1) + 4 * 4  # a day in vain, its halves in vain, and the quarters
    assert any("asking for it in halves" in text for text in done.told)


def test_a_failure_in_a_deep_page_halves_as_well() -> None:
    rows = spread(1400)
    pbx = Pbx(list(rows))
    server = Server(by=lambda one: httpx.Response(500) if int(one.url.params["skip"]) > 500 else pbx(one))
    done = run(server)
    assert done.ids == ids(rows)
    assert done.gaps == []


def test_a_second_that_always_fails_is_a_gap() -> None:
    """The rest comes, and the second is named."""
    rows = spread(10)
    pbx = Pbx(list(rows))

    def answer(request: httpx.Request) -> httpx.Response:
        since, until = map(datetime.fromisoformat, re.findall("'([^']+)'", request.url.params["filter"]))
        bad = at("2026-11-18T00:05:00.000001")
        return failure(500, message="query failed") if since <= bad < until else pbx(request)

    done = run(Server(by=answer), span=window("2026-11-18T00:00", "2026-11-18T00:10"))
    assert done.ids == ids([one for one in rows if one["id"] != "900005"])
    assert len(done.gaps) == 1
    assert "2026-11-18T00:05:00.000Z to 2026-11-18T00:05:01.000Z" in done.gaps[0]


def test_a_pbx_that_is_down_is_not_asked_for_halves() -> None:
    server = Server(by=lambda _request: httpx.Response(503))
    error = refused(server, TemporaryError)
    assert error.exit_code == 5
    assert len(server.asked) == 10


@pytest.mark.parametrize("status", [429, 503])
def test_throttling_is_waited_out(status: int) -> None:
    server = Server(httpx.Response(status, headers={"Retry-After": "30"}), page([row(1)]))
    done = run(server)
    assert done.ids == ["900001"]
    assert 30 <= done.waited < 32


def test_throttling_for_ever_is_not_halved() -> None:
    server = Server(by=lambda _request: httpx.Response(429))
    assert "rate limit is exceeded" in refused(server, TemporaryError).message
    assert len(server.asked) == 5


def test_no_more_than_five_requests_a_second() -> None:
    server = Server(by=lambda _request: page([]))
    done = run(server, span=window("2026-11-01", "2026-11-18"))
    assert done.requests == 17
    assert done.waited == 3.0


def test_five_years_back() -> None:
    """Where nothing comes from before, it cannot be told whether there was nothing: it is said."""
    span = window("2021-11-10", "2021-11-22")
    server = Server(by=lambda _request: page([]))
    [gap] = run(server, span=span).gaps
    assert "five years" in gap
    old = Server(by=Pbx([row(1, "2021-11-10T00:00:00Z")]))
    assert run(old, span=span).gaps == []
    assert run(Server(by=lambda _request: page([])), span=window("2021-11-22", "2021-11-24")).gaps == []


# The cost


def test_the_cost_takes_a_request_for_each_record() -> None:
    """It is said first how many; only the window's are asked for, each once, and the rest of a record is as it came."""
    details = {
        "900001": {"items": [{"caller": "changed", "cost": 0.12, "billed_account": "101"}]},
        "900002": sample("constructed_cdr_detail_two_legs.json"),
        "900003": {"items": [{"caller": "x"}]},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        key = request.url.path.removeprefix("/api/cdrs").strip("/")
        outside = row(9, "2026-11-19T00:00:00Z")
        return httpx.Response(200, json=details[key]) if key else page([row(1), outside, row(2), row(3), row(1)], 4)

    server = Server(by=answer)
    done = run(server, with_cost=True)
    assert done.rows == [
        {**row(1), "cost": 0.12, "billed_account": "101"},
        {**row(2), "cost": "0.12", "billed_account": "101"},
        row(3),
    ]
    assert any("one request for each of 4 records" in text for text in done.told)
    assert server.queries[0]["top"] == "1"
    assert server.lines[1:] == ["GET /cdrs", "GET /cdrs/900001", "GET /cdrs/900002", "GET /cdrs/900003"]


def test_a_cost_that_cannot_be_had_is_a_gap() -> None:
    """The record comes all the same."""
    flat = httpx.Response(200, json=sample("doc_calllog_detail.json"))
    server = Server(page([row(1)], 3), page([row(1), row(2), {"started_at": "2026-11-18T00:00:00Z"}]))
    server.answers = iter([*server.answers, failure(404), flat])
    done = run(server, "calllogs", with_cost=True)
    assert [one.get("cost") for one in done.rows] == [None, 1, None]
    assert done.gaps[0].startswith("the cost of record 900001 could not be fetched")
    assert len(done.gaps) == 2
    assert server.lines[2:] == ["GET /calllogs/900001", "GET /calllogs/900002"]


# One record


def test_one_call_in_full() -> None:
    """Its id is that of the request; several legs are numbered; ids are quoted."""
    server = Server(
        httpx.Response(200, json=sample("doc_cdr_detail.json")),
        httpx.Response(200, json=sample("constructed_cdr_detail_two_legs.json")),
    )
    one, legs = run(server, "cdr", id="a/b="), run(server, "cdr", id="878")
    assert [dict(context) for context in one.contexts] == [{"id": "a/b="}]
    assert [dict(context) for context in legs.contexts] == [{"id": "878#1"}, {"id": "878#2"}]
    assert server.asked[0].url.raw_path == b"/api/cdrs/a%2Fb%3D"


def test_one_call_log_in_full() -> None:
    server = Server(httpx.Response(200, json=sample("doc_calllog_detail.json")))
    assert run(server, "calllog", id="7").rows == [sample("doc_calllog_detail.json")]
    assert server.lines == ["GET /calllogs/7"]


@pytest.mark.parametrize("key", ["", " ", ".", "..", " . "])
def test_no_id(key: str) -> None:
    for call in ("cdr", "calllog", "reports show", "reports delete", "completed-reports download"):
        assert "is not an id" in refused(Server(), UsageError, call, id=key).message


def test_a_call_without_legs_is_no_record() -> None:
    error = refused(Server(httpx.Response(200, json={"items": []})), ProviderError, "cdr", id="7")
    assert "no such record" in error.message


# Errors


@pytest.mark.parametrize(
    ("call", "options", "answer", "kind", "words"),
    [
        (
            "cdrs",
            {},
            ERRORS[0],
            ProviderError,
            'refused to list cdrs|field validation failed {"field": "filter"}|sent was',
        ),
        (
            "cdrs",
            {"filter": ("x",)},
            ERRORS[0],
            UsageError,
            "does not accept --filter 'x'|field validation|sent was: (x)",
        ),
        ("cdrs", {"search": "q"}, ERRORS[1], UsageError, "--search 'q'||"),
        ("cdrs", {}, ERRORS[1], ProviderError, "refused to list cdrs||five years"),
        (
            "cdrs",
            {},
            ERRORS[4],
            RightsError,
            "may not read the tenant's calls: it needs the role Admin|unknown error|--own",
        ),
        ("cdrs", {"own": True}, ERRORS[4], RightsError, "may not read its own calls||"),
        ("reports list", {}, ERRORS[4], RightsError, "call reports|unknown error|Admin or QueueManager"),
        ("completed-reports show", {"id": "7"}, ERRORS[4], RightsError, "call reports||"),
        ("calllogs", {}, ERRORS[5], ProviderError, "this PBX does not know /calllogs (needs v22.0.42)|not found|cdrs"),
        ("calllog", {"id": "7"}, ERRORS[5], ProviderError, "no such record in /calllogs (call logs need v22.0.42)||"),
        ("cdr", {"id": "7"}, ERRORS[5], ProviderError, "no such record in /cdrs|not found|column id"),
        ("reports show", {"id": "7"}, ERRORS[5], ProviderError, "no such record in /call_reports||"),
        ("reports delete", {"id": "7"}, ERRORS[5], ProviderError, "no such record in /call_reports||"),
        (
            "cdr",
            {"id": "7"},
            {"status": 400, "body": "Invalid entry ID supplied"},
            ProviderError,
            "there is no such record||",
        ),
        ("cdrs", {}, ERRORS[3], SignInError, "the access token has ended||access_token"),
        ("cdrs", {}, {"status": 418, "body": ""}, ProviderError, "HTTP 418||"),
        ("cdrs", {}, {"status": 302, "body": ""}, ConfigurationError, "redirects||base_url"),
    ],
)
def test_refusals(call: str, options: dict[str, Any], answer: Any, kind: type[CdrctlError], words: str) -> None:
    """What happened, the PBX's own words, the next step."""
    body = answer["body"]
    if isinstance(body, str):
        body = {"errors": [{"code": "UNKNOWN", "message": body}]} if body else b""
    made = (
        httpx.Response(answer["status"], content=body)
        if isinstance(body, bytes)
        else httpx.Response(answer["status"], json=body)
    )
    error = refused(Server(by=lambda _request: made), kind, call, **options)
    message, theirs, hint = words.split("|")
    assert message in error.message
    assert theirs in (error.said or "")
    assert hint in (error.hint or "")


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": {}}, {"items": [1]}, [], 7, {"count": 0}])
def test_another_shape_is_never_no_records(body: Any) -> None:
    for call in ("cdrs", "calllogs", "reports list", "completed-reports list"):
        assert refused(Server(by=lambda _request: httpx.Response(200, json=body)), ProviderError, call).exit_code == 7


@pytest.mark.parametrize("body", [{}, [], 7, {"items": 3}, {"items": [[]]}])
def test_another_shape_of_one_record(body: Any) -> None:
    for call in ("cdr", "calllog", "reports show", "completed-reports show"):
        refused(Server(by=lambda _request: httpx.Response(200, json=body)), ProviderError, call, id="7")


@pytest.mark.parametrize("size", [0, 101, -1])
def test_sizes_of_pages(size: int) -> None:
    assert "1 to 100" in refused(Server(), UsageError, page_size=size).message


def test_bad_words_are_refused_before_anything_is_asked() -> None:
    assert "--filter is empty" in refused(Server(), UsageError, filter=(" ",)).message
    assert "--window" in refused(Server(), UsageError, window=timedelta(0)).message


# Signing in

OK = {"token_type": "Bearer", "access_token": "T0KEN-1", "refresh_token": "R3FRESH-1", "expires_in": 3600}
GOOD = httpx.Response(200, json=OK)
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


def test_sign_in_of_today() -> None:
    server = Server(httpx.Response(200, json=sample("constructed_sign_in_ok.json")), page([row(1)]))
    done = run(server, settings=USER)
    assert server.lines == ["POST /auth/sign_in", "GET /cdrs"]
    assert server.bodies[0] == PASSWORD
    assert "Authorization" not in server.asked[0].headers
    assert server.asked[1].headers["Authorization"] == "Bearer EXAMPLE-ACCESS-TOKEN"
    assert {"EXAMPLE-ACCESS-TOKEN", "EXAMPLE-REFRESH-TOKEN"} <= set(done.secrets)


def test_without_a_domain_none_is_sent() -> None:
    server = Server(GOOD, page([]))
    run(server, settings=WITHOUT)
    assert server.bodies[0] == {"username": "admin", "password": "pa55-w0rd"}


@pytest.mark.parametrize("unknown", [404, 405])
def test_sign_in_of_older_versions(unknown: int) -> None:
    """By what the PBX answers: the form of OAuth, then the plain one."""
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
def test_a_login_that_says_nothing_is_asked_for_its_token(body: bytes) -> None:
    """The body of `POST /login` is not specified; `GET /login` tells of the session that its cookie stands for."""
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


def test_no_sign_in_at_all() -> None:
    error = refused(Server(by=lambda _request: httpx.Response(404)), ConfigurationError, settings=USER)
    assert "/api" in (error.hint or "")


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_password(status: int) -> None:
    body = sample("doc_oauth_token_400_unauthorized.json")
    for before in ([], [httpx.Response(404)]):
        server = Server(*before, httpx.Response(status, json=body))
        error = refused(server, SignInError, settings=USER)
        assert error.message == "PortSIP does not accept user admin of domain test.com"
        assert error.said == "Login failed, authentication error"
        assert len(server.asked) == 1 + len(before)
    lone = refused(Server(httpx.Response(status)), SignInError, settings=WITHOUT)
    assert lone.message == "PortSIP does not accept user admin without a domain"


def test_a_second_factor() -> None:
    server = Server(httpx.Response(200, json=sample("constructed_sign_in_2fa.json")))
    error = refused(server, SignInError, settings=USER)
    assert "code sent by mail" in error.message
    assert error.hint == "use a user without two-factor sign-in, or set access_token to a token"
    assert "session-token" not in str(vars(error))


@pytest.mark.parametrize("body", [{}, [], {"access_token": ""}, {"access_token": 7}])
def test_a_sign_in_without_a_token(body: Any) -> None:
    refused(Server(httpx.Response(200, json=body)), ProviderError, settings=USER)


def test_a_sign_in_that_fails_for_now() -> None:
    server = Server(by=lambda _request: httpx.Response(503))
    refused(server, TemporaryError, settings=USER)
    assert set(server.lines) == {"POST /auth/sign_in"}


@pytest.mark.parametrize("way", ["auth", "oauth", "login"])
@pytest.mark.parametrize("accepted", [True, False])
def test_renewal_shortly_before_the_end(way: str, accepted: bool) -> None:  # noqa: FBT001
    """By the way that worked, with the newest refresh token; where that is refused, by the password."""
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


def test_renewal_on_a_refusal_in_mid_run() -> None:
    """Once, and the request is repeated; a second refusal ends it."""
    server = Server(GOOD, page([row(1)], 2), failure(401), httpx.Response(200, json={"access_token": "T0KEN-2"}))
    server.answers = iter([*server.answers, page([row(2)], 2)])
    assert run(server, settings=USER).ids == ["900001", "900002"]
    assert server.lines[2:] == ["GET /cdrs", "POST /auth/refresh_token", "GET /cdrs"]
    assert server.bodies[3] == {"refresh_token": "R3FRESH-1"}
    assert server.asked[4].headers["Authorization"] == "Bearer T0KEN-2"
    oldest = httpx.Response(200, json={"access_token": "T0KEN-3"})
    twice = Server(GOOD, failure(401), oldest, page([row(1)], 2), failure(401), oldest, page([row(2)], 2))
    assert run(twice, settings=USER).ids == ["900001", "900002"]
    assert twice.bodies[2] == twice.bodies[5] == {"refresh_token": "R3FRESH-1"}  # no new one came
    again = Server(GOOD, failure(401, message="expired"), GOOD, failure(401, message="expired"))
    error = refused(again, SignInError, settings=USER)
    assert error.message == "the sign-in to PortSIP has ended and could not be renewed"
    assert error.said == "expired"


def test_a_given_token_comes_first_and_the_password_after_it() -> None:
    server = Server(failure(401), GOOD, page([row(1)]))
    run(server, settings={**USER, "access_token": "T0KEN-OF-OURS"})
    assert server.lines == ["GET /cdrs", "POST /auth/sign_in", "GET /cdrs"]
    assert [one.headers.get("Authorization") for one in server.asked] == [
        "Bearer T0KEN-OF-OURS",
        None,
        "Bearer T0KEN-1",
    ]


def test_check() -> None:
    """One small request, and what it found."""
    server = Server(page([row(1, "2026-11-19T20:00:00Z")], 7), page([], None), page([row(1)], 1))
    server.answers = iter([*server.answers, page([row(1, "2026-11-19T20:00:00Z")], 0), failure(403)])
    made = PortsipSettings.model_validate(SETTINGS)
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


# Call reports: what is sent

FLOW = sample("constructed_call_report_flow.json")["steps"]
WANTED: dict[str, Any] = {"type": "NORMAL", "email": "user@example.com", "range": "YESTERDAY"}
MADE = httpx.Response(201, json=sample("doc_call_report_create_201.json"))
DETAIL = httpx.Response(200, json=sample("doc_call_report_detail.json"))
KEY = "NzAwNTUxOTA5NzczMTQ4MTYw"


def sent(**options: Any) -> dict[str, Any]:
    """Return the body with which a report is asked for."""
    server = Server(MADE, DETAIL)
    assert run(server, "reports create", **{**WANTED, **options}).rows == [sample("doc_call_report_detail.json")]
    assert server.lines == ["POST /call_reports", f"GET /call_reports/{KEY}"]
    body: dict[str, Any] = server.bodies[0]
    return body


def unsent(**options: Any) -> str:
    """Return why a report is refused before anything is asked."""
    error = refused(Server(), UsageError, "reports create", **{**WANTED, **options})
    return f"{error.message} | {error.hint}"


def test_the_report_of_the_documents() -> None:
    body = FLOW[0]["request"]["body"]
    given: dict[str, Any] = {name: body[name] for name in ("name", "type", "email", "range")}
    times: dict[str, Any] = {"started_at": "2026-11-17T01:00+01:00", "ended_at": "2026-11-18T00:00Z"}
    assert sent(**given, **times, file_format="csv") == body
    assert list(sent(**given, **times)) == list(body)
    without = {**given, "range": None}
    assert sent(**without, **times)["range"] == "CUSTOM"


def test_a_name_of_its_own() -> None:
    body = sent()
    assert re.fullmatch("cdrctl-20261120T120000Z-[0-9a-f]{4}", body["name"])
    assert sent(cron="0 6 * * 1-5")["cron_expr"] == "0 6 * * 1-5"
    assert "cron_expr" not in body


NORMAL = {"from": "ANY", "to": "ANY", "answer_state": "ANY", "duration": "ANY"}
QUEUES = [name for name in FILTERS if "QUEUE" in name]
SECONDS = "exclude_calls_dropped_before_seconds"


@pytest.mark.parametrize(
    ("kind", "given", "filter_sent"),
    [
        ("NORMAL", (), NORMAL),
        ("normal", ("from=number", "from_value=101"), {**NORMAL, "from": "NUMBER", "from_value": "101"}),
        (
            "NORMAL",
            ("to=EXTENSION_OR_EXTENSION_RANGE", "to_value=101-110", "answer_state=not-answered"),
            {**NORMAL, "to": "EXTENSION_OR_EXTENSION_RANGE", "to_value": "101-110", "answer_state": "NOT_ANSWERED"},
        ),
        (
            "NORMAL",
            ("duration=TALK_DURATION", "duration_from=10", "duration_to=60"),
            {**NORMAL, "duration": "TALK_DURATION", "duration_from": 10, "duration_to": 60},
        ),
        (
            "NORMAL",
            ('{"from": "ANY", "from_value": "text", "duration_from": 1}',),
            {**NORMAL, "from_value": "text", "duration_from": 1},
        ),
        (
            "EXTENSION_GROUP_CALL_COST",
            ("groups=Sales, A B", "groups=C"),
            {"type": "ANY", "groups": ["Sales", "A B", "C"]},
        ),
        (
            "EXTENSION_GROUP_CALL_COST",
            ('{"type": "mobile", "groups": ["a,b"]}',),
            {"type": "MOBILE", "groups": ["a,b"]},
        ),
        *((kind, ("call_queues=8000,8001",), {"call_queues": ["8000", "8001"]}) for kind in QUEUES),
        (
            "QUEUE_PERFORMANCE",
            ("call_queues=8000", f"{SECONDS}=5"),
            {f"enable_{SECONDS}": True, SECONDS: 5, "call_queues": ["8000"]},
        ),
        (
            "TEAM-QUEUE-GENERAL-STATISTICS",
            (f'{{"call_queues": [8000], "enable_{SECONDS}": false}}',),
            {f"enable_{SECONDS}": False, "call_queues": ["8000"]},
        ),
        ("RING_GROUP_STATISTICS", ("ring_groups=900",), {"ring_groups": ["900"]}),
    ],
)
def test_filters_of_every_type(kind: str, given: tuple[str, ...], filter_sent: dict[str, Any]) -> None:
    body = sent(type=kind, filter=given)
    assert body["filter"] == filter_sent
    assert body["type"] == kind.upper().replace("-", "_")


def test_the_types_ranges_and_words_are_those_of_the_specification() -> None:
    """Compared with the vendor's own file."""
    document = sample("openapi_v22.2_trimmed.json")
    schema = document["paths"]["/call_reports"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    properties = schema["properties"]
    assert list(FILTERS) == properties["type"]["enum"]
    assert unsent(range="SOON").endswith(", ".join(properties["range"]["enum"]))
    assert unsent(file_format="PDF").endswith(", ".join(properties["format"]["enum"]))
    shapes = [one.get("properties") or one["allOf"][0]["properties"] for one in properties["filter"]["oneOf"]]
    told = [{name: rule.get("enum") for name, rule in shape.items()} for shape in shapes]
    for fields in FILTERS.values():
        assert {name: list(rule) if isinstance(rule, tuple) else None for name, rule in fields.items()} in told


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"type": None}, "needs a --type | the types are: NORMAL, EXTENSION_GROUP_CALL_COST"),
        ({"type": "QUEUE_PERFORMENCE"}, "did you mean QUEUE_PERFORMANCE"),
        ({"type": "zzz"}, "--type 'zzz' is not known | allowed are: NORMAL"),
        ({"email": None}, "needs an --email"),
        ({"email": "nobody"}, "is no address"),
        ({"email": "a@b" + "c" * 126}, "up to 128"),
        ({"range": None}, "needs a --range | the ranges are: TODAY"),
        ({"range": "LAST_WEAK"}, "did you mean LAST_WEEK"),
        ({"file_format": "XLS"}, "allowed are: CSV, HTML"),
        ({"name": " "}, "--name is empty"),
        ({"range": "CUSTOM"}, "needs --started-at and --ended-at"),
        ({"range": "CUSTOM", "started_at": "2026-11-18T00:00Z"}, "needs --started-at and --ended-at"),
        ({"started_at": "2026-11-18T00:00Z"}, "go with --range CUSTOM, and the range is YESTERDAY"),
        ({"range": "CUSTOM", "started_at": "2026-11-18T00:00Z", "ended_at": "2026-11-18T00:00Z"}, "before it begins"),
        ({"range": "CUSTOM", "started_at": "2026-11-18", "ended_at": "now"}, "--started-at '2026-11-18' has no offset"),
        ({"range": "CUSTOM", "started_at": "soon", "ended_at": "now"}, "--started-at 'soon'"),
        ({"cron": "0 6 * *"}, "4 fields, not five"),
        ({"cron": ""}, "0 fields"),
        ({"cron": "0 6 * * 1", "wait": True}, "--wait is for a report that is made now"),
        ({"filter": ("form=ANY",)}, "has no filter 'form' | did you mean from"),
        ({"filter": ("call_queues=8000",)}, "it has: from, from_value"),
        ({"filter": ("from",)}, "written KEY=VALUE"),
        ({"filter": ("from=ANY", "from=NUMBER")}, "given twice"),
        ({"filter": ("from=NUMBR",)}, "did you mean NUMBER"),
        ({"filter": ("from=NUMBER",)}, "from=NUMBER needs a value"),
        ({"filter": ("to=NUMBERS_CONTAIN", "from_value=1")}, "to=NUMBERS_CONTAIN needs a value"),
        ({"filter": ("from=EXTENSION_OR_EXTENSION_RANGE", "from_value=110-101")}, "write 101, or 101-110"),
        ({"filter": ("from=EXTENSION_OR_EXTENSION_RANGE", "from_value=a")}, "write 101, or 101-110"),
        ({"filter": ("duration=RING_DURATION",)}, "needs a length"),
        ({"filter": ("duration_from=9", "duration_to=8")}, "is more than"),
        ({"filter": ("duration_from=-1",)}, "a whole number of seconds"),
        ({"filter": ("duration_from=x",)}, "a whole number of seconds"),
        ({"filter": ("{",)}, "no JSON object"),
        ({"filter": ("[]",)}, "no JSON object"),
        ({"filter": ("{}", "{}")}, "no JSON object"),
        ({"type": "RING_GROUP_STATISTICS"}, "needs the filter ring_groups | for example --filter ring_groups=9000"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("{}",)}, "needs the filter call_queues"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("call_queues=80",)}, "3 to 64 digits"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("call_queues=8000,",)}, "3 to 64 digits"),
        ({"type": "QUEUE_CALLBACKS", "filter": ('{"call_queues": [true]}',)}, "3 to 64 digits"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("call_queues=800", f"enable_{SECONDS}=yes")}, "true or false"),
        ({"type": "QUEUE_CALLBACKS", "filter": ("call_queues=800", f"enable_{SECONDS}=true")}, "needs the seconds"),
        ({"type": "QUEUE_FAILED_CALLBACKS", "filter": ("call_queues=800", f"{SECONDS}=5")}, "it has: call_queues"),
        ({"type": "EXTENSION_GROUP_CALL_COST", "filter": ("groups=" + "x" * 65,)}, "1 to 64 characters"),
        ({"type": "EXTENSION_GROUP_CALL_COST", "filter": ("groups=x", "type=FREE")}, "allowed are: ANY, LOCAL"),
    ],
)
def test_reports_that_are_refused_before_they_are_sent(options: dict[str, Any], words: str) -> None:
    """They name what is allowed, and what is near."""
    assert words in unsent(**options)


@pytest.mark.parametrize(
    "text",
    ["* * * * *", "*/15 0-23/2 1,15 * *", "0 6 * jan-mar mon-fri", "0 0 29 2 *", "5/10 * * * 7", "0 0 31 2 1",
     "0 0 * * fri-sun", "59 23 31 12 0"],
)  # fmt: skip
def test_timetables(text: str) -> None:
    assert cron(f" {text.replace(' ', '  ')} ") == text


@pytest.mark.parametrize(
    "text",
    ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * 0 *", "* * * * 8", "5-1 * * * *",
     "*/0 * * * *", "1,,2 * * * *", "@daily", "* * * * * *", "? * * * *", "* * L * *", "* 1-sun * * *", "* * * sun *",
     "* * * * jan", "0 0 31 4 *", "0 0 30 2 *", "-1 * * * *", "1- * * * *", "\u0661 * * * *", "1a * * * *",
     "*1 * * * *"],
)  # fmt: skip
def test_what_is_no_timetable(text: str) -> None:
    with pytest.raises(UsageError, match="--cron"):
        cron(text)


# Call reports: their life


def test_lists_of_reports() -> None:
    """With the user's words as they are, and an order of ours else."""
    server = Server(httpx.Response(200, json={**sample("doc_call_reports_list.json"), "count": 1}), page([]), page([]))
    assert run(server, "reports list").rows == sample("doc_call_reports_list.json")["items"]
    run(server, "completed-reports list", filter=("name eq 'x'",), search="s", orderby="name desc", page_size=5)
    run(server, "completed-reports list")
    assert server.lines == ["GET /call_reports", "GET /completed_call_reports", "GET /completed_call_reports"]
    assert server.queries[0] == {"orderby": "id asc", "top": "100", "skip": "0", "count": "true"}
    words = {"filter": "(name eq 'x')", "search": "s", "orderby": "name desc, id asc"}
    assert server.queries[1] == {**words, "top": "5", "skip": "0", "count": "true"}


def test_show_and_delete() -> None:
    """What is deleted is shown as it was; a good answer may have no body."""
    finished = httpx.Response(200, json=sample("doc_completed_call_report_detail.json"))
    server = Server(DETAIL, finished, DETAIL, httpx.Response(204), finished, httpx.Response(204))
    assert run(server, "reports show", id="7").rows == [sample("doc_call_report_detail.json")]
    assert run(server, "completed-reports show", id="8").rows == [sample("doc_completed_call_report_detail.json")]
    assert run(server, "reports delete", id="7").rows == [sample("doc_call_report_detail.json")]
    assert run(server, "completed-reports delete", id="a/b").rows == [sample("doc_completed_call_report_detail.json")]
    assert server.lines[2:4] == ["GET /call_reports/7", "POST /call_reports/7/destroy"]
    assert server.asked[5].url.raw_path == b"/api/completed_call_reports/a%2Fb/destroy"


def test_update_sends_what_is_given() -> None:
    """The filter is checked by the type that the report has."""
    server = Server(DETAIL, httpx.Response(200), DETAIL)
    run(server, "reports update", id="7", email="new@example.com", filter=("to=internal_extensions",))
    assert server.lines == ["GET /call_reports/7", "POST /call_reports/7", "GET /call_reports/7"]
    assert server.bodies[1] == {"email": "new@example.com", "filter": {**NORMAL, "to": "INTERNAL_EXTENSIONS"}}
    custom = {**sample("doc_call_report_detail.json"), "range": "CUSTOM", "ended_at": "2026-11-18T00:00:00Z"}
    server = Server(httpx.Response(200, json=custom), httpx.Response(200), DETAIL)
    run(server, "reports update", id="7", started_at="2026-11-17T00:00:00Z", file_format="html", cron="0 6 * * *")
    assert server.bodies[1] == {"format": "HTML", "started_at": "2026-11-17T00:00:00Z", "cron_expr": "0 6 * * *"}


@pytest.mark.parametrize(
    ("options", "asked", "words"),
    [
        ({}, 0, "nothing is to be changed"),
        ({"range": "SOON"}, 0, "--range 'SOON'"),
        ({"filter": ("ring_groups=900",)}, 1, "has no filter 'ring_groups'"),
        ({"started_at": "2026-11-17T00:00:00Z"}, 1, "the range is TODAY"),
    ],
)
def test_updates_that_are_refused(options: dict[str, Any], asked: int, words: str) -> None:
    server = Server(DETAIL)
    assert words in refused(server, UsageError, "reports update", id="7", **options).message
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    "answer", [httpx.Response(500), httpx.Response(503), httpx.Response(201), httpx.Response(201, text="<html>")]
)
def test_a_report_is_asked_for_once(answer: httpx.Response) -> None:
    """Nobody knows whether it was made: it is said how to look."""
    server = Server(answer)
    error = refused(server, TemporaryError, "reports create", name="mine", **WANTED)
    assert error.hint is not None
    assert "it may have been made all the same: look for mine with `cdrctl portsip reports list`" in error.hint
    assert len(server.asked) == 1


def test_a_report_that_was_turned_away_is_asked_for_again() -> None:
    server = Server(httpx.Response(429), httpx.Response(429), MADE, DETAIL)
    assert 25 <= run(server, "reports create", **WANTED).waited <= 27
    assert server.bodies[0] == server.bodies[2]
    server = Server(by=lambda _request: httpx.Response(429))
    error = refused(server, TemporaryError, "reports create", **WANTED)
    assert "made all the same" not in (error.hint or "")
    assert len(server.asked) == 4


def test_changes_are_asked_for_once() -> None:
    for call in ("reports delete", "completed-reports delete"):
        server = Server(DETAIL, httpx.Response(500))
        refused(server, TemporaryError, call, id="7")
        assert len(server.asked) == 2


def test_a_report_that_is_gone_was_made_all_the_same() -> None:
    server = Server(MADE, failure(404))
    done = run(server, "reports create", name="mine", **WANTED)
    assert [(one["id"], one["name"]) for one in done.rows] == [(KEY, "mine")]
    assert any("was made" in text for text in done.told)
    error = refused(Server(httpx.Response(201, json={})), ProviderError, "reports create", **WANTED)
    assert "reports list" in (error.hint or "")


# Files

FILE = {
    "id": "101",
    "name": "mine",
    "type": "NORMAL",
    "format": "CSV",
    "completed_at": "2026-11-20T12:00:04Z",
    "file_name": "report.csv",
    "file_size": 4,
    "file_url": "/api/blobs/SECRET-BLOB",
}


def test_a_download_brings_no_token() -> None:
    """From the origin of base_url, with nothing but the URL, and under the PBX's name for it."""
    server = Server(GOOD, httpx.Response(200, json=FILE), httpx.Response(200, content=b"a,b\n"))
    done = run(server, "completed-reports download", id="101", settings=USER)
    assert done.files == [("report.csv", b"a,b\n")]
    assert done.rows == [{key: value for key, value in FILE.items() if key != "file_url"}], "it opens the file"
    assert str(server.asked[2].url) == "https://pbx.example.net:8887/api/blobs/SECRET-BLOB"
    assert "Authorization" not in server.asked[2].headers
    assert "SECRET-BLOB" not in " ".join(done.told)


@pytest.mark.parametrize(
    "url",
    [
        "https://pbx.example.net:8887/api/blobs/x",
        "https://evil.example/api/blobs/x",
        "//evil.example/api/blobs/x",
        "@evil.example/api/blobs/x",
        ".evil.example/api/blobs/x",
        "/api/cdrs",
        "/api/blobs/",
        "/api/blobs/..",
        "/api/blobs/.",
        "/api/blobs/../cdrs",
        "/api/blobs/x/../../cdrs",
        "/api/blobs/%2e%2e/cdrs",
        "/api/blobs/x\\y",
        "/api/blobs/x y",
        "/api/blobs/x\n",
        "/api/blobs/x#y",
        "api/blobs/x",
        "/API/blobs/x",
        "",
        None,
        7,
    ],
)
def test_addresses_that_are_refused(url: Any) -> None:
    """Nothing is sent there."""
    server = Server(httpx.Response(200, json={**FILE, "file_url": url}))
    error = refused(server, ProviderError, "completed-reports download", id="101")
    assert "it was not followed" in error.message
    assert len(server.asked) == 1
    if isinstance(url, str) and len(url) > 12:
        assert url not in f"{error.message} {error.hint}"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failure(404, message="no SECRET-BLOB"), ProviderError),
        (failure(403, message="/api/blobs/SECRET-BLOB"), ProviderError),
        (httpx.Response(302, headers={"Location": "/api/blobs/SECRET-BLOB"}), ProviderError),
        (httpx.Response(503), TemporaryError),
        (httpx.Response(200, content=b"a,b"), TemporaryError),
    ],
)
def test_files_that_do_not_come(answer: httpx.Response, kind: type[CdrctlError]) -> None:
    """The address is in no message, and half a file is none."""
    server = Server(httpx.Response(200, json=FILE), answer)
    refused(server, kind, "completed-reports download", id="101")


@pytest.mark.parametrize(
    "given",
    [
        "", " ", ".", "..", "../x.csv", "/etc/x.csv", "a/b.csv", "a\\b.csv", "C:x.csv", "x.csv:y.csv", ".x.csv",
        "-x.csv", "~x.csv", "-", "x.csv ", " x.csv", "x.csv.", "con.csv", "CON .csv", "aux.x.csv", "nul.csv",
        "COM1.csv", "lpt\u00b2.csv", "conin$.csv", "a\nb.csv", "a\x00b.csv",
        "a\x1b[2Jb.csv", "a\u202evsc.csv", "a\u00a0b.csv",
        "a\u2028b.csv", "\ud800.csv", "a*.csv", "a?.csv", 'a".csv', "a|b.csv", "<a>.csv", "x" * 147 + ".csv",
        "x.csv.gz", "x.exe", "x.html", "csv", "\u0436" * 74 + ".csv",
    ],
)  # fmt: skip
def test_hostile_names(given: str) -> None:
    """A name of our own is taken, from letters that harm nowhere."""
    assert safe_name(given, "Täglich: Verkäufe/../x", "a/b==", "CSV") == "report-Taglich-Verkaufe-x-a-b.csv"


@pytest.mark.parametrize(
    "given", ["report.csv", "Bericht März 2026.CSV", "a'b;c$d.csv", "x" * 146 + ".csv", "context.csv"]
)
def test_harmless_names(given: str) -> None:
    assert safe_name(given, "x", "1", "csv") == given


def test_names_of_our_own() -> None:
    assert safe_name("", "", "", "HTML") == "report.html"
    assert safe_name("page.htm", "n", "7", "HTML") == "page.htm"
    assert safe_name("x.pdf", "n", "7", "PDF") == "report-n-7.bin"
    assert safe_name("", "\u0436\u0436", "7", "CSV") == "report-7.csv"
    assert len(safe_name("", "n" * 500, "7" * 500, "CSV")) == len("report--.csv") + 80 + 40


# Waiting for a report


@dataclass
class Maker:
    """A PBX that makes reports: finished so many seconds after they were asked for."""

    clock: HandClock
    takes: float = 5
    status: str = "RUNNING"
    reports: list[dict[str, Any]] = field(default_factory=list)
    finished: list[dict[str, Any]] = field(default_factory=list)
    made: float = 0.0
    blobs: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api")
        if request.method == "POST":
            body = json.loads(request.content)
            self.made = self.clock.seconds
            self.reports.append({**body, "id": "100", "status": self.status})
            return httpx.Response(201, json={"id": "100"})
        if path.startswith("/blobs"):
            return httpx.Response(200, content=b"a,b\n")
        if path == "/call_reports":
            return page(self.reports)
        if path.startswith("/call_reports/"):
            return httpx.Response(200, json=self.reports[-1])
        done = list(self.finished)
        if self.reports and self.clock.seconds - self.made >= self.takes and self.status == "RUNNING":
            mine = {**FILE, "name": self.reports[-1]["name"]}
            done += [{**mine, "id": "99", "type": "QUEUE_CALLBACKS"}, mine, {**mine, "id": "98", "name": "other"}]
        return page(done)


def waited(maker: Maker, server: Server, **options: Any) -> Run:
    return run(server, "reports create", clock=maker.clock, wait=True, **{**WANTED, **options})


def test_waiting_for_the_file() -> None:
    """Asked for by its name, after two seconds, then four, and so on; then it is downloaded."""
    maker = Maker(HandClock())
    server = Server(by=maker)
    done = waited(maker, server)
    name = maker.reports[0]["name"]
    assert done.files == [("report.csv", b"a,b\n")]
    assert [one["id"] for one in done.rows] == ["101"]
    assert done.waited == 2 + 4
    assert server.lines == [
        "POST /call_reports",
        *["GET /completed_call_reports", "GET /call_reports/100"] * 2,
        "GET /completed_call_reports",
        "GET /blobs/SECRET-BLOB",
    ]
    assert server.queries[1]["filter"] == f"name eq '{name}'"


def test_a_name_of_the_users_own_is_looked_for_first() -> None:
    """An older file of that name is not taken for the new one, whatever the clock of the PBX says."""
    older = {**FILE, "id": "1", "name": "it's", "completed_at": "2030-01-01T00:00:00Z"}
    maker = Maker(
        HandClock(), finished=[older], reports=[{"id": "5", "name": "it's", "type": "NORMAL", "status": "ABORTED"}]
    )
    server = Server(by=maker)
    done = waited(maker, server, name="it's")
    assert [one["id"] for one in done.rows] == ["101"]
    assert server.lines[:3] == ["GET /call_reports", "GET /completed_call_reports", "POST /call_reports"]
    assert server.queries[0]["filter"] == "name eq 'it''s'"


@pytest.mark.parametrize(
    ("report", "finished", "taken"),
    [
        ({"status": "RUNNING"}, 0, True),
        ({"status": "RUNNING"}, 1, False),  # there is no word for done
        ({"status": "RUNNING", "cron_expr": "0 6 * * *"}, 1, True),
        ({"status": "scheduled"}, 1, True),
        ({"status": "RUNNING", "type": "QUEUE_CALLBACKS"}, 0, False),
        ({"status": "RUNNING", "name": "Mine"}, 0, False),
    ],
)
def test_a_name_that_is_taken(report: dict[str, Any], finished: int, taken: bool) -> None:  # noqa: FBT001
    maker = Maker(HandClock(), reports=[{"id": "5", "name": "mine", "type": "NORMAL", **report}])
    maker.finished = [{**FILE, "id": "1"}] * finished
    if not taken:
        assert [one["id"] for one in waited(maker, Server(by=maker), name="mine").rows] == ["101"]
        return
    server = Server(by=maker)
    error = refused(server, UsageError, "reports create", wait=True, name="mine", **WANTED)
    assert "there is a report 'mine' already" in error.message
    assert server.lines == ["GET /call_reports", "GET /completed_call_reports"]


def test_waiting_ends() -> None:
    """By the time allowed, with the id; or when the PBX gives up."""
    maker = Maker(HandClock(), takes=1e9)
    error = refused(Server(by=maker), TemporaryError, "reports create", clock=maker.clock, wait=True, **WANTED)
    assert "(id 100) was not finished in the time allowed" in error.message
    assert maker.clock.seconds == pytest.approx(600, abs=1)
    maker = Maker(HandClock(), status="ABORTED")
    error = refused(Server(by=maker), ProviderError, "reports create", wait=True, **WANTED)
    assert "gave up the report" in error.message


@pytest.mark.parametrize("text", ["caller eq '100') or (caller eq '101'", "(caller eq '1'", "caller eq '1"])
def test_a_filter_that_reaches_out_of_its_brackets_is_refused(text: str) -> None:
    from cdrctl.fetchers.portsip.listing import _check_brackets

    with pytest.raises(UsageError, match="has no partner"):
        _check_brackets(text)
    _check_brackets("startswith(caller,'(1''') and (callee eq ')' or duration gt 3)")
