"""Whole calls beside the legs of an archive, after commands that change legs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

from cdrctl.cli.connecting import surroundings, the_clock
from cdrctl.cli.run import Session
from cdrctl.errors import LockedError

if TYPE_CHECKING:
    from cdrctl.archive.calls_store import Marks
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.store import Archive


def refresh_calls(session: Session, archive: Archive, profiles: Iterable[str] | None = None) -> None:
    """Bring stored calls up to date after a change to their legs.

    Args:
        session: The running command.
        archive: The archive.
        profiles: The profiles; None for all that have stored calls.

    Raises:
        LockedError: Another run writes the legs of one of them; the others are done.
        OutputError: The archive cannot be written.
    """
    from cdrctl.archive.calls_store import stored_profiles
    from cdrctl.archive.ledger2 import JsonLedger
    from cdrctl.archive.store import FIRST_LAYOUT, writing_archive
    from cdrctl.units.calls import log_calls, update_calls

    if archive.layout == FIRST_LAYOUT:
        return
    with writing_archive(archive.folder):
        there = stored_profiles(archive)
    around, now = surroundings(session), the_clock(session).now()
    busy: LockedError | None = None
    for profile in there if profiles is None else [one for one in there if one in set(profiles)]:
        try:
            with closing(JsonLedger(archive)) as ledger:
                log_calls(around, profile, update_calls(around, archive, ledger, profile, now))
        except LockedError as error:
            busy = error
    if busy is not None:
        raise busy


def marks_of_archived(session: Session) -> Callable[[KeptCall], Marks]:
    """Return the function that returns what the profile of an archived call names that its records do not tell."""
    from cdrctl.units import calls

    return calls.marks_of_archived(surroundings(session))
