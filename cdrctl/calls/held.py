"""Legs of calls that are still open, in a temporary file: memory holds few of them, however many calls are open.

Legs are written and read in blocks. Calls end in about the order in which their legs came, so that a block that was
read serves the legs of many calls.
"""

from __future__ import annotations

import marshal
import tempfile
from typing import IO

from cdrctl.calls.legs import Leg
from cdrctl.sorting import disk_errors

BLOCK = 16
"""Legs that are written and read at once."""

ROOM = 4 * 1024
"""Blocks begin in the file at multiples of this many bytes."""

RECENT = 1024 * 1024
"""Bytes, as written, of the blocks that stay in memory."""

_WITHOUT_REFERENCES = 2
"""The version of marshal's format that does not search for equal objects."""


class HeldLegs:
    """Legs, each known by its number: the first is 0.

    The file has no name, and ends with `close`. There is none for a few legs. The room of a block in the file is used
    again when its legs are taken.
    """

    def __init__(self) -> None:
        self._last: list[Leg] = []  # the block that is not full
        self._count = 0
        self._file: IO[bytes] | None = None
        self._end = 0  # of the file
        self._places: dict[int, tuple[int, int]] = {}  # where in the file a block is, and its size
        self._free: dict[int, list[int]] = {}  # rooms of the file, by their length
        self._untaken: dict[int, int] = {0: BLOCK}  # how many legs of a block were not taken
        self._recent: dict[int, list[Leg]] = {0: self._last}
        self._sizes: dict[int, int] = {}  # of the recent blocks
        self._held = 0  # the sum of these sizes

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()

    def add(self, leg: Leg) -> int:
        """Keep a leg, and return its number.

        Raises:
            OutputError: The disk cannot hold it.
        """
        number = self._count
        self._count = number + 1
        last = self._last
        last.append(leg)
        if len(last) == BLOCK:
            self._end_block(number // BLOCK)
        return number

    def take(self, number: int) -> Leg:
        """Return the leg of a number, and forget it."""
        block = number // BLOCK
        found = self._recent.get(block)
        if found is None:
            found = self._read(block)
        leg = found[number % BLOCK]
        untaken = self._untaken
        if untaken[block] == 1:
            self._forget(block)
        else:
            untaken[block] -= 1
        return leg

    def look(self, number: int) -> Leg:
        """Return the leg of a number, and keep it."""
        block = number // BLOCK
        return (self._recent.get(block) or self._read(block))[number % BLOCK]

    def _end_block(self, block: int) -> None:
        """Write the last block, and begin another."""
        data = marshal.dumps(self._last, _WITHOUT_REFERENCES)
        length = _length(len(data))
        free = self._free.get(length)
        at = free.pop() if free else self._end
        self._end = max(self._end, at + length)
        left = memoryview(data)
        with disk_errors():
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open until all legs are taken
            self._file.seek(at)
            while left:  # a disk that is nearly full accepts a part
                left = left[self._file.write(left) :]
        self._places[block] = at, len(data)
        self._keep(block, self._last, len(data))
        self._last = self._recent[block + 1] = []
        self._untaken[block + 1] = BLOCK

    def _read(self, block: int) -> list[Leg]:
        at, size = self._places[block]
        assert self._file is not None  # noqa: S101 - it has the block
        with disk_errors():
            self._file.seek(at)
            data = self._file.read(size)
        found: list[Leg] = marshal.loads(data)  # noqa: S302 - written by this process, in a file without a name
        self._keep(block, found, size)
        return found

    def _keep(self, block: int, legs: list[Leg], size: int) -> None:
        """Keep a block in memory, and no longer those that came first."""
        sizes = self._sizes
        while sizes and self._held + size > RECENT:
            first = next(iter(sizes))
            self._held -= sizes.pop(first)
            del self._recent[first]
        self._recent[block] = legs
        sizes[block] = size
        self._held += size

    def _forget(self, block: int) -> None:
        """Give up a block whose legs were all taken."""
        del self._untaken[block]
        del self._recent[block]
        self._held -= self._sizes.pop(block)
        at, size = self._places.pop(block)
        self._free.setdefault(_length(size), []).append(at)


def _length(size: int) -> int:
    """Return the length of the room for a block: there are few lengths, so that a room fits blocks to come."""
    return ROOM * (1 << max(0, -(-size // ROOM) - 1).bit_length())
