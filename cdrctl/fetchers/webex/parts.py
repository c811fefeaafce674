"""From a Webex leg to its part of a call.

Interaction ID joins all legs of a call where it is there (records of 2026). Correlation ID joins the legs of one
session. Local call IDs link a consulted transfer, a forwarding and the opposite leg, and a Network call ID is equal on
both records of one leg (developer.webex.com, "Reports: Detailed Call History").
"""

from __future__ import annotations

from collections.abc import Sequence

from cdrctl.fetchers.webex.common import is_plus
from cdrctl.records.events import Value
from cdrctl.records.parts import Joins, Part, Party, Role, Shape, Values, milliseconds, text, whole

_SERVICES: dict[str, Party] = {
    "CallCenterStandard": "queue",
    "CallCenterPremium": "queue",
    "HuntGroup": "group",
    "GroupPaging": "group",
    "AutomatedAttendantVideo": "menu",
    "VoiceXML": "menu",
    "RoutePoint": "service",
    "RouteList": "machine",
    "LocalGateway": "machine",
    "VoiceMailGroup": "voicemail",
    "VoiceMailRetrieval": "voicemail",
}


def parts(leg: Values, common: Values) -> list[Part]:
    """Return the part of a leg; an outside party has no record of its own."""
    placed = leg["direction"] == "ORIGINATING"
    kind = _SERVICES.get(str(leg["user_type"]), "person")
    retrieves = placed and str(leg["related_reason"]) in _RETRIEVALS
    role: Role = "caller" if placed and not retrieves else "callee" if kind == "person" else "service"
    outside = common["direction"] == "inbound" if not placed else False
    names = [f"{group}{one}" for group, key in _NAMES if (one := _id(leg[key]))]
    links = [f"L{one}" for key in _LINKS if (one := _id(leg[key]))]
    found = [
        Part(
            str(common["record_id"]),
            tuple(names),
            tuple(links),
            role,
            kind,
            milliseconds(common["start_time"]),
            milliseconds(common["answer_time"]),
            milliseconds(common["end_time"]),
            common["answered"],
            whole(common["talk_seconds"]),
            common["outcome"],
            text(leg["user_number"]),
            text(leg["user"]),
            outside,
            text(common["from_number"]),
            text(common["from_name"]),
            text(common["to_number"]),
            text(common["dialed_number"]),
            transfer=_transfer(leg),
            queue=text(leg["user"]) if kind == "queue" else None,
            hold=whole(leg["hold_duration"]),
            user=text(leg["user"]) if kind == "person" else None,
            site=text(common["site"]),
            trunk=text(common["trunk"]),
            elsewhere=leg["answered_elsewhere"] == "Yes",
            expected=tuple(links),
            handed=not placed and leg["call_transfer_time"] is not None,
        )
    ]
    own = found[0]
    if placed and common["direction"] == "outbound":
        far = own._replace(role="callee", party="outside", transfer="", user=None, hold=None)
        found.append(far._replace(number=text(common["to_number"]), name=text(common["to_name"])))
    elif leg["answer_indicator"] == "Yes-PostRedirection":  # the target answered; its own leg may tell who it is
        far = own._replace(party="outside", number=None, name=None, user=None, hold=None, transfer="")
        found = [own._replace(answered=False, answer=None, talk=None, elsewhere=True), far]
    return found


_RETRIEVALS = frozenset({"CallParkRetrieve", "CallRetrieve", "CallPickup", "DirectedCallPickup"})
"""Why a party placed a leg that got it a caller who was waiting."""

_NAMES = (
    ("I", "interaction_id"),
    ("C", "correlation_id"),
    ("L", "local_call_id"),
    ("N", "network_call_id"),
)
_LINKS = ("remote_call_id", "related_call_id", "transfer_related_call_id")
_NOTHING = frozenset({"", "na", "n/a", "0" * 32})


def _id(value: Value) -> str:
    """Return an id in lower case, or an empty text if there is none."""
    found = value.strip().casefold() if isinstance(value, str) else ""
    return "" if found in _NOTHING else found


def _transfer(leg: Values) -> str:
    """Return how the party passed the call on; the caller's leg of a consultation has the time of the transfer, too."""
    if leg["call_transfer_time"] is None:
        return ""
    consulted = leg["transfer_related_call_id"] or leg["related_reason"] == "ConsultativeTransfer"
    return "consulted" if consulted else "blind"


def _ids(column: Sequence[Value]) -> Sequence[Value]:
    """Return a column of ids as `_id` has them."""
    joined = "".join(filter(None, column))
    if joined == joined.casefold() and joined.isascii() and not any(map(joined.__contains__, " \t\r\n")):
        return column if _NOTHING.isdisjoint(column) else ["" if one in _NOTHING else one for one in column]
    return list(map(_id, column))


_SHAPE = Shape(
    key=("report_id",),
    kinds=(
        *("direction", "user_type", "call_type", "answered", "call_outcome", "call_outcome_reason"),
        *("releasing_party", "answered_elsewhere", "related_reason", "answer_indicator"),
    ),
    free=(
        *("report_id", "interaction_id", "correlation_id", "local_call_id", "network_call_id", "remote_call_id"),
        *("related_call_id", "transfer_related_call_id", "user", "user_number", "calling_number", "caller_id_number"),
        *("calling_line_id", "called_number", "called_line_id", "dialed_digits", "location", "inbound_trunk"),
        *("outbound_trunk", "route_group"),
    ),
    times=("start_time", "answer_time", "release_time", "report_time", "call_transfer_time"),
    lengths=("duration", "hold_duration"),
    ids=frozenset({*_LINKS, *(name for _, name in _NAMES)}),
    clean=_ids,
    looks=(("calling_number", is_plus, {True: "+", False: ""}),),
    examined=("report_id", "duration", "hold_duration"),
    usual=lambda record, talk, hold: bool(record) and (talk or 0) >= 0 and (hold or 0) >= 0,
)

_LEGS = Joins(parts, lacks={"cost": "Webex does not provide costs"}, shape=_SHAPE)

JOINS = {"cdrs": _LEGS, "stream": _LEGS, "legs": _LEGS}
"""How records join, by the name of their call; the call whose records are read by default is first."""
