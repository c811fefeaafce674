"""Workbooks, read by a library of other authors."""

from __future__ import annotations

import gc
import io
import re
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import openpyxl
import pytest
import xlsxwriter.worksheet
from hypothesis import example, given

from cdrctl.errors import OutputError
from cdrctl.records.columns import Column
from cdrctl.records.common import COMMON
from cdrctl.records.schemas import Schema
from cdrctl.writers import load, xlsx
from cdrctl.writers.values import text_of, utf8
from tests.support.products import for_each
from tests.support.runner import run

from .examples import LOOK, nasty_text, schema, written


def cells(form: Schema, rows: list[list[Any]]) -> list[list[Any]]:
    book = openpyxl.load_workbook(io.BytesIO(written("xlsx", form, [rows])))
    return [list(row) for sheet in book for row in sheet.iter_rows()]


def one(kind: Any, value: Any) -> Any:
    return cells(schema("it", kinds={"it": kind}), [["" if value is None else value]])[1][0]


@for_each(
    "text",
    ["=1+1", "=cmd|' /C calc'!A0", "+49 30 1", "-1", "@SUM(A1)", "{=1}", "007", "1e5", "https://example.com", " a "],
)
def test_text_is_always_a_text_cell(text: str) -> None:
    cell = one("text", text)
    assert (cell.value, cell.data_type, cell.number_format) == (text, "s", "@")
    assert cell.hyperlink is None


@for_each("text", ["<r></r>", "<r><t>x</t></r>", "<r>&</r>"])
def test_text_that_looks_like_xml_is_plain_text(text: str) -> None:
    assert one("text", text).value == text


@pytest.mark.slow
@given(nasty_text)
@example("")
@example("_x0041_")
@example("\x1b[2J\r\n\ufffe\uffff\ud800")
def test_every_text_can_be_read_back(text: str) -> None:
    """With the escapes of the format undone, as spreadsheets do."""
    with zipfile.ZipFile(io.BytesIO(written("xlsx", schema("a", "b"), [[[text, "end"]]]))) as made:
        sheet = ET.fromstring(made.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - our own file
    said = ["".join(cell.itertext()) for cell in sheet.iterfind(".//{*}row[@r='2']/{*}c")]
    found = re.sub("_x([0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), said[0])
    assert found == utf8(text).decode()
    assert said[1] == "end"


@for_each("text", ["2026-11-19T08:00:00.123Z", "1900-03-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z"])
def test_times_are_date_cells_under_a_header_with_the_zone(text: str) -> None:
    cell = one("time", text)
    assert cell.value == datetime.fromisoformat(text).replace(tzinfo=None)
    assert cell.number_format == 'yyyy-mm-dd hh:mm:ss.000"Z"'


@for_each(
    "kind, value",
    [("time", "yesterday"), ("time", "1850-01-01T00:00:00.000Z"), ("time", "2026-02-30T00:00:00.000Z")],
)
def test_times_outside_the_range_of_spreadsheets_are_text(kind: str, value: str) -> None:
    assert (one(kind, value).value, one(kind, value).data_type) == (value, "s")


@for_each(
    "kind, value, number",
    [("money", "0.0100", 0.01), ("money", "-12.5", -12.5), ("seconds", 86_400, 86_400), ("integer", 10**14, 10**14)],
)
def test_numbers_are_number_cells(kind: str, value: Any, number: float) -> None:
    cell = one(kind, value)
    assert (cell.value, cell.data_type) == (number, "n")


@for_each(
    "kind, value",
    [
        ("money", "1234567890123456.1"),
        ("money", "n/a"),
        ("integer", 2**60),
        ("money", "007"),
        ("money", "+1"),
        ("text", "5"),
    ],
)
def test_numbers_that_would_be_rounded_are_text(kind: str, value: Any) -> None:
    cell = one(kind, value)
    assert (cell.value, cell.data_type) == (text_of(value), "s")


def test_booleans_are_boolean_cells_and_lists_are_json() -> None:
    assert one("boolean", True).value is True
    assert one("list", ["a", {"b": 1}]).value == '["a",{"b":1}]'
    assert cells(schema("a", "b"), [[None, "x"]])[1][0].value is None


def test_the_header_is_frozen_and_has_filters() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(written("xlsx", schema("a", "b"), [[["1", "2"]] * 3]))).active
    assert (sheet.title, sheet.freeze_panes, sheet.auto_filter.ref) == ("records", "A2", "A1:B4")
    assert [cell.font.bold for cell in sheet[1]] == [True, True]


def test_a_sheet_has_as_many_rows_as_the_format_allows() -> None:
    sheet = xlsxwriter.worksheet.Worksheet()
    assert xlsx.ROWS == sheet.xls_rowmax == 1_048_576


@for_each("records, counts", [(0, [1]), (8, [9]), (9, [10]), (10, [10, 2]), (18, [10, 10]), (19, [10, 10, 2])])
def test_rows_beyond_the_limit_go_to_another_sheet(
    records: int, counts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx, "ROWS", 10)
    numbers = [[str(at)] for at in range(records)]
    book = openpyxl.load_workbook(io.BytesIO(written("xlsx", schema("a"), [numbers[:6], numbers[6:]])), read_only=True)
    assert book.sheetnames == ["records", "records 2", "records 3"][: len(counts)]
    rows = [[row[0] for row in sheet.iter_rows(values_only=True)] for sheet in book]
    assert [len(sheet) for sheet in rows] == counts
    assert [value for sheet in rows for value in sheet[1:]] == [str(at) for at in range(records)]
    book.close()


def test_every_sheet_has_a_header_and_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "ROWS", 3)
    book = openpyxl.load_workbook(io.BytesIO(written("xlsx", schema("a"), [[[str(at)] for at in range(5)]])))
    assert [[row[0] for row in sheet.values] for sheet in book] == [["a", "0", "1"], ["a", "2", "3"], ["a", "4"]]
    assert [sheet.auto_filter.ref for sheet in book] == ["A1:A3", "A1:A3", "A1:A2"]
    assert book.sheetnames == ["records", "records 2", "records 3"]


def test_text_too_long_for_a_cell_is_an_error() -> None:
    assert len(one("text", "x" * 32_767).value) == 32_767
    for text in ("x" * 32_768, "\U0001f600" * 20_000, "<r>" + "x" * 32_767 + "</r>"):
        out = io.BytesIO()
        with pytest.raises(OutputError) as caught:
            load("xlsx")(schema("a", "b"), [[["1", text]]], out, LOOK)
        assert caught.value.message.startswith("column b of row 2 has ")
        assert caught.value.hint is not None
        assert "--fields" in caught.value.hint
        assert out.getvalue() == b""


@pytest.mark.slow
def test_no_temporary_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def pages() -> Iterator[list[list[Any]]]:
        yield [["x"]]
        assert [one.name for one in tmp_path.iterdir()]
        raise KeyboardInterrupt

    written("xlsx", schema("a"), [[["x"]]])
    with pytest.raises(KeyboardInterrupt):
        written("xlsx", schema("a"), pages())
    gc.collect()  # an abandoned writer writes nothing either
    assert not [*tmp_path.iterdir()]


def test_unwritable_temporary_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OutputError) as caught:
        written("xlsx", schema("a"), [[["x"]]])
    assert caught.value.hint == "free disk space there, or name another folder with TMPDIR"


def test_a_workbook_is_a_plain_zip() -> None:
    with zipfile.ZipFile(io.BytesIO(written("xlsx", schema("a"), [[["x"]]]))) as made:
        assert made.testzip() is None
        assert not any(info.flag_bits & 8 for info in made.infolist())  # sizes are in the local header


def test_a_column_of_an_unknown_kind_is_text() -> None:
    form = Schema((Column("a", "a", "list"),), lambda _page: ())
    assert written("xlsx", form, [[[None]]])


@pytest.mark.slow
def test_a_workbook_has_the_columns_of_a_table_by_default(tmp_path: Path) -> None:
    day = ("-p", "sandbox", "--since", "2026-11-19", "--until", "2026-11-19T06:00")
    every = [column.name for column in COMMON]
    for words, native in (
        (("webex", "cdrs"), True),
        (("kazoo", "cdrs", "--schema", "common"), False),
        (("export",), False),
    ):
        usual, whole = (sheet_of(tmp_path, *words, *day, *more) for more in ((), ("--fields", "all")))
        assert set(usual) < set(whole)
        assert usual[0] in {"start_time", "report_time"}
        if not native:
            assert whole[: len(every)] == every


def sheet_of(folder: Path, *words: str) -> list[str]:
    """Return the header of the workbook that a command writes."""
    ran = run(*words, "-o", folder / "calls.xlsx")
    assert ran.code == 0, ran.err
    sheet = openpyxl.load_workbook(folder / "calls.xlsx").worksheets[0]
    assert sheet.auto_filter.ref
    return [str(cell.value) for cell in sheet[1]]


def test_columns_are_as_wide_as_their_values_and_names() -> None:
    form = schema("id", "a_name_that_is_long", "text")
    rows = [["1", "x", "y" * 500], ["22", "x", None]]
    sheet = openpyxl.load_workbook(io.BytesIO(written("xlsx", form, [rows]))).worksheets[0]
    narrow, name, wide = (sheet.column_dimensions[letter].width for letter in "ABC")
    assert narrow < name < wide < 60
    assert name > len("a_name_that_is_long")
