"""Tests of sweeps, which read settled days again, and of how late records came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl.archive import convert as converting, erase as erasing
from cdrctl.archive.lateness import Lateness, distribution
from cdrctl.archive.ledger import SweepState
from cdrctl.archive.ledger2 import JsonLedger, ledger_path, read_ledger, write_ledger
from cdrctl.archive.ledger_days import CallLedger
from cdrctl.archive.settings import SweepPolicy
from cdrctl.archive.status import archived_calls, call_status
from cdrctl.archive.store import FORMATS, LAYOUT, open_archive, open_or_create
from cdrctl.archive.sweeping import sweep_due
from cdrctl.archive.verify import rebuild_ledger
from cdrctl.errors import OutputError, TemporaryError
from cdrctl.records.events import Gap
from cdrctl.windows import Window
from tests.archive.sync_kit import CALL, NOW, Bench, bench, bench1, call, new_bench
from tests.support.products import for_each

__all__ = ["bench", "bench1"]

WEEK = timedelta(days=7)
POLICY = SweepPolicy(7)
OLD = "2026-11-05"
"""A day that is settled after `settle`."""


@pytest.fixture
def bench2(tmp_path: Path) -> Iterator[Bench]:
    made = new_bench(tmp_path / "archive")
    yield made
    made.ledger.close()


def settle(bench: Bench, since: datetime = datetime(2026, 11, 4, tzinfo=UTC)) -> None:
    """Read all days since an instant an hour ago, so that those before the lookback are settled."""
    bench.now -= timedelta(hours=1)
    bench.sync(since=since)
    bench.now += timedelta(hours=1)


def with_policy(bench: Bench, policy: SweepPolicy | None = POLICY) -> None:
    bench.archive = replace(bench.archive, settings=replace(bench.archive.settings, sweep=policy))
    bench.ledger = JsonLedger(bench.archive) if bench.archive.layout == LAYOUT else bench.ledger


def days_asked(bench: Bench) -> list[str]:
    return [f"{one.since:%m-%d}" for one in bench.asked]


def late(bench: Bench, day: str = OLD) -> Lateness | None:
    """Return the lateness of a day, of which ledger and file say the same."""
    found = bench.ledger.lateness("acme", "cdrs").get(day)
    bench.ledger = JsonLedger(bench.archive)
    ledger_path(bench.archive, "acme", "cdrs").unlink(missing_ok=True)
    assert bench.ledger.lateness("acme", "cdrs").get(day) == found
    return found


def test_a_sweep_reads_settled_days_again_once(bench: Bench) -> None:
    settle(bench)
    bench.sync()
    assert days_asked(bench) == ["11-11", "11-12"]
    bench.sync(sweep=WEEK)
    assert days_asked(bench)[2:] == [f"11-{day:02}" for day in range(4, 11)]
    assert bench.asked[0] == Window(datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC))
    bench.sync()
    assert days_asked(bench) == ["11-11", "11-12"]


def test_a_record_later_than_the_lookback_is_merged_and_counted(bench: Bench) -> None:
    settle(bench)
    bench.records += [call("late", f"{OLD}T08:00:00Z"), call("early", "2026-11-11T03:00:00Z")]
    assert bench.sync().beyond_lookback == 0
    assert OLD not in {day for day, ids in bench.kept().items() if ids}
    outcome = bench.sync(sweep=WEEK)
    assert (outcome.late, outcome.beyond_lookback, outcome.beyond_on) == (1, 1, {OLD: 1})
    assert bench.kept()[OLD] == ["late"]
    assert bench.sync(sweep=WEEK).beyond_lookback == 0
    assert not outcome.failed


def test_a_sweep_removes_nothing(bench: Bench) -> None:
    bench.records.append(call("old", f"{OLD}T08:00:00Z"))
    settle(bench)
    bench.records.pop()
    outcome = bench.sync(sweep=WEEK)
    assert (bench.kept()[OLD], outcome.gone_on) == (["old"], {OLD: 1})


def test_a_sweep_leaves_out_what_the_provider_no_longer_keeps(bench: Bench) -> None:
    settle(bench)
    bench.call = replace(CALL, timing=replace(CALL.timing, retention=timedelta(days=4)))
    bench.sync(sweep=WEEK)
    assert min(one.since for one in bench.asked) == NOW - timedelta(days=4) + timedelta(minutes=5, seconds=1)


def test_a_sweep_leaves_out_a_deleted_day(bench: Bench) -> None:
    settle(bench)
    bench.path(OLD).unlink()
    assert bench.sync(sweep=WEEK).missing == [OLD]
    assert "11-05" not in days_asked(bench)
    assert not bench.path(OLD).exists()
    bench.sync(only_holes=True, sweep=WEEK)
    assert days_asked(bench) == ["11-05"]


def test_a_sweep_leaves_out_retired_days(bench2: Bench) -> None:
    from cdrctl.archive.retain import retire

    settle(bench2)
    assert isinstance(bench2.ledger, JsonLedger)
    retire(bench2.archive, bench2.ledger, bench2.ledger.kept()[0], datetime(2026, 11, 6, tzinfo=UTC).date())
    bench2.sync(sweep=WEEK)
    assert days_asked(bench2)[2:] == ["11-06", "11-07", "11-08", "11-09", "11-10"]


def test_the_first_layout_has_no_policy_and_says_so(bench1: Bench) -> None:
    settle(bench1)
    with_policy(bench1)
    bench1.sync()
    assert days_asked(bench1) == ["11-11", "11-12"]
    assert any("[sweep]" in line for line in bench1.said)


@pytest.mark.slow
def test_the_policy_sweeps_every_week(bench2: Bench) -> None:
    settle(bench2)
    with_policy(bench2)
    swept = []
    for night in range(16):
        bench2.sync()
        swept += [night] if len(bench2.asked) > 3 else []
        bench2.now += timedelta(days=1, minutes=-night % 7)
    assert swept == [0, 7, 14]


@pytest.mark.slow
def test_a_sweep_that_failed_goes_on_the_next_night_with_the_days_that_are_left(bench2: Bench) -> None:
    settle(bench2)
    with_policy(bench2)
    bench2.fault = lambda window: TemporaryError("busy") if window.since.day in {6, 8} else None
    assert bench2.sync().failed.keys() == {"2026-11-06", "2026-11-08"}
    bench2.now += timedelta(days=1)
    bench2.ledger = JsonLedger(bench2.archive)
    bench2.fault = lambda window: Gap("a part") if window.since.day == 8 else None
    bench2.sync()
    assert days_asked(bench2)[3:] == ["11-06", "11-08"]
    bench2.now += timedelta(days=1)
    bench2.fault = lambda _: None
    bench2.sync()
    assert days_asked(bench2)[3:] == ["11-08"]
    bench2.now += timedelta(days=1)
    bench2.sync()
    assert len(bench2.asked) == 3
    bench2.now += timedelta(days=4)
    bench2.sync()
    assert len(bench2.asked) > 7


@pytest.mark.slow
def test_a_sweep_that_was_stopped_is_not_finished(bench2: Bench) -> None:
    settle(bench2)
    with_policy(bench2)
    bench2.sync(stop=lambda: len(bench2.asked) == 4)
    assert bench2.ledger.sweeps("acme", "cdrs").finished is None
    bench2.sync()
    assert days_asked(bench2)[2:] == [f"11-{day:02}" for day in range(6, 11)]
    assert bench2.ledger.sweeps("acme", "cdrs").finished is not None


def test_days_that_change_are_read_before_those_that_are_swept(bench2: Bench) -> None:
    settle(bench2)
    with_policy(bench2)
    bench2.fault = lambda _window: TemporaryError("busy")
    bench2.sync()
    assert days_asked(bench2) == ["11-11", "11-12", "11-04"]


@for_each(
    "policy, finished, due",
    [
        (SweepPolicy(7), None, True),
        (SweepPolicy(7), NOW - timedelta(days=6), False),
        (SweepPolicy(7), NOW - timedelta(days=7, minutes=-50), True),
        (SweepPolicy(7), NOW + timedelta(days=40), True),
        (SweepPolicy(7, timedelta(days=1)), NOW - timedelta(hours=17), False),
        (SweepPolicy(7, timedelta(days=1)), NOW - timedelta(hours=23), True),
        (SweepPolicy(7, None, 3), NOW - timedelta(hours=2), False),
        (SweepPolicy(7, None, 3), NOW - timedelta(hours=3), True),
        (SweepPolicy(7, None, 2), NOW - timedelta(hours=26), False),
        (SweepPolicy(7, None, 2), NOW - timedelta(hours=27), True),
        (SweepPolicy(7, None, 5), NOW - timedelta(days=4), False),
        (SweepPolicy(7, None, 5), NOW - timedelta(days=6), True),
        (None, None, False),
    ],
)
def test_when_a_sweep_is_due(policy: SweepPolicy | None, finished: datetime | None, *, due: bool) -> None:
    assert (sweep_due(policy, SweepState(finished, finished), NOW, UTC) is not None) == due


def test_a_sweep_of_nothing_is_not_finished(bench2: Bench) -> None:
    with_policy(bench2)
    bench2.sync()
    assert bench2.ledger.sweeps("acme", "cdrs") == SweepState()


@pytest.mark.slow
def test_a_sweep_on_request_counts_if_it_is_as_long_as_that_of_the_policy(bench2: Bench) -> None:
    settle(bench2)
    with_policy(bench2)
    bench2.sync(sweep=timedelta(0))
    assert len(bench2.asked) == 2
    bench2.sync(sweep=timedelta(days=1))
    assert len(bench2.asked) == 3
    assert bench2.ledger.sweeps("acme", "cdrs") == SweepState()
    bench2.sync(sweep=WEEK)
    bench2.sync()
    assert len(bench2.asked) == 2


@pytest.mark.slow
def test_a_clock_that_was_ahead_does_not_mark_a_sweep_as_done(bench2: Bench) -> None:
    settle(bench2)
    with_policy(bench2)
    bench2.now += timedelta(days=40)
    bench2.sync()
    bench2.now = NOW + timedelta(hours=1)
    bench2.records.append(call("late", f"{OLD}T08:00:00Z"))
    bench2.sync()
    assert bench2.kept()[OLD] == ["late"]
    assert bench2.ledger.sweeps("acme", "cdrs").finished == bench2.now


@pytest.mark.slow
def test_a_sweep_is_dated_by_the_clock_of_the_provider(bench2: Bench) -> None:
    settle(bench2)
    with_policy(bench2)
    bench2.now += timedelta(days=40)
    bench2.ahead = timedelta(days=40)
    bench2.sync()
    assert bench2.ledger.sweeps("acme", "cdrs") == SweepState(NOW, NOW)


def test_the_first_reading_of_a_day_says_nothing_about_lateness(bench2: Bench) -> None:
    bench2.records.append(call("old", f"{OLD}T08:00:00Z"))
    settle(bench2)
    assert late(bench2) is None


@pytest.mark.slow
def test_lateness_is_counted_by_age_and_survives_a_rebuild(bench2: Bench) -> None:
    settle(bench2)
    bench2.records += [call("late", "2026-11-11T03:00:00Z"), call("new", "2026-11-12T01:40:00Z")]
    bench2.sync()
    assert late(bench2, "2026-11-11") == Lateness(False, 0, {"1d": 1})
    assert late(bench2, "2026-11-12") == Lateness(), "it is of a time that had not been read before"
    bench2.records += [call("later", f"{OLD}T08:00:00Z")]
    bench2.sync(sweep=WEEK)
    assert late(bench2) == Lateness(True, 1, {"7d": 1})
    assert late(bench2, "2026-11-06") == Lateness(True, 0, {})
    bench2.now += timedelta(days=2)
    bench2.records += [call("latest", f"{OLD}T09:00:00Z")]
    bench2.sync(sweep=2 * WEEK)
    assert late(bench2) == Lateness(True, 2, {"7d": 1, "14d": 1})
    with_policy(bench2)
    bench2.sync(sweep=WEEK)
    sweeps = bench2.ledger.sweeps("acme", "cdrs")
    assert sweeps != SweepState()
    rebuild_ledger(bench2.archive, {}, bench2.now)
    bench2.ledger = JsonLedger(bench2.archive)
    assert bench2.ledger.sweeps("acme", "cdrs") == sweeps
    assert late(bench2) == Lateness(True, 2, {"7d": 1, "14d": 1})


@pytest.mark.slow
def test_a_changed_file_keeps_its_lateness_in_the_ledger(bench2: Bench) -> None:
    settle(bench2)
    bench2.records += [call("later", f"{OLD}T08:00:00Z")]
    bench2.sync(sweep=WEEK)
    path = bench2.path(OLD)
    path.write_text(path.read_text().replace('"later"', '"other"'), encoding="utf-8")
    rebuild_ledger(bench2.archive, {}, bench2.now)
    bench2.ledger = JsonLedger(bench2.archive)
    bench2.sync(sweep=WEEK)
    assert late(bench2) == Lateness(True, 1, {"7d": 1})


@pytest.mark.slow
def test_the_status_of_a_call_has_its_late_records_once_it_was_swept(bench2: Bench) -> None:
    def found() -> int | None:
        calls = archived_calls(bench2.archive, bench2.ledger, bench2.now, [("acme", "cdrs")])
        return call_status(next(calls), bench2.now).late

    settle(bench2)
    bench2.sync()
    assert found() is None
    bench2.sync(sweep=WEEK)
    assert found() == 0
    bench2.records += [call("later", f"{OLD}T08:00:00Z")]
    bench2.sync(sweep=WEEK)
    assert found() == 1


def test_a_day_is_written_anew_if_only_its_lateness_changes() -> None:
    ledger = CallLedger("test", NOW, {OLD: []})
    before = ledger.day_text(OLD)
    ledger.lateness[OLD] = Lateness(swept=True)
    assert ledger.day_text(OLD) != before


@for_each("share, lookback", [(0.999, "2d"), (1.0, "more"), (0.99, None), (0.998, "1d")])
def test_a_lookback_is_suggested_for_a_share_of_the_records(share: float, lookback: str | None) -> None:
    days = {"a": Lateness(True, 1, {"1d": 6, "2d": 1}), "b": Lateness(False, 0, {"1d": 1, "3d": 1, "more": 0})}
    days["c"] = Lateness(True, 1, {"more": 1})
    assert distribution(days, {"a": 1000, "b": 800, "c": 200}).lookback_for(share) == lookback


@pytest.mark.thin
@pytest.mark.parametrize("form", FORMATS)
def test_lateness_is_kept_in_every_format(tmp_path: Path, form: str) -> None:
    bench = new_bench(tmp_path / "archive", form)
    settle(bench)
    bench.records += [call("later", f"{OLD}T08:00:00Z")]
    bench.sync(sweep=WEEK)
    assert late(bench) == Lateness(True, 1, {"7d": 1})
    assert bench.sync(sweep=WEEK).beyond_lookback == 0
    bench.ledger.close()


@for_each(
    "place, value",
    [
        ("lateness", 7),
        ("lateness", {"beyond": -1}),
        ("lateness", {"beyond": True}),
        ("lateness", {"seen": {"1d": "3"}}),
        ("sweeps", {"began": 5}),
        ("sweeps", {"finished": "2026-11-12"}),
        ("sweeps", "now"),
    ],
)
def test_a_damaged_ledger_is_refused(tmp_path: Path, place: str, value: object) -> None:
    archive = open_or_create(tmp_path, None, "jsonl")
    write_ledger(archive, "acme", "cdrs", CallLedger("test", NOW, {OLD: []}))
    path = ledger_path(archive, "acme", "cdrs")
    plain = json.loads(path.read_bytes())
    (plain if place == "sweeps" else plain["days"][OLD])[place] = value
    path.write_text(json.dumps(plain), encoding="utf-8")
    with pytest.raises(OutputError):
        read_ledger(archive, "acme", "cdrs")


@pytest.mark.slow
def test_a_conversion_and_an_erasure_keep_the_lateness_and_the_sweeps(
    bench2: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "call_of", lambda _kept: bench2.call)
    monkeypatch.setattr(erasing, "call_of", lambda _kept: bench2.call)
    settle(bench2)
    with_policy(bench2)
    bench2.records += [call("a1", f"{OLD}T08:00:00Z", "+4930123456"), call("a2", f"{OLD}T09:00:00Z")]
    bench2.sync()
    sweeps = bench2.ledger.sweeps("acme", "cdrs")
    assert late(bench2) == Lateness(True, 2, {"7d": 2})
    kept = bench2.ledger.kept()[0]
    assert isinstance(bench2.ledger, JsonLedger)
    number = erasing.prepare(bench2.archive, "4930123456", None, NOW)
    erased = erasing.erase(bench2.archive, kept, erasing.by_digits("4930123456", None), number, NOW)
    assert erased.days == {OLD: 1}
    bench2.ledger = JsonLedger(bench2.archive)
    assert late(bench2) == Lateness(True, 2, {"7d": 2})
    bench2.ledger.write_sweeps("acme", "cdrs", sweeps)
    converting.convert(bench2.archive.folder, tmp_path / "new", "csv", lambda _text: None)
    bench2.archive = open_archive(tmp_path / "new")
    bench2.ledger = JsonLedger(bench2.archive)
    assert bench2.ledger.sweeps("acme", "cdrs") == sweeps
    assert late(bench2) == Lateness(True, 2, {"7d": 2})
    bench2.sync(sweep=WEEK)
    assert "a1" not in bench2.path(OLD).read_text()


def test_records_without_ids_that_come_under_another_key_are_not_late(bench: Bench) -> None:
    """As Voicenter's, whose identity is made of their content."""
    bench.records.append(call("old", f"{OLD}T08:00:00Z"))
    settle(bench)
    bench.records[-1] = call("renamed", f"{OLD}T08:00:00Z", "changed")
    outcome = bench.sync(sweep=WEEK)
    assert (outcome.changed, outcome.late, outcome.beyond_lookback) == (1, 0, 0)
    assert bench.kept()[OLD] == ["renamed"]


def test_a_longer_lookback_finds_records_that_are_not_beyond_it(bench: Bench) -> None:
    settle(bench)
    bench.records.append(call("late", "2026-11-10T08:00:00Z"))
    outcome = bench.sync(lookback=timedelta(days=4))
    assert (outcome.late, outcome.beyond_lookback) == (1, 0)


@pytest.mark.slow
def test_days_with_gone_records_that_are_read_to_let_them_go_are_swept_too(bench2: Bench) -> None:
    bench2.records.append(call("old", f"{OLD}T08:00:00Z"))
    settle(bench2)
    bench2.records.pop()
    bench2.sync(sweep=WEEK)
    bench2.records.append(call("late", f"{OLD}T09:00:00Z"))
    outcome = bench2.sync(sweep=WEEK, shrink=True)
    assert (bench2.kept()[OLD], outcome.beyond_lookback) == (["late"], 1)


@pytest.mark.slow
def test_an_incomplete_response_does_not_say_that_nothing_came_late(bench2: Bench) -> None:
    settle(bench2)
    bench2.records.append(call("late", f"{OLD}T08:00:00Z"))
    bench2.fault = lambda window: Gap("a part") if window.since.day in {5, 6} else None
    bench2.sync(sweep=WEEK)
    assert late(bench2) == Lateness(False, 1, {"7d": 1})
    assert late(bench2, "2026-11-06") is None


def test_an_incomplete_response_of_a_sweep_fails_its_day_and_keeps_what_came(bench: Bench) -> None:
    settle(bench)
    bench.records.append(call("late", f"{OLD}T08:00:00Z"))
    bench.fault = lambda window: Gap("a part") if window.since.day == 5 else None
    outcome = bench.sync(sweep=WEEK)
    assert outcome.failed.keys() == {OLD}
    assert (bench.kept()[OLD], outcome.beyond_lookback) == (["late"], 1)
    assert "complete" in bench.states()[3:5], "what was read before counts"
