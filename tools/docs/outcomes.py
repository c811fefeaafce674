"""The tables of docs/outcomes.md, from the `gives` of each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cdrctl.cli.outcomes import groups
from cdrctl.fetchers import Gives
from cdrctl.records.common import COMMON, DIRECTIONS, OUTCOMES

Rows = tuple[Sequence[str], Sequence[Sequence[str]]]
"""The head of a table, and its rows."""


def matrix(name: str, values: Sequence[str], can_give: Callable[[Gives, str], bool]) -> Rows:
    """Return a table with a row for each value and a column for each group of calls with the same values."""
    found = [*groups()]
    rows = [[f"`{value}`", *("yes" if can_give(gives, value) else "" for _, gives in found)] for value in values]
    return (name, *(f"`{title}`" for title, _ in found)), rows


TABLES: Mapping[str, Callable[[], Rows]] = {
    "outcomes": lambda: matrix("`outcome`", OUTCOMES, lambda gives, value: value in gives.outcomes),
    "directions": lambda: matrix("`direction`", DIRECTIONS, lambda gives, value: value in gives.directions),
    "given": lambda: matrix("column", [column.name for column in COMMON], lambda gives, value: value not in gives.null),
}
