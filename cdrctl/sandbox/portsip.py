"""PortSIP PBX's REST API for CDRs, call logs and call reports, imitated from its documentation and real answers.

Sources: GitHub portsip/portsip-knowledge-base and support.portsip.com (August 2026): the REST guide (authentication,
accessing CDRs and recordings), the OpenAPI 3.1 file of v22.2, release notes, webhook reference. What nobody publishes
is a switch.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import DAY, SECOND, delay, digest, dropped, instant, milliseconds
from cdrctl.sandbox.exchange.parties import ATTENDANT, HUNT_GROUP, PEOPLE, QUEUE, Call, Leg, Party
from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Clock, Reply, Request, Setting, Switch, dumped

Row = dict[str, Any]

CDR_KEYS = (
    "id",
    "caller",
    "caller_domain",
    "caller_display_name",
    "callee",
    "callee_domain",
    "callee_display_name",
    "started_at",
    "rang_at",
    "answered_at",
    "ended_at",
    "call_id",
    "direction",
    "end_reason",
    "reroute_reason",
    "status_code",
    "destination",
    "outbound_caller_id",
    "did_cid",
    "trunk",
    "duration",
    "service_number",
    "user_data",
)
"""Keys of an item of `/cdrs` in the order of the OpenAPI file of v22.2."""

CALLLOG_KEYS = ("id", "session_id", *CDR_KEYS[1:])
"""Keys of an item of `/calllogs`."""

RECORDING_KEYS = ("id", "caller", "callee", "started_at", "ended_at")
REPORT_KEYS = ("id", "name", "type", "cron_expr", "status")
COMPLETED_KEYS = ("id", "name", "type", "format", "completed_at", "file_name", "file_size", "file_url")

REPORT_TYPES = (
    "NORMAL",
    "EXTENSION_GROUP_CALL_COST",
    "QUEUE_PERFORMANCE",
    "QUEUE_DETAILED_STATISTICS",
    "QUEUE_ABANDONED_CALLS",
    "QUEUE_SLA_STATISTICS",
    "QUEUE_BREACHES_SLA_STATISTICS",
    "QUEUE_CALLBACKS",
    "QUEUE_FAILED_CALLBACKS",
    "TEAM_QUEUE_GENERAL_STATISTICS",
    "RING_GROUP_STATISTICS",
)
FORMATS = ("CSV", "HTML")
RANGES = ("TODAY", "YESTERDAY", "LAST_WEEK", "LAST_SEVEN_DAYS", "LAST_MONTH", "LAST_THIRTY_DAYS", "CUSTOM")

DOMAIN = "acme.example"
USERNAME = "cdr.reader"
PASSWORD = "EXAMPLE-PORTSIP-PASSWORD"
STANDARD_USERNAME = "avery.brooks"
STANDARD_PASSWORD = "EXAMPLE-PORTSIP-USER"
ACCESS_TOKEN = "EXAMPLE-PORTSIP-ACCESS"
CLIENT_ID = "9d806019-75b2-4b3d-bb8b-f5a3a412cc0a"
"""The constant the guide publishes for `POST /login/oauth/token`."""
OTP_CODE = "246810"
"""The code the mail of a two-factor sign-in holds."""

EPOCH = 1_514_764_800_000
"""Unix milliseconds of 1 January 2018: real ids are the milliseconds since, times 2**22."""
LARGEST_REPORT = 20_000
"""Calls a NORMAL report holds at most."""

_TENANT = "877828121322061824"
_LOOK_BACK_YEARS = 5
_HISTORY = 400 * DAY
_PAGE = 100
_MINUTE = 60
_ACCESS_LIMIT = {"22.2": 10_000, "22.3": 10_000, "22.0": 5_000, "16": 5_000}
_SMALLEST_LOOK = timedelta(minutes=1)
_LONGEST_LOOK = timedelta(days=62)
_NAME_LENGTH, _DOMAIN_LENGTH, _EMAIL_LENGTH, _GROUP_LENGTH = 64, 280, 128, 64
_INT32 = 2**31 - 1
_BAD_ID = "Invalid entry ID supplied"
_BAD_SIGN_IN = "Login failed, authentication error"
_NO_TRUNK = "Trunk A"
_TRUNKS = {_NO_TRUNK: "203.0.113.5"}
_OTHER_TRUNK = "203.0.113.9"
_SERVICES = ("queue", "hunt_group", "attendant")
_OUTWARD = {"national", "international", "tollfree"}
_STATUS = {
    "busy": 486,
    "no_answer": 480,
    "cancelled": 487,
    "rejected": 603,
    "unallocated": 404,
    "unavailable": 503,
}
_NEVER_RANG = {"unallocated", "unavailable", "rejected"}
_NO_TIME = {"empty": "", "year1": "0001-01-01T00:00:00Z", "1970": "1970-01-01T00:00:00Z", "0": "0"}
_LEG_BITS, _CALL_MASK, _LOW_BITS = 6, 0x3FFF, 22

SWITCHES: dict[str, Switch] = {
    "late": LATE,
    "changed": CHANGED,
    "dropped": DROPPED,
    "version": Switch("22.2", ("22.3", "22.0", "16"), meaning="release imitated; 22.0 and 16 have no /auth"),
    "query": Switch("honoured", ("ignored",), meaning="filter, search and orderby of /cdrs and /calllogs"),
    "bounds": Switch(
        "half_open",
        ("closed", "open_low", "open"),
        meaning="which bounds of a filter on started_at belong to it; half_open as the words ge and lt say",
    ),
    "skip": Switch("0", ("1",), meaning="number of the first item"),
    "count": Switch("always", ("asked", "absent"), meaning="whether lists say how many items there are"),
    "total": Switch(
        "right",
        ("zero", "page", "half", "shrinking", "true", "negative"),
        meaning="what count says; page: items of this page; shrinking: items not yet sent; true: a JSON boolean",
    ),
    "empty": Switch('""', ("null",), meaning="what stands for nothing"),
    "no_time": Switch(
        "empty", ("year1", "1970", "0"), meaning="what rang_at and answered_at are where there was no such event"
    ),
    "throttle": Switch("429", ("503",), meaning="status of too many requests"),
    "retry_after": Switch("seconds", ("none",), meaning="whether a throttled answer has Retry-After"),
    "limits": Switch("off", ("on",), meaning="the gateway counts requests by the minute"),
    "access_limit": Switch("release", (), r"[1-9]\d*", meaning="requests a minute; release: as published for it"),
    "top_max": Switch("100", ("1000",), meaning="largest top of /cdrs and /calllogs"),
    "login_body": Switch("token", ("empty",), meaning="what POST /login and /auth/verify_otp answer"),
    "oauth": Switch("on", ("off",), meaning="whether /login/oauth is known"),
    "errors": Switch("full", ("{}", "empty", "new_code"), meaning="body of errors"),
    "end_reason": Switch("live", ("doc",), meaning="spelling; live leaves it empty when the callee hung up"),
    "two_factor": Switch("off", ("on",), meaning="signing in needs a code sent by mail"),
    "token_ttl": Switch("1800", (), r"\d+", meaning="seconds an access token lives"),
    "rotate": Switch("on", ("off",), meaning="a refresh gives a new refresh token and ends the old one"),
    "grow": Switch("0", (), r"\d+", meaning="calls landing between two pages of a listing, for three pages"),
    "legs": Switch("1", (), r"[1-9]\d*", meaning="most legs in the detail of a CDR"),
    "lookback": Switch("400", ("empty",), meaning="answer to a window older than five years"),
    "ids": Switch("decimal", ("base64",), meaning="form of ids; base64 as the documentation prints them"),
    "report": Switch("completes", ("aborts", "never"), meaning="what becomes of a call report"),
    "report_delay": Switch("5", (), r"\d+", meaning="seconds a call report takes"),
    "report_after": Switch(
        "RUNNING", ("SCHEDULED", "gone"), meaning="status of a report that ran once and has completed"
    ),
    "file_name": Switch(
        "plain", ("traversal", "absolute", "control", "empty"), meaning="file name of a completed report"
    ),
    "file_url": Switch(
        "plain",
        ("absolute", "network_path", "outside", "traversal"),
        meaning="address of a completed report; absolute and network_path name another host",
    ),
}


# Times: RFC 3339 with as many digits as needed, Unix microseconds within.

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLI = 1000
_MICRO = 1_000_000


def _micros(at: datetime) -> int:
    micros: int = (at - _UNIX) // _MICROSECOND
    return micros


def _moment(micros: int) -> datetime:
    return _UNIX + timedelta(microseconds=micros)


def _time_text(micros: int) -> str:
    """Return Unix microseconds as the PBX writes them: no zeros at the end of a second's fraction."""
    seconds, fraction = divmod(micros, _MICRO)
    digits = f".{fraction:06d}".rstrip("0").rstrip(".")
    return f"{_UNIX + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{digits}Z"


def _read_time(text: str) -> int | None:
    """Return RFC 3339 as Unix microseconds; None for anything else, and for 1970 and before."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        micros = _micros(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):
        return None
    return micros if micros > 0 else None


# The filter language.


class _RefusedError(Exception):
    """A request is refused because of the field the argument names."""

    def __init__(self, field_name: str) -> None:
        super().__init__(field_name)
        self.field = field_name


_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w'])|(?P<word>[A-Za-z_]\w*)|(?P<mark>[(),]))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: bool(a > b),
    "ge": lambda a, b: bool(a >= b),
    "lt": lambda a, b: bool(a < b),
    "le": lambda a, b: bool(a <= b),
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
_NUMBERS = {"status_code", "duration", "file_size"}
_TIMES = {"started_at", "rang_at", "answered_at", "ended_at", "completed_at"}
_DEEPEST = 100
_ALWAYS = (-(2**63), 2**63)
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter: whether a row `holds`, and the `span` of `started_at`, in microseconds, outside which none does.

    `exact` says that every row within the span holds.
    """

    holds: Callable[[Row], bool]
    span: Span = _ALWAYS
    exact: bool = False


class _Parser:
    """Reads one filter by recursive descent: `or` binds weakest, then `and`, then `not`."""

    def __init__(self, text: str, fields: Sequence[str], bounds: str) -> None:
        self.fields = fields
        self.taken = {
            "ge": "gt" if bounds in {"open", "open_low"} else "ge",
            "lt": "le" if bounds in {"closed", "open_low"} else "lt",
        }
        self.tokens: list[tuple[str, str]] = []
        self.depth = 0
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise _RefusedError("filter")
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self.tokens.reverse()

    def whole(self) -> Condition:
        found = self._either()
        if self.tokens:
            raise _RefusedError("filter")
        return found

    def _next(self, *kinds: str) -> str:
        if not self.tokens or self.tokens[-1][0] not in kinds:
            raise _RefusedError("filter")
        return self.tokens.pop()[1]

    def _taken(self, token: tuple[str, str]) -> bool:
        if self.tokens and self.tokens[-1] == token:
            self.tokens.pop()
            return True
        return False

    def _mark(self, mark: str) -> None:
        if not self._taken(("mark", mark)):
            raise _RefusedError("filter")

    def _either(self) -> Condition:
        found = self._both()
        while self._taken(("word", "or")):
            found = _either(found, self._both())
        return found

    def _both(self) -> Condition:
        found = self._one()
        while self._taken(("word", "and")):
            found = _both(found, self._one())
        return found

    def _one(self) -> Condition:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _RefusedError("filter")
        try:
            if self._taken(("word", "not")):
                return _negated(self._one())
            if self._taken(("mark", "(")):
                found = self._either()
                self._mark(")")
                return found
            word = self._next("word")
            if self.tokens and self.tokens[-1] == ("mark", "("):
                return self._function(word)
            return self._comparison(word)
        finally:
            self.depth -= 1

    def _function(self, name: str) -> Condition:
        self._mark("(")
        column = self._next("word")
        self._mark(",")
        wanted = _unquoted(self._next("text"))
        self._mark(")")
        if name not in _FUNCTIONS or column not in self.fields or column in _TIMES | _NUMBERS:
            raise _RefusedError("filter")
        test = _FUNCTIONS[name]
        return Condition(lambda row: test(row[column] or "", wanted))

    def _comparison(self, column: str) -> Condition:
        word = self._next("word")
        kind = self.tokens[-1][0] if self.tokens else ""
        literal = self._next("text", "number", "word")
        if column not in self.fields or word not in _COMPARISONS or (kind == "word" and literal != "null"):
            raise _RefusedError("filter")
        test = _COMPARISONS[word]
        nothing = kind == "word" or (column not in _NUMBERS and literal == "''")
        if nothing:
            if word not in {"eq", "ne"}:
                raise _RefusedError("filter")
            return Condition(lambda row: test(row[column] or "", ""))
        if (kind == "number") != (column in _NUMBERS):
            raise _RefusedError("filter")
        if column in _NUMBERS:
            number = float(literal)
            return Condition(lambda row: test(row[column], number))
        text = _unquoted(literal)
        if column not in _TIMES:
            return Condition(lambda row: test(row[column] or "", text))
        at = _read_time(text)
        if at is None:
            raise _RefusedError("filter")
        return _compared_time(column, self.taken.get(word, word) if column == "started_at" else word, at)


def _compared_time(column: str, word: str, at: int) -> Condition:
    """Return a condition on a time; an empty one is unequal to any, and neither before nor after."""
    test = _COMPARISONS[word]

    def holds(row: Row) -> bool:
        known = _read_time(row[column] or "")
        return word == "ne" if known is None else test(known, at)

    if column != "started_at" or word == "ne":
        return Condition(holds)
    first, last = _ALWAYS
    span = {"eq": (at, at + 1), "gt": (at + 1, last), "ge": (at, last), "lt": (first, at), "le": (first, at + 1)}[word]
    return Condition(holds, span, exact=True)


def _unquoted(literal: str) -> str:
    return literal[1:-1].replace("''", "'")


def _both(a: Condition, b: Condition) -> Condition:
    span = max(a.span[0], b.span[0]), min(a.span[1], b.span[1])
    return Condition(lambda row: a.holds(row) and b.holds(row), span, a.exact and b.exact)


def _either(a: Condition, b: Condition) -> Condition:
    return Condition(lambda row: a.holds(row) or b.holds(row), (min(a.span[0], b.span[0]), max(a.span[1], b.span[1])))


def _negated(a: Condition) -> Condition:
    return Condition(lambda row: not a.holds(row))


def parse_filter(text: str, fields: Sequence[str], bounds: str = "half_open") -> Condition:
    """Return a `filter` as a condition on rows that have the named fields.

    `bounds` says how `ge` and `lt` of `started_at` are taken: as they say, or with other bounds.

    Raises `_RefusedError` for an unknown field, a value that is not of the field's type, and anything else that is no
    filter. Source: the REST guide, "Filter": eq ne gt ge lt le, and, or, startswith, endswith, contains.
    """
    return _Parser(text, fields, bounds).whole()


def parse_order(text: str, fields: Sequence[str]) -> list[tuple[str, bool]]:
    """Return an `orderby` as fields, each with whether it is descending; raises `_RefusedError`."""
    found = []
    for part in text.split(","):
        words = part.split()
        if not words or len(words) > 2 or words[0] not in fields or words[1:] not in ([], ["asc"], ["desc"]):
            raise _RefusedError("orderby")
        found.append((words[0], words[1:] == ["desc"]))
    return found


def _sort_key(row: Row, column: str) -> Any:
    value = row[column]
    if column in _TIMES:
        return _read_time(value or "") or 0
    return value if column in _NUMBERS else str(value or "")


# Cron expressions: minute, hour, day, month, weekday.

_CRON_PARTS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class Cron:
    """A crontab expression; instants are UTC."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def due(self, at: datetime) -> bool:
        """Return whether it runs in that minute; where day and weekday are both restricted, either will do."""
        if at.minute not in self.minutes or at.hour not in self.hours or at.month not in self.months:
            return False
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either_day else day and weekday


def parse_cron(text: str) -> Cron:
    """Return a crontab expression of five parts, or a word such as `@daily`; raises `_RefusedError`."""
    parts = _SHORTHANDS.get(text.strip(), text).split()
    if len(parts) != len(_CRON_PARTS):
        raise _RefusedError("cron_expr")
    minutes, hours, days, months, weekdays = (_cron_part(part, n) for n, part in enumerate(parts))
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    return Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)


def _cron_part(text: str, place: int) -> frozenset[int]:
    low, high = _CRON_PARTS[place]
    names: tuple[str, ...] = {3: _MONTHS, 4: _WEEKDAYS}.get(place, ())
    found: set[int] = set()
    for one in text.lower().split(","):
        read = re.fullmatch(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([1-9]\d{0,2}))?", one, re.ASCII)
        if read is None or (read[1] == "*" and read[2]):
            raise _RefusedError("cron_expr")
        step = int(read[3] or 1)
        if read[1] == "*":
            first, last = low, high
        else:
            first = _cron_number(read[1], names, low)
            last = _cron_number(read[2], names, low) if read[2] else (high if read[3] else first)
        if not low <= first <= last <= high:
            raise _RefusedError("cron_expr")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _cron_number(text: str, names: tuple[str, ...], low: int) -> int:
    if text in names:
        return names.index(text) + low
    if not text.isdigit():
        raise _RefusedError("cron_expr")
    return int(text)


# Call reports: what a body may hold.


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_seconds(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _INT32


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list_of(pattern: str) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and all(isinstance(one, str) and re.fullmatch(pattern, one, re.DOTALL) for one in value)
    )


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
"""What the filter of a report of each type may hold, and what its values must pass."""

_BODY: _Shape = {
    "name": _is_text,
    "type": _one_of(*REPORT_TYPES),
    "email": lambda value: isinstance(value, str) and len(value) <= _EMAIL_LENGTH,
    "format": _one_of(*FORMATS),
    "range": _one_of(*RANGES),
    "started_at": lambda value: isinstance(value, str) and (not value or _read_time(value) is not None),
    "ended_at": lambda value: isinstance(value, str) and (not value or _read_time(value) is not None),
    "cron_expr": _is_text,
    "filter": lambda value: isinstance(value, dict),
}
_REQUIRED = ("name", "type", "email", "format", "range", "filter")


def _checked_report(body: Row) -> Row:
    """Return the known fields of a report's body; raises `_RefusedError` naming the first that is wrong."""
    known = {name: body[name] for name in _BODY if name in body}
    for name in _REQUIRED:
        if name not in known:
            raise _RefusedError(name)
    for name, value in known.items():
        if not _BODY[name](value):
            raise _RefusedError(name)
    if known.get("cron_expr"):
        parse_cron(known["cron_expr"])
    if known["range"] == "CUSTOM":
        begin, end = (_read_time(known.get(name, "")) for name in ("started_at", "ended_at"))
        if begin is None:
            raise _RefusedError("started_at")
        if end is None or end < begin:
            raise _RefusedError("ended_at")
    shape = FILTER_SHAPES[known["type"]]
    wanted = known["filter"]
    for name, value in wanted.items():
        if name not in shape or not shape[name](value):
            raise _RefusedError(f"filter.{name}")
    if known["type"] == "NORMAL":
        _check_normal(wanted)
    return known


def _check_normal(wanted: Row) -> None:
    for side in ("from", "to"):
        kind, value = wanted.get(side, "ANY"), wanted.get(f"{side}_value", "")
        if kind in _NEED_VALUE and not value:
            raise _RefusedError(f"filter.{side}_value")
        if kind == "EXTENSION_OR_EXTENSION_RANGE" and not re.fullmatch(r"\d+(-\d+)?", value, re.ASCII):
            raise _RefusedError(f"filter.{side}_value")


def _range_of(report: Row, ran: datetime) -> Span:
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
        return _read_time(report["started_at"]) or 0, _read_time(report["ended_at"]) or 0
    begin, end = windows[report["range"]]
    return _micros(begin), _micros(end)


# Calls as the PBX stores them.


@dataclass(frozen=True, slots=True)
class _Stored:
    """A CDR, call log or recording: begins at `start`, Unix microseconds, exists from `seen`, Unix milliseconds."""

    start: int
    seen: int
    number: int
    session: int
    call: Call
    leg: Leg | None = None


@dataclass(slots=True)
class _Report:
    """A call report as posted, when it was, and until when its runs have been started."""

    number: int
    body: Row
    posted: datetime
    looked: datetime
    runs: list[datetime] = field(default_factory=list)
    done: int = 0


@dataclass(frozen=True, slots=True)
class _Completed:
    """A finished run of a report with its file."""

    number: int
    name: str
    type: str
    format: str
    at: datetime
    content: bytes
    blob: str


@dataclass(frozen=True, slots=True)
class _User:
    """Who signs in: a built-in role, and the extension whose calls are the user's own."""

    username: str
    password: str
    domain: str
    role: str
    extension: str = ""


USERS = (
    _User(USERNAME, PASSWORD, DOMAIN, "Admin"),
    _User(STANDARD_USERNAME, STANDARD_PASSWORD, DOMAIN, "StandardUser", PEOPLE[0].extension),
    _User("queue.manager", "EXAMPLE-PORTSIP-QUEUES", DOMAIN, "QueueManager"),
    _User("admin", "EXAMPLE-PORTSIP-SYSTEM", "", "SystemAdmin"),
)
_READS_ALL = {"Admin", "QueueManager"}


@dataclass(frozen=True, slots=True)
class _Token:
    """An access token: whose, until when in Unix seconds, and the refresh token given with it."""

    user: _User
    until: float
    refresh: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The query options of a listing."""

    condition: Condition | None
    order: list[tuple[str, bool]]
    top: int
    skip: int
    count: bool
    search: str


def _targets(call: Call) -> list[Leg]:
    """Return the legs that have a call log: every one but the near side of another leg of the call."""
    ids = {leg.id for leg in call.legs}
    return [leg for leg in call.legs if leg.direction == "terminating" or leg.peer not in ids]


def _beyond(call: Call) -> int:
    """Return microseconds added to every instant of a call; none where it begins with a second, for exact bounds."""
    return int(digest("micro", call.id)[:4], 16) % _MILLI if call.start % SECOND else 0


def _number(call: Call, nth: int, leg: int, kind: int) -> int:
    """Return an id: milliseconds since 2018, then which call of that millisecond, which leg, what kind of record."""
    low = (nth & _CALL_MASK) << (_LEG_BITS + 2) | leg << 2 | kind
    return (call.start - EPOCH) << _LOW_BITS | low


_SESSION, _CDR, _LOG, _RECORDING = range(4)


def _is_of(call: Call, extension: str) -> bool:
    return any(leg.party.extension == extension for leg in call.legs)


def _digits(number: str) -> str:
    """Return a number as the PBX writes it: without a plus."""
    return number.removeprefix("+")


def _way(call: Call) -> str:
    """Return inbound, outbound or internal."""
    first = call.legs[0]
    if first.party.kind == "outside":
        return "inbound"
    return "outbound" if first.route in _OUTWARD else "internal"


class PortSIP:
    """Sign-in, CDRs, call logs, recordings, call reports and blobs of one tenant of a PBX.

    Token lives, limits, the look-back and call reports are measured by `now`. `/cdrs` has one row per call of
    `exchange`, `/calllogs` one per telephone, queue or menu that was called.
    """

    name = "portsip"
    mount = "/portsip/api"
    roots = ("/api/blobs/",)
    """Paths beside the mount point that are the provider's too: a `file_url` is told from the root of the host."""
    calls: tuple[str, ...] = ("cdrs", "calllogs")
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self.now = now
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        self._tokens: dict[str, _Token] = {ACCESS_TOKEN: _Token(USERS[0], math.inf)}
        self._refreshes: dict[str, _User] = {}
        self._sessions: dict[str, str] = {}
        self._waiting: dict[str, _User] = {}
        self._issued = 0
        self._spent: tuple[int, int] = (0, 0)
        self._landed: dict[tuple[str, str], int] = {}
        self._reports: dict[int, _Report] = {}
        self._completed: dict[int, _Completed] = {}
        self._given = 0
        self._syncs: dict[str, tuple[_User, int, int]] = {}
        self._kept: tuple[tuple[object, ...], int, list[_Stored]] = ((), 0, [])
        self._listed: tuple[tuple[object, ...], list[_Stored]] = ((), [])

    # what the server asks

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return profile settings: kind `password` (default), `access_token` or `standard_user`.

        `standard_user` signs in with a password and may read only its own calls.
        """
        own: dict[str, dict[str, Setting]] = {
            "password": {"username": USERNAME, "password": PASSWORD, "domain": DOMAIN},
            "access_token": {"access_token": ACCESS_TOKEN},
            "standard_user": {"username": STANDARD_USERNAME, "password": STANDARD_PASSWORD, "domain": DOMAIN},
        }
        kind = kind or "password"
        if kind not in own:
            raise ValueError(f"portsip signs in by {', '.join(own)}, not by {kind}")
        return {"base_url": base_url, **own[kind], "requests_per_minute": 0}

    def expire_tokens(self) -> None:
        """Make every access token now known invalid; refresh tokens and passwords go on to work."""
        self._tokens.clear()

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Row]:
        """Return the items whose `started_at` is in `[since, until)`, oldest first, as they stand on the wire.

        Only those of calls that have ended by now and began within the look-back. `user` (an extension) restricts to
        that user's own. Version 16 has no call logs. Raises ValueError for another call.
        """
        if call not in self.calls:
            raise ValueError(f"portsip tells the truth of {' and '.join(self.calls)}, not of {call}")
        if call == "calllogs" and self.switched["version"] == "16":
            return []
        stored = self._visible(call, (_micros(since), _micros(until)), options.get("user", ""))
        return [self._row(one) for one in stored]

    def reply(self, request: Request) -> Reply:
        """Return the answer to one request."""
        self._run_reports()
        throttled = self._over_limit()
        if throttled is not None:
            return throttled
        path = request.path.removeprefix("/api") if request.path.startswith(self.roots) else request.path
        parts = [unquote(part) for part in path.strip("/").split("/")]
        try:
            return self._public(request, parts) or self._private(request, parts)
        except _RefusedError as refused:
            return self._failed(400, "VALIDATE_FAILED", "field validation failed", {"field": refused.field})

    def error(self, status: int, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return an error of that status in the shape of this API."""
        words = {
            400: ("VALIDATE_FAILED", "field validation failed"),
            401: ("UNAUTHORIZED", "unauthorized"),
            404: ("UNKNOWN", "not found"),
            405: ("UNKNOWN", "method not allowed"),
            429: ("UNKNOWN", "too many requests"),
            503: ("UNKNOWN", "service unavailable"),
        }
        return self._failed(status, *words.get(status, ("UNKNOWN", "unknown error")))

    def wrong_shape(self, request: Request) -> Reply:  # noqa: ARG002 - other providers echo the request
        """Return a success that has neither `items` nor a token."""
        return _json(200, {"status": "ok", "data": []})

    # routes

    def _public(self, request: Request, parts: list[str]) -> Reply | None:
        """Answer what needs no token; None for everything else."""
        asked = " ".join((request.method, *parts))
        new = self.switched["version"] in {"22.2", "22.3"}
        if parts[0] == "auth" and not new:
            return self.error(404, request)
        if parts[:2] == ["login", "oauth"] and self.switched["oauth"] == "off":
            return self.error(404, request)
        answers: dict[str, Callable[[Request], Reply]] = {
            "POST auth sign_in": self._sign_in,
            "POST auth refresh_token": self._refresh,
            "POST auth send_otp": self._send_otp,
            "POST auth verify_otp": self._verify_otp,
            "POST login": self._login,
            "GET login": self._login_status,
            "POST login oauth token": self._oauth,
            "POST login oauth revoke": self._revoke,
        }
        if asked in answers:
            return answers[asked](request)
        if parts[0] == "blobs" and len(parts) == 2:  # /blobs/DIGEST
            return self._blob(request, parts[1])
        known = {one.partition(" ")[2] for one in answers}
        return self.error(405, request) if " ".join(parts) in known else None

    def _private(self, request: Request, parts: list[str]) -> Reply:
        token = self._bearer(request)
        known = self._tokens.get(token)
        if known is None or known.until <= self.now().timestamp():
            return self.error(401, request)
        user = known.user
        match parts:
            case ["auth", "sign_out"]:
                if request.method != "POST":
                    return self.error(405, request)
                self._tokens.pop(token)
                self._refreshes.pop(known.refresh, None)
                return Reply(200)
            case ["auth", "user"]:
                body = {"role": user.role, "password_verified": True, "password_force_reset": False}
                return self._only("GET", request) or _json(200, body)
            case ["user", *rest]:
                return self._own(request, user, rest)
            case ["cdrs" | "calllogs" | "recordings" | "call_reports" | "completed_call_reports", *_]:
                if user.role not in _READS_ALL:
                    return self.error(403, request)
                return self._tenant(request, parts)
        return self.error(404, request)

    def _only(self, method: str, request: Request) -> Reply | None:
        return None if request.method == method else self.error(405, request)

    def _own(self, request: Request, user: _User, parts: list[str]) -> Reply:
        """Answer `/user/…`: the signed-in user's own calls; an administrator without an extension has none."""
        mine = user.extension or "-"
        match parts:
            case ["cdrs"]:
                return self._only("GET", request) or self._listing(request, "cdrs", mine)
            case ["cdrs", "sync_tokens"]:
                return self._only("POST", request) or self._sync_token(request, user)
            case ["cdrs", "sync_tokens", token, "diff"]:
                return self._only("POST", request) or self._diff(request, user, token)
            case ["cdrs", number]:
                return self._only("GET", request) or self._cdr(request, number, mine, own=True)
            case ["recordings"]:
                return self._only("GET", request) or self._listing(request, "recordings", mine)
            case ["recordings", number]:
                return self._only("GET", request) or self._recording(request, number, mine)
        return self.error(404, request)

    def _tenant(self, request: Request, parts: list[str]) -> Reply:
        """Answer what only Admin and QueueManager may read."""
        if parts[0] == "calllogs" and self.switched["version"] == "16":
            return self.error(404, request)
        match parts:
            case ["call_reports" | "completed_call_reports", *_]:
                return self._reporting(request, parts)
            case [kind]:
                return self._only("GET", request) or self._listing(request, kind, "")
            case ["cdrs", number]:
                return self._only("GET", request) or self._cdr(request, number, "", own=False)
            case ["calllogs", number]:
                return self._only("GET", request) or self._calllog(request, number)
            case ["recordings", number]:
                return self._only("GET", request) or self._recording(request, number, "")
        return self.error(404, request)

    def _reporting(self, request: Request, parts: list[str]) -> Reply:
        match request.method, parts:
            case "GET", [kind]:
                return self._report_list(request, kind)
            case "POST", ["call_reports"]:
                return self._create_report(request)
            case "GET", ["call_reports", number]:
                report = self._report(number)
                return _json(200, self._report_row(report, whole=True)) if report else self.error(404, request)
            case "POST", ["call_reports", number]:
                return self._update_report(request, number)
            case "GET", ["completed_call_reports", number]:
                done = self._completed.get(self._read_id(number))
                return _json(200, self._completed_row(done)) if done else self.error(404, request)
            case "POST", [kind, number, "destroy"]:
                held: dict[int, Any] = self._reports if kind == "call_reports" else self._completed
                if held.pop(self._read_id(number), None) is None:
                    return self._failed(400, "UNKNOWN", _BAD_ID)
                return Reply(204)
        return self.error(405 if len(parts) <= 3 else 404, request)  # /KIND/ID/destroy

    # sign-in

    @staticmethod
    def _bearer(request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""

    def _credentials_of(self, body: Mapping[str, Any]) -> _User | None:
        """Return whom username, password and domain name; raises `_RefusedError` for what the OpenAPI file forbids."""
        for name, longest in (("username", _NAME_LENGTH), ("password", _INT32), ("domain", _DOMAIN_LENGTH)):
            value = body.get(name)
            if name == "domain" and value is None:
                continue
            if not isinstance(value, str) or len(value) > longest or (not value and name != "password"):
                raise _RefusedError(name)
        given = body["username"], body["password"], body.get("domain", "")
        return next((one for one in USERS if given == (one.username, one.password, one.domain)), None)

    def _not_signed_in(self) -> Reply:
        return self._failed(400, "UNAUTHORIZED", _BAD_SIGN_IN)

    def _token_body(self, user: _User, refresh: str = "") -> Row:
        """Return a new access token with a refresh token, in the key order of `/auth/sign_in`."""
        self._issued += 1
        mark = digest("portsip token", self._issued)[:16]
        token = f"EXAMPLE-PORTSIP-ACCESS-{self._issued}-{mark}"
        refresh = refresh or f"EXAMPLE-PORTSIP-REFRESH-{self._issued}-{mark}"
        life = int(self.switched["token_ttl"])
        self._tokens[token] = _Token(user, self.now().timestamp() + life, refresh)
        self._refreshes[refresh] = user
        return {"token_type": "Bearer", "access_token": token, "refresh_token": refresh, "expires_in": life}

    def _sign_in(self, request: Request) -> Reply:
        user = self._credentials_of(_object(request))
        if user is None:
            return self._not_signed_in()
        if self.switched["two_factor"] == "on":
            self._issued += 1
            token = f"EXAMPLE-PORTSIP-SESSION-{digest('portsip session', self._issued)[:16]}"
            self._waiting[token] = user
            return _json(200, {"two_factor_enabled": True, "token": token})
        return _json(200, self._token_body(user))

    def _send_otp(self, request: Request) -> Reply:
        return Reply(200) if _object(request).get("token") in self._waiting else self._not_signed_in()

    def _verify_otp(self, request: Request) -> Reply:
        body = _object(request)
        user = self._waiting.get(str(body.get("token")))
        if user is None or body.get("code") != OTP_CODE:
            return self._not_signed_in()
        self._waiting.pop(str(body["token"]))
        return self._opened(user)

    def _login(self, request: Request) -> Reply:
        """Answer `POST /login`: the one form every version has; no second factor can be given here."""
        user = self._credentials_of(_object(request))
        if user is None or self.switched["two_factor"] == "on":
            return self._not_signed_in()
        return self._opened(user)

    def _opened(self, user: _User) -> Reply:
        """Return a token, or nothing but a session whose token `GET /login` tells."""
        body = self._token_body(user)
        session = digest("portsip cookie", self._issued)
        self._sessions[session] = body["access_token"]
        headers = {"Set-Cookie": f"session={session}; Path=/; HttpOnly"}
        if self.switched["login_body"] == "empty":
            return Reply(200, b"", headers)
        return _json(200, body, headers)

    def _login_status(self, request: Request) -> Reply:
        read = re.search(r"(?:^|;)\s*session=([0-9a-f]+)", request.headers.get("cookie", ""))
        token = self._bearer(request) or (self._sessions.get(read[1], "") if read else "")
        known = self._tokens.get(token)
        now = self.now().timestamp()
        if known is None or known.until <= now:
            return self.error(401, request)
        left = int(self.switched["token_ttl"]) if math.isinf(known.until) else math.ceil(known.until - now)
        body = {
            "access_token": token,
            "expires_at": _time_text(round((now + left) * _MICRO)),
            "expires_in": left,
            "role": known.user.role,
        }
        return _json(200, body)

    def _refresh(self, request: Request) -> Reply:
        return self._refreshed(_object(request).get("refresh_token"))

    def _refreshed(self, refresh: object) -> Reply:
        user = self._refreshes.get(refresh) if isinstance(refresh, str) else None
        if user is None:
            return self._failed(400, "UNKNOWN", "unknown error")
        if self.switched["rotate"] == "off":
            return _json(200, self._token_body(user, str(refresh)))
        self._refreshes.pop(str(refresh))
        return _json(200, self._token_body(user))

    def _oauth(self, request: Request) -> Reply:
        """Answer `POST /login/oauth/token`, whose token has another key order than `/auth/sign_in`."""
        form = _form(request)
        if form.get("client_id") != CLIENT_ID:
            return self._not_signed_in()
        if form.get("grant_type") == "refresh_token":
            reply = self._refreshed(form.get("refresh_token"))
        elif form.get("grant_type") == "password":
            user = self._credentials_of(form)
            if user is None or self.switched["two_factor"] == "on":
                return self._not_signed_in()
            reply = _json(200, self._token_body(user))
        else:
            raise _RefusedError("grant_type")
        if reply.status != 200:
            return reply
        body = json.loads(reply.body)
        names = ("access_token", "expires_in", "refresh_token", "token_type")
        return _json(200, {name: body[name] for name in names})

    def _revoke(self, request: Request) -> Reply:
        token = self._bearer(request) or _form(request).get("token", "")
        known = self._tokens.pop(token, None)
        if known is None:
            return self.error(401, request)
        self._refreshes.pop(known.refresh, None)
        return Reply(200)

    def _over_limit(self) -> Reply | None:
        """Count the request of this minute: release notes, `[apigateway] access_limit`."""
        if self.switched["limits"] == "off":
            return None
        wanted = self.switched["access_limit"]
        limit = _ACCESS_LIMIT[self.switched["version"]] if wanted == "release" else int(wanted)
        now = int(self.now().timestamp())
        minute, spent = self._spent
        spent = spent + 1 if minute == now // _MINUTE else 1
        self._spent = now // _MINUTE, spent
        if spent <= limit:
            return None
        headers = {"Retry-After": str(_MINUTE - now % _MINUTE)} if self.switched["retry_after"] == "seconds" else {}
        return self._failed(int(self.switched["throttle"]), "UNKNOWN", "too many requests", headers=headers)

    # listings

    def _asked(self, request: Request, fields: Sequence[str], largest: int, *, free: bool) -> _Asked:
        """Return the query options; `free` ignores filter, search and orderby as some releases may."""
        values = request.values
        top = _whole(values.get("top"), "top", 1, largest, _PAGE)
        skip = _whole(values.get("skip"), "skip", 0, _INT32, 0)
        if values.get("count", "true") not in {"true", "false"}:
            raise _RefusedError("count")
        count = values.get("count") == "true"
        skip = max(0, skip - int(self.switched["skip"]))
        if free:
            return _Asked(None, [], top, skip, count, "")
        condition = None
        if values.get("filter", "").strip():
            condition = parse_filter(values["filter"], fields, self.switched["bounds"])
        order = parse_order(values["orderby"], fields) if values.get("orderby", "").strip() else []
        return _Asked(condition, order, top, skip, count, values.get("search", "").casefold())

    def _page(self, asked: _Asked, rows: Sequence[Row], count: int) -> Reply:
        shown = self.switched["count"] == "always" or (self.switched["count"] == "asked" and asked.count)
        said = {
            "right": count,
            "zero": 0,
            "page": len(rows),
            "half": count // 2,
            "shrinking": max(0, count - asked.skip),
            "true": True,
            "negative": -1,
        }
        return _json(200, ({"count": said[self.switched["total"]]} if shown else {}) | {"items": list(rows)})

    def _listing(self, request: Request, kind: str, user: str) -> Reply:
        """Answer a list of calls or recordings; without an order, the newest come first, as in real answers."""
        fields = self._fields(kind)
        recordings = kind == "recordings"
        largest = _PAGE if recordings else int(self.switched["top_max"])
        free = self.switched["query"] == "ignored" and not recordings
        asked = self._asked(request, fields, largest, free=free)
        span = asked.condition.span if asked.condition else _ALWAYS
        if span[0] != _ALWAYS[0] and span[0] < self._oldest() and self.switched["lookback"] == "400":
            raise _RefusedError("filter")
        stored = self._visible(kind, span, user)
        values = request.values
        key = (kind, user, span, values.get("filter"), asked.order, asked.search, free, len(stored), self._switches())
        if self._listed[0] == key and self.switched["dropped"] == "0":
            found = self._listed[1]
        else:
            found = self._chosen(stored, asked)
            self._listed = key, found
        found = self._as_landed(found, request)
        page = found[asked.skip : asked.skip + asked.top]
        return self._page(asked, [self._row(one) for one in page], len(found))

    def _chosen(self, stored: list[_Stored], asked: _Asked) -> list[_Stored]:
        """Return what passes filter and search, in the order asked for."""
        found = stored
        condition = asked.condition
        if (condition and not condition.exact) or asked.search:
            rows = [(self._row(one), one) for one in stored]
            found = [one for row, one in rows if (not condition or condition.holds(row)) and _has(row, asked.search)]
        if not asked.order:
            return found[::-1]
        if asked.order in ([("started_at", False)], [("started_at", False), ("id", False)]):
            return found
        keyed = [(self._row(one), one) for one in found]
        for name, descending in reversed(asked.order):
            keyed.sort(key=lambda pair: _sort_key(pair[0], name), reverse=descending)
        return [one for _, one in keyed]

    def _as_landed(self, found: list[_Stored], request: Request) -> list[_Stored]:
        """Return the list as far as it has landed: `grow` calls are missing from each of the first three pages."""
        grow = int(self.switched["grow"])
        if not grow:
            return found
        key = request.path, request.values.get("filter", "")
        pages = self._landed.get(key, 0)
        self._landed[key] = pages + 1
        late = min(grow * max(0, 3 - pages), len(found) // 2)
        away = {one.number for one in sorted(found, key=lambda one: digest("late", one.number))[:late]}
        return [one for one in found if one.number not in away]

    def _switches(self) -> tuple[str, ...]:
        return tuple(self.switched.values())

    def _fields(self, kind: str) -> tuple[str, ...]:
        if kind == "recordings":
            return RECORDING_KEYS
        keys = CALLLOG_KEYS if kind == "calllogs" else CDR_KEYS
        return keys[:-2] if self.switched["version"] == "16" else keys

    def _oldest(self) -> int:
        """Return how far back records are kept, in Unix microseconds: five years since v22.5.0."""
        now = self.now()
        day = 28 if (now.month, now.day) == (2, 29) else now.day
        return _micros(now.replace(year=now.year - _LOOK_BACK_YEARS, day=day))

    def _visible(self, kind: str, span: Span, user: str) -> list[_Stored]:
        """Return the records that begin within the span and exist by now, oldest first."""
        now = milliseconds(self.now())
        first = self.exchange.first
        begun = now // DAY * DAY - _HISTORY if first is None else first
        low = max(span[0], self._oldest(), begun * _MILLI)
        # Whatever has ended by now has begun by now: a window without an end is one until the next midnight.
        high = min(span[1], (now // DAY + 1) * DAY * _MILLI)
        key = kind, user, low, high, self.switched["late"]
        if self._kept[0] != key:
            stored = self._stored(kind, low, high, user) if low < high else []
            self._kept = key, max((one.seen for one in stored), default=0), stored
        _, settled, stored = self._kept
        share = self.switched["dropped"]
        if share != "0":
            return [one for one in stored if one.seen <= now and not dropped(share, str(one.number), one.seen, now)]
        return stored if settled <= now else [one for one in stored if one.seen <= now]

    def _stored(self, kind: str, low: int, high: int, user: str) -> list[_Stored]:
        reach = self.exchange.longest if kind != "cdrs" else 0
        found: list[_Stored] = []
        begun, nth = -1, 0
        for call in self.exchange.calls_between(low // _MILLI - reach, -(-high // _MILLI)):
            nth = nth + 1 if call.start == begun else 0
            begun = call.start
            if not user or _is_of(call, user):
                found += [one for one in self._late(_records(kind, call, nth)) if low <= one.start < high]
        found.sort(key=lambda one: (one.start, one.number))
        return found

    def _late(self, records: list[_Stored]) -> list[_Stored]:
        """Return the records, a share of them later than usual."""
        share = self.switched["late"]
        if not float(share):
            return records
        return [replace(one, seen=one.seen + delay(share, "late", str(one.number))) for one in records]

    # one record

    def _id(self, number: int) -> str:
        text = str(number)
        return base64.b64encode(text.encode()).decode() if self.switched["ids"] == "base64" else text

    def _read_id(self, text: str) -> int:
        """Return the number of an id; 0, which nothing has, for what cannot be one."""
        if self.switched["ids"] == "base64":
            try:
                text = base64.b64decode(text, validate=True).decode("ascii")
            except ValueError:
                return 0
        return int(text) if re.fullmatch(r"[1-9]\d{0,18}", text, re.ASCII) else 0

    def _find(self, kind: str, text: str, user: str) -> _Stored | Reply:
        number = self._read_id(text)
        if not number:
            return self._failed(400, "UNKNOWN", _BAD_ID)
        at = (number >> _LOW_BITS) + EPOCH
        reach = self.exchange.longest
        calls = self.exchange.calls_between(at, at + 1)
        nth = number >> (_LEG_BITS + 2) & _CALL_MASK
        records = self._late(_records(kind, calls[nth], nth)) if nth < len(calls) else []
        found = next((one for one in records if one.number == number), None)
        now = milliseconds(self.now())
        if found is None or found.seen > now or at < self._oldest() // _MILLI - reach:
            return self._failed(404, "UNKNOWN", "not found")
        if user and not _is_of(found.call, user):
            return self._failed(404, "UNKNOWN", "not found")
        return found

    def _cdr(self, request: Request, text: str, user: str, *, own: bool) -> Reply:  # noqa: ARG002 - one shape
        """Answer one CDR: an array of its legs, or, for the user's own, an object without the duration."""
        found = self._find("cdrs", text, user)
        if isinstance(found, Reply):
            return found
        rows = [self._row(found)]
        prices = [(_cost(found.call), _account(found.call))]
        targets = _targets(found.call)[: int(self.switched["legs"])]
        if len(targets) > 1:
            logs = _records("calllogs", found.call, 0)[: len(targets)]
            rows = [self._row(one) for one in logs]
            prices += [(0.0, "")] * (len(targets) - 1)
        items = [self._priced(row, *price) for row, price in zip(rows, prices, strict=True)]
        for item in items:
            item.pop("id")
            item.pop("session_id", None)
        if own:
            items[0].pop("duration")
            return _json(200, {"items": items[0]})
        return _json(200, {"items": items})

    def _calllog(self, request: Request, text: str) -> Reply:  # noqa: ARG002 - one shape
        found = self._find("calllogs", text, "")
        if isinstance(found, Reply):
            return found
        first = found.number == _records("calllogs", found.call, 0)[0].number
        price = (_cost(found.call), _account(found.call)) if first else (0.0, "")
        return _json(200, self._priced(self._row(found), *price))

    def _priced(self, row: Row, cost: float, account: str) -> Row:
        """Return a row with what only a detail has, after the duration."""
        wider: Row = {}
        for name, value in row.items():
            wider[name] = value
            if name == "duration":
                wider |= {"cost": cost, "billed_account": self._nothing(account)}
        return wider

    def _recording(self, request: Request, text: str, user: str) -> Reply:  # noqa: ARG002 - one shape
        found = self._find("recordings", text, user)
        if isinstance(found, Reply):
            return found
        row = self._row(found)
        begun, ended = (_read_time(row[name]) or 0 for name in ("started_at", "ended_at"))
        row.pop("id")
        numbers = f"{found.number - _RECORDING + _CDR}_{row['caller']}_{found.number % 60_000}"
        row |= {
            "duration": ended // _MICRO - begun // _MICRO,
            "file_name": f"{_TENANT}_{numbers}_{instant(begun // _MILLI):%m%d%Y_%H%M%S}.wav",
            "file_size": len(_SILENCE),
            "file_url": f"/api/blobs/{_blob_of('recording', found.number)}r{found.number}",
        }
        return _json(200, {"items": [row]})

    # changes of a user's own calls

    def _sync_token(self, request: Request, user: _User) -> Reply:
        text = request.values.get("date_from", "")
        begun = _read_time(text) if text else _micros(self.now())
        if begun is None:
            raise _RefusedError("date_from")
        return _json(201, {"token": self._synced(user, begun, 0 if text else milliseconds(self.now()))})

    def _synced(self, user: _User, begun: int, told: int) -> str:
        self._issued += 1
        token = digest("portsip sync", self._issued)
        self._syncs[token] = user, begun, told
        return token

    def _diff(self, request: Request, user: _User, token: str) -> Reply:
        """Answer the user's own calls that came to be since the token; calls of the PBX never change afterwards."""
        known = self._syncs.get(token)
        if known is None or known[0] != user:
            return self.error(403, request)
        _, begun, told = known
        now = milliseconds(self.now())
        names = (
            *("caller", "callee", "started_at", "answered_at", "ended_at"),
            *("outbound_caller_id", "did_cid", "trunk", "status_code"),
        )
        low = begun if not told else begun - self.exchange.longest * _MILLI
        stored = [one for one in self._visible("cdrs", (low, _ALWAYS[1]), user.extension or "-") if one.seen > told]
        items = []
        for one in stored:
            row = self._row(one)
            part = {name: row[name] for name in names}
            items.append({"id": row["id"], "change_type": "CREATED", "items": [part]})
        return _json(200, {"token": self._synced(user, begun, now), "items": items})

    # rows

    def _nothing(self, text: str) -> str | None:
        return None if not text and self.switched["empty"] == "null" else text

    def _row(self, one: _Stored) -> Row:
        """Return a record as it stands on the wire."""
        kind = one.number & 3
        if kind == _RECORDING:
            return self._recording_row(one)
        row: Row = {"id": self._id(one.number)}
        if kind == _LOG:
            row["session_id"] = self._id(one.session)
        values = self._of_leg(one.call, one.leg) if one.leg else self._of_call(one.call)
        row |= values
        wait = delay(self.switched["changed"], "changed", str(one.number))
        if wait and milliseconds(self.now()) < one.seen + wait:
            row["end_reason"] = ""
        if self.switched["version"] == "16":
            del row["service_number"], row["user_data"]
        for name in ("rang_at", "answered_at"):
            row[name] = row[name] or _NO_TIME[self.switched["no_time"]]
        if self.switched["empty"] == "null":
            row = {name: None if value == "" else value for name, value in row.items()}
        return row

    def _recording_row(self, one: _Stored) -> Row:
        call = self._of_call(one.call)
        leg = one.leg or one.call.legs[0]
        begun = leg.start if leg.answer is None else leg.answer
        return {
            "id": self._id(one.number),
            "caller": call["caller"],
            "callee": call["callee"],
            "started_at": _time_text(begun * _MILLI),
            "ended_at": _time_text(leg.end * _MILLI),
        }

    def _of_call(self, call: Call) -> Row:
        """Return the values of a whole call."""
        first = call.legs[0]
        second = call.legs[1] if len(call.legs) > 1 and call.legs[1].direction == "terminating" else None
        service = second.party if second and second.party.kind in _SERVICES else None
        moved = call.kind.removesuffix("_transfer") if call.kind.endswith("_transfer") else ""
        if first.answer is not None:
            code = 0
            ended = {"blind": "BLIND_TRANSFER_COMPLETED", "consulted": "CONSULT_TRANSFER_COMPLETED"}.get(moved, "")
            ended = ended or self._hung_up(by_caller=first.released_by == "local" or first.cause == "abandoned")
        else:
            code = _STATUS.get(first.cause, 0)
            ended = "CANCELLED" if first.cause == "cancelled" else ""
        rang = second.start if second else first.start + min(80, self._until_ring(first))
        never = first.answer is None and first.cause in _NEVER_RANG
        service_number = service.extension if service else ""
        told = f"user-data={digest('user', call.id)[:6]};service-number={service_number}" if service else ""
        return self._values(
            call,
            first,
            (call.start, None if never else rang, first.answer, call.end),
            callee=second.party if second else None,
            end_reason=ended,
            reroute_reason=self._rerouted(call, moved),
            status_code=code,
            destination=self._destination(call, second),
            service_number=service_number,
            user_data=told,
        )

    @staticmethod
    def _until_ring(leg: Leg) -> int:
        return (leg.end if leg.answer is None else leg.answer) - leg.start

    def _hung_up(self, *, by_caller: bool) -> str:
        """Return who ended it; releases before v22.5.1 leave it empty when the callee did."""
        if self.switched["end_reason"] == "doc":
            return "CALLER_DISCONNECTED" if by_caller else "CALLEE_DISCONNECTED"
        return "CALLER_DISCONNECT" if by_caller else ""

    def _rerouted(self, call: Call, moved: str) -> str:
        if moved:
            return "TRANSFER"
        if self.switched["version"] != "22.3":
            return ""
        if call.kind == "queue" and call.outcome == "abandoned":
            return "QUEUE_ABANDONED"
        if call.outcome == "voicemail" and call.kind != "voicemail_retrieval":
            return "FORWARDING_NO_ANSWER"
        return "FORWARDING_UNCONDITIONAL" if _leaves_again(call) else ""

    @staticmethod
    def _destination(call: Call, target: Leg | None) -> str:
        """Return where the call was sent, where that is not the number called."""
        if target is not None and _leaves_again(call):
            return f"sip:{_digits(target.party.number)}@{_TRUNKS[_NO_TRUNK]}:5060"
        return ""

    def _of_leg(self, call: Call, leg: Leg) -> Row:
        """Return the values of one part of a call."""
        legs = call.legs
        cause = leg.cause
        if cause.endswith("_transfer"):
            ended = "BLIND_TRANSFER_COMPLETED" if cause.startswith("blind") else "CONSULT_TRANSFER_COMPLETED"
        elif leg.answer is None:
            ended = "CANCELLED" if cause == "cancelled" else ""
        elif leg.party.kind in _SERVICES and any(one.related == leg.id and one.answer for one in legs):
            ended = "REFERRED"
        else:
            caller_left = (leg.released_by == "remote") == (leg.direction == "terminating")
            ended = self._hung_up(by_caller=caller_left)
        handed = bool(leg.transfer) and bool(leg.related)
        service = leg.party if leg.party.kind in _SERVICES else leg.queue or leg.hunt_group
        rang = leg.start + min(80, self._until_ring(leg))
        never = leg.answer is None and cause in _NEVER_RANG
        device = leg.party.is_user and leg.direction == "terminating"
        port = 5060 + int(digest("port", leg.party.id)[:3], 16)
        return self._values(
            call,
            leg,
            (leg.start, None if never else rang, leg.answer, leg.end),
            callee=leg.party if leg.direction == "terminating" else None,
            end_reason=ended,
            reroute_reason="TRANSFER" if handed else "",
            status_code=0 if leg.answer is not None else _STATUS.get(cause, 0),
            destination=f"sip:{leg.party.extension}@192.0.2.135:{port}" if device else "",
            service_number=service.extension if service else "",
            user_data="",
        )

    def _values(
        self,
        call: Call,
        leg: Leg,
        times: tuple[int, int | None, int | None, int],
        *,
        callee: Party | None,
        **rest: Any,
    ) -> Row:
        """Return the fields of a row in wire order; `callee` is known where somebody was called."""
        more = _beyond(call)
        start, rang, answer, end = times
        way = _way(call)
        trunk = (leg.trunk or call.legs[0].trunk or _NO_TRUNK) if way != "internal" else ""
        address = _TRUNKS.get(trunk, _OTHER_TRUNK)
        caller_number, callee_number = leg.from_number, leg.to_number
        if way == "outbound":
            placed = call.legs[0].party
            caller_number = placed.extension
        elif callee is not None:
            callee_number = callee.extension or callee.number
        outer = way == "outbound" and (callee is None or callee.kind == "outside" or leg.direction == "originating")

        def text(at: int | None) -> str:
            return "" if at is None else _time_text(at * _MILLI + more)

        first = call.legs[0]
        words = {"inbound": "INBOUND_CALL", "outbound": "OUTBOUND_CALL", "internal": "EXTENSION_CALL"}
        direction = "INBOUND_OUTBOUND_CALL" if _leaves_again(call) else words[way]
        micros = (0 if answer is None else answer) * _MILLI + more, end * _MILLI + more
        return {
            "caller": _digits(caller_number),
            "caller_domain": address if way == "inbound" and leg.from_number == first.from_number else DOMAIN,
            "caller_display_name": leg.from_name,
            "callee": _digits(callee_number),
            "callee_domain": address if outer else DOMAIN,
            "callee_display_name": leg.to_name,
            "started_at": text(start),
            "rang_at": text(rang),
            "answered_at": text(answer),
            "ended_at": text(end),
            "call_id": _sip_id(call.id if leg is first else leg.id),
            "direction": direction,
            "end_reason": rest["end_reason"],
            "reroute_reason": rest["reroute_reason"],
            "status_code": rest["status_code"],
            "destination": rest["destination"],
            "outbound_caller_id": _digits(first.from_number) if way == "outbound" else "",
            "did_cid": _digits(first.dialed or first.to_number) if way == "inbound" else "",
            "trunk": trunk,
            # Seconds are cut before they are subtracted: 35 for 34.19 s in a real answer.
            "duration": 0 if answer is None else micros[1] // _MICRO - micros[0] // _MICRO,
            "service_number": rest["service_number"],
            "user_data": rest["user_data"],
        }

    # call reports

    def _new_id(self) -> int:
        """Return the next id of a report or a completed report."""
        self._given += 1
        return (milliseconds(self.now()) - EPOCH) << _LOW_BITS | self._given

    def _report(self, text: str) -> _Report | None:
        return self._reports.get(self._read_id(text))

    def _create_report(self, request: Request) -> Reply:
        body = _checked_report(_object(request))
        now = self.now()
        report = _Report(self._new_id(), body, now, now)
        if not body.get("cron_expr"):
            report.runs.append(now)
        self._reports[report.number] = report
        return _json(201, {"id": self._id(report.number)})

    def _update_report(self, request: Request, text: str) -> Reply:
        report = self._report(text)
        if report is None:
            return self.error(404, request)
        changes = {name: value for name, value in _object(request).items() if name != "type"}
        report.body = _checked_report(report.body | changes)
        report.looked = self.now()
        return Reply(200)

    def _report_row(self, report: _Report, *, whole: bool) -> Row:
        body = report.body
        names = ("name", "type", *(("email", "format", "range", "started_at", "ended_at") if whole else ()))
        row: Row = {"id": self._id(report.number)}
        row |= {name: self._nothing(body.get(name, "")) for name in (*names, "cron_expr")}
        if whole:
            row["filter"] = body["filter"]
        return row | {"status": self._status(report)}

    def _status(self, report: _Report) -> str:
        """Return what is said of a report: no status says that one is done."""
        if report.done < len(report.runs):
            aborts = self.switched["report"] == "aborts" and self._is_over(report.runs[report.done])
            return "ABORTED" if aborts else "RUNNING"
        after = self.switched["report_after"]
        return "SCHEDULED" if report.body.get("cron_expr") or after == "gone" else after

    def _is_over(self, began: datetime) -> bool:
        return began + timedelta(seconds=int(self.switched["report_delay"])) <= self.now()

    def _run_reports(self) -> None:
        """Begin and complete every report that is due by now."""
        now = self.now()
        for report in list(self._reports.values()):
            if report.body.get("cron_expr") and now > report.looked:
                cron = parse_cron(report.body["cron_expr"])
                at = max(report.looked, now - _LONGEST_LOOK).replace(second=0, microsecond=0) + _SMALLEST_LOOK
                while at <= now:
                    if cron.due(at):
                        report.runs.append(at)
                    at += _SMALLEST_LOOK
                report.looked = now
            while report.done < len(report.runs) and self.switched["report"] == "completes":
                began = report.runs[report.done]
                if not self._is_over(began):
                    break
                report.done += 1
                done = self._complete(report, began)
                self._completed[done.number] = done
            finished = report.runs and report.done == len(report.runs) and not report.body.get("cron_expr")
            if finished and self.switched["report_after"] == "gone":
                del self._reports[report.number]

    def _complete(self, report: _Report, began: datetime) -> _Completed:
        body = report.body
        at = began + timedelta(seconds=int(self.switched["report_delay"]))
        number = self._new_id()
        low, high = _range_of(body, began)
        content = self._content(body, (low, high), milliseconds(began))
        return _Completed(
            number, body["name"], body["type"], body["format"], at, content, _blob_of("report", number, report.number)
        )

    def _content(self, body: Row, span: Span, ran: int) -> bytes:
        """Return the file; the PBX's columns are not published, these are ours."""
        table = self._table(body, span, ran)
        if body["format"] == "HTML":
            cells = "".join(
                f"<tr>{''.join(f'<td>{escape(str(value))}</td>' for value in row)}</tr>\n" for row in table[1:]
            )
            head = "".join(f"<th>{escape(str(value))}</th>" for value in table[0])
            page = f"<html><head><meta charset='utf-8'><title>{escape(body['name'])}</title></head><body><table>\n"
            return f"<!DOCTYPE html>\n{page}<tr>{head}</tr>\n{cells}</table></body></html>\n".encode()
        out = io.StringIO(newline="")
        csv.writer(out).writerows(table)
        return out.getvalue().encode()

    def _table(self, body: Row, span: Span, ran: int) -> list[list[Any]]:
        wanted, kind = body["filter"], body["type"]
        stored = [one for one in self._visible("cdrs", span, "") if one.seen <= ran]
        pairs = [(one.call, self._row(one)) for one in stored]
        if kind == "NORMAL":
            return _normal_table([row for _, row in pairs if _normal_holds(row, wanted)][:LARGEST_REPORT])
        if kind == "EXTENSION_GROUP_CALL_COST":
            return _cost_table(call for call, _ in pairs)
        group = HUNT_GROUP if kind == "RING_GROUP_STATISTICS" else QUEUE
        numbers = wanted.get("ring_groups") or wanted.get("call_queues") or [group.extension]
        dropped = 0
        if wanted.get("enable_exclude_calls_dropped_before_seconds"):
            dropped = wanted.get("exclude_calls_dropped_before_seconds", 0)
        calls = [
            (call, row)
            for call, row in pairs
            if call.kind == group.kind and not (call.outcome == "abandoned" and row["duration"] < dropped)
        ]
        if kind == "QUEUE_ABANDONED_CALLS":
            gone = [row for call, row in calls if call.outcome == "abandoned" and row["callee"] in numbers]
            return _normal_table(gone)
        return _group_table(numbers, calls)

    def _completed_row(self, done: _Completed) -> Row:
        return {
            "id": self._id(done.number),
            "name": done.name,
            "type": done.type,
            "format": done.format,
            "completed_at": _time_text(_micros(done.at)),
            "file_name": self._nothing(self._file_name(done)),
            "file_size": len(done.content),
            "file_url": self._file_url(done),
        }

    def _file_name(self, done: _Completed) -> str:
        plain = f"{done.type.lower()}_{done.at:%Y%m%d%H%M%S}.{done.format.lower()}"
        names = {
            "plain": plain,
            "traversal": f"../../{plain}",
            "absolute": f"/etc/cron.d/{plain}",
            "control": f"\x1b[2J\r\n\x00{plain}",
            "empty": "",
        }
        return names[self.switched["file_name"]]

    def _file_url(self, done: _Completed) -> str:
        plain = f"/api/blobs/{done.blob}"
        urls = {
            "plain": plain,
            "absolute": f"https://files.elsewhere.example{plain}",
            "network_path": f"//files.elsewhere.example{plain}",
            "outside": "/api/cdrs",
            "traversal": "/api/blobs/../cdrs",
        }
        return urls[self.switched["file_url"]]

    def _report_list(self, request: Request, kind: str) -> Reply:
        fields = REPORT_KEYS if kind == "call_reports" else COMPLETED_KEYS
        asked = self._asked(request, fields, _PAGE, free=False)
        if kind == "call_reports":
            rows = [self._report_row(one, whole=False) for one in self._reports.values()]
        else:
            rows = [self._completed_row(one) for one in self._completed.values()]
        condition = asked.condition
        rows = [row for row in rows if (not condition or condition.holds(row)) and _has(row, asked.search)]
        for name, descending in reversed(asked.order):
            rows.sort(key=lambda row: _sort_key(row, name), reverse=descending)
        return self._page(asked, rows[asked.skip : asked.skip + asked.top], len(rows))

    def _blob(self, request: Request, name: str) -> Reply:
        """Answer a file to whoever knows its address: no token is asked for."""
        if request.method != "GET":
            return self.error(405, request)
        done = next((one for one in self._completed.values() if one.blob == name), None)
        if done is not None:
            return _file(self._file_name(done), done.content)
        secret, _, number = name.partition("r")
        if number.isdecimal() and secret == _blob_of("recording", int(number)):
            return _file("recording.wav", _SILENCE)
        return self.error(404, request)

    # answers

    def _failed(
        self, status: int, code: str, message: str, detail: Row | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Return an error as the guide's "Error" shows it: a list of codes with messages."""
        way = self.switched["errors"]
        if way == "empty":
            return Reply(status, b"", dict(headers or {}))
        if way == "{}":
            return _json(status, {}, headers)
        one: Row = {"code": "SOMETHING_NEW" if way == "new_code" else code, "message": message}
        if detail is not None:
            one["detail"] = detail
        return _json(status, {"errors": [one]}, headers)


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, dumped(body), {"Content-Type": "application/json"} | dict(headers or {}))


def _file(name: str, content: bytes) -> Reply:
    """Return a file; a name that a header cannot hold as it is comes percent-encoded (RFC 6266)."""
    plain = name.isascii() and name.isprintable()
    shown = f'filename="{name}"' if plain else f"filename*=UTF-8''{quote(name, safe='')}"
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": f"attachment; {shown}"}
    return Reply(200, content, headers)


def _object(request: Request) -> Row:
    """Return the JSON object of a body; raises `_RefusedError` for anything else."""
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _RefusedError("body")
    return body


def _form(request: Request) -> dict[str, str]:
    read = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in read.items()}


def _whole(text: str | None, name: str, low: int, high: int, default: int) -> int:
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or not low <= int(text) <= high:
        raise _RefusedError(name)
    return int(text)


def _has(row: Row, wanted: str) -> bool:
    """Return whether a text field of a row holds the words searched for, in whatever case."""
    return not wanted or any(isinstance(value, str) and wanted in value.casefold() for value in row.values())


def _records(kind: str, call: Call, nth: int) -> list[_Stored]:
    """Return what the PBX stores of a call: one CDR, a log per target, a recording if there is one."""
    more = _beyond(call)
    session = _number(call, nth, 0, _SESSION)
    if kind == "cdrs":
        return [_Stored(call.start * _MILLI + more, call.end, session + _CDR, session, call)]
    if kind == "recordings":
        leg = next((one for one in call.legs if one.recorded), None)
        if leg is None:
            return []
        begun = leg.start if leg.answer is None else leg.answer
        return [_Stored(begun * _MILLI, call.end, session + _RECORDING, session, call, leg)]
    return [
        _Stored(leg.start * _MILLI + more, call.end, _number(call, nth, n, _LOG), session, call, leg)
        for n, leg in enumerate(_targets(call))
    ]


def _leaves_again(call: Call) -> bool:
    """Return whether a call from outside is sent on to a mobile telephone."""
    return call.kind == "inbound" and len(call.legs) > 1 and call.legs[1].party.device == "mobile"


def _sip_id(name: str) -> str:
    raw = base64.urlsafe_b64encode(bytes.fromhex(digest("sip", name))).decode()
    return f"{raw.rstrip('=').replace('_', 'x').replace('-', 'y')}.."


def _cost(call: Call) -> float:
    """Return what an answered outward call costs: whole minutes; no currency is ever told."""
    first = call.legs[0]
    cents = {"national": 2, "international": 12}.get(first.route, 0)
    if _way(call) != "outbound" or first.answer is None:
        return 0.0
    return math.ceil(first.talk_seconds / _MINUTE) * cents / 100


def _account(call: Call) -> str:
    return call.legs[0].party.extension if _cost(call) else ""


def _blob_of(*parts: object) -> str:
    raw = base64.urlsafe_b64encode(bytes.fromhex(digest("blob", *parts))).decode().rstrip("=")
    return raw.replace("_", "x").replace("-", "y").replace("r", "q") + "AAAEu00WcK"


_SILENCE = (
    b"RIFF\x34\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00\x80>\x00\x00\x02\x00\x10\x00"
    b"data\x10\x00\x00\x00" + bytes(16)
)

# Tables of reports.

_NORMAL_COLUMNS = ("Start Time", "Caller", "Callee", "Answer Time", "End Time", "Status", "Ring", "Talk", "Trunk")


def _ring(row: Row) -> int:
    rang = _read_time(row["rang_at"] or "")
    until = _read_time(row["answered_at"] or "") or _read_time(row["ended_at"]) or 0
    return 0 if rang is None else (until - rang) // _MICRO


def _normal_table(rows: Sequence[Row]) -> list[list[Any]]:
    table: list[list[Any]] = [list(_NORMAL_COLUMNS)]
    for row in rows:
        answered = _read_time(row["answered_at"] or "") is not None
        status, answer = ("Answered", row["answered_at"]) if answered else ("Not answered", "")
        times = row["started_at"], row["caller"], row["callee"], answer, row["ended_at"]
        table.append([*times, status, _ring(row), row["duration"], row["trunk"] or ""])
    return table


def _normal_holds(row: Row, wanted: Row) -> bool:
    """Return whether a call passes the filter of a NORMAL report."""
    for side, column in (("from", "caller"), ("to", "callee")):
        if not _party_holds(row[column] or "", wanted.get(side, "ANY"), wanted.get(f"{side}_value", "")):
            return False
    state = wanted.get("answer_state", "ANY")
    if state != "ANY" and (state == "ANSWERED") != (_read_time(row["answered_at"] or "") is not None):
        return False
    measure = wanted.get("duration", "ANY")
    if measure == "ANY":
        return True
    seconds = _ring(row) if measure == "RING_DURATION" else row["duration"]
    return bool(wanted.get("duration_from", 0) <= seconds <= wanted.get("duration_to", _INT32))


_EXTENSIONS = frozenset(party.extension for party in (*PEOPLE, QUEUE, HUNT_GROUP, ATTENDANT))


def _party_holds(number: str, kind: str, value: str) -> bool:
    inside = number in _EXTENSIONS
    if kind == "EXTENSION_OR_EXTENSION_RANGE":
        first, _, last = value.partition("-")
        return inside and int(first) <= int(number) <= int(last or first)
    tests = {
        "ANY": True,
        "NUMBER": number == value,
        "NUMBERS_START_WITH": number.startswith(value),
        "NUMBERS_CONTAIN": value in number,
        "INTERNAL_EXTENSIONS": inside,
        "EXTERNAL_NUMBERS": not inside,
    }
    return tests[kind]


def _cost_table(calls: Iterable[Call]) -> list[list[Any]]:
    spent: dict[str, tuple[int, float]] = {}
    for call in calls:
        if _way(call) == "outbound":
            extension = call.legs[0].party.extension
            many, cost = spent.get(extension, (0, 0.0))
            spent[extension] = many + 1, cost + _cost(call)
    return [["Extension", "Calls", "Cost"], *([name, many, f"{cost:.2f}"] for name, (many, cost) in spent.items())]


def _group_table(numbers: Sequence[str], calls: Sequence[tuple[Call, Row]]) -> list[list[Any]]:
    table: list[list[Any]] = [["Number", "Calls", "Answered", "Abandoned", "Talk"]]
    for number in numbers:
        own = [(call, row) for call, row in calls if row["callee"] == number]
        gone = sum(call.outcome == "abandoned" for call, _ in own)
        talked = sum(row["duration"] for call, row in own if call.outcome != "abandoned")
        table.append([number, len(own), len(own) - gone, gone, talked])
    return table
