"""Several threads write messages to stderr: every line is whole, and no secret is shown."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from cdrctl.cli.output_options import prepare_messages
from cdrctl.cli.process import Process
from cdrctl.cli.reporter import Reporter
from cdrctl.cli.run import Session
from cdrctl.masking import MASK

LONG = 20
"""Seconds after which a test that waits for another thread has failed."""


class Busy(io.StringIO):
    """A stream that detects two simultaneous writes, or a write between a line and its flush."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = 0
        self.most = 0

    def write(self, text: str) -> int:
        self.writing += 1
        for char in text:
            self.most = max(self.most, self.writing)
            super().write(char)
        return len(text)

    def flush(self) -> None:
        self.writing -= 1


def world(stderr: io.StringIO, *, terminal: bool = False) -> Process:
    return Process({}, io.StringIO(), io.BytesIO(), stderr, False, False, terminal, 80)


@pytest.fixture(autouse=True)
def _hasty() -> Iterator[None]:
    """Let threads switch as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_of_several_threads_are_whole(terminal: bool) -> None:  # noqa: FBT001 - a case
    stream = Busy()
    voice = Reporter(world(stream, terminal=terminal), data_elsewhere=True)
    begin = threading.Barrier(4)

    def speak(name: str) -> None:
        begin.wait(LONG)
        for n in range(100):
            voice.log("progress", f"{name * 30} so far")
            voice.log("note", f"{name * 30} {n}")

    threads = [threading.Thread(target=speak, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert stream.most == 1
    lines = [line.rpartition("\x1b[2K")[2] for line in stream.getvalue().split("\n")]
    spoken = sorted(line for line in lines if line and "so far" not in line)
    assert spoken == sorted(f"cdrctl: note: {name * 30} {n}" for name in "abcd" for n in range(100))


@pytest.mark.slow
def test_a_secret_learnt_while_another_thread_writes_is_masked() -> None:
    stream = io.StringIO()
    voice = Reporter(world(stream))
    begin = threading.Barrier(4)
    raised: list[BaseException] = []

    def learn(name: str) -> None:
        begin.wait(LONG)
        try:
            for n in range(50):
                voice.conceal([f"secret-{name}-{n:04}"])
                voice.log("note", f"said secret-{name}-{n:04}")
        except BaseException as error:  # noqa: BLE001 - the error of a thread would be lost
            raised.append(error)

    threads = [threading.Thread(target=learn, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert raised == []
    assert "secret-" not in stream.getvalue()


def test_two_threads_can_learn_secrets_at_the_same_time() -> None:
    stream = io.StringIO()
    voice = Reporter(world(stream))
    both = threading.Barrier(2)

    class Secret(str):
        """The reporter asks for the length of a secret while it learns it: there the two threads meet."""

        __slots__ = ()

        def __len__(self) -> int:
            with suppress(threading.BrokenBarrierError):
                both.wait(0.2)
            return super().__len__()

    threads = [threading.Thread(target=voice.conceal, args=([Secret(f"secret-{name}")],)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    voice.log("note", "secret-a secret-b")
    assert stream.getvalue() == f"cdrctl: note: {MASK} {MASK}\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_messages_are_held_back_while_another_program_has_the_terminal(terminal: bool) -> None:  # noqa: FBT001 - a case
    """On a terminal they follow later, in order. A log gets them at once."""
    stream = io.StringIO()
    voice = Reporter(world(stream, terminal=terminal), data_elsewhere=True)
    voice.hold()
    voice.log("warning", "one")
    voice.log("progress", "so far")
    voice.summary({"records": 2})
    assert bool(stream.getvalue()) != terminal
    voice.release()
    said = "cdrctl: warning: one\ncdrctl: 2 records\n"
    assert stream.getvalue() == said
    voice.log("note", "three")
    assert stream.getvalue() == f"{said}cdrctl: note: three\n"


def test_a_wait_and_the_progress_share_a_line() -> None:
    stream = io.StringIO()
    voice = Reporter(world(stream, terminal=True), data_elsewhere=True)

    def shown() -> str:
        return stream.getvalue().rpartition("\x1b[2K")[2]

    voice.log("wait", "waiting 2 s: soon")
    assert shown() == "waiting 2 s: soon"
    voice.log("progress", "5 records")
    assert shown() == "5 records"
    voice.log("wait", "waiting 2 s: soon")
    assert shown() == "5 records"
    voice.log("wait", "waiting 60 s, until 12:00:00 UTC: soon")
    assert shown() == "waiting 60 s, until 12:00:00 UTC: soon; 5 records"
    voice.log("progress", "6 records")
    assert shown() == "waiting 60 s, until 12:00:00 UTC: soon; 6 records"
    voice.log("debug", "GET / -> 200")
    voice.log("progress", "7 records")
    assert shown() == "7 records"


def test_a_wait_that_begins_while_a_page_is_counted_is_shown() -> None:
    """The next message may come an hour later. Masking takes time, in which the other thread continues."""
    for _ in range(20):
        stream = io.StringIO()
        reporter = Reporter(world(stream, terminal=True), data_elsewhere=True)
        reporter.conceal(f"not-a-secret-{number}" for number in range(50))
        begin = threading.Barrier(2)

        def waits(reporter: Reporter = reporter, begin: threading.Barrier = begin) -> None:
            begin.wait(LONG)
            reporter.log("wait", "waiting 60 s, until 12:00:00 UTC: soon")

        thread = threading.Thread(target=waits, daemon=True)
        thread.start()
        begin.wait(LONG)
        reporter.log("progress", "5 records")
        thread.join(LONG)
        assert stream.getvalue().rpartition("\x1b[2K")[2] == "waiting 60 s, until 12:00:00 UTC: soon; 5 records"


def test_progress_is_not_shown_if_the_reader_of_a_pipe_uses_the_terminal(tmp_path: Path) -> None:
    """In `cdrctl … | head`, both programs write to the same terminal."""
    for pipe in (False, True):
        place = replace(world(io.StringIO(), terminal=True), stdout_is_terminal=False, stdout_is_pipe=pipe)
        opened = Session(place, Reporter(place), tmp_path / "config.toml")
        prepare_messages(opened, None)
        assert opened.reporter.data_elsewhere is not pipe
        prepare_messages(opened, "calls.csv")
        assert opened.reporter.data_elsewhere
