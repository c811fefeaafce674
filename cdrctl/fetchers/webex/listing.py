"""The calls of a Webex organisation: windows, pages and regions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cdrctl.contents import contents_of, key_contents_of
from cdrctl.duplicates import DuplicateFilter
from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, TemporaryError, UsageError
from cdrctl.fetchers import Query, identities, span_of
from cdrctl.fetchers.defaults import instant_in
from cdrctl.fetchers.webex.answers import WrongRegionError, next_link, records_in, total_in
from cdrctl.fetchers.webex.columns import identity
from cdrctl.fetchers.webex.legs_of_call import LegSearch
from cdrctl.fetchers.webex.settings import TITLE, WINDOWS, WebexSettings
from cdrctl.fetchers.webex.sign_in import in_domain
from cdrctl.http import Answer, Client, Request, by_link
from cdrctl.records.batches import key_columns
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page, Record
from cdrctl.windows import Window, rfc3339, tile


@dataclass(frozen=True, slots=True)
class History:
    """What is published of one of the two listings."""

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

Whether `startTime` and `endTime` belong to their window is not published. Every request asks for so much more at both
ends, so that nothing is lost whichever of them do; records that come twice are dropped by their Report ID.
"""

EDGE = timedelta(seconds=60)
"""The service counts to the second and clocks differ: stay this far from both edges of what it keeps."""

SMALLEST_PAGE = 500
LARGEST_PAGE = 5000
LOCATIONS_AT_ONCE = 10
PROOF = timedelta(seconds=60)
FEW_MINUTES = 2
ONCE_KEPT = timedelta(hours=48)
"""What the documentation of 2023 gave as the feed's look-back."""


# Asking


def cdrs(query: Query[WebexSettings]) -> Iterator[Event]:
    """Yield the records of `cdr_feed` for calls that started in the window, and some around it."""
    return _history(FEED, query, query.options["location"])


def stream(query: Query[WebexSettings]) -> Iterator[Event]:
    """Yield the records of `cdr_stream` for calls that started in the window, and some around it.

    The stream's own window is on the moment a record was stored, which is never before the call's start: whatever
    arrived from the window's start on is asked for.
    """
    return _history(STREAM, query, query.options["location"])


def legs(query: Query[WebexSettings]) -> Iterator[Event]:
    """Yield the legs of each call that has the id, among those of `cdr_feed` for the window and some around it.

    The API cannot be asked for an id, so that the whole window is read first.
    """
    wanted: str = query.options["id"].strip()
    if not wanted:
        raise UsageError("an id is needed", hint="for example a Report ID, a Correlation ID or a Local call ID")
    search = LegSearch(wanted)
    for piece in _history(FEED, query, ()):
        if isinstance(piece, Page):
            search.add(piece.records)
        else:
            yield piece
    found = search.found()
    yield Page(found)
    window = query.window
    searched = f"among those of the calls that started from {rfc3339(window.since)} to {rfc3339(window.until)}"
    if found:
        yield Note(f"the legs were looked for {searched}")
    else:
        yield Note(
            f"{TITLE} has no record with the id {wanted} {searched}: name the time of the call with "
            "--since and --until, up to 30 days back"
        )


def _history(history: History, query: Query[WebexSettings], names: tuple[str, ...]) -> Iterator[Event]:
    client = query.client
    way = Way(query.settings, query.options["page_size"])
    lists = _location_lists(names)
    now = client.present()
    pace = _pace(query.settings)
    window, notes = _kept(history, query.window, now, spare=EDGE + (len(lists) - 1) * pace)
    # Sources disagree on whether the feed's window is on the start or the end of a call (the documentation: on when
    # the report was made; the blog, with an example: on the start). So go on asking beyond the window, for as long as
    # a call may last, until a record proves that the start is what counts.
    until = _whole_ms(window.until, up=True)
    newest = _whole_ms(now - history.lag - EDGE)
    beyond = Window(window.since, max(until, min(until + query.options["longest_call"], newest)))
    windows = _requests(beyond, until, history.longest)
    yield from notes
    minutes = (len(windows) * len(lists) - 1) * pace / timedelta(minutes=1)
    if minutes >= FEW_MINUTES:
        yield Note(f"{TITLE} may be asked for one window a minute: this takes at least {minutes:.0f} min")
    proven: set[str] = set()
    for tiled in windows:
        asked = tiled
        if proven == {"start"}:
            if tiled.since >= until:
                return
            asked = Window(tiled.since, min(tiled.until, until))
        for locations in lists:
            for piece in _window(history, client, way, asked, locations):
                if history is FEED and isinstance(piece, Page) and not proven:
                    proven = _window_is_on(piece.records, asked)
                yield piece
        yield Checkpoint(asked)


def _requests(beyond: Window, until: datetime, longest: timedelta) -> list[Window]:
    """Return adjacent windows up to the end of `beyond`, each so short that it may be asked with a UNIT at both ends.

    A request takes a minute: milliseconds beyond `until`, the end of what is wanted, are not worth one more.
    """
    several = -(-(beyond.until - beyond.since) // longest)
    end = beyond.since + several * (longest - 2 * UNIT)
    return [*tile(Window(beyond.since, min(beyond.until, max(until, end))), longest - 2 * UNIT)]


def _pace(settings: WebexSettings) -> timedelta:
    """Return the time from one first page to the next."""
    slower = settings.requests_per_minute
    if slower == 0:
        return timedelta(0)
    return timedelta(seconds=max(WINDOWS.seconds, 60 / slower if slower else 0))


def _kept(history: History, window: Window, now: datetime, spare: timedelta) -> tuple[Window, list[Note]]:
    """Return the window, shortened by less than `spare` and a minute at the edge of what is kept, and a note of that.

    Args:
        history: Whose limits count.
        window: What is wanted.
        now: The present instant.
        spare: How far to stay from the edge, which moves on while the same window is asked for other locations.

    Raises:
        UsageError: It begins before that.
    """
    oldest = now - history.keeps + spare
    if window.since >= oldest:
        return window, []
    if oldest - window.since <= spare + EDGE and oldest + EDGE < window.until:  # "30d" means what there is
        return Window(oldest, window.until), [Note(f"{TITLE} keeps no calls from before {rfc3339(oldest)}")]
    days = "30 days" if history is FEED else "12 hours"
    raise UsageError(
        f"{TITLE} keeps this history for {days}: {rfc3339(window.since)} is too long ago",
        hint=f"begin at --since {rfc3339(oldest + EDGE)} or later; {history.older}",
    )


def _location_lists(locations: tuple[str, ...]) -> list[str]:
    """Return the values of `locations` to ask for, one after the other; an empty one asks for all."""
    for name in locations:
        if "," in name:
            raise UsageError(
                f"a location whose name holds a comma cannot be asked for: {name!r}",
                hint="leave --location out and filter the output, for example with jq or awk",
            )
        if not name.strip():  # it would ask for all of them
            raise UsageError("--location needs a name", hint="leave it out to have all locations")
    names = list(dict.fromkeys(locations))
    return [",".join(names[at : at + LOCATIONS_AT_ONCE]) for at in range(0, len(names), LOCATIONS_AT_ONCE)] or [""]


def _window_is_on(records: Sequence[Record], asked: Window) -> set[str]:
    """Return what these records prove the window they came in to be on: `start`, `end`, contradicting, both, or none.

    A call that began clearly before the window came because of its end; one that both ended and was reported clearly
    after it came because of its start. A late report alone proves nothing.
    """
    earliest, latest = asked.since - PROOF, asked.until + PROOF
    proven: set[str] = set()
    batch = key_columns(records)
    if batch is not None:  # most pages prove nothing
        with suppress(ValueError):
            starts, ends = batch.span("Start time"), batch.span("Release time")
            if (starts is None or starts[0] >= earliest) and (ends is None or ends[1] <= latest):
                return proven
    for record in records:
        began, ended = instant_in(record, "Start time"), instant_in(record, "Release time")
        if began is not None and began < earliest:
            proven.add("end")
        elif ended is not None and ended > latest:
            reported = instant_in(record, "Report time")
            if reported is not None and reported > latest:
                proven.add("start")
    return proven


class Way:
    """How the service is asked, with what it has said of itself in this run.

    Args:
        settings: Of the profile: `url` is its base_url, or the region that the service has named in a 451, once.
        size: Records to ask for at a time; smaller after a 504.
    """

    def __init__(self, settings: WebexSettings, size: int) -> None:
        if not 1 <= size <= LARGEST_PAGE:
            raise UsageError(f"--page-size {size} is not a number from {SMALLEST_PAGE} to {LARGEST_PAGE}")
        self.url = settings.base_url.rstrip("/")
        self.size = size
        self._may_move = in_domain(settings.base_url)

    def move(self, wrong: WrongRegionError, client: Client) -> None:
        """Go to the region named, or raise what was said when we may not."""
        if not self._may_move:
            raise wrong
        self._may_move = False
        self.url = urlsplit(self.url)._replace(scheme="https", netloc=wrong.host).geturl()
        client.log("note", f"your organisation's records are at {wrong.host}: set base_url to {self.url}")


def _window(history: History, client: Client, way: Way, asked: Window, locations: str) -> Iterator[Event]:
    """Yield the pages of one window; ask it again, once, when the way from page to page breaks or records are missing.

    How long a next link lives is not published, so a page that cannot be had is no more than a reason to begin anew.
    """
    name = f"{rfc3339(asked.since)} to {rfc3339(asked.until)}"
    came = DuplicateFilter()  # in all attempts: whatever came has been handed on
    differing = DuplicateFilter()  # in the second attempt, where two records of one id are two if their contents differ
    total = 0
    again = True
    while True:
        pages, tracking = 0, ""
        try:
            for answer in pages_of(history, client, way, asked, locations):
                link = next_link(answer)
                total = max(total, total_in(link))
                records = records_in(answer, more=link is not None or 0 < total <= len(came))
                came.new_positions(identities(records, identity), span_of(records), key_contents_of(records))
                if not again:
                    differing.new_positions(identities(records, identity), span_of(records), contents_of(records))
                pages += 1
                tracking = answer.headers.get("trackingid", tracking)
                yield Page(records)
                del answer, records  # they make room for the next
        except (TemporaryError, ProviderError, ConfigurationError) as error:
            passing = isinstance(error, TemporaryError) and error.wait is None  # else Webex said when to come back
            if passing and error.status == 504 and way.size > SMALLEST_PAGE:
                way.size = max(SMALLEST_PAGE, way.size // 2)
                client.log("note", f"{TITLE} takes too long: asking for {way.size} records at a time")
                continue
            if not (again and pages and (passing or error.status in _ENDED_LINK)):
                raise (_refused(history, asked, error, client) if error.status == 400 else error) from None
        else:
            if max(len(came), len(differing)) >= total:
                return
            if not again:
                yield Gap(
                    f"{TITLE} has {total} records for {name} and sent {len(came)} of them",
                    "run it again; if it stays, ask Cisco support" + (f" (tracking id {tracking})" if tracking else ""),
                )
                return
        again = False
        client.log("note", f"asking for {name} again")


_ENDED_LINK = frozenset({400, 404, 410})
"""How a next link that has ended may be answered: nothing is published."""


def pages_of(history: History, client: Client, way: Way, asked: Window, locations: str) -> Iterator[Answer]:
    """Yield the answers of one window, page after page."""
    bounds = [("startTime", rfc3339(asked.since - UNIT)), ("endTime", rfc3339(asked.until + UNIT))]
    params = [*bounds, ("max", str(way.size)), *([("locations", locations)] if locations else [])]

    def ask(url: str, kind: str, params: Sequence[tuple[str, str]] = ()) -> Answer:
        return client.ask(Request("GET", url, params, kind=kind, records=_ITEMS, no_content=True))

    def first() -> Answer:
        try:
            return ask(way.url + history.path, "window", params)
        except WrongRegionError as wrong:
            way.move(wrong, client)
            return ask(way.url + history.path, "window", params)

    return by_link(first, lambda url: ask(url, "page"), next_link)


_ITEMS = ("items",)


def _whole_ms(instant: datetime, *, up: bool = False) -> datetime:
    """Return the instant in whole milliseconds, which is all a request can say; up where ours must not be cut off."""
    rest = timedelta(microseconds=instant.microsecond % 1000)
    return instant - rest + (timedelta(milliseconds=1) if up and rest else timedelta(0))


def _refused(history: History, asked: Window, error: CdrctlError, client: Client) -> ProviderError:
    steps = "The feed goes back 30 days, in steps of 12 hours."
    if history is STREAM:
        steps = "The stream goes back 12 hours, in steps of 2 hours."
    if asked.since < client.clock.now() - ONCE_KEPT:
        steps += " Some organisations are still served the older limit of 48 hours."
    return ProviderError(
        f"{TITLE} refused the window {rfc3339(asked.since)} to {rfc3339(asked.until)}. {steps}",
        said=error.said,
        hint="try a shorter or later window",
        status=error.status,
    )
