"""The rows of a day's file as batches of columns, which an export reads as it reads those of a provider."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, overload

import msgspec

from cdrctl.archive.dayfile import Part, Row
from cdrctl.archive.index import UNPLACED
from cdrctl.archive.lines import cells_of_all, columns_of, fields_of
from cdrctl.archive.records import ArchivedRecord, further_fields, typed_value
from cdrctl.fetchers import Call
from cdrctl.records.batches import KeyFields, RecordBatch
from cdrctl.records.columns import EXTRA, Kind, is_text
from cdrctl.records.events import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ArchivedBatch(RecordBatch):
    """Records of the archive as columns.

    Args:
        columns: The values by the name of the column. In a column of text, an empty string also stands for no value.
        texts: The names of columns that hold nothing but text.
        unknown: The names that no column of the call has.
        rows: The rows, whose key and start the records have; their lines are not used.
    """

    __slots__ = ("_rows",)

    def __init__(
        self, columns: dict[str, Sequence[Any]], texts: frozenset[str], unknown: Sequence[str], rows: Sequence[Row]
    ) -> None:
        super().__init__(KeyFields("", ""), columns, texts, unknown, len(rows))
        self._rows = rows

    @overload
    def __getitem__(self, at: int) -> Record: ...

    @overload
    def __getitem__(self, at: slice) -> ArchivedBatch: ...

    def __getitem__(self, at: int | slice) -> Record | ArchivedBatch:
        if isinstance(at, slice):
            return self.only(range(*at.indices(self.length)))
        fields = {name: (column[at] or None) if name in self.texts else column[at] for name, column in self._items()}
        return ArchivedRecord(fields, self._rows[at])

    def _items(self) -> Any:
        return self.columns.items()

    def only(self, positions: Sequence[int]) -> ArchivedBatch:
        """Return the batch of the records at these positions."""
        columns: dict[str, Sequence[Any]] = {
            name: [column[at] for at in positions] for name, column in self.columns.items()
        }
        chosen = ArchivedBatch(columns, self.texts, self.unknown, [self._rows[at] for at in positions])
        found = self.remembered(())
        if found is not None:
            chosen.remember((), [found[at] for at in positions])
        return chosen

    @property
    def identities(self) -> Sequence[str]:
        """The key of each record."""
        return [row.key.hex() for row in self._rows]

    @property
    def starts(self) -> Sequence[datetime]:
        """The start of each record's call.

        Raises:
            ValueError: One is unknown.
        """
        if self._starts is None:
            if any(row.start == UNPLACED for row in self._rows):
                raise ValueError("the start of a record is unknown")
            self._starts = [_EPOCH + timedelta(milliseconds=row.start) for row in self._rows]
        return self._starts


def batch_reader(call: Call, header: bytes = b"") -> Callable[[Part], ArchivedBatch | None]:
    """Return the function from rows to a batch of their records.

    It returns None where the records must be read one by one: a line cannot be read, not all have the same fields, or
    one has a field whose name differs from that of a column in letter case alone.

    Args:
        call: The call.
        header: The CSV header of the file; empty if its lines are JSON.
    """
    names, cells = [column.name for column in call.columns], columns_of(header)
    kinds: dict[str, Kind] = {column.name: column.kind for column in call.columns}
    known, folded = frozenset(names), {name.casefold() for name in names}
    texts = {column.name for column in call.columns if is_text(column)}

    def read(part: Part) -> ArchivedBatch | None:
        values, lines = part.values, [] if part.values is not None else part.lines()
        if values is None:
            values = _values_of_cells(lines, cells, kinds, texts) if cells else _values_of(lines, known)
        if values is None:
            return None
        unknown = [name for name in values if name not in known]
        if not folded.isdisjoint(map(str.casefold, unknown)):
            return None
        columns: dict[str, Sequence[Any]] = {name: [None] * len(part.keys) for name in names if name not in values}
        columns.update(values)
        plain = [name for name in texts if _has_texts(columns, name)]
        batch = ArchivedBatch(columns, frozenset(plain), unknown, part.keys)
        if lines:  # equal records have equal lines, and a file has no key twice
            batch.remember((), [*map(hash, lines)])
        return batch

    return read


def _values_of(lines: Sequence[bytes], known: frozenset[str]) -> Mapping[str, Sequence[Any]] | None:
    """Return the values of lines of JSON by field; None if one cannot be read, or not all have the same fields.

    Args:
        lines: The lines.
        known: The columns of the call.
    """
    names = tuple(fields_of(lines[0], ()) or ()) if lines else ()
    if names and known.issuperset(names):  # the order of other fields counts
        with suppress(ValueError, RecursionError):  # other fields, a lone surrogate, a huge number, or no JSON
            structs = _decoder(names)(b"[%b]" % b",".join(lines))
            if len(structs) == len(lines):
                return dict(zip(names, zip(*map(msgspec.structs.astuple, structs), strict=True), strict=True))
    found = [fields_of(line, ()) for line in lines]
    shapes = {None if one is None else (*one,) for one in found}
    shape = shapes.pop()
    if shapes or shape is None:
        return None
    return dict(zip(shape, zip(*(one.values() for one in found if one is not None), strict=True), strict=True))


@lru_cache(maxsize=32)
def _decoder(names: tuple[str, ...]) -> Callable[[bytes], list[Any]]:
    """Return the decoder of an array of objects that have exactly these fields."""
    fields: list[tuple[str, Any]] = [(f"f{at}", Any) for at in range(len(names))]
    own = dict(zip((name for name, _ in fields), names, strict=True))
    line = msgspec.defstruct("Line", fields, rename=own, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(list[line]).decode  # type: ignore[valid-type] # made a line above


def _values_of_cells(
    lines: Sequence[bytes], names: Sequence[str], kinds: Mapping[str, Kind], texts: Container[str]
) -> Mapping[str, Sequence[Any]] | None:
    """Return the values of CSV records by column, with empty texts in place of None in columns of text.

    Returns None if one cannot be read, or not all have the same further fields.
    """
    rows = cells_of_all(lines, len(names))
    if rows is None:
        return None
    found: dict[str, Sequence[Any]] = {}
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        if name == EXTRA:
            further = _further(column)
            if further is None or not further.keys().isdisjoint(names):
                return None
            found.update(further)
        elif name in texts:
            found[name] = column
        else:
            typed = {cell: typed_value(kinds.get(name, "text"), cell) for cell in set(column)}
            found[name] = [typed[cell] for cell in column]
    return found


def _further(cells: Sequence[str]) -> Mapping[str, Sequence[Any]] | None:
    """Return the fields in the cells of the column `extra`; None if not all records have the same ones."""
    if not any(cells):
        return {}
    objects = [*map(further_fields, cells)]
    if len({(*one,) for one in objects}) > 1:
        return None
    return {name: [one[name] for one in objects] for name in objects[0]}


def _has_texts(columns: dict[str, Sequence[Any]], name: str) -> bool:
    """Return whether a column holds nothing but text, and put empty texts in place of None there."""
    column = columns[name]
    empty = column.count(None)
    if empty == len(column):  # most columns of a page are full, or empty
        columns[name] = [""] * empty
        return True
    if not empty:
        try:
            "".join(column)  # five times as fast as a look at each type
        except TypeError:
            return False
        return True
    if not set(map(type, column)) <= _TEXT:
        return False
    columns[name] = [value or "" for value in column]
    return True


_TEXT = {str, type(None)}
