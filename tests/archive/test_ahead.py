"""What is used next is asked for ahead: all of it comes, in order, and what fails is left to those who use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cdrctl.archive.ahead import AHEAD, ahead, with_files, with_names
from cdrctl.errors import StoreError


def failing(error: BaseException) -> None:
    raise error


ERRORS = st.sampled_from([OSError("lost"), FileNotFoundError("no such object"), StoreError("refused", exit_code=5)])
REQUESTS: st.SearchStrategy[list[Callable[[], None]]] = st.lists(
    ERRORS.map(lambda one: partial(failing, one)), max_size=3
)


@pytest.mark.slow
@given(items=st.lists(REQUESTS, max_size=3 * AHEAD))
def test_items_come_in_order_whatever_becomes_of_their_requests(items: list[Sequence[Callable[[], None]]]) -> None:
    assert [at for at, _ in ahead(enumerate(items), lambda one: one[1])] == [*range(len(items))]


def test_the_requests_of_the_next_items_are_made_together() -> None:
    together = threading.Barrier(AHEAD)

    def wait() -> None:
        together.wait(30)

    first = next(iter(ahead(range(AHEAD + 1), lambda _: [wait])))
    assert first == 0
    assert not together.broken


def test_no_more_is_asked_for_than_is_needed() -> None:
    wanted: list[int] = []

    def requests(one: int) -> list[Callable[[], None]]:
        wanted.append(one)
        return [partial(failing, OSError("lost"))]

    items = ahead(range(1000), requests)
    assert [next(items) for _ in range(5)] == [*range(5)]
    assert wanted == [*range(5 + AHEAD)]
    items.close()
    assert "cdrctl-ahead" not in {one.name for one in threading.enumerate()}


def test_a_folder_is_not_read_ahead(tmp_path: Path) -> None:
    paths = [tmp_path / f"{at}" for at in range(40)]
    assert [*with_files(paths, lambda one: [one])] == paths
    assert [*with_names(paths)] == paths
    assert "cdrctl-ahead" not in {one.name for one in threading.enumerate()}
