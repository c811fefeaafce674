"""Removes the days of an archive that are older than a number of days; no run reads them again.

First `_retired.json` says which days are removed, then their files go, then the ledger forgets them. A run that is
killed in between leaves files that belong to no day any more: the next one removes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from cdrctl.archive.intervals import is_dated_after
from cdrctl.archive.layout2 import READINGS
from cdrctl.archive.ledger import KeptCall
from cdrctl.archive.ledger2 import JsonLedger, is_retired, ledger_path
from cdrctl.archive.opening import sync_folder
from cdrctl.archive.store import DATE, UNKNOWN, Archive, is_there, remove_temporary_files, writing_archive
from cdrctl.errors import ConfigurationError

CLOCK_DOUBT = timedelta(days=7)
"""How long after the newest reading of an archive the clock of this machine counts without a doubt."""


class OldDays(Struct, frozen=True):
    """The days of a call that are older than the retention.

    Args:
        kept: The call.
        before: The first day that stays.
        days: How many days have files that go.
        records: How many records they have.
        size: How many bytes they have, with what is beside them.
    """

    kept: KeptCall
    before: date
    days: int
    records: int
    size: int


def first_day_kept(archive: Archive, now: datetime, days: int) -> date:
    """Return the first day that stays: that many whole days before today, in the zone of the archive."""
    return now.astimezone(archive.zone).date() - timedelta(days=days)


def check_clock(ledger: JsonLedger, kept: list[KeptCall], now: datetime) -> None:
    """Check that the clock agrees with the newest reading of these calls: a wrong one would remove too much.

    Raises:
        ConfigurationError: It does not.
    """
    found = [
        one.read_at
        for call in kept
        for readings in ledger.readings(call.profile, call.call).values()
        for one in readings
        if one.read_at is not None and not is_dated_after(one, now)
    ]
    newest = max(found, default=None)
    if newest is not None and now - newest > CLOCK_DOUBT:
        raise ConfigurationError(
            f"the clock of this machine shows {now:%Y-%m-%d}, but the archive was last read at {newest:%Y-%m-%d}: if "
            "the clock is wrong, too many days would be removed",
            hint="run cdrctl sync first; or name the first day to keep with --before",
        )


def old_days(archive: Archive, ledger: JsonLedger, kept: KeptCall, before: date) -> OldDays:
    """Return the days that `retire` would remove; nothing is changed."""
    if kept.retired is not None:
        before = max(before, kept.retired)
    records = {one.day: one.records for one in ledger.files(kept.profile, kept.call)}
    folders = [one for one in _day_folders(archive, kept) if is_retired(_day(one), before)]
    names = {_day(one) for one in folders} | {day for day in records if is_retired(day, before)}
    size = sum(path.stat().st_size for folder in folders for path in _own_files(folder))
    return OldDays(kept, before, len(names), sum(records.get(day, 0) for day in names), size)


def retire(archive: Archive, ledger: JsonLedger, kept: KeptCall, before: date) -> OldDays:
    """Remove the days of a call before a day, and return what was removed. Its lock must be held.

    Raises:
        OutputError: The archive cannot be written.
    """
    with ledger.writing(), writing_archive(archive.profile_folder(kept.profile)):
        remove_leftovers(archive, kept)
        found = old_days(archive, ledger, kept, before)
        if found.days or any(is_retired(day, found.before) for day in ledger.readings(kept.profile, kept.call)):
            ledger.retire(kept.profile, kept.call, found.before, lambda: _remove(archive, kept, found.before))
    return found


def remove_leftovers(archive: Archive, kept: KeptCall) -> None:
    """Remove the temporary ledger of a run that was killed. The lock of the call must be held."""
    remove_temporary_files(ledger_path(archive, kept.profile, kept.call).parent, f"{kept.call}.")


def _remove(archive: Archive, kept: KeptCall, before: date) -> None:
    folders = [one for one in _day_folders(archive, kept) if is_retired(_day(one), before)]
    for folder in folders:
        for path in _own_files(folder):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it has files that are not of the archive
            folder.rmdir()
    if folders:
        sync_folder(folders[0].parent)


def _day_folders(archive: Archive, kept: KeptCall) -> Iterator[Path]:
    folder = archive.profile_folder(kept.profile) / archive.call_folder(kept.call)
    for one in sorted(folder.iterdir()) if is_there(folder) else ():
        if one.name.startswith(DATE) and _day(one) != UNKNOWN and one.is_dir():
            yield one


def _day(folder: Path) -> str:
    return folder.name.removeprefix(DATE)


def _own_files(folder: Path) -> list[Path]:
    """Return the files of a day that cdrctl wrote, and those that it moved aside."""
    return [one for one in sorted(folder.iterdir()) if one.name.startswith(("cdrs.", "_cdrs.", ".cdrctl-", READINGS))]
