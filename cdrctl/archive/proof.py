"""Checks, by the records, that a profile still points to the account whose records an archive has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cdrctl.archive.dayfile import DayFile, Row, file_in_memory
from cdrctl.archive.details import no_details
from cdrctl.archive.fetching import Fetched, Source, fetch_entries
from cdrctl.archive.files import load, recover
from cdrctl.archive.index import milliseconds
from cdrctl.archive.intervals import overlap, whole_day
from cdrctl.archive.lines import columns_of, fields_of
from cdrctl.archive.merge import call_traits
from cdrctl.archive.options import selects_alike
from cdrctl.archive.owner import has_same_rounds, is_same_account, other_account_error, owner_of, write_owner
from cdrctl.archive.store import Archive, call_files
from cdrctl.errors import IncompleteError
from cdrctl.windows import Window

DAYS_COMPARED = 3
"""How many of the newest days with records are compared: the provider may have lost the records of one."""


def ensure_owner(archive: Archive, source: Source, reach: Window, read_at: datetime, *, adopt: bool) -> None:
    """Check that a profile points to the account whose records the archive has, and store that account.

    If the settings do not tell, for example after a key was renewed, the newest days with records are read from the
    provider and compared: an account that has none of the records is another one. An archive without records accepts
    any account.

    Args:
        archive: The archive.
        source: The call of the profile.
        reach: The period that the provider can be queried for.
        read_at: The present instant.
        adopt: Accept the account, whatever the archive has.

    Raises:
        ConfigurationError: The profile points to another account.
        CdrctlError: The provider could not be queried.
    """
    account = source.account
    if account is None:
        return
    owner = None if adopt else owner_of(archive, source.profile)
    same = owner is not None and is_same_account(owner, account, source.profile)
    if owner is not None and same and has_same_rounds(owner, account):
        return
    if not adopt and not same:
        _compare(archive, source, reach, read_at, written=owner is not None)
    records = owner.records if owner is not None else ""
    write_owner(archive, source.profile, account, records, source.call.name)


def check_records(archive: Archive, source: Source, came: Fetched, old: DayFile | None) -> None:
    """Check that the records that came name the same account as the records of the archive.

    Raises:
        ConfigurationError: They name another account.
    """
    column = source.call.account_column
    came_line = came.spool.first_line()
    if not column or came_line is None or source.account is None:
        return
    now = _account_in(came_line, column, came.header)
    owner = owner_of(archive, source.profile)
    known = owner.records if owner is not None else ""
    if not known and old is not None:
        first = next(old.rows(), None)
        known = "" if first is None else _account_in(first.line, column, old.header)
    if known and now and known != now:
        raise other_account_error(source.profile, f"{column} {known}", f"{column} {now}")
    if now and (owner is None or owner.records != now):
        write_owner(archive, source.profile, source.account, now, source.call.name)


def _account_in(line: bytes, column: str, header: bytes) -> str:
    """Return the account that a record names, or an empty string."""
    value = (fields_of(line, columns_of(header)) or {}).get(column)
    return value if isinstance(value, str) else ""


def _compare(archive: Archive, source: Source, reach: Window, read_at: datetime, *, written: bool) -> None:
    """Read the newest days with records again, and refuse an account that has none of the records.

    Days that were read with options that select other records prove nothing if none comes. If there are no other days,
    or the provider no longer has them, an account is accepted only if none is stored.

    Args:
        archive: The archive.
        source: The call of the profile.
        reach: The period that the provider can be queried for.
        read_at: The present instant.
        written: An account is stored in the archive.
    """
    some, selected, compared = False, False, []
    for day, path in _newest(archive, source):
        window = overlap(day, reach)
        file = _file(archive, source, path, day)
        within = 0 if window is None else sum(_holds(window, row) for row in file.rows())
        some = some or bool(file.records)
        if window is None or not within:
            continue
        came = fetch_entries(archive, source, window, read_at, no_details)
        with came.spool as spool:
            spool.add_old(row for row in file.rows() if _holds(window, row))
            traits = call_traits(source.call.alike, columns_of(file.header))
            result = spool.merge(window, [], complete=True, shrink=False, traits=traits)
        if result.counts.gone < within:
            return
        if not came.complete:
            raise IncompleteError(
                f"cannot tell whether {source.profile} still points to the account whose records the archive has: "
                f"{came.tally.gaps[0].what}",
                hint="run the command again, or accept the account without a check: --adopt",
            )
        if any(one.mixed or not selects_alike(source.call, one.options, source.options) for one in file.readings):
            selected = True
            continue
        compared.append(f"{day.since:%Y-%m-%d}")
        if len(compared) == DAYS_COMPARED:
            break
    if compared:
        raise other_account_error(
            source.profile, f"an account with calls on {', '.join(compared)}", "an account that has none of them"
        )
    if some and written:
        why = "the options in archive.toml select other calls than before, so none can be compared"
        why = why if selected else "the provider no longer has calls to compare"
        now = f"another one, or to the same one with a renewed key; {why}"
        raise other_account_error(source.profile, "an account", now)


def _holds(window: Window, row: Row) -> bool:
    """Return whether a record starts in a window."""
    return milliseconds(window.since) <= row.start < milliseconds(window.until)


def _newest(archive: Archive, source: Source) -> Iterator[tuple[Window, Path]]:
    """Yield the days of a call that have a file, newest first, each with its path."""
    try:
        paths = call_files(archive, source.profile, source.call.name)
    except OSError as error:
        raise IncompleteError(
            f"{error.filename or archive.folder} cannot be read: {error.strerror or error}",
            hint="correct the permissions, and run the command again",
        ) from error
    for path in reversed(paths):
        try:
            day = datetime.fromisoformat(path.parent.name.removeprefix("date=")).date()
        except ValueError:
            continue
        yield whole_day(day, archive.zone), path


def _file(archive: Archive, source: Source, path: Path, day: Window) -> DayFile:
    """Return a day's file; one without records if it cannot be read."""
    try:
        return load(archive, path) or recover(archive, path, day, source.call.alike, b"").file
    except (OSError, ValueError, EOFError):
        return file_in_memory([], [], "", b"")
