from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cdrctl.sandbox import Sandbox, start
from tests.sandbox.conftest import EXCHANGE
from tests.support.clock import HandClock

from .client import MONTH, VoicenterClient


@pytest.fixture
def voicenter(sandbox: Sandbox) -> Iterator[VoicenterClient]:
    with VoicenterClient(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def month() -> list[dict[str, Any]]:
    """A month of records as they stand on the wire."""
    with start(now=HandClock(), exchange=EXCHANGE, providers=["voicenter"]) as sandbox:
        return sandbox.truth("voicenter", "cdrs", *MONTH)
