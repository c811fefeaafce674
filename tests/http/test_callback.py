"""The server that waits for the browser: which requests it answers and accepts, and that it stops afterwards."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from cdrctl.errors import SignInError
from cdrctl.http import oauth
from cdrctl.http.callback import VISIT_SECONDS, Wait, hosts_of, listening
from tests.support.signing import free_port

PATIENCE = 30
NO_TIME = 0.001


@pytest.fixture(name="attempt")
def _attempt() -> oauth.Attempt:
    return oauth.begin(f"http://127.0.0.1:{free_port()}/callback")


class Strangers:
    """Counts responses with another state than ours."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@contextmanager
def connected(attempt: oauth.Attempt) -> Iterator[socket.socket]:
    port = oauth.port_of(attempt.redirect_uri)
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
        yield one


def answer(attempt: oauth.Attempt, request: str) -> tuple[int, dict[str, str], str]:
    """Send a raw request, and return the status, headers and body of the response."""
    with connected(attempt) as one:
        one.sendall(request.replace("\n", "\r\n").encode("latin-1"))
        came = b""
        while more := one.recv(65536):
            came += more
    head, _, body = came.decode().partition("\r\n\r\n")
    lines = head.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert int(headers["content-length"]) == len(body.encode()) or not body
    return int(lines[0].split()[1]), headers, body


def host(attempt: oauth.Attempt) -> str:
    return attempt.redirect_uri.split("/")[2]


def get(attempt: oauth.Attempt, target: str, *headers: str) -> tuple[int, dict[str, str], str]:
    lines = headers or (f"Host: {host(attempt)}",)
    return answer(attempt, "\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]))


def good(attempt: oauth.Attempt) -> str:
    return f"/callback?code=the-code&state={attempt.state}"


def waits_on(wait: Wait) -> bool:
    """Return whether the wait still goes on."""
    try:
        wait(NO_TIME)
    except TimeoutError:
        return True
    return False


def test_the_redirect_ends_the_wait_and_shows_a_page_without_secrets(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait:
        status, headers, body = get(attempt, good(attempt))
        assert wait(PATIENCE) == "the-code"
    assert status == 200
    assert "You can close this page" in body
    assert "the-code" not in body
    assert attempt.state not in body
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in headers


def test_the_server_stops_after_the_sign_in(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait:
        get(attempt, good(attempt))
        wait(PATIENCE)
    with pytest.raises(ConnectionRefusedError), connected(attempt):
        pass
    with listening(attempt):  # and the port is free again at once
        pass


def test_the_server_listens_on_127_0_0_1_only(attempt: oauth.Attempt) -> None:
    """All of 127/8 is this machine. A socket bound to 127.0.0.1 does not accept connections to the rest of it."""
    with listening(attempt), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", oauth.port_of(attempt.redirect_uri) or 0), timeout=PATIENCE)


def test_a_denial_ends_the_wait(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait:
        status, _, body = get(attempt, f"/callback?error=access_denied&state={attempt.state}")
        with pytest.raises(SignInError, match="denied"):
            wait(PATIENCE)
    assert status == 200
    assert "Not signed in" in body


@pytest.mark.thin
@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=other", "?error=access_denied", "?state=%00"])
def test_a_response_with_another_state_is_refused_and_the_wait_goes_on(attempt: oauth.Attempt, query: str) -> None:
    strangers = Strangers()
    with listening(attempt, strangers) as wait:
        assert get(attempt, f"/callback{query}")[0] == 400
        assert waits_on(wait)
        assert strangers.count == 1
        assert get(attempt, good(attempt))[0] == 200
        assert wait(PATIENCE) == "the-code"


@pytest.mark.thin
@pytest.mark.parametrize(
    "headers",
    [
        ["Host: evil.example.com"],
        ["Host: 127.0.0.1"],
        ["Host: localhost:{port}"],
        ["Host: 127.0.0.1:{port}", "Host: evil.example.com"],
        ["Host:"],
        ["X-Forwarded-Host: 127.0.0.1:{port}"],
    ],
)
def test_requests_with_another_host_header_are_refused(attempt: oauth.Attempt, headers: list[str]) -> None:
    with listening(attempt) as wait:
        port = oauth.port_of(attempt.redirect_uri)
        status, _, _ = get(attempt, good(attempt), *(header.format(port=port) for header in headers))
        assert status == 421
        assert waits_on(wait)


@pytest.mark.thin
@pytest.mark.parametrize("target", ["/", "/favicon.ico", "/callback/", "/Callback", "/callback;x", "/x/../callback"])
def test_other_paths_are_not_found(attempt: oauth.Attempt, target: str) -> None:
    with listening(attempt) as wait:
        assert get(attempt, good(attempt).replace("/callback", target))[0] == 404
        assert get(attempt, f"{attempt.redirect_uri}?{good(attempt).partition('?')[2]}")[0] == 404
        assert waits_on(wait)


@pytest.mark.thin
@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "PUT", "CONNECT", "get"])
def test_other_methods_are_refused(attempt: oauth.Attempt, method: str) -> None:
    with listening(attempt) as wait:
        status, headers, _ = answer(attempt, f"{method} {good(attempt)} HTTP/1.1\nHost: {host(attempt)}\n\n")
        assert (status, headers["allow"]) == (405, "get")
        assert waits_on(wait)


@pytest.mark.thin
@pytest.mark.parametrize(
    "request_", ["\x16\x03\x01 nonsense\n\n", "GET\n\n", "GET / HTTP/9.9\n\n", "GET /{} HTTP/1.1\n"]
)
def test_an_invalid_request_gets_a_short_response_without_its_text(attempt: oauth.Attempt, request_: str) -> None:
    with listening(attempt) as wait:
        status, _, body = answer(attempt, request_.format("x" * 70_000))
        assert 400 <= status < 600
        assert "nonsense" not in body
        assert waits_on(wait)


def test_only_the_first_response_counts(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait:
        assert get(attempt, good(attempt))[0] == 200
        assert get(attempt, good(attempt).replace("the-code", "another"))[0] == 410
        assert wait(PATIENCE) == "the-code"
        assert waits_on(wait)


def test_silent_connections_do_not_delay_the_browser(attempt: oauth.Attempt) -> None:
    """One after the other they would take longer than the wait lasts."""
    with listening(attempt) as wait, ExitStack() as stack:
        for _ in range(PATIENCE // VISIT_SECONDS + 1):
            stack.enter_context(connected(attempt)).sendall(b"GET /call")
        assert get(attempt, good(attempt))[0] == 200
        assert wait(PATIENCE) == "the-code"


def test_a_browser_that_does_not_read_the_page_has_delivered_the_code(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait:
        with connected(attempt) as one:
            one.sendall(f"GET {good(attempt)} HTTP/1.1\r\nHost: {host(attempt)}\r\n\r\n".encode())
        assert wait(PATIENCE) == "the-code"


def test_the_wait_ends_after_its_timeout(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait, pytest.raises(TimeoutError):
        wait(0.05)


def test_a_taken_port_is_reported(attempt: oauth.Attempt) -> None:
    with listening(attempt), pytest.raises(OSError, match=r".+") as caught, listening(attempt):
        pass
    assert caught.value.errno == errno.EADDRINUSE


def test_port_80_may_be_missing_from_the_host_header() -> None:
    """Browsers omit :80. Tests may not listen there."""
    assert hosts_of("http://localhost:80/x") == {"localhost:80", "localhost"}
    assert hosts_of("http://localhost/x") == {"localhost"}
    assert hosts_of("http://LOCALHOST:81/x") == {"localhost:81"}
