"""Calls and call logs: windows, pages, and reading again when records appeared or disappeared meanwhile."""

from __future__ import annotations

import functools
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec import Struct, field

from cdrctl.errors import CdrctlError, ProviderError, TemporaryError, UsageError
from cdrctl.fetchers import CLOCK_TOLERANCE, Once, Query, always, possible_start
from cdrctl.fetchers.portsip.answers import items_in, total_in
from cdrctl.fetchers.portsip.columns import CALLLOGS, CDRS, identity, start
from cdrctl.fetchers.portsip.details import with_costs
from cdrctl.fetchers.portsip.requests import listing_url, quoted_text, written_instant
from cdrctl.fetchers.portsip.settings import BUDGET, TITLE, PortsipSettings
from cdrctl.fetchers.readings import Reading, Readings, read_again
from cdrctl.http import Client, Request, Total, by_offset, in_halves
from cdrctl.records.batches import key_columns
from cdrctl.records.columns import keys_of
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page, Record
from cdrctl.windows import Window, halve, rfc3339, tile

SETTLED = timedelta(minutes=5)
"""A CDR is written when its call ends; how much later it can be read is not published."""

LARGEST_PAGE = 100
"""`top` is 1 to 100 (OpenAPI file of v22.2, "List call reports")."""

LOOK_BACK = timedelta(days=5 * 365 + 2)
"""How far v22.5.0 and later go back (release notes): five years, with the leap days they may have."""

SMALLEST = timedelta(seconds=1)
READINGS = 4
"""How often one window is read at most, while each reading brings new calls."""

UNIT = timedelta(microseconds=1)
"""The PBX's finest unit of time. Requests are this much longer at both ends of a window, in case the PBX treats a bound
otherwise than `ge` and `lt` say."""

ASTRAY = timedelta(minutes=1)
"""A record so far outside the requested window shows that the PBX ignores the filter."""


class Run(Struct):
    """One listing in one run, and what was learnt of the PBX while reading it.

    Args:
        orders: Sort orders, the best first; if the PBX refuses one, the next is used. An empty one requests no order.
        given: The user's options in the request, for messages.
        honours: Whether the PBX applies `filter`, as far as is known.
        tries: Attempts of each request; fewer once the PBX has been too slow.
        doubted: Whether the user was warned that this PBX's totals are wrong.
        once: True for the first part of the window that reads all calls.
    """

    client: Client
    path: str
    condition: str = ""
    search: str | None = None
    orders: list[str] = field(default_factory=lambda: ["id asc", ""])
    size: int = LARGEST_PAGE
    given: str = ""
    honours: bool = True
    tries: int = 5
    doubted: bool = False
    once: Once = always

    def where(self, window: Window | None) -> str:
        """Return the filter for the calls of a window, a UNIT longer at both ends, and for the user's condition."""
        parts = [self.condition] if self.condition else []
        if window is not None:
            parts.append(f"started_at ge {quoted_text(written_instant(window.since - UNIT))}")
            parts.append(f"started_at lt {quoted_text(written_instant(window.until + UNIT))}")
        return " and ".join(parts)

    def page(self, where: str, skip: int, *, size: int | None = None) -> tuple[Sequence[Record], Total]:
        """Return a page and the total that came with it.

        Raises:
            UsageError: The PBX refused the user's filter, search or order.
            ProviderError: The PBX refused cdrctl's own filter or order, or sent an unknown response.
        """
        while True:
            params = [("filter", where), ("search", self.search or ""), ("orderby", self.orders[0])]
            params += [("top", str(size or self.size)), ("skip", str(skip)), ("count", "true")]
            url = listing_url(self.client, self.path, [(name, value) for name, value in params if value])
            try:
                answer = self.client.ask(Request("GET", url, records=("items",)), tries=self.tries)
            except ProviderError as error:
                if error.status != 400:
                    raise
                if len(self.orders) == 1:
                    raise self._refused(error, where) from None
                del self.orders[0]
                continue
            del self.orders[1:]
            return items_in(answer, skip), total_in(answer)

    def _refused(self, error: ProviderError, where: str) -> CdrctlError:
        sent = f"the filter sent was: {where}" if where else "no filter was sent"
        if self.given:
            return UsageError(
                f"{TITLE} does not accept {self.given}", said=error.said, hint=f"check it; {sent}", status=error.status
            )
        back = "; since v22.5.0 it goes back five years" if "started_at" in where else ""
        return ProviderError(
            f"{TITLE} refused to list {self.path.strip('/')}", said=error.said, hint=sent + back, status=error.status
        )


def _check_brackets(text: str) -> None:
    """Refuse a filter with unbalanced brackets or quotes, which would change the meaning of the window's filter."""
    depth = 0
    for part in _unquoted(text):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if depth < 0:
            break
    if depth or "'" in _unquoted(text):
        raise UsageError(f"--filter {text!r}: unbalanced brackets or quotes", hint="for example caller eq '100'")


def _unquoted(text: str) -> str:
    """Return a filter without its quoted values."""
    return re.sub(_TEXT, "", text)


_TEXT = r"'(?:[^']|'')*'"
_COMPARISON = re.compile(
    rf"\w+ +(?:eq|ne|gt|ge|lt|le) +(?:{_TEXT}|-?[0-9.]+|true|false|null)"
    rf"|(?:startswith|endswith|contains)\( *\w+ *, *{_TEXT} *\)"
)


def _operand(text: str) -> str:
    """Return a filter as an operand of `and`: in brackets, unless it is a single comparison as the guide shows it.

    The guide does not show brackets. Without them, a filter that is not well formed could swallow what follows it.
    """
    return text if _COMPARISON.fullmatch(text) else f"({text})"


def cdrs(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield the calls of `GET /cdrs`, or of `GET /user/cdrs`, that started in the window."""
    return _listing(query, "/user/cdrs" if query.options["own"] else "/cdrs")


def calllogs(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield the call logs of `GET /calllogs` (since v22.0.42) that started in the window."""
    return _listing(query, "/calllogs")


def _listing(query: Query[PortsipSettings], path: str) -> Iterator[Event]:
    window, options = query.window, query.options
    longest = options["window"]
    if longest < SMALLEST:
        raise UsageError("--window must be at least 1s", hint="24h is usual; use less if the PBX is slow")
    orderby = (options["orderby"] or "").strip()
    listing = run_for(query, path)
    listing.orders = [f"{orderby}, id asc", orderby] if orderby else ["started_at asc, id asc", "started_at asc"]
    pieces = _windows(listing, window, longest)
    if not options["with_cost"]:
        yield from pieces
        return
    if query.known is None:
        yield _announcement(listing, window)
    yield from with_costs(query, path, pieces)


def _announcement(listing: Run, window: Window) -> Note:
    """Return the note that says how many requests the costs take, from one small request."""
    records, total = listing.page(listing.where(window), 0, size=1)
    count = total.rows
    if count is None or (records and not count):
        return Note("--with-cost takes one request per record")
    seconds = count * BUDGET.seconds / BUDGET.requests
    lasts = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
    return Note(f"--with-cost takes one request for each of {count} records: {lasts}")


def run_for(query: Query[PortsipSettings], path: str) -> Run:
    """Return the listing with the user's filter, search and page size."""
    options = query.options
    if not 1 <= options["page_size"] <= LARGEST_PAGE:
        raise UsageError(
            f"--page-size {options['page_size']} is not a number from 1 to {LARGEST_PAGE}",
            hint="leave it out for the usual size",
        )
    filters = [text.strip() for text in options["filter"]]
    for text in filters:
        _check_brackets(text)
    if not all(filters):
        raise UsageError("--filter is empty", hint="for example --filter \"direction eq 'INBOUND_CALL'\"")
    words = {"--filter": " and ".join(filters), "--search": options["search"], "--orderby": options["orderby"]}
    return Run(
        query.client,
        path,
        condition=" and ".join(map(_operand, filters)),
        search=options["search"],
        size=options["page_size"],
        given=" or ".join(f"{name} {text!r}" for name, text in words.items() if text),
        once=query.once,
    )


def _windows(listing: Run, window: Window, longest: timedelta) -> Iterator[Event]:
    """Yield the calls of a window, oldest first."""
    oldest = listing.client.clock.now() - LOOK_BACK
    reached = window.since >= oldest
    for tiled in tile(window, longest):
        for piece in _read_window(listing, tiled):
            if isinstance(piece, Page) and not reached:
                starts = [began for began in map(start, piece.records) if began is not None and possible_start(began)]
                reached = any(began < oldest for began in starts)
            yield piece
        if not listing.honours:
            if listing.condition or listing.search:
                raise ProviderError(
                    f"this PBX ignores the filter of {listing.path}, and would ignore {listing.given} too",
                    hint="leave it out and filter the output, for example with jq or awk",
                )
            if not listing.once("everything"):
                return  # another part of the window reads all calls
            yield Note(
                f"this PBX ignores the filter of {listing.path}: reading all calls and keeping those of the window"
            )
            yield from read_run(listing, None)
            return
    if not reached:
        yield Gap(
            f"no calls from before {rfc3339(oldest)} were sent; since v22.5.0 {TITLE} goes back five years",
            f"begin at --since {rfc3339(oldest)} or later if older calls do not matter",
        )


def _read_window(listing: Run, window: Window) -> Iterator[Event]:
    """Yield the calls of a window; in halves if the PBX fails on it, because deep pages are slow."""
    return in_halves(window, functools.partial(_read_part, listing), functools.partial(halve, smallest=SMALLEST))


def _read_part(listing: Run, part: Window, divisible: bool) -> Generator[Event, None, bool]:  # noqa: FBT001
    if not listing.honours:
        return True
    try:
        yield from read_run(listing, part)
        yield Checkpoint(part)
    except TemporaryError as error:
        of_data = error.wait is None and (error.status is None or error.status >= 500)
        if not of_data or not _alive(listing, part):  # with `wait`, the PBX said when to retry
            raise
        if divisible:
            listing.client.log("note", f"{TITLE} fails on {_name(listing, part)}: retrying in halves")
            listing.tries = 2
        else:
            what = f"{TITLE} fails on the calls from {_name(listing, part)}: {error.message}"
            yield Gap(what, error.said or error.hint)
        return False
    return True


def _alive(listing: Run, window: Window) -> bool:
    """Return whether the PBX answers for a second before a window; if not it is down, and halving does not help."""
    with suppress(TemporaryError):
        listing.page(listing.where(Window(window.since - 2 * SMALLEST, window.since - SMALLEST)), 0, size=1)
        return True
    return False


def _reported_total(reading: Reading) -> int | None:
    """Return the number of records by the last total, or by the highest one if a total was wrong."""
    return max(reading.counts, default=None) if reading.doubtful else reading.totals[-1]


def _is_whole(reading: Reading) -> bool:
    """Return whether all records came, and none was removed meanwhile, which moves others to earlier pages.

    A new call on an earlier page moves others to later ones, so some record comes twice.
    """
    if reading.doubtful:  # an empty page ended the reading
        return not reading.repeats and reading.records >= max(reading.counts, default=0)
    if reading.totals[-1] is None:
        return not reading.repeats  # without a total, an empty page is the end
    return reading.records >= reading.totals[-1] and reading.counts == sorted(reading.counts)


def _pages(listing: Run, where: str, readings: Readings) -> Iterator[Sequence[Record]]:
    """Yield the pages of one reading, until a page that is not full brings the last record, or an empty page.

    The documentation says both that `skip` counts from 0 and from 1. From 1, each page begins with the last record of
    the one before; so different records are counted, not rows. Two pages without a new record are the end too: a PBX
    that ignores `skip` sends the first page for ever.
    """
    reading = readings.last

    def ask(skip: int) -> tuple[Sequence[Record], int | None]:
        records, total = listing.page(where, skip)
        readings.add(records, total)
        # With `skip` from 1, more rows than different records have come when the total is reached.
        return records, skip + len(records) if total.rows == reading.records and not reading.doubtful else None

    for records, _ in by_offset(ask, listing.size):
        yield records
        if reading.idle > 1:
            return


def _read_once(listing: Run, window: Window | None, readings: Readings) -> Generator[Event, None, bool | None]:
    """Yield the pages of a window once; return None if it is to be read again."""
    for records in _pages(listing, listing.where(window), readings):
        if window is not None and not check_order(records, window, listing.client.clock.now()):
            listing.honours = False
            return True
        if readings.last.doubtful and not listing.doubted:
            listing.doubted = True
            yield Note(
                f"the totals that {TITLE} sends with {listing.path} are wrong: reading pages until an empty one",
                "warning",
            )
        yield Page(records)
    return _is_whole(readings.last) or None


def read_run(listing: Run, window: Window | None) -> Iterator[Event]:
    """Yield the pages of a window, or of all records; read them again while records are missing and new ones come."""
    keys = keys_of(CALLLOGS if listing.path == "/calllogs" else CDRS)
    readings, name = Readings(identity, keys), _name(listing, window)

    def tell() -> None:
        listing.client.log("note", f"calls were added or removed while {name} was read: reading it again")

    read = functools.partial(_read_once, listing, window, readings)
    if (yield from read_again(read, readings, READINGS, tell)) is not None:
        return
    count = _reported_total(readings.last)
    if count is None and readings.last.idle > 1:  # `skip` is ignored, and nothing says how many there are
        yield Gap(f"{TITLE} keeps sending the same records for {name}", "run the command again later")
    elif count is not None and readings.records < count:
        yield Gap(
            f"{TITLE} reported {count} records for {name} but sent {readings.records}", "run the command again later"
        )


def _name(listing: Run, window: Window | None) -> str:
    if window is None:
        return listing.path.strip("/")
    return f"{rfc3339(window.since)} to {rfc3339(window.until)}"


def check_order(records: Sequence[Record], window: Window, now: datetime) -> bool:
    """Return whether all records are of the window or near it; implausible starts do not count."""
    first, last, latest = window.since - ASTRAY, window.until + ASTRAY, now + CLOCK_TOLERANCE
    batch = key_columns(records)
    if batch is not None:
        with suppress(ValueError):
            span = batch.span("started_at")
            if span is None or (first <= span[0] and span[1] < last):
                return True
    starts = [began for began in map(start, records) if began is not None and possible_start(began, latest)]
    return all(first <= began < last for began in starts)
