"""The records that exist by now: those of a window, and one by its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cdrctl.sandbox.exchange.clock import DAY, delay, is_gone, milliseconds
from cdrctl.sandbox.portsip.answers import error_with, unknown_id
from cdrctl.sandbox.portsip.calls import involves
from cdrctl.sandbox.portsip.ids import read_id
from cdrctl.sandbox.portsip.records import Record, call_position, call_start, records_of
from cdrctl.sandbox.portsip.state import PBX, FoundRecords
from cdrctl.sandbox.portsip.times import MILLI, Span, microseconds
from cdrctl.sandbox.wire import Reply

_LOOK_BACK_YEARS = 5
_HISTORY = 400 * DAY


def oldest_start(pbx: PBX) -> int:
    """Return how far back the PBX keeps records, in Unix microseconds: five years since v22.5.0."""
    now = pbx.now()
    day = 28 if (now.month, now.day) == (2, 29) else now.day
    return microseconds(now.replace(year=now.year - _LOOK_BACK_YEARS, day=day))


def visible_records(pbx: PBX, kind: str, span: Span, user: str) -> Sequence[Record]:
    """Return the records that begin within the span and exist by now, oldest first.

    `user` is an extension, or empty for the records of all users.
    """
    now = milliseconds(pbx.now())
    first = pbx.exchange.first
    begun = now // DAY * DAY - _HISTORY if first is None else first
    low = max(span[0], oldest_start(pbx), begun * MILLI)
    # No visible call begins after now. Ending at the next midnight keeps `key` the same for later pages.
    high = min(span[1], (now // DAY + 1) * DAY * MILLI)
    key = kind, user, low, high, f"{pbx.switched['late']} {pbx.switched['session']}"
    if pbx.found.key != key:
        records = _read_records(pbx, kind, low, high, user) if low < high else []
        pbx.found = FoundRecords(key, max((one.seen for one in records), default=0), records)
    found = pbx.found
    share = pbx.switched["dropped"]
    if share != "0":
        return [one for one in found.records if one.seen <= now and not is_gone(share, str(one.number), one.seen, now)]
    return found.records if found.settled <= now else [one for one in found.records if one.seen <= now]


def _read_records(pbx: PBX, kind: str, low: int, high: int, user: str) -> list[Record]:
    """Return the records that begin in `[low, high)`, whether they exist yet or not."""
    reach = pbx.exchange.longest if kind != "cdrs" else 0
    found: list[Record] = []
    begun, nth = -1, 0
    for call in pbx.exchange.calls_between(low // MILLI - reach, -(-high // MILLI)):
        nth = nth + 1 if call.start == begun else 0
        begun = call.start
        if not user or involves(call, user):
            made = records_of(kind, call, nth, apart=pbx.switched["session"] == "own")
            found += [one for one in _delay(pbx, made) if low <= one.start < high]
    found.sort(key=lambda one: (one.start, one.number))
    return found


def _delay(pbx: PBX, records: list[Record]) -> list[Record]:
    """Return the records, with a later time of appearance for a share of them."""
    share = pbx.switched["late"]
    if share == "0":
        return records
    return [replace(one, seen=one.seen + delay(share, "late", str(one.number))) for one in records]


def find_record(pbx: PBX, kind: str, text: str, user: str) -> Record | Reply:
    """Return the record with an id, or the error that the PBX answers if there is no such record for the user."""
    number = read_id(pbx, text)
    if not number:
        return unknown_id(pbx)
    at = call_start(number)
    reach = pbx.exchange.longest
    calls = pbx.exchange.calls_between(at, at + 1)
    nth = call_position(number)
    apart = pbx.switched["session"] == "own"
    records = _delay(pbx, records_of(kind, calls[nth], nth, apart=apart)) if nth < len(calls) else []
    found = next((one for one in records if one.number == number), None)
    now = milliseconds(pbx.now())
    if found is None or found.seen > now or at < oldest_start(pbx) // MILLI - reach:
        return error_with(pbx, 404, "UNKNOWN", "not found")
    if user and not involves(found.call, user):
        return error_with(pbx, 404, "UNKNOWN", "not found")
    return found
