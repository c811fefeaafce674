"""Which provider and call the records of a file are of, and whether they are raw or native."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from cdrctl import PROVIDERS
from cdrctl.errors import UsageError, did_you_mean
from cdrctl.fetchers import Call, Provider, joins_of, load
from cdrctl.records.columns import Column
from cdrctl.records.events import Record

_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_COMMON = frozenset({"provider", "profile", "record_id", "call_id", "outcome", "talk_seconds"})
_CALLS = frozenset({"call_id", "leg_ids", "network_answered", "outcome"})
_SHARE = 0.6
"""The share of a record's fields that must be those of a call."""


class Recognized(Struct, frozen=True):
    """What the records of a file are.

    Args:
        provider: Their provider.
        call: Their call.
        native: They are native records as cdrctl writes them, rather than the provider's own.
    """

    provider: Provider
    call: Call
    native: bool


def is_call(record: Record) -> bool:
    """Return whether a record is the row of a whole call."""
    return {name.casefold() for name in record} >= _CALLS


def recognize(record: Record, provider: str | None, where: str) -> Recognized:
    """Return the provider, the call and the form of a record.

    Args:
        record: The first record of a file.
        provider: The provider's name, if the user gave it.
        where: The file, for messages.

    Raises:
        UsageError: It is not a leg of a known provider.
    """
    keys = {name.casefold() for name in record}
    if is_call(record):
        raise UsageError(f"{where} contains calls, not legs", hint="use cdrctl stats, which reads calls")
    if keys >= _COMMON:
        raise UsageError(
            f"{where} has common CDRs, which lack the ids that join legs",
            hint="export with --schema native, or read the profile or an archive: cdrctl calls -p NAME",
        )
    best, share = None, 0.0
    for name in [provider] if provider else PROVIDERS:
        loaded = load(name)
        for call_name in joins_of(name):
            call = next(one for one in loaded.calls if one.name == call_name)
            found = _share(keys, call.columns)
            if found > share:
                best, share = (loaded, call), found
    if best is None or share < _SHARE:
        hint = "cdrctl fields PROVIDER CALL lists the fields of legs"
        of = f"of {provider}" if provider else "of a provider that cdrctl knows"
        raise UsageError(f"the first record of {where} is not a leg {of}", hint=hint)
    loaded, call = best
    return Recognized(loaded, call, _is_native(record, call.columns))


def fits(record: Record, call: Call) -> bool:
    """Return whether a later record of a file is of the same call: most of its fields are columns of it."""
    return _share({name.casefold() for name in record}, call.columns) >= _SHARE


def check_provider(name: str | None) -> None:
    """Refuse a provider that does not exist.

    Raises:
        UsageError: There is no such provider.
    """
    if name is not None and name not in PROVIDERS:
        hint = f"{did_you_mean(name, PROVIDERS)}the providers are: {', '.join(PROVIDERS)}"
        raise UsageError(f"there is no provider {name!r}", hint=hint)


def _share(keys: set[str], columns: Sequence[Column]) -> float:
    """Return the share of a record's fields that are columns, and of the columns that it has."""
    known = {column.key.casefold() for column in columns} | {column.name for column in columns}
    common = len(keys & known)
    if common < 4:
        return 0
    return common / len(keys) + common / len(columns) / 100


def _is_native(record: Record, columns: Sequence[Column]) -> bool:
    """Return whether a record has the column names or, if its fields are named alike, times as cdrctl writes them.

    One such time is enough: cdrctl writes a time that it cannot read as it came.
    """
    named, keyed = (
        len(names & record.keys()) for names in ({one.name for one in columns}, {one.key for one in columns})
    )
    if named != keyed:
        return named > keyed
    times = [time for column in columns if column.kind == "time" if (time := record.get(column.name))]
    return not times or any(isinstance(one, str) and _CANONICAL.fullmatch(one) for one in times)
