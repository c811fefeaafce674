"""Test the way to a host step by step: its name, its port, its certificate. No request is sent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from cdrctl.errors import CdrctlError, ConfigurationError, TemporaryError
from cdrctl.http.connections import verified
from cdrctl.http.proxies import proxy_to, unreachable
from cdrctl.http.transport import origin_of
from cdrctl.http.urls import host_of
from cdrctl.threads import take

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

SECONDS = 10.0
"""The time limit of each step."""

STEP = 3.0
"""Seconds of one attempt to connect: a host may have several addresses, and the first may be down."""


class Certificate(Struct, frozen=True):
    """A verified certificate of a server.

    Args:
        issuer: The name of the authority that signed it.
        ends: When it expires.
    """

    issuer: str
    ends: datetime


def place_of(url: str) -> tuple[str, int]:
    """Return the host and port of a URL.

    Raises:
        ConfigurationError: It has none that can be used.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:  # a port that is not a number
        raise _unusable(url) from None
    if not parts.hostname:
        raise _unusable(url)
    return parts.hostname, port


def _unusable(url: str) -> ConfigurationError:
    return ConfigurationError(f"{host_of(url)} is not an address", hint="correct base_url in the profile")


def proxy_for(url: str) -> str | None:
    """Return the proxy for requests to a URL, or None if they go directly, as those to loopback do.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    host, _ = place_of(url)
    if host in {"localhost", "::1"} or host.startswith("127."):
        return None
    try:
        return proxy_to(origin_of(url))
    except ValueError:
        raise _unusable(url) from None


def to_proxy(proxy: str) -> float:
    """Return the seconds until a proxy accepted a connection.

    Raises:
        ConfigurationError: It accepts none; the message names the proxy.
    """
    host, port = place_of(proxy)
    try:
        return connected(host, port, addresses(host, port))[1]
    except CdrctlError as error:
        raise unreachable(f"{host}:{port}", error.message, worked=False) from None


def addresses(host: str, port: int, seconds: float = SECONDS) -> list[str]:
    """Return the addresses of a host name, in the order in which they are tried.

    Raises:
        TemporaryError: The name is unknown, or no name server answers.
        ConfigurationError: It cannot be a host name.
    """
    try:
        found = _in_time(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), seconds)
    except UnicodeError:
        raise ConfigurationError(f"{host} is not a host name", hint="correct base_url in the profile") from None
    except OSError as error:
        raise TemporaryError(
            f"the name {host} cannot be looked up: {error.strerror or error}",
            hint="check base_url, and the network and name servers of this machine",
        ) from None
    if found is None:
        raise TemporaryError(
            f"no name server answered for {host} within {seconds:g} s",
            hint="check this machine's name servers (/etc/resolv.conf) and its network",
        )
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def connected(host: str, port: int, at: Sequence[str], seconds: float = SECONDS) -> tuple[str, float]:
    """Return the first address that accepts a connection, and the seconds it took.

    Raises:
        TemporaryError: None does.
    """
    problem: CdrctlError | None = None
    began = time.monotonic()
    for address in at:
        left = seconds - (time.monotonic() - began)
        if left <= 0:
            break
        started = time.monotonic()
        try:
            socket.create_connection((address, port), timeout=min(STEP, left)).close()
        except TimeoutError:
            problem = problem or TemporaryError(
                f"{host} does not answer at port {port} ({address})",
                hint=f"check that the host is up and port {port} is right; a firewall may drop the packets",
            )
        except ConnectionRefusedError:
            problem = TemporaryError(
                f"{host} refuses connections at port {port} ({address})",
                hint=f"nothing listens there: check that port {port} is right and that the service is running",
            )
        except OSError as error:
            problem = problem or TemporaryError(
                f"{host} ({address}) cannot be reached: {error.strerror or error}",
                hint="check this machine's network and routes",
            )
        else:
            return address, time.monotonic() - started
    raise problem or TemporaryError(f"{host} has no address", hint="check base_url")


def certificate(host: str, port: int, address: str, ca_file: str | None, seconds: float = SECONDS) -> Certificate:
    """Return the certificate of a server, verified as the profile's requests verify it.

    Raises:
        ConfigurationError: Verification failed, or `ca_file` cannot be used.
        TemporaryError: There is no encrypted connection.
    """
    import ssl

    context = verified(ca_file, encrypted=True)
    try:
        shown = _in_time(lambda: _shown(context, host, port, address, seconds), seconds)
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(
            f"the certificate of {host} cannot be verified: {error.verify_message}", hint=_mend(error, ca_file)
        ) from None
    except ssl.SSLError as error:
        reason = (error.reason or "no reason given").replace("_", " ").lower()
        raise ConfigurationError(
            f"{host} does not speak TLS at port {port}: {reason}",
            hint="check that this is the port for https; for a server without encryption, base_url begins with http://",
        ) from None
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no reason given"
        raise TemporaryError(
            f"{host} closed the encrypted connection: {reason}",
            hint=f"check that port {port} is the port for https; a firewall may also close connections",
        ) from None
    if shown is None:
        raise TemporaryError(
            f"{host} did not finish the TLS handshake within {seconds:g} s",
            hint=f"check that port {port} is the port for https; another service may listen there",
        )
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    return Certificate(_issuer(shown), ends)


def _shown(context: ssl.SSLContext, host: str, port: int, address: str, seconds: float) -> Mapping[str, Any]:
    with (
        socket.create_connection((address, port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        return encrypted.getpeercert() or {}


def _issuer(shown: Mapping[str, Any]) -> str:
    names = {name: value for group in shown.get("issuer", ()) for name, value in group}
    return str(names.get("organizationName") or names.get("commonName") or "an unnamed authority")


def _mend(error: ssl.SSLCertVerificationError, ca_file: str | None) -> str:
    match error.verify_code:  # x509_vfy.h: has expired, not yet valid, another host name, another IP address
        case 10:
            return (
                "the operator of the server must renew the certificate; "
                "if other machines accept it, this machine's clock is wrong"
            )
        case 9:
            return "the certificate is not valid yet: check this machine's clock"
        case 62 | 64:
            return "base_url must name the host as the certificate does; if it does, the connection may be intercepted"
        case _ if ca_file:
            return f"{ca_file} is not the certificate of the authority that signed the server's: use the right one"
        case _:
            return (
                "if the server is yours and signs its own certificate, set ca_file in the profile to that certificate; "
                "if not, the connection may be intercepted"
            )


def _in_time(work: Callable[[], T], seconds: float) -> T | None:
    """Return the result of a function, or None if it takes too long: the system's resolver has no timeout."""
    done: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            done.put((None, error))

    threading.Thread(target=run, name="cdrctl-reach", daemon=True).start()
    with suppress(Empty):
        came, error = take(done, seconds)
        if error is not None:
            raise error
        return came
    return None
