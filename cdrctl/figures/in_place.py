"""Files of whole calls that DuckDB reads in place: Parquet, CSV and JSON Lines whose values are as cdrctl writes them.

A file with other types, other columns or values that cannot be read is read through Python, which says what is wrong.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from msgspec import Struct

from cdrctl.calls.columns import CALL
from cdrctl.calls.recognition import is_call
from cdrctl.figures.fitting import MOST
from cdrctl.figures.where import literal
from cdrctl.writers.duckdb import TYPES
from cdrctl.writers.sql import quote

if TYPE_CHECKING:
    from datetime import datetime

    from cdrctl.records.columns import Column
    from cdrctl.records.events import Row

FORMS = {".parquet": "parquet", ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_FIRST_YEAR, _LAST_YEAR = 2000, 9998
"""Times before and after these stand for no time, which Python's readers know."""

_SPECIAL = re.compile(r"[*?\[\]{}]|://")
"""Signs with which DuckDB means several files, or none on this machine."""

_TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z"


class CallFiles(Struct, frozen=True):
    """Files of whole calls, which can be read in place, or page by page.

    Args:
        paths: Each file with its form.
        window: The window on the start of the call; None for all calls.
        count: Receives the number of calls, if they are read in place.
        pages: Yields the rows of all calls, page by page.
        condition: The condition on the calls, in SQL.
        fields: The columns of the condition.
    """

    paths: Sequence[tuple[str, str]]
    window: tuple[datetime, datetime] | None
    count: Callable[[int], None]
    pages: Callable[[], Iterable[Sequence[Row]]]
    condition: str = "true"
    fields: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Sequence[Row]]:
        return iter(self.pages())


def form_of(path: str) -> str | None:
    """Return the form in which DuckDB can read a file of calls, by its name and its columns; None if it cannot."""
    bare = path.removesuffix(".gz")
    form = next((form for end, form in FORMS.items() if bare.casefold().endswith(end)), None)
    if form is None or (form == "parquet" and bare != path) or _SPECIAL.search(path) or not Path(path).is_file():
        return None
    with duckdb.connect(config={"autoload_known_extensions": "false"}) as connection:
        try:
            names = _columns(connection, path, form)
        except duckdb.Error:  # it is no such file
            return None
    return form if is_call(dict.fromkeys(names)) else None


def _columns(connection: Any, path: str, form: str) -> dict[str, str]:
    """Return the types of a file's columns by name."""
    source = _parquet(path) if form == "parquet" else _texts(path, form, None)
    return {name: str(kind) for name, kind, *_ in connection.execute(f"DESCRIBE FROM {source}").fetchall()}


def _parquet(path: str) -> str:
    return f"read_parquet({literal(path)}, hive_partitioning=false)"


def _texts(path: str, form: str, columns: Sequence[Column] | None) -> str:
    """Return the table function that reads a file of text; every value is text."""
    if form == "jsonl":
        if columns is None:
            return f"read_json({literal(path)}, format='newline_delimited', sample_size=1, hive_partitioning=false)"
        shape = ", ".join(f"{literal(one.name)}: 'VARCHAR'" for one in columns)
        return f"read_json({literal(path)}, format='newline_delimited', columns={{{shape}}}, hive_partitioning=false)"
    separator = "\\t" if form == "tsv" else ","
    return (
        f"read_csv({literal(path)}, header=true, all_varchar=true, auto_detect=false, delim=E'{separator}', "
        f"quote='\"', escape='\"', null_padding=false, nullstr='', hive_partitioning=false, "
        f"columns={_header(path, form)})"
    )


def _header(path: str, form: str) -> str:
    """Return the columns of a CSV file as a struct of SQL."""
    with Path(path).open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    opened = gzip.open if packed else open
    with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as text:
        names = next(csv.reader(text, delimiter="\t" if form == "tsv" else ","), [])
    return "{" + ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names) + "}"


def open_in_place(connection: Any, files: CallFiles, names: Sequence[str]) -> list[str | None] | None:
    """Make `all_calls` of the wanted columns of files of calls; return their providers, or None if it is not possible.

    Args:
        connection: An open database.
        files: The files.
        names: The names of the columns.
    """
    wanted = [one for one in CALL if one.name in {"provider", "start_time", *names, *files.fields}]
    where = f"{_where(files.window)} AND {files.condition}"
    parts: list[str] = []
    count, providers = 0, set[str | None]()
    try:
        for at, (path, form) in enumerate(files.paths):
            part = _part(connection, at, path, form, wanted, files.fields)
            if part is None:
                return None
            # Each reading of a file takes time, so one of them answers three questions.
            counted = f"count(*) FILTER ({where}), list(DISTINCT provider) FILTER ({where})"
            fits, some, named = connection.execute(f"SELECT bool_and(fits), {counted} FROM ({part})").fetchone()
            if fits is False:
                return None
            parts.append(part)
            count += some
            providers.update(named or ())
    except (duckdb.OutOfMemoryException, duckdb.IOException):
        raise
    except (duckdb.Error, OSError):
        return None
    text = " UNION ALL ".join(parts)
    connection.execute(f"CREATE VIEW all_calls AS SELECT * EXCLUDE (fits) FROM ({text}) WHERE {where}")
    files.count(count)
    return sorted(providers, key=lambda one: (one is None, one or ""))


def _part(
    connection: Any, at: int, path: str, form: str, wanted: Sequence[Column], fields: frozenset[str]
) -> str | None:
    """Return the statement that reads the calls of a file, or None if it must be read through Python.

    Its column `fits` says whether the values of a call are as cdrctl writes them: the file must be read through Python
    if it is false anywhere.

    Args:
        connection: An open database.
        at: The number of the file.
        path: The file.
        form: Its form.
        wanted: The columns that are read.
        fields: The columns of the condition.
    """
    there = _columns(connection, path, form)
    if len({name.casefold() for name in there}) < len(there) or not is_call(dict.fromkeys(there)):
        return None
    here = [one for one in wanted if one.name in there]
    source = _parquet(path)
    if form == "parquet":
        if any(there[one.name] != TYPES[one.kind] for one in here):
            return None
    else:
        source = f"read_{at}"
        columns = ", ".join(quote(one.name) for one in here)
        connection.execute(f"CREATE TABLE texts_{at} AS SELECT {columns} FROM {_texts(path, form, here)}")
        checks = " AND ".join(["true", *(f"bool_and({check})" for one in here if (check := _check_text(one)))])
        if connection.execute(f"SELECT {checks} FROM texts_{at}").fetchone()[0] is False:
            return None
        typed = ", ".join(f"{_given(one)}::{TYPES[one.kind]} AS {quote(one.name)}" for one in here)
        connection.execute(f"CREATE TABLE {source} AS SELECT {typed} FROM texts_{at}")
        connection.execute(f"DROP TABLE texts_{at}")
    values = [_check_value(one) for one in here] + [_check_field(one) for one in here if one.name in fields]
    fits = " AND ".join(["true", *(f"coalesce({check}, true)" for check in values if check)])
    chosen = ", ".join(
        f"{_given(one) if one in here else f'NULL::{TYPES[one.kind]}'} AS {quote(one.name)}" for one in wanted
    )
    return f"SELECT {chosen}, {fits} AS fits FROM {source}"


def _given(column: Column) -> str:
    """Return the expression of a column's value; an empty text is null."""
    return f"nullif({quote(column.name)}, '')" if TYPES[column.kind] == "VARCHAR" else quote(column.name)


def _check_text(column: Column) -> str:
    """Return the condition that a text is a value of a column as it is written; empty if every text is."""
    name = quote(column.name)
    if column.kind == "time":
        form = f"regexp_full_match({name}, '{_TIME}') AND {name}[12:13] <> '24'"
        return f"({name} IS NULL OR ({form} AND TRY_CAST({name} AS TIMESTAMPTZ) IS NOT NULL))"
    if column.kind == "boolean":
        return f"{name} IN ('true', 'false')"
    if column.kind in {"integer", "seconds"}:
        return f"coalesce(TRY_CAST({name} AS BIGINT)::VARCHAR = {name}, {name} IS NULL)"
    if column.kind in {"money", "decimal"}:
        return f"regexp_full_match({name}, '-?[0-9]{{1,20}}([.][0-9]{{1,18}})?')"
    return ""


def _check_value(column: Column) -> str:
    """Return the condition that a time is one, with milliseconds, and a number one that figures take; else empty."""
    name = quote(column.name)
    if column.kind in MOST:
        return f"abs({name}) <= {MOST[column.kind]}"
    if column.kind != "time":
        return ""
    return (
        f"{name} >= TIMESTAMPTZ '{_FIRST_YEAR}-01-02 00:00:00+00' AND epoch_us({name}) % 1000 = 0 "
        f"AND {name} < TIMESTAMPTZ '{_LAST_YEAR}-01-01 00:00:00+00'"
    )


def _check_field(column: Column) -> str:
    """Return the condition that a text is no list or object, in which Python looks for elements; else empty."""
    return f"{quote(column.name)}[1] NOT IN ('[', '{{')" if column.kind == "text" else ""


def _where(window: tuple[datetime, datetime] | None) -> str:
    """Return the condition on the start of a call; one whose start is unknown may be of any window."""
    if window is None:
        return "true"
    since, until = (f"TIMESTAMPTZ '{at.isoformat()}'" for at in window)
    return f"(start_time IS NULL OR (start_time >= {since} AND start_time < {until}))"
