"""The program as a child process of a test, by the tests' clock: `python -m tests.support.program` is `cdrctl`.

The clock begins at 20:00 UTC of Friday, 20 November 2026, and goes on as time does. The sandbox generates other calls
for every day, fewer of them at weekends, so what a test counts would depend on the day it runs. The program itself has
no switch for its clock: only this module, which is not part of the package, hands it another one.

A child goes on with the clock of its test when it gets `shared()` in its environment. An installed program runs by it
when it gets `installed()` there.
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
"""When the tests' clock begins: a Friday, like the day before it a day of many calls."""

BEGAN = "TESTS_CLOCK_BEGAN"
"""The environment variable with what the monotonic clock, which all processes share, showed at that instant."""

HURRIES = "TESTS_CLOCK_HURRIES"
"""The environment variable by which a child does not wait where it would, but moves its clock on instead."""

CLOCK = {"LD_PRELOAD", "CLOCK_OFFSET"}
"""The environment variables by which `.ci/dates` shows a process another time of day."""

COMMAND = (sys.executable, "-m", "tests.support.program")
"""What a test starts; the root of the repository must be in PYTHONPATH."""

_began = [float(os.environ.get(BEGAN) or time.monotonic())]


def now() -> datetime:
    """Return the time by the tests' clock, in UTC."""
    return NOW + timedelta(seconds=time.monotonic() - _began[0])


def restart() -> None:
    """Set the tests' clock of this process back to its beginning."""
    _began[0] = time.monotonic()


def go_on() -> None:
    """Go on with the clock that the environment names, if it names one."""
    _began[0] = float(os.environ.get(BEGAN) or time.monotonic())


def shared() -> dict[str, str]:
    """Return the environment that lets a child go on with the clock of this process, and with the machine's it sees."""
    return {BEGAN: repr(_began[0]), **{name: text for name, text in os.environ.items() if name in CLOCK}}


def installed() -> dict[str, str]:
    """Return the environment that lets a program that is installed elsewhere go on with the clock of this process."""
    return {**shared(), "PYTHONPATH": str(Path(__file__).with_name("clocked"))}


def hand_over(module: Any) -> None:
    """Let `cdrctl.cli.process`, which is given, tell the program that its clock is the tests'."""
    here = module.this_process

    def this_process() -> Any:
        from cdrctl.http import Clock  # not before signals are heeded

        return replace(here(), clock=Clock(now=now, **(_hurried() if os.environ.get(HURRIES) else {})))

    module.this_process = this_process


def _hurried() -> dict[str, Any]:
    """Return a way to wait in which no time passes but by the clock."""
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds
        _began[0] -= seconds

    return {"monotonic": lambda: time.monotonic() + passed[0], "sleep": sleep}


def main() -> None:
    """Run the program of this process by the tests' clock."""
    from cdrctl import __main__ as program
    from cdrctl.cli import process

    hand_over(process)
    program.main()


if __name__ == "__main__":
    main()
