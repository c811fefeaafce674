"""Bring an archive up to date: profiles side by side, and what is said at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdrctl import windows
from cdrctl.cli import failures
from cdrctl.cli.connecting import SANDBOX, refuse_dry_run, the_clock
from cdrctl.cli.export import Part, connect_part, selected_parts, usual_options
from cdrctl.cli.profile_selection import Selection
from cdrctl.cli.run import Session
from cdrctl.errors import IncompleteError, UsageError, did_you_mean
from cdrctl.export.fetching import fetch_window
from cdrctl.fetchers import Call
from cdrctl.threads import started

if TYPE_CHECKING:
    from cdrctl.archive.ledger import Ledger
    from cdrctl.archive.store import Archive
    from cdrctl.archive.sync import Outcome


POLL_SECONDS = 0.2


@dataclass(slots=True)
class Job:
    """One call of one profile in a run: under which name it is kept, and what became of it."""

    part: Part
    name: str
    call: Call
    outcome: Any
    error: BaseException | None = None
    requests: int = 0

    @property
    def about(self) -> dict[str, str]:
        """What it is of, as said in messages."""
        provider = self.part.provider.name if self.part.provider else ""
        return {"profile": self.name, "provider": provider, "call": self.call.name}


def run_sync(
    session: Session,
    selection: Selection,
    into: str,
    calls: Sequence[str] | None,
    since: str | None,
    lookback: str | None,
    tz: str | None,
    form: str | None,
    *,
    shrink: bool,
    adopt: bool,
    only_holes: bool,
) -> None:
    """Bring an archive up to date, and say at the end what was done."""
    from cdrctl.archive.index import reading_archive
    from cdrctl.archive.ledger import NAME as LEDGER, Ledger, lock
    from cdrctl.archive.store import (
        check_folder,
        check_format,
        day_files,
        is_there,
        make_folder,
        open_or_create,
        writing_archive,
    )

    started = time.monotonic()
    folder = Path(into)
    refuse_dry_run(session)
    check_format(form)
    back = windows.duration(lookback) if lookback is not None else None
    zone = windows.zone(tz) if tz else None
    clock = the_clock(session)
    if since is not None:
        windows.instant(since, zone=zone or windows.zone("UTC"), now=clock.now())
    parts = selected_parts(session, selection)
    jobs = jobs_for(parts, calls)
    session.reporter.data_elsewhere = True
    session.reporter.left_behind = "what was finished stays; run it again to go on"
    with ExitStack() as stack:
        with writing_archive(folder):
            check_folder(folder)  # what is refused stays as it was, without a lock in it
            make_folder(folder)
        stack.enter_context(lock(folder))
        archive = open_or_create(folder, tz, form)
        begins = None
        if since is not None:
            begins = windows.instant(since, zone=archive.zone, now=clock.now())
        with reading_archive(folder):
            begins_anew = not is_there(folder / LEDGER) and not day_files(archive)
        book = Ledger(folder, new=begins_anew)
        stack.callback(book.close)
        for part in parts:
            connect_part(session, part, stack)
        _side_by_side(session, archive, book, jobs, begins, back, shrink=shrink, adopt=adopt, only_holes=only_holes)
    for job in jobs:
        _report(session, job)
    facts = _facts([job.outcome for job in jobs])
    requests = sum(part.profile.client.requests for part in parts if part.profile and part.profile.client)
    session.reporter.summary({**facts, "requests": requests, "seconds": round(time.monotonic() - started, 1)})
    _conclude(session, parts, jobs)


def jobs_for(parts: Sequence[Part], calls: Sequence[str] | None) -> list[Job]:
    """Return the jobs of a sync: for each profile the named calls that its provider has, or its main call."""
    from cdrctl.archive.sync import Outcome

    jobs: list[Job] = []
    for part in parts:
        if part.provider is None:
            continue
        name = f"{part.name}-{part.provider.name}" if part.name == SANDBOX else part.name
        kept = {call.name: call for call in part.provider.calls if call.windowed and not call.group}
        for one in calls or [part.provider.calls[0].name]:
            if one in kept:
                jobs.append(Job(part, name, kept[one], Outcome()))
            elif len({other.provider.name for other in parts if other.provider}) == 1:
                raise UsageError(
                    f"{part.provider.title} has no call {one!r} that an archive can keep",
                    hint=f"{did_you_mean(one, kept)}its calls are: {', '.join(kept)}",
                )
    if calls and not jobs:
        every = {call.name for part in parts if part.provider for call in part.provider.calls if call.windowed}
        raise UsageError(
            f"none of these profiles has a call {', '.join(calls)}",
            hint=f"{did_you_mean(calls[0], sorted(every))}their calls are: {', '.join(sorted(every))}",
        )
    return jobs


def _side_by_side(
    session: Session,
    archive: Archive,
    book: Ledger,
    jobs: Sequence[Job],
    since: datetime | None,
    lookback: timedelta | None,
    *,
    shrink: bool,
    adopt: bool,
    only_holes: bool,
) -> None:
    """Read all profiles at the same time, the calls of each one after the other."""
    from cdrctl.archive import sync as syncing
    from cdrctl.archive.fetching import Source
    from cdrctl.cli.account import account_of

    enough = threading.Event()
    now = the_clock(session).now

    def run(job: Job) -> None:
        part, call = job.part, job.call
        assert part.profile is not None  # noqa: S101 - it was connected
        assert part.provider is not None  # noqa: S101
        log = _teller(session, f"{job.name} {call.name}")
        profile, title = part.profile.with_log(log), part.provider.title
        query = profile.query(usual_options(session, call))

        def fetch(window: windows.Window) -> Iterator[Any]:
            return fetch_window(call, replace(query, period=window), now(), title)

        def ahead() -> timedelta | None:
            return profile.client.ahead if profile.client is not None else None

        assert profile.settings is not None  # noqa: S101 - it was connected
        account = account_of(part.provider, profile.settings, sandbox=part.name == SANDBOX)
        try:
            syncing.sync(
                archive,
                book,
                Source(job.name, part.provider.name, call, fetch, log, session.reporter.clean, ahead, account),
                now,
                since=since,
                lookback=lookback,
                shrink=shrink,
                only_holes=only_holes,
                adopt=adopt,
                stop=enough.is_set,
                outcome=job.outcome,
            )
        except BaseException as error:  # noqa: BLE001 - said by the thread that everyone hears
            job.error = error
        job.error = job.error or job.outcome.error

    def one_after_the_other(own: Sequence[Job]) -> None:
        for job in own:
            if not enough.is_set():
                run(job)

    threads = []
    for part in {id(job.part): job.part for job in jobs if job.part.profile is not None}.values():
        own = [job for job in jobs if job.part is part]
        threads.append(
            threading.Thread(target=one_after_the_other, args=(own,), name=f"cdrctl-sync-{own[0].name}", daemon=True)
        )
    try:
        for thread in threads:
            started([thread])
        for thread in threads:
            while thread.is_alive():
                thread.join(POLL_SECONDS)
    finally:
        enough.set()


def _teller(session: Session, about: str) -> Callable[[str, str], None]:
    """Return how a job says things: each line begins with what it is of; on a terminal a day is no line of its own."""
    said: set[str] = set()

    def log(level: str, text: str) -> None:
        if level in {"note", "warning"}:
            if text in said:  # as it may be for every day
                return
            said.add(text)
        if level == "day":
            level = "debug" if session.process.stderr_is_terminal else "result"
        session.reporter.log(level, f"{about}: {text}")

    return log


def _facts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    names = ("days", "fetched", "new", "late", "changed", "gone", "duplicate")
    return {name: sum(getattr(outcome, name) for outcome in outcomes) for name in names}


def _report(session: Session, job: Job) -> None:
    facts: dict[str, Any] = _facts([job.outcome])
    if job.outcome.failed:
        facts["failed days"] = len(job.outcome.failed)
    session.reporter.summary(facts, job.about)


def _errors(parts: Sequence[Part], jobs: Sequence[Job]) -> dict[str, BaseException]:
    """Return the error of each profile that failed, by its title; of several calls of one, the first that failed."""
    found = {part.title: part.error for part in parts if part.error is not None}
    for job in jobs:
        if job.error is not None:
            found.setdefault(job.part.title, job.error)
    return found


def _conclude(session: Session, parts: Sequence[Part], jobs: Sequence[Job]) -> None:
    """Say why profiles failed, and raise what the exit code must say.

    Raises:
        CdrctlError: A profile failed, or the archive is incomplete.
    """
    errors = _errors(parts, jobs)
    failures.show(session.reporter, [*errors.items()], len(parts))
    good = [job for job in jobs if job.error is None]
    failed = [f"{job.name} {day}" for job in good for day in job.outcome.failed if day not in job.outcome.gone_on]
    gone = [f"{job.name} {day} ({count})" for job in good for day, count in job.outcome.gone_on.items()]
    lost = [f"{job.name}" for job in jobs if job.outcome.lost]
    if errors:
        raise failures.failure([*errors.items()], len(parts), gaps=bool(failed or gone or lost))
    if failed or gone or lost:
        what = [f"days that could not be had: {failures.some(failed)}"] if failed else []
        what += [f"records gone at the provider: {failures.some(gone)}"] if gone else []
        what += [f"beyond what the provider keeps: {failures.some(lost)}"] if lost else []
        raise IncompleteError(
            f"the archive is incomplete: {'; '.join(what)}",
            hint=_next_step(failed=bool(failed), gone=bool(gone)),
        )


def _next_step(*, failed: bool, gone: bool) -> str:
    """Return the next step for an incomplete archive."""
    if failed:
        return "run it again; cdrctl coverage shows what is missing"
    if gone:
        return "they are kept; ask the provider why, or run cdrctl sync --allow-shrink to let them go"
    return "cdrctl coverage shows it"
