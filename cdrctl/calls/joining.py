"""Joins the parts of legs into whole calls, in one pass and in memory that does not grow with the window.

Legs come ordered by start. Two legs belong to one call if they share an id: a name of one is a name or a link of the
other. A call is open until no leg can join it any more, which is `reach` after its last known end. Ids may be used
again later: nothing joins a call that is closed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from operator import itemgetter
from typing import NamedTuple

from cdrctl.calls.held import HeldLegs
from cdrctl.calls.legs import PLAIN, TEMPLATES, UNDATED, Leg, joining_of_parts, parts_of_legs
from cdrctl.records.parts import Part

REACH = timedelta(hours=6)
"""How long after the end of a call another leg may join it."""

MOST_LEGS = 10_000
"""More legs than this with one id are not one call."""

SHARED_ID = "shared_id"

MOST_WAITING = 50_000
"""More closed calls than this do not wait for an earlier one that is open."""

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
    """A call that legs may still join, until a certain instant.

    Attributes:
        start: When its first leg began.
        until: Until when a leg may join it.
        legs: The numbers of its legs.
        tokens: The ids by which legs found it, or may find it.
        into: The call that it was merged into.
    """

    __slots__ = ("into", "legs", "start", "tokens", "until")

    def __init__(self, start: int, until: int, tokens: list[str]) -> None:
        self.start = start
        self.until = until
        self.legs: list[int] = []
        self.tokens = tokens
        self.into: _Open | None = None


def join(legs: Iterable[Leg], reach: timedelta = REACH, most: int = MOST_LEGS) -> Generator[JoinedCall, None, None]:
    """Yield calls in the order of their starts, apart from calls that stay open for much longer than others.

    Args:
        legs: All legs, ordered by start, those without a start last.
        reach: How long after the end of a call another leg may join it.
        most: The most legs that one call can have.

    Raises:
        OutputError: The temporary file cannot hold the legs of the calls that are open.
    """
    with closing(HeldLegs()) as held:
        yield from _Join(int(reach / timedelta(milliseconds=1)), held, most).run(legs)


class _Join:
    """One pass over legs.

    Whether a call is closed is compared with the start of each leg. Closed calls are looked for in rounds: they are in
    lists by the round in which they may end. Of a leg, memory holds its ids until its call is yielded, and no more.
    """

    def __init__(self, reach: int, held: HeldLegs, most: int = MOST_LEGS, waiting: int = MOST_WAITING) -> None:
        self._reach = reach
        self._held = held
        self._most = most
        self._waiting = waiting
        self._by_token: dict[str, _Open] = {}
        self._open: dict[_Open, None] = {}
        self._ends: dict[int, list[_Open]] = {}
        self._round = max(1, reach // _ROUNDS)
        self._closed: list[tuple[int, int, _Open | int]] = []  # or the number of a leg that is a call of its own
        self._shared: set[str] = set()
        self._serial = 0

    def run(self, legs: Iterable[Leg]) -> Iterator[JoinedCall]:
        """Yield the calls that the legs make."""
        by_token, open_calls, ends, templates, hold = self._by_token, self._open, self._ends, TEMPLATES, self._held.add
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
                if not tokens:  # no leg can join it
                    self._finish(start, hold(leg))
                    yield from self._ready(start) if len(self._closed) > self._waiting else ()
                    continue
            call, fresh = self._found(tokens, now)
            if call is None:
                call = _Open(start, until, fresh)
                open_calls[call] = None
                ends.setdefault(until // length, []).append(call)
            else:
                call.tokens += fresh
                call.until = max(call.until, until)
            call.legs.append(hold(leg))
            for token in fresh:
                by_token[token] = call
            if len(call.legs) > most:
                self._split(call)
                yield from self._ready(None)
        self._close_until(None)
        yield from self._first(len(self._closed))

    def _found(self, tokens: Sequence[str], now: int) -> tuple[_Open | None, list[str]]:
        """Return the open call that a leg joins, or None, and those of its ids that no open call has."""
        by_token, call = self._by_token, None
        fresh: list[str] = []
        for token in tokens:
            other = by_token.get(token)
            while other is not None and other.into is not None:
                other = other.into
            if other is None or other.until < now:  # nothing joins a call that is closed
                fresh.append(token)
            elif call is None:
                call = other
            elif other is not call:
                call = self._merge(call, other)
        return call, fresh

    def _merge(self, one: _Open, other: _Open) -> _Open:
        """Merge the smaller of two calls into the larger, and return that."""
        small, large = (one, other) if len(one.legs) < len(other.legs) else (other, one)
        small.into = large
        large.legs += small.legs
        large.tokens += small.tokens
        large.until = max(large.until, small.until)
        large.start = min(large.start, small.start)
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
                del self._open[call]
                self._finish(call.start, call)

    def _joined(self, closed: _Open | int) -> JoinedCall:
        """Return a closed call, and forget its ids."""
        take, shared = self._held.take, self._shared
        if isinstance(closed, int):
            return JoinedCall([take(closed)], SHARED_ID)
        numbers = closed.legs
        if len(numbers) > 1:
            numbers.sort()
        legs = [take(number) for number in numbers]
        self._forget(closed)
        if shared and not all(shared.isdisjoint(_joining_of_leg(leg)[1]) for leg in legs):
            return JoinedCall(legs, SHARED_ID)
        return JoinedCall(legs)

    def _forget(self, call: _Open) -> None:
        """Forget the ids of a call, unless another has them now."""
        by_token = self._by_token
        for token in call.tokens:
            other = by_token.get(token)
            while other is not None and other.into is not None:
                other = other.into
            if other is call:
                del by_token[token]

    def _split(self, call: _Open) -> None:
        """End a call whose legs cannot all be of one call: each leg is a call of its own, and is marked."""
        del self._open[call]
        counts: dict[str, int] = {}
        starts: list[int] = []
        for number in sorted(call.legs):
            leg = self._held.look(number)
            starts.append(0 if leg[0] == UNDATED else leg[0])
            for token in _joining_of_leg(leg)[1]:
                counts[token] = counts.get(token, 0) + 1
        self._forget(call)
        self._shared |= {token for token, count in counts.items() if count > self._most // 100}
        for number, start in zip(sorted(call.legs), starts, strict=True):
            self._finish(start, number)

    def _finish(self, start: int, call: _Open | int) -> None:
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
        if len(self._closed) > self._waiting:
            count = max(count, len(self._closed) - self._waiting // 2)
        yield from self._first(count)

    def _first(self, count: int) -> Iterator[JoinedCall]:
        """Yield the first of the closed calls."""
        self._closed.sort(key=_place)
        ready, self._closed = self._closed[:count], self._closed[count:]
        for _, _, call in ready:
            yield self._joined(call)


def _joining_of_leg(leg: Leg) -> tuple[int, tuple[str, ...]]:
    """Return the last known instant of a leg, and the ids by which it joins others."""
    _, number, values = leg
    return joining_of_parts(values) if number == PLAIN else TEMPLATES[number].joining(values)


_place = itemgetter(0, 1)

_ROLES = {"caller": 0, "service": 1, "callee": 2}


def order(part: Part) -> tuple[bool, int, int, str]:
    """Return the place of a part in its call: by start, the caller first."""
    return part.start is None, part.start or 0, _ROLES[part.role], part.id
