"""PortSIP PBX: call detail records, call logs and call reports of its REST API.

Sources: support.portsip.com, "REST API guide" (authentication; accessing CDRs and recordings) and "Call Detail
Records"; GitHub portsip/portsip-knowledge-base, OpenAPI files of v22.x; release notes. What they leave open (which
sign-in a version has, whether `/cdrs` heeds query options, how empty values are written) is detected at run time, or
read both ways.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from cdrctl.fetchers import Call, Console, Details, Option, Provider, Timing
from cdrctl.fetchers.portsip.answers import error_for
from cdrctl.fetchers.portsip.columns import CALLLOGS, CDR, CDRS, FINISHED, LISTED, MADE, REPORT, identity, start
from cdrctl.fetchers.portsip.common import GIVES, GIVES_LOG, common_cdr, common_leg
from cdrctl.fetchers.portsip.details import calllog, cdr
from cdrctl.fetchers.portsip.listing import LARGEST_PAGE, LOOK_BACK, SETTLED, Run, calllogs, cdrs, check_order
from cdrctl.fetchers.portsip.report_form import FILTERS, FORMATS, RANGES
from cdrctl.fetchers.portsip.reports import (
    completed_reports,
    create_report,
    delete_completed,
    delete_report,
    download,
    reports,
    show_completed,
    show_report,
    update_report,
)
from cdrctl.fetchers.portsip.settings import BUDGET, TITLE, PortsipSettings
from cdrctl.fetchers.portsip.sign_in import empty_response, request_token
from cdrctl.http import Client, RetryPolicy
from cdrctl.records.batches import KeyFields
from cdrctl.records.columns import Expected
from cdrctl.windows import Window, rfc3339


def check(client: Client, settings: PortsipSettings) -> str:
    """Return the number of calls in the last day, from one small request."""
    del settings
    until = client.clock.now().replace(microsecond=0) - SETTLED
    window = Window(until - timedelta(hours=24), until)
    listing = Run(client, "/cdrs", orders=["started_at asc"])
    records, total = listing.page(listing.where(window), 0, size=1)
    count = total.rows
    if count is None or (records and not count) or not check_order(records, window, client.clock.now()):
        return f"there are {'calls' if records else 'no calls'}"
    between = f"between {rfc3339(window.since)} and {rfc3339(window.until)}"
    return f"{'1 call' if count == 1 else f'{count} calls'} {between}"


_SHOWN = (
    *("started_at", "caller", "callee", "duration", "status_code", "direction", "end_reason"),
    *("callee_display_name", "caller_display_name", "trunk", "answered_at", "service_number", "outbound_caller_id"),
)
_WITH_COST_SHOWN = (*_SHOWN[:6], "cost", *_SHOWN[6:])
_ENDING = ("status_code", "end_reason")
_QUERY = (
    Option(
        "filter",
        "only records that match, such as \"direction eq 'INBOUND_CALL'\"; may be repeated: all must match",
        repeat=True,
        metavar="FILTER",
        selects=True,
    ),
    Option("search", "only records that contain this text", metavar="TEXT", selects=True),
    Option("orderby", "sort order within each window, such as 'caller asc, started_at desc'", metavar="FIELDS"),
    Option("page_size", "records per request, 1 to 100", kind="integer", default=str(LARGEST_PAGE)),
)
_CALLS = (
    *_QUERY,
    Option("with_cost", "fetch the cost of every record, which takes one request each", kind="flag"),
    Option(
        "window", "length of the window of one request; shorter is easier on a slow PBX", kind="duration", default="24h"
    ),
)


def _min_parallel_window(options: Mapping[str, Any]) -> timedelta | None:
    """Return the shortest part worth a listing of its own: an hour costs hardly more than its pages."""
    return None if options["with_cost"] else timedelta(hours=1)


_TIMING = Timing(
    lag=SETTLED,
    retention=LOOK_BACK,
    longest=timedelta(hours=24),
    min_parallel_window=_min_parallel_window,
    serial_because="with --with-cost the records are counted before their costs are fetched",
)


_DETAILS = Details("with_cost", ("cost", "billed_account"), each=True)
_OWN = Option("own", "only the signed-in user's own calls; needs no role", kind="flag", selects=True)
_ID = Option("id", "id of the record", argument=True, metavar="ID")
_REPORT_OPTIONS = (
    Option("name", "name of the report", metavar="NAME"),
    Option("email", "address to which the PBX mails the file", metavar="ADDRESS"),
    Option("file_format", "CSV or HTML", metavar="FORMAT", values=FORMATS),
    Option("range", f"range of days: {', '.join(RANGES)}", metavar="RANGE", values=RANGES),
    Option("started_at", "start of a CUSTOM range, such as 2026-11-18T00:00:00Z", metavar="TIME"),
    Option("ended_at", "end of a CUSTOM range", metavar="TIME"),
    Option("cron", "schedule: minute hour day month weekday", metavar="CRON"),
    Option(
        "filter",
        "calls, queues or groups to report: a JSON object, or KEY=VALUE; may be repeated",
        repeat=True,
        metavar="FILTER",
        values=tuple(dict.fromkeys(f"{name}=" for fields in FILTERS.values() for name in fields)),
    ),
)
_REPORT_SHOWN = ("id", "name", "type", "cron_expr", "status")
_FINISHED_SHOWN = ("id", "name", "type", "format", "completed_at", "file_name", "file_size")


def _with_default(options: Sequence[Option], name: str, default: str) -> tuple[Option, ...]:
    return tuple(replace(one, default=default) if one.name == name else one for one in options)


def _example_from_listing(group: str, then: str, *, name: str | None = None) -> str:
    """Return an example that takes the id of a report from a listing, because the PBX assigns ids."""
    which = f"'select(.name == \"{name}\") .id'" if name else ".id"
    return f"cdrctl portsip {group} list -p sandbox | jq -r {which} | xargs -rn1 cdrctl portsip {group} {then}"


_report = functools.partial(Call, identity=identity, group="reports")
_completed = functools.partial(Call, identity=identity, group="completed-reports", columns=FINISHED)

_NEEDS = "The role Admin or QueueManager reads the tenant's calls; other users read their own (`portsip cdrs --own`)."

PROVIDER = Provider(
    name="portsip",
    title=TITLE,
    settings=PortsipSettings,
    auth_methods={
        "password": ("username", "password"),
        "token": ("access_token",),
    },
    sign_in=request_token,
    retry_policy=RetryPolicy(budgets={"*": BUDGET}, changes=(5, 20, 60)),
    error_for=error_for,
    empty_response=empty_response,
    check=check,
    account_settings=("domain",),
    key_settings=("username", "access_token"),
    # REST guide, "Authentication", "Accessing CDRs and recordings".
    credential_help={
        "password": Console(
            "a user's name and password, as in the web portal",
            (
                "Choose a user of the tenant without two-factor sign-in: a program cannot read the mailed code.",
                "The domain is the tenant's SIP domain; the system administrator has none.",
                "base_url is the PBX's address with port 8887 and /api, such as https://pbx.example.net:8887/api.",
            ),
            _NEEDS,
            asks=(("domain",),),
        ),
        "token": Console(
            "a token from another sign-in, valid for 30 or 60 minutes",
            (
                (
                    "It is access_token in the response to POST /api/auth/sign_in, or to /api/login/oauth/token before "
                    "v22.2.11."
                ),
            ),
            _NEEDS,
        ),
    },
    calls=(
        Call(
            name="cdrs",
            about="Calls of the tenant, or of the signed-in user: one record per call.",
            columns=CDRS,
            expected=Expected(required=frozenset({"id", "started_at"})),
            key_fields=KeyFields("id", "started_at"),
            fetch=cdrs,
            identity=identity,
            start=start,
            alike=("started_at", "direction", "caller", "callee"),
            timing=_TIMING,
            common=common_cdr,
            gives=GIVES,
            options=(*_CALLS, _OWN),
            details=_DETAILS,
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl portsip cdrs -p sandbox --since yesterday --until today --with-cost -o calls.csv",
                "cdrctl portsip cdrs -p sandbox --since 24h --filter \"startswith(callee,'2')\" -f table",
            ),
        ),
        Call(
            name="calllogs",
            about="Call logs of the tenant (since v22.0.42): the logs of one call share their session_id.",
            columns=CALLLOGS,
            expected=Expected(required=frozenset({"id", "started_at"})),
            key_fields=KeyFields("id", "started_at"),
            fetch=calllogs,
            identity=identity,
            start=start,
            alike=("started_at", "direction", "caller", "callee"),
            timing=_TIMING,
            common=common_cdr,
            gives=GIVES_LOG,
            options=_CALLS,
            details=_DETAILS,
            beside=True,
            table_columns=_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl portsip calllogs -p sandbox --since yesterday --until today --schema common -o logs.csv",
                "cdrctl portsip calllogs -p sandbox --since 24h --search 2007 | jq -r .session_id | uniq",
            ),
        ),
        Call(
            name="cdr",
            about="One call in full, with its cost; a transferred call is shown as its legs.",
            columns=CDR,
            fetch=cdr,
            identity=identity,
            common=common_leg,
            gives=GIVES,
            options=(_ID, _OWN),
            table_columns=_WITH_COST_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl portsip cdr -p sandbox 1175612102920896513",
                "cdrctl portsip cdr -p sandbox 1175612102920896513 | jq -r .cost",
            ),
        ),
        Call(
            name="calllog",
            about="One call log in full, with its cost.",
            columns=CALLLOGS,
            fetch=calllog,
            identity=identity,
            common=common_cdr,
            gives=GIVES,
            options=(_ID,),
            table_columns=_WITH_COST_SHOWN,
            outcome_columns=_ENDING,
            examples=(
                "cdrctl portsip calllog -p sandbox 1175598640098443266",
                "cdrctl portsip calllog -p sandbox 1175598640098443266 --schema common -f json",
            ),
        ),
        _report(
            name="list",
            about="Call reports that run or are scheduled.",
            columns=LISTED,
            fetch=reports,
            options=_QUERY,
            table_columns=_REPORT_SHOWN,
            examples=(
                "cdrctl portsip reports list -p sandbox -f table",
                "cdrctl portsip reports list -p sandbox --fields id,name,cron_expr -f tsv",
            ),
        ),
        _report(
            name="show",
            about="One call report in full.",
            columns=REPORT,
            fetch=show_report,
            options=(_ID,),
            table_columns=_REPORT_SHOWN,
            examples=(
                _example_from_listing("reports", "show -p sandbox"),
                _example_from_listing("reports", "show -p sandbox -f json"),
            ),
        ),
        _report(
            name="create",
            about="Create a call report, once or on a schedule; with --wait, wait for its file.",
            columns=MADE,
            fetch=create_report,
            changed="the report may have been created: see `cdrctl portsip reports list`",
            options=(
                Option("type", f"type of report: {', '.join(FILTERS)}", metavar="TYPE", values=tuple(FILTERS)),
                *_with_default(_REPORT_OPTIONS, "file_format", "CSV"),
                Option("wait", "wait until it is finished, and write its file", kind="flag"),
                Option("wait_at_most", "longest wait for the file", kind="duration", default="10m"),
            ),
            table_columns=(*_REPORT_SHOWN, "file_name", "file_size"),
            gives_file="wait",
            examples=(
                (
                    "cdrctl portsip reports create -p sandbox --type NORMAL --email user@example.com --range YESTERDAY "
                    "--wait -o report.csv"
                ),
                (
                    "cdrctl portsip reports create -p sandbox --type NORMAL --email user@example.com --range YESTERDAY "
                    "--cron '0 6 * * *'"
                ),
            ),
        ),
        _report(
            name="update",
            about="Change the given settings of a call report.",
            columns=REPORT,
            fetch=update_report,
            changed="the report may have been updated: see `cdrctl portsip reports list`",
            options=(_ID, *_REPORT_OPTIONS),
            table_columns=_REPORT_SHOWN,
            examples=(
                _example_from_listing("reports", "update -p sandbox --email user@example.com", name="daily"),
                _example_from_listing("reports", "update -p sandbox --cron '0 6 * * 1'", name="weekly"),
            ),
        ),
        _report(
            name="delete",
            about="Delete a call report, and show it.",
            columns=REPORT,
            fetch=delete_report,
            changed="the report may have been deleted: see `cdrctl portsip reports list`",
            options=(_ID,),
            table_columns=_REPORT_SHOWN,
            examples=(
                _example_from_listing("reports", "delete -p sandbox", name="old"),
                _example_from_listing("reports", "delete -p sandbox", name="test"),
            ),
        ),
        _completed(
            name="list",
            about="Finished call reports.",
            fetch=completed_reports,
            options=_QUERY,
            table_columns=_FINISHED_SHOWN,
            examples=(
                "cdrctl portsip completed-reports list -p sandbox -f table",
                "cdrctl portsip completed-reports list -p sandbox | jq -r .file_name",
            ),
        ),
        _completed(
            name="show",
            about="One finished call report.",
            fetch=show_completed,
            options=(_ID,),
            table_columns=_FINISHED_SHOWN,
            examples=(
                _example_from_listing("completed-reports", "show -p sandbox"),
                _example_from_listing("completed-reports", "show -p sandbox -f json"),
            ),
        ),
        _completed(
            name="download",
            about="Download the file of a finished call report.",
            fetch=download,
            options=(_ID,),
            table_columns=_FINISHED_SHOWN,
            gives_file=True,
            examples=(
                _example_from_listing("completed-reports", "download -p sandbox"),
                _example_from_listing("completed-reports", "download -p sandbox", name="daily"),
            ),
        ),
        _completed(
            name="delete",
            about="Delete a finished call report and its file, and show the report.",
            fetch=delete_completed,
            options=(_ID,),
            table_columns=_FINISHED_SHOWN,
            examples=(
                _example_from_listing("completed-reports", "delete -p sandbox", name="old"),
                _example_from_listing("completed-reports", "delete -p sandbox", name="test"),
            ),
        ),
    ),
)
