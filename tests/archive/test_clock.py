"""A run by a wrong clock: nothing to come is done, and the next nights by the right clock mend the rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl import sandbox
from cdrctl.archive.intervals import Reading, replan_future
from cdrctl.errors import ProviderError
from cdrctl.sandbox import Exchange, Sandbox
from cdrctl.windows import Window
from tests.archive.sync_kit import CALL, NOW, Bench, bench, call
from tests.support.clock import HandClock
from tests.support.products import thinned
from tests.support.runner import Shell

__all__ = ["bench"]

FIRST_NIGHT = datetime(2026, 11, 10, 2, 30, tzinfo=UTC)
FEW_CALLS = Exchange(1, volume=0.1)
SHIFTS = [timedelta(hours=1), timedelta(days=2), timedelta(days=40)]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(FIRST_NIGHT)


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock, exchange=FEW_CALLS) as running:
        yield running


def records(folder: Path) -> dict[str, Counter[str]]:
    return {
        path.parent.name: Counter(path.read_text(encoding="utf-8").splitlines())
        for path in sorted(folder.glob("*/*/date=*/cdrs.jsonl"))
    }


@pytest.mark.thin
@pytest.mark.parametrize(
    ("name", "date", "before", "shift"),
    thinned(
        ("voicenter", "webex"),
        ("on", "off"),
        ("a first run", "after a good night"),
        (*SHIFTS, *(-one for one in SHIFTS)),
        keep=2,
    ),
)
def test_the_next_nights_mend_what_a_wrong_clock_did(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    providers: Sandbox,
    clock: HandClock,
    name: str,
    shift: timedelta,
    date: str,
    before: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    right = Shell(tmp_path, clock)
    right.profile("acme", name, {**providers.credentials(name), "requests_per_minute": 0})
    providers.switch(name, "date_header", date)
    if before == "after a good night":
        right.run("sync", "acme", "--into", "archive", "-f", "jsonl").ok()
        clock.move(days=1)
    begins = (clock.time - timedelta(days=1)).date()
    if before == "a first run" and date == "off" and shift > timedelta(days=1):
        begins += timedelta(days=1)  # nothing tells when the first run was; the next one begins as a first run does
    ran = Shell(tmp_path, HandClock(clock.time + shift)).run("sync", "acme", "--into", "archive", "-f", "jsonl")
    assert ran.code in ({0} if abs(shift) < timedelta(days=1) and date == "on" else {0, 3, 7}), ran.err
    if date == "on" and shift > timedelta(days=1):
        assert ran.code == 3, "it is told that days are to come by one of the clocks"
    if date == "on" and before == "after a good night":
        done = json.loads(right.run("coverage", "--into", "archive").ok().out)
        assert {day["state"] for day in done} <= {"complete", "open"}
    for night in range(4):
        clock.move(hours=22)
        ran = right.run("sync", "acme", "--into", "archive", "-f", "jsonl")
        assert ran.code == 0 or (night == 0 and date == "off" and shift < -timedelta(days=1)), ran.err
    right.run("sync", "acme", "--into", "whole", "-f", "jsonl", "--since", begins.isoformat()).ok()
    whole = records(tmp_path / "whole")
    there = records(tmp_path / "archive")
    assert {day: there.get(day) for day in whole} == whole
    assert date == "off" or max(there) == max(whole), "no day to come has a file"


def reading(state: str, read_at: datetime | None) -> Reading:
    return Reading(Window(NOW - timedelta(hours=2), NOW - timedelta(hours=1)), state, read_at, 3)  # type: ignore[arg-type]


def test_a_reading_dated_after_now_is_neither_done_nor_settled() -> None:
    good = [reading("done", NOW), reading("done", NOW + timedelta(seconds=60)), reading("failed", NOW + SHIFTS[1])]
    assert replan_future(good, NOW) == good
    for read_at in (None, NOW + timedelta(seconds=61), NOW + SHIFTS[2]):
        (one,) = replan_future([reading("done", read_at)], NOW)
        assert (one.state, one.read_at, one.records) == ("planned", None, 0)


def test_a_ledger_with_days_to_come_is_put_right_where_the_provider_confirms_the_clock(bench: Bench) -> None:
    bench.now += timedelta(days=2)
    bench.sync()
    bench.now -= timedelta(days=2)
    assert bench.states() == [] or "complete" not in bench.states()
    bench.ahead = timedelta(seconds=3)
    bench.sync()
    late = [call("later", "2026-11-12T03:00:00Z"), call("latest", "2026-11-13T03:00:00Z")]
    bench.records += late
    bench.now += timedelta(days=9)  # nobody ran it for more than the lookback
    bench.sync()
    assert {"later", "latest"} <= {name for names in bench.kept().values() for name in names}


def test_what_the_first_answer_shows_is_planned_anew_also_where_it_was_an_error(bench: Bench) -> None:
    bench.now += timedelta(days=40)

    def fault(window: Window) -> ProviderError | None:
        bench.ahead = timedelta(days=40)
        return ProviderError("a window in the future") if window.until > NOW else None

    bench.fault = fault
    outcome = bench.sync()
    assert bench.kept() == {"2026-11-11": ["a", "b"], "2026-11-12": ["c"]}
    assert bench.ledger.kept()[0].begins == datetime(2026, 11, 11, tzinfo=UTC)
    assert outcome.days == 2
    assert outcome.failed, "forty days are over by this clock"
    assert all(
        read.read_at is None or read.read_at <= NOW
        for day in bench.ledger.readings("acme", "cdrs").values()
        for read in day
    )
    bench.now, bench.ahead, bench.fault = NOW, timedelta(0), lambda _window: None
    assert bench.sync().failed == {}


def test_a_beginning_after_now_is_not_believed(bench: Bench) -> None:
    bench.call = replace(CALL, timing=replace(CALL.timing, lookback=timedelta(hours=24)))
    bench.now += timedelta(days=40)
    bench.sync()
    bench.now -= timedelta(days=40)
    assert bench.sync().new == 3
    assert bench.kept()["2026-11-11"] == ["a", "b"]
