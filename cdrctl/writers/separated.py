"""Lines of cells with a separator between them: what CSV and TSV share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cdrctl.records.batches import RowBatch, without_null
from cdrctl.records.readers import scalar_texts
from cdrctl.records.shapes import BOOLEANS, INTEGERS, LISTS, TEXTS
from cdrctl.writers.values import columns_of, text_of, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from cdrctl.records.events import Value
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions


class Dialect(NamedTuple):
    """How cells become a line.

    Args:
        separator: The character between two cells.
        special: The characters that must be escaped, besides the separator and the line feed.
        escape: Escapes a cell with such characters.
        blank: What to write for a line that would be empty.
    """

    separator: str
    special: str
    escape: Callable[[str], str]
    blank: str = ""


def write_separated(schema: Schema, pages: Pages, out: BinaryIO, dialect: Dialect, look: RenderOptions) -> None:
    """Write a header, even without records, and a line for every record, with one write for each page.

    The header is written with the first page, not before: a run that fails at once writes nothing.

    Raises:
        UsageError: The schema has no columns.
    """
    names = [column.name for column in columns_of(schema)]
    if look.for_spreadsheets:
        names = [escape_formula(name, dialect.separator) for name in names]
    header = utf8(join_lines([names], dialect)) if look.header else b""
    for page in pages:
        lines = header + _page_lines(page, dialect, safe=look.for_spreadsheets)
        if lines:
            out.write(lines)
        header = b""
    if header:
        out.write(header)


def _page_lines(page: Sequence[Any], dialect: Dialect, *, safe: bool) -> bytes:
    """Return the rows of a page as lines in UTF-8.

    Args:
        page: The rows.
        dialect: How cells become a line.
        safe: Escape text that a spreadsheet would read as a formula.
    """
    if not page:
        return b""
    if isinstance(page, RowBatch) and not safe:
        return batch_lines(page, dialect)
    # no function call for null and text, which most values are
    cells = [["" if v is None else v if type(v) is str else text_of(v) for v in row] for row in page]
    if safe:
        cells = [[escape_formula(cell, dialect.separator) for cell in row] for row in cells]
    return utf8(join_lines(cells, dialect))


def batch_lines(batch: RowBatch, dialect: Dialect) -> bytes:
    """Return the rows of a batch as lines in UTF-8.

    Whole columns are searched for special characters and for those beyond ASCII, and most have none. In the others,
    equal cells are escaped and encoded once. Lines are joined of texts whose characters are the bytes to write: one
    wide character would make a text several times as long.
    """
    special = f"{dialect.separator}{dialect.special}\n"
    unsafe = re.compile(f"[{re.escape(special)}]").search
    beyond = re.compile(f"[^\\0-\\x7f]|[{re.escape(special)}]").search
    texts: list[Sequence[str]] = []
    for column, text, kinds in zip(batch.columns, batch.texts, batch.kinds, strict=True):
        if not text and kinds is not None and kinds <= _WHOLE:
            texts.append(scalar_texts(column))  # has none of these characters
            continue
        if kinds is LISTS:
            cells = _json_texts(column)
        else:
            cells = column if text else _texts_of(column, kinds or frozenset(map(type, column)))
        joined = "".join(cells)
        differs = not joined.isascii()
        for character in special:
            differs = differs or character in joined
        if differs:
            written = {
                cell: utf8(dialect.escape(cell) if unsafe(cell) else cell).decode("latin-1")
                for cell in set(cells)
                if beyond(cell)
            }
            cells = list(map(written.get, cells, cells))
        texts.append(cells)
    if len(texts) == 1:
        texts = [[cell or dialect.blank for cell in texts[0]]]
    return "\n".join([*map(dialect.separator.join, zip(*texts, strict=True)), ""]).encode("latin-1")


def _json_texts(column: Sequence[Value]) -> Sequence[str]:
    """Return lists and objects that were decoded by column as `text_of` does, and None as the empty text."""
    if not any(column):
        return [_EMPTY[type(value)] for value in column]
    lines = msgspec.json.Encoder().encode_lines(column)
    if _EXPONENT.search(lines):  # another encoder writes 1e+16
        return list(map(text_of, column))
    found = list(map(bytes.decode, lines.split(b"\n")))
    found.pop()
    return found if all(column) else ["" if cell == "null" else cell for cell in found]


_EXPONENT = re.compile(rb"[0-9]e")
_EMPTY = {type(None): "", list: "[]", dict: "{}"}


def _texts_of(column: Sequence[Value], kinds: frozenset[type]) -> Sequence[str]:
    """Return values of these types as text; equal values are converted once, if equality implies the same type."""
    if kinds <= TEXTS:
        return without_null(column)
    if kinds <= _WHOLE:
        return scalar_texts(column)
    if any(kinds <= these for these in _UNAMBIGUOUS):
        texts = {value: text_of(value) for value in set(column)}
        return list(map(texts.__getitem__, column))
    return list(map(text_of, column))


_WHOLE = INTEGERS | BOOLEANS
_UNAMBIGUOUS = ({type(None), str, int}, {type(None), str, bool})  # 1, True and 1.0 are equal: at most one of them


_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20"
_INVISIBLE = r"\s\"\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_NUMBER = r"-[0-9]+(?:\.[0-9]+)?"

_FORMULA = re.compile(rf"(?!{_NUMBER}\Z)(?:[{_INVISIBLE}]*[{_SIGNS}]|[\t\r\n])")
_FORMULA_OR_QUOTE = re.compile(rf"{_FORMULA.pattern}|\"")


def _formula_inside(others: str) -> re.Pattern[str]:
    """Return a pattern for places in a cell where a program with these separators would start a cell with a sign."""
    number = rf" *{_NUMBER}(?:[\s,;\]}}]|\Z)"
    return re.compile(rf"(?<=[{others}])(?!{number})(?=(?:(?![{others}])[{_INVISIBLE}])*[{_SIGNS}])")


_INSIDE = {",": _formula_inside(r";\t\r\n"), "\t": _formula_inside(",;")}


def escape_formula(cell: str, separator: str = ",") -> str:
    """Return a cell that no spreadsheet reads as a formula: a leading apostrophe makes it text.

    Blanks, quotes and invisible characters before a sign do not help, because some programs drop them, and the wide
    forms of the signs count as well (OWASP, "CSV Injection"). A negative number is left unchanged. A program with
    another separator, as Excel has the semicolon in much of Europe, splits a cell of ours: there an apostrophe is
    inserted too. TSV has no quoting, and a spreadsheet would read a leading quote as one that encloses the next cells.
    """
    begins = _FORMULA if separator == "," else _FORMULA_OR_QUOTE
    cell = _INSIDE[separator].sub("'", cell)
    return "'" + cell if begins.match(cell) else cell


def join_lines(cells: Sequence[Sequence[str]], dialect: Dialect) -> str:
    """Return cells as lines; they are joined first and searched together, because most pages need no escaping."""
    separator, special, escape, blank = dialect
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
        return separator.join([escape(cell) if unsafe(cell) else cell for cell in row])

    return "".join(
        [
            ((one if _is_plain(one, len(row), dialect) else line(row)) if one else blank) + "\n"
            for one, row in zip(joined, cells, strict=True)
        ]
    )


def _is_plain(line: str, width: int, dialect: Dialect) -> bool:
    """Return whether the cells of a line need no escaping."""
    return (
        line.count(dialect.separator) == width - 1
        and "\n" not in line
        and not any(character in line for character in dialect.special)
    )
