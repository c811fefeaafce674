import re
from typing import Any

import pytest
from hypothesis import given

from cdrctl.writers.values import text_of
from tests.support.products import for_each

from .examples import pages_of, schema, whole, written


def test_values_are_written_as_documented() -> None:
    row = [None, True, False, -7, ["a", 1], 'say "hi", ok', "Zoë", None]
    names = ["a", "b", "c", "d", "e", "f", "g"]
    assert written("tsv", schema(*names, unfold=True), [[row]]) == (
        'a\tb\tc\td\te\tf\tg\textra\n\ttrue\tfalse\t-7\t["a",1]\tsay "hi", ok\tZoë\t\n'.encode()
    )


@pytest.mark.parametrize("pages", [[], [[]]])
def test_an_export_without_records_has_a_header(pages: list[list[Any]]) -> None:
    assert written("tsv", schema("id", "name"), pages) == b"id\tname\n"


@for_each(
    "value, cell",
    [("a\tb", r"a\tb"), ("a\nb", r"a\nb"), ("a\rb", r"a\rb"), ("a\\b", r"a\\b"), ("\\t", r"\\t"), ('"', '"')],
)
def test_tabs_line_ends_and_backslashes_are_escaped(value: str, cell: str) -> None:
    assert written("tsv", schema("a", "b"), [[["1", value], ["2", "x"]]]) == f"a\tb\n1\t{cell}\n2\tx\n".encode()


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert written("tsv", schema("a", "b"), [[["\udc00", "x"]]]) == "a\tb\n\ufffd\tx\n".encode()


def test_a_single_empty_value_is_a_blank_line() -> None:
    assert written("tsv", schema("a"), [[[None], ["x"]]]) == b"a\n\nx\n"


@given(pages_of(3))
def test_every_line_is_a_record_and_every_cell_can_be_read_back(pages: list[list[list[Any]]]) -> None:
    lines = written("tsv", schema("a", "b", "c"), pages).decode().split("\n")
    assert lines[0] == "a\tb\tc"
    assert lines.pop() == ""
    back = [[_unescaped(cell) for cell in line.split("\t")] for line in lines[1:]]
    assert back == [[whole(text_of(value)) for value in row] for page in pages for row in page]
    assert not any("\r" in line for line in lines)


@given(pages_of(1))
def test_a_single_column_can_be_read_back(pages: list[list[list[Any]]]) -> None:
    lines = written("tsv", schema("a"), pages).decode().split("\n")
    assert [_unescaped(line) for line in lines[1:-1]] == [whole(text_of(row[0])) for page in pages for row in page]


def _unescaped(cell: str) -> str:
    meaning = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    return re.sub(r"\\(.)", lambda found: meaning[found[1]], cell)
