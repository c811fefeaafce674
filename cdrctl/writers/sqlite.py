"""SQLite: a table in a database, in which every record is there once however often it is exported."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from cdrctl.errors import OutputError
from cdrctl.writers import sql
from cdrctl.writers.sql import quoted
from cdrctl.writers.typed import fitter, typed_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cdrctl.records.columns import Column, Kind
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

DATABASE = True

_TYPES: Mapping[Kind, str] = {
    "text": "TEXT",
    "integer": "INTEGER",
    "seconds": "INTEGER",
    "decimal": "TEXT",  # SQLite has no decimals, and as REAL they would be rounded
    "money": "TEXT",
    "boolean": "INTEGER",
    "time": "TEXT",  # in the contract's form, which sorts, and which its functions read
    "list": "TEXT",
}


def write(schema: Schema, pages: Pages, out: Path, look: RenderOptions) -> None:
    """Write the table that `look` names: a record whose key is there is replaced, others are added, none goes.

    Rows wait in a temporary table, outside the database, and come into it in one transaction when all have come: until
    then it is open to others, and nothing has happened to it. Columns that it lacks are added. Times are text in UTC,
    true and false are 1 and 0, money and decimals are text, lists and objects are JSON text.

    Raises:
        OutputError: It is no SQLite database, its table is not one of ours, or it cannot be written.
        LockedError: Another program did not let go of it in time.
        UsageError: The schema has a column twice.
    """
    columns = typed_columns(schema)
    fit = fitter(schema, look.warn)
    with _told(out):
        if out.exists() and sql.database_in(out) != "SQLite":
            raise OutputError(f"cannot write {out.name}: it is no SQLite database", hint=_ELSEWHERE)
        database = sqlite3.connect(out, timeout=sql.BETWEEN_TRIES, isolation_level=None)
    with closing(database):
        with _told(out):
            _alone(database, lambda: _missing(database, look.name, columns))  # refused before anything is asked
            database.execute(f"CREATE TEMP TABLE incoming ({sql.names(columns)})")
        insert = f"INSERT INTO temp.incoming VALUES ({', '.join('?' * len(columns))})"
        for page in pages:
            if page:
                rows = zip(*fit(page), strict=True)
                with _told(out):
                    database.execute("BEGIN")
                    database.executemany(insert, rows)
                    database.execute("COMMIT")
        with _told(out):
            _alone(database, lambda: _merge(database, look.name, columns, schema))


def _merge(database: sqlite3.Connection, name: str, columns: Sequence[Column], schema: Schema) -> None:
    table = f"main.{quoted(name)}"
    missing = _missing(database, name, columns)
    if missing is None:
        key = "NOT NULL PRIMARY KEY"
        database.execute(f"CREATE TABLE {table} ({sql.definition(columns, _TYPES, key)})")
    for column in missing or ():
        database.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(column.name)} {_TYPES[column.kind]}")
    start = _start(columns)
    if start is not None:
        index = quoted(f"{name}_{start.name}")
        database.execute(f"CREATE INDEX IF NOT EXISTS main.{index} ON {quoted(name)} ({quoted(start.name)})")
    names, changes = sql.names(columns), sql.changes(columns, schema, "json_patch")
    database.execute(
        f"INSERT INTO {table} AS here ({names}) SELECT {names} FROM incoming WHERE true "
        f"ON CONFLICT ({quoted(columns[0].name)}) DO UPDATE SET {changes}"
    )


def _missing(database: sqlite3.Connection, name: str, columns: Sequence[Column]) -> list[Column] | None:
    """Return the columns that a table does not have yet, or None where there is no table.

    Raises:
        OutputError: There is something else of that name.
    """
    found = database.execute("SELECT name, type, pk FROM pragma_table_info(?, 'main')", [name]).fetchall()
    if not found:
        return None
    there = {column.casefold(): kind for column, kind, _ in found}
    key = [column.casefold() for column, _, place in found if place]
    return sql.added(name, columns, _TYPES, there, key)


def _start(columns: Sequence[Column]) -> Column | None:
    """Return the column that says when calls started: most questions are about a time."""
    times = [column for column in columns if column.kind == "time"]
    return next((column for column in times if column.name == "start_time"), times[0] if times else None)


def _alone(database: sqlite3.Connection, do: Callable[[], object]) -> None:
    """Do something in a transaction that nobody else writes in: all of it, or nothing.

    Where another program has the database it is tried again, from the beginning.

    Raises:
        sqlite3.Error: It cannot be done; or another program had it for too long.
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
def _told(path: Path) -> Iterator[None]:
    """Turn what SQLite says about a database into an error of ours."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path.name}: {error.strerror}", hint=_ELSEWHERE) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:  # it was used wrongly, which is our fault
            raise
        if _is_busy(error):
            raise sql.locked(path) from error
        reason, hint = _REASONS.get(code & 0xFF, (str(error), _ELSEWHERE))
        raise OutputError(f"cannot write {path.name}: {reason}", hint=hint) from error


_ELSEWHERE = "name another file with -o"
_REASONS = {
    sqlite3.SQLITE_CANTOPEN: ("no permission to make files in its folder, or none there", _ELSEWHERE),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", f"mend it with its .recover command, or {_ELSEWHERE}"),
    sqlite3.SQLITE_FULL: ("the disk is full", "make room there and for temporary files (SQLITE_TMPDIR)"),
    sqlite3.SQLITE_IOERR: ("the disk reports an error", "check the disk and its quota, or name another place with -o"),
    sqlite3.SQLITE_NOTADB: ("it is no SQLite database", _ELSEWHERE),
    sqlite3.SQLITE_PERM: ("no permission", _ELSEWHERE),
    sqlite3.SQLITE_READONLY: ("no permission to write it", _ELSEWHERE),
}
