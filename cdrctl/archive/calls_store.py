"""Whole calls that an archive keeps beside the legs: derived data, which can be made from the legs at any time.

    ROOT/calls/profile=acme/date=2026-11-19/calls.parquet      the calls that began on a day, in the archive's format
    ROOT/calls/profile=acme/_calls.json                        what each of these files was made of

`_calls.json` has, for each day, the digest of its file and the digests of the files of legs that it was made of. A file
that does not have its digest, or whose legs have changed, is out of date: nothing reads it, and the next sync writes it
again. So a run may be killed between any two writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import BinaryIO, NamedTuple

from msgspec import Struct

from cdrctl import __version__
from cdrctl.archive.difference import Difference
from cdrctl.archive.files import contents_of
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.ledger2 import is_retired
from cdrctl.archive.opening import make_folder, put_in_place, read_file, remove_tree, sync_folder
from cdrctl.archive.store import (
    DATE,
    PROFILE,
    Archive,
    call_files,
    digest_of,
    is_there,
    remove_temporary_files,
    replace_file,
    stage_file,
)
from cdrctl.fetchers import PROVIDERS, joins_of

FOLDER = "calls"
STATE = "_calls.json"
FORMAT_VERSION = 2


class Marks(NamedTuple):
    """What a profile names that its records do not tell: numbers of boxes, and names or numbers of queues."""

    boxes: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()


class StoredDay(Struct, frozen=True):
    """The calls of one day.

    Args:
        sha256: The digest of their file.
        size: Its size in bytes.
        calls: How many calls it has.
        doubtful: How many of them may lack legs: at the edge of what was read, or with an id that too many legs have.
        legs: The digest of each file of legs that they were made of, by day; empty if there was no file.
    """

    sha256: str
    size: int
    calls: int
    doubtful: int
    legs: Mapping[str, str]


class StoredCalls(Struct, frozen=True):
    """What an archive stores of the calls of a profile.

    Args:
        newest: The last day whose calls are stored; None if none are.
        stale: How many stored days are out of date, because their legs have changed or another version made them.
    """

    newest: str | None
    stale: int


def folder_of(archive: Archive, profile: str) -> Path:
    """Return the folder of the calls of a profile."""
    return archive.folder / FOLDER / f"{PROFILE}{profile}"


def path_of(archive: Archive, profile: str, day: str) -> Path:
    """Return the path of the calls of a day."""
    return folder_of(archive, profile) / f"{DATE}{day}" / f"calls.{archive.form}"


def legs_of(kept: Sequence[KeptCall], profile: str) -> KeptCall | None:
    """Return the call of a profile whose records are joined; None if the archive keeps none that can be."""
    own = [one for one in kept if one.profile == profile and one.provider in PROVIDERS]
    names = list(joins_of(own[0].provider)) if own else []
    return next((one for name in names for one in own if one.call == name), None)


def has_calls(archive: Archive, profile: str) -> bool:
    """Return whether calls of a profile are stored, or were.

    Raises:
        OSError: That cannot be determined.
    """
    return is_there(folder_of(archive, profile))


def stored_profiles(archive: Archive) -> list[str]:
    """Return the profiles that have stored calls.

    Raises:
        OSError: The folder cannot be read.
    """
    folder = archive.folder / FOLDER
    names = sorted(one.name for one in folder.iterdir()) if is_there(folder) else []
    return [name.removeprefix(PROFILE) for name in names if name.startswith(PROFILE)]


def stored_files(archive: Archive, profile: str) -> dict[str, int]:
    """Return the days that have a file of calls, with its size.

    Raises:
        OSError: A folder cannot be read.
    """
    found: dict[str, int] = {}
    folder = folder_of(archive, profile)
    for one in sorted(folder.iterdir()) if is_there(folder) else ():
        path = one / f"calls.{archive.form}"
        if one.name.startswith(DATE) and is_there(path):
            found[one.name.removeprefix(DATE)] = path.stat().st_size
    return found


# What the files were made of


def read_state(archive: Archive, profile: str, legs: KeptCall, marks: Marks) -> dict[str, StoredDay]:
    """Return the state of the stored calls of a profile; empty if another version or other legs made them.

    Raises:
        OSError: It cannot be read.
    """
    try:
        plain = json.loads(read_file(folder_of(archive, profile) / STATE))
        if plain["made"] != _made(legs, marks):
            return {}
        return {
            str(day): StoredDay(
                str(one["sha256"]),
                int(one["bytes"]),
                int(one["calls"]),
                int(one["doubtful"]),
                {str(at): str(sha) for at, sha in one["legs"].items()},
            )
            for day, one in dict(plain["days"]).items()
        }
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def stored_calls(archive: Archive, legs: KeptCall, files: Mapping[str, str]) -> StoredCalls | None:
    """Return which calls of a profile are stored, by its `_calls.json`; None if there are none, or calls of other legs.

    What the profile names (its boxes and queues) is taken as it was: the configuration is not read.

    Args:
        archive: The archive.
        legs: The legs.
        files: The digests of the files of legs, by day.

    Raises:
        OSError: It cannot be read.
    """
    try:
        made = json.loads(read_file(folder_of(archive, legs.profile) / STATE))["made"]
        marks = Marks(frozenset(made["boxes"]), frozenset(made["queues"]))
        if (made["provider"], made["legs"]) != (legs.provider, legs.call):
            return None
    except (FileNotFoundError, NotADirectoryError, ValueError, LookupError, TypeError):
        return None
    days = read_state(archive, legs.profile, legs, marks)
    if made != _made(legs, marks):
        there = [day for day in stored_files(archive, legs.profile) if not is_retired(day, legs.retired)]
        return StoredCalls(max(there, default=None), len(there))
    stale = [
        day
        for day, one in days.items()
        if not is_current(one, one.size, lambda name: files.get(name, ""), legs.retired)
    ]
    return StoredCalls(max(days, default=None), len(stale))


def write_state(archive: Archive, profile: str, legs: KeptCall, marks: Marks, days: Mapping[str, StoredDay]) -> None:
    """Write the state of the stored calls of a profile.

    Raises:
        OSError: It cannot be written.
    """
    plain = {
        "made": _made(legs, marks),
        "days": {
            day: {
                "sha256": one.sha256,
                "bytes": one.size,
                "calls": one.calls,
                "doubtful": one.doubtful,
                "legs": dict(one.legs),
            }
            for day, one in sorted(days.items())
        },
    }
    folder = folder_of(archive, profile)
    make_folder(folder)
    remove_temporary_files(folder)
    replace_file(folder / STATE, json.dumps(plain, indent=1).encode() + b"\n")


def _made(legs: KeptCall, marks: Marks) -> dict[str, object]:
    """Return the version, legs and names that all stored calls depend on: if one changes, all are made again."""
    made = {"format": FORMAT_VERSION, "cdrctl": __version__, "provider": legs.provider, "legs": legs.call}
    return {**made, "boxes": sorted(marks.boxes), "queues": sorted(marks.queues)}


def is_current(day: StoredDay, size: int | None, digest_of_legs: Callable[[str], str], retired: date | None) -> bool:
    """Return whether the calls of a day are those of the legs that are there now.

    Args:
        day: The calls.
        size: The size of their file; None if it is missing.
        digest_of_legs: Returns the digest of a day's file of legs; empty if there is none.
        retired: The first day that was not removed from the archive; None if none was.
    """
    if size != day.size:
        return False
    return all(is_retired(name, retired) or digest_of_legs(name) == sha for name, sha in day.legs.items())


def current_day(archive: Archive, legs: KeptCall, name: str, day: StoredDay, digests: LegDigests) -> bool:
    """Return whether a day's calls are as they were written, and made of the legs that are there: by their content.

    Raises:
        OSError: A file cannot be read.
    """
    if digest_of(path_of(archive, legs.profile, name)) != day.sha256:
        return False
    return is_current(day, day.size, digests.of, legs.retired)


class LegDigests:
    """The digests of the files of legs of a profile, by day: each file is read once."""

    def __init__(self, archive: Archive, legs: KeptCall) -> None:
        self._archive, self._legs = archive, legs
        self._known: dict[str, str] = {}

    def of(self, day: str) -> str:
        """Return the digest of a day's file; empty if there is none; another text if it is not as cdrctl wrote it.

        Raises:
            OSError: It cannot be read.
        """
        if day not in self._known:
            path = self._archive.path(self._legs.profile, self._legs.call, day)
            found = contents_of(self._archive, path) if is_there(path) else None
            self._known[day] = found.sha256 if found is not None else "changed" if is_there(path) else ""
        return self._known[day]


# The files


def write_day(archive: Archive, profile: str, day: str, write: Callable[[BinaryIO], None]) -> tuple[str, int]:
    """Write the calls of a day durably, and return the digest and the size of their file.

    Raises:
        OSError: It cannot be written; then the old file is unchanged.
    """
    path = path_of(archive, profile, day)
    make_folder(path.parent)
    remove_temporary_files(path.parent)
    with stage_file(path, write) as (temporary, sha256, size):
        put_in_place(temporary, path, sha256)
    sync_folder(path.parent)
    return sha256, size


def remove_day(archive: Archive, profile: str, day: str) -> None:
    """Remove the calls of a day.

    Raises:
        OSError: They cannot be removed.
    """
    path = path_of(archive, profile, day)
    remove_temporary_files(path.parent)
    path.unlink(missing_ok=True)
    with suppress(OSError):  # it has files that are not of the archive
        path.parent.rmdir()
    sync_folder(path.parent.parent)


def forget_calls(archive: Archive, profile: str) -> None:
    """Remove all calls of a profile.

    Raises:
        OSError: They cannot be removed.
    """
    folder = folder_of(archive, profile)
    if is_there(folder):
        remove_tree(folder)
        sync_folder(folder.parent)


# Checks


def differing_calls(
    archive: Archive, kept: Sequence[KeptCall], marks_of: Callable[[KeptCall], Marks]
) -> Iterator[Difference]:
    """Yield the files of calls that are not as they were written, or whose legs have changed since.

    Raises:
        OSError: A file cannot be read.
    """
    for profile in stored_profiles(archive):
        legs = legs_of(kept, profile)
        files = stored_files(archive, profile)
        state = {} if legs is None else read_state(archive, profile, legs, marks_of(legs))
        digests = None if legs is None else LegDigests(archive, legs)
        for day in sorted({*files, *state}):
            name = path_of(archive, profile, day).relative_to(archive.folder).as_posix()
            if legs is None or digests is None or day not in state:
                yield Difference(name, "is not in the list of stored days: the next sync writes or removes it")
            elif day not in files:
                yield Difference(name, "is missing: the next sync writes it again")
            elif not current_day(archive, legs, day, state[day], digests):
                yield Difference(name, "was changed, or its legs were: the next sync writes it again")


def leg_days(archive: Archive, legs: KeptCall) -> list[str]:
    """Return the days that have a file of legs.

    Raises:
        OSError: A folder cannot be read.
    """
    return [path.parent.name.removeprefix(DATE) for path in call_files(archive, legs.profile, legs.call)]
