"""One exchange: a request is sent, and its response is received."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from queue import Empty
from typing import Any

from cdrctl import damage
from cdrctl.errors import CdrctlError, ProviderError
from cdrctl.http.bodies import announced_length, body_buffer, body_of, read_body
from cdrctl.http.connections import Connections
from cdrctl.http.failures import BrokenExchangeError
from cdrctl.http.messages import Answer, RawResponse, Request
from cdrctl.http.urls import BEFORE_QUERY, host_of
from cdrctl.http.workers import idle_worker, idle_workers
from cdrctl.threads import take

STALL_FACTOR = 10
"""A response may take this many times the profile's timeout, from the name lookup to the last byte of the body."""

EXCERPT = 300
"""Characters of a body that is not JSON that are kept for messages."""


Read = Callable[[bytearray, Sequence[str]], Any]
"""From a body and the keys that lead to its records to the decoded body; None to decode it as any other."""


def exchange(
    connections: Connections, ask: Request, largest: int, read: Read | None = None, *, within: float | None = None
) -> Answer:
    """Return the response to one request, with its body decoded.

    A worker thread makes the exchange. It is abandoned if that takes too long or the user ends the program: the
    system's resolver cannot be interrupted, and the network's own timeouts begin anew with every byte.

    Args:
        connections: The connections to use.
        ask: The request.
        largest: The most bytes that the body may have, decompressed.
        read: Decodes bodies with records faster, or None.
        within: Seconds until it is abandoned; by default `STALL_FACTOR` times the timeout.

    Raises:
        BrokenExchangeError: The network or the body failed, or it took too long; a retry may help.
        ConfigurationError: No retry helps: the certificate, the address or a setting is wrong.
        ProviderError: The response is too large, or its compression was not requested.
    """
    given_up = threading.Event()
    seconds = STALL_FACTOR * connections.timeout if within is None else within
    worker = idle_worker()
    came: Answer | BaseException | None = None
    try:
        worker.work.put(lambda: _exchanged(connections, ask, largest, given_up, read, worker.bodies))
        with suppress(Empty):
            came = take(worker.done, seconds)
    finally:
        given_up.set()
        if came is None:  # when the worker comes back, nobody waits for its result any more
            worker.work.put(None)
    if came is None:
        raise BrokenExchangeError(
            f"a response of {host_of(ask.url)} was not complete after {seconds:g} s", answered=True
        )
    idle_workers.append(worker)
    if isinstance(came, Answer):
        return came
    raise came


def _exchanged(
    connections: Connections,
    ask: Request,
    largest: int,
    given_up: threading.Event,
    read: Read | None,
    bodies: list[bytearray],
) -> Answer:
    """Return the response to one request.

    The body is read into a buffer of our own and dropped as soon as it is decoded: an httpx response is a reference
    cycle that would keep its body alive until the garbage collector runs.
    """
    with connections.send(ask) as response:
        buffer = body_buffer(announced_length(response.headers, largest), bodies)
        body = read_body(response, host_of(ask.url), largest, given_up, buffer)
    return _answer(response, ask, body, read)


def pieces(
    connections: Connections, ask: Request, error_for: Callable[[Answer], CdrctlError | None]
) -> Iterator[bytes]:
    """Yield the body of a good response as it arrives, decompressed.

    Raises:
        BrokenExchangeError: The network failed, or the body broke off.
        ConfigurationError: The certificate, the address or a setting is wrong.
        CdrctlError: The error that `error_for` returns for a response that is not good.
    """
    with connections.send(ask) as response:
        body = body_of(response, host_of(ask.url))
        if not 200 <= response.status < 300:
            words = bytearray(b"".join(islice(body, 4)))
            raise error_for(_answer(response, ask, words)) or ProviderError(f"HTTP {response.status}")
        yield from body


def _answer(response: RawResponse, ask: Request, body: bytearray, read: Read | None = None) -> Answer:
    good = 200 <= response.status < 300
    decoded = read(body, ask.records) if read is not None and ask.records and good else None
    decoded, text = (decoded, "") if decoded is not None else decode(body, response.headers.get("content-type", ""))
    return Answer(response.status, response.headers, decoded, text, BEFORE_QUERY.split(ask.url, maxsplit=1)[0])


_CUT_OFF = re.compile(r"[^\s<>\"'=:,;&]+\Z")


def beginning(text: str, length: int) -> str:
    """Return the beginning of a text without a word that the cut would halve: half a secret would not be masked."""
    if len(text) <= length:
        return text
    return _CUT_OFF.sub("", text[:length])


_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)


def decode(body: bytearray | bytes, content_type: str = "") -> tuple[Any, str]:
    """Return the value of a JSON body and "", or None and the beginning of a body that is not JSON, or is `null`.

    Damaged parts are marked (see `damage`): one bad byte does not make the rest unreadable.
    """
    if not body:
        return None, ""
    with suppress(ValueError):
        decoded = damage.from_json(body)
        return decoded, "" if decoded is not None else "null"
    with suppress(ValueError):
        named = _CHARSET.search(content_type)
        decoded = damage.loads(damage.text_of(body, named[1] if named else ""))
        return decoded, "" if decoded is not None else "null"
    text = beginning(body[: 4 * EXCERPT].decode("utf-8", "replace"), EXCERPT)
    text = "".join(char if char.isprintable() else " " for char in text).strip()
    secretive = _JSON_OR_FORM.match(text)
    return None, f"{secretive[1]}…" if secretive else text


_JSON_OR_FORM = re.compile(r"[^\w<]{0,8}?([{\[\"]|[\w.%-]+=)")
