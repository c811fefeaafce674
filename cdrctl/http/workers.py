"""Threads that wait for answers, so that Ctrl-C is heard meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue

from cdrctl.http.messages import Answer
from cdrctl.threads import start_threads


@dataclass(frozen=True, slots=True)
class Worker:
    """A thread that makes one exchange after the other, and ends when it is given None.

    Args:
        work: What it is to do.
        done: What came of it.
        bodies: The last large bodies, into which others may be read once nobody looks at them any more.
    """

    work: SimpleQueue[Callable[[], Answer] | None] = field(default_factory=SimpleQueue)
    done: SimpleQueue[Answer | BaseException] = field(default_factory=SimpleQueue)
    bodies: list[bytearray] = field(default_factory=list)

    def run(self) -> None:
        """Do the work that is put into the queue, until None comes."""
        while (work := self.work.get()) is not None:
            try:
                came: Answer | BaseException = work()
            except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
                came = error
            del work  # what was asked is not kept while nothing is
            self.done.put(came)
            del came


idle_workers: list[Worker] = []
"""Workers that wait for work: to start a thread for each exchange takes as long as to read a small answer."""


def idle_worker() -> Worker:
    """Return a worker that waits, or a new one."""
    with suppress(IndexError):
        return idle_workers.pop()
    worker = Worker()
    start_threads([threading.Thread(target=worker.run, name="cdrctl-exchange", daemon=True)])
    return worker
