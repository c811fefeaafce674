"""XLSX: a workbook for spreadsheets."""

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
"""The most rows of a sheet, including the header."""

LONGEST = 32_767
"""The most UTF-16 units of a cell."""

_DIGITS = 15
"""The most digits of a number that a spreadsheet does not round."""

_NAME = 26
"""Characters of a sheet's name, of at most 31, so that a number fits after it."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z").fullmatch
_FIRST_DAY = datetime(1900, 3, 1)  # noqa: DTZ001 - spreadsheets disagree about earlier dates

_FORMATS: Mapping[Kind, str] = {
    "integer": "0",
    "seconds": "0",
    "decimal": "0.00############",
    "money": "0.00############",
    "text": "@",  # it stays text when it is edited
    "time": 'yyyy-mm-dd hh:mm:ss.000"Z"',  # spreadsheets have no zones: each cell shows that it is UTC
}
_LOCAL = "yyyy-mm-dd hh:mm:ss"  # the header names the zone
_NUMBERS = frozenset({"integer", "seconds", "decimal", "money"})
_MEASURED = 1000
"""Rows of the first page whose values determine the widths of columns."""

_NARROWEST, _WIDEST = 8, 50
_BUTTON = 3
"""Characters that the filter's button covers beside a name."""


def write(schema: Schema, pages: Pages, out: BinaryIO, look: RenderOptions) -> None:
    """Write a workbook with a sheet whose header stays in view and has filters; more sheets take more rows.

    Text stays text, even if it looks like a formula or a number. Times are times, in UTC; durations are whole seconds;
    decimals are numbers unless a spreadsheet would round them, and then they are text, as are values that a column
    cannot parse. Rows are collected in temporary files, so that memory does not grow.

    Raises:
        OutputError: A text is too long for a cell, or temporary files cannot be written.
        UsageError: The schema has no columns.
    """
    columns = columns_of(schema)
    with _temporary_file_errors():
        folder = TemporaryDirectory(prefix="cdrctl-", ignore_cleanup_errors=True)
    with folder as place:
        made = Path(place) / "book.xlsx"
        book = Workbook(made, {"constant_memory": True, "tmpdir": place})
        book.use_zip64()
        try:
            _fill(book, columns, pages, look)
            with _temporary_file_errors():
                book.close()
        finally:
            for sheet in book.worksheets():
                with suppress(OSError):  # closing flushes data that is not needed any more
                    sheet.row_data_fh.close()
        with _temporary_file_errors():
            file = made.open("rb")
        with file:
            while chunk := file.read(1024 * 1024):
                out.write(chunk)


def _fill(book: Workbook, columns: Sequence[Column], pages: Pages, look: RenderOptions) -> None:
    forms = {**_FORMATS, "time": _LOCAL} if look.local_times else _FORMATS
    formats = {kind: book.add_format({"num_format": form}) for kind, form in forms.items()}
    head = book.add_format({"bold": True})
    zone = look.zone if look.local_times else UTC
    pages = iter(pages)
    first: Sequence[Any] = list(next(pages, ()))
    widths = [_width(column, [row[at] for row in first[:_MEASURED]], look) for at, column in enumerate(columns)]
    with _temporary_file_errors():
        sheet, row = _sheet(book, columns, widths, look, head), 1
    for page in chain([first], pages):
        with _temporary_file_errors():
            for values in page:  # lists: raw records have no columns and were refused
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
    """Return the name above a column, with the zone for local times."""
    return f"{column.name} ({name_of(look.zone)})" if column.kind == "time" and look.local_times else column.name


def _sheet(book: Workbook, columns: Sequence[Column], widths: Sequence[int], look: RenderOptions, head: Any) -> Any:
    """Add a sheet with its header, and return it."""
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
    """Return a time as the clocks of a zone show it, without the zone; None for other text.

    UTC has milliseconds, other zones have whole seconds.
    """
    try:
        found = datetime.fromisoformat(text).astimezone(zone).replace(tzinfo=None) if _TIME(text) else None
    except (ValueError, OverflowError):
        return None
    if found is not None and zone is not UTC:
        found = found.replace(microsecond=0)
    return found if found is not None and found >= _FIRST_DAY else None


def _is_number(text: str) -> bool:
    """Return whether text is a number that a spreadsheet does not change."""
    return bool(_NUMBER(text)) and len(text.lstrip("-0.").replace(".", "")) <= _DIGITS


def _write_text(sheet: Any, row: int, at: int, text: str, column: Column, form: Any) -> None:
    text = utf8(text).decode()
    if len(text) > LONGEST // 2 and len(text.encode("utf-16-le")) // 2 > LONGEST:
        raise OutputError(
            f"column {column.name} of row {row + 1} has {len(text)} characters, too many for a cell of a spreadsheet",
            hint="use -f csv or -f parquet, or leave out the column with --fields",
        )
    if text.startswith("<r>") and text.endswith("</r>"):  # the library would take it for its own XML
        sheet.write_rich_string(row, at, "<", form, text[1:])
    else:
        sheet.write_string(row, at, text, form)


@contextmanager
def _temporary_file_errors() -> Iterator[None]:
    """Turn a system error about temporary files into an OutputError."""
    try:
        yield
    except (OSError, FileCreateError) as error:
        cause = error.args[0] if isinstance(error, FileCreateError) else error
        reason = getattr(cause, "strerror", None) or cause
        raise OutputError(
            f"cannot write a temporary file: {reason}", hint="free disk space there, or name another folder with TMPDIR"
        ) from error
