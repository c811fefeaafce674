"""The records of a window as the provider sent them: their digest, and a copy on disk until the digest is known.

A response that is equal to the last one leads to the same lines, so it is neither converted nor merged. The digest is
the sum of the digests of the records of the window as they were sent, whatever their order and their pages, each with
the context of its page. Fetchers check responses before: totals, links, and pages that come twice.
"""

from __future__ import annotations

import functools
import hashlib
import marshal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct, field

from cdrctl import __version__
from cdrctl.archive.pages import SentPages, on_temporary_disk
from cdrctl.export.rows import starts_of
from cdrctl.fetchers import Call
from cdrctl.records.batches import BatchedPage, RecordBatch, array_of, batches
from cdrctl.records.columns import keys_of
from cdrctl.records.events import Event, Note, Page, Record
from cdrctl.windows import Window

if TYPE_CHECKING:
    from cdrctl.records.decoding import BatchDecoder

_VERSION = 2
"""The version of marshal's format in which equal values have equal bytes: it ignores interning and references."""


class Sent(Struct):
    """What came of a window so far.

    Args:
        total: The sum of the digests of its records.
        whole: Whether every record could be digested.
        plain: Whether the records that were yielded last are plain, and to be added by `add_plain`.
        warnings: How many warnings the fetcher yielded.
        pages: The lists of records of its pages.
    """

    total: int = 0
    whole: bool = True
    plain: bool = False
    warnings: int = 0
    pages: SentPages = field(default_factory=SentPages)

    def digest(self, call: Call) -> str:
        """Return the digest, which differs between versions that convert records differently; empty if there is none.

        Args:
            call: The call, whose columns count.
        """
        if not self.whole:
            return ""
        columns = [(column.name, column.key, column.kind) for column in call.columns]
        return hashlib.blake2b(f"{__version__} {columns} {self.total}".encode(), digest_size=32).hexdigest()


def watched(
    events: Iterable[Event],
    call: Call,
    window: Window,
    sent: Sent,
    latest: Callable[[], datetime | None],
    *,
    convert: bool,
) -> Iterator[Event]:
    """Yield the events of a window, and add its raw records and the warnings to `sent`. A page may be read once.

    Args:
        events: The events. The pages have raw records, or plain ones.
        call: The call.
        window: The window. Records beyond it do not count.
        sent: What came so far.
        latest: Returns the latest possible start of a call.
        convert: Yield raw records as batches of columns; else as they came.
    """
    decode = functools.cache(lambda: _decoder(call)) if convert else None
    try:
        for event in events:
            if isinstance(event, Page):
                sent.pages.add(event)
                yield _watched_page(event, call, window, sent, latest, decode)
                continue
            sent.warnings += isinstance(event, Note) and event.level == "warning"
            yield event
    finally:
        close = getattr(events, "close", None)  # a generator must end now, not when it is collected
        if close is not None:
            close()


def _watched_page(
    page: Page,
    call: Call,
    window: Window,
    sent: Sent,
    latest: Callable[[], datetime | None],
    decode: Callable[[], BatchDecoder | None] | None,
) -> Page:
    """Return a page whose raw records are added to `sent` when they are read."""
    keys = keys_of(call.columns)

    def parts() -> Iterator[Sequence[Record]]:
        for part in batches(page.records):
            sent.plain = not isinstance(part, RecordBatch)
            if isinstance(part, RecordBatch) and part.raws is not None:
                texts = _add_raw(sent, part, page.context, call, window, latest())
                decoder = decode() if decode is not None and len(part) else None
                yield _with_texts(part, keys, texts) if decoder is None else _decoded(part, decoder)
            else:
                sent.whole = sent.whole and sent.plain
                yield part

    if isinstance(page.records, BatchedPage):
        return Page(BatchedPage(page.records.key_columns, parts), page.context)
    return Page(next(parts()), page.context)


def _decoded(batch: RecordBatch, decode: BatchDecoder) -> Sequence[Record]:
    """Return the records of a raw batch by column, with what is known of them."""
    records = decode.records_of(array_of(batch))
    if isinstance(records, RecordBatch):
        records.learn_from(batch)
    return records


def _with_texts(batch: RecordBatch, keys: Sequence[str], texts: Sequence[int]) -> RecordBatch:
    """Return a raw batch whose records are compared by their text, so that none is decoded for it.

    Args:
        batch: The batch. The fetcher may still compare its records by their content.
        keys: The keys of the call's columns.
        texts: A digest of each record's text.
    """
    known = RecordBatch(
        batch.key_fields, batch.columns, batch.texts, batch.unknown, len(batch), batch.raws, batch.decode
    )
    known.learn_from(batch)
    known.remember(keys, texts)
    return known


def _add_raw(
    sent: Sent, batch: RecordBatch, context: Mapping[str, str], call: Call, window: Window, latest: Any
) -> Sequence[int]:
    """Add the raw records of a batch that are of the window, also those that came before.

    Return a digest of each record of the batch.
    """
    found, starts = _digests(context, batch.raws or ()), starts_of(Page(batch, context), call, latest)
    known = [at for at in starts if at is not None]
    held: Sequence[int] = found
    if known and not (window.holds(min(known)) and window.holds(max(known))):
        held = [one for one, at in zip(found, starts, strict=True) if at is None or window.holds(at)]
    sent.total = (sent.total + sum(held)) % 2**256
    return found


def add_plain(sent: Sent, page: Page) -> Sequence[bytes] | None:
    """Add the plain records of a page, and return each as bytes; None if a value could not be read.

    Args:
        sent: What came so far.
        page: The records of the window that did not come before.
    """
    try:
        records = [marshal.dumps(one, _VERSION) for one in page.records]
    except ValueError:  # the mark of a value that could not be read
        sent.whole = False
        return None
    sent.total = (sent.total + sum(_digests(page.context, records))) % 2**256
    return records


def _digests(context: Mapping[str, str], records: Sequence[Any]) -> Sequence[int]:
    """Return a digest of each record, within the context of its page."""
    begun = hashlib.sha256(marshal.dumps(sorted(context.items()), _VERSION))
    found = []
    for one in records:
        digest = begun.copy()
        digest.update(one)
        found.append(int.from_bytes(digest.digest()))
    return found


def _raws(records: Sequence[Record]) -> Sequence[Any] | None:
    return records.raws if isinstance(records, RecordBatch) else None


def _decoder(call: Call) -> BatchDecoder | None:
    """Return the decoder of a call's raw records; None for a call whose pages are plain."""
    if call.key_fields is None:
        return None
    from cdrctl.records.decoding import BatchDecoder

    return BatchDecoder(call.columns, call.key_fields, raw=False)


class Copy:
    """The pages of a response in a temporary file, as they came."""

    def __init__(self) -> None:
        with on_temporary_disk():
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the copy
        self._plain: list[Page] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what was not written to disk yet is not needed any more
            self._file.close()

    def add(self, page: Page, sent: Sent) -> list[Record]:
        """Add a page, add its plain records to `sent`, and return no rows."""
        is_raw = _raws(page.records) is not None
        records: Any = array_of(page.records) if is_raw else add_plain(sent, page)
        if records is None:
            self._plain.append(Page(list(page.records), page.context))
            return []
        with on_temporary_disk():
            marshal.dump((dict(page.context), records), self._file, _VERSION)
        return []

    def pages(self, call: Call) -> Iterator[Page]:
        """Yield the pages again, with raw records as batches of columns."""
        decode = _decoder(call)
        with on_temporary_disk():
            self._file.flush()
            size = self._file.tell()
            self._file.seek(0)
        while self._file.tell() < size:
            with on_temporary_disk():
                context, records = marshal.load(self._file)  # noqa: S302 - our own, seconds old
            if decode is not None and isinstance(records, bytes):
                yield Page(decode.records_of(records), context)
            else:
                yield Page([*map(marshal.loads, records)], context)
        yield from self._plain
