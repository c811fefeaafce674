"""Requests as bytes, and the threads and connections that carry them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cdrctl.errors import ConfigurationError
from cdrctl.http import Request, connections, exchange, failures
from cdrctl.http.bodies import MEBIBYTE, body_buffer
from cdrctl.http.workers import idle_worker, idle_workers, release_buffers
from tests.support.products import for_each
from tests.support.wires import client, ok, serving, talking


@for_each(
    "target",
    [
        "/v1/cdr_feed?endTime=2026-11-18T12:00:00.000Z&startTimeForNextFetch=2026-11-18T09:30:00.000Z&orgId=a,b==",
        "/v1/x?a=%2c%2C%3a&b=%zz&c=100%",
        "/v1/x?q='\"<>|^`{}\\&r=[]",
        "/v1/a/../b/./c//d;e?",
        "/v1/x?/?:@!$&'()*+,;=-._~",
    ],
)
def test_a_providers_url_is_sent_byte_for_byte(target: str) -> None:
    with serving() as server:
        acme = client(server.url)
        acme.get(server.url.removesuffix("/v1") + target + "#fragment")
        acme.close()
    assert server.lines == [f"GET {target} HTTP/1.1"]


def test_characters_that_a_request_line_forbids_are_encoded() -> None:
    with serving() as server:
        acme = client(server.url)
        acme.get("/caf\u00e9?x=\u00fc")
        acme.close()
    assert server.lines == ["GET /v1/caf%C3%A9?x=%C3%BC HTTP/1.1"]


def test_parameters_are_sent_in_order_and_repeated() -> None:
    with serving() as server:
        acme = client(server.url)
        acme.get("/x", [("b", "1"), ("a", "2 &"), ("b", "3")])
        acme.get("/x?y=:", [("a", "1:2")])
        acme.close()
    assert server.lines == ["GET /v1/x?b=1&a=2+%26&b=3 HTTP/1.1", "GET /v1/x?y=:&a=1%3A2 HTTP/1.1"]


def test_cookies_are_not_kept() -> None:
    with serving(ok(b"{}", "Set-Cookie: session=hush; Path=/")) as server:
        acme = client(server.url)
        acme.get("/x")
        acme.get("/x")
        acme.close()
    assert b"hush" not in server.heard[1]


@pytest.mark.parametrize("value", ["two\nlines", "caf\u00e9"])
def test_a_credential_that_a_header_cannot_hold_is_an_error_without_the_credential(value: str) -> None:
    with serving() as server:
        acme = client(server.url)
        with pytest.raises(ConfigurationError) as caught:
            acme.ask(Request("GET", f"{server.url}/x", headers={"X-Key": value}))
        acme.close()
    assert value not in str(caught.value)
    assert (acme.requests, server.heard) == (1, [])


def test_the_usual_certificates_are_read_once_for_all_clients() -> None:
    """They take 1.6 MB and a tenth of a second, and some users have a thousand profiles."""
    clients = [connections.Connections(base_url="https://cdr.example", timeout=1, ca_file=None) for _ in range(3)]
    before = connections._usual_authorities.cache_info().misses
    clients.append(connections.Connections(base_url="https://cdr.example", timeout=1, ca_file=None))
    assert connections._usual_authorities.cache_info().misses == before
    for one in clients:
        one.close()


@pytest.mark.process
def test_the_command_line_of_httpx_is_not_loaded(tmp_path: Path) -> None:
    """If click is installed, httpx would load it, with rich and pygments."""
    (tmp_path / "click.py").write_text("raise RuntimeError('it is loaded')")
    code = "import sys; from cdrctl.http import transport; transport.load_httpx(); print('httpx._main' in sys.modules)"
    search = os.pathsep.join([str(tmp_path), str(Path(exchange.__file__).parents[2])])
    environ = {**os.environ, "PYTHONPATH": search}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_without_encryption_no_certificates_are_read() -> None:
    """Reading them takes as long as the rest of a small export."""
    context = connections.verified(None, encrypted=False)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509"] == 0


def test_consecutive_exchanges_share_a_thread_and_a_connection() -> None:
    threads: set[int] = set()
    with serving_on(lambda: threads.add(len(exchanging()))) as (url, connections):
        one = client(url)
        for _ in range(5):
            assert one.get("/x").good
        one.close()
    assert len(connections) == 1
    assert len(threads) == 1


def test_concurrent_exchanges_have_separate_threads() -> None:
    both = threading.Barrier(2)
    with serving_on(lambda: both.wait(timeout=10)) as (url, connections):
        one = client(url)
        with ThreadPoolExecutor(2) as threads:
            assert [answer.good for answer in threads.map(one.get, ["/x", "/y"])] == [True, True]
        one.close()
    assert len(connections) == 2


def test_a_late_response_is_not_taken_for_the_next_one() -> None:
    late = threading.Event()
    with serving_on(lambda: late.wait(timeout=10), once=True) as (url, _):
        wired = connections.Connections(base_url=url, timeout=0.02, ca_file=None)
        wired.seconds["read"] = 10.0  # our own limit must end it, not that of the network
        with pytest.raises(failures.BrokenExchangeError, match="not complete"):
            exchange.exchange(wired, Request("GET", f"{url}/late"), 1000)
        late.set()
        wired.timeout = 1.0
        assert exchange.exchange(wired, Request("GET", f"{url}/next"), 1000).body == {"at": "/v1/next"}
        wired.close()


def exchanging() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cdrctl-exchange"]


@contextlib.contextmanager
def serving_on(before: Callable[[], object], *, once: bool = False) -> Iterator[tuple[str, list[socket.socket]]]:
    """Run a server that keeps connections open and responds with the request target, after a call of a function."""
    connections: list[socket.socket] = []
    waits = [before] if once else None

    def talk(connection: socket.socket) -> None:
        connections.append(connection)
        heard = b""
        while True:
            while b"\r\n\r\n" not in heard:
                piece = connection.recv(65536)
                if not piece:
                    return
                heard += piece
            head, heard = heard.split(b"\r\n\r\n", 1)
            if waits is None:
                before()
            elif waits:
                waits.pop()()
            connection.sendall(ok(b'{"at":"%s"}' % head.split(b" ")[1]))

    with talking(talk) as url:
        yield url, connections


def test_response_headers_may_be_repeated_and_not_ascii() -> None:
    said = ok(b"{}", "X-One: a", "x-one: b", "X-Two: \xe9").decode("utf-8").encode("latin-1")
    with serving(said, ok(b"{}", "X-Two: é")) as server:
        one = client(server.url)
        first, second = one.get("/x").headers, one.get("/x").headers
        one.close()
    assert (first["x-one"], first["x-two"], second["x-two"]) == ("a, b", "é", "é")


def test_a_header_of_a_request_replaces_the_default_one() -> None:
    with serving(ok()) as server:
        one = client(server.url)
        one.ask(Request("GET", f"{server.url}/x", headers={"accept": "text/csv"}))
        one.close()
    assert [line for line in server.heard[0].lower().split(b"\r\n") if line.startswith(b"accept:")] == [
        b"accept: text/csv"
    ]


def test_a_url_that_is_too_long_is_not_sent() -> None:
    with serving(ok()) as server:
        one = client(server.url)
        with pytest.raises(ConfigurationError, match="cannot be sent"):
            one.get("/" + "x" * 70_000)
        one.close()
    assert server.heard == []


def test_certificates_that_the_environment_names_later_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connections.Connections(base_url="https://cdr.example", timeout=1, ca_file=None).close()
    (tmp_path / "ca.pem").write_bytes(b"not PEM")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigurationError, match="the certificates that the environment names cannot be used"):
        connections.Connections(base_url="https://cdr.example", timeout=1, ca_file=None)


def test_a_buffer_is_reused_unless_a_view_of_it_is_in_use() -> None:
    kept: list[bytearray] = []
    first = body_buffer(2 * MEBIBYTE, kept)
    assert body_buffer(2 * MEBIBYTE, kept) is first
    assert body_buffer(MEBIBYTE + 7, kept) is first
    assert len(first) == MEBIBYTE + 7
    assert body_buffer(3 * MEBIBYTE, kept) is first
    assert len(first) == 3 * MEBIBYTE
    assert body_buffer(100, kept) is not first
    view = memoryview(first)[5:10]
    second = body_buffer(3 * MEBIBYTE, kept)
    assert second is not first
    other = memoryview(second)
    third = body_buffer(3 * MEBIBYTE, kept)
    assert third is not first
    assert third is not second
    assert kept == [second, third]
    view.release()
    other.release()
    assert body_buffer(2 * MEBIBYTE, kept) is second


def test_a_body_in_use_is_not_overwritten() -> None:
    said = [json.dumps(letter * 2 * MEBIBYTE).encode() for letter in "abcd"]
    with serving(*map(ok, said)) as server:
        one = client(server.url).with_decoder(lambda body, _: memoryview(body))
        views = [one.get("/x", records=("items",)).body for _ in said[:3]]
        assert [bytes(view) for view in views] == said[:3]
        views[1].release()
        views[1] = one.get("/x", records=("items",)).body
        assert [bytes(view) for view in views] == [said[0], said[3], said[2]]
        one.close()


def test_buffers_of_idle_workers_are_freed_and_made_again() -> None:
    """The workers stay; one that is taken keeps its buffers."""
    idle, taken = idle_worker(), idle_worker()
    idle.bodies.append(bytearray(MEBIBYTE))
    taken.bodies.append(bytearray(MEBIBYTE))
    idle_workers.append(idle)
    release_buffers()
    assert idle in idle_workers
    assert (idle.bodies, len(taken.bodies)) == ([], 1)
    assert len(body_buffer(MEBIBYTE, idle.bodies)) == MEBIBYTE
    taken.work.put(None)
