"""Files of days that no run reads again: deleted, changed, copied from another day, or older than the ledger."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl.archive.ledger2 import ledger_path
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.store import FIRST_LAYOUT, FORMATS, LAYOUT, UNKNOWN, day_files
from cdrctl.archive.verify import rebuild_ledger
from cdrctl.errors import ConfigurationError
from tests.archive.sync_kit import NOW, Bench, call, new_bench

DAY, OTHER, OPEN = "2026-11-08", "2026-11-09", "2026-11-11"
SINCE = datetime(2026, 11, 8, tzinfo=UTC)
SHAPES = [
    (layout, form)
    for form in FORMATS
    for layout in (FIRST_LAYOUT, LAYOUT)
    if (layout, form) != (FIRST_LAYOUT, "parquet")
]


@pytest.fixture(params=SHAPES, ids=str)
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Return an archive with two days that are settled and one that may still change."""
    layout, form = request.param
    made = new_bench(tmp_path / "archive", form, layout)
    made.records = [
        call(f"{day[-2:]}-{n}", f"{day}T{8 + n // 60:02}:{n % 60:02}:00Z")
        for day, count in ((DAY, 30), (OTHER, 5), (OPEN, 20))
        for n in range(count)
    ]
    made.now = NOW - timedelta(days=1)
    made.sync(since=SINCE)
    made.now = NOW
    made.sync()
    made.asked.clear()
    yield made
    made.ledger.close()


def ids(bench: Bench) -> list[str]:
    """Return the ids of all records in files that cdrctl wrote, by day and start."""
    from cdrctl.archive.files import load
    from cdrctl.archive.lines import columns_of, fields_of

    found: list[str] = []
    for path in day_files(bench.archive):
        file = load(bench.archive, path)
        assert file is not None, path
        found += [(fields_of(row.line, columns_of(file.header)) or {})["id"] for row in file.rows()]
    return found


def lose_the_ledger(bench: Bench) -> None:
    bench.ledger.close()
    if bench.archive.layout == FIRST_LAYOUT:
        for path in bench.archive.folder.glob("ledger.sqlite3*"):
            path.unlink()
        rebuild_ledger(bench.archive, {"acme": "test"}, bench.now)
    else:
        shutil.rmtree(bench.archive.folder / "_cdrctl")
    bench.ledger = open_ledger(bench.archive)


@pytest.mark.thin
@pytest.mark.parametrize("how", ["empty", "half"])
def test_a_settled_day_whose_file_was_changed_is_not_complete_and_is_read_again(bench: Bench, how: str) -> None:
    had = ids(bench)
    path, content = bench.path(DAY), bench.path(DAY).read_bytes()
    changed = {"empty": b"", "half": content[: len(content) // 2]}[how]
    path.write_bytes(changed)
    assert bench.states()[0] == "hole"
    outcome = bench.sync()
    assert ids(bench) == had
    assert outcome.failed == {}
    assert bench.aside(DAY).read_bytes() == changed
    assert bench.states()[0] == "complete"
    assert bench.asked[0].since == SINCE


@pytest.mark.thin
def test_records_of_a_settled_day_that_are_nowhere_any_more_are_missed(bench: Bench) -> None:
    bench.path(DAY).write_bytes(b"")
    bench.records = bench.records[3:]
    assert "3 records" in bench.sync().failed[DAY]


@pytest.mark.thin
def test_a_changed_day_that_the_provider_no_longer_has_is_named_on_every_run(bench: Bench) -> None:
    bench.call = replace(bench.call, timing=replace(bench.call.timing, retention=timedelta(days=2)))
    content = bench.path(DAY).read_bytes()
    bench.path(DAY).write_bytes(content[:-1])
    for _ in range(2):
        assert DAY in bench.sync().failed
    bench.path(DAY).write_bytes(content)
    assert bench.sync().failed == {}
    assert bench.states()[0] == "complete"


@pytest.mark.thin
def test_a_file_that_is_a_folder_is_named(bench: Bench) -> None:
    bench.path(DAY).unlink()
    bench.path(DAY).mkdir()
    assert bench.states()[0] == "hole"
    assert DAY in bench.sync().failed


@pytest.mark.thin
@pytest.mark.parametrize("ledger", ["kept", "lost"])
@pytest.mark.parametrize("to", [DAY, OPEN])
def test_a_copy_of_another_days_folder_does_not_double_its_records(bench: Bench, to: str, ledger: str) -> None:
    had = ids(bench)
    shutil.rmtree(bench.path(to).parent)
    shutil.copytree(bench.path(OTHER).parent, bench.path(to).parent)
    if ledger == "lost":
        lose_the_ledger(bench)
    bench.sync()
    assert ids(bench) == had


@pytest.mark.thin
def test_the_folder_of_another_day_is_not_written_through_a_link(bench: Bench) -> None:
    shutil.rmtree(bench.path(OPEN).parent)
    bench.path(OPEN).parent.symlink_to(bench.path(OTHER).parent.name)
    before = bench.path(OTHER).read_bytes()
    assert OPEN in bench.sync().failed
    assert bench.path(OTHER).read_bytes() == before


@pytest.mark.thin
@pytest.mark.parametrize("ledger", ["kept", "lost"])
def test_an_earlier_version_of_a_file_that_comes_back_does_not_count_as_what_was_written(
    bench: Bench, ledger: str
) -> None:
    """The first reading of a day often finds no call, and an empty file is what many mishaps leave."""
    path = bench.path(OPEN)
    earlier = path.read_bytes()
    bench.records.append(call("late", f"{OPEN}T20:00:00Z"))
    bench.sync()
    path.write_bytes(earlier)
    if ledger == "lost":
        lose_the_ledger(bench)
    bench.records.pop()
    assert "1 record" in bench.sync().failed[OPEN]


@pytest.mark.thin
@pytest.mark.parametrize("ledger", ["rebuilt", "lost"])
@pytest.mark.parametrize("day", [DAY, OPEN])
def test_a_day_that_was_deleted_stays_missing_when_the_ledger_is_made_again(
    bench: Bench, day: str, ledger: str
) -> None:
    had = ids(bench)
    bench.path(day).unlink()
    if ledger == "lost":
        lose_the_ledger(bench)
    else:
        bench.ledger.close()
        rebuild_ledger(bench.archive, {"acme": "test"}, bench.now)
        bench.ledger = open_ledger(bench.archive)
    assert "missing" in bench.states()
    assert bench.sync().missing == [day]
    assert not bench.path(day).exists()
    assert bench.sync(only_holes=True).missing == []
    assert ids(bench) == had


@pytest.mark.thin
def test_records_without_a_start_that_were_deleted_are_missed_until_that_is_accepted(bench: Bench) -> None:
    bench.records.append(call("odd", ""))
    bench.sync()
    bench.records.pop()
    bench.path(UNKNOWN).unlink()
    for _ in range(2):
        assert list(bench.sync().failed) == [UNKNOWN]
    bench.ledger.close()
    rebuild_ledger(bench.archive, {"acme": "test"}, bench.now)
    bench.ledger = open_ledger(bench.archive)
    assert bench.sync().failed == {}


@pytest.mark.thin
def test_another_zone_in_the_settings_is_refused_before_records_are_stored_twice(bench: Bench) -> None:
    had = ids(bench)
    archive = bench.archive
    bench.archive = replace(archive, settings=replace(archive.settings, zone="Asia/Tokyo"))
    with pytest.raises(ConfigurationError, match="zone"):
        bench.sync()
    bench.archive = archive
    assert ids(bench) == had


def test_a_ledger_from_before_a_restored_file_follows_the_file(tmp_path: Path) -> None:
    """A run that is killed before it writes the ledger leaves such a file, too."""
    made = new_bench(tmp_path / "archive")
    made.sync()
    path = ledger_path(made.archive, "acme", "cdrs")
    before = path.read_bytes()
    made.records.append(call("late", "2026-11-11T20:00:00Z"))
    made.sync()
    path.write_bytes(before)
    made.ledger = open_ledger(made.archive)
    made.sync(stop=lambda: True)
    filed = json.loads(path.read_bytes())["days"]["2026-11-11"]["file"]
    assert filed["records"] == 3
    assert filed["bytes"] == made.path("2026-11-11").stat().st_size
