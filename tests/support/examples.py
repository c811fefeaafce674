"""How many examples hypothesis runs: a fifth in the fast tests, all of them in `.ci/run full`.

The examples are the same on every run. There is no deadline, because a busy machine is not a failure.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EVERY = os.environ.get("TESTS_EXAMPLES") == "all"
"""Whether all examples are run; `.ci/run full` sets the variable."""


def load_profile() -> None:
    """Make these settings hypothesis's default, for tests that set none."""
    settings.register_profile(
        "tests",
        max_examples=100 if EVERY else 20,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    settings.load_profile("tests")


def examples(most: int, *, part: int = 5) -> settings:
    """Return settings with this many examples, or a fifth or other part of them in the fast tests."""
    return settings(max_examples=most if EVERY else max(most // part, 3))
