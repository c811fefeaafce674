"""Threads that the system may refuse: where the limit of processes is reached, or that of a container."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from cdrctl.errors import TemporaryError


def started(threads: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Start threads in their order, as far as the system has any to give, and return those that run.

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


def none_left() -> TemporaryError:
    """Return the error that no further thread can be started."""
    return TemporaryError(
        "no further thread can be started on this machine",
        hint="run it again when fewer programs run, or raise the limit: ulimit -u, or that of the container",
    )


def was_refused(error: BaseException) -> bool:
    """Return whether an error is Python's own about a thread that cannot be started; it has no class of its own."""
    return isinstance(error, RuntimeError) and error.args == ("can't start new thread",)
