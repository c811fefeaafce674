"""Signals that end the program in good order: Ctrl-C, SIGTERM and a closed terminal."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""The exit code of an interrupted run."""

ENDING_SECONDS = 1.0
"""Signals within this time of the first are ignored, so that clean-up is not interrupted."""

AGAIN_SECONDS = 2.0
"""An interrupt that had no effect is sent again after this time: Python drops exceptions in some places."""


class ReaderLeftError(KeyboardInterrupt):
    """The user quit the pager before the end of the output; like Ctrl-C, this interrupts whatever is running."""


_heard = threading.Event()
_noticed = threading.Event()

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def heed() -> None:
    """Make these signals raise KeyboardInterrupt; those that are ignored, as under nohup, stay ignored.

    A second signal within `ENDING_SECONDS` is ignored: it must not interrupt the clean-up. A signal that had no
    effect is sent again until `notice` is called.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    _heard.clear()
    _noticed.clear()
    heeded = float("-inf")

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal heeded
        now = time.monotonic()
        if now - heeded >= ENDING_SECONDS and not _noticed.is_set():
            heeded = now
            _heard.set()
            threading.Thread(target=again, args=(number,), daemon=True).start()
            raise KeyboardInterrupt

    def again(number: int) -> None:
        if _noticed.wait(AGAIN_SECONDS):
            return
        if hasattr(signal, "pthread_kill"):  # which also interrupts a blocking read
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:
            _thread.interrupt_main(signal.Signals(number))

    usual = sys.unraisablehook

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if not isinstance(what.exc_value, KeyboardInterrupt):  # which is sent again, so Python need not print it
            usual(what)

    sys.unraisablehook = dropped
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def interrupted() -> bool:
    """Return whether a signal has interrupted the program."""
    return _heard.is_set()


def caused(error: BaseException | None) -> bool:
    """Return whether an interrupt caused an error: Python wraps it in other exceptions, as in the body of a class."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def notice() -> None:
    """Mark the interrupt as handled, so that it is not sent again."""
    _noticed.set()


def ignore() -> None:
    """Ignore these signals: the work is done, and the exit code must be its own."""
    notice()
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def ended_within(
    seconds: float, clean: Callable[[], None], leave: Callable[[int], object] = os._exit
) -> Iterator[None]:
    """End the program this long after a signal, if a library ignores the signal and is still running.

    Python calls its own handlers only between its instructions, and one function of DuckDB may take hours.

    Args:
        seconds: How long after the signal.
        clean: Removes what the program would have removed.
        leave: Ends the program with an exit code.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield  # Windows writes the numbers of signals to sockets only
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if os.read(reading, 1)[0] in _ENDING and not over.wait(seconds):
                clean()
                leave(INTERRUPTED)

    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.write(writing, b"\0")
        watcher.join()
        os.close(reading)
        os.close(writing)
