"""Evaluates conditions on rows and on raw records."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from cdrctl import windows
from cdrctl.conditions.language import EXAMPLE, Comparison, Condition, Joined, Negated
from cdrctl.errors import UsageError, did_you_mean
from cdrctl.records.columns import EXTRA, NUMBERS, Column
from cdrctl.records.events import Record, Value, pick
from cdrctl.records.readers import iso_instant
from cdrctl.records.schemas import no_field

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,3}):(\d{2})")

Warn = Callable[[str], None]

Holds = Callable[[Any], bool]
"""Returns whether a condition is true for a row or a raw record."""


def on_rows(condition: Condition, columns: Sequence[Column], *, zone: tzinfo, now: datetime, warn: Warn) -> Holds:
    """Return a function that evaluates a condition on rows.

    Args:
        condition: The result of `read_condition`.
        columns: The columns of the rows; a field may also be `extra.KEY` if there is a column `extra`.
        zone: The zone of times without an offset.
        now: The present instant, for words such as `yesterday`.
        warn: Called once for each field with values that cannot be compared.

    Raises:
        UsageError: A field is not a column, or a value does not fit its column.
    """
    at = {column.name: position for position, column in enumerate(columns)}

    def find(field: str) -> _Field:
        if field in at:
            column = columns[at[field]]
            return _Field(operator.itemgetter(at[field]), column.kind, column.values)
        first, _, key = field.partition(".")
        if first == EXTRA in at and key:
            extra = at[EXTRA]
            return _Field(lambda row: (row[extra] or {}).get(key))
        raise no_field(field, at)

    return _compile(condition, find, ValueReaders(zone, now), warn)


def on_records(condition: Condition, *, zone: tzinfo, now: datetime, warn: Warn) -> Holds:
    """Return a function that evaluates a condition on raw records; a dot reaches into an object.

    Raises:
        UsageError: A value does not fit its operator.
    """

    def find(field: str) -> _Field:
        return _Field(lambda record: reach(record, field))

    return _compile(condition, find, ValueReaders(zone, now), warn)


def reach(record: Record, field: str) -> Value:
    """Return a raw record's value under a key, or under a path of keys with dots between them, or None."""
    value = pick(record, field)
    if value is None and "." in field:
        value = record
        for key in field.split("."):
            value = pick(value, key) if isinstance(value, dict) else None
    return value


class ValueReaders(Struct, frozen=True):
    """Parsers for the values of a condition and for the values of records.

    Args:
        zone: The zone of times without an offset.
        now: The present instant.
    """

    zone: tzinfo
    now: datetime

    def read_typed(self, kind: str, text: str, field: str) -> Any:
        """Return a value of the condition, parsed for a column of a kind.

        Raises:
            UsageError: It does not fit the column.
        """
        try:
            if kind in NUMBERS:
                return _seconds(text) if kind == "seconds" else _number(text)
            if kind == "boolean":
                return _TRUTH[text.lower()]
            if kind == "time":
                return windows.instant(text, zone=self.zone, now=self.now, option=f"--where: {field} is a time, and")
        except (InvalidOperation, ValueError, KeyError):
            wanted = {"boolean": "true or false", "seconds": "a length such as 90, 2m or 1:30"}.get(kind, "a number")
            raise UsageError(f"--where: {field} is {wanted}, not {text!r}", hint=EXAMPLE) from None
        return text

    def read_value(self, kind: str, value: Value) -> Any:
        """Return a value of a record, parsed for a column of a kind.

        Raises:
            ValueError: It has the wrong type: the column could not parse it.
        """
        if kind in NUMBERS:
            if type(value) is int:  # it compares with a Decimal
                return value
            try:
                return _number(str(value))
            except InvalidOperation:
                raise ValueError(value) from None
        if kind == "boolean" and not isinstance(value, bool):
            raise ValueError(value)
        return iso_instant(value) if kind == "time" else value


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return number


def _seconds(text: str) -> Decimal:
    """Return the seconds of `90`, `2m` or `1:30`."""
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return Decimal((hours * 60 + minutes) * 60 + seconds)
    with suppress(UsageError):
        return Decimal(int(windows.duration(text).total_seconds()))
    return _number(text)


class _Field(Struct, frozen=True):
    """A field of a comparison.

    Args:
        take: Returns the field's value of a row or raw record.
        kind: The kind of its column; None if values can have any type.
        values: All possible values apart from null, if the list is closed.
    """

    take: Callable[[Any], Value]
    kind: str | None = None
    values: tuple[str, ...] = ()


_FindField = Callable[[str], _Field]


def _compile(condition: Condition, find: _FindField, readers: ValueReaders, warn: Warn) -> Holds:
    """Return a function that evaluates a condition, which warns once about each field with values of a wrong type."""
    if isinstance(condition, Negated):
        inner = _compile(condition.part, find, readers, warn)
        return lambda row: not inner(row)
    if isinstance(condition, Joined):
        parts = [_compile(part, find, readers, warn) for part in condition.parts]
        if condition.every:
            return lambda row: all(part(row) for part in parts)
        return lambda row: any(part(row) for part in parts)
    field = find(condition.field)
    _check_values(condition, field.values)
    take, holds = field.take, _comparison(condition, field.kind, readers)
    warned = False

    def compare(row: Any) -> bool:
        nonlocal warned
        try:
            return holds(take(row))
        except ValueError:
            if not warned:
                warned = True
                warn(
                    f"--where: a record has a value of the wrong type in {condition.field}: values of the wrong type "
                    "never match"
                )
            return condition.sign in {"!=", "!~"}

    return compare


def _check_values(condition: Comparison, values: tuple[str, ...]) -> None:
    """Refuse a value that a field with a closed list of values never has.

    Raises:
        UsageError: The value is not in the list.
    """
    if not values or condition.sign not in {"=", "!="}:
        return
    for text in condition.values:
        if text is not None and text not in values:
            raise UsageError(
                f"--where: {condition.field} is never {text!r}",
                hint=f"{did_you_mean(text, values)}its values are: {', '.join(values)}",
            )


def _comparison(condition: Comparison, kind: str | None, readers: ValueReaders) -> Holds:
    """Return a function that compares a value; it raises ValueError for a value of the wrong type."""
    sign, field = condition.sign, condition.field
    if sign == "true":
        if kind not in {"boolean", None}:
            raise UsageError(f"--where: {field} is not true or false: add an operator and a value", hint=EXAMPLE)
        return lambda value: value is True or (kind is None and value in {"true", "True"})
    if sign in {"~", "!~"}:
        pattern = _pattern(condition)
        wanted = sign == "~"
        return lambda value: any(pattern.search(_text(one)) for one in _each(value)) == wanted
    if sign in _ORDER:
        if condition.values[0] is None:
            raise UsageError(f"--where: nothing is {sign} null", hint=f"to search for null: {field} is null")
        return _order(_ORDER[sign], str(condition.values[0]), field, kind, readers)
    equal = _equal(condition, kind, readers)
    return equal if sign == "=" else lambda value: not equal(value)


def _pattern(condition: Comparison) -> re.Pattern[str]:
    try:
        return re.compile(condition.values[0] or "")
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"--where: {condition.values[0]!r} is not a regular expression: {error}",
            hint="to search for one of . * + ? ( ) [ ] { } | ^ $ put a backslash before it",
        ) from None


def _order(order: Callable[[Any, Any], bool], text: str, field: str, kind: str | None, readers: ValueReaders) -> Holds:
    """Return a function that compares a value with `<`, `<=`, `>` or `>=`."""
    if kind in {"boolean", "list"}:
        raise UsageError(f"--where: {field} has no order", hint="compare it with =, != or ~")
    if kind in {"text", None}:  # compare as numbers if the condition has a number
        with suppress(InvalidOperation, ValueError):
            number = _number(text)
            return lambda value: value is not None and order(readers.read_value("integer", value), number)
        return lambda value: value is not None and order(_text(value), text)
    limit = readers.read_typed(str(kind), text, field)
    return lambda value: value is not None and order(readers.read_value(str(kind), value), limit)


def _equal(condition: Comparison, kind: str | None, readers: ValueReaders) -> Holds:
    """Return a function that tests whether a value is one of the condition's values."""
    null = None in condition.values
    typed = [text for text in condition.values if text is not None]
    if kind in {"text", "list", None}:
        texts = frozenset(typed)
        numbers = frozenset(_numbers(typed)) if kind is None else frozenset()
        return lambda value: null if value is None else any(_is_one(one, texts, numbers) for one in _each(value))
    wanted = [readers.read_typed(str(kind), text, condition.field) for text in typed]
    return lambda value: null if value is None else readers.read_value(str(kind), value) in wanted


def _each(value: Value) -> Sequence[Any]:
    """Return the elements of a list, or the value itself; nothing for null."""
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def _is_one(value: Any, texts: frozenset[str], numbers: frozenset[Decimal]) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool) and numbers:
        return Decimal(str(value)) in numbers
    return _text(value) in texts


def _numbers(texts: Sequence[str]) -> Iterator[Decimal]:
    for text in texts:
        with suppress(InvalidOperation, ValueError):
            yield _number(text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
