"""Shared by the mappings to the common CDR: adding a length to an instant, and recognising impossible lengths."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

from cdrctl.records.events import Value
from cdrctl.records.instants import moved
from cdrctl.records.readers import iso_instant
from cdrctl.records.steps import step
from cdrctl.windows import rfc3339

LONGEST = int(timedelta(days=366).total_seconds())
"""Seconds above which a length is an error of a subtraction, such as a Unix time."""


def length(value: Value) -> Value:
    """Return a length in seconds, or None when it is negative. What is not a number is returned unchanged."""
    return None if isinstance(value, int) and value < 0 else value


def impossible(seconds: Any) -> bool:
    """Return whether a number of seconds is negative or more than a year, so that no call can have lasted so long."""
    return isinstance(seconds, int) and not 0 <= seconds <= LONGEST


@step(moved)
def later(instant: Value, seconds: Value) -> str | None:
    """Return an instant moved forwards by seconds, or None if either is unknown or cannot be read."""
    if not isinstance(seconds, int):
        return None
    with suppress(ValueError, OverflowError):
        return rfc3339(iso_instant(instant) + timedelta(seconds=seconds))
    return None
