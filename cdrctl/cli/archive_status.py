"""`cdrctl archive status`: how old, how complete and how large an archive is, for people and for monitoring."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cdrctl import windows
from cdrctl.archive.places import place_of
from cdrctl.cli.archived import CALLS, PROFILES, archived
from cdrctl.cli.commands import command
from cdrctl.cli.connecting import the_clock
from cdrctl.cli.failures import some
from cdrctl.cli.options import option
from cdrctl.cli.output_options import check_place, colored, standard_output
from cdrctl.cli.run import Session
from cdrctl.errors import IncompleteError, UsageError

if TYPE_CHECKING:
    from cdrctl.archive.status import CallStatus
    from cdrctl.archive.store import Archive

SHOWN = (
    *("profile", "call", "last_success", "newest_complete_day", "holes", "records", "bytes", "late", "beyond"),
    *("calls_until", "calls_stale", "provider"),
)
"""The columns of a table, the most important first."""

INTO = option("--into", about="Folder of the archive, or its URL (s3://…).", metavar="DIR", required=True)


@command(
    PROFILES,
    INTO,
    CALLS,
    option(
        "--max-age",
        about="Exit with 3 if a call was last read successfully longer ago than this, such as 26h, or never.",
        metavar="DURATION",
    ),
    option(
        "-f",
        "--format",
        name="form",
        about="table, json, jsonl, csv or tsv. Default: table on a terminal, json in a pipe.",
        metavar="FORMAT",
        panel="Output",
    ),
    examples=(
        "cdrctl sync sandbox --into archive && cdrctl archive status --into archive --max-age 26h",
        "cdrctl sync sandbox --into archive && cdrctl archive status --into archive | jq 'map(.records) | add'",
    ),
)
def status(
    opened: Session, *, profile: list[str], into: str, call: list[str], max_age: str | None, form: str | None
) -> None:
    """Show when each profile of an archive was last read, what is complete, missing or stored, and the size.

    The command needs no secrets, no network and no permission to write.
    """
    from cdrctl.archive.status import call_status
    from cdrctl.archive.store import open_archive

    age = windows.duration(max_age, "--max-age") if max_age is not None else None
    form = form or ("table" if opened.process.stdout_is_terminal else "json")
    _check_format(opened, form)
    archive, now = open_archive(place_of(into)), the_clock(opened).now()
    found = [call_status(one, now) for one in archived(opened, archive, profile, call)]
    _write(opened, archive, form, found)
    if age is not None:
        _check_age(opened, found, age, now)


def _check_format(opened: Session, form: str) -> None:
    from cdrctl import writers

    if form != writers.TEMPLATE and writers.is_binary(form):
        raise UsageError(f"the status cannot be written as {form}", hint="use table, json, jsonl, csv or tsv")
    check_place(opened, form, None)


def _write(opened: Session, archive: Archive, form: str, found: Sequence[CallStatus]) -> None:
    from cdrctl import writers
    from cdrctl.records.columns import Column
    from cdrctl.records.schemas import Schema
    from cdrctl.writers.output import output

    columns = (
        Column("profile", ""),
        Column("call", ""),
        Column("provider", ""),
        Column("last_success", "", "time"),
        Column("newest_complete_day", ""),
        Column("holes", "", "integer"),
        Column("beyond", "", "integer"),
        Column("late", "", "integer"),
        Column("records", "", "integer"),
        Column("bytes", "", "integer"),
        Column("calls_until", ""),
        Column("calls_stale", "", "integer"),
    )
    rows: list[list[Any]] = [_row(one) for one in found]
    look = writers.RenderOptions(
        opened.process.width, archive.zone, form == "table" and colored(opened), shown=SHOWN, whole=SHOWN[:4], more=""
    )
    with output(None, standard_output(opened, None)) as out:
        writers.load(form)(Schema(columns, lambda _page: []), iter([rows]), out, look)


def _row(one: CallStatus) -> list[Any]:
    about = [one.kept.profile, one.kept.call, one.kept.provider]
    read_at = one.last_success and _rfc3339(one.last_success)
    calls = [None, None] if one.stored is None else [one.stored.newest, one.stored.stale]
    return [*about, read_at, one.newest_complete_day, one.holes, one.beyond, one.late, one.records, one.size, *calls]


def _check_age(opened: Session, found: Sequence[CallStatus], age: timedelta, now: datetime) -> None:
    """Raise if a call was last read longer ago than `age`; with several, each has a line of its own.

    Raises:
        IncompleteError: There is such a call, or none at all.
    """
    if not found:
        raise IncompleteError("the archive contains no calls yet", hint="fill it with: cdrctl sync PROFILE --into DIR")
    old = [one for one in found if one.is_older_than(age, now)]
    hint = "read the messages of the last cdrctl sync, or run it now"
    if len(found) == 1 and old:
        raise IncompleteError(f"{_title(old[0])}: {_age_text(old[0], now)}", hint=hint)
    for one in old:
        about = {"profile": one.kept.profile, "call": one.kept.call}
        opened.reporter.problem(about, IncompleteError(_age_text(one, now)))
    if old:
        names = some([_title(one) for one in old])
        raise IncompleteError(f"{len(old)} of {len(found)} calls are older than --max-age: {names}", hint=hint)


def _title(one: CallStatus) -> str:
    return f"{one.kept.profile} {one.kept.call}"


def _age_text(one: CallStatus, now: datetime) -> str:
    if one.last_success is None:
        return "was never read successfully"
    hours = (now - one.last_success) / timedelta(hours=1)
    return f"was last read successfully {hours:.1f} hours ago, at {_rfc3339(one.last_success)}"


def _rfc3339(at: datetime) -> str:
    return windows.rfc3339(at.replace(microsecond=0))
