"""Signals at any moment: the command ends soon and leaves no partial file."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from cdrctl.cli import signals
from cdrctl.fetchers import PROVIDERS
from tests.cli.host_kit import HUP, INT, REPORT, SOME, SOON, TERM, heeded_signals, host, provider
from tests.support.host import A_DAY, PATIENCE, ROOT, Host, Stalling, ended, heard

__all__ = ["heeded_signals", "host", "provider"]  # fixtures

pytestmark = pytest.mark.process


def stalled(host: Host, provider: Stalling, *, itself: bool = True) -> subprocess.Popen[bytes]:
    provider.stall("kazoo", nth=2)
    running = host.start("kazoo", "cdrs", *A_DAY, "-o", "old.csv", itself=itself)
    provider.wait()
    return running


def told_to_come_later(host: Host, provider: Stalling, *, itself: bool = True) -> subprocess.Popen[bytes]:
    provider.sandbox.fail("webex", 429, times=100, headers={"Retry-After": "290"})
    running = host.start("webex", "cdrs", *A_DAY, "-o", "old.csv", itself=itself)
    heard(running, b"retrying in 29")
    return running


def waiting_for_a_turn(host: Host, provider: Stalling, *, itself: bool = True) -> subprocess.Popen[bytes]:
    paced = {key: value for key, value in provider.settings("webex").items() if key != "requests_per_minute"}
    host.configure({"webex": paced})
    running = host.start("webex", "cdrs", "--since", "29d", "-o", "old.csv", "-v", itself=itself)
    heard(running, b"the rate limit of Webex")
    return running


def syncing(host: Host, provider: Stalling, *, itself: bool = True) -> subprocess.Popen[bytes]:
    provider.stall(*PROVIDERS, nth=2)
    running = host.start("sync", "--all", "--into", "archive", itself=itself)
    provider.wait(len(PROVIDERS))
    return running


def side_by_side(host: Host, provider: Stalling, *, itself: bool = True) -> subprocess.Popen[bytes]:
    """Twice as many profiles as providers: the end must not wait for them one after the other."""
    twice = {f"{name}-{n}": provider.settings(name) for name in PROVIDERS for n in (1, 2)}
    host.configure(twice)
    provider.stall(*PROVIDERS)
    running = host.start("export", "--all", *A_DAY, "-o", "old.csv", itself=itself)
    provider.wait(len(twice))
    return running


def reporting(host: Host, provider: Stalling, *, itself: bool = True) -> subprocess.Popen[bytes]:
    provider.sandbox.switch("portsip", "report_delay", "100000")
    running = host.start(*REPORT.split(), "-o", "old.csv", "-v", itself=itself)
    heard(running, b"is creating the report")
    return running


def serving(host: Host, _provider: Stalling | None = None, *, itself: bool = True) -> subprocess.Popen[bytes]:
    running = host.start("sandbox", "serve", itself=itself)
    heard(running, b"serving on")
    return running


MOMENTS = [serving, stalled, told_to_come_later, waiting_for_a_turn, syncing, side_by_side, reporting]
"""What a command may be at when it is told to end."""


@pytest.mark.parametrize(
    ("signals", "itself"),
    [([INT], True), ([TERM], False), ([INT, INT, TERM, HUP], False)],
    ids=["ctrl-c", "term", "all-at-once"],
)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_a_command_soon_and_leaves_no_partial_file(
    host: Host,
    provider: Stalling,
    moment: Callable[..., subprocess.Popen[bytes]],
    signals: Sequence[signal.Signals],
    itself: bool,  # noqa: FBT001 - a case
) -> None:
    old = host.folder / "old.csv"
    old.write_text("old", encoding="utf-8")
    host.configure({name: provider.settings(name) for name in PROVIDERS})
    with ended(moment(host, provider, itself=itself)) as running:
        for number in signals:
            running.send_signal(number)
        _, said = running.communicate(timeout=SOON)
    assert running.returncode == 130, said
    assert b"interrupted" in said
    assert (b"the report may have been created: see" in said) == (moment is reporting)
    assert b"Traceback" not in said
    assert old.read_text(encoding="utf-8") == "old"
    assert host.left_over() == []


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_signal_while_the_pipe_is_full_leaves_whole_lines(host: Host, form: str) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(reading, 1031, 4096)  # F_SETPIPE_SZ: the first page of records fills this pipe
    with ended(host.start("webex", "cdrs", *SOME, "-f", form, stdout=writing)) as running:
        os.close(writing)
        assert select.select([reading], [], [], PATIENCE)[0]
        running.send_signal(INT)
        _, said = running.communicate(timeout=SOON)
    with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor has no path
        came = pipe.read()
    assert running.returncode == 130, said
    assert b"Traceback" not in said
    assert b"interrupted" not in said or b"standard output contains only some of the records" in said
    assert came.endswith(b"\n")
    lines = came.decode().splitlines()
    if form == "jsonl":
        assert all(isinstance(json.loads(line), dict) for line in lines)
    else:
        assert len({len(row) for row in csv.reader(io.StringIO(came.decode()))}) == 1
    assert lines


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here")
@pytest.mark.parametrize("moment", [serving, stalled, syncing, side_by_side])
def test_a_signal_to_any_thread_ends_the_command(
    host: Host, provider: Stalling, moment: Callable[[Host, Stalling], subprocess.Popen[bytes]]
) -> None:
    host.configure({name: provider.settings(name) for name in PROVIDERS})
    with ended(moment(host, provider)) as running:
        threads = [int(one.name) for one in Path(f"/proc/{running.pid}/task").iterdir()]
        os.kill(max(threads), TERM)
        assert running.wait(SOON) == 130


AT_THE_END = """
import atexit, os, signal, threading

atexit.register({act})
"""


def test_exit_handlers_do_not_delay_or_change_the_end(host: Host) -> None:
    """Python's own exit would wait for locks of threads that wait for a reader, and for exit handlers."""
    host.meddle(AT_THE_END.format(act="lambda: os.kill(os.getpid(), signal.SIGINT)"))
    done = host.run("profile", "list")
    assert (done.returncode, done.stderr) == (0, b"")
    host.meddle(AT_THE_END.format(act="threading.Event().wait"))
    with ended(serving(host)) as running:
        running.send_signal(INT)
        assert running.wait(SOON) == 130


def fill(pipe: int) -> None:
    """Write to a pipe until it is full."""
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, bytes(1024))
    os.set_blocking(pipe, True)


def test_a_signal_does_not_wait_for_a_reader_of_messages(host: Host, provider: Stalling) -> None:
    host.configure({"webex": provider.settings("webex")})
    provider.stall("webex", nth=2)
    reading, writing = os.pipe()
    with ended(host.start("webex", "cdrs", *A_DAY, "-f", "csv", stderr=writing)) as running:
        provider.wait()
        fill(writing)
        running.send_signal(INT)
        assert running.wait(SOON) == 130
    os.close(reading)
    os.close(writing)


IN_THE_MIDST = """
import os, signal, sys

class Finder:
    def find_spec(self, name, *_rest):
        if name == {name!r}:
            {act}

sys.meta_path.insert(0, Finder())
"""
AS_PYTHON_DOES = """try:
                os.kill(os.getpid(), signal.SIGINT)
                signal.pthread_sigmask(signal.SIG_BLOCK, [])
            except KeyboardInterrupt as error:
                raise RuntimeError("Error calling __set_name__") from error"""


@pytest.mark.parametrize("number", [INT, TERM])
@pytest.mark.parametrize("module", ["typer", "cdrctl.fetchers.webex", "httpx", "cdrctl.sandbox"])
def test_a_signal_ends_a_command_while_it_loads(host: Host, module: str, number: signal.Signals) -> None:
    host.meddle(IN_THE_MIDST.format(name=module, act=f"os.kill(os.getpid(), {int(number)})"))
    ran = host.run("webex", "cdrs", *SOME, "-o", "new.csv")
    assert ran.returncode == 130, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert not (host.folder / "new.csv").exists()


def test_ctrl_c_before_signals_are_handled_ends_without_a_traceback(host: Host) -> None:
    heeded = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"  # even if the tests ignore it
    act = "os.kill(os.getpid(), signal.SIGINT)"
    host.meddle(heeded + IN_THE_MIDST.format(name="cdrctl.cli.signals", act=act))
    ran = host.run("profile", "list")
    assert (ran.returncode, ran.stderr) == (-INT, b"")


@pytest.mark.parametrize("module", ["typer", "cdrctl.sandbox"])
def test_an_interruption_that_python_wraps_is_not_a_bug(host: Host, module: str) -> None:
    host.meddle(IN_THE_MIDST.format(name=module, act=AS_PYTHON_DOES))
    ran = host.run("webex", "cdrs", *SOME)
    assert ran.returncode == 130, ran.stderr
    assert b"bug" not in ran.stderr


def test_ignored_signals_stay_ignored_under_nohup(host: Host, provider: Stalling) -> None:
    host.configure({"webex": provider.settings("webex")})
    provider.stall("webex")

    def deaf() -> None:
        for number in (INT, TERM, HUP):
            signal.signal(number, signal.SIG_IGN)

    with ended(host.start("webex", "cdrs", *A_DAY, "-o", "new.csv", preexec_fn=deaf)) as running:
        provider.wait()
        for number in (INT, TERM, HUP):
            running.send_signal(number)
        provider.let_go.set()
        _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, said
    assert (host.folder / "new.csv").read_bytes().count(b"\n") > 10


SWALLOWED = """
import os, signal, threading
from cdrctl.cli import signals

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

signals.heed()
try:
    finalized = Finalized()
    del finalized
    print("swallowed", flush=True)
    while True:
        threading.Event().wait(0.1)
except KeyboardInterrupt:
    print("heard", flush=True)
"""


def test_a_signal_that_python_drops_is_raised_again(tmp_path: Path) -> None:
    """Python drops an exception that is raised while an object is finalized, but the user has pressed Ctrl-C."""
    ran = subprocess.run(
        [sys.executable, "-c", SWALLOWED],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.stdout.split() == ["swallowed", "heard"], ran.stderr


def test_a_signal_at_the_end_is_ignored() -> None:
    before = {number: signal.getsignal(number) for number in (INT, TERM, HUP)}
    try:
        signals.heed()
        signals.notice()
        signal.raise_signal(TERM)
        signals.heed()  # as if it ran a second time in one process
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(TERM)
        signals.notice()
    finally:
        for number, heard_by in before.items():
            signal.signal(number, heard_by)
