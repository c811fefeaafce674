"""A plugin of pytest for `.ci/dates`: lets each test begin at the same instant by the clock that libfaketime shows."""

from __future__ import annotations

import os
import time

import pytest

AT = float(os.environ["TESTS_BEGIN_AT"])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set the clock back; children get the difference from the environment."""
    really = time.time() - float(os.environ["FAKETIME"])
    os.environ["FAKETIME"] = f"{AT - really:+.6f}"
