"""The archive that a sync writes, and the calls that it reads of each profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

from cdrctl.archive.index import reading_archive
from cdrctl.archive.ledger import lock
from cdrctl.archive.ledgers import RUNS, AnyLedger, creation_lock, open_ledger
from cdrctl.archive.opening import make_folder
from cdrctl.archive.options import call_options_of, calls_of
from cdrctl.archive.outcome import Outcome
from cdrctl.archive.settings import NAME, Settings, check_installed, read_settings
from cdrctl.archive.store import (
    FIRST_LAYOUT,
    Archive,
    check_folder,
    is_there,
    open_archive,
    open_or_create,
    writing_archive,
)
from cdrctl.connecting import SANDBOX
from cdrctl.errors import ConfigurationError, UsageError, did_you_mean
from cdrctl.fetchers import Provider
from cdrctl.units.syncing import CallRun

CONVERT = "copy the archive into it with: cdrctl archive convert OLD NEW"


def open_to_sync(
    folder: Path, tz: str | None, form: str | None, opened: ExitStack, *, create: bool = True
) -> tuple[Archive, AnyLedger]:
    """Return the archive in a folder and its ledger, which `opened` closes.

    An archive of the first layout is locked as a whole; in others, each call has a lock of its own.

    Args:
        folder: The folder.
        tz: The zone of its days if it is created; None for UTC.
        form: Its format if it is created; None for the default.
        opened: Closes the ledger, and releases the lock.
        create: Whether to create the archive if there is none.

    Raises:
        UsageError: There is no archive, and none is to be created; or it gets no records of a provider.
        ConfigurationError: What writes its format is not installed.
        OutputError: The archive cannot be written.
        LockedError: Another run holds its lock.
    """
    check_installed(form)  # before the folder is created
    archive = _create(folder, tz, form) if create else open_archive(folder)
    check_installed(archive.form)  # before any request
    if archive.settings.pseudonymised:
        raise UsageError(
            f"{folder} is a copy with pseudonyms, which gets no records of a provider",
            hint="sync into the archive that it was made of, or into another one",
        )
    if archive.layout == FIRST_LAYOUT:
        opened.enter_context(lock(folder))
    with reading_archive(folder):
        ledger = open_ledger(archive)
    opened.callback(ledger.close)
    return archive, ledger


def _create(folder: Path, tz: str | None, form: str | None) -> Archive:
    """Return the archive in a folder, created if need be."""
    with writing_archive(folder):
        check_folder(folder)  # a folder that is refused stays as it was
        make_folder(folder)
    with reading_archive(folder):
        is_new = not is_there(folder / NAME)
    with creation_lock(folder) if is_new else nullcontext():
        return open_or_create(folder, tz, form)


def mark_path(folder: Path, name: str) -> Path:
    """Return the path of the file that a run on several machines puts into an archive while it lasts."""
    return folder / RUNS / f"{name}.mark"


def check_mark(folder: Path, name: str) -> None:
    """Refuse an archive that is not the one of a run on several machines.

    Raises:
        ConfigurationError: The file of the run is not there.
    """
    with reading_archive(folder):
        there = is_there(mark_path(folder, name))
    if not there:
        raise ConfigurationError(
            f"the archive in {folder} is not the same as on the machine that started the run",
            hint="all machines must see one archive there: mount a shared folder",
        )


def stores_calls(archive: Archive, *, asked: bool) -> bool:
    """Return whether a sync stores the calls of all its profiles.

    Raises:
        UsageError: It was asked to, and the archive has the first layout.
        ConfigurationError: The archive has the first layout, and its `archive.toml` says so.
    """
    if archive.layout == FIRST_LAYOUT and asked:
        raise UsageError("--with-calls needs the current layout", hint=CONVERT)
    if archive.layout == FIRST_LAYOUT and archive.settings.store_calls:
        raise ConfigurationError(f"{archive.folder / NAME}: [calls] needs the current layout of archives", hint=CONVERT)
    return asked or archive.settings.store_calls


def archived_name(profile: str, provider: Provider) -> str:
    """Return the name under which an archive keeps a profile: the sandbox of each provider has its own."""
    return f"{profile}-{provider.name}" if profile == SANDBOX else profile


def runs_of(
    profile: str,
    provider: Provider,
    calls: Sequence[str] | None,
    folder: Path,
    settings: Settings,
    *,
    alone: bool,
) -> Iterator[CallRun]:
    """Yield the calls that a sync reads of a profile: the named ones that its provider has, or those that are usual.

    Args:
        profile: The name of the profile.
        provider: Its provider.
        calls: The names of the calls; None or empty for the usual ones.
        folder: The folder of the archive.
        settings: The settings of the archive.
        alone: Whether a call that the provider lacks is an error: no other profile of the sync can have it.

    Raises:
        UsageError: The provider lacks a call.
        ConfigurationError: A table in `archive.toml` has a mistake.
    """
    name = archived_name(profile, provider)
    kept = {call.name: call for call in provider.calls if call.archived}
    wanted = [(one, False) for one in calls or ()]
    wanted = wanted or [(call.name, optional) for call, optional in calls_of(folder, settings, name, provider)]
    for one, optional in wanted:
        if one not in kept:
            if alone:
                raise UsageError(
                    f"{provider.title} has no call {one!r} that an archive can keep",
                    hint=f"{did_you_mean(one, kept)}its calls are: {', '.join(kept)}",
                )
            continue
        options = call_options_of(folder, settings, name, provider, kept[one])
        if options.where and settings.layout == FIRST_LAYOUT:
            raise ConfigurationError(
                f"{folder / NAME}: the options in {options.where} need the current layout", hint=CONVERT
            )
        yield CallRun(name, kept[one], Outcome(), options, beside=optional)


def settings_in(folder: Path | None) -> Settings:
    """Return the settings of the archive in a folder; those of a new one if there is none, or it cannot be reached."""
    with suppress(OSError):  # opening the archive reports it
        if folder is not None and (folder / NAME).is_file():
            return read_settings(folder / NAME)
    return Settings("UTC", "jsonl")
