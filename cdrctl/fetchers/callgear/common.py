"""From CallGear's columns to the common CDR."""

from __future__ import annotations

from urllib.parse import quote

from cdrctl.fetchers import Gives
from cdrctl.fetchers.callgear.reasons import (
    CALLER_LEFT,
    EMPLOYEE_LEFT,
    QUEUED,
    UNANSWERED,
    rules_out_an_answer,
    unanswered_outcome,
)
from cdrctl.fetchers.callgear.settings import CLOSING_SLASH
from cdrctl.fetchers.mapping import later
from cdrctl.records.events import Value
from cdrctl.records.readers import seconds_between
from cdrctl.records.steps import step


def common_leg(leg: dict[str, Value]) -> dict[str, Value]:
    """Return a leg as a common CDR; of the leg to an employee only the call itself knows the direction."""
    inward, outward = leg["direction"] == "in", leg["direction"] == "out"
    operator = leg["is_operator"] is True
    talk, total = _seconds(leg["duration"]), _seconds(leg["total_duration"])
    answered = _answered_leg(leg)
    answer, ring = _answer(leg["start_time"], leg["connect_time"], talk, total) if answered else (None, total)
    if answered is None:
        ring = None
    contact, employee = leg["contact_full_name"], leg["employee_full_name"]
    return {
        "record_id": leg["id"],
        "call_id": leg["call_session_id"],
        "direction": _DIRECTIONS.get(str(leg["direction"]), "unknown") if leg["is_operator"] is False else "unknown",
        "from_number": leg["calling_phone_number"],
        # The platform calls an employee (out) or is called by one (in); the other legs are those of the contact.
        "from_name": (employee if operator else contact)
        if inward
        else (employee if outward and not operator else None),
        "to_number": leg["called_phone_number"],
        "to_name": (employee if operator else contact) if outward else (contact if inward and operator else None),
        "dialed_number": leg["virtual_phone_number"] if inward and not operator else None,
        "start_time": leg["start_time"],
        "answer_time": answer,
        "end_time": later(leg["start_time"], total),
        "ring_seconds": ring,
        "talk_seconds": talk,
        "total_seconds": total,
        "answered": answered,
        "outcome": _outcome_of_leg(leg, answered=answered),
        "cause": leg["finish_reason"] or leg["release_cause_description"],
        "cause_q850": leg["release_cause_code"],
        "user": employee,
        "queue": leg["group_name"],
        "recording_url": _recording(leg["call_records"], leg["app_host"], leg["call_session_id"]),
        "cost": leg["total_charge"],
        "currency": leg["cost_currency"],
    }


def common_call(call: dict[str, Value]) -> dict[str, Value]:
    """Return a call as a common CDR."""
    inward = call["direction"] == "in"
    talk, total = _seconds(call["talk_duration"]), _seconds(call["total_duration"])
    wait = _seconds(call["wait_duration"])
    answered = _answered_call(call, talked=bool(talk))
    outcome = _outcome_of_call(call, answered=answered, talked=bool(talk))
    contact, ours = call["contact_phone_number"], call["operator_phone_number"] or call["virtual_phone_number"]
    employee = call["first_answered_employee_full_name"]
    end = call["finish_time"]
    between = seconds_between(call["start_time"], end)
    if total is not None and _is_over(call) and (between is None or between < 0):  # as in a repeated hour
        end = later(call["start_time"], total)
    outward = call["direction"] == "out"
    return {
        "record_id": call["id"],
        "call_id": call["id"],
        "direction": _DIRECTIONS.get(str(call["direction"]), "unknown"),
        "from_number": contact if inward else ours if outward else None,
        "from_name": call["contact_full_name"] if inward else employee if outward else None,
        "to_number": ours if inward else contact if outward else None,
        "to_name": employee if inward else call["contact_full_name"] if outward else None,
        "dialed_number": call["virtual_phone_number"] if inward else None,
        "start_time": call["start_time"],
        "answer_time": later(call["start_time"], wait) if answered else None,
        "end_time": end,
        "ring_seconds": wait if answered else None,
        "talk_seconds": talk,
        "total_seconds": total,
        "answered": answered,
        "outcome": outcome,
        "cause": call["finish_reason"],
        "user": call["last_answered_employee_full_name"],
        "recording_url": call["full_record_file_link"]
        or _recording(call["call_records"], call["app_host"], call["communication_id"] or call["id"]),
    }


_DIRECTIONS = {"in": "inbound", "out": "outbound"}


def _seconds(value: Value) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _answer(began: Value, connected: Value, talk: int | None, total: int | None) -> tuple[Value, int | None]:
    """Return the time of the answer and the seconds before it.

    Around a repeated hour, that time may be before the start or after the end; then the lengths are used instead.
    """
    ring = seconds_between(began, connected)
    if ring is not None and ring >= 0 and (total is None or ring <= total):
        return connected, ring
    if talk is None or total is None or talk > total:
        return connected, None
    return later(began, total - talk), total - talk


@step()
def _recording(records: Value, app_host: Value, call_id: Value) -> str | None:
    """Return the link to the first recording ("Get call legs report", call_records)."""
    first = records[0] if isinstance(records, list) and records else None
    if not isinstance(first, str | int) or not isinstance(call_id, str) or not app_host:
        return None
    end = "/" if app_host in CLOSING_SLASH else ""
    name = str(first)
    if not (call_id + name).isalnum() or not (call_id + name).isascii():
        call_id, name = quote(call_id, safe=""), quote(name, safe="")
    return f"{app_host}/system/media/talk/{call_id}/{name}{end}"


_Q850 = {17: "busy", 18: "no_answer", 19: "no_answer", 21: "rejected"}
NORMAL = frozenset({16, 31})
"""Q.850 causes of a normal end: they do not tell why a leg was not answered."""

_BEFORE_AN_ANSWER = frozenset({1, 2, 3, 17, 18, 19, 20, 21, 22, 26, 27, 28})
"""Q.850 causes that end a leg before any answer: no such number or route, busy, no answer, rejected."""


def _answered_leg(leg: dict[str, Value]) -> bool | None:
    """Return whether the leg was answered; None if neither the time of the answer nor the length of talk is known."""
    if leg["connect_time"] is not None or _seconds(leg["duration"]) or leg["is_talked"] is True:
        return True
    return None if leg["duration"] is None else False


def _outcome_of_leg(leg: dict[str, Value], *, answered: bool | None) -> str:
    reason, cause = leg["finish_reason"], leg["release_cause_code"]
    ruled_out = rules_out_an_answer(reason) or cause in _BEFORE_AN_ANSWER
    if answered or (answered is None and not ruled_out):
        return "answered" if answered else "unknown"
    found = unanswered_outcome(reason)
    if answered is None and not rules_out_an_answer(reason):
        found = None  # use the cause instead
    inward = leg["direction"] == "in"
    if found in {CALLER_LEFT, QUEUED}:
        waited = leg["group_id"] is not None or leg["group_name"] is not None or found == QUEUED
        return "abandoned" if inward and waited else "cancelled"
    if found == EMPLOYEE_LEFT:  # a calling employee cancelled; of a called one it is unknown
        found = "cancelled" if inward == (leg["is_operator"] is True) else None
    if found is None and isinstance(cause, int) and cause not in NORMAL:
        return _Q850.get(cause, "failed")
    return found or "unknown"


def _answered_call(call: dict[str, Value], *, talked: bool) -> bool | None:
    """Return whether the call was answered, also by voicemail; None if that is unknown."""
    if talked or call["voice_mail_records"]:
        return True
    if call["direction"] == "in" and isinstance(call["is_lost"], bool):
        # A refused call, for example from a blacklisted number, may count as lost or not.
        if call["is_lost"] or rules_out_an_answer(call["finish_reason"]):
            return False
        return True if _is_over(call) else None
    return None if call["talk_duration"] is None else False


def _is_over(call: dict[str, Value]) -> bool:
    """Return whether a call is over: those in progress have neither an end nor a reason for it."""
    return call["finish_time"] is not None or call["finish_reason"] is not None


def _outcome_of_call(call: dict[str, Value], *, answered: bool | None, talked: bool) -> str:
    reason = call["finish_reason"]
    if call["voice_mail_records"] and not talked:
        return "voicemail"
    if answered or (answered is None and not rules_out_an_answer(reason)):
        return "answered" if answered else "unknown"
    found = unanswered_outcome(reason)
    if found in {CALLER_LEFT, QUEUED}:
        waited = found == QUEUED or _employees_rung(call["employees"]) > 1
        return "abandoned" if call["direction"] == "in" and waited else "cancelled"
    if found == EMPLOYEE_LEFT:
        found = "cancelled" if call["direction"] == "out" else None
    return found or "unknown"


@step()
def _employees_rung(employees: Value) -> int:
    """Return the number of employees rung. Several mean a queue or group, which the record of a call does not name."""
    if not isinstance(employees, list):
        return 0
    return len({str(one["employee_id"]) for one in employees if isinstance(one, dict) and one.get("employee_id")})


GIVES_LEG = Gives(
    outcomes=UNANSWERED | {"answered", "failed", "unknown", *_Q850.values()},
    directions=frozenset({"unknown", *_DIRECTIONS.values()}),
    null=frozenset({"site", "trunk"}),
)
GIVES_CALL = Gives(
    outcomes=UNANSWERED | {"answered", "voicemail", "unknown"},
    directions=frozenset({"unknown", *_DIRECTIONS.values()}),
    null=frozenset({"cause_q850", "site", "trunk", "queue", "cost", "currency"}),
)
