"""CallGear windows and pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from cdrctl.errors import ProviderError, UsageError
from cdrctl.fetchers import callgear
from cdrctl.records.events import Gap, Page
from cdrctl.sandbox.callgear import LARGEST_OFFSET
from tests.support.products import for_each

from .callgear_kit import BERLIN, BOUNDS, SINCE, UNTIL, Rule, Service, Wire, a_day, as_sent, at, reply, sample


@for_each("count", [0, 1, 6, 7, 8, 13, 14, 15, 50])
@for_each("short", [0, 3])
@for_each("has_total", [True, False])
def test_every_record_comes_once_with_any_page_size(count: int, short: int, has_total: bool) -> None:  # noqa: FBT001
    service = a_day(count, short=short, totals=lambda total: total if has_total else None)
    assert service.ids(SINCE, UNTIL, page_size=7) == [9_000_000_001 + number for number in range(count)]
    assert service.tally.gaps == []
    assert service.tally.duplicates == 0


def test_a_short_page_is_not_the_last() -> None:
    """As in the collected sample: two of three rows came, so the third is requested from there."""
    told = sample("constructed_short_page_not_last.json")["response"]

    def short(body: Wire) -> httpx.Response:
        return httpx.Response(200, json={**told, "id": body["id"]})

    service = Service(rules={"get.call_legs_report": [short, lambda body: reply(body, [{"id": 3}], 3)]})
    assert len(service.ids(at("2026-10-24"), at("2026-10-27"), page_size=1000)) == 3
    assert [params["offset"] for params in service.params] == [0, 2, 0]


def test_a_window_is_cut_into_months_of_31_days() -> None:
    service = Service()
    service.ids(at("2026-05-01"), at("2026-07-15"))
    assert service.spans == [
        ("2026-05-01 01:59:59", "2026-06-01 02:00:01"),
        ("2026-06-01 01:59:59", "2026-07-02 02:00:01"),
        ("2026-07-02 01:59:59", "2026-07-15 02:00:01"),
    ]


def test_a_very_long_window_gets_a_note_about_its_many_requests() -> None:
    service = Service()
    service.ids(at("2010-01-01"), at("2026-01-01"))
    assert any("at least 189 requests" in text for text in service.told)


def test_a_window_beyond_the_farthest_offset_is_halved() -> None:
    service = a_day(9)
    service.totals = lambda total: 100_001 if total > 6 else total
    found = service.ids(SINCE, UNTIL)
    assert found == [9_000_000_001 + number for number in range(9)]
    assert service.tally.gaps == []
    assert len(service.spans) > 20


@pytest.mark.slow
def test_a_second_beyond_the_farthest_offset_is_a_gap() -> None:
    service = Service()

    def listing(body: Wire) -> httpx.Response:
        params = body["params"]
        full = params["date_from"] <= "2026-11-18 09:00:00" < params["date_till"]
        rows = [{"id": params["offset"] + n, "start_time": "2026-11-18 09:00:00"} for n in range(10_000 if full else 0)]
        return reply(body, rows, 200_000 if full else 0)

    service.rules["get.call_legs_report"] = [listing] * 99
    pieces = list(service.pieces(SINCE, UNTIL))
    assert len({record["id"] for piece in pieces if isinstance(piece, Page) for record in piece.records}) == 110_000
    assert max(params["offset"] for params in service.params) == 100_000
    [gap] = [piece for piece in pieces if isinstance(piece, Gap)]
    assert "2026-11-18T08:00:00.000Z to 2026-11-18T08:00:01.000Z" in gap.what
    assert "200000" in gap.what


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> int:
    """A farthest offset that ten pages of a hundred rows reach; the real one works in the same way."""
    assert callgear.pages.FARTHEST_OFFSET == LARGEST_OFFSET == 100_000
    monkeypatch.setattr(callgear.pages, "FARTHEST_OFFSET", 1_000)
    return callgear.pages.FARTHEST_OFFSET


@pytest.mark.parametrize("bounds", BOUNDS)
def test_second_beside_a_full_one_is_read(bounds: str, near: int) -> None:
    """There are two seconds of rows. One of them can be paged through, but not both together."""
    per_second, seconds = near * 6 // 10, (0, 1)
    texts = ["2026-11-18 09:00:00", "2026-11-18 09:00:01"]
    first = at("2026-11-18T08:00")
    service = Service()

    def listing(body: Wire) -> httpx.Response:
        params = body["params"]
        low, high = (
            (datetime.fromisoformat(params[name]).replace(tzinfo=BERLIN) - first) // timedelta(seconds=1)
            for name in ("date_from", "date_till")
        )
        low, high = low + (bounds in {"open_low", "open"}), high - (bounds in {"half_open", "open"})
        inside = [second for second in seconds if low <= second <= high]
        total = len(inside) * per_second
        numbers = range(params["offset"], min(params["offset"] + params["limit"], total))
        found = [(inside[number // per_second], number % per_second) for number in numbers]
        rows = [{"id": second * per_second + n, "start_time": texts[second]} for second, n in found]
        return reply(body, rows, total)

    service.rules["get.call_legs_report"] = [listing] * 999
    pieces = list(service.pieces(first, first + timedelta(seconds=2), page_size=near // 10))
    found = {record["id"] for piece in pieces if isinstance(piece, Page) for record in piece.records}
    assert found == set(range(per_second * len(seconds)))
    assert not [piece for piece in pieces if isinstance(piece, Gap)]
    assert max(params["offset"] for params in service.params) <= near
    assert len(service.asked) < 200


def test_a_window_without_a_total_that_reaches_the_farthest_offset_is_halved(near: int) -> None:
    texts = [f"2026-11-18 {number // 5:02}:{number % 5 * 12:02}:00" for number in range(5, 120)]
    service = Service()

    def listing(body: Wire) -> httpx.Response:
        params = body["params"]
        found = [n for n, text in enumerate(texts) if params["date_from"] <= text <= params["date_till"]]
        numbers = range(found[0] * 10, found[-1] * 10 + 10) if found else range(0)
        page = numbers[params["offset"] : params["offset"] + params["limit"]]
        return reply(body, [{"id": n, "start_time": texts[n // 10]} for n in page])

    service.rules["get.call_legs_report"] = [listing] * 99
    pieces = list(service.pieces(SINCE, UNTIL, page_size=near // 10))
    found = {record["id"] for piece in pieces if isinstance(piece, Page) for record in piece.records}
    assert found == set(range(1_150))
    assert not [piece for piece in pieces if isinstance(piece, Gap)]
    assert max(params["offset"] for params in service.params) <= near


def test_a_span_that_is_refused_is_halved() -> None:
    """The documented three months may not be the real limit."""
    service = Service()
    for day in range(1, 20):
        service.add(at("2026-11-01T12:00") + timedelta(days=day - 1))

    def refused(body: Wire) -> httpx.Response:
        span = service.read(body["params"]["date_till"]) - service.read(body["params"]["date_from"])
        if span > timedelta(days=5):
            return as_sent("constructed_error_date_interval.json", body)
        return service.listing(body)

    service.rules["get.call_legs_report"] = [refused] * 99
    assert len(service.ids(at("2026-11-01"), at("2026-11-20"))) == 19
    assert service.tally.gaps == []


def test_a_span_that_is_always_refused_ends_the_run() -> None:
    def refused(body: Wire) -> httpx.Response:
        return as_sent("constructed_error_date_interval.json", body)

    service = Service(rules={"get.call_legs_report": [refused] * 99})
    error = service.fails(ProviderError)
    assert error.said is not None
    assert "3 months" in error.said
    assert len(service.asked) < 25


def test_missing_page_is_requested_once_more_and_is_then_a_gap() -> None:
    def lacking(body: Wire) -> httpx.Response:
        offset = body["params"]["offset"]
        row = {"id": offset, "start_time": "2026-11-18 10:00:00"}
        return reply(body, [row] if offset < 2 else [], 3)

    service = Service(rules={"get.call_legs_report": [lacking] * 6})
    assert service.ids(SINCE, UNTIL, page_size=1) == [0, 1]
    assert [params["offset"] for params in service.params] == [0, 1, 2, 0, 1, 2, 0]
    [gap] = service.tally.gaps
    assert "2026-11-18T00:00:00.000Z to 2026-11-19T00:00:00.000Z" in gap.what


def test_window_is_read_again_when_rows_moved_between_pages() -> None:
    """A row was added before the second page was read: one came twice, and one is missing until the next reading."""
    rows_then = [{"id": n, "start_time": "2026-11-18 10:00:00"} for n in (1, 2, 3)]
    rows_now = [{"id": 0, "start_time": "2026-11-18 09:00:00"}, *rows_then]
    seen: list[Wire] = []

    def moving(body: Wire) -> httpx.Response:
        now = rows_now if seen else rows_then
        seen.append(body)
        offset = body["params"]["offset"]
        return reply(body, now[offset : offset + 2], len(now))

    service = Service(rules={"get.call_legs_report": [moving] * 5})
    assert sorted(service.ids(SINCE, UNTIL, page_size=2)) == [0, 1, 2, 3]
    assert service.tally.gaps == []
    assert service.tally.duplicates == 4


def test_growing_total_is_no_gap_if_every_counted_row_came() -> None:
    counted: list[int] = []

    def growing(body: Wire) -> httpx.Response:
        counted.append(1)
        everything = [{"id": n, "start_time": f"2026-11-18 10:{n:02}:00"} for n in range(4 + len(counted))]
        offset = body["params"]["offset"]
        return reply(body, everything[offset : offset + 3], len(everything))

    service = Service(rules={"get.call_legs_report": [growing] * 9})
    found = service.ids(SINCE, UNTIL, page_size=3, longest_call=timedelta(0))
    assert sorted(found) == list(range(4 + len(counted)))
    assert service.tally.gaps == []


def test_window_is_read_again_when_its_total_falls() -> None:
    def falling(total: int, *ids: int) -> Rule:
        return lambda body: reply(body, [{"id": n, "start_time": "2026-11-18 10:00:00"} for n in ids], total)

    service = Service(rules={"get.call_legs_report": [falling(3, 1, 2), falling(2), falling(2, 2, 3)]})
    assert sorted(service.ids(SINCE, UNTIL, page_size=2, longest_call=timedelta(0))) == [1, 2, 3]
    assert service.tally.gaps == []


@pytest.mark.parametrize(("total", "divisible"), [(0, True), ("a page", True), (True, True), (0, False)])
def test_window_with_too_many_rows_is_halved_despite_a_wrong_total(
    total: Any,
    divisible: bool,  # noqa: FBT001
    near: int,
) -> None:
    """The window has more rows than can be paged through; a single second of that kind is a gap."""
    texts = [f"2026-11-18 09:00:{second:02}" for second in (range(12) if divisible else [0] * 12)]
    service, page = Service(), near // 10

    def listing(body: Wire) -> httpx.Response:
        params = body["params"]
        inside = [n for n, text in enumerate(texts) if params["date_from"] <= text <= params["date_till"]]
        number = params["offset"] // page
        second = inside[number] if number < len(inside) else None
        rows = [] if second is None else [{"id": second * page + n, "start_time": texts[second]} for n in range(page)]
        return reply(body, rows, page if total == "a page" else total)

    service.rules["get.call_legs_report"] = [listing] * 999
    first = at("2026-11-18T08:00")
    until = first + timedelta(seconds=12 if divisible else 1)
    pieces = list(service.pieces(first, until, page_size=page, longest_call=timedelta(0)))
    found = {record["id"] for piece in pieces if isinstance(piece, Page) for record in piece.records}
    gaps = [piece for piece in pieces if isinstance(piece, Gap)]
    assert max(params["offset"] for params in service.params) <= near
    assert len(found) == (12 * page if divisible else 11 * page)
    assert bool(gaps) is not divisible


def test_total_reached_by_a_full_page_needs_one_more_request() -> None:
    service = a_day(14)
    assert len(service.ids(SINCE, UNTIL, page_size=7, longest_call=timedelta(0))) == 14
    assert [params["offset"] for params in service.params] == [0, 7, 14]
    assert service.told == []


def test_repeated_page_ends_the_window_when_all_rows_came() -> None:
    """The service ignores `offset`, and its only page is full."""

    def same(body: Wire) -> httpx.Response:
        return reply(body, [{"id": n, "start_time": "2026-11-18 10:00:00"} for n in (1, 2)], 2)

    service = Service(rules={"get.call_legs_report": [same] * 9})
    assert service.ids(SINCE, UNTIL, page_size=2, longest_call=timedelta(0)) == [1, 2]
    assert [params["offset"] for params in service.params] == [0, 2]
    assert service.tally.gaps == []


def test_repeated_page_with_a_wrong_total_is_a_gap() -> None:
    def same(body: Wire) -> httpx.Response:
        return reply(body, [{"id": n, "start_time": "2026-11-18 10:00:00"} for n in (1, 2)], 0)

    service = Service(rules={"get.call_legs_report": [same] * 9})
    assert service.ids(SINCE, UNTIL, page_size=2, longest_call=timedelta(0)) == [1, 2]
    assert len(service.tally.gaps) == 1


@for_each("size", [0, -1, 10_001])
def test_an_invalid_page_size_is_refused_before_a_request(size: int) -> None:
    service = Service()
    with pytest.raises(UsageError, match="page-size"):
        service.ids(SINCE, UNTIL, page_size=size)
    assert service.asked == []
