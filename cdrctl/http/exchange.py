"""One exchange: bytes out, bytes in."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import pydantic_core

from cdrctl import damage
from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError
from cdrctl.http.bodies import announced_length, body_buffer, body_of, read_body
from cdrctl.http.connections import Connections, unwritable
from cdrctl.http.failures import BrokenExchangeError
from cdrctl.http.messages import Answer, Request
from cdrctl.http.proxies import REFUSALS, WANTS_SIGN_IN, no_way, refused_by, status_of
from cdrctl.http.urls import BEFORE_QUERY, host_of, sent_url, whole_url
from cdrctl.http.workers import idle_worker, idle_workers

if TYPE_CHECKING:
    import httpx

STALL_FACTOR = 10
"""An answer, from looking up the host's name to the body's last byte, may take so many times the profile's timeout."""

EXCERPT = 300
"""Characters of a body that is no JSON that are kept for messages."""


Read = Callable[[bytearray, Sequence[str]], Any]
"""From a body and where its list of records is to the body decoded, or None where it is to be decoded as any other."""


def exchange(connections: Connections, ask: Request, largest: int, read: Read | None = None) -> Answer:
    """Return the answer to one request, its body read to the end and decoded; `largest` is in bytes, decompressed.

    `read` decodes what has records in it, where it can.

    The exchange is made in a thread that nobody waits for when it takes too long, or when the user ends the program:
    the system's resolver cannot be interrupted, and the network's own timeouts begin anew with every byte that drips.

    Raises:
        BrokenExchangeError: The network or the body failed, or it took too long; another try may mend it.
        ConfigurationError: No try can mend it: the certificate, the address or a setting is wrong.
        ProviderError: The answer is too large, or compressed in a way that was not asked for.
    """
    given_up = threading.Event()
    seconds = STALL_FACTOR * connections.timeout
    worker = idle_worker()
    came = None
    try:
        worker.work.put(lambda: _exchanged(connections, ask, largest, given_up, read, worker.bodies))
        came = _taken(worker.done, seconds)
    finally:
        given_up.set()
        if came is None:  # whenever its thread comes back, there may be nobody left who waits for what it brings
            worker.work.put(None)
    if came is None:
        raise BrokenExchangeError(f"an answer of {host_of(ask.url)} was not whole after {seconds:g} s", answered=True)
    idle_workers.append(worker)
    if isinstance(came, Answer):
        return came
    raise came


INTERRUPTIBLE = 0.5
"""Seconds of one wait: not every system lets Ctrl-C end a longer one."""


def _taken(box: SimpleQueue[Answer | BaseException], seconds: float) -> Answer | BaseException | None:
    """Return what is put into the box within so many seconds, or None."""
    left = seconds
    while left > 0:
        with suppress(Empty):
            return box.get(timeout=min(left, INTERRUPTIBLE))
        left -= INTERRUPTIBLE
    return None


def _exchanged(
    connections: Connections,
    ask: Request,
    largest: int,
    given_up: threading.Event,
    read: Read | None,
    bodies: list[bytearray],
) -> Answer:
    """Return the answer to one request.

    The body is read into a buffer of our own and dropped as soon as it is decoded: an httpx response is a reference
    cycle that would keep its body alive until the garbage collector comes by.
    """
    with _sent(connections, ask) as response:
        headers = headers_of(response)
        buffer = body_buffer(announced_length(headers, largest), bodies)
        body = read_body(response, headers, host_of(ask.url), largest, given_up, buffer)
    return _answer(response.status_code, headers, ask, body, read)


def pieces(
    connections: Connections, ask: Request, error_for: Callable[[Answer], CdrctlError | None]
) -> Iterator[bytes]:
    """Yield the body of a good answer as it comes, decompressed.

    Raises:
        BrokenExchangeError: The network failed, or the body broke off.
        ConfigurationError: The certificate, the address or a setting is wrong.
        CdrctlError: What `error_for` makes of an answer that is not good.
    """
    with _sent(connections, ask) as response:
        headers = headers_of(response)
        body = body_of(response, headers, host_of(ask.url))
        if not 200 <= response.status_code < 300:
            words = bytearray(b"".join(islice(body, 4)))
            raise error_for(_answer(response.status_code, headers, ask, words)) or ProviderError(
                f"HTTP {response.status_code}"
            )
        yield from body


def _answer(status: int, headers: Mapping[str, str], ask: Request, body: bytearray, read: Read | None = None) -> Answer:
    good = 200 <= status < 300
    decoded = read(body, ask.records) if read is not None and ask.records and good else None
    decoded, text = (decoded, "") if decoded is not None else decode(body, headers.get("content-type", ""))
    return Answer(status, headers, decoded, text, BEFORE_QUERY.split(ask.url, maxsplit=1)[0])


def headers_of(response: httpx.Response) -> dict[str, str]:
    """Return the headers by name in lower case; the values of equal names follow each other (RFC 9110, section 5.3)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


@contextmanager
def _sent(connections: Connections, ask: Request) -> Iterator[httpx.Response]:
    """Return the response to a request, its body not yet read; what fails meanwhile becomes an error of ours."""
    import httpx

    host = host_of(ask.url)
    try:
        url = sent_url(whole_url(ask), whole=connections.given is not None)
        request = httpx.Request(
            ask.method,
            url,
            headers=_merged(connections.headers, ask.headers),
            json=ask.json,
            data=dict(ask.form) if ask.form is not None else None,
            extensions={"timeout": connections.seconds},
        )
        request.url = url
    except (httpx.InvalidURL, ValueError, TypeError):  # a character that cannot be encoded is a ValueError
        raise unwritable(host) from None
    answered = False
    proxy = None
    try:
        transport = connections.transport(url)
        proxy = connections.proxy(url)
        response = transport.handle_request(request)
        answered = True
        try:
            if proxy is not None and response.status_code == WANTS_SIGN_IN:
                raise refused_by(proxy, response.status_code)
            yield response
        finally:
            response.close()
    except httpx.HTTPError as error:
        failure = _failure(error, host, None if answered else proxy)
        if isinstance(failure, BrokenExchangeError):
            failure.answered = answered
        raise failure from None
    except UnicodeError:  # a host name that the system's resolver cannot even write
        raise unwritable(host) from None


def _merged(usual: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the usual headers and a request's own, which take their place."""
    given = {name.lower() for name in own}
    return {**{name: value for name, value in usual.items() if name.lower() not in given}, **own}


_CUT_OFF = re.compile(r"[^\s<>\"'=:,;&]+\Z")


def beginning(text: str, length: int) -> str:
    """Return the beginning of a text, without a word that the cut would halve: it may be a secret, no longer known."""
    if len(text) <= length:
        return text
    return _CUT_OFF.sub("", text[:length])


_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)


def decode(body: bytearray | bytes, content_type: str = "") -> tuple[Any, str]:
    """Return the value in a body and "", or None and the beginning of what is not JSON, or is `null`.

    What of it is damaged is marked (see `damage`): a bad byte does not make the rest unreadable.
    """
    if not body:
        return None, ""
    with suppress(ValueError):
        decoded = pydantic_core.from_json(body, cache_strings="keys")
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


def _failure(error: httpx.HTTPError, host: str, proxy: str | None = None) -> Exception:
    """Return the error that stands for a failure of the network, without the words of httpx.

    `proxy` is the host and port of the proxy that was to be connected to, or None.
    """
    import ssl

    import httpx

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return ConfigurationError(
                f"the certificate of {host} is not to be trusted: {seen.verify_message}",
                hint="if the server is yours and signs its own certificate, set ca_file in the profile to that "
                "certificate; if not, somebody may be in between",
            )
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return unwritable(host)
    if isinstance(error, httpx.ProxyError) and proxy is not None:
        status = status_of(error)
        return refused_by(proxy, status) if status in REFUSALS else BrokenExchangeError(no_way(status), proxy=proxy)
    if isinstance(error, httpx.ConnectTimeout) and proxy is not None:
        return BrokenExchangeError("no connection within the time allowed", proxy=proxy)
    if isinstance(error, httpx.ConnectError) and proxy is not None and not _of_tls(error):
        return BrokenExchangeError(_ERRNO.sub("", str(error)), proxy=proxy)
    if isinstance(error, httpx.ConnectTimeout):
        return BrokenExchangeError(f"no connection to {host} within the time allowed")
    if isinstance(error, httpx.TimeoutException):
        return BrokenExchangeError(f"{host} fell silent")
    if isinstance(error, httpx.ConnectError):
        return BrokenExchangeError(f"no connection to {host}: {_ERRNO.sub('', str(error))}")
    if isinstance(error, httpx.DecodingError):
        return BrokenExchangeError(f"{host} sent a body whose compression is broken")
    return BrokenExchangeError(f"the connection to {host} broke: {_ERRNO.sub('', str(error)) or 'no reason given'}")


def _of_tls(error: BaseException) -> bool:
    """Return whether the handshake with the server failed, to which the proxy had made a way."""
    import ssl

    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLError):
        seen = seen.__cause__ or seen.__context__
    return seen is not None


_ERRNO = re.compile(r"^\[Errno -?[0-9]+\] ")
