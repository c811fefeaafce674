"""One call into its day files: what is read, what is kept, what is said to be missing."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive.calendar import coverage, estimate
from cdrctl.archive.day import Day
from cdrctl.archive.fetching import Source
from cdrctl.archive.index import Entry, milliseconds
from cdrctl.archive.intervals import Reading
from cdrctl.archive.ledger import KeptCall, Ledger, lock
from cdrctl.archive.merge import merge
from cdrctl.archive.owner import Account
from cdrctl.archive.planning import plan_days, retained_since
from cdrctl.archive.store import FORMATS, UNKNOWN, Archive, digest, open_archive, open_or_create, readings_of
from cdrctl.archive.sync import FAILURES_IN_A_ROW, Outcome, sync
from cdrctl.archive.verify import differences, rebuild_ledger
from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    LockedError,
    OutputError,
    ProviderError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers import Call, Timing, load
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap, Page, Record
from cdrctl.windows import Window, rfc3339

NOW = datetime(2026, 11, 12, 2, 30, tzinfo=UTC)
CALL = Call(
    name="cdrs",
    about="",
    columns=(Column("id", "id"), Column("start_time", "at", "time"), Column("word", "word")),
    fetch=lambda *_: iter(()),
    identity=lambda record: str(record["id"]),
    start=lambda record: datetime.fromisoformat(record["at"]) if record["at"] else None,
    timing=Timing(lag=timedelta(minutes=5), lookback=timedelta(hours=24)),
    alike=("start_time",),
)


@dataclass
class Bench:
    """An archive, a provider whose records are a list, and what was asked and said."""

    archive: Archive
    ledger: Ledger
    now: datetime = NOW
    call: Call = CALL
    records: list[Record] = field(default_factory=list)
    asked: list[Window] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    fault: Callable[[Window], CdrctlError | Gap | None] = lambda _window: None
    account: Account | None = None
    ahead: timedelta | None = None

    def fetch(self, window: Window) -> Iterator[Any]:
        self.asked.append(window)
        fault = self.fault(window)
        if isinstance(fault, CdrctlError):
            raise fault
        yield Page(list(self.records))
        if fault is not None:
            yield fault

    def sync(self, **how: Any) -> Outcome:
        self.asked.clear()
        log = lambda level, text: self.said.append(f"{level}: {text}")  # noqa: E731
        source = Source("acme", "test", self.call, self.fetch, log, str, lambda: self.ahead, self.account)
        return sync(self.archive, self.ledger, source, lambda: self.now, **how)

    def path(self, day: str) -> Path:
        return self.archive.path("acme", "cdrs", day)

    def aside(self, day: str) -> Path:
        """Return where a day's file is that was changed by another hand."""
        path = self.path(day)
        return path.with_name(f"{path.name}.aside")

    def kept(self) -> dict[str, list[str]]:
        """Return the ids kept by day."""
        return {
            path.parent.name.removeprefix("date="): [json.loads(line)["id"] for line in path.read_text().splitlines()]
            for path in sorted(self.archive.folder.glob("acme/cdrs/*/cdrs.jsonl"))
        }

    def states(self) -> list[str]:
        known, files = self.ledger.readings("acme", "cdrs"), self.ledger.files()
        kept = self.ledger.kept()[0]
        return [day.state for day in coverage(self.archive, self.call, kept, known, files, self.now)]


def call(name: str, at: str, word: str = "") -> Record:
    return {"id": name, "at": at, "word": word}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(open_or_create(tmp_path / "archive", None, None), Ledger(tmp_path / "archive", new=True))
    made.records = [
        call("a", "2026-11-11T08:00:00Z"),
        call("b", "2026-11-11T09:00:00Z"),
        call("c", "2026-11-12T01:00Z"),
    ]
    yield made
    made.ledger.close()


def test_the_first_run_begins_with_what_may_still_change(bench: Bench) -> None:
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


def test_what_is_settled_is_not_asked_for_again(bench: Bench) -> None:
    bench.sync()
    bench.now += timedelta(hours=36)
    bench.sync()
    bench.sync()
    settled = bench.now - timedelta(hours=24)
    assert min(window.since for window in bench.asked) == settled
    bench.sync(lookback=timedelta(hours=1))
    assert min(window.since for window in bench.asked) == bench.now - timedelta(hours=1)


def test_a_backfill_reads_only_what_was_never_read(bench: Bench) -> None:
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
def test_records_that_the_provider_no_longer_has_are_kept_until_one_says_so(bench: Bench, left: int) -> None:
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


def test_what_came_before_a_gap_is_kept_and_the_day_read_again(bench: Bench) -> None:
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
def test_what_fails_for_every_day_is_not_tried_for_every_day(bench: Bench, error: CdrctlError, tries: int) -> None:
    bench.fault = lambda _window: error
    outcome = bench.sync(since=NOW - timedelta(days=9))
    assert outcome.error is error
    assert len(bench.asked) == tries
    assert set(bench.states()) == {"hole"}


@pytest.mark.parametrize("between", [None, ProviderError("never")])
def test_what_fails_for_a_passing_reason_now_and_then_ends_no_run(bench: Bench, between: CdrctlError | None) -> None:
    bench.fault = lambda window: between if window.since.day % 2 else TemporaryError("not now")
    bench.sync(since=NOW - timedelta(days=9))
    assert len(bench.asked) == 10


def test_a_gap_is_told_once_and_makes_no_file_where_nothing_came(bench: Bench) -> None:
    bench.fault = lambda _window: Gap("a part is missing")
    bench.records.clear()
    bench.sync()
    assert [one for one in bench.said if "a part is missing" in one] == ["warning: incomplete: a part is missing"] * 2
    assert bench.kept() == {}


def test_a_day_whose_file_is_gone_is_read_again_whole(bench: Bench) -> None:
    bench.sync()
    bench.now += timedelta(days=3)
    bench.sync()
    bench.path("2026-11-11").unlink()
    bench.sync()
    assert bench.asked[0] == Window(datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC))
    assert bench.kept()["2026-11-11"] == ["a", "b"]


def test_a_day_whose_file_somebody_changed_is_read_again_whole(bench: Bench) -> None:
    bench.sync()
    with bench.path("2026-11-11").open("a") as file:
        file.write("{}\n")
    bench.now += timedelta(hours=12)
    assert [one.what for one in differences(bench.archive, bench.ledger.files())] == ["is not what was written"]
    outcome = bench.sync()
    assert (outcome.new, outcome.late, outcome.changed) == (0, 0, 0), "its other lines are as they were"
    assert list(outcome.failed) == ["2026-11-11"], "the line that cannot be read may have been a record"
    assert bench.sync().failed == {}
    assert bench.asked[0].since == datetime(2026, 11, 11, tzinfo=UTC)
    assert bench.kept()["2026-11-11"] == ["a", "b"]
    assert list(differences(bench.archive, bench.ledger.files())) == []


@pytest.mark.parametrize("fault", [None, Gap("a part is missing")])
def test_a_file_that_somebody_changed_gives_way_to_nothing_less(bench: Bench, fault: Gap | None) -> None:
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
    bench = Bench(open_or_create(tmp_path / "archive", None, "jsonl.gz"), Ledger(tmp_path / "archive", new=True))
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


def test_a_record_at_the_end_of_a_window_is_none_of_it() -> None:
    day = Window(datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC))
    old = [Entry(milliseconds(at), name, b"x\n") for at, name in ((day.since, b"first"), (day.until, b"next"))]
    result, counts, *_ = merge(old, [], day, [], complete=True, shrink=True)
    assert ([entry.key for entry in result], counts.gone) == ([b"next"], 1)


def test_what_is_kept_and_wanted_at_the_edges(bench: Bench) -> None:
    """A provider's edge moves on while a day is read: it is stayed away from."""
    assert retained_since(replace(CALL, timing=replace(CALL.timing, retention=timedelta(days=3))), NOW) == (
        NOW - timedelta(days=3) + timedelta(minutes=5, seconds=1)
    )
    assert plan_days(NOW, NOW, None, {}, bench.archive, CALL.timing.lookback) == ([], [])
    assert list(coverage(bench.archive, CALL, KeptCall("acme", "cdrs", "test", NOW), {}, [], NOW)) == []


def test_what_the_provider_no_longer_keeps_is_said_once_and_shown(bench: Bench) -> None:
    bench.call = replace(CALL, timing=replace(CALL.timing, retention=timedelta(days=3)))
    outcome = bench.sync(since=NOW - timedelta(days=6))
    assert [(window.since.day, window.until.day) for window in outcome.lost] == [(6, 9)]
    assert bench.states() == ["beyond"] * 4 + ["complete", "open", "open"]
    assert bench.sync().lost == []
    assert all(window.since > NOW - timedelta(days=3) for window in bench.asked)


def test_as_far_back_as_it_is_kept_is_no_loss(bench: Bench) -> None:
    bench.call = replace(CALL, timing=replace(CALL.timing, retention=timedelta(days=3)))
    assert bench.sync(since=NOW - timedelta(days=3)).lost == []


def test_records_without_a_start_are_kept_once_in_a_file_of_their_own(bench: Bench) -> None:
    bench.records.append(call("when", ""))
    bench.sync()
    bench.sync(since=NOW - timedelta(days=3))
    assert bench.kept()[UNKNOWN] == ["when"]
    assert sum(ids.count("when") for ids in bench.kept().values()) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_added_to(tmp_path: Path, form: str) -> None:
    archive = open_or_create(tmp_path / "archive", "Europe/Paris", form)
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


def test_the_ledger_can_be_made_again(bench: Bench) -> None:
    bench.sync(since=NOW - timedelta(days=3))
    before, files, kept = bench.ledger.readings("acme", "cdrs"), bench.ledger.files(), bench.ledger.kept()
    bench.ledger.close()
    assert rebuild_ledger(bench.archive, {"acme": "test"}, NOW) == []
    bench.ledger = Ledger(bench.archive.folder)
    assert bench.ledger.readings("acme", "cdrs") == before
    assert bench.ledger.files() == files
    assert bench.ledger.kept() == kept


def test_what_a_killed_run_left_of_a_ledger_gets_into_none(bench: Bench) -> None:
    bench.sync()
    kept = bench.ledger.kept()
    bench.ledger.close()
    half = Ledger(bench.archive.folder, new=True, name="ledger.sqlite3.new")
    half.keep(KeptCall("ghost", "cdrs", "test", NOW))
    half.close()
    (bench.archive.folder / "ledger.sqlite3-wal").write_bytes(b"of the old one")
    assert rebuild_ledger(bench.archive, {"acme": "test"}, NOW) == []
    assert not (bench.archive.folder / "ledger.sqlite3-wal").exists()
    bench.ledger = Ledger(bench.archive.folder)
    assert bench.ledger.kept() == kept


def test_an_index_says_what_was_read_also_where_nothing_new_came(bench: Bench) -> None:
    bench.sync()
    bench.now += timedelta(hours=1)
    bench.records[0]["word"] = "changed"
    bench.sync()
    bench.now += timedelta(hours=1)
    bench.sync()
    for day, known in bench.ledger.readings("acme", "cdrs").items():
        found = readings_of(bench.path(day))
        assert found is not None
        assert found[2] == known
        assert len(list(bench.path(day).parent.glob(".cdrs.*.index"))) == 1


def test_nothing_is_written_when_the_run_has_ended(bench: Bench) -> None:
    bench.ledger.close()
    with pytest.raises(LockedError), bench.ledger.writing():
        pass


def test_an_archive_that_cannot_be_written_ends_the_run(bench: Bench) -> None:
    (bench.archive.folder / "acme").symlink_to("nowhere")
    with pytest.raises(OutputError):
        bench.sync()
    assert len(bench.asked) == 1


def test_a_ledger_that_was_made_again_without_the_profile_goes_on(bench: Bench) -> None:
    bench.sync()
    bench.ledger.close()
    assert rebuild_ledger(bench.archive, {}, NOW) == []
    bench.ledger = Ledger(bench.archive.folder)
    assert bench.ledger.kept()[0].provider == "test"  # what the files do not tell comes from the old ledger
    bench.sync()
    assert bench.ledger.kept()[0].provider == "test"


def test_a_call_that_is_kept_already_begins_no_later(bench: Bench) -> None:
    for days_ago, begins in ((3, 3), (1, 3), (5, 5)):
        bench.ledger.keep(KeptCall("acme", "cdrs", "test", NOW - timedelta(days=days_ago)))
        assert bench.ledger.kept()[0].begins == NOW - timedelta(days=begins)


def test_a_line_that_the_ledger_cannot_take_leaves_it_as_it_was(bench: Bench) -> None:
    bench.sync()
    before = bench.ledger.readings("acme", "cdrs")
    reading = before["2026-11-11"][0]
    with pytest.raises(OutputError, match="cannot be used"):
        bench.ledger.write("acme", "cdrs", "2026-11-11", [reading, reading], None, NOW)
    assert bench.ledger.readings("acme", "cdrs") == before
    bench.ledger.write("acme", "cdrs", "2026-11-11", [reading], None, NOW)


def test_the_lock_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with lock(tmp_path), pytest.raises(LockedError), lock(tmp_path):
            pass
        assert (tmp_path / "ledger.lock").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_verify_counts_and_names_what_cannot_be_read(bench: Bench) -> None:
    bench.sync()
    index = next(bench.path("2026-11-11").parent.glob(".cdrs.*.index"))
    head, end, entries = index.read_bytes().partition(b"\n")
    index.write_bytes(head + end + entries[: len(entries) // 2])
    bench.path("2026-11-12").unlink()
    bench.path("2026-11-12").mkdir()
    found = {one.path.split("=")[1][:10]: one.what for one in differences(bench.archive, bench.ledger.files())}
    assert found == {
        "2026-11-11": "has 1 records, but 2 in the ledger",
        "2026-11-12": "cannot be read: Is a directory",
    }


def test_a_profile_that_changed_its_provider_does_not_get_into_the_others_files(bench: Bench) -> None:
    bench.sync()
    source = Source("acme", "other", CALL, bench.fetch, lambda _level, _text: None)
    with pytest.raises(ConfigurationError, match="records of test"):
        sync(bench.archive, bench.ledger, source, lambda: NOW)


def test_verify_names_what_differs(bench: Bench) -> None:
    bench.sync(since=NOW - timedelta(days=3))
    bench.path("2026-11-11").write_text("{}\n")
    bench.path("2026-11-10").unlink()
    next(bench.path("2026-11-09").parent.glob(".cdrs.*.index")).unlink()
    bench.path("2026-11-01").parent.mkdir()
    bench.path("2026-11-01").write_text("")
    found = {one.path.split("=")[1][:10]: one.what for one in differences(bench.archive, bench.ledger.files())}
    assert found == {
        "2026-11-11": "is not what was written",
        "2026-11-10": "is missing",
        "2026-11-09": "has lost its hidden index",
        "2026-11-01": "is not in the ledger",
    }


@pytest.mark.parametrize(("zone", "form"), [("Europe/Paris", None), (None, "csv")])
def test_zone_and_format_are_chosen_once(tmp_path: Path, zone: str | None, form: str | None) -> None:
    open_or_create(tmp_path / "archive", None, None)
    assert open_or_create(tmp_path / "archive", "UTC", "jsonl") == open_or_create(tmp_path / "archive", None, None)
    with pytest.raises(UsageError, match="the archive in"):
        open_or_create(tmp_path / "archive", zone, form)


def test_a_zone_that_is_none_begins_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Mars"):
        open_or_create(tmp_path / "archive", "Mars/Olympus", None)
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


def test_a_ledger_that_others_could_read_becomes_its_owners_alone(bench: Bench) -> None:
    path = bench.archive.folder / "ledger.sqlite3"
    path.chmod(0o644)
    Ledger(bench.archive.folder).close()
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
def test_an_index_that_is_damaged_is_none(bench: Bench, head: bytes) -> None:
    bench.sync()
    next(bench.path("2026-11-11").parent.glob(".cdrs.*.index")).write_bytes(head + b"\n")
    assert [one.what for one in differences(bench.archive, bench.ledger.files())] == ["has lost its hidden index"]


def test_a_gap_takes_no_record_away_whatever_may_go(bench: Bench) -> None:
    bench.sync()
    bench.fault = lambda _window: Gap("a part is missing")
    bench.records = [call("x", "2026-11-11T10:00:00Z"), call("y", "2026-11-11T11:00:00Z")]
    assert bench.sync(shrink=True).gone == 0
    assert bench.kept()["2026-11-11"] == ["a", "b", "x", "y"]


def test_a_folder_with_other_things_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(UsageError, match="holiday"):
        open_or_create(tmp_path, None, None)
    with pytest.raises(UsageError, match="no archive"):
        open_archive(tmp_path)


def test_a_plan_counts_the_windows_that_a_provider_wants() -> None:
    webex = load("webex")
    day = Window(datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 11, tzinfo=UTC))
    planned = estimate(webex, webex.call("cdrs"), [Day("2026-11-10", day)] * 10, None)
    assert (planned.windows, planned.requests, planned.seconds) == (10, 30, 29 * 61)
    assert estimate(webex, webex.call("cdrs"), [Day("2026-11-10", day)], 0).seconds == 0
    assert estimate(webex, webex.call("cdrs"), [], None).requests == 0


def test_every_call_of_an_archive_says_how_long_it_may_change() -> None:
    for name in ("webex", "kazoo", "callgear", "portsip", "voicenter"):
        for one in load(name).calls:
            if one.windowed:
                assert one.timing.lookback > timedelta(0)
                assert one.timing.retention is None or one.timing.lookback <= one.timing.retention


def test_a_reading_of_nothing_is_told_from_none(bench: Bench) -> None:
    bench.sync()
    assert all(isinstance(one, Reading) for day in bench.ledger.readings("acme", "cdrs").values() for one in day)
