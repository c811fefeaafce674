"""Asking ahead and in parts: in order, one piece ahead and no more, and in good order when it ends early."""

from __future__ import annotations

import queue
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import cdrctl.threads as threads_module
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

Fetch = Callable[[], Iterator[Event]]


def page(name: str) -> Page:
    return Page([{"id": name}])


def names(pieces: Sequence[Event] | Iterator[Event]) -> list[str]:
    return [piece.records[0]["id"] for piece in pieces if isinstance(piece, Page)]


def of(*given: Event) -> Fetch:
    return lambda: iter(given)


@pytest.mark.parametrize("jobs", [1, 3, 16])
def test_everything_comes_once(jobs: int) -> None:
    fetches = [of(*(page(f"{part}.{n}") for n in range(part))) for part in range(9)]
    came = names(merge(fetches, jobs))
    assert Counter(came) == Counter(f"{part}.{n}" for part in range(9) for n in range(part))
    for part in range(9):
        assert [name for name in came if name.startswith(f"{part}.")] == [f"{part}.{n}" for n in range(part)]


def test_with_one_job_pieces_come_in_order() -> None:
    fetches = [of(page("a"), page("b")), of(), of(page("c")), of(page("d"))]
    assert names(merge(fetches)) == ["a", "b", "c", "d"]


def test_nothing_is_nothing() -> None:
    assert list(merge([], 4)) == []
    assert list(merge([of(), of()], 4)) == []


def test_nothing_is_asked_before_somebody_wants_something() -> None:
    asked: list[int] = []

    def pieces() -> Iterator[Event]:
        asked.append(1)
        yield page("a")

    pages = merge([pieces])
    assert asked == []
    assert names(pages) == ["a"]


def test_the_next_page_is_asked_for_while_one_is_written_and_never_the_one_after_that() -> None:
    asked = [threading.Event() for _ in range(60)]
    written = 0
    ahead: list[int] = []

    def pieces() -> Iterator[Event]:
        for at, event in enumerate(asked):
            ahead.append(at - written)
            event.set()
            yield page(str(at))

    with closing(merge([pieces])) as pages:
        for _ in pages:
            written += 1
            if written < len(asked):
                assert asked[written].wait(LONG), "the next page is not asked for while this one is written"
    assert written == len(asked)
    assert set(ahead) <= {0, 1}


def test_each_of_several_is_one_piece_ahead_and_no_more() -> None:
    jobs, each = 3, 30
    lock = threading.Lock()
    out, most, taken = 0, 0, 0

    def pieces() -> Iterator[Event]:
        nonlocal out, most
        for _ in range(each):
            with lock:
                out += 1
                most = max(most, out - taken)
            yield page("x")

    for _ in merge([pieces] * jobs, jobs):
        with lock:
            taken += 1
    assert taken == jobs * each
    assert most <= jobs + 1  # one of each, and the one that is on its way


def test_so_many_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(4)

    def pieces() -> Iterator[Event]:
        together.wait(LONG)
        yield page("x")

    assert len(names(merge([pieces] * 4, 4))) == 4


def test_no_more_than_that_are_asked_at_the_same_time() -> None:
    lock = threading.Lock()
    running, most = 0, 0

    def pieces() -> Iterator[Event]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        yield page("x")
        with lock:
            running -= 1

    assert len(names(merge([pieces] * 20, 2))) == 20
    assert most <= 2


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("error", [BrokenError, IndexError, KeyboardInterrupt, SystemExit])
def test_an_error_is_raised_after_what_came_before_it(error: type[BaseException]) -> None:
    after: list[str] = []

    def pieces() -> Iterator[Event]:
        yield page("a")
        yield page("b")
        raise error

    def others() -> Iterator[Event]:  # pragma: no cover - nobody comes to it
        after.append("asked")
        yield page("c")

    came: list[str] = []
    with pytest.raises(error):
        came.extend(names([piece])[0] for piece in merge([pieces, others]))
    assert came == ["a", "b"]
    assert after == []


def test_an_error_of_one_ends_the_others_in_their_own_threads() -> None:
    begun, closed = threading.Barrier(2), threading.Event()
    threads: list[int] = []

    def endless() -> Iterator[Event]:
        threads.append(threading.get_ident())
        begun.wait(LONG)
        try:
            while True:
                yield page("x")
        finally:
            threads.append(threading.get_ident())
            closed.set()

    def broken() -> Iterator[Event]:
        begun.wait(LONG)
        yield page("y")
        raise BrokenError

    with pytest.raises(BrokenError):
        for _ in merge([endless, broken], 2):
            pass
    assert closed.wait(LONG)
    assert threads[0] == threads[1] != threading.get_ident()


def test_who_stops_early_closes_what_is_fetched_in_its_own_thread() -> None:
    happened: list[tuple[str, int]] = []

    def pieces() -> Iterator[Event]:
        try:
            for at in range(9):
                happened.append((f"page {at}", threading.get_ident()))
                yield page(str(at))
        finally:
            happened.append(("closed", threading.get_ident()))

    held = [pieces(), pieces()]  # here too, so that only a real close ends them
    pages = merge([lambda: held[0], lambda: held[1]])
    assert names([next(pages)]) == ["0"]
    pages.close()
    said = [what for what, _ in happened]
    assert said in (["page 0", "page 1", "closed"], ["page 0", "closed"])
    assert len({ident for _, ident in happened}) == 1
    assert happened[0][1] != threading.get_ident()


def test_who_stops_early_does_not_wait_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "PATIENCE_SECONDS", 0.0)
    asked, answered, closed = threading.Event(), threading.Event(), threading.Event()

    def pieces() -> Iterator[Event]:
        try:
            yield page("a")
            asked.set()
            answered.wait(LONG)
            yield page("b")
            yield page("c")  # pragma: no cover - nobody wants it
        finally:
            closed.set()

    pages = merge([pieces])
    next(pages)
    assert asked.wait(LONG)
    pages.close()
    assert not closed.is_set()
    answered.set()
    assert closed.wait(LONG)


def test_who_stops_early_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "PATIENCE_SECONDS", 0.0)
    asked, answered = threading.Event(), threading.Event()
    begun: list[str] = []
    threads: list[threading.Thread] = []

    def last() -> Iterator[Event]:
        threads.append(threading.current_thread())
        yield page("a")
        asked.set()
        answered.wait(LONG)

    def never() -> Iterator[Event]:  # pragma: no cover - nobody wants it
        begun.append("begun")
        yield page("b")

    pages = merge([last, never])
    next(pages)
    assert asked.wait(LONG)
    pages.close()
    answered.set()
    threads[0].join(LONG)
    assert not threads[0].is_alive()
    assert begun == []


def test_ctrl_c_is_heard_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "PATIENCE_SECONDS", 0.0)
    answered, closed = threading.Event(), threading.Event()
    asked: list[str] = []
    waits = threading.Semaphore(0)
    main = threading.main_thread().ident

    class Noticed(queue.SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - the queue's
            if threading.get_ident() == main:
                waits.release()
            return super().get(block, timeout)

    monkeypatch.setattr(threads_module, "SimpleQueue", Noticed)
    assert main == threading.get_ident()

    def pieces() -> Iterator[Event]:
        try:
            assert waits.acquire(timeout=LONG)
            yield page("a")
            assert waits.acquire(timeout=LONG)  # for the second
            signal.pthread_kill(main, signal.SIGINT)
            answered.wait(LONG)
            yield page("b")
            asked.append("c")  # pragma: no cover - nobody wants it
        finally:
            closed.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pages = merge([pieces])
    try:
        with pytest.raises(KeyboardInterrupt):
            list(pages)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not answered.is_set()
    answered.set()
    assert closed.wait(LONG)
    assert asked == []


def test_a_signal_that_wakes_nobody_is_heard_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another thread gets the signal, the one that waits hears of it when it looks up."""
    waits: list[float | None] = []

    class Watched(queue.SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - the queue's
            if threading.current_thread() is threading.main_thread():
                waits.append(timeout)
            return super().get(block, timeout)

    monkeypatch.setattr(threads_module, "SimpleQueue", Watched)
    assert names(merge([of(page("a"))])) == ["a"]
    assert waits
    assert all(wait is not None and wait <= 0.5 for wait in waits)


# What several parts say


def test_what_several_parts_say_is_said_once() -> None:
    pieces: list[Event] = [Note("x"), Gap("x"), page("a"), Note("x"), Gap("x", "another hint"), page("a"), Note("y")]

    def said() -> Iterator[Event]:
        yield from pieces

    kept = list(without_repeats(said()))  # type: ignore[arg-type]
    assert kept == [pieces[0], pieces[1], pieces[2], pieces[5], pieces[6]]


def test_who_wants_no_more_of_what_is_said_once_ends_the_threads() -> None:
    closed = threading.Event()

    def pieces() -> Iterator[Event]:
        try:
            yield page("a")
            yield page("b")
        finally:
            closed.set()

    call = Call("cdrs", "", (), lambda *_: iter(()), lambda record: str(record["id"]))
    held = merge([pieces])  # here too, so that only a real close ends it
    fetched = without_repeats(held)
    with closing(rows(fetched, call, raw(), None, Tally(), lambda *_: None)) as out:
        next(out)
    assert closed.is_set()


def test_a_claim_is_for_one_thread() -> None:
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
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - as they say
    lengths,
    st.none() | st.sampled_from([timedelta(hours=12), DAY, timedelta(days=31)]),
    st.sampled_from([timedelta(minutes=1), timedelta(hours=1), DAY, timedelta(days=7)]),
    st.integers(2, 16),
    st.none() | st.integers(1, 400),
)
@settings(deadline=None)
def test_parts_are_the_window(
    since: datetime, length: timedelta, longest: timedelta | None, shortest: timedelta, jobs: int, keeps: int | None
) -> None:
    """They are adjacent, none is missing and none too short; enough for all jobs where the window is long enough."""
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
    else:  # what may be older than is kept is one part
        assert all(part.since >= NOON - kept + DAY for part in cuts[1:])
