"""The notifications that the service pushes when a call has ended."""

from __future__ import annotations

from cdrctl.sandbox.voicenter.answers import spell_numbers
from cdrctl.sandbox.voicenter.call_types import DIALER, DIRECTIONS, OUTGOING
from cdrctl.sandbox.voicenter.cdr import Cdr, Doc
from cdrctl.sandbox.voicenter.numbers import FIRST_DEPARTMENT, country_of, department_id, sip_code, user_id
from cdrctl.sandbox.voicenter.records import duration, type_name
from cdrctl.sandbox.voicenter.search import CAMPAIGN, QUEUE_ID
from cdrctl.sandbox.voicenter.state import State

_CAMPAIGN_NAME = "Autumn campaign"


def ended_calls(state: State, lo: int, hi: int) -> list[Cdr]:
    """List the records of calls that have ended, in the order they are pushed."""
    return sorted(state.cdrs_between(lo, hi), key=lambda one: (one.end, one.start, one.id, one.type))


def pushed_bodies(state: State, lo: int, hi: int) -> list[Doc]:
    """List the bodies pushed for calls that began in `[lo, hi)` Unix milliseconds, a repeated one twice."""
    pushed = []
    for n, one in enumerate(ended_calls(state, lo, hi)):
        pushed.append(notification_of(state, one))
        if state.switched["repeats"] == "on" and n % 5 == 0:
            pushed.append(notification_of(state, one))
    return pushed


def notification_of(state: State, one: Cdr) -> Doc:
    """Write the body pushed for one record: the 23 fields of version 0.1, the last two only where they apply."""
    current = state.switched["notification"] == "current"
    with_wait = current or state.switched["queue_duration"] == "with_wait"
    user = one.user
    inbound = DIRECTIONS[one.type] == "incoming"
    body: Doc = {
        "caller": one.caller,
        "target": one.target,
        "time": one.second,
        "duration": duration(one, with_wait=with_wait),
        "ivruniqueid": one.id,
        "type": type_name(state, one),
        "status": "ABANDONE" if one.left_queue and not current else one.status,
        "targetextension": sip_code(one.called),
        "callerextension": sip_code(one.calling),
        "did": one.did,
        "queueid": QUEUE_ID if one.queue else 0,
        "queuename": one.queue,
        "record": one.record_url,
        "price": one.price,
        "dialtime": one.ring,
        "representative_name": user.name if user else "",
        "representative_code": str(user_id(user)) if user else "",
        "targetextension_name": one.called.name if one.called else "",
        "callerextension_name": one.calling.name if one.calling else "",
        "target_country": "" if inbound else country_of(one.target),
        "caller_country": country_of(one.caller) if inbound else "",
    }
    if one.queued:
        body["seconds_waiting_in_queue"] = one.waited
    if one.original:
        body["OriginalIvrUniqueID"] = one.original
    if current:
        body |= _current_fields(one)
    return spell_numbers(state.switched, body)


def _current_fields(one: Cdr) -> Doc:
    """Write the fields that today's notifications have besides."""
    direction = DIRECTIONS[one.type]
    internal = one.type == OUTGOING and one.target.startswith("SIP")
    fields: Doc = {
        "direction": "internal" if internal else direction,
        "extenUser": sip_code(one.user) if one.status not in {"VOEND", "TE"} else "",
        "callerPhone": one.target if direction == "outgoing" else one.caller,
        "isAnswer": int(one.answered),
        "actualCallDuration": one.talk,
        "actualCallDialtime": one.ring,
        "DepartmentID": department_id(one.site),
        "DepartmentName": one.site.name,
        "TopDepartmentID": FIRST_DEPARTMENT - 1,
        "TopDepartmentName": "Example Ltd",
    }
    if one.type in DIALER:
        fields |= {"campaignID": CAMPAIGN, "campaignName": _CAMPAIGN_NAME, "campaignCode": "AUTUMN"}
    fields["CustomData"] = one.custom or {}
    fields["IVR"] = [
        {"layer_id": 1234 + n, "layer_name": layer, "layer_number": number, "Dtmf": key, "dtmf_order": n + 1}
        for n, (layer, key, number) in enumerate(one.layers)
    ]
    if one.answered and one.draw % 5 == 0:
        fields["aiData"] = _analysis()
    return fields


def _analysis() -> Doc:
    """Write what the service's speech analysis found."""
    return {
        "insights": {
            "questions": [{"key": "issue_resolved", "answer": "false", "data_type": "boolean"}],
            "summary": 'The caller said "no", then agreed.',
        },
        "emotions": {"sentences": [{"sentence_id": 1, "emotion": "calm", "emotion_direction": 1}]},
        "transcript": [{"speaker": "Speaker0", "text": "שלום, good morning.", "startTime": 1.87, "endTime": 5.2}],
    }
