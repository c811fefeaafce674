"""Retries: which failures are retried, how long each wait is, and when the client gives up."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies as st

from cdrctl.errors import CdrctlError, ConfigurationError, ProviderError, SignInError, TemporaryError
from cdrctl.http import Answer, RateLimit, Request, RetryPolicy, Schedule
from cdrctl.http.retry import TRIES, retry_after
from tests.support.clock import NOON, HandClock
from tests.support.products import for_each
from tests.support.wires import BAD_GATEWAY, RESET, SILENCE, an_answer, answering, client, ok, serving

GOOD = httpx.Response(200, content=b'{"items":[1]}')
BROKEN: dict[str, bytes] = {
    "half JSON": ok(b'{"items":['),
    "no JSON": ok(b"<html>busy</html>"),
    "an empty body": ok(b""),
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "less than it says": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + b'{"items":[]}',
    "more than it says": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + b'{"items":[]}',
    "half a chunk": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"items"',
    "lying gzip": ok(b'{"items":[]}', "Content-Encoding: gzip"),
    "half a gzip": ok(gzip.compress(b'{"items":["' + b"abc" * 99 + b'"]}')[:20], "Content-Encoding: gzip"),
    "a torn connection": RESET,
}


@for_each("what", BROKEN)
def test_a_broken_response_is_retried(what: str) -> None:
    clock = HandClock()
    with serving(BROKEN[what], BAD_GATEWAY, ok(b'{"items":[7]}')) as server:
        acme = client(server.url, clock)
        assert acme.get("/x").body == {"items": [7]}
        acme.close()
    assert (len(server.heard), acme.requests, len(clock.waits)) == (3, 3, 2)


@for_each("what", BROKEN)
def test_a_response_that_stays_broken_is_a_temporary_error(what: str) -> None:
    clock = HandClock()
    with serving(BROKEN[what]) as server:
        acme = client(server.url, clock)
        with pytest.raises(TemporaryError) as caught:
            acme.get("/x")
        acme.close()
    assert len(server.heard) == TRIES
    assert caught.value.message.startswith("Acme ")
    assert caught.value.message.endswith(f"({TRIES} tries)")
    assert "Error" not in caught.value.message
    assert caught.value.hint


def test_waits_double_are_bounded_and_jittered() -> None:
    for jitter, waits in ((0.0, [0.75, 1.5, 3, 6]), (1.0, [1.25, 2.5, 5, 10])):  # a 500 gets few tries
        clock = HandClock()
        transport, _ = answering(httpx.Response(500))
        with pytest.raises(TemporaryError):
            client(clock=clock, transport=transport, jitter=lambda by=jitter: by).get("/x")
        assert clock.waits == waits


def test_a_silent_server_times_out() -> None:
    with serving(SILENCE, ok()) as server:
        acme = client(server.url, timeout=0.2)
        assert acme.get("/x").good
        acme.close()
    assert len(server.heard) == 2


def test_a_refused_connection_is_retried_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    acme = client(f"http://127.0.0.1:{port}")
    with pytest.raises(TemporaryError) as caught:
        acme.get("/x")
    acme.close()
    assert f"127.0.0.1:{port}" in caught.value.message
    assert acme.requests == TRIES


def test_an_unknown_host_name_is_a_temporary_error() -> None:
    transport, asked = answering(httpx.ConnectError("[Errno -2] Name or service not known"))
    with pytest.raises(TemporaryError, match=r"cdr\.example"):
        client(transport=transport).get("/x")
    assert len(asked) == TRIES


def test_an_invalid_host_name_is_a_configuration_error() -> None:
    base = f"http://{'a' * 70}.example"
    acme = client(base)
    with pytest.raises(ConfigurationError, match="cannot be sent"):
        acme.get("/x")
    acme.close()
    assert acme.requests == 1


@for_each("status", [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524])
def test_a_busy_status_is_retried(status: int) -> None:
    transport, asked = answering(httpx.Response(status), GOOD)
    assert client(transport=transport).get("/x").body == {"items": [1]}
    assert len(asked) == 2


@for_each("status", [300, 302, 307, 400, 403, 404, 409, 410, 423, 451, 501])
def test_other_statuses_are_not_retried(status: int) -> None:
    transport, asked = answering(httpx.Response(status, json={"message": "their words"}), GOOD)
    with pytest.raises(CdrctlError) as caught:
        client(transport=transport).get("/x")
    assert len(asked) == 1
    assert caught.value.status == status


def test_a_provider_names_its_own_busy_status_and_its_wait() -> None:
    clock = HandClock()
    transport, asked = answering(httpx.Response(423), GOOD)
    retry_policy = RetryPolicy(busy=RetryPolicy().busy | {423}, waits={423: 60})
    assert client(clock=clock, transport=transport, retry_policy=retry_policy).get("/x").good
    assert clock.waits == [60.5]
    assert len(asked) == 2


def test_retries_keep_the_rate_limit() -> None:
    clock = HandClock()
    transport, _ = answering(httpx.Response(503), GOOD)
    told: list[tuple[str, str]] = []
    acme = client(
        clock=clock,
        transport=transport,
        retry_policy=RetryPolicy(budgets={"page": RateLimit(1, 61)}),
        log=lambda level, text: told.append((level, text)),
    )
    acme.get("/x")
    assert clock.waits == [1.0, 60.0]
    assert ("wait", "waiting 60 s, until 12:01:01 UTC: the rate limit of Acme") in told
    assert ("note", "Acme failed (HTTP 503); retrying in 1 s, for up to 15 min") in told


def test_the_caller_can_limit_the_attempts() -> None:
    transport, asked = answering(httpx.Response(503, json={"message": "down"}))
    with pytest.raises(TemporaryError) as caught:
        client(transport=transport).ask(Request("GET", "http://cdr.example/v1/x"), tries=1)
    assert (len(asked), caught.value.message, caught.value.said) == (1, "Acme failed (HTTP 503)", "down")


def test_an_incomplete_response_is_retried_and_its_own_error_raised() -> None:
    def whole(body: Any) -> CdrctlError | None:
        return None if "status" in body else ProviderError("it broke off")

    transport, asked = answering(GOOD, httpx.Response(200, json={"status": "success"}))
    assert client(transport=transport).get("/x", whole=whole).body == {"status": "success"}
    transport, asked = answering(GOOD)
    with pytest.raises(ProviderError, match=r"^it broke off$"):
        client(transport=transport).get("/x", whole=whole)
    assert len(asked) == TRIES


def next_of(errors: Iterator[CdrctlError | None], _body: object) -> CdrctlError | None:
    return next(errors)


def test_the_wait_of_an_error_is_kept_within_max_wait() -> None:
    clock = HandClock()
    fault = TemporaryError("not yet")
    fault.wait = 7.0
    errors: Iterator[CdrctlError | None] = iter([fault, None])
    transport, _ = answering(GOOD)
    client(clock=clock, transport=transport).get("/x", whole=partial(next_of, errors))
    assert clock.waits == [7.5]
    fault.wait = 86400.0
    with pytest.raises(TemporaryError) as caught:
        client(clock=clock, transport=transport).get("/x", whole=lambda _body: fault)
    assert "24 h" in caught.value.message
    assert clock.waits == [7.5]


@pytest.mark.parametrize(("body", "what"), [(b"null", "null"), (b"", "an empty body")])
def test_an_empty_response_is_named(body: bytes, what: str) -> None:
    transport, _ = answering(httpx.Response(200, content=body))
    with pytest.raises(TemporaryError, match=f"^Acme answered with {what}$"):
        client(transport=transport).get("/x")


def test_a_response_that_may_be_empty_may_not_be_incomplete() -> None:
    transport, asked = answering(httpx.Response(200, content=b'{"items":['), httpx.Response(204))
    assert client(transport=transport).ask(Request("DELETE", "http://cdr.example/v1/x", bodiless=True)).status == 204
    assert len(asked) == 2


def test_an_interruption_passes_through() -> None:
    def interrupt(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    clock = HandClock()
    with pytest.raises(KeyboardInterrupt):
        client(clock=clock, transport=httpx.MockTransport(interrupt)).get("/x")
    assert clock.waits == []


@for_each(
    "header, seconds",
    [
        ("7", 7),
        ("0", 0),
        ("0000000000005", 5),
        ("9" * 400, float("inf")),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 13:00:30 +0100", 30),
        ("Fri, 20 Nov 2026 12:00:30 -0000", 30),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 99999999999999999999 Nov 2026 11:00:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("\u0663", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read(header: str, seconds: float | None) -> None:
    assert retry_after(an_answer(503, retry_after=header), NOON) == seconds


def test_a_date_is_measured_against_the_providers_own_clock() -> None:
    answer = an_answer(503, retry_after="Thu, 01 Jan 2026 00:02:00 GMT", date="Thu, 01 Jan 2026 00:00:30 GMT")
    assert retry_after(answer, NOON) == 90


@given(st.text(), st.text())
def test_an_invalid_retry_after_is_not_an_error(header: str, date: str) -> None:
    seconds = retry_after(an_answer(503, retry_after=header, date=date), NOON)
    assert seconds is None or seconds >= 0


@for_each("asked_for, waited", [("7", 7.5), ("0", 0.5), ("301", 301.5), ("899.5", 1.0), ("900", 900), ("-1", 1.0)])
def test_retry_after_is_kept_within_max_wait(asked_for: str, waited: float) -> None:
    clock = HandClock()
    transport, _ = answering(httpx.Response(429, headers={"Retry-After": asked_for}), GOOD)
    client(clock=clock, transport=transport).get("/x")
    assert clock.waits == [waited]


DAY_LATER = "2026-11-21T12:00:01Z"


@for_each("status", [429, 503])
@for_each("asked", ["86400", "Sat, 21 Nov 2026 12:00:00 GMT", "901"])
def test_a_retry_after_longer_than_max_wait_ends_at_once_and_names_the_time(status: int, asked: str) -> None:
    clock = HandClock()
    transport, heard = answering(httpx.Response(status, headers={"Retry-After": asked}), GOOD)
    with pytest.raises(TemporaryError) as caught:
        client(clock=clock, transport=transport).get("/x")
    assert (len(heard), clock.waits, caught.value.exit_code) == (1, [], 5)
    back, length = ("2026-11-20T12:15:02Z", "15 min 1 s") if asked == "901" else (DAY_LATER, "24 h")
    assert back in (caught.value.hint or "")
    assert length in (caught.value.hint or "")


@for_each("asked", ["9" * 30, "9" * 400, "9" * 5000])
def test_an_absurd_retry_after_names_no_time(asked: str) -> None:
    transport, heard = answering(httpx.Response(429, headers={"Retry-After": asked}))
    with pytest.raises(TemporaryError) as caught:
        client(transport=transport).get("/x")
    assert caught.value.status == 429
    assert "more than a year" in caught.value.message
    assert len(heard) == 1


@pytest.mark.slow
@for_each("minutes", [1, 10, 15, 60])
@for_each("status", [408, 425, 429, 502, 503, 504, 522])
def test_a_busy_server_is_retried_for_max_wait_and_not_longer(status: int, minutes: int) -> None:
    clock = HandClock()
    transport, _ = answering(httpx.Response(status))
    with pytest.raises(TemporaryError) as caught:
        client(clock=clock, transport=transport, max_wait=timedelta(minutes=minutes)).get("/x")
    assert sum(clock.waits) == pytest.approx(60 * minutes)
    assert max(clock.waits) <= 75
    length = f"{minutes} min" if minutes < 60 else "1 h"
    assert caught.value.message.endswith(f"(after {length} of retries)")


def test_a_server_that_is_busy_for_ten_minutes_is_waited_for() -> None:
    clock = HandClock()

    def building(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if clock.seconds < 600 else httpx.Response(200, content=b'{"items":[1]}')

    assert client(clock=clock, transport=httpx.MockTransport(building)).get("/x").body == {"items": [1]}
    assert 600 <= sum(clock.waits) <= 675


def test_a_max_wait_of_zero_means_no_retries() -> None:
    clock = HandClock()
    transport, heard = answering(httpx.Response(503, headers={"Retry-After": "0"}))
    with pytest.raises(TemporaryError) as caught:
        client(clock=clock, transport=transport, max_wait=timedelta(0)).get("/x")
    assert caught.value.status == 503
    assert (len(heard), clock.waits) == (1, [])


def test_a_retry_after_of_zero_does_not_cause_a_busy_loop() -> None:
    clock = HandClock()
    transport, heard = answering(httpx.Response(429, headers={"Retry-After": "0"}))
    with pytest.raises(TemporaryError):
        client(clock=clock, transport=transport).get("/x")
    assert sum(clock.waits) == pytest.approx(900)
    assert len(heard) < 40


def test_waiting_for_the_rate_limit_does_not_count_as_a_retry() -> None:
    clock = HandClock()
    transport, heard = answering(httpx.Response(503))
    retry_policy = RetryPolicy(budgets={"page": RateLimit(1, 600)})
    with pytest.raises(TemporaryError):
        client(clock=clock, transport=transport, retry_policy=retry_policy, max_wait=timedelta(seconds=60)).get("/x")
    assert len(heard) > 5
    assert clock.seconds == 600 * (len(heard) - 1)


def test_the_time_that_a_retry_takes_counts() -> None:
    clock = HandClock()

    def slow(_: httpx.Request) -> httpx.Response:
        clock.seconds += 300
        return httpx.Response(504)

    with pytest.raises(TemporaryError):
        client(clock=clock, transport=httpx.MockTransport(slow)).get("/x")
    assert clock.seconds <= 300 + 900 + 300


def test_a_lost_connection_is_retried_longer_than_one_that_never_worked() -> None:
    clock = HandClock()
    lost = httpx.ConnectError("[Errno 111] Connection refused")
    transport, heard = answering(GOOD, *[lost] * 12, GOOD)
    acme = client(clock=clock, transport=transport)
    assert acme.get("/x").good
    assert acme.get("/x").good
    assert len(heard) == 14
    transport, heard = answering(*[lost] * 12, GOOD)
    with pytest.raises(TemporaryError):
        client(transport=transport).get("/x")
    assert len(heard) == TRIES


def test_retries_of_the_caller_share_the_time_of_the_request() -> None:
    clock = HandClock()
    transport, _ = answering(httpx.Response(503), GOOD)
    acme = client(clock=clock, transport=transport)
    patience = acme.patience()
    later = TemporaryError("Acme says later")

    def again() -> None:
        while acme.ask(Request("GET", "http://cdr.example/v1/x"), patience=patience).good:
            acme.wait_to_retry(patience, later, 100)

    with pytest.raises(TemporaryError) as caught:
        again()
    assert caught.value is later
    assert 800 < sum(clock.waits) <= 900
    assert sum(clock.waits) == pytest.approx(patience.spent)


class TooFastError(TemporaryError):
    """A rate limit error in a body of status 200."""


def too_fast(answer: Answer) -> CdrctlError | None:
    return TooFastError("Acme says slower") if answer.body == {"error": 1} else None


def test_an_error_of_the_providers_own_is_retried_by_its_schedule() -> None:
    hands = HandClock()
    slower = httpx.Response(200, json={"error": 1})
    transport, asked = answering(slower, slower, slower, GOOD)
    policy = RetryPolicy(errors={TooFastError: Schedule((5, 10), {"page": RateLimit(1, 30)})})
    acme = client(clock=hands, transport=transport, retry_policy=policy, error_for=too_fast)
    assert acme.get("/x").body == {"items": [1]}
    assert hands.waits == [5.5, 10.5, 19.5, 10.5, 19.5], (
        "5 or 10 s, then for the limit, which counts from the first retry"
    )
    transport, asked = answering(slower)
    with pytest.raises(TooFastError) as caught:
        client(transport=transport, retry_policy=policy, error_for=too_fast, max_wait=timedelta(minutes=2)).get("/x")
    assert caught.value.wait == 5
    assert len(asked) > TRIES


def test_an_error_without_a_schedule_is_retried_a_few_times() -> None:
    transport, asked = answering(httpx.Response(200, json={"error": 1}))
    policy = RetryPolicy(errors={TooFastError: Schedule()})
    with pytest.raises(TooFastError):
        client(transport=transport, retry_policy=policy, error_for=too_fast).get("/x")
    assert len(asked) == TRIES


@for_each(
    "answer, attempts",
    [(httpx.Response(429), 3), (httpx.Response(503), 1), (httpx.Response(200), 1), (httpx.ConnectError("gone"), 1)],
    ids=["429", "503", "no-body", "no-connection"],
)
def test_a_change_is_sent_again_only_if_it_was_not_carried_out(answer: httpx.Response, attempts: int) -> None:
    hands = HandClock()
    transport, asked = answering(answer)
    acme = client(clock=hands, transport=transport, retry_policy=RetryPolicy(changes=(5, 20)))
    with pytest.raises(TemporaryError):
        acme.ask(Request("POST", "http://cdr.example/v1/x", changes=True))
    assert len(asked) == attempts
    assert hands.waits == [5.5, 20.5][: attempts - 1]


def test_a_client_with_other_settings_shares_the_rest_with_the_first() -> None:
    transport, asked = answering(httpx.Response(503))
    told: list[str] = []
    acme = client(transport=transport)
    once = acme.with_tries(1).with_log(lambda _level, text: told.append(text))
    with pytest.raises(TemporaryError):
        once.get("/x")
    assert (len(asked), acme.requests, len(told)) == (1, 1, 1)
    acme.close()
    once.log("note", "too late")
    assert len(told) == 1


def test_no_part_of_a_secret_is_quoted() -> None:
    for body in (b'{"access_token":"hush', b' \xef\xbb\xbf{"auth_token":"hush', b"access_token=hush&x=1", b'"hush'):
        transport, _ = answering(httpx.Response(200, content=body))
        with pytest.raises(TemporaryError) as caught:
            client(transport=transport).get("/x")
        assert "hush" not in caught.value.message
        transport, _ = answering(httpx.Response(400, content=body))
        with pytest.raises(ProviderError) as refused:
            client(transport=transport).get("/x")
        assert refused.value.said is None


def test_statuses_have_a_meaning_without_the_provider() -> None:
    kinds = {302: ConfigurationError, 403: SignInError, 404: ProviderError, 418: ProviderError, 501: TemporaryError}
    for status, kind in kinds.items():
        transport, _ = answering(httpx.Response(status, headers={"Location": "https://u:p@evil.example/x"}))
        with pytest.raises(kind) as caught:
            client(transport=transport).get("/x", [("code", "hush")])
        assert "hush" not in caught.value.message
        assert "u:p" not in caught.value.message
