"""From Voicenter's columns to the common CDR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from cdrctl.fetchers import Gives
from cdrctl.fetchers.mapping import later
from cdrctl.fetchers.voicenter.columns import LATER_NOTIFIED, fold, joined_text
from cdrctl.records.events import Value
from cdrctl.records.instants import from_unix
from cdrctl.records.readers import unix_instant
from cdrctl.records.steps import step
from cdrctl.windows import rfc3339

# Page "Call Log", `CdrType`. The numbers before the names in "Call log (Version 0.1)" are those of its rows.
TYPES: Mapping[int, str] = {
    1: "Incoming Call",
    4: "Extension Outgoing",
    8: "Queue",
    9: "Click2Call leg1",
    10: "Click2Call leg2",
    11: "VoiceMail",
    13: "XferCDR",
    14: "ProductiveCall Leg1",
    15: "ProductiveCall Leg2",
    17: "Click 2 IVR",
    18: "Click 2 IVR Incoming",
    19: "Click 2 Queue Incoming",
    21: "Attended CDR leg1",
    22: "Attended CDR leg2",
    23: "Auto forward",
}
# According to the documentation of the types. A type that is missing here may have either direction.
DIRECTIONS: Mapping[str, str] = {
    fold(name): direction
    for direction, names in {
        "inbound": ("Incoming Call", "Queue", "VoiceMail", "Click 2 IVR Incoming", "Click 2 Queue Incoming"),
        "outbound": ("Extension Outgoing", "CC", "Click2Call leg2", "ProductiveCall Leg2", "FaxCdr"),
        "internal": ("Click2Call leg1", "ProductiveCall Leg1", "Click 2 IVR"),
        "unknown": (
            *("XferCDR", "Attended CDR leg1", "Attended CDR leg2", "Auto forward"),
            *("Callference", "Scrubber"),
        ),
    }.items()
    for name in names
}
QUEUES = frozenset({"queue", "click2queueincoming"})
OUTCOMES: Mapping[str, str] = {
    "answer": "answered",
    "voicemail": "voicemail",
    "busy": "busy",
    "full": "busy",
    "noanswer": "no_answer",
    "cancel": "cancelled",
    "notdialed": "cancelled",
    "notcalled": "cancelled",
    "sswpreauth": "cancelled",
    "abandone": "abandoned",
    "voend": "abandoned",
    "timeout": "abandoned",
    "exit": "abandoned",
    "joinempty": "abandoned",
    "congestion": "failed",
    "chanunavail": "failed",
    "invalidargs": "failed",
}


_STATUSES = frozenset({*OUTCOMES, "te"})
"""All known statuses; an unknown status does not tell whether the call was answered."""


def kind_of(row: dict[str, Value]) -> str:
    """Return the type of a record of the Call Log without blanks and letter case, from its name or its number."""
    kind = fold(row["type"])
    return kind if kind in DIRECTIONS else fold(TYPES.get(row["cdr_type"])) or kind


def common_cdr(row: dict[str, Value]) -> dict[str, Value]:
    """Return a record of the Call Log as a common CDR."""
    kind = kind_of(row)
    direction = DIRECTIONS.get(kind, "unknown")
    inbound, outbound = direction == "inbound", direction == "outbound"
    started = _unix(row["date_epoch"]) or row["date"]
    return {
        "record_id": _record_id(row["call_id"], row["cdr_type"], row["type"], started, row["record_hash"]),
        "call_id": row["call_id"],
        "direction": direction,
        "from_number": row["caller_number"] or row["caller_extension"],
        "from_name": row["representative_name"] if outbound else None,
        "to_number": row["target_number"] or row["target_extension"] or (row["did"] if inbound else None),
        "to_name": row["representative_name"] if inbound else None,
        "dialed_number": row["did"] if inbound else row["target_number"] if outbound else None,
        **_course_of_call(kind, row["dial_status"], None, started, row["ring_time"], row["duration"], row["duration"]),
        "cause": row["dial_status"],
        "user": row["representative_name"] or row["user_name"],
        "site": row["department_name"],
        "queue": row["queue_name"],
        "recording_url": row["record_url"],
        "cost": row["price"],
        "currency": "ILS" if row["price"] is not None else None,
    }


def common_notification(row: dict[str, Value]) -> dict[str, Value]:
    """Return a notification as a common CDR."""
    kind = fold(row["type"])
    words = {"incoming": "inbound", "outgoing": "outbound", "internal": "internal"}
    direction = words.get(fold(row["direction"])) or DIRECTIONS.get(kind, "unknown")
    talk = row["actual_call_duration"]
    if talk is None:
        talk = _talk(kind, row)
    ring = row["dialtime"] if row["actual_call_dialtime"] is None else row["actual_call_dialtime"]
    lasted = talk if row["duration"] is None else row["duration"]
    return {
        "record_id": _record_id(row["ivruniqueid"], None, row["type"], row["time"], row["record_hash"]),
        "call_id": row["ivruniqueid"],
        "direction": direction,
        "from_number": row["caller"],
        "from_name": row["callerextension_name"],
        "to_number": row["target"],
        "to_name": row["targetextension_name"],
        "dialed_number": {"inbound": row["did"], "outbound": row["target"]}.get(direction),
        **_course_of_call(kind, row["status"], row["is_answer"], row["time"], ring, lasted, talk),
        "cause": row["status"],
        "user": row["representative_name"],
        "site": row["department_name"],
        "queue": row["queuename"],
        "recording_url": row["record"],
        "cost": row["price"],
        "currency": "ILS" if row["price"] is not None else None,
    }


def _talk(kind: str, row: dict[str, Value]) -> Value:
    """Return the seconds of talk in `duration`, which includes the waiting of queue calls in today's notifications.

    "Call log (Version 0.1)", field 4, says that it is talk alone; the page "CDR notification" says otherwise. Any field
    that version 0.1 lacks shows that a notification is of today.
    """
    waited = row["seconds_waiting_in_queue"]
    today = any(row[column.name] is not None for column in LATER_NOTIFIED)
    if not today or kind not in QUEUES or not isinstance(row["duration"], int) or not isinstance(waited, int):
        return row["duration"]
    return max(0, row["duration"] - waited)


@step(from_unix)
def _unix(seconds: Value) -> str | None:
    """Return the instant of Unix seconds, or None if there is none."""
    with suppress(ValueError):
        return rfc3339(unix_instant(seconds)) if seconds else None
    return None


def _record_ids(
    calls: Sequence[Value],
    numbers: Sequence[Value],
    kinds: Sequence[Value],
    instants: Sequence[Value],
    digests: Sequence[Value],
) -> Sequence[str]:
    """Return the ids of records whose calls have ids, and which have no digests of their own."""
    if any(digests) or {*map(type, calls)} - {str} or {*map(type, numbers)} - {int, type(None)} or "" in calls:
        raise ValueError
    words = {pair: str(joined_text("x", *pair, ""))[1:] for pair in {*zip(numbers, kinds, strict=True)}}
    return [
        f"{call}{words[number, kind]}{at or ''}"
        for call, number, kind, at in zip(calls, numbers, kinds, instants, strict=True)
    ]


@step(_record_ids)
def _record_id(call_id: Value, number: Value, kind: Value, at: Value, digest: Value) -> str | None:
    return ":".join(filter(None, (joined_text(call_id, number, kind, at), digest))) or None


def _course_of_call(
    kind: str, status: Value, is_answer: Value, started: Value, ring: Value, lasted: Value, talk: Value
) -> dict[str, Value]:
    """Return when a call was answered and ended, how long it was, and how it ended.

    Args:
        kind: Its type, folded.
        status: Its status as received.
        is_answer: Whether it was answered, where the provider says so itself.
        started: The start.
        ring: Seconds of ringing.
        lasted: Seconds after the ringing; for a call in a queue, where nothing may ring, all of them.
        talk: Seconds of talk, the last part of `lasted`.
    """
    word = fold(status)
    outcome = "voicemail" if kind == "voicemail" else OUTCOMES.get(word, "unknown")
    answered: bool | None = is_answer if isinstance(is_answer, bool) else None
    if kind == "voicemail" or (word == "voicemail" and isinstance(talk, int) and talk > 0):
        answered = True  # voicemail answered, whether or not a person did
    elif answered is None and word == "voicemail":
        answered = None if talk is None else False
    elif answered is None and word in _STATUSES:
        answered = word == "answer"
    if (outcome == "answered") != (answered is True) and outcome in {"answered", "unknown"}:
        outcome = "answered" if answered else "unknown"
    ring = ring if isinstance(ring, int) else None
    talk = talk if isinstance(talk, int) else None
    rung = 0 if ring is None and kind in QUEUES else ring
    total = rung + lasted if isinstance(rung, int) and isinstance(lasted, int) else None
    before = max(0, total - talk) if total is not None and talk is not None else None
    return {
        "start_time": started,
        "answer_time": later(started, before) if answered else None,
        "end_time": later(started, total),
        "ring_seconds": ring,
        "talk_seconds": None if talk and answered is False else talk,
        "total_seconds": total,
        "answered": answered,
        "outcome": outcome,
    }


GIVES = Gives(
    outcomes=frozenset({"unknown", *OUTCOMES.values()}),
    directions=frozenset(DIRECTIONS.values()),
    null=frozenset({"cause_q850", "trunk"}),
)
