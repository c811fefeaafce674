"""Records that a provider drops or numbers anew between two runs of `sync`: none is lost, none is kept twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cdrctl import sandbox
from cdrctl.fetchers import PROVIDERS, load
from cdrctl.sandbox import Exchange, Sandbox
from tests.archive.sync_kit import without_ours
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

FIRST = datetime(2026, 11, 12, 16, 0, tzinfo=UTC)
LATER = 11
"""Hours until the second run."""

CALLS = [
    (name, call.name) for name in PROVIDERS for call in load(name).calls if call.windowed and call.name != "stream"
]
"""Of a stream nothing is read twice: it has a record when it is new, and not when it is gone."""

each_call = pytest.mark.parametrize(("provider", "call"), CALLS)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(FIRST)


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock, exchange=Exchange(1, volume=0.3)) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, clock)


def sync(shell: Shell, providers: Sandbox, provider: str, call: str, *more: str) -> Ran:
    """Bring the archive up to date and look two days back, whatever the provider needs."""
    shell.profile("acme", provider, {**providers.credentials(provider), "requests_per_minute": 0})
    into = ("--into", "archive", "-f", "jsonl")
    return shell.run("--log-format", "json", "sync", "acme", "--call", call, "--lookback", "2d", *into, *more)


def facts(ran: Ran) -> dict[str, int]:
    """Return what the closing line counted."""
    lines = [json.loads(line) for line in ran.err.splitlines()]
    return next(line for line in lines if line["level"] == "done")


def kept(shell: Shell) -> list[dict[str, Any]]:
    """Return the records of the archive, without its own columns."""
    files = sorted(shell.folder.glob("archive/profile=acme/*/date=*/*.jsonl"))
    return [without_ours(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def texts(records: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(record, sort_keys=True) for record in records)


@pytest.mark.thin
@each_call
def test_a_record_that_the_provider_drops_stays(
    shell: Shell, providers: Sandbox, clock: HandClock, provider: str, call: str
) -> None:
    providers.switch(provider, "dropped", "0.9")
    sync(shell, providers, provider, call).ok()
    before = texts(kept(shell))
    clock.move(hours=LATER)
    ran = sync(shell, providers, provider, call)
    counted = facts(ran)
    assert ran.code == 3, ran.err
    assert counted["gone"] > 0
    after = texts(kept(shell))
    if call == "interactions":  # the leg shown is the earliest that is there, so that a line may change
        assert len(after) >= len(before)
    else:
        assert not before - after
    assert max(after.values()) == 1
    ran = sync(shell, providers, provider, call, "--allow-shrink")
    assert ran.code == 0, ran.err
    assert len(kept(shell)) == sum(after.values()) - counted["gone"]
    assert facts(sync(shell, providers, provider, call).ok())["gone"] == 0


@pytest.mark.slow
@pytest.mark.thin
@each_call
def test_a_record_that_has_another_id_is_kept_once(
    shell: Shell, providers: Sandbox, clock: HandClock, provider: str, call: str
) -> None:
    providers.switch(provider, "renumbered", "0.9")
    sync(shell, providers, provider, call).ok()
    before = kept(shell)
    clock.move(hours=LATER)
    counted = facts(sync(shell, providers, provider, call).ok())
    assert counted["changed"] > 0
    assert (counted["gone"], counted["late"]) == (0, 0)
    assert len(kept(shell)) == len(before) + counted["new"]
    again = facts(sync(shell, providers, provider, call).ok())
    assert (again["new"], again["late"], again["changed"], again["gone"]) == (0, 0, 0, 0)


def test_a_record_without_an_id_that_has_another_content_is_kept_once(
    shell: Shell, providers: Sandbox, clock: HandClock
) -> None:
    """Voicenter's records without `CallID` are identified by what they say, as the link to their recording."""
    providers.switch("voicenter", "call_id", "off")
    providers.switch("voicenter", "renumbered", "0.9")
    given = ("voicenter", "cdrs")
    sync(shell, providers, *given).ok()
    before = kept(shell)
    assert before
    assert not any(record["call_id"] for record in before)
    clock.move(hours=LATER)
    counted = facts(sync(shell, providers, *given).ok())
    assert counted["changed"] > 0
    assert (counted["gone"], counted["late"]) == (0, 0)
    assert len(kept(shell)) == len(before) + counted["new"]
