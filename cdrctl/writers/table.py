"""A table for people, on a terminal."""

from __future__ import annotations

from io import StringIO
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from unicodedata import category

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cdrctl.records import iso_instant
from cdrctl.writers.values import columns_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from typing import BinaryIO

    from cdrctl.records import Column, Schema
    from cdrctl.writers import Look, Pages

_NUMBERS = frozenset({"integer", "seconds", "decimal", "money"})

_LEAST = 20
"""In a narrower terminal nothing can be read: it is treated as this wide."""

_GAP = 2
"""Blanks between two columns."""

_READABLE = 12
"""Text is not squeezed below this to make room for one more column."""

_SQUEEZED = 6
"""Nothing that the user chose is squeezed below this: then it is left out."""

_NON_JOINER = "\u200c"
"""Is not printable by its category, and is needed to write Persian; it has no width and does nothing else."""

_DOT = "·"


def write(schema: Schema, pages: Pages, out: BinaryIO, look: Look) -> None:
    """Write a table that fits the terminal: widths are fixed by the first page, so that later pages line up.

    Times are local, and their zone is named above the table. Columns that do not fit are left out from the
    right and counted in the last line. Nothing in a value controls the terminal: what does not print is `·`.

    Raises:
        UsageError: The schema has no columns.
    """
    columns = columns_of(schema)
    room = max(look.width, _LEAST)
    at = _positions(columns, look)[: room // (1 + _GAP) + 1]  # no more than that fit, however narrow
    console = Console(
        file=StringIO(),  # nothing is printed but what is captured
        width=room,
        height=25,  # without it rich may ask the environment for the width as well
        color_system="standard" if look.color else None,
    )
    widths: list[int] = []
    for page in pages:
        rows: Sequence[Any] = page
        if not rows:
            continue
        texts = [[shown(row[i], columns[i], look.zone) for i in at] for row in rows]
        first = not widths
        if first:
            heads = [_printable(columns[i].name) for i in at]
            natural = [max(map(cell_len, cells)) for cells in zip(heads, *texts, strict=True)]
            least = [_least(width, columns[i], look) for width, i in zip(natural, at, strict=True)]
            widths = fit(natural, least, room)
            at = at[: len(widths)]
        table = _table([columns[i] for i in at], widths, header=first and look.header)
        for line in texts:
            table.add_row(*map(Text, line[: len(widths)]))
        with console.capture() as captured:
            if first and look.header and any(columns[i].kind == "time" for i in at):
                console.print(Text(f"times in {look.zone}", "dim"))
            console.print(table)
        out.write(_trimmed(captured.get()))
    if not widths:
        out.write(b"no records\n")
    elif len(at) < len(columns):
        more = len(columns) - len(at)
        way = "a wider terminal" if look.chosen else "--fields"
        with console.capture() as captured:
            console.print(Text(f"… and {more} more column{'s'[: more > 1]}: {way}, or -f csv", "dim"))
        out.write(_trimmed(captured.get()))


def shown(value: Any, column: Column, zone: tzinfo) -> str:
    """Return a value for people: a dash for null, yes or no, local times, and nothing that does not print."""
    if value is None:
        return "-"
    if value is True or value is False:
        return "yes" if value else "no"
    if column.kind == "time" and isinstance(value, str):
        try:
            return iso_instant(value).astimezone(zone).replace(tzinfo=None).isoformat(" ", "seconds")
        except (ValueError, OverflowError):
            pass  # it passes as it came
    return _printable(text_of(value))


def _printable(text: str) -> str:
    """Return text in which whatever controls a terminal, or is not a character at all, is a visible dot.

    Not printable are, among others, C0, C1 and escape sequences, line ends, bidirectional marks, overrides
    and isolates, halves of surrogate pairs, the joiner, in whose company characters have no certain width, and
    what this Python does not know yet.
    """
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() or one == _NON_JOINER else _stand_in(one) for one in text])


def _stand_in(one: str) -> str:
    return " " if category(one) == "Zs" else _DOT


def fit(natural: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return the widths of as many columns, from the left, as fit when none is squeezed below its least.

    The first is always there. The widest are squeezed first.
    """
    ends = accumulate(width + _GAP for width in least)
    count = sum(end - _GAP <= room for end in ends) or 1
    widths = [min(width, room) for width in natural[:count]]
    while sum(widths) + _GAP * (count - 1) > room:
        widest = max((i for i in range(count) if widths[i] > least[i]), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def _least(natural: int, column: Column, look: Look) -> int:
    """Return how far a column may be squeezed: half a number or half a time says nothing, half a name much."""
    if look.chosen:
        return min(natural, _SQUEEZED)
    return natural if column.kind == "time" or column.kind in _NUMBERS else min(natural, _READABLE)


def _positions(columns: Sequence[Column], look: Look) -> list[int]:
    """Return where the columns to show are: all when the user chose or none of the usual is there."""
    where = {column.name: i for i, column in enumerate(columns)}
    usual = [where[name] for name in look.shown if name in where]
    return list(range(len(columns))) if look.chosen or not usual else usual


def _table(columns: Sequence[Column], widths: Sequence[int], *, header: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, show_header=header, padding=(0, _GAP - 1, 0, 0), pad_edge=False)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            Text(_printable(column.name)),
            justify="right" if column.kind in _NUMBERS else "left",
            width=width,
            no_wrap=True,
            overflow="ellipsis",
        )
    return table


def _trimmed(text: str) -> bytes:
    """Return lines without the blanks that fill the last column."""
    return "\n".join([line.rstrip(" ") for line in text.split("\n")]).encode()
