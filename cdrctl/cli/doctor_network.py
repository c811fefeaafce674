"""The checks of `cdrctl doctor` on the way to a provider: name resolution, connection and certificate."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cdrctl.cli.findings import Finding, failure
from cdrctl.errors import CdrctlError

if TYPE_CHECKING:
    from cdrctl.fetchers.settings import Settings

EXPIRES_SOON = timedelta(days=14)


def check_network(settings: Settings, now: datetime) -> Generator[Finding, None, bool]:
    """Yield the findings of dns, connection and tls, and return whether a request can reach the provider."""
    from cdrctl.http import reach

    url = settings.base_url
    check = "dns"
    try:
        proxy = reach.proxy_for(url)
        if proxy is not None:
            host, port = reach.place_of(proxy)
            check = "connection"
            yield Finding("dns", "skipped", f"the proxy {host}:{port} resolves the name")
            seconds = reach.to_proxy(proxy)
            yield Finding(check, "ok", f"the proxy {host}:{port} accepts connections ({_milliseconds(seconds)})")
            yield Finding("tls", "skipped", "behind a proxy, the request itself checks the certificate")
            return True
        host, port = reach.place_of(url)
        found = reach.addresses(host, port)
        more = f" and {len(found) - 2} more" if len(found) > 2 else ""
        is_address = found == [host]
        names = "is an IP address" if is_address else f"resolves to {', '.join(found[:2])}{more}"
        yield Finding(check, "ok", f"{host} {names}")
        check = "connection"
        address, seconds = reach.connected(host, port, found)
        yield Finding(check, "ok", f"{address} accepts connections on port {port} ({_milliseconds(seconds)})")
        check = "tls"
        yield check_certificate(settings, host, port, address, now)
    except CdrctlError as error:
        yield failure(check, error)
        return False
    return True


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def warn_about_clear_text() -> Finding:
    """Return the warning about a base_url that sends the credential unencrypted over the network."""
    from cdrctl.http.addresses import IN_CLEAR

    return Finding("tls", "warn", IN_CLEAR, "use https:// if the server offers it, possibly on another port")


def check_certificate(settings: Settings, host: str, port: int, address: str, now: datetime) -> Finding:
    """Return who issued the server's certificate and when it expires.

    Raises:
        ConfigurationError: The certificate is not trusted, or ca_file cannot be used.
        TemporaryError: There is no encrypted connection.
    """
    from cdrctl.http import reach
    from cdrctl.http.addresses import in_clear

    if not settings.base_url.startswith("https:"):
        if in_clear(settings.base_url):
            return warn_about_clear_text()
        return Finding("tls", "skipped", "base_url begins with http://, and requests stay on this machine")
    shown = reach.certificate(host, port, address, settings.ca_file)
    what = f"issued by {shown.issuer}, valid until {shown.ends:%Y-%m-%d}"
    if shown.ends - now < EXPIRES_SOON:
        return Finding("tls", "warn", f"{what}: it expires soon", "the server's operator must renew it before then")
    return Finding("tls", "ok", f"{what}{' (checked with ca_file)' if settings.ca_file else ''}")
