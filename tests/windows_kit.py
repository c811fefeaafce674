"""Reading times and windows at a fixed time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

NOW = datetime(2026, 11, 20, 12, 30, 15, 250_000, tzinfo=UTC)  # a Friday
PARIS = ZoneInfo("Europe/Paris")
SECOND = timedelta(seconds=1)


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]
