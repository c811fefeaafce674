"""What a Voicenter `Date` without a zone means, and when a record's call started.

Page "Call Log" shows `Date` with a `Z`; older answers have `YYYY-MM-DD HH:MM:SS`. Whether that is UTC or the local time
of Israel is not published, and the service uses local time elsewhere. The digits at the beginning of a CallID are no
evidence: in the page's sample they are Israel's time, in the sample of "Call log (Version 0.1)" they are UTC.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from cdrctl import windows
from cdrctl.placeholders import FIRST_YEAR
from cdrctl.records.batches import Columns, key_columns, utc_instants
from cdrctl.records.events import Record, pick
from cdrctl.records.readers import canonical_instants, iso_instant, read_integer, read_iso_time, unix_instant
from cdrctl.windows import rfc3339

ISRAEL = "Asia/Jerusalem"
LEARN = "learn"
"""The value of `date_zone` that finds the zone from the records."""

OFFSET = "utc_offset"
"""The key in a page's context for the UTC offset, in seconds, of its times without a zone."""

TOLERANCE = timedelta(minutes=15)
"""How much later than the end of a request a call may seem to start without being evidence: clocks differ."""

FARTHEST = timedelta(hours=14)
"""No zone is further ahead of UTC: a time that is later by more is wrong, not in another zone."""

ZONE_LEAD = timedelta(hours=3)
"""The largest UTC offset of Israel."""

_ZONE = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})\s*\Z", re.IGNORECASE)
_DAY_SECONDS = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

zone_named = functools.lru_cache(maxsize=8)(windows.zone)
"""The zone of a name."""


def own_start(record: Record) -> datetime | None:
    """Return the start that a record proves by itself, by `DateEpoch` or by a `Date` with an offset, or None."""
    try:  # many times for each record, and faster than `suppress`
        epoch = unix_instant(pick(record, "DateEpoch"))
        if epoch > _EPOCH:
            return epoch
    except ValueError:
        pass
    date = pick(record, "Date")
    if isinstance(date, str) and _ZONE.search(date):
        with suppress(ValueError):
            return iso_instant(date)
    return None


_FIRST, _END = 946_684_800, 4_102_444_800
"""The Unix seconds of the years 2000 and 2100, between which every call has started."""


def own_starts(columns: Columns, _context: object = None) -> Sequence[datetime]:
    """Return the start of each record, which all prove it alike: by `DateEpoch`, or by a `Date` in UTC.

    Raises:
        ValueError: The records must be read one by one.
    """
    epochs = whole_starts(columns)
    if epochs is not None:
        return [datetime.fromtimestamp(epoch, UTC) for epoch in epochs]
    return utc_instants(columns["Date"])


def whole_starts(columns: Columns) -> Sequence[int] | None:
    """Return the start of each record in Unix seconds if all have a `DateEpoch`; None if none has one.

    Raises:
        ValueError: The records must be read one by one.
    """
    epochs = columns["DateEpoch"]
    kinds = set(map(type, epochs))
    if kinds == {int} and min(epochs) >= _FIRST and max(epochs) < _END:
        return epochs
    if kinds != {type(None)}:
        raise ValueError
    return None


def proved_starts(records: Sequence[Record]) -> Sequence[datetime] | None:
    """Return the start of each record if all are read by column, prove it, and have no time without a zone."""
    batch = key_columns(records)
    if batch is None:
        return None
    dates = batch.columns["Date"]
    if not set(map(type, dates)) <= {str, type(None)}:
        return None
    others = (date for date in dates if date and date[-1] != "Z")  # a search of every date takes ten times as long
    if not all(map(_ZONE.search, others)):
        return None
    with suppress(ValueError):
        return batch.starts_in({})
    return None


def wall_time(record: Record) -> datetime | None:
    """Return the `Date` of a record if it has no zone and can be the time of a call, else None."""
    date = pick(record, "Date")
    if isinstance(date, str) and not _ZONE.search(date):
        with suppress(ValueError):
            at = iso_instant(date).replace(tzinfo=None)
            return at if at.year >= FIRST_YEAR else None
    return None


def zoneless(record: Record) -> bool:
    """Return whether the only start in a record is a time without a zone."""
    return own_start(record) is None and wall_time(record) is not None


def start_in(record: Record, context: Mapping[str, str]) -> datetime | None:
    """Return the start of a call in the context of its page, or None.

    `DateEpoch` takes precedence over `Date`; a `Date` without a zone is read as UTC if the context has no offset.
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
    """Return a `Date` in the contract's form, in the context of its page; ValueError if it is not a time."""
    offset = _context_offset(context)
    if not offset or not isinstance(raw, str) or _ZONE.search(raw):
        return read_iso_time(raw)
    return rfc3339(iso_instant(raw) - offset)


def read_dates(raw: Sequence[str], context: Mapping[str, str]) -> Sequence[str] | None:
    """Return dates as `read_date` does, or None if the page has an offset or one has another form."""
    return None if _context_offset(context) else canonical_instants(raw)


def _context_offset(context: Mapping[str, str]) -> timedelta:
    return timedelta(seconds=int(context.get(OFFSET, "0")))


def in_zone(wall: datetime, zone: tzinfo, fold: int = 0) -> datetime:
    """Return the instant of a wall time; in a repeated hour, the second of two for fold 1."""
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def repeated(wall: datetime, zone: tzinfo) -> timedelta:
    """Return how much later a wall time is repeated when clocks are set back; zero if it is not."""
    return max(timedelta(0), in_zone(wall, zone, 1) - in_zone(wall, zone, 0))


def is_ambiguous(wall: datetime, zone: tzinfo) -> bool:
    """Return whether a wall time occurs twice or never in a zone, because of a change of clocks."""
    return in_zone(wall, zone, 0) != in_zone(wall, zone, 1)


def offset_seconds(wall: datetime, instant: datetime) -> int:
    """Return the UTC offset, in seconds, of a wall time that means an instant."""
    return round((wall - instant.replace(tzinfo=None)).total_seconds())


def span(record: Record) -> timedelta:
    """Return the length of a call by its record: ringing and talk, each a day at most."""
    return talk(record) + _seconds(record, "RingTime")


def talk(record: Record) -> timedelta:
    """Return the length of talk, a day at most; it is never longer than the call."""
    return _seconds(record, "Duration")


def calls_in_seconds(
    records: Sequence[Record], start: Callable[[Record], datetime | None]
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the start of each call whose start is known, in Unix seconds, and how long it talked, in seconds.

    Args:
        records: The records.
        start: Returns the start of a call that does not prove it.
    """
    batch, proved = key_columns(records), proved_starts(records)
    lengths = batch.columns["Duration"] if batch is not None else ()
    if batch is not None and proved is not None and set(map(type, lengths)) == {int}:
        if min(lengths) < 0 or max(lengths) > _DAY_SECONDS:
            lengths = [min(max(one, 0), _DAY_SECONDS) for one in lengths]
        return whole_starts(batch.columns) or [*map(_in_seconds, proved)], lengths
    starts = proved if proved is not None else [*map(start, records)]
    known = [
        (_in_seconds(at), int(talk(one).total_seconds()))
        for at, one in zip(starts, records, strict=True)
        if at is not None
    ]
    return [at for at, _ in known], [length for _, length in known]


def _in_seconds(instant: datetime) -> int:
    return int(instant.timestamp() // 1)


def _seconds(record: Record, name: str) -> timedelta:
    with suppress(ValueError):
        return timedelta(seconds=min(max(read_integer(pick(record, name)), 0), _DAY_SECONDS))
    return timedelta(0)


def shown(records: Iterable[Record]) -> set[str]:
    """Return the zones proved by records with both a `DateEpoch` and a `Date` without a zone."""
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
    """Return whether a call's time, read in a zone, is after an instant by no more than a wrong zone explains.

    No call is listed before it starts, by whatever time requests select calls. So a start after the end of the request
    that listed the call was read in the wrong zone.
    """
    wall = wall_time(record)
    if wall is None or own_start(record) is not None:
        return False
    late = in_zone(wall, zone, 0) - latest
    return TOLERANCE < late <= FARTHEST
