"""One exchange: a request as a value goes out, an answer as a value comes back, and nothing stays alive behind it."""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

import pydantic_core

from cdrctl import __version__, damage
from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError
from cdrctl.http.proxies import REFUSALS, WANTS_SIGN_IN, no_way, proxy_to, refused_by, status_of, transport_by
from cdrctl.threads import started

if TYPE_CHECKING:
    import ssl

    import httpx

MASK = "********"
"""Stands where a secret would, in requests that are never sent."""

MEBIBYTE = 1024 * 1024

CONNECT_SECONDS = 10.0
STALL_FACTOR = 10
"""An answer, from looking up the host's name to the body's last byte, may take so many times the profile's timeout."""

AT_ONCE = 256 * 1024
"""Bytes that are decompressed at a time, so that the bound on an answer is noticed before memory is."""

EXCERPT = 300
"""Characters of a body that is no JSON that are kept for messages."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Args:
        method: GET, POST, PUT …
        url: Whole; a URL that came from the provider is sent byte for byte.
        params: Query parameters in order.
        headers: Beside those of the sign-in.
        json: A body to send as JSON.
        form: A body to send as a form.
        kind: Which of the provider's budgets counts it.
        whole: From a decoded 2xx body to what is wrong with it, when a broken answer can hide in valid JSON; it is
            asked again, and the error raised when that does not mend it.
        signed: Whether the credential goes with it.
        bodiless: Whether a good answer may have no body.
        no_content: Whether the status 204 is a good answer.
        records: The keys that lead to the list of records in a good answer, for whoever reads it faster than others.
    """

    method: str
    url: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    kind: str = "page"
    whole: Callable[[Any], CdrctlError | None] | None = None
    signed: bool = True
    bodiless: bool = False
    no_content: bool = False
    records: tuple[str, ...] = ()


Read = Callable[[bytearray, Sequence[str]], Any]
"""From a body and where its list of records is to the body decoded, or None where it is to be decoded as any other."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Args:
        status: The HTTP status.
        headers: By name in lower case.
        body: The decoded JSON, or None when the body is empty or no JSON.
        text: The beginning of a body that is no JSON, printable; empty otherwise. Of what was probably meant as JSON
            or as a form it is one character: in the beginning of those there may be half a token.
        url: What was asked, for messages; without its query.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str
    url: str

    @property
    def good(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300


class BrokenExchangeError(Exception):
    """The exchange failed in a way that another try may mend; the text says how.

    `answered` says that the answer had begun: the server was reached, and its answer broke off. `proxy` is the host and
    port of the proxy that failed, or None where the fault is not the proxy's.
    """

    def __init__(self, text: str, *, answered: bool = False, proxy: str | None = None) -> None:
        super().__init__(text)
        self.answered = answered
        self.proxy = proxy


def host_of(url: str) -> str:
    """Return the host and port of any text that may be a URL, as said in messages: without user name and password."""
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]


def same_origin(url: str, other: str) -> bool:
    """Return whether two URLs share scheme, host and port; one that could be read in two ways shares nothing."""
    ours = _origin(url)
    return ours is not None and ours == _origin(other)


_PLAIN_URL = re.compile(r"https?://[^\x00-\x20\x7f\\@/?#]+([/?#][^\x00-\x20\x7f]*)?\Z", re.IGNORECASE)


def unambiguous(url: str) -> bool:
    """Return whether a text is a URL without what parsers disagree about: user names, backslashes, blanks."""
    return _PLAIN_URL.match(url) is not None


def _origin(url: str) -> tuple[str, str, int] | None:
    return _origin_of(_BEFORE_PATH.split(url, maxsplit=1)[0]) if unambiguous(url) else None


_BEFORE_PATH = re.compile(r"(?<![:/])[/?#]")


@functools.lru_cache(64)
def _origin_of(beginning: str) -> tuple[str, str, int] | None:
    """Return what the beginning of a URL, up to its path, says: scheme, host and port."""
    try:
        parts = urlsplit(beginning)
        port = parts.port
    except ValueError:  # a port that is no number, or half an IPv6 address
        return None
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def _load_httpx() -> None:
    """Load httpx without its own command line: rich and pygments would take as long as all the rest of it."""
    if "httpx" not in sys.modules:
        sys.modules["httpx._main"] = None  # type: ignore[assignment] # so Python is told that there is no such module
        try:
            import httpx  # noqa: F401 - start-up time: only when something is asked
        finally:
            sys.modules.pop("httpx._main", None)  # another thread may have loaded it meanwhile


def host_in_ascii(name: str) -> str | None:
    """Return an internationalised host name as it is looked up (RFC 5891), or None where it is not the name of one."""
    _load_httpx()
    import httpx

    try:
        return httpx.URL(scheme="https", host=name).raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        return None


class Connections:
    """The connections of one run: to each origin by the proxy that the environment names, or directly.

    To this machine itself no proxy is asked: what runs there is ours. Cookies are not kept: they would be a credential
    beside the one that is watched. It is made of httpx's transports, and not an httpx client, which would spend as much
    on cookies and redirects as a small answer takes.

    Args:
        base_url: Where most requests go.
        timeout: Seconds between two pieces of an answer.
        ca_file: The authority to trust, or None for the usual ones.
        transport: In place of the network, in tests.

    Raises:
        ConfigurationError: `ca_file` is not a readable PEM file, or the environment names a proxy we cannot use.
    """

    def __init__(
        self, *, base_url: str, timeout: float, ca_file: str | None, transport: httpx.BaseTransport | None = None
    ) -> None:
        _load_httpx()
        import httpx

        self.timeout = timeout
        self.headers = {"User-Agent": f"cdrctl/{__version__}", "Accept": "application/json", "Accept-Encoding": "gzip"}
        self.seconds = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)).as_dict()
        self.given = transport
        self._transports: dict[tuple[str, str, int | None], httpx.BaseTransport] = {}
        self._proxies: dict[tuple[str, str, int | None], str] = {}  # host and port of the proxy, for messages
        self._ca_file = ca_file
        self._ours = {"127.0.0.1", "localhost", "::1"}
        host = urlsplit(base_url).hostname or ""
        if host.startswith("127."):
            self._ours.add(host)
        try:
            self.transport(httpx.URL(base_url))
        except (httpx.InvalidURL, UnicodeError):  # the latter for a name that is no name of a host
            raise _unwritable(host_of(base_url)) from None

    def transport(self, url: httpx.URL) -> httpx.BaseTransport:
        """Return what sends the requests to a URL."""
        if self.given is not None:
            return self.given
        origin = url.scheme, url.host, url.port
        found = self._transports.get(origin)
        if found is None:
            proxy = None if url.host in self._ours else proxy_to(url)
            encrypted = url.scheme == "https" or proxy is not None or self._ca_file is not None
            checks = verified(self._ca_file, encrypted=encrypted)
            if proxy is not None:
                self._proxies[origin] = host_of(proxy)
            found = self._transports.setdefault(origin, transport_by(checks, proxy))
        return found

    def proxy(self, url: httpx.URL) -> str | None:
        """Return the host and port of the proxy that requests to a URL go through, or None; `transport` comes first."""
        return self._proxies.get((url.scheme, url.host, url.port))

    def close(self) -> None:
        """Close them all."""
        for transport in self._transports.values() if self.given is None else [self.given]:
            transport.close()


def verified(ca_file: str | None, *, encrypted: bool) -> ssl.SSLContext:
    """Return what checks certificates; where nothing is encrypted it trusts none, which takes no time."""
    import ssl

    if not encrypted:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=ca_file) if ca_file else _usual_authorities(_named_authorities())
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        what = f"ca_file {ca_file}" if ca_file else "the certificates that the environment names"
        raise ConfigurationError(
            f"{what} cannot be used: {getattr(error, 'strerror', None) or error}",
            hint="ca_file must be a PEM file with the certificate of the authority that signed the server's",
        ) from None


def _named_authorities() -> tuple[str | None, str | None]:
    """Return what the environment names in place of the usual authorities."""
    return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


@functools.lru_cache(maxsize=1)
def _usual_authorities(_named: tuple[str | None, str | None]) -> ssl.SSLContext:
    """Return what checks certificates: made once, for it takes more time and memory than all else of a client."""
    import httpx

    return httpx.create_ssl_context()


_TARGET = re.compile(r"(https?://[^/?#]+)(/[\x21\x22\x24-\x7e]*)(?:#.*)?\Z", re.IGNORECASE)
_LONGEST_URL = 65_536


@functools.cache
def _exact() -> Callable[[str | httpx.URL, str], httpx.URL]:
    """Return what makes URLs whose path and query are sent byte for byte: httpx would tidy up dots and percents."""
    import httpx

    class Exact(httpx.URL):
        def __init__(self, url: str | httpx.URL, target: str) -> None:
            super().__init__(url)
            self.target = target.encode("ascii")

        @property
        def raw_path(self) -> bytes:
            """The path and query."""
            return self.target

    return Exact


@functools.lru_cache(64)
def _root(origin: str) -> httpx.URL:
    import httpx

    return httpx.URL(origin)


def _url(text: str, *, whole: bool) -> httpx.URL:
    """Return a URL that is sent byte for byte, or what httpx makes of it where no request line can hold it as it is.

    Unless the `whole` of it may be looked at, nothing but the origin is taken apart: the rest takes httpx longer than
    to read a small answer.
    """
    import httpx

    match = _TARGET.match(text)
    if match is None or len(text) > _LONGEST_URL:
        return httpx.URL(text)
    return _exact()(httpx.URL(text) if whole else _root(match[1]), match[2])


def _whole_url(ask: Request) -> str:
    """Return the URL with its parameters in their order, which httpx would sort by name."""
    if not ask.params:
        return ask.url
    return f"{ask.url}{'&' if '?' in ask.url else '?'}{urlencode(ask.params)}"


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
    lane = _lane()
    came = None
    try:
        lane.work.put(lambda: _exchanged(connections, ask, largest, given_up, read, lane.bodies))
        came = _taken(lane.done, seconds)
    finally:
        given_up.set()
        if came is None:  # whenever its thread comes back, there may be nobody left who waits for what it brings
            lane.work.put(None)
    if came is None:
        raise BrokenExchangeError(f"an answer of {host_of(ask.url)} was not whole after {seconds:g} s", answered=True)
    _idle.append(lane)
    if isinstance(came, Answer):
        return came
    raise came


@dataclass(frozen=True, slots=True)
class _Lane:
    """A thread that makes one exchange after the other, and ends when it is given None.

    Args:
        work: What it is to do.
        done: What came of it.
        bodies: The last large bodies, into which others may be read once nobody looks at them any more.
    """

    work: SimpleQueue[Callable[[], Answer] | None] = field(default_factory=SimpleQueue)
    done: SimpleQueue[Answer | BaseException] = field(default_factory=SimpleQueue)
    bodies: list[bytearray] = field(default_factory=list)

    def run(self) -> None:
        while (work := self.work.get()) is not None:
            try:
                came: Answer | BaseException = work()
            except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
                came = error
            del work  # what was asked is not kept while nothing is
            self.done.put(came)
            del came


_idle: list[_Lane] = []
"""Lanes that wait for work: to start a thread for each exchange takes as long as to read a small answer."""


def _lane() -> _Lane:
    with suppress(IndexError):
        return _idle.pop()
    lane = _Lane()
    started([threading.Thread(target=lane.run, name="cdrctl-exchange", daemon=True)])
    return lane


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
        headers = _headers(response)
        buffer = _buffer(_length(headers, largest), bodies)
        body = _read(response, headers, host_of(ask.url), largest, given_up, buffer)
    return _answer(response.status_code, headers, ask, body, read)


def pieces(connections: Connections, ask: Request, explain: Callable[[Answer], CdrctlError | None]) -> Iterator[bytes]:
    """Yield the body of a good answer as it comes, decompressed.

    Raises:
        BrokenExchangeError: The network failed, or the body broke off.
        ConfigurationError: The certificate, the address or a setting is wrong.
        CdrctlError: What `explain` makes of an answer that is not good.
    """
    with _sent(connections, ask) as response:
        headers = _headers(response)
        body = _body(response, headers, host_of(ask.url))
        if not 200 <= response.status_code < 300:
            words = bytearray(b"".join(islice(body, 4)))
            raise explain(_answer(response.status_code, headers, ask, words)) or ProviderError(
                f"HTTP {response.status_code}"
            )
        yield from body


def _answer(status: int, headers: Mapping[str, str], ask: Request, body: bytearray, read: Read | None = None) -> Answer:
    good = 200 <= status < 300
    decoded = read(body, ask.records) if read is not None and ask.records and good else None
    decoded, text = (decoded, "") if decoded is not None else decode(body, headers.get("content-type", ""))
    return Answer(status, headers, decoded, text, _BEFORE_QUERY.split(ask.url, maxsplit=1)[0])


_BEFORE_QUERY = re.compile(r"[?#]")


def _headers(response: httpx.Response) -> dict[str, str]:
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
        url = _url(_whole_url(ask), whole=connections.given is not None)
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
        raise _unwritable(host) from None
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
        raise _unwritable(host) from None


def _merged(usual: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the usual headers and a request's own, which take their place."""
    given = {name.lower() for name in own}
    return {**{name: value for name, value in usual.items() if name.lower() not in given}, **own}


def _unwritable(host: str) -> ConfigurationError:
    return ConfigurationError(
        f"a request to {host} cannot be written: the address or a credential holds characters it must not",
        hint="look for stray blanks, line ends or quotes in the profile's settings",
    )


def _read(
    response: httpx.Response,
    headers: Mapping[str, str],
    host: str,
    largest: int,
    given_up: threading.Event,
    buffer: bytearray,
) -> bytearray:
    """Return the buffer with nothing but the body in it."""
    filled = 0
    for chunk in _body(response, headers, host):
        buffer[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
        if filled > largest:
            raise ProviderError(
                f"an answer of {host} is longer than {largest // MEBIBYTE} MiB",
                hint="ask for a shorter window, or for smaller pages where the call has an option for that; if answers "
                "really are so long, raise largest_page_mb in the profile",
            )
        if given_up.is_set():
            raise BrokenExchangeError("nobody waits for it any more")
    del buffer[filled:]
    return buffer


def _length(headers: Mapping[str, str], largest: int) -> int:
    """Return how long a body is that says so and is not compressed, as far as that is to be believed."""
    text = headers.get("content-length", "")
    plain = "content-encoding" not in headers and text.isascii() and text.isdigit()
    return min(int(text), largest, LENGTH_BELIEVED) if plain else 0


LENGTH_BELIEVED = 32 * MEBIBYTE
BODIES_KEPT = 2
"""One is written while the next is read."""


def _buffer(length: int, bodies: list[bytearray]) -> bytearray:
    """Return a buffer of this length; a large one is that of an earlier body, unless somebody still looks at it.

    A buffer that grows leaves as much again behind it, and a new one for each page leaves holes between them.
    """
    if length < MEBIBYTE:
        return bytearray(length)
    for buffer in bodies:
        with suppress(BufferError):  # a view of it is left, and what is looked at keeps its size
            if length < len(buffer):
                del buffer[length:]
            else:
                buffer.extend(bytes(length - len(buffer) + 1))
                del buffer[length:]
            return buffer
    bodies.append(bytearray(length))
    del bodies[:-BODIES_KEPT]
    return bodies[-1]


def _body(response: httpx.Response, headers: Mapping[str, str], host: str) -> Iterator[bytes]:
    """Yield the body of a response as it comes, decompressed.

    Raises:
        BrokenExchangeError: It is not compressed as it says, or breaks off.
        ProviderError: It is compressed in a way that was not asked for: some of them make gigabytes of a few bytes.
    """
    chunks = cast("httpx.SyncByteStream", response.stream)
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in {"", "identity"}:
        yield from chunks
    elif coding in {"gzip", "x-gzip", "deflate"}:
        try:
            yield from _inflated(chunks)
        except zlib.error:
            raise BrokenExchangeError(f"{host} sent a body whose compression is broken", answered=True) from None
    else:
        raise ProviderError(
            f"{host} sent a body compressed in a way that was not asked for ({coding[:40]})",
            hint="a proxy in between may do this; if not, tell the provider: cdrctl accepts gzip",
        )


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip or zlib made smaller, a bounded piece at a time; several members follow each other (RFC 1952).

    Raises:
        zlib.error: It is neither, or its end is missing.
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
        return _unwritable(host)
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
