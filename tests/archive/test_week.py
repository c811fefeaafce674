"""A week of nights over five providers, with records that come late and change, and an outage: all is there once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.sandbox import Exchange, Sandbox
from tests.archive.sync_kit import without_ours
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

FIRST_NIGHT = datetime(2026, 11, 9, 2, 30, tzinfo=UTC)
NIGHTS = 7
OUT = ("kazoo", "portsip")
EXCHANGE = Exchange(2, volume=0.3)
"""Calls of which none is both so late and changed so long after that its last change is beyond the lookback."""


@pytest.fixture
def clock() -> HandClock:
    return HandClock(FIRST_NIGHT)


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock, exchange=EXCHANGE) as running:
        for name in PROVIDERS:
            running.switch(name, "late", "0.1")
            running.switch(name, "changed", "0.1")
        yield running


@pytest.fixture
def shell(tmp_path: Path, clock: HandClock, providers: Sandbox) -> Shell:
    shell = Shell(tmp_path, clock)
    lines = []
    for name in PROVIDERS:
        settings = {"provider": name, **providers.credentials(name), "requests_per_minute": 0}
        lines += [f"[profiles.{name}-acme]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    shell.config.write_text("\n".join([*lines, ""]), encoding="utf-8")
    shell.config.chmod(0o600)
    return shell


def states(shell: Shell) -> dict[str, str]:
    """Return each profile's calendar as a word of signs."""
    signs = {"complete": "#", "open": "o", "hole": "X", "beyond": "-"}
    days = json.loads(shell.run("coverage", "--into", "archive").ok().out)
    found: dict[str, str] = {}
    for one in days:
        found[one["provider"]] = found.get(one["provider"], "") + signs[one["state"]]
    return found


def facts(ran: Ran) -> Counter[str]:
    """Return what the closing line counted."""
    lines = [json.loads(line) for line in ran.err.splitlines()]
    done = next(line for line in lines if line["level"] == "done")
    return Counter({key: value for key, value in done.items() if isinstance(value, int)})


@pytest.mark.slow
def test_a_week_of_nights_ends_in_the_truth(
    shell: Shell, providers: Sandbox, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    total: Counter[str] = Counter()
    for night in range(NIGHTS):
        last = night == NIGHTS - 1
        if last:
            for name in OUT:
                providers.fail(name, 503, times=10_000)
        ran = shell.run("--log-format", "json", "sync", "--all", "--into", "archive", "-f", "jsonl")
        assert ran.code == (5 if last else 0), ran.err
        total += facts(ran)
        if not last:
            clock.move(days=1)
    assert total["late"] > 0
    assert total["changed"] > 0
    before = states(shell)
    assert before["kazoo"][-1] == before["portsip"][-1] == "X"
    assert "X" not in before["webex"] + before["callgear"] + before["voicenter"]
    for name in OUT:
        providers.switch(name, "fail", "none")
    assert shell.run("fill", "--all", "--into", "archive").ok().code == 0
    after = states(shell)
    assert not any("X" in word for word in after.values())

    clock.move(days=3)
    shell.run("sync", "--all", "--into", "archive", "-f", "jsonl").ok()
    shell.run("verify", "--into", "archive").ok()
    for name in PROVIDERS:
        call = load(name).calls[0].name
        files = sorted((tmp_path / "archive" / f"profile={name}-acme" / f"call={call}").glob("date=*/cdrs.jsonl"))
        lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        kept = Counter(json.dumps(without_ours(line)) for line in lines)
        since = f"{files[0].parent.name.removeprefix('date=')}T00:00Z"
        asked = shell.run(name, call, "-p", f"{name}-acme", "--since", since, "--until", "now").ok()
        assert kept == Counter(map(json.dumps, asked.lines))
        assert max(kept.values()) == 1
        truth = providers.truth(name, call, datetime.fromisoformat(since), clock.time)
        assert len(truth) >= len(asked.lines) > len(truth) - 20  # the newest are not there yet
