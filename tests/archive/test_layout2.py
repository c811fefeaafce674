"""The files and ledgers of an archive: what is in a row, what is beside it, and what a copy without it loses."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace
from pyarrow.dataset import dataset

from cdrctl.archive import files, layout2
from cdrctl.archive.dayfile import NewDay, rows_of
from cdrctl.archive.index import UNPLACED, Entry, instant_text, instant_texts
from cdrctl.archive.intervals import Reading
from cdrctl.archive.layout2 import READINGS, load, recover, save
from cdrctl.archive.ledger2 import ledger_path
from cdrctl.archive.ledgers import call_lock, open_ledger
from cdrctl.archive.lines import csv_line
from cdrctl.archive.owner import Account
from cdrctl.archive.store import FORMATS, UNKNOWN, open_archive, open_or_create
from cdrctl.archive.verify import differences, rebuild_ledger
from cdrctl.errors import IncompleteError, LockedError, OutputError
from cdrctl.records.columns import Column
from cdrctl.windows import Window
from cdrctl.writers.values import json_of, text_of
from tests.archive.sync_kit import NOW, Bench, call, new_bench
from tests.support.examples import examples
from tests.support.products import for_each

COLUMNS = (
    Column("id", "id"),
    Column("start_time", "at", "time"),
    Column("cost", "cost", "money"),
    Column("seconds", "seconds", "seconds"),
    Column("answered", "answered", "boolean"),
    Column("parts", "parts", "list"),
)
DAY = "2026-11-11"
WINDOW = Window(datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC))
READING = Reading(WINDOW, "done", NOW, 2)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["2026-11-11T08:00:00.000Z", "1.50", "0.10", "-0", "00", "1e3", "1" * 40, "\ud800", "=1", '"', "a,b"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {column.name: VALUES for column in COLUMNS},
        optional={"new": VALUES, "extra": VALUES, "_key": VALUES, "": VALUES},
    ),
    max_size=6,
)


@pytest.fixture(params=FORMATS)
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = new_bench(tmp_path / "archive", request.param)
    yield made
    made.ledger.close()


def read_plainly(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file as a program reads them that knows nothing of archives."""
    if path.suffix == ".parquet":
        return [dict(row) for row in pq.read_table(path).to_pylist()]
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = content.decode()
    if ".csv" in path.name:
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return [json.loads(line) for line in text.splitlines()]


def ids(bench: Bench, day: str = DAY) -> list[str]:
    path = bench.path(day)
    return [row["id"] for row in read_plainly(path)] if path.exists() else []


# What is in a file


@pytest.mark.slow
@given(records=RECORDS, form=st.sampled_from([form for form in FORMATS if "csv" not in form]))
@examples(200)
def test_records_come_back_as_they_were_kept(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], form: str
) -> None:
    path = tmp_path_factory.mktemp("day") / f"cdrs.{form}"
    names = [column.name for column in COLUMNS]
    ordered = [{**{name: record[name] for name in names}, **record} for record in records]
    lines = [json_of(record) + b"\n" for record in ordered]
    entries = [Entry(at or UNPLACED, bytes([at]) * 15, line) for at, line in enumerate(lines)]
    gone = {entry.key: NOW for entry in entries[::2]}
    rows = rows_of(entries, gone)
    save(path, NewDay(COLUMNS, b"", lambda: rows, len(rows), [READING]))
    found = load(path)
    assert found is not None
    assert [json.loads(one.line) for one in found.entries] == [json.loads(line) for line in lines]
    assert [one.line for one in found.entries] == lines
    assert [one[:2] for one in found.entries] == [one[:2] for one in entries]
    assert (found.gone, found.readings) == (gone, [READING])


@given(records=st.lists(st.lists(VALUES.map(text_of), min_size=3, max_size=3), max_size=6))
@examples(30)
def test_csv_records_come_back_as_they_were_kept(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("day") / "cdrs.csv"
    lines = [csv_line(record) for record in records]
    entries = [Entry(at or UNPLACED, bytes([at]) * 15, line) for at, line in enumerate(lines)]
    gone = {entry.key: NOW for entry in entries[::2]}
    rows = rows_of(entries, gone)
    save(path, NewDay(COLUMNS, csv_line(["id", "a", "b"]), lambda: rows, len(rows), [READING]))
    found = load(path)
    assert found is not None
    assert (found.entries, found.gone, found.header) == (entries, gone, csv_line(["id", "a", "b"]))


def test_each_row_says_what_it_is(bench: Bench) -> None:
    bench.records.append(call("unplaced", ""))
    bench.sync()
    first, second = read_plainly(bench.path(DAY))
    assert len({first["_key"], second["_key"]}) == 2
    assert len(first["_key"]) == 30
    assert [str(row["_start"])[:13].replace(" ", "T") for row in (first, second)] == [f"{DAY}T08", f"{DAY}T09"]
    assert not read_plainly(bench.path(UNKNOWN))[0]["_start"]
    bench.records = bench.records[1:]
    bench.sync()
    gone, there = read_plainly(bench.path(DAY))
    assert gone["_gone_at"]
    assert not there.get("_gone_at")


def test_every_format_can_be_added_to(bench: Bench) -> None:
    bench.sync()
    bench.records.insert(1, call("between", "2026-11-11T08:30:00Z", 'a "quoted", name\nof \u202etwo lines\r\n'))
    assert bench.sync().late == 1
    assert ids(bench) == ["a", "between", "b"]
    assert bench.sync().changed == 0
    assert read_plainly(bench.path(DAY))[1]["word"] == 'a "quoted", name\nof \u202etwo lines\r\n'


def test_an_unchanged_day_is_not_written_again(bench: Bench) -> None:
    bench.sync()
    before = bench.path(DAY).stat().st_ino
    bench.now += timedelta(hours=1)
    bench.sync()
    assert bench.path(DAY).stat().st_ino == before
    assert max(one.read_at for one in bench.ledger.readings("acme", "cdrs")[DAY] if one.read_at) == bench.now


def test_a_response_that_came_before_is_not_merged_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.sync()
    bench.sync()

    def refuse(*_: object) -> None:
        raise AssertionError("the file is read")

    monkeypatch.setattr(layout2, "rows_in", refuse)
    bench.records.reverse()
    assert bench.sync().changed == 0
    assert ids(bench) == ["a", "b"]


@pytest.mark.thin
@pytest.mark.parametrize("how", ["changed", "replaced", "dropped", "moved"])
def test_a_response_of_as_many_records_is_merged_if_one_differs(bench: Bench, how: str) -> None:
    bench.sync()
    other = {
        "changed": call("a", "2026-11-11T08:00:00Z", "other"),
        "replaced": call("new", "2026-11-11T08:30:00Z"),
        "moved": call("a", "2026-11-11T08:30:00Z"),
    }
    bench.records = [*([other[how]] if how != "dropped" else []), *bench.records[1:]]
    for _ in range(2):
        outcome = bench.sync()
        assert (outcome.gone_on == {DAY: 1}) == (how in {"replaced", "dropped"})
    assert ids(bench) == {"replaced": ["a", "new", "b"]}.get(how, ["a", "b"])
    assert bench.sync(shrink=True).gone == (how in {"replaced", "dropped"})


def test_a_program_that_reads_the_folder_of_a_profile_finds_its_records(tmp_path: Path) -> None:
    """The folders have columns named date, call and profile; a column of the provider may have one of these names."""
    made = new_bench(tmp_path / "archive", "parquet")
    made.call = replace(made.call, columns=(*made.call.columns, Column("date", "word")))
    made.account = Account("test", "host", {})
    made.records[0]["word"] = "of the provider"
    made.sync()
    made.path(DAY).write_bytes(made.path(DAY).read_bytes()[:-1])
    made.sync()
    assert made.aside(DAY).exists()
    table = dataset(made.archive.profile_folder("acme"), partitioning="hive").to_table()
    assert sorted(table["id"].to_pylist()) == ["a", "b", "c"]
    assert sorted(table["date"].to_pylist()) == [DAY, DAY, "2026-11-12"]
    assert "of the provider" in table["date_"].to_pylist()
    first = next(iter(load(made.path(DAY)).rows()))  # type: ignore[union-attr]
    assert json.loads(first.line)["date"] == "of the provider"
    made.ledger.close()


def test_a_file_that_changes_before_it_is_written_stays_and_the_next_run_merges_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.sync()
    bench.records.append(call("new", "2026-11-11T10:00:00Z"))
    changes = iter([b" "])

    def save_after_a_change(*arguments: Any, **named: Any) -> tuple[str, int]:
        _append(bench.path(DAY), next(changes, b""))
        return files.save(*arguments, **named)

    monkeypatch.setattr("cdrctl.archive.day.save", save_after_a_change)
    outcome = bench.sync()
    assert bench.path(DAY).name in outcome.failed[DAY]
    assert bench.path(DAY).read_bytes().endswith(b" ")
    assert not bench.aside(DAY).exists()
    outcome = bench.sync()
    assert ids(bench) == ["a", "b", "new"]
    assert bench.aside(DAY).read_bytes().endswith(b" ")
    assert sum(str(bench.path(DAY)) in text for text in bench.said) >= 1


def _append(path: Path, more: bytes) -> None:
    if more:  # as editors do: another file takes its place
        content = path.read_bytes() + more
        path.unlink()
        path.write_bytes(content)


def test_a_file_that_changes_while_it_is_read_is_incomplete(bench: Bench) -> None:
    bench.records += [call(f"r{n}", "2026-11-11T10:00:00Z", random.Random(n).randbytes(500).hex()) for n in range(300)]
    bench.sync()
    found = load(bench.path(DAY))
    assert found is not None
    bench.path(DAY).write_bytes(b"another program")
    with pytest.raises(IncompleteError):
        list(found.rows())


# What is beside it


@pytest.mark.parametrize("lost", ["readings", "ledger", "both"])
def test_a_copy_without_what_is_beside_the_records_loses_none(bench: Bench, lost: str) -> None:
    bench.records += [call(f"r{n}", f"2026-11-11T10:00:{n:02}Z") for n in range(20)]
    bench.sync()
    before = ids(bench)
    if lost != "ledger":
        (bench.path(DAY).parent / READINGS).unlink()
    if lost != "readings":
        shutil.rmtree(bench.archive.folder / "_cdrctl")
    bench.ledger = open_ledger(bench.archive)
    bench.records = bench.records[:3]
    outcome = bench.sync(since=NOW - timedelta(days=2))
    assert ids(bench) == before
    assert outcome.gone_on == {DAY: 20}


@pytest.mark.thin
@pytest.mark.parametrize("how", ["first line", "half", "foreign", "empty"])
def test_an_edited_file_is_moved_aside_and_its_readable_rows_stay(bench: Bench, how: str) -> None:
    bench.records += [call(f"r{n}", f"2026-11-11T10:00:{n:02}Z") for n in range(20)]
    bench.sync()
    path = bench.path(DAY)
    content = path.read_bytes()
    text = path.suffix in {".jsonl", ".csv"}
    changed = {
        "first line": b"".join(content.splitlines(keepends=True)[1:]) if text else content[:-3],
        "half": content[: len(content) // 2],
        "foreign": b'{"id": "x"}\n',
        "empty": b"",
    }[how]
    path.write_bytes(changed)
    everything = list(bench.records)
    bench.records = bench.records[:2]
    outcome = bench.sync()
    assert outcome.failed.keys() >= {DAY}, "records are missing"
    assert bench.aside(DAY).read_bytes() == changed
    assert set(ids(bench)) >= {"a", "b"}
    bench.records = everything
    bench.sync()
    assert sorted(ids(bench)) == sorted(one["id"] for one in everything if one["id"] != "c")


def test_verify_names_what_differs(bench: Bench) -> None:
    bench.sync()
    assert list(differences(bench.archive, bench.ledger.files())) == []
    content = bench.path(DAY).read_bytes()
    bench.path(DAY).write_bytes(content[:-1])
    (found,) = differences(bench.archive, bench.ledger.files())
    assert found.path == bench.path(DAY).relative_to(bench.archive.folder).as_posix()
    bench.path(DAY).unlink()
    assert [one.what for one in differences(bench.archive, bench.ledger.files())] == ["is missing"]


def test_rows_without_a_key_are_recovered_by_their_start(tmp_path: Path) -> None:
    path = tmp_path / "cdrs.jsonl"
    path.write_text('{"id": "a", "start_time": "2026-11-11T08:00:00Z"}\n{"id": "b"}\nhalf', encoding="utf-8")
    found = recover(path, WINDOW, ("start_time",), b"")
    assert [json.loads(one.line)["id"] for one in found.file.entries] == ["a"]
    assert (found.unread, found.expected) == (2, 3)


# The ledgers


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Bench]:
    made = new_bench(tmp_path / "archive")
    yield made
    made.ledger.close()


def test_a_rebuild_gives_the_same_ledger(plain: Bench) -> None:
    plain.sync(since=NOW - timedelta(days=3))
    path = ledger_path(plain.archive, "acme", "cdrs")
    before = json.loads(path.read_bytes())
    assert rebuild_ledger(plain.archive, {"acme": "test"}, NOW) == []
    assert json.loads(path.read_bytes()) == before
    path.unlink()
    assert rebuild_ledger(plain.archive, {"acme": "test"}, NOW) == []
    assert json.loads(path.read_bytes()) == before


WRONG: list[Any] = [None, "x", -1, 10**400, "0001-01-01T00:00:00Z", [], {}, True]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a JSON document."""
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


@pytest.mark.slow
def test_wrong_values_are_reported_and_mended_by_a_rebuild(plain: Bench) -> None:
    plain.sync()
    path = ledger_path(plain.archive, "acme", "cdrs")
    good = path.read_bytes()
    before = sorted(plain.archive.folder.rglob("cdrs.jsonl"))
    for place in places(json.loads(good)):
        for wrong in WRONG:
            document = json.loads(good)
            inner = document
            for key in place[:-1]:
                inner = inner[key]
            if inner[place[-1]] == wrong:
                continue
            inner[place[-1]] = wrong
            path.write_text(json.dumps(document), encoding="utf-8")
            ledger = open_ledger(plain.archive)
            with suppress(OutputError):
                ledger.kept()
                ledger.readings("acme", "cdrs")
                ledger.files()
            rebuild_ledger(plain.archive, {}, NOW)
            assert open_ledger(plain.archive).readings("acme", "cdrs").keys() >= {DAY}, (place, wrong)
    assert sorted(plain.archive.folder.rglob("cdrs.jsonl")) == before


def test_one_run_writes_a_call_and_others_write_other_calls(plain: Bench) -> None:
    with call_lock(plain.archive, "acme", "cdrs"), call_lock(plain.archive, "acme", "stream"):
        with pytest.raises(LockedError), call_lock(plain.archive, "acme", "cdrs"):
            pass
        with pytest.raises(LockedError):
            rebuild_ledger(replace(plain.archive), {}, NOW) if plain.sync() else None


@for_each("text", ['layout = 3\nzone = "UTC"\nformat = "jsonl"', 'zone = "UTC"\nformat = "parquet"', "layout = []"])
def test_a_layout_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "archive.toml").write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=r"archive\.toml") as failed:
        open_archive(tmp_path)
    assert getattr(failed.value, "exit_code", None) == 2


def test_a_profile_whose_folder_cannot_be_read_is_left_out_of_no_list(plain: Bench) -> None:
    """A link that leads to itself cannot be read by anybody, whatever their permissions are."""
    plain.sync()
    folder = plain.archive.profile_folder("acme")
    folder.rename(plain.archive.folder / "moved")
    folder.symlink_to(folder.name)
    assert open_ledger(plain.archive).names() == [("acme", "cdrs")], "its ledger tells"
    shutil.rmtree(plain.archive.folder / "_cdrctl" / "ledger")
    with pytest.raises(OutputError, match="acme"):
        open_ledger(plain.archive).names()
    ledgers = plain.archive.folder / "_cdrctl" / "ledger"
    ledgers.symlink_to(ledgers.name)
    folder.unlink()
    with pytest.raises(OutputError, match="ledger"):
        open_ledger(plain.archive).names()


def test_new_archives_have_the_present_layout(tmp_path: Path) -> None:
    archive = open_or_create(tmp_path / "archive", None, None)
    assert (archive.layout, archive.form) == (2, "parquet")
    assert open_archive(tmp_path / "archive") == archive


@pytest.mark.parametrize("at", [0, 59_999, 60_000, -1, 1_794_211_200_123, 253_402_300_799_999])
def test_many_instants_are_written_as_one_is(at: int) -> None:
    assert instant_texts([None, at, at]) == [None, instant_text(at), instant_text(at)]


def test_an_instant_that_python_does_not_have_is_refused() -> None:
    with pytest.raises(OverflowError):
        instant_texts([0, 2**60])


def test_times_in_parquet_come_back_whatever_their_unit_and_year() -> None:
    """Most come back without pyarrow's functions, which take a while to load; finer ones are refused, not cut off."""
    pa = pytest.importorskip("pyarrow")
    from cdrctl.archive.columnar import _plain

    at = 1_794_211_200_123
    for unit, factor in (("ms", 1), ("us", 1000)):
        column = pa.array([at * factor, None], pa.timestamp(unit, "UTC"))
        assert _plain(column, False) == ["2026-11-09T08:00:00.123Z", None]
    with pytest.raises(pa.ArrowInvalid):
        _plain(pa.array([at * 1000 + 1], pa.timestamp("us", "UTC")), False)
