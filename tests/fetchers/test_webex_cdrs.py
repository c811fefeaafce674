"""The common CDRs of Webex records."""

from __future__ import annotations

from typing import Any

from cdrctl.fetchers.webex import PROVIDER
from cdrctl.fetchers.webex.columns import COLUMNS
from cdrctl.fetchers.webex.common import common_cdr
from cdrctl.records.columns import Column
from cdrctl.records.common import COMMON
from cdrctl.records.events import Page
from cdrctl.records.schemas import common as common_schema
from tests.support.products import for_each

from .webex_kit import sample


def in_common(record: dict[str, Any]) -> dict[str, Any]:
    """Return the common CDR of a record without its null columns."""
    schema = common_schema(COLUMNS, common_cdr, None, lambda _text: None, provider="webex", profile="p")
    [row] = schema.rows(Page([record]))
    named = zip((column.name for column in COMMON), row, strict=True)
    return {name: value for name, value in named if value is not None}


# The common CDR of the samples, calculated by hand


def test_common_cdrs_of_an_internal_call() -> None:
    out, into = map(in_common, sample("constructed_feed_answered_two_legs.json")["items"])
    both = {
        "provider": "webex",
        "profile": "p",
        "call_id": "6b6759a1-0036-407f-9feb-e05188ef026e",
        "direction": "internal",
        "from_number": "2001",
        "from_name": "Person One",
        "to_number": "2002",
        "ring_seconds": 8,
        "talk_seconds": 120,
        "total_seconds": 128,
        "answered": True,
        "outcome": "answered",
        "cause": "Normal",
        "cause_q850": 16,
        "site": "Site A",
    }
    assert out == both | {
        "record_id": "08979615-89d5-38df-892d-7875aa0efb77",
        "dialed_number": "2002",
        "start_time": "2026-11-18T17:00:00.120Z",
        "answer_time": "2026-11-18T17:00:08.410Z",
        "end_time": "2026-11-18T17:02:08.910Z",
        "user": "Person One",
    }
    assert into == both | {
        "record_id": "367ef2bb-383b-313b-adac-f3ac2bba5013",
        "to_name": 'Person Two, "Sales"',
        "start_time": "2026-11-18T17:00:00.180Z",
        "answer_time": "2026-11-18T17:00:08.400Z",
        "end_time": "2026-11-18T17:02:08.915Z",
        "user": 'Person Two, "Sales"',
    }


def test_common_cdrs_of_a_queued_call() -> None:
    """The queue, an agent who did not answer, an agent whose colleague was faster, and that colleague."""
    legs = [in_common(leg) for leg in sample("constructed_feed_queue_call_four_legs.json")["items"]]
    both = {
        "provider": "webex",
        "profile": "p",
        "call_id": "7ec3491a-23ad-4de1-97d3-e915c81bd2b3",
        "direction": "inbound",
        "from_number": "+12025550134",
        "from_name": "Person Nine",
        "site": "Site A",
    }
    agents = both | {"start_time": "2026-11-18T18:00:05.000Z", "ring_seconds": 20}
    rung_only = agents | {
        "end_time": "2026-11-18T18:00:25.000Z",
        "talk_seconds": 0,
        "total_seconds": 20,
        "answered": False,
    }
    assert legs == [
        both
        | {
            "record_id": "8899a381-b839-3e7f-8d53-b4dbb8d6227f",
            "to_number": "+16695550170",
            "to_name": "Sales queue",
            "start_time": "2026-11-18T18:00:00.000Z",
            "answer_time": "2026-11-18T18:00:00.300Z",
            "end_time": "2026-11-18T18:03:30.000Z",
            "ring_seconds": 0,
            "talk_seconds": 209,
            "total_seconds": 210,
            "answered": True,
            "outcome": "answered",
            "cause": "Normal",
            "cause_q850": 16,
            "user": "Sales queue",
            "queue": "Sales queue",
        },
        rung_only
        | {
            "record_id": "d0970bda-4319-3a7a-81c8-958be3e37ed2",
            "to_number": "2001",
            "to_name": "Person One",
            "outcome": "no_answer",
            "cause": "NoAnswer",
            "cause_q850": 19,
            "user": "Person One",
        },
        rung_only
        | {
            "record_id": "98e4fbbf-9e34-3f4f-bf2c-8ffc8a337fc8",
            "to_number": "2003",
            "to_name": "Person Three",
            "outcome": "cancelled",
            "cause": "Normal",
            "user": "Person Three",
        },
        agents
        | {
            "record_id": "600b7f58-91d7-3a40-a9bf-8a12edac6164",
            "to_number": "2002",
            "to_name": "Person Two",
            "answer_time": "2026-11-18T18:00:25.000Z",
            "end_time": "2026-11-18T18:03:30.000Z",
            "talk_seconds": 185,
            "total_seconds": 205,
            "answered": True,
            "outcome": "answered",
            "cause": "Normal",
            "cause_q850": 16,
            "user": "Person Two",
        },
    ]


def test_common_cdr_of_the_example_in_the_documentation() -> None:
    """The release is three years after the start: 1246 days, 10 hours, 21 minutes and 16.076 seconds."""
    [record] = sample("doc_openapi_example_feed.json")["items"]
    assert in_common(record) == {
        "provider": "webex",
        "profile": "p",
        "record_id": "0a0c2eb7-f1f6-3326-86f9-565d2e11553d",
        "call_id": "8e8e1dc7-4f25-4595-b9c7-26237f824535",
        "direction": "internal",
        "from_number": "2001",
        "from_name": "YOURCLIDGOESHERE",
        "to_number": "2002",
        "to_name": "CALLEDCLIDGOESHERE",
        "dialed_number": "1246",
        "start_time": "2020-05-14T11:01:16.545Z",
        "answer_time": "2020-05-14T11:01:17.551Z",
        "end_time": "2023-10-12T21:22:32.621Z",
        "ring_seconds": 23,
        "talk_seconds": 36,
        "total_seconds": 1246 * 86400 + 10 * 3600 + 21 * 60 + 16,
        "answered": True,
        "outcome": "answered",
        "cause": "Normal",
        "cause_q850": 16,
        "user": "Person One",
        "site": "Richardson",
        "trunk": "OutTrunk",
    }


def test_real_record_of_2025_is_a_cancelled_call() -> None:
    [record] = sample("real_feed_2025-08_originating_unanswered.json")["items"]
    assert in_common(record) == {
        "provider": "webex",
        "profile": "p",
        "record_id": "399a6e2c-169a-3262-93b3-49feb903d4fd",
        "call_id": "3e8d11ca-7965-4eba-b961-dd7a419649ab",
        "direction": "outbound",
        "from_number": "+12895550183",
        "from_name": "Person One",
        "to_number": "+19055550100",
        "dialed_number": "+19055550100",
        "start_time": "2025-08-15T16:49:53.576Z",
        "end_time": "2025-08-15T16:50:01.772Z",
        "ring_seconds": 8,
        "talk_seconds": 0,
        "total_seconds": 8,
        "answered": False,
        "outcome": "cancelled",
        "cause": "Normal",
        "user": "Person One",
        "site": "Site A",
    }


def test_real_record_of_2026_is_a_failed_call() -> None:
    [record] = sample("real_feed_2026-09_terminating_refused.json")["items"]
    assert in_common(record) == {
        "provider": "webex",
        "profile": "p",
        "record_id": "ea9cd4c2-b4e8-3e0f-b518-b14906a6d01a",
        "call_id": "cf30fa26-7c1a-4099-8ada-b8e57acca6ce",
        "direction": "inbound",
        "from_number": "+441632960149",
        "from_name": "Agent-00000001",
        "to_number": "+12545550123",
        "to_name": "Pod 0",
        "start_time": "2026-09-24T07:49:10.939Z",
        "end_time": "2026-09-24T07:49:10.941Z",
        "ring_seconds": 0,
        "talk_seconds": 0,
        "total_seconds": 0,
        "answered": False,
        "outcome": "failed",
        "cause": "TemporarilyUnavailable",
        "user": "Pod 0",
        "site": "Site1",
    }


# The common CDR, rule by rule


@for_each(
    "direction, more, expected",
    [
        ("ORIGINATING", {"Call type": "SIP_ENTERPRISE"}, "internal"),
        ("ORIGINATING", {"Call type": "SIP_ENTERPRISE", "Inbound trunk": "T", "Calling number": "+1"}, "internal"),
        *(
            ("ORIGINATING", {"Call type": kind}, "outbound")
            for kind in (
                *("SIP_INTERNATIONAL", "SIP_SHORTCODE", "SIP_INBOUND", "SIP_EMERGENCY", "SIP_PREMIUM", "SIP_TOLLFREE"),
                *("SIP_NATIONAL", "SIP_MOBILE", "SIP_URI", "SIP_OPERATOR", "SIP_CLICKTOCALL", "ZTN"),
            )
        ),
        ("ORIGINATING", {"Call type": "UNKNOWN"}, "unknown"),
        ("ORIGINATING", {"Call type": "SIP_MEETING"}, "unknown"),
        ("ORIGINATING", {"Call type": "SIP_HOLOGRAM"}, "unknown"),
        ("ORIGINATING", {"Call type": {"odd": 1}}, "unknown"),
        ("ORIGINATING", {}, "unknown"),
        ("TERMINATING", {"Call type": "SIP_INBOUND"}, "inbound"),
        ("TERMINATING", {"Call type": "SIP_ENTERPRISE"}, "internal"),
        ("TERMINATING", {"Call type": "SIP_ENTERPRISE", "Calling number": "2001"}, "internal"),
        ("TERMINATING", {"Call type": "SIP_ENTERPRISE", "Calling number": "+12025550134"}, "inbound"),
        ("TERMINATING", {"Call type": "SIP_ENTERPRISE", "Inbound trunk": "T"}, "inbound"),
        ("TERMINATING", {"Call type": "SIP_NATIONAL", "Inbound trunk": "T"}, "unknown"),
        ("TERMINATING", {"Call type": "SIP_MEETING"}, "unknown"),
        ("SIDEWAYS", {"Call type": "SIP_ENTERPRISE"}, "unknown"),
        ("", {"Call type": "SIP_INBOUND"}, "unknown"),
    ],
)
def test_direction_of_a_leg(direction: str, more: dict[str, Any], expected: str) -> None:
    assert in_common({"Direction": direction, **more})["direction"] == expected


YES, NO = {"Answered": "true"}, {"Answered": "false"}
NORMAL = {"Call outcome": "Success", "Call outcome reason": "Normal"}


def because(reason: str, outcome: str = "Success") -> dict[str, Any]:
    return {**NO, "Call outcome": outcome, "Call outcome reason": reason}


def left(direction: str, by: str, **more: str) -> dict[str, Any]:
    return {
        **NO,
        **NORMAL,
        "Direction": direction,
        "Releasing party": by,
        **{k.replace("_", " "): v for k, v in more.items()},
    }


OUTCOMES: list[tuple[dict[str, Any], str]] = [
    ({**YES, **NORMAL, "User type": "VoiceMailRetrieval"}, "voicemail"),
    ({**YES, **NORMAL, "User type": "VoiceMailGroup"}, "voicemail"),
    ({**YES, **NORMAL, "User type": "VoiceXML"}, "answered"),
    ({**YES, **NORMAL, "Answered elsewhere": "Yes"}, "answered"),
    ({**YES, "Call outcome": "Success", "Call outcome reason": "UserBusy"}, "answered"),
    ({**YES, "Call outcome": "Failure", "Call outcome reason": "Internal"}, "answered"),
    (because("UserBusy"), "busy"),
    (because("UserBusy") | {"Answered elsewhere": "Yes"}, "busy"),
    (because("Busy"), "busy"),
    (because("Unanswered"), "no_answer"),
    ({**NORMAL, "Answer time": "2026-11-18T02:00:00.000Z"}, "answered"),
    ({**NORMAL, "Answer time": "0001-01-01T00:00:00.000Z"}, "unknown"),
    ({"Call outcome": "Success", "Call outcome reason": "UserBusy"}, "busy"),
    (because("CallRejected", "Refusal"), "rejected"),
    (because("AdminCallBlock", "Refusal"), "rejected"),
    (because("UserCallBlock", "Refusal"), "rejected"),
    (because("CallRejected", "Refusal") | {"Answered elsewhere": "Yes"}, "rejected"),
    (because("SIP487", "Refusal"), "cancelled"),
    (because("NoAnswer") | {"Answered elsewhere": "Yes"}, "cancelled"),
    (because("Normal") | {"Answered elsewhere": "Yes", "User type": "CallCenterPremium"}, "cancelled"),
    (because("Internal", "Failure") | {"Answered elsewhere": "Yes"}, "cancelled"),
    (because("NoAnswer") | {"Answered elsewhere": "No"}, "no_answer"),
    (because("NoAnswer"), "no_answer"),
    (because("NoAnswerFromUser", "Refusal"), "no_answer"),
    (because("NoUserResponse", "Refusal"), "no_answer"),
    (because("SIP408", "Refusal"), "no_answer"),
    (left("TERMINATING", "Remote", User_type="CallCenterStandard"), "abandoned"),
    (left("TERMINATING", "Remote", User_type="CallCenterPremium"), "abandoned"),
    (left("TERMINATING", "Local", User_type="CallCenterPremium"), "no_answer"),
    (left("ORIGINATING", "Local"), "cancelled"),
    (left("TERMINATING", "Remote"), "cancelled"),
    (left("ORIGINATING", "Remote"), "no_answer"),
    (left("TERMINATING", "Local"), "no_answer"),
    (left("TERMINATING", "Unknown"), "no_answer"),
    (because("Internal", "Failure"), "failed"),
    (because("Normal", "Failure"), "failed"),
    (because("SIP480", "Refusal"), "failed"),
    (because("SolarFlare", "Refusal"), "failed"),
    (because("SolarFlare"), "unknown"),
    (because("", ""), "unknown"),
    (NORMAL, "unknown"),
    ({**NORMAL, "Answered": "perhaps"}, "unknown"),
    ({**NO, "Call outcome": ["odd"], "Call outcome reason": {"odd": 1}, "User type": {"odd": 1}}, "unknown"),
    ({}, "unknown"),
]


@for_each("record, outcome", OUTCOMES)
def test_outcome_of_a_leg_is_that_of_the_first_matching_rule(record: dict[str, Any], outcome: str) -> None:
    assert in_common(record)["outcome"] == outcome


@for_each(
    "reason, number",
    [
        *(("UnassignedNumber", 1), ("NoRouteToDestination", 3), ("UserBusy", 17), ("NoUserResponse", 18)),
        *(("NoAnswer", 19), ("NoAnswerFromUser", 19), ("UserAbsent", 20), ("CallRejected", 21)),
        *(("DestinationOutOfOrder", 27), ("Q850102ServerTimeout", 102)),
        *(("Normal", None), ("SIP408", None), ("SolarFlare", None), ("", None)),
    ],
)
def test_a_reason_has_the_q850_number_of_its_name(reason: str, number: int | None) -> None:
    found = in_common(because(reason))
    assert found.get("cause_q850") == number
    assert found.get("cause") == (reason or None)


def test_normal_is_normal_clearing_only_for_answered_calls() -> None:
    assert in_common({**YES, **NORMAL})["cause_q850"] == 16
    assert "cause_q850" not in in_common({**NO, **NORMAL})


@for_each("column", COLUMNS)
@for_each("direction", ["ORIGINATING", "TERMINATING"])
def test_value_of_another_type_does_not_end_the_export(direction: str, column: Column) -> None:
    """Values of the wrong type are exported unchanged."""
    leg = dict.fromkeys((column.name for column in COLUMNS), None) | {"direction": direction}
    assert common_cdr(leg | {column.name: {"odd": [1]}})["outcome"] == "unknown"


@for_each(
    "record, name, value",
    [
        ({"Report ID": "r", "Network call ID": "n", "Correlation ID": "c"}, "call_id", "c"),
        ({"Report ID": "r", "Network call ID": "n", "Correlation ID": ""}, "call_id", "n"),
        ({"Report ID": "r", "Network call ID": ""}, "call_id", "r"),
        ({"Calling number": "1", "Caller ID number": "2"}, "from_number", "1"),
        ({"Calling number": "", "Caller ID number": "2"}, "from_number", "2"),
        ({"Direction": "ORIGINATING", "Calling line ID": "L", "User": "U"}, "from_name", "L"),
        ({"Direction": "ORIGINATING", "Calling line ID": "NA", "User": "U"}, "from_name", "U"),
        ({"Direction": "TERMINATING", "Calling line ID": "NA", "User": "U"}, "from_name", None),
        ({"Direction": "TERMINATING", "Called line ID": "L", "User": "U"}, "to_name", "L"),
        ({"Direction": "TERMINATING", "Called line ID": "NA", "User": "U"}, "to_name", "U"),
        ({"Direction": "ORIGINATING", "Called line ID": "NA", "User": "U"}, "to_name", None),
        ({"Direction": "ORIGINATING", "Dialed digits": "9"}, "dialed_number", "9"),
        ({"Direction": "TERMINATING", "Dialed digits": "9"}, "dialed_number", None),
        ({"Release time": "2026-11-18T01:00:00.000Z", "Report time": "x"}, "end_time", "2026-11-18T01:00:00.000Z"),
        ({"Release time": "NA", "Report time": "2026-11-18T02:00:00.000Z"}, "end_time", "2026-11-18T02:00:00.000Z"),
        ({**NO, "Answer time": "2026-11-18T02:00:00.000Z"}, "answer_time", None),
        ({**YES, "Answer time": "2026-11-18T02:00:00.000Z"}, "answer_time", "2026-11-18T02:00:00.000Z"),
        ({"Answered": "perhaps"}, "answered", None),
        ({"Answer time": "2026-11-18T02:00:00.000Z"}, "answered", True),
        ({**NO, "Answer time": "2026-11-18T02:00:00.000Z"}, "answered", False),
        ({**YES, "User type": "VoiceMailRetrieval"}, "answered", True),
        ({**YES, "Answer time": "1970-01-01T00:00:00.000Z"}, "answer_time", None),
        ({"Start time": "0001-01-01T00:00:00Z"}, "start_time", None),
        ({"Release time": "1970-01-01T00:00:00.000Z"}, "end_time", None),
        (
            {"Release time": "0001-01-01T00:00:00Z", "Report time": "2026-11-18T02:00:00.000Z"},
            "end_time",
            "2026-11-18T02:00:00.000Z",
        ),
        ({"Duration": -1}, "talk_seconds", None),
        ({"Ring duration": "-1"}, "ring_seconds", None),
        ({}, "answered", None),
        ({"Ring duration": "8"}, "ring_seconds", 8),
        ({}, "ring_seconds", None),
        ({}, "talk_seconds", None),
        ({"Direction": "ORIGINATING", "Outbound trunk": "O", "Route group": "G", "Inbound trunk": "I"}, "trunk", "O"),
        ({"Direction": "ORIGINATING", "Route group": "G", "Inbound trunk": "I"}, "trunk", "G"),
        ({"Direction": "ORIGINATING", "Inbound trunk": "I"}, "trunk", "I"),
        ({"Direction": "TERMINATING", "Outbound trunk": "O", "Route group": "G", "Inbound trunk": "I"}, "trunk", "I"),
        ({"Direction": "TERMINATING", "Outbound trunk": "O"}, "trunk", "O"),
        ({"User": "Q", "User type": "CallCenterStandard"}, "queue", "Q"),
        ({"User": "Q", "User type": "CallCenterPremium"}, "queue", "Q"),
        ({"User": "U", "User type": "User", "Queue type": "Call Queue"}, "queue", None),
        ({"User": "U", "User type": "HuntGroup"}, "user", "U"),
        ({"User": "U", "User type": "HuntGroup"}, "queue", None),
        ({"Location": "L"}, "site", "L"),
        ({"Call Recording Platform Name": "Webex"}, "recording_url", None),
    ],
)
def test_source_of_a_value_of_the_common_cdr(record: dict[str, Any], name: str, value: Any) -> None:
    assert in_common(record).get(name) == value


@for_each(
    "start_text, end_text, seconds",
    [
        ("2026-11-18T17:00:00.001Z", "2026-11-18T17:00:02.000Z", 1),
        ("2026-11-18T17:00:00.000Z", "2026-11-18T17:00:02.999Z", 2),
        ("2026-11-18T17:00:00.999Z", "2026-11-18T17:00:01.001Z", 0),
        ("", "2026-11-18T17:00:02.000Z", None),
        ("2026-11-18T17:00:00.000Z", "", None),
        ("2026-11-18T17:00:02.000Z", "2026-11-18T17:00:00.000Z", None),
        ("0001-01-01T00:00:00Z", "2026-11-18T17:00:02.000Z", None),
    ],
)
def test_the_total_is_rounded_down(start_text: str, end_text: str, seconds: int | None) -> None:
    assert in_common({"Start time": start_text, "Release time": end_text}).get("total_seconds") == seconds


def test_columns_of_a_table_exist() -> None:
    names = {column.name for column in COLUMNS}
    for call in PROVIDER.calls:
        assert set(call.table_columns) <= names
