"""From Webex's columns to the common CDR."""

from __future__ import annotations

from collections.abc import Mapping

from cdrctl.fetchers import Gives
from cdrctl.fetchers.mapping import length
from cdrctl.fetchers.webex.columns import Q850
from cdrctl.records.events import Value
from cdrctl.records.readers import seconds_between
from cdrctl.records.steps import step

# Reasons that decide the outcome of an unanswered leg: REFUSALS before a pickup elsewhere, SILENCES after it.
REFUSALS: Mapping[str, str] = {
    "UserBusy": "busy",
    "Busy": "busy",
    "CallRejected": "rejected",
    "AdminCallBlock": "rejected",
    "UserCallBlock": "rejected",
    "SIP487": "cancelled",
}
SILENCES = frozenset({"NoAnswer", "NoAnswerFromUser", "NoUserResponse", "SIP408", "Unanswered"})

# Every call type seen on an outgoing call; an unknown type gives the direction `unknown`.
OUTBOUND = frozenset(
    {
        *("SIP_INTERNATIONAL", "SIP_SHORTCODE", "SIP_INBOUND", "SIP_EMERGENCY", "SIP_PREMIUM", "SIP_TOLLFREE"),
        *("SIP_NATIONAL", "SIP_MOBILE", "SIP_URI", "SIP_OPERATOR", "SIP_CLICKTOCALL", "ZTN"),
    }
)


def common_cdr(leg: dict[str, Value]) -> dict[str, Value]:
    """Return a leg as a common CDR: direction and outcome are of this leg, not of the whole call."""
    placed = leg["direction"] == "ORIGINATING"
    answered = _answered(leg)
    owner = leg["user"]
    outward, inward = leg["outbound_trunk"] or leg["route_group"], leg["inbound_trunk"]
    end = leg["release_time"] or leg["report_time"]
    reason = _word(leg["call_outcome_reason"])
    return {
        "record_id": leg["report_id"],
        "call_id": leg["correlation_id"] or leg["network_call_id"] or leg["report_id"],
        "direction": _direction(leg),
        "from_number": leg["calling_number"] or leg["caller_id_number"],
        "from_name": leg["calling_line_id"] or (owner if placed else None),
        "to_number": leg["called_number"],
        "to_name": leg["called_line_id"] or (owner if leg["direction"] == "TERMINATING" else None),
        "dialed_number": leg["dialed_digits"] if placed else None,
        "start_time": leg["start_time"],
        "answer_time": leg["answer_time"] if answered else None,
        "end_time": end,
        "ring_seconds": length(leg["ring_duration"]),
        "talk_seconds": length(leg["duration"]),
        "total_seconds": length(seconds_between(leg["start_time"], end)),
        "answered": answered,
        "outcome": _outcome(leg, answered=answered),
        "cause": leg["call_outcome_reason"],
        "cause_q850": 16 if answered and reason == "Normal" else Q850.get(reason),
        "user": owner,
        "site": leg["location"],
        "trunk": (outward or inward) if placed else (inward or outward),
        "queue": owner if _word(leg["user_type"]) in {"CallCenterStandard", "CallCenterPremium"} else None,
    }


def _answered(leg: dict[str, Value]) -> bool | None:
    """Return whether the leg was answered, also by voicemail; None if neither field says so."""
    if isinstance(leg["answered"], bool):
        return leg["answered"]
    return True if isinstance(leg["answer_time"], str) else None


@step()
def is_plus(number: Value) -> bool:
    """Return whether a number has its country code."""
    return isinstance(number, str) and number.startswith("+")


def _word(value: Value) -> str:
    """Return a value of an open enumeration, or an empty string if it is not text."""
    return value if isinstance(value, str) else ""


def _direction(leg: dict[str, Value]) -> str:
    kind = _word(leg["call_type"])
    if leg["direction"] == "ORIGINATING":
        if kind == "SIP_ENTERPRISE":
            return "internal"
        return "outbound" if kind in OUTBOUND else "unknown"
    if leg["direction"] == "TERMINATING":
        outside = leg["inbound_trunk"] or is_plus(leg["calling_number"])
        if kind == "SIP_INBOUND" or (kind == "SIP_ENTERPRISE" and outside):
            return "inbound"  # calls from outside reach people behind a queue as SIP_ENTERPRISE legs
        return "internal" if kind == "SIP_ENTERPRISE" else "unknown"
    return "unknown"


def _outcome(leg: dict[str, Value], *, answered: bool | None) -> str:
    reason, kind = _word(leg["call_outcome_reason"]), _word(leg["user_type"])
    if answered:
        return "voicemail" if kind.startswith("VoiceMail") else "answered"
    if reason in REFUSALS:
        return REFUSALS[reason]
    if leg["answered_elsewhere"] == "Yes":
        return "cancelled"
    if reason in SILENCES:
        return "no_answer"
    if leg["call_outcome"] == "Success" and reason == "Normal" and answered is False:
        if kind.startswith("CallCenter") and leg["releasing_party"] == "Remote":
            return "abandoned"
        hung_up = ("ORIGINATING", "Local"), ("TERMINATING", "Remote")
        return "cancelled" if (leg["direction"], leg["releasing_party"]) in hung_up else "no_answer"
    return "failed" if leg["call_outcome"] in ("Failure", "Refusal") else "unknown"


GIVES = Gives(
    outcomes=frozenset(
        {
            *("answered", "voicemail", "cancelled", "no_answer", "abandoned", "failed", "unknown"),
            *REFUSALS.values(),
        }
    ),
    directions=frozenset({"inbound", "outbound", "internal", "unknown"}),
    null=frozenset({"recording_url", "cost", "currency"}),
)
