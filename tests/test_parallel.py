"""A window is split into parts that are fetched in parallel."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, strategies as st

from cdrctl.export.parallel import PARTS_OF_A_JOB, new_once, parts, without_repeats
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Call, Timing
from cdrctl.records.events import Event, Gap, Note, Page
from cdrctl.records.schemas import raw
from cdrctl.threads import merge
from cdrctl.windows import Window

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG = 20
"""Seconds after which a test that waits for another thread has failed."""


def page(name: str) -> Page:
    return Page([{"id": name}])


def test_equal_notes_and_gaps_of_several_parts_are_reported_once() -> None:
    events: list[Event] = [Note("x"), Gap("x"), page("a"), Note("x"), Gap("x", "another hint"), page("a"), Note("y")]

    def of_parts() -> Generator[Event, None, None]:
        yield from events

    kept = list(without_repeats(of_parts()))
    assert kept == [events[0], events[1], events[2], events[5], events[6]]


def test_closing_an_export_ends_its_threads() -> None:
    closed = threading.Event()

    def events() -> Iterator[Event]:
        try:
            yield page("a")
            yield page("b")
        finally:
            closed.set()

    call = Call("cdrs", "", (), lambda *_: iter(()), lambda record: str(record["id"]))
    held = merge([events])  # referenced here, so that only closing ends it
    with closing(rows(without_repeats(held), call, raw(), None, Tally(), lambda *_: None)) as out:
        next(out)
    assert closed.is_set()


def test_once_is_true_for_one_thread_only() -> None:
    once, begin = new_once(), threading.Barrier(8)
    got: list[bool] = []

    def ask() -> None:
        begin.wait(LONG)
        got.append(once("everything"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert sorted(got) == [False] * 7 + [True]
    assert once("something else")


# The parts of a window

DAY = timedelta(days=1)
lengths = st.timedeltas(timedelta(seconds=1), timedelta(days=90))


def call(longest: timedelta | None, retention: timedelta | None = None) -> Call:
    return Call("cdrs", "", (), lambda *_: iter(()), str, timing=Timing(longest=longest, retention=retention))


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - naive
    lengths,
    st.none() | st.sampled_from([timedelta(hours=12), DAY, timedelta(days=31)]),
    st.sampled_from([timedelta(minutes=1), timedelta(hours=1), DAY, timedelta(days=7)]),
    st.integers(2, 16),
    st.none() | st.integers(1, 400),
)
def test_parts_cover_the_window(
    since: datetime, length: timedelta, longest: timedelta | None, shortest: timedelta, jobs: int, keeps: int | None
) -> None:
    """They are adjacent and not too short, and there are enough for all jobs if the window is long enough."""
    window = Window(since, since + length)
    kept = DAY * keeps if keeps is not None else None
    cuts = parts(window, call(longest, kept), shortest, jobs, NOON)
    assert (cuts[0].since, cuts[-1].until) == (window.since, window.until)
    assert all(one.until == other.since for one, other in pairwise(cuts))
    inner = [part.since for part in cuts[1:]]
    assert all(not (edge.second or edge.microsecond) for edge in inner)
    tiles = -(-length // longest) if longest is not None else 1
    if kept is None or window.since >= NOON - kept + DAY:
        minute = timedelta(minutes=1)
        tile = min(longest or length, length)
        assert all(part.duration > min(shortest, length - tile * (tiles - 1)) - minute for part in cuts)
        if longest is not None:
            assert all(part.duration < longest + minute for part in cuts)
        if tile // shortest >= PARTS_OF_A_JOB * jobs:
            assert len(cuts) >= PARTS_OF_A_JOB * jobs - 1
        assert len(cuts) <= max(tiles, PARTS_OF_A_JOB * jobs + tiles)
    else:  # the period that may be out of retention is one part
        assert all(part.since >= NOON - kept + DAY for part in cuts[1:])
