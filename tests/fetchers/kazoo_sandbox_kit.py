"""Exports from the Kazoo sandbox, and the records that they should have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from cdrctl.sandbox import Exchange, Sandbox, start
from cdrctl.sandbox.kazoo.accounts import OWNER_IDS
from cdrctl.windows import Window

from .kazoo_kit import Run, at, fetched, window

NOW = at("2026-12-02T12:00")
MONTH = at("2026-11-01")
EDGE = window("2026-10-31T22:00", "2026-11-01T03:00")
DAY = window("2026-11-18T00:00", "2026-11-19T00:00")
USER = OWNER_IDS["Avery Brooks"]

Boxes = Callable[..., Sandbox]

DRAWN = Exchange(7, volume=0.3)
"""The calls of all tests that give none, drawn once."""


@pytest.fixture
def box() -> Iterator[Boxes]:
    """Start sandboxes, and close them at the end."""
    running: list[Sandbox] = []

    def begin(calls: list[Any] | None = None, now: datetime = NOW, drawn: Exchange = DRAWN, **switches: str) -> Sandbox:
        exchange = drawn if calls is None else Exchange(7, calls)
        made = start(now=lambda: now, providers=["kazoo"], switches={"kazoo": switches}, exchange=exchange)
        running.append(made)
        return made

    yield begin
    for one in running:
        one.close()


def export(sandbox: Sandbox, call: str, span: Window | None, kind: str = "", **options: Any) -> Run:
    return fetched(sandbox.credentials("kazoo", kind), call, span, options, now=sandbox.now())


def truth(sandbox: Sandbox, call: str, span: Window, **options: str) -> list[str]:
    return sorted(row["id"] for row in sandbox.truth("kazoo", call, span.since, span.until, **options))


def asked(sandbox: Sandbox) -> list[dict[str, str]]:
    """Return the queries of all requests for listings."""
    return [
        dict(httpx.QueryParams(one.query)) for one in sandbox.requests if re.search("cdrs(/interaction)?$", one.path)
    ]
