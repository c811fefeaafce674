"""Call reports and completed call reports: create, change, show, list and destroy them."""

from __future__ import annotations

from typing import Any

from cdrctl.sandbox.portsip.answers import error, json_reply, text_or_null, unknown_id
from cdrctl.sandbox.portsip.completed_reports import completed_row
from cdrctl.sandbox.portsip.fields import COMPLETED_KEYS, REPORT_KEYS, Row
from cdrctl.sandbox.portsip.filter_language import sort_key
from cdrctl.sandbox.portsip.ids import new_report_id, read_id, write_id
from cdrctl.sandbox.portsip.queries import LARGEST_PAGE, page_reply, read_query
from cdrctl.sandbox.portsip.report_form import read_report
from cdrctl.sandbox.portsip.report_runs import report_status
from cdrctl.sandbox.portsip.requests import read_object
from cdrctl.sandbox.portsip.state import PBX, Report
from cdrctl.sandbox.wire import Reply, Request


def create_report(pbx: PBX, request: Request) -> Reply:
    """Answer `POST /call_reports`; a report without a cron expression runs at once."""
    body = read_report(read_object(request))
    now = pbx.now()
    report = Report(new_report_id(pbx), body, now)
    if not body.get("cron_expr"):
        report.runs.append(now)
    pbx.reports.posted[report.number] = report
    return json_reply(201, {"id": write_id(pbx, report.number)})


def update_report(pbx: PBX, request: Request, text: str) -> Reply:
    """Answer `POST /call_reports/ID`; the type of a report stays."""
    report = pbx.reports.posted.get(read_id(pbx, text))
    if report is None:
        return error(pbx, 404)
    changes = {name: value for name, value in read_object(request).items() if name != "type"}
    report.body = read_report(report.body | changes)
    report.looked = pbx.now()
    return Reply(200)


def show_report(pbx: PBX, text: str) -> Reply:
    """Answer `GET /call_reports/ID`."""
    report = pbx.reports.posted.get(read_id(pbx, text))
    return json_reply(200, _report_row(pbx, report, whole=True)) if report else error(pbx, 404)


def show_completed(pbx: PBX, text: str) -> Reply:
    """Answer `GET /completed_call_reports/ID`."""
    done = pbx.reports.completed.get(read_id(pbx, text))
    return json_reply(200, completed_row(pbx, done)) if done else error(pbx, 404)


def destroy_report(pbx: PBX, kind: str, text: str) -> Reply:
    """Answer `POST /call_reports/ID/destroy`, and the same for completed reports."""
    held: dict[int, Any] = pbx.reports.posted if kind == "call_reports" else pbx.reports.completed
    if held.pop(read_id(pbx, text), None) is None:
        return unknown_id(pbx)
    return Reply(204)


def list_reports(pbx: PBX, request: Request, kind: str) -> Reply:
    """Answer `GET /call_reports` or `GET /completed_call_reports`."""
    fields = REPORT_KEYS if kind == "call_reports" else COMPLETED_KEYS
    query = read_query(pbx, request, fields, LARGEST_PAGE, ignores=False)
    if kind == "call_reports":
        rows = [_report_row(pbx, one, whole=False) for one in pbx.reports.posted.values()]
    else:
        rows = [completed_row(pbx, one) for one in pbx.reports.completed.values()]
    rows = [row for row in rows if query.selects(row)]
    for name, descending in reversed(query.order):
        rows.sort(key=lambda row: sort_key(row, name), reverse=descending)
    return page_reply(pbx, query, rows[query.skip : query.skip + query.top], len(rows))


def _report_row(pbx: PBX, report: Report, *, whole: bool) -> Row:
    body = report.body
    names = ("name", "type", *(("email", "format", "range", "started_at", "ended_at") if whole else ()))
    row: Row = {"id": write_id(pbx, report.number)}
    row |= {name: text_or_null(pbx, body.get(name, "")) for name in (*names, "cron_expr")}
    if whole:
        row["filter"] = body["filter"]
    return row | {"status": report_status(pbx, report)}
