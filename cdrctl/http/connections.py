"""The connections of a client, and the certificates that it trusts."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cdrctl import __version__
from cdrctl.errors import ConfigurationError
from cdrctl.http.proxies import proxy_to, transport_by
from cdrctl.http.urls import host_of, load_httpx

if TYPE_CHECKING:
    import ssl

    import httpx


CONNECT_SECONDS = 10.0


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
        load_httpx()
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
            raise unwritable(host_of(base_url)) from None

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


def unwritable(host: str) -> ConfigurationError:
    """Return the error of a request with characters that cannot be sent."""
    return ConfigurationError(
        f"a request to {host} cannot be written: the address or a credential holds characters it must not",
        hint="look for stray blanks, line ends or quotes in the profile's settings",
    )
