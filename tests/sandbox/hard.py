"""The records of the calls of the harder exchange."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

from cdrctl.sandbox import Call, Exchange
from cdrctl.sandbox.truth import records_of

SINCE, UNTIL = datetime(2026, 10, 29, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)


@functools.cache
def _calls() -> list[Call]:
    return [call for call in Exchange(1, stories="hard").calls(SINCE, UNTIL) if call.story]


def several(provider: str, field: str, switches: dict[str, str]) -> int:
    """Return how many calls have records with different values of a field, null left out."""
    found = 0
    for call in _calls():
        values: set[Any] = {record.get(field) for record in records_of(provider, call, switches)}
        found += len(values - {None, ""}) > 1
    return found


def records(switches: dict[str, str]) -> list[dict[str, Any]]:
    """Return Voicenter's records of all hard calls."""
    return [record for call in _calls() for record in records_of("voicenter", call, switches)]
