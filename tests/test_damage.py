"""Damage affects one record at most: what is read, what is repaired, and what cannot be represented."""

from __future__ import annotations

import json
from typing import Any

import pydantic_core
from hypothesis import given, strategies as st

from cdrctl.damage import DEEPEST, Damage, Unreadable, from_json, is_undamaged, loads, mend, shallow, text_of
from cdrctl.http import exchange
from cdrctl.mending import mender
from cdrctl.records.events import Page
from tests.support.products import for_each

NASTY = {
    "a byte of Latin-1": (b"Ren\xe9 Roy", "Ren\ufffd Roy"),
    "a byte that is never UTF-8": (b"a\xf9b", "a\ufffdb"),
    "a character cut in two": (b"Jos\xc3", "Jos\ufffd"),
    "three of four bytes": (b"a\xf0\x9f\x98", "a\ufffd"),
    "an overlong slash": (b"\xc0\xaf", "\ufffd\ufffd"),
    "CESU-8": (b"\xed\xa0\xbd\xed\xb8\x80", "\ufffd" * 6),
    "beyond Unicode": (b"\xf5\x80\x80\x80", "\ufffd" * 4),
}


def read(body: bytes, content_type: str = "application/json") -> Any:
    decoded, text = exchange.decode(bytearray(body), content_type)
    assert text == ""
    return decoded


@for_each("what", NASTY)
def test_invalid_utf_8_is_replaced_as_by_pythons_decoder(what: str) -> None:
    sent, right = NASTY[what]
    assert sent.decode("utf-8", "replace") == right
    damage = Damage()
    assert mend(read(b'{"name":"%b","n":1}' % sent), damage, raw=True) == {"name": right, "n": 1}
    assert (damage.bytes, damage.halves, damage.unreadable) == (True, False, [])


@given(st.binary(max_size=30))
def test_any_bytes_within_a_string_are_read(sent: bytes) -> None:
    sent = bytes(byte for byte in sent if byte not in b'"\\')
    found = mend(read(b'{"before":1,"name":"%b"}' % sent), Damage(), raw=False)
    assert found["name"] == sent.decode("utf-8", "replace")


@given(st.binary(min_size=1, max_size=30), st.integers(1, 20))
def test_a_truncated_body_is_refused(sent: bytes, cut: int) -> None:
    sent = bytes(byte for byte in sent if byte not in b'"\\')
    body = b'{"items":[{"name":"%b","answered":true}]}' % sent
    assert exchange.decode(bytearray(body[:-cut]))[0] is None


@for_each("charset", ["iso-8859-1", "ISO-8859-1", '"windows-1252"', "latin1", "iso-8859-8", "cp1252"])
def test_the_charset_is_used_for_a_body_that_is_not_utf_8(charset: str) -> None:
    name = "\u05d0" if "8859-8" in charset else "Ren\xe9"
    body = json.dumps({"name": name}, ensure_ascii=False)
    kind = f"application/json; charset={charset}"
    assert read(body.encode(charset.strip('"')), kind) == {"name": name}
    assert read(body.encode(), kind) == {"name": name}


@for_each("charset", ["utf-8", "zip", "punycode", "unicode_escape", "nonsense", "utf-7", "cp99999"])
def test_any_other_charset_changes_nothing(charset: str) -> None:
    found = read(b'{"name":"Ren\xe9"}', f"application/json;charset={charset}")
    assert mend(found, Damage(), raw=False) == {"name": "Ren\ufffd"}


@for_each("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_other_encodings_of_json_are_read(encoding: str) -> None:
    assert read(json.dumps({"name": "Ren\xe9 \U0001f600"}, ensure_ascii=False).encode(encoding)) == {
        "name": "Ren\xe9 \U0001f600"
    }


@for_each(
    "sent, right",
    [(r"\ud83d lone", "\ufffd lone"), (r"\ude00", "\ufffd"), (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600")],
)
def test_half_a_surrogate_pair_is_replaced_except_in_raw_records(sent: str, right: str) -> None:
    body = f'{{"{sent}":["{sent}",{{"a":"{sent}"}}]}}'
    found, damage = read(body.encode()), Damage()
    assert not is_undamaged([found])
    assert mend(found, damage, raw=False) == {right: [right, {"a": right}]}
    assert (damage.bytes, damage.halves) == (False, True)
    assert mend(found, Damage(), raw=True) == json.loads(body)


@for_each("half", [0xD800, 0xDBFF, 0xDC00, 0xDFFE, 0xDFFF])
def test_half_a_surrogate_pair_stays_in_raw_records_beside_invalid_bytes(half: int) -> None:
    body = b'{"name":"\\u%x\xf9\\u%x\\u%x \xf9"}' % (half, half, half)
    expected = f"{chr(half)}\ufffd{chr(half)}{chr(half)} \ufffd"
    damage = Damage()
    assert mend(read(body), damage, raw=True) == {"name": expected}
    assert damage.bytes
    assert mend(read(body), Damage(), raw=False) == {"name": "\ufffd" * 4 + " \ufffd"}


def test_keys_that_differ_only_in_invalid_bytes_are_both_kept() -> None:
    found = mend(read(rb'{"\ud83d":1,"\ud83e":2}'), Damage(), raw=False)
    assert sorted(found.values()) == [1, 2]


@for_each("depth", [DEEPEST, 300, 2_000, 100_000])
@for_each("pair", [(b"[", b"]"), (b'{"a":', b"}")])
def test_a_value_nested_too_deep_damages_only_its_record(depth: int, pair: tuple[bytes, bytes]) -> None:
    deep = pair[0] * depth + b'"]}"' + pair[1] * depth
    first, second, third = read(b'[{"id":1},{"id":2,"ai":%b},{"id":3,"s":"[[{"}]' % deep)
    damage = Damage()
    mend(second, damage, raw=False)
    assert (first, third) == ({"id": 1}, {"id": 3, "s": "[[{"})
    assert damage.unreadable == [f"a value nested deeper than {DEEPEST} in ai"]
    assert not is_undamaged([second])


@for_each("digits", [4301, 5_000, 1_000_000])
def test_an_integer_of_too_many_digits_damages_only_its_record(digits: int) -> None:
    first, second = read(b'[{"id":1},{"id":2,"n":-%b}]' % (b"9" * digits))
    damage = Damage()
    mend(second, damage, raw=False)
    assert first == {"id": 1}
    assert damage.unreadable == ["an integer of more than 4300 digits in n"]


def test_an_integer_of_4300_digits_is_read() -> None:
    assert read(b'{"id":%b,"name":"\xf9"}' % (b"9" * 4300))["id"] == 10**4300 - 1


def test_the_last_of_equal_keys_counts_with_every_decoder() -> None:
    assert read(b'{"a":1,"a":2}')["a"] == read(b'{"a":1,"a":2,"name":"\xf9"}')["a"] == 2


def test_control_characters_within_a_string_are_read() -> None:
    assert read(b'{"name":"a\x01b\nc\x00"}') == {"name": "a\x01b\nc\x00"}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_undamaged_records_are_unchanged(value: Any) -> None:
    damage = Damage()
    assert is_undamaged([value])
    assert mend(value, damage, raw=False) == value
    assert damage == Damage()
    assert loads(text_of(json.dumps(value).encode())) == value
    assert shallow(value)


def test_a_string_is_never_taken_for_an_unreadable_value() -> None:
    assert not isinstance(read(b'{"a":"an integer of more than 4300 digits"}')["a"], Unreadable)


def test_removing_a_record_keeps_the_context_and_positions_of_the_page() -> None:
    told: list[object] = []
    records = [read(body) for body in (b'{"id":"1","n":%b}' % (b"9" * 5000), b'{"id":"2"}', b'{"id":"3","s":"\xf9"}')]
    page = Page(records, {"site": "Z\udfffrich"}, frozenset({0, 2}))
    found = mender(lambda record: str(record["id"]), told.append, told.append, raw=False)(page)
    assert found == Page([{"id": "2"}, {"id": "3", "s": "\ufffd"}], {"site": "Z\ufffdrich"}, frozenset({1}))
    assert len(told) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
)


def by_pydantic(text: bytes) -> str:
    """Return the value that pydantic's decoder reads from a text, or `refused`."""
    try:
        return repr(pydantic_core.from_json(text))
    except ValueError:
        return "refused"


def by_us(text: bytes | memoryview) -> str:
    try:
        return repr(from_json(text))
    except ValueError:
        return "refused"


@given(JSON.map(json.dumps).map(str.encode))
def test_json_is_decoded_as_by_pydantic(text: bytes) -> None:
    assert by_us(text) == by_pydantic(text)


@for_each(
    "text",
    [
        *(b"[" * depth + b"]" * depth for depth in (199, 200, 201, 202, 100_000)),
        *(b'{"a":' * depth + b"1" + b"}" * depth for depth in (199, 200, 201, 202)),
        *(b"NaN", b"-Infinity", b"1e400", b"123456789012345678901234567890", b"-0", b"-0.0", b"0.1e-7", b"01", b"1."),
        *(b'"\\ud800"', b'"\xff"', b'"\x00"', b'"\\u0000"', b"", b" ", b"1 2", b"\xef\xbb\xbf1", b'{"a":1,"a":2}'),
        *(b"5e-324", b"2.2250738585072011e-308", b"9007199254740993.0", b"18446744073709551616", b"1" * 5000),
    ],
)
def test_odd_json_is_decoded_as_by_pydantic(text: bytes) -> None:
    assert by_us(text) == by_pydantic(text)
    assert by_us(memoryview(text)) == by_us(text)
