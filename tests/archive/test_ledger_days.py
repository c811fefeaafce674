"""The ledgers of calls: days that nobody changes stay as they are and cost little, and odd ones are read, too."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from msgspec.structs import replace

from cdrctl.archive.calendar import DayCoverage
from cdrctl.archive.intervals import Reading, is_settled
from cdrctl.archive.ledger2 import JsonLedger, ledger_path, read_ledger, write_ledger
from cdrctl.archive.ledger_days import CallLedger, file_entry
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.store import NOT_A_FILE, Archive, open_or_create, size_of
from cdrctl.cli.calendar import coverage_line, plain_coverage
from cdrctl.errors import OutputError
from cdrctl.windows import Window
from tests.archive.sync_kit import new_bench
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


def test_days_that_nobody_changes_stay_as_they_are(archive: Archive) -> None:
    path, changed = ledger_path(archive, "acme", "cdrs"), "2026-11-08"
    first = json.loads(path.read_bytes())["days"]
    part = Window(DAY.since - timedelta(days=1), DAY.since)
    JsonLedger(archive).write("acme", "cdrs", changed, [replace(DONE, window=part)], None, DAY.until)
    then = json.loads(path.read_bytes())["days"]
    assert list(then) == [changed, *first]
    assert [json.dumps(then[day], sort_keys=True) for day in first] == [
        json.dumps(one, sort_keys=True) for one in first.values()
    ]
    again = read_ledger(archive, "acme", "cdrs")
    assert again is not None
    assert again.readings["2026-11-09"] == [DONE]
    assert again.readings[changed] == [replace(DONE, window=part)]


def test_a_day_of_the_past_costs_a_night_little(tmp_path: Path) -> None:
    number = itertools.count()

    def calls_of_a_night(days: int) -> int:
        bench, counted = new_bench(tmp_path / f"{days}{next(number)}"), 0
        bench.sync(since=bench.now - timedelta(days=days))
        bench.ledger.close()
        bench.ledger = open_ledger(bench.archive)

        def count(frame: FrameType, event: str, _value: object) -> None:
            nonlocal counted
            counted += event == "call" and "/cdrctl/" in frame.f_code.co_filename.replace("\\", "/")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            bench.sync()
        finally:
            sys.setprofile(before)
        bench.ledger.close()
        return counted

    few, many = 2, 10
    calls_of_a_night(many)  # days stay parsed for all calls
    each = (calls_of_a_night(many) - calls_of_a_night(few)) / (many - few)
    assert each < 3


@pytest.mark.parametrize(
    "change",
    [
        lambda day: day["readings"][0].update(until="2026-11-09T23:00:00.000Z"),
        lambda day: day["readings"][0].update(since="2026-11-09T01:00:00.000Z"),
        lambda day: day["readings"][0].update(state="planned", read_at=None),
        lambda day: day["readings"][0].update(read_at="2026-11-10T05:00:00Z"),
        lambda day: day["readings"][0].update(read_at="2026-12-12T05:00:00Z"),
        lambda day: day["readings"][0].update(options='{"other":1}'),
        lambda day: day["readings"][0].update(error="no longer at the provider, and kept: 1 record"),
        lambda day: day["readings"].append(day["readings"][0]),
        lambda day: day["readings"].clear(),
    ],
)
def test_only_a_day_that_one_reading_shows_as_final_is_final(
    archive: Archive, change: Callable[[dict[str, Any]], None]
) -> None:
    def final() -> frozenset[str]:
        found = read_ledger(archive, "acme", "cdrs")
        assert found is not None
        return found.whole(archive).final(
            timedelta(hours=48), DAY.until + timedelta(days=5), lambda options: not options
        )

    with changed_ledger(archive):
        pass
    assert final() == {"2026-11-09"}
    with changed_ledger(archive) as days:
        change(days["2026-11-09"])
    assert final() == frozenset()


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
    for keep_odd in (True, False):
        with changed_ledger(archive, keep_odd=keep_odd) as days:
            days["2026-11-09"]["readings"][0][name] = value
        with pytest.raises(OutputError):
            read_ledger(archive, "acme", "cdrs")


@contextmanager
def changed_ledger(archive: Archive, *, keep_odd: bool = False) -> Iterator[dict[str, Any]]:
    """Let the caller change the days of the ledger.

    Args:
        archive: The archive.
        keep_odd: Keep the day with a lone surrogate, because of which all days are parsed.
    """
    path = ledger_path(archive, "acme", "cdrs")
    plain = json.loads(path.read_bytes())
    if not keep_odd:
        plain["days"].pop("2026-11-10", None)
    yield plain["days"]
    path.write_text(json.dumps(plain))


@pytest.mark.parametrize("keep_odd", [True, False])
@pytest.mark.parametrize(("sha256", "name"), [("ab\0", "2026-11-09"), ("ab" * 32, "../9"), ("ab" * 32, "a/b")])
def test_a_file_in_a_ledger_cannot_lead_elsewhere(archive: Archive, sha256: str, name: str, *, keep_odd: bool) -> None:
    with changed_ledger(archive, keep_odd=keep_odd) as days:
        days[name] = days.pop("2026-11-09")
        days[name]["file"]["sha256"] = sha256
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


def test_days_that_are_not_parsed_count_as_days_of_the_zone(tmp_path: Path) -> None:
    """Three days are not of the zone: few of all days, and most of those that are parsed."""
    bench = new_bench(tmp_path)
    bench.sync(since=bench.now - timedelta(days=8))
    with changed_ledger(bench.archive) as days:
        for day in ("2026-11-05", "2026-11-06", "2026-11-07"):
            (one,) = days[day]["readings"]
            one["since"] = one["since"].replace("T00:00", "T00:30")
            one["until"] = one["until"].replace("T00:00", "T00:30")
    assert bench.sync().failed == {}
