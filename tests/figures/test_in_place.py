"""Files of whole calls give the same figures whether DuckDB reads them in place or Python reads them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from cdrctl import writers
from cdrctl.calls.columns import CALL, OUTCOMES
from cdrctl.figures.engine import NO_LISTS
from cdrctl.figures.in_place import CallFiles, form_of, open_in_place
from cdrctl.records.events import Row
from cdrctl.records.schemas import Schema
from cdrctl.sandbox import Exchange
from cdrctl.windows import rfc3339
from tests.calls import truth_kit
from tests.support.runner import run

LOOK = writers.RenderOptions(width=80, zone=UTC, color=False)
START = datetime(2026, 11, 9, 22, 30, tzinfo=UTC)
FORMS = ("parquet", "csv", "tsv", "jsonl")
EVERY_CALL = ("--where", "provider ~ .")  # Python examines a condition with a regular expression
TEXTS = ('Zoë, "Jr"', "[x]", "two\nlines", "+12025550150", "+441632960122")
COLUMNS = {column.name: at for at, column in enumerate(CALL)}


def row(random: Random, texts: Sequence[str] = TEXTS) -> Row:
    """Return a call with any values, or none, in each column."""
    start = START + timedelta(milliseconds=random.randrange(3 * 86_400_000))
    values: dict[str, Any] = {
        "provider": random.choice(("webex", "kazoo", "callgear")),
        "call_id": str(random.random()),
    }
    for column in CALL:
        if column.name in values or random.random() < 0.2:
            continue
        if column.kind == "time":
            values[column.name] = rfc3339(start + timedelta(seconds=random.randrange(400)))
        elif column.kind in {"integer", "seconds"}:
            values[column.name] = random.randrange(120)
        elif column.kind == "boolean":
            values[column.name] = random.random() < 0.5
        elif column.kind == "money":
            values[column.name] = f"{random.randrange(9)}.{random.randrange(10_000):04d}"
        elif column.kind == "list":
            values[column.name] = ["a", 'b"', None]
        else:
            values[column.name] = random.choice(texts)
    if random.random() < 0.9:
        values |= {"start_time": rfc3339(start), "outcome": random.choice(OUTCOMES)}
        values["direction"] = random.choice(("inbound", "outbound", "internal"))
    return [values.get(column.name) for column in CALL]


def written(path: Path, rows: list[Row]) -> Path:
    """Write rows of calls into a file, in the form of its name."""
    form = path.suffix[1:]
    out = io.BytesIO()
    writers.load(form)(Schema(CALL, lambda _page: []), iter([rows]), out, LOOK)
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.thin
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_figures_in_place_are_those_through_python(tmp_path: Path, form: str, seed: int) -> None:
    random = Random(seed)
    path = written(tmp_path / f"calls.{form}", [row(random) for _ in range(300)])
    assert form_of(str(path)) == form
    window = () if seed == 2 else ("--since", "2026-11-10", "--until", "2026-11-12", "--tz", "Europe/Berlin")
    by = ("--by", random.choice(("day", "queue", "outcome", "hour,direction")))
    through_python = run("stats", path, *window, *by, *EVERY_CALL).ok()
    in_place = run("stats", path, *window, *by).ok()
    assert in_place.out == through_python.out
    assert in_place.err.split(",")[0] == through_python.err.split(",")[0]
    assert len(in_place.lines) > 22


def in_place(path: Path, names: Sequence[str] = NO_LISTS, where: str = "true", fields: Sequence[str] = ()) -> Any:
    """Return the ids of the calls that DuckDB reads of a file; None if the file must be read through Python."""
    counts: list[int] = []
    files = CallFiles([(str(path), path.suffix[1:])], None, counts.append, list, where, frozenset(fields))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        if open_in_place(connection, files, names) is None:
            return None
        found = [one for (one,) in connection.execute("SELECT call_id FROM all_calls").fetchall()]
    assert counts == [len(found)]
    return sorted(found)


@pytest.mark.slow
def test_duckdb_itself_reads_files_that_cdrctl_wrote(tmp_path: Path) -> None:
    random = Random(6)
    rows = [row(random) for _ in range(50)]
    for form in FORMS:
        assert in_place(written(tmp_path / f"calls.{form}", rows)) == sorted(
            str(one[COLUMNS["call_id"]]) for one in rows
        )


@pytest.mark.thin
@pytest.mark.parametrize(
    ("name", "value"),
    [("talk_seconds", "12.0"), ("start_time", "2026-11-10 08:00:00"), ("short", "TRUE"), ("answer_time", "1970-01-01")],
)
def test_text_that_is_not_as_cdrctl_writes_it_is_read_through_python(tmp_path: Path, name: str, value: str) -> None:
    random = Random(3)
    rows = [row(random) for _ in range(5)]
    rows[4][COLUMNS[name]] = value
    path = written(tmp_path / "calls.csv", rows)
    names = ("--figures", "calls,acd,answered,short,traffic", "--since", "2026-11-09", "--until", "2026-11-14")
    assert run("stats", path, *names).ok().out == run("stats", path, *names, *EVERY_CALL).ok().out


@pytest.mark.thin
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("cost", "9" * 300),
            ("cost", "1000000000000000.01"),
            ("talk_seconds", "1" * 30),
            ("talk_seconds", 10**12 + 1),
        ),
        *(("talk_seconds", "1.5"), ("talk_seconds", "soon"), ("talk_seconds", True), ("cost", "inf")),
        *(("start_time", "2026-11-10T24:00:00.000Z"), ("answer_time", "soon"), ("network_answered", "perhaps")),
    ],
)
def test_a_value_that_cannot_be_counted_is_named_with_its_call(tmp_path: Path, name: str, value: Any) -> None:
    random = Random(3)
    rows = [row(random) for _ in range(5)]
    rows[3][COLUMNS[name]] = value
    figures = ("--figures", "traffic,cost,asr,peak", "--since", "2026-11-09", "--until", "2026-11-14")
    for form, condition in (("csv", EVERY_CALL), ("jsonl", ())):
        path = written(tmp_path / f"calls.{form}", rows)
        ran = run("stats", path, *figures, *condition)
        assert ran.code == 2
        assert f"{path}, call 4: {name}: " in ran.err


@pytest.mark.slow
@pytest.mark.parametrize(("field", "name"), [("Price", "cost"), ("Duration", "talk_seconds")])
def test_legs_of_which_a_number_cannot_be_are_found_and_left_out(tmp_path: Path, field: str, name: str) -> None:
    since = truth_kit.NOW - timedelta(days=3)
    records = truth_kit.imitation_of("voicenter", Exchange(1)).truth("cdrs", since, since + timedelta(days=1))
    odd = next(one for one in records if one["Duration"] and one["DialStatus"] == "ANSWER")
    odd[field] = 10**18 if field == "Duration" else "9" * 300
    path = tmp_path / "legs.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in records))
    ran = run("stats", path, "--figures", f"calls,{name.partition('_')[0]}")
    assert ran.code == 7
    shown, without = re.findall("--where '([^']*)'", ran.err)
    count = len(run("calls", path).ok().lines)
    assert len(run("calls", path, "--where", shown).ok().lines) == 1
    ran = run("stats", path, "--figures", f"calls,{name.partition('_')[0]}", "--where", without).ok()
    assert ran.lines[0]["value"] == str(count - 1)


def test_a_line_that_cannot_be_read_leaves_no_figure(tmp_path: Path) -> None:
    path = written(tmp_path / "calls.jsonl", [row(Random(4))])
    path.write_bytes(path.read_bytes() + b"{not json\n")
    ran = run("stats", path, "--figures", "calls")
    assert ran.code == 3
    assert [line["value"] for line in ran.lines] == [None]


def test_calls_are_recognised_by_the_columns_of_their_file(tmp_path: Path) -> None:
    """The first call may have no value in any of the columns that tell calls from legs."""
    rows = [row(Random(5)) for _ in range(2)]
    for name in ("network_answered", "outcome", "leg_ids"):
        rows[0][COLUMNS[name]] = None
    for form in FORMS:
        ran = run("calls", written(tmp_path / f"calls.{form}", rows))
        assert ran.code == 2
        assert "contains calls, not legs" in ran.err
