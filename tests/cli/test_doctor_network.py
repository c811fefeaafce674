"""`cdrctl doctor`: name resolution, connections, certificates and proxies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdrctl.cli.doctor_network import check_certificate, check_network
from cdrctl.errors import TemporaryError
from cdrctl.fetchers import load
from cdrctl.http import reach
from tests.cli.doctor_kit import ANOTHER, AUTHORITY, PATIENCE, SECRET, Checkup, a_checkup
from tests.support.certificates import Certificate
from tests.support.runner import NOW
from tests.support.wires import ok, serving, talking


@pytest.fixture(name="checkup")
def _checkup(tmp_path: Path) -> Iterator[Checkup]:
    with a_checkup(tmp_path) as one:
        yield one


def test_an_unknown_host_name_fails(checkup: Checkup, monkeypatch: pytest.MonkeyPatch) -> None:
    checkup.profile("webex")

    def unknown(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = checkup.finding("dns", 5)
    assert "Name or service not known" in found["what"]
    assert "base_url" in found["next"]


def test_a_silent_name_server_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(PATIENCE))
    try:
        with pytest.raises(TemporaryError, match=r"pbx\.example") as caught:
            reach.addresses("pbx.example", 443, 0.1)
    finally:
        ended.set()
    assert "name servers" in (caught.value.hint or "")


def test_a_closed_port_fails(checkup: Checkup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    checkup.profile("webex", base_url=f"http://127.0.0.1:{port}/v1")
    found = checkup.finding("connection", 5)
    assert f"port {port}" in found["next"]


def test_a_silent_port_fails(checkup: Checkup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port with a full queue answers no connection attempt."""
    monkeypatch.setattr(reach, "STEP", 0.2)
    with socket.socket() as busy, socket.socket() as first, socket.socket() as second:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        port = busy.getsockname()[1]
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        checkup.profile("webex", base_url=f"http://127.0.0.1:{port}/v1")
        found = checkup.finding("connection", 5)
    assert "firewall" in found["next"]


def test_the_next_address_is_tried_after_a_dead_one(checkup: Checkup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert reach.connected("pbx.example", port, ["127.0.0.2", "127.0.0.1"])[0] == "127.0.0.1"


def test_a_silent_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "STEP", 0.2)
    with socket.socket() as busy, socket.socket() as first, socket.socket() as second:
        busy.bind(("127.0.0.2", 0))
        busy.listen(0)
        port = busy.getsockname()[1]
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        with socket.create_server(("127.0.0.1", port)):
            assert reach.connected("pbx.example", port, ["127.0.0.2", "127.0.0.1"], 1)[0] == "127.0.0.1"


@contextmanager
def encrypted(folder: Path, shown: Certificate) -> Iterator[str]:
    with serving(ok(b'{"items":[]}', "Date: Fri, 20 Nov 2026 20:00:00 GMT"), tls=shown.server(folder)) as server:
        yield server.url.replace("http:", "https:")


@pytest.mark.parametrize(
    ("shown", "trusted", "what", "step"),
    [
        (Certificate("cdr.example", AUTHORITY), AUTHORITY, "mismatch", "base_url must name the host as the"),
        (Certificate("127.0.0.1", AUTHORITY, "210101000000Z"), AUTHORITY, "expired", "the operator of the server must"),
        (Certificate("127.0.0.1", AUTHORITY), ANOTHER, "local issuer", "is not the certificate of the authority"),
        (Certificate("127.0.0.1"), None, "self-signed", "set ca_file in the profile to that certificate"),
    ],
    ids=["another-host", "expired", "another-authority", "signs-itself"],
)
def test_untrusted_certificates_fail(
    checkup: Checkup, tmp_path: Path, shown: Certificate, trusted: Certificate | None, what: str, step: str
) -> None:
    with encrypted(tmp_path, shown) as url:
        checkup.profile("webex", base_url=url, ca_file=str(trusted.pem(tmp_path)) if trusted else None)
        found = checkup.finding("tls", 6)
    assert what in found["what"].replace("self signed", "self-signed")
    assert step in found["next"]


def test_a_certificate_is_checked_against_the_host_name(checkup: Checkup, tmp_path: Path) -> None:
    with encrypted(tmp_path, Certificate("127.0.0.1", AUTHORITY)) as url:
        named = url.replace("127.0.0.1", "localhost")
        checkup.profile("webex", base_url=named, ca_file=str(AUTHORITY.pem(tmp_path)))
        assert "certificate is not valid for 'localhost'" in checkup.finding("tls", 6)["what"]


def test_a_certificate_of_a_private_authority(checkup: Checkup, tmp_path: Path) -> None:
    with encrypted(tmp_path, Certificate("127.0.0.1", AUTHORITY)) as url:
        checkup.profile("webex", base_url=url, ca_file=str(AUTHORITY.pem(tmp_path)))
        found = checkup.finding("tls", 0)
    assert found["result"] == "ok"
    assert "Acme authority" in found["what"]
    assert "2049-12-31" in found["what"]


def test_a_certificate_that_expires_soon(checkup: Checkup, tmp_path: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(days=9)).strftime("%y%m%d%H%M%SZ")
    near = datetime.now(UTC)
    shown = Certificate("127.0.0.1", AUTHORITY, soon)
    with encrypted(tmp_path, shown) as url:
        checkup.profile("webex", base_url=url, ca_file=str(AUTHORITY.pem(tmp_path)))
        settings = load("webex").settings.of(
            {"base_url": url, "access_token": "x", "ca_file": str(AUTHORITY.pem(tmp_path))}
        )
        host, port = reach.place_of(url)
        found = check_certificate(settings, host, port, "127.0.0.1", near)
        later = check_certificate(settings, host, port, "127.0.0.1", near - timedelta(days=9))
    assert found.result == "warn"
    assert found.next
    assert later.result == "ok"


def test_an_unreadable_ca_file_fails(checkup: Checkup, tmp_path: Path) -> None:
    with encrypted(tmp_path, Certificate("127.0.0.1", AUTHORITY)) as url:
        checkup.profile("webex", base_url=url, ca_file=str(tmp_path / "none.pem"))
        found = checkup.finding("tls", 6)
    assert "ca_file must be a PEM file" in found["next"]


def test_a_server_without_tls_fails(checkup: Checkup) -> None:
    url = str(checkup.served.credentials("webex")["base_url"])
    checkup.profile("webex", base_url=url.replace("http:", "https:"))
    found = checkup.finding("tls", 6)
    assert "does not speak TLS" in found["what"]
    assert "begins with http://" in found["next"]


def test_a_handshake_that_never_ends_fails() -> None:
    ended = threading.Event()

    def silent(_connection: socket.socket) -> None:
        ended.wait(PATIENCE)

    with talking(silent) as url:
        host, port = reach.place_of(url)
        try:
            with pytest.raises(TemporaryError) as caught:
                reach.certificate(host, port, "127.0.0.1", None, 0.3)
        finally:
            ended.set()
    assert "for https" in (caught.value.hint or "")


def test_an_unencrypted_connection_gives_a_warning(checkup: Checkup) -> None:
    settings = load("kazoo").settings.of(
        {"base_url": "http://kazoo.example.net:8000/v2", "account_id": "a", "api_key": "x", "allow_http": True}
    )
    found = check_certificate(settings, "kazoo.example.net", 8000, "192.0.2.1", NOW)
    assert found.result == "warn"
    assert "https://" in (found.next or "")


def test_the_proxy_is_checked_in_place_of_the_host(checkup: Checkup, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        at = f"127.0.0.1:{proxy.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://me:{SECRET}@{at}")
        settings = load("webex").settings.of({"access_token": "x"})
        found = list(check_network(settings, NOW))
    assert [(one.check, one.result) for one in found] == [("dns", "skipped"), ("connection", "ok"), ("tls", "skipped")]
    assert found[0].what == f"the proxy {at} resolves the name"
    assert SECRET not in str(found)
    found = list(check_network(settings, NOW))
    assert [(one.check, one.result, one.exit_code) for one in found[1:]] == [("connection", "fail", 6)]
    assert at in found[1].what
    assert SECRET not in str(found)
