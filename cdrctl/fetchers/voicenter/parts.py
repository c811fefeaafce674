"""From a record of Voicenter's call log to its parts of a call.

`CallID` is shared by the legs of a call that was dialled once. A part that came later, such as a transfer or a voice
mail, has its own id and names the first in `CustomData.OriginalIvrUniqueID` (page "Call Log"). One record of a call to
a queue or menu tells of the service and of the person who answered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cdrctl.fetchers.voicenter.common import kind_of
from cdrctl.fetchers.voicenter.notified_parts import notified_parts, same_event
from cdrctl.records.events import Value
from cdrctl.records.parts import Joins, Part, Party, Role, Shape, Values, milliseconds, text, whole

_OWN_LEGS = frozenset({"click2callleg1", "productivecallleg1", "click2ivr"})
"""The first leg of a call that a program dialled: to the extension of the user who calls."""

_DIALED_LEGS = frozenset({"click2callleg2", "productivecallleg2", "click2ivrincoming", "click2queueincoming"})
"""The second leg of such a call: to the destination."""

_TRANSFERS = {"xfercdr": "blind", "attendedcdrleg2": "consulted"}
_QUEUES = frozenset({"queue", "click2queueincoming"})
_INSIDE = re.compile(r"(?i:sip)|[0-9]{1,6}\Z")
"""The beginning of a SIP code, or an extension."""


def parts(record: Values, common: Values) -> list[Part]:
    """Return the parts of a record: of a menu, a queue and the party that was called, as far as it tells of them."""
    kind = kind_of(record)
    found = [_service(record, common, *one, kind) for one in _services(record, kind)]
    reached = record["target_extension"] or record["representative_name"] or record["target_number"]
    if kind == "voicemail" or (found and not common["answered"] and not reached):
        return found
    return [*found, _called(record, common, kind)]


def _services(record: Values, kind: str) -> list[tuple[Party, str | None]]:
    """Return the kind and the name of each service that a record tells of."""
    found: list[tuple[Party, str | None]] = []
    layers = record["dtmf_data"]
    if isinstance(layers, list) and layers:
        first = layers[0]
        found.append(("menu", text(first.get("LayerName")) if isinstance(first, dict) else None))
    if kind in _QUEUES:
        found.append(("queue", text(record["queue_name"])))
    if kind == "voicemail":
        found.append(("voicemail", text(record["target_number"])))
    return found


def _service(record: Values, common: Values, party: Party, name: str | None, kind: str) -> Part:
    told = party == "voicemail" or kind in _DIALED_LEGS
    answered = common["answered"] is not False if told else True
    return _part(record, common, "service", party, name=name, answered=answered)


def _called(record: Values, common: Values, kind: str) -> Part:
    """Return the part of the party that was called; of the first leg of a dialled call, that of the user who calls."""
    own = kind in _OWN_LEGS
    target = text(record["target_number"]) or text(record["target_extension"]) or ""
    inward = common["direction"] == "inbound" and kind not in _DIALED_LEGS
    if own or inward or text(record["target_extension"]) or _INSIDE.match(target):
        party: Party = "person"
    else:
        party = "machine" if target.startswith("*") else "outside"
    role: Role = "caller" if own else "service" if party == "machine" else "callee"
    caller = common["direction"] == "outbound" or kind in _DIALED_LEGS  # then the user is the caller
    name = text(record["representative_name"]) or text(record["user_name"]) if party == "person" else None
    return _part(record, common, role, party, name=None if caller and role != "caller" else name, kind=kind)


def _part(
    record: Values,
    common: Values,
    role: Role,
    party: Party,
    *,
    name: str | None,
    answered: bool | None = None,
    kind: str = "",
) -> Part:
    """Return a part. After a queue or menu, the time of the answer is unknown: records do not tell the waiting."""
    original = _original(record["custom_data"])
    moved = party == "queue" and original not in {None, "", record["call_id"]}
    queued = kind in _QUEUES or bool(record["dtmf_data"])
    served = role == "service" and kind == ""
    outside = {"inbound": True, "outbound": False, "internal": False}.get(str(common["direction"]))
    if kind in _DIALED_LEGS:
        outside = False
    if answered is None and role != "caller":  # a user who answers his own telephone has not been answered
        answered = common["answered"]
    return Part(
        str(common["record_id"]),
        _names(record["call_id"]),
        _names(original),
        role,
        party,
        milliseconds(common["start_time"]),
        None if queued or (served and party != "voicemail") else milliseconds(common["answer_time"]),
        None if queued or (served and party != "voicemail") else milliseconds(common["end_time"]),
        answered,
        None if served else whole(common["talk_seconds"]),
        common["outcome"],
        None if served else text(record["target_number"]) or text(record["target_extension"]),
        name,
        outside,
        text(common["from_number"]),
        text(common["from_name"]),
        None if kind in _OWN_LEGS else text(common["dialed_number"]) or text(common["to_number"]),
        text(common["dialed_number"]),
        transfer="unknown" if moved else _TRANSFERS.get(kind, ""),
        queue=text(record["queue_name"]),
        user=None if served else text(common["user"]),
        site=text(common["site"]),
        expected=_names(original),
        recordings=(one,) if not served and (one := text(common["recording_url"])) else (),
        cost=None if served else text(common["cost"]),
        currency=None if served else text(common["currency"]),
    )


def _names(call_id: Value) -> tuple[str, ...]:
    return (f"V{call_id}",) if isinstance(call_id, str) and call_id else ()


def _original(custom: Value) -> Value:
    """Return the id of the call that a part came from, or None."""
    if not isinstance(custom, Mapping):
        return None
    return next((value for name, value in custom.items() if name.casefold() == "originalivruniqueid"), None)


def _look(target: Value) -> str:
    number = target if isinstance(target, str) else ""
    return "sip" if _INSIDE.match(number) else number[:1] if number.startswith("*") else ""


def _is_usual(epoch: Value, talk: Value, ring: Value, call_id: Value) -> bool:
    """Return whether start, lengths and id are there; a call in a queue need not ring."""
    return epoch is not None and (talk or 0) >= 0 and (ring or 0) >= 0 and bool(call_id)


def _as_custom(call_id: str) -> Value:
    return {"OriginalIvrUniqueID": call_id}


_SHAPE = Shape(
    key=("call_id", "cdr_type", "type", "date"),
    kinds=("type", "cdr_type", "dial_status", "dtmf_data"),
    free=(
        *("call_id", "record_hash", "custom_data", "caller_number", "caller_extension", "target_number"),
        *("target_extension", "did", "queue_name", "record_url", "representative_name", "user_name"),
        *("department_name", "price"),
    ),
    times=("date_epoch",),
    unix=frozenset({"date_epoch"}),
    lengths=("duration", "ring_time"),
    looks=(
        ("target_number", _look, {"sip": "sip", "*": "*", "": ""}),
        ("target_extension", _look, {"sip": "sip", "*": "*", "": ""}),
    ),
    same=(("call_id", "custom_data"),),
    nested={"custom_data": (_original, _as_custom)},
    examined=("date_epoch", "duration", "ring_time", "call_id"),
    usual=_is_usual,
)

_LACKS = {
    "hold_seconds": "Voicenter does not provide hold times",
    "queue_wait_seconds": "Voicenter's call log contains no waiting times; its notifications do",
    "end_time": "Voicenter's call log does not state when calls to a queue or a menu end",
    "reached": "Voicenter has one word for callers who hung up and for extensions that were not reached",
    "trunk": "Voicenter does not name the trunk",
}
_DOUBTS = {
    "asr": "calls that a ring group took and nobody answered count as not answered: no record tells of the group"
}
_LEGS = Joins(parts, lacks=_LACKS, doubts=_DOUBTS, same=same_event, shape=_SHAPE)
_NOTIFIED = Joins(notified_parts, lacks=_LACKS, doubts=_DOUBTS, same=same_event)

JOINS = {"cdrs": _LEGS, "notifications": _NOTIFIED}
"""How records join, by the name of their call; the call whose records are read by default is first."""
