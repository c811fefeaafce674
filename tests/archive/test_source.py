"""What an archive has of a window, in the order of calls, and what it does not have: never silently short."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from cdrctl.archive.source import ArchivedCalls, archived_events, recent_note
from cdrctl.archive.store import UNKNOWN
from cdrctl.errors import TemporaryError
from cdrctl.export.rows import Tally, rows
from cdrctl.records.events import Gap
from cdrctl.records.schemas import native
from cdrctl.windows import Window, rfc3339
from tests.archive.sync_kit import NOW, Bench, bench, call

__all__ = ["bench"]

DAY = timedelta(days=1)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


class Read(NamedTuple):
    """An export from an archive: ids in order, gaps, warnings, and whether later calls may be missing."""

    ids: list[str]
    gaps: list[Gap]
    warnings: list[str]
    noted: datetime | None


def read(made: Bench, since: datetime, until: datetime, limit: int | None = None) -> Read:
    kept = made.ledger.kept()
    source = ArchivedCalls(made.archive, made.ledger, kept).read(kept[0], made.call)
    window, tally, said = Window(since, until), Tally(), list[tuple[str, str]]()
    events = archived_events(source, window, made.now, "cdrctl sync acme --into archive")
    found = source.records
    schema = native(found.columns, ("id",), lambda _text: None)
    pages = rows(events, found, schema, window, tally, lambda *both: said.append(both), limit)
    ids = [str(next(iter(row))) for page in pages for row in page]
    note = recent_note(source, window, made.now)
    warnings = [text for level, text in said if level == "warning" and not text.startswith("incomplete")]
    return Read(ids, tally.gaps, warnings, note[0] if note else None)


def test_records_come_in_the_order_of_their_calls_cut_at_their_start(bench: Bench) -> None:
    bench.records = [call("late", "2026-11-11T20:00:00Z"), *bench.records, call("early", "2026-11-11T07:00:00Z")]
    bench.sync(since=at(11))
    assert read(bench, at(11), at(12)).ids == ["early", "a", "b", "late"]
    whole = read(bench, at(11, 8), at(12, 2))
    assert whole.ids == ["a", "b", "late", "c"]
    assert whole.gaps == []
    assert read(bench, at(11, 8), at(11, 9)).ids == ["a"]
    assert read(bench, at(11, 9), at(11, 20)).ids == ["b"]


def test_a_window_before_the_archive_is_a_gap_with_the_command_that_reads_it(bench: Bench) -> None:
    bench.sync(since=at(11))
    found = read(bench, at(9, 12), at(11, 9))
    assert found.ids == ["a"]
    assert len(found.gaps) == 1
    assert found.gaps[0].hint is not None
    assert "cdrctl sync acme --into archive --since 2026-11-09" in found.gaps[0].hint
    assert len(read(bench, at(1), at(2)).gaps) == 1


def test_days_that_were_never_read_are_one_gap(bench: Bench) -> None:
    bench.sync(since=at(8))
    bench.now = at(18, 2, 30)
    bench.records.append(call("d", "2026-11-18T01:00:00Z"))
    bench.sync()
    bench.now = at(24, 2, 30)
    found = read(bench, at(8), at(21))
    assert found.ids == ["a", "b", "c", "d"]
    assert len(found.gaps) == 1
    assert f"{rfc3339(at(18, 2, 25))} to {rfc3339(at(21))}" in found.gaps[0].what
    assert found.gaps[0].hint == "read them with: cdrctl sync acme --into archive"


def test_a_day_that_failed_or_was_only_planned_is_a_gap_and_the_days_around_it_come(bench: Bench) -> None:
    bench.records = [call(str(day), f"2026-11-{day:02}T08:00:00Z") for day in (8, 9, 10, 11)]
    bench.fault = lambda window: TemporaryError("it is down") if window.since == at(9) else None
    bench.sync(since=at(8))
    found = read(bench, at(8), at(12))
    assert found.ids == ["8", "10", "11"]
    assert len(found.gaps) == 1
    assert f"{rfc3339(at(9))} to {rfc3339(at(10))}: it is down" in found.gaps[0].what


def test_the_records_of_a_day_that_was_read_in_part_come_with_the_gap(bench: Bench) -> None:
    bench.fault = lambda window: Gap("a page could not be read") if window.since == at(11) else None
    bench.sync(since=at(11))
    found = read(bench, at(11), at(12))
    assert found.ids == ["a", "b"]
    assert len(found.gaps) == 1


def test_a_window_up_to_now_notes_where_the_archive_ends(bench: Bench) -> None:
    bench.sync(since=at(11))
    bench.now = NOW + timedelta(hours=11)
    found = read(bench, at(11), bench.now)
    assert found.ids == ["a", "b", "c"]
    assert found.gaps == []
    assert found.noted == at(12, 2, 25)
    assert read(bench, at(11), bench.now + 3 * DAY).gaps == []


def test_a_window_that_ended_after_the_last_reading_has_a_gap(bench: Bench) -> None:
    bench.sync(since=at(11))
    bench.now = NOW + timedelta(hours=11)
    found = read(bench, at(11), at(12, 10))
    assert len(found.gaps) == 1
    assert f"{rfc3339(at(12, 2, 25))} to {rfc3339(at(12, 10))}" in found.gaps[0].what


def test_an_archive_that_is_no_longer_updated_has_a_gap_up_to_what_may_still_change(bench: Bench) -> None:
    bench.sync(since=at(11))
    bench.now = NOW + 5 * DAY
    found = read(bench, at(11), bench.now)
    assert found.ids == ["a", "b", "c"]
    assert len(found.gaps) == 1
    assert f"{rfc3339(at(12, 2, 25))} to {rfc3339(bench.now - DAY)}" in found.gaps[0].what


def test_what_was_read_so_early_that_it_may_change_is_noted_until_it_is_read_again(bench: Bench) -> None:
    bench.sync(since=at(8))
    assert read(bench, at(8), at(11)).noted is None
    assert read(bench, at(8), at(12)).noted == at(11, 2, 30)
    bench.now = NOW + 2 * DAY
    bench.sync()
    assert read(bench, at(8), at(12)).noted is None


def test_a_reading_of_a_clock_that_was_ahead_is_a_gap(bench: Bench) -> None:
    bench.now = NOW + 3 * DAY
    bench.sync(since=at(11))
    bench.now = NOW
    assert len(read(bench, at(11), at(12)).gaps) == 1


def test_records_that_are_gone_at_the_provider_come(bench: Bench) -> None:
    bench.sync(since=at(11))
    del bench.records[0]
    bench.sync()
    found = read(bench, at(11), at(12))
    assert found.ids == ["a", "b"]
    assert found.gaps == []


def test_records_whose_start_is_unknown_are_in_every_export_with_a_warning(bench: Bench) -> None:
    bench.records.append(call("odd", ""))
    bench.sync(since=at(8))
    for since, until, ids in ((at(11), at(12), ["a", "b", "odd"]), (at(8), at(9), ["odd"])):
        found = read(bench, since, until)
        assert found.ids == ids
        assert len(found.warnings) == 1
        assert found.gaps == []


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"word":null', b'"word":"x"'))


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [remove, cut, edit, replace_by_a_folder])
def test_a_damaged_file_is_a_gap_and_the_other_days_come(bench: Bench, damage: Callable[[Path], None]) -> None:
    bench.sync(since=at(10))
    damage(bench.path("2026-11-11"))
    found = read(bench, at(10), at(12, 2))
    assert found.ids == ["c"]
    assert len(found.gaps) == 1
    assert str(bench.path("2026-11-11")) in found.gaps[0].what


@pytest.mark.parametrize("damage", [remove, cut])
def test_damage_to_the_file_of_unknown_starts_is_a_gap(bench: Bench, damage: Callable[[Path], None]) -> None:
    bench.records.append(call("odd", ""))
    bench.sync(since=at(11))
    damage(bench.path(UNKNOWN))
    assert len(read(bench, at(11), at(12)).gaps) == 1


def test_a_file_that_the_ledger_does_not_know_yet_tells_itself_what_was_read(bench: Bench) -> None:
    bench.sync(since=at(11))
    (entry,) = [one for one in bench.ledger.files() if one.day == "2026-11-11"]
    planned = [one for one in bench.ledger.readings("acme", "cdrs")["2026-11-11"] if one.state != "done"]
    bench.ledger.write("acme", "cdrs", "2026-11-11", planned, entry._replace(sha256="0" * 64), NOW)
    found = read(bench, at(11), at(12))
    assert (found.ids, found.gaps) == (["a", "b"], [])


def test_an_older_file_from_a_backup_does_not_have_what_the_ledger_has(bench: Bench, tmp_path: Path) -> None:
    bench.sync(since=at(11))
    folder, backup = bench.path("2026-11-12").parent, tmp_path / "backup"
    shutil.copytree(folder, backup)
    bench.now = NOW + DAY
    bench.records.append(call("d", "2026-11-12T10:00:00Z"))
    bench.sync()
    assert read(bench, at(12), at(13)).gaps == []
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    found = read(bench, at(12), at(13))
    assert found.ids == ["c"]
    assert f"{rfc3339(at(12, 2, 25))} to {rfc3339(at(13))}" in found.gaps[0].what


def test_a_limit_reads_no_further_day(bench: Bench) -> None:
    bench.records = [call(str(day), f"2026-11-{day:02}T08:00:00Z") for day in (8, 9, 10, 11)]
    bench.sync(since=at(8))
    bench.path("2026-11-10").unlink()
    found = read(bench, at(8), at(12), limit=2)
    assert found.ids == ["8", "9"]
    assert found.gaps == []


def test_a_gap_before_the_first_record_is_reported_in_spite_of_a_limit(bench: Bench) -> None:
    bench.records = [call(str(day), f"2026-11-{day:02}T08:00:00Z") for day in (8, 9, 10, 11)]
    bench.sync(since=at(8))
    bench.path("2026-11-08").unlink()
    found = read(bench, at(8), at(12), limit=1)
    assert found.ids == ["9"]
    assert len(found.gaps) == 1


def test_windows_tile(bench: Bench) -> None:
    bench.records = [call(f"{hour}", f"2026-11-11T{hour:02}:00:00.5Z") for hour in range(24)]
    bench.sync(since=at(11))
    for hour in range(1, 24):
        cut_at = at(11, hour) + timedelta(milliseconds=500)
        both = read(bench, at(11), cut_at).ids + read(bench, cut_at, at(12)).ids
        assert both == [f"{one}" for one in range(24)]
