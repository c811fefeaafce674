"""Errors of Webex."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.products import for_each

from .webex_kit import NOW, TRACKING, Webex, answer, exchange, h, ids, record, words

MEANINGS = [
    ("other 404", httpx.codes.NOT_FOUND, 6, ["this address has no call history", "end in /v1"]),
    (
        "bad window",
        httpx.codes.BAD_REQUEST,
        7,
        ["Webex refused the window 2026-11-18T00:00:00.000Z to", "30 days", "12 h"],
    ),
    ("bad token", httpx.codes.UNAUTHORIZED, 4, ["the token has expired and could not be renewed"]),
    (
        "no scope",
        httpx.codes.FORBIDDEN,
        4,
        ["spark-admin:calling_cdr_read", "Detailed Call History API access", "31 December 2026"],
    ),
    ("locked", httpx.codes.LOCKED, 5, ["--max-wait"]),
    ("too many", httpx.codes.TOO_MANY_REQUESTS, 5, ["--max-wait"]),
    ("region", 451, 6, ["another region", "-eu, -in, -au or -gov"]),
    ("broken", httpx.codes.INTERNAL_SERVER_ERROR, 5, ["5 tries"]),
    ("bad gateway", httpx.codes.BAD_GATEWAY, 5, ["15 min of retries"]),
    ("away", httpx.codes.SERVICE_UNAVAILABLE, 5, ["15 min of retries"]),
    ("unheard of", 418, 7, ["HTTP 418"]),
]


@for_each("status, code, said", [row[1:] for row in MEANINGS], ids=[row[0] for row in MEANINGS])
@for_each("shape", ["of this API", "general", "header"])
def test_an_error_has_the_services_message_and_the_tracking_id(
    status: int, code: int, said: list[str], shape: str
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "of this API": {"errorCode": status, "message": "their words", "trackingId": TRACKING},
        "general": {"message": "", "errors": [{"description": "their words"}], "trackingId": TRACKING},
        "header": {"message": "their words"},
    }
    headers = {"trackingid": TRACKING} if shape == "header" else {}
    webex = Webex(lambda _request: httpx.Response(int(status), json=bodies[shape], headers=headers))
    error = webex.fails()
    assert error.exit_code == code
    assert error.said is not None
    assert "their words" in error.said
    assert error.said.count(TRACKING) == 1
    for part in said:
        assert part in words(error)


def test_a_refused_window_of_the_stream_names_the_limits_of_the_stream() -> None:
    error = Webex(exchange("bad window")).fails(h(-2, on=NOW), h(-1, on=NOW), "stream")
    assert "The stream goes back 12 hours, in windows of up to 2 hours." in error.message
    assert "48 hours" not in error.message


def test_older_limit_is_named_only_if_it_may_be_the_reason() -> None:
    """Documents of 2023 have 48 hours; not all organisations may have today's 30 days yet."""
    assert "48 hours" in Webex(exchange("bad window")).fails(h(-49, on=NOW), h(-47, on=NOW)).message
    assert "48 hours" not in Webex(exchange("bad window")).fails(h(-48, on=NOW), h(-47, on=NOW)).message


@for_each("body", [b'{"items": [', b"<html>", b""])
def test_a_truncated_body_is_retried(body: bytes) -> None:
    webex = Webex(httpx.Response(200, content=body), answer(record("a", h(1))))
    assert ids(webex.fetch()) == ["a"]
