"""Streams that run in threads: their order, how far they run ahead, and how they end."""

from __future__ import annotations

import itertools
import platform
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Any

import pytest

import cdrctl.threads as threads_module
from cdrctl.errors import TemporaryError
from cdrctl.threads import merge
from tests.support.products import for_each

LONG = 20
"""Seconds after which a test that waits for another thread has failed."""

Task = Callable[[], Iterator[str]]


def task_of(*items: str) -> Task:
    return lambda: iter(items)


@for_each("jobs", [1, 3, 16])
def test_every_item_comes_once(jobs: int) -> None:
    tasks = [task_of(*(f"{part}.{n}" for n in range(part))) for part in range(9)]
    came = list(merge(tasks, jobs))
    assert Counter(came) == Counter(f"{part}.{n}" for part in range(9) for n in range(part))
    for part in range(9):
        assert [name for name in came if name.startswith(f"{part}.")] == [f"{part}.{n}" for n in range(part)]


def test_one_thread_keeps_the_order() -> None:
    tasks = [task_of("a", "b"), task_of(), task_of("c"), task_of("d")]
    assert list(merge(tasks)) == ["a", "b", "c", "d"]


def test_no_tasks_give_no_items() -> None:
    assert list(merge([], 4)) == []
    assert list(merge([task_of(), task_of()], 4)) == []


def test_no_task_starts_before_an_item_is_requested() -> None:
    begun: list[int] = []

    def items() -> Iterator[str]:
        begun.append(1)
        yield "a"

    merged = merge([items])
    assert begun == []
    assert list(merged) == ["a"]


def test_the_next_item_is_fetched_while_one_is_used_and_never_the_one_after_that() -> None:
    asked = [threading.Event() for _ in range(60)]
    written = 0
    ahead: list[int] = []

    def items() -> Iterator[str]:
        for at, event in enumerate(asked):
            ahead.append(at - written)
            event.set()
            yield str(at)

    with closing(merge([items])) as merged:
        for _ in merged:
            written += 1
            if written < len(asked):
                assert asked[written].wait(LONG), "the next item is not fetched while this one is used"
    assert written == len(asked)
    assert set(ahead) <= {0, 1}


def test_each_of_several_threads_is_at_most_one_item_ahead() -> None:
    jobs, each = 3, 30
    lock = threading.Lock()
    out, most, taken = 0, 0, 0

    def items() -> Iterator[str]:
        nonlocal out, most
        for _ in range(each):
            with lock:
                out += 1
                most = max(most, out - taken)
            yield "x"

    for _ in merge([items] * jobs, jobs):
        with lock:
            taken += 1
    assert taken == jobs * each
    assert most <= jobs + 1  # one in each thread, and one handed over


@pytest.mark.parametrize("ahead", [1, 4])
def test_at_most_the_given_number_of_items_wait(ahead: int) -> None:
    """They wait in addition to the one that the thread holds."""
    made: SimpleQueue[int] = SimpleQueue()

    def items() -> Iterator[str]:
        for at in range(20):
            made.put(at)
            yield str(at)

    with closing(merge([items], ahead=ahead)) as merged:
        next(merged)
        begun = [made.get(timeout=LONG) for _ in range(ahead + 1)]
        with pytest.raises(Empty):
            made.get(timeout=0.1)
    assert begun == list(range(ahead + 1))


def refuse_threads(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    """Let the system start only this many more threads."""
    start, count = threading.Thread.start, itertools.count()

    def refusing(thread: threading.Thread) -> None:
        if next(count) >= left:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)


def test_fewer_threads_do_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_threads(monkeypatch, 1)
    assert list(merge([task_of("a", "b"), task_of("c"), task_of("d")], 3)) == ["a", "b", "c", "d"]


def test_no_thread_at_all_is_a_temporary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_threads(monkeypatch, 0)
    with pytest.raises(TemporaryError):
        list(merge([task_of("a")]))


def test_the_end_is_announced_before_the_threads_are_waited_for() -> None:
    stop, ended = threading.Event(), threading.Event()

    def items() -> Iterator[str]:
        yield "a"
        stop.wait(LONG)
        ended.set()

    with closing(merge([items], stop=stop)) as merged:
        next(merged)
        assert not stop.is_set()
    assert ended.wait(LONG)


def test_tasks_run_in_parallel() -> None:
    together = threading.Barrier(4)

    def items() -> Iterator[str]:
        together.wait(LONG)
        yield "x"

    assert len(list(merge([items] * 4, 4))) == 4


def test_no_more_tasks_run_in_parallel_than_there_are_threads() -> None:
    lock = threading.Lock()
    running, most = 0, 0

    def items() -> Iterator[str]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        yield "x"
        with lock:
            running -= 1

    assert len(list(merge([items] * 20, 2))) == 20
    assert most <= 2


class BrokenError(Exception):
    pass


@for_each("error", [BrokenError, IndexError, KeyboardInterrupt, SystemExit])
def test_an_error_is_raised_after_the_items_that_came_before_it(error: type[BaseException]) -> None:
    after: list[str] = []

    def items() -> Iterator[str]:
        yield "a"
        yield "b"
        raise error

    def others() -> Iterator[str]:  # pragma: no cover - it is never started
        after.append("asked")
        yield "c"

    came: list[str] = []
    with pytest.raises(error):
        came.extend(merge([items, others]))
    assert came == ["a", "b"]
    assert after == []


def test_an_error_of_one_task_closes_the_others_in_their_own_threads() -> None:
    begun, closed = threading.Barrier(2), threading.Event()
    threads: list[int] = []

    def endless() -> Iterator[str]:
        threads.append(threading.get_ident())
        begun.wait(LONG)
        try:
            while True:
                yield "x"
        finally:
            threads.append(threading.get_ident())
            closed.set()

    def broken() -> Iterator[str]:
        begun.wait(LONG)
        yield "y"
        raise BrokenError

    with pytest.raises(BrokenError):
        for _ in merge([endless, broken], 2):
            pass
    assert closed.wait(LONG)
    assert threads[0] == threads[1] != threading.get_ident()


def test_stopping_early_closes_a_task_in_its_own_thread() -> None:
    happened: list[tuple[str, int]] = []

    def items() -> Iterator[str]:
        try:
            for at in range(9):
                happened.append((f"item {at}", threading.get_ident()))
                yield str(at)
        finally:
            happened.append(("closed", threading.get_ident()))

    held = [items(), items()]  # referenced here, so that only closing ends them
    merged = merge([lambda: held[0], lambda: held[1]])
    assert next(merged) == "0"
    merged.close()
    steps = [what for what, _ in happened]
    assert steps in (["item 0", "item 1", "closed"], ["item 0", "closed"])
    assert len({ident for _, ident in happened}) == 1
    assert happened[0][1] != threading.get_ident()


def test_stopping_early_does_not_wait_for_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "PATIENCE_SECONDS", 0.0)
    asked, answered, closed = threading.Event(), threading.Event(), threading.Event()

    def items() -> Iterator[str]:
        try:
            yield "a"
            asked.set()
            answered.wait(LONG)
            yield "b"
            yield "c"  # pragma: no cover - it is never reached
        finally:
            closed.set()

    merged = merge([items])
    next(merged)
    assert asked.wait(LONG)
    merged.close()
    assert not closed.is_set()
    answered.set()
    assert closed.wait(LONG)


def test_stopping_early_starts_no_other_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "PATIENCE_SECONDS", 0.0)
    asked, answered = threading.Event(), threading.Event()
    begun: list[str] = []
    threads: list[threading.Thread] = []

    def last() -> Iterator[str]:
        threads.append(threading.current_thread())
        yield "a"
        asked.set()
        answered.wait(LONG)

    def never() -> Iterator[str]:  # pragma: no cover - it is never reached
        begun.append("begun")
        yield "b"

    merged = merge([last, never])
    next(merged)
    assert asked.wait(LONG)
    merged.close()
    answered.set()
    threads[0].join(LONG)
    assert not threads[0].is_alive()
    assert begun == []


def test_ctrl_c_ends_the_wait_for_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
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

    def items() -> Iterator[str]:
        try:
            assert waits.acquire(timeout=LONG)
            yield "a"
            assert waits.acquire(timeout=LONG)  # for the second item
            signal.pthread_kill(main, signal.SIGINT)
            answered.wait(LONG)
            yield "b"
            asked.append("c")  # pragma: no cover - it is never reached
        finally:
            closed.set()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    merged = merge([items])
    try:
        with pytest.raises(KeyboardInterrupt):
            list(merged)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not answered.is_set()
    answered.set()
    assert closed.wait(LONG)
    assert asked == []


def test_no_wait_is_long_so_that_a_signal_to_another_thread_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If another thread receives the signal, the waiting one notices it after its current wait."""
    waits: list[float | None] = []

    class Watched(queue.SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - the queue's
            if threading.current_thread() is threading.main_thread():
                waits.append(timeout)
            return super().get(block, timeout)

    monkeypatch.setattr(threads_module, "SimpleQueue", Watched)
    assert list(merge([task_of("a")])) == ["a"]
    assert waits
    assert all(wait is not None and wait <= 0.5 for wait in waits)


HEAPS = """
import ctypes, sys, tempfile, threading
from cdrctl.threads import share_heaps

if sys.argv[1:] == ["share"]:
    share_heaps()
together, held = threading.Barrier(8), []

def work():
    held.append(bytearray(5000))
    together.wait(30)

threads = [threading.Thread(target=work) for _ in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
library = ctypes.CDLL(None)
library.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    told = ctypes.c_void_p(library.fopen(file.name.encode(), b"w"))
    library.malloc_info(0, told)
    library.fclose(told)
    print(file.read().count(b"<heap nr="))
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has heaps of threads")
def test_threads_share_heaps() -> None:
    def heaps(*words: str) -> int:
        return int(subprocess.run([sys.executable, "-c", HEAPS, *words], check=True, capture_output=True).stdout)

    assert heaps() > 2
    assert heaps("share") <= 2
