"""Which records have come: a set that never forgets, and whose memory does not grow with it."""

from __future__ import annotations

import marshal
import tempfile
from array import array
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO

NEAR = 20_000
"""Identities that are kept in memory, twice: a page that comes again, or one that is shifted, comes soon."""

_WITHOUT_REFERENCES = 2
"""The version of marshal's format that does not look for equal objects, of which there are none here."""

Span = tuple[datetime, datetime]
"""The first and the last start of calls."""


@dataclass(frozen=True, slots=True)
class _Far:
    """Identities that are on disk: the calls they are of, and where their hashes and they themselves are."""

    span: Span | None
    at: int
    hashes: int
    size: int


class Seen:
    """The identities that have come.

    The newest are in memory. Older ones are in a file without a name, which ends with the process; in most exports
    nobody reads it again, because records come in the order of their calls, and those that started before or after a
    page's calls need not be looked at.
    """

    def __init__(self) -> None:
        self._new: set[str] = set()
        self._old: set[str] = set()
        self._spans: list[Span | None] = [None, None]  # of the new and of the old ones
        self._far: list[_Far] = []
        self._file: IO[bytes] | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def fresh(self, identities: Sequence[str], span: Span | None = None) -> list[int] | None:
        """Return the positions of those that have not come before, the first of equal ones; None where all are new.

        Args:
            identities: In the order in which they came. From now on they have come.
            span: Between which instants all of their calls started, where that is known.
        """
        if not identities:
            return None
        whole = set(identities)
        known: set[str] = set()
        if not (self._new.isdisjoint(whole) and self._old.isdisjoint(whole)):
            known = {one for one in whole if one in self._new or one in self._old}
        for far in self._far_to(span):
            known.update(self._found(far, whole))
        positions: list[int] | None = None
        if known or len(whole) < len(identities):
            positions = list(_first_of_each(identities, known))
            whole -= known
        self._count += len(whole)
        self._keep(whole, span)
        return positions

    def _far_to(self, span: Span | None) -> Iterator[_Far]:
        for far in self._far:
            if span is None or far.span is None or (span[0] <= far.span[1] and far.span[0] <= span[1]):
                yield far

    def _found(self, far: _Far, identities: set[str]) -> Collection[str]:
        """Return which of the identities are in a part of the file."""
        assert self._file is not None  # noqa: S101 - what is far is in it
        self._file.seek(far.at)
        hashes = array("q")
        hashes.frombytes(self._file.read(far.hashes))
        if set(map(hash, identities)).isdisjoint(hashes):
            return ()
        return identities.intersection(marshal.loads(self._file.read(far.size)))  # noqa: S302 - our own, seconds old

    def _keep(self, identities: set[str], span: Span | None) -> None:
        self._spans[0] = _both(self._spans[0], span) if self._new else span
        self._new |= identities
        if len(self._new) >= NEAR:
            if self._old:
                self._put_away()
            self._old, self._new = self._new, set()
            self._spans = [None, self._spans[0]]

    def _put_away(self) -> None:
        """Write the older ones to the file; where there is no room for it, they stay in memory."""
        with suppress(OSError):
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as there is who asks
            hashes = array("q", map(hash, self._old))
            kept = marshal.dumps(list(self._old), _WITHOUT_REFERENCES)
            at, size = self._file.seek(0, 2), len(hashes) * hashes.itemsize
            # A disk that gets full takes a part.
            if self._file.write(hashes) == size and self._file.write(kept) == len(kept):
                self._far.append(_Far(self._spans[1], at, size, len(kept)))
                return
        self._new |= self._old
        self._spans[0] = _both(self._spans[0], self._spans[1])


def _both(one: Span | None, other: Span | None) -> Span | None:
    return (min(one[0], other[0]), max(one[1], other[1])) if one and other else None


def _first_of_each(identities: Sequence[str], known: set[str]) -> Iterator[int]:
    come = set(known)
    for at, one in enumerate(identities):
        if one not in come:
            come.add(one)
            yield at
