"""Compares an archive's files with its ledger, and rebuilds the ledger from the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cdrctl.archive.ahead import day_and_readings, with_files
from cdrctl.archive.difference import Difference
from cdrctl.archive.files import contents_of, deleted_contents, foreign_records
from cdrctl.archive.intervals import Reading, replan, with_attempts
from cdrctl.archive.ledger import NAME, FileEntry, KeptCall, Ledger
from cdrctl.archive.opening import etag_of, sync_folder
from cdrctl.archive.owner import owner_of
from cdrctl.archive.presence import window_of
from cdrctl.archive.store import FIRST_LAYOUT, UNKNOWN, Archive, day_files, deleted_files, digest_of, is_there
from cdrctl.errors import ConfigurationError, IncompleteError, OutputError

_Names = tuple[str, str, str]
"""The profile, the call and the day of a file."""
_Day = tuple[list[Reading], FileEntry | None]
"""The readings of a day, and the entry of its file."""


def differences(archive: Archive, files: Sequence[FileEntry]) -> Iterator[Difference]:
    """Yield the files that are missing, changed, unreadable or not in the ledger."""
    for filed in with_files(files, lambda one: day_and_readings(archive.folder / one.path)):
        path = archive.folder / filed.path
        try:
            sha256 = digest_of(path)
            found = contents_of(archive, path) if sha256 is not None else None
        except FileNotFoundError:
            sha256 = None
        except OSError as error:
            yield Difference(filed.path, f"cannot be read: {error.strerror}")
            continue
        if sha256 is None:
            yield Difference(filed.path, "is missing")
        elif sha256 != filed.sha256:
            yield Difference(filed.path, _records_of_another(archive, path) or "is not as cdrctl wrote it")
        elif found is None:
            lost = "has lost its hidden index" if archive.layout == FIRST_LAYOUT else "has no entry in _readings.json"
            yield Difference(filed.path, _records_of_another(archive, path) or lost)
        elif found.records != filed.records:
            yield Difference(filed.path, f"has {found.records} records, but {filed.records} in the ledger")
    known = {filed.path for filed in files}
    blind: list[OSError] = []
    for path in day_files(archive, blind.append):
        if (relative := path.relative_to(archive.folder).as_posix()) not in known:
            yield Difference(relative, _records_of_another(archive, path) or "is not in the ledger")
    for one in blind:
        name = Path(str(one.filename)).relative_to(archive.folder).as_posix()
        if name not in known:
            yield Difference(name, f"cannot be read: {one.strerror}")


def _records_of_another(archive: Archive, path: Path) -> str:
    """Return that a file has the records of another profile or call; empty if it does not say so."""
    with suppress(OSError):
        return foreign_records(archive, path)
    return ""


def rebuild_ledger(archive: Archive, providers: Mapping[str, str], now: datetime) -> list[Difference]:
    """Replace the ledger, or the ledgers, of an archive by new ones from its files; return those it could not use.

    Args:
        archive: The archive.
        providers: The providers of the configured profiles, by profile.
        now: The present instant.

    Raises:
        IncompleteError: A folder or a file cannot be read; then nothing is changed.
        LockedError: A run is writing one of the calls.
    """
    if archive.layout == FIRST_LAYOUT:
        return _rebuild_database(archive, providers, now)
    from cdrctl.archive.rebuild2 import rebuild_ledgers

    return rebuild_ledgers(archive, providers)


def _rebuild_database(archive: Archive, providers: Mapping[str, str], now: datetime) -> list[Difference]:
    """Replace the ledger by a new one from the files and their indexes, and return the files that it could not use.

    Information that is in no file comes from the old ledger, if it can be read: since when a call is kept, failed and
    planned readings, the readings of a file that is unchanged but has lost its index, and days whose file was deleted.

    Args:
        archive: The archive.
        providers: The providers of the configured profiles, by profile.
        now: The present instant.

    Raises:
        IncompleteError: A folder or a file cannot be read; then nothing is changed.
    """
    odd: list[Difference] = []
    days: dict[_Names, _Day] = {}
    before = _read_old_ledger(archive)
    try:
        for path in day_files(archive):
            days[archive.names(path)], difference = _day_of_file(archive, path, before)
            odd += [] if difference is None else [difference]
        days |= {} if before.kept else _deleted_days(archive, days)
    except OSError as error:
        raise IncompleteError(
            f"{error.filename or archive.folder} cannot be read: {error.strerror}; the ledger is unchanged",
            hint="correct the permissions, and run the command again",
        ) from error
    for key, readings in before.readings.items():
        filed = before.files.get(key)
        if key not in days and filed is not None and not is_there(archive.folder / filed.path):
            days[key] = readings, filed  # it was deleted, and only `fill` reads it again
        days.setdefault(key, (replan(readings), None))
    calls = _calls(archive, providers, before, days)
    _replace(archive, calls, days, now)
    return odd


def _day_of_file(archive: Archive, path: Path, before: _Old) -> tuple[_Day, Difference | None]:
    """Return the contents of a day's file; if they are not known, how the file differs.

    Raises:
        OSError: The file cannot be read.
    """
    names = archive.names(path)
    relative = path.relative_to(archive.folder).as_posix()
    sha256, size = digest_of(path) or "", path.stat().st_size
    found = contents_of(archive, path)
    told, filed = before.readings.get(names, []), before.files.get(names)
    if found is not None:
        return (
            with_attempts(found.readings, told),
            FileEntry(*names, relative, sha256, found.records, size, etag_of(path)),
        ), None
    if filed is not None and filed.sha256 == sha256:
        return (told, filed), Difference(relative, "has lost its hidden index")
    whole = window_of(archive, names[2])
    other = _records_of_another(archive, path)
    planned = replan(told) or ([] if whole is None else [Reading(whole, "planned")])
    return (planned, None), Difference(relative, f"{other or 'has no matching index'}: its day will be read again")


def _deleted_days(archive: Archive, there: Iterable[_Names]) -> dict[_Names, _Day]:
    """Return the days whose file was deleted and whose index is still there, of the calls that have other days."""
    found: dict[_Names, _Day] = {}
    for profile, call in {key[:2] for key in there}:
        for path in deleted_files(archive, profile, call):
            day, lost = archive.names(path)[2], deleted_contents(archive, path)
            if lost is not None and day != UNKNOWN:
                relative = path.relative_to(archive.folder).as_posix()
                entry = FileEntry(profile, call, day, relative, lost.sha256, lost.records, 0)
                found[profile, call, day] = lost.readings, entry
    return found


class _Old(NamedTuple):
    """The contents of the old ledger; empty if it cannot be read."""

    kept: dict[tuple[str, str], KeptCall]
    readings: dict[_Names, list[Reading]]
    files: dict[_Names, FileEntry]


def _read_old_ledger(archive: Archive) -> _Old:
    try:
        ledger = Ledger(archive.folder, read_only=True)
    except OutputError:
        return _Old({}, {}, {})
    try:
        kept = {(one.profile, one.call): one for one in ledger.kept()}
        files = {(one.profile, one.call, one.day): one for one in ledger.files()}
        readings = {(*key, day): told for key in kept for day, told in ledger.readings(*key).items()}
    except OutputError:
        return _Old({}, {}, {})
    finally:
        ledger.close()
    return _Old(kept, readings, files)


def _calls(
    archive: Archive,
    providers: Mapping[str, str],
    before: _Old,
    days: Mapping[_Names, _Day],
) -> list[KeptCall]:
    """Return the calls that the archive keeps, each with its provider and its first instant."""
    begins = {key: one.begins for key, one in before.kept.items()}
    for (profile, call, _), (readings, _) in days.items():
        for one in readings:
            first = begins.get((profile, call), one.window.since)
            begins[profile, call] = min(first, one.window.since)
    result = []
    for (profile, call), first in begins.items():
        owner = None
        with suppress(ConfigurationError, OutputError):
            owner = owner_of(archive, profile)
        known = before.kept.get((profile, call))
        names = (owner.provider if owner is not None else "", known.provider if known is not None else "")
        name = next(filter(None, names), providers.get(profile, ""))
        result.append(KeptCall(profile, call, name, first))
    return result


def _replace(
    archive: Archive,
    calls: Sequence[KeptCall],
    days: Mapping[_Names, _Day],
    now: datetime,
) -> None:
    """Replace the ledger by a new one."""
    fresh = f"{NAME}.new"
    for name in _database_files(fresh):
        (archive.folder / name).unlink(missing_ok=True)
    ledger = Ledger(archive.folder, new=True, name=fresh)
    try:
        for (profile, call, day), (readings, filed) in days.items():
            ledger.write(profile, call, day, readings, filed, now)
        for kept in calls:
            ledger.keep(kept)
    finally:
        ledger.close()
    for name in _database_files(NAME)[1:]:  # of the old database
        (archive.folder / name).unlink(missing_ok=True)
    (archive.folder / fresh).replace(archive.folder / NAME)
    sync_folder(archive.folder)


def _database_files(name: str) -> tuple[str, str, str]:
    """Return the names of a database, its log and the log's index (sqlite.org, "WAL-mode File Format")."""
    return name, f"{name}-wal", f"{name}-shm"
