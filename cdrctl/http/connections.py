"""The connections of a client, and the certificates it trusts."""

from __future__ import annotations

import functools
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cdrctl import __version__
from cdrctl.errors import ConfigurationError
from cdrctl.http.failures import unwritable
from cdrctl.http.messages import RawResponse, Request
from cdrctl.http.proxies import proxy_to, unusable
from cdrctl.http.transport import Connection, default_context, load_httpx, open_transport, origin_of, send
from cdrctl.http.urls import Origin, host_of

if TYPE_CHECKING:
    import ssl

    from cdrctl.http.transport import Transport


CONNECT_SECONDS = 10.0


class Connections:
    """The connections of one run: to each origin through the proxy that the environment names, or directly.

    Loopback addresses never use a proxy. Cookies are not kept: they would be a second credential. It uses httpx's
    transports and not its client, which would spend as much time on cookies and redirects as a small response takes.

    Args:
        base_url: The URL of most requests.
        timeout: Seconds between two pieces of a response.
        ca_file: The certificate authority to trust, or None for the usual ones.
        transport: Replaces the network, in tests.

    Raises:
        ConfigurationError: `ca_file` is not a readable PEM file, or the environment names a proxy we cannot use.
    """

    def __init__(
        self, *, base_url: str, timeout: float, ca_file: str | None, transport: Transport | None = None
    ) -> None:
        load_httpx()
        self.timeout = timeout
        self.seconds = {**dict.fromkeys(("read", "write", "pool"), timeout), "connect": min(timeout, CONNECT_SECONDS)}
        self._headers = {"User-Agent": f"cdrctl/{__version__}", "Accept": "application/json", "Accept-Encoding": "gzip"}
        self._given = transport
        self._connections: dict[Origin, Connection] = {}
        self._ca_file = ca_file
        self._ours = {"127.0.0.1", "localhost", "::1"}
        host = urlsplit(base_url).hostname or ""
        if host.startswith("127."):
            self._ours.add(host)
        try:
            origin = origin_of(base_url)
        except ValueError:
            raise unwritable(host_of(base_url)) from None
        self._connection(origin)

    def send(self, ask: Request) -> AbstractContextManager[RawResponse]:
        """Send a request and return its response; see `transport.send`. The request's headers replace ours."""
        given = {name.lower() for name in ask.headers}
        ours = {name: value for name, value in self._headers.items() if name.lower() not in given}
        return send(ask, self._connection, {**ours, **ask.headers}, self.seconds, parse_all=self._given is not None)

    def _connection(self, origin: Origin) -> Connection:
        """Return the connection to an origin."""
        if self._given is not None:
            return Connection(self._given, None)
        found = self._connections.get(origin)
        if found is None:
            proxy = None if origin.host in self._ours else proxy_to(origin)
            encrypted = origin.scheme == "https" or proxy is not None or self._ca_file is not None
            checks = verified(self._ca_file, encrypted=encrypted)
            try:
                opened = open_transport(checks, proxy)
            except ValueError:
                raise unusable("https", "it is not written http://HOST:PORT") from None
            by = host_of(proxy) if proxy is not None else None
            found = self._connections.setdefault(origin, Connection(opened, by))
        return found

    def close(self) -> None:
        """Close all connections."""
        for transport in (
            [one.transport for one in self._connections.values()] if self._given is None else [self._given]
        ):
            transport.close()


@functools.cache
def _trusting_none() -> ssl.SSLContext:
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def verified(ca_file: str | None, *, encrypted: bool) -> ssl.SSLContext:
    """Return the SSL context that verifies certificates. Without encryption it trusts none, which takes no time.

    Raises:
        ConfigurationError: The certificates to trust cannot be read.
    """
    import ssl

    if not encrypted:
        return _trusting_none()
    try:
        return ssl.create_default_context(cafile=ca_file) if ca_file else _usual_authorities(_named_authorities())
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        what = f"ca_file {ca_file}" if ca_file else "the certificates that the environment names"
        raise ConfigurationError(
            f"{what} cannot be used: {getattr(error, 'strerror', None) or error}",
            hint="ca_file must be a PEM file with the certificate of the authority that signed the server's",
        ) from None


def _named_authorities() -> tuple[str | None, str | None]:
    """Return the file and the folder that the environment names in place of the usual authorities."""
    return os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")


@functools.lru_cache(maxsize=1)
def _usual_authorities(_named: tuple[str | None, str | None]) -> ssl.SSLContext:
    """Return the SSL context for the usual authorities, made once: it takes more time and memory than a client."""
    return default_context()
