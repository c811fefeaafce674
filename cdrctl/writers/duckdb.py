"""DuckDB: a table in a database for analysis, in which every record is there once however often it is exported."""

from __future__ import annotations

import atexit
import gc
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from cdrctl.errors import OutputError
from cdrctl.writers import sql
from cdrctl.writers.sql import quoted
from cdrctl.writers.typed import DIGITS, PLACES, fitter, typed_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cdrctl.records.columns import Column, Kind
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

DATABASE = True

# The program ends without looking for garbage, and this library would take what is left for lost, and say so at length.
atexit.register(gc.unfreeze)

_MONEY = f"DECIMAL({DIGITS},{PLACES})"
_TYPES: Mapping[Kind, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "seconds": "BIGINT",
    "decimal": _MONEY,
    "money": _MONEY,
    "boolean": "BOOLEAN",
    "time": "TIMESTAMP WITH TIME ZONE",
    "list": "VARCHAR",
}
_GIVEN = {**_TYPES, "decimal": "VARCHAR", "money": "VARCHAR", "time": "VARCHAR"}
"""The types of values as they are handed over."""

_SETTINGS = {
    "autoinstall_known_extensions": "false",  # nothing is downloaded
    "autoload_known_extensions": "false",
    "memory_limit": "256MB",
}


def write(schema: Schema, pages: Pages, out: Path, look: RenderOptions) -> None:
    """Write the table that `look` names: a record whose key is there is replaced, others are added, none goes.

    Rows wait in a database of their own among the temporary files, and come into this one in one transaction when all
    have come: until then it is open to others, and nothing has happened to it. Columns that it lacks are added. Lists
    and objects are JSON text.

    Raises:
        OutputError: It is no DuckDB database, its table is not one of ours, or it cannot be written.
        LockedError: Another program did not let go of it in time.
        UsageError: The schema has a column twice.
    """
    columns = typed_columns(schema)
    fit = fitter(schema, look.warn)
    _check_name(out)
    with _told(out):
        folder = TemporaryDirectory(prefix="cdrctl-", ignore_cleanup_errors=True)
    with folder as place, closing(_opened(Path(place) / "rows.duckdb", out)) as database:
        if out.exists():  # refused before anything is asked
            with _told(out), _attached(database, out):
                _missing(database, look.name, columns)
        with _told(out):
            given = ", ".join(f"{quoted(column.name)} {_GIVEN[column.kind]}" for column in columns)
            database.execute(f"CREATE TABLE incoming ({given})")
        lists = ", ".join(f"unnest(?::{_GIVEN[column.kind]}[])" for column in columns)
        for page in pages:
            if page:
                cells = [list(values) for values in fit(page)]
                with _told(out):
                    database.execute(f"INSERT INTO incoming SELECT {lists}", cells)
        with _told(out):
            database.execute(_LAST_ONES)
            with _attached(database, out), _transaction(database):
                _merge(database, look.name, columns, schema)


def _check_name(out: Path) -> None:
    """Refuse a name that DuckDB cannot be told: it takes UTF-8, and a file's name may be any bytes."""
    try:
        str(out.absolute()).encode()
    except UnicodeEncodeError:
        raise OutputError(
            f"cannot write {out.name}: DuckDB takes only names that are UTF-8", hint="name another file with -o"
        ) from None


_LAST_ONES = """
DELETE FROM incoming USING (
    SELECT record_key, max(rowid) AS last FROM incoming GROUP BY record_key HAVING count(*) > 1
) AS twice WHERE incoming.record_key = twice.record_key AND incoming.rowid < twice.last
"""
"""Keeps one row of each key: one statement may not change a row twice."""


def _opened(path: Path, out: Path) -> duckdb.DuckDBPyConnection:
    with _told(out):
        return duckdb.connect(path, config=_SETTINGS)


def _merge(database: duckdb.DuckDBPyConnection, name: str, columns: Sequence[Column], schema: Schema) -> None:
    table = f"target.main.{quoted(name)}"
    there = _there(database, name)
    if not there:
        database.execute(f"CREATE TABLE {table} ({sql.definition(columns, _TYPES)})")
    for column in _missing(database, name, columns):
        database.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(column.name)} {_TYPES[column.kind]}")
    names, same = sql.names(columns), "here.record_key = excluded.record_key"
    if there.keys() <= {column.name.casefold() for column in columns}:  # to replace whole rows takes far less memory
        database.execute(f"DELETE FROM {table} AS here USING incoming AS excluded WHERE {same}")
    else:
        changes = sql.changes(columns, schema, "json_merge_patch")
        database.execute(f"UPDATE {table} AS here SET {changes} FROM incoming AS excluded WHERE {same}")
    database.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM incoming AS excluded "
        f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS here WHERE {same})"
    )


def _missing(database: duckdb.DuckDBPyConnection, name: str, columns: Sequence[Column]) -> list[Column]:
    """Return the columns that a table, if it is there, does not have yet.

    Raises:
        OutputError: There is something else of that name.
    """
    there = _there(database, name)
    key = columns[0].name
    return sql.added(name, columns, _TYPES, there, [key] if key in there else []) if there else []


def _there(database: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    """Return the types of a table's columns by name in folded case; none where there is no table."""
    found = database.execute(
        "SELECT lower(column_name), data_type FROM duckdb_columns() "
        "WHERE database_name = 'target' AND schema_name = 'main' AND lower(table_name) = lower(?)",
        [name],
    )
    return dict(found.fetchall())


@contextmanager
def _attached(database: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """Have another database at hand, as a context: while it is, no other program has it.

    Raises:
        LockedError: Another program had it for too long.
        OutputError: It is no DuckDB database.
    """
    if path.exists() and sql.database_in(path) != "DuckDB":
        raise OutputError(f"cannot write {path.name}: it is no DuckDB database", hint=_ELSEWHERE)
    place = str(path).replace("'", "''")
    until = time.monotonic() + sql.WAIT_SECONDS
    while True:
        try:
            database.execute(f"ATTACH '{place}' AS target (TYPE duckdb)")
            break
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise
            if time.monotonic() >= until:
                raise sql.locked(path) from error
        time.sleep(sql.BETWEEN_TRIES)
    try:
        yield
    finally:
        database.execute("DETACH target")


@contextmanager
def _transaction(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Do all of a block or nothing, as a context."""
    database.execute("BEGIN")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # where COMMIT failed, nothing is left to undo
            database.execute("ROLLBACK")
        raise
    database.execute("CHECKPOINT target")  # or a file of its own would hold what is new


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what DuckDB and the system say about files into an error of ours."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path.name}: {error.strerror}", hint=_ELSEWHERE) from error
    except (RuntimeError, duckdb.InterruptException) as error:
        if "nterrupted" in str(error):  # so it passes on that Ctrl-C came while it worked
            raise KeyboardInterrupt from error
        raise
    except _REFUSALS as error:
        reason = str(error).strip().partition("\n")[0]
        raise OutputError(f"cannot write {path.name}: {reason}", hint=_ROOM) from error


_REFUSALS = (
    *(duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException),
    *(duckdb.IntegrityError, duckdb.CatalogException, duckdb.BinderException),  # of a table or view that is not ours
)
_ELSEWHERE = "name another file with -o"
_ROOM = "make room there and for temporary files (TMPDIR), or name another file with -o"
