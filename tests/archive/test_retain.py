"""`archive retain`: old days go for good, at once for every command, whatever interrupts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cdrctl.archive import convert as converting
from cdrctl.archive.completeness import Bounds, completeness
from cdrctl.archive.convert import convert
from cdrctl.archive.ledger2 import JsonLedger, ledger_path
from cdrctl.archive.retain import check_clock, old_days, retire
from cdrctl.archive.retired import retired_path
from cdrctl.archive.source import ArchivedCalls, archived_events
from cdrctl.archive.status import ArchivedCall
from cdrctl.archive.store import UNKNOWN, open_archive
from cdrctl.archive.verify import differences, rebuild_ledger
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.records.events import Gap
from cdrctl.windows import Window
from tests.archive.sync_kit import CALL, NOW, Bench, call, new_bench

FIRST = date(2026, 11, 11)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Return a bench with an archive of 9 to 12 November."""
    made = new_bench(tmp_path / "archive")
    made.records += [call(f"d{day}", f"2026-11-{day:02}T10:00:00Z") for day in (8, 9, 10)]
    made.records.append(call("unplaced", ""))
    made.sync(since=NOW - timedelta(days=3))
    yield made
    made.ledger.close()


def remove(bench: Bench, before: date = FIRST) -> Any:
    bench.ledger = JsonLedger(bench.archive)
    return retire(bench.archive, bench.ledger, bench.ledger.kept()[0], before)


def assert_retired(bench: Bench) -> None:
    assert sorted(bench.kept()) == ["2026-11-11", "2026-11-12", UNKNOWN]
    assert bench.states()[:2] == ["retired", "retired"]
    assert not list(differences(bench.archive, bench.ledger.files()))
    for how in ({}, {"only_holes": True}, {"since": NOW - timedelta(days=5)}, {"shrink": True}):
        outcome = bench.sync(**how)
        assert (outcome.missing, outcome.failed, outcome.lost) == ([], {}, [])
        assert all(one.since.date() >= FIRST for one in bench.asked)
    assert sorted(bench.kept()) == ["2026-11-11", "2026-11-12", UNKNOWN]


def test_old_days_go_and_are_never_read_again(bench: Bench) -> None:
    bench.aside("2026-11-10").write_text("{}\n")
    found = old_days(bench.archive, bench.ledger, bench.ledger.kept()[0], FIRST)  # type: ignore[arg-type]
    assert (found.days, found.records) == (2, 2)
    assert len(bench.kept()) == 5
    assert remove(bench) == found
    assert not list(bench.archive.folder.rglob("date=2026-11-10"))
    assert_retired(bench)
    assert remove(bench).days == 0
    assert remove(bench, date(2026, 11, 9)).before == FIRST, "what is removed does not come back"


@pytest.mark.parametrize("lost", ["nothing", "ledger", "rebuilt"])
def test_the_ledger_is_not_needed_to_know_what_was_removed(bench: Bench, lost: str) -> None:
    before = bench.ledger.kept()[0].begins
    remove(bench)
    if lost == "ledger":
        ledger_path(bench.archive, "acme", "cdrs").unlink()
    if lost == "rebuilt":
        ledger_path(bench.archive, "acme", "cdrs").unlink()
        assert rebuild_ledger(bench.archive, {"acme": "test"}, NOW) == []
    bench.ledger = JsonLedger(bench.archive)
    assert bench.ledger.kept()[0].begins == before
    assert_retired(bench)


def test_an_interrupted_removal_is_finished_by_the_next_and_no_hole_in_between(bench: Bench) -> None:
    real = {name: getattr(os, name) for name in ("replace", "unlink", "rmdir")}
    count = at = 0

    def step(name: str) -> Any:
        def operation(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise KeyboardInterrupt
            return real[name](*arguments, **more)

        return operation

    interrupted = 0
    while at < 30:
        count, at = 0, at + 1
        with pytest.MonkeyPatch.context() as patch:
            for name in real:
                patch.setattr(os, name, step(name))
            try:
                remove(bench)
            except KeyboardInterrupt:
                interrupted += 1
        bench.ledger = JsonLedger(bench.archive)
        states = bench.states()[:2]
        assert states == (["retired"] * 2 if retired_path(bench.archive, "acme", "cdrs").exists() else ["complete"] * 2)
    assert interrupted > 3
    assert_retired(bench)


def test_a_window_over_retired_days_is_not_complete(bench: Bench) -> None:
    remove(bench)
    kept = bench.ledger.kept()[0]
    source = ArchivedCalls(bench.archive, bench.ledger, [kept]).read(kept, CALL)
    window = Window(datetime(2026, 11, 8, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC))
    gaps = [one for one in archived_events(source, window, NOW, "cdrctl sync acme") if isinstance(one, Gap)]
    assert len(gaps) == 1
    assert not [
        one
        for one in archived_events(source, replace(window, since=datetime(2026, 11, 11, tzinfo=UTC)), NOW, "")
        if isinstance(one, Gap)
    ]
    bench.now += timedelta(days=3)
    bench.sync()
    days = [*_days(bench)]
    status = ArchivedCall(kept, CALL, bench.ledger.readings("acme", "cdrs"), bench.ledger.files(), days)
    found = completeness(status, Bounds(window.since, window.until), UTC, bench.now)
    assert found.lacking == {"retired": [date(2026, 11, day) for day in (8, 9, 10)]}
    assert completeness(status, Bounds(None, window.until), UTC, bench.now).lacking == {}


def _days(bench: Bench) -> Iterator[Any]:
    from cdrctl.archive.calendar import coverage

    kept, files = bench.ledger.kept()[0], bench.ledger.files()
    yield from coverage(bench.archive, CALL, kept, bench.ledger.readings("acme", "cdrs"), files, bench.now)


def test_a_clock_that_is_ahead_removes_nothing(bench: Bench) -> None:
    assert isinstance(bench.ledger, JsonLedger)
    check_clock(bench.ledger, bench.ledger.kept(), NOW + timedelta(days=6))
    with pytest.raises(ConfigurationError):
        check_clock(bench.ledger, bench.ledger.kept(), NOW + timedelta(days=40))


def test_a_conversion_carries_over_what_was_removed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "call_of", lambda _kept: CALL)
    remove(bench)
    toml = bench.archive.folder / "archive.toml"
    toml.write_text(toml.read_text() + "\n[retain]\ndays = 30\n")
    assert convert(bench.archive.folder, tmp_path / "new", "jsonl", lambda _text: None).left == []
    bench.archive = open_archive(tmp_path / "new")
    assert bench.archive.settings.retain_days == 30
    bench.ledger = JsonLedger(bench.archive)
    assert_retired(bench)


@pytest.mark.parametrize("policy", ["days = 0", "days = '3'", "days = true", "day = 3"])
def test_a_policy_that_cannot_be_read_is_refused(bench: Bench, policy: str) -> None:
    toml = bench.archive.folder / "archive.toml"
    toml.write_text(toml.read_text() + f"\n[retain]\n{policy}\n")
    with pytest.raises(UsageError):
        open_archive(bench.archive.folder)
