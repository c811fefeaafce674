"""The ledger and the description of an archive."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from cdrctl.archive.intervals import Reading
from cdrctl.archive.layout1 import contents_of
from cdrctl.archive.ledger import KeptCall, Ledger, lock
from cdrctl.archive.ledgers import open_ledger, saved
from cdrctl.archive.store import FIRST_LAYOUT, open_archive, open_or_create
from cdrctl.archive.verify import differences, rebuild_ledger
from cdrctl.errors import (
    LockedError,
    OutputError,
    UsageError,
)
from cdrctl.windows import Window
from tests.archive.sync_kit import NOW, Bench, bench, bench1, call

__all__ = ["bench", "bench1"]


def test_the_ledger_can_be_made_again(bench1: Bench) -> None:
    bench1.sync(since=NOW - timedelta(days=3))
    before, files, kept = (
        bench1.ledger.readings("acme", "cdrs"),
        bench1.ledger.files(),
        bench1.ledger.kept(),
    )
    bench1.ledger.close()
    assert rebuild_ledger(bench1.archive, {"acme": "test"}, NOW) == []
    bench1.ledger = Ledger(bench1.archive.folder)
    assert bench1.ledger.readings("acme", "cdrs") == before
    assert bench1.ledger.files() == files
    assert bench1.ledger.kept() == kept


def test_the_ledger_files_of_a_killed_run_are_not_used(bench1: Bench) -> None:
    bench1.sync()
    kept = bench1.ledger.kept()
    bench1.ledger.close()
    half = Ledger(bench1.archive.folder, new=True, name="ledger.sqlite3.new")
    half.keep(KeptCall("ghost", "cdrs", "test", NOW))
    half.close()
    (bench1.archive.folder / "ledger.sqlite3-wal").write_bytes(b"of the old one")
    assert rebuild_ledger(bench1.archive, {"acme": "test"}, NOW) == []
    assert not (bench1.archive.folder / "ledger.sqlite3-wal").exists()
    bench1.ledger = Ledger(bench1.archive.folder)
    assert bench1.ledger.kept() == kept


def test_an_index_records_a_reading_without_new_records(bench1: Bench) -> None:
    bench1.sync()
    bench1.now += timedelta(hours=1)
    bench1.records[0]["word"] = "changed"
    bench1.sync()
    bench1.now += timedelta(hours=1)
    bench1.sync()
    for day, known in bench1.ledger.readings("acme", "cdrs").items():
        found = contents_of(bench1.path(day))
        assert found is not None
        assert found[2] == known
        assert len(list(bench1.path(day).parent.glob(".cdrs.*.index"))) == 1


def test_nothing_is_written_when_the_run_has_ended(bench: Bench) -> None:
    bench.ledger.close()
    with pytest.raises(LockedError), bench.ledger.writing():
        pass


@pytest.mark.parametrize("end", ["flush", "close", "write"])
def test_plans_are_written_with_the_next_change_or_at_the_end(bench: Bench, end: str) -> None:
    bench.sync()
    names, ledger = ("acme", "cdrs"), bench.ledger
    day = Window(NOW + timedelta(days=1), NOW + timedelta(days=2))
    ledger.plan(*names, {"2026-11-13": [Reading(day, "planned")]})
    if end == "write":
        ledger.write(*names, "2026-11-12", ledger.readings(*names)["2026-11-12"], None, NOW)
    elif end == "flush":
        with saved(ledger, *names):
            pass
    else:
        ledger.close()
    assert open_ledger(bench.archive).readings(*names)["2026-11-13"][0].state == "planned"


def test_an_archive_that_cannot_be_written_ends_the_run(bench1: Bench) -> None:
    (bench1.archive.folder / "acme").symlink_to("nowhere")
    with pytest.raises(OutputError):
        bench1.sync()
    assert len(bench1.asked) == 1


def test_a_ledger_that_was_made_again_without_the_profile_goes_on(bench1: Bench) -> None:
    bench1.sync()
    bench1.ledger.close()
    assert rebuild_ledger(bench1.archive, {}, NOW) == []
    bench1.ledger = Ledger(bench1.archive.folder)
    assert bench1.ledger.kept()[0].provider == "test"  # what the files do not tell comes from the old ledger
    bench1.sync()
    assert bench1.ledger.kept()[0].provider == "test"


def test_a_call_that_is_kept_already_begins_no_later(bench: Bench) -> None:
    for days_ago, begins in ((3, 3), (1, 3), (5, 5)):
        bench.ledger.keep(KeptCall("acme", "cdrs", "test", NOW - timedelta(days=days_ago)))
        assert bench.ledger.kept()[0].begins == NOW - timedelta(days=begins)


def test_a_line_that_the_ledger_cannot_take_leaves_it_as_it_was(bench1: Bench) -> None:
    bench1.sync()
    before = bench1.ledger.readings("acme", "cdrs")
    reading = before["2026-11-11"][0]
    with pytest.raises(OutputError, match="cannot be used"):
        bench1.ledger.write("acme", "cdrs", "2026-11-11", [reading, reading], None, NOW)
    assert bench1.ledger.readings("acme", "cdrs") == before
    bench1.ledger.write("acme", "cdrs", "2026-11-11", [reading], None, NOW)


def test_the_lock_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with lock(tmp_path), pytest.raises(LockedError), lock(tmp_path):
            pass
        assert (tmp_path / "ledger.lock").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize(("zone", "form"), [("Europe/Paris", None), (None, "csv")])
def test_zone_and_format_are_chosen_once(tmp_path: Path, zone: str | None, form: str | None) -> None:
    open_or_create(tmp_path / "archive", None, "jsonl", FIRST_LAYOUT)
    assert open_or_create(tmp_path / "archive", "UTC", "jsonl", FIRST_LAYOUT) == open_or_create(
        tmp_path / "archive", None, "jsonl", FIRST_LAYOUT
    )
    with pytest.raises(UsageError, match="the archive in"):
        open_or_create(tmp_path / "archive", zone, form, FIRST_LAYOUT)


def test_an_invalid_zone_begins_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Mars"):
        open_or_create(tmp_path / "archive", "Mars/Olympus", "jsonl", FIRST_LAYOUT)
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize(("zone", "form"), [("Mars/Olympus", "jsonl"), ("UTC", "xlsx")])
def test_an_archive_that_is_described_wrongly_is_not_opened(tmp_path: Path, zone: str, form: str) -> None:
    (tmp_path / "archive.toml").write_text(f'zone = "{zone}"\nformat = "{form}"\n')
    with pytest.raises(UsageError, match=r"Mars|xlsx"):
        open_archive(tmp_path)


def test_a_ledger_that_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    """An empty one would say that nothing was ever read."""
    with pytest.raises(OutputError, match="is missing"):
        Ledger(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_others_could_read_becomes_its_owners_alone(bench1: Bench) -> None:
    path = bench1.archive.folder / "ledger.sqlite3"
    path.chmod(0o644)
    Ledger(bench1.archive.folder).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_days_file_keeps_the_mode_that_its_owner_gave_it(bench: Bench) -> None:
    bench.sync()
    assert bench.path("2026-11-11").stat().st_mode & 0o777 == 0o600
    bench.path("2026-11-11").chmod(0o640)
    bench.records.append(call("late", "2026-11-11T07:00:00Z"))
    bench.sync()
    assert bench.kept()["2026-11-11"] == ["late", "a", "b"]
    assert bench.path("2026-11-11").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{}",
        b"[]",
        b"7",
        b"\xff",
        b'{"readings": [], "header": Infinity}',
        b'{"readings": [], "header": null}',
        b'{"readings": [], "header": "x"}',
        b'{"readings": [{}], "header": 0}',
        b'{"readings": 7, "header": 0}',
        b"[" * 200_000,
        b'{"readings": [], "header": 0}\nhalf an entry',
    ],
    ids=lambda head: ascii(head[:50]),
)
def test_a_damaged_index_counts_as_missing(bench1: Bench, head: bytes) -> None:
    bench1.sync()
    next(bench1.path("2026-11-11").parent.glob(".cdrs.*.index")).write_bytes(head + b"\n")
    assert [one.what for one in differences(bench1.archive, bench1.ledger.files())] == ["has lost its hidden index"]


def test_a_folder_with_other_files_is_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(UsageError, match="holiday"):
        open_or_create(tmp_path, None, "jsonl", FIRST_LAYOUT)
    with pytest.raises(UsageError, match="no archive"):
        open_archive(tmp_path)
