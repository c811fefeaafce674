"""Columns of one type: which values fit, which do not, and that no value is lost."""

from __future__ import annotations

import gc
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace
from pyarrow import parquet

from cdrctl.errors import UsageError
from cdrctl.records.columns import Column, Kind
from cdrctl.records.common import COMMON
from cdrctl.records.schemas import EXTRA_COLUMN, KEY_COLUMN, Schema
from cdrctl.writers import load
from cdrctl.writers.typed import fitter, typed_columns
from cdrctl.writers.values import json_of, text_of, utf8
from tests.support.products import for_each

from .examples import LOOK, nasty_text, values

KINDS: tuple[Kind, ...] = ("text", "integer", "seconds", "decimal", "money", "boolean", "time", "list")
NOW = "2026-11-19T08:00:00.123Z"


def one(kind: Kind, value: Any) -> tuple[Any, Any]:
    """Return a value as a column of this kind has it, and the `extra` of the row."""
    said: list[str] = []
    fit = fitter(Schema((Column("it", "it", kind),), lambda _page: ()), said.append)
    (found,), (extra,) = fit([[value]])
    assert len(said) == (extra is not None)
    return found, extra and json.loads(extra)


@for_each(
    "kind, value",
    [
        ("text", "Ada"),
        ("integer", -(2**63)),
        ("integer", 2**63 - 1),
        ("seconds", 0),
        ("money", "0.0100"),
        ("money", "-12345678901234567890.123456789012345678"),
        ("decimal", "007"),
        ("boolean", False),
        ("time", NOW),
        ("time", "0001-01-01T00:00:00.000Z"),
        ("time", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_values_of_the_type_are_kept(kind: Kind, value: Any) -> None:
    found, extra = one(kind, value)
    assert (found, type(found), extra) == (value, type(value), None)


@for_each(
    "kind, value",
    [
        ("integer", 2**63),
        ("integer", -(2**63) - 1),
        ("integer", True),
        ("integer", "5"),
        ("integer", 1.5),
        ("money", 1),
        ("money", True),
        ("money", "n/a"),
        ("money", "1e3"),
        ("money", "123456789012345678901"),
        ("money", "0.1234567890123456789"),
        ("money", "."),
        ("boolean", 1),
        ("boolean", "maybe"),
        ("time", "yesterday"),
        ("time", "2026-11-19"),
        ("time", "2026-02-30T00:00:00.000Z"),
        ("time", "2026-11-19T24:00:00.000Z"),
        ("time", "2026-11-19T08:00:00.123Z\n"),
        ("time", 5),
        ("time", ["a"]),
    ],
)
def test_values_of_another_type_are_in_extra(kind: Kind, value: Any) -> None:
    assert one(kind, value) == (None, {"it": value})


@for_each(
    "kind, value, found",
    [
        ("money", "+1", "1.000000000000000000"),
        ("money", ".5", "0.500000000000000000"),
        ("money", "1.", "1.000000000000000000"),
        ("money", "0.1000000000000000000000", "0.100000000000000000"),
        ("text", ["a", None], '["a",null]'),
        ("text", "\ud800", "\ufffd"),
        ("list", ["a", None], '["a",null]'),
        ("list", "a", '"a"'),
    ],
)
def test_values_with_an_equivalent_of_the_type_are_converted(kind: Kind, value: Any, found: str) -> None:
    assert one(kind, value) == (found, None)


def test_values_of_another_type_give_one_warning_per_column() -> None:
    said: list[str] = []
    fit = fitter(Schema((Column("a", "a"), Column("cost", "cost", "money"), EXTRA_COLUMN), lambda _p: ()), said.append)
    page = [["1", "2.5", None], ["2", "n/a", {"new": 1}], ["3", "x" * 99, None]]
    cells = fit(page)
    assert list(cells[1]) == ["2.5", None, None]
    assert list(cells[2]) == [None, '{"new":1,"cost":"n/a"}', json.dumps({"cost": "x" * 99}, separators=(",", ":"))]
    fit(page)
    assert said == ["column cost: text came where an amount of money is expected; such values are in extra, as JSON"]


def test_every_schema_has_exactly_one_extra() -> None:
    assert typed_columns(Schema(COMMON, lambda _p: ()))[-1] is EXTRA_COLUMN
    chosen = (EXTRA_COLUMN, Column("a", "a"))
    assert typed_columns(Schema(chosen, lambda _p: ())) == chosen


@for_each("name", ["parquet", "sqlite", "duckdb"])
def test_a_duplicate_column_is_refused_before_any_request(name: str, tmp_path: Path) -> None:
    columns = (KEY_COLUMN, Column("a", "a"), Column("A", "a"))
    asked: list[bool] = []

    def pages() -> Iterator[list[Any]]:
        asked.append(True)
        yield []

    with pytest.raises(UsageError) as caught:
        load(name)(Schema(columns, lambda _p: ()), pages(), tmp_path / "x", LOOK)
    assert not asked
    assert caught.value.message == "field A occurs twice"


ALL = Schema((KEY_COLUMN, *(Column(kind, kind, kind) for kind in KINDS), EXTRA_COLUMN), lambda _page: (), unfold=True)
anything = st.one_of(
    values,
    st.sampled_from([NOW, "0.0100", "1e5", "-1", "123456789012345678901", 2**63, -(2**63), True, 1.5, "2026-13-01"]),
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda one: format(one, "f")),
    st.datetimes().map(lambda one: one.isoformat(timespec="milliseconds") + "Z"),
)


def pages_of_anything() -> st.SearchStrategy[list[list[Any]]]:
    extra = st.none() | st.dictionaries(st.sampled_from(["new", "newer"]), nasty_text, min_size=1)
    row = st.tuples(*(anything for _ in KINDS), extra).map(list)
    return st.lists(row, min_size=1, max_size=4)


def meant(row: Sequence[Any]) -> dict[str, Any]:
    """Return the values of a row, from the row itself."""
    found = dict(zip(KINDS, row[:-1], strict=True))
    return {**found, **json.loads(json_of(row[-1] or {}))}


def said(values_of_row: Sequence[Any]) -> dict[str, Any]:
    """Return the values of a row of a typed format: with those of `extra` in place of null."""
    found = dict(zip(KINDS, values_of_row[:-1], strict=True))
    return {**found, **json.loads(values_of_row[-1] or "{}")}


def same(kind: str, written: Any, came: Any) -> bool:
    """Return whether a value that was read back is equal to the original."""
    if came is None or written is None:
        return came is None and written is None
    if kind == "text":
        return bool(written == utf8(text_of(came)).decode())
    if kind == "list":
        return bool(json.loads(written) == json.loads(json_of(came)))
    if isinstance(written, datetime):
        return bool(written.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") == came)
    if isinstance(written, Decimal):
        return bool(written == Decimal(came))
    if kind in {"money", "decimal"} and isinstance(written, str) and written != came:
        return Decimal(written) == Decimal(came)
    return bool(json.loads(json_of(written)) == json.loads(json_of(came)))


def check(rows: Sequence[Sequence[Any]], found: Sequence[Sequence[Any]]) -> None:
    assert len(rows) == len(found)
    for row, other in zip(rows, found, strict=True):
        wanted, got = meant(row), said(other)
        assert wanted.keys() == got.keys()
        for name, value in wanted.items():
            if name in KINDS:
                assert same(name, got[name], value), (name, got[name], value)
            else:
                assert got[name] == value


@pytest.mark.slow
@given(pages_of_anything())
def test_parquet_has_every_value(rows: list[list[Any]]) -> None:
    out = io.BytesIO()
    keyed = [[f"k{at}", *row] for at, row in enumerate(rows)]
    load("parquet")(ALL, [keyed[:1], keyed[1:]], out, LOOK)
    found = parquet.read_table(out)
    assert str(found.schema.field("money").type) == "decimal128(38, 18)"
    assert found.schema.field("time").type == pa.timestamp("us", "UTC")
    check(rows, [list(row.values())[1:] for row in found.to_pylist()])


@pytest.mark.slow
@given(pages_of_anything())
def test_sqlite_has_every_value(tmp_path_factory: pytest.TempPathFactory, rows: list[list[Any]]) -> None:
    path = tmp_path_factory.mktemp("db") / "x.db"
    load("sqlite")(ALL, [[[f"k{at}", *row] for at, row in enumerate(rows)]], path, LOOK)
    database = sqlite3.connect(path)
    found = [list(row)[1:] for row in database.execute("SELECT * FROM records ORDER BY record_key")]
    database.close()
    for row in found:
        at = KINDS.index("boolean")
        row[at] = None if row[at] is None else bool(row[at])
    check(rows, found)


@pytest.mark.slow
def test_duckdb_has_every_value(tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(pages_of_anything())
    def every(rows: list[list[Any]]) -> None:
        path = tmp_path_factory.mktemp("db") / "x.duckdb"
        load("duckdb")(ALL, [[[f"k{at}", *row] for at, row in enumerate(rows)]], path, LOOK)
        with duckdb.connect(path, read_only=True) as database:
            check(rows, [row[1:] for row in database.execute("SELECT * FROM records ORDER BY record_key").fetchall()])

    every()


def test_the_columns_and_types_of_parquet_do_not_depend_on_the_values() -> None:
    def shape(rows: list[list[Any]]) -> pa.Schema:
        out = io.BytesIO()
        load("parquet")(ALL, [rows], out, LOOK)
        return parquet.read_schema(out)

    full = ["k", "a", 1, 2, "1.5", "2.5", True, NOW, ["a"], None]
    odd = ["k", *[{"a": 1}] * 8, {"new": 1}]
    assert shape([]) == shape([full]) == shape([odd]) == shape([["k", *[None] * 9]])


def test_row_groups_hold_several_pages_and_are_bounded() -> None:
    out = io.BytesIO()
    page = [[f"k{at}", "a" * 100] for at in range(10_000)]
    load("parquet")(Schema((KEY_COLUMN, Column("a", "a")), lambda _p: ()), [page] * 8, out, LOOK)
    about = parquet.read_metadata(out)
    groups = [about.row_group(at).num_rows for at in range(about.num_row_groups)]
    assert sum(groups) == 80_000
    assert max(groups) <= 40_000
    assert len(groups) <= 4


def test_row_groups_of_long_rows_have_fewer_rows() -> None:
    out = io.BytesIO()
    page = [[f"k{at}", f"{at:02d}" * 50_000] for at in range(10)]
    load("parquet")(Schema((KEY_COLUMN, Column("a", "a")), lambda _p: ()), [page] * 20, out, LOOK)
    about = parquet.read_metadata(out)
    assert max(about.row_group(at).num_rows for at in range(about.num_row_groups)) * 100_000 < 10_000_000


@pytest.mark.slow
def test_a_partial_parquet_file_has_no_footer() -> None:
    out = io.BytesIO()

    def pages() -> Iterator[list[list[Any]]]:
        yield [["k", "a"]] * 40_000
        raise ConnectionError

    with pytest.raises(ConnectionError):
        load("parquet")(Schema((KEY_COLUMN, Column("a", "a")), lambda _p: ()), pages(), out, LOOK)
    gc.collect()  # an abandoned writer writes nothing either
    assert out.getvalue().startswith(b"PAR1")
    assert not out.getvalue().endswith(b"PAR1")


def test_every_typed_format_gives_warnings(tmp_path: Path) -> None:
    said: list[str] = []
    schema = Schema((KEY_COLUMN, Column("at", "at", "time")), lambda _p: ())
    for name in ("parquet", "sqlite", "duckdb"):
        out: Any = io.BytesIO() if name == "parquet" else tmp_path / name
        load(name)(schema, [[["k", "never"]]], out, replace(LOOK, warn=said.append))
    assert len(said) == 3


@pytest.mark.process
def test_the_program_lets_pyarrow_give_back_what_it_frees() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['cdrctl', 'size', '--erlang', '1', '--blocking', '0.1', '-q']\n"
        "from cdrctl.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    import pyarrow\n    print(pyarrow.default_memory_pool().backend_name)"
    )
    env = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    told = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert told.stdout.split()[-1] == "system"
