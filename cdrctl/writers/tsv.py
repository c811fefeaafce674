r"""TSV: one header, tabs between values, no quoting; each line is one record, for awk, cut and sort.

A tab, newline, carriage return or backslash in a value is written as `\t` `\n` `\r` `\\`, as in PostgreSQL's COPY,
MySQL and ClickHouse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdrctl.writers.separated import Dialect, write_separated

if TYPE_CHECKING:
    from typing import BinaryIO

    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

_ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r", "\\": r"\\"})


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    r"""Write TSV: empty for null, `true` and `false`, numbers plain, lists and objects as compact JSON.

    A parser that replaces `\t` `\n` `\r` `\\` gets the original values. A single empty value is a blank line.

    Raises:
        UsageError: The schema has no columns.
    """
    write_separated(schema, pages, out, DIALECT, look)


def escape(cell: str) -> str:
    """Return a cell with its tabs, line ends and backslashes escaped."""
    return cell.translate(_ESCAPES)


DIALECT = Dialect("\t", "\r\\", escape)
