"""Bodies: their length, their compression, and JSON."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from cdrctl.errors import ProviderError
from cdrctl.http.failures import BrokenExchangeError
from cdrctl.http.messages import RawResponse

MEBIBYTE = 1024 * 1024

AT_ONCE = 256 * 1024
"""Bytes that are decompressed at a time, so that a response that is too large is noticed before memory is full."""


def read_body(
    response: RawResponse, host: str, largest: int, given_up: threading.Event, buffer: bytearray
) -> bytearray:
    """Read the body of a response into a buffer, and return the buffer.

    Raises:
        ProviderError: The body has more than `largest` bytes.
        BrokenExchangeError: `given_up` was set in the meantime.
    """
    filled = 0
    for chunk in body_of(response, host):
        buffer[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
        if filled > largest:
            raise ProviderError(
                f"a response of {host} is longer than {largest // MEBIBYTE} MiB",
                hint="use a shorter window, or smaller pages if the call has such an option; if responses really "
                "are this long, raise largest_page_mb in the profile",
            )
        if given_up.is_set():
            raise BrokenExchangeError("the request was cancelled")
    del buffer[filled:]
    return buffer


def announced_length(headers: Mapping[str, str], largest: int) -> int:
    """Return the length of an uncompressed body from its headers, bounded because it may be wrong; 0 if unknown."""
    text = headers.get("content-length", "")
    plain = "content-encoding" not in headers and text.isascii() and text.isdigit()
    return min(int(text), largest, LENGTH_BELIEVED) if plain else 0


LENGTH_BELIEVED = 32 * MEBIBYTE
BODIES_KEPT = 2
"""One is written while the next is read."""


def body_buffer(length: int, bodies: list[bytearray]) -> bytearray:
    """Return a buffer of this length. A large one is reused from an earlier body, unless a view of it is in use.

    Growing a buffer copies it, and a new one for each page fragments the memory.
    """
    if length < MEBIBYTE:
        return bytearray(length)
    for buffer in bodies:
        with suppress(BufferError):  # a view of it is in use
            if length < len(buffer):
                del buffer[length:]
            else:
                buffer.extend(bytes(length - len(buffer) + 1))
                del buffer[length:]
            return buffer
    bodies.append(bytearray(length))
    del bodies[:-BODIES_KEPT]
    return bodies[-1]


def body_of(response: RawResponse, host: str) -> Iterator[bytes]:
    """Yield the body of a response as it arrives, decompressed.

    Raises:
        BrokenExchangeError: Its compression is broken, or it breaks off.
        ProviderError: Its compression was not requested: some formats expand a few bytes to gigabytes.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in {"", "identity"}:
        yield from response.chunks
    elif coding in {"gzip", "x-gzip", "deflate"}:
        try:
            yield from _inflated(response.chunks)
        except zlib.error:
            raise BrokenExchangeError(f"{host} sent a body whose compression is broken", answered=True) from None
    else:
        raise ProviderError(
            f"{host} sent a body with a compression that was not requested ({coding[:40]})",
            hint="a proxy may do this; if not, tell the provider: cdrctl accepts gzip",
        )


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a gzip or zlib body decompressed, in bounded pieces. It may have several members (RFC 1952).

    Raises:
        zlib.error: It is not gzip or zlib, or its end is missing.
    """
    inflater = None
    for chunk in chunks:
        left = chunk
        while left:
            if inflater is None:
                inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # whichever of the two it is
            while piece := inflater.decompress(left, AT_ONCE):
                yield piece
                left = inflater.unconsumed_tail
            left = b""
            if inflater.eof:
                left, inflater = inflater.unused_data, None
    if inflater is not None:
        raise zlib.error("the end is missing")
