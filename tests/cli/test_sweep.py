"""`cdrctl sync --sweep`, `[sweep]` in archive.toml, and `coverage --lateness`, against the sandbox's truth."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.fetchers import PROVIDERS, load
from cdrctl.sandbox import Sandbox
from tests.archive.sync_kit import without_ours
from tests.cli.archive_kit import INTO, NOW, clock, providers, shell
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell, run

__all__ = ["clock", "providers", "shell"]  # fixtures

FIRST = datetime(2026, 11, 8, tzinfo=UTC)
SETTLED = NOW - timedelta(hours=24)
"""Since when the records of the first run may still change."""
JSON = ("--log-format", "json")


def count(ran: Ran, name: str) -> int:
    """Return a number of the closing line."""
    return int(next(one for one in map(json.loads, ran.err.splitlines()) if one["level"] == "done")[name])


def kept(folder: Path) -> Counter[str]:
    """Return the records of the archive from the first day on."""
    files = folder.glob("archive/profile=*/call=*/date=*/cdrs.jsonl")
    return Counter(json.dumps(without_ours(line)) for file in files for line in file.read_text().splitlines())


def lateness(shell: Shell, *words: str) -> dict[str, Any]:
    [found] = json.loads(shell.run("coverage", *INTO, "--lateness", *words).ok().out)
    return dict(found)


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_sweep_finds_what_came_days_later(
    shell: Shell, providers: Sandbox, clock: HandClock, tmp_path: Path, provider: str
) -> None:
    call = load(provider).calls[0].name
    only = ("--call", call)
    providers.switch(provider, "late", "0.3+3d")
    shell.run("sync", provider, *INTO, *only, "-f", "jsonl", "--since", "2026-11-08").ok()
    before = providers.truth(provider, call, FIRST, SETTLED)
    clock.move(days=4)
    assert count(shell.run(*JSON, "sync", provider, *INTO, *only).ok(), "beyond_lookback") == 0
    swept = shell.run(*JSON, "sync", provider, *INTO, *only, "--sweep", "7d", "--status", "status.json").ok()
    missed = len(providers.truth(provider, call, FIRST, SETTLED)) - len(before)
    assert 0 < missed == count(swept, "beyond_lookback")
    exported = shell.run(provider, call, "--since", "2026-11-08", "--until", "now").ok()
    assert kept(tmp_path) == Counter(map(json.dumps, exported.lines))
    [told] = json.loads((tmp_path / "status.json").read_text())["calls"]
    assert told["beyond_lookback"] == sum(told["beyond_lookback_days"].values()) == missed
    found = lateness(shell)
    assert found["beyond_lookback"] == missed
    assert found["late_by_age"]["7d"] + found["late_by_age"]["14d"] >= missed
    assert found["lookback_for_all"] in {"7d", "14d"}
    [status] = json.loads(shell.run("archive", "status", *INTO).ok().out)
    assert status["late"] == missed
    assert count(shell.run(*JSON, "sync", provider, *INTO, *only, "--sweep", "7d").ok(), "beyond_lookback") == 0


@pytest.mark.slow
def test_a_policy_sweeps_when_it_is_due_and_the_plan_says_so(shell: Shell, clock: HandClock, tmp_path: Path) -> None:
    both = ("sync", "portsip", "voicenter", *INTO, "--call", "cdrs")
    shell.run(*both, "--since", "2026-11-08").ok()
    toml = tmp_path / "archive" / "archive.toml"
    toml.write_text(toml.read_text() + '[sweep]\ndays = 2\nevery = "2d"\n[profiles.voicenter.sweep]\ndays = 0\n')
    clock.move(hours=1)

    def planned() -> list[int]:
        return [
            one["sweep_windows"]
            for one in json.loads(shell.run("plan", "portsip", "voicenter", *INTO, "--call", "cdrs").ok().out)
        ]

    assert planned() == [3, 0]
    ran = shell.run("plan", "portsip", *INTO, "--call", "cdrs", "--sweep", "0d").ok()
    assert json.loads(ran.out)[0]["sweep_windows"] == 0
    assert count(shell.run(*JSON, *both).ok(), "days") == 4 + 2
    assert planned() == [0, 0]
    clock.move(days=2)
    assert planned()[0] > 0


def test_lateness_is_told_for_people_and_programs(shell: Shell, clock: HandClock) -> None:
    shell.run("sync", "portsip", *INTO, "--call", "cdrs", "--since", "2026-11-10").ok()
    assert lateness(shell)["days_read_again"] == 0
    assert lateness(shell)["beyond_lookback"] is None
    clock.move(hours=1)
    shell.run("sync", "portsip", *INTO, "--call", "cdrs", "--sweep", "1d").ok()
    found = lateness(shell, "--since", "2026-11-10", "--until", "2026-11-11")
    assert (found["days_read_again"], found["days_swept"], found["beyond_lookback"]) == (1, 1, 0)
    environ = {"CDRCTL_CONFIG": str(shell.config)}
    table = run("coverage", *INTO, "--lateness", environ=environ, clock=clock, terminal=True).ok().out
    assert "portsip cdrs (portsip, lookback 24 h)" in table
    assert shell.run("coverage", *INTO, "--lateness", "--check").code == 2
