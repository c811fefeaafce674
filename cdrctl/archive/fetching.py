"""Fetches a window from a provider and writes its records as lines of the archive."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from cdrctl.archive.canonical import csv_lines, json_lines
from cdrctl.archive.dayfile import DayFile
from cdrctl.archive.details import KnownDetails
from cdrctl.archive.erased import ErasedFilter
from cdrctl.archive.index import ENTRY, UNPLACED, Entry, milliseconds
from cdrctl.archive.lines import csv_line
from cdrctl.archive.options import wants_details
from cdrctl.archive.owner import Account
from cdrctl.archive.spool import Spool
from cdrctl.archive.store import Archive
from cdrctl.export.availability import UP_TO_NOW, latest_start
from cdrctl.export.identity import stable_keys
from cdrctl.export.rows import Log, Tally, rows, starts_of
from cdrctl.fetchers import Call, Known, identities
from cdrctl.records.events import Page, Row
from cdrctl.records.schemas import Schema, native
from cdrctl.windows import Window, rfc3339


def _unknown_clock() -> timedelta | None:
    return None


@dataclass(frozen=True, slots=True)
class Source:
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

    @property
    def wants_details(self) -> bool:
        """Whether the details of records are asked for."""
        return wants_details(self.call, self.options)

    @property
    def clock_offset(self) -> timedelta:
        """How far this machine's clock is ahead of the provider's; zero if unknown or less than a minute."""
        ahead = self.clock_ahead()
        return ahead if ahead is not None and abs(ahead) > UP_TO_NOW else timedelta(0)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The records of a window.

    Args:
        window: The window.
        read_at: The time of the request.
        header: The CSV header of the lines; empty for JSON Lines.
        spool: The records, among the new ones.
        tally: The numbers of records, pages and duplicates, and the gaps.
        digest: A digest of the records, whatever their order.
    """

    window: Window
    read_at: datetime
    header: bytes
    spool: Spool
    tally: Tally
    digest: str = ""

    @property
    def complete(self) -> bool:
        """Whether the response has no gaps."""
        return not self.tally.gaps


def header_of(archive: Archive, call: Call) -> bytes:
    """Return the CSV header of a call's files, with its line end; empty for JSON Lines."""
    schema = native(call.columns, None, lambda _text: None, call.expected)
    names = [column.name for column in schema.columns or ()]
    return csv_line(names) if archive.form.startswith("csv") else b""


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
    archive: Archive, source: Source, window: Window, read_at: datetime, known: Known | None = None
) -> Fetched:
    """Return the records of a window from the provider, in a temporary database.

    Args:
        archive: The archive.
        source: The call.
        window: The window.
        read_at: The present instant, by the provider's clock if that is known.
        known: Returns the details of a record that are not to be requested; None to request all that are asked for.

    Raises:
        CdrctlError: The provider could not be queried.
        OutputError: The temporary database cannot be written.
    """
    tally, included = Tally(), source.clock_offset  # in read_at

    def present() -> datetime:
        return read_at - (source.clock_offset - included)

    erased = ErasedFilter(archive, source.call, header_of(archive, source.call))
    as_entries = Schema(None, cast("Any", _entries_of(archive, source, erased, present)))
    events = source.fetch(window)
    if known is not None and source.fetch_unknown is not None:
        events = source.fetch_unknown(window, known)
    pages = rows(events, source.call, as_entries, window, tally, source.log, present=present)
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
        source.log("note", "records with an erased number came, and are not stored (-v says more)")
        source.log("debug", f"{rfc3339(window.since)}: {erased.dropped} records with an erased number")
    return Fetched(window, read_at, header_of(archive, source.call), spool, tally, f"{total % 2**256:064x}")


def _entries_of(
    archive: Archive, source: Source, erased: ErasedFilter, present: Callable[[], datetime]
) -> Callable[[Page], list[Entry]]:
    """Return the function from a page to its records as entries of the archive, without those to be erased."""
    call = source.call
    schema = native(call.columns, None, lambda text: source.log("warning", text), call.expected)
    in_csv = archive.form.startswith("csv")
    lines_of = csv_lines if in_csv else json_lines(schema)

    def entries(page: Page) -> list[Entry]:
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
