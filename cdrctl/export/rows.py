"""The one loop: a fetcher's events become rows, cut to the window, without duplicates, and counted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast

from msgspec import Struct, field

from cdrctl.contents import contents_of
from cdrctl.duplicates import DuplicateFilter, Span
from cdrctl.export.availability import latest_start
from cdrctl.export.identity import run_keys
from cdrctl.export.parallel import new_once
from cdrctl.fetchers import Call, identities, possible_start, span_of
from cdrctl.mending import mender
from cdrctl.records.batches import RecordBatch, batches, key_columns
from cdrctl.records.columns import keys_of
from cdrctl.records.events import Checkpoint, Event, File, Gap, Note, Page, Record, Row
from cdrctl.records.schemas import Schema
from cdrctl.windows import Window, rfc3339

Log = Callable[[str, str], None]
"""Receives a level (`note`, `warning`, `progress` …) and a sentence."""

Keep = Callable[[Sequence[Any]], Sequence[Any]]
"""From the rows of a page to those that are wanted."""

Save = Callable[[File], None]
"""Receives a file that came from the provider."""

Moved = Callable[[Checkpoint | None], None]
"""Called whenever a tally has changed, with the checkpoint if there was one."""


class Tally(Struct):
    """What an export has done so far: counts, how much of its window has been read, and the gaps.

    Args:
        records: Records that were yielded.
        pages: Pages that came.
        duplicates: Records that were dropped because they had come before.
        same_id: Records that came with the id of another record and different content.
        left_out: Records for which the condition does not hold.
        windows: Checkpoints within the window.
        read: How much of the window has been read.
        gaps: What could not be fetched.
        stopped: Whether the limit was reached.
    """

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
    events: Iterable[Event],
    call: Call,
    schema: Schema,
    window: Window | None,
    tally: Tally,
    log: Log,
    limit: int | None = None,
    *,
    save: Save | None = None,
    keep: Keep | None = None,
    moved: Moved = lambda _done: None,
    present: Callable[[], datetime] | None = None,
) -> Generator[Sequence[Row] | Sequence[Record], None, None]:
    """Yield pages of rows: every record whose call started in the window, once, until the limit is reached.

    A record is kept, with one warning, if its start cannot be read or lies after the present of the provider's clock:
    it may be of this window, and it is money. So are records that have the id of another record and different content.
    Notes and gaps are logged, and gaps are kept in the tally. The record of a file is yielded after `save` had it. The
    events are closed at the end.
    """
    clean = _window_filter(call, window, tally, log, present)
    warn = functools.partial(log, "warning")
    mend = mender(call.identity, lambda gap: _report(gap, tally, log), warn, raw=schema.columns is None)
    try:
        for event in events:
            if isinstance(event, Note | Gap):
                _report(event, tally, log)
            elif isinstance(event, Checkpoint):
                _count_window(event, window, tally)
                moved(event)
            elif isinstance(event, File):
                if save is not None:
                    save(event)
                tally.records += 1
                yield schema.rows(mend(Page([event.record])))
            else:
                tally.pages += event.number
                cleaned = (mend(clean(Page(part, event.context))) for part in batches(event.records))
                yield from _wanted_rows(cleaned, schema, tally, log, limit, keep, moved)
                if tally.stopped:
                    return
            del event  # its buffer is used again for a page that is on its way
    finally:
        close = getattr(events, "close", None)  # a generator must end now, not when it is collected
        if close is not None:
            close()


def _wanted_rows(
    pages: Iterable[Page],
    schema: Schema,
    tally: Tally,
    log: Log,
    limit: int | None,
    keep: Keep | None,
    moved: Moved,
) -> Iterator[Sequence[Any]]:
    """Yield the rows of pages that are to be written, and count them; stop at the limit."""
    for page in pages:
        found: Sequence[Any] = page.records
        if keep is not None and found:
            found = keep(schema.rows(page))
            tally.left_out += len(page.records) - len(found)
        tally.stopped = limit is not None and tally.records + len(found) >= limit
        if limit is not None and tally.stopped:
            found = found[: limit - tally.records]
        tally.records += len(found)
        written = schema.rows(Page(found, page.context, page.later)) if keep is None and found else found
        moved(None)
        if written:
            yield written
        if tally.stopped:
            log("note", f"stopped after {tally.records} records, as --limit says; there may be more")
            return


def _window_filter(
    call: Call, window: Window | None, tally: Tally, log: Log, present: Callable[[], datetime] | None
) -> Callable[[Page], Page]:
    """Return a function that leaves in a page the records that are of the window and have not come before."""
    seen, fields = DuplicateFilter(), keys_of(call.columns) if call.key_fields is not None else ()
    once = new_once()

    def clean(page: Page) -> Page:
        records = page.records
        starts: Sequence[datetime | None] = []
        if window is not None and call.windowed:
            starts = starts_of(page, call, latest_start(present))
        span = _span(starts) if starts else span_of(records)
        if None in starts:
            _warn_of_odd_starts(page, starts, call, log, once)
        if starts and window is not None and not (span and window.holds(span[0]) and window.holds(span[1])):
            at = [at for at, start in enumerate(starts) if start is None or window.holds(start)]
            records, span = _only(records, at), _span([starts[one] for one in at])
        keys = run_keys(page.context, identities(records, call.identity))
        fresh = seen.new_positions(keys, span, None if call.stands_for_many else contents_of(records, fields))
        if fresh is None:
            return Page(records, page.context)
        tally.duplicates += len(keys) - len(fresh)
        if seen.later:
            tally.same_id += len(seen.later)
            if once("same id"):
                log("warning", SAME_ID)
        later = frozenset(at for at, one in enumerate(fresh) if one in seen.later)
        return Page(_only(records, fresh), page.context, later)

    return clean


SAME_ID = (
    "some records have the id of another record but different content: all of them are kept, so count by content and "
    "not by id"
)


def _warn_of_odd_starts(
    page: Page, starts: Sequence[datetime | None], call: Call, log: Log, once: Callable[[str], bool]
) -> None:
    """Warn, once for each kind, that a page has records without a start that can be read, or that can be true."""
    for record, start in zip(page.records, starts, strict=True):
        if start is not None:
            continue
        future = call.starts(record, page.context)
        if future is None:
            if once("unread"):
                log("warning", "a record has a start that cannot be read; such records are kept")
        elif once("future"):
            log(
                "warning",
                f"a record came whose start, {rfc3339(future)}, is in the future, so it is in no window; such records "
                "are kept in every export that receives them",
            )


def _count_window(done: Checkpoint, window: Window | None, tally: Tally) -> None:
    """Count how much more of the window has been read, without what is requested around it."""
    if window is not None:
        since, until = max(window.since, done.window.since), min(window.until, done.window.until)
        tally.read += max(timedelta(0), until - since)
        tally.windows += since < until


def _report(event: Note | Gap, tally: Tally, log: Log) -> None:
    if isinstance(event, Note):
        log(event.level, event.text)
        return
    tally.gaps.append(event)
    more = "; ".join(filter(None, (event.said and f"the provider said: {event.said}", event.hint)))
    log("warning", f"incomplete: {event.what}" + (f" ({more})" if more else ""))


def _only(records: Sequence[Record], at: Sequence[int]) -> Sequence[Record]:
    return records.only(at) if isinstance(records, RecordBatch) else [records[one] for one in at]


def starts_of(page: Page, call: Call, latest: datetime | None = None) -> Sequence[datetime | None]:
    """Return the start of each record's call, in UTC, or None where it cannot be read, or is after `latest`."""
    batch = key_columns(page.records)
    if batch is not None:
        with suppress(ValueError):  # then each is looked at
            starts = batch.starts_in(page.context)
            if possible_start(min(starts), latest) and possible_start(max(starts), latest):
                return starts
    return [call.starts(record, page.context, latest) for record in page.records]


def _span(starts: Sequence[datetime | None]) -> Span | None:
    """Return the first and the last start, or None where not all are known."""
    if not starts or None in starts:
        return None
    known = cast("Sequence[datetime]", starts)
    return min(known), max(known)
