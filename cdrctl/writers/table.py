"""Tables for people, on a terminal."""

from __future__ import annotations

import re
import textwrap
from itertools import repeat, zip_longest
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from cdrctl.records.batches import RowBatch
from cdrctl.records.readers import canonical_instants, iso_instant
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
"""The least width of a column of this kind, whatever the first page has."""

_LEAST = 20
"""The least width of a terminal: a narrower one is treated as this wide."""

_GAP = 2
"""Blanks between two columns."""

_MINUTE, _SECOND = len("2026-11-19T08:00"), len("2026-11-19T08:00:00")
_MINUTES_CACHED = 20_000

_READABLE = 8
"""Text is not shortened below this width to make room for one more column."""

_COMFORTABLE = 14
"""Nor below this width, if there are enough columns."""

_ENOUGH = 7
"""How many columns are enough."""

_SQUEEZED = 6
"""Text in a column that the user chose is not shortened below this width: then a column is left out."""

_NON_JOINER = "\u200c"
"""Not printable by its category, but needed to write Persian; it has no width and no other effect."""

_DOT = "·"
_CUT = "…"
_RULE = "─"

_TELEPHONE = re.compile(r"\+?[0-9*#]{5,15}")
"""A telephone number: half of one is another number, so no column is shortened below the longest."""

_LONG_NUMBER = len("+441632960122")
"""The width of a column of telephone numbers, if there is room: those of later pages may be this long."""

_PART = re.compile(r"[^_.]*[_.]|[^_.]+")
"""A part of a column's name that is not broken across lines."""

_GREEN, _YELLOW, _RED = "32", "33", "31"
_TONES = {
    "answered": _GREEN,
    **dict.fromkeys(("no_answer", "busy", "cancelled", "voicemail", "abandoned"), _YELLOW),
    **dict.fromkeys(("rejected", "failed"), _RED),
}
"""Colours of the outcomes of the common CDR; the cell's text says the same."""


class _TableColumn:
    """A column of the table: its position in a row, its width, and the text of its values.

    Args:
        at: Its position in a row.
        column: The column.
        texts_of: Returns the texts of values.
    """

    __slots__ = ("at", "column", "is_number", "texts", "texts_of", "width")

    def __init__(self, at: int, column: Column, texts_of: Callable[[Sequence[Any]], list[str]]) -> None:
        self.at = at
        self.column = column
        self.is_number = column.kind in _NUMBERS
        self.texts_of = texts_of
        self.texts: list[str] = []
        self.width = 0

    def cells(self, tones: Sequence[str | None] | None) -> list[str]:
        """Return the cells of the page, padded or cut to the column's width, in these colours."""
        width, number = self.width, self.is_number
        if "".join(self.texts).isascii() and max(map(len, self.texts)) <= width:
            pad: Callable[[str, int], str] = str.rjust if number else str.ljust
            return self._colored([*map(pad, self.texts, repeat(width))], tones)
        whole = number or self.column.kind == "time"
        cells = []
        for text in self.texts:
            long = len(text) if text.isascii() else cell_len(text)
            if long > width:
                cut = _CUT if whole else _cut(text, width)
                long, text = (len(cut) if cut.isascii() else cell_len(cut)), cut  # noqa: PLW2901 - of this cell
            blanks = " " * (width - long)
            cells.append(blanks + text if number else text + blanks)
        return self._colored(cells, tones)

    @staticmethod
    def _colored(cells: list[str], tones: Sequence[str | None] | None) -> list[str]:
        if tones is None:
            return cells
        return [cell if tone is None else _colorize(cell, tone) for cell, tone in zip(cells, tones, strict=True)]


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    """Write a table that fits the terminal; the first page determines the widths, so that later pages line up.

    Times are local, and their zone is named above the table; durations are hours, minutes and seconds. Of the default
    columns those are shown that fit, the most important first; of columns that the user chose, all up to the first that
    does not fit. The last line counts the others. Numbers and times are shown whole or as an ellipsis. No value
    controls the terminal: an unprintable character is shown as `·`.

    Raises:
        UsageError: The schema has no columns.
    """
    columns = columns_of(schema)
    room = max(look.width, _LEAST)
    laid = [_TableColumn(i, columns[i], display_texts(columns[i], look.zone)) for i in _positions(columns, look)]
    laid = laid[: room // (1 + _GAP) + 1]  # no more can fit
    wanted = len(columns) if look.chosen is None else len(look.chosen)
    outcome = look.outcome if look.color else None
    first = True
    for page in pages:
        if not page:
            continue
        rows: Sequence[Any] = page
        values: Sequence[Sequence[Any]] = page.values() if isinstance(page, RowBatch) else [*zip(*rows, strict=True)]
        for one in laid:
            one.texts = one.texts_of(values[one.at])
        head = ""
        if first:
            first = False
            laid = _lay_out(laid, look, room)
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
        out.write(_note_lines(text, look, room).encode())


def display_text(value: Any, column: Column, zone: tzinfo) -> str:
    """Return a value for people: a dash for null, yes or no, local times, 1:02:03, no control characters."""
    return _display(column, zone)(value)


def display_texts(column: Column, zone: tzinfo) -> Callable[[Sequence[Any]], list[str]]:
    """Return a function from values of a column to their texts, those of `_display`."""
    read = _display(column, zone)
    minutes: dict[str, str] = {}

    def texts(values: Sequence[Any]) -> list[str]:
        kinds = {*map(type, values)} - {type(None)}
        if kinds == {str} and column.kind == "time":
            found = _local_texts(values, zone, minutes) if all(values) else None
            if found is not None:
                return found
        elif kinds == {str}:
            found = ["-" if value is None else value for value in values] if None in values else [*values]
            if "".join(found).isprintable():
                return found
        elif kinds <= {int} or kinds <= {bool}:  # few different values
            known = {value: read(value) for value in {*values}}
            return [known[value] for value in values]
        return [*map(read, values)]

    return texts


def _local_texts(times: Sequence[str], zone: tzinfo, minutes: dict[str, str]) -> list[str] | None:
    """Return times such as `2026-11-19T08:00:00.123Z` as the clocks of a zone show them.

    None if one is no such time, or differs from UTC by more than whole minutes.

    Args:
        times: The times.
        zone: The zone.
        minutes: The minutes that are known, in UTC and as the zone's clocks show them; the others are added.
    """
    if canonical_instants(times) is not times:
        return None
    if len(minutes) > _MINUTES_CACHED:
        minutes.clear()
    for minute in {time[:_MINUTE] for time in times} - minutes.keys():
        found = _local(f"{minute}:00.000Z", zone)
        if found is None or not found.endswith(":00"):
            return None
        minutes[minute] = found[:_MINUTE]
    return [minutes[time[:_MINUTE]] + time[_MINUTE:_SECOND] for time in times]


def _display(column: Column, zone: tzinfo) -> Callable[[Any], str]:
    """Return a function from a column's values to their text."""
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
    """Return an instant as the clocks of a zone show it, or None for other values."""
    if not isinstance(value, str):
        return None
    try:
        return iso_instant(value).astimezone(zone).replace(tzinfo=None).isoformat(" ", "seconds")
    except (ValueError, OverflowError):
        return None


def _clock(value: Any) -> str | None:
    """Return seconds as `0:07`, `4:03` or `1:02:03`, or None for other values."""
    if type(value) is not int:
        return None
    minutes, seconds = divmod(abs(value), 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value < 0 else ""
    return f"{sign}{hours}:{minutes:02}:{seconds:02}" if hours else f"{sign}{minutes}:{seconds:02}"


def _printable(text: str) -> str:
    """Return text with a visible dot for every character that controls a terminal, or is not a character.

    Not printable are, among others, C0, C1 and escape sequences, line ends, bidirectional marks, overrides and
    isolates, lone surrogates, the joiner, which makes the width of other characters uncertain, and characters that this
    version of Python does not know.
    """
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() or one == _NON_JOINER else _replacement(one) for one in text])


def _replacement(one: str) -> str:
    from unicodedata import category

    return " " if category(one) == "Zs" else _DOT


def _cut(text: str, width: int) -> str:
    """Return the beginning of a text that is too wide, with an ellipsis."""
    return (text[: width - 1] if text.isascii() else set_cell_size(text, width - 1)) + _CUT


def _colorize(cell: str, tone: str) -> str:
    """Return a cell in a colour, without its blanks."""
    text = cell.strip(" ")
    before, _, after = cell.partition(text) if text else (cell, "", "")
    return f"{before}\x1b[{tone}m{text}\x1b[0m{after}"


def _lay_out(laid: Sequence[_TableColumn], look: RenderOptions, room: int) -> list[_TableColumn]:
    """Return the columns that fit, with their widths."""
    names = [_printable(one.column.name) for one in laid]
    values = [max(_USUAL.get(one.column.kind, 0), *map(cell_len, one.texts)) for one in laid]
    parts = [max(map(cell_len, _PART.findall(name)), default=0) for name in names]
    sizes = list(zip(laid, values, parts, strict=True))
    if look.chosen is not None:
        least = [_least(*one, _SQUEEZED, look) for one in sizes]
        found = columns_that_fit(least, room, in_order=True)
    else:
        least = [max(part, _least(one, value, part, _COMFORTABLE, look)) for one, value, part in sizes]
        found = columns_that_fit(least, room)
        if len(found) < _ENOUGH:
            least = [max(part, _least(one, value, part, _READABLE, look)) for one, value, part in sizes]
            found = [i for i in columns_that_fit(least, room) if i < _ENOUGH]
    usual = [_LONG_NUMBER if any(map(_TELEPHONE.fullmatch, one.texts)) else 0 for one in laid]
    widths = fit_widths(
        [max(values[i], usual[i], cell_len(names[i])) for i in found],
        [max(values[i], parts[i]) for i in found],
        [least[i] for i in found],
        room,
    )
    shown_at = [laid[i] for i in found]
    for one, width in zip(shown_at, widths, strict=True):
        one.width = width
    if not shown_at[-1].is_number:  # trailing blanks take no room
        shown_at[-1].width += room - sum(widths) - _GAP * (len(widths) - 1)
    return shown_at


def _least(one: _TableColumn, value: int, part: int, readable: int, look: RenderOptions) -> int:
    """Return the least width of a column: part of a number or of a time is useless, part of a name is not."""
    if one.is_number or one.column.kind == "time" or one.column.name in look.whole:
        return value
    numbers = [len(text) for text in one.texts if _TELEPHONE.fullmatch(text)]
    return max(min(max(value, part), readable), *numbers, 0)


def columns_that_fit(least: Sequence[int], room: int, *, in_order: bool = False) -> list[int]:
    """Return the positions of the columns that fit if none is narrower than its least width; the first one always fits.

    In order, all columns after the first that does not fit are left out. Otherwise, of the first `_ENOUGH` columns
    those are skipped that do not fit, and later columns are added only if all of these fit.
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


def fit_widths(natural: Sequence[int], folded: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return the widths of columns: names are folded before values are cut, and the widest column shrinks first."""
    widths = [min(width, room) for width in natural]
    for floor in (folded, least):
        while sum(widths) + _GAP * (len(widths) - 1) > room:
            wider = [i for i, width in enumerate(widths) if width > floor[i]]
            if not wider:
                break
            widths[max(wider, key=widths.__getitem__)] -= 1
    return widths


def _positions(columns: Sequence[Column], look: RenderOptions) -> list[int]:
    """Return the positions of the columns to show: those chosen, else the default ones, else all."""
    where = {column.name: i for i, column in enumerate(columns)}
    if look.chosen is not None:
        return [where[name] for name in look.chosen]
    return [where[name] for name in look.shown if name in where] or list(range(len(columns)))


def _head(laid: Sequence[_TableColumn], look: RenderOptions, room: int) -> str:
    """Return the lines above the first row: the zone, the names on as many lines as needed, a rule."""
    zone = f"times in {name_of(look.zone)}{look.beside}"
    folded = [list(_fold(_printable(one.column.name), one.width)) for one in laid]
    lines = [
        (" " * _GAP)
        .join(
            " " * (one.width - cell_len(name)) + name if one.is_number else name + " " * (one.width - cell_len(name))
            for one, name in zip(laid, names, strict=True)
        )
        .rstrip(" ")
        for names in reversed([*zip_longest(*map(reversed, folded), fillvalue="")])  # aligned at the bottom
    ]
    last = laid[-1]
    long = max(map(cell_len, (*last.texts, *folded[-1])))
    whole = sum(one.width + _GAP for one in laid[:-1]) + min(last.width, long if not last.is_number else last.width)
    return "".join(
        [
            _note_lines(zone, look, room) if any(one.column.kind == "time" for one in laid) else "",
            *(f"\x1b[1m{line}\x1b[0m\n" if look.color else f"{line}\n" for line in lines),
            _RULE * whole + "\n",
        ]
    )


def _fold(name: str, width: int) -> Iterator[str]:
    """Yield the lines of a name, folded after `_` or a dot, and cut where that is not enough."""
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


def _note_lines(text: str, look: RenderOptions, room: int) -> str:
    """Return lines of text outside the table, wrapped to the terminal."""
    lines = textwrap.wrap(text, room, break_on_hyphens=False)
    return "".join([f"\x1b[2m{line}\x1b[0m\n" if look.color else f"{line}\n" for line in lines])
