"""The pages of a response as they were sent: pages that equal those of the last response are not decoded.

The digest of each page is kept in its order. An equal page was decoded and checked when it came before, so only what
the fetcher looks at is decoded again. Pages are copied to disk until it is known whether all are equal. If another page
comes, or a gap, all of them are read as they would have been.
"""

from __future__ import annotations

import base64
import hashlib
import marshal
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FunctionType, TracebackType
from typing import Any, Self

from msgspec import Struct, field
from msgspec.structs import astuple

from cdrctl import __version__
from cdrctl.archive.spool import unusable_temporary_files
from cdrctl.fetchers import Call
from cdrctl.records.arrays import DIGEST_BYTES, KnownLists, SentList
from cdrctl.records.batches import BatchedPage, RecordBatch, decode_plainly
from cdrctl.records.events import Checkpoint, Event, Note, Page, Record

_VERSION = 2
"""The version of marshal's format in which equal values have equal bytes."""

_HEX_DIGITS = 32
_COUNT_BYTES = 3
_ENTRY_BYTES = DIGEST_BYTES + _COUNT_BYTES

MOST_PAGES = 5_000
"""Pages of a response whose digests are kept, in 100 kB; of a response with more pages, none is."""


class Pages(Struct, frozen=True):
    """The pages of a response.

    Args:
        records: How many records of the window it had.
        duplicates: How many records came twice.
        reader: A digest of what the conversion of a page depends on.
        contexts: A digest of the contexts of the pages.
        entries: The digest and the number of records of each page.
    """

    records: int
    duplicates: int
    reader: str
    contexts: str
    entries: bytes

    def text(self) -> str:
        """Return the pages as text without blanks, with a check sum at its end."""
        entries = base64.b64encode(self.entries).decode()
        return _checked(f"{self.records}:{self.duplicates}:{self.reader}:{self.contexts}:{entries}")

    def lists(self) -> KnownLists:
        """Return the number of records of each page by its digest."""
        found = [self.entries[at : at + _ENTRY_BYTES] for at in range(0, len(self.entries), _ENTRY_BYTES)]
        return {one[:DIGEST_BYTES]: int.from_bytes(one[DIGEST_BYTES:]) for one in found}


def read_pages(text: str, call: Call) -> Pages | None:
    """Return the pages from their text.

    None if there is none, if it is damaged, or if this version converts pages in another way.
    """
    plain = text.rpartition(":")[0]
    if text != _checked(plain):
        return None
    try:
        records, duplicates, reader, contexts, entries = plain.split(":")
        pages = Pages(int(records), int(duplicates), reader, contexts, base64.b64decode(entries, validate=True))
    except ValueError:
        return None
    return pages if reader == _reader(call) and not len(pages.entries) % _ENTRY_BYTES else None


def _checked(text: str) -> str:
    return f"{text}:{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


class SentPages(Struct):
    """The pages that came so far.

    Args:
        entries: The digest and the number of records of each.
        contexts: A digest of their contexts.
        whole: Whether all of them have a digest.
    """

    entries: bytearray = field(default_factory=bytearray)
    contexts: Any = field(default_factory=hashlib.sha256)
    whole: bool = True

    def add(self, page: Page) -> None:
        """Add a page."""
        sent, length = sent_list(page.records), len(page.records)
        fits = length < 256**_COUNT_BYTES and len(self.entries) < MOST_PAGES * _ENTRY_BYTES
        if sent is None or not (fits and self.whole):
            self.whole = False
            return
        self.entries += sent.digest + length.to_bytes(_COUNT_BYTES)
        self.contexts.update(marshal.dumps(sorted(page.context.items()), _VERSION))

    def of(self, call: Call, records: int, duplicates: int) -> Pages | None:
        """Return the pages of the whole response; None if one of them has no digest.

        Args:
            call: The call.
            records: How many records of the window it had.
            duplicates: How many records came twice.
        """
        if not self.whole:
            return None
        contexts = self.contexts.hexdigest()[:_HEX_DIGITS]
        return Pages(records, duplicates, _reader(call), contexts, bytes(self.entries))


def _reader(call: Call) -> str:
    """Return a digest of what the conversion of a page depends on; the next run, another process, has the same one."""
    columns = [(column.name, column.key, column.kind) for column in call.columns]
    fields = astuple(call.key_fields) if call.key_fields is not None else ()
    named = [one.__qualname__ if isinstance(one, FunctionType) else one for one in fields]  # not by its address
    return hashlib.sha256(f"{__version__} {columns} {named}".encode()).hexdigest()[:_HEX_DIGITS]


def sent_list(records: Sequence[Record]) -> SentList | None:
    """Return a whole page as it was sent; None if its decoder keeps no digests."""
    return records.sent if isinstance(records, RecordBatch | BatchedPage) else None


class SamePages(Struct):
    """Whether the pages that came are those of the last response.

    Args:
        whole: All pages came, and no other one; none of them was yielded.
        number: How many they are.
    """

    whole: bool = False
    number: int = 0


def unless_same(events: Iterable[Event], call: Call, last: Pages, same: SamePages, *, is_past: bool) -> Iterator[Event]:
    """Yield the events of a window, but no pages if they are those of the last response.

    Pages are held on disk as long as each of them is known. They are yielded before a page that is not known, before a
    gap, and at the end if their order or number is another one.

    Args:
        events: The events.
        call: The call.
        last: The pages of the last response.
        same: Says at the end whether the pages were those.
        is_past: Whether no call of the window can be in the future. Otherwise, the start of each must be read.
    """
    came, holds = SentPages(), is_past
    try:
        with _Held(call) as held:
            for event in events:
                if holds and isinstance(event, Page) and held.takes(event):
                    came.add(event)
                else:
                    if holds and not isinstance(event, Note | Checkpoint):
                        holds = False
                        yield from held.pages()
                    yield event
                del event  # the buffer of a page is used again for a later one
            if holds and came.of(call, last.records, last.duplicates) == last:
                same.whole, same.number = True, held.number
            elif holds:
                yield from held.pages()
    finally:
        close = getattr(events, "close", None)  # a generator must end now, not when it is collected
        if close is not None:
            close()


class _Held:
    """Pages on disk, as they were sent."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.number = 0
        with on_temporary_disk():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a full disk: its last bytes do not matter
            self._file.close()

    def takes(self, page: Page) -> bool:
        """Add a page if it is known, and return whether it is."""
        sent = sent_list(page.records)
        if sent is None or not sent.known:
            return False
        self.number += page.number
        with on_temporary_disk():
            marshal.dump((dict(page.context), page.number, sent.text), self._file, _VERSION)
        return True

    def pages(self) -> Iterator[Page]:
        """Yield the pages, decoded as they would have been when they came."""
        if self._call.key_fields is None or not self.number:
            return
        from cdrctl.records.decoding import BatchDecoder

        decode = BatchDecoder(self._call.columns, self._call.key_fields, raw=True, lines=False, known={})
        with on_temporary_disk():
            size = self._file.tell()
            self._file.seek(0)
        while self._file.tell() < size:
            with on_temporary_disk():
                context, number, text = marshal.load(self._file)  # noqa: S302 - our own, seconds old
            records = decode(bytearray(text), ())
            yield Page(decode_plainly(text) if records is None else records, context, number=number)


@contextmanager
def on_temporary_disk() -> Iterator[None]:
    """Turn an error of a temporary file into an OutputError."""
    try:
        yield
    except OSError as error:
        raise unusable_temporary_files(error) from error
