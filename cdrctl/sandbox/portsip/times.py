"""Times: RFC 3339 on the wire, with as many digits as needed, and Unix microseconds within the imitation."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

MILLI = 1000
"""Microseconds in a millisecond."""

MICRO = 1_000_000
"""Microseconds in a second."""

Span = tuple[int, int]
"""The start and the end of a span in Unix microseconds; the end is excluded."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Return an aware datetime as Unix microseconds."""
    micros: int = (at - _UNIX) // _MICROSECOND
    return micros


def write_time(micros: int) -> str:
    """Return Unix microseconds as the PBX writes them: without zeros at the end of a second's fraction."""
    seconds, fraction = divmod(micros, MICRO)
    digits = f".{fraction:06d}".rstrip("0").rstrip(".")
    return f"{_UNIX + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{digits}Z"


def read_time(text: str) -> int | None:
    """Return RFC 3339 as Unix microseconds; None for any other text, and for 1970 and before."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        micros = microseconds(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):
        return None
    return micros if micros > 0 else None
