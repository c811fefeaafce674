"""JSON Lines: one object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdrctl.writers.values import json_of, objects

if TYPE_CHECKING:
    from typing import BinaryIO

    from cdrctl.records import Schema
    from cdrctl.writers import Look, Pages

TAKES_RAW = True


def write(schema: Schema, pages: Pages, out: BinaryIO, _look: Look) -> None:
    """Write one compact object a line: keys in column order, null for null, unknown fields beside the others.

    Raw records are written as they came.
    """
    for page in pages:
        if page:
            out.write(b"\n".join([*map(json_of, objects(schema, page)), b""]))
