"""The list of records in a response, as it was sent: a list that was read before is not decoded again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from msgspec import Struct

if TYPE_CHECKING:
    from typing_extensions import Buffer

DIGEST_BYTES = 12

KnownLists = Mapping[bytes, int]
"""The number of records of each list that was read before without a fault, by its digest."""


class SentList(Struct, frozen=True):
    """A list of records as it was sent.

    Args:
        digest: Its digest; two of a billion lists share one with a probability of 6e-12.
        text: Its JSON text.
        known: Whether it was read before, so that nothing of it was decoded.
    """

    digest: bytes
    text: memoryview
    known: bool


def digest_of(text: Buffer) -> bytes:
    """Return the digest of the JSON text of a list."""
    return hashlib.sha256(text).digest()[:DIGEST_BYTES]


class LaterColumns(Mapping[str, Sequence[Any]]):
    """Columns that are decoded when one of them is needed."""

    __slots__ = ("_decode", "_found")

    def __init__(self, decode: Callable[[], Mapping[str, Sequence[Any]]]) -> None:
        self._decode = decode
        self._found: Mapping[str, Sequence[Any]] | None = None

    def _columns(self) -> Mapping[str, Sequence[Any]]:
        if self._found is None:
            self._found = self._decode()
        return self._found

    def __getitem__(self, key: str) -> Sequence[Any]:
        return self._columns()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns())

    def __len__(self) -> int:
        return len(self._columns())


class LaterTexts(Sequence[Any]):
    """The JSON texts of records, which are cut when one of them is needed."""

    __slots__ = ("_cut", "_found", "_length")

    def __init__(self, cut: Callable[[], Sequence[Any]], length: int) -> None:
        self._cut = cut
        self._length = length
        self._found: Sequence[Any] | None = None

    def _texts(self) -> Sequence[Any]:
        if self._found is None:
            self._found = self._cut()
        return self._found

    @overload
    def __getitem__(self, at: int) -> Any: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Any]: ...

    def __getitem__(self, at: int | slice) -> Any:
        return self._texts()[at]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._texts())

    def __len__(self) -> int:
        return self._length
