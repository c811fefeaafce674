"""What the ledger says of complete days is the same whether or not these days are parsed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive.ledger2 import ledger_path
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.status import archived_calls, call_status
from cdrctl.archive.store import Archive, open_archive
from tests.archive.sync_kit import CALL, NOW, Bench, call, new_bench
from tests.support.products import for_each

OLD = "2026-11-07"
OPTIONS = '{"descendants":true}'


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench whose archive has complete days, of which one had a late record, as an archive of Kazoo."""
    made = new_bench(tmp_path / "archive")
    made.records += [call("old", f"{OLD}T08:00:00Z")]
    made.sync(since=NOW - timedelta(days=8))
    made.records += [call("late", f"{OLD}T09:00:00Z")]
    made.sync(sweep=timedelta(days=8))
    made.ledger.close()
    path = ledger_path(made.archive, "acme", CALL.name)
    path.write_text(path.read_text().replace('"provider":"test"', '"provider":"kazoo"'))
    return made


def told(archive: Archive, *, parsed: bool) -> dict[str, Any]:
    """Return what the ledger says of the call.

    Args:
        archive: The archive.
        parsed: Parse all days first.
    """
    with closing(open_ledger(archive, read_only=True)) as ledger:
        if parsed:
            ledger.readings("acme", CALL.name)
        (found,) = archived_calls(archive, ledger, NOW, [("acme", CALL.name)])
        assert bool(found.complete.days) is not parsed or archive.settings.tables
        files = {day: (one.sha256, one.records, one.bytes) for day, one in found.all_files().items()}
        return {"days": found.days, "files": files, "late": found.lateness, "status": call_status(found, NOW)}


def _changed_day(bench: Bench, **values: object) -> None:
    path = ledger_path(bench.archive, "acme", CALL.name)
    plain = json.loads(path.read_bytes())
    plain["days"][OLD]["readings"][0].update(values)
    path.write_text(json.dumps(plain))


CHANGES: tuple[Callable[[Bench], object], ...] = (
    lambda _bench: None,
    lambda bench: bench.path(OLD).write_bytes(b""),
    lambda bench: bench.path(OLD).unlink(),
    lambda bench: _changed_day(bench, options=OPTIONS),
    lambda bench: _changed_day(bench, read_at=f"{OLD}T23:00:00Z"),
    lambda bench: _changed_day(bench, read_at="2026-11-12T02:31:00Z"),
    lambda bench: _changed_day(bench, state="failed", error="it said no"),
)


@pytest.mark.parametrize("change", CHANGES)
def test_days_that_are_not_parsed_are_told_as_parsed_ones(bench: Bench, change: Callable[[Bench], object]) -> None:
    change(bench)
    quick, slow = told(bench.archive, parsed=False), told(bench.archive, parsed=True)
    assert quick == slow
    assert quick["late"].keys() == slow["late"].keys()


def test_it_is_the_newest_reading_and_the_late_record_of_a_day_that_is_not_parsed(bench: Bench) -> None:
    _changed_day(bench, read_at="2026-11-12T02:31:00Z")
    found = told(bench.archive, parsed=False)
    assert found["status"].last_success is not None
    assert f"{found['status'].last_success:%H:%M}" == "02:31"
    assert (found["status"].late, found["late"][OLD].late) == (1, 1)
    assert found["status"].records == sum(records for _, records, _ in found["files"].values()) == 5


@for_each("tables", ["", "[providers.kazoo.cdrs]\ndescendants = true\n"])
def test_days_without_what_the_options_ask_for_now_are_outdated(bench: Bench, tables: str) -> None:
    path = bench.archive.folder / "archive.toml"
    path.write_text(path.read_text() + tables)
    archive = open_archive(bench.archive.folder)
    found = told(archive, parsed=False)
    assert found == told(archive, parsed=True)
    assert any(day.outdated for day in found["days"]) is bool(tables)
