"""Runs figures: calls go into a table of DuckDB, and each figure is one statement over it."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import duckdb
from msgspec import Struct

from cdrctl.calls.columns import CALL
from cdrctl.errors import OutputError, ProviderError, UsageError
from cdrctl.figures.definitions import PLACES, SOME_WITHOUT, Figure
from cdrctl.figures.fitting import MOST, excess, without_excess
from cdrctl.figures.groups import Key, cannot, statement
from cdrctl.figures.in_place import CallFiles, open_in_place
from cdrctl.records.events import Row
from cdrctl.writers.duckdb import TYPES
from cdrctl.writers.sql import quote
from cdrctl.writers.values import json_of

atexit.register(gc.unfreeze)  # as in writers/duckdb.py

_SETTINGS = {
    "autoinstall_known_extensions": "false",  # nothing is downloaded
    "autoload_known_extensions": "false",
    "memory_limit": "256MB",
    "preserve_insertion_order": "false",
}
_AT_ONCE = 10_000
"""Rows that are inserted at once."""


class Measured(Struct, frozen=True):
    """The value of a figure for one group of calls.

    Args:
        figure: The figure.
        group: The values of the keys.
        value: The value, as text with all its digits; None if it cannot be given.
        numerator: What was counted or summed.
        denominator: Of what, or None if the figure is no quotient.
        unit: The unit; of a cost, its currency.
        why: Why there is no value, or what it leaves out or counts wrongly.
    """

    figure: Figure
    group: tuple[str | None, ...]
    value: str | None
    numerator: str | None
    denominator: str | None
    unit: str
    why: str = ""


class Calls:
    """A table of calls in DuckDB."""

    def __init__(self, connection: Any, folder: Path, names: Sequence[str]) -> None:
        self._connection = connection
        self._folder = folder
        self._names = names
        self._providers: list[str | None] | None = None
        self._told: dict[str, frozenset[str]] = {}

    def use_zone(self, zone: str) -> None:
        """Take days and hours from instants in this time zone.

        Raises:
            UsageError: DuckDB does not know it.
        """
        try:
            self._connection.execute("SET TimeZone = ?", [zone])
        except duckdb.Error:
            raise UsageError(f"DuckDB does not know the time zone {zone}", hint="name it as Europe/Berlin") from None

    def add(self, pages: Iterable[Sequence[Row]]) -> None:
        """Add the rows of all calls, in the order of `calls.columns.CALL`; files of calls are read in place.

        Raises:
            OutputError: Temporary files cannot be written.
            ProviderError: A number is larger than figures take.
        """
        with _errors():
            if isinstance(pages, CallFiles):
                self._providers = open_in_place(self._connection, pages, self._names)
                if self._providers is not None:
                    return
            columns = ", ".join(f"{quote(one.name)} {TYPES[one.kind]}" for one in CALL if one.name in self._names)
            self._connection.execute(f"CREATE TABLE all_calls ({columns})")
            for some in _together(pages):
                try:
                    self._insert(some)
                except (duckdb.InvalidInputException, duckdb.ConversionException):
                    self._refuse(some)
                    raise
            self._check_numbers()

    def _refuse(self, rows: Sequence[Row]) -> None:
        """Refuse rows of which a number is larger than figures take."""
        for at, column in enumerate(CALL):
            for row in rows if column.name in self._names else ():
                problem = excess(column, row[at])
                if problem:
                    raise ProviderError(f"{column.name} of a call: {problem}", hint=without_excess(column))

    def _check_numbers(self) -> None:
        """Refuse calls of which a number is larger than figures take, although it fits its column."""
        for column in (one for one in CALL if one.name in self._names and one.kind in MOST):
            name = quote(column.name)
            found = self._connection.execute(f"SELECT max(abs({name}))::VARCHAR FROM all_calls").fetchone()[0]
            problem = excess(column, found)
            if problem:
                raise ProviderError(f"{column.name} of a call: {problem}", hint=without_excess(column))

    def _insert(self, rows: Sequence[Row]) -> None:
        """Insert rows by way of a file of JSON Lines, which takes a tenth of the time of parameters."""
        kept = [(at, one.name) for at, one in enumerate(CALL) if one.name in self._names]
        path = self._folder / "rows.jsonl"
        with path.open("wb") as file:
            for row in rows:
                file.write(json_of({name: row[at] for at, name in kept if row[at] is not None}) + b"\n")
        shape = ", ".join(f"'{one.name}': '{TYPES[one.kind]}'" for one in CALL if one.name in self._names)
        source = f"read_json(?, format='newline_delimited', columns={{{shape}}})"
        self._connection.execute(f"INSERT INTO all_calls SELECT * FROM {source}", [str(path)])

    def providers(self) -> list[str | None]:
        """Return the names of the providers of the calls."""
        if self._providers is None:
            with _errors():
                found = self._connection.execute("SELECT DISTINCT provider FROM all_calls ORDER BY 1").fetchall()
            self._providers = [name for (name,) in found]
        return self._providers

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement over `all_calls`."""
        with _errors():
            found: list[tuple[Any, ...]] = self._connection.execute(text).fetchall()
        return found

    def telling(self, column: str) -> frozenset[str]:
        """Return the providers of which some calls have a value in a column, as where the user names the queues."""
        if column not in self._told:
            found = self.rows(f"SELECT DISTINCT provider FROM all_calls WHERE {quote(column)} IS NOT NULL")
            self._told[column] = frozenset(name for (name,) in found)
        return self._told[column]

    def _left_out(self, one: Figure, without: Mapping[str, str], doubts: Mapping[str, str], where: str) -> str:
        """Return a note of the providers that a figure leaves out, with reasons, and of how many other calls.

        It also says what is counted wrongly of the providers that are in it.
        """
        found = [f"{name}: {doubt}" for name, doubt in doubts.items()]
        if without:
            found.append(f"leaves out {', '.join(without)}: {'; '.join(dict.fromkeys(without.values()))}")
        if one.needs in SOME_WITHOUT:
            of, what = SOME_WITHOUT[one.needs]
            whose = f"{where or 'WHERE true'} AND {of}{one.needs} IS NULL"
            count = self.rows(f"SELECT count(*) FROM all_calls {whose}")[0][0]
            found += [f"{count} calls {what}"] * bool(count)
        return "; ".join(found)

    def measure(
        self,
        one: Figure,
        keys: Sequence[Key],
        parameters: Mapping[str, Any],
        untold: Mapping[str, str],
        doubts: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[Measured]:
        """Yield the values of a figure, one for each group of calls.

        Args:
            one: The figure.
            keys: The keys by which calls are grouped.
            parameters: The values of the parameters of the statement.
            untold: The providers whose records cannot give the figure, with the reason.
            doubts: By provider, what the figure counts wrongly.
        """
        why = cannot(one, keys)
        there = self.providers()
        without = [name for name in there if name is not None and name in untold]
        if not why and there and len(without) == len(there):
            why = "; ".join(dict.fromkeys(untold[name] for name in without))
        if why:
            yield Measured(one, (None,) * len(keys), None, None, None, one.unit, why)
            return
        names = ", ".join(f"'{name}'" for name in without)
        where = f"WHERE provider NOT IN ({names})" if names else ""
        text = statement(one, keys)
        given = {name: value for name, value in parameters.items() if f"${name}" in text}
        missing = [name for name, value in given.items() if value is None]
        if missing:
            why = "it needs a window: give --since and --until"
            yield Measured(one, (None,) * len(keys), None, None, None, one.unit, why)
            return
        with _errors():
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW calls AS FROM all_calls {where}")
            cursor = self._connection.execute(text, given)
            names_of = [str(described[0]) for described in cursor.description]
            rows = cursor.fetchall()
        why = self._left_out(one, {name: untold[name] for name in without}, doubts, where)
        if not rows and not keys:
            yield Measured(one, (), None, None, None, one.unit, why or "there are no such calls")
        for row in rows:
            yield _measured(one, dict(zip(names_of, row, strict=True)), len(keys), why)


def _measured(one: Figure, row: Mapping[str, Any], keys: int, why: str) -> Measured:
    numerator, denominator = row["numerator"], row["denominator"]
    group = tuple(None if row[f"k{at}"] is None else str(row[f"k{at}"]) for at in range(keys))
    unit = str(row.get("unit") or "no currency") if one.unit == "money" else one.unit
    if numerator is None:
        numerator = 0 if one.unit == "count" else None
    value: str | None = None
    if one.unit in {"count", "money"} or (denominator is None and one.unit == "seconds" and numerator is not None):
        value = _plain(numerator)
    elif numerator is not None and denominator:
        value = _quotient(numerator, denominator, PLACES[one.unit])
    else:
        why = "; ".join(filter(None, ("there are no such calls", why)))
    shown = None if denominator is None else _plain(denominator)
    return Measured(one, group, value, _plain(numerator), shown, unit, why)


def _quotient(numerator: Any, denominator: Any, places: int) -> str:
    exact = Decimal(str(numerator)) / Decimal(str(denominator))
    return format(exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN), "f")


def _plain(value: Any) -> str | None:
    """Return a number as text, without zeros after the point."""
    if value is None:
        return None
    text = format(Decimal(str(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _together(pages: Iterable[Sequence[Row]]) -> Iterator[list[Row]]:
    """Yield rows in larger pages."""
    some: list[Row] = []
    for page in pages:
        some += page
        if len(some) >= _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


_LISTS = frozenset(one.name for one in CALL if one.kind == "list")
NO_LISTS = tuple(one.name for one in CALL if one.name not in _LISTS)
"""All columns but lists, which no statement reads."""


@contextmanager
def open_calls(zone: str, names: Sequence[str] = NO_LISTS) -> Iterator[Calls]:
    """Open a database for calls, which is empty.

    Args:
        zone: The name of the time zone in which days and hours are taken from instants.
        names: The names of the columns that will be read.

    Raises:
        OutputError: Temporary files cannot be written.
        UsageError: DuckDB does not know the time zone.
    """
    try:
        folder = TemporaryDirectory(prefix="cdrctl-", ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(
            f"temporary files cannot be written: {error.strerror or error}", hint="free disk space, or set TMPDIR"
        ) from error
    settings = {**_SETTINGS, "temp_directory": folder.name}
    with folder as place, closing(duckdb.connect(Path(place) / "calls.duckdb", config=settings)) as connection:
        calls = Calls(connection, Path(place), names)
        calls.use_zone(zone)
        yield calls


@contextmanager
def _errors() -> Iterator[None]:
    """Turn a lack of memory or disk space into an OutputError, and numbers that are too large into a ProviderError."""
    try:
        yield
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException):
        raise ProviderError(
            "a sum of costs or durations has too many digits",
            hint="find the impossible calls (cdrctl calls --where 'cost > 1000000'), and leave them out with --where",
        ) from None
    except OSError as error:
        raise OutputError(
            f"temporary files cannot be written: {error.strerror or error}", hint="free disk space, or set TMPDIR"
        ) from error
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise OutputError(
            f"DuckDB cannot hold the calls: {str(error).partition(chr(10))[0]}",
            hint="free disk space for temporary files (TMPDIR), or shorten the window",
        ) from error
