"""Parts by templates are those of the plain mapping, for every provider, also of odd records and batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from cdrctl.calls import templates
from cdrctl.calls.legs import parts_of_legs
from cdrctl.calls.lines import LegBatch, LegDecoder
from cdrctl.calls.mapping import leg_schema
from cdrctl.fetchers import joins_of, load
from cdrctl.records.events import Page, Record
from cdrctl.records.schemas import Schema
from cdrctl.sandbox import Exchange
from tests.calls.truth_kit import CONTEXT, NOW, PROVIDER_NAMES, imitation_of, joined_call
from tests.support.products import for_each

ODD: tuple[Any, ...] = (
    *("", None, "x", "X ", "na", " +1", "*70", "1001", "SIP7", 0, -5, 1, 17, 10**12, 1.5, True, False, [], ["7/7"], {}),
    *("2026-11-15T16:51:14.694Z", "2026-11-15T16:51:14.694123Z", "1970-01-01T00:00:00.000Z", "2026-11-15 24:00:00"),
    {"OriginalIvrUniqueID": "abc"},
    [{"LayerName": "Ä"}],
)


def schemas(name: str) -> tuple[Schema, Schema]:
    """Return the schemas of parts by templates, and of the plain mapping."""
    call, joins = joined_call(load(name)), joins_of(name)[joined_call(load(name)).name]
    assert call.common is not None
    assert joins.shape is not None
    columns, common, expected = call.columns, call.common, call.expected
    fast = leg_schema(columns, common, joins, lambda _text: None, expected)
    return fast, leg_schema(columns, common, replace(joins, shape=None), lambda _text: None, expected)


def records_of(name: str, hours: int) -> list[Record]:
    call = joined_call(load(name))
    since = NOW - timedelta(days=4)
    found: list[Record] = imitation_of(name, Exchange(1)).truth(call.name, since, since + timedelta(hours=hours))
    return found


def spoiled(records: Sequence[Record], random: Random) -> list[Record]:
    """Return records, in some of which a value is odd, missing, or that of another record."""
    found = []
    for record in records:
        one = dict(record)
        for _ in range(random.choice((0, 0, 1, 2))):
            field = random.choice([*one])
            other = random.choice(records).get(random.choice([*one]))
            one[field] = random.choice((*ODD, other))
            if random.random() < 0.1:
                del one[field]
        found.append(one)
    return found


def decoder_of(name: str) -> LegDecoder:
    call, shape = joined_call(load(name)), joins_of(name)[joined_call(load(name)).name].shape
    assert shape is not None
    keys = {column.name: column.key for column in call.columns}
    return LegDecoder(call.columns, [keys[one] for one in shape.key], keys[shape.times[0]])


def lines_of(records: Sequence[Record]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


@pytest.mark.parametrize("name", PROVIDER_NAMES)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 40))])
def test_parts_by_templates_are_the_plain_ones(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdrctl.calls.templates._USES", 1)
    random = Random(seed)
    context, decoder = CONTEXT.get(name, {}), decoder_of(name)
    fast, plain = schemas(name)
    records = records_of(name, 12)
    records = [*records, *spoiled(records, random)]
    batches = 0
    for at in range(0, len(records), 40):
        some = records[at : at + 40]
        right = parts_of_legs(plain.rows(Page(some, context)))
        assert parts_of_legs(fast.rows(Page(some, context))) == right
        decoded = decoder.decode(lines_of(some), lambda some=some: some)  # type: ignore[misc]
        batches += isinstance(decoded, LegBatch)
        assert len(decoded) == len(some)
        assert parts_of_legs(fast.rows(Page(decoded, context))) == right
    assert batches > len(records) / 80


@pytest.mark.slow
@for_each("name", PROVIDER_NAMES)
def test_fields_that_no_column_has_change_nothing(name: str) -> None:
    """A provider adds fields at any time; a batch of lines then has columns that the schema of legs does not know."""
    fast, plain = schemas(name)
    context, decoder, records = CONTEXT.get(name, {}), decoder_of(name), records_of(name, 24)[:40]
    more = [{**record, "quantum": at} if at % 3 else record for at, record in enumerate(records)]
    for _ in range(2):  # the first time fits the decoder to these fields
        decoded = decoder.decode(lines_of(more), lambda: more)
        assert isinstance(decoded, LegBatch)
        assert parts_of_legs(fast.rows(Page(decoded, context))) == parts_of_legs(plain.rows(Page(records, context)))


@pytest.mark.slow
@for_each("name", PROVIDER_NAMES)
def test_usual_legs_are_mapped_by_templates(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new column that the plain mapping looks at would make it needed for each leg."""
    mapped: list[int] = []
    joins = joins_of(name)[joined_call(load(name)).name]
    counted = replace(joins, parts=lambda *given: mapped.append(1) or joins.parts(*given))  # type: ignore[func-returns-value]
    monkeypatch.setattr("cdrctl.calls.templates._USES", 1)
    call = joined_call(load(name))
    assert call.common is not None
    fast = leg_schema(call.columns, call.common, counted, lambda _text: None, call.expected)
    records = records_of(name, 24)
    fast.rows(Page(records, CONTEXT.get(name, {})))
    fast.rows(Page(records, CONTEXT.get(name, {})))
    assert len(mapped) < len(records), name


@pytest.mark.thin
@pytest.mark.parametrize("name", PROVIDER_NAMES)
def test_columns_that_no_shape_names_decide_nothing(name: str) -> None:
    """A column that the plain mapping begins to look at must be named, or templates would not see it."""
    call, shape = joined_call(load(name)), joins_of(name)[joined_call(load(name)).name].shape
    assert shape is not None
    _, plain = schemas(name)
    records = records_of(name, 24)[::7]
    right = parts_of_legs(plain.rows(Page(records, CONTEXT.get(name, {}))))
    named = {column.key for column in call.columns if column.name in shape.columns}
    for column in call.columns:
        if column.key not in named and column.key in records[0]:
            for value in ("", "x", 7):
                changed = [{**record, column.key: value} for record in records]
                found = parts_of_legs(plain.rows(Page(changed, CONTEXT.get(name, {}))))
                assert found == right, column.name


def test_looks_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_MOST_LOOKS", 3)
    asked: list[Any] = []

    def look(value: Any) -> bool:
        asked.append(value)
        return value is None

    looks = templates._Looks(look)
    for value in ("a", "a", None, "b", "b", "c", "a"):
        assert looks[value] is (value is None)
        assert len(looks) <= 3
    assert asked == ["a", None, "b", "c", "a"]
