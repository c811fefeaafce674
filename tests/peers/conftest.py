from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import loopback_only


@pytest.fixture(autouse=True)
def _stay_at_home() -> Iterator[None]:
    """Let no peer reach beyond this machine."""
    with loopback_only():
        yield
