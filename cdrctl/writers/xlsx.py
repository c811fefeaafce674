"""XLSX: a workbook for people with a spreadsheet."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError

from cdrctl.errors import OutputError
from cdrctl.writers.values import columns_of, text_of, utf8
from cdrctl.zones import name_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo
    from typing import BinaryIO

    from cdrctl.records.columns import Column, Kind
    from cdrctl.records.events import Value
    from cdrctl.records.schemas import Schema
    from cdrctl.writers import Pages, RenderOptions

BINARY = True

ROWS = 1_048_576
"""Rows of a sheet, the header among them."""

LONGEST = 32_767
"""What a cell holds, in units of UTF-16."""

_DIGITS = 15
"""Digits of a number: a spreadsheet rounds what has more."""

_NAME = 26
"""Characters of a sheet's name, so that there is room for a number after it: 31 are allowed."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z").fullmatch
_FIRST_DAY = datetime(1900, 3, 1)  # noqa: DTZ001 - before it, spreadsheets disagree about the date

_FORMATS: Mapping[Kind, str] = {
    "integer": "0",
    "seconds": "0",
    "decimal": "0.00############",
    "money": "0.00############",
    "text": "@",  # text it stays when somebody edits it
    "time": 'yyyy-mm-dd hh:mm:ss.000"Z"',  # a spreadsheet has no zones: each cell shows that it is UTC
}
_LOCAL = "yyyy-mm-dd hh:mm:ss"  # the header names the zone
_NUMBERS = frozenset({"integer", "seconds", "decimal", "money"})
_MEASURED = 1000
"""Rows of the first page whose values decide how wide the columns are."""

_NARROWEST, _WIDEST = 8, 50
_BUTTON = 3
"""Characters that the button of the filter takes beside a name."""


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    """Write a workbook whose sheet has a header that stays in view and filters; more sheets take what one cannot.

    Text is text, also where it looks like a formula or a number. Times are times, in UTC; durations are whole seconds;
    decimals are numbers unless a spreadsheet would round them, and then they are text, as is what a column cannot read.
    Rows wait in the folder for temporary files, so that memory does not grow.

    Raises:
        OutputError: A text is longer than a cell may be, or temporary files cannot be written.
        UsageError: The schema has no columns.
    """
    columns = columns_of(schema)
    with _told():
        folder = TemporaryDirectory(prefix="cdrctl-", ignore_cleanup_errors=True)
    with folder as place:
        made = Path(place) / "book.xlsx"
        book = Workbook(made, {"constant_memory": True, "tmpdir": place})
        book.use_zip64()
        try:
            _fill(book, columns, pages, look)
            with _told():
                book.close()
        finally:
            for sheet in book.worksheets():
                with suppress(OSError):  # it writes what it has kept back, and has no use any more
                    sheet.row_data_fh.close()
        with _told():
            file = made.open("rb")
        with file:
            while piece := file.read(1024 * 1024):
                out.write(piece)


def _fill(book: Workbook, columns: Sequence[Column], pages: Pages, look: RenderOptions) -> None:
    forms = {**_FORMATS, "time": _LOCAL} if look.local_times else _FORMATS
    formats = {kind: book.add_format({"num_format": form}) for kind, form in forms.items()}
    head = book.add_format({"bold": True})
    zone = look.zone if look.local_times else UTC
    pages = iter(pages)
    first: Sequence[Any] = list(next(pages, ()))
    widths = [_width(column, [row[at] for row in first[:_MEASURED]], look) for at, column in enumerate(columns)]
    with _told():
        sheet, row = _sheet(book, columns, widths, look, head), 1
    for page in chain([first], pages):
        with _told():
            for values in page:  # rows: raw records have been refused
                if row == ROWS:
                    sheet.autofilter(0, 0, row - 1, len(columns) - 1)
                    sheet, row = _sheet(book, columns, widths, look, head), 1
                _write_row(sheet, row, list(values), columns, formats, zone)
                row += 1
    sheet.autofilter(0, 0, row - 1, len(columns) - 1)


def _width(column: Column, values: Sequence[Value], look: RenderOptions) -> int:
    """Return the width of a column in characters, for its widest value and for its name beside the filter's button."""
    widest = max((len(text_of(value)) for value in values), default=0)
    if column.kind == "time":
        widest = min(widest, len("2026-11-19 08:00:00" if look.local_times else "2026-11-19 08:00:00.000Z"))
    return min(max(widest + 1, len(_title(column, look)) + _BUTTON, _NARROWEST), _WIDEST)


def _title(column: Column, look: RenderOptions) -> str:
    """Return the name above a column; above local times, the zone as well."""
    return f"{column.name} ({name_of(look.zone)})" if column.kind == "time" and look.local_times else column.name


def _sheet(book: Workbook, columns: Sequence[Column], widths: Sequence[int], look: RenderOptions, head: Any) -> Any:
    """Return a new sheet with its header."""
    number = len(book.worksheets()) + 1
    title = re.sub(r"[\[\]:*?/\\']", "_", look.name)[:_NAME]
    sheet = book.add_worksheet(title if number == 1 else f"{title} {number}")
    sheet.freeze_panes(1, 0)
    sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})  # telephone numbers are text on purpose
    for at, column in enumerate(columns):
        sheet.set_column(at, at, widths[at])
        _write_text(sheet, 0, at, _title(column, look), column, head)
    return sheet


def _write_row(
    sheet: Any,
    row: int,
    values: Sequence[Value],
    columns: Sequence[Column],
    formats: Mapping[Kind, Any],
    zone: tzinfo,
) -> None:
    for at, (value, column) in enumerate(zip(values, columns, strict=True)):
        if value is None:
            continue
        if isinstance(value, bool):
            sheet.write_boolean(row, at, value)
            continue
        text = text_of(value)
        if column.kind == "time" and (moment := _moment(text, zone)):
            sheet.write_datetime(row, at, moment, formats["time"])
        elif column.kind in _NUMBERS and _is_number(text):
            sheet.write_number(row, at, float(text), formats[column.kind])
        else:
            _write_text(sheet, row, at, text, column, formats["text"])


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """Return a time of the contract's form as the clocks of a zone show it, without the zone; None for other text.

    UTC has milliseconds. Other zones have whole seconds, because that is what people read.
    """
    try:
        found = datetime.fromisoformat(text).astimezone(zone).replace(tzinfo=None) if _TIME(text) else None
    except (ValueError, OverflowError):
        return None
    if found is not None and zone is not UTC:
        found = found.replace(microsecond=0)
    return found if found is not None and found >= _FIRST_DAY else None


def _is_number(text: str) -> bool:
    """Return whether text is a number that a spreadsheet keeps as it is."""
    return bool(_NUMBER(text)) and len(text.lstrip("-0.").replace(".", "")) <= _DIGITS


def _write_text(sheet: Any, row: int, at: int, text: str, column: Column, form: Any) -> None:
    text = utf8(text).decode()
    if len(text) > LONGEST // 2 and len(text.encode("utf-16-le")) // 2 > LONGEST:
        raise OutputError(
            f"column {column.name} of row {row + 1} has {len(text)} characters, more than a cell of a spreadsheet may",
            hint="use -f csv or -f parquet, or leave the column out with --fields",
        )
    if text.startswith("<r>") and text.endswith("</r>"):  # the library would take it for XML of its own making
        sheet.write_rich_string(row, at, "<", form, text[1:])
    else:
        sheet.write_string(row, at, text, form)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the system says about temporary files into an error of ours."""
    try:
        yield
    except (OSError, FileCreateError) as error:
        cause = error.args[0] if isinstance(error, FileCreateError) else error
        reason = getattr(cause, "strerror", None) or cause
        raise OutputError(
            f"cannot write a temporary file: {reason}", hint="make room there, or name another folder with TMPDIR"
        ) from error
