"""The types that records are decoded to: those of the columns at first, and what came later."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pytest

from cdrctl import writers
from cdrctl.records import shapes
from cdrctl.records.batches import KeyFields, RecordBatch
from cdrctl.records.columns import Column
from cdrctl.records.decoding import BatchDecoder
from cdrctl.records.events import Page
from cdrctl.records.readers import scalar_texts
from cdrctl.records.schemas import native
from cdrctl.records.shapes import BOOLEANS, INTEGERS, LISTS, MOST_REFITS, NUMBERS, TEXTS, Kinds

COLUMNS = (
    Column("id", "id"),
    Column("name", "name"),
    Column("size", "size", "integer"),
    Column("yes", "yes", "boolean"),
    Column("cost", "cost", "money"),
    Column("at", "at", "time"),
    Column("all", "all", "list"),
)
LOOK = writers.RenderOptions(width=100, zone=UTC, color=False)
KEYS = ("id", "name", "size", "yes", "cost", "at", "all")


def batch_of(reader: BatchDecoder, *values: Any, key: str) -> RecordBatch:
    body = bytearray(json.dumps([{"id": f"{at}", key: value} for at, value in enumerate(values)]).encode())
    batch = reader(body, ())
    assert isinstance(batch, RecordBatch)
    assert [*batch.columns[key]] == [*values]
    assert all(type(one) in batch.kinds_of(key) for one in values)
    return batch


def new_reader() -> BatchDecoder:
    return BatchDecoder(COLUMNS, KeyFields("id", "at"), raw=False)


def test_the_types_of_columns_are_expected() -> None:
    batch = batch_of(new_reader(), "x", key="name")
    assert {key: batch.kinds_of(key) for key in KEYS} == {
        "id": {str},
        "name": {str},
        "size": INTEGERS,
        "yes": BOOLEANS,
        "cost": TEXTS,
        "at": TEXTS,
        "all": LISTS,
    }


@pytest.mark.parametrize(
    ("key", "values", "kinds"),
    [
        ("name", ["x", None], TEXTS),
        ("name", [7, None], INTEGERS),
        ("name", ["x", 7], frozenset({str, int})),
        ("size", [None, 1.0], NUMBERS),
        ("size", ["1"], TEXTS),
        ("size", [True], BOOLEANS),
        ("size", [True, 1], frozenset({bool, int})),
        ("cost", [1, 2.5], NUMBERS),
        ("cost", [[], {"a": 1}], LISTS),
        ("all", ["x", []], frozenset({str, list})),
    ],
)
def test_other_types_are_expected_from_then_on(key: str, values: Sequence[Any], kinds: Kinds) -> None:
    reader = new_reader()
    for _ in range(2):
        assert batch_of(reader, *values, key=key).kinds_of(key) == kinds


def test_types_that_keep_changing_are_no_longer_told_apart() -> None:
    reader = new_reader()
    for at in range(2 * MOST_REFITS):
        batch_of(reader, [1, "x"][at % 2], key="size")
    before = shapes.decoder.cache_info().misses
    for at in range(2 * MOST_REFITS):
        assert batch_of(reader, [1, "x"][at % 2], key="size").kinds_of("size") == {[int, str][at % 2]}
    assert shapes.decoder.cache_info().misses == before


def test_scalars_become_texts_without_a_call_for_each() -> None:
    values = [0, -1, 2**64, -(10**40), None, True, False, 100_000_000_000_001]
    plain = ["" if one is None else str(one).lower() for one in values]
    assert [*scalar_texts(values)] == plain
    assert [*scalar_texts(tuple(values))] == plain
    assert [*scalar_texts([])] == []


@pytest.mark.parametrize("large", [1e16, "1e16", "x"])
def test_lists_read_by_column_are_written_like_others(large: Any) -> None:
    """Another encoder writes large numbers in another form, and a list that is null is no text."""
    lists = [[large], None, [], {}, ["null"], [{"a": 'Ünï 😀, "x"\n'}], {"é": [1.0, -0.0, True, None]}]
    records = [{"id": f"{at}", "name": 'é,"😀\n' if at % 2 else "", "all": one} for at, one in enumerate(lists)]
    reader = new_reader()
    schema = native(COLUMNS, None, print)
    batch = reader(bytearray(json.dumps(records).encode()), ())
    for form in ("csv", "tsv"):
        by_column, plain = io.BytesIO(), io.BytesIO()
        for page, out in ((batch, by_column), (records, plain)):
            writers.load(form)(schema, [schema.rows(Page(page))], out, LOOK)
        assert by_column.getvalue() == plain.getvalue()


def test_fields_are_decoded_in_the_order_in_which_they_come() -> None:
    """Otherwise msgspec looks for the key of each field among the keys of all others."""
    reader = new_reader()
    records = [{key: None if key != "id" else "1" for key in reversed(KEYS)}]
    batch = reader(bytearray(json.dumps(records).encode()), ())
    assert reader.shape.order == tuple(reversed(KEYS))
    assert tuple(batch.columns) == KEYS
