"""Conditions in SQL select the calls that the same conditions select in Python, or are not made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import duckdb
import pytest
from hypothesis import given, strategies as st

from cdrctl.calls.columns import CALL
from cdrctl.calls.files import open_file
from cdrctl.cli.calls_from_files import rows_of_calls
from cdrctl.conditions.evaluation import on_rows
from cdrctl.conditions.language import Condition, read_condition
from cdrctl.figures.engine import NO_LISTS
from cdrctl.figures.in_place import CallFiles, open_in_place
from cdrctl.figures.where import in_sql
from cdrctl.records.events import Row
from tests.figures.test_in_place import COLUMNS, in_place, row, written
from tests.support.examples import examples

NOW = datetime(2026, 11, 12, 9, 0, tzinfo=UTC)
TEXTS = ('O\'Neill, "Jr"', "two\nlines", "+12025550150", "+441632960122", "90", "ß", "%_x", "a.b")

_VALUES = {
    "text": [*TEXTS, "", "inbound", "answered", "+1", "Z"],
    "seconds": ["0", "30", "60.5", "1:00", "2m", "1e30", "59.99"],
    "integer": ["0", "30", "60.5", "-1", "59.99"],
    "money": ["0", "1.5", "4.0001", "8.99990", "1e-20", "1e30"],
    "boolean": ["true", "no"],
    "time": ["2026-11-11", "2026-11-10T03:15", "yesterday", "2026-11-11T00:00:00.001+02:00"],
}
_SIGNS = {"text": ["=", "!=", "<", ">=", "~", "!~"], "boolean": ["=", "!="]}
_PATTERNS = ["^\\+1202", "2960", "two", "a\\.b", "^O", "%", "^a.b", "x|y", "ß"]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


@st.composite
def comparison(draw: st.DrawFn) -> str:
    column = draw(st.sampled_from([one for one in CALL if one.kind != "list" and not one.values]))
    kind = str(column.kind)
    values = [quoted(one) for one in _VALUES[kind]]
    form = draw(st.integers(0, 5))
    if form == 0:
        return f"{column.name} is {draw(st.sampled_from(['', 'not ']))}null"
    if form == 1:
        return f"{column.name} in ({', '.join(draw(st.lists(st.sampled_from([*values, 'null']), min_size=1)))})"
    if form == 2 and kind == "boolean":
        return column.name
    sign = draw(st.sampled_from(_SIGNS.get(kind, ["=", "!=", "<", "<=", ">", ">="])))
    chosen = _PATTERNS if "~" in sign else None
    return (
        f"{column.name} {sign} {draw(st.sampled_from(values if chosen is None else [quoted(one) for one in chosen]))}"
    )


CONDITIONS = st.recursive(
    comparison(),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=4,
)


def files_of_calls(tmp_path: Path) -> tuple[list[Path], list[Row]]:
    """Return files with the same calls in all forms, and the calls as Python reads them."""
    random = Random(8)
    rows = [row(random, TEXTS) for _ in range(200)]
    paths = [written(tmp_path / f"calls.{form}", rows) for form in ("parquet", "csv", "jsonl")]
    pages = rows_of_calls(open_file(str(paths[2]), None, None, calls_too=True))
    return paths, [one for page in pages for one in page]


def selected(condition: Condition, rows: Sequence[Row]) -> list[str]:
    warned: list[str] = []
    holds = on_rows(condition, CALL, zone=UTC, now=NOW, warn=warned.append)
    found = sorted(str(one[COLUMNS["call_id"]]) for one in rows if holds(one))
    assert not warned, "a value of another type"
    return found


@pytest.mark.slow
@pytest.mark.hypothesis
def test_sql_selects_the_calls_that_python_selects(tmp_path: Path) -> None:
    paths, rows = files_of_calls(tmp_path)
    made = total = 0

    def compare(text: str) -> None:
        nonlocal made, total
        condition = read_condition(text)
        where = in_sql(condition, UTC, NOW)
        total += 1
        if where is None:
            return
        made += 1
        expected = selected(condition, rows)
        for connection in connections:
            found = connection.execute(f"SELECT call_id FROM all_calls WHERE {where}").fetchall()  # noqa: S608 - a condition of ours
            assert sorted(one for (one,) in found) == expected, text

    with ExitStack() as stack:
        connections = [stack.enter_context(duckdb.connect()) for _ in paths]
        for connection, path in zip(connections, paths, strict=True):
            connection.execute("SET TimeZone = 'UTC'")
            files = CallFiles([(str(path), path.suffix[1:])], None, lambda _count: None, list)
            assert open_in_place(connection, files, NO_LISTS) is not None
        for sign in ("=", "!=", "<", "<=", ">", ">="):
            for value in ("59.99", "60", "60.5"):
                compare(f"talk_seconds {sign} {value}")
        examples(100)(given(CONDITIONS)(compare))()
    assert made > total / 2, "most conditions can be SQL"


def test_a_condition_may_have_fields_that_figures_do_not_read(tmp_path: Path) -> None:
    paths, rows = files_of_calls(tmp_path)
    condition = read_condition("hold_seconds > 60")
    for path in paths:
        assert in_place(path, ["call_id"], str(in_sql(condition, UTC, NOW)), ["hold_seconds"]) == selected(
            condition, rows
        )


@pytest.mark.parametrize(
    "text", ["from_name ~ a.b", "path ~ menu", "from_number < 5", "talk_seconds ~ 6", "cost < 1e-30", "legs > 1e40"]
)
def test_what_sql_cannot_select_exactly_is_left_to_python(text: str) -> None:
    assert in_sql(read_condition(text), UTC, NOW) is None


@pytest.mark.slow
def test_a_text_that_may_be_a_list_is_examined_by_python(tmp_path: Path) -> None:
    rows = [row(Random(9), TEXTS)]
    rows[0][COLUMNS["from_name"]] = '["a","b"]'
    where = in_sql(read_condition("from_name = a"), UTC, NOW)
    assert where is not None
    for form in ("parquet", "csv", "jsonl"):
        path = written(tmp_path / f"calls.{form}", rows)
        assert in_place(path, ["call_id"], where, ["from_name"]) is None
        assert in_place(path, ["call_id"]) is not None
