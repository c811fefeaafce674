"""How to sign in to the imitated Crossbar, and its listings."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cdrctl.sandbox import Exchange, Sandbox, uniform
from cdrctl.sandbox.kazoo.accounts import OWNER_IDS
from tests.sandbox.clients import KazooClient, at, gregorian, sample
from tests.sandbox.conftest import Starter
from tests.support.clock import HandClock

from .client import WEEK, few, whole

# Sign-in


@pytest.mark.parametrize("kind", ["api_key", "password", "realm"])
def test_sign_in_returns_a_valid_token(kazoo: KazooClient, kind: str) -> None:
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


def test_wrong_credentials_are_refused(kazoo: KazooClient) -> None:
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


def test_token_is_accepted_in_three_places(kazoo: KazooClient) -> None:
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


def test_reseller_reads_descendants_but_they_do_not_read_the_reseller(sandbox: Sandbox, kazoo: KazooClient) -> None:
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


@pytest.mark.slow
def test_bucket_of_100_refills_by_10_per_second(run: Starter, clock: HandClock) -> None:
    with KazooClient(run(limits=True, exchange=few(1))) as client:
        left = [client.get("cdrs", {"is_chunked": "false"}).json()["tokens"]["remaining"] for _ in range(100)]
        assert left == list(range(99, -1, -1))
        for _ in range(2):
            assert client.get("cdrs").status_code == 429
        clock.move(1)
        assert [client.get("cdrs").status_code for _ in range(11)] == [200] * 10 + [429]
        assert client.sign_in().status_code == 201
        assert [client.sign_in().status_code for _ in range(2)] == [201, 429]


@pytest.mark.slow
def test_switch_limits_sign_in(run: Starter) -> None:
    with KazooClient(run(limits=True, exchange=few(1), switches={"kazoo": {"limits": "sign_in"}})) as client:
        assert {client.get("cdrs").status_code for _ in range(120)} == {200}
        assert [client.sign_in().status_code for _ in range(3)] == [201, 201, 429]


@pytest.mark.slow
def test_switch_limits_off(run: Starter) -> None:
    with KazooClient(run(limits=True, exchange=few(1), switches={"kazoo": {"limits": "off"}})) as client:
        assert {client.get("cdrs").status_code for _ in range(120)} == {200}


# Listing


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
def test_rows_are_oldest_first_on_request(
    run: Starter, version: str, more: dict[str, Any], *, oldest_first: bool
) -> None:
    sandbox = run(exchange=few(120), switches={"kazoo": {"version": version}})
    with KazooClient(sandbox) as client:
        listing = client.list(*whole(at("2026-11-10"), at("2026-11-11")), **more)
    rows = sandbox.truth("kazoo", "cdrs", at("2026-11-10"), at("2026-11-11"))
    assert listing.rows == rows[:: 1 if oldest_first else -1]


@pytest.mark.parametrize("key", ["!!!", "63813348061", "abcd", "g2wAAAAC", "gw"])
@pytest.mark.parametrize("call", ["cdrs", "cdrs/interaction"])
def test_invalid_start_key_sorts_before_all_others(run: Starter, key: str, call: str) -> None:
    """It counts as text: newest first no row follows it, oldest first every row does."""
    with KazooClient(run(exchange=few(3))) as client:
        lo, hi = whole(at("2026-11-10"), at("2026-11-11"))
        asked = {"created_from": lo, "created_to": hi, "start_key": key}
        page = client.get(call, asked)
        assert (page.status_code, page.json()["data"]) == (200, [])
        assert len(client.get(call, {**asked, "ascending": "true"}).json()["data"]) == 3


@pytest.mark.thin
@pytest.mark.parametrize("size", [1, 7, 50, 51, 120, 1000])
@pytest.mark.parametrize("chunked", ["true", "false"])
def test_page_sizes_have_no_maximum(run: Starter, size: int, chunked: str) -> None:
    with KazooClient(run(exchange=few(120))) as client:
        lo, hi = whole(at("2026-11-10"), at("2026-11-11"))
        listing = client.list(lo, hi, page_size=size, is_chunked=chunked)
    assert len(set(listing.ids)) == len(listing.ids) == 120
    assert {len(page.json()["data"]) for page in listing.pages[:-1]} <= {size}


def test_bounds_are_inclusive_and_compared_with_the_time_of_saving(run: Starter) -> None:
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


def test_default_range_is_the_longest_one_until_now(run: Starter, clock: HandClock) -> None:
    with KazooClient(run(exchange=few(3))) as client:
        assert len(client.get("cdrs").json()["data"]) == 3
        asked = {"created_to": gregorian(at("2026-11-10"))}
        assert client.get("cdrs", asked).json()["data"] == []
        clock.move(40 * 24 * 3600)
        assert client.get("cdrs").json()["data"] == []


@pytest.mark.parametrize("odd", ["yesterday", "1.5", "-4", "0", ""])
def test_invalid_bound_is_replaced_by_the_default_without_an_error(run: Starter, odd: str) -> None:
    with KazooClient(run(exchange=few(3))) as client:
        assert len(client.get("cdrs", {"created_from": odd, "created_to": odd}).json()["data"]) == 3


def test_unix_seconds_in_both_bounds_crash_the_request(kazoo: KazooClient) -> None:
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
def test_invalid_parameters_return_404(kazoo: KazooClient, asked: dict[str, str], text: str) -> None:
    page = kazoo.get("cdrs", asked)
    assert (page.status_code, page.json()["message"], page.json()["data"]) == (404, "faulty_request", {"message": text})


def test_utc_offset_changes_only_the_datetime_column(run: Starter) -> None:
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


@pytest.mark.slow
def test_a_filter_reads_the_document_of_a_row(kazoo: KazooClient) -> None:
    rows = kazoo.list(*whole(*WEEK)).rows
    for asked, fits in FILTERS:
        want = [row["id"] for row in rows if fits(row)]
        assert kazoo.list(*whole(*WEEK), **asked).ids == want, asked
        assert want or "filter_direction" in asked, asked


@pytest.mark.parametrize(("chunked", "full"), [("true", True), ("false", False)])
def test_pages_of_interactions_are_full_only_when_chunked(run: Starter, chunked: str, *, full: bool) -> None:
    """Interactions whose leg was saved after the range are left out; in a chunk, before it is counted."""
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


def test_user_listing_has_only_legs_of_the_user(kazoo: KazooClient, sandbox: Sandbox) -> None:
    owner = OWNER_IDS["Marisol Peña"]
    got = kazoo.month(*WEEK, f"users/{owner}/cdrs")
    want = sandbox.truth("kazoo", "cdrs", *WEEK, user=owner)
    assert got == {row["id"] for row in want}
    assert {row["owner_id"] for row in want} == {owner}
    assert kazoo.list(*whole(*WEEK), "users/nobody/cdrs").rows == []
