"""Every writer accepts half a surrogate pair and U+0000, and common readers can read what it wrote."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow.parquet
import pytest

from tests.support.bench import MONTH, SUBJECTS, Bench, Subject, bench, container_of, evenly

SINCE, UNTIL = MONTH - timedelta(hours=3), MONTH - timedelta(hours=2)
CALLS = 6
ODD = {"half": "a\ud83d b", "zero": "a\x00 b"}
FIRST = {one.provider.name: one for one in reversed(SUBJECTS)}
each_provider = pytest.mark.parametrize("subject", FIRST.values(), ids=str)


def with_odd_text(made: Bench, record: dict[str, Any], odd: str) -> dict[str, Any]:
    """Return a record with odd text in its fields, in its id, and in the name of a field without a column."""
    call, context = made.call, {"timezone": "UTC"}
    start, found = call.starts(record, context), dict(record)
    if start is None:  # not about a call: an account, for example
        return record
    for key, value in record.items():
        changed = {**found, key: f"{value}{odd}"}
        if isinstance(value, str) and value and call.starts(changed, context) == start:
            found = changed
    return {**found, f"new{odd}": {f"in{odd}": [odd, {odd: odd}]}, "newer": odd}


def rows_of(kind: str, path: Path) -> int:
    """Return how many rows an independent reader finds in a file, after reading every value."""
    if kind == "parquet":
        with duckdb.connect() as base:
            read = base.execute(f"SELECT * FROM read_parquet('{path}')").fetchall()  # noqa: S608 - names of ours
        table = pyarrow.parquet.read_table(path)
        table.validate(full=True)
        assert table.num_rows == len(read)
        return len(read)
    if kind == "xlsx":
        book = openpyxl.load_workbook(path, read_only=True)
        found = [*book.worksheets[0].iter_rows(values_only=True)]
        book.close()
        return len(found) - 1
    if kind == "sqlite":
        with closing(sqlite3.connect(path)) as database:
            [(name,)] = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            valid = f'SELECT json_valid(extra) FROM "{name}" WHERE extra IS NOT NULL'  # noqa: S608 - names of ours
            assert all(one for (one,) in database.execute(valid))
            return len(database.execute(f'SELECT * FROM "{name}"').fetchall())  # noqa: S608 - names of ours
    with duckdb.connect(path, read_only=True) as base:
        [(name,)] = base.execute("SHOW TABLES").fetchall()
        base.execute(f'SELECT json_keys(extra) FROM "{name}"').fetchall()  # noqa: S608 - names of ours
        return len(base.execute(f'SELECT * FROM "{name}"').fetchall())  # noqa: S608 - names of ours


@pytest.mark.thin
@each_provider
@pytest.mark.parametrize("odd", ODD)
def test_every_writer_accepts_odd_characters(subject: Subject, odd: str, tmp_path: Path) -> None:
    with bench(subject, tmp_path, evenly(CALLS, SINCE, UNTIL)) as made:

        def change(page: dict[str, Any]) -> dict[str, Any]:
            key = container_of(page)
            return {**page, key: [with_odd_text(made, one, ODD[odd]) for one in page[key]]} if key else page

        made.alter_pages(change)
        count = len(made.run(SINCE, UNTIL, "-f", "jsonl", "--schema", "native").ok().lines)
        assert count >= CALLS
        for kind in ("parquet", "xlsx", "sqlite", "duckdb"):
            for schema in ("native", *(["common"] if made.call.common else [])):
                path = tmp_path / f"{schema}.{kind}"
                ran = made.run(SINCE, UNTIL, "-f", kind, "--schema", schema, "-o", str(path))
                assert ran.code == 0, (kind, schema, ran.err)
                assert rows_of(kind, path) == count
        name = subject.call.columns[0].name
        ran = made.run(SINCE, UNTIL, "--template", f"{{{name}}} {{extra}}").ok()
        assert ran.out.count("\n") == count
        assert "\x00" not in ran.out
        ran.written.decode("utf-8")
        for line in made.run(SINCE, UNTIL, "-f", "jsonl").ok().written.splitlines():
            assert b"\\ud83d" not in line
            json.loads(line)
