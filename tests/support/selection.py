"""Which cases of a test are fast."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import pytest

from cdrctl.fetchers import Provider
from tests.support.bench import Subject


def mark_cases(items: Iterable[pytest.Item]) -> None:
    """Mark all cases but one if a test has several for one provider or call, or has the marker `thin`.

    Every third of them is `slow`, and the others are `full`. Which case stays fast depends on the test's name, so that
    tests keep different switches, faults and sign-ins.
    """
    groups: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        thin = item.get_closest_marker("thin") is not None
        subject = "" if thin else _subject_of(item)
        if (thin or subject) and not any(item.get_closest_marker(name) for name in ("slow", "process", "full")):
            groups.setdefault((item.nodeid.partition("[")[0], subject), []).append(item)
    for group in groups.values():
        fast = min(group, key=lambda item: crc32(item.nodeid.encode()))
        for item in group:
            if item is not fast:
                number = crc32(item.nodeid.encode()) // 3
                item.add_marker(pytest.mark.slow if number % 3 == 0 else pytest.mark.full)


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
