"""Rows written as records, with what the switches change in every report."""

from __future__ import annotations

from cdrctl.sandbox.callgear.calls import call_record
from cdrctl.sandbox.callgear.fields import REPORTS, TALK_TIMES, Record
from cdrctl.sandbox.callgear.legs import cost_record, leg_record
from cdrctl.sandbox.callgear.rows import Row
from cdrctl.sandbox.callgear.state import State
from cdrctl.sandbox.exchange.clock import SECOND, delay

_ZEROS, _YEAR_1 = "0000-00-00 00:00:00", "0001-01-01 00:00:00"


def record_of(state: State, method: str, row: Row) -> Record:
    """Write one record of a report with every field it has on the wire."""
    record = _whole_record(state, method, row)
    no_time = state.switched["no_time"]
    if no_time != "null":
        never = {"zeros": _ZEROS, "year1": _YEAR_1, "1970": state.local_time.text(0), "0": "0"}[no_time]
        fields = REPORTS[method][1]
        record |= {name: never for name, one in fields.items() if one.type == "iso8601" and record[name] is None}
    if state.switched["talk_times"] == "null" and method != "get.financial_call_legs_report":
        record |= dict.fromkeys(TALK_TIMES & set(record))
    wait = delay(state.switched["changed"], "changed", str(row.id))
    if wait and state.time < row.end * SECOND + wait:
        record |= {name: empty for name, empty in (("call_records", []), ("total_charge", 0)) if name in record}
    return record


def _whole_record(state: State, method: str, row: Row) -> Record:
    if method == "get.calls_report":
        return call_record(state, row)
    if row.leg is None:
        raise TypeError("a leg's row without a leg")
    return leg_record(state, row, row.leg) if method == "get.call_legs_report" else cost_record(state, row, row.leg)
