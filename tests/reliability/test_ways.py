"""Faults of the network between cdrctl and the provider, and of the machine that runs cdrctl."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.test_table import MAIN, SINCE, UNTIL, raw, through
from tests.support.bench import SUBJECTS, Subject, counted
from tests.support.certificates import Certificate
from tests.support.clock import HandClock
from tests.support.runner import Ran, Shell

each_provider = pytest.mark.parametrize("subject", MAIN, ids=lambda subject: subject.provider.name)
AUTHORITY = Certificate("Authority of the house")
HERE = Certificate("127.0.0.1", AUTHORITY)
ELSEWHERE = Certificate("cdr.example", AUTHORITY)
EXPIRED = Certificate("127.0.0.1", AUTHORITY, ends="240101000000Z")
ALONE = Certificate("127.0.0.1")


@each_provider
def test_address_without_a_server_exits_with_5(subject: Subject, tmp_path: Path) -> None:
    with through(subject, tmp_path) as (made, proxy):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        settings = made.shell.config.read_text(encoding="utf-8").replace(f":{proxy.port}", f":{port}")
        made.shell.config.write_text(settings, encoding="utf-8")
        ran = raw(made)
    assert ran.code == 5
    assert f"no connection to 127.0.0.1:{port}: Connection refused" in ran.err
    assert "next: " in ran.err


@pytest.mark.thin
@each_provider
def test_connection_attempt_without_a_response_exits_with_5(subject: Subject, tmp_path: Path) -> None:
    """A port whose queue is full does not respond to connection attempts."""
    with socket.socket() as busy, socket.socket() as first, socket.socket() as second:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        port = busy.getsockname()[1]
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        with through(subject, tmp_path, timeout=0.2, max_wait="3s") as (made, proxy):
            settings = made.shell.config.read_text(encoding="utf-8").replace(f":{proxy.port}", f":{port}")
            made.shell.config.write_text(settings, encoding="utf-8")
            ran = raw(made)
    assert ran.code == 5
    assert "timed out" in ran.err


@each_provider
def test_unknown_host_name_exits_with_5(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with through(subject, tmp_path) as (made, _), monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", unknown)
        ran = raw(made)
    assert ran.code == 5
    assert "Name or service not known" in ran.err


@pytest.mark.slow
@each_provider
def test_silent_name_server_ends_the_run_in_time(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver ignores our timeout and signals; cdrctl does not wait for it longer than allowed."""
    ended = threading.Event()
    asked = threading.Event()

    def slow(*_: object, **__: object) -> list[Any]:
        asked.set()
        ended.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with through(subject, tmp_path, timeout=0.02, max_wait="3s") as (made, _), monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", slow)
        ran = raw(made)
        assert ran.code == 5
        assert "not complete after 0.2 s" in ran.err

        def interrupt() -> None:
            asked.wait(10)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        made.sign_in_by(timeout="20")
        asked.clear()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            ran = raw(made)
        finally:
            signal.signal(signal.SIGINT, before)
        ended.set()
    assert ran.code == 130
    assert "interrupted" in ran.err


@each_provider
@pytest.mark.parametrize(
    ("certificate", "trusted", "words"),
    [
        (ELSEWHERE, AUTHORITY, "IP address mismatch"),
        (EXPIRED, AUTHORITY, "certificate has expired"),
        (ALONE, None, "self-signed certificate"),
        (HERE, None, "unable to get local issuer certificate"),
        (HERE, AUTHORITY, None),
        (ALONE, ALONE, None),
    ],
    ids=["another-name", "expired", "self-signed", "unknown-authority", "with-ca_file", "itself-as-ca_file"],
)
def test_certificates_are_verified(
    subject: Subject, certificate: Certificate, trusted: Certificate | None, words: str | None, tmp_path: Path
) -> None:
    """A certificate that cannot be verified ends the run at once; the hint is `ca_file`, which helps."""
    more = {"ca_file": str(trusted.pem(tmp_path))} if trusted else {}
    with through(subject, tmp_path, tls=certificate.server(tmp_path), **more) as (made, proxy):
        ran = raw(made)
        if words is None:
            assert counted(ran.ok().lines) == counted(made.truth(SINCE, UNTIL))
            return
        assert ran.code == 6
        assert words in ran.err
        assert "ca_file" in ran.err
        assert proxy.requests == 0, "nothing was sent, no credential either"


@pytest.mark.thin
@each_provider
def test_https_to_an_http_server_exits_with_5(subject: Subject, tmp_path: Path) -> None:
    """The server waits for the rest of a request, so only our own timeout ends it."""
    with through(subject, tmp_path, timeout=0.2, max_wait="3s") as (made, proxy):
        settings = made.shell.config.read_text(encoding="utf-8").replace("http://127", "https://127")
        made.shell.config.write_text(settings, encoding="utf-8")
        ran = raw(made)
        assert proxy.requests == 0
    assert ran.code == 5
    assert "to 127.0.0.1" in ran.err


@each_provider
def test_http_to_an_https_server_exits_with_5(subject: Subject, tmp_path: Path) -> None:
    with through(subject, tmp_path, tls=HERE.server(tmp_path)) as (made, _):
        settings = made.shell.config.read_text(encoding="utf-8").replace("https://127", "http://127")
        made.shell.config.write_text(settings, encoding="utf-8")
        ran = raw(made)
    assert ran.code == 5
    assert "127.0.0.1" in ran.err


class Off(HandClock):
    """A wrong clock; sleeping moves the right clock too."""

    def __init__(self, right: HandClock, by: timedelta) -> None:
        super().__init__(right.time + by)
        self.right = right

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.right.move(seconds=seconds)


@each_provider
@pytest.mark.parametrize(("hours", "words"), [(3, "3 h ahead of"), (-5, "5 h behind"), (24 * 40, "40 days ahead of")])
def test_wrong_clock_gets_one_warning(subject: Subject, hours: int, words: str, tmp_path: Path) -> None:
    """The warning has the difference. A window in the past is exported all the same."""
    with through(subject, tmp_path) as (made, _):
        truth = counted(made.truth(SINCE, UNTIL))
        off = Off(made.clock, timedelta(hours=hours))
        made.shell = Shell(made.shell.folder, off)
        back = timedelta(days=1) if hours < 0 else timedelta(0)
        ran = made.run(SINCE - back, UNTIL, "--schema", "raw", "-f", "jsonl")
        if subject.provider.name == "webex" and ran.code == 7:
            # Webex refuses windows that end in its future.
            assert "at least 5 minutes" in ran.err
        elif hours < 24 * 30:
            assert ran.code == 0, ran.err
            assert counted(ran.lines) >= truth
        told = [line for line in ran.err.splitlines() if "machine's clock" in line]
        if ran.code != 2:  # by this clock the window is too old, so it is refused before any request
            assert len(told) == 1
            assert words in told[0]
            assert ": warning: " in told[0]


@each_provider
def test_correct_clock_gets_no_warning(subject: Subject, tmp_path: Path) -> None:
    with through(subject, tmp_path) as (made, _):
        assert "clock" not in raw(made).ok().err


@each_provider
def test_window_that_ends_in_the_providers_future_is_incomplete(subject: Subject, tmp_path: Path) -> None:
    """A nightly export on a machine that is hours ahead must not count as complete."""
    with through(subject, tmp_path) as (made, _):
        now = made.clock.time
        made.shell = Shell(made.shell.folder, Off(made.clock, timedelta(hours=8)))
        ran = made.run(now - timedelta(hours=2), now + timedelta(hours=2), "-f", "jsonl")
        if subject.provider.name == "webex":
            assert ran.code == 7, "Webex refuses what ends in its future"
            assert "machine's clock" in ran.err
            return
        assert ran.code == 3, ran.err
        assert "by the clock of" in ran.err
        ran = made.run(now - timedelta(hours=2), now + timedelta(hours=8), "-f", "jsonl")
        assert ran.code == 0, ran.err
        assert "note: by the clock of" in ran.err


def test_every_provider_is_tested() -> None:
    assert {subject.provider.name for subject in MAIN} == {subject.provider.name for subject in SUBJECTS}
    assert ssl.OPENSSL_VERSION


@contextmanager
def refusing_proxy(answer: bytes) -> Iterator[str]:
    """Run a proxy that gives every request, including CONNECT, this response; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def by_proxy(subject: Subject, proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Export from a host that only the proxy can reach."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with through(subject, tmp_path, requests_per_minute=600) as (made, between):
        settings = made.shell.config.read_text(encoding="utf-8").replace(between.url, "https://cdr.example")
        made.shell.config.write_text(settings, encoding="utf-8")
        ran: Ran = raw(made)
        return ran


@each_provider
def test_unreachable_proxy_exits_with_6(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ran = by_proxy(subject, f"http://127.0.0.1:{port}", tmp_path, monkeypatch)
    assert ran.code == 6, ran.err
    assert ran.out == ""
    assert "next: " in ran.err


@each_provider
def test_proxy_that_requires_a_password_exits_with_6(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with refusing_proxy(answer) as proxy:
        ran = by_proxy(subject, proxy, tmp_path, monkeypatch)
    assert ran.code == 6, ran.err
    assert ran.out == ""
    assert "the proxy 127.0.0.1:" in ran.err
    assert "407" in ran.err
