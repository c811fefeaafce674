"""The columns, identity and start of Kazoo records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cdrctl.fetchers.kazoo.columns import COLUMNS, DOCUMENT, identity, start
from cdrctl.records.readers import gregorian_instant
from tests.support.products import for_each

from .kazoo_kit import ACCOUNT, DOCUMENT_LEG, ROW, at, commonly, leg_but, natively, row_but, sample

# Time


@for_each(
    "seconds, unix, instant",
    [
        (63602540915, 1435321715, "2015-06-26T12:28:35"),
        ("63813384000", 1646164800, "2022-03-01T20:00:00"),
        (62167219200, 0, "1970-01-01T00:00:00"),
    ],
)
def test_gregorian_seconds_count_from_year_zero(seconds: int | str, unix: int, instant: str) -> None:
    """The documentation's example: 63602540915 is 2015-06-26T12:28:35Z."""
    assert gregorian_instant(seconds) == at(instant) == datetime.fromtimestamp(unix, UTC)


def test_a_rows_start_is_its_unix_timestamp() -> None:
    """The micro timestamp may differ by a second and more."""
    assert start(row_but(unix_timestamp_micro="1646164802.5")) == at("2022-03-01T20:00:00")


def test_a_row_without_unix_timestamp_starts_at_its_timestamp() -> None:
    assert start({"timestamp": "63813384000", "duration_seconds": 60}) == at("2022-03-01T20:00:00")


def test_a_documents_timestamp_is_its_end() -> None:
    """Operators of 5.x can put full documents into the listing; they are filtered by their start too."""
    assert start(DOCUMENT_LEG) == at("2022-03-01T20:00:00")
    without = {key: value for key, value in DOCUMENT_LEG.items() if key != "call_direction"}
    assert start(without) == at("2022-03-01T20:00:00")


def test_a_document_without_length_starts_when_its_channel_was_created() -> None:
    """That time is in microseconds since 1970."""
    assert start(leg_but(duration_seconds="")) == at("2022-03-01T20:00:00")


@for_each("stamp", ["", None, "never", [], 10**20])
def test_a_record_without_a_readable_start_has_a_null_start(stamp: Any) -> None:
    """The export keeps such a record, because it may belong to the window."""
    assert start({"id": "x", "timestamp": stamp}) is None


@for_each("zero", [0, "0", "0.0", -5, "-62167219200"])
def test_a_unix_time_of_zero_is_not_a_start(zero: Any) -> None:
    """The Gregorian timestamp is the start, or it is unknown. A record of 1970 would be dropped silently."""
    row = row_but(unix_timestamp=zero)
    assert start(row) == at("2022-03-01T20:00:00")
    common = commonly(row)
    assert (common["start_time"], common["end_time"]) == ("2022-03-01T20:00:00.000Z", "2022-03-01T20:01:00.000Z")
    row = row_but(unix_timestamp=zero, timestamp=str(63813384000 - 1646164800))
    assert start(row) is None
    common = commonly(row)
    assert [common[name] for name in ("start_time", "answer_time", "end_time")] == [None] * 3
    assert common["total_seconds"] == 60


@for_each("zero", [0, "0", -1])
def test_a_unix_time_of_zero_beside_an_impossible_length_leaves_the_start_open(zero: Any) -> None:
    assert start(row_but(unix_timestamp=zero, duration_seconds=-1)) is None


@for_each("end", [0, "0", 62_167_219_200])
def test_a_document_without_times_has_no_start(end: Any) -> None:
    leg = leg_but(timestamp=end, channel_created_time=0)
    assert start(leg) is None
    common = commonly(leg, "cdr")
    assert [common[name] for name in ("start_time", "answer_time", "end_time")] == [None] * 3
    leg = leg_but(timestamp=end)
    assert start(leg) == at("2022-03-01T20:00:00")
    assert commonly(leg, "cdr")["start_time"] == "2022-03-01T20:00:00.000Z"


def test_identity_of_a_record_is_its_id() -> None:
    """A record without an id is identified by its content."""
    assert identity(ROW) == "202203-mar004"
    assert identity({"_id": "202203-x", "to": "y"}) == "202203-x"
    assert identity({"to": "a"}) != identity({"to": "b"})


# Columns


def test_columns_are_those_of_crossbar_in_its_order() -> None:
    """Two columns of ours follow: the account, and the currency."""
    theirs = [column["column"] for column in sample("data_row_columns.json")["columns"]]
    assert [column.name for column in COLUMNS] == [*theirs, "account_id", "currency"]


@for_each("version", ["4.3", "5.0", "5.x"])
def test_every_property_of_the_documents_schema_is_a_column(version: str) -> None:
    """An object's members are columns instead."""
    names = {column.name for column in DOCUMENT}
    reached = {name.partition(".")[0] for name in names}
    properties = set(sample(f"schema_cdrs.{version}.json")["properties"])
    assert properties <= names | reached
    assert properties - names <= {"custom_channel_vars"}


SEED_FIELDS = [
    "app_name",
    "app_version",
    "billing_seconds",
    "call_direction",
    "call_id",
    "callee_id_name",
    "callee_id_number",
    "caller_id_name",
    "caller_id_number",
    "channel_call_state",
    "channel_created_time",
    "channel_name",
    "channel_state",
    "custom_application_vars",
    "custom_sip_headers",
    "digits_dialed",
    "disposition",
    "duration_seconds",
    "event_category",
    "event_name",
    "fax_bad_rows",
    "fax_ecm_used",
    "fax_result_code",
    "fax_result_text",
    "fax_success",
    "fax_total_pages",
    "fax_transfer_rate",
    "fax_transferred_pages",
    "from",
    "from_tag",
    "from_uri",
    "hangup_cause",
    "hangup_code",
    "interaction_id",
    "interaction_key",
    "interaction_time",
    "local_sdp",
    "media_server",
    "msg_id",
    "node",
    "other_leg_call_id",
    "other_leg_caller_id_name",
    "other_leg_caller_id_number",
    "other_leg_destination_number",
    "other_leg_direction",
    "presence_id",
    "remote_sdp",
    "request",
    "ringing_seconds",
    "switch_hostname",
    "switch_nodename",
    "switch_uri",
    "switch_url",
    "timestamp",
    "to",
    "to_tag",
    "to_uri",
    "user_agent",
    "fax_t38",
]
SEED_VARIABLES = [
    "account_id",
    "authorizing_id",
    "authorizing_type",
    "bridge_id",
    "ecallmgr_node",
    "fetch_id",
    "realm",
    "resource_id",
    "username",
    "reseller_billing",
    "reseller_id",
    "account_billing",
    "rate",
    "base_cost",
    "rate_name",
    "surcharge",
    "rate_minimum",
    "rate_increment",
    "resource_type",
    "global_resource",
    "owner_id",
    "media_recordings",
    "discount_percentage",
    "rate_nocharge_time",
]


def test_every_documented_field_of_a_document_is_a_column() -> None:
    """They are on the public CDR page, which also describes custom_channel_vars."""
    names = {column.name for column in DOCUMENT}
    assert set(SEED_FIELDS) <= names
    assert {f"custom_channel_vars.{name}" for name in SEED_VARIABLES} <= names


def test_a_row_of_5_0_is_typed() -> None:
    """Numbers are numbers, times have one form, and money has four decimals."""
    [row] = natively([ROW])
    assert row == {
        **{name: value or None for name, value in ROW.items()},
        "timestamp": "2022-03-01T20:00:00.000Z",
        "iso_8601_combined": "2022-03-01T20:00:00.000Z",
        "unix_timestamp": 1646164800,
        "cost": "0.0100",
        "rate": "0.01",
        "disposition": None,
        "media_recordings": [],
        "inception_direction": None,
        "reseller_cost": None,
        "reseller_call_type": None,
        "account_id": ACCOUNT,
        "currency": "USD",
        "extra": None,
    }


def test_lengths_of_version_4_2_become_numbers() -> None:
    """Newer columns are absent up to 4.2."""
    [row] = natively(sample("constructed_list_row_42_string_seconds.json")["data"])
    assert (row["duration_seconds"], row["billing_seconds"], row["interaction_id"]) == (60, 53, None)
    assert row["datetime"] == "2022-03-01 20:00:00"


def test_quotes_around_dates_of_version_3_21_are_removed() -> None:
    """Up to 4.1 they are part of the value."""
    first, second = natively(sample("doc_kazoo_3.21_list.json")["data"])
    assert (first["rfc_1036"], first["iso_8601"]) == ("Fri, 26 Jun 2015 12:28:35 GMT", "2015-06-26")
    assert first["timestamp"] == "2015-06-26T12:28:35.000Z"
    assert (second["duration_seconds"], second["reseller_cost"]) == (4, "0.0000")


def test_unknown_columns_of_5_x_are_kept() -> None:
    """The list of 5.x is not published. Unknown columns are in `extra`."""
    [row] = natively(sample("constructed_list_page_5x.json")["data"])
    assert row["extra"] == {"switch_hostname": "fs1.example"}
    [short] = natively([{"_id": "202203-x", "to": "1@a"}])
    assert (short["to"], short["id"], short["extra"]) == ("1@a", None, {"_id": "202203-x"})


def test_resellers_columns_are_money_and_text() -> None:
    """Only a reseller's token gets them."""
    [row] = natively(sample("recorded_crossbar50_list_reseller.json")["data"])
    assert (row["reseller_cost"], row["reseller_call_type"], row["extra"]) == ("0.0000", None, None)


def test_a_document_is_typed_and_its_variables_are_dotted_columns() -> None:
    """Its timestamp is its end."""
    [leg] = natively([DOCUMENT_LEG], DOCUMENT)
    assert leg["timestamp"] == "2022-03-01T20:01:00.000Z"
    assert leg["interaction_time"] == "2022-03-01T20:00:00.000Z"
    assert leg["channel_created_time"] == 1646164800123456
    assert leg["ringing_seconds"] == 7
    assert leg["custom_channel_vars.rate"] == "0.0100"
    assert leg["custom_channel_vars.owner_id"] == "own1"
    assert (leg["custom_channel_vars.realm"], leg["extra"]) == (None, None)


def test_fields_of_a_document_outside_its_schema_are_kept() -> None:
    """They are undocumented variables, SIP headers, and fields of old releases."""
    headers = {"in": {"X-A": "1"}, "out": {"X-B": "2"}}
    [leg] = natively([leg_but({"odd": "x"}, custom_sip_headers=headers, custom_application_vars={"a": "b"})], DOCUMENT)
    assert leg["custom_sip_headers"] == headers
    assert leg["custom_application_vars"] == {"a": "b"}
    assert leg["extra"] == {"custom_channel_vars.odd": "x"}
    [old] = natively([sample("doc_repository_cdr_fixture_2013.json")], DOCUMENT)
    assert old["extra"]["handling_server_name"] == "kazoo.local"
    assert old["custom_channel_vars.realm"] == "account_realm"
