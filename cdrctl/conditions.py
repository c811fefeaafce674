"""Conditions on records, as `--where` has them: `talk_seconds>60 and direction=inbound`.

    condition   = conjunction { "or" conjunction }
    conjunction = part { "and" part }
    part        = "not" part | "(" condition ")" | comparison
    comparison  = field [ operator value | ["not"] "in" "(" value { "," value } ")" | "is" ["not"] "null" ]
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"

A field is a word, or anything in backquotes; a value is a word, or anything in quotes, in which a backslash stands
before a quote that is meant. Words of the grammar may be in any case. What a value means follows from the column: a
number, a length such as `90`, `2m` or `1:30`, an instant such as `2026-11-19T08:00` or `yesterday`, `true` or `false`,
or text. `~` looks for a regular expression (Python's `re`).

There are two truths and not three: nothing is equal to null but null, no comparison with null holds, and `!=`, `!~`
and `not` turn the answer around.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from cdrctl import windows
from cdrctl.errors import UsageError, near
from cdrctl.records.columns import EXTRA, NUMBERS, Column
from cdrctl.records.events import Record, Value, pick
from cdrctl.records.readers import iso_instant
from cdrctl.records.schemas import no_field

EXAMPLE = "for example: --where 'talk_seconds>60 and direction=inbound'"

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<sign><=|>=|!=|<>|==|!~|[=<>~(),])
    | `(?P<field>[^`]+)`
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | '(?P<single>(?:[^'\\]|\\.)*)'
    | (?P<word>[^\s()=<>!~,'"`]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ALIASES = {"==": "=", "<>": "!="}
_OPERATORS = frozenset({"=", "!=", "<", "<=", ">", ">=", "~", "!~"})
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DEEPEST = 50
"""Brackets and `not`s within each other: more than anybody means."""

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,3}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field held against values: of several, one that fits is enough; None is null."""

    field: str
    sign: str
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """Conditions of which all must hold, or one."""

    every: bool
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """A condition that must not hold."""

    part: Condition


Condition = Comparison | Joined | Negated

Warn = Callable[[str], None]

Holds = Callable[[Any], bool]
"""From a row, or from a raw record, to whether a condition holds of it."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def read(text: str) -> Condition:
    """Return the condition that a text says.

    Raises:
        UsageError: It cannot be read; the message says where.
    """
    return _Reading(text).whole()


def fields_of(condition: Condition) -> Iterator[str]:
    """Yield the fields that a condition looks at, each once, in the order in which they stand there."""
    yield from dict.fromkeys(one.field for one in comparisons(condition))


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Yield the comparisons of a condition, in the order in which they stand there."""
    left: list[Condition] = [condition]
    while left:
        one = left.pop()
        if isinstance(one, Comparison):
            yield one
        elif isinstance(one, Negated):
            left.append(one.part)
        else:
            left.extend(reversed(one.parts))


def on_rows(condition: Condition, columns: Sequence[Column], *, zone: tzinfo, now: datetime, warn: Warn) -> Holds:
    """Return what says of a row of these columns whether the condition holds.

    Args:
        condition: As `read` gave it.
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


# Words


class _Reading:
    """A text on its way to a condition."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*self._split()]
        self._next = 0
        self._depth = 0

    def whole(self) -> Condition:
        found = self._either()
        if self._token.kind != "end":
            self._refuse("`and` or `or` was expected")
        return found

    def _split(self) -> Iterator[_Token]:
        at = 0
        while self._text[at:].strip():
            match = _TOKEN.match(self._text, at)
            if match is None:
                begun = len(self._text) - len(self._text[at:].lstrip())
                self._fail(begun, "a quote is not closed" if self._text[begun] in "'\"`" else "that is no word")
            kind = str(match.lastgroup)
            text = match[kind]
            if kind in {"double", "single"}:
                quote = '"' if kind == "double" else "'"
                kind, text = "quoted", text.replace(f"\\{quote}", quote)  # other backslashes are a pattern's
            yield _Token(kind, _ALIASES.get(text, text) if kind == "sign" else text, match.start(match.lastgroup or 0))
            at = match.end()
        yield _Token("end", "", len(self._text))

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _taken(self, sign: str) -> bool:
        """Return whether a sign stood here, and go past it."""
        if self._token.kind == "sign" and self._token.text == sign:
            self._next += 1
            return True
        return False

    def _either(self) -> Condition:
        return self._joined(self._both, "or", every=False)

    def _both(self) -> Condition:
        return self._joined(self._part, "and", every=True)

    def _joined(self, part: Callable[[], Condition], word: str, *, every: bool) -> Condition:
        parts = [part()]
        while self._token.says(word):
            self._take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(every, tuple(parts))

    def _part(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._refuse("there are too many brackets within each other")
        try:
            if self._token.says("not"):
                self._take()
                return Negated(self._part())
            if self._taken("("):
                inner = self._either()
                if not self._taken(")"):
                    self._refuse("a bracket is not closed")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        token = self._take()
        if token.kind not in {"word", "field"} or token.says("and", "or", "in", "is"):
            self._next -= 1
            self._refuse("a field was expected")
        field = token.text
        if self._token.kind == "sign" and self._token.text in _OPERATORS:
            sign = self._take().text
            return Comparison(field, sign, (self._value(),))
        if self._token.says("is"):
            self._take()
            negated = self._token.says("not") and bool(self._take())
            if not self._token.says("null"):
                self._refuse("null was expected")
            self._take()
            return Comparison(field, "!=" if negated else "=", (None,))
        if self._token.says("in") or (self._token.says("not") and self._tokens[self._next + 1].says("in")):
            return self._one_of(field)
        return Comparison(field, "true", ())

    def _one_of(self, field: str) -> Condition:
        negated = self._take().says("not") and bool(self._take())
        if not self._taken("("):
            self._refuse("( was expected after in")
        values = [self._value()]
        while self._taken(","):
            values.append(self._value())
        if not self._taken(")"):
            self._refuse(", or ) was expected")
        found = Comparison(field, "=", tuple(values))
        return Negated(found) if negated else found

    def _value(self) -> str | None:
        token = self._take()
        if token.kind == "quoted":
            return token.text
        if token.kind != "word" or token.says("and", "or", "not"):
            self._next -= 1
            self._refuse("a value was expected")
        return None if token.says("null") else token.text

    def _refuse(self, why: str) -> NoReturn:
        self._fail(self._token.at, why)

    def _fail(self, at: int, why: str) -> NoReturn:
        where = f"at {self._text[at : at + 20]!r}" if self._text[at:].strip() else "at its end"
        raise UsageError(f"--where cannot be read {where}: {why}", hint=EXAMPLE)


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
                hint=f"{near(text, values)}its values are: {', '.join(values)}",
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
