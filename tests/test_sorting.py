"""`--sort`: rows are sorted by typed value with null last, in bounded memory."""

from __future__ import annotations

import gc
import io
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cdrctl import sorting
from cdrctl.errors import OutputError, UsageError
from cdrctl.records.columns import Column
from cdrctl.records.schemas import EXTRA_COLUMN
from cdrctl.sorting import Order
from tests.support.products import for_each

COLUMNS = (
    Column("name", "n", "text"),
    Column("talk_seconds", "t", "seconds"),
    Column("cost", "c", "money"),
    Column("start_time", "s", "time"),
    Column("answered", "a", "boolean"),
)


def arranged(rows: list[Any], by: str, limit: int | None = None, pages: int = 3) -> list[Any]:
    key = sorting.key_of_rows(sorting.read_order(by), COLUMNS)
    size = max(1, len(rows) // pages)
    cut = (rows[at : at + size] for at in range(0, len(rows), size))
    return [row for page in sorting.sort_pages(cut, key, limit) for row in page]


def column(values: list[Any], name: str) -> list[list[Any]]:
    at = [one.name for one in COLUMNS].index(name)
    return [[*[None] * at, value, *[None] * (len(COLUMNS) - at - 1)] for value in values]


@for_each(
    "name, values",
    [
        ("name", ["10", "9", "a", None]),
        ("talk_seconds", [9, 10, 100, None]),
        ("cost", ["9.5", "10.25", "100.0", None]),
        ("start_time", ["2026-11-19T08:00:00Z", "2026-11-19T08:00:00.001Z", "2026-11-19T08:00:01.000Z", None]),
        ("answered", [False, True, None, None]),
        ("talk_seconds", [1, 2, "soon", None]),
        ("talk_seconds", [1, 2, "NaN", None]),
        ("talk_seconds", [1, 2, True, None]),
        ("answered", [False, True, "1", None]),
    ],
)
def test_values_are_sorted_by_meaning_and_null_is_last_in_both_directions(name: str, values: list[Any]) -> None:
    rows = column(values, name)
    assert arranged(rows[::-1], name) == rows
    plain = [value for value in values if value is not None and type(value) is type(values[0]) and value != "soon"]
    known = rows[: len(plain)]
    rest = rows[len(known) :]
    assert arranged(rows, f"-{name}") == [*known[::-1], *rest]


def test_the_first_field_is_compared_first_and_sorting_is_stable() -> None:
    rows = [["b", 1, "1", None, None], ["a", 1, "2", None, None], ["c", 2, "3", None, None], ["a", 1, "4", None, None]]
    assert [row[2] for row in arranged(rows, "-talk_seconds,name")] == ["3", "2", "4", "1"]


def test_the_value_of_sort_is_parsed_or_refused() -> None:
    assert sorting.read_order("a, -b ,- c") == (Order("a"), Order("b", descending=True), Order("c", descending=True))
    for text in ("", " , ", "-"):
        with pytest.raises(UsageError, match="names no field"):
            sorting.read_order(text)
    with pytest.raises(UsageError, match="twice"):
        sorting.read_order("a,-a")
    with pytest.raises(UsageError) as caught:
        sorting.key_of_rows(sorting.read_order("naem"), COLUMNS)
    assert (caught.value.hint or "").startswith("did you mean name? ")


def test_rows_can_be_sorted_by_a_field_of_extra() -> None:
    columns = (Column("name", "n", "text"), EXTRA_COLUMN)
    rows = [["a", {"new": 10}], ["b", {"new": 9}], ["c", {"new": "x"}], ["d", {"old": 1}], ["e", None]]
    key = sorting.key_of_rows(sorting.read_order("extra.new"), columns)
    assert [row[0] for page in sorting.sort_pages([rows], key) for row in page] == ["b", "a", "c", "d", "e"]
    with pytest.raises(UsageError):
        sorting.key_of_rows(sorting.read_order("extra."), columns)


def test_raw_records_are_sorted_by_their_own_values() -> None:
    values = [{"a": {"b": 2}}, {"a": {"b": 10}}, {"a": {"b": "1"}}, {"a": None}]
    for by, wanted in (("a.b", values), ("-a.b", [values[2], values[1], values[0], values[3]])):
        key = sorting.key_of_records(sorting.read_order(by))
        assert [row for page in sorting.sort_pages([values[::-1]], key) for row in page] == wanted


VALUES = st.one_of(st.none(), st.integers(-20, 20))


@given(st.lists(st.tuples(VALUES, st.text(max_size=3)), max_size=60), st.one_of(st.none(), st.integers(1, 70)))
def test_sorting_on_disk_gives_the_same_order_as_in_memory(rows: list[tuple[Any, str]], limit: int | None) -> None:
    whole = [[text, number, None, None, None] for number, text in rows]
    wanted = sorted(whole, key=lambda row: (row[1] is None, -Decimal(row[1] or 0), row[0]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sorting, "IN_MEMORY", 8)
        patched.setattr(sorting, "TOGETHER", 3)
        patched.setattr(sorting, "PAGE", 7)
        assert arranged(whole, "-talk_seconds,name", limit) == wanted[:limit]


@given(st.lists(st.one_of(st.none(), st.integers(0, 3), st.just("soon")), max_size=80), st.sampled_from(["", "-"]))
def test_equal_rows_keep_their_order_on_disk(values: list[Any], sign: str) -> None:
    rows = [[str(at), value, None, None, None] for at, value in enumerate(values)]

    def rank(row: list[Any]) -> tuple[int, int]:
        value = row[1]
        return (2, 0) if value is None else (1, 0) if value == "soon" else (0, -value if sign else value)

    with pytest.MonkeyPatch.context() as patched:
        for name, value in (("IN_MEMORY", 6), ("TOGETHER", 2), ("PAGE", 3)):
            patched.setattr(sorting, name, value)
        assert arranged(rows, f"{sign}talk_seconds") == sorted(rows, key=rank)


def test_memory_holds_no_more_rows_than_a_buffer(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    most = 0

    def held() -> int:
        return sum(type(one) is list and one[-1:] == ["held"] for one in gc.get_objects())

    def pages() -> Iterator[list[Any]]:
        nonlocal most
        for at in range(1000):
            yield [[str(at), at % 7, None, None, "held"]]
            most = max(most, held()) if not at % 50 else most

    monkeypatch.setattr(sorting, "IN_MEMORY", 20)
    monkeypatch.setattr(sorting, "PAGE", 10)
    gc.freeze()  # so that existing objects are not scanned each time
    request.addfinalizer(gc.unfreeze)
    for limit in (None, 5, 900):
        key, count = sorting.key_of_rows(sorting.read_order("talk_seconds"), COLUMNS), 0
        for page in sorting.sort_pages(pages(), key, limit):
            count += len(page)
        assert count == (limit or 1000)
        assert most <= 40


def test_the_last_rows_are_on_disk_too_while_the_first_are_read(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for name, value in (("IN_MEMORY", 100), ("TOGETHER", 3), ("PAGE", 10)):
        monkeypatch.setattr(sorting, name, value)
    gc.freeze()
    request.addfinalizer(gc.unfreeze)
    pages = sorting.sort_pages(([[at, "held"]] for at in range(190)), lambda row: (row[0],))
    next(pages)
    assert sum(type(one) is list and one[-1:] == ["held"] for one in gc.get_objects()) < 20
    assert [row[0] for page in pages for row in page] == [*range(10, 190)]


class HalfFull(io.RawIOBase):
    """A file on a disk that accepts a few bytes per write."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = io.BytesIO()

    def write(self, piece: Any) -> int:
        return self.kept.write(bytes(piece[:7]))

    def seek(self, at: int, whence: int = 0) -> int:
        return self.kept.seek(at, whence)

    def read(self, size: int = -1) -> bytes:
        return self.kept.read(size)


def test_a_partial_write_is_continued() -> None:
    file: Any = HalfFull()
    runs = [sorting._write_run(file, [["x" * 50, at]]) for at in range(3)]
    assert [[*sorting._read_run(file, *run)] for run in runs] == [[[["x" * 50, at]]] for at in range(3)]


def test_a_full_disk_is_reported_with_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match=r"temporary files cannot be written in .*none") as caught:
        arranged(column([1], "talk_seconds"), "talk_seconds")
    assert "TMPDIR" in str(caught.value.hint)
