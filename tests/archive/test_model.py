"""Any sequence of syncs, failures, late and changing records, backfills and mishaps ends in the provider's records."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cdrctl.archive.calendar import coverage
from cdrctl.archive.fetching import Source
from cdrctl.archive.intervals import whole_day
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.outcome import Outcome
from cdrctl.archive.store import FIRST_LAYOUT, LAYOUT, UNKNOWN, open_or_create
from cdrctl.archive.sync import sync
from cdrctl.archive.verify import differences, rebuild_ledger
from cdrctl.errors import ProviderError, SignInError, TemporaryError
from cdrctl.fetchers import Call, Timing
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap, Page, Record
from cdrctl.windows import Window, rfc3339
from tests.support.examples import examples

BEGIN = datetime(2026, 10, 24, 5, 0, tzinfo=UTC)  # the day after has 25 hours in the archive's zone
LOOKBACK = timedelta(hours=12)
LAG = timedelta(minutes=5)
EVER = timedelta(days=365)


def _start(record: Record) -> datetime | None:
    return datetime.fromisoformat(record["at"]) if record["at"] else None


CALL = Call(
    name="cdrs",
    about="",
    columns=(
        *(Column("id", "id"), Column("start_time", "at", "time"), Column("word", "word"), Column("caller", "caller")),
    ),
    alike=("start_time", "caller"),
    fetch=lambda *_: iter(()),
    identity=lambda record: str(record["id"]),
    start=_start,
    timing=Timing(lag=LAG, lookback=LOOKBACK),
)


class Archiving(RuleBasedStateMachine):
    """The provider is a dictionary that changes; the archive is on a real disk.

    The first law in one sentence: the set of records never shrinks unless somebody asks for it.
    """

    layout = FIRST_LAYOUT

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.archive = open_or_create(self.folder / "archive", "Europe/Paris", "jsonl", self.layout)
        self.ledger = open_ledger(self.archive)
        self.now = BEGIN
        self.count = 0
        self.there: dict[str, Record] = {}  # what the provider shows
        self.later: list[tuple[datetime, Record]] = []  # what it will show from then on
        self.fault: str | None = None
        self.fault_at = 0
        self.asked = 0
        self.begins: datetime | None = None
        self.dropped: set[str] = set()  # callers whose record the provider has lost
        self.had: set[str] = set()  # callers whose record the archive has
        self.touched: set[Path] = set()  # files that another hand changed
        self.faulty_since = BEGIN

    def teardown(self) -> None:
        self.fault = None
        self.time_passes(hours=200)
        self.synced(sweep=EVER)
        if self.dropped:  # what was missed just now is an alarm for a week
            self.time_passes(hours=200)
            self.synced(sweep=EVER)
        self.synced(only_holes=True)  # of files that were deleted
        self.synced()
        self.as_the_provider_has_it()
        before = self.files()
        outcome = self.synced()
        assert (outcome.new, outcome.late, outcome.changed, outcome.gone) == (0, 0, 0, 0)
        assert self.files() == before, "running twice changes nothing"
        kept = self.ledger.kept()[0]
        days = list(
            coverage(self.archive, CALL, kept, self.ledger.readings("acme", "cdrs"), self.ledger.files(), self.now)
        )
        assert {day.state for day in days[:-2]} <= {"complete"}
        assert {day.state for day in days[-2:]} <= {"complete", "open"}
        self.ledger.close()
        shutil.rmtree(self.folder)

    def files(self) -> dict[Path, tuple[bytes, int]]:
        paths = self.archive.folder.glob("*/*/*/cdrs.jsonl")
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}

    def fetch(self, window: Window) -> Iterator[Any]:
        self.asked += 1
        yield Page([])
        hit = self.fault is not None and self.asked % 3 == self.fault_at
        if hit and self.fault in {"temporary", "refused", "signed out"}:
            kind = {"temporary": TemporaryError, "refused": ProviderError, "signed out": SignInError}[self.fault]
            raise kind("it does not work")
        if hit and self.fault == "empty" and self.has_some_of(window):
            return  # of a window that was always empty nobody could know better
        wide = Window(window.since - timedelta(hours=1), window.until + timedelta(hours=1))
        found = [one for one in self.there.values() if (at := _start(one)) is None or wide.holds(at)]
        if hit and self.fault == "gap":
            found = found[: len(found) // 2]
        yield Page(found)
        yield Page(found[-2:])  # as pages that overlap do
        if hit and self.fault == "gap":
            yield Gap("half of it")

    def has_some_of(self, window: Window) -> bool:
        """Whether the archive has a record of a window, so that an empty answer cannot be right."""
        return any(
            window.holds(datetime.fromisoformat(json.loads(line)["start_time"]))
            for path in self.files()
            if UNKNOWN not in path.parent.name
            for line in path.read_text(encoding="utf-8").splitlines()
        )

    def synced(self, **how: Any) -> Outcome:
        source = Source("acme", "test", CALL, self.fetch, lambda _level, _text: None)
        self.ledger.close()  # each run is a process of its own, and reads the ledger from its file
        self.ledger = open_ledger(self.archive)
        outcome = sync(self.archive, self.ledger, source, lambda: self.now, **how)
        self.begins = self.ledger.kept()[0].begins
        self.had = self.callers()
        return outcome

    def callers(self) -> set[str]:
        """Return the callers of the archive's records: one caller makes one call, whatever its record is named."""
        return {
            json.loads(line)["caller"]
            for path in self.files()
            for line in path.read_text(encoding="utf-8").splitlines()
        }

    def as_the_provider_has_it(self) -> None:
        assert self.begins is not None
        kept: dict[str, list[Any]] = {}
        for path in self.archive.folder.glob("*/*/*/cdrs.jsonl"):
            day = path.parent.name.removeprefix("date=")
            for line in path.read_text(encoding="utf-8").splitlines():
                one = json.loads(line)
                if one["caller"] in self.dropped:
                    continue
                kept.setdefault(one["id"], []).append((day, one["start_time"], one["word"]))
        truth: dict[str, list[Any]] = {}
        for one in self.there.values():
            at = _start(one)
            if at is None:
                truth[one["id"]] = [(UNKNOWN, None, one["word"])]
            elif self.begins <= at < self.now - LAG:
                day = at.astimezone(self.archive.zone).date().isoformat()
                truth[one["id"]] = [(day, rfc3339(at), one["word"])]
        assert kept == truth
        odd = {self.archive.folder / one.path for one in differences(self.archive, self.ledger.files())}
        assert odd <= self.touched, "what is settled is not read again, and is named"

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        if self.fault == "empty" and self.now - self.faulty_since > timedelta(days=5):
            self.fault = None  # after a week it would be believed
        for when, record in list(self.later):
            if when <= self.now:
                self.there[record["id"]] = record
                self.later.remove((when, record))

    @rule(
        ago=st.integers(0, 60 * 30),
        late=st.integers(0, 11 * 60),
        changes=st.booleans(),
        n=st.integers(1, 4),
    )
    def calls_happen(self, ago: int, late: int, changes: bool, n: int) -> None:  # noqa: FBT001
        for step in range(n):
            self.count += 1
            at = self.now + timedelta(minutes=ago + step, milliseconds=step)
            record = {"id": f"r{self.count}", "at": at.isoformat(), "word": 'first\n,"', "caller": str(self.count)}
            self.later.append((at + timedelta(minutes=late), record))
            if changes:
                after = at + timedelta(minutes=max(late, 11 * 60))
                self.later.append((after, {**record, "word": "second"}))

    @rule()
    def a_call_without_a_start_happens(self) -> None:
        self.count += 1
        self.there[f"r{self.count}"] = {"id": f"r{self.count}", "at": "", "word": "when?", "caller": str(self.count)}

    @rule(data=st.data())
    def a_record_gets_another_id(self, data: st.DataObject) -> None:
        young = [
            one["id"] for one in self.there.values() if (at := _start(one)) and at > self.now - timedelta(hours=10)
        ]
        if young:
            old = self.there.pop(data.draw(st.sampled_from(sorted(young))))
            self.later = [(when, one) for when, one in self.later if one["id"] != old["id"]]
            self.count += 1
            self.there[f"r{self.count}"] = {**old, "id": f"r{self.count}"}

    @precondition(lambda self: self.begins is None)
    @rule(days=st.integers(1, 3))
    def old_calls_are_there(self, days: int) -> None:
        self.count += 1
        at = self.now - timedelta(days=days, minutes=3)
        self.there[f"r{self.count}"] = {
            "id": f"r{self.count}",
            "at": at.isoformat(),
            "word": "old",
            "caller": str(self.count),
        }

    @rule(kind=st.sampled_from([None, "temporary", "refused", "signed out", "gap", "empty"]), at=st.integers(0, 2))
    def the_provider_fails(self, kind: str | None, at: int) -> None:
        self.fault, self.fault_at, self.faulty_since = kind, at, self.now

    @rule(data=st.data())
    def the_provider_loses_a_record(self, data: st.DataObject) -> None:
        there = sorted(one["id"] for one in self.there.values() if one["at"])
        if there:
            lost = self.there.pop(data.draw(st.sampled_from(there)))
            self.later = [(when, one) for when, one in self.later if one["caller"] != lost["caller"]]
            self.dropped.add(lost["caller"])

    @rule(days=st.integers(1, 3))
    def let_lost_records_go(self, days: int) -> None:
        self.fault, had = None, self.had
        self.synced(shrink=True, since=self.now - timedelta(days=days))
        assert had - self.had <= self.dropped

    @rule(ago=st.integers(30, 300), late=st.integers(12, 100))
    def a_record_comes_later_than_the_lookback(self, ago: int, late: int) -> None:
        self.count += 1
        at = self.now - timedelta(hours=ago)
        record = {"id": f"r{self.count}", "at": at.isoformat(), "word": "late", "caller": str(self.count)}
        self.later.append((at + timedelta(hours=late), record))

    @rule()
    def sync(self) -> None:
        self.synced()

    @rule(days=st.integers(1, 9))
    def sweep(self, days: int) -> None:
        outcome = self.synced(sweep=timedelta(days=days))
        assert outcome.beyond_lookback == sum(outcome.beyond_on.values()) <= outcome.late

    @rule(days=st.integers(1, 5))
    def backfill(self, days: int) -> None:
        self.synced(since=self.now - timedelta(days=days))

    @precondition(lambda self: self.begins is not None)
    @rule()
    def fill(self) -> None:
        self.synced(only_holes=True)

    @precondition(lambda self: self.begins is not None)
    @rule()
    def the_ledger_is_made_again(self) -> None:
        readings = self.ledger.readings("acme", "cdrs")
        self.ledger.close()
        rebuild_ledger(self.archive, {"acme": "test"}, self.now)
        self.ledger = open_ledger(self.archive)
        again = self.ledger.readings("acme", "cdrs")
        foreign = {path.parent.name.removeprefix("date=") for path in self.touched}
        for day, known in again.items():
            before = [one for one in readings[day] if one.state == "done"]
            found = [one for one in known if one.state == "done"]
            assert found == before or (day in foreign and not found)

    @precondition(lambda self: self.begins is not None)
    @rule(data=st.data())
    def a_file_is_deleted(self, data: st.DataObject) -> None:
        files = sorted(path for path in self.files() if "unknown" not in path.parent.name)
        if files:
            data.draw(st.sampled_from(files)).unlink()
            self.had = self.callers()

    @precondition(lambda self: self.begins is not None)
    @rule(data=st.data(), how=st.sampled_from(["index gone", "reversed", "line end gone"]))
    def a_file_is_changed_by_another_hand(self, data: st.DataObject, how: str) -> None:
        files = sorted(self.files())
        if not files:
            return
        path = data.draw(st.sampled_from(files))
        self.touched.add(path)
        if how == "index gone":
            for index in (*path.parent.glob(".cdrs.*.index"), *path.parent.glob("_readings.json")):
                index.unlink()
        elif how == "reversed":
            path.write_bytes(b"".join(line + b"\n" for line in reversed(path.read_bytes().splitlines())))
        else:
            path.write_bytes(path.read_bytes().removesuffix(b"\n"))

    @invariant()
    def no_record_leaves_unless_that_is_asked_for(self) -> None:
        assert self.callers() >= self.had

    @invariant()
    def nothing_is_there_twice(self) -> None:
        for path in self.archive.folder.glob("*/*/*/cdrs.jsonl"):
            ids = [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]
            assert len(ids) == len(set(ids))
            day = path.parent.name.removeprefix("date=")
            if day != UNKNOWN:
                whole = whole_day(datetime.fromisoformat(day).date(), self.archive.zone)
                starts = [json.loads(line)["start_time"] for line in path.read_text(encoding="utf-8").splitlines()]
                assert all(whole.holds(datetime.fromisoformat(start)) for start in starts)
                assert starts == sorted(starts) or path in self.touched


class ArchivingNow(Archiving):
    """The same with the current layout, whose ledger may also be lost."""

    layout = LAYOUT

    @precondition(lambda self: self.begins is not None)
    @rule()
    def the_ledger_is_lost(self) -> None:
        shutil.rmtree(self.archive.folder / "_cdrctl", ignore_errors=True)
        self.ledger = open_ledger(self.archive)


class ArchivingLonger(ArchivingNow):
    """The same with more examples."""


TestArchiving = ArchivingNow.TestCase
TestArchiving.settings = settings(examples(60, part=20), stateful_step_count=25)
TestArchivingLonger = pytest.mark.slow(ArchivingLonger.TestCase)
TestArchivingLonger.settings = settings(examples(60), stateful_step_count=25)
TestFirstLayout = pytest.mark.full(Archiving.TestCase)
TestFirstLayout.settings = settings(examples(60), stateful_step_count=25)
