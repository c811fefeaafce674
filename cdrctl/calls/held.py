"""Legs of calls that are still open, in a temporary file: memory holds none of them, however many calls are open."""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

from cdrctl.calls.legs import Leg
from cdrctl.sorting import disk_errors

BLOCK = 16 * 1024
"""Bytes that are written and read at once. The room of a block in the file is used again when its legs are taken."""

_RECENT = 128
"""Blocks that were read last and stay in memory: calls end in about the order in which their legs came."""

_WITHOUT_REFERENCES = 2
"""The version of marshal's format that does not search for equal objects."""

_BITS = 32
_SIZE = (1 << _BITS) - 1
"""A place is where a leg begins, and, in its last bits, the number of its bytes."""

FIRST = -1
"""What stands for the place of the leg before the first one."""


class HeldLegs:
    """Legs, each known by its place, and each with the place of the leg of its call that came before it.

    Places rise with each leg. The file has no name, and ends with `close`. There is none for a few legs.
    """

    def __init__(self) -> None:
        self._last = bytearray()  # the block that is not full
        self._end = 0
        self._file: IO[bytes] | None = None
        self._slots: dict[int, int] = {}  # where in the file a block is, in blocks
        self._free: list[int] = []
        self._untaken: dict[int, int] = {}  # how many legs of a block were not taken
        self._recent: dict[int, bytes | bytearray] = {0: self._last}

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()

    def add(self, leg: Leg, before: int = FIRST) -> int:
        """Keep a leg, and return its place.

        Args:
            leg: The leg.
            before: The place of the leg of its call before it.

        Raises:
            OutputError: The disk cannot hold it.
        """
        at, data = self._end, marshal.dumps((before, leg), _WITHOUT_REFERENCES)
        size = len(data)
        self._last += data
        self._end = end = at + size
        block, untaken = at // BLOCK, self._untaken
        if block in untaken:
            untaken[block] += 1
        else:
            untaken[block] = 1
        if end // BLOCK != block:
            self._begin_block(at, end)
        return at << _BITS | size

    def places(self, lasts: Iterable[int]) -> Iterator[tuple[int, Leg]]:
        """Yield legs with their places, each of these and those before it, in no particular order.

        Args:
            lasts: The places of the last legs.
        """
        for last in lasts:
            at = last
            while at != FIRST:
                place = at
                at, leg = marshal.loads(self._bytes(place))  # noqa: S302 - written by this process, in a file without a name
                yield place, leg

    def take(self, lasts: Iterable[int]) -> list[Leg]:
        """Return each of these legs and those before it, in the order in which they came, and forget them.

        Args:
            lasts: The places of the last legs.
        """
        found: list[tuple[int, Leg]] = []
        recent, untaken, loads = self._recent, self._untaken, marshal.loads
        for last in lasts:
            place = last
            while place != FIRST:
                at, size = place >> _BITS, place & _SIZE
                block, begin = at // BLOCK, at % BLOCK
                data = recent.get(block)
                if data is None or begin + size > BLOCK:
                    before, leg = loads(self._bytes(place))
                    self._forget(at, at + size)
                else:
                    before, leg = loads(data[begin : begin + size])
                    if untaken[block] == 1 or begin + size == BLOCK:
                        self._forget(at, at + size)
                    else:
                        untaken[block] -= 1
                found.append((place, leg))
                place = before
        if len(found) > 1:
            found.sort()
        return [leg for _, leg in found]

    def take_one(self, place: int) -> Leg:
        """Return the leg at a place, and forget it, but not those before it."""
        _, leg = marshal.loads(self._bytes(place))  # noqa: S302 - as above
        at = place >> _BITS
        self._forget(at, at + (place & _SIZE))
        found: Leg = leg
        return found

    def _bytes(self, place: int) -> bytes | bytearray:
        at, size = place >> _BITS, place & _SIZE
        block, begin = at // BLOCK, at % BLOCK
        found = self._block(block)[begin : begin + size]
        while len(found) < size:
            block += 1
            found += self._block(block)[: size - len(found)]
        return found

    def _block(self, block: int) -> bytes | bytearray:
        found = self._recent.get(block)
        if found is not None:
            return found
        if block not in self._slots:
            return self._last
        assert self._file is not None  # noqa: S101 - it has the block
        with disk_errors():
            self._file.seek(self._slots[block] * BLOCK)
            found = self._file.read(BLOCK)
        self._keep(block, found)
        return found

    def _keep(self, block: int, some: bytes | bytearray) -> None:
        """Keep a block in memory, and no longer the one that came first."""
        if len(self._recent) >= _RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[block] = some

    def _begin_block(self, at: int, end: int) -> None:
        """Write the blocks that the last leg has filled, and count it in those that it reaches into."""
        first, last = at // BLOCK, (end - 1) // BLOCK
        for block in range(first + 1, last + 1):
            self._untaken[block] = 1
        for block in range(first, end // BLOCK):
            some = bytes(self._last[:BLOCK])
            self._last = self._last[BLOCK:]
            self._recent.pop(block, None)
            if block in self._untaken:
                self._write(block, some)
                self._keep(block, some)
        self._keep(end // BLOCK, self._last)

    def _write(self, block: int, some: bytes) -> None:
        slot = self._slots[block] = self._free.pop() if self._free else len(self._slots)
        left = memoryview(some)
        with disk_errors():
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open until all legs are taken
            self._file.seek(slot * BLOCK)
            while left:  # a disk that is nearly full accepts a part
                left = left[self._file.write(left) :]

    def _forget(self, at: int, end: int) -> None:
        """Count a leg as taken, and give up the blocks that have no others."""
        untaken = self._untaken
        for block in range(at // BLOCK, (end - 1) // BLOCK + 1):
            untaken[block] -= 1
            if not untaken[block]:
                del untaken[block]
                if block in self._slots:
                    self._free.append(self._slots.pop(block))
                    self._recent.pop(block, None)
