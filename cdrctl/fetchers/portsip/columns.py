"""The columns of PortSIP's calls, call logs, legs and reports."""

from __future__ import annotations

from cdrctl.fetchers.defaults import identity_by, start_by
from cdrctl.records.columns import Column

# The record


identity = identity_by("id", str)
start = start_by("started_at")

_CALL: tuple[Column, ...] = (
    Column("caller", "caller", "text", "calling number or extension"),
    Column("caller_domain", "caller_domain", "text", "tenant's SIP domain, or the address of the trunk"),
    Column("caller_display_name", "caller_display_name", "text", "name of the caller"),
    Column("callee", "callee", "text", "called number or extension"),
    Column("callee_domain", "callee_domain", "text", "tenant's SIP domain, or the address of the trunk"),
    Column("callee_display_name", "callee_display_name", "text", "name of the callee; old versions leave out queues"),
    Column("started_at", "started_at", "time", "start of the call"),
    Column("rang_at", "rang_at", "time", "start of ringing; empty if it never rang"),
    Column("answered_at", "answered_at", "time", "time of the answer; empty if unanswered"),
    Column("ended_at", "ended_at", "time", "end of the call"),
    Column("call_id", "call_id", "text", "SIP Call-ID"),
    Column("direction", "direction", "text", "INBOUND_CALL, OUTBOUND_CALL, EXTENSION_CALL, INBOUND_OUTBOUND_CALL"),
    Column("end_reason", "end_reason", "text", "party that ended the call (enum); may be empty"),
    Column("reroute_reason", "reroute_reason", "text", "why the call was rerouted (enum); may be empty"),
    Column("status_code", "status_code", "integer", "SIP status; 0 when there was no error"),
    Column("destination", "destination", "text", "destination of the leg; may be a SIP address"),
    Column("outbound_caller_id", "outbound_caller_id", "text", "caller id shown outside"),
    Column("did_cid", "did_cid", "text", "DID number called, or caller id of the DID"),
    Column("trunk", "trunk", "text", "name of the trunk"),
    Column("duration", "duration", "seconds", "seconds of talk"),
    Column("cost", "cost", "money", "cost of the call, without a currency; only in details, or --with-cost"),
    Column("billed_account", "billed_account", "text", "account billed; only in details, or --with-cost"),
    Column("service_number", "service_number", "text", "queue, ring group or IVR; since v22"),
    Column("user_data", "user_data", "text", "free text of applications; since v22"),
)
_KEY = Column("id", "id", "text", "id of the record; the dedup key")
CDRS: tuple[Column, ...] = (_KEY, *_CALL)
CALLLOGS: tuple[Column, ...] = (
    _KEY,
    Column("session_id", "session_id", "text", "id shared by the logs of a call"),
    *_CALL,
)
CDR: tuple[Column, ...] = (
    Column("id", "@id", "text", "the requested id; with #1, #2 … if the call has several legs"),
    *_CALL,
)

_REPORT: tuple[Column, ...] = (
    Column("id", "id", "text", "id of the report"),
    Column("name", "name", "text", "name of the report"),
    Column("type", "type", "text", "type of report (enum)"),
    Column("email", "email", "text", "address to which the file is mailed"),
    Column("format", "format", "text", "CSV or HTML"),
    Column("range", "range", "text", "range of days (enum)"),
    Column("started_at", "started_at", "time", "start of a CUSTOM range"),
    Column("ended_at", "ended_at", "time", "end of a CUSTOM range"),
    Column("cron_expr", "cron_expr", "text", "cron schedule; empty if the report runs once"),
    Column("filter", "filter", "list", "calls, queues or groups to report"),
    Column("status", "status", "text", "RUNNING, SCHEDULED or ABORTED"),
)
_FILE: tuple[Column, ...] = (
    Column("completed_at", "completed_at", "time", "when the report was finished"),
    Column("file_name", "file_name", "text", "name of the file on the PBX"),
    Column("file_size", "file_size", "integer", "size of the file in bytes"),
    Column("file_url", "file_url", "text", "address of the file; needs no token, so keep it secret"),
)
_BRIEF = frozenset({"id", "name", "type", "cron_expr", "status"})
LISTED: tuple[Column, ...] = tuple(column for column in _REPORT if column.name in _BRIEF)
REPORT: tuple[Column, ...] = _REPORT
MADE: tuple[Column, ...] = (*_REPORT, *_FILE)
FINISHED: tuple[Column, ...] = (
    *(column for column in _REPORT if column.name in {"id", "name", "type", "format"}),
    *_FILE,
)
