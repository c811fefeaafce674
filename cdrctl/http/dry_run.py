"""A dry run: each request is printed as a curl command, nothing is sent, and every response is an empty one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cdrctl.http.messages import MASK
from cdrctl.http.transport import Prepared, local_transport

if TYPE_CHECKING:
    from cdrctl.http.transport import Transport

_MADE_BY_CURL = frozenset({"host", "connection", "content-length", "user-agent", "accept-encoding"})
"""Headers that curl makes by itself, or for an option."""


def curl(request: Prepared) -> str:
    """Return the curl command that sends a request, for a POSIX shell."""
    url = request.url.replace("%2A" * len(MASK), MASK)
    words = ["curl", "-sS"]
    if request.method != ("POST" if request.content else "GET"):
        words += ["-X", request.method]
    if "gzip" in request.headers.get("accept-encoding", ""):
        words.append("--compressed")
    for name, value in request.headers.items():
        if name not in _MADE_BY_CURL:
            words += ["-H", f"{name}: {value}"]
    if request.content:
        words += ["--data-raw", request.content.decode("utf-8", "replace").replace("%2A" * len(MASK), MASK)]
    return shlex.join([*words, url])


def dry_run_transport(log: Callable[[str], None], empty_response: Callable[[str, Any], Any]) -> Transport:
    """Return a transport that sends nothing.

    Args:
        log: Receives each request as a curl command.
        empty_response: From the path and body of a request to the body of the response that has no records.
    """

    def respond(request: Prepared) -> Any:
        log(curl(request))
        try:
            body = json.loads(request.content) if request.content else None
        except ValueError:  # a form, as sign-ins have it
            body = None
        return empty_response(request.path, body)

    return local_transport(respond)
