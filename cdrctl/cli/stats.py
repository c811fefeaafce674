"""`cdrctl stats`: figures over whole calls, each with numerator, denominator, definition and coverage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from cdrctl import windows, writers
from cdrctl.cli.calls import CALLS_FROM, JOINING, read_joining, run_calls
from cdrctl.cli.commands import session_command
from cdrctl.cli.figures import (
    LIMITS,
    Coverage,
    Limits,
    calls_request,
    check_installed,
    in_zone,
    measured,
    note_zones,
    read_limits,
)
from cdrctl.cli.options import SHARED, option
from cdrctl.cli.output_options import check_place, data, local_zone, prepare_messages, render_options
from cdrctl.cli.request import read_format, read_header
from cdrctl.cli.run import Session
from cdrctl.errors import UsageError
from cdrctl.export.request import ExportRequest, Output
from cdrctl.figures.definitions import NAMES, Figure, explain, figure
from cdrctl.figures.groups import Key, columns_of, read_keys
from cdrctl.figures.spans import times_between
from cdrctl.figures.values import made_of, shown
from cdrctl.records.columns import Column
from cdrctl.records.events import Row
from cdrctl.records.schemas import Schema

if TYPE_CHECKING:
    from cdrctl.figures.engine import Calls, Measured

_COLUMNS = (
    Column("figure", "", "text", "name of the figure"),
    Column("value", "", "decimal", "its value; null if it cannot be given"),
    Column("unit", "", "text", "count, ratio, seconds, erlang, or the currency of a cost"),
    Column("numerator", "", "decimal", "what was counted or summed"),
    Column("denominator", "", "decimal", "of what; null if the figure is no quotient"),
    Column("target", "", "decimal", "target: the lowest acceptable service level"),
    Column("hours_known", "", "decimal", "hours of the window whose calls are known; null if that is unknown"),
    Column("hours_asked", "", "decimal", "hours of the window; null without a window"),
    Column("why", "", "text", "why there is no value, or what it leaves out or counts wrongly"),
)


class Asked(Struct, frozen=True):
    """What figures are asked for.

    Args:
        figures: The figures.
        keys: The keys by which calls are grouped.
        limits: What calls in queues are measured by.
    """

    figures: tuple[Figure, ...]
    keys: tuple[Key, ...]
    limits: Limits


def stats(session: Session, given: Mapping[str, Any]) -> None:
    """Write figures over calls."""
    asked = _asked(given)
    if given["explain"] is not None:
        _explain(session, given["explain"], asked.limits)
        return
    check_installed("stats")
    output = _output(session, given)
    request = calls_request(session, given)
    prepare_messages(session, output.path)
    coverage = Coverage()

    def consume(pages: Iterable[Sequence[Row]], failed: Callable[[], bool]) -> None:
        from cdrctl.figures.engine import open_calls

        with open_calls("UTC", columns_of(asked.figures, asked.keys)) as calls:
            calls.add(pages)
            if failed():
                coverage.lose()
            zone = coverage.zone(request.window.zone)
            calls.use_zone(str(zone))
            if any(key.time for key in asked.keys):
                note_zones(session, request, coverage)
            _write(session, in_zone(request, zone), output, asked, coverage, calls)

    joining = replace(read_joining(given), cover=coverage.add, consume=consume, calls_too=True)
    run_calls(session, given, request, joining)


def _asked(given: Mapping[str, Any]) -> Asked:
    """Return the figures, their groups and their limits from the options.

    Raises:
        UsageError: An option cannot be read.
    """
    names = [name.strip() for name in (given["figures"] or ",".join(NAMES)).split(",") if name.strip()]
    if not names:
        raise UsageError("--figures names no figure", hint=f"the figures are: {', '.join(NAMES)}")
    return Asked(tuple(figure(name) for name in dict.fromkeys(names)), read_keys(given["by"]), read_limits(given))


def _explain(session: Session, name: str, limits: Limits) -> None:
    """Print the definition of a figure, or of all."""
    parameters: dict[str, object] = {"threshold": limits.threshold, "short_abandon": limits.short_abandon}
    texts = [explain(figure(one), parameters) for one in (NAMES if name == "all" else [name])]
    with data(session, Output(format="jsonl", pager=False)) as out:
        out.write("\n".join(texts).encode())


def _output(session: Session, given: Mapping[str, Any]) -> Output:
    """Return where the figures go, and in which form.

    Raises:
        UsageError: The format cannot have them.
    """
    form = read_format(session, given["format"], given["output"], "native", template=None)
    check_place(session, form, given["output"])
    if writers.is_database(form):
        raise UsageError(f"figures have no keys, which {form} needs", hint="use csv, jsonl, json, parquet or table")
    header = read_header(form, wanted=given["header"])
    return Output(form, given["output"], header=header, pager=given["pager"])


def _write(
    session: Session, request: ExportRequest, output: Output, asked: Asked, coverage: Coverage, calls: Calls
) -> None:
    """Write the figures of the calls that have been read."""
    if output.format == "table":
        schema, rows, reasons = _for_people(request, asked, coverage, calls, session.process.width)
        for reason in reasons:
            session.reporter.log("note", reason)
    else:
        keys = tuple(Column(key.name, "", "text", "key of the group") for key in asked.keys)
        schema, rows = Schema((*keys, *_COLUMNS), lambda _page: []), list(_rows(request, asked, coverage, calls))
    zone = local_zone(request, request.window.zone, "UTC unless --tz says otherwise", windowed=True)
    look = replace(render_options(session, replace(request, output=output), zone, "figures", None), more="")
    if session.process.width < _ROOMY:
        look = replace(look, whole=("figure",))
    with data(session, output) as out:
        writers.load(output.format)(schema, iter([rows] if rows else []), out, look)


def _rows(request: ExportRequest, asked: Asked, coverage: Coverage, calls: Calls) -> Iterator[Row]:
    """Yield the rows of all figures."""
    zone = request.window.zone or windows.zone("UTC")
    day = next((at for at, key in enumerate(asked.keys) if key.name == "day"), None)
    for one in asked.figures:
        for found in measured(calls, one.name, asked.keys, asked.limits, coverage, request, zone):
            hours = coverage.hours(None if day is None else found.group[day], zone)
            yield [
                *found.group,
                one.name,
                found.value,
                found.unit,
                found.numerator,
                found.denominator,
                format(asked.limits.target, "g") if one.name.startswith("service_level") else None,
                *(None if count is None else format(count, "g") for count in hours),
                found.why or None,
            ]


# A table for people


def _for_people(
    request: ExportRequest, asked: Asked, coverage: Coverage, calls: Calls, width: int
) -> tuple[Schema, list[Row], list[str]]:
    """Return the figures as a table that people read, and what they leave out, for which a table has no room.

    The table has a line for each figure, or, in groups, a column for each.
    """
    zone = request.window.zone or windows.zone("UTC")
    values = [
        one
        for name in asked.figures
        for one in measured(calls, name.name, asked.keys, asked.limits, coverage, request, zone)
    ]
    reasons: dict[str, list[str]] = {}
    for one in values:
        if one.why:
            reasons.setdefault(one.why, []).append(one.figure.name)
    notes = [f"{', '.join(dict.fromkeys(names))}: {why}" for why, names in reasons.items()]
    if asked.keys:
        schema, groups, trendless = _grouped(asked, values)
        return schema, groups, [*notes, *filter(None, [trendless])]
    numbers = {why: at for at, why in enumerate(reasons, 1)}
    columns = tuple(Column(name, "", "text", "") for name in ("figure", "value", "of", "note"))
    rows: list[Row] = [
        [
            one.figure.title if width >= _ROOMY else one.figure.name,
            shown(one) or "-",
            made_of(one),
            f"note {numbers[one.why]}" if one.why else None,
        ]
        for one in values
    ]
    notes = [f"note {at}: {note}" for at, note in enumerate(notes, 1)]
    return Schema(columns, lambda _page: []), rows, notes


_ROOMY = 72
"""Columns of a terminal from which on a table has the titles of figures, below them their names."""


def _grouped(asked: Asked, values: Sequence[Measured]) -> tuple[Schema, list[Row], str]:
    """Return a line for each group, a line of bars if the groups follow each other in time, and why there is none."""
    groups: dict[tuple[str | None, ...], dict[str, str]] = {}
    numbers: dict[str, dict[tuple[str | None, ...], float]] = {}
    for one in values:
        name = f"cost {one.unit}" if one.figure.unit == "money" else one.figure.name
        if one.numerator is None and not any(one.group):
            continue
        groups.setdefault(one.group, {})[name] = shown(one) or "-"
        numbers.setdefault(name, {})
        if one.value is not None:
            numbers[name][one.group] = float(one.value)
    columns = tuple(Column(name, "", "text", "") for name in (*(key.name for key in asked.keys), *numbers))
    rows: list[Row] = [[*group, *(told.get(name) for name in numbers)] for group, told in groups.items()]
    trendless = ""
    if len(asked.keys) == 1 and asked.keys[0].time and len(rows) > 1:
        there = [str(group[0]) for group in groups if group[0] is not None]
        times = _times(asked.keys[0], there)
        if times is None:
            far = f"there are more than {LONGEST_TREND} {asked.keys[0].name}s from {there[0]} to {there[-1]}"
            trendless = f"there is no trend: {far}"
        else:
            rows.append(["trend", *(sparkline([told.get((time,)) for time in times]) for told in numbers.values())])
    return Schema(columns, lambda _page: []), rows, trendless


LONGEST_TREND = 400
"""The most days, weeks or months that a trend has."""


def _times(key: Key, there: Sequence[str]) -> list[str] | None:
    """Return the times of a trend in order, with those between them that have no calls; None if there are too many."""
    if key.name == "hour":
        return [f"{hour:02d}" for hour in range(24)]
    if key.name == "weekday" or not there:
        return list(there)
    return times_between(key.name, there[0], there[-1], LONGEST_TREND)


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None]) -> str:
    """Return values as bars between the least and the greatest; a blank where there is none."""
    there = [one for one in values if one is not None]
    if not there:
        return ""
    least, span = min(there), max(there) - min(there)
    bars = (" " if one is None else _BARS[round((one - least) / span * 7) if span else 0] for one in values)
    return "".join(bars)


_OWN = (
    option(
        "--by",
        about="Group by these keys: hour, day, weekday, week, month, queue, trunk, user, site, direction, outcome, "
        "from_number, to_prefix, provider or profile; several are separated by commas.",
        metavar="KEYS",
    ),
    option("--figures", about="Only these figures (cdrctl stats --explain all lists them).", metavar="FIGURES"),
    *LIMITS,
    option(
        "--explain",
        about="Print the definition of this figure, its source and its SQL; all prints every one.",
        metavar="FIGURE",
    ),
)
_LEFT_OUT = {"profile", "schema", "fields", "sort", "limit", "template", "times", "spreadsheet_safe", "dry_run"}

COMMANDS = {
    "stats": session_command(
        "stats",
        "Compute figures over whole calls: each with numerator, denominator, definition and coverage.",
        stats,
        (*CALLS_FROM, *_OWN, *(one for name, one in SHARED.items() if name not in _LEFT_OUT), *JOINING),
        (
            "cdrctl stats -p sandbox --since yesterday --until today -f table",
            "cdrctl stats -p sandbox --since 7d --by day --figures calls,asr,answer_rate -f csv",
        ),
    ),
}
