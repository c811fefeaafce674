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

_SIZE = 4
"""Bytes that tell the length of a leg."""

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
        self._recent: dict[int, bytes] = {}

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
        self._last += len(data).to_bytes(_SIZE, "little")
        self._last += data
        self._end = at + _SIZE + len(data)
        untaken = self._untaken
        for block in range(at // BLOCK, (self._end - 1) // BLOCK + 1):
            untaken[block] = untaken.get(block, 0) + 1
        while len(self._last) >= BLOCK:
            self._write((self._end - len(self._last)) // BLOCK)
        return at

    def places(self, lasts: Iterable[int]) -> Iterator[tuple[int, Leg]]:
        """Yield legs with their places, each of these and those before it, in no particular order."""
        for last in lasts:
            at = last
            while at != FIRST:
                place = at
                at, leg, _ = self._read(place)
                yield place, leg

    def take(self, lasts: Iterable[int]) -> list[Leg]:
        """Return each of these legs and those before it, in the order in which they came, and forget them.

        Args:
            lasts: The places of the last legs.
        """
        found: list[tuple[int, Leg]] = []
        for last in lasts:
            at = last
            while at != FIRST:
                before, leg, end = self._read(at)
                found.append((at, leg))
                self._forget(at, end)
                at = before
        if len(found) > 1:
            found.sort()
        return [leg for _, leg in found]

    def take_one(self, at: int) -> Leg:
        """Return the leg at a place, and forget it."""
        _, leg, end = self._read(at)
        self._forget(at, end)
        return leg

    def _read(self, at: int) -> tuple[int, Leg, int]:
        """Return the place of the leg before, the leg, and where it ends."""
        begin = at + _SIZE
        size = int.from_bytes(self._bytes(at, _SIZE), "little")
        before, leg = marshal.loads(self._bytes(begin, size))  # noqa: S302 - written by this process, in a file without a name
        return before, leg, begin + size

    def _bytes(self, at: int, size: int) -> bytes | bytearray:
        block, begin = divmod(at, BLOCK)
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
        if len(self._recent) >= _RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[block] = found
        return found

    def _write(self, block: int) -> None:
        """Write the first bytes of the last block, which is full."""
        some = memoryview(bytes(self._last[:BLOCK]))
        del self._last[:BLOCK]
        if block not in self._untaken:
            return
        slot = self._slots[block] = self._free.pop() if self._free else len(self._slots)
        with disk_errors():
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open until all legs are taken
            self._file.seek(slot * BLOCK)
            while some:  # a disk that is nearly full accepts a part
                some = some[self._file.write(some) :]

    def _forget(self, at: int, end: int) -> None:
        untaken = self._untaken
        for block in range(at // BLOCK, (end - 1) // BLOCK + 1):
            untaken[block] -= 1
            if not untaken[block]:
                del untaken[block]
                if block in self._slots:
                    self._free.append(self._slots.pop(block))
                    self._recent.pop(block, None)
