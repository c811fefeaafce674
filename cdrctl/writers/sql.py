"""SQL that the databases share: a table of records with unique keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cdrctl.errors import LockedError, OutputError
from cdrctl.records.columns import EXTRA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cdrctl.records.columns import Column, Kind
    from cdrctl.records.schemas import Schema

WAIT_SECONDS = 60.0
"""How long to wait for a database that another program has locked."""

BETWEEN_TRIES = 0.2
"""Seconds between two attempts; a wait inside the database's library would ignore Ctrl-C."""

_OTHER_FILE = "name another file with -o, or give that table another name"


def locked_error(path: Path) -> LockedError:
    """Return the error for a database that another program has locked."""
    return LockedError(
        f"cannot write {path.name}: another program has it locked",
        hint="run the command again when that program has ended",
    )


_SIGNS = {"SQLite": (0, b"SQLite format 3\0"), "DuckDB": (8, b"DUCK")}
"""The offset and the bytes that identify a database file; the libraries accept more files as theirs."""


def database_in(path: Path) -> str | None:
    """Return the kind of a database file, `SQLite` or `DuckDB`, or None for another file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(16)
    return next((name for name, (at, sign) in _SIGNS.items() if head[at:].startswith(sign)), None)


def quote(name: str) -> str:
    """Return a name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def definition(columns: Sequence[Column], types: Mapping[Kind, str], key: str = "") -> str:
    """Return the column list of CREATE TABLE; `key` is the constraint of the first column."""
    first, *others = (f"{quote(column.name)} {types[column.kind]}" for column in columns)
    return ", ".join([f"{first} {key}".rstrip(), *others])


def missing_columns(
    name: str, columns: Sequence[Column], types: Mapping[Kind, str], there: Mapping[str, str], key: Sequence[str]
) -> list[Column]:
    """Return the columns that a table does not have yet.

    Args:
        name: The table's name.
        columns: The columns that it should have, first the key.
        types: The SQL types by kind.
        there: The types of its columns, by name in folded case.
        key: The names of the columns of its key, in folded case.

    Raises:
        OutputError: The table was not made by cdrctl: it has another key, or a column has another type.
    """
    if [*key] != [columns[0].name]:
        raise OutputError(
            f"cannot write the table {name}: it exists, but its key is not {columns[0].name}",
            hint=_OTHER_FILE,
        )
    for column in columns:
        found = there.get(column.name.casefold())
        if found is not None and found.upper() != types[column.kind]:
            raise OutputError(
                f"cannot write the table {name}: its column {column.name} is {found or 'without a type'}, not "
                f"{types[column.kind]}",
                hint=_OTHER_FILE,
            )
    return [column for column in columns if column.name.casefold() not in there]


def name_list(columns: Sequence[Column]) -> str:
    """Return the quoted names of columns, separated by commas."""
    return ", ".join(quote(column.name) for column in columns)


def update_clause(columns: Sequence[Column], schema: Schema, patch: str) -> str:
    """Return the SET clause of an UPDATE that turns the row `here` into the row `excluded` with the same key.

    Columns that were not exported are unchanged. So is `extra` if it was not exported, except for its values of columns
    that were; `patch` is the SQL function that does this (RFC 7396).
    """
    chosen = [column.name for column in schema.columns or ()]
    found = [f"{quote(one.name)} = excluded.{quote(one.name)}" for one in columns[1:] if one.name in chosen]
    if EXTRA not in chosen:
        there, new = f"coalesce(here.{EXTRA}, '{{}}')", f"coalesce(excluded.{EXTRA}, '{{}}')"
        gone = json.dumps(dict.fromkeys(chosen)).replace("'", "''")
        merged = f"nullif({patch}({patch}({there}, '{gone}'), {new}), '{{}}')"
        found.append(f"{EXTRA} = CASE WHEN here.{EXTRA} IS NULL THEN excluded.{EXTRA} ELSE {merged} END")
    return ", ".join(found)
