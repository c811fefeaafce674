"""A pytest plugin for `.ci/dates`: each test begins at the same instant, by the clock of `.ci/clock.c`."""

from __future__ import annotations

import ctypes
import os
import time

import pytest

AT = float(os.environ["TESTS_BEGIN_AT"])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set the clock back; child processes get the difference from the environment."""
    really = time.time() - float(os.environ["CLOCK_OFFSET"])
    os.environ["CLOCK_OFFSET"] = f"{AT - really:.6f}"
    ctypes.CDLL(None).read_clock_offset()
