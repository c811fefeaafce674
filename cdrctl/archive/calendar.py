"""What the ledger has of each day, and what a run would cost, both without contacting the provider."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from cdrctl.archive.day import Day
from cdrctl.archive.files import contents_of
from cdrctl.archive.intervals import (
    CLOCKS_MAY_DIFFER,
    Reading,
    days,
    done_windows,
    is_settled,
    overlap,
    replan_future,
    settled_windows,
    subtract,
)
from cdrctl.archive.ledger import FileEntry, KeptCall
from cdrctl.archive.planning import available_until, is_outdated, retained_since
from cdrctl.archive.store import Archive, sizes_in
from cdrctl.fetchers import Call, Provider
from cdrctl.windows import Window, tile

DayState = Literal["complete", "open", "hole", "beyond", "missing", "retired"]


class DayCoverage(NamedTuple):
    """One day of a call.

    Args:
        day: The day as `2026-11-19`.
        state: `complete`; `open` if records may still come; `hole` if something was not read; `beyond` if something was
            not read that the provider no longer keeps; `missing` if the file was deleted by hand; `retired` if it was
            removed by `archive retain`.
        records: How many records its file has.
        missing: The windows that have not been read.
        error: Why the last reading failed; empty if it did not.
        erased: How many records were erased because of their number.
        options: The options of the call with which it was read, as JSON; of several, all that differ.
        outdated: Some of it was read without what the archive's options ask for now, and the provider still has it.
    """

    day: str
    state: DayState
    records: int
    missing: tuple[Window, ...]
    error: str
    erased: int = 0
    options: tuple[str, ...] = ()
    outdated: bool = False


def coverage(
    archive: Archive,
    call: Call,
    kept: KeptCall,
    known: Mapping[str, Sequence[Reading]],
    files: Sequence[FileEntry],
    now: datetime,
    options: str | None = None,
    complete: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[DayCoverage]:
    """Yield the state of each day since the archive began to keep a call, oldest first.

    A window that is so recent that no run can have read it yet is open, not a hole. `options` are those with which the
    call is read now, as JSON; None if unknown. `complete` has the numbers of records of days that are known to be
    complete; their readings and files need not be given.
    """
    for day in _states(archive, call, kept, known, files, now, complete):
        readings = known.get(day.day, ())
        if not options and not (readings and any(one.options for one in readings)):
            yield day
            continue
        with_options = tuple(sorted({one.options for one in readings if one.state == "done" and one.options}))
        judged = options is not None and day.state not in {"retired", "missing"}
        outdated = judged and any(is_outdated(one, call, options or "", now) for one in readings)
        yield day._replace(options=with_options, outdated=outdated)


def _states(
    archive: Archive,
    call: Call,
    kept: KeptCall,
    known: Mapping[str, Sequence[Reading]],
    files: Sequence[FileEntry],
    now: datetime,
    complete: Mapping[str, int],
) -> Iterator[DayCoverage]:
    """Yield the state of each day, whatever its options."""
    until, oldest = available_until(call, now), retained_since(call, now)
    filed = {one.day: one for one in files if one.profile == kept.profile and one.call == kept.call}
    if kept.begins >= until:
        return
    size_of, lookback = sizes_in(archive.folder), call.timing.lookback
    for day, whole in days(Window(kept.begins, max(until, kept.begins)), archive.zone):
        name = day.isoformat()
        if kept.retired is not None and day < kept.retired:
            yield DayCoverage(name, "retired", 0, (), "")
            continue
        if name in complete:
            yield DayCoverage(name, "complete", complete[name], (), "")
            continue
        told, entry = known.get(name, ()), filed.get(name)
        records, size = (0, 0) if entry is None else (entry.records, size_of(entry.path))
        if size is None and done_windows(replan_future(told, now)):
            yield DayCoverage(name, "missing", 0, (whole,), "")
        elif entry is not None and size not in {entry.bytes, None}:
            records, readings = _changed(archive, entry, told)
            yield _day_coverage(name, whole, replan_future(readings, now), records, call, oldest, now)
        elif is_settled(told, whole, lookback, now + CLOCKS_MAY_DIFFER):
            yield DayCoverage(name, "complete", records, (), "")
        else:
            yield _day_coverage(name, whole, replan_future(told, now), records, call, oldest, now)


def _day_coverage(
    name: str,
    whole: Window,
    readings: Sequence[Reading],
    records: int,
    call: Call,
    oldest: datetime | None,
    now: datetime,
) -> DayCoverage:
    """Return the state of a day that was read in parts, or not.

    Args:
        name: The day.
        whole: Its window, as far as the archive keeps it.
        readings: Its readings.
        records: How many records its file has.
        call: The call.
        oldest: The instant since which the provider still has the calls; None if it keeps them forever.
        now: The present instant.
    """
    missing = subtract([whole], done_windows(readings))
    failed = [one for one in readings if one.state == "failed"]
    tried = [one.window for one in failed] + [one.window for one in readings if one.state == "planned"]
    old = (
        Window(whole.since - timedelta(days=1), now - call.timing.lookback)
        if whole.since < now - call.timing.lookback
        else None
    )
    holes = [
        part
        for part in missing
        if any(overlap(part, one) for one in tried) or (old is not None and overlap(part, old) is not None)
    ]
    gone = [part for part in holes if oldest is not None and part.since < oldest]
    state: DayState = "complete"
    if gone:
        state = "beyond"
    elif holes:
        state = "hole"
    elif missing or subtract([whole], settled_windows(readings, call.timing.lookback)):
        state = "open"
    error = next((one.error for one in failed if one.error), "")
    return DayCoverage(name, state, records, tuple(missing), error)


def _changed(archive: Archive, filed: FileEntry, told: Sequence[Reading]) -> tuple[int, list[Reading]]:
    """Return the number of records and the readings of a file that is not the one in the ledger.

    A sync may have written it after the ledger was read: then the file tells. If it does not, it has to be read again.
    """
    why = "another program changed the file"
    try:
        found = contents_of(archive, archive.folder / filed.path)
    except OSError as error:
        found, why = None, f"the file cannot be read: {error.strerror or error}"
    if found is not None:
        return found.records, found.readings
    return 0, [replace(one, state="failed", error=why) if one.state == "done" else one for one in told]


class Estimate(Struct, frozen=True):
    """What a run would cost at least: windows, requests, and seconds under the published rate limits."""

    windows: int
    requests: int
    seconds: float


def estimate(provider: Provider, call: Call, wanted: Sequence[Day], requests_per_minute: float | None) -> Estimate:
    """Return the least that reading some days costs; the number of further pages depends on the calls.

    Args:
        provider: The provider.
        call: The call.
        wanted: The days.
        requests_per_minute: The profile's own rate limit; 0 for none at all, None to use only the published one.
    """
    requests = 0
    for day in wanted:
        whole = Window(day.window.since, day.window.until + call.timing.margin)
        requests += 1 if call.timing.longest is None else sum(1 for _ in tile(whole, call.timing.longest))
    limits = [
        (budget.requests, budget.seconds)
        for kind, budget in provider.retry_policy.budgets.items()
        if kind in {"*", call.timing.first}
    ]
    if requests_per_minute:
        limits.append((1, 60 / requests_per_minute))
    if requests_per_minute == 0:
        limits = []
    seconds = max((math.floor(max(requests - 1, 0) / count) * period for count, period in limits), default=0.0)
    return Estimate(len(wanted), requests, seconds)
