"""Charts as inline SVG, each with a title, a description and a table of its numbers. Colours are CSS classes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import count

_WIDTH, _BAR_AREA, _LEFT = 720, 200, 44
_TOP = 22
"""Room above the bars for the number of the highest."""

_LABELS = 16
"""The most bars that have their label and their number."""

_ids = count(1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""What would turn the text around it: embeddings, overrides and isolates."""

_LONGEST = 300
"""The longest text of a cell; a name can be longer, the definition of a figure is not."""


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str, *, open_: bool = True) -> str:
    """Return an HTML table; one that is not open is shown when its summary is pressed.

    Args:
        head: The titles of the columns. A column of numbers is set to the right.
        rows: The values; None is a dash.
        caption: What the table has.
        open_: Whether it is shown at once.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(head)
    right = [at > 0 and all(one is None or _is_number(one) for one in values) for at, values in enumerate(columns)]
    titles = "".join(
        f'<th scope="col"{" class=number" if right[at] else ""}>{html_of(one)}</th>' for at, one in enumerate(head)
    )
    body = "".join(f"<tr>{_cells(row, right)}</tr>" for row in rows)
    text = f"<table><caption>{html_of(caption)}</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    shown = f'<div class="wide" tabindex="0" role="group" aria-label="{html_of(caption)}">{text}</div>'
    return shown if open_ else f"<details><summary>The numbers: {html_of(caption)}</summary>{shown}</details>"


def _cells(row: Sequence[object], right: Sequence[bool]) -> str:
    first, *others = row
    cells = [f'<th scope="row">{html_of(first)}</th>']
    cells += [f"<td{' class=number' if right[at] else ''}>{html_of(one)}</td>" for at, one in enumerate(others, 1)]
    return "".join(cells)


def html_of(value: object, longest: int = _LONGEST) -> str:
    """Return a value as HTML text: cut if it is very long, without what would control a terminal or the direction."""
    if value is None:
        return "-"
    text = _DIRECTION.sub("", _CONTROL.sub(" ", str(value)))
    return escape(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _is_number(value: object) -> bool:
    return str(value)[:1].isdigit()


def _figure(title: str, about: str, size: tuple[int, int], inner: str, legend: str = "") -> str:
    """Return a chart with its title and its description, which may be wider than a telephone's screen."""
    number, (width, height) = next(_ids), size
    return (
        f'<figure><figcaption id="c{number}">{html_of(title)}</figcaption>'
        f'<div class="wide" tabindex="0" role="group" aria-labelledby="c{number}">'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="t{number}" aria-describedby="d{number}">'
        f'<title id="t{number}">{html_of(title)}</title><desc id="d{number}">{html_of(about)}</desc>{inner}</svg>'
        f"</div>{legend}</figure>"
    )


def ticks(most: float) -> list[float]:
    """Return the values of an axis: round numbers from 0 to at least `most`, whole ones unless it is below 2."""
    size = 10.0 ** math.floor(math.log10(most / 4)) if most > 0 else 1.0
    step = next(size * one for one in (1, 2, 2.5, 5, 10) if size * one * 4 >= most) if most > 0 else 1.0
    if most > 2:
        step = float(math.ceil(step))
    return [step * at for at in range(math.ceil(round(most / step, 6)) + 1)] if most > 0 else [0.0, 1.0]


def stacked_bars(title: str, of: str, groups: Sequence[str], series: Mapping[str, Sequence[int]]) -> str:
    """Return bars, one for each group, each divided by series, with a legend and the table of their numbers.

    Args:
        title: The title.
        of: What a group is, such as a day.
        groups: The labels of the bars.
        series: The numbers of each series, one for each group. One without numbers is left out, and keeps its colour.
    """
    totals = [sum(numbers[at] for numbers in series.values()) for at in range(len(groups))]
    scale = ticks(max(totals, default=0))
    step = (_WIDTH - _LEFT) / max(len(groups), 1)
    parts = [_scale(scale)]
    for at, label in enumerate(groups):
        top = float(_TOP + _BAR_AREA)
        for nth, numbers in enumerate(series.values()):
            high = numbers[at] / scale[-1] * _BAR_AREA
            top -= high
            if high:
                parts.append(
                    f'<rect class="bar s{nth}" x="{_LEFT + at * step + step * 0.1:.1f}" y="{top:.1f}" '
                    f'width="{step * 0.8:.1f}" height="{high:.1f}"/>'
                )
        middle = _LEFT + (at + 0.5) * step
        if len(groups) <= _LABELS:
            parts.append(f'<text class="value" x="{middle:.1f}" y="{top - 5:.1f}">{totals[at]}</text>')
        if at % max(1, -(-len(groups) // (_LABELS // 2 if len(label) > 5 else _LABELS))) == 0:
            parts.append(f'<text x="{middle:.1f}" y="{_TOP + _BAR_AREA + 17}">{html_of(label)}</text>')
    there = {at: name for at, (name, numbers) in enumerate(series.items()) if any(numbers)}
    legend = "".join(f'<li><span class="swatch s{at}"></span>{html_of(name)}</li>' for at, name in there.items())
    legend = f'<ul class="legend" aria-label="Colours">{legend}</ul>' if legend else ""
    rows: list[list[object]] = [
        [label, *(series[name][at] for name in there.values()), totals[at]] for at, label in enumerate(groups)
    ]
    size = (_WIDTH, _TOP + _BAR_AREA + 24)
    about = f"Bars, one for each {of}: {len(groups)} in all. {_highest(groups, totals)}"
    return _figure(title, about, size, "".join(parts), legend) + table(
        (of, *there.values(), "all"), rows, title, open_=False
    )


def bars(title: str, of: tuple[str, str], groups: Sequence[str], values: Sequence[float]) -> str:
    """Return bars of one quantity, one for each group, with the table of their numbers.

    Args:
        title: The title.
        of: What a group is, such as an hour, and what the quantity is.
        groups: The labels of the bars.
        values: The quantity of each group.
    """
    scale = ticks(max(values, default=0))
    step = (_WIDTH - _LEFT) / max(len(groups), 1)
    parts = [_scale(scale)]
    for at, (label, value) in enumerate(zip(groups, values, strict=True)):
        high = value / scale[-1] * _BAR_AREA
        x, top = _LEFT + at * step, _TOP + _BAR_AREA - high
        parts.append(
            f'<rect class="bar heat" x="{x + step * 0.1:.1f}" y="{top:.1f}" width="{step * 0.8:.1f}" '
            f'height="{high:.1f}"/><text x="{x + step / 2:.1f}" y="{_TOP + _BAR_AREA + 17}">{html_of(label)}</text>'
        )
    about = f"Bars, one for each {of[0]}: {len(groups)} in all. {_highest(groups, values)}"
    chart = _figure(title, about, (_WIDTH, _TOP + _BAR_AREA + 24), "".join(parts))
    return chart + table(of, list(zip(groups, values, strict=True)), title, open_=False)


def _highest(groups: Sequence[str], values: Sequence[float]) -> str:
    if not groups:
        return "There are none."
    most = max(values)
    return f"The highest is {groups[list(values).index(most)]}, with {most:g}."


def _scale(values: Sequence[float]) -> str:
    lines = []
    for value in values:
        y = _TOP + _BAR_AREA * (1 - value / values[-1])
        lines.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="scale" x="{_LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>')
    return "".join(lines)


def heat_map(title: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[int]]) -> str:
    """Return a grid of squares, the darker the greater their number, with the table of its numbers.

    Args:
        title: The title.
        rows: The labels of the rows.
        columns: The labels of the columns.
        values: A number for each row and column.
    """
    most = max((one for row in values for one in row), default=0) or 1
    wide, high = (_WIDTH - _LEFT) / max(len(columns), 1), 24
    parts = []
    for y, label in enumerate(rows):
        parts.append(f'<text class="scale" x="{_LEFT - 6}" y="{y * high + 17}">{html_of(label)}</text>')
        for x in range(len(columns)):
            shade = values[y][x] / most
            parts.append(
                f'<rect class="heat" x="{_LEFT + x * wide:.1f}" y="{y * high + 1}" width="{wide - 2:.1f}" '
                f'height="{high - 2}" fill-opacity="{0.06 + 0.94 * shade:.2f}"/>'
            )
    for x, label in enumerate(columns):
        parts.append(f'<text x="{_LEFT + (x + 0.5) * wide:.1f}" y="{len(rows) * high + 16}">{html_of(label)}</text>')
    peak = max(((values[y][x], y, x) for y in range(len(rows)) for x in range(len(columns))), default=(0, 0, 0))
    about = (
        f"A grid. The darkest square is {rows[peak[1]]} {columns[peak[2]]}, with {peak[0]}." if rows else "No calls."
    )
    numbers = [[label, *values[at]] for at, label in enumerate(rows)]
    size = (_WIDTH, len(rows) * high + 22)
    return _figure(title, about, size, "".join(parts)) + table(("weekday", *columns), numbers, title, open_=False)
