"""A durable record leaves an archive only when the user asks for it, whatever the provider or another hand does."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cdrctl.archive.day import GONE_ALARM
from cdrctl.archive.ledger import Ledger
from cdrctl.archive.ledgers import open_ledger
from cdrctl.archive.store import FIRST_LAYOUT, FORMATS, open_or_create, set_aside
from cdrctl.archive.verify import rebuild_ledger
from cdrctl.fetchers import PROVIDERS, Call, load
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap, Record
from tests.archive.sync_kit import CALL, NOW, Bench, bench, bench1, call
from tests.support.products import for_each

__all__ = ["bench", "bench1"]

DAY = "2026-11-11"
COLUMNS = (*CALL.columns, Column("caller", "caller"))
PARTIES: Call = replace(CALL, columns=COLUMNS, alike=("start_time", "caller"))


def calls(count: int, *, first: int = 0, prefix: str = "r") -> list[Record]:
    """Return calls of the day, a minute after each other."""
    return [
        {**call(f"{prefix}{n}", f"2026-11-11T{8 + n // 60:02}:{n % 60:02}:00Z"), "caller": f"+{1000 + n}"}
        for n in range(first, first + count)
    ]


@pytest.fixture
def many(bench: Bench) -> Bench:
    """Return an archive with fifty calls of one day."""
    bench.call, bench.records = PARTIES, calls(50)
    bench.sync()
    return bench


def ids(bench: Bench) -> set[str]:
    """Return the ids that the archive has of the day, each once."""
    found = bench.kept()[DAY]
    assert len(found) == len(set(found))
    return set(found)


def test_records_that_the_provider_drops_stay_whatever_else_comes(many: Bench) -> None:
    had = ids(many)
    late = calls(10, first=100)
    many.records = many.records[5:] + late
    outcome = many.sync()
    assert ids(many) == had | {one["id"] for one in late}
    assert (outcome.gone, outcome.gone_on, outcome.late) == (5, {DAY: 5}, 10)
    assert list(outcome.failed) == [DAY]
    assert sum("no longer at the provider" in text for text in many.said) == 1, "it is said once a run"
    outcome = many.sync(shrink=True)
    assert (outcome.gone, outcome.gone_on, outcome.failed) == (5, {}, {})
    assert ids(many) == {one["id"] for one in many.records}
    assert many.sync().gone == 0


@pytest.mark.parametrize("records", [[], calls(50, first=200)], ids=["none", "as many others"])
def test_an_answer_without_any_record_that_is_there_takes_none_away(many: Bench, records: list[Record]) -> None:
    had = ids(many)
    many.records = records
    assert many.sync().gone_on == {DAY: 50}
    assert ids(many) == had | {one["id"] for one in records}


def test_records_that_were_renumbered_are_not_there_twice(many: Bench) -> None:
    many.records = [{**one, "id": f"new-{one['id']}", "word": "changed"} for one in many.records]
    outcome = many.sync()
    assert (outcome.changed, outcome.new, outcome.late, outcome.gone, outcome.failed) == (50, 0, 0, 0, {})
    assert ids(many) == {one["id"] for one in many.records}


def test_of_two_records_that_are_alike_one_that_is_dropped_is_still_missed(many: Bench) -> None:
    """A call in two legs at one second, of which one is dropped: the other does not stand for both."""
    twin = {**many.records[0], "id": "twin"}
    many.records.append(twin)
    assert many.sync().late == 1
    many.records.remove(twin)
    assert many.sync().gone_on == {DAY: 1}
    assert "twin" in ids(many)


def test_what_lies_outside_of_what_was_asked_is_not_missed(many: Bench) -> None:
    had = ids(many)
    many.now += timedelta(hours=6)
    many.sync()  # what is read again begins at 08:30 from here on
    many.records = []
    assert many.sync().gone_on == {DAY: 20}
    assert ids(many) == had


def test_records_that_are_gone_are_an_alarm_for_a_week_and_then_a_fact(many: Bench) -> None:
    had = ids(many)
    many.records = many.records[1:]
    nights = 0
    while many.sync().gone_on:
        nights += 1
        assert nights <= GONE_ALARM.days, "an alarm that never ends is one that nobody reads"
        many.now += timedelta(days=1)
    assert nights == GONE_ALARM.days
    assert ids(many) == had
    assert many.states()[0] == "complete"
    assert many.sync().failed == {}
    assert many.sync(shrink=True).gone == 1, "a day with such records is read again for this"
    assert ids(many) == had - {"r0"}


def test_a_record_that_is_back_is_no_longer_gone(many: Bench) -> None:
    everything = list(many.records)
    many.records = many.records[1:]
    assert many.sync().gone_on == {DAY: 1}
    many.records = everything
    outcome = many.sync()
    assert (outcome.gone_on, outcome.new, outcome.late, outcome.failed) == ({}, 0, 0, {})
    assert all(b"gone" not in path.read_bytes() for path in many.path(DAY).parent.iterdir())


def test_since_when_a_record_is_gone_outlives_the_ledger(many: Bench) -> None:
    many.records = many.records[1:]
    many.sync()
    many.ledger.close()
    assert rebuild_ledger(many.archive, {"acme": "test"}, many.now) == []
    many.ledger = open_ledger(many.archive)
    many.now += GONE_ALARM
    outcome = many.sync(since=NOW - timedelta(days=2))
    assert outcome.gone_on == {}
    assert "r0" in ids(many)


# A file that is not as it was written


@pytest.fixture(params=FORMATS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def any_form(tmp_path: Path, form: str) -> Iterator[Bench]:
    made = Bench(open_or_create(tmp_path / "any", None, form, FIRST_LAYOUT), Ledger(tmp_path / "any", new=True))
    made.call, made.records = PARTIES, calls(50)
    made.sync()
    yield made
    made.ledger.close()


def text_of(bench: Bench, path: Path | None = None) -> str:
    content = (path or bench.path(DAY)).read_bytes()
    return (gzip.decompress(content) if bench.archive.form.endswith(".gz") else content).decode()


def write(bench: Bench, text: str) -> bytes:
    content = gzip.compress(text.encode()) if bench.archive.form.endswith(".gz") else text.encode()
    bench.path(DAY).write_bytes(content)
    return content


def named(bench: Bench) -> list[str]:
    """Return the ids in the day's file, in order."""
    lines = text_of(bench).splitlines()
    if bench.archive.form.startswith("csv"):
        return [line.split(",")[0] for line in lines[1:]]
    return [json.loads(line)["id"] for line in lines]


def indexes(bench: Bench) -> list[Path]:
    return list(bench.path(DAY).parent.glob(".cdrs.*.index"))


@pytest.mark.thin
@pytest.mark.parametrize("how", ["sync", "since", "rebuild", "lost ledger"])
@pytest.mark.parametrize("retention", [None, timedelta(days=30), timedelta(hours=18)])
def test_a_file_without_its_index_loses_nothing(any_form: Bench, how: str, retention: timedelta | None) -> None:
    had = named(any_form)
    before = any_form.path(DAY).read_bytes()
    indexes(any_form)[0].unlink()
    any_form.call = replace(PARTIES, timing=replace(PARTIES.timing, retention=retention))
    any_form.records = any_form.records[:3]
    any_form.records[0]["word"] = "changed"
    if how in {"rebuild", "lost ledger"}:
        any_form.ledger.close()
        if how == "lost ledger":
            for path in any_form.archive.folder.glob("ledger.sqlite3*"):
                path.unlink()
        rebuild_ledger(any_form.archive, {"acme": "test"}, NOW)
        any_form.ledger = Ledger(any_form.archive.folder)
    outcome = any_form.sync(**({} if how == "sync" else {"since": NOW - timedelta(days=2)}))
    assert named(any_form) == had, "each once, those that the provider lost among them"
    if retention is None:
        assert outcome.gone_on == {DAY: 47}
        assert list(outcome.failed) == [DAY]
        assert outcome.changed == 1
        assert any_form.aside(DAY).read_bytes() == before, "the file was replaced, and is there under another name"
    assert len(indexes(any_form)) == 1


def test_a_file_that_is_what_the_provider_has_only_gets_its_index_again(any_form: Bench) -> None:
    before = any_form.path(DAY).stat()
    indexes(any_form)[0].unlink()
    outcome = any_form.sync()
    assert (outcome.new, outcome.late, outcome.changed, outcome.gone_on, outcome.failed) == (0, 0, 0, {}, {})
    assert any_form.path(DAY).stat().st_ino == before.st_ino
    assert not any_form.aside(DAY).exists()
    assert len(indexes(any_form)) == 1


def test_a_file_that_was_cut_off_is_whole_again(any_form: Bench) -> None:
    had = named(any_form)
    content = any_form.path(DAY).read_bytes()
    any_form.path(DAY).write_bytes(content[: len(content) // 2])
    outcome = any_form.sync()
    assert named(any_form) == had
    assert outcome.failed == {}
    assert any_form.aside(DAY).read_bytes() == content[: len(content) // 2]


def test_records_that_were_cut_off_and_are_gone_at_the_provider_are_told(any_form: Bench) -> None:
    write(any_form, "".join(text_of(any_form).splitlines(keepends=True)[:-20]))
    any_form.records = any_form.records[:-20]
    outcome = any_form.sync()
    assert list(outcome.failed) == [DAY]
    assert "20 records" in outcome.failed[DAY]
    assert any_form.sync().failed == {}, "it is told once"


def test_an_index_tells_what_was_cut_off_where_the_ledger_is_gone_too(any_form: Bench) -> None:
    write(any_form, "".join(text_of(any_form).splitlines(keepends=True)[:-20]))
    any_form.records = any_form.records[:-20]
    any_form.ledger.close()
    for path in any_form.archive.folder.glob("ledger.sqlite3*"):
        path.unlink()
    rebuild_ledger(any_form.archive, {"acme": "test"}, NOW)
    any_form.ledger = Ledger(any_form.archive.folder)
    outcome = any_form.sync(since=NOW - timedelta(days=2))
    assert list(outcome.failed) == [DAY]
    assert "20 records" in outcome.failed[DAY]


@pytest.mark.thin
@pytest.mark.parametrize("odd", ["no record", "of another day", "cut off"])
def test_what_cannot_be_read_is_told_though_nothing_else_is_known_of_the_file(any_form: Bench, odd: str) -> None:
    had = named(any_form)
    text = text_of(any_form)
    if odd == "no record":
        content = write(any_form, text + "{ this is no record\n")
    elif odd == "of another day":
        content = write(any_form, text + text.splitlines()[-1].replace("2026-11-11", "2026-11-01") + "\n")
    elif any_form.archive.form.endswith(".gz"):
        content = gzip.compress(text.encode())[:-9]
        any_form.path(DAY).write_bytes(content)
    else:
        content = write(any_form, text + '{"id": "r')
    for path in [*indexes(any_form), *any_form.archive.folder.glob("ledger.sqlite3*")]:
        path.unlink()
    any_form.ledger.close()
    rebuild_ledger(any_form.archive, {"acme": "test"}, NOW)
    any_form.ledger = Ledger(any_form.archive.folder)
    outcome = any_form.sync(since=NOW - timedelta(days=2))
    assert list(outcome.failed) == [DAY]
    assert "1 record " in outcome.failed[DAY]
    assert named(any_form) == had
    assert any_form.aside(DAY).read_bytes() == content


def test_what_another_hand_wrote_is_put_in_order(any_form: Bench) -> None:
    """Changed, deleted, doubled and moved lines, blank ones, other line ends."""
    had = named(any_form)
    lines = text_of(any_form).splitlines()
    head, rows = (lines[:1], lines[1:]) if any_form.archive.form.startswith("csv") else ([], lines)
    rows[3] = rows[3].replace("r3", "edited").replace("+1003", "+1003")
    rows = [*reversed(rows[2:]), rows[5], ""]
    content = write(any_form, "\r\n".join([*head, *rows]) + "\r\n")
    outcome = any_form.sync()
    assert named(any_form) == had
    assert (outcome.failed, outcome.late + outcome.new, outcome.changed) == ({}, 2, 1)
    assert any_form.aside(DAY).read_bytes() == content


def test_nothing_that_was_moved_aside_is_ever_overwritten(many: Bench) -> None:
    contents = []
    for turn in range(3):
        with many.path(DAY).open("a") as file:
            file.write(json.dumps({**calls(1, first=300 + turn)[0], "start_time": "2026-11-11T20:00:00Z"}) + "\n")
        contents.append(many.path(DAY).read_bytes())
        many.records[0]["word"] = f"changed {turn}"
        many.sync()
    asides = sorted(many.path(DAY).parent.glob("*cdrs.jsonl.aside*"))
    assert sorted(path.read_bytes() for path in asides) == sorted(contents)
    assert {"r300", "r301", "r302"} <= ids(many)


def test_where_files_cannot_have_two_names_nothing_aside_is_overwritten_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("this file system has no links")

    monkeypatch.setattr(os, "link", refused)
    contents = [b"one\n", b"two\n", b"three\n"]
    for content in [*contents, contents[0]]:
        (tmp_path / "cdrs.jsonl").write_bytes(content)
        assert set_aside(tmp_path / "cdrs.jsonl").read_bytes() == content
    assert sorted(path.read_bytes() for path in tmp_path.glob("*.aside*")) == sorted(contents)


def test_a_foreign_file_of_a_day_that_was_never_read_is_kept(bench: Bench) -> None:
    path = bench.path("2026-11-09")
    path.parent.mkdir(parents=True)
    path.write_text('{"id": "x", "start_time": "2026-11-09T10:00:00Z", "word": ""}\nnot a record\n')
    outcome = bench.sync(since=NOW - timedelta(days=3))
    assert bench.kept()["2026-11-09"] == ["x"]
    assert set(outcome.failed) == {"2026-11-09"}


def test_a_gap_and_a_lost_index_together_double_nothing(any_form: Bench) -> None:
    had = named(any_form)
    indexes(any_form)[0].unlink()
    any_form.records[0]["word"] = "changed"
    any_form.fault = lambda _window: Gap("a part is missing")
    any_form.sync()
    assert named(any_form) == had
    any_form.fault = lambda _window: None
    assert any_form.sync().failed == {}
    assert named(any_form) == had


@pytest.mark.thin
@pytest.mark.parametrize("day", [DAY, "unknown"])
def test_a_lost_index_and_one_partial_answer_after_another_double_nothing(any_form: Bench, day: str) -> None:
    every = any_form.records = [
        *any_form.records,
        {**call("odd 1", ""), "caller": ""},
        {**call("odd 2", ""), "caller": ""},
    ]
    any_form.sync()
    path = any_form.path(day)
    had = sorted(text_of(any_form, path).splitlines())
    for index in path.parent.glob(".cdrs.*.index"):
        index.unlink()
    any_form.fault = lambda _window: Gap("a part is missing")
    for part in (every[::2], every, every[1::2]):
        any_form.records = part
        any_form.sync()
        assert sorted(text_of(any_form, path).splitlines()) == had


def test_new_columns_do_not_shift_the_old_lines_of_csv(tmp_path: Path) -> None:
    bench = Bench(open_or_create(tmp_path / "csv", None, "csv", FIRST_LAYOUT), Ledger(tmp_path / "csv", new=True))
    bench.call, bench.records = PARTIES, calls(2)
    bench.sync()
    bench.call = replace(PARTIES, columns=(Column("site", "site"), *COLUMNS[:-1]))
    bench.records = [{**one, "site": "Haifa", "word": "w"} for one in calls(1, first=1)]
    bench.sync()
    rows = list(csv.DictReader(io.StringIO(text_of(bench))))
    assert [list(row) for row in rows] == [["site", "id", "start_time", "word", "extra", "caller"]] * 2
    assert [(row["site"], row["id"], row["word"], row["caller"]) for row in rows] == [
        ("", "r0", "", "+1000"),
        ("Haifa", "r1", "w", ""),
    ]
    bench.ledger.close()


@for_each("provider, name", [(name, one.name) for name in PROVIDERS for one in load(name).calls if one.windowed])
def test_every_call_says_which_records_are_of_one_call(provider: str, name: str) -> None:
    one = load(provider).call(name)
    assert one.alike
    assert set(one.alike) <= {column.name for column in one.columns}
    assert one.account_column in {"", *(column.name for column in one.columns)}
