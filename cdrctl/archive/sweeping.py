"""Sweeps: settled days are read once more, because records may come later than the lookback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

from msgspec import Struct

from cdrctl.archive.day import Day
from cdrctl.archive.intervals import CLOCKS_MAY_DIFFER, Reading, day_start, days, settled_windows, subtract
from cdrctl.archive.ledger import SweepState
from cdrctl.archive.ledgers import AnyLedger
from cdrctl.archive.planning import day_start_of
from cdrctl.archive.settings import FIRST_LAYOUT, SweepPolicy
from cdrctl.archive.store import Archive
from cdrctl.windows import Window

SLACK = timedelta(hours=6)
"""How much earlier than its time a sweep may begin: nightly runs do not begin at the same second."""


class Sweep(Struct, frozen=True):
    """A sweep of a run.

    Args:
        length: How long before the lookback the settled days are read again.
        began: When it began.
        goes_on: An earlier run began it: days that were read since then are done.
        counts: Whether the policy of the archive takes it for its own.
    """

    length: timedelta
    began: datetime
    goes_on: bool
    counts: bool


def call_sweep(
    archive: Archive, ledger: AnyLedger, profile: str, call: str, at: datetime, length: timedelta | None
) -> Sweep | None:
    """Return the sweep that a run does of a call; None if it does none.

    Archives of the first layout have no policy, because their ledger has no place for when the last sweep was.

    Args:
        archive: The archive.
        ledger: Its ledger.
        profile: The name of the profile.
        call: The name of the call.
        at: The present instant.
        length: The value of --sweep; None if it was not given, 0 for no sweep.
    """
    policy = None if archive.layout == FIRST_LAYOUT else archive.settings.sweep_of(profile)
    return sweep_due(policy, ledger.sweeps(profile, call), at, archive.zone, length)


def sweep_due(
    policy: SweepPolicy | None, state: SweepState, at: datetime, zone: tzinfo, length: timedelta | None = None
) -> Sweep | None:
    """Return the sweep that a run does; None if it does none.

    A sweep that was not finished goes on. One that is dated after now, by a clock that was ahead, does not count.

    Args:
        policy: The policy of the archive; None if it has none.
        state: The sweeps of the call so far.
        at: The present instant.
        zone: The zone of the archive's days.
        length: The value of --sweep; None if it was not given, 0 for no sweep.
    """
    at = at.replace(microsecond=0)
    if length is not None:
        counts = policy is not None and length >= timedelta(days=policy.days)
        return Sweep(length, at, goes_on=False, counts=counts) if length else None
    if policy is None:
        return None
    finished, began = _not_after(state.finished, at), _not_after(state.began, at)
    if not _is_due(policy, finished, at, zone):
        return None
    if began is not None and began != finished and not _is_due(policy, began, at, zone):
        return Sweep(timedelta(days=policy.days), began, goes_on=True, counts=True)
    return Sweep(timedelta(days=policy.days), at, goes_on=False, counts=True)


def _not_after(instant: datetime | None, at: datetime) -> datetime | None:
    """Return an instant, or None if it is after another one by more than clocks may differ."""
    return None if instant is None or instant > at + CLOCKS_MAY_DIFFER else instant


def _is_due(policy: SweepPolicy, last: datetime | None, at: datetime, zone: tzinfo) -> bool:
    if last is None:
        return True
    if policy.weekday is not None:
        today = at.astimezone(zone).date()
        return last < day_start(today - timedelta(days=(today.weekday() - policy.weekday) % 7), zone)
    every = policy.every or timedelta(0)
    return at - last >= every - min(SLACK, every / 4)


def sweep_days(
    sweep: Sweep,
    begins: datetime,
    at: datetime,
    oldest: datetime | None,
    known: Mapping[str, Sequence[Reading]],
    archive: Archive,
    lookback: timedelta,
) -> list[Day]:
    """Return the settled days that a sweep reads again, oldest first, each with one window.

    Args:
        sweep: The sweep.
        begins: The instant since which the archive keeps the call.
        at: The present instant.
        oldest: The instant since which the provider still has the calls; None if it keeps them forever.
        known: The readings in the ledger, by day.
        archive: The archive, for the zone of its days.
        lookback: For how long after a call its record may still appear or change.
    """
    until = at - lookback
    since = max(begins, day_start_of(archive, until - sweep.length), *([] if oldest is None else [oldest]))
    found = []
    for day, whole in days(Window(since, until), archive.zone) if since < until else ():
        settled = settled_windows([one for one in known.get(day.isoformat(), ()) if _is_left(sweep, one)], lookback)
        within = [] if not settled else subtract([whole], subtract([whole], settled))
        if within:
            found.append(Day(day.isoformat(), Window(within[0].since, within[-1].until)))
    return found


def _is_left(sweep: Sweep, reading: Reading) -> bool:
    """Return whether the sweep has not read the window of a reading yet."""
    return not sweep.goes_on or reading.read_at is None or reading.read_at < sweep.began


def with_sweep(planned: Sequence[Day], swept: Sequence[Day]) -> list[Day]:
    """Return the days of a run: first those that it reads anyway, then those that only the sweep reads."""
    more = {one.name: one.window for one in swept}
    first = []
    for day in planned:
        other = more.pop(day.name, day.window)
        first.append(Day(day.name, Window(min(day.window.since, other.since), max(day.window.until, other.until))))
    return [*first, *(Day(name, window) for name, window in more.items())]
