"""From the records of a page to their legs: by templates where that is possible, else record by record."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from msgspec import Struct

from cdrctl.calls.legs import Leg, plain_leg
from cdrctl.calls.templates import Plain, Templates
from cdrctl.records.batches import RecordBatch, RowBatch
from cdrctl.records.columns import Column, Warn, reader_of
from cdrctl.records.events import Page, Row, Value
from cdrctl.records.parts import Joins, milliseconds
from cdrctl.records.schemas import Schema, native

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST, _MOST = (int((datetime(year, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds()) for year in (2000, 9998))
"""Unix seconds that are certainly times of calls, and no placeholders."""

_DIGITS = str.maketrans("", "", "0123456789")
_FORMS = {"--T::.Z": 24, "--T::Z": 20, "-- ::": 19}
"""The signs between the digits of times, and their least length."""

_LARGEST = 100_000
"""Entries of a cache of times."""


def leg_schema(
    columns: Sequence[Column],
    to_common: Callable[[dict[str, Value]], dict[str, Value]],
    joins: Joins,
    warn: Warn,
    expected: Any,
) -> Schema:
    """Return a schema whose rows are legs; records without parts make none.

    Args:
        columns: The columns of the records.
        to_common: Converts a native record to the common CDR.
        joins: How the records join.
        warn: Called once for each way in which values do not fit their columns.
        expected: The expected contents of the records.
    """
    warned: set[str] = set()

    def once(text: str) -> None:
        if text not in warned:
            warned.add(text)
            warn(text)

    names = [column.name for column in columns]
    lists = frozenset(column.name for column in columns if column.kind == "list")

    plain = _plain(lists, to_common, joins)
    inner = native(columns, None, once, expected)

    def plainly(rows: Sequence[Row]) -> list[Any]:
        parts = (plain(dict(zip(names, row, strict=False))) for row in rows)
        return [plain_leg(some) for some in parts if some]

    if joins.shape is None or not set(joins.shape.columns) <= {*names}:
        return Schema(None, lambda page: plainly(cast("Sequence[Row]", inner.rows(page))))
    mapping = _Mapping(columns, joins, inner, native(_without_times(columns, joins), None, once, expected), plain)

    def rows(page: Page) -> list[Any]:
        found = mapping.legs(page)
        return plainly(cast("Sequence[Row]", inner.rows(page))) if found is None else found

    return Schema(None, rows)


def _plain(lists: frozenset[str], to_common: Callable[[dict[str, Value]], dict[str, Value]], joins: Joins) -> Plain:
    """Return the plain mapping of one record: from its native values to its parts, as plain tuples."""

    def plain(values: dict[str, Value]) -> list[tuple[Any, ...]]:
        odd = [key for key, value in values.items() if isinstance(value, list | dict) and key not in lists]
        values = {**values, **{key: str(values[key]) for key in odd}} if odd else values
        flat = {key: str(value) if isinstance(value, dict) else value for key, value in values.items()}
        common = to_common(flat)
        if common["record_id"] is None:
            common = {**common, "record_id": _content_id(values)}
        return [tuple(one) for one in joins.parts(values, common)]

    return plain


def _content_id(values: Mapping[str, Value]) -> str:
    """Return the id of a leg that came without one: a digest of its content, which is the same in each run."""
    text = repr(sorted((name, str(value)) for name, value in values.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _without_times(columns: Sequence[Column], joins: Joins) -> tuple[Column, ...]:
    """Return the columns without those of time that are read faster here, or not at all."""
    assert joins.shape is not None  # noqa: S101 - see leg_schema
    return tuple(column for column in columns if column.kind != "time")


class _Mapping(Struct):
    """Maps pages by templates.

    Args:
        columns: The columns of the records.
        joins: How the records join.
        whole: The native schema of all columns.
        timeless: The native schema of all columns but times.
        plain: The plain mapping.
    """

    columns: Sequence[Column]
    joins: Joins
    whole: Schema
    timeless: Schema
    plain: Plain
    _instants: dict[tuple[str, str], _Instants] | None = None
    _templates: Templates | None = None

    def legs(self, page: Page) -> list[Leg] | None:
        """Return the legs of a page, or None if its records must be mapped one by one."""
        shape = self.joins.shape
        assert shape is not None  # noqa: S101 - see leg_schema
        if self._templates is None:
            self._templates = Templates(shape, [column.name for column in self.columns], self.plain)
        found = self._of_batch(page) if isinstance(page.records, RecordBatch) else None
        if found is None:
            found = self._of_rows(page)
        if found is None or not len(page.records):
            return None
        whole: list[Row] | None = None

        def plainly(at: int) -> list[tuple[Any, ...]]:
            nonlocal whole
            if whole is None:
                whole = [*cast("Sequence[Row]", self.whole.rows(page))]
            return self.plain(dict(zip([column.name for column in self.columns], whole[at], strict=False)))

        return self._templates.legs(found, plainly)

    def _of_batch(self, page: Page) -> Mapping[str, Sequence[Value]] | None:
        """Return the columns of a batch, or None if they have unexpected types."""
        shape, batch = self.joins.shape, page.records
        assert shape is not None  # noqa: S101 - see leg_schema
        assert isinstance(batch, RecordBatch)  # noqa: S101 - see parts
        times: dict[str, Sequence[Value]] = {}
        by_name = {column.name: column for column in self.columns}
        for name in shape.times:
            column = by_name[name]
            if column.kind == "time":
                instants = self._reader(column, page.context)
                raw = batch.columns[column.key]
                try:
                    times[name] = instants.of([*raw] if not column.null_words else _without(raw, column.null_words))
                except (ValueError, TypeError, KeyError):
                    return None
        table = self.timeless.rows(page)
        if not isinstance(table, RowBatch):
            return None
        left = [column.name for column in self.columns if column.kind != "time"]
        at = {name: position for position, name in enumerate(left)}
        found = {name: table.columns[at[name]] for name in shape.columns if name in at}
        texts = frozenset(name for name in shape.columns if name in at and table.texts[at[name]])
        return self._checked({**found, **times}, texts)

    def _of_rows(self, page: Page) -> Mapping[str, Sequence[Value]] | None:
        """Return the columns of rows, or None if they have unexpected types."""
        shape = self.joins.shape
        assert shape is not None  # noqa: S101 - see leg_schema
        rows = cast("Sequence[Row]", self.whole.rows(page))
        if not rows:
            return None
        at = {column.name: position for position, column in enumerate(self.columns)}
        every = list(zip(*rows, strict=True))
        found: dict[str, Sequence[Value]] = {name: every[at[name]] for name in shape.columns}
        times = [name for name in shape.times if name not in shape.unix]
        found |= {name: list(map(milliseconds, found[name])) for name in times}
        if any(
            None in found[name] and any(every[at[name]][row] is not None for row in _nulls(found[name]))
            for name in times
        ):
            return None  # a time that cannot be read
        return self._checked(found, frozenset())

    def _checked(
        self, found: dict[str, Sequence[Value]], texts: frozenset[str]
    ) -> Mapping[str, Sequence[Value]] | None:
        """Return columns with Unix seconds as milliseconds, or None if they have unexpected types."""
        shape = self.joins.shape
        assert shape is not None  # noqa: S101 - see leg_schema
        for name in shape.free:
            if (
                name not in texts
                and name not in shape.nested
                and not {str, type(None)}.issuperset(map(type, found[name]))
            ):
                return None
        for name in (*shape.lengths, *shape.unix):
            if not {int, type(None)}.issuperset(map(type, found[name])):
                return None
        for name in shape.unix:
            found[name] = [
                None if value is None or not _LEAST <= value < _MOST else value * 1000 for value in found[name]
            ]
        return found

    def _reader(self, column: Column, context: Mapping[str, str]) -> _Instants:
        if self._instants is None:
            self._instants = {}
        key = column.name, context.get("timezone", "")
        if key not in self._instants:
            read = reader_of(column)
            given = (dict(context),) if column.read_in is not None else ()
            self._instants[key] = _Instants(lambda text: milliseconds(read(text, *given)))
        return self._instants[key]


def _nulls(column: Sequence[Value]) -> list[int]:
    return [at for at, value in enumerate(column) if value is None]


def _without(raw: Sequence[Value], words: frozenset[str]) -> Sequence[Value]:
    return raw if words.isdisjoint(raw) else ["" if value in words else value for value in raw]


class _Minutes(dict[str, int]):
    """The beginning of a minute in Unix milliseconds, by the text of a time up to its minutes.

    In UTC, the minutes of an hour follow from the hour. In other zones clocks may change within an hour.
    """

    def __init__(self, read: Callable[[str], int | None], end: str) -> None:
        super().__init__()
        self._read = read
        self._end = end
        self._hours: dict[str, int] = {}

    def __missing__(self, text: str) -> int:
        if len(self) > _LARGEST:
            self.clear()
            self._hours.clear()
        if self._end.endswith("Z"):
            hour = text[:13]
            if hour.endswith("24"):  # midnight, and no minutes after it
                raise ValueError(text)
            if hour not in self._hours:
                self._hours[hour] = self._begins(f"{hour}:00:00{self._end}")
            found = self._hours[hour] + _MINUTES_OF_HOUR[text[13:]]
        else:
            found = self._begins(f"{text}:00{self._end}")
        self[text] = found
        return found

    def _begins(self, text: str) -> int:
        found = self._read(text)
        if found is None or found % 60_000:
            raise ValueError(text)
        return found


_MINUTES_OF_HOUR = {f":{minute:02d}": minute * 60_000 for minute in range(60)}


class _Seconds(dict[str, int]):
    """Milliseconds by the text of seconds, such as `14.694`."""

    def __missing__(self, text: str) -> int:
        match = re.fullmatch(r"([0-5][0-9])(?:\.([0-9]{3}))?", text)
        if match is None:
            raise ValueError(text)
        found = self[text] = int(match[1]) * 1000 + int(match[2] or 0)
        return found


_SECONDS = _Seconds()


class _Instants:
    """Reads a column of times in one form, minute by minute.

    Args:
        read: The plain reader of the column, to Unix milliseconds.
    """

    def __init__(self, read: Callable[[str], int | None]) -> None:
        self._minutes = {
            signs: _Minutes(read, {"--T::.Z": ".000Z", "--T::Z": "Z", "-- ::": ""}[signs]) for signs in _FORMS
        }

    def of(self, column: Sequence[Value]) -> list[int | None]:
        """Return the instants of texts in Unix milliseconds; of an empty one, None.

        Raises:
            ValueError: The texts have another form, or are no times.
            TypeError: Some are no text.
        """
        given = column if all(column) else [one for one in column if one]
        if not given:
            return [None] * len(column)
        if type(given[0]) is not str:
            raise TypeError(given[0])
        signs = given[0].translate(_DIGITS)
        if signs not in _FORMS or "".join(given).translate(_DIGITS) != signs * len(given):
            raise ValueError(signs)
        minutes, seconds = self._minutes[signs], _SECONDS
        if min(map(len, given)) < _FORMS[signs] or (signs != "--T::.Z" and max(map(len, given)) > _FORMS[signs]):
            raise ValueError(signs)
        end = 23 if signs == "--T::.Z" else 19
        if len(given) == len(column):
            return [minutes[one[:16]] + seconds[one[17:end]] for one in given]
        return [minutes[one[:16]] + seconds[one[17:end]] if one else None for one in column]
