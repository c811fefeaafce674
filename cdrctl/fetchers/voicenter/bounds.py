"""How a host interprets the bounds of a request: not published, so it is learnt from the records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from operator import add

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

    def learn(
        self, reply: Reply, starts: Sequence[int], lengths: Sequence[int], since: datetime, until: datetime
    ) -> None:
        """Learn from a response.

        Args:
            reply: The response.
            starts: The start of each of its calls whose start is known, in Unix seconds.
            lengths: How long each of these talked, in seconds.
            since: The first bound of the request.
            until: The second.
        """
        minute = whole_minute(since)
        within_minute = minute == whole_minute(until)
        if within_minute:
            # A host that counts in minutes cannot tell these requests apart, so it sends the same response to each.
            found = frozenset(map(identity, reply.records)) if not reply.full else FULL
            if self.inside.setdefault(minute, found) != found:
                self.precision = SECOND
        first, last = int(since.timestamp()), int(until.timestamp())
        self.by_start = self.by_start or max(map(add, starts, lengths), default=last) > last + 60
        if not self.by_start or not starts:
            return
        self.low = self.low or first in starts or int(minute.timestamp()) in starts
        self.high = self.high or last in starts
        short = reply.full or until - since < MINUTE
        if short and not first <= min(starts) <= max(starts) <= last:
            self.precision = MINUTE
        if self.precision is None and not reply.full and within_minute and any(second % 60 for second in starts):
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
