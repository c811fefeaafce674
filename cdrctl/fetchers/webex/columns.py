"""The columns of Webex's detailed call history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cdrctl.fetchers.defaults import identity_by, instant_in
from cdrctl.records.batches import KeyFields
from cdrctl.records.columns import Column
from cdrctl.records.events import Record

# The record


identity = identity_by("Report ID", str)
"""The documented key of a record."""


def start(record: Record) -> datetime | None:
    """Return the start of the call; of a record without one, the time of its report."""
    return instant_in(record, "Start time") or instant_in(record, "Report time")


KEY_FIELDS = KeyFields("Report ID", "Start time", ("Release time", "Report time"))

# Keys in the wire order of a record of September 2026; meanings from help.webex.com nmug598.
COLUMNS: tuple[Column, ...] = (
    Column("answer_time", "Answer time", "time", "time of the answer", null_words=frozenset({"NA"})),
    Column("answered", "Answered", "boolean", "whether this leg was answered"),
    Column(
        "direction",
        "Direction",
        "text",
        "ORIGINATING = the record owner placed the call, TERMINATING = received it; internal and external calls alike",
    ),
    Column(
        "called_line_id",
        "Called line ID",
        "text",
        "display name on the called side",
        null_words=frozenset({"NA"}),
    ),
    Column("call_id", "Call ID", "text", "SIP Call-ID; may be empty; not a key"),
    Column(
        "calling_line_id",
        "Calling line ID",
        "text",
        "display name on the calling side",
        null_words=frozenset({"NA"}),
    ),
    Column("start_time", "Start time", "time", "start of the call"),
    Column("call_type", "Call type", "text", "routing class of the call (enum)"),
    Column("client_type", "Client type", "text", "kind of client of the record owner (enum)"),
    Column("client_version", "Client version", "text", "version of that client"),
    Column("correlation_id", "Correlation ID", "text", "ties the legs of one call session"),
    Column(
        "international_country",
        "International country",
        "text",
        "ISO country of the dialled number, international calls only; NA may mean Namibia",
    ),
    Column("device_mac", "Device MAC", "text", 'MAC of the device; seen also as key "Device Mac"'),
    Column("duration", "Duration", "seconds", "seconds of talk; 0 when never answered"),
    Column("inbound_trunk", "Inbound trunk", "text", "trunk the call came in by; on both leg kinds"),
    Column("org_uuid", "Org UUID", "text", "organisation"),
    Column("original_reason", "Original reason", "text", "why the first called number was redirected (enum)"),
    Column("os_type", "OS type", "text", "operating system of the app", null_words=frozenset({"na"})),
    Column("outbound_trunk", "Outbound trunk", "text", "trunk the call left by; on both leg kinds"),
    Column("redirect_reason", "Redirect reason", "text", "why the last redirecting party redirected (enum)"),
    Column("related_reason", "Related reason", "text", "service that created or changed the call (enum)"),
    Column("report_id", "Report ID", "text", "unique id of the record; the dedup key"),
    Column("report_time", "Report time", "time", "time at which the record was created; the end of the call"),
    Column("route_group", "Route group", "text", "route group of a premises call, originating only"),
    Column("site_main_number", "Site main number", "text", "main number of the location"),
    Column(
        "site_timezone",
        "Site timezone",
        "integer",
        "offset from UTC in minutes, as text, daylight saving included",
    ),
    Column("sub_client_type", "Sub client type", "text", "MOBILE_NETWORK for a Webex Go phone (enum)"),
    Column("user_uuid", "User UUID", "text", "id of the record owner"),
    Column(
        "user_type",
        "User type",
        "text",
        "kind of record owner: person, queue, hunt group, auto attendant... (enum)",
    ),
    Column("user", "User", "text", "display name of the record owner (person, workspace, queue, auto attendant)"),
    Column("called_number", "Called number", "text", "called number; extension for internal calls"),
    Column("calling_number", "Calling number", "text", "calling number"),
    Column("location", "Location", "text", "location name"),
    Column(
        "dialed_digits",
        "Dialed digits",
        "text",
        "keypad digits before translation, originating only; may hold feature codes",
    ),
    Column("releasing_party", "Releasing party", "text", "who hung up first (enum)"),
    Column("redirecting_number", "Redirecting number", "text", "last number that redirected the call"),
    Column("site_uuid", "Site UUID", "text", "location id"),
    Column("department_id", "Department ID", "text", "department id"),
    Column(
        "transfer_related_call_id",
        "Transfer related call ID",
        "text",
        "Local call ID of the other call of a consulted transfer",
    ),
    Column("authorization_code", "Authorization code", "text", "account/authorization code that the caller entered"),
    Column("model", "Model", "text", "device model", null_words=frozenset({"na"})),
    Column("local_session_id", "Local SessionID", "text", "RFC 7206 session id of the originating side"),
    Column("remote_session_id", "Remote SessionID", "text", "RFC 7206 session id of the terminating side"),
    Column(
        "call_transfer_time",
        "Call transfer time",
        "time",
        "time at which a transfer was invoked",
        null_words=frozenset({"NA"}),
    ),
    Column("local_call_id", "Local call ID", "text", "id of this leg, looks like 29741232:0"),
    Column("remote_call_id", "Remote call ID", "text", "Local call ID of the opposite leg"),
    Column("network_call_id", "Network call ID", "text", "equal on the two records of one leg"),
    Column("related_call_id", "Related call ID", "text", "Local call ID of a call this one spawned or came from"),
    Column("user_number", "User number", "text", "E.164 of the record owner, else the extension"),
    Column("call_outcome", "Call outcome", "text", "Success, Failure, Refusal (enum)"),
    Column("call_outcome_reason", "Call outcome reason", "text", "more specific reason (enum)"),
    Column("ring_duration", "Ring duration", "seconds", "seconds of ringing"),
    Column("answer_indicator", "Answer indicator", "text", "Yes, No, Yes-PostRedirection"),
    Column("release_time", "Release time", "time", "end of call", null_words=frozenset({"NA"})),
    Column("final_local_session_id", "Final local SessionID", "text", "local session id at the end"),
    Column("final_remote_session_id", "Final remote SessionID", "text", "remote session id at the end"),
    Column("pstn_legal_entity", "PSTN legal entity", "text", "regulated entity, Cisco Calling Plans"),
    Column("pstn_vendor_org_id", "PSTN vendor org ID", "text", "organisation id of the PSTN vendor"),
    Column("pstn_vendor_name", "PSTN vendor name", "text", "name of the PSTN vendor"),
    Column("pstn_provider_id", "PSTN provider ID", "text", "id of the PSTN provider"),
    Column(
        "external_customer_id",
        "External customer ID",
        "text",
        "partner-side customer id; undocumented in the OpenAPI description",
    ),
    Column("redirecting_party_uuid", "Redirecting party UUID", "text", "id of the last redirecting party"),
    Column(
        "public_calling_ip_address",
        "Public Calling IP Address",
        "text",
        "public IP of the calling device, India locations",
        null_words=frozenset({"NA"}),
    ),
    Column(
        "public_called_ip_address",
        "Public Called IP Address",
        "text",
        "public IP of the called device, India locations",
        null_words=frozenset({"NA"}),
    ),
    Column("caller_id_number", "Caller ID number", "text", "number presented as caller id"),
    Column(
        "external_caller_id_number",
        "External caller ID number",
        "text",
        "external caller id when it is a location or other organisation number",
    ),
    Column("device_owner_uuid", "Device owner UUID", "text", "owner of the device on shared or multi lines"),
    Column("call_recording_platform_name", "Call Recording Platform Name", "text", "recorder (enum)"),
    Column(
        "call_recording_result",
        "Call Recording Result",
        "text",
        "successful, failed, successful but not kept",
    ),
    Column("call_recording_trigger", "Call Recording Trigger", "text", "recording mode of the user (enum)"),
    Column(
        "original_called_party_uuid",
        "Original called party UUID",
        "text",
        "id of the first redirecting party",
    ),
    Column("recall_type", "Recall type", "text", "set when a parked call was returned"),
    Column(
        "auto_attendant_key_pressed",
        "Auto Attendant Key Pressed",
        "text",
        "last menu key of the caller",
        null_words=frozenset({"NA"}),
    ),
    Column("queue_type", "Queue type", "text", "Customer Assist or Call Queue"),
    Column("answered_elsewhere", "Answered elsewhere", "text", "Yes on a terminating leg that another party answered"),
    Column("hold_duration", "Hold duration", "seconds", "seconds on hold, rounded down"),
    Column(
        "route_list_calls_overage",
        "Route list calls overage",
        "integer",
        "number of calls above the Route List licence at that moment",
    ),
    Column("caller_reputation_score", "Caller Reputation Score", "decimal", "0.0 to 5.0 as text"),
    Column(
        "caller_reputation_service_result",
        "Caller Reputation Service Result",
        "text",
        "allow, captcha-allow, captcha-block, block; the OpenAPI example says allowed",
    ),
    Column("caller_reputation_score_reason", "Caller Reputation Score Reason", "text", "reason for the score"),
    Column(
        "interaction_id",
        "Interaction ID",
        "text",
        "wider than Correlation ID: ties a consulted transfer to the first call",
    ),
    Column(
        "wxcc_consult_merge_status",
        "WxCC consult merge status",
        "text",
        "Yes, No, NA: contact-centre consult call merged or not",
    ),
    Column("elin", "ELIN", "text", "emergency location number used"),
    Column(
        "emergency_number_source",
        "Emergency number source",
        "text",
        "source of the emergency number (enum)",
    ),
    Column("transfer_type", "Transfer type", "text", "AI receptionist transfers; not in the OpenAPI description"),
    Column(
        "transfer_type_context",
        "Transfer type context",
        "text",
        "intent text, may hold commas; not in the OpenAPI description",
    ),
    Column(
        "answer_reason",
        "Answer reason",
        "text",
        "Auto Answer, or N/A when answered by hand; not in the OpenAPI description",
        null_words=frozenset({"N/A"}),
    ),
    # Only in the type definitions of clients, in no document and in no record seen.
    Column("report_group", "Report group", "text", "not documented; known to clients of the API"),
    Column("user_id", "User ID", "text", "not documented; known to clients of the API"),
)

# ITU-T Q.850 numbers of the release reasons that have one. The service sends only the names.
Q850: Mapping[str, int] = {
    "UnassignedNumber": 1,
    "NoRouteToDestination": 3,
    "UserBusy": 17,
    "Busy": 17,
    "NoUserResponse": 18,
    "NoAnswer": 19,
    "NoAnswerFromUser": 19,
    "UserAbsent": 20,
    "CallRejected": 21,
    "DestinationOutOfOrder": 27,
    "Q850102ServerTimeout": 102,
}
