"""The credential is sent only to URLs that `allows_url` accepts."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from urllib.parse import urlsplit

import httpx
import pytest

from cdrctl.errors import ConfigurationError, ProviderError
from cdrctl.http import Answer, Request, Token, by_link
from tests.support.products import for_each
from tests.support.wires import answering, client, ok, serving

GOOD = httpx.Response(200, content=b"{}")


@for_each(
    "url",
    [
        "https://evil.example/v1/x",
        "http://cdr.example@evil.example/v1/x",
        "http://user@cdr.example/v1/x",
        "http://evil.example\\@cdr.example/",
        "http://cdr.example.evil.example/",
        "http://cdr.example./",
        "http://cdr.example:81/",
        "http://[::1",
        "v1/x",
        "",
    ],
)
def test_a_foreign_link_is_refused_before_anything_is_sent(url: str) -> None:
    transport, asked = answering(GOOD)
    signed_in = False

    def sign_in(ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
        nonlocal signed_in
        signed_in = True
        yield Request("POST", "http://login.example/")
        return Token({})

    acme = client(transport=transport, sign_in=sign_in)
    with pytest.raises(ProviderError, match="link to another host") as caught:
        acme.ask(Request("GET", url))
    assert "@" not in caught.value.message
    assert (asked, acme.requests, signed_in) == ([], 0, False)


def test_a_foreign_download_is_refused_before_anything_is_sent() -> None:
    transport, asked = answering(GOOD)
    acme = client(transport=transport)
    with pytest.raises(ProviderError, match="link to another host"):
        next(acme.download(Request("GET", "https://evil.example/report.csv")))
    assert (asked, acme.requests) == ([], 0)
    assert b"".join(acme.download(Request("GET", "http://cdr.example/v1/report.csv"))) == b"{}"


def test_a_url_that_only_looks_like_an_allowed_one_is_refused() -> None:
    """A provider may allow a whole domain. URLs that parsers read differently are refused before that."""
    transport, asked = answering(GOOD)
    acme = client(transport=transport, allows_url=lambda url: (urlsplit(url).hostname or "").endswith(".acme.example"))
    assert acme.get("https://eu.acme.example/x").good
    odd = (
        "https://[::1",
        "https://u:p@eu.acme.example/x",
        "https://evil.example\\.acme.example/x",
        "https://eu.acme.example\t/",
    )
    for url in odd:
        with pytest.raises(ProviderError, match="link to another host"):
            acme.get(url)
    assert len(asked) == 1


def test_a_page_link_to_another_host_ends_the_pages() -> None:
    transport, asked = answering(GOOD)
    acme = client(transport=transport)
    pages = by_link(lambda: acme.get("/x"), acme.get, lambda _: "http://evil.example/x")
    next(pages)
    with pytest.raises(ProviderError, match=r"evil\.example"):
        next(pages)
    assert [request.url.host for request in asked] == ["cdr.example"]


@for_each("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    head = f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: "
    with serving() as other:
        with serving(head.encode() + f"{other.url}/x\r\n\r\n".encode()) as server:
            acme = client(server.url)
            with pytest.raises(ConfigurationError, match=f"redirects to 127.0.0.1:{other.port}") as caught:
                acme.get("/x")
            acme.close()
        assert (len(server.heard), other.heard) == (1, [])
    assert caught.value.status == status


def test_the_credential_is_sent_with_signed_requests_only() -> None:
    transport, asked = answering(GOOD)
    acme = client(transport=transport)
    acme.get("/x")
    acme.ask(Request("GET", "http://cdr.example/v1/public", signed=False))
    assert [request.headers.get("authorization") for request in asked] == ["Bearer sesame", None]


def test_a_sign_in_sends_an_old_credential_only_explicitly() -> None:
    def sign_in(ended: Token | None, now: datetime) -> Generator[Request, Answer, Token]:
        yield Request("POST", "http://login.example/token", kind="sign-in")
        if ended is not None:
            yield Request("POST", "http://login.example/end", headers=ended.headers, kind="sign-in")
        return Token({"Authorization": f"Bearer {'old' if ended is None else 'new'}"})

    refused = httpx.Response(401)
    transport, asked = answering(GOOD, refused, GOOD)
    client(transport=transport, sign_in=sign_in).get("/x")
    assert [(str(request.url), request.headers.get("authorization")) for request in asked] == [
        ("http://login.example/token", None),
        ("http://cdr.example/v1/x", "Bearer old"),
        ("http://login.example/token", None),
        ("http://login.example/end", "Bearer old"),
        ("http://cdr.example/v1/x", "Bearer new"),
    ]


def test_a_body_is_sent_as_json_or_as_a_form() -> None:
    with serving(ok(b"{}")) as server:
        acme = client(server.url)
        acme.ask(Request("PUT", f"{server.url}/x", json={"a": 1}))
        acme.ask(Request("POST", f"{server.url}/x", form={"a": "1 2"}))
        acme.close()
    put, post = server.heard
    assert b"content-type: application/json" in put.lower()
    assert b"content-type: application/x-www-form-urlencoded" in post.lower()
