"""Day's files, in the layout of their archive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from cdrctl.archive import layout1, layout2
from cdrctl.archive.dayfile import Contents, DayFile, NewDay, RecoveredFile, file_in_memory
from cdrctl.archive.intervals import Reading, overlap, whole_day
from cdrctl.archive.recover import recover as recover1
from cdrctl.archive.store import DATE, FIRST_LAYOUT, UNKNOWN, Archive, call_files, is_there, whose_in
from cdrctl.windows import Window


def load(archive: Archive, path: Path) -> DayFile | None:
    """Return a day's file, or None if it is missing, or not as cdrctl wrote it for this call and day.

    Raises:
        OSError: It cannot be read.
    """
    found = _written(archive, path)
    return found if found is not None and _is_in_place(archive, path, found) else None


def _written(archive: Archive, path: Path) -> DayFile | None:
    """Return a file that cdrctl wrote, wherever it is now; None of another file."""
    return layout1.load(path) if archive.layout == FIRST_LAYOUT else layout2.load(path)


def contents_of(archive: Archive, path: Path) -> Contents | None:
    """Return the recorded contents of a day's file, or None if cdrctl did not write it for this call and day.

    Raises:
        OSError: It cannot be read.
    """
    found = _written_contents(archive, path)
    return found if found is not None and _is_in_place(archive, path, found) else None


def _written_contents(archive: Archive, path: Path) -> Contents | None:
    """Return the contents of a file that cdrctl wrote, wherever it is now; None of another file."""
    return layout1.contents_of(path) if archive.layout == FIRST_LAYOUT else layout2.contents_of(path)


def is_written(archive: Archive, path: Path, sha256: str) -> bool:
    """Return whether cdrctl wrote the file with a digest as a day's file of an archive of the current layout.

    Raises:
        OSError: What is beside it cannot be read.
    """
    found = layout2.written_contents(path).get(sha256)
    return found is not None and _is_in_place(archive, path, found)


def deleted_contents(archive: Archive, path: Path) -> Contents | None:
    """Return the known contents of a day's file that was deleted; None if nothing beside it has them.

    Raises:
        OSError: What is beside it cannot be read.
    """
    found = layout1.deleted_contents(path) if archive.layout == FIRST_LAYOUT else layout2.deleted_contents(path)
    return found if found is not None and _is_in_place(archive, path, found) else None


def other_owner(archive: Archive, path: Path) -> str:
    """Return the profile and the call whose records a file has in the place of those of another; else an empty string.

    Raises:
        OSError: It cannot be read.
    """
    found = _written_contents(archive, path)
    return "" if found is None or _is_theirs(archive, path, found.whose) else found.whose.replace("/", " ")


def foreign_records(archive: Archive, path: Path) -> str:
    """Return that a file has the records of another profile or call, and what to do; empty if it does not say so.

    Raises:
        OSError: It cannot be read.
    """
    other, profile = other_owner(archive, path), whose_in(path).partition("/")[0]
    renamed = f"if the profile's folder was renamed, run cdrctl archive adopt {profile} --into DIR"
    return f"has the records of {other} ({renamed})" if other else ""


def claim_days(archive: Archive, profile: str, call: str) -> int:
    """Let the files of a call say that their records are of the profile in whose folder they are; return how many.

    They named another profile because its folder was renamed. The records of a day that the other one still has are
    not claimed: two profiles would have them. The call's lock must be held.

    Raises:
        OSError: A file cannot be read or written.
    """
    return sum(_claim(archive, path) for path in call_files(archive, profile, call))


def _claim(archive: Archive, path: Path) -> bool:
    found = _written(archive, path)
    if found is None or found.whose in {"", whose_in(path)} or not _are_of_day(archive, path, found.readings):
        return False
    profile, _, call = found.whose.partition("/")
    if is_there(archive.path(profile, call, path.parent.name.removeprefix(DATE))):
        return False
    about = (found.readings, found.sha256, True, found.responses, found.lateness)
    save(archive, path, NewDay((), found.header, found.rows, found.records, *about))
    return True


def _is_in_place(archive: Archive, path: Path, found: DayFile | Contents) -> bool:
    """Return whether the records of a file are of the profile, the call and the day in whose folders it is."""
    return _are_of_day(archive, path, found.readings) and _is_theirs(archive, path, found.whose)


def _is_theirs(archive: Archive, path: Path, whose: str) -> bool:
    """Return whether the records of a file are of the profile and the call in whose folders it is.

    A file that does not say is taken for theirs, and so is one whose folders were renamed: those that it names are not
    there.
    """
    profile, _, call = whose.partition("/")
    if not whose or whose == whose_in(path):
        return True
    return not (archive.profile_folder(profile) / archive.call_folder(call)).is_dir()


def _are_of_day(archive: Archive, path: Path, readings: Sequence[Reading]) -> bool:
    """Return whether readings can be those of a day's file, and not of a copy of another day's folder."""
    try:
        day = whole_day(date.fromisoformat(path.parent.name.removeprefix(DATE)), archive.zone)
    except ValueError:  # records without a start, which any reading may bring, or a name that is no day
        return not readings and path.parent.name == f"{DATE}{UNKNOWN}"
    return all(overlap(one.window, day) is not None for one in readings)


def recover(archive: Archive, path: Path, day: Window | None, alike: Sequence[str], header: bytes) -> RecoveredFile:
    """Return the records of a file that is not as cdrctl wrote it, without changing anything.

    None of the records of another profile or call are returned: they are counted as lines that cannot be read.

    Args:
        archive: The archive.
        path: The file.
        day: Its day; None for the file of records without a start.
        alike: The columns of start, parties and type; if empty, every line counts as a record of the day.
        header: The CSV header to assume if the file has none.

    Raises:
        OSError: The file cannot be read.
    """
    other = _written_contents(archive, path)
    if other is not None and not _is_theirs(archive, path, other.whose):
        return RecoveredFile(file_in_memory([], [], "", b""), other.records, other.records)
    if archive.layout == FIRST_LAYOUT:
        return recover1(archive, path, day, alike, header)
    return layout2.recover(path, day, alike, header)


def save(archive: Archive, path: Path, day: NewDay) -> tuple[str, int]:
    """Write a day's file and its readings durably, and return the file's digest and size.

    A file that cdrctl did not write is moved aside first: records that were not read are never replaced.

    Raises:
        IncompleteError: Another program has changed the file since it was loaded; nothing is written.
        OSError: It cannot be written; then the old file is unchanged.
    """
    if archive.layout == FIRST_LAYOUT:
        return layout1.save(path, day.header, day.rows(), day.readings, day.old)
    return layout2.save(path, day)
