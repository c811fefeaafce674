"""One CDR, call log or recording by its id."""

from __future__ import annotations

from cdrctl.sandbox.exchange.clock import instant
from cdrctl.sandbox.portsip.answers import json_reply, text_or_null
from cdrctl.sandbox.portsip.blobs import SILENCE, recording_url
from cdrctl.sandbox.portsip.calls import billed_account, cost_of, targets
from cdrctl.sandbox.portsip.fields import Row
from cdrctl.sandbox.portsip.records import CDR, RECORDING, records_of
from cdrctl.sandbox.portsip.rows import row_of
from cdrctl.sandbox.portsip.state import PBX
from cdrctl.sandbox.portsip.store import find_record
from cdrctl.sandbox.portsip.times import MICRO, MILLI, read_time
from cdrctl.sandbox.wire import Reply

_TENANT = "877828121322061824"


def show_cdr(pbx: PBX, text: str, user: str, *, own: bool) -> Reply:
    """Answer one CDR: an array of its legs, or, for the user's own, an object without the duration."""
    found = find_record(pbx, "cdrs", text, user)
    if isinstance(found, Reply):
        return found
    rows = [row_of(pbx, found)]
    prices = [(cost_of(found.call), billed_account(found.call))]
    legs = targets(found.call)[: int(pbx.switched["legs"])]
    if len(legs) > 1:
        logs = records_of("calllogs", found.call, 0)[: len(legs)]
        rows = [row_of(pbx, one) for one in logs]
        prices += [(0.0, "")] * (len(legs) - 1)
    items = [_with_cost(pbx, row, *price) for row, price in zip(rows, prices, strict=True)]
    for item in items:
        item.pop("id")
        item.pop("session_id", None)
    if own:
        items[0].pop("duration")
        return json_reply(200, {"items": items[0]})
    return json_reply(200, {"items": items})


def show_calllog(pbx: PBX, text: str) -> Reply:
    """Answer one call log; the first of a call has the cost of the whole call."""
    found = find_record(pbx, "calllogs", text, "")
    if isinstance(found, Reply):
        return found
    first = found.number == records_of("calllogs", found.call, 0)[0].number
    price = (cost_of(found.call), billed_account(found.call)) if first else (0.0, "")
    return json_reply(200, _with_cost(pbx, row_of(pbx, found), *price))


def _with_cost(pbx: PBX, row: Row, cost: float, account: str) -> Row:
    """Return a row with the fields that only a detail has, after the duration."""
    wider: Row = {}
    for name, value in row.items():
        wider[name] = value
        if name == "duration":
            wider |= {"cost": cost, "billed_account": text_or_null(pbx, account)}
    return wider


def show_recording(pbx: PBX, text: str, user: str) -> Reply:
    """Answer one recording; its file name contains the id of the call's CDR."""
    found = find_record(pbx, "recordings", text, user)
    if isinstance(found, Reply):
        return found
    row = row_of(pbx, found)
    begun, ended = (read_time(row[name]) or 0 for name in ("started_at", "ended_at"))
    row.pop("id")
    numbers = f"{found.number - RECORDING + CDR}_{row['caller']}_{found.number % 60_000}"
    row |= {
        "duration": ended // MICRO - begun // MICRO,
        "file_name": f"{_TENANT}_{numbers}_{instant(begun // MILLI):%m%d%Y_%H%M%S}.wav",
        "file_size": len(SILENCE),
        "file_url": recording_url(found.number),
    }
    return json_reply(200, {"items": [row]})
