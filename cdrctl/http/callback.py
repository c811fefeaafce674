"""A web server on loopback that receives the redirect of a sign-in with a browser."""

from __future__ import annotations

import os
import queue
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from cdrctl.errors import SignInError
from cdrctl.http.oauth import HTTP_PORT, LOOPBACK, Attempt, StrangerError, code_in, port_of
from cdrctl.threads import take

VISIT_SECONDS = 10
"""How long a connection may take to send its request."""

Wait = Callable[[float], str]
"""From the seconds to wait to the code; raises SignInError as `code_in` does, and TimeoutError."""


@contextmanager
def listening(attempt: Attempt, stranger: Callable[[], None] = lambda: None) -> Iterator[Wait]:
    """Listen on the port of the redirect URI, on loopback only, and return a function that waits for the browser.

    Only a GET of that address with the attempt's state ends the wait. All other requests are refused and the wait goes
    on, so that a page in the same browser can neither complete a sign-in nor end it.

    Args:
        attempt: The attempt; its redirect URI leads to this machine.
        stranger: Called for each redirect that does not belong to this attempt.

    Raises:
        OSError: The port is in use, or not allowed.
    """
    port = port_of(attempt.redirect_uri)
    assert port is not None  # noqa: S101 - the caller has checked that
    server = _Listener((LOOPBACK, port), _Visit)
    server.attempt, server.stranger = attempt, stranger
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()

    def wait(seconds: float) -> str:
        try:
            came = take(server.came, seconds)
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(came, SignInError):
            raise came
        return came

    try:
        yield wait
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hosts_of(redirect_uri: str) -> set[str]:
    """Return the values of Host that a browser may send to a redirect URI (RFC 9110, section 7.2)."""
    parts = urlsplit(redirect_uri)
    usual = {parts.hostname or ""} if port_of(redirect_uri) == HTTP_PORT else set()
    return {parts.netloc.lower(), *usual}


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts connections on loopback, each in a thread of its own, so that a silent one blocks no other."""

    allow_reuse_address = os.name != "nt"  # there it would let another program take the port as well
    daemon_threads = True
    block_on_close = False
    attempt: Attempt
    stranger: Callable[[], None]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.came: queue.SimpleQueue[str | SignInError] = queue.SimpleQueue()
        self.answered = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a browser that disconnects before it has read the response."""


class _Visit(BaseHTTPRequestHandler):
    """One request to the listener. The response is a short page that repeats nothing of the request."""

    timeout = VISIT_SECONDS
    server: _Listener

    def do_GET(self) -> None:
        attempt = self.server.attempt
        # A page whose own name resolves to loopback sends another Host (DNS rebinding).
        hosts = [host.lower() for host in self.headers.get_all("Host", [])]
        if len(hosts) != 1 or hosts[0] not in hosts_of(attempt.redirect_uri):
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "Wrong host", "This address does not serve that host.")
            return
        path, _, query = self.path.partition("?")
        if path != (urlsplit(attempt.redirect_uri).path or "/"):
            self._say(HTTPStatus.NOT_FOUND, "Not found", "This address only waits for a sign-in.")
            return
        came: str | SignInError
        try:
            came = code_in(query, attempt)
        except StrangerError:
            self._say(
                HTTPStatus.BAD_REQUEST,
                "Another sign-in",
                "This response does not belong to the sign-in that cdrctl is waiting for. Start at the address "
                "that cdrctl printed.",
            )
            self.server.stranger()
            return
        except SignInError as error:
            came = error
        if not self.server.answered.acquire(blocking=False):
            self._say(HTTPStatus.GONE, "Already complete", "This sign-in is already complete. You can close this page.")
            return
        try:
            if isinstance(came, SignInError):
                self._say(HTTPStatus.OK, "Not signed in", "You can close this page. The terminal shows the next step.")
            else:
                self._say(
                    HTTPStatus.OK,
                    "Continue in the terminal",
                    "cdrctl has received the sign-in and continues in the terminal. You can close this page.",
                )
        finally:
            self.server.came.put(came)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer a request that is not a GET, or not HTTP."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._say(status, "Bad request", "This address only waits for a sign-in.")

    def log_message(self, *args: Any) -> None:
        """Log nothing: the first line of a request contains the code."""

    def _say(self, status: HTTPStatus, heading: str, text: str) -> None:
        body = (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>cdrctl: {heading}</title></head>\n'
            f"<body><h1>{heading}</h1><p>{text}</p></body></html>\n"
        ).encode()
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            "Content-Type: text/html; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Referrer-Policy: no-referrer",
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options: nosniff",
            *(["Allow: GET"] if status == HTTPStatus.METHOD_NOT_ALLOWED else []),
            "Connection: close",
        )
        self.close_connection = True
        self.wfile.write("\r\n".join((*lines, "", "")).encode() + (b"" if self.command == "HEAD" else body))
