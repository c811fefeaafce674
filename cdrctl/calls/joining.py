"""Joins the parts of legs into whole calls, in one pass and in memory that does not grow with the window.

Legs come ordered by start. Two legs belong to one call if they share an id: a name of one is a name or a link of the
other. A call is open until no leg can join it any more, which is `reach` after its last known end. Ids may be used
again later: nothing joins a call that is closed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from cdrctl.records.parts import Part

REACH = timedelta(hours=6)
"""How long after the end of a call another leg may join it."""

MOST_LEGS = 10_000
"""More legs than this with one id are not one call."""

SHARED_ID = "shared_id"


class JoinedCall(NamedTuple):
    """The parts of one call, ordered by start, and why they may not be all."""

    parts: list[Part]
    why: str = ""


class _Open:
    """A call that legs may still join."""

    __slots__ = ("parts", "serial", "tokens", "until")

    def __init__(self, serial: int, until: int) -> None:
        self.serial = serial
        self.until = until
        self.parts: list[Part] = []
        self.tokens: list[str] = []


def join(parts: Iterable[Part], reach: timedelta = REACH, most: int = MOST_LEGS) -> Iterator[JoinedCall]:
    """Yield calls in the order of their starts, apart from calls that stay open for much longer than others.

    Args:
        parts: The parts of all legs, ordered by start. Parts without a start come first or last.
        reach: How long after the end of a call another leg may join it.
        most: The most legs that one call can have.
    """
    return _Join(int(reach / timedelta(milliseconds=1)), most).run(parts)


class _Join:
    """One pass over the parts of legs."""

    def __init__(self, reach: int, most: int = MOST_LEGS) -> None:
        self._reach = reach
        self._most = most
        self._by_token: dict[str, _Open] = {}
        self._open: dict[int, _Open] = {}
        self._ends: list[tuple[int, int]] = []
        self._closed: list[tuple[int, int, JoinedCall]] = []
        self._shared: set[str] = set()
        self._serial = 0

    def run(self, parts: Iterable[Part]) -> Iterator[JoinedCall]:
        """Yield the calls that the parts make."""
        for part in parts:
            if part.start is not None and self._ends and self._ends[0][0] < part.start:
                self._close_until(part.start)
                yield from self._ready(part.start)
            self._add(part)
            if self._closed:
                yield from self._ready(None)
        self._close_until(None)
        yield from (heapq.heappop(self._closed)[2] for _ in range(len(self._closed)))

    def _add(self, part: Part) -> None:
        """Add a part to the call it belongs to, or begin a call; join calls that it connects."""
        tokens = [one for one in (*part.names, *part.links) if one not in self._shared]
        call: _Open | None = None
        for token in tokens:
            other = self._by_token.get(token)
            if other is None or other is call:
                continue
            call = other if call is None else self._merge(call, other)
        last = part.start if part.end is None else part.end
        until = (0 if last is None else last) + self._reach
        if call is None:
            self._serial += 1
            call = self._open[self._serial] = _Open(self._serial, until)
            heapq.heappush(self._ends, (until, call.serial))
        call.until = max(call.until, until)
        call.parts.append(part)
        for token in tokens:
            if self._by_token.get(token) is not call:
                self._by_token[token] = call
                call.tokens.append(token)
        if len(call.parts) > self._most:
            self._split(call)

    def _merge(self, one: _Open, other: _Open) -> _Open:
        """Move the smaller of two calls into the larger, and return that."""
        small, large = (one, other) if len(one.parts) < len(other.parts) else (other, one)
        for token in small.tokens:
            self._by_token[token] = large
        large.tokens += small.tokens
        large.parts += small.parts
        large.until = max(large.until, small.until)
        del self._open[small.serial]
        return large

    def _close_until(self, now: int | None) -> None:
        """Close the calls that no leg from `now` on can join; all of them without `now`."""
        while self._ends and (now is None or self._ends[0][0] < now):
            _, serial = heapq.heappop(self._ends)
            call = self._open.get(serial)
            if call is None:  # merged into another
                continue
            if now is not None and call.until >= now:
                heapq.heappush(self._ends, (call.until, serial))
                continue
            self._close(call)
            self._finish(JoinedCall(sorted(call.parts, key=order)))

    def _close(self, call: _Open) -> None:
        del self._open[call.serial]
        for token in call.tokens:
            if self._by_token.get(token) is call:
                del self._by_token[token]

    def _split(self, call: _Open) -> None:
        """End a call whose legs cannot all be of one call: each leg is a call of its own, and is marked."""
        self._close(call)
        counts: dict[str, int] = {}
        for part in call.parts:
            for token in {*part.names, *part.links}:
                counts[token] = counts.get(token, 0) + 1
        self._shared |= {token for token, count in counts.items() if count > self._most // 100}
        for part in call.parts:
            self._finish(JoinedCall([part], SHARED_ID))

    def _finish(self, call: JoinedCall) -> None:
        self._serial += 1
        heapq.heappush(self._closed, (call.parts[0].start or 0, self._serial, call))

    def _ready(self, now: int | None) -> Iterator[JoinedCall]:
        """Yield the closed calls before the first one that is open, or that have waited long enough for it."""
        first = next(iter(self._open.values()), None)
        limit = None if first is None else min((one.start or 0 for one in first.parts), default=0)
        if now is not None and limit is not None:
            limit = max(limit, now - 4 * self._reach)
        while self._closed and (limit is None or self._closed[0][0] <= limit):
            yield heapq.heappop(self._closed)[2]


_ROLES = {"caller": 0, "service": 1, "callee": 2}


def order(part: Part) -> tuple[bool, int, int, str]:
    """Return the place of a part in its call: by start, the caller first."""
    return part.start is None, part.start or 0, _ROLES[part.role], part.id
