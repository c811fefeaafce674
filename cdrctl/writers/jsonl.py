"""JSON Lines: one object on each line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdrctl.records.batches import RecordBatch, RowBatch
from cdrctl.writers.values import json_of, objects

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

TAKES_RAW = True


def write(schema: Schema, pages: Pages, out: BinaryIO, _look: RenderOptions) -> None:
    """Write one compact object on each line: keys in column order, null for null, unknown fields beside the others.

    Raw records are written byte for byte.
    """
    lines: Callable[[RowBatch], bytes] | None = None
    for page in pages:
        if isinstance(page, RecordBatch) and page.raws is not None:
            out.write(b"\n".join([*page.raws, b""]))
        elif isinstance(page, RowBatch) and has_no_extra(schema, page):
            lines = lines or encoder(schema)
            out.write(lines(page))
        elif page:
            out.write(b"\n".join([*map(json_of, objects(schema, page)), b""]))


def has_no_extra(schema: Schema, batch: RowBatch) -> bool:
    """Return whether no row of a batch has unknown fields."""
    return not schema.unfold or not any(batch.columns[-1])


def encoder(schema: Schema) -> Callable[[RowBatch], bytes]:
    """Return a function that writes the lines of a batch without unknown fields."""
    import msgspec

    names = [column.name for column in schema.columns or ()][: -1 if schema.unfold else None]
    fields = [f"f{at}" for at in range(len(names))]
    line = msgspec.defstruct("Line", fields, rename=dict(zip(fields, names, strict=True)), gc=False)
    encode = msgspec.json.Encoder().encode_lines

    def lines(batch: RowBatch) -> bytes:
        return encode(list(map(line, *batch.values()[: len(names)])))

    return lines
