"""Decodes pages column by column. If all records of a page have the same fields, this is many times faster.

A record batch holds the records of a page as columns, without a dict for each record. It is a sequence of records like
any other page: a record is made when it is accessed, and code that can use whole columns takes the columns. A large
page becomes a batched page: batches of a few hundred records, each decoded after the previous one was written. The
values then stay in the processor's caches, which halves the time, and a page takes little more memory than its body. A
page whose records differ is decoded record by record. The rows are the same either way.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec

from cdrctl.damage import from_json, shallow
from cdrctl.records.arrays import KnownLists, LaterColumns, LaterTexts, SentList, digest_of
from cdrctl.records.batches import BatchedPage, KeyFields, RecordBatch, decode_plainly
from cdrctl.records.columns import Column, keys_of
from cdrctl.records.events import Record
from cdrctl.records.shapes import MOST_REFITS, Shape, decoder, expected_shape, given_up, refitted

_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, Any]])

_BETWEEN = re.compile(rb"\}\s*,(?=\s*\{)")
_FIRST_KEY = re.compile(rb'\s*\[\s*\{\s*("[\w .-]{1,100}")')
_EDGE = 4096
"""Bytes at the beginning and the end of a body that usually contain everything but its records."""
_PLACE = b"[727300027372]"
"""Replaces the records while the rest of a body is decoded."""
_BEGINNING = 20
"""Bytes by which a part of a body is searched for."""

LARGE = 1024 * 1024
"""Bytes of records from which a page is decoded in batches."""

FEW = 250
"""Records in a batch: with more, decoded values leave the processor's caches before they are used."""

_NO_BATCH = (ValueError, KeyError, RecursionError)
"""Errors that mean that records do not fit a batch; msgspec's errors are ValueErrors, and so is invalid UTF-8."""

_CONTAINERS = {list, dict}

_KEPT = 1024 * 1024
"""Bytes: once a block of this size was freed, glibc keeps that much memory for the next batch, instead of returning it
to the system after each."""

_CHUNK = 16_384
"""Bytes that are decoded to text at once: the system reclaims larger blocks of memory less readily."""


class BatchDecoder:
    """Decodes the response bodies of one call, and adapts to the fields of its records.

    Several threads may use it: its state is one value that is replaced as a whole.

    Args:
        columns: The columns of the call.
        marks: The fields that are needed before records become rows.
        raw: Whether the JSON text of each record is needed.
        lines: Whether that text is written as it came, so that it must not have line ends.
        large: Bytes of records from which a page is decoded in batches.
        few: About how many records a batch has.
        known: With `raw`, the lists that were read before and are decoded only where they are looked at; None if
            nobody needs the digests of lists.

    Attributes:
        shape: What is known of the fields of the records.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        marks: KeyFields,
        *,
        raw: bool,
        lines: bool = True,
        large: int = LARGE,
        few: int = FEW,
        known: KnownLists | None = None,
    ) -> None:
        bytes(_KEPT)  # is freed at once
        self._marks = marks
        self._raw = raw
        self._lines = lines
        self._large = large
        self._few = few
        self._known_lists = known if raw else None
        self._marked = tuple(dict.fromkeys((marks.identity, marks.start, *marks.others)))
        ids = frozenset({marks.identity})
        self._decode_marks = decoder(self._marked, ids, ids if marks.numbered else frozenset())
        self.shape = expected_shape(columns, keys_of(columns), marks.identity, numbered=marks.numbered)

    def __call__(self, body: bytearray, path: Sequence[str]) -> Any:
        """Return a decoded body whose records, found under the path, are a batch or a batched page; or None.

        None means that the body must be decoded as any other.
        """
        if self.shape.refits > MOST_REFITS and not self._raw:  # raw records are cut by a parser, whatever their fields
            return None
        try:
            with suppress(msgspec.DecodeError):  # the records end elsewhere, or there are several lists
                return self._apart(body, path)
            return _decoded(memoryview(body), path, lambda array: self._records(_writable(array, body)))
        except _NO_BATCH:
            return None

    def records_of(self, array: bytes) -> Sequence[Record]:
        """Return the records of an array, as a batch or, where that is not possible, as plain records.

        Raises:
            ProviderError: It is not JSON.
        """
        if self.shape.refits <= MOST_REFITS:
            with suppress(*_NO_BATCH):
                return self._batch(array)
        records: Sequence[Record] = decode_plainly(array)
        return records

    def _apart(self, body: bytearray, path: Sequence[str]) -> Any:
        """Return a decoded body, of which the records and the rest are decoded apart, each only once.

        The records are taken to end with the last bracket. If they are a JSON array, and the rest is JSON with an array
        in the same place, the whole is JSON, too.

        Raises:
            DecodeError: The body must be decoded as a whole.
        """
        start = _before_list(path[-1]).search(body, 0, _EDGE) if path else None
        end = body.rfind(b"]", max(0, len(body) - _EDGE)) + 1
        if start is None or end <= start.end():
            raise msgspec.DecodeError
        array = memoryview(body)[start.end() : end]

        def records(place: memoryview) -> Any:
            if place != _PLACE:
                raise msgspec.DecodeError
            return self._records(array)

        return _decoded(memoryview(body[: start.end()] + _PLACE + body[end:]), path, records)

    def _records(self, array: memoryview) -> RecordBatch | BatchedPage:
        if self._known_lists is None:
            return self._checked_page(array)
        digest = digest_of(array)
        length = self._known_lists.get(digest)
        page = self._checked_page(array) if length is None else self._later_page(array, length)
        page.sent = SentList(digest, array, length is not None)
        return page

    def _later_page(self, array: memoryview, length: int) -> RecordBatch | BatchedPage:
        """Return a page of a list that was read before, of which nothing is decoded yet."""
        columns = LaterColumns(lambda: self._columns(self._marked, self._decode_marks(array)))
        marked = RecordBatch(self._marks, columns, frozenset(), (), length)
        if len(array) > self._large:
            return BatchedPage(marked, lambda: self._raw_batches(array, marked))
        marked.raws, marked.decode = LaterTexts(lambda: _RAW.decode(array), length), self.records_of
        return marked

    def _checked_page(self, array: memoryview) -> RecordBatch | BatchedPage:
        page = self._page(array)
        batch = page.key_columns if isinstance(page, BatchedPage) else page
        if self._marks.distinct and len(set(batch.identities)) < len(batch):
            raise ValueError("two records with one identity")
        return page

    def _page(self, array: memoryview) -> RecordBatch | BatchedPage:
        if not self._raw and len(array) <= self._large:
            return self._batch(array)
        if self._raw:
            _check_text(array, lines=self._lines)
        columns = self._columns(self._marked, self._decode_marks(array))
        marked = RecordBatch(self._marks, columns, frozenset(), (), len(columns[self._marks.identity]))
        if len(array) <= self._large:
            return next(self._raw_batches(array, marked))
        if self._raw:
            return BatchedPage(marked, lambda: self._raw_batches(array, marked))
        writable = array if not array.readonly else memoryview(bytearray(array))
        return BatchedPage(marked, lambda: self._batches(writable, len(array) * self._few // len(marked)))

    def _batches(self, array: memoryview, step: int) -> Iterator[Sequence[Record]]:
        """Yield the records of an array in batches of about `step` bytes.

        The array is cut at what looks like the end of a record, and the cut is overwritten by brackets for a moment. If
        a part cannot be decoded, because the cut was within a text or a list, the rest is cut by a parser.
        """
        at, between = 0, _between(array)
        while at < len(array):
            cut = between.search(array, at + step - 1)
            if cut is None and len(array) - at > 2 * step:  # other records begin with another key
                cut = _BETWEEN.search(array, at + step - 1)
            end = cut.end() if cut is not None else len(array)
            try:
                batch = self._batch_of_part(array, at, end)
            except _NO_BATCH:
                yield from self._parsed_batches(b"[" + bytes(array[at + 1 :]))
                return
            yield batch
            at = end - 1 if cut is not None else end

    def _batch_of_part(self, array: memoryview, at: int, end: int) -> RecordBatch:
        """Return the batch of a part of an array, from a comma or its beginning to another comma or its end."""
        first, last = array[at], array[end - 1]
        array[at], array[end - 1] = b"[]"
        try:
            return self._batch(array[at:end])
        finally:
            array[at], array[end - 1] = first, last

    def _parsed_batches(self, array: bytes) -> Iterator[Sequence[Record]]:
        """Yield the records of an array, cut by a parser, in batches, or as plain records where a batch fails."""
        raws = _RAW.decode(array)
        for at in range(0, len(raws), self._few):
            yield self.records_of(b"[%b]" % b",".join(raws[at : at + self._few]))

    def _raw_batches(self, array: memoryview, marked: RecordBatch) -> Iterator[RecordBatch]:
        """Yield batches of the key fields and the JSON text of each record."""
        raws = _RAW.decode(array)
        step = self._few if len(array) > self._large else len(raws)
        for at in range(0, len(raws), step):
            few = marked[at : at + step]
            few.raws, few.decode = raws[at : at + step], self.records_of
            yield few

    def _batch(self, array: memoryview | bytes) -> RecordBatch:
        shape = self.shape
        try:
            structs = shape.decode(array)
        except msgspec.ValidationError:
            shape = self.shape = self._refit(shape, array)
            structs = shape.decode(array)
        found = self._columns(shape.order, structs)
        columns = {key: found[key] for key in (*shape.known, *shape.unknown)}
        kinds = {**shape.kinds}
        for key, values in columns.items():
            if key not in kinds and key not in shape.texts:
                kinds[key] = frozenset(map(type, values))
        for key, these in kinds.items():
            if not _CONTAINERS.isdisjoint(these) and not shallow([*filter(None, columns[key])]):
                raise ValueError("nested too deeply to be written")
        return RecordBatch(self._marks, columns, shape.texts, shape.unknown, len(structs), kinds=kinds)

    def _columns(self, keys: Sequence[str], structs: Sequence[Any]) -> dict[str, Sequence[Any]]:
        if not structs:
            raise ValueError("no records")
        columns: dict[str, Sequence[Any]] = dict(
            zip(keys, zip(*map(msgspec.structs.astuple, structs), strict=True), strict=True)
        )
        if not all(columns[self._marks.identity]):
            raise ValueError("a record without an id")
        return columns

    def _refit(self, shape: Shape, array: memoryview | bytes) -> Shape:
        """Return a shape that fits these records too: with their unknown fields, and with the types of their values."""
        records = _OBJECTS.decode(array)
        if shape.refits >= MOST_REFITS:
            self.shape = given_up(shape)
            raise ValueError("the fields change too often")
        return refitted(shape, records, self._marks.identity)


def _between(array: memoryview) -> re.Pattern[bytes]:
    """Return the pattern of the end of a record, which requires that the next record begins with the first one's key.

    An object in a list within a record hardly ever begins with this key.
    """
    first = _FIRST_KEY.match(array)
    return re.compile(rb"\}\s*,(?=\s*\{\s*%b)" % re.escape(first[1])) if first is not None else _BETWEEN


@lru_cache(maxsize=16)
def _before_list(key: str) -> re.Pattern[bytes]:
    """Return a pattern of a key whose value is a list."""
    return re.compile(rb'"%b"\s*:\s*(?=\[)' % re.escape(key.encode()), re.IGNORECASE)


def _decoded(raw: memoryview, path: Sequence[str], records_of: Callable[[memoryview], Any]) -> Any:
    """Return a decoded body, or a part of one, with the result of a function of its records in place of them."""
    if not path:
        return records_of(raw)
    envelope = _ENVELOPE.decode(raw)
    found = [name for name in envelope if name.casefold() == path[0].casefold()]  # in any letter case, but once
    if len(found) != 1:
        raise msgspec.DecodeError
    [key] = found
    records = _decoded(memoryview(envelope[key]), path[1:], records_of)
    return {name: records if name == key else from_json(memoryview(value)) for name, value in envelope.items()}


def _writable(part: memoryview, body: bytearray) -> memoryview:
    """Return a part of a body where it can be written to, or the part itself if it is not found at once.

    A large page is cut where it is, without a copy.
    """
    at = body.find(bytes(part[:_BEGINNING])) if part.readonly else -1
    return memoryview(body)[at : at + len(part)] if at >= 0 and body.startswith(part, at) else part


def _check_text(array: memoryview, *, lines: bool) -> None:
    """Check that raw records are valid UTF-8 also in skipped fields, and can be written one on each line.

    Args:
        array: The records.
        lines: Whether line ends are refused.

    Raises:
        ValueError: They are not.
    """
    at = 0
    while at < len(array):
        chunk = array[at : at + _CHUNK]
        text, read = codecs.utf_8_decode(chunk, "strict", at + len(chunk) == len(array))
        if lines and ("\n" in text or "\r" in text):
            raise ValueError("records of several lines")
        at += read
