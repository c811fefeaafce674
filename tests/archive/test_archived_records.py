"""A record that went through an archive is the record that an export from the provider gives."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cdrctl.archive.columnar import read_rows, write_rows
from cdrctl.archive.dayfile import Row as ArchivedRow
from cdrctl.archive.fetching import Fetched, Source, fetch_entries
from cdrctl.archive.records import archived_call, record_reader, with_archived_key
from cdrctl.archive.settings import Settings
from cdrctl.archive.store import Archive
from cdrctl.export.identity import with_record_key
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import PROVIDERS, Call, Provider, load
from cdrctl.records.columns import Column
from cdrctl.records.events import Event, Page, Record, Row, fingerprint
from cdrctl.records.schemas import Schema, common, native
from cdrctl.windows import Window
from cdrctl.writers.values import json_of, text_of

CALLS = [(load(name), call) for name in PROVIDERS for call in load(name).calls if call.archived]
CASES = pytest.mark.parametrize(
    ("provider", "call"), CALLS, ids=[f"{provider.name} {call.name}" for provider, call in CALLS]
)
SEEDS = pytest.mark.parametrize("seed", [1, 2])
NOW = datetime(2026, 11, 20, tzinfo=UTC)
EVER = Window(datetime(1971, 1, 1, tzinfo=UTC), datetime(2190, 1, 1, tzinfo=UTC))

TEXTS = [
    "",
    "a",
    "007",
    "-1",
    "1.50",
    "true",
    "null",
    "[1]",
    "{}",
    ' x"y,z',
    "line\nline",
    "é🎧",
    "=2+3",
    "NA",
    "\x1b[2J",
    "+49 30 1",
]
TIMES = ["2026-11-18T08:00:00Z", "2026-11-18T08:00:00.123456Z", "2026-03-29T03:30:00+02:00", "2026-11-18 08:00:00.5Z"]
ODD = [
    *TEXTS,
    *TIMES,
    *(None, True, False, 0, -7, 10**30, 1.5, -0.0, 1e300, "1970-01-01T00:00:00Z", "2026-02-30", "2026-11-18 08:00"),
    *([], ["a", None, {"b": 1.25}], {}, {"c": [1, "2"], "D": {"e": None}}),
]
FITTING: dict[str, list[Any]] = {
    "text": TEXTS,
    "integer": [0, 7, -3, "12", 10**20],
    "seconds": [0, 7, "3600", 2.0],
    "decimal": ["1.50", "-0.001", 7, "+3"],
    "money": ["1.50", "-0.001", 7, 0.25],
    "boolean": [True, False, "true", "False"],
    "time": TIMES,
    "list": [[], ["a", None, {"b": 1.25}], {}, {"c": [1, "2"], "D": {"e": None}}],
}
PARSED = {"money": [0, 7, 20_000], "boolean": [0, 1], "time": [63_962_351_927]}
"""What fits columns with a parser of their own, where it is something else."""
UNKNOWN = ["brand_new", "Brand New", "brand-new", "é", "x.y", "Direction", "extra", "EXTRA"]


def context_of(call: Call) -> dict[str, str]:
    """Return a context of pages as an export without options of the call has it."""
    told = {"timezone": "Europe/Berlin", "currency": "USD"}
    named = [column.key[1:] for column in call.columns if column.key.startswith("@")]
    return {**{name: told.get(name, f"the {name}") for name in named}, **call.further_context}


def records(call: Call, seed: int, *, odd: bool) -> list[Record]:
    """Return records of a call; odd ones have values of other types, and unknown fields."""
    draw = random.Random(seed)
    found: list[Record] = []
    for number in range(40):
        record: Record = {}
        for column in call.columns:
            if column.key[0] == "@" or draw.random() < 0.2:
                continue
            fitting = PARSED.get(column.kind, FITTING[column.kind]) if column.read else FITTING[column.kind]
            record[column.key] = draw.choice(ODD if odd and draw.random() < 0.3 else fitting)
        if odd:
            record |= {key: draw.choice(ODD) for key in draw.sample(UNKNOWN, 2)}
        found.append({**record, "number": number})
    return found


def exported(events: Iterator[Event], call: Call, schema: Schema, window: Window | None = EVER) -> list[Row]:
    pages = rows(events, call, schema, window, Tally(), lambda *_: None)
    return [list(row) for page in pages for row in page]


def archived(form: str, call: Call, page: Page) -> tuple[Fetched, Iterator[Event]]:
    """Return the entries of an archive and the events of reading them."""
    source = Source("acme", "test", call, lambda _window: iter([page]), lambda *_: None)
    came = fetch_entries(Archive(Path("nowhere"), Settings("UTC", form)), source, EVER, NOW)
    stored: Iterator[ArchivedRow] = (
        ArchivedRow(*row) for row in came.spool._db.execute("SELECT start, key, line FROM new")
    )
    if form == "parquet":
        file = io.BytesIO()
        write_rows(call.columns, stored, file)
        file.seek(0)
        stored = read_rows(file)
    read = record_reader(call, came.header)
    again = [read(row) for row in stored]
    assert None not in again
    return came, iter([Page(again)])  # type: ignore[arg-type]


def quiet(_text: str) -> None:
    pass


def native_of(call: Call) -> Schema:
    return native(call.columns, None, quiet, call.expected)


def common_of(call: Call, columns: tuple[Column, ...]) -> Schema:
    assert call.common is not None
    return common(columns, call.common, None, quiet, provider="test", profile="acme", known=call.expected)


@CASES
@SEEDS
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_native_records_of_an_archive_are_those_of_the_provider(
    provider: Provider, call: Call, form: str, seed: int
) -> None:
    page = Page(records(call, seed, odd=True), context_of(call))
    expected = exported(iter([page]), call, native_of(call))
    _, events = archived(form, call, page)
    theirs = archived_call(call)
    assert written(exported(events, theirs, native_of(theirs), None)) == written(expected)


def written(found: list[Row]) -> list[bytes]:
    """Return rows as they are written: two readings of one number may differ in their last digits and not there."""
    return [json_of(row) for row in found]


@CASES
@SEEDS
def test_native_records_of_a_csv_archive_have_the_types_of_their_columns(
    provider: Provider, call: Call, seed: int
) -> None:
    page = Page(records(call, seed, odd=False), context_of(call))
    _, events = archived("csv", call, page)
    theirs = archived_call(call)
    assert written(exported(events, theirs, native_of(theirs), None)) == written(
        exported(iter([page]), call, native_of(call))
    )


@CASES
@SEEDS
def test_a_csv_archive_is_written_as_the_same_csv_whatever_the_provider_sent(
    provider: Provider, call: Call, seed: int
) -> None:
    page = Page(records(call, seed, odd=True), context_of(call))
    _, events = archived("csv", call, page)
    theirs = archived_call(call)
    cells = [list(map(text_of, row)) for row in exported(events, theirs, native_of(theirs), None)]
    assert cells == [list(map(text_of, row)) for row in exported(iter([page]), call, native_of(call))]


@pytest.mark.parametrize(
    ("provider", "call"),
    [one for one in CALLS if one[1].common is not None],
    ids=[f"{provider.name} {call.name}" for provider, call in CALLS if call.common is not None],
)
@SEEDS
@pytest.mark.parametrize("form", ["jsonl", "parquet", "csv"])
def test_common_records_of_an_archive_are_those_of_the_provider(
    provider: Provider, call: Call, form: str, seed: int
) -> None:
    page = Page(records(call, seed, odd=form != "csv"), context_of(call))
    expected = exported(iter([page]), call, common_of(call, call.columns))
    _, events = archived(form, call, page)
    theirs = archived_call(call)
    assert exported(events, theirs, common_of(call, theirs.columns), None) == expected


@CASES
def test_what_does_not_fit_its_column_is_reported_as_by_an_export_from_the_provider(
    provider: Provider, call: Call
) -> None:
    came = [{**record, "unknown": 1} for record in records(call, 3, odd=True)]
    page = Page(came, context_of(call))
    theirs = archived_call(call)
    said: list[list[str]] = []
    for events, one, window in ((iter([page]), call, EVER), (archived("jsonl", call, page)[1], theirs, None)):
        warnings: list[str] = []
        exported(events, one, native(one.columns, None, warnings.append, call.expected), window)
        said.append(sorted(warning for warning in warnings if warning.startswith("column")))
        assert len(warnings) == len(said[-1]) + 1  # and the unknown fields
    assert said[0] == said[1] != []


def ids(call: Call) -> list[Record]:
    """Return records with ids."""
    keys = {column.key: column for column in call.columns if column.key[0] != "@"}
    return [
        {key: f"id {number}" if keys[key].kind == "text" else None for key in keys} | {"CallID": f"c{number}"}
        for number in range(3)
    ]


@CASES
def test_a_record_with_an_id_has_the_key_of_an_export_from_the_provider(provider: Provider, call: Call) -> None:
    page = Page(ids(call), context_of(call))
    warned: list[str] = []
    expected = exported(iter([page]), call, with_record_key(native_of(call), provider, call, "acme"))
    _, events = archived("jsonl", call, page)
    theirs = archived_call(call)
    schema = with_archived_key(native_of(theirs), provider, call, "acme", warned.append)
    found = exported(events, theirs, schema, None)
    known = call.identity(page.records[0]) != fingerprint(page.records[0])
    assert ([row[0] for row in found] == [row[0] for row in expected]) == known
    assert len({row[0] for row in found}) == len(found)
    assert len(warned) == (not known)
