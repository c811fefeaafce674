import csv
import io
from typing import Any

import pytest
from hypothesis import given

from cdrctl.writers.values import text_of
from tests.support.products import for_each

from .examples import nasty_text, pages_of, schema, whole, written


def test_values_are_written_as_documented() -> None:
    row = ["2026-11-19T08:00:00.123Z", None, True, False, -7, 1.5, "0.0100", ["a", {"b": None}], "Zoë 田中"]
    names = ["start_time", "empty", "yes", "no", "whole", "part", "money", "list", "name"]
    assert written("csv", schema(*names), [[row]]) == (
        b"start_time,empty,yes,no,whole,part,money,list,name\n"
        b'2026-11-19T08:00:00.123Z,,true,false,-7,1.5,0.0100,"[""a"",{""b"":null}]",'
        b"Zo\xc3\xab \xe7\x94\xb0\xe4\xb8\xad\n"
    )


def test_extra_comes_last_and_is_an_object_or_empty() -> None:
    form = schema("id", unfold=True)
    assert written("csv", form, [[["1", {"new_field": "ü", "other": 2}], ["2", None]]]) == (
        b'id,extra\n1,"{""new_field"":""\xc3\xbc"",""other"":2}"\n2,\n'
    )


@for_each("pages", [[], [[]], [[], []]])
def test_an_export_without_records_has_a_header(pages: list[list[Any]]) -> None:
    assert written("csv", schema("id", "name"), pages) == b"id,name\n"


@for_each("formula", ["=1+1", "+4930123456", "-1", "@SUM(A1)", " x", "a b", "'", ";", "\x00", "#", "\t"])
def test_values_are_quoted_only_if_necessary(formula: str) -> None:
    assert written("csv", schema("a", "b"), [[[formula, "x"]]]) == b"a,b\n" + formula.encode() + b",x\n"


@for_each(
    "value, cell",
    [("a,b", '"a,b"'), ('"', '""""'), ("a\nb", '"a\nb"'), ("a\rb", '"a\rb"'), ("\r\n", '"\r\n"'), ('"x"', '"""x"""')],
)
def test_separators_quotes_and_line_ends_are_quoted(value: str, cell: str) -> None:
    assert written("csv", schema("a", "b"), [[["1", value], ["2", "x"]]]) == f"a,b\n1,{cell}\n2,x\n".encode()


def test_separators_in_values_are_quoted_although_the_count_of_the_page_fits() -> None:
    """The writer counts the separators and line ends of a page to find values that need quotes."""
    assert written("csv", schema("a", "b"), [[["x\n", "y"]]]) == b'a,b\n"x\n",y\n'
    assert written("csv", schema("a,", "b"), [[["x", "y"]]]) == b'"a,",b\nx,y\n'


def test_a_line_of_one_empty_value_is_not_blank() -> None:
    assert written("csv", schema("a"), [[[None], [""], ["x"]]]) == b'a\n""\n""\nx\n'


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert written("csv", schema("a", "b"), [[["x\ud800y", "\ud83d\ude00"]]]) == (
        "a,b\nx\ufffdy,\ufffd\ufffd\n".encode()
    )


def test_half_a_surrogate_pair_inside_json_stays_an_escape() -> None:
    assert written("csv", schema("a", "b"), [[[["\udfff"], "x"]]]) == b'a,b\n"[""\\udfff""]",x\n'


@pytest.mark.slow
@given(pages_of(3))
def test_csv_reader_reads_the_same_values_back(pages: list[list[list[Any]]]) -> None:
    text = written("csv", schema("a", "b", "c"), pages).decode()
    back = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert back == [["a", "b", "c"], *([whole(text_of(value)) for value in row] for page in pages for row in page)]


@given(pages_of(1))
def test_a_single_column_can_be_read_back(pages: list[list[list[Any]]]) -> None:
    text = written("csv", schema("a"), pages).decode()
    back = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert back == [["a"], *([whole(text_of(value)) for value in row] for page in pages for row in page)]


@given(pages_of(3))
def test_the_bytes_are_equal_to_those_of_the_standard_library(pages: list[list[list[Any]]]) -> None:
    """On the fast path and on the plain one.

    csv.writer quotes a lone carriage return only if its own lines end in one.
    """
    expected = [_plain_line(["a", "b", "c"])]
    expected += [_plain_line([text_of(value) for value in row]) for page in pages for row in page]
    assert written("csv", schema("a", "b", "c"), pages) == whole("".join(expected)).encode()


@given(nasty_text)
def test_a_single_value_is_written_as_the_standard_library_does(text: str) -> None:
    assert written("csv", schema("a"), [[[text]]]) == whole("a\n" + _plain_line([text])).encode()


def _plain_line(cells: list[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"
