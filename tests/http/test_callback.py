"""What listens for the browser: whom it answers, whom it believes, and that it is gone afterwards."""

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
    """Counts those who came with an answer that is not ours."""

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
    """Return status, headers and body of the answer to a request written out."""
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
    """Return whether nobody has ended the wait."""
    try:
        wait(NO_TIME)
    except TimeoutError:
        return True
    return False


def test_the_browser_that_comes_back_ends_the_wait_and_sees_a_page_without_secrets(attempt: oauth.Attempt) -> None:
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


def test_nobody_listens_any_more_when_it_is_over(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait:
        get(attempt, good(attempt))
        wait(PATIENCE)
    with pytest.raises(ConnectionRefusedError), connected(attempt):
        pass
    with listening(attempt):  # and the port is free again at once
        pass


def test_nobody_is_listened_to_from_elsewhere(attempt: oauth.Attempt) -> None:
    """All of 127/8 is this machine; what is bound to 127.0.0.1 alone does not hear the rest of it."""
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
def test_an_answer_that_is_not_ours_is_refused_and_the_wait_goes_on(attempt: oauth.Attempt, query: str) -> None:
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
def test_a_page_that_leads_here_by_its_own_name_is_not_talked_to(attempt: oauth.Attempt, headers: list[str]) -> None:
    with listening(attempt) as wait:
        port = oauth.port_of(attempt.redirect_uri)
        status, _, _ = get(attempt, good(attempt), *(header.format(port=port) for header in headers))
        assert status == 421
        assert waits_on(wait)


@pytest.mark.thin
@pytest.mark.parametrize("target", ["/", "/favicon.ico", "/callback/", "/Callback", "/callback;x", "/x/../callback"])
def test_there_is_nothing_at_other_paths(attempt: oauth.Attempt, target: str) -> None:
    with listening(attempt) as wait:
        assert get(attempt, good(attempt).replace("/callback", target))[0] == 404
        assert get(attempt, f"{attempt.redirect_uri}?{good(attempt).partition('?')[2]}")[0] == 404
        assert waits_on(wait)


@pytest.mark.thin
@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "PUT", "CONNECT", "get"])
def test_only_get_is_answered(attempt: oauth.Attempt, method: str) -> None:
    with listening(attempt) as wait:
        status, headers, _ = answer(attempt, f"{method} {good(attempt)} HTTP/1.1\nHost: {host(attempt)}\n\n")
        assert (status, headers["allow"]) == (405, "get")
        assert waits_on(wait)


@pytest.mark.thin
@pytest.mark.parametrize(
    "request_", ["\x16\x03\x01 nonsense\n\n", "GET\n\n", "GET / HTTP/9.9\n\n", "GET /{} HTTP/1.1\n"]
)
def test_nonsense_is_answered_shortly_and_nothing_of_it_comes_back(attempt: oauth.Attempt, request_: str) -> None:
    with listening(attempt) as wait:
        status, _, body = answer(attempt, request_.format("x" * 70_000))
        assert 400 <= status < 600
        assert "nonsense" not in body
        assert waits_on(wait)


def test_only_the_first_answer_counts(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait:
        assert get(attempt, good(attempt))[0] == 200
        assert get(attempt, good(attempt).replace("the-code", "another"))[0] == 410
        assert wait(PATIENCE) == "the-code"
        assert waits_on(wait)


def test_who_connects_and_says_nothing_holds_nobody_up(attempt: oauth.Attempt) -> None:
    """Together they would take longer than we wait, were they heard one after the other."""
    with listening(attempt) as wait, ExitStack() as stack:
        for _ in range(PATIENCE // VISIT_SECONDS + 1):
            stack.enter_context(connected(attempt)).sendall(b"GET /call")
        assert get(attempt, good(attempt))[0] == 200
        assert wait(PATIENCE) == "the-code"


def test_a_browser_that_leaves_without_the_page_has_still_brought_the_code(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait:
        with connected(attempt) as one:
            one.sendall(f"GET {good(attempt)} HTTP/1.1\r\nHost: {host(attempt)}\r\n\r\n".encode())
        assert wait(PATIENCE) == "the-code"


def test_nobody_is_waited_for_without_end(attempt: oauth.Attempt) -> None:
    with listening(attempt) as wait, pytest.raises(TimeoutError):
        wait(0.05)


def test_a_port_that_is_taken_is_said(attempt: oauth.Attempt) -> None:
    with listening(attempt), pytest.raises(OSError, match=r".+") as caught, listening(attempt):
        pass
    assert caught.value.errno == errno.EADDRINUSE


def test_the_usual_port_need_not_be_named_by_a_browser() -> None:
    """Browsers leave out :80; listening there takes rights that tests do not have."""
    assert hosts_of("http://localhost:80/x") == {"localhost:80", "localhost"}
    assert hosts_of("http://localhost/x") == {"localhost"}
    assert hosts_of("http://LOCALHOST:81/x") == {"localhost:81"}
