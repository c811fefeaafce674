"""Webex Calling: detailed call history, from `cdr_feed` and `cdr_stream`.

Sources: developer.webex.com, "Reports: Detailed Call History" and "Reports: Live Stream Detailed Call History"; the
developer blog "Understanding the Webex Calling CDR APIs" (17 December 2025); help.webex.com nmug598 (fields) and
fs78p5 (role). Where they are silent or ambiguous, no record is lost whichever reading is true.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from cdrctl.fetchers import Call, Console, Login, Option, Provider, Timing
from cdrctl.fetchers.searching import Searched
from cdrctl.fetchers.webex.answers import error_for, next_link, records_in, total_in
from cdrctl.fetchers.webex.columns import COLUMNS, KEY_FIELDS, identity, start
from cdrctl.fetchers.webex.common import GIVES, common_cdr
from cdrctl.fetchers.webex.listing import (
    EDGE,
    FEED,
    LARGEST_PAGE,
    SMALLEST_PAGE,
    STREAM,
    Run,
    archived_legs,
    cdrs,
    legs,
    pages_of,
    stream,
)
from cdrctl.fetchers.webex.settings import PAGES, TITLE, WINDOWS, WebexSettings
from cdrctl.fetchers.webex.sign_in import allows_url, empty_response, exchange, page, request_token
from cdrctl.http import Client, RetryPolicy
from cdrctl.records.columns import Expected
from cdrctl.records.events import number_of_records
from cdrctl.windows import Window, rfc3339


def check(client: Client, settings: WebexSettings) -> str:
    """Return a sentence about the last half hour that is certain to be available."""
    until = client.clock.now() - FEED.lag - EDGE
    asked = Window(until - timedelta(minutes=30), until)
    answer = next(pages_of(FEED, client, Run(settings, SMALLEST_PAGE), asked, ""))
    link = next_link(answer)
    count = max(total_in(link), len(records_in(answer, more=link is not None)))
    return f"{number_of_records(count)} between {rfc3339(asked.since)} and {rfc3339(asked.until)}"


_TABLE_COLUMNS = (
    *("start_time", "calling_number", "called_number", "duration", "call_outcome_reason", "direction", "user"),
    *("answered", "ring_duration", "location", "call_type", "releasing_party", "dialed_digits", "user_type"),
    *("queue_type", "redirecting_number", "inbound_trunk", "outbound_trunk"),
)
_OUTCOME_COLUMNS = ("call_outcome_reason", "call_outcome", "answered")
_OPTIONS = (
    Option("location", "only this location, by its name in Control Hub; may be repeated", repeat=True, selects=True),
    Option(
        "longest_call",
        "longest call: query this far past the window, because the service may select calls by their end",
        kind="duration",
        default="12h",
    ),
    Option("page_size", "records per page, 500 to 5000", kind="integer", default=str(LARGEST_PAGE)),
)


_SERIAL = "its rate limit is one window a minute, and each window shows how far past the end the next must reach"

_FEED_TIMING = Timing(
    lag=FEED.lag + EDGE,
    refuses_newer=True,
    # Records that come late are in the old window only ("Reports: Detailed Call History"): a day covers them.
    lookback=timedelta(hours=24),
    retention=FEED.keeps,
    longest=FEED.longest,
    margin=FEED.longest,
    first="window",
    serial_because=_SERIAL,
)


_NEEDS = (
    "It needs the scope spark-admin:calling_cdr_read, and its administrator a custom role with "
    '"Webex Calling Detailed Call History API access".'
)

PROVIDER = Provider(
    name="webex",
    title=TITLE,
    settings=WebexSettings,
    auth_methods={
        "token": ("access_token",),
        "browser": ("client_id", "client_secret"),
        "refresh": ("client_id", "client_secret", "refresh_token"),
    },
    sign_in=request_token,
    retry_policy=RetryPolicy(
        budgets={"window": WINDOWS, "page": PAGES},
        busy=RetryPolicy().busy | {423},
        brief=RetryPolicy().brief | {504},  # the service advises a smaller max: waiting does not help
        waits={423: 60, 429: 60},
    ),
    error_for=error_for,
    allows_url=allows_url,
    empty_response=empty_response,
    check=check,
    key_settings=("client_id",),
    # developer.webex.com, "Integrations & Authorization", "Using Webex Service Apps", "Getting Started: Your Personal
    # Access Token", "Reports: Detailed Call History"; help.webex.com fs78p5 for the role.
    credential_help={
        "browser": Console(
            "a sign-in with a browser, through your own integration; renewed automatically",
            (
                "At developer.webex.com, open My Webex Apps, Create a New App, Integration. Select the scope.",
                "Set the redirect URI to http://127.0.0.1:8765/callback.",
                "Copy the client id and the client secret. The secret is shown once.",
            ),
            _NEEDS,
        ),
        "token": Console(
            "an access token, valid for 12 hours; for a first try",
            (
                "Sign in at developer.webex.com as an administrator of your organisation.",
                "Copy your personal access token from the documentation, under Getting Started.",
            ),
            _NEEDS,
        ),
        "refresh": Console(
            "a service app's refresh token, renewed automatically; for scheduled exports",
            (
                "At developer.webex.com, open My Webex Apps, Create a New App, Service App. Select the scope.",
                "Copy the client id and the client secret. The secret is shown once.",
                "A full administrator authorises it in Control Hub (admin.webex.com): Management, Apps, Service Apps.",
                "On the app's page, choose your organisation and copy its access token and refresh token.",
            ),
            _NEEDS,
        ),
    },
    calls=(
        Call(
            name="cdrs",
            about="Call history of a period (cdr_feed): up to 30 days back, one record per leg and party.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"report_id", "correlation_id", "start_time"})),
            key_fields=KEY_FIELDS,
            fetch=cdrs,
            identity=identity,
            start=start,
            alike=("start_time", "direction", "call_type", "calling_number", "called_number", "user_uuid"),
            account_column="org_uuid",
            timing=_FEED_TIMING,
            common=common_cdr,
            gives=GIVES,
            options=_OPTIONS,
            table_columns=_TABLE_COLUMNS,
            outcome_columns=_OUTCOME_COLUMNS,
            examples=(
                "cdrctl webex cdrs -p sandbox --since yesterday --until today -o yesterday.csv",
                "cdrctl webex cdrs -p sandbox --since 24h | jq -r .call_type | sort | uniq -c",
            ),
        ),
        Call(
            name="stream",
            about="Newest call history (cdr_stream): up to 12 hours back, late records included.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"report_id", "correlation_id", "start_time"})),
            key_fields=KEY_FIELDS,
            fetch=stream,
            identity=identity,
            start=start,
            alike=("start_time", "direction", "call_type", "calling_number", "called_number", "user_uuid"),
            account_column="org_uuid",
            timing=Timing(
                lag=STREAM.lag + EDGE,
                refuses_newer=True,
                lookback=STREAM.keeps,
                retention=STREAM.keeps,
                default_since="12h",
                longest=STREAM.longest,
                first="window",
                serial_because=_SERIAL,
            ),
            common=common_cdr,
            gives=GIVES,
            options=_OPTIONS,
            table_columns=_TABLE_COLUMNS,
            outcome_columns=_OUTCOME_COLUMNS,
            examples=(
                "cdrctl webex stream -p sandbox --since 2h -f table",
                "cdrctl webex stream -p sandbox --since 2h --schema common -o newest.csv.gz",
            ),
        ),
        Call(
            name="legs",
            about="The legs of one call, by any id that joins legs, among the calls of a period.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"report_id", "correlation_id", "start_time"})),
            fetch=legs,
            identity=identity,
            searches=True,
            searched=Searched("cdrs", archived_legs),
            timing=replace(_FEED_TIMING, retention=None),
            common=common_cdr,
            gives=GIVES,
            options=(
                Option(
                    "id",
                    "a Report ID, Interaction ID, Correlation ID, Network, Local, Remote, Related or Transfer related "
                    "call ID, SIP Call ID, or a SessionID",
                    argument=True,
                    metavar="ID",
                ),
                *(option for option in _OPTIONS if option.name != "location"),
            ),
            table_columns=_TABLE_COLUMNS,
            outcome_columns=_OUTCOME_COLUMNS,
            examples=(
                "cdrctl webex legs -p sandbox --since 30h 29741232:0",
                (
                    "ID=$(cdrctl webex cdrs -p sandbox --since 30h --limit 1 --template '{report_id}'); "
                    'cdrctl webex legs -p sandbox --since 30h "$ID"'
                ),
            ),
        ),
    ),
    keeps_tokens=True,
    login=Login("browser", page, exchange),
)
