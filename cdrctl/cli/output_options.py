"""Where the records go and what they look like: format, columns, colours, times."""

from __future__ import annotations

import functools
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from typing import Any

from cdrctl import windows, writers
from cdrctl.cli.run import Session
from cdrctl.errors import DriftError, Message, OutputError, UsageError, did_you_mean
from cdrctl.fetchers import Call, Provider
from cdrctl.records.common import COMMON
from cdrctl.records.events import Row
from cdrctl.records.schemas import outcomes
from cdrctl.writers.output import destination
from cdrctl.zones import machine_zone

SCHEMAS = ("native", "common", "raw")
TIMES = ("utc", "local")


COMMON_SHOWN = (
    *("start_time", "from_number", "to_number", "talk_seconds", "outcome", "direction", "user", "cost", "currency"),
    *("ring_seconds", "cause", "queue", "from_name", "to_name", "site", "trunk"),
)


def typed_times(shared: Mapping[str, Any], *, windowed: bool) -> str:
    """Return the options that may have times, as a sentence begins with them; nothing where there are none."""
    where = shared["where"] is not None
    if windowed:
        return "--since, --until and --where are" if where else "--since and --until are"
    return "--where is" if where else ""


def wants_local_times(shared: Mapping[str, Any], form: str) -> bool:
    """Return whether times are to be written with an offset.

    Raises:
        UsageError: --times is neither utc nor local, or the format cannot have local times.
    """
    which = shared["times"]
    if which not in {None, *TIMES}:
        raise UsageError(
            f"--times is utc or local, not {which!r}", hint=f"{did_you_mean(which, TIMES)}leave it out for utc"
        )
    if which is None:
        return False
    if which == "local" or shared["schema"] == "raw":
        writers.check_local_times(form, shared["schema"])
    return bool(which == "local")


def local(
    shared: Mapping[str, Any],
    form: str,
    said: tzinfo | None,
    zone: str,
    *,
    windowed: bool,
) -> dict[str, Any]:
    """Return the zone of the times that people read: the one that was named, else in a table that of the machine.

    Times that are typed without a zone are read in the same zone on every machine, so a table that shows another zone
    says so.
    """
    if shared["times"] == "utc" and form == "table":
        return {"zone": windows.zone("UTC")}
    if said is not None or form != "table":
        return {"zone": said or windows.zone("UTC")}
    typed = typed_times(shared, windowed=windowed)
    here = machine_zone()
    if here is None:  # the C library takes UTC for a TZ that it cannot read, and says nothing
        return {"zone": windows.zone("UTC"), "beside": "; TZ does not name a time zone"}
    if str(here).rpartition("/")[2] in {"UTC", "UCT", "Universal", "Zulu"}:
        return {"zone": windows.zone("UTC")}
    return {"zone": here, "beside": f"; {typed} in {zone}" if typed else ""}


def endings(call: Call | None, fields: Sequence[str] | None) -> dict[str, Any]:
    """Return what a table colours: the ending of a whole native record, or the outcome of a common one."""
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
def data(session: Session, shared: Mapping[str, Any], form: str) -> Iterator[Any]:
    """Return what is written to: a file, standard output, or a pager on a terminal; of a database its path.

    A table is paged; other forms are with --pager.
    """
    path = shared["output"]
    stream = standard_output(session, path)
    wanted = form == "table" if shared["pager"] is None else shared["pager"]
    with ExitStack() as opened:
        if wanted and path in {None, "-"} and session.process.stdout_is_terminal:
            from cdrctl.cli.pager import paged

            stream = opened.enter_context(paged(session, stream))
        note = functools.partial(session.reporter.log, "note")
        yield opened.enter_context(destination(path, stream, database=writers.is_database(form), note=note))


COMMON_NAME = "cdrs"
"""The table of common CDRs, whatever provider they come from."""


def table_name(provider: Provider, call: Call) -> str:
    """Return the name of the table that the records of a call are in."""
    return "_".join(filter(None, (provider.name, call.group, call.name))).replace("-", "_")


def colored(session: Session, path: str | None = None) -> bool:
    """Return whether a table may have colours (no-color.org, force-color.org; a dumb terminal shows escapes as text).

    A file has none, whatever standard output is.
    """
    environ = session.process.environ
    if environ.get("NO_COLOR") or path not in {None, "-"}:
        return False
    if any(environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return session.process.stdout_is_terminal and environ.get("TERM") != "dumb"


def say_aside(session: Session, target: str | None) -> None:
    """Let progress be shown where data goes elsewhere than to the terminal, and say what an interruption leaves."""
    to_stdout = target in {None, "-"}
    # What reads a pipe may write to the same terminal, where a line of progress would stand in its way.
    session.reporter.data_elsewhere = not to_stdout or not (
        session.process.stdout_is_terminal or session.process.stdout_is_pipe
    )
    left = "standard output has whole records, and not all of them" if to_stdout else f"{target} is as it was"
    session.reporter.left_behind = f"{left}: run it again"


def output_format(session: Session, shared: Mapping[str, Any]) -> str:
    """Return the output format, refused before anything is asked where it cannot be."""
    if shared["schema"] not in SCHEMAS:
        raise UsageError(
            f"there is no schema {shared['schema']!r}",
            hint=f"{did_you_mean(shared['schema'], SCHEMAS)}the schemas are: {', '.join(SCHEMAS)}",
        )
    path = shared["output"]
    to_stdout = path is None or path == "-"
    if shared["template"] is not None:
        if shared["format"] is not None:
            raise UsageError("--template is a format of its own", hint="leave -f out")
        return writers.TEMPLATE
    if shared["format"] == writers.TEMPLATE:
        raise UsageError("what shall a line look like?", hint="write it as --template '{start_time} {from_number}'")
    form: str | None = shared["format"] or (None if to_stdout else writers.format_of(path))
    wants_raw = shared["schema"] == "raw"
    if wants_raw and shared["strict"]:
        raise UsageError(
            "raw records are not read: --strict has nothing to hold them against", hint="use --schema native"
        )
    if form is None:
        form = "table" if to_stdout and session.process.stdout_is_terminal and not wants_raw else "jsonl"
    if wants_raw and not writers.takes_raw(form):
        raise UsageError(f"raw records have no columns and cannot be written as {form}", hint="use -f jsonl or -f json")
    if shared["spreadsheet_safe"] and form not in {"csv", "tsv"}:
        raise UsageError(f"--spreadsheet-safe is for csv and tsv, not for {form}", hint="use -f csv, or leave it out")
    check_place(session, form, path)
    return form


def check_place(session: Session, form: str, path: str | None) -> None:
    """Refuse a format, or a place to which it cannot be written, before anything is asked."""
    if form == writers.TEMPLATE:
        raise UsageError(
            f"{form} is a format of commands with --template alone", hint=f"use one of: {', '.join(writers.FORMATS)}"
        )
    writers.load(form)
    to_stdout = path is None or path == "-"
    if writers.is_database(form) and to_stdout:
        raise UsageError(f"{form} is a file that is changed in its place, and no stream", hint="name it with -o FILE")
    if not writers.is_binary(form):
        return
    if path is not None and path.lower().endswith(".gz"):
        raise UsageError(f"{form} is not compressed again", hint="leave .gz out of the name")
    if to_stdout and session.process.stdout_is_terminal:
        raise UsageError(f"{form} is nothing that a terminal can show", hint="name a file with -o, or use a pipe")


def drift(session: Session, shared: Mapping[str, Any], about: str) -> Callable[[str], None]:
    """Return what is told how records differ from their columns: it warns, or ends the export with --strict."""
    if not shared["strict"]:
        return lambda text: session.reporter.log("warning", text)

    def refuse(text: str) -> None:
        raise DriftError(
            f"the records do not fit the columns known: {text.what if isinstance(text, Message) else text}",
            hint=f"cdrctl fields {about} lists the columns; without --strict nothing is lost and this is a warning",
        )

    return refuse


EVERY_FIELD = "all"
"""What --fields names for all columns, where a format has fewer by default."""


def fields_of(shared: Mapping[str, Any], form: str, call: Call | None, usual: Sequence[str]) -> list[str] | None:
    """Return the fields chosen, or None for all.

    A workbook is for people: without --fields it has the columns of a table. `--fields all` gives all of them.

    Args:
        shared: The shared options.
        form: The output format.
        call: The call whose native columns are written; None for the common schema.
        usual: The columns that a table shows.
    """
    if shared["fields"] is not None or form != "xlsx":
        return field_names(shared["fields"])
    names = [column.name for column in (COMMON if call is None else call.columns)]
    return [name for name in usual if name in names] or None


def field_names(text: str | None) -> list[str] | None:
    """Return the fields chosen, or None for all."""
    if text is None or text.strip() == EVERY_FIELD:
        return None
    fields = [name.strip() for name in text.split(",") if name.strip()]
    if not fields:
        raise UsageError("--fields names no field", hint="write it as --fields a,b,c")
    if repeated := [name for name, times in Counter(fields).items() if times > 1]:
        raise UsageError(f"--fields names {repeated[0]!r} more than once", hint="name each field once")
    return fields


def standard_output(session: Session, path: str | None) -> Any:
    """Return the stream of data, which need not be there when a file is named."""
    if session.process.stdout is None:
        if path not in {None, "-"}:
            return io.BytesIO()
        raise OutputError("standard output is closed", hint="name a file with -o")
    return session.process.stdout
