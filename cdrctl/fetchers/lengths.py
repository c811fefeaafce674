"""Lengths of calls that cannot be: they are left out of the common CDR."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cdrctl.records.events import Value

LONGEST = int(timedelta(days=366).total_seconds())
"""Seconds above which a length is an error of a subtraction, such as a Unix time."""


def length(value: Value) -> Value:
    """Return a length in seconds, or None when it is negative. What is not a number is returned unchanged."""
    return None if isinstance(value, int) and value < 0 else value


def impossible(seconds: Any) -> bool:
    """Return whether a number of seconds is negative or more than a year, so that no call can have lasted so long."""
    return isinstance(seconds, int) and not 0 <= seconds <= LONGEST
