"""Whether a condition holds for a row or a record."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

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
"""From a row, or from a raw record, to whether a condition holds of it."""


def on_rows(condition: Condition, columns: Sequence[Column], *, zone: tzinfo, now: datetime, warn: Warn) -> Holds:
    """Return what says of a row of these columns whether the condition holds.

    Args:
        condition: As `read_condition` gave it.
        columns: The columns of the rows; a field may also be `extra.KEY`, where there is a column `extra`.
        zone: The zone of times without an offset.
        now: The present instant, for words such as `yesterday`.
        warn: Told once of each field with values that cannot be compared.

    Raises:
        UsageError: A field is no column, or a value does not fit its column.
    """
    at = {column.name: position for position, column in enumerate(columns)}

    def found(field: str) -> _Field:
        if field in at:
            column = columns[at[field]]
            return _Field(operator.itemgetter(at[field]), column.kind, column.values)
        first, _, key = field.partition(".")
        if first == EXTRA in at and key:
            extra = at[EXTRA]
            return _Field(lambda row: (row[extra] or {}).get(key))
        raise no_field(field, at)

    return _bound(condition, found, _Readers(zone, now), warn)


def on_records(condition: Condition, *, zone: tzinfo, now: datetime, warn: Warn) -> Holds:
    """Return what says of a raw record whether the condition holds; a dot reaches into an object.

    Raises:
        UsageError: A value does not fit its operator.
    """

    def found(field: str) -> _Field:
        return _Field(lambda record: reach(record, field))

    return _bound(condition, found, _Readers(zone, now), warn)


def reach(record: Record, field: str) -> Value:
    """Return a raw record's value under a key, or under keys within each other with dots between them, or None."""
    value = pick(record, field)
    if value is None and "." in field:
        value = record
        for key in field.split("."):
            value = pick(value, key) if isinstance(value, dict) else None
    return value


# Meaning


@dataclass(frozen=True, slots=True)
class _Readers:
    """What values mean: those that somebody typed, and those that came."""

    zone: tzinfo
    now: datetime

    def typed(self, kind: str, text: str, field: str) -> Any:
        """Return what a typed value means in a column of a kind.

        Raises:
            UsageError: It means nothing there.
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
            raise UsageError(f"--where: {field} is {wanted}, and not {text!r}", hint=EXAMPLE) from None
        return text

    def came(self, kind: str, value: Value) -> Any:
        """Return what a value that came means.

        Raises:
            ValueError: It is none of its kind: it passed as it came.
        """
        if kind in NUMBERS:
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
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return Decimal((hours * 60 + minutes) * 60 + seconds)
    with suppress(UsageError):
        return Decimal(int(windows.duration(text).total_seconds()))
    return _number(text)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field that is compared.

    Args:
        take: From a row or raw record to the field's value.
        kind: The kind of its column; None where a value can be anything.
        values: All values that it can have beside null, where the list is closed.
    """

    take: Callable[[Any], Value]
    kind: str | None = None
    values: tuple[str, ...] = ()


_Found = Callable[[str], _Field]


def _bound(condition: Condition, found: _Found, readers: _Readers, warn: Warn) -> Holds:
    if isinstance(condition, Negated):
        inner = _bound(condition.part, found, readers, warn)
        return lambda row: not inner(row)
    if isinstance(condition, Joined):
        parts = [_bound(part, found, readers, warn) for part in condition.parts]
        if condition.every:
            return lambda row: all(part(row) for part in parts)
        return lambda row: any(part(row) for part in parts)
    field = found(condition.field)
    _check_values(condition, field.values)
    take, holds = field.take, _compared(condition, field.kind, readers)
    warned = False

    def compared(row: Any) -> bool:
        nonlocal warned
        try:
            return holds(take(row))
        except ValueError:
            if not warned:
                warned = True
                warn(
                    f"--where: a record has something else than a value of its kind in {condition.field}: such a "
                    "record equals nothing"
                )
            return condition.sign in {"!=", "!~"}

    return compared


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


def _compared(condition: Comparison, kind: str | None, readers: _Readers) -> Holds:
    """Return what says of a value whether a comparison holds.

    What it returns raises ValueError for a value that is none of its kind.
    """
    sign, field = condition.sign, condition.field
    if sign == "true":
        if kind not in {"boolean", None}:
            raise UsageError(f"--where: {field} is not true or false: compare it with something", hint=EXAMPLE)
        return lambda value: value is True or (kind is None and value in {"true", "True"})
    if sign in {"~", "!~"}:
        pattern = _pattern(condition)
        wanted = sign == "~"
        return lambda value: any(pattern.search(_text(one)) for one in _each(value)) == wanted
    if sign in _ORDER:
        if condition.values[0] is None:
            raise UsageError(f"--where: nothing is {sign} null", hint=f"write it as: {field} is null")
        return _ordered(_ORDER[sign], str(condition.values[0]), field, kind, readers)
    equal = _equal(condition, kind, readers)
    return equal if sign == "=" else lambda value: not equal(value)


def _pattern(condition: Comparison) -> re.Pattern[str]:
    try:
        return re.compile(condition.values[0] or "")
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(
            f"--where: {condition.values[0]!r} is no regular expression: {error}",
            hint="text as it is, without meaning, has a backslash before . * + ? ( ) [ ] { } | ^ $",
        ) from None


def _ordered(order: Callable[[Any, Any], bool], text: str, field: str, kind: str | None, readers: _Readers) -> Holds:
    if kind in {"boolean", "list"}:
        raise UsageError(f"--where: {field} has no order", hint="compare it with =, != or ~")
    if kind in {"text", None}:  # numbers as numbers, where it is a number that they are held against
        with suppress(InvalidOperation, ValueError):
            number = _number(text)
            return lambda value: value is not None and order(readers.came("integer", value), number)
        return lambda value: value is not None and order(_text(value), text)
    limit = readers.typed(str(kind), text, field)
    return lambda value: value is not None and order(readers.came(str(kind), value), limit)


def _equal(condition: Comparison, kind: str | None, readers: _Readers) -> Holds:
    null = None in condition.values
    typed = [text for text in condition.values if text is not None]
    if kind in {"text", "list", None}:
        texts = frozenset(typed)
        numbers = frozenset(_numbers(typed)) if kind is None else frozenset()
        return lambda value: null if value is None else any(_is_one(one, texts, numbers) for one in _each(value))
    wanted = [readers.typed(str(kind), text, condition.field) for text in typed]
    return lambda value: null if value is None else readers.came(str(kind), value) in wanted


def _each(value: Value) -> Sequence[Any]:
    """Return the elements of a list, or the value itself; nothing of null."""
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
