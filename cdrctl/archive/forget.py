"""Removes a profile from an archive: its records, its ledgers and its account.

The ledgers go first, for they can be made again from the files; then the folder of the profile gets another name, so
that it is gone at once, and is removed. A run that is killed in between is finished by running it again.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from cdrctl.archive.calls_store import forget_calls, stored_profiles
from cdrctl.archive.erased import read_erased, write_erased
from cdrctl.archive.ledger2 import FOLDER, JsonLedger
from cdrctl.archive.ledgers import RUNS, call_lock, creation_lock
from cdrctl.archive.opening import remove_tree, sync_folder
from cdrctl.archive.places import StoredPath
from cdrctl.archive.store import PROFILE, Archive, is_there, writing_archive

_LEAVING = "leaving-"


class Kept(Struct, frozen=True):
    """What an archive has of a profile: how many calls, days and records."""

    calls: int
    days: int
    records: int


def profiles_of(archive: Archive, ledger: JsonLedger) -> list[str]:
    """Return the profiles that an archive has, also those that were being removed."""
    leaving = {one.name.removeprefix(_LEAVING) for one in (archive.folder / RUNS).glob(f"{_LEAVING}*")}
    folders = {one.name.removeprefix(PROFILE) for one in archive.folder.glob(f"{PROFILE}*")}
    folders |= {one.name for one in (archive.folder / FOLDER).glob("*/")}  # a lock, perhaps, and no ledger any more
    return sorted({profile for profile, _ in ledger.names()} | leaving | folders | {*stored_profiles(archive)})


def kept_of(ledger: JsonLedger, profile: str) -> Kept:
    """Return how many calls, days and records an archive has of a profile."""
    calls = [call for name, call in ledger.names() if name == profile]
    files = [one for call in calls for one in ledger.files(profile, call)]
    return Kept(len(calls), len(files), sum(one.records for one in files))


def forget(archive: Archive, ledger: JsonLedger, profile: str) -> None:
    """Remove a profile from an archive.

    Raises:
        LockedError: Another run writes one of its calls; then nothing is changed.
        OutputError: The archive cannot be written.
    """
    calls = [call for name, call in ledger.names() if name == profile]
    with ExitStack() as held:
        for call in calls:
            held.enter_context(call_lock(archive, profile, call))
        with writing_archive(archive.folder):
            forget_calls(archive, profile)
            ledgers = archive.folder / FOLDER / profile
            for path in sorted(ledgers.glob("*.json")):
                path.unlink()
            _remove_folder(archive, profile)
            _remove_counts(archive, profile)
            if is_there(ledgers):
                remove_tree(ledgers)
                sync_folder(ledgers.parent)


def _remove_folder(archive: Archive, profile: str) -> None:
    leaving = archive.folder / RUNS / f"{_LEAVING}{profile}"
    folder = archive.profile_folder(profile)
    for _ in range(2):  # what a run that was killed has left, then what is there now
        _remove_tree(leaving)
        if is_there(folder):
            if isinstance(folder, StoredPath):  # a store cannot rename
                remove_tree(folder)
                continue
            folder.rename(leaving)
            sync_folder(archive.folder)
    _remove_tree(leaving)


def _remove_tree(folder: Path) -> None:
    if is_there(folder):
        remove_tree(folder)
        sync_folder(folder.parent)


def _remove_counts(archive: Archive, profile: str) -> None:
    """Remove the profile from the counts of erased records; the numbers stay out of the archive."""
    with creation_lock(archive.folder):
        erased = read_erased(archive)
        if erased is not None and any(profile in one.records for one in erased.numbers):
            for one in erased.numbers:
                one.records.pop(profile, None)
            write_erased(archive, erased)
