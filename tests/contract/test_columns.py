"""The columns of a call are the same on every run, common CDRs follow the contract, and raw records are unchanged."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.records.columns import Column
from cdrctl.sandbox import Exchange
from tests.support.bench import MONTH, NOW, PROFILE, SUBJECTS, Bench, Subject, bench, counted, evenly, lively, switched
from tests.support.facts import Case, Facts
from tests.support.runner import Ran, Record

SINCE, UNTIL = MONTH - timedelta(hours=4), MONTH + timedelta(hours=2)
COMMON = (
    *("provider", "profile", "record_id", "call_id", "direction"),
    *("from_number", "from_name", "to_number", "to_name", "dialed_number"),
    *("start_time", "answer_time", "end_time", "ring_seconds", "talk_seconds", "total_seconds"),
    *("answered", "outcome", "cause", "cause_q850"),
    *("user", "site", "trunk", "queue", "recording_url", "cost", "currency"),
)
DIRECTIONS = {"inbound", "outbound", "internal", "unknown"}
OUTCOMES = {
    *("answered", "no_answer", "busy", "cancelled", "rejected", "failed", "voicemail", "abandoned", "unknown"),
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MONEY = re.compile(r"-?\d+(\.\d+)?")
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)
CDRS = [subject for subject in SUBJECTS if subject.call.common is not None]
each_cdr = pytest.mark.parametrize("subject", CDRS, ids=str)


def is_plain(case: Case) -> bool:
    """Return whether a case sets one switch only, and one that neither loses records nor slows the export down."""
    return len(case.switches) <= 1 and not case.said and not case.options and "limits=on" not in case.switches


def header(ran: Ran) -> list[str]:
    """Return the first line of a CSV file."""
    return next(csv.reader(io.StringIO(ran.out)))


def table(ran: Ran) -> list[dict[str, str]]:
    """Return a CSV file as rows by column name."""
    return list(csv.DictReader(io.StringIO(ran.out, newline="")))


def as_cell(value: Any) -> str:
    """Return a JSON value as the contract says that CSV has it."""
    if value is None:
        return ""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def moment(text: str) -> datetime:
    """Return the instant that a text stands for."""
    return datetime.fromisoformat(text)


@pytest.mark.thin
@each_call
def test_export_without_records_has_the_columns(subject: Subject, tmp_path: Path) -> None:
    """CSV still has its header, and JSON Lines are empty."""
    with bench(subject, tmp_path, Exchange(calls=[])) as made:
        native = [*(column.name for column in subject.call.columns), "extra"]
        assert header(made.run(SINCE, UNTIL, "-f", "csv").ok()) == native
        if subject.call.common is not None:
            assert header(made.run(SINCE, UNTIL, "-f", "csv", "--schema", "common").ok()) == list(COMMON)
        assert made.run(SINCE, UNTIL, "-f", "csv").ok().out.count("\n") == 1
        assert made.run(SINCE, UNTIL, "-f", "jsonl").ok().out == ""
        assert made.run(SINCE, UNTIL, "-f", "json").ok().out.split() == ["[]"]
        assert made.run(SINCE, UNTIL, "--fail-if-empty").code == 9


@pytest.mark.parametrize(("subject", "case"), switched(is_plain))
def test_columns_do_not_depend_on_the_records(subject: Subject, case: Case, tmp_path: Path) -> None:
    """However the provider spells its records, each value has the type of its column."""
    with bench(subject, tmp_path, lively(SINCE, UNTIL), page_size=60) as made:
        made.switch(case.switches)
        ran = made.run(SINCE, UNTIL, "-f", "csv").ok()
        assert header(ran) == [*(column.name for column in subject.call.columns), "extra"]
        rows = table(ran)
        assert len(rows) == len(made.truth(SINCE, UNTIL)) > 20
        for row in rows:
            for column in subject.call.columns:
                check_kind(column, row[column.name])
        if subject.call.common is not None:
            cdrs = made.run(SINCE, UNTIL, "--schema", "common", "-f", "jsonl").ok().lines
            assert len(cdrs) == len(rows)
            for cdr in cdrs:
                check_common(made, cdr, told=not subject.facts.untold & set(case.switches))


def check_kind(column: Column, cell: str) -> None:
    """Check that a cell is empty or has its column's type."""
    patterns = {
        "integer": r"-?\d+",
        "seconds": r"-?\d+",
        "decimal": r"[+-]?\d*\.?\d*",
        "money": MONEY.pattern,
        "boolean": "true|false",
        "time": TIME.pattern,
        "list": r"(?s)[\[{].*[\]}]",
        "text": r"(?s).*",
    }
    assert not cell or re.fullmatch(patterns[column.kind], cell), f"{column.name}: {cell!r}"


@pytest.mark.parametrize(
    ("subject", "schema"),
    [
        pytest.param(subject, schema, id=f"{schema}-{subject}")
        for schema, subjects in (("native", SUBJECTS), ("common", CDRS))
        for subject in subjects
    ],
)
def test_all_text_formats_have_the_same_values(subject: Subject, schema: str, tmp_path: Path) -> None:
    """CSV, TSV, JSON and JSON Lines have the same columns and values in the same order."""
    with bench(subject, tmp_path, lively(SINCE, UNTIL), page_size=60) as made:
        lines = made.run(SINCE, UNTIL, "-f", "jsonl", "--schema", schema).ok().lines
        rows = table(made.run(SINCE, UNTIL, "-f", "csv", "--schema", schema).ok())
        names = [name for name in rows[0] if name != "extra"]
        assert all(list(line)[: len(names)] == names for line in lines)
        plain = [column.name for column in subject.call.columns if column.kind != "list"]
        for name in COMMON if schema == "common" else plain:
            assert [as_cell(line[name]) for line in lines] == [row[name] for row in rows]


@each_cdr
def test_common_cdrs_follow_the_contract(subject: Subject, tmp_path: Path) -> None:
    """Columns are in the contract's order, and enumerations have its values only."""
    assert len(COMMON) == 27
    with bench(subject, tmp_path, lively(SINCE, UNTIL), page_size=60) as made:
        ran = made.run(SINCE, UNTIL, "--schema", "common", "-f", "csv").ok()
        assert header(ran) == list(COMMON)
        rows = made.run(SINCE, UNTIL, "--schema", "common", "-f", "jsonl").ok().lines
        assert all(list(row) == list(COMMON) for row in rows)
        assert len(rows) == len(made.truth(SINCE, UNTIL)) > 20
        for row in rows:
            check_common(made, row)
        assert len({row["record_id"] for row in rows}) == len(rows)
        assert len({row["direction"] for row in rows}) > 1
        assert len({row["outcome"] for row in rows}) > 1
        assert {row["answered"] for row in rows} >= {True, False}


def check_common(made: Bench, row: Record, *, told: bool = True) -> None:
    """Check a common CDR against the contract and for consistency; `told` is whether its outcome is known."""
    assert row["provider"] == made.provider.name
    assert row["profile"] == PROFILE
    assert isinstance(row["record_id"], str)
    assert row["direction"] in DIRECTIONS
    assert row["outcome"] in OUTCOMES
    assert SINCE <= moment(row["start_time"]) < UNTIL
    for name in ("start_time", "answer_time", "end_time"):
        assert row[name] is None or TIME.fullmatch(row[name]), row[name]
    for name in ("ring_seconds", "talk_seconds", "total_seconds", "cause_q850"):
        assert row[name] is None or (type(row[name]) is int and row[name] >= 0)
    for name in ("record_id", "call_id", "from_number", "to_number", "dialed_number", "from_name", "to_name", "user"):
        assert row[name] is None or (isinstance(row[name], str) and row[name] != "")
    assert row["cost"] is None or MONEY.fullmatch(row["cost"])
    assert (row["cost"] is None) == (row["currency"] is None)
    if told:
        check_answer(row, made.subject.facts)
    else:
        assert row["answered"] is True or row["outcome"] != "answered"
        assert row["answered"] is not False or not row["talk_seconds"]


UNANSWERED = OUTCOMES - {"answered", "voicemail"}
POSSIBLE = {
    True: {"answered", "voicemail", "abandoned"},
    False: UNANSWERED,
    None: UNANSWERED - {"cancelled", "abandoned"},
}
"""The outcomes that go with each value of `answered`; a queue may have answered a call that was then abandoned."""


def check_answer(row: Record, facts: Facts) -> None:
    """Check that `answered`, the times, the lengths and the outcome of a common CDR agree.

    `answered` is the network's answer, by a person, a queue or a voicemail box; `outcome` says by what. Where the
    provider does not tell, `answered` is null, and the outcome is unknown unless the cause rules out an answer.
    """
    assert row["outcome"] in POSSIBLE[row["answered"]]
    assert bool(row["answered"]) == (row["answer_time"] is not None)
    if row["end_time"] is None:
        return
    start, end = moment(row["start_time"]), moment(row["end_time"])
    assert start <= end
    assert row["total_seconds"] in {None, (end - start) // timedelta(seconds=1)}
    if row["answered"]:
        answer = moment(row["answer_time"])
        assert start <= answer <= end
        assert abs(row["talk_seconds"] - (end - answer).total_seconds()) <= 1
        if row["ring_seconds"] is not None:
            assert row["ring_seconds"] <= (answer - start).total_seconds() + 1
            assert facts.rings_late or row["ring_seconds"] >= (answer - start).total_seconds() - 1
    else:
        assert not row["talk_seconds"]


@each_call
def test_raw_records_are_unchanged(subject: Subject, tmp_path: Path) -> None:
    """Keys are in the provider's order, and values are as it sent them."""
    with bench(subject, tmp_path, lively(SINCE, UNTIL), page_size=60) as made:
        truth = {str(list(record.items())) for record in made.truth(SINCE, UNTIL)}
        for form in ("jsonl", "json"):
            ran = made.run(SINCE, UNTIL, "--schema", "raw", "-f", form).ok()
            records = ran.lines if form == "jsonl" else _json(ran)
            assert {str(list(record.items())) for record in records} == truth


def _json(ran: Ran) -> list[Record]:
    import json

    records: list[Record] = json.loads(ran.out)
    return records


@each_call
def test_fields_choose_columns(subject: Subject, tmp_path: Path) -> None:
    """Columns are in the order of `--fields`, with the same values."""
    with bench(subject, tmp_path, evenly(5, SINCE, UNTIL)) as made:
        names = [column.name for column in subject.call.columns]
        chosen = [names[3], names[0], "extra", names[-1]]
        ran = made.run(SINCE, UNTIL, "-f", "csv", "--fields", ",".join(chosen)).ok()
        assert header(ran) == chosen
        whole = table(made.run(SINCE, UNTIL, "-f", "csv").ok())
        assert table(ran) == [{name: row[name] for name in chosen} for row in whole]


@each_cdr
def test_fields_choose_common_columns(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(5, SINCE, UNTIL)) as made:
        few = made.run(SINCE, UNTIL, "-f", "jsonl", "--schema", "common", "--fields", "answered,record_id").ok()
        assert [list(line) for line in few.lines] == [["answered", "record_id"]] * 5


@pytest.mark.parametrize("subject", [subject for subject in SUBJECTS if subject not in CDRS], ids=str)
def test_common_schema_is_refused_for_calls_without_it(subject: Subject, tmp_path: Path) -> None:
    """The schema is refused before any request."""
    with bench(subject, tmp_path, evenly(5, SINCE, UNTIL)) as made:
        ran = made.run(SINCE, UNTIL, "--schema", "common")
        assert ran.code == 2, ran.err
        assert ran.out == ""
        assert made.sandbox.requests == []


@pytest.mark.parametrize("subject", [one for one in SUBJECTS if one.back > timedelta(hours=25)], ids=str)
def test_export_without_a_window_is_of_the_last_24_hours(subject: Subject, tmp_path: Path) -> None:
    """A note says up to when the provider has records."""
    since = NOW - timedelta(hours=24)
    with bench(subject, tmp_path, lively(since, NOW), page_size=200) as made:
        ran = made.shell.run(subject.provider.name, subject.call.name, "-p", PROFILE, "--schema", "raw", "-f", "jsonl")
        assert ran.code == 0, ran.err
        assert counted(ran.lines) <= counted(made.truth(since, NOW))
        assert counted(ran.lines) >= counted(made.truth(since, NOW - timedelta(hours=4)))
        assert "2026-12-01T06:5" in ran.err
