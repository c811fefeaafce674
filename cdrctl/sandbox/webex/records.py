"""Records as they stand on the wire, made out of the legs of the exchange."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cdrctl.sandbox.exchange.clock import HOUR, SECOND, delay, digest, instant, uuid_text
from cdrctl.sandbox.exchange.parties import Leg, Site
from cdrctl.sandbox.webex.keys import EMPTY, IN_DOCUMENTATION, KEYS, KEYS_OF_2025
from cdrctl.sandbox.webex.state import ORG, State

Record = dict[str, Any]

_CAUSES = {
    "normal": ("Success", "Normal"),
    "busy": ("Success", "UserBusy"),
    "no_answer": ("Success", "NoAnswer"),
    "rejected": ("Refusal", "CallRejected"),
    "unallocated": ("Refusal", "UnassignedNumber"),
    "unavailable": ("Failure", "DestinationOutOfOrder"),
}
_ROUTES = {
    "internal": "SIP_ENTERPRISE",
    "service": "SIP_ENTERPRISE",
    "inbound": "SIP_INBOUND",
    "national": "SIP_NATIONAL",
    "international": "SIP_INTERNATIONAL",
    "tollfree": "SIP_TOLLFREE",
}
_KINDS = {
    "person": "User",
    "place": "Place",
    "queue": "CallCenterPremium",
    "hunt_group": "HuntGroup",
    "attendant": "AutomatedAttendantVideo",
    "voicemail": "VoiceMailGroup",
}
_CLIENTS = {"desk": ("WXC_DEVICE", "", "na"), "app": ("WXC_CLIENT", "46.10.0.1", "windows")}
_MOBILE = ("WXC_CLIENT", "46.10.0.1", "ios")


def wire_record(state: State, leg: Leg) -> Record:
    """Return the record of a leg as the switches make it."""
    record = _full_record(state, leg)
    changes = delay(state.switched["changed"], "changed", leg.id)
    if changes and state.unix_now < leg.end + changes:
        record["Releasing party"] = "Unknown"
    keys, types = state.switched["keys"], state.switched["types"]
    if types == "doc":
        record["Ring duration"] = int(record["Ring duration"])
    if keys == "2025":
        record = {key: record[key] for key in KEYS[:KEYS_OF_2025]}
    elif keys == "doc_case":
        record = {IN_DOCUMENTATION.get(key, key): value for key, value in record.items()}
    elif keys == "future":
        number = int(digest("future", leg.id)[:4], 16)
        record |= {"Sentiment score": "0.7", "Agent notes": {"count": number % 3, "text": 'said "yes", left'}}
        if number % 7 == 0:
            record["Call type"] = "SIP_HOLOGRAM"
            record["Call outcome reason"] = "SolarFlare"
    elif keys == "clients":
        record |= {"Report group": "", "User ID": leg.party.id}
        if record["Related reason"] in {"CallForwardNoAnswer", "Deflection", "HuntGroup"}:
            record["Related reason"] = "CalllPark"
        words = {"UserBusy": "Busy", "NoAnswer": "Unanswered"}
        record["Call outcome reason"] = words.get(record["Call outcome reason"], record["Call outcome reason"])
    return record


def _full_record(state: State, leg: Leg) -> Record:
    """Return the record of a leg with the keys of 2026."""
    party = leg.party
    out = leg.direction == "originating"
    external = leg.route not in {"internal", "service"}
    external = external and not ((leg.queue or leg.hunt_group) and party.is_user)
    record = dict(EMPTY)
    record |= _call_values(leg)
    if leg.forwarded:
        record |= _redirected_values(leg, *leg.forwarded)
    if leg.reason == "CallPark":
        record["Recall type"] = "Call Park"
    record |= _network_values(leg, external=external)
    if leg.session and state.switched["interaction"] == "session":
        record["Interaction ID"] = uuid_text(4, "interaction", leg.call_id, leg.session)
    record |= _party_values(leg)
    record |= _device_values(leg)
    if leg.site:
        record |= _site_values(state, leg, leg.site, external=external)
    if not out and leg.from_name:
        record["Calling line ID"] = leg.from_name
    if leg.transfer == "consulted" and leg.transfer_time is not None:
        other = leg.transfer_to or leg.related or f"{leg.call_id}.3"
        record["Transfer related call ID"] = _local_id(other)
    if leg.transfer_time is not None:
        record["Call transfer time"] = time_text(leg.transfer_time)
    if leg.recorded:
        record["Call Recording Platform Name"] = "Webex"
        record["Call Recording Result"] = "successful"
        record["Call Recording Trigger"] = "always"
    if leg.answer is not None and not out and party.is_user:
        record["Answer reason"] = "N/A"
    return record


def _call_values(leg: Leg) -> Record:
    """Return when the leg began, was answered and ended, and how."""
    answered = leg.answer is not None
    outcome, reason = _CAUSES.get(leg.cause, ("Success", "Normal"))
    return {
        "Answer time": "" if leg.answer is None else time_text(leg.answer),
        "Answered": "true" if answered else "false",
        "Start time": time_text(leg.start),
        "Duration": leg.talk_seconds,
        "Report ID": uuid_text(3, "report", leg.id),
        "Report time": time_text(leg.end),
        "Releasing party": leg.released_by.capitalize(),
        "Call outcome": outcome,
        "Call outcome reason": reason,
        "Ring duration": str(leg.ring_seconds),
        "Answer indicator": "Yes" if answered else "No",
        "Release time": time_text(leg.end),
        "Answered elsewhere": "Yes" if leg.cause == "answered_elsewhere" else "",
        "Hold duration": leg.hold_seconds,
        "Auto Attendant Key Pressed": leg.key_pressed or "NA",
        "Queue type": "Call Queue" if leg.queue else "",
        "Original reason": leg.redirect_reason,
        "Redirect reason": leg.redirect_reason,
        "Related reason": _related_reason(leg),
    }


def end_of(leg: Leg) -> int:
    """Return the release time of a leg: that of the target if the leg was forwarded."""
    return leg.forwarded[1] if leg.forwarded else leg.end


def _redirected_values(leg: Leg, answer: int, end: int) -> Record:
    """Return what the record of a forwarded leg tells of its target, which answered.

    It is a guess: the document only names the indicator Yes-PostRedirection.
    """
    return {
        "Answer time": time_text(answer),
        "Answered": "true",
        "Duration": (end - answer) // SECOND,
        "Report time": time_text(end),
        "Release time": time_text(end),
        "Ring duration": str((answer - leg.start) // SECOND),
        "Answer indicator": "Yes-PostRedirection",
    }


def _network_values(leg: Leg, *, external: bool) -> Record:
    """Return the type of the call and the ids that tie its legs together."""
    pair = digest("pair", *sorted((leg.id, leg.peer)))
    beyond = leg.direction == "terminating" and leg.from_number.startswith("+")
    return {
        "Direction": leg.direction.upper(),
        "Call type": _ROUTES[leg.route] if external else "SIP_ENTERPRISE",
        "Correlation ID": uuid_text(4, "correlation", leg.call_id, leg.session),
        "Local call ID": _local_id(leg.id),
        "Remote call ID": "" if external or beyond or leg.retrieves else _local_id(leg.peer),
        "Network call ID": f"SD{pair[:8]}-{pair}" if external else f"BW{int(pair[:14], 16)}@10.71.220.6",
        "Related call ID": _local_id(leg.related),
        "External caller ID number": leg.from_number if leg.direction == "originating" and external else "",
        "Interaction ID": uuid_text(4, "interaction", leg.call_id),
    }


def _party_values(leg: Leg) -> Record:
    """Return the party of the leg, the numbers that were called, and the party that redirected the call."""
    party, redirected = leg.party, leg.redirected_by
    return {
        "International country": leg.country,
        "Org UUID": ORG,
        "User UUID": party.id,
        "User type": _KINDS[party.kind],
        "User": party.name,
        "User number": party.number,
        "Called number": leg.to_number,
        "Calling number": leg.from_number,
        "Caller ID number": leg.from_number,
        "Dialed digits": leg.dialed if leg.direction == "originating" else "",
        "Redirecting number": redirected.number if redirected else "",
        "Redirecting party UUID": redirected.id if redirected else "",
        "Original called party UUID": redirected.id if redirected else "",
    }


def _related_reason(leg: Leg) -> str:
    if leg.reason:
        return leg.reason
    if leg.transfer == "consulted":
        return "ConsultativeTransfer"
    if leg.redirect_reason == "NoAnswer":
        return "CallForwardNoAnswer"
    return leg.redirect_reason if leg.redirect_reason in {"CallQueue", "HuntGroup", "Deflection"} else ""


def _device_values(leg: Leg) -> Record:
    """Return the telephone or program of the party."""
    party = leg.party
    if not party.is_user:
        return {"Client type": "SIP"}
    out = leg.direction == "originating"
    client, version, system = _CLIENTS.get(party.device, _MOBILE)
    found: Record = {"Client type": client, "OS type": system if out else "na"}
    if out:
        found["Client version"] = version
        found["Call ID"] = f"SSE{leg.start}-{int(digest('sip', leg.id)[:8], 16)}@10.250.194.97"
        found["Local SessionID"] = found["Final local SessionID"] = digest("session", leg.id)
    if party.device == "desk":
        found["Model"] = "8851-3PCC"
        found["Device MAC"] = f"02005E{digest('mac', party.id)[:6].upper()}"
        found["Device owner UUID"] = party.id
    elif party.device == "mobile":
        found["Sub client type"] = "MOBILE_NETWORK"
    return found


def _site_values(state: State, leg: Leg, site: Site, *, external: bool) -> Record:
    """Return the site of the party, and the trunk or carrier of an external call."""
    found: Record = {
        "Site main number": site.main_number,
        "Site timezone": _offset(state, site.zone, leg.start),
        "Location": site.name,
        "Site UUID": site.id,
    }
    if not external:
        return found
    if leg.trunk:
        outward = leg.direction == "originating"
        found["Outbound trunk" if outward else "Inbound trunk"] = leg.trunk
        if outward:
            found["Route group"] = site.route_group
        return found
    return found | {
        "PSTN legal entity": "Broadsoft Adaption LLC",
        "PSTN vendor org ID": "0b43a1a8-2efd-4892-b301-e7a5a6d2c884",
        "PSTN vendor name": "Cisco Calling Plans",
        "PSTN provider ID": "3fac3e13-f8de-43b4-ad85-c2862ae3afe8",
    }


def _offset(state: State, zone: str, at: int) -> str:
    """Return the UTC offset of a zone at an instant in minutes, cached for the hour."""
    name = zone, at // HOUR
    offset = state.zones.get(name)
    if offset is None:
        ahead = instant(at).astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
        offset = state.zones[name] = str(int(ahead.total_seconds()) // 60)
    return offset


def time_text(unix_ms: int) -> str:
    """Return Unix milliseconds as the service writes an instant."""
    return instant(unix_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _local_id(leg_id: str) -> str:
    return f"{int(digest('local', leg_id)[:8], 16)}:0" if leg_id else ""
