from __future__ import annotations

from collections.abc import Iterator

import pytest

from cdrctl.sandbox import Exchange
from tests.sandbox.conftest import Starter

from .client import CallGearClient, Switched


@pytest.fixture
def client(run: Starter) -> Iterator[CallGearClient]:
    with CallGearClient(run(providers=["callgear"])) as one:
        yield one


@pytest.fixture
def switched(run: Starter, exchange: Exchange) -> Iterator[Switched]:
    """Start a sandbox with switches and return a client of it."""
    clients: list[CallGearClient] = []

    def begin(kind: str = "", exchange: Exchange = exchange, **switches: str) -> CallGearClient:
        sandbox = run(providers=["callgear"], exchange=exchange, switches={"callgear": switches})
        clients.append(CallGearClient(sandbox, kind))
        return clients[-1]

    yield begin
    for one in clients:
        one.http.close()
