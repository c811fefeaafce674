"""Changes of a user's own calls: sync tokens, and the calls since one."""

from __future__ import annotations

from cdrctl.sandbox.exchange.clock import digest, milliseconds
from cdrctl.sandbox.portsip.answers import error, json_reply
from cdrctl.sandbox.portsip.filter_language import ALWAYS
from cdrctl.sandbox.portsip.requests import RefusedError
from cdrctl.sandbox.portsip.rows import row_of
from cdrctl.sandbox.portsip.state import PBX, SyncToken
from cdrctl.sandbox.portsip.store import visible_records
from cdrctl.sandbox.portsip.times import MILLI, microseconds, read_time
from cdrctl.sandbox.portsip.users import User
from cdrctl.sandbox.wire import Reply, Request

_FIELDS = (
    *("caller", "callee", "started_at", "answered_at", "ended_at"),
    *("outbound_caller_id", "did_cid", "trunk", "status_code"),
)


def create_sync_token(pbx: PBX, request: Request, user: User) -> Reply:
    """Answer `POST /user/cdrs/sync_tokens`: a token for the calls from `date_from` on, or from now on."""
    text = request.values.get("date_from", "")
    begun = read_time(text) if text else microseconds(pbx.now())
    if begun is None:
        raise RefusedError("date_from")
    told = 0 if text else milliseconds(pbx.now())
    return json_reply(201, {"token": _issue(pbx, SyncToken(user, begun, told))})


def list_changes(pbx: PBX, user: User, token: str) -> Reply:
    """Answer with the user's own calls that appeared since the token; calls of the PBX never change afterwards."""
    known = pbx.tokens.sync.get(token)
    if known is None or known.user != user:
        return error(pbx, 403)
    now = milliseconds(pbx.now())
    low = known.begun if not known.told else known.begun - pbx.exchange.longest * MILLI
    items = []
    for one in visible_records(pbx, "cdrs", (low, ALWAYS[1]), user.extension or "-"):
        if one.seen > known.told:
            row = row_of(pbx, one)
            part = {name: row[name] for name in _FIELDS}
            items.append({"id": row["id"], "change_type": "CREATED", "items": [part]})
    return json_reply(200, {"token": _issue(pbx, SyncToken(user, known.begun, now)), "items": items})


def _issue(pbx: PBX, sync: SyncToken) -> str:
    pbx.tokens.issued += 1
    token = digest("portsip sync", pbx.tokens.issued)
    pbx.tokens.sync[token] = sync
    return token
