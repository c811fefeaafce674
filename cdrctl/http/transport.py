"""Send one request and receive one response. This is the only module that imports httpx.

httpx is loaded with the first client and not with this module: most commands send nothing. Of its private names, one is
used: `httpx._main`, its own command line, which is kept from being loaded (see `load_httpx`).
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from msgspec import Struct

from cdrctl.http.failures import BrokenExchangeError, bad_certificate, unwritable
from cdrctl.http.messages import RawResponse, Request
from cdrctl.http.proxies import REFUSALS, WANTS_SIGN_IN, no_connect, refused_by
from cdrctl.http.urls import Origin, host_of, whole_url

if TYPE_CHECKING:
    import ssl

    import httpx

    Transport = httpx.BaseTransport


def load_httpx() -> None:
    """Load httpx without its own command line: rich and pygments would take as long as all the rest of it."""
    if "httpx" not in sys.modules:
        sys.modules["httpx._main"] = None  # type: ignore[assignment] # Python then raises ImportError, which httpx expects
        try:
            import httpx  # noqa: F401 - start-up time: only when a request is sent
        finally:
            sys.modules.pop("httpx._main", None)  # another thread may have loaded httpx at the same time


# URLs


def host_in_ascii(name: str) -> str | None:
    """Return the ASCII form of an internationalised host name (RFC 5891); None if it is not a host name."""
    load_httpx()
    import httpx

    try:
        return httpx.URL(scheme="https", host=name).raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        return None


def origin_of(url: str) -> Origin:
    """Return the scheme, host and port of a URL as httpx reads them.

    Raises:
        ValueError: It is not a URL.
    """
    load_httpx()
    import httpx

    try:
        return _origin(httpx.URL(url))
    except httpx.InvalidURL as error:  # a UnicodeError, for what is not a host name, is a ValueError
        raise ValueError(str(error)) from None


def _origin(url: httpx.URL) -> Origin:
    return Origin(url.scheme, url.host, url.port)


_TARGET = re.compile(r"(https?://[^/?#]+)(/[\x21\x22\x24-\x7e]*)(?:#.*)?\Z", re.IGNORECASE)
_LONGEST_URL = 65_536


@functools.cache
def _exact() -> Callable[[str | httpx.URL, str], httpx.URL]:
    """Return a class of URLs whose path and query are sent byte for byte; httpx would normalise dots and percents."""
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


def _wire_url(text: str, *, parse_all: bool) -> httpx.URL:
    """Return a URL that is sent byte for byte, or httpx's reading of it if no request line can hold it as it is.

    Without `parse_all` only the origin is parsed: parsing the rest takes httpx longer than reading a small response.
    """
    import httpx

    match = _TARGET.match(text)
    if match is None or len(text) > _LONGEST_URL:
        return httpx.URL(text)
    return _exact()(httpx.URL(text) if parse_all else _root(match[1]), match[2])


# Transports


def open_transport(verify: ssl.SSLContext, proxy: str | None) -> Transport:
    """Return a transport that sends requests through a proxy, or directly.

    Raises:
        ValueError: The proxy's URL cannot be used.
    """
    import httpx

    try:
        return httpx.HTTPTransport(verify=verify, proxy=proxy, trust_env=False)
    except (ImportError, httpx.InvalidURL) as error:
        raise ValueError(str(error)) from None


def default_context() -> ssl.SSLContext:
    """Return a context that trusts the usual certificate authorities."""
    load_httpx()
    import httpx

    return httpx.create_ssl_context()


class Prepared(Struct, frozen=True):
    """A request with all its headers and its encoded body, as it would be sent."""

    method: str
    url: str
    path: str
    headers: Mapping[str, str]
    content: bytes


def local_transport(respond: Callable[[Prepared], Any]) -> Transport:
    """Return a transport that sends nothing: `respond` returns the JSON body of each response."""
    load_httpx()
    import httpx

    def handle(request: httpx.Request) -> httpx.Response:
        url = request.url
        prepared = Prepared(request.method, str(url), url.path, request.headers, request.content)
        return httpx.Response(200, json=respond(prepared), request=request)

    return httpx.MockTransport(handle)


class Connection(NamedTuple):
    """A transport to an origin, and the host and port of the proxy it uses, for messages."""

    transport: Transport
    proxy: str | None


@contextmanager
def send(
    ask: Request,
    connect: Callable[[Origin], Connection],
    headers: Mapping[str, str],
    seconds: Mapping[str, float],
    *,
    parse_all: bool,
) -> Iterator[RawResponse]:
    """Send a request, and return its response with the body still to be read.

    Args:
        ask: The request.
        connect: Returns the connection to an origin.
        headers: All headers of the request.
        seconds: The timeouts `connect`, `read`, `write` and `pool`.
        parse_all: The transport looks at the path and query of the URL.

    Raises:
        BrokenExchangeError: The network failed, here or while the body is read; a retry may help.
        ConfigurationError: No retry helps: the certificate, the address or a setting is wrong.
    """
    import httpx

    host = host_of(ask.url)
    request = _prepare(ask, headers, seconds, parse_all=parse_all)
    answered = False
    proxy = None
    try:
        transport, proxy = connect(_origin(request.url))
        response = transport.handle_request(request)
        answered = True
        try:
            if proxy is not None and response.status_code == WANTS_SIGN_IN:
                raise refused_by(proxy, response.status_code)
            chunks = cast("httpx.SyncByteStream", response.stream)
            yield RawResponse(response.status_code, _headers_of(response), chunks)
        finally:
            response.close()
    except httpx.HTTPError as error:
        failure = _failure(error, host, None if answered else proxy)
        if isinstance(failure, BrokenExchangeError):
            failure.answered = answered
        raise failure from None
    except UnicodeError:  # a host name that the system's resolver cannot encode
        raise unwritable(host) from None


def _prepare(
    ask: Request, headers: Mapping[str, str], seconds: Mapping[str, float], *, parse_all: bool
) -> httpx.Request:
    import httpx

    try:
        url = _wire_url(whole_url(ask), parse_all=parse_all)
        form = dict(ask.form) if ask.form is not None else None
        request = httpx.Request(
            ask.method, url, headers=headers, json=ask.json, data=form, extensions={"timeout": seconds}
        )
    except (httpx.InvalidURL, ValueError, TypeError):  # a character that cannot be encoded is a ValueError
        raise unwritable(host_of(ask.url)) from None
    request.url = url
    return request


def _headers_of(response: httpx.Response) -> dict[str, str]:
    """Return the headers by name in lower case; the values of equal names are joined (RFC 9110, section 5.3)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


# Failures


def _failure(error: httpx.HTTPError, host: str, proxy: str | None) -> Exception:
    """Return our error for a failure of the network, without httpx's words.

    Args:
        error: httpx's error.
        host: The host and port of the request.
        proxy: The host and port of the proxy that was to be connected to, or None.
    """
    import ssl

    import httpx

    certificate = _cause(error, ssl.SSLCertVerificationError)
    if certificate is not None:
        return bad_certificate(host, certificate.verify_message)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return unwritable(host)
    if proxy is not None:
        failure = _proxy_failure(error, proxy)
        if failure is not None:
            return failure
    if isinstance(error, httpx.ConnectTimeout):
        return BrokenExchangeError(f"no connection to {host}: timed out")
    if isinstance(error, httpx.TimeoutException):
        return BrokenExchangeError(f"{host} stopped responding")
    if isinstance(error, httpx.ConnectError):
        return BrokenExchangeError(f"no connection to {host}: {_reason(error)}")
    if isinstance(error, httpx.DecodingError):
        return BrokenExchangeError(f"{host} sent a body whose compression is broken")
    return BrokenExchangeError(f"the connection to {host} broke: {_reason(error) or 'no reason given'}")


def _proxy_failure(error: httpx.HTTPError, proxy: str) -> Exception | None:
    """Return our error if it is the proxy that failed, and not the host behind it."""
    import ssl

    import httpx

    if isinstance(error, httpx.ProxyError):
        status = _connect_status(error)
        return refused_by(proxy, status) if status in REFUSALS else BrokenExchangeError(no_connect(status), proxy=proxy)
    if isinstance(error, httpx.ConnectTimeout):
        return BrokenExchangeError("the connection timed out", proxy=proxy)
    if isinstance(error, httpx.ConnectError) and _cause(error, ssl.SSLError) is None:  # TLS is with the host behind it
        return BrokenExchangeError(_reason(error), proxy=proxy)
    return None


def _connect_status(error: httpx.ProxyError) -> int:
    """Return the HTTP status of a proxy's response to CONNECT, or 0. It is in the text of httpx's error only."""
    word = str(error).partition(" ")[0]
    return int(word) if word.isascii() and word.isdigit() else 0


_ERRNO = re.compile(r"^\[Errno -?[0-9]+\] ")


def _reason(error: httpx.HTTPError) -> str:
    return _ERRNO.sub("", str(error))


Cause = TypeVar("Cause", bound=BaseException)


def _cause(error: BaseException, kind: type[Cause]) -> Cause | None:
    """Return the first error of a kind among an error and its causes."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, kind):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
