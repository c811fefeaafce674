"""CSV: one header, RFC 4180 quoting only where needed, line feeds, UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdrctl.writers.separated import Dialect, write_separated

if TYPE_CHECKING:
    from typing import BinaryIO

    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    """Write CSV: empty for null, `true` and `false`, numbers plain, lists and objects as compact JSON.

    By default a value is never changed, even if a spreadsheet reads it as a formula, because `+49…` is a telephone
    number. With `look.for_spreadsheets` such text gets a leading apostrophe. A line with nothing but one empty value is
    `""`, because parsers skip blank lines.

    Raises:
        UsageError: The schema has no columns.
    """
    write_separated(schema, pages, out, DIALECT, look)


def quote(cell: str) -> str:
    """Return a cell in quotes."""
    return '"' + cell.replace('"', '""') + '"'


DIALECT = Dialect(",", '"\r', quote, blank='""')
