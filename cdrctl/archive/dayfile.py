"""The contents of a day's file, whatever its layout and its format."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from cdrctl.archive.index import Entry
from cdrctl.archive.intervals import Reading


@dataclass(frozen=True, slots=True)
class DayFile:
    """The contents of a day's file.

    Args:
        entries: Its records.
        readings: Its readings.
        sha256: Its digest; empty if the file is not as cdrctl wrote it.
        header: The header of a CSV file.
        gone: Since when records are known to be gone at the provider, by key.
    """

    entries: list[Entry]
    readings: list[Reading]
    sha256: str
    header: bytes
    gone: dict[bytes, datetime] = field(default_factory=dict)


class RecoveredFile(NamedTuple):
    """The records of a file that is not as cdrctl wrote it.

    Args:
        file: The records.
        unread: How many lines are not records of the day.
        expected: How many records the file has, or had when it was written, whichever is more.
    """

    file: DayFile
    unread: int
    expected: int


class Contents(NamedTuple):
    """What a day's file is known to have without its records: its digest, their number, and its readings."""

    sha256: str
    records: int
    readings: list[Reading]
