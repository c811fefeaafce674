"""Finds records whose start the provider has corrected, so that they are of another day now.

Such a record is absent from the response of its old day, and another day has it under the same key. It is not gone: the
archive keeps it once, on the day on which it is now.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from cdrctl.archive.dayfile import DayFile, Row
from cdrctl.archive.fetching import Source
from cdrctl.archive.files import load
from cdrctl.archive.lines import columns_of
from cdrctl.archive.merge import Traits, call_traits, moved_keys
from cdrctl.archive.store import UNKNOWN, Archive

NEAR = 2
"""How many days before and after its old day a record is looked for: a wrong time zone is wrong by 26 hours at most."""


def near_rows(archive: Archive, source: Source, day: str) -> Iterator[tuple[Row, Traits]]:
    """Yield the rows of the days around a day that are not marked as gone, and those without a start.

    Files that cannot be read, or that another program has changed, are left out.
    """
    known = date.fromisoformat(day)
    names = [(known + timedelta(days=by)).isoformat() for by in range(-NEAR, NEAR + 1) if by]
    for name in (*names, UNKNOWN):
        file = _file(archive, source, name)
        if file is not None:
            traits = call_traits(source.call.alike, columns_of(file.header))
            yield from ((row, traits) for row in file.rows() if row.gone_at is None)


def has_moved(archive: Archive, source: Source, day: str) -> bool:
    """Return whether a day keeps a record as gone that a day around has."""
    file = _file(archive, source, day)
    if file is None:
        return False
    gone = {row.key: row.line for row in file.rows() if row.gone_at is not None}
    traits = call_traits(source.call.alike, columns_of(file.header))
    return any(True for _ in moved_keys(gone.get, traits, lambda: near_rows(archive, source, day)))


def _file(archive: Archive, source: Source, day: str) -> DayFile | None:
    try:
        return load(archive, archive.path(source.profile, source.call.name, day))
    except (OSError, EOFError, ValueError):  # the run that reads that day reports it
        return None
