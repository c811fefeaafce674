"""The common CDRs of CallGear calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cdrctl.fetchers.callgear.columns import start
from cdrctl.fetchers.callgear.common import common_call
from tests.support.products import for_each

from .callgear_kit import Wire
from .callgear_records_kit import CALL, CONTEXT, LEG, LOST, call, in_common, read


def test_common_cdr_of_an_answered_incoming_call() -> None:
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


def test_common_cdr_of_an_outgoing_call() -> None:
    cdr = in_common("calls", CALL | {"direction": "out", "is_lost": None, "full_record_file_link": "https://x/y"})
    names = ("direction", "from_number", "from_name", "to_number", "to_name", "outcome", "recording_url")
    assert [cdr.get(name) for name in names] == [
        *("outbound", "97140000002", "First", "971500000001", "A Contact", "answered", "https://x/y")
    ]
    assert "dialed_number" not in cdr
    cdr = in_common("calls", CALL | {"direction": "out", "talk_duration": 0, "finish_reason": "caller_disconnects"})
    assert (cdr["answered"], cdr["outcome"]) == (False, "cancelled")


TWO = {"employees": [{"employee_id": 1}, {"employee_id": 2}, {"employee_id": 1}]}


@for_each(
    "more, outcome",
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
def test_outcome_of_a_lost_call(more: Wire, outcome: str) -> None:
    """A call is abandoned only if it waited for a queue or a group, however long it rang."""
    cdr = in_common("calls", LOST | more)
    assert (cdr["answered"], cdr["outcome"]) == (False, outcome)
    assert "answer_time" not in cdr
    assert "ring_seconds" not in cdr


@for_each(
    "more, answered, outcome",
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
def test_call_without_a_talk_duration_is_not_unanswered(
    more: Wire,
    answered: bool | None,  # noqa: FBT001
    outcome: str,
) -> None:
    call = {key: value for key, value in CALL.items() if key != "talk_duration"}
    cdr = in_common("calls", call | more)
    assert (cdr.get("answered"), cdr["outcome"]) == (answered, outcome)


def test_call_to_a_voicemail_box_is_answered() -> None:
    """`answered` is the network's answer, which comes at the end of the waiting."""
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


@for_each(
    "text, instant",
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


@for_each("value", PLACEHOLDERS)
@for_each("name", ["legs", "calls", "costs"])
def test_a_placeholder_time_is_null_in_every_field(name: str, value: Any) -> None:
    times = [column.name for column in call(name).columns if column.kind == "time"]
    assert {"legs": 2, "calls": 3, "costs": 1}[name] == len(times)
    [row], warnings = read(name, dict.fromkeys(times, value))
    assert {row[column] for column in times} == {None}
    assert warnings == []
    assert call(name).starts({"start_time": value}, CONTEXT) is None


@for_each("value", PLACEHOLDERS)
def test_leg_with_a_placeholder_as_answer_time_is_unanswered(value: Any) -> None:
    cdr = in_common("legs", LEG | {"connect_time": value, "finish_reason": "operator_busy"})
    assert (cdr["answered"], cdr["outcome"]) == (False, "busy")
    assert "answer_time" not in cdr
    cdr = in_common("legs", LEG | {"connect_time": value, "duration": None, "finish_reason": "caller_disconnects"})
    assert ("answered" in cdr, cdr["outcome"]) == (False, "unknown")


def test_the_end_of_a_call_in_the_hour_that_comes_twice() -> None:
    times = {"start_time": "2026-10-25 02:59:50", "finish_time": "2026-10-25 02:05:15"}
    assert in_common("calls", CALL | times)["end_time"] == "2026-10-25T01:05:15.000Z"


def test_costs_and_users_have_no_common_cdrs() -> None:
    assert call("costs").common is None
    assert call("users").common is None
    assert call("calls").common is common_call
