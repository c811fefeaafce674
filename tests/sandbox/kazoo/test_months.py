"""Interactions, legs, and listings over the start of a month."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, Sandbox, straddlers, uniform
from cdrctl.sandbox.kazoo.accounts import OWNER_IDS
from tests.sandbox.clients import KazooClient, at, gregorian
from tests.sandbox.conftest import Starter
from tests.support.clock import HandClock

from .client import WEEK, recorded, whole

MARCH = at("2022-03-01")


# Interactions and legs


def test_an_interaction_is_listed_by_its_earliest_leg(kazoo: KazooClient, sandbox: Sandbox) -> None:
    rows = kazoo.list(*whole(*WEEK), "cdrs/interaction").rows
    want = sandbox.truth("kazoo", "interactions", *WEEK)
    calls = sandbox.provider("kazoo").exchange.calls(*WEEK)
    assert len(want) == len(calls)
    assert {row["id"] for row in rows if gregorian(WEEK[0]) <= int(row["timestamp"]) < gregorian(WEEK[1])} == {
        row["id"] for row in want
    }
    began = [row["interaction_id"][:11] for row in rows]
    assert began == sorted(began, reverse=True)


def test_user_listing_has_the_earliest_leg_of_each_interaction(kazoo: KazooClient, sandbox: Sandbox) -> None:
    owner = OWNER_IDS["Avery Brooks"]
    rows = kazoo.list(*whole(*WEEK), f"users/{owner}/cdrs/interaction").rows
    want = sandbox.truth("kazoo", "interactions", *WEEK, user=owner)
    assert {row["id"] for row in rows if int(row["timestamp"]) < gregorian(WEEK[1])} == {row["id"] for row in want}
    assert len({row["interaction_id"] for row in want}) == len(want) > 10


@pytest.mark.parametrize(("version", "many"), [("5.0", 0), ("4.3", 0), ("5.x", 1)])
def test_interactions_that_end_after_the_range_are_lost_before_5x(run: Starter, version: str, many: int) -> None:
    begin = at("2026-11-10T10:00")
    exchange = Exchange(calls=uniform(1, begin, begin + timedelta(seconds=1), talk_seconds=600))
    with KazooClient(run(exchange=exchange, switches={"kazoo": {"version": version}})) as client:
        lo = gregorian(begin)
        assert len(client.list(lo, lo + 300, "cdrs/interaction").rows) == many
        assert len(client.list(lo, lo + 900, "cdrs/interaction").rows) == 1


def test_newest_page_of_legs_comes_first_with_its_oldest_leg_first(kazoo: KazooClient, sandbox: Sandbox) -> None:
    rows = sandbox.truth("kazoo", "cdrs", *WEEK)
    by_interaction: dict[str, list[str]] = {}
    for row in rows:
        by_interaction.setdefault(row["interaction_id"], []).append(row["id"])
    interaction, ids = max(by_interaction.items(), key=lambda item: len(item[1]))
    assert len(ids) > 3
    page = kazoo.get(f"cdrs/legs/{interaction}")
    assert list(page.json()) == list(json.loads(recorded("legs")))
    assert [doc["id"] for doc in page.json()["data"]] == ids
    path = f"cdrs/legs/{interaction}"

    def pages(**asked: Any) -> list[list[str]]:
        got = []
        while True:
            body = kazoo.get(path, {"page_size": 2, **asked}).json()
            got.append([doc["id"] for doc in body["data"]])
            if "next_start_key" not in body:
                return got
            asked["start_key"] = body["next_start_key"]

    assert [one for page in reversed(pages()) for one in page] == ids
    assert [one for page in pages(ascending="true") for one in reversed(page)] == ids
    assert kazoo.get(path, {"ascending": "true"}).json()["data"][0]["id"] == ids[-1]
    assert [doc["id"] for doc in kazoo.get(path, {"paginate": "false"}).json()["data"]] == ids
    assert kazoo.get(path, {"start_key": "!!!"}).json()["data"] == []
    plain = next(one for one in ids if re.fullmatch(r"[\w-]+", one))
    assert [doc["id"] for doc in kazoo.get(f"cdrs/legs/{plain}").json()["data"]] == ids


def test_legs_of_an_unknown_id_are_empty_or_404(kazoo: KazooClient) -> None:
    page = kazoo.get("cdrs/legs/63960000000-00000000")
    assert (page.status_code, page.json()["data"]) == (200, [])
    assert kazoo.get("cdrs/legs/202611-nope").status_code == 404
    assert kazoo.get("cdrs/legs/nope").json()["data"] == {"cause": "nope", "message": "bad identifier"}
    assert kazoo.get("cdrs/legs/63960000000-x", {"page_size": "0"}).status_code == 404


def test_unknown_paths_credentials_and_calls_are_refused(kazoo: KazooClient) -> None:
    assert kazoo.get("phones").status_code == 404
    assert kazoo.get("cdrs/summary").json()["data"] == {}
    assert kazoo.http.get(f"{kazoo.base_url}/about", headers={"X-Auth-Token": kazoo.token}).status_code == 404
    with pytest.raises(ValueError, match="api_key"):
        kazoo.sandbox.credentials("kazoo", "card")
    with pytest.raises(ValueError, match="cdrs and interactions"):
        kazoo.sandbox.truth("kazoo", "stream", *WEEK)


def straddling(march: int = 5) -> Exchange:
    """Five calls across the start of March 2022, and some that begin on the hours after it."""
    later = uniform(march, MARCH, MARCH + timedelta(hours=5 * march), name="march") if march else []
    return Exchange(calls=straddlers(MARCH) + later)


@pytest.fixture
def april(clock: HandClock) -> HandClock:
    clock.time = at("2022-04-20T12:00")
    return clock


# The month start


@pytest.mark.usefixtures("april")
def test_calls_across_a_month_start_are_in_no_month(run: Starter) -> None:
    sandbox = run(exchange=straddling(0))
    february, march = (gregorian(at("2022-02-01")), gregorian(MARCH) - 1), (gregorian(MARCH), gregorian(MARCH) + 86_400)
    probe = gregorian(MARCH) - 1, gregorian(MARCH) + 86_400
    with KazooClient(sandbox) as client:
        assert [len(client.list(*each).rows) for each in (february, march)] == [0, 0]
        assert len(client.list(*probe, paginate="false", is_chunked="false").rows) == 5
        assert len(client.month(at("2022-02-01"), MARCH)) == 5
    assert len(sandbox.truth("kazoo", "cdrs", at("2022-02-01"), MARCH)) == 5


@pytest.mark.usefixtures("april")
@pytest.mark.parametrize(
    ("size", "rows", "ids"), [(1, 5, 5), (2, 5, 5), (4, 5, 5), (3, 12, 10), (5, 12, 10), (50, 10, 10)]
)
def test_paged_request_across_a_month_start_loses_or_repeats_rows(run: Starter, size: int, rows: int, ids: int) -> None:
    """2600hz/kazoo, crossbar_view.erl: page sizes 1, 2, 4 lose all five, 3 and 5 double two."""
    with KazooClient(run(exchange=straddling())) as client:
        lo, hi = gregorian(MARCH) - 1, gregorian(MARCH) + 86_400
        listing = client.list(lo, hi, page_size=size)
        assert (len(listing.ids), len(set(listing.ids))) == (rows, ids)
        assert len(client.list(lo, hi, paginate="false", is_chunked="false").rows) == 10


@pytest.mark.usefixtures("april")
def test_ascending_request_across_a_month_start_loses_rows_of_the_new_month(run: Starter) -> None:
    with KazooClient(run(exchange=straddling())) as client:
        lo, hi = gregorian(MARCH) - 1, gregorian(MARCH) + 86_400
        got = client.list(lo, hi, page_size=2, ascending="true").ids
        assert len([one for one in got if one.startswith("202202")]) == 5
        assert len([one for one in got if one.startswith("202203")]) < 5
        looped = client.list(lo, hi, page_size=5, ascending="true", most=9)
        keys = [page.json()["next_start_key"] for page in looped.pages]
        assert len(set(keys)) < len(keys)


@pytest.mark.usefixtures("april")
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 50])
@pytest.mark.parametrize("order", ["true", "false"])
@pytest.mark.parametrize("chunked", ["true", "false"])
def test_switch_month_cursor(run: Starter, size: int, order: str, chunked: str) -> None:
    with KazooClient(run(exchange=straddling(), switches={"kazoo": {"month_cursor": "right"}})) as client:
        lo, hi = gregorian(MARCH) - 1, gregorian(MARCH) + 86_400
        got = client.list(lo, hi, page_size=size, ascending=order, is_chunked=chunked).ids
        assert len(got) == len(set(got)) == 10
        some: dict[str, Any] = {"filter_caller_id_number": "+12025550110"}
        kept = client.list(lo, hi, page_size=size, ascending=order, is_chunked=chunked, **some).ids
        assert len(kept) == len(set(kept)) == 2


@pytest.mark.usefixtures("april")
def test_switch_straddle(run: Starter) -> None:
    with KazooClient(run(exchange=straddling(), switches={"kazoo": {"straddle": "found"}})) as client:
        for size in (1, 3, 50):
            got = client.list(gregorian(MARCH), gregorian(MARCH) + 86_400, page_size=size).ids
            assert len(got) == len(set(got)) == 10


@pytest.mark.slow
def test_documented_workaround_exports_exactly_the_true_rows(sandbox: Sandbox, kazoo: KazooClient) -> None:
    since, until = at("2026-10-20"), at("2026-11-03")
    want = {row["id"] for row in sandbox.truth("kazoo", "cdrs", since, until)}
    assert kazoo.month(since, until) == want
    naive = set()
    for lo, hi in ((since, at("2026-11-01")), (at("2026-11-01"), until + timedelta(days=1))):
        naive |= set(kazoo.list(gregorian(lo), gregorian(hi) - 1).ids)
    assert want - naive


@pytest.mark.parametrize("size", [7, 50, 333])
def test_interactions_can_be_paged_across_a_month_start(sandbox: Sandbox, kazoo: KazooClient, size: int) -> None:
    """Their key is the start, which also decides the database: each month has its own range of keys."""
    since, until = at("2026-10-28"), at("2026-11-03")
    ids = kazoo.list(*whole(since, until), "cdrs/interaction", page_size=size).ids
    assert len(set(ids)) == len(ids)
    want = {row["id"] for row in sandbox.truth("kazoo", "interactions", since, until)}
    after = {row["id"] for row in sandbox.truth("kazoo", "interactions", until, until + timedelta(days=1))}
    assert want <= set(ids) <= want | after
