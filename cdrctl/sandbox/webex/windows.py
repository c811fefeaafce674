"""The window of a request, and the records in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from cdrctl.sandbox.exchange.clock import DAY, HOUR, MINUTE, SECOND, delay, is_gone, milliseconds
from cdrctl.sandbox.exchange.parties import Leg
from cdrctl.sandbox.webex.records import Record, end_of, wire_record
from cdrctl.sandbox.webex.state import Entry, State

CALLS = ("cdrs", "stream")
_FEED_LAG = 5 * MINUTE
_STREAM_LAG = MINUTE
_INSERTED_AFTER = 30 * SECOND


class BadWindowError(Exception):
    """The service refuses a window; the argument is the message."""


def read_window(state: State, asked: Mapping[str, str], call: str) -> tuple[int, int]:
    """Return the window in Unix milliseconds; raises BadWindowError."""
    lo, hi = _bound(asked, "startTime"), _bound(asked, "endTime")
    longest, oldest, newest = {
        "cdrs": (12 * HOUR, 30 * DAY, _FEED_LAG),
        "stream": (2 * HOUR, 12 * HOUR, _STREAM_LAG),
    }[call]
    now = state.unix_now
    if hi <= lo:
        raise BadWindowError("Bad request: endTime must be later than startTime")
    if hi - lo > longest:
        raise BadWindowError(f"Bad request: startTime and endTime are more than {longest // HOUR} hours apart")
    if lo < now - oldest:
        raise BadWindowError(f"Bad request: startTime is more than {oldest // HOUR} hours ago")
    if hi > now - newest:
        raise BadWindowError(f"Bad request: endTime must be at least {newest // MINUTE} minutes ago")
    return lo, hi


def _bound(asked: Mapping[str, str], name: str) -> int:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", asked.get(name, "")):
        raise BadWindowError(f"Bad request: {name} must be like 2026-11-18T00:00:00.000Z")
    try:
        return milliseconds(datetime.fromisoformat(asked[name]))
    except ValueError:
        raise BadWindowError(f"Bad request: {name} is no such time") from None


def entries_in(state: State, call: str, lo: int, hi: int, places: frozenset[str]) -> list[Entry]:
    """Return the records of the window that exist by now, in the order of their keys."""
    bounds = state.switched["bounds"]
    lo += bounds in {"open", "open_low"}
    hi += bounds in {"closed", "open_low"}
    legs_since = lo
    if call == "stream" or state.switched["filter"] == "end":
        legs_since = lo - state.exchange.longest - 25 * HOUR
    now = state.unix_now
    window = (call, lo, hi, places, *state.switched.values())
    if state.last[0] == window and state.last[1] <= now:
        return state.last[2]
    kept = []
    complete_from = 0
    for leg in state.exchange.legs_between(legs_since, hi):
        if leg.party.kind == "outside" or leg.lost:
            continue
        one = _entry(state, leg, call)
        if is_gone(state.switched["dropped"], leg.id, leg.end, now):
            continue
        if lo <= one.key < hi and (not places or one.location in places):
            complete_from = max(complete_from, one.seen)
            if one.seen <= now:
                kept.append(one)
    kept.sort(key=lambda one: (one.key, one.id))
    if complete_from <= now and state.switched["dropped"] == "0":
        # If the window can neither gain nor lose a record, keep its records for all of its pages.
        state.last = window, complete_from, kept
    return kept


def _entry(state: State, leg: Leg, call: str) -> Entry:
    """Return the record of a leg with the time by which the call selects it."""
    late = delay(state.switched["late"], "late", leg.id) + leg.late
    end = end_of(leg)
    inserted = end + _INSERTED_AFTER + late
    key = end if state.switched["filter"] == "end" else leg.start
    seen = end + _FEED_LAG + late
    if call == "stream":
        key = seen = inserted
    return Entry(key, leg.start, seen, leg.id, leg.site.name if leg.site else "", leg)


def location_names(text: str) -> frozenset[str]:
    """Return the names of a comma-separated list."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def true_records(state: State, call: str, since: datetime, until: datetime, options: Mapping[str, str]) -> list[Record]:
    """Return the records whose `Start time` is in `[since, until)`, as they stand on the wire, by that time.

    Only records that exist by now. The option `locations` (comma-separated names) restricts them. Raises
    ValueError for a call that is neither `cdrs` nor `stream`.
    """
    if call not in CALLS:
        raise ValueError(f"webex has the calls {' and '.join(CALLS)}, not {call}")
    lo, hi, now = milliseconds(since), milliseconds(until), state.unix_now
    places = location_names(options.get("locations", ""))
    lag = _STREAM_LAG if call == "stream" else 0
    kept = [
        _entry(state, leg, call)
        for leg in state.exchange.legs_between(lo, hi)
        if leg.party.kind != "outside" and not leg.lost and (not places or (leg.site and leg.site.name in places))
    ]
    share = state.switched["dropped"]
    return [
        wire_record(state, one.leg)
        for one in kept
        if one.seen + lag <= now and not is_gone(share, one.id, one.leg.end, now)
    ]
