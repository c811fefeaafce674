"""The one address on this machine that a browser is sent back to when somebody has signed in."""

from __future__ import annotations

import os
import queue
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from cdrctl.errors import SignInError
from cdrctl.http.oauth import HTTP_PORT, LOOPBACK, Attempt, StrangerError, code_in, port_of

POLL_SECONDS = 0.5
"""How long one wait takes: a signal that another thread gets wakes nobody out of a longer one."""
VISIT_SECONDS = 10
"""How long whoever connects may take to say what he wants."""

Wait = Callable[[float], str]
"""From the seconds to wait to the code; raises SignInError as `code_in` does, TimeoutError where nobody came."""


@contextmanager
def listening(attempt: Attempt, stranger: Callable[[], None] = lambda: None) -> Iterator[Wait]:
    """Return what waits for the browser, which is answered on the port of the redirect URI until the block ends.

    Only loopback is listened on. Only a GET of that very address that brings the attempt's state ends the wait; others
    are refused and the wait goes on, so that a page in the same browser can neither complete a sign-in nor end it.

    Args:
        attempt: Whose redirect URI leads to this machine.
        stranger: Is told each time an answer came that is not for this attempt.

    Raises:
        OSError: The port cannot be listened on.
    """
    port = port_of(attempt.redirect_uri)
    assert port is not None  # noqa: S101 - who calls has looked
    server = _Listener((LOOPBACK, port), _Visit)
    server.attempt, server.stranger = attempt, stranger
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()

    def wait(seconds: float) -> str:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            with suppress(queue.Empty):
                came = server.came.get(timeout=min(left, POLL_SECONDS))
                if isinstance(came, SignInError):
                    raise came
                return came
        raise TimeoutError

    try:
        yield wait
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hosts_of(redirect_uri: str) -> set[str]:
    """Return what a browser that was sent to a redirect URI may say in Host (RFC 9110, section 7.2)."""
    parts = urlsplit(redirect_uri)
    usual = {parts.hostname or ""} if port_of(redirect_uri) == HTTP_PORT else set()
    return {parts.netloc.lower(), *usual}


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts connections on loopback: each has its thread, so that one that says nothing holds nobody up."""

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
        """Say nothing: whoever left without hearing the answer did so."""


class _Visit(BaseHTTPRequestHandler):
    """One request to the listener; whatever it is, it is answered with a short page that has nothing of it."""

    timeout = VISIT_SECONDS
    server: _Listener

    def do_GET(self) -> None:
        attempt = self.server.attempt
        # A name that leads here by another's DNS has another Host: such a page must not talk to us (DNS rebinding).
        hosts = [host.lower() for host in self.headers.get_all("Host", [])]
        if len(hosts) != 1 or hosts[0] not in hosts_of(attempt.redirect_uri):
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "Not here", "This address is not for that host.")
            return
        path, _, query = self.path.partition("?")
        if path != (urlsplit(attempt.redirect_uri).path or "/"):
            self._say(HTTPStatus.NOT_FOUND, "Nothing here", "This address waits for a sign-in and has nothing else.")
            return
        came: str | SignInError
        try:
            came = code_in(query, attempt)
        except StrangerError:
            self._say(
                HTTPStatus.BAD_REQUEST,
                "Not this sign-in",
                "This is no answer to the sign-in that cdrctl waits for. Begin with the address that it printed.",
            )
            self.server.stranger()
            return
        except SignInError as error:
            came = error
        if not self.server.answered.acquire(blocking=False):
            self._say(HTTPStatus.GONE, "Already answered", "This sign-in has been answered. You may close this page.")
            return
        try:
            if isinstance(came, SignInError):
                self._say(HTTPStatus.OK, "Not signed in", "You may close this page. The terminal says what to do next.")
            else:
                self._say(
                    HTTPStatus.OK,
                    "Back to the terminal",
                    "cdrctl has the answer and goes on in the terminal. You may close this page.",
                )
        finally:
            self.server.came.put(came)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer what is no GET, or no HTTP."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._say(status, "Not understood", "This address waits for a sign-in and has nothing else.")

    def log_message(self, *args: Any) -> None:
        """Keep quiet: a request's first line has the code in it."""

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
