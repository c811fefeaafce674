"""Records that come late, change or are dropped: the same three switches at every provider."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.sandbox import Sandbox
from tests.support.clock import HandClock
from tests.support.runner import Record, Shell

EVENING = datetime(2026, 11, 12, 23, 30, tzinfo=UTC)
WINDOW = ("--since", "2026-11-12T17:00Z", "--until", "2026-11-12T21:00Z")
CALLS = [(name, call.name) for name in PROVIDERS for call in load(name).calls if call.windowed]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(EVENING)


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock) as running:
        yield running


def records(providers: Sandbox, clock: HandClock, folder: Path, provider: str, call: str) -> list[Record]:
    """Return the records of an export of the window."""
    shell = Shell(folder, clock)
    shell.profile("acme", provider, {**providers.credentials(provider), "requests_per_minute": 0})
    return shell.run(provider, call, *WINDOW).ok().lines


@pytest.mark.thin
@pytest.mark.parametrize(("provider", "call"), CALLS)
def test_late_records_appear_in_a_later_export(
    providers: Sandbox, clock: HandClock, tmp_path: Path, provider: str, call: str
) -> None:
    usual = records(providers, clock, tmp_path, provider, call)
    providers.switch(provider, "late", "1")
    clock.time = datetime(2026, 11, 12, 21, 10, tzinfo=UTC)
    some = records(providers, clock, tmp_path, provider, call)
    assert len(some) < len(usual)
    if call != "interactions":  # the listed leg is the earliest saved so far
        assert all(one in usual for one in some)
    if call == "stream":  # it keeps records for twelve hours only
        return
    clock.time = datetime(2026, 11, 13, 20, 0, tzinfo=UTC)
    assert sorted(map(str, records(providers, clock, tmp_path, provider, call))) == sorted(map(str, usual))


@pytest.mark.slow
@pytest.mark.thin
@pytest.mark.parametrize(("provider", "call"), [one for one in CALLS if one[1] != "stream"])  # it keeps twelve hours
def test_records_can_be_days_late(
    providers: Sandbox, clock: HandClock, tmp_path: Path, provider: str, call: str
) -> None:
    usual = records(providers, clock, tmp_path, provider, call)
    providers.switch(provider, "late", "0.5+3d")
    clock.time = datetime(2026, 11, 15, 16, 0, tzinfo=UTC)
    some = records(providers, clock, tmp_path, provider, call)
    assert 0 < len(some) < len(usual)
    clock.time = datetime(2026, 11, 16, 20, 0, tzinfo=UTC)
    assert sorted(map(str, records(providers, clock, tmp_path, provider, call))) == sorted(map(str, usual))


@pytest.mark.thin
@pytest.mark.parametrize(
    ("provider", "call"), [one for one in CALLS if one[1] != "interactions"]
)  # these have no cost to change
def test_a_share_of_the_records_changes(
    providers: Sandbox, clock: HandClock, tmp_path: Path, provider: str, call: str
) -> None:
    usual = records(providers, clock, tmp_path, provider, call)
    providers.switch(provider, "changed", "1")
    early = records(providers, clock, tmp_path, provider, call)
    assert len(early) == len(usual)
    differ = [(one, other) for one, other in zip(early, usual, strict=True) if one != other]
    assert differ
    assert len(differ) < len(usual)
    for one, other in differ:
        assert len([name for name in one if one[name] != other[name]]) == 1, "only one field changes"


@pytest.mark.thin
@pytest.mark.parametrize(("provider", "call"), [one for one in CALLS if one[1] != "stream"])  # it keeps twelve hours
def test_a_share_of_the_records_is_dropped(
    providers: Sandbox, clock: HandClock, tmp_path: Path, provider: str, call: str
) -> None:
    """They disappear hours after the call; the export has exactly the other records."""
    usual = records(providers, clock, tmp_path, provider, call)
    providers.switch(provider, "dropped", "0.5")
    clock.time = datetime(2026, 11, 14, 3, 0, tzinfo=UTC)
    fewer = records(providers, clock, tmp_path, provider, call)
    window = [datetime(2026, 11, 12, hour, tzinfo=UTC) for hour in (17, 21)]
    assert len(fewer) == len(providers.truth(provider, call, *window))
    assert 0 < len(fewer) < len(usual)
    if call != "interactions":  # the listed leg is the earliest saved so far
        assert all(one in usual for one in fewer)
