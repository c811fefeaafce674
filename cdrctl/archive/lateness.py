"""How late records came: those that a reading found in a time that had been read before, by their age at that reading.

The first reading of a time says nothing: it may be a backfill, and its records may have been there for weeks. So a day
has a lateness from its second reading on, and only the records that were new in a later reading count.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field
from msgspec.structs import astuple

from cdrctl.archive.index import LARGEST, milliseconds
from cdrctl.archive.intervals import Reading, done_windows, settled_windows
from cdrctl.windows import Window

BUCKETS = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "2d": timedelta(days=2),
    "3d": timedelta(days=3),
    "7d": timedelta(days=7),
    "14d": timedelta(days=14),
    "30d": timedelta(days=30),
}
"""The limits below which a record's age was when it was first seen, by name."""
MORE = "more"
"""The name of all higher ages."""
NAMES = (*BUCKETS, MORE)

_LIMITS = [limit // timedelta(milliseconds=1) for limit in BUCKETS.values()]


class Lateness(Struct, frozen=True):
    """How late the records of a day came that has been read again.

    Args:
        swept: A part of it was read again after it had been settled.
        beyond: How many records came later than the lookback.
        seen: How many records came late, by the name of their age when they were first seen.
    """

    swept: bool = False
    beyond: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)

    @property
    def late(self) -> int:
        """How many records came late."""
        return sum(self.seen.values())


def added(parts: Iterable[Lateness]) -> Lateness:
    """Return the sum of several."""
    swept, beyond, seen = False, 0, Counter[str]()
    for one in parts:
        swept, beyond = swept or one.swept, beyond + one.beyond
        seen.update(one.seen)
    return Lateness(swept, beyond, {name: seen[name] for name in NAMES if seen[name]})


def observe(
    window: Window,
    read_at: datetime,
    before: Sequence[Reading],
    lookback: timedelta,
    starts: Iterable[int],
    *,
    complete: bool,
) -> Lateness | None:
    """Return the lateness that a reading adds to its day; None if the reading adds none.

    Args:
        window: The window that was read.
        read_at: When.
        before: The readings of the day before it.
        lookback: The lookback in force.
        starts: The starts of the records that it found in a time that had been read before, in Unix milliseconds.
        complete: The response has everything that the provider has of the window.
    """
    settled = settled_windows(before, lookback)
    spans = [(milliseconds(one.since), milliseconds(one.until)) for one in settled]
    beyond, seen, at = 0, Counter[str](), milliseconds(read_at)
    for start in starts:
        seen[NAMES[bisect_right(_LIMITS, at - start)]] += 1
        beyond += any(since <= start < until for since, until in spans)
    if not seen and not (complete and _touches(done_windows(before), window)):
        return None
    return Lateness(complete and _touches(settled, window), beyond, dict(seen))


def _touches(windows: Iterable[Window], other: Window) -> bool:
    return any(one.since < other.until and other.since < one.until for one in windows)


def plain_lateness(one: Lateness) -> dict[str, Any]:
    """Return a lateness as a dict for JSON, without what is zero."""
    return {name: value for name, value in zip(("swept", "beyond", "seen"), astuple(one), strict=True) if value}


def lateness_of(plain: Any) -> Lateness | None:
    """Return a lateness from its dict; None if there is none.

    Raises:
        AttributeError: It is no dict.
        TypeError: A value has the wrong type.
        ValueError: A value is out of range.
    """
    if plain is None:
        return None
    seen = plain.get("seen", {})
    counts = {name: _count(seen[name]) for name in NAMES if name in seen}
    return Lateness(plain.get("swept") is True, _count(plain.get("beyond", 0)), counts)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < LARGEST:
        raise ValueError(f"not a number of records: {value!r}")
    return value


class Distribution(Struct, frozen=True):
    """How late the records of some days came.

    Args:
        days: How many days have been read again.
        swept: How many of them after they had been settled: what came beyond the lookback is known of these.
        records: How many records they have.
        total: The lateness of all of them.
        beyond: How many records came later than the lookback, by day.
    """

    days: int
    swept: int
    records: int
    total: Lateness
    beyond: Mapping[str, int]

    def lookback_for(self, share: float) -> str | None:
        """Return the lookback with which this share of the records would have been found, as text such as `2d`.

        None if none is needed for that, because so few came late; `more` if some came later than the highest limit.
        """
        missed, found = self.records * (1 - share), self.total.late
        if found <= missed:
            return None
        for name in BUCKETS:
            found -= self.total.seen.get(name, 0)
            if found <= missed:
                return name
        return MORE


def distribution(days: Mapping[str, Lateness], records: Mapping[str, int]) -> Distribution:
    """Return the distribution of some days.

    Args:
        days: The lateness of each day that has been read again.
        records: How many records each day has.
    """
    swept = sum(one.swept for one in days.values())
    beyond = {day: one.beyond for day, one in sorted(days.items()) if one.beyond}
    return Distribution(len(days), swept, sum(records.get(day, 0) for day in days), added(days.values()), beyond)
