"""The common CDRs of CallGear legs."""

from __future__ import annotations

from typing import Any

from cdrctl.fetchers.callgear.reasons import UNCLEAR
from tests.support.products import for_each

from .callgear_kit import Wire, sample
from .callgear_records_kit import LEG, LOST, in_common


def test_common_cdr_of_an_unanswered_leg() -> None:
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


def test_common_cdr_of_the_leg_to_an_employee() -> None:
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


@for_each(
    "direction, operator, expected",
    [
        ("in", False, ("inbound", "Contact", None)),
        ("out", False, ("outbound", "Employee", "Contact")),
        ("in", True, ("unknown", "Employee", "Contact")),
        ("out", True, ("unknown", None, "Employee")),
        ("in", None, ("unknown", "Contact", None)),
        ("sideways", False, ("unknown", None, None)),
    ],
)
def test_the_caller_and_the_called_party_of_a_leg(
    direction: str, operator: Any, expected: tuple[str | None, ...]
) -> None:
    names = {"contact_full_name": "Contact", "employee_full_name": "Employee"}
    cdr = in_common("legs", LEG | names | {"direction": direction, "is_operator": operator})
    assert (cdr["direction"], cdr.get("from_name"), cdr.get("to_name")) == expected


@for_each(
    "reason, cause, more, outcome",
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
def test_outcome_of_an_unanswered_leg(reason: str | None, cause: int | None, more: Wire, outcome: str) -> None:
    record = LEG | {"finish_reason": reason, "release_cause_code": cause} | more
    assert in_common("legs", record)["outcome"] == outcome
    answered = in_common("legs", record | {"duration": 5, "connect_time": "2026-04-27 09:00:15"})
    assert (answered["outcome"], answered["answered"]) == ("answered", True)


_DOCUMENTED = sample("data_finish_reasons.json")
_MET = {"sitephone_is_not_configured", "employee_not_exists", "no_success_subscriber_call"}
KNOWN_REASONS = sorted({reason for name, found in _DOCUMENTED.items() if "docs" in name for reason in found} | _MET)
"""The reasons in all documents, and those that clients of the API have seen."""


@for_each("reason", KNOWN_REASONS)
def test_every_known_reason_has_an_outcome_or_is_an_exception(reason: str) -> None:
    leg = in_common("legs", LEG | {"finish_reason": reason})
    call = in_common("calls", LOST | {"finish_reason": reason, "total_wait_duration": 1, "wait_duration": 1})
    assert (leg["answered"], call["answered"]) == (False, False)
    if reason == "operator_disconnects":  # the called employee may or may not have declined
        assert (leg["outcome"], call["outcome"]) == ("unknown", "unknown")
    else:
        unclear = reason in UNCLEAR
        assert (leg["outcome"] == "unknown", call["outcome"] == "unknown") == (unclear, unclear)
    if reason != "call_enqueued":
        assert leg["outcome"] != "abandoned"
        assert call["outcome"] != "abandoned"


def test_both_spellings_of_a_reason_have_the_same_outcome() -> None:
    pairs = [*_DOCUMENTED["pairs"], ["no_success_caller_call", "no_success_subscriber_call"]]
    assert len(pairs) == 6
    for one, other in pairs:
        for name, record in (("legs", LEG), ("calls", LOST), ("legs", LEG | {"duration": None})):
            outcomes = [in_common(name, record | {"finish_reason": reason})["outcome"] for reason in (one, other)]
            assert outcomes[0] == outcomes[1]


def test_only_a_few_known_reasons_have_no_outcome() -> None:
    assert set(UNCLEAR) < set(KNOWN_REASONS)
    assert len(UNCLEAR) <= 5
    assert all(UNCLEAR.values())


@for_each(
    "reasons, outcome",
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
def test_reason_decides_the_outcome_without_times(reasons: str, outcome: str) -> None:
    """None of these reasons can end a conversation, so the leg was unanswered even without its times."""
    outcomes = (outcome.split() * 9)[: len(reasons.split())]
    for reason, expected in zip(reasons.split(), outcomes, strict=True):
        for more in ({}, {"connect_time": None, "duration": None}):
            assert in_common("legs", LEG | {"finish_reason": reason} | more)["outcome"] == expected
        for lost in (True, False, None):
            assert in_common("calls", LOST | {"finish_reason": reason, "is_lost": lost})["outcome"] == expected
        cdr = in_common("calls", LOST | {"finish_reason": reason, "is_lost": None, "talk_duration": None})
        assert (cdr.get("answered"), cdr["outcome"]) == (None, expected)


@for_each(
    "more, outcome",
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
def test_leg_without_answer_data_is_unknown(more: Wire, outcome: str) -> None:
    """It is not unknown if its reason or its cause excludes an answer."""
    bare = {key: value for key, value in LEG.items() if key not in {"connect_time", "duration"}}
    for record in (bare, bare | {"connect_time": None, "duration": None}):
        cdr = in_common("legs", record | more)
        assert "answered" not in cdr
        assert "ring_seconds" not in cdr
        assert cdr["outcome"] == outcome
    cdr = in_common("legs", bare | more | {"is_talked": True})
    assert (cdr["answered"], cdr["outcome"]) == (True, "answered")


def test_leg_with_a_talk_duration_is_answered() -> None:
    cdr = in_common("legs", {key: value for key, value in LEG.items() if key != "connect_time"} | {"duration": 15})
    assert (cdr["answered"], cdr["answer_time"], cdr["ring_seconds"]) == (True, "2026-04-27T07:00:05.000Z", 5)
    cdr = in_common("legs", {"id": 1})
    assert "answered" not in cdr
    assert cdr["outcome"] == "unknown"


def test_lengths_order_the_times_of_the_repeated_hour() -> None:
    """The leg began shortly before three, and was answered shortly after two, or three."""
    for begun, answered in (("02:59:50", "02:00:10"), ("02:59:50", "03:00:10")):
        record = LEG | {"start_time": f"2026-10-25 {begun}", "connect_time": f"2026-10-25 {answered}"}
        cdr = in_common("legs", record | {"duration": 100, "total_duration": 120})
        assert (cdr["start_time"], cdr["answer_time"]) == ("2026-10-25T00:59:50.000Z", "2026-10-25T01:00:10.000Z")
        assert (cdr["ring_seconds"], cdr["end_time"]) == (20, "2026-10-25T01:01:50.000Z")


def test_inconsistent_leg_is_exported() -> None:
    odd = {"start_time": "soon", "connect_time": "later", "duration": -5, "total_duration": 10**12}
    cdr = in_common("legs", LEG | odd | {"call_records": [{}], "release_cause_code": "x"})
    assert cdr["record_id"] == "1"
    assert in_common("legs", LEG | {"call_records": []}).get("recording_url") is None
    assert in_common("legs", LEG | {"call_records": ["../x y"]})["recording_url"].endswith("/talk/2/..%2Fx%20y")
