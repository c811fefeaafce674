"""The common CDRs of Voicenter records and notifications: direction, outcome and times."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from cdrctl.fetchers.voicenter import PROVIDER
from cdrctl.fetchers.voicenter.columns import fold
from cdrctl.fetchers.voicenter.common import DIRECTIONS, OUTCOMES, TYPES
from cdrctl.records.events import Page
from cdrctl.records.schemas import common
from tests.support.products import for_each

from .voicenter_records_kit import one, push

# The 19 types and 15 statuses of the user's document, as it spells them.
SEED_TYPES = (
    *("Incoming Call", "CC", "Extension Outgoing", "Queue", "Click2Call leg1", "Click2Call leg2", "VoiceMail"),
    *("Callference", "XferCDR", "ProductiveCall Leg1", "ProductiveCall Leg2", "Scrubber", "Click 2 IVR"),
    *("Click 2 IVR Incoming", "Click 2 Queue Incoming", "FaxCdr", "Attended CDR leg1", "Attended CDR leg2"),
    "Auto forward",
)

EXPECTED_DIRECTIONS = {
    **dict.fromkeys(
        ("Incoming Call", "Queue", "VoiceMail", "Click 2 IVR Incoming", "Click 2 Queue Incoming"), "inbound"
    ),
    **dict.fromkeys(("Extension Outgoing", "CC", "Click2Call leg2", "ProductiveCall Leg2", "FaxCdr"), "outbound"),
    **dict.fromkeys(("Click2Call leg1", "ProductiveCall Leg1", "Click 2 IVR"), "internal"),
    **dict.fromkeys(("XferCDR", "Attended CDR leg1", "Attended CDR leg2", "Auto forward"), "unknown"),
    **dict.fromkeys(("Callference", "Scrubber", "Something new"), "unknown"),
}


@for_each("kind, direction", EXPECTED_DIRECTIONS.items())
def test_direction_by_type_in_any_spelling(kind: str, direction: str) -> None:
    for spelt in (kind, kind.upper(), kind.replace(" ", ""), kind.replace(" ", "  ").lower(), f" {kind} "):
        assert one(Type=spelt)["direction"] == direction
        assert push(type=spelt)["direction"] == direction


@for_each("number, kind", TYPES.items())
def test_direction_by_number_alone(number: int, kind: str) -> None:
    for spelt in (number, str(number)):
        assert one(CdrType=spelt)["direction"] == EXPECTED_DIRECTIONS[kind]
        assert one(CdrType=spelt, Type="renamed")["direction"] == EXPECTED_DIRECTIONS[kind]


def test_every_type_of_both_documents_is_known() -> None:
    assert {fold(kind) for kind in SEED_TYPES} == set(DIRECTIONS)
    assert {fold(kind) for kind in TYPES.values()} <= set(DIRECTIONS)
    # Page "Call Log", 2026: number and name.
    assert {1: "Incoming Call", 4: "Extension Outgoing", 8: "Queue", 23: "Auto forward"}.items() <= TYPES.items()
    assert sorted(TYPES) == [1, 4, 8, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23]


def test_the_numbers_of_an_unknown_type_give_no_direction() -> None:
    assert one(CdrType=2)["direction"] == "unknown"
    assert one(CdrType=2, Type="Queue")["direction"] == "inbound"


EXPECTED_OUTCOMES = {
    "ANSWER": "answered",
    "VOICEMAIL": "voicemail",
    "BUSY": "busy",
    "FULL": "busy",
    "NOANSWER": "no_answer",
    **dict.fromkeys(("CANCEL", "NOTDIALED", "NOTCALLED", "SSWPREAUTH"), "cancelled"),
    **dict.fromkeys(("ABANDONE", "VOEND", "TIMEOUT", "EXIT", "JOINEMPTY"), "abandoned"),
    **dict.fromkeys(("CONGESTION", "CHANUNAVAIL", "INVALIDARGS"), "failed"),
    **dict.fromkeys(("TE", "SOMETHING"), "unknown"),
}


@for_each("status, outcome", EXPECTED_OUTCOMES.items())
def test_outcome_by_status_in_any_spelling(status: str, outcome: str) -> None:
    for spelt in (status, status.lower(), status.title(), f" {status} ", f"{status[:2]} {status[2:]}"):
        for cdr in (one(DialStatus=spelt, Type="Incoming Call"), push(status=spelt, type="Incoming Call")):
            assert cdr["outcome"] == outcome
            assert cdr["answered"] is {"ANSWER": True, "VOICEMAIL": None, "SOMETHING": None}.get(status, False)
            assert cdr["cause"] == spelt
            assert cdr["cause_q850"] is None
    assert len(OUTCOMES) == len(EXPECTED_OUTCOMES) - 2


@for_each("fields", [{"Type": "VoiceMail"}, {"CdrType": 11}, {"Type": "voice mail", "CdrType": 11}])
@for_each("status", ["ANSWER", "VOICEMAIL", "NOANSWER", ""])
def test_a_call_that_a_voicemail_box_took_is_answered(status: str, fields: dict[str, Any]) -> None:
    """`answered` is the network's answer, and the outcome is voicemail."""
    cdr = one(DialStatus=status, Duration=9, RingTime=3, **fields)
    assert (cdr["outcome"], cdr["answered"], cdr["talk_seconds"]) == ("voicemail", True, 9)
    assert cdr["answer_time"] == "2026-11-18T09:00:03.000Z"
    assert (cdr["total_seconds"], cdr["ring_seconds"]) == (12, 3)


@for_each("duration, answered", [(7, True), (0, False), (None, None)])
def test_the_status_voicemail_is_an_answer_if_something_was_recorded(
    duration: int | None,
    answered: bool | None,  # noqa: FBT001
) -> None:
    for cdr in (
        one(Type="Incoming Call", DialStatus="VOICEMAIL", RingTime=3, Duration=duration),
        push(type="Incoming Call", status="VOICEMAIL", dialtime=3, duration=duration),
    ):
        assert (cdr["outcome"], cdr["answered"]) == ("voicemail", answered)
        assert (cdr["answer_time"] is not None) is (answered is True)


def test_voicemail_overrides_the_status_of_a_notification() -> None:
    cdr = push(type="VoiceMail", status="VOICEMAIL", duration=5, isAnswer=0)
    assert (cdr["outcome"], cdr["answered"]) == ("voicemail", True)


@for_each("epoch", [0, "0", "", None])
@for_each("date", ["0001-01-01T00:00:00Z", "0001-01-01 00:00:00", "1970-01-01T00:00:00Z", "", None])
def test_a_placeholder_time_is_not_a_start(date: str | None, epoch: Any) -> None:
    cdr = one(Date=date, DateEpoch=epoch, Type="Incoming Call", DialStatus="ANSWER", Duration=3, RingTime=1)
    assert (cdr["start_time"], cdr["answer_time"], cdr["end_time"]) == (None, None, None)
    call = PROVIDER.call("cdrs")
    assert call.starts({"Date": date, "DateEpoch": epoch}, {}) is None
    assert push(type="Incoming Call", status="ANSWER", time=epoch, duration=3)["start_time"] is None


def test_times_of_unanswered_calls() -> None:
    cdr = one(Type="Incoming Call", DialStatus="NOANSWER", RingTime=25, Duration=0)
    assert (cdr["answer_time"], cdr["end_time"]) == (None, "2026-11-18T09:00:25.000Z")
    assert (cdr["ring_seconds"], cdr["talk_seconds"], cdr["total_seconds"]) == (25, 0, 25)


def test_caller_and_called_party_of_a_record() -> None:
    """Numbers come before extensions; in incoming calls, the called number comes first."""
    both = {"CallerNumber": "1", "CallerExtension": "S1", "TargetNumber": "2", "TargetExtension": "S2", "DID": "3"}
    names = {"RepresentativeName": "R", "UserName": "U", "DepartmentName": "D", "QueueName": "Q"}
    cdr = one(Type="Incoming Call", **both, **names)
    assert [cdr[name] for name in ("from_number", "to_number", "dialed_number")] == ["1", "2", "3"]
    assert [cdr[name] for name in ("from_name", "to_name", "user", "site", "queue")] == [None, "R", "R", "D", "Q"]
    cdr = one(Type="Extension Outgoing", **both, **names)
    assert [cdr[name] for name in ("from_name", "to_name", "dialed_number")] == ["R", None, "2"]
    cdr = one(Type="Queue", CallerExtension="S1", TargetExtension="S2", DID="3", UserName="U")
    assert [cdr[name] for name in ("from_number", "to_number", "user")] == ["S1", "S2", "U"]
    assert one(Type="Queue", DID="3")["to_number"] == "3"
    assert one(Type="Extension Outgoing", DID="3")["to_number"] is None
    assert one(Type="Auto forward", TargetNumber="2", DID="3")["dialed_number"] is None


def test_direction_of_a_notification() -> None:
    for word, direction in (("incoming", "inbound"), ("Outgoing", "outbound"), (" INTERNAL ", "internal")):
        assert push(type="Auto forward", direction=word)["direction"] == direction
    assert push(type="Queue", direction="sideways")["direction"] == "inbound"
    cdr = push(type="Queue", did="3", target="2", callerextension_name="A", targetextension_name="B")
    assert [cdr[name] for name in ("dialed_number", "to_number", "from_name", "to_name")] == ["3", "2", "A", "B"]


@for_each(
    "is_answer, status, answered, outcome",
    [
        (1, "ANSWER", True, "answered"),
        ("1", None, True, "answered"),
        (0, "ANSWER", False, "unknown"),
        (0, "ABANDONE", False, "abandoned"),
        (0, None, False, "unknown"),
        (1, "TE", True, "answered"),
        (None, None, None, "unknown"),
    ],
)
def test_outcome_of_a_notification(
    is_answer: Any,
    status: str | None,
    answered: bool | None,  # noqa: FBT001
    outcome: str,
) -> None:
    cdr = push(isAnswer=is_answer, status=status, type="Incoming Call", dialtime=2, duration=5)
    assert (cdr["answered"], cdr["outcome"]) == (answered, outcome)
    assert (cdr["answer_time"] is not None) is (answered is True)


@for_each(
    "fields, ring, talk, total",
    [
        ({"type": "Queue", "duration": 50, "seconds_waiting_in_queue": 20, "IVR": []}, None, 30, 50),
        ({"type": "Queue", "duration": 50, "seconds_waiting_in_queue": 20}, None, 50, 50),
        ({"type": "Queue", "duration": 10, "seconds_waiting_in_queue": 20, "isAnswer": 1}, None, 0, 10),
        (
            {"type": "Incoming Call", "duration": 50, "seconds_waiting_in_queue": 20, "IVR": [], "dialtime": 4},
            4,
            50,
            54,
        ),
        (
            {"type": "Queue", "duration": 50, "actualCallDuration": 28, "actualCallDialtime": 3, "dialtime": 9},
            3,
            28,
            53,
        ),
        ({"type": "Extension Outgoing", "actualCallDuration": 28, "dialtime": 9}, 9, 28, 37),
    ],
)
def test_seconds_of_notifications(fields: dict[str, Any], ring: int | None, talk: int, total: int) -> None:
    """In today's form, `duration` of queue calls includes the waiting; in the first form it was talk alone."""
    cdr = push(status="ANSWER", **fields)
    assert (cdr["ring_seconds"], cdr["talk_seconds"], cdr["total_seconds"]) == (ring, talk, total)
    began = datetime.fromisoformat(cdr["start_time"])
    assert datetime.fromisoformat(cdr["end_time"]) - began == timedelta(seconds=total)
    assert datetime.fromisoformat(cdr["answer_time"]) - began == timedelta(seconds=total - talk)


def test_answer_time_of_talk_longer_than_the_call_is_not_before_its_start() -> None:
    cdr = push(status="ANSWER", duration=5, actualCallDuration=28)
    assert cdr["answer_time"] is None  # the ringing time is unknown
    cdr = push(status="ANSWER", duration=5, actualCallDuration=28, dialtime=2)
    assert cdr["answer_time"] == cdr["start_time"]


def test_unreadable_values_do_not_end_the_export() -> None:
    """Native columns keep them; values of the common CDR that depend on them are null."""
    call = PROVIDER.call("cdrs")
    assert call.common is not None
    told: list[str] = []
    schema = common(call.columns, call.common, None, told.append, provider="voicenter", profile="acme")
    odd = {"CallID": "a", "Date": "soon", "Duration": "long", "RingTime": [], "Type": {}, "DialStatus": 7, "Price": "x"}
    odd |= {"CdrType": [1], "DateEpoch": {"a": 1}}
    [row] = schema.rows(Page([odd]))
    assert schema.columns is not None
    cdr = dict(zip([column.name for column in schema.columns], row, strict=True))
    assert (cdr["start_time"], cdr["end_time"], cdr["total_seconds"], cdr["outcome"]) == ("soon", None, None, "unknown")
    assert len(told) >= 5
