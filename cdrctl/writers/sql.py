"""SQL that the databases have in common: a table of records, each of which is there once."""

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
"""How long a database that another program has is waited for."""

BETWEEN_TRIES = 0.2
"""Seconds after which it is tried again; a wait in the library's own code would not hear Ctrl-C."""

_OTHER_FILE = "name another file with -o, or give that table another name"


def locked(path: Path) -> LockedError:
    """Return the error of a database that another program has."""
    return LockedError(f"cannot write {path.name}: another program has it", hint="run it again when that one has ended")


_SIGNS = {"SQLite": (0, b"SQLite format 3\0"), "DuckDB": (8, b"DUCK")}
"""Where a database's file has which bytes: libraries take more for a database of theirs."""


def database_in(path: Path) -> str | None:
    """Return whose database a file is, `SQLite` or `DuckDB`, or None for what is none.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(16)
    return next((name for name, (at, sign) in _SIGNS.items() if head[at:].startswith(sign)), None)


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def definition(columns: Sequence[Column], types: Mapping[Kind, str], key: str = "") -> str:
    """Return what stands between the brackets of CREATE TABLE; `key` is what is to be said of the first column."""
    first, *others = (f"{quoted(column.name)} {types[column.kind]}" for column in columns)
    return ", ".join([f"{first} {key}".rstrip(), *others])


def added(
    name: str, columns: Sequence[Column], types: Mapping[Kind, str], there: Mapping[str, str], key: Sequence[str]
) -> list[Column]:
    """Return the columns that a table does not have yet.

    Args:
        name: The table's name.
        columns: Those that it should have, the first of them the one by which its rows are told apart.
        types: The types of columns.
        there: The types of those that it has, by name in folded case.
        key: The names of those by which its rows are told apart, in folded case.

    Raises:
        OutputError: It is not a table of ours: rows could not be told apart, or a column has another type.
    """
    if [*key] != [columns[0].name]:
        raise OutputError(
            f"cannot write the table {name}: it is there, and is not one whose rows are known by {columns[0].name}",
            hint=_OTHER_FILE,
        )
    for column in columns:
        found = there.get(column.name.casefold())
        if found is not None and found.upper() != types[column.kind]:
            raise OutputError(
                f"cannot write the table {name}: its column {column.name} is {found or 'without a type'} and not "
                f"{types[column.kind]}",
                hint=_OTHER_FILE,
            )
    return [column for column in columns if column.name.casefold() not in there]


def names(columns: Sequence[Column]) -> str:
    """Return the names of columns, as SQL lists them."""
    return ", ".join(quoted(column.name) for column in columns)


def changes(columns: Sequence[Column], schema: Schema, patch: str) -> str:
    """Return what an UPDATE sets in the row `here` so that it becomes the row `excluded` with the same key.

    Columns that were not exported stay as they are. So does `extra` where it was not among them, but for what it says
    of columns that were; `patch` is the function that does that (RFC 7396).
    """
    chosen = [column.name for column in schema.columns or ()]
    found = [f"{quoted(one.name)} = excluded.{quoted(one.name)}" for one in columns[1:] if one.name in chosen]
    if EXTRA not in chosen:
        there, new = f"coalesce(here.{EXTRA}, '{{}}')", f"coalesce(excluded.{EXTRA}, '{{}}')"
        gone = json.dumps(dict.fromkeys(chosen)).replace("'", "''")
        merged = f"nullif({patch}({patch}({there}, '{gone}'), {new}), '{{}}')"
        found.append(f"{EXTRA} = CASE WHEN here.{EXTRA} IS NULL THEN excluded.{EXTRA} ELSE {merged} END")
    return ", ".join(found)
