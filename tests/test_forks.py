"""A fork of a process that has loaded the program behaves like a newly started program."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tests.support import forks
from tests.support.host import CDRCTL, PATIENCE, Host, a_host, ended, heard, hearing

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="there are forks on Linux alone")]

AN_HOUR = "--since 2026-11-19T16:00Z --until 2026-11-19T17:00Z"


LOOKS = """
env | grep -v ^_= | sort; pwd; umask; ulimit -a
grep -E '^(Umask|Sig|ShdPnd|Cap|Groups|Uid|Gid)' /proc/$PPID/status
cd /proc/$PPID/fd; for one in [0-9] [0-9][0-9] [0-9][0-9][0-9]; do [ -e $one ] && echo $one; done
"""
"""What a command that the program runs sees of the program."""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return a_host(tmp_path)


def both(host: Host, line: str, **environ: str) -> tuple[tuple[int, str, str], tuple[int, str, str]]:
    """Return exit code, stdout and stderr of a line of bash: with a fork, and with the program."""
    host.environ |= environ
    found = []
    for itself in (False, True):
        ran = host.shell(line, itself=itself)
        said = re.sub(r"\d+\.\d seconds", "… seconds", ran.stderr.decode(errors="replace"))
        found.append((ran.returncode, re.sub(r"\d+ ms", "… ms", ran.stdout.decode()), said))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("cdrctl --version", 0),
        ("cdrctl", 0),
        ("cdrctl webx", 2),
        ("cdrctl webex cdrs", 6),
        (f"cdrctl webex cdrs -p sandbox {AN_HOUR} --limit 3 -f csv", 0),
        (f"cdrctl -q webex cdrs -p sandbox {AN_HOUR} -f table | sort | head -n 4", 0),
        ("set -o pipefail; cdrctl fields webex cdrs | true", 0),
        ("cdrctl profile list > /dev/full", 8),
        ("cdrctl profile list >&-", 8),
        ("cdrctl profile add acme --provider webex --with token <&-", 2),
        ("cdrctl webex cdrs -p sandbox --since 3h --until 2h <&- >&- 2>&-", 8),
        ("mkdir there; cd there; cdrctl fields webex cdrs -o here.csv; stat -c %a here.csv; rm -r ../there", 0),
        ("umask 027; cdrctl fields webex cdrs -o new.csv; stat -c %a new.csv; rm new.csv", 0),
        ("mkdir gone; cd gone; rmdir ../gone; cdrctl --version", 0),
        ("""cdrctl voicenter notifications /dev/fd/9 9<<< '{"caller": "שלום"}'""", 0),
        ("""cdrctl voicenter notifications - <<< '{"caller": "שלום"}'""", 0),
        ("cdrctl webex cdrs -p שלום --since 26h", 6),
        ("ulimit -f 0; cdrctl fields webex cdrs -o new.csv", 8),
    ],
)
def test_a_fork_has_the_output_and_exit_code_of_the_program(host: Host, line: str, code: int) -> None:
    fork, itself = both(host, line)
    assert fork == itself
    assert fork[0] == code


@pytest.mark.parametrize("lang", ["C", "C.UTF-8"])
def test_a_fork_has_the_environment_of_the_program(host: Host, lang: str) -> None:
    host.configure({"acme": {"provider": "webex", "access_token_command": f"({LOOKS}) > seen; exit 1"}})
    seen = []
    for itself in (False, True):
        line = "umask 031; export TZ=Asia/Kolkata ONE= TWO='a\nb=c'; cdrctl webex cdrs --since 26h 8< /dev/null"
        host.environ["LANG"] = lang
        assert host.shell(line, itself=itself).returncode == 6
        lines = (host.folder / "seen").read_text(encoding="utf-8").splitlines()
        seen.append([_without_signal_of_libc(line) for line in lines])
    assert seen[0] == seen[1]
    assert len(seen[0]) > 30


def _without_signal_of_libc(line: str) -> str:
    """Return a line of /proc/self/status without signal 33, which glibc handles itself once there was a thread."""
    name, _, mask = line.partition(":\t")
    return f"{name}:\t{int(mask, 16) & ~(1 << 32):016x}" if name == "SigCgt" else line


def test_a_killed_fork_has_the_exit_status_of_a_killed_program(host: Host) -> None:
    host.configure({"acme": {"provider": "webex", "access_token_command": "kill -9 $PPID"}})
    for itself in (False, True):
        assert host.run("webex", "cdrs", "--since", "26h", itself=itself).returncode == -signal.SIGKILL


def test_a_run_does_not_affect_the_next_one(host: Host) -> None:
    before = host.run("profile", "list")
    given = {"CDRCTL_ACME_PROVIDER": "webex", "CDRCTL_ACME_ACCESS_TOKEN": "not-a-secret"}
    assert b"acme" in host.run("profile", "list", environ=given).stdout
    assert host.run("profile", "list").stdout == before.stdout


def serving(host: Host, **options: object) -> subprocess.Popen[bytes]:
    """Start a sandbox, as `Host.run` would."""
    environ = {**host.environ, **options.pop("environ", {})}  # type: ignore[dict-item]
    words = [*forks.command(host.environ), "sandbox", "serve"]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, cwd=host.folder, env=environ, **{**streams, **options})  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_fork_receives_signals(host: Host, number: signal.Signals) -> None:
    with hearing(), ended(serving(host)) as running:
        heard(running, b"serving on")
        running.send_signal(number)
        _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert b"interrupted" in said


def test_a_fork_ends_with_its_client(host: Host) -> None:
    with ended(serving(host)) as running:
        port = re.search(rb"127\.0\.0\.1:(\d+)", heard(running, b"serving on http://127.0.0.1:"))
        assert port
        running.kill()
        until = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", int(port[1]))):
                    break
            assert time.monotonic() < until


def deaf() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))


@pytest.mark.parametrize(
    ("environ", "before", "itself"),
    [
        ({}, None, False),
        ({"TZ": "Asia/Kolkata", "HOME": "/nowhere", "TERM": "dumb"}, None, False),
        ({"LC_ALL": "POSIX"}, None, True),
        ({"PYTHONIOENCODING": "latin-1"}, None, True),
        ({"TYPER_USE_RICH": "0"}, None, True),
        ({}, deaf, True),
        ({}, few_files, True),
    ],
)
def test_the_program_itself_runs_where_a_fork_would_differ(
    host: Host,
    environ: dict[str, str],
    before: Callable[[], None] | None,
    itself: bool,  # noqa: FBT001 - a case
) -> None:
    with ended(serving(host, environ=environ, preexec_fn=before)) as running:
        heard(running, b"serving on")
        words = Path(f"/proc/{running.pid}/cmdline").read_bytes().split(b"\0")
    assert (b"tests.support.program" in words) == itself
    assert (os.fsencode(forks.CLIENT) in words) != itself


@pytest.mark.parametrize(
    "environ", [{"PYTHONPATH": ""}, {"PYTHONPATH": "elsewhere"}, {"LC_ALL": "C"}, {"PYTHONUNBUFFERED": "1"}]
)
def test_no_server_is_started_for_rare_environments(host: Host, environ: dict[str, str]) -> None:
    assert list(forks.command({**host.environ, **environ})) == CDRCTL
    assert list(forks.command(host.environ)) != CDRCTL


LEAVES = """
import json, os, subprocess, sys
from tests.support import forks
environ = json.loads(sys.argv[1])  # os.environ has what Python itself added
words = forks.command(environ)
subprocess.run([*words, "--version"], env=environ, check=True)
print(words[4], flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_server_ends_with_the_process_that_started_it(host: Host) -> None:
    words = [sys.executable, "-c", LEAVES, json.dumps(host.environ)]
    ran = subprocess.run(words, env=host.environ, capture_output=True, timeout=PATIENCE, check=False)
    said, address = ran.stdout.decode().splitlines()
    assert said.startswith("cdrctl ")
    until = time.monotonic() + PATIENCE
    while Path(address).parent.exists():
        assert time.monotonic() < until


def test_the_program_itself_runs_without_a_server(host: Host) -> None:
    words = [*forks.command(host.environ)]
    words[4] = str(host.folder / "nobody")
    ran = subprocess.run([*words, "--version"], env=host.environ, capture_output=True, check=True)
    assert ran.stdout.startswith(b"cdrctl ")


@pytest.mark.parametrize("kind", ["own", "other"])
def test_a_fork_has_the_terminal_of_its_client(host: Host, kind: Literal["own", "other"]) -> None:
    look = "(cut -d' ' -f1,5-8 /proc/$PPID/stat; tty; exec 2>/dev/null; : </dev/tty && echo own) > seen; exit 1"
    host.configure({"acme": {"provider": "webex", "access_token_command": look}})
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with ended(host.start("webex", "cdrs", "--since", "26h", itself=False, terminal=kind, **streams)) as running:
        assert running.wait(PATIENCE) == 6
    os.close(ours)
    os.close(theirs)
    numbers, *said = (host.folder / "seen").read_text(encoding="utf-8").splitlines()
    itself, group, session, terminal, foreground = map(int, numbers.split())
    assert (itself == group == session == foreground and terminal != 0 and said[-1] == "own") == (kind == "own")
    assert (terminal == 0 and said[-1] != "own") == (kind == "other")


def test_the_program_itself_runs_at_a_terminal_by_default(host: Host) -> None:
    ours, theirs = pty.openpty()
    with ended(serving(host, stdin=theirs)) as running:
        heard(running, b"serving on")
        assert b"tests.support.program" in Path(f"/proc/{running.pid}/cmdline").read_bytes().split(b"\0")
    os.close(ours)
    os.close(theirs)
