"""The closing lines of sync and fill, at most twenty of them for any number of profiles, and the error of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cdrctl.cli import failures
from cdrctl.cli.export import Part
from cdrctl.cli.run import Session, exit_code_of
from cdrctl.errors import IncompleteError, urgency
from cdrctl.units.job import COUNTS

if TYPE_CHECKING:
    from cdrctl.archive.outcome import Outcome
    from cdrctl.cli.archive_jobs import Job

MOST_LINES = 20
"""The most closing lines of a run as text; JSON has an object for each call."""

OTHER_LINES = 5
"""Closing lines that are not about one call: totals, how many calls are not named, and the error of the run."""


def are_many(jobs: Sequence[Job]) -> bool:
    """Return whether there are too many calls for a line about each."""
    return len(jobs) > MOST_LINES - OTHER_LINES


def facts_of(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return the sums of the numbers of days and records."""
    return {name: sum(getattr(outcome, name) for outcome in outcomes) for name in COUNTS}


def requests_of(parts: Sequence[Part]) -> int:
    """Return how many requests were sent for profiles, here and on other machines."""
    here = sum(part.profile.client.requests for part in parts if part.profile and part.profile.client)
    return here + sum(part.requests_elsewhere for part in parts)


def _shown(session: Session, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of a closing line: as text without records later than the lookback where there are none."""
    if session.reporter.as_json or facts["beyond_lookback"]:
        return facts
    return {name: value for name, value in facts.items() if name != "beyond_lookback"}


def report(session: Session, parts: Sequence[Part], jobs: Sequence[Job], requests: int, seconds: float) -> None:
    """Report what was done for each call and in total, and why profiles failed.

    If there are too many lines, calls that need nobody's attention are only counted.
    """
    failed = list(_errors(parts, jobs).items())
    lines = len(jobs) + (len(failed) if len(parts) > 1 else 0)
    brief = lines > MOST_LINES - OTHER_LINES and not session.reporter.as_json
    facts = _shown(session, {**facts_of([job.outcome for job in jobs]), "requests": requests, "seconds": seconds})
    if not brief:
        for job in jobs:
            _report_job(session, job)
        session.reporter.summary(facts)
        failures.show(session.reporter, failed, len(parts))
        return
    room = MOST_LINES - OTHER_LINES
    shown = sorted(failed, key=lambda one: urgency(exit_code_of(one[1])))[:room]
    incomplete = [job for job in jobs if job.is_incomplete]
    named = incomplete[: room - len(shown)]
    for job in named:
        _report_job(session, job)
    session.reporter.summary({"calls": len(jobs), "incomplete": len(incomplete), "failed": len(failed), **facts})
    failures.show(session.reporter, shown, len(parts))
    if more := len(failed) - len(shown) + len(incomplete) - len(named):
        session.reporter.log("result", f"and {more} more that failed or are incomplete; --status FILE lists all")


def _report_job(session: Session, job: Job) -> None:
    if job.outcome.not_offered and not session.reporter.as_json:  # a note has said so, once
        return
    facts = _shown(session, {**facts_of([job.outcome])})
    if job.outcome.failed:
        facts["failed days"] = len(job.outcome.failed)
    if job.outcome.missing:
        facts["deleted days"] = len(job.outcome.missing)
    session.reporter.summary(facts, job.about)


def _errors(parts: Sequence[Part], jobs: Sequence[Job]) -> dict[str, BaseException]:
    """Return the error of each profile that failed, by its title; the first one if several of its calls failed."""
    found = {part.title: part.error for part in parts if part.error is not None}
    for job in jobs:
        if job.error is not None:
            found.setdefault(job.part.title, job.error)
    return found


def conclude(parts: Sequence[Part], jobs: Sequence[Job]) -> None:
    """Raise the error of the run.

    Raises:
        CdrctlError: A profile failed, or the archive is incomplete.
    """
    errors = _errors(parts, jobs)
    good = [job for job in jobs if job.error is None]
    failed = [f"{job.name} {day}" for job in good for day in job.outcome.failed if day not in job.outcome.gone_on]
    gone = [f"{job.name} {day} ({count})" for job in good for day, count in job.outcome.gone_on.items()]
    lost = [f"{job.name}" for job in jobs if job.outcome.lost]
    missing = [f"{job.name} {day}" for job in good for day in job.outcome.missing]
    if errors:
        raise failures.failure([*errors.items()], len(parts), gaps=bool(failed or gone or lost or missing))
    if failed or gone or lost or missing:
        what = [f"days that could not be fetched: {failures.some(failed)}"] if failed else []
        what += [f"records gone at the provider: {failures.some(gone)}"] if gone else []
        what += [f"days whose file was deleted: {failures.some(missing)}"] if missing else []
        what += [f"beyond what the provider keeps: {failures.some(lost)}"] if lost else []
        raise IncompleteError(
            f"the archive is incomplete: {'; '.join(what)}",
            hint=_next_step(failed=bool(failed), missing=bool(missing), gone=bool(gone)),
        )


def _next_step(*, failed: bool, missing: bool, gone: bool) -> str:
    """Return the next step for an incomplete archive."""
    if failed:
        return "run the command again; cdrctl coverage shows what is missing"
    if missing:
        return "cdrctl fill reads these days again"
    if gone:
        return (
            "the records are kept; ask the provider why they are gone, or remove them with cdrctl sync --allow-shrink"
        )
    return "cdrctl coverage shows what is missing"
