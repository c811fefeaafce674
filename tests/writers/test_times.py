"""Times with the offset of a zone: the same instants in all text formats and in workbooks."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from hypothesis import given, strategies as st

from cdrctl.records.batches import RowBatch
from cdrctl.records.columns import Column
from cdrctl.records.schemas import Schema
from cdrctl.windows import rfc3339
from cdrctl.writers.times import to_zone
from tests.support.products import for_each
from tests.support.runner import run

SCHEMA = Schema((Column("at", "at", "time"), Column("name", "name")), lambda _page: ())
DAY = ("-p", "sandbox", "--since", "2026-10-25", "--until", "2026-10-26", "--tz", "Europe/Berlin")
FIELDS = ("--fields", "record_id,start_time,answer_time,talk_seconds")
EXPORT = ("webex", "cdrs", *DAY, "--since", "2026-11-19", "--until", "2026-11-20", "--schema", "common", *FIELDS)


@given(
    st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))),  # noqa: DTZ001
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
)
def test_instants_are_unchanged_and_batches_give_the_same_as_rows(moments: list[datetime], name: str) -> None:
    zone = ZoneInfo(name)
    texts = [rfc3339(moment) for moment in moments]
    [rows] = to_zone([[[text, "x"] for text in texts]], SCHEMA, zone)
    [table] = to_zone([RowBatch([texts, ["x"] * len(texts)], [True, True], len(texts))], SCHEMA, zone)
    assert list(table) == list(rows)
    for text, (local, _) in zip(texts, rows, strict=True):
        assert datetime.fromisoformat(str(local)) == datetime.fromisoformat(text)
        assert (
            datetime.fromisoformat(str(local)).utcoffset() == datetime.fromisoformat(text).astimezone(zone).utcoffset()
        )


def test_values_that_are_not_times_are_unchanged() -> None:
    rows: list[list[Any]] = [[None, "2026-11-19T08:00:00.000Z"], ["soon", "x"], [5, "x"]]
    assert [*to_zone([rows], SCHEMA, ZoneInfo("Europe/Berlin"))] == [rows]


@pytest.mark.thin
@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "tsv", "template"])
def test_every_text_format_has_the_offset(form: str) -> None:
    words: tuple[str, ...] = (*EXPORT, "-f", form)
    if form == "template":
        words = (*EXPORT[: -len(FIELDS)], "--template", "{record_id}\t{start_time}")
    ran, plain = run(*words, "--times", "local"), run(*words)
    assert ran.code == 0, ran.err
    found, expected = times(form, ran.out), times(form, plain.out)
    assert found
    assert [datetime.fromisoformat(one) for one in found] == [datetime.fromisoformat(one) for one in expected]
    assert all(one.endswith("+01:00") for one in found)
    assert all(one.endswith("Z") for one in expected)


def times(form: str, text: str) -> list[str]:
    if form == "jsonl":
        return [json.loads(line)["start_time"] for line in text.splitlines()]
    if form == "json":
        return [one["start_time"] for one in json.loads(text)]
    if form == "template":
        return [line.split("\t")[1] for line in text.splitlines()]
    return [line["start_time"] for line in csv.DictReader(io.StringIO(text), delimiter="\t" if form == "tsv" else ",")]


@pytest.mark.slow
def test_conditions_and_sorting_compare_instants_when_clocks_go_back() -> None:
    """On that night 02:30+02:00 is before 02:10+01:00; as text it would be after it."""
    words = ("kazoo", "cdrs", *DAY, "--schema", "common", "--sort", "start_time,record_id")
    where = ("--where", "start_time<2026-10-25T03:00:00Z")
    plain, local = run(*words, *where).lines, run(*words, *where, "--times", "local").lines
    assert plain
    assert [one["record_id"] for one in local] == [one["record_id"] for one in plain]
    assert {one["start_time"][-6:] for one in local} == {"+01:00", "+02:00"}


@pytest.mark.slow
def test_a_workbook_has_local_times_and_names_the_zone_above_them(tmp_path: Path) -> None:
    ran = run(*EXPORT, "--times", "local", "-o", tmp_path / "calls.xlsx")
    assert ran.code == 0, ran.err
    sheet = openpyxl.load_workbook(tmp_path / "calls.xlsx").worksheets[0]
    head, *rows = sheet.iter_rows(values_only=True)
    assert head == ("record_id", "start_time (Europe/Berlin)", "answer_time (Europe/Berlin)", "talk_seconds")
    truth = {one["record_id"]: datetime.fromisoformat(one["start_time"]) for one in run(*EXPORT).lines}
    for record, start, *_ in rows:
        assert isinstance(start, datetime)
        assert start == (truth[str(record)] + timedelta(hours=1)).replace(tzinfo=None, microsecond=0)


@for_each(
    "words",
    [
        ("--times", "locla"),
        ("--times", "local", "-o", "calls.parquet"),
        ("--times", "local", "-o", "calls.db"),
        ("--times", "local", "-o", "calls.duckdb"),
        ("--times", "local", "--schema", "raw"),
        ("--times", "utc", "--schema", "raw"),
    ],
)
def test_formats_without_local_times_are_refused_before_any_request(words: tuple[str, ...]) -> None:
    ran = run("webex", "cdrs", *DAY, *words)
    assert (ran.code, ran.out) == (2, "")
    assert "requests" not in ran.err


def test_a_table_can_be_in_utc() -> None:
    words = ("webex", "cdrs", "-p", "sandbox", "--since", "2026-11-19", "--until", "2026-11-20", "-f", "table")
    assert "times in UTC" in run(*words, "--tz", "Europe/Berlin", "--times", "utc").out
    assert "times in Europe/Berlin" in run(*words, "--tz", "Europe/Berlin").out
