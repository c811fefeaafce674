"""The days of a ledger that no longer change, as they are in its JSON: a night looks at a year of them.

A whole day has one successful reading of all of it. Most days are whole, and nothing of them is parsed until something
asks for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from cdrctl.archive.index import LARGEST
from cdrctl.archive.intervals import whole_day
from cdrctl.fetchers import CENTURY
from cdrctl.windows import rfc3339

Count = Annotated[int, Meta(ge=0, le=LARGEST - 1)]
"""A number of records or of bytes."""


class PlainReading(Struct, omit_defaults=True):
    """A reading as it is in the JSON of a ledger."""

    since: str
    until: str
    state: Literal["planned", "done", "failed"]
    read_at: Annotated[datetime, Meta(tz=True)] | None
    records: Count
    error: str
    options: str = ""
    mixed: bool = False


class PlainFile(Struct, omit_defaults=True):
    """The file of a day as it is in the JSON of a ledger."""

    sha256: str
    records: Count
    bytes: Count
    etag: str = ""


class PlainLateness(Struct, omit_defaults=True):
    """How late the records of a day came, as it is in the JSON of a ledger."""

    swept: bool = False
    beyond: Count = 0
    seen: dict[str, Count] = {}


class PlainDay(Struct, omit_defaults=True):
    """A day as it is in the JSON of a ledger."""

    readings: list[PlainReading]
    file: PlainFile | None = None
    lateness: PlainLateness | None = None


class _Whole(NamedTuple):
    """A day of a zone: its bounds as a ledger has them, and its end."""

    since: str
    until: str
    end: datetime


class _Days(dict[str, _Whole | None]):
    """The days of a zone that were looked up, which the calls of an archive have in common; None if it is no day."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __missing__(self, day: str) -> _Whole | None:
        found = None
        with suppress(ValueError):
            window = whole_day(date.fromisoformat(day), self._zone)
            found = _Whole(rfc3339(window.since), rfc3339(window.until), window.until)
        self[day] = found
        return found


days_of = functools.lru_cache(16)(_Days)


_FIRST, _LAST = (datetime(year, 1, 1, tzinfo=UTC) for year in (CENTURY.start, CENTURY.stop))


def is_whole(whole: _Whole | None, plain: PlainDay) -> bool:
    """Return whether a day has one successful reading of all of it, with values that are in range."""
    if whole is None or len(plain.readings) != 1:
        return False
    (one,), file = plain.readings, plain.file
    return (
        one.state == "done"
        and one.since == whole.since
        and one.until == whole.until
        and one.read_at is not None
        and _FIRST <= one.read_at < _LAST
        and not one.error
        and (file is None or "\0" not in file.sha256)
    )


class WholeDays(Struct, frozen=True):
    """Whole days of a call, by their names.

    Args:
        zone: The zone of the archive's days.
        days: What the ledger has of each.
    """

    zone: tzinfo
    days: Mapping[str, PlainDay]

    def final(self, lookback: timedelta, latest: datetime, complete: Callable[[str], bool]) -> frozenset[str]:
        """Return the days that are final.

        Args:
            lookback: For how long after a call its record may still change.
            latest: A reading that is dated later does not count.
            complete: Whether a reading with some options has all that is wanted.
        """
        known, wanted, found = days_of(self.zone), functools.cache(complete), []
        for day, plain in self.days.items():
            (one,), whole = plain.readings, known[day]
            if (
                whole is not None
                and one.read_at is not None
                and whole.end + lookback <= one.read_at <= latest
                and wanted(one.options)
            ):
                found.append(day)
        return frozenset(found)

    def files(self) -> dict[str, PlainFile]:
        """Return the files of those that have one."""
        return {day: plain.file for day, plain in self.days.items() if plain.file is not None}

    def last_success(self) -> datetime | None:
        """Return when the newest of them was read."""
        return max((at for one in self.days.values() if (at := one.readings[0].read_at) is not None), default=None)
