"""The events of a call: the provider's records of a window, and what is known to be missing from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.export.availability import events_by_their_clock, is_recent, reachable
from cdrctl.export.gathering import gathered
from cdrctl.export.parallel import new_once, parts, without_repeats
from cdrctl.export.rows import Log
from cdrctl.fetchers import Call, Fetch, Provider, Query
from cdrctl.records.events import Event, Gap, Note
from cdrctl.threads import merge
from cdrctl.windows import Window

if TYPE_CHECKING:
    from cdrctl.export.request import ExportRequest
    from cdrctl.records.arrays import KnownLists


class OpenCall(Struct, frozen=True):
    """A call of a profile that is ready for requests.

    Args:
        provider: The provider.
        call: The call.
        profile: The name of the profile.
        query: What its fetcher is called with, without a window.
        now: Gives the present instant by the clock of this machine.
        log: Receives notes and warnings.
    """

    provider: Provider
    call: Call
    profile: str
    query: Query[Any]
    now: Callable[[], datetime]
    log: Log

    @property
    def client(self) -> Any:
        """The client of the profile; None for a call that is offline."""
        return self.query.client

    def ahead(self) -> timedelta | None:
        """Return how far this machine's clock is ahead of the provider's; None before the first response."""
        ahead: timedelta | None = self.client.ahead if self.client is not None else None
        return ahead

    def present(self) -> datetime:
        """Return the present instant by the provider's clock, or by this machine's before the first response."""
        by = self.ahead()
        return self.now() - by if by is not None else self.now()


def events_of(
    opened: OpenCall, request: ExportRequest, *, recent_noted: bool = False
) -> tuple[Window | None, Iterator[Event]]:
    """Return the part of the requested window that the provider can have by now, and the events of a call in it.

    The window is None for a call without one, and where the provider can have none of it yet.

    Args:
        opened: The call.
        request: The request: its window, the number of parallel jobs, and whether it may stop early.
        recent_noted: A note about the end of the window has been written already.
    """
    call, title, now = opened.call, opened.provider.title, opened.now()
    raw = request.schema == "raw"
    if not call.takes_window:
        return None, call.fetch(with_decoder(opened.query, call, raw=raw))
    asked = request.window.read(call.timing.default_since, opened.query.settings, now)
    window, first = reachable(asked, call.timing.lag, now, title, cut=call.timing.refuses_newer)
    stops_early = request.selection.stops_at is not None
    if stops_early:  # where it stops has nothing to do with the end of the window
        first = [event for event in first if isinstance(event, Gap)]
    elif recent_noted:
        first = [event for event in first if not is_recent(event)]
    if window is None:
        return None, iter(first)
    ahead, note = _parts_ahead(opened, window, request.jobs, now, stops_early=stops_early)
    if note is not None:
        first = [*first, note]
    gather = not request.live
    events = fetch_window(opened, window, raw=raw, ahead=ahead, jobs=request.jobs, now=now, gather=gather)
    return window, _after(first, events)


def _parts_ahead(
    opened: OpenCall, window: Window, jobs: int, now: datetime, *, stops_early: bool
) -> tuple[list[Window], Note | None]:
    """Return the parts of a window to be fetched ahead, and a note where several jobs are of no use."""
    ahead = [window] if jobs and not stops_early else []
    if jobs <= 1:
        return ahead, None
    timing = opened.call.timing
    shortest = timing.min_parallel_window(opened.query.options)
    why = timing.serial_because if shortest is None else "so short a window is not worth several requests"
    if not ahead:
        why = "with --limit, nothing is requested that may not be needed"
    elif shortest is not None:
        ahead = parts(window, opened.call, shortest, jobs, now)
    if len(ahead) > 1:
        return ahead, None
    return ahead, Note(f"{opened.provider.title} is queried sequentially in spite of --jobs: {why}")


def with_decoder(
    query: Query[Any], call: Call, *, raw: bool, lines: bool = True, known: KnownLists | None = None
) -> Query[Any]:
    """Return the query with a client that decodes the pages of this call column by column, if they can be read so.

    Args:
        query: The query.
        call: The call.
        raw: The JSON text of each record is needed.
        lines: That text is written as it came, one record on each line.
        known: With `raw`, the lists of records that were read before; None if nobody needs the digests of lists.
    """
    if query.client is None or call.key_fields is None:
        return query
    from cdrctl.records.decoding import BatchDecoder

    decoder = BatchDecoder(call.columns, call.key_fields, raw=raw, lines=lines, known=known)
    return replace(query, client=query.client.with_decoder(decoder))


def fetch_window(
    opened: OpenCall,
    window: Window,
    *,
    raw: bool = False,
    lines: bool = True,
    ahead: Sequence[Window] = (),
    jobs: int = 1,
    now: datetime | None = None,
    gather: bool = False,
    known: KnownLists | None = None,
) -> Iterator[Event]:
    """Return the events of a window, and a note or gap where it ends after the provider's present.

    `raw`, `lines` and `known` are those of `with_decoder`. With `ahead`, which is the window itself or its parts, the
    next event is fetched while one is written, and as many parts in parallel as there are jobs. With `gather`, small
    pages that come quickly are yielded together, so that the last of them may wait for the next response.
    """
    decoding = with_decoder(opened.query, opened.call, raw=raw, lines=lines, known=known)
    fetch, query = opened.call.fetch, replace(decoding, period=window)
    if gather and ahead:
        fetch = functools.partial(_gathered, fetch)
    events: Iterator[Event]
    if not ahead:
        events = fetch(query)
    elif len(ahead) == 1:
        events = merge([functools.partial(fetch, query)])
    else:
        part = replace(query, once=new_once(), whole=window)
        queries = [replace(part, period=one) for one in ahead]
        events = without_repeats(merge([functools.partial(fetch, one) for one in queries], jobs))
    if opened.client is None:
        return events
    at = opened.now() if now is None else now
    return events_by_their_clock(events, window, opened.call.timing.lag, opened.ahead, at, opened.provider.title)


def _after(first: Sequence[Note | Gap], events: Iterator[Event]) -> Iterator[Event]:
    yield from first
    yield from events


def _gathered(fetch: Fetch, query: Query[Any]) -> Iterator[Event]:
    return gathered(fetch(query), query.client.clock.monotonic) if query.client is not None else fetch(query)
