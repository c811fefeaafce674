"""Fingerprints of the content of records, cheap enough for every record of a run.

They are valid within one process: Python's hashes of texts differ from process to process.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from cdrctl.records.batches import ABSENT, BatchedPage, KeyFields, RecordBatch, array_of, key_columns
from cdrctl.records.events import Record, pick
from cdrctl.records.shapes import LISTS, TEXTS


def contents_of(records: Sequence[Record], keys: Sequence[str] = ()) -> Sequence[int]:
    """Return a 64-bit fingerprint of each record's content.

    A record has the same one whether its page was read by column or not, if `keys` are those of the call's columns as
    `columns.keys_of` returns them. Raw records are compared by their text, unless the call's requests overlap: then
    they are decoded, and their fingerprints are remembered, because a fetcher and an export ask for them.
    """
    if isinstance(records, BatchedPage):
        found: Sequence[int] = [one for part in records.batches() for one in contents_of(part, keys)]
        records.remember(keys, found)
        return found
    if isinstance(records, RecordBatch) and (remembered := records.remembered(keys)) is not None:
        return remembered
    if isinstance(records, RecordBatch) and records.raws is not None and records.key_fields.overlapping:
        return _contents_of_raws(records, keys)
    if not isinstance(records, RecordBatch):
        if keys:
            known = frozenset(keys)
            return [_content_of(record, keys, known) for record in records]
        return [hash(_dump(sorted(record.items()))) for record in records]
    found = _contents_of_batch(records)
    records.remember(keys, found)
    return found


def _contents_of_batch(batch: RecordBatch) -> Sequence[int]:
    if batch.raws is not None:
        return [hash(bytes(raw)) for raw in batch.raws]
    columns = [
        column
        if key in batch.texts
        else batch.texts_of(key)
        if (kinds := batch.kinds_of(key)) <= TEXTS
        else _hashable_values(column, kinds)
        for key, column in batch.columns.items()
        if key not in batch.unknown
    ]
    found = [*map(hash, zip(*columns, strict=True))]
    if batch.unknown:
        _add_unknown(batch, found)
    return found


def _contents_of_raws(batch: RecordBatch, keys: Sequence[str]) -> Sequence[int]:
    """Return the fingerprints of raw records of which others may come on a page without raw records."""
    decoded = batch.decode(array_of(batch)) if keys and batch.decode is not None else [*batch]
    found = contents_of(decoded, keys)
    batch.remember(keys, found)
    return found


def _hashable_values(column: Sequence[Any], kinds: frozenset[type]) -> Sequence[Any]:
    """Return values that can be hashed. Whether a missing field is an empty text or None depends on the batch."""
    if kinds <= LISTS:
        with suppress(ValueError, TypeError):  # from an `Unreadable`
            lines = _encode_lines(column).split(b"\n")
            lines.pop()
            return ["" if line == b"null" else line for line in lines]
    if not _CONTAINERS.isdisjoint(kinds):
        return ["" if value is None else _hashable(value) for value in column]
    return ["" if value is None else value for value in column] if None.__class__ in kinds else column


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


def key_values_of(records: Sequence[Record], marks: KeyFields) -> Sequence[int]:
    """Return a fingerprint of the key fields of each record but its id; the same whether the page was read by column.

    It is for counting records by id and key fields: it is cheap on a page whose records are not decoded yet, and two
    records with one id and different content may have the same one.
    """
    keys = (marks.start, *marks.others)
    batch = key_columns(records)
    if batch is None:
        columns = [[pick(record, key) for record in records] for key in keys]
    else:
        columns = [[*batch.columns[key]] for key in keys]
    return [
        *map(hash, zip(*(_hashable_values(column, frozenset(map(type, column))) for column in columns), strict=True))
    ]


def _content_of(record: Record, keys: Sequence[str], known: frozenset[str]) -> int:
    """Return the fingerprint that a record would have in a batch: an empty text stands for null and no value."""
    found = hash(tuple("" if (value := record.get(key)) is None else _hashable(value) for key in keys))
    for key, value in record.items():
        if key not in known:
            found ^= hash(_dump((key, value)))
    return found


_CONTAINERS = {list, dict}
_encode_lines = msgspec.json.Encoder().encode_lines


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
        found = msgspec.json.encode(value)
    except (ValueError, TypeError):  # it has an `Unreadable`, or half a surrogate pair
        return repr(value).encode("utf-8", "surrogatepass")
    if b"null" in found and not _is_finite(value):
        return repr(value).encode()
    return found


def _is_finite(value: Any) -> bool:
    """Return whether a value has neither NaN nor infinity, which JSON would write as null. Batches never have them."""
    if isinstance(value, float):
        return math.isfinite(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return all(map(_is_finite, inner))
