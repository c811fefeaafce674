"""Erlang's formulas: how many trunks or agents an offered traffic needs.

A. K. Erlang, 1917; the recursion of B avoids factorials (ITU-T E.501 and textbooks, from secondary sources).
"""

from __future__ import annotations

import math

MOST = 100_000
"""The most trunks or agents that are looked at."""


def erlang_b(traffic: float, trunks: int) -> float:
    """Return the share of calls that find all trunks busy and are lost.

    Args:
        traffic: The offered traffic in erlang.
        trunks: The number of trunks.
    """
    blocked = 1.0
    for n in range(1, trunks + 1):
        blocked = traffic * blocked / (n + traffic * blocked)
    return blocked


def erlang_c(traffic: float, agents: int) -> float:
    """Return the share of calls that wait because all agents are busy; 1 if there are too few for the traffic.

    Args:
        traffic: The offered traffic in erlang.
        agents: The number of agents.
    """
    if agents <= traffic:
        return 1.0
    blocked = erlang_b(traffic, agents)
    return agents * blocked / (agents - traffic * (1 - blocked))


def trunks_for(traffic: float, blocking: float) -> int | None:
    """Return the least number of trunks that lose at most a share of calls; None if there is none below 100 000."""
    blocked = 1.0
    for n in range(MOST + 1):
        if n:
            blocked = traffic * blocked / (n + traffic * blocked)
        if blocked <= blocking:
            return n
    return None


def served_within(traffic: float, agents: int, handling: float, threshold: float) -> float:
    """Return the share of calls that wait at most `threshold` seconds; `handling` is the mean length of a call."""
    if agents <= traffic:
        return 0.0
    return 1 - erlang_c(traffic, agents) * math.exp(-(agents - traffic) * threshold / handling)


def agents_for(traffic: float, share: float, handling: float, threshold: float) -> int | None:
    """Return the least number of agents with whom a share of calls waits at most `threshold` seconds."""
    first = math.floor(traffic) + 1
    found = (n for n in range(first, first + MOST) if served_within(traffic, n, handling, threshold) >= share)
    return next(found, None)
