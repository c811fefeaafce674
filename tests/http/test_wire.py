"""Bytes out and bytes in, on real sockets where that is what counts."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from cdrctl.errors import ConfigurationError, ProviderError, TemporaryError
from cdrctl.http import Request, bodies, connections, exchange, failures, proxies, same_origin
from cdrctl.http.bodies import MEBIBYTE, body_buffer
from cdrctl.http.transport import origin_of
from cdrctl.http.urls import host_of
from tests.support.certificates import Certificate
from tests.support.wires import answering, client, ok, serving, talking

AUTHORITY, ANOTHER = Certificate("Acme authority"), Certificate("Another authority")
HERE = Certificate("127.0.0.1", AUTHORITY)
ELSEWHERE = Certificate("cdr.example", AUTHORITY)
ALONE = Certificate("127.0.0.1")


def body_of(content: bytes, **headers: str) -> Any:
    transport, _ = answering(httpx.Response(200, content=content, headers=headers))
    return client(transport=transport).get("/x").body


# Out


@pytest.mark.parametrize(
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


def test_what_no_request_line_may_hold_is_encoded() -> None:
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
def test_a_credential_that_no_header_can_hold_is_said_without_showing_it(value: str) -> None:
    with serving() as server:
        acme = client(server.url)
        with pytest.raises(ConfigurationError) as caught:
            acme.ask(Request("GET", f"{server.url}/x", headers={"X-Key": value}))
        acme.close()
    assert value not in str(caught.value)
    assert (acme.requests, server.heard) == (1, [])


# In


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), (" GZip ", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_bodies_are_read(coding: str, pack: Any) -> None:
    with serving(ok(pack(b'{"items":["x"]}'), f"Content-Encoding: {coding}")) as server:
        acme = client(server.url)
        assert acme.get("/x").body == {"items": ["x"]}
        acme.close()


@pytest.mark.parametrize(
    ("content", "value"),
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
def test_odd_json_is_read(content: bytes, value: Any) -> None:
    assert body_of(content) == value


def test_nan_is_read() -> None:
    nan = body_of(b'{"a":NaN}')["a"]
    assert nan != nan  # noqa: PLR0124


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


@pytest.mark.parametrize("length", ["1000000000000", "9" * 400, "²", "-1", "+2", "2, 2"])
def test_a_false_content_length_takes_no_memory(length: str) -> None:
    said = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}".encode()
    with serving(ok(b"{}")) as server:  # what is loaded for the first request of a process is not counted
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
    assert peak < 100 * MEBIBYTE  # what is believed of a length is 32, and other threads of earlier tests may allocate


def test_a_body_of_just_the_largest_size_is_read() -> None:
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


def test_a_bomb_is_noticed_before_it_takes_the_memory() -> None:
    """A thousandth of what a body becomes is all that a bomb has to send: it must be let out a piece at a time."""
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


@pytest.mark.parametrize(
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
def test_members_that_follow_each_other_are_one_body(members: list[bytes], size: int) -> None:
    packed = b"".join(map(gzip.compress, members))
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(bodies._inflated(pieces)) == b"".join(members)


def test_what_decompresses_at_the_border_of_a_piece_is_whole() -> None:
    body = b"a" * (3 * bodies.AT_ONCE) + bytes(range(256)) * 9
    for length in (bodies.AT_ONCE, bodies.AT_ONCE + 1, len(body)):
        assert b"".join(bodies._inflated([gzip.compress(body[:length])])) == body[:length]


@pytest.mark.parametrize("head", [True, False])
def test_a_dripping_answer_is_given_up_on(head: bool) -> None:  # noqa: FBT001
    """What drips never lets the network's own timeout pass, in the head as in the body."""
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


def test_what_was_given_up_on_is_read_no_further() -> None:
    left = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        try:
            while not left.wait(0.01):
                connection.sendall(b"a")
        except OSError:  # nobody is there any more
            left.set()

    with talking(drip) as url:
        acme = client(url, timeout=0.1)
        with pytest.raises(TemporaryError, match="not complete"):
            acme.ask(Request("GET", f"{url}/x"), tries=1)
        assert left.wait(5)
        acme.close()


def test_the_program_does_not_wait_for_an_abandoned_exchange_when_it_ends() -> None:
    """One that was given up on may still hang in the system's resolver."""
    waited_for: list[bool] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        waited_for.append(not threading.current_thread().daemon)
        return httpx.Response(200, content=b"{}")

    client(transport=httpx.MockTransport(answer)).get("/x")
    assert waited_for == [False]


def test_an_interrupt_does_not_wait_for_a_name_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver cannot be interrupted; the one who waits for it can."""
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


# Certificates and proxies


@pytest.mark.parametrize(
    ("certificate", "trusted", "words"),
    [
        (ALONE, None, "self-signed"),
        (HERE, None, "unable to get local issuer"),
        (HERE, ANOTHER, "unable to get local issuer"),
        (ELSEWHERE, AUTHORITY, "IP address mismatch"),
    ],
)
def test_a_certificate_that_is_not_to_be_trusted_is_said_at_once(
    certificate: Certificate, trusted: Certificate | None, words: str, tmp_path: Path
) -> None:
    with serving(tls=certificate.server(tmp_path)) as server:
        base = server.url.replace("http:", "https:")
        acme = client(base, ca_file=str(trusted.pem(tmp_path)) if trusted else None)
        with pytest.raises(ConfigurationError, match=words) as caught:
            acme.get("/x")
        acme.close()
    assert caught.value.hint is not None
    assert "ca_file" in caught.value.hint
    assert (acme.requests, server.heard) == (1, [])


@pytest.mark.parametrize(("certificate", "trusted"), [(HERE, AUTHORITY), (ALONE, ALONE)])
def test_ca_file_makes_it_work(certificate: Certificate, trusted: Certificate, tmp_path: Path) -> None:
    with serving(tls=certificate.server(tmp_path)) as server:
        acme = client(server.url.replace("http:", "https:"), ca_file=str(trusted.pem(tmp_path)))
        assert acme.get("/x").good
        acme.close()


@pytest.mark.parametrize("host", ["127.0.0.1:abc", "xn--a", "a" * 300 + ".example:x"])
def test_an_address_that_is_none_is_said_before_anything_is_asked(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"a request to {host} cannot be written"):
        client(f"http://{host}/v1")


@pytest.mark.parametrize("content", [None, b"", b"not PEM"])
def test_a_ca_file_that_is_none_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem cannot be used"):
        client(ca_file=str(path))


def test_a_proxy_is_used_for_others_and_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(ok(b'{"by":"proxy"}')) as proxy, serving(ok(b'{"by":"itself"}')) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        far = client("http://cdr.example/v1")
        assert far.get("http://cdr.example/v1/x?a=b:c,'").body == {"by": "proxy"}
        for host in ("127.0.0.1", "localhost", "127.0.0.2"):
            near = client(f"http://{host}:{server.port}/v1")
            if host == "127.0.0.2":  # nobody need listen there: it is enough that the proxy is not asked
                with pytest.raises(TemporaryError, match="no connection"):
                    near.get("/x")
            else:
                assert near.get("/x").body == {"by": "itself"}
            near.close()
        far.close()
    assert proxy.lines == ["GET http://cdr.example/v1/x?a=b:c,' HTTP/1.1"]


@pytest.mark.parametrize(
    ("url", "no_proxy", "asked"),
    [
        ("http://cdr.example/v1/x", "", True),
        ("http://cdr.example/v1/x", "example.org,localhost", True),
        ("http://cdr.example/v1/x", "cdr.example", False),
        ("http://cdr.example:8080/v1/x", "cdr.example", False),
        ("http://cdr.example/v1/x", ".example", False),
        ("http://cdr.example/v1/x", "*", False),
    ],
)
def test_no_proxy_names_the_hosts_that_are_reached_directly(
    url: str,
    no_proxy: str,
    asked: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("no_proxy", no_proxy)
    for name in ("HTTP_PROXY", "ALL_PROXY", "all_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    assert proxies.proxy_to(origin_of(url)) == ("http://proxy.example:3128" if asked else None)
    monkeypatch.delenv("http_proxy")
    assert proxies.proxy_to(origin_of(url)) is None


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1", "http://127.0.0.1:port"])
def test_an_unusable_proxy_is_a_configuration_error(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ConfigurationError, match="proxy"):
        client()


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example",
        "https://good.example/",
        "https://good.example:443/x?y#z",
        "HTTPS://GOOD.example/x",
        "https://good.example?x=https://evil.example",
    ],
)
def test_the_same_origin_in_other_spelling(url: str) -> None:
    assert same_origin("https://good.example/v1", url)


@pytest.mark.parametrize(
    "url",
    [
        "http://good.example/",
        "https://good.example@evil.example/",
        "https://good.example:443@evil.example/",
        "https://user@good.example/",
        "https://good.example.evil.example/",
        "https://evil-good.example/",
        "https://good.example./",
        "https://good.example:444/",
        "https://good.example:0/",
        "https://good.example:x/",
        "https://good.example:443:443/",
        "https://evil.example\\@good.example/",
        "https://evil.example\\.good.example/",
        "https://good.example\t/",
        "https://go\nod.example/",
        " https://good.example/",
        "https://good.example /",
        "https://[good.example/",
        "https://[::1/",
        "//good.example/",
        "good.example",
        "/v1/x",
        "ftp://good.example/",
        "https:good.example",
        "https:///good.example",
        "",
    ],
)
def test_no_trick_makes_another_origin_the_same(url: str) -> None:
    assert not same_origin("https://good.example/v1", url)
    assert not same_origin(url, "https://good.example/v1")


def test_a_text_that_is_not_a_url_has_no_origin() -> None:
    assert not same_origin("https://[::1", "https://[::1")
    assert not same_origin("", "")


@given(st.text())
def test_no_text_breaks_what_looks_for_a_host(text: str) -> None:
    host_of(text)
    host_of(f"https://{text}")
    same_origin(text, f"https://{text}")


def test_the_host_in_messages_has_no_user_name_and_password() -> None:
    assert host_of("https://user:hush@cdr.example:8443/x?y=@z") == "cdr.example:8443"
    assert host_of("/relative") == ""


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
    """Where click is installed it would be, and rich and pygments with it."""
    (tmp_path / "click.py").write_text("raise RuntimeError('it is loaded')")
    code = "import sys; from cdrctl.http import transport; transport.load_httpx(); print('httpx._main' in sys.modules)"
    search = os.pathsep.join([str(tmp_path), str(Path(exchange.__file__).parents[2])])
    environ = {**os.environ, "PYTHONPATH": search}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.stdout, ran.stderr) == ("False\n", "")


def test_without_encryption_no_certificates_are_read() -> None:
    """It takes as long to read them as all else of a small export."""
    context = connections.verified(None, encrypted=False)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509"] == 0


def test_exchanges_that_follow_each_other_share_a_thread_and_a_connection() -> None:
    threads: set[int] = set()
    with serving_on(lambda: threads.add(len(exchanging()))) as (url, connections):
        one = client(url)
        for _ in range(5):
            assert one.get("/x").good
        one.close()
    assert len(connections) == 1
    assert len(threads) == 1


def test_exchanges_at_the_same_time_have_threads_of_their_own() -> None:
    both = threading.Barrier(2)
    with serving_on(lambda: both.wait(timeout=10)) as (url, connections):
        one = client(url)
        with ThreadPoolExecutor(2) as threads:
            assert [answer.good for answer in threads.map(one.get, ["/x", "/y"])] == [True, True]
        one.close()
    assert len(connections) == 2


def test_a_late_response_is_not_taken_for_the_next_one() -> None:
    """What comes too late is not taken for the answer to the next request."""
    late = threading.Event()
    with serving_on(lambda: late.wait(timeout=10), once=True) as (url, _):
        wired = connections.Connections(base_url=url, timeout=0.02, ca_file=None)
        wired.seconds["read"] = 10.0  # it is our own limit that is meant, and not the network's
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
    """Run a server that keeps its connections open and says what was asked for, after something has been done."""
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


def test_a_header_may_come_several_times_and_need_not_be_ascii() -> None:
    said = ok(b"{}", "X-One: a", "x-one: b", "X-Two: \xe9").decode("utf-8").encode("latin-1")
    with serving(said, ok(b"{}", "X-Two: é")) as server:
        one = client(server.url)
        first, second = one.get("/x").headers, one.get("/x").headers
        one.close()
    assert (first["x-one"], first["x-two"], second["x-two"]) == ("a, b", "é", "é")


def test_a_header_of_a_request_takes_the_place_of_the_usual_one() -> None:
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
        with pytest.raises(ConfigurationError, match="cannot be written"):
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
