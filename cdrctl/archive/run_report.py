"""What a run of sync or fill reports to monitoring: a JSON document, and metrics in the OpenMetrics text format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct, field

from cdrctl.archive.intervals import day_start
from cdrctl.archive.status import CallStatus
from cdrctl.archive.store import Archive
from cdrctl.windows import rfc3339


class Problem(Struct, frozen=True):
    """Why a run or a part of it failed: an exit code and sentences without secrets."""

    code: int
    message: str
    said: str | None = None
    hint: str | None = None


class CallResult(Struct, frozen=True):
    """What a run did for one call of a profile.

    Args:
        profile: The name of the profile.
        provider: The name of its provider; None if it names none that exists.
        call: The name of the call; None if the profile could not be read.
        code: The exit code that it alone would give.
        counts: Numbers of days and records, by name.
        failed_days: Why days could not be fetched, by day.
        gone_days: How many records of a day are gone at the provider and kept, by day.
        beyond_lookback_days: How many records of a day came later than the lookback, by day.
        problem: The error that ended it; None if none did.
    """

    profile: str
    provider: str | None
    call: str | None
    code: int
    counts: Mapping[str, int]
    failed_days: Mapping[str, str] = field(default_factory=dict)
    gone_days: Mapping[str, int] = field(default_factory=dict)
    beyond_lookback_days: Mapping[str, int] = field(default_factory=dict)
    problem: Problem | None = None


class RunResult(Struct, frozen=True):
    """What a run did.

    Args:
        command: `sync` or `fill`.
        version: The version of cdrctl.
        archive: The folder of the archive, as an absolute path.
        started: When it began.
        finished: When it ended.
        code: Its exit code.
        problem: The error that ended it; None if none did.
        requests: How many requests were sent.
        calls: What it did for each call.
    """

    command: str
    version: str
    archive: str
    started: datetime
    finished: datetime
    code: int
    problem: Problem | None = None
    requests: int = 0
    calls: Sequence[CallResult] = ()

    @property
    def totals(self) -> dict[str, int]:
        """The sums of the counts of all calls."""
        names = dict.fromkeys(name for one in self.calls for name in one.counts)
        return {name: sum(one.counts.get(name, 0) for one in self.calls) for name in names}


def plain_result(run: RunResult) -> dict[str, Any]:
    """Return the report of a run as plain values, for JSON."""
    return {
        "command": run.command,
        "version": run.version,
        "archive": run.archive,
        "started": rfc3339(run.started),
        "finished": rfc3339(run.finished),
        "exit_code": run.code,
        "error": _plain_problem(run.problem),
        "requests": run.requests,
        "totals": run.totals,
        "calls": [
            {
                "profile": one.profile,
                "provider": one.provider,
                "call": one.call,
                "exit_code": one.code,
                **one.counts,
                "failed_days": dict(one.failed_days),
                "gone_days": dict(one.gone_days),
                "beyond_lookback_days": dict(one.beyond_lookback_days),
                "error": _plain_problem(one.problem),
            }
            for one in run.calls
        ],
    }


def _plain_problem(one: Problem | None) -> dict[str, Any] | None:
    if one is None:
        return None
    more = {name: text for name, text in (("said", one.said), ("next", one.hint)) if text}
    return {"code": one.code, "message": one.message, **more}


class _Metric(NamedTuple):
    """A metric: its name, its unit (the end of its name, or nothing) and a sentence about it."""

    name: str
    unit: str
    about: str


Sample = tuple[_Metric, Mapping[str, str], float]

_STARTED = _Metric("cdrctl_run_start_timestamp_seconds", "seconds", "When the last run started.")
_FINISHED = _Metric("cdrctl_run_end_timestamp_seconds", "seconds", "When the last run ended.")
_CODE = _Metric("cdrctl_run_exit_code", "", "Exit code of the last run; 0 is success.")
_REQUESTS = _Metric("cdrctl_run_requests", "", "Requests sent by the last run.")
_CALL_CODE = _Metric(
    "cdrctl_run_call_exit_code", "", "Exit code that this call alone would have given in the last run."
)
_DAYS = _Metric("cdrctl_run_days", "", "Days fetched by the last run.")
_FAILED = _Metric("cdrctl_run_failed_days", "", "Days that the last run could not fetch completely.")
_RECORDS = _Metric("cdrctl_run_records", "", "Records of the last run, by outcome.")
_SUCCESS = _Metric(
    "cdrctl_archive_last_success_timestamp_seconds",
    "seconds",
    "When the provider was last queried successfully; 0 if it never was.",
)
_COMPLETE = _Metric(
    "cdrctl_archive_complete_until_timestamp_seconds", "seconds", "End of the newest complete day; 0 if there is none."
)
_HOLES = _Metric("cdrctl_archive_hole_days", "", "Days with missing records that the provider may still have.")
_BEYOND = _Metric("cdrctl_archive_beyond_days", "", "Days with missing records that the provider no longer keeps.")
_LATE = _Metric(
    "cdrctl_archive_late_records", "", "Records that came later than the lookback, if days have been swept."
)
_KEPT = _Metric("cdrctl_archive_records", "", "Records in the archive.")
_SIZE = _Metric("cdrctl_archive_size_bytes", "bytes", "Size of the files in the archive.")


def metrics_text(run: RunResult, archive: Archive | None, status: Sequence[CallStatus]) -> str:
    """Return the metrics of a run, and of what it left in the archive, in the OpenMetrics text format.

    The text is also valid in the older Prometheus format, the only one that the textfile collector of node_exporter
    reads: all metrics are gauges, which both formats write alike, and have no timestamps, for which the collector
    refuses the whole file. All have the labels `archive` and `command`, because the same sample must not be in two
    files of the collector.

    Args:
        run: What the run did.
        archive: The archive, for the zone of its days; None if it cannot be read.
        status: The status of the calls in the archive.
    """
    where = {"archive": run.archive, "command": run.command}
    by_metric: dict[_Metric, list[tuple[Mapping[str, str], float]]] = {}
    for metric, labels, value in (*_run_samples(run), *_archive_samples(archive, status)):
        by_metric.setdefault(metric, []).append(({**where, **labels}, value))
    lines: list[str] = []
    for metric, samples in by_metric.items():
        lines += [f"# HELP {metric.name} {metric.about}", f"# TYPE {metric.name} gauge"]
        if metric.unit:
            lines.append(f"# UNIT {metric.name} {metric.unit}")
        lines += [f"{metric.name}{{{_labels(labels)}}} {value:.15g}" for labels, value in samples]
    return "".join(f"{line}\n" for line in (*lines, "# EOF"))


def _run_samples(run: RunResult) -> Iterator[Sample]:
    yield _STARTED, {}, run.started.timestamp()
    yield _FINISHED, {}, run.finished.timestamp()
    yield _CODE, {}, run.code
    yield _REQUESTS, {}, run.requests
    for one in run.calls:
        about = {"profile": one.profile, "provider": one.provider or "", "call": one.call or ""}
        yield _CALL_CODE, about, one.code
        if one.call is None:
            continue
        yield _DAYS, about, one.counts.get("days", 0)
        yield _FAILED, about, len({*one.failed_days, *one.gone_days})
        for name in ("fetched", "new", "late", "beyond_lookback", "changed", "gone", "duplicate"):
            yield _RECORDS, {**about, "kind": name}, one.counts.get(name, 0)


def _archive_samples(archive: Archive | None, status: Sequence[CallStatus]) -> Iterator[Sample]:
    for one in status:
        about = {"profile": one.kept.profile, "provider": one.kept.provider, "call": one.kept.call}
        yield _SUCCESS, about, one.last_success.timestamp() if one.last_success else 0
        if archive is not None and one.holes is not None and one.beyond is not None:
            yield _COMPLETE, about, _end_of(one.newest_complete_day, archive)
            yield _HOLES, about, one.holes
            yield _BEYOND, about, one.beyond
        if one.late is not None:
            yield _LATE, about, one.late
        yield _KEPT, about, one.records
        yield _SIZE, about, one.size


def _end_of(day: str | None, archive: Archive) -> float:
    if day is None:
        return 0
    return day_start(datetime.fromisoformat(day).date() + timedelta(days=1), archive.zone).timestamp()


_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in labels.items())
