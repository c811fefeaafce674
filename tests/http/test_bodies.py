"""Bodies of responses: compressed, odd, endless, incomplete and slow."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import signal
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from cdrctl.errors import ProviderError, TemporaryError
from cdrctl.http import Request, bodies, exchange
from cdrctl.http.bodies import MEBIBYTE
from tests.support.products import for_each
from tests.support.wires import answering, client, ok, serving, talking


def body_of(content: bytes, **headers: str) -> Any:
    transport, _ = answering(httpx.Response(200, content=content, headers=headers))
    return client(transport=transport).get("/x").body


@for_each("coding, pack", [("gzip", gzip.compress), (" GZip ", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies_are_decoded(coding: str, pack: Any) -> None:
    with serving(ok(pack(b'{"items":["x"]}'), f"Content-Encoding: {coding}")) as server:
        acme = client(server.url)
        assert acme.get("/x").body == {"items": ["x"]}
        acme.close()


@for_each(
    "content, value",
    [
        (b'"\\ud83d"', "\ud83d"),
        (b'{"a":"\\udc00x","b":1}', {"a": "\udc00x", "b": 1}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        ('{"a":"\u00e9"}'.encode("utf-16"), {"a": "\u00e9"}),
        (b'"a\\u0000b"', "a\0b"),
        (b"1" * 400, int("1" * 400)),
        (b"[Infinity,-Infinity,1e400]", [float("inf"), float("-inf"), float("inf")]),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"[" * 150 + b"]" * 150, json.loads("[" * 150 + "]" * 150)),
    ],
)
def test_unusual_json_is_decoded(content: bytes, value: Any) -> None:
    assert body_of(content) == value


def test_nan_is_decoded() -> None:
    nan = body_of(b'{"a":NaN}')["a"]
    assert nan != nan  # noqa: PLR0124


@pytest.mark.thin
@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 99_999,
        b'["\\ud800",' + b"[" * 300 + b"]" * 299,
        b'{"a":"\xff',
        b'{"a":"\xff"',
        b"\xff",
        b"\x00",
        "{}".encode("utf-16")[:3],
    ],
)
def test_an_unreadable_body_is_a_temporary_error(content: bytes) -> None:
    with pytest.raises(TemporaryError):
        body_of(content)


@given(st.binary(max_size=40))
def test_no_body_crashes_the_decoder(content: bytes) -> None:
    value, text = exchange.decode(bytearray(content))
    assert text.isprintable()
    assert value is None or text == ""


@pytest.mark.parametrize("times", [1, 2])
def test_an_endless_body_is_refused_at_once(times: int) -> None:
    bomb = b'"' + b"a" * MEBIBYTE * 3 + b'"'
    for _ in range(times):
        bomb = gzip.compress(bomb)
    with serving(ok(bomb, f"Content-Encoding: {', '.join(['gzip'] * times)}")) as server:
        acme = client(server.url, largest=MEBIBYTE)
        with pytest.raises(ProviderError, match="longer than 1 MiB" if times == 1 else "not requested"):
            acme.get("/x")
        acme.close()
    assert len(server.heard) == 1


@for_each("length", ["1000000000000", "9" * 400, "²", "-1", "+2", "2, 2"])
def test_a_false_content_length_takes_no_memory(length: str) -> None:
    said = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}".encode()
    with serving(ok(b"{}")) as server:  # modules loaded for the first request of a process do not count
        warm = client(server.url)
        warm.get("/x")
        warm.close()
    tracemalloc.start()
    try:
        with serving(said) as server, contextlib.suppress(TemporaryError):
            one = client(server.url)
            one.ask(Request("GET", f"{server.url}/x"), tries=1)
            one.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * MEBIBYTE  # 32 MiB are reserved for it; other threads may allocate, too


def test_a_body_of_exactly_the_largest_size_is_read() -> None:
    body = b'"' + b"a" * (MEBIBYTE - 2) + b'"'
    with serving(ok(body), ok(body + b" ")) as server:
        acme = client(server.url, largest=MEBIBYTE)
        assert len(acme.get("/x").body) == MEBIBYTE - 2
        with pytest.raises(ProviderError, match="longer than 1 MiB"):
            acme.get("/x")
        acme.close()


def test_an_endless_error_response_to_a_download_is_not_read_to_its_end() -> None:
    taken = 0

    def words() -> Iterator[bytes]:
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield b"no such report "

    acme = client(transport=httpx.MockTransport(lambda _: httpx.Response(404, content=words())))
    with pytest.raises(ProviderError):
        next(acme.download(Request("GET", "http://cdr.example/v1/report.csv")))
    assert taken < 10


@pytest.mark.slow
def test_a_bomb_is_noticed_before_it_takes_the_memory() -> None:
    """Bombs grow a thousandfold, so they must be decompressed in small pieces."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join(packer.compress(b" " * MEBIBYTE) for _ in range(64)) + packer.flush()
    with serving(ok(bomb, "Content-Encoding: gzip")) as server:
        acme = client(server.url, largest=MEBIBYTE)
        tracemalloc.start()
        try:
            with pytest.raises(ProviderError, match="longer than 1 MiB"):
                acme.get("/x")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        acme.close()
    assert peak < 8 * MEBIBYTE


@for_each(
    "content",
    [
        b'{"items":[]}',
        gzip.compress(b'{"items":[]}')[:-8],
        gzip.compress(b'{"items":[]}')[:-1],
        gzip.compress(b'{"items":[]}')[:12],
        gzip.compress(b'{"items":[]}') + b"rest",
        gzip.compress(b'{"items":[]}')[:-8] + b"\0" * 8,
    ],
    ids=["not-packed", "no-checksum", "no-last-byte", "the-half", "with-a-rest", "another-checksum"],
)
def test_an_incomplete_compressed_body_is_refused(content: bytes) -> None:
    with pytest.raises(TemporaryError, match="compression is broken"):
        body_of_stream(content)


def body_of_stream(content: bytes) -> Any:
    with serving(ok(content, "Content-Encoding: gzip")) as server:
        acme = client(server.url)
        try:
            return acme.get("/x").body
        finally:
            acme.close()


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4), st.integers(1, 30))
def test_several_gzip_members_are_one_body(members: list[bytes], size: int) -> None:
    packed = b"".join(map(gzip.compress, members))
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(bodies._inflated(pieces)) == b"".join(members)


def test_data_that_decompresses_at_the_end_of_a_chunk_is_complete() -> None:
    body = b"a" * (3 * bodies.AT_ONCE) + bytes(range(256)) * 9
    for length in (bodies.AT_ONCE, bodies.AT_ONCE + 1, len(body)):
        assert b"".join(bodies._inflated([gzip.compress(body[:length])])) == body[:length]


@pytest.mark.slow
@pytest.mark.parametrize("head", [True, False])
def test_a_response_that_comes_too_slowly_is_abandoned(head: bool) -> None:  # noqa: FBT001
    """A byte now and then resets the timeout of the network, in the headers and in the body."""
    drops = 0

    def drip(connection: socket.socket) -> None:
        nonlocal drops
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + (b"" if head else b"Content-Length: 1000\r\n\r\n"))
        for _ in range(1000):
            connection.sendall(b"a")
            drops += 1
            if ended.wait(0.01):
                return

    ended = threading.Event()
    with talking(drip) as url:
        acme = client(url, timeout=0.15)
        with pytest.raises(TemporaryError, match=r"not complete after 1\.5 s"):
            acme.ask(Request("GET", f"{url}/x"), tries=1)
        ended.set()
        acme.close()
    assert drops > 3


@pytest.mark.slow
def test_an_abandoned_response_is_read_no_further() -> None:
    left = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        try:
            while not left.wait(0.01):
                connection.sendall(b"a")
        except OSError:  # the client has closed the connection
            left.set()

    with talking(drip) as url:
        acme = client(url, timeout=0.1)
        with pytest.raises(TemporaryError, match="not complete"):
            acme.ask(Request("GET", f"{url}/x"), tries=1)
        assert left.wait(5)
        acme.close()


def test_the_program_does_not_wait_for_an_abandoned_exchange_when_it_ends() -> None:
    """An abandoned exchange may still hang in the system's resolver."""
    waited_for: list[bool] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        waited_for.append(not threading.current_thread().daemon)
        return httpx.Response(200, content=b"{}")

    client(transport=httpx.MockTransport(answer)).get("/x")
    assert waited_for == [False]


def test_an_interrupt_does_not_wait_for_a_name_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver cannot be interrupted; the thread that waits for it can."""
    ended = threading.Event()
    main = threading.main_thread().ident
    assert main == threading.get_ident()

    def looked_up(*_: object, **__: object) -> list[Any]:
        signal.pthread_kill(main, signal.SIGINT)
        ended.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    acme = client("http://localhost:9/v1")
    try:
        with pytest.raises(KeyboardInterrupt):
            acme.get("/x")
    finally:
        signal.signal(signal.SIGINT, before)
    assert not ended.is_set()
    ended.set()
    acme.close()


@pytest.mark.slow
def test_a_body_is_freed_with_its_response() -> None:
    page = json.dumps({"items": ["x" * 2_000_000]}).encode()
    with serving(ok(page)) as server:
        acme = client(server.url)
        gc.disable()
        tracemalloc.start()
        try:
            acme.get("/x")
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(50):
                assert acme.get("/x").good
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
            gc.enable()
        acme.close()
    assert grown < 2_000_000
