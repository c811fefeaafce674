"""Databases: repeated exports do not duplicate records, and an export is written whole or not at all."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdrctl.errors import LockedError, OutputError
from cdrctl.records.columns import Column
from cdrctl.records.schemas import EXTRA_COLUMN, KEY_COLUMN, Schema
from cdrctl.writers import duckdb as writer, load, sql
from cdrctl.writers.output import destination

from .examples import LOOK

BOTH = pytest.mark.parametrize("name", ["sqlite", "duckdb"])
COLUMNS = (KEY_COLUMN, Column("a", "a"), Column("cost", "cost", "money"), Column("start_time", "start_time", "time"))
FORM = Schema((*COLUMNS, EXTRA_COLUMN), lambda _page: (), unfold=True)
AT = "2026-11-19T08:00:00.000Z"
TWO = [["k1", "one", "1.50", AT, None], ["k2", "two", None, None, {"new": "x"}]]


def export(name: str, path: Path, rows: Any, form: Schema = FORM) -> None:
    with destination(str(path), sys.stdout.buffer, database=True) as out:
        load(name)(form, rows if isinstance(rows, Iterator) else [rows], out, LOOK)


def ask(name: str, path: Path, question: str, *, change: bool = False) -> list[tuple[Any, ...]]:
    if name == "sqlite":
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            found: list[tuple[Any, ...]] = database.execute(question).fetchall()
            return found
    with duckdb.connect(path, read_only=not change) as base:
        rows: list[tuple[Any, ...]] = base.execute(question).fetchall()
        return rows


def table(name: str, path: Path, what: str = "record_key, a, CAST(cost AS TEXT), extra") -> list[tuple[Any, ...]]:
    """Return the rows of a table, with money in its shortest form."""
    rows = ask(name, path, f"SELECT {what} FROM records ORDER BY record_key")  # noqa: S608
    return [tuple(str(one).rstrip("0") if at == 2 and one else one for at, one in enumerate(row)) for row in rows]


@BOTH
def test_an_export_replaces_known_records_adds_new_ones_and_removes_none(name: str, tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    export(name, path, TWO)
    export(name, path, [["k2", "zwei", "2", AT, None], ["k3", "three", None, AT, None]])
    assert table(name, path) == [
        ("k1", "one", "1.5", None),
        ("k2", "zwei", "2" if name == "sqlite" else "2.", None),
        ("k3", "three", None, None),
    ]
    assert [one.name for one in tmp_path.iterdir()] == ["calls.db"]


@BOTH
def test_the_last_of_several_records_with_one_key_is_kept(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    pages = iter([[["k", "first", None, None, None]], [["k", "last", None, None, None]]])
    export(name, path, pages)
    assert table(name, path) == [("k", "last", None, None)]


@BOTH
def test_fields_that_were_not_chosen_are_unchanged(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    export(name, path, [["k1", "one", "n/a", AT, {"new": {"x": 1}}], ["k2", "two", None, AT, None]])
    assert json.loads(table(name, path)[0][3]) == {"new": {"x": 1}, "cost": "n/a"}
    some = Schema((KEY_COLUMN, COLUMNS[2]), lambda _page: ())
    export(name, path, [["k1", "3"], ["k2", "free"], ["k4", "4"]], some)
    found = table(name, path)
    assert [row[:2] for row in found] == [("k1", "one"), ("k2", "two"), ("k4", None)]
    assert [row[3] and json.loads(row[3]) for row in found] == [{"new": {"x": 1}}, {"cost": "free"}, None]
    export(name, path, [["k1", "it's"], ["k2", "5"]], some)
    assert [row[3] and json.loads(row[3]) for row in table(name, path)] == [
        {"new": {"x": 1}, "cost": "it's"},
        None,
        None,
    ]


@BOTH
def test_new_columns_are_added_and_unknown_ones_are_kept(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    export(name, path, TWO)
    ask(name, path, "ALTER TABLE records ADD COLUMN mine INTEGER", change=True)
    ask(name, path, "UPDATE records SET mine = 7", change=True)
    later = Schema((*COLUMNS, Column("b", "b", "integer"), EXTRA_COLUMN), lambda _page: (), unfold=True)
    export(name, path, [["k1", "one", None, AT, 5, None], ["k3", None, None, None, 6, None]], later)
    assert table(name, path, "record_key, b, NULL, mine") == [
        ("k1", 5, None, 7),
        ("k2", None, None, 7),
        ("k3", 6, None, None),
    ]


@BOTH
@pytest.mark.parametrize("there", [True, False])
def test_a_failed_export_leaves_the_database_unchanged(name: str, tmp_path: Path, *, there: bool) -> None:
    path = tmp_path / "calls.db"
    if there:
        export(name, path, TWO)
    before = path.read_bytes() if there else None

    def pages() -> Iterator[Sequence[Any]]:
        yield [["k1", "changed", None, None, None]]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(name, path, pages())
    assert (path.read_bytes() if there else None) == before
    assert [one.name for one in tmp_path.iterdir()] == ["calls.db"] * there


@pytest.mark.process
@BOTH
def test_a_database_is_not_locked_while_pages_are_fetched(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    export(name, path, TWO)

    def pages() -> Iterator[Sequence[Any]]:
        yield [["k1", "changed", None, None, None]]
        change = "UPDATE records SET a = 'other' WHERE record_key = 'k2'"
        library = {"sqlite": "sqlite3", "duckdb": "duckdb"}[name]
        program = f"import {library} as db; c = db.connect({str(path)!r}); c.execute({change!r}); c.commit(); c.close()"
        subprocess.run([sys.executable, "-c", program], check=True)

    export(name, path, pages())
    assert [row[1] for row in table(name, path)] == ["changed", "other"]


@pytest.mark.parametrize("kind", [RuntimeError, duckdb.InterruptException])
def test_an_interruption_that_duckdb_wraps_is_a_keyboard_interrupt(kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), writer._duckdb_errors(tmp_path):
        raise kind("Query interrupted")
    with pytest.raises(RuntimeError), writer._duckdb_errors(tmp_path):
        raise RuntimeError("something else")


HOLD = {
    "sqlite": "import sqlite3; c = sqlite3.connect({0!r}); c.execute('BEGIN IMMEDIATE')",
    "duckdb": "import duckdb; c = duckdb.connect({0!r})",
}


@pytest.mark.process
@BOTH
def test_the_wait_for_a_locked_database_ends_in_an_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "calls.db"
    export(name, path, TWO)
    monkeypatch.setattr(sql, "WAIT_SECONDS", 0.1)
    program = HOLD[name].format(str(path)) + "; print(flush=True); input(); c.close()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        asked: list[bool] = []

        def pages() -> Iterator[Sequence[Any]]:
            asked.append(True)
            yield TWO

        with pytest.raises(LockedError) as caught:
            export(name, path, pages())
        other.communicate(b"\n")
    assert not asked
    assert caught.value.exit_code == 11
    export(name, path, TWO)


@BOTH
@pytest.mark.parametrize("content", [b"a,b\n1,2\n" * 500, b"SQLite format 4\0" + b"x" * 5000, b"x"])
def test_a_file_that_is_not_a_database_is_refused_and_unchanged(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    path.write_bytes(content)
    with pytest.raises(OutputError) as caught:
        export(name, path, TWO)
    kind = {"sqlite": "SQLite", "duckdb": "DuckDB"}[name]
    assert kind in caught.value.message
    assert path.read_bytes() == content


@BOTH
def test_an_empty_file_becomes_a_database_and_keeps_its_permissions(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch(0o600)
    export(name, path, TWO)
    assert len(table(name, path)) == 2
    assert path.stat().st_mode & 0o777 == 0o600


@BOTH
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("CREATE TABLE records (a TEXT, cost TEXT)", "record_key"),
        ("CREATE VIEW records AS SELECT 1 AS a", "record_key"),
        (
            "CREATE TABLE records (record_key {text} PRIMARY KEY, start_time INTEGER)",
            "its column start_time is INTEGER",
        ),
    ],
)
def test_a_table_with_other_columns_is_refused_and_unchanged(name: str, other: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    ask(name, path, other.format(text="TEXT" if name == "sqlite" else "VARCHAR"), change=True)
    before = path.read_bytes()

    asked: list[bool] = []

    def pages() -> Iterator[Sequence[Any]]:
        asked.append(True)
        yield TWO

    with pytest.raises(OutputError) as caught:
        export(name, path, pages())
    assert not asked
    assert said in caught.value.message
    assert caught.value.hint
    assert path.read_bytes() == before


@BOTH
def test_a_view_that_looks_like_a_table_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    ask(name, path, "CREATE VIEW records AS SELECT 'k' AS record_key", change=True)
    with pytest.raises(OutputError):
        export(name, path, TWO)


def test_a_sqlite_table_without_a_unique_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    ask("sqlite", path, "CREATE TABLE records (record_key TEXT, a TEXT)")
    with pytest.raises(OutputError):
        export("sqlite", path, TWO)


def test_sqlite_has_types_a_key_and_an_index_on_the_start(tmp_path: Path) -> None:
    path = tmp_path / "x"
    export("sqlite", path, TWO)
    found = ask("sqlite", path, "SELECT name, type, pk FROM pragma_table_info('records')")
    assert found == [
        ("record_key", "TEXT", 1),
        *(("a", "TEXT", 0), ("cost", "TEXT", 0), ("start_time", "TEXT", 0), ("extra", "TEXT", 0)),
    ]
    plan = ask("sqlite", path, "EXPLAIN QUERY PLAN SELECT * FROM records WHERE start_time > '2026'")
    assert "records_start_time" in plan[0][3]
    assert ask("sqlite", path, "SELECT datetime(start_time) FROM records WHERE a = 'one'")[0] == (
        "2026-11-19 08:00:00",
    )


def test_a_database_stays_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    export("sqlite", path, TWO)
    ask("sqlite", path, "PRAGMA journal_mode=WAL")
    export("sqlite", path, [["k3", "three", None, None, None]])
    assert ask("sqlite", path, "PRAGMA journal_mode") == [("wal",)]
    assert len(table("sqlite", path)) == 3


@BOTH
def test_a_database_created_by_another_program_meanwhile_is_not_replaced(name: str, tmp_path: Path) -> None:
    path = tmp_path / "calls.db"

    def pages() -> Iterator[Sequence[Any]]:
        yield TWO
        export(name, path, [["k9", "quicker", None, None, None]])

    with pytest.raises(LockedError) as caught:
        export(name, path, pages())
    assert caught.value.hint == "run the command again to add to that file"
    assert [row[0] for row in table(name, path)] == ["k9"]


@BOTH
def test_a_path_that_is_not_a_file_is_refused(name: str) -> None:
    with pytest.raises(OutputError):
        export(name, Path("/dev/null"), TWO)


@BOTH
def test_a_link_is_not_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export(name, tmp_path / "link", TWO)
    export(name, tmp_path / "link", TWO)
    assert (tmp_path / "link").is_symlink()
    assert len(table(name, tmp_path / "real")) == 2


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
@BOTH
@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_is_reported_and_leaves_the_database_unchanged(name: str, tmp_path: Path, *, there: bool) -> None:
    """A limit on file sizes gives the same errors as a full disk."""
    path = tmp_path / "calls.db"
    if there:
        export(name, path, TWO)
    program = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from cdrctl.errors import OutputError
from tests.writers.test_databases import export
rows = [[f"k{{at}}", "x" * 1000 + str(at), None, None, None] for at in range(5000)]
def pages():
    yield rows
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    export({name!r}, Path({str(path)!r}), pages())
except OutputError as error:
    print(error.exit_code, error.message.split(":")[0], end="")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == "8 cannot write calls.db", ran.stderr
    if there:  # the next program that opens it rolls the changes back
        assert [row[:2] for row in table(name, path)] == [("k1", "one"), ("k2", "two")]
    left = {one.name for one in tmp_path.iterdir()} - {"calls.db.wal"}  # DuckDB leaves an empty file
    assert left == ({"calls.db"} if there else set())
