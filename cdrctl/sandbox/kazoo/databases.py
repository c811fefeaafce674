"""The databases of an account, one for each month, and the documents in them that a request can see."""

from __future__ import annotations

import functools
import re
from datetime import timedelta

from cdrctl.sandbox.exchange.clock import delay, is_gone, longest_delay, milliseconds
from cdrctl.sandbox.kazoo.accounts import Account
from cdrctl.sandbox.kazoo.documents import Month, StoredDocument, interaction_documents, save_in_bulks
from cdrctl.sandbox.kazoo.months import month_before, month_bounds, month_of
from cdrctl.sandbox.kazoo.state import State


def month_database(state: State, account: Account, month: str) -> Month:
    """Return the database of a month, YYYYMM: the documents of the interactions that began in it."""
    named = re.fullmatch(r"\d{4}(0[1-9]|1[0-2])", month) and month >= "197001"
    if not named or month == state.switched["archived"]:
        return Month()
    late, bulk = int(state.switched["late_save"]), int(state.switched["same_second"])
    apart = state.switched["interaction"] == "own"
    return _saved_month(account, month, late, bulk, state.switched["late"].partition("+")[0], apart)


@functools.lru_cache(24)
def _saved_month(account: Account, month: str, late: int, bulk: int, share: str, apart: bool) -> Month:  # noqa: FBT001
    """Make the database of a month: once for all sandboxes of a process."""
    documents = []
    since, until = month_bounds(month)
    if apart:  # an interaction that begins in the month may belong to a call that began before
        since -= timedelta(milliseconds=account.exchange.longest)
    for call in account.exchange.calls(since, until):
        made = interaction_documents(call, account, late, share, apart=apart)
        documents += [one for one in made if not apart or month_of(one.interaction[0]) == month]
    documents.sort(key=lambda one: (one.saved, one.id))
    if bulk:
        documents = save_in_bulks(documents, bulk)
    return Month(documents, {one.id: one for one in documents})


def listed_database(state: State, account: Account, month: str, *, interaction: bool) -> Month:
    """Return the database that a listing opens for a month.

    With `straddle=found` it has the documents of legs that were saved in the month.
    """
    if interaction or state.switched["straddle"] == "lost":
        return month_database(state, account, month)
    before = month_before(month)
    return _saved_within(month, month_database(state, account, before), month_database(state, account, month))


@functools.lru_cache(24)
def _saved_within(month: str, *databases: Month) -> Month:
    """Return the documents of some months that were saved in one of them."""
    both = (one for database in databases for one in database.documents if month_of(one.saved) == month)
    return Month(sorted(both, key=lambda one: (one.saved, one.id)))


def visible_document(state: State, account: Account, cdr_id: str) -> StoredDocument | None:
    """Return the document with this id, once it is saved and as long as it is not hidden."""
    found = month_database(state, account, cdr_id[:6]).by_id.get(cdr_id)
    if found and found.saved <= state.gregorian_now and not is_hidden(state, found):
        return found
    return None


def hides(state: State) -> bool:
    """Return whether documents may be hidden, by the switches `dropped` and `late`."""
    return longest_delay(state.switched["dropped"]) > 0 or "+" in state.switched["late"]


def is_hidden(state: State, stored: StoredDocument) -> bool:
    """Return whether a document is not there although it was saved.

    It is gone by now (the switch `dropped`), or was saved on a node that replicates days later (`late` with days).
    """
    now, late = milliseconds(state.now()), state.switched["late"]
    if is_gone(state.switched["dropped"], stored.id, stored.leg.end, now):
        return True
    return "+" in late and stored.leg.end + delay(late, "late", stored.leg.id) > now
