"""Call reports: list, show, create, update, delete, download."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from cdrctl.errors import ProviderError, TemporaryError, UsageError
from cdrctl.fetchers import Query
from cdrctl.fetchers.portsip.columns import identity
from cdrctl.fetchers.portsip.common import word_for
from cdrctl.fetchers.portsip.files import report_file
from cdrctl.fetchers.portsip.listing import Run, read_run, run_for
from cdrctl.fetchers.portsip.report_form import FILTERS, PLAIN, check_range, filter_for, new_report, one_of, plain_parts
from cdrctl.fetchers.portsip.requests import path_segment, quoted_text
from cdrctl.fetchers.portsip.settings import COMPLETED, REPORTS, TITLE, PortsipSettings
from cdrctl.http import Client, Request
from cdrctl.records.events import Event, Note, Page, Record, pick

# Call reports


def reports(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield the call reports of the tenant: running, scheduled or aborted."""
    return _all(query, REPORTS)


def completed_reports(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield the finished reports, whose files can be downloaded."""
    return _all(query, COMPLETED)


def _all(query: Query[PortsipSettings], path: str) -> Iterator[Event]:
    listing = run_for(query, path)
    orderby = (query.options["orderby"] or "").strip()
    if orderby:
        listing.orders = [f"{orderby}, id asc", orderby]
    return read_run(listing, None)


def _reports_named(client: Client, path: str, name: str) -> list[Record]:
    """Return the reports with exactly this name."""
    pieces = read_run(Run(client, path, condition=f"name eq {quoted_text(name)}"), None)
    records = (record for piece in pieces if isinstance(piece, Page) for record in piece.records)
    return [record for record in records if pick(record, "name") == name]


def _document(client: Client, path: str, key: str) -> Record:
    body = client.get(f"{path}/{path_segment(key)}").body
    if not isinstance(body, dict) or "id" not in body:
        raise ProviderError(
            f"{TITLE} sent an unknown response: a report without an id",
            hint="check base_url; if it is right, the API has changed: update cdrctl",
        )
    return body


def show_report(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield one call report in full."""
    yield Page([_document(query.client, REPORTS, query.options["id"])])


def show_completed(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield one finished report. Its `file_url` needs no token."""
    yield Page([_document(query.client, COMPLETED, query.options["id"])])


def create_report(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield the new call report or, with `wait`, its file.

    The API does not link a report to its file. The file is that of the new finished report with this name and type.
    Times are not compared, because the clock of the PBX may be wrong.
    """
    client, options = query.client, query.options
    now = client.clock.now()
    unique = f"cdrctl-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    body = new_report({**options, "name": options["name"] or unique}, now)
    name, known = body["name"], set[str]()
    if options["wait"] and options["cron"]:
        raise UsageError(
            "--wait cannot be combined with --cron: it waits for a report that runs now", hint="leave one of them out"
        )
    if options["wait"] and options["name"]:
        known = _existing_reports(client, name, body["type"])
    key = _create(client, body)
    if not options["wait"]:
        try:
            record = _document(client, REPORTS, key)
        except (ProviderError, TemporaryError) as error:  # it was created, and may be finished already
            yield Note(f"the report was created, but cannot be shown: {error.message}")
            record = {"id": key, **body}
        yield Page([record])
        return
    yield Note(f"report {name} was created (id {key})")
    yield report_file(client, query.settings, _wait_until_finished(client, body, key, known, options["wait_at_most"]))


def _existing_reports(client: Client, name: str, kind: str) -> set[str]:
    """Return the ids of the finished reports of this name, if no other report of this name can still finish.

    A report may stay RUNNING after its only run, because no status means done; then its file exists.

    Raises:
        UsageError: A report of this name may still finish.
    """
    begun = [one for one in _reports_named(client, REPORTS, name) if pick(one, "type") == kind]
    words = [word_for(pick(one, "status")) for one in begun]
    finished = _reports_named(client, COMPLETED, name)
    came = sum(pick(one, "type") == kind for one in finished)
    if "SCHEDULED" in words or any(pick(one, "cron_expr") for one in begun) or words.count("RUNNING") > came:
        raise UsageError(
            f"a report named {name!r} exists already: its file could be mistaken for the new one's",
            hint="choose another --name, or leave it out for a unique one",
        )
    return {identity(record) for record in finished}


def _create(client: Client, body: Record) -> str:
    """Return the id of a new report.

    The request is not retried: the report may exist although the response was lost.
    """
    look = f"the report may have been created: look for {body['name']} with `cdrctl portsip reports list`"
    try:
        answer = client.ask(Request("POST", client.at(REPORTS), json=body, changes=True))
    except TemporaryError as error:
        if error.status != 429:
            error.hint = look
        raise
    key = answer.body.get("id") if isinstance(answer.body, dict) else None
    if not isinstance(key, str) or not key.strip(" ."):
        raise ProviderError(f"{TITLE} sent an unknown response: a new report without an id", hint=look)
    return key


FIRST_POLL, LAST_POLL = 2.0, 30.0


def _wait_until_finished(client: Client, body: Record, key: str, known: set[str], at_most: timedelta) -> Record:
    """Wait until a report is finished, and return the finished report.

    Raises:
        ProviderError: The PBX aborted it.
        TemporaryError: It takes longer than `at_most`.
    """
    name, kind = body["name"], body["type"]
    latest = client.clock.monotonic() + at_most.total_seconds()
    wait = FIRST_POLL
    while True:
        found = [one for one in _reports_named(client, COMPLETED, name) if pick(one, "type") == kind]
        new = [one for one in found if identity(one) not in known]
        if new:
            return max(new, key=lambda one: str(pick(one, "completed_at")))
        if word_for(_status(client, key)) == "ABORTED":
            raise ProviderError(
                f"{TITLE} aborted the report {name} (id {key})", hint="create it again, or a smaller one"
            )
        left = latest - client.clock.monotonic()
        if left <= 0:
            raise TemporaryError(
                f"the report {name} (id {key}) was not finished in the time allowed",
                hint="the PBX is still working on it: see `cdrctl portsip completed-reports list`, then download "
                "it by its id",
            )
        client.pause(min(wait, left), f"{TITLE} is creating the report {name}")
        wait = min(2 * wait, LAST_POLL)


def _status(client: Client, key: str) -> Any:
    with suppress(ProviderError):  # the PBX may delete a finished report
        return pick(_document(client, REPORTS, key), "status")
    return None


def update_report(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Change the given parts of a call report, and yield the report."""
    client, options = query.client, query.options
    given = [name for name in (*PLAIN, "filter") if options[name]]
    if not given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in (*PLAIN, "filter"))
        raise UsageError("no setting of the report was given", hint=f"give at least one of {names}")
    now = client.clock.now()
    body = plain_parts(options, now)  # before the first request
    old = _document(client, REPORTS, options["id"])
    if options["filter"]:
        body["filter"] = filter_for(
            one_of("the type of this report", word_for(pick(old, "type")), FILTERS), options["filter"]
        )
    kept = {name: pick(old, name) for name in ("range", "started_at", "ended_at")}
    check_range({**kept, **body}, body)
    url = client.at(f"{REPORTS}/{path_segment(options['id'])}")
    client.ask(Request("POST", url, json=body, changes=True, bodiless=True))
    yield Page([_document(client, REPORTS, options["id"])])


def delete_report(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Delete a call report, and yield it as it was."""
    yield _delete(query.client, REPORTS, query.options["id"])


def delete_completed(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Delete a finished report with its file, and yield it as it was."""
    yield _delete(query.client, COMPLETED, query.options["id"])


def _delete(client: Client, path: str, key: str) -> Page:
    record = _document(client, path, key)
    client.ask(Request("POST", client.at(f"{path}/{path_segment(key)}/destroy"), changes=True, bodiless=True))
    return Page([record])


def download(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield the file of a finished report."""
    yield report_file(query.client, query.settings, _document(query.client, COMPLETED, query.options["id"]))
