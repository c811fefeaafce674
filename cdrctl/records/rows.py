"""From records to rows of a schema's columns."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from cdrctl.errors import Message
from cdrctl.records.batches import ABSENT, RecordBatch, RowBatch
from cdrctl.records.columns import EXTRA, Column, Expected, Warn, is_text, misfit, reader_of, snake_case
from cdrctl.records.events import Page, Record, Row, Value
from cdrctl.records.readers import instants_as_they_are, read_text

_SHAPES_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the columns of one shape of record are.

    Args:
        texts: The columns of plain text.
        values_of_texts: From a record to the values of these.
        others: The other columns, each with its key, what it takes to read it, and whether that is the context too.
        unknown: The fields that no column names, each with the name it gets in `extra`.
    """

    texts: tuple[int, ...]
    values_of_texts: Callable[[Record], tuple[Any, ...]]
    others: tuple[tuple[int, str, Callable[..., Value], frozenset[str], bool], ...]
    unknown: tuple[tuple[str, str], ...]


def _plan(columns: Sequence[Column], shape: tuple[str, ...]) -> _Plan:
    exact: dict[str, int] = {}
    folded: dict[str, int] = {}
    twins: dict[int, int] = {}  # columns that read the key of an earlier one
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
    """Return the objects that columns reach into, in folded case, with the keys of theirs that are columns."""
    dotted = [column.key.casefold() for column in columns if "." in column.key]
    roots = {key.partition(".")[0] for key in dotted}
    return {root: frozenset(key for key in dotted if key.startswith(root + ".")) for root in roots}


def _flatten(record: Record, containers: Mapping[str, frozenset[str]]) -> Record:
    """Return the record with the objects that columns reach into spread out under dotted keys."""
    flat: Record = {}
    for key, value in record.items():
        if not (value and isinstance(value, dict) and key.casefold() in containers):
            flat[key] = value
            continue
        for path, inner in _spread(key, value, containers[key.casefold()]):
            free = path
            while free in record or free in flat:  # somebody else is called like that
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


def _unread(columns: Sequence[Column], warn: Warn, *, flat: bool) -> Callable[[int, Any], Value]:
    """Return the function that passes a value which its column cannot read, with one warning per column.

    The warning names the kind of the value and never its content, which may be what a caller said.
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


def _plans(columns: Sequence[Column], look: Callable[[_Plan], None]) -> Callable[[tuple[str, ...]], _Plan]:
    """Return the function that plans a shape of record, and has each new shape looked at."""

    @functools.lru_cache(_SHAPES_REMEMBERED)
    def plan_of(shape: tuple[str, ...]) -> _Plan:
        plan = _plan(columns, shape)
        look(plan)
        return plan

    return plan_of


def _unknown(free: Collection[str], warn: Warn, became: str) -> Callable[[_Plan], None]:
    """Return the function that looks at a shape of record for fields that no column names, with one warning for all.

    Fields of the objects in `free` are the customer's own, and no news. The warning says what became of the others.
    """
    told = False

    def look(plan: _Plan) -> None:
        nonlocal told
        names = [key for key, _ in plan.unknown if key.partition(".")[0].casefold() not in free]
        if names and not told:
            told = True
            shown = ", ".join(repr(name)[1:-1][:60] for name in names[:NAMED])
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            what = f"fields came that this version does not know: {shown}{more}"
            warn(Message(what, f"{became}, and there may be others"))

    return look


NAMED = 5
"""Unknown fields that a warning names at most."""


def _absent(columns: Sequence[Column], always: Collection[str], warn: Warn) -> Callable[[Callable[[int], bool]], None]:
    """Return the function that looks for columns without a value where there always is one; one warning per column.

    It is told how to find out whether any row of a page has no value in a column.
    """
    left = [at for at, column in enumerate(columns) if column.name in always]

    def look(is_missing: Callable[[int], bool]) -> None:
        for at in [at for at in left if is_missing(at)]:
            left.remove(at)
            what = f"column {columns[at].name}: a record came without it, which has not been so"
            warn(Message(what, "such records are kept"))

    return look


def native_rows(
    columns: Sequence[Column],
    warn: Warn,
    *,
    flat: bool = False,
    known: Expected,
    became: str = "they are kept",
) -> Callable[[Page], Sequence[Row]]:
    """Return the function that reads a page into rows of all columns and, last, the unknown fields or None.

    Where `flat` is asked for, a list or an object in a column of another kind becomes JSON text.
    """
    unread = _unread(columns, warn, flat=flat)
    plan_of = _plans(columns, _unknown(known.open_objects, warn, became))
    look_for_absent = _absent(columns, known.required, warn)
    plain = _plain_rows(columns, plan_of, unread)
    of_batch = _batch_rows(columns, plan_of, unread)
    containers = _containers(columns)

    def rows(page: Page) -> Sequence[Row]:
        if isinstance(page.records, RecordBatch) and not containers:
            table = of_batch(page.records, page.context)
            look_for_absent(table.lacks)
            return table
        found = plain(page)
        look_for_absent(lambda at: any(row[at] is None for row in found))
        return found

    return rows


def _plain_rows(
    columns: Sequence[Column],
    plan_of: Callable[[tuple[str, ...]], _Plan],
    unread: Callable[[int, Any], Value],
) -> Callable[[Page], list[Row]]:
    """Return the function that reads a page record by record."""
    empty: Row = [None] * (len(columns) + 1)
    from_context = [(at, column.key[1:]) for at, column in enumerate(columns) if column.key.startswith("@")]
    containers = _containers(columns)

    def row(record: Record, context: Mapping[str, str]) -> Row:
        if containers:
            record = _flatten(record, containers)
        plan = plan_of(tuple(record))
        values = empty.copy()
        for at, raw in zip(plan.texts, plan.values_of_texts(record), strict=True):
            if raw.__class__ is str:  # nearly always, and then nothing is left to do
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


class _Remembered(dict[str, Value]):
    """What a column makes of texts, so that each is read once: most columns of a call history say few things."""

    def __init__(self, read: Callable[[str], Value]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, raw: str) -> Value:
        if len(self) > _TEXTS_REMEMBERED:
            self.clear()
        value = self[raw] = self._read(raw)
        return value


_TEXTS_REMEMBERED = 4096


def _batch_rows(
    columns: Sequence[Column],
    plan_of: Callable[[tuple[str, ...]], _Plan],
    unread: Callable[[int, Any], Value],
) -> Callable[[RecordBatch, Mapping[str, str]], RowBatch]:
    """Return the function that reads a batch into a table of all columns and, last, the unknown fields or None."""
    remembered: dict[int, _Remembered] = {}
    one = _read_one(columns, unread)

    def cells(at: int, batch: RecordBatch, context: Mapping[str, str]) -> tuple[Sequence[Value], bool]:
        column = columns[at]
        if column.key.startswith("@"):
            return [context.get(column.key[1:])] * len(batch), False
        raw = batch.columns[column.key]
        if is_text(column) and column.key in batch.texts:
            return _without(raw, column.null_words), True
        kinds = set(map(type, raw))
        usual = column.read is None and column.read_in is None
        if kinds == {str} and usual and column.kind == "time":
            instants = instants_as_they_are(_without(raw, column.null_words))
            if instants is not None:
                return instants, True
        elif kinds == {str} and column.read_in is None and column.kind != "time":
            if at not in remembered:
                remembered[at] = _Remembered(lambda value: one(at, value, {}))
            return list(map(remembered[at].__getitem__, raw)), False
        elif kinds == {int} and usual and column.kind in {"integer", "seconds"}:
            return raw, False
        return [one(at, value, context) for value in raw], False

    def table(batch: RecordBatch, context: Mapping[str, str]) -> RowBatch:
        found, texts = map(list, zip(*(cells(at, batch, context) for at in range(len(columns))), strict=True))
        return RowBatch([*found, _unknown_of(batch, plan_of)], [*texts, False], len(batch))

    return table


def _read_one(
    columns: Sequence[Column], unread: Callable[[int, Any], Value]
) -> Callable[[int, Any, Mapping[str, str]], Value]:
    """Return the function that reads a value of a column, in a context."""
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
    """Return texts, empty in the place of these words."""
    return raw if not words or words.isdisjoint(raw) else ["" if value in words else value for value in raw]


def _unknown_of(batch: RecordBatch, plan_of: Callable[[tuple[str, ...]], _Plan]) -> Sequence[Value]:
    """Return for each record of a batch the fields that no column names, or None."""
    if not batch.unknown:
        return [None] * len(batch)
    named = [key for key in batch.columns if key not in batch.unknown]
    further = [(key, batch.columns[key]) for key in batch.unknown]

    def unknown(at: int) -> Record | None:
        came = {key: column[at] for key, column in further if column[at] is not ABSENT}
        return {name: came[key] for key, name in plan_of((*named, *came)).unknown} if came else None

    return [unknown(at) for at in range(len(batch))]
