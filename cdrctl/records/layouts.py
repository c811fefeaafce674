"""Maps rows of columns quickly with a mapping of one record, whose rules are written once, plainly.

Records have the same layout if the same of their values are there, if their kinds are equal, and if every comparison
has the same outcome (see `records.probes`). The mapping makes the same of all of them: the template of a layout says
for each value of the result which constant, column or step it is. So the mapping is called for the first records of a
layout only, and the rows of a page are put together from columns.

A record whose layout is rare is mapped by itself, and so is a page with values of unexpected types. The first rows of
each template, and one of each page, are compared with the plain mapping: if one differs, all are mapped plainly from
then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

from msgspec import Struct, field

from cdrctl.records.batches import RowBatch, or_none
from cdrctl.records.columns import READ_AS_TEXT, Column
from cdrctl.records.events import Row, Value
from cdrctl.records.probes import Argument, Learned, NeedsValueError, Reads, UnlikeError
from cdrctl.records.steps import PROBES, Step

USES = 4
"""Records of a layout that are mapped by themselves before there is a template."""

FIRST = 500
"""Records that are mapped by themselves before anything is learned, which takes as long as mapping a thousand."""

_FEWEST = 8
"""Rows of a page that is worth the effort."""

_MOST_TEMPLATES = 4096
_MOST_STEPS = 400
_MOST_KEYS = 50_000

_ENOUGH = 4_000
"""Records after which it is known whether most have a template."""

_PLAIN = -1
_NONE = type(None)
_ERRORS = (ValueError, TypeError, ArithmeticError, AttributeError, LookupError)


def _is_same(row: Row, other: Row) -> bool:
    """Return whether two rows have equal values of equal types."""
    return [*row] == [*other] and [*map(type, row)] == [*map(type, other)]


class _Varies:
    """Stands for a value that is not the same for all records."""


class _Known(Struct):
    """What is known of records whose columns have the same types.

    Args:
        constants: The part of the key that each source has had in all records, or `_Varies`.
        numbers: The number of the template by key.
        uses: How many records had a key without a template.
    """

    constants: dict[int, Any] = field(default_factory=dict)
    numbers: dict[tuple[Any, ...], int] = field(default_factory=dict)
    uses: dict[tuple[Any, ...], int] = field(default_factory=dict)


class Layouts:
    """Maps rows.

    Args:
        columns: The columns of the rows.
        wanted: The columns that are wanted of what the mapping returns.
        mapping: From values by column name to values by name.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        wanted: Sequence[Column],
        mapping: Callable[[dict[str, Value]], Mapping[str, Value]],
    ) -> None:
        self._at = {column.name: at for at, column in enumerate(columns)}
        self._types: dict[int, type] = {at: _TYPES.get(column.kind, str) for at, column in enumerate(columns)}
        self._names = [column.name for column in wanted]
        self._is_text = [column.kind in READ_AS_TEXT for column in wanted]
        self._mapping = mapping
        self._learned = Learned(len(columns))
        self._given_up = False
        self._count, self._count_plain = 0, 0
        self._constants: list[Value] = []
        self._constant_at: dict[tuple[type, Value], int] = {}
        self._forget()

    def _forget(self) -> None:
        """Forget the templates, whose keys have more parts now."""
        self._known: dict[tuple[type, ...], _Known] = {}
        self._templates: list[tuple[int, ...]] = []
        self._varying: set[int] = set()
        self._checked: set[int] = set()
        self._pool: dict[int, int] = {}
        self._getters: dict[int, Callable[[Any], Any]] = {}

    def rows(self, batch: RowBatch) -> Sequence[Row]:
        """Return the mapped rows of a batch."""
        while not self._given_up and len(batch) >= _FEWEST and self._count >= FIRST:
            before = self._learned.size()
            found = self._quick(batch)
            if self._learned.size() == before:
                if found is None:
                    break
                return found
            self._forget()
            self._given_up = len(self._learned.steps) > _MOST_STEPS
        self._count += len(batch)
        self._count_plain += len(batch)
        return self._plain(batch)

    def _plain(self, rows: Sequence[Row]) -> list[Row]:
        read = (dict(zip(self._at, row, strict=False)) for row in rows)
        return [[mapped.get(name) for name in self._names] for mapped in map(self._mapping, read)]

    def _quick(self, batch: RowBatch) -> RowBatch | None:
        """Return the mapped rows, or None if they must be mapped one by one, or if more has been learned."""
        types = _types_of(batch, self._learned, self._types)
        if types is None:
            return None
        sources = self._sources(batch)
        if sources is None:
            return None
        known = self._known.setdefault(types, _Known())
        keys = self._keys(known, sources, batch)
        numbers: list[Any] = [*map(known.numbers.get, keys)]
        if None in numbers:
            before = self._learned.size()
            for at, number in enumerate(numbers):
                if number is None:
                    numbers[at] = self._number(known, keys[at], batch, at)
                    if self._learned.size() != before:
                        return None
        self._count += len(numbers)
        self._count_plain += numbers.count(_PLAIN)
        if self._count > _ENOUGH:
            self._given_up = self._count_plain * 2 > self._count or len(self._templates) > _MOST_TEMPLATES
        found = self._assembled(batch, sources, numbers)
        if found is not None and not self._agrees(batch, found, numbers):
            self._given_up = True
            return None
        return found

    def _agrees(self, batch: RowBatch, found: RowBatch, numbers: Sequence[int]) -> bool:
        """Return whether rows are those of the plain mapping: all of a new template, and one of each page."""
        new = {*numbers} - self._checked - {_PLAIN}
        self._checked |= new
        wanted = [self._count % len(numbers), *(at for at, number in enumerate(numbers) if new and number in new)]
        plain = self._plain([batch[at] for at in wanted])
        return all(_is_same(found[at], row) for at, row in zip(wanted, plain, strict=True))

    def _sources(self, batch: RowBatch) -> dict[int, Sequence[Value]] | None:
        """Return the columns that the mapping reads, and those of the steps, by number; None if a step fails."""
        found: dict[int, Sequence[Value]] = {at: batch.columns[at] for at in self._learned.reads}
        given: dict[Argument, Sequence[Value]] = {}
        for (step, arguments), number in self._learned.steps.items():
            for argument in arguments:
                if argument not in given:
                    given[argument] = self._argument(argument, found, batch)
            try:
                found[number] = _column_of(step, [given[argument] for argument in arguments])
            except _ERRORS:
                return None
            if "" in found[number]:
                self._learned.kinds.add(number)  # an empty text is false, and no probe is
        return found

    def _argument(self, argument: Argument, sources: Mapping[int, Sequence[Value]], batch: RowBatch) -> Sequence[Value]:
        """Return an argument of a step for all records, with None for a missing text."""
        kind, value = argument
        if kind is not None:
            return [value] * len(batch)
        return or_none(sources[value]) if value < self._learned.width and batch.texts[value] else sources[value]

    def _keys(self, known: _Known, sources: Mapping[int, Sequence[Value]], batch: RowBatch) -> list[tuple[Any, ...]]:
        """Return the key of each record: what tells records apart of which the mapping makes different things."""
        length, parts = len(batch), []
        for source, column in sources.items():
            part: Any
            if source in self._learned.kinds:
                part = column
                first = column[0]
                if column.count(first) == length:
                    part = first
            elif source < self._learned.width and batch.texts[source]:
                part = True if all(column) else [*map(bool, column)] if any(column) else False
            elif None not in column:
                part = True
            else:
                missing = column.count(None)
                part = False if missing == length else [value is not None for value in column]
            constant = not isinstance(part, Sequence) or isinstance(part, str)
            usual = known.constants.setdefault(source, part if constant else _Varies)
            if usual is not _Varies:
                if constant and usual == part:
                    continue
                known.constants[source] = _Varies
                known.numbers.clear()
                known.uses.clear()
            parts.append([part] * length if constant else part)
        return [*zip(*parts, strict=True)] if parts else [()] * length

    def _number(self, known: _Known, key: tuple[Any, ...], batch: RowBatch, at: int) -> int:
        """Return the number of the template of a key, or that for a record that is mapped by itself."""
        if key in known.numbers:
            return known.numbers[key]
        uses = known.uses[key] = known.uses.get(key, 0) + 1
        if uses < USES:
            if len(known.uses) > _MOST_KEYS:
                known.uses.clear()
            return _PLAIN
        template = self._template(batch[at])
        number = _PLAIN
        if template is not None:
            number = len(self._templates)
            self._templates.append(template)
        known.numbers[key] = number
        return number

    def _template(self, row: Row) -> tuple[int, ...] | None:
        """Return one number for each value of the result: that of its source or, inverted by `~`, that of its constant.

        None if that is not known, or if the result would not be that of the plain mapping.
        """
        values = dict(zip(self._at, row, strict=False))
        while True:
            try:
                mapped = self._mapping(Reads(self._learned, self._at, values))
                break
            except NeedsValueError as error:
                self._learned.kinds.add(error.source)
            except UnlikeError:
                return None
        found, codes = [], []
        for name in self._names:
            value: Any = mapped.get(name)
            is_probe = value.__class__ in PROBES
            found.append(value.value if is_probe else value)
            codes.append(value.source if is_probe else ~self._constant(value))
        (plain,) = self._plain([row])
        if "" in found or not _is_same(found, plain):
            return None
        return tuple(codes)

    def _constant(self, value: Value) -> int:
        if value is not None and type(value) not in _EXPECTED - {list}:
            return self._constant(None)  # and the template is none, because the result differs
        key = (type(value), value)
        if key not in self._constant_at:
            self._constant_at[key] = len(self._constants)
            self._constants.append(value)
        return self._constant_at[key]

    def _assembled(
        self, batch: RowBatch, sources: Mapping[int, Sequence[Value]], numbers: Sequence[int]
    ) -> RowBatch | None:
        """Return the rows of records by the numbers of their templates."""
        length, used = len(batch), set(numbers)
        alone = [at for at, number in enumerate(numbers) if number == _PLAIN] if _PLAIN in used else []
        templates = [self._templates[number] for number in used if number != _PLAIN]
        if not templates:
            return None
        columns: list[Any] = []
        texts = [False] * len(self._names)
        varying = []
        for at, codes in enumerate(zip(*templates, strict=True)):
            code = codes[0]
            if codes.count(code) < len(codes):
                varying.append(at)
                columns.append(())
            elif code < 0:
                columns.append([self._constants[~code]] * length)
            else:
                texts[at] = code < self._learned.width and batch.texts[code]
                columns.append(sources[code])
        for at, column in self._picked(varying, sources, numbers).items():
            columns[at] = column
            texts[at] = self._is_text[at] and {*map(type, column)} == {str}
            if self._is_text[at] and not texts[at]:
                columns[at] = [None if value == "" else value for value in column]
        if alone:
            columns = [[*or_none(one)] if is_text else [*one] for one, is_text in zip(columns, texts, strict=True)]
            texts = [False] * len(texts)
            for at, row in zip(alone, self._plain([batch[at] for at in alone]), strict=True):
                for column, value in zip(columns, row, strict=True):
                    column[at] = value
        return RowBatch(columns, texts, length)

    def _picked(
        self, varying: Sequence[int], sources: Mapping[int, Sequence[Value]], numbers: Sequence[int]
    ) -> dict[int, Sequence[Value]]:
        """Return the columns of the result that have several sources."""
        if not varying:
            return {}
        if not self._varying.issuperset(varying):
            self._varying.update(varying)
            self._getters.clear()
        wanted = sorted(self._varying)
        for number in {*numbers} - self._getters.keys():
            none, empty = ~self._constant(None), ~self._constant("")
            template = self._templates[number] if number != _PLAIN else (none,) * len(self._names)
            codes = [empty if template[at] == none and self._is_text[at] else template[at] for at in wanted]
            places = [self._pool.setdefault(code, len(self._pool)) for code in codes]
            self._getters[number] = itemgetter(*places, places[0])  # at least two, so that it returns a tuple
        length = len(numbers)
        pool = [sources[code] if code >= 0 else repeat(self._constants[~code], length) for code in self._pool]
        getters = map(self._getters.__getitem__, numbers)
        picked = [get(values) for get, values in zip(getters, zip(*pool, strict=True), strict=True)]
        return {at: column for at, column in zip(wanted, zip(*picked, strict=True), strict=False) if at in varying}


_EXPECTED = frozenset({str, int, bool, list})
_TYPES: Mapping[str, type] = {"integer": int, "seconds": int, "boolean": bool, "list": list}


def _types_of(batch: RowBatch, learned: Learned, types: Mapping[int, type]) -> tuple[type, ...] | None:
    """Return the types of the columns that the mapping reads; None if one has several, or an unexpected one."""
    found = []
    for at in sorted(learned.reads):
        kinds = {str} if batch.texts[at] else set(map(type, batch.columns[at])) - {_NONE}
        if len(kinds) > 1 or not kinds <= _EXPECTED or (not batch.texts[at] and "" in batch.columns[at]):
            return None
        one = next(iter(kinds), types[at])
        if one is list and at in learned.kinds:
            return None
        found.append(one)
    return tuple(found)


def _column_of(step: Step[..., Any], given: Sequence[Sequence[Value]]) -> Sequence[Value]:
    """Return the results of a step for columns of arguments."""
    if step.of_columns is not None:
        try:
            return step.of_columns(*given)
        except _ERRORS:
            pass
    if step.few:
        found = {one: step.function(*one) for one in {*zip(*given, strict=True)}}
        return [*map(found.__getitem__, zip(*given, strict=True))]
    return [*map(step.function, *given)]
