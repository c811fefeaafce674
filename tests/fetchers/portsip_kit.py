"""A PBX with scripted responses, and functions that make them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from cdrctl.errors import (
    CdrctlError,
)
from cdrctl.windows import Window

from .test_portsip import SETTINGS, Run, fetched, window

DAY = window("2026-11-18", "2026-11-19")

Answers = Callable[[httpx.Request], httpx.Response]


def page(items: list[dict[str, Any]], count: int | None = -1) -> httpx.Response:
    counted = {} if count is None else {"count": len(items) if count < 0 else count}
    return httpx.Response(200, json={**counted, "items": items})


def failure(status: int, code: str = "UNKNOWN", message: str = "no", **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"code": code, "message": message, **more}]})


def row(number: int, started: str = "2026-11-18T00:00:00Z", **changes: Any) -> dict[str, Any]:
    return {"id": str(900_000 + number), "started_at": started, "duration": number, **changes}


class Server:
    """Sends responses in order, or by a function, and records the requests."""

    def __init__(self, *answers: httpx.Response, by: Answers | None = None) -> None:
        self.answers: Iterator[httpx.Response] = iter(answers)
        self.by = by
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        return self.by(request) if self.by else next(self.answers)

    @property
    def lines(self) -> list[str]:
        return [f"{one.method} {one.url.path.removeprefix('/api')}" for one in self.asked]

    @property
    def queries(self) -> list[dict[str, str]]:
        return [dict(one.url.params) for one in self.asked]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(one.content) if one.content[:1] == b"{" else one.content for one in self.asked]


def run(server: Server, call: str = "cdrs", span: Window | None = None, settings: Any = None, **options: Any) -> Run:
    span = span or (DAY if call in {"cdrs", "calllogs"} else None)
    return fetched(settings or SETTINGS, call, span, transport=httpx.MockTransport(server), **options)


def refused(server: Server, kind: type[CdrctlError], call: str = "cdrs", **options: Any) -> CdrctlError:
    """Return the error of a run, after checking that it shows no secret."""
    seen = Run()
    with pytest.raises(kind) as caught:
        run(server, call, run=seen, **options)
    error = caught.value
    assert type(error) is kind
    shown = " ".join(map(str, (error.message, error.said, error.hint, seen.told)))
    for secret in ("T0KEN", "pa55-w0rd", "R3FRESH", "SECRET-BLOB", *seen.secrets):
        assert secret not in shown
    return error


OK = {"token_type": "Bearer", "access_token": "T0KEN-1", "refresh_token": "R3FRESH-1", "expires_in": 3600}
GOOD = httpx.Response(200, json=OK)

WANTED: dict[str, Any] = {"type": "NORMAL", "email": "user@example.com", "range": "YESTERDAY"}
