"""What a sync would need: windows, requests and time, computed from the ledger without contacting a provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cdrctl import windows
from cdrctl.cli.archive_jobs import Job, jobs_for
from cdrctl.cli.connecting import SANDBOX, the_clock
from cdrctl.cli.export import selected_parts
from cdrctl.cli.profile_selection import Selection
from cdrctl.cli.run import Session

if TYPE_CHECKING:
    from cdrctl.archive.calendar import Estimate
    from cdrctl.archive.day import Day
    from cdrctl.archive.ledgers import AnyLedger
    from cdrctl.archive.store import Archive


class CallPlan(Struct, frozen=True):
    """What a sync of one call of one profile would need.

    Args:
        about: Names of the profile, the provider and the call.
        window: From the first day to read to the end of the last one; None if there is nothing to read.
        least: The number of windows, and lower bounds of requests and seconds.
        lost: Windows that the archive lacks and the provider no longer keeps.
        swept: How many of the windows are settled days, which a sweep reads again.
    """

    about: dict[str, str]
    window: windows.Window | None
    least: Estimate
    lost: tuple[windows.Window, ...]
    swept: int


def make_plans(
    session: Session,
    selection: Selection,
    folder: Path | None,
    calls: Sequence[str] | None,
    since: str | None,
    lookback: str | None,
    sweep: str | None,
    tz: str | None,
) -> list[CallPlan]:
    """Return the plan of each call that a sync with these options would read.

    Args:
        session: The running command.
        selection: The profiles.
        folder: The archive, which need not exist; None for a new one.
        calls: The names of the calls; None for each provider's main call.
        since: The value of --since.
        lookback: The value of --lookback.
        sweep: The value of --sweep.
        tz: The value of --tz; an archive that exists keeps its own zone.

    Raises:
        CdrctlError: A profile, a call or an option cannot be used, or the archive cannot be read.
    """
    back = windows.duration(lookback, "--lookback") if lookback is not None else None
    again = windows.duration(sweep, "--sweep") if sweep is not None else None
    with _read_archive(folder, tz) as (archive, ledger):
        now = the_clock(session).now()
        begins = windows.instant(since, zone=archive.zone, now=now) if since else None
        parts = selected_parts(session, selection)
        for part in parts:
            if part.error is not None:
                raise part.error
        jobs = jobs_for(parts, calls, folder)
        for part in parts:
            if part.error is not None:
                raise part.error
        return [_make_plan(job, archive, ledger, now, begins, back, again) for job in jobs]


@contextmanager
def _read_archive(folder: Path | None, tz: str | None) -> Iterator[tuple[Archive, AnyLedger | None]]:
    """Open the archive in a folder and its ledger; for a folder without one, an empty archive and no ledger."""
    from cdrctl.archive.index import reading_archive
    from cdrctl.archive.ledgers import open_ledger
    from cdrctl.archive.settings import Settings
    from cdrctl.archive.store import Archive, is_there, open_archive

    there = False
    if folder is not None:
        with reading_archive(folder):
            there = is_there(folder / "archive.toml")
    if folder is None or not there:
        yield Archive(folder or Path(), Settings(tz or "UTC", "jsonl")), None
        return
    archive = open_archive(folder)
    ledger = open_ledger(archive, read_only=True)
    try:
        yield archive, ledger
    finally:
        ledger.close()


def _make_plan(
    job: Job,
    archive: Archive,
    ledger: AnyLedger | None,
    now: datetime,
    since: datetime | None,
    lookback: timedelta | None,
    length: timedelta | None,
) -> CallPlan:
    from cdrctl.archive import calendar
    from cdrctl.archive.planning import (
        LATEST,
        available_until,
        first_instant,
        not_retired,
        plan_days,
        retained_since,
    )
    from cdrctl.archive.sweeping import with_sweep

    assert job.part.provider is not None  # noqa: S101 - a job has one
    kept = ledger.kept_call(job.name, job.call.name) if ledger else None
    ago = job.call.timing.lookback if lookback is None else lookback
    start = first_instant(archive, job.call, now, ago, since, None if kept is None else kept.begins)
    until, oldest = available_until(job.call, now), retained_since(job.call, now)
    about = job.name, job.call.name
    final = ledger.whole_days(*about).final(ago, LATEST, lambda _: True) if ledger else frozenset[str]()
    known = ledger.readings(*about, final) if ledger else {}
    start = not_retired(archive.zone, start, None if kept is None else kept.retired)
    days, lost = plan_days(start, until, oldest, known, archive, ago, final=final)
    swept = [] if ledger is None else _swept_days(job, archive, ledger, now, start, ago, length)
    days = sorted(with_sweep(days, swept), key=lambda one: one.name)
    least = calendar.estimate(job.part.provider, job.call, days, 0 if job.part.name == SANDBOX else None)
    window = windows.Window(days[0].window.since, days[-1].window.until) if days else None
    return CallPlan(job.about, window, least, tuple(lost), len(swept))


def _swept_days(
    job: Job,
    archive: Archive,
    ledger: AnyLedger,
    now: datetime,
    begins: datetime,
    lookback: timedelta,
    length: timedelta | None,
) -> list[Day]:
    """Return the settled days that a sync would read again."""
    from cdrctl.archive.planning import retained_since
    from cdrctl.archive.sweeping import call_sweep, sweep_days

    sweep = call_sweep(archive, ledger, job.name, job.call.name, now, length)
    if sweep is None:
        return []
    known = ledger.readings(job.name, job.call.name)
    return sweep_days(sweep, begins, now, retained_since(job.call, now), known, archive, lookback)


def plain_plan(plan: CallPlan) -> dict[str, Any]:
    """Return a plan as plain values."""
    return {
        **plan.about,
        "since": windows.rfc3339(plan.window.since) if plan.window else None,
        "until": windows.rfc3339(plan.window.until) if plan.window else None,
        "windows": plan.least.windows,
        "sweep_windows": plan.swept,
        "requests_at_least": plan.least.requests,
        "seconds_at_least": round(plan.least.seconds),
        "beyond_retention": [
            {"since": windows.rfc3339(one.since), "until": windows.rfc3339(one.until)} for one in plan.lost
        ],
    }


def describe_plan(plan: CallPlan) -> str:
    """Return a plan as a line of text, with further lines for what the provider no longer keeps."""
    head = "{profile} {call} ({provider})".format_map(plan.about)
    if plan.window is None:
        return f"{head}: nothing to read\n"
    since, until = windows.rfc3339(plan.window.since), windows.rfc3339(plan.window.until)
    length = timedelta(seconds=round(plan.least.seconds))
    swept = f" ({plan.swept} of them to sweep complete days)" if plan.swept else ""
    text = (
        f"{head}: {plan.least.windows} windows{swept} from {since} to {until}, "
        f"at least {plan.least.requests} requests, at least {length} at the published rate limit\n"
    )
    for one in plan.lost:
        text += f"  no longer kept by the provider: {windows.rfc3339(one.since)} to {windows.rfc3339(one.until)}\n"
    return text
