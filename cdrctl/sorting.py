"""Records in an order of the user's own, as `--sort` has it: a few thousand in memory, the others on disk meanwhile."""

from __future__ import annotations

import heapq
import json
import marshal
import operator
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import IO, Any

from cdrctl.conditions.evaluation import reach
from cdrctl.errors import OutputError, UsageError
from cdrctl.records.columns import EXTRA, NUMBERS, Column
from cdrctl.records.events import Record, Row, Value
from cdrctl.records.readers import iso_instant
from cdrctl.records.schemas import no_field

IN_MEMORY = 10_000
"""Rows that are held at a time; one of Webex's has some 6 kB."""

TOGETHER = 10
"""Rows of each sorted run that are read back at a time: of ten million records there are a thousand runs."""

PAGE = 250

_READ, _UNREADABLE, _NULL = range(3)

Key = Callable[[Any], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Order:
    """One field that is sorted by."""

    field: str
    descending: bool = False


class _Backwards:
    """Text that is less where it is more."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: _Backwards) -> bool:
        return self.text > other.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def read(text: str) -> tuple[Order, ...]:
    """Return the fields to sort by that a text names: `start_time,-talk_seconds`, most important first.

    Raises:
        UsageError: It names none, or one twice.
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
        raise UsageError("--sort names a field twice", hint="name each once, the most important first")
    return tuple(orders)


def key_of_rows(orders: Sequence[Order], columns: Sequence[Column]) -> Key:
    """Return the sort key of rows of these columns: numbers and times by what they mean, null last both ways.

    Raises:
        UsageError: A field is no column.
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
    return lambda row: tuple([part(row) for part in parts])


def key_of_records(orders: Sequence[Order]) -> Key:
    """Return the sort key of raw records: numbers before text, null last both ways."""
    parts = [_part(_reaching(order.field), None, descending=order.descending) for order in orders]
    return lambda record: tuple([part(record) for part in parts])


def _unknown(extra: int, key: str) -> Callable[[Row], Value]:
    return lambda row: (row[extra] or {}).get(key)


def _reaching(field: str) -> Callable[[Record], Value]:
    return lambda record: reach(record, field)


def _part(take: Callable[[Any], Value], kind: str | None, *, descending: bool) -> Callable[[Any], tuple[Any, ...]]:
    def part(row: Any) -> tuple[Any, ...]:
        value = take(row)
        if value is None:
            return (_NULL,)
        try:
            found = _meaning(value, kind)
        except (ValueError, InvalidOperation):  # it passed as it came
            return (_UNREADABLE, _Backwards(_text(value)) if descending else _text(value))
        if not descending:
            return (_READ, *found)
        return (_READ, *(_Backwards(one) if isinstance(one, str) else -one for one in found))

    return part


def _meaning(value: Value, kind: str | None) -> tuple[Any, ...]:
    """Return a value as what can be compared with others of its kind.

    Raises:
        ValueError: It is none of its kind; also as InvalidOperation.
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


def in_order(pages: Iterable[Sequence[Any]], key: Key, limit: int | None = None) -> Generator[list[Any], None, None]:
    """Yield the rows of all pages in order, in pages of its own; equal ones stay as they came.

    With a limit only so many are yielded, the first ones of the order.

    Raises:
        OutputError: The disk on which rows wait cannot hold them.
    """
    few = limit is not None and limit * 2 <= IN_MEMORY
    held: list[Any] = []
    runs: list[tuple[int, int]] = []
    with _told():
        waiting = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - only its opening is told of here
    with waiting as file:
        for page in pages:
            for row in page:
                held.append(row)
                if len(held) < IN_MEMORY:
                    continue
                held.sort(key=key)
                if few:
                    del held[limit:]
                else:
                    runs.append(_put_away(file, held))
                    held = []
        held.sort(key=key)
        rows: Iterator[Any] = iter(held)
        if runs:
            rows = heapq.merge(*(_taken_back(file, *run) for run in runs), held, key=key)
        left = limit
        while found := list(islice(rows, PAGE if left is None else min(left, PAGE))):
            yield found
            left = None if left is None else left - len(found)


def _put_away(file: IO[bytes], rows: list[Any]) -> tuple[int, int]:
    """Write rows behind what is in a file already, and return where they begin and end."""
    with _told():
        begin = at = file.seek(0, os.SEEK_END)
        for first in range(0, len(rows), TOGETHER):
            some = marshal.dumps(rows[first : first + TOGETHER])
            for piece in (len(some).to_bytes(8, "little"), some):
                view = memoryview(piece)
                while view:  # a disk that gets full takes a part
                    view = view[file.write(view) :]
            at += 8 + len(some)
    return begin, at


def _taken_back(file: IO[bytes], at: int, end: int) -> Iterator[Any]:
    while at < end:
        with _told():
            file.seek(at)
            size = int.from_bytes(file.read(8), "little")
            some = file.read(size)
        at += 8 + size
        yield from marshal.loads(some)  # noqa: S302 - written by this process, in a file without a name


@contextmanager
def _told() -> Iterator[None]:
    """Make what goes wrong with the disk an error that says what the disk was for."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"--sort cannot keep the records meanwhile in {tempfile.gettempdir()}: {error.strerror}",
            hint="set TMPDIR to a folder with more room, or shorten the window",
        ) from error
