"""The sandbox server, its faults and switches, and the object that controls it."""

from __future__ import annotations

import ast
import http.client
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import cdrctl.sandbox
from cdrctl.sandbox import PROVIDERS, Exchange, Sandbox, known_switches, parse_switches, start, uniform
from cdrctl.sandbox.damage import NUMBERS, TEXTS, is_damaged
from cdrctl.sandbox.faults import ACTIONS, EVERYWHERE
from tests.support.clock import HandClock
from tests.support.products import for_each

from .clients import KazooClient, WebexClient, at
from .conftest import BUSY, EXCHANGE, Starter

EVENING = at("2026-11-18T12:00"), at("2026-11-19T00:00")
HERE = Path(__file__).parent


# the Sandbox object


def test_profiles_work_unchanged(sandbox: Sandbox, webex: WebexClient, kazoo: KazooClient) -> None:
    assert set(sandbox.profiles) == set(sandbox.base_urls) == set(PROVIDERS)
    for name, profile in sandbox.profiles.items():
        assert profile["base_url"] == sandbox.base_urls[name]
        assert profile["requests_per_minute"] == 0
    assert sandbox.base_urls["webex"] == f"{sandbox.url}/webex/v1"
    assert sandbox.base_urls["kazoo"] == f"{sandbox.url}/kazoo/v2"
    assert webex.ask(*EVENING).status_code == 200
    assert kazoo.sign_in().status_code == 201


def test_requests_lists_every_received_request(sandbox: Sandbox, webex: WebexClient, kazoo: KazooClient) -> None:
    webex.ask(*EVENING, max=500)
    kazoo.sign_in()
    kazoo.http.get(f"{sandbox.url}/nothing/here?x=1")
    one, two, three = sandbox.requests
    assert (one.provider, one.method, one.path, one.status) == ("webex", "GET", "/webex/v1/cdr_feed", 200)
    assert one.query.endswith("&max=500")
    assert one.headers["authorization"] == f"Bearer {webex.token}"
    assert (two.method, two.path, two.status) == ("PUT", "/kazoo/v2/api_auth", 201)
    assert str(sandbox.credentials("kazoo")["api_key"]).encode() in two.body
    assert (three.provider, three.path, three.query, three.status) == ("", "/nothing/here", "x=1", 404)


def test_date_header_is_the_time_of_the_sandbox(webex: WebexClient, clock: HandClock) -> None:
    assert webex.ask(*EVENING).headers["Date"] == "Fri, 20 Nov 2026 12:00:00 GMT"
    clock.move(3600)
    assert webex.ask(*EVENING).headers["Date"] == "Fri, 20 Nov 2026 13:00:00 GMT"


def test_default_clock_returns_aware_times() -> None:
    with start(exchange=EXCHANGE) as sandbox:
        assert sandbox.now().utcoffset() == timedelta(0)


def test_sandbox_has_only_the_named_providers(run: Starter) -> None:
    sandbox = run(providers=["kazoo"])
    assert list(sandbox.profiles) == ["kazoo"]
    with pytest.raises(ValueError, match="this sandbox has kazoo"):
        sandbox.provider("webex")
    with pytest.raises(ValueError, match="the sandbox has webex, kazoo"):
        start(providers=["avaya"])


def test_one_connection_serves_many_requests(sandbox: Sandbox) -> None:
    token = sandbox.credentials("kazoo", "auth_token")
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
    local = set()
    for _ in range(3):
        connection.request(
            "GET", f"/kazoo/v2/accounts/{token['account_id']}/cdrs", headers={"X-Auth-Token": str(token["auth_token"])}
        )
        answer = connection.getresponse()
        assert len(answer.read()) > 1000
        local.add(connection.sock.getsockname())
    connection.close()
    assert len(local) == 1


def test_disconnected_client_does_not_affect_others(sandbox: Sandbox, webex: WebexClient) -> None:
    for half in (b"", b"GET /webex/v1/cdr", b"POST /webex/v1/access_token HTTP/1.1\r\nContent-Length: 99\r\n\r\nx"):
        with socket.create_connection(("127.0.0.1", sandbox.port)) as gone:
            gone.sendall(half)
    assert webex.ask(*EVENING).status_code == 200


def test_concurrent_clients_get_complete_responses(sandbox: Sandbox) -> None:
    def ask(_: int) -> int:
        with WebexClient(sandbox) as client:
            return len(client.ask(*EVENING).json()["items"])

    with ThreadPoolExecutor(6) as pool:
        counts = set(pool.map(ask, range(12)))
    assert counts == {len(sandbox.truth("webex", "cdrs", *EVENING))}


def test_close_ends_connections_and_can_be_repeated(clock: HandClock) -> None:
    sandbox = start(now=clock, exchange=EXCHANGE)
    with WebexClient(sandbox) as client:
        client.ask(*EVENING)
        sandbox.close()
        sandbox.close()
        with pytest.raises(httpx.TransportError):
            client.ask(*EVENING)


def test_port_in_use_raises_os_error(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"):
        start(port=sandbox.port)


# faults


def test_status_fault_has_the_error_shape_of_the_provider(
    sandbox: Sandbox, webex: WebexClient, kazoo: KazooClient
) -> None:
    for status in (400, 401, 403, 404, 429, 500, 503, 504):
        sandbox.fail("webex", status)
        sandbox.fail("kazoo", status)
        for page in (webex.ask(*EVENING), kazoo.get("cdrs")):
            assert page.status_code == status
            assert "message" in page.json()
    assert webex.ask(*EVENING).status_code == kazoo.get("cdrs").status_code == 200


def test_status_fault_can_have_headers_and_a_body(sandbox: Sandbox, webex: WebexClient) -> None:
    sandbox.fail("webex", 429, headers={"Retry-After": "7"})
    sandbox.fail("webex", 502, body="<html>", nth=2)
    first, second = webex.ask(*EVENING), webex.ask(*EVENING)
    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    assert (second.status_code, second.text) == (502, "<html>")
    assert sandbox.requests[1].status == 502


def test_fault_counts_requests_from_its_definition(sandbox: Sandbox, webex: WebexClient) -> None:
    webex.ask(*EVENING)
    sandbox.fail("webex", 503, nth=2, times=3)
    assert [webex.ask(*EVENING).status_code for _ in range(6)] == [200, 503, 503, 503, 200, 200]


def test_fault_can_be_limited_to_a_path(sandbox: Sandbox, kazoo: KazooClient) -> None:
    sandbox.fail("kazoo", 500, path="/interaction")
    assert kazoo.get("cdrs").status_code == 200
    assert kazoo.get("cdrs/interaction").status_code == 500
    assert kazoo.get("cdrs/interaction").status_code == 200


@pytest.mark.parametrize("provider", ["webex", "kazoo"])
def test_cut_and_reset_break_the_connection(
    sandbox: Sandbox, webex: WebexClient, kazoo: KazooClient, provider: str
) -> None:
    for action, error in (("cut", httpx.RemoteProtocolError), ("reset", httpx.TransportError)):
        sandbox.fail(provider, action)
        with pytest.raises(error):
            webex.ask(*EVENING) if provider == "webex" else kazoo.get("cdrs")
    assert [one.status for one in sandbox.requests] == [200, 0]
    assert webex.ask(*EVENING).status_code == kazoo.get("cdrs").status_code == 200


@pytest.mark.parametrize("provider", ["webex", "kazoo"])
def test_body_faults_replace_the_body(sandbox: Sandbox, webex: WebexClient, kazoo: KazooClient, provider: str) -> None:
    def ask(action: str, **details: Any) -> httpx.Response:
        sandbox.fail(provider, action, **details)
        return webex.ask(*EVENING) if provider == "webex" else kazoo.get("cdrs")

    for action in ("not_json", "empty", "html"):
        page = ask(action)
        assert page.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            page.json()
    assert page.headers["Content-Type"].startswith("text/html")
    shape = ask("wrong_shape").json()
    assert not isinstance(shape.get("items" if provider == "webex" else "data"), list)
    page = ask("redirect", url="https://elsewhere.example/x")
    assert (page.status_code, page.headers["Location"]) == (302, "https://elsewhere.example/x")


def test_slow_fault_delays_the_response(run: Starter) -> None:
    waited: list[float] = []
    sandbox = run(pause=waited.append)
    sandbox.fail("webex", "slow", seconds=30)
    with WebexClient(sandbox) as client:
        assert client.ask(*EVENING).status_code == 200
        assert client.ask(*EVENING).status_code == 200
    assert waited == [30.0]


def test_foreign_link_fault_names_another_host(run: Starter) -> None:
    sandbox = run(exchange=Exchange(calls=uniform(600, *EVENING)))
    sandbox.fail("webex", "foreign_link", host="thief.example")
    with WebexClient(sandbox) as client:
        link = client.ask(*EVENING, max=500).headers["Link"]
        assert link.startswith("<https://thief.example/webex/v1/cdr_feed?")
        assert client.ask(*EVENING, max=500).headers["Link"].startswith(f"<{sandbox.url}")


def test_tokens_can_expire_during_a_run(sandbox: Sandbox, webex: WebexClient, kazoo: KazooClient) -> None:
    sandbox.fail("webex", "expire", nth=3)
    assert [webex.ask(*EVENING).status_code for _ in range(4)] == [200, 200, 401, 401]
    sandbox.switch("kazoo", "expire_after", "2")
    assert [kazoo.get("cdrs").status_code for _ in range(3)] == [200, 200, 401]
    kazoo.token = kazoo.sign_in().json()["auth_token"]
    assert kazoo.get("cdrs").status_code == 200


def test_unknown_faults_are_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="wrong_shape"):
        sandbox.fail("webex", "explode")
    with pytest.raises(ValueError, match="unknown provider"):
        sandbox.fail("avaya", 500)


# switches


def test_switches_are_parsed_from_text() -> None:
    assert parse_switches(["webex.link=doc", "kazoo.version=5.x", "webex.late=0.05"]) == {
        "webex": {"link": "doc", "late": "0.05"},
        "kazoo": {"version": "5.x"},
    }
    assert parse_switches([]) == {}


@for_each(
    "text, said",
    [
        ("webex.color=blue", "empty_page, .*error_shape"),
        ("webex.link=sideways", "plain, doc"),
        ("avaya.link=doc", "webex, kazoo"),
        ("webex.link", "looks like webex.link=doc"),
        ("link=doc", "looks like webex.link=doc"),
        ("kazoo.max_range=-1", "2682000, a number"),
        ("webex.fail=1:explode", "wrong_shape"),
        ("webex.fail=soon", "NTH"),
    ],
)
def test_unknown_switch_error_lists_the_known_ones(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_switches([text])


def test_switches_can_be_set_at_start_and_at_run_time(run: Starter) -> None:
    sandbox = run(switches=parse_switches(["webex.region=451_url"]))
    with WebexClient(sandbox) as client:
        assert client.ask(*EVENING).status_code == 451
        sandbox.switch("webex", "region", "ok")
        assert client.ask(*EVENING).status_code == 200
    with pytest.raises(ValueError, match="cannot be"):
        sandbox.switch("webex", "region", "mars")
    with pytest.raises(ValueError, match="no switch"):
        run(switches={"webex": {"colour": "blue"}})


def test_switch_fail(run: Starter) -> None:
    """Faults of the second, third and fifth request."""
    sandbox = run(switches=parse_switches(["webex.fail=2x2:429:30;5:html"]))
    with WebexClient(sandbox) as client:
        pages = [client.ask(*EVENING) for _ in range(6)]
        assert [page.status_code for page in pages] == [200, 429, 429, 200, 200, 200]
        assert pages[1].headers["Retry-After"] == "30"
        assert "html" in pages[4].headers["Content-Type"]
        sandbox.switch("webex", "fail", "1x9:503")
        assert client.ask(*EVENING).status_code == 503
        sandbox.switch("webex", "fail", "none")
        assert client.ask(*EVENING).status_code == 200
        sandbox.switch("webex", "fail", "1:redirect:https://elsewhere.example/")
        assert client.ask(*EVENING).headers["Location"] == "https://elsewhere.example/"
    with pytest.raises(ValueError, match="unknown action"):
        sandbox.switch("webex", "fail", "1:explode")
    with pytest.raises(ValueError, match="not a fault"):
        sandbox.switch("webex", "fail", "1:503;soon")


def test_switch_expire_after_counts_from_when_it_is_set(run: Starter) -> None:
    with WebexClient(run(switches={"webex": {"expire_after": "2"}})) as client:
        assert [client.ask(*EVENING).status_code for _ in range(3)] == [200, 200, 401]


def test_switch_gzip(run: Starter) -> None:
    sandbox = run(switches={"webex": {"gzip": "on"}, "kazoo": {"gzip": "on"}})
    with WebexClient(sandbox) as webex, KazooClient(sandbox) as kazoo:
        for page in (webex.ask(*EVENING), kazoo.get("cdrs")):
            assert page.headers["Content-Encoding"] == "gzip"
            assert page.json()
        url = webex.url(*EVENING)
        headers = {"Authorization": f"Bearer {webex.token}", "Accept-Encoding": "identity"}
        assert "Content-Encoding" not in webex.http.get(url, headers=headers).headers


STARTS = {
    "webex": ("cdrs", "Report ID", "Start time"),
    "kazoo": ("cdrs", "id", "iso_8601_combined"),
    "callgear": ("legs", "id", "start_time"),
    "voicenter": ("cdrs", "CallID", "Date"),
    "portsip": ("cdrs", "id", "started_at"),
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_switch_future(run: Starter, provider: str) -> None:
    """A share of the records starts 56 years later; no other field changes."""
    sandbox, (call, _, begun) = run(), STARTS[provider]
    plain = sandbox.truth(provider, call, *EVENING)
    sandbox.switch(provider, "future", "0.5")
    odd = sandbox.truth(provider, call, *EVENING)
    years = [int(one[begun][:4]) - int(other[begun][:4]) for one, other in zip(odd, plain, strict=True)]
    assert set(years) == {0, 56}
    assert all(one == other for one, other, by in zip(odd, plain, years, strict=True) if not by)


@BUSY
@pytest.mark.parametrize("provider", PROVIDERS)
def test_switch_same_id(run: Starter, provider: str) -> None:
    """Records of the same minute have the same id; no other field changes."""
    sandbox, (call, key, begun) = run(), STARTS[provider]
    plain = sandbox.truth(provider, call, *EVENING)
    sandbox.switch(provider, "same_id", "on")
    odd = sandbox.truth(provider, call, *EVENING)
    assert [{**one, key: 0} for one in odd] == [{**one, key: 0} for one in plain]
    assert len({one[key] for one in odd}) == len({one[begun][:16] for one in odd}) < len(odd)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_switch_renumbered(run: Starter, provider: str) -> None:
    """A share of the records has other ids a day later, which do not change again; no other field changes."""
    call, key, _ = STARTS[provider]
    clock = HandClock(EVENING[1])
    sandbox = run(now=clock, switches={provider: {"renumbered": "0.5"}})
    clock.move(3600)
    plain = sandbox.truth(provider, call, *EVENING)
    clock.move(2 * 86_400)
    for _ in range(2):
        odd = sandbox.truth(provider, call, *EVENING)
        assert [{**one, key: 0} for one in odd] == [{**one, key: 0} for one in plain]
        differ = {one[key] for one in odd} - {one[key] for one in plain}
        assert 0 < len(differ) < len({one[key] for one in plain})
        assert len({one[key] for one in odd}) >= len({one[key] for one in plain})
        clock.move(86_400)


def test_sent_records_equal_the_true_records(run: Starter) -> None:
    sandbox = run(switches={"webex": {"same_id": "on", "future": "0.5"}})
    with WebexClient(sandbox) as webex:
        truth = sandbox.truth("webex", "cdrs", *EVENING)
        assert sorted(map(str, webex.all(*EVENING))) == sorted(map(str, truth))


def test_switch_date_header(sandbox: Sandbox) -> None:
    with WebexClient(sandbox) as webex, KazooClient(sandbox) as kazoo:
        assert webex.ask(*EVENING).headers["Date"]
        sandbox.switch("webex", "date_header", "off")
        assert "Date" not in webex.ask(*EVENING).headers
        assert kazoo.get("cdrs").headers["Date"]


@pytest.mark.parametrize("kind", ["bad_byte", "cut_character", "lone_surrogate", "huge_integer", "deep"])
def test_switch_damage(run: Starter, kind: str) -> None:
    sandbox = run(switches={"kazoo": {"damage": kind}})
    bad = {**TEXTS, **NUMBERS}[kind]
    with KazooClient(sandbox) as kazoo:
        one, other = kazoo.get("cdrs").content, kazoo.get("cdrs").content
        assert 0 < one.count(bad) == other.count(bad)
        sandbox.switch("kazoo", "damage", "none")
        whole = kazoo.get("cdrs")
        assert bad not in whole.content
        assert one.count(bad) == sum(map(is_damaged, whole.json()["data"]))


def test_switch_maintenance(run: Starter) -> None:
    clock = HandClock(at("2026-11-20T12:00"))
    sandbox = run(now=clock, switches={"kazoo": {"maintenance": "10"}})
    with KazooClient(sandbox) as kazoo:
        for minutes, status in ((0, 503), (9, 503), (1, 200)):
            clock.move(60 * minutes)
            assert kazoo.get("cdrs").status_code == status


def test_every_switch_and_every_action_has_a_test() -> None:
    # late, changed and dropped are the same everywhere: test_late.py
    for provider in PROVIDERS:
        text = "".join(file.read_text(encoding="utf-8") for file in (HERE / provider).glob("test_*.py"))
        for name in set(known_switches(provider)) - set(EVERYWHERE) - {"version", "late", "changed", "dropped"}:
            assert f"def test_switch_{name}" in text, (provider, name)
    text = Path(__file__).read_text(encoding="utf-8")
    for name in EVERYWHERE:
        assert f"def test_switch_{name}" in text
    for action in ACTIONS:
        assert f'"{action}"' in text


# architecture


def test_sandbox_imports_no_other_part_of_the_program() -> None:
    """Two independent implementations of one document reveal each other's mistakes."""
    for file in Path(cdrctl.sandbox.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
                assert node.level == 0
            own = [name for name in names if re.match(r"cdrctl\b", name)]
            assert all(name.startswith("cdrctl.sandbox") for name in own), file.name
