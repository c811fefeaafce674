"""Why a leg ended: CallGear's finish reasons and release causes."""

from __future__ import annotations

from collections.abc import Mapping

from cdrctl.sandbox.callgear.fields import Record
from cdrctl.sandbox.callgear.parties import is_inbound
from cdrctl.sandbox.exchange.parties import Call, Leg

_NEWER = {
    "subscriber_disconnects": "caller_disconnects",
    "subscriber_busy": "caller_busy",
    "subscriber_not_responsible": "caller_not_responsive",
    "subscriber_number_problems": "caller_number_problems",
    "operator_not_responsible": "operator_not_responsive",
}
"""The newer spelling of finish reasons, by the older one."""

_OLDER = {newer: older for older, newer in _NEWER.items()}
_TEXTS = {
    "subscriber_disconnects": "The subscriber ended the call",
    "subscriber_busy": "The subscriber is busy",
    "subscriber_not_responsible": "The subscriber does not answer",
    "subscriber_number_problems": "The subscriber's number cannot be reached",
    "operator_disconnects": "The employee ended the call",
    "operator_busy": "The employee is busy",
    "operator_not_responsible": "The employee does not answer",
    "operator_number_problems": "The employee's number cannot be reached",
    "employee_status_do_not_disturb": 'The employee\'s status is "Do not disturb"',
    "sip_offline": "The SIP line is not registered",
    "another_operator_answer": "Another employee answered",
    "transfer_disconnects": "The call was transferred",
    "scenario_disconnects": "The scenario ended the call",
}
_Q850 = {
    "normal": (16, "Normal call clearing"),
    "busy": (17, "User busy"),
    "no_answer": (19, "No answer from the user"),
    "cancelled": (16, "Normal call clearing"),
    "rejected": (21, "Call rejected"),
    "unallocated": (1, "Unallocated number"),
    "unavailable": (27, "Destination out of order"),
    "answered_elsewhere": (26, "Non-selected user clearing"),
    "abandoned": (16, "Normal call clearing"),
    "blind_transfer": (16, "Normal call clearing"),
    "consulted_transfer": (16, "Normal call clearing"),
    "forwarded": (31, "Normal, unspecified"),
}
"""The release cause of each of the exchange's causes, by ITU-T Q.850."""


def finish_reason(switched: Mapping[str, str], leg: Leg, call: Call, *, answered: bool) -> str:
    """Give the finish reason of a leg, in the spelling that is switched on."""
    fixed = switched["reason"]
    reason = _older_reason(leg, call) if answered or fixed == "own" else fixed
    return _NEWER.get(reason, reason) if switched["reasons"] == "caller" else reason


def reason_text(reason: str) -> str | None:
    """Describe a finish reason, in either spelling."""
    return _TEXTS.get(_OLDER.get(reason, reason))


def release_cause(switched: Mapping[str, str], leg: Leg) -> Record:
    """Write the release cause of a leg, which is deprecated."""
    kept = switched["deprecated"] == "kept"
    code, text = _Q850.get(leg.cause, _Q850["normal"])
    return {"release_cause_code": code if kept else None, "release_cause_description": text if kept else None}


def _older_reason(leg: Leg, call: Call) -> str:
    """Say why a leg ended, in the spelling of the older documents and of real traffic."""
    outside = call.kind == "outbound"
    if leg.cause == "busy":
        return "subscriber_busy" if outside else "operator_busy"
    if leg.cause == "no_answer":
        return "subscriber_not_responsible" if outside else "operator_not_responsible"
    if leg.cause == "rejected":
        return "subscriber_disconnects" if outside else "employee_status_do_not_disturb"
    if leg.cause == "unallocated":
        return "subscriber_number_problems" if outside else "operator_number_problems"
    if leg.cause == "unavailable":
        return "subscriber_number_problems" if outside else "sip_offline"
    plain = {
        "cancelled": "operator_disconnects" if not is_inbound(call) else "subscriber_disconnects",
        "abandoned": "subscriber_disconnects",
        "answered_elsewhere": "another_operator_answer",
        "blind_transfer": "transfer_disconnects",
        "parked": "transfer_disconnects",
        "forwarded": "operator_not_responsible" if leg.ring_seconds else "transfer_disconnects",
        "consulted_transfer": "transfer_disconnects",
    }
    if leg.cause in plain:
        return plain[leg.cause]
    if leg.party.kind in {"queue", "hunt_group", "attendant", "voicemail"} and leg.released_by == "local":
        return "scenario_disconnects"
    ended_here = leg.released_by == "local"
    ours = leg.party.kind != "outside"
    inside = not is_inbound(call) and not outside
    return "operator_disconnects" if inside or ended_here == ours else "subscriber_disconnects"
