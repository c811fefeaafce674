"""Rebuilds the ledgers of an archive from its files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import date
from pathlib import Path

from cdrctl.archive.accepting import accept, accepted_contents
from cdrctl.archive.dayfile import Contents
from cdrctl.archive.difference import Difference
from cdrctl.archive.files import contents_of, foreign_records
from cdrctl.archive.intervals import replan, with_attempts
from cdrctl.archive.ledger2 import FOLDER, day_of, is_retired, ledger_from_files, read_ledger, write_ledger
from cdrctl.archive.ledger_days import CallLedger, file_entry
from cdrctl.archive.ledgers import call_lock
from cdrctl.archive.opening import etag_of
from cdrctl.archive.store import UNKNOWN, Archive, call_files, day_files, is_there, writing_archive
from cdrctl.errors import IncompleteError, OutputError


def rebuild_ledgers(archive: Archive, providers: Mapping[str, str]) -> list[Difference]:
    """Replace the ledgers by new ones from the files, and return the files that they could not use.

    What is in no file comes from the old ledgers, if they can be read: since when a call is kept, failed and planned
    readings, and days whose file was deleted, which stay missing. A file without readings is accepted if its rows say
    what they are: it gets those of the old ledger, or is to be read again. The lock of each call is held.

    Args:
        archive: The archive.
        providers: The providers of the configured profiles, by profile.

    Raises:
        IncompleteError: A folder or a file cannot be read; then nothing is changed.
        LockedError: A run is writing one of the calls.
        OutputError: The archive cannot be written.
    """
    odd: list[Difference] = []
    accepted: list[tuple[Path, Contents]] = []
    with ExitStack() as held:
        fresh: dict[tuple[str, str], CallLedger] = {}
        calls = _calls(archive)
        for profile, call in calls:
            held.enter_context(call_lock(archive, profile, call))
        try:
            for profile, call in calls:
                before = _old_ledger(archive, profile, call)
                found = ledger_from_files(archive, profile, call, with_deleted=before is None)
                before = before or CallLedger()
                for path, contents in _without_readings(archive, profile, call, before, found.retired):
                    odd.append(Difference(path.relative_to(archive.folder).as_posix(), _what(archive, path, contents)))
                    if contents is not None:
                        _add(archive, found, path, contents)
                        accepted.append((path, contents))
                fresh[profile, call] = _with_old(found, before, _missing(archive, before), providers.get(profile, ""))
        except OSError as error:
            raise _unreadable(archive, error) from error
        except OutputError as error:
            raise IncompleteError(f"{error.message}; the ledger is unchanged", hint=error.hint) from error
        for path, contents in accepted:
            with writing_archive(path):
                accept(path, contents)
        for (profile, call), ledger in fresh.items():
            write_ledger(archive, profile, call, ledger)
    return odd


def _calls(archive: Archive) -> list[tuple[str, str]]:
    """Return the profile and the name of each call that has a file or a ledger."""
    try:
        found = {archive.names(path)[:2] for path in day_files(archive)}
        found |= {(one.parent.name, one.stem) for one in (archive.folder / FOLDER).glob("*/*.json")}
    except OSError as error:
        raise _unreadable(archive, error) from error
    return sorted(found)


def _old_ledger(archive: Archive, profile: str, call: str) -> CallLedger | None:
    """Return the ledger of a call; None if there is none, or it cannot be read."""
    with suppress(OutputError):
        return read_ledger(archive, profile, call)
    return None


def _without_readings(
    archive: Archive, profile: str, call: str, before: CallLedger, retired: date | None
) -> list[tuple[Path, Contents | None]]:
    """Return the files of a call that have no readings, each with what it has if it is accepted."""
    paths = [path for path in call_files(archive, profile, call) if contents_of(archive, path) is None]
    return [
        (path, None if is_retired(day_of(path), retired) else accepted_contents(archive, path, before))
        for path in paths
    ]


def _what(archive: Archive, path: Path, contents: Contents | None) -> str:
    if contents is None:
        what = foreign_records(archive, path) or "is not as cdrctl wrote it"
        return f"{what}: its day will be read again"
    if any(one.state == "planned" for one in contents.readings):
        return "had no entry in _readings.json: its records are kept, and its day will be read again"
    return "had no entry in _readings.json: it was written again"


def _add(archive: Archive, ledger: CallLedger, path: Path, contents: Contents) -> None:
    """Add an accepted file to a ledger."""
    day = day_of(path)
    names = (*archive.names(path)[:2], day)
    ledger.readings[day] = list(contents.readings)
    ledger.files[day] = file_entry(
        archive, names, contents.sha256, contents.records, path.stat().st_size, etag_of(path)
    )


def _missing(archive: Archive, before: CallLedger) -> set[str]:
    """Return the days in an old ledger whose file is not there."""
    return {day for day, one in before.files.items() if day != UNKNOWN and not is_there(archive.folder / one.path)}


def _with_old(found: CallLedger, before: CallLedger, missing: set[str], provider: str) -> CallLedger:
    """Return a ledger with what only the old one has.

    Args:
        found: The ledger as the files tell it.
        before: The old ledger.
        missing: The days in the old ledger whose file is not there.
        provider: The provider of the profile, if it is configured.
    """
    for day, readings in before.readings.items():
        told = found.readings.get(day)
        if day in missing:
            found.readings[day], found.files[day] = readings, before.files[day]
        else:
            found.readings[day] = replan(readings) if told is None else with_attempts(told, readings)
    for day, late in before.lateness.items():
        found.lateness.setdefault(day, late)
    found.sweeps = before.sweeps
    instants = [one for one in (found.begins, before.begins) if one is not None]
    found.begins = min(instants, default=None)
    found.provider = found.provider or before.provider or provider
    return found


def _unreadable(archive: Archive, error: OSError) -> IncompleteError:
    return IncompleteError(
        f"{error.filename or archive.folder} cannot be read: {error.strerror or error}; the ledger is unchanged",
        hint="correct the permissions, and run the command again",
    )
