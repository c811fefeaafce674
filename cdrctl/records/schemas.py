"""The schemas: `native` (the provider's fields), `common` (the common CDR) and `raw` (untouched records)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal

from msgspec import Struct

from cdrctl.errors import UsageError, did_you_mean, similar_names
from cdrctl.records.batches import RowBatch
from cdrctl.records.columns import EXTRA, NOTHING_EXPECTED, Column, Expected, Warn
from cdrctl.records.common import COMMON
from cdrctl.records.events import Page, Record, Row, Value
from cdrctl.records.rows import native_rows

SchemaName = Literal["native", "common", "raw"]


class Schema(Struct, frozen=True):
    """A form in which records are written.

    Args:
        columns: The columns in order, or None for raw records, which have none.
        rows: Converts a page to its rows, or to the records themselves if there are no columns.
        unfold: Whether the last column is `extra`, whose fields JSON writers print beside the others.
        replaced_keys: From rows with keys to the keys of the rows whose place they take: databases delete these. None
            if no row takes the place of a row with another key.
    """

    columns: tuple[Column, ...] | None
    rows: Callable[[Page], Sequence[Row] | Sequence[Record]]
    unfold: bool = False
    replaced_keys: Callable[[Sequence[Row]], list[str]] | None = None


KEY_COLUMN = Column("record_key", "", "text", "stable key of the record: a digest")
EXTRA_COLUMN = Column(EXTRA, "", "list", "fields that this version does not know, as a JSON object")


def native(
    columns: Sequence[Column], fields: Sequence[str] | None, warn: Warn, known: Expected = NOTHING_EXPECTED
) -> Schema:
    """Return the schema of the provider's own fields, typed, under snake_case names, then `extra`; or of some fields.

    Args:
        columns: The columns of the call.
        fields: The names of the fields to write; None for all.
        warn: Called for values that do not fit their columns.
        known: The expected contents of the records.

    Raises:
        UsageError: A field is not a column of this call.
    """
    everything = (*columns, EXTRA_COLUMN)
    if fields is None:
        return Schema(everything, native_rows(columns, warn, known=known), unfold=True)
    at = _positions(everything, fields)
    known = Expected(known.open_objects, known.required & set(fields))  # the user may have left out others
    became = "they are kept" if EXTRA in fields else "they are not among --fields, but in the field extra"
    rows = native_rows(columns, warn, known=known, became=became)
    chosen = tuple(everything[position] for position in at)

    def selected_rows(page: Page) -> Sequence[Row]:
        found = rows(page)
        return (
            found.select(at) if isinstance(found, RowBatch) else [[row[position] for position in at] for row in found]
        )

    return Schema(chosen, selected_rows)


def common(
    columns: Sequence[Column],
    to_common: Callable[[dict[str, Value]], dict[str, Value]],
    fields: Sequence[str] | None,
    warn: Warn,
    *,
    provider: str,
    profile: str,
    known: Expected = NOTHING_EXPECTED,
) -> Schema:
    """Return the schema of the common CDR, version 1: the same columns for all providers, or some of them.

    Args:
        columns: The columns of the call.
        to_common: Converts typed native values by column name to common values by name; missing ones are null. It gets
            lists and objects only in columns of lists, because the common CDR is flat.
        fields: The names of the fields to write; None for all.
        warn: Called for values that do not fit their columns.
        provider: The provider's name, for the column `provider`.
        profile: The profile's name, for the column `profile`.
        known: The expected contents of the records.

    Raises:
        UsageError: A field is not a column of the common CDR.
    """
    rows = native_rows(columns, warn, flat=True, known=known, became="use --schema native to get them")
    chosen = COMMON if fields is None else tuple(COMMON[at] for at in _positions(COMMON, fields))
    constants: dict[str, Value] = {"provider": provider, "profile": profile or None}
    from cdrctl.records.layouts import Layouts

    layouts = Layouts(columns, chosen, lambda values: {**to_common(values), **constants})

    def common_rows(page: Page) -> Sequence[Row]:
        found = rows(page)
        return layouts.rows(found if isinstance(found, RowBatch) else RowBatch.of(found))

    return Schema(chosen, common_rows)


def outcomes(
    columns: Sequence[Column], to_common: Callable[[dict[str, Value]], dict[str, Value]]
) -> Callable[[Row], Value]:
    """Return a function from a whole native row to its outcome in the common CDR."""

    def outcome(row: Row) -> Value:
        values = {
            column.name: str(value) if isinstance(value, list | dict) and column.kind != "list" else value
            for column, value in zip(columns, row, strict=False)
        }
        return to_common(values).get("outcome")

    return outcome


def raw() -> Schema:
    """Return the schema of records as the provider sent them, without columns: for JSONL and JSON only."""
    return Schema(None, lambda page: page.records)


def _positions(columns: Sequence[Column], fields: Sequence[str]) -> list[int]:
    at = {column.name: position for position, column in enumerate(columns)}
    for name in fields:
        if name not in at:
            raise no_field(name, at)
    return [at[name] for name in fields]


def no_field(name: str, known: Collection[str]) -> UsageError:
    """Return the error for a field that is not a column, with up to three similar names and where to see all."""
    common = [column.name for column in COMMON]
    like = similar_names(name, known)
    where = "--schema common has it; " if name in common else ""
    if not like and not where and (there := similar_names(name, common)):
        where = f"--schema common has {there[0]}; "
    fields = did_you_mean(name, known) or (f"similar fields: {', '.join(like)}; " if like else "")
    return UsageError(
        f"there is no field {name!r} here", hint=f"{where}{fields}cdrctl fields PROVIDER CALL lists all fields"
    )
