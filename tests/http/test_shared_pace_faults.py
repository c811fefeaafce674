"""The shared rate limit when clocks jump and files or locks fail."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from cdrctl.http import Clock, RateLimit, RetryPolicy
from cdrctl.http.pace import WAITING
from cdrctl.profiles import pace as shared
from tests.http.shared_pace_kit import ONE_A_MINUTE, ROOT, Host, host, shelf
from tests.support.clock import NOON, HandClock
from tests.support.wires import answering, client

__all__ = ["host"]


POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")

# Clocks that jump


def test_a_clock_set_back_makes_no_run_wait_longer_than_the_queue(host: Host) -> None:
    for _ in range(3):
        host.run().reserve("window")
    host.set_by = -86_400
    assert host.run().reserve("window").wait == 180
    host.seconds = 100
    assert host.run().reserve("window").wait == 140


def test_a_clock_set_forward_hastens_no_run_with_earlier_requests(host: Host) -> None:
    run = host.run()
    run.reserve("window")
    host.seconds, host.set_by = 10, 86_400
    assert run.reserve("window").wait == 50


def test_a_reboot_does_not_shorten_the_queue(host: Host) -> None:
    host.seconds = 10**6
    host.run().reserve("window")
    host.seconds, host.set_by = 5, 10**6
    assert host.run().reserve("window").wait == 55


def test_reservations_further_ahead_than_a_queue_can_be_are_ignored(host: Host) -> None:
    at = shelf(host.folder)
    noon = (NOON - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for spans, wait in ((WAITING, 60), (WAITING + 1, 0)):
        first = [noon + n * 60_000_000 for n in range(1, WAITING)] if spans == WAITING else []
        ahead = {"written": noon, "sent": {"window": [*first, noon + spans * 60_000_000]}}
        with at.locked():
            at.save(ahead)
        assert host.run().reserve("window").wait == 0
        assert host.run().reserve("window").wait == (WAITING + 1) * 60 if first else wait + 60
    assert max(json.loads(at.path.read_bytes())["sent"]["window"]) <= noon + WAITING * 60_000_000


# Files and locks that fail


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"sent": {"window": [1]}}',
        b'{"written": null, "sent": {}}',
        b'{"written": 1, "sent": []}',
        b'{"written": 1, "sent": {"window": 1}}',
        b'{"written": 1, "sent": {"window": ["1"]}}',
        b'{"written": 1, "sent": {"window": [null]}}',
        b'{"written": 1, "sent": {"window": [NaN, Infinity, 1e400]}}',
        b'{"written": 1, "sent": {"window": [' + b"9" * 5000 + b"]}}",
    ],
)
def test_a_damaged_file_counts_as_empty(host: Host, content: bytes) -> None:
    at = shelf(host.folder)
    at.path.parent.mkdir()
    at.path.write_bytes(content)
    assert [host.run().reserve("window").wait for _ in range(2)] == [0, 60]
    assert host.said == []


def test_unordered_times_are_sorted(host: Host) -> None:
    at = shelf(host.folder)
    noon = (NOON - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    with at.locked():
        at.save({"written": noon, "sent": {"page": [noon + 50_000_000, noon]}})
    assert host.run({"page": RateLimit(2, 60)}).reserve("page").wait == 60


@pytest.mark.parametrize("config", ["file/config.toml", "~/config.toml"], ids=["no folder", "no home"])
def test_runs_without_a_writable_file_keep_the_rate_limit_alone_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    transport, asked = answering(httpx.Response(200, json={}))
    clock, said = HandClock(), []
    at = shelf(Path(config).parent)
    one = client(
        clock=clock,
        retry_policy=RetryPolicy(ONE_A_MINUTE),
        rate_store=at,
        log=lambda level, text: said.append((level, text)),
        transport=transport,
    )
    for _ in range(3):
        one.get("/x", kind="window")
    assert clock.waits == [60, 60]
    assert [level for level, text in said if "without regard to other runs" in text] == ["debug"]
    assert {level for level, _ in said} == {"debug", "wait"}
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert len(asked) == 3


def test_a_folder_in_place_of_the_file(host: Host) -> None:
    shelf(host.folder).path.mkdir(parents=True)
    run = host.run()
    assert [run.reserve("window").wait for _ in range(3)] == [0, 60, 120]
    assert len(host.said) == 1


@POSIX
@pytest.mark.parametrize("name", ["path", "lock"])
def test_a_file_that_was_deleted_or_replaced_is_opened_again(host: Host, name: str) -> None:
    run, at = host.run(), shelf(host.folder)
    assert run.reserve("window").wait == 0
    file = getattr(at, name)
    file.rename(host.folder / "before")
    shutil.copy(host.folder / "before", file)
    assert host.run().reserve("window").wait == 60
    assert run.reserve("window").wait == 120
    file.unlink()
    # Without the file, a run knows only its own requests.
    assert run.reserve("window").wait == (180 if name == "lock" else 60)
    assert host.run().reserve("window").wait == (240 if name == "lock" else 0)
    assert host.said == []


@POSIX
def test_a_closed_run_leaves_no_file_open(host: Host) -> None:
    at = shelf(host.folder)
    run = host.run(at=at)
    assert [run.reserve("window").wait for _ in range(2)] == [0, 60]
    assert min(at._file.descriptor, at._lock_file.descriptor) >= 0
    run.close()
    assert (at._file.descriptor, at._lock_file.descriptor) == (-1, -1)
    assert run.reserve("window").wait == 120


@POSIX
def test_the_file_is_written_in_place_and_always_whole(host: Host) -> None:
    run, at = host.run({"page": RateLimit(30, 60)}), shelf(host.folder)
    run.reserve("page")
    inode, size = at.path.stat().st_ino, at.path.stat().st_size
    for _ in range(40):
        run.reserve("page")
        host.seconds += 10
        assert json.loads(at.path.read_bytes())["sent"]["page"]
    assert (at.path.stat().st_ino, at.path.stat().st_size) == (inode, size)


@pytest.mark.slow
def test_more_times_than_the_file_has_room_for_replace_it(host: Host) -> None:
    runs = [host.run({"page": RateLimit(1000, 60)}) for _ in range(2)]
    for _ in range(300):
        assert [run.reserve("page").wait for run in runs] == [0, 0]
    assert len(json.loads(shelf(host.folder).path.read_bytes())["sent"]["page"]) == 600


def test_the_wait_for_a_lock_is_bounded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PACE_LOCK_SECONDS", 0)
    run = host.run()
    with shelf(host.folder).locked():
        assert [run.reserve("window").wait for _ in range(2)] == [0, 60]
    assert len(host.said) == 1
    host.seconds = 60
    assert run.reserve("window").wait == 60  # its own reservations still count, and are shared again
    host.seconds = 61
    assert host.run().reserve("window").wait == 119
    assert len(host.said) == 1


@pytest.mark.process
def test_the_lock_of_a_dead_process_is_ignored(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PACE_LOCK_SECONDS", 0)
    at = shelf(host.folder)
    at.path.parent.mkdir()
    code = (
        "import os, sys, pathlib\n"
        "from cdrctl.profiles.pace import PaceFile\n"
        "with PaceFile(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])).locked():\n"
        "    os._exit(9)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(at.path), str(at.lock)], cwd=ROOT, check=False)
    assert died.returncode == 9
    assert at.lock.exists()
    host.run().reserve("window")
    assert host.said == []
    assert at.path.exists()


def test_an_interrupted_wait_gives_the_reservation_back(tmp_path: Path) -> None:
    transport, asked = answering(httpx.Response(200, json={}))

    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    clock = Clock(lambda: NOON, lambda: 0.0, stop)
    host = Host(tmp_path)
    assert host.run().reserve("window").wait == 0
    for _ in range(3):
        impatient = client(
            retry_policy=RetryPolicy(ONE_A_MINUTE), clock=clock, rate_store=shelf(tmp_path), transport=transport
        )
        with pytest.raises(KeyboardInterrupt):
            impatient.get("/x", kind="window")
    assert asked == []
    assert host.run().reserve("window").wait == 60


def test_only_reservations_of_unsent_requests_are_given_back(host: Host) -> None:
    one, other = host.run(), host.run()
    assert [one.reserve("window").wait, other.reserve("window").wait] == [0, 60]
    other.give_back()
    assert host.run().reserve("window").wait == 60
    other.give_back()
    assert host.run().reserve("window").wait == 120


def test_a_reservation_that_was_not_shared_is_not_given_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PACE_LOCK_SECONDS", 0)
    run, other = host.run(), host.run()
    first = run.reserve("window")
    assert run.take(first)
    assert [first.wait, other.reserve("window").wait] == [0, 60]
    with shelf(host.folder).locked():
        assert run.reserve("window").wait == 60
        other.give_back()  # fails, without a message
    run.give_back()
    assert len(host.said) == 1
    assert host.run().reserve("window").wait == 120


@POSIX
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_files_are_private(host: Host, umask: int) -> None:
    before = os.umask(umask)
    try:
        host.run().reserve("window")
    finally:
        os.umask(before)
    at = shelf(host.folder)
    assert stat.S_IMODE(at.path.parent.stat().st_mode) == 0o700
    assert [stat.S_IMODE(each.stat().st_mode) for each in (at.path, at.lock)] == [0o600, 0o600]


def test_no_request_waits_for_the_disk(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(_descriptor: int) -> None:
        raise AssertionError("waited for the disk")

    monkeypatch.setattr(os, "fsync", sync)
    host.run().reserve("window")


def test_unused_files_are_removed_when_a_new_one_is_written(host: Host) -> None:
    old, young, new = (shelf(host.folder, access_token=token) for token in ("old", "young", "new"))
    for at in (old, young):
        host.run(at=at).reserve("window")
    now = old.path.stat().st_mtime
    for path, days in ((old.path, 8), (young.path, 6), (old.lock, 800)):
        os.utime(path, (now - days * 86_400,) * 2)
    host.run(at=young).reserve("window")
    assert old.path.exists()  # no file is removed while no new one is written
    os.utime(young.path, (now - 6 * 86_400,) * 2)
    odd = new.path.with_name("odd")
    odd.mkdir()
    os.utime(odd, (0, 0))
    host.run(at=new).reserve("window")
    assert {each.name for each in new.path.parent.iterdir()} == {young.path.name, new.path.name, "lock", "odd"}
    assert host.said == []
    assert host.run(at=young).reserve("window").wait == 120
