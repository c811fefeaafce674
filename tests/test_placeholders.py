"""Times that stand for "no time" are read as null in every time column of every provider."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from cdrctl import PROVIDERS
from cdrctl.fetchers import load
from cdrctl.placeholders import is_placeholder
from cdrctl.records import batches, schemas
from cdrctl.records.batches import KeyFields
from cdrctl.records.columns import Column
from cdrctl.records.decoding import BatchDecoder
from cdrctl.records.events import Page
from cdrctl.windows import rfc3339
from tests.support.products import for_each

PLACEHOLDERS: list[Any] = [
    *("0001-01-01T00:00:00Z", "0001-01-01 00:00:00", "0001-01-01T00:00:00.000+00:00"),
    *("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z", "1970-01-01 03:00:00", "1969-12-31T19:00:00-05:00"),
    *("0000-00-00 00:00:00", "1899-12-30T00:00:00Z", "1900-01-01T00:00:00", "9999-12-31T23:59:59Z"),
    *("0", "0.0", 0, 0.0),
]
EVENTS: list[Any] = ["2026-11-18T00:00:00Z", "2000-01-01T00:00:00Z", "2083-10-13T10:00:00Z", 1, "1", 1763424000, True]

TIMES = [
    (provider, column)
    for provider in PROVIDERS
    for column in dict.fromkeys(
        column for call in load(provider).calls for column in call.columns if column.kind == "time"
    )
]


@for_each("time", PLACEHOLDERS)
def test_placeholders(time: Any) -> None:
    assert is_placeholder(time)


@for_each("time", [*EVENTS, "", None, "soon", "20261118", "-", datetime(2026, 11, 18, tzinfo=UTC)])
def test_other_times_are_not_placeholders(time: Any) -> None:
    assert not is_placeholder(time)


@for_each("provider, column", TIMES)
def test_no_time_column_has_a_placeholder(provider: str, column: Column) -> None:
    """The column is empty, without a warning."""
    warned: list[str] = []
    schema = schemas.native((column,), None, warned.append)
    rows = schema.rows(Page([{column.key: time} for time in PLACEHOLDERS], {"timezone": "Europe/Berlin"}))
    assert [*map(list, rows)] == [[None, None]] * len(PLACEHOLDERS)
    assert warned == []


@for_each("seconds", [-62_135_596_800, -2_208_988_800, 3600, 253_402_300_799])
def test_a_placeholder_written_as_a_number_is_null(seconds: int) -> None:
    """Year 1, 1900, one hour after the start of 1970, and year 9999, as Unix times.

    Only the decoded instant shows it.
    """
    column = Column("at", "at", "time", read=lambda raw: rfc3339(datetime.fromtimestamp(raw, UTC)))
    assert not is_placeholder(seconds)
    (row,) = schemas.native((column,), None, lambda _text: None).rows(Page([{"at": seconds}]))
    assert [*row] == [None, None]


@for_each("time", [*PLACEHOLDERS, *EVENTS[:3]])
def test_pages_decoded_by_column_give_the_same(time: Any) -> None:
    """Pages decoded by column are equal to pages decoded record by record."""
    columns = (Column("id", "id"), Column("start", "start", "time"), Column("answer", "answer", "time"))
    rows = [{"id": "a", "start": "2026-11-18T00:00:00.000Z", "answer": time}]
    rows += [{"id": "b", "start": "2026-11-18T00:00:00.000Z", "answer": "2026-11-18T00:00:01.000Z"}]
    body = BatchDecoder(columns, KeyFields("id", "start"), raw=False)(
        bytearray(json.dumps({"items": rows}).encode()), ("items",)
    )
    warned: list[str] = []
    by_column = schemas.native(columns, None, warned.append).rows(Page(body["items"]))
    by_record = schemas.native(columns, None, warned.append).rows(Page(rows))
    assert isinstance(by_column, batches.RowBatch)
    assert [*map(list, by_column)] == [*map(list, by_record)]
    assert warned == []
    (_, _, answer, _), _ = map(list, by_record)
    assert (answer is None) == (time in PLACEHOLDERS)
