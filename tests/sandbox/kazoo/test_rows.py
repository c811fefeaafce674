"""Rows, documents and envelopes of the imitated Crossbar against recorded ones."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from typing import Any

import pytest

from cdrctl.sandbox.kazoo.keys import OBJECT, integer, pack, unpack
from cdrctl.sandbox.kazoo.releases import COLUMNS
from tests.sandbox.clients import KazooClient, at, gregorian, quoted, sample
from tests.sandbox.conftest import Starter
from tests.support.clock import HandClock
from tests.support.products import for_each

from .client import RECORDED, WEEK, few, recorded, shape_of, whole

PAGE = sample(f"{RECORDED}list_page1_chunked.json")


ROW = PAGE["data"][0]


def masked(text: str) -> str:
    """Blank out what differs between any two answers, keeping every byte of the envelope."""
    text = re.sub(r'"data":\[.*\](?=, ?"|,"revision|})', '"data":[]', text, flags=re.DOTALL)
    for name in (
        "request_id",
        "node",
        "timestamp",
        "auth_token",
        "start_key",
        "next_start_key",
        "page_size",
        "revision",
    ):
        text = re.sub(rf'"{name}":("[^"]*"|\d+)', f'"{name}":"…"', text)
    return re.sub(r'"remaining":\d+', '"remaining":0', text)


# Rows and documents


def test_rows_have_the_columns_and_order_of_recorded_rows(kazoo: KazooClient) -> None:
    rows = kazoo.list(*whole(*WEEK)).rows
    assert list(COLUMNS) == list(ROW)
    assert len(rows) > 500
    for row in rows:
        assert list(row) == list(ROW)
        for name, value in row.items():
            assert type(value) is type(ROW[name]), name


def test_all_times_of_a_row_are_the_start(kazoo: KazooClient) -> None:
    for row in [ROW, *kazoo.list(*whole(*WEEK)).rows]:
        begin = at("1970-01-01") + timedelta(seconds=int(row["unix_timestamp"]))
        assert int(row["timestamp"]) == gregorian(begin)
        assert row["datetime"] == f"{begin:%Y-%m-%d_%H:%M:%S}"
        assert row["iso_8601"] == f"{begin:%Y-%m-%d}"
        assert row["iso_8601_combined"] == f"{begin:%Y-%m-%dT%H:%M:%SZ}"
        assert row["rfc_1036"] == f"{begin:%a, %d %b %Y %H:%M:%S} GMT"
        assert row["unix_timestamp_micro"].startswith(row["unix_timestamp"] + ".")
        assert re.fullmatch(r"\d{11}-\w+", row["interaction_id"])
        assert row["id"] == f"{row['iso_8601'][:4]}{row['iso_8601'][5:7]}-{row['call_id']}"
        assert re.fullmatch(r"\d+\.\d+", row["rate"])
        assert row["cost"].isdigit()


def test_document_of_a_row_has_the_recorded_fields_and_ends_when_the_call_ends(kazoo: KazooClient) -> None:
    known = json.loads(recorded("cdr_detail"))
    for row in kazoo.list(*whole(*WEEK)).rows[:60]:
        page = kazoo.get(f"cdrs/{quoted(row['id'])}")
        body = page.json()
        doc = body["data"]
        assert list(body) == list(known)
        missing = set(known["data"]) - set(doc)
        assert missing <= {"other_leg_call_id"}
        assert doc["id"] == row["id"]
        assert doc["timestamp"] - doc["duration_seconds"] == int(row["timestamp"])
        assert doc["call_direction"] == row["direction"]
        assert doc["channel_created_time"] // 1_000_000 == int(row["unix_timestamp"])
        assert doc["billing_seconds"] + doc["ringing_seconds"] == doc["duration_seconds"]


def test_some_call_ids_need_url_encoding(kazoo: KazooClient) -> None:
    ids = "".join(kazoo.list(*whole(*WEEK)).ids)
    assert all(char in ids for char in "@./%")


def test_causes_are_known_names_and_include_lose_race(kazoo: KazooClient) -> None:
    known = {one["name"] for one in sample("kazoo/data_hangup_causes.json")["causes"]}
    found = {row["hangup_cause"] for row in kazoo.list(*whole(*WEEK)).rows}
    assert found <= known
    assert found >= {"NORMAL_CLEARING", "LOSE_RACE", "ORIGINATOR_CANCEL", "NO_ANSWER", "USER_BUSY", "CALL_REJECTED"}


def test_carrier_legs_have_no_authorizing_id_and_outbound_ones_have_a_price(kazoo: KazooClient) -> None:
    rows = kazoo.list(*whole(*WEEK)).rows
    carriers = [row for row in rows if not row["authorizing_id"]]
    assert {row["direction"] for row in carriers} == {"inbound", "outbound"}
    assert {row["owner_id"] for row in carriers} == {""}
    priced = [row for row in rows if row["call_type"] == "per_minute"]
    assert priced
    for row in priced:
        assert row["direction"] == "outbound"
        seconds, rate = row["billing_seconds"], round(float(row["rate"]) * 10_000)
        minutes = 0 if not seconds else 60 + max(0, -(-(seconds - 60) // 6) * 6)
        assert abs(int(row["cost"]) - minutes * rate / 60) <= 1
    assert {row["cost"] for row in rows if row["call_type"] != "per_minute"} == {"0"}


# Envelopes


@pytest.mark.slow
def test_a_chunked_page_has_the_bytes_of_a_recorded_one(kazoo: KazooClient) -> None:
    listing = kazoo.list(*whole(*WEEK), page_size=500)
    first, last = listing.pages[0], listing.pages[-1]
    assert masked(first.text) == masked(recorded("list_page1_chunked"))
    assert masked(last.text) == masked(recorded("list_last_page"))
    assert first.headers["Transfer-Encoding"] == "chunked"
    assert first.json()["page_size"] == "500"
    assert last.json()["page_size"] == str(len(last.json()["data"]))


def test_unchunked_page_has_the_plain_envelope(kazoo: KazooClient) -> None:
    page = kazoo.list(*whole(*WEEK), is_chunked="false", page_size=5, most=1).pages[0]
    assert masked(page.text) == masked(recorded("list_page1_unchunked"))
    assert page.json()["page_size"] == 5


def test_an_empty_list_has_no_paging_keys(run: Starter) -> None:
    with KazooClient(run(exchange=few(0))) as client:
        assert masked(client.get("cdrs").text) == masked(recorded("list_empty"))


def test_without_paging_there_are_no_paging_keys(kazoo: KazooClient) -> None:
    ways: tuple[dict[str, Any], ...] = ({}, {"is_chunked": "false"})
    for more in ways:
        body = kazoo.list(*whole(*WEEK), paginate="false", **more).pages[0].json()
        assert len(body["data"]) > 500
        assert not {"page_size", "start_key", "next_start_key"} & set(body)


@for_each(
    "key", [PAGE["start_key"], PAGE["next_start_key"], sample(f"{RECORDED}interaction_page.json")["next_start_key"]]
)
def test_start_keys_are_erlang_terms_like_recorded_keys(key: str) -> None:
    assert unpack(PAGE["next_start_key"]) == (63813348061, 1, "202203-mar002")
    assert pack(integer(63813398400), OBJECT) == PAGE["start_key"]
    seconds, kind, text = unpack(key)
    raw = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    assert raw[:2] == b"\x83l"
    assert text.encode() in raw
    assert kind in {1, 2}
    assert seconds > 63_000_000_000


def test_errors_match_recorded_errors(kazoo: KazooClient) -> None:
    lo, hi = 63810892800, 63815990400
    cases = {
        "error_400_date_range": kazoo.get("cdrs", {"created_from": lo, "created_to": hi}),
        "error_404_bad_identifier": kazoo.get("cdrs/202203-nope"),
        "error_404_cdr": kazoo.get("cdrs/nope"),
        "error_404_page_size": kazoo.get("cdrs", {"page_size": 0}),
    }
    for name, page in cases.items():
        assert masked(page.text) == masked(recorded(name)), name
        assert page.status_code == int(name[6:9])
        assert "Retry-After" not in page.headers
    assert kazoo.get("cdrs", {"created_from": hi, "created_to": lo}).status_code == 400


def test_token_errors_match_recorded_errors(run: Starter, clock: HandClock) -> None:
    with KazooClient(run(), "api_key") as client:
        client.token = "bad"
        page = client.get("cdrs")
        assert (page.status_code, masked(page.text)) == (401, masked(recorded("error_401_bad_token")))
        assert "Content-Type" not in page.headers
        client.token = client.sign_in().json()["auth_token"]
        clock.move(3599)
        assert client.get("cdrs").status_code == 200
        clock.move(1)
        page = client.get("cdrs")
        assert (page.status_code, masked(page.text)) == (401, masked(recorded("error_401_expired_token")))


@pytest.mark.parametrize("status", [403, 405, 416, 423, 429])
def test_error_envelopes_are_those_of_the_error_builders(run: Starter, status: int) -> None:
    known = next(
        one["body"] for one in sample("kazoo/constructed_http_errors.json")["errors"] if one["status"] == status
    )
    sandbox = run(limits=True)
    with KazooClient(sandbox) as client:
        if status == 403:
            client.account = "0" * 32
            page = client.get("cdrs")
        elif status == 405:
            page = client.http.post(
                f"{client.base_url}/accounts/{client.account}/cdrs", headers={"X-Auth-Token": client.token}
            )
        elif status == 416:
            sandbox.switch("kazoo", "memory_limit", "10")
            page = client.get("cdrs", {"paginate": "false", "is_chunked": "false"})
        elif status == 423:
            sandbox.switch("kazoo", "account", "expired")
            page = client.get("cdrs")
        else:
            page = [client.get("cdrs", {"page_size": 1}) for _ in range(101)][-1]
    assert page.status_code == status
    assert ("Content-Type" in page.headers) is (status != 405)
    assert list(page.json()) == list(known)
    got = page.json()
    assert (got["data"], got["message"], got["error"], got["status"]) == (
        *(known["data"], known["message"], known["error"], known["status"]),
    )
    assert shape_of(got)["tokens"] == shape_of(known)["tokens"]


def test_other_media_types_are_refused_without_a_body(kazoo: KazooClient) -> None:
    page = kazoo.get("cdrs", Accept="application/xml")
    assert (page.status_code, page.content) == (406, b"")
