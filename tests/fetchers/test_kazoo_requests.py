"""Kazoo's fetcher, request by request, against answers written here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from cdrctl.errors import (
    CdrctlError,
    ConfigurationError,
    ProviderError,
    RightsError,
    SignInError,
    TemporaryError,
    UsageError,
)
from cdrctl.fetchers import check_access, connect
from cdrctl.fetchers.kazoo import PROVIDER
from cdrctl.fetchers.kazoo.settings import KazooSettings
from cdrctl.windows import Window
from tests.support.clock import HandClock

from .test_kazoo import ACCOUNT, ROW, Run, at, fetched, gregorian, sample, window

BASE = "http://kazoo.example.net:8000/v2"
SETTINGS = {"base_url": BASE, "account_id": ACCOUNT, "auth_token": "T0KEN", "allow_http": True}
KEY = {"base_url": BASE, "account_id": ACCOUNT, "api_key": "k" * 64, "allow_http": True}
DAY = window("2026-11-18", "2026-11-19")
Answers = Callable[[httpx.Request], httpx.Response]


def envelope(data: Any, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": data, **more, "status": "success", "auth_token": "T0KEN"})


def failure(status: int, message: str = "", data: Any = None, **more: Any) -> httpx.Response:
    body = {"data": data or {}, "error": str(status), "message": message, "status": "error", "auth_token": "T0KEN"}
    return httpx.Response(more.get("http", status), json=body)


def constructed(status: int, nth: int = 0) -> httpx.Response:
    """Return an answer of the collected ones."""
    found = [one for one in sample("constructed_http_errors.json")["errors"] if one["status"] == status][nth]
    return httpx.Response(status, json=found["body"]) if found["body"] else httpx.Response(status)


def row(number: int, **changes: Any) -> dict[str, Any]:
    begun = gregorian("2026-11-18") + number
    return {
        **ROW,
        "id": f"202611-{number}",
        "timestamp": str(begun),
        "unix_timestamp": str(begun - gregorian("1970-01-01")),
        **changes,
    }


class Server:
    """Plays answers in order, or by a function, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response, by: Answers | None = None) -> None:
        self.answers: Iterator[httpx.Response] = iter(answers)
        self.by = by
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.by(request) if self.by else next(self.answers)

    @property
    def queries(self) -> list[dict[str, str]]:
        return [dict(request.url.params) for request in self.asked]


def run(
    server: Server,
    call: str = "cdrs",
    span: Window | None = DAY,
    settings: Any = None,
    clock: HandClock | None = None,
    **options: Any,
) -> Run:
    secrets: list[str] = []
    return fetched(
        settings or SETTINGS,
        call,
        span,
        options,
        transport=httpx.MockTransport(server),
        clock=clock or HandClock(),
        secrets=secrets,
    )


def refused(server: Server, kind: type[CdrctlError], call: str = "cdrs", **options: Any) -> CdrctlError:
    """Return the error of a run, which shows no secret."""
    with pytest.raises(kind) as caught:
        run(server, call, DAY if call in {"cdrs", "interactions"} else None, **options)
    error = caught.value
    shown = " ".join(map(str, (error.message, error.said, error.hint)))
    assert "T0KEN" not in shown
    assert "k" * 64 not in shown
    return error


# Exact sequences


def test_pages_follow_the_key_however_short_they_are() -> None:
    """All parameters are repeated with the key; an empty page with a key is not the end; no key is."""
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


def test_the_end_is_looked_for_until_the_longest_call_or_five_minutes_ago() -> None:
    """A leg is listed at its end; a second more is asked for, whether the bound belongs to the range or not."""
    server = Server(envelope([]), envelope([]))
    run(server, longest_call=timedelta(hours=1))
    run(server, span=Window(at("2026-11-20T10:00"), at("2026-11-20T11:30")))
    assert [query["created_to"] for query in server.queries] == [
        str(gregorian("2026-11-19T01:00") + 1),
        str(gregorian("2026-11-20T11:55") + 1),
    ]


def test_months_and_their_edges_newest_first() -> None:
    """Each month by itself, and each month's start by an unpaged request from before it."""
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


@pytest.mark.parametrize(
    ("since", "until", "probed"),
    [
        ("2026-11-01T00:00", "2026-11-01T01:00", True),
        ("2026-11-01T01:59:59", "2026-11-01T03:00", True),
        ("2026-11-01T02:00:00", "2026-11-01T03:00", False),
        ("2026-10-31T20:00", "2026-10-31T22:00", True),
        ("2026-10-31T20:00", "2026-10-31T21:59:58", False),
    ],
)
def test_a_months_start_is_probed_when_it_can_matter(since: str, until: str, probed: bool) -> None:  # noqa: FBT001
    """Also when it lies up to the longest call before the window: a leg may begin after it in an older call."""
    for call in ("cdrs", "interactions"):
        server = Server(by=lambda _request: envelope([]))
        run(server, call, window(since, until), longest_call=timedelta(hours=2))
        assert any("paginate" in query for query in server.queries) == probed


def test_interactions_are_asked_from_the_longest_call_before() -> None:
    """A user's leg may begin long after its interaction; the probe reaches as far to both sides."""
    server = Server(by=lambda _request: envelope([]))
    run(server, "interactions", window("2026-11-01T01:00", "2026-11-01T02:00"), longest_call=timedelta(hours=2))
    assert [(int(q["created_from"]), int(q["created_to"])) for q in server.queries] == [
        (gregorian("2026-11-01"), gregorian("2026-11-01T04:00") + 1),
        (gregorian("2026-10-31T22:00") - 1, gregorian("2026-11-01T02:00") + 1),
        (gregorian("2026-10-31T23:00") - 1, gregorian("2026-11-01") - 1),
    ]
    assert server.asked[0].url.path.endswith("/cdrs/interaction")


def test_no_more_than_five_requests_a_second() -> None:
    """Half of what the bucket fills with; a sign-in counts."""
    pages = [envelope([], next_start_key=str(n)) for n in range(20)]
    server = Server(httpx.Response(201, json={"auth_token": "T0KEN", "data": {}}), *pages, envelope([]))
    done = run(server, settings=KEY)
    assert done.requests == 22
    assert done.waited == 4.0


def test_a_repeated_key_asks_for_larger_pages_and_then_gives_up() -> None:
    """An endless loop up to 4.2."""
    server = Server(by=lambda _request: envelope([row(1)], next_start_key="63602563961"))
    refused(server, ProviderError, page_size=500)
    assert sorted({int(query["page_size"]) for query in server.queries}) == [500, 2000, 3200]


def test_a_limit_is_read_from_the_refusal() -> None:
    """The recorded text, and a number of this site's own."""
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


def test_a_refusal_that_does_not_shrink_ends_the_run() -> None:
    """Else it would be asked for ever."""
    recorded = sample("recorded_crossbar50_error_400_date_range.json")
    error = refused(Server(by=lambda _request: httpx.Response(400, json=recorded)), ProviderError)
    assert "2682000 s" in error.message


# Broken answers


@pytest.mark.parametrize(
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
def test_an_answer_that_broke_off_is_asked_again(broken: httpx.Response) -> None:
    """No status, cut, empty, no data, a fault in a 200, too fast, a tired database: the same page once more."""
    server = Server(broken, envelope([row(1)]))
    done = run(server)
    assert done.ids == ["202611-1"]
    assert server.queries[0] == server.queries[1]
    assert 0.75 <= done.waited < 1.5


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(200, json={"data": []}), TemporaryError),
        (failure(500, "datastore_fault", http=200), TemporaryError),
        (httpx.Response(200, json={"status": "success"}), ProviderError),
        (envelope({"message": "maintenance"}), ProviderError),
        (envelope(["x"]), ProviderError),
        (envelope(None), ProviderError),
    ],
)
def test_data_that_never_comes_is_an_error_and_not_no_records(answer: httpx.Response, kind: type[CdrctlError]) -> None:
    """An answer of the wrong shape is never an empty one."""
    refused(Server(by=lambda _request: answer), kind)


def test_a_server_that_crashes_is_asked_a_few_times_more() -> None:
    """Five tries, and three single seconds to see whether a record is to blame; waiting mends no crash."""
    server = Server(by=lambda _request: constructed(500, 1))
    assert refused(server, TemporaryError).exit_code == 5
    assert len(server.asked) == 8


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_a_server_that_is_down_is_waited_for_as_long_as_is_allowed(call: str, status: int) -> None:
    """Fifteen minutes in total, of which it is asked less and less often; then the run ends and may be repeated."""
    began = HandClock()
    answer = constructed(status) if status in {500, 503} else httpx.Response(status)
    server = Server(by=lambda _request: answer)
    with pytest.raises(TemporaryError) as caught:
        run(server, call, clock=began)
    assert caught.value.exit_code == 5
    assert 15 * 60 <= began.seconds < 16 * 60
    assert len(server.asked) < 120


def test_a_server_that_says_when_to_come_back_is_not_asked_before() -> None:
    clock = HandClock()
    server = Server(by=lambda _request: httpx.Response(503, headers={"Retry-After": "86400"}))
    with pytest.raises(TemporaryError) as caught:
        run(server, clock=clock)
    assert "2026-11-21T12:00" in str(caught.value.hint)
    assert clock.seconds < 5


@pytest.mark.parametrize("answer", [constructed(429), httpx.Response(429)])
def test_being_asked_too_fast_is_waited_out_as_long_as_is_allowed(answer: httpx.Response) -> None:
    """And no record is blamed for it: a listing is not cut into smaller ones."""
    clock = HandClock()
    done = run(
        Server(by=lambda _request: answer if clock.seconds < 600 else envelope([])),
        span=window("2026-11-10", "2026-11-11"),
        clock=clock,
    )
    assert (done.gaps, done.rows) == ([], [])
    assert 600 <= clock.seconds < 700


def test_a_network_that_is_down_is_not_asked_for_single_seconds() -> None:
    """No answer at all blames no record."""

    def down(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    server = Server(by=down)
    refused(server, TemporaryError)
    assert len(server.asked) == 5


@pytest.mark.parametrize("call", ["cdrs", "interactions"])
def test_a_database_too_slow_for_the_range_is_asked_for_smaller_ones(call: str) -> None:
    """500 with `timeout` that goes away: everything comes and there is no gap."""
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


def test_several_poisoned_seconds_are_named_and_all_others_kept() -> None:
    """At the first second of the range, at its last, and two in between; each record of the others comes."""
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


def test_a_server_that_goes_down_while_poison_is_looked_for_is_left() -> None:
    """It answers one single second and then nothing more: no record is blamed for that."""
    for call in ("cdrs", "interactions"):
        done = 0

        def failing(_request: httpx.Request) -> httpx.Response:
            nonlocal done
            done += 1
            return envelope([]) if done == 6 else constructed(503)

        server = Server(by=failing)
        assert refused(server, TemporaryError, call).exit_code == 5
        assert len(server.asked) < 60


def test_several_poisoned_interactions_are_named_and_all_others_kept() -> None:
    """Also those between two of them, and those that end after the next."""
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


def test_a_listing_full_of_poison_is_given_up_in_bounds() -> None:
    """After sixteen seconds the rest of a stretch is said to be missing."""
    first = gregorian("2026-11-18")

    def poisoned(request: httpx.Request) -> httpx.Response:
        begin, end = (int(request.url.params[name]) for name in ("created_from", "created_to"))
        return constructed(503) if (begin - first) // 7 != (end - first) // 7 or begin % 7 == 0 else envelope([])

    done = run(Server(by=poisoned))
    assert any("cannot read its records from" in gap for gap in done.gaps)
    assert done.requests < 1000


def test_a_probe_that_never_fits_is_a_gap() -> None:
    """The rest of the window is there."""

    def answer(request: httpx.Request) -> httpx.Response:
        return constructed(416) if "paginate" in request.url.params else envelope([row(1)])

    for call in ("cdrs", "interactions"):
        done = run(Server(by=answer), call, window("2026-11-01", "2026-11-19"))
        assert done.ids == ["202611-1"]
        assert done.gaps == [
            "calls in progress at 2026-11-01T00:00:00.000Z, the turn of the month, could not be looked for"
        ]


# Errors and their words


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (constructed(403), RightsError, f"this key may not read account {ACCOUNT}"),
        (constructed(423), SignInError, f"account {ACCOUNT} is disabled or expired"),
        (constructed(416), ProviderError, "larger than the server allows"),
        (constructed(405), ProviderError, "HTTP 405"),
        (constructed(406), ProviderError, "HTTP 406"),
        (failure(404, "not_found"), ProviderError, "there is nothing at"),
        (failure(404, "utc_offset must be a number"), ProviderError, "does not accept a parameter"),
        (failure(404, "no such", http=200), ProviderError, "there is nothing at"),
        (failure(403, "forbidden", http=200), RightsError, "may not read account"),
        (failure(501, "x"), TemporaryError, "HTTP 501"),
        (httpx.Response(302, headers={"location": "https://elsewhere/"}), ConfigurationError, "redirects to elsewhere"),
        *(
            (httpx.Response(404, json=sample(f"recorded_crossbar50_error_404_{name}.json")), kind, words)
            for name, kind, words in (
                ("cdr", ConfigurationError, "no such account or user"),
                ("bad_identifier", ConfigurationError, "no such account or user"),
                ("page_size", ProviderError, "does not accept a parameter"),
            )
        ),
    ],
)
def test_what_the_server_refuses_is_said_in_our_words_and_its_own(
    answer: httpx.Response, kind: type[CdrctlError], words: str
) -> None:
    """And asked once; only a failing server is asked for three single seconds more."""
    server = Server(by=lambda _request: answer)
    error = refused(server, kind)
    assert words in error.message
    assert len(server.asked) == (4 if kind is TemporaryError else 1)
    body = json.loads(answer.content) if answer.content else {}
    assert body.get("message", "") in (error.said or "")


# Sign-in


@pytest.mark.parametrize("name", ["bad_token", "expired_token"])
def test_both_wordings_of_an_ended_token_sign_in_again(name: str) -> None:
    """Once, and the same page is repeated with the new token."""
    ended = httpx.Response(401, json=sample(f"recorded_crossbar50_error_401_{name}.json"))
    server = Server(
        httpx.Response(201, json={"auth_token": "FIRST", "data": {}}),
        envelope([row(2)], next_start_key="k2"),
        ended,
        httpx.Response(201, json={"auth_token": "SECOND", "data": {}}),
        envelope([row(1)]),
    )
    assert run(server, settings=KEY).ids == ["202611-1", "202611-2"]
    assert [request.headers.get("X-Auth-Token") for request in server.asked] == [
        None,
        "FIRST",
        "FIRST",
        None,
        "SECOND",
    ]
    assert server.queries[2] == server.queries[4]
    assert server.queries[4]["start_key"] == "k2"


def test_a_second_refusal_in_a_row_ends_the_run() -> None:
    """Signing in again did not help."""
    ended = sample("recorded_crossbar50_error_401_expired_token.json")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            return httpx.Response(201, json={"auth_token": "T0KEN", "data": {}})
        return httpx.Response(401, json=ended)

    server = Server(by=answer)
    error = refused(server, SignInError, settings=KEY)
    assert error.message == "Kazoo does not accept the token or key of this profile"
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("settings", "path", "data"),
    [
        ({"api_key": "k" * 64}, "/v2/api_auth", {"api_key": "k" * 64}),
        (
            {"username": "John@Example.com", "password": "m32c6NfqYEt", "account_name": "Acme"},
            "/v2/user_auth",
            {"credentials": "82a2dc91686ec828a67152d45a5c5ef7", "method": "md5", "account_name": "Acme"},
        ),
        (
            {
                "username": "john@example.com",
                "password": "m32c6NfqYEt",
                "account_realm": "acme.example",
                "credential_hash": "sha",
            },
            "/v2/user_auth",
            {
                "credentials": "055cf886cb9b5c5867083463867c527ace0f8ecc",
                "method": "sha",
                "account_realm": "acme.example",
            },
        ),
    ],
)
def test_the_body_of_a_sign_in(settings: dict[str, str], path: str, data: dict[str, str]) -> None:
    """The vectors of the documentation; the user name counts in lower case."""
    server = Server(httpx.Response(201, json={"auth_token": "T0KEN", "data": {}}), envelope([]))
    run(server, settings={"base_url": BASE, "account_id": ACCOUNT, "allow_http": True, **settings})
    first = server.asked[0]
    assert (first.method, first.url.path, json.loads(first.content)) == ("PUT", path, {"data": data})


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (failure(404, "bad_identifier", {"cause": "k" * 64}), SignInError, "does not accept the key"),
        (failure(401, "invalid_credentials"), SignInError, "does not accept the key"),
        (failure(401, "x", {"multi_factor_request": {}}), SignInError, "second factor"),
        (failure(423, "locked"), SignInError, "disabled or expired"),
        (constructed(503), TemporaryError, "HTTP 503"),
        (httpx.Response(301, headers={"location": "https://elsewhere/"}), ConfigurationError, "redirects"),
        (httpx.Response(201, json={"data": {}}), ProviderError, "no auth_token"),
    ],
)
def test_a_sign_in_that_fails(answer: httpx.Response, kind: type[CdrctlError], words: str) -> None:
    """A wrong key is a 404 there; the key it echoes is not shown."""
    assert words in refused(Server(by=lambda _request: answer), kind, settings=KEY).message


# Options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user": "u", "descendants": True}, "cannot be combined"),
        ({"filter": ("direction",)}, "NAME=VALUE"),
        ({"filter": ("=x",)}, "NAME=VALUE"),
        ({"page_size": 0}, "at least 1"),
        ({"user": ".."}, "is not an id"),
        ({"account": ""}, ""),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_asked(options: dict[str, Any], words: str) -> None:
    """Exit code 2; an empty account is none."""
    server = Server(envelope([]))
    if not words:
        run(server, **options)
        assert server.asked[0].url.path == f"/v2/accounts/{ACCOUNT}/cdrs"
        return
    assert words in refused(server, UsageError, **options).message
    assert server.asked == []


@pytest.mark.parametrize(
    ("filters", "kept"),
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
def test_filters_on_our_side(filters: tuple[str, ...], kept: list[str]) -> None:
    """As the value came or as it is shown, and in the full documents a 5.x operator may send."""
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


def test_filters_that_only_the_server_can_apply_are_said() -> None:
    """The disposition is in every document and in the rows of 4.3 only."""
    server = Server(envelope([]))
    done = run(server, filter=("disposition=send_bye", "custom_channel_vars.realm=a"))
    assert server.queries[0]["filter_disposition"] == "send_bye"
    assert server.queries[0]["filter_custom_channel_vars.realm"] == "a"
    assert "disposition, custom_channel_vars.realm" in done.told[0]


def test_legs_are_paged() -> None:
    """However few a page has; the id is one part of the path."""
    server = Server(envelope([{"id": "a"}], next_start_key="k/1"), envelope([{"id": "b"}]))
    assert run(server, "legs", None, id="202611-a/%41@b").ids == ["a", "b"]
    assert server.asked[0].url.raw_path.endswith(b"/cdrs/legs/202611-a%2F%2541%40b")
    assert server.queries == [{}, {"start_key": "k/1"}]


def test_descendants_are_paged_and_each_asked_once() -> None:
    """An account that lists itself is no second one."""
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
    """Never fewer accounts than there are."""
    assert "no id" in refused(Server(envelope(rows)), ProviderError, descendants=True).message


def test_a_check_says_what_it_found() -> None:
    """One small request of a day."""
    server = Server(envelope([row(1)]), envelope([]))
    clock = HandClock()
    settings = KazooSettings.model_validate(SETTINGS)
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


def test_an_interaction_is_one_whichever_of_its_legs_is_shown() -> None:
    """4.3 and 5.0 show the earliest leg of those saved within the range: the paged answer and the probe differ."""
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
