"""`cdrctl sync` and `fill`: bring an archive up to date, several profiles in parallel."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cdrctl import windows
from cdrctl.cli.archive_calls import store_calls, stores_calls
from cdrctl.cli.archive_jobs import Job, jobs_for, warn_of_unknown_profiles
from cdrctl.cli.archive_summary import are_many, conclude, report
from cdrctl.cli.connecting import SANDBOX, open_call, the_clock
from cdrctl.cli.export import connect_part, selected_parts
from cdrctl.cli.profile_selection import Selection
from cdrctl.cli.run import Session
from cdrctl.cli.run_reports import Run
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.export.fetching import OpenCall, fetch_window
from cdrctl.export.request import ExportRequest
from cdrctl.fetchers import Known
from cdrctl.records.events import Event, Record
from cdrctl.threads import merge

if TYPE_CHECKING:
    from cdrctl.archive.fetching import Source
    from cdrctl.archive.ledgers import AnyLedger
    from cdrctl.archive.options import CallOptions
    from cdrctl.archive.store import Archive


class Sync(Struct, frozen=True):
    """How to bring an archive up to date.

    Args:
        since: From when on to keep calls; None to go on as before.
        lookback: How long after a call to read it again; None for the call's own value.
        sweep: How long before that to read settled days again; None for the policy of the archive.
        shrink: Remove records that are gone at the provider.
        adopt: Accept that a profile points to another account than before.
        only_holes: Read only what is missing.
        with_calls: Store whole calls, whatever the archive says.
        by_day: Whether each day has a line of its own in a log.
        parallel: How many profiles to sync in parallel, which limits threads, connections and memory.
    """

    since: datetime | None
    lookback: timedelta | None
    sweep: timedelta | None
    shrink: bool
    adopt: bool
    only_holes: bool
    with_calls: bool
    by_day: bool
    parallel: int


def run_sync(
    session: Session,
    selection: Selection,
    into: str,
    calls: Sequence[str] | None,
    since: str | None,
    lookback: str | None,
    sweep: str | None,
    tz: str | None,
    form: str | None,
    *,
    shrink: bool,
    adopt: bool,
    only_holes: bool,
    with_calls: bool,
    parallel: int,
    run: Run,
) -> None:
    """Bring an archive up to date, and report at the end what was done; `run` is filled in for its reports."""
    from cdrctl.archive.store import check_format

    started = time.monotonic()
    check_format(form)
    back, again = (windows.duration(one) if one is not None else None for one in (lookback, sweep))
    zone, now = windows.zone(tz or "UTC"), the_clock(session).now()
    if since is not None:
        windows.instant(since, zone=zone, now=now)
    run.parts = parts = selected_parts(session, selection)
    if not parts:
        session.reporter.log("note", "all profiles are in other shards: there is nothing to do in this one")
    run.jobs = jobs = jobs_for(parts, calls, Path(into))
    warn_of_unknown_profiles(session, Path(into), jobs)
    session.reporter.data_elsewhere = True
    session.reporter.left_behind = "finished days are kept; run it again to go on"
    with ExitStack() as opened:
        archive, ledger = _open_archive(Path(into), tz, form, opened)
        begins = windows.instant(since, zone=archive.zone, now=now) if since is not None else None
        by_day = session.reporter.as_json or not (session.process.stderr_is_terminal or are_many(jobs))
        stored = stores_calls(archive, asked=with_calls)
        how = Sync(begins, back, again, shrink, adopt, only_holes, stored, by_day, parallel)
        _sync_in_parallel(session, archive, ledger, jobs, how, opened)
    requests = sum(part.profile.client.requests for part in parts if part.profile and part.profile.client)
    report(session, parts, jobs, requests, round(time.monotonic() - started, 1))
    conclude(parts, jobs)


def _open_archive(folder: Path, tz: str | None, form: str | None, opened: ExitStack) -> tuple[Archive, AnyLedger]:
    """Return the archive in a folder, created if need be, and its ledger.

    An archive of the first layout is locked as a whole; in others, each call has a lock of its own.
    """
    from cdrctl.archive.index import reading_archive
    from cdrctl.archive.ledger import lock
    from cdrctl.archive.ledgers import creation_lock, open_ledger
    from cdrctl.archive.store import FIRST_LAYOUT, check_folder, is_there, make_folder, open_or_create, writing_archive

    with writing_archive(folder):
        check_folder(folder)  # a folder that is refused stays as it was
        make_folder(folder)
    with reading_archive(folder):
        is_new = not is_there(folder / "archive.toml")
    with creation_lock(folder) if is_new else nullcontext():
        archive = open_or_create(folder, tz, form)
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


def _sync_in_parallel(
    session: Session, archive: Archive, ledger: AnyLedger, jobs: Sequence[Job], how: Sync, opened: ExitStack
) -> None:
    """Sync profiles in parallel, and the calls of each in order.

    A profile is connected when its turn comes, and disconnected afterwards; `opened` does that if a run is interrupted.
    """
    enough, connecting = threading.Event(), threading.Lock()

    def sync_profile(own: Sequence[Job]) -> Sequence[None]:
        if enough.is_set():
            return ()
        with ExitStack() as profile:
            with connecting:  # one password command, or keyring, at a time
                connect_part(session, own[0].part, profile)
                opened.callback(profile.close)
            for job in own:
                if not enough.is_set() and job.part.profile is not None:
                    _sync_job(session, archive, ledger, job, how, enough.is_set)
            if not enough.is_set():
                store_calls(session, archive, ledger, own, always=how.with_calls)
        return ()

    by_part: dict[int, list[Job]] = {}
    for job in jobs:
        if job.part.error is None:
            by_part.setdefault(id(job.part), []).append(job)
    tasks = [functools.partial(sync_profile, own) for own in by_part.values()]
    for _ in merge(tasks, how.parallel, stop=enough, name="cdrctl-sync"):
        pass


def _sync_job(
    session: Session, archive: Archive, ledger: AnyLedger, job: Job, how: Sync, stop: Callable[[], bool]
) -> None:
    """Sync one call of one profile; an error is kept in the job."""
    from cdrctl.archive import sync as syncing
    from cdrctl.archive.ledgers import call_lock

    log = _labelled_log(session, f"{job.name} {job.call.name}", by_day=how.by_day)
    source, opened = _open_source(session, archive, job, log)
    try:
        with call_lock(archive, job.name, job.call.name):
            syncing.sync(
                archive,
                ledger,
                source,
                opened.now,
                since=how.since,
                lookback=how.lookback,
                sweep=how.sweep,
                shrink=how.shrink,
                only_holes=how.only_holes,
                adopt=how.adopt,
                optional=job.beside,
                stop=stop,
                outcome=job.outcome,
            )
            _note_not_offered(archive, ledger, job, log)
            if not how.only_holes and job.outcome.error is None and not stop():
                _apply_retention(archive, ledger, job, opened, log)
    except BaseException as error:  # noqa: BLE001 - raised at the end, in the main thread
        job.error = error
    job.error = job.error or job.outcome.error
    job.ended = not stop() or job.error is not None


def _open_source(
    session: Session, archive: Archive, job: Job, log: Callable[[str, str], None]
) -> tuple[Source, OpenCall]:
    """Return a call of a profile as an archive reads it, and ready for requests."""
    from cdrctl.archive.fetching import Source
    from cdrctl.cli.account import account_of

    part, options = job.part, job.options
    assert part.profile is not None  # noqa: S101 - it was connected
    assert part.provider is not None  # noqa: S101
    assert part.profile.settings is not None  # noqa: S101
    assert options is not None  # noqa: S101 - `jobs_for` sets them
    profile = part.profile.with_log(log)
    opened = open_call(session, part.provider, job.call, profile, ExportRequest(), options.values, log)
    fetch = functools.partial(_fetch, opened, archive, options)
    account = account_of(part.provider, part.profile.settings, sandbox=part.name == SANDBOX)
    clean, provider = session.reporter.clean, part.provider.name
    source = Source(job.name, provider, job.call, fetch, log, clean, opened.ahead, account, options.text, fetch)
    return source, opened


def _note_not_offered(archive: Archive, ledger: AnyLedger, job: Job, log: Callable[[str, str], None]) -> None:
    """Store whether the provider has a call, and say so once if it has not."""
    from cdrctl.archive.not_offered import is_offered, store_not_offered, store_offered

    why = job.outcome.not_offered
    if not why:
        store_offered(archive, job.name, job.call.name)
    elif is_offered(archive, job.name, job.call.name):
        log("note", f"{why}: it is not archived")
        store_not_offered(archive, ledger, job.name, job.call.name, why)


def _nothing_known(_record: Record, _context: Mapping[str, str]) -> None:
    """Return that the archive has no details of a record."""


def _fetch(
    opened: OpenCall, archive: Archive, options: CallOptions, window: windows.Window, known: Known = _nothing_known
) -> Iterator[Event]:
    """Yield the events of a window, without requests for details that are known.

    Raises:
        ConfigurationError: The provider, or its fetcher, does not accept an option in `archive.toml`.
    """
    from cdrctl.archive.options import wants_details
    from cdrctl.http.workers import release_buffers

    raw = not wants_details(opened.call, options.text)  # an unchanged response need not be converted
    try:
        yield from fetch_window(replace(opened, query=replace(opened.query, known=known)), window, raw=raw, lines=False)
    except UsageError as error:
        if not options.where:
            raise
        raise ConfigurationError(
            f"{archive.folder / 'archive.toml'}: {error.message}, in {options.where}", said=error.said, hint=error.hint
        ) from error
    finally:
        release_buffers()  # the day is merged and written before the next window is requested


def _apply_retention(
    archive: Archive, ledger: AnyLedger, job: Job, opened: OpenCall, log: Callable[[str, str], None]
) -> None:
    """Remove the days of a call that are older than the policy in `archive.toml` allows, by the provider's clock."""
    from cdrctl.archive.ledger2 import JsonLedger
    from cdrctl.archive.retain import first_day_kept, retire

    ahead, kept, days = opened.ahead(), ledger.kept_call(job.name, job.call.name), archive.settings.retain_days
    if days is None or kept is None:
        return
    if not isinstance(ledger, JsonLedger):
        log("warning", "[retain] in archive.toml needs the present layout: cdrctl archive convert")
    elif ahead is not None:  # a clock alone could remove too much
        found = retire(archive, ledger, kept, first_day_kept(archive, opened.now() - ahead, days))
        if found.days:
            log("result", f"{found.days} days before {found.before} are retired: {found.records} records removed")


def _labelled_log(session: Session, about: str, *, by_day: bool) -> Callable[[str, str], None]:
    """Return the log of a job: each line begins with its name, and a day has a line of its own if `by_day`."""
    logged: set[str] = set()

    def log(level: str, text: str) -> None:
        if level in {"note", "warning"}:
            if text in logged:  # each day may report the same
                return
            logged.add(text)
        if level == "day":
            level = "result" if by_day else "debug"
        session.reporter.log(level, f"{about}: {text}")

    return log
