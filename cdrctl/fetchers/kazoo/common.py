"""From Kazoo's columns to the common CDR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

from msgspec.structs import replace

from cdrctl.fetchers import Gives
from cdrctl.fetchers.kazoo.causes import AFTER_ANSWER, CAUSES
from cdrctl.fetchers.mapping import LONGEST, impossible, later
from cdrctl.placeholders import is_placeholder
from cdrctl.records.events import Value
from cdrctl.records.instants import from_unix
from cdrctl.records.readers import read_units, unix_instant
from cdrctl.records.steps import step
from cdrctl.windows import rfc3339


def _unix_texts(seconds: Sequence[Value], more: Sequence[Value] = ()) -> Sequence[str | None]:
    if any(more):
        raise ValueError
    return from_unix(seconds)


def common_cdr(row: dict[str, Value]) -> dict[str, Value]:
    """Return a row of a listing as a common CDR."""
    seconds = row["duration_seconds"]
    unix = row["unix_timestamp"]
    # Every row has unix_timestamp; a 5.x operator may send full documents instead, whose timestamp is the end.
    started = _unix(unix) or (_later(row["timestamp"], seconds, -1) if unix is None else row["timestamp"])
    end = _later(started, seconds)
    if impossible(seconds):
        started = end = _unix(unix, seconds) or row["timestamp"]
    billed = row["call_type"] == "per_minute" and row["cost"] is not None
    return {
        **_instants(started, end, seconds, row["billing_seconds"]),
        **_cause(row["hangup_cause"], row["billing_seconds"]),
        "record_id": row["id"],
        "call_id": row["interaction_id"] or row["bridge_id"] or row["call_id"],
        "direction": _direction(row["direction"], row["authorizing_id"], row["dialed_number"]),
        "from_number": row["caller_id_number"] or row["calling_from"],
        "from_name": row["caller_id_name"],
        "to_number": row["callee_id_number"] or row["dialed_number"] or _user_part(row["to"]),
        "to_name": row["callee_id_name"],
        "dialed_number": row["dialed_number"],
        "user": row["owner_id"],
        "site": row["account_id"],
        "recording_url": row["recording_url"],
        # Without a billing tag the server writes 0 for "not rated": that is no price.
        "cost": row["cost"] if billed else None,
        "currency": row["currency"] if billed else None,
    }


def common_document(leg: dict[str, Value]) -> dict[str, Value]:
    """Return a full document as a common CDR."""
    ccv = {key.partition(".")[2]: value for key, value in leg.items() if key.startswith("custom_channel_vars.")}
    end, seconds, micro = leg["timestamp"], leg["duration_seconds"], leg["channel_created_time"]
    started = _later(end, seconds, -1) or (_unix(micro // 1_000_000) if isinstance(micro, int) else None)
    if impossible(seconds) and (started is None or (isinstance(seconds, int) and abs(seconds) > LONGEST)):
        started = end
    inbound = leg["call_direction"] == "inbound"
    dialed = _user_part(leg["request"] if inbound else leg["to"])
    cost = _cost(leg["billing_seconds"], ccv["account_billing"], *map(ccv.__getitem__, _TARIFF))
    return {
        **_instants(started, end, seconds, leg["billing_seconds"]),
        **_cause(leg["hangup_cause"], leg["billing_seconds"]),
        "record_id": leg["id"],
        "call_id": leg["interaction_id"] or ccv["bridge_id"] or leg["call_id"],
        "direction": _direction_of_document(leg["call_direction"], dialed, ccv),
        "from_number": leg["caller_id_number"] or (None if inbound else _user_part(leg["from_uri"])),
        "from_name": leg["caller_id_name"],
        "to_number": leg["callee_id_number"] or dialed or _user_part(leg["to"]),
        "to_name": leg["callee_id_name"],
        "dialed_number": dialed,
        "ring_seconds": _possible_length(leg["ringing_seconds"]),
        "user": ccv["owner_id"],
        "site": ccv["realm"],
        "trunk": ccv["resource_id"],
        "recording_url": leg["recording_url"],
        "cost": cost,
        "currency": leg["currency"] if cost is not None else None,
    }


@step(_unix_texts)
def _unix(seconds: Value, more: Value = 0) -> str | None:
    """Return the instant `more` seconds after a Unix time, or None if that is unreadable or stands for no time."""
    with suppress(ValueError, OverflowError, TypeError):
        at = unix_instant(seconds) + timedelta(seconds=more)
        return None if is_placeholder(at) else rfc3339(at)
    return None


def _later(instant: Value, seconds: Value, sign: int = 1) -> str | None:
    """Return an instant moved by seconds, forwards or, with sign -1, backwards; None if the length is impossible."""
    return later(instant, sign * seconds) if isinstance(seconds, int) and not impossible(seconds) else None


def _possible_length(seconds: Value) -> int | None:
    """Return a length that a call can have, or None."""
    return seconds if isinstance(seconds, int) and not impossible(seconds) else None


def _instants(started: Value, end: Value, total: Value, talk: Value) -> dict[str, Value]:
    """Return the columns of time from start, end, length and length since answer; lengths may be missing or absurd."""
    total, talk = _possible_length(total), _possible_length(talk)
    possible = talk and (total is None or talk <= total)
    return {
        "start_time": started,
        "answer_time": _later(end, talk, -1) if possible else None,
        "end_time": end,
        "talk_seconds": talk,
        "total_seconds": total,
    }


def _cause(cause: Value, talk: Value) -> dict[str, Value]:
    """Return the columns of the outcome from the hangup cause and the length since answer.

    Rows from before September 2018 may lack that length (GitHub 2600hz/kazoo, pull request 5168). Then it is unknown
    whether the leg was answered, unless its cause is only given to unanswered legs.
    """
    q850, unanswered = CAUSES.get(str(cause), (None, "unknown"))
    seconds = _possible_length(talk)
    answered = seconds > 0 if seconds is not None else None
    if answered is None and str(cause) in CAUSES.keys() - AFTER_ANSWER:
        answered = False
    outcome = "unknown" if answered is None else "answered" if answered else unanswered
    return {"cause": cause, "cause_q850": q850, "answered": answered, "outcome": outcome}


@step()
def _user_part(address: Value) -> str | None:
    if not isinstance(address, str):
        return None
    return address.removeprefix("sip:").partition("@")[0] or None


def _direction(side: Value, authorizing_id: Value, dialed: Value) -> str:
    """Return the direction by the vendor's own rule for legs of a carrier, which no device authorised.

    `side` is as seen by the media switch. The direction of a leg to a device is only known from the call's first leg.
    """
    if not authorizing_id:
        return side if side in {"inbound", "outbound"} else "unknown"
    if side != "inbound":
        return "unknown"
    return "outbound" if is_outside(dialed) else "internal"


@step()
def is_outside(dialed: Value) -> bool:
    """Return whether a dialled number is not that of an extension, which is shorter."""
    number = str(dialed or "")
    return number.startswith("+") or (number.isdigit() and len(number) > 6)


_RESOURCES = {
    "offnet-origination": "inbound",
    "offnet-termination": "outbound",
    "onnet-origination": "internal",
    "onnet-termination": "internal",
}


def _direction_of_document(side: Value, dialed: Value, ccv: Mapping[str, Value]) -> str:
    resource = _RESOURCES.get(str(ccv["resource_type"]))
    if resource is not None:
        return resource
    # As in a row, where the id is left out when it is the account's own.
    carrier = ccv["authorizing_type"] == "resource" or ccv["authorizing_id"] == ccv["account_id"]
    return _direction(side, None if carrier else ccv["authorizing_id"], dialed)


_TARIFF = ("rate", "rate_nocharge_time", "rate_minimum", "rate_increment", "surcharge", "discount_percentage")


@step()
def _cost(
    seconds: Value,
    billing: Value,
    rate: Value,
    free: Value,
    minimum: Value,
    increment: Value,
    surcharge: Value,
    discount: Value,
) -> str | None:
    """Return the cost by the server's own rule, in money, or None: not rated.

    GitHub 2600hz/kazoo, `calculate_cost` of wht_util.erl (4.x) and kz_currency.erl: seconds up to the minimum cost the
    surcharge and the minimum, every increment begun after that its share; computed in floats and cut to whole units
    of a ten-thousandth; then the discount comes off, cut likewise.
    """
    if billing != "per_minute" or rate is None or (seconds := _possible_length(seconds)) is None:
        return None
    free, minimum, increment = (value if isinstance(value, int) else 0 for value in (free, minimum, increment))
    try:
        rate, surcharge = (int(Decimal(value or 0) * 10_000) for value in (rate, surcharge))
        percent = int(Decimal(discount or 0))
        if seconds <= max(0, free):
            return read_units(0)
        increment = increment if increment > 0 else 60
        cost = surcharge + minimum / 60 * rate
        if seconds > minimum:
            cost += -((minimum - seconds) // increment) * (increment / 60 * rate)
        return read_units(int(cost) - int(percent * 0.01 * int(cost)))
    except (ArithmeticError, TypeError, ValueError):
        return None


GIVES = Gives(
    outcomes=frozenset({"answered", "unknown", *(outcome for _, outcome in CAUSES.values())}),
    directions=frozenset({"inbound", "outbound", "internal", "unknown"}),
    null=frozenset({"ring_seconds", "trunk", "queue"}),
)
GIVES_DOCUMENT = replace(GIVES, null=frozenset({"queue"}))
