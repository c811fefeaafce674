"""The rows of a perfect export."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cdrctl.sandbox.exchange.clock import SECOND, milliseconds
from cdrctl.sandbox.kazoo.databases import hides, is_hidden, month_database
from cdrctl.sandbox.kazoo.documents import Doc
from cdrctl.sandbox.kazoo.months import GREGORIAN, months_between
from cdrctl.sandbox.kazoo.rows import listing_row
from cdrctl.sandbox.kazoo.state import State
from cdrctl.sandbox.kazoo.views import earliest_documents

CALLS = ("cdrs", "interactions")


def true_rows(state: State, call: str, since: datetime, until: datetime, options: Mapping[str, str]) -> list[Doc]:
    """Return the rows whose `unix_timestamp` is in `[since, until)`, oldest first, as they stand on the wire.

    Only documents that are saved by now have rows, and a poison document has none. `interactions` are the earliest
    legs. Options: `account` (an id, by default the reseller's own) and `user` (an owner id; `interactions` are then
    the earliest legs of that user). Raises ValueError for another call.
    """
    if call not in CALLS:
        raise ValueError(f"kazoo tells the truth of {' and '.join(CALLS)}, not of {call}")
    by_id = {account.id: account for account in state.accounts}
    account = by_id[options.get("account", state.accounts[0].id)]
    lo, hi = milliseconds(since), milliseconds(until)
    now = state.gregorian_now
    owner = options.get("user", "")
    hiding = hides(state)
    first = lo // SECOND + GREGORIAN - account.exchange.longest // SECOND - 1
    stored = [
        one
        for month in months_between(first, hi // SECOND + GREGORIAN)
        for one in month_database(state, account, month).documents
        if one.saved <= now and (not owner or one.owner == owner) and not (hiding and is_hidden(state, one))
    ]
    interaction = call == "interactions"
    if interaction:
        stored = earliest_documents(stored)
    lo_s, hi_s = -(-lo // SECOND) + GREGORIAN, -(-hi // SECOND) + GREGORIAN
    chosen = sorted((one for one in stored if lo_s <= one.start < hi_s), key=lambda one: (one.start, one.id))
    poison = state.switched["poison"]
    return [listing_row(state, one, {}, interaction=interaction) for one in chosen if one.id != poison]
