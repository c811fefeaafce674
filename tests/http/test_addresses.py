"""URLs in settings are parsed once: each invalid part is named, and secrets in them are not repeated."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given, strategies as st

from cdrctl.http.addresses import address, in_clear, is_loopback
from tests.support.products import for_each


@for_each(
    "typed, parsed",
    [
        ("HTTPS://PBX.Example:8887/API", "https://pbx.example:8887/API"),
        ("https://pbx.example:/api", "https://pbx.example/api"),
        ("https://pbx.example./api", "https://pbx.example./api"),
        ("https://pbx_1.example/api", "https://pbx_1.example/api"),
        ("http://LOCALHOST.:8000/v2", "http://localhost:8000/v2"),
        ("http://[0:0:0:0:0:0:0:1]:8000/v2", "http://[::1]:8000/v2"),
        ("https://[2001:DB8::1]/v2", "https://[2001:db8::1]/v2"),
        ("https://192.0.2.1:8443/v2", "https://192.0.2.1:8443/v2"),
        ("https://münchen.example/v2", "https://xn--mnchen-3ya.example/v2"),
        ("https://pbx.example", "https://pbx.example"),
    ],
)
def test_scheme_and_host_are_the_same_in_any_case_and_alphabet(typed: str, parsed: str) -> None:
    assert address(typed) == parsed
    assert address(parsed) == parsed


@for_each(
    "typed, part",
    [
        *((f"https://pbx.example:{port}/", "port") for port in ("99999", "0", "-1", "x", "\uff18\uff10", "9" * 5000)),
        *(("https://pbx.example/api?key=hush", "query"), ("https://pbx.example/api#hush", "fragment")),
        *(("https://pbx.example?hush", "query"), ("https://pbx.example#hush", "fragment")),
        *((f"https://{user}@pbx.example/api", "user name") for user in ("me", "me:hush", "hush%40", "a@b")),
        *((f"https://{host}/api", "dots") for host in ("a..b", ".a", "a..")),
        *((f"https://{host}/api", "host") for host in ("a,b", "a*", "\u2100", "256.1.1.1", "127.1", "a" * 64, "%61")),
        *((f"https://{host}/api", "host") for host in ("[::1", "[::g]", "[fe80::1%25eth0]", "::1", ":443", "[::1]x")),
        *((f"https://pbx{odd}.example/api", "not contain") for odd in (" ", "\t", "\n", "\0", "\x7f", "\\", "\xa0")),
        *((f"https://pbx.example/a{odd}pi", "must not contain") for odd in (" ", "\r", "\u2028", "\\")),
        *((url, "name a host") for url in ("", "pbx.example", "//pbx.example", "ftp://pbx.example", "https://")),
    ],
)  # fmt: skip
def test_an_invalid_part_is_named(typed: str, part: str) -> None:
    with pytest.raises(ValueError, match=part) as caught:
        address(typed)
    assert "hush" not in str(caught.value)


def test_a_query_is_accepted_only_where_allowed() -> None:
    assert address("https://login.example/authorize?realm=a", query=True) == "https://login.example/authorize?realm=a"
    with pytest.raises(ValueError, match="query"):
        address("https://login.example/authorize?realm=a b", query=True)


@example("http://[::1%25]/")
@example("http://xn--/")
@given(st.text("htps:/[]@?#.%0129aé\u3002 \\", max_size=24).map("https://".__add__) | st.text(max_size=30))
def test_an_accepted_url_means_the_same_to_every_parser(typed: str) -> None:
    try:
        url = address(typed)
    except ValueError:
        return
    seen, sent = urlsplit(url), httpx.URL(url)
    assert (seen.scheme, seen.username, seen.query, seen.fragment) == (sent.scheme, None, "", "")
    assert (seen.hostname or "").removesuffix(".") == sent.raw_host.decode().strip("[]").removesuffix(".")
    assert seen.port == sent.port or (seen.scheme, seen.port) in {("http", 80), ("https", 443)}
    assert address(url) == url


@for_each("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.255.1.2", "[::1]"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(f"http://{host}:8000/v2")
    assert not in_clear(f"HTTP://{host}:8000/v2")


@for_each(
    "host",
    [
        *("localhost.example.net", "127.0.0.1.example.net", "127.example.net", "10.0.0.1", "[::2]"),
        *("[::ffff:127.0.0.1]", "[::", "128.0.0.1", "xlocalhost"),
    ],
)  # fmt: skip
def test_other_machines_are_not_loopback(host: str) -> None:
    assert not is_loopback(f"http://{host}/v2")
    assert in_clear(f"HTTP://{host}/v2")
    assert not in_clear(f"https://{host}/v2")
