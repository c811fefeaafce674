"""Lines of cells with a separator between them: what CSV and TSV have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cdrctl.records.batches import RowBatch
from cdrctl.writers.values import columns_of, text_of, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from cdrctl.records.events import Value
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages


def write_separated(
    schema: Schema,
    pages: Pages,
    out: BinaryIO,
    *,
    separator: str,
    special: str,
    spell: Callable[[str], str],
    blank: str = "",
    safe: bool = False,
    header: bool = True,
) -> None:
    """Write a header, also when there are no records, and a line for every record.

    The header goes out with the first page and not before it: a run that fails at once writes nothing.

    Args:
        schema: Names the columns.
        pages: Pages of rows.
        out: Is written to once per page.
        separator: What stands between two cells.
        special: What cannot stand for itself, besides the separator and the line feed.
        spell: From a cell with such characters in it to what is written.
        blank: What is written for a line that would be empty.
        safe: Whether an apostrophe is put before text that a spreadsheet would take for a formula.
        header: Whether there is a header.

    Raises:
        UsageError: The schema has no columns.
    """
    names = [column.name for column in columns_of(schema)]
    cells: list[list[str]] = []
    if header:
        cells.append([harmless(name, separator) for name in names] if safe else names)

    for page in pages:
        if isinstance(page, RowBatch) and not safe:
            if cells:
                out.write(utf8(lines(cells, separator, special, spell, blank)))
                cells = []
            if page:
                out.write(utf8(lines_of(page, separator, special, spell, blank)))
            continue
        # null and text, which most values are, are not worth a call
        found = [["" if v is None else v if type(v) is str else text_of(v) for v in row] for row in page]
        cells += [[harmless(cell, separator) for cell in row] for row in found] if safe else found
        if cells:
            out.write(utf8(lines(cells, separator, special, spell, blank)))
        cells = []
    if cells:
        out.write(utf8(lines(cells, separator, special, spell, blank)))


def lines_of(table: RowBatch, separator: str, special: str, spell: Callable[[str], str], blank: str) -> str:
    """Return the rows of a table as lines: what needs spelling is looked for in whole columns, and most need none."""
    special = f"{separator}{special}\n"
    unsafe = re.compile(f"[{re.escape(special)}]").search
    texts: list[Sequence[str]] = []
    for column, text in zip(table.columns, table.texts, strict=True):
        cells = column if text else _texts_of(column)
        joined = "".join(cells)
        for character in special:
            if character in joined:
                cells = [spell(cell) if unsafe(cell) else cell for cell in cells]
                break
        texts.append(cells)
    if len(texts) == 1:
        texts = [[cell or blank for cell in texts[0]]]
    return "\n".join([*map(separator.join, zip(*texts, strict=True)), ""])


def _texts_of(column: Sequence[Value]) -> Sequence[str]:
    """Return values as text; equal ones are spelt once, unless they are of kinds that Python takes for each other."""
    kinds = set(map(type, column))
    if kinds <= _TEXT_OR_NOTHING:
        return [value or "" for value in column]
    if kinds == {int}:
        return list(map(str, column))
    if any(kinds <= these for these in _EASILY_TOLD):
        spelt = {value: text_of(value) for value in set(column)}
        return list(map(spelt.__getitem__, column))
    return list(map(text_of, column))


_TEXT_OR_NOTHING = {type(None), str}
_EASILY_TOLD = ({type(None), str, int}, {type(None), str, bool})  # 1, True and 1.0 are equal: no two may be here


_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20"
_UNSEEN = r"\s\"\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_NUMBER = r"-[0-9]+(?:\.[0-9]+)?"

_FORMULA = re.compile(rf"(?!{_NUMBER}\Z)(?:[{_UNSEEN}]*[{_SIGNS}]|[\t\r\n])")
_FORMULA_OR_QUOTE = re.compile(rf"{_FORMULA.pattern}|\"")


def _within(others: str) -> re.Pattern[str]:
    """Return what finds the places in a cell where a program with other separators would begin one with a sign."""
    number = rf" *{_NUMBER}(?:[\s,;\]}}]|\Z)"
    return re.compile(rf"(?<=[{others}])(?!{number})(?=(?:(?![{others}])[{_UNSEEN}])*[{_SIGNS}])")


_WITHIN = {",": _within(r";\t\r\n"), "\t": _within(",;")}


def harmless(cell: str, separator: str = ",") -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe makes text of what follows.

    Blanks, quotes and what cannot be seen in front do not help, because some programs drop them, and the wide forms of
    the signs count as well (OWASP, "CSV Injection"). A negative number stays one. A program that is set to another
    separator, as Excel is to the semicolon in much of Europe, begins cells where ours do not: there an apostrophe
    stands too. TSV has no quoting, and a spreadsheet would read a quote in front as one that takes in the next cells.
    """
    begins = _FORMULA if separator == "," else _FORMULA_OR_QUOTE
    cell = _WITHIN[separator].sub("'", cell)
    return "'" + cell if begins.match(cell) else cell


def lines(cells: Sequence[Sequence[str]], separator: str, special: str, spell: Callable[[str], str], blank: str) -> str:
    """Return the cells as lines: joined first and looked at together, because most pages need no spelling."""
    joined = [separator.join(row) for row in cells]
    text = "\n".join(joined) + "\n"
    separators = sum(map(len, cells)) - len(cells)
    if (
        separators  # a single column may give empty lines
        and text.count(separator) == separators
        and text.count("\n") == len(cells)
        and not any(character in text for character in special)
    ):
        return text
    unsafe = re.compile(f"[{re.escape(separator + special)}\n]").search

    def line(row: Sequence[str]) -> str:
        return separator.join([spell(cell) if unsafe(cell) else cell for cell in row])

    return "".join(
        [
            (one if _is_plain(one, len(row), separator, special) else line(row)) + "\n" if one else blank + "\n"
            for one, row in zip(joined, cells, strict=True)
        ]
    )


def _is_plain(line: str, width: int, separator: str, special: str) -> bool:
    return (
        line.count(separator) == width - 1 and "\n" not in line and not any(character in line for character in special)
    )
