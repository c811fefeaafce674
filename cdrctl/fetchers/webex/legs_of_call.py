"""The legs of one Webex call, found among the records of a window by the ids that join them.

The API cannot search by id. Interaction ID joins all legs of a call if it is there (records of 2026); without it
Correlation ID, Network call ID and the links between Local call IDs do: a leg names the opposite leg, the call it
came from and the other call of a consulted transfer (developer.webex.com, "Reports: Detailed Call History"). Local call
IDs are reused after some days, so they join legs within one day only.
"""

from __future__ import annotations

import pickle
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cdrctl.records.events import Record, pick
from cdrctl.records.readers import iso_instant

JOINS = {
    "interaction": ("Interaction ID",),
    "correlation": ("Correlation ID",),
    "network": ("Network call ID",),
    "local": ("Local call ID", "Remote call ID", "Related call ID", "Transfer related call ID"),
}
"""The keys that join legs: two legs belong together if a value under a key of one group is equal in both."""

FOR_A_DAY = frozenset({"local", "network"})
DAY = timedelta(days=1)
"""How far apart two legs with the same reused id may start."""

NAMES = (
    *(key for keys in JOINS.values() for key in keys),
    *("Report ID", "Call ID", "Local SessionID", "Remote SessionID", "Final local SessionID", "Final remote SessionID"),
)
"""The keys by whose values a call can be found."""

START = "Start time"
NO_NAMES: Mapping[str, str] = {}

_NOTHING = frozenset({"", "na", "n/a", "0" * 32})
_LATEST = datetime.max.replace(tzinfo=UTC)


class LegSearch:
    """Keeps the records of a window, compressed, and finds those of the calls that have an id.

    Args:
        wanted: The id, in any letter case.
        names: The names of the fields by the provider's keys, where they differ.
    """

    def __init__(self, wanted: str, names: Mapping[str, str] = NO_NAMES) -> None:
        self._wanted = wanted.strip().casefold()
        self._joins = {group: [names.get(key, key) for key in keys] for group, keys in JOINS.items()}
        self._names = [names.get(key, key) for key in NAMES]
        self._start = names.get(START, START)
        self._pages: list[bytes] = []
        self._places: list[tuple[int, int]] = []
        self._starts: list[datetime | None] = []
        self._ids: list[list[tuple[str, str]]] = []
        self._named: list[int] = []

    def add(self, records: Sequence[Record]) -> None:
        """Keep the records of one page."""
        for at, record in enumerate(records):
            if self._wanted and any(_id(record, key) == self._wanted for key in self._names):
                self._named.append(len(self._places))
            self._places.append((len(self._pages), at))
            self._starts.append(_instant(record, self._start))
            ids = {(group, _id(record, key)) for group, keys in self._joins.items() for key in keys}
            self._ids.append([one for one in ids if one[1]])
        self._pages.append(zlib.compress(pickle.dumps(list(records)), 1))

    def found(self) -> list[Record]:
        """Return the legs of every call that has the id, oldest first."""
        legs = sorted(self._connected_legs(), key=lambda leg: (self._starts[leg] or _LATEST, leg))
        pages = {page: self._page(page) for page in {self._places[leg][0] for leg in legs}}
        return [pages[page][at] for page, at in (self._places[leg] for leg in legs)]

    def _page(self, page: int) -> list[Record]:
        records: list[Record] = pickle.loads(zlib.decompress(self._pages[page]))  # noqa: S301 - pickled by `add`
        return records

    def _connected_legs(self) -> set[int]:
        having: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for leg, ids in enumerate(self._ids):
            for one in ids:
                having[one].append(leg)
        found, left = set(self._named), list(self._named)
        while left:
            for leg in self._joined_legs(left.pop(), having):
                if leg not in found:
                    found.add(leg)
                    left.append(leg)
        return found

    def _joined_legs(self, leg: int, having: dict[tuple[str, str], list[int]]) -> Iterator[int]:
        """Yield the legs that share an id with a leg."""
        start = self._starts[leg]
        for one in self._ids[leg]:
            for other in having[one]:
                began = self._starts[other]
                if one[0] not in FOR_A_DAY or start is None or began is None or abs(began - start) <= DAY:
                    yield other


def _id(record: Record, key: str) -> str:
    value = pick(record, key)
    text = str(value).strip().casefold() if isinstance(value, str | int) else ""
    return "" if text in _NOTHING else text


def _instant(record: Record, key: str) -> datetime | None:
    with suppress(ValueError):
        return iso_instant(pick(record, key))
    return None
