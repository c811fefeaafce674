"""`cdrctl coverage`: which days an archive covers, and whether it has every day of a window."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from cdrctl import windows
from cdrctl.archive.places import place_of
from cdrctl.cli.archived import CALLS, PROFILES, archived
from cdrctl.cli.calendar import about_coverage, calendar_key, calendar_text, coverage_line, write_text
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import SANDBOX, the_clock
from cdrctl.cli.failures import some
from cdrctl.cli.options import option
from cdrctl.cli.output_options import colored, standard_output
from cdrctl.cli.run import Session
from cdrctl.errors import IncompleteError, UsageError
from cdrctl.fetchers import PROVIDERS, load

if TYPE_CHECKING:
    from cdrctl.archive.completeness import Bounds, Completeness
    from cdrctl.archive.ledger import KeptCall
    from cdrctl.archive.status import ArchivedCall
    from cdrctl.archive.store import Archive


@command(
    PROFILES,
    option("--into", about="Folder of the archive, or its URL (s3://…).", metavar="DIR", required=True),
    option(
        "--check",
        about="Print no calendar; exit with 3 unless every day is complete, and name the days that are not.",
        kind="flag",
    ),
    option(
        "--lateness",
        about="Show how late records came, not the days: a table on a terminal, JSON in a pipe.",
        kind="flag",
    ),
    CALLS,
    option("--since", about="First day: 2026-10, 2026-10-01, 30d.", metavar="TIME", panel="Window"),
    option(
        "--until", about="Only days before this time: 2026-11 includes all of October.", metavar="TIME", panel="Window"
    ),
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl coverage --into archive",
        "cdrctl sync sandbox --into archive --since 9d && cdrctl coverage --into archive --check --since 8d --until 5d",
    ),
)
def coverage(
    opened: Session,
    *,
    profile: list[str],
    into: str,
    check: bool,
    lateness: bool,
    call: list[str],
    since: str | None,
    until: str | None,
) -> None:
    """Show which days an archive covers: a calendar on a terminal, JSON in a pipe.

    A day is complete, still open (not over, or fetched so early that records may still appear), a hole, a hole
    beyond what the provider keeps, missing because its file was deleted, or retired by cdrctl archive retain.

    With --lateness, the command shows how long after the start of their call records were first seen, for days that
    were fetched more than once.

    Times are read in the time zone of the archive. With --check and without --until, days that are still open do not
    count.
    """
    from cdrctl.archive.store import open_archive

    if check and lateness:
        raise UsageError("--check and --lateness cannot be combined", hint="leave one of them out")
    archive = open_archive(place_of(into))
    bounds = _read_bounds(archive, since, until, the_clock(opened).now())
    found = archived(opened, archive, profile, call)
    _note_not_offered(opened, archive, profile, call)
    if lateness:
        from cdrctl.cli.archive_lateness import show_lateness

        show_lateness(opened, archive, bounds, found)
    elif check:
        _check(opened, archive, bounds, found)
    elif opened.process.stdout_is_terminal:
        _show_calendar(opened, archive, bounds, found)
    else:
        _write_json(opened, archive, bounds, found)


COMMANDS = {"coverage": coverage}


def _note_not_offered(opened: Session, archive: Archive, profiles: Sequence[str], calls: Sequence[str]) -> None:
    """Note the calls that the archive would keep if their providers had them."""
    from cdrctl.archive.not_offered import not_offered_calls

    for (profile, call), why in not_offered_calls(archive).items():
        if (not profiles or profile in profiles) and (not calls or call in calls):
            opened.reporter.log("note", f"{profile} {call}: {why}: it is not archived")


def _read_bounds(archive: Archive, since: str | None, until: str | None, now: datetime) -> Bounds:
    """Return the bounds that a user typed, read in the zone of the archive.

    Raises:
        UsageError: They are no times, or the first is not before the second.
    """
    from cdrctl.archive.completeness import Bounds

    if since is not None and until is not None:
        both = windows.window(since, until, zone=archive.zone, now=now)
        return Bounds(both.since, both.until)
    return Bounds(
        windows.instant(since, zone=archive.zone, now=now) if since is not None else None,
        windows.instant(until, zone=archive.zone, now=now, option="--until") if until is not None else None,
    )


def _show_calendar(opened: Session, archive: Archive, bounds: Bounds, found: Iterator[ArchivedCall]) -> None:
    out, any_shown = standard_output(opened, None), False
    for one in found:
        if one.call is not None:
            any_shown = True
            shown = bounds.shown(one.days, archive.zone)
            write_text(out, calendar_text(one.kept, shown, color=colored(opened)))
    write_text(out, calendar_key() if any_shown else "the archive contains no calls yet\n")


def _write_json(opened: Session, archive: Archive, bounds: Bounds, found: Iterator[ArchivedCall]) -> None:
    out, before = standard_output(opened, None), "["
    for one in found:
        about = json.dumps(about_coverage(one.kept))
        shown = bounds.shown(one.days, archive.zone)
        if shown:
            write_text(out, f"{before}\n" + ",\n".join([coverage_line(about, day) for day in shown]))
            before = ","
    write_text(out, "[]\n" if before == "[" else "\n]\n")


def _check(opened: Session, archive: Archive, bounds: Bounds, found: Iterator[ArchivedCall]) -> None:
    """Check that every day is complete; report each call that lacks days in one line.

    Raises:
        IncompleteError: A day is not complete, or there is none.
    """
    from cdrctl.archive.completeness import completeness
    from cdrctl.cli.archive_summary import MOST_LINES, OTHER_LINES

    now = the_clock(opened).now()
    lacking: list[tuple[KeptCall, IncompleteError]] = []
    checked = days = 0
    for one in found:
        result = completeness(one, bounds, archive.zone, now)
        checked, days = checked + 1, days + result.days
        if result.lacking:
            lacking.append((one.kept, _error(archive, one.kept, result, now)))
    if not days:
        raise IncompleteError(
            "the archive has no days to check", hint="fill it with: cdrctl sync PROFILE --into DIR --since TIME"
        )
    if len(lacking) == checked == 1:
        kept, error = lacking[0]
        raise IncompleteError(f"{kept.profile} {kept.call}: {error.message}", hint=error.hint)
    most = MOST_LINES - OTHER_LINES
    shown = len(lacking) if opened.reporter.as_json or len(lacking) <= most else most
    for kept, error in lacking[:shown]:
        opened.reporter.problem({"profile": kept.profile, "call": kept.call}, error)
    if lacking:
        names = some([f"{kept.profile} {kept.call}" for kept, _ in lacking])
        raise IncompleteError(
            f"{len(lacking)} of {checked} calls are not complete: {names}",
            hint="follow the next step of each"
            if shown == len(lacking)
            else f"follow the next step of each; without --check, coverage shows the other {len(lacking) - shown}",
        )
    opened.reporter.summary({"calls": checked, "days": days, "incomplete": 0})


_SAYS = {
    "hole": "missing",
    "missing": "deleted by hand",
    "retired": "removed by archive retain",
    "beyond": "missing and no longer kept by the provider",
    "earlier": "before the archive began",
    "open": "still open",
    "outdated": "fetched without the current options of archive.toml",
    "unknown": "of an unknown provider",
}
"""What a message says of days in a state; other states are named as they are."""


def _error(archive: Archive, kept: KeptCall, result: Completeness, now: datetime) -> IncompleteError:
    """Return the error that names the missing days of a call by reason, with the next steps."""
    what, then = [], []
    for state, found in result.lacking.items():
        what.append(f"{_count(found)} {_SAYS.get(state, state)}: {_ranges(found)}")
        then.append(_next_step(archive, kept, state, found, result.settled, now))
    return IncompleteError("; ".join(what), hint="; ".join(dict.fromkeys(filter(None, then))))


def _next_step(
    archive: Archive, kept: KeptCall, state: str, found: Sequence[date], settled: datetime | None, now: datetime
) -> str:
    if state in {"hole", "missing", "outdated"}:
        return _line("fill", archive, kept)
    if state == "beyond":
        return "restore the days that are no longer kept from a backup; sync and fill cannot fetch them"
    if state == "retired":
        return "export them from a backup; sync and fill do not fetch them"
    if state == "earlier":
        return f"{_line('sync', archive, kept)} --since {found[0].isoformat()}"
    if state == "open" and settled is not None:
        when = f", at {settled.astimezone(UTC):%Y-%m-%dT%H:%MZ} or later" if settled > now else ""
        return _line("sync", archive, kept) + when
    return _line("sync", archive, kept) if state == "unknown" else ""


def _line(command: str, archive: Archive, kept: KeptCall) -> str:
    """Return the command that fetches days of a call."""
    name = SANDBOX if kept.profile == f"{SANDBOX}-{kept.provider}" else kept.profile
    usual = load(kept.provider).calls[0].name if kept.provider in PROVIDERS else kept.call
    words = ["cdrctl", command, name, "--into", str(archive.folder)]
    return shlex.join([*words, "--call", kept.call] if kept.call != usual else words)


def _count(found: Sequence[date]) -> str:
    return f"{len(found)} day{'s' if len(found) > 1 else ''}"


def _ranges(found: Sequence[date]) -> str:
    from cdrctl.archive.completeness import ranges

    return some([f"{first}" if first == last else f"{first} to {last}" for first, last in ranges(found)])
