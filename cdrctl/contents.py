"""Fingerprints of the content of records, cheap enough for every record of a run.

They are valid within one process: Python's hashes of texts differ from process to process.
"""

from __future__ import annotations

import marshal
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cdrctl.records.batches import ABSENT, BatchedPage, RecordBatch
from cdrctl.records.events import Record

_VERSION = 2
"""The version of marshal's format in which equal values have equal bytes: it ignores interning and references."""


def contents_of(records: Sequence[Record]) -> Sequence[int]:
    """Return a 64-bit fingerprint of each record's content; those of batches compare only with each other."""
    if isinstance(records, BatchedPage):
        return [one for part in records.batches() for one in contents_of(part)]
    if not isinstance(records, RecordBatch):
        return [hash(_dump(sorted(record.items()))) for record in records]
    if records.raws is not None:
        return [hash(bytes(raw)) for raw in records.raws]
    # Whether a missing field is an empty text or None depends on the other records of the batch.
    columns = [
        column if key in records.texts or None not in column else ["" if value is None else value for value in column]
        for key, column in records.columns.items()
        if key not in records.unknown
    ]
    columns = [column if _CONTAINERS.isdisjoint(map(type, column)) else [*map(_hashable, column)] for column in columns]
    found = [*map(hash, zip(*columns, strict=True))]
    if records.unknown:
        _add_unknown(records, found)
    return found


def key_contents_of(records: Sequence[Record]) -> Sequence[int]:
    """Return a fingerprint of each record from its key fields, and its number among those of the page with equal ones.

    It is for counting how many of the announced records have come: it is cheap on a page whose records are not decoded
    yet, and never counts more than there are.
    """
    batch = records.key_columns if isinstance(records, BatchedPage) else records
    if not isinstance(batch, RecordBatch):
        return contents_of(records)
    marks = batch.key_fields
    keys = [*zip(*(batch.columns[key] for key in (marks.identity, marks.start, *marks.others)), strict=True)]
    try:
        different = len(set(keys)) == len(keys)
    except TypeError:  # a list or an object in a key field
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


_CONTAINERS = {list, dict}


def counted_contents_of(records: Sequence[Record]) -> Sequence[int]:
    """Return a fingerprint of each record for counting the different records of pages that are not decoded yet."""
    batch = records.key_columns if isinstance(records, BatchedPage) else records
    prints = batch.prints if isinstance(batch, RecordBatch) else None
    return contents_of(records) if prints is None else prints


def _add_unknown(batch: RecordBatch, found: list[int]) -> None:
    """Add the fields that no column has to the fingerprints; which of them a batch knows depends on earlier records."""
    for key in batch.unknown:
        for at, value in enumerate(batch.columns[key]):
            if value is not ABSENT:
                found[at] ^= hash(_dump((key, value)))


def _hashable(value: Any) -> Any:
    return _dump(value) if isinstance(value, list | dict) else value


def _dump(value: Any) -> bytes:
    try:
        return marshal.dumps(value, _VERSION)
    except ValueError:  # it has an `Unreadable`
        return repr(value).encode("utf-8", "surrogatepass")
