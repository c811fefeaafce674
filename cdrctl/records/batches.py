"""Records and rows as columns: batches of records with the same fields, which are read column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, overload

import pydantic_core
from msgspec import Struct

from cdrctl.damage import loads, text_of
from cdrctl.errors import ProviderError
from cdrctl.records.events import Record, Row, Value

if TYPE_CHECKING:
    from typing_extensions import Buffer


Columns = Mapping[str, Sequence[Any]]
"""The values of records by the provider's key."""

ABSENT: Any = type("Absent", (), {"__slots__": (), "__repr__": lambda _: "ABSENT"})()
"""The value in a batch of a field that the record lacks."""


class KeyFields(Struct, frozen=True):
    """The fields of a call that are needed before its records become rows, by the provider's keys.

    Args:
        identity: The id of the record; it must have one.
        start: The start of its call, in ISO 8601 unless `read_starts` reads it.
        others: Further fields.
        numbered: Whether ids may be integers, too.
        overlapping: Whether requests overlap, so that a record may come on a page of raw records and on another one:
            raw records are then compared by their content.
        distinct: Whether a page with two records of one identity must be read record by record.
        read_ids: From columns to the identities of their records, if the id alone is not enough.
        read_starts: From columns and the context of their page to the start of each record's call, in UTC.

    Both functions raise ValueError where the records must be read one by one.
    """

    identity: str
    start: str
    others: tuple[str, ...] = ()
    numbered: bool = False
    overlapping: bool = False
    distinct: bool = False
    read_ids: Callable[[Columns], Sequence[str]] | None = None
    read_starts: Callable[[Columns, Mapping[str, str]], Sequence[datetime]] | None = None


def decode_plainly(text: bytes) -> Any:
    """Decode JSON; damaged parts are marked (see `damage`).

    Raises:
        ProviderError: It is not JSON.
    """
    with suppress(ValueError):
        return pydantic_core.from_json(text, cache_strings="keys")
    with suppress(ValueError):
        return loads(text_of(text))
    raise ProviderError(
        "a page has records that cannot be read: they are not JSON",
        hint="retry; if the error persists, report it to the provider's support",
    )


def utc_instants(raw: Sequence[str]) -> list[datetime]:
    """Return the instants of ISO 8601 texts in UTC; ValueError if one of them is not."""
    try:
        found = list(map(datetime.fromisoformat, raw))
    except TypeError:
        raise ValueError from None
    if {moment.tzinfo for moment in found} - {UTC}:  # another zone, or none
        raise ValueError
    return found


class RecordBatch(Sequence[Record]):
    """Records as columns: a sequence of records without a dict for each.

    Args:
        key_fields: Which columns hold the identity and the start.
        columns: The values by the provider's key. In a column of text, an empty string also stands for a missing field.
        texts: The keys of columns that hold nothing but text.
        unknown: The keys that no column of the call has; a record without one has ABSENT there.
        length: How many records.
        raws: The JSON text of each record, if it is needed.
    """

    __slots__ = ("_starts", "columns", "key_fields", "length", "raws", "texts", "unknown")

    def __init__(
        self,
        key_fields: KeyFields,
        columns: Columns,
        texts: frozenset[str],
        unknown: Sequence[str],
        length: int,
        raws: Sequence[Buffer] | None = None,
    ) -> None:
        self.key_fields = key_fields
        self.columns = columns
        self.texts = texts
        self.unknown = unknown
        self._starts: Sequence[datetime] | None = None
        self.length = length
        self.raws = raws

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, at: int) -> Record: ...

    @overload
    def __getitem__(self, at: slice) -> RecordBatch: ...

    def __getitem__(self, at: int | slice) -> Record | RecordBatch:
        if isinstance(at, slice):
            return self.only(range(*at.indices(self.length)))
        if self.raws is not None:
            record: Record = decode_plainly(bytes(self.raws[at]))
            return record
        return {key: column[at] for key, column in self.columns.items() if column[at] is not ABSENT}

    def __iter__(self) -> Iterator[Record]:
        return map(self.__getitem__, range(self.length))

    def only(self, positions: Sequence[int]) -> RecordBatch:
        """Return the batch of the records at these positions."""
        columns = {key: [column[at] for at in positions] for key, column in self.columns.items()}
        raws = [self.raws[at] for at in positions] if self.raws is not None else None
        return RecordBatch(self.key_fields, columns, self.texts, self.unknown, len(positions), raws)

    @property
    def identities(self) -> Sequence[str]:
        """The id of each record; never empty.

        Raises:
            ValueError: The records must be read one by one.
        """
        keys = self.key_fields
        if keys.read_ids is not None:
            return keys.read_ids(self.columns)
        ids = self.columns[keys.identity]
        return [*map(str, ids)] if keys.numbered else ids

    @property
    def starts(self) -> Sequence[datetime]:
        """The start of each record's call, in UTC.

        Raises:
            ValueError: Some cannot be parsed: the records must be read one by one.
        """
        if self._starts is None:
            self._starts = utc_instants(self.columns[self.key_fields.start])
        return self._starts

    def starts_in(self, context: Mapping[str, str]) -> Sequence[datetime]:
        """Return the start of each record's call, in UTC, in the context of its page.

        Raises:
            ValueError: The records must be read one by one.
        """
        read = self.key_fields.read_starts
        if self._starts is None and read is not None:
            self._starts = read(self.columns, context)
        return self.starts

    def span(self, key: str) -> tuple[datetime, datetime] | None:
        """Return the first and the last instant of a column, in UTC, or None if it is empty.

        Raises:
            ValueError: Some cannot be parsed: the records must be read one by one.
        """
        found = self.starts if key == self.key_fields.start else utc_instants([*filter(None, self.columns[key])])
        return (min(found), max(found)) if found else None


class BatchedPage(Sequence[Record]):
    """The records of a large page, decoded in batches of a few hundred.

    Args:
        key_columns: A batch of the key fields of all records.
        batches: Yields the records in order: batches, or lists of plain records where a batch is not possible.
    """

    __slots__ = ("batches", "key_columns")

    def __init__(self, key_columns: RecordBatch, batches: Callable[[], Iterator[Sequence[Record]]]) -> None:
        self.key_columns = key_columns
        self.batches = batches

    def __len__(self) -> int:
        return len(self.key_columns)

    @overload
    def __getitem__(self, at: int) -> Record: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Record]: ...

    def __getitem__(self, at: int | slice) -> Record | Sequence[Record]:
        return [*self][at]

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.batches())


def key_columns(records: Sequence[Record]) -> RecordBatch | None:
    """Return the key fields of records as columns, or None if the records are plain."""
    if isinstance(records, BatchedPage):
        return records.key_columns
    return records if isinstance(records, RecordBatch) else None


def batches(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield the records of a page in batches."""
    if isinstance(records, BatchedPage):
        yield from records.batches()
    else:
        yield records


def _or_none(texts: Sequence[str]) -> Sequence[Value]:
    """Return texts with None in place of empty ones: most columns of a page are full, or empty."""
    empty = texts.count("")
    if empty in {0, len(texts)}:
        return [None] * len(texts) if empty else texts
    return [text or None for text in texts]


class RowBatch(Sequence[Row]):
    """Rows as columns.

    Args:
        columns: The values, in the order of the schema's columns.
        texts: Whether each column holds nothing but text, with the empty text in place of None.
        length: How many rows.
    """

    __slots__ = ("columns", "length", "texts")

    def __init__(self, columns: Sequence[Sequence[Value]], texts: Sequence[bool], length: int) -> None:
        self.columns = columns
        self.texts = texts
        self.length = length

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> RowBatch: ...

    def __getitem__(self, at: int | slice) -> Row | RowBatch:
        if isinstance(at, slice):
            return RowBatch([column[at] for column in self.columns], self.texts, len(range(*at.indices(self.length))))
        return [
            (column[at] or None) if text else column[at] for column, text in zip(self.columns, self.texts, strict=True)
        ]

    def __iter__(self) -> Iterator[Row]:
        return map(list, zip(*self.values(), strict=True))

    def values(self) -> list[Sequence[Value]]:
        """Return the columns, with None in place of empty texts."""
        return [_or_none(column) if text else column for column, text in zip(self.columns, self.texts, strict=True)]

    def lacks(self, at: int) -> bool:
        """Return whether any row has no value in a column."""
        return ("" if self.texts[at] else None) in self.columns[at]

    def select(self, at: Sequence[int]) -> RowBatch:
        """Return the columns at these positions."""
        return RowBatch([self.columns[one] for one in at], [self.texts[one] for one in at], self.length)
