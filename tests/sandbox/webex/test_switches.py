"""The switches of the imitated Webex."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, start, uniform
from tests.sandbox.clients import WebexClient, at
from tests.sandbox.conftest import BUSY, Starter
from tests.sandbox.hard import several
from tests.support.clock import HandClock

from .client import DAY, EVENING, EXCHANGES, FIELDS, OLDER, by_id, full, shape


def test_switch_filter(run: Starter) -> None:
    """A call 11:59 to 12:10 is in the window before noon, or in the one after."""
    before, noon, after = at("2026-11-18T00:00"), at("2026-11-18T12:00"), at("2026-11-19T00:00")
    calls = uniform(1, noon - timedelta(minutes=1), noon, talk_seconds=660)
    for value, counts in (("start", (1, 0)), ("end", (0, 1))):
        with WebexClient(run(exchange=Exchange(calls=calls), switches={"webex": {"filter": value}})) as client:
            assert (len(client.all(before, noon)), len(client.all(noon, after))) == counts


@pytest.mark.parametrize(
    ("value", "lower", "upper"),
    [("half_open", 1, 0), ("closed", 1, 1), ("open_low", 0, 1), ("open", 0, 0)],
)
def test_switch_bounds(run: Starter, value: str, lower: int, upper: int) -> None:
    noon = at("2026-11-18T12:00")
    calls = uniform(1, noon, noon + timedelta(hours=1))
    with WebexClient(run(exchange=Exchange(calls=calls), switches={"webex": {"bounds": value}})) as client:
        assert len(client.all(noon - timedelta(hours=1), noon)) == upper
        assert len(client.all(noon, noon + timedelta(hours=1))) == lower
        assert len(client.all(noon - timedelta(seconds=1), noon + timedelta(seconds=1))) == 1


def test_switch_empty(run: Starter) -> None:
    sandbox = run(exchange=full(0))
    with WebexClient(sandbox) as client:
        page = client.ask(*EVENING)
        known = EXCHANGES["empty window as 404"]["response"]["body"]
        assert page.status_code == 404
        assert page.json() | {"trackingId": ""} == known | {"trackingId": ""}
        sandbox.switch("webex", "empty", "200")
        page = client.ask(*EVENING)
        assert (page.status_code, page.json()) == (200, {"items": []})
        sandbox.switch("webex", "empty", "204")
        page = client.ask(*EVENING)
        assert (page.status_code, page.content) == (204, b"")


@pytest.mark.thin
@pytest.mark.parametrize(
    ("value", "begins", "ends"),
    [
        ("plain", "<http://", '>; rel="next"'),
        ("doc", "<<http://", '>;rel="next">'),
        ("absolute_path", "</webex/v1/cdr_feed?", '>; rel="next"'),
        ("relative_path", "<cdr_feed?", '>; rel="next"'),
        ("query", "<?", '>; rel="next"'),
        ("network_path", "<//127.0.0.1:", '>; rel="next"'),
    ],
)
def test_switch_link(run: Starter, value: str, begins: str, ends: str) -> None:
    with WebexClient(run(exchange=full(600), switches={"webex": {"link": value}})) as client:
        link = client.ask(*EVENING, max=500).headers["Link"]
        assert link.startswith(begins)
        assert link.endswith(ends)
        assert len(client.all(*EVENING, max=500)) == 600


def test_switch_link_with_others(run: Starter) -> None:
    with WebexClient(run(exchange=full(600), switches={"webex": {"link": "with_others"}})) as client:
        link = client.ask(*EVENING, max=500).headers["Link"]
    assert link.index('rel="first"') < link.index("REL=NEXT")


@pytest.mark.thin
@pytest.mark.parametrize("value", ["items", "no_items"])
def test_switch_empty_page(run: Starter, value: str) -> None:
    sandbox = run(exchange=full(1100), switches={"webex": {"empty_page": value}})
    with WebexClient(sandbox) as client:
        bodies = [page.json() for page in client.pages(*EVENING, max=500)]
    empty: dict[str, Any] = {"items": []} if value == "items" else {}
    assert [len(body.get("items", [])) for body in bodies] == [500, 0, 500, 0, 100]
    assert bodies[1] == bodies[3] == empty
    got = [record for body in bodies for record in body.get("items", [])]
    assert got == sandbox.truth("webex", "cdrs", *EVENING)


@pytest.mark.parametrize("legs", [1, 3])
def test_switch_page_overlap(run: Starter, legs: int) -> None:
    exchange = Exchange(calls=uniform(8, *EVENING, legs=legs))
    sandbox = run(exchange=exchange, switches={"webex": {"page_overlap": "on", "max_floor": "1"}})
    with WebexClient(sandbox) as client:
        for size in (1, 2, 4, 5):
            got = client.all(*EVENING, max=size)
            assert by_id(got) == by_id(sandbox.truth("webex", "cdrs", *EVENING))
        assert len(got) > len(by_id(got))


@pytest.mark.slow
def test_switch_order(run: Starter) -> None:
    sandbox = run(exchange=full(1000))
    with WebexClient(sandbox) as client:
        pages = {}
        for value in ("ascending", "descending", "shuffled"):
            sandbox.switch("webex", "order", value)
            pages[value] = [record["Start time"] for record in client.ask(*EVENING, max=500).json()["items"]]
    assert pages["ascending"] == sorted(pages["ascending"])
    assert pages["descending"] == pages["ascending"][::-1]
    assert pages["shuffled"] != pages["ascending"]
    assert sorted(pages["shuffled"]) == pages["ascending"]


def test_limits_allow_1_first_page_and_10_next_pages_per_minute(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(20), limits=True, switches={"webex": {"max_floor": "1"}})
    with WebexClient(sandbox) as client:
        statuses = [page.status_code for page in client.pages(*EVENING, max=1)]
        assert statuses == [200] * 11 + [429]
        known = EXCHANGES["rate limit"]["response"]
        page = client.ask(*EVENING)
        assert page.status_code == 429
        assert page.headers["Retry-After"] == known["headers"]["Retry-After"]
        assert page.json() | {"trackingId": ""} == known["body"] | {"trackingId": ""}
        clock.move(59)
        assert client.ask(*EVENING).status_code == 429
        clock.move(1)
        assert client.ask(*EVENING).status_code == 200


def test_switch_limits_off(run: Starter) -> None:
    sandbox = run(exchange=full(1), limits=True)
    with WebexClient(sandbox) as client:
        assert [client.ask(*EVENING).status_code for _ in range(2)] == [200, 429]
        sandbox.switch("webex", "limits", "off")
        assert client.ask(*EVENING).status_code == 200


@pytest.mark.parametrize(
    ("value", "header"), [("none", None), ("5", "5"), ("http_date", "Fri, 20 Nov 2026 12:01:00 GMT")]
)
def test_switch_retry_after(run: Starter, value: str, header: str | None) -> None:
    sandbox = run(exchange=full(1), limits=True, switches={"webex": {"retry_after": value}})
    with WebexClient(sandbox) as client:
        client.ask(*EVENING)
        assert client.ask(*EVENING).headers.get("Retry-After") == header


@pytest.mark.parametrize(("value", "status"), [("on", 429), ("off", 404)])
def test_switch_shared_limit(run: Starter, clock: HandClock, value: str, status: int) -> None:
    sandbox = run(exchange=full(1), limits=True, switches={"webex": {"shared_limit": value}})
    with WebexClient(sandbox) as client:
        client.ask(*EVENING)
        hour = clock() - timedelta(hours=2), clock() - timedelta(hours=1)
        assert client.ask(*hour, "cdr_stream").status_code == status


@pytest.mark.parametrize(("value", "name"), [("451_please_use", "older"), ("451_url", "newer")])
def test_switch_region(run: Starter, value: str, name: str) -> None:
    with WebexClient(run(switches={"webex": {"region": value}})) as client:
        page = client.ask(*EVENING)
        known = EXCHANGES[f"wrong region, {name} wording"]["response"]
        assert page.status_code == 451
        assert page.json() | {"trackingId": ""} == known["body"] | {"trackingId": ""}
        assert "Location" not in page.headers


@pytest.mark.slow
def test_switch_late(run: Starter, clock: HandClock) -> None:
    """A fifth of the records comes later than five minutes; the stream has them in the window of their arrival."""
    sandbox = run(exchange=full(500), switches={"webex": {"late": "0.2"}})
    clock.time = EVENING[1] + timedelta(minutes=10)
    with WebexClient(sandbox) as client:
        early = by_id(client.all(*EVENING))
        clock.move(24 * 3600)
        late = by_id(client.all(*EVENING))
        assert 350 < len(early) < len(late) == 500
        assert late == by_id(sandbox.truth("webex", "cdrs", *EVENING))
        missing = set(late) - set(early)
        clock.time = EVENING[1] + timedelta(hours=11, minutes=50)
        arrived = client.all(EVENING[1], clock() - timedelta(minutes=1), "cdr_stream", hours=2)
        assert set(by_id(arrived)) & missing
        assert not set(by_id(arrived)) - set(late)


@BUSY
def test_switch_keys(run: Starter) -> None:
    sandbox = run()
    documented = {one["docs_key"] or one["wire_key"] for one in FIELDS}
    with WebexClient(sandbox) as client:
        sandbox.switch("webex", "keys", "2025")
        assert {tuple(record) for record in client.all(*DAY)} == {tuple(OLDER)}
        sandbox.switch("webex", "keys", "doc_case")
        for record in client.all(*DAY):
            assert len(record) == 87
            assert set(record) - {"Device Mac"} == documented - {"Device MAC"}
        sandbox.switch("webex", "keys", "future")
        got = client.all(*DAY)
        assert got == sandbox.truth("webex", "cdrs", *DAY)
        sandbox.switch("webex", "keys", "clients")
        known = client.all(*DAY)
    assert {tuple(record)[87:] for record in known} == {("Report group", "User ID")}
    assert {"CalllPark"} == {record["Related reason"] for record in known if "Park" in record["Related reason"]}
    assert {"Busy", "Unanswered"} < {record["Call outcome reason"] for record in known}
    assert {len(record) for record in got} == {89}
    assert any(record["Call type"] == "SIP_HOLOGRAM" for record in got)
    assert isinstance(got[0]["Agent notes"], dict)


def test_switch_types(run: Starter) -> None:
    with WebexClient(run(switches={"webex": {"types": "doc"}})) as client:
        assert all(type(record["Ring duration"]) is int for record in client.all(*DAY))


def test_switch_error_shape(run: Starter) -> None:
    with WebexClient(run(exchange=full(0), switches={"webex": {"error_shape": "general"}})) as client:
        page = client.ask(*EVENING)
        assert page.status_code == 404
        assert shape(page.json()) == ["message", "errors", "trackingId"]
        assert page.json()["errors"] == [{"description": page.json()["message"]}]


def test_switch_next_ttl(run: Starter, clock: HandClock) -> None:
    sandbox = run(exchange=full(600), switches={"webex": {"next_ttl": "300"}})
    with WebexClient(sandbox) as client:
        url = client.ask(*EVENING, max=500).links["next"]["url"]
        clock.move(299)
        assert client.get(url).status_code == 200
        clock.move(2)
        assert client.get(url).status_code == 400


def test_switch_scope(run: Starter) -> None:
    with WebexClient(run(switches={"webex": {"scope": "missing"}})) as client:
        page = client.ask(*EVENING)
        assert page.status_code == 403
        assert shape(page.json()) == shape(EXCHANGES["missing scope or role"]["response"]["body"])


def test_responses_are_the_same_in_every_run(clock: HandClock) -> None:
    bodies = []
    for _ in range(2):
        with start(now=clock, seed="x") as sandbox, WebexClient(sandbox) as client:
            bodies.append(client.ask(*EVENING).content)
    assert bodies[0] == bodies[1]


def test_switch_interaction() -> None:
    assert several("webex", "Interaction ID", {}) == 0
    assert several("webex", "Interaction ID", {"interaction": "session"}) > 0
