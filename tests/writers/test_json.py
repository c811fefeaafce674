"""JSON Lines and JSON, which write the same objects."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cdrctl.writers.values import json_of, json_text_of, plain_json_of
from tests.support.products import for_each

from .examples import RAW, nasty_text, pages_of, schema, values, written

ROWS = [["1", None, "Zoë\x00\n"], ["2", True, 7]]


def test_jsonl_has_one_compact_object_per_line_in_column_order() -> None:
    assert written("jsonl", schema("id", "b", "a"), [ROWS, [["3", [1, {"z": 1, "a": 2}], ""]]]) == (
        b'{"id":"1","b":null,"a":"Zo\xc3\xab\\u0000\\n"}\n'
        b'{"id":"2","b":true,"a":7}\n'
        b'{"id":"3","b":[1,{"z":1,"a":2}],"a":""}\n'
    )


def test_json_is_one_array_of_the_same_objects() -> None:
    assert written("json", schema("id", "b", "a"), [ROWS, [], [["3", 0, ""]]]) == (
        b'[\n{"id":"1","b":null,"a":"Zo\xc3\xab\\u0000\\n"},\n{"id":"2","b":true,"a":7},\n{"id":"3","b":0,"a":""}\n]\n'
    )


@for_each("pages", [[], [[]], [[], []]])
def test_an_export_without_records_is_empty_or_an_empty_array(pages: list[list[Any]]) -> None:
    assert written("jsonl", schema("id"), pages) == b""
    assert written("json", schema("id"), pages) == b"[]\n"


def test_unknown_fields_are_keys_of_the_object_and_extra_is_not() -> None:
    pages = [[["1", {"new": [1], "other": None}], ["2", None]]]
    assert written("jsonl", schema("id", unfold=True), pages) == b'{"id":"1","new":[1],"other":null}\n{"id":"2"}\n'


def test_extra_is_an_ordinary_key_when_the_user_chose_it() -> None:
    assert written("jsonl", schema("extra", "id"), [[[{"new": 1}, "1"], [None, "2"]]]) == (
        b'{"extra":{"new":1},"id":"1"}\n{"extra":null,"id":"2"}\n'
    )


def test_raw_records_are_unchanged() -> None:
    records = [{"Start time": "x", "nested": {"B": 1, "A": None}, "extra": 2}, {}]
    assert written("jsonl", RAW, [records]) == b'{"Start time":"x","nested":{"B":1,"A":null},"extra":2}\n{}\n'
    assert json.loads(written("json", RAW, [records])) == records


def test_half_a_surrogate_pair_stays_as_an_escape() -> None:
    assert written("jsonl", schema("a"), [[["x\ud800y"]]]) == b'{"a":"x\\ud800y"}\n'


def test_whole_surrogate_pairs_are_written_as_utf_8() -> None:
    assert written("jsonl", schema("a"), [[["\U0001f600"]]]) == '{"a":"\U0001f600"}\n'.encode()


@for_each("beside", ["x", "\ud800"])
@for_each("number, word", [("inf", "Infinity"), ("-inf", "-Infinity"), ("nan", "NaN")])
def test_numbers_that_json_lacks_are_strings(number: str, word: str, beside: str) -> None:
    line = written("jsonl", schema("a", "b"), [[[[float(number)], beside]]])
    assert json.loads(line, parse_constant=pytest.fail) == {"a": [word], "b": beside}


def test_values_nested_too_deep_for_the_fast_encoder_are_written() -> None:
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]
    assert json.loads(written("jsonl", schema("a"), [[[deep]]])) == {"a": deep}


@given(pages_of(2))
def test_every_line_of_jsonl_can_be_read_back(pages: list[list[list[Any]]]) -> None:
    lines = written("jsonl", schema("a", "b"), pages).decode().split("\n")
    assert lines.pop() == ""
    expected = [{"a": row[0], "b": row[1]} for page in pages for row in page]
    assert [json.loads(line) for line in lines] == [_joined(one) for one in expected]


@given(pages_of(2))
def test_json_can_be_read_back(pages: list[list[list[Any]]]) -> None:
    text = written("json", schema("a", "b"), pages)
    assert text.endswith(b"]\n")
    assert json.loads(text) == [_joined({"a": row[0], "b": row[1]}) for page in pages for row in page]


@given(st.one_of(values, st.dictionaries(nasty_text, st.lists(values))))
def test_the_fast_encoder_writes_the_bytes_of_the_standard_library(value: Any) -> None:
    assert json_of(value) == plain_json_of(value)
    assert json_text_of(value) == json_of(value).decode()


@for_each(
    "value", [[1e16], [1e-7], [float("nan")], [None], ["null"], [-float("inf"), 10**400], ["\ud800"], {"a": "1e5"}]
)
def test_odd_numbers_and_texts_have_one_spelling(value: Any) -> None:
    assert json_text_of(value) == json_of(value).decode()


def _joined(value: Any) -> Any:
    """Return a value with adjacent halves of surrogate pairs joined, as a JSON reader joins them."""
    return json.loads(json.dumps(value))
