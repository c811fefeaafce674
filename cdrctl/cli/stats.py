"""`cdrctl stats`: figures over whole calls, each with numerator, denominator, definition and coverage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cdrctl import windows, writers
from cdrctl.cli.calls import JOINING, SOURCES, read_joining, run_calls
from cdrctl.cli.commands import command, session_command
from cdrctl.cli.options import SHARED, option
from cdrctl.cli.output_options import check_place, data, local_zone, prepare_messages, render_options
from cdrctl.cli.request import read_format, read_header, read_request
from cdrctl.cli.run import Session
from cdrctl.errors import ConfigurationError, UsageError
from cdrctl.export.request import ExportRequest, Output
from cdrctl.figures.definitions import NAMES, Figure, explain, figure
from cdrctl.figures.groups import Key, read_keys
from cdrctl.records.columns import Column
from cdrctl.records.events import Gap, Row
from cdrctl.records.schemas import Schema

if TYPE_CHECKING:
    from cdrctl.figures.engine import Calls, Measured
    from cdrctl.windows import Window

_HOUR = timedelta(hours=1)
_COLUMNS = (
    Column("figure", "", "text", "name of the figure"),
    Column("value", "", "decimal", "its value; null if it cannot be given"),
    Column("unit", "", "text", "count, ratio, seconds, erlang, or the currency of a cost"),
    Column("numerator", "", "decimal", "what was counted or summed"),
    Column("denominator", "", "decimal", "of what; null if the figure is no quotient"),
    Column("hours_known", "", "decimal", "hours of the window whose calls are known; null if that is unknown"),
    Column("hours_asked", "", "decimal", "hours of the window; null without a window"),
    Column("why", "", "text", "why there is no value, or what it leaves out"),
)


@dataclass(slots=True)
class Coverage:
    """Which hours of the window are known, over all profiles.

    Args:
        window: The window, of the profile whose window is the longest.
        known: The parts of it that are known for every profile; None if a part is missing, and which is unknown.
    """

    window: Window | None = None
    known: list[Window] | None = None

    def add(self, window: Window, gaps: Sequence[Gap]) -> None:
        """Add the window of a profile, and its gaps."""
        from cdrctl.archive.intervals import overlap, subtract

        holes = [gap.window for gap in gaps]
        mine = None if None in holes else subtract([window], [one for one in holes if one is not None])
        if self.window is None:
            self.window, self.known = window, mine
            return
        self.window = max(self.window, window, key=lambda one: one.duration)
        if self.known is not None:
            both = [overlap(one, other) for one in self.known for other in mine or ()]
            self.known = None if mine is None else [one for one in both if one is not None]

    def hours(self, day: str | None, zone: Any) -> tuple[float | None, float | None]:
        """Return the known and the asked hours, of the window or of its part in a local day."""
        from cdrctl.archive.intervals import overlap

        if self.window is None:
            return None, None
        part: Window | None = self.window
        if day is not None:
            part = overlap(self.window, windows.window(day, f"{day}T23:59:59.999999", zone=zone, now=self.window.until))
        if part is None:
            return None, None
        asked = round(part.duration / _HOUR, 2)
        if self.known is None:
            return None, asked
        parts = [both for one in self.known if (both := overlap(one, part)) is not None]
        return round(sum(one.duration / _HOUR for one in parts), 2), asked


@dataclass(frozen=True, slots=True)
class Asked:
    """What figures are asked for.

    Args:
        figures: The figures.
        keys: The keys by which calls are grouped.
        target: The share of calls to be served within the threshold.
        threshold: Seconds within which a queue call is served.
        short_abandon: Seconds up to which an abandoned call is a quick abandon.
    """

    figures: tuple[Figure, ...]
    keys: tuple[Key, ...]
    target: float
    threshold: int
    short_abandon: int


def stats(session: Session, given: Mapping[str, Any]) -> None:
    """Write figures over calls."""
    asked = _asked(given)
    if given["explain"] is not None:
        _explain(session, given["explain"], asked)
        return
    _check_installed()
    output = _output(session, given)
    unused = {"fields": None, "sort": None, "limit": None, "template": None, "header": None, "times": None}
    shown = {**unused, "schema": "common", "format": "jsonl", "output": None, "spreadsheet_safe": False, "pager": None}
    request = read_request(session, {**given, **shown, "dry_run": False}, None, None, ())
    prepare_messages(session, output.path)
    coverage = Coverage()

    def consume(pages: Iterable[Sequence[Row]]) -> None:
        from cdrctl.figures.engine import open_calls

        zone = request.window.zone or windows.zone("UTC")
        with open_calls(str(zone)) as calls:
            calls.add(pages)
            _write(session, request, output, asked, coverage, calls)

    joining = replace(read_joining(given), cover=coverage.add, consume=consume, calls_too=True)
    run_calls(session, given, request, joining)


def _asked(given: Mapping[str, Any]) -> Asked:
    """Return what figures are asked for.

    Raises:
        UsageError: An option cannot be read.
    """
    names = [name.strip() for name in (given["figures"] or ",".join(NAMES)).split(",") if name.strip()]
    if not names:
        raise UsageError("--figures names no figure", hint=f"the figures are: {', '.join(NAMES)}")
    target, _, threshold = given["service_level"].partition("/")
    if not (target.isdigit() and threshold.isdigit() and 0 < int(target) <= 100):
        raise UsageError(
            f"--service-level is a share and seconds, not {given['service_level']!r}", hint="write it as 80/20"
        )
    figures = tuple(figure(name) for name in dict.fromkeys(names))
    return Asked(figures, read_keys(given["by"]), int(target) / 100, int(threshold), given["short_abandon"])


def _explain(session: Session, name: str, asked: Asked) -> None:
    """Print the definition of a figure, or of all."""
    parameters: dict[str, object] = {"threshold": asked.threshold, "short_abandon": asked.short_abandon}
    texts = [explain(figure(one), parameters) for one in (NAMES if name == "all" else [name])]
    with data(session, Output(format="jsonl", pager=False)) as out:
        out.write("\n".join(texts).encode())


def _check_installed() -> None:
    """Check that DuckDB is installed.

    Raises:
        ConfigurationError: It is not.
    """
    try:
        import duckdb  # noqa: F401 - what imports it later reports no missing package
    except ImportError:
        raise ConfigurationError(
            "cdrctl stats needs duckdb, which is not installed", hint="pip install 'cdrctl[duckdb]'"
        ) from None


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
    keys = tuple(Column(key.name, "", "text", "key of the group") for key in asked.keys)
    schema = Schema((*keys, *_COLUMNS), lambda _page: [])
    rows = list(_rows(request, asked, coverage, calls))
    if output.format == "table":
        schema, rows = _for_people(asked, rows)
    zone = local_zone(request, request.window.zone, "UTC unless --tz says otherwise", windowed=True)
    look = replace(render_options(session, replace(request, output=output), zone, "figures", None), more="")
    with data(session, output) as out:
        writers.load(output.format)(schema, iter([rows] if rows else []), out, look)


def _rows(request: ExportRequest, asked: Asked, coverage: Coverage, calls: Calls) -> Iterator[Row]:
    """Yield the rows of all figures. Where part of the time is unknown, there is no value unless that is allowed."""
    from cdrctl.fetchers import PROVIDERS, joins_of

    zone = request.window.zone or windows.zone("UTC")
    _, hours = coverage.hours(None, zone)
    until = None if coverage.window is None else windows.rfc3339(coverage.window.until)
    parameters: dict[str, Any] = {
        "threshold": asked.threshold,
        "short_abandon": asked.short_abandon,
        "hours": hours,
        "until": until,
    }
    lacks = {name: next(iter(joins_of(name).values())).lacks or {} for name in PROVIDERS}
    for one in asked.figures:
        untold = {name: told[one.needs] for name, told in lacks.items() if one.needs in told}
        for found in calls.measure(one, asked.keys, parameters, untold):
            yield _row(found, asked, coverage, request, zone)


def _row(found: Measured, asked: Asked, coverage: Coverage, request: ExportRequest, zone: Any) -> Row:
    at = next((at for at, key in enumerate(asked.keys) if key.name == "day"), None)
    known, hours = coverage.hours(None if at is None else found.group[at], zone)
    value, why = found.value, found.why
    if hours is not None and (known is None or known < hours):
        lacking = "an unknown part" if known is None else f"{hours - known:g} of {hours:g} hours"
        why = "; ".join(filter(None, (f"the calls of {lacking} are missing", why)))
        value = value if request.allow_partial else None
    return [
        *found.group,
        found.figure.name,
        value,
        found.unit,
        found.numerator,
        found.denominator,
        *(None if one is None else format(one, "g") for one in (known, hours)),
        why or None,
    ]


# A table for people


def _for_people(asked: Asked, rows: Sequence[Row]) -> tuple[Schema, list[Row]]:
    """Return the figures as a table that people read: a line for each, or, by time, a column for each."""
    count = len(asked.keys)
    titles = {one.name: one.title for one in asked.figures}
    if not count:
        columns = tuple(Column(name, "", "text", "") for name in ("figure", "value", "of", "note"))
        return Schema(columns, lambda _page: []), [
            [titles[row[0]], _shown(row[1], row[2]), _of(row[3], row[4], row[2]), row[7]] for row in rows
        ]
    groups: dict[tuple[Any, ...], dict[str, str]] = {}
    numbers: dict[str, list[float | None]] = {}
    for row in rows:
        name = (
            str(row[count]) if row[count + 2] in {"count", "ratio", "seconds", "erlang"} else f"cost {row[count + 2]}"
        )
        if row[count + 1] is None and all(key is None for key in row[:count]):
            continue
        groups.setdefault(tuple(row[:count]), {})[name] = _shown(row[count + 1], row[count + 2])
        numbers.setdefault(name, []).append(None if row[count + 1] is None else float(row[count + 1]))
    names = list(numbers)
    columns = tuple(Column(name, "", "text", "") for name in (*(key.name for key in asked.keys), *names))
    found: list[Row] = [[*group, *(told.get(name) for name in names)] for group, told in groups.items()]
    if count == 1 and asked.keys[0].time and len(found) > 1:
        found.append(["trend", *(sparkline(numbers[name]) for name in names)])
    return Schema(columns, lambda _page: []), found


def _shown(value: Any, unit: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    if unit == "ratio":
        return f"{float(value) * 100:.1f} %"
    if unit == "seconds":
        whole = round(float(value))
        return (
            f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
            if whole >= 3600
            else f"{whole // 60}:{whole % 60:02d}"
        )
    if unit in {"count", "erlang"}:
        return str(value)
    return f"{value} {unit}"


def _of(numerator: Any, denominator: Any, unit: Any) -> str | None:
    """Return what a quotient is made of."""
    if denominator is None or numerator is None:
        return None
    return f"{numerator} of {denominator}" if unit == "ratio" else f"{numerator} / {denominator}"


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None]) -> str:
    """Return values as bars between the least and the greatest; a blank where there is none."""
    there = [one for one in values if one is not None]
    if not there:
        return ""
    least, span = min(there), max(there) - min(there)
    bars = (" " if one is None else _BARS[round((one - least) / span * 7) if span else 0] for one in values)
    return "".join(bars)


# Erlang's formulas


@command(
    option(
        "--erlang",
        about="Offered traffic in erlang: calls an hour times their mean length in hours.",
        metavar="E",
        required=True,
    ),
    option("--blocking", about="Trunks: the share of calls that may find all busy, such as 0.01.", metavar="SHARE"),
    option(
        "--service-level",
        about="Agents: the share of calls and the seconds within which they are answered.",
        metavar="80/20",
    ),
    option(
        "--handling",
        about="Agents: mean seconds of a call, talk and after-call work.",
        metavar="SECONDS",
        default="180",
    ),
    examples=(
        "cdrctl size --erlang 10 --blocking 0.01",
        "cdrctl size --erlang 10 --service-level 80/20 --handling 240",
    ),
)
def size(opened: Session, *, erlang: str, blocking: str | None, service_level: str | None, handling: str) -> None:
    """Compute how many trunks or agents an offered traffic needs, by Erlang B and C.

    Carried traffic, as in cdrctl stats --figures traffic, is less than the offered one where calls were blocked.
    """
    from cdrctl.figures.erlang import agents_for, erlang_b, erlang_c, served_within, trunks_for

    traffic = _number(erlang, "--erlang", 0, 10_000)
    if blocking is None and service_level is None:
        raise UsageError(
            "what is to be sized?", hint="give --blocking 0.01 for trunks, or --service-level 80/20 for agents"
        )
    lines = []
    if blocking is not None:
        share = _number(blocking, "--blocking", 0, 1)
        trunks = trunks_for(traffic, share)
        if trunks is None or share <= 0:
            raise UsageError("no number of trunks loses no call", hint="give a share above 0, such as 0.01")
        lost = erlang_b(traffic, trunks)
        lines.append(f"trunks: {trunks} lose {lost:.6f} of the calls (Erlang B, {traffic:g} erlang)")
    if service_level is not None:
        target, _, threshold = service_level.partition("/")
        share = _number(target, "--service-level", 0, 100) / 100
        seconds, mean = _number(threshold, "--service-level", 0, 86_400), _number(handling, "--handling", 0, 86_400)
        agents = agents_for(traffic, share, mean, seconds) if share < 1 and mean > 0 else None
        if agents is None:
            raise UsageError(
                "no number of agents serves all calls in time", hint="give a share below 100, such as 80/20"
            )
        waits, served = erlang_c(traffic, agents), served_within(traffic, agents, mean, seconds)
        lines.append(
            f"agents: {agents} answer {served:.4f} of the calls within {seconds:g} s; {waits:.4f} wait (Erlang C)"
        )
    with data(opened, Output(format="jsonl", pager=False)) as out:
        out.write("".join(f"{line}\n" for line in lines).encode())


def _number(text: str, label: str, least: float, most: float) -> float:
    """Return a number within bounds.

    Raises:
        UsageError: It is none, or outside.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise UsageError(f"{label} is a number from {least:g} to {most:g}, not {text!r}", hint="write it as 10 or 0.01")
    return value


_OWN = (
    option(
        "--by",
        about="Group by these keys: hour, day, weekday, week, month, queue, trunk, user, site, direction, outcome, "
        "from_number, to_prefix, provider or profile; several are separated by commas.",
        metavar="KEYS",
    ),
    option("--figures", about="Only these figures (cdrctl stats --explain all lists them).", metavar="FIGURES"),
    option(
        "--service-level",
        about="Share in percent, and seconds within which queue calls are answered.",
        default="80/20",
        metavar="X/Y",
    ),
    option(
        "--short-abandon",
        about="An abandoned call that waited at most N seconds is a quick abandon.",
        kind="integer",
        default=5,
        minimum=0,
    ),
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
        (*SOURCES, *_OWN, *(one for name, one in SHARED.items() if name not in _LEFT_OUT), *JOINING),
        (
            "cdrctl stats -p sandbox --since yesterday --until today -f table",
            "cdrctl stats -p sandbox --since 7d --by day --figures calls,asr,answer_rate -f csv",
        ),
    ),
    "size": size,
}
