"""The place, format and look of the output, from the options of a command."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from typing import Any

from cdrctl import windows, writers
from cdrctl.cli.run import Session
from cdrctl.errors import DriftError, Message, OutputError, UsageError
from cdrctl.export.request import ExportRequest, Output
from cdrctl.fetchers import Call, Provider
from cdrctl.records.common import COMMON
from cdrctl.records.events import Row
from cdrctl.records.schemas import outcomes
from cdrctl.writers.output import destination
from cdrctl.zones import machine_zone

COMMON_SHOWN = (
    *("start_time", "from_number", "to_number", "talk_seconds", "outcome", "direction", "user", "cost", "currency"),
    *("ring_seconds", "cause", "queue", "from_name", "to_name", "site", "trunk"),
)


def local_zone(request: ExportRequest, zone: tzinfo | None, typed_in: str, *, windowed: bool) -> tuple[tzinfo, str]:
    """Return the zone of the times that people read, and what to write beside its name.

    It is the zone that the user or the profile names, else in a table that of the machine. Times that are typed without
    a zone are read in the same zone on every machine, so a table in another zone says which.
    """
    utc = windows.zone("UTC")
    if request.output.format != "table":
        return zone or utc, ""
    if request.output.times == "utc":
        return utc, ""
    if zone is not None:
        return zone, ""
    here = machine_zone()
    if here is None:  # the C library takes UTC for a TZ that it cannot read, and reports nothing
        return utc, "; TZ does not name a time zone"
    if str(here).rpartition("/")[2] in {"UTC", "UCT", "Universal", "Zulu"}:
        return utc, ""
    typed = _options_with_times(request, windowed=windowed)
    return here, f"; {typed} in {typed_in}" if typed else ""


def _options_with_times(request: ExportRequest, *, windowed: bool) -> str:
    """Return the beginning of a sentence about the options that may contain times; empty if there are none."""
    where = request.selection.condition is not None
    if windowed:
        return "--since, --until and --where are" if where else "--since and --until are"
    return "--where is" if where else ""


def render_options(
    session: Session, request: ExportRequest, zone: tuple[tzinfo, str], name: str, call: Call | None
) -> writers.RenderOptions:
    """Return how records are to look.

    Args:
        session: The running command.
        request: The request.
        zone: The zone of local times, and what to write beside its name.
        name: What the records are, as `table_name` returns it.
        call: The call whose native records are written; None for common ones.
    """
    output = request.output
    return writers.RenderOptions(
        width=session.process.width,
        zone=zone[0],
        beside=zone[1],
        color=has_color(session, output),
        shown=output.shown,
        chosen=output.columns,
        for_spreadsheets=output.spreadsheet_safe,
        header=output.header,
        template=output.template,
        name=name,
        warn=lambda text: session.reporter.log("warning", text),
        local_times=output.times == "local",
        **_outcome_options(call, request.selection.fields),
    )


def has_color(session: Session, output: Output) -> bool:
    """Return whether the records have colours."""
    return output.format == "table" and colored(session, output.path)


def _outcome_options(call: Call | None, fields: Sequence[str] | None) -> dict[str, Any]:
    """Return the options for the colours of a table, which need a whole native record or a common outcome."""
    if call is not None:
        if call.common is None or fields is not None:
            return {}
        return {"outcome": outcomes(call.columns, call.common), "ending": call.outcome_columns}
    names = [column.name for column in COMMON] if fields is None else fields
    if "outcome" not in names:
        return {}
    at = names.index("outcome")

    def outcome(row: Row) -> object:
        return row[at]

    return {"outcome": outcome}


@contextmanager
def data(session: Session, output: Output) -> Iterator[Any]:
    """Open the destination of the writer: a file, standard output, or a pager on a terminal; for a database its path.

    By default only tables are paged.
    """
    path = output.path
    stream = standard_output(session, path)
    paged = output.format == "table" if output.pager is None else output.pager
    with ExitStack() as opened:
        if paged and path in {None, "-"} and session.process.stdout_is_terminal:
            from cdrctl.cli.pager import paged as to_pager

            stream = opened.enter_context(to_pager(session, stream))
        note = functools.partial(session.reporter.log, "note")
        database = writers.is_database(output.format)
        yield opened.enter_context(destination(path, stream, database=database, note=note))


COMMON_NAME = "cdrs"
"""The name of a table of common CDRs."""


def table_name(provider: Provider, call: Call) -> str:
    """Return the name of the table that the records of a call are in."""
    return "_".join(filter(None, (provider.name, call.group, call.name))).replace("-", "_")


def colored(session: Session, path: str | None = None) -> bool:
    """Return whether a table on standard output may have colours (no-color.org, force-color.org).

    A file has none, and neither has a dumb terminal, which shows escape sequences as text.
    """
    environ = session.process.environ
    if environ.get("NO_COLOR") or path not in {None, "-"}:
        return False
    if any(environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return session.process.stdout_is_terminal and environ.get("TERM") != "dumb"


def prepare_messages(session: Session, path: str | None) -> None:
    """Show progress where data does not go to the same terminal, and state what is left after an interruption."""
    to_stdout = path in {None, "-"}
    # What reads a pipe may write to the same terminal, where a line of progress would stand in its way.
    session.reporter.data_elsewhere = not to_stdout or not (
        session.process.stdout_is_terminal or session.process.stdout_is_pipe
    )
    left = "standard output contains only some of the records, each complete" if to_stdout else f"{path} is unchanged"
    session.reporter.left_behind = f"{left}: run the command again"


def check_place(session: Session, form: str, path: str | None) -> None:
    """Refuse a format, or a place to which it cannot be written, before any request is sent.

    Raises:
        UsageError: There is no such format, or it cannot be written there.
    """
    if form == writers.TEMPLATE:
        raise UsageError(
            f"the format {form} needs --template, which this command does not have",
            hint=f"use one of: {', '.join(writers.FORMATS)}",
        )
    writers.load(form)
    to_stdout = path is None or path == "-"
    if writers.is_database(form) and to_stdout:
        raise UsageError(
            f"{form} is a database file and cannot be written to standard output", hint="name the file with -o FILE"
        )
    if not writers.is_binary(form):
        return
    if path is not None and path.lower().endswith(".gz"):
        raise UsageError(f"{form} files are compressed already", hint="leave .gz out of the name")
    if to_stdout and session.process.stdout_is_terminal:
        raise UsageError(
            f"{form} is binary and cannot be shown on a terminal", hint="name a file with -o, or use a pipe"
        )


def drift(log: Callable[[str, str], None], about: str, *, strict: bool) -> Callable[[str], None]:
    """Return the function that receives differences between records and columns: it warns, or ends a strict export."""
    if not strict:
        return lambda text: log("warning", text)

    def refuse(text: str) -> None:
        raise DriftError(
            f"the records do not match the known columns: {text.what if isinstance(text, Message) else text}",
            hint=f"cdrctl fields {about} lists the columns; without --strict nothing is lost and this is a warning",
        )

    return refuse


def standard_output(session: Session, path: str | None) -> Any:
    """Return standard output. It may be closed if a file is named.

    Raises:
        OutputError: It is closed.
    """
    if session.process.stdout is None:
        if path not in {None, "-"}:
            return io.BytesIO()
        raise OutputError("standard output is closed", hint="name a file with -o")
    return session.process.stdout
