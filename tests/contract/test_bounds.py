"""Windows lose and repeat no record at their ends, whichever ends a provider includes."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from cdrctl.sandbox import Exchange, known_switches, uniform
from tests.support.bench import MONTH, NOW, PROFILE, SUBJECTS, Subject, bench, counted
from tests.support.products import for_each

SINCE, UNTIL = MONTH - timedelta(minutes=20), MONTH + timedelta(minutes=20)
BOUNDS = ["closed", "half_open", "open_low", "open"]
each_call = pytest.mark.parametrize("subject", SUBJECTS, ids=str)
each_bounds = pytest.mark.parametrize("bounds", BOUNDS)


def calls_on_each_minute() -> Exchange:
    """Return an exchange with a call at the first instant of each minute, in the window and around it."""
    minutes = [SINCE + timedelta(minutes=minute) for minute in range(-3, 44)]
    return Exchange(
        calls=[
            one
            for at in minutes
            for one in uniform(1, at, at + timedelta(microseconds=1), talk_seconds=7, name=f"{at:%d%H%M}")
        ]
    )


@for_each("provider", sorted({subject.provider.name for subject in SUBJECTS}))
def test_every_provider_has_a_switch_for_bounds(provider: str) -> None:
    switch = known_switches(provider)["bounds"]
    assert {switch.default, *switch.words} == set(BOUNDS)


@each_call
@each_bounds
@pytest.mark.parametrize("jobs", ["1", "3"])
def test_windows_that_meet_at_the_start_of_a_call_have_it_once(
    subject: Subject, bounds: str, jobs: str, tmp_path: Path
) -> None:
    """One window ends and the next begins when a call starts, at the turn of a month."""
    with bench(subject, tmp_path, calls_on_each_minute(), page_size=7) as made:
        made.switch([f"bounds={bounds}"])
        found: Counter[str] = Counter()
        for since, until in ((SINCE, MONTH), (MONTH, UNTIL)):
            ran = made.run(since, until, "--schema", "raw", "-f", "jsonl", "--jobs", jobs).ok()
            assert counted(ran.lines) == counted(made.truth(since, until))
            found += counted(ran.lines)
        assert found == counted(made.truth(SINCE, UNTIL))
        assert found.total() == 40


@pytest.mark.thin
@pytest.mark.parametrize("subject", [one for one in SUBJECTS if one.call is one.provider.calls[0]], ids=str)
@each_bounds
def test_archive_has_a_call_at_midnight_once(subject: Subject, bounds: str, tmp_path: Path) -> None:
    """Days of the archive meet at the start of a call."""
    into = tmp_path / "archive"
    with bench(subject, tmp_path, calls_on_each_minute(), page_size=7) as made:
        made.switch([f"bounds={bounds}"])
        since = (MONTH - timedelta(days=1)).isoformat()
        for _ in range(2):
            made.shell.run("sync", PROFILE, "--into", str(into), "--since", since, "-f", "jsonl").ok()
            kept = {
                path.parent.name.removeprefix("date="): path.read_text(encoding="utf-8").count("\n")
                for path in into.glob(f"profile={PROFILE}/*/date=*/cdrs.jsonl")
            }
            days = {f"{MONTH - timedelta(days=1):%Y-%m-%d}": MONTH - timedelta(days=1), f"{MONTH:%Y-%m-%d}": MONTH}
            assert kept == {name: len(made.truth(day, min(day + timedelta(days=1), NOW))) for name, day in days.items()}
