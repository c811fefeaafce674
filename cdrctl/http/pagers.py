"""How to come from one page to the next. Each has its own stop rule; there is no general one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from cdrctl.errors import ProviderError
from cdrctl.http.messages import Answer
from cdrctl.records.readers import read_integer
from cdrctl.windows import Window, halve


def by_link(
    first: Callable[[], Answer], follow: Callable[[str], Answer], link: Callable[[Answer], str | None]
) -> Iterator[Answer]:
    """Yield answers until one has no next link. An empty page does not end it.

    Raises:
        ProviderError: A link came that was followed before: the provider is walking in circles.
    """
    seen: set[str] = set()
    answer = first()
    while True:
        yield answer
        url = link(answer)
        del answer  # a page that has been read makes room for the next
        if url is None:
            return
        if url in seen:
            raise ProviderError(
                "the provider sent a link to a next page that was read before: the pages go in circles",
                hint="run it again; if it stays, ask the provider's support",
            )
        seen.add(url)
        answer = follow(url)


class RepeatedKeyError(ProviderError):
    """A key to the next page came that was used before."""


def by_key(ask: Callable[[str | None], Answer], key: Callable[[Answer], str | None]) -> Iterator[Answer]:
    """Yield answers until one has no key to the next, however short its page.

    Raises:
        RepeatedKeyError: A key came that was used before: the provider is walking in circles.
    """
    seen: set[str] = set()
    answer = ask(None)
    while True:
        yield answer
        at = key(answer)
        if at is None:
            return
        if at in seen:
            raise RepeatedKeyError(
                "the provider sent a key to a next page that was used before: the pages go in circles",
                hint="run it again; if it stays, ask the provider's support",
            )
        seen.add(at)
        answer = ask(at)


@dataclass(frozen=True, slots=True)
class Total:
    """The total that came with a page.

    Args:
        rows: How many records it says there are; None if there is no total, or one that is not a number from 0 on.
        wrong: Whether there is a total that cannot be one, such as `true` or -1.
    """

    rows: int | None
    wrong: bool = False


MOST_RECORDS = 10**12
"""A total as high as this is wrong: no provider has as many records."""


def read_total(raw: Any) -> Total:
    """Return the total that a provider sent, which may be anything; None and an empty text mean that none was sent."""
    with suppress(ValueError):
        rows = read_integer(raw)
        if 0 <= rows < MOST_RECORDS:
            return Total(rows)
    return Total(None, wrong=raw not in (None, ""))


Rows = TypeVar("Rows", bound=Sized)


def by_offset(ask: Callable[[int], tuple[Rows, int | None]], size: int) -> Iterator[tuple[Rows, int | None]]:
    """Yield pages and the total that came with each, until an empty page, or a short page that reaches the total.

    A total alone ends nothing: it may be too low. After a page with as many rows as were asked for, the next one is
    asked for, whatever the total says. A total that is lower than the number of rows received is wrong, and then only
    an empty page is the end. The caller compares the total with what came, because only the caller knows what makes
    two rows the same.

    Args:
        ask: Takes the number of rows to skip; returns a page and the total, or None if there was no total. The skip
            grows by the rows received, not by those asked for, so a short page that is not the last loses nothing.
        size: The number of rows that `ask` asks for.
    """
    offset = 0
    while True:
        page, total = ask(offset)
        rows = len(page)
        yield page, total
        del page  # free its memory before the next page comes
        offset += rows
        if not rows or (rows < size and total == offset):
            return


Answered = TypeVar("Answered")


def by_halving(
    window: Window, ask: Callable[[Window], Answered | None], smallest: timedelta
) -> Iterator[tuple[Window, Answered | None]]:
    """Yield windows, oldest first, and what was answered for each; a window that is too full is asked for in halves.

    `ask` returns None for a window of which more is there than an answer can hold. None is yielded for a window that
    cannot be halved any more: what is in it is beyond reach, and the caller must say so.
    """
    left = [window]
    while left:
        window = left.pop()
        answered = ask(window)
        halves = halve(window, smallest) if answered is None else None
        if halves is None:
            yield window, answered
        else:
            left.extend(reversed(halves))
