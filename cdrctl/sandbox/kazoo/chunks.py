"""How a listing goes through its months, chunk by chunk: crossbar_view.erl, with its faults."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from cdrctl.sandbox.kazoo.documents import Doc, StoredDocument
from cdrctl.sandbox.kazoo.filters import passes_filters
from cdrctl.sandbox.kazoo.keys import Key
from cdrctl.sandbox.kazoo.listings import CHUNK_SIZE, Listing, range_keys
from cdrctl.sandbox.kazoo.rows import full_document, listing_row
from cdrctl.sandbox.kazoo.state import State
from cdrctl.sandbox.kazoo.views import is_building, view

_NEVER = 10**12


@dataclass(slots=True)
class Result:
    """The rows of a listing, the key that the next page begins at, and an error of the database on the way.

    `count` is the number of rows as Crossbar counts them.
    """

    rows: list[Doc] = field(default_factory=list)
    count: int = 0
    last_key: Key | None = None
    fault: str = ""


class DatabaseError(Exception):
    """The database did not answer; the argument is the name of the fault."""


def find_rows(state: State, listing: Listing) -> Result:
    """Return the rows of a listing, found chunk by chunk or all at once."""
    return _find_in_chunks(state, listing) if listing.chunked else _find_in_memory(state, listing)


def _find_in_chunks(state: State, listing: Listing) -> Result:
    """Go through the months as crossbar_view:next_chunk/1 does, with its way of choosing keys.

    The month after the first begins at the key of the chunk before, not at the range's edge: what it holds beyond
    that key is lost. An error after the first chunk ends the answer as if it were complete.
    """
    found = Result()
    months = list(listing.months)
    size = listing.page_size
    right = state.switched["month_cursor"] == "right"
    older: Key | None = None
    asked_at: Key | None = None
    chunk = 0
    while months:
        chunk += 1
        want = listing.chunk_size if size is None else min(listing.chunk_size, size - found.count)
        try:
            rows, count, latest = _query(state, listing, months[0], asked_at, want + 1, chunk)
        except DatabaseError as error:
            if chunk == 1:
                return Result(fault=str(error))
            found.last_key = asked_at
            break
        older, found.last_key = found.last_key, latest
        found.rows += rows
        found.count += count
        if size is not None and found.count == size and latest is not None:
            break
        if latest is not None and latest != older:
            asked_at = latest
        elif len(months) == 1:
            break
        else:
            months.pop(0)
            asked_at = None if right else older
    return found


def _find_in_memory(state: State, listing: Listing) -> Result:
    """Find everything at once; a finished month passes no key to the next, which is right without paging only."""
    found = Result()
    size = listing.page_size
    limit = state.switched["memory_limit"]
    right = state.switched["month_cursor"] == "right"
    months = list(listing.months)
    while months:
        want = CHUNK_SIZE if size is None else size - found.count
        try:
            rows, count, found.last_key = _query(state, listing, months[0], found.last_key, want + 1, 0)
        except DatabaseError as error:
            return Result(fault=str(error))
        found.rows += rows
        found.count += count
        if size is None and limit != "off" and found.count > int(limit):
            return Result(fault="memory")
        if size is not None and found.count == size and found.last_key is not None:
            break
        # With paging the next month is read even if filters left this month's page short.
        if found.last_key is None or (size is not None and not right):
            months.pop(0)
    return found


def _query(
    state: State, listing: Listing, month: str, at: Key | None, limit: int, number: int
) -> tuple[list[Doc], int, Key | None]:
    """Ask the view of a month for `limit` documents from a key on, the last of which is left for the next query.

    `number` counts the chunks of an answer from 1; 0 is an answer that is not chunked. Returns the rows, how many
    Crossbar counts, and the key of the document that is left.
    """
    if number and number == int(state.switched["fail_chunk"]):
        raise DatabaseError("timeout")
    if is_building(state, listing, month):
        raise DatabaseError("view")
    keys, documents = view(state, listing, month)
    begin = at or listing.start_key
    if state.switched["month_cursor"] == "right":
        begin = _right_key(state, listing, month, begin)
    if listing.descending:
        hi = bisect_right(keys, begin)
        lo = max(bisect_left(keys, listing.end_key), hi - limit)
        chosen = list(zip(keys[lo:hi], documents[lo:hi], strict=True))[::-1]
    else:
        lo = bisect_left(keys, begin)
        hi = min(bisect_right(keys, listing.end_key), lo + limit)
        chosen = list(zip(keys[lo:hi], documents[lo:hi], strict=True))
    last: Key | None = None
    if not chosen:
        last = at
    elif len(chosen) == limit:
        last = chosen[-1][0]
        chosen = chosen[:-1]
    stored = [one for _, one in chosen]
    if any(one.id == state.switched["poison"] for one in stored):
        raise DatabaseError("poison")
    rows = _rows(state, listing, stored)
    # The row of an interaction is made after its page is counted. A chunk is counted when it is sent.
    return rows, len(stored) if listing.interaction and not number else len(rows), last


def _right_key(state: State, listing: Listing, month: str, key: Key) -> Key:
    """Return the key that a month ought to begin at when the key of a page belongs to another month."""
    own = key[2][:6]
    overlap = not listing.interaction and state.switched["straddle"] == "lost"
    if not overlap or key[1] != 1 or not own.isdigit() or own == month:
        return key
    if (own > month) == listing.descending:
        return range_keys(state.switched["bounds"], *listing.created)[1 if listing.descending else 0]
    return (0, 0, "") if listing.descending else (_NEVER, 2, "")


def _rows(state: State, listing: Listing, stored: list[StoredDocument]) -> list[Doc]:
    """Return the rows of the documents that pass the filters."""
    if listing.interaction and state.version != "5.x":
        # Crossbar applies the created range to every document once more, and there to the moment of saving.
        first, last = range_keys(state.switched["bounds"], *listing.created)
        stored = [one for one in stored if first <= (one.saved, 1, one.id) <= last]
    stored = [one for one in stored if passes_filters(one, listing.asked)]
    if state.version == "5.x" and listing.asked.get("full_docs") == "true":
        return [full_document(state, one) for one in stored]
    return [listing_row(state, one, listing.asked, interaction=listing.interaction) for one in stored]
