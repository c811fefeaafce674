"""Every fault of a network or a provider that we know of, as data: what it does, and what the user gets."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from tests.reliability.proxy import Reply, Spoil, Wire, passed_on
from tests.support.bench import NOW

MEBIBYTE = 1024 * 1024
BOUND_MIB = 2
"""The largest answer that profiles of these tests allow."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Args:
        name: What happens, in the words of the table.
        spoil: Does it.
        said: What is said about it when it lasts, in part, by every provider.
        lasts: The exit code when it lasts; 0 where it does no harm.
        passes: Whether everything comes when it passes; an answer that is wrong for good ends the run at once.
        by: Exit codes of single providers, where they differ.
        said_by: What single providers say, where that differs.
        slow: Whether it takes a profile with a short timeout to notice it.
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
        """Return the exit code of a provider when the fault lasts."""
        return self.by.get(provider, self.lasts)

    def words(self, provider: str) -> str:
        """Return what is said of a provider when the fault lasts."""
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
    """Return the fault that sends another body, whole."""

    def spoil(wire: Wire, reply: Reply) -> None:
        passed_on(wire, reply.with_body(change(reply.body), content_type))

    return spoil


def document(value: Any) -> Spoil:
    """Return the fault that sends another document."""
    return body(lambda _: json.dumps(value).encode())


PAGE = b"<!DOCTYPE html><html><body><h1>Please sign in to the hotel's network</h1></body></html>"


def coded(coding: str, pack: Callable[[bytes], bytes]) -> Spoil:
    """Return the fault that says a body is compressed, and sends what `pack` makes of it."""

    def spoil(wire: Wire, reply: Reply) -> None:
        made = reply.with_body(pack(reply.body))
        wire.send(made.head(f"Content-Encoding: {coding}") + made.body)

    return spoil


def bomb(_body: bytes) -> bytes:
    """Return a thousandth of a body that is far too long."""
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
    """Return the fault that answers with a status."""

    def spoil(wire: Wire, _reply: Reply) -> None:
        passed_on(wire, Reply(code, [("Content-Type", "text/plain"), *headers], content))

    return spoil


def redirected(to: Callable[[Wire, str], str]) -> Spoil:
    """Return the fault that redirects to what a function makes of the request's target."""

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
        "run it again after",
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


# Pages


@dataclass(frozen=True, slots=True)
class PageFault:
    """A provider that pages wrongly, from its second page of records on.

    Args:
        name: What happens.
        change: From a page as it came and the pages before it to the page that is sent.
        times: How many pages are hit.
        codes: The exit code of each provider; a provider that has no such thing is left out. 0 where everything comes
            all the same.
        unseen: The providers whose API has nothing that this could be noticed by.
        warned: The providers of which it is only said in a warning: what it is noticed by is not always true.
        empty_too: Whether pages without records are hit as well.
    """

    name: str
    change: Callable[[Document, Sequence[Document]], Document]
    codes: Mapping[str, int]
    times: int = 1
    unseen: frozenset[str] = frozenset()
    warned: frozenset[str] = frozenset()
    empty_too: bool = False

    @property
    def about(self) -> AbstractSet[str]:
        """The providers that have such a thing."""
        return {*self.codes, *self.unseen, *self.warned}


@dataclass(frozen=True, slots=True)
class Document:
    """A page: its document, its headers, and how to reach the records in it."""

    value: dict[str, Any]
    headers: Sequence[tuple[str, str]]
    within: tuple[str, ...]

    @property
    def container(self) -> str | None:
        """The name of the list of records."""
        holder = self.holder
        return next((name for name, one in holder.items() if isinstance(one, list) and one), None)

    @property
    def holder(self) -> dict[str, Any]:
        """The object that has the list of records."""
        holder = self.value
        for name in self.within:
            holder = holder.get(name, {})
        return holder

    def having(self, **changes: Any) -> Document:
        """Return it with changes to the object that has the records."""
        return replace(self, value=_inside(self.value, self.within, changes))


def _inside(value: dict[str, Any], within: Sequence[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    if not within:
        return {**value, **changes}
    return {**value, within[0]: _inside(value[within[0]], within[1:], changes)}


def records(page: Document) -> list[Any]:
    """Return the records of a page."""
    found: list[Any] = page.holder[page.container or ""]
    return found


def page_before(page: Document, before: Sequence[Document]) -> Document:
    """Send the page before again, in the envelope of this request."""
    last = before[-1]
    kept = {name: page.value[name] for name in ("id",) if name in page.value}
    return replace(last, value={**last.value, **kept})


def without_records(page: Document, _before: Sequence[Document]) -> Document:
    return page.having(**{page.container or "": []})


def one_lost(page: Document, before: Sequence[Document]) -> Document:
    """Send the last record of the page before again, and not this page's own last one."""
    return page.having(**{page.container or "": [records(before[-1])[-1], *records(page)[:-1]]})


def cursor_again(page: Document, before: Sequence[Document]) -> Document:
    """Send this page's records with the way to the next page that the page before named."""
    names = {"next_start_key"}
    link = [(name, value) for name, value in before[-1].headers if name.lower() == "link"]
    headers = [(name, value) for name, value in page.headers if name.lower() != "link"] + link
    changes = {name: before[-1].value[name] for name in names if name in before[-1].value}
    return replace(page.having(**changes), headers=headers)


def more_in_total(page: Document, _before: Sequence[Document]) -> Document:
    if "metadata" in page.holder:
        inner = page.holder["metadata"]
        return page.having(metadata={**inner, "total_items": inner["total_items"] + 3})
    return page.having(count=page.holder["count"] + 3)


def link_elsewhere(page: Document, _before: Sequence[Document]) -> Document:
    led = [
        (n, re.sub(r"http://[^/]+", "https://elsewhere.example", v) if n.lower() == "link" else v)
        for n, v in page.headers
    ]
    return replace(page, headers=led)


def codes(**given: int) -> Mapping[str, int]:
    """Return exit codes by provider."""
    return given


PAGE_FAULTS: tuple[PageFault, ...] = (
    PageFault(
        "a page comes again in place of the next one",
        page_before,
        codes(webex=7, kazoo=0, callgear=0, portsip=0),
        unseen=frozenset({"voicenter"}),
    ),
    PageFault(
        "the same page comes again and again",
        page_before,
        codes(webex=7, kazoo=7, callgear=3, portsip=3),
        times=1_000_000,
        warned=frozenset({"voicenter"}),
    ),
    PageFault(
        "a page without its records",
        without_records,
        codes(webex=0, callgear=0, portsip=0),
        warned=frozenset({"kazoo", "voicenter"}),
    ),
    PageFault(
        "a shifted page: one record comes twice, another not at all",
        one_lost,
        codes(webex=0, callgear=0, portsip=0),
        unseen=frozenset({"kazoo", "voicenter"}),
    ),
    PageFault("a link or key to a next page that was used before", cursor_again, codes(webex=7, kazoo=0)),
    PageFault(
        "a total that is higher than the number of records",
        more_in_total,
        codes(callgear=3, portsip=3),
        times=1_000_000,
        empty_too=True,
    ),
    PageFault("a link to another host", link_elsewhere, codes(webex=7)),
)

# The way there, which each test lays out by itself


@dataclass(frozen=True, slots=True)
class WayFault:
    """A fault on the way to the provider, or of this machine.

    Args:
        name: What happens.
        test: The test that shows it, in `tests/reliability/test_ways.py`.
        code: The exit code.
        outcome: What the user gets.
    """

    name: str
    test: str
    code: int
    outcome: str


WAY_FAULTS: tuple[WayFault, ...] = (
    WayFault("nothing listens at the address", "test_nobody_listens", 5, "no connection to HOST: Connection refused"),
    WayFault(
        "no response to a connection attempt",
        "test_nobody_takes_the_call",
        5,
        "no connection to HOST: timed out",
    ),
    WayFault("the host name does not exist", "test_a_name_that_is_not_found", 5, "no connection to HOST: …"),
    WayFault(
        "the name server does not respond",
        "test_a_name_server_that_does_not_answer",
        5,
        "not complete after ten times `timeout`; Ctrl-C is heard at once",
    ),
    WayFault(
        "a certificate for another name",
        "test_certificates",
        6,
        "the certificate of HOST cannot be verified: …; `ca_file` is named",
    ),
    WayFault("a certificate that has expired", "test_certificates", 6, "the same"),
    WayFault("a self-signed certificate", "test_certificates", 6, "the same"),
    WayFault("a certificate of an internal authority, with `ca_file`", "test_certificates", 0, "everything comes"),
    WayFault(
        "https to a server that speaks http",
        "test_https_to_a_server_of_http",
        5,
        "the connection to HOST broke, or none was made",
    ),
    WayFault("http to a server that speaks https", "test_http_to_a_server_of_https", 5, "the connection to HOST broke"),
    WayFault(
        "a clock that is hours ahead or behind",
        "test_a_wrong_clock_is_said",
        0,
        "a warning with the difference, found out from `Date`; where Webex refuses a window in its future, 7 after it",
    ),
    WayFault("a proxy that is down", "test_a_proxy_that_is_down", 6, "the proxy HOST:PORT … does not connect"),
    WayFault(
        "a proxy that requires a password",
        "test_a_proxy_that_wants_a_password",
        6,
        "the proxy HOST:PORT requires a user name and a password (HTTP 407)",
    ),
    WayFault(
        "a clock that is hours ahead, and a window that ends after the provider's present",
        "test_a_window_after_the_providers_present_is_incomplete",
        3,
        "incomplete: by the clock of PROVIDER it is …; Webex refuses it (7)",
    ),
)

_MENDED = "test_a_name_that_is_no_unicode_is_mended_with_one_warning"
_LOST = "test_a_value_that_cannot_be_held_costs_its_record_and_says_where"
RECORD_FAULTS: tuple[WayFault, ...] = (
    WayFault("bytes in a record that are not UTF-8", _MENDED, 0, "U+FFFD, and a warning with the record's id"),
    WayFault("a character in a record that is cut in two", _MENDED, 0, "the same"),
    WayFault("half of a surrogate pair in a record", _MENDED, 0, "the same; untouched in `raw`"),
    WayFault("an integer of 5000 digits in a record", _LOST, 3, "incomplete: record ID cannot be read: …"),
    WayFault("a record nested deeper than 200 levels", _LOST, 3, "the same"),
    WayFault("503 for ten minutes", "test_a_maintenance_is_waited_for", 0, "everything comes once it is over"),
)
"""What is wrong with single records, or for a while; the tests are in `tests/contract/test_damaged_records.py`."""
