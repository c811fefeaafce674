"""`cdrctl sql`: SQL over an archive in place. It reads the archive and nothing else, and writes only its result."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from cdrctl import windows, writers
from cdrctl.archive.places import place_of
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.exporting import conclude, counted
from cdrctl.cli.failures import some
from cdrctl.cli.options import SHARED, Argument, option
from cdrctl.cli.output_options import check_place, data, local_zone, prepare_messages, render_options
from cdrctl.cli.request import read_format, read_header, read_times
from cdrctl.cli.run import Session
from cdrctl.cli.signals import ended_within
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.export.request import ExportRequest, Output, TypedWindow
from cdrctl.export.rows import Tally
from cdrctl.export.selection import Selection
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap
from cdrctl.records.schemas import Schema
from cdrctl.units.calls import name_of
from cdrctl.writers.typed import PLACES

if TYPE_CHECKING:
    from cdrctl.archive.query import Result
    from cdrctl.archive.views import Scan

    Pages = Iterator[list[list[Any]]]

PATIENCE = 3.0
"""Seconds that a statement may go on after a signal: some functions of DuckDB run for hours and ignore signals."""

_FROM = option(
    "--from", name="source", about="Folder of the archive, or its URL (s3://…).", metavar="DIR", required=True
)
_TZ = option(
    "--tz",
    about="Time zone of days and hours in the statement, and of times without an offset. Default: UTC.",
    metavar="ZONE",
)
_LIMIT = option("--limit", about="Stop after N rows.", kind="integer", minimum=1, panel="Output")
_OUTPUT = ("format", "output", "times", "header", "pager", "spreadsheet_safe", "fail_if_empty", "allow_partial")
_ALLOW_PARTIAL = option(
    "--allow-partial",
    about="Exit with 0 instead of 3 if a file of the archive cannot be read.",
    kind="flag",
    panel="Output",
)
_FAIL_IF_EMPTY = option("--fail-if-empty", about="Exit with 9 if there are no rows.", kind="flag", panel="Output")


@command(
    Argument(
        "statement",
        "A SELECT statement of DuckDB; - reads it from standard input. Default: list the views and their columns.",
        metavar="STATEMENT",
    ),
    _FROM,
    _TZ,
    _LIMIT,
    SHARED["format"],
    SHARED["output"],
    SHARED["times"],
    SHARED["header"],
    SHARED["pager"],
    SHARED["spreadsheet_safe"],
    _FAIL_IF_EMPTY,
    _ALLOW_PARTIAL,
    examples=(
        'cdrctl sync sandbox --into archive && cdrctl sql --from archive "FROM webex_cdrs" --limit 3',
        "cdrctl sync sandbox --into archive && cdrctl sql --from archive",
    ),
)
def sql(opened: Session, *, statement: str | None, source: str, **given: Any) -> None:
    """Run SQL over an archive, or list its views and columns.

    The views are: one for each call of a provider, such as webex_cdrs, over all profiles; `common`, the common CDR of
    every record; `calls`, whole calls; one for each figure over calls, such as asr; and `figures`, all figures. A
    statement reads only the days that match its conditions on date, _start and profile.

    The command needs no secrets, no network and no permission to write. A statement can read only the archive.
    """
    started = time.monotonic()
    request = _request(opened, given)
    prepare_messages(opened, request.output.path)
    query = None if statement is None else _text(opened, statement)
    _check_installed()
    from cdrctl.archive.calls_view import CallScan
    from cdrctl.archive.query import open_database
    from cdrctl.archive.source import open_source
    from cdrctl.archive.views import Scan
    from cdrctl.cli.archive_calls import marks_of_archived

    tally, warned = Tally(), dict[str, None]()

    def warn(text: str) -> None:
        if text not in warned:
            warned[text] = None
            opened.reporter.log("warning", text)

    zone = str(request.window.zone or "UTC")
    with open_source(place_of(source)) as archive:
        scan = Scan(archive, the_clock(opened).now(), name_of, warn)
        if query is None:
            _write(opened, request, _listing(), tally, started)
            return
        with (
            open_database(CallScan(scan, marks_of_archived(opened)), zone, query) as database,
            ended_within(PATIENCE, partial(_abandon, opened, database.folder)),
        ):
            _write(opened, request, database.result(query), tally, started)
        _note_holes(opened, scan)
        tally.gaps += [Gap(text, f"cdrctl verify --into {shlex.quote(source)} checks all files") for text in scan.gaps]
    conclude(tally, request)


COMMANDS = {"sql": sql}


def _abandon(opened: Session, folder: Path) -> None:
    """Remove the temporary files of a statement that ignores signals, and log that it was interrupted."""
    shutil.rmtree(folder, ignore_errors=True)
    opened.reporter.log("warning", "interrupted; the output is not complete: run the command again")


def _request(opened: Session, given: dict[str, Any]) -> ExportRequest:
    """Return where the rows go, and in which form.

    Raises:
        UsageError: A value cannot be read, or the format cannot have rows of any columns.
    """
    form = read_format(opened, given["format"], given["output"], "native", template=None)
    check_place(opened, form, given["output"])
    if writers.is_database(form):
        raise UsageError(
            f"rows of a statement have no keys, which {form} needs",
            hint="use -f parquet, csv, jsonl, json, tsv, xlsx or table",
        )
    if given["spreadsheet_safe"] and form not in {"csv", "tsv"}:
        raise UsageError(f"--spreadsheet-safe is for csv and tsv, not for {form}", hint="use -f csv, or leave it out")
    output = Output(
        format=form,
        path=given["output"],
        header=read_header(form, wanted=given["header"]),
        times=read_times(given["times"], form, "native"),
        spreadsheet_safe=given["spreadsheet_safe"],
        pager=given["pager"],
    )
    return ExportRequest(
        "native",
        Selection(None, None, (), given["limit"]),
        TypedWindow(zone=windows.zone(given["tz"]) if given["tz"] else None),
        output,
        allow_partial=given["allow_partial"],
        fail_if_empty=given["fail_if_empty"],
    )


def _text(opened: Session, statement: str) -> str:
    """Return the statement: that of the command line, or standard input.

    Raises:
        UsageError: It cannot be read.
    """
    if statement != "-":
        return statement
    try:
        return opened.process.stdin.read()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the statement cannot be read from standard input: {error}", hint="write it in UTF-8"
        ) from None


def _check_installed() -> None:
    """Check that DuckDB is installed.

    Raises:
        ConfigurationError: It is not, or it cannot be loaded.
    """
    try:
        import duckdb  # noqa: F401 - what imports it later reports no missing package
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "duckdb"
        why = "which is not installed" if missing else f"which cannot be loaded: {error}"
        raise ConfigurationError(f"cdrctl sql needs duckdb, {why}", hint="pip install 'cdrctl[duckdb]'") from error


def _listing() -> Result:
    """Return the columns of all views, as rows."""
    from cdrctl.archive.calls_view import VIEW
    from cdrctl.archive.figure_views import ALL, COLUMNS
    from cdrctl.archive.query import Result, sql_type
    from cdrctl.archive.views import all_views
    from cdrctl.figures.definitions import NAMES, figure

    views = [*all_views(), VIEW]
    rows = [[view.name, one.name, sql_type(one), one.meaning] for view in views for one in view.columns]
    rows += [[ALL, one.name, sql_type(one), one.meaning] for one in COLUMNS]
    rows += [
        [name, "value", sql_type(COLUMNS[1]), f"{figure(name).title} (columns as in {ALL}); {name}_by('day') groups it"]
        for name in NAMES
        if name != VIEW.name
    ]
    columns = (Column("view", ""), Column("column", ""), Column("type", ""), Column("meaning", ""))
    return Result(columns, iter([rows]))


# The rows


def _write(opened: Session, request: ExportRequest, result: Result, tally: Tally, started: float) -> None:
    """Write the rows of a statement."""
    output = request.output
    names = [column.name.casefold() for column in result.columns]
    twice = [one.name for one in result.columns if names.count(one.name.casefold()) > 1]
    if twice and output.format not in {"csv", "tsv", "table"}:
        raise UsageError(f"the result has two columns {twice[0]}", hint="rename one of them with AS, or use -f csv")
    zone = local_zone(request, request.window.zone, "UTC", windowed=False)
    named = replace(request.selection, fields=tuple(column.name for column in result.columns))
    look = replace(render_options(opened, replace(request, selection=named), zone, "result", None), more="")
    schema = Schema(result.columns, lambda _page: [])
    pages: Any = _limited(opened, _counted(_fitting(result, output.format), tally), request.selection.limit, tally)
    if output.times == "local":
        pages = writers.localize(output.format, pages, schema, look.zone)
    with data(opened, output) as out, counted(opened, tally, dict, started):
        writers.load(output.format)(schema, pages, out, look)


def _fitting(result: Result, form: str) -> Pages:
    """Return pages in which a number with a fraction is text, in formats whose decimals are exact."""
    at = [position for position, one in enumerate(result.columns) if one.kind == "decimal"]
    if form not in {"parquet", "xlsx"} or not at:
        return result.pages
    return (
        [[_exact(value) if i in at else value for i, value in enumerate(row)] for row in page] for page in result.pages
    )


def _exact(value: Any) -> Any:
    if not isinstance(value, float) or not isfinite(value):
        return value
    try:
        return format(round(Decimal(repr(value)), PLACES), "f")
    except InvalidOperation:
        return value


def _counted(pages: Pages, tally: Tally) -> Pages:
    for page in pages:
        tally.records += len(page)
        yield page


def _limited(opened: Session, pages: Pages, limit: int | None, tally: Tally) -> Pages:
    """Yield pages until there are enough rows, and note that there may be more."""
    left = limit
    for page in pages:
        if left is None or len(page) < left:
            yield page
            left = None if left is None else left - len(page)
            continue
        tally.records += left - len(page)
        yield page[:left]
        opened.reporter.log("note", f"stopped after {limit} rows, as --limit says; there may be more")
        return


def _note_holes(opened: Session, scan: Scan) -> None:
    """Note the days that a statement reads and that the archive does not have as a whole."""
    from cdrctl.archive.status import archived_calls

    archive = scan.archive
    lacking = []
    for one in archived_calls(archive.archive, archive.ledger, scan.now, sorted(scan.days)):
        read = {str(day) for day in scan.days[one.kept.profile, one.kept.call]}
        days = [day.day for day in one.days if day.state in {"hole", "beyond"} and day.day in read]
        if days:
            lacking.append(f"{scan.name_of(one.kept)} {one.kept.call} ({len(days)} day{'s'[: len(days) > 1]})")
    if lacking:
        folder = shlex.quote(str(archive.archive.folder))
        opened.reporter.log(
            "note",
            f"the archive lacks days that the statement reads: {some(lacking)}; "
            f"cdrctl coverage --into {folder} lists them",
        )
