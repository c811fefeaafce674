"""Pages decoded by column and pages decoded record by record give the same rows, warnings and bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from cdrctl import PROVIDERS, sandbox, writers
from cdrctl.archive import canonical
from cdrctl.conditions.language import read_condition
from cdrctl.contents import contents_of
from cdrctl.damage import DEEPEST, Damage, Unreadable, mend
from cdrctl.export.rows import starts_of
from cdrctl.export.selection import Selection, row_filter
from cdrctl.fetchers import Call, identities, load
from cdrctl.records.batches import BatchedPage, RecordBatch, RowBatch, batches, key_columns
from cdrctl.records.columns import keys_of
from cdrctl.records.decoding import BatchDecoder
from cdrctl.records.events import Page, Record
from cdrctl.records.schemas import Schema, common, native, raw
from cdrctl.records.shapes import MOST_REFITS
from tests.support.examples import examples
from tests.support.products import for_each

CALLS = [call for name in PROVIDERS for call in load(name).calls if call.key_fields is not None]
OVERLAPPING = [
    *(load("kazoo").calls[0], load("voicenter").calls[0]),
    *(call for call in load("callgear").calls if call.name in {"legs", "calls"}),
]
"""The calls whose requests overlap."""

CONTEXT = {"timezone": "Europe/Berlin", "account_id": "a", "currency": "EUR"}
LOOK = writers.RenderOptions(width=100, zone=UTC, color=False)

texts = st.one_of(
    st.sampled_from(
        [
            "",
            "NA",
            "na",
            "true",
            "false",
            "12",
            "-3",
            "1.5",
            "a,b",
            'q"q',
            "x\ny",
            "\r",
            "\t",
            "=1",
            "é",
            "林",
            "},{",
            '"}, {"',
        ]
    ),
    st.sampled_from(
        [
            "2026-11-19T08:00:00.123Z",
            "2026-11-19T08:00:00.1234567Z",
            "2026-11-19T08:00:00Z",
            "2026-11-19T08:00:00.123+02:00",
            "2026-13-19T08:00:00.123Z",
            "2026-11-19T24:00:00.000Z",
            "2026-11-19 08:00",
            "2026-11-19T08:00:00Z ",
            "2026-10-25 02:30:00",
            "2026-03-29 02:30:00",
            "2026-11-19 08:00:60",
            "1970-01-01 01:00:00",
            "0001-01-01T00:00:00Z",
            "2026-11-19_08:00:00",
            "63962266899",
            "1795047699.167152",
            "0",
            "12345678901234567890123",
            "٣",
            '"2026-11-19"',
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
values = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from("ab"), texts, max_size=2),
    st.lists(st.dictionaries(st.sampled_from("ab"), texts, max_size=2), max_size=3),
)


USUAL = {
    "DateEpoch": 1_795_047_699,
    "CdrType": 4,
    "Date": "2026-11-19T00:21:39Z",
    "unix_timestamp": "1795047699",
    "duration_seconds": 3,
    "interaction_id": "63962266899-x",
    "start_time": "2026-11-19 00:21:39",
}


def records_of(call: Call) -> st.SearchStrategy[list[Record]]:
    """Return pages of similar records, with odd values, missing fields and new fields."""
    assert call.key_fields is not None
    identity = call.key_fields.identity
    numbered = call.key_fields.numbered
    keys = list(dict.fromkeys(column.key for column in call.columns if not column.key.startswith("@")))
    nothing = {key: USUAL.get(key, "") for key in keys}
    usual = st.dictionaries(st.sampled_from(keys), texts, max_size=8)
    odd = st.dictionaries(st.sampled_from([*keys[::7], "Brand new"]), values, max_size=2)
    lacking = st.lists(st.sampled_from(keys), max_size=2)
    one = st.tuples(usual, odd, lacking, st.integers(0, 999)).map(
        lambda parts: {
            **{key: value for key, value in {**nothing, **parts[0], **parts[1]}.items() if key not in parts[2]},
            identity: parts[3] if numbered and parts[3] % 2 else f"id-{parts[3]}",
        }
    )
    return st.lists(one, min_size=1, max_size=5)


def reader_of(call: Call, *, raws: bool = False, few: int | None = None) -> BatchDecoder:
    """Return a decoder; with `few`, one that treats every page as a large one."""
    assert call.key_fields is not None
    if few is None:
        return BatchDecoder(call.columns, call.key_fields, raw=raws)
    return BatchDecoder(call.columns, call.key_fields, raw=raws, large=0, few=few)


def read(call: Call, records: Sequence[Record], reader: BatchDecoder | None = None, separators: Any = None) -> Any:
    body = json.dumps({"count": len(records), "items": records}, ensure_ascii=False, separators=separators).encode()
    return (reader or reader_of(call))(bytearray(body), ("items",))


def written(schema: Schema, pages: Sequence[Sequence[Record]], form: str) -> bytes:
    out = io.BytesIO()
    parts = (part for page in pages for part in batches(page))
    writers.load(form)(schema, (schema.rows(Page(part, CONTEXT)) for part in parts), out, LOOK)
    return out.getvalue()


fews = st.sampled_from([None, 1, 2, 3])
separators = st.sampled_from([None, (",", ":"), (" , ", " : "), (",\n ", ":\t")])


def schemas(call: Call, told: list[str]) -> dict[str, Callable[[], Schema]]:
    chosen = [call.columns[at].name for at in (0, 5, 3)]
    return {
        "native": lambda: native(call.columns, None, told.append, call.expected),
        "some": lambda: native(call.columns, [*chosen, "extra"], told.append, call.expected),
        "common": lambda: common(
            call.columns, call.common or dict, None, told.append, provider="p", profile="q", known=call.expected
        ),
    }


@pytest.mark.thin
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.columns[0].name + call.name)
@pytest.mark.parametrize("kind", ["native", "some", "common"])
@given(data=st.data())
@examples(30)
def test_a_batch_gives_the_same_as_its_records(call: Call, kind: str, data: st.DataObject) -> None:
    """The same warnings, and the same content in every format: byte for byte where the format defines the bytes."""
    assert call.key_fields is not None
    pages = data.draw(st.lists(records_of(call), min_size=1, max_size=3))
    few = data.draw(fews)
    reader = reader_of(call, few=few)
    decoded = []
    for page in pages:
        body = read(call, page, reader, data.draw(separators))
        decoded.append(page if body is None else body["items"])
        assert body is None or (
            isinstance(body["items"], BatchedPage if few else RecordBatch) and body["count"] == len(page)
        )
    for form in ("csv", "tsv", "json", "jsonl"):
        slow: list[str] = []
        fast: list[str] = []
        expected = written(schemas(call, slow)[kind](), pages, form)
        got = written(schemas(call, fast)[kind](), decoded, form)
        if form == "jsonl":  # escapes may be written in several ways
            assert [json.loads(line) for line in got.splitlines()] == [
                json.loads(line) for line in expected.splitlines()
            ]
            assert got.count(b"\n") == expected.count(b"\n")
        else:
            assert got == expected
        assert sorted(fast) == sorted(slow)


@pytest.mark.thin
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.columns[0].name + call.name)
@given(data=st.data())
@examples(60)
def test_an_archive_writes_a_batch_like_its_records(call: Call, data: st.DataObject) -> None:
    """Byte for byte: records decoded in the other way the next night would otherwise count as changed."""
    page = data.draw(records_of(call))
    body = read(call, page)
    if body is None:
        return
    schema = native(call.columns, None, lambda _: None, call.expected)
    spelt: Any = canonical.json_lines(schema)
    assert spelt(schema.rows(Page(body["items"], CONTEXT))) == spelt(schema.rows(Page(page, CONTEXT)))


@pytest.mark.thin
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.columns[0].name + call.name)
@given(data=st.data())
@examples(40)
def test_a_batch_is_a_sequence_of_its_records(call: Call, data: st.DataObject) -> None:
    """Except for fields that are missing or null, which mean the same as empty ones."""
    page = data.draw(records_of(call))
    body = read(call, page, reader_of(call, few=data.draw(fews)), data.draw(separators))
    if body is None:
        return
    batch = body["items"]
    assert call.key_fields is not None
    assert key_columns(batch) is not None
    assert list(starts_of(Page(batch, CONTEXT), call)) == [call.starts(one, CONTEXT) for one in page]
    assert list(identities(batch, call.identity)) == [*map(call.identity, page)]
    assert len(batch) == len(page)
    said = [{key: value for key, value in one.items() if value not in ("", None)} for one in batch]
    assert said == [{key: value for key, value in one.items() if value not in ("", None)} for one in page]
    assert list(batch[1:]) == list(batch)[1:]
    assert batch[-1] == list(batch)[-1]


@pytest.mark.thin
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.columns[0].name + call.name)
@given(data=st.data())
@examples(40)
def test_a_record_has_the_same_fingerprint_on_a_page_that_is_read_record_by_record(
    call: Call, data: st.DataObject
) -> None:
    """Otherwise a record that comes on a page of each kind would be written twice."""
    page = data.draw(records_of(call))
    body = read(call, page, reader_of(call, few=data.draw(fews)))
    keys = keys_of(call.columns)
    if body is not None:
        assert list(contents_of(body["items"], keys)) == list(contents_of(page, keys))


@pytest.mark.parametrize("call", OVERLAPPING, ids=lambda call: call.columns[0].name + call.name)
@given(data=st.data())
@examples(20)
def test_raw_records_of_overlapping_requests_have_the_fingerprints_of_plain_ones(
    call: Call, data: st.DataObject
) -> None:
    page = data.draw(records_of(call))
    body = read(call, page, reader_of(call, raws=True))
    if body is not None:
        keys = keys_of(call.columns)
        assert list(contents_of(body["items"], keys)) == list(contents_of(page, keys))


@pytest.mark.thin
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.columns[0].name + call.name)
@given(data=st.data())
@examples(40)
def test_raw_records_are_unchanged(call: Call, data: st.DataObject) -> None:
    page = data.draw(records_of(call))
    body = read(call, page, reader_of(call, raws=True, few=data.draw(fews)))
    assert call.key_fields is not None
    if call.key_fields.distinct and body is None:
        return
    assert body is not None
    batch = body["items"]
    lines = written(raw(), [batch], "jsonl").split(b"\n")
    assert lines == [*(json.dumps(one, ensure_ascii=False).encode() for one in page), b""]
    assert json.loads(written(raw(), [batch], "json")) == page
    assert list(batch) == page


WEBEX = load("webex").calls[0]
ALIKE = {column.key: "" for column in WEBEX.columns}


def alike(**more: Any) -> Record:
    return {**ALIKE, "Report ID": "1", "Start time": "2026-11-19T08:00:00.123Z", **more}


@for_each(
    "body",
    [
        b'{"items": []}',
        b'{"items": {}}',
        b'{"items": null}',
        b'{"items": [1]}',
        b"[]",
        b"",
        b'{"other": []}',
        b'{"items": [{}]}',
        b'{"items": [{"Report ID": ""}]}',
        b'{"items": [{"Report ID": null}]}',
        b'{"items": [{"Report ID": 7}]}',
        b'{"items": [{"report id": "1"}]}',
        b'{"items": [{"Report ID": "1", "report id": "2"}]}',
        b'{"items": [{"Report ID": "1"}',
        b'{"items": [{"Report ID": "1"}]} x',
        b'{"items": [{"Report ID": "1"}], "x": NaN}',
        b'{"items": [{"Report ID": "\xff"}]}',
        b'{"items": [{"Report ID": "1", "User": "\\ud800"}]}',
        b'{"items": [{"Report ID": "1", "User": 1e999}]}',
    ],
)
def test_bodies_that_do_not_fit_a_batch_are_not_decoded_by_column(body: bytes) -> None:
    assert WEBEX.key_fields is not None
    assert BatchDecoder(WEBEX.columns, WEBEX.key_fields, raw=False)(bytearray(body), ("items",)) is None


@for_each(
    "body",
    [
        b'{"items": [{"Report ID": "1"},\n{"Report ID": "2"}]}',
        b'{"items": [{"Report ID": "1", "User": "\xff"}]}',
        b'{"items": [{"Report ID": "1", "User": 01}]}',
        b'{"items": [{"User": "x"}]}',
    ],
)
def test_bodies_that_do_not_fit_raw_lines_are_not_decoded_by_column(body: bytes) -> None:
    assert WEBEX.key_fields is not None
    assert BatchDecoder(WEBEX.columns, WEBEX.key_fields, raw=True)(bytearray(body), ("items",)) is None


@for_each("blanks", ["", " ", "\n  "])
def test_the_fields_beside_the_records_are_decoded(blanks: str) -> None:
    assert WEBEX.key_fields is not None
    reader = BatchDecoder(WEBEX.columns, WEBEX.key_fields, raw=False)
    text = f'{blanks}{{{blanks}"items"{blanks}:{blanks}{json.dumps([alike()])}{blanks}}}{blanks}'
    body = reader(bytearray(text.encode()), ("items",))
    assert list(body) == ["items"]
    assert len(body["items"]) == 1
    more = json.dumps({"items": [alike()], "more": [{"a": 1}]})
    assert reader(bytearray(more.encode()), ("items",))["more"] == [{"a": 1}]


def test_pages_with_new_fields_or_types_are_still_batches() -> None:
    assert WEBEX.key_fields is not None
    reader = reader_of(WEBEX)
    for page in ([alike()], [alike(), alike(New=1)], [alike(User=7)], [alike()], [alike(New="x")]):
        assert isinstance(read(WEBEX, page, reader)["items"], RecordBatch)


def test_after_too_many_refits_pages_are_no_longer_batches() -> None:
    assert WEBEX.key_fields is not None
    reader = reader_of(WEBEX)
    found = [read(WEBEX, [alike(**{f"New {page}": 1})], reader) for page in range(MOST_REFITS + 3)]
    assert [one is not None for one in found] == [True] * MOST_REFITS + [False] * 3


def test_most_pages_are_row_batches() -> None:
    """That is, the other tests do compare pages decoded by column."""
    body = read(WEBEX, [alike(Duration=3), alike(Duration=4)])
    table = native(WEBEX.columns, None, lambda _: None, WEBEX.expected).rows(Page(body["items"]))
    assert isinstance(table, RowBatch)
    assert [row[13] for row in table] == [3, 4]
    assert table[0] == next(iter(table))
    assert [list(row) for row in table[1:]] == [list(table)[1]]


def batched_page_of(text: str | bytes, few: int) -> BatchedPage:
    body = text.encode() if isinstance(text, str) else text
    batched = reader_of(WEBEX, few=few)(bytearray(b'{"items": [' + body + b"]}"), ("items",))["items"]
    assert isinstance(batched, BatchedPage)
    return batched


@for_each("first", [0, 9, 10], ids=["the first alone", "all but the last", "all"])
def test_a_large_page_is_cut_whatever_key_its_records_begin_with(first: int) -> None:
    records = [alike(**{"Report ID": f"{at}"}) for at in range(10)]
    turned = [one if at <= first else dict(reversed(one.items())) for at, one in enumerate(records)]
    parts = [*batched_page_of(", ".join(map(json.dumps, turned)), few=3).batches()]
    assert all(isinstance(part, RecordBatch) for part in parts)
    assert max(map(len, parts)) <= 7
    assert [one["Report ID"] for part in parts for one in part] == [f"{at}" for at in range(10)]


def test_a_large_page_is_decoded_in_batches_and_repeatedly() -> None:
    batched = batched_page_of(", ".join(json.dumps(alike(**{"Report ID": f"{at}"})) for at in range(10)), few=3)
    for _ in range(2):
        parts = [*batched.batches()]
        assert all(isinstance(part, RecordBatch) for part in parts)
        assert [len(part) for part in parts] == [4, 3, 3]  # about as many records
        assert [one["Report ID"] for part in parts for one in part] == [f"{at}" for at in range(10)]
    assert batched[4]["Report ID"] == "4"
    assert [one["Report ID"] for one in batched[8:]] == ["8", "9"]


@pytest.mark.parametrize("odd", ["}, {", [{}, {}, {"a": "}, {"}]])
def test_braces_in_strings_do_not_split_a_record(odd: Any) -> None:
    records = [alike(**{"Report ID": f"{at}", "User": odd if at % 2 else "x"}) for at in range(9)]
    text = ", ".join(map(json.dumps, records))
    for few in (1, 2, 3, 4):
        assert [one["User"] for one in batched_page_of(text, few)] == ["x", odd] * 4 + ["x"]


def test_only_the_part_that_does_not_fit_a_batch_is_a_list() -> None:
    records = [json.dumps(alike(**{"Report ID": f"{at}", "User": "x"})) for at in range(6)]
    records[0] = records[0].replace('"x"', "1e999")
    parts = [*batched_page_of(",".join(records), few=2).batches()]
    assert [type(part) for part in parts] == [list, RecordBatch, RecordBatch]
    assert [one["User"] for part in parts for one in part] == [float("inf"), *"xxxxx"]


def test_invalid_utf_8_removes_no_record_of_a_large_page() -> None:
    records = [b'{"Report ID": "%d"}' % at for at in range(5)]
    parts = batched_page_of(b", ".join([*records, b'{"Report ID": "5", "User": "\xff"}']), few=1).batches()
    found = [mend(one, Damage(), raw=False) for part in parts for one in part]
    assert [one["Report ID"] for one in found] == ["0", "1", "2", "3", "4", "5"]
    assert found[-1]["User"] == "\ufffd"


def deepest_of(value: Any) -> Any:
    while not isinstance(value, str):
        value = [*value.values()][-1] if isinstance(value, dict) else value[-1]
    return value


@for_each("depth", [DEEPEST + 1, 500, 5_000, 200_000])
def test_values_nested_too_deep_to_be_written_are_unreadable(depth: int) -> None:
    body = b'{"items": [{"Report ID": "1", "User": ' + b"[" * depth + b"]" * depth + b"}]}"
    assert reader_of(WEBEX)(bytearray(body), ("items",)) is None
    for few, raws in ((1, False), (1, True), (None, True)):
        found = reader_of(WEBEX, raws=raws, few=few)(bytearray(body), ("items",))
        if found is not None:
            assert isinstance(deepest_of([*found["items"]]), Unreadable)
    deep = DEEPEST - 3  # the object and the list of the page, and the record; the rest is the field
    deepest = b'{"items": [{"Report ID": "1", "User": ' + b"[" * deep + b"]" * deep + b"}]}"
    rows = [*reader_of(WEBEX)(bytearray(deepest), ("items",))["items"]]
    assert rows[0]["User"] == json.loads(b"[" * deep + b"]" * deep)


def test_raw_records_that_meet_a_condition_are_the_original_bytes() -> None:
    body = b'{"items": [{"Report ID" : "1", "Rate": 1.10}, {"Report ID":"2", "Rate": 2.50}, {"Report ID":"3"}]}'
    batch = reader_of(WEBEX, raws=True)(bytearray(body), ("items",))["items"]
    chosen = Selection(condition=read_condition("Rate>1.2 or `Report ID`=1"))
    now = datetime(2026, 11, 20, tzinfo=UTC)
    keep = row_filter(chosen, raw(), zone=UTC, now=now, warn=lambda _: None, unseen=set())
    assert keep is not None
    out = io.BytesIO()
    writers.load("jsonl")(raw(), [keep(part) for part in batches(batch)], out, LOOK)
    assert out.getvalue() == b'{"Report ID" : "1", "Rate": 1.10}\n{"Report ID":"2", "Rate": 2.50}\n'


def test_several_threads_may_use_one_decoder() -> None:
    """New fields found by one thread count for all, and no thread sees a partial update."""
    reader = reader_of(WEBEX)
    pages = [[alike(**{f"New {at % 3}": at})] for at in range(60)]
    with ThreadPoolExecutor(8) as threads:
        found = [*threads.map(lambda page: read(WEBEX, page, reader), pages)]
    assert [one is None or [*one["items"]] == page for one, page in zip(found, pages, strict=True)] == [True] * 60


@for_each("call", CALLS)
def test_the_decoders_of_many_profiles_add_no_classes(call: Call) -> None:
    marks = call.key_fields
    assert marks is not None

    def decode() -> None:
        record = {marks.identity: "1", marks.start: "", "a field of no column": [1]}
        BatchDecoder(call.columns, marks, raw=False).records_of(json.dumps([record]).encode())

    decode()
    before = set(msgspec.Struct.__subclasses__())
    decode()
    assert set(msgspec.Struct.__subclasses__()) == before


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_records_of_the_sandbox_are_read_by_column(provider: str) -> None:
    """Their identities, starts and rows are those of the same records read one by one."""
    until = datetime(2026, 11, 20, tzinfo=UTC)
    calls = [call for call in CALLS if call in load(provider).calls]
    with sandbox.start(now=lambda: until, providers=[provider]) as running:
        pages = {call.name: running.truth(provider, call.name, until - timedelta(days=1), until) for call in calls}
    for call in calls:
        plain = Page(pages[call.name], CONTEXT)
        assert call.key_fields is not None
        body = read(call, plain.records)
        assert body is not None
        batch = body["items"]
        assert isinstance(batch, RecordBatch)
        assert list(batch.starts_in(CONTEXT)) == [call.starts(one, CONTEXT) for one in plain.records]
        assert list(batch.identities) == [*map(call.identity, plain.records)]
        schema = native(call.columns, None, lambda _: None, call.expected)
        table = schema.rows(Page(batch, CONTEXT))
        assert isinstance(table, RowBatch)
        assert [*table] == schema.rows(plain)
