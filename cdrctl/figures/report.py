"""The sections of a report: what is known, headline figures, outcomes, busy hours, queues, costs, missed calls.

Every number is a figure of `figures/sql` or a count of the same calls, so that headlines and charts agree. Without
`partial`, days with missing calls are left out of charts, and named; lists that would need them are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from msgspec import Struct

from cdrctl.calls.columns import OUTCOMES
from cdrctl.figures.charts import bars, heat_map, html_of, stacked_bars, table
from cdrctl.figures.definitions import NAMES, figure
from cdrctl.figures.engine import Calls, Measured
from cdrctl.figures.groups import read_keys
from cdrctl.figures.page import LONGEST, Section
from cdrctl.figures.spans import busiest_span, days_between
from cdrctl.figures.values import clock, made_of, shown

MOST = 20
"""How many rows a list in a report has."""

_DAYS_SHOWN, _WEEKS_SHOWN = 62, 80
"""The most days, and the most weeks, that have a bar each; beyond them, months have."""

LONGEST_CHART = 7305
"""The most days, of twenty years, that the chart of outcomes has: a call can have a date that cannot be."""

_WHOLE_DAY = 23
"""Hours of the shortest day, on which clocks are set forward."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = tuple(f"{hour:02d}" for hour in range(24))
_QUEUE_FIGURES = ("calls", "service_level", "abandonment", "asa")
_HEADLINES = ("calls", "answer_rate", "missed", "acd", "service_level", "cost")


class Known(Struct, frozen=True):
    """The hours of the window whose calls are known.

    Args:
        days: Each local day of the window, with the known and the asked hours; known is None if it is not known which.
        hours: The known and the asked hours of all.
        failed: A profile or a file could not be read as a whole.
        partial: Figures of incomplete days are wanted.
        assumed: The calls are those of files, which do not tell whether they have all calls of the window.
    """

    days: Sequence[tuple[str, float | None, float]]
    hours: tuple[float | None, float | None]
    failed: bool = False
    partial: bool = False
    assumed: bool = False

    @property
    def incomplete(self) -> list[str]:
        """The days of which calls are missing."""
        return [day for day, known, asked in self.days if known is None or known < asked]

    @property
    def left_out(self) -> frozenset[str]:
        """The days that are left out of charts."""
        return frozenset() if self.partial else frozenset(self.incomplete)

    @property
    def lists(self) -> bool:
        """Whether lists of calls can be shown."""
        return self.partial or not (self.failed or self.incomplete)


Measure = Callable[[str, str | None], list[Measured]]
"""From the name of a figure and the keys of its groups to its values."""


def sections(calls: Calls, measure: Measure, known: Known, mask: Callable[[Any], Any]) -> list[Section]:
    """Return the sections of a report.

    Args:
        calls: The calls.
        measure: Computes figures; values that need missing hours are None.
        known: Which hours are known.
        mask: Hides a part of a number that identifies a person.
    """
    counted = calls.rows("SELECT count(*) FROM all_calls")[0][0]
    whole = [one for name in NAMES for one in measure(name, None)]
    found = [_coverage(known, calls, counted), _headlines(whole)]
    if counted:
        found += [
            _outcomes(calls, known),
            _week(calls, known),
            _busy(measure),
            _queues(measure),
            _destinations(measure),
            _missed(calls, measure, known, mask),
        ]
    return [*found, _all(whole), _definitions()]


def _coverage(known: Known, calls: Calls, counted: int) -> Section:
    title = "What is known"
    undated = calls.rows("SELECT count(*) FROM all_calls WHERE start_time IS NULL")[0][0]
    more = f" {undated} calls have no readable start, and are in no chart." if undated else ""
    if known.failed:
        note = f"Not all calls could be read. {_partial(known)}"
        return Section(title, note=note + more, warning=True)
    if known.hours[1] is None:
        return Section(title, note=f"The report covers all calls of its files. Their window is unknown.{more}")
    if known.assumed:
        note = (
            "The report covers the calls of this period that are in its files. Whether others are missing is unknown."
        )
        return Section(title, note=note + more)
    missing = known.incomplete
    if not missing:
        none = "" if counted else " There are no calls."
        return Section(title, note=f"The calls of all hours of the period are known.{none}{more}")
    note = f"Calls are missing on {_named(missing)}. {_partial(known)}"
    rows = [(day, _hours(hours), f"{asked:g}") for day, hours, asked in known.days if day in set(missing)]
    head = ("day", "hours known", "hours of the day")
    return Section(title, _list(head, rows, "Incomplete days"), note + more, warning=True)


def _partial(known: Known) -> str:
    if known.partial:
        return "Figures and charts cover only the calls that were read."
    return "Figures that need them have no value, and charts leave these days out."


def _named(days: Sequence[str]) -> str:
    return ", ".join(days[:5]) + (f" and {len(days) - 5} more days" if len(days) > 5 else "")


def _hours(hours: float | None) -> str | None:
    return None if hours is None else f"{hours:g}"


def _list(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """Return a table of the first rows, and the number of others."""
    more = len(rows) - MOST
    note = f'<p class="note">and {more} more</p>' if more > 0 else ""
    return table(head, rows[:MOST], caption) + note


def _headlines(whole: Sequence[Measured]) -> Section:
    """Return a card for each headline figure."""
    cards = "".join(_card([one for one in whole if one.figure.name == name]) for name in _HEADLINES)
    return Section("At a glance", f'<dl class="cards">{cards}</dl>')


def _card(values: Sequence[Measured]) -> str:
    """Return a card for the values of one figure: of costs there is one for each currency."""
    if not values:
        return ""
    told = [one for one in values if one.value is not None]
    lines = [shown(one) for one in told] or ["no value"]
    below = [_made_of(one) for one in told] or [values[0].why]
    value = "".join(f'<dd class="value">{html_of(one)}</dd>' for one in lines)
    return (
        f"<div><dt>{html_of(values[0].figure.title)}</dt>{value}"
        f'<dd class="of">{html_of("; ".join(filter(None, below)))}</dd></div>'
    )


def _made_of(one: Measured) -> str:
    if one.unit == "seconds" and one.numerator is not None and one.denominator is not None:
        return f"{clock(float(one.numerator))} in {one.denominator} calls"
    return made_of(one) or ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _outcomes(calls: Calls, known: Known) -> Section:
    """Return the outcomes of each day; of longer windows, of each week or month."""
    rows = calls.rows(
        "SELECT strftime(start_time, '%Y-%m-%d') AS day, outcome, count(*) FROM all_calls WHERE start_time IS NOT NULL "
        "GROUP BY ALL"
    )
    there: Counter[tuple[str, str]] = Counter()
    counts: Counter[str] = Counter()
    for day, outcome, count in rows:
        if day not in known.left_out:
            there[day, outcome] += count
            counts[day] += count
    days, outside = _charted([day for day, _, _ in known.days], counts)
    days = [day for day in days if day not in known.left_out]
    title = "Outcomes"
    if not days:
        return Section(title, note="There is no chart: no day is complete.")
    of, name_of = _periods(days)
    groups = list(dict.fromkeys(map(name_of, days)))
    numbers: Counter[tuple[str, str]] = Counter()
    for (day, outcome), count in there.items():
        numbers[name_of(day), outcome] += count
    series = {one.replace("_", " "): [numbers[group, one] for group in groups] for one in OUTCOMES}
    cut = [day for day, _, asked in known.days if asked < _WHOLE_DAY and day not in known.left_out]
    note = f"The period has only a part of {' and of '.join(cut)}. " if cut else ""
    chart = stacked_bars(f"Calls of each {of}, by outcome", of, groups, series)
    return Section(title, chart, (note + outside).strip(), bool(outside), outside)


def _charted(asked: Sequence[str], counts: Mapping[str, int]) -> tuple[list[str], str]:
    """Return the days that a chart has, and what it leaves out: calls far from the twenty years with the most calls.

    Args:
        asked: The days of the window; none if it is not known.
        counts: How many calls began on each day.
    """
    if len(asked) > LONGEST_CHART or not asked:
        if not counts:
            return [*asked[:LONGEST_CHART]], ""
        first, last = busiest_span(counts, LONGEST_CHART)
    else:
        return [*asked], ""
    outside = sorted(day for day in counts if not first <= day <= last)
    if not outside:
        return days_between(first, last), ""
    count = sum(counts[day] for day in outside)
    which = outside[0] if len(outside) == 1 else f"{outside[0]}, the last on {outside[-1]}"
    began = "call is not in the chart: it" if count == 1 else "calls are not in the chart: the first"
    note = f"It has the days from {first} to {last}. {count} {began} started on {which}."
    return days_between(first, last), note


def _periods(days: Sequence[str]) -> tuple[str, Callable[[str], str]]:
    """Return the name of the period of a bar, and a function from a day to the label of its bar."""
    if len(days) <= _DAYS_SHOWN:
        return "day", lambda day: day
    if len(days) <= 7 * _WEEKS_SHOWN:
        return "week", lambda day: "{}-W{:02d}".format(*date.fromisoformat(day).isocalendar()[:2])
    return "month", lambda day: day[:7]


def _week(calls: Calls, known: Known) -> Section:
    """Return the calls by hour and weekday."""
    rows = calls.rows(
        "SELECT strftime(start_time, '%Y-%m-%d'), isodow(start_time) - 1, hour(start_time), count(*) FROM all_calls "
        "WHERE start_time IS NOT NULL GROUP BY ALL"
    )
    there: Counter[tuple[int, int]] = Counter()
    for day, weekday, hour, count in rows:
        if day not in known.left_out:
            there[weekday, hour] += count
    values = [[there[day, hour] for hour in range(24)] for day in range(7)]
    whole = sum(map(sum, values))
    if not whole:
        return Section("Hours of the week", note="There is no chart: no complete day has calls.")
    hour = max(range(24), key=lambda at: sum(row[at] for row in values))
    share = sum(row[hour] for row in values)
    note = f"Most calls start from {hour:02d}:00 to {hour + 1:02d}:00: {share} of {whole}."
    return Section("Hours of the week", heat_map("Calls by weekday and hour", _DAYS, _HOURS, values), note)


def _busy(measure: Measure) -> Section:
    """Return the traffic of the hours of the day, and the most calls at the same time."""
    found = {one.group[0]: one for one in measure("traffic", "hour") if one.value is not None}
    peak = next((one for one in measure("peak", None) if one.value is not None), None)
    notes = [] if peak is None else [f"At most {peak.value} calls were in progress at the same time."]
    if not found:
        why = next((one.why for one in measure("traffic", "hour") if one.why), "no person talked")
        return Section("Busiest hour", note=" ".join([*notes, f"There is no traffic by hour: {why}."]))
    hours = [float(found[hour].value or 0) if hour in found else 0.0 for hour in _HOURS]
    most = hours.index(max(hours))
    notes.insert(
        0,
        f"The busiest hour is {most:02d}:00 to {most + 1:02d}:00, with {hours[most]:.3f} conversations at a time "
        "on average.",
    )
    chart = bars("Mean traffic by hour of the day, in erlang", ("hour", "erlang"), _HOURS, hours)
    return Section("Busiest hour", chart, " ".join(notes))


def _queues(measure: Measure) -> Section:
    found: dict[str, dict[str, Measured]] = {}
    why: list[str] = []
    for name in _QUEUE_FIGURES:
        for one in measure(name, "queue"):
            why += [one.why] * bool(one.why)
            if one.group[0] is not None:
                found.setdefault(one.group[0], {})[name] = one
    reasons = "; ".join(one for one in dict.fromkeys(why) if "no such calls" not in one)
    if not found:
        return Section("Queues", note=f"There are no figures of queues: {reasons or 'no call came through a queue'}.")
    most = sorted(found.items(), key=lambda one: (-_count(one[1].get("calls")), one[0]))
    rows = [(queue, *(shown(told[name]) if name in told else None for name in _QUEUE_FIGURES)) for queue, told in most]
    head = ("queue", *(figure(name).title for name in _QUEUE_FIGURES))
    return Section("Queues", _list(head, rows, "Queues, the busiest first"), _sentence(reasons))


def _count(one: Measured | None) -> int:
    return int(one.value) if one is not None and one.value is not None else 0


def _destinations(measure: Measure) -> Section:
    """Return the destinations of calls out, with their costs."""
    found = [one for one in measure("cost", "to_prefix") if one.value is not None]
    if not found:
        why = next((one.why for one in measure("cost", None) if one.why), "no call has a cost")
        return Section("Cost by destination", note=f"There are no costs: {why}.")
    most = sorted(found, key=lambda one: float(one.value or 0), reverse=True)
    rows = [(one.group[0] or "no number", shown(one)) for one in most]
    return Section("Cost by destination", _list(("beginning of the number", "cost"), rows, "The highest costs first"))


def _missed(calls: Calls, measure: Measure, known: Known, mask: Callable[[Any], Any]) -> Section:
    """Return the numbers that were missed most, and how many were not called back."""
    if not known.lists:
        return Section("Missed calls", note="There is no list: calls are missing.")
    # As `not_called_back` does, the last nine digits tell whether two numbers are the same.
    rows = calls.rows(
        "SELECT max(from_number), max(from_name), count(*), strftime(max(start_time), '%Y-%m-%d %H:%M') FROM all_calls "
        "WHERE direction = 'inbound' AND outcome <> 'answered' GROUP BY right(from_number, 9) "
        "ORDER BY 3 DESC, 4 DESC, 1"
    )
    found = [(mask(number) or "withheld", name, count, last) for number, name, count, last in rows]
    notes = [
        f"{one.figure.title}: {shown(one)} ({made_of(one)})." for one in measure("not_called_back", None) if one.value
    ]
    if not found:
        return Section("Missed calls", note="Every call from outside was answered by a person.")
    head = ("number", "name", "missed calls", "last")
    return Section("Missed calls", _list(head, found, "Numbers with the most missed calls"), " ".join(notes))


def _all(whole: Iterable[Measured]) -> Section:
    """Return every figure with what it is made of, and below them what they leave out."""
    notes: dict[str, int] = {}
    rows = []
    for one in whole:
        number = notes.setdefault(one.why, len(notes) + 1) if one.why else None
        rows.append((one.figure.title, shown(one) or "no value", made_of(one), number and f"note {number}"))
    text = table(("figure", "value", "made of", "note"), rows, "All figures")
    below = "".join(f"<li>{html_of(_sentence(why), LONGEST)}</li>" for why in notes)
    return Section("All figures", text + (f"<ol>{below}</ol>" if below else ""))


def _definitions() -> Section:
    rows = [(one.title, one.definition, one.source) for one in map(figure, NAMES)]
    return Section("How each number is defined", table(("figure", "definition", "source"), rows, "Definitions"))


KEYS = {name: read_keys(name) for name in ("queue", "to_prefix", "hour")}
"""The groups that a report needs, by their text."""
