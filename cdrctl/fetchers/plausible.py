"""Times and lengths of calls that providers send where they have none: they are no events and are not believed."""

from __future__ import annotations

from cdrctl.records import Value


def event_time(value: Value) -> Value:
    """Return a typed instant, or None when it lies outside the years 2000 to 2099, as placeholders do.

    Providers write 0001-01-01 or 1970-01-01 for "did not happen". What is not an instant is returned unchanged.
    """
    written = isinstance(value, str) and value[4:5] == "-" and value[:4].isdigit()
    return None if written and str(value)[:2] != "20" else value


def length(value: Value) -> Value:
    """Return a length in seconds, or None when it is negative. What is not a number is returned unchanged."""
    return None if isinstance(value, int) and value < 0 else value
