from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, Sandbox, start
from tests.support.clock import HandClock

from .clients import KazooClient, WebexClient

EXCHANGE = Exchange(1, volume=0.3)
"""The exchange of most tests: few calls, so that listing a week is fast."""

BUSY = pytest.mark.parametrize("exchange", [Exchange(1)], ids=["busy"])
"""Marks a test that needs rare calls: its exchange has the calls of a whole office."""

Starter = Callable[..., Sandbox]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def exchange() -> Exchange:
    return EXCHANGE


@pytest.fixture
def run(clock: HandClock, exchange: Exchange) -> Iterator[Starter]:
    """Start sandboxes on the test's clock and close them afterwards."""
    running: list[Sandbox] = []

    def begin(**options: Any) -> Sandbox:
        sandbox = start(**{"now": clock, "exchange": exchange, **options})
        running.append(sandbox)
        return sandbox

    yield begin
    for sandbox in running:
        sandbox.close()


@pytest.fixture
def sandbox(run: Starter) -> Sandbox:
    return run()


@pytest.fixture
def webex(sandbox: Sandbox) -> Iterator[WebexClient]:
    with WebexClient(sandbox) as client:
        yield client


@pytest.fixture
def kazoo(sandbox: Sandbox) -> Iterator[KazooClient]:
    with KazooClient(sandbox) as client:
        yield client
