"""Makes rows of similar calls quickly: one is folded and traced, and the trace makes the rows of the others.

Calls are alike if their legs have the same templates and if every comparison has the same outcome. A chain is the code
of one trace: it makes the comparisons in their order, and then the row. Where a comparison has another outcome, another
chain goes on. A call for which there is none is folded plainly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct, field

from cdrctl.calls.columns import CALL
from cdrctl.calls.folding import exact_sum
from cdrctl.calls.instants import MINUTES, RESTS, instant_text
from cdrctl.calls.joining import JoinedCall
from cdrctl.calls.legs import LEG, PLAIN, TEMPLATES, Expression, Leg, parts_of_leg, parts_of_legs
from cdrctl.calls.tracing import Condition, Trace, Traced, UntraceableError, written
from cdrctl.records.parts import Part

Bounds = tuple[int | None, int | None, int | None]
"""Instants in Unix milliseconds that calls are compared with."""

RowOf = Callable[[Sequence[Part], str, Any], tuple[Any, ...]]
"""From the parts of a call, why they may not be all, and bounds, to its row. Of the row, why decides two columns."""

_COMPLETE = next(at for at, column in enumerate(CALL) if column.name == "complete")
assert CALL[_COMPLETE + 1].name == "why"  # noqa: S101 - they are replaced together

_USES = 8
"""Calls that are folded plainly before one like them is traced."""

_MOST_LEGS = 12
"""More legs than this have too many orders."""

_MOST_CHAINS = 20_000
_MOST_CONDITIONS = 400

_DECIDING = frozenset(Part._fields.index(name) for name in ("role", "party", "outcome", "transfer"))
"""The fields of a part whose text decides something; they are constants of a template."""


class _Chain(Struct):
    """The code of a trace.

    Args:
        run: From bounds and the values of the legs to the row, or to the number of the comparison that differs.
        path: The outcomes of the comparisons before those of this chain.
        outcomes: The outcomes of its own comparisons.
        others: The chains that go on where a comparison differs.
        uses: How many calls needed a chain that is not there.
    """

    run: Callable[..., Any]
    path: tuple[bool, ...]
    outcomes: tuple[bool, ...]
    others: dict[int, _Chain] = field(default_factory=dict)
    uses: dict[int, int] = field(default_factory=dict)


class QuickRows:
    """Makes rows of calls.

    Args:
        plain: The plain function from the parts of a call to its row. It only compares values and passes them on.
    """

    def __init__(self, plain: RowOf) -> None:
        self._plain = plain
        self._chains: dict[Any, _Chain] = {}
        self._uses: dict[Any, int] = {}
        self._count = 0

    def row(self, call: JoinedCall, bounds: Bounds) -> tuple[Any, ...]:
        """Return the row of a call."""
        legs = call.legs
        if call.why:
            row = self.row(JoinedCall(legs), bounds)
            return *row[:_COMPLETE], False, call.why, *row[_COMPLETE + 2 :]
        if len(legs) > _MOST_LEGS:
            return self._plain_row(call, bounds)
        key: Any = legs[0][1] if len(legs) == 1 else tuple([leg[1] for leg in legs])
        chain = self._chains.get(key)
        if chain is None:
            return self._first(key, call, bounds)
        values = [leg[2] for leg in legs]
        found = chain.run(bounds, *values)
        while found.__class__ is int:
            other = chain.others.get(found)
            if other is None:
                return self._other(chain, found, call, bounds)
            chain = other
            found = chain.run(bounds, *values)
        return found  # type: ignore[no-any-return]

    def _plain_row(self, call: JoinedCall, bounds: Bounds) -> tuple[Any, ...]:
        return self._plain(parts_of_legs(call.legs), "", bounds)

    def _first(self, key: Any, call: JoinedCall, bounds: Bounds) -> tuple[Any, ...]:
        """Return the row of a call of which no like was traced; trace it if there were many."""
        uses = self._uses.get(key, 0) + 1
        if uses == _USES and self._count < _MOST_CHAINS and all(leg[1] != PLAIN for leg in call.legs):
            chain = self._traced(call, bounds, ())
            if chain is not None:
                self._chains[key] = chain
        if len(self._uses) > _MOST_CHAINS:
            self._uses.clear()
        self._uses[key] = uses
        return self._plain_row(call, bounds)

    def _other(self, chain: _Chain, at: int, call: JoinedCall, bounds: Bounds) -> tuple[Any, ...]:
        """Return the row of a call that differs from all that were traced; trace it if there were many."""
        uses = chain.uses[at] = chain.uses.get(at, 0) + 1
        if uses == _USES and self._count < _MOST_CHAINS:
            path = (*chain.path, *chain.outcomes[:at], not chain.outcomes[at])
            made = self._traced(call, bounds, path)
            if made is not None:
                chain.others[at] = made
        return self._plain_row(call, bounds)

    def _traced(self, call: JoinedCall, bounds: Bounds, path: tuple[bool, ...]) -> _Chain | None:
        """Return the chain of a call, or None if the call cannot be traced."""
        trace = Trace()
        try:
            parts = [part for at, leg in enumerate(call.legs) for part in _traced_parts(trace, at, leg)]
            limits = tuple(None if one is None else Traced(trace, f"b[{at}]", one) for at, one in enumerate(bounds))
            row = self._plain(parts, "", limits)
            source = written(row)
        except (UntraceableError, TypeError, AttributeError):
            return None
        conditions = [one.outcome for one in trace.lines if isinstance(one, Condition)]
        if tuple(conditions[: len(path)]) != path or len(conditions) > _MOST_CONDITIONS:
            return None
        self._count += 1
        run = _compiled(trace, source, len(call.legs), len(path))
        chain = _Chain(run, path, tuple(conditions[len(path) :]))
        values = [leg[2] for leg in call.legs]
        return chain if run(bounds, *values) == self._plain_row(call, bounds) else None


def _traced_parts(trace: Trace, at: int, leg: Leg) -> list[Part]:
    """Return the parts of a leg with traced values."""
    fields = TEMPLATES[leg[1]].fields
    return [
        Part._make(
            _traced_field(trace, at, place, expression, value)
            for place, (expression, value) in enumerate(zip(expressions, part, strict=True))
        )
        for expressions, part in zip(fields, parts_of_leg(leg), strict=True)
    ]


def _traced_field(trace: Trace, at: int, place: int, expression: Expression, value: Any) -> Any:
    if isinstance(expression, tuple):
        return tuple(_traced_field(trace, at, place, one, inner) for one, inner in zip(expression, value, strict=True))
    if LEG in expression:
        if place in _DECIDING:
            raise UntraceableError(expression)
        source = expression.replace(LEG, f"a{at}")
        taken = source.endswith("]") and source.count("[") == 1
        return Traced(trace, source, value) if taken else trace.computed(source, value)
    if place not in _DECIDING and isinstance(value, str) and value:
        return Traced(trace, expression, value, constant=True)
    return value


def _compiled(trace: Trace, row: str, legs: int, after: int) -> Callable[..., Any]:
    """Return the function that makes the comparisons of a trace after the first ones, and then the row."""
    names = ", ".join(f"a{at}" for at in range(legs))
    lines, number = [f"def run(b, {names}):"], 0
    for one in trace.lines:
        if isinstance(one, Condition):
            if number >= after:
                lines.append(f"    if {'not ' if one.outcome else ''}({one.expression}): return {number - after}")
            number += 1
        else:
            lines.append(f"    {one[0]} = {one[1]}")
    lines.append(f"    return {row}")
    space = dict(_NAMES)
    exec("\n".join(lines), space)  # noqa: S102 - of expressions of templates and of the plain function
    run: Callable[..., Any] = space["run"]
    return run


_NAMES: dict[str, Any] = {
    "MINUTES": MINUTES,
    "RESTS": RESTS,
    "text": instant_text,
    "exact_sum": functools.lru_cache(1024)(exact_sum),  # few costs differ
}
"""What the code of a trace uses."""
