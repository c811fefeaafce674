"""The views of a month: which keys they have, in order, and the document of each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from cdrctl.sandbox.kazoo.databases import is_dropped, listed_database
from cdrctl.sandbox.kazoo.documents import StoredDocument
from cdrctl.sandbox.kazoo.keys import Key
from cdrctl.sandbox.kazoo.listings import Listing
from cdrctl.sandbox.kazoo.releases import STRING_SECONDS
from cdrctl.sandbox.kazoo.state import State

_SWITCHES = ("version", "straddle", "late", "late_save", "same_second", "archived")
"""The switches that a view depends on."""


def view(state: State, listing: Listing, month: str) -> tuple[list[Key], list[StoredDocument]]:
    """Return the keys of the view of a month, ascending, and the document of each."""
    now = state.gregorian_now
    documents = listed_database(state, listing.account, month, interaction=listing.interaction).documents
    changing = state.switched["dropped"] != "0"
    if changing:
        documents = [one for one in documents if not is_dropped(state, one)]
    visible = bisect_right(documents, now, key=lambda one: one.saved)
    settings = (state.switched[name] for name in _SWITCHES)
    name = (listing.account.id, month, listing.owner, listing.interaction, *settings)
    known = None if changing else state.views.get(name)
    if known and known[0] == visible:
        return known[1:]
    stored = [one for one in documents[:visible] if not listing.owner or one.owner == listing.owner]
    pairs = _pairs(state.version, stored, interaction=listing.interaction)
    keys, stored = [key for key, _ in pairs], [one for _, one in pairs]
    if not changing:
        state.views[name] = visible, keys, stored
    return keys, stored


def _pairs(version: str, stored: list[StoredDocument], *, interaction: bool) -> list[tuple[Key, StoredDocument]]:
    """Return the documents of a view with the key of each."""
    if interaction:
        pairs = [((one.interaction[0], 1, one.interaction[1]), one) for one in earliest_documents(stored)]
        return sorted(pairs, key=lambda pair: pair[0])
    if version in STRING_SECONDS:
        return [((one.saved, 1, ""), one) for one in stored]
    return [((one.saved, 1, one.id), one) for one in stored]


def earliest_documents(stored: Iterable[StoredDocument]) -> list[StoredDocument]:
    """Return the earliest document of every interaction."""
    first: dict[tuple[int, str], StoredDocument] = {}
    for one in stored:
        other = first.get(one.interaction)
        if other is None or (one.leg.start, one.id) < (other.leg.start, other.id):
            first[one.interaction] = one
    return list(first.values())


def is_building(state: State, listing: Listing, month: str) -> bool:
    """Return whether the view of a month is not ready: CouchDB builds it when it is first asked for."""
    now = state.now().timestamp()
    begun = state.building.setdefault((listing.account.id, month, listing.interaction), now)
    return 0 <= now - begun < int(state.switched["views"])
