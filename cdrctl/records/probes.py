"""Probes: values that record what a mapping does with them.

A mapping is called with a probe in place of each text and number. What it passes on comes back as the probe. What it
computes or compares is recorded as a step. Where it does anything else with a probe, such as looking a text up, it
needs the value itself: the source of the probe is then a kind, and records of different kinds are mapped apart.

Booleans and missing values cannot be probes, because Python compares them by identity: they are passed as they are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from msgspec import Struct, field

from cdrctl.records.events import Value
from cdrctl.records.steps import PROBES, Step

Argument = tuple[type | None, Any]
"""An argument of a step: None and the number of a source, or the type and the value of a constant."""

Expression = tuple[Step[..., Any], tuple[Argument, ...]]


class NeedsValueError(Exception):
    """A mapping did something with a probe that cannot be recorded.

    Args:
        source: The number of the probe's source.
    """

    def __init__(self, source: int) -> None:
        super().__init__(source)
        self.source = source


class UnlikeError(Exception):
    """A record cannot be mapped like others."""


class Learned(Struct):
    """What is known of a mapping. It only grows.

    Args:
        width: How many columns there are: their numbers are the first sources.
        reads: The columns that the mapping reads.
        kinds: The sources whose values decide something.
        steps: The numbers of the steps, which are further sources.
    """

    width: int
    reads: set[int] = field(default_factory=set)
    kinds: set[int] = field(default_factory=set)
    steps: dict[Expression, int] = field(default_factory=dict)

    def size(self) -> int:
        """Return a number that is larger whenever more is known."""
        return len(self.reads) + len(self.kinds) + len(self.steps)

    def probed(self, source: int, value: Value) -> Value:
        """Return a probe for a value of a source, or the value itself if it is a kind, a boolean or missing."""
        if isinstance(value, bool):
            self.kinds.add(source)
        if value is None or (source in self.kinds and not isinstance(value, list)):
            return value
        if isinstance(value, str):
            return TextProbe(f"\0{source}\0").of(self, source, value)
        if isinstance(value, int):
            return NumberProbe(-(10**15) - 1009 * source).of(self, source, value)
        if isinstance(value, list):
            return ListProbe().of(self, source, value)
        raise UnlikeError

    def computed(self, step: Step[..., Any], given: Sequence[Any]) -> Value:
        """Record a step, and return a probe for its result."""
        arguments: list[Argument] = []
        values: list[Any] = []
        for one in given:
            is_probe = one.__class__ in PROBES
            arguments.append((None, one.source) if is_probe else (one.__class__, one))
            values.append(one.value if is_probe else one)
        source = self.steps.setdefault((step, tuple(arguments)), self.width + len(self.steps))
        return self.probed(source, step.function(*values))


class Reads(dict[str, Value]):
    """A record, of which each value that is read becomes a probe.

    Args:
        learned: Notes which columns are read.
        at: The numbers of the columns by name.
        values: The values of the record by the name of their column.
    """

    def __init__(self, learned: Learned, at: Mapping[str, int], values: Mapping[str, Value]) -> None:
        super().__init__(values)
        self._learned = learned
        self._at = at
        self._probes: dict[str, Value] = {}

    def __getitem__(self, name: str) -> Value:
        if name not in self._probes:
            source = self._at[name]
            self._learned.reads.add(source)
            self._probes[name] = self._learned.probed(source, super().__getitem__(name))
        return self._probes[name]

    def get(self, name: str, default: Value = None) -> Value:
        """Return the probe of a column, or the default if there is no such column."""
        return self[name] if name in self else default  # noqa: SIM401 - `dict.get` makes no probe

    def __iter__(self) -> Iterator[str]:  # so that a copy reads each value, too
        return super().__iter__()

    def values(self) -> Any:
        """Return the probes of all columns."""
        return [self[name] for name in self]

    def items(self) -> Any:
        """Return the names of all columns with their probes."""
        return [(name, self[name]) for name in self]


class _Probe:
    """What all probes have: their source and the value that they stand for."""

    learned: Learned
    source: int
    value: Any

    def of(self, learned: Learned, source: int, value: Value) -> Any:
        """Set what the probe stands for, and return it."""
        self.learned, self.source, self.value = learned, source, value
        return self

    def step(self, step: Step[..., Any], given: Sequence[Any]) -> Value:
        """Record a step of which this probe is an argument."""
        return self.learned.computed(step, given)


def _needs_value(self: _Probe, *_given: object, **_named: object) -> NoReturn:
    raise NeedsValueError(self.source)


_LEFT = frozenset(
    {
        *("__class__", "__class_getitem__", "__delattr__", "__dir__", "__doc__", "__getattribute__", "__getnewargs__"),
        *("__getstate__", "__init__", "__init_subclass__", "__new__", "__reduce__", "__reduce_ex__", "__setattr__"),
        *("__sizeof__", "__subclasshook__"),
    }
)


def _refusals(kind: type) -> dict[str, Any]:
    """Return a class body in which whatever a value of this type can do needs the value itself."""
    names = {name for name in dir(kind) if callable(getattr(kind, name))} - _LEFT
    return dict.fromkeys([*names, "__radd__", "__rmod__", "__rmul__"], _needs_value)


def _true(_self: object) -> bool:
    return True


def _itself(self: _Probe) -> _Probe:
    return self


def _truth() -> Callable[[Any], Any]:
    known = Step(
        lambda value: None if value is None else bool(value),
        lambda column: [None if value is None else bool(value) for value in column],
    )
    return lambda self: self.step(known, (self,))


def _computing(function: Callable[[Any, Any], Any], *, swapped: bool = False) -> Callable[[Any, Any], Any]:
    """Return the method of a number for an operator of two numbers."""

    def plain(one: Any, other: Any) -> Any:
        return None if one is None or other is None else function(one, other)

    def of_columns(ones: Sequence[Any], others: Sequence[Any]) -> Sequence[Any]:
        if None in ones or None in others:
            return [
                None if one is None or other is None else function(one, other)
                for one, other in zip(ones, others, strict=True)
            ]
        return [*map(function, ones, others)]

    known = Step(plain, of_columns)

    def method(self: _Probe, other: Any) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        return self.step(known, (other, self) if swapped else (self, other))

    return method


_COMPUTING = {
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__add__": operator.add,
    "__sub__": operator.sub,
    "__mul__": operator.mul,
    "__floordiv__": operator.floordiv,
}
_SWAPPED = {"__radd__": operator.add, "__rsub__": operator.sub, "__rmul__": operator.mul}

TextProbe: Any = type("TextProbe", (_Probe, str), {**_refusals(str), "__str__": _itself, "__bool__": _true})
"""A text: one that is not empty, as in every row."""

NumberProbe: Any = type(
    "NumberProbe",
    (_Probe, int),
    {
        **_refusals(int),
        **{name: _computing(function) for name, function in _COMPUTING.items()},
        **{name: _computing(function, swapped=True) for name, function in _SWAPPED.items()},
        "__bool__": _truth(),
    },
)
"""A whole number."""

ListProbe: Any = type("ListProbe", (_Probe, list), {**_refusals(list), "__bool__": _truth()})
"""A list."""

PROBES.update((TextProbe, NumberProbe, ListProbe))
