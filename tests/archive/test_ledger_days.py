"""The ledgers of calls: days that were not changed are written as they were read, and odd ones are read, too."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl.archive.calendar import DayCoverage
from cdrctl.archive.intervals import Reading, is_settled
from cdrctl.archive.ledger2 import JsonLedger, ledger_path, read_ledger, write_ledger
from cdrctl.archive.ledger_days import CallLedger, file_entry
from cdrctl.archive.store import NOT_A_FILE, Archive, open_or_create, size_of
from cdrctl.cli.calendar import coverage_line, plain_coverage
from cdrctl.errors import OutputError
from cdrctl.windows import Window
from tests.support.products import for_each

DAY = Window(datetime(2026, 11, 9, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC))
DONE = Reading(DAY, "done", datetime(2026, 11, 12, 5, tzinfo=UTC), 3)
NAMES = ("acme", "cdrs", "2026-11-09")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Return an archive whose ledger has two days."""
    made = open_or_create(tmp_path, "UTC", "jsonl")
    other = [replace(DONE, window=Window(DAY.until, DAY.until + timedelta(days=1)), error="it said \N{SNOWMAN} \ud800")]
    files = {"2026-11-09": file_entry(made, NAMES, "ab" * 32, 3, 100)}
    write_ledger(
        made, "acme", "cdrs", CallLedger("webex", DAY.since, {"2026-11-09": [DONE], "2026-11-10": other}, files)
    )
    return made


def test_a_ledger_comes_back_as_it_was_written(archive: Archive) -> None:
    found = read_ledger(archive, "acme", "cdrs")
    assert found is not None
    assert found.readings["2026-11-09"] == [DONE]
    assert found.readings["2026-11-10"][0].error == "it said \N{SNOWMAN} \ud800"  # a lone surrogate, as in JSON
    assert found.files["2026-11-09"] == file_entry(archive, NAMES, "ab" * 32, 3, 100)


def test_only_the_day_that_changes_is_written_anew(archive: Archive) -> None:
    path = ledger_path(archive, "acme", "cdrs")
    spaced = path.read_text().replace("\\ud800", "").replace('"sha256":', '"sha256"  :')
    path.write_text(spaced)
    JsonLedger(archive).write("acme", "cdrs", "2026-11-10", [], None, DAY.until)
    assert '"sha256"  :' in path.read_text()
    again = read_ledger(archive, "acme", "cdrs")
    assert again is not None
    assert (again.readings["2026-11-09"], again.readings["2026-11-10"]) == ([DONE], [])
    JsonLedger(archive).write("acme", "cdrs", "2026-11-09", [DONE, DONE], None, DAY.until)
    assert '"sha256"  :' not in path.read_text()
    assert path.read_text().count('"sha256":') == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("records", -1),
        ("records", 1.5),
        ("records", 2**63),
        ("read_at", "2026-11-12T05:00:00"),
        ("read_at", "1626-11-12T05:00:00Z"),
        ("since", "1626-11-12T05:00:00Z"),
        ("state", "read"),
        ("error", None),
    ],
)
def test_a_damaged_reading_is_no_reading(archive: Archive, name: str, value: object) -> None:
    path = ledger_path(archive, "acme", "cdrs")
    plain = json.loads(path.read_bytes())
    plain["days"]["2026-11-09"]["readings"][0][name] = value
    path.write_text(json.dumps(plain))
    with pytest.raises(OutputError):
        read_ledger(archive, "acme", "cdrs")


def test_an_instant_with_another_offset_is_the_same_instant(archive: Archive) -> None:
    path = ledger_path(archive, "acme", "cdrs")
    path.write_text(path.read_text().replace('"2026-11-12T05:00:00.000Z"', '"2026-11-12T06:00:00+01:00"'))
    found = read_ledger(archive, "acme", "cdrs")
    assert found is not None
    assert found.readings["2026-11-09"][0].read_at == DONE.read_at


@for_each(
    "change, expected",
    [
        ({}, True),
        ({"state": "failed"}, False),
        ({"read_at": None}, False),
        ({"read_at": DAY.until + timedelta(hours=47)}, False),  # its records may still change
        ({"read_at": DAY.until + timedelta(days=9)}, False),  # dated in the future
        ({"window": Window(DAY.since, DAY.until - timedelta(seconds=1))}, False),
        ({"window": Window(DAY.since + timedelta(seconds=1), DAY.until)}, False),
    ],
)
def test_a_day_is_settled_by_one_reading_of_all_of_it(change: dict[str, object], *, expected: bool) -> None:
    latest = DAY.until + timedelta(days=5)
    assert is_settled([replace(DONE, **change)], DAY, timedelta(hours=48), latest) is expected
    assert not is_settled([DONE, DONE], DAY, timedelta(hours=48), latest)


@for_each(
    "day",
    [
        DayCoverage("2026-11-09", "complete", 3, (), ""),
        DayCoverage("2026-11-09", "hole", 0, (DAY,), 'it said "no"'),
        DayCoverage("2026-11-09", "complete", 3, (), "", erased=2),
    ],
)
def test_a_line_of_coverage_is_the_json_of_its_values(day: DayCoverage) -> None:
    about = {"profile": 'a"b', "call": "cdrs"}
    assert coverage_line(json.dumps(about), day) == json.dumps({**about, **plain_coverage(day)})


def test_a_file_that_may_be_there_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"four")
    assert size_of(str(tmp_path / "there")) == len(b"four")
    assert size_of(str(tmp_path / "gone")) is None
    assert size_of(str(tmp_path)) == NOT_A_FILE
    assert size_of(str(tmp_path / ("x" * 300))) == NOT_A_FILE, "the system cannot tell"


def test_a_day_with_another_file_is_written_anew(archive: Archive) -> None:
    found = read_ledger(archive, "acme", "cdrs")
    assert found is not None
    before = found.day_text("2026-11-09")
    found.files["2026-11-09"] = file_entry(archive, NAMES, "cd" * 32, 4, 100)
    assert found.day_text("2026-11-09") == before.replace(b"ab" * 32, b"cd" * 32).replace(
        b'"records":3,"bytes"', b'"records":4,"bytes"'
    )
