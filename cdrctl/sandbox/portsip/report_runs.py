"""Run call reports: once when they are posted, or when their cron expression is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from cdrctl.sandbox.exchange.clock import milliseconds
from cdrctl.sandbox.portsip.cron import parse_cron
from cdrctl.sandbox.portsip.ids import blob_name, new_report_id
from cdrctl.sandbox.portsip.report_form import report_window
from cdrctl.sandbox.portsip.report_tables import report_file
from cdrctl.sandbox.portsip.state import PBX, CompletedReport, Report

_CRON_STEP = timedelta(minutes=1)
_CRON_REACH = timedelta(days=62)
"""How far back the search for due runs goes when the clock has jumped."""


def run_reports(pbx: PBX) -> None:
    """Begin and complete every report that is due by now."""
    now = pbx.now()
    for report in list(pbx.reports.posted.values()):
        _begin_runs(report, now)
        while report.done < len(report.runs) and pbx.switched["report"] == "completes":
            began = report.runs[report.done]
            if not _is_over(pbx, began):
                break
            report.done += 1
            done = _complete(pbx, report, began)
            pbx.reports.completed[done.number] = done
        finished = report.runs and report.done == len(report.runs) and not report.body.get("cron_expr")
        if finished and pbx.switched["report_after"] == "gone":
            del pbx.reports.posted[report.number]


def _begin_runs(report: Report, now: datetime) -> None:
    """Begin the runs of a report that became due since its cron expression was last evaluated."""
    if report.body.get("cron_expr") and now > report.looked:
        cron = parse_cron(report.body["cron_expr"])
        at = max(report.looked, now - _CRON_REACH).replace(second=0, microsecond=0) + _CRON_STEP
        while at <= now:
            if cron.due(at):
                report.runs.append(at)
            at += _CRON_STEP
        report.looked = now


def _complete(pbx: PBX, report: Report, began: datetime) -> CompletedReport:
    body = report.body
    at = began + timedelta(seconds=int(pbx.switched["report_delay"]))
    number = new_report_id(pbx)
    content = report_file(pbx, body, report_window(body, began), milliseconds(began))
    blob = blob_name("report", number, report.number)
    return CompletedReport(number, body["name"], body["type"], body["format"], at, content, blob)


def report_status(pbx: PBX, report: Report) -> str:
    """Return the status of a report; the PBX has no status for a report that is done."""
    if report.done < len(report.runs):
        aborts = pbx.switched["report"] == "aborts" and _is_over(pbx, report.runs[report.done])
        return "ABORTED" if aborts else "RUNNING"
    after = pbx.switched["report_after"]
    return "SCHEDULED" if report.body.get("cron_expr") or after == "gone" else after


def _is_over(pbx: PBX, began: datetime) -> bool:
    return began + timedelta(seconds=int(pbx.switched["report_delay"])) <= pbx.now()
