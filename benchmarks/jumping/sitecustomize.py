"""A clock that jumps instead of waiting, for runs with a rate limit: with this folder in PYTHONPATH, Python imports it.

`time.sleep` returns at once and puts the monotonic clock forward. cdrctl takes the time of day, the monotonic clock and
the wait from one place, `cdrctl.http.pace.Clock`, which is given these when its module has been loaded: the limiter is
as busy as ever, but nobody waits.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULE = "cdrctl.http.pace"
_monotonic = time.monotonic
_ahead = 0.0


def sleep(seconds: float) -> None:
    """Put the clock forward instead of waiting."""
    global _ahead  # noqa: PLW0603 - the clock of a whole process
    _ahead += max(0.0, seconds)


def monotonic() -> float:
    """Return the seconds of the clock that jumps."""
    return _monotonic() + _ahead


def now() -> datetime:
    """Return the time of day by the clock that jumps."""
    return datetime.now(UTC) + timedelta(seconds=_ahead)


class Finder:
    """Finds the module with cdrctl's clock, and lets it jump."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the specification of the module, whose loading ends with another clock."""
        spec = PathFinder.find_spec(name, path, target) if name == MODULE else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            module.Clock = functools.partial(module.Clock, now, monotonic, sleep)  # type: ignore[attr-defined]

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this loader only
        return spec


time.sleep = sleep  # type: ignore[assignment]  # floats are enough
sys.meta_path.insert(0, Finder)
