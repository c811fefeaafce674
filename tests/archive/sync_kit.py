"""An archive, and a provider whose records are a list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive.calendar import coverage
from cdrctl.archive.fetching import Source
from cdrctl.archive.ledger2 import JsonLedger
from cdrctl.archive.ledgers import AnyLedger, open_ledger
from cdrctl.archive.outcome import Outcome
from cdrctl.archive.owner import Account
from cdrctl.archive.store import FIRST_LAYOUT, LAYOUT, Archive, open_or_create
from cdrctl.archive.sync import sync
from cdrctl.errors import (
    CdrctlError,
)
from cdrctl.fetchers import Call, Timing
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap, Page, Record
from cdrctl.windows import Window

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
    ledger: AnyLedger
    now: datetime = NOW
    call: Call = CALL
    records: list[Record] = field(default_factory=list)
    asked: list[Window] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    fault: Callable[[Window], CdrctlError | Gap | None] = lambda _window: None
    account: Account | None = None
    ahead: timedelta | None = None
    options: str = ""

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
        if isinstance(self.ledger, JsonLedger):  # each run is a process of its own, and reads the ledger from its file
            self.ledger.close()
            self.ledger = open_ledger(self.archive)
        log = lambda level, text: self.said.append(f"{level}: {text}")  # noqa: E731 - of one line
        about = (str, lambda: self.ahead, self.account, self.options)
        source = Source("acme", "test", self.call, self.fetch, log, *about)
        return sync(self.archive, self.ledger, source, lambda: self.now, **how)

    def path(self, day: str) -> Path:
        return self.archive.path("acme", "cdrs", day)

    def aside(self, day: str) -> Path:
        """Return where a day's file is that was changed by another hand."""
        path = self.path(day)
        return path.with_name(f"{'' if self.archive.layout == FIRST_LAYOUT else '_'}{path.name}.aside")

    def kept(self) -> dict[str, list[str]]:
        """Return the ids kept by day."""
        return {
            path.parent.name.removeprefix("date="): [json.loads(line)["id"] for line in path.read_text().splitlines()]
            for path in sorted(self.archive.folder.glob("*acme/*cdrs/*/cdrs.jsonl"))
        }

    def states(self) -> list[str]:
        known, files = self.ledger.readings("acme", "cdrs"), self.ledger.files()
        kept = self.ledger.kept()[0]
        return [day.state for day in coverage(self.archive, self.call, kept, known, files, self.now)]


def begin_first_layout(folder: Path) -> None:
    """Create an archive as earlier versions did."""
    folder.mkdir()
    (folder / "archive.toml").write_text('zone = "UTC"\nformat = "jsonl"\n', encoding="utf-8")


def without_ours(line: str) -> Record:
    """Return a record as it is in the archive, without the archive's own columns."""
    return {name: value for name, value in json.loads(line).items() if not name.startswith("_")}


def call(name: str, at: str, word: str = "") -> Record:
    return {"id": name, "at": at, "word": word}


def new_bench(folder: Path, form: str = "jsonl", layout: int = LAYOUT) -> Bench:
    """Return a bench with a new archive, and three records at the provider."""
    archive = open_or_create(folder, None, form, layout)
    records = [call("a", "2026-11-11T08:00:00Z"), call("b", "2026-11-11T09:00:00Z"), call("c", "2026-11-12T01:00Z")]
    return Bench(archive, open_ledger(archive), records=records)


@pytest.fixture(params=[FIRST_LAYOUT, LAYOUT], ids=["layout1", "layout2"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = new_bench(tmp_path / "archive", layout=request.param)
    yield made
    made.ledger.close()


@pytest.fixture
def bench1(tmp_path: Path) -> Iterator[Bench]:
    made = new_bench(tmp_path / "archive", layout=FIRST_LAYOUT)
    yield made
    made.ledger.close()
