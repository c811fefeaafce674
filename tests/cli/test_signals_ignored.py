"""A library that heeds no signal does not keep the program alive."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from cdrctl.cli.signals import INTERRUPTED, ended_within
from tests.support.host import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows writes signals to sockets only")


@pytest.fixture
def unheeded() -> Iterator[None]:
    """Let a signal have no effect, as while a library is at work."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("unheeded")
def test_the_program_ends_some_time_after_the_signal() -> None:
    cleaned, left, codes = [], threading.Event(), list[int]()

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    with ended_within(0.01, lambda: cleaned.append(1), leave):
        os.kill(os.getpid(), signal.SIGHUP)
        assert left.wait(PATIENCE)
    assert (cleaned, codes) == ([1], [INTERRUPTED])


@pytest.mark.usefixtures("unheeded")
def test_work_that_ends_in_time_goes_on() -> None:
    codes = list[int]()
    with ended_within(PATIENCE, lambda: None, codes.append):
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.set_wakeup_fd(-1) == -1
    assert codes == []


def test_in_another_thread_nothing_is_watched() -> None:
    def watched() -> None:
        with ended_within(0.01, lambda: None):
            found.append(signal.getsignal(signal.SIGHUP))

    found: list[object] = []
    thread = threading.Thread(target=watched)
    thread.start()
    thread.join()
    assert len(found) == 1
