"""The columns, identity and start of Webex records."""

from __future__ import annotations

import re
from typing import Any

from cdrctl.fetchers.webex.columns import COLUMNS, identity, start
from cdrctl.records.events import Page
from cdrctl.records.schemas import native
from cdrctl.windows import rfc3339
from tests.support.products import for_each

from .webex_kit import sample

FIELDS: list[dict[str, Any]] = sample("data_fields.json")["fields"]
SAMPLES = (
    "constructed_feed_answered_two_legs.json",
    "constructed_feed_queue_call_four_legs.json",
    "doc_openapi_example_feed.json",
    "real_feed_2025-08_originating_unanswered.json",
    "real_feed_2026-09_terminating_refused.json",
)
# The attributes of wxc_sdk.cdr.CDR as documented by wxc_sdk of 2023.
OF_2023: frozenset[str] = frozenset(
    re.findall(
        r"\w+",
        """
        start_time answer_time duration answered direction called_line_id call_id calling_line_id call_type
        client_type client_version correlation_id international_country local_session_id device_mac inbound_trunk
        org_uuid original_reason os_type outbound_trunk redirect_reason related_reason report_id report_time
        route_group site_main_number site_timezone sub_client_type user_uuid user user_type called_number
        calling_number location dialed_digits releasing_party remote_session_id redirecting_number site_uuid
        department_id transfer_related_call_id authorization_code model call_transfer_time local_call_id
        remote_call_id network_call_id related_call_id user_number call_outcome call_outcome_reason ring_duration
        answer_indicator release_time final_local_session_id final_remote_session_id
        """,
    )
)


def read(*records: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the native values of records by column name, and the warnings."""
    warnings: list[str] = []
    schema = native(COLUMNS, None, warnings.append)
    assert schema.columns is not None
    names = [column.name for column in schema.columns]
    return [dict(zip(names, row, strict=True)) for row in schema.rows(Page(list(records)))], warnings


# Columns


def test_there_is_a_column_for_every_key_in_wire_order_under_its_name() -> None:
    known = [(column.name, column.key) for column in COLUMNS]
    assert known[:87] == [(one["name"], one["wire_key"]) for one in FIELDS]
    assert known[87:] == [("report_group", "Report group"), ("user_id", "User ID")]


@for_each(
    "reason",
    [
        *("ExecutiveForward", "ExecutiveAssistantInitiateCall", "ExecutiveAssistantDivert"),
        *("ExecutiveAssistantCallPush", "CallPark", "CalllPark", "SolarFlare"),
    ],
)
def test_a_related_reason_is_kept_as_it_is_spelt(reason: str) -> None:
    [row], warnings = read({"Related reason": reason})
    assert (row["related_reason"], warnings) == (reason, [])


def test_every_field_of_the_documents_of_2023_keeps_its_name() -> None:
    assert len(OF_2023) == 56
    assert {column.name for column in COLUMNS} >= OF_2023


def test_names_are_the_keys_in_snake_case_but_for_the_session_ids() -> None:
    for column in COLUMNS:
        assert column.name == re.sub(r"[ -]", "_", column.key.replace("SessionID", "Session ID")).lower()
        assert column.meaning


def test_the_placeholders_of_a_key_are_null_in_that_key_only() -> None:
    for field in FIELDS:
        for word in ("NA", "na", "N/A"):
            [row], _ = read({field["wire_key"]: word})
            assert row[field["name"]] == (None if word in field["null_words"] else word), field["name"]


def test_namibia_is_a_country() -> None:
    [row], _ = read({"International country": "NA", "WxCC consult merge status": "NA", "Called line ID": "NA"})
    assert (row["international_country"], row["wxcc_consult_merge_status"], row["called_line_id"]) == ("NA", "NA", None)


def test_keys_are_found_in_the_letter_case_of_the_documentation() -> None:
    documented = [field for field in FIELDS if field["docs_key"]]
    assert len(documented) == 10
    for field in [*documented, {"docs_key": "Device Mac", "name": "device_mac"}]:
        value = "2026-11-18T00:00:00.000Z" if field["name"].endswith("_time") else "7"
        [row], warnings = read({field["docs_key"]: value})
        assert str(row[field["name"]]) == value
        assert row["extra"] is None
        assert warnings == []


def test_every_value_has_the_type_of_its_column() -> None:
    record = {field["wire_key"]: "x" for field in FIELDS} | {
        "Answered": "true",
        "Answer time": "2026-11-18T00:00:00.5+01:00",
        "Start time": "2023-10-12 21:22:32.621",
        "Report time": "2026-11-18T00:00:00.123Z",
        "Call transfer time": "2026-11-18T00:00:00Z",
        "Release time": "2026-11-18T00:00:00.1234567Z",
        "Site timezone": "-480",
        "Duration": 36,
        "Ring duration": "23",
        "Hold duration": "0",
        "Route list calls overage": "3",
        "Caller Reputation Score": "4.50",
        "Report group": "x",
        "User ID": "x",
    }
    [row], warnings = read(record)
    assert warnings == []
    typed = {name: value for name, value in row.items() if value != "x"}
    assert typed == {
        "answer_time": "2026-11-17T23:00:00.500Z",
        "answered": True,
        "start_time": "2023-10-12T21:22:32.621Z",
        "report_time": "2026-11-18T00:00:00.123Z",
        "call_transfer_time": "2026-11-18T00:00:00.000Z",
        "release_time": "2026-11-18T00:00:00.123Z",
        "site_timezone": -480,
        "duration": 36,
        "ring_duration": 23,
        "hold_duration": 0,
        "route_list_calls_overage": 3,
        "caller_reputation_score": "4.50",
        "extra": None,
    }


@for_each(
    "key, name",
    [
        ("Duration", "duration"),
        ("Ring duration", "ring_duration"),
        ("Hold duration", "hold_duration"),
        ("Site timezone", "site_timezone"),
        ("Route list calls overage", "route_list_calls_overage"),
    ],
)
def test_numbers_are_read_from_numbers_and_from_text(key: str, name: str) -> None:
    """The documentation has numbers where the API sends strings."""
    rows, warnings = read({key: 23}, {key: "23"}, {key: ""}, {})
    assert [row[name] for row in rows] == [23, 23, None, None]
    assert warnings == []


@for_each("raw, value", [("true", True), ("false", False), (True, True), ("", None)])
def test_answered_is_always_a_boolean(raw: Any, value: Any) -> None:
    [row], _ = read({"Answered": raw})
    assert row["answered"] is value


def test_unknown_keys_and_values_are_kept() -> None:
    rows, warnings = read(
        {"Sentiment score": "0.7", "Agent": {"id": 1}, "Call type": "SIP_HOLOGRAM", "Ring duration": "long"},
        {"Ring duration": "longer"},
    )
    assert rows[0]["extra"] == {"sentiment_score": "0.7", "agent": {"id": 1}}
    assert rows[0]["call_type"] == "SIP_HOLOGRAM"
    assert [row["ring_duration"] for row in rows] == ["long", "longer"]
    assert [text.partition(":")[0] for text in warnings] == [
        "the provider sent fields that this version does not know",
        "column ring_duration",
    ]


def test_a_record_of_2025_lacks_the_newer_columns_only() -> None:
    [record] = sample("real_feed_2025-08_originating_unanswered.json")["items"]
    assert [field["wire_key"] for field in FIELDS if field["in_2025_08"]] == list(record)
    [row], warnings = read(record)
    assert warnings == []
    assert row["extra"] is None
    assert row["hold_duration"] is None


@for_each("name", SAMPLES)
def test_every_value_of_the_samples_has_a_column(name: str) -> None:
    rows, warnings = read(*sample(name)["items"])
    assert warnings == []
    assert [row["extra"] for row in rows] == [None] * len(rows)


# Identity and start


def test_identity_of_a_record_is_its_report_id() -> None:
    assert identity({"Report ID": "r", "User": "A"}) == identity({"Report Id": "r", "User": "B"}) == "r"


@for_each("empty", [{}, {"Report ID": ""}, {"Report ID": None}, {"Report ID": {"odd": 1}}])
def test_the_identity_of_a_record_without_an_id_is_its_content(empty: dict[str, Any]) -> None:
    one, same, other = ({**empty, "User": "A", "n": 1}, {"n": 1, "User": "A", **empty}, {**empty, "User": "B", "n": 1})
    assert identity(one) == identity(same)
    assert identity(one) != identity(other)


def test_legs_of_one_call_are_different_records() -> None:
    legs = sample("constructed_feed_queue_call_four_legs.json")["items"]
    assert len({identity(leg) for leg in legs}) == 4


@for_each(
    "record, text",
    [
        ({"Start time": "2026-11-18T01:00:00.120Z", "Report time": "2026-11-18T02:00:00.000Z"}, "01:00:00.120Z"),
        ({"start Time": "2026-11-18 01:00:00.12"}, "01:00:00.120Z"),
        ({"Start time": "", "Report time": "2026-11-18T02:00:00.000Z"}, "02:00:00.000Z"),
        ({"Start time": "NA", "Report time": "2026-11-18T02:00:00.000Z"}, "02:00:00.000Z"),
        ({"Report time": "2026-11-18T02:00:00.000Z"}, "02:00:00.000Z"),
    ],
)
def test_start_of_a_record_without_one_is_its_report_time(record: dict[str, Any], text: str) -> None:
    found = start(record)
    assert found is not None
    assert rfc3339(found) == f"2026-11-18T{text}"


@for_each("record", [{}, {"Start time": "", "Report time": ""}, {"Start time": 7, "Report time": "soon"}])
def test_an_unreadable_start_is_null(record: dict[str, Any]) -> None:
    assert start(record) is None
