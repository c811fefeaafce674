"""`convert`: the new archive has what the old one had, and the next sync goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive import convert as converting
from cdrctl.archive.casting import cast
from cdrctl.archive.convert import Conversion, convert
from cdrctl.archive.files import load, recover
from cdrctl.archive.index import FROM_LINE
from cdrctl.archive.ledger import lock
from cdrctl.archive.ledgers import call_lock, open_ledger
from cdrctl.archive.outcome import Outcome
from cdrctl.archive.owner import Account
from cdrctl.archive.store import (
    CONVERSION,
    FIRST_LAYOUT,
    FORMATS,
    LAYOUT,
    UNKNOWN,
    call_files,
    open_archive,
    open_or_create,
)
from cdrctl.archive.verify import differences
from cdrctl.errors import LockedError, OutputError, UsageError
from cdrctl.records.events import Gap
from tests.archive.sync_kit import CALL, NOW, Bench, call, new_bench

DAY = "2026-11-11"
KEPT = {".jsonl", ".gz", ".csv", ".parquet", ".json", ".index", ".toml", ".sqlite3"}
"""The files of an archive; others come and go with connections of SQLite."""
CASES = [(FIRST_LAYOUT, "jsonl", "parquet"), (FIRST_LAYOUT, "jsonl", "csv"), (FIRST_LAYOUT, "csv.gz", "jsonl")]
CASES += [(LAYOUT, "parquet", "csv.gz"), (LAYOUT, "csv", "jsonl.gz")]


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program know the test's provider."""
    monkeypatch.setattr(converting, "call_of", lambda _kept: CALL)


def used(folder: Path, form: str = "jsonl", layout: int = FIRST_LAYOUT) -> Bench:
    """Return a bench with an archive that has seen everything: late, gone, twin, unplaced and failed records."""
    bench = new_bench(folder, form, layout)
    bench.account = Account("test", "host", {"id": "1"})
    bench.records += [
        call("unplaced", "", "x"),
        call("g", "2026-11-11T10:00:00Z", 'a "word", 1'),
        {"id": "n", "at": "2026-11-11T11:00:00Z", "word": None, "new": {"deep": [1, "2"]}, "flag": True},
        {"id": "n", "at": "2026-11-11T11:00:00Z", "word": "twin"},
    ]
    bench.sync(since=NOW - timedelta(days=3))
    bench.now += timedelta(hours=1)
    del bench.records[4]
    bench.sync()
    bench.fault = lambda window: Gap("lost a page") if window.since.day == 12 else None
    bench.now += timedelta(hours=1)
    bench.sync()
    bench.fault = lambda _window: None
    return bench


def converted(bench: Bench, folder: Path, form: str | None = "jsonl") -> tuple[Conversion, Bench]:
    """Convert the archive of a bench, and return a bench with the new archive and the same provider."""
    done = convert(bench.archive.folder, folder, form, lambda _text: None)
    archive = open_archive(folder)
    return done, replace(bench, archive=archive, ledger=open_ledger(archive), asked=[], said=[])


def facts(bench: Bench) -> dict[str, Any]:
    """Return what an archive has, whatever its layout and format."""
    found = {}
    for path in call_files(bench.archive, "acme", "cdrs"):
        file = load(bench.archive, path)
        assert file is not None
        found[path.parent.name] = sorted((one.start, one.key) for one in file.entries), file.gone, file.readings
    readings = bench.ledger.readings("acme", "cdrs")
    counts = [(one.day, one.records) for one in bench.ledger.files()]
    return {"days": found, "readings": readings, "files": counts, "kept": bench.ledger.kept(), "states": bench.states()}


def results(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in Outcome.__struct_fields__}


@pytest.mark.slow
@pytest.mark.thin
@pytest.mark.parametrize(("layout", "old", "new"), CASES)
def test_a_sync_into_the_new_archive_goes_on_as_into_the_old_one(
    tmp_path: Path, layout: int, old: str, new: str
) -> None:
    first = used(tmp_path / "old", old, layout)
    before = {path: path.read_bytes() for path in sorted((tmp_path / "old").rglob("*")) if path.suffix in KEPT}
    done, second = converted(first, tmp_path / "new", new)
    assert (done.left, done.records) == ([], sum(one.records for one in first.ledger.files()))
    assert {path: path.read_bytes() for path in before} == before
    assert facts(second) == facts(first)
    assert len(facts(second)["days"][f"date={UNKNOWN}"][0]) == 1
    assert facts(second)["days"][f"date={DAY}"][1], "a record is marked as gone"
    assert not list(differences(second.archive, second.ledger.files()))
    for hours in (1, 30, 60):
        for bench in (first, second):
            bench.now = NOW + timedelta(hours=2 + hours)
            bench.records[-1] = {**bench.records[-1], "word": f"changed {hours}"}
            bench.records = [*bench.records, call(f"late {hours}", "2026-11-12T09:00:00Z")]
        assert results(second.sync()) == results(first.sync())
        assert second.asked == first.asked
        assert facts(second) == facts(first)
        second.records = list(first.records)


def test_every_format_can_be_converted_to_every_other_and_back(tmp_path: Path) -> None:
    bench = used(tmp_path / "0", "jsonl", LAYOUT)
    lines = [one.line for path in call_files(bench.archive, "acme", "cdrs") for one in _entries(bench, path)]
    for number, form in enumerate((*FORMATS, "jsonl"), 1):
        _, bench = converted(bench, tmp_path / str(number), form)
    again = [one.line for path in call_files(bench.archive, "acme", "cdrs") for one in _entries(bench, path)]
    assert [json.loads(line) for line in again] == [json.loads(line) for line in lines]


def _entries(bench: Bench, path: Path) -> Any:
    file = load(bench.archive, path)
    assert file is not None
    return file.entries


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = used(tmp_path / "old")
    yield made
    made.ledger.close()


def test_a_changed_file_is_named_and_the_next_sync_treats_it_as_in_the_old_archive(
    bench: Bench, tmp_path: Path
) -> None:
    path = bench.path(DAY)
    kept, dropped = path.read_bytes().split(b"\n")[:1], path.read_bytes().split(b"\n")[1:]
    path.write_bytes(b"\n".join([*kept, b"not a record", b""]))
    done, new = converted(bench, tmp_path / "new")
    assert [one.path for one in done.left] == [f"acme/cdrs/date={DAY}/cdrs.jsonl"]
    lines = recover(new.archive, new.path(DAY), None, CALL.alike, b"").file
    assert [one.key[:7] for one in lines.entries] == [FROM_LINE]
    assert new.aside(DAY).read_bytes() == path.read_bytes(), "what cannot be read is kept, too"
    assert dropped
    assert results(new.sync()) == results(bench.sync())
    assert new.asked == bench.asked
    assert facts(new)["days"][f"date={DAY}"][0] == facts(bench)["days"][f"date={DAY}"][0]


def test_a_file_that_cannot_be_read_is_left_and_carried_over_later(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.path(DAY)
    path.rename(tmp_path / "moved")
    os.mkfifo(path)
    done, new = converted(bench, tmp_path / "new")
    assert [one.path for one in done.left] == [f"acme/cdrs/date={DAY}/cdrs.jsonl"]
    assert not new.path(DAY).exists()
    path.unlink()
    (tmp_path / "moved").rename(path)
    monkeypatch.setattr(converting, "call_of", lambda _kept: CALL)
    done, new = converted(bench, tmp_path / "new")
    assert (done.left, done.days) == ([], 1)
    assert facts(new) == facts(bench)
    assert converted(bench, tmp_path / "new")[0].already


def test_a_finished_conversion_is_not_done_again(bench: Bench, tmp_path: Path) -> None:
    _, new = converted(bench, tmp_path / "new")
    new.records.append(call("new", "2026-11-11T20:00:00Z"))
    new.sync()
    before = facts(new)
    done, new = converted(bench, tmp_path / "new")
    assert done.already
    assert facts(new) == before


def test_an_interrupted_conversion_goes_on_and_is_no_archive_until_it_ends(bench: Bench, tmp_path: Path) -> None:
    """Interrupted at each file that it writes."""
    calls = 0

    def interrupted(*arguments: Any, **more: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        real(*arguments, **more)

    real, at, folder = os.replace, 0, tmp_path / "new"
    os.replace = interrupted
    try:
        while at < 40:
            calls = 0
            at += 1
            try:
                convert(bench.archive.folder, folder, "jsonl", lambda _text: None)
            except KeyboardInterrupt:
                assert not (folder / "archive.toml").exists()
                if (folder / CONVERSION).exists():
                    with pytest.raises(UsageError):
                        open_or_create(folder, None, None)
            else:
                break
    finally:
        os.replace = real
    assert at > 5
    _, new = converted(bench, folder)
    assert facts(new) == facts(bench)
    assert not list(folder.rglob(".cdrctl-*"))


def test_nothing_is_synced_into_a_conversion_that_has_only_begun(tmp_path: Path) -> None:
    (tmp_path / CONVERSION).parent.mkdir()
    (tmp_path / CONVERSION).write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError):
        open_or_create(tmp_path, None, None)


def test_a_day_that_is_not_the_same_in_the_new_archive_is_named(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting, "cast", lambda *arguments: islice(cast(*arguments), 1, None))
    done, _ = converted(bench, tmp_path / "new")
    assert len(done.left) == sum(1 for one in bench.ledger.files() if one.records)


def test_only_a_new_folder_or_a_conversion_of_the_same_archive_is_written(bench: Bench, tmp_path: Path) -> None:
    other = used(tmp_path / "other")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "x").touch()
    converted(other, tmp_path / "new")
    within = bench.archive.folder / "new"
    for target in (tmp_path / "files", tmp_path / "other", tmp_path / "new", bench.archive.folder, within, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UsageError):
            convert(bench.archive.folder, target, None, lambda _text: None)
        assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(UsageError):
        convert(other.archive.folder, tmp_path / "new", "csv", lambda _text: None)


@pytest.mark.parametrize("layout", [FIRST_LAYOUT, LAYOUT])
def test_no_run_writes_the_old_archive_meanwhile(tmp_path: Path, layout: int) -> None:
    bench = used(tmp_path / "old", "jsonl", layout)
    held = lock(bench.archive.folder) if layout == FIRST_LAYOUT else call_lock(bench.archive, "acme", "cdrs")
    (bench.archive.folder / "_cdrctl" / "ledger" / "acme").mkdir(parents=True, exist_ok=True)
    with held, pytest.raises(LockedError):
        convert(bench.archive.folder, tmp_path / "new", None, lambda _text: None)


def test_the_account_and_files_that_were_moved_aside_are_carried_over(bench: Bench, tmp_path: Path) -> None:
    bench.aside(DAY).write_bytes(b"aside")
    account = bench.archive.profile_folder("acme") / "account.json"
    _, new = converted(bench, tmp_path / "new", "csv")
    assert (new.archive.profile_folder("acme") / "_account.json").read_bytes() == account.read_bytes()
    assert (new.path(DAY).parent / "_cdrs.jsonl.aside").read_bytes() == b"aside"


def test_a_ledger_that_is_missing_is_an_error(bench: Bench, tmp_path: Path) -> None:
    bench.ledger.close()
    for one in bench.archive.folder.glob("ledger.sqlite3*"):
        one.unlink()
    with pytest.raises(OutputError):
        convert(bench.archive.folder, tmp_path / "new", None, lambda _text: None)
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
