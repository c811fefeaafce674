"""The documents that Kazoo stores of a call, made out of the legs of the exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cdrctl.sandbox.exchange.clock import SECOND, delay, digest, instant
from cdrctl.sandbox.exchange.parties import Call, Leg, Party
from cdrctl.sandbox.kazoo.accounts import USERS_AND_DEVICES, Account
from cdrctl.sandbox.kazoo.months import GREGORIAN

_CARRIER = digest("resource", 1)
_MICROSECONDS = 1000
_MEDIA_SERVERS = ("fs1.sandbox.example", "fs2.sandbox.example")
_CAUSES = {
    "normal": "NORMAL_CLEARING",
    "busy": "USER_BUSY",
    "no_answer": "NO_ANSWER",
    "cancelled": "ORIGINATOR_CANCEL",
    "rejected": "CALL_REJECTED",
    "unallocated": "UNALLOCATED_NUMBER",
    "unavailable": "USER_NOT_REGISTERED",
    "answered_elsewhere": "LOSE_RACE",
    "abandoned": "ORIGINATOR_CANCEL",
    "blind_transfer": "BLIND_TRANSFER",
    "consulted_transfer": "ATTENDED_TRANSFER",
    "parked": "NORMAL_CLEARING",  # a guess
    "forwarded": "NO_ANSWER",
}
_CODES = {"NORMAL_CLEARING": "sip:200", "USER_BUSY": "sip:486", "CALL_REJECTED": "sip:603", "NO_ANSWER": "sip:480"}

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """The values of a document that the views use, in Gregorian seconds; `doc` makes the document itself.

    `saved` is the second in which the document was saved, `start` that in which the leg began, `interaction` the second
    in which the interaction began, and its key.
    """

    saved: int
    id: str
    start: int
    interaction: tuple[int, str]
    owner: str
    leg: Leg
    account: Account
    call_ids: Mapping[str, str]
    bridge: str

    @property
    def killed(self) -> bool:
        """Whether the switch `duration` applies to the leg: every third that was not answered."""
        return self.leg.answer is None and int(digest("killed", self.leg.id)[:2], 16) % 3 == 0

    @property
    def doc(self) -> Doc:
        """A new copy of the document."""
        began, key = self.interaction
        doc = _leg_document(self.leg, self.account, self.call_ids, self.bridge)
        doc["interaction_id"] = f"{began}-{key}"
        doc["interaction_time"] = began
        doc["interaction_key"] = key
        doc["media_server"] = _MEDIA_SERVERS[int(key, 16) % 2]
        doc["custom_channel_vars"] = _channel_vars(self.leg, self.account, self.bridge)
        doc["id"] = self.id
        return doc


@dataclass(frozen=True, slots=True, eq=False)
class Month:
    """The database of one month of an account; `documents` are in the order of `[saved, id]`."""

    documents: list[StoredDocument] = field(default_factory=list)
    by_id: dict[str, StoredDocument] = field(default_factory=dict)


def interaction_documents(
    call: Call, account: Account, late: int, share: str, *, apart: bool = False
) -> list[StoredDocument]:
    """Return the documents of one interaction: one for each leg of a telephone or carrier, none for queues and menus.

    Each is saved `late` seconds later than usual, and those of the `share` later still. With `apart`, consultations and
    retrievals of stories have an interaction of their own.
    """
    call_ids = {leg.id: _call_id(leg) for leg in call.legs}
    first = next((leg for leg in call.legs if leg.party.kind == "outside" or leg.party.is_user), None)
    bridge = call_ids[first.id] if first else ""
    documents = []
    for leg in call.legs:
        if (leg.party.kind != "outside" and not leg.party.is_user) or _has_none(leg):
            continue
        began, key, named = _interaction(call, leg, apart=apart)
        month = f"{instant(began):%Y%m}"
        own = call_ids[named.id] if named is not call.legs[0] else bridge
        saved = (
            leg.end // SECOND
            + GREGORIAN
            + 1
            + late
            + leg.late // SECOND
            + delay(share, "late", leg.id) // (60 * SECOND)
        )
        owner = USERS_AND_DEVICES[leg.party.id][0] if leg.party.kind == "person" else ""
        begun = leg.start // SECOND + GREGORIAN
        name = f"{month}-{call_ids[leg.id]}"
        since = (began // SECOND + GREGORIAN, key)
        documents.append(StoredDocument(saved, name, begun, since, owner, leg, account, call_ids, own))
    return documents


def _has_none(leg: Leg) -> bool:
    """Return whether a leg has no document: it is lost, or the switch made it to forward a call without ringing."""
    return leg.lost or leg.diverts or (leg.cause == "forwarded" and leg.ring_seconds == 0)


def _interaction(call: Call, leg: Leg, *, apart: bool) -> tuple[int, str, Leg]:
    """Return the beginning, the key and the first leg of the interaction of a leg.

    A consultation that became a transfer has the interaction of the caller, apart from the leg that asked for it.
    """
    own = apart and bool(call.story) and leg.apart and (leg.direction == "originating" or not leg.transfer)
    if not own:
        return call.start, digest("interaction", call.id)[:8], call.legs[0]
    first = next(one for one in call.legs if one.session == leg.session)
    return first.start, digest("interaction", call.id, leg.session)[:8], first


def save_in_bulks(documents: list[StoredDocument], size: int) -> list[StoredDocument]:
    """Return the documents as if each run of `size` had been saved together with the last one of the run."""
    saved = []
    for n in range(0, len(documents), size):
        run = documents[n : n + size]
        last = run[-1].saved
        saved += [replace(one, saved=last) for one in run]
    return sorted(saved, key=lambda one: (one.saved, one.id))


def _call_id(leg: Leg) -> str:
    """Return the media switch's id of a leg: the SIP Call-ID of a device, or a UUID."""
    h = digest("call", leg.id)
    if leg.direction == "originating":
        odd = "/%41" if int(h[:2], 16) < 8 else ""  # a few ids hold characters that a URL cannot
        return f"{h[:20]}{odd}@10.26.0.{int(h[20:22], 16)}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def _leg_document(leg: Leg, account: Account, call_ids: Mapping[str, str], bridge: str) -> Doc:
    """Return the columns of a document that describe the leg itself."""
    start, end = leg.start // SECOND, leg.end // SECOND
    answer = None if leg.answer is None else leg.answer // SECOND
    out = leg.direction == "terminating"
    cause = _CAUSES[leg.cause]
    device = USERS_AND_DEVICES.get(leg.party.id, ("", ""))[1]
    realm = account.realm
    dialed = leg.dialed or leg.to_number
    to = f"user_{device[:8]}@{realm}" if out and device else f"{leg.to_number if out else dialed}@{realm}"
    caller = f"{leg.from_number}@{realm}" if out or not device else f"user_{device[:8]}@{realm}"
    doc: Doc = {
        "call_id": call_ids[leg.id],
        "call_direction": "outbound" if out else "inbound",
        "caller_id_number": leg.from_number,
        "caller_id_name": leg.from_name,
        "callee_id_number": leg.to_number,
        "callee_id_name": leg.to_name,
        "duration_seconds": end - start,
        "billing_seconds": 0 if answer is None else end - answer,
        "ringing_seconds": (end if answer is None else answer) - start,
        "timestamp": end + GREGORIAN,
        "hangup_cause": cause,
        "hangup_code": _CODES.get(cause, "sip:487"),
        "disposition": {"local": "recv_bye", "remote": "send_bye"}[leg.released_by],
    }
    other = call_ids.get(leg.peer, "") or (bridge if out else "")
    if other:
        doc["other_leg_call_id"] = other
    request = f"{dialed}@{realm}" if not out else to
    doc |= {
        "to": to,
        "to_uri": to,
        "from": caller,
        "from_uri": f"{leg.from_number}@{realm}",
        "request": request,
        "channel_created_time": leg.start * _MICROSECONDS + int(digest("micro", leg.id)[:2], 16),
    }
    if leg.recorded:
        doc["recording_url"] = f"https://recordings.example/{digest('recording', leg.id)}.mp3"
    return doc


def _channel_vars(leg: Leg, account: Account, bridge: str) -> Doc:
    """Return the account, the owner, the device or carrier, and the billing tags of a leg."""
    party: Party = leg.party
    found: Doc = {"account_id": account.id}
    if party.is_user:
        owner, device = USERS_AND_DEVICES[party.id]
        if party.kind == "person":
            found["owner_id"] = owner
        found |= {"authorizing_id": device, "authorizing_type": "device", "realm": account.realm}
    else:
        inward = leg.direction == "originating"
        found |= {
            "resource_id": _CARRIER,
            "resource_type": "offnet-origination" if inward else "offnet-termination",
            "global_resource": "true",
        }
    if leg.direction == "terminating" or not party.is_user:
        found["bridge_id"] = bridge
    if party.kind == "outside" and leg.direction == "terminating":
        rate, name = {"international": (1_200, "GB"), "tollfree": (0, "US-TF")}.get(leg.route, (100, "US"))
        found |= {
            "account_billing": "per_minute",
            "reseller_billing": "per_minute",
            "reseller_id": account.parent or account.id,
            "rate": rate,
            "rate_name": name,
            "rate_increment": 6,
            "rate_minimum": 60,
            "surcharge": 0,
        }
    elif party.kind == "outside":
        found["account_billing"] = "flat_rate"
    if leg.recorded:
        found["media_recordings"] = [digest("recording", leg.id)]
    return found
