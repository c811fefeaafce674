"""Fingerprints: equal for records of equal content, whatever else is on the page, and different otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cdrctl.contents import contents_of, key_contents_of
from cdrctl.records.batches import KeyFields, RecordBatch
from cdrctl.records.columns import Column
from cdrctl.records.decoding import BatchDecoder

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


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_records_that_differ_in_any_field_have_different_fingerprints(other: dict[str, Any], raw: bool) -> None:  # noqa: FBT001
    batch = read([ROW, other, ROW], raw=raw)
    assert isinstance(batch, RecordBatch)
    first, second, third = contents_of(batch)
    assert first == third != second
    first, second, third = contents_of([ROW, other, {name: ROW[name] for name in reversed(ROW)}])
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
