"""A clock that tests set by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cdrctl.http import Clock

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class HandClock:
    """A clock that stands still until it is moved. Sleeping moves it, so no test waits.

    Args:
        now: The time it shows first.
        seconds: How far it has moved since; also its monotonic time.
    """

    def __init__(self, now: datetime = NOON, seconds: float = 0.0) -> None:
        self.began = now
        self.seconds = seconds
        self.waits: list[float] = []

    def __call__(self) -> datetime:
        return self.time

    @property
    def time(self) -> datetime:
        """The current time."""
        return self.began + timedelta(seconds=self.seconds)

    @time.setter
    def time(self, now: datetime) -> None:
        self.seconds = (now - self.began).total_seconds()

    def move(self, seconds: float = 0.0, **by: float) -> None:
        """Move the clock forward by seconds, or by `minutes=5` and the like."""
        self.seconds += seconds + timedelta(**by).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Move the clock forward, and record by how much."""
        assert seconds >= 0
        self.waits.append(seconds)
        self.move(seconds)

    @property
    def clock(self) -> Clock:
        """The clock in the form that the program takes."""
        return Clock(now=self, monotonic=lambda: self.seconds, sleep=self.sleep)
