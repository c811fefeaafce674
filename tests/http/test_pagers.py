"""Each pager ends by its own rule and by no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cdrctl.errors import ProviderError
from cdrctl.http import Answer, RepeatedKeyError, by_key, by_link
from tests.http.wires import an_answer


def pages(*nexts: str | None) -> tuple[Iterator[Answer], list[str | None]]:
    """Return answers that name these next pages, and what is asked for."""
    asked: list[str | None] = []

    def ask(at: str | None) -> Answer:
        asked.append(at)
        return an_answer(body={"items": [], "next": nexts[len(asked) - 1]})

    return by_key(ask, lambda answer: answer.body["next"]), asked


def test_a_link_is_followed_until_none_comes_whatever_the_pages_hold() -> None:
    nexts = iter(["a", "b", None])
    asked: list[str] = []

    def follow(url: str) -> Answer:
        asked.append(url)
        return an_answer(body=next(nexts))

    answers = by_link(lambda: follow("first"), follow, lambda answer: answer.body)
    assert [answer.body for answer in answers] == ["a", "b", None]
    assert asked == ["first", "a", "b"]


def test_a_link_that_comes_again_is_an_error() -> None:
    answers = by_link(lambda: an_answer(body="a"), lambda _: an_answer(body="a"), lambda answer: answer.body)
    assert [next(answers).body, next(answers).body] == ["a", "a"]
    with pytest.raises(ProviderError, match="circles"):
        next(answers)


def test_a_key_is_followed_until_none_comes() -> None:
    answers, asked = pages("1", "2", None)
    assert len(list(answers)) == 3
    assert asked == [None, "1", "2"]


def test_a_key_that_comes_again_is_an_error() -> None:
    answers, asked = pages("1", "2", "1", None)
    with pytest.raises(RepeatedKeyError, match="circles"):
        list(answers)
    assert asked == [None, "1", "2"]


def test_a_page_is_asked_for_only_when_it_is_wanted() -> None:
    answers, asked = pages("1", "2", None)
    next(answers)
    assert asked == [None]
