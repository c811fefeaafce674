"""A clock for tests, set by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

from cdrctl.http import Clock


class HandClock:
    """A clock that stands still until it is moved; who sleeps moves it, and no time passes."""

    def __init__(self, now: datetime) -> None:
        self.began = self.time = now
        self.waits: list[float] = []

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        """Move it on, by `minutes=5` and the like."""
        self.time += timedelta(**by)

    def sleep(self, seconds: float) -> None:
        """Move it on, and remember by how much."""
        self.waits.append(seconds)
        self.move(seconds=seconds)

    def plain(self) -> Clock:
        """Return it as the client wants it."""
        return Clock(now=self, monotonic=self.seconds, sleep=self.sleep)

    def seconds(self) -> float:
        """Return how far it was moved since it was made."""
        return (self.time - self.began).total_seconds()
