"""The one loop: pieces from a fetcher become rows for a writer, each record once, and it is counted what happened."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any, cast

from cdrctl.contents import contents_of
from cdrctl.duplicates import DuplicateFilter, Span
from cdrctl.fetchers import CLOCK_TOLERANCE, Call, Once, Provider, identities, possible_start
from cdrctl.mending import mending
from cdrctl.records.batches import RecordBatch, RowBatch, batches, key_columns
from cdrctl.records.events import Checkpoint, Event, File, Gap, Note, Page, Record, Row, fingerprint
from cdrctl.records.schemas import KEY_COLUMN, Schema
from cdrctl.threads import started
from cdrctl.windows import Window, cut, rfc3339

Log = Callable[[str, str], None]
"""Told a level (`note`, `warning`, `progress`) and a sentence."""


UP_TO_NOW = timedelta(seconds=60)
"""A window that ends this close to now asks for what there is so far."""


LONG_CALL = timedelta(hours=2)
"""Hardly a call lasts longer: a window that was over so long ago is not said to miss calls in progress."""


def reachable(
    window: Window, lag: timedelta, now: datetime, title: str, *, cut: bool = True
) -> tuple[Window | None, list[Note | Gap]]:
    """Return the part of a window to ask for, or None, and what to say of the calls that may be missing from it.

    A provider has a call when it has ended, or up to `lag` later. A window that reaches to now is asked for up to now,
    and a note says from when on calls may be missing. If the provider refuses newer times (`cut`), the window ends
    `lag` before now. A window that was over before now, and whose last minutes may not be there yet, is incomplete.

    Args:
        window: What the user asked for.
        lag: How long after the end of a call the provider can be relied upon to have it.
        now: The present.
        title: The provider.
        cut: Whether the provider refuses times after `now - lag`.
    """
    newest = (now - lag).replace(microsecond=0)
    if window.until <= newest:
        if newest - window.until >= LONG_CALL:
            return window, []
        short = f"calls that were still in progress at {rfc3339(newest)} are not included (-v says more)"
        return window, _recent(short, title, lag)
    if cut:
        there = Window(window.since, newest) if window.since < newest else None
    else:
        there = Window(window.since, min(window.until, now)) if window.since < now else None
    if window.until >= now - UP_TO_NOW:
        short = f"from {rfc3339(newest)} on, calls may still be missing (-v says more)"
        if cut:
            short = f"{title} has no calls after {rfc3339(newest)} yet (-v says more)"
        return there, _recent(short, title, lag)
    minutes = max(1, -((newest - window.until) // timedelta(minutes=1)))
    since, until = rfc3339(max(newest, window.since)), rfc3339(window.until)
    yet = "does not have" if cut else "may not have all of"
    return there, [Gap(f"{title} {yet} the calls from {since} to {until} yet", f"run it again in {minutes} min")]


RECENT = "recent"
"""The topic of a note that says from when on calls may be missing."""


def _recent(short: str, title: str, lag: timedelta) -> list[Note | Gap]:
    """Return one short note, and a longer one for those who ask for details."""
    minutes = lag // timedelta(minutes=1)
    long = (
        f"{title} has a call when it has ended, or up to {minutes} min later; calls still in progress are not "
        "included. To get them, overlap the next export by the length of a long call and drop duplicates by record_id, "
        "or use sync"
    )
    return [Note(short, topic=RECENT), Note(long, "debug", RECENT)]


def by_their_clock(
    pieces: Iterator[Event],
    window: Window,
    lag: timedelta,
    ahead: Callable[[], timedelta | None],
    now: datetime,
    title: str,
) -> Iterator[Event]:
    """Yield the pieces of a window and, where it ends after the provider's own present, what cannot have been in it.

    `ahead` says, once answers came, how far the clock that gave `now` is ahead of the provider's. A clock that is
    ahead by hours lets a nightly export ask for hours that have not happened, and the next one never asks again.
    """
    yield from pieces
    by = ahead()
    if by is None or by <= UP_TO_NOW or window.until <= now - by:
        return
    end = rfc3339((now - by).replace(microsecond=0))
    if window.until >= now - lag - UP_TO_NOW:  # it was asked for up to now
        yield Note(f"by the clock of {title} it is {end}: the calls after that are to come")
    else:
        yield Gap(
            f"by the clock of {title} it is {end}: the calls from then to {rfc3339(window.until)} are to come",
            "set this machine's clock right, and run it again",
        )


# Asking ahead, and in parts


PARTS_OF_A_JOB = 6
"""So many parts of a window for each that may be asked for at once: calls are not spread evenly over a day."""


def parts(window: Window, call: Call, shortest: timedelta, jobs: int, now: datetime) -> list[Window]:
    """Return adjacent windows that cover a window, oldest first, to be asked for at the same time.

    What may be older than the provider keeps is one part: whether anything of it is there shows in the whole of it.
    """
    kept = now - call.retention + timedelta(days=1) if call.retention is not None else window.since
    if window.since >= kept:
        return [*cut(window, call.longest, shortest, PARTS_OF_A_JOB * jobs)]
    if window.until <= kept:
        return [window]
    newer = cut(Window(kept, window.until), call.longest, shortest, PARTS_OF_A_JOB * jobs)
    return [Window(window.since, kept), *newer]


def new_once() -> Once:
    """Return a thread-safe function that is true only the first time it is called with a given name."""
    seen: dict[str, object] = {}

    def once(name: str) -> bool:
        mine = object()
        return seen.setdefault(name, mine) is mine

    return once


def said_once(pieces: Generator[Event, None, None]) -> Iterator[Event]:
    """Yield the pieces without notes and gaps that have come before: of parts, several say the same."""
    said: set[tuple[type[Note | Gap], str]] = set()
    with closing(pieces):
        for piece in pieces:
            if isinstance(piece, Note | Gap):
                text = type(piece), piece.text if isinstance(piece, Note) else piece.what
                if text in said:
                    continue
                said.add(text)
            yield piece


LISTEN_SECONDS = 0.5
"""How long one wait for a piece takes: a signal that another thread gets wakes nobody out of a longer one."""

PATIENCE_SECONDS = 0.5
"""How long all threads may take to end when nobody wants more of them: one may be in the middle of a request."""


def at_once(fetches: Iterable[Callable[[], Iterator[Event]]], jobs: int = 1) -> Generator[Event, None, None]:
    """Yield the pieces of all fetches, up to `jobs` of which run at the same time, each in a thread.

    Each is at most one piece ahead: while a piece is written the next one is asked for, and never a second one, so
    that little is asked for in vain and memory holds a page or two for each. With one job pieces come in order, with
    several as they come. What goes wrong in a thread is raised here, after the pieces that came before it. Pieces are
    not looked at by whoever yielded them afterwards; so a file, whose content comes later, must not be among them.
    """
    left = deque(fetches)
    wanted: SimpleQueue[bool] = SimpleQueue()  # whether one more is, which whoever has one waits for
    came: SimpleQueue[Event | BaseException | None] = SimpleQueue()

    def work() -> None:
        end: BaseException | None = None
        try:
            while (fetch := _first(left)) is not None:
                if not _handed_over(fetch, wanted, came):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
            end = error
        if wanted.get():
            came.put(end)

    # Fewer threads than jobs do the same work.
    threads = started(
        threading.Thread(target=work, name="cdrctl-fetch", daemon=True) for _ in range(min(jobs, len(left)))
    )
    running = len(threads)
    try:
        while running:
            wanted.put(True)  # before it is waited for: whoever has it then need not wait, and asks for the next
            piece = _next(came)
            if piece is None:
                running -= 1
            elif isinstance(piece, BaseException):
                raise piece
            else:
                yield piece
            del piece
    finally:
        left.clear()
        with suppress(Empty):
            wanted.get_nowait()
        for _ in threads:
            wanted.put(False)
        patience = time.monotonic() + PATIENCE_SECONDS
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, patience - time.monotonic()))


_Fetch = Callable[[], Iterator[Event]]


def _first(left: deque[_Fetch]) -> _Fetch | None:
    """Return what is the turn of whoever asks, or None: several threads ask."""
    with suppress(IndexError):
        return left.popleft()
    return None


def _handed_over(
    fetch: _Fetch,
    wanted: SimpleQueue[bool],
    came: SimpleQueue[Event | BaseException | None],
) -> bool:
    """Hand the pieces of a fetch over, each when it is wanted, and return whether all were."""
    pieces = fetch()
    with closing(pieces) if isinstance(pieces, Generator) else nullcontext():
        for piece in pieces:
            if not wanted.get():
                return False
            came.put(piece)
            del piece
    return True


def _next(came: SimpleQueue[Event | BaseException | None]) -> Event | BaseException | None:
    """Return the next that comes, in steps in which Ctrl-C is heard."""
    while True:
        with suppress(Empty):
            return came.get(timeout=LISTEN_SECONDS)


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


def providers_present(now: Callable[[], datetime], ahead: Callable[[], timedelta | None]) -> Callable[[], datetime]:
    """Return a function that gives the provider's present: our own, less what our clock is known to be ahead."""

    def present() -> datetime:
        by = ahead()
        return now() - by if by is not None else now()

    return present


def latest_start(present: Callable[[], datetime] | None) -> datetime | None:
    """Return the last instant at which a call can have started; None where the provider's present is not known."""
    return present() + CLOCK_TOLERANCE if present is not None else None


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


DIGEST_BYTES = 15
"""Of an identity's BLAKE2b: two of a billion records share one with a probability of 4e-19."""


def _only(records: Sequence[Record], at: Sequence[int]) -> Sequence[Record]:
    return records.only(at) if isinstance(records, RecordBatch) else [records[one] for one in at]


def starts_of(page: Page, call: Call, latest: datetime | None = None) -> Sequence[datetime | None]:
    """Return the start of each record's call, in UTC, or None where it cannot be read, or is after `latest`."""
    sheet = key_columns(page.records)
    if sheet is not None:
        with suppress(ValueError):  # then each is looked at
            starts = sheet.starts
            if possible_start(min(starts), latest) and possible_start(max(starts), latest):
                return starts
    return [call.starts(record, page.context, latest) for record in page.records]


def _span(starts: Sequence[datetime | None]) -> Span | None:
    """Return the first and the last start, or None where not all are known."""
    if not starts or None in starts:
        return None
    known = cast("Sequence[datetime]", starts)
    return min(known), max(known)


def run_keys(context: Mapping[str, str], found: Sequence[str]) -> Sequence[str]:
    """Return identities within a page's context as text: no two of different contexts are equal, and none is long.

    They are for the memory of one run: most stay as they came, because a digest of each takes ten times as long. What
    archives keep from run to run is `stable_keys`.
    """
    if found and (max(map(len, found)) > LONGEST_IDENTITY or min(found) < "\1"):
        found = [_DIGEST + _key(b"", one).hex() if len(one) > LONGEST_IDENTITY or one < "\1" else one for one in found]
    if not context:
        return found
    within = "\0" + "".join(f"{len(value)}:{value}" for value in context.values()) + ";"
    return [within + one for one in found]


LONGEST_IDENTITY = 100
"""Characters of an identity that are kept as they are; of longer ones a digest is."""

_DIGEST = "\0#"


def _within(context: Mapping[str, str]) -> bytes:
    """Return a page's context as bytes that no other context, whatever follows it, begins with."""
    values = [value.encode("utf-8", "surrogatepass") for value in context.values()]
    return b"%d;" % len(values) + b"".join(b"%d:%s" % (len(value), value) for value in values)


def _key(within: bytes, identity: str) -> bytes:
    whole = within + identity.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=DIGEST_BYTES).digest()


def stable_keys(context: Mapping[str, str], found: Sequence[str]) -> list[bytes]:
    """Return digests of identities within their page's context: what makes records the same from run to run.

    Archives keep them in their indexes, where each must have the same few bytes and stay what it is in later versions.
    The memory of one run has `run_keys`, which may change at any time.
    """
    within = _within(context)
    return [_key(within, identity) for identity in found]


def with_record_key(schema: Schema, provider: Provider, call: Call, profile: str) -> Schema:
    """Return a schema whose first column is what makes a record this record, whoever else's records are beside it.

    A record with the identity of an earlier one and other content has a key that depends on its content too.

    Records of two calls may have one key where these calls give the same records: their columns and identity are the
    same. Two profiles may have records with the same ids, and their keys differ.
    """
    kind = next(one for one in provider.calls if (one.columns, one.identity) == (call.columns, call.identity))
    origin = {"provider": provider.name, "kind": f"{kind.group} {kind.name}", "profile": profile}

    def rows(page: Page) -> Sequence[Row]:
        context = {**origin, **{f"@{name}": value for name, value in page.context.items()}}
        keys = [key.hex() for key in stable_keys(context, identities(page.records, call.identity))]
        for at in page.later:
            keys[at] = _key(keys[at].encode(), fingerprint(page.records[at])).hex()
        found = schema.rows(page)
        if isinstance(found, RowBatch):
            return RowBatch([keys, *found.columns], [True, *found.texts], len(found))
        return [[key, *row] for key, row in zip(keys, found, strict=True)]

    return Schema((KEY_COLUMN, *(schema.columns or ())), rows, schema.unfold)
