"""The lines of an archive: records in a canonical form, so that a different line means a changed record."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from cdrctl.archive.lines import csv_line
from cdrctl.records.batches import RowBatch
from cdrctl.records.schemas import Schema
from cdrctl.writers import jsonl
from cdrctl.writers.values import json_of, objects, text_of


def json_lines(schema: Schema) -> Callable[[Sequence[Any]], list[bytes]]:
    """Return a function that writes the rows of a page as lines of JSON."""
    encode = jsonl.encoder(schema)

    def lines(page: Sequence[Any]) -> list[bytes]:
        if not (isinstance(page, RowBatch) and jsonl.has_no_extra(schema, page) and _has_no_fractions(page)):
            return [json_of(one) + b"\n" for one in objects(schema, page)]
        found = [line + b"\n" for line in encode(page).split(b"\n")[:-1]]
        odd = [at for at, line in enumerate(found) if b"\\" in line and _RARE_ESCAPE.search(line)]
        for at, one in zip(odd, objects(schema, [page[at] for at in odd]), strict=True):
            found[at] = json_of(one) + b"\n"
        return found

    return lines


_RARE_ESCAPE = re.compile(rb'\\[^"\\nrt]')
"""An escape in JSON that has several spellings."""


def _has_no_fractions(table: RowBatch) -> bool:
    """Return whether all numbers of a batch are integers: other numbers have several spellings in JSON."""
    columns = zip(table.columns, table.texts, strict=True)
    return all(text or set(map(type, column)) <= {str, int, bool, type(None)} for column, text in columns)


def csv_lines(page: Sequence[Any]) -> list[bytes]:
    """Return the rows of a page as CSV records."""
    return [csv_line([text_of(value) for value in row]) for row in page]
