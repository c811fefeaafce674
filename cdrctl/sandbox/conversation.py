"""HTTP on loopback: a listener, and the connection with one client."""

from __future__ import annotations

import socket
import struct
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from cdrctl.sandbox.faults import Sent

_NO_CONTENT = {204, 304}


class Server(Protocol):
    """The part of the sandbox that connections use."""

    def opened(self, connection: socket.socket) -> None:
        """Add a connection."""

    def closed(self, connection: socket.socket) -> None:
        """Remove a connection."""

    def answered(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, client: str) -> Sent:
        """Return the response to a request."""


class Listener(ThreadingHTTPServer):
    """Accepts connections on loopback, without waiting for idle clients when it is closed."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    timeout = 0  # a client that disconnects between `select` and `accept` does not block
    sandbox: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients that disconnect are part of the tests."""


class Conversation(BaseHTTPRequestHandler):
    """One connection: reads requests, and sends each response with one write."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: Listener

    def setup(self) -> None:
        """Add the connection to the sandbox."""
        super().setup()
        self.server.sandbox.opened(self.connection)

    def finish(self) -> None:
        """Remove the connection from the sandbox."""
        self.server.sandbox.closed(self.connection)
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Log nothing."""

    def _serve(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else b""
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent = self.server.sandbox.answered(self.command, path, query, headers, body, self.client_address[0])
            self._send(sent)
        except OSError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - http.server's names

    def _send(self, sent: Sent) -> None:
        if sent.way == "reset":
            # With a linger time of zero, closing resets the connection.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        reply = sent.reply
        lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, '')}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        body = reply.body
        if reply.status in _NO_CONTENT:
            body = b""
        elif reply.chunked:
            lines.append("Transfer-Encoding: chunked")
            body = _chunked(body)
        else:
            lines.append(f"Content-Length: {len(body)}")
        if sent.way == "cut":
            body = body[: len(body) // 2]
            self.close_connection = True
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        self.connection.sendall(head if self.command == "HEAD" else head + body)


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
