"""Legs on their way to calls: small tuples that can be sorted, also on disk, and joined.

A leg is its start, the number of its template, and its values. What its parts are, the template says (see `templates`).
A leg without a template has its parts in place of its values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from cdrctl.records.parts import Part

Leg = tuple[int, int, Any]
"""The start in Unix milliseconds, or UNDATED; the number of the template, or PLAIN; the values, or the parts."""

UNDATED = 2**62
"""The start of a leg whose start is unknown: such legs come last."""

PLAIN = -1
"""The number of legs without a template."""

LEG = "\0"
"""What stands for the values of the leg in the expressions of a template."""

Expression = str | tuple[Any, ...]
"""A Python expression, or a tuple of expressions."""


class LegTemplate(NamedTuple):
    """What becomes of the values of legs of one kind.

    Args:
        parts: From the values to the parts, as plain tuples.
        joining: From the values to the last known instant of the leg, and the ids by which it joins others.
        fields: The expression of each field of each part.
    """

    parts: Callable[[Any], list[tuple[Any, ...]]]
    joining: Callable[[Any], tuple[int, tuple[str, ...]]]
    fields: tuple[tuple[Expression, ...], ...]


TEMPLATES: list[LegTemplate] = []
"""All templates of this process, by number. Legs on disk name them, so that they stay."""

_adding = threading.Lock()


def add_template(template: LegTemplate) -> int:
    """Return the number of a new template."""
    with _adding:
        TEMPLATES.append(template)
        return len(TEMPLATES) - 1


def plain_leg(parts: Sequence[Sequence[Any]]) -> Leg:
    """Return the leg of at least one part."""
    start = parts[0][_START]
    return UNDATED if start is None else start, PLAIN, [tuple(one) for one in parts]


def parts_of_leg(leg: Leg) -> list[tuple[Any, ...]]:
    """Return the parts of a leg, as plain tuples."""
    _, number, values = leg
    found: list[tuple[Any, ...]] = values if number == PLAIN else TEMPLATES[number].parts(values)
    return found


def parts_of_legs(legs: Iterable[Any]) -> list[Part]:
    """Return the parts of legs."""
    return [Part._make(one) for leg in legs for one in parts_of_leg(leg)]


def joining_of_parts(parts: Sequence[tuple[Any, ...]]) -> tuple[int, tuple[str, ...]]:
    """Return the last known instant of parts, and the ids by which they join others."""
    made = [Part._make(one) for one in parts]
    last = max((one.start or 0) if one.end is None else one.end for one in made)
    names = (name for one in made for name in (*one.names, *one.links))
    return last, tuple(dict.fromkeys(names))


_START = Part._fields.index("start")
