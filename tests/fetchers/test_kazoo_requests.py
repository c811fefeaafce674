"""The sequence of the Kazoo fetcher's requests, and its options."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from cdrctl.errors import (
    ProviderError,
    UsageError,
)
from cdrctl.fetchers import check_access, connect
from cdrctl.fetchers.kazoo import PROVIDER
from cdrctl.fetchers.kazoo.settings import KazooSettings
from cdrctl.windows import Window
from tests.support.clock import HandClock
from tests.support.products import for_each

from .kazoo_kit import ACCOUNT, at, gregorian, sample, window
from .kazoo_server_kit import KEY, SETTINGS, Server, envelope, failure, refused, row, run

# Exact sequences


def test_paging_follows_the_key_until_there_is_none() -> None:
    """All parameters are repeated with the key. An empty page with a key is not the last; a page without one is."""
    server = Server(
        envelope([row(2)], next_start_key="g2w=/ +", page_size="1"),
        envelope([], next_start_key=63602563961, page_size=0),
        envelope([row(1)], page_size=1),
    )
    assert run(server, page_size=2, utc_offset=60).ids == ["202611-1", "202611-2"]
    bounds = {"created_from": "63962956800", "created_to": "63963129600", "page_size": "2", "utc_offset": "60"}
    bounds = {
        **bounds,
        "created_from": str(gregorian("2026-11-18") - 1),
        "created_to": str(gregorian("2026-11-20") + 1),
    }
    assert server.queries == [
        bounds,
        {**bounds, "start_key": "g2w=/ +"},
        {**bounds, "start_key": "63602563961"},
    ]
    assert server.asked[0].url.path == f"/v2/accounts/{ACCOUNT}/cdrs"
    assert server.asked[0].headers["X-Auth-Token"] == "T0KEN"


def test_requests_reach_past_the_window_by_the_longest_call() -> None:
    """Legs are listed at their end. A second is added, because the bound may not belong to the range."""
    server = Server(envelope([]), envelope([]))
    run(server, longest_call=timedelta(hours=1))
    run(server, span=Window(at("2026-11-20T10:00"), at("2026-11-20T11:30")))
    assert [query["created_to"] for query in server.queries] == [
        str(gregorian("2026-11-19T01:00") + 1),
        str(gregorian("2026-11-20T11:55") + 1),
    ]


def test_months_and_turns_of_months_are_requested_newest_first() -> None:
    """Each month is requested alone, and each turn of the month by an unpaged request (probe)."""
    server = Server(by=lambda _request: envelope([]))
    run(server, span=window("2026-09-30T23:00", "2026-11-01T00:00"), longest_call=timedelta(hours=2))
    edge = {"paginate": "false", "is_chunked": "false"}
    assert server.queries == [
        {
            "created_from": str(gregorian("2026-11-01") - 2),
            "created_to": str(gregorian("2026-11-01T02:00") + 1),
            **edge,
        },
        {
            "created_from": str(gregorian("2026-10-01")),
            "created_to": str(gregorian("2026-11-01") - 1),
            "page_size": "50",
        },
        {
            "created_from": str(gregorian("2026-10-01") - 2),
            "created_to": str(gregorian("2026-10-01T02:00") + 1),
            **edge,
        },
        {
            "created_from": str(gregorian("2026-09-30T23:00") - 1),
            "created_to": str(gregorian("2026-10-01") - 1),
            "page_size": "50",
        },
    ]


@for_each(
    "since, until, probed",
    [
        ("2026-11-01T00:00", "2026-11-01T01:00", True),
        ("2026-11-01T01:59:59", "2026-11-01T03:00", True),
        ("2026-11-01T02:00:00", "2026-11-01T03:00", False),
        ("2026-10-31T20:00", "2026-10-31T22:00", True),
        ("2026-10-31T20:00", "2026-10-31T21:59:58", False),
    ],
)
def test_turn_of_a_month_is_probed_if_a_call_can_last_over_it(since: str, until: str, probed: bool) -> None:  # noqa: FBT001
    """A month may begin up to the longest call before the window: a leg may begin after that in an older call."""
    for call in ("cdrs", "interactions"):
        server = Server(by=lambda _request: envelope([]))
        run(server, call, window(since, until), longest_call=timedelta(hours=2))
        assert any("paginate" in query for query in server.queries) == probed


def test_interactions_are_requested_from_the_longest_call_before_the_window() -> None:
    """A user's leg may begin long after its interaction; the probe reaches as far in both directions."""
    server = Server(by=lambda _request: envelope([]))
    run(server, "interactions", window("2026-11-01T01:00", "2026-11-01T02:00"), longest_call=timedelta(hours=2))
    assert [(int(q["created_from"]), int(q["created_to"])) for q in server.queries] == [
        (gregorian("2026-11-01"), gregorian("2026-11-01T04:00") + 1),
        (gregorian("2026-10-31T22:00") - 1, gregorian("2026-11-01T02:00") + 1),
        (gregorian("2026-10-31T23:00") - 1, gregorian("2026-11-01") - 1),
    ]
    assert server.asked[0].url.path.endswith("/cdrs/interaction")


def test_no_more_than_five_requests_a_second() -> None:
    """That is half of the bucket's rate; sign-ins count."""
    pages = [envelope([], next_start_key=str(n)) for n in range(20)]
    server = Server(httpx.Response(201, json={"auth_token": "T0KEN", "data": {}}), *pages, envelope([]))
    done = run(server, settings=KEY)
    assert done.requests == 22
    assert done.waited == 4.0


def test_repeated_key_is_retried_with_larger_pages() -> None:
    """Up to 4.2 paging would never end."""
    server = Server(by=lambda _request: envelope([row(1)], next_start_key="63602563961"))
    refused(server, ProviderError, page_size=500)
    assert sorted({int(query["page_size"]) for query in server.queries}) == [500, 2000, 3200]


def test_longest_range_is_read_from_the_refusal() -> None:
    """The message is the recorded one, with a number of another site."""
    text = "created_to 2 is more than 86400 seconds from created_from 1"
    server = Server(
        failure(400, "validation error", {"created_from": {"date_range": {"message": text, "cause": 2}}}),
        envelope([]),
        envelope([]),
        envelope([]),
    )
    run(server)
    spans = [(int(query["created_from"]), int(query["created_to"])) for query in server.queries]
    assert spans == [
        (gregorian("2026-11-18") - 1, gregorian("2026-11-20") + 1),
        (gregorian("2026-11-19") + 1, gregorian("2026-11-20") + 1),
        (gregorian("2026-11-18") + 2, gregorian("2026-11-19") + 2),
        (gregorian("2026-11-18") - 1, gregorian("2026-11-18") + 3),
    ]


def test_refusal_of_a_range_that_is_already_short_ends_the_run() -> None:
    """The request would be repeated for ever."""
    recorded = sample("recorded_crossbar50_error_400_date_range.json")
    error = refused(Server(by=lambda _request: httpx.Response(400, json=recorded)), ProviderError)
    assert "2682000 s" in error.message


# Options


@for_each(
    "options, words",
    [
        ({"user": "u", "descendants": True}, "cannot be combined"),
        ({"filter": ("direction",)}, "NAME=VALUE"),
        ({"filter": ("=x",)}, "NAME=VALUE"),
        ({"page_size": 0}, "at least 1"),
        ({"user": ".."}, "is not an id"),
        ({"account": ""}, ""),
    ],
)
def test_invalid_options_are_refused_before_a_request(options: dict[str, Any], words: str) -> None:
    """An empty account is invalid."""
    server = Server(envelope([]))
    if not words:
        run(server, **options)
        assert server.asked[0].url.path == f"/v2/accounts/{ACCOUNT}/cdrs"
        return
    assert words in refused(server, UsageError, **options).message
    assert server.asked == []


@for_each(
    "filters, kept",
    [
        (("cost=100",), ["a", "c"]),
        (("cost=0.0100",), ["a", "c"]),
        (("timestamp=2026-11-18T00:00:01.000Z",), ["a"]),
        (("media_recordings=r1",), ["b"]),
        (("duration_seconds=60", "owner_id=own1"), ["a"]),
        (("owner_id=",), ["b"]),
        ((f"account_id={ACCOUNT}",), ["a", "b", "c"]),
        (("account_id=x",), []),
        (("call_direction=inbound",), ["a", "b", "c"]),
        (("custom_channel_vars.owner_id=own2",), ["c"]),
    ],
)
def test_filters_on_columns_are_applied_by_cdrctl(filters: tuple[str, ...], kept: list[str]) -> None:
    """Values match as sent or as exported, also in full documents that 5.x may send."""
    document = {
        "id": "c",
        "call_direction": "inbound",
        "timestamp": gregorian("2026-11-18T01:00"),
        "duration_seconds": 60,
        "cost": 100,
        "custom_channel_vars": {"owner_id": "own2"},
    }
    rows = [row(1, id="a"), row(2, id="b", owner_id="", cost="200", media_recordings=["r1", "r2"]), document]
    server = Server(envelope(rows))
    assert run(server, filter=filters).ids == kept
    assert not [name for name in server.queries[0] if name.startswith("filter")]


def test_filters_that_only_the_server_can_apply_get_a_note() -> None:
    """The disposition is in every document, but only in rows of 4.3."""
    server = Server(envelope([]))
    done = run(server, filter=("disposition=send_bye", "custom_channel_vars.realm=a"))
    assert server.queries[0]["filter_disposition"] == "send_bye"
    assert server.queries[0]["filter_custom_channel_vars.realm"] == "a"
    assert "disposition, custom_channel_vars.realm" in done.told[0]


def test_legs_are_paged() -> None:
    """Pages may be short. The id is one segment of the path."""
    server = Server(envelope([{"id": "a"}], next_start_key="k/1"), envelope([{"id": "b"}]))
    assert run(server, "legs", None, id="202611-a/%41@b").ids == ["a", "b"]
    assert server.asked[0].url.raw_path.endswith(b"/cdrs/legs/202611-a%2F%2541%40b")
    assert server.queries == [{}, {"start_key": "k/1"}]


def test_descendants_are_paged_and_each_is_requested_once() -> None:
    """An account may list itself."""
    pages = {None: (["x", ACCOUNT], "k"), "k": (["y"], None)}

    def answer(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/descendants"):
            return envelope([])
        ids, key = pages[request.url.params.get("start_key")]
        return envelope([{"id": one} for one in ids], **({"next_start_key": key} if key else {}))

    server = Server(by=answer)
    run(server, descendants=True)
    assert [request.url.path.split("/")[3] for request in server.asked if request.url.path.endswith("/cdrs")] == [
        ACCOUNT,
        "x",
        "y",
    ]


@pytest.mark.parametrize("rows", [[{}], [{"id": 7}]])
def test_a_descendant_without_an_id_is_refused(rows: list[Any]) -> None:
    """Otherwise its records would be missing silently."""
    assert "no id" in refused(Server(envelope(rows)), ProviderError, descendants=True).message


def test_a_check_reports_what_it_found() -> None:
    """It makes one small request for a day."""
    server = Server(envelope([row(1)]), envelope([]))
    clock = HandClock()
    settings = KazooSettings.of(SETTINGS)
    client = connect(
        PROVIDER,
        settings,
        clock=clock.clock,
        log=lambda _level, _text: None,
        conceal=lambda _secrets: None,
        transport=httpx.MockTransport(server),
    )
    assert "there are legs" in check_access(PROVIDER, client, settings)
    assert "there are no legs" in check_access(PROVIDER, client, settings)
    client.close()
    assert server.queries[0] == {
        "created_from": str(gregorian("2026-11-19T11:55")),
        "created_to": str(gregorian("2026-11-20T11:55")),
        "page_size": "1",
    }


def test_interaction_comes_once_whichever_leg_is_listed() -> None:
    """4.3 and 5.0 show the earliest leg saved within the range, so the page and the probe differ."""
    month = gregorian("2026-11-01")

    def at_the_edge(request: httpx.Request) -> httpx.Response:
        begun = f"{month - 60}-k1"
        shown = {"paginate": ("202610-a", -60), None: ("202610-b", -50)}
        key, offset = shown["paginate" if "paginate" in request.url.params else None]
        unix = month + offset - gregorian("1970-01-01")
        one = row(0, id=key, interaction_id=begun, unix_timestamp=str(unix))
        begins, ends = (int(request.url.params[name]) for name in ("created_from", "created_to"))
        return envelope([one] if begins <= month - 60 <= ends else [])

    server = Server(by=at_the_edge)
    ids = [
        run(server, "interactions", window(since, until)).ids
        for since, until in (("2026-10-31", "2026-10-31T23:59:05"), ("2026-10-31T23:59:05", "2026-11-01"))
    ]
    assert ids == [["202610-a"], []]
