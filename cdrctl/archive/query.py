"""SQL over the views of an archive, by DuckDB in memory, which can neither read files nor write or load anything.

    check ──► describe ──► run

DuckDB has no access to files, not even to those of the archive: its views are Arrow data sets that this process reads.
Its configuration is locked before the statement of a user is parsed. Without pyarrow, the views that a statement names
are copied to a temporary database, which is attached read-only.
"""

from __future__ import annotations

import atexit
import gc
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from msgspec import Struct

from cdrctl.archive.calls_view import CALLS, VIEW as CALLS_VIEW, CallScan
from cdrctl.archive.figure_views import ALL as FIGURES, create_statements, may_name_figures
from cdrctl.archive.views import DAY, Scan, View, all_views, days_of, pages, row_schema
from cdrctl.errors import ConfigurationError, OutputError, UsageError, alternatives
from cdrctl.figures.definitions import NAMES
from cdrctl.records.columns import Column, Kind
from cdrctl.records.events import Row, Value
from cdrctl.writers.duckdb import TYPES as KIND_TYPES
from cdrctl.writers.sql import quote
from cdrctl.writers.typed import fitter

atexit.register(gc.unfreeze)  # as in writers/duckdb.py

ROWS = 1000
"""How many rows are fetched at a time."""

_LIMITS = {"memory_limit": "512MB", "max_temp_directory_size": "20GB"}
_SETTINGS = {
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "autoinstall_known_extensions": "false",  # nothing is downloaded
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # a table is never a variable of this program
}
_ALLOWED = ("SELECT", "WITH", "FROM", "VALUES", "DESCRIBE", "SHOW", "SUMMARIZE", "EXPLAIN")


def sql_type(column: Column) -> str:
    """Return the type of a column of a view."""
    return "DATE" if column.name == DAY else KIND_TYPES[column.kind]


class Result(Struct, frozen=True):
    """The result of a statement.

    Args:
        columns: Its columns.
        pages: Its rows, page by page.
    """

    columns: tuple[Column, ...]
    pages: Iterator[list[list[Value]]]


class Database:
    """DuckDB with the views of an archive."""

    def __init__(self, connection: Any, problems: list[BaseException], folder: Path) -> None:
        self.connection = connection
        self.folder = folder
        self._problems = problems

    def result(self, text: str) -> Result:
        """Return the result of a statement, which runs while its rows are read.

        Raises:
            UsageError: It is not one statement that reads, or DuckDB refuses it.
        """
        query, explained = self._check(text)
        with self.errors():  # which only a query passes: not one that begins with `WITH x AS (COPY …)`
            described = self.connection.execute(f"DESCRIBE (\n{explained or query}\n)").fetchall()
        if explained:
            return Result((Column("plan", ""),), self._plan(query))
        kinds = [_reading_of(kind) for _, kind, *_ in described]
        names = [f"c{at}" for at in range(len(kinds))]
        chosen = ", ".join(one.expression.format(name) for one, name in zip(kinds, names, strict=True))
        columns = tuple(Column(name, "", one.kind) for (name, *_), one in zip(described, kinds, strict=True))
        whole = f"SELECT {chosen} FROM (\n{query}\n) AS result({', '.join(names)})"
        return Result(columns, self._rows(whole, [one.convert for one in kinds]))

    def _rows(self, query: str, convert: Sequence[Callable[[Any], Value]]) -> Iterator[list[list[Value]]]:
        with self.errors():
            self.connection.execute(query)
        while True:
            with self.errors():
                rows = self.connection.fetchmany(ROWS)
            if not rows:
                return
            yield [
                [None if value is None else to(value) for to, value in zip(convert, row, strict=True)] for row in rows
            ]

    def _plan(self, query: str) -> Iterator[list[list[Value]]]:
        with self.errors():
            rows = self.connection.execute(query).fetchall()
        yield [[line] for row in rows for line in str(row[-1]).splitlines()]

    def _check(self, text: str) -> tuple[str, str]:
        """Return a statement that only reads, without a semicolon, and the statement that it explains, if it does.

        Raises:
            UsageError: It is another statement, none, or more than one.
        """
        kind, query = self._one(text, ("SELECT", "EXPLAIN"))
        return query, self._one(_explained(query), ("SELECT",))[1] if kind == "EXPLAIN" else ""

    def _one(self, text: str, allowed: Sequence[str]) -> tuple[str, str]:
        """Return the kind of the only statement in a text, and the statement."""
        with self.errors():
            found = self.connection.extract_statements(text)
        if len(found) != 1:
            raise UsageError(
                f"{len(found)} statements came, not one" if found else "there is no statement",
                hint="run cdrctl sql once for each" if found else "write it in quotes: 'SELECT … FROM …'",
            )
        kind = found[0].type.name
        if kind not in allowed:
            raise _refused(kind)
        return kind, _bare(found[0].query)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the errors of DuckDB into ours; what failed in a scan is raised as it was."""
        try:
            yield
        except (duckdb.Error, RuntimeError) as error:
            if self._problems:
                raise self._problems[0] from None
            raise _error_of(error) from None


def _words(text: str) -> list[tuple[int, str]]:
    """Return the words and signs of a statement, and the byte at which each begins; comments are empty words."""
    told, tokens = text.encode(), duckdb.tokenize(text)
    ends = [*(at for at, _ in tokens), len(told)][1:]
    return [
        (at, "" if kind == duckdb.token_type.comment else told[at:end].decode().strip())
        for (at, kind), end in zip(tokens, ends, strict=True)
    ]


def _bare(text: str) -> str:
    """Return a statement without its semicolon, and without the comments around it."""
    words = _words(text)
    end = len(text.encode())
    while words and words[-1][1] in {"", ";"}:
        end, _ = words.pop()
    start = next((at for at, word in words if word), 0)
    return text.encode()[start:end].decode()


def _explained(query: str) -> str:
    """Return the statement that EXPLAIN explains."""
    words = [(at, word) for at, word in _words(query) if word][1:]
    if words and words[0][1].casefold() == "analyze":
        words.pop(0)
    if words and words[0][1] == "(":
        closed = next((at for at, (_, word) in enumerate(words) if word == ")"), len(words))
        words = words[closed + 1 :]
    return query.encode()[words[0][0] :].decode() if words else ""


def _refused(kind: str) -> UsageError:
    if kind == "MULTI":
        return UsageError("PIVOT needs its values", hint="write them after the column: ON column IN (value, …)")
    return UsageError(
        f"cdrctl sql only reads the archive, and does not run this statement: {kind.replace('_', ' ')}",
        hint=f"a statement begins with {alternatives(_ALLOWED)}",
    )


def _error_of(error: Exception) -> BaseException:
    """Return our error for one of DuckDB, with its own words."""
    text = str(error).strip()
    if isinstance(error, duckdb.InterruptException) or "nterrupted" in text:  # how DuckDB reports Ctrl-C
        return KeyboardInterrupt()
    said = " ".join(text.partition("\n\n")[0].split())
    if isinstance(error, duckdb.PermissionException):
        return UsageError(
            f"a statement cannot read or write files, nor load extensions: {said}",
            hint="use the views of the archive: cdrctl sql --from DIR lists them; -o FILE writes the result",
        )
    if isinstance(error, duckdb.OutOfMemoryException | duckdb.IOException):
        return OutputError(
            f"DuckDB cannot run the statement: {said}",
            hint="free disk space for temporary files (TMPDIR), or select fewer days or columns",
        )
    return UsageError(
        f"DuckDB does not run the statement: {said}",
        hint="cdrctl sql --from DIR lists the views and their columns",
    )


# Values


class _Reading(Struct, frozen=True):
    """How the values of a type are read: an SQL expression of the column, its kind, and the conversion in Python."""

    expression: str
    kind: Kind
    convert: Callable[[Any], Value]


def _same(value: Any) -> Any:
    return value


def _digits(value: Decimal) -> str:
    """Return a decimal in plain notation without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


_AS_IT_IS = _Reading("{}", "text", _same)
_AS_TEXT = _Reading("{}::VARCHAR", "text", _same)
_AS_JSON = _Reading("to_json({})::VARCHAR", "list", json.loads)
_INTEGER = _Reading("{}", "integer", _same)
_FLOAT = _Reading("{}", "decimal", _same)
_DECIMAL = _Reading("{}", "decimal", _digits)
_INSTANT = _Reading("strftime({} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%gZ')", "time", _same)
"""As text, since DuckDB needs another package for times with a zone in Python."""

_READINGS = {
    "VARCHAR": _AS_IT_IS,
    "BOOLEAN": _Reading("{}", "boolean", _same),
    "FLOAT": _FLOAT,
    "DOUBLE": _FLOAT,
    "TIMESTAMP WITH TIME ZONE": _INSTANT,
    "JSON": _AS_JSON,
    "VARIANT": _AS_JSON,
    **{f"{sign}{size}INT": _INTEGER for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")},
    "INTEGER": _INTEGER,
    "UINTEGER": _INTEGER,
    "BIGNUM": _Reading("{}::VARCHAR", "integer", int),
}


def _reading_of(kind: str) -> _Reading:
    """Return how the values of a type of DuckDB are read."""
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        return _AS_JSON
    return _DECIMAL if kind.startswith("DECIMAL") else _READINGS.get(kind, _AS_TEXT)


# The database


@contextmanager
def open_database(calls: CallScan, zone: str, text: str) -> Iterator[Database]:
    """Open DuckDB with the views of an archive, and nothing else.

    Args:
        calls: The calls of the archive, and the archive.
        zone: The name of the time zone in which days and hours are taken from instants.
        text: The statement that will run: without pyarrow, only the views that it names are there.

    Raises:
        OutputError: There is no room for temporary files.
        ConfigurationError: The archive cannot be read without pyarrow.
        UsageError: DuckDB does not know the time zone.
    """
    problems: list[BaseException] = []
    try:
        folder = TemporaryDirectory(prefix="cdrctl-", ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(
            f"temporary files cannot be written: {error.strerror or error}", hint="free disk space, or set TMPDIR"
        ) from error
    with folder as place, closing(_connect(Path(place))) as connection:
        database = Database(connection, problems, Path(place))
        with database.errors():
            _add_views(connection, calls, text, problems, Path(place))
            connection.execute("SET TimeZone = ?", [zone])
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            connection.execute("BEGIN TRANSACTION READ ONLY")
        yield database


def _connect(place: Path) -> Any:
    places = {name: str(place) for name in ("temp_directory", "home_directory", "extension_directory")}
    return duckdb.connect(":memory:", config={**_SETTINGS, **_LIMITS, **places, "secret_directory": str(place)})


def _add_views(connection: Any, calls: CallScan, text: str, problems: list[BaseException], place: Path) -> None:
    scan = calls.scan
    if find_spec("pyarrow"):
        from cdrctl.archive.arrow_calls import CallsDataset
        from cdrctl.archive.arrow_views import ArchiveDataset

        for view in all_views():
            connection.register(view.name, ArchiveDataset(scan, view, problems))
        connection.register(CALLS, CallsDataset(calls, problems, place))
        _add_figures(connection, text, f"temp.main.{CALLS}")
        return
    if scan.archive.archive.form == "parquet":
        raise ConfigurationError(
            "the archive is in Parquet, which needs pyarrow, which is not installed",
            hint="pip install 'cdrctl[parquet]'",
        )
    path = place / "rows.duckdb"
    settings = {**_SETTINGS, **_LIMITS, "temp_directory": str(place)}
    views = {view.name: view for view in all_views()}
    named = [view for view in views.values() if view.name in text.casefold()]
    views[CALLS] = CALLS_VIEW
    if any(name in text.casefold() for name in (CALLS, FIGURES, *NAMES)):
        named.append(CALLS_VIEW)
    with closing(duckdb.connect(path, config=settings)) as rows:
        for view in named:
            found = _call_pages(calls) if view is CALLS_VIEW else _view_pages(scan, view)
            _copy(rows, scan, view, found)
    connection.execute(f"ATTACH {_text(path)} AS archive (READ_ONLY)")
    for view in views.values():
        source = f"FROM archive.{quote(view.name)}" if view in named else _only_columns(view)
        connection.execute(f"CREATE VIEW {quote(view.name)} AS {source}")
    _add_figures(connection, text, f"memory.main.{CALLS}")


def _add_figures(connection: Any, text: str, calls: str) -> None:
    for statement in create_statements(calls) if may_name_figures(text) else ():
        connection.execute(statement)


def _view_pages(scan: Scan, view: View) -> Iterator[Sequence[Row]]:
    for day in days_of(scan, view):
        yield from pages(scan, view, day)


def _call_pages(calls: CallScan) -> Iterator[Sequence[Row]]:
    for days in calls.days():
        yield from calls.pages(days)


def _only_columns(view: View) -> str:
    """Return the query of a view that can be described, but not read: its name was made by the statement."""
    columns = ", ".join(f"NULL::{sql_type(one)} AS {quote(one.name)}" for one in view.columns)
    return f"SELECT {columns} WHERE error('without pyarrow, a statement names its views: {view.name}')::BOOLEAN"


def _copy(rows: Any, scan: Scan, view: View, found: Iterator[Sequence[Row]]) -> None:
    """Copy rows of a view to a table."""
    types = [sql_type(column) for column in view.columns]
    columns = ", ".join(f"{quote(one.name)} {kind}" for one, kind in zip(view.columns, types, strict=True))
    rows.execute(f"CREATE TABLE {quote(view.name)} ({columns})")
    fit = fitter(row_schema(view), scan.warn)
    given = [kind if kind in {"BIGINT", "BOOLEAN"} else "VARCHAR" for kind in types]
    values = ", ".join(f"unnest(?::{one}[])::{kind}" for one, kind in zip(given, types, strict=True))
    width = len(types)  # calls have no column for values that do not fit
    for page in found:
        cells = [list(one) for one in fit(page)][:width]
        rows.execute(f"INSERT INTO {quote(view.name)} SELECT {values}", cells)


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
