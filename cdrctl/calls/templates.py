"""A fast mapping from records to legs, which is made from the plain one: no provider's rules are written twice.

Of a leg's columns, the plain mapping compares some (the kinds), and passes the others on: texts, times and lengths.
Legs whose kinds are equal, and which have the same columns, are therefore mapped alike. The plain mapping of a leg with
marks in place of its texts, times and lengths shows what becomes of each of them: this is the template of all such
legs. `records.parts.Shape` says which columns are kinds. A leg that is unusual, such as one with a negative length, is
mapped plainly.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from cdrctl.calls.instants import instant_text
from cdrctl.calls.legs import LEG, PLAIN, Expression, Leg, LegTemplate, add_template, plain_leg
from cdrctl.records.events import Value
from cdrctl.records.parts import Part, Shape

Plain = Callable[[dict[str, Value]], list[tuple[Any, ...]]]
"""The plain mapping, from typed values by column name to parts."""

_MOST = 8192
"""Templates of one provider."""

_MOST_LOOKS = 10_000
"""Values whose look is remembered."""

_USES = 4
"""Legs that are mapped plainly before a template is made for those like them."""

_BASE = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BASE_MS = int((_BASE - _EPOCH) / timedelta(milliseconds=1))
_STEP = 1_013_000
_LENGTHS = (100_003, 10_007, 1_009, 211)
"""Lengths of marked legs in seconds: each is longer than the following together; sums and differences are unique."""

_START, _ANSWER, _END, _NAMES, _LINKS = (
    Part._fields.index(name) for name in ("start", "answer", "end", "names", "links")
)

_VARIES = object()
_WITHOUT_PARTS = -2
_WITHOUT_TEMPLATE = frozenset({PLAIN, _WITHOUT_PARTS})
_Key = tuple[Any, ...]
"""The kinds and marks of a leg, and which of its values are there."""


class Templates:
    """The templates of one provider's legs.

    Args:
        shape: What the columns are.
        names: The names of all columns.
        plain: The plain mapping.
    """

    def __init__(self, shape: Shape, names: Sequence[str], plain: Plain) -> None:
        self._shape = shape
        self._empty: dict[str, Value] = dict.fromkeys(names)
        self._plain = plain
        self._numbers: dict[_Key, int] = {}
        self._numbers_by_varying: dict[Any, int] = {}
        self._constants: list[Value | object] = []
        self._uses: dict[_Key, int] = {}
        self._looks = [_Looks(look) for _, look, _ in shape.looks]

    def legs(
        self, columns: Mapping[str, Sequence[Value]], plainly: Callable[[int], list[tuple[Any, ...]]]
    ) -> list[Leg]:
        """Return the legs that have parts.

        Args:
            columns: The values of the columns that the shape names: texts with "" or None where there is none, times
                in Unix milliseconds.
            plainly: Maps the leg at a position plainly.
        """
        shape = self._shape
        free = [_extracted(shape, name, columns[name]) for name in shape.free]
        texts_of = {**columns, **dict(zip(shape.free, free, strict=True))}
        usual, marks = self._marks(columns, texts_of)
        kinds = [_hashable(columns[name]) for name in shape.kinds]
        lengths = [columns[name] for name in shape.lengths]
        given = [*free, *(columns[name] for name in shape.times), *lengths]
        apart: list[Sequence[Value] | bool] = [*kinds, *marks, *map(_presence, given)]
        starts, values = columns[shape.times[0]], list(zip(*given, strict=True))
        keys = list(zip(*self._varying(apart, len(values)), strict=True))
        known = self._numbers_by_varying
        numbers = list(map(known.get, keys))
        if all(usual) and None not in numbers and _WITHOUT_TEMPLATE.isdisjoint(numbers):
            return list(zip(starts, numbers, values, strict=True))  # type: ignore[arg-type]
        found: list[Leg] = []
        for at, number in enumerate(numbers):
            if not usual[at]:
                number = PLAIN  # noqa: PLW2901 - this leg has no template
            elif number is None:
                whole = tuple([column if isinstance(column, bool) else column[at] for column in apart])
                number = self._number(whole, at, columns, texts_of, values[at], plainly)  # noqa: PLW2901 - it has one now
                if whole in self._numbers:
                    known[keys[at]] = number
            if number >= 0:
                found.append((starts[at], number, values[at]))
            elif number == PLAIN and (parts := plainly(at)):
                found.append(plain_leg(parts))
        return found

    def _varying(self, columns: Sequence[Sequence[Value] | bool], length: int) -> list[Sequence[Value]]:
        """Return those of the columns that tell legs apart: most have had one value on all pages."""
        if not self._constants:
            self._constants = [column if isinstance(column, bool) else column[0] for column in columns]
        constants = self._constants
        found: list[Sequence[Value]] = []
        for at, column in enumerate(columns):
            known = constants[at]
            if known is not _VARIES:
                if known is column or (not isinstance(column, bool) and column.count(known) == length):
                    continue
                constants[at] = _VARIES
                self._numbers_by_varying.clear()
            found.append([column] * length if isinstance(column, bool) else column)
        return found or [[None] * length]

    def _marks(
        self, columns: Mapping[str, Sequence[Value]], texts_of: Mapping[str, Sequence[Value]]
    ) -> tuple[Sequence[bool], list[Sequence[Value]]]:
        """Return whether each leg is usual, and further columns that tell legs apart."""
        shape = self._shape
        found: list[Sequence[Value]] = [
            list(map(looks.__getitem__, texts_of[name]))
            for (name, _, _), looks in zip(shape.looks, self._looks, strict=True)
        ]
        for one, other in shape.same:
            found.append([a == b and a not in (None, "") for a, b in zip(texts_of[one], texts_of[other], strict=True)])
        found += [[None if value is None else value != 0 for value in columns[name]] for name in shape.lengths]
        usual = list(map(shape.usual, *(texts_of[name] for name in shape.examined)))
        return usual, found

    def _number(
        self,
        key: _Key,
        at: int,
        columns: Mapping[str, Sequence[Value]],
        texts_of: Mapping[str, Sequence[Value]],
        values: Any,
        plainly: Callable[[int], list[tuple[Any, ...]]],
    ) -> int:
        """Return the number of the template of a key, or PLAIN if it is too rare, or if none could be made."""
        if key in self._numbers:
            return self._numbers[key]
        uses = self._uses[key] = self._uses.get(key, 0) + 1
        if uses < _USES or len(self._numbers) >= _MOST:
            if len(self._uses) > 8 * _MOST:
                self._uses.clear()
            return PLAIN
        made = self._made(key, at, columns, texts_of)
        if made is None or made.parts(values) != plainly(at):
            number = PLAIN
        else:
            number = add_template(made) if made.fields else _WITHOUT_PARTS
        self._numbers[key] = number
        return number

    def _made(
        self, key: _Key, at: int, columns: Mapping[str, Sequence[Value]], texts_of: Mapping[str, Sequence[Value]]
    ) -> LegTemplate | None:
        shape = self._shape
        present = key[-len(shape.free) - len(shape.times) - len(shape.lengths) :]
        values = dict(self._empty)
        for name in shape.kinds:
            value = columns[name][at]
            values[name] = None if value == "" else value
        tokens = _tokens(shape, texts_of, at)
        for number, name in enumerate(shape.free):
            if present[number]:
                wrap = shape.nested[name][1] if name in shape.nested else None
                values[name] = tokens[number] if wrap is None else wrap(tokens[number])
            elif name in shape.nested:
                values[name] = columns[name][at]
        for number, name in enumerate(shape.times):
            if present[len(shape.free) + number]:
                instant = _BASE_MS + _STEP * number + (0 if name in shape.unix else number + 1)
                values[name] = instant // 1000 if name in shape.unix else instant_text(instant)
        for number, name in enumerate(shape.lengths):
            value = columns[name][at]
            values[name] = _LENGTHS[number] if value else value
        return _template(self._plain(values), shape, tokens)


class _Looks(dict[Value, Value]):
    """The look of each value that came: numbers come often."""

    def __init__(self, look: Callable[[Value], Value]) -> None:
        super().__init__()
        self._look = look

    def __missing__(self, value: Value) -> Value:
        if len(self) >= _MOST_LOOKS:
            self.clear()
        found = self[value] = self._look(value)
        return found


def _presence(column: Sequence[Value]) -> Sequence[Value] | bool:
    """Return whether each value of a column is there, and neither empty nor 0; one answer if it is the same for all."""
    return True if all(column) else [*map(bool, column)] if any(column) else False


def _extracted(shape: Shape, name: str, column: Sequence[Value]) -> Sequence[Value]:
    """Return a column of texts; of a nested one, the text within."""
    if name in shape.nested:
        return list(map(shape.nested[name][0], column))
    return column if shape.clean is None or name not in shape.ids else shape.clean(column)


def _hashable(column: Sequence[Value]) -> Sequence[Value]:
    if {list, dict}.isdisjoint(map(type, column)):
        return column
    return [marshal.dumps(one) if isinstance(one, list | dict) else one for one in column]


def _tokens(shape: Shape, texts_of: Mapping[str, Sequence[Value]], at: int) -> list[str]:
    """Return a mark for each free column, that looks like its value where that matters."""
    tokens = {name: f"xq{number:03d}qxz" for number, name in enumerate(shape.free)}
    for name, look, forms in shape.looks:
        if name in tokens:
            tokens[name] = forms[look(texts_of[name][at])] + tokens[name]
    for one, other in shape.same:
        if texts_of[one][at] == texts_of[other][at]:
            tokens[other] = tokens[one]
    return [tokens[name] for name in shape.free]


def _template(parts: Sequence[tuple[Any, ...]], shape: Shape, tokens: Sequence[str]) -> LegTemplate | None:
    """Return the template that the parts of a marked leg show, or None if it is not known where a value came from."""
    where = {token: f"{LEG}[{at}]" for at, token in reversed([*enumerate(tokens)])}
    first = len(shape.free)
    instants = dict(_instants(shape))
    lengths = {_LENGTHS[at]: f"{LEG}[{first + len(shape.times) + at}]" for at in range(len(shape.lengths))}
    texts = {instant_text(instant): f"text({source})" for instant, source in instants.items() if "(" not in source}
    fields: list[tuple[Expression, ...]] = []
    for part in parts:
        found = []
        for at, value in enumerate(part):
            source = _expression(value, instants if at in {_START, _ANSWER, _END} else lengths, {**where, **texts})
            if source is None:
                return None
            found.append(source)
        if found[_START] != f"{LEG}[{first}]":
            return None
        fields.append(tuple(found))
    names = dict.fromkeys(name for part in fields for at in (_NAMES, _LINKS) for name in part[at])
    lasts = dict.fromkeys(part[_START if part[_END] == "None" else _END] for part in fields)
    last = f"max({', '.join(map(str, lasts))})" if len(lasts) > 1 else next(iter(lasts), "0")
    return LegTemplate(
        _function(f"[{', '.join(map(written, fields))}]"), _function(f"{last}, {written(tuple(names))}"), tuple(fields)
    )


def _function(source: str) -> Callable[[Any], Any]:
    """Return the function of the values of a leg that an expression describes."""
    made: Callable[[Any], Any] = eval(  # noqa: S307 - of literals and positions
        f"lambda v: ({source})".replace(LEG, "v"), {"text": instant_text}
    )
    return made


def written(expression: Expression) -> str:
    """Return the source of an expression, or of a tuple of expressions."""
    if isinstance(expression, str):
        return expression
    inner = ", ".join(map(written, expression))
    return f"({inner}{',' if inner else ''})"


def _instants(shape: Shape) -> Iterator[tuple[int, str]]:
    """Yield the instants that can be made of a marked leg's times and lengths, the simplest last."""
    first = len(shape.free)
    lengths = first + len(shape.times)
    signs = sorted(product((0, 1, -1), repeat=len(shape.lengths)), key=lambda one: -sum(map(abs, one)))
    for some in signs:
        terms = "".join(f"{'+' if sign > 0 else '-'}{LEG}[{lengths + at}]" for at, sign in enumerate(some) if sign)
        seconds = sum(sign * _LENGTHS[at] for at, sign in enumerate(some))
        for number, name in enumerate(shape.times):
            begins = _BASE_MS + _STEP * number + (0 if name in shape.unix else number + 1)
            yield (
                begins + 1000 * seconds,
                f"{LEG}[{first + number}]+1000*({terms})" if terms else f"{LEG}[{first + number}]",
            )


def _expression(value: Any, numbers: Mapping[int, str], where: Mapping[str, str]) -> Expression | None:
    """Return the expression of a field of a part, or None if it is not known where it came from."""
    if value is None or isinstance(value, bool) or value == 0:
        return repr(value)
    if isinstance(value, int):
        return numbers.get(value)
    if isinstance(value, tuple):
        inner = [_expression(one, numbers, where) for one in value]
        return None if None in inner else tuple(inner)
    if value in where:
        return where[value]
    pieces = [value]
    for token, source in sorted(where.items(), key=lambda one: -len(one[0])):
        pieces = [new for piece in pieces for new in _cut(piece, token, source)]
    return "+".join(piece[0] if isinstance(piece, tuple) else repr(piece) for piece in pieces if piece) or "''"


def _cut(piece: Any, token: str, source: str) -> list[Any]:
    """Return the pieces of a text around a mark, which becomes a tuple of its expression."""
    if isinstance(piece, tuple) or token not in piece:
        return [piece]
    found: list[Any] = []
    for at, text in enumerate(piece.split(token)):
        found += [text] if at == 0 else [(source,), text]
    return found
