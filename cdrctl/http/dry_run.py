"""A run in which nothing is sent: every request becomes a line for curl, and is answered with nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cdrctl.http.messages import MASK

if TYPE_CHECKING:
    import httpx

_MADE_BY_CURL = frozenset({"host", "connection", "content-length", "user-agent", "accept-encoding"})
"""Headers that curl makes by itself, or for an option."""

Nothing = Callable[[str, Any], Any]
"""From the path and the body of a request to the body of the answer that says there is nothing."""


def curl(request: httpx.Request) -> str:
    """Return the command line by which curl sends a request, to be typed in a POSIX shell."""
    url = str(request.url).replace("%2A" * len(MASK), MASK)
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


class DryRun:
    """In place of the network: tells each request, sends none, and answers that there is nothing.

    Args:
        tell: Given each request as a line for curl.
        nothing: What the provider answers where there is nothing.
    """

    def __init__(self, log: Callable[[str], None], nothing: Nothing) -> None:
        self._tell = log
        self._nothing = nothing

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer that there is nothing."""
        import httpx

        request.read()
        self._tell(curl(request))
        try:
            body = json.loads(request.content) if request.content else None
        except ValueError:  # a form, as sign-ins have it
            body = None
        return httpx.Response(200, json=self._nothing(request.url.path, body), request=request)

    def close(self) -> None:
        """Leave nothing open: nothing was."""
