"""Faults of connections and responses, as data: what each does, and what the user gets."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from tests.reliability.proxy import Reply, Spoil, Wire, passed_on
from tests.support.bench import NOW

MEBIBYTE = 1024 * 1024
BOUND_MIB = 2
"""The largest response that the profiles of these tests allow."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Args:
        name: The fault, as the table names it.
        spoil: Causes the fault.
        said: A part of every provider's message if the fault lasts.
        lasts: The exit code if the fault lasts; 0 if it does no harm.
        passes: Whether every record comes if the fault is temporary; otherwise the run ends without a retry.
        by: Exit codes of single providers that differ.
        said_by: A part of the message of single providers that differ.
        slow: Whether only a profile with a short timeout notices the fault soon.
    """

    name: str
    spoil: Spoil
    said: str = ""
    lasts: int = 5
    passes: bool = True
    by: Mapping[str, int] = field(default_factory=dict)
    said_by: Mapping[str, str] = field(default_factory=dict)
    slow: bool = False

    def code(self, provider: str) -> int:
        """Return the exit code for a provider if the fault lasts."""
        return self.by.get(provider, self.lasts)

    def words(self, provider: str) -> str:
        """Return a part of the message for a provider if the fault lasts."""
        return self.said_by.get(provider, self.said)


# Connections


def reset_at_once(wire: Wire, _reply: Reply) -> None:
    wire.reset()


def closed_at_once(_wire: Wire, _reply: Reply) -> None:
    return


def reset_in_head(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head()[:20])
    wire.reset()


def reset_in_body(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head() + reply.body[: len(reply.body) // 2])
    wire.reset()


def closed_in_body(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head() + reply.body[: len(reply.body) // 2])


def closed_after_keeping(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head().replace(b"Connection: close\r\n", b"") + reply.body)


def another_protocol(wire: Wire, _reply: Reply) -> None:
    wire.send(b"SSH-2.0-OpenSSH_9.6\r\n")


def head_without_end(wire: Wire, _reply: Reply) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\n")
    for n in range(100_000):
        wire.send(b"X-%d: %s\r\n" % (n, b"a" * 100))


# Lengths


def length_too_long(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head(length=len(reply.body) + 1000) + reply.body)


def length_too_short(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head(length=len(reply.body) - 20) + reply.body)


def length_of_nonsense(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head().replace(b"Content-Length: ", b"Content-Length: x") + reply.body)


def chunk_of_nonsense(wire: Wire, reply: Reply) -> None:
    head = reply.head().replace(b"Content-Length", b"X-Length").replace(b"\r\n\r\n", b"\r\n")
    wire.send(head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + reply.body)


def chunks_without_last(wire: Wire, reply: Reply) -> None:
    head = reply.head().replace(b"Content-Length", b"X-Length").replace(b"\r\n\r\n", b"\r\n")
    wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(reply.body), reply.body))


# Bodies


def body(change: Callable[[bytes], bytes], content_type: str | None = None) -> Spoil:
    """Return the fault that sends another complete body."""

    def spoil(wire: Wire, reply: Reply) -> None:
        passed_on(wire, reply.with_body(change(reply.body), content_type))

    return spoil


def document(value: Any) -> Spoil:
    """Return the fault that sends another document."""
    return body(lambda _: json.dumps(value).encode())


PAGE = b"<!DOCTYPE html><html><body><h1>Please sign in to the hotel's network</h1></body></html>"


def coded(coding: str, pack: Callable[[bytes], bytes]) -> Spoil:
    """Return the fault that declares a compression and sends what `pack` makes of the body."""

    def spoil(wire: Wire, reply: Reply) -> None:
        made = reply.with_body(pack(reply.body))
        wire.send(made.head(f"Content-Encoding: {coding}") + made.body)

    return spoil


def bomb(_body: bytes) -> bytes:
    """Return a thousandth of a body that is far too large."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    blank = b" " * MEBIBYTE
    return b"".join([*(packer.compress(blank) for _ in range(20 * BOUND_MIB)), packer.flush()])


def body_without_end(wire: Wire, reply: Reply) -> None:
    head = reply.head().replace(b"Content-Length", b"X-Length").replace(b"\r\n\r\n", b"\r\n")
    wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
    blank = b" " * 65536
    for _ in range(20 * BOUND_MIB * 16):
        wire.send(b"%x\r\n%b\r\n" % (len(blank), blank))


def length_without_bound(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head(length=10**15))
    blank = b" " * 65536
    for _ in range(20 * BOUND_MIB * 16):
        wire.send(blank)


# Stalls


def silence(wire: Wire, _reply: Reply) -> None:
    wire.stall()


def silence_in_body(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head() + reply.body[: len(reply.body) // 2])
    wire.stall()


def dripping_head(wire: Wire, _reply: Reply) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    wire.drip(b"a")


def dripping_body(wire: Wire, reply: Reply) -> None:
    wire.send(reply.head(length=10**6))
    wire.drip(b" ")


# Answers


def status(code: int, *headers: tuple[str, str], content: bytes = b"") -> Spoil:
    """Return the fault that responds with a status."""

    def spoil(wire: Wire, _reply: Reply) -> None:
        passed_on(wire, Reply(code, [("Content-Type", "text/plain"), *headers], content))

    return spoil


def redirected(to: Callable[[Wire, str], str]) -> Spoil:
    """Return the fault that redirects to the URL that a function makes of the request's target."""

    def spoil(wire: Wire, _reply: Reply) -> None:
        target = wire.asked.split(b" ", 2)[1].decode("latin-1")
        passed_on(wire, Reply(302, [("Location", to(wire, target))], b""))

    return spoil


def loop(wire: Wire, target: str) -> str:
    host = next(line for line in wire.asked.split(b"\r\n") if line.lower().startswith(b"host:"))
    return f"http://{host.partition(b':')[2].strip().decode()}{target}"


LATER = ("Retry-After", "20")
BODY_OF_ITSELF = "the API's error is in its body, which is read before the status"

FAULTS: tuple[Fault, ...] = (
    Fault("the connection is reset before the response", reset_at_once, "broke"),
    Fault("the connection is closed before the response", closed_at_once, "broke"),
    Fault("the connection is reset within the header", reset_in_head, "broke"),
    Fault("the connection is reset within the body", reset_in_body, "broke"),
    Fault("the connection is closed within the body", closed_in_body, "broke"),
    Fault("a keep-alive connection is closed after the response", closed_after_keeping, lasts=0),
    Fault("a server that does not speak HTTP", another_protocol, "broke"),
    Fault("an endless header", head_without_end, "broke"),
    Fault("Content-Length is larger than the body", length_too_long, "broke"),
    Fault("Content-Length is smaller than the body", length_too_short, "invalid JSON"),
    Fault("Content-Length is not a number", length_of_nonsense, "broke"),
    Fault("the size of a chunk is not a number", chunk_of_nonsense, "broke"),
    Fault("the last chunk is missing", chunks_without_last, "broke"),
    Fault("an empty body with 200", body(lambda _: b""), "an empty body"),
    Fault("half a JSON document", body(lambda text: text[: len(text) // 2]), "invalid JSON"),
    Fault("a JSON document followed by other text", body(lambda text: text + b" {}"), "invalid JSON"),
    Fault("a body that is not JSON", body(lambda _: b"OK"), "invalid JSON"),
    Fault(
        "an HTML page with 200",
        body(lambda _: PAGE, "text/html"),
        "invalid JSON",
        by={"voicenter": 7},
        said_by={"voicenter": "a web page"},
    ),
    Fault("a JSON object of another shape", document({"unexpected": True}), "", lasts=7, passes=False),
    Fault("a JSON list instead of an object", document([]), "", lasts=7, passes=False),
    Fault("null instead of an object", document(None), "answered with null"),
    Fault("invalid gzip", coded("gzip", lambda text: text), "compression is broken"),
    Fault("truncated gzip", coded("gzip", lambda text: gzip.compress(text)[:-6]), "compression is broken"),
    Fault(
        "gzip with a wrong checksum",
        coded("gzip", lambda text: gzip.compress(text)[:-8] + b"\0" * 8),
        "compression is broken",
    ),
    Fault("valid gzip", coded("gzip", gzip.compress), lasts=0),
    Fault(
        "a compression that was not requested", coded("br", lambda text: text), "not requested", lasts=7, passes=False
    ),
    Fault(
        "gzip within gzip",
        coded("gzip, gzip", lambda text: gzip.compress(gzip.compress(text))),
        "not requested",
        lasts=7,
        passes=False,
    ),
    Fault("a gzip bomb", coded("gzip", bomb), "largest_page_mb", lasts=7, passes=False),
    Fault("an endless body", body_without_end, "largest_page_mb", lasts=7, passes=False),
    Fault("a Content-Length of a petabyte", length_without_bound, "largest_page_mb", lasts=7, passes=False),
    Fault("no response for longer than `timeout`", silence, "stopped responding", slow=True),
    Fault("a body that stops for longer than `timeout`", silence_in_body, "stopped responding", slow=True),
    Fault(
        "a header that takes ten times `timeout`, a few bytes at a time", dripping_head, "not complete after", slow=True
    ),
    Fault(
        "a body that takes ten times `timeout`, a few bytes at a time", dripping_body, "not complete after", slow=True
    ),
    Fault("429 without `Retry-After`", status(429), "rate limit is exceeded"),
    Fault("429 with `Retry-After` in seconds", status(429, LATER), "rate limit is exceeded"),
    Fault(
        "429 with `Retry-After` as a date",
        status(429, ("Retry-After", format_datetime(NOW + timedelta(minutes=2), usegmt=True))),
        "rate limit is exceeded",
    ),
    Fault(
        "429 with a `Retry-After` of a day, longer than `max_wait`",
        status(429, ("Retry-After", "86400")),
        "run the command again after",
        passes=False,
    ),
    Fault("429 with an absurd `Retry-After`", status(429, ("Retry-After", "9" * 30)), "more than a year", passes=False),
    Fault("500", status(500), "HTTP 500"),
    Fault("502 with an HTML page", status(502, content=PAGE), "HTTP 502"),
    Fault("503 with `Retry-After`", status(503, LATER), "HTTP 503"),
    Fault("504", status(504), "HTTP 504"),
    Fault(
        "a redirect to another host",
        redirected(lambda _w, _t: "https://elsewhere.example/"),
        "elsewhere.example",
        lasts=6,
        passes=False,
    ),
    Fault(
        "a redirect to http", redirected(lambda _w, t: f"http://cdr.example{t}"), "cdr.example", lasts=6, passes=False
    ),
    Fault("a redirect to itself", redirected(loop), "redirects to", lasts=6, passes=False),
)
