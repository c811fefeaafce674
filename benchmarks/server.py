"""A loopback server of prepared pages, so that the client is measured and not the server.

`python -m benchmarks.server webex|portsip RECORDS PAGE_SIZE LATENCY_MS DAY` prints its port, and ends when its standard
input does. The records are those of the sandbox's made-up telephone exchange, the same for every day. A page is bytes
with two marks in each record, which become the page's number and the tenth of a second at which its calls began.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs

from benchmarks import checks
from cdrctl import sandbox

MADE_UP = date(2026, 11, 19)
"""The day whose records are sent under the requested date, so that every run measures the same bytes."""

HOURS = 12
"""The calls began in the first hours of the day: one window of Webex's."""

TENTHS = HOURS * 36_000
DIFFERENT = 5_000
"""Records that differ in more than id and start; a larger page has them several times."""

NUMBER, TENTH = "@@PAGE@@", "@@:@@:@@.@"
CACHED = 400_000_000
"""Pages of up to this many bytes are prepared; larger sets are made page by page on request."""

KEYS = {"webex": ("Report ID", "Start time"), "portsip": ("id", "started_at")}
DIGITS = {"webex": 2, "portsip": 5}
"""Of the start's second, those after the tenth: Webex has milliseconds and PortSIP microseconds."""

TOKEN = b'{"access_token": "t", "expires_in": 86400, "token_type": "Bearer", "role_name": "Admin"}'


def records(provider: str, count: int, day: date) -> list[dict[str, object]]:
    """Return wire records of a made-up telephone exchange, with marks where they must differ from page to page."""
    found: list[dict[str, object]] = []
    at = datetime(MADE_UP.year, MADE_UP.month, MADE_UP.day, tzinfo=UTC) + timedelta(days=1)
    with sandbox.start(now=lambda: at, providers=[provider]) as running:
        until = at
        while len(found) < min(count, DIFFERENT) and at - until < timedelta(days=25):
            found += running.truth(provider, "cdrs", until - timedelta(days=1), until)
            until -= timedelta(days=1)
    later = day - MADE_UP
    found = json.loads(
        re.sub(
            r'(?<=")\d{4}-\d\d-\d\d(?=T\d\d:)',
            lambda match: (date.fromisoformat(match[0]) + later).isoformat(),
            json.dumps(found),
        )
    )
    key, start = KEYS[provider]
    places = DIGITS[provider]
    return [
        {
            **found[place % len(found)],
            key: checks.identity(provider, NUMBER, place),
            start: f"{day}T{TENTH}{place * 10**places // count:0{places}d}Z",
        }
        for place in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Pages:
    """All pages of one provider: their bodies, when their calls began, and how many records the last one has."""

    provider: str
    count: int
    size: int
    day: date
    body: Callable[[int], bytes]
    began: list[int]

    def __len__(self) -> int:
        return len(self.began)

    def within(self, since: str | None, until: str | None) -> tuple[int, int]:
        """Return the first page of a window and the one after its last; a page is of one tenth of a second."""
        return bisect_left(self.began, self._tenth(since, 0)), bisect_left(self.began, self._tenth(until, TENTHS))

    def records(self, first: int, last: int) -> int:
        """Return how many records are on these pages."""
        return max(0, min(last * self.size, self.count) - first * self.size)

    def _tenth(self, text: str | None, default: int) -> int:
        if text is None:
            return default
        midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        return -((midnight - datetime.fromisoformat(text)) // timedelta(milliseconds=100))


def pages(provider: str, count: int, size: int, day: date) -> Pages:
    """Prepare the pages or, if they are too large, the records to make them from."""
    number = -(-count // size)
    began = [TENTHS * page // number for page in range(number)]
    items = records(provider, min(size, count), day)

    def template(those: list[dict[str, object]]) -> bytes:
        head = b'{"items": ' if provider == "webex" else b'{"count": @@COUNT@@, "items": '
        return head + json.dumps(those, ensure_ascii=False).encode() + b"}"

    full, rest = template(items), template(items[: count - (number - 1) * size])

    def body(page: int) -> bytes:
        tenth = began[page]
        second = (datetime.min + timedelta(seconds=tenth // 10)).time().isoformat()  # noqa: DTZ901 - no zone: of a day
        whole = (rest if page + 1 == number else full).replace(NUMBER.encode(), b"%08d" % page)
        return whole.replace(TENTH.encode(), f"{second}.{tenth % 10}".encode())

    made = list(map(body, range(number))).__getitem__ if number * len(full) <= CACHED else body
    return Pages(provider, count, size, day, made, began)


Reply = tuple[str, bytes]
"""Further headers and the body of an answer."""


def webex(all_pages: Pages, target: str, host: str) -> Reply:
    """Answer as `cdr_feed` does: pages of one window, each with a link to the next."""
    asked = parse_qs(target.partition("?")[2])
    first, last = all_pages.within(asked["startTime"][0], asked["endTime"][0])
    page = first + int(asked.get("page", ["0"])[0])
    if page >= last:
        return "", b'{"items": []}'
    if page + 1 == last:
        return "", all_pages.body(page)
    path = re.sub(r"&page=\d+", "", target)
    return f'Link: <http://{host}{path}&page={page + 1 - first}>; rel="next"\r\n', all_pages.body(page)


def portsip(all_pages: Pages, target: str, _host: str) -> Reply:
    """Answer as `GET /cdrs` does: pages by `skip`, each with the number of all records of the filter."""
    if "/auth/" in target:
        return "", TOKEN
    asked = parse_qs(target.partition("?")[2])
    words = asked.get("filter", [""])[0]
    since, until = (re.search(rf"started_at {word} '([^']+)'", words) for word in ("ge", "lt"))
    first, last = all_pages.within(since and since[1], until and until[1])
    skip, size = int(asked["skip"][0]), all_pages.size
    page = first + skip // size
    count = b"%d" % all_pages.records(first, last)
    body = all_pages.body(page) if page < last else b'{"count": @@COUNT@@, "items": []}'
    top = int(asked.get("top", ["100"])[0])
    if top < size or skip % size:
        body = (
            b'{"count": @@COUNT@@, "items": %s}'
            % json.dumps(json.loads(body.replace(b"@@COUNT@@", b"0"))["items"][skip % size :][:top]).encode()
        )
    return "", body.replace(b"@@COUNT@@", count, 1)


def serve(connection: socket.socket, answer: Callable[[str, str], Reply], latency: float) -> None:
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
            if length := re.search(rb"(?i)content-length: *(\d+)", head):
                while len(heard) < int(length[1]):
                    heard += connection.recv(65536)
                heard = heard[int(length[1]) :]
            headers, body = answer(head.split(b" ", 2)[1].decode(), host)
            if latency:
                time.sleep(max(0.0, due - time.monotonic()))
            start = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
            try:
                connection.sendall(start.encode())
                connection.sendall(body)
            except OSError:  # whoever asked has enough
                return


def main() -> None:
    """Serve until standard input ends."""
    provider, count, size, latency, day = sys.argv[1:]
    all_pages = pages(provider, int(count), int(size), date.fromisoformat(day))
    reply = webex if provider == "webex" else portsip
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            asked = (connection, lambda target, host: reply(all_pages, target, host), float(latency) / 1000)
            threading.Thread(target=serve, args=asked, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
