"""Commands that change an archive leave the same in a store as in a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdrctl import sandbox
from cdrctl.sandbox import Sandbox
from tests.archive.store.conftest import Store
from tests.archive.sync_kit import NOW
from tests.support.clock import HandClock
from tests.support.runner import Shell

RUNS = re.compile(r"_cdrctl/runs/|\.lock$|conversion\.json$")
RANDOM = {"key", "etag", "whole", "ends"}
"""Values that differ from archive to archive."""


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, providers: Sandbox, clock: HandClock) -> Shell:
    made = Shell(tmp_path, clock)
    made.profile("acme", "voicenter", {**providers.credentials("voicenter"), "requests_per_minute": 0})
    return made


def plain(value: Any) -> Any:
    """Return a value of JSON without what is random."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if name not in RANDOM}
    return [plain(one) for one in value] if isinstance(value, list) else value


def contents(found: dict[str, bytes]) -> dict[str, Any]:
    """Return the files of an archive that can be compared, JSON as values."""
    return {
        name: plain(json.loads(content)) if name.endswith(".json") else content
        for name, content in sorted(found.items())
        if not RUNS.search(name) and not name.endswith("_readings.json")
    }


def number_in(folder: Path) -> str:
    """Return a number of a record."""
    text = next(path for path in sorted(folder.rglob("cdrs.jsonl")) if path.stat().st_size).read_text(encoding="utf-8")
    found = re.search(r'"(\d{9,})"', text)
    assert found is not None
    return found[1]


def in_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_each_command_leaves_the_same_in_a_store_and_in_a_folder(
    store: Store, shell: Shell, tmp_path: Path, clock: HandClock
) -> None:
    folder = tmp_path / "archive"
    steps: list[tuple[str, ...]] = [
        ("sync", "acme", "--since", "2026-11-09", "--with-calls", "--format", "jsonl"),
        ("sync", "acme"),
        ("fill", "acme"),
        ("verify",),
        ("verify", "--rebuild"),
        ("archive", "adopt", "acme"),
        ("archive", "retain", "--before", "2026-11-10", "--yes"),
        ("archive", "erase", "--number", "NUMBER", "--yes"),
        ("sync", "acme"),
        ("verify",),
    ]
    number = ""
    for words in steps:
        number = number or (number_in(folder) if folder.exists() else "")
        for place in (str(folder), store.url):
            ran = shell.run(*(word.replace("NUMBER", number) for word in words), "--into", place)
            assert ran.code == 0, (words, place, ran.err)
        assert contents(store.objects()) == contents(in_folder(folder)), words
    shell.run("archive", "convert", str(folder), f"{store.url}/converted", "--format", "csv").ok()
    shell.run("archive", "convert", f"{store.url}/converted", str(tmp_path / "back"), "--format", "jsonl").ok()
    shell.run("archive", "pseudonymise", store.url, f"{store.url}-copy").ok()
    for words in (("archive", "status"), ("verify",)):
        for place in (f"{store.url}/converted", str(tmp_path / "back"), f"{store.url}-copy"):
            shell.run(*words, "--into", place).ok()
    shell.run("archive", "forget", "acme", "--into", f"{store.url}/converted", "--yes").ok()
    assert not [name for name in store.objects() if name.startswith("converted/profile=")]
