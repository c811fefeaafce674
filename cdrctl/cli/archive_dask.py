"""`--dask` of sync and fill: units as tasks of a Dask cluster."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cdrctl import __version__
from cdrctl.archive.places import is_url
from cdrctl.cli.archive_jobs import Job
from cdrctl.cli.run import Session
from cdrctl.errors import TemporaryError
from cdrctl.units.job import SyncJob, SyncResult, UnitError

if TYPE_CHECKING:
    from cdrctl.archive.store import Archive
    from cdrctl.cli.archive_run import Wanted
    from cdrctl.units.syncing import Sync


def sync_on_dask(
    session: Session, archive: Archive, how: Sync, wanted: Wanted, profiles: Sequence[Sequence[Job]], address: str
) -> None:
    """Sync profiles on a cluster; what was done, and what went wrong, is kept in their jobs.

    Args:
        session: The running command.
        archive: The archive, which all workers see at the same place.
        how: How to bring it up to date.
        wanted: What the command line says.
        profiles: The jobs of each profile.
        address: The address of the scheduler.

    Raises:
        ConfigurationError: The cluster cannot be used, or has another version of cdrctl.
        TemporaryError: There is no cluster, or it went away.
    """
    from cdrctl.units.on_dask import check_versions, connected_cluster, do_on_cluster

    log = session.reporter.log
    with connected_cluster(address) as client, _mark(archive) as mark:
        for text in check_versions(client):
            log("warning", text)
        jobs = {_unit(session, archive, how, wanted, own, mark): own for own in profiles}
        results = do_on_cluster(client, _chains(session, jobs), log)
        for ended, (unit, result) in enumerate(results, 1):
            for level, text in result.messages:
                log(level, text)
            keep_result(jobs[unit], result)
            log("progress", f"{ended} of {len(jobs)} profiles done")


@contextmanager
def _mark(archive: Archive) -> Iterator[str]:
    """Yield the name of the run, and of a file that a folder has meanwhile: who lacks it has another archive there."""
    from cdrctl.archive.opening import make_folder
    from cdrctl.archive.store import writing_archive
    from cdrctl.units.opening import mark_path

    name = secrets.token_hex(8)
    if is_url(str(archive.folder)):  # the same URL is the same archive everywhere
        yield name
        return
    path = mark_path(archive.folder, name)
    with writing_archive(archive.folder):
        make_folder(path.parent)
        path.touch()
    try:
        yield name
    finally:
        with suppress(OSError):  # a mark that is left does no harm
            path.unlink(missing_ok=True)


def _unit(session: Session, archive: Archive, how: Sync, wanted: Wanted, own: Sequence[Job], mark: str) -> SyncJob:
    """Return a profile as a unit: names and options, and nothing of its settings."""
    from cdrctl.profiles.file import config_path
    from cdrctl.windows import rfc3339

    part = own[0].part
    typed = session.config != config_path(session.process.environ, None)
    wait = session.max_wait
    return SyncJob(
        archive=str(archive.folder if is_url(str(archive.folder)) else archive.folder.absolute()),
        mark=mark,
        profile=part.name,
        provider=part.provider.name if part.provider else None,
        config=str(session.config.absolute()) if typed else None,
        calls=tuple(one.call.name for one in own) if wanted.calls else (),
        since=rfc3339(how.since) if how.since is not None else None,
        lookback=wanted.lookback,
        sweep=wanted.sweep,
        max_wait=f"{wait.total_seconds():.0f}s" if wait is not None else None,
        only_missing=how.only_holes,
        allow_shrink=how.shrink,
        adopt=how.adopt,
        with_calls=wanted.with_calls,
        by_day=how.by_day,
        version=__version__,
    )


def _chains(session: Session, jobs: dict[SyncJob, Sequence[Job]]) -> list[list[SyncJob]]:
    """Return the units of each credential. No secret is read for it, and what tells credentials apart stays here."""
    from cdrctl.profiles.shards import credential_digest

    chains: dict[bytes | str, list[SyncJob]] = {}
    for unit, own in jobs.items():
        part = own[0].part
        about: bytes | str = own[0].name
        if part.written is not None and part.provider is not None:
            about = credential_digest(part.written, part.provider.settings, session.process.environ)
        chains.setdefault(about, []).append(unit)
    return [*chains.values()]


def keep_result(own: Sequence[Job], result: SyncResult) -> None:
    """Keep the result of a unit in its jobs, as if this process had done it."""
    own[0].part.requests_elsewhere = result.requests
    if result.problem is not None:
        problem = result.problem
        if result.host:
            message = f"on the worker {result.host}: {problem.message}"
            problem = type(problem)(problem.code, message, problem.said, problem.hint)
        own[0].part.error = UnitError(problem)
        return
    done = {one.call: one for one in result.calls}
    for job in own:
        one = done.get(job.call.name)
        if one is None:
            job.error = TemporaryError(
                f"the worker {result.host} did not read {job.call.name}",
                hint="archive.toml may have changed meanwhile: run the command again",
            )
            continue
        job.outcome, job.ended = one.outcome, one.ended
        job.error = UnitError(one.problem) if one.problem is not None else None
