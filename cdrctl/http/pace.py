"""Rate limits: when a request may be sent, so that the provider seldom has to answer 429."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right, insort
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Protocol

from msgspec import Struct

from cdrctl.errors import CdrctlError, Message


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Clock(Struct, frozen=True):
    """The time of day, a monotonic clock, and a function that waits. Tests replace all three."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class RateLimit(Struct, frozen=True):
    """At most `requests` requests in any span of `seconds` seconds."""

    requests: int
    seconds: float


MARGIN = 1.0
"""Seconds by which one request may take longer to reach the server than another."""


def published(requests: int, seconds: float) -> RateLimit:
    """Return a limit that keeps a published one.

    A server counts requests when they arrive. Two that are sent exactly `seconds` apart may arrive closer together, so
    the span is longer by a margin.
    """
    return RateLimit(requests, seconds + MARGIN)


EVERY = "*"
"""The kind whose limit counts every request."""


WAITING = 60
"""The farthest believable reservation, in spans of the longest limit, and so the number of runs that may wait.

It bounds the wait that killed runs, or a damaged file, can cause.
"""

LONGEST_SPAN = 3600 * 1_000_000
"""Microseconds: a longer span of another profile is not believed."""

Sent = dict[str, list[int]]
"""By kind of request, the instants at which each was or will be sent, in order, in microseconds."""

GIVING_BACK_SECONDS = 1.0
"""How long a run that ends waits for a thread that reads or writes the shared instants."""

_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Turn(Struct, frozen=True, eq=False):
    """When one request may be sent.

    Args:
        kind: The kind of the request.
        wait: Seconds until then, from the reservation on.
        at: The instant in microseconds that all runs on this host see; None if it is not shared.
        alone: Why other runs are not counted; set in the first turn without them.
    """

    kind: str
    wait: float = 0.0
    at: int | None = None
    alone: Message | None = None


class RateStore(Protocol):
    """Shares the instants of requests between all runs on this host that use the same credential.

    Each method may raise a CdrctlError: then the limit is kept without the other runs.
    """

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock."""

    def load(self) -> object:
        """Return the saved instants, or None if there are none that can be read."""

    def save(self, kept: Mapping[str, Any]) -> None:
        """Save the instants."""

    def close(self) -> None:
        """Close what is open, at the end of a run."""


class RateLimiter:
    """Says when the requests of one profile may be sent, so that they and those of other runs keep all limits.

    A request that must wait reserves its instant. The next one, in this process or another, waits behind it, and nobody
    waits with the lock held. Shared instants are of the wall clock, because a monotonic clock begins anew with every
    boot. If the wall clock was set back since they were written, they are moved back with it. If it was set forward,
    only the requests of other runs come early: this profile's own are counted by the monotonic clock too. Threads may
    share it: each gets turns of its own.

    Args:
        budgets: The published limits by kind of request.
        requests_per_minute: A lower limit for all requests, those of other runs included; 0 switches all limits off.
        clock: Both clocks.
        store: Shares the instants with other runs, or None.
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
        """Return the turn of a request of this kind, and count the request as sent then."""
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
                        what = "the rate limit is kept without regard to other runs"
                        alone = Message(what, error.message, between=": ", code="alone")
                    self._alone = True
            self._note(self._own, kind, now + wait, now)
            turn = Turn(kind, wait / _SECOND, at, alone)
            if at is not None:
                self._waiting.add(turn)
        return turn

    def slow_down(self, kind: str, budget: RateLimit) -> None:
        """Keep one more limit from now on, even if limits are off, because the provider demands it."""
        span = (kind, budget.requests, _microseconds(budget.seconds))
        with self._lock:
            if span not in self._spans:
                self._spans = [*self._spans, span]
                self._longest = max(self._longest, span[2])

    def minimum_seconds(self, counts: Mapping[str, float]) -> float:
        """Return the least time, in seconds, that the given numbers of further requests of each kind take."""
        whole = sum(counts.values())
        return max(
            (span / _SECOND * (whole if of == EVERY else counts.get(of, 0)) / few for of, few, span in self._spans),
            default=0.0,
        )

    def take(self, turn: Turn) -> bool:
        """Take a turn whose request is sent now; return False if it was given back."""
        if turn.at is None:
            return True
        with self._lock:
            taken = turn in self._waiting
            self._waiting.discard(turn)
        return taken

    def give_back(self, *turns: Turn) -> None:
        """Free these turns for other runs, or all that were not taken."""
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

    def close(self) -> None:
        """Free all turns that were not taken, and close the store."""
        self.give_back()
        if self._store is not None:
            self._store.close()

    def _earliest(self, kind: str) -> tuple[int, int]:
        """Return the present and the wait by the monotonic clock, from this profile's own requests."""
        now = int(self._clock.monotonic() * _SECOND)
        return now, self._slot(kind, now, self._own) - now

    def _share(self, kind: str, store: RateStore) -> tuple[int, int, int]:
        """Reserve an instant among all runs; return the present, the wait and the instant by the wall clock."""
        with store.locked():
            now, wait = self._earliest(kind)
            wall, kept = self._wall(), store.load()
            sent = self._believed(kept, wall)
            at = self._slot(kind, wall + wait, sent)
            self._note(sent, kind, at, wall)
            store.save({"written": wall, "sent": sent, "longest": self._longest_of(kept)})
        return now, at - wall, at

    def _slot(self, kind: str, earliest: int, sent: Sent) -> int:
        """Return the first instant at which one more request of this kind keeps all limits and reservations."""
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
        """Add an instant, and drop those that are too old to count."""
        insort(sent.setdefault(kind, []), at)
        for times in sent.values():
            del times[: bisect_right(times, now - self._longest)]

    def _believed(self, kept: object, now: int) -> Sent:
        """Return the instants that other runs have saved, without impossible ones; empty if they are damaged."""
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
        """Return the longest span of all runs that share: a slower profile has turns further ahead than this one."""
        theirs = kept.get("longest") if isinstance(kept, dict) else None
        return max(self._longest, min(theirs, LONGEST_SPAN) if isinstance(theirs, int) else 0)

    def _wall(self) -> int:
        return (self._clock.now() - _EPOCH) // timedelta(microseconds=1)


def _microseconds(seconds: float) -> int:
    return math.ceil(seconds * _SECOND)
