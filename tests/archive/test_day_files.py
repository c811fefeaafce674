"""Day files that are gone, changed, unreadable or of another provider."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl.archive.fetching import Source
from cdrctl.archive.ledger import Ledger
from cdrctl.archive.store import FIRST_LAYOUT, UNKNOWN, digest, open_or_create
from cdrctl.archive.sync import sync
from cdrctl.archive.verify import differences
from cdrctl.errors import (
    ConfigurationError,
)
from cdrctl.records.events import Gap
from cdrctl.windows import Window
from tests.archive.sync_kit import CALL, NOW, Bench, bench, bench1, call

__all__ = ["bench", "bench1"]


def test_a_day_that_was_deleted_is_named_and_read_again_by_fill_only(bench: Bench) -> None:
    bench.sync()
    bench.path("2026-11-11").unlink()
    for hours in (1, 80):
        bench.now = NOW + timedelta(hours=hours)
        for how in ({}, {"shrink": True}, {"since": NOW - timedelta(days=2)}):
            outcome = bench.sync(**how)
            assert outcome.missing == ["2026-11-11"]
            assert all(one.since.day != 11 for one in bench.asked), "neither settled nor open"
        assert "2026-11-11" not in bench.kept()
        assert bench.states()[:3] == ["complete", "missing", "complete" if hours == 80 else "open"]
    assert not bench.sync(only_holes=True).missing
    assert bench.asked[0] == Window(datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC))
    assert bench.kept()["2026-11-11"] == ["a", "b"]
    assert bench.states()[1] == "complete"
    assert not bench.sync().missing


def test_a_day_whose_file_was_changed_is_read_again_completely(bench: Bench) -> None:
    bench.sync()
    with bench.path("2026-11-11").open("a") as file:
        file.write("{}\n")
    bench.now += timedelta(hours=12)
    assert [one.what for one in differences(bench.archive, bench.ledger.files())] == ["is not as cdrctl wrote it"]
    outcome = bench.sync()
    assert (outcome.new, outcome.late, outcome.changed) == (0, 0, 0), "its other lines are as they were"
    assert list(outcome.failed) == ["2026-11-11"], "the line that cannot be read may have been a record"
    assert bench.sync().failed == {}
    assert bench.asked[0].since == datetime(2026, 11, 11, tzinfo=UTC)
    assert bench.kept()["2026-11-11"] == ["a", "b"]
    assert list(differences(bench.archive, bench.ledger.files())) == []


@pytest.mark.parametrize("fault", [None, Gap("a part is missing")])
def test_a_changed_file_is_not_replaced_by_fewer_records(bench: Bench, fault: Gap | None) -> None:
    """A part of the records, or of the day, would take the place of what may be all of it."""
    bench.records.append(call("when", ""))
    bench.sync()
    for day in ("2026-11-11", UNKNOWN):
        with bench.path(day).open("a") as file:
            file.write("{}\n")
    changed = {day: bench.path(day).read_bytes() for day in ("2026-11-11", UNKNOWN)}
    if fault is None:
        bench.call = replace(CALL, timing=replace(CALL.timing, retention=timedelta(hours=20)))
    bench.records.pop()
    bench.fault = lambda _window: fault
    outcome = bench.sync()
    assert outcome.failed["2026-11-11"]
    assert bench.aside("2026-11-11").read_bytes() == changed["2026-11-11"]
    assert bench.path(UNKNOWN).read_bytes() == changed[UNKNOWN]
    assert [json.loads(line)["id"] for line in bench.path("2026-11-11").read_text().splitlines()] == ["a", "b"]


def test_a_record_without_a_start_takes_no_changed_files_place(bench: Bench) -> None:
    bench.records = [call("when", "")]
    bench.sync()
    bench.path(UNKNOWN).write_text("{}\n")
    bench.sync()
    assert bench.aside(UNKNOWN).read_text() == "{}\n"
    assert bench.kept()[UNKNOWN] == ["when"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_that_cannot_be_read_fails_its_day_alone(tmp_path: Path, *, whole: bool) -> None:
    bench = Bench(
        open_or_create(tmp_path / "archive", None, "jsonl.gz", FIRST_LAYOUT), Ledger(tmp_path / "archive", new=True)
    )
    bench.records = [call("a", "2026-11-11T08:00:00Z"), call("c", "2026-11-12T01:00Z")]
    bench.sync()
    path = bench.path("2026-11-11")
    content = path.read_bytes()
    broken = content[:10] + b"\xff" * 9 + content[19:] if whole else content[:-4]
    path.write_bytes(broken)
    index = next(path.parent.glob(".cdrs.*.index"))
    index.rename(index.with_name(f".cdrs.{digest(broken)}.index"))
    outcome = bench.sync()
    assert list(outcome.failed) == ["2026-11-11"]
    assert "cannot be read" in outcome.failed["2026-11-11"]
    assert outcome.days == 1
    bench.ledger.close()


def test_verify_counts_and_names_unreadable_files(bench1: Bench) -> None:
    bench1.sync()
    index = next(bench1.path("2026-11-11").parent.glob(".cdrs.*.index"))
    head, end, entries = index.read_bytes().partition(b"\n")
    index.write_bytes(head + end + entries[: len(entries) // 2])
    bench1.path("2026-11-12").unlink()
    bench1.path("2026-11-12").mkdir()
    found = {one.path.split("=")[1][:10]: one.what for one in differences(bench1.archive, bench1.ledger.files())}
    assert found == {
        "2026-11-11": "has 1 records, but 2 in the ledger",
        "2026-11-12": "cannot be read: Is a directory",
    }


def test_a_profile_that_changed_its_provider_does_not_get_into_the_others_files(bench: Bench) -> None:
    bench.sync()
    source = Source("acme", "other", CALL, bench.fetch, lambda _level, _text: None)
    with pytest.raises(ConfigurationError, match="records of test"):
        sync(bench.archive, bench.ledger, source, lambda: NOW)


def test_verify_names_what_differs(bench1: Bench) -> None:
    bench1.sync(since=NOW - timedelta(days=3))
    bench1.path("2026-11-11").write_text("{}\n")
    bench1.path("2026-11-10").unlink()
    next(bench1.path("2026-11-09").parent.glob(".cdrs.*.index")).unlink()
    bench1.path("2026-11-01").parent.mkdir()
    bench1.path("2026-11-01").write_text("")
    found = {one.path.split("=")[1][:10]: one.what for one in differences(bench1.archive, bench1.ledger.files())}
    assert found == {
        "2026-11-11": "is not as cdrctl wrote it",
        "2026-11-10": "is missing",
        "2026-11-09": "has lost its hidden index",
        "2026-11-01": "is not in the ledger",
    }
