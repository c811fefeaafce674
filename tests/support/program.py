"""The program as a child process of a test, with the tests' clock: `python -m tests.support.program` is `cdrctl`.

The clock begins at 20:00 UTC of Friday, 20 November 2026, and runs as time does. The sandbox generates different calls
for each day, fewer of them at weekends, so the numbers in a test would depend on the day on which it runs. The program
itself has no option for its clock: only this module, which is not part of the package, can replace it.

A child process continues the clock of its test if it has `shared()` in its environment, and an installed program if it
has `installed()` there.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)
"""When the tests' clock begins: a Friday, which has many calls, as the day before it has."""

BEGAN = "TESTS_CLOCK_BEGAN"
"""The environment variable with the value of the monotonic clock, which all processes share, at that instant."""

HURRIES = "TESTS_CLOCK_HURRIES"
"""The environment variable that makes a child process move its clock instead of waiting."""

CLOCK = {"LD_PRELOAD", "CLOCK_OFFSET"}
"""The environment variables by which `.ci/dates` shows a process another time of day."""

COMMAND = (sys.executable, "-m", "tests.support.program")
"""The command that a test starts; the root of the repository must be in PYTHONPATH."""

_began = [float(os.environ.get(BEGAN) or time.monotonic())]


def now() -> datetime:
    """Return the time by the tests' clock, in UTC."""
    return NOW + timedelta(seconds=time.monotonic() - _began[0])


def restart() -> None:
    """Set the tests' clock of this process back to its beginning."""
    _began[0] = time.monotonic()


def go_on() -> None:
    """Continue the clock that the environment names, if it names one."""
    _began[0] = float(os.environ.get(BEGAN) or time.monotonic())


def shared() -> dict[str, str]:
    """Return the environment with which a child process continues the clock of this process."""
    return {BEGAN: repr(_began[0]), **{name: text for name, text in os.environ.items() if name in CLOCK}}


def installed() -> dict[str, str]:
    """Return the environment with which an installed program continues the clock of this process."""
    return {**shared(), "PYTHONPATH": str(Path(__file__).with_name("clocked"))}


def hand_over(module: Any) -> None:
    """Give `cdrctl.cli.process`, the argument, the tests' clock."""
    here = module.this_process

    def this_process() -> Any:
        from cdrctl.http import Clock  # only after signal handlers are set

        return replace(here(), clock=Clock(now=now, **(_hurried() if os.environ.get(HURRIES) else {})))

    module.this_process = this_process


def _hurried() -> dict[str, Any]:
    """Return a way to wait that moves the clock and takes no time."""
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds
        _began[0] -= seconds

    return {"monotonic": lambda: time.monotonic() + passed[0], "sleep": sleep}


def main() -> None:
    """Run the program in this process with the tests' clock."""
    from cdrctl import __main__ as program
    from cdrctl.cli import process

    hand_over(process)
    program.main()


if __name__ == "__main__":
    main()
