"""A client with plain settings, and a server with scripted responses on a real socket."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from cdrctl.http import (
    Answer,
    Api,
    Client,
    Clock,
    Limits,
    Request,
    RetryPolicy,
    Token,
    error_of,
    open_client,
    same_origin,
)
from tests.support.clock import HandClock


def signed(ended: Token | None, now: datetime) -> Iterator[Request]:
    """Sign in without a request."""
    yield from ()
    return Token({"Authorization": "Bearer sesame"})  # type: ignore[return-value]


API = set(Api.__struct_fields__)
LIMITS = set(Limits.__struct_fields__)


def client(base_url: str = "http://cdr.example/v1", clock: HandClock | Clock | None = None, **given: Any) -> Client:
    """Return a client of an API that signs in without a request; `given` are arguments of Api, Limits or the client."""
    api: dict[str, Any] = {
        "title": "Acme",
        "base_url": base_url,
        "retry_policy": RetryPolicy(),
        "sign_in": signed,
        "error_for": lambda answer: error_of("Acme", answer),
        "allows_url": lambda url: same_origin(base_url, url),
        **{name: value for name, value in given.items() if name in API},
    }
    limits = {name: value for name, value in given.items() if name in LIMITS}
    others = {name: value for name, value in given.items() if name not in API | LIMITS}
    clock = clock if isinstance(clock, Clock) else (clock or HandClock()).clock
    return open_client(Api(**api), Limits(**limits), **{"clock": clock, "jitter": lambda: 0.5, **others})


def answering(*answers: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    """Return a transport that gives these responses, the last one for ever, and the list of its requests."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        asked.append(request)
        one = answers[min(len(asked), len(answers)) - 1]
        if isinstance(one, Exception):
            raise one
        return httpx.Response(one.status_code, headers=one.headers, content=one.content)

    return httpx.MockTransport(answer), asked


def an_answer(status: int = 200, body: Any = None, text: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, body, text, "http://cdr.example/v1/x")


def ok(body: bytes = b'{"items":[]}', *more: str) -> bytes:
    """Return a successful response as it is sent."""
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"

RESET, SILENCE = b"reset", b"silence"
"""In place of a response: the connection is reset, or nothing is sent."""


@dataclass
class Server:
    """A server that listens on loopback.

    Args:
        says: The responses in order, the last one for ever; the connection is closed after each.
        heard: The heads of the requests, byte for byte.
    """

    says: Sequence[bytes]
    port: int = 0
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def lines(self) -> list[str]:
        return [head.split(b"\r\n", 1)[0].decode("latin-1") for head in self.heard]

    def talk(self, connection: socket.socket) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            piece = connection.recv(65536)
            if not piece:
                return
            received += piece
        self.heard.append(received)
        said = self.says[min(len(self.heard), len(self.says)) - 1]
        if said == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif said == SILENCE:
            connection.recv(1)  # until the client gives up
        else:  # announce the close; otherwise the next request may be sent on a closed connection
            connection.sendall(said.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server on loopback that calls a function for each connection; return its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                talk(connection)

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                if ended.is_set():
                    connection.close()
                    return
                threading.Thread(target=one, args=(connection,), daemon=True).start()

        port = listener.getsockname()[1]
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            ended.set()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
            thread.join(5)


@contextmanager
def serving(*says: bytes, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server on loopback."""
    server = Server(says or (ok(),))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        ended = threading.Event()

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                if ended.is_set():
                    connection.close()
                    return
                server.connections += 1
                with suppress(OSError):
                    if tls is not None:
                        connection.settimeout(5)
                        connection = tls.wrap_socket(connection, server_side=True)
                    server.talk(connection)
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", server.port)).close()
            thread.join(5)
