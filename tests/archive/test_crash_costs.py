"""A run that is killed while it adds costs: the next one ends with the provider's costs, each once."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.portsip.calls import cost_of
from cdrctl.sandbox.portsip.store import visible_records
from cdrctl.sandbox.portsip.times import microseconds
from cdrctl.windows import Window
from tests.archive.test_crash import NOW, folders, kill
from tests.support.clock import HandClock
from tests.support.runner import Shell

pytestmark = pytest.mark.process

SYNC = ("sync", "acme", "--into", "archive", "-f", "jsonl", "--call", "cdrs")


@pytest.fixture
def provider() -> Iterator[Sandbox]:
    with sandbox.start(now=lambda: NOW, exchange=Exchange(volume=0.3)) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, provider: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a shell in a folder whose archive has the records without their costs."""
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, HandClock(NOW))
    shell.profile("acme", "portsip", {**provider.credentials("portsip"), "requests_per_minute": 0})
    shell.run(*SYNC).ok()
    with (tmp_path / "archive" / "archive.toml").open("a", encoding="utf-8") as file:
        file.write("\n[profiles.acme.cdrs]\nwith_cost = true\n")
    return shell


def costs(folder: Path) -> list[tuple[str, Decimal | None]]:
    """Return the ids and the costs of all records of an archive."""
    lines = [line for path in sorted(folder.glob("*/*/date=*/cdrs.jsonl")) for line in path.read_text().splitlines()]
    found = map(json.loads, lines)
    return sorted((one["id"], None if one["cost"] is None else Decimal(one["cost"])) for one in found)


@pytest.mark.parametrize("seeds", [range(8)], ids=str)
def test_kills_among_the_costs_leave_nothing_that_the_next_run_does_not_mend(
    shell: Shell, provider: Sandbox, seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {}
    for seed, folder in folders(shell, seeds).items():
        shutil.copytree(shell.folder / "archive", folder / "archive")
        rng = random.Random(seed)
        numbers[folder] = [rng.randint(1, 60) for _ in range(8)]
    ends = kill(shell, numbers, *SYNC)
    assert sum(one.count("killed") for one in ends.values()) >= 4 * len(numbers)
    window = Window(NOW - timedelta(hours=24), NOW)
    found = visible_records(
        provider.provider("portsip").pbx, "cdrs", (microseconds(window.since), microseconds(window.until)), ""
    )
    rows = provider.truth("portsip", "cdrs", window.since, window.until)
    truth = {row["id"]: Decimal(str(cost_of(one.call))) for row, one in zip(rows, found, strict=True)}
    whole = [key for key, _ in costs(shell.folder / "archive")]
    for folder in numbers:
        monkeypatch.chdir(folder)
        shell.run(*SYNC).ok()
        archived = costs(folder / "archive")
        assert [key for key, _ in archived] == whole
        assert {key: cost for key, cost in archived if cost is not None} == truth
        assert shell.run("verify", "--into", "archive").ok().out == ""
