"""JSON Lines: one object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdrctl.records import Sheet, Table
from cdrctl.writers.values import json_of, objects

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from cdrctl.records import Schema
    from cdrctl.writers import Look, Pages

TAKES_RAW = True


def write(schema: Schema, pages: Pages, out: BinaryIO, _look: Look) -> None:
    """Write one compact object a line: keys in column order, null for null, unknown fields beside the others.

    Raw records are written as they came.
    """
    lines: Callable[[Table], bytes] | None = None
    for page in pages:
        if isinstance(page, Sheet) and page.raws is not None:
            out.write(b"\n".join([*page.raws, b""]))
        elif isinstance(page, Table) and plain(schema, page):
            lines = lines or encoder(schema)
            out.write(lines(page))
        elif page:
            out.write(b"\n".join([*map(json_of, objects(schema, page)), b""]))


def plain(schema: Schema, table: Table) -> bool:
    """Return whether a table has nothing to unfold."""
    return not schema.unfold or not any(table.columns[-1])


def encoder(schema: Schema) -> Callable[[Table], bytes]:
    """Return the function that makes lines of a table that has nothing to unfold."""
    import msgspec

    names = [column.name for column in schema.columns or ()][: -1 if schema.unfold else None]
    fields = [f"f{at}" for at in range(len(names))]
    line = msgspec.defstruct("Line", fields, rename=dict(zip(fields, names, strict=True)), gc=False)
    encode = msgspec.json.Encoder().encode_lines

    def lines(table: Table) -> bytes:
        return encode(list(map(line, *table.values()[: len(names)])))

    return lines
