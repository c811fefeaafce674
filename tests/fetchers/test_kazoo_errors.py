"""Broken responses and refusals of Kazoo."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest

from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
)
from tests.support.clock import HandClock
from tests.support.products import for_each

from .kazoo_kit import ACCOUNT, gregorian, sample, window
from .kazoo_server_kit import Server, constructed, envelope, failure, refused, row, run

# Broken responses


@for_each(
    "broken",
    [
        httpx.Response(200, json={"data": [], "page_size": "0"}),
        httpx.Response(200, content=sample("constructed_http_errors.json")["errors"][-1]["body"].encode()),
        httpx.Response(200, content=b""),
        httpx.Response(200, json={"status": "success"}),
        httpx.Response(200, json=[]),
        failure(500, "datastore_fault", http=200),
        failure(503, "datastore_fault", http=200),
        failure(429, "too_many_requests", http=200),
        httpx.Response(200, json={"data": [], "status": "fatal"}),
        constructed(429),
        constructed(500),
        constructed(500, 1),
        constructed(503),
    ],
)
def test_a_broken_response_is_retried(broken: httpx.Response) -> None:
    """Responses are cut, empty, without data, errors with status 200, rate limits or database faults."""
    server = Server(broken, envelope([row(1)]))
    done = run(server)
    assert done.ids == ["202611-1"]
    assert server.queries[0] == server.queries[1]
    assert 0.75 <= done.waited < 1.5


@for_each(
    "answer, kind",
    [
        (httpx.Response(200, json={"data": []}), TemporaryError),
        (failure(500, "datastore_fault", http=200), TemporaryError),
        (httpx.Response(200, json={"status": "success"}), ProviderError),
        (envelope({"message": "maintenance"}), ProviderError),
        (envelope(["x"]), ProviderError),
        (envelope(None), ProviderError),
    ],
)
def test_a_response_without_data_is_an_error(answer: httpx.Response, kind: type[CdrctlError]) -> None:
    """A response of another shape never counts as an empty one."""
    refused(Server(by=lambda _request: answer), kind)


def test_a_crashing_server_is_retried_a_few_times() -> None:
    """Five attempts, and requests for three single seconds, which show whether a record is the cause."""
    server = Server(by=lambda _request: constructed(500, 1))
    assert refused(server, TemporaryError).exit_code == 5
    assert len(server.asked) == 8


@for_each("status", [500, 502, 503, 504, 522])
@for_each("call", ["cdrs", "interactions"])
def test_an_unavailable_server_is_retried_within_the_allowed_wait(call: str, status: int) -> None:
    """Waits grow up to fifteen minutes in total; then the run ends with a temporary error."""
    began = HandClock()
    answer = constructed(status) if status in {500, 503} else httpx.Response(status)
    server = Server(by=lambda _request: answer)
    with pytest.raises(TemporaryError) as caught:
        run(server, call, clock=began)
    assert caught.value.exit_code == 5
    assert 15 * 60 <= began.seconds < 16 * 60
    assert len(server.asked) < 120


def test_a_retry_waits_as_long_as_the_server_asks() -> None:
    clock = HandClock()
    server = Server(by=lambda _request: httpx.Response(503, headers={"Retry-After": "86400"}))
    with pytest.raises(TemporaryError) as caught:
        run(server, clock=clock)
    assert "2026-11-21T12:00" in str(caught.value.hint)
    assert clock.seconds < 5


@pytest.mark.parametrize("answer", [constructed(429), httpx.Response(429)])
def test_the_rate_limit_is_waited_out_within_the_allowed_wait(answer: httpx.Response) -> None:
    """The window is not divided, because no record is the cause."""
    clock = HandClock()
    done = run(
        Server(by=lambda _request: answer if clock.seconds < 600 else envelope([])),
        span=window("2026-11-10", "2026-11-11"),
        clock=clock,
    )
    assert (done.gaps, done.rows) == ([], [])
    assert 600 <= clock.seconds < 700


def test_a_network_failure_does_not_divide_the_window() -> None:
    """Without a response, no record is the cause."""

    def down(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    server = Server(by=down)
    refused(server, TemporaryError)
    assert len(server.asked) == 5


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_a_range_too_slow_for_the_database_is_divided(call: str) -> None:
    """The response is 500 with `timeout`. Every record comes, without a gap."""
    limit = 20_000 if call == "cdrs" else 100_000

    def slow(request: httpx.Request) -> httpx.Response:
        first, last = (int(request.url.params[name]) for name in ("created_from", "created_to"))
        if last - first > limit:
            return constructed(500)
        rows = [row(n) for n in range(0, 86_400, 600) if first <= gregorian("2026-11-18") + n <= last]
        return envelope(rows)

    server = Server(by=slow)
    done = run(server, call, longest_call=timedelta(hours=4 if call == "interactions" else 24))
    assert len(done.ids) == 144
    assert done.gaps == []
    assert done.requests < 60


def test_each_poisoned_second_is_a_gap() -> None:
    """They are the first second of the range, the last, and two in between; all other records come."""
    first = gregorian("2026-11-18")
    bad = {first, first + 1000, first + 50_001, first + 172_800}

    def poisoned(request: httpx.Request) -> httpx.Response:
        begin, end = (int(request.url.params[name]) for name in ("created_from", "created_to"))
        if any(begin <= second <= end for second in bad):
            return constructed(503)
        return envelope([row(n) for n in range(0, 86_400, 500) if begin <= first + n <= end])

    done = run(Server(by=poisoned))
    assert len(done.ids) == 173 - 2
    named = ["2026-11-20T00:00:00.000Z", "2026-11-18T13:53:21.000Z", "2026-11-18T00:16:40.000Z"]
    named.append("2026-11-18T00:00:00.000Z")
    assert [any(second in gap for gap in done.gaps) for second in named] == [True] * 4
    assert len(done.gaps) == 4
    assert done.requests < 250


def test_server_that_fails_during_the_search_for_poison_ends_the_run() -> None:
    """It responds to one single second and then fails: that is not a record's fault."""
    for call in ("cdrs", "interactions"):
        done = 0

        def failing(_request: httpx.Request) -> httpx.Response:
            nonlocal done
            done += 1
            return envelope([]) if done == 6 else constructed(503)

        server = Server(by=failing)
        assert refused(server, TemporaryError, call).exit_code == 5
        assert len(server.asked) < 60


def test_each_poisoned_interaction_is_a_gap() -> None:
    """Interactions between two of them come, and those that end after the next one."""
    first = gregorian("2026-11-18")
    bad = {first + 5000, first + 40_000}

    def answer(request: httpx.Request) -> httpx.Response:
        begin, end = (int(request.url.params[name]) for name in ("created_from", "created_to"))
        key, size = request.url.params.get("start_key"), int(request.url.params["page_size"])
        seconds = [n for n in range(first, first + 86_400, 1000) if begin <= n <= end]
        if "ascending" not in request.url.params:
            seconds.reverse()
        if key is not None:
            seconds = seconds[seconds.index(int(key)) :]
        if bad & set(seconds[:size]):
            return constructed(503)
        rows = [row(n - first, interaction_id=f"{n}-x") for n in seconds[:size] if n + 50_000 <= end]
        return envelope(rows, **({"next_start_key": str(seconds[size])} if len(seconds) > size else {}))

    done = run(Server(by=answer), "interactions")
    assert len(done.ids) == 87 - 2
    assert [gap.split(" begun at ")[1][:20] for gap in done.gaps] == ["2026-11-18T01:23:20.", "2026-11-18T11:06:40."]


@pytest.mark.slow
def test_search_for_poison_ends_after_sixteen_seconds() -> None:
    """After sixteen seconds, the rest of a stretch is a gap."""
    first = gregorian("2026-11-18")

    def poisoned(request: httpx.Request) -> httpx.Response:
        begin, end = (int(request.url.params[name]) for name in ("created_from", "created_to"))
        return constructed(503) if (begin - first) // 7 != (end - first) // 7 or begin % 7 == 0 else envelope([])

    done = run(Server(by=poisoned))
    assert any("cannot read its records from" in gap for gap in done.gaps)
    assert done.requests < 1000


def test_probe_that_is_always_too_large_is_a_gap() -> None:
    """All other records of the window come."""

    def answer(request: httpx.Request) -> httpx.Response:
        return constructed(416) if "paginate" in request.url.params else envelope([row(1)])

    for call in ("cdrs", "interactions"):
        done = run(Server(by=answer), call, window("2026-11-01", "2026-11-19"))
        assert done.ids == ["202611-1"]
        assert done.gaps == ["calls in progress at 2026-11-01T00:00:00.000Z, the turn of the month, may be missing"]


# Errors and their messages


@for_each(
    "answer, kind, words",
    [
        (constructed(403), RightsError, f"this key may not read account {ACCOUNT}"),
        (constructed(423), SignInError, f"account {ACCOUNT} is disabled or expired"),
        (constructed(416), ProviderError, "larger than the server allows"),
        (constructed(405), ProviderError, "HTTP 405"),
        (constructed(406), ProviderError, "HTTP 406"),
        (failure(404, "not_found"), ProviderError, "there is nothing at"),
        (failure(404, "utc_offset must be a number"), ProviderError, "refused a parameter"),
        (failure(404, "no such", http=200), ProviderError, "there is nothing at"),
        (failure(403, "forbidden", http=200), RightsError, "may not read account"),
        (failure(501, "x"), TemporaryError, "HTTP 501"),
        (httpx.Response(302, headers={"location": "https://elsewhere/"}), ConfigurationError, "redirects to elsewhere"),
        *(
            (httpx.Response(404, json=sample(f"recorded_crossbar50_error_404_{name}.json")), kind, words)
            for name, kind, words in (
                ("cdr", ConfigurationError, "no such account or user"),
                ("bad_identifier", ConfigurationError, "no such account or user"),
                ("page_size", ProviderError, "refused a parameter"),
            )
        ),
    ],
)
def test_a_refusal_is_an_error_with_the_servers_message(
    answer: httpx.Response, kind: type[CdrctlError], words: str
) -> None:
    """It is not retried; only a failing server gets requests for three single seconds more."""
    server = Server(by=lambda _request: answer)
    error = refused(server, kind)
    assert words in error.message
    assert len(server.asked) == (4 if kind is TemporaryError else 1)
    body = json.loads(answer.content) if answer.content else {}
    assert body.get("message", "") in (error.said or "")
