"""`cdrctl archive retain`: removes the days of an archive that are older than a number of days."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import date
from typing import TYPE_CHECKING

from cdrctl import windows
from cdrctl.cli.archive_calls import refresh_calls
from cdrctl.cli.archive_changes import DRY_RUN, INTO, YES, agreed, open_to_change, show_lines
from cdrctl.cli.archived import PROFILES, check_names
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.options import option
from cdrctl.cli.run import Session
from cdrctl.errors import LockedError, UsageError

if TYPE_CHECKING:
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.ledger2 import JsonLedger
    from cdrctl.archive.store import Archive


@command(
    PROFILES,
    INTO,
    option(
        "--days",
        about="Keep this many whole days before today. Default: days of [retain] in archive.toml.",
        kind="integer",
        minimum=1,
    ),
    option("--before", about="Keep this day and later ones, whatever the clock shows.", metavar="DAY"),
    DRY_RUN,
    YES,
    examples=(
        "cdrctl sync sandbox --into archive --since 9d && cdrctl archive retain --into archive --days 3 --yes",
        "cdrctl sync sandbox --into archive --since 9d && cdrctl archive retain --into archive --days 3 --dry-run",
    ),
)
def retain(
    opened: Session,
    *,
    profile: list[str],
    into: str,
    days: int | None,
    before: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Permanently remove old days from an archive: no later run fetches them again.

    The days are those of the archive's time zone. coverage shows removed days as retired.
    """
    from cdrctl.archive.retain import old_days

    with open_to_change(into) as (archive, ledger):
        kept = ledger.kept()
        check_names("profile", profile, [one.profile for one in kept])
        kept = [one for one in kept if not profile or one.profile in profile]
        first = _first_day(opened, archive, ledger, kept, days, before)
        found = [one for one in (old_days(archive, ledger, call, first) for call in kept) if one.days]
        show_lines(
            opened,
            [
                f"{one.kept.profile} {one.kept.call}: {one.days} days before {one.before}, {one.records} records"
                for one in found
            ],
        )
        total = {"days": sum(one.days for one in found), "records": sum(one.records for one in found)}
        if dry_run or not found:
            if not dry_run:
                _clean_up(archive, kept)
                refresh_calls(opened, archive, [one.profile for one in kept])
            opened.reporter.summary({**total, "removed": 0})
        elif agreed(opened, f"Remove {total['records']} records of {total['days']} days permanently?", yes=yes):
            try:
                removed = _retire(archive, kept, first)
            finally:
                refresh_calls(opened, archive, [one.profile for one in kept])
            opened.reporter.summary({**total, "removed": removed})


def _first_day(
    opened: Session, archive: Archive, ledger: JsonLedger, kept: list[KeptCall], days: int | None, before: str | None
) -> date:
    """Return the first day that stays.

    Raises:
        UsageError: It is not given, or given twice, or in the future.
        ConfigurationError: The clock cannot be trusted.
    """
    from cdrctl.archive.retain import check_clock, first_day_kept

    now = the_clock(opened).now()
    if before is not None:
        if days is not None:
            raise UsageError("--days and --before cannot be combined", hint="leave one of them out")
        at = windows.instant(before, zone=archive.zone, now=now, option="--before")
        if at > now:
            raise UsageError("--before is in the future", hint="name today or an earlier day")
        return at.astimezone(archive.zone).date()
    wanted = archive.settings.retain_days if days is None else days
    if wanted is None:
        raise UsageError(
            "cdrctl archive retain needs the number of days to keep",
            hint="give --days N, or write days = N under [retain] in archive.toml",
        )
    check_clock(ledger, kept, now)
    return first_day_kept(archive, now, wanted)


def _clean_up(archive: Archive, kept: list[KeptCall]) -> None:
    """Remove what a killed run left behind of calls that no other run writes."""
    from cdrctl.archive.ledgers import call_lock
    from cdrctl.archive.retain import remove_leftovers
    from cdrctl.archive.store import writing_archive

    for one in kept:
        with suppress(LockedError), call_lock(archive, one.profile, one.call), writing_archive(archive.folder):
            remove_leftovers(archive, one)


def _retire(archive: Archive, kept: list[KeptCall], first: date) -> int:
    """Remove the days of each call under its lock, and return how many days were removed.

    Raises:
        LockedError: Another run writes one of the calls; the others are done.
    """
    from cdrctl.archive.ledger2 import JsonLedger
    from cdrctl.archive.ledgers import call_lock
    from cdrctl.archive.retain import retire

    removed, busy = 0, None
    for one in kept:
        try:
            with call_lock(archive, one.profile, one.call), closing(JsonLedger(archive)) as ledger:
                now = ledger.kept_call(one.profile, one.call)
                removed += retire(archive, ledger, now, first).days if now is not None else 0
        except LockedError as error:
            busy = error
    if busy is not None:
        raise busy
    return removed
