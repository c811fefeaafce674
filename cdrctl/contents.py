"""What tells records of one identity apart: a fingerprint of their content, cheap enough for every record of a run.

Fingerprints are for the memory of one process: Python's hashes of texts differ from process to process.
"""

from __future__ import annotations

import marshal
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cdrctl.records.batches import ABSENT, BatchedPage, RecordBatch
from cdrctl.records.events import Record

_VERSION = 2
"""The version of marshal's format in which equal values have equal bytes: it looks neither at interning nor at
references."""


def contents_of(records: Sequence[Record]) -> Sequence[int]:
    """Return a 64-bit fingerprint of each record's content. Those of a batch compare only with those of batches."""
    if isinstance(records, BatchedPage):
        return [one for part in records.batches() for one in contents_of(part)]
    if not isinstance(records, RecordBatch):
        return [hash(_dumped(sorted(record.items()))) for record in records]
    if records.raws is not None:
        return [hash(bytes(raw)) for raw in records.raws]
    # Whether a field that is missing is an empty text or None depends on what other records have in it.
    columns = [
        column if key in records.texts or None not in column else ["" if value is None else value for value in column]
        for key, column in records.columns.items()
        if key not in records.unknown
    ]
    rows = [*zip(*columns, strict=True)]
    try:
        found = [*map(hash, rows)]
    except TypeError:  # lists and objects
        found = [_hash_of(row) for row in rows]
    if records.unknown:
        _add_further(records, found)
    return found


def marked_contents_of(records: Sequence[Record]) -> Sequence[int]:
    """Return a fingerprint of each record by the marked fields and, where those are equal, its number in the page.

    This is for counting how many of the records that a provider announced have come: it costs little on a page whose
    records have not been made yet, and never counts more than there are.
    """
    batch = records.key_columns if isinstance(records, BatchedPage) else records
    if not isinstance(batch, RecordBatch):
        return contents_of(records)
    marks = batch.key_fields
    keys = [*zip(*(batch.columns[key] for key in (marks.identity, marks.start, *marks.others)), strict=True)]
    try:
        different = len(set(keys)) == len(keys)
    except TypeError:  # a list or an object stands in a marked field
        keys = [tuple(map(_hashable, key)) for key in keys]
        different = len(set(keys)) == len(keys)
    if different:
        return [*map(hash, keys)]
    numbers: Counter[tuple[Any, ...]] = Counter()
    found = []
    for key in keys:
        found.append(hash((key, numbers[key])) if numbers[key] else hash(key))
        numbers[key] += 1
    return found


def _add_further(batch: RecordBatch, found: list[int]) -> None:
    """Add the fields that no column names; which of them a batch knows depends on the records before it."""
    for key in batch.unknown:
        for at, value in enumerate(batch.columns[key]):
            if value is not ABSENT:
                found[at] ^= hash(_dumped((key, value)))


def _hash_of(row: tuple[Any, ...]) -> int:
    try:
        return hash(row)
    except TypeError:
        return hash(tuple(map(_hashable, row)))


def _hashable(value: Any) -> Any:
    return _dumped(value) if isinstance(value, list | dict) else value


def _dumped(value: Any) -> bytes:
    try:
        return marshal.dumps(value, _VERSION)
    except ValueError:  # it holds what stands for a value that cannot be held
        return repr(value).encode("utf-8", "surrogatepass")
