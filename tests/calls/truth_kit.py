"""What is true of the exchange's calls, and the parts that each provider's imitation makes of them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cdrctl.calls.joining import order
from cdrctl.calls.legs import Leg, parts_of_legs, plain_leg
from cdrctl.calls.mapping import leg_schema
from cdrctl.fetchers import PROVIDERS, Call, Provider, joins_of, load
from cdrctl.records.events import Page
from cdrctl.records.parts import Part
from cdrctl.sandbox import Call as TrueCall, Exchange

NOW = datetime(2026, 12, 1, 7, 0, 30, tzinfo=UTC)
CLASSES = {"webex": "Webex", "kazoo": "Kazoo", "callgear": "CallGear", "portsip": "PortSIP", "voicenter": "Voicenter"}
CONTEXT: Mapping[str, dict[str, str]] = {
    "callgear": {"timezone": "Europe/Berlin", "app_host": "https://app.callgear.com"}
}
HOUR = timedelta(hours=1)
BOXES = frozenset({"3999"})


def joined_call(provider: Provider) -> Call:
    name = next(iter(joins_of(provider.name)))
    return next(one for one in provider.calls if one.name == name)


def imitation_of(name: str, exchange: Exchange, now: datetime = NOW) -> Any:
    """Return the imitation of a provider, with the calls of an exchange."""
    return getattr(importlib.import_module(f"cdrctl.sandbox.{name}"), CLASSES[name])(exchange, lambda: now)


def all_legs(
    name: str,
    exchange: Exchange,
    since: datetime,
    until: datetime,
    *,
    now: datetime | None = None,
    switches: Mapping[str, str] | None = None,
) -> list[Leg]:
    """Return all legs that a provider has of an exchange."""
    call = joined_call(load(name))
    made = imitation_of(name, exchange, now or max(NOW, until + timedelta(days=1)))
    made.switched |= dict(switches or {})
    records = made.truth(call.name, since, until)
    assert call.common is not None
    joins = joins_of(name)[call.name]
    schema = leg_schema(call.columns, call.common, joins, lambda _text: None, call.expected)
    legs: list[Any] = list(schema.rows(Page(records, CONTEXT.get(name, {}))))
    return legs


def parts_of(name: str, exchange: Exchange, since: datetime, until: datetime, **further: Any) -> list[Part]:
    """Return the parts of all legs that a provider has of an exchange, by start; see `all_legs`."""
    return sorted(parts_of_legs(all_legs(name, exchange, since, until, **further)), key=order)


def apart(parts: Iterable[Part]) -> list[Leg]:
    """Return a leg of each part."""
    return [plain_leg([one]) for one in parts]


def legs_of(name: str, call: TrueCall, switches: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return the ids of the records that a provider has of one call."""
    began, ended = (datetime.fromtimestamp(at / 1000, UTC) for at in (call.start, call.end))
    exchange = Exchange("one", [call])
    return frozenset(one.id for one in parts_of(name, exchange, began - HOUR, ended + HOUR, switches=switches))


@dataclass(frozen=True)
class Truth:
    """What is true of one call, whatever its provider: instants in Unix milliseconds."""

    outcome: str
    direction: str
    answer: int | None
    talk: int
    transfers: int


def truth_of(call: TrueCall) -> Truth:
    """Return the true outcome, direction, answer, talk and transfers of a call of the exchange."""
    called = [leg for leg in call.legs if leg.direction == "terminating"]
    persons = [leg for leg in called if (leg.party.is_user or leg.party.kind == "outside") and leg.answer is not None]
    spans = sorted((leg.answer, leg.end) for leg in persons if leg.answer is not None)
    talk, until = 0, 0
    for since, end in spans:
        talk += max(0, end - max(since, until))
        until = max(until, end)
    first = call.legs[0]
    outward = any(leg.party.kind == "outside" for leg in called)
    return Truth(
        call.outcome,
        "inbound" if first.party.kind == "outside" else "outbound" if outward else "internal",
        min((since for since, _ in spans), default=None),
        talk // 1000,
        int(call.kind.endswith("_transfer")),
    )


PROVIDER_NAMES = tuple(PROVIDERS)
