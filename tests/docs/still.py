"""The program at one evening: `python still.py WORDS…` is `cdrctl WORDS…` at 20:00 UTC of Friday, 20 November 2026.

The sandbox has another day for every day. What the pages print, and whether there are calls at all that a recipe looks
for, would depend on when the tests are run, on Sundays and on the first minutes of a day most of all.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 11, 20, 20, 0, tzinfo=UTC)


def main() -> None:
    """Run the program of this process, but for its clock, which begins at that evening."""
    from cdrctl import __main__ as program  # noqa: PLC0415 - loaded as the program loads it
    from cdrctl.cli import world  # noqa: PLC0415 - as above
    from cdrctl.http import Clock  # noqa: PLC0415 - as above

    began = time.monotonic()
    here = world.this_world
    clock = Clock(now=lambda: NOW + timedelta(seconds=time.monotonic() - began))
    world.this_world = lambda: replace(here(), clock=clock)
    program.main()


if __name__ == "__main__":
    main()
