"""The switches and releases of the imitated Crossbar, and its CSV."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, start, uniform
from cdrctl.sandbox.kazoo.keys import OBJECT, integer, pack
from cdrctl.sandbox.kazoo.releases import COLUMNS
from cdrctl.sandbox.kazoo.switches import SWITCHES
from tests.sandbox.clients import DATA, GREGORIAN, KazooClient, at, gregorian, quoted, sample
from tests.sandbox.conftest import Starter
from tests.sandbox.hard import several
from tests.support.clock import HandClock

from .client import RECORDED, WEEK, few, shape_of, whole

# What else goes wrong


def test_switch_fail_chunk(run: Starter) -> None:
    """2600hz/kazoo, crossbar_view.erl: 135 rows, pages of 100 and more: rows are missing without an error."""
    known = sample(f"{RECORDED}midstream_failure_200_success.json")["response"]
    sandbox = run(exchange=few(135), switches={"kazoo": {"fail_chunk": "3"}})
    range_ = whole(at("2026-11-10"), at("2026-11-11"))
    with KazooClient(sandbox) as client:
        page = client.list(*range_, page_size=135, most=1).pages[0].json()
        assert (len(page["data"]), page["page_size"], page["status"]) == (100, "100", "success")
        assert list(page) == list(known)
        listing = client.list(*range_, page_size=135)
        assert len(set(listing.ids)) == len(listing.ids) == 135
        silent = client.list(*range_, paginate="false").pages[0].json()
        assert (len(silent["data"]), "next_start_key" in silent) == (100, False)
        assert len(client.list(*range_, paginate="false", is_chunked="false").rows) == 135
        sandbox.switch("kazoo", "fail_chunk", "1")
        page = client.get("cdrs")
        assert (page.status_code, page.json()["data"]["cause"]) == (500, "timeout")


def test_switch_cut_body(run: Starter) -> None:
    with KazooClient(run(exchange=few(120), switches={"kazoo": {"cut_body": "2"}})) as client:
        bodies = [client.get("cdrs") for _ in range(3)]
    assert [page.status_code for page in bodies] == [200] * 3
    assert bodies[0].json()["status"] == bodies[2].json()["status"] == "success"
    with pytest.raises(json.JSONDecodeError):
        bodies[1].json()


def test_switch_poison(run: Starter) -> None:
    """A document without call_direction: its page always fails, its neighbours can be read."""
    sandbox = run(exchange=few(200))
    window = at("2026-11-10"), at("2026-11-11")
    rows = sandbox.truth("kazoo", "cdrs", *window)
    bad = rows[100]
    sandbox.switch("kazoo", "poison", bad["id"])
    lo, hi = whole(*window)
    saved = int(bad["timestamp"]) + bad["duration_seconds"] + 1
    with KazooClient(sandbox) as client:
        for _ in range(2):
            page = client.get(
                "cdrs",
                {
                    "created_from": lo,
                    "created_to": hi,
                    "page_size": 50,
                    "start_key": pack(integer(saved), OBJECT),
                },
            )
            known = next(one for one in sample("kazoo/constructed_http_errors.json")["errors"] if one["status"] == 503)
            assert (page.status_code, page.json()["data"]) == (503, known["body"]["data"])
        got = client.list(saved + 1, hi).ids + client.list(lo, saved - 1).ids
        assert "call_direction" not in client.get(f"cdrs/{quoted(bad['id'])}").json()["data"]
    assert set(got) == {row["id"] for row in rows} - {bad["id"]}
    assert set(got) == {row["id"] for row in sandbox.truth("kazoo", "cdrs", *window)}


def test_switch_strip_empty(run: Starter) -> None:
    with KazooClient(run(switches={"kazoo": {"strip_empty": "on"}})) as client:
        rows = client.list(*whole(*WEEK)).rows
        assert not any("" in (v for v in row.values() if isinstance(v, str)) for row in rows)
        assert min(len(row) for row in rows) < len(COLUMNS)
        assert rows[0]["media_recordings"] == [] or rows[0]["media_recordings"]


def test_switch_costs(run: Starter) -> None:
    found = {}
    for value in ("whole", "fractions"):
        with KazooClient(run(switches={"kazoo": {"costs": value}})) as client:
            found[value] = {row["id"]: Decimal(row["cost"]) for row in client.list(*whole(*WEEK)).rows}
    assert any(cost % 1 for cost in found["fractions"].values())
    assert found["fractions"] == {one: cost * Decimal("0.985") for one, cost in found["whole"].items()}


@pytest.mark.parametrize(
    ("value", "lower", "upper"),
    [("closed", 1, 1), ("half_open", 1, 0), ("open_low", 0, 1), ("open", 0, 0)],
)
@pytest.mark.parametrize("more", [{}, {"ascending": "true"}, {"paginate": "false", "is_chunked": "false"}])
def test_switch_bounds(run: Starter, value: str, lower: int, upper: int, more: dict[str, Any]) -> None:
    began = at("2026-11-18T12:00")
    exchange = Exchange(1, uniform(1, began, began + timedelta(hours=1), talk_seconds=27))
    saved = gregorian(began + timedelta(seconds=30))  # two seconds of ringing, and one until it is saved
    with KazooClient(run(exchange=exchange, switches={"kazoo": {"bounds": value}})) as client:
        assert len(client.list(saved, saved + 60, **more).rows) == lower
        assert len(client.list(saved - 60, saved, **more).rows) == upper
        assert len(client.list(saved - 1, saved + 1, **more).rows) == 1


def test_switch_views(run: Starter, clock: HandClock) -> None:
    """Each month has its own view, built from the first request on; documents need no view."""
    sandbox = run(switches={"kazoo": {"views": "600"}})
    with KazooClient(sandbox) as client:
        lo, hi = whole(*WEEK)
        asked = {"created_from": lo, "created_to": hi}
        page = client.get("cdrs", asked)
        assert (page.status_code, page.json()["data"]["message"]) == (503, "datastore missing view")
        clock.move(599)
        assert client.get("cdrs", asked).status_code == 503
        clock.move(1)
        page = client.get("cdrs", asked)
        assert page.status_code == 200
        assert client.get(f"cdrs/{quoted(page.json()['data'][0]['id'])}").status_code == 200
        assert client.get("cdrs/interaction", asked).status_code == 503


@pytest.mark.parametrize(("value", "sign"), [("minus_unix", -1), ("unix", 1)])
def test_switch_duration(run: Starter, value: str, sign: int) -> None:
    """A row's start is its end minus its length: decades from now, or in 1970."""
    with KazooClient(run()) as client:
        right = {row["id"]: row for row in client.list(*whole(*WEEK)).rows}
    with KazooClient(run(switches={"kazoo": {"duration": value}})) as client:
        rows = {row["id"]: row for row in client.list(*whole(*WEEK)).rows}
        wrong = [row for row in rows.values() if abs(row["duration_seconds"]) > 10**9]
        document = client.get(f"cdrs/{quoted(wrong[0]['id'])}").json()["data"]
    assert rows.keys() == right.keys()
    assert 0 < len(wrong) < len(rows)
    for row in wrong:
        began = int(right[row["id"]]["unix_timestamp"])
        assert row["duration_seconds"] == row["billing_seconds"] == sign * began
        assert int(row["unix_timestamp"]) == began - sign * began
        assert int(row["timestamp"]) - GREGORIAN == began - sign * began
    assert document["timestamp"] - GREGORIAN == int(right[wrong[0]["id"]]["unix_timestamp"])


@pytest.mark.parametrize("value", ["empty", "absent"])
def test_switch_billing(run: Starter, value: str) -> None:
    with KazooClient(run(switches={"kazoo": {"billing": value}})) as client:
        rows = client.list(*whole(*WEEK)).rows
    known = [row for row in rows if isinstance(row.get("billing_seconds"), int)]
    assert 0 < len(known) < len(rows)
    assert {row.get("billing_seconds", "absent") for row in rows if row not in known} == {
        "" if value == "empty" else "absent"
    }


def test_switch_max_range(run: Starter) -> None:
    with KazooClient(run(switches={"kazoo": {"max_range": "86400"}})) as client:
        page = client.get("cdrs", {"created_from": gregorian(WEEK[0]), "created_to": gregorian(WEEK[1])})
        text = page.json()["data"]["created_from"]["date_range"]["message"]
        assert re.search(r"more than (\d+) seconds", text).group(1) == "86400"  # type: ignore[union-attr]
    with KazooClient(run()) as client:
        lo = gregorian(at("2026-10-01"))
        assert client.get("cdrs", {"created_from": lo, "created_to": lo + 2_682_000}).status_code == 200
        assert client.get("cdrs", {"created_from": lo, "created_to": lo + 2_682_001}).status_code == 400


def test_switch_token_ttl(run: Starter, clock: HandClock) -> None:
    with KazooClient(run(switches={"kazoo": {"token_ttl": "10"}}), "api_key") as client:
        client.token = client.sign_in().json()["auth_token"]
        assert client.get("cdrs").status_code == 200
        clock.move(10)
        assert client.get("cdrs").status_code == 401


def test_switch_account(run: Starter) -> None:
    with KazooClient(run(switches={"kazoo": {"account": "expired"}})) as client:
        page = client.get("cdrs")
        assert (page.status_code, page.json()["message"]) == (423, "locked")


def test_switch_reseller(run: Starter) -> None:
    sandbox = run(switches={"kazoo": {"reseller": "on"}})
    with KazooClient(sandbox) as client:
        rows = client.list(*whole(*WEEK)).rows
    assert list(rows[0]) == list(sample(f"{RECORDED}list_reseller.json")["data"][0])
    assert {row["reseller_call_type"] for row in rows} == {"", "per_minute"}


def test_switch_memory_limit(run: Starter) -> None:
    with KazooClient(run(exchange=few(120), switches={"kazoo": {"memory_limit": "100"}})) as client:
        unpaged = {"paginate": "false", "is_chunked": "false"}
        assert client.get("cdrs", unpaged).status_code == 416
        lo = gregorian(at("2026-11-10T12:00"))
        assert client.get("cdrs", {**unpaged, "created_from": lo}).status_code == 200
        assert len(client.list(*whole(at("2026-11-10"), at("2026-11-11"))).rows) == 120


def test_switch_late_save(run: Starter, clock: HandClock) -> None:
    begin = at("2026-11-20T10:00")
    exchange = Exchange(calls=uniform(1, begin, begin + timedelta(seconds=1)))
    with KazooClient(run(exchange=exchange, switches={"kazoo": {"late_save": "240"}})) as client:
        for seconds, many in ((302, 0), (303, 1)):
            clock.time = begin + timedelta(seconds=seconds)
            assert len(client.get("cdrs").json()["data"]) == many


@pytest.mark.parametrize(("version", "repeats"), [("5.0", False), ("4.2", True), ("4.0", True)])
def test_switch_same_second(run: Starter, version: str, *, repeats: bool) -> None:
    """Seven documents of one second: pages of five repeat up to 4.2, pages of three never end."""
    sandbox = run(exchange=few(35), switches={"kazoo": {"same_second": "7", "version": version}})
    with KazooClient(sandbox) as client:
        range_ = whole(at("2026-11-10"), at("2026-11-11"))
        ids = client.list(*range_, page_size=10).ids
        assert len(set(ids)) == 35
        assert (len(ids) > 35) is repeats
        pages = client.list(*range_, page_size=3, most=30).pages
        keys = [page.json().get("next_start_key") for page in pages]
        assert (len(set(keys)) < len(keys)) is repeats


def test_switch_archived(run: Starter) -> None:
    sandbox = run(switches={"kazoo": {"archived": "202610"}})
    with KazooClient(sandbox) as client:
        page = client.get(
            "cdrs", {"created_from": gregorian(at("2026-10-02")), "created_to": gregorian(at("2026-10-09"))}
        )
        assert (page.status_code, page.json()["data"]) == (200, [])
        assert sandbox.truth("kazoo", "cdrs", at("2026-10-02"), at("2026-10-09")) == []
        assert client.list(*whole(*WEEK)).rows


# Versions


def test_version_5x(run: Starter) -> None:
    known = sample("kazoo/constructed_list_page_5x.json")
    sandbox = run(exchange=few(120), switches={"kazoo": {"version": "5.x"}})
    range_ = whole(at("2026-11-10"), at("2026-11-11"))
    with KazooClient(sandbox) as client:
        page = client.list(*range_, most=1).pages[0].json()
        assert list(page) == list(known)
        assert list(page["data"][0]) == list(known["data"][0])
        assert page["page_size"] == 50
        assert re.fullmatch(r"[\d-]{10} [\d:]{8}", page["data"][0]["datetime"])
        lo, hi = range_
        marked = client.get("cdrs", {"created_from": lo, "created_to": hi, "bookmark": page["next_start_key"]}).json()
        assert not {row["id"] for row in marked["data"]} & {row["id"] for row in page["data"]}
        only = client.get("cdrs", {"fields": '["id","cost"]'}).json()["data"]
        assert {tuple(row) for row in only} == {("id", "cost")}
        only = client.get("cdrs", {"fields": '["_id","cost"]'}).json()["data"]
        assert {tuple(row) for row in only} == {("cost", "id")}
        assert len(client.get("cdrs", {"fields": "id"}).json()["data"][0]) > 30
        docs = client.get("cdrs", {"full_docs": "true"}).json()["data"]
        assert type(docs[0]["timestamp"]) is int
        assert docs[0]["event_name"] == "CHANNEL_DESTROY"


def test_version_43(run: Starter) -> None:
    with KazooClient(run(switches={"kazoo": {"version": "4.3"}})) as client:
        row = client.list(*whole(*WEEK), most=1).rows[0]
        columns = [one for one in COLUMNS if one != "unix_timestamp_micro"]
        columns.insert(columns.index("hangup_cause") + 1, "disposition")
        assert list(row) == columns
        rows = client.list(*whole(*WEEK), "cdrs/interaction").rows
        assert {row["inception_direction"] for row in rows} == {"origination"}
        url = f"{client.base_url}/accounts/{client.account}/cdrs"
        assert client.http.get(url, headers={"Authorization": f"Bearer {client.token}"}).status_code == 401


def test_version_42(run: Starter) -> None:
    known = sample("kazoo/constructed_list_row_42_string_seconds.json")
    with KazooClient(run(exchange=few(1), switches={"kazoo": {"version": "4.2"}})) as client:
        page = client.get("cdrs").json()
        assert list(page) == list(known)
        assert list(page["data"][0]) == list(known["data"][0])
        assert shape_of(page["data"][0]) == shape_of(known["data"][0])
        doc = client.get(f"cdrs/{page['data'][0]['id']}").json()["data"]
        assert (doc["duration_seconds"], doc["billing_seconds"]) == ("62", "60")


@pytest.mark.parametrize("version", ["4.0", "3.22"])
def test_versions_40_and_322_have_the_old_envelope_and_columns(run: Starter, version: str) -> None:
    known = sample("kazoo/doc_kazoo_3.21_list.json")
    with KazooClient(run(exchange=few(120), switches={"kazoo": {"version": version}})) as client:
        listing = client.list(*whole(at("2026-11-10"), at("2026-11-11")))
        page = listing.pages[0].json()
        assert listing.pages[0].text.startswith('{"status":"success","data":[')
        assert set(page) == set(known)
        assert page["page_size"] == 50
        assert page["next_start_key"].isdigit()
        assert len(set(listing.ids)) == 120
        row = page["data"][0]
        assert row["rfc_1036"].startswith('"')
        assert set(row) - {"media_recordings"} == set(known["data"][0]) - {"reseller_cost", "reseller_call_type"}
        assert re.fullmatch(r'"[\d-]{10}"', row["iso_8601"])


def test_every_version_has_a_test() -> None:
    assert set(SWITCHES["version"].words) | {"5.0"} == {"5.0", "5.x", "4.3", "4.2", "4.0", "3.22"}


# CSV


def test_csv_has_the_faults_of_recorded_csv(kazoo: KazooClient) -> None:
    known = (DATA / f"{RECORDED}list.csv").read_text(encoding="utf-8").splitlines()[0]
    page = kazoo.get("cdrs", Accept="text/csv")
    lines = page.content.decode().split("\n")
    assert lines[0] == known
    assert len(lines) == 52
    bad = (DATA / f"{RECORDED}interaction_unquoted.csv").read_bytes().decode().split("\r\n")[0]
    lines = kazoo.get("cdrs/interaction", {"accept": "csv"}).content.decode().split("\r\n")
    assert lines[0] == bad.strip()
    assert '"' not in lines[1] or '""' not in lines[1]


def test_csv_without_rows_is_204(run: Starter) -> None:
    with KazooClient(run(exchange=few(0))) as client:
        page = client.get("cdrs", {"accept": "csv"})
        assert (page.status_code, page.content) == (204, b"")


@pytest.mark.slow
def test_responses_are_the_same_in_every_run(clock: HandClock) -> None:
    bodies = []
    for _ in range(2):
        with start(now=clock, seed="x") as sandbox, KazooClient(sandbox) as client:
            bodies.append(client.get("cdrs").content)
    assert bodies[0] == bodies[1]


def test_switch_interaction() -> None:
    assert several("kazoo", "interaction_id", {}) == 0
    assert several("kazoo", "interaction_id", {"interaction": "own"}) > 0
