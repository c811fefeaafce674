"""From raw records to rows: typed where a column can read the value, else unchanged, and nothing is lost."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cdrctl.errors import ProviderError, UsageError
from cdrctl.records.columns import EXTRA, Column, snake_case
from cdrctl.records.common import COMMON
from cdrctl.records.events import Page, check_records, fingerprint, pick
from cdrctl.records.readers import (
    GREGORIAN_UNIX_OFFSET,
    gregorian_instant,
    iso_instant,
    read_boolean,
    read_decimal,
    read_gregorian_time,
    read_integer,
    read_iso_time,
    read_list,
    read_text,
    read_units,
    seconds_between,
    unix_instant,
)
from cdrctl.records.schemas import common, native, raw
from tests.support.examples import examples
from tests.support.products import for_each

REFUSED = object()


@for_each(
    "read, came, value",
    [
        (read_text, "x", "x"),
        (read_text, 12, "12"),
        (read_text, 1.5, "1.5"),
        (read_text, True, "true"),
        (read_text, False, "false"),
        (read_text, [1], REFUSED),
        (read_text, {}, REFUSED),
        (read_integer, 8, 8),
        (read_integer, 8.0, 8),
        (read_integer, "8", 8),
        (read_integer, " -240 ", -240),
        (read_integer, "+8.00", 8),
        (read_integer, "8.", 8),
        (read_integer, 10**30, 10**30),
        (read_integer, 8.5, REFUSED),
        (read_integer, "8.5", REFUSED),
        (read_integer, float("inf"), REFUSED),
        (read_integer, float("nan"), REFUSED),
        (read_integer, True, REFUSED),
        (read_integer, "1e3", REFUSED),
        (read_integer, "\u0663", REFUSED),
        (read_integer, "1" * 19, REFUSED),
        (read_integer, "", REFUSED),
        (read_integer, [], REFUSED),
        (read_decimal, "0.0100", "0.0100"),
        (read_decimal, " -1.50 ", "-1.50"),
        (read_decimal, ".5", ".5"),
        (read_decimal, 1e-7, "0.0000001"),
        (read_decimal, 3, "3"),
        (read_decimal, " 1.50000000000000000000e+00 ", "1.5"),
        (read_decimal, "-2E-3", "-0.002"),
        (read_decimal, "1e99", "1" + "0" * 99),
        (read_decimal, "1e100", REFUSED),
        (read_decimal, "1.0e+01", "10"),
        (read_decimal, "0.00e-05", "0"),
        (read_decimal, "e1", REFUSED),
        (read_decimal, True, REFUSED),
        (read_decimal, float("inf"), REFUSED),
        (read_decimal, float("nan"), REFUSED),
        (read_decimal, "1,5", REFUSED),
        (read_decimal, ".", REFUSED),
        (read_decimal, None, REFUSED),
        (read_boolean, True, True),
        (read_boolean, " TRUE ", True),
        (read_boolean, "false", False),
        (read_boolean, "yes", REFUSED),
        (read_boolean, 1, REFUSED),
        (read_list, [1], [1]),
        (read_list, {"a": 1}, {"a": 1}),
        (read_list, "[]", REFUSED),
        (read_iso_time, "2026-11-19T08:00:00.123Z", "2026-11-19T08:00:00.123Z"),
        (read_iso_time, "2023-10-12 21:22:32.621", "2023-10-12T21:22:32.621Z"),
        (read_iso_time, "2026-11-19T08:00:00.123456+02:00", "2026-11-19T06:00:00.123Z"),
        (read_iso_time, "2026-11-19t08:00:00.123z", "2026-11-19T08:00:00.123Z"),  # RFC 3339, section 5.6
        (read_iso_time, "2026-W47-4T08:00:00.123Z", "2026-11-19T08:00:00.123Z"),
        (read_iso_time, "2026-02-30T08:00:00.123Z", REFUSED),
        (read_iso_time, "2026-11-19T25:00:00.123Z", REFUSED),
        (read_iso_time, "0001-01-01T00:00:00+01:00", REFUSED),
        (read_iso_time, "2026-11-19T08:00:00" + "0" * 30, REFUSED),
        (read_iso_time, 1, REFUSED),
        (read_iso_time, "NA", REFUSED),
        (read_gregorian_time, "63602540915", "2015-06-26T12:28:35.000Z"),
        (read_gregorian_time, 10**30, REFUSED),
        (read_units, "12345", "1.2345"),
        (read_units, 7, "0.0007"),
        (read_units, -7, "-0.0007"),
        (read_units, 10**40, f"{10**36}.0000"),
        (read_units, "1.5", "0.00015"),
        (read_units, -1.25, "-0.000125"),
        (read_units, "1.25000000000000000000e+03", "0.1250"),
        (read_units, "1,5", REFUSED),
    ],
)
def test_a_reader_converts_or_refuses_a_value(read: Any, came: Any, value: Any) -> None:
    if value is REFUSED:
        with pytest.raises(ValueError):  # noqa: PT011 - the contract is the type
            read(came)
    else:
        assert read(came) == value
        assert type(read(came)) is type(value)


def test_amounts_in_smaller_units_are_converted() -> None:
    assert read_units(1234, per_unit=100) == "12.34"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.from_regex(r"[0-9:.TZ+-]{1,30}"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)


@pytest.mark.slow
@given(anything)
@examples(400)
def test_readers_raise_only_value_error(came: Any) -> None:
    readers = (read_text, read_integer, read_decimal, read_boolean, read_list, read_iso_time, read_gregorian_time)
    for read in (*readers, read_units, iso_instant, unix_instant, gregorian_instant):
        with suppress(ValueError):
            read(came)


def test_instants_are_in_utc() -> None:
    instant = datetime(2015, 6, 26, 12, 28, 35, tzinfo=UTC)
    seconds = int(instant.timestamp())
    assert gregorian_instant(seconds + GREGORIAN_UNIX_OFFSET) == unix_instant(str(seconds)) == instant
    assert unix_instant("0.25") == datetime(1970, 1, 1, microsecond=250_000, tzinfo=UTC)
    assert iso_instant("2015-06-26T14:28:35+02:00") == instant


# Rows

COLUMNS = (
    Column("device_mac", "Device MAC", null_words=frozenset({"na"})),
    Column("country", "Country"),
    Column("duration", "Duration", "seconds"),
    Column("start", "Start", "time"),
    Column("vars.owner", "vars.owner"),
    Column("vars.deep.price", "vars.deep.price", "decimal"),
    Column("account", "@account"),
    Column("tags", "Tags", "list"),
)


def as_dict(record: dict[str, Any], columns: tuple[Column, ...] = COLUMNS, **context: str) -> dict[str, Any]:
    schema = native(columns, None, lambda _: None)
    (row,) = schema.rows(Page([record], context))
    assert schema.columns is not None
    return dict(zip([column.name for column in schema.columns], row, strict=True))


def test_keys_match_in_any_letter_case() -> None:
    read = as_dict({"DEVICE mac": "a", "duration": "8"})
    assert (read["device_mac"], read["duration"], read[EXTRA]) == ("a", 8, None)


@pytest.mark.parametrize("order", [("Device MAC", "Device Mac"), ("Device Mac", "Device MAC")])
def test_the_exact_key_has_precedence_and_the_other_is_kept(order: tuple[str, str]) -> None:
    values = {"Device MAC": "exact", "Device Mac": "other"}
    read = as_dict({key: values[key] for key in order})
    assert read["device_mac"] == "exact"
    assert read[EXTRA] == {"Device Mac": "other"}


def test_null_words_are_null_only_in_their_columns() -> None:
    read = as_dict({"Device MAC": "na", "Country": "na", "Duration": ""})
    assert (read["device_mac"], read["country"], read["duration"]) == (None, "na", None)


def test_objects_are_spread_under_dotted_names() -> None:
    read = as_dict({"Vars": {"OWNER": "o", "deep": {"price": 1.5, "x": 1}, "new": {"y": 2}, "none": {}}})
    assert (read["vars.owner"], read["vars.deep.price"]) == ("o", "1.5")
    assert read[EXTRA] == {"vars.deep.x": 1, "vars.new": {"y": 2}, "vars.none": {}}


def test_a_value_in_place_of_an_object_is_kept() -> None:
    odds: list[Any] = [[1], "text", {}, {"deep": {}}, {"deep": 5}]
    for odd in odds:
        kept = json.dumps(as_dict({"vars": odd})[EXTRA])
        assert json.dumps(odd if not isinstance(odd, dict) or not odd else odd["deep"]) in kept


def test_values_with_clashing_names_are_all_kept() -> None:
    record = {"vars": {"owner": 1}, "vars.owner": 2, "vars.owner.": 3, "Vars": {"owner": 4}}
    read = as_dict(record)
    assert sorted([read["vars.owner"], *map(str, read[EXTRA].values())]) == ["1", "2", "3", "4"]


def test_unknown_fields_get_names_that_no_column_has() -> None:
    record = {"New Field": 1, "new-field": 2, "extra": 3, "Country": "x", "COUNTRY": "y", "@account": 4, "": 5, "é": 6}
    read = as_dict(record, account="a")
    assert read["account"] == "a"
    assert read[EXTRA]["new_field"] == 1
    names = {column.name for column in COLUMNS} | {EXTRA}
    assert not names & read[EXTRA].keys()
    assert sorted(map(str, read[EXTRA].values())) == ["1", "2", "3", "4", "5", "6", "y"]


def test_names_are_converted_to_snake_case() -> None:
    names = ("Local SessionID", "  A--b ", "custom.Deep Key", "\u00e9")
    assert [snake_case(name) for name in names] == ["local_sessionid", "a_b", "custom.deep_key", "\u00e9"]


def test_unreadable_values_are_kept_with_one_warning_per_column() -> None:
    warnings: list[str] = []
    schema = native(COLUMNS, None, warnings.append)
    came: list[dict[str, Any]] = [{"Duration": "long", "Start": "x" * 99}, {"Duration": [1], "Country": {"a": 1}}]
    rows: Any = schema.rows(Page(came))
    first, second = rows
    assert (first[2], first[3], second[2], second[1]) == ("long", "x" * 99, [1], {"a": 1})
    assert warnings == [
        "column duration: text came where a whole number of seconds is expected; such values pass as they came",
        "column start: text came where a time is expected; such values pass as they came",
        "column country: an object came where text is expected; such values pass as they came",
    ]


def test_an_arithmetic_error_of_a_reader_keeps_the_value() -> None:
    column = Column("share", "share", "decimal", read=lambda raw: str(1 / raw))
    assert as_dict({"share": 0}, (column,))["share"] == 0


def test_a_number_in_a_text_column_becomes_text() -> None:
    assert as_dict({"Country": 49, "Device MAC": True})["country"] == "49"


def test_records_of_many_shapes_are_read_in_the_same_way() -> None:
    schema = native(COLUMNS, None, lambda _: None)
    for n in range(600):
        for _ in range(2):
            ((*_rest, extra),) = schema.rows(Page([{f"f{n}": n, "Country": "x"}]))
            assert extra == {f"f{n}": n}


names = st.sampled_from(
    ["Country", "COUNTRY", "country", "vars", "Vars", "vars.owner", "owner", "deep", "price", "extra", "a b", "A b"]
) | st.text(max_size=3)
leaves = st.integers() | st.booleans() | st.text(max_size=5) | st.sampled_from(["na", "8", "2026-11-19"])
records = st.dictionaries(
    names,
    st.recursive(leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3)),
    max_size=6,
)


def leaves_of(value: Any) -> list[str]:
    """Return the values inside a value as text, in order, without null and the words for null."""
    if isinstance(value, dict):
        return sorted(leaf for inner in value.values() for leaf in leaves_of(inner))
    if isinstance(value, list):
        return sorted(leaf for inner in value for leaf in leaves_of(inner))
    if value is None or value in ("", "na"):
        return []
    return [str(value).lower().removesuffix("t00:00:00.000z")]


@pytest.mark.slow
@given(records)
@examples(500)
def test_no_value_of_a_record_is_lost_or_changed(record: dict[str, Any]) -> None:
    before = copy.deepcopy(record)
    row = as_dict(record)
    assert record == before
    assert leaves_of(row) == leaves_of(record)


def test_fields_are_in_the_order_of_the_choice() -> None:
    schema = native(COLUMNS, ["duration", "extra", "country"], lambda _: None)
    assert schema.columns is not None
    assert [column.name for column in schema.columns] == ["duration", EXTRA, "country"]
    assert schema.rows(Page([{"Country": "x", "Duration": 1, "New": 2}])) == [[1, {"new": 2}, "x"]]
    assert not schema.unfold


def test_an_unknown_field_is_refused_with_similar_names() -> None:
    with pytest.raises(UsageError, match="'contry'") as caught:
        native(COLUMNS, ["contry"], lambda _: None)
    assert (caught.value.hint or "").startswith("did you mean country? ")
    with pytest.raises(UsageError) as caught:
        common(COLUMNS, dict, ["zzz"], lambda _: None, provider="p", profile="q")
    assert caught.value.hint == "cdrctl fields PROVIDER CALL lists all fields"
    with pytest.raises(UsageError) as caught:
        native(COLUMNS, ["talk_seconds"], lambda _: None)
    assert (caught.value.hint or "").startswith("--schema common has it; ")


def test_raw_records_are_unchanged() -> None:
    page = Page([{"a": 1}])
    assert raw().rows(page) is page.records
    assert raw().columns is None


def test_a_page_that_is_not_a_list_of_objects_is_refused() -> None:
    assert check_records([{}], "items", "Acme") == [{}]
    odds: list[Any] = [None, {}, "x", [1], [{}, None]]
    for odd in odds:
        with pytest.raises(ProviderError, match="an unknown response"):
            check_records(odd, "items", "Acme")


def test_a_key_is_picked_in_any_letter_case_the_exact_one_first() -> None:
    assert pick({"report id": 1, "Report ID": 2}, "Report ID") == 2
    assert pick({"report id": 1}, "Report ID") == 1
    assert pick({}, "Report ID") is None


def test_a_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": {"c": "\ud800", "d": 2}}) == fingerprint({"b": {"d": 2, "c": "\ud800"}, "a": 1})
    assert len({fingerprint(record) for record in ({"a": 1}, {"a": "1"}, {"a": None}, {})}) == 4
    assert fingerprint({"id": "x"}) == "5e2b92cc57ce618dfbb54844a31775e4b95c6fb552ee6bf5a068133c12d2ad90"


def test_seconds_between_instants() -> None:
    assert seconds_between("2026-11-19T08:00:00.900Z", "2026-11-19T08:00:02.800Z") == 1
    assert seconds_between("2026-11-19T08:00:02.000Z", "2026-11-19T08:00:00.500Z") == -2
    for odd in (None, "soon", 5):
        assert seconds_between(odd, "2026-11-19T08:00:02.000Z") is None  # type: ignore[arg-type]
        assert seconds_between("2026-11-19T08:00:02.000Z", odd) is None  # type: ignore[arg-type]


# The common CDR


def test_the_common_cdr_has_its_columns_in_order() -> None:
    assert " ".join(column.name for column in COMMON) == (
        "provider profile record_id call_id direction from_number from_name to_number to_name dialed_number "
        "start_time answer_time end_time ring_seconds talk_seconds total_seconds answered outcome cause cause_q850 "
        "user site trunk queue recording_url cost currency"
    )


def test_the_common_cdr_is_made_of_typed_values() -> None:
    def to_common(leg: dict[str, Any]) -> dict[str, Any]:
        assert set(leg) == {column.name for column in COLUMNS}
        return {"talk_seconds": leg["duration"], "site": leg["country"], "profile": "no", "unheard": 1}

    schema = common(
        COLUMNS,
        to_common,
        ["profile", "provider", "talk_seconds", "site", "cost"],
        lambda _: None,
        provider="acme",
        profile="mine",
    )
    page = Page([{"Duration": "8", "Country": {"odd": ["é"]}, "New": 1}])
    assert schema.rows(page) == [["mine", "acme", 8, '{"odd": ["é"]}', None]]
    assert not schema.unfold


def test_two_columns_may_read_one_key_and_one_of_them_the_context() -> None:
    columns = (
        Column("start_time", "start", "time", read_in=lambda raw, context: f"{raw}{context['offset']}"),
        Column("start_time_local", "start"),
    )
    schema = native(columns, None, lambda text: None)
    rows = schema.rows(Page([{"START": "2026-11-20T01:00:00"}, {"start": ""}], {"offset": "+01:00"}))
    assert rows == [["2026-11-20T01:00:00+01:00", "2026-11-20T01:00:00", None], [None, None, None]]
