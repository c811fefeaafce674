"""Records what a function does with its values, so that the same can be done again without running it.

The function is called with values that are `Traced`: each knows the expression that it came from. What the function
computes with them becomes further expressions; what it compares becomes a condition, and its outcome. Whoever finds the
same outcomes for other values gets what the function returned, with these values in their places. So a function that
compares and passes on, and has no other effect, needs to be written only once, plainly.

A traced value is neither text nor a number: whatever else a function does with it fails, and the function is run as it
is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from msgspec import Struct, field


class UntraceableError(Exception):
    """A function does something with a value that cannot be recorded."""


class Condition(Struct, frozen=True):
    """A comparison, as an expression, and its outcome."""

    expression: str
    outcome: bool


class Trace(Struct):
    """What a function did with its values.

    Args:
        lines: Assignments of what it computed to variables, and the conditions it asked for, in order.
        known: The outcomes of conditions by expression.
        variables: The variables by what was computed.
    """

    lines: list[tuple[str, str] | Condition] = field(default_factory=list)
    known: dict[str, bool] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def computed(self, expression: str, value: Any) -> Traced:
        """Return a value that was computed."""
        name = self.variables.get(expression)
        if name is None:
            name = self.variables[expression] = f"t{len(self.variables)}"
            self.lines.append((name, expression))
        return Traced(self, name, value, computed=True)

    def is_true(self, expression: str, *, outcome: bool) -> bool:
        """Return the outcome of a condition, which is recorded."""
        known = self.known.get(expression)
        if known is None:
            self.known[expression] = outcome
            self.lines.append(Condition(expression, outcome))
        return outcome


class Traced:
    """A value and the expression that it came from.

    A text is never empty, and a value that was not computed is not 0. All traced values have one hash, so that sets and
    dicts compare them, and the comparisons are recorded. A constant is traced, too, if it may be in one set with values
    that are not constant.
    """

    __slots__ = ("computed", "constant", "expression", "trace", "value")

    def __init__(
        self, trace: Trace, expression: str, value: Any, *, constant: bool = False, computed: bool = False
    ) -> None:
        self.trace = trace
        self.expression = expression
        self.value = value
        self.constant = constant
        self.computed = computed

    def __hash__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        if isinstance(self.value, str) or not self.computed:
            return True
        return self.trace.is_true(f"{self.expression} != 0", outcome=self.value != 0)

    def __eq__(self, other: object) -> bool:
        if other is None or isinstance(other, bool | tuple | frozenset):
            return False
        return self._compared("==", other)

    def __lt__(self, other: Any) -> bool:
        return self._compared("<", other)

    def __gt__(self, other: Any) -> bool:
        return self._compared(">", other)

    def __le__(self, other: Any) -> bool:
        return not self._compared(">", other)

    def __ge__(self, other: Any) -> bool:
        return not self._compared("<", other)

    def __add__(self, other: Any) -> Traced:
        return self._computed("+", other)

    def __radd__(self, other: Any) -> Any:
        if other.__class__ is int and other == 0 and isinstance(self.value, int):
            return self  # a sum begins with 0
        return self.trace.computed(f"({other!r}+{self.expression})", other + self.value)

    def __sub__(self, other: Any) -> Traced:
        return self._computed("-", other)

    def __rsub__(self, other: Any) -> Traced:
        return self.trace.computed(f"({_written(other)}-{self.expression})", _value(other) - self.value)

    def __mul__(self, other: Any) -> Traced:
        return self._computed("*", other)

    def __floordiv__(self, other: Any) -> Traced:
        return self._computed("//", other)

    def __abs__(self) -> Traced:
        return self.trace.computed(f"abs({self.expression})", abs(self.value))

    def _compared(self, sign: str, other: Any) -> bool:
        shown, value = _written(other), _value(other)
        if shown == self.expression:
            return sign == "=="
        outcome = _COMPARISONS[sign](self.value, value)
        if self.constant and (other.__class__ is not Traced or other.constant):
            return outcome
        if sign == "==" and shown < self.expression:
            return self.trace.is_true(f"{shown} == {self.expression}", outcome=outcome)
        if sign == ">":
            return self.trace.is_true(f"{shown} < {self.expression}", outcome=outcome)
        return self.trace.is_true(f"{self.expression} {sign} {shown}", outcome=outcome)

    def _computed(self, sign: str, other: Any) -> Traced:
        value = _COMPUTATIONS[sign](self.value, _value(other))
        return self.trace.computed(f"({self.expression}{sign}{_written(other)})", value)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda one, other: bool(one == other),
    "<": lambda one, other: bool(one < other),
    ">": lambda one, other: bool(one > other),
}
_COMPUTATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "//": lambda one, other: one // other,
}


def traceable(inline: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: a call of the function is recorded as one step where an argument is traced.

    Args:
        inline: What is written instead of the call, with `{}` in place of the argument.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def traced(*given: Any) -> Any:
            trace = next((one.trace for one in given if one.__class__ is Traced), None)
            if trace is None:
                return function(*given)
            shown = ", ".join(map(_written, given))
            step = inline.replace("{}", shown) if inline else f"{function.__name__}({shown})"
            return trace.computed(step, function(*map(_value, given)))

        return traced

    return decorated


def written(value: Any) -> str:
    """Return the expression of what a traced function returned.

    Raises:
        UntraceableError: It has something else than traced values, plain values, lists, tuples and dicts.
    """
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, tuple):
        return f"({''.join(f'{written(one)}, ' for one in value)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {written(one)}" for key, one in value.items()) + "}"
    return _written(value)


def _written(value: Any) -> str:
    if value.__class__ is Traced:
        return str(value.expression)
    if value is None or value.__class__ in {bool, int, str}:
        return repr(value)
    raise UntraceableError(type(value))


def _value(value: Any) -> Any:
    return value.value if value.__class__ is Traced else value
