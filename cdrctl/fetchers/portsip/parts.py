"""From a PortSIP call log to its part of a call: `session_id` joins the logs of a call; `/cdrs` has one row per call.

A log is of the party that was called, and describes the caller beside it. A log whose callee is the `service_number` is
of a queue, ring group or IVR; which of them it is, records do not tell.
"""

from __future__ import annotations

from cdrctl.fetchers.portsip.common import word_for
from cdrctl.records.parts import Joins, Part, Party, Role, Shape, Values, milliseconds, text, whole

_TRANSFERS = {"BLIND_TRANSFER_COMPLETED": "blind", "CONSULT_TRANSFER_COMPLETED": "consulted"}
_HANDED = frozenset({*_TRANSFERS, "REPLACED", "REFERRED"})


def parts(log: Values, common: Values) -> list[Part]:
    """Return the part of a call log, or of a call."""
    service = text(log["service_number"])
    served = service is not None and log["callee"] == service
    outward = word_for(log["direction"]) == "OUTBOUND_CALL"
    party: Party = "service" if served else "outside" if outward else "person"
    as_dialed = log["callee"] is not None and log["callee"] == log["did_cid"]  # before it reached anybody
    role: Role = "service" if served else "caller" if as_dialed else "callee"
    session = log.get("session_id")
    names = [f"P{log['id']}"] if log["id"] else []
    return [
        Part(
            str(common["record_id"]),
            (*names, f"S{session}") if session else tuple(names),
            (),
            role,
            party,
            milliseconds(common["start_time"]),
            milliseconds(common["answer_time"]),
            milliseconds(common["end_time"]),
            common["answered"],
            whole(common["talk_seconds"]),
            common["outcome"],
            text(common["to_number"]),
            text(common["to_name"]),
            {"inbound": True, "outbound": False, "internal": False}.get(str(common["direction"])),
            text(common["from_number"]),
            text(common["from_name"]),
            text(common["to_number"]),
            text(common["dialed_number"]),
            transfer=_TRANSFERS.get(word_for(log["end_reason"]), ""),
            queue=service,
            user=text(common["user"]) if not served else None,
            site=text(common["site"]),
            trunk=text(common["trunk"]),
            cost=text(common["cost"]),
            currency=text(common.get("currency")),
            handed=bool(session) and not served and word_for(log["end_reason"]) in _HANDED,
            came=bool(session) and word_for(log["reroute_reason"]) == "TRANSFER",
        )
    ]


_SHAPE = Shape(
    key=("id",),
    kinds=("direction", "end_reason", "reroute_reason", "status_code"),
    free=(
        *("id", "session_id", "caller", "caller_domain", "caller_display_name", "callee", "callee_domain"),
        *("callee_display_name", "did_cid", "trunk", "service_number", "cost"),
    ),
    times=("started_at", "rang_at", "answered_at", "ended_at"),
    lengths=("duration",),
    same=(("callee", "service_number"), ("callee", "did_cid")),
    examined=("id", "duration"),
    usual=lambda record, talk: bool(record) and (talk or 0) >= 0,
)

_LEGS = Joins(
    parts,
    shape=_SHAPE,
    lacks={
        "queue_wait_seconds": "PortSIP does not distinguish queues from other services (--queue NUMBER names them)",
        "hold_seconds": "PortSIP does not provide hold times",
        "cost": "PortSIP's call logs contain no costs; its cdrs do, if they are read with --with-cost",
    },
)

JOINS = {"calllogs": _LEGS, "calllog": _LEGS, "cdrs": _LEGS}
"""How records join, by the name of their call; the call whose records are read by default is first."""
