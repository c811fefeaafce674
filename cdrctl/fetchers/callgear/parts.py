"""From a CallGear leg to its part of a call: `call_session_id` joins all legs.

An operator leg is to or from an employee; without an employee, a group or a scenario is ringing. A coach listens and
answers nothing. The direction of a leg is the platform's: `in` reaches it, `out` is placed by it ("Get call legs
report").
"""

from __future__ import annotations

from cdrctl.records.events import Value
from cdrctl.records.parts import Joins, Part, Party, Role, Shape, Values, milliseconds, text, whole


def parts(leg: Values, common: Values) -> list[Part]:
    """Return the part of a leg; none for a coach, who is no party of the call."""
    if leg["is_coach"] is True:
        return []
    operator, inward = leg["is_operator"] is True, leg["direction"] == "in"
    party: Party = "outside" if not operator else "person" if leg["employee_id"] is not None else _service(leg)
    role: Role = "caller" if inward else "callee" if party in {"person", "outside"} else "service"
    session = leg["call_session_id"]
    rung = not inward and party != "outside"  # then another leg is the caller's, or the far end's
    number = common["from_number"] if inward else common["to_number"]
    return [
        Part(
            str(common["record_id"]),
            () if not session else (f"S{session}",) if rung else (f"S{session}", f"A{session}"),
            (),
            role,
            party,
            milliseconds(common["start_time"]),
            milliseconds(common["answer_time"]),
            milliseconds(common["end_time"]),
            common["answered"],
            whole(common["talk_seconds"]),
            common["outcome"],
            text(leg["employee_phone_number"]) or text(number) if operator else text(number),
            text(leg["employee_full_name"] or leg["group_name"]) if operator else _contact(leg, number),
            not operator if inward else None,
            text(common["from_number"]),
            text(common["from_name"]),
            text(common["to_number"]),
            text(common["dialed_number"]),
            transfer="unknown" if leg["is_transfered"] is True else "",
            queue=text(leg["group_name"]),
            user=text(leg["employee_full_name"]),
            recordings=(one,) if (one := text(common["recording_url"])) else (),
            cost=text(common.get("cost")),
            currency=text(common.get("currency")),
            expected=(f"A{session}",) if rung and session else (),
            handed=party == "person" and not inward and leg["finish_reason"] == "transfer_disconnects",
            came=leg["is_transfered"] is True,
        )
    ]


def _contact(leg: Values, number: Value) -> str | None:
    """Return the name of the party outside: that of the contact, unless the leg is to another number."""
    contact = text(leg["contact_phone_number"])
    return text(leg["contact_full_name"]) if contact is None or number is None or contact == number else None


def _service(leg: Values) -> Party:
    """Return the kind of a leg without an employee: group, menu or machine."""
    if leg["group_id"] is not None or leg["group_name"] is not None:
        return "group"
    return "menu" if leg["action_id"] is not None else "machine"


def _first(records: Value) -> Value:
    """Return the first recording of a list as text."""
    first = records[0] if isinstance(records, list) and records else None
    return str(first) if isinstance(first, str | int) else None


def _is_usual(start: Value, connected: Value, total: Value, talk: Value, session: Value, recording: Value) -> bool:
    """Return whether times and lengths are in order, and ids need no quoting in a link."""
    if total is None or talk is None or start is None or not 0 <= talk <= total:
        return False
    if connected is not None and not 0 <= (connected - start) // 1000 <= total:
        return False
    return not recording or (recording.isalnum() and session.isalnum() and (recording + session).isascii())


_SHAPE = Shape(
    key=("id",),
    kinds=(
        *("direction", "is_operator", "is_coach", "is_transfered", "is_talked", "finish_reason"),
        *("release_cause_code", "app_host", "cost_currency"),
    ),
    free=(
        *("id", "call_session_id", "employee_id", "employee_full_name", "employee_phone_number", "contact_full_name"),
        *("calling_phone_number", "called_phone_number", "virtual_phone_number", "group_id", "group_name", "action_id"),
        *("call_records", "total_charge", "contact_phone_number"),
    ),
    times=("start_time", "connect_time"),
    lengths=("total_duration", "duration"),
    same=(("contact_phone_number", "calling_phone_number"), ("contact_phone_number", "called_phone_number")),
    nested={"call_records": (_first, lambda recording: [recording])},
    examined=("start_time", "connect_time", "total_duration", "duration", "call_session_id", "call_records"),
    usual=_is_usual,
)

_LEGS = Joins(
    parts,
    shape=_SHAPE,
    lacks={
        "queue_wait_seconds": "CallGear does not distinguish queues from other groups (--queue NAME names them)",
        "hold_seconds": "CallGear's legs contain no hold times",
        "site": "CallGear does not name the site",
        "cost": "CallGear's legs contain costs only if --with-cost fetched them, into an archive or a file",
    },
)

JOINS = {"legs": _LEGS}
"""How records join, by the name of their call; the call whose records are read by default is first."""
