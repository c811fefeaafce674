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
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cdrctl.records.columns import Column, Kind
    from cdrctl.records.events import Row
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

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

    Rows are collected in a temporary table outside the database and merged in one transaction at the end: until then
    the database is unchanged and not locked. Missing columns are added. Times are text in UTC, booleans are 1 and 0,
    money and decimals are text, lists and objects are JSON text.

    Raises:
        OutputError: It is not an SQLite database, the table was not made by cdrctl, or it cannot be written.
        LockedError: Another program has locked it for too long.
        UsageError: The schema has a column twice.
    """
    columns = typed_columns(schema)
    fit = fitter(schema, look.warn)
    with _sqlite_errors(out):
        if out.exists() and sql.database_in(out) != "SQLite":
            raise OutputError(f"cannot write {out.name}: it is not a database of SQLite", hint=_ELSEWHERE)
        database = sqlite3.connect(out, timeout=sql.BETWEEN_TRIES, isolation_level=None)
    with closing(database):
        with _sqlite_errors(out):
            _exclusively(database, lambda: _missing_columns(database, look.name, columns))  # fails before any request
            database.execute(f"CREATE TEMP TABLE incoming ({sql.name_list(columns)})")
            database.execute("CREATE TEMP TABLE replaced (record_key)")
        insert = f"INSERT INTO temp.incoming VALUES ({', '.join('?' * len(columns))})"
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


def _merge(database: sqlite3.Connection, name: str, columns: Sequence[Column], schema: Schema) -> None:
    table = f"main.{quote(name)}"
    missing = _missing_columns(database, name, columns)
    if missing is None:
        key = "NOT NULL PRIMARY KEY"
        database.execute(f"CREATE TABLE {table} ({sql.definition(columns, _TYPES, key)})")
    for column in missing or ():
        database.execute(f"ALTER TABLE {table} ADD COLUMN {quote(column.name)} {_TYPES[column.kind]}")
    start = _start(columns)
    if start is not None:
        index = quote(f"{name}_{start.name}")
        database.execute(f"CREATE INDEX IF NOT EXISTS main.{index} ON {quote(name)} ({quote(start.name)})")
    database.execute(f"DELETE FROM {table} WHERE record_key IN (SELECT record_key FROM temp.replaced)")
    names, changes = sql.name_list(columns), sql.update_clause(columns, schema, "json_patch")
    database.execute(
        f"INSERT INTO {table} AS here ({names}) SELECT {names} FROM incoming WHERE true "
        f"ON CONFLICT ({quote(columns[0].name)}) DO UPDATE SET {changes}"
    )


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
