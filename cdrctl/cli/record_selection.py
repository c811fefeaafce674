"""Which records, in which order, and which of their fields: what `--where`, `--sort` and `--fields` say together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from cdrctl import writers
from cdrctl.errors import UsageError
from cdrctl.records.batches import RecordBatch
from cdrctl.records.columns import EXTRA
from cdrctl.records.schemas import KEY_COLUMN, Schema

if TYPE_CHECKING:
    from cdrctl.conditions.language import Condition
    from cdrctl.export.rows import Log, Tally
    from cdrctl.fetchers import Call, Provider
    from cdrctl.sorting import Order


@dataclass(frozen=True, slots=True)
class Choice:
    """What of an export is wanted.

    Args:
        fields: The fields that are written, in order, or None for all.
        condition: What must hold of a record, or None.
        orders: By which fields it is sorted; by none as records come.
        limit: How many records are wanted at most.
        unseen: The fields of raw records that are looked at and that none of them has had so far.
    """

    fields: tuple[str, ...] | None
    condition: Condition | None
    orders: tuple[Order, ...]
    limit: int | None
    unseen: set[str] = field(default_factory=set)

    @property
    def needed(self) -> tuple[str, ...] | None:
        """The fields to be read: those that are written, then those that are only looked at; None for all."""
        if self.fields is None:
            return None
        looked_at = [order.field for order in self.orders]
        if self.condition is not None:
            from cdrctl.conditions.language import fields_in

            looked_at += fields_in(self.condition)
        looked_at = [EXTRA if name.startswith(f"{EXTRA}.") else name for name in looked_at]
        return (*self.fields, *dict.fromkeys(name for name in looked_at if name not in self.fields))

    @property
    def stops_at(self) -> int | None:
        """How many records are enough; of those that are sorted, none may be left out unseen."""
        return None if self.orders else self.limit

    def check(self, schema: Schema, now: datetime) -> None:
        """Refuse what does not fit a schema, before anything is asked.

        Raises:
            UsageError: A field is no column, or a value does not fit its column.
        """
        self.keep(schema, zone=UTC, now=now, warn=lambda _text: None)
        if self.orders and schema.columns is not None:
            from cdrctl import sorting

            sorting.key_of_rows(self.orders, schema.columns)

    def note_never_given(self, asked: Sequence[tuple[Provider, Call]], log: Log) -> None:
        """Note what the condition looks for in common CDRs if none of the calls that are asked can give it."""
        if self.condition is not None:
            from cdrctl.cli.outcomes import never_given

            if note := never_given(self.condition, asked):
                log("note", note)

    def keep(
        self, schema: Schema, *, zone: tzinfo, now: datetime, warn: Callable[[str], None]
    ) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
        """Return what gives those rows of a page for which the condition holds, or None where there is none.

        Raises:
            UsageError: The condition does not fit the columns.
        """
        if self.condition is None:
            return None
        from cdrctl.conditions.evaluation import on_records, on_rows
        from cdrctl.conditions.language import fields_in

        holds: Callable[[Any], bool]
        if schema.columns is not None:
            holds = on_rows(self.condition, schema.columns, zone=zone, now=now, warn=warn)
        else:
            holds_for = on_records(self.condition, zone=zone, now=now, warn=warn)
            self.unseen.update(fields_in(self.condition))

            def holds(record: Any) -> bool:
                self._look(record)
                return holds_for(record)

        def kept(page: Sequence[Any]) -> Sequence[Any]:
            if isinstance(page, RecordBatch):  # its records stay the bytes that came
                return page.only([at for at, record in enumerate(page) if holds(record)])
            return [row for row in page if holds(row)]

        return kept

    def arranged(
        self, pages: Iterable[Sequence[Any]], schema: Schema, tally: Tally, log: Log
    ) -> Iterable[Sequence[Any]]:
        """Return pages in the order asked for, with no other fields than are written.

        Raises:
            UsageError: A field to sort by is no column.
        """
        if self.orders:
            pages = self._in_order(pages, schema, tally, log)
        if schema.columns is None and (self.orders or self.condition is not None or self.unseen):
            return self._said_of(pages, tally, log)
        if schema.columns is not None and len(schema.columns) > (count := self._written(schema)):
            return _cut(pages, count)
        return pages

    def _in_order(
        self, pages: Iterable[Sequence[Any]], schema: Schema, tally: Tally, log: Log
    ) -> Iterator[Sequence[Any]]:
        from cdrctl import sorting

        key: Callable[[Any], tuple[Any, ...]]
        if schema.columns is not None:
            key = sorting.key_of_rows(self.orders, schema.columns)
        else:
            by_records = sorting.key_of_records(self.orders)
            self.unseen.update(order.field for order in self.orders)

            def key(record: Any) -> tuple[Any, ...]:
                self._look(record)
                return by_records(record)

        def sorted_pages() -> Iterator[Sequence[Any]]:
            written = 0
            for page in sorting.in_order(pages, key, self.limit):
                written += len(page)
                yield page
            if self.limit is not None and tally.records > written:
                log("note", f"the first {written} of {tally.records} records in this order, as --limit says")
            tally.records = written

        return sorted_pages()

    def _look(self, record: Any) -> None:
        """Take note of the fields that a raw record has: nobody else knows which there are."""
        if self.unseen:
            from cdrctl.conditions.evaluation import reach

            self.unseen.difference_update([name for name in self.unseen if reach(record, name) is not None])

    def _said_of(self, pages: Iterable[Sequence[Any]], tally: Tally, log: Log) -> Iterator[Sequence[Any]]:
        for page in pages:
            if self.unseen:
                for record in page:
                    self._look(record)
            yield page
        for name in sorted(self.unseen) if tally.records or tally.left_out else ():
            log("warning", f"no record that came has {name!r}: raw records have the provider's own fields")

    def written(self, schema: Schema) -> Schema:
        """Return a schema of what is written."""
        if schema.columns is None:
            return schema
        return Schema(schema.columns[: self._written(schema)], schema.rows, schema.unfold)

    def _written(self, schema: Schema) -> int:
        """Return how many of a schema's columns are written: a key that stands before them is."""
        columns = schema.columns or ()
        return len(columns) if self.fields is None else len(self.fields) + (KEY_COLUMN in columns[:1])


def _cut(pages: Iterable[Sequence[Any]], count: int) -> Iterator[Sequence[Any]]:
    for page in pages:
        yield [row[:count] for row in page]


def choice(shared: Mapping[str, Any], fields: Sequence[str] | None) -> Choice:
    """Return what the words of the shared options choose.

    Raises:
        UsageError: They cannot be read.
    """
    condition: Condition | None = None
    orders: tuple[Order, ...] = ()
    if shared["where"] is not None:
        from cdrctl.conditions.language import read_condition

        condition = read_condition(shared["where"])
    if shared["sort"] is not None:
        from cdrctl import sorting

        orders = sorting.read(shared["sort"])
    if shared["template"] is not None:
        from cdrctl.writers.template import fields_of

        if fields is not None:
            raise UsageError("--template names its own fields", hint="leave --fields out")
        named = tuple(fields_of(shared["template"]))
        if shared["schema"] == "raw":
            return Choice(None, condition, orders, shared["limit"], set(named))
        if not named:
            raise UsageError("--template names no field", hint="write it as --template '{start_time} {from_number}'")
        fields = named
    return Choice(None if fields is None else tuple(fields), condition, orders, shared["limit"])


def has_header(shared: Mapping[str, Any], form: str) -> bool:
    """Return whether the first line shall name the columns.

    Raises:
        UsageError: It was said of a format that has no such line.
    """
    said: bool | None = shared["header"]
    if said is None:
        return form != writers.TEMPLATE
    if form in writers.FORMATS and form not in writers.HEADED:
        raise UsageError(
            f"{form} has no header", hint="--header and --no-header are for csv, tsv, table and --template"
        )
    return said
