"""A proxy in front of a store: it notes the requests, and answers, delays or changes those that a test chooses."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

RESET = -1
"""A fault: the connection ends without an answer."""
LOST = -2
"""A fault: the store does what it is asked, and the answer is lost."""


CODES = {403: "AccessDenied", 429: "SlowDown", 503: "SlowDown"}
"""What a store says with a status."""


@dataclass
class Asked:
    """A request: its method, its path without the bucket, and its headers in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int = 0


@dataclass
class Proxy:
    """The proxy of a store.

    Args:
        url: Its address.
        requests: The requests in order.
        fault: From a request to the status to answer instead, RESET, LOST, or 0. It may change the headers.
        after: Called when the store has done what it was asked, before the answer.
    """

    url: str = ""
    requests: list[Asked] = field(default_factory=list)
    fault: Callable[[Asked], int] = lambda _asked: 0
    after: Callable[[Asked], None] = lambda _asked: None


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    """Run a proxy of a store."""
    proxy, behind = Proxy(), urlsplit(url)
    assert behind.hostname is not None

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            path = unquote(parts.path).lstrip("/").partition("/")[2]
            asked = Asked(self.command, path, unquote(parts.query), {k.lower(): v for k, v in self.headers.items()})
            proxy.requests.append(asked)
            fault = proxy.fault(asked)
            if fault > 0:
                asked.status = fault
                self.answer(fault, {}, f"<Error><Code>{CODES.get(fault, 'InternalError')}</Code></Error>".encode())
                return
            if fault == RESET:
                self.cut()
                return
            connection = http.client.HTTPConnection(str(behind.hostname), behind.port)
            connection.request(self.command, self.path, body or None, asked.headers)
            response = connection.getresponse()
            content = response.read()
            asked.status = response.status
            connection.close()
            proxy.after(asked)
            if fault == LOST:
                self.cut()
                return
            self.answer(response.status, dict(response.getheaders()), content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any  # noqa: N815 - the names that http.server looks for

        def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(status)
            length = headers.pop("Content-Length", None)
            for name, value in headers.items():
                if name.lower() not in {"connection", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", length if length and self.command == "HEAD" else str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def cut(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server uses
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
