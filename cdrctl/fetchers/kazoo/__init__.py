"""2600Hz Kazoo: call detail records from Crossbar.

Sources: GitHub 2600hz/kazoo (master and branches 3.22 to 4.3): `cb_cdrs.erl`, `crossbar_view.erl`, `api_util.erl`,
`cb_context.erl`, `kz_buckets.erl` and their `doc/*.md`; GitHub openkazoo/kazoo5-dev for 5.x.

Two things make this API hard. Legs are stored in one database per UTC month of their *interaction's* start, but listed
by the moment they were *saved*, and only the months in the requested range are opened: a leg of a call over midnight of
the first is in neither of two adjoining months. And a paged response that goes from one month into another drops rows.
So each month is listed by itself, and the start of each month is read by a separate request.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from cdrctl.fetchers import Call, Console, Option, Provider, Timing
from cdrctl.fetchers.kazoo.answers import error_for, error_unless_whole, records_in
from cdrctl.fetchers.kazoo.columns import (
    COLUMNS,
    DOCUMENT,
    FILTERED,
    INTERACTION_KEY_FIELDS,
    KEY_FIELDS,
    identity,
    interaction,
    interaction_start,
    start,
)
from cdrctl.fetchers.kazoo.common import GIVES, GIVES_DOCUMENT, common_cdr, common_document
from cdrctl.fetchers.kazoo.listing import SETTLED, cdr, cdrs, interactions, legs, listing_path
from cdrctl.fetchers.kazoo.ranges import rfc3339_of
from cdrctl.fetchers.kazoo.settings import TITLE, KazooSettings
from cdrctl.fetchers.kazoo.sign_in import empty_response, request_token
from cdrctl.fetchers.kazoo.state import gregorian_second
from cdrctl.http import Client, RateLimit, RetryPolicy
from cdrctl.records.columns import Expected


def check(client: Client, settings: KazooSettings) -> str:
    """Return a sentence about the last day that is certain to be available."""
    until = gregorian_second(client.clock.now() - SETTLED)
    day = 86_400
    path = listing_path(settings.account_id, None, by_interaction=False)
    params = [("created_from", str(until - day)), ("created_to", str(until)), ("page_size", "1")]
    rows = records_in(client.get(path, params, whole=error_unless_whole))
    found = "there are" if rows else "there are no"
    span = f"between {rfc3339_of(until - day)} and {rfc3339_of(until)}"
    return f"{found} legs in account {settings.account_id} {span}"


_TABLE_COLUMNS = (
    *("timestamp", "caller_id_number", "callee_id_number", "billing_seconds", "hangup_cause", "direction", "cost"),
    *("callee_id_name", "caller_id_name", "duration_seconds", "dialed_number", "call_type", "rate_name"),
)
_DOCUMENT_TABLE_COLUMNS = (
    *("timestamp", "caller_id_number", "callee_id_number", "billing_seconds", "hangup_cause", "call_direction"),
    *("callee_id_name", "caller_id_name", "ringing_seconds", "duration_seconds", "hangup_code", "disposition"),
)
_OUTCOME_COLUMNS = ("hangup_cause",)
_ACCOUNT = Option("account", "a sub-account, instead of the profile's account", metavar="ID", selects=True)
_LISTING = (
    Option("user", "only legs of this user", metavar="ID", selects=True),
    _ACCOUNT,
    Option("descendants", "include the account's sub-accounts", kind="flag", selects=True),
    Option(
        "filter",
        "only rows whose field has this value; may be repeated",
        repeat=True,
        metavar="FIELD=VALUE",
        selects=True,
        values=tuple(f"{name}=" for name in FILTERED),
    ),
    Option("utc_offset", "seconds by which Kazoo shifts the column datetime", kind="integer"),
    Option(
        "longest_call",
        "longest call: query this far past the window, because Kazoo lists calls by their end; longer calls are missed",
        kind="duration",
        default="24h",
    ),
    Option("page_size", "rows per page", kind="integer", default="50"),
)


def _min_parallel_window(options: Mapping[str, Any]) -> timedelta:
    """Return the shortest part worth a request: each part is read further by the length of the longest call."""
    longest: timedelta = options["longest_call"]
    return max(timedelta(days=1), 7 * longest)


_TIMING = Timing(lag=SETTLED, min_parallel_window=_min_parallel_window)
_ID = Option("id", "", argument=True, metavar="ID")

_NEEDS = "It can read its own account and the accounts below it. account_id must be one of them."
_WHOSE = "The account id is 32 hexadecimal digits. The operator knows it, and every sign-in returns it."

PROVIDER = Provider(
    name="kazoo",
    title=TITLE,
    settings=KazooSettings,
    auth_methods={
        "key": ("api_key",),
        "password": ("username", "password"),
        "token": ("auth_token",),
    },
    sign_in=request_token,
    # The bucket holds 100 requests and fills by 10 a second (kz_buckets.erl); half of that is polite.
    retry_policy=RetryPolicy(budgets={"*": RateLimit(5, 1)}),
    error_for=error_for,
    empty_response=empty_response,
    check=check,
    account_settings=("account_id",),
    # docs.2600hz.com, "Account API Authentication", "User Authentication".
    credential_help={
        "key": Console(
            "the account's API key, valid until it is changed",
            (
                "Ask the operator, or sign in and call GET /v2/accounts/ACCOUNT_ID/api_key. It has 64 characters.",
                _WHOSE,
            ),
            _NEEDS,
        ),
        "password": Console(
            "a user name and password, as in the web interface",
            (
                "Choose a user without a second factor: a program cannot enter one.",
                "The server also needs the account's name or realm: the web interface asks for the same name.",
                _WHOSE,
            ),
            _NEEDS,
            asks=(("account_name", "account_realm"),),
        ),
        "token": Console(
            "a token from another sign-in, valid for an hour",
            ("It is auth_token in the response to PUT /v2/api_auth or /v2/user_auth.", _WHOSE),
            _NEEDS,
        ),
    },
    retention_note="no limit is published; operators may delete old months, which then look empty",
    calls=(
        Call(
            name="cdrs",
            about="Legs of an account or a user, newest first; one call is several legs.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"id", "call_id", "timestamp"})),
            fetch=cdrs,
            identity=identity,
            start=start,
            key_fields=KEY_FIELDS,
            alike=("timestamp", "direction", "caller_id_number", "callee_id_number", "account_id"),
            further_context={"user": ""},
            timing=_TIMING,
            common=common_cdr,
            gives=GIVES,
            options=_LISTING,
            table_columns=_TABLE_COLUMNS,
            outcome_columns=_OUTCOME_COLUMNS,
            examples=(
                "cdrctl kazoo cdrs -p sandbox --since yesterday --until today --schema common -o legs.csv",
                (
                    "cdrctl kazoo cdrs -p sandbox --since yesterday --until today --filter direction=inbound -f tsv "
                    "--fields timestamp,billing_seconds"
                ),
            ),
        ),
        Call(
            name="interactions",
            about="The earliest leg of each interaction: one row per call.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"id", "call_id", "timestamp"})),
            fetch=interactions,
            identity=interaction,
            stands_for_many=True,
            key_fields=INTERACTION_KEY_FIELDS,
            start_in=interaction_start,
            alike=("timestamp", "direction", "caller_id_number", "callee_id_number", "account_id"),
            further_context={"user": ""},
            timing=_TIMING,
            common=common_cdr,
            gives=GIVES,
            options=_LISTING,
            table_columns=_TABLE_COLUMNS,
            outcome_columns=_OUTCOME_COLUMNS,
            examples=(
                "cdrctl kazoo interactions -p sandbox --since yesterday --until today -o calls.jsonl",
                "cdrctl kazoo interactions -p sandbox --since 7d --tz Europe/Berlin | jq -s length",
            ),
        ),
        Call(
            name="legs",
            about="All legs of one interaction, in full.",
            columns=DOCUMENT,
            expected=Expected(open_objects=frozenset({"custom_channel_vars"}), required=frozenset({"id", "call_id"})),
            fetch=legs,
            identity=identity,
            common=common_document,
            gives=GIVES_DOCUMENT,
            options=(replace(_ID, about="interaction id, or the id of one of its CDRs"), _ACCOUNT),
            table_columns=_DOCUMENT_TABLE_COLUMNS,
            outcome_columns=_OUTCOME_COLUMNS,
            examples=(
                "cdrctl kazoo legs -p sandbox 63962351927-c41244fd",
                "cdrctl kazoo legs -p sandbox 63962351927-c41244fd --schema common -f table",
            ),
        ),
        Call(
            name="cdr",
            about="One leg in full.",
            columns=DOCUMENT,
            expected=Expected(open_objects=frozenset({"custom_channel_vars"}), required=frozenset({"id", "call_id"})),
            fetch=cdr,
            identity=identity,
            common=common_document,
            gives=GIVES_DOCUMENT,
            options=(replace(_ID, about="id of the CDR, such as 202611-…"), _ACCOUNT),
            table_columns=_DOCUMENT_TABLE_COLUMNS,
            outcome_columns=_OUTCOME_COLUMNS,
            examples=(
                "cdrctl kazoo cdr -p sandbox 202611-5a75675ac70995f51f67@10.26.0.242",
                "cdrctl kazoo cdr -p sandbox -f json 202611-5a75675ac70995f51f67@10.26.0.242",
            ),
        ),
    ),
)
