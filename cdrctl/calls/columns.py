"""The row of a call, version 1: its columns and outcomes."""

from __future__ import annotations

from cdrctl import PROVIDERS
from cdrctl.records.columns import Column
from cdrctl.records.common import DIRECTIONS

OUTCOMES = (
    *("answered", "voicemail", "abandoned", "machine", "busy", "no_answer", "cancelled", "rejected", "failed"),
    "unknown",
)
WHY = ("open", "missing_leg", "spoiled_times", "edge", "shared_id")

CALL: tuple[Column, ...] = (
    Column("provider", "", "text", "provider of the call", values=tuple(PROVIDERS)),
    Column("profile", "", "text", "profile that fetched its legs"),
    Column("call_id", "", "text", "record id of the earliest leg"),
    Column("start_time", "", "time", "start of the first leg"),
    Column("answer_time", "", "time", "when the first person answered; null if none did, or if that is unknown"),
    Column("end_time", "", "time", "end of the last leg"),
    Column(
        "direction",
        "",
        "text",
        "inbound, outbound, internal or unknown: of the call, never of a leg",
        values=DIRECTIONS,
    ),
    Column("outcome", "", "text", "how the call ended for the caller", values=OUTCOMES),
    Column("from_number", "", "text", "number of the caller"),
    Column("from_name", "", "text", "name of the caller"),
    Column("to_number", "", "text", "number that the caller reached or tried to reach"),
    Column("dialed_number", "", "text", "number as dialled, before translation"),
    Column("answered_by", "", "text", "name, or number, of the first person who answered"),
    Column("rang", "", "list", "persons who were rung, in order"),
    Column("path", "", "list", "steps of the call: kind, name, number, start and seconds"),
    Column("queue", "", "text", "first queue that the call entered"),
    Column(
        "queue_wait_seconds", "", "seconds", "from the queue to a person's answer, or to leaving it; null if unknown"
    ),
    Column("wait_seconds", "", "seconds", "from the start to a person's answer, or to the end"),
    Column("talk_seconds", "", "seconds", "time in which a person talked; intervals that overlap count once"),
    Column("hold_seconds", "", "seconds", "time on hold; null if unknown"),
    Column("transfers", "", "integer", "how often the call was transferred"),
    Column("transfer", "", "text", "kind of the first transfer: blind, consulted or unknown"),
    Column("legs", "", "integer", "records of the call"),
    Column("network_answered", "", "boolean", "whether anything answered, machines included; null if unknown"),
    Column("short", "", "boolean", "answered, with less than 6 seconds of talk"),
    Column("user", "", "text", "user who answered, or who called"),
    Column("site", "", "text", "site of the call"),
    Column("trunk", "", "text", "trunk of the call"),
    Column("recording_urls", "", "list", "links to its recordings"),
    Column(
        "cost",
        "",
        "money",
        "sum of the costs; null if no leg has one, one is not a number, or they are in several currencies",
    ),
    Column("currency", "", "text", "currency of the cost, or several, separated by commas"),
    Column("complete", "", "boolean", "whether all legs of the call are known"),
    Column("why", "", "text", "why the call may be incomplete", values=WHY),
    Column("replaces", "", "list", "ids of its other records: any may have been call_id before an earlier one came"),
    Column("leg_ids", "", "list", "ids of its records"),
)
