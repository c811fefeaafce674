"""The progress line on a real terminal: the share done, the remaining time, the reason of a wait, and Ctrl-C."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdrctl import sandbox
from tests.support.host import Host, a_host, hearing
from tests.support.program import now
from tests.support.terminal import terminal

pytestmark = pytest.mark.process

MINUTES = 20
"""Between two requests: long enough to be read, and never waited for."""


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    with hearing():
        yield


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A machine with two profiles: one may send a request every twenty minutes, the other two a second."""
    found = a_host(tmp_path)
    with sandbox.start(now=now) as running:
        settings = {"provider": "voicenter", **running.profiles["voicenter"]}
        slow, brisk = {**settings, "requests_per_minute": 1 / MINUTES}, {**settings, "requests_per_minute": 120}
        found.configure({"slow": slow, "brisk": brisk})
        yield found


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_long_wait_shows_its_reason_and_end_and_can_be_interrupted(host: Host, width: int) -> None:
    with terminal(host, width=width) as screen:
        screen.type("cdrctl voicenter cdrs -p slow --since 3d --until 2h -o calls.csv; echo code=$?")
        line = r"^waiting 1[12]\d\d s, until (\d\d:\d\d:\d\d) UTC: "
        if width >= 80:
            line += "the rate limit of"
        if width >= 200:
            line += r" Voicenter; \d+ records, 1 page, 1 window, \d+%, about [34]\d min left$"
        found = re.search(line, screen.shows(line), re.MULTILINE)
        assert found is not None
        ends = now() + timedelta(minutes=MINUTES)
        said = datetime.combine(ends.date(), datetime.strptime(found[1], "%H:%M:%S").time(), UTC)  # noqa: DTZ007
        assert abs(said - ends) % timedelta(days=1) < timedelta(minutes=3)
        screen.press("C-c")
        shown = " ".join(screen.shows("code=130").split())
    assert "interrupted; calls.csv is unchanged: run the command again" in shown
    assert not (host.folder / "calls.csv").exists()


def test_the_share_and_the_remaining_time_are_shown(host: Host) -> None:
    with terminal(host) as screen:
        screen.type("cdrctl voicenter cdrs -p brisk --since 26d --until 2h -o calls.csv; echo code=$?")
        screen.shows(r"^\d+ records, \d+ pages, \d+ windows?, \d+%, about \d+ s left$")
        screen.press("C-c")
        shown = screen.shows("^code=130$")
    assert re.search(r"^cdrctl: \d+ records, \d+ pages, ", shown, re.MULTILINE)
    assert " left" not in shown
