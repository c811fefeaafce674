"""Numbers and ids as the service writes them."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from cdrctl.sandbox.exchange.clock import SECOND, digest, instant
from cdrctl.sandbox.exchange.parties import PEOPLE, SITES, Party, Site

ZONE = ZoneInfo("Asia/Jerusalem")
FIRST_DEPARTMENT = 12_345_678
_FIRST_USER = 87_654_321
_FIRST_OUTSIDE = 150
_ID_BEHIND = 3 * SECOND
_PLACES = {party.id: n for n, party in enumerate(PEOPLE)}


def draw_of(*parts: object) -> int:
    """Draw a number that depends only on the parts."""
    return int(digest("voicenter", *parts)[:12], 16)


def national(number: str) -> str:
    """Write a number as the service shows it: 072… for the account's, 050… for others, foreign numbers in full.

    The generated numbers are moved to ranges made of zeros, because the API writes Israeli numbers differently.
    """
    digits = number.removeprefix("+")
    if number.startswith("+1202555"):
        last = number[-4:]
        return f"{'072000' if int(last) < _FIRST_OUTSIDE else '050000'}{last}"
    return digits


def international(number: str) -> str:
    """Write a number with its country code and without a plus."""
    shown = national(number)
    return f"972{shown[1:]}" if shown.startswith("0") else shown


def comparable(number: str) -> str:
    """Write a number so that all its spellings are equal."""
    digits = re.sub(r"[^0-9A-Za-z*]", "", number)
    return f"972{digits[1:]}" if digits.startswith("0") else digits


def sip_code(party: Party | None) -> str:
    """Give the SIP code of one of the account's telephones; empty for others."""
    if party is None or not party.is_user:
        return ""
    n = _PLACES.get(party.id)
    return f"SIP{digest(party.id)[:6].upper()}" if n is None else f"SIPSIP{n + 1}"


def user_id(party: Party) -> int:
    """Give the service's id of a user."""
    n = _PLACES.get(party.id)
    return 10_000_000 + draw_of(party.id) % 10_000_000 if n is None else _FIRST_USER + n


def department_id(site: Site) -> int:
    """Give the service's id of a department, which is a site of the exchange."""
    return FIRST_DEPARTMENT + (SITES.index(site) if site in SITES else len(SITES))


def prefix_name(number: str) -> str:
    """Name the prefix of a number with its country code."""
    prefixes = {"9725": "Israel Mobile", "972": "Israel", "44": "United Kingdom", "1": "United States"}
    return next((name for prefix, name in prefixes.items() if len(number) > 5 and number.startswith(prefix)), "")


def country_of(number: str) -> str:
    """Name the country of a number."""
    return prefix_name(comparable(number)).removesuffix(" Mobile")


def make_call_id(call_id: str, n: int, start: int) -> str:
    """Make an id in the form of the published ones: local time some seconds before the start, then letters."""
    local = instant(start - _ID_BEHIND).astimezone(ZONE)
    drawn = digest("call", call_id, n)
    return f"{local:%Y%m%d%H%M%S}{int(drawn[:6], 16) % 10_000:04d}{drawn[6:20]}"
