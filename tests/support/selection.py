"""Which cases of a test are fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zlib import crc32

import pytest

from cdrctl.fetchers import Provider
from tests.support.bench import Subject

MOST = 4
"""How many cases of a slow test `.ci/run` runs."""


def mark_cases(items: Sequence[pytest.Item]) -> None:
    """Mark the cases of tests that have many.

    If a test has several cases for one provider or call, or has the marker `thin`, one of them is fast. Every third of
    the others is `slow`, and the rest is `full`. Of a test that is `slow` or starts processes, the cases after the
    first four are `full`. Which they are depends on their names, so that tests keep different switches, faults and
    sign-ins.
    """
    _mark_fast(items)
    slow: dict[str, list[pytest.Item]] = {}
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if marks & {"slow", "process"} and "full" not in marks:
            slow.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for group in slow.values():
        for item in sorted(group, key=_number)[MOST:]:
            item.add_marker(pytest.mark.full)


def _number(item: pytest.Item) -> int:
    """Return a number that depends on the name of a case alone."""
    return crc32(item.nodeid.encode())


def _mark_fast(items: Iterable[pytest.Item]) -> None:
    """Mark those cases that are not fast."""
    groups: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        thin = item.get_closest_marker("thin") is not None
        subject = "" if thin else _subject_of(item)
        if (thin or subject) and not any(item.get_closest_marker(name) for name in ("slow", "process", "full")):
            groups.setdefault((item.nodeid.partition("[")[0], subject), []).append(item)
    for group in groups.values():
        fast = min(group, key=_number)
        for item in group:
            if item is not fast:
                item.add_marker(pytest.mark.slow if _number(item) // 3 % 3 == 0 else pytest.mark.full)


def _subject_of(item: pytest.Item) -> str:
    """Return the provider or call that a case is about, or an empty text."""
    parameters = (
        item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    )
    for kind in (Subject, Provider):
        for value in parameters:
            if isinstance(value, kind):
                return str(value) if isinstance(value, Subject) else value.name
    return ""
