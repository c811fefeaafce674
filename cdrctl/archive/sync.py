"""Brings a call in an archive up to date, one day at a time: each day is on disk before the next is requested."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from cdrctl.archive.day import Day, Existing, read_existing, response_before
from cdrctl.archive.fetching import Fetched, Source, fetch_entries, header_of, known_details
from cdrctl.archive.intervals import (
    CLOCKS_MAY_DIFFER,
    Reading,
    add_reading,
    days,
    is_dated_after,
    overlap,
    replan_future,
    subtract,
)
from cdrctl.archive.ledger import KeptCall, SweepState
from cdrctl.archive.ledgers import AnyLedger, saved
from cdrctl.archive.merge import Counts
from cdrctl.archive.moved import has_moved
from cdrctl.archive.not_offered import is_refusal, was_read
from cdrctl.archive.options import has_all
from cdrctl.archive.outcome import Outcome, log_odd_records
from cdrctl.archive.planning import (
    available_until,
    day_start_of,
    first_instant,
    is_outdated,
    not_retired,
    plan_days,
    retained_since,
)
from cdrctl.archive.presence import Presence, check_files, check_zone
from cdrctl.archive.proof import check_records, ensure_owner
from cdrctl.archive.spool import on_disk
from cdrctl.archive.store import FIRST_LAYOUT, Archive
from cdrctl.archive.storing import store_day
from cdrctl.archive.sweeping import Sweep, call_sweep, sweep_days, with_sweep
from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ConflictError,
    LockedError,
    OutputError,
    SignInError,
    TemporaryError,
)
from cdrctl.windows import Window, rfc3339

BEYOND = "the provider does not keep it any more"
"""The error in the ledger of a period beyond the provider's retention. Ledgers of earlier versions have it, too."""

OWNING = 3
"""How often the account of a profile is stored again because another run stored it first."""

FAILURES_IN_A_ROW = 3
"""Consecutive days with a temporary error, after which the other days are left to the next run."""

T = TypeVar("T")


class _Job(Struct):
    """One call of one profile in one run: the arguments of `sync`."""

    archive: Archive
    ledger: AnyLedger
    source: Source
    now: Callable[[], datetime]
    since: datetime | None
    lookback: timedelta
    shrink: bool
    only_holes: bool
    outcome: Outcome
    sweep: timedelta | None = None
    optional: bool = False
    presence: Presence = field(default_factory=Presence)
    kept: set[str] = field(default_factory=set)

    def present(self) -> datetime:
        """Return the present instant, by the provider's clock if it is known to differ from this machine's."""
        return self.now() - self.source.clock_offset

    def reach(self) -> Window:
        """Return the period that the provider can be queried for."""
        at, call = self.present(), self.source.call
        until = available_until(call, at)
        oldest = retained_since(call, at) or datetime.min.replace(tzinfo=at.tzinfo)
        return Window(min(oldest, until - timedelta(seconds=1)), until)


class _Plan(Struct):
    """What a run is going to read.

    Args:
        at: The instant at which the plan was made.
        begins: The instant since which the archive keeps the call.
        known: The readings in the ledger by day, as `replan_future` corrects them.
        days: The days to read.
        final: Days that are not read, whose readings are not among those known.
        lost: The missing periods beyond the provider's retention.
        sweep: The sweep; None if there is none.
        swept: The days that the sweep reads.
    """

    at: datetime
    begins: datetime
    known: dict[str, list[Reading]]
    days: list[Day]
    final: Collection[str]
    lost: list[Window]
    sweep: Sweep | None
    swept: frozenset[str]


def sync(
    archive: Archive,
    ledger: AnyLedger,
    source: Source,
    now: Callable[[], datetime],
    *,
    since: datetime | None = None,
    lookback: timedelta | None = None,
    sweep: timedelta | None = None,
    shrink: bool = False,
    only_holes: bool = False,
    adopt: bool = False,
    optional: bool = False,
    stop: Callable[[], bool] = lambda: False,
    outcome: Outcome | None = None,
) -> Outcome:
    """Read the days of a call that are missing or may have changed, and return what that did.

    A day that fails is recorded as failed and does not stop the other days, unless its error would repeat for all.
    Nothing is written before the first response has shown whether the provider's clock agrees with this machine's. If
    they differ, the provider's clock counts. Settled days are read again if `sweep` says how long before the lookback,
    or if the policy of the archive says so. An `optional` call that was never read, and that the provider refuses or
    does not know, is left out.

    Raises:
        OutputError: The archive or a temporary file cannot be written.
        ConfigurationError: The profile points to another account than the records of the archive.
    """
    outcome = Outcome() if outcome is None else outcome
    call = source.call
    lookback = call.timing.lookback if lookback is None else lookback
    optional = optional and not was_read(ledger, source.profile, call.name)
    job = _Job(archive, ledger, source, now, since, lookback, shrink, only_holes, outcome, sweep, optional)
    kept = _kept_call(job)
    if kept is not None and kept.provider not in {source.provider, ""}:
        raise ConfigurationError(
            f"the archive has records of {kept.provider} for {source.profile}, which is now a profile of "
            f"{source.provider}",
            hint="rename the profile, or start another archive",
        )
    if archive.layout == FIRST_LAYOUT and archive.settings.sweep_of(source.profile) is not None and not only_holes:
        source.log("warning", "[sweep] in archive.toml needs the current layout: cdrctl archive convert")
    with saved(ledger, source.profile, call.name), on_disk():
        _own(job, adopt=adopt)
        _check_files(job)
        _read_days(job, stop)
    log_odd_records(source, outcome)
    return outcome


def _own(job: _Job, *, adopt: bool) -> None:
    """Store whose records the archive has; if another run does it at the same time, compare with what it stored."""
    for _ in range(OWNING):
        with suppress(ConflictError):
            return ensure_owner(job.archive, job.source, job.reach(), job.present(), adopt=adopt)
    return ensure_owner(job.archive, job.source, job.reach(), job.present(), adopt=adopt)


def _check_files(job: _Job) -> None:
    """Find the days whose file was deleted or changed by another program."""
    at, source, names = job.present(), job.source, (job.source.profile, job.source.call.name)
    whole = job.ledger.whole_days(*names).days
    check_zone(job.archive, job.ledger.readings(*names, whole), len(whole))
    oldest = retained_since(source.call, at)
    job.presence = check_files(job.archive, job.ledger, names, oldest, at, source.log, only_holes=job.only_holes)
    job.outcome.missing = job.presence.missing
    job.outcome.failed |= job.presence.faults


def _read_days(job: _Job, stop: Callable[[], bool]) -> None:
    """Read the days of the plan, oldest first, until all are done, `stop` returns true, or an error ends the run."""
    source, outcome = job.source, job.outcome
    plan = _make_plan(job)
    recorded = corrected = False
    left, failures = deque(plan.days), 0
    last: CdrctlError | None = None
    while left and not stop():
        day = left[0]
        _log_progress(job, plan, len(left))
        answer = _attempt(partial(_fetch, job, day))
        if source.clock_offset and not corrected:
            by_ours, plan = plan, _make_plan(job)
            left = deque(plan.days)
            _fail_future_days(job, by_ours, plan)
            _record_plan(job, plan)
            recorded = corrected = True
            continue
        if job.optional and is_refusal(answer):
            outcome.not_offered = answer.message
            return
        if not recorded:
            _record_plan(job, plan)
            recorded = True
        left.popleft()
        failed = answer if isinstance(answer, CdrctlError) else _attempt(partial(_store, job, day, *answer, plan))
        failures = failures + 1 if isinstance(failed, TemporaryError) else 0
        if failed is None:
            continue
        last = failed
        _record_failure(job, day, plan, failed)
        if isinstance(failed, SignInError | ConfigurationError) or failures >= FAILURES_IN_A_ROW:
            outcome.error = failed
            return
    if not recorded:
        _record_plan(job, plan)
    if not left:
        _read_moved(job, plan)
        _record_sweep(job, plan)
    if last is not None and not outcome.days:
        outcome.error = last


def _read_moved(job: _Job, plan: _Plan) -> None:
    """Read the days again that keep a record as gone which a later day of this run has: its start was corrected."""
    outcome = job.outcome
    for day in [one for one in plan.days if one.name in job.kept and has_moved(job.archive, job.source, one.name)]:
        answer = _attempt(partial(_fetch, job, day))
        if isinstance(answer, CdrctlError):
            continue
        before, gone = replace(outcome), outcome.gone_on.pop(day.name, 0)
        outcome.gone -= gone
        outcome.failed.pop(day.name, None)
        failed = _attempt(partial(_store, job, day, *answer, plan))
        outcome.days, outcome.fetched, outcome.pages = before.days, before.fetched, before.pages
        outcome.duplicate, outcome.swept = before.duplicate, before.swept
        if failed is not None:  # the day still keeps the record as gone
            outcome.gone, outcome.gone_on[day.name] = before.gone, gone
            _record_failure(job, day, plan, failed)


def _attempt(step: Callable[[], T]) -> T | CdrctlError:
    """Return the result of a step, or the error that makes its day fail; errors of the archive end the run.

    Raises:
        OutputError: The archive cannot be written.
        LockedError: The run has ended in the meantime.
    """
    try:
        return step()
    except (OutputError, LockedError):
        raise
    except CdrctlError as error:
        return error


def _fetch(job: _Job, day: Day) -> tuple[Fetched, Existing]:
    """Return the records of a day from the provider, and the state of the day in the archive."""
    there = read_existing(job.archive, job.ledger, job.source, day, job.reach())
    at = job.present().replace(microsecond=0)
    known = known_details(job.archive, job.source, there.old)
    with closing(known) if known is not None else nullcontext():
        before = response_before(job.source, there, header_of(job.archive, job.source.call))
        return fetch_entries(job.archive, job.source, there.window, at, known, before), there


def _kept_call(job: _Job) -> KeptCall | None:
    """Return the call's entry in the ledger, if it has one."""
    return job.ledger.kept_call(job.source.profile, job.source.call.name)


def _known_beginning(job: _Job, at: datetime, readings: Mapping[str, Sequence[Reading]]) -> datetime | None:
    """Return the instant since which the archive keeps the call, or None if it does not keep it yet.

    If a wrong clock chose it, because it is in the future or its day was read by a clock that was ahead, the result is
    where a first run would begin now.
    """
    kept = _kept_call(job)
    if kept is None or kept.begins >= at:
        return None
    first = readings.get(kept.begins.astimezone(job.archive.zone).date().isoformat(), ())
    if not any(is_dated_after(one, at) for one in first):
        return kept.begins
    usual = retained_since(job.source.call, at)
    begins = day_start_of(job.archive, at - job.lookback)
    return min(kept.begins, begins if usual is None else max(begins, usual))


def _final_days(job: _Job, at: datetime) -> frozenset[str]:
    """Return days that are final, and whose readings have all that the options of the call ask for."""
    source = job.source

    def is_complete(options: str) -> bool:
        return has_all(source.call, options, source.options)

    latest = at + CLOCKS_MAY_DIFFER
    return job.ledger.whole_days(source.profile, source.call.name).final(job.lookback, latest, is_complete)


def _make_plan(job: _Job) -> _Plan:
    """Return the days to read as of now; nothing is written."""
    profile, call, at = job.source.profile, job.source.call, job.present()
    sweep = None if job.only_holes else call_sweep(job.archive, job.ledger, profile, call.name, at, job.sweep)
    final = _final_days(job, at) if sweep is None else frozenset[str]()  # a sweep needs the readings of settled days
    readings = job.ledger.readings(profile, call.name, final)
    known = {day: replan_future(one, at) for day, one in {**readings, **job.presence.again}.items()}
    begins = first_instant(job.archive, call, at, job.lookback, job.since, _known_beginning(job, at, readings))
    kept, oldest = _kept_call(job), retained_since(call, at)
    since = not_retired(job.archive.zone, begins, None if kept is None else kept.retired)
    parts, lost = plan_days(
        since,
        available_until(call, at),
        oldest,
        _without_outdated(job, known) if job.only_holes else known,
        job.archive,
        job.lookback,
        final=final,
        only_holes=job.only_holes,
        with_gone=job.shrink,
    )
    swept = [] if sweep is None else sweep_days(sweep, since, at, oldest, known, job.archive, job.lookback)
    wanted = [one for one in with_sweep(parts, swept) if one.name not in job.presence.left_out]
    names = frozenset(one.name for one in swept) - job.presence.left_out
    return _Plan(at, begins, known, wanted, final, lost, sweep, names)


def _without_outdated(job: _Job, known: Mapping[str, list[Reading]]) -> dict[str, list[Reading]]:
    """Return the readings, with those planned again that had other options and that the provider can repeat."""
    source, at = job.source, job.present()

    def planned(one: Reading) -> Reading:
        return replace(one, state="planned") if is_outdated(one, source.call, source.options, at) else one

    return {day: [planned(one) for one in readings] for day, readings in known.items()}


def _record_plan(job: _Job, plan: _Plan) -> None:
    """Write the plan to the ledger, so that a day that is never reached shows as missing, not as unknown."""
    source, name = job.source, job.source.call.name
    job.ledger.keep(KeptCall(source.profile, name, source.provider, plan.begins))
    job.outcome.lost = _record_lost(job, plan)
    if plan.sweep is not None and plan.sweep.counts and plan.swept:
        before = job.ledger.sweeps(source.profile, name)
        job.ledger.write_sweeps(source.profile, name, replace(before, began=plan.sweep.began))
    if source.clock_ahead() is not None:  # two clocks agree on the time: a reading dated after it is wrong
        before_now = job.ledger.readings(source.profile, name, plan.final)
        for day_name, readings in plan.known.items():
            if readings != before_now.get(day_name, []) and day_name not in job.presence.again:
                job.ledger.write(source.profile, name, day_name, readings, None, plan.at)
    planned = {}
    for day in plan.days:
        old = plan.known.get(day.name, [])
        new = add_reading(old, Reading(day.window, "planned"))
        if new != old:
            plan.known[day.name] = planned[day.name] = new
    job.ledger.plan(source.profile, name, planned)


def _record_sweep(job: _Job, plan: _Plan) -> None:
    """Write to the ledger that the sweep is finished, unless one of its days failed.

    A sweep that found nothing to read is only finished if it went on with one that an earlier run began.
    """
    profile, call = job.source.profile, job.source.call.name
    sweep = plan.sweep
    if sweep is None or not sweep.counts or plan.swept & job.outcome.failed.keys():
        return
    if plan.swept or sweep.goes_on:
        job.ledger.write_sweeps(profile, call, SweepState(sweep.began, sweep.began))


def _fail_future_days(job: _Job, ours: _Plan, theirs: _Plan) -> None:
    """Count as failed the days that are over by this machine's clock, but not by the provider's.

    Args:
        job: The job.
        ours: The plan by this machine's clock.
        theirs: The plan by the provider's clock.
    """
    until, over = available_until(job.source.call, theirs.at), available_until(job.source.call, ours.at)
    for day in ours.days:
        if until < day.window.until < over:
            job.outcome.failed[day.name] = (
                f"by the provider's clock it is only {rfc3339(theirs.at.replace(microsecond=0))}: later calls are "
                "still to come; correct the clock of this machine"
            )


def _store(job: _Job, day: Day, came: Fetched, there: Existing, plan: _Plan) -> None:
    """Write the records that came of a day, and add them to the outcome.

    Raises:
        ConfigurationError: The records are of another account, or the day is in the future by the provider's clock.
    """
    source, outcome = job.source, job.outcome
    reach = job.reach()
    part = overlap(came.window, reach) if source.clock_offset else came.window
    if part is None:
        raise ConfigurationError("by the provider's clock this day is in the future")
    came = replace(came, window=part, read_at=min(came.read_at, job.present().replace(microsecond=0)))
    with came.spool:
        check_records(job.archive, source, came, there.old)
        readings = plan.known.get(day.name, [])
        about = (job.archive, job.ledger, source, day.name, came, there, readings)
        result = store_day(*about, shrink=job.shrink, lookback=job.lookback)
    counts, tally = result.counts, came.tally
    outcome.days += 1
    outcome.fetched += tally.records
    outcome.pages += tally.pages
    outcome.duplicate += tally.duplicates
    outcome.new += counts.new
    outcome.late += counts.late
    outcome.changed += counts.changed
    outcome.gone += counts.gone
    outcome.swept += day.name in plan.swept
    outcome.beyond_lookback += result.beyond_lookback
    if result.beyond_lookback:
        outcome.beyond_on[day.name] = result.beyond_lookback
    if counts.kept:
        job.kept.add(day.name)
    if result.gone:
        outcome.gone_on[day.name] = result.gone
    if result.error:
        outcome.failed[day.name] = result.error
        if not tally.gaps and not result.gone:  # a gap has been logged; gone records are logged at the end
            source.log("warning", f"{day.name}: {result.error}")
    source.log("day", f"{day.name}: {_summary(tally.records, counts)}")


def _record_failure(job: _Job, day: Day, plan: _Plan, error: CdrctlError) -> None:
    """Write to the ledger, the outcome and the log that a day failed."""
    source = job.source
    parts = (error.message, error.said and f"the provider said: {error.said}")
    reason = source.clean("; ".join(filter(None, parts)))
    job.outcome.failed[day.name] = reason
    failed = Reading(day.window, "failed", job.present(), 0, reason, source.options)
    readings = add_reading(plan.known.get(day.name, []), failed)
    job.ledger.write(source.profile, source.call.name, day.name, readings, None, job.present())
    source.log("warning", f"{day.name} failed: {reason}")


def _record_lost(job: _Job, plan: _Plan) -> list[Window]:
    """Write the periods beyond the retention to the ledger, and return those that it did not have yet."""
    ledger, source, known = job.ledger, job.source, plan.known
    recorded = [one.window for readings in known.values() for one in readings if one.error == BEYOND]
    new = subtract(plan.lost, recorded)
    for window in new:
        for day, part in days(window, job.archive.zone):
            readings = add_reading(known.get(day.isoformat(), []), Reading(part, "failed", None, 0, BEYOND))
            known[day.isoformat()] = readings
            ledger.write(source.profile, source.call.name, day.isoformat(), readings, None, plan.at)
        source.log(
            "warning",
            f"the provider no longer keeps the calls from {rfc3339(window.since)} to {rfc3339(window.until)}: "
            "they cannot be fetched any more",
        )
    return new


def _log_progress(job: _Job, plan: _Plan, left: int) -> None:
    """Log which day of the plan comes next and, after the first one, when the last is expected to be done."""
    total = len(plan.days)
    done, now = total - left, job.present()
    if done:
        ends, records = now + (now - plan.at) / done * left, job.outcome.fetched
        job.source.log("progress", f"day {done + 1} of {total}, until about {ends:%H:%M} UTC, {records} records")
    else:
        job.source.log("progress", f"day 1 of {total}")


def _summary(fetched: int, counts: Counts) -> str:
    """Return the numbers of a day for the log, without those that are zero."""
    facts = {"new": counts.new, "late": counts.late, "changed": counts.changed, "gone": counts.gone}
    return ", ".join([f"{fetched} fetched", *(f"{value} {name}" for name, value in facts.items() if value)])
