from __future__ import annotations

from collections.abc import Iterator

import pytest

from cdrctl.sandbox import Sandbox

from .client import PortSIPClient


@pytest.fixture
def pbx(sandbox: Sandbox) -> Iterator[PortSIPClient]:
    with PortSIPClient(sandbox) as client:
        yield client
