r"""TSV: one header, tabs between values, no quoting: every line is one record, for awk, cut and sort.

A tab, newline, carriage return or backslash in a value is written as `\t` `\n` `\r` `\\`, as PostgreSQL's
COPY, MySQL and ClickHouse do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdrctl.writers.separated import write_separated

if TYPE_CHECKING:
    from typing import BinaryIO

    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

_ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r", "\\": r"\\"})


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    r"""Write TSV: empty for null, `true` and `false`, numbers plain, lists and objects as compact JSON.

    A reader undoes `\t` `\n` `\r` `\\` and has the values back. One empty value alone is a blank line.

    Raises:
        UsageError: The schema has no columns.
    """
    write_separated(
        schema,
        pages,
        out,
        separator="\t",
        special="\r\\",
        spell=escaped,
        safe=look.for_spreadsheets,
        header=look.header,
    )


def escaped(cell: str) -> str:
    """Return a cell with its tabs, line ends and backslashes escaped."""
    return cell.translate(_ESCAPES)
