"""JSON: one array of all records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdrctl.writers.values import json_of, objects

if TYPE_CHECKING:
    from typing import BinaryIO

    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

TAKES_RAW = True


def write(schema: Schema, pages: Pages, out: BinaryIO, _look: RenderOptions) -> None:
    """Write one array of the same objects as JSON Lines, each on its own line; `[]` without records.

    If the export fails, the array is not closed: half an export is not valid JSON.
    """
    before = b"[\n"
    for page in pages:
        if page:
            out.write(before + b",\n".join(map(json_of, objects(schema, page))))
            before = b",\n"
    out.write(b"\n]\n" if before == b",\n" else b"[]\n")
