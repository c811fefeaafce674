"""Fields that this version does not know are kept in every format and in every schema that has a place for them."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import MONTH, SUBJECTS, Bench, Subject, bench, counted, evenly

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
NEW: dict[str, Any] = {
    "Zz Sentiment score": "0.7",
    "zz_nested": {"count": 2, "text": 'said "yes", left', "deep": [1, None, {"a": True}]},
    "zzEmpty": "",
    "zz-null": None,
    "zz number": 12.5,
    "Zz ü": "grüß\n gott\t🎧",
}
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def with_new_fields(document: dict[str, Any]) -> Any:
    """Return a page whose records have unknown fields, and an unknown value of an enumeration."""
    return {
        key: [{**one, **NEW} if isinstance(one, dict) else one for one in value] if isinstance(value, list) else value
        for key, value in document.items()
    }


def run_export(made: Bench, form: str, *more: str) -> Any:
    """Return an export of records with new fields."""
    made.alter_pages(with_new_fields)
    return made.run(SINCE, UNTIL, "-f", form, *more).ok()


@each_call
def test_json_lines_have_unknown_fields_as_keys(subject: Subject, tmp_path: Path) -> None:
    """Their names are in snake_case, and their values are unchanged."""
    with bench(subject, tmp_path, evenly(8, SINCE, UNTIL), page_size=5) as made:
        names = [column.name for column in subject.call.columns]
        lines = run_export(made, "jsonl").lines
        assert len(lines) == 8
        for line in lines:
            assert list(line)[: len(names)] == names
            further = {key: value for key, value in line.items() if key not in names}
            assert further.pop("zz_sentiment_score") == "0.7"
            assert further.pop("zz_nested") == NEW["zz_nested"]
            assert sorted(map(str, further.values())) == sorted(
                map(str, [NEW["zzEmpty"], NEW["zz-null"], NEW["zz number"], NEW["Zz ü"]])
            )


@each_call
def test_csv_has_unknown_fields_in_the_last_column(subject: Subject, tmp_path: Path) -> None:
    """They are a JSON object there, and all other columns are as usual."""
    with bench(subject, tmp_path, evenly(8, SINCE, UNTIL), page_size=5) as made:
        reader = csv.reader(io.StringIO(run_export(made, "csv").out, newline=""))
        header, *rows = list(reader)
        assert header == [*(column.name for column in subject.call.columns), "extra"]
        assert len(rows) == 8
        for row in rows:
            extra = json.loads(row[-1])
            assert extra["zz_nested"] == NEW["zz_nested"]
            assert len(extra) == len(NEW)


@each_call
def test_warning_says_whether_unknown_fields_are_kept(subject: Subject, tmp_path: Path) -> None:
    """Where the schema has no place for them, it says how to get them."""
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL), page_size=5) as made:
        name = subject.call.columns[0].name
        assert "; they are kept" in run_export(made, "jsonl").err
        assert "; they are kept" in run_export(made, "jsonl", "--fields", f"{name},extra").err
        assert "; they are not among --fields, but in the field extra" in run_export(made, "csv", "--fields", name).err
        if subject.call.common is not None:
            assert "; use --schema native to get them" in run_export(made, "csv", "--schema", "common").err


@each_call
def test_csv_without_unknown_fields_has_an_empty_last_column(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(3, SINCE, UNTIL)) as made:
        reader = csv.DictReader(io.StringIO(made.run(SINCE, UNTIL, "-f", "csv").ok().out, newline=""))
        assert [row["extra"] for row in reader] == [""] * 3


@each_call
def test_raw_records_have_unknown_fields_unchanged(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(8, SINCE, UNTIL), page_size=5) as made:
        truth = counted({**record, **NEW} for record in made.truth(SINCE, UNTIL))
        assert counted(run_export(made, "jsonl", "--schema", "raw").lines) == truth


@each_call
def test_values_of_another_type_are_exported_unchanged(subject: Subject, tmp_path: Path) -> None:
    """The column gets one warning, and no record is lost."""
    with bench(subject, tmp_path, evenly(8, SINCE, UNTIL), page_size=5) as made:
        column = next(one for one in subject.call.columns if one.kind == "seconds")

        def odd(document: dict[str, Any]) -> Any:
            return {
                key: [{**one, column.key: "eight"} if isinstance(one, dict) else one for one in value]
                if isinstance(value, list)
                else value
                for key, value in document.items()
            }

        made.alter_pages(odd)
        ran = made.run(SINCE, UNTIL, "-f", "jsonl").ok()
        assert [line[column.name] for line in ran.lines] == ["eight"] * 8
        assert ran.err.count(f"column {column.name}: ") == 1
        if subject.call.common is not None:
            assert len(made.run(SINCE, UNTIL, "-f", "csv", "--schema", "common").ok().written.splitlines()) == 9
