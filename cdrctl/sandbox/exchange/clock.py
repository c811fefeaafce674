"""Instants in milliseconds, and pseudo-random values that depend only on a key."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from hashlib import md5

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LONGEST_CALL = 6 * HOUR
"""The longest generated call, in milliseconds."""
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(instant: datetime) -> int:
    """Return an aware instant as Unix milliseconds, rounded down."""
    return (instant - _UNIX) // _MILLISECOND


def instant(unix_ms: int) -> datetime:
    """Return Unix milliseconds as an aware UTC instant."""
    return _UNIX + timedelta(milliseconds=unix_ms)


def digest(*parts: object) -> str:
    """Return 32 hexadecimal digits that depend only on the parts."""
    return md5("\x1f".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def uuid_text(version: int, *parts: object) -> str:
    """Return a UUID of the given version as text that depends only on the parts."""
    h = digest(*parts)
    return f"{h[:8]}-{h[8:12]}-{version}{h[13:16]}-{'89ab'[int(h[16], 16) % 4]}{h[17:20]}-{h[20:]}"


def delay(share: str, what: str, key: str) -> int:
    """Return a delay in milliseconds: 10 minutes to 20 hours for a share of the keys, such as `0.05`, else 0.

    With a share such as `0.05+3d`, the delay is three days longer.
    """
    part, days = _share_and_days(share)
    if not part:
        return 0
    drawn = int(digest(what, key)[:12], 16)
    if drawn % 10_000 >= part * 10_000:
        return 0
    return 10 * MINUTE + drawn // 10_000 % (20 * HOUR) + days * DAY


def longest_delay(share: str) -> int:
    """Return an upper bound on the delays of a share, in milliseconds."""
    part, days = _share_and_days(share)
    return 21 * HOUR + days * DAY if part else 0


@functools.lru_cache(100)
def _share_and_days(text: str) -> tuple[float, int]:
    """Return the parts of a share such as `0.05` or `0.05+3d`."""
    share, _, days = text.partition("+")
    return float(share), int(days.removesuffix("d") or 0)


def is_gone(share: str, key: str, end: int, now: int) -> bool:
    """Return whether a record has disappeared: a share does, 4 to 24 hours after the call (times in milliseconds)."""
    wait = delay(share, "dropped", key)
    return wait > 0 and end + 4 * HOUR + wait <= now
