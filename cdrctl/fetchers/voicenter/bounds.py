"""How a host interprets the bounds of a request: not published, so it is learnt from the records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, field

from cdrctl.fetchers.voicenter.answers import Reply
from cdrctl.fetchers.voicenter.columns import identity

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

FULL = frozenset({"full"})
"""Stands for the records of a full response."""


def whole_minute(instant: datetime, *, up: bool = False) -> datetime:
    """Return an instant cut, or with `up` rounded up, to a whole minute."""
    whole = instant.replace(second=0, microsecond=0)
    return whole + MINUTE if up and whole != instant else whole


class Bounds(Struct):
    """What is known of the bounds of requests to this host.

    Args:
        precision: Whether it counts them in seconds or in minutes; None while that is not known.
        by_start: Whether a request is known to select calls by their start.
        low: Whether the first second of a window is known to belong to it.
        high: Whether the last second of a window is known to belong to it.
        inside: The records of windows within one minute, by that minute.
    """

    precision: timedelta | None = None
    by_start: bool = False
    low: bool = False
    high: bool = False
    inside: dict[datetime, frozenset[str]] = field(default_factory=dict)

    def learn(self, reply: Reply, calls: Sequence[tuple[datetime, datetime]], since: datetime, until: datetime) -> None:
        """Learn from a response.

        Args:
            reply: The response.
            calls: The start and end of each of its calls whose start is known.
            since: The first bound of the request.
            until: The second.
        """
        minute = whole_minute(since)
        if minute == whole_minute(until):
            # A host that counts in minutes cannot tell these requests apart, so it sends the same response to each.
            found = frozenset(map(identity, reply.records)) if not reply.full else FULL
            if self.inside.setdefault(minute, found) != found:
                self.precision = SECOND
        self.by_start = self.by_start or any(end > until + MINUTE for _, end in calls)
        if not self.by_start:
            return
        short = reply.full or until - since < MINUTE
        for second in (at.replace(microsecond=0) for at, _ in calls):
            self.low = self.low or second in (since, minute)
            self.high = self.high or second == until
            if short and not since <= second <= until:
                self.precision = MINUTE
            if self.precision is None and not reply.full and second.second and minute == whole_minute(until):
                self.precision = SECOND  # a host that counts in minutes lists :00 alone, or the whole minute

    def hold(self, starts: Collection[datetime], since: datetime, lo: datetime, hi: datetime, unit: timedelta) -> bool:
        """Return whether the response to a request from `lo` to `hi` surely holds all calls of a second or minute.

        Args:
            starts: The starts of the calls in the response.
            since: The start of the second or minute.
            lo: The first bound of the request.
            hi: The second.
            unit: A second or a minute.
        """
        if unit == MINUTE:
            # A host that counts in minutes reads one minute as both bounds as the whole minute or as its first second.
            later = lo == hi and any(since <= at < since + MINUTE and at.second for at in starts)
            return later or (lo == since < hi and self.low)
        return any(at.replace(microsecond=0) == since for at in starts) or (
            (lo != since or self.low) and (hi != since or self.high)
        )
