"""Formats the table of results: medians, ratios, and goals with their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.groups import WAITING, Goal, Group, Row
from benchmarks.measure import Measured, median

Results = Mapping[str, Sequence[Measured] | str]
"""The runs of each row by its name, or the reason why there are none."""

HEADER = """\
| | CPU s | wall s | peak MB | µs per record | CPU × | wall × | goals and results |
|---|---:|---:|---:|---:|---:|---:|---|"""


def _value(runs: Sequence[Measured], what: str) -> float:
    return median([getattr(one, what) for one in runs])


def _came(goal: Goal, results: Results, runs: Sequence[Measured]) -> str | None:
    """Return a goal and its result, or None if there is nothing to compare it with."""
    value = _value(runs, goal.what)
    if goal.of:
        found = [others for name in goal.others if (others := results.get(name)) and not isinstance(others, str)]
        if len(found) < len(goal.others):
            return None
        other = (sum if goal.what == "cpu" else max)(_value(others, goal.what) for others in found)
        value = value - other if goal.minus else other / value if goal.least else value / other
    value /= goal.each
    met = value >= goal.limit if goal.least else value <= goal.limit
    digits = 1 if goal.what == "peak" or goal.limit >= 2 else 2  # large numbers need fewer
    return f"{goal.text}: {value:.{digits}f} {'✓' if met else '✗'}"


def line(row: Row, group: Group, results: Results) -> str:
    """Return the table's line of a row."""
    runs = results[row.name]
    if isinstance(runs, str):
        return f"| {row.name} | | | | | | | {runs} |"
    digits = 3 if group.often > 1 else 2
    cells = [
        f"{_value(runs, 'cpu'):.{digits}f}",
        f"{_value(runs, 'wall'):.{digits}f}",
        f"{_value(runs, 'peak'):.1f}",
    ]
    count = (row.server or group.server).count
    exports = row.form or row.discard or row.counted
    cells.append(f"{_value(runs, 'cpu') / count * 1e6:.1f}" if exports and count > 1 else "")
    base = results.get(group.base, "")
    for what in ("cpu", "wall"):
        other = 0.0 if isinstance(base, str) or row.name == group.base else _value(base, what)
        cells.append(f"{_value(runs, what) / other:.2f}" if other else "")
    notes = [came for goal in row.goals if (came := _came(goal, results, runs))]
    if row.first:
        notes.insert(0, f"first byte after {_value(runs, 'first'):.3f} s")
    return f"| {row.name} | {' | '.join(cells)} | {'; '.join(notes)} |"


def lines(group: Group, results: Results) -> list[str]:
    """Return the table's lines of a group."""
    found = [f"| **{group.title}** | | | | | | | |"]
    waiting = results.get(WAITING)
    if waiting and not isinstance(waiting, str):
        found.append(f"| {WAITING} | | {_value(waiting, 'wall'):.2f} | | | | | |")
    return found + [line(row, group, results) for row in group.rows if row.name in results]
