"""A table for people, on a terminal."""

from __future__ import annotations

import re
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from cdrctl.records.readers import iso_instant
from cdrctl.writers.values import columns_of, text_of
from cdrctl.zones import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo
    from typing import BinaryIO

    from cdrctl.records.columns import Column
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

_NUMBERS = frozenset({"integer", "seconds", "decimal", "money"})

_USUAL = {"time": len("2026-11-19 08:00:00"), "seconds": len("1:02:03")}
"""Room that a column of this kind has at least, whatever the first page has in it."""

_LEAST = 20
"""In a narrower terminal nothing can be read: it is treated as this wide."""

_GAP = 2
"""Blanks between two columns."""

_READABLE = 8
"""Text is not squeezed below this to make room for one more column."""

_COMFORTABLE = 14
"""Nor below this, where there is enough to read."""

_ENOUGH = 7
"""Columns that are enough to read."""

_SQUEEZED = 6
"""Text in a column that the user chose is not squeezed below this: then a column is left out."""

_NON_JOINER = "\u200c"
"""Is not printable by its category, and is needed to write Persian; it has no width and does nothing else."""

_DOT = "·"
_CUT = "…"
_RULE = "─"

_TELEPHONE = re.compile(r"\+?[0-9*#]{5,15}")
"""Half a telephone number is another one: no column is squeezed below those in it."""

_LONG_NUMBER = len("+441632960122")
"""Telephone numbers of a page to come may be as long as this: where there is room for it, their column has it."""

_PART = re.compile(r"[^_.]*[_.]|[^_.]+")
"""What stays on one line of a column's name."""

_GREEN, _YELLOW, _RED = "32", "33", "31"
_TONES = {
    "answered": _GREEN,
    **dict.fromkeys(("no_answer", "busy", "cancelled", "voicemail", "abandoned"), _YELLOW),
    **dict.fromkeys(("rejected", "failed"), _RED),
}
"""Colours of outcomes of the common CDR, over what the cell says in words anyway."""


class _Laid:
    """One column as it is laid out: where it is in a row, how wide it is, and how its values look.

    Args:
        at: Its position in a row.
        column: The column.
        text: From a value to what is shown of it.
    """

    __slots__ = ("at", "column", "is_number", "text", "texts", "width")

    def __init__(self, at: int, column: Column, text: Callable[[Any], str]) -> None:
        self.at = at
        self.column = column
        self.is_number = column.kind in _NUMBERS
        self.text = text
        self.texts: list[str] = []
        self.width = 0

    def cells(self, tones: Sequence[str | None] | None) -> list[str]:
        """Return what is shown of the page's values, as wide as the column, in these colours."""
        width, number = self.width, self.is_number
        whole = number or self.column.kind == "time"
        cells = []
        for text in self.texts:
            long = len(text) if text.isascii() else cell_len(text)
            if long > width:
                cut = _CUT if whole else _cut(text, width)
                long, text = (len(cut) if cut.isascii() else cell_len(cut)), cut  # noqa: PLW2901 - of this cell
            blanks = " " * (width - long)
            cells.append(blanks + text if number else text + blanks)
        if tones is None:
            return cells
        return [cell if tone is None else _toned(cell, tone) for cell, tone in zip(cells, tones, strict=True)]


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    """Write a table that fits the terminal: widths are fixed by the first page, so that later pages line up.

    Times are local, and their zone is named above the table; durations are hours, minutes and seconds. Of the usual
    columns those are shown that have room, the first ones first; of those that the user chose, all up to the first that
    has none. The last line counts the others. Numbers and times are shown whole or as an ellipsis. Nothing in a value
    controls the terminal: what does not print is `·`.

    Raises:
        UsageError: The schema has no columns.
    """
    columns = columns_of(schema)
    room = max(look.width, _LEAST)
    laid = [_Laid(i, columns[i], _reader(columns[i], look.zone)) for i in _positions(columns, look)]
    laid = laid[: room // (1 + _GAP) + 1]  # no more than that have room
    wanted = len(columns) if look.chosen is None else len(look.chosen)
    outcome = look.outcome if look.color else None
    first = True
    for page in pages:
        rows: Sequence[Any] = list(page)
        if not rows:
            continue
        for one in laid:
            one.texts = [one.text(row[one.at]) for row in rows]
        head = ""
        if first:
            first = False
            laid = _laid_out(laid, look, room)
            head = _head(laid, look, room) if look.header else ""
        tones = None if outcome is None else [_TONES.get(str(outcome(row))) for row in rows]
        cells = [one.cells(tones if one.column.name in look.ending else None) for one in laid]
        lines = [(" " * _GAP).join(line).rstrip(" ") for line in zip(*cells, strict=True)]
        out.write((head + "\n".join(lines) + "\n").encode())
    if first:
        out.write(b"no records\n")
    elif len(laid) < wanted:
        more = wanted - len(laid)
        ways = filter(None, (look.more if look.chosen is None else "a wider terminal", "-f csv"))
        text = f"{_CUT} and {more} more column{'s'[: more > 1]}: {', or '.join(ways)}"
        out.write(_aside(text, look, room).encode())


def shown(value: Any, column: Column, zone: tzinfo) -> str:
    """Return a value for people: a dash for null, yes or no, local times, 1:02:03, and nothing that does not print."""
    return _reader(column, zone)(value)


def _reader(column: Column, zone: tzinfo) -> Callable[[Any], str]:
    """Return the function from a column's values to what is shown of them."""
    special = {"time": lambda value: _local(value, zone), "seconds": _clock}.get(column.kind)

    def read(value: Any) -> str:
        if value is None:
            return "-"
        if value is True or value is False:
            return "yes" if value else "no"
        found = special(value) if special is not None else None
        return _printable(text_of(value)) if found is None else found

    return read


def _local(value: Any, zone: tzinfo) -> str | None:
    """Return an instant as the clocks of a zone show it, or None where it is no instant."""
    if not isinstance(value, str):
        return None
    try:
        return iso_instant(value).astimezone(zone).replace(tzinfo=None).isoformat(" ", "seconds")
    except (ValueError, OverflowError):
        return None


def _clock(value: Any) -> str | None:
    """Return seconds as `0:07`, `4:03` or `1:02:03`, or None where they are none."""
    if type(value) is not int:
        return None
    minutes, seconds = divmod(abs(value), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value < 0 else ""
    return f"{sign}{hours}:{minutes:02}:{seconds:02}" if hours else f"{sign}{minutes}:{seconds:02}"


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
    from unicodedata import category

    return " " if category(one) == "Zs" else _DOT


def _cut(text: str, width: int) -> str:
    """Return the beginning of a text that is too wide, and the ellipsis that says so."""
    return (text[: width - 1] if text.isascii() else set_cell_size(text, width - 1)) + _CUT


def _toned(cell: str, tone: str) -> str:
    """Return a cell in a colour, its blanks without."""
    text = cell.strip(" ")
    before, _, after = cell.partition(text) if text else (cell, "", "")
    return f"{before}\x1b[{tone}m{text}\x1b[0m{after}"


def _laid_out(laid: Sequence[_Laid], look: RenderOptions, room: int) -> list[_Laid]:
    """Return the columns that have room, with their widths."""
    names = [_printable(one.column.name) for one in laid]
    values = [max(_USUAL.get(one.column.kind, 0), *map(cell_len, one.texts)) for one in laid]
    parts = [max(map(cell_len, _PART.findall(name)), default=0) for name in names]
    sizes = list(zip(laid, values, parts, strict=True))
    if look.chosen is not None:
        least = [_least(*one, _SQUEEZED, look) for one in sizes]
        found = fitting(least, room, in_order=True)
    else:
        least = [max(part, _least(one, value, part, _COMFORTABLE, look)) for one, value, part in sizes]
        found = fitting(least, room)
        if len(found) < _ENOUGH:
            least = [max(part, _least(one, value, part, _READABLE, look)) for one, value, part in sizes]
            found = [i for i in fitting(least, room) if i < _ENOUGH]
    usual = [_LONG_NUMBER if any(map(_TELEPHONE.fullmatch, one.texts)) else 0 for one in laid]
    widths = fit(
        [max(values[i], usual[i], cell_len(names[i])) for i in found],
        [max(values[i], parts[i]) for i in found],
        [least[i] for i in found],
        room,
    )
    shown_at = [laid[i] for i in found]
    for one, width in zip(shown_at, widths, strict=True):
        one.width = width
    if not shown_at[-1].is_number:  # the blanks at the end of a line take no room
        shown_at[-1].width += room - sum(widths) - _GAP * (len(widths) - 1)
    return shown_at


def _least(one: _Laid, value: int, part: int, readable: int, look: RenderOptions) -> int:
    """Return how far a column may be squeezed: half a number or half a time says nothing, half a name much."""
    if one.is_number or one.column.kind == "time" or one.column.name in look.whole:
        return value
    numbers = [len(text) for text in one.texts if _TELEPHONE.fullmatch(text)]
    return max(min(max(value, part), readable), *numbers, 0)


def fitting(least: Sequence[int], room: int, *, in_order: bool = False) -> list[int]:
    """Return which columns have room when none is squeezed below its least; the first one always has.

    In order, all after the first that has none are left out; else what comes first may be, and the rest has its turn
    when all of that is there.
    """
    found: list[int] = []
    left = room + _GAP
    for i, width in enumerate(least):
        if width + _GAP <= left or not found:
            found.append(i)
            left -= width + _GAP
        if len(found) <= i and (in_order or i + 1 >= _ENOUGH):
            break
    return found


def fit(natural: Sequence[int], folded: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return the widths of columns: names are folded before a value is squeezed, and the widest are squeezed first."""
    widths = [min(width, room) for width in natural]
    for floor in (folded, least):
        while sum(widths) + _GAP * (len(widths) - 1) > room:
            wider = [i for i, width in enumerate(widths) if width > floor[i]]
            if not wider:
                break
            widths[max(wider, key=widths.__getitem__)] -= 1
    return widths


def _positions(columns: Sequence[Column], look: RenderOptions) -> list[int]:
    """Return where the columns to show are: those chosen, the usual ones, or all when none of the usual is there."""
    where = {column.name: i for i, column in enumerate(columns)}
    if look.chosen is not None:
        return [where[name] for name in look.chosen]
    return [where[name] for name in look.shown if name in where] or list(range(len(columns)))


def _head(laid: Sequence[_Laid], look: RenderOptions, room: int) -> str:
    """Return what stands above the first row: the zone, the names on as many lines as they need, a rule."""
    zone = f"times in {name_of(look.zone)}{look.beside}"
    folded = [list(_folded(_printable(one.column.name), one.width)) for one in laid]
    lines = [
        (" " * _GAP)
        .join(
            " " * (one.width - cell_len(name)) + name if one.is_number else name + " " * (one.width - cell_len(name))
            for one, name in zip(laid, names, strict=True)
        )
        .rstrip(" ")
        for names in reversed([*zip_longest(*map(reversed, folded), fillvalue="")])  # they end on one line
    ]
    last = laid[-1]
    long = max(map(cell_len, (*last.texts, *folded[-1])))
    whole = sum(one.width + _GAP for one in laid[:-1]) + min(last.width, long if not last.is_number else last.width)
    return "".join(
        [
            _aside(zone, look, room) if any(one.column.kind == "time" for one in laid) else "",
            *(f"\x1b[1m{line}\x1b[0m\n" if look.color else f"{line}\n" for line in lines),
            _RULE * whole + "\n",
        ]
    )


def _folded(name: str, width: int) -> Iterator[str]:
    """Yield the lines of a name: it is folded after a `_` or a dot, and cut where it cannot be."""
    line = ""
    for part in _PART.findall(name):
        if line and cell_len(line + part) > width:
            yield line
            line = ""
        line += part
        if cell_len(line) > width:
            yield _cut(line, width)
            return
    yield line


def _aside(text: str, look: RenderOptions, room: int) -> str:
    """Return lines that are no part of the table."""
    lines = textwrap.wrap(text, room, break_on_hyphens=False)
    return "".join([f"\x1b[2m{line}\x1b[0m\n" if look.color else f"{line}\n" for line in lines])
