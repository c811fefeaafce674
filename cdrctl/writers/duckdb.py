"""DuckDB: a table in a database for analysis that has every record once, however often it is exported."""

from __future__ import annotations

import atexit
import gc
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import duckdb

from cdrctl.errors import OutputError
from cdrctl.writers import sql
from cdrctl.writers.sql import quote
from cdrctl.writers.typed import DIGITS, PLACES, fitter, typed_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cdrctl.records.columns import Column, Kind
    from cdrctl.records.events import Row
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

DATABASE = True

# cdrctl freezes the garbage collector at exit, and this library would report the remaining objects as leaks.
atexit.register(gc.unfreeze)

_MONEY = f"DECIMAL({DIGITS},{PLACES})"
TYPES: Mapping[Kind, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "seconds": "BIGINT",
    "decimal": _MONEY,
    "money": _MONEY,
    "boolean": "BOOLEAN",
    "time": "TIMESTAMP WITH TIME ZONE",
    "list": "VARCHAR",
}
_GIVEN = {**TYPES, "decimal": "VARCHAR", "money": "VARCHAR", "time": "VARCHAR"}
"""The types of values as they are passed to DuckDB."""

_SETTINGS = {
    "autoinstall_known_extensions": "false",  # nothing is downloaded
    "autoload_known_extensions": "false",
    "memory_limit": "256MB",
}


def write(schema: Schema, pages: Pages, out: Path, look: RenderOptions) -> None:
    """Write the table named by `look`: records with an existing key are replaced, and others are added.

    None is deleted but those whose place a row takes (see `Schema.replaced_keys`).

    Rows are collected in a temporary database and merged in one transaction at the end: until then the database is
    unchanged and not locked. Missing columns are added. Lists and objects are JSON text.

    Raises:
        OutputError: It is not a DuckDB database, the table was not made by cdrctl, or it cannot be written.
        LockedError: Another program has locked it for too long.
        UsageError: The schema has a column twice.
    """
    columns = typed_columns(schema)
    fit = fitter(schema, look.warn)
    _check_name(out)
    with _duckdb_errors(out):
        folder = TemporaryDirectory(prefix="cdrctl-", ignore_cleanup_errors=True)
    with folder as place, closing(_open(Path(place) / "rows.duckdb", out)) as database:
        if out.exists():  # fails before any request
            with _duckdb_errors(out), _attach(database, out):
                _missing_columns(database, look.name, columns)
        with _duckdb_errors(out):
            given = ", ".join(f"{quote(column.name)} {_GIVEN[column.kind]}" for column in columns)
            database.execute(f"CREATE TABLE incoming ({given})")
            database.execute("CREATE TABLE replaced (record_key VARCHAR)")
        lists = ", ".join(f"unnest(?::{_GIVEN[column.kind]}[])" for column in columns)
        for page in pages:
            if page:
                cells = [list(values) for values in fit(page)]
                replaced = [] if schema.replaced_keys is None else schema.replaced_keys(cast("Sequence[Row]", page))
                with _duckdb_errors(out):
                    database.execute(f"INSERT INTO incoming SELECT {lists}", cells)
                    if replaced:
                        database.execute("INSERT INTO replaced SELECT unnest(?::VARCHAR[])", [replaced])
        with _duckdb_errors(out):
            database.execute(_LAST_ONES)
            with _attach(database, out), _transaction(database):
                _merge(database, look.name, columns, schema)


def _check_name(out: Path) -> None:
    """Raise OutputError for a file name that is not UTF-8, which DuckDB cannot open."""
    try:
        str(out.absolute()).encode()
    except UnicodeEncodeError:
        raise OutputError(
            f"cannot write {out.name}: DuckDB needs a file name in UTF-8", hint="name another file with -o"
        ) from None


_LAST_ONES = """
DELETE FROM incoming USING (
    SELECT record_key, max(rowid) AS last FROM incoming GROUP BY record_key HAVING count(*) > 1
) AS twice WHERE incoming.record_key = twice.record_key AND incoming.rowid < twice.last
"""
"""Keeps the last row of each key: one statement may not change a row twice."""


def _open(path: Path, out: Path) -> duckdb.DuckDBPyConnection:
    with _duckdb_errors(out):
        return duckdb.connect(path, config=_SETTINGS)


def _merge(database: duckdb.DuckDBPyConnection, name: str, columns: Sequence[Column], schema: Schema) -> None:
    table = f"target.main.{quote(name)}"
    there = _existing_columns(database, name)
    if not there:
        database.execute(f"CREATE TABLE {table} ({sql.definition(columns, TYPES)})")
    for column in _missing_columns(database, name, columns):
        database.execute(f"ALTER TABLE {table} ADD COLUMN {quote(column.name)} {TYPES[column.kind]}")
    database.execute(f"DELETE FROM {table} AS here USING replaced WHERE here.record_key = replaced.record_key")
    names, same = sql.name_list(columns), "here.record_key = excluded.record_key"
    if there.keys() <= {column.name.casefold() for column in columns}:  # replacing whole rows takes far less memory
        database.execute(f"DELETE FROM {table} AS here USING incoming AS excluded WHERE {same}")
    else:
        changes = sql.update_clause(columns, schema, "json_merge_patch")
        database.execute(f"UPDATE {table} AS here SET {changes} FROM incoming AS excluded WHERE {same}")
    database.execute(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM incoming AS excluded "
        f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS here WHERE {same})"
    )


def _missing_columns(database: duckdb.DuckDBPyConnection, name: str, columns: Sequence[Column]) -> list[Column]:
    """Return the columns that an existing table does not have yet; none if there is no table.

    Raises:
        OutputError: The table was not made by cdrctl.
    """
    there = _existing_columns(database, name)
    key = columns[0].name
    return sql.missing_columns(name, columns, TYPES, there, [key] if key in there else []) if there else []


def _existing_columns(database: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    """Return the types of a table's columns by name in folded case; empty if there is no table."""
    found = database.execute(
        "SELECT lower(column_name), data_type FROM duckdb_columns() "
        "WHERE database_name = 'target' AND schema_name = 'main' AND lower(table_name) = lower(?)",
        [name],
    )
    return dict(found.fetchall())


@contextmanager
def _attach(database: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """Attach the target database, which locks it against other programs, as a context.

    Raises:
        LockedError: Another program has locked it for too long.
        OutputError: It is not a DuckDB database.
    """
    if path.exists() and sql.database_in(path) != "DuckDB":
        raise OutputError(f"cannot write {path.name}: it is not a database of DuckDB", hint=_ELSEWHERE)
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
                raise sql.locked_error(path) from error
        time.sleep(sql.BETWEEN_TRIES)
    try:
        yield
    finally:
        database.execute("DETACH target")


@contextmanager
def _transaction(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Run a block in a transaction, as a context."""
    database.execute("BEGIN")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # if COMMIT failed, there is nothing to undo
            database.execute("ROLLBACK")
        raise
    database.execute("CHECKPOINT target")  # else the changes would stay in a separate log file


@contextmanager
def _duckdb_errors(path: Path) -> Iterator[None]:
    """Turn the errors of DuckDB and of the system into ours."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path.name}: {error.strerror}", hint=_ELSEWHERE) from error
    except (RuntimeError, duckdb.InterruptException) as error:
        if "nterrupted" in str(error):  # how DuckDB reports Ctrl-C
            raise KeyboardInterrupt from error
        raise
    except _REFUSALS as error:
        reason = str(error).strip().partition("\n")[0]
        raise OutputError(f"cannot write {path.name}: {reason}", hint=_ROOM) from error


_REFUSALS = (
    *(duckdb.OperationalError, duckdb.InternalError, duckdb.FatalException),
    *(
        duckdb.IntegrityError,
        duckdb.CatalogException,
        duckdb.BinderException,
    ),  # a table or view that cdrctl did not make
)
_ELSEWHERE = "name another file with -o"
_ROOM = "free disk space there and for temporary files (TMPDIR), or name another file with -o"
