"""Records as they stand on the wire."""

from __future__ import annotations

from collections.abc import Sequence

from cdrctl.sandbox.exchange.clock import SECOND, delay, instant
from cdrctl.sandbox.voicenter.answers import spell_numbers
from cdrctl.sandbox.voicenter.call_types import OUTGOING, SEED_TYPES, TYPES
from cdrctl.sandbox.voicenter.cdr import Cdr, Doc
from cdrctl.sandbox.voicenter.numbers import ZONE, department_id, prefix_name, sip_code, user_id
from cdrctl.sandbox.voicenter.state import State

_MISSPELT = {"TargetExtension": "Targetextension", "CallerExtension": "Callerextension"}


def duration(one: Cdr, *, with_wait: bool) -> int:
    """Return the duration of a call in seconds; `with_wait` includes the waiting of a queue call."""
    return one.talk + one.waited if with_wait and one.queued else one.talk


def type_name(state: State, one: Cdr) -> str:
    """Name the type of a call, in the spelling that is switched on."""
    name = TYPES[one.type]
    if state.switched["types"] == "current":
        return name
    if one.type == OUTGOING and one.draw // 100 % 10 == 0:
        return SEED_TYPES[one.draw // 1000 % len(SEED_TYPES)]
    return name.replace("Click2Call leg", "Click2Callleg")


def whole_record(state: State, one: Cdr) -> Doc:
    """Write all fields of a record under their documented names."""
    user = one.user
    return {
        "CallerNumber": one.caller,
        "TargetNumber": one.target,
        "Date": _date(state, one),
        "DateEpoch": one.second,
        "Duration": duration(one, with_wait=state.switched["queue_duration"] == "with_wait"),
        "CallID": one.id,
        "CustomData": one.custom,
        "Type": type_name(state, one),
        "CdrType": one.type,
        "DialStatus": "ABANDONE" if one.left_queue and not state.is_current else one.status,
        "DialStatus2": one.second_status,
        "TargetExtension": sip_code(one.called),
        "CallerExtension": sip_code(one.calling),
        "DID": one.did,
        "QueueName": one.queue,
        "RecordURL": one.record_url,
        "RecordExpect": one.recorded,
        "RingTime": one.ring,
        "RepresentativeName": user.name if user else None,
        "RepresentativeCode": str(user_id(user)) if user else "",
        "UserName": user.name if user else "",
        "UserId": user_id(user) if user else "",
        "DTMFData": [
            {"LayerName": layer, "DTMF": key, "LayerNumber": str(number)} for layer, key, number in one.layers
        ],
        "DepartmentName": one.site.name,
        "DepartmentId": department_id(one.site),
        "Price": one.price,
        "TargetPrefixName": prefix_name(one.target),
    }


def _date(state: State, one: Cdr) -> str:
    """Write the start in the form and the zone that are switched on."""
    form = state.switched["date"]
    stamp = instant(one.second * SECOND)
    if form != "z" and state.switched["date_zone"] == "israel":
        stamp = stamp.astimezone(ZONE)
    forms = {"z": "%Y-%m-%dT%H:%M:%SZ", "blank": "%Y-%m-%d %H:%M:%S", "no_zone": "%Y-%m-%dT%H:%M:%S"}
    return stamp.strftime(forms[form])


def write_record(state: State, one: Cdr, wanted: Sequence[str], named: Sequence[str] | None = None) -> Doc:
    """Write the requested fields of a record in the form that the switches set.

    `named` are the fields that the request names, in its spelling. None means the documented spelling of all fields.
    """
    switched = state.switched
    whole = whole_record(state, one)
    wait = delay(switched["changed"], "changed", f"{one.id} {one.type}")
    if wait and state.time < one.end + wait:
        whole["RecordURL"] = ""
    if switched["epoch"] == "off":
        wanted = [name for name in wanted if name != "DateEpoch"]
    if switched["call_id"] == "off":
        wanted = [name for name in wanted if name != "CallID"]
    record = spell_numbers(switched, {name: whole[name] for name in wanted})
    if switched["new_field"] == "on" and named is not None and not named:
        record["ServiceLevel"] = "gold"
    return _spell_keys(switched["keys"], one, record, named)


def _spell_keys(keys: str, one: Cdr, record: Doc, named: Sequence[str] | None) -> Doc:
    """Write the keys of a record in the letter case that is switched on."""
    if keys == "by_fields" and named is not None:
        spelt = {name.lower(): name for name in named}
        return {spelt.get(name.lower(), name.lower()): value for name, value in record.items()}
    if keys == "lower" or (keys == "mixed" and one.draw % 2):
        return {name.lower(): value for name, value in record.items()}
    if keys == "mixed":
        return {_MISSPELT.get(name, name): value for name, value in record.items()}
    return record
