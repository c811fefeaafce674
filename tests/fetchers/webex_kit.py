"""A Webex service with scripted responses, and functions that make them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from cdrctl.errors import CdrctlError
from cdrctl.fetchers import Query, connect
from cdrctl.fetchers.settings import Secret
from cdrctl.fetchers.webex import PROVIDER
from cdrctl.fetchers.webex.settings import WebexSettings
from cdrctl.http import Client, Clock, TokenStore
from cdrctl.records.events import Checkpoint, Event, Page
from cdrctl.windows import Window

DATA = Path(__file__).parents[1] / "data" / "webex"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = datetime(2026, 11, 18, tzinfo=UTC)
"""A day long ago, so that nothing about it depends on NOW."""

US = "https://analytics-calling.webexapis.com/v1"
EU = "https://analytics-calling-eu.webexapis.com/v1"
ELSEWHERE = "http://127.0.0.1:9/v1"
MS = timedelta(milliseconds=1)
TRACKING = "ROUTER_00000000-0000-4000-8000-000000000001"

Rule = Callable[[httpx.Request], httpx.Response]


def sample(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def exchange(name: str) -> httpx.Response:
    """Return a collected response without its records."""
    found = next(one for one in sample("constructed_http_exchanges.json")["exchanges"] if one["name"] == name)
    body = found["response"]["body"]
    body = {"items": []} if "items" in body else body
    return httpx.Response(found["response"]["status"], json=body, headers=found["response"]["headers"])


def h(hours: float, *, on: datetime = DAY) -> datetime:
    return on + timedelta(hours=hours)


def stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03}Z"


def record(name: str, start: datetime, end: datetime | None = None, report: datetime | None = None) -> dict[str, Any]:
    end = end or start + timedelta(minutes=1)
    return {
        "Report ID": name,
        "Start time": stamp(start),
        "Release time": stamp(end),
        "Report time": stamp(report or end),
    }


def link_to(page: str, total: int | None = None, base: str = US) -> str:
    count = "" if total is None else f"&totalCount={total}"
    return f'<{base}/cdr_feed?startTimeForNextFetch={page}{count}&max=5000>; rel="next"'


def answer(
    *records: Mapping[str, Any], status: int = 200, link: str | None = None, body: Any = None, **headers: str
) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | ({"Link": link} if link else {})
    return httpx.Response(status, json={"items": list(records)} if body is None else body, headers=sent)


def nothing() -> httpx.Response:
    return exchange("empty window as 404")


class Webex:
    """A service that sends responses by a rule, or in order and then empty ones, and a run of one profile.

    Time passes only while the run waits.
    """

    def __init__(self, *answers: httpx.Response | Rule, now: datetime = NOW, **settings: Any) -> None:
        self.answers = list(answers)
        self.now = now
        self.settings = WebexSettings.of({"access_token": Secret("ACCESS")} | settings)
        self.requests: list[httpx.Request] = []
        self.at: list[datetime] = []
        self.slept: list[float] = []
        self.told: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        self.at.append(self.now)
        if not self.answers:
            return nothing()
        first = self.answers[0]
        if isinstance(first, httpx.Response):
            self.answers.pop(0)
            return first
        return first(request)

    def monotonic(self) -> float:
        return (self.now - DAY).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def client(self, shelf: TokenStore | None = None) -> Client:
        clock = Clock(now=lambda: self.now, monotonic=self.monotonic, sleep=self.sleep)
        return connect(
            PROVIDER,
            self.settings,
            clock=clock,
            log=lambda level, text: self.told.append((level, text)),
            conceal=lambda _secrets: None,
            token_store=shelf,
            transport=httpx.MockTransport(self),
        )

    def pieces(
        self, since: datetime = DAY, until: datetime | None = None, call: str = "cdrs", **options: Any
    ) -> Iterator[Event]:
        """Yield the fetcher's events; by default no request goes beyond the window."""
        given = {"location": (), "longest_call": timedelta(0), "page_size": 5000} | options
        with closing(self.client()) as client:
            window = Window(since, until or h(11))
            yield from PROVIDER.call(call).fetch(Query(client, self.settings, window, given))

    def fetch(self, *args: Any, **options: Any) -> list[Event]:
        return [piece for piece in self.pieces(*args, **options) if not isinstance(piece, Checkpoint)]

    def fails(self, *args: Any, **options: Any) -> CdrctlError:
        with pytest.raises(CdrctlError) as caught:
            self.fetch(*args, **options)
        return caught.value

    @property
    def params(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(request.url.query.decode(), keep_blank_values=True)) for request in self.requests]

    @property
    def windows(self) -> list[tuple[str, str]]:
        """The windows of the first pages, without years and seconds and without the millisecond more at both ends."""
        return [(stamp(since + MS)[5:16], stamp(until - MS)[5:16]) for since, until in self.asked]

    @property
    def asked(self) -> list[tuple[datetime, datetime]]:
        """The windows of the first pages, as they were requested."""
        first = [params for params in self.params if "startTime" in params]
        return [(datetime.fromisoformat(one["startTime"]), datetime.fromisoformat(one["endTime"])) for one in first]

    @property
    def pages(self) -> list[str]:
        """For every request of a listing, its page; empty for a first page."""
        return [params.get("startTimeForNextFetch", "") for params in self.params]

    @property
    def notes(self) -> list[str]:
        return [text for level, text in self.told if level == "note"]


def ids(pieces: Sequence[Event]) -> list[str]:
    return [one["Report ID"] for piece in pieces if isinstance(piece, Page) for one in piece.records]


def words(error: CdrctlError) -> str:
    return " | ".join(filter(None, (error.message, error.said, error.hint)))
