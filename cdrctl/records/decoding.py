"""Decode pages column by column. If all records of a page have the same fields, this is many times faster.

A record batch holds the records of a page as columns, without a dict for each record. It is a sequence of records like
any other page: a record is made when it is looked at, and code that can use whole columns takes the columns. A large
page becomes a batched page: batches of a few hundred records, each made after the one before was written. The values
then stay in the processor's caches, which halves the time, and a page takes little more memory than its body. A page
that does not fit is decoded record by record. The rows are the same either way.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic_core

from cdrctl.damage import shallow
from cdrctl.records.batches import ABSENT, BatchedPage, KeyFields, RecordBatch, plainly
from cdrctl.records.columns import Column, is_text
from cdrctl.records.events import Record

_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Any]])

_BETWEEN = re.compile(rb"(?<=\})\s*,(?=\s*\{)")
_END = re.compile(rb"\]\s*\}\s*\Z")
_TAIL = 20
"""Bytes at the end of a body in which its last brackets are."""

LARGE = 1024 * 1024

FEW = 250
"""With more records at a time, what is made of them falls out of the processor's caches before it is used."""

_NO_BATCH = (ValueError, KeyError, RecursionError)
"""What says that something is not to be read as a batch; msgspec's errors are ValueErrors, as UTF-8 that is none is."""

_CONTAINERS = {list, dict}

_KEPT = 1024 * 1024
"""Bytes that glibc keeps for the next part once it has seen such a piece freed; else it gives back what each part took,
and the system makes it anew."""

_PIECE = 16_384
"""Bytes that are made text at a time: the system does not take larger pieces of memory back so easily."""

MOST_LESSONS = 8
"""How often the shape of records may turn out to be another one before batches are given up."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What records look like, as far as they have been seen.

    Args:
        texts: The keys that have had nothing but text in them.
        unknown: The keys that no column names.
        decode: From an array of records to one struct for each.
        refits: How often it turned out to be another one.
    """

    texts: frozenset[str]
    unknown: tuple[str, ...]
    decode: Callable[[Any], list[Any]]
    refits: int = 0


class BatchDecoder:
    """Reads the bodies of one call's answers; it learns what its records look like.

    Several threads may use it: what it has learnt is one value that is replaced as a whole.

    Args:
        columns: The columns of the call.
        marks: The fields that are looked at before records become rows.
        raw: Whether the records are wanted as they came.
        large: Bytes of records from which on they are read a few at a time.
        few: About how many records a batch of a large page has.
    """

    def __init__(
        self, columns: Sequence[Column], marks: KeyFields, *, raw: bool, large: int = LARGE, few: int = FEW
    ) -> None:
        bytes(_KEPT)  # is freed at once
        self._marks = marks
        self._raw = raw
        self._large = large
        self._few = few
        plain = {column.key: column for column in columns if not column.key.startswith("@") and "." not in column.key}
        self._marked = (marks.identity, marks.start, *marks.others)
        self._known = (*plain,)
        self._folded = {name.casefold() for name in self._known}
        self._decode_marks = _decoder(self._marked, frozenset({marks.identity}))
        texts = frozenset(name for name, column in plain.items() if is_text(column)) | {marks.identity}
        self._shape = _Shape(texts, (), _decoder(self._known, texts, ()))

    def __call__(self, body: bytearray, path: Sequence[str]) -> Any:
        """Return a decoded body whose records, to be found under the path, are a batch or a batched page; or None.

        None says nothing about the body: it is to be decoded as any other.
        """
        if self._shape.refits > MOST_LESSONS:
            return None
        try:
            return self._opened(body, path)
        except _NO_BATCH:
            return None

    def _opened(self, raw: bytearray | msgspec.Raw, path: Sequence[str]) -> Any:
        if not path:
            return self._records(memoryview(raw))
        if isinstance(raw, bytearray) and len(path) == 1:
            only = self._only_records(raw, path[0])
            if only is not None:
                return {path[0]: only}
        envelope = _ENVELOPE.decode(raw)
        records = self._opened(envelope[path[0]], path[1:])
        return {
            name: records if name == path[0] else pydantic_core.from_json(bytes(value))
            for name, value in envelope.items()
        }

    def _only_records(self, raw: bytearray, key: str) -> RecordBatch | BatchedPage | None:
        """Return the records of a body that holds nothing else, without a look at the whole of it, or None."""
        start = re.match(rb'\s*\{\s*"%s"\s*:\s*(?=\[)' % re.escape(key.encode()), raw)
        tail = max(0, len(raw) - _TAIL)
        end = _END.search(raw, tail)
        if start is None or end is None:
            return None
        with suppress(msgspec.DecodeError):  # there is more than that in it
            return self._records(memoryview(raw)[start.end() : end.start() + 1])
        return None

    def _records(self, array: memoryview) -> RecordBatch | BatchedPage:
        if not self._raw and len(array) <= self._large:
            return self._batch(array)
        if self._raw:
            _check_lines(array)
        columns = self._columns(self._marked, self._decode_marks(array))
        marked = RecordBatch(self._marks, columns, frozenset(), (), len(columns[self._marks.identity]))
        if len(array) <= self._large:
            return next(self._uncut(array, marked))
        if self._raw:
            return BatchedPage(marked, lambda: self._uncut(array, marked))
        writable = array if not array.readonly else memoryview(bytearray(array))
        return BatchedPage(marked, lambda: self._batches(writable, len(array) * self._few // len(marked)))

    def _batches(self, array: memoryview, step: int) -> Iterator[Sequence[Record]]:
        """Yield the records of an array a few at a time, about `step` bytes.

        It is cut at what looks like the end of a record, and is lent brackets there. Only an array that is whole can be
        decoded: where the cut was within a text or a list, all from there on is cut with more care.
        """
        at = 0
        while at < len(array):
            cut = _BETWEEN.search(array, at + step)
            end = cut.end() if cut is not None else len(array)
            try:
                batch = self._lent(array, at, end)
            except _NO_BATCH:
                yield from self._carefully(b"[" + bytes(array[at + 1 :]))
                return
            yield batch
            at = end - 1 if cut is not None else end

    def _lent(self, array: memoryview, at: int, end: int) -> RecordBatch:
        """Return the batch of a part of an array from one of its commas, or its beginning, to another, or its end."""
        first, last = array[at], array[end - 1]
        array[at], array[end - 1] = b"[]"
        try:
            return self._batch(array[at:end])
        finally:
            array[at], array[end - 1] = first, last

    def _carefully(self, array: bytes) -> Iterator[Sequence[Record]]:
        """Yield the records of an array a few at a time; those of which no batch can be made are plain ones."""
        raws = _RAW.decode(array)
        for at in range(0, len(raws), self._few):
            few = b"[%b]" % b",".join(raws[at : at + self._few])
            records: Sequence[Record]
            try:
                records = self._batch(few)
            except _NO_BATCH:
                records = plainly(few)
            yield records

    def _uncut(self, array: memoryview, marked: RecordBatch) -> Iterator[RecordBatch]:
        """Yield the records as they came."""
        raws = _RAW.decode(array)
        step = self._few if len(array) > self._large else len(raws)
        for at in range(0, len(raws), step):
            few = marked[at : at + step]
            yield RecordBatch(self._marks, few.columns, frozenset(), (), len(few), raws[at : at + step])

    def _batch(self, array: memoryview | bytes) -> RecordBatch:
        shape = self._shape
        try:
            structs = shape.decode(array)
        except msgspec.ValidationError:
            shape = self._shape = self._learnt(shape, array)
            structs = shape.decode(array)
        columns = self._columns((*self._known, *shape.unknown), structs)
        for key, values in columns.items():
            if key not in shape.texts and not _CONTAINERS.isdisjoint(map(type, values)) and not shallow([*values]):
                raise ValueError("deeper than whoever writes it can follow")
        return RecordBatch(self._marks, columns, shape.texts, shape.unknown, len(structs))

    def _columns(self, keys: Sequence[str], structs: Sequence[Any]) -> dict[str, Sequence[Any]]:
        if not structs:
            raise ValueError("no records")
        columns: dict[str, Sequence[Any]] = dict(
            zip(keys, zip(*map(msgspec.structs.astuple, structs), strict=True), strict=True)
        )
        if not all(columns[self._marks.identity]):
            raise ValueError("a record without the field that makes it this record")
        return columns

    def _learnt(self, shape: _Shape, array: memoryview | bytes) -> _Shape:
        """Return a shape with room for fields that nobody knew, and for values that are no text."""
        records = _OBJECTS.decode(array)
        if shape.refits >= MOST_LESSONS:
            self._shape = _Shape(shape.texts, shape.unknown, shape.decode, MOST_LESSONS + 1)
            raise ValueError("no two pages are alike")
        texts, further = set(shape.texts), [*shape.unknown]
        for record in records:
            for key, value in record.items():
                if key in texts:
                    if type(value) is not str and key != self._marks.identity:
                        texts.remove(key)
                elif key not in self._known and key not in further:
                    if key.casefold() in self._folded:  # a column that is spelt in another way than it was
                        raise ValueError(key)
                    further.append(key)
        decode = _decoder(self._known, frozenset(texts), further)
        return _Shape(frozenset(texts), tuple(further), decode, shape.refits + 1)


def _decoder(
    known: Sequence[str], texts: frozenset[str], further: Sequence[str] | None = None
) -> Callable[[Any], list[Any]]:
    """Return what decodes an array of records; other fields are an error, or are skipped where further is None."""
    fields: list[Any] = [(f"f{at}", str, "") if key in texts else (f"f{at}", Any, None) for at, key in enumerate(known)]
    fields += [(f"g{at}", Any, ABSENT) for at in range(len(further or ()))]
    names = {field[0]: key for field, key in zip(fields, [*known, *(further or ())], strict=True)}
    record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=further is not None, gc=False)
    return msgspec.json.Decoder(list[record]).decode  # type: ignore[valid-type] # made a line above


def _check_lines(array: memoryview) -> None:
    """Refuse what cannot be written as it is: where it has line ends, or is not UTF-8, as what is skipped may be.

    Raises:
        ValueError: It cannot.
    """
    at = 0
    while at < len(array):
        piece = array[at : at + _PIECE]
        text, read = codecs.utf_8_decode(piece, "strict", at + len(piece) == len(array))
        if "\n" in text or "\r" in text:
            raise ValueError("records of several lines")
        at += read
