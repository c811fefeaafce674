"""The parameters of a request: which ones a method has, and their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cdrctl.sandbox.callgear.errors import RefusedError, unexpected
from cdrctl.sandbox.callgear.fields import COST_FIELDS, TALK_TIMES, Field, Record
from cdrctl.sandbox.callgear.filters import Condition, read_filter
from cdrctl.sandbox.callgear.sorting import Order, read_order
from cdrctl.sandbox.exchange.clock import SECOND, milliseconds

LARGEST_LIMIT = 10_000
LARGEST_OFFSET = 100_000
DEFAULT_LIMIT = 1_000
_MONTHS = 3
_YEARS = range(1971, 2101)
_BOUND = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")

_LISTED = ("limit", "offset", "filter", "fields", "sort")
PARAMETERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "login.user": (("login", "password"), ()),
    "logout.user": (("access_token",), ()),
    "get.account": (("access_token",), ()),
    "getobj.account": (("access_token",), ()),
    "get.customer_users": (("access_token",), _LISTED),
    "get.call_legs_report": (("access_token", "date_from", "date_till"), ("user_id", *_LISTED)),
    "get.calls_report": (("access_token", "date_from", "date_till"), ("user_id", *_LISTED, "include_ongoing_calls")),
    "get.financial_call_legs_report": (("access_token", "date_from", "date_till"), ("user_id", *_LISTED)),
}
"""The required and the optional parameters of every method."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("access_token", "login", "password", "date_from", "date_till"), str),
    **dict.fromkeys(("user_id", "limit", "offset"), int),
    **dict.fromkeys(("fields", "sort"), list),
    "filter": dict,
    "include_ongoing_calls": bool,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which fields a request wants, which rows pass its filter, and how they are sorted."""

    fields: tuple[str, ...]
    condition: Condition | None
    order: Order


def check_parameters(switched: Mapping[str, str], method: str, params: Record) -> None:
    """Refuse unknown, missing and mistyped parameters."""
    required, optional = PARAMETERS[method]
    for name, value in params.items():
        if name not in {*required, *optional}:
            raise unexpected(switched, name, value)
    for name in required:
        if params.get(name) is None:
            raise RefusedError("required_parameter_missed", field=name)
    for name, value in params.items():
        kind = _TYPES[name]
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise RefusedError("data_type_error", field=name, value=value)


def read_page(params: Record) -> tuple[int, int]:
    """Read offset and limit, and refuse values outside the documented ranges."""
    offset, limit = params.get("offset"), params.get("limit")
    offset = 0 if offset is None else offset
    limit = DEFAULT_LIMIT if limit is None else limit
    if not 0 <= offset <= LARGEST_OFFSET:
        raise RefusedError("invalid_parameter_value", field="offset", value=offset)
    if not 1 <= limit <= LARGEST_LIMIT:
        raise RefusedError("invalid_parameter_value", field="limit", value=limit)
    return offset, limit


def read_window(params: Record) -> tuple[int, int]:
    """Read date_from and date_till as seconds on the account's clock."""
    bounds = []
    for name in ("date_from", "date_till"):
        try:
            bound = datetime.fromisoformat(params[name]) if _BOUND.fullmatch(params[name]) else None
        except ValueError:
            bound = None
        if bound is None or bound.year not in _YEARS:
            raise RefusedError("invalid_parameter_value", field=name, value=params[name])
        bounds.append(bound)
    begin, end = bounds
    if end < begin:
        raise RefusedError("invalid_parameters_combination", field="date_till", value=params["date_till"])
    if end > _months_later(begin):
        raise RefusedError("date_interval_limit_reached", field="date_till", value=params["date_till"])
    lo, hi = (milliseconds(one.replace(tzinfo=UTC)) // SECOND for one in bounds)
    return lo, hi


def _months_later(begin: datetime) -> datetime:
    """Return the same time three months later, on the last day of the month if it is too short."""
    month = begin.month - 1 + _MONTHS
    first = begin.replace(year=begin.year + month // 12, month=month % 12 + 1, day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(begin.day, last.day))


def known_fields(switched: Mapping[str, str], fields: Mapping[str, Field]) -> dict[str, Field]:
    """List the fields that the service knows as the switches are set."""
    unknown = {"wav_call_records"} if switched["no_wav"] == "on" else set()
    if switched["utm_referrer"] == "unknown":
        unknown.add("utm_referrer")
    if switched["deprecated"] == "absent":
        unknown |= {"release_cause_code", "release_cause_description"}
    if switched["talk_times"] == "absent" and fields is not COST_FIELDS:
        unknown |= TALK_TIMES
    return {name: one for name, one in fields.items() if name not in unknown}


def choose_fields(switched: Mapping[str, str], fields: Mapping[str, Field], words: str) -> tuple[str, ...]:
    """Choose fields by `all`, by `default`, or by names separated by commas; unknown names are left out."""
    known = known_fields(switched, fields)
    if words == "all":
        return tuple(known)
    if words == "default":
        return tuple(name for name, one in known.items() if one.default)
    return tuple(name for name in known if name in words.split(","))


def read_selection(switched: Mapping[str, str], params: Record, fields: Mapping[str, Field]) -> Selection:
    """Read the parameters fields, sort and filter."""
    known = known_fields(switched, fields)
    named: list[Any] = params.get("fields") or []
    for name in named:
        if not isinstance(name, str):
            raise RefusedError("data_type_error", field="fields", value=name)
        if name not in known:
            raise unexpected(switched, name, name)
    chosen = tuple(name for name, one in known.items() if (name in named if named else one.default))
    order = read_order(switched, params.get("sort") or [], known)
    condition = read_filter(switched, params["filter"], known) if params.get("filter") else None
    return Selection(chosen, condition, order)
