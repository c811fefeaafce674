"""`--status`, `--metrics` and `--ping` of sync and fill: every run is reported, however it ends."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive.ledgers import call_lock
from cdrctl.archive.store import open_archive
from cdrctl.cli import archive_run
from cdrctl.cli.run_reports import replace_file
from cdrctl.sandbox import Sandbox
from tests.cli.archive_kit import INTO, clock, configure, providers, shell
from tests.support.checks import Checks, checks
from tests.support.clock import HandClock
from tests.support.runner import Shell

__all__ = ["clock", "providers", "shell"]  # fixtures

STATUS, METRICS = ("--status", "run.json"), ("--metrics", "run.prom")


@pytest.fixture
def service() -> Iterator[Checks]:
    with checks() as running:
        yield running


@pytest.fixture
def one(shell: Shell, providers: Sandbox) -> Shell:
    """A shell with one profile, of the provider that is asked least."""
    configure(shell, providers, "voicenter")
    return shell


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_bytes())
    return found


def metric(folder: Path, name: str) -> list[float]:
    """Return the values of a metric."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    text = (folder / "run.prom").read_text()
    return [
        sample.value
        for one in parser.text_string_to_metric_families(text)
        for sample in one.samples
        if sample.name == name
    ]


def test_a_run_that_succeeds_is_reported(one: Shell, service: Checks, tmp_path: Path) -> None:
    one.run("sync", "--all", *INTO, *STATUS, *METRICS, "--ping", service.url).ok()
    found = told(tmp_path)
    [call] = found["calls"]
    assert (found["command"], found["exit_code"], found["error"]) == ("sync", 0, None)
    assert found["archive"] == str(tmp_path / "archive")
    assert (call["profile"], call["provider"], call["call"], call["exit_code"]) == ("voicenter", "voicenter", "cdrs", 0)
    assert call["days"] == found["totals"]["days"] > 0
    assert found["requests"] > 0
    assert service.paths == ["/start", ""]
    assert json.loads(service.pings[1][2])["new"] == call["new"] > 0
    assert metric(tmp_path, "cdrctl_run_exit_code") == [0]
    assert metric(tmp_path, "cdrctl_archive_last_success_timestamp_seconds") == [one.clock.time.timestamp()]
    [records] = json.loads(one.run("archive", "status", *INTO).ok().out)
    assert metric(tmp_path, "cdrctl_archive_records") == [records["records"]]


def test_a_run_that_fails_is_reported(one: Shell, providers: Sandbox, service: Checks, tmp_path: Path) -> None:
    providers.fail("voicenter", 403, times=1000)
    assert one.run("sync", "--all", *INTO, *STATUS, *METRICS, "--ping", service.url).code == 4
    found = told(tmp_path)
    assert found["exit_code"] == found["error"]["code"] == found["calls"][0]["error"]["code"] == 4
    assert found["calls"][0]["failed_days"]
    assert service.paths == ["/start", "/fail"]
    assert json.loads(service.pings[1][2])["exit_code"] == 4
    assert metric(tmp_path, "cdrctl_run_call_exit_code") == [4]
    assert metric(tmp_path, "cdrctl_archive_last_success_timestamp_seconds") == [0]


def test_the_last_success_stays_when_a_later_run_fails(
    one: Shell, providers: Sandbox, clock: HandClock, tmp_path: Path
) -> None:
    one.run("sync", "--all", *INTO, *METRICS).ok()
    success = metric(tmp_path, "cdrctl_archive_last_success_timestamp_seconds")
    clock.move(days=1)
    providers.fail("voicenter", 403, times=1000)
    assert one.run("sync", "--all", *INTO, *METRICS).code == 4
    assert metric(tmp_path, "cdrctl_run_exit_code") == [4]
    assert metric(tmp_path, "cdrctl_archive_last_success_timestamp_seconds") == success


@pytest.mark.parametrize(
    ("words", "code"), [(("sync", "nobody"), 6), (("sync", "--all", "--tz", "Mars/North"), 2), (("fill", "--all"), 2)]
)
def test_a_run_that_cannot_begin_is_reported(
    one: Shell, service: Checks, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    assert one.run(*words, *INTO, *STATUS, *METRICS, "--ping", service.url).code == code
    assert told(tmp_path)["exit_code"] == told(tmp_path)["error"]["code"] == code
    assert service.paths == ["/start", "/fail"]
    assert metric(tmp_path, "cdrctl_run_exit_code") == [code]


def test_a_call_that_another_run_holds_has_that_exit_code(one: Shell, tmp_path: Path) -> None:
    one.run("sync", "--all", *INTO).ok()
    with call_lock(open_archive(tmp_path / "archive"), "voicenter", "cdrs"):
        assert one.run("sync", "--all", *INTO, *STATUS).code == 11
    assert told(tmp_path)["exit_code"] == 11
    assert [call["exit_code"] for call in told(tmp_path)["calls"]] == [11]


def test_a_call_that_the_run_did_not_come_to_has_the_exit_code_of_the_run(one: Shell, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "mine.txt").touch()
    assert one.run("sync", "--all", *INTO, *STATUS).code == 2
    assert [call["exit_code"] for call in told(tmp_path)["calls"]] == [2]
    assert told(tmp_path)["calls"][0]["error"] is None


def test_a_profile_that_cannot_be_read_is_reported(one: Shell, providers: Sandbox, tmp_path: Path) -> None:
    one.config.write_text(one.config.read_text() + '[profiles.broken]\nprovider = "nobody"\n')
    assert one.run("sync", "--all", *INTO, *STATUS).code == 6
    assert {(call["profile"], call["exit_code"]) for call in told(tmp_path)["calls"]} == {
        ("broken", 6),
        ("voicenter", 0),
    }


def test_an_interrupted_run_is_reported(
    one: Shell, service: Checks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(archive_run, "_sync_in_parallel", interrupt)
    assert one.run("sync", "--all", *INTO, *STATUS, *METRICS, "--ping", service.url).code == 130
    assert told(tmp_path)["exit_code"] == 130
    assert told(tmp_path)["calls"][0]["exit_code"] == 130
    assert service.paths == ["/start", "/fail"]
    assert metric(tmp_path, "cdrctl_run_exit_code") == [130]


def test_no_secret_is_reported(one: Shell, providers: Sandbox, service: Checks, tmp_path: Path) -> None:
    code = str(providers.credentials("voicenter")["code"])
    providers.fail("voicenter", 500, times=1000, body=f"your code {code} is out of order".encode())
    one.run("sync", "--all", *INTO, *STATUS, *METRICS, "--ping", service.url)
    written = (tmp_path / "run.json").read_text() + (tmp_path / "run.prom").read_text() + repr(service.pings)
    assert code not in written
    assert service.url not in (tmp_path / "run.json").read_text()


def test_a_ping_that_fails_is_one_warning_and_changes_nothing(one: Shell, service: Checks) -> None:
    service.status = 500
    ran = one.run("sync", "--all", *INTO, "--ping", service.url).ok()
    assert ran.err.count("warning: the ping") == 1
    assert "0b5e7c2d" not in ran.err
    assert service.paths == ["/start", ""]
    assert one.run("sync", "--all", *INTO, "--ping", service.url, "-q").ok().err == ""


def test_a_ping_in_clear_is_refused_before_anything_is_sent(one: Shell, providers: Sandbox) -> None:
    before = len(providers.requests)
    ran = one.run("sync", "--all", *INTO, "--ping", "http://hc-ping.com/0b5e7c2d")
    assert ran.code == 2
    assert "0b5e7c2d" not in ran.err
    assert len(providers.requests) == before


def test_the_options_may_come_from_the_environment(one: Shell, service: Checks, tmp_path: Path) -> None:
    environ = {"CDRCTL_STATUS": "run.json", "CDRCTL_METRICS": "run.prom", "CDRCTL_PING": service.url}
    one.run("sync", "--all", *INTO, **environ).ok()
    one.run("fill", "--all", *INTO, **environ).ok()
    assert told(tmp_path)["command"] == "fill"
    assert (tmp_path / "run.prom").exists()
    assert service.paths == ["/start", "", "/start", ""]


def test_a_file_that_cannot_be_written_is_an_error_after_the_records(
    one: Shell, service: Checks, tmp_path: Path
) -> None:
    ran = one.run("sync", "--all", *INTO, *STATUS, "--metrics", "none/run.prom", "--ping", service.url)
    assert ran.code == 8
    assert "none/run.prom" in ran.err
    assert told(tmp_path)["exit_code"] == 8
    assert told(tmp_path)["calls"][0]["exit_code"] == 0
    assert service.paths == ["/start", "/fail"]
    assert json.loads(one.run("archive", "status", *INTO).ok().out)[0]["records"] > 0


def test_metrics_are_readable_by_the_collector_whatever_the_umask(one: Shell, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        one.run("sync", "--all", *INTO, *STATUS, *METRICS).ok()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run.prom").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600


def test_a_file_is_replaced_at_once_and_keeps_its_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.prom"
    path.write_text("old")
    path.chmod(0o640)
    replace_file(str(path), b"new", None)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o640)

    def full(*_: object) -> None:
        assert [one.suffix for one in tmp_path.iterdir() if one != path] == [".new"], "collectors read *.prom"
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        replace_file(str(path), b"newer", None)
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_stays_and_a_device_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    replace_file(str(tmp_path / "link"), b"text", 0o644)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "text"
    replace_file("/dev/null", b"text", 0o644)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_file_that_a_killed_run_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    """Another run may be writing a newer one, and one of another file."""
    old, new, other = (
        tmp_path / name for name in (".run.prom.abcdefgh.new", ".run.prom.ijklmnop.new", ".run.abcdefgh.new")
    )
    for path in (old, new, other):
        path.write_text("half")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    replace_file(str(tmp_path / "run.prom"), b"whole", None)
    assert sorted(tmp_path.iterdir()) == sorted([new, other, tmp_path / "run.prom"])
