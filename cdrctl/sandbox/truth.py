"""The true facts of the calls of an exchange, and the records that each provider has of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import instant
from cdrctl.sandbox.exchange.parties import Call
from cdrctl.sandbox.exchange.truth import truth_of
from cdrctl.sandbox.server import PROVIDERS, check_switch

LEGS = {"webex": "cdrs", "kazoo": "cdrs", "callgear": "legs", "portsip": "calllogs", "voicenter": "cdrs"}
"""The call of the API whose records are legs, by provider."""

_LONG_AFTER = timedelta(days=30)
_AROUND = timedelta(hours=1)
_IDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "webex": lambda record: str(record["Report ID"]),
    "voicenter": lambda record: f"{record['CallID']}:{record['CdrType']}:{record['Date']}",
}


def records_of(provider: str, call: Call, switches: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the records that a provider has of a call once all have come, with these values of its switches.

    Raises:
        ValueError: There is no such provider, switch or value.
    """
    made = PROVIDERS[provider]
    imitation: Any = made(Exchange("one", [call]), lambda: instant(call.end) + _LONG_AFTER)
    for name, value in (switches or {}).items():
        imitation.switched[name] = check_switch(provider, name, value)
    records: list[dict[str, Any]] = imitation.truth(
        LEGS[provider], instant(call.start) - _AROUND, instant(call.end) + _AROUND
    )
    return records


def record_ids(provider: str, call: Call, switches: Mapping[str, str] | None = None) -> list[str]:
    """Return the ids of the records of a call, as cdrctl writes them in `record_id`."""
    id_of = _IDS.get(provider)
    return [id_of(record) if id_of else str(record["id"]) for record in records_of(provider, call, switches)]


def true_calls(exchange: Exchange, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """Yield what is true of the calls that began in `[since, until)`, by start; times are text in UTC."""
    for call in exchange.calls(since, until):
        row = asdict(truth_of(call))
        for name in ("start", "answer", "end"):
            row[name] = None if row[name] is None else instant(row[name]).isoformat().replace("+00:00", "Z")
        row["record_ids"] = {provider: record_ids(provider, call) for provider in PROVIDERS}
        yield row
