"""Local times: times as text with the offset of a zone, for formats whose times are text."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cdrctl.errors import UsageError
from cdrctl.records.batches import RowBatch
from cdrctl.records.readers import iso_instant
from cdrctl.zones import local_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from cdrctl.records.events import Row, Value
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages

INSTANTS = frozenset({"parquet", "sqlite", "duckdb"})
"""The formats that store instants, which have no offset."""


def check(form: str, schema: str) -> None:
    """Check that a format and a schema can have local times.

    Raises:
        UsageError: The format stores instants, or the records are raw.
    """
    if schema == "raw":
        raise UsageError("--times does not apply to raw records, which are not changed", hint="use --schema native")
    if form in INSTANTS:
        raise UsageError(
            f"--times local does not apply to {form}, which stores instants",
            hint="leave out --times: programs that read the file show its times in any zone",
        )


def to_zone(pages: Pages, schema: Schema, zone: tzinfo) -> Iterator[Sequence[Row]]:
    """Yield pages with times such as `2026-11-19T09:00:00.123+01:00`, with the offset of a zone.

    A value that is not a time is unchanged.
    """
    positions = [at for at, column in enumerate(schema.columns or ()) if column.kind == "time"]

    def local(value: Value) -> Value:
        if isinstance(value, str):
            with suppress(ValueError, OverflowError):
                return local_text(iso_instant(value), zone)
        return value

    for page in pages:
        if isinstance(page, RowBatch):
            columns = list(page.columns)
            for at in positions:
                columns[at] = [local(value) for value in columns[at]]
            yield RowBatch(columns, page.texts, len(page))
        else:
            yield [[local(value) if at in positions else value for at, value in enumerate(row)] for row in page]
