"""Shared by the tests of hosts and signals: a host, a provider that can stall, and signal handling."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.host import A_DAY, Host, Stalling, a_host, hearing, stalling

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
SOON = 5
"""Seconds within which a process must end; it takes less than one on an idle machine."""

REPORT = "portsip reports create --type NORMAL --range YESTERDAY --email me@example.com --file-format CSV --wait"
SOME = ("-p", "sandbox", *A_DAY)


@pytest.fixture(autouse=True)
def heeded_signals() -> Iterator[None]:
    with hearing():
        yield


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return a_host(tmp_path)


@pytest.fixture
def provider() -> Iterator[Stalling]:
    with stalling() as running:
        yield running
