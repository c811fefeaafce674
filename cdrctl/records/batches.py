"""Records and rows as columns: batches of records with the same fields, which are read column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, cast, overload

from msgspec import Struct

from cdrctl.damage import from_json, loads, text_of
from cdrctl.errors import ProviderError
from cdrctl.records.events import Record, Row, Value

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from cdrctl.records.arrays import SentList

Columns = Mapping[str, Sequence[Any]]
"""The values of records by the provider's key."""

Contents = tuple[Sequence[str], Sequence[int]]
"""The keys of columns, and the fingerprint of each record by them."""

_TEXT: frozenset[type] = frozenset({str})

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
        return from_json(text)
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
        decode: Decodes an array of raw records to a batch of all columns or, where that is not possible, to records.
        kinds: The types that the values of columns may have that are not text, as far as they are known.

    Attributes:
        sent: The list as it was sent, if the batch is a whole page of raw records and its decoder keeps digests.
    """

    __slots__ = (
        "_contents",
        "_context",
        "_identities",
        "_starts",
        "_texts",
        "columns",
        "decode",
        "key_fields",
        "kinds",
        "length",
        "raws",
        "sent",
        "texts",
        "unknown",
    )

    def __init__(
        self,
        key_fields: KeyFields,
        columns: Columns,
        texts: frozenset[str],
        unknown: Sequence[str],
        length: int,
        raws: Sequence[Buffer] | None = None,
        decode: Callable[[bytes], Sequence[Record]] | None = None,
        kinds: Mapping[str, frozenset[type]] | None = None,
    ) -> None:
        self.key_fields = key_fields
        self.columns = columns
        self.texts = texts
        self.unknown = unknown
        self._starts: Sequence[datetime] | None = None
        self._context: Mapping[str, str] | None = None  # in which the starts were read
        self._identities: Sequence[str] | None = None
        self.length = length
        self.raws = raws
        self.decode = decode
        self.kinds: dict[str, frozenset[type]] = {**(kinds or {})}
        self._contents: Contents | None = None
        self._texts: dict[str, Sequence[str]] = {}
        self.sent: SentList | None = None

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
        chosen = RecordBatch(self.key_fields, columns, self.texts, self.unknown, len(positions), raws, self.decode)
        if self._starts is not None:
            chosen._starts, chosen._context = [self._starts[at] for at in positions], self._context
        if self._identities is not None:
            chosen._identities = [self._identities[at] for at in positions]
        if self._contents is not None:
            keys, found = self._contents
            chosen.remember(keys, [found[at] for at in positions])
        return chosen

    def learn_from(self, other: RecordBatch) -> None:
        """Take over what is known of the same records in another batch: starts, identities and fingerprints."""
        self._starts, self._context = other._starts, other._context
        self._identities, self._contents = other._identities, other._contents

    def remember(self, keys: Sequence[str], contents: Sequence[int]) -> None:
        """Remember the fingerprints of the records by these keys; see `contents.contents_of`."""
        self._contents = keys, contents

    def remembered(self, keys: Sequence[str]) -> Sequence[int] | None:
        """Return the fingerprints of the records by these keys, or None if they are not known."""
        return self._contents[1] if self._contents is not None and self._contents[0] == keys else None

    def kinds_of(self, key: str) -> frozenset[type]:
        """Return the types that the values of a column may have."""
        if key in self.texts:
            return _TEXT
        found = self.kinds.get(key)
        if found is None:
            found = self.kinds[key] = frozenset(map(type, self.columns[key]))
        return found

    def texts_of(self, key: str) -> Sequence[str]:
        """Return a column whose values are texts and None, with the empty text in place of None."""
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = without_null(self.columns[key])
        return found

    def fits(self, other: RecordBatch) -> bool:
        """Return whether another batch has the same columns of the same form, so that both can become one."""
        return (
            self.key_fields is other.key_fields
            and self.texts == other.texts
            and self.columns.keys() == other.columns.keys()
            and (self.raws is None) == (other.raws is None)
            and self.decode == other.decode
        )

    def joined(self, others: Sequence[RecordBatch]) -> RecordBatch:
        """Return this batch and others that fit it as one, with what is known of all records."""
        parts = [self, *others]
        columns = {key: [*chain.from_iterable([part.columns[key] for part in parts])] for key in self.columns}
        raws = None if self.raws is None else [raw for part in parts for raw in part.raws or ()]
        kinds = {
            key: these for key, these in self.kinds.items() if all(part.kinds.get(key) is these for part in others)
        }
        joined = RecordBatch(
            self.key_fields, columns, self.texts, self.unknown, sum(map(len, parts)), raws, self.decode, kinds
        )
        starts, contexts, identities = zip(*(part.known() for part in parts), strict=True)
        if None not in starts and all(context == self._context for context in contexts):
            joined._starts, joined._context = [*chain.from_iterable(starts)], self._context
        if None not in identities:
            joined._identities = [*chain.from_iterable(identities)]
        keys = self._contents[0] if self._contents is not None else ()
        contents = [found for part in parts if (found := part.remembered(keys)) is not None]
        if len(contents) == len(parts):
            joined.remember(keys, [*chain.from_iterable(contents)])
        return joined

    def known(self) -> tuple[Sequence[datetime] | None, Mapping[str, str] | None, Sequence[str] | None]:
        """Return the starts with the context in which they were read, and the identities, as far as they are known."""
        return self._starts, self._context, self._identities

    @property
    def identities(self) -> Sequence[str]:
        """The id of each record; never empty.

        Raises:
            ValueError: The records must be read one by one.
        """
        if self._identities is None:
            keys, ids = self.key_fields, self.columns[self.key_fields.identity]
            if keys.read_ids is not None:
                self._identities = keys.read_ids(self.columns)
            else:
                self._identities = [*map(str, ids)] if keys.numbered else ids
        return self._identities

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
        if read is not None and (self._starts is None or self._context != context):
            self._starts, self._context = read(self.columns, context), context
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

    Attributes:
        sent: The list as it was sent, if its decoder keeps digests.
    """

    __slots__ = ("_batches", "_contents", "key_columns", "sent")

    def __init__(self, key_columns: RecordBatch, batches: Callable[[], Iterator[Sequence[Record]]]) -> None:
        self.key_columns = key_columns
        self._batches = batches
        self._contents: Contents | None = None
        self.sent: SentList | None = None

    def batches(self) -> Iterator[Sequence[Record]]:
        """Yield the batches. Those of raw records have the fingerprints that were remembered."""
        at = 0
        for part in self._batches():
            if self._contents is not None and isinstance(part, RecordBatch) and part.raws is not None:
                keys, found = self._contents
                part.remember(keys, found[at : at + len(part)])
            at += len(part)
            yield part

    def remember(self, keys: Sequence[str], contents: Sequence[int]) -> None:
        """Remember the fingerprints of the records by these keys; see `contents.contents_of`."""
        self._contents = keys, contents

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


def array_of(records: Sequence[Record]) -> bytes:
    """Return raw records as a JSON array; an empty one if they are not raw."""
    return b"[%b]" % b",".join((records.raws if isinstance(records, RecordBatch) else None) or ())


def without_null(texts: Sequence[str | None]) -> Sequence[str]:
    """Return texts with empty ones in place of None: most columns of a page are full, or empty."""
    if all(texts):
        return cast("Sequence[str]", texts)
    return [text or "" for text in texts] if any(texts) else [""] * len(texts)


def or_none(texts: Sequence[str]) -> Sequence[Value]:
    """Return texts with None in place of empty ones: most columns of a page are full, or empty."""
    if all(texts):
        return texts
    return [text or None for text in texts] if any(texts) else [None] * len(texts)


class RowBatch(Sequence[Row]):
    """Rows as columns.

    Args:
        columns: The values, in the order of the schema's columns.
        texts: Whether each column holds nothing but text, with the empty text in place of None.
        length: How many rows.
        kinds: The types that the values of each column may have, or None where they are not known.
    """

    __slots__ = ("columns", "kinds", "length", "texts")

    def __init__(
        self,
        columns: Sequence[Sequence[Value]],
        texts: Sequence[bool],
        length: int,
        kinds: Sequence[frozenset[type] | None] = (),
    ) -> None:
        self.columns = columns
        self.texts = texts
        self.length = length
        self.kinds = kinds or [None] * len(columns)

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

    @staticmethod
    def of(rows: Sequence[Row]) -> RowBatch:
        """Return rows as columns."""
        columns: list[Sequence[Value]] = [*zip(*rows, strict=True)]
        return RowBatch(columns, [False] * len(columns), len(rows))

    def values(self) -> list[Sequence[Value]]:
        """Return the columns, with None in place of empty texts."""
        return [or_none(column) if text else column for column, text in zip(self.columns, self.texts, strict=True)]

    def lacks(self, at: int) -> bool:
        """Return whether any row has no value in a column."""
        return ("" if self.texts[at] else None) in self.columns[at]

    def select(self, at: Sequence[int]) -> RowBatch:
        """Return the columns at these positions."""
        kinds = [self.kinds[one] for one in at]
        return RowBatch([self.columns[one] for one in at], [self.texts[one] for one in at], self.length, kinds)

    def only(self, positions: Sequence[int]) -> RowBatch:
        """Return the rows at these positions."""
        columns = [[*map(column.__getitem__, positions)] for column in self.columns]
        return RowBatch(columns, self.texts, len(positions), self.kinds)
