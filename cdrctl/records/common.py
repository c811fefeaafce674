"""The common CDR, one schema for all providers: its columns, outcomes and directions."""

from __future__ import annotations

from typing import Literal

from cdrctl import PROVIDERS
from cdrctl.records.columns import Column

Outcome = Literal[
    "answered", "no_answer", "busy", "cancelled", "rejected", "failed", "voicemail", "abandoned", "unknown"
]
Direction = Literal["inbound", "outbound", "internal", "unknown"]

DIRECTIONS = ("inbound", "outbound", "internal", "unknown")
OUTCOMES = (
    *("answered", "no_answer", "busy", "cancelled", "rejected", "failed", "voicemail", "abandoned"),
    "unknown",
)

COMMON: tuple[Column, ...] = (
    Column("provider", "", "text", "provider of the record", values=tuple(PROVIDERS)),
    Column("profile", "", "text", "profile that fetched the record"),
    Column("record_id", "", "text", "provider's id of the record, unique within a profile"),
    Column("call_id", "", "text", "id shared by all records of a call"),
    Column("direction", "", "text", "inbound, outbound, internal or unknown", values=DIRECTIONS),
    Column("from_number", "", "text", "calling number"),
    Column("from_name", "", "text", "calling name"),
    Column("to_number", "", "text", "called number"),
    Column("to_name", "", "text", "called name"),
    Column("dialed_number", "", "text", "number as dialled, before translation"),
    Column("start_time", "", "time", "start of the leg"),
    Column("answer_time", "", "time", "time of the answer; null if not answered"),
    Column("end_time", "", "time", "end of the leg"),
    Column("ring_seconds", "", "seconds", "ringing time in seconds"),
    Column("talk_seconds", "", "seconds", "time from answer to end in seconds"),
    Column("total_seconds", "", "seconds", "time from start to end in seconds"),
    Column("answered", "", "boolean", "whether the leg was answered, also by voicemail"),
    Column(
        "outcome",
        "",
        "text",
        "answered, no_answer, busy, cancelled, rejected, failed, voicemail, abandoned or unknown",
        values=OUTCOMES,
    ),
    Column("cause", "", "text", "provider's own reason for the end of the leg"),
    Column("cause_q850", "", "integer", "ITU-T Q.850 cause number"),
    Column("user", "", "text", "user or service that the leg belongs to"),
    Column("site", "", "text", "location or account"),
    Column("trunk", "", "text", "trunk of the leg"),
    Column("queue", "", "text", "call queue"),
    Column("recording_url", "", "text", "URL or id of the recording"),
    Column("cost", "", "money", "cost of the leg"),
    Column("currency", "", "text", "currency of the cost, ISO 4217 code"),
)
