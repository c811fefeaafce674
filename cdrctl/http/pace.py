"""When a request may be sent: the published budget of a provider, kept in advance so that 429 stays rare."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right, insort
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Protocol

from cdrctl.errors import CdrctlError, Message


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of day, a clock that never jumps, and a way to wait; handed in, so that tests wait for nothing."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most so many requests in any span of so many seconds."""

    requests: int
    seconds: float


MARGIN = 1.0
"""Seconds by which the way to a server may take longer for one request than for another."""


def published(requests: int, seconds: float) -> RateLimit:
    """Return the budget that keeps a published limit.

    A server counts requests when they arrive. Two that were sent exactly `seconds` apart may arrive closer together, so
    the budget's span is longer by a margin.
    """
    return RateLimit(requests, seconds + MARGIN)


EVERY = "*"
"""The kind of budget that counts every request."""


WAITING = 60
"""Spans of the longest budget that a reservation is believed to lie ahead: so many may wait for one request a span.

It bounds what a crowd of runs that were killed while they waited, or a damaged file, can make the next one wait.
"""

LONGEST_SPAN = 3600 * 1_000_000
"""Microseconds of a span that is believed to be another profile's."""

Sent = dict[str, list[int]]
"""By kind of request, in order, when each was sent or will be, in microseconds."""

GIVING_BACK_SECONDS = 1.0
"""Who ends waits no longer for a thread that reads or writes the shared instants."""

_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """When one request may be sent.

    Args:
        kind: Of the request.
        wait: Seconds until then, counted from when the turn was reserved.
        at: The instant that everybody on this host knows of, in microseconds, or None where it is not shared.
        alone: Why other runs are left out of account, in the first turn for which they are.
    """

    kind: str
    wait: float = 0.0
    at: int | None = None
    alone: Message | None = None


class RateStore(Protocol):
    """Where everybody on this host who asks with the same credential reads and writes when requests are sent.

    Each of these may raise a CdrctlError: then the pace is kept without the others.
    """

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock."""

    def load(self) -> object:
        """Return what is kept, or None when there is nothing that can be read."""

    def save(self, kept: Mapping[str, Any]) -> None:
        """Keep it."""


class RateLimiter:
    """When the requests of one profile may be sent, so that they and those of its neighbours keep every budget.

    A request that must wait reserves its instant: whoever comes next, in this process or another, waits behind it, and
    nobody waits with the lock held. Instants that are shared are of the wall clock, because a clock that never jumps
    begins anew with every boot. Where the wall clock was set back since they were written, no time has passed since
    then as far as is known, and they are moved back with it; set forward, it hastens only the requests of others: this
    profile's own are counted by the other clock as well. Several threads may ask: each gets turns of its own.

    Args:
        budgets: By kind of request, what is published.
        requests_per_minute: Slows every request of this profile down further, counting those of its neighbours; 0
            switches pacing off.
        clock: Both clocks.
        store: Where the instants are shared, or None to keep them here.
    """

    def __init__(
        self,
        budgets: Mapping[str, RateLimit],
        requests_per_minute: float | None,
        clock: Clock,
        store: RateStore | None = None,
    ) -> None:
        paced = dict(budgets).items() if requests_per_minute != 0 else ()
        self._spans = [(kind, budget.requests, _microseconds(budget.seconds)) for kind, budget in paced]
        if requests_per_minute:
            self._spans.append((EVERY, 1, _microseconds(60 / requests_per_minute)))
        self._longest = max((span for _, _, span in self._spans), default=0)
        self._clock = clock
        self._store = store
        self._alone = False
        self._own: Sent = {}
        self._lock = threading.Lock()
        self._waiting: set[Turn] = set()

    def reserve(self, kind: str) -> Turn:
        """Return the turn of a request of this kind, which is counted as sent then."""
        if all(counted not in (kind, EVERY) for counted, _, _ in self._spans):
            return Turn(kind)
        with self._lock:
            now, wait = self._earliest(kind)
            at = alone = None
            if self._store is not None:
                try:
                    now, wait, at = self._share(kind, self._store)
                except CdrctlError as error:
                    if not self._alone:
                        what = "the pace is kept without regard to other runs"
                        alone = Message(what, error.message, between=": ", code="alone")
                    self._alone = True
            self._note(self._own, kind, now + wait, now)
            turn = Turn(kind, wait / _SECOND, at, alone)
            if at is not None:
                self._waiting.add(turn)
        return turn

    def slow_down(self, kind: str, budget: RateLimit) -> None:
        """Keep one more budget from now on, also where pacing is off: the provider has asked for it."""
        span = (kind, budget.requests, _microseconds(budget.seconds))
        with self._lock:
            if span not in self._spans:
                self._spans = [*self._spans, span]
                self._longest = max(self._longest, span[2])

    def minimum_seconds(self, counts: Mapping[str, float]) -> float:
        """Return the seconds that so many more requests of each kind take at least."""
        whole = sum(counts.values())
        return max(
            (span / _SECOND * (whole if of == EVERY else counts.get(of, 0)) / few for of, few, span in self._spans),
            default=0.0,
        )

    def take(self, turn: Turn) -> bool:
        """Return whether the request of a turn may be sent, which is sent now: not if the turn was given back."""
        if turn.at is None:
            return True
        with self._lock:
            taken = turn in self._waiting
            self._waiting.discard(turn)
        return taken

    def give_back(self, *turns: Turn) -> None:
        """Let others have these turns, or all that were not taken: nothing will be sent then."""
        if self._store is None or not self._lock.acquire(timeout=GIVING_BACK_SECONDS):
            return
        try:
            unused = self._waiting.intersection(turns) if turns else set(self._waiting)
            self._waiting -= unused
            if not unused:
                return
            with suppress(CdrctlError), self._store.locked():
                now, kept = self._wall(), self._store.load()
                sent = self._believed(kept, now)
                for turn in unused:
                    if turn.at is not None and turn.at in sent.get(turn.kind, ()):
                        sent[turn.kind].remove(turn.at)
                self._store.save({"written": now, "sent": sent, "longest": self._longest_of(kept)})
        finally:
            self._lock.release()

    def _earliest(self, kind: str) -> tuple[int, int]:
        """Return now and how long to wait, both by the clock that never jumps, as far as this profile knows."""
        now = int(self._clock.monotonic() * _SECOND)
        return now, self._slot(kind, now, self._own) - now

    def _share(self, kind: str, store: RateStore) -> tuple[int, int, int]:
        """Return the same as far as everybody knows, and the instant by the wall clock, having reserved it."""
        with store.locked():
            now, wait = self._earliest(kind)
            wall, kept = self._wall(), store.load()
            sent = self._believed(kept, wall)
            at = self._slot(kind, wall + wait, sent)
            self._note(sent, kind, at, wall)
            store.save({"written": wall, "sent": sent, "longest": self._longest_of(kept)})
        return now, at - wall, at

    def _slot(self, kind: str, earliest: int, sent: Sent) -> int:
        """Return the first instant at which one more request of this kind keeps all budgets, reserved ones too."""
        at, before = earliest, None
        counted = [
            (requests, span, sorted(chain.from_iterable(sent.values())) if of == EVERY else sent.get(kind, []))
            for of, requests, span in self._spans
            if of in (kind, EVERY)
        ]
        while at != before:
            before = at
            for requests, span, times in counted:
                # So many requests, from first to last, leave no room for another from a span before to a span after.
                for first, last in zip(times, times[requests - 1 :], strict=False):
                    if last - span < at < first + span:
                        at = first + span
        return at

    def _note(self, sent: Sent, kind: str, at: int, now: int) -> None:
        """Add an instant, and drop those that are too old to count; for a slower profile this one takes their place."""
        insort(sent.setdefault(kind, []), at)
        for times in sent.values():
            del times[: bisect_right(times, now - self._longest)]

    def _believed(self, kept: object, now: int) -> Sent:
        """Return what others have written, as far as it can be; what is damaged begins anew."""
        if not isinstance(kept, dict) or not isinstance(kept.get("sent"), dict):
            return {}
        lists, written = kept["sent"], kept.get("written")
        if not isinstance(written, int) or not all(isinstance(times, list) for times in lists.values()):
            return {}
        if not all(isinstance(at, int) for at in chain.from_iterable(lists.values())):
            return {}
        back = max(0, written - now)
        last = now + WAITING * self._longest_of(kept)
        return {kind: sorted(at - back for at in times if at - back <= last) for kind, times in lists.items()}

    def _longest_of(self, kept: object) -> int:
        """Return the longest span of all who share: a profile that is slower has turns further ahead than this one."""
        theirs = kept.get("longest") if isinstance(kept, dict) else None
        return max(self._longest, min(theirs, LONGEST_SPAN) if isinstance(theirs, int) else 0)

    def _wall(self) -> int:
        return (self._clock.now() - _EPOCH) // timedelta(microseconds=1)


def _microseconds(seconds: float) -> int:
    return math.ceil(seconds * _SECOND)
