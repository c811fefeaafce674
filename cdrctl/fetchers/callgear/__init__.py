"""CallGear: call legs, calls, costs and customer users from the Data API.

Sources: callgear.github.io/data_api ("Get call legs report", "Get calls report", "Get financial call legs report",
"List of errors", "Limits", August 2026) and the same engine's documentation under its other names, comagic.github.io
and novofon.github.io (April 2026). Where they are silent or ambiguous, no record is lost whichever reading is true.

What makes this API hard is its time: the account's local time, without an offset, in requests and in responses. In
autumn an hour of it is repeated, and nothing distinguishes the two: every time is read as the first of them, so that
windows tile, and the time as received is kept in a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from cdrctl.fetchers import Call, Console, Details, Option, Provider, Query, Timing
from cdrctl.fetchers.callgear.answers import ADMITS, BusyError, error_for, mnemonic_of
from cdrctl.fetchers.callgear.columns import (
    CALL_COLUMNS,
    COST_COLUMNS,
    COSTS_OF_LEG,
    CURRENCY,
    KEY_FIELDS,
    LEG_COLUMNS,
    USER_COLUMNS,
    identity,
    start,
)
from cdrctl.fetchers.callgear.common import GIVES_CALL, GIVES_LEG, common_call, common_leg
from cdrctl.fetchers.callgear.fields import CALLS, COSTS, LEGS, USERS, Field
from cdrctl.fetchers.callgear.jsonrpc import error_in, sign
from cdrctl.fetchers.callgear.leg_costs import legs
from cdrctl.fetchers.callgear.listing import LONGEST_WINDOW, calls, costs, users
from cdrctl.fetchers.callgear.local_time import DAY, span_of, zone_of
from cdrctl.fetchers.callgear.report import LARGEST_PAGE, report_of
from cdrctl.fetchers.callgear.settings import TITLE, CallGearSettings
from cdrctl.fetchers.callgear.sign_in import empty_response, request_token
from cdrctl.fetchers.drift import new_fields, new_fields_warning
from cdrctl.http import Answer, Client, RetryPolicy, Schedule
from cdrctl.records.columns import Expected
from cdrctl.records.events import fingerprint
from cdrctl.windows import Window

SETTLED = timedelta(minutes=5)
"""A row appears when its call ends; how soon after is not published."""


def ended(answer: Answer) -> bool:
    """Return whether a response says that the token expired. It calls the token of an expired login invalid."""
    if error_in(answer) is None:
        return answer.status == 401
    return mnemonic_of(answer) in {"access_token_expired", "access_token_invalid"}


def check(client: Client, settings: CallGearSettings) -> str:
    """Return the zone of the account and its number of legs in the last day, from two small requests."""
    query = Query(client, settings, None, {"page_size": 1, "filter": (), "orderby": ()})
    report = report_of(query, "get.call_legs_report", LEGS, identity)
    name, report.zone = zone_of(report.account)
    until = client.clock.now().replace(microsecond=0)
    records, total = report.page(span_of(Window(until - DAY, until), report.zone), 0, listed=False)
    names = new_fields(records, LEG_COLUMNS)
    if names:
        client.log("warning", new_fields_warning(TITLE, "legs", names))
    if total is None or total < len(records):
        found = "legs" if records else "no legs"
    else:
        found = "1 leg" if total == 1 else f"{total} legs"
    return f"times are of {name}; {found} in the last 24 hours"


# The provider


def _listing_options(fields: Sequence[Field]) -> tuple[Option, ...]:
    """Return the options that filter and sort a listing of these fields."""
    return (
        Option(
            "filter",
            "only records that match: field=value, !=, <, <=, >, >=, field~like%, or a JSON object; all must match",
            repeat=True,
            metavar="EXPRESSION",
            selects=True,
            values=tuple(f"{one.name}=" for one in fields if "F" in one.marks),
        ),
        Option(
            "orderby",
            "sort order: field or field:desc; default: by start",
            repeat=True,
            metavar="FIELD",
            values=tuple(one.name + how for one in fields if "S" in one.marks for how in ("", ":desc")),
        ),
    )


_PAGE_SIZE = Option("page_size", f"records per request, 1 to {LARGEST_PAGE}", kind="integer", default=str(LARGEST_PAGE))
_LISTING = (
    Option(
        "longest_call",
        "longest call: query this far past the window, because the service may select calls by their end",
        kind="duration",
        default="24h",
    ),
    _PAGE_SIZE,
)


# Each response has the points that are left. At the limit, the error says where the next export can begin.
_TIMING = Timing(
    lag=SETTLED,
    longest=LONGEST_WINDOW,
    serial_because="each response says how many requests are left, and another run must be able to continue "
    "after the daily limit",
)


_NEEDS = (
    'The user needs rights in the web cabinet: `callgear costs` needs "account access: view" and '
    '`callgear users` needs "user: view".'
)

PROVIDER = Provider(
    name="callgear",
    title=TITLE,
    settings=CallGearSettings,
    auth_methods={"key": ("access_token",), "login": ("login", "password")},
    sign_in=request_token,
    # Points differ from account to account and are read from the answers. Whether "busy" comes as a status or in the
    # body of a 200 is not published, so `error_for` reads the body before the status.
    retry_policy=RetryPolicy(busy=frozenset(), errors={BusyError: Schedule()}),
    error_for=error_for,
    empty_response=empty_response,
    check=check,
    account_settings=("user_id",),
    key_settings=("login", "access_token"),
    sign=sign,
    ended=ended,
    # callgear.github.io/data_api, "Authentication", "Limits", "User rights".
    credential_help={
        "key": Console(
            "an access key, permanent or valid until a date that you set",
            (
                (
                    "In the web cabinet (app.callgear.com), create an access key for a user. It needs the component "
                    "Data API."
                ),
                f"The API is closed by default: find this machine's public address and {ADMITS}.",
            ),
            _NEEDS,
        ),
        "login": Console(
            "a user's login and password",
            (
                "Choose a user of the web cabinet (app.callgear.com) with the right to use the Data API.",
                f"The API is closed by default: find this machine's public address and {ADMITS}.",
            ),
            _NEEDS,
        ),
    },
    allow_list_hint=ADMITS,
    retention_note="no limit is published",
    calls=(
        Call(
            name="legs",
            about="Call legs (get.call_legs_report): one row per leg, several per call.",
            columns=LEG_COLUMNS,
            expected=Expected(required=frozenset({"id", "call_session_id", "start_time"})),
            fetch=legs,
            identity=identity,
            start_in=start,
            key_fields=KEY_FIELDS,
            alike=("start_time", "direction", "calling_phone_number", "called_phone_number", "virtual_phone_number"),
            timing=_TIMING,
            common=common_leg,
            gives=GIVES_LEG,
            options=(
                *_listing_options(LEGS),
                *_LISTING,
                Option("with_cost", "add the cost of each leg, which takes the requests of `costs`", kind="flag"),
            ),
            details=Details("with_cost", (*COSTS_OF_LEG, CURRENCY)),
            table_columns=(
                *("start_time", "calling_phone_number", "called_phone_number", "duration", "is_talked", "direction"),
                *("finish_reason", "employee_full_name", "total_duration", "release_cause_code"),
                *("employee_phone_number", "virtual_phone_number", "scenario_name", "contact_full_name"),
            ),
            outcome_columns=("finish_reason", "is_talked", "is_failed"),
            examples=(
                "cdrctl callgear legs -p sandbox --since yesterday --until today -o legs.csv",
                (
                    "cdrctl callgear legs -p sandbox --since yesterday --until today --filter 'duration>60' --filter "
                    "direction=in"
                ),
            ),
        ),
        Call(
            name="calls",
            about="Calls (get.calls_report): one row per call.",
            columns=CALL_COLUMNS,
            expected=Expected(required=frozenset({"id", "start_time"})),
            fetch=calls,
            identity=identity,
            start_in=start,
            key_fields=KEY_FIELDS,
            alike=("start_time", "direction", "contact_phone_number", "virtual_phone_number", "source"),
            timing=_TIMING,
            common=common_call,
            gives=GIVES_CALL,
            options=(
                *_listing_options(CALLS),
                *_LISTING,
                Option(
                    "ongoing",
                    "include calls in progress; their records will still change",
                    kind="flag",
                    archivable=False,
                ),
            ),
            table_columns=(
                *("start_time", "contact_phone_number", "virtual_phone_number", "talk_duration", "is_lost"),
                *("direction", "finish_reason", "last_answered_employee_full_name", "total_duration", "wait_duration"),
                *("operator_phone_number", "scenario_name", "contact_full_name", "campaign_name"),
            ),
            outcome_columns=("is_lost", "finish_reason"),
            examples=(
                "cdrctl callgear calls -p sandbox --since yesterday --until today --schema common -o calls.csv",
                "cdrctl callgear calls -p sandbox --since 24h | jq -r 'select(.is_lost) .start_time'",
            ),
        ),
        Call(
            name="costs",
            about="Costs of call legs (get.financial_call_legs_report): leg_id is the id of a leg.",
            columns=COST_COLUMNS,
            expected=Expected(required=frozenset({"leg_id", "start_time"})),
            fetch=costs,
            identity=fingerprint,
            start_in=start,
            alike=(
                "start_time",
                "direction",
                "source",
                "calling_phone_number",
                "called_phone_number",
                "direction_type",
            ),
            timing=_TIMING,
            options=(*_listing_options(COSTS), *_LISTING),
            table_columns=(
                *("start_time", "calling_phone_number", "called_phone_number"),
                *("chargeable_duration", "total_charge", "direction", "cost_per_minute", "duration", "direction_type"),
                *("bonuses_charge", "source", "leg_id"),
            ),
            examples=(
                "cdrctl callgear costs -p sandbox --since yesterday --until today -o costs.csv",
                (
                    "cdrctl callgear costs -p sandbox --since yesterday --until today | jq -r .total_charge | awk '{ "
                    "sum += $1 } END { print sum }'"
                ),
            ),
        ),
        Call(
            name="users",
            about="Users of a partner's customers (get.customer_users), whose ids are a profile's user_id.",
            columns=USER_COLUMNS,
            fetch=users,
            identity=identity,
            options=(*_listing_options(USERS), _PAGE_SIZE),
            table_columns=("id", "login", "name", "customer_id", "description"),
            examples=(
                "cdrctl callgear users -p sandbox -f table",
                "cdrctl callgear users -p sandbox | jq -r .id",
            ),
        ),
    ),
)
