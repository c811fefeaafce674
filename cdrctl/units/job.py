"""A unit of a sync and its result, as plain values that can be pickled and hold no secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from cdrctl.archive.outcome import Outcome
from cdrctl.archive.run_report import Problem
from cdrctl.errors import CdrctlError
from cdrctl.threads import none_left, was_refused
from cdrctl.windows import rfc3339

COUNTS = ("days", "fetched", "new", "late", "beyond_lookback", "changed", "gone", "duplicate")
"""The numbers of an outcome that reports name."""


class SyncJob(Struct, frozen=True, kw_only=True):
    """A job for `sync_unit`: a profile, an archive, and the options of the sync.

    Times and durations are written as on the command line, such as `7d`.

    Args:
        archive: The folder or the URL of the archive, on the machine that does the job.
        profile: The name of the profile in the configuration file of that machine.
        provider: The provider of the profile: needed for `sandbox`; for others, the job fails if it differs.
        config: The configuration file on that machine; None for the one that the command line uses there.
        calls: The calls; empty for those that the archive keeps.
        since: The first day to keep calls of; None for no earlier day than before.
        lookback: How long after its start a call is read again; None for the default of the call.
        sweep: How long before the lookback to read settled days again; None for the policy of the archive.
        max_wait: How long one request may wait for retries in total; None for the profile's own limit.
        only_missing: Read only what is missing, as `cdrctl fill` does.
        allow_shrink: Remove records that the provider no longer has.
        adopt: Accept that a profile points to another account than before.
        with_calls: Store whole calls beside their legs.
        by_day: Add a message for each day to the result.
        create: Create the archive if there is none.
        tz: The time zone of a new archive's days; None for UTC.
        format: The format of a new archive; None for the default.
        mark: The name of a run of `cdrctl sync --dask`, and of a file that it put into the folder of the archive. A
            machine whose archive lacks the file refuses the job; empty for no check. In one process, the units of a
            run wait for a provider that is down once, not each of them.
        version: The version of cdrctl that made this job. Other versions refuse the job; empty for no check.
    """

    archive: str
    profile: str
    provider: str | None = None
    config: str | None = None
    calls: tuple[str, ...] = ()
    since: str | None = None
    lookback: str | None = None
    sweep: str | None = None
    max_wait: str | None = None
    only_missing: bool = False
    allow_shrink: bool = False
    adopt: bool = False
    with_calls: bool = False
    by_day: bool = False
    create: bool = False
    tz: str | None = None
    format: str | None = None
    mark: str = ""
    version: str = ""


class CallDone(Struct, frozen=True):
    """What a job did for one call.

    Args:
        call: The name of the call.
        exit_code: The exit code of this call alone.
        outcome: Numbers of days and records, and the problems by day. Its error is None; it is in `problem`.
        ended: Whether the call was read to its end, or to its error, rather than stopped.
        problem: The error that ended the call; None without an error.
    """

    call: str
    exit_code: int
    outcome: Outcome
    ended: bool = True
    problem: Problem | None = None


class SyncResult(Struct, frozen=True):
    """What a job did.

    Args:
        profile: The name under which the archive keeps the profile.
        exit_code: The exit code of `cdrctl sync`: 0 for success; of several calls, the one that most needs a person.
        host: The machine that did the job.
        seconds: The duration of the job.
        requests: The number of requests sent.
        calls: What was done for each call.
        messages: Notes, warnings and results as they came, each with its level.
        problem: Why no call could be read; None if one could.
    """

    profile: str
    exit_code: int
    host: str
    seconds: float
    requests: int = 0
    calls: tuple[CallDone, ...] = ()
    messages: tuple[tuple[str, str], ...] = ()
    problem: Problem | None = None

    def plain(self) -> dict[str, Any]:
        """Return the result as a dict that JSON can represent."""
        return {
            "profile": self.profile,
            "exit_code": self.exit_code,
            "host": self.host,
            "seconds": self.seconds,
            "requests": self.requests,
            "calls": [_plain_call(one) for one in self.calls],
            "messages": [list(one) for one in self.messages],
            "error": _plain_problem(self.problem),
        }


def _plain_call(one: CallDone) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "call": one.call,
        "exit_code": one.exit_code,
        **{name: getattr(outcome, name) for name in COUNTS},
        "failed_days": dict(outcome.failed),
        "gone_days": dict(outcome.gone_on),
        "deleted_days": [*outcome.missing],
        "beyond_retention": [f"{rfc3339(part.since)}/{rfc3339(part.until)}" for part in outcome.lost],
        "error": _plain_problem(one.problem),
    }


def _plain_problem(one: Problem | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"exit_code": one.code, "message": one.message, "said": one.said, "next": one.hint}


class UnitError(CdrctlError):
    """An error of a job that another machine did, with its exit code."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message, said=problem.said, hint=problem.hint)
        self.exit_code = problem.code


def problem_of(error: Exception, clean: Callable[[str], str]) -> Problem:
    """Return an error as a value without secrets; of an error that is a bug in cdrctl, only its class."""
    if was_refused(error):
        error = none_left()
    if not isinstance(error, CdrctlError):
        what = f"this is a bug in cdrctl: {type(error).__name__}"
        then = "run cdrctl sync for this profile on that machine with -vv, and report the bug"
        return Problem(CdrctlError.exit_code, what, hint=then)
    said, hint = (text and clean(text) for text in (error.said, error.hint))
    return Problem(error.exit_code, clean(error.message), said, hint)
