"""Threads: several streams are read at the same time as one. The system may refuse to start threads."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

from cdrctl.errors import TemporaryError

Item = TypeVar("Item")

_ARENA_MAX = -8
"""The number of M_ARENA_MAX in malloc.h."""

LISTEN_SECONDS = 0.5
"""The longest single wait: a signal that another thread receives does not end a wait, so waits are repeated."""

PATIENCE_SECONDS = 0.5
"""How long to wait for all threads to end when no more is wanted: one may be in the middle of a request."""


def merge(
    tasks: Iterable[Callable[[], Iterable[Item]]],
    threads: int = 1,
    *,
    ahead: int = 1,
    stop: threading.Event | None = None,
    name: str = "cdrctl-fetch",
) -> Generator[Item, None, None]:
    """Yield the items of all tasks, each of which runs in a thread.

    With one thread the items come in order, with several as they come. An error in a thread is raised here, after the
    items that came before it. A generator runs in one thread from its start to its close, also if this one is closed
    early. A thread hands an item over only when it is wanted, and then goes on without waiting for what becomes of it.

    Args:
        tasks: Functions that return items. If they are fewer than the threads, there are fewer threads.
        threads: The largest number of threads. If the system refuses some, the others do their work.
        ahead: How many items may wait here, besides one in each thread. With 1, the next item of a single thread is
            on its way while one is used, and never the one after that.
        stop: Set as soon as no more items are wanted.
        name: The name of the threads.

    Raises:
        TemporaryError: No thread could be started.
    """
    left = deque(tasks)
    wanted: SimpleQueue[bool] = SimpleQueue()
    came: SimpleQueue[Item | BaseException | None] = SimpleQueue()
    count, queues = min(threads, len(left)), (left, wanted, came)
    running = start_threads(threading.Thread(target=_work, args=queues, name=name, daemon=True) for _ in range(count))
    try:
        yield from _items(len(running), wanted, came, ahead)
    finally:
        if stop is not None:
            stop.set()
        left.clear()
        with suppress(Empty):
            while True:
                wanted.get_nowait()
        for _ in running:
            wanted.put(False)
        _join(running)


def _items(
    running: int, wanted: SimpleQueue[bool], came: SimpleQueue[Item | BaseException | None], ahead: int
) -> Generator[Item, None, None]:
    """Yield the items that threads send, until each has sent None; raise an error that one sends."""
    for _ in range(ahead - 1):
        wanted.put(True)
    while running:
        wanted.put(True)  # before waiting, so that a thread with an item hands it over and goes on
        item = take(came)
        if item is None:
            running -= 1
        elif isinstance(item, BaseException):
            raise item
        else:
            yield item
        del item


def _work(
    left: deque[Callable[[], Iterable[Item]]],
    wanted: SimpleQueue[bool],
    came: SimpleQueue[Item | BaseException | None],
) -> None:
    """Do tasks, one after the other, until none is left or no more is wanted: what a thread runs.

    Args:
        left: The tasks that no thread has begun.
        wanted: Has a True for each item that is wanted, and a False for each thread that is to end.
        came: Receives the items, then an error, or None at the end.
    """
    end: BaseException | None = None
    try:
        while (task := _next_task(left)) is not None:
            if not _hand_over(task, wanted, came):
                return
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads
        end = error
    if wanted.get():
        came.put(end)


def _next_task(left: deque[Callable[[], Iterable[Item]]]) -> Callable[[], Iterable[Item]] | None:
    """Return the next task, or None; several threads call it."""
    with suppress(IndexError):
        return left.popleft()
    return None


def _hand_over(
    task: Callable[[], Iterable[Item]],
    wanted: SimpleQueue[bool],
    came: SimpleQueue[Item | BaseException | None],
) -> bool:
    """Hand over the items of a task, each when it is wanted, and return whether all were."""
    items = task()
    with closing(items) if isinstance(items, Generator) else nullcontext():
        for item in items:
            if not wanted.get():
                return False
            came.put(item)
            del item
    return True


def take(queue: SimpleQueue[Item], seconds: float = math.inf) -> Item:
    """Return the next item of a queue. It waits in steps, so that Ctrl-C is noticed on every system.

    Raises:
        Empty: No item came in time.
    """
    left = seconds
    while left > 0:
        with suppress(Empty):
            return queue.get(timeout=min(left, LISTEN_SECONDS))
        left -= LISTEN_SECONDS
    raise Empty


def _join(threads: Iterable[threading.Thread]) -> None:
    """Wait until the threads have ended, but not for long."""
    until = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, until - time.monotonic()))


def start_threads(threads: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Start threads in order until the system refuses one, and return those that run.

    Raises:
        TemporaryError: Not even the first could be started.
    """
    running: list[threading.Thread] = []
    for thread in threads:
        try:
            thread.start()
        except RuntimeError as error:
            if not running:
                raise none_left() from error
            break
        running.append(thread)
    return running


def share_heaps() -> None:
    """Let threads that start from now on share two heaps of the C library, where it would give each its own.

    Each heap keeps the gaps that large pages leave in it. With one for each thread, a run over 200 profiles took 20 MB
    more (mallopt(3), M_ARENA_MAX; the GNU C library only).
    """
    if sys.platform != "linux":
        return
    import ctypes

    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


def none_left() -> TemporaryError:
    """Return the error that no further thread can be started."""
    return TemporaryError(
        "no further thread can be started on this machine",
        hint="run the command again when fewer programs run, or raise the limit: ulimit -u, or that of the container",
    )


def was_refused(error: BaseException) -> bool:
    """Return whether an error is Python's own about a thread that cannot be started; it has no class of its own."""
    return isinstance(error, RuntimeError) and error.args == ("can't start new thread",)
