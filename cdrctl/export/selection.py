"""The records, their order and their fields, as `--where`, `--sort`, `--limit` and `--fields` select them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.records.batches import RecordBatch, RowBatch
from cdrctl.records.columns import EXTRA
from cdrctl.records.schemas import KEY_COLUMN, Schema

if TYPE_CHECKING:
    from cdrctl.conditions.language import Condition
    from cdrctl.export.rows import Log, Tally
    from cdrctl.sorting import Order

Page = Sequence[Any]
"""Rows, or raw records."""


class Selection(Struct, frozen=True):
    """Which records of an export are wanted, and which of their fields.

    Args:
        fields: The fields that are written, in order; None for all.
        condition: What must hold of a record; None for nothing.
        orders: The fields to sort by; empty to keep the order in which records come.
        limit: The largest number of records.
        raw_fields: The fields of raw records that a template names: raw records have no columns to check them against.
    """

    fields: tuple[str, ...] | None = None
    condition: Condition | None = None
    orders: tuple[Order, ...] = ()
    limit: int | None = None
    raw_fields: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...] | None:
        """The fields to be read: those that are written, then those of the condition and the order; None for all."""
        if self.fields is None:
            return None
        others = [EXTRA if name.startswith(f"{EXTRA}.") else name for name in self._examined()]
        return (*self.fields, *dict.fromkeys(name for name in others if name not in self.fields))

    @property
    def stops_at(self) -> int | None:
        """How many records are enough; None if all must be read, as they must be to be sorted."""
        return None if self.orders else self.limit

    @property
    def unseen(self) -> set[str]:
        """The fields of raw records that matter, none of which has been seen yet."""
        return {*self.raw_fields, *self._examined()}

    def _examined(self) -> list[str]:
        """Return the fields of the order and of the condition."""
        names = [order.field for order in self.orders]
        if self.condition is not None:
            from cdrctl.conditions.language import fields_in

            names += fields_in(self.condition)
        return names

    def check(self, schema: Schema, now: datetime) -> None:
        """Refuse a selection that does not fit a schema, before any request is sent.

        Raises:
            UsageError: A field is no column, or a value does not fit its column.
        """
        row_filter(self, schema, zone=UTC, now=now, warn=lambda _text: None, unseen=set())
        if self.orders and schema.columns is not None:
            from cdrctl import sorting

            sorting.key_of_rows(self.orders, schema.columns)


def row_filter(
    selection: Selection,
    schema: Schema,
    *,
    zone: tzinfo,
    now: datetime,
    warn: Callable[[str], None],
    unseen: set[str],
) -> Callable[[Page], Page] | None:
    """Return the function that leaves the wanted rows of a page; None if all are wanted.

    Args:
        selection: The selection.
        schema: The schema of the rows.
        zone: The time zone of words and of times without an offset.
        now: The present instant.
        warn: Receives what a user should know of values that cannot be compared.
        unseen: Names of fields. Those that a raw record has are removed.

    Raises:
        UsageError: The condition does not fit the columns.
    """
    condition = selection.condition
    if schema.columns is None:
        return _record_filter(condition, zone, now, warn, unseen) if unseen or condition is not None else None
    if condition is None:
        return None
    from cdrctl.conditions.evaluation import on_rows

    holds = on_rows(condition, schema.columns, zone=zone, now=now, warn=warn)

    def wanted(page: Page) -> Page:
        if not isinstance(page, RowBatch):
            return [row for row in page if holds(row)]
        positions = [at for at, row in enumerate(page) if holds(row)]
        return page if len(positions) == len(page) else page.only(positions)

    return wanted


def _record_filter(
    condition: Condition | None, zone: tzinfo, now: datetime, warn: Callable[[str], None], unseen: set[str]
) -> Callable[[Page], Page]:
    from cdrctl.conditions.evaluation import on_records, reach

    holds = on_records(condition, zone=zone, now=now, warn=warn) if condition is not None else None

    def wanted(page: Page) -> Page:
        positions = []
        for at, record in enumerate(page) if unseen or holds is not None else ():
            if unseen:
                unseen.difference_update([name for name in unseen if reach(record, name) is not None])
            if holds is not None and holds(record):
                positions.append(at)
        if holds is None:
            return page
        # The records of a batch stay the bytes that came.
        return page.only(positions) if isinstance(page, RecordBatch) else [page[at] for at in positions]

    return wanted


def arrange(
    pages: Iterable[Page], selection: Selection, schema: Schema, tally: Tally, log: Log
) -> tuple[Schema, Iterable[Page]]:
    """Return pages in the order of the selection, with the columns that are written, and their schema.

    Raises:
        UsageError: A field to sort by is no column.
    """
    if selection.orders:
        pages = _in_order(pages, selection, schema, tally, log)
    columns = schema.columns
    if columns is None or selection.fields is None:
        return schema, pages
    count = len(selection.fields) + (KEY_COLUMN in columns[:1])
    written = replace(schema, columns=columns[:count])
    return written, pages if count == len(columns) else (_first_columns(page, count) for page in pages)


def _first_columns(page: Page, count: int) -> Page:
    return page.select(range(count)) if isinstance(page, RowBatch) else [row[:count] for row in page]


def _in_order(pages: Iterable[Page], selection: Selection, schema: Schema, tally: Tally, log: Log) -> Iterator[Page]:
    from cdrctl import sorting

    orders, limit = selection.orders, selection.limit
    key = sorting.key_of_records(orders) if schema.columns is None else sorting.key_of_rows(orders, schema.columns)

    def sorted_pages() -> Iterator[Page]:
        written = 0
        for page in sorting.sort_pages(pages, key, limit):
            written += len(page)
            yield page if schema.columns is None else RowBatch.of(page)
        if limit is not None and tally.records > written:
            log("note", f"the first {written} of {tally.records} records in this order, as --limit says")
        tally.records = written

    return sorted_pages()


def note_unseen(pages: Iterable[Page], unseen: set[str], tally: Tally, log: Log) -> Generator[Page, None, None]:
    """Yield pages, and warn at the end of fields that no record had."""
    yield from pages
    for name in sorted(unseen) if tally.records or tally.left_out else ():
        log("warning", f"no record that came has {name!r}: raw records have the provider's own fields")
