"""The records of an archive as batches of columns have the values of their lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cdrctl.archive.dayfile import NewDay, Part, Row
from cdrctl.archive.files import load, save
from cdrctl.archive.index import UNPLACED, milliseconds
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.record_batches import batch_reader
from cdrctl.archive.source import ArchivedCall, archived_events
from cdrctl.archive.store import open_or_create
from cdrctl.records.columns import Column
from cdrctl.records.events import Page
from cdrctl.windows import Window
from cdrctl.writers.values import json_of
from tests.archive.sync_kit import CALL

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


@pytest.mark.parametrize(
    "records",
    [
        [PLAIN, {**PLAIN, "more": 1}],
        [PLAIN, {"seconds": 3, "id": "a", "amount": "1.5"}],  # another order
        [{"ID": "a", "amount": None, "seconds": 3}],  # the column's name, in other letters
    ],
)
def test_other_records_are_read_one_by_one(records: Sequence[Mapping[str, Any]]) -> None:
    assert batch_reader(ODD_CALL)(part_of(records)) is None


def test_a_line_that_is_no_record_is_no_batch() -> None:
    part = part_of([PLAIN, PLAIN])
    broken = Part(part.keys, None, lambda: [b"[1]\n", b"{}\n"])
    assert batch_reader(ODD_CALL)(broken) is None


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
