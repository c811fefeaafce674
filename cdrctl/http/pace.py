"""When a request may be sent: the published budget of a provider, kept in advance so that 429 stays rare."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of day, a clock that never jumps, and a way to wait; handed in, so that tests wait for nothing."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so many requests in any span of so many seconds."""

    requests: int
    seconds: float


EVERY = "*"
"""The kind of budget that counts every request."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a provider wants to be asked.

    Args:
        budgets: By kind of request, what is published; the kind `*` counts all of them.
        busy: Statuses that mean "later": they are waited out and asked again.
        waits: Seconds to wait for a status that came without `Retry-After`, where backing off from one second is not
            enough.
    """

    budgets: Mapping[str, Budget] = field(default_factory=dict)
    busy: frozenset[int] = frozenset({408, 425, 429, 500, 502, 503, 504})
    waits: Mapping[int, float] = field(default_factory=dict)


def pacing(budgets: Mapping[str, Budget], requests_per_minute: float | None, clock: Clock) -> Callable[[str], float]:
    """Return a function from a kind of request to the seconds to wait before it may be sent, and counts it as sent.

    `requests_per_minute` slows every request down further; 0 switches pacing off.
    """
    if requests_per_minute == 0:
        return lambda _kind: 0.0
    spans = [(kind, budget) for kind, budget in budgets.items()]
    if requests_per_minute is not None:
        spans.append((EVERY, Budget(1, 60 / requests_per_minute)))
    sent: list[deque[float]] = [deque(maxlen=budget.requests) for _, budget in spans]

    def wait(kind: str) -> float:
        now = clock.monotonic()
        at = now
        counted = [(times, budget) for times, (of, budget) in zip(sent, spans, strict=True) if of in (kind, EVERY)]
        for times, budget in counted:
            if len(times) == budget.requests:
                at = max(at, times[0] + budget.seconds)
        for times, _ in counted:
            times.append(at)
        return at - now

    return wait
