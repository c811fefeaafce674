"""The fields of every kind of record in wire order, and the words that a call report may hold."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
"""A record as it stands on the wire."""

CDR_KEYS = (
    "id",
    "caller",
    "caller_domain",
    "caller_display_name",
    "callee",
    "callee_domain",
    "callee_display_name",
    "started_at",
    "rang_at",
    "answered_at",
    "ended_at",
    "call_id",
    "direction",
    "end_reason",
    "reroute_reason",
    "status_code",
    "destination",
    "outbound_caller_id",
    "did_cid",
    "trunk",
    "duration",
    "service_number",
    "user_data",
)
"""Keys of an item of `/cdrs` in the order of the OpenAPI file of v22.2."""

CALLLOG_KEYS = ("id", "session_id", *CDR_KEYS[1:])
"""Keys of an item of `/calllogs`."""

RECORDING_KEYS = ("id", "caller", "callee", "started_at", "ended_at")
REPORT_KEYS = ("id", "name", "type", "cron_expr", "status")
COMPLETED_KEYS = ("id", "name", "type", "format", "completed_at", "file_name", "file_size", "file_url")

REPORT_TYPES = (
    "NORMAL",
    "EXTENSION_GROUP_CALL_COST",
    "QUEUE_PERFORMANCE",
    "QUEUE_DETAILED_STATISTICS",
    "QUEUE_ABANDONED_CALLS",
    "QUEUE_SLA_STATISTICS",
    "QUEUE_BREACHES_SLA_STATISTICS",
    "QUEUE_CALLBACKS",
    "QUEUE_FAILED_CALLBACKS",
    "TEAM_QUEUE_GENERAL_STATISTICS",
    "RING_GROUP_STATISTICS",
)
FORMATS = ("CSV", "HTML")
RANGES = ("TODAY", "YESTERDAY", "LAST_WEEK", "LAST_SEVEN_DAYS", "LAST_MONTH", "LAST_THIRTY_DAYS", "CUSTOM")
