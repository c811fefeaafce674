"""The rows of a report before they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cdrctl.sandbox.callgear.fields import REPORTS
from cdrctl.sandbox.callgear.parties import numeric_id
from cdrctl.sandbox.callgear.state import Customer, State
from cdrctl.sandbox.exchange.clock import SECOND, delay, is_gone
from cdrctl.sandbox.exchange.parties import Call, Leg


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a report before it is written.

    `start` and `end` are Unix seconds; `seen` is when the row appears, in Unix milliseconds.
    """

    start: int
    end: int
    seen: int
    id: int
    call: Call
    leg: Leg | None = None


def rows_between(state: State, method: str, customer: Customer, lo: int, hi: int) -> Iterator[Row]:
    """Yield rows that may have begun in `[lo, hi)` Unix milliseconds.

    A call has a row per call, per leg, or per leg through the public network, depending on the report.
    """
    exchange = customer.exchange
    lag = int(state.switched["lag"]) * SECOND
    late, dropped, now = state.switched["late"], state.switched["dropped"], state.time
    name = REPORTS[method][0]
    since = lo if name == "calls" else lo - exchange.longest
    for call in exchange.calls_between(since, hi):
        seen = call.end + lag + delay(late, "late", call.id)
        if is_gone(dropped, call.id, call.end, now):
            continue
        if name == "calls":
            yield Row(call.start // SECOND, call.end // SECOND, seen, numeric_id("call", call.id), call)
            continue
        for leg in call.legs:
            if leg.lost or leg.diverts:
                continue
            if lo <= leg.start < hi and not (name == "costs" and leg.route in {"internal", "service"}):
                seen_leg = seen + leg.late
                yield Row(leg.start // SECOND, leg.end // SECOND, seen_leg, numeric_id("leg", leg.id), call, leg)
