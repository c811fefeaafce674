"""The fetchers of Webex: windows, pages and regions."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from cdrctl.contents import contents_of, key_contents_of
from cdrctl.duplicates import DuplicateFilter
from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, TemporaryError, UsageError
from cdrctl.fetchers import Query, identities, span_of
from cdrctl.fetchers.defaults import instant_in
from cdrctl.fetchers.webex.answers import WrongRegionError, next_link, records_in, total_in
from cdrctl.fetchers.webex.columns import COLUMNS, identity
from cdrctl.fetchers.webex.settings import TITLE, WINDOWS, WebexSettings
from cdrctl.fetchers.webex.sign_in import in_domain
from cdrctl.http import Answer, Client, Request, by_link
from cdrctl.records.batches import key_columns
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page, Record
from cdrctl.windows import Window, rfc3339, tile

if TYPE_CHECKING:
    from cdrctl.fetchers.webex.legs_of_call import LegSearch


class History(Struct, frozen=True):
    """The published limits of one of the two lists of calls."""

    path: str
    longest: timedelta
    keeps: timedelta
    lag: timedelta
    older: str


# developer.webex.com, "Reports: Detailed Call History": at most 12 h at a time, 30 days back, up to 5 min ago.
FEED = History(
    "/cdr_feed",
    timedelta(hours=12),
    timedelta(days=30),
    timedelta(minutes=5),
    'older calls are in Control Hub only (with Pro Pack): Reports, template "Calling Detailed Call History"',
)
# "Reports: Live Stream Detailed Call History": at most 2 h at a time, stored 12 h ago, up to 1 min ago.
STREAM = History(
    "/cdr_stream",
    timedelta(hours=2),
    timedelta(hours=12),
    timedelta(minutes=1),
    "`cdrctl webex cdrs` goes back 30 days",
)

UNIT = timedelta(milliseconds=1)
"""The finest time a request can name.

Whether `startTime` and `endTime` belong to their window is not published. So every request reaches this much further
at both ends. Records that come twice are dropped by their Report ID.
"""

EDGE = timedelta(seconds=60)
"""The service counts in seconds and clocks differ: stay this far from both ends of its retention."""

SMALLEST_PAGE = 500
LARGEST_PAGE = 5000
LOCATIONS_AT_ONCE = 10
PROOF = timedelta(seconds=60)
FEW_MINUTES = 2
ONCE_KEPT = timedelta(hours=48)
"""The retention of the feed in the documentation of 2023."""


def cdrs(query: Query[WebexSettings]) -> Iterator[Event]:
    """Yield the records of `cdr_feed` for calls that started in the window, and some around it."""
    return _history(FEED, query, query.options["location"])


def stream(query: Query[WebexSettings]) -> Iterator[Event]:
    """Yield the records of `cdr_stream` for calls that started in the window, and some around it.

    The stream's own window is on the moment a record was stored, which is never before the start of its call. So
    everything stored since the start of the window is requested.
    """
    return _history(STREAM, query, query.options["location"])


def legs(query: Query[WebexSettings]) -> Iterator[Event]:
    """Yield the legs of each call with the id, from the records of `cdr_feed` for the window and some around it.

    The API cannot search by id, so the whole window is read first.
    """
    from cdrctl.fetchers.webex.legs_of_call import LegSearch

    window = query.window
    pieces = _legs_among(LegSearch(_wanted(query.options["id"])), _history(FEED, query, ()))
    if (yield from pieces):
        yield Note(f"searched {_searched(window)}")
    else:
        yield Note(f"{_none(TITLE, query.options['id'], window)}, up to 30 days back")


def archived_legs(wanted: str, window: Window, pieces: Iterator[Event]) -> Iterator[Event]:
    """Yield the legs of each call with an id, from the records that an archive has of a window.

    Args:
        wanted: The id.
        window: The window.
        pieces: The events of the archive; the fields of its records are the columns.
    """
    from cdrctl.fetchers.webex.legs_of_call import LegSearch

    search = LegSearch(_wanted(wanted), {column.key: column.name for column in COLUMNS})
    if (yield from _legs_among(search, pieces)):
        yield Note(f"searched {_searched(window)}")
    else:
        yield Note(_none("the archive", wanted, window))


def _wanted(text: str) -> str:
    if not text.strip():
        raise UsageError("an id is needed", hint="for example a Report ID, a Correlation ID or a Local call ID")
    return text.strip()


def _legs_among(search: LegSearch, pieces: Iterator[Event]) -> Generator[Event, None, bool]:
    """Yield the legs that a search finds among the records of a window, and return whether there are any."""
    for piece in pieces:
        if isinstance(piece, Page):
            search.add(piece.records)
        else:
            yield piece
    found = search.found()
    yield Page(found)
    return bool(found)


def _searched(window: Window) -> str:
    return f"among calls that started from {rfc3339(window.since)} to {rfc3339(window.until)}"


def _none(who: str, wanted: str, window: Window) -> str:
    return (
        f"{who} has no record with the id {wanted.strip()} {_searched(window)}: give the time of the call with "
        "--since and --until"
    )


def _history(history: History, query: Query[WebexSettings], names: tuple[str, ...]) -> Iterator[Event]:
    client = query.client
    run = Run(query.settings, query.options["page_size"])
    lists = _location_lists(names)
    now = client.present()
    pace = _pace(query.settings)
    window, notes = _retained_window(history, query.window, now, spare=EDGE + (len(lists) - 1) * pace)
    # Sources disagree on whether the feed's window is on the start or the end of a call (the documentation: on when
    # the report was made; the blog, with an example: on the start). So query past the window by the longest call,
    # until a record proves that the window is on the start.
    until = _whole_ms(window.until, up=True)
    newest = _whole_ms(now - history.lag - EDGE)
    beyond = Window(window.since, max(until, min(until + query.options["longest_call"], newest)))
    windows = _requests(beyond, until, history.longest)
    yield from notes
    minutes = (len(windows) * len(lists) - 1) * pace / timedelta(minutes=1)
    if minutes >= FEW_MINUTES:
        yield Note(f"the rate limit of {TITLE} is one window a minute: this takes at least {minutes:.0f} min")
    proven: set[str] = set()
    for tiled in windows:
        asked = tiled
        if proven == {"start"}:
            if tiled.since >= until:
                return
            asked = Window(tiled.since, min(tiled.until, until))
        for locations in lists:
            for piece in _window(history, client, run, asked, locations):
                if history is FEED and isinstance(piece, Page) and not proven:
                    proven = _window_is_on(piece.records, asked)
                yield piece
        yield Checkpoint(asked)


def _requests(beyond: Window, until: datetime, longest: timedelta) -> list[Window]:
    """Return adjacent windows up to the end of `beyond`, each at least two UNITs shorter than the longest allowed.

    A request takes a minute, so there is none for the last milliseconds beyond `until`, the end of the export's window.
    """
    several = -(-(beyond.until - beyond.since) // longest)
    end = beyond.since + several * (longest - 2 * UNIT)
    return [*tile(Window(beyond.since, min(beyond.until, max(until, end))), longest - 2 * UNIT)]


def _pace(settings: WebexSettings) -> timedelta:
    """Return the time between the first pages of two windows."""
    slower = settings.requests_per_minute
    if slower == 0:
        return timedelta(0)
    return timedelta(seconds=max(WINDOWS.seconds, 60 / slower if slower else 0))


def _retained_window(history: History, window: Window, now: datetime, spare: timedelta) -> tuple[Window, list[Note]]:
    """Return the window, and a note if its start had to be moved to the start of the retention.

    Args:
        history: The list with the limits.
        window: The window.
        now: The present instant.
        spare: How far to stay from the start of the retention, which moves while other locations are requested.

    Raises:
        UsageError: The window starts more than `spare` and a minute before the retention.
    """
    oldest = now - history.keeps + spare
    if window.since >= oldest:
        return window, []
    if oldest - window.since <= spare + EDGE and oldest + EDGE < window.until:  # "30d" means all that is retained
        return Window(oldest, window.until), [Note(f"{TITLE} keeps no calls from before {rfc3339(oldest)}")]
    days = "30 days" if history is FEED else "12 hours"
    raise UsageError(
        f"{TITLE} keeps this history for {days}: {rfc3339(window.since)} is too long ago",
        hint=f"begin at --since {rfc3339(oldest + EDGE)} or later; {history.older}",
    )


def _location_lists(locations: tuple[str, ...]) -> list[str]:
    """Return the values of `locations` to request in turn; an empty one stands for all locations."""
    for name in locations:
        if "," in name:
            raise UsageError(
                f"a location with a comma in its name cannot be selected: {name!r}",
                hint="leave --location out and filter the output, for example with --where",
            )
        if not name.strip():  # it would select all locations
            raise UsageError("--location needs a name", hint="leave it out for all locations")
    names = list(dict.fromkeys(locations))
    return [",".join(names[at : at + LOCATIONS_AT_ONCE]) for at in range(0, len(names), LOCATIONS_AT_ONCE)] or [""]


def _window_is_on(records: Sequence[Record], asked: Window) -> set[str]:
    """Return by what the service selects calls, `start` or `end`, as proved by the records of one window.

    Empty: nothing is proved. Both: the records contradict each other. A call that started clearly before the window was
    selected by its end. One that ended and was reported clearly after the window was selected by its start. A late
    report alone proves nothing.
    """
    earliest, latest = asked.since - PROOF, asked.until + PROOF
    proven: set[str] = set()
    batch = key_columns(records)
    if batch is not None:  # most pages prove nothing
        with suppress(ValueError):
            starts, ends = batch.span("Start time"), batch.span("Release time")
            if (starts is None or starts[0] >= earliest) and (ends is None or ends[1] <= latest):
                return proven
        records = [
            dict(zip(_TIMES, times, strict=True)) for times in zip(*(batch.columns[key] for key in _TIMES), strict=True)
        ]
    for record in records:
        began, ended = instant_in(record, "Start time"), instant_in(record, "Release time")
        if began is not None and began < earliest:
            proven.add("end")
        elif ended is not None and ended > latest:
            reported = instant_in(record, "Report time")
            if reported is not None and reported > latest:
                proven.add("start")
    return proven


_TIMES = ("Start time", "Release time", "Report time")


class Run:
    """The state of one run.

    Args:
        settings: The settings of the profile. `url` is its base_url, or the region that the service named in a 451.
        size: The number of records per page; smaller after a 504.
    """

    def __init__(self, settings: WebexSettings, size: int) -> None:
        if not 1 <= size <= LARGEST_PAGE:
            raise UsageError(
                f"--page-size {size} is not a number from {SMALLEST_PAGE} to {LARGEST_PAGE}",
                hint="leave it out for the usual size",
            )
        self.url = settings.base_url.rstrip("/")
        self.size = size
        self._may_move = in_domain(settings.base_url)

    def move(self, wrong: WrongRegionError, client: Client) -> None:
        """Switch to the region that the service named, once.

        Raises:
            WrongRegionError: The profile's own address is not one of Webex, or the region was switched before.
        """
        if not self._may_move:
            raise wrong
        self._may_move = False
        self.url = urlsplit(self.url)._replace(scheme="https", netloc=wrong.host).geturl()
        client.log("note", f"your organisation's records are at {wrong.host}: set base_url to {self.url}")


def _window(history: History, client: Client, run: Run, asked: Window, locations: str) -> Iterator[Event]:
    """Yield the pages of one window; read it again, once, if a next link fails or records are missing.

    How long a next link lives is not published, so the window is read from its first page if one fails.
    """
    name = f"{rfc3339(asked.since)} to {rfc3339(asked.until)}"
    came = DuplicateFilter()  # in all attempts: every page has been yielded
    differing = DuplicateFilter()  # in the second attempt, by id and content
    total = 0
    again = True
    while True:
        pages, tracking = 0, ""
        try:
            for answer in pages_of(history, client, run, asked, locations):
                link = next_link(answer)
                total = max(total, total_in(link))
                records = records_in(answer, more=link is not None or 0 < total <= len(came))
                came.new_positions(identities(records, identity), span_of(records), key_contents_of(records))
                if not again:
                    differing.new_positions(identities(records, identity), span_of(records), contents_of(records))
                pages += 1
                tracking = answer.headers.get("trackingid", tracking)
                yield Page(records)
                del answer, records  # free the memory for the next page
        except (TemporaryError, ProviderError, ConfigurationError) as error:
            passing = isinstance(error, TemporaryError) and error.wait is None  # with `wait`, Webex sent a Retry-After
            if passing and error.status == 504 and run.size > SMALLEST_PAGE:
                run.size = max(SMALLEST_PAGE, run.size // 2)
                client.log("note", f"{TITLE} takes too long: requesting pages of {run.size} records")
                continue
            if not (again and pages and (passing or error.status in _ENDED_LINK)):
                raise (_refused(history, asked, error, client) if error.status == 400 else error) from None
        else:
            if max(len(came), len(differing)) >= total:
                return
            if not again:
                yield Gap(
                    f"{TITLE} reported {total} records for {name} but sent {len(came)}",
                    "run the command again; if the error persists, ask Cisco support"
                    + (f" (tracking id {tracking})" if tracking else ""),
                )
                return
        again = False
        client.log("note", f"reading {name} again")


_ENDED_LINK = frozenset({400, 404, 410})
"""Statuses that may stand for an expired next link; none is published."""


def pages_of(history: History, client: Client, run: Run, asked: Window, locations: str) -> Iterator[Answer]:
    """Yield the responses of one window, page by page."""
    bounds = [("startTime", rfc3339(asked.since - UNIT)), ("endTime", rfc3339(asked.until + UNIT))]
    params = [*bounds, ("max", str(run.size)), *([("locations", locations)] if locations else [])]

    def ask(url: str, kind: str, params: Sequence[tuple[str, str]] = ()) -> Answer:
        return client.ask(Request("GET", url, params, kind=kind, records=_ITEMS, no_content=True))

    def first() -> Answer:
        try:
            return ask(run.url + history.path, "window", params)
        except WrongRegionError as wrong:
            run.move(wrong, client)
            return ask(run.url + history.path, "window", params)

    return by_link(first, lambda url: ask(url, "page"), next_link)


_ITEMS = ("items",)


def _whole_ms(instant: datetime, *, up: bool = False) -> datetime:
    """Return the instant in whole milliseconds, the finest unit of a request, rounded down or up."""
    rest = timedelta(microseconds=instant.microsecond % 1000)
    return instant - rest + (timedelta(milliseconds=1) if up and rest else timedelta(0))


def _refused(history: History, asked: Window, error: CdrctlError, client: Client) -> ProviderError:
    steps = "The feed goes back 30 days, in windows of up to 12 hours."
    if history is STREAM:
        steps = "The stream goes back 12 hours, in windows of up to 2 hours."
    if asked.since < client.clock.now() - ONCE_KEPT:
        steps += " Some organisations are still served the older limit of 48 hours."
    return ProviderError(
        f"{TITLE} refused the window {rfc3339(asked.since)} to {rfc3339(asked.until)}. {steps}",
        said=error.said,
        hint="try a shorter or later window",
        status=error.status,
    )
