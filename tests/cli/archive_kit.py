"""The archive's commands in this process, with the sandbox's providers and a clock that is set by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrctl import sandbox
from cdrctl.fetchers import PROVIDERS
from cdrctl.sandbox import Exchange, Sandbox
from tests.support.clock import HandClock
from tests.support.runner import Shell

NOW = datetime(2026, 11, 12, 5, 0, tzinfo=UTC)
INTO = ("--into", "archive")


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def providers(clock: HandClock) -> Iterator[Sandbox]:
    with sandbox.start(now=clock, exchange=Exchange(volume=0.3)) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, clock: HandClock, providers: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, clock)
    configure(shell, providers, *PROVIDERS)
    return shell


def configure(shell: Shell, providers: Sandbox, *names: str, **more: object) -> None:
    lines: list[str] = []
    for name in names:
        settings = {"provider": name, **providers.credentials(name), "requests_per_minute": 0, **more}
        lines += [f"[profiles.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    shell.config.write_text("\n".join([*lines, ""]), encoding="utf-8")
    shell.config.chmod(0o600)
