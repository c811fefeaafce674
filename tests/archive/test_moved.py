"""A record whose start the provider corrects is in the archive once: on the day on which it is now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl.archive.store import FORMATS, UNKNOWN
from cdrctl.windows import Window
from tests.archive.sync_kit import CALL, Bench, call, new_bench
from tests.support.products import for_each

ALIKE = replace(CALL, alike=("start_time", "word"))


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Bench]:
    bench = new_bench(tmp_path / "archive")
    bench.call = ALIKE
    yield bench
    bench.ledger.close()


def test_a_record_of_a_later_day_now_is_stored_once(moving: Bench) -> None:
    """The old day is read before the new one has the record, and so it is read once more."""
    moving.sync()
    moving.records[0] = call("a", "2026-11-12T00:30:00Z")
    outcome = moving.sync()
    assert moving.kept() == {"2026-11-11": ["b"], "2026-11-12": ["a", "c"]}
    assert (outcome.gone, outcome.gone_on, outcome.failed, outcome.late, outcome.days) == (0, {}, {}, 1, 2)
    assert not [line for line in moving.said if line.startswith("warning")]
    assert moving.states()[-2:] == ["open", "open"]
    assert [window.since.day for window in moving.asked] == [11, 12, 11]


def test_a_record_of_an_earlier_day_now_is_stored_once(moving: Bench) -> None:
    moving.sync()
    moving.records[2] = call("c", "2026-11-11T23:00:00Z")
    outcome = moving.sync()
    assert moving.kept() == {"2026-11-11": ["a", "b", "c"], "2026-11-12": []}
    assert (outcome.gone, outcome.failed, len(moving.asked)) == (0, {}, 2)


def test_other_parties_under_the_same_id_stay(moving: Bench) -> None:
    moving.sync()
    moving.records[0] = call("a", "2026-11-12T00:30:00Z", "somebody else")
    outcome = moving.sync()
    assert moving.kept() == {"2026-11-11": ["a", "b"], "2026-11-12": ["a", "c"]}
    assert (outcome.gone_on, len(moving.asked)) == ({"2026-11-11": 1}, 2)


def test_what_another_day_keeps_as_gone_does_not_count(moving: Bench) -> None:
    """Both days keep it as gone: it leaves neither."""
    moving.sync()
    moving.records[0] = call("a", "2026-11-12T00:30:00Z", "somebody else")
    moving.sync()
    del moving.records[0]
    moving.sync()
    moving.call = replace(CALL, alike=("start_time",))
    moving.sync()
    assert moving.kept() == {"2026-11-11": ["a", "b"], "2026-11-12": ["a", "c"]}


def test_a_mark_of_an_earlier_night_goes_with_the_record(moving: Bench) -> None:
    """The night on which the record was on neither day kept it as gone; the next one finds it on its new day."""
    moving.sync()
    first = moving.records.pop(0)
    assert moving.sync().gone_on == {"2026-11-11": 1}
    moving.records.append({**first, "at": "2026-11-12T00:30:00Z"})
    moving.now += timedelta(days=1)
    assert moving.sync().gone_on == {}
    assert moving.kept()["2026-11-11"] == ["b"]


@for_each("form", FORMATS)
def test_in_every_format(tmp_path: Path, form: str) -> None:
    bench = new_bench(tmp_path / "archive", form)
    bench.call = ALIKE
    bench.sync()
    bench.records[0] = call("a", "2026-11-12T00:30:00Z")
    bench.sync()
    assert [(one.day, one.records) for one in bench.ledger.files() if one.records] == [
        ("2026-11-11", 1),
        ("2026-11-12", 2),
    ]
    bench.ledger.close()


def test_in_the_first_layout(tmp_path: Path) -> None:
    bench = new_bench(tmp_path / "archive", layout=1)
    bench.call = ALIKE
    bench.sync()
    bench.records[0] = call("a", "2026-11-12T00:30:00Z")
    bench.sync()
    assert bench.kept() == {"2026-11-11": ["b"], "2026-11-12": ["a", "c"]}
    bench.ledger.close()


def test_an_old_day_that_cannot_be_stored_again_is_said(moving: Bench) -> None:
    """The second reading of the old day has a record without a start, whose file cannot be read."""

    def fault(_window: Window) -> None:
        if len(moving.asked) > 2:
            moving.records.append(call("odd", ""))
            moving.path(UNKNOWN).mkdir(parents=True, exist_ok=True)

    moving.sync()
    moving.records[0] = call("a", "2026-11-12T00:30:00Z")
    moving.fault = fault
    outcome = moving.sync()
    assert [window.since.day for window in moving.asked] == [11, 12, 11]
    assert outcome.failed.keys() == {"2026-11-11"}
    assert (outcome.gone, outcome.gone_on) == (1, {"2026-11-11": 1})
    moving.path(UNKNOWN).rmdir()
    assert moving.kept() == {"2026-11-11": ["a", "b"], "2026-11-12": ["a", "c"]}
