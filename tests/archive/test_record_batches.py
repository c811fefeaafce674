"""The records of an archive as batches of columns have the values of their lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cdrctl.archive.dayfile import NewDay, Part, Row
from cdrctl.archive.files import load, save
from cdrctl.archive.index import UNPLACED, milliseconds
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.lines import csv_line
from cdrctl.archive.record_batches import batch_reader
from cdrctl.archive.records import record_reader
from cdrctl.archive.source import ArchivedCall, archived_events
from cdrctl.archive.store import open_or_create
from cdrctl.contents import contents_of
from cdrctl.records.columns import Column, Kind
from cdrctl.records.events import Page
from cdrctl.windows import Window
from cdrctl.writers.values import json_of
from tests.archive.sync_kit import CALL
from tests.support.products import for_each

COLUMNS = (Column("id", ""), Column("amount", "", "money"), Column("seconds", "", "seconds"))
ODD_CALL = replace(CALL, columns=COLUMNS)
START = milliseconds(datetime(2026, 11, 9, 8, tzinfo=UTC))
PLAIN = {"id": "a", "amount": "1.5", "seconds": 3}
ODD: list[Mapping[str, Any]] = [
    {"id": "b", "amount": "1.50", "seconds": 3},  # a typed column has no last zero
    {"id": "c", "amount": "x", "seconds": None},
    {"id": "d", "amount": None, "seconds": 3, "more": {"x": 1}},
    {"id": 7, "amount": None, "seconds": "3"},
    {"id": "e", "ID": "f", "amount": None, "seconds": 3},
    {"amount": None, "seconds": 3},
]


def part_of(records: Sequence[Mapping[str, Any]]) -> Part:
    lines = [json_of(one) + b"\n" for one in records]
    return Part([Row(START + at, b"%015d" % at, b"") for at in range(len(records))], None, lambda: lines)


def test_records_with_the_same_fields_are_a_batch() -> None:
    batch = batch_reader(ODD_CALL)(part_of([PLAIN, {"id": None, "amount": None, "seconds": 0}]))
    assert batch is not None
    assert [dict(one) for one in batch] == [PLAIN, {"id": None, "amount": None, "seconds": 0}]
    assert [dict(one) for one in batch.only([1])] == [{"id": None, "amount": None, "seconds": 0}]
    assert batch.identities == [(b"%015d" % at).hex() for at in range(2)]
    assert batch.starts[1] - batch.starts[0] == timedelta(milliseconds=1)


@for_each(
    "records",
    [
        [PLAIN, {**PLAIN, "more": 1}],
        [PLAIN, {"id": "a", "amount": "1.5"}],
        [{**PLAIN, "one": 1, "two": 2}, {**PLAIN, "two": 2, "one": 1}],  # another order of further fields
        [{"ID": "a", "amount": None, "seconds": 3}],  # the column's name, in other letters
    ],
)
def test_other_records_are_read_one_by_one(records: Sequence[Mapping[str, Any]]) -> None:
    assert batch_reader(ODD_CALL)(part_of(records)) is None


def test_the_order_of_the_columns_in_a_line_does_not_matter() -> None:
    batch = batch_reader(ODD_CALL)(part_of([PLAIN, dict(reversed(PLAIN.items()))]))
    assert batch is not None
    assert [dict(one) for one in batch] == [PLAIN, PLAIN]


def test_a_line_that_is_no_record_is_no_batch() -> None:
    part = part_of([PLAIN, PLAIN])
    broken = Part(part.keys, None, lambda: [b"[1]\n", b"{}\n"])
    assert batch_reader(ODD_CALL)(broken) is None
    two = json_of(PLAIN)
    joined = Part(part.keys[:1], None, lambda: [two + b"," + two + b"\n"])
    assert batch_reader(ODD_CALL)(joined) is None


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_odd_records_have_the_values_of_their_lines(odd: Mapping[str, Any], form: str, tmp_path: Path) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    archive = open_or_create(tmp_path, "UTC", form)
    kept = KeptCall("acme", CALL.name, "test", datetime(2026, 11, 9, tzinfo=UTC))
    records = [PLAIN, odd]
    lines = [json_of(one) + b"\n" for one in records]
    rows = [Row(START + at, b"%015d" % at, line) for at, line in enumerate(lines)]
    path = archive.path("acme", CALL.name, "2026-11-09")
    save(archive, path, NewDay(COLUMNS, b"", lambda: rows, len(rows), []))
    file = load(archive, path)
    assert file is not None
    source = ArchivedCall(archive, kept, ODD_CALL, {}, {"2026-11-09": file.sha256})
    day = Window(kept.begins, kept.begins + timedelta(days=1))
    pages = [one for one in archived_events(source, day, day.until, "") if isinstance(one, Page)]
    found = [dict(record) for page in pages for record in page.records]
    assert found == records
    later = Window(kept.begins + timedelta(hours=8, milliseconds=1), day.until)
    pages = [one for one in archived_events(source, later, day.until, "") if isinstance(one, Page)]
    assert [dict(record) for page in pages for record in page.records] == [odd]


def test_a_batch_with_an_unknown_start_has_no_starts() -> None:
    part = part_of([PLAIN])
    batch = batch_reader(ODD_CALL)(Part([Row(UNPLACED, b"%015d" % 0, b"")], None, part.lines))
    assert batch is not None
    with pytest.raises(ValueError, match="unknown"):
        _ = batch.starts


# CSV

KINDS: tuple[Kind, ...] = ("text", "integer", "boolean", "list", "decimal", "time")
WIDE_CALL = replace(CALL, columns=(Column("id", ""), *(Column(f"a_{kind}", "", kind) for kind in KINDS)))
NAMES = ["id", *(f"a_{kind}" for kind in KINDS), "extra"]
USUAL = ["a", 'two\nlines, and "quotes"', "7", "true", '["x"]', "1.50", "2026-11-09T08:00:00.000Z", ""]
CELLS = {
    "empty": ["", "", "", "", "", "", "", ""],
    "of other types": ["b", "\u00e9", "007", "yes", "{", "x", "now", ""],
    "a list that is none": ["b", "x", "-1", "false", "7", "1e3", "1", ""],
    "further fields": [*USUAL[:-1], '{"more":1,"deep":{"x":null}}'],
    "the same in letters": [*USUAL[:-1], '{"ID":1}'],
    "a field that is a column": [*USUAL[:-1], '{"id":1}'],
    "no object": [*USUAL[:-1], "[1]"],
    "no JSON": [*USUAL[:-1], "{"],
}


@for_each("alone", [True, False])
@for_each("cells", CELLS.values(), ids=[*CELLS])
def test_csv_records_are_read_by_column_as_one_by_one(cells: list[str], alone: bool) -> None:  # noqa: FBT001
    header = csv_line(NAMES)
    lines = [csv_line(one) for one in ([cells] if alone else [USUAL, cells])]
    part = Part([Row(START + at, b"%015d" % at, line) for at, line in enumerate(lines)], None, lambda: lines)
    read = record_reader(WIDE_CALL, header)
    expected = [read(row) for row in part.rows()]
    batch = batch_reader(WIDE_CALL, header)(part)
    assert (batch is not None) == (not cells[-1] or (alone and cells is CELLS["further fields"]))
    if batch is not None:
        assert [*batch] == expected
        assert [[*map(type, one.values())] for one in batch] == [[*map(type, one.values())] for one in expected if one]


@for_each("broken", [b'a,"b\n', b'"b\n', b"a,b\n", b"\xff,b,c\n", b"\n", b'"a"b,"c"\n'])
def test_a_broken_csv_record_is_no_batch(broken: bytes) -> None:
    whole = csv_line(["a", "b", "c"])
    for lines in ([whole, broken, whole], [broken], [whole, broken], [broken, b'd",e,f\n']):
        part = Part([Row(START, b"%015d" % at, b"") for at in range(len(lines))], None, partial(list, lines))
        assert batch_reader(ODD_CALL, csv_line(["id", "amount", "seconds"]))(part) is None


def test_batches_of_lines_know_which_records_are_equal() -> None:
    part = part_of([PLAIN, {**PLAIN, "id": "b"}, PLAIN])
    batch = batch_reader(ODD_CALL)(part)
    assert batch is not None
    first, second, third = contents_of(batch)
    assert first == third != second
    assert list(contents_of(batch.only([2, 1]))) == [third, second]
