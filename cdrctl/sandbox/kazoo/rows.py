"""The rows of a listing and the full documents, as the release and the switches make them: cb_cdrs.erl."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

from cdrctl.sandbox.exchange.clock import SECOND, delay, digest
from cdrctl.sandbox.kazoo.documents import Doc, StoredDocument
from cdrctl.sandbox.kazoo.months import GREGORIAN
from cdrctl.sandbox.kazoo.releases import NOT_IN, OLD, STRING_SECONDS
from cdrctl.sandbox.kazoo.state import State

_UNITS_PER_DOLLAR = 10_000


def full_document(state: State, stored: StoredDocument) -> Doc:
    """Return the full document; its timestamp is the end of the leg."""
    doc = _switched_document(state, stored)
    if state.version in STRING_SECONDS:
        for name in ("duration_seconds", "billing_seconds", "ringing_seconds"):
            doc[name] = str(doc[name])
    if state.switched["billing"] == "absent" and doc["billing_seconds"] == "":
        del doc["billing_seconds"]
    if state.version == "5.x":
        doc["switch_hostname"] = doc["media_server"]
        doc["switch_nodename"] = f"freeswitch@{doc['media_server']}"
        doc["event_category"], doc["event_name"] = "call_event", "CHANNEL_DESTROY"
    doc["id"] = doc.pop("id")
    if stored.id == state.switched["poison"]:
        del doc["call_direction"]
    return doc


def listing_row(state: State, stored: StoredDocument, asked: Mapping[str, str], *, interaction: bool) -> Doc:
    """Return the row that Crossbar makes of a document; its timestamp is the start of the leg."""
    doc = _switched_document(state, stored)
    start = doc["timestamp"] - doc["duration_seconds"]
    row = _call_columns(state, stored, doc, start)
    row |= _time_columns(state.version, doc, start, float(asked.get("utc_offset") or 0))
    row |= _tag_columns(doc)
    for name in NOT_IN[state.version]:
        del row[name]
    inward = doc["call_direction"] == "inbound"
    if state.version == "4.3":
        row = _with_disposition(row, doc)
        if interaction:
            row["inception_direction"] = "origination" if inward else "termination"
    if state.version == "5.x":
        row["switch_hostname"] = doc["media_server"]
    if state.switched["reseller"] == "on":
        row["reseller_cost"] = _cost(state, doc, "reseller_billing")
        row["reseller_call_type"] = doc["custom_channel_vars"].get("reseller_billing", "")
    if state.switched["billing"] == "absent" and row["billing_seconds"] == "":
        del row["billing_seconds"]
    if state.switched["strip_empty"] == "on":
        row = {name: value for name, value in row.items() if value != ""}
    return row


def _switched_document(state: State, stored: StoredDocument) -> Doc:
    """Return the document with the lengths that the switches set.

    A leg killed while it was new ends when it starts (GitHub 2600hz/kazoo, issue 6534); `billing_seconds` had no
    default at first (pull request 5168).
    """
    doc, kind = stored.doc, state.switched["duration"]
    if kind != "right" and stored.killed:
        unix = stored.start - GREGORIAN
        doc["timestamp"] = stored.start
        doc["duration_seconds"] = {"minus_unix": -unix, "unix": unix, "minus": -3}[kind]
        doc["billing_seconds"] = doc["duration_seconds"]
    if state.switched["billing"] != "always" and int(digest("billing", stored.id)[:2], 16) % 2:
        doc["billing_seconds"] = ""
    return doc


def _call_columns(state: State, stored: StoredDocument, doc: Doc, start: int) -> Doc:
    """Return the columns from the id to the number that is called from; `start` is in Gregorian seconds."""
    ccv: Doc = doc["custom_channel_vars"]
    inward = doc["call_direction"] == "inbound"
    seconds: Callable[[Any], Any] = str if state.version in STRING_SECONDS else lambda value: value
    return {
        "id": stored.id,
        "call_id": doc["call_id"],
        "caller_id_number": doc["caller_id_number"],
        "caller_id_name": doc["caller_id_name"],
        "callee_id_number": doc["callee_id_number"],
        "callee_id_name": doc["callee_id_name"],
        "duration_seconds": seconds(doc["duration_seconds"]),
        "billing_seconds": seconds(doc["billing_seconds"]),
        "timestamp": str(start),
        "hangup_cause": doc["hangup_cause"],
        "other_leg_call_id": doc.get("other_leg_call_id", ""),
        "owner_id": ccv.get("owner_id", ""),
        "to": doc["to"],
        "from": doc["from"],
        "direction": doc["call_direction"],
        "request": doc["request"],
        "authorizing_id": ccv.get("authorizing_id", ""),
        "cost": "0" if _is_unrated(state, stored) else _cost(state, doc, "account_billing"),
        "dialed_number": (doc["request"] if inward else doc["to"]).partition("@")[0],
        "calling_from": doc["caller_id_number"] if inward else doc["from_uri"].partition("@")[0],
    }


def _time_columns(version: str, doc: Doc, start: int, offset: float) -> Doc:
    """Return the columns that say when the leg started; `offset` is that of the query, in seconds."""
    at = datetime.fromtimestamp(start - GREGORIAN, UTC)
    shown = datetime.fromtimestamp(start - GREGORIAN + offset, UTC) if offset else at
    rfc = format_datetime(at, usegmt=True)
    day = f"{at:%Y-%m-%d}"
    micro = doc["channel_created_time"]
    return {
        "datetime": f"{shown:%Y-%m-%d}{'_' if version == '5.0' else ' '}{shown:%H:%M:%S}",
        "unix_timestamp": str(start - GREGORIAN),
        "unix_timestamp_micro": f"{micro // 1_000_000}.{micro % 1_000_000:06d}",
        "rfc_1036": f'"{rfc}"' if version in OLD else rfc,
        "iso_8601": f'"{day}"' if version in OLD else day,
        "iso_8601_combined": f"{at:%Y-%m-%dT%H:%M:%SZ}",
    }


def _tag_columns(doc: Doc) -> Doc:
    """Return the columns from the type of the call to the interaction's id."""
    ccv: Doc = doc["custom_channel_vars"]
    return {
        "call_type": ccv.get("account_billing", ""),
        "rate": repr(ccv.get("rate", 0) / _UNITS_PER_DOLLAR),
        "rate_name": ccv.get("rate_name", ""),
        "bridge_id": ccv.get("bridge_id", ""),
        "recording_url": doc.get("recording_url", ""),
        "media_recordings": ccv.get("media_recordings", []),
        "media_server": doc["media_server"],
        "call_priority": ccv.get("call_priority", ""),
        "interaction_id": doc["interaction_id"],
    }


def _is_unrated(state: State, stored: StoredDocument) -> bool:
    """Return whether the call of a document has no price yet: the switch `changed`."""
    wait = delay(state.switched["changed"], "changed", stored.id) // SECOND
    return wait > 0 and state.gregorian_now < stored.saved + wait


_DISCOUNTED = Decimal("0.985")
"""What is left of a cost with the switch `costs=fractions`: a discount of 1.5 %, and nothing is cut off."""


def _cost(state: State, doc: Doc, billing: str) -> str:
    """Return the cost in units of 1/10000 dollar: kapps_call_util.erl and wht_util.erl."""
    ccv: Doc = doc["custom_channel_vars"]
    seconds = doc["billing_seconds"]
    if ccv.get(billing) != "per_minute" or not isinstance(seconds, int) or seconds <= 0:
        return "0"
    minimum, increment, rate = ccv["rate_minimum"], ccv["rate_increment"], ccv["rate"]
    cost = ccv["surcharge"] + minimum / 60 * rate
    if seconds > minimum:
        cost += math.ceil((seconds - minimum) / increment) * increment / 60 * rate
    return str(int(cost)) if state.switched["costs"] == "whole" else str(int(cost) * _DISCOUNTED)


def _with_disposition(row: Doc, doc: Doc) -> Doc:
    """Return the row with a column of 4.3, which stands after the cause."""
    wider: Doc = {}
    for name, value in row.items():
        wider[name] = value
        if name == "hangup_cause":
            wider["disposition"] = doc["disposition"]
    return wider
