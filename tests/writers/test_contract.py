"""What every installed writer must do, ours and those of other packages: see docs/writers.md."""

from __future__ import annotations

import copy
import inspect
import io
import sqlite3
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from msgspec.structs import replace
from pyarrow import ArrowInvalid, parquet

from cdrctl.errors import UsageError
from cdrctl.records.batches import RowBatch
from cdrctl.records.columns import Column, Kind
from cdrctl.records.schemas import KEY_COLUMN, Schema
from cdrctl.writers import ENTRY_POINTS, FORMATS, is_binary, is_database, load, takes_raw
from tests.support.products import for_each

from .examples import LOOK, RAW

ALL = (*FORMATS, *sorted({point.name for point in entry_points(group=ENTRY_POINTS)} - {*FORMATS}))

KINDS: dict[str, Kind] = {
    "id": "text",
    "at": "time",
    "ring": "seconds",
    "count": "integer",
    "cost": "money",
    "rate": "decimal",
    "answered": "boolean",
    "tags": "list",
}
COLUMNS = tuple(Column(name, name, kind) for name, kind in KINDS.items())
ROWS: list[list[Any]] = [
    ["1", "2026-11-19T08:00:00.123Z", 5, 0, "0.0100", "1.5", True, ["a", {"b": None}]],
    ["2", None, None, None, None, None, None, None],
    ["=1+1", "2026-11-19T08:00:01.000Z", 86_400, -7, "-12.5", "0.000001", False, {}],
]


def form_of(name: str) -> Schema:
    """Return a schema with a column of every kind, and with the record key if the format is a database."""
    columns = (KEY_COLUMN, *COLUMNS) if is_database(name) else COLUMNS
    return Schema(columns, lambda _page: ())


def keyed(name: str, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [[f"key {row[0]}", *row] for row in rows] if is_database(name) else [list(row) for row in rows]


def write(name: str, pages: Any, folder: Path) -> Path:
    """Write pages with a writer, and return the file."""
    path = folder / f"calls.{name}"
    if is_database(name):
        load(name)(form_of(name), pages, path, LOOK)
    else:
        with path.open("wb") as out:
            load(name)(form_of(name), pages, out, LOOK)
    return path


@for_each("name", ALL)
def test_a_writer_is_a_function_of_four_arguments(name: str) -> None:
    assert list(inspect.signature(load(name)).parameters)[:3] == ["schema", "pages", "out"]
    assert len(inspect.signature(load(name)).parameters) == 4


@pytest.mark.slow
@for_each("name", ALL)
def test_the_paging_of_records_does_not_change_the_output(name: str, tmp_path: Path) -> None:
    rows = keyed(name, ROWS)
    (tmp_path / "one").mkdir()
    one, many = write(name, [rows], tmp_path / "one"), write(name, [rows[:1], [], rows[1:]], tmp_path)
    if name == "table":  # the widths of a table are those of its first page
        assert many.read_bytes()
    else:
        assert content(name, one) == content(name, many)


@pytest.mark.slow
@for_each("name", ALL)
def test_a_batch_of_columns_is_written_like_its_rows(name: str, tmp_path: Path) -> None:
    rows = keyed(name, ROWS)
    wide = len(rows[0])
    # the first two columns are text columns of a batch, which have "" in place of null
    columns = [[row[at] or "" if at < 2 else row[at] for row in rows] for at in range(wide)]
    table = RowBatch(columns, [at < 2 for at in range(wide)], len(rows))
    (tmp_path / "one").mkdir()
    one, two = write(name, [rows], tmp_path / "one"), write(name, [table], tmp_path)
    assert content(name, one) == content(name, two)


def content(name: str, path: Path) -> object:
    """Return the content of a file, without bytes that may differ between two runs."""
    match name:
        case "parquet":
            return parquet.read_table(path).to_pylist()
        case "xlsx":
            return [list(sheet.values) for sheet in openpyxl.load_workbook(path)]
        case "sqlite":
            with sqlite3.connect(path) as database:
                found = database.execute(f"SELECT * FROM {LOOK.name}").fetchall()  # noqa: S608
            database.close()
            return found
        case "duckdb":
            with duckdb.connect(path, read_only=True) as base:
                return base.execute(f"SELECT * FROM {LOOK.name}").fetchall()  # noqa: S608
    return path.read_bytes()


@for_each("name", ALL)
def test_an_export_without_records_is_a_valid_file(name: str, tmp_path: Path) -> None:
    assert content(name, write(name, [], tmp_path)) is not None


@pytest.mark.parametrize("name", ALL)
def test_a_writer_changes_no_row_and_prints_nothing(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pages = [keyed(name, ROWS)]
    before = copy.deepcopy(pages)
    write(name, pages, tmp_path)
    assert pages == before
    assert capfd.readouterr() == ("", "")


class LostError(OSError):
    """A network error, which a writer does not raise itself."""


@for_each("name", ALL)
@for_each("after", [0, 1])
def test_an_error_of_the_pages_is_raised_and_leaves_no_valid_file(name: str, after: int, tmp_path: Path) -> None:
    def pages() -> Iterator[list[list[Any]]]:
        for _ in range(after):
            yield keyed(name, ROWS)
        raise LostError

    with pytest.raises(LostError):
        write(name, pages(), tmp_path)
    path = tmp_path / f"calls.{name}"
    match name:
        case "xlsx":
            assert path.read_bytes() == b""
        case "parquet":
            with pytest.raises(ArrowInvalid):
                parquet.read_table(path)
        case "sqlite":
            with sqlite3.connect(path) as database:
                assert database.execute("SELECT * FROM sqlite_master").fetchall() == []
            database.close()
        case "duckdb":
            assert not path.exists()
        case _:
            assert after or path.read_bytes() == b""


@for_each("name", ALL)
def test_raw_records_are_written_or_refused(name: str, tmp_path: Path) -> None:
    if takes_raw(name):
        assert not is_binary(name)
        return
    with pytest.raises(UsageError):
        load(name)(RAW, [[{"a": 1}]], tmp_path / "x" if is_database(name) else io.BytesIO(), LOOK)


@for_each("name", ALL)
def test_a_writer_accepts_every_render_option(name: str, tmp_path: Path) -> None:
    said: list[str] = []
    look = replace(
        LOOK,
        shown=("id",),
        chosen=("id",),
        name='a name: [with] everything/in "it" and of any length',
        warn=said.append,
    )
    out: Any = tmp_path / "x" if is_database(name) else io.BytesIO()
    load(name)(form_of(name), [keyed(name, ROWS)], out, look)
    assert said == []


def test_the_built_in_formats_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs/writers.md").read_text(encoding="utf-8")
    assert [name for name in FORMATS if f"`{name}`" not in text] == []
    for word in ("TAKES_RAW", "BINARY", "DATABASE"):
        assert f"`{word} = True`" in text
