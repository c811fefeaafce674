"""The answer to a search: the records of a window, sorted, as many as one answer may hold."""

from __future__ import annotations

from cdrctl.sandbox.exchange.clock import SECOND
from cdrctl.sandbox.voicenter.answers import answer, envelope, error, html_table
from cdrctl.sandbox.voicenter.cdr import Cdr, Doc
from cdrctl.sandbox.voicenter.fields import CURRENT_FIELDS
from cdrctl.sandbox.voicenter.records import whole_record, write_record
from cdrctl.sandbox.voicenter.search import Search, matches, read_window, wanted_fields
from cdrctl.sandbox.voicenter.state import State
from cdrctl.sandbox.wire import Reply

_SEARCH_NAMES = frozenset({"fromdate", "todate", "phones"})
"""Search keys that version 0.1 accepts among the fields."""


def list_records(state: State, search: Search) -> Reply:
    """Answer a search."""
    window = read_window(state, search)
    if window is None:
        return error(state, 5)
    unknown = _unknown_field(state, search)
    if unknown is not None and state.switched["unknown_field"] == "error":
        return error(state, 6, name=unknown)
    found = _found(state, search, window)
    cap, over_cap = int(state.switched["cap"]), state.switched["over_cap"]
    if len(found) > cap and (over_cap == "error3" or (over_cap == "counters" and not state.is_current)):
        return error(state, 3)
    returned = found[:cap]
    wanted = wanted_fields(state, search)
    records = [write_record(state, one, wanted, search.fields or ()) for one in returned]
    html = state.switched["html"]
    on_format = html == "on_format" or not state.is_current
    if html == "always" or (on_format and search.form.upper() == "HTML"):
        return html_table(wanted, records)
    members: Doc = envelope(state, 0)
    if state.is_current and over_cap != "silent":
        more = int(state.switched["counters"] == "off_by_one")
        members |= {"TOTAL_HITS": len(found) + more, "RETURN_HITS": len(returned) + more}
    empty: list[Doc] | None = None if state.switched["empty"] == "null" else []
    return answer(state, 200, members, records or empty)


def _unknown_field(state: State, search: Search) -> str | None:
    """Find the first field of a request that the service does not know."""
    known = {name.lower() for name in state.fields}
    if not state.is_current:
        known |= _SEARCH_NAMES
    return next((name for name in search.fields or () if name.lower() not in known), None)


def _found(state: State, search: Search, window: tuple[int, int]) -> list[Cdr]:
    """List the records of a window that meet the search keys, in order."""
    lo, hi = (second * SECOND for second in window)
    found = [one for one in _selected(state, lo, hi) if matches(one, search)]
    if state.switched["order"] == "newest":
        found.reverse()
    for name, descending in reversed(search.sort):
        found = _sort(state, found, name, descending=descending)
    return found


def _selected(state: State, lo: int, hi: int) -> list[Cdr]:
    """List the records whose second of start, end or saving, as switched, is in `[lo, hi)` Unix milliseconds."""
    window_on = state.switched["window_on"]
    if window_on == "start":
        return state.cdrs_between(lo, hi, state.lag)
    found = state.cdrs_between(lo - state.longest_wait(), hi, state.lag)
    moments = [one.end if window_on == "end" else state.saved_at(one) for one in found]
    return [one for one, at in zip(found, moments, strict=True) if lo <= at // SECOND * SECOND < hi]


def _sort(state: State, found: list[Cdr], name: str, *, descending: bool) -> list[Cdr]:
    """Sort records by a field; an unknown field changes nothing."""
    known = next((one for one in CURRENT_FIELDS if one.lower() == name.lower()), None)
    if known is None:
        return found

    def by_value(one: Cdr) -> tuple[int, float, str]:
        value = one.start // SECOND if known == "Date" else whole_record(state, one)[known]
        number = isinstance(value, int | float)
        return int(not number), float(value) if number else 0.0, "" if number else str(value)

    return sorted(found, key=by_value, reverse=descending)
