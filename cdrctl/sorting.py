"""Sorts records for `--sort`: five thousand in memory, the others in a temporary file."""

from __future__ import annotations

import json
import marshal
import operator
import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from heapq import heapify, heappop, heapreplace
from itertools import chain, islice, pairwise
from typing import IO, Any

from msgspec import Struct

from cdrctl.conditions.evaluation import reach
from cdrctl.errors import OutputError, UsageError
from cdrctl.records.columns import EXTRA, NUMBERS, Column
from cdrctl.records.events import Record, Row, Value
from cdrctl.records.readers import iso_instant
from cdrctl.records.schemas import no_field

IN_MEMORY = 5_000
"""Rows held in memory; a Webex row has some 6 kB."""

TOGETHER = 5
"""Rows of each sorted run that are read back at a time: ten million records make two thousand runs."""

WRITTEN_AT_ONCE = 20
"""How many such groups of rows are written at once."""

AHEAD = 64 * 1024
"""Bytes that are read at once where runs are read one after the other."""

PAGE = 250

_READ, _UNREADABLE, _NULL = range(3)

Key = Callable[[Any], tuple[Any, ...]]


class Order(Struct, frozen=True):
    """A field to sort by."""

    field: str
    descending: bool = False


class _Backwards:
    """Text in descending order."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: _Backwards) -> bool:
        return self.text > other.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def read_order(text: str) -> tuple[Order, ...]:
    """Return the fields to sort by of a text such as `start_time,-talk_seconds`, most important first.

    Raises:
        UsageError: It has no field, or one twice.
    """
    orders = [
        Order(name.strip().removeprefix("-").strip(), name.strip().startswith("-"))
        for name in text.split(",")
        if name.strip().strip("-").strip()
    ]
    names = [order.field for order in orders]
    if not orders:
        raise UsageError("--sort names no field", hint="write it as --sort start_time, or --sort -talk_seconds")
    if len(set(names)) < len(names):
        raise UsageError("--sort names a field twice", hint="name each field once, the most important first")
    return tuple(orders)


def key_of_rows(orders: Sequence[Order], columns: Sequence[Column]) -> Key:
    """Return the sort key of rows: numbers and times by value, null last in both directions.

    Raises:
        UsageError: A field is not a column.
    """
    at = {column.name: position for position, column in enumerate(columns)}
    parts: list[Callable[[Row], tuple[Any, ...]]] = []
    for order in orders:
        first, _, key = order.field.partition(".")
        if order.field in at:
            take = operator.itemgetter(at[order.field])
            parts.append(_part(take, columns[at[order.field]].kind, descending=order.descending))
        elif first == EXTRA in at and key:
            parts.append(_part(_unknown(at[EXTRA], key), None, descending=order.descending))
        else:
            raise no_field(order.field, at)
    return _joined(parts)


def key_of_records(orders: Sequence[Order]) -> Key:
    """Return the sort key of raw records: numbers before text, null last in both directions."""
    return _joined([_part(_field_of(order.field), None, descending=order.descending) for order in orders])


def _joined(parts: Sequence[Key]) -> Key:
    """Return the sort key of several fields."""
    return parts[0] if len(parts) == 1 else lambda row: tuple([part(row) for part in parts])


def _unknown(extra: int, key: str) -> Callable[[Row], Value]:
    return lambda row: (row[extra] or {}).get(key)


def _field_of(field: str) -> Callable[[Record], Value]:
    return lambda record: reach(record, field)


def _part(take: Callable[[Any], Value], kind: str | None, *, descending: bool) -> Callable[[Any], tuple[Any, ...]]:
    """Return the sort key of one field: values of its type, then others, then null."""
    numeric = kind in NUMBERS

    def part(row: Any) -> tuple[Any, ...]:
        value = take(row)
        if value is None:
            return (_NULL,)
        if numeric and type(value) is int:  # most numbers; an integer compares with a Decimal
            return (_READ, -value if descending else value)
        try:
            found = _comparable(value, kind)
        except (ValueError, InvalidOperation):  # the column could not parse it
            return (_UNREADABLE, _Backwards(_text(value)) if descending else _text(value))
        if not descending:
            return (_READ, *found)
        return (_READ, *(_Backwards(one) if isinstance(one, str) else -one for one in found))

    return part


def _comparable(value: Value, kind: str | None) -> tuple[Any, ...]:
    """Return a value in a form that can be compared with others of its kind.

    Raises:
        ValueError: It has the wrong type.
        InvalidOperation: It is not a number.
    """
    if kind in NUMBERS or (kind is None and isinstance(value, int | float)):
        number = Decimal(str(value))
        if not number.is_finite():
            raise ValueError(value)
        return (number,) if kind else (0, number)
    if kind == "time":
        return (iso_instant(value).timestamp(),)
    if kind == "boolean":
        if not isinstance(value, bool):
            raise ValueError(value)
        return (int(value),)
    return (_text(value),) if kind else (1, _text(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def sort_pages(pages: Iterable[Sequence[Any]], key: Key, limit: int | None = None) -> Generator[list[Any], None, None]:
    """Yield the rows of all pages in order, in new pages; equal rows keep their order.

    With a limit only the first rows of the order are yielded.

    Raises:
        OutputError: The disk cannot hold the rows.
    """
    few = limit is not None and limit * 2 <= IN_MEMORY
    held: list[Any] = []
    runs: list[tuple[int, int]] = []
    edges: list[tuple[Any, Any]] = []  # the first and the last key of each run
    with disk_errors():
        waiting = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - only opening it is guarded here
    with waiting as file:
        for page in pages:
            begin = 0
            while begin < len(page):
                room = IN_MEMORY - len(held)
                some = page if not begin and len(page) <= room else page[begin : begin + room]
                begin += len(some)
                held += some
                if len(held) < IN_MEMORY:
                    continue
                held.sort(key=key)
                if few:
                    del held[limit:]
                else:
                    edges.append((key(held[0]), key(held[-1])))
                    runs.append(_write_run(file, held))
                    held = []
        held.sort(key=key)
        if held:
            edges.append((key(held[0]), key(held[-1])))
        if held and runs:  # the reader of the rows needs the memory
            runs.append(_write_run(file, held))
            held = []
        rows: Iterator[Any] = iter(held)
        if runs:
            follow = all(not after[0] < before[1] for before, after in pairwise(edges))  # they came in order
            parts = [_read_run(file, *run, AHEAD if follow else 0) for run in runs]
            rows = chain.from_iterable(chain.from_iterable(parts) if follow else _merged(parts, key))
        left = limit
        while found := list(islice(rows, PAGE if left is None else min(left, PAGE))):
            yield found
            left = None if left is None else left - len(found)


def _merged(runs: Sequence[Iterator[list[Any]]], key: Key) -> Iterator[list[Any]]:
    """Yield the rows of sorted runs in order; of equal rows, those of the earlier run come first.

    A block of each run is in memory. Further blocks are read of the runs whose rows come next. Then all rows are
    sorted: most are in order already, so this takes a fraction of the time of a heap of rows.

    Args:
        runs: The runs, each as blocks of rows.
        key: The sort key.
    """
    held: list[tuple[tuple[Any, int], Any]] = []
    edges: list[tuple[Any, int]] = []  # where the rows end that are held of each run
    for number, run in enumerate(runs):
        held += (found := [((key(row), number), row) for row in next(run)])
        edges.append(found[-1][0])
    heapify(edges)
    while edges:
        more = 0
        while edges and more < PAGE:
            number = edges[0][1]
            block = next(runs[number], None)
            if block is None:
                heappop(edges)
                continue
            held += (found := [((key(row), number), row) for row in block])
            heapreplace(edges, found[-1][0])
            more += len(block)
        held.sort(key=_FIRST)
        end = bisect_right(held, edges[0], key=_FIRST) if edges else len(held)
        yield [row for _, row in held[:end]]
        del held[:end]


_FIRST = operator.itemgetter(0)


def _write_run(file: IO[bytes], rows: list[Any]) -> tuple[int, int]:
    """Append sorted rows to a file, and return where they begin and end."""
    with disk_errors():
        begin = at = file.seek(0, os.SEEK_END)
        blocks = (marshal.dumps(rows[first : first + TOGETHER]) for first in range(0, len(rows), TOGETHER))
        while some := b"".join(len(one).to_bytes(8, "little") + one for one in islice(blocks, WRITTEN_AT_ONCE)):
            view = memoryview(some)
            while view:  # a disk that is nearly full accepts a part
                view = view[file.write(view) :]
            at += len(some)
    return begin, at


def _read_run(file: IO[bytes], at: int, end: int, ahead: int = 0) -> Iterator[list[Any]]:
    """Yield the rows of a sorted run in blocks.

    Args:
        file: The file.
        at: Where the run begins.
        end: Where it ends.
        ahead: How many bytes are read at once at least, of as many as there are.
    """
    held, place = b"", 0
    while at < end or place < len(held):
        size = int.from_bytes(held[place : place + 8], "little") if place + 8 <= len(held) else 0
        if not size or place + 8 + size > len(held):
            held, place = held[place:], 0
            with disk_errors():
                file.seek(at)
                held += file.read(min(end - at, max(ahead, 8 if not size else 8 + size - len(held))))
                at = file.tell()
            continue
        yield marshal.loads(held[place + 8 : place + 8 + size])  # noqa: S302 - written by this process, in a file without a name
        place += 8 + size


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a system error of the temporary file into an OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"temporary files cannot be written in {tempfile.gettempdir()}: {error.strerror}",
            hint="set TMPDIR to a folder with more free space, or shorten the window",
        ) from error
