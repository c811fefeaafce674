"""A parsed search request: credential, fields, search keys, window and sort."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from cdrctl.sandbox.exchange.clock import DAY, SECOND, milliseconds
from cdrctl.sandbox.exchange.parties import PEOPLE, SITES
from cdrctl.sandbox.voicenter.call_types import DIALER
from cdrctl.sandbox.voicenter.cdr import Cdr
from cdrctl.sandbox.voicenter.numbers import ZONE, comparable, sip_code
from cdrctl.sandbox.voicenter.state import State

CAMPAIGN = 1
QUEUE_ID = 123_456_789
_SEED_KEYS = ("fromdate", "todate", "phones", "extensions", "IdentityCriteria")
_CURRENT_KEYS = (*_SEED_KEYS, "callID", "cdrTypes", "campaignID", "queueID")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d(?:\.\d+)?)?Z?")


@dataclass(slots=True)
class Search:
    """A parsed request, from a body or a query; `keys` are the search keys with their values."""

    code: str | None = None
    form: str = "JSON"
    fields: list[str] | None = None
    keys: dict[str, list[str]] = field(default_factory=dict)
    sort: list[tuple[str, bool]] = field(default_factory=list)

    def first(self, name: str) -> str:
        """Give the first value of a search key; empty if it has none."""
        return next(iter(self.keys.get(name, ())), "")


def read_body(state: State, body: bytes) -> Search:
    """Read a JSON body; names are case-sensitive."""
    try:
        data = json.loads(body)
    except ValueError:
        return Search()
    if not isinstance(data, dict):
        return Search()
    search = Search(form=str(data.get("format", "JSON")))
    if "code" in data:
        search.code = str(data["code"])
    if "fields" in data:
        search.fields = _texts(data["fields"])
    given = data.get("search")
    if isinstance(given, dict):
        search.keys = {name: _texts(given[name]) for name in _known_keys(state) if name in given}
    for one in data.get("sort") or ():
        if isinstance(one, dict) and state.is_current:
            search.sort.append((str(one.get("field", "")), str(one.get("order", "asc")).lower() == "desc"))
    return search


def read_query(state: State, query: str) -> Search:
    """Read a query: lists are repeated names, and names are not case-sensitive."""
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        given.setdefault(name.lower(), []).append(value)
    if state.switched["extension"] == "accepted" and "extension" in given:
        given.setdefault("extensions", []).extend(given["extension"])
    search = Search(form=given.get("format", ["JSON"])[0], fields=given.get("fields"))
    if "code" in given:
        search.code = given["code"][0]
    search.keys = {name: given[name.lower()] for name in _known_keys(state) if name.lower() in given}
    return search


def _known_keys(state: State) -> tuple[str, ...]:
    return _CURRENT_KEYS if state.is_current else _SEED_KEYS


def _texts(value: Any) -> list[str]:
    """List the texts of a list, or of a single value in place of one."""
    values: Iterable[Any] = value if isinstance(value, list) else [] if value is None else [value]
    return [str(one) for one in values]


def read_window(state: State, search: Search) -> tuple[int, int] | None:
    """Read the window in Unix seconds, with its end excluded; None for a range that the service refuses."""
    switched = state.switched
    by_minute = not state.is_current or switched["precision"] == "minute"
    zone = ZONE if switched["request_zone"] == "israel" else UTC
    bounds = []
    for name in ("fromdate", "todate"):
        read = _TIME.fullmatch(search.first(name))
        if not read:
            return None
        seconds = "" if by_minute else (read[2] or "")[:3]
        try:
            written = datetime.fromisoformat(f"{read[1]}{seconds}")
            bounds.append(milliseconds(written.replace(tzinfo=zone)) // SECOND)
        except ValueError:
            return None
    lo, hi = bounds
    longest = switched["max_days"]
    if hi < lo or (longest != "off" and (hi - lo) * SECOND > int(longest) * DAY):
        return None
    closing = switched["bounds"]
    return lo + closing.startswith("open"), hi + (closing in {"closed", "open_low"})


def matches(one: Cdr, search: Search) -> bool:
    """Tell whether a record meets the search keys; keys that are absent or empty do not restrict."""
    keys = search.keys
    phones = {comparable(phone) for phone in keys.get("phones", ())}
    if phones and phones.isdisjoint({comparable(number) for number in (one.caller, one.target, one.did)}):
        return False
    extensions = set(keys.get("extensions", ()))
    if extensions and extensions.isdisjoint({sip_code(one.calling), sip_code(one.called)}):
        return False
    exact = {
        "callID": one.id,
        "cdrTypes": str(one.type),
        "campaignID": str(CAMPAIGN) if one.type in DIALER else "",
        "queueID": str(QUEUE_ID) if one.queue else "",
    }
    if any(keys.get(name) and value not in keys[name] for name, value in exact.items()):
        return False
    whose = search.first("IdentityCriteria")
    if whose == "Department":
        return one.site == SITES[0]
    return whose != "User" or one.user == PEOPLE[0]


def wanted_fields(state: State, search: Search) -> tuple[str, ...]:
    """List the fields of an answer in the service's own order; all fields if the request names none."""
    if not search.fields:
        return state.fields
    names = {name.lower() for name in search.fields}
    return tuple(name for name in state.fields if name.lower() in names)
