"""What a Voicenter `Date` without a zone means, and when a record's call started.

Page "Call Log" shows `Date` with a `Z`; older answers have `YYYY-MM-DD HH:MM:SS`. Whether that is UTC or the local time
of Israel is not published, and the service uses local time elsewhere. The digits at the beginning of a CallID are no
evidence: in the page's sample they are Israel's time, in the sample of "Call log (Version 0.1)" they are UTC.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from cdrctl import windows
from cdrctl.placeholders import FIRST_YEAR
from cdrctl.records.events import Record, pick
from cdrctl.records.readers import iso_instant, read_integer, read_iso_time, unix_instant
from cdrctl.windows import rfc3339

ISRAEL = "Asia/Jerusalem"
LEARN = "learn"
"""The setting under which the zone is found out from the records."""

OFFSET = "utc_offset"
"""The name, in a page's context, of the seconds that its times without a zone are ahead of UTC."""

TOLERANCE = timedelta(minutes=15)
"""How much later than the end of a request a call may seem to start without being evidence: clocks differ."""

FARTHEST = timedelta(hours=14)
"""No zone is further ahead of UTC: a time that is later by more is a broken one and not another zone's."""

ZONE_LEAD = timedelta(hours=3)
"""How far Israel's clocks are ahead of UTC at most."""

_ZONE = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})\s*\Z", re.IGNORECASE)
_DAY_SECONDS = 86_400

zone_named = functools.lru_cache(maxsize=8)(windows.zone)
"""The zone of a name."""


def own_start(record: Record) -> datetime | None:
    """Return the start that a record proves by itself, by `DateEpoch` or by a `Date` with an offset, or None."""
    with suppress(ValueError):
        epoch = unix_instant(pick(record, "DateEpoch"))
        if epoch.timestamp() > 0:
            return epoch
    date = pick(record, "Date")
    if isinstance(date, str) and _ZONE.search(date):
        with suppress(ValueError):
            return iso_instant(date)
    return None


def wall_time(record: Record) -> datetime | None:
    """Return the `Date` of a record, without a zone as it came, or None where it has a zone or is no time of a call."""
    date = pick(record, "Date")
    if isinstance(date, str) and not _ZONE.search(date):
        with suppress(ValueError):
            at = iso_instant(date).replace(tzinfo=None)
            return at if at.year >= FIRST_YEAR else None
    return None


def zoneless(record: Record) -> bool:
    """Return whether the start of a record is known by a time without a zone alone."""
    return own_start(record) is None and wall_time(record) is not None


def start_in(record: Record, context: Mapping[str, str]) -> datetime | None:
    """Return the start of a call in the context of its page, or None.

    `DateEpoch` counts more than `Date`; a `Date` without a zone is taken as UTC where the context names no offset.
    """
    own = own_start(record)
    if own is not None:
        return own
    with suppress(ValueError):
        return iso_instant(pick(record, "Date")) - _context_offset(context)
    return None


def start(record: Record) -> datetime | None:
    """Return the start of a call on a page without a context."""
    return start_in(record, {})


def read_date(raw: Any, context: Mapping[str, str]) -> str:
    """Return a `Date` in the contract's form, in the context of its page; ValueError where it is no time."""
    offset = _context_offset(context)
    if not offset or not isinstance(raw, str) or _ZONE.search(raw):
        return read_iso_time(raw)
    return rfc3339(iso_instant(raw) - offset)


def _context_offset(context: Mapping[str, str]) -> timedelta:
    return timedelta(seconds=int(context.get(OFFSET, "0")))


def in_zone(wall: datetime, zone: tzinfo, fold: int = 0) -> datetime:
    """Return the instant of a wall time; of the two that a repeated hour has, the second one for fold 1."""
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def repeated(wall: datetime, zone: tzinfo) -> timedelta:
    """Return how much later a wall time comes again, because clocks are set back, or nothing if it does not."""
    return max(timedelta(0), in_zone(wall, zone, 1) - in_zone(wall, zone, 0))


def is_ambiguous(wall: datetime, zone: tzinfo) -> bool:
    """Return whether a change of clocks makes a wall time come twice in a zone, or never."""
    return in_zone(wall, zone, 0) != in_zone(wall, zone, 1)


def offset_seconds(wall: datetime, instant: datetime) -> int:
    """Return the seconds that a wall time is ahead of the instant it means."""
    return round((wall - instant.replace(tzinfo=None)).total_seconds())


def span(record: Record) -> timedelta:
    """Return how long a call took as far as its record says: ringing and talk, a day at most."""
    return talk(record) + _seconds(record, "RingTime")


def talk(record: Record) -> timedelta:
    """Return the talk of a call, which is never more than the whole of it, a day at most."""
    return _seconds(record, "Duration")


def _seconds(record: Record, name: str) -> timedelta:
    with suppress(ValueError):
        return timedelta(seconds=min(max(read_integer(pick(record, name)), 0), _DAY_SECONDS))
    return timedelta(0)


def shown(records: Iterable[Record]) -> set[str]:
    """Return the zones that records prove which have both a `DateEpoch` and a `Date` without a zone."""
    found = set()
    for record in records:
        own, wall = own_start(record), wall_time(record)
        if own is not None and wall is not None:
            fits = [name for name in ("UTC", ISRAEL) if own in _both(wall, zone_named(name))]
            found.add(fits[0] if fits else "another zone")
    return found


def _both(wall: datetime, zone: tzinfo) -> set[datetime]:
    return {in_zone(wall, zone, 0), in_zone(wall, zone, 1)}


def beyond(record: Record, zone: tzinfo, latest: datetime) -> bool:
    """Return whether a call, read in a zone, would have started after an instant, by no more than a zone explains.

    A call is not listed before it starts, whatever its window is laid on: what starts after the end of the request that
    listed it was read in the wrong zone.
    """
    wall = wall_time(record)
    if wall is None or own_start(record) is not None:
        return False
    late = in_zone(wall, zone, 0) - latest
    return TOLERANCE < late <= FARTHEST
