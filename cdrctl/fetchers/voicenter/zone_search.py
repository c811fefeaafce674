"""Find the time zone of times without one, by requesting some calls again by their time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from cdrctl.errors import IncompleteError
from cdrctl.fetchers.voicenter.bounds import DAY, MINUTE, SECOND, whole_minute
from cdrctl.fetchers.voicenter.columns import identity
from cdrctl.fetchers.voicenter.run import Run
from cdrctl.fetchers.voicenter.settings import TITLE
from cdrctl.fetchers.voicenter.zone import ISRAEL, in_zone, is_ambiguous, span, wall_time, zone_named, zoneless
from cdrctl.http import by_halving
from cdrctl.records.events import Event, Note, Record
from cdrctl.windows import EPOCH, Window, tile

QUARTER = timedelta(minutes=15)

TWO_HOURS = timedelta(hours=2) - 2 * MINUTE
"""Israel's time is at least two hours ahead of UTC: shorter calls tell the two readings of a time apart."""

CALLS_REQUESTED_AGAIN = 3
"""How many calls are requested again, at most, to find the zone of times."""


def learn_zone(run: Run, records: Sequence[Record]) -> Iterator[Event]:
    """Find the zone of times without one from the records of a response, and yield a note about it.

    If no record proves it, one call is requested again: in the two hours that begin with its time read as Israel's,
    and in those that begin with it read as UTC. It is in one of the two responses.

    Raises:
        IncompleteError: The responses do not prove one zone.
    """
    proof = "records with both forms of the start prove it"
    name = next(iter(run.zones.shown)) if len(run.zones.shown) == 1 else None
    if name is None and not run.zones.shown:
        name = _zone_by_requests(run, records) or _zone_by_requests(run, _calls_near(run, records))
        proof = "calls requested again by their time prove it"
        if name is None and len(run.zones.beyond) == 1:
            name = "UTC" if ISRAEL in run.zones.beyond else ISRAEL
            proof = "the other reading is wrong for " + next(iter(run.zones.beyond.values()))
    if name not in ("UTC", ISRAEL) or name in run.zones.beyond or (name == "UTC" and run.zones.to_come):
        why = "; ".join(
            [
                *(f"{known} is wrong for {what}" for known, what in sorted(run.zones.beyond.items())),
                *(f"some records prove {known}" for known in sorted(run.zones.shown)),
            ]
        )
        raise IncompleteError(
            f"{TITLE} sends times without a zone, and its responses do not prove which it is"
            + (f" ({why})" if why else ""),
            hint=f'set date_zone = "{ISRAEL}" or date_zone = "UTC" in the profile, whichever the portal uses',
        )
    run.zones.name = name
    meaning = "UTC" if name == "UTC" else f"Israel's time ({ISRAEL})"
    yield Note(
        f"{TITLE} sends times without a zone: they are read as {meaning}, because {proof}; to skip this check, "
        f'set date_zone = "{name}" in the profile'
    )


def _zone_by_requests(run: Run, records: Sequence[Record]) -> str | None:
    """Request some calls again, and return the zone in which the time of one of them is found; None if unproved."""
    israel = zone_named(ISRAEL)
    known = [
        (wall, one)
        for one in records
        if zoneless(one) and span(one) < TWO_HOURS / 2 and (wall := wall_time(one)) is not None
    ]
    known.sort(key=lambda one: (is_ambiguous(one[0], israel), span(one[1])))
    for wall, record in known[:CALLS_REQUESTED_AGAIN]:
        as_israel, as_utc = (_is_listed(run, record, in_zone(wall, zone)) for zone in (israel, UTC))
        if as_israel != as_utc:
            # A host that reads the times of a request as Israel's lists calls whose times, read as UTC, are in the
            # future.
            both_in_israel = run.zones.to_come and "UTC" not in run.zones.beyond
            return ISRAEL if as_israel or both_in_israel else "UTC"
    return None


def _calls_near(run: Run, records: Sequence[Record]) -> list[Record]:
    """Return calls of the days around those of a response: one may be short enough to be requested again."""
    walls = [wall for one in records if zoneless(one) and (wall := wall_time(one)) is not None]
    middle = whole_minute(min(walls).replace(tzinfo=UTC))
    around = tile(Window(middle - DAY, middle + DAY), DAY)
    found = (reply or run.partial for day in around for _, reply in by_halving(day, run.whole, MINUTE))
    return [record for reply in found for record in reply.records]


def _is_listed(run: Run, record: Record, at: datetime) -> bool:
    """Return whether a record is listed within two hours of an instant."""
    wanted = identity(record)
    around = Window(whole_minute(at) - MINUTE, whole_minute(at) + TWO_HOURS)
    return any(
        wanted in map(identity, (reply or run.partial).records) for _, reply in by_halving(around, run.whole, MINUTE)
    )


def is_first(run: Run, record: Record, first: datetime, again: timedelta) -> bool:
    """Return whether a call with a time in a repeated hour started in the first of the two.

    It did if it is listed before the second can have begun. A call that lasted until then is ambiguous, and counts as
    in the second.
    """
    quarter = first - (first - EPOCH) % QUARTER
    if quarter not in run.zones.firsts:
        found: set[str] = set()
        for _, reply in by_halving(Window(quarter, quarter + again - SECOND), run.whole, MINUTE):
            found.update(map(identity, (reply or run.partial).records))
        run.zones.firsts[quarter] = frozenset(found)
    return identity(record) in run.zones.firsts[quarter]
