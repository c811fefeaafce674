"""Records differ from the documentation: none is lost, each change gets one warning, and `--strict` exits with 7."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.cli.options import SHARED
from cdrctl.records.events import pick
from tests.support.bench import MONTH, PROFILE, SUBJECTS, Bench, Subject, bench, container_of, evenly, said_time
from tests.support.products import thinned
from tests.support.runner import Ran

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
CALLS = 8
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)

Change = Callable[[dict[str, Any], str], dict[str, Any]]


def key_in(record: dict[str, Any], key: str) -> str:
    """Return a key as the record spells it."""
    return next(name for name in record if name.casefold() == key.casefold())


def new(record: dict[str, Any], _key: str) -> dict[str, Any]:
    return {**record, "zz_new": "1", "zz_newer": {"a": [None]}}


def missing(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != key}


def null(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {**record, key: None}


def renamed(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {("zz_" + name if name == key else name): value for name, value in record.items()}


# By name: the change, and the beginnings of the warnings that it causes; {} is the column's name.
KINDS: dict[str, tuple[Change, list[str]]] = {
    "new": (new, ["the provider sent fields that this version does not know: zz_new, zz_newer"]),
    "missing": (missing, ["column {}: a record came without it"]),
    "null": (null, ["column {}: a record came without it"]),
    "renamed": (
        renamed,
        ["the provider sent fields that this version does not know: zz_", "column {}: a record came without it"],
    ),
}
STRANGE: dict[str, Any] = {
    "nested": {"a": [1, {"b": None}]},
    "listed": ["x", 2],
    "boolean": True,
    "huge": "x" * 100_000,
    "huge-number": 10**400,
    "not-a-number": float("nan"),
    "surrogate": "a\ud800b",
    "nul": "a\0b",
    "escapes": "\x1b[31m\u202eevil\r\n",
    "decimal": 1.5,
    "negative": -1,
    "text": "hello",
    "number-as-text": "12",
}


def column_to_change(subject: Subject) -> Any:
    """Return the column to change: every record has it, and it is not the start of the call."""
    names = sorted(subject.call.expected.required)
    plain = [column for column in subject.call.columns if column.name in names and column.kind == "text"]
    return plain[0]


def schemas(subject: Subject) -> list[str]:
    """Return the schemas of a call that have columns."""
    return ["native", "common"] if subject.call.common else ["native"]


def change_records(made: Bench, change: Change, key: str, *, nth: int = 2) -> None:
    """Change every nth record of each page."""

    def page(document: dict[str, Any]) -> Any:
        container = container_of(document)
        if container is None:
            return document
        records = [
            change(one, key_in(one, key)) if at % nth == 0 and isinstance(one, dict) and pick(one, key) else one
            for at, one in enumerate(document[container])
        ]
        return {**document, container: records}

    made.alter_pages(page)


def warnings(ran: Ran) -> list[str]:
    """Return the warnings about records."""
    found = [line.removeprefix("cdrctl: warning: ") for line in ran.err.splitlines() if ": warning: " in line]
    return [line for line in found if line.startswith(("column ", "the provider sent fields ", "a record "))]


@each_call
@pytest.mark.parametrize("kind", KINDS)
def test_changed_field_gets_one_warning(subject: Subject, kind: str, tmp_path: Path) -> None:
    """A field is new, missing, null or renamed: every record comes, with one warning for each kind of change."""
    change, expected = KINDS[kind]
    column = column_to_change(subject)
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL), page_size=5) as made:
        made.straight()
        before = made.run(SINCE, UNTIL, "-f", "jsonl").ok()
        assert warnings(before) == []
        change_records(made, change, column.key)
        ran = made.run(SINCE, UNTIL, "-f", "jsonl").ok()
        assert len(ran.lines) == len(before.lines)
        for schema in schemas(subject):
            told = warnings(made.run(SINCE, UNTIL, "-f", "csv", "--schema", schema).ok())
            assert len(told) == len(expected), told
            for text, begins in zip(sorted(told, reverse=True), expected, strict=True):
                assert text.startswith(begins.format(column.name))


@each_call
@pytest.mark.parametrize("kind", KINDS)
def test_strict_exits_with_7_and_leaves_the_file_unchanged(subject: Subject, kind: str, tmp_path: Path) -> None:
    """Without a change, `--strict` has no effect."""
    column = column_to_change(subject)
    target = tmp_path / "cdrs.csv"
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL), page_size=5) as made:
        made.straight()
        assert made.run(SINCE, UNTIL, "--strict", "-o", str(target)).ok().code == 0
        before = target.read_bytes()
        change_records(made, KINDS[kind][0], column.key)
        ran = made.run(SINCE, UNTIL, "--strict", "-o", str(target))
        assert ran.code == 7, ran.err
        assert f"cdrctl fields {subject.provider.name} {subject.call.name}" in ran.err
        assert target.read_bytes() == before
        for schema in schemas(subject):
            assert made.run(SINCE, UNTIL, "--strict", "--schema", schema).code == 7


@pytest.mark.thin
@pytest.mark.parametrize(("subject", "strange"), thinned(SUBJECTS, tuple(STRANGE), keep=5))
def test_values_of_another_type_lose_no_record(subject: Subject, strange: str, tmp_path: Path) -> None:
    """Every field of a record has such a value: every record comes, and every format can be read back."""
    value = STRANGE[strange]
    kept = subject.call.expected.required
    # A length of -1 moves the start of a Kazoo leg by a second: none starts at the window's own edge.
    # Long texts are in one page only, because they are megabytes.
    calls = evenly(2 if strange == "huge" else CALLS, SINCE + timedelta(minutes=1), UNTIL)
    with bench(subject, tmp_path, calls, page_size=5) as made:
        made.straight()
        plain = made.run(SINCE, UNTIL, "-f", "jsonl").ok()
        with_fast_values = {column.key.casefold() for column in subject.call.columns if column.name in kept}

        def page(document: dict[str, Any]) -> Any:
            container = container_of(document)
            if container is None:
                return document
            return {
                **document,
                container: [
                    {name: inner if name.casefold() in with_fast_values else value for name, inner in one.items()}
                    for one in document[container]
                ],
            }

        made.alter_pages(page)
        lines = made.run(SINCE, UNTIL, "-f", "jsonl").ok().lines
        assert len(lines) == len(plain.lines)
        for schema in schemas(subject):
            ran = made.run(SINCE, UNTIL, "-f", "csv", "--schema", schema).ok()
            csv.field_size_limit(10**9)
            rows = list(csv.reader(io.StringIO(ran.out, newline="")))
            assert len(rows) == len(lines) + 1
            assert {len(row) for row in rows} == {len(rows[0])}
            told = warnings(ran)
            assert len(set(told)) == len(told)
            assert "\x1b" not in ran.err
            assert len(json.loads(made.run(SINCE, UNTIL, "-f", "json", "--schema", schema).ok().out)) == len(lines)
        table = made.run(SINCE, UNTIL, "-f", "table").ok().out
        assert "\x1b" not in table
        assert "\u202e" not in table
        assert "\0" not in table


@pytest.mark.parametrize("subject", [one for one in SUBJECTS if one.call is one.provider.calls[0]], ids=str)
def test_strict_ends_an_export_of_several_profiles(subject: Subject, tmp_path: Path) -> None:
    target = tmp_path / "cdrs.csv"
    target.write_text("as it was", encoding="utf-8")
    words = ["export", "-p", PROFILE, "--since", said_time(SINCE), "--until", said_time(UNTIL), "-o", str(target)]
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL)) as made:
        made.straight()
        change_records(made, new, column_to_change(subject).key)
        assert made.shell.run(*words).ok().code == 0
        target.write_text("as it was", encoding="utf-8")
        ran = made.shell.run(*words, "--strict")
        assert ran.code == 7, ran.err
        assert f"cdrctl: {PROFILE} ({subject.provider.name}): " in ran.err
        assert target.read_text(encoding="utf-8") == "as it was"
        ran = made.shell.run(*words, "--strict", "--allow-partial")  # one profile failed, and it was the only one
        assert ran.code == 7, ran.err
        assert target.read_text(encoding="utf-8") == "as it was"


@each_call
def test_strict_is_refused_with_raw_records(subject: Subject, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(1, SINCE, UNTIL)) as made:
        assert made.run(SINCE, UNTIL, "--strict", "--schema", "raw").code == 2
        assert made.sandbox.requests == []
    assert "strict" in SHARED
