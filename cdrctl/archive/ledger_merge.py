"""The changes of a run to a ledger in a store, which another run may have written in the meantime.

A ledger in a store is written once in a run, at its end, and merged with what is there by then. A day that both runs
have changed is made again from its file, which says what was read.
"""

from __future__ import annotations

from msgspec import Struct, field

from cdrctl.archive.files import contents_of
from cdrctl.archive.intervals import add_reading, with_attempts
from cdrctl.archive.ledger import SweepState
from cdrctl.archive.ledger_days import CallLedger, file_entry
from cdrctl.archive.opening import etag_of, see_again
from cdrctl.archive.store import Archive


class Unsaved(Struct):
    """What a run has changed in a ledger since it was read or written.

    Args:
        days: The days that were changed, each as it was before; None if it was not there.
        sweeps: The sweeps as they were before.
    """

    sweeps: SweepState
    days: dict[str, bytes | None] = field(default_factory=dict)


def merged(
    archive: Archive, names: tuple[str, str], ours: CallLedger, theirs: CallLedger, before: Unsaved
) -> CallLedger:
    """Return a ledger with the changes of two runs, and note of each day how it is in theirs.

    Args:
        archive: The archive.
        names: The profile and the call.
        ours: The ledger with the changes of this run.
        theirs: The ledger that is there.
        before: What this run has changed.

    Raises:
        OSError: The file of a day cannot be read.
    """
    begins = [one for one in (ours.begins, theirs.begins) if one is not None]
    theirs.provider = ours.provider or theirs.provider
    theirs.begins = min(begins, default=None)
    theirs.retired = max((one for one in (ours.retired, theirs.retired) if one is not None), default=None)
    if ours.sweeps != before.sweeps:
        theirs.sweeps = ours.sweeps
    for day, old in before.days.items():
        there = theirs.day_text(day) if theirs.has(day) else None
        before.days[day] = there
        if there == old:
            _take(theirs, day, ours)
        elif ours.day_text(day) != there:
            _read_again(archive, (*names, day), ours, theirs)
    return theirs


def _take(theirs: CallLedger, day: str, ours: CallLedger) -> None:
    theirs.readings[day] = ours.readings.get(day, [])
    if day in ours.files:
        theirs.files[day] = ours.files[day]
    if day in ours.lateness:
        theirs.lateness[day] = ours.lateness[day]


def _read_again(archive: Archive, names: tuple[str, str, str], ours: CallLedger, theirs: CallLedger) -> None:
    """Make a day of a ledger again from its file; without one, from the readings of both runs."""
    day, path = names[2], archive.path(*names)
    see_again(path)
    told = contents_of(archive, path) if path.exists() else None
    readings = theirs.readings.get(day, [])
    if told is None:
        for one in ours.readings.get(day, []):
            readings = add_reading(readings, one)
        theirs.readings[day] = readings
        return
    theirs.readings[day] = with_attempts(with_attempts(told.readings, readings), ours.readings.get(day, []))
    about = (told.sha256, told.records, path.stat().st_size, etag_of(path))
    theirs.files[day] = file_entry(archive, names, *about)
    if told.lateness is not None:
        theirs.lateness[day] = told.lateness
