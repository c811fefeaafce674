"""`cdrctl sync` and `fill`: bring an archive up to date, several profiles in parallel."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from msgspec import Struct

from cdrctl import windows
from cdrctl.archive.places import place_of
from cdrctl.archive.store import FIRST_LAYOUT, check_format
from cdrctl.cli.archive_jobs import Job, jobs_for, warn_of_unknown_profiles
from cdrctl.cli.archive_summary import are_many, conclude, report, requests_of
from cdrctl.cli.connecting import surroundings, the_clock
from cdrctl.cli.export import connect_part, selected_parts
from cdrctl.cli.profile_selection import Selection
from cdrctl.cli.run import Session
from cdrctl.cli.run_reports import Run
from cdrctl.errors import UsageError
from cdrctl.threads import merge, share_heaps
from cdrctl.units.opening import CONVERT, open_to_sync, stores_calls
from cdrctl.units.syncing import Sync, Target, sync_calls


class Wanted(Struct, frozen=True):
    """What the command line says of a sync, as it was typed.

    Args:
        into: The archive.
        calls: The calls; empty for those that the archive keeps.
        since: From when on to keep calls.
        lookback: How long after a call to read it again.
        sweep: How long before that to read settled days again.
        tz: The zone of a new archive.
        form: The format of a new archive.
        shrink: Remove records that are gone at the provider.
        adopt: Accept that a profile points to another account than before.
        only_holes: Read only what is missing.
        with_calls: Store whole calls, whatever the archive says.
        parallel: How many profiles to sync in parallel, which limits threads, connections and memory.
        dask: The address of a Dask scheduler whose workers do the work; None for threads of this process.
    """

    into: str
    calls: Sequence[str] = ()
    since: str | None = None
    lookback: str | None = None
    sweep: str | None = None
    tz: str | None = None
    form: str | None = None
    shrink: bool = False
    adopt: bool = False
    only_holes: bool = False
    with_calls: bool = False
    parallel: int = 8
    dask: str | None = None


def run_sync(session: Session, selection: Selection, wanted: Wanted, run: Run) -> None:
    """Bring an archive up to date, and report at the end what was done; `run` is filled in for its reports."""
    started, into = time.monotonic(), place_of(wanted.into)
    check_format(wanted.form)
    if wanted.dask is not None and "jobs" in session.typed:
        raise UsageError(
            "--jobs and --dask cannot be combined",
            hint="leave --jobs out: each worker of Dask has its own number of threads",
        )
    back = windows.duration(wanted.lookback, "--lookback") if wanted.lookback is not None else None
    again = windows.duration(wanted.sweep, "--sweep") if wanted.sweep is not None else None
    zone, now = windows.zone(wanted.tz or "UTC"), the_clock(session).now()
    if wanted.since is not None:
        windows.instant(wanted.since, zone=zone, now=now)
    run.parts = parts = selected_parts(session, selection)
    if not parts:
        session.reporter.log("note", "all profiles are in other shards: there is nothing to do in this one")
    run.jobs = jobs = jobs_for(parts, wanted.calls, into)
    warn_of_unknown_profiles(session, into, jobs)
    session.reporter.data_elsewhere = True
    session.reporter.left_behind = "finished days are kept; run the command again to continue"
    with ExitStack() as opened:
        archive, ledger = open_to_sync(into, wanted.tz, wanted.form, opened)
        if wanted.dask is not None and archive.layout == FIRST_LAYOUT:
            raise UsageError("--dask needs the current layout", hint=CONVERT)
        how = Sync(
            windows.instant(wanted.since, zone=archive.zone, now=now) if wanted.since is not None else None,
            back,
            again,
            wanted.shrink,
            wanted.adopt,
            wanted.only_holes,
            stores_calls(archive, asked=wanted.with_calls),
            session.reporter.as_json or not (session.process.stderr_is_terminal or are_many(jobs)),
        )
        if wanted.dask is not None:
            from cdrctl.cli.archive_dask import sync_on_dask

            sync_on_dask(session, archive, how, wanted, by_profile(jobs), wanted.dask)
        else:
            stop = threading.Event()
            target = Target(archive, ledger, how, session.reporter.clean, stop.is_set)
            _sync_in_parallel(session, target, jobs, wanted.parallel, stop, opened)
    report(session, parts, jobs, requests_of(parts), round(time.monotonic() - started, 1))
    conclude(parts, jobs)


def by_profile(jobs: Iterable[Job]) -> list[list[Job]]:
    """Return the jobs of each profile that can be used."""
    found: dict[int, list[Job]] = {}
    for job in jobs:
        if job.part.error is None:
            found.setdefault(id(job.part), []).append(job)
    return [*found.values()]


def _sync_in_parallel(
    session: Session, target: Target, jobs: Sequence[Job], parallel: int, stop: threading.Event, opened: ExitStack
) -> None:
    """Sync profiles in parallel, each as one unit.

    A profile is connected when its turn comes, and disconnected afterwards; `opened` does that if a run is interrupted.
    """
    share_heaps()
    connecting, around = threading.Lock(), surroundings(session)

    def sync_profile(own: Sequence[Job]) -> Sequence[None]:
        if stop.is_set():
            return ()
        part = own[0].part
        with ExitStack() as profile:
            with connecting:  # one password command, or keyring, at a time
                connect_part(session, part, profile)
                opened.callback(profile.close)
            if part.profile is not None and part.provider is not None:
                sync_calls(around, target, part.provider, part.profile, own)
        return ()

    tasks = [functools.partial(sync_profile, own) for own in by_profile(jobs)]
    for _ in merge(tasks, parallel, stop=stop, name="cdrctl-sync"):
        pass
