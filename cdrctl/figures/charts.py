"""Charts as inline SVG, each with a title, a description and a table of its numbers. Colours are CSS classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import count

_WIDTH, _BAR_AREA, _LEFT = 720, 200, 44
_ids = count(1)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str, *, open_: bool = True) -> str:
    """Return an HTML table; one that is not open is shown when its summary is pressed.

    Args:
        head: The titles of the columns. All but the first hold numbers if their values are numbers.
        rows: The values; None is a dash.
        caption: What the table has.
        open_: Whether it is shown at once.
    """
    columns = "".join(f'<th scope="col">{html_of(one)}</th>' for one in head)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    text = f"<table><caption>{html_of(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"
    if open_:
        return f'<div class="wide" tabindex="0" role="region" aria-label="{html_of(caption)}">{text}</div>'
    return f"<details><summary>The numbers: {html_of(caption)}</summary>{text}</details>"


def _cells(row: Sequence[object]) -> str:
    first, *others = row
    cells = [f'<th scope="row">{html_of(first)}</th>']
    cells += [f"<td{' class=number' if _is_number(one) else ''}>{html_of(one)}</td>" for one in others]
    return "".join(cells)


def html_of(value: object) -> str:
    """Return a value as HTML text; a control character, as in a hostile name, is a blank."""
    return "-" if value is None else escape(_CONTROL.sub(" ", str(value)))


def _is_number(value: object) -> bool:
    return str(value)[:1].isdigit()


def _svg(title: str, about: str, width: int, height: int, inner: str) -> str:
    number = next(_ids)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="t{number} d{number}">'
        f'<title id="t{number}">{html_of(title)}</title><desc id="d{number}">{html_of(about)}</desc>{inner}</svg>'
    )


def stacked_bars(title: str, groups: Sequence[str], series: Mapping[str, Sequence[int]]) -> str:
    """Return bars, one for each group, each divided by series, with a legend and the table of their numbers.

    Args:
        title: The title.
        groups: The labels of the bars.
        series: The numbers of each series, one for each group.
    """
    totals = [sum(numbers[at] for numbers in series.values()) for at in range(len(groups))]
    most = max(totals, default=0) or 1
    step = (_WIDTH - _LEFT) / max(len(groups), 1)
    parts = [_scale(most)]
    for at, label in enumerate(groups):
        top = 10.0 + _BAR_AREA
        for nth, numbers in enumerate(series.values()):
            high = numbers[at] / most * _BAR_AREA
            top -= high
            if high:
                parts.append(
                    f'<rect class="s{nth}" x="{_LEFT + at * step + step * 0.1:.1f}" y="{top:.1f}" '
                    f'width="{step * 0.8:.1f}" height="{high:.1f}"/>'
                )
        if at % max(1, len(groups) // 12) == 0:
            parts.append(f'<text x="{_LEFT + (at + 0.5) * step:.1f}" y="{_BAR_AREA + 26}">{html_of(label)}</text>')
    busiest = groups[totals.index(max(totals))] if groups else "none"
    about = f"{len(groups)} bars. The highest is {busiest}, with {max(totals, default=0)}."
    legend = "".join(f'<li><span class="swatch s{at}"></span>{html_of(name)}</li>' for at, name in enumerate(series))
    rows: list[list[object]] = [
        [label, *(one[at] for one in series.values()), totals[at]] for at, label in enumerate(groups)
    ]
    chart = _svg(title, about, _WIDTH, _BAR_AREA + 34, "".join(parts))
    return f'<figure><figcaption>{html_of(title)}</figcaption>{chart}<ul class="legend">{legend}</ul></figure>' + table(
        ("", *series, "all"), rows, title, open_=False
    )


def _scale(most: int) -> str:
    lines = []
    for part in (0, 0.5, 1):
        y = 10 + _BAR_AREA * (1 - part)
        lines.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="scale" x="{_LEFT - 6}" y="{y + 4:.1f}">{most * part:g}</text>')
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
    chart = _svg(title, about, _WIDTH, len(rows) * high + 22, "".join(parts))
    numbers = [[label, *values[at]] for at, label in enumerate(rows)]
    return f"<figure><figcaption>{html_of(title)}</figcaption>{chart}</figure>" + table(
        ("", *columns), numbers, title, open_=False
    )
