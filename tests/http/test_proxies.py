"""Proxies that fail: the message names the proxy and not the provider, and no password is shown."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cdrctl.errors import CdrctlError, ConfigurationError, TemporaryError
from cdrctl.http import proxies
from cdrctl.http.transport import origin_of
from tests.support.clock import HandClock
from tests.support.wires import RESET, Server, client, ok, serving

SECRET = "open-sesame"
NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
URLS = ("https://cdr.example/v1", "http://cdr.example/v1")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def answer(status: int) -> bytes:
    return f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n".encode()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def proxy(monkeypatch: pytest.MonkeyPatch, name: str, *says: bytes) -> Iterator[Server]:
    with serving(*says) as server:
        monkeypatch.setenv(name, f"http://me:{SECRET}@127.0.0.1:{server.port}")
        yield server


def failing(url: str) -> tuple[CdrctlError, HandClock]:
    clock = HandClock()
    one = client(url, clock)
    with pytest.raises(CdrctlError) as caught:
        one.get("/x")
    one.close()
    return caught.value, clock


def check(error: CdrctlError, port: int) -> None:
    said = f"{error.message} {error.hint} {error.said}"
    assert f"127.0.0.1:{port}" in error.message
    assert "Acme" not in said
    assert SECRET not in said


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("status", sorted(proxies.REFUSALS))
def test_a_refusal_of_connect_ends_at_once(name: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(monkeypatch, name, answer(status)) as server:
        error, clock = failing(URLS[0])
    assert isinstance(error, ConfigurationError)
    assert (error.status, len(server.heard), clock.waits) == (status, 1, [])
    check(error, server.port)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_that_requires_a_password_for_plain_http(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(monkeypatch, name, answer(407)) as server:
        error, clock = failing(URLS[1])
    assert isinstance(error, ConfigurationError)
    assert (error.status, len(server.heard), clock.waits) == (407, 1, [])
    check(error, server.port)


@pytest.mark.parametrize("says", [answer(502), answer(503), RESET])
def test_a_proxy_that_does_not_connect_is_tried_a_few_times(says: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(monkeypatch, "HTTPS_PROXY", says) as server:
        error, clock = failing(URLS[0])
    assert len(server.heard) == 1 + len(clock.waits) <= 5
    assert SECRET not in error.message
    if says is not RESET:
        check(error, server.port)


@pytest.mark.parametrize("url", URLS)
def test_a_proxy_that_is_down_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    for name in NAMES[:2]:
        monkeypatch.setenv(name, f"http://me:{SECRET}@127.0.0.1:{port}")
    error, clock = failing(url)
    assert isinstance(error, ConfigurationError)
    assert len(clock.waits) == proxies.TRIES - 1
    check(error, port)


def test_a_proxy_that_worked_before_is_a_temporary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(monkeypatch, "HTTP_PROXY", ok()) as server:
        one = client(URLS[1])
        one.get("/x")
    with pytest.raises(TemporaryError) as caught:
        one.get("/x")
    one.close()
    check(caught.value, server.port)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_a_host_in_no_proxy_is_reached_directly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert proxies.proxy_to(origin_of(URLS[0])) == "http://proxy.example:3128"
    monkeypatch.setenv(name, "cdr.example")
    assert proxies.proxy_to(origin_of(URLS[0])) is None


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("socks5://me:{}@proxy.example:1080", "SOCKS"),
        ("ftp://me:{}@proxy.example", "ftp"),
        ("http://me:{}@proxy.example:port", "HOST:PORT"),
        ("http://me:{}@proxy.example:99999", "HOST:PORT"),
        ("http://me:x/{}@proxy.example:3128", "HOST:PORT"),
        ("http://", "HOST:PORT"),
        ("http://[::1", "HOST:PORT"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy"])
def test_an_invalid_proxy_url_is_refused(written: str, why: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, written.format(SECRET))
    with pytest.raises(ConfigurationError) as caught:
        client(URLS[0])
    said = f"{caught.value.message} {caught.value.hint}"
    assert name in said
    assert why in said
    assert SECRET not in said
