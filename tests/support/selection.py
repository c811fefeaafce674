"""Which cases of a test are fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zlib import crc32

import pytest

from cdrctl.fetchers import Provider
from tests.support.bench import Subject

MOST = 3
"""How many cases `.ci/run` runs of a test whose cases all take long, or that has the marker `thin`."""

FEW = 2
"""How many cases `.ci/run` runs of such a test if it has more than five: they are a sample in any case."""

MANY = 5
"""How many slow cases `.ci/run` runs of another test: they take less than half a second each."""


def mark_cases(items: Sequence[pytest.Item]) -> None:
    """Mark the cases of tests that have many.

    If a test has several cases for one provider, or has the marker `thin`, one of them is fast and the others are
    `slow`. Five of these stay, and the rest is `full`. Of a test with the marker `thin`, and of one whose every case is
    `slow` or starts processes, three stay, or two if it has more than five. Which they are depends on their names, so
    that tests keep different switches, faults and sign-ins.
    """
    _mark_fast(items)
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for group in groups.values():
        slow = [item for item in group if _has(item, "slow", "process") and not _has(item, "full")]
        long = _has(group[0], "thin") or all(_has(item, "slow", "process", "full") for item in group)
        stay = MANY if not long else MOST if len(slow) <= MANY else FEW
        for item in sorted(slow, key=_number)[stay:]:
            item.add_marker(pytest.mark.full)


def _has(item: pytest.Item, *names: str) -> bool:
    """Return whether a case has one of these markers."""
    return any(item.get_closest_marker(name) for name in names)


def _number(item: pytest.Item) -> int:
    """Return a number that depends on the name of a case alone."""
    return crc32(item.nodeid.encode())


def _mark_fast(items: Iterable[pytest.Item]) -> None:
    """Mark those cases that are not fast."""
    groups: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        thin = _has(item, "thin")
        provider = "" if thin else _provider_of(item)
        if (thin or provider) and not _has(item, "slow", "process", "full"):
            groups.setdefault((item.nodeid.partition("[")[0], provider), []).append(item)
    for group in groups.values():
        fast = min(group, key=_number)
        for item in group:
            if item is not fast:
                item.add_marker(pytest.mark.slow)


def _provider_of(item: pytest.Item) -> str:
    """Return the provider that a case is about, itself or one of its calls, or an empty text."""
    parameters = (
        item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    )
    for kind in (Subject, Provider):
        for value in parameters:
            if isinstance(value, kind):
                return value.provider.name if isinstance(value, Subject) else value.name
    return ""
