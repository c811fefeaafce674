"""Certificates and proxies on real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdrctl.errors import ConfigurationError, TemporaryError
from cdrctl.http import proxies
from cdrctl.http.transport import origin_of
from tests.support.certificates import Certificate
from tests.support.products import for_each
from tests.support.wires import client, ok, serving

AUTHORITY, ANOTHER = Certificate("Acme authority"), Certificate("Another authority")
HERE = Certificate("127.0.0.1", AUTHORITY)
ELSEWHERE = Certificate("cdr.example", AUTHORITY)
ALONE = Certificate("127.0.0.1")


@pytest.mark.slow
@for_each(
    "certificate, trusted, words",
    [
        (ALONE, None, "self-signed"),
        (HERE, None, "unable to get local issuer"),
        (HERE, ANOTHER, "unable to get local issuer"),
        (ELSEWHERE, AUTHORITY, "IP address mismatch"),
    ],
)
def test_an_untrusted_certificate_is_an_error_at_once(
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
def test_a_certificate_of_ca_file_is_trusted(certificate: Certificate, trusted: Certificate, tmp_path: Path) -> None:
    with serving(tls=certificate.server(tmp_path)) as server:
        acme = client(server.url.replace("http:", "https:"), ca_file=str(trusted.pem(tmp_path)))
        assert acme.get("/x").good
        acme.close()


@for_each("host", ["127.0.0.1:abc", "xn--a", "a" * 300 + ".example:x"])
def test_an_invalid_address_is_an_error_before_a_request(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"a request to {host} cannot be sent"):
        client(f"http://{host}/v1")


@for_each("content", [None, b"", b"not PEM"])
def test_an_invalid_ca_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem cannot be used"):
        client(ca_file=str(path))


def test_a_proxy_is_used_for_other_machines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(ok(b'{"by":"proxy"}')) as proxy, serving(ok(b'{"by":"itself"}')) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        far = client("http://cdr.example/v1")
        assert far.get("http://cdr.example/v1/x?a=b:c,'").body == {"by": "proxy"}
        for host in ("127.0.0.1", "localhost", "127.0.0.2"):
            near = client(f"http://{host}:{server.port}/v1")
            if host == "127.0.0.2":  # no server need listen there: the proxy must not be used
                with pytest.raises(TemporaryError, match="no connection"):
                    near.get("/x")
            else:
                assert near.get("/x").body == {"by": "itself"}
            near.close()
        far.close()
    assert proxy.lines == ["GET http://cdr.example/v1/x?a=b:c,' HTTP/1.1"]


@for_each(
    "url, no_proxy, asked",
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


@for_each("proxy", ["socks5://127.0.0.1:1", "ftp://127.0.0.1:1", "http://127.0.0.1:port"])
def test_an_unusable_proxy_is_a_configuration_error(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ConfigurationError, match="proxy"):
        client()
