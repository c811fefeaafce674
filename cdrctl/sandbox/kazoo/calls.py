"""The calls of the API: listings, the legs of an interaction, single documents and descendants."""

from __future__ import annotations

import re
from typing import Any

from cdrctl.sandbox.kazoo.accounts import Account
from cdrctl.sandbox.kazoo.answers import bad_identifier, failure, success
from cdrctl.sandbox.kazoo.chunks import find_rows
from cdrctl.sandbox.kazoo.databases import is_hidden, month_database, visible_document
from cdrctl.sandbox.kazoo.documents import Doc, StoredDocument
from cdrctl.sandbox.kazoo.filters import selected_fields
from cdrctl.sandbox.kazoo.keys import OBJECT, binary, pack
from cdrctl.sandbox.kazoo.listings import (
    CHUNK_SIZE,
    BadParameterError,
    is_descending,
    named_key,
    page_size,
    read_listing,
)
from cdrctl.sandbox.kazoo.months import GREGORIAN, month_of
from cdrctl.sandbox.kazoo.pages import csv_page, fault_reply, json_page
from cdrctl.sandbox.kazoo.rows import full_document
from cdrctl.sandbox.kazoo.state import State
from cdrctl.sandbox.wire import Reply, Request


def descendants(state: State, request: Request, account: Account) -> Reply:
    """Answer `/descendants`."""
    rows = [
        {"id": one.id, "name": one.name, "realm": one.realm, "tree": [account.id], "flags": []}
        for one in state.accounts
        if one.parent == account.id
    ]
    return success(state, request, rows, {"page_size": len(rows)} if rows else {})


def single_document(state: State, request: Request, account: Account, cdr_id: str) -> Reply:
    """Answer `/cdrs/CDR_ID`; Crossbar does not look up an id that does not begin with a month."""
    if not re.match(r"\d{6}-", cdr_id):
        return failure(state, request, 404, "could not find cdr with supplied id", {})
    found = visible_document(state, account, cdr_id)
    if found is None:
        return bad_identifier(state, request, cdr_id)
    return success(state, request, full_document(state, found))


def legs(state: State, request: Request, account: Account, leg_id: str) -> Reply:
    """Answer `/cdrs/legs/ID`: ID is that of an interaction or of one of its legs."""
    if re.match(r"\d{6}-", leg_id):
        found = visible_document(state, account, leg_id)
        if found is None:
            return failure(state, request, 404, "could not find legs for supplied id", {})
        interaction = f"{found.interaction[0]}-{found.interaction[1]}"
    elif re.match(r"\d{11}-", leg_id):
        interaction = leg_id
    else:
        return bad_identifier(state, request, leg_id)
    try:
        size = page_size(request.values)
    except BadParameterError as error:
        return failure(state, request, 404, "faulty_request", {"message": str(error)})
    return _leg_page(state, request, account, interaction, size)


def _leg_page(state: State, request: Request, account: Account, interaction: str, size: int | None) -> Reply:
    """Return a page of the legs of an interaction, or all of them without paging."""
    asked = request.values
    descending = is_descending(state.version, asked)
    stored = _interaction_legs(state, account, interaction)
    stored.sort(key=lambda one: (one.start, one.id), reverse=descending)
    begin = pack(binary(interaction), OBJECT) if descending else pack(binary(interaction))
    asked_key = named_key(state.version, asked) or begin
    keys = [begin, *(_leg_key(interaction, one) for one in stored)]
    other = len(stored) if descending else 0  # text, which comes before all keys
    first = max(0, keys.index(asked_key) - 1) if asked_key in keys else other
    many = size or CHUNK_SIZE
    # Pages follow each other newest first, and each is turned round: normalize_leg_view_results in cb_cdrs.erl.
    pages = [stored[at : at + many][::-1] for at in range(first, len(stored), many)]
    chosen = [one for page in (pages if size is None else pages[:1]) for one in page]
    paging: Doc = {}
    if chosen and size is not None:
        if first + len(chosen) < len(stored):
            paging["next_start_key"] = _leg_key(interaction, stored[first + len(chosen)])
        paging["page_size"] = len(chosen)
        paging["start_key"] = asked_key
    return success(state, request, [full_document(state, one) for one in chosen], paging)


def _interaction_legs(state: State, account: Account, interaction: str) -> list[StoredDocument]:
    """Return the documents of an interaction that are saved by now."""
    began, _, key = interaction.partition("-")
    now = state.gregorian_now
    documents = month_database(state, account, month_of(int(began))).documents
    legs = [one for one in documents if one.interaction == (int(began), key)]
    return [one for one in legs if one.saved <= now and not is_hidden(state, one)]


def _leg_key(interaction: str, stored: StoredDocument) -> str:
    return pack(binary(interaction), binary(f"{stored.start}-{stored.id}"))


def listing(state: State, request: Request, account: Account, owner: str, *, interaction: bool, csv: bool) -> Reply:
    """Answer a listing of legs or interactions, of a user where there is an owner: crossbar_view.erl."""
    asked = request.values
    offset = asked.get("utc_offset")
    if offset is not None and not re.fullmatch(r"-?\d+(\.\d+)?", offset):
        return failure(state, request, 404, "utc_offset must be a number", {})
    try:
        wanted = read_listing(state, account, owner, asked, interaction=interaction)
    except BadParameterError as error:
        return failure(state, request, 404, "faulty_request", {"message": str(error)})
    refusal = _refuse_range(state, request, *wanted.created)
    if refusal:
        return refusal
    state.listings += 1
    found = find_rows(state, wanted)
    if found.fault:
        return fault_reply(state, request, found.fault)
    if csv:
        return csv_page(state, wanted, found)
    rows: list[Any] = found.rows
    if "fields" in asked and state.version == "5.x":
        rows = selected_fields(rows, asked["fields"])
    return json_page(state, request, wanted, found, rows)


def _refuse_range(state: State, request: Request, lo: int, hi: int) -> Reply | None:
    """Return the error of a created range that is reversed, too long or before 1970; None for any other."""
    limit = int(state.switched["max_range"])
    wrong: tuple[str, int] | None = None
    if hi < lo:
        wrong = f"created_to {hi} is prior to created_from {lo}", lo
    elif hi - lo > limit:
        wrong = f"created_to {hi} is more than {limit} seconds from created_from {lo}", hi
    if wrong:
        data = {"created_from": {"date_range": {"message": wrong[0], "cause": wrong[1]}}}
        return failure(state, request, 400, "validation error", data)
    # Months before 1970 have no name: the request crashes.
    return Reply(500) if hi < GREGORIAN else None
