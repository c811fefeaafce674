"""Runs that share a rate limit on one host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.fetchers import load
from cdrctl.http import Clock, RateLimit
from cdrctl.http.pace import RateLimiter, Turn
from cdrctl.profiles.pace import PaceFile, pace_file
from tests.support.clock import NOON

ROOT = Path(__file__).parents[2]
SECRET = "hush-hush-4711"

ONE_A_MINUTE = {"window": RateLimit(1, 60)}


def shelf(folder: Path, provider: str = "webex", **settings: Any) -> PaceFile:
    """Return the shared reservations of a profile with these settings."""
    given = settings or {"access_token": SECRET}
    return pace_file(folder / "config.toml", provider, load(provider).settings.of(given))


class Run(RateLimiter):
    """A rate limiter that records when it cannot share its reservations, as the client does."""

    def __init__(self, said: list[str], *given: Any) -> None:
        super().__init__(*given)
        self.said = said

    def reserve(self, kind: str) -> Turn:
        turn = super().reserve(kind)
        self.said += [turn.alone] if turn.alone is not None else []
        return turn


@dataclass
class Host:
    """The two clocks of a host, which all its runs use."""

    folder: Path
    seconds: float = 0.0
    set_by: float = 0.0
    said: list[str] = field(default_factory=list)

    @property
    def clock(self) -> Clock:
        return Clock(lambda: NOON + timedelta(seconds=self.seconds + self.set_by), lambda: self.seconds)

    def run(
        self,
        budgets: Mapping[str, RateLimit] = ONE_A_MINUTE,
        requests_per_minute: float | None = None,
        at: PaceFile | None = None,
    ) -> RateLimiter:
        """Start a run."""
        return Run(self.said, budgets, requests_per_minute, self.clock, at or shelf(self.folder))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
