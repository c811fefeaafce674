"""What an archive reads of a call, what it keeps, and what it reports as missing."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl.archive.calendar import coverage, estimate
from cdrctl.archive.day import Day
from cdrctl.archive.dayfile import rows_of
from cdrctl.archive.index import Entry, milliseconds
from cdrctl.archive.intervals import Reading
from cdrctl.archive.ledger import KeptCall, Ledger
from cdrctl.archive.planning import plan_days, retained_since
from cdrctl.archive.spool import Spool
from cdrctl.archive.store import FIRST_LAYOUT, FORMATS, UNKNOWN, open_archive, open_or_create
from cdrctl.archive.sync import FAILURES_IN_A_ROW
from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ProviderError,
    SignInError,
    TemporaryError,
)
from cdrctl.fetchers import load
from cdrctl.records.events import Gap
from cdrctl.windows import Window, rfc3339
from tests.archive.sync_kit import CALL, NOW, Bench, bench, call
from tests.support.products import for_each

__all__ = ["bench"]


def test_the_first_run_begins_with_days_that_may_still_change(bench: Bench) -> None:
    outcome = bench.sync()
    assert bench.kept() == {"2026-11-11": ["a", "b"], "2026-11-12": ["c"]}
    assert (outcome.days, outcome.fetched, outcome.new, outcome.late) == (2, 3, 3, 0)
    until = NOW - timedelta(minutes=5)
    midnight = datetime(2026, 11, 12, tzinfo=UTC)
    assert bench.asked == [Window(midnight - timedelta(days=1), midnight), Window(midnight, until)]


def test_the_end_is_foretold_from_what_the_days_so_far_took(bench: Bench) -> None:
    def slow(_window: Window) -> None:
        bench.now += timedelta(minutes=3)

    bench.fault = slow
    bench.sync(since=NOW - timedelta(days=9))
    said = [text for text in bench.said if "of 10" in text]
    assert said[0] == "progress: day 1 of 10"
    assert said[1].startswith("progress: day 2 of 10, until about 03:00 UTC, ")
    assert said[9].startswith("progress: day 10 of 10, until about 03:00 UTC, ")


def test_a_late_record_goes_into_its_day_and_is_counted(bench: Bench) -> None:
    bench.sync()
    bench.records += [call("late", "2026-11-11T07:00:00Z"), call("new", "2026-11-12T03:00:00Z")]
    bench.records[1]["word"] = "changed"
    bench.now += timedelta(hours=1)
    outcome = bench.sync()
    assert (outcome.new, outcome.late, outcome.changed, outcome.gone) == (1, 1, 1, 0)
    assert bench.kept() == {"2026-11-11": ["late", "a", "b"], "2026-11-12": ["c", "new"]}


def test_settled_days_are_not_requested_again(bench: Bench) -> None:
    bench.sync()
    bench.now += timedelta(hours=36)
    bench.sync()
    bench.sync()
    settled = bench.now - timedelta(hours=24)
    assert min(window.since for window in bench.asked) == settled
    bench.sync(lookback=timedelta(hours=1))
    assert min(window.since for window in bench.asked) == bench.now - timedelta(hours=1)


def test_a_backfill_reads_only_unread_days(bench: Bench) -> None:
    bench.sync()
    bench.now += timedelta(days=2)
    bench.sync()
    bench.now += timedelta(minutes=1)
    bench.sync(since=bench.now - timedelta(days=5))
    begins = [rfc3339(window.since)[:16] for window in bench.asked[:3]]
    assert begins == ["2026-11-09T00:00", "2026-11-10T00:00", "2026-11-13T02:30"]


def test_running_twice_touches_no_file(bench: Bench) -> None:
    bench.sync()
    before = {path: path.stat() for path in bench.archive.folder.glob("acme/*/*/cdrs.jsonl")}
    bench.sync()
    after = {path: path.stat() for path in bench.archive.folder.glob("acme/*/*/cdrs.jsonl")}
    assert {path: (one.st_ino, one.st_mtime_ns) for path, one in after.items()} == {
        path: (one.st_ino, one.st_mtime_ns) for path, one in before.items()
    }


@pytest.mark.parametrize("left", [0, 1])
def test_records_that_the_provider_no_longer_has_are_kept_without_allow_shrink(bench: Bench, left: int) -> None:
    bench.sync()
    everything = list(bench.records)
    bench.records = [*everything[:left], everything[2]]
    outcome = bench.sync()
    assert bench.kept()["2026-11-11"] == ["a", "b"]
    assert list(outcome.failed) == ["2026-11-11"]
    assert bench.states()[0] == "open", "what was read before still counts"
    assert any("--allow-shrink" in text for text in bench.said)
    assert bench.sync(shrink=True).gone == 2 - left
    assert bench.kept()["2026-11-11"] == ["a"][:left]


def test_a_record_that_comes_under_another_identity_takes_its_place(bench: Bench) -> None:
    bench.sync()
    bench.records[0] = call("A", "2026-11-11T08:00:00Z")
    outcome = bench.sync()
    assert (outcome.late, outcome.changed, outcome.gone, outcome.failed) == (0, 1, 0, {})
    assert bench.kept()["2026-11-11"] == ["A", "b"]


def test_records_before_a_gap_are_kept_and_the_day_is_read_again(bench: Bench) -> None:
    bench.fault = lambda window: Gap("a part is missing") if window.until.day == 12 and window.until.hour == 0 else None
    outcome = bench.sync()
    assert outcome.failed == {"2026-11-11": "a part is missing"}
    assert bench.kept()["2026-11-11"] == ["a", "b"]
    assert bench.states() == ["hole", "open"]
    bench.fault = lambda _window: None
    bench.now += timedelta(minutes=10)
    bench.sync(only_holes=True)
    assert [window.since.day for window in bench.asked] == [11, 12]
    assert bench.asked[1].since == NOW - timedelta(minutes=5)
    assert bench.states() == ["open", "open"]


def test_a_day_that_fails_does_not_stop_the_others(bench: Bench) -> None:
    bench.fault = lambda window: ProviderError("no", said="never") if window.since.day == 10 else None
    outcome = bench.sync(since=NOW - timedelta(days=3))
    assert outcome.failed == {"2026-11-10": "no; the provider said: never"}
    assert outcome.error is None
    assert outcome.days == 3


@pytest.mark.parametrize(
    ("error", "tries"),
    [(SignInError("no"), 1), (ConfigurationError("no"), 1), (TemporaryError("no"), FAILURES_IN_A_ROW)],
)
def test_an_error_of_every_day_ends_the_run_early(bench: Bench, error: CdrctlError, tries: int) -> None:
    bench.fault = lambda _window: error
    outcome = bench.sync(since=NOW - timedelta(days=9))
    assert outcome.error is error
    assert len(bench.asked) == tries
    assert set(bench.states()) == {"hole"}


@pytest.mark.parametrize("between", [None, ProviderError("never")])
def test_occasional_temporary_errors_do_not_end_the_run(bench: Bench, between: CdrctlError | None) -> None:
    bench.fault = lambda window: between if window.since.day % 2 else TemporaryError("not now")
    bench.sync(since=NOW - timedelta(days=9))
    assert len(bench.asked) == 10


def test_a_gap_is_reported_once_and_an_empty_day_gets_no_file(bench: Bench) -> None:
    bench.fault = lambda _window: Gap("a part is missing")
    bench.records.clear()
    bench.sync()
    assert [one for one in bench.said if "a part is missing" in one] == ["warning: incomplete: a part is missing"] * 2
    assert bench.kept() == {}


def test_a_record_at_the_end_of_a_window_is_outside_it() -> None:
    day = Window(datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC))
    old = [Entry(milliseconds(at), name, b"x\n") for at, name in ((day.since, b"first"), (day.until, b"next"))]
    with Spool() as spool:
        spool.add_old(rows_of(old, {}))
        merged = spool.merge(day, [], complete=True, shrink=True)
        assert ([row.key for row in spool.rows()], merged.counts.gone, merged.records) == ([b"next"], 1, 1)


def test_the_retention_and_the_plan_at_their_edges(bench: Bench) -> None:
    """A provider's edge moves on while a day is read: it is stayed away from."""
    assert retained_since(replace(CALL, timing=replace(CALL.timing, retention=timedelta(days=3))), NOW) == (
        NOW - timedelta(days=3) + timedelta(minutes=5, seconds=1)
    )
    assert plan_days(NOW, NOW, None, {}, bench.archive, CALL.timing.lookback) == ([], [])
    assert list(coverage(bench.archive, CALL, KeptCall("acme", "cdrs", "test", NOW), {}, [], NOW)) == []


def test_days_before_the_retention_are_reported_once(bench: Bench) -> None:
    bench.call = replace(CALL, timing=replace(CALL.timing, retention=timedelta(days=3)))
    outcome = bench.sync(since=NOW - timedelta(days=6))
    assert [(window.since.day, window.until.day) for window in outcome.lost] == [(6, 9)]
    assert bench.states() == ["beyond"] * 4 + ["complete", "open", "open"]
    assert bench.sync().lost == []
    assert all(window.since > NOW - timedelta(days=3) for window in bench.asked)


def test_a_run_from_the_start_of_the_retention_loses_nothing(bench: Bench) -> None:
    bench.call = replace(CALL, timing=replace(CALL.timing, retention=timedelta(days=3)))
    assert bench.sync(since=NOW - timedelta(days=3)).lost == []


def test_records_without_a_start_are_kept_once_in_a_file_of_their_own(bench: Bench) -> None:
    bench.records.append(call("when", ""))
    bench.sync()
    bench.sync(since=NOW - timedelta(days=3))
    assert bench.kept()[UNKNOWN] == ["when"]
    assert sum(ids.count("when") for ids in bench.kept().values()) == 1


@for_each("form", [form for form in FORMATS if form != "parquet"])
def test_every_format_can_be_added_to(tmp_path: Path, form: str) -> None:
    archive = open_or_create(tmp_path / "archive", "Europe/Paris", form, FIRST_LAYOUT)
    assert open_archive(tmp_path / "archive") == archive
    bench = Bench(archive, Ledger(archive.folder, new=True))
    nasty = 'a "quoted", name\nof \u202etwo lines\r\n'
    bench.records = [call("a", "2026-11-11T08:00:00Z", nasty), call("b", "2026-11-11T23:30:00Z", "=1")]
    bench.sync()
    bench.records.insert(1, call("c", "2026-11-11T08:30:00Z", "né"))
    assert bench.sync().late == 1
    content = bench.path("2026-11-11").read_bytes()
    text = (gzip.decompress(content) if form.endswith(".gz") else content).decode()
    if form.startswith("csv"):
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["id"], row["word"]) for row in rows] == [("a", nasty), ("c", "né")]
    assert len(bench.path("2026-11-12").read_bytes()) > 0, "half past eleven in London is the next day in Paris"
    bench.ledger.close()


def test_a_day_without_calls_has_a_file_that_says_so(bench: Bench) -> None:
    bench.records.clear()
    bench.sync()
    assert bench.kept() == {"2026-11-11": [], "2026-11-12": []}


def test_a_gap_removes_no_record(bench: Bench) -> None:
    bench.sync()
    bench.fault = lambda _window: Gap("a part is missing")
    bench.records = [call("x", "2026-11-11T10:00:00Z"), call("y", "2026-11-11T11:00:00Z")]
    assert bench.sync(shrink=True).gone == 0
    assert bench.kept()["2026-11-11"] == ["a", "b", "x", "y"]


def test_a_plan_counts_the_windows_that_a_provider_wants() -> None:
    webex = load("webex")
    day = Window(datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 11, tzinfo=UTC))
    planned = estimate(webex, webex.call("cdrs"), [Day("2026-11-10", day)] * 10, None)
    assert (planned.windows, planned.requests, planned.seconds) == (10, 30, 29 * 61)
    assert estimate(webex, webex.call("cdrs"), [Day("2026-11-10", day)], 0).seconds == 0
    assert estimate(webex, webex.call("cdrs"), [], None).requests == 0


def test_every_archived_call_has_a_time_to_settle() -> None:
    for name in ("webex", "kazoo", "callgear", "portsip", "voicenter"):
        for one in load(name).calls:
            if one.windowed:
                assert one.timing.lookback > timedelta(0)
                assert one.timing.retention is None or one.timing.lookback <= one.timing.retention


def test_every_reading_of_a_day_is_in_the_ledger(bench: Bench) -> None:
    bench.sync()
    assert all(isinstance(one, Reading) for day in bench.ledger.readings("acme", "cdrs").values() for one in day)
