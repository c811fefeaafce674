"""Records and rows as columns, for pages that are read column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, overload

from cdrctl.damage import loads, text_of
from cdrctl.errors import ProviderError
from cdrctl.records.events import Record, Row, Value

if TYPE_CHECKING:
    from typing_extensions import Buffer


ABSENT: Any = type("Absent", (), {"__slots__": (), "__repr__": lambda _: "ABSENT"})()
"""What a batch has where a record has no such field."""


@dataclass(frozen=True, slots=True)
class KeyFields:
    """The fields by which the records of a call can be read column by column, by the provider's keys.

    Args:
        identity: What alone makes a record this record, where it is there.
        start: The start of its call, in ISO 8601, where it is there.
        others: What else is looked at before records become rows.
    """

    identity: str
    start: str
    others: tuple[str, ...] = ()


def plainly(text: bytes) -> Any:
    """Return what whole JSON says, by the standard library; what of it is damaged is marked (see `damage`).

    Raises:
        ProviderError: It is not JSON.
    """
    with suppress(ValueError):
        return loads(text_of(text))
    raise ProviderError(
        "a page holds records that cannot be read: they are not JSON",
        hint="run it again; if it stays, tell the provider's support",
    )


def _utc_instants(raw: Sequence[str]) -> list[datetime]:
    try:
        found = list(map(datetime.fromisoformat, raw))
    except TypeError:
        raise ValueError from None
    if {moment.tzinfo for moment in found} - {UTC}:  # of another zone, or of none
        raise ValueError
    return found


class RecordBatch(Sequence[Record]):
    """Records as columns, each as long as there are records.

    Args:
        key_fields: Which of its columns say what makes a record this record, and when its call started.
        columns: By the provider's key. In a column of text nothing is said of fields that were missing: they are empty.
        texts: The keys of columns that hold nothing but text.
        unknown: The keys that no column of the call names; a record without one has ABSENT there.
        raws: The records as they came, where those are wanted.
    """

    __slots__ = ("_starts", "columns", "key_fields", "length", "raws", "texts", "unknown")

    def __init__(
        self,
        key_fields: KeyFields,
        columns: Mapping[str, Sequence[Any]],
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
            record: Record = plainly(bytes(self.raws[at]))
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
        """What makes each record this record; never empty."""
        return self.columns[self.key_fields.identity]

    @property
    def starts(self) -> Sequence[datetime]:
        """The start of each record's call, in UTC.

        Raises:
            ValueError: Not all of them can be read: each must be looked at.
        """
        if self._starts is None:
            self._starts = _utc_instants(self.columns[self.key_fields.start])
        return self._starts

    def span(self, key: str) -> tuple[datetime, datetime] | None:
        """Return the first and the last instant of a column, in UTC, or None where it has none.

        Raises:
            ValueError: Not all of them can be read: each must be looked at.
        """
        found = self.starts if key == self.key_fields.start else _utc_instants([*filter(None, self.columns[key])])
        return (min(found), max(found)) if found else None


class BatchedPage(Sequence[Record]):
    """The records of a large page, which become batches a few at a time.

    Args:
        key_columns: What can be had of all of them at a glance: a batch of nothing but the fields that are marks.
        batches: Makes the records, in order: batches, or plain records where no batch can be made of them.
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
    """Return the marked fields of records as columns, where they can be had without a look at each record."""
    if isinstance(records, BatchedPage):
        return records.key_columns
    return records if isinstance(records, RecordBatch) else None


def batches(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield the records of a page as many at a time as are best read together."""
    if isinstance(records, BatchedPage):
        yield from records.batches()
    else:
        yield records


def _or_none(texts: Sequence[str]) -> Sequence[Value]:
    """Return texts, with None where there is none: most columns of a page are full, or empty."""
    empty = texts.count("")
    if empty in {0, len(texts)}:
        return [None] * len(texts) if empty else texts
    return [text or None for text in texts]


class RowBatch(Sequence[Row]):
    """Rows as columns, each as long as there are rows.

    Args:
        columns: In the order of the schema's columns.
        texts: Which of them hold nothing but text, and the empty text where a row has None.
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
        """Return the columns, with None where there is no text."""
        return [_or_none(column) if text else column for column, text in zip(self.columns, self.texts, strict=True)]

    def lacks(self, at: int) -> bool:
        """Return whether a row has no value in a column."""
        return ("" if self.texts[at] else None) in self.columns[at]

    def chosen(self, at: Sequence[int]) -> RowBatch:
        """Return some of the columns."""
        return RowBatch([self.columns[one] for one in at], [self.texts[one] for one in at], self.length)
