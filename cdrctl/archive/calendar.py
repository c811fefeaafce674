"""What the ledger says of each day, and what a run would have to ask: both without asking anybody."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cdrctl.archive.day import Day
from cdrctl.archive.intervals import Reading, days, done_windows, overlap, replan_future, settled_windows, subtract
from cdrctl.archive.ledger import FileEntry, KeptCall
from cdrctl.archive.store import Archive
from cdrctl.archive.sync import available_until, retained_since
from cdrctl.fetchers import Call, Provider
from cdrctl.windows import Window, tile

DayState = Literal["complete", "open", "hole", "beyond"]


@dataclass(frozen=True, slots=True)
class DayCoverage:
    """One day of a call: `complete`, still `open`, a `hole`, or a hole `beyond` what the provider keeps.

    `missing` is what of the day is not there and should be, `records` what its file has.
    """

    day: str
    state: DayState
    records: int
    missing: tuple[Window, ...]
    error: str


def coverage(
    archive: Archive,
    call: Call,
    kept: KeptCall,
    known: Mapping[str, Sequence[Reading]],
    files: Sequence[FileEntry],
    now: datetime,
) -> Iterator[DayCoverage]:
    """Yield what is there of each day since the archive began to keep a call, oldest first.

    What is missing and lies so shortly back that no run need have read it is open, not a hole.
    """
    until, oldest = available_until(call, now), retained_since(call, now)
    counts = {one.day: one.records for one in files if (one.profile, one.call) == (kept.profile, kept.call)}
    if kept.begins >= until:
        return
    for day, whole in days(Window(kept.begins, max(until, kept.begins)), archive.zone):
        name = day.isoformat()
        readings = replan_future(known.get(name, ()), now)
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
        yield DayCoverage(name, state, counts.get(name, 0), tuple(missing), error)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would ask: windows, at least so many requests, at least so many seconds under the published limits."""

    windows: int
    requests: int
    seconds: float


def estimate(provider: Provider, call: Call, wanted: Sequence[Day], requests_per_minute: float | None) -> Estimate:
    """Return what reading some days takes at least: how many further pages there are depends on the calls."""
    requests = 0
    for day in wanted:
        whole = Window(day.window.since, day.window.until + call.timing.margin)
        requests += 1 if call.timing.longest is None else sum(1 for _ in tile(whole, call.timing.longest))
    spans = [
        (budget.requests, budget.seconds)
        for kind, budget in provider.retry_policy.budgets.items()
        if kind in {"*", call.timing.first}
    ]
    if requests_per_minute:
        spans.append((1, 60 / requests_per_minute))
    if requests_per_minute == 0:
        spans = []
    seconds = max((math.floor(max(requests - 1, 0) / at_once) * span for at_once, span in spans), default=0.0)
    return Estimate(len(wanted), requests, seconds)
