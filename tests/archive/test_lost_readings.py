"""Files whose `_readings.json` is lost or damaged: copied without it, or changed by another program."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl.archive.files import load
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.lines import columns_of, fields_of
from cdrctl.archive.store import FIRST_LAYOUT, FORMATS, LAYOUT, UNKNOWN, day_files
from cdrctl.archive.verify import differences, rebuild_ledger
from tests.archive.sync_kit import NOW, Bench, call, new_bench
from tests.archive.test_settled import DAY, OPEN, OTHER, SINCE


def bench_in(folder: Path, form: str, layout: int = LAYOUT) -> Bench:
    """Return an archive with two days that are settled and one that may still change."""
    made = new_bench(folder, form, layout)
    made.records = [call(f"{day}-{n}", f"{day}T08:{n:02}:00Z") for day in (DAY, OTHER, OPEN) for n in range(9)]
    made.now = NOW - timedelta(days=1)
    made.sync(since=SINCE)
    made.now = NOW
    made.sync()
    return made


@pytest.fixture(params=FORMATS)
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = bench_in(tmp_path / "archive", request.param)
    yield made
    made.ledger.close()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Bench]:
    made = bench_in(tmp_path / "archive", "jsonl")
    yield made
    made.ledger.close()


def no_longer_kept(bench: Bench) -> None:
    """Let the provider keep its records for a day only."""
    bench.call = replace(bench.call, timing=replace(bench.call.timing, retention=timedelta(days=1)))
    bench.records = [one for one in bench.records if one["id"].startswith(OPEN)]


def rebuild(bench: Bench) -> list[str]:
    """Rebuild the ledger and return what differed."""
    bench.ledger.close()
    found = rebuild_ledger(bench.archive, {"acme": "test"}, bench.now)
    bench.ledger = open_ledger(bench.archive)
    return [f"{Path(one.path).parent.name[5:]} {one.what}" for one in found]


def readable(bench: Bench) -> list[str]:
    """Return the ids in the files that commands read, by day and start."""
    found: list[str] = []
    for path in day_files(bench.archive):
        file = load(bench.archive, path)
        lines = [] if file is None else [(row.line, file.header) for row in file.rows()]
        found += [(fields_of(line, columns_of(header)) or {})["id"] for line, header in lines]
    return found


def test_a_settled_day_gets_its_readings_again_without_a_request(bench: Bench) -> None:
    bench.path(DAY).with_name("_readings.json").unlink()
    had = [one["id"] for one in bench.records]
    no_longer_kept(bench)
    outcome = bench.sync()
    assert (outcome.failed, outcome.missing) == ({}, [])
    assert readable(bench) == had
    assert any("had lost its _readings.json" in one for one in bench.said)
    assert all(window.since > SINCE + timedelta(days=1) for window in bench.asked)
    assert bench.states()[0] == "complete"
    assert [*differences(bench.archive, bench.ledger.files())] == []


def test_a_changed_file_without_readings_gets_none_from_the_ledger(plain: Bench) -> None:
    path = plain.path(DAY)
    changed = path.read_bytes().replace(f"{DAY}-0".encode(), f"{DAY}-x".encode())
    path.write_bytes(changed)
    path.with_name("_readings.json").unlink()
    plain.sync()
    assert plain.asked[0].since == SINCE
    assert plain.aside(DAY).read_bytes() == changed


def test_a_settled_day_of_the_first_layout_without_its_index_is_read_again(tmp_path: Path) -> None:
    bench = bench_in(tmp_path / "archive", "jsonl", FIRST_LAYOUT)
    for one in bench.path(DAY).parent.glob(".cdrs.*.index"):
        one.unlink()
    bench.sync()
    assert bench.asked[0].since == SINCE
    assert len(readable(bench)) == len(bench.records)
    bench.ledger.close()


@pytest.mark.parametrize("damage", ["", "[]", '{"files": {"', '{"files": {}}'])
def test_a_rebuild_gives_a_file_that_is_unchanged_its_readings_of_the_ledger(plain: Bench, damage: str) -> None:
    before = plain.ledger.readings("acme", "cdrs")
    plain.path(DAY).with_name("_readings.json").write_text(damage)
    assert rebuild(plain) == [f"{DAY} had no entry in _readings.json: it was written again"]
    assert plain.ledger.readings("acme", "cdrs") == before
    assert len(readable(plain)) == len(plain.records)


def test_a_copy_without_names_that_begin_with_an_underscore_can_be_read_after_a_rebuild(bench: Bench) -> None:
    had = [one["id"] for one in bench.records]
    no_longer_kept(bench)
    shutil.rmtree(bench.archive.folder / "_cdrctl")
    for one in bench.archive.folder.rglob("_*"):
        one.unlink()
    assert readable(bench) == []
    assert len(rebuild(bench)) == len(day_files(bench.archive))
    assert readable(bench) == had
    bench.sync()
    assert readable(bench) == had
    assert bench.states() == ["beyond"] * 4 + ["open"]


def test_a_changed_file_that_is_accepted_is_no_complete_day(plain: Bench) -> None:
    no_longer_kept(plain)
    path = plain.path(DAY)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]))
    assert DAY in plain.sync().failed
    assert "its records are kept" in rebuild(plain)[0]
    assert readable(plain)[:2] == [f"{DAY}-1", f"{DAY}-2"]
    plain.sync()
    assert plain.states()[0] == "beyond"
    assert path.read_bytes() == b"".join(lines[1:])


def test_an_accepted_day_is_read_again_while_the_provider_has_it(plain: Bench) -> None:
    path = plain.path(DAY)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    rebuild(plain)
    plain.sync()
    assert readable(plain) == [one["id"] for one in plain.records]
    assert plain.states()[0] == "complete"


def test_records_without_a_start_are_accepted(plain: Bench) -> None:
    plain.records.append(call("odd", ""))
    plain.sync()
    plain.path(UNKNOWN).with_name("_readings.json").unlink()
    rebuild(plain)
    assert "odd" in readable(plain)


@pytest.mark.parametrize("how", ["other day", "twice", "cut", "other profile"])
def test_a_file_whose_rows_do_not_say_what_they_are_is_not_accepted(plain: Bench, how: str) -> None:
    path = plain.path(DAY)
    described, lines = path.with_name("_readings.json"), path.read_bytes().splitlines(keepends=True)
    if how == "other profile":
        plain.archive.path("other", "cdrs", DAY).parent.mkdir(parents=True)
        described.write_text(json.dumps(json.loads(described.read_text())).replace("acme/cdrs", "other/cdrs"))
    else:
        described.unlink()
    content = {
        "other day": plain.path(OTHER).read_bytes(),
        "twice": b"".join([lines[0], *lines]),
        "cut": b"".join(lines)[:-9],
        "other profile": b"".join(lines),
    }[how]
    path.write_bytes(content)
    (what,) = rebuild(plain)
    assert "its day will be read again" in what
    assert "its records are kept" not in what
    assert not any(one.startswith(DAY) for one in readable(plain))
    assert path.read_bytes() == content
