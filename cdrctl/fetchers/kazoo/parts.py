"""From a Kazoo leg to its part of a call.

`interaction_id` joins all legs of a call since 4.3. Before, `bridge_id` names the first leg and `other_leg_call_id` the
leg at the other end. Queues, menus and boxes have no legs of their own.
"""

from __future__ import annotations

from msgspec.structs import replace

from cdrctl.fetchers.kazoo.common import is_outside
from cdrctl.fetchers.mapping import LONGEST
from cdrctl.records.events import Value
from cdrctl.records.parts import Joins, Part, Party, Role, Shape, Values, milliseconds, text, whole

_TRANSFERS = {"BLIND_TRANSFER": "blind", "ATTENDED_TRANSFER": "consulted"}


def parts(row: Values, common: Values) -> list[Part]:
    """Return the part of a row of a listing, or of a full document."""
    caller = (row["direction"] if "direction" in row else row["call_direction"]) == "inbound"
    authorizing = row["authorizing_id"] if "authorizing_id" in row else row["custom_channel_vars.authorizing_id"]
    carrier = _is_carrier(row, authorizing)
    party: Party = "outside" if carrier else "person"
    role: Role = "caller" if caller else "callee"
    bridge = row["bridge_id"] if "bridge_id" in row else row["custom_channel_vars.bridge_id"]
    names = [f"K{row['call_id']}"] if row["call_id"] else []
    names += [f"I{row['interaction_id']}"] if row["interaction_id"] else []
    links = [f"K{one}" for one in (bridge, row["other_leg_call_id"]) if one]
    return [
        Part(
            str(common["record_id"]),
            tuple(names),
            tuple(links),
            role,
            party,
            milliseconds(common["start_time"]),
            milliseconds(common["answer_time"]),
            milliseconds(common["end_time"]),
            common["answered"],
            whole(common["talk_seconds"]),
            common["outcome"],
            text(common["from_number"] if caller else common["to_number"]),
            text(common["from_name"] if caller else common["to_name"]),
            carrier if caller else None,
            text(common["from_number"]),
            text(common["from_name"]),
            text(common["to_number"]),
            text(common["dialed_number"]) if caller else None,
            transfer=_TRANSFERS.get(str(row["hangup_cause"]), ""),
            user=text(common["user"]),
            site=text(common["site"]),
            trunk=text(common.get("trunk")),
            recordings=(one,) if (one := text(common["recording_url"])) else (),
            cost=text(common["cost"]),
            currency=text(common["currency"]),
            expected=() if caller or not bridge else (f"K{bridge}",),
            elsewhere=row["hangup_cause"] == "LOSE_RACE",
            handed=not caller and row["hangup_cause"] in _TRANSFERS,
        )
    ]


def _is_carrier(row: Values, authorizing: Value) -> bool:
    """Return whether no device authorised the leg, so that its party is outside."""
    resource = row.get("custom_channel_vars.resource_type")
    if resource:
        return str(resource).startswith("offnet")
    return not authorizing


def _is_usual(unix: Value, total: Value, talk: Value, callee: Value, dialed: Value) -> bool:
    """Return whether start and lengths are possible, and the called number is not that of an address."""
    lengths = isinstance(total, int) and isinstance(talk, int) and 0 <= talk <= total <= LONGEST
    return lengths and unix is not None and bool(callee or dialed)


_SHAPE = Shape(
    key=("id",),
    kinds=("direction", "hangup_cause", "call_type", "currency"),
    free=(
        *("id", "call_id", "interaction_id", "bridge_id", "other_leg_call_id", "authorizing_id", "caller_id_number"),
        *("calling_from", "caller_id_name", "callee_id_number", "callee_id_name", "dialed_number", "owner_id"),
        *("account_id", "recording_url", "cost"),
    ),
    times=("unix_timestamp",),
    unix=frozenset({"unix_timestamp"}),
    lengths=("duration_seconds", "billing_seconds"),
    looks=(("dialed_number", is_outside, {True: "+", False: ""}),),
    examined=("unix_timestamp", "duration_seconds", "billing_seconds", "callee_id_number", "dialed_number"),
    usual=_is_usual,
)

_LEGS = Joins(
    parts,
    lacks={
        "queue": "Kazoo's records do not name queues",
        "queue_wait_seconds": "Kazoo's records contain no queues",
        "hold_seconds": "Kazoo's records contain no hold times",
    },
)

_ROWS = replace(_LEGS, shape=_SHAPE)

JOINS = {"cdrs": _ROWS, "interactions": _LEGS, "legs": _LEGS, "cdr": _LEGS}
"""How records join, by the name of their call; the call whose records are read by default is first."""
