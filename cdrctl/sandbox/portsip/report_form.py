"""The body of a call report: its fields, the values that each may hold, and its window."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cdrctl.sandbox.portsip.cron import parse_cron
from cdrctl.sandbox.portsip.fields import FORMATS, RANGES, REPORT_TYPES, Row
from cdrctl.sandbox.portsip.requests import INT32, RefusedError
from cdrctl.sandbox.portsip.times import Span, microseconds, read_time

_EMAIL_LENGTH, _GROUP_LENGTH = 128, 64


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_seconds(value: Any) -> bool:
    return type(value) is int and 0 <= value <= INT32


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list_of(pattern: str) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and all(isinstance(one, str) and re.fullmatch(pattern, one, re.DOTALL) for one in value)
    )


def _is_time_or_empty(value: Any) -> bool:
    return isinstance(value, str) and (not value or read_time(value) is not None)


_PARTIES = (
    "ANY",
    "EXTENSION_OR_EXTENSION_RANGE",
    "NUMBER",
    "NUMBERS_START_WITH",
    "NUMBERS_CONTAIN",
    "INTERNAL_EXTENSIONS",
    "EXTERNAL_NUMBERS",
)
_NEED_VALUE = _PARTIES[1:5]
_NUMBER_LIST = _is_list_of(r"[0-9]{3,64}")
_Shape = Mapping[str, Callable[[Any], bool]]
_NORMAL: _Shape = {
    "from": _one_of(*_PARTIES),
    "from_value": _is_text,
    "to": _one_of(*_PARTIES),
    "to_value": _is_text,
    "answer_state": _one_of("ANY", "ANSWERED", "NOT_ANSWERED"),
    "duration": _one_of("ANY", "RING_DURATION", "TALK_DURATION"),
    "duration_from": _is_seconds,
    "duration_to": _is_seconds,
}
_COST: _Shape = {
    "type": _one_of("ANY", "LOCAL", "NATIONAL", "INTERNATIONAL", "MOBILE"),
    "groups": _is_list_of(rf".{{1,{_GROUP_LENGTH}}}"),
}
_QUEUES: _Shape = {
    "enable_exclude_calls_dropped_before_seconds": _is_flag,
    "exclude_calls_dropped_before_seconds": _is_seconds,
    "call_queues": _NUMBER_LIST,
}
FILTER_SHAPES: dict[str, _Shape] = dict.fromkeys(REPORT_TYPES, _QUEUES) | {
    "NORMAL": _NORMAL,
    "EXTENSION_GROUP_CALL_COST": _COST,
    "QUEUE_FAILED_CALLBACKS": {"call_queues": _NUMBER_LIST},
    "RING_GROUP_STATISTICS": {"ring_groups": _NUMBER_LIST},
}
"""The fields that the filter of each type of report may hold, and the test that each value must pass."""

_BODY: _Shape = {
    "name": _is_text,
    "type": _one_of(*REPORT_TYPES),
    "email": lambda value: isinstance(value, str) and len(value) <= _EMAIL_LENGTH,
    "format": _one_of(*FORMATS),
    "range": _one_of(*RANGES),
    "started_at": _is_time_or_empty,
    "ended_at": _is_time_or_empty,
    "cron_expr": _is_text,
    "filter": lambda value: isinstance(value, dict),
}
_REQUIRED = ("name", "type", "email", "format", "range", "filter")


def read_report(body: Row) -> Row:
    """Return the known fields of a report's body; raise `RefusedError` for the first that is wrong."""
    known = {name: body[name] for name in _BODY if name in body}
    for name in _REQUIRED:
        if name not in known:
            raise RefusedError(name)
    for name, value in known.items():
        if not _BODY[name](value):
            raise RefusedError(name)
    if known.get("cron_expr"):
        parse_cron(known["cron_expr"])
    if known["range"] == "CUSTOM":
        begin, end = (read_time(known.get(name, "")) for name in ("started_at", "ended_at"))
        if begin is None:
            raise RefusedError("started_at")
        if end is None or end < begin:
            raise RefusedError("ended_at")
    shape = FILTER_SHAPES[known["type"]]
    wanted = known["filter"]
    for name, value in wanted.items():
        if name not in shape or not shape[name](value):
            raise RefusedError(f"filter.{name}")
    if known["type"] == "NORMAL":
        _check_parties(wanted)
    return known


def _check_parties(wanted: Row) -> None:
    """Raise `RefusedError` if a party of a NORMAL report lacks its value."""
    for side in ("from", "to"):
        kind, value = wanted.get(side, "ANY"), wanted.get(f"{side}_value", "")
        if kind in _NEED_VALUE and not value:
            raise RefusedError(f"filter.{side}_value")
        if kind == "EXTENSION_OR_EXTENSION_RANGE" and not re.fullmatch(r"\d+(-\d+)?", value, re.ASCII):
            raise RefusedError(f"filter.{side}_value")


def report_window(report: Row, ran: datetime) -> Span:
    """Return the window of a report in Unix microseconds; days are UTC days, weeks begin on Monday."""
    midnight = ran.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    first = midnight.replace(day=1)
    windows = {
        "TODAY": (midnight, ran),
        "YESTERDAY": (midnight - timedelta(days=1), midnight),
        "LAST_WEEK": (monday - timedelta(days=7), monday),
        "LAST_SEVEN_DAYS": (midnight - timedelta(days=7), midnight),
        "LAST_MONTH": ((first - timedelta(days=1)).replace(day=1), first),
        "LAST_THIRTY_DAYS": (midnight - timedelta(days=30), midnight),
    }
    if report["range"] == "CUSTOM":
        return read_time(report["started_at"]) or 0, read_time(report["ended_at"]) or 0
    begin, end = windows[report["range"]]
    return microseconds(begin), microseconds(end)
