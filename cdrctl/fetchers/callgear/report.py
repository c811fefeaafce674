"""The reports of an account: stretches of a window, pages, and reading again what changed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from cdrctl import windows
from cdrctl.contents import contents_of
from cdrctl.errors import UsageError
from cdrctl.fetchers import CLOCK_TOLERANCE, Query, possible_start
from cdrctl.fetchers.callgear.account import Account, metadata_of
from cdrctl.fetchers.callgear.answers import DayLimitError, TooLongError, UnknownParameterError
from cdrctl.fetchers.callgear.columns import COLUMNS_OF, identity, start
from cdrctl.fetchers.callgear.fields import CALLS, COSTS, LEGS, USERS, Field
from cdrctl.fetchers.callgear.filters import filter_tree, sorting
from cdrctl.fetchers.callgear.local_time import HOUR, SECOND, span_of, spare_time, zone_notes, zone_of
from cdrctl.fetchers.callgear.settings import TITLE, CallGearSettings, app_host_of
from cdrctl.fetchers.drift import new_fields, new_fields_error
from cdrctl.http import Total, by_offset, read_total
from cdrctl.records.events import Checkpoint, Event, Gap, Note, Page, Record, check_records, fingerprint
from cdrctl.windows import Window, halve, rfc3339, tile

LONGEST_WINDOW = timedelta(days=31)
"""Far below the three months that one question may span ("Get call legs report", errors)."""

LARGEST_PAGE = 10_000
FARTHEST_OFFSET = 100_000
"""What `limit` and `offset` may be ("Paging")."""
MANY_REQUESTS = 100
IDLE_PAGES = 3
"""Pages without anything new after which going on is of no use: the offset is not heeded."""
YEARS = windows.YEARS


@dataclass(slots=True)
class Report:
    """One listing of one account in one run, and what was learnt while reading it.

    Args:
        method: As the API calls it.
        params: What every question of it says beside window, order and page.
        fields: The fields to ask for; empty to leave that to the service.
        fewer: Those of them that all documents have; the others are doubtful.
        sort: The order to ask for.
        identity: What makes a record this one.
        zone: The zone of the account's times.
        context: What a record's columns need to know besides the record.
        read_until: Every record that started before has been read.
        by_end: A record came that shows the service to select by the end of a call.
        doubted: Whether the user has been warned that totals are wrong.
    """

    account: Account
    method: str
    params: Mapping[str, Any]
    fields: Sequence[str]
    fewer: Sequence[str]
    sort: Sequence[Mapping[str, str]]
    page_size: int
    identity: Callable[[Record], str]
    zone: tzinfo = UTC
    context: Mapping[str, str] = field(default_factory=dict)
    read_until: datetime | None = None
    by_end: bool = False
    doubted: bool = False

    def doubt(self) -> None:
        """Warn, once, that the totals of this listing are wrong."""
        if not self.doubted:
            self.doubted = True
            self.account.client.log(
                "warning",
                f"the totals that {TITLE} sends with {self.method} are wrong and cannot be relied upon: pages are read "
                "until an empty one comes",
            )

    def page(
        self, span: Mapping[str, str], offset: int, *, first: bool = False, listed: bool = True
    ) -> tuple[list[Record], int | None]:
        """Return one page and the total that came with it.

        `first` asks for nothing but the earliest record; without `listed` the service chooses the fields.
        """
        while True:
            params: dict[str, Any] = {
                **span,
                **self.params,
                "limit": 1 if first else self.page_size,
                "offset": offset,
                "sort": _BY_START if first else self.sort,
            }
            if self.fields and listed:
                params["fields"] = list(self.fields)
            try:
                result = self.account.ask(self.method, params)
            except UnknownParameterError as unknown:
                if not listed or not self.leave_out(unknown):
                    raise
            else:
                total = _total(result)
                if total.wrong:
                    self.doubt()
                return check_records(result.get("data"), "data", TITLE), total.rows

    def leave_out(self, unknown: UnknownParameterError) -> bool:
        """Ask for fewer fields from now on, if those may be what the service does not know; return whether so.

        A brand of the service may lack a field, and whether a refusal names it is not published.
        """
        refused = [name for name in unknown.names if name in self.fields]
        if set(refused) & {"id", "start_time"} or not self.fields:
            return False
        if refused:
            self.fields = [name for name in self.fields if name not in refused]
        elif "fields" in unknown.names:
            self.fields = ()
        elif unknown.names:
            return False  # it is no field that is not known
        else:  # the doubtful ones one after the other, and then no names at all; refusals cost no points
            doubtful = [name for name in self.fields if name not in self.fewer]
            refused = sorted(doubtful, key=lambda name: name not in _MOST_DOUBTFUL)[:1]
            self.fields = [name for name in self.fields if name not in refused] if refused else ()
        what = ", ".join(refused) or "these fields"
        self.account.client.log("note", f"{TITLE} does not know {what} here: left out")
        return True


_MOST_DOUBTFUL = frozenset({"wav_call_records", "utm_referrer"})
"""Fields that are left out first when a refusal does not say what it is about: few accounts have them."""

_BY_START = ({"field": "start_time", "order": "asc"},)


def _total(result: Mapping[str, Any]) -> Total:
    return read_total(metadata_of(result).get("total_items"))


def _refuse_new_fields(report: Report, call: str, window: Window) -> None:
    """Ask once without the list of fields, which hides new ones.

    Raises:
        DriftError: The service has a field that is not asked for.
    """
    records, _ = report.page(span_of(window, report.zone), 0, first=True, listed=False)
    names = new_fields(records, COLUMNS_OF[call])
    if names:
        raise new_fields_error(TITLE, "callgear", call, names)


def legs(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the legs of `get.call_legs_report` that started in the window, and some around it."""
    return _listing(report_of(query, "get.call_legs_report", LEGS, identity), "legs", query)


def calls(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the calls of `get.calls_report` that started in the window, and some around it."""
    report = report_of(query, "get.calls_report", CALLS, identity)
    if query.options["ongoing"]:
        report.params = {**report.params, "include_ongoing_calls": True}
    return _listing(report, "calls", query)


def costs(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the costs of `get.financial_call_legs_report` of legs that started in the window, and some around it."""
    report = report_of(query, "get.financial_call_legs_report", COSTS, fingerprint)
    report.fields = ()  # all of them come without being named
    return _listing(report, "costs", query)


def users(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the users of a partner's customers, of `get.customer_users`."""
    report = report_of(query, "get.customer_users", USERS, identity)
    report.fields = ()
    report.params = {name: value for name, value in report.params.items() if name != "user_id"}
    yield from _reading(report, {}, "the list of users", divisible=False)


def report_of(
    query: Query[CallGearSettings],
    method: str,
    fields: Sequence[Field],
    identity: Callable[[Record], str],
) -> Report:
    """Return the listing that the options ask for.

    Raises:
        UsageError: They ask for what the service would refuse.
    """
    account, options = Account(query.client, query.settings), query.options
    size = options["page_size"]
    if not 1 <= size <= LARGEST_PAGE:
        raise UsageError(f"--page-size {size} is not a number from 1 to {LARGEST_PAGE}")
    known = fields
    tree = filter_tree(known, options["filter"])
    chosen = set(query.fields or ())
    if chosen and "extra" not in chosen:  # only these, and what the record is known and placed by
        needed = chosen | {"id", "call_session_id", "start_time"}
        fields = [one for one in fields if one.name in needed]
    return Report(
        account=account,
        method=method,
        params={**account.of_customer, **({"filter": tree} if tree else {})},
        fields=[one.name for one in fields],
        fewer=[one.name for one in fields if not one.later],
        sort=sorting(known, options["orderby"]),
        page_size=size,
        identity=identity,
    )


def _listing(report: Report, call: str, query: Query[CallGearSettings]) -> Iterator[Event]:
    window = query.window
    _check_years(window)
    account = report.account
    name, report.zone = zone_of(account)
    host = app_host_of(account.settings)
    report.context = {"timezone": name, **({} if host is None else {"app_host": host})}
    whole = _whole_seconds(window)
    longest = query.options["longest_call"]
    latest = min(whole.until + longest, account.client.clock.now().replace(microsecond=0))
    yield from zone_notes(report.zone, name, window)
    requests = -(-whole.duration // LONGEST_WINDOW)
    if requests > MANY_REQUESTS:
        yield Note(f"this takes at least {requests} requests, and {TITLE} allows a number of them per day")
    try:
        if query.strict and report.fields:
            _refuse_new_fields(report, call, next(tile(whole, LONGEST_WINDOW)))
        for tiled in tile(whole, LONGEST_WINDOW):
            yield from _stretch(report, tiled)
            report.read_until = tiled.until
            yield Checkpoint(tiled)
        if latest > whole.until:
            yield from _beyond(report, Window(whole.until, latest))
    except DayLimitError as limit:
        raise _resumable(limit, report, window, longest) from None


def _check_years(window: Window) -> None:
    for edge in (window.since, window.until):
        if edge.year not in YEARS:
            raise UsageError(
                f"the year {edge.year} is none that {TITLE} can be asked for",
                hint=f"ask for years from {YEARS[0]} to {YEARS[-1]}",
            )


def _whole_seconds(window: Window) -> Window:
    """Return the window in whole seconds, which is all a question can say, and no shorter."""
    up = SECOND if window.until.microsecond else timedelta(0)
    return Window(window.since.replace(microsecond=0), window.until.replace(microsecond=0) + up)


# Windows and pages


def _stretch(report: Report, window: Window) -> Iterator[Event]:
    """Yield the records of one window; in halves where it has more of them than can be paged through."""
    left = [window]
    while left:
        window = left.pop()
        near_turn = spare_time(window.since, report.zone) or spare_time(window.until, report.zone)
        halves = halve(window, HOUR if near_turn else SECOND)  # there, smaller ones would be asked for as one
        name = f"{rfc3339(window.since)} to {rfc3339(window.until)}"
        span = span_of(window, report.zone)
        try:
            whole = yield from _reading(report, span, name, divisible=True, window=window)
        except TooLongError:
            if halves is None:
                raise
            whole = False
        if whole:
            continue
        if halves is not None:
            left.extend(reversed(halves))
        else:
            yield from _reading(report, _narrowest(report, window), name, divisible=False, window=window)


def _narrowest(report: Report, window: Window) -> dict[str, str]:
    """Return the span of a window that cannot be halved, without the second before it where that is proved needless.

    A record of that second proves that `date_from` belongs to the span, so that it can be the window's first second.
    """
    span = span_of(window, report.zone)
    earliest, _ = report.page(span, 0, first=True)
    begun = start(earliest[0], report.context) if earliest else None
    return span_of(window, report.zone, early=timedelta(0)) if begun == window.since - SECOND else span


def _is_past(report: Report, page: Sequence[Record], window: Window | None) -> bool:
    """Return whether a page in the order of starts goes beyond the window, so that no more pages are needed."""
    if window is None or not page or list(report.sort) != list(_BY_START):
        return False
    if spare_time(window.since, report.zone) or spare_time(window.until, report.zone):
        return False
    starts = _true_starts(report, page, window)
    return bool(starts) and starts == sorted(starts) and starts[-1] >= window.until


@dataclass(slots=True)
class Reading:
    """What one reading of a span, from its first page to its last, has shown.

    Args:
        ids: The records that came.
        totals: The different totals that came with its pages.
        rows: How many rows came: more than there are records, if some came twice.
        idle: How many pages in a row, up to now, had rows but no new record.
        doubtful: Whether more records came than a total announced.
    """

    ids: set[str] = field(default_factory=set)
    totals: set[int] = field(default_factory=set)
    rows: int = 0
    idle: int = 0
    doubtful: bool = False

    @property
    def trusted(self) -> bool:
        """Whether totals came and nothing is against them."""
        return bool(self.totals) and not self.doubtful

    @property
    def steady(self) -> bool:
        """Whether nothing came or went meanwhile, so that no row moved from a page to one that had been read.

        Where totals do not tell, a record that came twice does.
        """
        return len(self.totals) == 1 if self.trusted else self.rows == len(self.ids)

    def add(self, page: Sequence[Record], total: int | None, identity: Callable[[Record], str]) -> None:
        """Count a page and the total that came with it."""
        # Two records of one id are two where their contents differ.
        ids = {f"{key} {content}" for key, content in zip(map(identity, page), contents_of(page), strict=True)}
        self.idle = self.idle + 1 if page and ids <= self.ids else 0
        self.ids |= ids
        self.rows += len(page)
        if total is not None:
            self.totals.add(total)
            self.doubtful = self.doubtful or len(self.ids) > total


def _reading(
    report: Report, span: Mapping[str, str], name: str, *, divisible: bool, window: Window | None = None
) -> Generator[Event, None, bool]:
    """Yield the pages of one span, and return False if it must be asked for in parts.

    Rows of one second have no order among themselves, and rows may come and go meanwhile: what came is counted, and
    the span is read once more if that is not the total, or if that has changed. A total that is lower than what came is
    wrong, and then an empty page is the end.
    """
    came: set[str] = set()
    most = 0
    for again in (False, True):
        reading = Reading()
        for page, total in by_offset(functools.partial(report.page, span), report.page_size):
            offset = reading.rows + len(page)
            too_many = max(total or 0, offset) > FARTHEST_OFFSET
            past = too_many and _is_past(report, page, window)
            if divisible and not past and total is not None and total > FARTHEST_OFFSET:
                return False
            reading.add(page, total, report.identity)
            if reading.doubtful:
                report.doubt()
            yield Page(page, report.context)
            if window is not None:
                _follow(report, page, window)
            if past:
                return True
            if reading.idle and reading.trusted and total == len(reading.ids):
                break  # all that there is came, and now it comes again
            if reading.idle >= IDLE_PAGES:
                if not reading.trusted:
                    yield Gap(f"{TITLE} sends the same records for {name} again and again", "run it again later")
                    return True
                break
            last = not page or (len(page) < report.page_size and total == offset)
            if not last and offset > FARTHEST_OFFSET:
                if divisible:
                    return False
                said = f"has {total}" if total is not None and total > offset else f"has more than {offset}"
                yield Gap(
                    f"{TITLE} {said} records for {name} and lets {offset} of them be read",
                    "ask for them in parts, with --filter",
                )
                return True
        new = len(reading.ids - came)
        came |= reading.ids
        most = max(most, *reading.totals, 0)
        if len(came) >= most and (reading.steady or (again and (reading.trusted or not new))):
            return True
        if again:
            counted = f"counts {most} records for {name} and sent {len(came)} different ones"
            moved = f"moved records of {name} from page to page while they were read"
            yield Gap(
                f"{TITLE} {counted if len(came) < most else moved}",
                "run it again; if it stays, ask for a window that ends earlier",
            )
            return True
        report.account.client.log("note", f"what {TITLE} has for {name} changed while it was read: reading it again")
    return True


def _true_starts(report: Report, page: Sequence[Record], window: Window) -> list[datetime]:
    """Return the starts on a page that can be true: one long after what was asked for says nothing about progress."""
    latest = window.until + CLOCK_TOLERANCE
    starts = (start(record, report.context) for record in page)
    return [moment for moment in starts if moment is not None and possible_start(moment, latest)]


def _follow(report: Report, page: Sequence[Record], window: Window) -> None:
    """Remember how far everything has been read, in a listing by start."""
    starts = _true_starts(report, page, window)
    spare = spare_time(window.since, report.zone) or spare_time(window.until, report.zone)
    if not starts or spare or list(report.sort) != list(_BY_START):
        return
    if min(starts) < window.since - SECOND:
        report.by_end = True
    report.read_until = min(max(*starts, window.since), window.until)


def _beyond(report: Report, after: Window) -> Iterator[Event]:
    """Yield what ended after the window, should the service select by the end of a call: that is not published.

    One question for the earliest record tells: it began before the window's end, or there is nothing to be had.
    """
    spare = 2 * spare_time(after.since, report.zone)
    for tiled in tile(after, LONGEST_WINDOW):
        try:
            # Without the second before: its records are those of the window, whose last span holds it.
            earliest, _ = report.page(span_of(tiled, report.zone, early=timedelta(0)), 0, first=True)
        except TooLongError:
            earliest = [{}]
        begun = start(earliest[0], report.context) if earliest else tiled.until
        in_future = begun is not None and not possible_start(begun, tiled.until + CLOCK_TOLERANCE)
        if begun is None or in_future or begun < after.since + spare:
            yield from _stretch(report, tiled)


def _resumable(limit: DayLimitError, report: Report, window: Window, longest: timedelta) -> DayLimitError:
    """Return the error with what was read before, so that another run can go on from there."""
    now = report.account.client.clock.now()
    after = "" if limit.reset is None else f" after {rfc3339(now + timedelta(seconds=limit.reset + 1))}"
    reached = max(window.since, min(report.read_until or window.since, window.until))
    if report.by_end:
        reached = max(window.since, reached - longest)
    limit.hint = f"run it again{after}"
    if reached > window.since:
        limit.hint += (
            f"; calls that started before {rfc3339(reached)} have all been read, so where they were printed "
            f"--since {rfc3339(reached)} goes on"
        )
    return limit
