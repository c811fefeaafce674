"""What every writer does with pages, whatever its format."""

import copy
import io
from collections.abc import Iterator
from typing import Any

import pytest

from cdrctl.errors import UsageError
from cdrctl.writers import FORMATS, load, takes_raw

from .examples import LOOK, RAW, schema, written

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


@pytest.mark.parametrize("name", FORMATS)
def test_a_page_is_written_whole_before_the_next_is_asked_for(name: str) -> None:
    events: list[str] = []

    def pages() -> Iterator[list[Any]]:
        for page in PAGES:
            events.append("page")
            yield page

    load(name)(FORM, pages(), Recorder(events), LOOK)

    assert events[:5] == ["page", "write", "page", "page", "write"]
    assert events[5:] in ([], ["write"])  # the end of an array


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_that_fails_before_its_first_page_writes_nothing(name: str) -> None:
    class Offline:
        def __iter__(self) -> Iterator[list[Any]]:
            raise ConnectionError

    out = io.BytesIO()
    with pytest.raises(ConnectionError):
        load(name)(FORM, Offline(), out, LOOK)
    assert out.getvalue() == b""


@pytest.mark.parametrize("name", FORMATS)
def test_rows_stay_as_they_were(name: str) -> None:
    pages = copy.deepcopy(PAGES)
    written(name, FORM, pages)
    assert pages == PAGES


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_else_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(name, FORM, PAGES)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl", "json"])
def test_how_records_are_paged_does_not_show(name: str) -> None:
    rows = [row for page in PAGES for row in page]
    assert written(name, FORM, PAGES) == written(name, FORM, [rows])


@pytest.mark.parametrize("name", FORMATS)
def test_raw_records_are_written_or_refused(name: str) -> None:
    if takes_raw(name):
        assert b'{"Key With Blanks":[1,null]}' in written(name, RAW, [[{"Key With Blanks": [1, None]}]])
    else:
        with pytest.raises(UsageError) as caught:
            written(name, RAW, [[{"a": 1}]])
        assert caught.value.hint == "write them with -f jsonl or -f json"
