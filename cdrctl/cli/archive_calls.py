"""Whole calls beside the legs of an archive: when commands store them, and keep them up to date."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

from cdrctl.cli.archive_jobs import Job
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.run import Session, read_profiles
from cdrctl.errors import ConfigurationError, LockedError, UsageError

if TYPE_CHECKING:
    from cdrctl.archive.calls_store import Marks
    from cdrctl.archive.calls_update import Updated
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.ledgers import AnyLedger
    from cdrctl.archive.store import Archive

_CONVERT = "copy the archive into it with: cdrctl archive convert OLD NEW"


def stores_calls(archive: Archive, *, asked: bool) -> bool:
    """Return whether a sync stores the calls of all its profiles.

    Raises:
        UsageError: It was asked to, and the archive has the first layout.
        ConfigurationError: The archive has the first layout, and its `archive.toml` says so.
    """
    from cdrctl.archive.store import FIRST_LAYOUT

    if archive.layout == FIRST_LAYOUT and asked:
        raise UsageError("--with-calls needs the present layout", hint=_CONVERT)
    if archive.layout == FIRST_LAYOUT and archive.settings.store_calls:
        raise ConfigurationError(
            f"{archive.folder / 'archive.toml'}: [calls] needs the present layout of archives", hint=_CONVERT
        )
    return asked or archive.settings.store_calls


def store_calls(session: Session, archive: Archive, ledger: AnyLedger, jobs: Sequence[Job], *, always: bool) -> None:
    """Bring the stored calls of a profile up to date after its legs; an error is kept in the last job.

    Args:
        session: The running command.
        archive: The archive.
        ledger: Its ledger.
        jobs: The jobs of the profile, which have ended.
        always: Store them, also if none are stored yet.
    """
    from cdrctl.archive.calls_store import has_calls
    from cdrctl.archive.store import FIRST_LAYOUT, writing_archive

    job = jobs[-1]
    try:
        with writing_archive(archive.folder):
            if archive.layout == FIRST_LAYOUT or not (always or has_calls(archive, job.name)):
                return
        _log(session, job.name, update_calls(session, archive, ledger, job.name, the_clock(session).now()))
    except BaseException as error:  # noqa: BLE001 - raised at the end, in the main thread
        job.error = job.error or error


def update_calls(session: Session, archive: Archive, ledger: AnyLedger, profile: str, now: datetime) -> Updated:
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
            session.reporter.log("warning", f"{profile} calls: {text}")

    legs = legs_of(ledger.kept(), profile)
    if legs is None:  # calls without legs could not be kept up to date, nor erased
        with writing_archive(archive.folder):
            forget_calls(archive, profile)
        return Updated()
    with call_lock(archive, profile, legs.call):
        return update(archive, ledger, profile, marks_of_archived(session)(legs), now, warn)


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

    if archive.layout == FIRST_LAYOUT:
        return
    with writing_archive(archive.folder):
        there = stored_profiles(archive)
    busy: LockedError | None = None
    for profile in there if profiles is None else [one for one in there if one in set(profiles)]:
        try:
            with closing(JsonLedger(archive)) as ledger:
                _log(session, profile, update_calls(session, archive, ledger, profile, the_clock(session).now()))
        except LockedError as error:
            busy = error
    if busy is not None:
        raise busy


def marks_of_archived(session: Session) -> Callable[[KeptCall], Marks]:
    """Return the function that returns what the profile of an archived call names that its records do not tell."""
    configured = functools.cache(lambda: read_profiles(session)[0])

    def marks_of(kept: KeptCall) -> Marks:
        from cdrctl.archive.calls_store import Marks
        from cdrctl.cli.from_archive import name_of
        from cdrctl.profiles.choosing import words_of

        name = name_of(kept)
        profile = configured().get(name)
        if profile is not None and profile.provider != kept.provider:
            return Marks()
        environ = session.process.environ
        return Marks(*(words_of(name, profile, one, environ) for one in ("voicemail_numbers", "queues")))

    return marks_of


def _log(session: Session, profile: str, done: Updated) -> None:
    if done.written or done.removed:
        removed = f", {done.removed} removed" if done.removed else ""
        session.reporter.log("result", f"{profile} calls: {done.calls} calls of {done.written} days written{removed}")
