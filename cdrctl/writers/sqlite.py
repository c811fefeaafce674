"""SQLite: a table in a database that has every record once, however often it is exported."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, cast

from cdrctl.errors import OutputError
from cdrctl.writers import sql
from cdrctl.writers.sql import quote
from cdrctl.writers.typed import fitter, typed_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cdrctl.records.columns import Column, Kind
    from cdrctl.records.events import Row
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions
    from cdrctl.writers.typed import Cells

DATABASE = True

_TYPES: Mapping[Kind, str] = {
    "text": "TEXT",
    "integer": "INTEGER",
    "seconds": "INTEGER",
    "decimal": "TEXT",  # SQLite has no decimals, and REAL would round them
    "money": "TEXT",
    "boolean": "INTEGER",
    "time": "TEXT",  # `2026-11-19T08:00:00.123Z`: it sorts, and SQLite's functions read it
    "list": "TEXT",
}


def write(schema: Schema, pages: Pages, out: Path, look: RenderOptions) -> None:
    """Write the table named by `look`: records with an existing key are replaced, and others are added.

    None is deleted but those whose place a row takes (see `Schema.replaced_keys`).

    Rows for an existing database are collected in a temporary table outside it and merged in one transaction at the
    end: until then the database is unchanged and not locked. Rows for a new one are written into it directly. Missing
    columns are added. Times are text in UTC, booleans are 1 and 0, money and decimals are text, lists and objects are
    JSON text.

    Raises:
        OutputError: It is not an SQLite database, the table was not made by cdrctl, or it cannot be written.
        LockedError: Another program has locked it for too long.
        UsageError: The schema has a column twice.
    """
    columns = typed_columns(schema)
    fit = fitter(schema, look.warn)
    with _sqlite_errors(out):
        is_new = not out.exists()
        if not is_new and sql.database_in(out) != "SQLite":
            raise OutputError(f"cannot write {out.name}: it is not a database of SQLite", hint=_ELSEWHERE)
        database = sqlite3.connect(out, timeout=sql.BETWEEN_TRIES, isolation_level=None)
    with closing(database):
        if is_new:
            _fill(database, out, schema, columns, look.name, map(fit, filter(None, pages)))
            return
        with _sqlite_errors(out):
            _exclusively(database, lambda: _missing_columns(database, look.name, columns))  # fails before any request
            database.execute(f"CREATE TEMP TABLE incoming ({sql.name_list(columns)})")
            database.execute("CREATE TEMP TABLE replaced (record_key)")
        insert = f"INSERT INTO temp.incoming VALUES ({_places(columns)})"
        for page in pages:
            if page:
                rows = zip(*fit(page), strict=True)
                replaced = [] if schema.replaced_keys is None else schema.replaced_keys(cast("Sequence[Row]", page))
                with _sqlite_errors(out):
                    database.execute("BEGIN")
                    database.executemany(insert, rows)
                    database.executemany("INSERT INTO temp.replaced VALUES (?)", [(key,) for key in replaced])
                    database.execute("COMMIT")
        with _sqlite_errors(out):
            _exclusively(database, lambda: _merge(database, look.name, columns, schema))


def _fill(
    database: sqlite3.Connection,
    out: Path,
    schema: Schema,
    columns: Sequence[Column],
    name: str,
    pages: Iterable[Cells],
) -> None:
    """Write pages into a new database, which nobody else sees before it is moved into place.

    Rows go into the table at once, in one transaction: there are no older rows whose place they could take. The index
    is made last, which takes less time. Whoever moves the file flushes it to the disk.
    """
    with _sqlite_errors(out):
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA journal_mode = MEMORY")
        database.execute("BEGIN IMMEDIATE")
        _create(database, name, columns)
    insert = _insert(schema, columns, name, f"VALUES ({_places(columns)})")
    for cells in pages:
        with _sqlite_errors(out):
            database.executemany(insert, zip(*cells, strict=True))
    with _sqlite_errors(out):
        _create_index(database, name, columns)
        database.execute("COMMIT")


def _merge(database: sqlite3.Connection, name: str, columns: Sequence[Column], schema: Schema) -> None:
    table = f"main.{quote(name)}"
    missing = _missing_columns(database, name, columns)
    if missing is None:
        _create(database, name, columns)
    for column in missing or ():
        database.execute(f"ALTER TABLE {table} ADD COLUMN {quote(column.name)} {_TYPES[column.kind]}")
    _create_index(database, name, columns)
    database.execute(f"DELETE FROM {table} WHERE record_key IN (SELECT record_key FROM temp.replaced)")
    database.execute(_insert(schema, columns, name, f"SELECT {sql.name_list(columns)} FROM incoming WHERE true"))


def _create(database: sqlite3.Connection, name: str, columns: Sequence[Column]) -> None:
    database.execute(f"CREATE TABLE main.{quote(name)} ({sql.definition(columns, _TYPES, 'NOT NULL PRIMARY KEY')})")


def _create_index(database: sqlite3.Connection, name: str, columns: Sequence[Column]) -> None:
    start = _start(columns)
    if start is not None:
        index = quote(f"{name}_{start.name}")
        database.execute(f"CREATE INDEX IF NOT EXISTS main.{index} ON {quote(name)} ({quote(start.name)})")


def _insert(schema: Schema, columns: Sequence[Column], name: str, rows: str) -> str:
    """Return the statement that adds rows to the table, or changes those with the same key."""
    changes = sql.update_clause(columns, schema, "json_patch")
    return (
        f"INSERT INTO main.{quote(name)} AS here ({sql.name_list(columns)}) {rows} "
        f"ON CONFLICT ({quote(columns[0].name)}) DO UPDATE SET {changes}"
    )


def _places(columns: Sequence[Column]) -> str:
    return ", ".join("?" * len(columns))


def _missing_columns(database: sqlite3.Connection, name: str, columns: Sequence[Column]) -> list[Column] | None:
    """Return the columns that a table does not have yet, or None if there is no table.

    Raises:
        OutputError: The table was not made by cdrctl.
    """
    found = database.execute("SELECT name, type, pk FROM pragma_table_info(?, 'main')", [name]).fetchall()
    if not found:
        return None
    there = {column.casefold(): kind for column, kind, _ in found}
    key = [column.casefold() for column, _, place in found if place]
    return sql.missing_columns(name, columns, _TYPES, there, key)


def _start(columns: Sequence[Column]) -> Column | None:
    """Return the column with the start of the call, for an index: most queries are about a period."""
    times = [column for column in columns if column.kind == "time"]
    return next((column for column in times if column.name == "start_time"), times[0] if times else None)


def _exclusively(database: sqlite3.Connection, do: Callable[[], object]) -> None:
    """Do something in a transaction with the write lock; retry from the beginning while the database is locked.

    Raises:
        sqlite3.Error: It failed, or the database was locked for too long.
    """
    until = time.monotonic() + sql.WAIT_SECONDS
    while True:
        try:
            database.execute("BEGIN IMMEDIATE")
            try:
                do()
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= until:
                raise
        else:
            return


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite into ours."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path.name}: {error.strerror}", hint=_ELSEWHERE) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:  # a bug in cdrctl
            raise
        if _is_busy(error):
            raise sql.locked_error(path) from error
        reason, hint = _REASONS.get(code & 0xFF, (str(error), _ELSEWHERE))
        raise OutputError(f"cannot write {path.name}: {reason}", hint=hint) from error


_ELSEWHERE = "name another file with -o"
_REASONS = {
    sqlite3.SQLITE_CANTOPEN: ("its folder is missing, or files cannot be created in it", _ELSEWHERE),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", f"repair it with the .recover command of sqlite3, or {_ELSEWHERE}"),
    sqlite3.SQLITE_FULL: ("the disk is full", "free disk space there and for temporary files (SQLITE_TMPDIR)"),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "check the disk and its quota, or name another place with -o"),
    sqlite3.SQLITE_NOTADB: ("it is not a database of SQLite", _ELSEWHERE),
    sqlite3.SQLITE_PERM: ("no permission", _ELSEWHERE),
    sqlite3.SQLITE_READONLY: ("no permission to write it", _ELSEWHERE),
}
