"""`--status`, `--metrics` and `--ping`: what a run of sync or fill tells monitoring, however it ends."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cdrctl import __version__
from cdrctl.archive.places import place_of
from cdrctl.cli import signals
from cdrctl.cli.connecting import refuse_dry_run, the_clock
from cdrctl.cli.options import option
from cdrctl.cli.run import Session, exit_code_of
from cdrctl.errors import CdrctlError, IncompleteError, OutputError, UsageError

if TYPE_CHECKING:
    from cdrctl.archive.run_report import CallResult, Problem, RunResult
    from cdrctl.archive.status import CallStatus
    from cdrctl.archive.store import Archive
    from cdrctl.cli.archive_jobs import Job
    from cdrctl.cli.export import Part
    from cdrctl.http.ping import Event

STATUS = option(
    "--status",
    about="Write what the run did to this file, as JSON, also if it failed.",
    metavar="FILE",
    panel="Monitoring",
)
METRICS = option(
    "--metrics",
    about="Write metrics to this file, such as /var/lib/node_exporter/cdrctl.prom, also if the run failed.",
    metavar="FILE",
    panel="Monitoring",
)
PING = option(
    "--ping",
    about="Request URL/start at the beginning, then URL after a success or URL/fail after a failure, as Healthchecks "
    "expects.",
    metavar="URL",
    panel="Monitoring",
)

LEFT_AFTER = 3600
"""The age in seconds from which a temporary file of --status or --metrics is one that a killed run left."""

INTERRUPTED_SECONDS = 3.0
"""The most that the ping of an interrupted run may take: somebody waits for its end."""


class Reports(Struct, frozen=True):
    """Where a run is to be reported.

    Args:
        status: The value of --status.
        metrics: The value of --metrics.
        ping: The value of --ping.
    """

    status: str | None = None
    metrics: str | None = None
    ping: str | None = None


class Run(Struct):
    """A run of sync or fill in progress. `run_sync` fills in its profiles and calls.

    Args:
        command: `sync` or `fill`.
        folder: The folder of the archive.
        started: When it began.
        parts: Its profiles.
        jobs: Their calls.
    """

    command: str
    folder: Path
    started: datetime
    parts: Sequence[Part] = ()
    jobs: Sequence[Job] = field(default_factory=list)


@contextmanager
def reported(session: Session, command: str, folder: str, reports: Reports) -> Iterator[Run]:
    """Report a run when it begins and when it ends, whether by an error, by a signal or well.

    Raises:
        UsageError: The URL of --ping cannot be used.
        OutputError: The run succeeded, and --status or --metrics cannot be written.
    """
    url = _checked_url(session, reports.ping) if reports.ping is not None else None
    reporter = _RunReporter(session, reports, url)
    run = Run(command, place_of(folder), the_clock(session).now())
    try:
        refuse_dry_run(session)
        reporter.ping("start", {})
        yield run
    except BaseException as error:
        reporter.finish_safely(run, error)
        raise
    failed = reporter.finish_safely(run, None)
    if failed is not None:
        raise failed


def _checked_url(session: Session, url: str) -> str:
    """Return the URL of --ping; messages mask it from now on."""
    from cdrctl.http.ping import ping_url

    session.reporter.conceal([url])
    try:
        found = ping_url(url)
    except ValueError as error:
        raise UsageError(
            f"the URL of --ping cannot be used: {error}", hint="copy it from the page of the check, without /start"
        ) from None
    session.reporter.conceal([found])
    return found


class _RunReporter(Struct):
    session: Session
    reports: Reports
    url: str | None
    warned: bool = False

    def finish_safely(self, run: Run, error: BaseException | None) -> OutputError | None:
        """Report the end of a run; a signal in the meantime makes it an interrupted run, and it is reported again."""
        if error is not None and exit_code_of(error) == signals.INTERRUPTED:
            signals.notice()
        try:
            return self._finish(run, error)
        except KeyboardInterrupt as interrupt:
            signals.notice()
            self._finish(run, interrupt)
            raise

    def _finish(self, run: Run, error: BaseException | None) -> OutputError | None:
        """Write the files and send the ping; return the error of a file that could not be written after a success."""
        unwritten = self._write_files(run, error)
        for one in unwritten if error is not None else unwritten[1:]:
            self.session.reporter.log("warning", one.message)
        if unwritten and error is None:
            error = unwritten[0]
            self._write_files(run, error)  # in the other file, the exit code is wrong now
        result = self._result(run, error)
        facts: dict[str, int | str] = {"command": run.command, "exit_code": result.code, "calls": len(result.calls)}
        facts |= {"failed_calls": sum(one.code != 0 for one in result.calls), **result.totals}
        self.ping("fail" if result.code else "success", facts, interrupted=result.code == signals.INTERRUPTED)
        return unwritten[0] if unwritten else None

    def _write_files(self, run: Run, error: BaseException | None) -> list[OutputError]:
        """Write the files that are asked for; return the errors of those that cannot be written."""
        unwritten = []
        for path, write in ((self.reports.status, self._write_status), (self.reports.metrics, self._write_metrics)):
            try:
                if path is not None:
                    write(path, run, error)
            except OSError as cause:
                unwritten.append(
                    OutputError(
                        f"cannot write {path}: {cause.strerror or cause}",
                        hint="correct the path or its permissions; the records themselves are in the archive",
                    )
                )
        return unwritten

    def ping(self, event: Event, facts: dict[str, int | str], *, interrupted: bool = False) -> None:
        """Send a ping; if it fails, warn once in a run."""
        if self.url is None:
            return
        from cdrctl.http.ping import SECONDS, ping

        seconds = INTERRUPTED_SECONDS if interrupted else SECONDS
        try:
            failed = ping(self.url, event, facts, seconds=seconds, transport=self.session.process.transport)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a ping, the run goes on
            failed = type(error).__name__
        if failed and not self.warned:
            self.warned = True
            self.session.reporter.log("warning", f"the ping ({event}) failed: {failed}")

    def _write_status(self, path: str, run: Run, error: BaseException | None) -> None:
        import json

        from cdrctl.archive.run_report import plain_result

        text = json.dumps(plain_result(self._result(run, error)), indent=1)
        replace_file(path, f"{text}\n".encode(), None)

    def _write_metrics(self, path: str, run: Run, error: BaseException | None) -> None:
        from cdrctl.archive.run_report import metrics_text

        archive, status = self._archive_status(run)
        text = metrics_text(self._result(run, error), archive, status)
        replace_file(path, text.encode("utf-8", "replace"), 0o644)

    def _archive_status(self, run: Run) -> tuple[Archive | None, list[CallStatus]]:
        """Return the archive and the status of the calls of the run; nothing if it cannot be read."""
        from contextlib import closing

        from cdrctl.archive.ledgers import open_ledger
        from cdrctl.archive.status import archived_calls, call_status
        from cdrctl.archive.store import open_archive

        names, now = [(job.name, job.call.name) for job in run.jobs], the_clock(self.session).now()
        try:
            archive = open_archive(run.folder)
            with closing(open_ledger(archive, read_only=True)) as ledger:
                found = archived_calls(archive, ledger, now, names or ledger.names())
                return archive, [call_status(one, now) for one in found]
        except CdrctlError:  # the run has met the same error, and reported it
            return None, []

    def _result(self, run: Run, error: BaseException | None) -> RunResult:
        from cdrctl.archive.run_report import RunResult
        from cdrctl.cli.archive_summary import requests_of

        return RunResult(
            run.command,
            __version__,
            str(run.folder.absolute()),
            run.started,
            the_clock(self.session).now(),
            0 if error is None else exit_code_of(error),
            self._problem(error),
            requests_of(run.parts),
            [*self._unread(run), *(self._call_result(job, error) for job in run.jobs)],
        )

    def _unread(self, run: Run) -> Iterator[CallResult]:
        """Yield the profiles that could not be read, so that their calls are not known."""
        from cdrctl.archive.run_report import CallResult

        for part in run.parts:
            if part.provider is None and part.error is not None:
                code = exit_code_of(part.error)
                yield CallResult(part.name, None, None, code, {}, problem=self._problem(part.error))

    def _call_result(self, job: Job, end: BaseException | None) -> CallResult:
        """Return the report of one call. A call that the run did not reach has the exit code of the run."""
        from cdrctl.archive.run_report import CallResult
        from cdrctl.cli.archive_summary import facts_of

        outcome, error = job.outcome, job.error or job.part.error
        code = exit_code_of(error) if error else IncompleteError.exit_code if job.is_incomplete else 0
        return CallResult(
            job.name,
            job.part.provider.name if job.part.provider else None,
            job.call.name,
            exit_code_of(end) if end is not None and not error and not job.ended else code,
            facts_of([outcome]),
            {day: self.session.reporter.clean(why) for day, why in outcome.failed.items()}
            | dict.fromkeys(outcome.missing, "its file was deleted; cdrctl fill reads the day again"),
            dict(outcome.gone_on),
            dict(outcome.beyond_on),
            self._problem(error),
        )

    def _problem(self, error: BaseException | None) -> Problem | None:
        from cdrctl.archive.run_report import Problem

        if error is None:
            return None
        clean, code = self.session.reporter.clean, exit_code_of(error)
        if not isinstance(error, CdrctlError):
            interrupted = code == signals.INTERRUPTED
            return Problem(code, "interrupted" if interrupted else f"a bug in cdrctl: {type(error).__name__}")
        return Problem(code, clean(error.message), error.said and clean(error.said), error.hint and clean(error.hint))


def replace_file(path: str, content: bytes, mode: int | None) -> None:
    """Replace a file so that at any instant it is the old or the new one; a pipe or a device is written directly.

    The temporary file ends with `.new`: collectors read what ends like the file itself.

    Args:
        path: The file; a link is followed.
        content: Its content.
        mode: Its permissions; None for those it has, or for those that the umask leaves to a new file.

    Raises:
        OSError: It cannot be written.
    """
    import tempfile

    target = Path(os.path.realpath(path))
    old = target.stat() if target.exists() else None
    if old is not None and not stat.S_ISREG(old.st_mode):
        target.write_bytes(content)
        return
    if mode is None:
        mode = stat.S_IMODE(old.st_mode) if old is not None else 0o666 & ~_umask()
    start = f".{target.name[:64]}."
    descriptor, temporary = tempfile.mkstemp(prefix=start, suffix=".new", dir=target.parent)
    try:
        _remove_leftovers(target.parent.glob(f"{glob.escape(start)}????????.new"), Path(temporary).stat().st_mtime)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)  # before it has its name: a reader never sees a file that it may not read
        Path(temporary).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _remove_leftovers(paths: Iterable[Path], now: float) -> None:
    """Remove the temporary files of runs that were killed an hour ago or longer; other runs may own newer ones.

    Args:
        paths: Temporary files.
        now: The present time, by the clock of their file system, in Unix seconds.
    """
    for path in paths:
        with suppress(OSError):
            if path.stat().st_mtime < now - LEFT_AFTER:
                path.unlink()


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current
