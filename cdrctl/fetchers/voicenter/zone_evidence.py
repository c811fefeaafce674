"""Evidence for the zone of times without one, collected from the records of a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct, field

from cdrctl.fetchers.voicenter.zone import (
    ISRAEL,
    LEARN,
    beyond,
    in_zone,
    own_start,
    proved_starts,
    shown,
    start,
    wall_time,
    zone_named,
    zoneless,
)
from cdrctl.records.events import Record, pick
from cdrctl.windows import rfc3339


class ZoneEvidence(Struct):
    """What is known of the zone of times without one.

    Args:
        name: The zone in use; None while it is not known.
        shown: The zones that records with both forms of their start have proved.
        beyond: For each possible zone, a call whose time cannot be in it, with the request that listed it.
        to_come: Whether there are calls whose times, read as UTC, are in the future.
        contradicted: Whether a contradiction to the zone in use was reported.
        firsts: By quarter of an hour, the calls known to be in the first pass of a repeated hour.
    """

    name: str | None = None
    shown: set[str] = field(default_factory=set)
    beyond: dict[str, str] = field(default_factory=dict)
    to_come: bool = False
    contradicted: bool = False
    firsts: dict[datetime, frozenset[str]] = field(default_factory=dict)

    def start(self, record: Record) -> datetime | None:
        """Return the start of a call, or None if it cannot be read or its zone is not known yet."""
        own = own_start(record)
        if own is not None:
            return own
        wall = wall_time(record)
        if wall is None:
            return start(record)
        return in_zone(wall, zone_named(self.name)) if self.name is not None else None

    def learn(self, records: Sequence[Record], until: datetime, now: datetime) -> None:
        """Learn from the records of a request that ended at `until`; `now` is the provider's time."""
        if proved_starts(records) is not None:
            return
        self.shown |= shown(records)
        candidates = (self.name,) if self.name is not None else (ISRAEL, "UTC")
        for record in records:
            if not zoneless(record):
                continue
            self.to_come = self.to_come or beyond(record, UTC, now)
            for name in candidates:
                if name not in self.beyond and beyond(record, zone_named(name), until):
                    self.beyond[name] = f"{pick(record, 'Date')} in the response to a request until {rfc3339(until)}"

    def contradiction(self) -> str | None:
        """Return, once, the calls that cannot be in the zone in use; None if there are none."""
        if self.name is None or self.contradicted:
            return None
        found = self.beyond.get(self.name)
        if found is None and self.to_come and self.name == "UTC":
            found = "calls with times in the future"
        self.contradicted = found is not None
        return found


def evidence_for(date_zone: str) -> ZoneEvidence:
    """Return the evidence at the start of a run, from the setting `date_zone`."""
    return ZoneEvidence(None if date_zone == LEARN else date_zone)
