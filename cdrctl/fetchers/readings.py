"""Reads a window again if its records moved from page to page while they were read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct, field

from cdrctl.contents import contents_of, key_values_of
from cdrctl.duplicates import DuplicateFilter
from cdrctl.fetchers import NO_CONTEXT, identities, span_of
from cdrctl.http import Total
from cdrctl.records.batches import BatchedPage, KeyFields
from cdrctl.records.events import Record

COPY = "copy"
"""The key, in the context of a page, of the number of its records among identical ones of one response, from 2 on."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Reading(Struct):
    """What one reading of a window, from its first page to its last, has shown.

    Two records with the same id count as two if their contents differ.

    Args:
        seen: The records of this reading.
        totals: The totals that came with its pages; equal ones in a row are kept once.
        rows: How many rows came: more than there are records if some came twice.
        idle: How many pages in a row, up to now, had rows but no new record.
        doubtful: Whether a total was wrong: not a number, or lower than the number of records.
    """

    seen: DuplicateFilter = field(default_factory=DuplicateFilter)
    totals: list[int | None] = field(default_factory=list)
    rows: int = 0
    idle: int = 0
    doubtful: bool = False

    @property
    def records(self) -> int:
        """How many different records came."""
        return len(self.seen)

    @property
    def repeats(self) -> bool:
        """Whether a record came twice, as it does when another one appears before it."""
        return self.rows > self.records

    @property
    def counts(self) -> list[int]:
        """The totals that are numbers."""
        return [total for total in self.totals if total is not None]

    @property
    def trusted(self) -> bool:
        """Whether totals came and none is wrong."""
        return bool(self.counts) and not self.doubtful


class Readings(Struct):
    """All readings of one window.

    Args:
        identity: From a record to its id.
        keys: The provider's keys of the columns, as `columns.keys_of` returns them.
        marks: The key fields, by which the first reading may count the records of large pages: these are not decoded
            for it. It then never counts too many, and if some seem to be missing, the next readings count by content.
        last: The last reading.
        number: How many readings there were, with the last one.
        most: The highest total that came with any page.
        before: How many different records came before the last reading.
    """

    identity: Callable[[Record], str]
    keys: Sequence[str] = ()
    marks: KeyFields | None = None
    last: Reading = field(default_factory=Reading)
    number: int = 0
    most: int = 0
    before: int = 0
    _seen: DuplicateFilter | None = None
    _by_key: bool = False
    _later: DuplicateFilter | None = None  # by content, after a first reading by key

    @property
    def records(self) -> int:
        """How many different records came, in all readings."""
        return max(len(seen) if seen is not None else 0 for seen in (self._seen, self._later))

    @property
    def new(self) -> int:
        """How many records of the last reading had not come before it."""
        return self.records - self.before

    def begin(self) -> None:
        """Begin another reading."""
        self.before = self.records
        self.last = Reading()
        self.number += 1
        if self._seen is None:
            self._seen = self.last.seen
        elif self._by_key and self._later is None:
            self._later = self.last.seen

    def add(self, page: Sequence[Record], total: Total, context: Mapping[str, str] = NO_CONTEXT) -> None:
        """Count the records of a page with a context, and the total that came with it."""
        reading, before = self.last, self.last.records
        ids, span = identities(page, self.identity), span_of(page, context)
        if COPY in context:
            ids = [f"{one} {context[COPY]}" for one in ids]
        if self.number == 1 and not reading.rows:
            self._by_key = self.marks is not None and isinstance(page, BatchedPage)
        values = key_values_of(page, self.marks) if self.marks is not None and self._by_key else ()
        contents = values if self._by_key and self.number == 1 else contents_of(page, self.keys)
        reading.seen.new_positions(ids, span, contents)
        if self._later is not None and self._later is not reading.seen:
            self._later.new_positions(ids, span, contents)
        if self._seen is not None and self._seen is not reading.seen:
            self._seen.new_positions(ids, span, values if self._by_key else contents)
        reading.rows += len(page)
        reading.idle = reading.idle + 1 if page and reading.records == before else 0
        if reading.totals[-1:] != [total.rows]:
            reading.totals.append(total.rows)
        self.most = max(self.most, total.rows or 0)
        reading.doubtful |= total.wrong or (total.rows is not None and reading.records > total.rows)


def read_again(
    read: Callable[[], Generator[Item, None, Result | None]], readings: Readings, most: int, tell: Callable[[], None]
) -> Generator[Item, None, Result | None]:
    """Read a window and yield the items; read it again until all of its records have come.

    It stops when `read` returns a result; when a reading brings no record that had not come before; or after `most`
    readings. Returns the result, or None in the last two cases: then records are missing, and the caller must say so.

    Args:
        read: Reads the window once, adds each page to `readings` and yields it; returns None to be called again.
        readings: Receives all readings.
        most: The largest number of readings.
        tell: Called before each further reading.
    """
    while True:
        readings.begin()
        result = yield from read()
        useless = readings.before > 0 and not readings.new
        if result is not None or useless or readings.number == most:
            return result
        tell()
