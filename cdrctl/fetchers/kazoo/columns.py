"""The columns of Kazoo's legs, interactions and documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from cdrctl.fetchers.mapping import LONGEST, impossible
from cdrctl.placeholders import is_placeholder
from cdrctl.records.batches import Columns, KeyFields
from cdrctl.records.columns import Column
from cdrctl.records.events import Record, fingerprint, pick
from cdrctl.records.readers import (
    GREGORIAN_UNIX_OFFSET,
    digits_as_integers,
    gregorian_instant,
    gregorian_texts,
    read_gregorian_time,
    read_integer,
    read_units,
    unix_instant,
)


def identity(record: Record) -> str:
    """Return `id`, the key of a leg within its account, or a digest of the record if it has none."""
    key = pick(record, "id") or pick(record, "_id")
    return key if isinstance(key, str) else fingerprint(record)


def start(record: Record) -> datetime | None:
    """Return the start of the leg, of a row or of a full document (whose `timestamp` is the end).

    A row's start is its end minus its length. If the length is impossible, it is added again, so that the leg starts at
    its end. Up to 4.3, a leg killed while it was new has a length of minus a Unix time, and a row that starts decades
    from now (GitHub 2600hz/kazoo, issue 6534).
    """
    for at in _starts(record):
        if not is_placeholder(at):
            return at
    return None


def _starts(record: Record) -> Iterator[datetime]:
    """Yield the starts according to the fields of a record, the best first; zero gives 1970, which is not a start."""
    seconds = length_of(record)
    wrong = timedelta(seconds=seconds) if seconds is not None and impossible(seconds) else timedelta(0)
    with suppress(ValueError, OverflowError):
        yield unix_instant(pick(record, "unix_timestamp")) + wrong
        if wrong:
            return  # neither the start nor the length can be trusted; a record without a start is kept
    with suppress(ValueError, OverflowError):
        at = gregorian_instant(pick(record, "timestamp"))
        if not any(pick(record, name) for name in ("call_direction", "custom_channel_vars")):
            yield at + wrong
        elif abs(wrong) > timedelta(seconds=LONGEST):
            yield at
        elif not wrong:
            yield at - timedelta(seconds=read_integer(pick(record, "duration_seconds")))
    with suppress(ValueError):
        yield unix_instant(read_integer(pick(record, "channel_created_time")) // 1_000_000)
    if wrong:
        with suppress(ValueError, OverflowError):
            yield gregorian_instant(pick(record, "timestamp"))


def length_of(record: Record) -> int | None:
    """Return the length of a leg in seconds, possible or not, or None if it cannot be read or added to an instant."""
    try:  # several times for each record, and faster than `suppress`
        seconds = read_integer(pick(record, "duration_seconds"))
        timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None
    return seconds


def interaction(record: Record) -> str:
    """Return the interaction id, or the leg's own key if the row has no plausible interaction id.

    4.3 and 5.0 list the earliest of the legs saved within the range, so another request may return another leg of the
    same interaction.
    """
    return identity(record) if _start_by_id(record) is None else str(pick(record, "interaction_id"))


def interaction_start(record: Record, context: Mapping[str, str]) -> datetime | None:
    """Return the start of the interaction, with which its id begins, or of the listed leg if the id is implausible.

    In the interactions of one user, the listed leg is the user's first, and its own start counts.
    """
    return start(record) if context.get("user") else _start_by_id(record) or start(record)


def _start_by_id(record: Record) -> datetime | None:
    """Return the start of an interaction by its id, or None if the listed leg cannot be one of its first."""
    match = _INTERACTION.match(str(pick(record, "interaction_id") or ""))
    leg = start(record)
    if match is None or leg is None:
        return None
    begun = gregorian_instant(match[1])
    return begun if _is_of(leg, begun) else None


_INTERACTION = re.compile("([0-9]{11})-")
_JUST_BEFORE, _HOUR = timedelta(seconds=-1), timedelta(hours=1)


def _is_of(leg: datetime, begun: datetime) -> bool:
    """Return whether a leg that started at an instant can be one of the first of an interaction."""
    return _JUST_BEFORE < leg - begun <= _HOUR


_LENGTHS = {int, type(None)}
_FIRST, _END = 946_684_800, 4_102_444_800
"""The Unix seconds of the years 2000 and 2100, between which every call has started."""


def are_possible(lengths: Sequence[Any]) -> bool:
    """Return whether all lengths of legs, of which some may be missing, are integers and possible."""
    known = [one for one in lengths if one is not None]
    return set(map(type, lengths)) <= _LENGTHS and not (known and (impossible(min(known)) or impossible(max(known))))


def _starts_of_legs(columns: Columns, _context: object = None) -> Sequence[datetime]:
    """Return the start of each leg of rows.

    Raises:
        ValueError: The rows must be read one by one.
    """
    raw = columns["unix_timestamp"]
    seconds = digits_as_integers(raw) if set(map(type, raw)) == {str} else None
    if (
        seconds is None
        or min(seconds) < _FIRST
        or max(seconds) >= _END
        or not are_possible(columns["duration_seconds"])
    ):
        raise ValueError
    return [datetime.fromtimestamp(one, UTC) for one in seconds]


def _starts_by_ids(columns: Columns) -> Sequence[datetime]:
    """Return the start of each interaction by its id.

    Raises:
        ValueError: The rows must be read one by one.
    """
    ids, legs = columns["interaction_id"], _starts_of_legs(columns)
    if set(map(type, ids)) != {str} or not all(map(_INTERACTION.match, ids)):
        raise ValueError
    begun = [datetime.fromtimestamp(int(one[:11]) - GREGORIAN_UNIX_OFFSET, UTC) for one in ids]
    if not all(_is_of(leg, start) for leg, start in zip(legs, begun, strict=True)):
        raise ValueError
    return begun


def _interactions(columns: Columns) -> Sequence[str]:
    """Return the identity of each interaction.

    Raises:
        ValueError: The rows must be read one by one.
    """
    _starts_by_ids(columns)
    return columns["interaction_id"]


KEY_FIELDS = KeyFields("id", "unix_timestamp", ("duration_seconds",), overlapping=True, read_starts=_starts_of_legs)
INTERACTION_KEY_FIELDS = KeyFields(
    "id",
    "interaction_id",
    ("unix_timestamp", "duration_seconds"),
    read_ids=_interactions,
    read_starts=lambda columns, context: (_starts_of_legs if context.get("user") else _starts_by_ids)(columns),
)


def _unquoted(raw: Sequence[str], _context: object) -> Sequence[str] | None:
    """Return texts of which none has a quote, or None."""
    return None if '"' in "".join(raw) else raw


def read_unquoted(raw: Any) -> str:
    """Return text without the literal quotes that Crossbar wrote around it up to 4.1.

    Raises:
        ValueError: It is not text.
    """
    if not isinstance(raw, str):
        raise ValueError
    return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == '"' else raw


_CONTEXT = (
    Column("account_id", "@account_id", "text", "account the leg was read from"),
    Column("currency", "@currency", "text", "currency of the money in this row"),
)

# Rows: the columns of crossbar 5.0 in its order (cb_cdrs.erl), some of them of one version or of resellers only.
COLUMNS: tuple[Column, ...] = (
    Column("id", "id", "text", "YYYYMM-call_id, the key of the record"),
    Column("call_id", "call_id", "text", "id of the leg"),
    Column("caller_id_number", "caller_id_number", "text", "caller number"),
    Column("caller_id_name", "caller_id_name", "text", "caller name"),
    Column("callee_id_number", "callee_id_number", "text", "callee number"),
    Column("callee_id_name", "callee_id_name", "text", "callee name"),
    Column("duration_seconds", "duration_seconds", "seconds", "seconds of the whole leg"),
    Column("billing_seconds", "billing_seconds", "seconds", "seconds since the answer"),
    Column("timestamp", "timestamp", "time", "START of the leg", read=read_gregorian_time, read_texts=gregorian_texts),
    Column("hangup_cause", "hangup_cause", "text", "FreeSWITCH cause name"),
    Column("disposition", "disposition", "text", "who sent the SIP BYE"),
    Column("other_leg_call_id", "other_leg_call_id", "text", "leg bridged to this one"),
    Column("owner_id", "owner_id", "text", "user id"),
    Column("to", "to", "text", "user@realm"),
    Column("from", "from", "text", "user@realm"),
    Column("direction", "direction", "text", "inbound or outbound as seen by the media switch"),
    Column("request", "request", "text", "request URI"),
    Column(
        "authorizing_id",
        "authorizing_id",
        "text",
        'device or resource that authorised the leg; "" when equal to the account id',
    ),
    Column("cost", "cost", "money", "cost to the customer", read=read_units),
    Column("dialed_number", "dialed_number", "text", "dialled number"),
    Column("calling_from", "calling_from", "text", "calling number"),
    Column(
        "datetime",
        "datetime",
        "text",
        "start as YYYY-MM-DD_HH:MM:SS or with a space; the only column --utc-offset moves",
    ),
    Column("unix_timestamp", "unix_timestamp", "integer", "start in Unix seconds"),
    Column("unix_timestamp_micro", "unix_timestamp_micro", "decimal", "start in Unix seconds with microseconds"),
    Column("rfc_1036", "rfc_1036", "text", "start, RFC 1123 style", read=read_unquoted, read_texts=_unquoted),
    Column("iso_8601", "iso_8601", "text", "date of the start", read=read_unquoted, read_texts=_unquoted),
    Column("iso_8601_combined", "iso_8601_combined", "time", "start"),
    Column("call_type", "call_type", "text", "billing tag, e.g. per_minute"),
    Column("rate", "rate", "money", "money per minute"),
    Column("rate_name", "rate_name", "text", "name of the rate"),
    Column("bridge_id", "bridge_id", "text", "usually the call_id of the A leg"),
    Column("recording_url", "recording_url", "text", "location of the stored recording"),
    Column("media_recordings", "media_recordings", "list", "recording ids"),
    Column("media_server", "media_server", "text", "media server host"),
    Column("call_priority", "call_priority", "text", "priority"),
    Column("interaction_id", "interaction_id", "text", "11 digits, dash, key; shared by the legs of a call"),
    Column("inception_direction", "inception_direction", "text", "origination or termination"),
    Column("reseller_cost", "reseller_cost", "money", "cost to the reseller", read=read_units),
    Column("reseller_call_type", "reseller_call_type", "text", "billing tag of the reseller"),
    *_CONTEXT,
)

# Only 4.3 shows the disposition, but every document has it: the server filters on it.
FILTERED: Mapping[str, Column] = {column.name: column for column in COLUMNS if column.name != "disposition"}

# The paths in the document by which Crossbar's filters call what a row shows under another name.
DOCUMENT_PATHS: Mapping[str, str] = {
    "_id": "id",
    "call_direction": "direction",
    "custom_channel_vars.owner_id": "owner_id",
    "custom_channel_vars.authorizing_id": "authorizing_id",
    "custom_channel_vars.account_billing": "call_type",
    "custom_channel_vars.rate_name": "rate_name",
    "custom_channel_vars.bridge_id": "bridge_id",
    "custom_channel_vars.reseller_billing": "reseller_call_type",
}


def _texts(*names: str, prefix: str = "", about: str = "") -> tuple[Column, ...]:
    return tuple(Column(prefix + name, prefix + name, "text", about) for name in names)


# Full documents: GitHub 2600hz/kazoo, schema cdrs.json of 4.3, 5.0 and 5.x, and cdrs.md for what lies inside
# custom_channel_vars; documents hold more than the schema says.
DOCUMENT: tuple[Column, ...] = (
    Column("id", "id", "text", "YYYYMM-call_id, the key of the record"),
    Column("call_id", "call_id", "text", "id of the leg"),
    Column("interaction_id", "interaction_id", "text", "shared by the legs of a call"),
    Column("interaction_time", "interaction_time", "time", "start of the interaction", read=read_gregorian_time),
    Column("interaction_key", "interaction_key", "text", "unique part of the interaction id"),
    Column("call_direction", "call_direction", "text", "inbound or outbound as seen by the media switch"),
    Column("timestamp", "timestamp", "time", "END of the leg", read=read_gregorian_time),
    Column("channel_created_time", "channel_created_time", "integer", "start in Unix microseconds"),
    Column("duration_seconds", "duration_seconds", "seconds", "seconds of the whole leg"),
    Column("ringing_seconds", "ringing_seconds", "seconds", "seconds of ringing"),
    Column("billing_seconds", "billing_seconds", "seconds", "seconds since the answer"),
    Column("hangup_cause", "hangup_cause", "text", "FreeSWITCH cause name"),
    Column("hangup_code", "hangup_code", "text", "SIP code, such as sip:200"),
    Column("disposition", "disposition", "text", "who sent the SIP BYE"),
    *_texts("caller_id_number", "caller_id_name", "callee_id_number", "callee_id_name", about="party of this leg"),
    Column("other_leg_call_id", "other_leg_call_id", "text", "leg bridged to this one"),
    *_texts(
        "other_leg_caller_id_number",
        "other_leg_caller_id_name",
        "other_leg_destination_number",
        "other_leg_direction",
        about="party or direction of the leg bridged to this one",
    ),
    *_texts("from", "from_uri", "from_tag", "to", "to_uri", "to_tag", "request", about="SIP"),
    Column("presence_id", "presence_id", "text", "presence id (SIP NOTIFY)"),
    Column("user_agent", "user_agent", "text", "SIP User-Agent"),
    Column("digits_dialed", "digits_dialed", "text", "DTMF tones heard on this leg"),
    Column("recording_url", "recording_url", "text", "location of the stored recording"),
    *_texts("local_sdp", "remote_sdp", about="SDP of this side, or of the other"),
    *_texts("e164_origination", "e164_destination", about="number in E.164 form"),
    Column("did_classifier", "did_classifier", "text", "class of the number"),
    Column("is_conference", "is_conference", "boolean", "whether the leg went into a conference"),
    *_texts("media_server", "switch_hostname", "switch_nodename", "switch_uri", "switch_url", about="media switch"),
    *_texts("channel_name", "channel_state", "channel_call_state", about="channel of the media switch"),
    Column("channel_is_loopback", "channel_is_loopback", "boolean", "whether it is a loopback channel"),
    *_texts(
        *("fax_success", "fax_result_code", "fax_result_text", "fax_total_pages", "fax_transferred_pages"),
        *("fax_transfer_rate", "fax_bad_rows", "fax_ecm_used", "fax_t38"),
        about="fax",
    ),
    *_texts("app_name", "app_version", "node", "msg_id", "event_category", "event_name", about="Kazoo"),
    *_texts("account_id", "owner_id", prefix="custom_channel_vars.", about="account, or user, the leg belongs to"),
    *_texts("authorizing_id", "authorizing_type", prefix="custom_channel_vars.", about="what authorised the leg"),
    *_texts("bridge_id", prefix="custom_channel_vars.", about="usually the call_id of the A leg"),
    *_texts("realm", "username", prefix="custom_channel_vars.", about="SIP account that authorised the leg"),
    *_texts("resource_id", "resource_type", prefix="custom_channel_vars.", about="resource used, such as a carrier"),
    Column(
        "custom_channel_vars.global_resource",
        "custom_channel_vars.global_resource",
        "boolean",
        "whether the resource is global, for the whole site",
    ),
    *_texts("ecallmgr_node", "fetch_id", prefix="custom_channel_vars.", about="Kazoo"),
    Column("custom_channel_vars.media_recordings", "custom_channel_vars.media_recordings", "list", "recording ids"),
    *_texts(
        *("account_billing", "reseller_billing", "reseller_id", "rate_name"),
        prefix="custom_channel_vars.",
        about="billing",
    ),
    Column("custom_channel_vars.rate", "custom_channel_vars.rate", "money", "money per minute", read=read_units),
    Column("custom_channel_vars.base_cost", "custom_channel_vars.base_cost", "money", "in money", read=read_units),
    Column("custom_channel_vars.surcharge", "custom_channel_vars.surcharge", "money", "in money", read=read_units),
    Column(
        "custom_channel_vars.rate_increment",
        "custom_channel_vars.rate_increment",
        "seconds",
        "billing increment, in seconds",
    ),
    Column(
        "custom_channel_vars.rate_minimum", "custom_channel_vars.rate_minimum", "seconds", "minimum billed, in seconds"
    ),
    Column(
        "custom_channel_vars.rate_nocharge_time",
        "custom_channel_vars.rate_nocharge_time",
        "seconds",
        "free time, in seconds",
    ),
    Column("custom_channel_vars.discount_percentage", "custom_channel_vars.discount_percentage", "decimal", "discount"),
    Column("custom_application_vars", "custom_application_vars", "list", "variables set by applications"),
    Column("custom_sip_headers", "custom_sip_headers", "list", "added SIP headers"),
    *_CONTEXT,
)
