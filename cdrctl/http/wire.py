"""One exchange: a request as a value goes out, an answer as a value comes back, and nothing stays alive behind it."""

from __future__ import annotations

import functools
import json
import os
import re
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

from cdrctl import __version__
from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError

if TYPE_CHECKING:
    import ssl

    import httpx

MEBIBYTE = 1024 * 1024

CONNECT_SECONDS = 10.0
STALL_FACTOR = 10
"""An answer, from looking up the host's name to the body's last byte, may take so many times the profile's timeout."""

AT_ONCE = 256 * 1024
"""Bytes that are decompressed at a time, so that the bound on an answer is noticed before memory is."""

EXCERPT = 300
"""Characters of a body that is no JSON that are kept for messages."""

DEEPEST = 200
"""Lists and objects that JSON may have within each other: as many as its usual decoder allows."""


@dataclass(frozen=True, slots=True)
class Ask:
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
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, section 15.3


class BrokenExchangeError(Exception):
    """The exchange failed in a way that another try may mend; the text says how."""


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
    if not unambiguous(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, or half an IPv6 address
        return None
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def open_client(
    *, base_url: str, timeout: float, ca_file: str | None, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """Return the connection pool of one run.

    Proxies are taken from the environment, except towards this machine itself: what runs there is ours. Cookies are
    not kept: they would be a credential beside the one that is watched.

    Raises:
        ConfigurationError: `ca_file` is not a readable PEM file, or the environment names a proxy we cannot use.
    """
    import ssl  # noqa: PLC0415 - start-up time: with httpx, only when something is asked
    from http.cookiejar import CookieJar, DefaultCookiePolicy  # noqa: PLC0415

    import httpx  # noqa: PLC0415

    limits = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
    headers = {"User-Agent": f"cdrctl/{__version__}", "Accept": "application/json", "Accept-Encoding": "gzip"}
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    if transport is not None:
        return httpx.Client(transport=transport, timeout=limits, headers=headers, cookies=no_cookies)
    try:
        verify = ssl.create_default_context(cafile=ca_file) if ca_file else _usual_authorities(_named_authorities())
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        what = f"ca_file {ca_file}" if ca_file else "the certificates that the environment names"
        raise ConfigurationError(
            f"{what} cannot be used: {getattr(error, 'strerror', None) or error}",
            hint="ca_file must be a PEM file with the certificate of the authority that signed the server's",
        ) from None
    ours = {"127.0.0.1", "localhost", "[::1]"}
    if host_of(base_url).startswith("127."):
        ours.add(host_of(base_url).partition(":")[0])
    direct: Mapping[str, httpx.BaseTransport | None] = {f"all://{host}": None for host in ours}
    try:
        return httpx.Client(verify=verify, timeout=limits, headers=headers, cookies=no_cookies, mounts=direct)
    except (ImportError, ValueError, httpx.InvalidURL):
        raise ConfigurationError(
            "the proxy that the environment names cannot be used",
            hint="HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are written http://HOST:PORT; SOCKS needs the package socksio",
        ) from None


def _named_authorities() -> tuple[str | None, str | None]:
    """Return what the environment names in place of the usual authorities."""
    return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


@functools.lru_cache(maxsize=1)
def _usual_authorities(_named: tuple[str | None, str | None]) -> ssl.SSLContext:
    """Return what checks certificates: made once, for it takes more time and memory than all else of a client."""
    import httpx  # noqa: PLC0415

    return httpx.create_ssl_context()


_TARGET = re.compile(r"https?://[^/?#]+(/[\x21\x22\x24-\x7e]*)(?:#.*)?\Z", re.IGNORECASE)


@functools.cache
def _exact() -> type[httpx.URL]:
    """Return the class of URLs whose path and query are sent byte for byte: httpx would tidy up dots and percents."""
    import httpx  # noqa: PLC0415

    class Exact(httpx.URL):
        @property
        def raw_path(self) -> bytes:
            """The path and query, or what httpx makes of them where no request line can hold them as they are."""
            return self.target or super().raw_path

        def __init__(self, url: str) -> None:
            super().__init__(url)
            match = _TARGET.match(url)
            self.target = match[1].encode("ascii") if match else b""

    return Exact


def _whole_url(ask: Ask) -> str:
    """Return the URL with its parameters in their order, which httpx would sort by name."""
    if not ask.params:
        return ask.url
    return f"{ask.url}{'&' if '?' in ask.url else '?'}{urlencode(ask.params)}"


def exchange(client: httpx.Client, ask: Ask, largest: int, read: Read | None = None) -> Answer:
    """Return the answer to one request, its body read to the end and decoded; `largest` is in bytes, decompressed.

    `read` decodes what has records in it, where it can.

    The exchange is made in a thread that nobody waits for when it takes too long, or when the user ends the program:
    the system's resolver cannot be interrupted, and the network's own timeouts begin anew with every byte that drips.

    Raises:
        BrokenExchangeError: The network or the body failed, or it took too long; another try may mend it.
        ConfigurationError: No try can mend it: the certificate, the address or a setting is wrong.
        ProviderError: The answer is too large, or compressed in a way that was not asked for.
    """
    box: SimpleQueue[Answer | BaseException] = SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            box.put(_exchanged(client, ask, largest, given_up, read))
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
            box.put(error)

    seconds = STALL_FACTOR * float(client.timeout.read or 0)
    try:
        threading.Thread(target=work, name="cdrctl-exchange", daemon=True).start()
        came = _taken(box, seconds)
    finally:
        given_up.set()
    if came is None:
        raise BrokenExchangeError(f"an answer of {host_of(ask.url)} was not whole after {seconds:g} s")
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


def _exchanged(client: httpx.Client, ask: Ask, largest: int, given_up: threading.Event, read: Read | None) -> Answer:
    """Return the answer to one request.

    The body is read into a buffer of our own and dropped as soon as it is decoded: an httpx response is a reference
    cycle that would keep its body alive until the garbage collector comes by.
    """
    with _sent(client, ask) as response:
        body = _read(response, host_of(ask.url), largest, given_up)
    return _answer(response, ask, body, read)


def pieces(client: httpx.Client, ask: Ask, explain: Callable[[Answer], CdrctlError | None]) -> Iterator[bytes]:
    """Yield the body of a good answer as it comes, decompressed.

    Raises:
        BrokenExchangeError: The network failed, or the body broke off.
        ConfigurationError: The certificate, the address or a setting is wrong.
        CdrctlError: What `explain` makes of an answer that is not good.
    """
    with _sent(client, ask) as response:
        body = _body(response, host_of(ask.url))
        if not 200 <= response.status_code < 300:  # noqa: PLR2004 - RFC 9110, section 15.3
            words = bytearray(b"".join(islice(body, 4)))
            raise explain(_answer(response, ask, words)) or ProviderError(f"HTTP {response.status_code}")
        yield from body


def _answer(response: httpx.Response, ask: Ask, body: bytearray, read: Read | None = None) -> Answer:
    good = 200 <= response.status_code < 300  # noqa: PLR2004 - RFC 9110, section 15.3
    decoded = read(body, ask.records) if read is not None and ask.records and good else None
    decoded, text = (decoded, "") if decoded is not None else _decode(body)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, decoded, text, re.split(r"[?#]", ask.url, maxsplit=1)[0])


@contextmanager
def _sent(client: httpx.Client, ask: Ask) -> Iterator[httpx.Response]:
    """Return the response to a request, its body not yet read; what fails meanwhile becomes an error of ours."""
    import httpx  # noqa: PLC0415

    host = host_of(ask.url)
    try:
        url = _whole_url(ask)
        request = client.build_request(
            ask.method,
            url,
            headers=dict(ask.headers),
            json=ask.json,
            data=dict(ask.form) if ask.form is not None else None,
        )
        request.url = _exact()(url)
    except (httpx.InvalidURL, ValueError, TypeError):  # a character that cannot be encoded is a ValueError
        raise _unwritable(host) from None
    try:
        response = client.send(request, stream=True, follow_redirects=False)
        try:
            yield response
        finally:
            response.close()
    except httpx.HTTPError as error:
        raise _failure(error, host) from None
    except UnicodeError:  # a host name that the system's resolver cannot even write
        raise _unwritable(host) from None


def _unwritable(host: str) -> ConfigurationError:
    return ConfigurationError(
        f"a request to {host} cannot be written: the address or a credential holds characters it must not",
        hint="look for stray blanks, line ends or quotes in the profile's settings",
    )


def _read(response: httpx.Response, host: str, largest: int, given_up: threading.Event) -> bytearray:
    buffer = bytearray()
    for chunk in _body(response, host):
        buffer += chunk
        if len(buffer) > largest:
            raise ProviderError(
                f"an answer of {host} is longer than {largest // MEBIBYTE} MiB",
                hint="ask for a shorter window, or for smaller pages where the call has an option for that; if answers "
                "really are so long, raise largest_page_mb in the profile",
            )
        if given_up.is_set():
            break
    return buffer


def _body(response: httpx.Response, host: str) -> Iterator[bytes]:
    """Yield the body of a response as it comes, decompressed.

    Raises:
        BrokenExchangeError: It is not compressed as it says, or breaks off.
        ProviderError: It is compressed in a way that was not asked for: some of them make gigabytes of a few bytes.
    """
    chunks = cast("httpx.SyncByteStream", response.stream)
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in {"", "identity"}:
        yield from chunks
    elif coding in {"gzip", "x-gzip", "deflate"}:
        try:
            yield from _inflated(chunks)
        except zlib.error:
            raise BrokenExchangeError(f"{host} sent a body whose compression is broken") from None
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


def _decode(body: bytearray) -> tuple[Any, str]:
    """Return the value in a body and "", or None and the beginning of what is not JSON, or is `null`."""
    if not body:
        return None, ""
    with suppress(ValueError):
        decoded = pydantic_core.from_json(body, cache_strings="keys")
        return decoded, "" if decoded is not None else "null"
    # Half of a surrogate pair is no Unicode, yet providers send it and the standard library reads it; also other UTFs.
    with suppress(ValueError, RecursionError):
        decoded = json.loads(body)
        if _shallow(decoded):
            return decoded, ""
    text = beginning(body[: 4 * EXCERPT].decode("utf-8", "replace"), EXCERPT)
    text = "".join(char if char.isprintable() else " " for char in text).strip()
    secretive = _JSON_OR_FORM.match(text)
    return None, f"{secretive[1]}…" if secretive else text


_JSON_OR_FORM = re.compile(r"[^\w<]{0,8}?([{\[\"]|[\w.%-]+=)")


def _shallow(decoded: Any) -> bool:
    """Return whether a value is no deeper than whoever writes it can follow without running out of stack."""
    level = [decoded]
    for _ in range(DEEPEST):
        nested = [one for one in level if isinstance(one, dict | list)]
        if not nested:
            return True
        level = [inner for one in nested for inner in (one.values() if isinstance(one, dict) else one)]
    return False


def _failure(error: httpx.HTTPError, host: str) -> Exception:
    """Return what a failure of the network means, without what httpx may have put into its words."""
    import ssl  # noqa: PLC0415

    import httpx  # noqa: PLC0415

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
    if isinstance(error, httpx.ConnectTimeout):
        return BrokenExchangeError(f"no connection to {host} within the time allowed")
    if isinstance(error, httpx.TimeoutException):
        return BrokenExchangeError(f"{host} fell silent")
    if isinstance(error, httpx.ConnectError):
        return BrokenExchangeError(f"no connection to {host}: {_ERRNO.sub('', str(error))}")
    if isinstance(error, httpx.ProxyError):
        return BrokenExchangeError(f"the proxy that the environment names gives no way to {host}: {error}")
    if isinstance(error, httpx.DecodingError):
        return BrokenExchangeError(f"{host} sent a body whose compression is broken")
    return BrokenExchangeError(f"the connection to {host} broke: {_ERRNO.sub('', str(error)) or 'no reason given'}")


_ERRNO = re.compile(r"^\[Errno -?[0-9]+\] ")
