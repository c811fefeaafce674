"""Whole calls beside the legs of an archive, kept up to date after each change to their legs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from cdrctl.connecting import SANDBOX, Surroundings

if TYPE_CHECKING:
    from cdrctl.archive.calls_store import Marks
    from cdrctl.archive.calls_update import Updated
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.ledgers import AnyLedger
    from cdrctl.archive.store import Archive


def name_of(kept: KeptCall) -> str:
    """Return the name of a profile outside of the archive, which keeps the sandbox of each provider under its own."""
    return SANDBOX if kept.profile == f"{SANDBOX}-{kept.provider}" else kept.profile


def names_in_archive(name: str, providers: Iterable[str]) -> list[str]:
    """Return the names that a profile of one of the providers may have in an archive."""
    return [name, *(f"{SANDBOX}-{one}" for one in providers if name == SANDBOX)]


def store_calls(around: Surroundings, archive: Archive, ledger: AnyLedger, profile: str, *, always: bool) -> None:
    """Bring the stored calls of a profile up to date after its legs.

    Args:
        around: The program around it.
        archive: The archive.
        ledger: Its ledger.
        profile: The name under which the archive keeps the profile.
        always: Store them, also if none are stored yet.

    Raises:
        LockedError: Another run writes the legs.
        OutputError: The archive cannot be written.
    """
    from cdrctl.archive.calls_store import has_calls
    from cdrctl.archive.store import FIRST_LAYOUT, writing_archive

    with writing_archive(archive.folder):
        if archive.layout == FIRST_LAYOUT or not (always or has_calls(archive, profile)):
            return
    log_calls(around, profile, update_calls(around, archive, ledger, profile, around.clock.now()))


def update_calls(around: Surroundings, archive: Archive, ledger: AnyLedger, profile: str, now: datetime) -> Updated:
    """Bring the stored calls of a profile up to date.

    Raises:
        LockedError: Another run writes the legs.
        OutputError: The archive cannot be written.
    """
    from cdrctl.archive.calls_store import forget_calls, legs_of
    from cdrctl.archive.calls_update import Updated, update
    from cdrctl.archive.ledgers import call_lock
    from cdrctl.archive.store import writing_archive

    warned: set[str] = set()

    def warn(text: str) -> None:
        if text not in warned:
            warned.add(text)
            around.log("warning", f"{profile} calls: {text}")

    legs = legs_of(ledger.kept([profile]), profile)
    if legs is None:  # calls without legs could not be kept up to date, nor erased
        with writing_archive(archive.folder):
            forget_calls(archive, profile)
        return Updated()
    with call_lock(archive, profile, legs.call):
        return update(archive, ledger, profile, marks_of_archived(around)(legs), now, warn)


def log_calls(around: Surroundings, profile: str, done: Updated) -> None:
    """Log how many stored calls were written."""
    if done.written or done.removed:
        removed = f", {done.removed} removed" if done.removed else ""
        around.log("result", f"{profile} calls: {done.calls} calls of {done.written} days written{removed}")


def marks_of_archived(around: Surroundings) -> Callable[[KeptCall], Marks]:
    """Return the function that returns what the profile of an archived call names that its records do not tell."""
    from cdrctl.profiles.settings import known_profiles

    configured = functools.cache(lambda: known_profiles(around.config, around.environ, around.conceal)[0])

    def marks_of(kept: KeptCall) -> Marks:
        from cdrctl.archive.calls_store import Marks
        from cdrctl.profiles.choosing import words_of

        name = name_of(kept)
        profile = configured().get(name)
        if profile is not None and profile.provider != kept.provider:
            return Marks()
        return Marks(*(words_of(name, profile, one, around.environ) for one in ("voicemail_numbers", "queues")))

    return marks_of
