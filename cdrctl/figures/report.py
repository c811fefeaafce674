"""The sections of a report: what is known, headline figures, outcomes, busy hours, queues, costs, missed calls.

Every number is a figure of `figures/sql` or a count of the same calls, so that headlines and charts agree. Days with
missing calls are left out of charts, and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cdrctl.calls.columns import OUTCOMES
from cdrctl.figures.charts import heat_map, stacked_bars, table
from cdrctl.figures.definitions import NAMES, figure
from cdrctl.figures.engine import Calls, Measured
from cdrctl.figures.groups import read_keys
from cdrctl.figures.page import Section
from cdrctl.figures.values import made_of, shown

MOST = 20
"""How many rows a list in a report has."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = tuple(f"{hour:02d}" for hour in range(24))
_QUEUE_FIGURES = ("calls", "service_level", "abandonment", "asa")


@dataclass(frozen=True, slots=True)
class Known:
    """The hours of the window whose calls are known.

    Args:
        days: Each local day of the window, with the known and the asked hours; known is None if it is not known which.
        hours: The known and the asked hours of all.
    """

    days: Sequence[tuple[str, float | None, float]]
    hours: tuple[float | None, float | None]

    @property
    def incomplete(self) -> list[str]:
        """The days of which calls are missing."""
        return [day for day, known, asked in self.days if known is None or known < asked]


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
    found = [_coverage(known), _headlines(measure)]
    if counted:
        found += [
            _outcomes(calls, known),
            _week(calls, known),
            _queues(measure),
            _destinations(measure),
            _missed(calls, measure, mask),
        ]
    return [*found, _definitions()]


def _coverage(known: Known) -> Section:
    if known.hours[1] is None:
        return Section("What is known", note="The window is not known: all calls of the files are in this report.")
    missing = known.incomplete
    note = "All hours of the window are known."
    if missing:
        note = (
            f"Calls are missing on {', '.join(missing)}. Figures that need them have no value; charts leave them out."
        )
    rows = [(day, _hours(hours), f"{asked:g}") for day, hours, asked in known.days if day in missing]
    return Section(
        "What is known", table(("day", "hours known", "hours"), rows, "Incomplete days") if rows else "", note
    )


def _hours(hours: float | None) -> str | None:
    return None if hours is None else f"{hours:g}"


def _headlines(measure: Measure) -> Section:
    rows = [
        (one.figure.title, shown(one), made_of(one), one.why or None) for name in NAMES for one in measure(name, None)
    ]
    return Section("Figures", table(("figure", "value", "of", "note"), rows, "Headline figures"))


def _outcomes(calls: Calls, known: Known) -> Section:
    """Return the outcomes of each day."""
    rows = calls.rows(
        "SELECT strftime(start_time, '%Y-%m-%d') AS day, outcome, count(*) FROM all_calls WHERE start_time IS NOT NULL "
        "GROUP BY ALL"
    )
    there = {(day, outcome): count for day, outcome, count in rows}
    days = [day for day, _, _ in known.days] or _days_between([day for day, _, _ in rows])
    days = [day for day in days if day not in known.incomplete]
    outcomes = [one for one in OUTCOMES if any(there.get((day, one)) for day in days)]
    series = {one: [there.get((day, one), 0) for day in days] for one in outcomes}
    return Section("Outcomes by day", stacked_bars("Calls of each day, by outcome", days, series))


def _days_between(days: Sequence[str]) -> list[str]:
    if not days:
        return []
    first, last = date.fromisoformat(min(days)), date.fromisoformat(max(days))
    return [(first + timedelta(days=at)).isoformat() for at in range((last - first).days + 1)]


def _week(calls: Calls, known: Known) -> Section:
    """Return the calls by hour and weekday, and the busiest hour."""
    rows = calls.rows(
        "SELECT strftime(start_time, '%Y-%m-%d'), isodow(start_time) - 1, hour(start_time), count(*) FROM all_calls "
        "WHERE start_time IS NOT NULL GROUP BY ALL"
    )
    there: Counter[tuple[int, int]] = Counter()
    for day, weekday, hour, count in rows:
        if day not in known.incomplete:
            there[weekday, hour] += count
    values = [[there[day, hour] for hour in range(24)] for day in range(7)]
    hour = max(range(24), key=lambda at: sum(row[at] for row in values))
    share = sum(row[hour] for row in values)
    whole = sum(map(sum, values))
    note = f"Most calls begin from {hour:02d}:00 to {hour + 1:02d}:00: {share} of {whole}." if whole else ""
    return Section("Hours of the week", heat_map("Calls by weekday and hour", _DAYS, _HOURS, values), note)


def _queues(measure: Measure) -> Section:
    found: dict[str, dict[str, Measured]] = {}
    why = ""
    for name in _QUEUE_FIGURES:
        for one in measure(name, "queue"):
            why = why or one.why
            if one.group[0] is not None:
                found.setdefault(one.group[0], {})[name] = one
    if not found:
        return Section("Queues", note=f"There are no figures of queues: {why or 'no call came through a queue'}.")
    rows = [
        (queue, *(shown(told[name]) if name in told else None for name in _QUEUE_FIGURES))
        for queue, told in found.items()
    ]
    head = ("queue", *(figure(name).title for name in _QUEUE_FIGURES))
    return Section("Queues", table(head, rows, "Queues"), why)


def _destinations(measure: Measure) -> Section:
    """Return the destinations of calls out, with their costs."""
    found = [one for one in measure("cost", "to_prefix") if one.value is not None]
    if not found:
        why = next((one.why for one in measure("cost", None) if one.why), "no call has a cost")
        return Section("Cost by destination", note=f"There are no costs: {why}.")
    most = sorted(found, key=lambda one: float(one.value or 0), reverse=True)[:MOST]
    rows = [(one.group[0], one.value, one.unit) for one in most]
    return Section("Cost by destination", table(("beginning of the number", "cost", "currency"), rows, "Highest costs"))


def _missed(calls: Calls, measure: Measure, mask: Callable[[Any], Any]) -> Section:
    """Return the numbers that were missed most, and how many were not called back."""
    rows = calls.rows(
        "SELECT from_number, any_value(from_name), count(*), strftime(max(start_time), '%Y-%m-%d %H:%M') "
        "FROM all_calls WHERE direction = 'inbound' AND outcome <> 'answered' GROUP BY ALL ORDER BY 3 DESC, 4 DESC"
    )
    found = [(mask(number), name, count, last) for number, name, count, last in rows[:MOST]]
    notes = [
        f"{one.figure.title}: {shown(one)} ({made_of(one)})." for one in measure("not_called_back", None) if one.value
    ]
    head = ("number", "name", "missed calls", "last")
    return Section("Missed calls", table(head, found, "Numbers with the most missed calls"), " ".join(notes))


def _definitions() -> Section:
    rows = [(one.title, one.definition, one.source) for one in map(figure, NAMES)]
    return Section("How each number is defined", table(("figure", "definition", "source"), rows, "Definitions"))


KEYS = {"queue": read_keys("queue"), "to_prefix": read_keys("to_prefix")}
"""The groups that a report needs, by their text."""
