"""The records of the report of calls."""

from __future__ import annotations

from dataclasses import dataclass

from cdrctl.sandbox.callgear.fields import CALL_FIELDS, INSIDE, Record
from cdrctl.sandbox.callgear.parties import (
    ACTIONS,
    APP_HOST,
    EMPLOYEE_IDS,
    SCENARIOS,
    contact_of,
    employee_name,
    employees_of,
    is_inbound,
    phone,
    recordings_of,
    region_of,
    source_of,
    virtual_number,
)
from cdrctl.sandbox.callgear.reasons import finish_reason
from cdrctl.sandbox.callgear.rows import Row
from cdrctl.sandbox.callgear.state import State
from cdrctl.sandbox.exchange.clock import SECOND, digest
from cdrctl.sandbox.exchange.parties import Leg


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far a call has come by now: its end so far in Unix seconds, and the legs that employees answered."""

    running: bool
    end: int
    talks: list[Leg]

    @property
    def first(self) -> Leg | None:
        """The first leg that an employee answered."""
        return self.talks[0] if self.talks else None

    @property
    def last(self) -> Leg | None:
        """The last leg that an employee answered."""
        return self.talks[-1] if self.talks else None

    @property
    def answered_at(self) -> int | None:
        """When the first employee answered, in Unix seconds."""
        return min((leg.answer // SECOND for leg in self.talks if leg.answer is not None), default=None)


def call_record(state: State, row: Row) -> Record:
    """Write the record of a call with every field it has."""
    progress = _progress_of(state, row)
    contact_id, contact, number = contact_of(row.call)
    record: Record = {name: [] if one.type == "array" else None for name, one in CALL_FIELDS.items()}
    record |= {
        "id": row.id,
        "source": source_of(row.call),
        "communication_number": row.id % 7 + 1,
        "communication_id": row.id,
        "communication_type": "call",
        "virtual_phone_number": virtual_number(row.call),
        "is_transfer": any(leg.transfer for leg in row.call.legs),
        "contact_id": contact_id,
        "contact_full_name": contact,
        "contact_phone_number": number,
    }
    record |= _outcome(state, row, progress)
    record |= _durations(row, progress)
    record |= _recordings(row)
    record |= _region(number)
    record |= _scenario(row)
    record |= _employees(row, progress)
    if row.id % 4 == 0:
        record["tags"] = [_tag(state, row, progress)]
    if is_inbound(row.call) and row.id % 3 == 0:
        record |= _visit(row.id, number)
    return record


def _progress_of(state: State, row: Row) -> _Progress:
    """Return the state of a call at the present time."""
    call, now = row.call, state.time
    talks = [leg for leg in call.legs if leg.party.is_user and leg.answer is not None and leg.answer <= now]
    if is_inbound(call):
        talks = [leg for leg in talks if leg.direction == "terminating"] or talks
    return _Progress(call.end > now, min(call.end, now) // SECOND, talks)


def _outcome(state: State, row: Row, progress: _Progress) -> Record:
    """Write when, why and how the call ended."""
    call, running = row.call, progress.running
    inbound = is_inbound(call)
    lost = inbound and not progress.talks
    attributes = ["primary" if row.id % 2 else "secondary", *(["lost"] if lost else [])]
    reason = None if running else finish_reason(state.switched, call.legs[0], call, answered=bool(progress.talks))
    return {
        "start_time": state.local_time.text(row.start),
        "finish_time": None if running else state.local_time.text(row.end),
        "finish_reason": reason,
        "direction": "in" if inbound else "out",
        "is_lost": lost,
        "lost_call_processing_duration": row.id % 900 if lost else None,
        "attributes": attributes if inbound else [],
    }


def _durations(row: Row, progress: _Progress) -> Record:
    """Write how long the call took, in whole seconds."""
    answered = progress.answered_at
    talking = 0 if answered is None else progress.end - answered
    waited = (progress.end if answered is None else answered) - row.start
    hold = min(sum(leg.hold_seconds for leg in progress.talks), talking)
    return {
        "wait_duration": waited,
        "total_wait_duration": waited,
        "talk_duration": talking,
        "clean_talk_duration": talking - hold,
        "total_duration": progress.end - row.start,
        "postprocess_duration": row.id % 40 if progress.talks else 0,
        "hold_duration": hold,
    }


def _recordings(row: Row) -> Record:
    """Write the ids and the link of the recordings, and the ids of voice messages."""
    call = row.call
    records = [one for leg in call.legs for one in recordings_of(leg)]
    voice = [digest("voice mail", leg.id) for leg in call.legs if leg.voicemail and call.kind != "voicemail_retrieval"]
    return {
        "call_records": records,
        "wav_call_records": [digest("wav", one) for one in records],
        "full_record_file_link": (f"{APP_HOST}/system/media/talk/{row.id}/{records[0]}/" if records else None),
        "voice_mail_records": voice,
    }


def _region(number: str | None) -> Record:
    """Write where the outside party's number is registered."""
    names = ("cpn_region_id", "cpn_region_name", "cpn_country_name", "cpn_country_id")
    return dict(zip(names, region_of(number), strict=True))


def _scenario(row: Row) -> Record:
    """Write the scenario that handled the call, and its operations."""
    kind = row.call.kind
    scenario_id, scenario = SCENARIOS.get(kind, (None, None))
    record: Record = {"scenario_name": scenario, "scenario_id": scenario_id}
    if scenario is not None:
        record["scenario_operations"] = [{"name": scenario, "id": scenario_id}]
        if kind in ACTIONS:
            operation_id, operation = ACTIONS[kind]
            record["scenario_operations"].append({"name": operation, "id": operation_id})
    return record


def _identity(leg: Leg | None) -> tuple[int | None, str | None]:
    """Give the id and the name of the employee on a leg; nulls without a leg."""
    return (EMPLOYEE_IDS[leg.party.id], employee_name(leg.party)) if leg else (None, None)


def _employees(row: Row, progress: _Progress) -> Record:
    """Write the employees of the call, and which of them answered first and last."""
    first_id, first_name = _identity(progress.first)
    last_id, last_name = _identity(progress.last)
    return {
        "last_answered_employee_id": last_id,
        "last_answered_employee_full_name": last_name,
        "first_answered_employee_id": first_id,
        "first_answered_employee_full_name": first_name,
        "last_talked_employee_id": last_id,
        "last_talked_employee_full_name": last_name,
        "first_talked_employee_id": first_id,
        "first_talked_employee_full_name": first_name,
        "operator_phone_number": phone(progress.last.party.extension) if progress.last else None,
        "employees": employees_of(row.call),
    }


def _tag(state: State, row: Row, progress: _Progress) -> Record:
    """Write a tag of the call: set by hand if an employee talked, else by the service."""
    employee_id, employee = _identity(progress.last)
    manual = employee_id is not None
    user = state.customers[0].users[0]
    values = (
        *(300 + row.id % 3, ("Lead", 'Said "later"', "Complaint; urgent")[row.id % 3]),
        *("manual" if manual else "auto", state.local_time.text(row.end)),
        *((user["id"], user["login"]) if manual else (None, None)),
        *(employee_id, employee),
    )
    return dict(zip(INSIDE["tags"], values, strict=True))


def _visit(number: int, phone: str | None) -> Record:
    """Write the call tracking data of the visit that led to a call."""
    visitor = 60_000_000 + number % 9_999_991
    return {
        "communication_page_url": "https://acme.example/offers?a=1&b=ü",
        "ua_client_id": f"{visitor}.{number % 1_000_000_007}",
        "ym_client_id": str(number),
        "sale_date": None,
        "sale_cost": 129.5 if number % 2 else None,
        "search_query": 'telephones "for offices"',
        "search_engine": "Example Search",
        "referrer_domain": "search.example",
        "referrer": "https://search.example/?q=telephones",
        "entrance_page": "https://acme.example/",
        "channel": "organic" if number % 2 else "paid",
        "site_domain_name": "acme.example",
        "site_id": 501,
        "campaign_name": "Autumn, all regions",
        "campaign_id": 77_001,
        "visit_other_campaign": False,
        "visitor_id": visitor,
        "person_id": int(digest("person", phone)[:8], 16),
        "visitor_type": "new" if number % 2 else "returned",
        "visitor_session_id": number,
        "visits_count": number % 5 + 1,
        "visitor_first_campaign_id": 77_001,
        "visitor_first_campaign_name": "Autumn, all regions",
        "visitor_city": "Zürich",
        "visitor_country": "Switzerland",
        "visitor_device": "mobile" if number % 2 else "desktop",
        "visitor_custom_properties": [{"property_name": "plan", "property_value": 'the "big" one'}],
        "segments": [{"segment_id": 41, "segment_name": "Small offices"}],
        "utm_source": "example",
        "utm_medium": "cpc",
        "utm_term": "telephone, office",
        "utm_campaign": "autumn",
        "utm_referrer": "search.example",
        "source_id": 12,
        "source_name": "Search",
    }
