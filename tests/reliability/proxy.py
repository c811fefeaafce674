"""A small TCP proxy between cdrctl and the sandbox: it forwards responses, or damages them as networks do."""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response of the provider.

    Args:
        status: The HTTP status.
        headers: In order, without those about the length of the body.
        body: The body, neither chunked nor compressed.
    """

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def head(self, *more: str, length: int | None = None) -> bytes:
        """Return the head as it is sent, with a length that may be wrong."""
        size = len(self.body) if length is None else length
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, '')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {size}", "Connection: close", *more]
        return "\r\n".join((*lines, "", "")).encode("latin-1")

    def with_body(self, body: bytes, content_type: str | None = None) -> Reply:
        """Return the response with another body."""
        kept = [(name, value) for name, value in self.headers if content_type is None or name.lower() != "content-type"]
        return replace(self, body=body, headers=[*kept, *([("Content-Type", content_type)] if content_type else [])])


@dataclass(slots=True)
class Wire:
    """The connection to cdrctl, as a fault uses it.

    Args:
        connection: The socket.
        ended: Set when the test is over, so that a fault that stalls ends.
        before: The responses that were forwarded before, oldest first.
        asked: The request: its head and its body.
    """

    connection: socket.socket
    ended: threading.Event
    before: Sequence[Reply]
    asked: bytes

    def send(self, content: bytes) -> None:
        """Send bytes as they are."""
        self.connection.sendall(content)

    def reset(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def stall(self) -> None:
        """Send nothing until the client disconnects or the test is over."""
        self.connection.settimeout(0.05)
        while not self.ended.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue

    def drip(self, content: bytes = b" ", seconds: float = 0.01) -> None:
        """Send the same byte again and again until the client disconnects or the test is over."""
        while not self.ended.wait(seconds):
            self.send(content)


Spoil = Callable[[Wire, Reply], None]


def passed_on(wire: Wire, reply: Reply) -> None:
    """Forward the response unchanged."""
    wire.send(reply.head() + reply.body)


@dataclass(slots=True)
class Proxy:
    """A listener between cdrctl and the sandbox.

    Args:
        upstream: The sandbox's address.
        tls: The server's certificate, or None for plain TCP.
        requests: How many complete requests came.
        spoiled: How many of them got a fault as the response.
        asked: The requests, byte for byte.
    """

    upstream: str
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: int = 0
    spoiled: int = 0
    asked: list[bytes] = field(default_factory=list)
    before: list[Reply] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    spoil: Spoil = passed_on
    first: int = 0
    last: int = -1

    @property
    def url(self) -> str:
        """The proxy's address, without a path."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def fault(self, spoil: Spoil, *, nth: int = 1, times: int = 1_000_000) -> None:
        """Respond with a fault to the nth request from now on and to those after it, `times` times."""
        with self.lock:
            self.spoil, self.first = spoil, self.requests + nth
            self.last = self.first + times - 1

    def talk(self, connection: socket.socket) -> None:
        """Respond to one request."""
        if self.tls is not None:
            connection.settimeout(5)
            connection = self.tls.wrap_socket(connection, server_side=True)
        with connection:
            asked = read_request(connection)
            if asked is None:
                return
            with self.lock:
                self.requests += 1
                self.asked.append(asked)
                spoiled = self.first <= self.requests <= self.last
                self.spoiled += spoiled
                before = list(self.before)
            reply = self.answer(asked)
            (self.spoil if spoiled else passed_on)(Wire(connection, self.ended, before, asked), reply)
            if not spoiled:
                with self.lock:
                    self.before.append(reply)

    def answer(self, asked: bytes) -> Reply:
        """Return the sandbox's response to a request."""
        head, _, body = asked.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        headers.pop("accept-encoding", None)
        there = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=20)
        there.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            there.putheader(name, value)
        there.endheaders(body)
        came = there.getresponse()
        content = came.read()
        told = [(n, v) for n, v in came.getheaders() if n.lower() not in HOP_BY_HOP]
        there.close()
        if self.tls is not None:
            plain, own = f"http://127.0.0.1:{self.port}", self.url
            told = [(name, value.replace(plain, own)) for name, value in told]
            content = content.replace(plain.encode(), own.encode())
        return Reply(came.status, told, content)


HOP_BY_HOP = {"content-length", "transfer-encoding", "connection"}


def read_request(connection: socket.socket) -> bytes | None:
    """Return a complete request, or None if the client disconnected before."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return None
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return head + b"\r\n\r\n" + body


@contextmanager
def between(upstream: str, *, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy on a port of its own."""
    proxy = Proxy(upstream, tls)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        proxy.port = listener.getsockname()[1]

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                proxy.talk(connection)

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                if proxy.ended.is_set():
                    connection.close()
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.ended.set()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", proxy.port)).close()
            thread.join(5)
