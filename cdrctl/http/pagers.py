"""Pagers: from one page to the next, and from a window to its halves. Each docstring says when it stops."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Sized
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from msgspec import Struct

from cdrctl.errors import ProviderError
from cdrctl.http.messages import Answer
from cdrctl.records.readers import read_integer
from cdrctl.windows import Window, halve


def by_link(
    first: Callable[[], Answer], follow: Callable[[str], Answer], link: Callable[[Answer], str | None]
) -> Iterator[Answer]:
    """Yield responses until one has no link to the next. An empty page is not the end.

    Raises:
        ProviderError: A link came that was followed before.
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
                hint="run the command again; if the error persists, ask the provider's support",
            )
        seen.add(url)
        answer = follow(url)


class RepeatedKeyError(ProviderError):
    """A key to the next page came that was used before."""


def by_key(ask: Callable[[str | None], Answer], key: Callable[[Answer], str | None]) -> Iterator[Answer]:
    """Yield responses until one has no key to the next, however short its page.

    Raises:
        RepeatedKeyError: A key came that was used before.
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
                hint="run the command again; if the error persists, ask the provider's support",
            )
        seen.add(at)
        answer = ask(at)


class Total(Struct, frozen=True):
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

    A total alone is not the end, because it may be too low: after a full page the next one is requested, whatever the
    total says. If more rows came than the total, only an empty page is the end. The caller compares the total with the
    records, because only the caller knows when two rows are the same record.

    Args:
        ask: Takes the number of rows to skip; returns a page and the total, or None if there is no total. The number
            grows by the rows received, so a short page that is not the last loses nothing.
        size: The number of rows in a full page.
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


Item = TypeVar("Item")
Answered = TypeVar("Answered")


def in_halves(
    window: Window,
    read: Callable[[Window, bool], Generator[Item, None, bool]],
    halves_of: Callable[[Window], tuple[Window, Window] | None],
) -> Iterator[Item]:
    """Read a window and yield the items, oldest part first; read a part in halves if it cannot be read completely.

    It stops when each part was read whole, or was too short to be halved.

    Args:
        window: The window.
        read: Yields what it reads of a part, and returns whether that is all of it. It is also told whether the part
            can be halved: if not, nobody asks again, so it must report itself what is missing.
        halves_of: Returns the halves of a window, or None if it is too short.
    """
    left = [window]
    while left:
        part = left.pop()
        halves = halves_of(part)
        whole = yield from read(part, halves is not None)
        if not whole and halves is not None:
            left.extend(reversed(halves))


def by_halving(
    window: Window, ask: Callable[[Window], Answered | None], smallest: timedelta
) -> Iterator[tuple[Window, Answered | None]]:
    """Yield windows, oldest first, and the answer for each; a window that is too full is requested in halves.

    `ask` returns None if a window has more than an answer can hold. None is yielded for a window that cannot be halved
    any more: what is in it is out of reach, and the caller must say so.
    """

    def read(part: Window, divisible: bool) -> Generator[tuple[Window, Answered | None], None, bool]:  # noqa: FBT001
        answered = ask(part)
        if answered is None and divisible:
            return False
        yield part, answered
        return True

    return in_halves(window, read, functools.partial(halve, smallest=smallest))
