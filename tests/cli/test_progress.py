"""Progress messages: the windows, records and remaining time that they show are true."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cdrctl import PROVIDERS
from cdrctl.cli.progress import progress, spoken
from cdrctl.export.rows import Tally
from cdrctl.fetchers import connect, load
from cdrctl.http import Client, Clock
from cdrctl.records.events import Checkpoint
from cdrctl.sandbox import start
from cdrctl.windows import Window
from tests.support.clock import HandClock
from tests.support.products import for_each
from tests.support.runner import NOW, run

LINE = re.compile(r"cdrctl: (\S+Z) to (\S+Z): (\d+) records?, (\d+) pages?$", re.MULTILINE)
CALLS = [(name, call.name) for name in PROVIDERS for call in load(name).calls if call.windowed and not call.group]


@pytest.mark.thin
@pytest.mark.parametrize(("provider", "call"), CALLS)
def test_v_logs_every_window_and_they_cover_the_export(provider: str, call: str) -> None:
    since, until = (datetime(2026, 11, 20, 10, tzinfo=UTC), datetime(2026, 11, 20, 15, tzinfo=UTC))
    if call != "stream":
        since -= timedelta(days=3)
    window = ("--since", since.isoformat(), "--until", until.isoformat())
    ran = run(provider, call, "-p", "sandbox", *window, "-v", "-f", "csv", "-o", "/dev/null", environ={})
    assert ran.code == 0, ran.err
    found = [(Window(*map(datetime.fromisoformat, one[:2])), int(one[2]), int(one[3])) for one in LINE.findall(ran.err)]
    assert found
    covered = timedelta(0)
    for read, _, _ in found:
        covered += max(timedelta(0), min(read.until, until) - max(read.since, since))
    assert covered == until - since
    closing = re.search(r"(\d+) records, (\d+) pages", ran.err.splitlines()[-1])
    assert closing is not None
    assert sum(records for _, records, _ in found) == int(closing[1])
    assert LINE.findall(run(provider, call, "-p", "sandbox", *window).err) == []


class Progress:
    """A clock set by hand, and the messages that were logged."""

    def __init__(self) -> None:
        self.hand = HandClock(NOW, seconds=100)
        self.clock = self.hand.clock
        self.told: list[tuple[str, str]] = []

    def log(self, level: str, text: str) -> None:
        self.told.append((level, text))

    @property
    def last(self) -> str:
        return next(text for level, text in reversed(self.told) if level == "progress")


def webex(clock: Clock) -> Client:
    provider = load("webex")
    with start(now=HandClock(NOW)) as running:
        settings = provider.settings.of({**running.profiles["webex"], "requests_per_minute": None})
    return connect(provider, settings, clock=clock, log=lambda _level, _text: None, conceal=lambda _secrets: None)


def ten_days() -> tuple[Window, Callable[[int], Checkpoint]]:
    day = timedelta(days=1)
    return Window(NOW - 10 * day, NOW), lambda at: Checkpoint(Window(NOW - (10 - at) * day, NOW - (9 - at) * day))


def test_the_remaining_time_follows_from_the_speed_so_far() -> None:
    shown, tally = Progress(), Tally()
    window, day = ten_days()
    moved = progress(tally, window, None, shown.clock, shown.log)
    tally.records, tally.pages = 5, 1
    moved(None)
    assert shown.last == "5 records, 1 page"
    shown.hand.seconds += 60
    tally.records, tally.pages, tally.windows, tally.read = 1001, 7, 1, timedelta(days=1)
    moved(day(0))
    assert shown.last == "1001 records, 7 pages, 1 window, 10%, about 9 min left"
    assert shown.told[-2] == ("window", "2026-11-10T20:00:00.000Z to 2026-11-11T20:00:00.000Z: 1001 records, 7 pages")
    shown.hand.seconds += 120
    tally.records = 1500
    moved(None)
    assert shown.last == "1500 records, 7 pages, 1 window, 10%, about 7 min left"
    shown.hand.seconds += 420
    moved(None)
    assert shown.last == "1500 records, 7 pages, 1 window, 10%"
    tally.records = 1001
    shown.hand.seconds -= 540
    tally.windows, tally.read, tally.records = 9, timedelta(days=9), 1002
    moved(day(8))
    assert shown.last == "1002 records, 7 pages, 9 windows, 90%, about 5 s left"
    assert shown.told[-2][1].endswith(": 1 record, 0 pages")
    tally.windows, tally.read = 10, timedelta(days=10)
    moved(day(9))
    assert shown.last == "1002 records, 7 pages, 10 windows"


def test_the_remaining_time_respects_the_rate_limit() -> None:
    """At one window a minute the first windows may come in a second, the others not."""
    shown, tally = Progress(), Tally()
    window, day = ten_days()
    client = webex(shown.clock)
    client.kinds.update({"window": 2, "page": 10})
    moved = progress(tally, window, client, shown.clock, shown.log)
    shown.hand.seconds += 1
    tally.windows, tally.read = 2, timedelta(days=2)
    moved(day(1))
    assert shown.last.endswith("20%, about 8 min left")
    client.close()


def test_progress_is_shown_at_most_ten_times_a_second() -> None:
    shown, tally = Progress(), Tally()
    moved = progress(tally, None, None, shown.clock, shown.log)
    for _ in range(50):
        tally.records += 1
        moved(None)
        shown.hand.seconds += 0.01
    assert 5 <= len(shown.told) <= 6


def test_no_share_is_shown_without_a_common_window() -> None:
    shown, tally = Progress(), Tally()
    window, day = ten_days()
    moved = progress(tally, window, None, shown.clock, shown.log)
    shown.hand.seconds += 60
    tally.windows, tally.read = 11, timedelta(days=11)
    moved(day(0))
    assert shown.last == "0 records, 0 pages, 11 windows"


@for_each(
    "seconds, said",
    [
        (2, "1 s"),
        (6, "5 s"),
        (42, "40 s"),
        (89, "90 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (5400, "1 h 30 min"),
        (36000, "10 h 00 min"),
    ],
)
def test_durations_are_written_briefly(seconds: float, said: str) -> None:
    assert spoken(seconds) == said
