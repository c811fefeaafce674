"""The fields of CallGear's reports, with what each may be filtered and sorted by."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from cdrctl.records.columns import Column, Kind

Wire = Literal["number", "string", "enum", "boolean", "iso8601", "array"]


class Field(Struct, frozen=True):
    """A field of a listing as the documentation's table has it, and how cdrctl shows it.

    Args:
        name: The name in the API and of the column.
        wire: The type in the table.
        marks: `F` if it can be filtered on, `S` if it can be sorted by.
        kind: The type of the column.
        meaning: Its meaning, in one phrase.
        later: Only newer documents have it, or those of another brand of the service.
    """

    name: str
    wire: Wire
    marks: str
    kind: Kind
    meaning: str
    later: bool = False


_SOURCE = "source of the call (enum): va, sip, call_tracking, callapi, callback, amocrm and others"

# Names, types and marks from the tables of the documentation; columns have the same names.
LEGS: tuple[Field, ...] = (
    Field("id", "number", "F", "text", "identity of the leg; the dedup key"),
    Field("call_session_id", "number", "FS", "text", "ties the legs of one call; joins to get.calls_report id"),
    Field("call_records", "array", "", "list", "recording ids, several possible"),
    Field("wav_call_records", "array", "", "list", "WAV recording ids; some brands only", later=True),
    Field("start_time", "iso8601", "S", "time", "start of the leg"),
    Field("connect_time", "iso8601", "", "time", "time of the answer; null if unanswered"),
    Field("duration", "number", "FS", "seconds", "seconds since the answer"),
    Field("total_duration", "number", "FS", "seconds", "seconds of the whole leg"),
    Field("finish_reason", "enum", "FS", "text", "why the leg ended (enum)", later=True),
    Field("finish_reason_description", "string", "FS", "text", "description of finish_reason", later=True),
    Field("virtual_phone_number", "string", "FS", "text", "virtual number of the account"),
    Field("calling_phone_number", "string", "FS", "text", "caller of the leg"),
    Field("called_phone_number", "string", "FS", "text", "called party of the leg"),
    Field(
        "direction",
        "enum",
        "FS",
        "text",
        "in or out, as the platform sees the leg: a leg to an employee is out, even in an incoming call",
    ),
    Field("is_transfered", "boolean", "FS", "boolean", "transfer leg; the API spells it this way"),
    Field("is_operator", "boolean", "FS", "boolean", "leg to or from an employee"),
    Field("employee_id", "number", "FS", "text", "called employee; null for group or scenario ringing"),
    Field("employee_full_name", "string", "FS", "text", "name of the employee"),
    Field("employee_phone_number", "string", "FS", "text", "phone of the employee"),
    Field("employee_rating", "number", "FS", "integer", "rating given after the call"),
    Field("scenario_id", "number", "FS", "text", "scenario that handled the call"),
    Field("scenario_name", "string", "FS", "text", "name of the scenario"),
    Field("is_coach", "boolean", "FS", "boolean", "silent coach leg"),
    Field("release_cause_code", "number", "FS", "integer", "Q.850 number; deprecated"),
    Field("release_cause_description", "string", "FS", "text", "description of release_cause_code; deprecated"),
    Field("is_failed", "boolean", "FS", "boolean", "by its name, true if unanswered; documented the other way round"),
    Field("is_talked", "boolean", "FS", "boolean", "a conversation took place"),
    Field("contact_id", "number", "", "text", "contact in the address book"),
    Field("contact_full_name", "string", "", "text", "name of the contact"),
    Field("contact_phone_number", "string", "", "text", "outside number of the call"),
    Field("action_id", "number", "F", "text", "scenario operation that made the leg"),
    Field("action_name", "string", "F", "text", "name of the operation"),
    Field("group_id", "number", "F", "text", "employee group"),
    Field("group_name", "string", "F", "text", "name of the group"),
)

CALLS: tuple[Field, ...] = (
    Field("id", "number", "F", "text", "identity of the call; call_session_id of its legs"),
    Field("start_time", "iso8601", "S", "time", "start of the call"),
    Field("finish_time", "iso8601", "", "time", "end of the call"),
    Field("finish_reason", "enum", "FS", "text", "why the call ended (enum)"),
    Field("direction", "enum", "FS", "text", "in or out, as the user sees it"),
    Field("cpn_region_id", "number", "FS", "text", "region of the contact's number"),
    Field("cpn_region_name", "string", "FS", "text", "name of the region"),
    Field("cpn_country_name", "string", "FS", "text", "name of the country of the contact's number"),
    Field("cpn_country_id", "string", "FS", "text", "country of the contact's number"),
    Field("properties", "string", "", "text", "properties of the call"),
    Field("scenario_operations", "array", "F", "list", "operations of the scenario: id, name"),
    Field("source", "enum", "FS", "text", _SOURCE),
    Field("is_lost", "boolean", "FS", "boolean", "nobody answered"),
    Field("communication_number", "number", "FS", "integer", "number of communications with this contact"),
    Field("communication_page_url", "string", "", "text", "page of the site that was open"),
    Field("contact_phone_number", "string", "F", "text", "outside number of the call"),
    Field("communication_id", "number", "F", "text", "id of the communication, in links to recordings"),
    Field("communication_type", "enum", "", "text", "kind of communication (enum)"),
    Field("wait_duration", "number", "F", "seconds", "seconds until the call was answered"),
    Field("total_wait_duration", "number", "F", "seconds", "total seconds of waiting"),
    Field("lost_call_processing_duration", "number", "FS", "seconds", "seconds until a lost call was called back"),
    Field("talk_duration", "number", "F", "seconds", "seconds of conversation"),
    Field("clean_talk_duration", "number", "F", "seconds", "seconds of conversation without holds and transfers"),
    Field("total_duration", "number", "F", "seconds", "seconds of the whole call"),
    Field("postprocess_duration", "number", "F", "seconds", "seconds of work after the call"),
    Field("call_records", "array", "", "list", "recording ids, several possible"),
    Field("wav_call_records", "array", "", "list", "WAV recording ids; some brands only", later=True),
    Field("full_record_file_link", "string", "", "text", "link to the recording of the whole call", later=True),
    Field("voice_mail_records", "array", "", "list", "ids of voice mail messages"),
    Field("virtual_phone_number", "string", "FS", "text", "virtual number of the account"),
    Field("ua_client_id", "string", "", "text", "id of the visitor at Universal Analytics"),
    Field("ym_client_id", "string", "", "text", "id of the visitor at Yandex Metrica"),
    Field("sale_date", "iso8601", "FS", "time", "date of the sale that followed"),
    Field("sale_cost", "number", "FS", "money", "amount of the sale"),
    Field("is_transfer", "boolean", "FS", "boolean", "the call was transferred"),
    Field("search_query", "string", "F", "text", "words the visitor searched for"),
    Field("search_engine", "string", "F", "text", "search engine the visitor came from"),
    Field("referrer_domain", "string", "F", "text", "site the visitor came from"),
    Field("referrer", "string", "F", "text", "page the visitor came from"),
    Field("entrance_page", "string", "F", "text", "first page of the visit"),
    Field("gclid", "string", "F", "text", "Google's click id"),
    Field("yclid", "string", "F", "text", "Yandex's click id"),
    Field("ymclid", "string", "", "text", "Yandex Market's click id"),
    Field("ef_id", "string", "F", "text", "Adobe's click id"),
    Field("channel", "enum", "F", "text", "advertising channel (enum)"),
    Field("tags", "array", "F", "list", "tags: id, name, type, when and by whom"),
    Field("employees", "array", "F", "list", "employees who took part: id, name, whether they answered and talked"),
    Field("last_answered_employee_id", "number", "F", "text", "employee who answered last"),
    Field("last_answered_employee_full_name", "string", "F", "text", "name of that employee"),
    Field("last_answered_employee_rating", "number", "F", "integer", "rating of that employee"),
    Field("first_answered_employee_id", "number", "F", "text", "employee who answered first"),
    Field("first_answered_employee_full_name", "string", "F", "text", "name of that employee"),
    Field("last_talked_employee_id", "number", "F", "text", "employee who talked last", later=True),
    Field("last_talked_employee_full_name", "string", "F", "text", "name of that employee", later=True),
    Field("first_talked_employee_id", "number", "F", "text", "employee who talked first", later=True),
    Field("first_talked_employee_full_name", "string", "F", "text", "name of that employee", later=True),
    Field("operator_phone_number", "string", "F", "text", "number of the employee who answered or called"),
    Field("scenario_name", "string", "F", "text", "name of the scenario"),
    Field("scenario_id", "number", "FS", "text", "scenario that handled the call"),
    Field("site_domain_name", "string", "F", "text", "web site of the call"),
    Field("site_id", "number", "FS", "text", "id of the web site"),
    Field("campaign_name", "string", "F", "text", "name of the advertising campaign"),
    Field("campaign_id", "number", "FS", "text", "advertising campaign"),
    Field("visit_other_campaign", "boolean", "", "boolean", "the visitor came through another campaign before"),
    Field("auto_call_campaign_name", "string", "FS", "text", "name of the campaign of automatic calls"),
    Field("visitor_id", "number", "FS", "text", "visitor of the web site"),
    Field("person_id", "number", "F", "text", "person identified as the visitor"),
    Field("visitor_type", "enum", "FS", "text", "kind of visitor (enum)"),
    Field("visitor_session_id", "number", "F", "text", "visit of the web site"),
    Field("visits_count", "number", "F", "integer", "number of visits"),
    Field("visitor_first_campaign_id", "number", "F", "text", "campaign of the first visit"),
    Field("visitor_first_campaign_name", "string", "F", "text", "name of that campaign"),
    Field("visitor_city", "string", "F", "text", "city of the visitor"),
    Field("visitor_region", "string", "F", "text", "region of the visitor"),
    Field("visitor_country", "string", "F", "text", "country of the visitor"),
    Field("visitor_device", "enum", "FS", "text", "kind of device of the visitor (enum)"),
    Field("visitor_custom_properties", "array", "F", "list", "further properties of the visitor: name, value"),
    Field("segments", "array", "F", "list", "segments of the visitor: id, name"),
    Field("call_api_request_id", "number", "F", "text", "id of the Call API request that started the call"),
    Field("call_api_external_id", "string", "F", "text", "id given to the call in that request"),
    Field("contact_id", "number", "F", "text", "contact in the address book"),
    Field("contact_full_name", "string", "F", "text", "name of the contact"),
    Field("utm_source", "string", "F", "text", "UTM source of the visit"),
    Field("utm_medium", "string", "F", "text", "UTM medium of the visit"),
    Field("utm_term", "string", "F", "text", "UTM term of the visit"),
    Field("utm_content", "string", "F", "text", "UTM content of the visit"),
    Field("utm_campaign", "string", "F", "text", "UTM campaign of the visit"),
    Field("utm_referrer", "string", "", "text", "UTM referrer of the visit; no longer documented", later=True),
    Field("openstat_ad", "string", "F", "text", "Openstat ad of the visit"),
    Field("openstat_campaign", "string", "F", "text", "Openstat campaign of the visit"),
    Field("openstat_service", "string", "F", "text", "Openstat service of the visit"),
    Field("openstat_source", "string", "F", "text", "Openstat source of the visit"),
    Field("attributes", "array", "F", "list", "attributes of the call"),
    Field("eq_utm_source", "string", "F", "text", "UTM source of any earlier visit"),
    Field("eq_utm_medium", "string", "F", "text", "UTM medium of any earlier visit"),
    Field("eq_utm_term", "string", "F", "text", "UTM term of any earlier visit"),
    Field("eq_utm_content", "string", "F", "text", "UTM content of any earlier visit"),
    Field("eq_utm_campaign", "string", "F", "text", "UTM campaign of any earlier visit"),
    Field("eq_utm_referrer", "string", "F", "text", "UTM referrer of any earlier visit"),
    Field("eq_utm_expid", "string", "F", "text", "UTM expid of any earlier visit"),
    Field("source_id", "number", "FS", "text", "source of the traffic"),
    Field("source_name", "string", "FS", "text", "name of the source"),
    Field("source_new", "string", "FS", "text", "source of the traffic, newer list"),
    Field("channel_new", "string", "FS", "text", "channel of the traffic, newer list"),
    Field("channel_code", "string", "FS", "text", "code of the channel"),
    Field("ext_id", "string", "FS", "text", "id of the call in another system"),
    Field(
        "hold_duration", "number", "", "seconds", "seconds on hold; undocumented, seen in live responses", later=True
    ),
)

COSTS: tuple[Field, ...] = (
    Field("start_time", "iso8601", "S", "time", "start of the leg"),
    Field("direction", "enum", "FS", "text", "in or out"),
    Field("source", "enum", "FS", "text", _SOURCE),
    Field("call_session_id", "number", "FS", "text", "id of the call; call_session_id of its legs"),
    Field("leg_id", "number", "FS", "text", "id of the leg; id in legs"),
    Field("calling_phone_number", "string", "FS", "text", "caller"),
    Field("called_phone_number", "string", "FS", "text", "called party"),
    Field("duration", "number", "FS", "seconds", "seconds of the leg"),
    Field("chargeable_duration", "number", "FS", "seconds", "charged seconds"),
    Field("direction_type", "enum", "FS", "text", "international, national, local or mobile"),
    Field("cost_per_minute", "number", "FS", "money", "price of a minute"),
    Field("total_charge", "number", "FS", "money", "cost of the leg, account currency"),
    Field("bonuses_charge", "number", "FS", "money", "part of the cost paid with bonuses"),
)

USERS: tuple[Field, ...] = (
    Field("id", "number", "F", "text", "identity of the user; user_id of a partner's profile"),
    Field("login", "string", "", "text", "login"),
    Field("description", "string", "", "text", "description"),
    Field("name", "string", "FS", "text", "name"),
    Field("customer_id", "number", "FS", "text", "customer the user belongs to"),
)


OF_ACCOUNT = (
    Column("timezone", "@timezone", "text", "time zone of the account and of its times"),
    Column("app_host", "@app_host", "text", "address of the web application with the recordings; empty if unknown"),
)
