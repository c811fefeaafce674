"""Times on the account's own clock, which is set forward and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cdrctl.sandbox.exchange.clock import SECOND, milliseconds

_QUARTER = 900
"""Offsets change only at whole quarters of an hour, so one answer per quarter is enough."""


class LocalTime:
    """Converts instants to the account's local time and back, in the zone that is switched on."""

    def __init__(self, switched: Mapping[str, str]) -> None:
        self._switched = switched
        self._offsets: dict[tuple[str, int], int] = {}
        self._readings: dict[tuple[str, int, int], int] = {}

    def local(self, second: int) -> int:
        """Convert an instant to seconds on the account's clock."""
        key = self._switched["zone"], second // _QUARTER
        known = self._offsets.get(key)
        if known is None:
            ahead = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(key[0])).utcoffset() or timedelta()
            known = self._offsets[key] = ahead // timedelta(seconds=1)
        return second + known

    def instant(self, local: int, fold: int) -> int:
        """Convert seconds on the account's clock to an instant; `fold` 1 takes the second of two readings."""
        key = self._switched["zone"], local // _QUARTER, fold
        known = self._readings.get(key)
        if known is None:
            naive = datetime.fromtimestamp(local, UTC).replace(tzinfo=ZoneInfo(key[0]), fold=fold)
            known = self._readings[key] = local - milliseconds(naive.astimezone(UTC)) // SECOND
        return local - known

    def text(self, second: int) -> str:
        """Write an instant as the service does: local without a zone, or in UTC as older pages show it."""
        if self._switched["times"] == "utc":
            return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return datetime.fromtimestamp(self.local(second), UTC).strftime("%Y-%m-%d %H:%M:%S")
