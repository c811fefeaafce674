"""The proxies that the environment names: which one a request uses, and the errors of one that fails."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from cdrctl.errors import CdrctlError, ConfigurationError, TemporaryError
from cdrctl.http.urls import Origin

TRIES = 3
"""Attempts at a proxy that cannot be reached: it is nearer than a provider, and seldom overloaded."""

WANTS_SIGN_IN = 407
"""Proxy Authentication Required (RFC 9110, section 15.5.8)."""

REFUSALS = frozenset({400, 401, 403, 404, 405, WANTS_SIGN_IN, 451, 501})
"""Statuses with which a proxy refuses CONNECT, and that a retry does not change."""

_WHERE = "correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or name the host in NO_PROXY if it can be reached directly"


def proxy_to(origin: Origin) -> str | None:
    """Return the URL of the proxy that the environment names for an origin, or None.

    Raises:
        ConfigurationError: The environment does not name the URL of a proxy.
    """
    from urllib.request import getproxies, proxy_bypass

    named = getproxies()
    kind = origin.scheme if named.get(origin.scheme) else "all"
    proxy = named.get(kind, "").strip()
    if not proxy or proxy_bypass(origin.host if origin.port is None else f"{origin.host}:{origin.port}"):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or half an IPv6 address
        usable = False
    if not usable:
        raise unusable(kind, "it is not written http://HOST:PORT")
    if parts.scheme.startswith("socks"):
        raise unusable(kind, "SOCKS proxies are not supported")
    if parts.scheme not in {"http", "https"}:
        raise unusable(kind, f"it begins with {parts.scheme}://")
    return proxy


def unusable(kind: str, why: str) -> ConfigurationError:
    """Return the error of a proxy's URL. The URL is not in it: if it cannot be parsed, a password may be anywhere."""
    name = next((one for one in (f"{kind}_proxy", f"{kind}_proxy".upper()) if os.environ.get(one)), f"{kind}_proxy")
    return ConfigurationError(
        f"the proxy in {name} cannot be used: {why}",
        hint=f"set {name} to http://HOST:PORT, with USER:PASSWORD@ before the host if the proxy wants it; "
        "characters such as @ and / in a password are written %40 and %2F",
    )


def no_connect(status: int) -> str:
    """Return a sentence about a proxy's response to CONNECT; `status` is 0 if it was not HTTP."""
    return f"it answered CONNECT with HTTP {status}" if status else "it did not answer CONNECT as a proxy does"


def refused_by(proxy: str, status: int) -> ConfigurationError:
    """Return the error of a proxy, given by its host and port, that refuses to connect."""
    if status == WANTS_SIGN_IN:
        return ConfigurationError(
            f"the proxy {proxy} requires a user name and a password, or rejects those given (HTTP 407)",
            hint="write them into HTTPS_PROXY (or HTTP_PROXY, ALL_PROXY): http://USER:PASSWORD@HOST:PORT",
            status=status,
        )
    return ConfigurationError(
        f"the proxy {proxy} refuses the connection: {no_connect(status)}",
        hint="ask who runs the proxy to allow this host and port; or name the host in NO_PROXY if it can be reached "
        "directly",
        status=status,
    )


def unreachable(proxy: str, why: str, *, worked: bool) -> CdrctlError:
    """Return the error of a proxy that fails: temporary if it worked before, else one of configuration."""
    message = f"the proxy {proxy} that the environment names does not connect: {why}"
    if worked:
        return TemporaryError(message, hint="nothing is lost: run the command again later")
    return ConfigurationError(message, hint=f"check that the proxy is running; {_WHERE}")
