"""Any content of a record: a row can be made of it, nothing is lost, and the output can be read back."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cdrctl.export.identity import stable_keys
from cdrctl.fetchers import PROVIDERS, Call, Provider, load
from cdrctl.records.events import Page, Record
from cdrctl.records.readers import read_decimal, unix_instant
from cdrctl.records.rows import _containers, _flatten
from cdrctl.records.schemas import Schema, common, native, raw
from cdrctl.writers import takes_raw
from cdrctl.writers.values import objects, text_of, utf8
from tests.fuzz.anything import values
from tests.support.examples import examples
from tests.writers.examples import written

CALLS = [(provider, call) for provider in map(load, PROVIDERS) for call in provider.calls]
CONTEXT = {"timezone": "Europe/Berlin", "app_host": "https://app.example", "account_id": "a", "currency": "USD"}
LIKELY: tuple[Any, ...] = (
    *("1", "12.5", "true", "2026-11-20T07:00:00Z", "2026-11-20 07:00:00", "63962377200", "1795158000", "ANSWER", "NA"),
    *(1, 0, 60, True, None, {}, []),
)


def ignore(_text: str) -> None:
    """Ignore a warning."""


def nest(record: Record, key: str, value: Any) -> Record:
    """Return a record with a value under a key whose dots stand for nested objects."""
    root, dot, rest = key.partition(".")
    if not dot:
        return {**record, root: value}
    inner = record.get(root)
    return {**record, root: nest(inner if isinstance(inner, dict) else {}, rest, value)}


@st.composite
def records(draw: st.DrawFn, call: Call) -> Record:
    """Return a record with any values in some fields of the call, in any letter case, and in some other fields."""
    keys = [column.key for column in call.columns if not column.key.startswith("@")]
    record: Record = {}
    for key in draw(st.lists(st.sampled_from(keys) | st.text(max_size=3), max_size=9)):
        spelt = draw(st.sampled_from((key, key, key, key.upper(), key.swapcase())))
        record = nest(record, spelt, draw(st.sampled_from(LIKELY) | values()))
    return record


pages = st.sampled_from(CALLS).flatmap(
    lambda found: st.tuples(st.just(found), st.lists(records(found[1]), min_size=1, max_size=3))
)


def schemas(provider: Provider, call: Call) -> Iterator[Schema]:
    """Yield the schemas of a call that have columns."""
    yield raw()
    yield native(call.columns, None, ignore)
    yield native(call.columns, [call.columns[0].name, "extra"], ignore)
    yield native(call.columns, ["extra"], ignore)
    if call.common is not None:
        yield common(call.columns, call.common, None, ignore, provider=provider.name, profile="acme")


def leaves(value: Any) -> Iterator[str]:
    """Yield the values within a value that are neither lists nor objects, as text that keeps their JSON type."""
    if value and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    else:
        yield repr(value)


@pytest.mark.slow
@examples(100)
@given(page=pages)
def test_rows_of_any_record_can_be_written_and_read_back(page: tuple[tuple[Provider, Call], list[Record]]) -> None:
    """The standard library's csv and json read the output."""
    (provider, call), found = page
    for form in schemas(provider, call):
        rows = form.rows(Page(found, CONTEXT))
        assert len(rows) == len(found)
        for name in ("csv", "tsv", "jsonl", "json", "table"):
            if form.columns is not None or takes_raw(name):
                check(name, form, rows, written(name, form, [rows[:1], rows[1:]]).decode())


def check(name: str, form: Schema, rows: Sequence[Any], text: str) -> None:
    """Compare the output with the rows."""
    whole = [json.loads(json.dumps(finite(one))) for one in objects(form, rows)]
    cells = [[utf8(text_of(value)).decode() for value in row] for row in rows] if form.columns is not None else []
    match name:
        case "csv":
            csv.field_size_limit(sys.maxsize)
            assert list(csv.reader(io.StringIO(text, newline="")))[1:] == cells
        case "tsv":
            lines = [line.split("\t") for line in text.split("\n")[1:-1]]
            assert [[unescaped(cell) for cell in line] for line in lines] == cells
        case "jsonl":
            assert [json.loads(line) for line in text.split("\n")[:-1]] == whole
        case "json":
            assert json.loads(text) == whole
        case _:
            assert all(one.isprintable() or one in "\n\u200c" for one in text)


def finite(value: Any) -> Any:
    """Return a value in which infinities and NaN are the words that JSON writers use for them."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):  # noqa: PLR0124 - NaN
        return json.dumps(value)
    return value


def unescaped(cell: str) -> str:
    """Return the value of a TSV cell."""
    meant = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    return re.sub(r"\\([tnr\\])", lambda match: meant[match[1]], cell)


@examples(100)
@given(page=pages)
def test_every_value_of_a_record_is_in_its_row(page: tuple[tuple[Provider, Call], list[Record]]) -> None:
    """Values without a column are unchanged in `extra`; each other field fills one column."""
    (_, call), found = page
    empty = {None, "", *(word for column in call.columns for word in column.null_words)}
    given_keys = {column.name for column in call.columns if column.key.startswith("@")}
    for record, row in zip(found, native(call.columns, None, ignore).rows(Page(found, CONTEXT)), strict=True):
        *cells, extra = row
        filled = sum(
            value is not None and column.name not in given_keys
            for column, value in zip(call.columns, cells, strict=True)
        )
        flat = flatten(record, call)
        kept = sum(not (isinstance(value, str | None) and value in empty) for value in flat.values())
        assert sorted(leaves(flat)) == sorted(leaves(record))
        assert filled + len(extra or {}) >= kept


def flatten(record: Record, call: Call) -> Record:
    """Return a record whose nested objects are flattened as the schema does it."""
    return _flatten(record, _containers(call.columns))


@pytest.mark.slow
@examples(100)
@given(page=pages)
def test_any_record_has_an_identity(page: tuple[tuple[Provider, Call], list[Record]]) -> None:
    """An equal record has the same identity."""
    (_, call), found = page
    for record in found:
        again = json.loads(json.dumps(record))
        assert len(set(stable_keys(CONTEXT, [call.identity(record), call.identity(again)]))) == 1
        start = call.starts(record, CONTEXT)
        assert start is None or start.tzinfo is not None


@pytest.mark.parametrize("digits", [309, 4200])
def test_number_too_large_for_a_float_is_a_decimal(digits: int) -> None:
    """The check whether it is finite overflowed."""
    for number in (10**digits, -(10**digits)):
        assert read_decimal(number) == str(number)
        with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
            unix_instant(number)
