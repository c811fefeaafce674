"""The parties of a call as the service describes them: numbers, employees, contacts, groups, recordings."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from cdrctl.sandbox.callgear.fields import INSIDE, Record
from cdrctl.sandbox.exchange.clock import digest
from cdrctl.sandbox.exchange.parties import OVERFLOW, PEOPLE, QUEUE, Call, Leg, Party

APP_HOST = "https://app.callgear.com"
"""The web application, where recordings are played."""

SCENARIOS = {
    "inbound": (12_345, "Direct line"),
    "queue": (12_346, "Sales, by day"),
    "hunt_group": (12_347, "Support"),
    "attendant": (12_348, 'Menu "Welcome"'),
    "blind_transfer": (12_345, "Direct line"),
    "consulted_transfer": (12_345, "Direct line"),
    "voicemail_retrieval": (12_349, "Voice mail"),
}
ACTIONS = {"queue": (77, "Sales group"), "hunt_group": (78, "Support group"), "attendant": (79, "Menu, first level")}
_GROUPS = {"queue": (9, "Sales"), "hunt_group": (10, "Support, first line")}
_QUEUES = {QUEUE.id: _GROUPS["queue"], OVERFLOW.id: (11, "Overflow")}
_REGIONS = {"1": (840, "California", "USA", "US"), "44": (826, "London", "United Kingdom", "GB")}
_SOURCES = (
    *("callout", "callback", "amocrm", "bitrix", "auto_back_call", "auto_back_call_by_lost_call", "auto_out_calls"),
)

EMPLOYEE_IDS = {party.id: 2_870 + n for n, party in enumerate(PEOPLE)}
"""The service's ids of the employees, by their id in the exchange."""


def phone(number: str) -> str | None:
    """Write a number as the service does: digits without a plus, null for no number."""
    return number.removeprefix("+") or None


@functools.lru_cache(50_000)
def numeric_id(*parts: str) -> int:
    """Make an id of up to 16 digits that a double still holds exactly."""
    return int(digest(*parts)[:13], 16)


def employee_name(party: Party) -> str:
    """Give an employee's full name; some carry the name of an integration, as seen on real traffic."""
    return f"{party.name} (amoCRM)" if EMPLOYEE_IDS[party.id] % 5 == 0 else party.name


def employees_of(call: Call) -> list[Record]:
    """List each employee of a call once, in the order they were rung."""
    found: dict[int, Record] = {}
    for leg in call.legs:
        if leg.party.is_user:
            number = EMPLOYEE_IDS[leg.party.id]
            answered = leg.answer is not None
            values = (number, employee_name(leg.party), answered, answered and leg.talk_seconds > 0)
            known = found.setdefault(number, dict(zip(INSIDE["employees"], values, strict=True)))
            known["is_answered"] = known["is_answered"] or values[2]
            known["is_talked"] = known["is_talked"] or values[3]
    return list(found.values())


def is_inbound(call: Call) -> bool:
    """Tell whether the call comes from outside."""
    return call.legs[0].party.kind == "outside"


def leg_direction(leg: Leg) -> str:
    """Give the leg's direction as the platform sees it: `out` if the platform places it, `in` if it reaches it."""
    return "in" if leg.direction == "originating" else "out"


def called_number(leg: Leg) -> str:
    """Give the number that the leg reaches: the extension for an employee."""
    return leg.party.extension if leg.direction == "terminating" and leg.party.is_user else leg.to_number


def virtual_number(call: Call) -> str | None:
    """Give the account's own number in the call; null for an internal call."""
    if is_inbound(call):
        return phone(call.legs[0].dialed or call.to_number)
    return phone(call.from_number) if call.kind == "outbound" and call.from_number.startswith("+") else None


def contact_of(call: Call) -> tuple[int | None, str | None, str | None]:
    """Give the id, the name and the number of the outside party; nulls for an internal call."""
    if is_inbound(call):
        name, number = call.legs[0].from_name, phone(call.from_number)
    elif call.kind == "outbound":
        name, number = call.legs[0].to_name, phone(call.to_number)
    else:
        return None, None, None
    return (int(digest("contact", number)[:8], 16) if name else None), name or None, number


def group_of(call: Call, leg: Leg) -> tuple[int | None, str | None]:
    """Give the id and the name of the group of employees that was rung: by the leg in a story, else by the call."""
    if call.story:
        return _QUEUES.get(leg.queue.id, (None, None)) if leg.queue else (None, None)
    return _GROUPS.get(call.kind, (None, None))


def session_of(switched: Mapping[str, str], call: Call, leg: Leg) -> int:
    """Give the id of the session of a leg; consultations and retrievals of stories may have their own."""
    if call.story and leg.apart and switched["call_session"] == "own":
        return numeric_id("call", call.id, leg.session)
    return numeric_id("call", call.id)


def region_of(number: str | None) -> tuple[int | None, str | None, str | None, str | None]:
    """Give a number's region: its id and name, the country's name and code."""
    for prefix, region in _REGIONS.items():
        if number and number.startswith(prefix):
            return region
    return None, None, None, None


def source_of(call: Call) -> str:
    """Give the source of the call; half of the outbound calls have a value that only clients of the API have seen."""
    number = numeric_id("call", call.id)
    if is_inbound(call):
        return "call_tracking" if number % 3 == 0 else "va"
    return _SOURCES[number % (2 * len(_SOURCES))] if number % (2 * len(_SOURCES)) < len(_SOURCES) else "sip"


def recordings_of(leg: Leg) -> list[str]:
    """List the ids of a leg's recordings; one leg in five has two."""
    if not leg.recorded:
        return []
    return [digest("record", leg.id, n) for n in range(2 if numeric_id("leg", leg.id) % 5 == 0 else 1)]
