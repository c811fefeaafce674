"""The result of a perfect export of a window."""

from __future__ import annotations

from datetime import datetime

from cdrctl.sandbox.callgear.fields import REPORTS, USER_FIELDS, Record, pick
from cdrctl.sandbox.callgear.parameters import choose_fields
from cdrctl.sandbox.callgear.records import record_of
from cdrctl.sandbox.callgear.rows import rows_between
from cdrctl.sandbox.callgear.state import State
from cdrctl.sandbox.exchange.clock import HOUR, SECOND, milliseconds


def truth_of(state: State, call: str, since: datetime, until: datetime, options: dict[str, str]) -> list[Record]:
    """List the records that began in `[since, until)` as they stand on the wire, by start and id.

    Raises ValueError for an unknown option or customer. `CallGear.truth` describes the options.
    """
    wanted = {"fields": "all", "user_id": "2000", "reading": "first"} | options
    if len(wanted) > 3 or wanted["reading"] not in {"first", "own"}:
        raise ValueError("the options are fields, user_id and reading, which is first or own")
    if call == "users":
        return [pick(user, choose_fields(state.switched, USER_FIELDS, wanted["fields"])) for user in state.users]
    customer = state.customer(int(wanted["user_id"]))
    if customer is None:
        raise ValueError(f"the partner has no customer user {wanted['user_id']}")
    method, fields = next((method, fields) for method, (name, fields) in REPORTS.items() if name == call)
    chosen = choose_fields(state.switched, fields, wanted["fields"])
    own = wanted["reading"] == "own"
    lo, hi = -(-milliseconds(since) // SECOND), -(-milliseconds(until) // SECOND)
    # The first reading of a row's time is at most two hours before its start: no clock is set back by more.
    margin = 0 if own else 3 * HOUR // SECOND
    local_time = state.local_time
    rows = [
        (row.start if own else local_time.instant(local_time.local(row.start), 0), row)
        for row in rows_between(state, method, customer, lo * SECOND, (hi + margin) * SECOND)
    ]
    now = state.time
    found = [(at, row) for at, row in rows if lo <= at < hi and row.seen <= now]
    found.sort(key=lambda one: (one[0], one[1].id))
    return [pick(record_of(state, method, row), chosen) for _, row in found]
