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


def _named(client: Client, path: str, name: str) -> list[Record]:
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
    """Yield the call report that was made; or, when it is to be waited for, its file.

    Nothing in the API leads from a report to its file. With a name of its own, the file is that of the finished report
    of this name and type that was not there before. The clock of the PBX, which may be wrong, need not be asked.
    """
    client, options = query.client, query.options
    now = client.clock.now()
    unique = f"cdrctl-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    body = new_report({**options, "name": options["name"] or unique}, now)
    name, known = body["name"], set[str]()
    if options["wait"] and options["cron"]:
        raise UsageError("--wait cannot be combined with --cron: it waits for a report that runs now")
    if options["wait"] and options["name"]:
        known = _known(client, name, body["type"])
    key = _created(client, body)
    if not options["wait"]:
        try:
            record = _document(client, REPORTS, key)
        except (ProviderError, TemporaryError) as error:  # it may be finished and gone, and it was made
            yield Note(f"the report was created, but cannot be shown: {error.message}")
            record = {"id": key, **body}
        yield Page([record])
        return
    yield Note(f"report {name} was created (id {key})")
    yield report_file(client, query.settings, _finished(client, body, key, known, options["wait_at_most"]))


def _known(client: Client, name: str, kind: str) -> set[str]:
    """Return the finished reports of this name, once it is sure that no other report of it can be finished from now on.

    A report that ran once may be said to be RUNNING for ever, as there is no word for done: then its file is there.

    Raises:
        UsageError: One is to come.
    """
    begun = [one for one in _named(client, REPORTS, name) if pick(one, "type") == kind]
    words = [word_for(pick(one, "status")) for one in begun]
    finished = _named(client, COMPLETED, name)
    came = sum(pick(one, "type") == kind for one in finished)
    if "SCHEDULED" in words or any(pick(one, "cron_expr") for one in begun) or words.count("RUNNING") > came:
        raise UsageError(
            f"a report named {name!r} exists already: its file could be mistaken for the new one's",
            hint="choose another --name, or leave it out for a unique one",
        )
    return {identity(record) for record in finished}


def _created(client: Client, body: Record) -> str:
    """Return the id of a new report.

    There is one attempt: a lost response does not mean that the report was not made.
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


def _finished(client: Client, body: Record, key: str, known: set[str], at_most: timedelta) -> Record:
    """Return the finished report of a report that was begun, once it is there.

    Raises:
        ProviderError: The PBX gave it up.
        TemporaryError: It takes longer than we may wait.
    """
    name, kind = body["name"], body["type"]
    latest = client.clock.monotonic() + at_most.total_seconds()
    wait = FIRST_POLL
    while True:
        found = [one for one in _named(client, COMPLETED, name) if pick(one, "type") == kind]
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
    with suppress(ProviderError):  # a report that is finished may be gone
        return pick(_document(client, REPORTS, key), "status")
    return None


def update_report(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield a call report after what was given of it has been changed."""
    client, options = query.client, query.options
    given = [name for name in (*PLAIN, "filter") if options[name]]
    if not given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in (*PLAIN, "filter"))
        raise UsageError("no setting of the report was given", hint=f"give at least one of {names}")
    now = client.clock.now()
    body = plain_parts(options, now)  # before anything is asked
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
    """Yield a call report as it was, once it has been deleted."""
    yield _deleted(query.client, REPORTS, query.options["id"])


def delete_completed(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield a finished report as it was, once it and its file have been deleted."""
    yield _deleted(query.client, COMPLETED, query.options["id"])


def _deleted(client: Client, path: str, key: str) -> Page:
    record = _document(client, path, key)
    client.ask(Request("POST", client.at(f"{path}/{path_segment(key)}/destroy"), changes=True, bodiless=True))
    return Page([record])


def download(query: Query[PortsipSettings]) -> Iterator[Event]:
    """Yield the file of a finished report."""
    yield report_file(query.client, query.settings, _document(query.client, COMPLETED, query.options["id"]))
