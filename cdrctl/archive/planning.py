"""Plans which days of a call a run reads: those that the provider still has and that are not settled."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo

from cdrctl.archive.day import Day
from cdrctl.archive.intervals import (
    Reading,
    day_start,
    days,
    done_windows,
    is_settled,
    overlap,
    settled_windows,
    subtract,
    union,
)
from cdrctl.archive.options import has_all
from cdrctl.archive.store import Archive
from cdrctl.fetchers import Call
from cdrctl.windows import Window

LATEST = datetime.max.replace(tzinfo=UTC)
RETENTION_MARGIN = timedelta(minutes=5)
"""Distance from the oldest call that the provider keeps: that limit moves on while a day is being read."""


def available_until(call: Call, now: datetime) -> datetime:
    """Return the instant until which the provider can have all calls by now, in whole seconds."""
    return (now - call.timing.lag).replace(microsecond=0)


def retained_since(call: Call, now: datetime) -> datetime | None:
    """Return the instant since which the provider still has the calls, with a margin; None if it keeps them forever."""
    if call.timing.retention is None:
        return None
    return (now - call.timing.retention + RETENTION_MARGIN).replace(microsecond=0) + timedelta(seconds=1)


def is_outdated(reading: Reading, call: Call, options: str, now: datetime) -> bool:
    """Return whether a success lacks something that options ask for, and the provider still has its window.

    Args:
        reading: The reading.
        call: The call.
        options: The options with which the call is read now, as JSON.
        now: The present instant.
    """
    if reading.state != "done" or has_all(call, reading.options, options):
        return False
    oldest = retained_since(call, now)
    return oldest is None or reading.window.since >= oldest


def plan_days(
    begins: datetime,
    until: datetime,
    oldest: datetime | None,
    known: Mapping[str, Sequence[Reading]],
    archive: Archive,
    lookback: timedelta,
    *,
    final: Collection[str] = (),
    only_holes: bool = False,
    with_gone: bool = False,
) -> tuple[list[Day], list[Window]]:
    """Return the days to read, oldest first, each with one window, and the missing periods beyond the retention.

    Args:
        begins: The instant since which the archive keeps the call.
        until: The instant until which the provider can be queried.
        oldest: The instant since which the provider still has the calls; None if it keeps them forever.
        known: The readings in the ledger, by day.
        archive: The archive, for the zone of its days.
        lookback: For how long after a call its record may still appear or change.
        final: Days that need not be read, whose readings are not among those known.
        only_holes: Skip everything that was read successfully, even if it may still change.
        with_gone: Re-read successful readings that have records gone at the provider.
    """
    if begins >= until:
        return [], []
    parts, lost = [], []
    for day, whole in days(Window(begins, until), archive.zone):
        name = day.isoformat()
        if name in final:
            continue
        readings = known.get(name, ())
        if is_settled(readings, whole, lookback, LATEST) and not (with_gone and readings[0].error):
            continue
        missing = subtract([whole], done_windows(readings))
        open_parts = missing if only_holes else subtract([whole], settled_windows(readings, lookback))
        if with_gone:
            marked = [one.window for one in readings if one.state == "done" and one.error]
            open_parts = union([*open_parts, *marked])
        if oldest is not None:
            gone = Window(min(begins, oldest) - timedelta(days=1), oldest)
            lost += [past for part in missing if (past := overlap(part, gone)) is not None]
            open_parts = subtract(open_parts, [gone])
        if open_parts:
            parts.append(Day(name, Window(open_parts[0].since, open_parts[-1].until)))
    return parts, union(lost)


def first_instant(
    archive: Archive, call: Call, now: datetime, lookback: timedelta, since: datetime | None, before: datetime | None
) -> datetime:
    """Return the instant since which an archive keeps a call.

    Args:
        archive: The archive, for the zone of its days.
        call: The call.
        now: The present instant.
        lookback: For how long after a call its record may still change: where a new archive begins without `since`.
        since: The value of --since, if given.
        before: The instant since which the archive has kept the call so far; None for a new one.
    """
    oldest = retained_since(call, now)
    wanted_from = (None if before is not None else now - lookback) if since is None else since
    named = [] if before is None else [before]
    if wanted_from is not None:
        first = day_start_of(archive, wanted_from)
        # "30d" of a retention of 30 days means everything that there is, and is no hole.
        at_edge = oldest is not None and first < oldest <= wanted_from + 2 * RETENTION_MARGIN
        named.append(oldest if at_edge and oldest is not None else first)
    if since is None and before is None and oldest is not None:
        return max(*named, oldest)
    return min(named)


def not_retired(zone: tzinfo, begins: datetime, retired: date | None) -> datetime:
    """Return the instant since which an archive reads a call that it keeps since `begins`.

    Args:
        zone: The zone of the archive's days.
        begins: Since when it keeps the call.
        retired: The first day that was not removed; None if none was.
    """
    return begins if retired is None else max(begins, day_start(retired, zone))


def day_start_of(archive: Archive, since: datetime) -> datetime:
    """Return the start of the archive's day that contains an instant: an archive keeps whole days."""
    return day_start(since.astimezone(archive.zone).date(), archive.zone)
