"""CSV: one header, RFC 4180 quoting where it is needed and nowhere else, line feeds, UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdrctl.writers.separated import write_separated

if TYPE_CHECKING:
    from typing import BinaryIO

    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    """Write CSV: empty for null, `true` and `false`, numbers plain, lists and objects as compact JSON.

    A value is written as it is, also when a spreadsheet takes it for a formula, because `+49…` is a telephone number;
    unless it is asked for that none is: then an apostrophe stands before such text.
    A line with nothing but one empty value is `""`, because readers skip blank lines.

    Raises:
        UsageError: The schema has no columns.
    """
    write_separated(
        schema,
        pages,
        out,
        separator=",",
        special='"\r',
        spell=quoted,
        blank='""',
        safe=look.for_spreadsheets,
        header=look.header,
    )


def quoted(cell: str) -> str:
    """Return a cell in quotes."""
    return '"' + cell.replace('"', '""') + '"'
