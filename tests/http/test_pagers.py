"""Each pager stops by its own rule only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cdrctl.errors import ProviderError
from cdrctl.http import Answer, RepeatedKeyError, by_key, by_link, by_offset
from tests.support.products import for_each
from tests.support.wires import an_answer


def pages(*nexts: str | None) -> tuple[Iterator[Answer], list[str | None]]:
    """Return responses that name these next pages, and a list that collects what is requested."""
    asked: list[str | None] = []

    def ask(at: str | None) -> Answer:
        asked.append(at)
        return an_answer(body={"items": [], "next": nexts[len(asked) - 1]})

    return by_key(ask, lambda answer: answer.body["next"]), asked


def test_links_are_followed_until_a_page_has_none() -> None:
    nexts = iter(["a", "b", None])
    asked: list[str] = []

    def follow(url: str) -> Answer:
        asked.append(url)
        return an_answer(body=next(nexts))

    answers = by_link(lambda: follow("first"), follow, lambda answer: answer.body)
    assert [answer.body for answer in answers] == ["a", "b", None]
    assert asked == ["first", "a", "b"]


def test_a_repeated_link_is_an_error() -> None:
    answers = by_link(lambda: an_answer(body="a"), lambda _: an_answer(body="a"), lambda answer: answer.body)
    assert [next(answers).body, next(answers).body] == ["a", "a"]
    with pytest.raises(ProviderError, match="circles"):
        next(answers)


def test_keys_are_followed_until_a_page_has_none() -> None:
    answers, asked = pages("1", "2", None)
    assert len(list(answers)) == 3
    assert asked == [None, "1", "2"]


def test_a_repeated_key_is_an_error() -> None:
    answers, asked = pages("1", "2", "1", None)
    with pytest.raises(RepeatedKeyError, match="circles"):
        list(answers)
    assert asked == [None, "1", "2"]


def test_a_page_is_requested_only_when_it_is_needed() -> None:
    answers, asked = pages("1", "2", None)
    next(answers)
    assert asked == [None]


def offsets(total: object, rows: int, size: int, most: int | None = None) -> tuple[list[list[int]], list[int]]:
    """Return the pages of a listing whose total may be wrong, and the requested offsets.

    Args:
        total: Returns the total to send, given the rows of the listing, those skipped and those of the page; or None.
        rows: The number of rows.
        size: The requested page size.
        most: The largest page that the provider sends, or None if there is no limit.
    """
    asked: list[int] = []

    def ask(skip: int) -> tuple[list[int], int | None]:
        asked.append(skip)
        page = list(range(rows))[skip : skip + (most or size)]
        return page, total(rows, skip, len(page)) if callable(total) else None

    return [page for page, _ in by_offset(ask, size)], asked


TOTALS = {
    "right": lambda rows, _skip, _page: rows,
    "absent": None,
    "zero": lambda _rows, _skip, _page: 0,
    "page": lambda _rows, _skip, page: page,
    "half": lambda rows, _skip, _page: rows // 2,
    "size": lambda _rows, _skip, _page: 10,
    "shrinking": lambda rows, skip, _page: rows - skip,
}


@for_each("total", TOTALS)
@for_each("rows", [0, 1, 9, 10, 11, 20, 23, 100])
def test_no_total_ends_paging_after_a_full_page(rows: int, total: str) -> None:
    """All rows are returned once and in order, whatever total the provider sends."""
    pages, asked = offsets(TOTALS[total], rows, 10)
    assert [row for page in pages for row in page] == list(range(rows))
    assert len(asked) <= rows // 10 + 2


@for_each("total", ["right", "absent", "zero", "half", "shrinking"])
def test_a_provider_may_send_fewer_rows_than_requested(total: str) -> None:
    """A short page is the last one only if the total is reached. A wrong total is lower than the rows received."""
    pages, _ = offsets(TOTALS[total], 23, 10, most=4)
    assert [row for page in pages for row in page] == list(range(23))


def test_a_right_total_saves_the_last_request() -> None:
    assert offsets(TOTALS["right"], 23, 10)[1] == [0, 10, 20]
    assert offsets(TOTALS["right"], 20, 10)[1] == [0, 10, 20]
    assert offsets(TOTALS["right"], 3, 10)[1] == [0]
