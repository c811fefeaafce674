"""The common CDRs of a page are those of the plain mapping, record by record, also of odd records and batches."""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from cdrctl.fetchers import PROVIDERS, Call, load
from cdrctl.records.batches import RowBatch
from cdrctl.records.columns import Column
from cdrctl.records.common import COMMON
from cdrctl.records.decoding import BatchDecoder
from cdrctl.records.events import Page, Record, Row, Value
from cdrctl.records.layouts import Layouts
from cdrctl.records.rows import native_rows
from cdrctl.records.schemas import common
from cdrctl.records.steps import step
from cdrctl.sandbox import Exchange
from tests.calls.test_templates import ODD
from tests.calls.truth_kit import NOW, imitation_of

CALLS = [(name, call) for name in PROVIDERS for call in load(name).calls if call.common is not None and call.key_fields]
CONTEXT = {"timezone": "Europe/Berlin", "app_host": "https://app.callgear.com", "account_id": "a", "currency": "USD"}
TIMES = ("2026-03-29T00:59:59.999Z", "2026-11-15T16:51:14.694Z", "2026-11-15T16:51:14Z", "2026-11-15 16:51:14")


@functools.cache
def records_of(name: str, call: str) -> list[Record]:
    """Return a thousand records or so of the sandbox."""
    hours = timedelta(hours=6 if call == "stream" else 48)
    since = NOW - timedelta(hours=11 if call == "stream" else 96)
    found: list[Record] = imitation_of(name, Exchange(1)).truth(call, since, since + hours)
    return found[:1000]


def spoiled(records: Sequence[Record], random: Random) -> list[Record]:
    """Return records, in some of which a value is odd, missing, or that of another record."""
    found = []
    for record in records:
        one = dict(record)
        for _ in range(random.choice((0, 0, 0, 1, 2))):
            key = random.choice([*one])
            one[key] = random.choice((*ODD, *TIMES, random.choice(records).get(key), random.choice([*one.values()])))
            if random.random() < 0.2:
                del one[key]
        found.append(one)
    return found


def plain_rows(call: Call, page: Page) -> list[list[tuple[type, Value]]]:
    """Return the common CDRs of the plain mapping, with the types of their values."""
    assert call.common is not None
    rows = native_rows(call.columns, lambda _text: None, flat=True, known=call.expected)
    names = [column.name for column in call.columns]
    mapped = [call.common(dict(zip(names, row, strict=False))) for row in rows(page)]
    given = {"provider": "p", "profile": "q"}
    return [typed([{**one, **given}.get(column.name) for column in COMMON]) for one in mapped]


def typed(row: Row) -> list[tuple[type, Value]]:
    return [(type(value), value) for value in row]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "call"), CALLS, ids=lambda one: one if isinstance(one, str) else one.name)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 30))])
def test_quick_rows_are_the_plain_ones(name: str, call: Call, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdrctl.records.layouts.USES", 1)
    monkeypatch.setattr("cdrctl.records.layouts.FIRST", 0)
    random = Random(seed)
    assert call.common is not None
    assert call.key_fields is not None
    schema = common(call.columns, call.common, None, lambda _text: None, provider="p", profile="q", known=call.expected)
    decode = BatchDecoder(call.columns, call.key_fields, raw=False)
    clean = records_of(name, call.name)
    for at in range(0, len(clean), 100):
        few = clean[at : at + 100]
        for some in (few, spoiled(few, random), spoiled(few, random)):
            batch = decode(bytearray(json.dumps(some).encode()), ())
            for records in (some, batch) if batch is not None else (some,):
                page = Page(records, CONTEXT)
                assert [typed([*row]) for row in schema.rows(page)] == plain_rows(call, page)


@pytest.mark.parametrize(("name", "call"), CALLS, ids=lambda one: one if isinstance(one, str) else one.name)
def test_mapping_a_record_calls_hardly_any_function(name: str, call: Call) -> None:
    """The bound is one function for each record, besides those of the provider that look into a text or a list."""
    assert call.common is not None
    schema = common(call.columns, call.common, None, lambda _text: None, provider="p", profile="q", known=call.expected)
    records = records_of(name, call.name)[:300]
    rows = native_rows(call.columns, lambda _text: None, flat=True, known=call.expected)
    for _ in range(13):
        schema.rows(Page(records, CONTEXT))
    native = calls_of(lambda: rows(Page(records, CONTEXT)))
    assert calls_of(lambda: schema.rows(Page(records, CONTEXT))) - native < len(records) + 400


def calls_of(function: Callable[[], object]) -> int:
    """Return how many functions of Python a function calls."""
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted


COLUMNS = (
    Column("id", "id"),
    Column("time", "time", "time"),
    Column("length", "length", "seconds"),
    Column("kind", "kind"),
)
Mapping = Callable[[dict[str, Value]], dict[str, Value]]


def quick(
    mapping: Mapping, rows: list[Row], wanted: Sequence[Column] = (Column("a", ""), Column("b", "", "integer"))
) -> list[Row]:
    """Return the rows of a mapping, whose records are mapped in pages of ten."""
    layouts = Layouts(COLUMNS, wanted, mapping)
    found: list[Row] = []
    for at in range(0, len(rows), 10):
        found += layouts.rows(RowBatch.of(rows[at : at + 10]))
    return found


def rows_with(values: Sequence[Value], at: int) -> list[Row]:
    """Return twenty rows for each value in a column."""
    found: list[Row] = []
    for number in range(20 * len(values)):
        row: Row = [f"id{number}", "2026-11-19T08:00:00.123Z", 12, "in", None]
        row[at] = values[number % len(values)]
        found.append(row)
    return found


@step()
def upper(text: Value) -> Value:
    return text.upper() if isinstance(text, str) else None


@step()
def stripped(text: Value) -> Value:
    return text.strip() if isinstance(text, str) else ""


MAPPINGS: dict[str, Mapping] = {
    "passes": lambda row: {"a": row["id"], "b": row["length"]},
    "presence": lambda row: {"a": "x" if row["kind"] is None else row["kind"], "b": 1 if row["length"] else 2},
    "truth": lambda row: {"a": row["kind"] or row["id"], "b": row["length"] or None},
    "looks up": lambda row: {"a": {"in": "inbound"}.get(row["kind"]), "b": {12: 1, 0: 2}.get(row["length"])},
    "compares": lambda row: {
        "a": row["id"] if row["kind"] == "in" else None,
        "b": 1 if isinstance(row["length"], int) and row["length"] > 0 else 0,
    },
    "computes": lambda row: {"b": 3 - row["length"] * 2 + 1 if isinstance(row["length"], int) else None},
    "floor": lambda row: {"b": row["length"] // 5 if isinstance(row["length"], int) else None},
    "two": lambda row: {"b": max(0, row["length"] - 3) if isinstance(row["length"], int) else None},
    "writes": lambda row: {"a": f"{row['id']}:{row['kind']}:{row['length']}", "b": None},
    "looks into": lambda row: {"a": str(row["kind"])[:1], "b": len(row["kind"] or "")},
    "steps": lambda row: {"a": upper(row["kind"]), "b": 1 if upper(row["kind"]) else 0},
    "steps to nothing": lambda row: {"a": stripped(row["kind"]) or "nothing", "b": 1 if stripped(row["kind"]) else 0},
    "types": lambda row: {"a": "text" if isinstance(row["length"], str) else "number"},
    "copies": lambda row: {**row, "a": row.get("time"), "b": len([*row.values()])},
    "items": lambda row: {"a": {key: value for key, value in row.items() if key != "id"}["kind"]},
    "empty": lambda row: {"a": "" if row["kind"] is None else "x"},
    "equal": lambda row: {"a": row["id"] if row["id"] == row["kind"] else None},
    "joins": lambda row: {"a": "-".join(filter(None, (row["id"], row["kind"])))},
    "truthful": lambda row: {"a": row["id"], "b": row["length"] is True},
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_any_mapping_gives_what_it_gives_plainly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdrctl.records.layouts.FIRST", 0)
    mapping = MAPPINGS[name]
    changes: list[tuple[Any, int]] = [(value, 3) for value in ("in", "out", None, "id5", "Ä", "0", " ", "", " x")]
    changes += [(value, 2) for value in (0, 12, -4, None, 5, "7", 6, True, 1, 1.5, 10**18, 1, True, False, 0)]
    rows = [
        row for value, at in changes for row in rows_with([value], at) + rows_with([value, "in" if at == 3 else 12], at)
    ]
    plain = [
        typed([mapping(dict(zip(("id", "time", "length", "kind"), row, strict=False))).get(key) for key in "ab"])
        for row in rows
    ]
    assert [typed(row) for row in quick(mapping, rows)] == plain


def unseen(row: dict[str, Value]) -> dict[str, Value]:
    """Look at the bytes of a text, of which no probe learns."""
    time: Any = row["time"]
    return {"a": row["id"] if re.match("2", time) else "unknown", "b": None}


@pytest.mark.parametrize("odd", [4, 9, 10, 30, 300])
def test_a_mapping_that_probes_do_not_see_through_is_given_up(odd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdrctl.records.layouts.FIRST", 0)
    rows: list[Row] = [[f"id{at}", "?" if at < odd else "2026-11-19T08:00:00.123Z", 12, "in"] for at in range(300)]
    assert [row[0] for row in quick(unseen, rows)] == ["unknown"] * odd + [f"id{at}" for at in range(odd, 300)]
