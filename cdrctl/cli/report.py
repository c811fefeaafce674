"""`cdrctl report`: one HTML file with the figures of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cdrctl import __version__
from cdrctl.cli.calls import CALLS_FROM, JOINING, read_joining, run_calls
from cdrctl.cli.commands import session_command
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.figures import LIMITS, Coverage, calls_request, check_installed, measured, note_zones, read_limits
from cdrctl.cli.options import SHARED, option
from cdrctl.cli.output_options import data, prepare_messages
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError
from cdrctl.export.request import ExportRequest, Output
from cdrctl.records.events import Row

if TYPE_CHECKING:
    from cdrctl.figures.engine import Measured

_NAMES = {"since", "until", "tz", "source", "where", "jobs", "max_wait", "strict", "allow_partial", "output"}


def report(session: Session, given: Mapping[str, Any]) -> None:
    """Write a report of calls."""
    check_installed("report")
    path = given["output"]
    if path is None and session.process.stdout_is_terminal:
        raise UsageError(
            "a report is one HTML file", hint="name the file: -o report.html; -o - writes to standard output"
        )
    request = calls_request(session, given)
    prepare_messages(session, path)
    coverage = Coverage()

    def consume(pages: Iterable[Sequence[Row]], failed: Callable[[], bool]) -> None:
        text = _page(session, request, given, coverage, pages, failed)
        with data(session, Output(path=path, pager=False)) as out:
            out.write(text.encode("utf-8", "replace"))

    joining = replace(read_joining(given), cover=coverage.add, consume=consume, calls_too=True)
    run_calls(session, given, request, joining)


def _page(
    session: Session,
    request: ExportRequest,
    given: Mapping[str, Any],
    coverage: Coverage,
    pages: Iterable[Sequence[Row]],
    failed: Callable[[], bool],
) -> str:
    """Return the text of the report."""
    from cdrctl.figures.engine import open_calls
    from cdrctl.figures.page import page
    from cdrctl.figures.report import KEYS, Known, sections

    limits = read_limits(given)
    with open_calls("UTC") as calls:
        calls.add(pages)
        if failed():
            coverage.lose()
        zone = coverage.zone(request.window.zone)
        calls.use_zone(str(zone))
        note_zones(session, request, coverage)

        def measure(name: str, by: str | None) -> list[Measured]:
            return list(measured(calls, name, KEYS[by] if by else (), limits, coverage, request, zone))

        hours = coverage.hours(None, zone)
        known = Known(
            _days(coverage, zone),
            hours,
            failed=coverage.failed,
            partial=request.allow_partial,
            assumed=coverage.assumed,
        )
        found = sections(calls, measure, known, _mask if given["mask"] else lambda value: value)
    for one in found:
        if one.said:
            session.reporter.log("warning", f"{one.title}: {one.said}")
    window = coverage.window
    about = [f"Times are those of {zone}."]
    if window is not None:
        since, until = (f"{at.astimezone(zone):%Y-%m-%d %H:%M}" for at in (window.since, window.until))
        about = [f"Calls that started from {since} to {until}, {zone} time."]
    made = f"Made by cdrctl {__version__} on {the_clock(session).now().astimezone(zone):%Y-%m-%d %H:%M}."
    return page(given["title"] or "Calls", about, found, made)


def _days(coverage: Coverage, zone: Any) -> list[tuple[str, float | None, float]]:
    """Return each local day of the window, with its known and asked hours."""
    if coverage.window is None:
        return []
    found = []
    day, last = (at.astimezone(zone).date() for at in (coverage.window.since, coverage.window.until))
    while day <= last:
        known, asked = coverage.hours(day.isoformat(), zone)
        if asked:
            found.append((day.isoformat(), asked if coverage.assumed and not coverage.failed else known, asked))
        day += timedelta(days=1)
    return found


def _mask(number: Any) -> Any:
    """Return a number without its last four digits."""
    return f"{str(number)[:-4]}••••" if number and len(str(number)) > 4 else number and "••••"


COMMANDS = {
    "report": session_command(
        "report",
        "Write a report of calls: one HTML file with figures, charts and definitions that needs no network.",
        report,
        (
            *CALLS_FROM,
            option("--title", about="Title of the report. Default: Calls.", metavar="TEXT", panel="Output"),
            option("--mask", about="Hide the last four digits of callers' numbers.", kind="flag", panel="Output"),
            *LIMITS,
            *(one for name, one in SHARED.items() if name in _NAMES),
            *JOINING,
        ),
        (
            "cdrctl report -p sandbox --since yesterday --until today -o report.html",
            'cdrctl report -p sandbox --since 7d --mask --title "Last week" -o report.html',
        ),
    )
}
