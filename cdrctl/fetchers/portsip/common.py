"""From PortSIP's columns to the common CDR."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec.structs import replace

from cdrctl.fetchers import Gives
from cdrctl.records.events import Value
from cdrctl.records.readers import seconds_between
from cdrctl.records.steps import step

_DIRECTIONS = {
    "INBOUND_CALL": "inbound",
    "OUTBOUND_CALL": "outbound",
    "EXTENSION_CALL": "internal",
    "INBOUND_OUTBOUND_CALL": "inbound",  # came from outside and was sent on to the outside
}
# The outcome of an unanswered call by its SIP status (RFC 3261, section 21).
_OUTCOMES: Mapping[int, str] = {
    486: "busy",
    600: "busy",
    487: "cancelled",
    408: "no_answer",
    480: "no_answer",
    401: "rejected",
    403: "rejected",
    603: "rejected",
}


def common_cdr(call: dict[str, Value]) -> dict[str, Value]:
    """Return a call, a call log or a leg of a detail as a common CDR; its cost has no currency."""
    direction = _DIRECTIONS.get(word_for(call["direction"]), "unknown")
    started, rang, answered, ended = (call[name] for name in ("started_at", "rang_at", "answered_at", "ended_at"))
    side = {"inbound": "callee", "internal": "callee", "outbound": "caller"}.get(direction)
    status = call["status_code"]
    return {
        "record_id": call["id"],
        "call_id": call.get("session_id") or call["id"],
        "direction": direction,
        "from_number": call["caller"],
        "from_name": call["caller_display_name"],
        "to_number": call["callee"],
        "to_name": call["callee_display_name"],
        "dialed_number": {"inbound": call["did_cid"], "outbound": call["callee"]}.get(direction),
        "start_time": started,
        "answer_time": answered,
        "end_time": ended,
        "ring_seconds": _elapsed(rang, answered or ended),
        "talk_seconds": call["duration"],
        "total_seconds": _elapsed(started, ended),
        "answered": _answered(call),
        "outcome": _outcome(call),
        "cause": call["end_reason"] or (f"SIP {status}" if status else None),
        "user": (call[f"{side}_display_name"] or call[side]) if side else None,
        "site": call["callee_domain"] if direction == "inbound" else call["caller_domain"],
        "trunk": call["trunk"],
        "queue": call["service_number"],
        "cost": call["cost"],
    }


def common_leg(leg: dict[str, Value]) -> dict[str, Value]:
    """Return a leg of `GET /cdrs/ID` as a common CDR; the legs of a call share its id."""
    return {**common_cdr(leg), "call_id": _call_of(leg["id"])}


@step()
def _call_of(leg_id: Value) -> str:
    """Return the id of a call from that of a leg."""
    return re.sub(r"#[0-9]+\Z", "", str(leg_id))


def word_for(value: Value) -> str:
    """Return a value of an open enumeration in upper case, or an empty string if it is not text."""
    return value.strip().upper() if isinstance(value, str) else ""


def _elapsed(since: Value, until: Value) -> int | None:
    seconds = seconds_between(since, until)
    return seconds if seconds is None or seconds >= 0 else None


def _answered(call: dict[str, Value]) -> bool | None:
    """Return whether the call was answered; None if the record contradicts itself: talk without a time of answer."""
    if call["answered_at"] is not None:
        return True
    talked, status = call["duration"], call["status_code"]
    ruled_out = isinstance(status, int) and 400 <= status < 700
    return None if isinstance(talked, int) and talked > 0 and not ruled_out else False


def _outcome(call: dict[str, Value]) -> str:
    rerouted, status = word_for(call["reroute_reason"]), call["status_code"]
    if rerouted == "QUEUE_ABANDONED":
        return "abandoned"  # although the queue answered
    answered = _answered(call)
    if answered is not False:
        return "answered" if answered else "unknown"
    if not isinstance(status, int):
        status = -1
    if _OUTCOMES.get(status) == "busy":
        return "busy"
    if word_for(call["end_reason"]) == "CANCELLED":
        return "cancelled"
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if rerouted == "CAPACITY_BLOCKED":
        return "rejected"
    if 400 <= status < 700:
        return "failed"
    return "no_answer" if status == 0 and call["rang_at"] is not None else "unknown"


GIVES = Gives(
    outcomes=frozenset({"answered", "abandoned", "cancelled", "rejected", "failed", "unknown", *_OUTCOMES.values()}),
    directions=frozenset({"unknown", *_DIRECTIONS.values()}),
    null=frozenset({"cause_q850", "recording_url", "currency"}),
)
GIVES_LOG = replace(GIVES, null=GIVES.null | {"cost"})
