"""Facts about one call as a PBX sees it: its direction, its cost, and who was called."""

from __future__ import annotations

import math

from cdrctl.sandbox.exchange.clock import SECOND, digest
from cdrctl.sandbox.exchange.parties import Call, Leg
from cdrctl.sandbox.portsip.times import MILLI

_OUTWARD = {"national", "international", "tollfree"}
_CENTS = {"national": 2, "international": 12}
_MINUTE = 60


def targets(call: Call) -> list[Leg]:
    """Return the legs that have a call log: every leg except the calling side of another leg."""
    ids = {leg.id for leg in call.legs}
    return [leg for leg in call.legs if leg.direction == "terminating" or leg.retrieves or leg.peer not in ids]


def extra_microseconds(call: Call) -> int:
    """Return microseconds to add to every time of a call: 0 if it begins on a whole second, for exact bounds."""
    return int(digest("micro", call.id)[:4], 16) % MILLI if call.start % SECOND else 0


def involves(call: Call, extension: str) -> bool:
    """Return whether a leg of the call belongs to the extension."""
    return any(leg.party.extension == extension for leg in call.legs)


def direction_of(call: Call) -> str:
    """Return inbound, outbound or internal."""
    first = call.legs[0]
    if first.party.kind == "outside":
        return "inbound"
    return "outbound" if first.route in _OUTWARD else "internal"


def leaves_again(call: Call) -> bool:
    """Return whether a call from outside is sent on to a mobile telephone."""
    if call.story:
        return any(leg.reason.startswith("CallForward") for leg in call.legs)
    return call.kind == "inbound" and len(call.legs) > 1 and call.legs[1].party.device == "mobile"


def cost_of(call: Call) -> float:
    """Return the cost of an answered outbound call, charged per started minute; the PBX names no currency."""
    first = call.legs[0]
    cents = _CENTS.get(first.route, 0)
    if direction_of(call) != "outbound" or first.answer is None:
        return 0.0
    return math.ceil(first.talk_seconds / _MINUTE) * cents / 100


def billed_account(call: Call) -> str:
    """Return the extension that pays for the call, or an empty text if it costs nothing."""
    return call.legs[0].party.extension if cost_of(call) else ""
