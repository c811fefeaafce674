"""A Kazoo server with scripted responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from cdrctl.errors import (
    CdrctlError,
)
from cdrctl.windows import Window
from tests.support.clock import HandClock

from .kazoo_kit import ACCOUNT, ROW, Run, fetched, gregorian, sample, window

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
    """Return one of the collected responses."""
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
    """Sends responses in order, or by a function, and records the requests."""

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
    """Return the error of a run, after checking that it shows no secret."""
    with pytest.raises(kind) as caught:
        run(server, call, DAY if call in {"cdrs", "interactions"} else None, **options)
    error = caught.value
    shown = " ".join(map(str, (error.message, error.said, error.hint)))
    assert "T0KEN" not in shown
    assert "k" * 64 not in shown
    return error
