"""Folders that cannot be read or written, and ledgers with wrong values: a sentence and an exit code, and no harm."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.archive.calendar import coverage
from cdrctl.archive.ledger import Ledger
from cdrctl.archive.store import writing_archive
from cdrctl.archive.verify import rebuild_ledger
from cdrctl.errors import IncompleteError, OutputError
from cdrctl.records.events import Gap
from cdrctl.sandbox import Exchange, Sandbox
from tests.archive.killed import run
from tests.archive.sync_kit import NOW, Bench, begin_first_layout, bench, bench1, new_bench
from tests.support.clock import HandClock
from tests.support.products import for_each
from tests.support.runner import Shell

__all__ = ["bench", "bench1"]

INTO = ("--into", "archive")
NOBODY = 65534


@pytest.fixture
def providers() -> Iterator[Sandbox]:
    with sandbox.start(now=lambda: NOW, exchange=Exchange(volume=0.3)) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, providers: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, HandClock(NOW))
    shell.profile("acme", "voicenter", {**providers.credentials("voicenter"), "requests_per_minute": 0})
    return shell


@pytest.fixture
def first(shell: Shell) -> Shell:
    """Sync an archive of the first layout."""
    begin_first_layout(shell.folder / "archive")
    shell.run("sync", "acme", *INTO).ok()
    return shell


@pytest.fixture(params=[1, 2])
def any_layout(request: pytest.FixtureRequest, shell: Shell) -> Shell:
    """Sync an archive of each layout."""
    if request.param == 1:
        begin_first_layout(shell.folder / "archive")
    shell.run("sync", "acme", *INTO, *(["-f", "jsonl"] if request.param == 2 else [])).ok()
    return shell


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.thin
@pytest.mark.parametrize("at", range(4), ids=["profile", "call", "day", "file"])
def test_a_rebuild_that_cannot_read_something_changes_nothing(any_layout: Shell, at: int) -> None:
    """A link that leads to itself cannot be read by anybody, whatever their permissions are."""
    shell = any_layout
    file = next(shell.folder.glob("archive/*acme/*cdrs/date=2026-11-11/cdrs.jsonl"))
    path = [file, *file.parents][3 - at]
    path.rename(shell.folder / "moved")
    path.symlink_to(path.name)
    before = everything(shell.folder / "archive")
    ran = shell.run("verify", "--rebuild", *INTO)
    assert ran.code == 3
    assert "cannot be read" in ran.err
    assert everything(shell.folder / "archive") == before
    assert shell.run("verify", *INTO).code == 3
    assert shell.run("sync", "acme", *INTO).code in {3, 8}
    path.unlink()
    (shell.folder / "moved").rename(path)
    shell.run("sync", "acme", *INTO).ok()
    shell.run("verify", "--rebuild", *INTO).ok()


def covered(bench: Bench) -> list[object]:
    known, files = bench.ledger.readings("acme", "cdrs"), bench.ledger.files()
    kept = bench.ledger.kept()[0]
    return [kept, *coverage(bench.archive, bench.call, kept, known, files, bench.now)]


@pytest.mark.parametrize("lost", [(), ("2026-11-11",)])
def test_coverage_is_the_same_before_and_after_a_rebuild(bench1: Bench, lost: tuple[str, ...]) -> None:
    """Holes, days that were never reached, gaps, a beginning that no file tells, a lost index."""
    bench1.sync()
    bench1.fault = lambda window: Gap("a part is missing") if window.since.day in {7, 12} else None
    bench1.records = [one for one in bench1.records if one["id"] != "b"]
    bench1.sync(since=datetime(2026, 11, 6, tzinfo=UTC), stop=lambda: len(bench1.asked) > 4)
    for day in lost:
        next(bench1.path(day).parent.glob(".cdrs.*.index")).unlink()
    before = covered(bench1)
    assert len(before) == 8
    bench1.ledger.close()
    odd = rebuild_ledger(bench1.archive, {}, bench1.now)
    assert len(odd) == len(lost)
    bench1.ledger = Ledger(bench1.archive.folder)
    assert covered(bench1) == before


def test_a_removed_profile_causes_no_warning(any_layout: Shell) -> None:
    shell = any_layout
    shell.config.write_text("")
    for words in (("verify", "--rebuild"), ("coverage",), ("verify",)):
        ran = shell.run(*words, *INTO).ok()
        assert "warning" not in ran.err
    days = json.loads(shell.run("coverage", *INTO).ok().out)
    assert {day["provider"] for day in days} == {"voicenter"}


WRONG = ["NULL", "'x'", "x'ff00'", "-1", "1e400", "'0001-01-01T00:00:00Z'"]
COLUMNS = [
    *(("calls", one) for one in ("profile", "call", "provider", "begins")),
    *(
        ("intervals", one)
        for one in ("profile", "call", "day", "since", "until", "state", "read_at", "records", "error")
    ),
    *(("files", one) for one in ("profile", "call", "day", "path", "sha256", "records", "bytes", "written_at")),
]


@pytest.mark.thin
@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_wrong_values_in_the_ledger_are_told_and_mended_by_a_rebuild(first: Shell, table: str, column: str) -> None:
    shell = first
    path = shell.folder / "archive/ledger.sqlite3"
    good = path.read_bytes()
    for value in WRONG:
        path.write_bytes(good)
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA ignore_check_constraints = 1")
            db.execute("PRAGMA writable_schema = 1")
            db.execute("UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '')")
            db.commit()
        db.close()
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA ignore_check_constraints = 1")
            with suppress(sqlite3.Error):  # of several lines only one can have a key
                db.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}")  # noqa: S608 - words of this file
        db.close()
        for words in (("coverage",), ("verify",), ("plan", "acme")):
            ran = shell.run(*words, *INTO)
            assert ran.code in {0, 2, 3, 8}, (value, words, ran.err)
            assert "bug" not in ran.err
    ran = shell.run("sync", "acme", *INTO)
    assert ran.code in {0, 6, 8}
    assert "bug" not in ran.err
    assert shell.run("verify", "--rebuild", *INTO).code in {0, 3}
    shell.run("sync", "acme", *INTO).ok()


def test_a_reversed_interval_is_told(first: Shell) -> None:
    shell = first
    with sqlite3.connect(shell.folder / "archive/ledger.sqlite3") as db:
        db.execute("UPDATE intervals SET until = '2020-01-01T00:00:00Z'")
    db.close()
    ran = shell.run("coverage", *INTO)
    assert ran.code == 8
    assert "--rebuild" in ran.err


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("log", ["none", "left by a killed run"])
def test_reading_needs_no_permission_to_write(first: Shell, log: str) -> None:
    shell = first
    folder = shell.folder / "archive"
    held = None
    if log != "none":
        held = sqlite3.connect(folder / "ledger.sqlite3")
        held.execute("BEGIN")
        held.execute("SELECT count(*) FROM calls").fetchall()
        with sqlite3.connect(folder / "ledger.sqlite3") as other:
            other.execute("UPDATE files SET written_at = '2026-11-12T02:31:00Z'")
        other.close()
        assert (folder / "ledger.sqlite3-wal").stat().st_size > 0
    for path in (shell.folder, *shell.folder.parents):  # folders that were made for this user alone
        if path.is_relative_to(tempfile.gettempdir()) and path != Path(tempfile.gettempdir()):
            path.chmod(0o755)
    for path in [shell.config, folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (shell.folder / "config.toml").chmod(0o444)
    for words in (("coverage",), ("verify",), ("plan", "sandbox")):  # loads code that nobody else may read, perhaps
        shell.run(*words, *INTO)
    before = everything(folder)
    codes = {words: as_nobody(shell, *words, *INTO) for words in (("coverage",), ("verify",), ("plan", "sandbox"))}
    assert set(codes.values()) == {0}, codes
    after = everything(folder)
    assert {path: content for path, content in after.items() if not path.name.endswith("-shm")} == {
        path: content for path, content in before.items() if not path.name.endswith("-shm")
    }
    if held is not None:
        held.close()


def as_nobody(shell: Shell, *words: str) -> int:
    """Return the exit code of a command that somebody runs who may write nothing."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            code = run(str(shell.folder / "nowhere.toml"), NOW, [*words])
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def test_no_thread_is_told(any_layout: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def none_left(thread: threading.Thread) -> None:
        if thread.name.startswith("cdrctl-sync"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", none_left)
    ran = any_layout.run("sync", "acme", *INTO)
    assert ran.code == 5
    assert "thread" in ran.err
    assert "bug" not in ran.err


def test_a_folder_that_is_refused_stays_as_it_was(
    tmp_path: Path, providers: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "holiday.jpg").touch()
    monkeypatch.chdir(folder)
    shell = Shell(tmp_path, HandClock(NOW))
    shell.profile("acme", "voicenter", providers.credentials("voicenter"))
    for into in (".", "", str(folder)):
        for command in ("sync", "fill"):
            assert shell.run(command, "acme", "--into", into).code == 2
        for command in ("coverage", "verify"):
            assert shell.run(command, "--into", into).code == 2
    assert [one.name for one in folder.iterdir()] == ["holiday.jpg"]
    assert providers.requests == []


def test_a_rebuild_raises_before_it_changes_anything(bench1: Bench) -> None:
    bench1.sync()
    path = bench1.path("2026-11-11")
    path.unlink()
    path.symlink_to(path.name)
    ledger = (bench1.archive.folder / "ledger.sqlite3").read_bytes()
    with pytest.raises(IncompleteError):
        rebuild_ledger(bench1.archive, {}, NOW)
    assert (bench1.archive.folder / "ledger.sqlite3").read_bytes() == ledger


def test_a_lock_that_cannot_be_written_is_no_unreadable_file(shell: Shell) -> None:
    shell.run("sync", "acme", *INTO, "-f", "jsonl").ok()
    lock = shell.folder / "archive/_cdrctl/ledger/acme/cdrs.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    before = everything(shell.folder / "archive")
    for words in (("verify", "--rebuild"), ("sync", "acme"), ("fill", "acme"), ("archive", "adopt", "acme")):
        ran = shell.run(*words, *INTO)
        assert ran.code == 8, (words, ran.err)
        assert str(lock.name) in ran.err
    assert everything(shell.folder / "archive") == before


@for_each(
    "number, what",
    [
        (errno.ENOSPC, "free disk space"),
        (errno.EDQUOT, "free disk space"),
        (errno.EROFS, "for writing"),
        (errno.EIO, "check the disk"),
        (errno.EACCES, "permissions"),
    ],
)
def test_what_to_do_depends_on_why_the_archive_cannot_be_written(tmp_path: Path, number: int, what: str) -> None:
    with pytest.raises(OutputError) as caught, writing_archive(tmp_path):
        raise OSError(number, os.strerror(number))
    assert what in (caught.value.hint or "")
    assert os.strerror(number) in caught.value.message


def test_temporary_files_that_cannot_be_written_are_no_bug(bench: Bench) -> None:
    """Whichever statement on a temporary database it is that finds the disk full."""

    def fault(_window: object) -> Gap:
        raise sqlite3.OperationalError("database or disk is full")

    bench.fault = fault
    with pytest.raises(OutputError, match="temporary files"):
        bench.sync()


@pytest.mark.parametrize("name", ["cdrs.jsonl", "_readings.json", "_account.json", "cdrs.json", "archive.toml"])
def test_no_command_waits_for_a_pipe_in_the_place_of_a_file(shell: Shell, name: str) -> None:
    """A pipe has no writer: a run that opens it as a file waits for ever."""
    shell.run("sync", "acme", *INTO, "-f", "jsonl").ok()
    path = min(shell.folder.glob(f"archive/**/{name}"))
    path.unlink()
    os.mkfifo(path)
    limit = signal.signal(signal.SIGALRM, _waited)
    signal.alarm(30)
    try:
        window = ("--since", "2026-11-11", "--until", "2026-11-12")
        for words in (("verify", *INTO), ("voicenter", "cdrs", "--from", "archive", *window), ("sync", "acme", *INTO)):
            assert shell.run(*words).code in {0, 2, 3, 6, 8}, words
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, limit)
    assert path.is_fifo() or path.is_file()


def _waited(*_: object) -> None:
    raise AssertionError("it waits for a writer")


def test_a_folder_that_is_no_day_stops_no_command(any_layout: Shell) -> None:
    """Somebody copied a day, or the records without a start, under a name of their own."""
    day = next(any_layout.folder.glob("archive/*acme/*cdrs/date=2026-11-11"))
    shutil.copytree(day, day.with_name("date=2026-11-11 copy\n\x1b[31m"))
    window = ("--since", "2026-11-11", "--until", "2026-11-12")
    ran = any_layout.run("verify", *INTO)
    assert ran.code == 3
    assert "\x1b" not in ran.out + ran.err
    assert len(ran.out.splitlines()) == 1
    any_layout.run("voicenter", "cdrs", "--from", "archive", *window).ok()
    any_layout.run("sync", "acme", *INTO).ok()
    assert any_layout.run("archive", "convert", "archive", "new").code == 3
    assert not list(any_layout.folder.glob("new/*/*/date=*copy*"))
    assert any_layout.run("verify", "--rebuild", *INTO).code == 3
    any_layout.run("voicenter", "cdrs", "--from", "archive", *window).ok()


@pytest.mark.parametrize(
    ("number", "step"),
    [(errno.EROFS, "mount"), (errno.ENOSPC, "free disk space"), (errno.EACCES, "correct the permissions of")],
)
def test_an_archive_that_cannot_be_locked_names_the_step_that_helps(
    any_layout: Shell, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    opened = os.open

    def refused(path: str, *rest: int, **more: int) -> int:
        if str(path).endswith(".lock"):
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refused)
    ran = any_layout.run("sync", "acme", *INTO)
    assert ran.code == 8
    assert step in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a named pipe")
def test_a_settled_day_without_records_whose_file_is_no_file_cannot_be_read(tmp_path: Path) -> None:
    bench = new_bench(tmp_path / "archive")
    bench.sync(since=bench.now - timedelta(days=6))
    path = bench.path("2026-11-09")
    assert path.stat().st_size == 0
    path.unlink()
    os.mkfifo(path)  # has the same size
    assert bench.sync().failed.keys() == {"2026-11-09"}
    bench.ledger.close()
