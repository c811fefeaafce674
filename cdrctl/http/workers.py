"""Threads that wait for responses, so that Ctrl-C works in the meantime."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from msgspec import Struct, field

from cdrctl.http.messages import Answer
from cdrctl.threads import start_threads


class Worker(Struct, frozen=True):
    """A thread that makes exchanges one by one, and ends when it receives None.

    Args:
        work: The exchanges to make.
        done: Their responses or errors.
        bodies: The last large buffers, for reuse.
    """

    work: SimpleQueue[Callable[[], Answer] | None] = field(default_factory=SimpleQueue)
    done: SimpleQueue[Answer | BaseException] = field(default_factory=SimpleQueue)
    bodies: list[bytearray] = field(default_factory=list)

    def run(self) -> None:
        """Make the exchanges in the queue, until None comes."""
        while (work := self.work.get()) is not None:
            try:
                came: Answer | BaseException = work()
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                came = error
            del work  # frees the request while the worker is idle
            self.done.put(came)
            del came


idle_workers: list[Worker] = []
"""Workers without work. Starting a thread for each exchange would take as long as reading a small response."""


def idle_worker() -> Worker:
    """Return an idle worker, or a new one."""
    with suppress(IndexError):
        return idle_workers.pop()
    worker = Worker()
    start_threads([threading.Thread(target=worker.run, name="cdrctl-exchange", daemon=True)])
    return worker


def release_buffers() -> None:
    """Free the buffers of idle workers, which are as large as the largest page: no page comes for a while."""
    mine: list[Worker] = []
    with suppress(IndexError):
        while True:  # a worker that another thread takes meanwhile keeps its buffers
            mine.append(idle_workers.pop())
    for worker in mine:
        worker.bodies.clear()
    idle_workers.extend(mine)
