"""A monitoring service on loopback that records pings."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Checks:
    """Its URL, what it was sent, and what it answers.

    Args:
        url: The URL of a check.
        pings: Method, path with query, and body of each request.
        status: The status of its answers.
        headers: More headers of its answers.
    """

    url: str
    pings: list[tuple[str, str, str]] = field(default_factory=list)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """The paths of the requests, below the URL of the check."""
        return [path.removeprefix("/ping/0b5e7c2d") for _, path, _ in self.pings]


@contextmanager
def checks() -> Iterator[Checks]:
    """Run such a service."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            found.pings.append((self.command, self.path, self.rfile.read(length).decode()))
            self.send_response(found.status)
            for name, value in {"Content-Length": "2", **found.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"OK")

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Checks(f"http://127.0.0.1:{server.server_port}/ping/0b5e7c2d")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
