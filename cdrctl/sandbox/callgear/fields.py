"""The fields of CallGear's reports and of its list of users, as the documents give them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a method's reply.

    `type` is its documented type. `filter` and `sort` say whether the service filters and sorts by it, `default`
    whether it is sent when the request names no fields.
    """

    name: str
    type: str
    filter: bool
    sort: bool
    default: bool


def _read(table: str) -> dict[str, Field]:
    """Read a table with one field per line: name, type, and the marks F (filter), S (sort) and D (default)."""
    rows = (line.split() for line in table.strip().splitlines())
    return {name: Field(name, kind, "F" in marks, "S" in marks, "D" in marks) for name, kind, marks in rows}


LEG_FIELDS = _read(
    """
    id number F-D
    call_session_id number FSD
    call_records array --D
    wav_call_records array --D
    start_time iso8601 -SD
    connect_time iso8601 --D
    duration number FSD
    total_duration number FSD
    finish_reason enum FSD
    finish_reason_description string FS-
    virtual_phone_number string FSD
    calling_phone_number string FSD
    called_phone_number string FSD
    direction enum FSD
    is_transfered boolean FSD
    is_operator boolean FSD
    employee_id number FSD
    employee_full_name string FS-
    employee_phone_number string FS-
    employee_rating number FSD
    scenario_id number FSD
    scenario_name string FS-
    is_coach boolean FSD
    release_cause_code number FSD
    release_cause_description string FSD
    is_failed boolean FSD
    is_talked boolean FS-
    contact_id number ---
    contact_full_name string ---
    contact_phone_number string ---
    action_id number F-D
    action_name string F-D
    group_id number F-D
    group_name string F-D
    """
)

CALL_FIELDS = _read(
    """
    id number F-D
    start_time iso8601 -SD
    finish_time iso8601 --D
    finish_reason enum FSD
    direction enum FSD
    cpn_region_id number FSD
    cpn_region_name string FSD
    cpn_country_name string FSD
    cpn_country_id string FSD
    properties string ---
    scenario_operations array F--
    source enum FSD
    is_lost boolean FSD
    communication_number number FS-
    communication_page_url string ---
    contact_phone_number string F-D
    communication_id number F-D
    communication_type enum --D
    wait_duration number F-D
    total_wait_duration number F-D
    lost_call_processing_duration number FS-
    talk_duration number F-D
    clean_talk_duration number F-D
    total_duration number F-D
    postprocess_duration number F--
    call_records array --D
    wav_call_records array --D
    full_record_file_link string --D
    voice_mail_records array ---
    virtual_phone_number string FSD
    ua_client_id string ---
    ym_client_id string ---
    sale_date iso8601 FS-
    sale_cost number FS-
    is_transfer boolean FS-
    search_query string F--
    search_engine string F--
    referrer_domain string F--
    referrer string F--
    entrance_page string F--
    gclid string F--
    yclid string F--
    ymclid string ---
    ef_id string F--
    channel enum F--
    tags array F--
    employees array F--
    last_answered_employee_id number F--
    last_answered_employee_full_name string F--
    last_answered_employee_rating number F--
    first_answered_employee_id number F--
    first_answered_employee_full_name string F--
    last_talked_employee_id number F--
    last_talked_employee_full_name string F--
    first_talked_employee_id number F--
    first_talked_employee_full_name string F--
    operator_phone_number string F--
    scenario_name string F--
    scenario_id number FS-
    site_domain_name string F--
    site_id number FS-
    campaign_name string F--
    campaign_id number FS-
    visit_other_campaign boolean ---
    auto_call_campaign_name string FS-
    visitor_id number FS-
    person_id number F--
    visitor_type enum FS-
    visitor_session_id number F--
    visits_count number F--
    visitor_first_campaign_id number F--
    visitor_first_campaign_name string F--
    visitor_city string F--
    visitor_region string F--
    visitor_country string F--
    visitor_device enum FS-
    visitor_custom_properties array F--
    segments array F--
    call_api_request_id number F--
    call_api_external_id string F--
    contact_id number F--
    contact_full_name string F--
    utm_source string F--
    utm_medium string F--
    utm_term string F--
    utm_content string F--
    utm_campaign string F--
    utm_referrer string ---
    openstat_ad string F--
    openstat_campaign string F--
    openstat_service string F--
    openstat_source string F--
    attributes array F--
    eq_utm_source string F--
    eq_utm_medium string F--
    eq_utm_term string F--
    eq_utm_content string F--
    eq_utm_campaign string F--
    eq_utm_referrer string F--
    eq_utm_expid string F--
    source_id number FS-
    source_name string FS-
    source_new string FS-
    channel_new string FS-
    channel_code string FS-
    ext_id string FS-
    hold_duration number --D
    """
)

COST_FIELDS = _read(
    """
    start_time iso8601 -SD
    direction enum FSD
    source enum FSD
    call_session_id number FSD
    leg_id number FSD
    calling_phone_number string FSD
    called_phone_number string FSD
    duration number FSD
    chargeable_duration number FSD
    direction_type enum FSD
    cost_per_minute number FSD
    total_charge number FSD
    bonuses_charge number FSD
    """
)


USER_FIELDS = _read(
    """
    id number F--D
    name string FSD
    description string --D
    login string --D
    customer_id number FSD
    """
)

REPORTS: dict[str, tuple[str, dict[str, Field]]] = {
    "get.call_legs_report": ("legs", LEG_FIELDS),
    "get.calls_report": ("calls", CALL_FIELDS),
    "get.financial_call_legs_report": ("costs", COST_FIELDS),
}
"""The short name and the fields of each report, by method."""

TALK_TIMES = {"connect_time", "duration", "talk_duration", "clean_talk_duration"}
"""The fields of legs and calls that the switch `talk_times` empties or removes."""

INSIDE: dict[str, tuple[str, ...]] = {
    "tags": (
        "tag_id",
        "tag_name",
        "tag_type",
        "tag_change_time",
        "tag_user_id",
        "tag_user_login",
        "tag_employee_id",
        "tag_employee_full_name",
    ),
    "employees": ("employee_id", "employee_full_name", "is_answered", "is_talked"),
    "scenario_operations": ("name", "id"),
    "visitor_custom_properties": ("property_name", "property_value"),
    "segments": ("segment_id", "segment_name"),
}
"""The members of arrays of objects of a call, in the order of the documented reply."""


def pick(record: Record, names: Iterable[str]) -> Record:
    """Copy the named fields of a record, in the order of the names."""
    return {name: record[name] for name in names}
