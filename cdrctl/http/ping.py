"""Tell a monitoring service that a job has started, succeeded or failed.

The convention is that of Healthchecks, which other services follow: a request to the URL itself is a success, one to
`URL/start` the start, and one to `URL/fail` a failure; a POST may have a body, which the service shows to its user.
https://healthchecks.io/docs/http_api/, "Success", "Start" and "Failure" URLs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit, urlunsplit

from cdrctl.errors import CdrctlError
from cdrctl.http.addresses import address, in_clear
from cdrctl.http.connections import Connections
from cdrctl.http.exchange import exchange
from cdrctl.http.failures import BrokenExchangeError
from cdrctl.http.messages import Request
from cdrctl.http.urls import host_of

if TYPE_CHECKING:
    from cdrctl.http.transport import Transport

SECONDS = 10.0
"""The most that one ping may take."""

_LARGEST = 65_536
"""Bytes of a response; the answer of a service is a word."""

Event = Literal["start", "success", "fail"]


def ping_url(url: str) -> str:
    """Return the URL of a check as it is requested.

    Raises:
        ValueError: It cannot be used. The text never repeats it, because who knows it can report successes.
    """
    found = address(url, query=True)
    if in_clear(found):
        raise ValueError("it must begin with https://, or lead to this machine")
    return found


def event_url(url: str, event: Event) -> str:
    """Return the URL that reports an event; a query stays at its end."""
    parts = urlsplit(url)
    path = parts.path if event == "success" else f"{parts.path.rstrip('/')}/{event}"
    return urlunsplit(parts._replace(path=path))


def ping(
    url: str,
    event: Event,
    facts: Mapping[str, int | float | str],
    *,
    seconds: float = SECONDS,
    transport: Transport | None = None,
) -> str:
    """Report an event, and return why it failed, without the URL; empty if it did not.

    It is sent once, and a redirect is not followed: the URL is a secret of the host that it names.

    Args:
        url: What `ping_url` returned.
        event: What happened.
        facts: The body; a start has none.
        seconds: The most that it may take.
        transport: Replaces the network, in tests.
    """
    target = event_url(url, event)
    ask = Request("GET", target) if event == "start" else Request("POST", target, json=dict(facts))
    try:
        connections = Connections(base_url=url, timeout=seconds, ca_file=None, transport=transport)
        try:
            answer = exchange(connections, ask, _LARGEST, within=seconds)
        finally:
            if transport is None:
                connections.close()
    except BrokenExchangeError as error:
        return str(error)
    except CdrctlError as error:
        return error.message
    return "" if answer.good else f"{host_of(url)} answered with HTTP {answer.status}"
