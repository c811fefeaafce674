"""Which cases of a test are fast."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import pytest

from cdrctl.fetchers import Provider
from tests.support.bench import Subject

NOT_FAST = {"slow", "process", "full"}
"""The markers of cases that are not fast."""

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
    marked = {item: {mark.name for mark in item.iter_markers()} for item in items}
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for group in groups.values():
        _mark_fast(group, marked)
        slow = [item for item in group if marked[item] & {"slow", "process"} and "full" not in marked[item]]
        long = "thin" in marked[group[0]] or all(marked[item] & NOT_FAST for item in group)
        stay = MANY if not long else MOST if len(slow) <= MANY else FEW
        for item in sorted(slow, key=_number)[stay:] if len(slow) > stay else ():
            item.add_marker(pytest.mark.full)


def _number(item: pytest.Item) -> int:
    """Return a number that depends on the name of a case alone."""
    return crc32(item.nodeid.encode())


def _mark_fast(group: Sequence[pytest.Item], marked: dict[pytest.Item, set[str]]) -> None:
    """Mark those cases of a test that are not fast."""
    fast: dict[str, list[pytest.Item]] = {}
    for item in group:
        thin = "thin" in marked[item]
        provider = "" if thin else _provider_of(item)
        if (thin or provider) and not marked[item] & NOT_FAST:
            fast.setdefault(provider, []).append(item)
    for cases in fast.values():
        for item in sorted(cases, key=_number)[1:]:
            item.add_marker(pytest.mark.slow)
            marked[item].add("slow")


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
