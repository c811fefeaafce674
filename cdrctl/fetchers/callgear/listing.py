"""The calls of a CallGear account: windows, halves where there are too many records, and calls that end later."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator
from datetime import timedelta

from cdrctl import windows
from cdrctl.errors import UsageError
from cdrctl.fetchers import CLOCK_TOLERANCE, Query, possible_start
from cdrctl.fetchers.callgear.answers import DayLimitError, TooLongError
from cdrctl.fetchers.callgear.columns import COLUMNS_OF, identity, start
from cdrctl.fetchers.callgear.fields import CALLS, COSTS, LEGS, USERS
from cdrctl.fetchers.callgear.local_time import HOUR, SECOND, span_of, spare_time, zone_notes, zone_of
from cdrctl.fetchers.callgear.pages import Span, read_span
from cdrctl.fetchers.callgear.report import Report, report_of
from cdrctl.fetchers.callgear.settings import TITLE, CallGearSettings, app_host_of
from cdrctl.fetchers.drift import new_fields, new_fields_error
from cdrctl.http import in_halves
from cdrctl.records.events import Checkpoint, Event, Note, fingerprint
from cdrctl.windows import Window, halve, rfc3339, tile

LONGEST_WINDOW = timedelta(days=31)
"""Far below the three months that one request may span ("Get call legs report", errors)."""

MANY_REQUESTS = 100
YEARS = windows.YEARS


def legs(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the legs of `get.call_legs_report` that started in the window, and some around it."""
    return read_report(report_of(query, "get.call_legs_report", LEGS, identity), "legs", query)


def calls(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the calls of `get.calls_report` that started in the window, and some around it."""
    report = report_of(query, "get.calls_report", CALLS, identity)
    if query.options["ongoing"]:
        report.params = {**report.params, "include_ongoing_calls": True}
    return read_report(report, "calls", query)


def costs(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the costs of `get.financial_call_legs_report` of legs that started in the window, and some around it."""
    report = report_of(query, "get.financial_call_legs_report", COSTS, fingerprint)
    report.fields = ()  # the service sends all fields unless some are named
    return read_report(report, "costs", query)


def users(query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the users of a partner's customers, of `get.customer_users`."""
    report = report_of(query, "get.customer_users", USERS, identity)
    report.fields = ()
    report.params = {name: value for name, value in report.params.items() if name != "user_id"}
    yield from read_span(report, Span({}, "the list of users"))


def _refuse_new_fields(report: Report, call: str, window: Window) -> None:
    """Send one request without the list of fields, which would hide new ones.

    Raises:
        DriftError: The service has a field that the list lacks.
    """
    records, _ = report.page(span_of(window, report.zone), 0, first=True, listed=False)
    names = new_fields(records, COLUMNS_OF[call])
    if names:
        raise new_fields_error(TITLE, "callgear", call, names)


def read_report(report: Report, call: str, query: Query[CallGearSettings]) -> Iterator[Event]:
    """Yield the records of a report that started in the window, and some around it."""
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
        yield Note(f"this takes at least {requests} requests, and {TITLE} limits the requests per day")
    try:
        if query.strict and report.fields:
            _refuse_new_fields(report, call, next(tile(whole, LONGEST_WINDOW)))
        for tiled in tile(whole, LONGEST_WINDOW):
            yield from _read_window(report, tiled)
            report.read_until = tiled.until
            yield Checkpoint(tiled)
        if latest > whole.until:
            yield from _beyond(report, Window(whole.until, latest))
    except DayLimitError as limit:
        raise _with_resume_hint(limit, report, window, longest) from None


def _check_years(window: Window) -> None:
    for edge in (window.since, window.until):
        if edge.year not in YEARS:
            raise UsageError(
                f"{TITLE} has no calls from the year {edge.year}",
                hint=f"choose years from {YEARS[0]} to {YEARS[-1]}",
            )


def _whole_seconds(window: Window) -> Window:
    """Return the window extended to whole seconds, the precision of a request."""
    up = SECOND if window.until.microsecond else timedelta(0)
    return Window(window.since.replace(microsecond=0), window.until.replace(microsecond=0) + up)


# Windows


def _read_window(report: Report, window: Window) -> Iterator[Event]:
    """Yield the records of one window, in halves if it has more of them than can be paged through."""
    return in_halves(window, functools.partial(_read_part, report), functools.partial(_halves_of, report))


def _halves_of(report: Report, window: Window) -> tuple[Window, Window] | None:
    near_change = spare_time(window.since, report.zone) or spare_time(window.until, report.zone)
    return halve(window, HOUR if near_change else SECOND)  # near a change of clocks, smaller parts would be one request


def _read_part(report: Report, window: Window, divisible: bool) -> Generator[Event, None, bool]:  # noqa: FBT001
    name = f"{rfc3339(window.since)} to {rfc3339(window.until)}"
    try:
        whole = yield from read_span(report, Span(span_of(window, report.zone), name, divisible=True, window=window))
    except TooLongError:
        if not divisible:
            raise
        return False
    if not whole and not divisible:
        yield from read_span(report, Span(_smallest_span(report, window), name, window=window))
    return whole


def _smallest_span(report: Report, window: Window) -> dict[str, str]:
    """Return the span of a window that cannot be halved, without the second before it if that is proved needless.

    A record of that second proves that `date_from` belongs to the span, so it can be the window's first second.
    """
    span = span_of(window, report.zone)
    earliest, _ = report.page(span, 0, first=True)
    begun = start(earliest[0], report.context) if earliest else None
    return span_of(window, report.zone, early=timedelta(0)) if begun == window.since - SECOND else span


def _beyond(report: Report, after: Window) -> Iterator[Event]:
    """Yield the calls that ended after the window, if the service selects calls by their end: that is not published.

    One request for the earliest record decides: such calls exist only if that record began before the window's end.
    """
    spare = 2 * spare_time(after.since, report.zone)
    for tiled in tile(after, LONGEST_WINDOW):
        try:
            # Without the second before, because its records are in the last span of the window.
            earliest, _ = report.page(span_of(tiled, report.zone, early=timedelta(0)), 0, first=True)
        except TooLongError:
            earliest = [{}]
        begun = start(earliest[0], report.context) if earliest else tiled.until
        in_future = begun is not None and not possible_start(begun, tiled.until + CLOCK_TOLERANCE)
        if begun is None or in_future or begun < after.since + spare:
            yield from _read_window(report, tiled)


def _with_resume_hint(limit: DayLimitError, report: Report, window: Window, longest: timedelta) -> DayLimitError:
    """Return the error with the time up to which all calls were read, so that another run can continue from there."""
    now = report.account.client.clock.now()
    after = "" if limit.reset is None else f" after {rfc3339(now + timedelta(seconds=limit.reset + 1))}"
    reached = max(window.since, min(report.read_until or window.since, window.until))
    if report.by_end:
        reached = max(window.since, reached - longest)
    limit.hint = f"run the command again{after}"
    if reached > window.since:
        limit.hint += (
            f"; all calls that started before {rfc3339(reached)} have been read: if you have their records, "
            f"continue with --since {rfc3339(reached)}"
        )
    return limit
