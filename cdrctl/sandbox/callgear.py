"""CallGear's Data API, imitated from its documentation and from what integrators saw of it.

Sources: callgear.github.io/data_api; the same engine's fuller documents at comagic.github.io/data_api (error texts,
filters, meta-parameters) and novofon.github.io/data_api; answers quoted by public connectors for the same engine.
What nobody publishes is a switch.
"""

from __future__ import annotations

import json
import operator as compare
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cdrctl.sandbox.exchange import Exchange
from cdrctl.sandbox.exchange.clock import DAY, HOUR, SECOND, delay, digest, dropped, milliseconds
from cdrctl.sandbox.exchange.parties import PEOPLE, Call, Leg, Party
from cdrctl.sandbox.wire import CHANGED, DROPPED, LATE, Clock, Reply, Request, Setting, Switch, dumped

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a method's reply: its documented type, and whether it may be filtered, sorted, and comes unasked."""

    name: str
    type: str
    filter: bool
    sort: bool
    default: bool


def _read(table: str) -> dict[str, Field]:
    """Return fields by name from lines of name, type and the marks F, S and D."""
    rows = (line.split() for line in table.strip().splitlines())
    return {name: Field(name, kind, "F" in marks, "S" in marks, "D" in marks) for name, kind, marks in rows}


LEG_FIELDS = _read(
    """
    id number F-D
    call_session_id number FSD
    call_records array --D
    wav_call_records array --D
    start_time iso8601 -SD
    connect_time iso8601 --D
    duration number FSD
    total_duration number FSD
    finish_reason enum FSD
    finish_reason_description string FS-
    virtual_phone_number string FSD
    calling_phone_number string FSD
    called_phone_number string FSD
    direction enum FSD
    is_transfered boolean FSD
    is_operator boolean FSD
    employee_id number FSD
    employee_full_name string FS-
    employee_phone_number string FS-
    employee_rating number FSD
    scenario_id number FSD
    scenario_name string FS-
    is_coach boolean FSD
    release_cause_code number FSD
    release_cause_description string FSD
    is_failed boolean FSD
    is_talked boolean FS-
    contact_id number ---
    contact_full_name string ---
    contact_phone_number string ---
    action_id number F-D
    action_name string F-D
    group_id number F-D
    group_name string F-D
    """
)

CALL_FIELDS = _read(
    """
    id number F-D
    start_time iso8601 -SD
    finish_time iso8601 --D
    finish_reason enum FSD
    direction enum FSD
    cpn_region_id number FSD
    cpn_region_name string FSD
    cpn_country_name string FSD
    cpn_country_id string FSD
    properties string ---
    scenario_operations array F--
    source enum FSD
    is_lost boolean FSD
    communication_number number FS-
    communication_page_url string ---
    contact_phone_number string F-D
    communication_id number F-D
    communication_type enum --D
    wait_duration number F-D
    total_wait_duration number F-D
    lost_call_processing_duration number FS-
    talk_duration number F-D
    clean_talk_duration number F-D
    total_duration number F-D
    postprocess_duration number F--
    call_records array --D
    wav_call_records array --D
    full_record_file_link string --D
    voice_mail_records array ---
    virtual_phone_number string FSD
    ua_client_id string ---
    ym_client_id string ---
    sale_date iso8601 FS-
    sale_cost number FS-
    is_transfer boolean FS-
    search_query string F--
    search_engine string F--
    referrer_domain string F--
    referrer string F--
    entrance_page string F--
    gclid string F--
    yclid string F--
    ymclid string ---
    ef_id string F--
    channel enum F--
    tags array F--
    employees array F--
    last_answered_employee_id number F--
    last_answered_employee_full_name string F--
    last_answered_employee_rating number F--
    first_answered_employee_id number F--
    first_answered_employee_full_name string F--
    last_talked_employee_id number F--
    last_talked_employee_full_name string F--
    first_talked_employee_id number F--
    first_talked_employee_full_name string F--
    operator_phone_number string F--
    scenario_name string F--
    scenario_id number FS-
    site_domain_name string F--
    site_id number FS-
    campaign_name string F--
    campaign_id number FS-
    visit_other_campaign boolean ---
    auto_call_campaign_name string FS-
    visitor_id number FS-
    person_id number F--
    visitor_type enum FS-
    visitor_session_id number F--
    visits_count number F--
    visitor_first_campaign_id number F--
    visitor_first_campaign_name string F--
    visitor_city string F--
    visitor_region string F--
    visitor_country string F--
    visitor_device enum FS-
    visitor_custom_properties array F--
    segments array F--
    call_api_request_id number F--
    call_api_external_id string F--
    contact_id number F--
    contact_full_name string F--
    utm_source string F--
    utm_medium string F--
    utm_term string F--
    utm_content string F--
    utm_campaign string F--
    utm_referrer string ---
    openstat_ad string F--
    openstat_campaign string F--
    openstat_service string F--
    openstat_source string F--
    attributes array F--
    eq_utm_source string F--
    eq_utm_medium string F--
    eq_utm_term string F--
    eq_utm_content string F--
    eq_utm_campaign string F--
    eq_utm_referrer string F--
    eq_utm_expid string F--
    source_id number FS-
    source_name string FS-
    source_new string FS-
    channel_new string FS-
    channel_code string FS-
    ext_id string FS-
    hold_duration number --D
    """
)

COST_FIELDS = _read(
    """
    start_time iso8601 -SD
    direction enum FSD
    source enum FSD
    call_session_id number FSD
    leg_id number FSD
    calling_phone_number string FSD
    called_phone_number string FSD
    duration number FSD
    chargeable_duration number FSD
    direction_type enum FSD
    cost_per_minute number FSD
    total_charge number FSD
    bonuses_charge number FSD
    """
)


USER_FIELDS = _read(
    """
    id number F--D
    name string FSD
    description string --D
    login string --D
    customer_id number FSD
    """
)

INSIDE: dict[str, tuple[str, ...]] = {
    "tags": (
        "tag_id",
        "tag_name",
        "tag_type",
        "tag_change_time",
        "tag_user_id",
        "tag_user_login",
        "tag_employee_id",
        "tag_employee_full_name",
    ),
    "employees": ("employee_id", "employee_full_name", "is_answered", "is_talked"),
    "scenario_operations": ("name", "id"),
    "visitor_custom_properties": ("property_name", "property_value"),
    "segments": ("segment_id", "segment_name"),
}
"""The members of arrays of objects of a call, in the order of the documented reply."""

ERRORS: dict[str, tuple[int, str]] = {
    "parse_error": (-32700, "Invalid JSON was received by the server."),
    "invalid_request": (-32600, "Invalid Request The JSON sent is not a valid Request object"),
    "method_not_found": (-32601, "The method does not exist / is not available"),
    "batch_operations_not_supported": (-32099, "Batch operations not supported"),
    "notifications_not_supported": (-32099, "Notifications not supported"),
    "date_interval_limit_reached": (-32602, "Max value of requested date interval is 3 months"),
    "unexpected_parameters": (-32602, "Unexpected method parameter(s)"),
    "filter_prohibited": (-32602, "Filter by parameter is prohibited"),
    "sort_prohibited": (-32602, "Sort by parameter is prohibited"),
    "invalid_parameter_value": (-32602, "Invalid parameter value"),
    "data_type_error": (-32602, "Data supplied is of wrong type"),
    "required_parameter_missed": (-32602, "The required parameter has been missed"),
    "invalid_parameters_combination": (-32602, "The combination of parameters is not permitted"),
    "error": (-32602, "The report cannot be built"),
    "access_token_expired": (-32001, "Access token has been expired"),
    "access_token_invalid": (-32001, "Access token is invalid"),
    "access_token_blocked": (-32001, "Access token has been blocked"),
    "auth_error": (-32001, "Login or password is wrong"),
    "ip_not_whitelisted": (-32003, "Your IP {ip} is not whitelisted"),
    "forbidden": (-32003, "Permission denied"),
    "method_component_disabled": (
        -32008,
        "You need at least one of the following components to access this method: {components}",
    ),
    "parameter_component_disabled": (
        -32008,
        "You need at least one of the following components to access this parameter: {components}",
    ),
    "account_inactive": (-32009, "Your account has been disabled, contact the support service"),
    "limit_exceeded": (
        -32029,
        "Limit per {limit_type} has been exceeded. Value of current limit per {limit_type} is {limit_max_value}",
    ),
    "internal_error": (-32603, "Internal error, contact the support service"),
}
"""Code and text of every documented error, by mnemonic."""

_STATUSES = {-32700: 400, -32600: 400, -32601: 404, -32602: 400, -32099: 400, -32001: 401, -32029: 429, -32603: 500}
_FORBIDDEN = 403
_HELPED = {"auth_error", "access_token_blocked", "parameter_component_disabled", "internal_error"}
_HELPER = "https://callgear.github.io/data_api/#_allErrors"
_UNAUTHENTICATED = {
    *("access_token_expired", "access_token_invalid", "access_token_blocked", "auth_error"),
    *("ip_not_whitelisted", "account_inactive", "forbidden"),
}

ACCESS_TOKEN = "EXAMPLE-CALLGEAR-ACCESS-KEY"
PARTNER_TOKEN = "EXAMPLE-CALLGEAR-PARTNER-KEY"
LOGIN = "user@acme.example"
PASSWORD = "EXAMPLE-CALLGEAR-PASSWORD"
CURRENCY = "EUR"
APP_HOST = "https://app.callgear.com"
"""The web application, where recordings are heard."""

LARGEST_LIMIT = 10_000
LARGEST_OFFSET = 100_000
DEFAULT_LIMIT = 1_000
_MONTHS = 3
_YEARS = range(1971, 2101)
_QUARTER = 900
_DEPTH = 3

_TALK_TIMES = {"connect_time", "duration", "talk_duration", "clean_talk_duration"}
_ZEROS, _YEAR_1 = "0000-00-00 00:00:00", "0001-01-01 00:00:00"
_PAIRS = {
    "subscriber_disconnects": "caller_disconnects",
    "subscriber_busy": "caller_busy",
    "subscriber_not_responsible": "caller_not_responsive",
    "subscriber_number_problems": "caller_number_problems",
    "operator_not_responsible": "operator_not_responsive",
}
_OLDER = {newer: older for older, newer in _PAIRS.items()}
_REASON_TEXTS = {
    "subscriber_disconnects": "The subscriber ended the call",
    "subscriber_busy": "The subscriber is busy",
    "subscriber_not_responsible": "The subscriber does not answer",
    "subscriber_number_problems": "The subscriber's number cannot be reached",
    "operator_disconnects": "The employee ended the call",
    "operator_busy": "The employee is busy",
    "operator_not_responsible": "The employee does not answer",
    "operator_number_problems": "The employee's number cannot be reached",
    "employee_status_do_not_disturb": 'The employee\'s status is "Do not disturb"',
    "sip_offline": "The SIP line is not registered",
    "another_operator_answer": "Another employee answered",
    "transfer_disconnects": "The call was transferred",
    "scenario_disconnects": "The scenario ended the call",
}
_Q850 = {
    "normal": (16, "Normal call clearing"),
    "busy": (17, "User busy"),
    "no_answer": (19, "No answer from the user"),
    "cancelled": (16, "Normal call clearing"),
    "rejected": (21, "Call rejected"),
    "unallocated": (1, "Unallocated number"),
    "unavailable": (27, "Destination out of order"),
    "answered_elsewhere": (26, "Non-selected user clearing"),
    "abandoned": (16, "Normal call clearing"),
    "blind_transfer": (16, "Normal call clearing"),
    "consulted_transfer": (16, "Normal call clearing"),
}
_SCENARIOS = {
    "inbound": (12_345, "Direct line"),
    "queue": (12_346, "Sales, by day"),
    "hunt_group": (12_347, "Support"),
    "attendant": (12_348, 'Menu "Welcome"'),
    "blind_transfer": (12_345, "Direct line"),
    "consulted_transfer": (12_345, "Direct line"),
    "voicemail_retrieval": (12_349, "Voice mail"),
}
_ACTIONS = {"queue": (77, "Sales group"), "hunt_group": (78, "Support group"), "attendant": (79, "Menu, first level")}
_GROUPS = {"queue": (9, "Sales"), "hunt_group": (10, "Support, first line")}
_REGIONS = {"1": (840, "California", "USA", "US"), "44": (826, "London", "United Kingdom", "GB")}
_SOURCES = (
    *("callout", "callback", "amocrm", "bitrix", "auto_back_call", "auto_back_call_by_lost_call", "auto_out_calls"),
)
_PRICES = {"local": 100, "national": 500, "mobile": 1_500, "international": 2_500}
"""Price of a minute in ten-thousandths of the account's currency."""

_REPORTS: dict[str, tuple[str, dict[str, Field]]] = {
    "get.call_legs_report": ("legs", LEG_FIELDS),
    "get.calls_report": ("calls", CALL_FIELDS),
    "get.financial_call_legs_report": ("costs", COST_FIELDS),
}
_LISTED = ("limit", "offset", "filter", "fields", "sort")
_PARAMETERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "login.user": (("login", "password"), ()),
    "logout.user": (("access_token",), ()),
    "get.account": (("access_token",), ()),
    "getobj.account": (("access_token",), ()),
    "get.customer_users": (("access_token",), _LISTED),
    "get.call_legs_report": (("access_token", "date_from", "date_till"), ("user_id", *_LISTED)),
    "get.calls_report": (("access_token", "date_from", "date_till"), ("user_id", *_LISTED, "include_ongoing_calls")),
    "get.financial_call_legs_report": (("access_token", "date_from", "date_till"), ("user_id", *_LISTED)),
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("access_token", "login", "password", "date_from", "date_till"), str),
    **dict.fromkeys(("user_id", "limit", "offset"), int),
    **dict.fromkeys(("fields", "sort"), list),
    "filter": dict,
    "include_ongoing_calls": bool,
}
_OPERATORS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("=", "!="), frozenset({"number", "string", "boolean", "iso8601", "enum"})),
    **dict.fromkeys(("<", ">", "<=", ">="), frozenset({"number", "iso8601"})),
    **dict.fromkeys(("like", "regexp"), frozenset({"string"})),
    "jsquery": frozenset({"array", "object"}),
    "in": frozenset({"number", "string", "enum"}),
}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": compare.lt,
    ">": compare.gt,
    "<=": compare.le,
    ">=": compare.ge,
    "=": compare.eq,
    "!=": compare.ne,
}
_JSQUERY = re.compile(
    r'\s*(?:[#*$%]\s*\.?\s*)?(?P<name>"?[A-Za-z_]\w*"?)?\s*(?P<order><=|>=|=|<|>)\s*'
    r'(?P<value>"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null)\s*'
)
_BOUND = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")

SWITCHES: dict[str, Switch] = {
    "http_errors": Switch("200", ("real",), meaning="HTTP status of errors: 200, or 400 401 403 404 429 500"),
    "bounds": Switch(
        "closed",
        ("half_open", "open_low", "open"),
        meaning="do the seconds date_from and date_till belong to the window: both, the first, the second, neither",
    ),
    "window_on": Switch("start_time", ("finish",), meaning="what the window is laid on"),
    "double_hour": Switch(
        "both",
        ("first", "second"),
        meaning="which of autumn's two readings a bound has; both: local texts are compared",
    ),
    "short_page": Switch("off", (), r"[1-9]\d*", meaning="every other page has so many rows fewer, but at least one"),
    "grow": Switch("0", (), r"\d+", meaning="rows that come into a window at each request for its pages but the first"),
    "total": Switch(
        "right",
        ("zero", "page", "half", "shrinking", "true", "negative", "text", "absent"),
        meaning="what total_items says; page: rows of this page; shrinking: rows not yet sent; true: a JSON boolean",
    ),
    "ties": Switch(
        "stable", (), r"moving", "moving", "moving: rows that sort alike change places from request to request"
    ),
    "names_field": Switch("on", ("off",), meaning="does unexpected_parameters name the field"),
    "no_wav": Switch("on", ("off",), meaning="wav_call_records is an unknown field, as in CallGear's own documents"),
    "reasons": Switch("subscriber", ("caller",), meaning="spelling of finish_reason"),
    "reason": Switch(
        "own", (), "[a-z_]+", "a finish reason", "finish_reason of every leg and call that nobody answered"
    ),
    "talk_times": Switch(
        "kept", ("null", "absent"), meaning="connect_time, duration, talk_duration and clean_talk_duration"
    ),
    "no_time": Switch("null", ("zeros", "year1", "1970", "0"), meaning="what a time is that never came"),
    "times": Switch("local", ("utc",), meaning="how times are written: by the account's clock, or as UTC with T and Z"),
    "utm_referrer": Switch("unknown", ("known",), meaning="is utm_referrer a field of calls"),
    "new_field": Switch("off", ("on",), meaning="legs and calls have a field by default that no document names"),
    "limits": Switch("off", ("on", "{}"), meaning="points a minute and a day; off and {}: not applied"),
    "minute_limit": Switch("60", (), r"[1-9]\d*", meaning="points a minute"),
    "day_limit": Switch("3000", (), r"[1-9]\d*", meaning="points a day"),
    "deprecated": Switch("kept", ("null", "absent"), meaning="release_cause_code and release_cause_description"),
    "meta": Switch("after", ("before",), meaning="does metadata come after data or before it"),
    "get_account_meta": Switch("metadata", ("meta_data",), meaning="what get.account calls its metadata"),
    "zone": Switch(
        "Europe/Berlin",
        ("America/New_York", "Asia/Dubai"),
        "|".join(map(re.escape, sorted(available_timezones()))),
        "an IANA zone",
        "zone of the account and of every time",
    ),
    "token_ttl": Switch("3600", (), r"\d+", meaning="seconds a login lives"),
    "ip": Switch("listed", ("unlisted",), meaning="is the caller's address in the allow-list"),
    "account": Switch("active", ("inactive",), meaning="whether the account is disabled"),
    "deprecated_version": Switch("off", ("on",), meaning="metadata says that the version is deprecated"),
    "late": LATE,
    "changed": CHANGED,
    "dropped": DROPPED,
    "lag": Switch("0", (), r"\d+", meaning="seconds from the end of a call until its rows are there"),
    "error_data": Switch("sparse", ("full",), meaning="are members of error.data that say nothing left out or null"),
    "session_id": Switch("number", ("string",), meaning="type of call_session_id in the financial report"),
    "refuse": Switch(
        "none", (), "|".join(ERRORS), "a mnemonic", "error that answers every method but login.user and logout.user"
    ),
}


def _phone(number: str) -> str | None:
    """Return a number as the service writes it: digits without a plus, null for none."""
    return number.removeprefix("+") or None


def _number(*parts: object) -> int:
    """Return an id of up to 16 digits that a double still holds exactly."""
    return int(digest(*parts)[:13], 16)


@dataclass(frozen=True, slots=True)
class Customer:
    """An account with users, calls of its own, and an id in the partner's books."""

    id: int
    app_id: int
    name: str
    users: tuple[Record, ...]
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who asks: the customer asked about, None for a partner who names none."""

    customer: Customer | None
    partner: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a report before it is written: start and end in Unix seconds, `seen` in Unix milliseconds."""

    start: int
    end: int
    seen: int
    id: int
    call: Call
    leg: Leg | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for a report, checked."""

    method: str
    customer: Customer
    window: tuple[int, int]
    chosen: tuple[str, ...]
    condition: Callable[[Record], bool] | None
    order: tuple[tuple[str, bool], ...]
    offset: int
    limit: int
    ongoing: bool
    key: str


class _RefusedError(Exception):
    """The request is answered with an error; the arguments are its mnemonic and what `data` has besides."""

    def __init__(self, mnemonic: str, **data: Any) -> None:
        super().__init__(mnemonic)
        self.mnemonic = mnemonic
        self.data = data


@dataclass(slots=True)
class _Budget:
    """Points spent in one minute and one day, both counted from the Unix epoch."""

    spent: dict[str, tuple[int, int]] = field(default_factory=dict)

    def of(self, span: str, number: int) -> int:
        """Return the points spent in a span of time."""
        known, points = self.spent.get(span, (number, 0))
        return points if known == number else 0

    def spend(self, span: str, number: int) -> None:
        """Spend one point."""
        self.spent[span] = number, self.of(span, number) + 1


_SPANS = {"day": DAY, "minute": 60 * SECOND}
_EMPLOYEES = {party.id: 2_870 + n for n, party in enumerate(PEOPLE)}
EMPLOYEE_IDS = {party.name: _EMPLOYEES[party.id] for party in PEOPLE}
"""Ids of the employees, by their name in the exchange."""


def _employee_name(party: Party) -> str:
    """Return an employee's full name; some carry the name of an integration, as seen on real traffic."""
    return f"{party.name} (amoCRM)" if _EMPLOYEES[party.id] % 5 == 0 else party.name


def _user(number: int, name: str, customer: int, description: str | None = None) -> Record:
    login = f"user{number}@example.com"
    return {"id": number, "name": name, "description": description, "login": login, "customer_id": customer}


class CallGear:
    """JSON-RPC over `POST /callgear/v2.0` for a customer, and for a partner with that and another customer.

    Limits, token lives and running calls are measured by `now`. Rows are those of `exchange`: a leg for every leg, a
    call for every call, a charge for every leg through the public network.
    """

    name = "callgear"
    mount = "/callgear/v2.0"
    calls: tuple[str, ...] = ("legs", "calls", "costs", "users")
    switches: Mapping[str, Switch] = SWITCHES

    def __init__(self, exchange: Exchange, now: Clock, *, limits: bool = False) -> None:
        self.exchange = exchange
        self.now = now
        self.switched: dict[str, str] = {name: switch.default for name, switch in SWITCHES.items()}
        self.switched["limits"] = "on" if limits else "off"
        acme = (_user(2_000, "Person One", 100_000), _user(2_001, "Person Two", 100_000, "Reads reports, only"))
        north = (_user(2_002, 'Person "Three"', 100_001),)
        self.customers = (
            Customer(100_000, 1_103, "Acme Telecom", acme, exchange),
            Customer(100_001, 1_104, "North, Ltd", north, exchange.sibling("North, Ltd")),
        )
        self._keys = {ACCESS_TOKEN: False, PARTNER_TOKEN: True}
        self._ended: set[str] = set()
        self._sessions: dict[str, int] = {}
        self._signed_in = 0
        self._pages = 0
        self._budgets: dict[bool, _Budget] = {}
        self._grown: dict[tuple[str, ...], int] = {}
        self._offsets: dict[tuple[str, int], int] = {}
        self._readings: dict[tuple[str, int, int], int] = {}
        self._last: tuple[tuple[object, ...], list[_Row]] = ((), [])

    # what the server asks

    def credentials(self, kind: str, base_url: str) -> dict[str, Setting]:
        """Return profile settings: kind `access_token` (default), `login` or `partner`."""
        own: dict[str, dict[str, Setting]] = {
            "access_token": {"access_token": ACCESS_TOKEN},
            "login": {"login": LOGIN, "password": PASSWORD},
            "partner": {"access_token": PARTNER_TOKEN, "user_id": 2_000, "timezone": self.switched["zone"]},
        }
        kind = kind or "access_token"
        if kind not in own:
            raise ValueError(f"callgear signs in by {', '.join(own)}, not by {kind}")
        # Links to recordings are built from the brand of base_url, which a loopback address does not tell.
        return {"base_url": base_url, "app_host": APP_HOST, **own[kind], "requests_per_minute": 0}

    def expire_tokens(self) -> None:
        """End the access keys and every login; signing in goes on to work.

        An ended key is answered with `access_token_expired`, an ended login with `access_token_invalid`:
        comagic.github.io/data_api, general errors.
        """
        self._ended.update(self._keys)
        self._sessions.clear()

    def truth(self, call: str, since: datetime, until: datetime, **options: str) -> list[Record]:
        """Return the records that began in `[since, until)` as they stand on the wire, by start and id.

        Only those that are there by now. `fields` is `all` (default), `default` or names parted by commas; `user_id`
        one of a partner's. `reading` says what a local time that the clocks show twice is: `first` (default) is all
        that can be known of a record, `own` the instant it was. `users` have no start: all come. Raises ValueError
        for another call, option or customer.
        """
        if call not in self.calls:
            raise ValueError(f"callgear has the calls {', '.join(self.calls)}, not {call}")
        wanted = {"fields": "all", "user_id": "2000", "reading": "first"} | options
        if len(wanted) > 3 or wanted["reading"] not in {"first", "own"}:
            raise ValueError("the options are fields, user_id and reading, which is first or own")
        if call == "users":
            return [_only(user, self._chosen(USER_FIELDS, wanted["fields"])) for user in self._users()]
        customer = self._customer(int(wanted["user_id"]))
        if customer is None:
            raise ValueError(f"the partner has no customer user {wanted['user_id']}")
        method, fields = next((method, fields) for method, (name, fields) in _REPORTS.items() if name == call)
        chosen = self._chosen(fields, wanted["fields"])
        lo, hi = -(-milliseconds(since) // SECOND), -(-milliseconds(until) // SECOND)
        # A row's first reading is never later than its own start; clocks are set back by two hours at the most.
        margin = 0 if wanted["reading"] == "own" else 3 * HOUR // SECOND
        rows = [
            (row.start if wanted["reading"] == "own" else self._instant(self._local(row.start), 0), row)
            for row in self._candidates(method, customer, lo * SECOND, (hi + margin) * SECOND)
        ]
        now = milliseconds(self.now())
        told = [(at, row) for at, row in rows if lo <= at < hi and row.seen <= now]
        told.sort(key=lambda one: (one[0], one[1].id))
        return [_only(self._record(method, row), chosen) for _, row in told]

    def reply(self, request: Request) -> Reply:
        """Return the answer to one request."""
        if request.path not in {"", "/"}:
            return Reply(404, b"<html><body><h1>404 Not Found</h1></body></html>", {"Content-Type": "text/html"})
        if request.method != "POST":
            return Reply(405, b"", {"Allow": "POST"})
        request_id: Any = None
        try:
            method, params, request_id = _opened(request.body)
            result = self._answered(method, params, request)
        except _RefusedError as refused:
            request_id = refused.data.pop("id", request_id)
            return self._refused(refused, request_id)
        return self._sent({"jsonrpc": "2.0", "id": request_id, "result": result})

    def error(self, status: int, request: Request) -> Reply:
        """Return an error of that status, with the mnemonic that comes nearest to it."""
        mnemonics = {400: "invalid_request", 401: "access_token_invalid", 403: "forbidden", 404: "method_not_found"}
        mnemonic = mnemonics.get(status, "invalid_request" if status < 500 else "internal_error")
        data: Record = {}
        if status == 429:
            mnemonic = "limit_exceeded"
            most = int(self.switched["minute_limit"])
            data = {"params": {"limit_type": "minute", "limit_max_value": most}}
            numbers = {**self._numbers(_Budget()), "minute_remaining": 0}
            data["metadata"] = {"limits": numbers}
        elif status == 401:
            data = {"field": "access_token"}
        return self._refused(_RefusedError(mnemonic, **data), _id_of(request.body), status)

    def wrong_shape(self, request: Request) -> Reply:
        """Return a success whose result has no `data`."""
        result = {"records": [], "metadata": {"total_items": 0, "version": None, "limits": {}}}
        return self._sent({"jsonrpc": "2.0", "id": _id_of(request.body), "result": result})

    # the protocol

    def _answered(self, method: str, params: Record, request: Request) -> Record:
        """Return the result of a method, or raise what it is refused with."""
        if method not in _PARAMETERS:
            raise _RefusedError("method_not_found")
        if method in {"login.user", "logout.user"}:
            return self._login(params, request) if method == "login.user" else self._logout(params, request)
        caller = self._known(method, params, request)
        budget = self._budgets.setdefault(caller.partner, _Budget())
        self._within_limits(budget)
        try:
            if method == "get.customer_users":
                found = self._customer_users(params)
            elif method in {"get.account", "getobj.account"}:
                found = self._account(method, params, partner=caller.partner)
            else:
                found = self._report(method, params, caller)
        except _RefusedError as refused:
            # Only successful requests cost points: callgear.github.io/data_api, limits.
            refused.data.setdefault("metadata", self._refused_meta(refused.mnemonic, budget))
            raise
        for span, length in _SPANS.items():
            budget.spend(span, milliseconds(self.now()) // length)
        data, meta = found
        return self._result(method, data, meta | {"limits": self._numbers(budget) if self._limited else {}})

    def _result(self, method: str, data: Any, meta: Record) -> Record:
        if self.switched["deprecated_version"] == "on":
            version = {"current_version_deprecated": True, "current_version": "v2.0", "latest_version": "v3.0"}
            meta = {"api_version": version, **meta}
        name = "metadata"
        if method == "get.account":
            name = self.switched["get_account_meta"]
        # Examples of these two methods have it in front, those of reports behind.
        front = self.switched["meta"] == "before" or method in {"get.account", "get.customer_users"}
        return {name: meta, "data": data} if front else {"data": data, name: meta}

    def _sent(self, body: Record, status: int = 200) -> Reply:
        return Reply(status, dumped(body), {"Content-Type": "application/json; charset=UTF-8"})

    def _refused(self, refused: _RefusedError, request_id: Any, status: int = 0) -> Reply:
        """Return an error as JSON-RPC has it, under a status that says little."""
        code, text = ERRORS[refused.mnemonic]
        data: Record = {"mnemonic": refused.mnemonic}
        given = dict(refused.data)
        if refused.mnemonic in _HELPED:
            given["extended_helper"] = _HELPER
        if refused.mnemonic != "parse_error":
            given.setdefault("metadata", {})
        full = self.switched["error_data"] == "full"
        for name in ("field", "value", "params", "extended_helper", "metadata"):
            if name in given:
                data[name] = given[name]
            elif full and name != "metadata":
                data[name] = {} if name == "params" else None
        text = text.format(**given.get("params", {}))
        if not status:
            real = self.switched["http_errors"] == "real"
            status = _STATUSES.get(code, _FORBIDDEN) if real else 200
        return self._sent(
            {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": text, "data": data}}, status
        )

    # who asks, and how often

    def _admitted(self, request: Request) -> None:
        """Refuse addresses that are not listed, and a disabled account."""
        if self.switched["ip"] == "unlisted":
            raise _RefusedError("ip_not_whitelisted", params={"ip": request.client}, extended_helper="")
        if self.switched["account"] == "inactive":
            raise _RefusedError("account_inactive")

    def _login(self, params: Record, request: Request) -> Record:
        _checked("login.user", params, self._unexpected)
        self._admitted(request)
        if (params["login"], params["password"]) != (LOGIN, PASSWORD):
            raise _RefusedError("auth_error")
        self._signed_in += 1
        token = f"EXAMPLE-CALLGEAR-SESSION-{self._signed_in}-{digest('callgear session', self._signed_in)[:16]}"
        ends = milliseconds(self.now()) + int(self.switched["token_ttl"]) * SECOND
        self._sessions[token] = ends
        return {"data": {"access_token": token, "expire_at": ends // SECOND, "app_id": self.customers[0].app_id}}

    def _logout(self, params: Record, request: Request) -> Record:
        _checked("logout.user", params, self._unexpected)
        self._authenticated(params)
        self._admitted(request)
        self._sessions.pop(params["access_token"], None)
        return {"data": {}}

    def _authenticated(self, params: Record) -> bool:
        """Return whether the token is the partner's, or raise why it is none."""
        token = params.get("access_token")
        if token is None:
            raise _RefusedError("required_parameter_missed", field="access_token")
        if not isinstance(token, str):
            raise _RefusedError("data_type_error", field="access_token", value=token)
        if token in self._ended:
            raise _RefusedError("access_token_expired", field="access_token")
        if token not in self._keys and self._sessions.get(token, 0) <= milliseconds(self.now()):
            self._sessions.pop(token, None)
            raise _RefusedError("access_token_invalid", field="access_token", value=token)
        return self._keys.get(token, False)

    def _known(self, method: str, params: Record, request: Request) -> _Caller:
        """Return who asks about whom, or raise why not."""
        partner = self._authenticated(params)
        self._admitted(request)
        if self.switched["refuse"] != "none":
            raise _refusal(self.switched["refuse"], request.client)
        # One is for customers only, the other for partners only.
        if method == ("get.account" if partner else "get.customer_users"):
            raise _RefusedError("forbidden")
        if method not in _REPORTS:
            return _Caller(None, partner)
        if not partner:
            if "user_id" in params:
                raise _RefusedError("forbidden", field="user_id", value=params["user_id"])
            return _Caller(self.customers[0], partner)
        if params.get("user_id") is None:
            raise _RefusedError("required_parameter_missed", field="user_id")
        if type(params["user_id"]) is not int:
            raise _RefusedError("data_type_error", field="user_id", value=params["user_id"])
        customer = self._customer(params["user_id"])
        if customer is None:
            raise _RefusedError("forbidden", field="user_id", value=params["user_id"])
        return _Caller(customer, partner)

    def _customer(self, user_id: int) -> Customer | None:
        return next((one for one in self.customers if any(user["id"] == user_id for user in one.users)), None)

    @property
    def _limited(self) -> bool:
        return self.switched["limits"] == "on"

    def _numbers(self, budget: _Budget) -> Record:
        """Return `metadata.limits`: points, and seconds until the minute and the day begin anew."""
        now = milliseconds(self.now())
        numbers: Record = {}
        for span, length in _SPANS.items():
            most = int(self.switched[f"{span}_limit"])
            numbers[f"{span}_limit"] = most
            numbers[f"{span}_remaining"] = max(0, most - budget.of(span, now // length))
            numbers[f"{span}_reset"] = -(-(length - now % length) // SECOND)
        return numbers

    def _within_limits(self, budget: _Budget) -> None:
        if not self._limited:
            return
        numbers = self._numbers(budget)
        for span in _SPANS:
            if not numbers[f"{span}_remaining"]:
                params = {"limit_type": span, "limit_max_value": numbers[f"{span}_limit"]}
                raise _RefusedError("limit_exceeded", params=params, metadata={"limits": numbers})

    def _refused_meta(self, mnemonic: str, budget: _Budget) -> Record:
        if not self._limited or mnemonic in _UNAUTHENTICATED:
            return {}
        return {"limits": self._numbers(budget)}

    # methods

    def _account(self, method: str, params: Record, *, partner: bool) -> tuple[Any, Record]:
        """Answer `get.account` and `getobj.account`; a partner's own account says nothing of customers' zones."""
        _checked(method, params, self._unexpected)
        customer = self.customers[0]
        zone = self.switched["zone"]
        if method == "get.account":
            return [{"app_id": customer.app_id, "name": customer.name, "timezone": zone}], {}
        user = _user(1_999, "Partner", 99_999) if partner else customer.users[0]
        units = ("tag_management", "call_recordings")
        rights = ("is_delete", "is_insert", "is_select", "is_update")
        return {
            "lang": "en",
            "tp_id": 406,
            "app_id": 1_000 if partner else customer.app_id,
            "project": "callgear",
            "tp_name": "CallGear Enterprise",
            "user_id": user["id"],
            "app_name": "Partner & Co" if partner else customer.name,
            "crm_type": None,
            "timezone": "UTC" if partner else zone,
            "app_state": "active",
            "user_name": user["name"],
            "user_type": "admin",
            "user_login": user["login"],
            "customer_id": user["customer_id"],
            "components": ["operation", "dialing", "ext_dialing", "extended_report"],
            "permissions": [{"unit_id": unit, **dict.fromkeys(rights, True)} for unit in units],
            "is_agent_app": False,
            "is_bi_available": False,
            "report_currency": CURRENCY,
            "is_agent": partner,
            "agent_type": "agent" if partner else None,
        }, {"version": None}

    def _users(self) -> list[Record]:
        return [user for customer in self.customers for user in customer.users]

    def _customer_users(self, params: Record) -> tuple[Any, Record]:
        """Answer a partner's `get.customer_users`."""
        _checked("get.customer_users", params, self._unexpected)
        chosen, condition, order = self._wanted(params, USER_FIELDS)
        offset, limit = _page(params)
        users = [user for user in self._users() if condition is None or condition(user)]
        users = _sorted(users, order, dict.__getitem__)
        page = [_only(user, chosen) for user in users[offset : offset + limit]]
        return page, self._total(len(users), offset, len(page))

    def _report(self, method: str, params: Record, caller: _Caller) -> tuple[Any, Record]:
        """Answer one of the three reports."""
        if caller.customer is None:
            raise _RefusedError("required_parameter_missed", field="user_id")
        _checked(method, params, self._unexpected)
        fields = _REPORTS[method][1]
        chosen, condition, order = self._wanted(params, fields)
        offset, limit = _page(params)
        window = self._window(params)
        kept = {name: value for name, value in params.items() if name not in {"access_token", "limit", "offset"}}
        asked = _Asked(
            method,
            caller.customer,
            window,
            chosen,
            condition,
            order,
            offset,
            limit,
            params.get("include_ongoing_calls", False),
            dumped([method, caller.customer.id, kept]).decode(),
        )
        rows = self._grow(asked, self._found(asked))
        self._pages += 1
        page = rows[offset : offset + limit]
        short = self.switched["short_page"]
        if short != "off" and self._pages % 2:
            page = page[: max(1, len(page) - int(short))]
        records = [_only(self._record(method, row), chosen) for row in page]
        if self.switched["new_field"] == "on" and not params.get("fields") and fields is not COST_FIELDS:
            records = [record | {"speech_score": row.id % 5} for record, row in zip(records, page, strict=True)]
        return records, self._total(len(rows), offset, len(page)) | {"version": None}

    def _total(self, count: int, offset: int, page: int) -> Record:
        """Return what a page's metadata says of how many rows there are."""
        said: dict[str, Any] = {
            "right": count,
            "zero": 0,
            "page": page,
            "half": count // 2,
            "shrinking": max(0, count - offset),
            "true": True,
            "negative": -1,
            "text": f"{count} rows",
        }
        switched = self.switched["total"]
        return {"total_items": said[switched]} if switched in said else {}

    # parameters

    def _fields(self, fields: Mapping[str, Field]) -> dict[str, Field]:
        """Return the fields the service knows as the switches are set."""
        unknown = {"wav_call_records"} if self.switched["no_wav"] == "on" else set()
        if self.switched["utm_referrer"] == "unknown":
            unknown.add("utm_referrer")
        if self.switched["deprecated"] == "absent":
            unknown |= {"release_cause_code", "release_cause_description"}
        if self.switched["talk_times"] == "absent" and fields is not COST_FIELDS:
            unknown |= _TALK_TIMES
        return {name: one for name, one in fields.items() if name not in unknown}

    def _chosen(self, fields: Mapping[str, Field], words: str) -> tuple[str, ...]:
        known = self._fields(fields)
        if words == "all":
            return tuple(known)
        if words == "default":
            return tuple(name for name, one in known.items() if one.default)
        return tuple(name for name in known if name in words.split(","))

    def _unexpected(self, name: str, value: Any) -> _RefusedError:
        """Return the error about a name that is not known; whether it says which is a switch."""
        named = {"field": name, "value": value} if self.switched["names_field"] == "on" else {}
        return _RefusedError("unexpected_parameters", **named)

    def _wanted(
        self, params: Record, fields: Mapping[str, Field]
    ) -> tuple[tuple[str, ...], Callable[[Record], bool] | None, tuple[tuple[str, bool], ...]]:
        """Return which fields come, what rows are for, and how they are sorted: `(field, descending)`."""
        known = self._fields(fields)
        named = params.get("fields") or []
        for name in named:
            if not isinstance(name, str):
                raise _RefusedError("data_type_error", field="fields", value=name)
            if name not in known:
                raise self._unexpected(name, name)
        chosen = tuple(name for name, one in known.items() if (name in named if named else one.default))
        order = []
        for one in params.get("sort") or []:
            if not isinstance(one, dict) or not isinstance(one.get("field"), str):
                raise _RefusedError("data_type_error", field="sort", value=one)
            for name in set(one) - {"field", "order"}:
                raise self._unexpected(name, one[name])
            if one["field"] not in known:
                raise self._unexpected(one["field"], one["field"])
            if not known[one["field"]].sort:
                raise _RefusedError("sort_prohibited", field=one["field"], value=one["field"])
            way = one.get("order", "asc")
            if way not in ("asc", "desc"):
                raise _RefusedError("invalid_parameter_value", field="sort.order", value=way)
            order.append((one["field"], way == "desc"))
        condition = self._condition(params["filter"], known, 1) if params.get("filter") else None
        return chosen, condition, tuple(order)

    def _condition(self, node: Any, known: Mapping[str, Field], depth: int) -> Callable[[Record], bool]:
        """Return what a filter, or a tree of filters, says of a record."""
        if not isinstance(node, dict):
            raise _RefusedError("data_type_error", field="filter", value=node)
        if "filters" in node:
            for name in set(node) - {"filters", "condition"}:
                raise self._unexpected(name, node[name])
            joined = node.get("condition", "and")
            if joined not in ("and", "or") or depth > _DEPTH:
                raise _RefusedError("invalid_parameter_value", field="filter.condition", value=joined)
            if not isinstance(node["filters"], list) or not node["filters"]:
                raise _RefusedError("data_type_error", field="filter.filters", value=node["filters"])
            parts = [self._condition(one, known, depth + 1) for one in node["filters"]]
            joiner = all if joined == "and" else any
            return lambda record: joiner(part(record) for part in parts)
        for name in set(node) - {"field", "operator", "value"}:
            raise self._unexpected(name, node[name])
        for name in ("field", "operator"):
            if name not in node:
                raise _RefusedError("required_parameter_missed", field=f"filter.{name}")
            if not isinstance(node[name], str):
                raise _RefusedError("data_type_error", field=f"filter.{name}", value=node[name])
        if node["field"] not in known:
            raise self._unexpected(node["field"], node["field"])
        target = known[node["field"]]
        if not target.filter:
            raise _RefusedError("filter_prohibited", field=target.name, value=target.name)
        return _simple(target, node["operator"], node.get("value"))

    def _window(self, params: Record) -> tuple[int, int]:
        """Return the bounds as seconds on the account's own clock."""
        bounds = []
        for name in ("date_from", "date_till"):
            try:
                bound = datetime.fromisoformat(params[name]) if _BOUND.fullmatch(params[name]) else None
            except ValueError:
                bound = None
            if bound is None or bound.year not in _YEARS:
                raise _RefusedError("invalid_parameter_value", field=name, value=params[name])
            bounds.append(bound)
        begin, end = bounds
        if end < begin:
            raise _RefusedError("invalid_parameters_combination", field="date_till", value=params["date_till"])
        if end > _months_later(begin):
            raise _RefusedError("date_interval_limit_reached", field="date_till", value=params["date_till"])
        lo, hi = (milliseconds(one.replace(tzinfo=UTC)) // SECOND for one in bounds)
        return lo, hi

    # rows

    def _offset(self, second: int) -> int:
        """Return how far the account's clock is ahead of UTC, in seconds."""
        key = self.switched["zone"], second // _QUARTER
        known = self._offsets.get(key)
        if known is None:
            ahead = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(key[0])).utcoffset() or timedelta()
            known = self._offsets[key] = ahead // timedelta(seconds=1)
        return known

    def _local(self, second: int) -> int:
        """Return an instant as seconds on the account's own clock."""
        return second + self._offset(second)

    def _instant(self, local: int, fold: int) -> int:
        """Return the instant of seconds on the account's clock; `fold` 1 takes the second of two."""
        key = self.switched["zone"], local // _QUARTER, fold
        known = self._readings.get(key)
        if known is None:
            naive = datetime.fromtimestamp(local, UTC).replace(tzinfo=ZoneInfo(key[0]), fold=fold)
            known = self._readings[key] = local - milliseconds(naive.astimezone(UTC)) // SECOND
        return local - known

    def _text(self, second: int) -> str:
        """Return an instant as the service writes it: on the account's clock without a zone, or as older pages do."""
        if self.switched["times"] == "utc":
            return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return datetime.fromtimestamp(self._local(second), UTC).strftime("%Y-%m-%d %H:%M:%S")

    def _candidates(self, method: str, customer: Customer, lo: int, hi: int) -> Iterator[_Row]:
        """Yield rows that may have begun in `[lo, hi)` Unix milliseconds."""
        exchange = customer.exchange
        lag = int(self.switched["lag"]) * SECOND
        name = _REPORTS[method][0]
        since = lo if name == "calls" else lo - exchange.longest
        for call in exchange.calls_between(since, hi):
            seen = call.end + lag + delay(self.switched["late"], "late", call.id)
            if dropped(self.switched["dropped"], call.id, call.end, milliseconds(self.now())):
                continue
            if name == "calls":
                yield _Row(call.start // SECOND, call.end // SECOND, seen, _number("call", call.id), call)
                continue
            for leg in call.legs:
                if lo <= leg.start < hi and not (name == "costs" and leg.route in {"internal", "service"}):
                    yield _Row(leg.start // SECOND, leg.end // SECOND, seen, _number("leg", leg.id), call, leg)

    def _found(self, asked: _Asked) -> list[_Row]:
        """Return the rows of a window by now, in the order asked for."""
        now = milliseconds(self.now())
        known = (asked.key, *self.switched.values())
        if self._last[0] == known:
            return self._moved(asked, self._last[1])
        lo, hi = asked.window
        bounds = self.switched["bounds"]
        late, early = int(bounds in {"open_low", "open"}), int(bounds in {"half_open", "open"})
        reading = self.switched["double_hour"]
        finish = self.switched["window_on"] == "finish"
        begin, end = lo, hi
        if reading != "both":
            begin, end = (self._instant(one, int(reading == "second")) for one in asked.window)
        begin, end = begin + late, end - early
        # An instant is never further from the clock's seconds than a zone's offset.
        first = (lo - DAY // SECOND) * SECOND - (asked.customer.exchange.longest if finish else 0)
        rows, complete = [], True
        for row in self._candidates(asked.method, asked.customer, first, hi * SECOND + DAY):
            key = row.end if finish else row.start
            if not begin <= (self._local(key) if reading == "both" else key) <= end:
                continue
            if row.seen <= now or (asked.ongoing and row.call.start <= now < row.call.end):
                rows.append(row)
            complete = complete and row.seen <= now
        rows.sort(key=lambda row: (row.start, row.id))
        if asked.condition is not None:
            rows = [row for row in rows if asked.condition(self._record(asked.method, row))]
        times = all(name == "start_time" for name, _ in asked.order)
        if times and asked.order:
            rows.sort(key=lambda row: row.start, reverse=asked.order[0][1])
        elif asked.order:
            rows = _sorted(rows, asked.order, lambda row, name: self._record(asked.method, row)[name])
        if complete and self.switched["dropped"] == "0":
            # A window to which nothing more can come, and of which nothing goes, is asked again for each of its pages.
            self._last = known, rows
        return self._moved(asked, rows)

    def _moved(self, asked: _Asked, rows: list[_Row]) -> list[_Row]:
        """Return the rows with those of one second in another order at each request, if that is switched on."""
        if self.switched["ties"] != "moving":
            return rows
        down = bool(asked.order) and asked.order[0][1]
        turn = self._pages
        return sorted(rows, key=lambda row: (-row.start if down else row.start, digest(row.id, turn)))

    def _grow(self, asked: _Asked, rows: list[_Row]) -> list[_Row]:
        """Return the rows without those still to come: the earliest, so that what is there moves back.

        At a window's first page as many requests' worth is missing as it has further pages, at its last none.
        """
        step = int(self.switched["grow"])
        if not step:
            return rows
        key = (asked.key, self.switched["grow"])
        times = self._grown.get(key, 0)
        self._grown[key] = times + 1
        missing = step * max(0, -(-len(rows) // asked.limit) - 1 - times)
        return rows[missing:]

    # records

    def _record(self, method: str, row: _Row) -> Record:
        """Return one record with every field it has on the wire."""
        record = self._whole(method, row)
        if self.switched["no_time"] != "null":
            never = {"zeros": _ZEROS, "year1": _YEAR_1, "1970": self._text(0), "0": "0"}[self.switched["no_time"]]
            fields = _REPORTS[method][1]
            record |= {name: never for name, one in fields.items() if one.type == "iso8601" and record[name] is None}
        if self.switched["talk_times"] == "null" and method != "get.financial_call_legs_report":
            record |= dict.fromkeys(_TALK_TIMES & set(record))
        wait = delay(self.switched["changed"], "changed", str(row.id))
        if wait and milliseconds(self.now()) < row.end * SECOND + wait:
            record |= {name: empty for name, empty in (("call_records", []), ("total_charge", 0)) if name in record}
        return record

    def _whole(self, method: str, row: _Row) -> Record:
        if method == "get.calls_report":
            return self._call(row)
        if row.leg is None:
            raise TypeError("a leg's row without a leg")
        return self._leg(row, row.leg) if method == "get.call_legs_report" else self._cost(row, row.leg)

    def _reason(self, leg: Leg, call: Call, *, answered: bool) -> str:
        switched = self.switched["reason"]
        reason = _reason(leg, call) if answered or switched == "own" else switched
        return _PAIRS.get(reason, reason) if self.switched["reasons"] == "caller" else reason

    def _leg(self, row: _Row, leg: Leg) -> Record:
        call = row.call
        party = leg.party
        operator = party.kind != "outside"
        answer = None if leg.answer is None else leg.answer // SECOND
        reason = self._reason(leg, call, answered=answer is not None)
        code, cause = _Q850.get(leg.cause, _Q850["normal"])
        kept = self.switched["deprecated"] == "kept"
        group_id, group = _grouped(call)
        action_id, action = _ACTIONS.get(call.kind, (None, None))
        scenario_id, scenario = _SCENARIOS.get(call.kind, (None, None))
        contact_id, contact, number = _contact(call)
        records = _recordings(leg)
        rated = party.is_user and leg.talk_seconds > 0 and row.id % 9 == 0
        return {
            "id": row.id,
            "call_session_id": _number("call", call.id),
            "call_records": records,
            "wav_call_records": [digest("wav", one) for one in records],
            "start_time": self._text(row.start),
            "connect_time": None if answer is None else self._text(answer),
            "duration": 0 if answer is None else row.end - answer,
            "total_duration": row.end - row.start,
            "finish_reason": reason,
            "finish_reason_description": _REASON_TEXTS.get(_OLDER.get(reason, reason)),
            "virtual_phone_number": _virtual(call),
            "calling_phone_number": _phone(leg.from_number),
            "called_phone_number": _phone(_called(leg)),
            "direction": _leg_direction(leg),
            "is_transfered": bool(leg.transfer) and leg.redirected_by is not None,
            "is_operator": operator,
            "employee_id": _EMPLOYEES[party.id] if party.is_user else None,
            "employee_full_name": _employee_name(party) if party.is_user else None,
            "employee_phone_number": _phone(party.extension) if party.is_user else None,
            "employee_rating": row.id % 5 + 1 if rated else None,
            "scenario_id": scenario_id,
            "scenario_name": scenario,
            "is_coach": False,
            "release_cause_code": code if kept else None,
            "release_cause_description": cause if kept else None,
            "is_failed": answer is None,
            "is_talked": answer is not None and leg.talk_seconds > 0 and party.kind in {"person", "place", "outside"},
            "contact_id": contact_id,
            "contact_full_name": contact,
            "contact_phone_number": number,
            "action_id": action_id,
            "action_name": action,
            "group_id": group_id,
            "group_name": group,
        }

    def _cost(self, row: _Row, leg: Leg) -> Record:
        inward = _is_inward(row.call)
        talked = 0 if leg.answer is None else row.end - leg.answer // SECOND
        kind = "local" if inward else "international" if leg.route == "international" else "national"
        if not inward and row.id % 3 == 0 and kind == "national":
            kind = "mobile"
        charged = -(-talked // 60) * 60
        price = 0 if inward and leg.party.kind != "outside" else _PRICES[kind]
        session = _number("call", row.call.id)
        return {
            "start_time": self._text(row.start),
            "direction": _leg_direction(leg),
            "source": _source(row.call),
            "call_session_id": str(session) if self.switched["session_id"] == "string" else session,
            "leg_id": row.id,
            "calling_phone_number": _phone(leg.from_number),
            "called_phone_number": _phone(_called(leg)),
            "duration": talked,
            "chargeable_duration": charged,
            "direction_type": kind,
            "cost_per_minute": _money(price),
            "total_charge": _money(price * charged // 60),
            "bonuses_charge": _money(price * charged // 60) if row.id % 17 == 0 else 0,
        }

    def _call(self, row: _Row) -> Record:
        call = row.call
        first = call.legs[0]
        inward = _is_inward(call)
        now = milliseconds(self.now())
        running = call.end > now
        end = min(call.end, now) // SECOND
        talks = [leg for leg in call.legs if leg.party.is_user and leg.answer is not None and leg.answer <= now]
        if inward:
            talks = [leg for leg in talks if leg.direction == "terminating"] or talks
        answers = [leg.answer // SECOND for leg in talks if leg.answer is not None]
        talking = end - min(answers) if answers else 0
        hold = min(sum(leg.hold_seconds for leg in talks), talking)
        waited = (min(answers) if answers else end) - row.start
        contact_id, contact, number = _contact(call)
        scenario_id, scenario = _SCENARIOS.get(call.kind, (None, None))
        region = _region(number)
        records = [one for leg in call.legs for one in _recordings(leg)]
        voice = [
            digest("voice mail", leg.id) for leg in call.legs if leg.voicemail and call.kind != "voicemail_retrieval"
        ]
        named = [(_EMPLOYEES[leg.party.id], _employee_name(leg.party)) for leg in talks]
        first_id, first_name = named[0] if named else (None, None)
        last_id, last_name = named[-1] if named else (None, None)
        lost = inward and not talks
        record: Record = {name: [] if one.type == "array" else None for name, one in CALL_FIELDS.items()}
        record |= {
            "id": row.id,
            "start_time": self._text(row.start),
            "finish_time": None if running else self._text(row.end),
            "finish_reason": None if running else self._reason(first, call, answered=bool(talks)),
            "direction": "in" if inward else "out",
            "cpn_region_id": region[0],
            "cpn_region_name": region[1],
            "cpn_country_name": region[2],
            "cpn_country_id": region[3],
            "source": _source(call),
            "is_lost": lost,
            "communication_number": row.id % 7 + 1,
            "contact_phone_number": number,
            "communication_id": row.id,
            "communication_type": "call",
            "wait_duration": waited,
            "total_wait_duration": waited,
            "lost_call_processing_duration": row.id % 900 if lost else None,
            "talk_duration": talking,
            "clean_talk_duration": talking - hold,
            "total_duration": end - row.start,
            "postprocess_duration": row.id % 40 if talks else 0,
            "call_records": records,
            "wav_call_records": [digest("wav", one) for one in records],
            "full_record_file_link": (f"{APP_HOST}/system/media/talk/{row.id}/{records[0]}/" if records else None),
            "voice_mail_records": voice,
            "virtual_phone_number": _virtual(call),
            "is_transfer": any(leg.transfer for leg in call.legs),
            "last_answered_employee_id": last_id,
            "last_answered_employee_full_name": last_name,
            "first_answered_employee_id": first_id,
            "first_answered_employee_full_name": first_name,
            "last_talked_employee_id": last_id,
            "last_talked_employee_full_name": last_name,
            "first_talked_employee_id": first_id,
            "first_talked_employee_full_name": first_name,
            "operator_phone_number": _phone(talks[-1].party.extension) if talks else None,
            "scenario_name": scenario,
            "scenario_id": scenario_id,
            "employees": _employees(call),
            "contact_id": contact_id,
            "contact_full_name": contact,
            "attributes": ["primary" if row.id % 2 else "secondary", *(["lost"] if lost else [])] if inward else [],
            "hold_duration": hold,
        }
        if scenario is not None:
            record["scenario_operations"] = [{"name": scenario, "id": scenario_id}]
            if call.kind in _ACTIONS:
                operation_id, operation = _ACTIONS[call.kind]
                record["scenario_operations"].append({"name": operation, "id": operation_id})
        if row.id % 4 == 0:
            record["tags"] = [self._tag(row, last_id, last_name)]
        if inward and row.id % 3 == 0:
            record |= _visit(row.id, number)
        return record

    def _tag(self, row: _Row, employee_id: int | None, employee: str | None) -> Record:
        manual = employee_id is not None
        user = self.customers[0].users[0]
        values = (
            *(300 + row.id % 3, ("Lead", 'Said "later"', "Complaint; urgent")[row.id % 3]),
            *("manual" if manual else "auto", self._text(row.end)),
            *((user["id"], user["login"]) if manual else (None, None)),
            *(employee_id, employee),
        )
        return dict(zip(INSIDE["tags"], values, strict=True))


# requests


def _opened(body: bytes) -> tuple[str, Record, Any]:
    """Return method, parameters and id of a request, or raise why it is none."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise _RefusedError("parse_error") from None
    if isinstance(asked, list):
        raise _RefusedError("batch_operations_not_supported")
    if not isinstance(asked, dict):
        raise _RefusedError("invalid_request")
    if "id" not in asked:
        raise _RefusedError("notifications_not_supported")
    given = asked["id"]
    if type(given) not in {str, int, float}:
        raise _RefusedError("invalid_request")
    params = asked.get("params")
    if asked.get("jsonrpc") != "2.0" or not isinstance(asked.get("method"), str) or not isinstance(params, dict):
        raise _RefusedError("invalid_request", id=given)
    # Everything after this is raised with the id that came.
    return asked["method"], params, given


def _id_of(body: bytes) -> Any:
    """Return the id of a request, None where there is none."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return asked.get("id") if isinstance(asked, dict) else None


def _checked(method: str, params: Record, unexpected: Callable[[str, Any], _RefusedError]) -> None:
    """Raise what is wrong with the names and types of parameters."""
    required, optional = _PARAMETERS[method]
    for name, value in params.items():
        if name not in {*required, *optional}:
            raise unexpected(name, value)
    for name in required:
        if params.get(name) is None:
            raise _RefusedError("required_parameter_missed", field=name)
    for name, value in params.items():
        kind = _TYPES[name]
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise _RefusedError("data_type_error", field=name, value=value)


def _page(params: Record) -> tuple[int, int]:
    """Return offset and limit within what is documented."""
    offset, limit = params.get("offset"), params.get("limit")
    offset = 0 if offset is None else offset
    limit = DEFAULT_LIMIT if limit is None else limit
    if not 0 <= offset <= LARGEST_OFFSET:
        raise _RefusedError("invalid_parameter_value", field="offset", value=offset)
    if not 1 <= limit <= LARGEST_LIMIT:
        raise _RefusedError("invalid_parameter_value", field="limit", value=limit)
    return offset, limit


def _months_later(begin: datetime) -> datetime:
    """Return the same time three months on, at the end of a shorter month."""
    month = begin.month - 1 + _MONTHS
    first = begin.replace(year=begin.year + month // 12, month=month % 12 + 1, day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(begin.day, last.day))


def _refusal(mnemonic: str, client: str) -> _RefusedError:
    """Return an error that was asked for by name, with what its text needs."""
    params: dict[str, Record] = {
        "method_component_disabled": {"components": "data_api"},
        "parameter_component_disabled": {"components": "data_api"},
        "ip_not_whitelisted": {"ip": client},
        "limit_exceeded": {"limit_type": "day", "limit_max_value": 3_000},
    }
    return _RefusedError(mnemonic, **({"params": params[mnemonic]} if mnemonic in params else {}))


# filters and sorting


def _simple(target: Field, operator: str, value: Any) -> Callable[[Record], bool]:
    """Return what a simple filter says of a record; comparisons with null are false, save `=` and `!=` null."""
    name = target.name
    if target.type not in _OPERATORS.get(operator, ()):
        raise _RefusedError("invalid_parameter_value", field="filter.operator", value=operator)
    if operator == "in":
        if not isinstance(value, list):
            raise _RefusedError("data_type_error", field=name, value=value)
        for one in value:
            _typed(target, one)
        return lambda record: record[name] is not None and record[name] in value
    if operator in {"=", "!="} and value is None:
        return lambda record: (record[name] is None) == (operator == "=")
    if operator == "jsquery":
        return _jsquery(name, value)
    _typed(target, value)
    if operator in {"like", "regexp"}:
        pattern = _pattern(name, operator, value)
        return lambda record: record[name] is not None and bool(pattern(record[name]))
    test = _ORDERS[operator]
    return lambda record: record[name] is not None and test(record[name], value)


def _typed(target: Field, value: Any) -> None:
    """Raise unless a value is of a field's type."""
    kinds: dict[str, tuple[type, ...]] = {"number": (int, float), "boolean": (bool,)}
    wanted = kinds.get(target.type, (str,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and target.type != "boolean"):
        raise _RefusedError("data_type_error", field=target.name, value=value)


def _pattern(name: str, operator: str, value: str) -> Callable[[str], object]:
    if operator == "regexp":
        try:
            return re.compile(value).search
        except re.error:
            raise _RefusedError("invalid_parameter_value", field=name, value=value) from None
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(char) or re.escape(char) for char in value), re.DOTALL).fullmatch


def _jsquery(name: str, value: Any) -> Callable[[Record], bool]:
    """Return a test of an array: jsquery's comparison of one member, or of elements, with a constant."""
    read = _JSQUERY.fullmatch(value) if isinstance(value, str) else None
    if read is None:
        raise _RefusedError("invalid_parameter_value", field=name, value=value)
    member = (read["name"] or "").strip('"')
    wanted = json.loads(read["value"])
    test = _ORDERS[read["order"]]

    def passes(record: Record) -> bool:
        found = [one.get(member) if member and isinstance(one, dict) else one for one in record[name]]
        return any(type(one) is type(wanted) and test(one, wanted) for one in found)

    return passes


def _sorted(rows: list[Any], order: tuple[tuple[str, bool], ...], read: Callable[[Any, str], Any]) -> list[Any]:
    """Return rows in the order asked for, nulls last going up and first going down."""

    def compared(one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
        for (_, down), left, right in zip(order, one[0], other[0], strict=True):
            if left == right:
                continue
            sign = -1 if down else 1
            if left is None or right is None:
                return sign if left is None else -sign
            return sign if left > right else -sign
        return 0

    if not order:
        return rows
    keyed = [(tuple(read(row, name) for name, _ in order), row) for row in rows]
    return [row for _, row in sorted(keyed, key=cmp_to_key(compared))]


def _only(record: Record, chosen: tuple[str, ...]) -> Record:
    return {name: record[name] for name in chosen}


# what a call says of itself


def _is_inward(call: Call) -> bool:
    return call.legs[0].party.kind == "outside"


def _leg_direction(leg: Leg) -> str:
    """Return the leg's direction as the platform sees it: what it places is out, what reaches it is in."""
    return "in" if leg.direction == "originating" else "out"


def _called(leg: Leg) -> str:
    """Return whom the leg reaches: an employee by extension."""
    return leg.party.extension if leg.direction == "terminating" and leg.party.is_user else leg.to_number


def _virtual(call: Call) -> str | None:
    """Return the account's own number of the call, null within the house."""
    if _is_inward(call):
        return _phone(call.legs[0].dialed or call.to_number)
    return _phone(call.from_number) if call.kind == "outbound" and call.from_number.startswith("+") else None


def _contact(call: Call) -> tuple[int | None, str | None, str | None]:
    """Return id, name and number of the outside party; nulls within the house."""
    if _is_inward(call):
        name, number = call.legs[0].from_name, _phone(call.from_number)
    elif call.kind == "outbound":
        name, number = call.legs[0].to_name, _phone(call.to_number)
    else:
        return None, None, None
    return (int(digest("contact", number)[:8], 16) if name else None), name or None, number


def _grouped(call: Call) -> tuple[int | None, str | None]:
    return _GROUPS.get(call.kind, (None, None))


def _source(call: Call) -> str:
    """Return what the call came by; half of the calls out have a value that only clients of the API have met."""
    number = _number("call", call.id)
    if _is_inward(call):
        return "call_tracking" if number % 3 == 0 else "va"
    return _SOURCES[number % (2 * len(_SOURCES))] if number % (2 * len(_SOURCES)) < len(_SOURCES) else "sip"


def _recordings(leg: Leg) -> list[str]:
    """Return ids of recordings; now and then a leg has two."""
    if not leg.recorded:
        return []
    return [digest("record", leg.id, n) for n in range(2 if _number("leg", leg.id) % 5 == 0 else 1)]


def _employees(call: Call) -> list[Record]:
    """Return each employee of a call once, in the order they were rung."""
    found: dict[int, Record] = {}
    for leg in call.legs:
        if leg.party.is_user:
            number = _EMPLOYEES[leg.party.id]
            answered = leg.answer is not None
            values = (number, _employee_name(leg.party), answered, answered and leg.talk_seconds > 0)
            known = found.setdefault(number, dict(zip(INSIDE["employees"], values, strict=True)))
            known["is_answered"] = known["is_answered"] or values[2]
            known["is_talked"] = known["is_talked"] or values[3]
    return list(found.values())


def _region(number: str | None) -> tuple[int | None, str | None, str | None, str | None]:
    for prefix, region in _REGIONS.items():
        if number and number.startswith(prefix):
            return region
    return None, None, None, None


def _money(units: int) -> float | int:
    """Return ten-thousandths of the currency as the number JSON has for it."""
    return units / 10_000 if units % 10_000 else units // 10_000


def _visit(number: int, phone: str | None) -> Record:
    """Return what call tracking knows of the visit that led to a call."""
    visitor = 60_000_000 + number % 9_999_991
    return {
        "communication_page_url": "https://acme.example/offers?a=1&b=ü",
        "ua_client_id": f"{visitor}.{number % 1_000_000_007}",
        "ym_client_id": str(number),
        "sale_date": None,
        "sale_cost": 129.5 if number % 2 else None,
        "search_query": 'telephones "for offices"',
        "search_engine": "Example Search",
        "referrer_domain": "search.example",
        "referrer": "https://search.example/?q=telephones",
        "entrance_page": "https://acme.example/",
        "channel": "organic" if number % 2 else "paid",
        "site_domain_name": "acme.example",
        "site_id": 501,
        "campaign_name": "Autumn, all regions",
        "campaign_id": 77_001,
        "visit_other_campaign": False,
        "visitor_id": visitor,
        "person_id": int(digest("person", phone)[:8], 16),
        "visitor_type": "new" if number % 2 else "returned",
        "visitor_session_id": number,
        "visits_count": number % 5 + 1,
        "visitor_first_campaign_id": 77_001,
        "visitor_first_campaign_name": "Autumn, all regions",
        "visitor_city": "Zürich",
        "visitor_country": "Switzerland",
        "visitor_device": "mobile" if number % 2 else "desktop",
        "visitor_custom_properties": [{"property_name": "plan", "property_value": 'the "big" one'}],
        "segments": [{"segment_id": 41, "segment_name": "Small offices"}],
        "utm_source": "example",
        "utm_medium": "cpc",
        "utm_term": "telephone, office",
        "utm_campaign": "autumn",
        "utm_referrer": "search.example",
        "source_id": 12,
        "source_name": "Search",
    }


def _reason(leg: Leg, call: Call) -> str:
    """Return why a leg ended, in the spelling of the older documents and of real traffic."""
    outside = call.kind == "outbound"
    if leg.cause == "busy":
        return "subscriber_busy" if outside else "operator_busy"
    if leg.cause == "no_answer":
        return "subscriber_not_responsible" if outside else "operator_not_responsible"
    if leg.cause == "rejected":
        return "subscriber_disconnects" if outside else "employee_status_do_not_disturb"
    if leg.cause == "unallocated":
        return "subscriber_number_problems" if outside else "operator_number_problems"
    if leg.cause == "unavailable":
        return "subscriber_number_problems" if outside else "sip_offline"
    plain = {
        "cancelled": "operator_disconnects" if not _is_inward(call) else "subscriber_disconnects",
        "abandoned": "subscriber_disconnects",
        "answered_elsewhere": "another_operator_answer",
        "blind_transfer": "transfer_disconnects",
        "consulted_transfer": "transfer_disconnects",
    }
    if leg.cause in plain:
        return plain[leg.cause]
    if leg.party.kind in {"queue", "hunt_group", "attendant", "voicemail"} and leg.released_by == "local":
        return "scenario_disconnects"
    ended_here = leg.released_by == "local"
    ours = leg.party.kind != "outside"
    inside = not _is_inward(call) and not outside
    return "operator_disconnects" if inside or ended_here == ours else "subscriber_disconnects"
