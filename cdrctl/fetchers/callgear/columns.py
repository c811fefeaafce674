"""The columns of CallGear's reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from cdrctl.fetchers.callgear.fields import CALLS, COSTS, LEGS, OF_ACCOUNT, USERS, Field
from cdrctl.fetchers.callgear.local_time import local_instant, local_instants, read_local_time, read_local_times
from cdrctl.fetchers.defaults import identity_by
from cdrctl.records.batches import Columns, KeyFields
from cdrctl.records.columns import Column
from cdrctl.records.events import Record, pick

# The record


identity = identity_by("id")
"""The documented key of a record."""


def start(record: Record, context: Mapping[str, str]) -> datetime | None:
    """Return the start of a leg or call, in the zone of its account, or None."""
    try:
        return local_instant(pick(record, "start_time"), context)
    except ValueError:
        return None


def _starts(columns: Columns, context: Mapping[str, str]) -> Sequence[datetime]:
    """Return the start of each record.

    Raises:
        ValueError: The records must be read one by one.
    """
    raw = columns["start_time"]
    found = local_instants(raw, context) if set(map(type, raw)) == {str} else None
    if found is None:
        raise ValueError
    return found


KEY_FIELDS = KeyFields("id", "start_time", numbered=True, overlapping=True, read_starts=_starts)


def _columns(fields: Sequence[Field]) -> tuple[Column, ...]:
    """Return the columns of a listing, with the start as received beside the start, because of the repeated hour."""
    columns = []
    for one in fields:
        readers: dict[str, Any] = {}
        if one.kind == "time":
            readers = {"read_in": read_local_time, "read_texts": read_local_times}
        columns.append(Column(one.name, one.name, one.kind, one.meaning, **readers))
        if one.name == "start_time":
            columns.append(
                Column("start_time_local", "start_time", "text", "start as received, in the account's time zone")
            )
    return (*columns, *OF_ACCOUNT)


COSTS_OF_LEG = ("direction_type", "chargeable_duration", "cost_per_minute", "total_charge", "bonuses_charge")
"""The fields of a row of costs that its leg gets."""
COST_SUMS = ("chargeable_duration", "total_charge", "bonuses_charge")
CURRENCY = "cost_currency"


def _cost_columns() -> tuple[Column, ...]:
    """Return the columns that legs have only with their costs."""
    named = {column.name: column for column in _columns(COSTS)}
    found = [replace(named[name], meaning=f"{named[name].meaning}; only --with-cost") for name in COSTS_OF_LEG]
    return (*found, Column(CURRENCY, CURRENCY, "text", "currency of the account; only --with-cost"))


LEG_COLUMNS = (*_columns(LEGS), *_cost_columns())
CALL_COLUMNS = _columns(CALLS)
COST_COLUMNS = _columns(COSTS)
USER_COLUMNS = tuple(Column(one.name, one.name, one.kind, one.meaning) for one in USERS)
COLUMNS_OF: Mapping[str, tuple[Column, ...]] = {"legs": LEG_COLUMNS, "calls": CALL_COLUMNS, "costs": COST_COLUMNS}
