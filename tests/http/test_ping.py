"""Pings of a monitoring service, by the convention of Healthchecks."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from cdrctl.http.ping import event_url, ping, ping_url
from tests.support.checks import Checks, checks
from tests.support.products import for_each

URL = "https://hc-ping.com/0b5e7c2d"


@pytest.fixture
def service() -> Iterator[Checks]:
    with checks() as running:
        yield running


@for_each(
    "url, event, expected",
    [
        (URL, "start", f"{URL}/start"),
        (URL, "success", URL),
        (URL, "fail", f"{URL}/fail"),
        (f"{URL}/", "fail", f"{URL}/fail"),
        (f"{URL}?create=1", "start", f"{URL}/start?create=1"),
        (f"{URL}?create=1", "success", f"{URL}?create=1"),
        ("https://hc-ping.com/key/my-job", "fail", "https://hc-ping.com/key/my-job/fail"),
    ],
)
def test_the_event_is_the_end_of_the_path(url: str, event: str, expected: str) -> None:
    assert event_url(ping_url(url), event) == expected  # type: ignore[arg-type]


@for_each(
    "url",
    [
        *("http://hc-ping.com/0b5e7c2d", "ftp://hc-ping.com/x", "hc-ping.com/0b5e7c2d", "https://", "file:///etc/x"),
        *("https://user:secret@hc-ping.com/x", "https://hc-ping.com/x#y", "https://hc-ping.com/a b", "https://[::1"),
    ],
)
def test_a_url_that_would_send_in_clear_or_is_odd_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^it") as raised:
        ping_url(url)
    assert "0b5e7c2d" not in str(raised.value)
    assert "secret" not in str(raised.value)


@for_each("url", ["http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]/x"])
def test_plain_http_may_lead_to_this_machine(url: str) -> None:
    assert ping_url(url) == url


def test_a_start_has_no_body_and_an_end_has_the_facts(service: Checks) -> None:
    assert ping(service.url, "start", {"days": 1}) == ""
    assert ping(service.url, "success", {"exit_code": 0, "days": 1}) == ""
    assert ping(service.url, "fail", {"exit_code": 3}) == ""
    assert [(method, path) for method, path, _ in service.pings] == [
        ("GET", "/ping/0b5e7c2d/start"),
        ("POST", "/ping/0b5e7c2d"),
        ("POST", "/ping/0b5e7c2d/fail"),
    ]
    assert service.pings[0][2] == ""
    assert json.loads(service.pings[1][2]) == {"exit_code": 0, "days": 1}


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_error_is_told_once_without_the_url(service: Checks, status: int) -> None:
    service.status = status
    failed = ping(service.url, "success", {})
    assert str(status) in failed
    assert "0b5e7c2d" not in failed
    assert len(service.pings) == 1, "it is not sent again"


def test_a_redirect_is_not_followed(service: Checks) -> None:
    with checks() as other:
        service.status, service.headers = 302, {"Location": other.url}
        assert "302" in ping(service.url, "start", {})
        assert other.pings == []


def test_a_host_that_cannot_be_reached_is_told_without_the_url() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    failed = ping(f"http://127.0.0.1:{port}/0b5e7c2d", "start", {})
    assert "127.0.0.1" in failed
    assert "0b5e7c2d" not in failed


def test_a_host_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert ping(f"http://127.0.0.1:{port}/0b5e7c2d", "start", {}, seconds=0.05) != ""


def test_a_host_that_answers_a_byte_at_a_time_is_not_waited_for() -> None:
    """The network's own timeouts begin anew with every byte."""
    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        taken, _ = server.accept()
        with taken, suppress(OSError):
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not ended.wait(0.01):
                taken.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as slow:
        thread = threading.Thread(target=drip, args=(slow,), daemon=True)
        thread.start()
        failed = ping(f"http://127.0.0.1:{slow.getsockname()[1]}/0b5e7c2d", "start", {}, seconds=0.1)
        ended.set()
        thread.join()
    assert "after 0.1 s" in failed
