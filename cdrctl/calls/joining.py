"""Joins the parts of legs into whole calls, in one pass and in memory that does not grow with the window.

Legs come ordered by start. Two legs belong to one call if they share an id: a name of one is a name or a link of the
other. A call is open until no leg can join it any more, which is `reach` after its last known end. Ids may be used
again later: nothing joins a call that is closed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import timedelta
from operator import itemgetter
from typing import NamedTuple

from cdrctl.calls.legs import PLAIN, TEMPLATES, UNDATED, Leg, joining_of_parts, parts_of_leg, parts_of_legs
from cdrctl.records.parts import Part

REACH = timedelta(hours=6)
"""How long after the end of a call another leg may join it."""

MOST_LEGS = 10_000
"""More legs than this with one id are not one call."""

SHARED_ID = "shared_id"

_ROUNDS = 16
"""How often, within the reach, calls are closed."""

_start = itemgetter(0)


class JoinedCall(NamedTuple):
    """The legs of one call, ordered by start, and why they may not be all."""

    legs: list[Leg]
    why: str = ""

    @property
    def parts(self) -> list[Part]:
        """The parts of the legs, in order."""
        return sorted(parts_of_legs(self.legs), key=order)


class _Open:
    """A call that legs may still join, until a certain instant."""

    __slots__ = ("legs", "merged", "start", "tokens", "until")

    def __init__(self, start: int, until: int) -> None:
        self.start = start
        self.until = until
        self.legs: list[Leg] = []
        self.tokens: list[str] = []
        self.merged = False


def join(legs: Iterable[Leg], reach: timedelta = REACH, most: int = MOST_LEGS) -> Iterator[JoinedCall]:
    """Yield calls in the order of their starts, apart from calls that stay open for much longer than others.

    Args:
        legs: All legs, ordered by start, those without a start last.
        reach: How long after the end of a call another leg may join it.
        most: The most legs that one call can have.
    """
    return _Join(int(reach / timedelta(milliseconds=1)), most).run(legs)


class _Join:
    """One pass over legs.

    Whether a call is closed is compared with the start of each leg. Closed calls are looked for in rounds: they are in
    lists by the round in which they may end.
    """

    def __init__(self, reach: int, most: int = MOST_LEGS) -> None:
        self._reach = reach
        self._most = most
        self._by_token: dict[str, _Open] = {}
        self._open: dict[_Open, None] = {}
        self._ends: dict[int, list[_Open]] = {}
        self._round = max(1, reach // _ROUNDS)
        self._closed: list[tuple[int, int, JoinedCall]] = []
        self._shared: set[str] = set()
        self._serial = 0

    def run(self, legs: Iterable[Leg]) -> Iterator[JoinedCall]:  # noqa: C901 - a method call for each leg costs time
        """Yield the calls that the legs make."""
        by_token, open_calls, ends, templates = self._by_token, self._open, self._ends, TEMPLATES
        reach, most, length, shared = self._reach, self._most, self._round, self._shared
        following: int | None = None  # when the next round begins
        now = 0
        for leg in legs:
            start, number, values = leg
            if start == UNDATED:
                start = 0
            else:
                now = start
                if following is None:
                    following = start + length
                elif start >= following:
                    following = start + length
                    self._close_until(start)
                    yield from self._ready(start)
            last, tokens = joining_of_parts(values) if number == PLAIN else templates[number].joining(values)
            until = last + reach if start else max(last + reach, now)  # legs without a start come last
            if shared and not shared.isdisjoint(tokens):
                tokens = tuple(one for one in tokens if one not in shared)
            call: _Open | None = None
            fresh = []
            for token in tokens:
                other = by_token.get(token)
                if other is None or other.until < now:  # nothing joins a call that is closed
                    fresh.append(token)
                elif call is None:
                    call = other
                elif other is not call:
                    call = self._merge(call, other)
            if call is None:
                call = _Open(start, until)
                open_calls[call] = None
                ends.setdefault(until // length, []).append(call)
            elif until > call.until:
                call.until = until
            call.legs.append(leg)
            if fresh:
                call.tokens += fresh
                for token in fresh:
                    by_token[token] = call
            if len(call.legs) > most:
                self._split(call)
                yield from self._ready(None)
        self._close_until(None)
        yield from (call for _, _, call in sorted(self._closed, key=_place))
        self._closed = []

    def _merge(self, one: _Open, other: _Open) -> _Open:
        """Move the smaller of two calls into the larger, and return that."""
        small, large = (one, other) if len(one.legs) < len(other.legs) else (other, one)
        for token in small.tokens:
            if self._by_token.get(token) is small:
                self._by_token[token] = large
        large.tokens += small.tokens
        large.legs += small.legs
        large.until = max(large.until, small.until)
        large.start = min(large.start, small.start)
        large.merged = True
        del self._open[small]
        return large

    def _close_until(self, now: int | None) -> None:
        """Close the calls that no leg from `now` on can join; all of them without `now`."""
        length = self._round
        for when in [one for one in self._ends if now is None or one * length < now]:
            for call in self._ends.pop(when):
                if call not in self._open:  # merged into another, or split
                    continue
                if now is not None and call.until >= now:
                    self._ends.setdefault(call.until // length, []).append(call)
                    continue
                self._close(call)
                if call.merged:
                    call.legs.sort(key=_start)
                self._finish(call.start, JoinedCall(call.legs, SHARED_ID if self._has_shared_id(call) else ""))

    def _has_shared_id(self, call: _Open) -> bool:
        """Return whether a leg of a call has an id by which it joins none, because too many legs have it."""
        shared = self._shared
        return bool(shared) and any(not shared.isdisjoint(joining_of_parts(parts_of_leg(leg))[1]) for leg in call.legs)

    def _close(self, call: _Open) -> None:
        del self._open[call]
        by_token = self._by_token
        for token in call.tokens:
            if by_token.get(token) is call:
                del by_token[token]

    def _split(self, call: _Open) -> None:
        """End a call whose legs cannot all be of one call: each leg is a call of its own, and is marked."""
        self._close(call)
        counts: dict[str, int] = {}
        for leg in call.legs:
            for token in joining_of_parts(parts_of_leg(leg))[1]:
                counts[token] = counts.get(token, 0) + 1
        self._shared |= {token for token, count in counts.items() if count > self._most // 100}
        for leg in call.legs:
            self._finish(0 if leg[0] == UNDATED else leg[0], JoinedCall([leg], SHARED_ID))

    def _finish(self, start: int, call: JoinedCall) -> None:
        self._serial += 1
        self._closed.append((start, self._serial, call))

    def _ready(self, now: int | None) -> Iterator[JoinedCall]:
        """Yield the closed calls before the first one that is open, or that have waited long enough for it."""
        first = next(iter(self._open), None)
        limit = None if first is None else first.start
        if now is not None and limit is not None:
            limit = max(limit, now - 4 * self._reach)
        self._closed.sort(key=_place)
        count = len(self._closed) if limit is None else bisect_right(self._closed, limit, key=_start)
        ready, self._closed = self._closed[:count], self._closed[count:]
        for _, _, call in ready:
            yield call


_place = itemgetter(0, 1)

_ROLES = {"caller": 0, "service": 1, "callee": 2}


def order(part: Part) -> tuple[bool, int, int, str]:
    """Return the place of a part in its call: by start, the caller first."""
    return part.start is None, part.start or 0, _ROLES[part.role], part.id
