"""Unusual surroundings: each run ends with one of our exit codes and a message."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl import sandbox
from tests.support.clock import HandClock
from tests.support.host import a_host
from tests.support.runner import Ran, Shell

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EXPORT = ("webex", "cdrs", "-p", "sandbox", "--since", "3h", "--until", "2h")
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such places")
FORMATS = ["csv", "csv.gz", "tsv", "jsonl", "json", "xlsx", "parquet", "sqlite", "duckdb"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, HandClock(NOW))


def check_said(ran: Ran, code: int) -> None:
    assert ran.code == code, ran.err
    assert "a bug in cdrctl" not in ran.err
    assert (code == 0) or ran.err.count("next: ") == 1


@POSIX
@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_name_may_be_invalid_utf_8(
    ending: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"r\xff." + ending.encode())
    check_said(shell.run(*EXPORT, "-o", name), 8 if ending == "duckdb" else 0)
    assert [one.name for one in tmp_path.iterdir()] == ([] if ending == "duckdb" else [name])


@pytest.mark.thin
@POSIX
@pytest.mark.parametrize("ending", FORMATS)
def test_a_deleted_working_directory_ends_in_a_message(
    ending: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    check_said(shell.run(*EXPORT, "-o", f"r.{ending}"), 8)
    check_said(shell.run(*EXPORT, "-o", str(tmp_path / f"r.{ending}")), 0)


@pytest.mark.process
@POSIX
@pytest.mark.parametrize("ending", FORMATS)
def test_a_limit_on_file_sizes_ends_in_a_message(ending: str, tmp_path: Path) -> None:
    host = a_host(tmp_path)
    host.environ["TMPDIR"] = str(tmp_path)
    ran = host.shell(f"ulimit -f 1; cdrctl webex cdrs -p sandbox --since 3d --until 2h -q -o r.{ending}")
    assert ran.returncode == 8, ran.stderr
    assert ran.stderr.startswith(b"cdrctl: cannot write ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
@POSIX
@pytest.mark.parametrize("words", ["profile list", "profile path", "profile show sandbox", " ".join(EXPORT)])
def test_a_closed_standard_output_ends_in_a_message(words: str, tmp_path: Path) -> None:
    ran = a_host(tmp_path).shell(f"cdrctl {words} >&-")
    assert ran.returncode == 8, ran.stderr
    assert b"standard output is closed" in ran.stderr


NO_THREAD = """
import threading

left, start = [{left}], threading.Thread.start

def counted(self):
    left[0] -= 1
    if left[0] < 0:
        raise RuntimeError("can't start new thread")
    start(self)

threading.Thread.start = counted
"""
"""What Python does where the system has no more threads to give; as root no limit of the system is obeyed."""


@pytest.mark.process
@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("words", ["webex cdrs", "export -p acme", "sync acme --into archive", "doctor acme"])
def test_a_limit_on_threads_is_not_reported_as_a_bug(left: int, words: str, tmp_path: Path) -> None:
    host = a_host(tmp_path)
    with sandbox.start() as running:
        host.configure({"acme": {"provider": "webex", **running.credentials("webex")}})
        host.meddle(NO_THREAD.format(left=left))
        window = () if words.startswith("doctor") else ("--since", "3h")
        ran = host.run(*words.split(), *window)
    assert b"a bug in cdrctl" not in ran.stderr + ran.stdout
    if words.startswith("doctor"):
        assert ran.returncode in {0, 5}, ran.stderr
    else:
        assert ran.returncode == 5, ran.stderr
        assert b"no further thread" in ran.stderr
