"""PortSIP listings: windows, pages, records that are added or removed meanwhile, and slow PBXs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from cdrctl.errors import (
    ProviderError,
    TemporaryError,
)
from cdrctl.windows import Window
from tests.support.products import for_each

from .portsip_kit import Server, failure, page, refused, row, run
from .test_portsip import BASE, at, window


@dataclass
class Pbx:
    """A listing that filters, sorts, skips and counts.

    Args:
        landing: The record that is added before each page, in order.
        leaving: The id of the record that is removed before each page, in order.
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
    """Return calls at intervals of a minute from the start of the day."""
    begun = at("2026-11-18")
    return [row(n, f"{begun + timedelta(minutes=n):%Y-%m-%dT%H:%M:%S.000001Z}") for n in range(count)]


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(one["id"] for one in rows)


# Listing: exact sequences


def test_request_is_as_documented() -> None:
    """Filter, order, page size and count; blanks are %20 and quotes %27, as published."""
    server = Server(page([row(1)]))
    assert run(server).ids == ["900001"]
    assert str(server.asked[0].url) == (
        f"{BASE}/cdrs?filter=started_at%20ge%20%272026-11-17T23:59:59.999999Z%27%20and%20started_at%20lt%20"
        "%272026-11-19T00:00:00.000001Z%27&orderby=started_at%20asc%2C%20id%20asc&top=100&skip=0&count=true"
    )
    assert server.asked[0].headers["Authorization"] == "Bearer T0KEN-OF-OURS"
    assert len(server.asked) == 1


def test_paging_continues_after_a_short_page() -> None:
    server = Server(page([row(1), row(2)], 4), page([row(3)], 4), page([row(4)], 4))
    assert run(server, page_size=3).ids == ids([row(n) for n in (1, 2, 3, 4)])
    assert [(query["top"], query["skip"]) for query in server.queries] == [("3", "0"), ("3", "2"), ("3", "3")]


def test_empty_page_without_a_count_ends_the_window() -> None:
    server = Server(page([row(1)], None), page([row(2)], None), page([], None))
    done = run(server)
    assert done.ids == ["900001", "900002"]
    assert done.gaps == []
    assert [query["skip"] for query in server.queries] == ["0", "1", "2"]


@for_each("count", [0, 3])
def test_null_is_an_empty_page_where_the_count_agrees(count: int) -> None:
    rows = spread(count)
    nothing = httpx.Response(200, json={"count": count, "items": None})
    done = run(Server(*([page(rows, count)] if rows else []), nothing), page_size=3)
    assert done.ids == ids(rows)
    assert done.gaps == []


@for_each("body", [{"count": 4, "items": None}, {"items": None}, {"count": 0}])
def test_null_is_an_unknown_response_where_records_may_follow(body: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="items is not a list"):
        run(Server(httpx.Response(200, json=body)))


@for_each("counts", [True, False])
@for_each("first", [0, 1])
@for_each("count", [0, 1, 9, 10, 11, 20, 47])
def test_every_record_of_a_window_comes_once(count: int, first: int, counts: bool) -> None:  # noqa: FBT001
    """Numbers are around the page size, and `skip` counts from 0 or from 1."""
    rows = spread(count)
    server = Server(by=Pbx(list(rows), counts=counts, first=first))
    done = run(server, page_size=10)
    assert done.ids == ids(rows)
    assert done.gaps == []
    if not first and counts:
        assert len(server.asked) == count // 10 + 1  # after a full page, the next one is requested
        assert done.duplicates == 0


def test_windows_are_a_day_or_the_length_of_the_option() -> None:
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
    """Adjoining windows have together the records of the whole."""
    begun = at("2026-11-18")
    calls = [row(n, (begun + timedelta(microseconds=micro)).isoformat()) for n, micro in enumerate(moments)]
    edges = [begun, *(begun + timedelta(microseconds=cut) for cut in sorted(cuts)), begun + timedelta(days=1)]
    found: list[str] = []
    for since, until in pairwise(edges):
        found += run(Server(by=Pbx(list(calls))), span=Window(since, until), page_size=7).ids
    assert sorted(found) == ids(calls)


@for_each(
    "text, brackets",
    [
        ("startswith(callee,'2')", False),
        ("contains( callee , 'it''s (' )", False),
        ("duration ge 60", False),
        ("caller eq 'a or b'", False),
        ("not duration ge 60", True),
        ("duration ge", True),
        ("caller eq '1' and duration ge 60", True),
    ],
)
def test_brackets_are_around_every_filter_but_a_single_comparison(text: str, brackets: bool) -> None:  # noqa: FBT001
    server = Server(page([row(1)]))
    run(server, filter=(text,))
    sent = f"({text})" if brackets else text
    assert server.queries[0]["filter"].startswith(f"{sent} and started_at ge ")


def test_filter_search_and_order_options_are_sent() -> None:
    """Each filter that is not a single comparison is in brackets before ours; the search text is unchanged."""
    server = Server(page([row(1)]))
    given = ("caller eq 'O''Neil' or callee eq '1'", "status_code ne 0")
    run(server, filter=given, search="a&b", orderby="caller asc")
    assert server.queries[0] == {
        "filter": "(caller eq 'O''Neil' or callee eq '1') and status_code ne 0 and "
        "started_at ge '2026-11-17T23:59:59.999999Z' and started_at lt '2026-11-19T00:00:00.000001Z'",
        "search": "a&b",
        "orderby": "caller asc, id asc",
        "top": "100",
        "skip": "0",
        "count": "true",
    }


def test_own_calls_are_requested_at_another_path() -> None:
    server = Server(page([]), httpx.Response(200, json={"items": {"started_at": "x", "cost": 1}}))
    run(server, own=True)
    assert run(server, "cdr", own=True, id="7").rows == [{"started_at": "x", "cost": 1}]
    assert server.lines == ["GET /user/cdrs", "GET /user/cdrs/7"]


def test_refused_order_is_replaced_by_a_single_key() -> None:
    """If two keys are refused, one is sent from then on."""
    server = Server(failure(400, "VALIDATE_FAILED"), page([row(1)], 2), page([row(2)], 2), page([]))
    span = window("2026-11-18", "2026-11-20")
    assert run(server, span=span).ids == ["900001", "900002"]
    assert [query["orderby"] for query in server.queries] == ["started_at asc, id asc", *["started_at asc"] * 3]


def test_order_that_was_accepted_is_not_replaced() -> None:
    """A later refusal is not retried with another order."""
    server = Server(page([row(1)], 2), failure(400, "VALIDATE_FAILED"))
    refused(server, ProviderError)
    assert len(server.asked) == 2


# Records that are added or removed between pages, and PBXs that ignore parameters


def test_window_is_read_again_if_a_record_was_added_between_pages() -> None:
    """It moves another record to the next page; the window is read again and has it."""
    rows = spread(30)
    late = row(99, "2026-11-18T00:00:30Z")
    server = Server(by=Pbx(list(rows), landing=[late]))
    done = run(server, page_size=10)
    assert done.ids == ids([*rows, late])
    assert done.gaps == []
    assert len(server.asked) == 4 + 1 + 4  # the fifth has no new record, and one is missing
    assert any("reading it again" in text for text in done.told)


def test_window_without_a_total_is_read_again_after_a_repeated_record() -> None:
    """A record comes twice, so the window is read again."""
    rows = spread(30)
    late = row(99, "2026-11-18T00:00:30Z")
    done = run(Server(by=Pbx(list(rows), landing=[late], counts=False)), page_size=10)
    assert done.ids == ids([*rows, late])
    assert done.gaps == []


def test_record_added_to_a_later_page_needs_no_second_reading() -> None:
    rows = spread(30)
    late = row(99, "2026-11-18T23:00:00Z")
    server = Server(by=Pbx(list(rows), landing=[late]))
    assert run(server, page_size=10).ids == ids([*rows, late])
    assert len(server.asked) == 4


def test_window_is_read_again_if_a_record_was_removed_between_pages() -> None:
    """It moves another record to a page that was read before. The total fell, so the window is read again."""
    rows = spread(30)
    server = Server(by=Pbx(list(rows), leaving=["900000"]))
    assert run(server, page_size=10).ids == ids(rows)


def test_window_to_which_records_are_always_added_is_a_gap() -> None:
    """The number of readings is limited, and missing records are a gap."""
    rows = spread(30)
    late = [row(100 + n, f"2026-11-18T00:00:00.{n:06}Z") for n in range(200)]
    done = run(Server(by=Pbx(list(rows), landing=late)), page_size=10)
    assert set(done.ids) >= set(ids(rows))
    assert len(done.gaps) == 1
    assert re.fullmatch(
        r"PortSIP reported \d+ records for 2026-11-18T00:00:00\.000Z to 2026-11-19T00:00:00\.000Z but sent \d+",
        done.gaps[0],
    )


def test_missing_records_are_a_gap() -> None:
    """The window is read twice; the gap has the number of missing records."""
    server = Server(by=lambda request: page([row(1)] if request.url.params["skip"] == "0" else [], 3))
    done = run(server)
    assert done.ids == ["900001"]
    assert done.gaps == [
        "PortSIP reported 3 records for 2026-11-18T00:00:00.000Z to 2026-11-19T00:00:00.000Z but sent 1"
    ]
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


@for_each("call", ["cdrs", "calllogs", "reports list", "completed-reports list"])
@for_each("wrong", WRONG_TOTALS)
def test_wrong_total_loses_no_record(wrong: str, call: str) -> None:
    """All 230 records come in pages of 100, once each, with one warning about the totals."""
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


@for_each("text", ["230", "0230", 230.0])
def test_total_may_be_text(text: Any) -> None:
    rows = spread(230)

    def answer(request: httpx.Request) -> httpx.Response:
        skip = int(request.url.params["skip"])
        return httpx.Response(200, json={"count": text, "items": rows[skip : skip + 100]})

    server = Server(by=answer)
    assert run(server).ids == ids(rows)
    assert len(server.asked) == 3


def test_wrong_totals_of_all_windows_get_one_warning() -> None:
    server = Server(by=lambda request: page([row(1)] if request.url.params["skip"] == "0" else [], 0))
    done = run(server, span=window("2026-11-18", "2026-11-21"))
    assert len([text for text in done.told if "total" in text]) == 1


def test_fewer_records_than_the_first_total_are_a_gap() -> None:
    """The first page's total was higher than the number of records, although the last total is lower."""
    rows = spread(150)

    def answer(request: httpx.Request) -> httpx.Response:
        skip = int(request.url.params["skip"])
        return httpx.Response(200, json={"count": max(0, 230 - skip), "items": rows[skip : skip + 100]})

    done = run(Server(by=answer))
    assert done.ids == ids(rows)
    assert ["230 records" in gap for gap in done.gaps] == [True]


def test_pbx_that_ignores_skip_does_not_cause_endless_paging() -> None:
    server = Server(by=lambda _request: page(spread(10), 50))
    done = run(server, page_size=10)
    assert len(done.gaps) == 1
    assert len(server.asked) == 6


def test_pbx_that_ignores_the_filter_is_read_once() -> None:
    """All records are read once without the filter, those of the window are kept, and a note says so."""
    outside = [row(500 + n, f"2026-10-{1 + n:02}T00:00:00Z") for n in range(25)]
    inside = spread(30)
    server = Server(by=Pbx([*inside, *outside], heeds=False))
    done = run(server, page_size=10, span=window("2026-11-18", "2026-11-20"))
    assert done.ids == ids(inside)
    assert done.gaps == []
    assert any("ignores the filter" in text for text in done.told)
    assert sum("filter" not in query for query in server.queries) == 6
    assert len(server.asked) <= 10


@pytest.mark.parametrize("words", [{"filter": ("status_code eq 486",)}, {"search": "sales"}])
def test_pbx_that_ignores_the_filter_of_the_user_is_refused(words: dict[str, Any]) -> None:
    """The export would have the wrong records."""
    server = Server(by=Pbx([row(1, "2026-01-01T00:00:00Z")], heeds=False))
    refused(server, ProviderError, **words)


def test_a_record_without_a_start_is_kept() -> None:
    assert run(Server(page([row(1, ""), row(2)]))).ids == ["900001", "900002"]


# Slow PBXs


def test_windows_that_are_too_slow_are_halved() -> None:
    """A request in between tests whether the PBX responds at all."""
    rows = spread(1400)
    server = Server(by=Pbx(list(rows), slow=timedelta(hours=6)))
    done = run(server)
    assert [one["id"] for one in done.rows] == [one["id"] for one in rows]  # oldest first
    assert done.gaps == []
    assert done.duplicates == 0
    assert (
        len(server.asked) == (5 + 1) + 2 * (2 + 1) + 4 * 4
    )  # the day fails, its halves fail, and the quarters succeed
    assert any("retrying in halves" in text for text in done.told)


def test_window_is_halved_after_a_failure_on_a_later_page() -> None:
    rows = spread(1400)
    pbx = Pbx(list(rows))
    server = Server(by=lambda one: httpx.Response(500) if int(one.url.params["skip"]) > 500 else pbx(one))
    done = run(server)
    assert done.ids == ids(rows)
    assert done.gaps == []


def test_a_second_that_always_fails_is_a_gap() -> None:
    """The gap names the second, and all other records come."""
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


def test_an_unavailable_pbx_does_not_halve_the_window() -> None:
    server = Server(by=lambda _request: httpx.Response(503))
    error = refused(server, TemporaryError)
    assert error.exit_code == 5
    assert len(server.asked) == 10


@pytest.mark.parametrize("status", [429, 503])
def test_rate_limit_is_waited_out(status: int) -> None:
    server = Server(httpx.Response(status, headers={"Retry-After": "30"}), page([row(1)]))
    done = run(server)
    assert done.ids == ["900001"]
    assert 30 <= done.waited < 32


def test_window_is_not_halved_by_a_lasting_rate_limit() -> None:
    server = Server(by=lambda _request: httpx.Response(429))
    refused(server, TemporaryError)
    assert len(server.asked) == 5


def test_no_more_than_five_requests_a_second() -> None:
    server = Server(by=lambda _request: page([]))
    done = run(server, span=window("2026-11-01", "2026-11-18"))
    assert done.requests == 17
    assert done.waited == 3.0


def test_empty_response_from_before_the_retention_is_a_gap() -> None:
    """An empty response does not show whether there were no calls, or whether they are no longer kept."""
    span = window("2021-11-10", "2021-11-22")
    server = Server(by=lambda _request: page([]))
    [gap] = run(server, span=span).gaps
    assert "five years" in gap
    old = Server(by=Pbx([row(1, "2021-11-10T00:00:00Z")]))
    assert run(old, span=span).gaps == []
    assert run(Server(by=lambda _request: page([])), span=window("2021-11-22", "2021-11-24")).gaps == []
