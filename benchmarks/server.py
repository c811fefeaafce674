"""A loopback server of prepared pages, so that the client is measured and not the server.

`python -m benchmarks.server PROVIDER CALL RECORDS PAGE_SIZE LATENCY_MS SINCE HOURS` prints its port, and ends when its
standard input does. The records are those of the sandbox's made-up telephone exchange, the same for every day. With
`notifications`, it prints them instead, one JSON object per line.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from benchmarks.wires import A_TENTH, WIRES, Asked, Pages, Reply, records, stamped, template

HOURS = 12
"""The calls began in the first hours of the day: one window of Webex's."""

CACHED = 400_000_000
"""Pages of up to this many bytes are prepared; larger sets are made page by page on request."""


def pages(provider: str, count: int, size: int, start: datetime, call: str = "cdrs", hours: int = HOURS) -> Pages:
    """Prepare the pages or, if they are too large, the records to make them from."""
    wire = WIRES[provider]
    number = -(-count // size)
    began = [hours * 36_000 * page // number // wire.resolution * wire.resolution for page in range(number)]
    items = records(provider, call, min(size, count), start.date())
    full, rest = template(provider, items), template(provider, items[: count - (number - 1) * size])

    def body(page: int) -> bytes:
        return stamped(rest if page + 1 == number else full, page, start + began[page] * A_TENTH)

    made = list(map(body, range(number))).__getitem__ if number * len(full) <= CACHED else body
    return Pages(call, count, size, start, made, began)


def serve(connection: socket.socket, answer: Callable[[Asked], Reply], latency: float) -> None:
    """Answer the requests of one connection in sequence."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host = "{}:{}".format(*connection.getsockname())
    heard = b""
    with connection:
        while True:
            while (end := heard.find(b"\r\n\r\n")) < 0:
                piece = connection.recv(65536)
                if not piece:
                    return
                heard += piece
            due = time.monotonic() + latency
            head, heard = heard[:end], heard[end + 4 :]
            sent = b""
            if length := re.search(rb"(?i)content-length: *(\d+)", head):
                while len(heard) < int(length[1]):
                    heard += connection.recv(65536)
                sent, heard = heard[: int(length[1])], heard[int(length[1]) :]
            headers, parts = answer(Asked(head.split(b" ", 2)[1].decode(), sent, host))
            if latency:
                time.sleep(max(0.0, due - time.monotonic()))
            size = sum(map(len, parts))
            start = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}Content-Length: {size}\r\n\r\n"
            try:
                connection.sendall(start.encode())
                for part in parts:
                    connection.sendall(part)
            except OSError:  # whoever asked has enough
                return


@contextmanager
def listening(provider: str, all_pages: Pages, latency: float = 0) -> Iterator[int]:
    """Serve pages in threads until the end of the block, and yield the port."""
    reply = WIRES[provider].answer
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            asked = (connection, lambda asked: reply(all_pages, asked), latency)
            threading.Thread(target=serve, args=asked, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield int(listener.getsockname()[1])
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts


def main() -> None:
    """Serve until standard input ends."""
    provider, call, count, size, latency, start, hours = sys.argv[1:]
    all_pages = pages(provider, int(count), int(size), datetime.fromisoformat(start), call, int(hours))
    if call == "notifications":
        for page in range(len(all_pages)):
            sys.stdout.buffer.write(all_pages.body(page).replace(b"},{", b"}\n{") + b"\n")
        return
    with listening(provider, all_pages, float(latency) / 1000) as port:
        print(port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
