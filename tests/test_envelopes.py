"""Records are found in the body of a response, whatever else is in it."""

from __future__ import annotations

import json

from cdrctl.fetchers import load
from cdrctl.records.decoding import BatchDecoder
from cdrctl.records.events import Record
from tests.support.products import for_each

WEBEX = load("webex").calls[0]


def alike() -> Record:
    return {column.key: "1" for column in WEBEX.columns} | {"Start time": "2026-11-19T08:00:00.123Z"}


def new_reader(*, raws: bool = False) -> BatchDecoder:
    assert WEBEX.key_fields is not None
    return BatchDecoder(WEBEX.columns, WEBEX.key_fields, raw=raws)


@for_each(
    "text",
    [
        '{"n": 1, "result": {"data": [RECORDS], "total": 1}}',
        '{"result": {"total": {"all": [1, 2]}, "data": [RECORDS]}}',
        '{"result": {"data": [RECORDS], "total": {"all": [1, 2]}}}',
        '{"result": {"DATA": [RECORDS], "x": "]"}}',
        '{"x": "\\"data\\": [", "result": {"data": [RECORDS]}}',
        '{"data": [], "result": {"data": [RECORDS]}}',
        '{"data": [727300027372], "result": {"data": [RECORDS]}, "y": [727300027372]}',
        '{"result": {"data": [1], "data": [RECORDS]}}',
        '{"result": {"data": [RECORDS], "data": [RECORDS]}}',
    ],
)
def test_the_records_of_an_envelope_are_found_whatever_else_is_in_it(text: str) -> None:
    whole = text.replace("RECORDS", json.dumps(alike()))
    for raws in (False, True):
        body = new_reader(raws=raws)(bytearray(whole.encode()), ("result", "data"))
        assert body is not None
        expected = json.loads(whole)
        assert body.keys() == expected.keys()
        assert {key: list(value) if key.lower() == "data" else value for key, value in body["result"].items()} == (
            expected["result"]
        )
        del body["result"], expected["result"]
        assert body == expected


@for_each(
    "text",
    [
        '{"result": {"data": [RECORDS], "Data": [RECORDS]}}',
        '{"result": {"data": [RECORDS]]}}',
        '{"result": {"data": [RECORDS], "x": }}',
        '{"result": {"data": [RECORDS], "x": 1}',
        '{"result": "data: [RECORDS]"}',
        '{"result": [{"data": [RECORDS]}]}',
        '{"result": {"data": [RECORDS]}, "result": 1}',
        '{"result": {"inner": {"data": [RECORDS]}}}',
        '{"data": [RECORDS], "result": {"data": 1}}',
    ],
)
def test_records_elsewhere_are_not_decoded_by_column(text: str) -> None:
    whole = text.replace("RECORDS", json.dumps(alike()))
    assert new_reader()(bytearray(whole.encode()), ("result", "data")) is None
