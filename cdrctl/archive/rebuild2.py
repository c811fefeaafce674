"""Rebuilds the ledgers of an archive from its files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from cdrctl.archive.difference import Difference
from cdrctl.archive.files import contents_of
from cdrctl.archive.intervals import Reading, add_reading, replan
from cdrctl.archive.ledger2 import FOLDER, CallLedger, ledger_from_files, read_ledger, write_ledger
from cdrctl.archive.ledgers import call_lock
from cdrctl.archive.store import Archive, call_files, day_files
from cdrctl.errors import IncompleteError, OutputError


def rebuild_ledgers(archive: Archive, providers: Mapping[str, str]) -> list[Difference]:
    """Replace the ledgers by new ones from the files, and return the files that they could not use.

    What is in no file comes from the old ledgers, if they can be read: since when a call is kept, failed and planned
    readings, and days whose file is missing, which are planned again. The lock of each call is held.

    Args:
        archive: The archive.
        providers: The providers of the configured profiles, by profile.

    Raises:
        IncompleteError: A folder or a file cannot be read; then nothing is changed.
        LockedError: A run is writing one of the calls.
    """
    odd: list[Difference] = []
    with ExitStack() as held:
        fresh: dict[tuple[str, str], CallLedger] = {}
        try:
            calls = {archive.names(path)[:2] for path in day_files(archive)}
            calls |= {(one.parent.name, one.stem) for one in (archive.folder / FOLDER).glob("*/*.json")}
            for profile, call in sorted(calls):
                held.enter_context(call_lock(archive, profile, call))
                before = _old_ledger(archive, profile, call)
                found = ledger_from_files(archive, profile, call)
                odd += _unusable(archive, profile, call)
                fresh[profile, call] = _with_old(found, before, providers.get(profile, ""))
        except OSError as error:
            raise _unreadable(Path(error.filename or archive.folder), error.strerror or str(error)) from error
        except OutputError as error:
            raise IncompleteError(f"{error.message}; the ledger is unchanged", hint=error.hint) from error
        for (profile, call), ledger in fresh.items():
            write_ledger(archive, profile, call, ledger)
    return odd


def _old_ledger(archive: Archive, profile: str, call: str) -> CallLedger:
    try:
        return read_ledger(archive, profile, call) or CallLedger()
    except OutputError:
        return CallLedger()


def _unusable(archive: Archive, profile: str, call: str) -> list[Difference]:
    """Return the files of a call that tell nothing."""
    paths = [path for path in call_files(archive, profile, call) if contents_of(archive, path) is None]
    what = "is not as cdrctl wrote it: its day will be read again"
    return [Difference(path.relative_to(archive.folder).as_posix(), what) for path in paths]


def _with_old(found: CallLedger, before: CallLedger, provider: str) -> CallLedger:
    """Return a ledger with what only the old one has."""
    for day, readings in before.readings.items():
        told = found.readings.get(day)
        found.readings[day] = replan(readings) if told is None else _with_attempts(told, readings)
    found.lateness = {**before.lateness, **found.lateness}
    found.sweeps = before.sweeps
    instants = [one for one in (found.begins, before.begins) if one is not None]
    found.begins = min(instants, default=None)
    found.provider = found.provider or before.provider or provider
    return found


def _with_attempts(told: list[Reading], before: list[Reading]) -> list[Reading]:
    """Return the readings of a file with the failed and planned ones of the old ledger."""
    for one in before:
        told = add_reading(told, one) if one.state != "done" else told
    return told


def _unreadable(path: Path, reason: str) -> IncompleteError:
    return IncompleteError(
        f"{path} cannot be read: {reason}; the ledger is unchanged",
        hint="correct the permissions, and run this again",
    )
