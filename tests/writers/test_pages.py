"""What every writer does with pages, whatever its format."""

import copy
import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from msgspec.structs import replace

from cdrctl.errors import UsageError
from cdrctl.records.batches import RowBatch
from cdrctl.writers import RenderOptions, load, takes_raw
from tests.support.products import for_each

from .examples import LOOK, RAW, nasty_text, schema, values, written

FORMATS = ("csv", "tsv", "jsonl", "json", "table")
"""Those of text; test_contract.py has what holds for all."""

FORM = schema("id", "name", unfold=True)
PAGES: list[list[list[Any]]] = [
    [["1", "Ada", None], ["2", None, {"new": ["x"]}]],
    [],
    [["3", 'comma, "quote"', None]],
]


class Recorder(io.BytesIO):
    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self.events = events

    def write(self, data: Any, /) -> int:
        self.events.append("write")
        return super().write(data)


@for_each("name", FORMATS)
def test_a_page_is_written_before_the_next_is_requested(name: str) -> None:
    events: list[str] = []

    def pages() -> Iterator[list[Any]]:
        for page in PAGES:
            events.append("page")
            yield page

    load(name)(FORM, pages(), Recorder(events), LOOK)

    assert events[:5] == ["page", "write", "page", "page", "write"]
    assert events[5:] in ([], ["write"])  # the end of an array


@for_each("name", FORMATS)
def test_an_error_before_the_first_page_leaves_the_output_empty(name: str) -> None:
    class Offline:
        def __iter__(self) -> Iterator[list[Any]]:
            raise ConnectionError

    out = io.BytesIO()
    with pytest.raises(ConnectionError):
        load(name)(FORM, Offline(), out, LOOK)
    assert out.getvalue() == b""


@for_each("name", FORMATS)
def test_a_writer_changes_no_row(name: str) -> None:
    pages = copy.deepcopy(PAGES)
    written(name, FORM, pages)
    assert pages == PAGES


@for_each("name", FORMATS)
def test_a_writer_prints_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(name, FORM, PAGES)
    assert capsys.readouterr() == ("", "")


@for_each("name", ["csv", "tsv", "jsonl", "json"])
def test_the_paging_of_records_does_not_change_the_output(name: str) -> None:
    rows = [row for page in PAGES for row in page]
    assert written(name, FORM, PAGES) == written(name, FORM, [rows])


@for_each("name", FORMATS)
def test_raw_records_are_written_or_refused(name: str) -> None:
    if takes_raw(name):
        assert b'{"Key With Blanks":[1,null]}' in written(name, RAW, [[{"Key With Blanks": [1, None]}]])
    else:
        with pytest.raises(UsageError) as caught:
            written(name, RAW, [[{"a": 1}]])
        assert caught.value.hint == "write them with -f jsonl or -f json"


@st.composite
def tables(draw: st.DrawFn) -> RowBatch:
    height = draw(st.integers(0, 4))
    texts = draw(st.lists(st.booleans(), min_size=1, max_size=3))
    alike = st.sampled_from([0, False, 0.0, 1, True, 1.0, None, -5, "1", ""])  # some are equal to others in Python
    columns = [
        draw(st.lists(nasty_text if text else alike | values, min_size=height, max_size=height)) for text in texts
    ]
    return RowBatch(columns, texts, height)


@pytest.mark.parametrize("look", [LOOK, replace(LOOK, for_spreadsheets=True)], ids=["as-it-is", "spreadsheet-safe"])
@pytest.mark.parametrize("name", ["csv", "tsv"])
@given(st.lists(tables(), min_size=1, max_size=2))
@example([RowBatch([["", "x", ""]], [True], 3)])
@example([RowBatch([[1, True, 1.0], [False, 0.0, 0]], [False, False], 3)])
@example([RowBatch([["=1", "a\nb"], ['"', "\t"]], [True, True], 2)])
def test_a_batch_is_written_like_its_rows(name: str, look: RenderOptions, pages: list[RowBatch]) -> None:
    wide = len(pages[0].columns)
    pages = [page for page in pages if len(page.columns) == wide]
    form = schema(*[f"c{number}" for number in range(wide)])
    assert written(name, form, pages, look) == written(name, form, [list(page) for page in pages], look)
