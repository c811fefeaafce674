"""The program as a process: signals, pipes, terminals and closed streams."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from cdrctl.fetchers import PROVIDERS
from tests.cli.host_kit import heeded_signals
from tests.support.program import COMMAND as CDRCTL, shared

__all__ = ["heeded_signals"]  # a fixture

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
A_DAY = ["-p", "sandbox", "--since", "26h", "--until", "2h"]


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "PYTHONPATH"}}
    return {**kept, "HOME": str(tmp_path), "LANG": "C", **shared(), **more}


def process(tmp_path: Path, command: str) -> subprocess.CompletedProcess[str]:
    text = command.replace("cdrctl", " ".join(CDRCTL))
    return subprocess.run(
        ["bash", "-c", text],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def test_a_closed_pipe_ends_the_program_quietly(tmp_path: Path) -> None:
    ran = process(tmp_path, "cdrctl -q kazoo cdrs -p sandbox --since 20d | head -1; echo ${PIPESTATUS[0]}")
    assert ran.stderr == ""
    assert ran.stdout.splitlines()[1] == "0"


def test_closed_streams_give_no_traceback(tmp_path: Path) -> None:
    closed = process(tmp_path, "cdrctl webex cdrs -p sandbox --since 26h --until 2h >&-; echo $? >&2")
    assert closed.stderr.splitlines()[-1] == "8"
    assert "standard output is closed" in closed.stderr
    deaf = process(tmp_path, "cdrctl webex cdrs -p sandbox --since 26h --until 2h 2>&- | wc -l; echo ${PIPESTATUS[0]}")
    assert deaf.stdout.split()[1] == "0"


def test_an_unused_closed_stream_is_not_an_error(tmp_path: Path) -> None:
    quiet = process(
        tmp_path, f"cdrctl webex cdrs -p sandbox --since 26h --until 2h -o {tmp_path / 'a.csv'} >&-; echo $? >&2"
    )
    assert quiet.stderr.splitlines()[-1] == "0"
    deaf = process(
        tmp_path, f"cdrctl webex cdrs -p sandbox --since 26h --until 2h -o {tmp_path / 'b.csv'} 2>&-; echo $?"
    )
    assert deaf.stdout == "0\n"
    assert (tmp_path / "a.csv").read_bytes().count(b"\n") > 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_for_messages_or_help_gives_no_traceback(tmp_path: Path) -> None:
    ran = process(
        tmp_path, f"cdrctl webex cdrs -p sandbox --since 26h --until 2h -o {tmp_path / 'a.csv'} 2>/dev/full; echo $?"
    )
    assert ran.stdout == "0\n"
    shown = process(tmp_path, "cdrctl --help > /dev/full; echo $? >&2; cdrctl --version > /dev/full; echo $? >&2")
    assert shown.stderr.split() == ["8", "8"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    ran = process(tmp_path, "cdrctl webex cdrs -p sandbox --since 26h --until 2h > /dev/full; echo $? >&2")
    assert ran.stderr.splitlines()[-1] == "8"
    assert "the disk is full" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_an_export_with_130_and_no_partial_file(tmp_path: Path, number: signal.Signals) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old", encoding="utf-8")
    running = subprocess.Popen(
        [*CDRCTL, "kazoo", "cdrs", "-p", "sandbox", "--since", "2024-01", "-o", str(target), "-v"],
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    try:
        for line in running.stderr:
            if "/cdrs -> 200" in line:
                break
        running.send_signal(number)
        rest = running.stderr.read()
        assert running.wait(timeout=20) == 130
    finally:
        running.kill()
        running.stderr.close()
    assert f"interrupted; {target} is unchanged: run the command again" in rest
    assert "Traceback" not in rest
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl"]


DROPS_THE_FIRST = """
import os
from cdrctl.cli import signals
signals.ENDING_SECONDS, signals.AGAIN_SECONDS = 0.01, 0.1
signals.heed()
class Dropping:
    def __del__(self):
        print("ready", flush=True)
        os.read(0, 1)
try:
    Dropping()  # Python drops what is raised while an object is deleted
    print("dropped", flush=True)
    os.read(0, 1)
except KeyboardInterrupt:
    signals.notice()
    print("noticed", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot interrupt a thread that waits for input")
def test_a_lost_interruption_ends_the_next_wait_for_input(tmp_path: Path) -> None:
    words = [sys.executable, "-c", DROPS_THE_FIRST]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, env=environment(tmp_path), text=True, **pipes) as running:  # type: ignore[call-overload]
        try:
            assert running.stdout.readline() == "ready\n"
            running.send_signal(signal.SIGINT)
            assert running.stdout.readline() == "dropped\n"
            assert running.wait(timeout=20) == 0
            assert (running.stdout.read(), running.stderr.read()) == ("noticed\n", "")
        finally:
            running.kill()


def test_a_table_fits_forty_columns_and_has_no_escape_of_a_caller(tmp_path: Path) -> None:
    main, child = pty.openpty()
    running = subprocess.Popen(
        [*CDRCTL, "webex", "cdrs", *A_DAY, "--limit", "30"],
        env=environment(tmp_path, COLUMNS="40", LINES="20", TERM="xterm"),
        stdin=child,
        stdout=child,
        stderr=subprocess.DEVNULL,
    )
    os.close(child)
    shown = b""
    while select.select([main], [], [], 30)[0]:
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    assert running.wait(timeout=20) == 0
    os.close(main)
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode("utf-8"))
    assert "\x1b" not in text
    assert text.count("\n") > 30
    assert max(cell_len(line) for line in text.splitlines()) <= 40


def test_an_export_works_without_a_home_and_a_locale(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*CDRCTL, "webex", "cdrs", *A_DAY, "-f", "csv"],
        env={name: value for name, value in environment(tmp_path).items() if name not in {"HOME", "LANG"}},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.decode("utf-8").count("\n") > 10


def test_the_served_sandbox_prints_profiles_that_work(tmp_path: Path) -> None:
    config = tmp_path / "sandbox.toml"
    with config.open("w", encoding="utf-8") as file:
        serving = subprocess.Popen(
            [*CDRCTL, "sandbox", "serve", "--switch", "webex.link=doc"],
            env=environment(tmp_path),
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )
    config.chmod(0o600)
    assert serving.stderr is not None
    try:
        assert "serving on http://127.0.0.1:" in serving.stderr.readline()
        for provider in PROVIDERS:
            ran = process(tmp_path, f"cdrctl profile check sandbox-{provider} --config {config}")
            assert ran.returncode == 0, ran.stderr
        serving.send_signal(signal.SIGINT)
        assert serving.wait(timeout=20) == 130
    finally:
        serving.kill()
        serving.stderr.close()


def test_an_unknown_switch_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    ran = process(tmp_path, "cdrctl sandbox serve --switch webex.nonsense=1")
    assert ran.returncode == 2
    assert "link" in ran.stderr


def test_version_does_not_load_the_program(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cdrctl", "--version"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.startswith("cdrctl ")
    assert "typer" not in ran.stderr
    assert "pydantic" not in ran.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completions_are_those_of_the_program(tmp_path: Path, shell: str) -> None:
    ran = subprocess.run(
        [*CDRCTL, "--show-completion", shell],
        env=environment(tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    kept = (ROOT / "completions" / f"cdrctl.{shell}").read_text(encoding="utf-8")
    assert kept == ran.stdout


def test_completion_knows_providers_calls_and_options(tmp_path: Path) -> None:
    for words, expected in (
        ("cdrctl ka", {"kazoo"}),
        ("cdrctl kazoo ", {"cdrs", "interactions", "legs", "cdr"}),
        ("cdrctl webex cdrs --fo", {"--format"}),
    ):
        ran = subprocess.run(
            CDRCTL,
            env=environment(
                tmp_path, _CDRCTL_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1)
            ),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert set(ran.stdout.split()) == expected
