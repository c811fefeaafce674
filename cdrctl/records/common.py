"""The common CDR: its columns, outcomes and directions."""

from __future__ import annotations

from typing import Literal

from cdrctl import PROVIDERS
from cdrctl.records.columns import Column

# The common CDR

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
    Column("provider", "", "text", "which system the record comes from", values=tuple(PROVIDERS)),
    Column("profile", "", "text", "which profile it was read with"),
    Column("record_id", "", "text", "the provider's id of this record, unique per profile"),
    Column("call_id", "", "text", "what the records of one call have in common"),
    Column("direction", "", "text", "inbound, outbound, internal or unknown", values=DIRECTIONS),
    Column("from_number", "", "text", "calling number"),
    Column("from_name", "", "text", "calling name"),
    Column("to_number", "", "text", "called number"),
    Column("to_name", "", "text", "called name"),
    Column("dialed_number", "", "text", "digits as dialled, before translation"),
    Column("start_time", "", "time", "start of the leg"),
    Column("answer_time", "", "time", "moment of answer; null when not answered"),
    Column("end_time", "", "time", "end of the leg"),
    Column("ring_seconds", "", "seconds", "seconds of ringing"),
    Column("talk_seconds", "", "seconds", "seconds from answer to end"),
    Column("total_seconds", "", "seconds", "seconds from start to end"),
    Column("answered", "", "boolean", "whether this leg was answered"),
    Column(
        "outcome",
        "",
        "text",
        "answered, no_answer, busy, cancelled, rejected, failed, voicemail, abandoned or unknown",
        values=OUTCOMES,
    ),
    Column("cause", "", "text", "the provider's own word for how it ended"),
    Column("cause_q850", "", "integer", "ITU-T Q.850 cause number"),
    Column("user", "", "text", "person or service the leg belongs to"),
    Column("site", "", "text", "location, or account"),
    Column("trunk", "", "text", "trunk the leg used"),
    Column("queue", "", "text", "call queue"),
    Column("recording_url", "", "text", "where the recording is"),
    Column("cost", "", "money", "what the leg cost, in money"),
    Column("currency", "", "text", "ISO 4217 code of the cost"),
)
