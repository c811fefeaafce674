"""Converts records to rows of a schema's columns."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from msgspec import Struct

from cdrctl.errors import Message
from cdrctl.records.batches import ABSENT, RecordBatch, RowBatch
from cdrctl.records.columns import EXTRA, READ_AS_TEXT, Column, Expected, Warn, is_text, misfit, reader_of, snake_case
from cdrctl.records.events import Page, Record, Row, Value
from cdrctl.records.readers import are_decimals, canonical_instants, digits_as_integers, read_text, scalar_texts
from cdrctl.records.shapes import BOOLEANS, INTEGERS, LISTS, NUMBERS, TEXTS

_PLANS_CACHED = 256


class _Plan(Struct, frozen=True):
    """How records with the same keys are read.

    Args:
        texts: The positions of columns of plain text.
        values_of_texts: Returns the values of these columns from a record.
        others: The other columns: position, key, parser, null words, and whether the parser takes the page's context.
        unknown: The keys that no column has, each with its name in `extra`.
    """

    texts: tuple[int, ...]
    values_of_texts: Callable[[Record], tuple[Any, ...]]
    others: tuple[tuple[int, str, Callable[..., Value], frozenset[str], bool], ...]
    unknown: tuple[tuple[str, str], ...]


def _plan(columns: Sequence[Column], shape: tuple[str, ...]) -> _Plan:
    """Return the plan for records with these keys."""
    exact: dict[str, int] = {}
    folded: dict[str, int] = {}
    twins: dict[int, int] = {}  # columns with the same key as an earlier one
    for at, column in enumerate(columns):
        if not column.key.startswith("@"):
            first = folded.setdefault(column.key.casefold(), at)
            exact.setdefault(column.key, at)
            if first != at:
                twins[at] = first
    keys: dict[int, str] = {}
    left: list[str] = []
    for key in sorted(shape, key=lambda name: name not in exact):  # exact names first, then other letter case
        named = exact.get(key, folded.get(key.casefold()))
        if named is None or named in keys:
            left.append(key)
        else:
            keys[named] = key
    keys.update({at: keys[first] for at, first in twins.items() if first in keys})
    texts, others = [], []
    for at, key in sorted(keys.items()):
        column = columns[at]
        read = reader_of(column)
        if read is read_text and not column.null_words:
            texts.append(at)
        else:
            others.append((at, key, read, column.null_words, column.read_in is not None))
    taken = {column.name for column in columns} | {EXTRA}
    unknown = []
    for key in left:
        name = next(name for name in _names_for(key) if name not in taken)
        taken.add(name)
        unknown.append((key, name))
    values = _values([keys[at] for at in texts])
    return _Plan(tuple(texts), values, tuple(others), tuple(unknown))


def _values(keys: Sequence[str]) -> Callable[[Record], tuple[Any, ...]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda record: tuple(record[key] for key in keys)


def _names_for(key: str) -> Iterator[str]:
    yield snake_case(key)
    yield key
    number = 2
    while True:
        yield f"{key}_{number}"
        number += 1


def _containers(columns: Sequence[Column]) -> dict[str, frozenset[str]]:
    """Return the objects that columns reach into, in folded case, each with the dotted keys of these columns."""
    dotted = [column.key.casefold() for column in columns if "." in column.key]
    roots = {key.partition(".")[0] for key in dotted}
    return {root: frozenset(key for key in dotted if key.startswith(root + ".")) for root in roots}


def _flatten(record: Record, containers: Mapping[str, frozenset[str]]) -> Record:
    """Return a record with the objects that columns reach into replaced by fields with dotted keys."""
    flat: Record = {}
    for key, value in record.items():
        if not (value and isinstance(value, dict) and key.casefold() in containers):
            flat[key] = value
            continue
        for path, inner in _spread(key, value, containers[key.casefold()]):
            free = path
            while free in record or free in flat:  # another field has this name
                free += "."
            flat[free] = inner
    return flat


def _spread(path: str, value: Record, wanted: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        inner_path = f"{path}.{key}"
        reached = inner_path.casefold() + "."
        if inner and isinstance(inner, dict) and any(name.startswith(reached) for name in wanted):
            yield from _spread(inner_path, inner, wanted)
        else:
            yield inner_path, inner


def _pass_unparsed(columns: Sequence[Column], warn: Warn, *, flat: bool) -> Callable[[int, Any], Value]:
    """Return a function that passes on values which their column cannot parse, with one warning per column.

    The warning names the type of the value and never the value, which may be personal data.
    """
    warned: set[int] = set()

    def unread(at: int, raw: Any) -> Value:
        column = columns[at]
        if at not in warned:
            warned.add(at)
            warn(Message(f"column {column.name}: {misfit(raw, column.kind)}", "such values pass as they came"))
        if flat and isinstance(raw, list | dict) and column.kind != "list":
            return json.dumps(raw, ensure_ascii=False)
        return raw

    return unread


def _plans(columns: Sequence[Column], check: Callable[[_Plan], None]) -> Callable[[tuple[str, ...]], _Plan]:
    """Return a cached function from the keys of a record to its plan, which checks each new plan."""

    @functools.lru_cache(_PLANS_CACHED)
    def plan_of(shape: tuple[str, ...]) -> _Plan:
        plan = _plan(columns, shape)
        check(plan)
        return plan

    return plan_of


def _unknown_check(open_objects: Collection[str], warn: Warn, became: str) -> Callable[[_Plan], None]:
    """Return a function that checks a plan for keys that no column has, with one warning for all.

    Args:
        open_objects: Objects whose fields the customer chooses; they are not reported.
        warn: Called with the warning.
        became: What happens to unknown fields, for the warning.
    """
    warned = False

    def check(plan: _Plan) -> None:
        nonlocal warned
        names = [key for key, _ in plan.unknown if key.partition(".")[0].casefold() not in open_objects]
        if names and not warned:
            warned = True
            shown = ", ".join(repr(name)[1:-1][:60] for name in names[:NAMED])
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            what = f"the provider sent fields that this version does not know: {shown}{more}"
            warn(Message(what, f"{became}, and there may be others"))

    return check


NAMED = 5
"""How many unknown fields a warning names."""


def _absence_check(
    columns: Sequence[Column], required: Collection[str], warn: Warn
) -> Callable[[Callable[[int], bool]], None]:
    """Return a function that checks required columns for missing values, with one warning per column.

    Its argument returns whether any row of a page has no value in the column at a position.
    """
    left = [at for at, column in enumerate(columns) if column.name in required]

    def check(is_missing: Callable[[int], bool]) -> None:
        for at in [at for at in left if is_missing(at)]:
            left.remove(at)
            what = f"column {columns[at].name}: a record came without it, although it always has a value"
            warn(Message(what, "such records are kept"))

    return check


def native_rows(
    columns: Sequence[Column],
    warn: Warn,
    *,
    flat: bool = False,
    known: Expected,
    became: str = "they are kept",
) -> Callable[[Page], Sequence[Row]]:
    """Return a function that converts a page to rows of all columns and, last, the unknown fields or None.

    Args:
        columns: The columns of the call.
        warn: Called for values that do not fit their columns.
        flat: Convert a list or an object in a column of another kind to JSON text.
        known: The expected contents of the records.
        became: What happens to unknown fields, for the warning.
    """
    unread = _pass_unparsed(columns, warn, flat=flat)
    plan_of = _plans(columns, _unknown_check(known.open_objects, warn, became))
    check_absence = _absence_check(columns, known.required, warn)
    plain = _plain_rows(columns, plan_of, unread)
    of_batch = _batch_rows(columns, plan_of, unread)
    containers = _containers(columns)

    def rows(page: Page) -> Sequence[Row]:
        if isinstance(page.records, RecordBatch) and not containers:
            table = of_batch(page.records, page.context)
            check_absence(table.lacks)
            return table
        found = plain(page)
        check_absence(lambda at: any(row[at] is None for row in found))
        return found

    return rows


def _plain_rows(
    columns: Sequence[Column],
    plan_of: Callable[[tuple[str, ...]], _Plan],
    unread: Callable[[int, Any], Value],
) -> Callable[[Page], list[Row]]:
    """Return a function that converts a page record by record."""
    empty: Row = [None] * (len(columns) + 1)
    from_context = [(at, column.key[1:]) for at, column in enumerate(columns) if column.key.startswith("@")]
    containers = _containers(columns)

    def row(record: Record, context: Mapping[str, str]) -> Row:
        if containers:
            record = _flatten(record, containers)
        plan = plan_of(tuple(record))
        values = empty.copy()
        for at, raw in zip(plan.texts, plan.values_of_texts(record), strict=True):
            if raw.__class__ is str:  # nearly always
                if raw:
                    values[at] = raw
            elif raw is not None:
                try:
                    values[at] = read_text(raw)
                except ValueError:
                    values[at] = unread(at, raw)
        for at, key, read, null_words, in_context in plan.others:
            raw = record[key]
            if raw is None or raw == "" or (null_words and isinstance(raw, str) and raw in null_words):
                continue
            try:
                values[at] = read(raw, context) if in_context else read(raw)
            except (ValueError, ArithmeticError):
                values[at] = unread(at, raw)
        for at, name in from_context:
            values[at] = context.get(name)
        if plan.unknown:
            values[-1] = {name: record[key] for key, name in plan.unknown}
        return values

    return lambda page: [row(record, page.context) for record in page.records]


class _ParsedTexts(dict[str, Value]):
    """A cache of a column's parsed texts: most columns of call records have few different values."""

    def __init__(self, read: Callable[[str], Value]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, raw: str) -> Value:
        if len(self) > _TEXTS_CACHED:
            self.clear()
        value = self[raw] = self._read(raw)
        return value


_TEXTS_CACHED = 4096

_NOTHING: frozenset[type] = frozenset()
_WHOLE = INTEGERS | BOOLEANS
_SCALARS = NUMBERS | BOOLEANS
_TYPED: Mapping[str, frozenset[type]] = {
    "integer": INTEGERS,
    "seconds": INTEGERS,
    "boolean": BOOLEANS,
    "list": LISTS,
}
"""The types, by kind of column, whose values stay as they came."""
_DECIMALS = frozenset({"decimal", "money"})


def read_texts_of(column: Column, texts: Sequence[str], context: Mapping[str, str]) -> Sequence[Value] | None:
    """Return the values of a column of texts, of which empty ones stay empty; None if they must be read one by one.

    In a column of a kind that is no text, no text may be empty.
    """
    if column.read_texts is not None:
        return column.read_texts(texts, context)
    if column.read is not None or column.read_in is not None:
        return texts if is_text(column) else None
    match column.kind:
        case "text":
            return texts
        case "time":
            return canonical_instants(texts)
        case "integer" | "seconds":
            return digits_as_integers(texts)
        case "decimal" | "money":
            return texts if are_decimals(texts) else None
        case _:
            return None


_Cells = tuple[Sequence[Value], bool, frozenset[type] | None]
"""The values of a column, whether they are texts with the empty text in place of None, and the types they may have."""


def _batch_rows(
    columns: Sequence[Column],
    plan_of: Callable[[tuple[str, ...]], _Plan],
    unread: Callable[[int, Any], Value],
) -> Callable[[RecordBatch, Mapping[str, str]], RowBatch]:
    """Return a function that converts a record batch to a row batch: all columns, then unknown fields or None."""
    caches: dict[int, _ParsedTexts] = {}
    one = _read_one(columns, unread)

    def cells(at: int, batch: RecordBatch, context: Mapping[str, str]) -> _Cells:
        column = columns[at]
        if column.key.startswith("@"):
            return [context.get(column.key[1:])] * len(batch), False, TEXTS
        raw = batch.columns[column.key]
        if is_text(column) and column.key in batch.texts:
            return _without(raw, column.null_words), True, TEXTS
        kinds = batch.kinds_of(column.key)
        plain = column.read is None and column.read_in is None
        if (plain or column.keeps_typed) and kinds <= _TYPED.get(column.kind, _NOTHING):
            return raw, False, kinds
        if kinds <= TEXTS:
            texts = _without(batch.texts_of(column.key), column.null_words)
            found = read_texts_of(column, texts, context)
            if found is not None:
                return found, column.kind in READ_AS_TEXT, None
            if column.read_in is None and column.kind != "time":
                if at not in caches:
                    caches[at] = _ParsedTexts(lambda value: one(at, value, {}))
                return list(map(caches[at].__getitem__, texts)), False, None
        elif kinds <= _WHOLE and (is_text(column) or (plain and kinds <= INTEGERS and column.kind in _DECIMALS)):
            return scalar_texts(raw), True, TEXTS
        elif column.read_in is None and kinds <= _SCALARS:
            texts = list(map(repr, raw))
            values = {text: one(at, value, {}) for text, value in dict(zip(texts, raw, strict=True)).items()}
            return list(map(values.__getitem__, texts)), False, None
        return [one(at, value, context) for value in raw], False, None

    def table(batch: RecordBatch, context: Mapping[str, str]) -> RowBatch:
        every = [cells(at, batch, context) for at in range(len(columns))]
        found, texts, kinds = zip(*every, (_unknown_of(batch, plan_of), False, LISTS), strict=True)
        return RowBatch(found, texts, len(batch), kinds)

    return table


def _read_one(
    columns: Sequence[Column], unread: Callable[[int, Any], Value]
) -> Callable[[int, Any, Mapping[str, str]], Value]:
    """Return a function that parses the value of a column, given the page's context."""
    readers = [reader_of(column) for column in columns]

    def one(at: int, raw: Any, context: Mapping[str, str]) -> Value:
        column = columns[at]
        if raw is None or raw is ABSENT or raw == "" or (isinstance(raw, str) and raw in column.null_words):
            return None
        try:
            return readers[at](raw, context) if column.read_in is not None else readers[at](raw)
        except (ValueError, ArithmeticError):
            return unread(at, raw)

    return one


def _without(raw: Sequence[str], words: frozenset[str]) -> Sequence[str]:
    """Return texts, with these words replaced by the empty text."""
    return raw if not words or words.isdisjoint(raw) else ["" if value in words else value for value in raw]


def _unknown_of(batch: RecordBatch, plan_of: Callable[[tuple[str, ...]], _Plan]) -> Sequence[Value]:
    """Return the fields that no column has, or None, for each record of a batch."""
    if not batch.unknown:
        return [None] * len(batch)
    named = [key for key in batch.columns if key not in batch.unknown]
    unnamed = [(key, batch.columns[key]) for key in batch.unknown]

    def unknown(at: int) -> Record | None:
        came = {key: column[at] for key, column in unnamed if column[at] is not ABSENT}
        unknown_names = plan_of((*named, *came)).unknown if came else ()
        # A schema without some columns, as that of legs, does not know them either
        return {name: came[key] for key, name in unknown_names if key in came} or None

    return [unknown(at) for at in range(len(batch))]
