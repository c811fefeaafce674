"""Functions that a mapping of records calls as one step.

A mapping to the common CDR is a plain function of one record. `records.layouts` runs it with probes in place of values
to see what becomes of them. A function that looks into a text or computes with a time is a step: it is recorded, and
then called with whole columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

PROBES: set[type] = set()
"""The types of probes; `records.probes` adds them. Each has a method `step`."""


class Step(Generic[P, R]):
    """A function of values that has no effect, takes any values, and returns text, an integer, a boolean or None.

    Args:
        function: The function.
        of_columns: Returns its results for whole columns of arguments, or raises an error where it must be called for
            each record.
        few: Whether its arguments are the same for many records, so that it is called once for equal ones.
    """

    def __init__(
        self, function: Callable[P, R], of_columns: Callable[..., Sequence[Any]] | None = None, *, few: bool = False
    ) -> None:
        self.function = function
        self.of_columns = of_columns
        self.few = few

    def __call__(self, *given: P.args, **named: P.kwargs) -> R:
        """Return the result, or record the step if an argument is a probe."""
        if PROBES:
            for one in given:
                if one.__class__ in PROBES:
                    found: R = one.step(self, given)  # type: ignore[attr-defined] # a probe has it
                    return found
        return self.function(*given, **named)


def step(
    of_columns: Callable[..., Sequence[Any]] | None = None, *, few: bool = False
) -> Callable[[Callable[P, R]], Step[P, R]]:
    """Return a decorator that makes a function a step; see `Step`."""
    return lambda function: Step(function, of_columns, few=few)
