"""The imitated Crossbar against recorded answers of the real one, its faults included."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, Sandbox, start, straddlers, uniform
from cdrctl.sandbox.kazoo.accounts import OWNER_IDS
from cdrctl.sandbox.kazoo.keys import OBJECT, integer, pack, unpack
from cdrctl.sandbox.kazoo.releases import COLUMNS
from cdrctl.sandbox.kazoo.switches import SWITCHES
from tests.support.clock import HandClock

from .clients import DATA, GREGORIAN, KazooClient, at, gregorian, quoted, sample
from .conftest import Starter

RECORDED = "kazoo/recorded_crossbar50_"
PAGE = sample(f"{RECORDED}list_page1_chunked.json")
ROW = PAGE["data"][0]
WEEK = at("2026-11-09"), at("2026-11-16")
MARCH = at("2022-03-01")
MONTH = 31 * 24 * 3600


def whole(since: Any, until: Any) -> tuple[int, int]:
    """The created range that holds every leg which began in a window."""
    return gregorian(since), gregorian(until) + 24 * 3600


def starts(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["unix_timestamp"]) for row in rows]


def few(n: int) -> Exchange:
    """An exchange with exactly n legs on a day in the middle of November."""
    return Exchange(calls=uniform(n, at("2026-11-10"), at("2026-11-11")))


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


def recorded(name: str) -> str:
    return (DATA / f"{RECORDED}{name}.json").read_text(encoding="utf-8").strip()


# rows and documents


def test_rows_have_the_columns_of_recorded_ones_in_their_order(kazoo: KazooClient) -> None:
    rows = kazoo.list(*whole(*WEEK)).rows
    assert list(COLUMNS) == list(ROW)
    assert len(rows) > 500
    for row in rows:
        assert list(row) == list(ROW)
        for name, value in row.items():
            assert type(value) is type(ROW[name]), name


def test_instants_of_a_row_agree_and_mean_the_start(kazoo: KazooClient) -> None:
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


def test_a_document_says_more_than_its_row_and_ends_where_the_row_begins(kazoo: KazooClient) -> None:
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


def test_call_ids_hold_characters_that_must_be_encoded(kazoo: KazooClient) -> None:
    ids = "".join(kazoo.list(*whole(*WEEK)).ids)
    assert all(char in ids for char in "@./%")


def test_causes_are_names_of_the_switch_and_lost_races_occur(kazoo: KazooClient) -> None:
    known = {one["name"] for one in sample("kazoo/data_hangup_causes.json")["causes"]}
    found = {row["hangup_cause"] for row in kazoo.list(*whole(*WEEK)).rows}
    assert found <= known
    assert found >= {"NORMAL_CLEARING", "LOSE_RACE", "ORIGINATOR_CANCEL", "NO_ANSWER", "USER_BUSY", "CALL_REJECTED"}


def test_carrier_legs_have_no_authorizing_id_and_outward_ones_a_price(kazoo: KazooClient) -> None:
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


# envelopes


def test_a_chunked_page_has_the_bytes_of_a_recorded_one(kazoo: KazooClient) -> None:
    listing = kazoo.list(*whole(*WEEK), page_size=500)
    first, last = listing.pages[0], listing.pages[-1]
    assert masked(first.text) == masked(recorded("list_page1_chunked"))
    assert masked(last.text) == masked(recorded("list_last_page"))
    assert first.headers["Transfer-Encoding"] == "chunked"
    assert first.json()["page_size"] == "500"
    assert last.json()["page_size"] == str(len(last.json()["data"]))


def test_an_answer_made_in_memory_has_the_plain_envelope(kazoo: KazooClient) -> None:
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


@pytest.mark.parametrize(
    "key", [PAGE["start_key"], PAGE["next_start_key"], sample(f"{RECORDED}interaction_page.json")["next_start_key"]]
)
def test_keys_are_erlang_terms_like_the_recorded_ones(key: str) -> None:
    assert unpack(PAGE["next_start_key"]) == (63813348061, 1, "202203-mar002")
    assert pack(integer(63813398400), OBJECT) == PAGE["start_key"]
    seconds, kind, text = unpack(key)
    raw = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    assert raw[:2] == b"\x83l"
    assert text.encode() in raw
    assert kind in {1, 2}
    assert seconds > 63_000_000_000


def test_errors_look_like_recorded_ones(kazoo: KazooClient) -> None:
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


def test_token_errors_look_like_recorded_ones(run: Starter, clock: HandClock) -> None:
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


def shape_of(body: Any) -> Any:
    """Keys in order, values as types."""
    return {k: shape_of(v) for k, v in body.items()} if isinstance(body, dict) else type(body).__name__


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


# sign-in


@pytest.mark.parametrize("kind", ["api_key", "password", "realm"])
def test_signing_in(kazoo: KazooClient, kind: str) -> None:
    page = kazoo.sign_in(kind)
    body = page.json()
    assert page.status_code == 201
    assert body["data"]["account_id"] == kazoo.account
    known = sample("kazoo/doc_auth.json")["user_auth_201"]
    assert set(body) - {"tokens"} == set(known)
    assert set(known["data"]) - set(body["data"]) == ({"owner_id"} if kind == "api_key" else set())
    kazoo.token = body["auth_token"]
    assert kazoo.get("cdrs").json()["auth_token"] == kazoo.token
    assert kazoo.token.count(".") == 2


def test_wrong_credentials(kazoo: KazooClient) -> None:
    for way, data, status in (
        ("api_auth", {"api_key": "0" * 64}, 404),
        ("api_auth", {"api_key": "0" * 63}, 400),
        ("api_auth", {"api_key": "0" * 65}, 400),
        ("api_auth", {}, 400),
        ("user_auth", {"credentials": "0" * 32, "account_name": "Acme Telecom", "method": "md5"}, 401),
        ("user_auth", {"credentials": "0" * 32, "account_name": "Acme Telecom", "method": "sha1"}, 401),
    ):
        assert kazoo.http.put(f"{kazoo.base_url}/{way}", json={"data": data}).status_code == status
    assert kazoo.http.put(f"{kazoo.base_url}/api_auth", content=b"{").status_code == 400
    assert kazoo.http.get(f"{kazoo.base_url}/api_auth").status_code == 405


def test_tokens_are_taken_from_three_places(kazoo: KazooClient) -> None:
    url = f"{kazoo.base_url}/accounts/{kazoo.account}/cdrs"
    for headers, params in (
        ({"X-Auth-Token": kazoo.token}, {}),
        ({"Authorization": f"Bearer {kazoo.token}"}, {}),
        ({}, {"auth_token": kazoo.token}),
    ):
        assert kazoo.http.get(url, headers=headers, params=params).status_code == 200
    assert kazoo.http.get(url).status_code == 401


def test_expired_tokens_are_renewed_by_signing_in(sandbox: Sandbox, kazoo: KazooClient) -> None:
    sandbox.expire_tokens("kazoo")
    assert kazoo.get("cdrs").status_code == 401
    kazoo.token = kazoo.sign_in().json()["auth_token"]
    assert kazoo.get("cdrs").status_code == 200


def test_the_reseller_reads_descendants_and_not_the_other_way_round(sandbox: Sandbox, kazoo: KazooClient) -> None:
    below = kazoo.get("descendants").json()["data"]
    assert [one["name"] for one in below] == ["North, Ltd", "Südwerk"]
    ids: set[str] = set()
    for one in below:
        kazoo.account = one["id"]
        got = kazoo.month(*WEEK)
        assert got == {row["id"] for row in sandbox.truth("kazoo", "cdrs", *WEEK, account=one["id"])}
        assert got
        assert not got & ids
        ids |= got
    with KazooClient(sandbox, "descendant") as client:
        assert client.get("cdrs").status_code == 200
        assert client.get("descendants").json()["data"] == []
        client.account = sandbox.provider("kazoo").accounts[0].id
        assert client.get("cdrs").status_code == 403


def test_a_bucket_of_a_hundred_refills_by_ten_a_second(run: Starter, clock: HandClock) -> None:
    with KazooClient(run(limits=True, exchange=few(1))) as client:
        left = [client.get("cdrs", {"is_chunked": "false"}).json()["tokens"]["remaining"] for _ in range(100)]
        assert left == list(range(99, -1, -1))
        for _ in range(2):
            assert client.get("cdrs").status_code == 429
        clock.move(1)
        assert [client.get("cdrs").status_code for _ in range(11)] == [200] * 10 + [429]
        assert client.sign_in().status_code == 201
        assert [client.sign_in().status_code for _ in range(2)] == [201, 429]


def test_switch_limits_sign_in(run: Starter) -> None:
    with KazooClient(run(limits=True, exchange=few(1), switches={"kazoo": {"limits": "sign_in"}})) as client:
        assert {client.get("cdrs").status_code for _ in range(120)} == {200}
        assert [client.sign_in().status_code for _ in range(3)] == [201, 201, 429]


def test_switch_limits_off(run: Starter) -> None:
    with KazooClient(run(limits=True, exchange=few(1), switches={"kazoo": {"limits": "off"}})) as client:
        assert {client.get("cdrs").status_code for _ in range(120)} == {200}


# listing


@pytest.mark.parametrize("n", [0, 1, 49, 50, 51, 200, 201])
def test_pages_hold_every_row_once_newest_first(run: Starter, n: int) -> None:
    sandbox = run(exchange=few(n))
    with KazooClient(sandbox) as client:
        listing = client.list(*whole(at("2026-11-10"), at("2026-11-11")))
    assert len(listing.pages) == max(1, -(-n // 50))
    assert listing.rows == sandbox.truth("kazoo", "cdrs", at("2026-11-10"), at("2026-11-11"))[::-1]


@pytest.mark.parametrize(
    ("version", "more", "oldest_first"),
    [
        ("5.0", {"ascending": "true"}, True),
        ("5.0", {"descending": "false"}, False),
        ("4.3", {"descending": "false"}, False),
        ("5.x", {"descending": "false"}, True),
        ("5.x", {"ascending": "true"}, True),
    ],
)
def test_oldest_first_on_request(run: Starter, version: str, more: dict[str, Any], *, oldest_first: bool) -> None:
    sandbox = run(exchange=few(120), switches={"kazoo": {"version": version}})
    with KazooClient(sandbox) as client:
        listing = client.list(*whole(at("2026-11-10"), at("2026-11-11")), **more)
    rows = sandbox.truth("kazoo", "cdrs", at("2026-11-10"), at("2026-11-11"))
    assert listing.rows == rows[:: 1 if oldest_first else -1]


@pytest.mark.parametrize("key", ["!!!", "63813348061", "abcd", "g2wAAAAC", "gw"])
@pytest.mark.parametrize("call", ["cdrs", "cdrs/interaction"])
def test_a_start_key_that_is_none_comes_before_all_others(run: Starter, key: str, call: str) -> None:
    """It is taken as text: newest first nothing follows it, oldest first everything."""
    with KazooClient(run(exchange=few(3))) as client:
        lo, hi = whole(at("2026-11-10"), at("2026-11-11"))
        asked = {"created_from": lo, "created_to": hi, "start_key": key}
        page = client.get(call, asked)
        assert (page.status_code, page.json()["data"]) == (200, [])
        assert len(client.get(call, {**asked, "ascending": "true"}).json()["data"]) == 3


@pytest.mark.parametrize("size", [1, 7, 50, 51, 120, 1000])
@pytest.mark.parametrize("chunked", ["true", "false"])
def test_page_sizes_have_no_maximum(run: Starter, size: int, chunked: str) -> None:
    with KazooClient(run(exchange=few(120))) as client:
        lo, hi = whole(at("2026-11-10"), at("2026-11-11"))
        listing = client.list(lo, hi, page_size=size, is_chunked=chunked)
    assert len(set(listing.ids)) == len(listing.ids) == 120
    assert {len(page.json()["data"]) for page in listing.pages[:-1]} <= {size}


def test_bounds_are_inclusive_and_mean_the_moment_of_saving(run: Starter) -> None:
    """A call ends 62 s after its start and is saved a second later."""
    begin = at("2026-11-10T10:00")
    exchange = Exchange(calls=uniform(1, begin, begin + timedelta(seconds=1)))
    with KazooClient(run(exchange=exchange)) as client:
        saved = gregorian(begin) + 63
        counts = [
            len(client.list(lo, hi).rows) for lo, hi in ((saved, saved), (saved + 1, saved + 9), (saved - 9, saved - 1))
        ]
    assert counts == [1, 0, 0]


def test_documents_appear_just_after_the_call(run: Starter, clock: HandClock) -> None:
    begin = at("2026-11-20T10:00")
    sandbox = run(exchange=Exchange(calls=uniform(1, begin, begin + timedelta(seconds=1))))
    window = begin, begin + timedelta(hours=1)
    with KazooClient(sandbox) as client:
        for seconds, many in ((30, 0), (62, 0), (63, 1)):
            clock.time = begin + timedelta(seconds=seconds)
            assert len(client.list(*whole(*window)).rows) == many
            assert len(sandbox.truth("kazoo", "cdrs", *window)) == many


def test_defaults_of_the_range_are_now_and_the_longest(run: Starter, clock: HandClock) -> None:
    with KazooClient(run(exchange=few(3))) as client:
        assert len(client.get("cdrs").json()["data"]) == 3
        asked = {"created_to": gregorian(at("2026-11-10"))}
        assert client.get("cdrs", asked).json()["data"] == []
        clock.move(40 * 24 * 3600)
        assert client.get("cdrs").json()["data"] == []


@pytest.mark.parametrize("odd", ["yesterday", "1.5", "-4", "0", ""])
def test_a_bound_that_is_no_integer_is_replaced_in_silence(run: Starter, odd: str) -> None:
    with KazooClient(run(exchange=few(3))) as client:
        assert len(client.get("cdrs", {"created_from": odd, "created_to": odd}).json()["data"]) == 3


def test_unix_seconds_in_both_bounds_kill_the_request(kazoo: KazooClient) -> None:
    day = int(WEEK[0].timestamp()), int(WEEK[0].timestamp()) + 86_400
    page = kazoo.get("cdrs", {"created_from": day[0], "created_to": day[1]})
    assert (page.status_code, page.content) == (500, b"")
    assert kazoo.get("cdrs", {"created_from": day[0]}).status_code == 400
    assert kazoo.get("cdrs", {"created_to": day[1], "created_from": gregorian(WEEK[0])}).status_code == 400


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"page_size": "0"}, "page size must be at least 1"),
        ({"page_size": "x"}, "invalid page size"),
        ({"chunk_size": "51"}, "chunk size must be lower than 50"),
        ({"chunk_size": "-1"}, "chunk size must be at least 1"),
        ({"chunk_size": "x"}, "invalid chunk size"),
    ],
)
def test_faulty_parameters_are_not_found(kazoo: KazooClient, asked: dict[str, str], text: str) -> None:
    page = kazoo.get("cdrs", asked)
    assert (page.status_code, page.json()["message"], page.json()["data"]) == (404, "faulty_request", {"message": text})


def test_utc_offset_moves_one_column_only(run: Starter) -> None:
    with KazooClient(run(exchange=few(1))) as client:
        (plain,) = client.get("cdrs").json()["data"]
        (moved,) = client.get("cdrs", {"utc_offset": "-3600"}).json()["data"]
        assert {name for name in plain if plain[name] != moved[name]} == {"datetime"}
        page = client.get("cdrs", {"utc_offset": "x"})
        assert (page.status_code, page.json()["message"]) == (404, "utc_offset must be a number")


FILTERS: list[tuple[dict[str, Any], Callable[[dict[str, Any]], object]]] = [
    ({"filter_call_direction": "inbound"}, lambda row: row["direction"] == "inbound"),
    ({"filter_not_call_direction": "inbound"}, lambda row: row["direction"] != "inbound"),
    ({"filter_custom_channel_vars.rate_name": "GB"}, lambda row: row["rate_name"] == "GB"),
    ({"has_key": "recording_url"}, lambda row: row["recording_url"]),
    ({"key_missing": "recording_url"}, lambda row: not row["recording_url"]),
    ({"has_value": "custom_channel_vars.owner_id"}, lambda row: row["owner_id"]),
    ({"value_missing": "custom_channel_vars.owner_id"}, lambda row: not row["owner_id"]),
    ({"filter_direction": "inbound"}, lambda _: False),
    ({"modified_to": str(gregorian(at("2026-11-10")))}, lambda _: True),
    (
        {"modified_to": str(gregorian(at("2026-11-10"))), "has_key": "call_id"},
        lambda row: int(row["timestamp"]) + row["duration_seconds"] < gregorian(at("2026-11-10")),
    ),
    (
        {"filter_hangup_cause": '["USER_BUSY","NO_ANSWER"]'},
        lambda row: row["hangup_cause"] in {"USER_BUSY", "NO_ANSWER"},
    ),
    (
        {"filter_not_hangup_cause": '["USER_BUSY","NO_ANSWER"]'},
        lambda row: row["hangup_cause"] not in {"USER_BUSY", "NO_ANSWER"},
    ),
]
"""Filters of a listing, and the rows that pass each."""


def test_a_filter_reads_the_document_of_a_row(kazoo: KazooClient) -> None:
    rows = kazoo.list(*whole(*WEEK)).rows
    for asked, fits in FILTERS:
        want = [row["id"] for row in rows if fits(row)]
        assert kazoo.list(*whole(*WEEK), **asked).ids == want, asked
        assert want or "filter_direction" in asked, asked


@pytest.mark.parametrize(("chunked", "full"), [("true", True), ("false", False)])
def test_pages_of_interactions_are_filled_up_when_they_are_chunked(run: Starter, chunked: str, *, full: bool) -> None:
    """Those whose leg was saved after the range are left out, of a chunk before it is counted."""
    with KazooClient(run(exchange=few(2000))) as client:
        lo = gregorian(at("2026-11-10"))
        pages = client.list(lo, lo + 40_000, "cdrs/interaction", page_size=5, is_chunked=chunked, most=3).pages
    assert [len(page.json()["data"]) for page in pages][1:] == [5, 5]
    assert (len(pages[0].json()["data"]) == 5) is full


@pytest.mark.parametrize(("call", "parts"), [("cdrs", "id"), ("cdrs/interaction", "interaction_id")])
@pytest.mark.parametrize("version", ["5.0", "5.x"])
def test_keys_of_a_users_listing_begin_with_the_user(run: Starter, call: str, parts: str, version: str) -> None:
    owner = OWNER_IDS["Marisol Peña"]
    with KazooClient(run(switches={"kazoo": {"version": version}})) as client:
        paged = client.list(*whole(*WEEK), f"users/{owner}/{call}", page_size=7)
        keys = [page.json()["next_start_key"] for page in paged.pages[:-1]]
        assert len(keys) > 2
        for key in (*keys, paged.pages[0].json()["start_key"]):
            assert base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)).startswith(
                b"\x83l\x00\x00\x00\x03m\x00\x00\x00\x20" + owner.encode()
            )
        assert paged.ids == client.list(*whole(*WEEK), f"users/{owner}/{call}", page_size=1000).ids
        assert len({row[parts] for row in paged.rows}) == len(paged.rows)


def test_a_user_has_legs_of_his_own(kazoo: KazooClient, sandbox: Sandbox) -> None:
    owner = OWNER_IDS["Marisol Peña"]
    got = kazoo.month(*WEEK, f"users/{owner}/cdrs")
    want = sandbox.truth("kazoo", "cdrs", *WEEK, user=owner)
    assert got == {row["id"] for row in want}
    assert {row["owner_id"] for row in want} == {owner}
    assert kazoo.list(*whole(*WEEK), "users/nobody/cdrs").rows == []


# interactions and legs


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


def test_interactions_of_a_user(kazoo: KazooClient, sandbox: Sandbox) -> None:
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


def test_legs_come_oldest_first_in_pages_newest_first(kazoo: KazooClient, sandbox: Sandbox) -> None:
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


def test_unknown_legs(kazoo: KazooClient) -> None:
    page = kazoo.get("cdrs/legs/63960000000-00000000")
    assert (page.status_code, page.json()["data"]) == (200, [])
    assert kazoo.get("cdrs/legs/202611-nope").status_code == 404
    assert kazoo.get("cdrs/legs/nope").json()["data"] == {"cause": "nope", "message": "bad identifier"}
    assert kazoo.get("cdrs/legs/63960000000-x", {"page_size": "0"}).status_code == 404


def test_other_paths(kazoo: KazooClient) -> None:
    assert kazoo.get("phones").status_code == 404
    assert kazoo.get("cdrs/summary").json()["data"] == {}
    assert kazoo.http.get(f"{kazoo.base_url}/about", headers={"X-Auth-Token": kazoo.token}).status_code == 404
    with pytest.raises(ValueError, match="api_key"):
        kazoo.sandbox.credentials("kazoo", "card")
    with pytest.raises(ValueError, match="cdrs and interactions"):
        kazoo.sandbox.truth("kazoo", "stream", *WEEK)


# the month start


def straddling(march: int = 5) -> Exchange:
    """Five calls over the start of March 2022, and some that begin at the top of the hours after it."""
    later = uniform(march, MARCH, MARCH + timedelta(hours=5 * march), name="march") if march else []
    return Exchange(calls=straddlers(MARCH) + later)


@pytest.fixture
def april(clock: HandClock) -> HandClock:
    clock.time = at("2022-04-20T12:00")
    return clock


@pytest.mark.usefixtures("april")
def test_five_calls_over_a_month_start_are_in_no_month(run: Starter) -> None:
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
def test_a_paged_request_over_a_month_start_loses_or_doubles(run: Starter, size: int, rows: int, ids: int) -> None:
    """2600hz/kazoo, crossbar_view.erl: page sizes 1, 2, 4 lose all five, 3 and 5 double two."""
    with KazooClient(run(exchange=straddling())) as client:
        lo, hi = gregorian(MARCH) - 1, gregorian(MARCH) + 86_400
        listing = client.list(lo, hi, page_size=size)
        assert (len(listing.ids), len(set(listing.ids))) == (rows, ids)
        assert len(client.list(lo, hi, paginate="false", is_chunked="false").rows) == 10


@pytest.mark.usefixtures("april")
def test_ascending_over_a_month_start_drops_rows_of_the_new_month(run: Starter) -> None:
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


def test_the_documented_cure_exports_exactly_the_truth(sandbox: Sandbox, kazoo: KazooClient) -> None:
    since, until = at("2026-10-20"), at("2026-11-03")
    want = {row["id"] for row in sandbox.truth("kazoo", "cdrs", since, until)}
    assert kazoo.month(since, until) == want
    naive = set()
    for lo, hi in ((since, at("2026-11-01")), (at("2026-11-01"), until + timedelta(days=1))):
        naive |= set(kazoo.list(gregorian(lo), gregorian(hi) - 1).ids)
    assert want - naive


@pytest.mark.parametrize("size", [7, 50, 333])
def test_interactions_may_be_paged_over_a_month_start(sandbox: Sandbox, kazoo: KazooClient, size: int) -> None:
    """Their key is the start, by which they are also filed: no month's key lies within another."""
    since, until = at("2026-10-28"), at("2026-11-03")
    ids = kazoo.list(*whole(since, until), "cdrs/interaction", page_size=size).ids
    assert len(set(ids)) == len(ids)
    want = {row["id"] for row in sandbox.truth("kazoo", "interactions", since, until)}
    after = {row["id"] for row in sandbox.truth("kazoo", "interactions", until, until + timedelta(days=1))}
    assert want <= set(ids) <= want | after


# what else goes wrong


def test_switch_fail_chunk(run: Starter) -> None:
    """2600hz/kazoo, crossbar_view.erl: 135 rows, pages of 100 and more: less than all, and no word about it."""
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
    """A document without call_direction: its page is refused for ever, its neighbours can be had."""
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
    """Each month's own, from when it is first asked for; documents need no view."""
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
    """A row's start is its end less its length: decades from now, or 1970."""
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


# versions


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
def test_old_versions(run: Starter, version: str) -> None:
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


def test_every_version_is_tried() -> None:
    assert set(SWITCHES["version"].words) | {"5.0"} == {"5.0", "5.x", "4.3", "4.2", "4.0", "3.22"}


# CSV


def test_csv_has_the_faults_of_the_recorded_one(kazoo: KazooClient) -> None:
    known = (DATA / f"{RECORDED}list.csv").read_text(encoding="utf-8").splitlines()[0]
    page = kazoo.get("cdrs", Accept="text/csv")
    lines = page.content.decode().split("\n")
    assert lines[0] == known
    assert len(lines) == 52
    bad = (DATA / f"{RECORDED}interaction_unquoted.csv").read_bytes().decode().split("\r\n")[0]
    lines = kazoo.get("cdrs/interaction", {"accept": "csv"}).content.decode().split("\r\n")
    assert lines[0] == bad.strip()
    assert '"' not in lines[1] or '""' not in lines[1]


def test_csv_of_nothing_is_no_content(run: Starter) -> None:
    with KazooClient(run(exchange=few(0))) as client:
        page = client.get("cdrs", {"accept": "csv"})
        assert (page.status_code, page.content) == (204, b"")


def test_answers_do_not_depend_on_the_run(clock: HandClock) -> None:
    bodies = []
    for _ in range(2):
        with start(now=clock, seed="x") as sandbox, KazooClient(sandbox) as client:
            bodies.append(client.get("cdrs").content)
    assert bodies[0] == bodies[1]
