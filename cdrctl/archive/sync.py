"""Bring a call up to date in an archive, a day at a time: each day is durable before the next is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cdrctl.archive.day import Day, Existing, read_existing, store_day
from cdrctl.archive.fetched import Fetched, Source, fetch_entries
from cdrctl.archive.intervals import (
    Reading,
    add_reading,
    day_start,
    days,
    done_windows,
    is_dated_after,
    overlap,
    replan_future,
    settled_windows,
    subtract,
    union,
)
from cdrctl.archive.ledger import KeptCall, Ledger
from cdrctl.archive.merge import Counts
from cdrctl.archive.proof import check_records, ensure_owner
from cdrctl.archive.store import Archive, is_there, writing_archive
from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    LockedError,
    OutputError,
    SignInError,
    TemporaryError,
)
from cdrctl.fetchers import Call
from cdrctl.records.events import number_of_records
from cdrctl.windows import Window, rfc3339

EDGE = timedelta(minutes=5)
"""How far to stay from the edge of what a provider keeps: it moves on while a day is being read."""

BEYOND = "the provider does not keep it any more"

FAILURES_IN_A_ROW = 3
"""Days in a row that fail for a passing reason, after which the rest is left for the next run."""


@dataclass(slots=True)
class Outcome:
    """What a run did for one call of one profile, in records, and what went wrong by day.

    Args:
        gone: Records that the provider no longer has, kept or let go.
        failed: Why a day is not done.
        gone_on: How many records of a day are gone at the provider and kept.
        lost: What the provider no longer keeps.
        error: What ended the run.
    """

    days: int = 0
    fetched: int = 0
    new: int = 0
    late: int = 0
    changed: int = 0
    gone: int = 0
    duplicate: int = 0
    pages: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    gone_on: dict[str, int] = field(default_factory=dict)
    lost: list[Window] = field(default_factory=list)
    error: BaseException | None = None


def available_until(call: Call, now: datetime) -> datetime:
    """Return the instant up to which the provider can have the calls by now, in whole seconds."""
    return (now - call.timing.lag).replace(microsecond=0)


def retained_since(call: Call, now: datetime) -> datetime | None:
    """Return the instant from which on the provider still has the calls, with a margin; None where it keeps all."""
    if call.timing.retention is None:
        return None
    return (now - call.timing.retention + EDGE).replace(microsecond=0) + timedelta(seconds=1)


def plan_days(
    begins: datetime,
    until: datetime,
    oldest: datetime | None,
    known: Mapping[str, Sequence[Reading]],
    archive: Archive,
    lookback: timedelta,
    *,
    only_holes: bool = False,
    with_gone: bool = False,
) -> tuple[list[Day], list[Window]]:
    """Return what is to be read, a window for each day, oldest first, and what is missing and cannot be had any more.

    Args:
        begins: From when on the archive keeps the call.
        until: How far the provider can be asked by now.
        oldest: From when on it still has the calls.
        known: The readings so far, by day.
        archive: Whose days count.
        lookback: How long after a call its record may still come or change.
        only_holes: Leave alone what has been read with success, however soon.
        with_gone: Read again what was read with success and has records that are gone at the provider.
    """
    if begins >= until:
        return [], []
    parts, lost = [], []
    for day, whole in days(Window(begins, until), archive.zone):
        readings = known.get(day.isoformat(), ())
        missing = subtract([whole], done_windows(readings))
        open_parts = missing if only_holes else subtract([whole], settled_windows(readings, lookback))
        if with_gone:
            marked = [one.window for one in readings if one.state == "done" and one.error]
            open_parts = union([*open_parts, *marked])
        if oldest is not None:
            gone = Window(min(begins, oldest) - timedelta(days=1), oldest)
            lost += [past for part in missing if (past := overlap(part, gone)) is not None]
            open_parts = subtract(open_parts, [gone])
        if open_parts:
            parts.append(Day(day.isoformat(), Window(open_parts[0].since, open_parts[-1].until)))
    return parts, union(lost)


def first_instant(
    archive: Archive, call: Call, now: datetime, lookback: timedelta, since: datetime | None, before: datetime | None
) -> datetime:
    """Return from when on an archive keeps a call: as asked for or as it was, or else from what may still change on."""
    oldest = retained_since(call, now)
    wanted_from = (None if before is not None else now - lookback) if since is None else since
    named = [] if before is None else [before]
    if wanted_from is not None:
        first = day_start_of(archive, wanted_from)
        at_edge = oldest is not None and first < oldest <= wanted_from + 2 * EDGE  # "30d" means what there is
        named.append(oldest if at_edge and oldest is not None else first)
    if since is None and before is None and oldest is not None:
        return max(*named, oldest)
    return min(named)


def day_start_of(archive: Archive, since: datetime) -> datetime:
    """Return the first instant of the archive's day that an instant lies in: an archive keeps whole days."""
    return day_start(since.astimezone(archive.zone).date(), archive.zone)


@dataclass(slots=True)
class _Job:
    """One call of one profile in one run: what is to be done, and how far it is."""

    archive: Archive
    ledger: Ledger
    source: Source
    now: Callable[[], datetime]
    since: datetime | None
    lookback: timedelta
    shrink: bool
    only_holes: bool
    outcome: Outcome

    def present(self) -> datetime:
        """Return the present instant by the provider's clock, where that is known to be another one than ours."""
        return self.now() - self.source.difference

    def reach(self) -> Window:
        """Return from when and until when the provider can be asked."""
        at, call = self.present(), self.source.call
        until = available_until(call, at)
        oldest = retained_since(call, at) or datetime.min.replace(tzinfo=at.tzinfo)
        return Window(min(oldest, until - timedelta(seconds=1)), until)


@dataclass(slots=True)
class _Plan:
    """What a run is about to read, as of an instant.

    Args:
        at: The instant.
        begins: From when on the archive keeps the call.
        known: The readings so far by day, without those that cannot be believed.
        days: What is to be read.
        lost: The parts that are missing and that the provider no longer keeps.
    """

    at: datetime
    begins: datetime
    known: dict[str, list[Reading]]
    days: list[Day]
    lost: list[Window]


def sync(
    archive: Archive,
    ledger: Ledger,
    source: Source,
    now: Callable[[], datetime],
    *,
    since: datetime | None = None,
    lookback: timedelta | None = None,
    shrink: bool = False,
    only_holes: bool = False,
    adopt: bool = False,
    stop: Callable[[], bool] = lambda: False,
    outcome: Outcome | None = None,
) -> Outcome:
    """Read what is missing or may have changed of a call, day by day, and return what that did.

    A day that fails is written down as failed and does not stop the others, unless what failed will fail for all.
    Nothing is written before the first answer has shown whether the provider's clock agrees with ours; where it does
    not, everything goes by the provider's.

    Raises:
        OutputError: The archive cannot be written.
        ConfigurationError: The profile points to another account than the one whose records are there.
    """
    outcome = Outcome() if outcome is None else outcome
    call = source.call
    lookback = call.timing.lookback if lookback is None else lookback
    job = _Job(archive, ledger, source, now, since, lookback, shrink, only_holes, outcome)
    kept = _kept_call(job)
    if kept is not None and kept.provider not in {source.provider, ""}:
        raise ConfigurationError(
            f"the archive's {source.profile} is of {kept.provider}, and the profile is now of {source.provider}",
            hint="give the profile another name, or begin another archive",
        )
    ensure_owner(archive, source, job.reach(), job.present(), adopt=adopt)
    _forget_missing_files(job)
    _run(job, stop)
    if outcome.gone_on:
        count, named = sum(outcome.gone_on.values()), ", ".join(outcome.gone_on)
        source.log(
            "warning",
            f"no longer at the provider, and kept in the archive: {number_of_records(count)} of {named}; "
            "--allow-shrink removes what is gone",
        )
    return outcome


def _run(job: _Job, stop: Callable[[], bool]) -> None:
    """Read what is to be read, day by day."""
    source, outcome = job.source, job.outcome
    plan = _make_plan(job)
    begun = by_theirs = False
    total, number, in_a_row = len(plan.days), 0, 0
    left, last = deque(plan.days), None
    while left and not stop():
        day = left[0]
        _say_progress(source, outcome, number, total, plan.at, job.present())
        came: Fetched | None = None
        error: CdrctlError | None = None
        try:
            there = read_existing(job.archive, job.ledger, source, day, job.reach())
            came = fetch_entries(job.archive, source, there.window, job.present().replace(microsecond=0))
        except (OutputError, LockedError):
            raise
        except CdrctlError as failure:
            error = failure
        if source.difference and not by_theirs:
            by_theirs, by_ours, plan = True, plan, _make_plan(job)
            left, total = deque(plan.days), len(plan.days)
            _say_to_come(job, by_ours, plan)
            _record_plan(job, plan)
            begun = True
            continue
        if not begun:
            _record_plan(job, plan)
            begun = True
        left.popleft()
        number += 1
        if error is None and came is not None:
            try:
                _store(job, day, came, there, plan)
                in_a_row = 0
                continue
            except (OutputError, LockedError):
                raise
            except CdrctlError as failure:
                error = failure
        if error is not None:
            last = error
            _write_failure(job, day, plan, error)
            in_a_row = in_a_row + 1 if isinstance(error, TemporaryError) else 0
            if isinstance(error, SignInError | ConfigurationError) or in_a_row >= FAILURES_IN_A_ROW:
                outcome.error = error
                return
    if not begun:
        _record_plan(job, plan)
    if last is not None and not outcome.days:
        outcome.error = last


def _kept_call(job: _Job) -> KeptCall | None:
    source = job.source
    return next(
        (one for one in job.ledger.kept() if (one.profile, one.call) == (source.profile, source.call.name)), None
    )


def _known_beginning(job: _Job, at: datetime, readings: Mapping[str, Sequence[Reading]]) -> datetime | None:
    """Return from when on the archive keeps the call, or None where it does not yet.

    A beginning that a wrong clock chose is moved to where a first run would begin now: one that lies after now, or
    whose day was read by a clock that was ahead.
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


def _make_plan(job: _Job) -> _Plan:
    """Return the windows to be read, as of now; nothing is written."""
    call, at = job.source.call, job.present()
    readings = job.ledger.readings(job.source.profile, call.name)
    known = {day: replan_future(one, at) for day, one in readings.items()}
    begins = first_instant(job.archive, call, at, job.lookback, job.since, _known_beginning(job, at, readings))
    parts, lost = plan_days(
        begins,
        available_until(call, at),
        retained_since(call, at),
        known,
        job.archive,
        job.lookback,
        only_holes=job.only_holes,
        with_gone=job.shrink,
    )
    return _Plan(at, begins, known, parts, lost)


def _record_plan(job: _Job, plan: _Plan) -> None:
    """Write down what the run is about to do, so that what is never reached shows as missing, not as unknown."""
    source, name = job.source, job.source.call.name
    job.ledger.keep(KeptCall(source.profile, name, source.provider, plan.begins))
    job.outcome.lost = _newly_lost(job.archive, job.ledger, source, plan.lost, plan.known, plan.at)
    if source.ahead() is not None:  # by two clocks: what was read after now was not
        before_now = job.ledger.readings(source.profile, name)
        for day_name, readings in plan.known.items():
            if readings != before_now.get(day_name, []):
                job.ledger.write(source.profile, name, day_name, readings, None, plan.at)
    for day in plan.days:
        old = plan.known.get(day.name, [])
        new = add_reading(old, Reading(day.window, "planned"))
        if new != old:
            job.ledger.write(source.profile, name, day.name, new, None, plan.at)
            plan.known[day.name] = new


def _say_to_come(job: _Job, ours: _Plan, theirs: _Plan) -> None:
    """Count as failed the days that are over by this machine's clock, and not by the provider's."""
    until, over = available_until(job.source.call, theirs.at), available_until(job.source.call, ours.at)
    for day in ours.days:
        if until < day.window.until < over:
            job.outcome.failed[day.name] = (
                f"by the provider's clock it is {rfc3339(theirs.at.replace(microsecond=0))}: the calls after that are "
                "to come; set this machine's clock right"
            )


def _store(job: _Job, day: Day, came: Fetched, there: Existing, plan: _Plan) -> None:
    """Write what came of a day, and count it."""
    source, outcome = job.source, job.outcome
    reach = job.reach()
    part = overlap(came.window, reach) if source.difference else came.window
    if part is None:
        raise ConfigurationError("by the provider's clock nothing of this day has happened")
    came = replace(came, window=part, read_at=min(came.read_at, job.present().replace(microsecond=0)))
    old = there.old
    check_records(job.archive, source, came, old.entries if old else [], old.header if old else b"")
    readings = plan.known.get(day.name, [])
    done_with = store_day(job.archive, job.ledger, source, day.name, came, there, readings, shrink=job.shrink)
    counts, tally = done_with.counts, came.tally
    outcome.days += 1
    outcome.fetched += tally.records
    outcome.pages += tally.pages
    outcome.duplicate += tally.duplicates
    outcome.new += counts.new
    outcome.late += counts.late
    outcome.changed += counts.changed
    outcome.gone += counts.gone
    if done_with.gone:
        outcome.gone_on[day.name] = done_with.gone
    if done_with.error:
        outcome.failed[day.name] = done_with.error
        if not tally.gaps and not done_with.gone:  # what these have said already, or will at the end
            source.log("warning", f"{day.name}: {done_with.error}")
    source.log("day", f"{day.name}: {_words(tally.records, counts)}")


def _write_failure(job: _Job, day: Day, plan: _Plan, error: CdrctlError) -> None:
    source = job.source
    said = "; ".join(filter(None, (error.message, error.said and f"the provider said: {error.said}")))
    words = source.clean(said)
    job.outcome.failed[day.name] = words
    failed = Reading(day.window, "failed", job.present(), 0, words)
    readings = add_reading(plan.known.get(day.name, []), failed)
    job.ledger.write(source.profile, source.call.name, day.name, readings, None, job.present())
    source.log("warning", f"{day.name} failed: {words}")


def _newly_lost(
    archive: Archive,
    ledger: Ledger,
    source: Source,
    lost: Sequence[Window],
    known: dict[str, list[Reading]],
    now: datetime,
) -> list[Window]:
    """Write down what the provider no longer keeps, and return what of it was not written down before."""
    told_before = [one.window for readings in known.values() for one in readings if one.error == BEYOND]
    new = subtract(lost, told_before)
    for window in new:
        for day, part in days(window, archive.zone):
            readings = add_reading(known.get(day.isoformat(), []), Reading(part, "failed", None, 0, BEYOND))
            known[day.isoformat()] = readings
            ledger.write(source.profile, source.call.name, day.isoformat(), readings, None, now)
        source.log(
            "warning",
            f"from {rfc3339(window.since)} to {rfc3339(window.until)} the provider keeps no calls any more: "
            "they can no longer be read",
        )
    return new


def _forget_missing_files(job: _Job) -> None:
    """Take back what the ledger says of days whose file is gone: they are read again, whole."""
    ledger, source = job.ledger, job.source
    for filed in ledger.files():
        if (filed.profile, filed.call) != (source.profile, source.call.name):
            continue
        path = job.archive.folder / filed.path
        with writing_archive(path):
            if is_there(path):
                continue
        readings = ledger.readings(filed.profile, filed.call).get(filed.day, [])
        if any(one.state == "done" for one in readings):
            source.log("warning", f"{filed.path} is gone: its day is read again")
            planned = [replace(one, state="planned", read_at=None, records=0) for one in readings]
            ledger.write(filed.profile, filed.call, filed.day, planned, None, job.present())


def _say_progress(source: Source, outcome: Outcome, number: int, total: int, begun: datetime, now: datetime) -> None:
    if number:
        ends = now + (now - begun) / number * (total - number)
        source.log("progress", f"day {number + 1} of {total}, until about {ends:%H:%M} UTC, {outcome.fetched} records")
    else:
        source.log("progress", f"day 1 of {total}")


def _words(fetched: int, counts: Counts) -> str:
    facts = {"new": counts.new, "late": counts.late, "changed": counts.changed, "gone": counts.gone}
    return ", ".join([f"{fetched} fetched", *(f"{value} {name}" for name, value in facts.items() if value)])
