"""The records of the reports of legs and of their costs."""

from __future__ import annotations

from cdrctl.sandbox.callgear.fields import Record
from cdrctl.sandbox.callgear.parties import (
    ACTIONS,
    EMPLOYEE_IDS,
    SCENARIOS,
    called_number,
    contact_of,
    employee_name,
    group_of,
    is_inbound,
    leg_direction,
    phone,
    recordings_of,
    session_of,
    source_of,
    virtual_number,
)
from cdrctl.sandbox.callgear.reasons import finish_reason, reason_text, release_cause
from cdrctl.sandbox.callgear.rows import Row
from cdrctl.sandbox.callgear.state import State
from cdrctl.sandbox.exchange.clock import SECOND, digest
from cdrctl.sandbox.exchange.parties import Leg

_PRICES = {"local": 100, "national": 500, "mobile": 1_500, "international": 2_500}
"""Price of a minute in ten-thousandths of the account's currency."""


def leg_record(state: State, row: Row, leg: Leg) -> Record:
    """Write the record of a leg with every field it has."""
    call = row.call
    text = state.local_time.text
    answer = None if leg.answer is None else leg.answer // SECOND
    reason = finish_reason(state.switched, leg, call, answered=answer is not None)
    records = recordings_of(leg)
    talked = answer is not None and leg.talk_seconds > 0
    return {
        "id": row.id,
        "call_session_id": session_of(state.switched, call, leg),
        "call_records": records,
        "wav_call_records": [digest("wav", one) for one in records],
        "start_time": text(row.start),
        "connect_time": None if answer is None else text(answer),
        "duration": 0 if answer is None else row.end - answer,
        "total_duration": row.end - row.start,
        "finish_reason": reason,
        "finish_reason_description": reason_text(reason),
        "virtual_phone_number": virtual_number(call),
        "calling_phone_number": phone(leg.from_number),
        "called_phone_number": phone(called_number(leg)),
        "direction": leg_direction(leg),
        "is_transfered": bool(leg.transfer) and leg.redirected_by is not None,
        "is_operator": leg.party.kind != "outside",
        "is_coach": False,
        "is_failed": answer is None,
        "is_talked": talked and leg.party.kind in {"person", "place", "outside"},
        **_employee(row, leg),
        **release_cause(state.switched, leg),
        **_context(row, leg),
    }


def _employee(row: Row, leg: Leg) -> Record:
    """Write the fields about the employee on a leg."""
    party = leg.party
    rated = party.is_user and leg.talk_seconds > 0 and row.id % 9 == 0
    return {
        "employee_id": EMPLOYEE_IDS[party.id] if party.is_user else None,
        "employee_full_name": employee_name(party) if party.is_user else None,
        "employee_phone_number": phone(party.extension) if party.is_user else None,
        "employee_rating": row.id % 5 + 1 if rated else None,
    }


def _context(row: Row, leg: Leg) -> Record:
    """Write the fields that a leg has from its call: scenario, contact, action and group."""
    scenario_id, scenario = SCENARIOS.get(row.call.kind, (None, None))
    contact_id, contact, number = contact_of(row.call)
    action_id, action = ACTIONS.get(row.call.kind, (None, None))
    group_id, group = group_of(row.call, leg)
    return {
        "scenario_id": scenario_id,
        "scenario_name": scenario,
        "contact_id": contact_id,
        "contact_full_name": contact,
        "contact_phone_number": number,
        "action_id": action_id,
        "action_name": action,
        "group_id": group_id,
        "group_name": group,
    }


def cost_record(state: State, row: Row, leg: Leg) -> Record:
    """Write the record of what a leg costs."""
    inbound = is_inbound(row.call)
    talked = 0 if leg.answer is None else row.end - leg.answer // SECOND
    kind = "local" if inbound else "international" if leg.route == "international" else "national"
    if not inbound and row.id % 3 == 0 and kind == "national":
        kind = "mobile"
    charged = -(-talked // 60) * 60
    price = 0 if inbound and leg.party.kind != "outside" else _PRICES[kind]
    session = session_of(state.switched, row.call, leg)
    return {
        "start_time": state.local_time.text(row.start),
        "direction": leg_direction(leg),
        "source": source_of(row.call),
        "call_session_id": str(session) if state.switched["session_id"] == "string" else session,
        "leg_id": row.id,
        "calling_phone_number": phone(leg.from_number),
        "called_phone_number": phone(called_number(leg)),
        "duration": talked,
        "chargeable_duration": charged,
        "direction_type": kind,
        "cost_per_minute": _money(price),
        "total_charge": _money(price * charged // 60),
        "bonuses_charge": _money(price * charged // 60) if row.id % 17 == 0 else 0,
    }


def _money(units: int) -> float | int:
    """Convert ten-thousandths of the currency to a JSON number."""
    return units / 10_000 if units % 10_000 else units // 10_000
