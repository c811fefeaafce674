"""Voicenter: the Call Log (`hub/cdr`), and CDR notifications that were captured.

Sources: Voicenter, "Call log (Version 0.1)", which joins the Call Log and the fields of the CDR notification; GitHub
VoicenterTeam, the API pages "Call Log", "CDR notification" and "Authentication" of 2026. Where they are silent or
ambiguous, no record is lost whichever reading is true.

There are no pages: one response holds at most 10 000 records, and tells in one of four ways that there are more. So
windows are halved until they fit.
"""

from __future__ import annotations

from datetime import timedelta

from cdrctl.fetchers import Call, Console, Option, Provider, Timing
from cdrctl.fetchers.drift import new_fields, new_fields_warning
from cdrctl.fetchers.voicenter.answers import ADMITS, MINUTELY, MOST_RECORDS, FullError, Reply, TooFastError, error_for
from cdrctl.fetchers.voicenter.bounds import DAY, MINUTE, SECOND, whole_minute
from cdrctl.fetchers.voicenter.columns import COLUMNS, KEY_FIELDS, NOTIFIED, identity, notification_identity
from cdrctl.fetchers.voicenter.common import GIVES, TYPES, common_cdr, common_notification
from cdrctl.fetchers.voicenter.listing import cdrs
from cdrctl.fetchers.voicenter.notifications import notifications
from cdrctl.fetchers.voicenter.run import SETTLED, begin_run
from cdrctl.fetchers.voicenter.search import IDENTITIES
from cdrctl.fetchers.voicenter.settings import TITLE, VoicenterSettings
from cdrctl.fetchers.voicenter.sign_in import empty_response, ended, request_token, sign
from cdrctl.fetchers.voicenter.zone import start_in
from cdrctl.http import Client, RateLimit, RetryPolicy, Schedule, published
from cdrctl.records.columns import Expected
from cdrctl.records.events import number_of_records
from cdrctl.windows import Window, rfc3339

# Page "Call Log": 30 requests a minute, 2 s between two of them, and 5 s after the error of too many. The vendor's page
# for developers asks for 5 s between any two: cdrctl keeps that after the first such error. The growing waits are
# cdrctl's choice.
SPACED = RateLimit(1, 2)
TOO_FAST = Schedule(waits=(5, 10, 20, 40, 60), slower={"page": published(1, 5)})


def check(client: Client, settings: VoicenterSettings) -> str:
    """Return the number of records in an hour, from one small request."""
    until = whole_minute(client.clock.now() - SETTLED)
    asked = Window(until - timedelta(hours=1), until)
    try:
        reply = begin_run(client, settings, {}).ask(asked.since - SECOND, asked.until, listed=False)
    except FullError:
        reply = Reply([], full=True)
    names = new_fields(reply.records, COLUMNS)
    if names:
        client.log("warning", new_fields_warning(TITLE, "cdrs", names))
    records = f"more than {MOST_RECORDS} records" if reply.full else number_of_records(len(reply.records))
    return f"{records} between {rfc3339(asked.since)} and {rfc3339(asked.until)}"


PROVIDER = Provider(
    name="voicenter",
    title=TITLE,
    settings=VoicenterSettings,
    auth_methods={"code": ("code",), "token": ("access_token",)},
    sign_in=request_token,
    retry_policy=RetryPolicy(
        budgets={"*": MINUTELY, "page": SPACED},
        waits={429: TOO_FAST.waits[0]},
        errors={TooFastError: TOO_FAST},
    ),
    error_for=error_for,
    sign=sign,
    ended=ended,
    empty_response=empty_response,
    check=check,
    key_settings=("code", "access_token"),
    # www.voicenter.com, API pages "Authentication" and "Call Log".
    credential_help={
        "code": Console(
            "the organisation's code, from authorised IP addresses",
            (
                "Voicenter provides the code; it is in their back office.",
                "In CPanel, API Settings, Authorized IPs, add the address of this machine.",
            ),
            "A code can read the calls of the whole account.",
        ),
        "token": Console(
            "a bearer token, from any address",
            ("Create one in Voicenter's back office; its lifetime is not published.",),
        ),
    },
    allow_list_hint=ADMITS,
    retention_note="no limit is published",
    calls=(
        Call(
            name="cdrs",
            about="Call Log of a period (hub/cdr): one record per call, and per leg where a call has two.",
            columns=COLUMNS,
            expected=Expected(required=frozenset({"call_id", "date"})),
            fetch=cdrs,
            identity=identity,
            start_in=start_in,
            key_fields=KEY_FIELDS,
            alike=("date", "type", "cdr_type", "caller_number", "target_number"),
            timing=Timing(
                lag=SETTLED,
                longest=DAY,
                margin=DAY,
                # the longest window of one request: shorter parts would need more requests
                min_parallel_window=lambda options: max(MINUTE, options["longest_window"]),
            ),
            common=common_cdr,
            gives=GIVES,
            options=(
                Option(
                    "phone", "only calls with this number; may be repeated", repeat=True, metavar="NUMBER", selects=True
                ),
                Option(
                    "extension",
                    "only calls of this extension, by its SIP code; may be repeated",
                    repeat=True,
                    selects=True,
                ),
                Option(
                    "identity",
                    "scope of the calls: Account, Hierarchical, Department or User",
                    metavar="WHOSE",
                    values=IDENTITIES,
                    selects=True,
                ),
                Option("call_id", "only the records of this call", metavar="ID", selects=True),
                Option(
                    "type",
                    "only this type of call, by number or name; may be repeated",
                    repeat=True,
                    values=tuple(TYPES.values()),
                    selects=True,
                ),
                Option(
                    "queue",
                    "only calls of this queue, by its number; may be repeated",
                    repeat=True,
                    metavar="N",
                    selects=True,
                ),
                Option(
                    "campaign",
                    "only calls of this campaign, by number; may be repeated",
                    repeat=True,
                    metavar="N",
                    selects=True,
                ),
                Option(
                    "longest_window",
                    "length of the window of one request; halved if a response cannot hold it",
                    kind="duration",
                    default="1d",
                ),
                Option(
                    "longest_call",
                    "longest time from the start of a call to its record; requests reach this far past the window",
                    kind="duration",
                    default="24h",
                ),
            ),
            table_columns=(
                *("date", "caller_number", "target_number", "duration", "dial_status", "type"),
                *("representative_name", "queue_name", "price", "ring_time", "did", "department_name"),
            ),
            outcome_columns=("dial_status", "dial_status2"),
            examples=(
                "cdrctl voicenter cdrs -p sandbox --since yesterday --until today --schema common -o calls.csv",
                "cdrctl voicenter cdrs -p sandbox --since 24h --extension SIPSIP7 | jq -s 'map(.duration) | add'",
            ),
        ),
        Call(
            name="notifications",
            about="Captured push notifications: one JSON object, a list, or one object per line.",
            columns=NOTIFIED,
            fetch=notifications,
            identity=notification_identity,
            common=common_notification,
            gives=GIVES,
            options=(Option("file", "file with the notifications; - is standard input", kind="file", argument=True),),
            table_columns=(
                *("time", "caller", "target", "duration", "status", "type", "representative_name", "queuename"),
                *("price", "dialtime", "seconds_waiting_in_queue", "did", "department_name"),
            ),
            outcome_columns=("status",),
            offline=True,
            examples=(
                'echo \'{"caller": "0720000001"}\' | cdrctl voicenter notifications -',
                'echo \'{"caller": "0720000001"}\' > a.json && cdrctl voicenter notifications a.json --schema common',
            ),
        ),
    ),
)
