"""`sync_unit`: one unit of a sync on any machine, with plain values in and out."""

from __future__ import annotations

import functools
import os
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from cdrctl import PROVIDERS, __version__, windows
from cdrctl.archive.places import is_url
from cdrctl.archive.run_report import Problem
from cdrctl.connecting import SANDBOX, Connected, Surroundings, connected, is_dry_run
from cdrctl.errors import ConfigurationError, IncompleteError, UsageError, most_urgent
from cdrctl.fetchers import Provider, load
from cdrctl.http import Clock, Outages
from cdrctl.masking import printable, proxy_secrets, secret_mask
from cdrctl.profiles.choosing import choose_profile
from cdrctl.profiles.file import Profile, config_path, read_profiles
from cdrctl.profiles.settings import written_secrets
from cdrctl.units.job import CallDone, SyncJob, SyncResult, problem_of
from cdrctl.units.opening import archived_name, check_mark, open_to_sync, runs_of, stores_calls
from cdrctl.units.syncing import CallRun, Log, Sync, Target, sync_calls

KEPT_LEVELS = frozenset({"note", "warning", "result"})
"""The levels of messages that are part of a result."""

_CONNECTING = threading.Lock()
"""One password command, or keyring, at a time."""


class _Unit(Struct):
    """A job that is being done.

    Args:
        job: The job.
        around: The program around it.
        clean: Returns a text without secrets and control characters.
        stop: Tells whether to stop after the day that is being read.
        name: The name under which the archive keeps the profile.
        profile: The profile, once it is ready for requests.
        runs: Its calls, once they are known.
    """

    job: SyncJob
    around: Surroundings
    clean: Callable[[str], str]
    stop: Callable[[], bool]
    name: str
    profile: Connected | None = None
    runs: list[CallRun] = field(default_factory=list)


def sync_unit(
    job: SyncJob,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    log: Log | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> SyncResult:
    """Bring the calls of one profile up to date in an archive, and return an exit code, counts and messages.

    The function reads the configuration file and the secrets of the machine that it runs on. It raises no error for
    failures: the result has their exit code and message. A job that is done twice changes nothing, so a job whose
    result was lost can be done again. Neither the job nor the result contains a secret, and both can be pickled.

    Args:
        job: The profile, the archive and the options of the sync.
        environ: The environment variables; None for those of the process.
        clock: Time and waiting; None for those of the machine.
        log: Called at once with each level (`note`, `warning`, `result`, `debug`, `wait`) and message, without secrets.
        stop: Returns True to stop the sync after the current day; the days that were read are kept.
    """
    begun = time.monotonic()
    environ = os.environ if environ is None else environ
    mask, conceal = secret_mask()
    conceal(proxy_secrets(environ))
    messages: list[tuple[str, str]] = []

    def clean(text: str) -> str:
        return printable(mask(text))

    def say(level: str, text: str) -> None:
        text = clean(text)
        if level in KEPT_LEVELS:
            messages.append((level, text))
        if log is not None:
            log(level, text)

    outages: Outages = _outages_of(job.mark) if job.mark else {}
    around = Surroundings(environ, config_path(environ, job.config), clock or Clock(), say, conceal, outages=outages)
    unit = _Unit(job, around, clean, stop, job.profile)
    problem = None
    try:
        with ExitStack() as opened:
            _do(unit, opened)
    except Exception as error:  # noqa: BLE001 - a bug in cdrctl becomes exit code 1 of this job
        problem = problem_of(error, clean)
    return _result(unit, problem, tuple(messages), round(time.monotonic() - begun, 3))


@functools.lru_cache(8)
def _outages_of(_mark: str) -> Outages:
    """Return the hosts that do not answer the units of one run in this process.

    Else each unit of a provider that is down would wait for it as long as the first one.
    """
    return {}


def _result(unit: _Unit, problem: Problem | None, messages: tuple[tuple[str, str], ...], seconds: float) -> SyncResult:
    """Return the result of a job that has ended."""
    calls = tuple(_call_done(run, unit.clean) for run in unit.runs) if problem is None else ()
    codes = [one.exit_code for one in calls if one.exit_code]
    code = problem.code if problem is not None else most_urgent(codes) if codes else 0
    client = unit.profile.client if unit.profile is not None else None
    requests = client.requests if client is not None else 0
    return SyncResult(unit.name, code, platform.node(), seconds, requests, calls, messages, problem)


def _do(unit: _Unit, opened: ExitStack) -> None:
    """Do a job; errors of its calls are kept in their runs.

    Raises:
        CdrctlError: No call could be read.
    """
    job, around = unit.job, unit.around
    _check(job, around.environ)
    folder = _place(job.archive, opened)
    archive, ledger = open_to_sync(folder, job.tz, job.format, opened, create=job.create)
    if job.mark and not is_url(job.archive):  # the same URL is the same archive everywhere
        check_mark(folder, job.mark)
    written, provider = _profile(job, around)
    unit.name = archived_name(job.profile, provider)
    how = Sync(
        windows.instant(job.since, zone=archive.zone, now=around.clock.now()) if job.since is not None else None,
        windows.duration(job.lookback) if job.lookback is not None else None,
        windows.duration(job.sweep) if job.sweep is not None else None,
        job.allow_shrink,
        job.adopt,
        job.only_missing,
        stores_calls(archive, asked=job.with_calls),
        job.by_day,
    )
    if job.max_wait is not None:
        around = replace(around, max_wait=windows.duration(job.max_wait))
    runs = [*runs_of(job.profile, provider, job.calls, folder, archive.settings, alone=True)]
    with _CONNECTING:
        unit.profile = opened.enter_context(connected(around, provider, job.profile, written))
    unit.runs = runs
    sync_calls(around, Target(archive, ledger, how, unit.clean, unit.stop), provider, unit.profile, runs)


def _place(text: str, opened: ExitStack) -> Path:
    """Return the place of an archive; of a store, a view of its own, so that no job sees what an earlier one saw."""
    if not is_url(text):
        return Path(text)
    from cdrctl.archive.mirror import Mirror
    from cdrctl.archive.objects import checked_url

    mirror = Mirror(checked_url(text))
    opened.callback(mirror.close)
    return mirror.root


def _check(job: SyncJob, environ: Mapping[str, str]) -> None:
    """Refuse a job of another version, and one that would send requests where a dry run is asked for.

    Raises:
        ConfigurationError: The job is of another version.
        UsageError: CDRCTL_DRY_RUN is set.
    """
    if job.version not in {"", __version__}:
        raise ConfigurationError(
            f"this machine has cdrctl {__version__}, and the job is of cdrctl {job.version}",
            hint="install the same version of cdrctl on all machines",
        )
    if is_dry_run(environ):
        raise UsageError("CDRCTL_DRY_RUN is set on this machine, and a sync has no dry run", hint="unset it")


def _profile(job: SyncJob, around: Surroundings) -> tuple[Profile | None, Provider]:
    """Return the profile of a job as it is written, None for the sandbox, and its provider.

    Raises:
        ConfigurationError: There is no such profile, or no such provider.
    """
    if job.profile == SANDBOX:
        if job.provider not in PROVIDERS:
            raise ConfigurationError("the sandbox imitates every provider", hint="name one: provider='webex'")
        return None, load(job.provider)
    found, warnings = _read(around.config, around.environ)
    for warning in warnings:
        around.log("warning", warning)
    written = choose_profile(found, job.provider, job.profile, around.environ)
    around.conceal(written_secrets([written], around.environ))
    return written, load(written.provider)


def _read(config: Path, environ: Mapping[str, str]) -> tuple[Mapping[str, Profile], Sequence[str]]:
    """Return the profiles of the file and of the environment, and warnings; a file that did not change is read once.

    A worker does thousands of units, and a file of thousands of profiles takes longer to read than a unit takes.
    """
    try:
        status = config.stat()
    except OSError:
        return read_profiles(config, environ)
    state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    declared = {name: value for name, value in environ.items() if name.endswith("_PROVIDER")}
    return _read_once(config, state, frozenset(declared.items()))


@functools.lru_cache(1)
def _read_once(
    config: Path, _state: tuple[int, ...], declared: frozenset[tuple[str, str]]
) -> tuple[Mapping[str, Profile], Sequence[str]]:
    return read_profiles(config, dict(declared))


def _call_done(run: CallRun, clean: Callable[[str], str]) -> CallDone:
    """Return what was done for a call.

    Raises:
        BaseException: The run was interrupted.
    """
    error, outcome = run.error, run.outcome
    if error is not None and not isinstance(error, Exception):
        raise error
    problem = problem_of(error, clean) if error is not None else None
    code = problem.code if problem is not None else IncompleteError.exit_code if run.is_incomplete else 0
    failed = {day: clean(why) for day, why in outcome.failed.items()}
    plain = replace(outcome, error=None, failed=failed, not_offered=clean(outcome.not_offered))
    return CallDone(run.call.name, code, plain, run.ended, problem)
