"""The values of calls that figures take: of the type of their column, and small enough to be added up."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from cdrctl.records.columns import Column, misfit
from cdrctl.records.events import Value

MOST: dict[str, int] = {"integer": 10**12, "seconds": 10**12, "money": 10**15}
"""The largest number that figures take, by the kind of the column. No call has one; sums of these can be computed."""

_TEXTS = frozenset({"text", "list"})


def fitting(column: Column, read: Callable[[Any], Value], value: Any) -> Value:
    """Return a value of a file, typed.

    Args:
        column: The column of the call.
        read: The parser of the column.
        value: The value; None or an empty text if there is none.

    Raises:
        ValueError: It does not fit the column; the text says how.
    """
    if value is None or value == "":
        return None
    try:
        typed = read(value)
    except ValueError:
        if column.kind in _TEXTS:
            return value
        raise ValueError(excess(column, value) or misfit(value, column.kind)) from None
    problem = excess(column, typed)
    if problem:
        raise ValueError(problem)
    return typed


def excess(column: Column, value: Value) -> str:
    """Return in what respect a typed number is larger than figures take; empty if it is not, or is no number."""
    most = MOST.get(column.kind)
    if most is None or not isinstance(value, int | str):
        return ""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return ""
    if not number.is_finite() or abs(number) <= most:
        return ""
    return f"a number of {number.adjusted() + 1} digits came, and figures take at most {most}"


def without_excess(column: Column) -> str:
    """Return the hint that tells how to find the calls whose number is too large, and how to leave them out."""
    wanted = f"{column.name} > {MOST[column.kind]}"
    return f"cdrctl calls --where '{wanted}' shows such calls; --where 'not {wanted}' leaves them out"
