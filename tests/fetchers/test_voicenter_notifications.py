"""Files of Voicenter notifications."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings as tried, strategies as st

from cdrctl.connecting import Connected
from cdrctl.errors import UsageError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.records.events import Event, Note, Page
from cdrctl.records.schemas import native, raw
from tests.support.products import for_each

from .voicenter_kit import DATA
from .voicenter_records_kit import commons, push

A = {"ivruniqueid": "a", "type": "Queue", "time": 1, "text": 'with "quotes", {braces} and [brackets] \\ and ü'}
B = {"ivruniqueid": "b", "type": "Queue", "time": 2, "IVR": [{"layer_id": 1}, {"layer_id": 2}], "x": {}}


def pieces(content: bytes) -> Iterable[Event]:
    lines = iter(content.splitlines(keepends=True))
    return PROVIDER.call("notifications").fetch(Connected("", None, None).query({"file": lines}))


def read(content: bytes) -> list[dict[str, Any]]:
    return [one for piece in pieces(content) if isinstance(piece, Page) for one in piece.records]


def plain(*records: Any, **how: Any) -> bytes:
    return "\n".join(json.dumps(one, ensure_ascii=False, **how) for one in records).encode()


@for_each(
    "content",
    [
        plain(A, B),
        plain(A, B) + b"\n",
        b"\xef\xbb\xbf" + plain(A, B),
        plain(A, B).replace(b"\n", b"\r\n\r\n"),
        plain(A, B).replace(b"\n", b""),
        plain(A, B, indent=2),
        plain(A, B, indent=2).replace(b"\n", b"\r\n"),
        plain(A, B, indent=2).replace(b"}\n{", b"}{"),
        plain([A, B]),
        plain([A, B], indent=4),
        plain([A], [B]),
        plain([A], B),
        plain(A, [B], []),
        b" \n\n [\n" + plain(A) + b"\n,\n" + plain(B) + b"]\n",
    ],
    ids=range(14),
)
def test_file_may_be_an_object_a_list_or_several_objects(content: bytes) -> None:
    assert read(content) == [A, B]


@for_each("content", [b"", b"\n", b" \r\n\t\n", b"[]", b"[\n]\n"])
def test_a_file_without_notifications(content: bytes) -> None:
    assert read(content) == []


@for_each(
    "content, line, why",
    [
        (plain(A) + b"\nnonsense\n", 2, ": another character found where"),
        (plain(A) + b'\n{"ivruniqueid": "b"', 2, ""),
        (plain(A) + b'\n{"ivruniqueid": "b",\n"x": }\n' + plain(B), 3, "column 6"),
        (plain(A) + b'\n{"ivruniqueid" "b"}\n', 2, "column 16 of what begins in line 2"),
        (plain(A) + b'\n{"ivruniqueid": "b\n"}\n', 2, "a string has no closing quote"),
        (b"[" + plain(A) + b"\n" + plain(B) + b"]", 2, "'{' found where"),
        (b"[" + plain(A) + b",\n]", 2, "']' found where"),
        (b"[" + plain(A) + b"\n", 1, "the file ends in the middle"),
        (plain(A) + b",\n" + plain(B), 1, "',' found where"),
        (b"[[\n" + plain(A) + b"]]", 1, "'[' found where"),
        (b"\n\n42\n", 3, ": another character found where"),
        (b'"text"\n', 1, "found where"),
        (plain(A) + b"\n}\n", 2, "'}' found where"),
        (b'{"ivruniqueid": "a"]\n', 1, "column"),
        (b'{"ivruniqueid": "a", "x": NaN}\n', 1, "NaN is not JSON"),
        (b'\n{"ivruniqueid": "a", "x": ' + b"9" * 5000 + b"}\n", 2, "limit"),
        ("é".encode("utf-16"), 1, "found where a notification should begin"),
        (b"<?xml version='1.0'?><methodCall></methodCall>", 1, "choose JSON"),
        (plain(A) + b"\n  <methodCall>", 2, "choose JSON"),
        (b"number=1&text=2", 1, "it has none of the known fields"),
        (b'{"ivruniqueid": ' + b"[" * 300 + b"]" * 300 + b"}\n", 1, "more than 200 deep"),
        (plain(A) + b"\n{}\n", 2, "this is not a CDR notification"),
        (plain(A, {"Err": 0, "Errdesc": "OK"}), 2, "it has none of the known fields"),
        ((DATA / "doc_cdr_ok.json").read_bytes(), 1, "it is a response of the Call Log"),
    ],
)
def test_a_broken_file_is_refused_by_its_line(content: bytes, line: int, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(content)
    assert f"line {line}: " in caught.value.message
    assert why in caught.value.message
    assert "several objects in a row" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


@pytest.mark.slow
@tried(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=5,
    ),
    indent=st.sampled_from([None, 0, 1]),
    listed=st.booleans(),
    ascii_only=st.booleans(),
)
def test_any_json_value_is_read_unchanged(
    values: list[Any], indent: int | None, *, listed: bool, ascii_only: bool
) -> None:
    records = [{"ivruniqueid": str(n), "value": value} for n, value in enumerate(values)]
    documents: list[Any] = [records] if listed else [*records]
    text = "\n".join(json.dumps(one, indent=indent, ensure_ascii=ascii_only) for one in documents)
    assert read(text.encode()) == records


def exported(content: bytes) -> tuple[list[Any], Tally]:
    tally = Tally()
    call = PROVIDER.call("notifications")
    pages = rows(pieces(content), call, raw(), None, tally, lambda _level, _text: None)
    return [dict(one) for page in pages for one in page], tally


def test_a_repeated_notification_is_dropped_and_one_with_more_fields_is_kept() -> None:
    again = {**A, "duration": 5}
    found, tally = exported(plain(A, B, A, again, A, again))
    assert sorted(map(str, found)) == sorted(map(str, [A, B, again]))
    assert tally.duplicates == 3
    hashes = {one.context.get("record_hash", "") for one in pieces(plain(A, again)) if isinstance(one, Page)}
    assert sorted(map(len, hashes)) == [0, 12]


def test_a_large_file_is_read_in_pages() -> None:
    """The first page comes before the rest of the file is read."""
    many = [{**A, "ivruniqueid": str(n)} for n in range(2500)]
    taken = 0

    def lines() -> Iterable[bytes]:
        nonlocal taken
        for one in many:
            taken += 1
            yield plain(one) + b"\n"

    found = PROVIDER.call("notifications").fetch(Connected("", None, None).query({"file": lines()}))
    first = next(iter(found))
    assert isinstance(first, Page)
    assert (len(first.records), taken) == (1000, 1000)
    assert [len(page.records) for page in found if isinstance(page, Page)] == [1000, 500]


def test_notifications_need_no_request_and_no_window() -> None:
    call = PROVIDER.call("notifications")
    assert call.offline
    assert call.start is None
    assert [option.name for option in call.options if option.argument] == ["file"]


def test_invalid_utf8_is_replaced_with_one_warning() -> None:
    content = plain(A) + b"\n" + plain({**B, "representative_name": "N?"}).replace(b"N?", b"N\xf9") + b"\n" + plain(A)
    assert [one.get("representative_name") for one in read(content)][1] == "N\ufffd"
    notes = [piece.text for piece in pieces(content) if isinstance(piece, Note)]
    assert len(notes) == 1
    assert "line 2" in notes[0]


def test_bodies_that_are_encoded_as_a_form_are_read_line_by_line() -> None:
    content = b"caller=0720000001&target=&time=1536855354&duration=33&status=ANSWER&type=Incoming+Call&ivruniqueid=a\n"
    [record, other] = read(content + b"Caller=0720000002&IvrUniqueID=b\r\n")
    assert record["type"] == "Incoming Call"
    assert push(**record)["start_time"] == "2018-09-13T16:15:54.000Z"
    assert push(**record)["talk_seconds"] == 33
    assert push(**other)["from_number"] == "0720000002"


@for_each("spell", [str.lower, str.upper, lambda key: key[:1].upper() + key[1:]])
def test_keys_may_be_in_any_letter_case(spell: Any) -> None:
    sent = {
        "caller": "0720000001",
        "ivruniqueid": "a",
        "isAnswer": 1,
        "time": 1536855354,
        "leg1DialStatusName": "ANSWER",
    }
    [record] = read(json.dumps([{spell(key): value for key, value in sent.items()}]).encode())
    [cdr] = commons([record], "notifications")
    assert (cdr["from_number"], cdr["call_id"], cdr["answered"]) == ("0720000001", "a", True)


@for_each(
    "ai_data",
    [
        None,
        {},
        {"insights": None, "emotions": None, "transcript": None},
        {"transcript": [{"speaker": "Speaker0", "text": "secret words", "startTime": 1.5, "endTime": None}]},
        {"transcript": [{"text": "secret words"}]},
        7,
    ],
)
def test_parts_of_ai_data_may_be_missing_and_warnings_show_no_content(ai_data: Any) -> None:
    told: list[str] = []
    schema = native(PROVIDER.call("notifications").columns, None, told.append)
    sent = {"caller": "0720000001", "ivruniqueid": "a", "aiData": ai_data, "CustomData": ai_data}
    assert len(list(schema.rows(Page([sent])))) == 1
    assert "secret" not in str(told)


@pytest.mark.slow
def test_endless_input_is_refused_before_memory_is_full() -> None:
    """The input is a line of zeros, or an object without an end."""
    mebibyte = b" " * 2**20 + b"\n"
    for endless in ([b"\0" * (2**26 + 1)], itertools.chain([b"{"], itertools.repeat(mebibyte))):
        with pytest.raises(UsageError, match="has more than 64 MiB"):
            list(PROVIDER.call("notifications").fetch(Connected("", None, None).query({"file": iter(endless)})))
    many = itertools.chain(itertools.repeat(plain(A) + b"\n", 3), [mebibyte] * 70)
    assert len(list(PROVIDER.call("notifications").fetch(Connected("", None, None).query({"file": many})))) == 1
