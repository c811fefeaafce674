"""From a fetcher's events to rows: cut, without duplicates, counted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from cdrctl.contents import contents_of
from cdrctl.duplicates import DuplicateFilter, Span
from cdrctl.export.availability import latest_start
from cdrctl.export.identity import run_keys
from cdrctl.export.parallel import new_once
from cdrctl.fetchers import Call, identities, possible_start
from cdrctl.mending import mending
from cdrctl.records.batches import RecordBatch, batches, key_columns
from cdrctl.records.events import Checkpoint, Event, File, Gap, Note, Page, Record, Row
from cdrctl.records.schemas import Schema
from cdrctl.windows import Window, rfc3339

Log = Callable[[str, str], None]
"""Told a level (`note`, `warning`, `progress`) and a sentence."""


@dataclass(slots=True)
class Tally:
    """What an export has done so far: counts, how much of its window has been read, and what could not be had."""

    records: int = 0
    pages: int = 0
    duplicates: int = 0
    same_id: int = 0
    left_out: int = 0
    windows: int = 0
    read: timedelta = timedelta(0)
    gaps: list[Gap] = field(default_factory=list)
    stopped: bool = False


def rows(
    pieces: Iterable[Event],
    call: Call,
    schema: Schema,
    window: Window | None,
    tally: Tally,
    log: Log,
    limit: int | None = None,
    save: Callable[[File], None] | None = None,
    keep: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    moved: Callable[[Checkpoint | None], None] = lambda _done: None,
    present: Callable[[], datetime] | None = None,
) -> Generator[Sequence[Row] | Sequence[Record], None, None]:
    """Yield pages of rows: every record whose call started in the window, once, until the limit is reached.

    Of a page of rows `keep` says which are wanted; the limit is one of those. `moved` is called whenever the tally has
    changed, with the window that has been read where it was the end of one.

    A record whose start cannot be read, or lies after the provider's present, is kept, with one warning: it may be of
    this window, and it is money. So are records with the id of another one and different content. Gaps and
    notes are told as they come; gaps are also kept in the tally. A file is given to `save`, and then its record is
    yielded. The pieces are closed at the end, whoever ends it. `present` gives the provider's present.
    """
    ours = _ours(call, window, tally, log, present)
    mend = mending(
        call.identity,
        lambda gap: _told(gap, tally, log),
        lambda text: log("warning", text),
        raw=schema.columns is None,
    )
    try:
        for piece in pieces:
            if isinstance(piece, Note | Gap):
                _told(piece, tally, log)
            elif isinstance(piece, Checkpoint):
                _counted(piece, window, tally)
                moved(piece)
            elif isinstance(piece, File):
                if save is not None:
                    save(piece)
                tally.records += 1
                yield schema.rows(mend(Page([piece.record])))
            else:
                tally.pages += 1
                for part in batches(piece.records):
                    page = _wanted(mend(ours(Page(part, piece.context))), schema, tally, limit, keep)
                    moved(None)
                    if page:
                        yield page
                    if tally.stopped:
                        log("note", f"stopped after {tally.records} records, as --limit says; there may be more")
                        return
    finally:
        close = getattr(pieces, "close", None)  # a generator's: what it must put in order is put in order now
        if close is not None:
            close()


def _ours(
    call: Call, window: Window | None, tally: Tally, log: Log, present: Callable[[], datetime] | None
) -> Callable[[Page], Page]:
    """Return a function that leaves in a page the records that are of the window and have not come before."""
    seen = DuplicateFilter()
    once = new_once()

    def ours(page: Page) -> Page:
        records = page.records
        starts: Sequence[datetime | None] = []
        if window is not None and call.windowed:
            starts = starts_of(page, call, latest_start(present))
        if starts:
            span = _span(starts)
            if None in starts:
                _tell_of_odd_starts(page, starts, call, log, once)
            if window is not None and not (span and window.holds(span[0]) and window.holds(span[1])):
                at = [at for at, start in enumerate(starts) if start is None or window.holds(start)]
                records, span = _only(records, at), _span([starts[one] for one in at])
        else:
            span = None
        keys = run_keys(page.context, identities(records, call.identity))
        fresh = seen.new_positions(keys, span, None if call.stands_for_many else contents_of(records))
        if fresh is None:
            return Page(records, page.context)
        tally.duplicates += len(keys) - len(fresh)
        if seen.later:
            tally.same_id += len(seen.later)
            if once("same id"):
                log("warning", SAME_ID)
        later = frozenset(at for at, one in enumerate(fresh) if one in seen.later)
        return Page(_only(records, fresh), page.context, later)

    return ours


SAME_ID = (
    "records came with the id of another record and different content: all of them are kept, so count by content and "
    "not by id"
)


def _tell_of_odd_starts(
    page: Page, starts: Sequence[datetime | None], call: Call, log: Log, once: Callable[[str], bool]
) -> None:
    """Warn, once for each kind, that a page has records without a start that can be read, or that can be true."""
    for record, start in zip(page.records, starts, strict=True):
        if start is not None:
            continue
        future = call.starts(record, page.context)
        if future is None:
            if once("unread"):
                log("warning", "a record came whose start cannot be read; such records are kept")
        elif once("future"):
            log(
                "warning",
                f"a record came whose start, {rfc3339(future)}, is in the future: no window has it, so such records "
                "are kept in every export that gets them",
            )


def _wanted(
    page: Page,
    schema: Schema,
    tally: Tally,
    limit: int | None,
    keep: Callable[[Sequence[Any]], Sequence[Any]] | None,
) -> Sequence[Any]:
    """Return the rows of a page that are to be written, and count them."""
    found: Sequence[Any] = page.records
    if keep is not None and found:
        found = keep(schema.rows(page))
        tally.left_out += len(page.records) - len(found)
    tally.stopped = limit is not None and tally.records + len(found) >= limit
    if limit is not None and tally.stopped:
        found = found[: limit - tally.records]
    tally.records += len(found)
    return schema.rows(Page(found, page.context, page.later)) if keep is None and found else found


def _counted(done: Checkpoint, window: Window | None, tally: Tally) -> None:
    """Count how much more of the window has been read; what is asked for around it is none of it."""
    if window is not None:
        since, until = max(window.since, done.window.since), min(window.until, done.window.until)
        tally.read += max(timedelta(0), until - since)
        tally.windows += since < until


def _told(piece: Note | Gap, tally: Tally, log: Log) -> None:
    if isinstance(piece, Note):
        log(piece.level, piece.text)
        return
    tally.gaps.append(piece)
    more = "; ".join(filter(None, (piece.said and f"the provider said: {piece.said}", piece.hint)))
    log("warning", f"incomplete: {piece.what}" + (f" ({more})" if more else ""))


def _only(records: Sequence[Record], at: Sequence[int]) -> Sequence[Record]:
    return records.only(at) if isinstance(records, RecordBatch) else [records[one] for one in at]


def starts_of(page: Page, call: Call, latest: datetime | None = None) -> Sequence[datetime | None]:
    """Return the start of each record's call, in UTC, or None where it cannot be read, or is after `latest`."""
    batch = key_columns(page.records)
    if batch is not None:
        with suppress(ValueError):  # then each is looked at
            starts = batch.starts
            if possible_start(min(starts), latest) and possible_start(max(starts), latest):
                return starts
    return [call.starts(record, page.context, latest) for record in page.records]


def _span(starts: Sequence[datetime | None]) -> Span | None:
    """Return the first and the last start, or None where not all are known."""
    if not starts or None in starts:
        return None
    known = cast("Sequence[datetime]", starts)
    return min(known), max(known)
