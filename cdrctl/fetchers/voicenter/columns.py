"""The columns of Voicenter's call log and of its notifications."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

from cdrctl.fetchers.voicenter.zone import own_starts, read_date, read_dates, start, whole_starts
from cdrctl.records.batches import Columns, KeyFields
from cdrctl.records.columns import Column
from cdrctl.records.events import Record, Value, fingerprint, pick
from cdrctl.records.readers import from_minutes, read_boolean, read_decimal, read_integer, read_iso_time, unix_instant
from cdrctl.records.steps import step
from cdrctl.windows import EPOCH, rfc3339

# The record


@step(few=True)
def fold(text: Any) -> str:
    """Return a word without blanks and letter case, which vary; empty if it is not text."""
    return re.sub(r"\s+", "", text).casefold() if isinstance(text, str) else ""


def identity(record: Record) -> str:
    """Return the call, the type and the date of a record, or a digest of its content if it has no call id.

    The call id alone is not enough: the two legs of a Click2Call share it (page "Call Log", call types).
    """
    return joined_text(
        pick(record, "CallID"), pick(record, "CdrType"), pick(record, "Type"), start(record)
    ) or fingerprint(record)


def _identities(columns: Columns) -> Sequence[str]:
    """Return the identity of each record.

    Raises:
        ValueError: The records must be read one by one.
    """
    numbers, kinds = columns["CdrType"], columns["Type"]
    if set(map(type, numbers)) == {int}:
        kinds = numbers
    elif set(map(type, numbers)) != {type(None)} or set(map(type, kinds)) != {str}:
        raise ValueError
    words = {kind: f"{fold(kind) or kind or ''}" for kind in set(kinds)}
    epochs = whole_starts(columns)
    times = from_minutes(epochs, EPOCH) if epochs is not None else [*map(rfc3339, own_starts(columns))]
    return [f"{one}:{words[kind]}:{at}" for one, kind, at in zip(columns["CallID"], kinds, times, strict=True)]


KEY_FIELDS = KeyFields(
    "CallID",
    "DateEpoch",
    ("Date", "CdrType", "Type", "Duration"),
    overlapping=True,
    distinct=True,
    read_ids=_identities,
    read_starts=own_starts,
)


def notification_identity(record: Record) -> str:
    """Return the call, the type and the time of a notification, or a digest of its content if it has no call id."""
    at = None
    with suppress(ValueError):
        at = unix_instant(pick(record, "time"))
    return joined_text(pick(record, "ivruniqueid"), None, pick(record, "type"), at) or fingerprint(record)


def joined_text(call_id: Value, number: Value, kind: Value, at: datetime | str | None) -> str | None:
    """Return the key of a record from received values or from values of columns, or None without a call id."""
    if not isinstance(call_id, str | int) or call_id == "":
        return None
    with suppress(ValueError):
        kind = read_integer(number)
    when = rfc3339(at) if isinstance(at, datetime) else at or ""
    return f"{call_id}:{fold(kind) or kind or ''}:{when}"


def read_unix_time(raw: Any) -> str:
    """Return Unix seconds, or a date in ISO 8601, as an instant in the contract's form."""
    try:
        return rfc3339(unix_instant(raw))
    except ValueError:
        return read_iso_time(raw)


def read_agorot(raw: Any) -> str:
    """Convert agorot to ILS (100 to 1), with all digits."""
    sign_bit, digits, exponent = Decimal(read_decimal(raw)).as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - read_decimal refuses infinity
    return format(Decimal((sign_bit, digits, exponent - 2)), "f")


def read_yes(raw: Any) -> bool:
    """Read a boolean, which is sent as a boolean, as 0 or 1, or as yes or no."""
    with suppress(ValueError):
        return read_boolean(raw)
    word = str(raw).strip().casefold()
    if word in {"1", "yes", "0", "no"}:
        return word in {"1", "yes"}
    raise ValueError


_HASH = Column(
    "record_hash", "@record_hash", "text", "tells apart records that share call, type and date; empty for the first"
)

# "Call log (Version 0.1)", parameter `fields`; page "Call Log", response fields.
COLUMNS: tuple[Column, ...] = (
    Column("date", "Date", "time", "start of the call", read_in=read_date, read_texts=read_dates),
    Column("date_epoch", "DateEpoch", "integer", "start of the call as Unix seconds"),
    Column("type", "Type", "text", "type of the call; spelling varies"),
    Column("cdr_type", "CdrType", "integer", "number of the type"),
    Column("did", "DID", "text", "number of the account that was called, incoming only"),
    Column("caller_number", "CallerNumber", "text", "number shown to the destination"),
    Column("caller_extension", "CallerExtension", "text", "SIP code of the calling extension"),
    Column("target_number", "TargetNumber", "text", "destination number"),
    Column("target_extension", "TargetExtension", "text", "SIP code of the answering extension"),
    Column("target_prefix_name", "TargetPrefixName", "text", "destination's prefix: a country or network"),
    Column("duration", "Duration", "seconds", "seconds of talk; may include the waiting of queue calls"),
    Column("price", "Price", "money", "cost of the call in ILS; sent in agorot", read=read_agorot),
    Column("record_url", "RecordURL", "text", "address of the recording (MP3); needs no credential"),
    Column("record_expect", "RecordExpect", "boolean", "whether a recording is expected", read=read_yes),
    Column("representative_name", "RepresentativeName", "text", "user the call belongs to"),
    Column("representative_code", "RepresentativeCode", "text", "id of that user"),
    Column("user_name", "UserName", "text", "user name"),
    Column("user_id", "UserId", "text", "user id"),
    Column("dtmf_data", "DTMFData", "list", "menu keys pressed: LayerName, DTMF, LayerNumber"),
    Column("call_id", "CallID", "text", "id of the call, shared by its legs"),
    Column("queue_name", "QueueName", "text", "queue"),
    Column("dial_status", "DialStatus", "text", "result of the call (enum)"),
    Column("dial_status2", "DialStatus2", "text", "second status, undocumented; older hosts only"),
    Column("ring_time", "RingTime", "seconds", "seconds of ringing"),
    Column("custom_data", "CustomData", "list", "free data, such as OriginalIvrUniqueID"),
    Column("department_name", "DepartmentName", "text", "account or department"),
    Column("department_id", "DepartmentId", "text", "id of the account or department"),
    _HASH,
)

_OLDER_ONLY = {"DialStatus2"}
_NEWER_ONLY = {"DateEpoch", "CdrType", "UserName", "UserId"}
_ALL = tuple(column.key for column in COLUMNS if column is not _HASH)
FIELDS: tuple[tuple[str, ...], ...] = (
    _ALL,
    tuple(name for name in _ALL if name not in _OLDER_ONLY),
    tuple(name for name in _ALL if name not in _NEWER_ONLY),
)
"""The lists of fields to request: all known fields; without those of older hosts; without those of newer hosts."""

# Always requested: the fields of the key, and those that distinguish records with the same key.
_ALWAYS = frozenset(
    {
        *("Date", "DateEpoch", "Type", "CdrType", "CallID", "CallerNumber", "CallerExtension", "TargetNumber"),
        *("TargetExtension", "Duration", "DialStatus", "RingTime", "RepresentativeCode"),
    }
)


def lists_of_fields(chosen: Sequence[str] | None) -> Sequence[Sequence[str]]:
    """Return the lists of fields to request, for the chosen columns or for all, the longest first."""
    if chosen is None or "extra" in chosen or _HASH.name in chosen:
        return FIELDS
    wanted = {column.key for column in COLUMNS if column.name in chosen} | _ALWAYS
    return [[name for name in fields if name in wanted] for fields in FIELDS]


# "Call log (Version 0.1)", second table "CDR request parameters", 1 to 23.
_FIRST_NOTIFIED: tuple[Column, ...] = (
    Column("caller", "caller", "text", "number shown to the destination"),
    Column("target", "target", "text", "destination: a number with its country code, or a SIP code"),
    Column("time", "time", "time", "start of the call", read=read_unix_time),
    Column("duration", "duration", "seconds", "seconds of talk; currently includes the waiting of queue calls"),
    Column("ivruniqueid", "ivruniqueid", "text", "id of the call, shared by its legs"),
    Column("type", "type", "text", "type of the call; spelling varies"),
    Column("status", "status", "text", "result of the call (enum)"),
    Column("targetextension", "targetextension", "text", "SIP code of the extension that answered"),
    Column("callerextension", "callerextension", "text", "SIP code of the extension that called"),
    Column("did", "did", "text", "number of the account that was called"),
    Column("queueid", "queueid", "text", "id of the queue; 0 for none"),
    Column("queuename", "queuename", "text", "queue"),
    Column("record", "record", "text", "address of the recording; needs no credential"),
    Column("price", "price", "money", "cost of the call in ILS; sent in agorot", read=read_agorot),
    Column("dialtime", "dialtime", "seconds", "seconds of ringing"),
    Column("representative_name", "representative_name", "text", "user the call belongs to"),
    Column("representative_code", "representative_code", "text", "id of that user"),
    Column("targetextension_name", "targetextension_name", "text", "name of the extension that answered"),
    Column("callerextension_name", "callerextension_name", "text", "name of the extension that called"),
    Column("target_country", "target_country", "text", "country of the called number"),
    Column("caller_country", "caller_country", "text", "country of the calling number"),
    Column("seconds_waiting_in_queue", "seconds_waiting_in_queue", "seconds", "seconds of waiting, queue calls only"),
    Column("original_ivr_unique_id", "OriginalIvrUniqueID", "text", "id of the call this one was transferred from"),
)
# Page "CDR notification"; names of the departments above and of campaigns from programs that receive them.
LATER_NOTIFIED: tuple[Column, ...] = (
    Column("direction", "direction", "text", "incoming, outgoing or internal"),
    Column("exten_user", "extenUser", "text", "SIP code of the user; empty if no user was reached"),
    Column("caller_phone", "callerPhone", "text", "number of the other party"),
    Column("is_answer", "isAnswer", "boolean", "whether the call was answered", read=read_yes),
    Column("actual_call_duration", "actualCallDuration", "seconds", "seconds of talk alone"),
    Column("actual_call_dialtime", "actualCallDialtime", "seconds", "seconds of ringing alone"),
    Column("department_name", "DepartmentName", "text", "account or department"),
    Column("department_id", "DepartmentID", "text", "id of the account or department"),
    Column("top_department_name", "TopDepartmentName", "text", "parent department"),
    Column("top_department_id", "TopDepartmentID", "text", "id of the parent department"),
    Column("campaign_id", "campaignID", "text", "id of the dialer's campaign"),
    Column("campaign_code", "campaignCode", "text", "code of the campaign"),
    Column("campaign_name", "campaignName", "text", "name of the campaign"),
    Column("campaign_type_id", "campaignTypeID", "text", "id of the kind of campaign"),
    Column("campaign_type_name", "campaignTypeName", "text", "kind of campaign"),
    Column("leg1_dial_status_name", "leg1DialStatusName", "text", "result of leg 1"),
    Column("dialer_data", "dialerData", "list", "data of the dialer: CampaignID, RetryNum, RetryAmount and others"),
    Column("status_name", "StatusName", "text", "result set by the dialer"),
    Column("phone", "Phone", "text", "number in the dialer's list"),
    Column("call_inserted", "CallInserted", "text", "when the number was added to the dialer's list"),
    Column("retry_num", "RetryNum", "integer", "number of this attempt of the dialer"),
    Column("retry_amount", "RetryAmount", "integer", "maximum number of attempts of the dialer"),
    Column("is_do_not_call_me", "IsDoNotCallMe", "boolean", "whether the number must not be called", read=read_yes),
    Column("custom_data", "CustomData", "list", "free data"),
    Column("ivr", "IVR", "list", "menus: layer_id, layer_name, layer_number, Dtmf, dtmf_order"),
    Column("ai_data", "aiData", "list", "insights, emotions and transcript"),
)
NOTIFIED: tuple[Column, ...] = (*_FIRST_NOTIFIED, *LATER_NOTIFIED, _HASH)
NOTIFIED_BY_KEY = {column.key.casefold() for column in _FIRST_NOTIFIED}
