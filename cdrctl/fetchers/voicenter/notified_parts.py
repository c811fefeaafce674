"""From a notification of Voicenter to its parts of a call: those of the call log, and waiting times.

A notification tells of the same event as a record of the call log. Where both are given, the notification counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from cdrctl.fetchers.voicenter.columns import fold
from cdrctl.fetchers.voicenter.common import QUEUES, TYPES
from cdrctl.records.events import Value
from cdrctl.records.parts import Part, Values, milliseconds, whole

_SECOND = 1000


def notified_parts(row: Values, common: Values) -> list[Part]:
    """Return the parts of a notification."""
    from cdrctl.fetchers.voicenter.parts import parts  # which imports this module

    found = parts(_as_record(row), common)
    waited = whole(row["seconds_waiting_in_queue"])
    if fold(row["type"]) not in QUEUES or waited is None:
        return found
    return _with_wait(found, common, waited * _SECOND)


def _as_record(row: Values) -> Values:
    """Return the columns of the call log that tell what the notification tells."""
    layers = row["ivr"]
    return {
        "type": row["type"],
        "cdr_type": None,
        "call_id": row["ivruniqueid"],
        "custom_data": {"OriginalIvrUniqueID": row["original_ivr_unique_id"]},
        "dtmf_data": [{"LayerName": one.get("layer_name")} for one in layers if isinstance(one, Mapping)]
        if isinstance(layers, list)
        else None,
        "queue_name": row["queuename"],
        "target_number": row["target"],
        "target_extension": row["targetextension"],
        "representative_name": row["representative_name"],
        "user_name": None,
    }


def _with_wait(found: list[Part], common: Values, waited: int) -> list[Part]:
    """Return the parts of a call through a queue with the time in which it waited, in milliseconds.

    The caller entered the queue so long before the answer, or before the end if nobody answered. In notifications of
    version 0.1 the duration lacks the waiting, so that the answer would be before the start: it is later then.
    """
    start, answer, end = (milliseconds(common[name]) for name in ("start_time", "answer_time", "end_time"))
    until = answer if common["answered"] else end
    if start is None or until is None:
        return found
    entered = max(start, until - waited)
    left = entered + waited
    over = max(end or left, left + (whole(common["talk_seconds"]) or 0) * _SECOND if common["answered"] else left)
    return [
        one._replace(answer=entered, end=left)
        if one.party == "queue"
        else one._replace(answer=left if one.answered else None, end=over)
        if one.role == "callee"
        else one
        for one in found
    ]


def same_event(record_id: str) -> str:
    """Return the id and the type of a call; a record of the call log names its type by number, an old one by name."""
    call_id, _, rest = record_id.partition(":")
    kind = rest.partition(":")[0]
    return f"{call_id}:{fold(_name_of(kind)) or kind}"


def _name_of(kind: str) -> Value:
    return TYPES.get(int(kind)) if kind.isdecimal() else None
