"""Find records that came before, however many there are, in memory that does not grow."""

from __future__ import annotations

import marshal
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import IO

from msgspec import Struct

NEAR = 20_000
"""Up to twice as many identities are kept in memory: a page that comes again, or a shifted one, comes soon."""

_WITHOUT_REFERENCES = 2
"""The version of marshal's format that does not search for equal objects, of which there are none here."""

Span = tuple[datetime, datetime]
"""The first and the last start of calls."""


class _Far(Struct, frozen=True):
    """Identities on disk.

    Args:
        span: The first and the last start of their calls; None if unknown.
        at: Where in the file their hashes begin; the identities with their contents follow.
        hashes: The size of the hashes in bytes.
        size: The size of the identities and contents in bytes.
    """

    span: Span | None
    at: int
    hashes: int
    size: int


class DuplicateFilter:
    """The identities of the records that came, each with the contents it came with.

    Two records with the same identity are duplicates only if their contents are the same. `later` has the positions, in
    the last page, of records whose identity came before with different content.

    The newest identities are in memory, and older ones in an unnamed file that ends with the process. Most exports
    never read it again: records come in the order of their calls, and identities of calls that started before or after
    those of a page need not be compared.
    """

    def __init__(self) -> None:
        self._new: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._several: dict[str, set[int]] = {}  # identities that came with several contents
        self.later: frozenset[int] = frozenset()
        self._spans: list[Span | None] = [None, None]  # of the new and of the old identities
        self._far: list[_Far] = []
        self._file: IO[bytes] | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def new_positions(
        self, identities: Sequence[str], span: Span | None = None, contents: Sequence[int] | None = None
    ) -> list[int] | None:
        """Return the positions of records that did not come before, the first of equal ones; None if all are new.

        Args:
            identities: The identities of a page, in order. They are remembered.
            span: The first and the last start of their calls; None if unknown.
            contents: A fingerprint of each record; None if an identity alone tells records apart.
        """
        self.later = frozenset()
        if not identities:
            return None
        whole = dict.fromkeys(identities, 0) if contents is None else dict(zip(identities, contents, strict=True))
        known: dict[str, int] = {}
        for near in (self._new, self._old):
            if not near.keys().isdisjoint(whole.keys()):
                known.update((one, near[one]) for one in whole if one in near)
        for far in self._far_to(span):
            known.update(self._found(far, whole))
        positions: list[int] | None = None
        if known or len(whole) < len(identities):
            positions = self._first_of_each(identities, contents, known)
            whole = {one: content for one, content in whole.items() if one not in known}
            self._count += len(positions)
        else:
            self._count += len(identities)
        self._keep(whole, span)
        return positions

    def _first_of_each(
        self, identities: Sequence[str], contents: Sequence[int] | None, known: Mapping[str, int]
    ) -> list[int]:
        """Return the positions of the first record of each identity and content; those in `known` came before."""
        come = {one: {content} for one, content in known.items()}
        positions, later = [], []
        for at, one in enumerate(identities):
            content = 0 if contents is None else contents[at]
            others = come.get(one)
            if others is None:
                come[one] = {content}
            elif content in others or content in self._several.get(one, ()):
                continue
            else:
                others.add(content)
                self._several[one] = self._several.get(one, set()) | others
                later.append(at)
            positions.append(at)
        self.later = frozenset(later)
        return positions

    def _far_to(self, span: Span | None) -> Iterator[_Far]:
        for far in self._far:
            if span is None or far.span is None or (span[0] <= far.span[1] and far.span[0] <= span[1]):
                yield far

    def _found(self, far: _Far, identities: Mapping[str, int]) -> Mapping[str, int]:
        """Return those of the identities that are in a part of the file, each with its content."""
        assert self._file is not None  # noqa: S101 - it was written
        self._file.seek(far.at)
        hashes = array("q")
        hashes.frombytes(self._file.read(far.hashes))
        if set(map(hash, identities)).isdisjoint(hashes):
            return {}
        kept: dict[str, int] = marshal.loads(self._file.read(far.size))  # noqa: S302 - our own, seconds old
        return {one: kept[one] for one in identities if one in kept}

    def _keep(self, identities: Mapping[str, int], span: Span | None) -> None:
        self._spans[0] = _both(self._spans[0], span) if self._new else span
        self._new.update(identities)
        if len(self._new) >= NEAR:
            if self._old:
                self._put_away()
            self._old, self._new = self._new, {}
            self._spans = [None, self._spans[0]]

    def _put_away(self) -> None:
        """Write the older identities to the file; if the disk is full, they stay in memory."""
        with suppress(OSError):
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open until the filter is deleted
            hashes = array("q", map(hash, self._old))
            kept = marshal.dumps(self._old, _WITHOUT_REFERENCES)
            at, size = self._file.seek(0, 2), len(hashes) * hashes.itemsize
            # A full disk may take only a part.
            if self._file.write(hashes) == size and self._file.write(kept) == len(kept):
                self._far.append(_Far(self._spans[1], at, size, len(kept)))
                return
        self._new.update(self._old)
        self._spans[0] = _both(self._spans[0], self._spans[1])


def _both(one: Span | None, other: Span | None) -> Span | None:
    return (min(one[0], other[0]), max(one[1], other[1])) if one and other else None
