"""The outcomes, directions and columns of the common CDR that each call can give.

`cdrctl help outcomes`, docs/outcomes.md and the notes on conditions that can never match are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cdrctl.fetchers import PROVIDERS, Call, Gives, Provider, load
from cdrctl.records.common import COMMON, DIRECTIONS, OUTCOMES

if TYPE_CHECKING:
    from cdrctl.cli.topics import Rows
    from cdrctl.conditions.language import Comparison, Condition

ANSWERED = (
    "`answered` says whether anything picked up, including a voicemail box; `outcome` says how the call ended. A call "
    "that a voicemail box took is `answered` with `outcome=voicemail`, or with `outcome=answered` if the provider does "
    "not distinguish the two."
)


def groups() -> Iterator[tuple[str, Gives]]:
    """Yield the values that calls can have in the common CDR, in one entry for all calls of a provider that agree."""
    for name in PROVIDERS:
        found: dict[Gives, list[str]] = {}
        for call in load(name).calls:
            if call.gives is not None:
                found.setdefault(call.gives, []).append(" ".join(filter(None, (call.group, call.name))))
        for gives, calls in found.items():
            yield f"{name} {', '.join(calls)}", gives


def paragraphs() -> tuple[str | Rows, ...]:
    """Return the paragraphs and tables of the help topic."""
    found = [*groups()]
    return (
        ANSWERED,
        "The values that `outcome` can have:",
        tuple((title, ", ".join(in_order(gives.outcomes, OUTCOMES))) for title, gives in found),
        "The values that `direction` can have:",
        tuple((title, ", ".join(in_order(gives.directions, DIRECTIONS))) for title, gives in found),
        "The columns that are always null:",
        tuple((title, ", ".join(null_columns(gives)) or "none") for title, gives in found),
    )


def in_order(values: frozenset[str], order: Sequence[str]) -> list[str]:
    """Return values in the order of a list that contains them."""
    return [value for value in order if value in values]


def null_columns(gives: Gives) -> list[str]:
    """Return the columns that are always null, in the order of the common CDR."""
    return in_order(gives.null, [column.name for column in COMMON])


def never_given(condition: Condition, asked: Sequence[tuple[Provider, Call]]) -> str | None:
    """Return a note on what a condition looks for and none of these calls can give; None if there is no such thing."""
    from cdrctl.conditions.language import comparisons

    gives = [call.gives for _, call in asked if call.gives is not None]
    if not gives:
        return None
    missing: dict[str, None] = {}
    for one in comparisons(condition):
        missing.update(dict.fromkeys(_missing(one, gives)))
    if not missing:
        return None
    whose = ", ".join(dict.fromkeys(f"{provider.name} {call.name}" for provider, call in asked))
    verb = "gives" if len(asked) == 1 else "give"
    return f"--where: {whose} never {verb} {', '.join(missing)} (cdrctl help outcomes)"


def _missing(one: Comparison, gives: Sequence[Gives]) -> Iterator[str]:
    """Yield the values, or the column, that a comparison looks for and none of these calls can give."""
    closed = {"outcome": (OUTCOMES, "outcomes"), "direction": (DIRECTIONS, "directions")}
    if one.field in closed:
        order, name = closed[one.field]
        given = frozenset[str]().union(*(getattr(each, name) for each in gives))
        found = [value for value in order if _looks_for(one, value)]
        if one.sign not in {"~", "!~"} or given.isdisjoint(found):  # a pattern may be meant for several values
            yield from (f"{one.field}={value}" for value in found if value not in given)
    elif one.values != (None,) and all(one.field in each.null for each in gives):
        yield f"a value in {one.field}"


def _looks_for(one: Comparison, value: str) -> bool:
    if one.sign in {"~", "!~"}:
        return re.search(one.values[0] or "", value) is not None
    return value in one.values
