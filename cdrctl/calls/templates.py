"""A fast mapping from legs to parts, which is made from the plain one: no provider's rules are written twice.

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

from cdrctl.records.events import Value
from cdrctl.records.parts import Part, Shape
from cdrctl.windows import rfc3339

Plain = Callable[[dict[str, Value]], list[tuple[Any, ...]]]
"""The plain mapping, from typed values by column name to parts."""

_MOST = 8192
"""Templates that are kept."""

_USES = 4
"""Legs that are mapped plainly before a template is made for those like them."""

_BASE = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BASE_MS = int((_BASE - _EPOCH) / timedelta(milliseconds=1))
_STEP = 1_013_000
_LENGTHS = (100_003, 10_007, 1_009, 211)
"""Lengths of marked legs in seconds: each is longer than the following together; sums and differences are unique."""

_START, _ANSWER, _END = (Part._fields.index(name) for name in ("start", "answer", "end"))


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
        self._templates: dict[Any, Callable[[Any, Any], list[tuple[Any, ...]]] | None] = {}
        self._uses: dict[Any, int] = {}
        self.compiled = 0

    def parts(
        self, columns: Mapping[str, Sequence[Value]], plainly: Callable[[int], list[tuple[Any, ...]]]
    ) -> list[tuple[Any, ...]]:
        """Return the parts of legs.

        Args:
            columns: The values of the columns that the shape names: texts with "" or None where there is none, times
                in Unix milliseconds.
            plainly: Maps the leg at a position plainly.
        """
        shape = self._shape
        free = [_extracted(shape, name, columns[name]) for name in shape.free]
        texts_of = {**columns, **dict(zip(shape.free, free, strict=True))}
        usual, marks = _marks(shape, columns, texts_of)
        kinds = [_hashable(columns[name]) for name in shape.kinds]
        numbers = [columns[name] for name in (*shape.times, *shape.lengths)]
        found: list[tuple[Any, ...]] = []
        templates = self._templates
        legs = zip(zip(*kinds, *marks, strict=True), zip(*free, strict=True), zip(*numbers, strict=True), strict=True)
        for at, (key, texts, given) in enumerate(legs):
            whole = key, tuple(map(bool, texts)), tuple(map(bool, given))
            template = templates.get(whole)
            if template is None or not usual[at]:
                template = self._of(whole, at, columns, texts_of) if usual[at] else None
                if template is not None and template(texts, given) != plainly(at):
                    template = self._templates[whole] = None
            found += plainly(at) if template is None else template(texts, given)
        return found

    def _of(
        self, key: Any, at: int, columns: Mapping[str, Sequence[Value]], texts_of: Mapping[str, Sequence[Value]]
    ) -> Callable[[Any, Any], list[tuple[Any, ...]]] | None:
        """Return the template of a key, or None if it is too rare, or if none could be made."""
        if key in self._templates:
            return self._templates[key]
        if len(self._uses) > _MOST:
            self._uses.clear()
            self._templates.clear()
        uses = self._uses[key] = self._uses.get(key, 0) + 1
        if uses < _USES:
            return None
        self.compiled += 1
        made = self._templates[key] = self._made(key, at, columns, texts_of)
        return made

    def _made(
        self, key: Any, at: int, columns: Mapping[str, Sequence[Value]], texts_of: Mapping[str, Sequence[Value]]
    ) -> Callable[[Any, Any], list[tuple[Any, ...]]] | None:
        shape = self._shape
        values = dict(self._empty)
        for name in shape.kinds:
            value = columns[name][at]
            values[name] = None if value == "" else value
        tokens = _tokens(shape, texts_of, at)
        for number, name in enumerate(shape.free):
            if key[1][number]:
                wrap = shape.nested[name][1] if name in shape.nested else None
                values[name] = tokens[number] if wrap is None else wrap(tokens[number])
            elif name in shape.nested:
                values[name] = columns[name][at]
        for number, name in enumerate(shape.times):
            if key[2][number]:
                instant = _BASE_MS + _STEP * number + (0 if name in shape.unix else number + 1)
                values[name] = instant // 1000 if name in shape.unix else _text(instant)
        for number, name in enumerate(shape.lengths):
            value = columns[name][at]
            values[name] = _LENGTHS[number] if value else value
        return _compiled(self._plain(values), shape, tokens)


def _extracted(shape: Shape, name: str, column: Sequence[Value]) -> Sequence[Value]:
    """Return a column of texts; of a nested one, the text within."""
    if name in shape.nested:
        return list(map(shape.nested[name][0], column))
    return column if shape.clean is None or name not in shape.ids else shape.clean(column)


def _hashable(column: Sequence[Value]) -> Sequence[Value]:
    if {list, dict}.isdisjoint(map(type, column)):
        return column
    return [marshal.dumps(one) if isinstance(one, list | dict) else one for one in column]


def _marks(
    shape: Shape, columns: Mapping[str, Sequence[Value]], texts_of: Mapping[str, Sequence[Value]]
) -> tuple[Sequence[bool], list[Sequence[Value]]]:
    """Return whether each leg is usual, and further columns that tell legs apart."""
    found: list[Sequence[Value]] = [list(map(look, texts_of[name])) for name, look, _ in shape.looks]
    for one, other in shape.same:
        found.append([a == b and a not in (None, "") for a, b in zip(texts_of[one], texts_of[other], strict=True)])
    found += [[None if value is None else value != 0 for value in columns[name]] for name in shape.lengths]
    usual = list(map(shape.usual, *(texts_of[name] for name in shape.examined)))
    return usual, found


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


def _text(instant: int) -> str:
    return rfc3339(_EPOCH + timedelta(milliseconds=instant))


def _compiled(
    parts: Sequence[tuple[Any, ...]], shape: Shape, tokens: Sequence[str]
) -> Callable[[Any, Any], list[tuple[Any, ...]]] | None:
    """Return a function from the free texts and the numbers of a leg to its parts."""
    where = {token: f"f[{at}]" for at, token in reversed([*enumerate(tokens)])}
    instants = dict(_instants(shape))
    lengths = {_LENGTHS[at]: f"n[{len(shape.times) + at}]" for at in range(len(shape.lengths))}
    texts = {_text(instant): f"text({source})" for instant, source in instants.items() if "(" not in source}
    shown = []
    for part in parts:
        fields = []
        for at, value in enumerate(part):
            source = _source(value, instants if at in {_START, _ANSWER, _END} else lengths, {**where, **texts})
            if source is None:
                return None
            fields.append(source)
        shown.append(f"({', '.join(fields)},)")
    made: Callable[[Any, Any], list[tuple[Any, ...]]] = eval(  # noqa: S307 - of literals and positions
        f"lambda f, n: [{', '.join(shown)}]", {"text": _text}
    )
    return made


def _instants(shape: Shape) -> Iterator[tuple[int, str]]:
    """Yield the instants that can be made of a marked leg's times and lengths, the simplest last."""
    first = len(shape.times)
    signs = sorted(product((0, 1, -1), repeat=len(shape.lengths)), key=lambda one: -sum(map(abs, one)))
    for some in signs:
        terms = "".join(f"{'+' if sign > 0 else '-'}n[{first + at}]" for at, sign in enumerate(some) if sign)
        seconds = sum(sign * _LENGTHS[at] for at, sign in enumerate(some))
        for number, name in enumerate(shape.times):
            begins = _BASE_MS + _STEP * number + (0 if name in shape.unix else number + 1)
            yield begins + 1000 * seconds, f"n[{number}]+1000*({terms})" if terms else f"n[{number}]"


def _source(value: Any, numbers: Mapping[int, str], where: Mapping[str, str]) -> str | None:
    """Return the expression of a field of a part, or None if it is not known where it came from."""
    if value is None or isinstance(value, bool) or value == 0:
        return repr(value)
    if isinstance(value, int):
        return numbers.get(value)
    if isinstance(value, tuple):
        inner = [_source(one, numbers, where) for one in value]
        return None if None in inner else f"({', '.join(filter(None, inner))}{',' if inner else ''})"
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
