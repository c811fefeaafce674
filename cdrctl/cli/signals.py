"""What ends the program from outside: Ctrl-C, SIGTERM and a closed terminal, all in the same way and in good order."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from types import FrameType

INTERRUPTED = 130
"""The exit code."""

ENDING_SECONDS = 1.0
"""How long the program may take to end: what else comes meanwhile would only disturb it."""

AGAIN_SECONDS = 2.0
"""After how long one comes again that nobody noticed: it may have come where Python drops exceptions."""


class ReaderLeftError(KeyboardInterrupt):
    """The pager has ended while there was more to come: like Ctrl-C it gets through whatever is going on."""


_heard = threading.Event()
_noticed = threading.Event()

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def heed() -> None:
    """Let these signals raise KeyboardInterrupt; what the program was told to ignore, as nohup does, stays ignored.

    Those that follow soon after one are not heeded: a second Ctrl-C must not break off the clearing up. Later ones
    are, and the first one comes again by itself until it is noticed.
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
        if hasattr(signal, "pthread_kill"):  # which also ends a wait for input
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:
            _thread.interrupt_main(signal.Signals(number))

    usual = sys.unraisablehook

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if not isinstance(what.exc_value, KeyboardInterrupt):  # which comes again: Python need not print it
            usual(what)

    sys.unraisablehook = dropped
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


def interrupted() -> bool:
    """Return whether one of these signals has come that was heeded."""
    return _heard.is_set()


def notice() -> None:
    """Say that the program is on its way to its end: no signal comes again."""
    _noticed.set()


def ignore() -> None:
    """Let these signals do nothing: all is done, and the exit code is to be that of the work."""
    notice()
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
