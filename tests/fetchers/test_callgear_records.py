"""What a CallGear record says: its columns, its identity, its start, and the common CDR made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from cdrctl.fetchers import Call
from cdrctl.fetchers.callgear import PROVIDER
from cdrctl.fetchers.callgear.columns import identity, start
from cdrctl.fetchers.callgear.common import common_call
from cdrctl.fetchers.callgear.fields import CALLS, COSTS, LEGS, USERS, Field
from cdrctl.fetchers.callgear.reasons import UNCLEAR
from cdrctl.records.common import COMMON
from cdrctl.records.events import Page
from cdrctl.records.schemas import common as common_schema, native

from .test_callgear import Wire, at, sample

CONTEXT = {"timezone": "Europe/Berlin", "app_host": "https://app.callgear.com"}

# The table "Parameters of a reply" of the user's document: name, type, filtering, sorting.
SEED = """
id number F-, call_session_id number FS, call_records array --, start_time iso8601 -S, connect_time iso8601 --,
duration number FS, total_duration number FS, virtual_phone_number string FS, calling_phone_number string FS,
called_phone_number string FS, direction enum FS, is_transfered boolean FS, is_operator boolean FS,
employee_id number FS, employee_full_name string FS, employee_phone_number string FS, employee_rating number FS,
scenario_id number FS, scenario_name string FS, is_coach boolean FS, release_cause_code number FS,
release_cause_description string FS, is_failed boolean FS, is_talked boolean FS, contact_id id --,
contact_full_name string --, contact_phone_number string --, action_id number F-, action_name string F-,
group_id number F-, group_name string F-
"""


def call(name: str) -> Call:
    return PROVIDER.call(name)


def read(name: str, *records: Wire, **context: str) -> tuple[list[Wire], list[str]]:
    """Return the native values of records by column name, and the warnings."""
    warnings: list[str] = []
    schema = native(call(name).columns, None, warnings.append)
    assert schema.columns is not None
    names = [column.name for column in schema.columns]
    page = Page(list(records), CONTEXT | context)
    return [dict(zip(names, row, strict=True)) for row in schema.rows(page)], warnings


def in_common(name: str, record: Wire, **context: str) -> Wire:
    """Return the common CDR of a record, without what is null."""
    to_common = call(name).common
    assert to_common is not None
    schema = common_schema(call(name).columns, to_common, None, lambda _text: None, provider="callgear", profile="p")
    [row] = schema.rows(Page([record], CONTEXT | context))
    named = zip((column.name for column in COMMON), row, strict=True)
    return {key: value for key, value in named if value is not None and key not in {"provider", "profile"}}


# Columns


def test_every_field_of_the_users_document_is_a_column_with_its_rights() -> None:
    table = [line.split() for line in SEED.replace("\n", " ").split(",")]
    assert len(table) == 31
    ours = {one.name: one for one in LEGS}
    for name, wire, marks in table:
        assert ours[name].wire == ("number" if wire == "id" else wire)
        assert ours[name].marks == marks.replace("-", "")
        assert not ours[name].later
    assert {one.name for one in LEGS if one.later} == {name for name in ours if name not in {row[0] for row in table}}


@pytest.mark.parametrize(
    ("ours", "name"), [(LEGS, "legs"), (CALLS, "calls"), (COSTS, "financial")], ids=["legs", "calls", "costs"]
)
def test_fields_are_those_of_the_documentation_in_its_order(ours: tuple[Field, ...], name: str) -> None:
    fields = [one for one in sample(f"data_{name}_fields.json")["fields"] if "inside" not in one]
    ours = tuple(one for one in ours if one.name != "utm_referrer")  # of a client only
    for one, documented in zip(ours, fields, strict=True):
        marks = ("F" if documented["filter"] else "") + ("S" if documented["sort"] else "")
        assert (one.name, one.wire, one.marks) == (documented["name"], documented["type"], marks)
        assert one.meaning


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        *((LEGS, "call_legs_report"), (CALLS, "calls_report"), (COSTS, "financial_call_legs_report")),
        (USERS, "get_customer_users"),
    ],
)
def test_every_field_of_the_newest_example_is_a_column(ours: tuple[Field, ...], name: str) -> None:
    [row] = sample(f"doc_shape_{name}.json")["result"]["data"]
    assert set(row) <= {one.name for one in ours}


def test_what_is_asked_for_when_refusals_name_nothing_is_what_the_newest_example_has() -> None:
    [row] = sample("doc_shape_calls_report.json")["result"]["data"]
    assert {one.name for one in CALLS if not one.later} == set(row)


@pytest.mark.parametrize("found", PROVIDER.calls, ids=lambda found: found.name)
def test_columns_have_names_of_their_own_and_a_meaning(found: Call) -> None:
    names = [column.name for column in found.columns]
    assert len(names) == len(set(names))
    assert all(column.meaning for column in found.columns)
    assert set(found.table_columns) <= set(names)


def test_the_collected_legs_are_read() -> None:
    records = sample("constructed_call_legs_report_page.json")["result"]["data"]
    (first, second), warnings = read("legs", *records)
    assert warnings == []
    assert first["extra"] is None
    assert first["start_time"] == "2026-04-27T07:04:23.000Z"
    assert first["start_time_local"] == "2026-04-27 09:04:23"
    assert first["connect_time"] is None
    assert second["connect_time"] == "2026-04-27T07:04:31.000Z"
    assert second["id"] == "9000000002"
    assert second["call_session_id"] == "5000000001"
    assert second["call_records"] == ["4f2b7c0e6d8a4b1f9e3c2d1a0b9c8d7e"]
    assert (second["duration"], second["total_duration"], second["release_cause_code"]) == (317, 325, 16)
    assert (first["is_failed"], second["is_operator"]) == (True, True)
    assert second["employee_id"] == "2870"
    assert second["timezone"] == "Europe/Berlin"
    (dubai, _), _ = read("legs", *records, timezone="Asia/Dubai")
    assert dubai["start_time"] == "2026-04-27T05:04:23.000Z"
    assert dubai["start_time_local"] == first["start_time_local"]


def test_the_collected_costs_and_users_are_read() -> None:
    [row], warnings = read("costs", *sample("constructed_financial_page.json")["result"]["data"])
    assert (row["leg_id"], row["call_session_id"], row["chargeable_duration"]) == ("9000000002", "5000000001", 360)
    assert (row["cost_per_minute"], row["total_charge"], row["bonuses_charge"]) == ("0.15", "0.9", "0")
    assert row["start_time"] == "2026-04-27T07:04:23.000Z"
    users, more = read("users", *sample("constructed_customer_users_page.json")["result"]["data"])
    assert [(one["id"], one["customer_id"], one["name"]) for one in users] == [("2000", "100000", "Person One")]
    assert warnings + more == []


@pytest.mark.parametrize("raw", ["soon", "2026-04-27", "2026-04-27 24:00:00", "2026-13-01 00:00:00", 7, [1]])
def test_a_time_that_is_none_passes_as_it_came(raw: Any) -> None:
    [row], warnings = read("legs", {"id": 1, "start_time": "2026-04-27 09:04:23", "connect_time": raw})
    assert row["connect_time"] == raw
    assert len(warnings) == 1
    assert start({"start_time": raw}, CONTEXT) is None


def test_fields_nobody_knows_are_kept() -> None:
    [row], _ = read("legs", {"id": 1, "newField": 2})
    assert row["extra"] == {"newfield": 2}


@pytest.mark.parametrize(
    ("raw", "zone", "instant"),
    [
        ("2026-07-01 12:00:00", "Europe/Berlin", "2026-07-01T10:00"),
        ("2026-10-25 02:30:00", "Europe/Berlin", "2026-10-25T00:30"),  # the first of two
        ("2026-10-25 03:00:00", "Europe/Berlin", "2026-10-25T02:00"),
        ("2026-03-29 02:30:00", "Europe/Berlin", "2026-03-29T01:30"),  # which never was
        ("2026-07-01 12:00:00", "utc", "2026-07-01T12:00"),
        ("2026-07-01T12:00:00.25", "Asia/Kathmandu", "2026-07-01T06:15:00.250"),
    ],
)
def test_a_start_is_read_in_the_zone_of_its_account(raw: str, zone: str, instant: str) -> None:
    assert start({"start_time": raw}, {"timezone": zone}) == at(instant)


def test_without_a_zone_there_is_no_start() -> None:
    assert start({"start_time": "2026-07-01 12:00:00"}, {}) is None
    assert start({}, CONTEXT) is None
    assert start({"start_time": "0001-01-01 00:00:00"}, CONTEXT) is None


def test_a_record_is_known_by_its_id_and_without_one_by_all_it_says() -> None:
    assert identity({"id": 7}) == identity({"ID": "7"}) == "7"
    nameless: list[Wire] = [{"id": None, "x": 1}, {"x": 1}, {"id": "", "x": 1}, {"id": True, "x": 1}]
    assert len({identity(one) for one in nameless}) == 4
    assert call("costs").identity({"leg_id": 1, "x": 1}) != call("costs").identity({"leg_id": 1, "x": 2})


# Common CDRs


def test_an_incoming_call_nobody_answered() -> None:
    record = sample("constructed_call_legs_report_page.json")["result"]["data"][0]
    assert in_common("legs", record) == {
        "record_id": "9000000001",
        "call_id": "5000000001",
        "direction": "inbound",
        "from_number": "971500000001",
        "to_number": "97140000002",
        "dialed_number": "97140000002",
        "start_time": "2026-04-27T07:04:23.000Z",
        "end_time": "2026-04-27T07:04:41.000Z",
        "ring_seconds": 18,
        "talk_seconds": 0,
        "total_seconds": 18,
        "answered": False,
        "outcome": "no_answer",
        "cause": "operator_not_responsible",
        "cause_q850": 16,
        "queue": "Sales",
    }


def test_the_leg_to_an_employee_of_that_call() -> None:
    record = sample("constructed_call_legs_report_page.json")["result"]["data"][1]
    record |= {"employee_full_name": "Person One", "contact_full_name": "A Contact"}
    assert in_common("legs", record, app_host="https://app.callgear.ae") == {
        "record_id": "9000000002",
        "call_id": "5000000001",
        "direction": "unknown",
        "from_number": "971500000001",
        "to_number": "0200100",
        "to_name": "Person One",
        "start_time": "2026-04-27T07:04:23.000Z",
        "answer_time": "2026-04-27T07:04:31.000Z",
        "end_time": "2026-04-27T07:09:48.000Z",
        "ring_seconds": 8,
        "talk_seconds": 317,
        "total_seconds": 325,
        "answered": True,
        "outcome": "answered",
        "cause": "operator_disconnects",
        "cause_q850": 16,
        "user": "Person One",
        "queue": "Sales",
        "recording_url": "https://app.callgear.ae/system/media/talk/5000000001/4f2b7c0e6d8a4b1f9e3c2d1a0b9c8d7e",
    }


LEG: Wire = {
    "id": 1,
    "call_session_id": 2,
    "start_time": "2026-04-27 09:00:00",
    "connect_time": None,
    "duration": 0,
    "total_duration": 20,
    "direction": "in",
    "is_operator": False,
}


@pytest.mark.parametrize(
    ("direction", "operator", "expected"),
    [
        ("in", False, ("inbound", "Contact", None)),
        ("out", False, ("outbound", "Employee", "Contact")),
        ("in", True, ("unknown", "Employee", "Contact")),
        ("out", True, ("unknown", None, "Employee")),
        ("in", None, ("unknown", "Contact", None)),
        ("sideways", False, ("unknown", None, None)),
    ],
)
def test_who_calls_whom(direction: str, operator: Any, expected: tuple[str | None, ...]) -> None:
    names = {"contact_full_name": "Contact", "employee_full_name": "Employee"}
    cdr = in_common("legs", LEG | names | {"direction": direction, "is_operator": operator})
    assert (cdr["direction"], cdr.get("from_name"), cdr.get("to_name")) == expected


@pytest.mark.parametrize(
    ("reason", "cause", "more", "outcome"),
    [
        ("operator_busy", None, {}, "busy"),
        ("subscriber_busy", None, {}, "busy"),
        ("caller_busy", None, {}, "busy"),
        ("employee_busy_after_call", None, {}, "busy"),
        ("operator_channels_busy", None, {}, "busy"),
        ("max_in_call_reached", None, {}, "busy"),
        ("operator_not_responsive", None, {}, "no_answer"),
        ("operator_not_responsible", 17, {}, "no_answer"),
        ("subscriber_not_responsible", None, {}, "no_answer"),
        ("caller_not_responsive", None, {}, "no_answer"),
        ("timeout", None, {}, "no_answer"),
        ("action_interval_exceeded", None, {}, "no_answer"),
        ("subscriber_disconnects", None, {}, "cancelled"),
        ("caller_disconnects", None, {"group_id": 9}, "abandoned"),
        ("subscriber_disconnects", None, {"group_name": "Sales"}, "abandoned"),
        ("subscriber_disconnects", None, {"group_id": 9, "direction": "out"}, "cancelled"),
        ("another_operator_answer", None, {}, "cancelled"),
        ("operator_disconnects", 16, {"direction": "out"}, "cancelled"),
        ("operator_disconnects", 16, {"is_operator": True}, "cancelled"),
        ("operator_disconnects", 16, {"direction": "out", "is_operator": True}, "unknown"),
        ("operator_disconnects", 21, {"direction": "out", "is_operator": True}, "rejected"),
        ("employee_status_do_not_disturb", None, {}, "rejected"),
        ("locked_numb", None, {}, "rejected"),
        ("in_call_not_allowed", None, {}, "rejected"),
        ("out_call_not_allowed_by_status", None, {}, "rejected"),
        ("incorrect_input", None, {}, "rejected"),
        ("no_money", None, {}, "failed"),
        ("limit_exceeded", None, {}, "failed"),
        ("caller_number_problems", None, {}, "failed"),
        ("internal_error", None, {}, "failed"),
        ("sip_offline", None, {}, "failed"),
        ("employee_inactive_by_schedule", None, {}, "failed"),
        ("sip_trunk_is_locked", None, {}, "failed"),
        ("fmc_is_disabled", None, {}, "failed"),
        ("scenario_disconnects", 17, {}, "busy"),
        (None, 18, {}, "no_answer"),
        (None, 19, {}, "no_answer"),
        (None, 21, {}, "rejected"),
        (None, 34, {}, "failed"),
        (None, 16, {}, "unknown"),
        ("something_new", None, {}, "unknown"),
        (None, None, {}, "unknown"),
    ],
)
def test_why_a_leg_was_not_answered(reason: str | None, cause: int | None, more: Wire, outcome: str) -> None:
    record = LEG | {"finish_reason": reason, "release_cause_code": cause} | more
    assert in_common("legs", record)["outcome"] == outcome
    answered = in_common("legs", record | {"duration": 5, "connect_time": "2026-04-27 09:00:15"})
    assert (answered["outcome"], answered["answered"]) == ("answered", True)


_DOCUMENTED = sample("data_finish_reasons.json")
_MET = {"sitephone_is_not_configured", "employee_not_exists", "no_success_subscriber_call"}
KNOWN_REASONS = sorted({reason for name, found in _DOCUMENTED.items() if "docs" in name for reason in found} | _MET)
"""The reasons of all documents, and those that clients of the API have met."""


@pytest.mark.parametrize("reason", KNOWN_REASONS)
def test_every_known_reason_has_an_outcome_or_says_why_not(reason: str) -> None:
    leg = in_common("legs", LEG | {"finish_reason": reason})
    call = in_common("calls", LOST | {"finish_reason": reason, "total_wait_duration": 1, "wait_duration": 1})
    assert (leg["answered"], call["answered"]) == (False, False)
    if reason == "operator_disconnects":  # an employee who was called may have declined, or not
        assert (leg["outcome"], call["outcome"]) == ("unknown", "unknown")
    else:
        unclear = reason in UNCLEAR
        assert (leg["outcome"] == "unknown", call["outcome"] == "unknown") == (unclear, unclear)
    if reason != "call_enqueued":
        assert leg["outcome"] != "abandoned"
        assert call["outcome"] != "abandoned"


def test_both_spellings_of_a_reason_mean_the_same() -> None:
    pairs = [*_DOCUMENTED["pairs"], ["no_success_caller_call", "no_success_subscriber_call"]]
    assert len(pairs) == 6
    for one, other in pairs:
        for name, record in (("legs", LEG), ("calls", LOST), ("legs", LEG | {"duration": None})):
            outcomes = [in_common(name, record | {"finish_reason": reason})["outcome"] for reason in (one, other)]
            assert outcomes[0] == outcomes[1]


def test_the_reasons_that_tell_nothing_are_known_ones_and_few() -> None:
    assert set(UNCLEAR) < set(KNOWN_REASONS)
    assert len(UNCLEAR) <= 5
    assert all(UNCLEAR.values())


@pytest.mark.parametrize(
    ("reasons", "outcome"),
    [
        ("numa_in_black_list numa_in_spam_list numa_dnd_interval too_many_identical_incoming_calls", "rejected"),
        ("employee_status_do_not_disturb employee_auto_status_do_not_disturb", "rejected"),
        ("numb_not_exists site_not_exists employees_not_exists employee_not_exists", "failed"),
        ("simple_forwarding_is_not_configured call_generator_is_not_configured", "failed"),
        ("sitephone_is_not_configured incorrect_config", "failed"),
        ("employee_without_phones group_without_phones no_active_scenario platform_not_found", "failed"),
        ("no_resources net_lock", "failed"),
        ("disconnect_before_call_processing", "cancelled"),
        ("a_new_line_in_black_list something_not_configured another_not_exists", "rejected failed failed"),
    ],
)
def test_what_a_reason_means_whether_or_not_the_times_are_there(reasons: str, outcome: str) -> None:
    """None of these can end a conversation, so the outcome is known where nothing else says it was unanswered."""
    outcomes = (outcome.split() * 9)[: len(reasons.split())]
    for reason, expected in zip(reasons.split(), outcomes, strict=True):
        for more in ({}, {"connect_time": None, "duration": None}):
            assert in_common("legs", LEG | {"finish_reason": reason} | more)["outcome"] == expected
        for lost in (True, False, None):
            assert in_common("calls", LOST | {"finish_reason": reason, "is_lost": lost})["outcome"] == expected
        cdr = in_common("calls", LOST | {"finish_reason": reason, "is_lost": None, "talk_duration": None})
        assert (cdr.get("answered"), cdr["outcome"]) == (None, expected)


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({}, "unknown"),
        ({"finish_reason": "subscriber_disconnects"}, "unknown"),
        ({"finish_reason": "operator_disconnects"}, "unknown"),
        ({"finish_reason": "subscriber_disconnects", "group_id": 9}, "unknown"),
        ({"finish_reason": "no_money"}, "unknown"),
        ({"finish_reason": "timeout", "release_cause_code": 16}, "unknown"),
        ({"release_cause_code": 41}, "unknown"),
        ({"release_cause_code": 17}, "busy"),
        ({"finish_reason": "subscriber_disconnects", "release_cause_code": 19}, "no_answer"),
        ({"finish_reason": "another_operator_answer"}, "cancelled"),
        ({"finish_reason": "operator_busy"}, "busy"),
        ({"finish_reason": "sip_offline"}, "failed"),
    ],
)
def test_a_leg_that_does_not_say_whether_it_was_answered_is_unknown(more: Wire, outcome: str) -> None:
    """Unless its reason, or its cause, rules an answer out."""
    bare = {key: value for key, value in LEG.items() if key not in {"connect_time", "duration"}}
    for record in (bare, bare | {"connect_time": None, "duration": None}):
        cdr = in_common("legs", record | more)
        assert "answered" not in cdr
        assert "ring_seconds" not in cdr
        assert cdr["outcome"] == outcome
    cdr = in_common("legs", bare | more | {"is_talked": True})
    assert (cdr["answered"], cdr["outcome"]) == (True, "answered")


def test_an_answer_without_a_moment_of_answer_is_known_by_its_length() -> None:
    cdr = in_common("legs", {key: value for key, value in LEG.items() if key != "connect_time"} | {"duration": 15})
    assert (cdr["answered"], cdr["answer_time"], cdr["ring_seconds"]) == (True, "2026-04-27T07:00:05.000Z", 5)
    cdr = in_common("legs", {"id": 1})
    assert "answered" not in cdr
    assert cdr["outcome"] == "unknown"


def test_in_the_hour_that_comes_twice_the_lengths_tell() -> None:
    """It began shortly before three, and was answered shortly after two, or three."""
    for begun, answered in (("02:59:50", "02:00:10"), ("02:59:50", "03:00:10")):
        record = LEG | {"start_time": f"2026-10-25 {begun}", "connect_time": f"2026-10-25 {answered}"}
        cdr = in_common("legs", record | {"duration": 100, "total_duration": 120})
        assert (cdr["start_time"], cdr["answer_time"]) == ("2026-10-25T00:59:50.000Z", "2026-10-25T01:00:10.000Z")
        assert (cdr["ring_seconds"], cdr["end_time"]) == (20, "2026-10-25T01:01:50.000Z")


def test_a_leg_that_makes_no_sense_is_still_a_cdr() -> None:
    odd = {"start_time": "soon", "connect_time": "later", "duration": -5, "total_duration": 10**12}
    cdr = in_common("legs", LEG | odd | {"call_records": [{}], "release_cause_code": "x"})
    assert cdr["record_id"] == "1"
    assert in_common("legs", LEG | {"call_records": []}).get("recording_url") is None
    assert in_common("legs", LEG | {"call_records": ["../x y"]})["recording_url"].endswith("/talk/2/..%2Fx%20y")


CALL: Wire = {
    "id": 5_000_000_001,
    "start_time": "2026-04-27 09:04:23",
    "finish_time": "2026-04-27 09:09:48",
    "direction": "in",
    "is_lost": False,
    "wait_duration": 8,
    "total_wait_duration": 8,
    "talk_duration": 317,
    "total_duration": 325,
    "finish_reason": "success_finish",
    "contact_phone_number": "971500000001",
    "contact_full_name": "A Contact",
    "virtual_phone_number": "97140000002",
    "first_answered_employee_full_name": "First",
    "last_answered_employee_full_name": "Last",
    "call_records": ["4f2b"],
}


LOST = CALL | {"is_lost": True, "talk_duration": 0, "wait_duration": 20, "total_wait_duration": 20}


def test_an_answered_incoming_call() -> None:
    assert in_common("calls", CALL | {"operator_phone_number": "0200100"}) == {
        "record_id": "5000000001",
        "call_id": "5000000001",
        "direction": "inbound",
        "from_number": "971500000001",
        "from_name": "A Contact",
        "to_number": "0200100",
        "to_name": "First",
        "dialed_number": "97140000002",
        "start_time": "2026-04-27T07:04:23.000Z",
        "answer_time": "2026-04-27T07:04:31.000Z",
        "end_time": "2026-04-27T07:09:48.000Z",
        "ring_seconds": 8,
        "talk_seconds": 317,
        "total_seconds": 325,
        "answered": True,
        "outcome": "answered",
        "cause": "success_finish",
        "user": "Last",
        "recording_url": "https://app.callgear.com/system/media/talk/5000000001/4f2b",
    }


def test_an_outgoing_call_is_the_other_way_round() -> None:
    cdr = in_common("calls", CALL | {"direction": "out", "is_lost": None, "full_record_file_link": "https://x/y"})
    names = ("direction", "from_number", "from_name", "to_number", "to_name", "outcome", "recording_url")
    assert [cdr.get(name) for name in names] == [
        *("outbound", "97140000002", "First", "971500000001", "A Contact", "answered", "https://x/y")
    ]
    assert "dialed_number" not in cdr
    cdr = in_common("calls", CALL | {"direction": "out", "talk_duration": 0, "finish_reason": "caller_disconnects"})
    assert (cdr["answered"], cdr["outcome"]) == (False, "cancelled")


TWO = {"employees": [{"employee_id": 1}, {"employee_id": 2}, {"employee_id": 1}]}


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({"finish_reason": "subscriber_disconnects"}, "cancelled"),
        ({"finish_reason": "subscriber_disconnects", "employees": [{"employee_id": 1}] * 2}, "cancelled"),
        ({"finish_reason": "subscriber_disconnects", "employees": "two"}, "cancelled"),
        ({"finish_reason": "subscriber_disconnects"} | TWO, "abandoned"),
        ({"finish_reason": "caller_disconnects", "direction": "out"} | TWO, "cancelled"),
        ({"finish_reason": "call_enqueued"}, "abandoned"),
        ({"finish_reason": "call_enqueued", "direction": "out"}, "cancelled"),
        ({"finish_reason": "no_operation"}, "failed"),
        ({"finish_reason": "operator_busy"}, "busy"),
        ({"finish_reason": "operator_disconnects", "direction": "out"}, "cancelled"),
        ({"finish_reason": "operator_disconnects"} | TWO, "unknown"),
        ({"finish_reason": "not_enough_money"}, "failed"),
        ({"finish_reason": None}, "unknown"),
        ({"finish_reason": "success_finish"}, "unknown"),
    ],
)
def test_why_a_call_was_lost(more: Wire, outcome: str) -> None:
    """It was abandoned only where a queue or a group was waited for, however long it rang."""
    cdr = in_common("calls", LOST | more)
    assert (cdr["answered"], cdr["outcome"]) == (False, outcome)
    assert "answer_time" not in cdr
    assert "ring_seconds" not in cdr


@pytest.mark.parametrize(
    ("more", "answered", "outcome"),
    [
        ({"direction": "out"}, None, "unknown"),
        ({"direction": "out", "finish_reason": "caller_disconnects"}, None, "unknown"),
        ({"direction": "out", "finish_reason": "subscriber_busy"}, None, "busy"),
        ({"direction": "out", "talk_duration": 0}, False, "unknown"),
        ({"direction": "in", "is_lost": None}, None, "unknown"),
        ({"direction": "in", "is_lost": False}, True, "answered"),
        ({"direction": "in", "is_lost": True}, False, "unknown"),
        ({"direction": None, "is_lost": None}, None, "unknown"),
    ],
)
def test_a_call_without_a_length_of_talk_is_not_taken_for_unanswered(
    more: Wire,
    answered: bool | None,  # noqa: FBT001
    outcome: str,
) -> None:
    call = {key: value for key, value in CALL.items() if key != "talk_duration"}
    cdr = in_common("calls", call | more)
    assert (cdr.get("answered"), cdr["outcome"]) == (answered, outcome)


def test_a_voicemail_box_picks_up() -> None:
    """`answered` is the network's answer, which came when the waiting was over."""
    for lost in (True, None):
        cdr = in_common("calls", LOST | {"is_lost": lost, "voice_mail_records": ["a1"]})
        assert (cdr["answered"], cdr["outcome"], cdr["talk_seconds"]) == (True, "voicemail", 0)
        assert (cdr["answer_time"], cdr["ring_seconds"]) == ("2026-04-27T07:04:43.000Z", 20)


def test_a_call_in_progress_has_no_end_and_no_outcome_yet() -> None:
    running = CALL | {"finish_time": None, "finish_reason": None, "talk_duration": 0}
    for lost in (True, False, None):
        cdr = in_common("calls", running | {"is_lost": lost})
        assert "end_time" not in cdr
        assert cdr.get("answered") is not True
        assert cdr["outcome"] == "unknown"
    cdr = in_common("calls", running | {"talk_duration": 60})
    assert (cdr["answered"], cdr["outcome"]) == (True, "answered")
    assert "end_time" not in cdr


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-04-27 09:04:23", "2026-04-27T07:04:23.000Z"),
        ("2026-04-27T09:04:23", "2026-04-27T07:04:23.000Z"),
        ("2026-04-27T09:04:23Z", "2026-04-27T09:04:23.000Z"),
        ("2026-04-27T09:04:23.250Z", "2026-04-27T09:04:23.250Z"),
        ("2026-04-27T09:04:23+03:00", "2026-04-27T06:04:23.000Z"),
        ("2026-04-27 09:04:23+0300", "2026-04-27T06:04:23.000Z"),
    ],
)
def test_a_time_is_local_unless_it_has_an_offset(text: str, instant: str) -> None:
    [row], warnings = read("legs", {"id": 1, "start_time": text, "connect_time": text})
    assert (row["start_time"], row["connect_time"], row["start_time_local"]) == (instant, instant, text)
    assert warnings == []
    assert start({"start_time": text}, CONTEXT) == datetime.fromisoformat(instant)


PLACEHOLDERS = [
    *("", "0", "0000-00-00 00:00:00", "0001-01-01 00:00:00", "0001-01-01T00:00:00Z", "1970-01-01 00:00:00"),
    *("1970-01-01 03:00:00", "1900-01-01 00:00:00", "9999-12-31 23:59:59", 0),
]


@pytest.mark.parametrize("value", PLACEHOLDERS)
@pytest.mark.parametrize("name", ["legs", "calls", "costs"])
def test_a_time_that_stands_for_no_time_is_empty_in_every_field(name: str, value: Any) -> None:
    times = [column.name for column in call(name).columns if column.kind == "time"]
    assert {"legs": 2, "calls": 3, "costs": 1}[name] == len(times)
    [row], warnings = read(name, dict.fromkeys(times, value))
    assert {row[column] for column in times} == {None}
    assert warnings == []
    assert call(name).starts({"start_time": value}, CONTEXT) is None


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_a_leg_with_a_placeholder_for_the_pick_up_was_not_answered(value: Any) -> None:
    cdr = in_common("legs", LEG | {"connect_time": value, "finish_reason": "operator_busy"})
    assert (cdr["answered"], cdr["outcome"]) == (False, "busy")
    assert "answer_time" not in cdr
    cdr = in_common("legs", LEG | {"connect_time": value, "duration": None, "finish_reason": "caller_disconnects"})
    assert ("answered" in cdr, cdr["outcome"]) == (False, "unknown")


def test_the_end_of_a_call_in_the_hour_that_comes_twice() -> None:
    times = {"start_time": "2026-10-25 02:59:50", "finish_time": "2026-10-25 02:05:15"}
    assert in_common("calls", CALL | times)["end_time"] == "2026-10-25T01:05:15.000Z"


def test_costs_and_users_are_no_calls() -> None:
    assert call("costs").common is None
    assert call("users").common is None
    assert call("calls").common is common_call
