"""The row of a record: its fields as they stand on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from cdrctl.sandbox.exchange.clock import delay, digest, milliseconds
from cdrctl.sandbox.exchange.parties import Call, Leg, Party
from cdrctl.sandbox.portsip.calls import direction_of, extra_microseconds, leaves_again
from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.ids import sip_id, write_id
from cdrctl.sandbox.portsip.records import LOG, RECORDING, Record
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.portsip.times import MICRO, MILLI, write_time
from cdrctl.sandbox.portsip.users import DOMAIN

_DEFAULT_TRUNK = "Trunk A"
_TRUNKS = {_DEFAULT_TRUNK: "203.0.113.5"}
_OTHER_TRUNK = "203.0.113.9"
_SERVICES = ("queue", "hunt_group", "attendant")
_STATUS = {
    "busy": 486,
    "no_answer": 480,
    "cancelled": 487,
    "rejected": 603,
    "unallocated": 404,
    "unavailable": 503,
    "forwarded": 302,
}
_ENDED = {"parked": "REPLACED", "forwarded": "REDIRECTED"}
"""The end reasons of legs in stories; REPLACED for a parked leg is a guess."""

_NEVER_RANG = {"unallocated", "unavailable", "rejected"}
_NO_TIME = {"empty": "", "year1": "0001-01-01T00:00:00Z", "1970": "1970-01-01T00:00:00Z", "0": "0"}
_DIRECTIONS = {"inbound": "INBOUND_CALL", "outbound": "OUTBOUND_CALL", "internal": "EXTENSION_CALL"}
_UNTIL_RINGING = 80
"""Milliseconds from the start of a call until the telephone rings."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A whole call or one of its legs: the values that differ between the rows of the two.

    Times are Unix milliseconds. `callee` is None if nobody was called.
    """

    leg: Leg
    start: int
    rang: int | None
    answer: int | None
    end: int
    callee: Party | None
    end_reason: str
    reroute_reason: str
    status_code: int
    destination: str
    service_number: str
    user_data: str = ""


def row_of(pbx: PBX, record: Record) -> Row:
    """Return a record as it stands on the wire."""
    if record.kind == RECORDING:
        return _recording_row(pbx, record)
    row: Row = {"id": write_id(pbx, record.number)}
    if record.kind == LOG:
        row["session_id"] = write_id(pbx, record.session)
    part = _leg_part(pbx, record.call, record.leg) if record.leg else _call_part(pbx, record.call)
    row |= _values(record.call, part)
    wait = delay(pbx.switched["changed"], "changed", str(record.number))
    if wait and milliseconds(pbx.now()) < record.seen + wait:
        row["end_reason"] = ""
    if pbx.switched["version"] == "16":
        del row["service_number"], row["user_data"]
    for name in ("rang_at", "answered_at"):
        row[name] = row[name] or _NO_TIME[pbx.switched["no_time"]]
    if pbx.switched["empty"] == "null":
        row = {name: None if value == "" else value for name, value in row.items()}
    return row


def _recording_row(pbx: PBX, record: Record) -> Row:
    call = _values(record.call, _call_part(pbx, record.call))
    leg = record.leg or record.call.legs[0]
    begun = leg.start if leg.answer is None else leg.answer
    return {
        "id": write_id(pbx, record.number),
        "caller": call["caller"],
        "callee": call["callee"],
        "started_at": write_time(begun * MILLI),
        "ended_at": write_time(leg.end * MILLI),
    }


def _call_part(pbx: PBX, call: Call) -> _Part:
    first = call.legs[0]
    second = call.legs[1] if len(call.legs) > 1 and call.legs[1].direction == "terminating" else None
    service = second.party if second and second.party.kind in _SERVICES else None
    transfer = call.kind.removesuffix("_transfer") if call.kind.endswith("_transfer") else ""
    transfer = call.transfers[-1] if call.transfers else transfer
    if first.answer is not None:
        code = 0
        ended = {"blind": "BLIND_TRANSFER_COMPLETED", "consulted": "CONSULT_TRANSFER_COMPLETED"}.get(transfer, "")
        ended = ended or _hang_up_reason(pbx, by_caller=first.released_by == "local" or first.cause == "abandoned")
    else:
        code = _STATUS.get(first.cause, 0)
        ended = "CANCELLED" if first.cause == "cancelled" else ""
    rang = second.start if second else _ringing(first)
    never = first.answer is None and first.cause in _NEVER_RANG
    number = service.extension if service else ""
    return _Part(
        first,
        call.start,
        None if never else rang,
        first.answer,
        call.end,
        callee=second.party if second else None,
        end_reason=ended,
        reroute_reason=_reroute_reason(pbx, call, transfer),
        status_code=code,
        destination=_destination(call, second),
        service_number=number,
        user_data=f"user-data={digest('user', call.id)[:6]};service-number={number}" if service else "",
    )


def _leg_part(pbx: PBX, call: Call, leg: Leg) -> _Part:
    cause = leg.cause
    if cause.endswith("_transfer"):
        ended = "BLIND_TRANSFER_COMPLETED" if cause.startswith("blind") else "CONSULT_TRANSFER_COMPLETED"
    elif cause in _ENDED:
        ended = _ENDED[cause]
    elif leg.answer is None:
        ended = "CANCELLED" if cause == "cancelled" else ""
    elif leg.party.kind in _SERVICES and any(one.related == leg.id and one.answer for one in call.legs):
        ended = "REFERRED"
    else:
        ended = _hang_up_reason(pbx, by_caller=(leg.released_by == "remote") == (leg.direction == "terminating"))
    transferred = bool(leg.transfer) and bool(leg.related)
    service = leg.party if leg.party.kind in _SERVICES else leg.queue or leg.hunt_group
    never = leg.answer is None and cause in _NEVER_RANG
    device = leg.party.is_user and leg.direction == "terminating"
    port = 5060 + int(digest("port", leg.party.id)[:3], 16)
    return _Part(
        leg,
        leg.start,
        None if never else _ringing(leg),
        leg.answer,
        leg.end,
        callee=leg.party if leg.direction == "terminating" else None,
        end_reason=ended,
        reroute_reason="TRANSFER" if transferred else "OVERFLOW" if leg.reason == "CallQueue" else "",
        status_code=0 if leg.answer is not None else _STATUS.get(cause, 0),
        destination=f"sip:{leg.party.extension}@192.0.2.135:{port}" if device else "",
        service_number=service.extension if service else "",
    )


def _ringing(leg: Leg) -> int:
    """Return when a leg rings: soon after its start, but before it is answered or over."""
    until = leg.end if leg.answer is None else leg.answer
    return leg.start + min(_UNTIL_RINGING, until - leg.start)


def _hang_up_reason(pbx: PBX, *, by_caller: bool) -> str:
    """Return who ended a call; releases before v22.5.1 leave it empty when the callee did."""
    if pbx.switched["end_reason"] == "doc":
        return "CALLER_DISCONNECTED" if by_caller else "CALLEE_DISCONNECTED"
    return "CALLER_DISCONNECT" if by_caller else ""


def _reroute_reason(pbx: PBX, call: Call, transfer: str) -> str:
    if transfer:
        return "TRANSFER"
    if pbx.switched["version"] != "22.3":
        return ""
    if call.kind == "queue" and call.outcome == "abandoned":
        return "QUEUE_ABANDONED"
    if call.outcome == "voicemail" and call.kind != "voicemail_retrieval":
        return "FORWARDING_NO_ANSWER"
    return "FORWARDING_UNCONDITIONAL" if leaves_again(call) else ""


def _destination(call: Call, target: Leg | None) -> str:
    """Return where the call was sent, if that is not the number called."""
    if target is not None and leaves_again(call):
        target = next((leg for leg in call.legs[1:] if leg.party.kind == "outside"), target)
        return f"sip:{_digits(target.party.number)}@{_TRUNKS[_DEFAULT_TRUNK]}:5060"
    return ""


def _values(call: Call, part: _Part) -> Row:
    """Return the fields of a row in wire order, without its ids."""
    first, way = call.legs[0], direction_of(call)
    trunk = (part.leg.trunk or first.trunk or _DEFAULT_TRUNK) if way != "internal" else ""
    more = extra_microseconds(call)
    begun, ended = (0 if part.answer is None else part.answer) * MILLI + more, part.end * MILLI + more
    return {
        **_party_values(call, part, way, trunk),
        "started_at": _write(part.start, more),
        "rang_at": _write(part.rang, more),
        "answered_at": _write(part.answer, more),
        "ended_at": _write(part.end, more),
        "call_id": sip_id(call.id if part.leg is first else part.leg.id),
        "direction": "INBOUND_OUTBOUND_CALL" if leaves_again(call) else _DIRECTIONS[way],
        "end_reason": part.end_reason,
        "reroute_reason": part.reroute_reason,
        "status_code": part.status_code,
        "destination": part.destination,
        "outbound_caller_id": _digits(first.from_number) if way == "outbound" else "",
        "did_cid": _digits(first.dialed or first.to_number) if way == "inbound" else "",
        "trunk": trunk,
        # Seconds are cut before they are subtracted: 35 for 34.19 s in a real answer.
        "duration": 0 if part.answer is None else ended // MICRO - begun // MICRO,
        "service_number": part.service_number,
        "user_data": part.user_data,
    }


def _party_values(call: Call, part: _Part, way: str, trunk: str) -> Row:
    """Return the fields of caller and callee: number, domain and name."""
    first, leg, callee = call.legs[0], part.leg, part.callee
    address = _TRUNKS.get(trunk, _OTHER_TRUNK)
    caller_number, callee_number = leg.from_number, leg.to_number
    if way == "outbound":
        caller_number = first.party.extension
    elif callee is not None:
        callee_number = callee.extension or callee.number
    sent_on = bool(call.story) and callee is not None and callee.kind == "outside"
    outer = sent_on or (
        way == "outbound" and (callee is None or callee.kind == "outside" or leg.direction == "originating")
    )
    return {
        "caller": _digits(caller_number),
        "caller_domain": address if way == "inbound" and leg.from_number == first.from_number else DOMAIN,
        "caller_display_name": leg.from_name,
        "callee": _digits(callee_number),
        "callee_domain": address if outer else DOMAIN,
        "callee_display_name": leg.to_name,
    }


def _digits(number: str) -> str:
    """Return a number as the PBX writes it: without a plus."""
    return number.removeprefix("+")


def _write(at: int | None, more: int) -> str:
    return "" if at is None else write_time(at * MILLI + more)
