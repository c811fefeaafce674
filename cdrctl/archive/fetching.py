"""Fetches a window from a provider and writes its records as lines of the archive."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.archive.canonical import csv_lines, json_lines
from cdrctl.archive.dayfile import DayFile
from cdrctl.archive.details import KnownDetails
from cdrctl.archive.erased import ErasedFilter
from cdrctl.archive.index import ENTRY, UNPLACED, Entry, milliseconds
from cdrctl.archive.lines import csv_line
from cdrctl.archive.options import wants_details
from cdrctl.archive.owner import Account
from cdrctl.archive.pages import Pages, SamePages, read_pages, unless_same
from cdrctl.archive.responses import Copy, Sent, add_plain, watched
from cdrctl.archive.spool import Spool
from cdrctl.archive.store import Archive
from cdrctl.export.availability import UP_TO_NOW, latest_start
from cdrctl.export.identity import stable_keys
from cdrctl.export.rows import SAME_ID, Log, Tally, rows, starts_of
from cdrctl.fetchers import Call, Known, identities
from cdrctl.records.arrays import KnownLists
from cdrctl.records.events import Event, Page, Row
from cdrctl.records.schemas import Schema, native
from cdrctl.windows import Window, rfc3339


def _unknown_clock() -> timedelta | None:
    return None


class Source(Struct, frozen=True):
    """A call of a profile, ready to be fetched.

    Args:
        profile: The profile's name.
        provider: The provider's name.
        call: The call.
        fetch: Yields the events of a window.
        log: Logs a message at a level.
        clean: Removes secrets from text that is stored, such as a provider's message.
        clock_ahead: Returns how far this machine's clock is ahead of the provider's; None until that is known.
        account: The account of the profile, as far as its settings tell; None if unknown.
        options: The options that decide what a reading has, as JSON; see `options.CallOptions`.
        fetch_unknown: Yields the events of a window without requests for details that are known; None if details take
            no requests of their own.
        fetch_again: Yields the events of a window; of lists of records that were read before, only what the fetcher
            looks at is decoded. None if the pages do not tell what they were sent as.
    """

    profile: str
    provider: str
    call: Call
    fetch: Callable[[Window], Iterator[Any]]
    log: Log
    clean: Callable[[str], str] = str
    clock_ahead: Callable[[], timedelta | None] = _unknown_clock
    account: Account | None = None
    options: str = ""
    fetch_unknown: Callable[[Window, Known], Iterator[Any]] | None = None
    fetch_again: Callable[[Window, KnownLists], Iterator[Any]] | None = None

    @property
    def wants_details(self) -> bool:
        """Whether the details of records are asked for."""
        return wants_details(self.call, self.options)

    @property
    def clock_offset(self) -> timedelta:
        """How far this machine's clock is ahead of the provider's; zero if unknown or less than a minute."""
        ahead = self.clock_ahead()
        return ahead if ahead is not None and abs(ahead) > UP_TO_NOW else timedelta(0)


class Fetched(Struct, frozen=True):
    """The records of a window.

    Args:
        window: The window.
        read_at: The time of the request.
        header: The CSV header of the lines; empty for JSON Lines.
        spool: The records, among the new ones.
        tally: The numbers of records, pages and duplicates, and the gaps.
        digest: A digest of the records, whatever their order.
        sent: A digest of the response as it was sent, and those of its pages if they are known; empty if another
            response with this digest must be converted.
        unchanged: The response is the last one, which is in the file. The spool has no records.
    """

    window: Window
    read_at: datetime
    header: bytes
    spool: Spool
    tally: Tally
    digest: str = ""
    sent: str = ""
    unchanged: bool = False

    @property
    def placed(self) -> int:
        """How many records have a start, after those without one have been taken."""
        return self.tally.records if self.unchanged else self.spool.count_new()

    @property
    def complete(self) -> bool:
        """Whether the response has no gaps."""
        return not self.tally.gaps


def header_of(archive: Archive, call: Call) -> bytes:
    """Return the CSV header of a call's files, with its line end; empty for JSON Lines."""
    if not archive.form.startswith("csv"):
        return b""
    schema = native(call.columns, None, lambda _text: None, call.expected)
    return csv_line([column.name for column in schema.columns or ()])


def known_details(archive: Archive, source: Source, old: DayFile | None) -> KnownDetails | None:
    """Return the details that a day's file has; None if they take no requests of their own, or are not asked for."""
    details, header = source.call.details, header_of(archive, source.call)
    if source.fetch_unknown is None or details is None or not details.each or not source.wants_details:
        return None
    schema = native(source.call.columns, None, lambda _text: None, source.call.expected)
    lines_of = csv_lines if header else json_lines(schema)

    def line_of(page: Page) -> bytes:
        return lines_of(cast("Sequence[Row]", schema.rows(page)))[0]

    return KnownDetails(source.call, old, header, line_of)


def fetch_entries(
    archive: Archive, source: Source, window: Window, read_at: datetime, known: Known | None = None, before: str = ""
) -> Fetched:
    """Return the records of a window from the provider, in a temporary database.

    Args:
        archive: The archive.
        source: The call.
        window: The window.
        read_at: The present instant, by the provider's clock if that is known.
        known: Returns the details of a record that are not to be requested; None to request all that are asked for.
        before: The digests of the last response, which the file has: if the provider sends the same, the result has
            no records. Empty if there are none.

    Raises:
        CdrctlError: The provider could not be queried.
        OutputError: The temporary files cannot be written.
    """
    included = source.clock_offset  # in read_at

    def present() -> datetime:
        return read_at - (source.clock_offset - included)

    job = _Fetching(archive, source, window, read_at, present)
    content, _, sent = before.partition(" ")
    digest, _, pages = sent.partition(" ")
    last = read_pages(pages, source.call)
    if known is not None and source.fetch_unknown is not None:
        events = source.fetch_unknown(window, known)
    elif last is not None and source.fetch_again is not None:
        events = source.fetch_again(window, last.lists())
    else:
        events = source.fetch(window)
    return job.compared(events, content, digest, last) if digest else job.converted(events)


class _Fetching(Struct, frozen=True):
    """One window that is fetched: the arguments of `fetch_entries`."""

    archive: Archive
    source: Source
    window: Window
    read_at: datetime
    present: Callable[[], datetime]

    def _watched(self, events: Iterable[Event], sent: Sent, *, convert: bool) -> Iterator[Event]:
        call = self.source.call
        return watched(events, call, self.window, sent, lambda: latest_start(self.present), convert=convert)

    def compared(self, events: Iterable[Event], content: str, digest: str, last: Pages | None) -> Fetched:
        """Return the records of a window, or that its response is the last one.

        The response is copied to disk, and converted only if it is another one. Raw records are compared by their
        text. Where two with one id differ, the response is converted too, because their content may be the same.

        Args:
            events: The events of the window.
            content: The digest of the records of the last response.
            digest: The digest of the last response as it was sent.
            last: Its pages, if they are known: as long as the same ones come, none is read.
        """
        source, sent, tally, log = self.source, Sent(), Tally(), _FirstTime(self.source.log)
        header, same = header_of(self.archive, source.call), SamePages()
        if last is not None:
            latest = latest_start(self.present)
            events = unless_same(events, source.call, last, same, is_past=latest is None or latest >= self.window.until)
        with Copy() as copy:
            pages = Schema(None, cast("Any", lambda page: copy.add(page, sent)))
            came = self._watched(events, sent, convert=False)
            for _ in rows(came, source.call, pages, self.window, tally, _unless_same_id(log), present=self.present):
                pass
            if same.whole and last is not None:
                tally.records, tally.duplicates, tally.pages = last.records, last.duplicates, same.number
                known = f"{digest} {last.text()}"
                return Fetched(self.window, self.read_at, header, Spool(), tally, content, known, unchanged=True)
            is_same = sent.digest(source.call) == digest and not (tally.gaps or tally.same_id)
            if is_same and log.warnings == sent.warnings:
                known = _with_pages(digest, sent, source.call, tally)
                return Fetched(self.window, self.read_at, header, Spool(), tally, content, known, unchanged=True)
            return self._stored(copy.pages(source.call), log, sent, tally)

    def converted(self, events: Iterable[Event]) -> Fetched:
        """Return the records of a window."""
        sent = Sent()
        return self._stored(self._watched(events, sent, convert=True), _FirstTime(self.source.log), sent, None)

    def _stored(self, events: Iterable[Event], log: _FirstTime, sent: Sent, copied: Tally | None) -> Fetched:
        """Return the records of events in a temporary database.

        Args:
            events: The events.
            log: Receives messages.
            sent: What came, when all events have been yielded.
            copied: What is known from the copy of the response; None if the events come from the provider.
        """
        source, tally = self.source, Tally()
        header = header_of(self.archive, source.call)
        erased = ErasedFilter(self.archive, source.call, header)
        entries = _entries_of(self, erased, log, None if copied else sent)
        as_entries = Schema(None, cast("Any", entries))
        pages = rows(events, source.call, as_entries, self.window, tally, log, present=self.present)
        spool, total = Spool(), 0
        try:
            for page in pages:
                found = cast("Sequence[Entry]", page)
                spool.add_new(found)
                total += sum(map(_entry_digest, found))
        except BaseException:
            spool.close()
            raise
        if erased.dropped:
            log("note", "the provider sent records with an erased number, which are not stored (-v shows details)")
            log("debug", f"{rfc3339(self.window.since)}: {erased.dropped} records with an erased number")
        is_plain = log.warnings == sent.warnings and not (erased.dropped or spool.has_unplaced)
        if copied is not None:
            tally = _both(copied, tally)
        content, digest = f"{total % 2**256:064x}", sent.digest(source.call) if is_plain else ""
        known = _with_pages(digest, sent, source.call, tally)
        return Fetched(self.window, self.read_at, header, spool, tally, content, known)


def _with_pages(digest: str, sent: Sent, call: Call, tally: Tally) -> str:
    """Return the digest of a response as it was sent and, if they are known, the digests of its pages."""
    pages = sent.pages.of(call, tally.records, tally.duplicates) if digest else None
    return digest if pages is None else f"{digest} {pages.text()}"


def _both(copied: Tally, stored: Tally) -> Tally:
    """Return the numbers of a response that was copied to disk, and read again from there."""
    return replace(
        copied,
        records=stored.records,
        duplicates=copied.duplicates + stored.duplicates,
        same_id=stored.same_id,
        gaps=[*copied.gaps, *stored.gaps],
    )


def _unless_same_id(log: Log) -> Log:
    """Return a log without the warning of records with one id and different texts."""

    def logged(level: str, text: str) -> None:
        if text != SAME_ID:
            log(level, text)

    return logged


class _FirstTime:
    """A log that forwards each message once, because a copied response is read twice, and counts its warnings."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._logged: set[tuple[str, str]] = set()
        self.warnings = 0

    def __call__(self, level: str, text: str) -> None:
        """Log a message."""
        self.warnings += level == "warning"
        if (level, text) not in self._logged:
            self._logged.add((level, text))
            self._log(level, text)


def _entries_of(job: _Fetching, erased: ErasedFilter, log: Log, sent: Sent | None) -> Callable[[Page], list[Entry]]:
    """Return the function from a page to its records as entries of the archive, without those to be erased.

    Plain records are added to `sent`. What does not fit a column goes to `log`.
    """
    call, archive, present = job.source.call, job.archive, job.present
    in_csv = archive.form.startswith("csv")

    @functools.cache
    def conversion() -> tuple[Schema, Callable[[Sequence[Row]], Sequence[bytes]]]:
        schema = native(call.columns, None, lambda text: log("warning", text), call.expected)
        return schema, csv_lines if in_csv else json_lines(schema)

    def entries(page: Page) -> list[Entry]:
        if not len(page.records):  # as in most nights of a quiet customer
            return []
        schema, lines_of = conversion()
        if sent is not None and sent.plain:
            add_plain(sent, page)
        starts = starts_of(page, call, latest_start(present))
        keys = stable_keys(page.context, identities(page.records, call.identity))
        lines = lines_of(cast("Sequence[Row]", schema.rows(page)))
        return erased.kept(
            [
                Entry(UNPLACED if start is None else milliseconds(start), key, line)
                for start, key, line in zip(starts, keys, lines, strict=True)
            ]
        )

    return entries


def _entry_digest(entry: Entry) -> int:
    """Return a digest of an entry; the sum of many is a digest of their multiset."""
    head = ENTRY.pack(entry.start, len(entry.line), entry.key)
    return int.from_bytes(hashlib.blake2b(head + entry.line, digest_size=32).digest())
