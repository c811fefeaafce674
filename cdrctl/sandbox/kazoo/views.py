"""The views of a month: which keys they have, in order, and the document of each."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Iterable

from cdrctl.sandbox.kazoo.databases import hides, is_hidden, listed_database
from cdrctl.sandbox.kazoo.documents import Month, StoredDocument
from cdrctl.sandbox.kazoo.keys import Key
from cdrctl.sandbox.kazoo.listings import Listing
from cdrctl.sandbox.kazoo.releases import STRING_SECONDS
from cdrctl.sandbox.kazoo.state import State


def view(state: State, listing: Listing, month: str) -> tuple[list[Key], list[StoredDocument]]:
    """Return the keys of the view of a month, ascending, and the document of each."""
    database = listed_database(state, listing.account, month, interaction=listing.interaction)
    if hides(state):
        database = Month([one for one in database.documents if not is_hidden(state, one)])
    visible = bisect_right(database.documents, state.gregorian_now, key=lambda one: one.saved)
    return _built_view(database, visible, listing.owner, state.version, interaction=listing.interaction)


@functools.lru_cache(32)
def _built_view(
    database: Month, visible: int, owner: str, version: str, *, interaction: bool
) -> tuple[list[Key], list[StoredDocument]]:
    """Build a view of the first documents of a month: once for all sandboxes of a process."""
    stored = [one for one in database.documents[:visible] if not owner or one.owner == owner]
    pairs = _pairs(version, stored, interaction=interaction)
    return [key for key, _ in pairs], [one for _, one in pairs]


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
    """Return whether the view of a month is not ready: CouchDB builds it at the first request."""
    now = state.now().timestamp()
    begun = state.building.setdefault((listing.account.id, month, listing.interaction), now)
    return 0 <= now - begun < int(state.switched["views"])
