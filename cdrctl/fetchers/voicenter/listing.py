"""The calls of a Voicenter account: windows, halved if they have more calls than one response holds."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from cdrctl.errors import UsageError
from cdrctl.fetchers import Query
from cdrctl.fetchers.drift import new_fields, new_fields_error
from cdrctl.fetchers.voicenter.answers import FullError, RangeError, Reply
from cdrctl.fetchers.voicenter.bounds import MINUTE, SECOND, whole_minute
from cdrctl.fetchers.voicenter.columns import COLUMNS, lists_of_fields
from cdrctl.fetchers.voicenter.pages import pages
from cdrctl.fetchers.voicenter.run import Run, begin_run
from cdrctl.fetchers.voicenter.search import search_criteria
from cdrctl.fetchers.voicenter.settings import TITLE, VoicenterSettings
from cdrctl.fetchers.voicenter.zone import ISRAEL, ZONE_LEAD
from cdrctl.http import by_halving
from cdrctl.records.events import Checkpoint, Event, Gap
from cdrctl.windows import Window, halve, rfc3339, tile

FULL_SECONDS = 3
"""The number of full seconds in half a minute from which the host probably counts in minutes."""
CROWDED_MINUTES = 20
"""The number of minutes in a row, each with too many calls for a response, that ends the export."""


def cdrs(query: Query[VoicenterSettings]) -> Iterator[Event]:
    """Yield the records of calls that started in the window, and some around it.

    Both bounds are moved outwards to whole minutes, because hosts of the first version count in minutes. Whether a
    request selects calls by their start, by their end or by the moment when the record was saved is not published. So
    the request ends later than the window, by as much as the longest call and the saving of its record may take.

    Raises:
        UsageError: An option makes no sense.
        IncompleteError: The zone of times without one cannot be found.
    """
    window, options = query.window, query.options
    longest: timedelta = options["longest_window"]
    if longest < MINUTE:
        raise UsageError("--longest-window is shorter than a minute", hint="write it as 1m, 6h or 1d")
    fields = lists_of_fields(query.fields)
    run = begin_run(query.client, query.settings, search_criteria(options), fields, query.once)
    asked = Window(whole_minute(window.since), whole_minute(window.until, up=True))
    later = _until(query)
    windows = [asked, Window(asked.until, later)] if later > asked.until else [asked]
    if query.strict:
        _refuse_new_fields(run, next(tile(asked, longest - longest % MINUTE)))
    crowded = 0
    for tiled in itertools.chain.from_iterable(tile(one, longest - longest % MINUTE) for one in windows):
        for part, reply in by_halving(tiled, run.whole, MINUTE):
            if reply is not None:
                yield from pages(run, reply)
                crowded = 0
            else:
                crowded = 0 if (yield from _by_seconds(run, part, window)) else crowded + 1
            yield from _contradictions(run)
            yield Checkpoint(part)
            if crowded >= CROWDED_MINUTES:
                yield Gap(
                    f"for every minute, {TITLE} reports more calls than it sends in one response: calls from "
                    f"{rfc3339(part.until)} on were not requested",
                    "check base_url: another service, or a cache, may be responding",
                )
                return


def _refuse_new_fields(run: Run, window: Window) -> None:
    """Send one request without the list of fields, which would hide new ones.

    Raises:
        DriftError: The service has a field that the list lacks.
    """
    with suppress(FullError, RangeError):  # the export itself reports these
        names = new_fields(run.ask(window.since, window.until, listed=False).records, COLUMNS)
        if names:
            raise new_fields_error(TITLE, "voicenter", "cdrs", names)


def _until(query: Query[VoicenterSettings]) -> datetime:
    """Return the end of the last request, so that all calls that started in the window are listed.

    No call is listed before it starts, but a host that reads the times of a request as Israel's lists the last hours
    under future times. If another part of the window follows, that part lists the later calls.
    """
    until = query.window.until
    if query.whole is not None and until < query.whole.until:
        return whole_minute(until, up=True)
    latest = max(until, query.client.clock.now() + ZONE_LEAD)
    return whole_minute(min(until + query.options["longest_call"], latest), up=True)


def _by_seconds(run: Run, minute: Window, wanted: Window) -> Generator[Event, None, bool]:
    """Yield the calls of a minute that a response cannot hold, and gaps for the others; return whether all came.

    Hosts of the first version drop the seconds of a bound, so that half a minute becomes a whole minute or its first
    instant. So a response for less than a minute proves nothing until a record shows that the host counts in seconds.
    """
    first = run.partial
    parts: list[tuple[Window, Reply, bool]] = []
    for half in halve(minute, SECOND) or ():
        for part, reply in _seconds(run, half):
            parts.append((part, reply or run.partial, reply is not None))
    if run.bounds.precision == SECOND:
        for part, reply, whole in parts:
            yield from pages(run, reply)
            if not whole and _may_list_wanted_calls(run, part, wanted):
                yield _gap(part)
        return any(whole for _, _, whole in parts)
    tried, whole = run.alone(minute.since, MINUTE) if run.bounds.precision == MINUTE else ([], False)
    for reply in (first, *(reply for _, reply, _ in parts), *tried):
        yield from pages(run, reply)
    if not whole and _may_list_wanted_calls(run, minute, wanted):
        yield _gap(minute)
    return whole


def _seconds(run: Run, half: Window) -> Iterator[tuple[Window, Reply | None]]:
    """Yield the parts of half a minute, down to seconds, as long as the host may count in seconds."""
    full = 0
    if run.bounds.precision == MINUTE:
        return
    for part, reply in by_halving(half, run.second, SECOND):
        yield part, reply
        full += reply is None
        if run.bounds.precision == MINUTE or (run.bounds.precision is None and full >= FULL_SECONDS):
            return


def _may_list_wanted_calls(run: Run, part: Window, wanted: Window) -> bool:
    """Return whether calls that started in the wanted window may be listed for a part.

    No call is listed before it starts, and after its start only if requests do not select calls by their start.
    """
    return part.until > wanted.since and (part.since < wanted.until or not run.bounds.by_start)


def _contradictions(run: Run) -> Iterator[Gap]:
    """Yield a gap, once, if a call cannot be in the zone in use."""
    found = run.zones.contradiction()
    if found is not None:
        yield Gap(
            f"{TITLE} sends times without a zone; they were read as {run.zones.name}, which is wrong for {found}: "
            "calls at the edges of the window may be missing",
            f'set date_zone in the profile, for example to "{ISRAEL}"',
        )


def _gap(part: Window) -> Gap:
    when = f"at {rfc3339(part.since)}"
    if part.duration > SECOND:
        when = f"from {rfc3339(part.since)} to {rfc3339(part.until)}"
    return Gap(
        f"{TITLE} has more calls that started {when} than it sends in one response",
        "export them in parts, with --type, --extension, --phone or --queue",
    )
