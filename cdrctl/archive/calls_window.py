"""The calls of a window: stored days as they are, and what lies between them to be joined from the legs.

A day is taken as it is stored only if it is whole in the window, if its file and its legs are, by their content, those
that were there when it was written, and if no call of it may lack legs: whether one is at the edge of what was read
depends on the window, and a run must tell of those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct

from cdrctl.archive.calls_store import LegDigests, Marks, current_day, path_of, read_state
from cdrctl.archive.calls_view import stored_rows
from cdrctl.archive.index import reading_archive
from cdrctl.archive.intervals import days, whole_day
from cdrctl.archive.source import ArchivedCall
from cdrctl.archive.store import FIRST_LAYOUT, UNKNOWN
from cdrctl.calls.columns import CALL
from cdrctl.records.events import Row
from cdrctl.windows import Window

PAGE = 500
AROUND = timedelta(days=1)
"""How much further than the margin legs are read beside a stored day: calls are rarely longer."""

_PROFILE = next(at for at, column in enumerate(CALL) if column.name == "profile")


class Stretch(Struct, frozen=True):
    """A part of a window.

    Args:
        window: The part.
        stored: The file of its calls; None if they are to be joined.
    """

    window: Window
    stored: Path | None = None


def stretches(source: ArchivedCall, window: Window, marks: Marks) -> list[Stretch]:
    """Return the parts of a window in order: days whose calls are stored and up to date, and what lies between them.

    An archive with legs whose start is unknown has one part: their calls may be of any window.

    Args:
        source: The legs.
        window: The window on the start of the call.
        marks: What is named that the records do not tell.
    """
    archive, legs = source.archive, source.kept
    if archive.layout == FIRST_LAYOUT or UNKNOWN in source.files:
        return [Stretch(window)]
    with reading_archive(archive.folder), suppress(OSError):
        stored, digests = read_state(archive, legs.profile, legs, marks), LegDigests(archive, legs)
        found: list[Stretch] = []
        for day, _ in days(window, archive.zone) if stored else ():
            whole = whole_day(day, archive.zone)
            state = stored.get(str(day))
            if state is None or state.doubtful or whole.since < window.since or whole.until > window.until:
                continue
            if current_day(archive, legs, str(day), state, digests) and _is_exact(source, day):
                found.append(Stretch(whole, path_of(archive, legs.profile, str(day))))
        return list(_with_rest(window, found))
    return [Stretch(window)]


def _with_rest(window: Window, stored: Sequence[Stretch]) -> Iterator[Stretch]:
    since = window.since
    for one in stored:
        if since < one.window.since:
            yield Stretch(Window(since, one.window.since))
        yield one
        since = one.window.until
    if since < window.until:
        yield Stretch(Window(since, window.until))


def _is_exact(source: ArchivedCall, day: date) -> bool:
    """Return whether a file has its calls as they were joined: Parquet does not keep the zeros at the end of costs."""
    path = path_of(source.archive, source.kept.profile, str(day))
    if path.suffix != ".parquet":
        return True
    try:
        from pyarrow import parquet
    except ImportError:
        return False
    with path.open("rb") as opened, parquet.ParquetFile(opened) as file:
        return bool(file.read(["cost"]).column("cost").null_count == file.metadata.num_rows)


def legs_around(stretch: Window, window: Window, margin: timedelta) -> Window:
    """Return the window whose legs are read for a part of a window: the margin, and more beside stored days."""
    since, until = stretch.since - margin - AROUND, stretch.until + margin + AROUND
    return Window(max(since, window.since - margin), min(until, window.until + margin))


def stored_pages(stretch: Stretch, profile: str) -> Iterator[list[Row]]:
    """Yield the rows of a stored day.

    Args:
        stretch: The day.
        profile: The name of the profile in the rows.

    Raises:
        OSError: The file cannot be read.
    """
    assert stretch.stored is not None  # noqa: S101 - see the caller
    rows = _parquet_rows(stretch.stored) if stretch.stored.suffix == ".parquet" else stored_rows(stretch.stored)
    while some := list(islice(rows, PAGE)):
        for row in some:
            row.insert(_PROFILE, profile)
        yield some


def _parquet_rows(path: Path) -> Iterator[list[Any]]:
    from cdrctl.calls.files import parquet_records
    from cdrctl.records.columns import reader_of

    read = [(column.name, reader_of(column)) for column in CALL if column.name != "profile"]
    with path.open("rb") as file:
        for record in parquet_records(file, []):
            yield [None if (value := record.get(name)) is None else to(value) for name, to in read]
