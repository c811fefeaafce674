"""Answers to listings: plain, chunked or old envelopes, CSV, and errors of the database."""

from __future__ import annotations

import json
from typing import Any

from cdrctl.sandbox.kazoo.answers import (
    NODE,
    error_of_status,
    failure,
    id_header,
    json_headers,
    request_id,
    success,
    timestamp,
)
from cdrctl.sandbox.kazoo.chunks import Result
from cdrctl.sandbox.kazoo.documents import Doc
from cdrctl.sandbox.kazoo.keys import start_key
from cdrctl.sandbox.kazoo.listings import Listing
from cdrctl.sandbox.kazoo.releases import OLD, RELEASES
from cdrctl.sandbox.kazoo.state import State
from cdrctl.sandbox.kazoo.tokens import token_of
from cdrctl.sandbox.wire import Reply, Request, dump


def json_page(state: State, request: Request, listing: Listing, found: Result, rows: list[Any]) -> Reply:
    """Return the envelope of a listing: plain if the query says so or without rows, else chunked."""
    paging: Doc = {}
    if listing.page_size is not None and (rows or found.last_key is not None):
        if found.last_key is not None:
            paging["next_start_key"] = start_key(found.last_key, listing.owner, state.version)
        paging["page_size"] = len(rows)
        paging["start_key"] = start_key(listing.start_key, listing.owner, state.version)
    if state.version in OLD:
        body = _old_envelope(state, request, rows, paging)
    elif not listing.chunked or (not rows and "next_start_key" not in paging):
        return success(state, request, rows, paging)
    else:
        body = _chunked_envelope(state, request, rows, paging)
    if state.listings == int(state.switched["cut_body"]):
        body = body[: len(body) // 2]
    return Reply(200, body, json_headers(state), chunked=True)


def _chunked_envelope(state: State, request: Request, rows: list[Any], paging: Doc) -> bytes:
    """Return data first and then the other members, each after a comma and a blank."""
    if state.version != "5.x" and "page_size" in paging:
        paging["page_size"] = str(paging["page_size"])
    members = paging | {
        "status": "success",
        "request_id": request_id(state),
        "node": NODE,
        "version": RELEASES[state.version],
        "timestamp": timestamp(state),
        "auth_token": token_of(request, "5.x"),
    }
    tail = "".join(f', "{name}":{json.dumps(value)}' for name, value in members.items())
    return b'{"data":' + dump(rows) + tail.encode() + b"}"


def _old_envelope(state: State, request: Request, rows: list[Any], paging: Doc) -> bytes:
    """Return the status first, as releases up to 4.1 do."""
    last = {"request_id": request_id(state), "auth_token": token_of(request, "5.x")}
    return dump({"status": "success", "data": rows} | paging | last)


def csv_page(state: State, listing: Listing, found: Result) -> Reply:
    """Return CSV with the vendor's faults: a page without a next key, interactions without quotes."""
    if not found.rows:
        return Reply(204)
    columns = list(found.rows[0])
    cells = [["" if isinstance(v, list) else str(v) for v in row.values()] for row in found.rows]
    if listing.interaction:
        lines = [columns, *cells]
        body = "".join(",".join(line) + "\r\n" for line in lines)
    else:
        columns[0] = "ID"
        body = "".join(
            ",".join('"' + cell.replace('"', '""') + '"' for cell in line) + "\n" for line in (columns, *cells)
        )
    return Reply(200, body.encode(), {"Content-Type": "text/csv", **id_header(state)}, chunked=True)


def fault_reply(state: State, request: Request, fault: str) -> Reply:
    """Return the error of a listing on which the database failed."""
    if fault == "memory":
        return error_of_status(state, 416, request)
    if fault == "view":
        return failure(state, request, 503, "datastore_fault", {"message": "datastore missing view"})
    return error_of_status(state, 500 if fault == "timeout" else 503, request)
