"""The values of parameters, from the command line and from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cdrctl.cli import refusals
from cdrctl.cli.options import Argument, Option, Parameter, variable_of

Given = tuple[Parameter, str]
"""An option or argument and its word: `true` or `false` for a flag, `1` for an option that is counted."""

TRUE, FALSE = frozenset({"1", "on", "t", "true", "y", "yes"}), frozenset({"0", "off", "f", "false", "n", "no"})
"""The values of a variable that turn a flag on or off, in any case."""

_INTEGER = re.compile(r"([+-]?\d+(?:_\d+)*)(?:\.0+)?", re.ASCII)
_DIGITS = 4300
"""Python refuses to read longer integers."""


def read_values(
    given: Sequence[Given],
    parameters: Sequence[Parameter],
    path: tuple[str, ...],
    environ: Mapping[str, str],
    *,
    top: bool,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the values of parameters by name, and the environment variables that some of them are from.

    The command line overrides the environment. The first word that is wrong raises, before anything that is missing.

    Raises:
        UsageError: A value is empty, not a number, out of bounds or missing.
    """
    values: dict[str, Any] = {}
    for one, word in given:
        value = _read(one, word, one.label, path)
        if one.repeat:
            values.setdefault(one.name, []).append(value)
        elif isinstance(one, Option) and one.kind == "count":
            values[one.name] = values.get(one.name, 0) + value
        else:
            values[one.name] = value
    variables = []
    for one in parameters:
        if one.name in values or (isinstance(one, Option) and one.acts):
            continue
        variable = variable_of(one, top=top)
        if variable and environ.get(variable):
            values[one.name] = _from_environment(one, environ[variable], variable, path)
            variables.append(variable)
        elif one.required:
            raise refusals.missing(one, path)
        else:
            values[one.name] = _default(one)
    return values, tuple(variables)


def _default(one: Parameter) -> Any:
    """Return the value of a parameter that is not given."""
    if isinstance(one, Option):
        return [*one.default] if one.repeat else one.default
    return [] if one.repeat else None


def _from_environment(one: Parameter, text: str, variable: str, path: tuple[str, ...]) -> Any:
    """Return the value of an option from an environment variable; an option that repeats has a value per line."""
    what = f"{variable} (for {one.label})"
    if one.repeat:
        return [_read(one, line, what, path) for line in text.splitlines() if line.strip()]
    return _read(one, text, what, path)


def _read(one: Parameter, word: str, what: str, path: tuple[str, ...]) -> Any:
    """Return the value of a word; errors name `what`, the parameter or its variable."""
    if not word:
        raise refusals.empty(one)
    if isinstance(one, Argument) or one.kind == "text":
        return word
    if one.kind == "flag":
        if word.lower() not in TRUE | FALSE:
            raise refusals.not_true_or_false(what, path)
        return word.lower() in TRUE
    found = _INTEGER.fullmatch(word.strip()) if len(word) <= _DIGITS else None
    number = int(found[1]) if found else None
    least = 0 if one.kind == "count" else one.minimum
    if number is None or (least is not None and number < least) or (one.maximum is not None and number > one.maximum):
        raise refusals.no_integer(what, least, one.maximum, path)
    return number
