"""Fingerprints: equal for records of equal content, whatever else is on the page, and different otherwise."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cdrctl.contents import contents_of, key_contents_of
from cdrctl.records.batches import Columns, KeyFields, RecordBatch
from cdrctl.records.columns import Column
from cdrctl.records.decoding import BatchDecoder
from tests.support.products import for_each

COLUMNS = (Column("id", "id"), Column("at", "at", "time"), Column("a", "a"), Column("n", "n", "integer"))
ROW: dict[str, Any] = {"id": "1", "at": "2026-11-18T00:00:00.000Z", "a": "x", "n": 1}
OTHERS: list[dict[str, Any]] = [
    {**ROW, "a": "y"},
    {**ROW, "n": 2},
    {**ROW, "a": ""},
    {**ROW, "more": "z"},
    {**ROW, "more": ["z"]},
    {**ROW, "other": "z"},
    {"id": "1", "at": ROW["at"], "a": "x"},
]


def read(rows: list[dict[str, Any]], *, raw: bool = False, reader: BatchDecoder | None = None) -> Any:
    reader = reader or BatchDecoder(COLUMNS, KeyFields("id", "at"), raw=raw)
    return reader(bytearray(json.dumps({"items": rows}).encode()), ("items",))["items"]


@for_each("raw", [False, True])
@for_each("other", OTHERS)
def test_records_that_differ_in_any_field_have_different_fingerprints(other: dict[str, Any], raw: bool) -> None:  # noqa: FBT001
    batch = read([ROW, other, ROW], raw=raw)
    assert isinstance(batch, RecordBatch)
    first, second, third = contents_of(batch)
    assert first == third != second
    first, second, third = contents_of([ROW, other, {name: ROW[name] for name in reversed(ROW)}])
    assert first == third != second


@for_each("value", [[math.nan], [math.inf], {"a": [-math.inf, None]}])
def test_what_json_cannot_write_is_not_null(value: Any) -> None:
    nothing = {"a": [None, None]} if isinstance(value, dict) else [None]
    first, second, third = contents_of([{**ROW, "more": value}, {**ROW, "more": nothing}, {**ROW, "more": value}])
    assert first == third != second


def test_a_fingerprint_does_not_depend_on_other_records() -> None:
    """Unknown or missing fields of one record do not change the fingerprints of the others."""
    reader = BatchDecoder(COLUMNS, KeyFields("id", "at"), raw=False)
    bare = {"id": "2", "at": ROW["at"]}
    (alone, other) = contents_of(read([ROW, bare], reader=reader))
    beside = read(
        [ROW, {**ROW, "a": None, "new": {"deep": [1]}}, {"id": "3", "at": ROW["at"], "a": 7}, bare], reader=reader
    )
    assert isinstance(beside, RecordBatch)
    found = contents_of(beside)
    assert (found[0], found[3]) == (alone, other)
    assert len(set(found)) == 4


def test_fingerprints_do_not_depend_on_the_size_of_the_page() -> None:
    rows = [{**ROW, "id": str(at), "a": "x" * at} for at in range(40)]
    large = read(rows, reader=BatchDecoder(COLUMNS, KeyFields("id", "at"), raw=False, large=100, few=7))
    assert not isinstance(large, RecordBatch)
    assert list(contents_of(large)) == list(contents_of(read(rows)))


def test_key_fields_identify_records_and_further_ones_get_a_number() -> None:
    """A repeated record is the same one. Two records that differ in other fields are two if they are on one page."""
    twin = {**ROW, "a": "y"}
    both = key_contents_of(read([ROW, twin]))
    assert len(set(both)) == 2
    assert key_contents_of(read([twin]))[0] in both
    assert set(key_contents_of(read([ROW, twin, twin]))) > set(both)


def test_a_list_in_a_key_field_has_a_fingerprint() -> None:
    rows = [{**ROW, "at": ["x"]}, {**ROW, "at": {"y": 1}}, {**ROW, "at": ["x"]}]
    first, second, third = key_contents_of(read(rows, raw=True))
    assert len({first, second, third}) == 3


# What is remembered

OVERLAPPING = KeyFields("id", "at", overlapping=True)
KEYS = tuple(column.key for column in COLUMNS)


def test_the_fingerprints_of_raw_records_are_those_of_plain_ones_and_are_computed_once() -> None:
    """A fetcher asks for them, then an export: of the same page, of its batches, and of some of the records."""
    rows = [{**ROW, "id": str(at), "a": "x" * at, "new": at} for at in range(40)]
    page = read(rows, reader=BatchDecoder(COLUMNS, OVERLAPPING, raw=True, large=100, few=7))
    expected = list(contents_of(rows, KEYS))
    assert list(contents_of(page, KEYS)) == expected
    parts = list(page.batches())
    assert len(parts) > 1
    for part in parts:
        part.decode = None  # it would not be decoded by column again
        part.raws = [b"not JSON"] * len(part)
    assert [one for part in parts for one in contents_of(part, KEYS)] == expected
    last = parts[-1].only([1, 0])
    assert list(contents_of(last, KEYS)) == [*contents_of(parts[-1], KEYS)][1::-1]
    assert list(contents_of(next(page.batches()))) == list(contents_of(rows[: len(parts[0])])), "without keys, others"


def test_starts_are_read_again_in_another_context_and_identities_are_not() -> None:
    asked: list[str] = []

    def starts(columns: Columns, context: Mapping[str, str]) -> list[datetime]:
        asked.append(context["hour"])
        return [datetime(2026, 11, 18, int(context["hour"]), tzinfo=UTC) for _ in columns["id"]]

    def identities(columns: Columns) -> list[str]:
        asked.append("ids")
        return [f"id {one}" for one in columns["id"]]

    rows = [{**ROW, "id": str(at)} for at in range(4)]
    fields = KeyFields("id", "at", read_starts=starts, read_ids=identities)
    batch = read(rows, reader=BatchDecoder(COLUMNS, fields, raw=True))
    assert batch.identities == [f"id {at}" for at in range(4)]
    assert {one.hour for one in batch.starts_in({"hour": "1"})} == {1}
    some = batch.only([3, 1])
    assert some.identities == ["id 3", "id 1"]
    assert len(some.starts_in({"hour": "1"})) == 2
    other = read(rows, reader=BatchDecoder(COLUMNS, fields, raw=True))
    other.learn_from(batch)
    assert other.identities == batch.identities
    assert other.starts_in({"hour": "1"}) == batch.starts
    assert asked == ["ids", "1"]
    assert {one.hour for one in some.starts_in({"hour": "2"})} == {2}
    assert {one.hour for one in other.starts_in({"hour": "2"})} == {2}
