"""Webex from end to end, with a sandbox made from its documents: nothing that they leave open loses a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, RightsError, TemporaryError
from cdrctl.export.rows import Tally, rows
from cdrctl.fetchers import Query, check_access, connect
from cdrctl.fetchers.webex import PROVIDER
from cdrctl.fetchers.webex.settings import WebexSettings
from cdrctl.http import Client, Clock
from cdrctl.records.schemas import raw
from cdrctl.sandbox import Exchange, Sandbox, start, uniform
from cdrctl.windows import Window
from tests.support.products import for_each, pairwise_product

from .webex_kit import h

NOW = datetime(2026, 11, 20, 23, tzinfo=UTC)
"""A Friday afternoon in California, so that the last hours are busy."""

EXCHANGE = Exchange(1, volume=0.4)
SMALL = {"max_floor": "1"}


class Process:
    """A sandbox and a profile on one clock, which moves only while the client waits."""

    def __init__(self, sandbox: Sandbox, settings: WebexSettings, client: Client) -> None:
        self.sandbox = sandbox
        self.settings = settings
        self.client = client
        self.tally = Tally()

    def ids(self, since: datetime, until: datetime, call: str = "cdrs", **options: Any) -> list[str]:
        """Return the ids of an export, in the order of its records."""
        given = {"location": (), "longest_call": timedelta(hours=12), "page_size": 5000} | options
        window, found = Window(since, until), PROVIDER.call(call)
        pieces = found.fetch(Query(self.client, self.settings, window, given))
        pages = rows(pieces, found, raw(), window, self.tally, lambda _level, _text: None)
        return [dict(one)["Report ID"] for page in pages for one in page]

    def truth(self, since: datetime, until: datetime, call: str = "cdrs", **options: str) -> list[str]:
        return sorted(one["Report ID"] for one in self.sandbox.truth("webex", call, since, until, **options))


@contextmanager
def world(
    switches: Mapping[str, str] | None = None,
    exchange: Exchange = EXCHANGE,
    *,
    kind: str = "access_token",
    paced: bool = False,
) -> Iterator[Process]:
    moment = [NOW]

    def sleep(seconds: float) -> None:
        moment[0] += timedelta(seconds=seconds)

    def monotonic() -> float:
        return (moment[0] - NOW).total_seconds()

    clock = Clock(now=lambda: moment[0], monotonic=monotonic, sleep=sleep)
    given = {"webex": dict(switches or {})}
    with start(now=clock.now, providers=["webex"], switches=given, exchange=exchange, limits=paced) as sandbox:
        settings = WebexSettings.of(
            sandbox.credentials("webex", kind) | ({"requests_per_minute": None} if paced else {})
        )
        client = connect(PROVIDER, settings, clock=clock, log=lambda _level, _text: None, conceal=lambda _secrets: None)
        with closing(client):
            yield Process(sandbox, settings, client)


BOUNDS = ["closed", "half_open", "open_low", "open"]
LINKS = ["doc", "absolute_path", "relative_path", "query", "network_path", "with_others"]
SWITCHES: list[dict[str, str]] = [
    {},
    {"filter": "end"},
    {"bounds": "closed"},
    {"bounds": "open_low"},
    {"bounds": "open"},
    {"filter": "end", "bounds": "closed", "page_overlap": "on"},
    {"filter": "end", "bounds": "open", "page_overlap": "on"},
    {"empty": "200"},
    {"empty": "204"},
    *({"link": link} for link in LINKS),
    {"empty_page": "items"},
    {"empty_page": "no_items"},
    {"page_overlap": "on"},
    {"order": "descending"},
    {"order": "shuffled", "filter": "end"},
    {"keys": "2025"},
    {"keys": "doc_case"},
    {"keys": "future"},
    {"keys": "clients"},
    {"types": "doc"},
    {"gzip": "on"},
    {"late": "0.3"},
    {"link": "doc", "empty_page": "no_items", "page_overlap": "on", "order": "shuffled", "filter": "end"},
]


@pytest.mark.thin
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize(
    ("call", "since", "until"), [("cdrs", h(-50, on=NOW), h(-24, on=NOW)), ("stream", h(-7, on=NOW), h(-1, on=NOW))]
)
def test_export_has_every_record_of_the_window_once(
    switches: dict[str, str], call: str, since: datetime, until: datetime
) -> None:
    with world(SMALL | switches) as there:
        found = there.ids(since, until, call, page_size=20)
        assert sorted(found) == there.truth(since, until, call)
        assert len(found) > 25
        assert there.tally.gaps == []
        assert any("startTimeForNextFetch" in request.query for request in there.sandbox.requests)


@pytest.mark.thin
@pairwise_product(call=["cdrs", "stream"], filtered=["start", "end"], bounds=BOUNDS)
def test_windows_tile_wherever_they_are_cut(call: str, filtered: str, bounds: str) -> None:
    """Some meet at the millisecond at which a call started, with every kind of bounds."""
    since, until = h(-8, on=NOW), h(-1, on=NOW)
    with world({"filter": filtered, "bounds": bounds}) as there:
        starts = sorted(one["Start time"] for one in there.sandbox.truth("webex", call, since, until))
        whole = sorted(there.ids(since, until, call))
        for cut in (h(-4.2345, on=NOW), datetime.fromisoformat(starts[len(starts) // 2])):
            assert sorted(there.ids(since, cut, call) + there.ids(cut, until, call)) == whole


@for_each("bounds", BOUNDS)
@for_each("filtered", ["start", "end"])
def test_call_at_an_edge_is_in_one_window(filtered: str, bounds: str) -> None:
    """Edges are those of the window, and those between two requests."""
    since, until, tick = h(-48, on=NOW), h(-24, on=NOW), timedelta(milliseconds=1)
    inner = since + timedelta(hours=12)
    instants = [edge + n * tick for edge in (since, inner, until) for n in range(-5, 6)]
    calls = [
        call for n, instant in enumerate(instants) for call in uniform(1, instant, instant + tick, name=f"edge{n}")
    ]
    with world({"filter": filtered, "bounds": bounds}, Exchange(calls=calls)) as there:
        found = there.ids(since, until)
        assert sorted(found) == there.truth(since, until)
        assert len(found) == 5 + 1 + 11 + 5
        assert there.tally.gaps == []


@for_each("empty", ["404", "200", "204"])
@for_each("call", ["cdrs", "stream"])
def test_an_empty_window_is_empty(empty: str, call: str) -> None:
    with world({"empty": empty}, Exchange(calls=[])) as there:
        assert there.ids(h(-9, on=NOW), h(-1, on=NOW), call) == []
        assert {request.status for request in there.sandbox.requests} == {int(empty)}
        assert there.tally.gaps == []


def test_only_the_locations_asked_for_come() -> None:
    since, until = h(-48, on=NOW), h(-30, on=NOW)
    with world() as there:
        found = there.ids(since, until, location=("London Office",))
        assert sorted(found) == there.truth(since, until, locations="London Office")
        assert 0 < len(found) < len(there.truth(since, until))


@pytest.mark.slow
def test_whole_retention_is_exported_without_a_429() -> None:
    with world(SMALL, paced=True) as there:
        since, until = NOW - timedelta(days=3), h(-24, on=NOW)
        assert sorted(there.ids(since, until, page_size=30)) == there.truth(since, until)
        assert {request.status for request in there.sandbox.requests} <= {200, 404}


@pytest.mark.slow
def test_window_of_the_whole_retention_is_accepted() -> None:
    for call, keeps in (("cdrs", timedelta(days=30)), ("stream", timedelta(hours=12))):
        with world(paced=True) as there:
            there.ids(NOW - keeps, NOW - PROVIDER.call(call).timing.lag, call)
            assert {request.status for request in there.sandbox.requests} <= {200, 404}


@pytest.mark.thin
@pytest.mark.parametrize("action", ["cut", "reset", "not_json", "html", "empty", 500, 503, 429])
def test_temporary_fault_loses_no_record(action: Any) -> None:
    since, until = h(-48, on=NOW), h(-24, on=NOW)
    with world(SMALL) as there:
        there.sandbox.fail("webex", action, nth=2, times=2)
        assert sorted(there.ids(since, until, page_size=40)) == there.truth(since, until)


def test_a_lasting_fault_is_temporary() -> None:
    with world() as there:
        there.sandbox.fail("webex", 503, times=99)
        with pytest.raises(TemporaryError):
            there.ids(h(-30, on=NOW), h(-29, on=NOW))


@pytest.mark.parametrize("rotate", ["on", "off"])
def test_refresh_token_renews_expired_tokens(rotate: str) -> None:
    since, until = h(-48, on=NOW), h(-24, on=NOW)
    with world(SMALL | {"rotate": rotate}, kind="refresh_token") as there:
        there.sandbox.fail("webex", "expire", path="cdr_feed", nth=3)
        assert sorted(there.ids(since, until, page_size=40)) == there.truth(since, until)
        assert [request.status for request in there.sandbox.requests].count(401) == 1


@for_each(
    "switches, kind, words",
    [
        ({"scope": "missing"}, RightsError, "may not read call history"),
        ({"region": "451_please_use"}, ConfigurationError, "analytics-calling-eu.webexapis.com"),
        ({"region": "451_url"}, ConfigurationError, "analytics-calling-eu.webexapis.com"),
    ],
)
@for_each("shape", ["cdr", "general"])
def test_refusal_is_an_error_with_its_tracking_id(
    switches: dict[str, str], kind: type[CdrctlError], words: str, shape: str
) -> None:
    with world(switches | {"error_shape": shape}) as there:
        with pytest.raises(kind, match=words) as caught:
            there.ids(h(-30, on=NOW), h(-29, on=NOW))
        assert "ROUTER_" in str(caught.value.said)
        assert len(there.sandbox.requests) == 1


@pytest.mark.parametrize("host", ["cdr.elsewhere.example", "analytics-calling.webexapis.com"])
def test_a_next_link_to_another_host_is_not_followed(host: str) -> None:
    """If base_url is an imitation, even the service itself does not get its token."""
    with world(SMALL, Exchange(1)) as there:
        there.sandbox.fail("webex", "foreign_link", host=host)
        with pytest.raises(CdrctlError):
            there.ids(h(-48, on=NOW), h(-36, on=NOW), page_size=40)
        assert len(there.sandbox.requests) == 1


def test_response_of_another_shape_is_an_error() -> None:
    with world() as there:
        there.sandbox.fail("webex", "wrong_shape", times=99)
        with pytest.raises(ProviderError):
            there.ids(h(-30, on=NOW), h(-29, on=NOW))


def test_check_reports_records() -> None:
    with world() as there:
        assert " records between " in check_access(PROVIDER, there.client, there.settings)


@pytest.mark.parametrize("call", PROVIDER.calls[:2], ids=lambda call: call.name)
def test_the_example_of_each_call_is_a_window_the_call_keeps(call: Any) -> None:
    ago = {"cdrs": timedelta(days=1, hours=12), "stream": timedelta(hours=2)}[call.name]
    assert f" --since {'yesterday' if call.name == 'cdrs' else '2h'} " in call.examples[0]
    with world() as there:
        assert there.ids(NOW - ago, NOW - call.timing.lag, call.name)
